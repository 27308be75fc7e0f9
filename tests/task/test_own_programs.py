"""burst starts its own programs wherever the operator stands: a file that lies there is never taken for a module."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import burst
from burst.kit import own_programs

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
        [*own_programs.start_words(module), *ORDERS[module]], cwd=folder, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr


def test_python_would_take_such_files_for_the_modules(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "burst", "--version"], cwd=folder, capture_output=True, text=True, timeout=60
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
