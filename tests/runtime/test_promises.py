"""Promises and the tasks that wait for them: first in, first out, and without any event loop."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from auditor.errors import ForeignAwaitable
from auditor.runtime.promises import Loop, Promise


def test_a_promise_is_settled_once() -> None:
    promise: Promise[int] = Promise()
    promise.resolve(1)
    promise.resolve(2)
    promise.reject(ValueError("late"))
    assert promise.result() == 1
    other: Promise[int] = Promise()
    other.reject(ValueError("first"))
    other.resolve(3)
    with pytest.raises(ValueError, match="first"):
        other.result()


def test_followers_are_called_in_the_order_of_asking_and_at_once_if_it_is_settled() -> None:
    promise: Promise[None] = Promise()
    told: list[int] = []
    for number in range(3):
        promise.then(lambda number=number: told.append(number))  # type: ignore[misc]
    assert told == []
    promise.resolve(None)
    assert told == [0, 1, 2]
    promise.then(lambda: told.append(3))
    assert told == [0, 1, 2, 3]


def test_tasks_run_first_in_first_out() -> None:
    """Those that were begun in their order; those that are woken in the order of their waking."""
    loop, told = Loop(), []
    gates: list[Promise[str]] = [Promise() for _ in range(3)]

    async def waiter(number: int) -> None:
        told.append(f"{number} begins")
        told.append(f"{number} {await gates[number]}")

    for number in range(3):
        loop.spawn(waiter(number))
    assert told == [], "a task begins when the loop runs it"
    loop.run()
    assert told == ["0 begins", "1 begins", "2 begins"]
    for number in (2, 0, 1):
        gates[number].resolve("goes on")
    loop.run()
    assert told[3:] == ["2 goes on", "0 goes on", "1 goes on"]


def test_all_who_wait_for_one_promise_go_on_in_the_order_in_which_they_came() -> None:
    loop, told = Loop(), []
    gate: Promise[None] = Promise()

    async def waiter(number: int) -> None:
        await gate
        told.append(number)
        await gate
        told.append(number + 10)

    for number in range(3):
        loop.spawn(waiter(number))
    loop.run()
    gate.resolve(None)
    loop.run()
    # Nobody waits for what is settled: each goes on to its end.
    assert told == [0, 10, 1, 11, 2, 12]


def test_a_task_is_a_promise_of_what_it_returns_or_raises() -> None:
    loop = Loop()

    async def fails() -> None:
        raise KeyError("gone")

    async def asks(task: Promise[None]) -> str:
        try:
            await task
        except KeyError as error:
            return f"caught {error}"
        return "nothing"

    task = loop.spawn(asks(loop.spawn(fails())))
    loop.run()
    assert task.result() == "caught 'gone'"


def test_a_task_that_nobody_waits_for_may_fail() -> None:
    loop = Loop()

    async def fails() -> None:
        raise KeyError("gone")

    loop.spawn(fails())
    loop.run()


class Bare:
    """An awaitable that yields something of its own."""

    def __await__(self) -> Any:
        yield "something"


def _bare_future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


FOREIGN: dict[str, Callable[[], Any]] = {
    "asyncio.sleep": lambda: asyncio.sleep(1),
    "asyncio.sleep(0)": lambda: asyncio.sleep(0),
    "a future": _bare_future,
    "something bare": Bare,
}


@pytest.mark.parametrize("what", FOREIGN)
async def test_a_foreign_awaitable_is_an_error_where_it_is_awaited(what: str) -> None:
    """Inside of a running event loop, as a worker replays."""
    loop = Loop()

    async def waits() -> str:
        try:
            await FOREIGN[what]()
        except ForeignAwaitable as error:
            return str(error)
        return "it waited"

    task = loop.spawn(waits())
    loop.run()
    assert task.done
    assert "Put it into a step" in task.result()


async def test_a_foreign_awaitable_that_nobody_catches_fails_the_task() -> None:
    loop = Loop()
    task = loop.spawn(asyncio.sleep(1))
    loop.run()
    with pytest.raises(ForeignAwaitable, match="can only wait for its context"):
        task.result()


def test_closing_leaves_tasks_where_they_wait_and_warns_of_nothing() -> None:
    loop, told = Loop(), []
    gate: Promise[None] = Promise()

    async def waits() -> None:
        try:
            await gate
        finally:
            told.append("closed")

    async def stubborn() -> None:
        try:
            await gate
        finally:
            await gate

    async def never_begun() -> None:
        told.append("begun")

    def closed(*coroutines: Coroutine[Any, Any, None]) -> None:
        for coroutine in coroutines:
            loop.spawn(coroutine)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        closed(waits(), stubborn())
        loop.run()
        closed(never_begun())
        loop.close()
        loop.run()
        gc.collect()
    assert told == ["closed"]
