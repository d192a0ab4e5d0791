"""Recorded histories on the code that wrote them, and on what it has become.

`python tests/runtime_histories/recorder.py` records them anew, with other ids: read the difference.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import flows_now as now
import flows_then as then
import pytest

from auditor.cold import Replayed, ReplayOutcome, replay_histories, replay_history, replay_logs
from auditor.errors import UsageError
from auditor.model.judgement import ExitCode
from auditor.model.rows import Event
from auditor.runtime import run
from auditor.world import create_world, open_world
from auditor.world.draft import milliseconds_of
from auditor.world.export import export

HERE = Path(__file__).parent
DIVERGED, OTHER = ReplayOutcome.DIVERGED, ReplayOutcome.OTHER_TERMINAL
REPRODUCED, NOT_REPLAYED = ReplayOutcome.REPRODUCED, ReplayOutcome.NOT_REPLAYED

WROTE = {
    "sequential": then.sequential,
    "race-won-by-the-hook": then.race,
    "race-won-by-the-sleep": then.race,
    "retries": then.retries,
    "cancelled": then.waiting,
    "in-flight": then.waiting,
    "hook-conflict": then.taken,
    "failed-by-its-own-error": then.failing,
    "null-everywhere": then.nothing,
}
"""The code that wrote each history."""


def history(name: str) -> list[Event]:
    """The events of a recorded history, as the world gave them."""
    lines = [json.loads(line) for line in (HERE / f"{name}.ndjson").read_text("utf-8").splitlines()]
    return [_event(line) for line in lines if line["record"] == "event"]


def _event(line: dict[str, Any]) -> Event:
    fields = dict.fromkeys(Event._fields) | {
        "run_id": line["runId"],
        "position": line["position"],
        "event_id": line["eventId"],
        "event_type": line["eventType"],
        "correlation_id": line.get("correlationId"),
        "created_at": milliseconds_of(line["createdAt"], "createdAt"),
        "data": json.dumps(line["eventData"]) if "eventData" in line else None,
        "data_sha256": line.get("dataSha256"),
    }
    return Event(**fields)


def without(event: Event, key: str) -> Event:
    """An event whose data has lost a payload."""
    data = json.loads(str(event.data))
    del data[key]
    return event._replace(data=json.dumps(data))


def said(replayed: Replayed) -> tuple[Any, ...]:
    """What a replay says, with names in place of ids."""
    texts = [replayed.expected or "", replayed.actual or ""]
    words = [" ".join(word for word in text.split() if "_01" not in word) for text in texts]
    return (replayed.outcome, replayed.position, *words)


@pytest.mark.parametrize("name", WROTE)
def test_the_code_that_wrote_a_history_reproduces_it(name: str) -> None:
    replayed = replay_history(WROTE[name], history(name))
    assert (replayed.outcome, replayed.reason) == (REPRODUCED, None), replayed


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        (
            "sequential",
            now.step_renamed,
            (DIVERGED, 8, "has step (step//./shop//bill)", "step_created of (step//./shop//charge)"),
        ),
        (
            "sequential",
            now.step_added_before,
            (DIVERGED, 3, "has step (step//./shop//note)", "step_created of (step//./shop//reserve)"),
        ),
        ("sequential", now.sleep_removed, (DIVERGED, 6, "has step (step//./shop//charge)", "wait_created of")),
        (
            "sequential",
            now.step_added_behind,
            (
                OTHER,
                11,
                "waits, while step (step//./shop//note) is open",
                "run_completed with an object of 3 keys",
            ),
        ),
        (
            "sequential",
            now.other_output,
            (OTHER, 11, "returns an object of 3 keys that is not equal", "run_completed with an object of 3 keys"),
        ),
        (
            "sequential",
            now.raises_instead,
            (OTHER, 11, "raises KeyError", "run_completed with an object of 3 keys"),
        ),
        (
            "sequential",
            now.other_parameters,
            (DIVERGED, 3, "creates no such entity", "step_created of (step//./shop//reserve)"),
        ),
        (
            "race-won-by-the-hook",
            now.branches_swapped,
            (DIVERGED, 6, "has step (step//./shop//expire)", "step_created of (step//./shop//charge)"),
        ),
        (
            "race-won-by-the-sleep",
            now.branches_swapped,
            (DIVERGED, 6, "has step (step//./shop//charge)", "step_created of (step//./shop//expire)"),
        ),
        (
            "failed-by-its-own-error",
            now.other_error,
            (OTHER, 6, "raises LookupError", "run_failed with ValueError"),
        ),
        (
            "failed-by-its-own-error",
            now.other_message,
            (OTHER, 6, "raises ValueError with another message", "run_failed with ValueError"),
        ),
        (
            "given-up-as-corrupt",
            then.redeployed,
            (
                OTHER,
                5,
                "follows it up to here, and waits, while step (step//./shop//charge) is open",
                "run_failed with CORRUPTED_EVENT_LOG",
            ),
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (value if isinstance(value, str) else ""),
)
def test_changed_code_is_told_where_it_leaves_the_history(name: str, code: Any, says: tuple[Any, ...]) -> None:
    replayed = replay_history(code, history(name))
    assert said(replayed) == says
    assert f"#{replayed.position}" in replayed.message
    assert [line.text.split()[0] for line in replayed.log if line.marked] == [f"#{replayed.position}"]
    assert len([line for line in replayed.code if line.marked]) == 1


def test_the_log_is_shown_behind_the_divergence_too() -> None:
    replayed = replay_history(now.step_added_before, history("sequential"))
    assert [line.text.split()[0] for line in replayed.log] == [f"#{place}" for place in range(1, 9)]
    assert [line.text.split()[0] for line in replayed.code] == ["0:", "then"]
    assert (replayed.expected_name, replayed.actual_name) == ("step//./shop//note", "step//./shop//reserve")


def test_a_run_that_was_given_up_as_corrupt_is_expected_to_diverge() -> None:
    replayed = replay_history(now.as_it_was_redeployed, history("given-up-as-corrupt"))
    assert (replayed.outcome, replayed.reason) == (REPRODUCED, "it diverges at #3, as its runtime found")


def test_a_cancellation_can_come_at_any_end() -> None:
    for code in (now.returns_at_once, now.raises_at_once):
        assert replay_history(code, history("cancelled")).outcome is REPRODUCED


def test_a_run_under_way_may_wait_or_return_but_not_raise() -> None:
    log = history("in-flight")
    assert replay_history(now.returns_at_once, log).outcome is REPRODUCED
    replayed = replay_history(now.raises_at_once, log)
    assert replayed.outcome is NOT_REPLAYED
    assert replayed.reason == (
        "it is under way, and the code raises ValueError; its log does not say whether it has to"
    )


def test_every_prefix_of_a_history_is_a_run_under_way_that_its_code_follows() -> None:
    for name, code in WROTE.items():
        log = history(name)
        for length in range(1, len(log)):
            replayed = replay_history(code, log[:length])
            # The code that fails does so on the last event before the end: then it cannot be told.
            assert replayed.outcome is REPRODUCED or (name.startswith("failed") and length == len(log) - 1), name


def test_an_entity_that_the_log_lacks_is_found_behind_it() -> None:
    log = [event for event in history("race-won-by-the-hook") if event.event_type != "wait_created"]
    replayed = replay_history(then.race, log)
    assert said(replayed) == (
        DIVERGED,
        6,
        "creates wait before it",
        "step_created of without it (step//./shop//charge)",
    )


@pytest.mark.parametrize(
    ("name", "event_type", "key"),
    [
        ("sequential", "step_completed", "result"),
        ("sequential", "run_completed", "output"),
        ("race-won-by-the-hook", "hook_received", "payload"),
        ("failed-by-its-own-error", "run_failed", "error"),
    ],
)
def test_a_lost_payload_is_not_taken_for_null(name: str, event_type: str, key: str) -> None:
    log = [without(event, key) if event.event_type == event_type else event for event in history(name)]
    replayed = replay_history(WROTE[name], log)
    place = next(event.position for event in log if event.event_type == event_type)
    assert (replayed.outcome, replayed.reason) == (NOT_REPLAYED, f"#{place} {event_type} may have lost its {key}")


def test_null_is_not_taken_for_a_lost_payload() -> None:
    keys = {"step_completed": "result", "hook_received": "payload", "run_completed": "output"}
    log = [
        without(event, keys[event.event_type]) if event.event_type in keys else event
        for event in history("null-everywhere")
    ]
    assert replay_history(then.nothing, log).outcome is REPRODUCED


def test_what_another_runtime_wrote_is_not_replayed() -> None:
    first, *others = history("sequential")
    foreign = first._replace(data=json.dumps({"input": {"__type": "Uint8Array", "data": "ZGV2bA=="}}))
    reasons = {
        replay_history(then.sequential, log).reason
        for log in (
            [foreign, *others],
            [first._replace(data="{}"), *others],
            others,
            [first, others[0]._replace(event_type="run_paused"), *others[1:]],
        )
    }
    assert reasons == {
        "another runtime wrote it: its input is not the arguments of a Python workflow, as JSON",
        "its payloads are not in the log: they were left out of the export, or have expired",
        "its run_created is missing, and with it the input of the workflow",
        "#2 is a run_paused, which this version does not know",
    }


def test_a_run_that_its_runtime_failed_follows_from_no_code() -> None:
    *others, last = history("given-up-as-corrupt")
    log = [*others, last._replace(data=json.dumps({"errorCode": "RUNTIME_ERROR", "error": "it is over"}))]
    assert replay_history(then.redeployed, log).outcome is NOT_REPLAYED


def test_a_stream_of_histories_is_replayed_run_by_run() -> None:
    names = ["sequential", "retries", "in-flight"]
    events = [event for name in names for event in history(name)]
    outcomes = list(replay_histories([then.sequential, now.raises_at_once], events))
    assert [one.outcome for one in outcomes] == [REPRODUCED, NOT_REPLAYED, NOT_REPLAYED]
    assert outcomes[1].reason == "there is no code for its workflow, workflow//./flows//retries"


def test_only_the_events_of_one_run_are_a_history() -> None:
    with pytest.raises(UsageError, match="events of one run"):
        replay_history(then.sequential, [])
    with pytest.raises(UsageError, match="events of one run"):
        replay_history(then.sequential, [*history("sequential"), *history("retries")])
    with pytest.raises(UsageError, match="is no workflow"):
        replay_history(then.charge, history("sequential"))


def test_logs_on_the_code_that_wrote_them() -> None:
    logs = [HERE / f"{name}.ndjson" for name in WROTE]
    with replay_logs(*logs, workflows=list(dict.fromkeys(WROTE.values()))) as result:
        outcomes = result.con.execute("SELECT DISTINCT outcome, reason FROM replayed").fetchall()
        assert outcomes == [("reproduced", None)]
        assert result.exit_code is ExitCode.CLEAN
        assert result.findings == []


def test_a_log_says_the_same_as_the_events_of_the_world() -> None:
    """Through the audit a log loses the difference between null and nothing, and some of its data."""
    for code in (now.step_renamed, now.other_output, now.sleep_removed, now.step_added_behind):
        with replay_logs(HERE / "sequential.ndjson", workflows=[code]) as result:
            row = result.con.execute(
                'SELECT outcome, "position", expected, actual, expected_name, actual_name FROM replayed'
            ).fetchall()[0]
        direct = replay_history(code, history("sequential"))
        names = ("outcome", "position", "expected", "actual", "expected_name", "actual_name")
        assert row == tuple(getattr(direct, name) for name in names)


def test_a_divergence_leaves_the_verdict_on_the_log_alone() -> None:
    with replay_logs(HERE / "sequential.ndjson", workflows=[now.step_renamed]) as result:
        assert result.exit_code is ExitCode.FOUND
        assert [finding["rule"] for finding in result.findings] == ["replay-divergence"]
        assert [run["log_verdict"] for run in result.runs] == ["sound"]


def test_a_version_in_a_name_explains_the_divergence() -> None:
    samples = HERE.parents[1] / "rules" / "replay" / "code-version-skew.samples"

    @then.workflow(name="workflow//./samples/code-version-skew//fires-error-the-code-has-a-newer-version")
    async def newer(ctx: Any, item: str) -> str:
        return str(await ctx.step(charge_1_3, item))

    @then.step(name="step//shop@1.3.0//charge")
    def charge_1_3(item: str) -> str:
        return item

    with replay_logs(samples / "fires-error-the-code-has-a-newer-version.ndjson", workflows=[newer]) as result:
        skew, divergence = result.findings
        assert (skew["rule"], divergence["rule"]) == ("code-version-skew", "replay-divergence")
        assert divergence["folded_under"] == skew["fingerprint"]["instance"]


def test_code_that_ends_its_process_does_not_end_the_test() -> None:
    @then.workflow(name="workflow//./flows//retries")
    async def leaves(ctx: Any, item: str) -> None:
        await ctx.step(then.fetch, item)
        sys.exit(0)

    replayed = replay_history(leaves, history("retries"))
    assert (replayed.outcome, replayed.expected) == (DIVERGED, "ends its process (SystemExit)")


def test_a_name_has_one_code() -> None:
    with pytest.raises(UsageError, match="two workflows have the name"):
        replay_logs(HERE, workflows=[then.sequential, now.step_renamed])


def test_a_world_is_a_log_too(tmp_path: Path) -> None:
    async def lived() -> None:
        async with await open_world(f"sqlite:///{tmp_path / 'world.db'}") as world:
            await run(world, lives, [None, 1.0, 2**70, {"a": None}])
            await export(world, tmp_path / "tables", format="parquet")

    @then.workflow(name="workflow//./flows//lives")
    async def lives(ctx: Any, value: Any) -> Any:
        return [value, await ctx.step(hands_back, {"none": None, "text": "\u0000 \u20ac \U0001f375"})]

    @then.step(name="step//./flows//hands-back")
    def hands_back(value: Any) -> Any:
        return value

    asyncio.run(create_world(f"sqlite:///{tmp_path / 'world.db'}"))
    asyncio.run(lived())
    for log in ("world.db", "tables"):
        with replay_logs(tmp_path / log, workflows=[lives]) as result:
            assert result.exit_code is ExitCode.CLEAN, result.con.execute("FROM replayed").fetchall()


def test_another_end_is_told_before_what_stands_behind_it() -> None:
    *others, created, started, completed, end = history("sequential")
    outcome = completed._replace(position=12, correlation_id="step_01M82VVRH0DVMWW5P7QT26GV6Z")
    log = [*others, created, started, completed, end, outcome]
    assert said(replay_history(then.sequential, log))[:2] == (DIVERGED, 12)
    assert said(replay_history(now.raises_instead, log))[:3] == (OTHER, 11, "raises KeyError")
