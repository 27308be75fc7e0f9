"""`burst` killed while a program works for it: what only answered it ends with it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests import waiting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone tells a child of the death")
IMPORTS_FOR_EVER = """
import os
import time

with open(os.environ["PID_FILE"] + ".new", "w") as opened:
    opened.write(str(os.getpid()))
os.rename(os.environ["PID_FILE"] + ".new", os.environ["PID_FILE"])
time.sleep(300)
"""
MEASURES = """
import sys
from burst.sandbox import reached_rates
reached_rates.SECONDS = 300.0
reached_rates.measure_reached_rate(host="http://127.0.0.1:9", api_key="key", dsn=sys.argv[1])
"""


def kill_at_work(words: list[str], variables: dict[str, str], find: Callable[[psutil.Process], psutil.Process]) -> None:
    """Kills a process while another one works for it, and waits until that one is gone too."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    process = subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    worker = find(psutil.Process(process.pid))
    process.kill()
    process.wait()

    try:
        waiting.until(lambda: not worker.is_running(), what="what worked for it to be gone")
    finally:
        if worker.is_running():
            worker.kill()


def test_a_locustfile_that_imports_for_ever_ends_with_a_killed_preflight(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(IMPORTS_FOR_EVER)
    plan = {
        "schema": "burst.plan/v1",
        "phase": "M10.F",
        "scope": "platform_20260219T234150Z",
        "environment": "local",
        "target": {"kind": "local", "tasks": 1},
        "load": {"locustfile": str(tmp_path / "endless.py"), "host": "http://127.0.0.1:9", "users": 1},
        "budget": {"max": "10m", "operator_cap": "5m", "min_window": "1m"},
        "receipts": {"dsn": "env:DSN"},
        "baseline": {"admits": 600, "seconds": 60, "source": "a test"},
        "gates": {"multiplier": 1.0, "admit_ratio": 0.5},
        "evidence": {"local": str(tmp_path / "runs")},
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    pid_file = tmp_path / "pid"

    def find(_: psutil.Process) -> psutil.Process:
        waiting.until(pid_file.exists, what="Locust to import the file", seconds=60)
        return psutil.Process(int(pid_file.read_text()))

    variables = {"PID_FILE": str(pid_file), "DSN": "postgresql://127.0.0.1:9/none"}
    kill_at_work(["-m", "burst", "preflight", str(tmp_path / "plan.json")], variables, find)


def test_the_senders_of_a_demo_that_is_killed_end_with_it(database_dsn: str) -> None:
    def find(demo: psutil.Process) -> psutil.Process:
        def find_sender() -> psutil.Process | None:
            return next((child for child in demo.children() if "burst.load.profiles.sender" in child.cmdline()), None)

        return waiting.until(find_sender, what="a sender", seconds=60)

    kill_at_work(["-c", MEASURES, database_dsn], {}, find)
