"""An audit file may come from anybody: what it holds is shown, and what it defines does nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from auditor import Audit, InputError, audit, render, rule_template, try_rule

SAMPLES = Path(__file__).parents[2] / "sample_logs"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "audit.duckdb"
    audit(SAMPLES / "stale-snapshot-write.ndjson", save=path).close()
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.write_text("the secret of this machine", "utf-8")
    return path


def changed(saved: Path, folder: Path, *statements: str) -> Path:
    """An audit file that somebody has changed."""
    path = folder / "changed.duckdb"
    shutil.copy(saved, path)
    with duckdb.connect(str(path)) as con:
        for statement in statements:
            con.execute(statement)
    return path


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (
            [
                "ALTER TABLE finding RENAME TO kept",
                "CREATE VIEW finding AS SELECT * REPLACE ((FROM read_text('{secret}') SELECT content) AS because)"
                " FROM kept",
            ],
            "the view 'finding'",
        ),
        (["CREATE VIEW other AS SELECT 1"], "the view 'other'"),
        (["CREATE MACRO strftime(x, y) AS 'a lie'"], "the macro 'strftime'"),
        (
            ["CREATE MACRO duckdb_views() AS TABLE SELECT NULL AS view_name WHERE FALSE"],
            "the macro 'duckdb_views'",
        ),
        ([r"""CREATE VIEW "a{newline}b" AS SELECT 1"""], r"the view 'a\nb'"),
    ],
    ids=[
        "a view in place of a table",
        "a view",
        "a macro",
        "a macro that would hide it",
        "a name that breaks a line",
    ],
)
def test_a_file_that_defines_what_no_audit_does_is_refused(
    saved: Path, tmp_path: Path, secret: Path, statements: list[str], named: str
) -> None:
    path = changed(saved, tmp_path, *(each.format(secret=secret, newline="\n") for each in statements))
    with pytest.raises(InputError, match=re.escape(f"it defines {named}, which no audit does")):
        Audit.open(path)
    with pytest.raises(InputError):
        try_rule(path, rule_template("mine"), "own", "mine")


@pytest.mark.parametrize("source", ["read_text('{secret}')", "'{secret}'", "glob('{secret}')"])
def test_a_view_of_ours_that_reads_files_of_this_machine_reads_nothing(
    saved: Path, tmp_path: Path, secret: Path, source: str
) -> None:
    path = changed(
        saved,
        tmp_path,
        "DROP VIEW witness_detail",
        f"CREATE VIEW witness_detail AS SELECT * FROM {source.format(secret=secret)}",
    )
    with Audit.open(path) as opened:
        with pytest.raises(duckdb.PermissionException):
            opened.con.execute("FROM witness_detail")
        with pytest.raises(InputError, match="is damaged") as refused:
            render(opened, "text")
    assert "the secret" not in str(refused.value)


def test_nothing_can_be_let_in_again(saved: Path) -> None:
    with Audit.open(saved) as opened:
        for setting in ("enable_external_access = true", "lock_configuration = false"):
            with pytest.raises(duckdb.Error):
                opened.con.execute(f"SET {setting}")


def test_an_audit_is_opened_twice_and_by_others_at_the_same_time(saved: Path) -> None:
    with Audit.open(saved) as one, Audit.open(saved) as two, duckdb.connect(str(saved), read_only=True) as plain:
        assert render(one, "json") == render(two, "json")
        assert plain.execute("SELECT count(*) FROM run").fetchall() == [(1,)]


def test_a_file_that_lacks_something_is_damaged_and_no_bug(saved: Path, tmp_path: Path) -> None:
    for statement in ("DROP TABLE cause", "DELETE FROM meta WHERE key = 'exit_code'"):
        with (
            Audit.open(changed(saved, tmp_path, statement)) as opened,
            pytest.raises(InputError, match="is damaged"),
        ):
            _ = opened.report
