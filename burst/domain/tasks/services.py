"""Services: those of the system under load that are scaled for a burst, and what putting them back takes.

What stood before is remembered before anything is changed. Putting back is decided by what stands now: a count that
is neither ours nor the one before was set by somebody else meanwhile, and is left to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from burst.domain.basics import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service as it stands."""

    name: str
    desired: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceChange:
    """One service as it stood before the burst, and the count it has for it."""

    name: str
    before: int
    desired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRestore:
    """What putting back takes: the counts to set, and why each of the others is left as it is."""

    wanted: Mapping[str, int] = field(hash=False)
    again: Mapping[str, int] = field(hash=False)
    """The counts of those that are back by what was seen, which ECS may tell as it was before the last change: setting
    them once more changes nothing where it is true."""
    left: Mapping[str, str] = field(hash=False)


def plan_changes(wanted: Mapping[str, int], standing: Sequence[Service]) -> tuple[ServiceChange, ...]:
    """What is to be changed for a burst. Raises `errors.UsageError` where one of the services does not stand there."""
    there = {service.name for service in standing}
    missing = [name for name in wanted if name not in there]
    if missing:
        raise errors.UsageError(f"services: saw {', '.join(missing)}, of which the cluster has no active service")
    return tuple(
        ServiceChange(name=service.name, before=service.desired, desired=wanted[service.name]) for service in standing
    )


def plan_restore(made: Sequence[ServiceChange], standing: Sequence[Service]) -> ServiceRestore:
    """How the services are put back, by how they stand now. One that does not stand there any more is left."""
    now = {service.name: service.desired for service in standing}
    wanted, again, left = {}, {}, {}
    for change in made:
        seen = now.get(change.name)
        if seen is None:
            left[change.name] = "somebody removed it meanwhile; there is nothing to put back"
        elif seen == change.before:
            again[change.name] = change.before
        elif seen == change.desired:
            wanted[change.name] = change.before
        else:
            left[change.name] = (
                f"somebody set it to {seen} meanwhile; it was {change.before} before the burst set it to "
                f"{change.desired}, and is left alone"
            )
    return ServiceRestore(wanted=wanted, again=again, left=left)


def list_waiting(wanted: Mapping[str, int], standing: Sequence[Service]) -> tuple[str, ...]:
    """The services whose running count is not yet the one wanted, in words."""
    there = {service.name: service for service in standing}
    waiting = [f"{name} is not there" for name in wanted if name not in there]
    for name, service in there.items():
        if not service.running == service.desired == wanted[name]:
            waiting.append(f"{name} has {service.running} of {wanted[name]} running")
    return tuple(waiting)


def restoring_command(cluster: str, service: str, desired: int) -> str:
    """What a person runs to put back a service that burst could not."""
    return f"aws ecs update-service --cluster {cluster} --service {service} --desired-count {desired}"
