"""ECS services of the system under load, scaled for a burst and restored afterwards.

Each service is changed in its own try: a service that cannot be restored must not hold up the others. Setting the
count that a service has already changes nothing, so restoring twice does no harm.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.tasks import service_definitions, services
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

    def scale(
        self, desired_counts: Mapping[str, int], definitions: Mapping[str, str] | None = None
    ) -> Mapping[str, errors.BurstError]:
        """Sets desired counts, and task definitions with them; returns the errors by service."""
        failed: dict[str, errors.BurstError] = {}
        for name, desired in desired_counts.items():
            try:
                self._set(name, desired, (definitions or {}).get(name))
            except errors.BurstError as exc:
                failed[name] = exc
        return failed

    def _set(self, name: str, desired: int, definition: str | None) -> None:
        roll = {} if definition is None else {"taskDefinition": definition}
        answer = self._call("ecs:UpdateService", self._ecs.update_service, service=name, desiredCount=desired, **roll)
        service = answer.get("service", {})
        count = service.get("desiredCount")
        if count != desired:
            raise errors.Unavailable(f"ecs:UpdateService was to set {name} to {desired}, and answered {count}")
        if definition is not None and service.get("taskDefinition") != definition:
            answered = service.get("taskDefinition")
            raise errors.Unavailable(f"ecs:UpdateService was to roll {name} to {definition}, and answered {answered}")

    def derive_definition(self, base: str, *, container: str | None, environment: Mapping[str, str]) -> str:
        """The ARN of a definition with these variables: a new revision of the family of `base`, or `base` itself."""
        answer = self._repeat("ecs:DescribeTaskDefinition", self._ecs.describe_task_definition, taskDefinition=base)
        described = answer["taskDefinition"]
        if not environment:
            return str(described["taskDefinitionArn"])
        request = service_definitions.add_variables(described, container, environment)
        registered = self._repeat("ecs:RegisterTaskDefinition", self._ecs.register_task_definition, **request)
        return str(registered["taskDefinition"]["taskDefinitionArn"])

    def look_at_rollout(self, name: str) -> services.Rollout:
        """The newest deployment of one service, and its running tasks."""
        answer = self._call("ecs:DescribeServices", self._ecs.describe_services, services=[name])
        described = next((each for each in answer["services"] if each.get("status", "ACTIVE") == "ACTIVE"), None)
        if described is None:
            raise errors.Refused(f"the cluster has no active service {name}")
        deployment = _find_primary(described)
        state = deployment.get("rolloutState")
        return services.Rollout(
            name=name,
            deployment=str(deployment.get("id", "")),
            # ECS states no rolloutState of services with an external or CodeDeploy controller: then counts decide
            complete=state in (None, "COMPLETED"),
            desired=described["desiredCount"],
            tasks=tuple(sorted(self._list_tasks(name))),
            detail=""
            if state in (None, "COMPLETED")
            else f"{state} {deployment.get('rolloutStateReason', '')}".strip(),
        )

    def restart(self, name: str) -> str | None:
        """Forces a new deployment, once: a repeated call would be another restart."""
        operation = self._ecs.update_service
        answer = aws.call("ecs:UpdateService", operation, cluster=self._cluster, service=name, forceNewDeployment=True)
        return _find_primary(answer.get("service", {})).get("id")

    def _list_tasks(self, name: str) -> Iterator[str]:
        token: str | None = None
        while True:
            page = {"nextToken": token} if token else {}
            answer = self._call(
                "ecs:ListTasks", self._ecs.list_tasks, serviceName=name, desiredStatus="RUNNING", **page
            )
            yield from answer["taskArns"]
            token = answer.get("nextToken")
            if not token:
                return

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
                        definition=description.get("taskDefinition", ""),
                        settled=_is_settled(description),
                    )

    def _call(self, action: str, operation: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        return self._repeat(action, operation, cluster=self._cluster, **parameters)

    def _repeat(self, action: str, operation: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        give_up_at = instants.later(self._clock.now(), PATIENCE_SECONDS)
        retry = aws.retrying(self._clock, give_up_at)
        answer: Mapping[str, Any] = retry(aws.call, action, operation, **parameters)
        return answer


def _is_settled(service: Mapping[str, Any]) -> bool:
    """Whether the newest deployment is over. ECS states no rolloutState of a service that another controller deploys:
    then it is over where it is the only one."""
    state = _find_primary(service).get("rolloutState")
    return state == "COMPLETED" if state is not None else len(service.get("deployments", ())) <= 1


def _find_primary(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """The deployment that new tasks are started by; empty where the service has none."""
    deployments: Sequence[Mapping[str, Any]] = service.get("deployments", ())
    return next((each for each in deployments if each.get("status") == "PRIMARY"), {})
