"""ECS services of the system under load, scaled for a burst and put back afterwards.

Each service is changed in its own try: one that cannot be put back must not keep the others from it. Asking for the
count a service has already is no change, so putting back twice does no harm.
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
    """`ports.Services`: those of one cluster."""

    def __init__(self, cluster: str, *, clock: ports.Clock, client: Any | None = None) -> None:
        self._cluster = cluster
        self._clock = clock
        self._ecs = aws.client("ecs") if client is None else client

    def look(self, names: Sequence[str]) -> tuple[services.Service, ...]:
        """How the services stand, in the order asked; one that is not active there is left out."""
        found = {service.name: service for service in self._described(names)}
        return tuple(found[name] for name in names if name in found)

    def scale(self, wanted: Mapping[str, int]) -> Mapping[str, errors.BurstError]:
        """Sets desired counts, and returns what failed by service: empty when all was done."""
        failed: dict[str, errors.BurstError] = {}
        for name, desired in wanted.items():
            try:
                self._set(name, desired)
            except errors.BurstError as exc:
                failed[name] = exc
        return failed

    def _set(self, name: str, desired: int) -> None:
        answer = self._again("ecs:UpdateService", self._ecs.update_service, service=name, desiredCount=desired)
        stands = answer.get("service", {}).get("desiredCount")
        if stands != desired:
            raise errors.Unavailable(f"ecs:UpdateService was to set {name} to {desired}, and answered {stands}")

    def _described(self, names: Iterable[str]) -> Iterator[services.Service]:
        wanted = iter(dict.fromkeys(names))
        while batch := list(itertools.islice(wanted, DESCRIBED_AT_ONCE)):
            answer = self._again("ecs:DescribeServices", self._ecs.describe_services, services=batch)
            for one in answer["services"]:
                if one.get("status", "ACTIVE") == "ACTIVE":
                    yield services.Service(
                        name=one["serviceName"], desired=one["desiredCount"], running=one.get("runningCount", 0)
                    )

    def _again(self, action: str, operation: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        give_up_at = instants.later(self._clock.now(), PATIENCE_SECONDS)
        retry = aws.retrying(self._clock, give_up_at)
        answer: Mapping[str, Any] = retry(aws.call, action, operation, cluster=self._cluster, **parameters)
        return answer
