"""Receipt sources: the receipts of a plan, asked of the database itself or of a task inside its network.

For such a task this module wires up the one-shot that answers, its log, and the store of its questions.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from burst import ports
from burst.adapters import secrets, task_receipts
from burst.adapters.aws import ecs_tasks, log_streams
from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import errors, instants
from burst.domain.plan import plans
from burst.domain.tasks import ecs_definitions, tasks
from burst.wiring.targets import ecs_adapters, ecs_places

DSN_VARIABLE = "BURST_RECEIPTS_DSN"
"""The container's secret with the DSN; the controller never learns it."""
GUARD = ("python", "-m", "burst.task.guard", "--")
"""The guard that ends the task with its session (L0), also where the program that counts hangs."""
IDLE_SECONDS = 300.0
"""How long the task stays without a question: the burst's own tasks start meanwhile."""


def make_source(plan: plans.Plan, clock: ports.Clock, *, kept_connections: int = 0) -> ports.ReceiptSource:
    """The receipts of a plan. Raises `errors.UsageError` where its secret does not resolve."""
    if plan.receipts.via == "task":
        return _by_task(plan, clock)
    columns = plan.receipts.columns
    return postgres_receipts.PostgresReceipts(
        lambda: secrets.resolve(str(plan.receipts.dsn)),
        columns={"decision": columns.decision, "at": columns.at, "scope": columns.scope},
        form=plan.receipts.form,
        application_name=f"burst/{plan.execution_id or 'preflight'}",
        kept_connections=kept_connections,
        now=clock.now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """`task_receipts.CountingTask` as a one-shot with a log stream."""

    shots: ports.OneShots
    task: tasks.Task
    log: log_streams.LogStream

    @property
    def task_id(self) -> str:
        return self.task.task_id

    def end_reason(self) -> str | None:
        (truth,) = self.shots.inspect([self.task])
        if truth.status is not tasks.TaskStatus.STOPPED:
            return None
        code = "" if truth.exit_code is None else f", exit {truth.exit_code}"
        return f"{truth.stop_code or 'stopped'}{code}{truth.detail and ': ' + truth.detail}"

    def stop(self) -> None:
        self.shots.stop(self.task, by=tasks.Layer.CONTROLLER)

    def read_log(self, *, again: bool = False) -> Sequence[str]:
        return self.log.read(again=again)


def _by_task(plan: plans.Plan, clock: ports.Clock) -> task_receipts.TaskReceipts:
    """The receipts of a plan, asked of a task. Nothing is started before the first question."""

    def start(name: str, until: datetime) -> _Task:
        shots = ecs_adapters.EcsAdapters(plan, clock).one_shots(until)
        shot = _shot(plan, name, until, clock)
        definition = shots.definition(shot)
        unusable = find_problem(definition)
        if unusable:
            raise errors.Refused(unusable)
        guarded = shot if definition.guarded else replace(shot, command=(*GUARD, *shot.command))
        task = shots.start(guarded, until)
        return _Task(shots=shots, task=task, log=_log_stream(definition, task))

    return task_receipts.TaskReceipts(
        start=start,
        place=open_places(plan, clock.now()),
        clock=clock,
        live_database_seconds=plan.receipts.live_database_seconds,
    )


def describe_definition(plan: plans.Plan, clock: ports.Clock, *, client: Any) -> ecs_definitions.Definition:
    """The task definition of the counter, as ECS describes it."""
    cluster = ecs_tasks.EcsTasks(str(plan.target.cluster), clock=clock, client=client)
    return cluster.describe_definition(plan.counter, container=plan.receipts.counting_task.container)


def find_problem(definition: ecs_definitions.Definition) -> str:
    """Why a task of this definition could not count, or its log not be read; empty where both can be."""
    subject = f"container {definition.container} of {definition.arn}"
    if DSN_VARIABLE not in definition.secrets:
        return f"{subject} has no secret {DSN_VARIABLE}, the DSN of the receipts; add it to its secrets"
    if definition.log_group is None or definition.log_prefix is None:
        return (
            f"{subject} does not log to CloudWatch; give it the driver awslogs, with awslogs-stream-prefix and mode "
            "blocking: the controller reads its answers there"
        )
    return ""


def open_places(plan: plans.Plan, now: datetime) -> task_receipts.Place:
    """Opens the store of a session's questions, with the plan's settings for documents."""
    opener = ecs_places.PlaceOpener(plan, now, now)
    return lambda name: opener.open(_place(plan, name))


def _place(plan: plans.Plan, name: str) -> str:
    return f"{plan.evidence.authority}/{plan.execution_id}/counts/{name}"


def _shot(plan: plans.Plan, name: str, until: datetime, clock: ports.Clock) -> tasks.OneShot:
    """The task of one session: its command line names table and columns, and the rest are questions."""
    columns = plan.receipts.columns
    form = plan.receipts.form
    form_options = {"--time-unit": form.time_unit} if form.time_unit else {}
    if form.decision_words:
        form_options["--decisions"] = json.dumps(form.decision_words, separators=(",", ":"), sort_keys=True)
    options = {
        "--dsn": f"env:{DSN_VARIABLE}",
        "--serve": _place(plan, name),
        "--until": instants.text(until),
        "--idle": instants.duration_text(IDLE_SECONDS),
        "--table": plan.receipts.table,
        "--columns": f"decision={columns.decision},at={columns.at},scope={columns.scope}",
        "--application": f"burst/{plan.execution_id}",
        **form_options,
    }
    return tasks.OneShot(
        name=name,
        command=("burst", "count", *(word for option in options.items() for word in option), "--quiet"),
        timeout_seconds=max(1.0, instants.seconds_between(clock.now(), until)),
        task_definition=plan.counter,
        container=plan.receipts.counting_task.container,
    )


def _log_stream(definition: ecs_definitions.Definition, task: tasks.Task) -> log_streams.LogStream:
    return log_streams.LogStream(str(definition.log_group), str(definition.log_stream(task.task_id)))
