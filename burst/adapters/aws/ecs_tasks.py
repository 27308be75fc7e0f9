"""The ECS launcher: burst tasks as containers, found by `startedBy` and judged by DescribeTasks.

What a later process needs lies with the task: the run in `startedBy`, shard, deadline and lease in the container's
overrides (tags say the same, and StopTask deletes them), the guard's record beside the lease. A launch may be repeated
because its token is made of what the controller journalled before the call. A task ECS does not describe is unknown
and never stopped: right after RunTask it is not described yet, and an hour after its end no more. boto's waiters are
not used anywhere: they take a missing task for one thing or the other.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.plan import plans
from burst.domain.tasks import ecs_definitions, ecs_marks, ecs_truths, task_records, tasks
from burst.kit import aws

BATCH = 10
DESCRIBED_AT_ONCE = 100
LONGEST_OVERRIDES = 8192
LAUNCH_PATIENCE_SECONDS = 60.0
"""How long one batch is tried, with one token, before its launch is called unknown."""
CALL_PATIENCE_SECONDS = 5.0
"""How long a call that may be repeated is tried. Short: the heartbeat waits meanwhile."""
SILENCE_SECONDS = 5.0
"""How long stops fail at once after one that was not answered: each would wait as long again."""
APPEARS_SECONDS = 60.0
"""How long after its launch a task may be missing without anybody looking for its record."""

ONE_SHOT_ATTEMPTS = 3
ONE_SHOT_PAUSE_SECONDS = 2.0
"""The pause before a one-shot that found no capacity is tried again; the next one is twice as long."""

Records = Callable[[str], task_records.Record]
"""The record the guard of a task left, by task id, or why there is none to go by."""


Arm = Callable[[str, datetime], None]
"""Arms what ends the one-shot of a name at its deadline. Raises `errors.BurstError` where it cannot."""


def no_records(task_id: str) -> task_records.Record:
    """For tasks whose guards leave no records."""
    return task_records.Lacking.ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What the tasks of one run are told of it."""

    execution_id: str
    phase: str
    deadline: datetime
    control_uri: str
    record_uri: str
    """The folder the guards leave their records in, ending in `/`."""
    secrets: frozenset[str] = frozenset()
    """Variables the program needs and only the task definition may give it."""


class EcsTasks:
    """Finds, judges and stops the tasks of a cluster, whoever launched them."""

    def __init__(
        self, cluster: str, *, clock: ports.Clock, records: Records = no_records, client: Any | None = None
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._records = records
        self._ecs = aws.client("ecs") if client is None else client
        self._newest: dict[str, Mapping[str, Any]] = {}
        self._ended: dict[str, tasks.TaskTruth] = {}
        self._launched_at: dict[str, datetime] = {}
        self._silent_until: datetime | None = None

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        """Every task of the run that ECS still tells of, alive or ended (for about an hour), by shard."""
        started_by = ecs_marks.started_by(execution_id)
        arns = [arn for status in ("RUNNING", "STOPPED") for arn in self._list(status, startedBy=started_by)]
        return ecs_marks.assign_shards(self._describe(arns))

    def marked(self) -> Sequence[tasks.MarkedTask]:
        """Every burst task of the cluster that is not stopped, of any run: what `burst reap` looks at."""
        return ecs_marks.read_marked_tasks(self._describe(self._list("RUNNING")))

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """The truth about each task, in the same order; 100 are asked about in a call.

        Raises `errors.Unavailable` when ECS cannot be asked, whatever the cause: then nothing is known.
        """
        open_ids = [task.task_id for task in known if task.task_id not in self._ended]
        described = {one["taskArn"]: one for one in self._describe(open_ids)}
        return [self._ended.get(task.task_id) or self._judge(task, described.get(task.task_id)) for task in known]

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> None:
        """StopTask: TERM, the definition's stopTimeout, KILL. ECS has no stronger word, so `force` says it again.

        The answer only means that it was asked; `inspect` tells the end.
        """
        if task.task_id in self._ended:
            return
        if self._silent_until is not None and self._clock.now() < self._silent_until:
            raise errors.Unavailable("ecs:StopTask was not answered a moment ago; it will be tried again")
        try:
            self._again(
                "ecs:StopTask",
                self._ecs.stop_task,
                task=task.task_id,
                reason=ecs_truths.stop_reason(by),
                timeouts=False,
            )
        except errors.Unavailable as exc:
            if not isinstance(exc, aws.Throttled):  # one that is throttled answers, and takes the next stop soon
                self._silent_until = instants.later(self._clock.now(), SILENCE_SECONDS)
            raise
        except errors.UsageError as exc:
            if "not found" not in aws.seen(exc).message:
                raise
        self._silent_until = None

    def describe_definition(self, name: str, *, container: str | None = None) -> ecs_definitions.Definition:
        """What the pinned revision `name` says; `container` is the one that carries the load, where there are several.

        Raises `errors.UsageError` where there is no such definition or container.
        """
        answer = self._again("ecs:DescribeTaskDefinition", self._ecs.describe_task_definition, taskDefinition=name)
        return ecs_definitions.read_definition(answer["taskDefinition"], container)

    # Calls

    def _again(
        self, action: str, operation: Callable[..., Any], *, timeouts: bool = True, **parameters: Any
    ) -> Mapping[str, Any]:
        """A call that may be repeated, for a short while."""
        if action != "ecs:DescribeTaskDefinition":
            parameters["cluster"] = self._cluster
        give_up_at = instants.later(self._clock.now(), CALL_PATIENCE_SECONDS)
        retry = aws.retrying(self._clock, give_up_at, timeouts=timeouts)
        answer: Mapping[str, Any] = retry(aws.call, action, operation, **parameters)
        return answer

    def _seen(
        self, action: str, operation: Callable[..., Any], *, timeouts: bool = True, **parameters: Any
    ) -> Mapping[str, Any]:
        """A call that looks at tasks: who may not look is as blind as who is not answered."""
        try:
            return self._again(action, operation, timeouts=timeouts, **parameters)
        except (errors.Refused, errors.UsageError) as exc:
            raise errors.Unavailable(str(exc)) from exc

    def _list(self, status: str, **filters: str) -> Iterator[str]:
        parameters: dict[str, Any] = {"desiredStatus": status, "maxResults": DESCRIBED_AT_ONCE, **filters}
        while True:
            answer = self._seen("ecs:ListTasks", self._ecs.list_tasks, **parameters)
            yield from answer["taskArns"]
            if not answer.get("nextToken"):
                return
            parameters["nextToken"] = answer["nextToken"]

    def _describe(self, arns: Iterable[str]) -> list[Mapping[str, Any]]:
        """Those of the tasks ECS describes now; an answer older than one seen before is passed over."""
        found = []
        wanted = iter(dict.fromkeys(arns))
        while batch := list(itertools.islice(wanted, DESCRIBED_AT_ONCE)):
            answer = self._seen(
                "ecs:DescribeTasks", self._ecs.describe_tasks, tasks=batch, include=["TAGS"], timeouts=False
            )
            for one in answer.get("tasks") or ():
                newest = self._newest.get(one["taskArn"])
                if newest is None or one.get("version", 0) >= newest.get("version", 0):
                    self._newest[one["taskArn"]] = newest = one
                found.append(newest)
        return found

    def _start(
        self, parameters: Mapping[str, Any], give_up_at: datetime
    ) -> tuple[list[str], list[tasks.LaunchFailure]]:
        """One RunTask, repeated with the same token until it is answered. Its tasks are counted once."""
        retry = aws.retrying(self._clock, give_up_at)
        try:
            answer = retry(aws.call, "ecs:RunTask", self._ecs.run_task, **parameters)
        except errors.Conflict as exc:
            standing = aws.seen(exc).resources  # the same token with another budget: these are its tasks
            if not standing:
                raise errors.Unavailable(f"what an earlier ecs:RunTask started is not told: {exc}") from exc
            return list(standing), []
        return [one["taskArn"] for one in answer["tasks"]], [ecs_truths.read_failure(one) for one in answer["failures"]]

    # Judging

    def _judge(self, task: tasks.Task, described: Mapping[str, Any] | None) -> tasks.TaskTruth:
        truth = self._truth(task, described)
        if truth.status is tasks.TaskStatus.STOPPED:
            self._ended[task.task_id] = truth
        return truth

    def _truth(self, task: tasks.Task, described: Mapping[str, Any] | None) -> tasks.TaskTruth:
        if described is None:
            return self._missing(task)
        environment = ecs_marks.environment(described)
        guarded_shot = (
            ecs_marks.ONE_SHOT in environment and ecs_marks.BUDGET in environment
        )  # it has no lease to end by
        stopped = ecs_truths.read_status(described) is tasks.TaskStatus.STOPPED
        return ecs_truths.judge_task(
            task,
            described,
            container=ecs_marks.container(described),
            guarded=ecs_marks.HINT in environment or guarded_shot,
            record=self._records(task.task_id) if stopped else task_records.Lacking.ABSENT,
            deadline=None if guarded_shot else tasks.parse_deadline(environment.get(ecs_marks.DEADLINE)),
        )

    def _missing(self, task: tasks.Task) -> tasks.TaskTruth:
        launched_at = self._launched_at.get(task.task_id)
        if launched_at is not None and task.task_id not in self._newest:
            age_seconds = instants.seconds_between(launched_at, self._clock.now())
            if age_seconds < APPEARS_SECONDS:
                asked = f"ECS does not describe it {age_seconds:.1f} s after its launch"
                return tasks.TaskTruth(task=task, status=tasks.TaskStatus.UNKNOWN, detail=asked)
        return ecs_truths.judge_undescribed_task(
            task, self._records(task.task_id), answer="ECS does not describe it (MISSING)"
        )


class EcsLauncher(EcsTasks):
    """`ports.Launcher` for one run on ECS. `last_failures` are those of the last launch, empty when all was started."""

    def __init__(
        self,
        target: plans.TargetSection,
        *,
        run: RunContext,
        clock: ports.Clock,
        records: Records = no_records,
        client: Any | None = None,
    ) -> None:
        super().__init__(str(target.cluster), clock=clock, records=records, client=client)
        self._target = target
        self._run = run
        self._definition: ecs_definitions.Definition | None = None
        self.last_failures: tuple[tasks.LaunchFailure, ...] = ()

    @property
    def definition(self) -> ecs_definitions.Definition:
        """What the plan's task definition says, asked once."""
        if self._definition is None:
            self._definition = self.describe_definition(
                str(self._target.task_definition), container=self._target.container
            )
        return self._definition

    def launch(self, request: tasks.LaunchRequest) -> Sequence[tasks.Task]:
        """Starts the shards in batches of ten, or one by one where nothing in the task would claim a shard.

        What ECS did not start stands in `last_failures`; asking for it again takes another token. Raises
        `errors.Unavailable` when an answer stayed out too long, `errors.Refused` past the deadline or where a secret
        is missing, `errors.UsageError` for what ECS would not take.
        """
        self._require_launchable(request)
        calls = [(batch, self._run_task(request, batch)) for batch in self._batches(request.shards)]
        launched: list[tasks.Task] = []
        failures: list[tasks.LaunchFailure] = []
        for batch, parameters in calls:
            patience_ends_at = instants.later(self._clock.now(), LAUNCH_PATIENCE_SECONDS)
            arns, refused = self._start(parameters, min(patience_ends_at, self._run.deadline))
            now = self._clock.now()
            self._launched_at.update(dict.fromkeys(arns, now))
            launched += [
                tasks.Task(task_id=arn, shard_index=shard) for arn, shard in zip(sorted(arns), batch, strict=False)
            ]
            failures += refused
            if not arns and any(one.shortage in _HOPELESS for one in refused):
                break  # the batches after it would be refused alike
        self.last_failures = tuple(failures)
        return launched

    def _batches(self, shards: Sequence[int]) -> list[tuple[int, ...]]:
        """Runs of neighbouring shards, because the tasks of a batch claim upwards from its first."""
        largest = BATCH if self.definition.guarded else 1
        batches: list[tuple[int, ...]] = []
        for shard in sorted(shards):
            last = batches[-1] if batches else ()
            if last and shard == last[-1] + 1 and len(last) < largest:
                batches[-1] = (*last, shard)
            else:
                batches.append((shard,))
        return batches

    def _run_task(self, request: tasks.LaunchRequest, batch: tuple[int, ...]) -> dict[str, Any]:
        words = f"{request.execution_id}|{request.token}|{batch[0]}"
        provider = request.capacity
        where = {"capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}]} if provider else {}
        return {
            "cluster": self._cluster,
            "taskDefinition": self.definition.arn,
            "count": len(batch),
            "clientToken": hashlib.sha256(words.encode()).hexdigest(),
            "startedBy": ecs_marks.started_by(request.execution_id),
            "overrides": self._overrides(request, batch),
            **_surroundings(self._target, self._run, self._run.deadline),
            **(where or {"launchType": "FARGATE"}),
        }

    def _overrides(self, request: tasks.LaunchRequest, batch: tuple[int, ...]) -> dict[str, Any]:
        environment = dict(request.environment) | self._variables(request, batch)
        container: dict[str, Any] = {"name": self.definition.container, "environment": _pairs(environment)}
        if request.command:
            container["command"] = list(request.command)
        made = {"containerOverrides": [container]}
        if self.definition.sidecar:
            made["containerOverrides"].append(_outliving(request.budget_seconds, request.grace_seconds))
        _require_fitting(made, environment, request.command)
        return made

    def _variables(self, request: tasks.LaunchRequest, batch: tuple[int, ...]) -> dict[str, str]:
        own = {ecs_marks.HINT: str(batch[0])} if self.definition.guarded else {ecs_marks.SHARD: str(batch[0])}
        return {
            **own,
            ecs_marks.RUN: request.execution_id,
            "BURST_SHARD_COUNT": str(request.shard_count),
            ecs_marks.BUDGET: f"{request.budget_seconds:.3f}",
            ecs_marks.GRACE: f"{request.grace_seconds:g}",
            ecs_marks.CONTROL: self._run.control_uri,
            ecs_marks.DEADLINE: instants.text(self._run.deadline),
            "BURST_LEASE_TTL_SECONDS": f"{request.lease_ttl_seconds:g}",
            "BURST_RECORD_URI": self._run.record_uri,
            "BURST_CHILD_WAITS": "1" if request.child_waits else "0",
        }

    def _require_launchable(self, request: tasks.LaunchRequest) -> None:
        if request.execution_id != self._run.execution_id:
            raise errors.UsageError(f"this launcher is for run {self._run.execution_id}, not {request.execution_id}")
        if request.budget_seconds <= 0:
            raise errors.Refused(f"nothing launched: {-request.budget_seconds:.1f} s past the deadline")
        _refuse_shown(request.environment, self._run.secrets | self.definition.secrets, self.definition.arn)
        missing = sorted(self._run.secrets - self.definition.secrets)
        if missing:
            raise errors.Refused(
                f"nothing launched: container {self.definition.container} of {self.definition.arn} has no secret "
                f"{', '.join(missing)}; add it to its secrets in the task definition"
            )


class EcsOneShots(EcsTasks):
    """`ports.OneShots` for one run on ECS. Each has its own `startedBy`, so that it is never taken for a shard.

    Its hard stop: the guard, where its definition or its command has one, its `lifespan` sidecar where the definition
    has it, what `arm` arms for its deadline, that deadline on the task for `burst reap`, and StopTask by whoever waits
    for it. One without guard and sidecar is not started where `arm` fails: nothing would end it if burst died.
    """

    def __init__(
        self,
        target: plans.TargetSection,
        *,
        run: RunContext,
        grace_seconds: float,
        clock: ports.Clock,
        arm: Arm | None = None,
        client: Any | None = None,
    ) -> None:
        super().__init__(str(target.cluster), clock=clock, client=client)
        self._target = target
        self._run = run
        self._grace_seconds = grace_seconds
        self._arm = arm
        self._definitions: dict[tuple[str | None, str | None], ecs_definitions.Definition] = {}

    def definition(self, shot: tasks.OneShot) -> ecs_definitions.Definition:
        """What its task definition says, asked once; its `log_stream` names where a task's words go."""
        key = (shot.task_definition, shot.container)
        if key not in self._definitions:
            if shot.task_definition is None:
                raise errors.UsageError(f"{shot.name}: on ECS a one-shot needs a task_definition")
            self._definitions[key] = self.describe_definition(shot.task_definition, container=shot.container)
        return self._definitions[key]

    def ends(self, shot: tasks.OneShot) -> bool:
        """Whether something in its task ends it, where nobody waits for it any more."""
        definition = self.definition(shot)
        return definition.sidecar or _guards(definition, shot)

    def start(self, shot: tasks.OneShot, deadline: datetime) -> tasks.Task:
        """RunTask with a token made of run and name, after a look for one that is there; see `ports.OneShots`."""
        standing = self.find(tasks.one_shot_id(self._run.execution_id, shot.name))
        if standing:
            return standing[0]
        definition = self.definition(shot)
        _refuse_shown(shot.environment, self._run.secrets | definition.secrets, definition.arn)
        self._cover(shot, definition, deadline)
        for attempt in range(1, ONE_SHOT_ATTEMPTS + 1):
            give_up_at = min(instants.later(self._clock.now(), LAUNCH_PATIENCE_SECONDS), deadline)
            arns, failures = self._start(self._run_task(shot, definition, attempt, deadline), give_up_at)
            if arns:
                self._launched_at[arns[0]] = self._clock.now()
                return tasks.Task(task_id=arns[0], shard_index=0)
            if attempt == ONE_SHOT_ATTEMPTS or any(one.shortage in _FINAL for one in failures):
                break
            self._clock.sleep(ONE_SHOT_PAUSE_SECONDS * attempt)
        reasons = "; ".join(failure.reason for failure in failures) or "no task and no reason"
        raise errors.Refused(f"{shot.name} was not started: {reasons}")

    def _cover(self, shot: tasks.OneShot, definition: ecs_definitions.Definition, deadline: datetime) -> None:
        """Sees to it that something ends the one-shot also where nobody waits for it any more."""
        try:
            if self._arm is not None:
                self._arm(shot.name, deadline)
        except errors.BurstError as exc:
            if self.ends(shot):
                return
            kind = errors.Unavailable if isinstance(exc, errors.Unavailable) else errors.Refused
            raise kind(f"{shot.name}: {definition.arn} has neither guard nor sidecar, and no schedule: {exc}") from exc

    def _run_task(
        self, shot: tasks.OneShot, definition: ecs_definitions.Definition, attempt: int, deadline: datetime
    ) -> dict[str, Any]:
        budget_seconds = instants.seconds_between(self._clock.now(), deadline)
        if budget_seconds <= 0:
            raise errors.Unavailable(f"{shot.name} is not asked for {-budget_seconds:.1f} s past its deadline")
        words = f"{self._run.execution_id}|one-shot|{shot.name}|{attempt}"
        return {
            "cluster": self._cluster,
            "taskDefinition": definition.arn,
            "count": 1,
            "clientToken": hashlib.sha256(words.encode()).hexdigest(),
            "startedBy": ecs_marks.started_by(tasks.one_shot_id(self._run.execution_id, shot.name)),
            "overrides": self._overrides(shot, definition, deadline, budget_seconds),
            **_surroundings(self._target, self._run, deadline),
            "launchType": "FARGATE",
        }

    def _overrides(
        self, shot: tasks.OneShot, definition: ecs_definitions.Definition, deadline: datetime, budget_seconds: float
    ) -> dict[str, Any]:
        bounded = {ecs_marks.BUDGET: f"{budget_seconds:.3f}", ecs_marks.GRACE: f"{self._grace_seconds:g}"}
        environment = dict(shot.environment) | (bounded if _guards(definition, shot) else {})
        environment |= {
            ecs_marks.RUN: self._run.execution_id,
            ecs_marks.ONE_SHOT: shot.name,
            ecs_marks.DEADLINE: instants.text(deadline),
        }
        container: dict[str, Any] = {"name": definition.container, "environment": _pairs(environment)}
        if shot.command:
            container["command"] = list(shot.command)
        made = {"containerOverrides": [container]}
        if definition.sidecar:
            made["containerOverrides"].append(_outliving(budget_seconds, self._grace_seconds))
        _require_fitting(made, environment, shot.command)
        return made


_HOPELESS = frozenset({tasks.Shortage.CAPACITY, tasks.Shortage.QUOTA})
_FINAL = frozenset({tasks.Shortage.QUOTA, tasks.Shortage.OTHER})
"""Why a one-shot is not tried again: asking again does not help."""


def _surroundings(target: plans.TargetSection, run: RunContext, deadline: datetime) -> dict[str, Any]:
    """Network and tags of a task that burst starts for a run; the deadline is what `burst reap` goes by."""
    return {
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": target.subnets,
                "securityGroups": target.security_groups,
                "assignPublicIp": "DISABLED",
            }
        },
        "enableECSManagedTags": True,
        "tags": [
            {"key": ecs_marks.RUN_TAG, "value": run.execution_id},
            {"key": ecs_marks.DEADLINE_TAG, "value": instants.text(deadline)},
            {"key": ecs_marks.PHASE_TAG, "value": run.phase},
        ],
    }


def _outliving(budget_seconds: float, grace_seconds: float) -> dict[str, Any]:
    """What the sidecar is told: to act after the guard's own grace, as each layer acts where the one before failed."""
    outlives = str(math.ceil(budget_seconds + grace_seconds))
    return {"name": ecs_truths.SIDECAR_CONTAINER, "environment": _pairs({ecs_marks.BUDGET: outlives})}


def _refuse_shown(environment: Iterable[tuple[str, str]], secrets: frozenset[str], definition: str) -> None:
    """Raises `errors.Refused` where a secret would be passed in the open."""
    shown = sorted({name for name, _ in environment} & secrets)
    if shown:
        raise errors.Refused(
            f"nothing launched: {', '.join(shown)} would stand in the overrides, which DescribeTasks shows; "
            f"leave it to the secrets of {definition}"
        )


def _pairs(environment: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in environment.items()]


def _require_fitting(made: Mapping[str, Any], environment: Mapping[str, str], command: Sequence[str]) -> None:
    length = len(json.dumps(made))
    if length <= LONGEST_OVERRIDES:
        return
    sizes = {name: len(value) for name, value in environment.items()} | {"command": len(json.dumps(list(command)))}
    longest = max(sizes, key=lambda name: sizes[name])
    raise errors.UsageError(
        f"nothing launched: the overrides of a task are {length} characters, of which {longest} has {sizes[longest]}; "
        f"allowed: {LONGEST_OVERRIDES}. Put long values into the task definition"
    )


def _guards(definition: ecs_definitions.Definition, shot: tasks.OneShot) -> bool:
    """Whether a one-shot runs under our guard."""
    return definition.guarded or ecs_definitions.is_guard(shot.command)
