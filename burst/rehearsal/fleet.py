"""The fleet: every task of the simulated ECS and its life, from PROVISIONING to forgotten.

A task changes only here and only under the fleet's lock, and each change gives it a new version. The agent and the
timers drive it; the ECS interface asks it. What may take long (secrets, log streams) happens on a pool, before the
containers start, so that nothing waits for it under the lock.
"""

import itertools
import logging
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from burst.rehearsal import agent_client, armed_faults, ignore_term, settings, timers

_LOG = logging.getLogger(__name__)

STOP_TIMEOUT_SECONDS = 30
ESSENTIAL_EXITED = "EssentialContainerExited"
USER_INITIATED = "UserInitiated"
FAILED_TO_START = "TaskFailedToStart"
SPOT_INTERRUPTION = "SpotInterruption"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
GIVEN_UP = "Task provisioning failed: the task did not leave PENDING and was given up."

_STUCK_POLL_SECONDS = 0.05
_STARTERS = 8


class StartProblemError(Exception):
    """Why a task cannot start, in the words of its stopped reason; without containers where ECS shows none."""

    def __init__(self, reason: str, *, without_containers: bool = False) -> None:
        super().__init__(reason)
        self.without_containers = without_containers


@dataclass(slots=True, kw_only=True, eq=False)
class Container:
    """One container of a task, and the process behind it once it started."""

    definition: Mapping[str, Any]
    argv: tuple[str, ...]
    environment: dict[str, str]
    container_id: str
    arn: str
    log: Path
    last_status: str = "PENDING"
    exit_code: int | None = None
    reason: str | None = None
    runtime_id: str | None = None
    pid: int | None = None
    escaped: bool = False

    @property
    def name(self) -> str:
        """Its name in the task definition."""
        return str(self.definition["name"])

    @property
    def essential(self) -> bool:
        """Whether the task ends with it."""
        return bool(self.definition.get("essential", True))

    @property
    def guarded(self) -> bool:
        """Whether it runs under `burst guard`."""
        return "guard" in self.argv or "burst.task.guard" in self.argv

    @property
    def running(self) -> bool:
        """Whether a process of it runs."""
        return self.pid is not None and self.last_status == "RUNNING"


@dataclass(slots=True, kw_only=True, eq=False)
class SimulatedTask:
    """One task, as DescribeTasks would show it."""

    number: int
    task_id: str
    arn: str
    cluster_arn: str
    definition: Mapping[str, Any]
    capacity_provider: str | None
    launch_type: str
    started_by: str | None
    group: str
    overrides: Mapping[str, Any]
    tags: list[dict[str, str]]
    created_at: datetime
    visible_from: float  # monotonic: AWS's own clock may be put wrong
    containers: list[Container] = field(default_factory=list)
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    version: int = 1
    connectivity_at: datetime | None = None
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    execution_stopped_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    starting: bool = False

    @property
    def main(self) -> Container | None:
        """The container the work is done in: the guarded one, else the first essential one."""
        essential = [container for container in self.containers if container.essential]
        guarded = [container for container in essential if container.guarded]
        return next(iter(guarded or essential), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """What is asked for of one new task, already checked."""

    cluster_arn: str
    definition: Mapping[str, Any]
    capacity_provider: str | None
    launch_type: str
    started_by: str | None
    group: str
    overrides: Mapping[str, Any]
    tags: tuple[Mapping[str, str], ...]


class ContainerPlatform(Protocol):
    """What a container finds around it when it starts."""

    def environment(self, task: SimulatedTask, container: Container) -> Mapping[str, str]:
        """Everything in its environment: the platform's, its own, its secrets. Raises `StartProblemError`."""

    def open_log(self, task: SimulatedTask, container: Container) -> None:
        """Makes sure that its log stream is there. Raises `StartProblemError`."""

    def close_log(self, container: Container) -> None:
        """Its output is complete."""


class Fleet:
    """All tasks of one simulation."""

    def __init__(
        self,
        *,
        folder: Path,
        options: settings.SimulationSettings,
        faults: armed_faults.ArmedFaults,
        later: timers.Timers,
        processes: agent_client.AgentClient,
        surroundings: ContainerPlatform,
    ) -> None:
        self.lock = threading.RLock()
        self._folder = folder
        self._options = options
        self._faults = faults
        self._later = later
        self._surroundings = surroundings
        self._tasks: dict[str, SimulatedTask] = {}
        self._by_container: dict[str, tuple[SimulatedTask, Container]] = {}
        self._numbers = itertools.count(1)
        self._starters = futures.ThreadPoolExecutor(_STARTERS, thread_name_prefix="start")
        self._processes = processes

    # Asked by the ECS interface

    def launch(self, wish: LaunchRequest) -> SimulatedTask:
        """A new task, on its way to RUNNING."""
        now = self._faults.now()
        task_id = uuid.uuid4().hex
        task = SimulatedTask(
            number=next(self._numbers),
            task_id=task_id,
            arn=wish.cluster_arn.replace(":cluster/", ":task/") + "/" + task_id,
            cluster_arn=wish.cluster_arn,
            definition=wish.definition,
            capacity_provider=wish.capacity_provider,
            launch_type=wish.launch_type,
            started_by=wish.started_by,
            group=wish.group,
            overrides=wish.overrides,
            tags=[{**tag} for tag in wish.tags],
            created_at=now,
            visible_from=time.monotonic() + self._options.missing_seconds,
        )
        folder = self._folder / task_id
        folder.mkdir(parents=True)
        task.containers = [
            _container(task, definition, folder) for definition in wish.definition["containerDefinitions"]
        ]
        with self.lock:
            self._tasks[task.arn] = task
            for container in task.containers:
                self._by_container[container.container_id] = (task, container)
        self._later.after(self._options.provisioning_seconds, lambda: self._pend(task))
        return task

    def find(self, cluster_arn: str, name: str) -> SimulatedTask | None:
        """The task of this ARN or id in this cluster, None when there is none or it is forgotten."""
        prefix = cluster_arn.replace(":cluster/", ":task/") + "/"
        with self.lock:
            return self._tasks.get(name if name.startswith(prefix) else prefix + name)

    def by_arn(self, arn: str) -> SimulatedTask | None:
        """The task of this ARN in any cluster."""
        with self.lock:
            return self._tasks.get(arn)

    def visible(self, task: SimulatedTask) -> bool:
        """Whether reads see it yet: ECS is eventually consistent."""
        return time.monotonic() >= task.visible_from or task.last_status == "STOPPED"

    def tasks(self) -> list[SimulatedTask]:
        """Every task not yet forgotten, oldest first."""
        with self.lock:
            return sorted(self._tasks.values(), key=lambda task: task.number)

    def stop(self, task: SimulatedTask, *, code: str, reason: str, notice_seconds: float | None = None) -> None:
        """Asks the task to end: TERM to each container, KILL after its stop timeout (or the notice where one is given).

        Asking again changes nothing; how it ended is decided by who asked first.
        """
        with self.lock:
            if task.desired_status == "STOPPED":
                return
            task.desired_status = "STOPPED"
            task.stop_code = code
            task.stopped_reason = reason
            task.stopping_at = self._faults.now()
            if not task.starting:
                self._wind_up(task)
                return
            if task.started_at is None:
                task.started_at = task.stopping_at
            self._move(task, "DEACTIVATING")
        self._later.after(self._options.deactivating_seconds, lambda: self._terminate(task, notice_seconds))

    # Asked by faults

    def run_out_of_memory(self, task: SimulatedTask) -> None:
        """Kills the task's main container as the kernel does where memory runs out."""
        with self.lock:
            container = task.main
            if container is not None and container.running:
                container.reason = OUT_OF_MEMORY
                self._processes.kill(container.container_id)

    def interrupt(self, task: SimulatedTask) -> None:
        """Takes a Spot task back, with notice."""
        self.stop(
            task,
            code=SPOT_INTERRUPTION,
            reason="Your Spot Task was interrupted.",
            notice_seconds=self._options.spot_notice_seconds,
        )

    def escape(self, task: SimulatedTask) -> None:
        """Gives each guarded container, once, a process out of its guard's reach."""
        with self.lock:
            for container in task.containers:
                if container.guarded and container.running and not container.escaped:
                    container.escaped = True
                    self._processes.escape(container.container_id)

    # The life of a task

    def _pend(self, task: SimulatedTask) -> None:
        with self.lock:
            if task.desired_status == "STOPPED":
                return
            self._move(task, "PENDING")
            task.connectivity_at = task.pull_started_at = self._faults.now()
        if self._faults.active("stuck-pending") is None:
            self._later.after(self._options.pending_seconds, lambda: self._submit_start(task))
        else:
            self._stay_stuck(task, self._options.stuck_seconds)

    def _stay_stuck(self, task: SimulatedTask, seconds_left: float) -> None:
        if task.desired_status == "STOPPED":
            return
        if self._faults.active("stuck-pending") is None:
            self._submit_start(task)
        elif seconds_left <= 0:
            self._fail_to_start(task, StartProblemError(GIVEN_UP, without_containers=True))
        else:
            rest = seconds_left - _STUCK_POLL_SECONDS
            self._later.after(_STUCK_POLL_SECONDS, lambda: self._stay_stuck(task, rest))

    def _submit_start(self, task: SimulatedTask) -> None:
        self._starters.submit(self._start, task)

    def _start(self, task: SimulatedTask) -> None:
        try:
            environments = [self._prepared(task, container) for container in task.containers]
        except StartProblemError as exc:
            self._fail_to_start(task, exc)
            return
        except Exception as exc:
            _LOG.exception("task %s", task.task_id)
            self._fail_to_start(task, StartProblemError(f"CannotStartContainerError: {type(exc).__name__}"))
            return
        with self.lock:
            if task.desired_status == "STOPPED":
                return
            task.pull_stopped_at = self._faults.now()
            task.starting = True
            self._move(task, "ACTIVATING")
            for container, environment in zip(task.containers, environments, strict=True):
                self._processes.start(
                    container.container_id,
                    argv=self._deafened(container),
                    environment=environment,
                    folder=self._working_folder(container),
                    log=container.log,
                    heard=self._heard,
                    init=bool(container.definition.get("linuxParameters", {}).get("initProcessEnabled")),
                )

    def _prepared(self, task: SimulatedTask, container: Container) -> Mapping[str, str]:
        environment = self._surroundings.environment(task, container)
        problem = _cannot_start(container, environment, self._working_folder(container))
        if problem is not None:
            container.reason = problem
            raise StartProblemError("Essential container in task exited" if container.essential else problem)
        self._surroundings.open_log(task, container)
        return environment

    def _deafened(self, container: Container) -> tuple[str, ...]:
        """Its command, with a program that ignores TERM around what does the work while that fault is in force."""
        if self._faults.active("task-ignores-term") is None:
            return container.argv
        begin = container.argv.index("--") + 1 if container.guarded and "--" in container.argv else 0
        return (*container.argv[:begin], sys.executable, "-I", ignore_term.__file__, *container.argv[begin:])

    def _working_folder(self, container: Container) -> Path:
        return Path(container.definition.get("workingDirectory") or self._options.working_folder or ".")

    def _fail_to_start(self, task: SimulatedTask, problem: StartProblemError) -> None:
        with self.lock:
            if task.desired_status == "STOPPED":
                return
            task.desired_status = "STOPPED"
            task.stop_code = FAILED_TO_START
            task.stopped_reason = str(problem)
            task.stopping_at = self._faults.now()
            if problem.without_containers:
                task.containers = []
            self._wind_up(task)

    def _heard(self, event: agent_client.ContainerStarted | agent_client.ContainerEnded) -> None:
        with self.lock:
            task, container = self._by_container[event.container_id]
            if isinstance(event, agent_client.ContainerStarted):
                self._container_started(task, container, event.pid)
            else:
                self._container_ended(task, container, event.exit_code)

    def _container_started(self, task: SimulatedTask, container: Container, pid: int) -> None:
        container.pid = pid
        container.runtime_id = f"{task.task_id}-{task.number:010d}"
        container.last_status = "RUNNING"
        if task.started_at is None and all(each.pid is not None for each in task.containers):
            task.started_at = self._faults.now()
            self._move(task, "RUNNING")

    def _container_ended(self, task: SimulatedTask, container: Container, exit_code: int) -> None:
        container.last_status = "STOPPED"
        container.exit_code = exit_code
        self._surroundings.close_log(container)
        task.version += 1
        last = all(each.last_status == "STOPPED" for each in task.containers)
        if container.essential or last:
            self.stop(task, code=ESSENTIAL_EXITED, reason="Essential container in task exited")
            # Of the first essential one, as in ECS's own agent (RecordExecutionStoppedAt): others may run on.
            task.execution_stopped_at = task.execution_stopped_at or self._faults.now()
        if last:
            self._wind_up(task)

    def _terminate(self, task: SimulatedTask, notice_seconds: float | None) -> None:
        with self.lock:
            running = [container for container in task.containers if container.last_status != "STOPPED"]
            if not running:
                return
            self._move(task, "STOPPING")
            deaf = self._faults.active("task-ignores-term") is not None
            for container in running:
                if not deaf:
                    self._processes.terminate(container.container_id)
                patience = self._stop_timeout_seconds(container) if notice_seconds is None else notice_seconds
                self._later.after(patience, self._killer(container))

    def _stop_timeout_seconds(self, container: Container) -> float:
        seconds = float(container.definition.get("stopTimeout", STOP_TIMEOUT_SECONDS))
        return seconds * self._options.stop_timeout_scale

    def _killer(self, container: Container) -> Callable[[], None]:
        def kill() -> None:
            if container.last_status != "STOPPED":
                self._processes.kill(container.container_id)

        return kill

    def _wind_up(self, task: SimulatedTask) -> None:
        """Nothing of the task runs any more, or ever did."""
        task.execution_stopped_at = task.execution_stopped_at or self._faults.now()
        for container in task.containers:
            container.last_status = "STOPPED"
        self._move(task, "DEPROVISIONING")
        self._later.after(self._options.deprovisioning_seconds, lambda: self._stopped(task))

    def _stopped(self, task: SimulatedTask) -> None:
        with self.lock:
            task.stopped_at = self._faults.now()
            self._move(task, "STOPPED")
        self._later.after(self._options.forget_seconds, lambda: self._forget(task))

    def _forget(self, task: SimulatedTask) -> None:
        with self.lock:
            self._tasks.pop(task.arn, None)
            for container in task.containers:
                self._by_container.pop(container.container_id, None)

    def _move(self, task: SimulatedTask, last_status: str) -> None:
        task.last_status = last_status
        task.version += 1


def _container(task: SimulatedTask, definition: Mapping[str, Any], folder: Path) -> Container:
    overridden: Mapping[str, Any] = next(
        (each for each in task.overrides.get("containerOverrides", []) if each.get("name") == definition["name"]), {}
    )
    command = overridden.get("command") or definition.get("command") or []
    environment = [*definition.get("environment", []), *overridden.get("environment", [])]
    return Container(
        definition=definition,
        argv=(*definition.get("entryPoint", []), *command),
        environment={pair["name"]: pair["value"] for pair in environment},
        container_id=f"{task.task_id}/{definition['name']}",
        arn=f"{task.arn.replace(':task/', ':container/')}/{uuid.uuid4()}",
        log=folder / f"{definition['name']}.log",
    )


def _cannot_start(container: Container, environment: Mapping[str, str], folder: Path) -> str | None:
    if not container.argv:
        return (
            "CannotStartContainerError: no command specified (images are not simulated: entryPoint or command says it)"
        )
    if not folder.is_dir():
        return f"CannotStartContainerError: the working folder {folder} is not there"
    program = container.argv[0]
    beside = os.path.join(folder, program) if "/" in program else program
    if shutil.which(beside, path=environment.get("PATH")) is None:
        return f'CannotStartContainerError: exec: "{program}": executable file not found in $PATH'
    return None
