"""What a runtime error says about the log: which event it stopped at, and nothing else.

The SDK has no field for it. 4.2.4 and 5.0.0-beta.5 store "Unconsumed event in event log: eventType=...,
correlationId=..., eventId=..."; from 4.6.0 it is "Workflow replay diverged N times ...; latest divergent event
was evnt_...". The text may be plain, or bytes in devalue form, possibly gzipped. Messages may hold secrets, so
only the signature and the two ids leave this module.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from typing import Any, NamedTuple

_EVENT = re.compile(r"\b(?:evnt|wevt)_[0-9A-Z]{26}\b")
_NAMED_EVENT = re.compile(r"(?:eventId=|divergent event was )((?:evnt|wevt)_[0-9A-Z]{26})")
_CORRELATION = re.compile(r"\b(?:step|wait|hook)_[0-9A-Z]{26}\b")
_MAX_TEXT = 1 << 20


class CorruptionReport(NamedTuple):
    """The signature of a runtime error about the log, and the event and entity it names (each may be None)."""

    signature: str
    event_id: str | None
    correlation_id: str | None


def parse(error: str | None, code: str | None = None) -> CorruptionReport | None:
    """Read a stored error (JSON text of any shape). None if it does not speak of the event log.

    A `USER_ERROR` is the workflow's own, whatever its text says.
    """
    if code == "USER_ERROR":
        return None
    text = _text(error)
    if "Unconsumed event in event log" in text:
        signature = "unconsumed_event"
    elif code == "CORRUPTED_EVENT_LOG" or "Workflow replay diverged" in text:
        signature = "replay_divergence"
    else:
        return None
    named = _NAMED_EVENT.search(text)
    event = named.group(1) if named else next(iter(_EVENT.findall(text)), None)
    correlation = _CORRELATION.search(text)
    return CorruptionReport(signature, event, correlation.group(0) if correlation else None)


def _text(error: str | None) -> str:
    if not error:
        return ""
    try:
        value = json.loads(error)
    except (ValueError, RecursionError):
        return error[:_MAX_TEXT]
    return "\n".join(_strings(value, depth=4))[:_MAX_TEXT]


def _strings(value: Any, depth: int) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, dict) or depth == 0:
        return []
    if value.get("__type") == "Uint8Array":
        return [_bytes_text(value.get("data"))]
    return [text for part in value.values() for text in _strings(part, depth - 1)]


def _bytes_text(data: Any) -> str:
    try:
        raw = base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return ""
    if raw[:4] == b"gzip":
        raw = raw[4:]
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = zlib.decompressobj(wbits=31).decompress(raw, _MAX_TEXT)
        except zlib.error:
            return ""
    return raw.decode("utf-8", "replace")
