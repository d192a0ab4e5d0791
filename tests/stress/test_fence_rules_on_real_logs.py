"""The rules about fences, on a log that runs have made: silent as it is, exact when one write of it is changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor import audit
from auditor.model.events import ROLE, EventType, FenceKind, WriteRole
from auditor.runtime import Context, Worker, cancel, result, resume_hook, start, step, workflow
from auditor.stress import Plan, Shape, run_cycle
from auditor.world import open_world
from auditor.world.export import export

RULES = ("stale-snapshot-write", "dropped-fence", "unknown-fence", "fence-regressed", "fenced-signal")
Record = dict[str, Any]

PLAN = Plan(count=30, shape=Shape(iterations=3, sleep_ms=100), fire_after_ms=100, fire_jitter_ms=300, fire_count=3)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The records of an export: thirty runs, each ticked by whoever came first, under signals."""
    path = tmp_path_factory.mktemp("real") / "log.ndjson"

    async def make() -> None:
        async with await open_world("memory://") as world:
            outcome = await run_cycle(world, "memory://", PLAN)
            assert outcome.states == {"completed": PLAN.count}
            await export(world, path)

    asyncio.run(make())
    return [json.loads(line) for line in path.read_text().splitlines()]


def found(records: list[Record], folder: Path) -> dict[str, list[tuple[str, int]]]:
    """What each of the rules accuses: run and position, of the first witness of a finding."""
    path = folder / "log.ndjson"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    with audit(path, select=RULES) as result:
        evaluated = {rule["id"]: rule["outcome"] for rule in result.report["rules"] if rule["id"] in RULES}
        assert set(evaluated.values()) <= {"held", "found"}
        accused: dict[str, list[tuple[str, int]]] = {rule: [] for rule in RULES}
        for finding in result.findings:
            if finding["run_id"] is not None:
                for witness in finding["witness"]:
                    accused[finding["rule"]].append((finding["run_id"], witness["position"]))
        return accused


def runs_of(records: list[Record]) -> dict[str, list[Record]]:
    runs: dict[str, list[Record]] = {}
    for record in records:
        if record.get("record", "event") == "event":
            runs.setdefault(record["runId"], []).append(record)
    return runs


def decisions(events: list[Record]) -> list[Record]:
    """The decision writes behind the first batch, each the first event of its own batch."""
    seen: set[str] = set()
    firsts = [e for e in events if not (e["requestId"] in seen or seen.add(e["requestId"]))]  # type: ignore[func-returns-value]
    return [e for e in firsts if ROLE[EventType(e["eventType"])] is WriteRole.DECISION][1:]


def test_the_log_of_runs_gives_no_finding_and_every_rule_is_evaluated(log: list[Record], tmp_path: Path) -> None:
    assert found(log, tmp_path) == {rule: [] for rule in RULES}


def stale(event: Record, events: list[Record]) -> None:
    """Name the event before the one that was really the last."""
    event["fence"] = {"kind": FenceKind.TAIL, "value": events[event["position"] - 3]["eventId"]}


def dropped(event: Record, _events: list[Record]) -> None:
    event["fence"] = None


def unknown(event: Record, _events: list[Record]) -> None:
    event["fence"] = {"kind": FenceKind.TAIL, "value": "evnt_01ARZ3NDEKTSV4RRFFQ69G5FAV"}


def changed_in_one_write_a_run(
    log: list[Record], change: Callable[[Record, list[Record]], None]
) -> tuple[list[Record], set[tuple[str, int]]]:
    """A copy of the log with one decision of every run changed, each at another place; and these places."""
    copy = json.loads(json.dumps(log))
    places = set()
    for number, (run_id, events) in enumerate(runs_of(copy).items()):
        choice = decisions(events)
        event = choice[number % len(choice)]
        siblings = [e for e in events if e["requestId"] == event["requestId"]]
        for one in siblings:
            change(event, events)
            one["fence"] = event["fence"]
        places.add((run_id, event["position"]))
    return copy, places


@pytest.mark.parametrize(
    ("change", "rule"), [(stale, "stale-snapshot-write"), (dropped, "dropped-fence"), (unknown, "unknown-fence")]
)
def test_one_write_of_a_run_that_is_changed_is_the_one_that_is_accused(
    log: list[Record], change: Callable[[Record, list[Record]], None], rule: str, tmp_path: Path
) -> None:
    copy, places = changed_in_one_write_a_run(log, change)
    accused = found(copy, tmp_path)
    assert places <= set(accused[rule])
    assert {run for run, _ in accused[rule]} == {run for run, _ in places}
    # A snapshot that is older than the one before it has also gone back; nothing else is wrong with the log.
    also = {"fence-regressed"} if rule == "stale-snapshot-write" else set()
    assert {name for name, where in accused.items() if where} <= {rule} | also


def test_a_writer_that_goes_back_to_an_older_snapshot_is_accused(log: list[Record], tmp_path: Path) -> None:
    """Within one tick: the second of its batches names the tail that the first one had named."""
    copy = json.loads(json.dumps(log))
    places = set()
    for run_id, events in runs_of(copy).items():
        ticks: dict[str, Record] = {}
        for event in decisions(events):
            before = ticks.setdefault(event["tickId"], event)
            if before["requestId"] != event["requestId"] and before["position"] > 3:
                earlier = events[before["position"] - 3]["eventId"]
                for one in events:
                    if one["requestId"] == event["requestId"]:
                        one["fence"] = {"kind": FenceKind.TAIL, "value": earlier}
                places.add((run_id, event["position"]))
                break
    assert len(places) > 5
    accused = found(copy, tmp_path)
    assert {run for run, _ in places} == {run for run, _ in accused["fence-regressed"]}
    assert places <= set(accused["fence-regressed"])


def test_a_signal_under_a_fence_is_told_apart_by_who_asked_for_it(log: list[Record], tmp_path: Path) -> None:
    copy = json.loads(json.dumps(log))
    places = set()
    for run_id, events in runs_of(copy).items():
        signal = next(e for e in events if e["eventType"] == "hook_received")
        signal["fence"] = {"kind": FenceKind.TAIL, "value": events[signal["position"] - 2]["eventId"]}
        places.add((run_id, signal["position"]))
    accused = found(copy, tmp_path)
    assert set(accused["fenced-signal"]) == places
    assert not any(where for rule, where in accused.items() if rule != "fenced-signal")


@step
def pay(amount: int) -> int:
    """Pays."""
    return amount


@workflow
async def approval(ctx: Context, token: str) -> int:
    """Waits for an amount, and pays it."""
    return await ctx.step(pay, await ctx.hook(token))


async def test_a_delivery_that_asked_to_be_conditional_and_a_cancellation_are_no_errors(tmp_path: Path) -> None:
    async with await open_world("memory://") as world:
        async with Worker(world):
            first = await start(world, approval, "one")
            second = await start(world, approval, "two")
            while not (await world.hook_by_token("one") and await world.hook_by_token("two")):
                await asyncio.sleep(0.01)
            read = await world.events(first)
            await resume_hook(world, "one", 5, as_of=read.as_of)
            assert await result(world, first, 10) == 5
            await cancel(world, second, "not needed")
        await export(world, tmp_path / "log.ndjson")
    with audit(tmp_path / "log.ndjson") as result_:
        told = [(finding["rule"], finding["severity"]) for finding in result_.findings]
        assert ("fenced-signal", "info") in told
        assert [rule for rule, severity in told if severity != "info"] == []
