"""What the fences of a log prove, and what their absence does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logs import Log, entity, event_id, manifest, time, write

from auditor import Verdict, audit

FENCED = manifest("fence", "tailAtCommit", "requestId", fencePolicy="full")


def tail(position: int) -> dict[str, str]:
    return {"kind": "tail", "value": event_id(position) if position else "none"}


def report(path: Path) -> dict[str, Any]:
    with audit(path) as result:
        return result.report


def outcomes(found: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {rule["id"]: (rule["outcome"], rule["reason"]) for rule in found["rules"]}


def of(found: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    return [finding for finding in found["findings"] if finding["rule"] == rule]


def run_id(number: int) -> str:
    """Many logs are judged in one audit, each as a run of its own."""
    return f"wrun_{number:026d}"


def race(run: int = 0, **stale: Any) -> Log:
    """A hook and a sleep are raced; the hook is received at #5, then the wait is completed at #6."""
    log = Log(run_id(run))
    log.add("hook_created", entity("hook", 0), data={"token": "t"}, fence=tail(2), requestId="a")
    log.add("wait_created", entity("wait", 1), data={"resumeAt": time(5)}, fence=tail(2), requestId="a")
    log.add("hook_received", entity("hook", 0), fence=None)
    return log.add("wait_completed", entity("wait", 1), data={"resumeAt": time(5)}, requestId="b", **stale)


def test_a_write_whose_fence_is_not_the_tail_is_stale_and_names_what_it_missed(tmp_path: Path) -> None:
    found = report(write(tmp_path / "log.ndjson", FENCED, race(fence=tail(4)).events))
    (finding,) = of(found, "stale-snapshot-write")
    assert finding["severity"] == "error"
    assert [(w["role"], w["position"]) for w in finding["witness"]] == [
        ("last event of the snapshot", 4),
        ("missed", 5),
        ("stale write", 6),
    ]
    assert found["verdict"] == Verdict.CORRUPT
    assert found["exit_code"] == 1


def test_a_write_under_the_tail_is_not_stale(tmp_path: Path) -> None:
    found = report(write(tmp_path / "log.ndjson", FENCED, race(fence=tail(5)).events))
    assert outcomes(found)["stale-snapshot-write"] == ("held", None)
    assert found["verdict"] == Verdict.SOUND


@pytest.mark.parametrize("request_ids", [True, False], ids=["with-request-ids", "without"])
def test_siblings_of_one_batch_share_a_fence_and_are_not_stale(tmp_path: Path, request_ids: bool) -> None:
    log = Log()
    for ordinal in range(4):
        request = {"requestId": "batch"} if request_ids else {}
        log.add("step_created", entity("step", ordinal), data={"stepName": "s"}, fence=tail(2), **request)
    found = report(write(tmp_path / "log.ndjson", FENCED, log.events))
    assert outcomes(found)["stale-snapshot-write"] == ("held", None)


def test_a_batch_that_missed_an_event_is_one_finding_with_every_member(tmp_path: Path) -> None:
    log = race(fence=tail(5))
    for ordinal in (2, 3):
        log.add("wait_created", entity("wait", ordinal), data={"resumeAt": time(9)}, fence=tail(5), requestId="c")
    found = report(write(tmp_path / "log.ndjson", FENCED, log.events))
    (finding,) = of(found, "stale-snapshot-write")
    assert [w["position"] for w in finding["witness"] if w["role"] == "stale write"] == [7, 8]


def test_weaker_fences_are_judged_by_what_they_claim(tmp_path: Path) -> None:
    fences: list[tuple[dict[str, str], bool]] = [
        ({"kind": "count", "value": "5"}, False),
        ({"kind": "count", "value": "4"}, True),
        ({"kind": "as_of", "value": "whatever", "resolved": event_id(5)}, False),
        ({"kind": "as_of", "value": "whatever", "resolved": event_id(4)}, True),
        ({"kind": "as_of", "value": time(6)}, False),
        ({"kind": "as_of", "value": time(5)}, True),
        ({"kind": "state_updated_at", "value": time(5)}, False),
        ({"kind": "state_updated_at", "value": time(4)}, True),
    ]
    races = [race(run, fence=fence).events for run, (fence, _) in enumerate(fences)]
    found = report(write(tmp_path / "log.ndjson", FENCED, *races))
    assert {row["name"]: row["runs"] for row in found["capabilities"]}["fences"] == len(fences)
    accused = [finding["run_id"] for finding in of(found, "stale-snapshot-write")]
    for run, (fence, stale) in enumerate(fences):
        assert accused.count(run_id(run)) == stale, fence


def test_state_updated_at_says_nothing_of_other_decisions(tmp_path: Path) -> None:
    log = Log()
    log.add("wait_created", entity("wait", 0), data={"resumeAt": time(9)}, fence=tail(2), requestId="a")
    fence = {"kind": "state_updated_at", "value": time(2)}
    log.add("step_created", entity("step", 1), data={"stepName": "s"}, fence=fence, requestId="b")
    found = report(write(tmp_path / "log.ndjson", FENCED, log.events))
    assert outcomes(found)["stale-snapshot-write"] == ("held", None)


def test_the_request_names_of_the_sdk_are_fences(tmp_path: Path) -> None:
    names: list[dict[str, Any]] = [
        {"lastKnownEventId": event_id(4)},
        {"params": {"lastKnownEventId": event_id(4)}},
        {"params": {"stateEventCount": 4}},
        {"eventCount": 4},
        {"asOfTimestamp": (1000 * 5) + 1795348800000},
    ]
    races = [race(run, **name).events for run, name in enumerate(names)]
    found = report(write(tmp_path / "log.ndjson", manifest("fence"), *races))
    accused = [finding["run_id"] for finding in of(found, "stale-snapshot-write")]
    assert sorted(accused) == [run_id(run) for run in range(len(names))]


def test_what_the_sdk_sends_beside_a_fence_is_read_in_both_places(tmp_path: Path) -> None:
    sent = {"awaitingCorrelationIds": [entity("hook", 0)], "eventCount": 4}
    races = [race(0, **sent).events, race(1, params=sent).events]
    found = report(write(tmp_path / "log.ndjson", manifest("params"), *races))
    assert [finding["run_id"] for finding in of(found, "skipped-awaited-resolution")] == [run_id(0), run_id(1)]
    assert {finding["folded_under"] is None for finding in of(found, "stale-snapshot-write")} == {False}


@pytest.mark.parametrize("place", ["on the event", "under params"])
def test_a_count_in_band_is_a_fence(tmp_path: Path, place: str) -> None:
    """Without a manifest, too: the key alone says that the log records fences."""
    logs = []
    for run, in_band in enumerate((True, None, False)):
        sent = {"expectedSeqInBand": 2} | ({} if in_band is None else {"inBand": in_band})
        logs.append(unfenced_log(run, **(sent if place == "on the event" else {"params": sent})))
    path = tmp_path / "log.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for log in logs for event in log.events), "utf-8")
    found = report(path)
    assert outcomes(found)["concurrent-in-band-writers"] == ("held", None)
    assert {finding["run_id"] for finding in of(found, "dropped-fence")} == {run_id(2)}


def unfenced_log(run: int = 0, **fence: Any) -> Log:
    log = Log(f"wrun_{run:026d}")
    log.add("wait_created", entity("wait", 0), data={"resumeAt": time(4)}, **fence)
    log.add("wait_completed", entity("wait", 0), data={"resumeAt": time(4)}, **fence)
    return log.add("run_completed", **fence)


@pytest.mark.parametrize(
    "head",
    [FENCED, {"record": "head", "runId": "wrun_" + "0" * 26, "events": 5}],
    ids=["a-manifest-says-so", "the-key-is-there"],
)
def test_all_fences_lost_is_found(tmp_path: Path, head: dict[str, Any]) -> None:
    logs = [unfenced_log(run, fence=None).events for run in range(3)]
    found = report(write(tmp_path / "log.ndjson", head, *logs))
    assert outcomes(found)["dropped-fence"] == ("found", None)
    across = [finding for finding in of(found, "dropped-fence") if finding["run_id"] is None]
    assert {finding["because"].split(" since")[0] for finding in across} == {
        "All 3 wait_created",
        "All 3 wait_completed",
        "All 3 run_completed",
    }
    assert len(of(found, "dropped-fence")) == 3 + 9
    assert found["fence_coverage"][0] == {
        "event_type": "run_completed",
        "writes": 3,
        "fenced": 0,
        "unfenced": 0,
        "dropped": 3,
    }


def test_an_explicit_unfenced_write_is_no_finding_and_is_counted(tmp_path: Path) -> None:
    fence = {"kind": "unfenced", "reason": "first write"}
    found = report(write(tmp_path / "log.ndjson", FENCED, unfenced_log(fence=fence).events))
    assert outcomes(found)["dropped-fence"] == ("held", None)
    assert [row["unfenced"] for row in found["fence_coverage"]] == [1, 1, 1]


def test_a_stock_export_is_not_evaluated_for_fences_and_still_gets_its_verdict(tmp_path: Path) -> None:
    found = report(write(tmp_path / "log.ndjson", unfenced_log().events))
    for rule in ("dropped-fence", "stale-snapshot-write"):
        assert outcomes(found)[rule] == ("not_evaluated", "the log does not record fences")
    assert found["verdict"] == Verdict.SOUND
    assert found["exit_code"] == 0
    assert found["fence_coverage"] == []


def test_the_word_fence_inside_a_payload_does_not_make_a_log_record_fences(tmp_path: Path) -> None:
    log = Log()
    log.add("step_created", entity("step", 0), data={"stepName": "s", "input": {"fence": None, "eventCount": 3}})
    log.life("step", 0, "completed").add("run_completed")
    found = report(write(tmp_path / "log.ndjson", log.events))
    assert outcomes(found)["dropped-fence"][0] == "not_evaluated"


@st.composite
def written_on_an_old_snapshot(draw: st.DrawFn) -> tuple[list[dict[str, Any]], set[int]]:
    """Batches of creations, one of them on a snapshot that lags, signals in between; and what of it is stale."""
    batches = draw(st.lists(st.integers(min_value=1, max_value=4), min_size=1, max_size=6))
    lag = draw(st.integers(min_value=0, max_value=3))
    culprit = draw(st.integers(min_value=0, max_value=len(batches) - 1))
    log = Log()
    log.add("hook_created", entity("hook", 0), data={"token": "t"}, fence=tail(2), requestId="hook")
    ordinal, stale = 0, set()
    for number, size in enumerate(batches):
        log.add("hook_received", entity("hook", 0), fence=None)
        known = len(log.events) - (lag if number == culprit else 0)
        for _ in range(size):
            ordinal += 1
            step = entity("step", ordinal)
            log.add("step_created", step, data={"stepName": "s"}, fence=tail(known), requestId=f"tick-{number}")
            if number == culprit and lag:
                stale.add(len(log.events))
    return log.events, stale


def exactly_the_stale(path: Path, logs: list[tuple[list[dict[str, Any]], set[int]]]) -> None:
    runs = [[event | {"runId": run_id(run)} for event in events] for run, (events, _) in enumerate(logs)]
    found = report(write(path, FENCED, *runs))
    accused = {
        (finding["run_id"], witness["position"])
        for finding in of(found, "stale-snapshot-write")
        for witness in finding["witness"]
        if witness["role"] == "stale write"
    }
    assert accused == {(run_id(run), position) for run, (_, stale) in enumerate(logs) for position in stale}


LOGS = st.lists(written_on_an_old_snapshot(), min_size=1, max_size=10)
"""What is audited at once: an audit of ten runs takes as long as that of one."""
HEALTH = [HealthCheck.function_scoped_fixture]


@settings(max_examples=6, deadline=None, suppress_health_check=HEALTH)
@given(logs=LOGS)
def test_exactly_the_writes_with_an_old_snapshot_are_stale(tmp_path, logs) -> None:
    exactly_the_stale(tmp_path / "log.ndjson", logs)


@pytest.mark.proof
@settings(max_examples=500, deadline=None, suppress_health_check=HEALTH)
@given(logs=LOGS)
def test_exactly_the_writes_with_an_old_snapshot_are_stale_at_length(tmp_path, logs) -> None:
    exactly_the_stale(tmp_path / "log.ndjson", logs)
