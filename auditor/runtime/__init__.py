"""Workflows on a fenced-append world: plain `async def`, rebuilt by replay, never decided on a stale log.

@step
def charge(item): ...

@workflow
async def order(ctx, item):
    approved = ctx.hook(f"approve {item}")
    winner = await ctx.race(approved, ctx.sleep(3600))
    return await ctx.step(charge, item) if winner.place == 0 else "nobody approved"

async with await open_world("sqlite:///orders.db") as world:
    print(await run(world, order, "tea"))
"""

from auditor.errors import (
    FatalError,
    HookConflict,
    Nondeterminism,
    RetryableError,
    StepFailed,
    WorkflowCancelled,
    WorkflowFailed,
)
from auditor.runtime.client import cancel, result, resume_hook, run, start
from auditor.runtime.context import Context, Hook, Winner
from auditor.runtime.metrics import Metrics
from auditor.runtime.policy import FencePolicy
from auditor.runtime.promises import Promise
from auditor.runtime.registry import step, workflow
from auditor.runtime.steps import Attempt, current_attempt
from auditor.runtime.worker import Worker

__all__ = [
    "Attempt",
    "Context",
    "FatalError",
    "FencePolicy",
    "Hook",
    "HookConflict",
    "Metrics",
    "Nondeterminism",
    "Promise",
    "RetryableError",
    "StepFailed",
    "Winner",
    "Worker",
    "WorkflowCancelled",
    "WorkflowFailed",
    "cancel",
    "current_attempt",
    "result",
    "resume_hook",
    "run",
    "start",
    "step",
    "workflow",
]
