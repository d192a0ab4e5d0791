"""Whatever a writer sends: it is in the log as it was sent, or it is an InvalidEvent. Never anything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from acts import (
    UNFENCED,
    WRITER,
    OneRun,
    T,
    attribute,
    begun,
    created,
    data_of,
    delivery,
    dumped,
    hook,
    nowhere,
    step,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proofs import must_be_sound
from stores import in_memory

from auditor.errors import AuditorError, InvalidEvent
from auditor.model.events import FenceKind
from auditor.world import Fence, NewEvent, Wake, Writer
from auditor.world.base import BaseWorld


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


NO_DATA = {
    "NaN": {"x": float("nan")},
    "infinity": {"x": [float("-inf")]},
    "half a pair": {"x": "\ud800"},
    "half a pair in a key": {"\udfff": 1},
    "bytes": {"x": b"abc"},
    "a set": {"x": {1}},
    "an object": {"x": object()},
    "itself": endless(),
    "too deep": {"x": nested(100_000)},
    "a number too long to write": {"x": 10**5_000},
    "a list": [1],
    "a text": "{}",
    "a number": 5,
    "true": True,
    "a list of pairs": [("a", 1)],
    "a mapping that JSON does not know": MappingProxyType({"a": 1}),
    "a key that is no text": {"x": {(1, 2): 3}},
    "an object that cannot be shown": {"x": Unprintable()},
}


@pytest.mark.parametrize("data", NO_DATA.values(), ids=NO_DATA.keys())
async def test_data_that_is_no_json_object_is_invalid_in_every_event(world: BaseWorld, data: Any) -> None:
    run = await begun(world, step(T.STEP_CREATED), hook(T.HOOK_CREATED))
    for event_type in T:
        name = event_type.partition("_")[0]
        entity = f"{name}_1" if name in ("step", "wait", "hook") else None
        await run.refused(InvalidEvent, NewEvent(event_type, entity, data))
    if isinstance(data, dict):
        merged = {**data, "workflowName": "order", "stepName": "charge", "token": "t", "resumeAt": 5}
        await nowhere(world).refused(InvalidEvent, NewEvent(T.RUN_CREATED, data=merged))
        for event_type, entity in ((T.STEP_CREATED, "s"), (T.WAIT_CREATED, "w"), (T.HOOK_CREATED, "h")):
            await run.refused(InvalidEvent, NewEvent(event_type, entity, merged))
    assert len(await run.log()) == 4


TEXTS = [
    "",
    "\0",
    "a\0b",
    "a\nb",
    "\x7f",
    "\x1b[31m",
    "\ud800",
    "x" * 256,
    "\u200e",
    "\u2028",
    5,
    b"bytes",
    ["a"],
    True,
]
OBJECTS = [Unprintable(), 10**5_000]


@pytest.mark.parametrize(
    "text", [*TEXTS, *OBJECTS], ids=lambda text: ascii(text)[:20] if text in TEXTS else "object"
)
async def test_an_id_is_a_text_of_1_to_255_printable_characters(world: BaseWorld, text: Any) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    await OneRun(world, text).refused(InvalidEvent, created())
    await run.refused(InvalidEvent, NewEvent(T.STEP_CREATED, text, {"stepName": "charge"}))
    await run.refused(InvalidEvent, NewEvent(T.HOOK_RECEIVED, "hook_1", resume_id=text))
    await run.refused(InvalidEvent, attribute(), idempotency_key=text)
    await run.refused(InvalidEvent, attribute(), wake=[Wake(key=text)])
    await run.refused(InvalidEvent, attribute(), fence=Fence(FenceKind.TAIL, text))
    for field in ("writer_id", "tick_id", "site"):
        await run.refused(InvalidEvent, attribute(), writer=replace(WRITER, **{field: text}))
    if text:
        await run.refused(InvalidEvent, attribute(), request_id=text)
    assert len(await run.log()) == 3


@pytest.mark.parametrize(
    "number",
    [-1, 2**63, 2**70, 10**5_000, 1.5, float("nan"), "5", True, [1]],
    ids=lambda n: str(n)[:9] if n != 10**5_000 else "long",
)
async def test_a_number_is_whole_and_of_a_size_that_every_store_has(world: BaseWorld, number: Any) -> None:
    run = await begun(world)
    await run.refused(InvalidEvent, NewEvent(T.ATTR_SET, occurred_at=number))
    await run.refused(InvalidEvent, NewEvent(T.ATTR_SET, spec_version=number))
    await run.refused(InvalidEvent, attribute(), wake=[Wake(number)])
    await run.refused(InvalidEvent, attribute(), since=number)
    await run.refused(InvalidEvent, attribute(), writer=Writer("writer-1", attempt=number))
    await run.refused(InvalidEvent, NewEvent(T.WAIT_CREATED, "wait_1", {"resumeAt": number}))


@pytest.mark.parametrize(
    "kind", ["", "run_exploded", "RUN_CREATED", "noop", "hook_conflict", "\ud800", None, 5, ["x"], {}], ids=ascii
)
async def test_a_type_that_is_none_or_the_worlds_own_is_invalid(world: BaseWorld, kind: Any) -> None:
    run = await begun(world, hook(T.HOOK_CREATED))
    await run.refused(InvalidEvent, NewEvent(kind))
    await run.refused(InvalidEvent, NewEvent(kind, "hook_1"))


async def test_a_type_may_be_given_by_its_name(world: BaseWorld) -> None:
    run = await begun(world)
    (event,) = (await run.append(NewEvent("attr_set"))).events  # type: ignore[arg-type]
    assert event.event_type == "attr_set"


@pytest.mark.parametrize(
    "event",
    [
        NewEvent(T.RUN_CREATED, data={"workflowName": ""}),
        NewEvent(T.RUN_CREATED, data={"workflowName": 5}),
        NewEvent(T.RUN_CREATED, data={"workflowName": "a\0b"}),
        NewEvent(T.RUN_CREATED, data={"workflowName": "w", "deploymentId": "\0"}),
        NewEvent(T.RUN_CREATED, data={"workflowName": "w", "executionContext": {"workflowCoreVersion": "\0"}}),
        NewEvent(T.RUN_CREATED),
        NewEvent(T.RUN_CREATED, "run_1", {"workflowName": "w"}),
        NewEvent(T.RUN_FAILED, data={"errorCode": "\0"}),
        NewEvent(T.RUN_COMPLETED, "run_1"),
        NewEvent(T.STEP_CREATED, "step_1"),
        NewEvent(T.STEP_CREATED, "step_1", {"stepName": ""}),
        NewEvent(T.STEP_CREATED, "step_1", {"stepName": "\0"}),
        NewEvent(T.STEP_STARTED),
        NewEvent(T.HOOK_RECEIVED),
    ],
    ids=str,
)
async def test_an_event_needs_what_the_world_reads_in_it(world: BaseWorld, event: NewEvent) -> None:
    await nowhere(world).refused(InvalidEvent, event)
    await (await begun(world)).refused(InvalidEvent, event)


@pytest.mark.parametrize(
    "fence", [Fence(FenceKind.UNFENCED, None, "\ud800"), Fence(FenceKind.UNFENCED, None, 5)], ids=ascii
)  # type: ignore[arg-type]
async def test_a_reason_is_a_text(world: BaseWorld, fence: Fence) -> None:
    await (await begun(world)).refused(InvalidEvent, attribute(), fence=fence)


async def test_nothing_of_what_is_invalid_is_kept(world: BaseWorld) -> None:
    run = await begun(world)
    before = [await dumped(world, table) for table in ("run", "event", "entity", "message")]
    await run.refused(InvalidEvent, attribute(), NewEvent(T.ATTR_SET, data={"x": float("nan")}))
    await nowhere(world).refused(InvalidEvent, created(), attribute(x=b""))
    assert [await dumped(world, table) for table in ("run", "event", "entity", "message")] == before
    assert await dumped(world, "refusal") == []


VALID = {
    "every control character": {"".join(map(chr, range(32))): "\x7f\x80\u2028\u2029\ufeff\uffff"},
    "emoji": {"🧾": "👩‍👩‍👧‍👦"},
    "numbers": {"x": [0, -0.0, 1e308, 5e-324, 0.1, 10**400, -(10**30), 1.0]},
    "literals": {"x": [None, True, False, [], {}, ""]},
    "numbers in texts": {"1": "1", "1.0": "", "null": "null"},
    "order of keys": {"b": 1, "a": 2, "": 3},
    "quotes": {'"': "\\", "'": "''; DROP TABLE event; --", "%s": "%(x)s", "{}": "{0}"},
    "deep": {"x": nested(300)},
    "SQL NULs": {"x": "\\u0000 \\0 \0"},
    "long": {"x": "ab" * 100_000},
    "nothing": {},
}


@pytest.mark.parametrize("data", VALID.values(), ids=VALID.keys())
async def test_data_is_kept_byte_for_byte(world: BaseWorld, data: Mapping[str, Any]) -> None:
    run = await begun(world)
    (event,) = (await run.append(NewEvent(T.ATTR_SET, data=data))).events
    assert event.data == json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    assert data_of(event) == data
    assert (await run.log())[-1] == event
    must_be_sound(await run.log())


NAMES = ["ü", "名前", "a b", "it's", 'a"b', "%s", "\\", "x" * 255, "👩‍👩‍👧"[0], "../../etc", "null", "0"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:16])
async def test_a_name_of_printable_characters_is_kept_as_it_is(world: BaseWorld, name: str) -> None:
    run = OneRun(world, name)
    writer = Writer(name, tick_id=name, site=name)
    await run.append(created(name, deploymentId=name), writer=writer, idempotency_key=name, request_id=name)
    await run.append(step(T.STEP_CREATED, name, stepName=name), wake=[Wake(key=name)])
    await run.append(hook(T.HOOK_CREATED, name, token=name))
    await run.append(delivery(name, resume_id=name))
    assert (await run.append(created(name, deploymentId=name), idempotency_key=name)).repeated
    assert (await run.append(delivery(name, resume_id=name))).repeated
    log = await run.log()
    assert (log[0].writer_id, log[0].tick_id, log[0].site, log[0].request_id) == (name,) * 4
    assert {event.correlation_id for event in log} == {None, name}
    assert [row.correlation_id for row in await world.entities(name)] == [name, name]
    holder = await world.hook_by_token(name)
    assert holder is not None
    assert holder.run_id == name
    assert name in await run.waiting()
    must_be_sound(log)


ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=10,
)


@given(
    event=st.builds(
        NewEvent,
        event_type=st.sampled_from(T) | ANYTHING,
        correlation_id=st.none() | st.sampled_from(["step_1", "hook_1"]) | ANYTHING,
        data=st.none()
        | st.dictionaries(st.text() | st.sampled_from(["resumeAt", "token", "stepName"]), ANYTHING)
        | ANYTHING,
        resume_id=st.none() | ANYTHING,
        occurred_at=st.none() | ANYTHING,
        spec_version=st.none() | ANYTHING,
    )
)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
async def test_an_event_made_of_anything_is_taken_or_refused_and_breaks_nothing(event: NewEvent) -> None:
    async with in_memory().opened() as harness:
        run = await begun(harness.world, step(T.STEP_CREATED), hook(T.HOOK_CREATED))
        try:
            await run.append(event, fence=UNFENCED)
        except AuditorError:
            assert len(await run.log()) == 4
        must_be_sound(await run.log())
