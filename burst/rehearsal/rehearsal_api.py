"""The rehearsal's own interface, under `/_rehearsal/`: faults, recorded calls, containers, and the account's parts that
no call of AWS could make: the plan's network, pinned revisions and quotas."""

import json
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from burst.domain.basics import errors
from burst.kit import process_tree
from burst.rehearsal import (
    armed_faults,
    aws_requests,
    ecs_refusals,
    endpoint,
    faults,
    fleet,
    network,
    quotas,
    settings,
    simulated_tasks,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedController:
    """The process of the controller under rehearsal, by pid and start time."""

    pid: int
    started: float


class RehearsalApi:
    """The interface to one simulation. `calls` lists the recorded calls and `register_pinned` registers a task
    definition under its revision; both are set once their parts exist."""

    def __init__(
        self,
        *,
        tasks: fleet.Fleet,
        armed: armed_faults.ArmedFaults,
        plan_network: network.Network,
        fargate_quotas: quotas.Quotas,
    ) -> None:
        self._fleet = tasks
        self._faults = armed
        self._network = plan_network
        self._quotas = fargate_quotas
        self._lock = threading.Lock()
        self._controller: RehearsedController | None = None
        self.calls: Callable[[], list[dict[str, Any]]] = list
        self.register_pinned: Callable[[Mapping[str, Any], int], None] | None = None

    def take_controller(self) -> RehearsedController | None:
        """Removes the registered controller and returns it, or None if none is registered."""
        with self._lock:
            controller, self._controller = self._controller, None
            return controller

    def has_controller(self) -> bool:
        """Whether a controller is registered and alive."""
        controller = self._controller
        return controller is not None and process_tree.find_process(controller.pid, controller.started) is not None

    def answer(self, request: aws_requests.HttpRequest) -> aws_requests.HttpAnswer:
        """The answer to a request: 400 for an order that cannot be carried out, 404 for an unknown path."""
        resource, _, argument = request.path.removeprefix(endpoint.REHEARSAL_PATH).partition("/")
        try:
            return self._perform(request.method, resource, urllib.parse.unquote(argument), request.body)
        except (errors.UsageError, ecs_refusals.RefusedError, ValueError, TypeError, KeyError) as exc:
            return _json_answer({"error": str(exc)}, status=400)

    def _perform(self, method: str, resource: str, argument: str, body: bytes) -> aws_requests.HttpAnswer:
        match method, resource:
            case "GET", "calls":
                return _json_answer(self.calls())
            case "GET", "containers":
                return _json_answer(self._list_containers())
            case "GET", "faults":
                return _json_answer(self._faults.labels())
            case "POST", "faults":
                self._arm_fault(json.loads(body))
            case "DELETE", "faults":
                self._faults.disarm(argument)
            case "POST", "controller":
                self._register_controller(json.loads(body))
            case "POST", "definitions" if self.register_pinned is not None:
                order = json.loads(body)
                self.register_pinned(order["definition"], order["revision"])
            case "POST", "network":
                self._network.add(json.loads(body))
            case "POST", "quotas":
                order = json.loads(body)
                self._quotas.set_vcpu(order["code"], order["vcpu"])
            case "GET", "v4":
                return self._answer_metadata(argument)
            case _:
                return _json_answer({"error": f"the rehearsal has no {method} {resource}"}, status=404)
        return _json_answer({})

    def _arm_fault(self, order: dict[str, Any]) -> None:
        label = faults.parse_label(order["label"])
        fault = faults.Fault(
            name=label.name,
            argument=label.argument,
            at_seconds=order["at_seconds"],
            duration_seconds=order["duration_seconds"],
        )
        self._faults.arm(fault, armed_faults.FaultOptions(**order["options"]))

    def _register_controller(self, order: dict[str, Any]) -> None:
        controller = RehearsedController(pid=order["pid"], started=order["started"])
        with self._lock:
            self._controller = controller

    def _list_containers(self) -> list[dict[str, Any]]:
        with self._fleet.lock:
            return [
                {
                    "task_arn": task.arn,
                    "name": container.name,
                    "pid": container.pid,
                    "running": container.running,
                    "log": str(container.log),
                }
                for task in self._fleet.tasks()
                for container in task.containers
            ]

    def _answer_metadata(self, path: str) -> aws_requests.HttpAnswer:
        """Task metadata, version 4: `{name}` for a container, `{name}/task` for its task."""
        name = path.removesuffix("/task")
        task = next((each for each in self._fleet.tasks() if each.task_id == name.partition("-")[0]), None)
        containers = () if task is None else task.containers
        container = next((each for each in containers if each.metadata_name == name), None)
        if task is None or container is None:
            return _json_answer({"error": "no such container"}, status=404)
        if path.endswith("/task"):
            return _json_answer(_describe_task_metadata(task))
        return _json_answer(_describe_container_metadata(task, container))


def process_start_time(pid: int) -> float:
    """The start time of a living process. Together with its pid it identifies the process."""
    return psutil.Process(pid).create_time()


def _describe_task_metadata(task: simulated_tasks.SimulatedTask) -> dict[str, Any]:
    return {
        "Cluster": task.cluster_arn,
        "TaskARN": task.arn,
        "Family": task.definition["family"],
        "Revision": str(task.definition["revision"]),
        "DesiredStatus": task.desired_status,
        "KnownStatus": task.last_status,
        "LaunchType": task.launch_type,
        "AvailabilityZone": f"{settings.REGION}a",
        "Containers": [_describe_container_metadata(task, container) for container in task.containers],
    }


def _describe_container_metadata(
    task: simulated_tasks.SimulatedTask, container: simulated_tasks.Container
) -> dict[str, Any]:
    return {
        "DockerId": container.runtime_id,
        "Name": container.name,
        "Image": container.definition.get("image"),
        "ContainerARN": container.arn,
        "KnownStatus": container.last_status,
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": [settings.LOOPBACK]}],
        "Labels": {
            "com.amazonaws.ecs.cluster": task.cluster_arn,
            "com.amazonaws.ecs.container-name": container.name,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": task.definition["family"],
            "com.amazonaws.ecs.task-definition-version": str(task.definition["revision"]),
        },
    }


def _json_answer(document: object, *, status: int = 200) -> aws_requests.HttpAnswer:
    return aws_requests.json_answer(document, status=status, content_type="application/json")
