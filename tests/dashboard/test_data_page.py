"""The page Data: logs go in, audits come out, and nothing that a log says is believed."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from pages import SAMPLES, put, visit
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.testing.v1 import AppTest

from auditor import Audit, audit
from dashboard import lifecycle, uploads
from dashboard.service import Service, install
from dashboard.settings import Limits, Role, Settings
from dashboard.views import data_imports, data_upload

HOSTILE = "![x](https://evil.example/x.png) <b>=1+1"


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.text, *app.caption, *app.markdown, *app.error, *app.info))


def test_an_empty_dashboard_offers_the_samples_and_says_how_to_export(empty: Service) -> None:
    app = visit("data")
    assert not app.exception
    assert "Load the sample logs" in [button.label for button in app.button]
    assert any("workflow inspect events" in code.value for code in app.code)


def test_the_samples_are_queued_under_the_names_of_their_folder(empty: Service) -> None:
    app = visit("data")
    next(button for button in app.button if button.label == "Load the sample logs").click().run()
    assert not app.exception
    (entry,) = empty.library.entries()
    assert entry.state == "queued"
    assert entry.name == "sample logs"
    assert (empty.library.uploads(entry.audit_id) / "sample_logs" / "orphaned-wait.ndjson").is_file()


def test_uploaded_files_become_one_audit_and_the_uploader_is_emptied(empty: Service) -> None:
    app = visit("data")
    log = (SAMPLES / "healthy-order.ndjson").read_bytes()
    app.file_uploader[0].set_value([("a.ndjson", log, "text/plain"), ("b.ndjson", log, "text/plain")]).run()
    next(button for button in app.button if button.label == "Audit").click().run()
    assert not app.exception
    (entry,) = empty.library.entries()
    assert (entry.name, entry.state, entry.uploaded_bytes) == ("a.ndjson and 1 more", "queued", 2 * len(log))
    assert sorted(path.name for path in empty.library.uploads(entry.audit_id).iterdir()) == [
        "a.ndjson",
        "b.ndjson",
    ]
    assert not app.file_uploader[0].value


def test_payloads_are_kept_only_on_request_and_with_a_warning(empty: Service) -> None:
    app = visit("data")
    app.checkbox[0].check().run()
    assert any("secrets" in warning.value for warning in app.warning)
    app.file_uploader[0].set_value([("a.ndjson", b"{}", "text/plain")]).run()
    next(button for button in app.button if button.label == "Audit").click().run()
    assert empty.library.entries()[0].keep_payloads


def test_no_more_audits_wait_than_the_limit_says(empty: Service) -> None:
    install(
        Service(
            Settings(empty.settings.folder, limits=Limits(waiting=1)), empty.library, empty.triage, empty.worker
        )
    )
    empty.library.begin("first", "somebody", state="queued")
    app = visit("data")
    app.file_uploader[0].set_value([("a.ndjson", b"{}", "text/plain")]).run()
    next(button for button in app.button if button.label == "Audit").click().run()
    assert "1 audit wait" in app.error[0].value
    assert len(empty.library.entries()) == 1


def test_a_viewer_can_neither_upload_nor_delete_nor_read_the_trail(full: Service) -> None:
    settings = Settings(full.settings.folder, roles={"*": Role.VIEWER})
    install(Service(settings, full.library, full.triage, full.worker))
    (entry,) = full.library.entries()
    upload = visit("data")
    assert not upload.file_uploader
    assert "role triager" in texts(upload)
    imports = visit("data", tab="imports", view=entry.audit_id)
    assert not imports.exception
    assert not [button for button in imports.button if "Delete" in button.label or "Rename" in button.label]
    assert "sha" not in texts(visit("data", tab="trail"))


def test_an_audit_that_runs_shows_its_phase_and_can_be_cancelled(empty: Service) -> None:
    audit_id = empty.library.begin(HOSTILE, "somebody", state="queued")
    assert lifecycle.claim(empty.library)
    lifecycle.tell(empty.library, audit_id, "checking", 5, 10)
    app = visit("data")
    assert HOSTILE in [text.value for text in app.text]
    next(button for button in app.button if button.label == "Cancel").click().run()
    assert empty.library.entry(audit_id).state == "cancelled"  # type: ignore[union-attr]


def test_an_import_says_what_was_read_of_each_file_and_what_it_can_show(full: Service) -> None:
    (entry,) = full.library.entries()
    app = visit("data", tab="imports", view=entry.audit_id)
    assert not app.exception
    listed, inputs, exports, capabilities, *_ = [frame.value for frame in app.dataframe]
    assert list(listed["verdict"]) == ["corrupt"]
    assert inputs["events"].sum() == entry.summary["counts"]["events"]  # type: ignore[index]
    assert any("fences" in records for records in exports["records"])
    assert "fences" in list(capabilities["name"])


def test_a_table_that_is_cut_says_so(empty: Service, tmp_path: Path) -> None:
    log = tmp_path / "bad.ndjson"
    log.write_text((SAMPLES / "healthy-order.ndjson").read_text("utf-8") + '{"broken\n' * 5, "utf-8")
    audit(log, SAMPLES / "orphaned-wait.ndjson", save=tmp_path / "bad.duckdb").close()
    audit_id = put(empty.library, tmp_path / "bad.duckdb", "bad")
    install(replace(empty, settings=replace(empty.settings, limits=Limits(page_rows=1, query_rows=3))))
    app = visit("data", tab="imports", view=audit_id)
    assert "The first 1 of 2 inputs, those with a problem before the others." in texts(app)
    assert "Download the first 3 of 5 as CSV" in [button.label for button in app.get("download_button")]


def test_rejected_rows_are_listed_with_file_line_and_reason(empty: Service, tmp_path: Path) -> None:
    log = tmp_path / "bad.ndjson"
    log.write_text((SAMPLES / "healthy-order.ndjson").read_text("utf-8") + '{"broken\n', "utf-8")
    audit(log, save=tmp_path / "bad.duckdb").close()
    audit_id = put(empty.library, tmp_path / "bad.duckdb", "bad")
    app = visit("data", tab="imports", view=audit_id)
    assert not app.exception
    rejects = next(frame.value for frame in app.dataframe if "reason" in frame.value)
    assert list(rejects["file"]) == ["bad.ndjson"]
    assert len(rejects) == 1


def test_a_failure_is_shown_as_plain_text(empty: Service) -> None:
    audit_id = empty.library.begin(HOSTILE, "somebody", state="queued")
    lifecycle.fail(empty.library, audit_id, f"{HOSTILE}: is empty")
    app = visit("data", tab="imports", view=audit_id)
    assert not app.exception
    assert f"{HOSTILE}: is empty" in [text.value for text in app.text]
    assert not [element for element in (*app.markdown, *app.caption) if "evil" in element.value]


def test_reports_that_are_downloaded_at_the_same_time_are_all_whole(full: Service) -> None:
    (entry,) = full.library.entries()
    asked = ["json", "html", "text"] * 6
    with ThreadPoolExecutor(len(asked)) as pool:
        reports = list(pool.map(partial(data_imports.report, entry), asked))
    assert {name: {text for text, of in zip(reports, asked, strict=True) if of == name} for name in asked} == {
        name: {data_imports.report(entry, name)} for name in asked
    }


def test_an_import_is_renamed(full: Service) -> None:
    (entry,) = full.library.entries()
    app = visit("data", tab="imports", view=entry.audit_id)
    app.text_input(key=f"data.rename.{entry.audit_id}").set_value("nightly").run()
    next(button for button in app.button if button.label == "Rename it").click().run()
    assert full.library.entries()[0].name == "nightly"


def test_an_import_is_deleted_after_a_question(full: Service) -> None:
    (entry,) = full.library.entries()
    app = visit("data", tab="imports", view=entry.audit_id)
    next(button for button in app.button if button.label == "Delete…").click().run()
    assert full.library.entries()
    next(button for button in app.button if button.label == "Delete it").click().run()
    assert not full.library.entries()
    assert not full.library.file(entry.audit_id).exists()


def test_several_imports_are_deleted_at_once(full: Service) -> None:
    full.library.begin("second", "somebody", state="queued")
    app = visit("data", tab="imports")
    next(button for button in app.button if button.label.startswith("Delete several")).click().run()
    app.multiselect(key="data.delete").set_value([entry.audit_id for entry in full.library.entries()])
    next(button for button in app.button if button.label == "Delete them").click().run()
    assert not full.library.entries()


def test_pages_of_imports_and_of_the_trail_stand_in_the_address(full: Service) -> None:
    for number in range(4):
        full.library.begin(f"audit {number}", "somebody", state="queued")
    names = [entry.name for entry in full.library.entries()]
    install(replace(full, settings=replace(full.settings, limits=Limits(page_rows=2))))
    pages = [list(visit("data", tab="imports", at=at).dataframe[0].value["name"]) for at in (1, 2, 3)]
    assert [name for page in pages for name in page] == names
    app = visit("data", tab="trail", at=3)
    assert list(app.dataframe[0].value["no"]) == [1]
    app.segmented_control[0].set_value("imports").run()
    assert "at" not in app.query_params


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (None, "An audit is kept until somebody deletes it."),
        (30, "An audit is deleted 30 days after it came here (--retention-days)."),
    ],
)
def test_it_says_how_long_audits_are_kept(days: int | None, told: str, empty: Service) -> None:
    install(replace(empty, settings=replace(empty.settings, retention_days=days)))
    assert told in texts(visit("data"))
    assert told in texts(visit("data", tab="imports"))


def test_the_trail_shows_the_last_action_first(full: Service) -> None:
    (entry,) = full.library.entries()
    full.library.rename(entry.audit_id, "nightly", "somebody")
    (trail,) = visit("data", tab="trail").dataframe
    assert list(trail.value["action"]) == ["rename", "import"]


def test_an_upload_is_audited_and_leads_to_its_overview(empty: Service) -> None:
    empty.worker.start()
    app = visit("data")
    log = (SAMPLES / "orphaned-wait.ndjson").read_bytes()
    app.file_uploader[0].set_value([("orphan.ndjson", log, "text/plain")]).run()
    next(button for button in app.button if button.label == "Audit").click().run()
    (entry,) = empty.library.entries()
    until = time.monotonic() + 60
    while empty.library.entries()[0].state in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.05)
    app.run()
    assert not app.exception
    assert any("1 run," in text.value for text in app.text)
    with Audit.open(empty.library.file(entry.audit_id)) as made:
        assert [row["path"] for row in made.report["inputs"]] == ["orphan.ndjson"]


def test_what_was_uploaded_is_let_go_when_it_is_audited_or_something_else_is_uploaded(empty: Service) -> None:
    for label in ("Audit", None):
        app = visit("data")
        app.file_uploader[0].set_value([("a.ndjson", b"{}", "text/plain")]).run()
        with patch.object(MemoryUploadedFileManager, "remove_session_files") as removed:
            if label is None:
                app.segmented_control[-1].set_value("folder").run()
            else:
                next(button for button in app.button if button.label == label).click().run()
        assert not app.exception
        removed.assert_called()


def test_what_arrived_in_part_is_not_audited(empty: Service) -> None:
    app = visit("data")
    app.file_uploader[0].set_value([("a.ndjson", b"{}", "text/plain")])
    empty.lost.note("test session id", "The upload came too slowly")
    app.run()
    assert "1 file did not arrive. The upload came too slowly (1)." in app.error[0].value
    assert next(button for button in app.button if button.label == "Audit").disabled
    next(button for button in app.button if button.label == "Start over").click().run()
    assert not app.exception
    assert not app.error
    assert not empty.library.entries()


@pytest.mark.parametrize("change", ["INSERT ON audit", "INSERT ON upload", "UPDATE ON audit"])
def test_an_upload_that_finds_a_full_disk_says_so(empty: Service, change: str) -> None:
    with empty.library.state.change() as con:
        con.execute(f"CREATE TRIGGER full_disk BEFORE {change} BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    app = visit("data")
    app.file_uploader[0].set_value([("a.ndjson", b"{}", "text/plain")]).run()
    next(button for button in app.button if button.label == "Audit").click().run()
    assert not app.exception
    assert "could not keep the upload" in app.error[0].value
    assert not empty.library.entries()


def test_a_folder_of_too_many_files_is_refused(empty: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_upload, "MOST_FILES", 1)
    app = visit("data")
    app.file_uploader[0].set_value([("a", b"{}", "text/plain"), ("b", b"{}", "text/plain")]).run()
    next(button for button in app.button if button.label == "Audit").click().run()
    assert "1 files" in app.error[0].value
    assert not empty.library.entries()


@pytest.mark.parametrize(
    "names",
    [
        [f"logs/{number}.json" for number in range(5000)],
        ["log.json"] * 5000,
        [*(f"{number}-log.json" for number in range(2000)), "log.json", *["log.json/x"] * 2000],
    ],
    ids=["all differ", "all the same", "all but free"],
)
def test_many_names_take_no_longer_each(empty: Service, names: list[str]) -> None:
    audit_id = empty.library.begin("x", "somebody")
    started = time.process_time()
    uploads.receive(empty.library, audit_id, ((name, io.BytesIO(b"x")) for name in names))
    assert time.process_time() - started < 10
    assert empty.library.state.rows("SELECT count(*) AS files FROM upload") == [{"files": len(names)}]


def test_names_of_uploads_cannot_leave_their_folder_nor_overwrite_each_other(empty: Service) -> None:
    audit_id = empty.library.begin("x", "somebody")
    names = ["../../etc/passwd", "a.json", "A.json", "a.json/b.json", "\x00\x1b[2J", "-", "sqlite:x"]
    uploads.receive(empty.library, audit_id, ((name, io.BytesIO(b"x")) for name in names))
    folder = empty.library.uploads(audit_id)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == len(names)
    assert sorted(path.relative_to(folder).as_posix() for path in files) == sorted(
        row["name"] for row in empty.library.state.rows("SELECT name FROM upload")
    )
    assert not [path for path in files if not path.name.isprintable()]
