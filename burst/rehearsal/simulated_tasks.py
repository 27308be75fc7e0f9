"""The tasks and containers of the simulated ECS, as values that the fleet changes."""

import os
import shutil
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

STOP_TIMEOUT_SECONDS = 30
ESSENTIAL_EXITED = "EssentialContainerExited"
USER_INITIATED = "UserInitiated"
FAILED_TO_START = "TaskFailedToStart"
SPOT_INTERRUPTION = "SpotInterruption"
INFRASTRUCTURE_HEALTH = "InfrastructureHealth"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
GIVEN_UP = "Task provisioning failed: the task did not leave PENDING and was given up."
NO_NETWORK_INTERFACE = "Timeout waiting for network interface provisioning to complete."
HOST_UNHEALTHY = "The infrastructure of the task is not healthy."


class StartProblemError(Exception):
    """The reason why a task cannot start, worded as its stopped reason.

    `without_containers` means that ECS then describes the task without containers.
    """

    def __init__(self, reason: str, *, without_containers: bool = False) -> None:
        super().__init__(reason)
        self.without_containers = without_containers


@dataclass(slots=True, kw_only=True, eq=False)
class Container:
    """One container of a task, and the process of its program once that has started."""

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
    has_escaped_process: bool = False

    @property
    def name(self) -> str:
        """Its name in the task definition."""
        return str(self.definition["name"])

    @property
    def metadata_name(self) -> str:
        """The end of its metadata address, in Fargate's form: the id of its task, and a number of its own."""
        return f"{self.container_id.partition('/')[0]}-{zlib.crc32(self.container_id.encode()):010d}"

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
        """Whether its program has started and the container has not ended."""
        return self.pid is not None and self.last_status == "RUNNING"


@dataclass(slots=True, kw_only=True, eq=False)
class SimulatedTask:
    """One task, with the fields that DescribeTasks shows."""

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
    launched_monotonic: float  # monotonic, because the fault `clock-skew` moves AWS's clock
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
    stop_is_ignored: bool = False

    @property
    def is_ending(self) -> bool:
        """Whether it is to be stopped and ECS does something about it."""
        return self.desired_status == "STOPPED" and not self.stop_is_ignored

    @property
    def main(self) -> Container | None:
        """The first guarded essential container. Without a guarded one, the first essential one."""
        essential = [container for container in self.containers if container.essential]
        guarded = [container for container in essential if container.guarded]
        return next(iter(guarded or essential), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """A checked request for one new task."""

    cluster_arn: str
    definition: Mapping[str, Any]
    capacity_provider: str | None
    launch_type: str
    started_by: str | None
    group: str
    overrides: Mapping[str, Any]
    tags: tuple[Mapping[str, str], ...]


class ContainerPlatform(Protocol):
    """The platform that gives a container its environment and its log stream."""

    def environment(self, task: SimulatedTask, container: Container) -> Mapping[str, str]:
        """Every variable of the container: the platform's, its own and its secrets. Raises `StartProblemError`."""

    def open_log(self, container: Container) -> None:
        """Opens the container's log stream. Raises `StartProblemError`."""

    def complete_log(self, container: Container) -> None:
        """Marks the container's output as complete."""


def create_task(request: TaskRequest, *, number: int, created_at: datetime, launched_monotonic: float) -> SimulatedTask:
    """A new task without containers, in the state PROVISIONING."""
    task_id = uuid.uuid4().hex
    return SimulatedTask(
        number=number,
        task_id=task_id,
        arn=request.cluster_arn.replace(":cluster/", ":task/") + "/" + task_id,
        cluster_arn=request.cluster_arn,
        definition=request.definition,
        capacity_provider=request.capacity_provider,
        launch_type=request.launch_type,
        started_by=request.started_by,
        group=request.group,
        overrides=request.overrides,
        tags=[{**tag} for tag in request.tags],
        created_at=created_at,
        launched_monotonic=launched_monotonic,
    )


def create_container(task: SimulatedTask, definition: Mapping[str, Any], folder: Path) -> Container:
    """A container of the task, with the task's overrides applied. Its output goes to a file in `folder`."""
    overrides = task.overrides.get("containerOverrides", [])
    override: Mapping[str, Any] = next((each for each in overrides if each.get("name") == definition["name"]), {})
    command = override.get("command") or definition.get("command") or []
    environment = [*definition.get("environment", []), *override.get("environment", [])]
    return Container(
        definition=definition,
        argv=(*definition.get("entryPoint", []), *command),
        environment={pair["name"]: pair["value"] for pair in environment},
        container_id=f"{task.task_id}/{definition['name']}",
        arn=f"{task.arn.replace(':task/', ':container/')}/{uuid.uuid4()}",
        log=folder / f"{definition['name']}.log",
    )


def find_start_problem(container: Container, environment: Mapping[str, str], folder: Path) -> str | None:
    """The reason why the container's program cannot start in this folder, or None."""
    if not container.argv:
        return (
            "CannotStartContainerError: no command specified (a rehearsal has no images, so entryPoint or command "
            "has to name the program)"
        )
    if not folder.is_dir():
        return f"CannotStartContainerError: the working folder {folder} is not there"
    program = container.argv[0]
    path = os.path.join(folder, program) if "/" in program else program
    if shutil.which(path, path=environment.get("PATH")) is None:
        return f'CannotStartContainerError: exec: "{program}": executable file not found in $PATH'
    return None
