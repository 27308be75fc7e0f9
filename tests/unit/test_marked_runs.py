"""A run whose folder is not here is found, and stopped, by the marks of its tasks."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from burst.adapters.local import file_leases
from burst.cli import main, run
from burst.domain.basics import canonical, instants
from burst.domain.tasks import leases
from burst.kit import process_tree
from burst.wiring import preparing
from tests import cases, waiting

RUN = f"m10_elsewhere_{os.getpid()}"
"""A name of this process alone: tasks are found by their marks, and other tests run beside these."""

FINISHED = Path(__file__).parents[1] / "fixtures/documents/v1/0.1.0/m10_pass"
"""A run to its end; GO is the event of the 19th line of its journal."""


@pytest.fixture
def marked(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that carries the marks of a task of a run, whose folder nobody looks in."""
    folder = tmp_path / "other" / RUN
    folder.mkdir(parents=True)
    lease = file_leases.FileLeaseStore(folder / "control.json")
    now = instants.parse("2026-02-21T02:00:00Z")
    lease.create(
        leases.Lease(
            execution_id=RUN, state=leases.LeaseState.GO, deadline=instants.later(now, 1e9), beat=1, heartbeat_at=now,
            go_at=now,
        )
    )  # fmt: skip
    variables = {
        process_tree.TASK_MARK: process_tree.format_mark(RUN, 0),
        "BURST_CONTROL_URI": lease.uri,
        "BURST_DEADLINE_UTC": "2099-01-01T00:00:00Z",
    }
    with subprocess.Popen(["sleep", "300"], env={**os.environ, **variables}, start_new_session=True) as process:
        waiting.until(lambda: psutil.Process(process.pid).name() == "sleep", what="the task to run")
        yield process
        process.kill()


def test_stop_without_a_folder_ends_the_run_s_tasks_and_writes_stop_where_they_read_it(
    marked: "subprocess.Popen[bytes]",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main.main(["stop", RUN])

    assert code == 0
    said = capsys.readouterr().out
    assert f"every task of {RUN} is stopped; for the verdict: burst resume {tmp_path / 'other' / RUN}" in said
    assert marked.wait(timeout=waiting.PROCESS_SECONDS) != 0
    lease = file_leases.FileLeaseStore(tmp_path / "other" / RUN / "control.json").read()
    assert lease is not None
    assert lease.state is leases.LeaseState.STOP


@pytest.mark.parametrize("torn", [b"\xff\xfe", b"{", b"{}", None], ids=["no text", "no JSON", "no plan", "not there"])
def test_stop_ends_the_tasks_of_a_run_whose_folder_lost_its_plan(
    torn: bytes | None,
    marked: "subprocess.Popen[bytes]",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "other" / RUN
    lines = (FINISHED / "journal.jsonl").read_bytes().replace(b"m10_pass", RUN.encode()).splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:19]))
    if torn is not None:
        (folder / "plan.json").write_bytes(torn)

    seen = main.main(["status", str(folder)])
    code = main.main(["stop", str(folder)])

    assert seen == 6, "its tasks live"
    assert code == 0, capsys.readouterr().err
    assert marked.wait(timeout=waiting.PROCESS_SECONDS) != 0


def test_a_task_that_appears_while_others_are_stopped_is_stopped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    late = f"{process_tree.TASK_MARK}={process_tree.format_mark(RUN, 1)} setsid sleep 301"
    script = f"trap '{late} & echo $! > late; exit 0' TERM; echo > armed; sleep 300 & wait $!"
    variables = {process_tree.TASK_MARK: process_tree.format_mark(RUN, 0), "BURST_DEADLINE_UTC": "2099-01-01T00:00:00Z"}
    with subprocess.Popen(["sh", "-c", script], env={**os.environ, **variables}, start_new_session=True) as process:
        waiting.until((tmp_path / "armed").exists, what="the task to run")

        code = main.main(["stop", RUN])

        appeared = int((tmp_path / "late").read_text())
        alive = psutil.pid_exists(appeared) and psutil.Process(appeared).status() != psutil.STATUS_ZOMBIE
        if alive:
            psutil.Process(appeared).kill()
        process.kill()

    assert code == 0
    assert not alive
    assert f"every task of {RUN} is stopped" in capsys.readouterr().out


def test_stop_of_a_run_that_is_nowhere_is_exit_7_and_says_where_nobody_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BURST_CLUSTER", raising=False)

    code = main.main(["stop", "m10_of_nobody"])

    assert code == 7
    assert "no task of m10_of_nobody is running on this machine (for tasks on ECS: --cluster" in capsys.readouterr().err


def test_a_run_is_made_where_the_other_commands_look_for_it_unless_its_own_change_says_otherwise(
    tmp_path: Path,
) -> None:
    plan_file = tmp_path / "plan.json"
    plan_file.write_bytes(canonical.encode(cases.plan().document()))

    def local_of(runs_dir: str | None, *changes: str) -> str:
        overrides = run.add_runs_dir(runs_dir, changes)
        return str(preparing.read_plan(preparing.RunRequest(plan_file=plan_file, overrides=overrides)).evidence.local)

    assert local_of(None) == cases.plan().evidence.local
    assert local_of("/data/runs") == "/data/runs"
    assert local_of("/data/runs", "evidence.local=/data/mine") == "/data/mine"


@pytest.mark.parametrize("command", ["status", "stop", "resume", "reconcile"])
@pytest.mark.parametrize(
    ("torn", "expected"), [(b"\xff\xfe", 8), (b"{}", 9), (None, 7)], ids=["no text", "no plan", "not there"]
)
def test_a_finished_run_that_lost_its_plan_is_broken_evidence_and_no_task_that_may_run(
    command: str,
    torn: bytes | None,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(FINISHED, tmp_path / "m10_pass"))
    (folder / "plan.json").unlink()
    if torn is not None:
        (folder / "plan.json").write_bytes(torn)

    code = main.main([command, str(folder)])

    assert code == expected
    assert "act now" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "stop", "resume", "reconcile"])
@pytest.mark.parametrize("torn", [b"\xff\xfe", None], ids=["no text", "not there"])
def test_an_unfinished_run_that_lost_its_plan_may_have_tasks_that_nobody_sees(
    command: str,
    torn: bytes | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / RUN).mkdir()
    lines = (FINISHED / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / RUN / "journal.jsonl").write_bytes(b"".join(lines[:19]))
    if torn is not None:
        (tmp_path / RUN / "plan.json").write_bytes(torn)

    code = main.main([command, str(tmp_path / RUN)])

    assert code == 6
    assert "Cannot tell whether tasks still run" in capsys.readouterr().err
