"""Links, devices and pipes: none is followed or opened, and none is passed over in silence.

A link whose target is read under its own name loses nothing, and is no problem.
"""

from __future__ import annotations

import io
import os
import socket
import stat
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from ingest.reading import read
from ingest.shapes import compressed, ndjson
from logs import Log

from auditor import ExitCode, audit
from auditor.ingest import links
from auditor.ingest.intake import MOST_PROBLEMS

OUT = "is a link out of this folder; links are not followed: name what it points to"
NOWHERE = "is a link that leads nowhere: No such file or directory"
UNPACKED = "is a link to what is not in this archive: pack what it points to"
ODD = "is neither a file nor a folder, so it is not read"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a log in it; another log lies elsewhere."""
    (tmp_path / "logs" / "run-1").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    ndjson(Log("wrun_00000000000000000000000001").events, tmp_path / "logs" / "run-1" / "log.ndjson")
    ndjson(Log("wrun_00000000000000000000000002").events, tmp_path / "elsewhere" / "log.ndjson")
    return tmp_path / "logs"


class TestInAFolder:
    @pytest.mark.parametrize(
        ("name", "target"),
        [
            ("log.ndjson", "run-1/log.ndjson"),
            ("latest", "run-1"),
            ("all", "."),
            ("run-1/again.ndjson", "../run-1/../run-1/log.ndjson"),
        ],
    )
    def test_a_link_to_what_is_read_anyway_loses_nothing(self, folder: Path, name: str, target: str) -> None:
        (folder / name).symlink_to(target)
        found = read(folder)
        assert [row["name"] for row in found.sources] == ["run-1/log.ndjson"]
        assert found.problems == [None]

    def test_a_mounted_configmap_is_read_once(self, tmp_path: Path) -> None:
        mount = tmp_path / "mount"
        (mount / "..2026_11_22").mkdir(parents=True)
        ndjson(Log().events, mount / "..2026_11_22" / "log.ndjson")
        (mount / "..data").symlink_to("..2026_11_22")
        (mount / "log.ndjson").symlink_to("..data/log.ndjson")
        found = read(mount)
        assert [row["name"] for row in found.sources] == ["..2026_11_22/log.ndjson"]
        assert found.problems == [None]

    @pytest.mark.parametrize(
        ("target", "problem"),
        [
            ("../elsewhere/log.ndjson", OUT),
            ("../elsewhere", OUT),
            ("..", OUT),
            ("/dev/zero", OUT),
            ("nothing.ndjson", NOWHERE),
            ("../elsewhere/nothing", NOWHERE),
        ],
    )
    def test_any_other_link_is_a_problem_that_says_what_to_do(
        self, folder: Path, target: str, problem: str
    ) -> None:
        (folder / "linked").symlink_to(target)
        found = read(folder)
        assert [row["name"] for row in found.sources] == ["run-1/log.ndjson"]
        assert found.problems == [f"linked: {problem}"]
        with audit(folder) as result:
            assert result.exit_code == ExitCode.CANNOT_TELL

    def test_a_link_in_a_circle_is_a_problem(self, folder: Path) -> None:
        (folder / "a").symlink_to("b")
        (folder / "b").symlink_to("a")
        assert read(folder).problems[0].count("is a link that leads nowhere") == 2

    @pytest.mark.parametrize("also", ["elsewhere", "elsewhere/log.ndjson"])
    def test_whoever_names_what_it_points_to_has_lost_nothing(self, folder: Path, also: str) -> None:
        (folder / "linked.ndjson").symlink_to(folder.parent / "elsewhere" / "log.ndjson")
        with audit(folder, folder.parent / also) as result:
            assert [row["problem"] for row in result.report["inputs"]] == [None, None]
            assert len(result.runs) == 2
            assert result.exit_code == ExitCode.CLEAN

    def test_a_link_that_is_named_itself_is_followed(self, folder: Path) -> None:
        (folder / "linked.ndjson").symlink_to(folder.parent / "elsewhere" / "log.ndjson")
        assert len(read(folder / "linked.ndjson").events) == 2
        (folder.parent / "link").symlink_to("logs/run-1")
        assert read(folder.parent / "link").problems == [None]

    def test_a_link_to_a_file_that_is_no_log_is_passed_over_as_the_file_would_be(self, folder: Path) -> None:
        """As the interpreter of a virtual environment is; the file is looked at, and never read."""
        program = folder.parent / "program"
        program.write_bytes(b"\x7fELF\2\1\1" + bytes(1000))
        (folder / "python").symlink_to(program)
        (folder / "empty").symlink_to("/dev/null")
        found = read(folder)
        assert found.problems == [f"empty: {OUT}"]
        assert found.inputs[0]["skipped"] == 1

    @pytest.mark.parametrize("name", ["log.ndjson", "log.json.gz", "events/wrun_1-evnt_1.json"])
    def test_but_not_where_its_name_promises_a_log(self, folder: Path, name: str) -> None:
        program = folder.parent / "program"
        program.write_bytes(bytes(1000))
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(program)
        assert read(folder).problems == [f"{name}: {OUT}"]

    @pytest.mark.parametrize("suffix", ["gz", "zst"])
    def test_nor_where_it_is_packed(self, folder: Path, suffix: str) -> None:
        packed = compressed(folder.parent / "elsewhere" / "log.ndjson", folder.parent / f"packed.{suffix}")
        (folder / "linked").symlink_to(packed)
        assert read(folder).problems == [f"linked: {OUT}"]

    def test_pipes_and_sockets_are_problems_and_are_not_opened(self, folder: Path, monkeypatch) -> None:
        os.mkfifo(folder / "pipe")
        monkeypatch.chdir(folder)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            assert read(folder).problems == [f"pipe: {ODD}; socket: {ODD}"]

    def test_of_many_problems_a_few_are_told_and_the_others_counted(self, folder: Path) -> None:
        for number in range(MOST_PROBLEMS + 1234):
            (folder / f"{number:04}").symlink_to("nothing")
        (problem,) = read(folder).problems
        assert problem.count(NOWHERE) == MOST_PROBLEMS
        assert problem.endswith("; and 1,234 more problems")


def tar_of(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """A tar of these members: a name, a type, and where it leads; a file holds a log."""
    data = ndjson(Log().events, path.with_suffix(".ndjson")).read_bytes()
    with tarfile.open(path, "w") as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(data) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(data))
    return path


LOG = ("run-1/log.ndjson", tarfile.REGTYPE, "")
SYM, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


class TestInATar:
    @pytest.mark.parametrize(
        "members",
        [
            [LOG, ("latest.ndjson", SYM, "run-1/log.ndjson")],
            [("latest.ndjson", SYM, "./run-1//log.ndjson"), LOG],
            [LOG, ("latest", SYM, "run-1")],
            [LOG, ("latest", SYM, "run-1/")],
            [LOG, ("latest", SYM, "run-1"), ("log.ndjson", SYM, "latest/log.ndjson")],
            [LOG, ("run-2/log.ndjson", SYM, "../run-1/log.ndjson")],
            [LOG, ("all", SYM, ".")],
            [LOG, ("run-2/log.ndjson", HARD, "run-1/log.ndjson")],
            [("./run-1/log.ndjson", tarfile.REGTYPE, ""), ("./run-2/log.ndjson", HARD, "./run-1/log.ndjson")],
            [LOG, ("the label", b"V", ""), ("run-1", b"D", "")],
        ],
    )
    def test_a_link_to_what_is_in_it_loses_nothing(
        self, members: list[tuple[str, bytes, str]], tmp_path: Path
    ) -> None:
        found = read(tar_of(tmp_path / "x.tar", *members))
        assert [row["name"].removeprefix("./") for row in found.sources] == ["run-1/log.ndjson"]
        assert found.problems == [None]

    @pytest.mark.parametrize(
        ("member", "problem"),
        [
            (("out.ndjson", SYM, "/etc/passwd"), UNPACKED),
            (("out.ndjson", SYM, "../run-1/log.ndjson"), UNPACKED),
            (("out.ndjson", SYM, "run-2/log.ndjson"), UNPACKED),
            (("out.ndjson", SYM, "out.ndjson"), UNPACKED),
            (("out.ndjson", SYM, "x/" * 500), UNPACKED),
            (("out.ndjson", SYM, "x" * 1001), UNPACKED),
            (("out.ndjson", HARD, "run-2/log.ndjson"), UNPACKED),
            (("out.ndjson", HARD, "../run-1/log.ndjson"), UNPACKED),
            (("out.ndjson", tarfile.CHRTYPE, ""), ODD),
            (("out.ndjson", tarfile.BLKTYPE, ""), ODD),
            (("out.ndjson", tarfile.FIFOTYPE, ""), ODD),
            (("out.ndjson", b"M", ""), ODD),
        ],
    )
    def test_any_other_link_or_device_is_a_problem(
        self, member: tuple[str, bytes, str], problem: str, tmp_path: Path
    ) -> None:
        found = read(tar_of(tmp_path / "x.tar", LOG, member))
        assert [row["name"] for row in found.sources] == ["run-1/log.ndjson"]
        assert found.problems == [f"out.ndjson: {problem}"]

    def test_a_link_is_told_with_the_archive_that_it_is_in(self, tmp_path: Path) -> None:
        folder = tmp_path / "logs"
        folder.mkdir()
        tar_of(folder / "x.tar", LOG, ("out", SYM, "/etc/passwd"))
        assert read(folder).problems == [f"x.tar/out: {UNPACKED}"]

    def test_links_of_links_of_links_have_an_end(self, tmp_path: Path) -> None:
        chain = [
            (f"{number:03}" + "/x" * 40, SYM, "../" * 40 + f"{number + 1:03}" + "/x" * 40) for number in range(900)
        ]
        started = time.process_time()
        assert UNPACKED in read(tar_of(tmp_path / "x.tar", *chain)).problems[0]
        assert time.process_time() - started < 5

    def test_more_links_than_anybody_makes_are_problems(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr(links, "MAX_LINKS", 2)
        path = tar_of(tmp_path / "x.tar", LOG, *((f"{number}", SYM, "run-1") for number in range(3)))
        assert read(path).problems == [f"2: {UNPACKED}"]


def test_a_link_in_a_zip_is_one_too(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    data = ndjson(Log().events, tmp_path / "log.ndjson").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("run-1/log.ndjson", data)
        for name, target in (
            ("in.ndjson", "run-1/log.ndjson"),
            ("latest", "run-1"),
            ("out.ndjson", "../log.ndjson"),
        ):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    found = read(path)
    assert [row["name"] for row in found.sources] == ["run-1/log.ndjson"]
    assert found.problems == [f"out.ndjson: {UNPACKED}"]
