"""`burst rehearse` as a process: an ECS plan, unchanged, from launch to verdict on this machine and nowhere else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
import pytest

from burst.cli import main
from tests import journalled, waiting

pytestmark = pytest.mark.timeout(400)

ROOT = Path(__file__).parents[2]
API_KEY = "a-key-of-the-rehearsal-4711"

PLAN = """\
schema: burst.plan/v1
phase: M10.F
scope: fresh
environment: dev
target:
  kind: ecs
  tasks: 2
  cluster: burst-dev
  task_definition: burst-task:2
  container: burst
  capacity: [FARGATE_SPOT, FARGATE]
  subnets: [subnet-a]
  security_groups: [sg-a]
load:
  command: [python, {sender}]
  host: http://ingest.internal:8080
  rate: 1200
  waits_for_go: true
  api_key: env:REHEARSED_API_KEY
  environment: {{PYTHONPATH: "{watching}", CONNECTIONS: "{connections}"}}
layers: {{require: [guard, sidecar, lease, schedule], lease_ttl: 8s}}
budget: {{max: {cap}s, operator_cap: {cap}s, min_window: {window}s, stop_grace: 1s, start_timeout: 60s}}
receipts: {{dsn: env:REHEARSED_DSN, bucket: 1s, settle: 200ms}}
baseline: {{admits: 300, seconds: 60, source: "a made-up reference"}}
gates: {{multiplier: 0.5, admit_ratio: 0.995, offered_load: 0.1}}
evidence:
  local: runs
  run_control: s3://evidence/dev/run_control
  run_scoped: s3://evidence/runs
"""

WATCHING = """\
import os
import sys


def heard(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        address = arguments[1] if event != "socket.getaddrinfo" else (arguments[0], arguments[1])
        if isinstance(address, tuple):
            with open(os.environ["CONNECTIONS"], "a") as file:
                file.write(f"{os.path.basename(sys.argv[0] or '-')} {address[0]}\\n")


sys.addaudithook(heard)
"""
"""What every Python of the rehearsal is started with: each address it asks the network for is written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A folder with a plan, and what leaves it."""

    folder: Path

    @property
    def connections(self) -> Path:
        """Where every address is written down."""
        return self.folder / "connections"

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """`burst` with these words."""
        watching = f"{self.folder / 'watching'}:{ROOT}"
        added = {"REHEARSED_API_KEY": API_KEY, "PYTHONPATH": watching, "CONNECTIONS": str(self.connections)}
        return subprocess.Popen(
            [sys.executable, "-m", "burst", *words],
            cwd=self.folder,
            env={**os.environ, **added},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def burst(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`burst` with these words, to its end."""
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=600)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def events(self) -> list[str]:
        """The names of the events in the journal of the one run."""
        journals = [*self.folder.glob("runs/rehearsal_*/rehearsal_*/journal.jsonl")]
        return [event["event"] for journal in journals[:1] for event in journalled.whole_events(journal)]

    def processes(self) -> list[psutil.Process]:
        """Every process that was started from this folder's rehearsal, by what stands in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("CONNECTIONS") == str(self.connections):
                    found.append(process)
            except psutil.Error:
                continue
        return found


Rehearsing = Callable[..., Rehearsal]


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[Rehearsing]:
    """Makes the rehearsal of a window and a cap in seconds; whatever of it still runs when the test ends is ended."""
    yield lambda *, window, cap: _make_rehearsal(tmp_path, window=window, cap=cap)
    for process in Rehearsal(folder=tmp_path).processes():
        process.kill()


def _make_rehearsal(folder: Path, *, window: int, cap: int) -> Rehearsal:
    made = Rehearsal(folder=folder)
    (folder / "watching").mkdir()
    (folder / "watching" / "sitecustomize.py").write_text(WATCHING)
    sender, watching = ROOT / "locustfiles" / "sender.py", f"{folder / 'watching'}:{ROOT}"
    text = PLAN.format(sender=sender, watching=watching, connections=made.connections, window=window, cap=cap)
    (folder / "plan.yaml").write_text(text)
    return made


def test_a_plan_passes_on_a_simulated_aws_leaves_nothing_running_and_never_leaves_loopback(
    rehearsal: Rehearsing,
) -> None:
    played = rehearsal(window=3, cap=90)

    answer = played.burst("rehearse", "plan.yaml", "--json")

    document: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == document["exit_code"] == 3, answer.stderr  # the plan asks nothing behind B2, B6 and B7
    assert document["snapshot"]["blockers"] == ["M10F-B2", "M10F-B6", "M10F-B7"]
    (load_document,) = played.folder.glob("runs/rehearsal_*/rehearsal_*/m10_f_load.json")
    load = json.loads(load_document.read_bytes())
    assert [task["shard_index"] for task in load["tasks"]] == [0, 1]  # the guards put them on S3
    assert sum(task["acknowledged"] for task in load["tasks"]) > 0
    assert document["snapshot"]["burst_load_checks"]["achieved_multiplier"]["pass"] is True
    assert document["tasks_left"] == 0
    assert played.processes() == []
    assert API_KEY not in answer.stdout + answer.stderr
    assert played.burst("verify", document["folder"]).returncode == 3
    asked = {tuple(line.rsplit(" ", 1)) for line in played.connections.read_text().splitlines()}
    assert [(program, host) for program, host in asked if not _on_loopback(host)] == []
    assert {"__main__.py", "guard.py", "sender.py"} <= {program for program, _ in asked}


def test_workers_of_three_simulated_tasks_join_the_master_of_the_first(tmp_path: Path, rehearsal: Rehearsing) -> None:
    played = rehearsal(window=6, cap=240)
    plan = tmp_path / "plan.yaml"
    text = plan.read_text().replace("tasks: 2", "tasks: 3").replace("  waits_for_go: true\n", "")
    program, profile = f"command: [python, {ROOT / 'locustfiles' / 'sender.py'}]", ROOT / "locustfiles" / "ingest.py"
    plan.write_text(text.replace(program, f"locustfile: {profile}\n  topology: distributed"))

    answer = played.burst("rehearse", "plan.yaml", "--json")

    document: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == document["exit_code"] == 3, answer.stderr  # the plan asks nothing behind B2, B6 and B7
    assert document["snapshot"]["blockers"] == ["M10F-B2", "M10F-B6", "M10F-B7"]
    (load_document,) = played.folder.glob("runs/rehearsal_*/rehearsal_*/m10_f_load.json")
    tasks = json.loads(load_document.read_bytes())["tasks"]
    assert [(task["shard_index"], task["knows_due"]) for task in tasks] == [(0, True), (1, True), (2, True)]
    assert max(task["due"] for task in tasks) - min(task["due"] for task in tasks) <= 20  # of 20 a second in all
    assert document["snapshot"]["burst_load_checks"]["achieved_multiplier"]["pass"] is True
    assert document["tasks_left"] == 0
    assert played.processes() == []


def _on_loopback(host: str) -> bool:
    return host == "localhost" or ip_address(host).is_loopback


def test_a_controller_that_a_fault_kills_is_followed_by_a_resume_that_settles_the_run(rehearsal: Rehearsing) -> None:
    played = rehearsal(window=5, cap=45)
    ordered = ("controller-kill@bursting+1", "ecs-down@bursting+1+3", "s3-down@3600", "sts-down@reconciling+600")
    words = [word for fault in ordered for word in ("--fault", fault)]

    answer = played.burst("rehearse", "plan.yaml", "--json", *words)

    document: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == document["exit_code"] == document["snapshot"]["exit_code"]
    assert answer.returncode == 3, answer.stderr
    assert document["faults"] == ["controller-kill", "ecs-down", "s3-down", "sts-down"]
    assert document["faults_not_reached"] == ["s3-down", "sts-down"]
    assert "the controller was killed" in answer.stderr
    assert document["tasks_left"] == 0
    assert played.processes() == []
    events = played.events()
    assert events.index("go-given") < events.index("resumed")


DRILL = """\
services: [{name: ingest-writer, environment: {PLATFORM_RUN: "{scope}"}}]
observe:
  every: 2s
  settle: 500ms
  series:
    - {name: ready, sql: "select 1", rules: [{blocker: M10F-B7, aggregate: min, over: after recovery, at_least: 1}]}
during:
  - name: restart-writer
    at: 2s
    restart: {service: ingest-writer}
    recover_within: 12s
    recovered_when: {series: ready, equals: 1, sustained: 2s}
"""


@pytest.mark.parametrize("fault", [None, "controller-kill@bursting+3"], ids=["undisturbed", "controller killed"])
def test_a_service_is_rolled_restarted_once_and_put_back(
    tmp_path: Path, rehearsal: Rehearsing, fault: str | None
) -> None:
    played = rehearsal(window=22, cap=150)
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan.read_text() + DRILL)

    answer = played.burst("rehearse", "plan.yaml", "--json", *(["--fault", fault] if fault else []))

    document: dict[str, Any] = json.loads(answer.stdout)
    snapshot = document["snapshot"]
    gates = {gate["name"]: gate for gate in snapshot["gates"]}
    drilled = [gates[f"{name}restart-writer"] for name in ("restart:", "rto:", "drill_windows:", "drill_undone:")]
    assert gates["restart:restart-writer"]["measured"] == gates["restart:restart-writer"]["required"] > 0
    assert gates["services_back"]["status"] == "PASS"
    (drill,) = snapshot["drills"]
    if fault is None:
        assert {gate["status"] for gate in drilled} == {"PASS"}, [gate["why"] for gate in drilled]
        assert gates["observed:ready.min.after"]["status"] == "PASS"
        assert snapshot["blockers"] == ["M10F-B2", "M10F-B6"], answer.stderr
        assert drill["restart_to_stable_seconds"] <= 12.0
    else:  # samples that the dead controller did not take may show the recovery late or not at all, and that holds
        assert {gates["restart:restart-writer"]["status"], gates["drill_undone:restart-writer"]["status"]} == {"PASS"}
    assert played.events().count("drill-intended") == 1
    (result,) = played.folder.glob("runs/rehearsal_*/rehearsal_*/m10_f_task_result.json")
    (service,) = json.loads(result.read_bytes())["services"]
    assert service["definition_before"].endswith("ingest-writer:1")
    assert service["definition"].endswith("ingest-writer:2")
    assert service["restored"] is True
    assert "and to" in service["detail"] or "again" in service["detail"]


WRITERS = """\
services: [{name: ingest-writer, desired: 1}]
observe:
  every: 3s
  settle: 500ms
  series:
    - {name: writers, service: ingest-writer, rules: [{blocker: M10F-B7, aggregate: min, at_least: LEAST}]}
"""


@pytest.mark.parametrize(("least", "status"), [(1, "PASS"), (32, "FAIL")], ids=["as many as asked", "dropped"])
def test_a_service_with_fewer_tasks_than_asked_holds_the_phase(
    tmp_path: Path, rehearsal: Rehearsing, least: int, status: str
) -> None:
    played = rehearsal(window=8, cap=80)
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan.read_text() + WRITERS.replace("LEAST", str(least)))

    answer = played.burst("rehearse", "plan.yaml", "--json")

    assert answer.stdout, answer.stderr
    snapshot = json.loads(answer.stdout)["snapshot"]
    gates = {gate["name"]: gate for gate in snapshot["gates"]}
    assert gates["observed:writers.min"]["status"] == status, gates["observed:writers.min"]["why"]
    assert ("M10F-B7" in snapshot["blockers"]) == (status == "FAIL")


SOAK = """\
kind: soak
services: [{name: ingest-writer, desired: 1}]
facts:
  - {blocker: M10G-B3, name: stalled, sql: "select 0", equals: 0}
  - {blocker: M10G-B5, name: drift, sql: "select 0", equals: 0}
observe:
  every: 3s
  settle: 500ms
  series:
    - {name: writers, service: ingest-writer, rules: [{blocker: M10G-B2, aggregate: min, at_least: 1}]}
"""


@pytest.mark.parametrize("fault", ["service-short@bursting+3+4.5", None], ids=["falls in the middle", "does not fall"])
def test_a_soak_in_which_a_service_loses_a_task_for_a_moment_holds(
    tmp_path: Path, rehearsal: Rehearsing, fault: str | None
) -> None:
    played = rehearsal(window=14, cap=90)
    plan = tmp_path / "plan.yaml"
    lines = [line for line in plan.read_text().splitlines() if not line.startswith(("baseline", "gates"))]
    text = "\n".join(lines).replace("phase: M10.F", "phase: M10.G") + "\ngates: {offered_load: 0.1}\n"
    plan.write_text(text + SOAK)

    answer = played.burst("rehearse", "plan.yaml", "--json", *(() if fault is None else ("--fault", fault)))

    assert answer.returncode in (0, 3), answer.stderr
    snapshot = json.loads(answer.stdout)["snapshot"]
    gate = next(gate for gate in snapshot["gates"] if gate["name"] == "observed:writers.min")
    (document,) = played.folder.glob("runs/rehearsal_*/rehearsal_*/m10_g_observations.json")
    (series,) = json.loads(document.read_bytes())["series"]
    running = [sample["value"] for sample in series["samples"]]
    fallen = [index for index, value in enumerate(running) if value == 0]
    assert (snapshot["kind"], running[0], running[-1]) == ("soak", 1, 1)
    assert (len(fallen) in (1, 2, 3)) == (fault is not None), running
    expected = (0, "PASS", 1, []) if fault is None else (3, "FAIL", 0, ["M10G-B2"])
    assert (answer.returncode, gate["status"], gate["measured"], snapshot["blockers"]) == expected, gate["why"]
    repeated = "" if fault is None else f"burst rehearse plan.yaml --json --fault {fault}"
    assert ("" if snapshot["hold"] is None else snapshot["hold"]["command"]) == repeated


def test_a_rehearsal_that_is_interrupted_leaves_no_process_behind(rehearsal: Rehearsing) -> None:
    played = rehearsal(window=60, cap=180)
    process = played.start("rehearse", "plan.yaml")
    try:
        waiting.until(lambda: "go-given" in played.events(), seconds=120, what="GO")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=waiting.PROCESS_SECONDS)
    finally:
        process.kill()

    assert process.returncode == 130
    waiting.until(lambda: not played.processes(), seconds=30, what="every process of the rehearsal to be gone")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone tells a child of the death")
def test_a_rehearsal_that_is_killed_leaves_no_process_behind(rehearsal: Rehearsing) -> None:
    played = rehearsal(window=60, cap=180)
    process = played.start("rehearse", "plan.yaml")
    try:
        waiting.until(lambda: "go-given" in played.events(), seconds=120, what="GO")
    finally:
        process.kill()
        process.communicate()

    waiting.until(lambda: not played.processes(), seconds=30, what="every process of the rehearsal to be gone")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rehearse",), "give a PLAN"),
        (("rehearse", "plan.yaml", "--fault", "ecs-down"), "NAME@SECONDS"),
        (("rehearse", "plan.yaml", "--fault", "no-such-fault@3"), "allowed are"),
        (("rehearse", "plan.yaml", "--fault", "ecs-down@burst+3"), "no phase; allowed are arming"),
        (("rehearse", "plan.yaml", "--set", "schema=other"), "schema"),
        (("rehearse", "no-such-plan.yaml"), "is not there"),
        (("rehearse", "plan.yaml", "--fault", "ecs-down@3+1", "--fault", "ecs-down@9+1"), "more than once"),
        (("rehearse", "plan.yaml", "--set", "evidence.local=plan.yaml/runs"), "cannot hold a rehearsal"),
    ],
    ids=[
        "no plan",
        "a fault without a time",
        "a fault there is not",
        "a phase there is not",
        "a plan that is none",
        "no such plan",
        "a fault twice",
        "a folder that can hold nothing",
    ],
)
def test_what_cannot_be_rehearsed_is_wrong_usage_and_starts_nothing(
    tmp_path: Path,
    rehearsal: Rehearsing,
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rehearsal(window=3, cap=30)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REHEARSED_API_KEY", API_KEY)

    assert main.main([*words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_local_plan_is_not_rehearsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["init", "--target", "local", "-o", "local.yaml"]) == 0

    assert main.main(["rehearse", "local.yaml"]) == 2
    assert "a rehearsal needs ecs" in capsys.readouterr().err


def test_every_fault_is_listed_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["rehearse", "--list-faults", "--json"]) == 0
    assert {"ecs-down", "controller-kill", "clock-skew"} <= set(json.loads(capsys.readouterr().out))
