"""One run of a workflow, event by event, as core 4.8.9 (spec 3) of the SDK writes it.

The shapes, the keys of every `eventData` and the sizes are those of the real logs in the corpora: a run draws all
its correlation ids from one sequence, the members of a burst are written out of order, losers of a race report
later, a run that ends leaves its hooks open.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import random
from collections.abc import Callable
from typing import NamedTuple

from . import ulids

CORE = "4.8.9"
_FLOWS = {
    "order//fulfilOrder": ("validateOrder", "reserveStock", "chargeCard", "shipParcel", "sendReceipt"),
    "order//approveOrder": ("loadCart", "askManager", "recordDecision", "notifyCustomer"),
    "billing//collectInvoice": ("loadInvoice", "chargeAccount", "sendReminder", "bookPayment"),
    "onboarding//welcome": ("createAccount", "sendWelcome", "scheduleCall"),
    "sync//nightly": ("listPages", "fetchPage", "storePage", "publishIndex"),
}
_STACK = "".join(
    rf"\n    at {frame}"
    for frame in (
        "attempt (/srv/service/app/workflows/all.js:21:29)",
        "<anonymous> (/srv/service/app/node_modules/@workflow/core/src/runtime/step-handler.ts:590:14)",
        "AsyncLocalStorage.run (node:async_hooks:346:14)",
        "<anonymous> (/srv/service/app/node_modules/@workflow/core/src/runtime/step-handler.ts:567:21)",
        "trace (/srv/service/app/node_modules/@workflow/core/src/telemetry.ts:90:22)",
        "async <anonymous> (/srv/service/app/node_modules/@workflow/world-local/src/queue.ts:367:24)",
    )
)
_DIVERGED = (
    "Workflow replay diverged 4 times after 3 recovery replays; latest divergent event was {event}. Last "
    "divergence: Replay could not consume event: correlationId={entity}, eventId={event}."
)


class Step(NamedTuple):
    """A step: its correlation id and its name."""

    id: str
    name: str


class Wait(NamedTuple):
    """A wait: its correlation id and when it is due, in milliseconds since 1970."""

    id: str
    due: int


class Hook(NamedTuple):
    """A hook: its correlation id and its token."""

    id: str
    token: str


class Source:
    """What the runs of one part of the log share: randomness, text for payloads, a clock that prints."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.text = base64.b64encode(self.rng.randbytes(3 << 18)).decode()
        self._seconds: dict[int, str] = {}

    def payload(self) -> str:
        """A value as the SDK stores it: 100 to 500 characters of base64, most of them short."""
        share = self.rng.random()
        length = 100 + 4 * int(101 * share * share)
        start = int(self.rng.random() * (len(self.text) - length))
        return f'{{"__type":"Uint8Array","data":"{self.text[start : start + length]}"}}'

    def time(self, milliseconds: int) -> str:
        """A time as the SDK prints it, in UTC."""
        second, rest = divmod(milliseconds, 1000)
        text = self._seconds.get(second)
        if text is None:
            text = dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._seconds[second] = text
        return f"{text}{rest:03}Z"


class Run:
    """A run that grows by its methods; `lines` holds (event id, line of JSON) in the order they were written.

    `now` is the time of its last event in milliseconds. No two events of a run share one, so that the order of
    the ids is the order of the story.
    """

    def __init__(self, source: Source, started: int) -> None:
        self.source = source
        self.random = source.rng.random
        self._bits = source.rng.getrandbits
        self.now = started
        self.lines: list[tuple[str, str]] = []
        self.id = f"wrun_{ulids.moment(started)}{ulids.entropy(self._bits(80))}"
        flow = list(_FLOWS)[int(self.random() * len(_FLOWS))]
        module = flow.partition("//")[0]
        self.steps = [f"step//./workflows/{module}//{name}" for name in _FLOWS[flow]]
        self.workflow = f"workflow//./workflows/{flow}"
        self._losers: list[Callable[[], object]] = []
        self.write(
            "run_created",
            f'"deploymentId":"dpl_4Fh1w9","workflowName":"{self.workflow}","input":{source.payload()},'
            f'"executionContext":{{"traceCarrier":{{}},"workflowCoreVersion":"{CORE}",'
            '"features":{"encryption":false}}',
        )
        self.write("run_started")
        # The sequence of draws; far enough from its end that no run overflows it.
        self._body = ulids.moment(self.now) + ulids.entropy(self._bits(80))[:4]
        self._next = self._bits(59)

    def write(self, event_type: str, data: str = "", entity: str = "", *, within: int = 120) -> str:
        """Append an event at most `within` ms later; `data` is the inside of `eventData`. Returns its id."""
        self.now += 1 + int(self.random() * within)
        event_id = f"evnt_{ulids.moment(self.now)}{ulids.entropy(self._bits(80))}"
        correlation = f',"correlationId":"{entity}"' if entity else ""
        event_data = f',"eventData":{{{data}}}' if data else ""
        line = (
            f'{{"eventType":"{event_type}","specVersion":3{correlation}{event_data},"runId":"{self.id}",'
            f'"eventId":"{event_id}","createdAt":"{self.source.time(self.now)}"}}\n'
        )
        self.lines.append((event_id, line))
        return event_id

    # Draws: ids are drawn in the order of the code, events are written in the order they happen. ----------------

    def draw(self) -> str:
        """The body of the run's next correlation id."""
        self._next += 1
        return self._body + ulids.low(self._next)

    def step(self) -> Step:
        """A step that is not written yet."""
        return Step(f"step_{self.draw()}", self.steps[int(self.random() * len(self.steps))])

    def wait(self, milliseconds: int) -> Wait:
        """A wait that is not written yet, due so much later."""
        return Wait(f"wait_{self.draw()}", self.now + milliseconds)

    def hook(self) -> Hook:
        """A hook that is not written yet; its token is its own."""
        return Hook(f"hook_{self.draw()}", f"tok-{ulids.entropy(self._bits(80)).lower()}")

    # Events of an entity. Each returns the id of the event.

    def step_created(self, step: Step) -> str:
        data = f'"stepName":"{step.name}","workflowName":"{self.workflow}","input":{self.source.payload()}'
        return self.write("step_created", data, step.id, within=60)

    def step_started(self, step: Step) -> str:
        return self.write("step_started", f'"stepName":"{step.name}"', step.id)

    def step_retrying(self, step: Step) -> str:
        return self.write(
            "step_retrying",
            f'"stepName":"{step.name}","error":"attempt failed","stack":"Error: attempt failed{_STACK}",'
            f'"retryAfter":"{self.source.time(self.now + 900)}"',
            step.id,
        )

    def step_completed(self, step: Step) -> str:
        data = f'"stepName":"{step.name}","workflowName":"{self.workflow}","result":{self.source.payload()}'
        return self.write("step_completed", data, step.id, within=700)

    def step_failed(self, step: Step) -> str:
        data = f'"stepName":"{step.name}","error":"boom fatal","stack":"FatalError: boom fatal{_STACK}"'
        return self.write("step_failed", data, step.id)

    def wait_created(self, wait: Wait) -> str:
        return self.write("wait_created", f'"resumeAt":"{self.source.time(wait.due)}"', wait.id, within=20)

    def wait_completed(self, wait: Wait) -> str:
        self.now = max(self.now, wait.due)
        return self.write("wait_completed", f'"resumeAt":"{self.source.time(wait.due)}"', wait.id, within=400)

    def hook_created(self, hook: Hook) -> str:
        return self.write("hook_created", f'"token":"{hook.token}","isWebhook":false', hook.id, within=60)

    def hook_received(self, hook: Hook) -> str:
        data = f'"token":"{hook.token}","payload":{self.source.payload()}'
        return self.write("hook_received", data, hook.id, within=900)

    def hook_disposed(self, hook: Hook) -> str:
        return self.write("hook_disposed", f'"token":"{hook.token}"', hook.id)

    def hook_conflict(self, hook: Hook) -> str:
        data = f'"token":"{hook.token}","conflictingRunId":"{self.id}"'
        return self.write("hook_conflict", data, hook.id, within=60)

    # Ends of a run.

    def completed(self) -> str:
        self.catch_up()
        return self.write("run_completed", f'"output":{self.source.payload()}')

    def cancelled(self) -> str:
        self.catch_up()
        return self.write("run_cancelled")

    def failed(self, message: str = "the card was declined", code: str = "USER_ERROR") -> str:
        self.catch_up()
        error = json.dumps({"message": message, "stack": f"Error: {message}{_STACK}".replace(r"\n", "\n")})
        return self.write("run_failed", f'"error":{error},"errorCode":"{code}"')

    def failed_as_corrupt(self, event_id: str, entity: str) -> str:
        """The runtime gives up at this event."""
        return self.failed(_DIVERGED.format(event=event_id, entity=entity), "CORRUPTED_EVENT_LOG")

    def left_open(self) -> None:
        """Still running when the log was taken: the next event comes from outside, or in a month."""
        self.catch_up()
        if self.random() < 0.5:
            self.hook_created(self.hook())
        else:
            self.wait_created(self.wait(30 * 86_400_000))

    # Losers of a race report while the run is already further on.

    def later(self, report: Callable[[], object]) -> None:
        self._losers.append(report)

    def take_losers(self) -> list[Callable[[], object]]:
        losers, self._losers = self._losers, []
        return losers

    def catch_up(self) -> None:
        """Let every loser report now."""
        for report in self.take_losers():
            report()
