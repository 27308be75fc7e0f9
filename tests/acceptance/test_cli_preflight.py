"""`burst preflight` and the preflight of `burst run` as an operator meets them: bounded, shown, and interrupted."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from burst.cli import main
from burst.control import preflight
from tests import waiting

Shown = pytest.CaptureFixture[str]

PLAN = """\
schema: burst.plan/v1
phase: M10.F
scope: fresh
environment: dev
target: {{kind: local, tasks: 2}}
load: {{{program}, host: "{host}", rate: 1200}}
budget: {{max: 90m, operator_cap: 20m, min_window: 15m, stop_grace: 1s}}
receipts: {{dsn: env:PREFLIGHT_DSN}}
baseline: {{admits: 300, seconds: 60, source: "a made-up reference"}}
gates: {{multiplier: 2.0, admit_ratio: 0.995}}
"""
PROGRAM = "command: [python, -c, pass], waits_for_go: true"


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of somebody who takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def plan(deaf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan whose database and host are deaf, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFLIGHT_DSN", f"postgresql://reader:a-word-nobody-sees@{deaf}/ig")
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.format(program=PROGRAM, host=f"http://{deaf}"))
    return path


@pytest.mark.parametrize("command", ["preflight", "run"])
def test_what_preflight_waits_for_is_said_while_it_waits_and_quiet_says_nothing(
    command: str, plan: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setattr(preflight, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(preflight, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(preflight, "OVERTIME_SECONDS", 0.3)

    code = main.main([command, str(plan)])
    said = capsys.readouterr().err
    quiet = main.main([command, str(plan), "--quiet"])

    assert (code, quiet) == (4, 4)
    assert "preflight: waiting for " in said
    assert "canary" in said.partition("preflight: waiting for ")[2].partition("\n")[0]
    assert "waiting" not in capsys.readouterr().err


def test_a_bounded_rerun_is_preflighted_as_it_will_be_run(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setattr(preflight, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(preflight, "OVERTIME_SECONDS", 0.2)
    (tmp_path / "prior.json").write_text("no snapshot")
    bounded = ["--only", "M10F-B1", "--prior", str(tmp_path / "prior.json"), "--execution-id", "m10_named"]

    code = main.main(["preflight", str(plan), "--json", "--quiet", *bounded])

    document = json.loads(capsys.readouterr().out)
    seen = {finding["check"]: finding["status"] for finding in document["findings"]}
    assert (code, document["execution_id"], seen["prior"]) == (4, "m10_named", "refused")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_preflight_leaves_no_process_behind(
    number: signal.Signals, code: int, plan: Path, deaf: str, tmp_path: Path
) -> None:
    (tmp_path / "load.py").write_text(
        "import os, time\nopen('pid.new', 'w').write(str(os.getpid()))\nos.rename('pid.new', 'pid')\ntime.sleep(600)\n"
    )
    plan.write_text(PLAN.format(program="locustfile: load.py", host=f"http://{deaf}"))
    command = [sys.executable, "-m", "burst", "preflight", str(plan)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        waiting.until((tmp_path / "pid").exists, seconds=30, what="Locust to import the locustfile")
        importing = psutil.Process(int((tmp_path / "pid").read_text()))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()

    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    waiting.until(lambda: not importing.is_running(), seconds=5, what="the process that imports to be gone")
