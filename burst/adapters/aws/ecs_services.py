"""ECS services of the system under load, scaled for a burst and restored afterwards.

Each service is changed in its own try: a service that cannot be restored must not hold up the others. Setting the
count that a service has already changes nothing, so restoring twice does no harm.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.tasks import services
from burst.kit import aws

DESCRIBED_AT_ONCE = 10
PATIENCE_SECONDS = 30.0


class EcsServices:
    """`ports.Services` of one cluster."""

    def __init__(self, cluster: str, *, clock: ports.Clock, client: Any | None = None) -> None:
        self._cluster = cluster
        self._clock = clock
        self._ecs = aws.client("ecs") if client is None else client

    def look(self, names: Sequence[str]) -> tuple[services.Service, ...]:
        """The services in the order of `names`; a service that is missing or not active is left out."""
        by_name = {service.name: service for service in self._describe(names)}
        return tuple(by_name[name] for name in names if name in by_name)

    def scale(self, desired_counts: Mapping[str, int]) -> Mapping[str, errors.BurstError]:
        """Sets desired counts; returns the errors by service, empty when every count was set."""
        failed: dict[str, errors.BurstError] = {}
        for name, desired in desired_counts.items():
            try:
                self._set(name, desired)
            except errors.BurstError as exc:
                failed[name] = exc
        return failed

    def _set(self, name: str, desired: int) -> None:
        answer = self._call("ecs:UpdateService", self._ecs.update_service, service=name, desiredCount=desired)
        count = answer.get("service", {}).get("desiredCount")
        if count != desired:
            raise errors.Unavailable(f"ecs:UpdateService was to set {name} to {desired}, and answered {count}")

    def _describe(self, names: Iterable[str]) -> Iterator[services.Service]:
        distinct = iter(dict.fromkeys(names))
        while batch := list(itertools.islice(distinct, DESCRIBED_AT_ONCE)):
            answer = self._call("ecs:DescribeServices", self._ecs.describe_services, services=batch)
            for description in answer["services"]:
                if description.get("status", "ACTIVE") == "ACTIVE":
                    yield services.Service(
                        name=description["serviceName"],
                        desired=description["desiredCount"],
                        running=description.get("runningCount", 0),
                    )

    def _call(self, action: str, operation: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        give_up_at = instants.later(self._clock.now(), PATIENCE_SECONDS)
        retry = aws.retrying(self._clock, give_up_at)
        answer: Mapping[str, Any] = retry(aws.call, action, operation, cluster=self._cluster, **parameters)
        return answer
