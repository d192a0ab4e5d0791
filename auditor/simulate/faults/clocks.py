"""Faults of clocks and of what is minted from them: times, and the ids that readers sort by."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from auditor.model.events import EventType
from auditor.model.ids import ulid
from auditor.model.rows import Event, Run
from auditor.runtime.values import data_of
from auditor.simulate.draws import Draws
from auditor.simulate.faults.base import Fault
from auditor.simulate.faults.forcing import relinked, without_fence
from auditor.simulate.records import Record
from auditor.world import Snapshot
from auditor.world.chain import digest
from auditor.world.decision import Accepted, Decision, Draw, RunState, decide
from auditor.world.draft import Request, json_text

T = EventType


class ClockSetBack(Fault):
    """The clock of the store is set back under way, and commits take it as it is.

    Seen in 174 runs of the corpora: `createdAt` goes back by up to 4.7 s, and no replay minds.
    """

    rules = ("order-inversion",)
    scenarios = ("fan-out", "retries")
    LAST = 8

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self._back = 0

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        if before is not None and self.strikes():
            self._back = self.draws.between(40, 4_000)
        if not self._back:
            return accepted
        return relinked(
            accepted, [event._replace(created_at=event.created_at - self._back) for event in accepted.events]
        )


class ResumeAtRounded(Fault):
    """The store keeps the time that a wait is over to the second, and writes that into its completion.

    Cores from 4.6.0 on compare the two (vercel/workflow#2177, #2186); the replay of ours does not, and goes on.
    """

    rules = ("resume-at-mismatch",)
    scenarios = ("sequential", "race", "parallel", "stress")
    core_version = "4.8.9"

    def stored(self, accepted: Accepted, before: Run | None) -> Accepted:
        """See `Fault.stored`."""
        if accepted.events[0].event_type != T.WAIT_COMPLETED or not self.strikes():
            return accepted
        first, *others = accepted.events
        at = datetime.fromisoformat(str(data_of(first)["resumeAt"]))
        text = json_text({**data_of(first), "resumeAt": f"{at:%Y-%m-%dT%H:%M:%S}.000Z"})
        return relinked(accepted, [first._replace(data=text, data_sha256=digest(text)), *others])


class RunStartedTwice(Fault):
    """The network delivers run_started twice, and the store does not know it again.

    Ignored by replays since vercel/workflow#3381.
    """

    rules = ("run-started-twice",)
    scenarios = ("race", "sequential", "fan-out", "stress")

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        if not isinstance(decision, Accepted) or decision.events[0].event_type != T.RUN_STARTED:
            return decision
        forgotten = replace(state, run=decision.run._replace(started_at=None))
        second = without_fence(forgotten, request, now, draw)
        if not isinstance(second, Accepted):
            return decision
        return second._replace(before=decision.before, events=(*decision.events, *second.events))


class _MintedEarly(Fault):
    """Ids are minted before the commit, and readers sort by them: a late event lands behind what they have seen.

    The tail of a run is its highest id, so nobody's fence notices.
    """

    rules = ("prefix-rewritten",)
    scenarios = ("race", "fan-out", "stress", "nested-races")

    def minted(self, request: Request, now: int) -> int:
        """The time in ms at which the id of a request was minted."""
        return now

    def decide(self, state: RunState, request: Request, now: int, draw: Draw) -> Decision:
        """See `Fault.decide`."""
        decision = decide(state, request, now, draw)
        minted = self.minted(request, now)
        if not isinstance(decision, Accepted) or minted >= now or state.run is None:
            return decision
        # Nobody mints an id for a run that is not there yet.
        first = max(minted, state.run.created_at + 1) << 80 | draw(79)
        events = [
            event._replace(event_id=f"evnt_{ulid(first + place)}") for place, event in enumerate(decision.events)
        ]
        made = relinked(decision, events)
        tail = max(made.run.tail or "", state.run.tail or "")
        return made._replace(run=made.run._replace(tail=tail))

    def read(self, snapshot: Snapshot) -> Snapshot:
        """See `Fault.read`."""
        return replace(snapshot, events=tuple(sorted(snapshot.events, key=_id)))

    def exported(self, records: list[Record]) -> list[Record]:
        """See `Fault.exported`."""
        events = sorted((r for r in records if r["record"] == "event"), key=lambda event: str(event["eventId"]))
        for position, event in enumerate(events, start=1):
            event["position"] = position
        return [*events, *(r for r in records if r["record"] != "event")]


class LateInsertion(_MintedEarly):
    """The caller of a hook mints the id of the delivery, and is slow to commit it.

    Seen in vercel/workflow#2228 and #3201.
    """

    def minted(self, request: Request, now: int) -> int:
        """See `_MintedEarly.minted`."""
        is_signal = request.drafts[0].event_type is T.HOOK_RECEIVED
        return now - self.draws.between(5, 20) if is_signal and self.strikes() else now


class ClockSkewInIds(_MintedEarly):
    """The clock of one machine that executes steps is behind, so that its ids sort before those of the others."""

    def minted(self, request: Request, now: int) -> int:
        """See `_MintedEarly.minted`."""
        writer = request.append.writer
        return now - 12 if writer.tick_id is None and writer.writer_id == "worker-1" else now


def _id(event: Event) -> str:
    return event.event_id
