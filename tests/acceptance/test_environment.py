"""scripts/environment as a process: what it says while it makes an environment, and when it cannot make one."""

import contextlib
import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import loopback_server

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


OWN_BACKEND = """
import zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "burst-0-py3-none-any.whl"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        wheel.writestr("burst-0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: burst\\nVersion: 0\\n")
        wheel.writestr("burst-0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("burst-0.dist-info/RECORD", "")
    return name
"""


def build_wheel(folder: Path, name: str) -> Path:
    """A wheel with nothing in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


@contextlib.contextmanager
def serve_index(folder: Path) -> Iterator[str]:
    """The folder as an index of packages on loopback."""
    handler = functools.partial(QuietFiles, directory=str(folder))
    with loopback_server.run(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield loopback_server.find_url(server)


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def write_lock(path: Path, wheels: list[Path], more: str = "") -> None:
    hashes = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
    names = [wheel.name.partition("-")[0].replace("_", "-") for wheel in wheels]
    pins = [f"{name}==1.0 \\\n    --hash=sha256:{digest}\n" for name, digest in zip(names, hashes, strict=True)]
    path.write_text("".join(pins) + more)


def test_the_count_of_packages_reaches_its_end_wherever_each_comes_from(checkout: Path) -> None:
    """One from an index, one from a folder, one that is there already, and one for another machine."""
    (checkout / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "own_backend"\nbackend-path = ["."]\n'
    )
    (checkout / "own_backend.py").write_text(OWN_BACKEND)
    from_index = build_wheel(checkout / "index" / "simple" / "tiny-one", "tiny_one")
    (checkout / "index" / "simple" / "tiny-one" / "index.html").write_text(f'<a href="{from_index.name}">it</a>')
    from_folder = build_wheel(checkout / "links", "tiny_two")
    later = build_wheel(checkout / "links", "tiny_three")
    foreign = f"tiny-four==1.0 ; sys_platform == 'elsewhere' \\\n    --hash=sha256:{'0' * 64}\n"
    write_lock(checkout / "requirements" / "run.lock", [from_index, from_folder], foreign)
    write_lock(checkout / "requirements" / "rehearse.lock", [from_index, from_folder, later], foreign)

    with serve_index(checkout / "index") as address:
        own = {"PIP_INDEX_URL": f"{address}/simple", "PIP_FIND_LINKS": str(checkout / "links"), "PIP_NO_CACHE_DIR": "1"}
        left = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        said = [
            subprocess.run(
                ["scripts/environment", profile],
                cwd=checkout,
                env={**left, **own, "PIP_CONFIG_FILE": os.devnull, "BASE_PYTHON": sys.executable},
                capture_output=True,
                text=True,
                check=False,
            )
            for profile in ("run", "rehearse")
        ]

    assert [each.returncode for each in said] == [0, 0], said
    assert "environment: 2 of 2 packages fetched or found, 2 unpacked\n" in said[0].stderr
    assert "environment: 3 of 3 packages fetched or found, 1 unpacked\n" in said[1].stderr
