"""Cold replay: the code of today on the histories of yesterday, as a test in CI.

from auditor.cold import replay_logs

with replay_logs("histories/", workflows=[order]) as result:
    print(result.exit_code)

`replay_history` replays one run, `replay_histories` a stream of events run by run; both take events as a world
gives them. Here the two halves meet: the runtime's replay, and the audit that reports on it.
"""

from auditor.cold.audit import evidence, replay_logs, workflow_of_code
from auditor.cold.history import replay_histories, replay_history
from auditor.cold.outcome import Line, Replayed
from auditor.model.judgement import ReplayOutcome

__all__ = [
    "Line",
    "ReplayOutcome",
    "Replayed",
    "evidence",
    "replay_histories",
    "replay_history",
    "replay_logs",
    "workflow_of_code",
]
