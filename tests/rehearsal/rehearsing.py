"""Helpers of the rehearsal's tests: real clients against it, task definitions of small real programs, and waiting."""

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import psutil
from botocore import config, exceptions

from burst.kit import process_tree
from burst.rehearsal import world
from tests import waiting

CLUSTER = "burst-dev"
_SESSION = boto3.Session(region_name="eu-west-2")
STAYS = ("sh", "-c", "trap 'exit 0' TERM; sleep 300 & wait")
HEEDS = "trap 'exit 0' TERM; echo heeds; sleep 300 & wait"
"""`STAYS`, which says when TERM will end it: before, TERM spares it as any first process without a handler."""
IGNORES_TERM = ("sh", "-c", "trap '' TERM; sleep 300; true")


def client(aws: world.World, service: str) -> Any:  # boto3 makes its classes at run time
    """A production client; only the address and the keys are the rehearsal's. One attempt, so that tests see each."""
    return _client(aws.environment["AWS_ENDPOINT_URL"], aws.environment["AWS_ACCESS_KEY_ID"], service)


@functools.cache  # making one takes longer than most tests
def _client(address: str, key: str, service: str) -> Any:
    return _SESSION.client(
        service,
        endpoint_url=address,
        aws_access_key_id=key,
        aws_secret_access_key="any",
        config=config.Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1}),
    )


def code(error: exceptions.ClientError) -> str:
    """The code of an error answer."""
    return str(error.response["Error"]["Code"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecs:
    """One cluster of a rehearsal, seen through a real client."""

    aws: world.World
    client: Any

    def register(self, family: str, *containers: dict[str, Any], **fields: Any) -> str:
        """A task definition; each container is given by its name and command, and whatever else it needs."""
        definitions = [{"image": "burst", **container} for container in containers]
        answer = self.client.register_task_definition(family=family, containerDefinitions=definitions, **fields)
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def run(self, definition: str, **wanted: Any) -> list[str]:
        """Starts tasks and returns their ARNs."""
        answer = self.client.run_task(cluster=CLUSTER, taskDefinition=definition, **wanted)
        return [task["taskArn"] for task in answer["tasks"]]

    def start(
        self, family: str, command: Sequence[str], *, definition: dict[str, Any] | None = None, **wanted: Any
    ) -> str:
        """One running task of one container `app`."""
        (arn,) = self.run(self.register(family, {"name": "app", "command": [*command], **(definition or {})}), **wanted)
        self.wait(arn, "RUNNING", "STOPPED")
        return arn

    def describe(self, arn: str, **wanted: Any) -> dict[str, Any]:
        """The task as it is seen now, empty where it is not."""
        tasks = self.client.describe_tasks(cluster=CLUSTER, tasks=[arn], **wanted)["tasks"]
        return dict(tasks[0]) if tasks else {}

    def wait(self, arn: str, *statuses: str, seconds: float = 30.0) -> dict[str, Any]:
        """The task, once it is in one of these."""

        def arrived() -> dict[str, Any] | None:
            task = self.describe(arn)
            return task if task.get("lastStatus") in statuses else None

        return waiting.until(arrived, seconds=seconds, what=f"a task that is {' or '.join(statuses)}")

    def stopped(self, arn: str) -> dict[str, Any]:
        """The task, asked to stop and stopped."""
        self.client.stop_task(cluster=CLUSTER, task=arn)
        return self.wait(arn, "STOPPED")

    def output(self, arn: str, name: str = "app") -> str:
        """What a container printed so far."""
        process = self.process(arn, name)
        return process.log.read_text() if process.log.exists() else ""

    def process(self, arn: str, name: str = "app") -> world.Process:
        """The container as a process."""
        return next(each for each in self.aws.containers() if (each.task_arn, each.name) == (arn, name))


def exit_codes(task: dict[str, Any]) -> dict[str, int | None]:
    """The exit code of each container, None where it has none."""
    return {container["name"]: container.get("exitCode") for container in task["containers"]}


def alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that still run."""
    return [process for process in processes if process_tree.is_living(process)]


def python(program: str) -> list[str]:
    """A command that runs a small Python program."""
    return [sys.executable, "-c", program]
