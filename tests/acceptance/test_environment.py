"""scripts/environment as a process: what it says when it cannot make an environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without an environment."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def environment(checkout: Path, profile: str, *, base_python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/environment", profile],
        cwd=checkout,
        env={**os.environ, "BASE_PYTHON": base_python},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_old_python_is_refused_by_name_and_version(checkout: Path) -> None:
    old = checkout / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1 && exit\nexit 1\n')
    old.chmod(0o755)

    refused = environment(checkout, "run", base_python=str(old))

    assert refused.returncode == 1
    assert f"{old}: Python 3.9.1" in refused.stderr
    assert "Allowed: Python 3.11 or newer" in refused.stderr
    assert not (checkout / ".venv").exists()


def test_an_unknown_profile_is_refused(checkout: Path) -> None:
    refused = environment(checkout, "prod", base_python="python3")

    assert refused.returncode == 2
    assert "say run, rehearse, dev or bare" in refused.stderr


def test_what_pip_says_is_shown_where_it_fails_and_the_next_call_begins_anew(checkout: Path) -> None:
    lock = checkout / "requirements" / "run.lock"
    lock.write_text("burst-no-such-package==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "BASE_PYTHON": sys.executable}
    refused = subprocess.run(
        ["scripts/environment", "run"], cwd=checkout, env=environ, capture_output=True, text=True, check=False
    )

    assert refused.returncode == 1
    assert "installing the 1 packages of requirements/run.lock" in refused.stderr
    assert "No matching distribution found for burst-no-such-package==1.0" in refused.stderr
    assert (checkout / ".venv" / "unfinished").exists()
    assert not list((checkout / ".venv").glob("stamp.*"))
