"""What a workflow does: pieces of healthy code, and how runs are put together from them."""

from __future__ import annotations

from .runs import Run

MEAN_EVENTS = 40
"""Events a run, on average."""


def one_step(run: Run) -> None:
    """`await step()`"""
    step = run.step()
    run.step_created(step)
    run.step_started(step)
    run.step_completed(step)


def flaky_step(run: Run) -> None:
    """A step that needs two or three attempts."""
    step = run.step()
    run.step_created(step)
    run.step_started(step)
    for _ in range(1 if run.random() < 0.7 else 2):
        run.step_retrying(step)
        run.now += 900
        run.step_started(step)
    run.step_completed(step)


def failed_step(run: Run) -> None:
    """A step that fails for good, and code that catches it."""
    step = run.step()
    run.step_created(step)
    run.step_started(step)
    run.step_failed(step)


def fan_out(run: Run) -> None:
    """`await Promise.all(...)` of two to five steps; a burst is written, started and finished out of order."""
    steps = [run.step() for _ in range(2 + int(run.random() * 4))]
    for event in (run.step_created, run.step_started, run.step_completed):
        run.source.rng.shuffle(steps)
        for step in steps:
            event(step)


def sleep(run: Run) -> None:
    """`await sleep("20s")`"""
    wait = run.wait(1000 + int(run.random() * 20_000))
    run.wait_created(wait)
    run.wait_completed(wait)


def hook(run: Run) -> None:
    """A hook that is resumed one to four times; some code disposes of it, most does not."""
    hook = run.hook()
    run.hook_created(hook)
    for _ in range(1 + int(run.random() * 4)):
        run.hook_received(hook)
        if run.random() < 0.5:
            one_step(run)
    if run.random() < 0.3:
        run.hook_disposed(hook)


def race_hook_and_sleep(run: Run) -> None:
    """`await Promise.race([hook, sleep()])`; a lost sleep elapses later, while the run goes on."""
    hook, wait = run.hook(), run.wait(2000)
    run.hook_created(hook)
    run.wait_created(wait)
    if run.random() < 0.5:
        run.hook_received(hook)
        run.later(lambda: run.wait_completed(wait))
    else:
        run.wait_completed(wait)


def race_step_and_sleep(run: Run) -> None:
    """`await Promise.race([step(), sleep()])`; a lost step finishes later."""
    step, wait = run.step(), run.wait(600)
    run.wait_created(wait)
    run.step_created(step)
    run.step_started(step)
    run.wait_completed(wait)
    run.later(lambda: run.step_completed(step))


_PIECES = (
    *[one_step] * 9,
    *[fan_out] * 3,
    *[sleep] * 3,
    *[hook] * 2,
    race_hook_and_sleep,
    race_step_and_sleep,
    flaky_step,
    failed_step,
)


def work(run: Run, events: int) -> None:
    """Go on until the run has about so many events."""
    while len(run.lines) < events:
        losers = run.take_losers()
        _PIECES[int(run.random() * len(_PIECES))](run)
        for report in losers:
            report()


def healthy(run: Run) -> None:
    """A run from beginning to end: 90 % complete, the others fail by themselves, are cancelled or still open."""
    work(run, 6 + int(run.source.rng.expovariate(1 / 30.3)))
    end = run.random()
    if end < 0.90:
        run.completed()
    elif end < 0.95:
        run.failed()
    elif end < 0.97:
        run.cancelled()
    else:
        run.left_open()
