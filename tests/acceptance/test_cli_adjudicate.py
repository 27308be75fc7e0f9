"""`burst adjudicate` as a user types it: the golden figures to the last digit, and nothing but canonical bytes."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from burst.cli import main
from burst.domain.basics import canonical
from burst.domain.documents import document_names
from tests import cases, waiting

PLAN = """\
schema: burst.plan/v1
phase: M10.F
scope: platform_20260219T234150Z
environment: dev
target: {kind: local, tasks: 2}
load: {command: [push-events]}
budget: {max: 90m, min_window: 15m}
receipts: {dsn: "env:IG_ADMISSION_DSN"}
baseline: {admits: 50100, seconds: 7180, source: "m10_e, representative window"}
gates: {multiplier: 3.0, admit_ratio: 0.995}
rerun: {only: [M10F-B1, M10F-B5, M10F-B8]}
"""
WINDOW = {"start_utc": "2026-02-21T02:09:23.500000Z", "end_utc": "2026-02-21T02:32:09.595000Z"}
TASK = {
    "started_utc": WINDOW["start_utc"],
    "stopped_utc": WINDOW["end_utc"],
    "stop_code": "UserInitiated",
    "exit_code": 143,
    "stopped_by": "controller",
}
IDENTITY = {"execution_id": cases.EXECUTION_ID, "platform_run_id": cases.SCOPE}
TASK_RESULT = {
    "schema": "burst.task-result/v1",
    **IDENTITY,
    "started_utc": WINDOW["start_utc"],
    "stopped_utc": WINDOW["end_utc"],
    "tasks": [{"id": "task-0", **TASK}, {"id": "task-1", **TASK}],
}
METRICS = {
    "schema": "burst.metrics/v1",
    **IDENTITY,
    "window": WINDOW,
    "counts": {"ADMIT": 0, "DUPLICATE": 10002, "QUARANTINE": 0, "other": 0},
}
MINIMAL_PRIOR = {
    "phase": "M10.F",
    "execution_id": cases.PRIOR_EXECUTION_ID,
    "blockers": ["M10F-B1", "M10F-B5", "M10F-B8"],
    "overall_pass": False,
}


def burst(*arguments: str | Path) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "burst", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=waiting.PROCESS_SECONDS)


def write(folder: Path, **documents: object) -> list[str]:
    """Writes documents and gives the options that name them; `task_result` is `--task-result`."""
    words = []
    for name, value in documents.items():
        path = folder / f"{name}.json"
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        words += [f"--{name.replace('_', '-')}", str(path)]
    return words


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


@pytest.mark.parametrize("prior", [MINIMAL_PRIOR, cases.prior("B1", "B5", "B8")], ids=["minimal", "full"])
def test_the_duplicate_only_rerun_holds_on_the_profile_alone(plan: Path, tmp_path: Path, prior: dict[str, Any]) -> None:
    given = write(tmp_path, task_result=TASK_RESULT, metrics=METRICS, prior=prior)

    first, second = (burst("adjudicate", "--plan", plan, *given) for _ in range(2))
    snapshot = json.loads(first.stdout)

    assert first.returncode == second.returncode == 3
    assert first.stdout == second.stdout == canonical.encode(snapshot)
    assert snapshot["blockers"] == ["M10F-B1"]
    assert snapshot["overall_pass"] is False
    assert snapshot["baseline_extract"]["admits_per_minute"] == 418.66295264623955
    assert snapshot["burst_load_checks"]["achieved_multiplier"] == {"value": 0.0, "threshold": 3.0, "pass": False}
    assert snapshot["burst_load_checks"]["admit_ratio"] == {"value": 0.0, "threshold": 0.995, "pass": False}
    assert snapshot["burst_load_checks"]["duration_seconds"] == {"value": 1366.095, "threshold": 900, "pass": True}
    assert snapshot["runtime_budget"]["budget_pass"] is True
    assert snapshot["runtime_budget"]["elapsed_seconds"] == 1366.095
    assert snapshot["runtime_budget"]["budget_seconds"] == 5400
    assert first.stderr.decode().startswith("HOLD  M10.F")


def run(*arguments: str | Path) -> int:
    """`burst` within this process, for speed."""
    return main.main([str(word) for word in arguments])


def test_what_is_missing_is_open(plan: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code = run("adjudicate", "--plan", plan)

    assert code == 3
    assert json.loads(capfdbinary.readouterr().out)["blockers"] == list(cases.ALL_BLOCKERS)


def test_bad_content_in_a_file_opens_blockers_and_is_no_error(
    plan: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    given = write(tmp_path, task_result=TASK_RESULT, metrics=b"not json", prior=MINIMAL_PRIOR)

    code = run("adjudicate", "--plan", plan, *given)
    snapshot = json.loads(capfdbinary.readouterr().out)

    assert code == 3
    assert snapshot["blockers"] == ["M10F-B1", "M10F-B5"]  # B8 rests on the task result alone


@pytest.mark.parametrize(
    "option",
    [
        "--task-result",
        "--metrics",
        "--facts",
        "--baseline",
        "--prior",
        "--prior-plan",
        "--attempt",
        "--preflight",
        "--plan",
    ],
)
def test_a_named_file_that_is_not_there_is_a_usage_error(
    plan: Path, option: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    code = run("adjudicate", "--plan", plan, option, plan.parent / "nowhere.json")
    shown = capfdbinary.readouterr()

    assert code == 2
    assert shown.out == b""
    assert f"{option} {plan.parent / 'nowhere.json'} is not there".encode() in shown.err


def test_json_is_exactly_the_canonical_bytes(plan: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run("adjudicate", "--plan", plan)
    plain = capfdbinary.readouterr().out
    run("adjudicate", "--plan", plan, "--json", "--quiet")
    shown = capfdbinary.readouterr()

    assert shown.out == plain == canonical.encode(json.loads(plain))
    assert shown.err == b""


def test_the_snapshot_goes_to_a_new_file_only(
    plan: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    target = tmp_path / "snapshot.json"

    assert run("adjudicate", "--plan", plan, "-o", target) == 3
    assert capfdbinary.readouterr().out == b""
    assert json.loads(target.read_bytes())["overall_pass"] is False
    assert run("adjudicate", "--plan", plan, "-o", target) == 2
    assert b"nothing was overwritten" in capfdbinary.readouterr().err


@pytest.mark.parametrize("words", [["--only", "M10F-B1,M10F-B8"], ["--only", "M10F-B1", "--only", "M10F-B8"]])
def test_only_bounds_the_rerun_further(
    plan: Path, tmp_path: Path, words: Sequence[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    given = write(tmp_path, task_result=TASK_RESULT, metrics=METRICS, prior=MINIMAL_PRIOR)

    run("adjudicate", "--plan", plan, *given, *words)
    register = json.loads(capfdbinary.readouterr().out)["blocker_register"]

    assert [entry["blocker"] for entry in register if entry["state"] != "carried"] == ["M10F-B1", "M10F-B8"]


def test_a_rerun_of_a_cleared_blocker_is_refused(
    plan: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    given = write(tmp_path, prior=MINIMAL_PRIOR)

    code = run("adjudicate", "--plan", plan, *given, "--only", "M10F-B2")
    shown = capfdbinary.readouterr()

    assert (code, shown.out) == (2, b"")
    assert b"open there: M10F-B1, M10F-B5, M10F-B8" in shown.err


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"interruption": {"signal": "SIGINT", "at_utc": WINDOW["end_utc"]}}, 130),
        ({"interruption": {"signal": "SIGTERM", "at_utc": WINDOW["end_utc"]}}, 143),
        ({"stopped_utc": None, "tasks": [{"id": "task-0", **TASK, "stopped_utc": None}]}, 6),
    ],
    ids=["SIGINT", "SIGTERM", "a task may still run"],
)
def test_the_exit_code_is_the_snapshots(
    plan: Path, tmp_path: Path, change: dict[str, Any], code: int, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    given = write(tmp_path, task_result={**TASK_RESULT, **change}, metrics=METRICS, prior=MINIMAL_PRIOR)

    assert run("adjudicate", "--plan", plan, *given) == code
    assert json.loads(capfdbinary.readouterr().out)["exit_code"] == code


def test_a_pass_exits_0(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    case = cases.passing().having(preflight=cases.preflight())
    given = write(
        tmp_path,
        plan=case.plan.document(),
        task_result=case.contents[cases.TASK_RESULT],
        metrics=case.contents[cases.METRICS],
        facts=case.contents[cases.FACTS],
        baseline=case.contents[document_names.BASELINE],
        preflight=case.contents[document_names.preflight_name("m10_f")],
    )

    code = run("adjudicate", *given)
    shown = capfdbinary.readouterr()

    assert code == 0
    assert shown.out == case.verdict().content
    assert shown.err.startswith(b"PASS")
