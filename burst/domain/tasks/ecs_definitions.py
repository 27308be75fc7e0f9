"""ECS task definitions: the parts that decide how burst runs, stops and judges the tasks.

A definition of another origin is used as it is. Whether it has a guard, a sidecar and a log is read here; preflight and
the launch judge that.
"""

import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burst.domain.basics import errors
from burst.domain.tasks import costs, ecs_truths

DEFAULT_STOP_TIMEOUT_SECONDS = 30.0
"""The stopTimeout of a container whose definition names none."""


TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")
TEMPORARY_FOLDERS = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 - the folders that Python's tempfile tries
"""Python's tempfile takes the first of the variables and folders in which it can write, else the working folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFilesystem:
    """Where a container may write. `temporary` are the folders that its programs try for temporary files."""

    read_only: bool = False
    writable: tuple[str, ...] = ()
    """The folders on a tmpfs or a volume, which a read-only root leaves writable."""
    temporary: tuple[str, ...] = TEMPORARY_FOLDERS
    shares_volumes: bool = False
    """It has the volumes of another container too, which are not looked at."""

    @property
    def writable_temporary(self) -> str | None:
        """The first temporary folder that lies in a writable one; None where none does."""
        for folder in self.temporary:
            if any(pathlib.PurePosixPath(folder).is_relative_to(path) for path in self.writable):
                return folder
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The parts of a task definition that decide how burst runs and judges its tasks."""

    arn: str
    container: str
    guarded: bool
    """Its container's entry point is `burst guard`, so tasks claim shards, and end by themselves."""
    sidecar: bool
    """It has the essential `lifespan` container."""
    stop_timeouts: tuple[tuple[str, float], ...]
    """Seconds between TERM and KILL, of every container."""
    secrets: frozenset[str]
    """The variables that its container gets from a secret store."""
    log_group: str | None = None
    log_prefix: str | None = None
    log_mode: str | None = None
    """Whether its container waits for its log (`blocking`) or loses lines; None where AWS's default holds."""
    status: str = "ACTIVE"
    size: costs.Size | None = None
    secret_sources: tuple[tuple[str, str], ...] = ()
    """Each variable of `secrets` with the address of its value."""
    images: tuple[str, ...] = ()
    """The images of all its containers."""
    stores: frozenset[str] = frozenset()
    """The services of AWS that its containers' secrets and logs come from and go to: ssm, secretsmanager, logs."""
    root: RootFilesystem = RootFilesystem()
    """Where its container may write."""
    variables: frozenset[str] = frozenset()
    """The variables that the definition itself sets in its container, without its secrets."""
    variable_files: tuple[str, ...] = ()
    """The files on S3 from which ECS sets further variables in its container."""
    files: int | None = None
    """How many files its container may have open; None where the platform's default holds."""

    @property
    def longest_stop_timeout_seconds(self) -> float:
        """How long the slowest container may take from TERM to KILL."""
        return max(seconds for _, seconds in self.stop_timeouts)

    def log_stream(self, task_id: str) -> str | None:
        """The log stream of one task, where the container logs to CloudWatch."""
        short_id = task_id.rpartition("/")[2]
        return f"{self.log_prefix}/{self.container}/{short_id}" if self.log_group and self.log_prefix else None


def read_definition(described: Mapping[str, Any], load_container: str | None) -> Definition:
    """The definition in an answer of DescribeTaskDefinition.

    `load_container` is the container that carries the load; it may be None where there is only one. Raises
    `errors.UsageError` where the definition has no such container.
    """
    containers = {container["name"]: container for container in described["containerDefinitions"]}
    name = _choose_container(described, containers, load_container)
    own = containers[name]
    secrets = own.get("secrets") or ()
    log = own.get("logConfiguration") or {}
    options = log.get("options") or {} if log.get("logDriver") == "awslogs" else {}
    return Definition(
        arn=described["taskDefinitionArn"],
        container=name,
        guarded=is_guard(own.get("entryPoint") or ()),
        sidecar=bool(containers.get(ecs_truths.SIDECAR_CONTAINER, {}).get("essential", False)),
        stop_timeouts=tuple(
            (key, float(container.get("stopTimeout", DEFAULT_STOP_TIMEOUT_SECONDS)))
            for key, container in containers.items()
        ),
        secrets=frozenset(secret["name"] for secret in secrets),
        log_group=options.get("awslogs-group"),
        log_prefix=options.get("awslogs-stream-prefix"),
        log_mode=options.get("mode"),
        status=str(described.get("status", "ACTIVE")),
        size=_read_size(described),
        secret_sources=tuple((secret["name"], secret["valueFrom"]) for secret in secrets),
        images=tuple(str(container.get("image", "")) for container in containers.values()),
        stores=frozenset(store for container in containers.values() for store in _list_stores(container)),
        root=_read_root(own),
        variables=frozenset(pair["name"] for pair in own.get("environment") or ()),
        variable_files=tuple(str(file["value"]) for file in own.get("environmentFiles") or ()),
        files=next((int(limit["softLimit"]) for limit in own.get("ulimits") or () if limit["name"] == "nofile"), None),
    )


def _choose_container(described: Mapping[str, Any], names: Collection[str], load_container: str | None) -> str:
    candidates = [name for name in names if name != ecs_truths.SIDECAR_CONTAINER]
    name = load_container or (candidates[0] if len(candidates) == 1 else None)
    if name is None or name not in names:
        raise errors.UsageError(
            f"target.container: saw {load_container or 'none'}; "
            f"{described['taskDefinitionArn']} has {', '.join(candidates)}"
        )
    return name


def _list_stores(container: Mapping[str, Any]) -> Iterator[str]:
    for secret in container.get("secrets") or ():
        yield "secretsmanager" if ":secretsmanager:" in secret["valueFrom"] else "ssm"
    if (container.get("logConfiguration") or {}).get("logDriver") == "awslogs":
        yield "logs"


def _read_root(container: Mapping[str, Any]) -> RootFilesystem:
    tmpfs = (container.get("linuxParameters") or {}).get("tmpfs") or ()
    mounts = [mount for mount in container.get("mountPoints") or () if not mount.get("readOnly", False)]
    variables = {pair["name"]: pair.get("value", "") for pair in container.get("environment") or ()}
    temporary = [variables[name] for name in TEMPORARY_VARIABLES if variables.get(name)]
    return RootFilesystem(
        read_only=bool(container.get("readonlyRootFilesystem", False)),
        writable=tuple(
            str(path)
            for path in (*(each["containerPath"] for each in tmpfs), *(mount["containerPath"] for mount in mounts))
        ),
        temporary=(*temporary, *TEMPORARY_FOLDERS, *filter(None, [container.get("workingDirectory")])),
        shares_volumes=bool(container.get("volumesFrom")),
    )


def _read_size(described: Mapping[str, Any]) -> costs.Size | None:
    """The task's size, which a definition for Fargate always holds, in digits."""
    cpu, memory = str(described.get("cpu") or ""), str(described.get("memory") or "")
    if not (cpu.isdigit() and memory.isdigit()):
        return None
    return costs.Size(vcpu=int(cpu) / 1024, memory_gb=int(memory) / 1024)


def is_guard(words: Sequence[str]) -> bool:
    """Whether an entry point or a command is `burst guard` or `python -m burst.task.guard`, under any path."""
    program = words[0].rpartition("/")[2] if words else ""
    if program == "burst":
        return list(words[1:2]) == ["guard"]
    return program.startswith("python") and list(words[1:3]) == ["-m", "burst.task.guard"]
