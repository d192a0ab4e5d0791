"""Archives and compressed files: what is in them is read as if it lay there plain, and nothing else happens.

Whatever is wrong with an archive is said with its name, and what could be read of it is kept, but never judged.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from ingest.reading import read
from ingest.shapes import COMPRESS, compressed, ndjson, tar, zipped
from logs import Log, entity

from auditor import ExitCode, audit
from auditor.ingest import members as module
from auditor.ingest.members import Damaged, Member, members

CHEAP = "duplicate-event-id"
"""One rule, where only the verdict matters."""


def log() -> Log:
    log = Log().life("step", 0, "created", "started", "completed", stepName="charge")
    return log.add("wait_created", entity("wait", 1)).add("run_completed")


def logs(number: int) -> list[dict[str, object]]:
    return [event for n in range(number) for event in Log(f"wrun_{n:026d}").add("run_completed").events]


def plain(folder: Path) -> Path:
    return ndjson(log().events, folder / "log.ndjson")


def in_folder(folder: Path) -> Path:
    (folder / "exports" / "one").mkdir(parents=True)
    compressed(plain(folder), folder / "exports" / "one" / "log.ndjson.gz")
    return folder / "exports"


def nested(folder: Path) -> Path:
    (folder / "exports").mkdir()
    tar(zipped(plain(folder), folder / "inner.zip"), folder / "exports" / "outer.tar")
    return folder / "exports"


def tar_in(suffix: str) -> Callable[[Path], Path]:
    return lambda folder: compressed(tar(plain(folder), folder / "log.tar"), folder / f"log.tar.{suffix}")


SHAPES: dict[str, Callable[[Path], Path]] = {
    **{f".{suffix}": lambda f, s=suffix: compressed(plain(f), f / f"log.ndjson.{s}") for suffix in COMPRESS},
    **{f".tar.{suffix}": tar_in(suffix) for suffix in COMPRESS},
    ".zip": lambda folder: zipped(plain(folder), folder / "log.zip"),
    ".tar": lambda folder: tar(plain(folder), folder / "log.tar"),
    ".zip.gz": lambda folder: compressed(zipped(plain(folder), folder / "log.zip"), folder / "log.zip.gz"),
    "a .gz in a folder": in_folder,
    "a .zip in a .tar in a folder": nested,
    "any name": lambda folder: compressed(plain(folder), folder / "x.gz").rename(folder / "download"),
}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What the plain file holds."""
    return read(plain(tmp_path_factory.mktemp("plain"))).content


@pytest.mark.parametrize("name", SHAPES)
def test_a_packed_log_is_read_as_the_plain_one(
    name: str, tmp_path: Path, content: list[dict[str, object]]
) -> None:
    found = read(SHAPES[name](tmp_path))
    assert found.content == content
    assert found.problems == [None]
    assert found.rejects == []


@pytest.mark.parametrize("pack", ["plain", "gz", "zip"])
def test_stdin_is_read_as_a_file(pack: str, tmp_path: Path) -> None:
    path = {"plain": plain, "gz": SHAPES[".gz"], "zip": SHAPES[".zip"]}[pack](tmp_path)
    command = [str(Path(sys.executable).with_name("auditor")), "check", "-", "--select", CHEAP]
    with path.open("rb") as stdin:
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.CLEAN, done.stderr
    assert "<stdin>" in done.stdout


def test_a_pipe_is_read_once_and_whole(tmp_path: Path, content: list[dict[str, object]]) -> None:
    path = plain(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes() + b"\n" * 200_000))
    writer.start()
    found = read(pipe)
    writer.join()
    assert found.content == content


def test_a_file_may_have_any_name(tmp_path: Path, content: list[dict[str, object]]) -> None:
    names = ["log[1].ndjson", "*.ndjson", "runId=x/log.ndjson", "plain.gz", "s3:", os.fsdecode(b"\xff.ndjson")]
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        plain(tmp_path).rename(path)
    found = read(*paths)
    assert found.content == content
    assert [row["events"] for row in found.inputs] == [len(content)] * len(names)


def test_a_name_that_is_no_text_is_spelt_out(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.ndjson")
    path.write_bytes(b"oops\n")
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as out:
        out.add(path, os.fsdecode(b"\xfe.ndjson"))
    found = read(tmp_path, path)
    assert [name for name, *_ in found.reasons] == ["\\udcff.ndjson", "x.tar/\\udcfe.ndjson"]
    assert found.inputs[1]["path"].endswith("\\udcff.ndjson")


def test_archives_in_archives_have_an_end(tmp_path: Path) -> None:
    path = plain(tmp_path)
    for depth in range(module.MAX_DEPTH + 1):
        path = zipped(path, tmp_path / f"{depth}.zip")
    found = read(path)
    assert found.events == []
    assert found.problems[0].endswith("archives are nested more than 6 deep")
    assert "0.zip" in found.problems[0]


def test_folders_in_folders_have_an_end(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 110)
    deep.mkdir(parents=True)
    found = read(tmp_path)
    assert found.problems[0].endswith("folders are nested more than 100 deep")


class TestDamage:
    """Archives that are cut off or broken."""

    @pytest.mark.parametrize("suffix", [*COMPRESS, "zip", "tar", *(f"tar.{suffix}" for suffix in COMPRESS)])
    def test_an_archive_cut_off_anywhere_is_never_whole(self, suffix: str, tmp_path: Path) -> None:
        whole = SHAPES[f".{suffix}"](tmp_path)
        content = whole.read_bytes()
        path = tmp_path / "cut"
        assert not self._problems(whole)
        # A tar shows what it is only behind its first name, and ends with its first block of zeros.
        shortest, longest = (512, len(content.rstrip(b"\0"))) if suffix == "tar" else (8, len(content))
        for length in range(shortest, longest, max(1, longest // 60)):
            path.write_bytes(content[:length])
            assert self._problems(path), length

    @staticmethod
    def _problems(path: Path) -> list[str]:
        found = []
        for member in members(path):
            if isinstance(member, Member):
                while member.stream.read(1 << 20):
                    pass
            else:
                found.append(member.problem)
        return found

    def test_what_lies_before_the_cut_is_kept_and_not_judged(self, tmp_path: Path) -> None:
        path = compressed(ndjson(logs(300), tmp_path / "log.ndjson"), tmp_path / "log.ndjson.gz")
        path.write_bytes(path.read_bytes()[:-2000])
        found = read(path, gaps=True)
        assert 100 < len(found.events) < 900
        assert found.problems == [
            "the archive is damaged or cut off: Compressed file ended before the end-of-stream marker was reached"
        ]
        assert None not in found.gaps.values()

    def test_a_log_corrupt_in_the_middle_is_kept_up_to_there(self, tmp_path: Path) -> None:
        path = compressed(ndjson(logs(300), tmp_path / "log.ndjson"), tmp_path / "log.ndjson.gz")
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
        path.write_bytes(data)
        with audit(path, select=[CHEAP], fail_on=None) as result:
            (row,) = result.report["inputs"]
            assert "damaged or cut off" in row["problem"]
            assert row["events"] > 0
            assert {run["log_verdict"] for run in result.runs} == {"cannot_tell"}
            assert result.exit_code == ExitCode.CANNOT_TELL

    def test_a_damaged_archive_hides_no_other_file(self, tmp_path: Path) -> None:
        folder = in_folder(tmp_path)
        (folder / "a.tar.gz").write_bytes(b"\x1f\x8b\x08\0 this is no archive")
        (folder / "b.zip").write_bytes(b"PK\x03\x04 nor is this")
        (folder / "c.zst").write_bytes(b"\x28\xb5\x2f\xfd nor this")
        found = read(folder, gaps=True)
        assert len(found.events) == len(log().events)
        assert [name in found.problems[0] for name in ("a.tar.gz: ", "b.zip: ", "c.zst: ")] == [True] * 3
        assert set(found.gaps.values()) == {"its input broke off while it was read"}

    def test_a_damaged_member_of_a_zip_hides_no_other_member(self, tmp_path: Path) -> None:
        path = tmp_path / "logs.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.ndjson", plain(tmp_path).read_bytes())
            archive.writestr("b.ndjson", plain(tmp_path).read_bytes().replace(b"wrun_01K", b"wrun_02K"))
        data = path.read_bytes()
        path.write_bytes(data.replace(b"charge", b"CHARGE", 1))
        found = read(path)
        assert {row["run_id"][:8] for row in found.events} == {"wrun_02K"}
        assert found.problems == ["a.ndjson: the archive is damaged or cut off: Bad CRC-32 for file 'a.ndjson'"]

    def test_a_zip_with_a_password_says_so(self, tmp_path: Path) -> None:
        path = SHAPES[".zip"](tmp_path)
        data = path.read_bytes()
        for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            flag = data.index(header) + at
            data = data[:flag] + b"\x01" + data[flag + 1 :]
        path.write_bytes(data)
        assert read(path).problems == ["log.ndjson: is protected by a password; unpack it first"]

    def test_a_damaged_header_is_not_the_end_of_a_tar(self, tmp_path: Path) -> None:
        path = tmp_path / "logs.tar"
        with tarfile.open(path, "w") as archive:
            for name in ("a", "b", "c"):
                archive.add(plain(tmp_path), f"{name}.ndjson")
        with tarfile.open(path) as archive:
            second = archive.getmember("b.ndjson").offset
        data = bytearray(path.read_bytes())
        data[second] ^= 1
        path.write_bytes(data)
        found = read(path)
        assert len(found.events) == len(log().events)
        assert found.problems == ["the archive is damaged or cut off: bad checksum"]

    def test_two_archives_in_one_file_are_not_half_read(self, tmp_path: Path) -> None:
        path = tar(plain(tmp_path), tmp_path / "one.tar")
        (tmp_path / "two.tar").write_bytes(path.read_bytes() * 2)
        assert read(tmp_path / "two.tar").problems == ["the archive goes on after its end; unpack it first"]
        members_ = compressed(plain(tmp_path), tmp_path / "log.gz")
        members_.write_bytes(members_.read_bytes() * 2)
        assert read(members_).inputs[0]["merged"] == len(log().events)

    def test_a_folder_that_cannot_be_listed_hides_no_other_file(self, tmp_path: Path, monkeypatch) -> None:
        folder = in_folder(tmp_path)
        (folder / "closed").mkdir()
        scan = os.scandir

        def scandir(path: str | int) -> object:
            if str(path).endswith("closed"):
                raise PermissionError(13, "Permission denied")
            return scan(path)

        monkeypatch.setattr(os, "scandir", scandir)
        found = read(folder)
        assert len(found.events) == len(log().events)
        assert found.problems == ["closed/: cannot be read: Permission denied"]


class TestNames:
    """The names in an archive are only ever names."""

    NAMES = ("../../etc/passwd", "/etc/passwd", "C:\\Windows\\log.ndjson", "..", "a/../../../x.ndjson")

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("pack", ["tar", "zip"])
    def test_a_name_that_points_elsewhere_is_only_a_name(self, pack: str, name: str, tmp_path: Path) -> None:
        data = plain(tmp_path).read_bytes()
        (tmp_path / "in").mkdir()
        path = tmp_path / "in" / f"x.{pack}"
        if pack == "tar":
            with tarfile.open(path, "w") as archive:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(zipfile.ZipInfo(name), data)
        before = sorted(tmp_path.rglob("*"))
        passwd = Path("/etc/passwd").stat()
        found = read(path)
        assert {row["name"] for row in found.sources} == {name}
        assert len(found.events) == len(log().events)
        assert sorted(tmp_path.rglob("*")) == before
        assert Path("/etc/passwd").stat() == passwd


ZEROS = 1024**3


@pytest.fixture(scope="module")
def zeros() -> bytes:
    """A gibibyte of zeros, deflated: blocks that stand for themselves, and an empty last one."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(1 << 24)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return block * (ZEROS >> 24) + b"\3\0"


class TestBombs:
    """What expands without end is given up early, with bounded memory."""

    def zip_of(self, zeros: bytes, name: str, path: Path) -> Path:
        """A zip written by hand, so that nobody has to deflate the zeros again."""
        crc, size = b"\0\0\0\0", ZEROS.to_bytes(4, "little")
        sizes = crc + len(zeros).to_bytes(4, "little") + size
        common = b"\x14\0\0\0\x08\0" + bytes(4) + sizes + len(name).to_bytes(2, "little") + b"\0\0"
        local = b"PK\x03\x04" + common + name.encode() + zeros
        central = b"PK\x01\x02\x14\0" + common + bytes(14) + name.encode()
        end = b"PK\x05\x06" + bytes(4) + b"\1\0\1\0"
        end += len(central).to_bytes(4, "little") + len(local).to_bytes(4, "little") + b"\0\0"
        path.write_bytes(local + central + end)
        return path

    @pytest.mark.parametrize("name", ["zeros", "log.ndjson", "events/wrun_x-evnt_y.json", "inner.gz"])
    def test_a_gibibyte_of_zeros_in_a_zip_is_no_log(self, name: str, zeros: bytes, tmp_path: Path) -> None:
        self.refused(self.zip_of(zeros, name, tmp_path / "bomb.zip"))

    def test_a_gibibyte_of_zeros_in_a_gz_is_no_log(self, zeros: bytes, tmp_path: Path) -> None:
        path = tmp_path / "log.ndjson.gz"
        path.write_bytes(b"\x1f\x8b\x08" + bytes(7) + zeros)
        self.refused(path)

    @pytest.mark.parametrize(
        "start", [b'{"runId":"r","eventId":"e","eventType":"t"}\n', b"[", b"runId,eventId,eventType\n"]
    )
    def test_a_bomb_that_begins_as_a_log_is_given_up(self, start: bytes, zeros: bytes, tmp_path: Path) -> None:
        path = tmp_path / "log.gz"
        path.write_bytes(gzip.compress(start) + b"\x1f\x8b\x08" + bytes(7) + zeros)
        self.refused(path)

    def test_a_tar_that_is_a_bomb_is_given_up(self, zeros: bytes, tmp_path: Path) -> None:
        info = tarfile.TarInfo("zeros")
        info.size = ZEROS
        path = tmp_path / "x.tar.gz"
        path.write_bytes(gzip.compress(info.tobuf()) + b"\x1f\x8b\x08" + bytes(7) + zeros)
        found = self.refused(path)
        assert "expands to more than" in found.problems[0]

    @staticmethod
    def refused(path: Path):
        started = time.process_time()
        tracemalloc.start()
        found = read(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert time.process_time() - started < 5
        assert peak < 600 * 1024**2
        assert found.problems[0] or found.rejects
        assert not [row for row in found.events if row["run_id"] != "r"]
        return found

    def test_a_sparse_member_is_not_filled_up(self, tmp_path: Path) -> None:
        first = b'{"runId":"r","eventId":"e","eventType":"run_created"}\n'
        info = tarfile.TarInfo("log.ndjson")
        info.size = len(first)
        huge = str(1 << 50)
        info.pax_headers = {"GNU.sparse.map": f"0,{len(first)}", "GNU.sparse.size": huge}
        path = tmp_path / "x.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(info, io.BytesIO(first))
        assert read(path).problems == ["log.ndjson: is a sparse file in a tar; pack it without --sparse"]

    @pytest.mark.parametrize("pack", [".tar.gz", ".zip"])
    def test_an_archive_has_a_bounded_number_of_members(self, pack: str, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr(module, "MAX_MEMBERS", 3)
        (tmp_path / "many").mkdir()
        for number in range(4):
            ndjson(logs(1), tmp_path / "many" / f"{number}.ndjson")
        source = tmp_path / "many"
        if pack == ".zip":
            path = zipped(source, tmp_path / "x.zip")
        else:
            path = compressed(tar(source, tmp_path / "x.tar"), tmp_path / "x.tar.gz")
        assert read(path).problems == ["holds more than 3 files"]

    def test_all_that_is_packed_in_one_file_counts(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr(module, "RATIO_FREE", 10_000)
        monkeypatch.setattr(module, "MAX_RATIO", 2)
        (tmp_path / "many").mkdir()
        for number in range(20):
            (tmp_path / "many" / f"{number}.txt").write_bytes(b"x" * 2_000)
        path = zipped(tmp_path / "many", tmp_path / "x.zip")
        problems = [member for member in members(path) if isinstance(member, Damaged)]
        assert problems
        assert problems[0].problem.startswith("expands to more than 0 MiB")

    def test_what_expands_beyond_the_bound_is_refused(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr(module, "MAX_EXPANDED", 1024**2)
        path = compressed(ndjson(logs(3000), tmp_path / "log.ndjson"), tmp_path / "log.ndjson.gz")
        found = read(path, gaps=True)
        assert found.problems == ["expands to more than 1 MiB, as no log of its size does; unpack it first"]
        assert 0 < len(found.events) < 9000
        assert None not in found.gaps.values()
