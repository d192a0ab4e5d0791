"""The words in which the auditor judges: severity, confidence, outcome, verdict, exit code, capability.

Definitions: `auditor explain` and the README quote them, so they are said once, here.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Severity(StrEnum):
    """How bad a finding is, by its consequence.

    error: the history of this run cannot be trusted, data was lost, or the run can never finish.
    warning: protection is missing, or a side effect may have run twice; no harm is proven.
    info: worth knowing.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for info, 2 for error."""
        return (Severity.INFO, Severity.WARNING, Severity.ERROR).index(self)


class Confidence(StrEnum):
    """How sure a finding is.

    proof: the log alone suffices. strong: a heuristic with a measured rate. suspect: worth a look.
    """

    PROOF = "proof"
    STRONG = "strong"
    SUSPECT = "suspect"

    @property
    def rank(self) -> int:
        """0 for suspect, 2 for proof."""
        return (Confidence.SUSPECT, Confidence.STRONG, Confidence.PROOF).index(self)


class Outcome(StrEnum):
    """What became of one rule in one audit. `not_evaluated` and `failed` are never green."""

    HELD = "held"
    FOUND = "found"
    NOT_EVALUATED = "not_evaluated"
    FAILED = "failed"


class FindingState(StrEnum):
    """What counts of a finding. Only new ones can change an exit code; none of this changes a verdict.

    folded: another finding explains it; what was decided about that one holds for it. suppressed: somebody decided
    to live with it, for a reason.
    known: it is in the baseline. new: none of these; without a baseline everything that stands is new.
    """

    NEW = "new"
    KNOWN = "known"
    SUPPRESSED = "suppressed"
    FOLDED = "folded"


class SuppressionState(StrEnum):
    """What became of a suppression: it matched findings, it matched none, or its last day is over."""

    USED = "used"
    UNUSED = "unused"
    EXPIRED = "expired"


class ReplayOutcome(StrEnum):
    """What became of a run when its code was replayed on its log, without the event that ends it.

    reproduced: the code makes this history, and comes to the same end. diverged: the log holds an event that the
    code, replayed on the events before it, would not have written. other_terminal: it follows the log, and comes
    to another end. not_replayed: it could not be told; that is never green.
    """

    REPRODUCED = "reproduced"
    DIVERGED = "diverged"
    OTHER_TERMINAL = "other_terminal"
    NOT_REPLAYED = "not_replayed"


class Verdict(StrEnum):
    """Can this run's history be trusted? The first that holds, in this order.

    corrupt: an error finding of confidence proof or strong. cannot_tell: the history is incomplete, rejected
    rows may belong to it, its ids follow no known scheme, or a rule failed on it. suspect: a finding of
    confidence suspect at warning or above. sound: none of these. An audit has the worst verdict of its runs and
    of the log as a whole, which a finding that belongs to no run is about.
    """

    CORRUPT = "corrupt"
    CANNOT_TELL = "cannot_tell"
    SUSPECT = "suspect"
    SOUND = "sound"

    @property
    def rank(self) -> int:
        """0 for corrupt (the worst), 3 for sound."""
        return list(Verdict).index(self)


class RuntimeVerdict(StrEnum):
    """What the runtime itself said of the run; stands beside the log verdict and never changes it."""

    CORRUPTED = "corrupted"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    NONE = "none"


class ExitCode(IntEnum):
    """What `auditor check` returns; the worst over all inputs in the order ERROR, FOUND, CANNOT_TELL, CLEAN.

    0 CLEAN: everything was judged and nothing is at or above --fail-on.
    1 FOUND: a finding is at or above --fail-on.
    2 ERROR: misuse or an internal error; nothing can be concluded.
    3 CANNOT_TELL: a run or an input could not be judged, nothing was read, more rows were rejected than
      --max-rejects allows, or a --require is unmet.
    """

    CLEAN = 0
    FOUND = 1
    ERROR = 2
    CANNOT_TELL = 3


class Capability(StrEnum):
    """What a log's format records. A rule that needs more than a log has is not evaluated on it.

    `replay` alone is no matter of the format: `auditor replay` was given the code of the run, and replayed it. The
    list is closed. A capability says what the *format* can hold, never that a value was seen: else the
    very bug that loses every fence would switch off its own detector.
    """

    COMPLETE = "complete"
    FENCES = "fences"
    REFUSALS = "refusals"
    ENTITIES = "entities"
    ORDINALS = "ordinals"
    SLOTS = "slots"
    HASHES = "hashes"
    CORE_VERSION = "core_version"
    DIGESTS = "digests"
    PAYLOADS = "payloads"
    ALL_RUNS = "all_runs"
    TWO_EXPORTS = "two_exports"
    REPLAY = "replay"


CAPABILITY_MISSING: dict[Capability, str] = {
    Capability.COMPLETE: "the history of the run is incomplete",
    Capability.FENCES: "the log does not record fences",
    Capability.REFUSALS: "the log does not record refused writes",
    Capability.ENTITIES: "the log has no entity tables",
    Capability.ORDINALS: "the correlation ids are not draws of one sequence",
    Capability.SLOTS: "the event ids are not slots",
    Capability.HASHES: "the log has no hash chain",
    Capability.CORE_VERSION: "the core version is unknown",
    Capability.DIGESTS: "the log has neither payloads nor their digests",
    Capability.PAYLOADS: "payloads were not kept",
    Capability.ALL_RUNS: "the log does not hold all runs of its world",
    Capability.TWO_EXPORTS: "the run was not exported twice",
    Capability.REPLAY: "the run was not replayed with its code",
}
"""Why a rule was not evaluated, in words a user reads."""
