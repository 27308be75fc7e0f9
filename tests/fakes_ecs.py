"""The part of an ECS client that lists, describes and stops tasks, in memory, with what ECS may do wrong.

A task's wish (`desiredStatus`) and its state (`lastStatus`) are apart, as on ECS: a wish for STOPPED proves no end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore import exceptions

from burst.domain.tasks import ecs_marks

CLUSTER = "burst"
BOTH_FILTERS, ONE_FILTER, STATUS_IGNORED = "both filters", "one filter", "the status beside startedBy is ignored"
MANNERS = (BOTH_FILTERS, ONE_FILTER, STATUS_IGNORED)
"""How an ECS may take `startedBy` and `desiredStatus` in one ListTasks."""


@dataclass(slots=True, kw_only=True)
class EcsTask:
    """One task of the cluster."""

    number: int
    started_by: str
    desired: str = "RUNNING"
    last: str = "RUNNING"
    deadline: str = "2026-02-21T02:00:00Z"
    stops: bool = True
    """Whether StopTask ends it; else it is only wished to end."""
    described: bool = True

    @property
    def arn(self) -> str:
        return f"arn:aws:ecs:eu-west-2:123456789012:task/{CLUSTER}/{self.number:032x}"

    @property
    def alive(self) -> bool:
        return self.last != "STOPPED"

    def describe(self) -> dict[str, Any]:
        pairs = {
            ecs_marks.RUN: self.started_by.removeprefix(ecs_marks.STARTED_BY),
            ecs_marks.HINT: "0",
            ecs_marks.DEADLINE: self.deadline,
        }
        environment = [{"name": name, "value": value} for name, value in pairs.items()]
        return {
            "taskArn": self.arn,
            "startedBy": self.started_by,
            "desiredStatus": self.desired,
            "lastStatus": self.last,
            "overrides": {"containerOverrides": [{"name": "burst", "environment": environment}]},
        }


@dataclass(slots=True)
class EcsCluster:
    """A client of ECS for one cluster."""

    tasks: list[EcsTask] = field(default_factory=list)
    manner: str = BOTH_FILTERS
    calls: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)
    """Every ARN that was asked for, as often as it was."""

    @property
    def alive(self) -> set[str]:
        return {task.arn for task in self.tasks if task.alive}

    def list_tasks(
        self,
        *,
        cluster: str,
        maxResults: int,  # noqa: N803 (botocore's names)
        desiredStatus: str = "RUNNING",  # noqa: N803
        startedBy: str | None = None,  # noqa: N803
        nextToken: str = "0",  # noqa: N803
    ) -> dict[str, Any]:
        self.calls.append("ListTasks")
        if startedBy is not None and self.manner == ONE_FILTER:
            error = {"Code": "InvalidParameterException", "Message": "startedBy must be the only filter"}
            raise exceptions.ClientError({"Error": error}, "ListTasks")
        wish = "RUNNING" if startedBy is not None and self.manner == STATUS_IGNORED else desiredStatus
        arns = [task.arn for task in self.tasks if task.desired == wish and startedBy in (None, task.started_by)]
        start = int(nextToken)
        page = arns[start : start + maxResults]
        return {"taskArns": page, **({"nextToken": str(start + maxResults)} if arns[start + maxResults :] else {})}

    def describe_tasks(self, *, cluster: str, tasks: Sequence[str], include: Sequence[str] = ()) -> dict[str, Any]:
        self.calls.append("DescribeTasks")
        self.described += tasks
        assert len(tasks) <= 100
        assert all(name.startswith("arn:") for name in tasks)
        shown = [task.describe() for task in self.tasks if task.arn in tasks and task.described]
        missing = set(tasks) - {description["taskArn"] for description in shown}
        return {"tasks": shown, "failures": [{"arn": arn, "reason": "MISSING"} for arn in sorted(missing)]}

    def stop_task(self, *, cluster: str, task: str, reason: str) -> dict[str, Any]:
        self.calls.append("StopTask")
        (stopped,) = [candidate for candidate in self.tasks if candidate.arn == task]
        stopped.desired = "STOPPED"
        if stopped.stops:
            stopped.last = "STOPPED"
        return {"task": stopped.describe()}
