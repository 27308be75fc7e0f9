"""The local launcher beyond its contract: faults of processes, files and launchers, and the watchdog around a run."""

import contextlib
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from burst.adapters.local import file_leases, processes
from burst.domain.basics import errors, instants
from burst.domain.tasks import leases, tasks, worst_ends
from burst.kit import process_tree
from tests import waiting
from tests.task import guarding


class Scene:
    """A run's folder with a lease at GO, and launchers for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.execution_id = f"run-{uuid.uuid4().hex}"
        self.started = folder / "started"
        self.lease = file_leases.FileLeaseStore(folder / "control.json")
        now = datetime.now(UTC)
        self.lease.create(
            leases.Lease(
                execution_id=self.execution_id,
                state=leases.LeaseState.GO,
                deadline=instants.later(now, 150),
                beat=1,
                heartbeat_at=now,
                go_at=now,
            )
        )
        self.launcher = self.make_launcher()

    def make_launcher(self) -> processes.LocalLauncher:
        return processes.LocalLauncher(self.folder, execution_id=self.execution_id, control_uri=self.lease.uri)

    def request(self, command: tuple[str, ...] = guarding.OBEYS, **changes: float) -> tasks.LaunchRequest:
        return tasks.LaunchRequest(
            execution_id=self.execution_id,
            token="one",
            shards=(0,),
            shard_count=1,
            command=command,
            environment=(("STARTED", str(self.started)), ("BURST_SCOPE", "platform_x")),
            budget_seconds=changes.get("budget_seconds", 120.0),
            grace_seconds=changes.get("grace_seconds", 20.0),
            child_waits=False,
            lease_ttl_seconds=120.0,
        )

    def launch(self, command: tuple[str, ...] = guarding.OBEYS, **changes: float) -> tasks.Task:
        (task,) = self.launcher.launch(self.request(command, **changes))
        waiting.until(self.started.exists, what="the program to run")
        return task

    def guard(self, task: tasks.Task) -> psutil.Process:
        return psutil.Process(int(task.task_id.split(":")[1]))

    def wait_until_stopped(self, task: tasks.Task, launcher: processes.LocalLauncher | None = None) -> tasks.TaskTruth:
        def find_stopped() -> tasks.TaskTruth | None:
            (truth,) = (launcher or self.launcher).inspect([task])
            return truth if truth.status is tasks.TaskStatus.STOPPED else None

        return waiting.until(find_stopped, what="the task to be stopped")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    for task in scene.launcher.find(scene.execution_id):
        scene.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=True)
    scene.launcher.disarm_watchdog()


def test_a_task_is_its_own_session_with_its_output_in_a_log_and_its_input_closed(scene: Scene) -> None:
    script = 'cat; echo "to stdout"; echo "to stderr" >&2; touch "$STARTED"; exec sleep 100'
    task = scene.launch(("sh", "-c", script))

    log = waiting.until((scene.folder / "tasks" / "0000.log").read_text, what="the log")

    assert log == "to stdout\nto stderr\n"
    assert os.getsid(scene.guard(task).pid) == scene.guard(task).pid


def test_a_task_gets_the_environment_of_its_run(scene: Scene) -> None:
    script = 'env > "$STARTED.env"; touch "$STARTED"; exec sleep 100'
    scene.launch(("sh", "-c", script))
    names = ("EXECUTION_ID", "SHARD_INDEX", "SHARD_COUNT", "BUDGET_SECONDS", "CONTROL_URI")

    variables = dict(
        line.split("=", 1) for line in (scene.folder / "started.env").read_text().splitlines() if "=" in line
    )

    assert [variables[f"BURST_{name}"] for name in names] == [scene.execution_id, "0", "1", "120", scene.lease.uri]
    assert variables["BURST_SCOPE"] == "platform_x"
    assert variables["BURST_TASK"] == f"{scene.execution_id}:0"
    assert instants.parse(variables["BURST_DEADLINE_UTC"]) > datetime.now(UTC)
    assert variables["PATH"] == os.environ["PATH"]


def test_a_task_inherits_no_setting_of_a_load_program(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCUST_RUN_TIME", "LOCUST_PROCESSES", "BURST_SOURCE_EVENTS", "BURST_RATE_PER_MINUTE", "SHOP_ID"):
        monkeypatch.setenv(name, "3")
    request = scene.request(("sh", "-c", 'env > "$STARTED.env"; touch "$STARTED"; exec sleep 100'))

    scene.launcher.launch(dataclasses.replace(request, environment=(*request.environment, ("LOCUST_USERS", "9"))))
    waiting.until(scene.started.exists, what="the program to run")

    names = {line.partition("=")[0] for line in (scene.folder / "started.env").read_text().splitlines()}
    assert {name for name in names if name.startswith("LOCUST_")} == {"LOCUST_USERS"}
    assert not names & {"BURST_SOURCE_EVENTS", "BURST_RATE_PER_MINUTE"}
    assert "SHOP_ID" in names


def test_the_deadline_the_request_names_is_the_one_a_task_carries(scene: Scene) -> None:
    request = scene.request()
    named = ("BURST_DEADLINE_UTC", "2099-02-21T02:00:00Z")
    scene.launcher.launch(dataclasses.replace(request, environment=(*request.environment, named)))

    (marked_task,) = [marked for marked in processes.list_marked_tasks() if marked.execution_id == scene.execution_id]

    assert marked_task.deadline == instants.parse("2099-02-21T02:00:00Z")
    assert (marked_task.task.shard_index, marked_task.control_uri) == (0, scene.lease.uri)
    assert [marked_task.task] == scene.launcher.find(scene.execution_id)


def test_a_process_in_an_exec_shows_its_mark() -> None:
    unseen = 0
    for _ in range(50):
        pid = os.posix_spawn("/bin/sleep", ["sleep", "100"], {process_tree.TASK_MARK: "run-1:7"})
        unseen += process_tree.read_environment(psutil.Process(pid)) != {process_tree.TASK_MARK: "run-1:7"}
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    assert unseen == 0


def test_nothing_is_launched_past_the_deadline(scene: Scene) -> None:
    with pytest.raises(errors.Refused, match="past the deadline"):
        scene.launcher.launch(scene.request(budget_seconds=-1.0))

    assert scene.launcher.find(scene.execution_id) == []


def test_a_launcher_launches_for_its_own_run_only(scene: Scene) -> None:
    stranger = processes.LocalLauncher(scene.folder, execution_id="run-9", control_uri=scene.lease.uri)

    with pytest.raises(errors.UsageError, match="run-9"):
        stranger.launch(scene.request())


def test_a_second_launcher_adopts_a_task_whose_pid_was_not_written(scene: Scene) -> None:
    task = scene.launch()
    (scene.folder / "tasks" / "0000.launch").write_bytes(b"")

    again = scene.make_launcher().launch(scene.request())

    assert list(again) == [task]
    assert scene.make_launcher().find(scene.execution_id) == [task]


def test_a_second_launcher_starts_a_task_that_the_first_did_not(scene: Scene) -> None:
    (scene.folder / "tasks").mkdir()
    (scene.folder / "tasks" / "0000.launch").touch()

    task = scene.launch()

    assert scene.launcher.find(scene.execution_id) == [task]


LAUNCHER = """
import sys
from pathlib import Path
from burst.adapters.local import processes
from burst.domain.basics import errors
from burst.domain.tasks import tasks
folder, execution_id, uri, started = sys.argv[1:]
launcher = processes.LocalLauncher(Path(folder), execution_id=execution_id, control_uri=uri)
request = tasks.LaunchRequest(
    execution_id=execution_id, token="one", shards=(0, 1, 2), shard_count=3, command=("sleep", "100"),
    environment=(), budget_seconds=120.0, grace_seconds=1.0, child_waits=False, lease_ttl_seconds=120.0,
)
try:
    launcher.launch(request)
except errors.Unavailable:
    pass
"""


def test_launchers_at_once_start_every_shard_once(scene: Scene) -> None:
    arguments = [str(scene.folder), scene.execution_id, scene.lease.uri, str(scene.started)]
    racing = [subprocess.Popen([sys.executable, "-c", LAUNCHER, *arguments], cwd=guarding.ROOT) for _ in range(3)]
    codes = [racer.wait(50) for racer in racing]

    marked = [
        process
        for process in process_tree.list_processes()
        if process_tree.read_environment(process).get(process_tree.TASK_MARK, "").startswith(f"{scene.execution_id}:")
    ]
    # Before its exec a guard's child looks like a guard; only its parent tells them apart.
    pids = {process.pid for process in marked}
    guards = [process for process in marked if process.ppid() not in pids]

    assert codes == [0, 0, 0]
    assert len(guards) == len(scene.launcher.find(scene.execution_id)) == 3


def test_a_reused_pid_is_never_signalled(scene: Scene) -> None:
    innocent = subprocess.Popen(["sleep", "100"])
    try:
        stale = tasks.Task(task_id=f"local:{innocent.pid}:1.000000", shard_index=0)
        scene.launcher.stop(stale, by=tasks.Layer.SWEEPER)
        scene.launcher.stop(stale, by=tasks.Layer.SWEEPER, force=True)
        (truth,) = scene.launcher.inspect([stale])

        assert innocent.poll() is None
        assert truth.status is tasks.TaskStatus.UNKNOWN
    finally:
        innocent.kill()
        innocent.wait()


def test_an_id_of_another_launcher_is_refused(scene: Scene) -> None:
    with pytest.raises(errors.UsageError, match="local:PID:START"):
        scene.launcher.inspect([tasks.Task(task_id="arn:aws:ecs:task/1", shard_index=0)])


def test_a_guard_that_was_killed_leaves_a_stop_nobody_explains(scene: Scene) -> None:
    task = scene.launch()
    scene.guard(task).kill()

    truth = scene.wait_until_stopped(task)

    assert (truth.stop_code, truth.stopped_by, truth.exit_code) == (tasks.StopCode.GONE, None, None)
    assert truth.started_at is not None
    assert truth.stopped_at is not None
    assert scene.launcher.inspect([task]) == [truth]
    assert "no record" in truth.detail


@pytest.mark.parametrize("force", [False, True])
def test_a_task_runs_while_any_process_of_it_lives_and_stop_still_reaches_it(scene: Scene, force: bool) -> None:
    task = scene.launch(guarding.DOUBLE_FORKS if not force else guarding.DOUBLE_FORKS_AND_IGNORES_TERM)
    scene.guard(task).kill()
    pid, started = task.task_id.split(":")[1:]
    waiting.until(lambda: process_tree.find_process(int(pid), float(started)) is None, what="the guard to be gone")

    (truth,) = scene.launcher.inspect([task])
    living_tasks = scene.launcher.find(scene.execution_id)
    marked = [
        marked_task.task
        for marked_task in processes.list_marked_tasks()
        if marked_task.execution_id == scene.execution_id
    ]
    scene.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=force)

    assert marked == [task]
    assert truth.status is tasks.TaskStatus.RUNNING
    assert "its guard is gone" in truth.detail
    assert living_tasks == [task]
    assert scene.wait_until_stopped(task).stopped_by is tasks.Layer.CONTROLLER


@contextlib.contextmanager
def _opening_nothing() -> Iterator[None]:
    """This process can open no file meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_tasks_that_cannot_be_looked_at_are_unavailable_and_never_gone(scene: Scene) -> None:
    task = scene.launch()
    launcher = scene.make_launcher()
    attempts = {
        "find": lambda: launcher.find(scene.execution_id),
        "inspect": lambda: launcher.inspect([task]),
        "stop": lambda: launcher.stop(task, by=tasks.Layer.CONTROLLER),
        "marks": processes.list_marked_tasks,
    }

    with _opening_nothing():
        for attempt in attempts.values():
            with pytest.raises(errors.Unavailable, match="cannot be seen: Too many open files"):
                attempt()

    assert [truth.status for truth in launcher.inspect([task])] == [tasks.TaskStatus.RUNNING]


def test_a_record_that_cannot_be_opened_is_not_one_that_is_not_there(scene: Scene) -> None:
    task = scene.launch()
    scene.launcher.stop(task, by=tasks.Layer.CONTROLLER)
    ended = scene.wait_until_stopped(task)
    launcher = scene.make_launcher()

    with _opening_nothing(), pytest.raises(errors.Unavailable):
        launcher.inspect([task])

    assert launcher.inspect([task]) == [ended]


def test_force_ends_a_task_whose_guard_is_stopped(scene: Scene) -> None:
    task = scene.launch(guarding.IGNORES_EVERYTHING)
    scene.guard(task).send_signal(signal.SIGSTOP)

    scene.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=True)

    assert scene.wait_until_stopped(task).stop_code == tasks.StopCode.USER_INITIATED
    assert scene.launcher.find(scene.execution_id) == []


def test_a_plain_stop_reaches_a_guard_that_is_stopped(scene: Scene) -> None:
    task = scene.launch()
    scene.guard(task).send_signal(signal.SIGSTOP)

    scene.launcher.stop(task, by=tasks.Layer.CONTROLLER)

    truth = scene.wait_until_stopped(task)
    assert (truth.exit_code, truth.stopped_by) == (143, tasks.Layer.CONTROLLER)


def test_an_end_by_a_stop_in_the_lease_belongs_to_the_lease(scene: Scene) -> None:
    task = scene.launch()
    lease = scene.lease.read()
    assert lease is not None
    scene.lease.write(dataclasses.replace(lease, state=leases.LeaseState.STOP, reason="operator"))

    truth = scene.wait_until_stopped(task)

    assert (truth.exit_code, truth.stopped_by) == (124, tasks.Layer.LEASE)
    assert truth.detail == "the lease says STOP: operator"


def test_the_watchdog_ends_a_run_whose_guard_is_stopped(scene: Scene) -> None:
    task = scene.launch(guarding.IGNORES_EVERYTHING)
    scene.guard(task).send_signal(signal.SIGSTOP)
    deadline = instants.later(datetime.now(UTC), 1.0)
    scene.launcher.arm_watchdog(deadline=deadline, grace_seconds=0.3)
    armed_seconds = instants.seconds_between(deadline, datetime.now(UTC))

    truth = scene.wait_until_stopped(task)

    assert (truth.exit_code, truth.stopped_by) == (64, tasks.Layer.SIDECAR)
    assert truth.stopped_at is not None
    latest = max(armed_seconds, 0.3 + worst_ends.WATCHDOG_MARGIN_SECONDS) + waiting.scheduling_seconds()
    assert 0.3 < instants.seconds_between(deadline, truth.stopped_at) < latest
    assert scene.wait_until_stopped(task, scene.make_launcher()) == truth


def start_seconds(folder: Path) -> float:
    """The seconds to arm a watchdog and then to launch until the program runs, as measured now."""
    folder.mkdir()
    trial, began = Scene(folder), time.monotonic()
    trial.launcher.arm_watchdog(deadline=instants.later(datetime.now(UTC), 600), grace_seconds=1.0)
    task = trial.launch()
    took_seconds = time.monotonic() - began
    trial.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=True)
    trial.launcher.disarm_watchdog()
    return took_seconds


def test_a_guard_that_works_is_the_one_that_ends_its_task(scene: Scene) -> None:
    deadline = instants.later(datetime.now(UTC), 2 + 6 * start_seconds(scene.folder / "trial"))
    margin_seconds = 0.3 + waiting.scheduling_seconds()  # a guard that works may be kept waiting for a core
    scene.launcher.arm_watchdog(deadline=deadline, grace_seconds=margin_seconds)
    task = scene.launch(
        guarding.IGNORES_TERM,
        budget_seconds=instants.seconds_between(datetime.now(UTC), deadline),
        grace_seconds=0.3,
    )

    truth = scene.wait_until_stopped(task)

    assert (truth.exit_code, truth.stopped_by) == (137, tasks.Layer.GUARD)
    assert not (scene.folder / "watchdog.json").exists()


def test_the_watchdog_survives_its_launcher_and_is_armed_once_for_all(scene: Scene) -> None:
    deadline = instants.later(datetime.now(UTC), 60)
    scene.launcher.arm_watchdog(deadline=deadline, grace_seconds=1.0)
    first = json.loads((scene.folder / "watchdog.ready").read_bytes())

    scene.make_launcher().arm_watchdog(deadline=deadline, grace_seconds=1.0)

    assert json.loads((scene.folder / "watchdog.ready").read_bytes()) == first
    assert os.getsid(first["pid"]) == first["pid"]
    scene.make_launcher().disarm_watchdog()
    assert process_tree.find_process(first["pid"], first["started"]) is None


def test_a_watchdog_that_died_is_armed_anew(scene: Scene) -> None:
    deadline = instants.later(datetime.now(UTC), 60)
    scene.launcher.arm_watchdog(deadline=deadline, grace_seconds=1.0)
    first = json.loads((scene.folder / "watchdog.ready").read_bytes())
    psutil.Process(first["pid"]).kill()
    waiting.until(lambda: process_tree.find_process(first["pid"], first["started"]) is None, what="it to die")

    scene.launcher.arm_watchdog(deadline=deadline, grace_seconds=1.0)

    assert json.loads((scene.folder / "watchdog.ready").read_bytes()) != first


def test_a_watchdog_that_cannot_be_armed_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(errors.Refused, match="was not armed"):
        scene.launcher.arm_watchdog(deadline=instants.later(datetime.now(UTC), 60), grace_seconds=1.0)


def test_disarming_without_a_watchdog_is_no_error(scene: Scene) -> None:
    scene.launcher.disarm_watchdog()


def test_no_secret_of_the_environment_is_in_any_file_of_the_run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IG_API_KEY", "planted-secret")
    scene.launcher.arm_watchdog(deadline=instants.later(datetime.now(UTC), 60), grace_seconds=1.0)
    task = scene.launch()
    scene.launcher.stop(task, by=tasks.Layer.CONTROLLER)
    scene.wait_until_stopped(task)

    written = [path.read_bytes() for path in scene.folder.rglob("*") if path.is_file()]

    assert len(written) > 6
    assert not any(b"planted-secret" in content for content in written)
