"""Real AWS clients against a simulated AWS, small programs for its tasks, and waits for their states."""

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import psutil
from botocore import config, exceptions

from burst.kit import process_tree
from burst.rehearsal import aws_simulation
from tests import waiting
from tests.rehearsal import shapes

CLUSTER = "burst-dev"
SECONDS_BETWEEN_CALLS = 0.06
"""Fewer calls than the API refuses for their number: it answers 20 a second for good."""
_SESSION = boto3.Session(region_name="eu-west-2")
CHECK = shapes.ShapeCheck()
"""Holds every answer of these tests to botocore's shapes."""
STAYS = ("sh", "-c", "trap 'exit 0' TERM; sleep 300 & wait")
HEEDS = "trap 'exit 0' TERM; echo heeds; sleep 300 & wait"
"""`STAYS` that prints a line once TERM will end it. Before, it has no handler, so TERM spares it as a first process."""
IGNORES_TERM = ("sh", "-c", "trap '' TERM; sleep 300; true")


def make_client(aws: aws_simulation.AwsSimulation, service: str) -> Any:  # boto3 makes its classes at run time
    """A client as in production, with the rehearsal's address and keys. It makes one attempt, so tests see each."""
    return _make_client(aws.environment["AWS_ENDPOINT_URL"], aws.environment["AWS_ACCESS_KEY_ID"], service)


@functools.cache  # to make one takes longer than most tests
def _make_client(address: str, key: str, service: str) -> Any:
    client = _SESSION.client(
        service,
        endpoint_url=address,
        aws_access_key_id=key,
        aws_secret_access_key="any",
        config=config.Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1}),
    )
    return CHECK.watch(client)


def error_code(error: exceptions.ClientError) -> str:
    """The code of an error answer."""
    return str(error.response["Error"]["Code"])


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsCluster:
    """One cluster of a rehearsal, seen through a real client."""

    aws: aws_simulation.AwsSimulation
    client: Any

    def register(self, family: str, *containers: dict[str, Any], **fields: Any) -> str:
        """Registers a task definition of containers with at least a name and a command, and returns its ARN."""
        definitions = [{"image": "burst", **container} for container in containers]
        answer = self.client.register_task_definition(family=family, containerDefinitions=definitions, **fields)
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def run(self, definition: str, **parameters: Any) -> list[str]:
        """Starts tasks and returns their ARNs."""
        answer = self.client.run_task(cluster=CLUSTER, taskDefinition=definition, **parameters)
        return [task["taskArn"] for task in answer["tasks"]]

    def start(
        self, family: str, command: Sequence[str], *, definition: dict[str, Any] | None = None, **parameters: Any
    ) -> str:
        """Starts a task with one container `app`, and returns its ARN once it runs or has stopped."""
        container = {"name": "app", "command": [*command], **(definition or {})}
        (arn,) = self.run(self.register(family, container), **parameters)
        self.wait(arn, "RUNNING", "STOPPED")
        return arn

    def describe(self, arn: str, **parameters: Any) -> dict[str, Any]:
        """The task as DescribeTasks shows it, or an empty document if it is missing."""
        tasks = self.client.describe_tasks(cluster=CLUSTER, tasks=[arn], **parameters)["tasks"]
        return dict(tasks[0]) if tasks else {}

    def until(self, condition: Callable[[dict[str, Any]], bool], arn: str, *, seconds: float = 30.0, what: str) -> None:
        """Waits until a task, as `describe` shows it, is as asked; however long, within the limits of the API."""
        waiting.until(
            lambda: condition(self.describe(arn)), seconds=seconds, what=what, poll_seconds=SECONDS_BETWEEN_CALLS
        )

    def wait(self, arn: str, *statuses: str, seconds: float = 30.0) -> dict[str, Any]:
        """The task, once it has one of these statuses."""

        def find_task() -> dict[str, Any] | None:
            task = self.describe(arn)
            return task if task.get("lastStatus") in statuses else None

        what = f"a task that is {' or '.join(statuses)}"
        return waiting.until(find_task, seconds=seconds, what=what, poll_seconds=SECONDS_BETWEEN_CALLS)

    def stop(self, arn: str) -> dict[str, Any]:
        """Stops a task, waits until it has stopped, and returns it."""
        self.client.stop_task(cluster=CLUSTER, task=arn)
        return self.wait(arn, "STOPPED")

    def output(self, arn: str, name: str = "app") -> str:
        """The output of a container so far."""
        process = self.process(arn, name)
        return process.log.read_text() if process.log.exists() else ""

    def process(self, arn: str, name: str = "app") -> aws_simulation.ContainerProcess:
        """The process of a container."""
        return next(each for each in self.aws.containers() if (each.task_arn, each.name) == (arn, name))


def exit_codes(task: dict[str, Any]) -> dict[str, int | None]:
    """The exit code of each container by name, None if it has none."""
    return {container["name"]: container.get("exitCode") for container in task["containers"]}


def find_living(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """The processes that still run."""
    return [process for process in processes if process_tree.is_living(process)]


def python(program: str) -> list[str]:
    """A command that runs a small Python program."""
    return [sys.executable, "-c", program]
