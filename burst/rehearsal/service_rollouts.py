"""Roll-outs of simulated ECS services: the deployments of a service, and the tasks that each of them runs.

A new deployment starts all of its tasks before those of the earlier ones stop, as ECS does with a minimum of 100 and a
maximum of 200 per cent. The tasks are names only: in a rehearsal the platform's services run on this machine.
"""

import itertools
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from burst.rehearsal import ecs_call_checks, ecs_documents, timers


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One deployment of a service."""

    deployment_id: str
    definition_arn: str
    created_at: datetime
    complete: bool = False
    tasks: list[str] = field(default_factory=list)
    """The ARNs of its running tasks."""


@dataclass(slots=True, kw_only=True)
class SimulatedService:
    """One service with its deployments, the newest last."""

    document: dict[str, Any]
    cluster_name: str
    desired: int = 0
    deployments: list[Deployment] = field(default_factory=list)

    @property
    def primary(self) -> Deployment:
        """The deployment that new tasks are started by."""
        return self.deployments[-1]

    @property
    def tasks(self) -> list[str]:
        """The ARNs of its running tasks."""
        return [arn for deployment in self.deployments for arn in deployment.tasks]

    def find_definition(self, task: str) -> str | None:
        """The task definition that one of its running tasks was started from; None where it runs no such task."""
        return next((each.definition_arn for each in self.deployments if task in each.tasks), None)


class ServiceRollouts:
    """Starts deployments, and lets their tasks come and go. `now` is the clock of AWS."""

    def __init__(
        self, *, lock: threading.RLock, timer: timers.Timers, seconds: float, now: Callable[[], datetime]
    ) -> None:
        self._lock = lock
        self._timer = timer
        self._seconds = seconds
        self._now = now
        self._numbers = itertools.count(1)

    def deploy(self, service: SimulatedService, definition_arn: str) -> None:
        """Begins a new deployment of a task definition. The tasks of the earlier ones run until its own do."""
        with self._lock:
            deployment = Deployment(
                deployment_id=f"ecs-svc/{next(self._numbers):019d}",
                definition_arn=definition_arn,
                created_at=self._now(),
            )
            service.deployments.append(deployment)
        self._timer.after(self._seconds / 2, lambda: self._start_tasks(service, deployment))
        self._timer.after(self._seconds, lambda: self._complete(service, deployment))

    def scale(self, service: SimulatedService, desired: int) -> None:
        """Changes how many tasks the newest deployment runs."""
        with self._lock:
            service.desired = desired
            deployment = service.primary
        self._timer.after(self._seconds, lambda: self._start_tasks(service, deployment))

    def describe(self, service: SimulatedService, *, gone: int = 0) -> dict[str, Any]:
        """The service as DescribeServices shows it, where so many of its tasks are gone for a while."""
        with self._lock:
            running = max(0, len(service.tasks) - gone)
            return {
                **service.document,
                "taskDefinition": service.primary.definition_arn,
                "desiredCount": service.desired,
                "runningCount": running,
                "pendingCount": max(0, service.desired - len(service.primary.tasks) + gone),
                "deployments": [self._describe(service, each, gone=gone) for each in reversed(service.deployments)],
            }

    def _start_tasks(self, service: SimulatedService, deployment: Deployment) -> None:
        with self._lock:
            if deployment is not service.primary:
                return
            del deployment.tasks[service.desired :]
            missing = service.desired - len(deployment.tasks)
            deployment.tasks += [
                ecs_call_checks.arn("task", f"{service.cluster_name}/{uuid.uuid4().hex}") for _ in range(missing)
            ]

    def _complete(self, service: SimulatedService, deployment: Deployment) -> None:
        with self._lock:
            if deployment is service.primary:
                deployment.complete = True
                service.deployments[:] = [deployment]

    def _describe(self, service: SimulatedService, deployment: Deployment, *, gone: int) -> dict[str, Any]:
        primary = deployment is service.primary
        desired = service.desired if primary else 0
        running = max(0, len(deployment.tasks) - (gone if primary else 0))
        created_at = ecs_documents.epoch_seconds(deployment.created_at)
        state = "COMPLETED" if deployment.complete else "IN_PROGRESS"
        words = "completed" if deployment.complete else "in progress"
        return {
            "id": deployment.deployment_id,
            "status": "PRIMARY" if primary else "ACTIVE",
            "taskDefinition": deployment.definition_arn,
            "desiredCount": desired,
            "runningCount": running,
            "pendingCount": max(0, desired - running),
            "failedTasks": 0,
            "createdAt": created_at,
            "updatedAt": created_at,
            "launchType": service.document["launchType"],
            "rolloutState": state,
            "rolloutStateReason": f"ECS deployment {deployment.deployment_id} {words}.",
        }
