"""The schedule layer (L3): one EventBridge Scheduler entry a run, which runs `burst reap --run ID` as a task.

It is armed before the first task and needs no task's id, so it also ends tasks that a controller launched and could
not write down. It fires once, deletes itself, and is retried by AWS for a day: without retries a single throttle would
lose the stop. Arming twice makes one entry: its name and token follow from the run. A one-shot, whose deadline is its
own, has an entry of its own beside the run's.
"""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.plan import plans
from burst.domain.tasks import worst_ends
from burst.kit import aws

PATIENCE_SECONDS = 30.0
RETRIES = 185
RETRIED_FOR_SECONDS = 86400
LONGEST_NAME = 64
REAPER_CONTAINER = "reaper"
_AT = re.compile(r"at\((.+)\)")
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)", re.ASCII)
_UNIT_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperTask:
    """The task that the entry starts. Cluster and task definition are ARNs: EventBridge Scheduler accepts no names."""

    cluster_arn: str
    task_definition_arn: str
    container: str
    role_arn: str
    """The role EventBridge Scheduler assumes: it may call RunTask and pass the task's roles."""
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    public_addresses: bool = False
    dead_letter_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEntry:
    """A schedule entry as AWS describes it."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """A recurring schedule as AWS describes it. `period_seconds` None: it does not recur at a rate."""

    enabled: bool
    period_seconds: float | None
    command: tuple[str, ...]
    """The command of its task."""

    def problem(self, cluster: str) -> str:
        """Why it does not sweep this cluster often enough; empty where it does."""
        if not self.enabled:
            return "it is disabled"
        if self.period_seconds is None or self.period_seconds > worst_ends.SWEEP_SECONDS:
            period = "not at a rate" if self.period_seconds is None else f"every {self.period_seconds:g} s"
            return f"it runs {period}, allowed is every {worst_ends.SWEEP_SECONDS:g} s or more often"
        swept = [value for option, value in itertools.pairwise(self.command) if option == "--cluster"]
        if "reap" not in self.command or "--all" not in self.command or not swept:
            return f"it runs {' '.join(self.command) or 'nothing'}, not burst reap --all --cluster {cluster}"
        if swept[-1].rpartition("/")[2] != cluster.rpartition("/")[2]:
            return f"it sweeps cluster {swept[-1]}, not {cluster}"
        return ""


class Scheduler:
    """The schedule entries of one group. `soonest_seconds` is shorter in a simulation, which fires at once."""

    def __init__(
        self,
        group: str,
        *,
        clock: ports.Clock,
        client: Any | None = None,
        soonest_seconds: float = worst_ends.SCHEDULE_SOONEST_SECONDS,
    ) -> None:
        self._group = group
        self._clock = clock
        self._scheduler = aws.client("scheduler") if client is None else client
        self._soonest_seconds = soonest_seconds

    def arm(self, execution_id: str, *, due_at: datetime, reaper: ReaperTask, one_shot: str = "") -> ScheduleEntry:
        """Makes the entry of a run, or of its one-shot, for `due_at`, or a little later where that is too near; returns
        the entry.

        Raises `errors.Conflict` where the run has an entry that fires later, `aws.Absent` without the group.
        """
        soonest = instants.later(self._clock.now(), self._soonest_seconds)
        at = _whole_second(max(due_at, soonest))
        name = entry_name(execution_id, one_shot)
        parameters = self._entry_parameters(execution_id, name, at, reaper)
        try:
            self._call("scheduler:CreateSchedule", self._scheduler.create_schedule, **parameters)
        except errors.Conflict:
            return self._require_timely(name, at)
        except aws.Absent as exc:
            raise aws.Absent(f"{exc}; make the schedule group {self._group} (infra/ does)") from exc
        return ScheduleEntry(name=name, at=at)

    def find(self, execution_id: str) -> ScheduleEntry | None:
        """The run's entry, None where there is none: never armed, fired, or disarmed."""
        return self._read_entry(entry_name(execution_id))

    def _read_entry(self, name: str) -> ScheduleEntry | None:
        try:
            answer = self._call("scheduler:GetSchedule", self._scheduler.get_schedule, GroupName=self._group, Name=name)
        except aws.Absent:
            return None
        instant = _AT.fullmatch(str(answer["ScheduleExpression"]))
        if instant is None:
            raise errors.Conflict(f"schedule {name} is {answer['ScheduleExpression']}, which is none of burst's")
        return ScheduleEntry(name=name, at=datetime.fromisoformat(instant[1]).replace(tzinfo=UTC))

    def sweeper(self, name: str) -> Sweeper | None:
        """A recurring schedule of the group, None where there is none of this name."""
        try:
            answer = self._call("scheduler:GetSchedule", self._scheduler.get_schedule, GroupName=self._group, Name=name)
        except aws.Absent:
            return None
        rate = _RATE.fullmatch(str(answer["ScheduleExpression"]))
        return Sweeper(
            enabled=answer.get("State", "ENABLED") == "ENABLED",
            period_seconds=int(rate[1]) * _UNIT_SECONDS[rate[2]] if rate else None,
            command=_command(str(answer["Target"].get("Input") or "{}")),
        )

    def disarm(self, execution_id: str, *, one_shot: str = "") -> None:
        """Deletes the entry of a run, or of its one-shot; a missing entry is no error."""
        try:
            self._call(
                "scheduler:DeleteSchedule",
                self._scheduler.delete_schedule,
                GroupName=self._group,
                Name=entry_name(execution_id, one_shot),
            )
        except aws.Absent:
            return

    def _require_timely(self, name: str, at: datetime) -> ScheduleEntry:
        entry = self._read_entry(name)
        if entry is None or entry.at > at:
            state = "it is gone" if entry is None else f"it fires at {instants.text(entry.at)}"
            raise errors.Conflict(
                f"schedule {name} was there already and {state}, not by {instants.text(at)}; "
                "delete it, or use another execution id"
            )
        return entry

    def _call(self, action: str, operation: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        give_up_at = instants.later(self._clock.now(), PATIENCE_SECONDS)
        answer: Mapping[str, Any] = aws.retrying(self._clock, give_up_at)(aws.call, action, operation, **parameters)
        return answer

    def _entry_parameters(self, execution_id: str, name: str, at: datetime, reaper: ReaperTask) -> dict[str, Any]:
        command = ["burst", "reap", "--run", execution_id]
        target = {
            "Arn": reaper.cluster_arn,
            "RoleArn": reaper.role_arn,
            "Input": json.dumps({"containerOverrides": [{"name": reaper.container, "command": command}]}),
            "RetryPolicy": {"MaximumRetryAttempts": RETRIES, "MaximumEventAgeInSeconds": RETRIED_FOR_SECONDS},
            "EcsParameters": {
                "TaskDefinitionArn": reaper.task_definition_arn,
                "TaskCount": 1,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {
                    "awsvpcConfiguration": {
                        "Subnets": list(reaper.subnets),
                        "SecurityGroups": list(reaper.security_groups),
                        "AssignPublicIp": "ENABLED" if reaper.public_addresses else "DISABLED",
                    }
                },
            },
        }
        if reaper.dead_letter_arn is not None:
            target["DeadLetterConfig"] = {"Arn": reaper.dead_letter_arn}
        expression = f"at({at.strftime('%Y-%m-%dT%H:%M:%S')})"
        return {
            "Name": name,
            "GroupName": self._group,
            "ClientToken": hashlib.sha256(f"{self._group}|{name}|{expression}".encode()).hexdigest(),
            "Description": f"burst: ends what is left of run {execution_id} past its deadline",
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": target,
        }


class ScheduleLayer:
    """L3 of one plan's run: `ports.HardStopLayer`, and the same for each of its one-shots."""

    def __init__(self, plan: plans.Plan, *, clock: ports.Clock) -> None:
        self._plan = plan
        self._clock = clock

    def arm(self, deadline: datetime) -> str:
        """Makes the entry of the run, and says what it runs and when. Raises as `Scheduler.arm`."""
        entry = self._arm_entry(deadline)
        return f"schedule {entry.name} runs burst reap at {instants.text(entry.at)}"

    def arm_one_shot(self, name: str, deadline: datetime) -> None:
        """Makes the entry of a one-shot for its own deadline. Raises as `Scheduler.arm`."""
        self._arm_entry(deadline, name)

    def disarm(self) -> None:
        """Deletes the entries of the run and its one-shots."""
        # The group's name needs no account: an STS that is down leaves no entry behind.
        scheduler = Scheduler(self._plan.reaper(account="").group, clock=self._clock)
        for one_shot in ("", *(shot.name for shot in (*self._plan.before, *self._plan.after))):
            scheduler.disarm(str(self._plan.execution_id), one_shot=one_shot)

    def _arm_entry(self, deadline: datetime, one_shot: str = "") -> ScheduleEntry:
        group, reaper = self._reaper_task()
        due_at = instants.later(deadline, self._plan.budget.stop_grace + worst_ends.SCHEDULE_MARGIN_SECONDS)
        scheduler = Scheduler(group, clock=self._clock)
        return scheduler.arm(str(self._plan.execution_id), due_at=due_at, reaper=reaper, one_shot=one_shot)

    def _reaper_task(self) -> tuple[str, ReaperTask]:
        """The schedule group and the task its entry runs. Asks STS for the account."""
        target = self._plan.target
        cluster = _complete_arn("cluster", str(target.cluster))
        reaper = self._plan.reaper(cluster.split(":")[4])
        return reaper.group, ReaperTask(
            cluster_arn=cluster,
            task_definition_arn=_complete_arn("task-definition", reaper.task_definition),
            container=REAPER_CONTAINER,
            role_arn=reaper.role_arn,
            subnets=tuple(target.subnets or ()),
            security_groups=tuple(target.security_groups or ()),
            public_addresses=bool(target.assign_public_ip),
            dead_letter_arn=reaper.dead_letter_arn,
        )


class SweeperLayer:
    """L4 of one plan's environment: a recurring `burst reap --all`, which burst's infrastructure makes."""

    def __init__(self, plan: plans.Plan, *, clock: ports.Clock, client: Any | None = None) -> None:
        self._plan = plan
        self._clock = clock
        self._client = client

    def arm(self, deadline: datetime) -> str:
        """Says what sweeps the plan's cluster. Raises `errors.Refused` where nothing does, or not often enough."""
        return self.check()

    def check(self) -> str:
        """Says what sweeps the plan's cluster; raises as `arm`."""
        name, group = f"burst-{self._plan.environment}-sweeper", self._plan.reaper(account="").group
        cluster = str(self._plan.target.cluster)
        sweeper = Scheduler(group, clock=self._clock, client=self._client).sweeper(name)
        problem = sweeper.problem(cluster) if sweeper else "there is none"
        if sweeper is None or problem:
            raise errors.Refused(f"schedule {name} of group {group}: {problem}; infra/ makes it")
        return f"schedule {name} sweeps {cluster} every {sweeper.period_seconds:g} s"

    def disarm(self) -> None:
        """The sweeper belongs to the environment, and goes on."""


def _complete_arn(kind: str, name: str) -> str:
    """The ARN of a name in the caller's account and region; an ARN stays as it is."""
    if name.startswith("arn:"):
        return name
    sts = aws.client("sts")
    account = aws.call("sts:GetCallerIdentity", sts.get_caller_identity)["Account"]
    return f"arn:aws:ecs:{sts.meta.region_name}:{account}:{kind}/{name}"


def _command(text: str) -> tuple[str, ...]:
    """The command in a target's input; empty where it has none."""
    try:
        overrides = json.loads(text)["containerOverrides"]
        return tuple(str(word) for override in overrides for word in override.get("command", ()))
    except (ValueError, LookupError, TypeError, AttributeError):
        return ()


def entry_name(execution_id: str, one_shot: str = "") -> str:
    """`burst-{execution_id}`; a one-shot's name follows after a point, which no run's id holds. A name too long for AWS
    ends in its own hash."""
    name = f"burst-{execution_id}.{one_shot}" if one_shot else f"burst-{execution_id}"
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - len(digest) - 1]}-{digest}"


def _whole_second(moment: datetime) -> datetime:
    """The first whole second not before the instant: entries hold no fractions."""
    return datetime.fromtimestamp(math.ceil(moment.timestamp()), UTC)
