"""Alerts: what an audit found and nobody knew, sent to a webhook or to Slack.

`targets` reads what the user asked for, before anything is audited; `notify` sends what is new.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditor.alerts.delivery import deliver, signature
from auditor.alerts.messages import ALERT_SCHEMA, News
from auditor.alerts.targets import SECRET, Kind, Target, targets
from auditor.errors import AuditorError
from auditor.result import Audit

__all__ = ["ALERT_SCHEMA", "SECRET", "Kind", "Target", "notify", "signature", "targets"]


def notify(audit: Audit, receivers: Sequence[Target]) -> None:
    """Tell every receiver of the new findings at or above the audit's `fail_on` (`never`: of any severity).

    No such finding, no alert. One receiver that fails does not keep the alert from the others; then raises
    AlertFailed, or UsageError for a host that resolves to an address which is not allowed: the first of them.
    """
    news = News.of(audit)
    if not news.total:
        return
    failures: list[AuditorError] = []
    for receiver in receivers:
        try:
            deliver(receiver, news.body(receiver.kind), news.key(receiver.kind))
        except AuditorError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
