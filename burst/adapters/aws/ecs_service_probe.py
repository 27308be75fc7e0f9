"""ECS services as observed series: how many tasks of one service run."""

from datetime import datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors
from burst.domain.observations import answers
from burst.kit import aws

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0


class EcsServiceProbe:
    """`ports.Probe` on the running tasks of one service of a cluster, read with DescribeServices."""

    def __init__(self, cluster: str, service: str, clock: ports.Clock, client: Any | None = None) -> None:
        self._cluster = cluster
        self._service = service
        self._clock = clock
        self._client = client

    def ask(self, *, give_up_at: datetime) -> answers.Answer:
        """How many of its tasks run. A service that the cluster does not have, or that is drained, has no answer."""
        if self._client is None:
            self._client = aws.client("ecs", connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS)
        answer = aws.call(
            "ecs:DescribeServices", self._client.describe_services, cluster=self._cluster, services=[self._service]
        )
        active = [each for each in answer["services"] if each.get("status", "ACTIVE") == "ACTIVE"]
        if len(active) != 1:
            raise errors.Refused(f"cluster {self._cluster} has no active service {self._service}")
        running, desired = active[0].get("runningCount"), active[0].get("desiredCount")
        return answers.Answer(value=answers.require_usable(running), detail=f"it wants {desired}")
