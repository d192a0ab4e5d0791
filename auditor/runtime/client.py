"""What the outside does with runs: start one, deliver to it, cancel it, wait for its result."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from auditor.__about__ import __version__
from auditor.errors import NotFound, WorkflowCancelled, WorkflowFailed
from auditor.model.events import EventType
from auditor.runtime.registry import workflow_of
from auditor.runtime.values import data_of, error_of, must_be_json
from auditor.runtime.worker import Worker
from auditor.world import Appended, NewEvent, World, Writer, fences, new_run_id, tail, unfenced
from auditor.world.draft import ENDS
from auditor.world.protocol import this_process

T = EventType
POLL_SECONDS = 0.05
"""How often the state of a run is asked for while somebody waits for its result."""

_FROM_OUTSIDE = unfenced("a signal from outside")


async def start(
    world: World, workflow: Callable[..., Any], *args: Any, run_id: str | None = None, **kwargs: Any
) -> str:
    """Create a run of a workflow, to be worked on by whoever works on this world; its id.

    Started twice with one `run_id` it is one run. Raises UsageError for arguments that are no JSON, InvalidEvent
    if the id has a run with other arguments.
    """
    made = workflow_of(workflow)
    taken = {"args": list(args), "kwargs": kwargs}
    must_be_json(taken, f"an argument of {made.name}")
    run = run_id or new_run_id()
    created = NewEvent(
        T.RUN_CREATED,
        data={"workflowName": made.name, "input": taken, "executionContext": {"auditorVersion": __version__}},
    )
    await world.append(run, [created], tail(None), writer=_writer("start"), idempotency_key="start")
    return run


async def resume_hook(
    world: World, token: str, payload: Any = None, *, resume_id: str | None = None, as_of: int | None = None
) -> Appended:
    """Deliver a payload to the open hook that holds a token; the event that it became, or was before.

    `resume_id` names this delivery: repeated, it gives the first event again. `as_of`, the `as_of` of a
    snapshot, makes it conditional: only if nothing happened to the run since. Otherwise a delivery is never
    refused because something happened.

    Raises NotFound (no such hook is open), RunTerminal, and with `as_of` FenceConflict.
    """
    must_be_json(payload, "a payload")
    hook = await world.hook_by_token(token)
    if hook is None:
        # The token is a credential: what is wrong with it is not for a log to say.
        raise NotFound("no open hook holds this token", reason="no_such_hook")
    event = NewEvent(
        T.HOOK_RECEIVED,
        hook.correlation_id,
        {"token": token, "payload": payload},
        resume_id=resume_id or f"resume_{secrets.token_hex(10)}",
    )
    fence = _FROM_OUTSIDE if as_of is None else fences.as_of(as_of)
    return await world.append(hook.run_id, [event], fence, writer=_writer("resume"))


async def cancel(world: World, run_id: str, reason: str | None = None) -> Appended:
    """Cancel a run; steps that are under way are not stopped. Raises NotFound, and RunTerminal if it has ended."""
    data = None if reason is None else {"cancelReason": reason}
    event = NewEvent(T.RUN_CANCELLED, data=data)
    return await world.append(run_id, [event], _FROM_OUTSIDE, writer=_writer("cancel"))


async def result(world: World, run_id: str, timeout: float | None = None) -> Any:
    """What a run's workflow returned, once it has.

    Raises WorkflowFailed, WorkflowCancelled, NotFound, and TimeoutError after so many seconds.
    """
    async with asyncio.timeout(timeout):
        while (run := await world.run(run_id)) is None or run.completed_at is None:
            if run is None:
                raise NotFound(f"there is no run {run_id}", reason="no_such_run")
            await asyncio.sleep(POLL_SECONDS)
    # A run may log more after its end: outcomes of steps that were under way.
    ends = (await world.events(run_id)).events
    end = next(event for event in reversed(ends) if event.event_type in ENDS)
    data = data_of(end)
    if end.event_type == T.RUN_CANCELLED:
        raise WorkflowCancelled(f"run {run_id} was cancelled")
    if end.event_type == T.RUN_FAILED:
        name, message = error_of(data)
        raise WorkflowFailed(f"run {run_id} failed: {name}: {message}", code=run.error_code)
    return data.get("output")


async def run(world: World, workflow: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Start a run, work on it in this process, and return its result. Raises what `start` and `result` do."""
    async with Worker(world):
        return await result(world, await start(world, workflow, *args, **kwargs))


def _writer(site: str) -> Writer:
    return Writer(this_process(), site=site)
