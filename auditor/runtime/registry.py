"""Which functions are workflows and which are steps, by the names that stand in logs.

A worker runs only what was declared here: a name in a log never makes it import anything.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

from auditor.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

MAX_ATTEMPTS = 4
"""Attempts of a step before it has failed for good: the first and three retries, as in the SDK."""

RETRY_AFTER = 1.0
"""Seconds between two attempts of a step, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step: a function that may do anything, once or more, and whose result is kept in the log."""

    name: str
    function: Callable[..., Any]
    max_attempts: int = MAX_ATTEMPTS
    retry_after: float = RETRY_AFTER


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow: an `async def` whose first parameter is its context."""

    name: str
    function: Callable[..., Any]


_steps: dict[str, Step] = {}
_workflows: dict[str, Workflow] = {}
_MARK = "__auditor__"


@overload
def step(function: F) -> F: ...


@overload
def step(
    *, name: str | None = None, max_attempts: int = MAX_ATTEMPTS, retry_after: float = RETRY_AFTER
) -> Callable[[F], F]: ...


def step(
    function: Any = None,
    *,
    name: str | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    retry_after: float = RETRY_AFTER,
) -> Any:
    """Declare a function, `def` or `async def`, to be a step.

    `name` is what stands in logs; by default made of module and function, so moving the function renames the step.
    It is tried `max_attempts` times in all, with `retry_after` seconds between.
    """

    def declare(function: F) -> F:
        if max_attempts < 1:
            raise UsageError(f"a step is tried at least once, not {max_attempts} times")
        made = Step(name or name_of("step", function), function, max_attempts, retry_after)
        _steps[made.name] = made
        setattr(function, _MARK, made)
        return function

    return declare if function is None else declare(function)


@overload
def workflow(function: F) -> F: ...


@overload
def workflow(*, name: str | None = None) -> Callable[[F], F]: ...


def workflow(function: Any = None, *, name: str | None = None) -> Any:
    """Declare an `async def` to be a workflow. `name` is what stands in logs, by default module and function."""

    def declare(function: F) -> F:
        made = Workflow(name or name_of("workflow", function), function)
        _workflows[made.name] = made
        setattr(function, _MARK, made)
        return function

    return declare if function is None else declare(function)


def name_of(kind: str, function: Callable[..., Any]) -> str:
    """The name of a function in a log, in the form of the SDK: `step//./shop/orders//charge`."""
    module = str(function.__module__).replace(".", "/")
    return f"{kind}//./{module}//{function.__qualname__}"


def step_of(function: Callable[..., Any]) -> Step:
    """The step that a function was declared to be. Raises UsageError."""
    return _declared(function, Step, "step")


def workflow_of(function: Callable[..., Any]) -> Workflow:
    """The workflow that a function was declared to be. Raises UsageError."""
    return _declared(function, Workflow, "workflow")


def step_named(name: str) -> Step | None:
    """The step of a name, or None if this process knows none."""
    return _steps.get(name)


def workflow_named(name: str) -> Workflow | None:
    """The workflow of a name, or None if this process knows none."""
    return _workflows.get(name)


def workflow_at(place: str) -> Workflow:
    """The workflow at `module:function`, importing the module as Python run in this folder does.

    Raises UsageError if there is none.
    """
    module_name, _, function_name = place.partition(":")
    if not module_name or not function_name:
        raise UsageError(f"name a workflow as module:function, not {place!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        # Whatever a module does while it is imported, it is not ours to explain with a traceback.
        said = f"{type(error).__name__}: {error}"
        raise UsageError(f"cannot import {module_name} (from {here}): {said}") from error
    for part in function_name.split("."):
        found = getattr(found, part, None)
    if found is None:
        known = ", ".join(sorted(made.function.__qualname__ for made in _workflows.values()))
        raise UsageError(f"{module_name} has no {function_name}; workflows declared so far: {known or 'none'}")
    return workflow_of(found)


_S = TypeVar("_S", Step, Workflow)


def _declared(function: Callable[..., Any], kind: type[_S], word: str) -> _S:
    made = getattr(function, _MARK, None)
    if not isinstance(made, kind):
        called = getattr(function, "__qualname__", repr(function))
        raise UsageError(f"{called} is no {word}; write @{word} above it")
    return made
