"""EventBridge Scheduler: moto stores the schedules, and this module lets them come due and calls their targets.

It refuses schedules that AWS refuses and moto accepts, and answers a repeated call with its client token as before. A
schedule's call to ECS meets the same faults as any other call, and is repeated while it fails.
"""

import json
import logging
import threading
import time
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from burst.rehearsal import armed_faults, aws_requests, ecs_refusals, schedules, settings, timers

_LOG = logging.getLogger(__name__)

_CHANGES = ("CreateSchedule", "UpdateSchedule", "DeleteSchedule", "DeleteScheduleGroup")
_MOST_ATTEMPTS = 185
_OLDEST_SECONDS = 86400.0
_LONGEST_RETRY_SECONDS = 5.0

InvokeEcs = Callable[[str, Mapping[str, Any]], None]


class SchedulerApi:
    """All schedules of one simulation. `make_client` returns a scheduler client of moto's, past the endpoint."""

    def __init__(
        self,
        *,
        options: settings.SimulationSettings,
        faults: armed_faults.ArmedFaults,
        timer: timers.Timers,
        make_client: Callable[[], Any],
    ) -> None:
        self._options = options
        self._faults = faults
        self._timer = timer
        self._make_client = make_client
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._answers: dict[tuple[str, str], tuple[bytes, aws_requests.HttpAnswer]] = {}
        self._schedules: list[schedules.Schedule] = []
        self._due: dict[schedules.Key, datetime | None] = {}

    def start_firing(self, invoke_ecs: InvokeEcs, is_down: Callable[[], bool]) -> None:
        """Calls the targets of due schedules from now on, with `invoke_ecs`, while Scheduler is not down."""
        self._invoke_ecs = invoke_ecs
        self._is_down = is_down
        threading.Thread(target=self._run, name="schedules", daemon=True).start()

    # Calls to Scheduler

    def answer(
        self,
        request: aws_requests.HttpRequest,
        operation: str,
        forward: Callable[[], aws_requests.HttpAnswer],
    ) -> aws_requests.HttpAnswer:
        """The answer to a call of the Scheduler interface. `forward` passes the request to moto."""
        if operation == "CreateScheduleGroup" and self._has_group(request.path.rpartition("/")[2]):
            # moto would replace the group and lose its schedules
            return _refuse("ConflictException", "Schedule group already exists.", 409)
        if operation not in _CHANGES:
            return forward()
        if operation == "CreateSchedule":
            return self._create_schedule(request, forward)
        if operation == "UpdateSchedule":
            refusal = self._find_refusal(json.loads(request.body))
            if refusal is not None:
                return refusal
        answer = forward()
        self._changed.set()
        return answer

    def _has_group(self, name: str) -> bool:
        client = self._make_client()
        try:
            client.get_schedule_group(Name=name)
        except client.exceptions.ResourceNotFoundException:
            return False
        return True

    def _create_schedule(
        self, request: aws_requests.HttpRequest, forward: Callable[[], aws_requests.HttpAnswer]
    ) -> aws_requests.HttpAnswer:
        body = json.loads(request.body)
        name = f"{body.get('GroupName', 'default')}{request.path}"
        token = body.get("ClientToken", "")
        with self._lock:
            earlier = self._answers.get((name, token))
            if earlier is not None and token:
                earlier_body, earlier_answer = earlier
                if earlier_body == request.body:
                    return earlier_answer
                return _refuse("ConflictException", "ClientToken was used for another schedule.", 409)
            refusal = self._find_refusal(body)
            if refusal is not None:
                return refusal
            answer = forward()
            if answer.status == 500:  # moto fails on a group that does not exist
                return _refuse(
                    "ResourceNotFoundException", f"Schedule group {body.get('GroupName')} does not exist.", 404
                )
            if answer.status == 200:
                self._answers[name, token] = (request.body, answer)
        self._changed.set()
        return answer

    def _find_refusal(self, body: Mapping[str, Any]) -> aws_requests.HttpAnswer | None:
        """AWS's refusal of a schedule that moto would accept, or None. `cron()` is refused too: it cannot fire here."""
        expression = body.get("ScheduleExpression", "")
        try:
            due = schedules.first_due(expression, body.get("ScheduleExpressionTimezone", "UTC"), self._faults.now())
            schedules.read_ecs_call(body.get("Target", {}))
        except (ValueError, schedules.UnfitTargetError, zoneinfo.ZoneInfoNotFoundError) as exc:
            return _refuse("ValidationException", str(exc), 400)
        if schedules.is_instant(expression) and due < self._faults.now() - timedelta(seconds=1):
            # AWS is reported to refuse this; its documentation does not say so. A controller has to expect the refusal.
            return _refuse("ValidationException", f"Invalid Schedule Expression {expression}: it is in the past.", 400)
        return None

    # Schedules that come due

    def _run(self) -> None:
        while True:
            changed = self._changed.wait(self._options.schedule_seconds)
            try:
                if changed:
                    self._changed.clear()
                    self._reload()
                if self._faults.active("schedule-late") is None and not self._is_down():
                    self._fire_due_schedules()
            except Exception:
                _LOG.exception("schedules")  # the next round tries again, so that schedules still come due
                self._changed.set()
                time.sleep(self._options.schedule_seconds)

    def _reload(self) -> None:
        client = self._make_client()
        pages = client.get_paginator("list_schedules").paginate()
        summaries = [summary for page in pages for summary in page["Schedules"]]
        loaded = []
        for summary in summaries:
            try:
                answer = client.get_schedule(GroupName=summary["GroupName"], Name=summary["Name"])
            except client.exceptions.ResourceNotFoundException:
                continue  # deleted since it was listed
            loaded.append(schedules.read_schedule(answer))
        self._schedules = [schedule for schedule in loaded if schedule is not None]
        for schedule in self._schedules:
            if schedule.key not in self._due:
                self._due[schedule.key] = self._first_due(schedule)

    def _first_due(self, schedule: schedules.Schedule) -> datetime:
        wait = (schedule.starts - schedule.created) * self._options.rate_scale
        return schedules.first_due(schedule.expression, schedule.zone, schedule.created + max(wait, timedelta(0)))

    def _fire_due_schedules(self) -> None:
        now = self._faults.now()
        for schedule in self._schedules:
            due = self._due[schedule.key]
            if due is None or due > now:
                continue
            period = schedules.period_seconds(schedule.expression)
            self._due[schedule.key] = (
                None if period is None else now + timedelta(seconds=period * self._options.rate_scale)
            )
            self._call_target(schedule, 0, now)

    def _call_target(self, schedule: schedules.Schedule, retries: int, due: datetime) -> None:
        """Calls the target once. If the call fails and another may succeed, calls it again later."""
        operation, body = schedules.read_ecs_call(schedule.target)
        origin = {"startedBy": schedules.started_by(schedule)} if operation == "RunTask" else {}
        try:
            self._invoke_ecs(operation, {**body, **origin})
        except ecs_refusals.RefusedError as exc:
            if self._allows_retry(schedule, retries, due) and _may_pass(exc):
                wait_seconds = min(self._options.schedule_retry_seconds * 2 ** min(retries, 8), _LONGEST_RETRY_SECONDS)
                self._timer.after(wait_seconds, lambda: self._call_target(schedule, retries + 1, due))
                return
            _LOG.warning("schedule %s gave up: %s %s", schedule.name, exc.code, exc)
        if schedule.deletes_itself and not schedule.repeats:
            self._delete(schedule)

    def _allows_retry(self, schedule: schedules.Schedule, retries: int, due: datetime) -> bool:
        """Whether the schedule's retry policy allows another call."""
        policy = schedule.target.get("RetryPolicy", {})
        age_seconds = (self._faults.now() - due).total_seconds()
        most_retries: int = policy.get("MaximumRetryAttempts", _MOST_ATTEMPTS)
        oldest_seconds: float = policy.get("MaximumEventAgeInSeconds", _OLDEST_SECONDS)
        return retries < most_retries and age_seconds < oldest_seconds

    def _delete(self, schedule: schedules.Schedule) -> None:
        client = self._make_client()
        try:
            client.delete_schedule(GroupName=schedule.group, Name=schedule.name)
        except client.exceptions.ResourceNotFoundException:
            _LOG.info("schedule %s was already deleted", schedule.name)
        self._changed.set()


def _may_pass(refusal: ecs_refusals.RefusedError) -> bool:
    """Whether the same call may succeed later."""
    return refusal.status >= 500 or "Throttling" in refusal.code or "Throttling" in str(refusal)


def _refuse(code: str, message: str, status: int) -> aws_requests.HttpAnswer:
    return aws_requests.error_answer("scheduler", status, code, message)
