"""The watchdog as a process: it ends processes that outlive deadline and grace, and no others."""

import json
import os
import resource
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from burst.domain.basics import instants
from burst.domain.tasks import task_records
from burst.kit import process_tree
from tests import waiting
from tests.task import guarding


class Scene:
    """Marked processes of made-up runs, and a watchdog over one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.execution_id = f"run-{uuid.uuid4().hex}"
        self.record, self.ready_file = folder / "watchdog.json", folder / "watchdog.ready"
        self.begun: list[subprocess.Popen[bytes]] = []

    def program(self, command: tuple[str, ...], *, run: str | None = None, shard: int = 0) -> psutil.Process:
        started = self.folder / f"started-{len(self.begun)}"
        mark = process_tree.format_mark(run or self.execution_id, shard)
        environment = {**os.environ, "STARTED": str(started), process_tree.TASK_MARK: mark}
        self.begun.append(subprocess.Popen(command, env=environment, start_new_session=True))
        waiting.until(started.exists, what="a program to run")
        return psutil.Process(self.begun[-1].pid)

    def watchdog(self, *, deadline_seconds: float, grace_seconds: float = 0.2) -> subprocess.Popen[bytes]:
        deadline = instants.later(datetime.now(UTC), deadline_seconds)
        command = [sys.executable, "-m", "burst.task.watchdog", "--execution-id", self.execution_id]
        command += ["--deadline", instants.text(deadline), "--grace", str(grace_seconds)]
        command += ["--record", str(self.record), "--ready-file", str(self.ready_file)]
        watchdog = subprocess.Popen(command, cwd=guarding.ROOT, start_new_session=True)
        self.begun.append(watchdog)
        waiting.until(self.ready_file.exists, what="the watchdog to be armed")
        return watchdog

    def kills(self) -> tuple[task_records.Kill, ...]:
        return task_records.decode_kills(self.record.read_bytes())

    def clear(self) -> None:
        for process in self.begun:
            survivors = process_tree.group_by_task(process_tree.list_processes()).get((self.execution_id, 0), [])
            process_tree.kill(survivors)
            process.kill()
            process.wait()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.clear()


def is_gone(process: psutil.Process) -> bool:
    return not process_tree.is_living(process)


HARD_TO_END = {
    "plain": guarding.OBEYS,
    "ignores every signal it can": guarding.IGNORES_EVERYTHING,
    "double-forked": guarding.DOUBLE_FORKS_AND_IGNORES_TERM,
    "stopped": guarding.STOPS_ITSELF,
}


@pytest.mark.parametrize("command", HARD_TO_END.values(), ids=HARD_TO_END.keys())
def test_after_deadline_and_grace_nothing_of_the_run_is_left(scene: Scene, command: tuple[str, ...]) -> None:
    scene.program(command, shard=3)
    watchdog = scene.watchdog(deadline_seconds=0.2)

    code = watchdog.wait(30)

    assert code == 64
    assert (scene.execution_id, 3) not in process_tree.group_by_task(process_tree.list_processes())
    assert {kill.shard_index for kill in scene.kills()} == {3}


def test_a_process_that_cleared_its_mark_is_found_by_descent(scene: Scene) -> None:
    unmarked = ("sh", "-c", 'env -u BURST_TASK setsid sh -c "touch $STARTED; sleep 100"; true')
    parent = scene.program(unmarked)
    children = parent.children(recursive=True)
    watchdog = scene.watchdog(deadline_seconds=0.1)

    watchdog.wait(30)

    assert children
    assert all(is_gone(child) for child in children)


def test_a_watchdog_that_can_open_one_file_at_a_time_ends_its_run_all_the_same(scene: Scene) -> None:
    scene.program(guarding.DOUBLE_FORKS_AND_IGNORES_TERM)
    watchdog = scene.watchdog(deadline_seconds=1.0)
    resource.prlimit(watchdog.pid, resource.RLIMIT_NOFILE, (3, 3))

    code = watchdog.wait(30)

    assert code == 64
    assert (scene.execution_id, 0) not in process_tree.group_by_task(process_tree.list_processes())


def test_another_run_is_left_alone(scene: Scene) -> None:
    other_run = f"{scene.execution_id}-2"
    neighbour = scene.program(guarding.OBEYS, run=other_run)
    watchdog = scene.watchdog(deadline_seconds=0.1)

    code = watchdog.wait(30)

    assert code == 0
    assert process_tree.is_living(neighbour)
    assert not scene.record.exists()


def test_without_survivors_it_exits_0_and_writes_no_record(scene: Scene) -> None:
    assert scene.watchdog(deadline_seconds=0.1).wait(30) == 0
    assert not scene.record.exists()


def test_it_does_nothing_before_deadline_and_grace(scene: Scene) -> None:
    program = scene.program(guarding.OBEYS)
    deadline = instants.later(datetime.now(UTC), 0.3)
    watchdog = scene.watchdog(deadline_seconds=0.3, grace_seconds=0.5)

    watchdog.wait(30)

    assert is_gone(program)
    assert instants.seconds_between(deadline, scene.kills()[0].killed_at) > 0.5


def test_hangup_and_interrupt_do_not_end_it(scene: Scene) -> None:
    program = scene.program(guarding.OBEYS)
    watchdog = scene.watchdog(deadline_seconds=0.6)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        watchdog.send_signal(number)

    code = watchdog.wait(30)

    assert code == 64
    assert is_gone(program)


def test_term_disarms_it_and_the_run_lives(scene: Scene) -> None:
    program = scene.program(guarding.OBEYS)
    watchdog = scene.watchdog(deadline_seconds=60)

    watchdog.terminate()

    assert watchdog.wait(30) == 0
    assert process_tree.is_living(program)


def test_armed_it_names_itself(scene: Scene) -> None:
    watchdog = scene.watchdog(deadline_seconds=60)

    armed = json.loads(scene.ready_file.read_bytes())

    assert armed == {"pid": watchdog.pid, "started": psutil.Process(watchdog.pid).create_time()}


def test_a_record_it_cannot_write_does_not_stop_the_killing(scene: Scene) -> None:
    program = scene.program(guarding.OBEYS)
    scene.record = scene.folder / "absent" / "watchdog.json"
    watchdog = scene.watchdog(deadline_seconds=0.1)

    code = watchdog.wait(30)

    assert code == 64
    assert is_gone(program)
