"""Can I trust this event log?

from auditor import audit

with audit("logs/") as result:
    print(result.verdict, result.exit_code)
    for finding in result.findings:
        print(finding["because"])
"""

from auditor.__about__ import __version__
from auditor.errors import AuditorError, InputError, RuleFileError, UnknownRule, UsageError
from auditor.model.judgement import Capability, Confidence, ExitCode, Outcome, Severity, Verdict
from auditor.result import Audit, audit

__all__ = [
    "Audit",
    "AuditorError",
    "Capability",
    "Confidence",
    "ExitCode",
    "InputError",
    "Outcome",
    "RuleFileError",
    "Severity",
    "UnknownRule",
    "UsageError",
    "Verdict",
    "__version__",
    "audit",
]
