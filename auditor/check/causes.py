"""Group the standing findings by their cause, and say what each cause is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import duckdb
import pyarrow as pa

from auditor.check.diagnosis import FENCED_TYPES, Placeholder
from auditor.check.header import Rule
from auditor.database import replace_temp

_ASKED = pa.schema([("rule", pa.string()), ("fact", pa.string()), ("role", pa.string()), ("divides", pa.bool_())])
_SUBJECT = pa.schema([("rule", pa.string()), ("role", pa.string())])
_SENTENCE = pa.schema([("cause_no", pa.int64()), ("diagnosis", pa.string())])


def group(con: duckdb.DuckDBPyConnection, rules: Sequence[Rule]) -> None:
    """Fill `cause` and `finding.cause_no` from judged findings."""
    diagnoses = {rule.id: rule.diagnosis for rule in rules if rule.diagnosis is not None}
    asked = [
        {"rule": rule, "fact": placeholder.fact, "role": placeholder.role, "divides": placeholder.divides}
        for rule, diagnosis in diagnoses.items()
        for placeholder in diagnosis.placeholders
    ]
    subjects = [{"rule": rule, "role": diagnosis.subject} for rule, diagnosis in diagnoses.items()]
    replace_temp(con, "asked", pa.Table.from_pylist(asked, _ASKED))
    replace_temp(con, "subject", pa.Table.from_pylist(subjects, _SUBJECT))
    con.execute(resources.files(__package__).joinpath("causes.sql").read_text("utf-8")).fetchall()
    values = _values(con)
    sentences = [
        {"cause_no": cause_no, "diagnosis": sentence}
        for cause_no, rule in con.execute("SELECT cause_no, rule FROM cause").fetchall()
        if rule in diagnoses and (sentence := diagnoses[rule].sentence(values[cause_no])) is not None
    ]
    replace_temp(con, "sentence", pa.Table.from_pylist(sentences, _SENTENCE))
    con.execute(
        """
        UPDATE cause SET diagnosis = sentence.diagnosis FROM sentence WHERE sentence.cause_no = cause.cause_no;
        UPDATE finding SET cause_no = caused.cause_no FROM caused WHERE caused.finding_no = finding.finding_no;
        """
    ).fetchall()


def _values(con: duckdb.DuckDBPyConnection) -> dict[int, dict[Placeholder, list[str]]]:
    """For each cause what its witnesses say, the most frequent first."""
    fenced = [
        event_type
        for (event_type,) in con.execute(
            "SELECT event_type FROM fence_coverage WHERE fenced = writes ORDER BY event_type"
        ).fetchall()
    ]
    causes = con.execute("SELECT cause_no FROM cause").fetchall()
    values = {cause_no: {Placeholder(FENCED_TYPES, None, divides=False): fenced} for (cause_no,) in causes}
    said = con.execute(
        """
        SELECT cause_no, fact, role, divides, list(value ORDER BY findings DESC, value)
        FROM (
            SELECT cause_no, fact, role, divides, value, count(*) AS findings
            FROM said JOIN caused USING (finding_no)
            GROUP BY ALL
        )
        GROUP BY ALL
        """
    ).fetchall()
    for cause_no, fact, role, divides, list_of_values in said:
        values[cause_no][Placeholder(fact, role, divides)] = list_of_values
    return values
