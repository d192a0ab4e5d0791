"""A rule to start from."""

from __future__ import annotations

from auditor.__about__ import __version__

_RULE = """\
/*
title: A step was retried more often than we accept
severity: warning
confidence: proof
needs: [complete]
implies: []
since: {version}
params:
  most_retries: {{default: 2, meaning: retries of one step that we accept}}
---
## What it means
One sentence for somebody who sees this finding for the first time: what is wrong with the run.

## Why it happens
- The cause that you know of.

## Example
    #3  step_created   step_…0001
    #4  step_started   step_…0001
    #5  step_retrying  step_…0001  three times

## How to confirm
    FROM log WHERE event_type = 'step_retrying';

## What to do
- What to do with the run, and with what caused it.

## When it is wrong
When the finding is true and yet nobody should act on it.

## References
An issue, a page, a decision.
*/
WITH retried AS (
    SELECT run_id, correlation_id, list(witness('retried', event_no) ORDER BY "position") AS witness
    FROM log
    WHERE event_type = 'step_retrying'
    GROUP BY run_id, correlation_id
)

SELECT
    run_id,
    witness,
    format('{{}} was retried {{}} times.', short_id(correlation_id), len(witness)) AS because
FROM retried
JOIN run USING (run_id)
WHERE len(witness) > param('{name}', 'most_retries', workflow);
"""


def rule_template(rule_id: str) -> str:
    """The text of a rule file that works as it is."""
    return _RULE.format(name=rule_id, version=__version__)
