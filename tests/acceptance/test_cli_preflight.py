"""`burst preflight` and the preflight of `burst run` as an operator meets them: bounded, shown, and interrupted."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from burst.adapters.postgres import connections, postgres_receipts
from burst.cli import main
from burst.control import preflight
from burst.domain.basics import redaction
from burst.kit import process_tree
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
CLOSED = "127.0.0.1:9"
"""Where nobody listens: whoever asks there is refused at once."""


class ImpatientReceipts(postgres_receipts.PostgresReceipts):
    """Asks a database no longer than a test may live: preflight ends before its questions do."""

    def __init__(self, dsn: redaction.Secret, **options: Any) -> None:
        super().__init__(dsn, timeouts=connections.Timeouts(statement_seconds=1.0, connect_seconds=1.0), **options)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_receipts, "PostgresReceipts", ImpatientReceipts)


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
    monkeypatch.setattr(preflight, "OVERTIME_SECONDS", 0.3)

    for seconds in (0.3, 3.0, 12.0):  # longer where the machine is too slow for any silence within it
        monkeypatch.setattr(preflight, "PATIENCE_SECONDS", seconds)
        code = main.main([command, str(plan)])
        said = capsys.readouterr().err
        if "waiting" in said:
            break
    quiet = main.main([command, str(plan), "--quiet"])

    assert (code, quiet) == (4, 4)
    assert "preflight: waiting for " in said
    assert "canary" in said.partition("preflight: waiting for ")[2].partition("\n")[0]
    assert "waiting" not in capsys.readouterr().err


def test_a_bounded_rerun_is_preflighted_as_it_will_be_run(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("PREFLIGHT_DSN", f"postgresql://reader@{CLOSED}/ig")
    (tmp_path / "prior.json").write_text("no snapshot")
    bounded = ["--only", "M10F-B1", "--prior", str(tmp_path / "prior.json"), "--execution-id", "m10_named"]

    code = main.main(["preflight", str(plan), "--json", "--quiet", "--set", f"load.host=http://{CLOSED}", *bounded])

    document = json.loads(capsys.readouterr().out)
    (prior,) = (finding for finding in document["findings"] if finding["check"] == "prior")
    assert (code, document["execution_id"], prior["status"]) == (4, "m10_named", "refused")
    assert f"rerun.prior {tmp_path / 'prior.json'}: " in prior["seen"]
    assert "not valid JSON" in prior["seen"]


@pytest.mark.parametrize("dsn", [f"postgresql://reader@{CLOSED}/ig", None], ids=["away", "not named"])
def test_a_fact_of_a_database_that_is_away_is_told_with_the_receipts(
    dsn: str | None, plan: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.delenv("PREFLIGHT_DSN")
    if dsn is not None:
        monkeypatch.setenv("PREFLIGHT_DSN", dsn)
    signs = [{"name": "lag", "sql": "select 7", "at_least": 8}]
    closed = ["--set", f"load.host=http://{CLOSED}", "--set", f"stop_when={json.dumps(signs)}"]

    assert main.main(["preflight", str(plan), "--json", "--quiet", *closed]) == (2 if dsn is None else 4)

    every = json.loads(capsys.readouterr().out)["findings"]
    (of_signs,) = [finding for finding in every if finding["check"] == "stop-when"]
    assert of_signs["status"] == "refused"
    assert of_signs["seen"] == "it could not be asked, for the reason that receipts gives"
    assert of_signs["mend"] == ""


@pytest.mark.parametrize("command", ["preflight", "run"])
def test_an_execution_id_that_is_taken_is_said_before_any_check_is_asked(
    command: str, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("PREFLIGHT_DSN", f"postgresql://reader@{CLOSED}/ig")
    (tmp_path / "runs" / "m10_taken").mkdir(parents=True)
    closed = ["--set", f"load.host=http://{CLOSED}"]

    code = main.main([command, str(plan), "--execution-id", "m10_taken", "--runs-dir", "runs", *closed])

    shown = capsys.readouterr()
    assert code == 4
    assert "m10_taken exists; nothing was overwritten; choose another --execution-id" in shown.err
    assert ("preflight" in shown.err.partition("see: ")[0], shown.out) == (False, "")


@pytest.mark.parametrize(
    ("region", "said"),
    [("", "no AWS region is set; set AWS_REGION"), ("eu-west-2", "Unable to locate credentials; set up credentials")],
    ids=["no region", "no credentials"],
)
def test_what_keeps_all_of_aws_from_an_answer_is_told_once(
    region: str, said: str, deaf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setenv("IG_ADMISSION_DSN", f"postgresql://reader@{CLOSED}/ig")
    plan = tmp_path / "plan.yaml"
    assert main.main(["init", "--target", "ecs", "-o", str(plan)]) == 0
    capsys.readouterr()

    code = main.main(
        ["preflight", str(plan), "--json", "--quiet", "--set", f"load.host=http://{deaf}", "--set", "load.canary=false"]
    )

    found = json.loads(capsys.readouterr().out)["findings"]
    telling = [finding for finding in found if said in finding["seen"]]
    unasked = [
        one["check"] for one in found if one["seen"] == "it could not be asked, for the reason that account gives"
    ]
    assert (code, [finding["check"] for finding in telling]) == (4, ["account"])
    assert "AWS_REGION" in telling[0]["mend"]
    assert {"cluster", "task-definition", "program", "network", "quota", "evidence-place"} <= set(unasked)
    assert unasked.count("evidence-write-once") == 2


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
        out, err = process.communicate(timeout=waiting.PROCESS_SECONDS)
    finally:
        process.kill()

    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    waiting.until(lambda: not process_tree.is_living(importing), what="the process that imports to be gone")
