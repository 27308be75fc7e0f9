"""EventBridge Scheduler's acting half: schedules live in moto, and here they come due and fire.

What moto takes that AWS refuses is refused on the way in, and a call repeated with its token is answered as before.
A target is called under the same faults as any other caller of ECS, and called again while those last.
"""

import json
import logging
import re
import threading
import time
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from burst.rehearsal import armed_faults, aws_requests, ecs_api, endpoint, settings, timers

_LOG = logging.getLogger(__name__)

_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", re.ASCII)
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)", re.ASCII)
_UNIT_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
_UNIVERSAL = "arn:aws:scheduler:::aws-sdk:ecs:"
_CLUSTER = re.compile(r"arn:aws:ecs:[^:]+:\d{12}:cluster/[^/]+", re.ASCII)
_CHANGES = ("CreateSchedule", "UpdateSchedule", "DeleteSchedule", "DeleteScheduleGroup")
_MOST_ATTEMPTS = 185
_OLDEST_SECONDS = 86400.0
_LONGEST_RETRY_SECONDS = 5.0

Invoke = Callable[[str, Mapping[str, Any]], None]


class UnfitTargetError(Exception):
    """The target is none that a rehearsal can call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schedule:
    group: str
    name: str
    expression: str
    zone: str
    target: Mapping[str, Any]
    deletes_itself: bool
    created: datetime
    starts: datetime
    """Its StartDate; where it has none it starts as soon as it is created, and so does a `rate()` on AWS."""

    @property
    def key(self) -> tuple[str, str, datetime, str]:
        """What makes it another schedule, to be fired anew."""
        return self.group, self.name, self.created, self.expression


class SchedulerApi:
    """All schedules of one simulation. `client` is asked for a scheduler client, past the front."""

    def __init__(
        self,
        *,
        options: settings.SimulationSettings,
        faults: armed_faults.ArmedFaults,
        later: timers.Timers,
        client: Callable[[], Any],
    ) -> None:
        self._options = options
        self._faults = faults
        self._later = later
        self._client = client
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._answers: dict[tuple[str, str], tuple[bytes, endpoint.HttpAnswer]] = {}
        self._schedules: list[_Schedule] = []
        self._due: dict[tuple[str, str, datetime, str], datetime | None] = {}

    def start(self, invoke: Invoke, down: Callable[[], bool]) -> None:
        """Fires what comes due from now on, through `invoke`, while the service is not `down`."""
        self._invoke = invoke
        self._down = down
        threading.Thread(target=self._run, name="schedules", daemon=True).start()

    # On the way in

    def answer(
        self, request: aws_requests.HttpRequest, operation: str, forward: Callable[[], endpoint.HttpAnswer]
    ) -> endpoint.HttpAnswer:
        """The answer to a call of the Scheduler interface."""
        if operation == "CreateScheduleGroup" and self._has_group(request.path.rpartition("/")[2]):
            # moto makes it anew, and every schedule of the group is gone
            return _refused("ConflictException", "Schedule group already exists.", 409)
        if operation not in _CHANGES:
            return forward()
        if operation == "CreateSchedule":
            return self._create(request, forward)
        if operation == "UpdateSchedule":
            refused = self._refusal(json.loads(request.body))
            if refused is not None:
                return refused
        answer = forward()
        self._changed.set()
        return answer

    def _has_group(self, name: str) -> bool:
        client = self._client()
        try:
            client.get_schedule_group(Name=name)
        except client.exceptions.ResourceNotFoundException:
            return False
        return True

    def _create(
        self, request: aws_requests.HttpRequest, forward: Callable[[], endpoint.HttpAnswer]
    ) -> endpoint.HttpAnswer:
        asked = json.loads(request.body)
        name = f"{asked.get('GroupName', 'default')}{request.path}"
        key = (name, asked.get("ClientToken", ""))
        with self._lock:
            before = self._answers.get(key)
            if before is not None and key[1]:
                same = before[0] == request.body
                return (
                    before[1]
                    if same
                    else _refused("ConflictException", "ClientToken was used for another schedule.", 409)
                )
            refused = self._refusal(asked)
            if refused is not None:
                return refused
            answer = forward()
            if answer.status == 500:  # moto stumbles over a group that is not there
                return _refused(
                    "ResourceNotFoundException", f"Schedule group {asked.get('GroupName')} does not exist.", 404
                )
            if answer.status == 200:
                self._answers[key] = (request.body, answer)
        self._changed.set()
        return answer

    def _refusal(self, asked: Mapping[str, Any]) -> endpoint.HttpAnswer | None:
        """What AWS refuses and moto takes; and `cron()`, which a rehearsal does not fire."""
        expression = asked.get("ScheduleExpression", "")
        try:
            due = _first_due(expression, asked.get("ScheduleExpressionTimezone", "UTC"), self._faults.now())
            _operation(asked.get("Target", {}))
        except (ValueError, UnfitTargetError, zoneinfo.ZoneInfoNotFoundError) as exc:
            return _refused("ValidationException", str(exc), 400)
        if _AT.fullmatch(expression) and due < self._faults.now() - timedelta(seconds=1):
            # Reported of AWS and not documented; refusing is the answer a controller has to be ready for.
            return _refused("ValidationException", f"Invalid Schedule Expression {expression}: it is in the past.", 400)
        return None

    # Coming due

    def _run(self) -> None:
        while True:
            changed = self._changed.wait(self._options.schedule_seconds)
            try:
                if changed:
                    self._changed.clear()
                    self._refresh()
                if self._faults.active("schedule-late") is None and not self._down():
                    self._fire_due()
            except Exception:
                _LOG.exception("schedules")  # and on with the next round: they have to go on coming due
                self._changed.set()
                time.sleep(self._options.schedule_seconds)

    def _refresh(self) -> None:
        client = self._client()
        listed = [each for page in client.get_paginator("list_schedules").paginate() for each in page["Schedules"]]
        found = []
        for each in listed:
            try:
                found.append(_schedule(client.get_schedule(GroupName=each["GroupName"], Name=each["Name"])))
            except client.exceptions.ResourceNotFoundException:
                continue  # deleted since
        self._schedules = [schedule for schedule in found if schedule is not None]
        for schedule in self._schedules:
            if schedule.key not in self._due:
                self._due[schedule.key] = self._first_due(schedule)

    def _first_due(self, schedule: _Schedule) -> datetime:
        wait = (schedule.starts - schedule.created) * self._options.rate_scale
        return _first_due(schedule.expression, schedule.zone, schedule.created + max(wait, timedelta(0)))

    def _fire_due(self) -> None:
        now = self._faults.now()
        for schedule in self._schedules:
            due = self._due[schedule.key]
            if due is None or due > now:
                continue
            period = _period_seconds(schedule.expression)
            self._due[schedule.key] = (
                None if period is None else now + timedelta(seconds=period * self._options.rate_scale)
            )
            self._attempt(schedule, 0, now)

    def _attempt(self, schedule: _Schedule, attempts: int, due: datetime) -> None:
        """One call of the target, and another one later where it could not be reached."""
        operation, body = _operation(schedule.target)
        policy = schedule.target.get("RetryPolicy", {})
        try:
            self._invoke(operation, {**body, **_origin(schedule, operation)})
        except ecs_api.RefusedError as exc:
            age_seconds = (self._faults.now() - due).total_seconds()
            more = attempts < policy.get("MaximumRetryAttempts", _MOST_ATTEMPTS)
            young = age_seconds < policy.get("MaximumEventAgeInSeconds", _OLDEST_SECONDS)
            if more and young and _passing(exc):
                wait_seconds = min(self._options.schedule_retry_seconds * 2 ** min(attempts, 8), _LONGEST_RETRY_SECONDS)
                self._later.after(wait_seconds, lambda: self._attempt(schedule, attempts + 1, due))
                return
            _LOG.warning("schedule %s gave up: %s %s", schedule.name, exc.code, exc)
        if schedule.deletes_itself and _period_seconds(schedule.expression) is None:
            self._delete(schedule)

    def _delete(self, schedule: _Schedule) -> None:
        client = self._client()
        try:
            client.delete_schedule(GroupName=schedule.group, Name=schedule.name)
        except client.exceptions.ResourceNotFoundException:
            _LOG.info("schedule %s was already deleted", schedule.name)
        self._changed.set()


def _schedule(found: Mapping[str, Any]) -> _Schedule | None:
    if found.get("State", "ENABLED") != "ENABLED":
        return None
    return _Schedule(
        group=found["GroupName"],
        name=found["Name"],
        expression=found["ScheduleExpression"],
        zone=found.get("ScheduleExpressionTimezone") or "UTC",
        target=found["Target"],
        deletes_itself=found.get("ActionAfterCompletion") == "DELETE",
        created=found["CreationDate"],
        starts=found.get("StartDate") or found["CreationDate"],
    )


def _first_due(expression: str, zone: str, starts: datetime) -> datetime:
    """An `at()` at its instant, a `rate()` when it starts; raises ValueError for anything else."""
    at = _AT.fullmatch(expression)
    if at is not None:
        return datetime.fromisoformat(at[1]).replace(tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(UTC)
    if _RATE.fullmatch(expression):
        return starts
    raise ValueError(
        f"Invalid Schedule Expression {expression}: a rehearsal fires at(yyyy-mm-ddThh:mm:ss) and rate(...)."
    )


def _period_seconds(expression: str) -> float | None:
    rate = _RATE.fullmatch(expression)
    return None if rate is None else int(rate[1]) * _UNIT_SECONDS[rate[2]]


def _operation(target: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The ECS call a target stands for; raises `UnfitTargetError`."""
    arn = target.get("Arn", "")
    given = json.loads(target.get("Input") or "{}")
    if arn.startswith(_UNIVERSAL):
        operation = arn.removeprefix(_UNIVERSAL)
        if operation not in ("stopTask", "runTask", "updateService"):
            raise UnfitTargetError(f"{arn} is none of stopTask, runTask, updateService.")
        # Which case AWS takes for keys of the input is not settled; samples exist for both.
        return operation[0].upper() + operation[1:], _lower_keys(given)
    if not _CLUSTER.fullmatch(arn) or "EcsParameters" not in target:
        raise UnfitTargetError(
            f"{arn} is no target of a rehearsal: an ECS cluster with EcsParameters, or {_UNIVERSAL}..."
        )
    parameters = _lower_keys(target["EcsParameters"])
    body = {
        "cluster": arn,
        "taskDefinition": parameters["taskDefinitionArn"],
        "count": parameters.get("taskCount", 1),
        "overrides": given,
    }
    wanted = (
        "launchType", "capacityProviderStrategy", "networkConfiguration", "group", "propagateTags",
        "enableECSManagedTags", "referenceId",
    )  # fmt: skip
    body |= {name: parameters[name] for name in wanted if name in parameters}
    body["tags"] = [
        {"key": key, "value": value} for tag in target["EcsParameters"].get("Tags", []) for key, value in _pairs(tag)
    ]
    return "RunTask", body


def _pairs(tag: Mapping[str, str]) -> list[tuple[str, str]]:
    """Scheduler's tags are maps: either `{"key": k, "value": v}` or `{k: v}`."""
    return [(tag["key"], tag["value"])] if {"key", "value"} == set(tag) else [*tag.items()]


def _origin(schedule: _Schedule, operation: str) -> dict[str, str]:
    if operation != "RunTask":
        return {}
    return {"startedBy": f"chronos-schedule/{schedule.name}"[:128].replace(".", "-")}


def _lower_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key[:1].lower() + key[1:]: _lower_keys(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_lower_keys(each) for each in value]
    return value


def _passing(refused: ecs_api.RefusedError) -> bool:
    """Whether another attempt may help."""
    return refused.status >= 500 or "Throttling" in refused.code or "Throttling" in str(refused)


def _refused(code: str, message: str, status: int) -> endpoint.HttpAnswer:
    return endpoint.error_answer("scheduler", status, code, message)
