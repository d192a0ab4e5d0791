"""Of a runtime error only its signature and the ids it names are kept."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from auditor.ingest.runtime_error import parse

EVENT, STEP = "evnt_01M82KZ3N1JC8XQTNRV0QSJN4G", "step_01M82KYZY1RRV5J59J6BQP17R0"
UNCONSUMED = (
    f"Unconsumed event in event log: eventType=step_started, correlationId={STEP}, eventId={EVENT}. "
    "This indicates a corrupted or invalid event log."
)
DIVERGED = (
    f"Workflow replay diverged 4 times after 3 recovery replays; latest divergent event was {EVENT}. "
    f"Last divergence: Replay could not consume event: eventType=step_started, correlationId={STEP}"
)


def packed(raw: bytes) -> str:
    return json.dumps({"__type": "Uint8Array", "data": base64.b64encode(raw).decode()})


@pytest.mark.parametrize(
    ("stored", "code", "signature"),
    [
        (json.dumps({"code": "RUNTIME_ERROR", "message": UNCONSUMED}), "RUNTIME_ERROR", "unconsumed_event"),
        (json.dumps({"message": DIVERGED, "stack": "at x"}), "CORRUPTED_EVENT_LOG", "replay_divergence"),
        (packed(b"devl" + json.dumps(["Error", UNCONSUMED]).encode()), "RUNTIME_ERROR", "unconsumed_event"),
        (packed(b"gzip" + gzip.compress(UNCONSUMED.encode())), "RUNTIME_ERROR", "unconsumed_event"),
        (UNCONSUMED, None, "unconsumed_event"),
    ],
    ids=["4.2.4", "4.6.0", "5.0.0-beta.5", "gzipped", "plain text of a table"],
)
def test_every_way_the_sdk_stores_it(stored: str, code: str | None, signature: str) -> None:
    assert parse(stored, code) == (signature, EVENT, STEP)


def test_ids_of_the_postgres_world_are_named_too() -> None:
    message = json.dumps({"message": UNCONSUMED.replace("evnt_", "wevt_")})
    assert parse(message, "RUNTIME_ERROR") == ("unconsumed_event", EVENT.replace("evnt_", "wevt_"), STEP)


def test_the_code_alone_is_enough() -> None:
    assert parse("{}", "CORRUPTED_EVENT_LOG") == ("replay_divergence", None, None)


@pytest.mark.parametrize(
    ("stored", "code"),
    [
        (json.dumps({"message": "card declined"}), "USER_ERROR"),
        (json.dumps({"message": UNCONSUMED}), "USER_ERROR"),
        (None, None),
        ("", None),
        ("{}", None),
        (packed(b"gzip\x1f\x8bnot gzip"), None),
        (json.dumps({"__type": "Uint8Array", "data": "not base64!"}), None),
        ("[" * 100_000, None),
    ],
)
def test_other_errors_say_nothing_about_the_log(stored: str | None, code: str | None) -> None:
    assert parse(stored, code) is None


def test_a_bomb_is_read_no_further_than_a_mebibyte() -> None:
    bomb = packed(b"gzip" + gzip.compress(b"x" * 50_000_000 + UNCONSUMED.encode()))
    assert parse(bomb, None) is None
