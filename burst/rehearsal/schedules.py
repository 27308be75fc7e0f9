"""Schedules of EventBridge Scheduler: when each comes due, and the ECS call that its target stands for."""

import json
import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", re.ASCII)
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)", re.ASCII)
_UNIT_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
_UNIVERSAL = "arn:aws:scheduler:::aws-sdk:ecs:"
_CLUSTER = re.compile(r"arn:aws:ecs:[^:]+:\d{12}:cluster/[^/]+", re.ASCII)
_RUN_TASK_PARAMETERS = (
    "launchType", "capacityProviderStrategy", "networkConfiguration", "group", "propagateTags",
    "enableECSManagedTags", "referenceId",
)  # fmt: skip

Key = tuple[str, str, datetime, str]


class UnfitTargetError(Exception):
    """A rehearsal cannot call this target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One enabled schedule."""

    group: str
    name: str
    expression: str
    zone: str
    target: Mapping[str, Any]
    deletes_itself: bool
    created: datetime
    starts: datetime
    """Its StartDate. Without one, the schedule starts when it is created, and so does a `rate()` on AWS."""

    @property
    def key(self) -> Key:
        """Identifies the schedule. A schedule with another key comes due anew."""
        return self.group, self.name, self.created, self.expression

    @property
    def repeats(self) -> bool:
        """Whether it fires more than once."""
        return period_seconds(self.expression) is not None


def read_schedule(answer: Mapping[str, Any]) -> Schedule | None:
    """The schedule in an answer of GetSchedule, or None if it is disabled."""
    if answer.get("State", "ENABLED") != "ENABLED":
        return None
    return Schedule(
        group=answer["GroupName"],
        name=answer["Name"],
        expression=answer["ScheduleExpression"],
        zone=answer.get("ScheduleExpressionTimezone") or "UTC",
        target=answer["Target"],
        deletes_itself=answer.get("ActionAfterCompletion") == "DELETE",
        created=answer["CreationDate"],
        starts=answer.get("StartDate") or answer["CreationDate"],
    )


def is_instant(expression: str) -> bool:
    """Whether the expression is an `at()`."""
    return _AT.fullmatch(expression) is not None


def first_due(expression: str, zone: str, starts: datetime) -> datetime:
    """The instant of an `at()`, or the start of a `rate()`. Raises ValueError for any other expression."""
    at = _AT.fullmatch(expression)
    if at is not None:
        return datetime.fromisoformat(at[1]).replace(tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(UTC)
    if _RATE.fullmatch(expression):
        return starts
    raise ValueError(
        f"Invalid Schedule Expression {expression}: a rehearsal fires at(yyyy-mm-ddThh:mm:ss) and rate(...)."
    )


def period_seconds(expression: str) -> float | None:
    """The period of a `rate()`, or None for an `at()`."""
    rate = _RATE.fullmatch(expression)
    return None if rate is None else int(rate[1]) * _UNIT_SECONDS[rate[2]]


def read_ecs_call(target: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The ECS operation that a target stands for, and its parameters. Raises `UnfitTargetError`."""
    arn = target.get("Arn", "")
    target_input = json.loads(target.get("Input") or "{}")
    if arn.startswith(_UNIVERSAL):
        operation = arn.removeprefix(_UNIVERSAL)
        if operation not in ("stopTask", "runTask", "updateService"):
            raise UnfitTargetError(f"{arn} is none of stopTask, runTask, updateService.")
        # AWS's samples have input keys in both cases, so both are taken.
        return operation[0].upper() + operation[1:], _lower_keys(target_input)
    if not _CLUSTER.fullmatch(arn) or "EcsParameters" not in target:
        raise UnfitTargetError(
            f"{arn} is no target of a rehearsal: an ECS cluster with EcsParameters, or {_UNIVERSAL}..."
        )
    parameters = _lower_keys(target["EcsParameters"])
    body = {
        "cluster": arn,
        "taskDefinition": parameters["taskDefinitionArn"],
        "count": parameters.get("taskCount", 1),
        "overrides": target_input,
    }
    body |= {name: parameters[name] for name in _RUN_TASK_PARAMETERS if name in parameters}
    tags = target["EcsParameters"].get("Tags", [])
    body["tags"] = [{"key": key, "value": value} for tag in tags for key, value in _read_tag(tag)]
    return "RunTask", body


STARTED_BY = "chronos-schedule/"
"""How `startedBy` begins of a task that a schedule runs."""


def started_by(schedule: Schedule) -> str:
    """The `startedBy` of the tasks that the schedule runs."""
    return f"{STARTED_BY}{schedule.name}"[:128].replace(".", "-")


def _read_tag(tag: Mapping[str, str]) -> list[tuple[str, str]]:
    """Key and value of a tag, which Scheduler takes as `{"key": k, "value": v}` and as `{k: v}`."""
    return [(tag["key"], tag["value"])] if {"key", "value"} == set(tag) else [*tag.items()]


def _lower_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key[:1].lower() + key[1:]: _lower_keys(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_lower_keys(each) for each in value]
    return value
