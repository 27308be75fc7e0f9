"""The state of one ECS service: its counts, the task definitions and images that its tasks run, and their variables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from burst import ports
from burst.domain.basics import instants
from burst.domain.documents import entry_answers
from burst.domain.preflight import service_states
from burst.kit import aws

PATIENCE_SECONDS = 10.0
DESCRIBED_AT_ONCE = 100


class EcsServiceStates:
    """Reads the services of one cluster, each anew with every call."""

    def __init__(self, cluster: str, *, clock: ports.Clock, client: Any | None = None) -> None:
        self._cluster = cluster
        self._clock = clock
        self._ecs = aws.client("ecs") if client is None else client

    def look(self, name: str, variables: Iterable[str], *, images: bool) -> entry_answers.ServiceSeen | None:
        """The state of a service; None where the cluster has no such active service.

        With `images` its tasks are asked too, unless its definitions name every image by digest.
        """
        answer = self._call("ecs:DescribeServices", self._ecs.describe_services, services=[name])
        active = [each for each in answer["services"] if each.get("status", "ACTIVE") == "ACTIVE"]
        if not active:
            return None
        arns = service_states.list_definitions(active[0])
        definitions = [self._describe_definition(arn) for arn in arns]
        asks_tasks = images and not service_states.pins_images(definitions)
        tasks = self._describe_tasks(list(self._list_tasks(name))) if asks_tasks else []
        described = service_states.DescribedService(service=active[0], definitions=definitions, tasks=tasks)
        return service_states.read_state(described, variables)

    def _describe_definition(self, arn: str) -> Mapping[str, Any]:
        retry = aws.retrying(self._clock, instants.later(self._clock.now(), PATIENCE_SECONDS))
        action, operation = "ecs:DescribeTaskDefinition", self._ecs.describe_task_definition
        definition: Mapping[str, Any] = retry(aws.call, action, operation, taskDefinition=arn)["taskDefinition"]
        return definition

    def _list_tasks(self, service: str) -> Iterator[str]:
        page: dict[str, str] = {}
        while True:
            listed = self._call("ecs:ListTasks", self._ecs.list_tasks, serviceName=service, **page)
            yield from listed["taskArns"]
            if not listed.get("nextToken"):
                return
            page = {"nextToken": listed["nextToken"]}

    def _describe_tasks(self, arns: Sequence[str]) -> list[Mapping[str, Any]]:
        described = list[Mapping[str, Any]]()
        for start in range(0, len(arns), DESCRIBED_AT_ONCE):
            batch = list(arns[start : start + DESCRIBED_AT_ONCE])
            answer = self._call("ecs:DescribeTasks", self._ecs.describe_tasks, tasks=batch)
            described += [task for task in answer["tasks"] if task.get("lastStatus") == "RUNNING"]
        return described

    def _call(self, action: str, operation: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        retry = aws.retrying(self._clock, instants.later(self._clock.now(), PATIENCE_SECONDS))
        answer: Mapping[str, Any] = retry(aws.call, action, operation, cluster=self._cluster, **parameters)
        return answer
