"""How an alert gets there: one signed POST, to an address that was checked, with a few patient repeats."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from itertools import cycle
from typing import Any, NamedTuple

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

from auditor.__about__ import __version__
from auditor.alerts.targets import Kind, Target
from auditor.errors import AlertFailed
from auditor.report.words import many

PAUSES = (0.5, 1.0, 2.0)
"""Seconds between one attempt and the next, at least; a receiver that asks for more (`Retry-After`) gets it."""
PATIENCE = 30.0
"""Seconds that one alert may take: no attempt begins after that."""
_TIMEOUT = Timeout(connect=3.0, read=5.0)


class _Answer(NamedTuple):
    """What came of one attempt. No problem: the alert has arrived."""

    problem: str | None
    again: bool = False
    wait: float = 0.0


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`X-Auditor-Signature`: a receiver computes the same of what it got, and looks how old the timestamp is."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"v1={digest}"


def deliver(target: Target, document: Mapping[str, Any], key: str) -> None:
    """Send one alert; `key` is its `Idempotency-Key`.

    Raises AlertFailed if it was not accepted: at once if the receiver refuses it or redirects it, else after four
    attempts or 30 seconds. Raises UsageError if the host resolves to an address that is not allowed.
    """
    body = json.dumps(document).encode()
    headers = {
        "Host": target.authority,
        "Content-Type": "application/json",
        "User-Agent": f"auditor/{__version__}",
        "Idempotency-Key": key,
    }
    if target.kind is Kind.WEBHOOK:
        now = str(int(time.time()))
        headers |= {"X-Auditor-Timestamp": now, "X-Auditor-Signature": signature(target.secret, now, body)}
    ends = time.monotonic() + PATIENCE
    # The repeats are ours: those of urllib3 stay with one address, and log the URL when they begin.
    for attempt, (address, pause) in enumerate(zip(cycle(target.addresses()), (*PAUSES, None)), start=1):
        answer = _attempt(target, address, body, headers)
        if answer.problem is None:
            return
        wait = max(answer.wait, pause or 0)
        if pause is None or not answer.again or time.monotonic() + wait > ends:
            tried = f" ({many(attempt, 'attempt')})" if answer.again else ""
            raise AlertFailed(target.kind, target.host, answer.problem + tried)
        time.sleep(wait)


def _attempt(target: Target, address: str, body: bytes, headers: dict[str, str]) -> _Answer:
    with _pool(target, address) as pool:
        try:
            response = pool.urlopen(
                "POST", target.path, body, headers, retries=False, redirect=False, preload_content=False
            )
        except SSLError as error:
            verified = getattr(error.args[0], "verify_message", "")
            return _Answer(f"no TLS connection{f': {verified}' if verified else ''}")
        except (ConnectTimeoutError, NewConnectionError):
            return _Answer("no connection", again=True)
        except ReadTimeoutError:
            return _Answer("no answer in time", again=True)
        except HTTPError:
            return _Answer("the connection broke", again=True)
        try:
            return _judged(response)
        finally:
            response.close()


def _pool(target: Target, address: str) -> HTTPConnectionPool:
    """A connection to this very address; the certificate must be that of the name."""
    if target.scheme == "http":
        return HTTPConnectionPool(address, target.port, timeout=_TIMEOUT)
    return HTTPSConnectionPool(address, target.port, timeout=_TIMEOUT, server_hostname=target.host)


def _judged(response: BaseHTTPResponse) -> _Answer:
    status = response.status
    if 200 <= status < 300:
        return _Answer(None)
    if 300 <= status < 400:
        return _Answer(f"it answered {status}, and redirects are not followed")
    if status != 429 and status < 500:
        return _Answer(f"it answered {status}")
    wait = _retry_after(response)
    asked = f" and asks to wait {wait:.0f} s" if wait else ""
    return _Answer(f"it answered {status}{asked}", again=True, wait=wait)


def _retry_after(response: BaseHTTPResponse) -> float:
    try:
        return Retry().get_retry_after(response) or 0.0
    except (InvalidHeader, ValueError):
        return 0.0
