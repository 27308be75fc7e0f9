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
    before: int
    desired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRestore:
    """How services are put back: the counts to set, and the reason for each service that is left as it is."""

    wanted: Mapping[str, int] = field(hash=False)
    again: Mapping[str, int] = field(hash=False)
    """The counts of services that seem restored. DescribeServices may be stale, so they are set again; where the answer
    was true, that changes nothing."""
    left: Mapping[str, str] = field(hash=False)


def plan_changes(desired: Mapping[str, int], services: Sequence[Service]) -> tuple[ServiceChange, ...]:
    """The changes for a burst. Raises `errors.UsageError` for a service that the cluster does not have."""
    names = {service.name for service in services}
    missing = [name for name in desired if name not in names]
    if missing:
        raise errors.UsageError(f"services: saw {', '.join(missing)}, of which the cluster has no active service")
    return tuple(
        ServiceChange(name=service.name, before=service.desired, desired=desired[service.name]) for service in services
    )


def plan_restore(changes: Sequence[ServiceChange], services: Sequence[Service]) -> ServiceRestore:
    """How the services are put back, by their present counts. A service that was removed meanwhile is left alone."""
    counts = {service.name: service.desired for service in services}
    to_set, to_set_again, left_alone = {}, {}, {}
    for change in changes:
        count = counts.get(change.name)
        if count is None:
            left_alone[change.name] = "somebody removed it meanwhile; there is nothing to put back"
        elif count == change.before:
            to_set_again[change.name] = change.before
        elif count == change.desired:
            to_set[change.name] = change.before
        else:
            left_alone[change.name] = (
                f"somebody set it to {count} meanwhile; it was {change.before} before the burst set it to "
                f"{change.desired}, and is left alone"
            )
    return ServiceRestore(wanted=to_set, again=to_set_again, left=left_alone)


def list_waiting(desired: Mapping[str, int], services: Sequence[Service]) -> tuple[str, ...]:
    """The services whose running count is not yet the desired one, in words."""
    present = {service.name: service for service in services}
    waiting = [f"{name} is not there" for name in desired if name not in present]
    for name, service in present.items():
        if not service.running == service.desired == desired[name]:
            waiting.append(f"{name} has {service.running} of {desired[name]} running")
    return tuple(waiting)


def restoring_command(cluster: str, service: str, desired: int) -> str:
    """The command with which a person puts back a service that burst could not."""
    return f"aws ecs update-service --cluster {cluster} --service {service} --desired-count {desired}"
