"""The rehearsal's own interface, under `/_rehearsal/`: order and end faults, read calls and containers."""

import json
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from burst.domain.basics import errors
from burst.kit import process_tree
from burst.rehearsal import armed, faults, fleet, front, settings, wire


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedController:
    """The controller under rehearsal, by pid and start time."""

    pid: int
    started: float


class Steering:
    """Answers about one simulation."""

    def __init__(self, *, tasks: fleet.Fleet, ordered: armed.Armed) -> None:
        self._fleet = tasks
        self._faults = ordered
        self._lock = threading.Lock()
        self._controller: RehearsedController | None = None
        self.calls: Callable[[], list[dict[str, Any]]] = list
        self.know_network: Callable[[list[str]], None] = lambda ids: None
        self.allow_vcpu: Callable[[str, float], None] = lambda code, vcpu: None

    def take_controller(self) -> RehearsedController | None:
        """The controller, which is thereby known no longer; None where none is registered."""
        with self._lock:
            controller, self._controller = self._controller, None
            return controller

    def has_controller(self) -> bool:
        """Whether a living controller is registered."""
        controller = self._controller
        return controller is not None and process_tree.find_process(controller.pid, controller.started) is not None

    def answer(self, request: wire.WireRequest) -> front.WireAnswer:
        """One answer."""
        what, _, rest = request.path.removeprefix(front.CONTROL).partition("/")
        try:
            return self._perform(request.method, what, urllib.parse.unquote(rest), request.body)
        except (errors.UsageError, ValueError, TypeError, KeyError) as exc:
            return _json({"error": str(exc)}, status=400)

    def _perform(self, method: str, what: str, rest: str, body: bytes) -> front.WireAnswer:
        match method, what:
            case "GET", "calls":
                return _json(self.calls())
            case "GET", "containers":
                return _json(self._containers())
            case "GET", "faults":
                return _json(self._faults.labels())
            case "POST", "faults":
                self._arm(json.loads(body))
            case "DELETE", "faults":
                self._faults.disarm(rest)
            case "POST", "controller":
                self._register(json.loads(body))
            case "POST", "network":
                self.know_network(json.loads(body))
            case "POST", "quotas":
                order = json.loads(body)
                self.allow_vcpu(order["code"], order["vcpu"])
            case "GET", "v4":
                return self._metadata(rest)
            case _:
                return _json({"error": f"the rehearsal has no {method} {what}"}, status=404)
        return _json({})

    def _arm(self, order: dict[str, Any]) -> None:
        named = faults.from_label(order["label"])
        fault = faults.Fault(
            name=named.name,
            argument=named.argument,
            at_seconds=order["at_seconds"],
            duration_seconds=order["duration_seconds"],
        )
        self._faults.arm(fault, armed.Options(**order["options"]))

    def _register(self, order: dict[str, Any]) -> None:
        controller = RehearsedController(pid=order["pid"], started=order["started"])
        with self._lock:
            self._controller = controller

    def _containers(self) -> list[dict[str, Any]]:
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

    def _metadata(self, rest: str) -> front.WireAnswer:
        """Task metadata, version 4: `{task}/{container}` for the container, with `/task` behind it for the task."""
        task_id, _, name = rest.removesuffix("/task").partition("/")
        task = next((each for each in self._fleet.tasks() if each.task_id == task_id), None)
        container = None if task is None else next((each for each in task.containers if each.name == name), None)
        if task is None or container is None:
            return _json({"error": "no such container"}, status=404)
        return _json(_task_metadata(task) if rest.endswith("/task") else _container_metadata(task, container))


def _task_metadata(task: fleet.SimulatedTask) -> dict[str, Any]:
    return {
        "Cluster": task.cluster_arn,
        "TaskARN": task.arn,
        "Family": task.definition["family"],
        "Revision": str(task.definition["revision"]),
        "DesiredStatus": task.desired_status,
        "KnownStatus": task.last_status,
        "LaunchType": task.launch_type,
        "AvailabilityZone": f"{settings.REGION}a",
        "Containers": [_container_metadata(task, container) for container in task.containers],
    }


def _container_metadata(task: fleet.SimulatedTask, container: fleet.Container) -> dict[str, Any]:
    return {
        "DockerId": container.runtime_id,
        "Name": container.name,
        "Image": container.definition.get("image"),
        "ContainerARN": container.arn,
        "KnownStatus": container.last_status,
        "Labels": {
            "com.amazonaws.ecs.cluster": task.cluster_arn,
            "com.amazonaws.ecs.container-name": container.name,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": task.definition["family"],
            "com.amazonaws.ecs.task-definition-version": str(task.definition["revision"]),
        },
    }


def _json(document: object, *, status: int = 200) -> front.WireAnswer:
    return front.WireAnswer(
        status=status, body=json.dumps(document).encode(), headers=(("Content-Type", "application/json"),)
    )


def started(pid: int) -> float:
    """The start time of a living process, which with its pid names it for good."""
    return psutil.Process(pid).create_time()
