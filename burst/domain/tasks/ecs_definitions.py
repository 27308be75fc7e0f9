"""ECS task definitions: what one says that decides how burst runs, stops and judges its tasks.

A definition that is not ours is used as it is: what it cannot have, a guard, a sidecar, a log, is told here and judged
by whoever asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burst.domain.basics import errors
from burst.domain.tasks import costs, ecs_truths


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a task definition says that decides how burst runs and judges its tasks."""

    arn: str
    container: str
    guarded: bool
    """Its container's entry point is `burst guard`, so tasks claim shards, and end by themselves."""
    sidecar: bool
    """It has the essential `lifespan` container."""
    stop_timeouts: tuple[tuple[str, int], ...]
    """Seconds between TERM and KILL, of the containers that say so."""
    secrets: frozenset[str]
    """Names of the variables its container gets from a secret store."""
    log_group: str | None = None
    log_prefix: str | None = None
    log_region: str | None = None
    log_mode: str | None = None
    """Whether its container waits for its log (`blocking`) or loses lines; None where AWS's default holds."""
    status: str = "ACTIVE"
    size: costs.Size | None = None
    secret_sources: tuple[tuple[str, str], ...] = ()
    """Each variable of `secrets` with where its value lies."""

    def log_stream(self, task_id: str) -> str | None:
        """The log stream of one task, where the container logs to CloudWatch."""
        short_id = task_id.rpartition("/")[2]
        return f"{self.log_prefix}/{self.container}/{short_id}" if self.log_group and self.log_prefix else None


def read_definition(described: Mapping[str, Any], wanted: str | None) -> Definition:
    """What DescribeTaskDefinition says; `wanted` is the container that carries the load, where there are several.

    Raises `errors.UsageError` where there is no such container.
    """
    containers = {one["name"]: one for one in described["containerDefinitions"]}
    others = [name for name in containers if name != ecs_truths.SIDECAR_CONTAINER]
    name = wanted or (others[0] if len(others) == 1 else None)
    if name is None or name not in containers:
        raise errors.UsageError(
            f"target.container: saw {wanted or 'none'}; {described['taskDefinitionArn']} has {', '.join(others)}"
        )
    own = containers[name]
    log = own.get("logConfiguration") or {}
    options = log.get("options") or {} if log.get("logDriver") == "awslogs" else {}
    return Definition(
        arn=described["taskDefinitionArn"],
        container=name,
        guarded=is_guard(own.get("entryPoint") or ()),
        sidecar=bool(containers.get(ecs_truths.SIDECAR_CONTAINER, {}).get("essential", False)),
        stop_timeouts=tuple((key, one["stopTimeout"]) for key, one in containers.items() if "stopTimeout" in one),
        secrets=frozenset(one["name"] for one in own.get("secrets") or ()),
        log_group=options.get("awslogs-group"),
        log_prefix=options.get("awslogs-stream-prefix"),
        log_region=options.get("awslogs-region"),
        log_mode=options.get("mode"),
        status=str(described.get("status", "ACTIVE")),
        size=_size(described),
        secret_sources=tuple((one["name"], one["valueFrom"]) for one in own.get("secrets") or ()),
    )


def _size(described: Mapping[str, Any]) -> costs.Size | None:
    """What a task is given; Fargate's definitions always say it, as digits."""
    cpu, memory = str(described.get("cpu") or ""), str(described.get("memory") or "")
    if not (cpu.isdigit() and memory.isdigit()):
        return None
    return costs.Size(vcpu=int(cpu) / 1024, memory_gb=int(memory) / 1024)


def is_guard(words: Sequence[str]) -> bool:
    """Whether an entry point or a command is ours: `burst guard`, or `python -m burst.task.guard`, under any path."""
    program = words[0].rpartition("/")[2] if words else ""
    if program == "burst":
        return list(words[1:2]) == ["guard"]
    return program.startswith("python") and list(words[1:3]) == ["-m", "burst.task.guard"]
