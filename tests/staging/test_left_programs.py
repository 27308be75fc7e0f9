"""`burst db stage` killed while a program of a stage runs: no second copy runs beside it, and its end is not lost."""

import json
import subprocess
from pathlib import Path

import psutil
import pytest

from tests import waiting
from tests.staging import conftest

SET = "      - ALTER SYSTEM SET work_mem = '32MB'\n"
SCRIPT = "echo >> {folder}/began; until test -e {folder}/over; do sleep 0.02; done; {then}"


def write_stages(desk: conftest.Desk, then: str, *, checks: bool) -> Path:
    """A file of one stage with a program that notes that it began, and waits: a change of it, or its check."""
    words = json.dumps(["sh", "-c", SCRIPT.format(folder=desk.folder, then=then)])
    change, check = ("", f"    check: {{command: {words}}}\n") if checks else (f"      - command: {words}\n", "")
    lines = "    red_line: [{figure: p95, at_most: 10}]\n" if checks else ""
    return desk.write(f"environment: dev\nstages:\n  A:\n    apply:\n{SET}{change}{check}{lines}")


def kill_in_program(desk: conftest.Desk, path: Path) -> None:
    """`burst db stage`, killed once the program of its stage runs."""
    folder = str(desk.folder / "staging")
    process = desk.start("stage", str(path), "--dsn", "env:STAGE_DSN", "--folder", folder)
    waiting.until(lambda: (desk.folder / "began").exists(), what="the program to begin", seconds=60)
    process.kill()
    process.communicate()


def begin_resume(desk: conftest.Desk, *words: str) -> "subprocess.Popen[bytes]":
    """`burst db resume`, once it says that it waits."""
    process = desk.start("resume", str(desk.folder / "staging"), *words)
    assert process.stderr is not None
    line = process.stderr.readline().decode()
    assert "sh, which an earlier burst started, still runs, until " in line, line
    assert line.endswith("; waiting for its end\n")
    return process


def count_starts(desk: conftest.Desk) -> int:
    """How often the program of the stage began."""
    return len((desk.folder / "began").read_text().splitlines())


@pytest.mark.parametrize(("then", "code"), [("exit 0", 0), ("exit 7", 3)], ids=["done", "failed"])
def test_a_command_that_outlived_burst_is_waited_for_and_its_end_is_that_of_the_change(
    desk: conftest.Desk, then: str, code: int
) -> None:
    kill_in_program(desk, write_stages(desk, then, checks=False))
    resuming = begin_resume(desk)
    (desk.folder / "over").touch()
    _, said = resuming.communicate(timeout=waiting.PROCESS_SECONDS)

    assert resuming.returncode == code, said
    assert count_starts(desk) == 1
    assert desk.ask("SHOW work_mem") == ("32MB" if code == 0 else "4MB")
    assert not (desk.folder / "staging" / "programs").exists()


def test_the_figures_of_a_check_that_outlived_burst_are_not_lost(desk: conftest.Desk) -> None:
    kill_in_program(desk, write_stages(desk, "echo '{\"p95\": 5}'", checks=True))
    resuming = begin_resume(desk)
    (desk.folder / "over").touch()
    _, said = resuming.communicate(timeout=waiting.PROCESS_SECONDS)

    assert resuming.returncode == 0, said
    assert count_starts(desk) == 2  # before the changes and after them
    assert desk.call("status", str(desk.folder / "staging")).document["state"] == "passed"


def test_nothing_is_rolled_back_while_a_command_still_changes_the_database(desk: conftest.Desk) -> None:
    at_first = desk.snapshot().content()
    kill_in_program(desk, write_stages(desk, "exit 0", checks=False))
    resuming = begin_resume(desk, "--roll-back")

    assert desk.ask("SHOW work_mem") == "32MB"
    (desk.folder / "over").touch()
    _, said = resuming.communicate(timeout=waiting.PROCESS_SECONDS)
    assert resuming.returncode == 3, said
    assert count_starts(desk) == 1
    assert desk.snapshot().content() == at_first


def test_a_command_that_restarts_the_server_takes_no_lock_of_the_resume_that_waits(desk: conftest.Desk) -> None:
    kill_in_program(desk, write_stages(desk, "exit 0", checks=False))
    resuming = begin_resume(desk)
    lock_ends = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
    assert desk.ask(lock_ends, "burst/stage lock") == 1
    (desk.folder / "over").touch()
    _, said = resuming.communicate(timeout=waiting.PROCESS_SECONDS)

    assert resuming.returncode == 0, said
    assert count_starts(desk) == 1


def test_a_resume_that_is_told_to_end_while_it_waits_leaves_the_command_alone(desk: conftest.Desk) -> None:
    kill_in_program(desk, write_stages(desk, "exit 0", checks=False))
    resuming = begin_resume(desk)
    resuming.terminate()
    resuming.communicate(timeout=waiting.PROCESS_SECONDS)
    launch = json.loads((desk.folder / "staging" / "programs" / "A.change-2.launch").read_text())

    assert resuming.returncode == 143
    assert psutil.Process(launch["pid"]).is_running()
    (desk.folder / "over").touch()
    assert desk.resume().code == 0
    assert count_starts(desk) == 1


def test_a_command_that_burst_was_told_to_end_with_is_ended_and_runs_again(desk: conftest.Desk) -> None:
    path, folder = write_stages(desk, "exit 0", checks=False), str(desk.folder / "staging")
    process = desk.start("stage", str(path), "--dsn", "env:STAGE_DSN", "--folder", folder)
    waiting.until(lambda: (desk.folder / "began").exists(), what="the program to begin", seconds=60)
    launch = json.loads((desk.folder / "staging" / "programs" / "A.change-2.launch").read_text())
    process.terminate()
    process.communicate(timeout=waiting.PROCESS_SECONDS)

    assert process.returncode == 143
    assert not psutil.pid_exists(launch["pid"])
    (desk.folder / "over").touch()
    assert desk.resume().code == 0
    assert count_starts(desk) == 2
