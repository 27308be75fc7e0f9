"""burst starts its own programs wherever the operator stands: a file that lies there is never taken for a module."""

import ast
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import burst
from burst.kit import own_programs
from tests import waiting

PACKAGE = Path(burst.__file__).parent
ORDERS = {
    "burst": ("--version",),
    "burst.task.guard": ("--budget", "20s", "--", "true"),
    "burst.task.watchdog": ("--help",),
    "burst.sandbox.gateway": ("--help",),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose files are called like modules that every program imports."""
    (tmp_path / "burst").mkdir()
    for name in ("json.py", "signal.py", "burst/__init__.py"):
        (tmp_path / name).write_text("raise SystemExit('a file of the current folder was imported')\n")
    return tmp_path


@pytest.mark.parametrize("module", ORDERS)
def test_a_program_starts_in_a_folder_of_files_that_are_called_like_modules(module: str, folder: Path) -> None:
    done = subprocess.run(
        [*own_programs.start_words(module), *ORDERS[module]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=waiting.PROCESS_SECONDS,
    )

    assert done.returncode == 0, done.stderr


def test_python_would_take_such_files_for_the_modules(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "burst", "--version"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=waiting.PROCESS_SECONDS,
    )

    assert "a file of the current folder was imported" in done.stderr


def _find_starts(path: Path) -> Iterator[int]:
    """The lines in which this Python is told a module in any other way; Locust looks for its files where it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.List | ast.Tuple):
            words = [ast.unparse(word) for word in node.elts]
            if words[:2] == ["sys.executable", "'-m'"] and words[2:3] != ["load_program.LOCUST"]:
                yield node.lineno


def test_every_program_of_burst_is_started_so() -> None:
    starts = [f"{path.relative_to(PACKAGE)}:{line}" for path in PACKAGE.rglob("*.py") for line in _find_starts(path)]

    assert starts == []


STARTS = """
import subprocess, sys
from burst.kit import own_programs
from tests import waiting
subprocess.Popen([*own_programs.bound_words(), *sys.argv[1:]]).wait()
"""
"""A process that starts a bound program, to be killed."""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone tells a child of the death")
def test_a_bound_program_ends_where_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    words = ["sh", "-c", f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; sleep 100 & wait"]
    starter = subprocess.Popen([sys.executable, "-c", STARTS, *words])
    waiting.until((tmp_path / "pid").exists, what="the program to begin")
    program = psutil.Process(int((tmp_path / "pid").read_text()))
    (child,) = waiting.until(program.children, what="what the program starts")
    assert program.ppid() == starter.pid
    starter.kill()
    starter.wait()

    waiting.until(lambda: not program.is_running(), what="the program to end")
    assert child.is_running()  # as a daemon would
    child.kill()


def test_a_bound_program_has_the_exit_code_and_the_output_of_its_words() -> None:
    words = [*own_programs.bound_words(), "sh", "-c", 'echo "$1"; exit 5', "sh", "a  b"]

    done = subprocess.run(words, capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS)

    assert (done.returncode, done.stdout) == (5, "a  b\n")


def test_a_bound_program_ends_itself_at_its_limit() -> None:
    done = subprocess.run([*own_programs.bound_words(seconds_max=0.2), "sleep", "100"], timeout=waiting.PROCESS_SECONDS)

    assert done.returncode == -signal.SIGALRM


def test_a_bound_program_that_is_not_there_is_said() -> None:
    done = subprocess.run(
        [*own_programs.bound_words(), "no-such"], capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS
    )

    assert (done.returncode, done.stderr) == (127, "no-such cannot be started: No such file or directory\n")


def test_a_bound_program_never_begins_where_the_process_that_starts_it_is_gone(tmp_path: Path) -> None:
    words = [*own_programs.start_words("burst.kit.bounded_program"), "1", "0.0", "touch", str(tmp_path / "began")]

    done = subprocess.run(words, timeout=waiting.PROCESS_SECONDS)

    assert done.returncode == 137
    assert not (tmp_path / "began").exists()
