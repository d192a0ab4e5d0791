"""`auditor stress` and `auditor world work` as commands: what they print, refuse and return."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

QUICK = [
    "--count",
    "4",
    "--iterations",
    "2",
    "--sleep-ms",
    "50",
    "--fire-after-ms",
    "50",
    "--fire-jitter-ms",
    "50",
]

SHOP = """
from auditor.runtime import step, workflow

@step
def charge(item):
    return f"charged for {item}"

@workflow
async def order(ctx, item):
    await ctx.sleep(0.05)
    return await ctx.step(charge, item)

def plain():
    pass
"""


def test_an_experiment_that_ends_well_says_so_and_keeps_its_log(auditor: Any, tmp_path: Path) -> None:
    done = auditor("stress", *QUICK, "--export", "log.ndjson")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["completed", "4"] in rows
    assert ["acknowledged,", "not", "in", "the", "log", "0"] in rows
    assert "0 corrupt, 0 cannot_tell, 0 suspect, 4 sound" in done.stdout
    manifest = json.loads((tmp_path / "log.ndjson").read_text().splitlines()[0])
    assert manifest["fencePolicy"] == "full"
    assert auditor("check", "log.ndjson").returncode == 0


def test_cycles_add_up_on_one_world(auditor: Any) -> None:
    url = "sqlite:///kept.db"
    done = auditor("stress", *QUICK, "--cycles", "2", "--serialise", "--store", url)
    assert (done.returncode, "8 runs in" in done.stdout) == (0, True)
    assert auditor("world", "verify", url).stdout.startswith("sound: 8 runs")


def test_runs_that_do_not_end_in_time_are_left_running_and_make_the_exit_code_1(auditor: Any) -> None:
    done = auditor("stress", *QUICK, "--sleep-ms", "60000", "--fire-count", "0", "--timeout", "1")
    assert done.returncode == 1
    assert ["running", "4"] in [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--latency-ms", "fast"], "150-250"),
        (["--latency-ms", "9-3"], "150-250"),
        (["--fence", "some"], "wait_completed_only"),
        (["--count", "0"], "--count"),
        (["--workers", "2", "--store", "memory://"], "of one process"),
        (["--store", "orders.db"], "is no URL of a world"),
        (["--export", "there.ndjson"], "exists already"),
    ],
)
def test_misuse_is_said_before_anything_is_run(
    auditor: Any, tmp_path: Path, options: list[str], words: str
) -> None:
    (tmp_path / "there.ndjson").write_text("")
    done = auditor("stress", *QUICK, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("shop", "module:function"),
        ("nowhere:order", "No module named 'nowhere'"),
        ("shop:nothing", "shop has no nothing; workflows declared so far:"),
        ("shop:plain", "plain is no workflow; write @workflow above it"),
        ("broken:order", "cannot import broken"),
    ],
)
def test_a_worker_says_what_is_wrong_with_the_name_of_a_workflow(
    auditor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, words: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "broken.py").write_text("1 / 0")
    auditor("world", "init", "sqlite:///shop.db")
    done = auditor("world", "work", "sqlite:///shop.db", "--workflow", place)
    sys.modules.pop("shop", None)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_works_until_it_is_told_to_stop_logs_json_and_serves_its_counters(
    auditor: Any, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "customer.py").write_text(
        "import asyncio, shop\nfrom auditor.runtime import start\nfrom auditor.world import open_world\n"
        "async def main():\n    async with await open_world('sqlite:///shop.db') as world:\n"
        "        await start(world, shop.order, 'tea')\nasyncio.run(main())\n"
    )
    auditor("world", "init", "sqlite:///shop.db")
    subprocess.run([sys.executable, "customer.py"], cwd=tmp_path, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("auditor")), "world", "work", "sqlite:///shop.db"]
    with subprocess.Popen(
        [*command, "--workflow", "shop:order", "--metrics-port", str(port)], cwd=tmp_path, stderr=subprocess.PIPE
    ) as worker:
        end = time.monotonic() + 30
        while "completed" not in auditor("world", "runs", "sqlite:///shop.db").stdout:
            assert time.monotonic() < end
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            served = answer.read().decode()
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert 'auditor_worker_steps_total{result="completed"} 1.0' in served
    lines = [json.loads(line) for line in said.decode().splitlines()]
    assert [line["message"] for line in lines] == ["worker started", "worker stopped"]
    assert {"at", "level", "writer_id"} <= lines[0].keys()
    assert lines[-1]["counts"]["appends{site=terminal}"] == 1
