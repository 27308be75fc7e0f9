"""Services of the system under load: how they are scaled for a burst, and how they are put back.

The counts before the burst are recorded before the first change. The present count decides whether a service is put
back: a count that is neither the burst's nor the one before was set by another operator, and is left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from burst.domain.basics import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service with its present counts."""

    name: str
    desired: int
    running: int
    definition: str = ""
    """The ARN of the task definition that new tasks are started by."""
    settled: bool = True
    """Whether its newest deployment is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRoll:
    """One service with its task definition before the burst and its task definition for the burst, by ARN."""

    name: str
    """The name of the service in the cluster of the plan."""
    before: str
    """The ARN of its task definition before the burst."""
    definition: str
    """The ARN of its task definition for the burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One service with its newest deployment, and the tasks that run for it."""

    name: str
    deployment: str
    """The id of the deployment that new tasks are started by."""
    complete: bool
    """Whether the deployment is over, and went well."""
    desired: int
    tasks: tuple[str, ...]
    """The ids of its running tasks, of whichever deployment."""
    detail: str = ""
    """What the platform says of the deployment, where it is not complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """How far a restarted service is: how many of its tasks are gone, how many run in their place, and whether that is
    all of them."""

    replaced: int
    running: int
    over: bool


def judge_restart(tasks_before: Sequence[str], deployment_before: str | None, rollout: Rollout) -> Replacement:
    """How far a service is whose tasks and deployment were these before its restart."""
    present, before = set(rollout.tasks), set(tasks_before)
    replaced, running = len(before - present), len(present - before)
    all_new = replaced == len(before) and running >= rollout.desired > 0
    over = all_new and rollout.complete and rollout.deployment != deployment_before
    return Replacement(replaced=replaced, running=running, over=over)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceChange:
    """One service with its count before the burst and its count for the burst."""

    name: str
    """The name of the service in the cluster of the plan."""
    before: int
    """How many tasks it was to run before the burst."""
    desired: int
    """How many tasks it is to run for the burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRestore:
    """How services are put back: the counts to set, and the reason for each service that is left as it is."""

    wanted: Mapping[str, int] = field(hash=False)
    again: Mapping[str, int] = field(hash=False)
    """The counts of services that seem restored. DescribeServices may be stale, so they are set again; where the answer
    was true, that changes nothing."""
    left: Mapping[str, str] = field(hash=False)
    definitions: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The task definitions to set with the counts, of services that were rolled."""


def plan_changes(desired: Mapping[str, int], services: Sequence[Service]) -> tuple[ServiceChange, ...]:
    """The changes for a burst. Raises `errors.UsageError` for a service that the cluster does not have."""
    names = {service.name for service in services}
    missing = [name for name in desired if name not in names]
    if missing:
        raise errors.UsageError(f"services: saw {', '.join(missing)}, of which the cluster has no active service")
    return tuple(
        ServiceChange(name=service.name, before=service.desired, desired=desired[service.name]) for service in services
    )


def plan_restore(
    changes: Sequence[ServiceChange], services: Sequence[Service], rolls: Sequence[ServiceRoll] = ()
) -> ServiceRestore:
    """How the services are put back, by their present counts and definitions. A service that somebody removed, scaled
    or rolled meanwhile is left alone."""
    present, rolled = {service.name: service for service in services}, {roll.name: roll for roll in rolls}
    to_set, to_set_again, left_alone = {}, {}, {}
    for change in changes:
        service, roll = present.get(change.name), rolled.get(change.name)
        why = _find_foreign_hand(change, service, roll)
        if why or service is None:
            left_alone[change.name] = why
        elif service.desired == change.before and (roll is None or service.definition == roll.before):
            to_set_again[change.name] = change.before
        else:
            to_set[change.name] = change.before
    definitions = {name: roll.before for name, roll in rolled.items() if name in {**to_set, **to_set_again}}
    return ServiceRestore(wanted=to_set, again=to_set_again, left=left_alone, definitions=definitions)


def _find_foreign_hand(change: ServiceChange, service: Service | None, roll: ServiceRoll | None) -> str:
    """Why a service is left alone; empty where it stands as the burst left it, or as it was before."""
    if service is None:
        return "somebody removed it meanwhile; there is nothing to put back"
    if service.desired not in (change.before, change.desired):
        return (
            f"somebody set it to {service.desired} meanwhile; it was {change.before} before the burst set it to "
            f"{change.desired}, and is left alone"
        )
    if roll is not None and service.definition not in (roll.before, roll.definition):
        return (
            f"somebody rolled it to {service.definition} meanwhile; it was {roll.before} before the burst rolled it to "
            f"{roll.definition}, and is left alone"
        )
    return ""


def list_waiting(
    desired: Mapping[str, int], services: Sequence[Service], definitions: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The services whose running count is not yet the desired one, or whose roll-out is not over, in words."""
    present = {service.name: service for service in services}
    waiting = [f"{name} is not there" for name in desired if name not in present]
    for name, service in present.items():
        if not service.running == service.desired == desired[name]:
            waiting.append(f"{name} has {service.running} of {desired[name]} running")
        elif name in (definitions or {}) and not service.settled:
            waiting.append(f"{name} is being rolled to {service.definition}")
    return tuple(waiting)


def restoring_command(cluster: str, service: str, desired: int, definition: str | None = None) -> str:
    """The command with which a person puts back a service that burst could not."""
    roll = "" if definition is None else f" --task-definition {definition}"
    return f"aws ecs update-service --cluster {cluster} --service {service} --desired-count {desired}{roll}"
