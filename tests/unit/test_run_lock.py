"""One controller per run: the lock of a living holder holds, and a dead holder's is gone with it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from burst.adapters.local import run_lock
from burst.domain.basics import errors
from tests import fakes, waiting

SECOND = replace(fakes.OWNER, controller="2e1b")

HOLDER = """
import signal, subprocess, sys
from pathlib import Path
from burst.adapters.local import run_lock
from tests import fakes
lock = run_lock.RunLock(Path(sys.argv[1]), fakes.OWNER)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
(Path(sys.argv[1]) / "held").write_text(str(child.pid))
signal.pause()
"""


@contextlib.contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the run, and has a child that outlives it."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)])
    child = None
    try:
        child = int(waiting.until(lambda: _text(folder / "held"), what="the lock to be held"))
        yield process
    finally:
        process.kill()
        process.wait()
        if child is not None:
            os.kill(child, signal.SIGKILL)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_run_is_held_from_birth_to_release(tmp_path: Path) -> None:
    before = run_lock.is_held(tmp_path)
    lock = run_lock.RunLock(tmp_path, fakes.OWNER)
    during = run_lock.is_held(tmp_path)
    lock.release()

    assert (before, during, run_lock.is_held(tmp_path)) == (False, True, False)


def test_a_second_controller_is_told_who_is_at_work(tmp_path: Path) -> None:
    folder = tmp_path / "m10_20260221T020923Z"
    folder.mkdir()
    lock = run_lock.RunLock(folder, fakes.OWNER)

    with pytest.raises(
        errors.ControllerAtWork, match=r"at work on m10_20260221T020923Z: controller 1f0a on runner-1 since 2026-"
    ):
        run_lock.RunLock(folder, SECOND)

    lock.release()
    run_lock.RunLock(folder, SECOND).release()


def test_who_holds_a_run_knows_which_controllers_of_its_folder_are_dead(tmp_path: Path) -> None:
    first = run_lock.RunLock(tmp_path, fakes.OWNER)
    first.release()
    (tmp_path / run_lock.NAME).write_bytes((tmp_path / run_lock.NAME).read_bytes() + b'{"controller": "9c')

    second = run_lock.RunLock(tmp_path, SECOND)
    second.release()
    third = run_lock.RunLock(tmp_path, replace(SECOND, controller="3f2c"))
    third.release()

    assert first.predecessors == frozenset()
    assert second.predecessors == {"1f0a"}
    assert third.predecessors == {"1f0a", "2e1b"}


def test_the_copy_of_a_folder_knows_nobody_of_the_original_to_be_dead(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    first = run_lock.RunLock(original, fakes.OWNER)
    shutil.copytree(original, copy)

    second = run_lock.RunLock(copy, SECOND)

    first.release()
    second.release()
    assert second.predecessors == frozenset()


def test_another_process_holds_it_until_it_dies_and_its_children_do_not_inherit_it(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        held_by_the_living = run_lock.is_held(tmp_path)
        process.kill()
        process.wait()

        assert held_by_the_living
        assert not run_lock.is_held(tmp_path)


def test_asking_whether_a_run_is_held_does_not_take_it(tmp_path: Path) -> None:
    for _ in range(3):
        assert not run_lock.is_held(tmp_path)

    run_lock.RunLock(tmp_path, fakes.OWNER).release()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / run_lock.NAME).symlink_to(tmp_path / "elsewhere")

    with pytest.raises((errors.BurstError, OSError)):
        run_lock.RunLock(tmp_path, fakes.OWNER)

    assert not (tmp_path / "elsewhere").exists()
