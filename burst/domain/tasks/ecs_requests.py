"""RunTask requests: the parameters by which ECS starts a batch of shards, or a one-shot.

A request is made only of what the controller journalled before the call, its client token too, so the same request
can be repeated and starts nothing twice. Everything that a later process needs to know goes into the overrides.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst.domain.basics import errors, instants
from burst.domain.tasks import ecs_definitions, ecs_marks, ecs_truths, launch_rates, tasks
from burst.load import shard_values

LONGEST_OVERRIDES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The facts of a run that its tasks carry."""

    execution_id: str
    phase: str
    deadline: datetime
    control_uri: str
    """The URI of the lease."""
    record_uri: str
    """The folder for the guards' records, ending in `/`."""
    secrets: frozenset[str] = frozenset()
    """Variables the program needs and only the task definition may set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNetwork:
    """The cluster that tasks run in, and their network."""

    cluster: str
    subnets: Sequence[str]
    security_groups: Sequence[str]
    public_addresses: bool = False
    """Each task gets a public address, which an internet gateway alone needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The end of a one-shot: its deadline, the seconds until then, and the seconds from TERM to KILL."""

    deadline: datetime
    budget_seconds: float
    grace_seconds: float


def split_batches(
    shards: Sequence[int], *, guarded: bool, claimed: frozenset[int] = frozenset()
) -> list[tuple[int, ...]]:
    """Batches of neighbouring shards, because the tasks of a batch claim upwards from its first.

    Without a guard no task claims a shard, so each shard is a batch; and so is a shard that is `claimed` already.
    """
    largest = launch_rates.LARGEST_BATCH if guarded else 1
    batches: list[tuple[int, ...]] = []
    for shard in sorted(shards):
        last = batches[-1] if batches else ()
        joins = bool(last) and shard == last[-1] + 1 and not claimed & {shard, last[-1]}
        if joins and len(last) < largest:
            batches[-1] = (*last, shard)
        else:
            batches.append((shard,))
    return batches


def batch_request(
    request: tasks.LaunchRequest,
    batch: Sequence[int],
    *,
    definition: ecs_definitions.Definition,
    run: RunContext,
    network: TaskNetwork,
) -> dict[str, Any]:
    """The parameters of RunTask for one batch of shards. Raises `errors.UsageError` for overrides that are too long."""
    environment = dict(request.environment) | _shard_variables(request, batch[0], definition, run)
    if not definition.guarded:  # a guard gives the program the values of the shard that it claimed
        environment |= shard_values.read_variables(environment, batch[0])
    sidecar_seconds = request.budget_seconds + request.grace_seconds
    provider = request.capacity
    capacity = {"capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}]} if provider else {}
    return {
        "cluster": network.cluster,
        "taskDefinition": definition.arn,
        "count": len(batch),
        "clientToken": _hash_token(f"{request.execution_id}|{request.token}|{batch[0]}"),
        "startedBy": ecs_marks.started_by(request.execution_id),
        "overrides": _overrides(definition, environment, request.command, sidecar_seconds),
        **_network_and_tags(network, run, run.deadline),
        **(capacity or {"launchType": "FARGATE"}),
    }


def one_shot_request(
    shot: tasks.OneShot,
    attempt: int,
    *,
    definition: ecs_definitions.Definition,
    limits: Limits,
    run: RunContext,
    network: TaskNetwork,
) -> dict[str, Any]:
    """The parameters of RunTask for one attempt at a one-shot. Raises `errors.UsageError` for overrides too long."""
    environment = dict(shot.environment)
    if is_guarded(shot, definition):
        environment |= {ecs_marks.BUDGET: f"{limits.budget_seconds:.3f}", ecs_marks.GRACE: f"{limits.grace_seconds:g}"}
    environment |= {
        ecs_marks.RUN: run.execution_id,
        ecs_marks.ONE_SHOT: shot.name,
        ecs_marks.DEADLINE: instants.text(limits.deadline),
    }
    sidecar_seconds = limits.budget_seconds + limits.grace_seconds
    return {
        "cluster": network.cluster,
        "taskDefinition": definition.arn,
        "count": 1,
        "clientToken": _hash_token(f"{run.execution_id}|one-shot|{shot.name}|{attempt}"),
        "startedBy": ecs_marks.started_by(tasks.one_shot_id(run.execution_id, shot.name)),
        "overrides": _overrides(definition, environment, shot.command, sidecar_seconds),
        **_network_and_tags(network, run, limits.deadline),
        "launchType": "FARGATE",
    }


def is_guarded(shot: tasks.OneShot, definition: ecs_definitions.Definition) -> bool:
    """Whether a one-shot runs under burst's guard: the definition's own, or one that its command starts."""
    return definition.guarded or ecs_definitions.is_guard(shot.command)


def refuse_exposed_secrets(environment: Iterable[tuple[str, str]], secrets: frozenset[str], definition: str) -> None:
    """Raises `errors.Refused` where overrides would hold a secret, which DescribeTasks shows."""
    exposed = sorted({name for name, _ in environment} & secrets)
    if exposed:
        raise errors.Refused(
            f"nothing launched: {', '.join(exposed)} would stand in the overrides, which DescribeTasks shows; "
            f"leave it to the secrets of {definition}"
        )


def _shard_variables(
    request: tasks.LaunchRequest, first_shard: int, definition: ecs_definitions.Definition, run: RunContext
) -> dict[str, str]:
    # With both, the guard takes the shard without a claim, and its hint still tells that there is a guard.
    by_hint, by_variable = definition.guarded, not definition.guarded or first_shard in request.claimed
    return {
        **({ecs_marks.HINT: str(first_shard)} if by_hint else {}),
        **({ecs_marks.SHARD: str(first_shard)} if by_variable else {}),
        ecs_marks.RUN: request.execution_id,
        "BURST_SHARD_COUNT": str(request.shard_count),
        ecs_marks.BUDGET: f"{request.budget_seconds:.3f}",
        ecs_marks.GRACE: f"{request.grace_seconds:g}",
        ecs_marks.CONTROL: run.control_uri,
        ecs_marks.DEADLINE: instants.text(run.deadline),
        "BURST_LEASE_TTL_SECONDS": f"{request.lease_ttl_seconds:g}",
        "BURST_RECORD_URI": run.record_uri,
        "BURST_CHILD_WAITS": "1" if request.child_waits else "0",
    }


def _overrides(
    definition: ecs_definitions.Definition,
    environment: Mapping[str, str],
    command: Sequence[str],
    sidecar_seconds: float,
) -> dict[str, Any]:
    """The overrides of the load's container and, where the definition has one, of the sidecar, which acts only after
    the guard's grace."""
    load: dict[str, Any] = {"name": definition.container, "environment": _pairs(environment)}
    if command:
        load["command"] = list(command)
    overrides = {"containerOverrides": [load]}
    if definition.sidecar:
        variables = {ecs_marks.BUDGET: str(math.ceil(sidecar_seconds))}
        overrides["containerOverrides"].append({"name": ecs_truths.SIDECAR_CONTAINER, "environment": _pairs(variables)})
    require_fitting(overrides, environment, command)
    return overrides


def require_fitting(overrides: Mapping[str, Any], environment: Mapping[str, str], command: Sequence[str]) -> None:
    """Raises `errors.UsageError`, which names the longest value, where ECS would refuse the overrides as too long."""
    length = len(json.dumps(overrides))
    if length <= LONGEST_OVERRIDES:
        return
    sizes = {name: len(value) for name, value in environment.items()} | {"command": len(json.dumps(list(command)))}
    longest = max(sizes, key=lambda name: sizes[name])
    raise errors.UsageError(
        f"nothing launched: the overrides of a task are {length} characters, of which {longest} has {sizes[longest]}; "
        f"allowed: {LONGEST_OVERRIDES}. Put long values into the task definition"
    )


def _network_and_tags(network: TaskNetwork, run: RunContext, deadline: datetime) -> dict[str, Any]:
    """Network and tags of a task; `burst reap` reads the deadline there."""
    return {
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": network.subnets,
                "securityGroups": network.security_groups,
                "assignPublicIp": "ENABLED" if network.public_addresses else "DISABLED",
            }
        },
        "enableECSManagedTags": True,
        "tags": [
            {"key": ecs_marks.RUN_TAG, "value": run.execution_id},
            {"key": ecs_marks.DEADLINE_TAG, "value": instants.text(deadline)},
            {"key": ecs_marks.PHASE_TAG, "value": run.phase},
        ],
    }


def _hash_token(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


def _pairs(environment: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in environment.items()]
