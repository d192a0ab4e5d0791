"""Which configuration holds: the closest one upward from the logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.config import discover
from auditor.errors import UsageError

OURS = '[tool.auditor]\nfail_on = "warning"\n'


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own: what lies above the folder of a test has no say."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def file(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def found(inputs: list[str]) -> Path | None:
    path = discover(inputs)
    return path.resolve() if path is not None else None


def under(path: Path) -> Path | None:
    return found([str(path)])


class TestUpward:
    def test_the_closest_one_above_a_file_holds(self, root: Path) -> None:
        file(root / "auditor.toml")
        log = file(root / "a/b/log.ndjson")
        assert under(log) == root / "auditor.toml"
        closer = file(root / "a/auditor.toml")
        assert under(log) == closer

    def test_a_folder_is_looked_into_before_those_above_it(self, root: Path) -> None:
        file(root / "auditor.toml")
        inside = file(root / "logs/auditor.toml")
        assert under(root / "logs") == inside

    def test_a_relative_path_counts_from_the_current_folder(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = file(root / "a/auditor.toml")
        file(root / "a/b/log.ndjson")
        (root / "c").mkdir()
        monkeypatch.chdir(root / "c")
        assert found(["../a/b/log.ndjson"]) == config
        assert found(["."]) is None

    def test_a_symlink_is_where_it_points_to(self, root: Path) -> None:
        config = file(root / "real/auditor.toml")
        log = file(root / "real/log.ndjson")
        file(root / "links/auditor.toml")
        link = root / "links/log.ndjson"
        link.symlink_to(log)
        assert under(link) == config

    @pytest.mark.parametrize("marker", [".git", ".hg", ".jj"])
    def test_the_root_of_a_repository_is_the_last_folder(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, marker: str
    ) -> None:
        file(root / "auditor.toml")
        log = file(root / "inner/logs/log.ndjson")
        (root / "inner" / marker).mkdir()
        monkeypatch.chdir(root / "inner/logs")
        assert under(log) is None
        config = file(root / "inner/auditor.toml")
        assert under(log) == config

    def test_a_worktree_whose_git_is_a_file_is_a_repository_too(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file(root / "auditor.toml")
        log = file(root / "tree/logs/log.ndjson")
        file(root / "tree/.git", "gitdir: ../.git/worktrees/tree\n")
        monkeypatch.chdir(root / "tree/logs")
        assert under(log) is None


class TestItsName:
    def test_is_that_of_a_person_in_this_folder(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        config = file(root / "logs/auditor.toml")
        assert discover([str(root / "logs")]) == Path("logs/auditor.toml")
        (root / "elsewhere").mkdir()
        monkeypatch.chdir(root / "elsewhere")
        assert discover(["../logs"]) == config


class TestWithoutAFileOfItsOwn:
    def test_an_input_falls_back_to_the_current_folder_and_those_above_it(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / ".git").mkdir()
        log = file(elsewhere / "log.ndjson")
        config = file(root / "auditor.toml")
        (root / "deep").mkdir()
        monkeypatch.chdir(root / "deep")
        assert under(log) == config

    @pytest.mark.parametrize(
        "name", ["-", "postgres://user@host/db", "sqlite:///logs/world.db", "not/there", "x" * 300, "a\0b"]
    )
    def test_what_is_no_file_is_looked_for_from_the_current_folder(self, root: Path, name: str) -> None:
        assert found([name]) is None
        config = file(root / "auditor.toml")
        file(root / "logs/auditor.toml")
        assert found([name]) == config

    def test_there_may_be_none(self, root: Path) -> None:
        assert under(file(root / "log.ndjson")) is None
        assert found([]) is None


class TestTheTwoNames:
    def test_auditor_toml_comes_before_pyproject_toml_of_the_same_folder(self, root: Path) -> None:
        shared = file(root / "pyproject.toml", OURS)
        assert under(root) == shared
        own = file(root / "auditor.toml")
        assert under(root) == own

    def test_a_closer_pyproject_toml_comes_before_an_auditor_toml_above(self, root: Path) -> None:
        file(root / "auditor.toml")
        shared = file(root / "logs/pyproject.toml", OURS)
        assert under(root / "logs") == shared

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[project]\nname = 'x'\n",
            "[tool.auditor-plugins]\nx = 1\n",
            "[tool.auditors]\nx = 1\n",
            "[project]\ndescription = '''\n[tool.auditor]\n'''\n",
            "# [tool.auditor]\n",
            "tool = 1\n",
            "[project\n",
        ],
    )
    def test_a_pyproject_toml_that_says_nothing_to_us_is_passed_by(self, root: Path, text: str) -> None:
        config = file(root / "auditor.toml")
        file(root / "logs/pyproject.toml", text)
        assert under(root / "logs") == config

    @pytest.mark.parametrize(
        "text",
        [
            OURS,
            "[tool.auditor]\n",
            "[tool.auditor.severity]\n",
            "[[tool.auditor.suppressions]]\n",
            "[ tool . auditor ]\n",
            "[tool.'auditor']\n",
            "[tool]\nauditor = {max_rejects = 1}\n",
            "[tool]\nauditor.max_rejects = 1\n",
            "tool.auditor.max_rejects = 1\n",
            "[tool.auditor]\nfail_on = \n",
        ],
    )
    def test_our_section_is_seen_however_it_is_written(self, root: Path, text: str) -> None:
        assert under(root) is None
        assert under(file(root / "pyproject.toml", text).parent) == root / "pyproject.toml"

    def test_a_pyproject_toml_that_cannot_be_read_is_not_passed_by_without_a_word(self, root: Path) -> None:
        unreadable = Path("/proc/self/mem")
        if not unreadable.exists():
            pytest.skip("there is no file here that even root cannot read")
        (root / "pyproject.toml").symlink_to(unreadable)
        assert discover([str(root)]) == Path("pyproject.toml")

    def test_one_in_another_encoding_is_ours_if_our_section_stands_in_it(self, root: Path) -> None:
        (root / "pyproject.toml").write_bytes(b"# \xe9\n[tool.auditor]\n")
        assert under(root) == root / "pyproject.toml"

    @pytest.mark.parametrize("name", ["auditor.toml", "pyproject.toml"])
    def test_a_folder_of_that_name_is_no_configuration(self, root: Path, name: str) -> None:
        (root / name).mkdir()
        assert under(root) is None


class TestSeveralInputs:
    def test_inputs_under_the_same_one_share_it(self, root: Path) -> None:
        config = file(root / "auditor.toml")
        logs = [file(root / name) for name in ("a/1.ndjson", "b/2.ndjson")]
        assert found([*map(str, logs), str(root / "a")]) == config

    def test_inputs_under_two_are_one_error_that_names_both(self, root: Path) -> None:
        logs = [file(root / f"{name}/log.ndjson") for name in "ab"]
        configs = [file(root / f"{name}/auditor.toml") for name in "ab"]
        with pytest.raises(UsageError) as error:
            discover([*map(str, logs)])
        for path in (*logs, *(path.relative_to(root) for path in configs)):
            assert str(path) in str(error.value)
        assert "--config" in str(error.value)

    def test_so_are_one_that_has_a_configuration_and_one_that_has_none(self, root: Path) -> None:
        ruled, free = file(root / "a/log.ndjson"), file(root / "b/log.ndjson")
        file(root / "a/auditor.toml")
        for inputs in ([ruled, free], [free, ruled]):
            with pytest.raises(UsageError, match="none"):
                discover([*map(str, inputs)])

    def test_stdin_beside_a_file_is_under_that_of_the_current_folder(self, root: Path) -> None:
        log = file(root / "a/log.ndjson")
        config = file(root / "auditor.toml")
        assert found([str(log), "-"]) == config
        file(root / "a/auditor.toml")
        with pytest.raises(UsageError, match="different configurations"):
            discover([str(log), "-"])
