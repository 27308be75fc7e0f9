"""The ECS launcher: burst tasks as containers, found by `startedBy` and judged by DescribeTasks.

A later process finds all it needs with the task: the run in `startedBy`, shard, deadline and lease in the container's
overrides (tags hold the same, but StopTask deletes them), the guard's record beside the lease. A launch may be repeated
because its token follows from what the controller journalled before the call. A task that ECS does not describe is
unknown, never stopped: right after RunTask it is not described yet, and an hour after its end no more. Nor is a task
stopped that ECS wishes to stop (`desiredStatus`): only its `lastStatus` tells its end, so a search lists both wishes.
boto's waiters are not used: they take a missing task for a stopped or a failed one.
"""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.plan import target_sections
from burst.domain.tasks import ecs_definitions, ecs_marks, ecs_requests, ecs_truths, launch_rates, task_records, tasks
from burst.kit import aws, side_by_side, silence, token_bucket

LAUNCH_PATIENCE_SECONDS = 60.0
"""How long one batch is tried, with one token, before its launch counts as unknown."""
CALL_PATIENCE_SECONDS = 5.0
"""How long a repeatable call is tried. Short: the heartbeat waits meanwhile."""
SILENT_CALLS = 8
"""So many stops in a row without an answer, and ECS counts as silent."""
SILENCE_SECONDS = 5.0
"""How long stops of a silent ECS fail at once: each would wait as long again."""
LAUNCHES_AT_ONCE = 10
"""How many batches are launched at a time: with a second a call still as many tasks a second as Fargate takes."""
RECORDS_AT_ONCE = 16
"""How many records of guards are read at the same time."""
RECORD_PAUSE_SECONDS = 10.0
"""How long the guard's record of a task that ECS does not describe yet is not read again."""

ONE_SHOT_ATTEMPTS = 3
ONE_SHOT_PAUSE_SECONDS = 2.0
"""The pause before a one-shot without capacity is tried again; the next pause is twice as long."""

_WISHES = ("RUNNING", "STOPPED")
"""Both values of `desiredStatus`, in the order of a task's life, so that none slips through between two lists."""
_FILTER_REFUSALS = frozenset({"InvalidParameterException", "ClientException"})
"""How ECS refuses parameters of ListTasks."""

Records = Callable[[str], task_records.Record]
"""Reads the record of a task's guard by task id, or why there is none."""

Arm = Callable[[str, datetime], None]
"""Arms the schedule that ends the one-shot of a name at its deadline. Raises `errors.BurstError` where it cannot."""


def find_no_record(task_id: str) -> task_records.Record:
    """For tasks whose guards leave no records."""
    return task_records.Lacking.ABSENT


_RATES = launch_rates.AccountRates()
_UNREAD = ("attachments", "attributes")
"""Fields of a description that nobody reads: hundreds of tasks are kept in memory."""


class EcsTasks:
    """Finds, judges and stops the tasks of a cluster, whoever launched them."""

    def __init__(
        self,
        cluster: str,
        *,
        clock: ports.Clock,
        records: Records = find_no_record,
        client: Any | None = None,
        rates: launch_rates.AccountRates = _RATES,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._records = records
        self._ecs = aws.client("ecs") if client is None else client
        self._newest: dict[str, Mapping[str, Any]] = {}
        self._ended: dict[str, tasks.TaskTruth] = {}
        self._judged: dict[str, tuple[Mapping[str, Any], tasks.TaskTruth]] = {}
        """The truth about each task, and the description that it was judged by."""
        self._launched_at: dict[str, datetime] = {}
        self._last_records: dict[str, tuple[datetime, task_records.Record]] = {}
        """When the record of a task that ECS does not describe yet was last read, and the record."""
        self._silence = silence.Silence(calls=SILENT_CALLS, seconds=SILENCE_SECONDS)
        self._run_and_stop = _make_bucket(rates.run_and_stop)
        self._reading = _make_bucket(rates.reading)
        self._one_filter = False
        """Whether this ECS does not take `startedBy` and `desiredStatus` in one ListTasks."""
        self._overrides: dict[str, Any] = {}
        """The distinct overrides of the tasks, by their text: the tasks of a batch have the same, and share them."""
        self._past: set[str] = set()
        """Tasks that no search by mark has to describe again: another's, or seen stopped."""

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        """Every task of the run that ECS still describes, alive or ended (for about an hour), by shard."""
        started_by = ecs_marks.started_by(execution_id)
        described = None if self._one_filter else self._find_by_both_filters(started_by)
        if not described:  # an empty answer to two filters is confirmed by one: AWS documents no call with both
            described = self._find_in_cluster(started_by)
        return ecs_marks.assign_shards(described)

    def find_marked(self) -> Sequence[tasks.MarkedTask]:
        """Every burst task of the cluster that was not seen stopped, of any run, those that are stopping too."""
        alive = []
        for description in self._describe(self._list_cluster(), tags=True):
            if ecs_marks.run_of(description) and ecs_truths.read_status(description) is not tasks.TaskStatus.STOPPED:
                alive.append(description)
            else:
                self._forget(description["taskArn"])
        return ecs_marks.read_marked_tasks(alive)

    def inspect(self, launched: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """The truth about each task, in the same order; one call describes 100.

        Raises `errors.Unavailable` when ECS does not answer, whatever the cause: then no task's state is known.
        """
        open_ids = [task.task_id for task in launched if task.task_id not in self._ended]
        described = self._describe(task_id for task_id in open_ids if not tasks.is_nameless(task_id))
        by_arn = {description["taskArn"]: description for description in described}
        records = self._read_records(task_id for task_id in open_ids if self._tells_record(task_id, by_arn))
        return [
            self._ended.get(task.task_id) or self._judge(task, by_arn.get(task.task_id), records) for task in launched
        ]

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        """StopTask: TERM, the definition's stopTimeout, KILL. ECS has no stronger call, so `force` repeats it where
        ECS was not seen to end the task already.

        The answer only means that ECS took the call; `inspect` tells the end.
        """
        if task.task_id in self._ended or self._newest.get(task.task_id, {}).get("desiredStatus") == "STOPPED":
            return False
        if tasks.is_nameless(task.task_id):
            return False  # it obeys its lease alone
        if self._silence.lasts:
            raise errors.Unavailable("ecs:StopTask was not answered a moment ago; it will be tried again")
        self._clock.sleep(self._run_and_stop.reserve())
        try:
            self._call(
                "ecs:StopTask",
                self._ecs.stop_task,
                task=task.task_id,
                reason=ecs_truths.stop_reason(by),
                timeouts=False,
            )
        except errors.Unavailable as exc:
            if isinstance(exc, aws.Throttled):  # a throttled ECS answers, and takes the next stop soon
                self._silence.note_answer()
            else:
                self._silence.note_no_answer()
            raise
        except errors.UsageError as exc:
            self._silence.note_answer()
            if "not found" not in aws.error_answer(exc).message:
                raise
        self._silence.note_answer()
        return True

    def describe_definition(self, name: str, *, container: str | None = None) -> ecs_definitions.Definition:
        """The pinned revision `name`; `container` is the one that carries the load, where there are several.

        Raises `errors.UsageError` where there is no such definition or container.
        """
        answer = self._call("ecs:DescribeTaskDefinition", self._ecs.describe_task_definition, taskDefinition=name)
        return ecs_definitions.read_definition(answer["taskDefinition"], container)

    # Calls

    def _call(
        self,
        action: str,
        operation: Callable[..., Any],
        *,
        timeouts: bool = True,
        give_up_at: datetime | None = None,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """A repeatable call, tried for a short while."""
        if action != "ecs:DescribeTaskDefinition":
            parameters["cluster"] = self._cluster
        patient_until = give_up_at or instants.later(self._clock.now(), CALL_PATIENCE_SECONDS)
        retry = aws.retrying(self._clock, patient_until, timeouts=timeouts)
        answer: Mapping[str, Any] = retry(aws.call, action, operation, **parameters)
        return answer

    def _read(self, action: str, operation: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        """A call that reads tasks, in its turn. AccessDenied counts as an outage: the tasks cannot be seen."""
        self._clock.sleep(self._reading.reserve())
        try:
            return self._call(action, operation, **parameters)
        except (errors.Refused, errors.UsageError) as exc:
            raise errors.Unavailable(str(exc)) from exc

    def _find_by_both_filters(self, started_by: str) -> list[Mapping[str, Any]] | None:
        """The run's tasks by `startedBy` and `desiredStatus` in one call, which AWS's reference of ListTasks does not
        allow and ECS has taken so far; None, for good, where ECS refuses that or passes over the status."""
        try:
            running, stopped = (list(self._list(wish, startedBy=started_by)) for wish in _WISHES)
        except errors.Unavailable as exc:
            if aws.error_answer(exc).code not in _FILTER_REFUSALS:
                raise
            self._one_filter = True
            return None
        described = [each for each in self._describe([*running, *stopped]) if each.get("startedBy") == started_by]
        passed_over = {each["taskArn"] for each in described if each.get("desiredStatus") == _WISHES[0]}
        if passed_over.intersection(stopped):
            self._one_filter = True
            return None
        undescribed = set(running) - {each["taskArn"] for each in described}
        return [*described, *({"taskArn": arn, "startedBy": started_by} for arn in sorted(undescribed))]

    def _find_in_cluster(self, started_by: str) -> list[Mapping[str, Any]]:
        """The run's tasks among all tasks of the cluster, by their descriptions."""
        own = []
        for description in self._describe(self._list_cluster(), tags=True):
            if description.get("startedBy") == started_by:
                own.append(description)
            elif not ecs_marks.run_of(description):
                self._forget(description["taskArn"])
        return own

    def _list_cluster(self) -> Iterator[str]:
        """Every task of the cluster that may be burst's and alive. ECS lists stopped tasks for about an hour."""
        return (arn for wish in _WISHES for arn in self._list(wish) if arn not in self._past)

    def _forget(self, arn: str) -> None:
        self._past.add(arn)
        self._newest.pop(arn, None)

    def _list(self, status: str, **filters: str) -> Iterator[str]:
        parameters: dict[str, Any] = {"desiredStatus": status, "maxResults": launch_rates.DESCRIBED_AT_ONCE, **filters}
        while True:
            answer = self._read("ecs:ListTasks", self._ecs.list_tasks, **parameters)
            yield from answer.get("taskArns") or ()
            if not answer.get("nextToken"):
                return
            parameters["nextToken"] = answer["nextToken"]

    def _describe(self, arns: Iterable[str], *, tags: bool = False) -> list[Mapping[str, Any]]:
        """The descriptions of those tasks that ECS describes now, each the newest so far: an answer may be older than
        the last one. Tags are left out where nobody reads them: the marks of a task are in its overrides as well."""
        descriptions = []
        distinct = iter(dict.fromkeys(arns))
        included = {"include": ["TAGS"]} if tags else {}
        give_up_at = instants.later(self._clock.now(), CALL_PATIENCE_SECONDS)
        while batch := list(itertools.islice(distinct, launch_rates.DESCRIBED_AT_ONCE)):
            answer = self._read(
                "ecs:DescribeTasks",
                self._ecs.describe_tasks,
                tasks=batch,
                timeouts=False,
                give_up_at=give_up_at,
                **included,
            )
            for description in answer.get("tasks") or ():
                for name in _UNREAD:
                    description.pop(name, None)
                newest = self._newest.get(description["taskArn"])
                if newest is None or _says_more(description, newest):
                    if overrides := description.get("overrides"):
                        description["overrides"] = self._overrides.setdefault(str(overrides), overrides)
                    self._newest[description["taskArn"]] = newest = description
                descriptions.append(newest)
        return descriptions

    def _run_task(
        self, parameters: Mapping[str, Any], give_up_at: datetime
    ) -> tuple[list[str], list[tasks.LaunchFailure]]:
        """One RunTask, repeated with the same token until ECS answers; it starts its tasks once. Returns their ARNs and
        the failures."""
        unanswered: list[errors.BurstError] = []

        def run_task() -> Mapping[str, Any]:
            try:
                return aws.call("ecs:RunTask", self._ecs.run_task, **parameters)
            except (errors.Refused, errors.UsageError) as exc:
                if unanswered:  # that call may have started the tasks, whatever is refused now
                    raise errors.Unavailable(f"{exc}; an earlier call was not answered: {unanswered[0]}") from exc
                raise
            except errors.Unavailable as exc:
                if not isinstance(exc, aws.Throttled):
                    unanswered.append(exc)
                raise

        try:
            answer = aws.retrying(self._clock, give_up_at)(run_task)
        except errors.Conflict as exc:
            arns = aws.error_answer(exc).resources  # the tasks of the first call: a repeat has another budget
            if not arns:
                raise errors.Unavailable(f"what an earlier ecs:RunTask started is not told: {exc}") from exc
            return list(arns), []
        failures = [ecs_truths.read_failure(entry) for entry in answer.get("failures") or ()]
        return [description["taskArn"] for description in answer.get("tasks") or ()], failures

    # Judging

    def _judge(
        self, task: tasks.Task, described: Mapping[str, Any] | None, records: Mapping[str, task_records.Record]
    ) -> tasks.TaskTruth:
        last_described, last_truth = self._judged.get(task.task_id, (None, None))
        if last_truth is not None and described is last_described and last_truth.task == task:
            return last_truth
        truth = self._truth(task, described, records)
        if truth.status is tasks.TaskStatus.STOPPED:
            self._ended[task.task_id] = truth
            self._judged.pop(task.task_id, None)
        elif described is not None:
            self._judged[task.task_id] = described, truth
        return truth

    def _tells_record(self, task_id: str, by_arn: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether the record of a task's guard is asked for: the task ended, or ECS does not describe it any more."""
        described = by_arn.get(task_id)
        if described is None:
            return self._is_record_due(task_id)
        return ecs_truths.read_status(described) is tasks.TaskStatus.STOPPED

    def _read_records(self, task_ids: Iterable[str]) -> dict[str, task_records.Record]:
        outcomes = side_by_side.call_all(self._records, dict.fromkeys(task_ids), threads=RECORDS_AT_ONCE)
        return {outcome.item: outcome.result for outcome in outcomes if outcome.result is not None}

    def _truth(
        self, task: tasks.Task, described: Mapping[str, Any] | None, records: Mapping[str, task_records.Record]
    ) -> tasks.TaskTruth:
        if described is None:
            return self._judge_missing(task, records)
        environment = ecs_marks.environment(described)
        is_guarded_shot = ecs_marks.ONE_SHOT in environment and ecs_marks.BUDGET in environment
        is_stopped = ecs_truths.read_status(described) is tasks.TaskStatus.STOPPED
        return ecs_truths.judge_task(
            task,
            described,
            container=ecs_marks.container(described),
            guarded=ecs_marks.HINT in environment or is_guarded_shot,
            record=records[task.task_id] if is_stopped else task_records.Lacking.ABSENT,
            # Before the deadline only a lease makes a guard end its task, and a one-shot has none.
            deadline=None if is_guarded_shot else tasks.parse_deadline(environment.get(ecs_marks.DEADLINE)),
        )

    def _judge_missing(self, task: tasks.Task, records: Mapping[str, task_records.Record]) -> tasks.TaskTruth:
        launched_at = self._unseen_since(task.task_id)
        if launched_at is None:
            answer = "ECS does not describe it (MISSING)"
            return ecs_truths.judge_undescribed_task(task, records[task.task_id], answer=answer)
        if task.task_id in records:
            self._last_records[task.task_id] = self._clock.now(), records[task.task_id]
        _, record = self._last_records.get(task.task_id, (launched_at, task_records.Lacking.ABSENT))
        answer = f"ECS does not describe it yet, launched at {instants.text(launched_at)}"
        return ecs_truths.judge_undescribed_task(task, record, answer=answer)

    def _unseen_since(self, task_id: str) -> datetime | None:
        """The launch of a task that ECS has never described; None for any other task."""
        return None if task_id in self._newest else self._launched_at.get(task_id)

    def _is_record_due(self, task_id: str) -> bool:
        """Whether the record of a task without a description is read: while ECS may be too young for one, now and
        then."""
        launched_at = self._unseen_since(task_id)
        if launched_at is None:
            return True
        last_read_at, _ = self._last_records.get(task_id, (launched_at, None))
        pause_over_at = instants.later(last_read_at, RECORD_PAUSE_SECONDS)
        return self._clock.now() >= min(pause_over_at, instants.later(launched_at, ecs_truths.APPEARS_SECONDS))


class EcsLauncher(EcsTasks):
    """`ports.Launcher` for one run on ECS. `last_failures` are the last launch's, empty where every task started."""

    def __init__(
        self,
        target: target_sections.TargetSection,
        *,
        run: ecs_requests.RunContext,
        clock: ports.Clock,
        records: Records = find_no_record,
        client: Any | None = None,
        rates: launch_rates.AccountRates = _RATES,
    ) -> None:
        super().__init__(str(target.cluster), clock=clock, records=records, client=client, rates=rates)
        self._rates = rates
        self._fargate: dict[str | None, token_bucket.TokenBucket] = {}
        """The bucket of each capacity provider."""
        self._target = target
        self._run = run
        self._definition: ecs_definitions.Definition | None = None
        self.last_failures: tuple[tasks.LaunchFailure, ...] = ()

    @property
    def definition(self) -> ecs_definitions.Definition:
        """The plan's task definition, read once."""
        if self._definition is None:
            self._definition = self.describe_definition(
                str(self._target.task_definition), container=self._target.container
            )
        return self._definition

    def launch(self, request: tasks.LaunchRequest, goes_on: ports.GoesOn = ports.go_on) -> Sequence[tasks.Task]:
        """Starts the shards in batches of ten, or one by one where nothing in the task would claim a shard: several
        batches at a time, and no more tasks than Fargate takes a second.

        `last_failures` holds the tasks that ECS did not start; another attempt takes another token. Raises
        `errors.Unavailable` when no answer came for too long, `errors.Refused` past the deadline or where a secret is
        missing, `errors.UsageError` for a request that ECS would refuse.
        """
        self._require_launchable(request)
        batches = ecs_requests.split_batches(request.shards, guarded=self.definition.guarded, claimed=request.claimed)
        calls = [(batch, self._batch_request(request, batch)) for batch in batches]
        answers, problems, over = list[_BatchAnswer](), list[errors.BurstError](), threading.Event()
        fargate = self._fargate.setdefault(request.capacity, _make_bucket(self._rates.fargate))

        def launch_batch(call: tuple[Sequence[int], Mapping[str, Any]]) -> _BatchAnswer:
            return self._launch_batch(*call, fargate=fargate, over=over)

        for part in (calls[:1], calls[1:]):  # the first alone: where it is refused, the others would be too
            outcomes = side_by_side.call_each(launch_batch, part, threads=LAUNCHES_AT_ONCE, every_seconds=1.0)
            with contextlib.closing(outcomes), _set_at_error(over):
                for outcome in outcomes:
                    if outcome is not None and outcome.failure is not None:
                        problems.append(outcome.failure)
                    elif outcome is not None and outcome.result is not None:
                        answers.append(outcome.result)
                    started = outcome.result.launched if outcome is not None and outcome.result is not None else ()
                    is_followed = len(answers) + len(problems) == len(calls) or goes_on(started)
                    if problems or not is_followed or any(answer.hopeless for answer in answers):
                        over.set()
        answers.sort(key=lambda answer: answer.batch)
        launched = [task for answer in answers for task in answer.launched]
        refusals = _require_answered(problems, launched)
        self.last_failures = (*(failure for answer in answers for failure in answer.failures), *refusals)
        return launched

    def _launch_batch(
        self,
        batch: Sequence[int],
        parameters: Mapping[str, Any],
        *,
        fargate: token_bucket.TokenBucket,
        over: threading.Event,
    ) -> "_BatchAnswer":
        """RunTask for one batch in its turn; nothing once the launch is `over`."""
        if over.is_set() or over.wait(max(fargate.reserve(len(batch)), self._run_and_stop.reserve())):
            return _BatchAnswer(batch=tuple(batch))
        patience_ends_at = instants.later(self._clock.now(), LAUNCH_PATIENCE_SECONDS)
        arns, failures = self._run_task(parameters, min(patience_ends_at, self._run.deadline))
        self._launched_at.update(dict.fromkeys(arns, self._clock.now()))
        launched = _give_shards(arns, batch)
        return _BatchAnswer(batch=tuple(batch), launched=tuple(launched), failures=tuple(failures))

    def _batch_request(self, request: tasks.LaunchRequest, batch: Sequence[int]) -> dict[str, Any]:
        network = _network(self._cluster, self._target)
        return ecs_requests.batch_request(request, batch, definition=self.definition, run=self._run, network=network)

    def _require_launchable(self, request: tasks.LaunchRequest) -> None:
        if request.execution_id != self._run.execution_id:
            raise errors.UsageError(f"this launcher is for run {self._run.execution_id}, not {request.execution_id}")
        if request.budget_seconds <= 0:
            raise errors.Refused(f"nothing launched: {-request.budget_seconds:.1f} s past the deadline")
        ecs_requests.refuse_exposed_secrets(
            request.environment, self._run.secrets | self.definition.secrets, self.definition.arn
        )
        missing = sorted(self._run.secrets - self.definition.secrets)
        if missing:
            raise errors.Refused(
                f"nothing launched: container {self.definition.container} of {self.definition.arn} has no secret "
                f"{', '.join(missing)}; add it to its secrets in the task definition"
            )


class EcsOneShots(EcsTasks):
    """`ports.OneShots` for one run on ECS. Each has its own `startedBy`, so that it is never taken for a shard.

    Its hard stop: the guard, where its definition or its command has one; the `lifespan` sidecar, where the definition
    has it; the schedule that `arm` makes for its deadline; that deadline on the task, for `burst reap`; and StopTask by
    the controller that waits for it. A one-shot without guard and sidecar is not started where `arm` fails: nothing
    would end it if burst died.
    """

    def __init__(
        self,
        target: target_sections.TargetSection,
        *,
        run: ecs_requests.RunContext,
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
        """Its task definition, read once; `log_stream` of it names the log of a task."""
        key = (shot.task_definition, shot.container)
        if key not in self._definitions:
            if shot.task_definition is None:
                raise errors.UsageError(f"{shot.name}: on ECS a one-shot needs a task_definition")
            self._definitions[key] = self.describe_definition(shot.task_definition, container=shot.container)
        return self._definitions[key]

    def ends_by_itself(self, shot: tasks.OneShot) -> bool:
        """Whether a guard or a sidecar in its task ends it when no controller waits for it any more."""
        definition = self.definition(shot)
        return definition.sidecar or ecs_requests.is_guarded(shot, definition)

    def start(self, shot: tasks.OneShot, deadline: datetime) -> tasks.Task:
        """RunTask with a token of run and name, unless ECS already describes the one-shot; see `ports.OneShots`."""
        started = self.find(tasks.one_shot_id(self._run.execution_id, shot.name))
        if started:
            return started[0]
        definition = self.definition(shot)
        ecs_requests.refuse_exposed_secrets(shot.environment, self._run.secrets | definition.secrets, definition.arn)
        self._arm_end(shot, definition, deadline)
        for attempt in range(1, ONE_SHOT_ATTEMPTS + 1):
            give_up_at = min(instants.later(self._clock.now(), LAUNCH_PATIENCE_SECONDS), deadline)
            arns, failures = self._run_task(self._shot_request(shot, definition, attempt, deadline), give_up_at)
            if arns:
                self._launched_at[arns[0]] = self._clock.now()
                return tasks.Task(task_id=arns[0], shard_index=0)
            if attempt == ONE_SHOT_ATTEMPTS or any(failure.shortage in _FINAL for failure in failures):
                break
            self._clock.sleep(ONE_SHOT_PAUSE_SECONDS * attempt)
        reasons = "; ".join(failure.reason for failure in failures) or "no task and no reason"
        raise errors.Refused(f"{shot.name} was not started: {reasons}")

    def _arm_end(self, shot: tasks.OneShot, definition: ecs_definitions.Definition, deadline: datetime) -> None:
        """Makes sure that the one-shot is ended also when no controller waits for it any more."""
        try:
            if self._arm is not None:
                self._arm(shot.name, deadline)
        except errors.BurstError as exc:
            if self.ends_by_itself(shot):
                return
            kind = errors.Unavailable if isinstance(exc, errors.Unavailable) else errors.Refused
            raise kind(f"{shot.name}: {definition.arn} has neither guard nor sidecar, and no schedule: {exc}") from exc

    def _shot_request(
        self, shot: tasks.OneShot, definition: ecs_definitions.Definition, attempt: int, deadline: datetime
    ) -> dict[str, Any]:
        budget_seconds = instants.seconds_between(self._clock.now(), deadline)
        if budget_seconds <= 0:
            raise errors.Unavailable(f"{shot.name} is not asked for {-budget_seconds:.1f} s past its deadline")
        limits = ecs_requests.Limits(
            deadline=deadline, budget_seconds=budget_seconds, grace_seconds=self._grace_seconds
        )
        return ecs_requests.one_shot_request(
            shot,
            attempt,
            definition=definition,
            limits=limits,
            run=self._run,
            network=_network(self._cluster, self._target),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _BatchAnswer:
    """What ECS answered to the launch of one batch; empty where it was not asked."""

    batch: tuple[int, ...]
    launched: tuple[tasks.Task, ...] = ()
    failures: tuple[tasks.LaunchFailure, ...] = ()

    @property
    def hopeless(self) -> bool:
        """Whether later batches would be refused alike."""
        return not self.launched and any(failure.shortage in _HOPELESS for failure in self.failures)


_HOPELESS = frozenset({tasks.Shortage.CAPACITY, tasks.Shortage.QUOTA})
_FINAL = frozenset({tasks.Shortage.QUOTA, tasks.Shortage.OTHER})
"""Shortages that another attempt does not end."""


def _require_answered(
    problems: Sequence[errors.BurstError], launched: Sequence[tasks.Task]
) -> list[tasks.LaunchFailure]:
    """The refusals of a launch as its failures. Raises a problem that is no answer, and a refusal of all tasks."""
    refusals = [problem for problem in problems if isinstance(problem, errors.Refused | errors.UsageError)]
    lost = [problem for problem in problems if problem not in refusals]
    if lost or (refusals and not launched):
        raise (lost or refusals)[0]
    return [tasks.LaunchFailure(shortage=tasks.Shortage.OTHER, reason=str(refusal)) for refusal in refusals]


def _give_shards(arns: Iterable[str], batch: Sequence[int]) -> list[tasks.Task]:
    """The tasks of a batch by ARN, each once. Where there are more than were asked for, all are known and stopped."""
    shards = itertools.cycle(batch)
    return [tasks.Task(task_id=arn, shard_index=next(shards)) for arn in sorted(set(arns))]


@contextlib.contextmanager
def _set_at_error(event: threading.Event) -> Iterator[None]:
    """Sets an event where an error ends the block."""
    try:
        yield
    except BaseException:
        event.set()
        raise


def _make_bucket(rate: launch_rates.Rate) -> token_bucket.TokenBucket:
    return token_bucket.TokenBucket(burst=rate.burst, per_second=rate.per_second)


def _says_more(description: Mapping[str, Any], newest: Mapping[str, Any]) -> bool:
    """Whether a description is newer than the newest so far. Of two with one version the later answer counts."""
    version, newest_version = description.get("version", 0), newest.get("version", 0)
    return bool(version > newest_version or (version == newest_version and description != newest))


def _network(cluster: str, target: target_sections.TargetSection) -> ecs_requests.TaskNetwork:
    return ecs_requests.TaskNetwork(
        cluster=cluster,
        subnets=target.subnets or (),
        security_groups=target.security_groups or (),
        public_addresses=bool(target.assign_public_ip),
    )
