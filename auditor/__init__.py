"""Can I trust this event log?

from auditor import audit

with audit("logs/") as result:
    print(result.verdict, result.exit_code)
    for finding in result.findings:
        print(finding["because"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from auditor.__about__ import __version__

if TYPE_CHECKING:
    from auditor.check.baseline import Baseline
    from auditor.check.decisions import Suppression
    from auditor.check.header import Rule
    from auditor.check.sandbox import Rows
    from auditor.check.template import rule_template
    from auditor.check.trial import Trial, query, read_rule, rules, try_rule
    from auditor.errors import AuditorError, InputError, QueryFailed, RuleFileError, UnknownRule, UsageError
    from auditor.model.judgement import Capability, Confidence, ExitCode, FindingState, Outcome, Severity, Verdict
    from auditor.report.formats import FORMATS, render
    from auditor.result import Audit, audit

__all__ = [
    "FORMATS",
    "Audit",
    "AuditorError",
    "Baseline",
    "Capability",
    "Confidence",
    "ExitCode",
    "FindingState",
    "InputError",
    "Outcome",
    "QueryFailed",
    "Rows",
    "Rule",
    "RuleFileError",
    "Severity",
    "Suppression",
    "Trial",
    "UnknownRule",
    "UsageError",
    "Verdict",
    "__version__",
    "audit",
    "query",
    "read_rule",
    "render",
    "rule_template",
    "rules",
    "try_rule",
]

_ROOMS = (
    "auditor.errors",
    "auditor.model.judgement",
    "auditor.check.baseline",
    "auditor.check.decisions",
    "auditor.check.template",
    "auditor.check.trial",
    "auditor.result",
    "auditor.report.formats",
)


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: the database takes half a second, and pytest imports us for our plugin.
    if name in __all__:
        for room in map(import_module, _ROOMS):
            if name in vars(room):
                return vars(room)[name]
    raise AttributeError(f"module 'auditor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
