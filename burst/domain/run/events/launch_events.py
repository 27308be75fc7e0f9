"""Events from the first line of a journal to GO, and of another controller that continues the run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from burst.domain.documents import models
from burst.domain.run import runs
from burst.domain.run.events import base
from burst.domain.tasks import tasks

Tasks = tuple[tasks.Task, ...]
Failures = tuple[tasks.LaunchFailure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCreated(base.Event):
    """The run begins. The first line of every journal: it says how the other lines are to be read."""

    wire_name: ClassVar[str] = "run-created"
    added: ClassVar[Mapping[str, Any]] = {"minor": 0, "command": [], "attempt_sha256": None}

    schema: Literal["burst.journal/v1"]
    """The form of the journal, and its version."""
    minor: models.Count
    """The minor version of the schema; burst 0.1.0 wrote none."""
    execution_id: str
    """The id of the run that the journal is of."""
    scope: str
    """The scope whose receipts the run counts."""
    plan_sha256: str
    """SHA-256 of the plan's canonical bytes as executed."""
    deadline: models.Instant
    """When the operator cap ends: no task may run after it."""
    early_stop: bool
    """Whether rules of early stop may end the run."""
    barrier: bool
    """Whether the tasks wait for GO in the lease before they send."""
    command: tuple[str, ...] = ()
    """The words of the command line, without secrets; none where a program began the run."""
    attempt_sha256: str | None = None
    """The digest of the claim of its number among the attempts; None where the journal was begun without it."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """Identity, deadline and terms of the run are known."""
        return replace(
            run,
            execution_id=self.execution_id,
            created_at=at,
            deadline=self.deadline,
            early_stop_allowed=self.early_stop,
            barrier=self.barrier,
            command=self.command,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(base.Event):
    """Another controller continues the run."""

    wire_name: ClassVar[str] = "resumed"
    added: ClassVar[Mapping[str, Any]] = {"minor": 0}

    minor: models.Count
    """The minor version of the lines that follow, which a newer burst may write into the journal of an older one."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """A resumed run has a controller of this folder again. It launches nothing any more: the dead controller may
        have asked for tasks until now."""
        may_have_asked = run.unaccounted and run.resumed_at is None
        asked_last_at = _no_later_than_deadline(run, at) if may_have_asked else run.asked_last_at
        return replace(run, resumed_at=at, superseded=None, asked_last_at=asked_last_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver(base.Event):
    """The run was launched on another machine, whose journal is not here."""

    wire_name: ClassVar[str] = "taken-over"

    created_at: models.Instant
    """When the run was begun, as it was announced under run control."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """A launch was begun, and its tasks are still to be found."""
        asked_last_at = _no_later_than_deadline(run, at)
        return replace(run, launching_at=self.created_at, unaccounted=True, asked_last_at=asked_last_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecovered(base.Event):
    """The lines before this one were read back from a place where they are published."""

    wire_name: ClassVar[str] = "journal-recovered"

    size: models.Count
    """How many bytes were read back."""
    sha256: str
    """SHA-256 of those bytes."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """A task result made from here on names the published bytes, and no more."""
        return replace(run, journal_size=self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerArming(base.Event):
    """A layer of the hard stop is about to be armed."""

    wire_name: ClassVar[str] = "layer-arming"

    layer: str
    """The layer, by its name in plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerArmed(base.Event):
    """A layer of the hard stop is armed."""

    wire_name: ClassVar[str] = "layer-armed"

    layer: str
    """The layer, by its name in plans."""
    detail: str
    """How it holds, in words."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The layer counts as armed."""
        return replace(run, layers={**run.layers, self.layer: "armed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFailed(base.Event):
    """A layer of the hard stop could not be armed."""

    wire_name: ClassVar[str] = "layer-failed"

    layer: str
    """The layer, by its name in plans."""
    why: str
    """Why it could not be armed."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The reason is kept in place of `armed`."""
        return replace(run, layers={**run.layers, self.layer: self.why})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardValue:
    """One per-shard value of the plan, and the shard that it is for."""

    shard_index: models.Count
    """The shard that the value is for, from 0."""
    name: str
    """The key of `load.per_shard`."""
    value: str
    """The value that the task of this shard gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchIntended(base.Event):
    """A batch of shards is about to be launched. The same token asked again starts nothing twice."""

    wire_name: ClassVar[str] = "launch-intended"
    added: ClassVar[Mapping[str, Any]] = {"replaces": [], "values": []}

    token: str
    """What makes the launch one: asked again with it, ECS starts nothing twice."""
    shards: tuple[int, ...]
    """The shards that the tasks are to take, from 0."""
    capacity: str | None
    """The capacity provider of this attempt; None: the target's own choice."""
    replaces: tuple[str, ...] = ()
    """Ids of the failed tasks in whose places these are launched."""
    values: tuple[ShardValue, ...] = ()
    """The per-shard values of these shards; none where the plan has none."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """One more attempt; until it is answered, nobody knows which tasks it started.

        The start of the run is that of its first tasks: a replacement does not begin it anew.
        """
        attempt = runs.LaunchAttempt(at=at, capacity=self.capacity, shards=self.shards, replaces=self.replaces)
        attempts = (*run.attempts, attempt)
        replacing = any(attempt.replaces for attempt in attempts)
        launching_at = run.launching_at if replacing and run.launching_at else at
        return replace(run, launching_at=launching_at, unaccounted=True, attempts=attempts, asked_last_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFailed(base.Event):
    """The launch, or GO after it, was refused."""

    wire_name: ClassVar[str] = "launch-failed"

    why: str
    """Why it was refused."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The reason is kept; the run ends by it. A launch without an answer may have asked for tasks until now."""
        return replace(run, launch_failed=self.why, asked_last_at=at if run.unaccounted else run.asked_last_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksLaunched(base.Event):
    """A part of a launch was answered: these tasks were started, and more are still asked for."""

    wire_name: ClassVar[str] = "tasks-launched"

    tasks: Tasks
    """The tasks that were started by this part."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The tasks are PENDING; the launch is still to be accounted for."""
        return replace(run, truths=_add_tasks(run, self.tasks), attempts=_add_to_last_attempt(run, self.tasks))


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchAnswered(base.Event):
    """The launcher answered which tasks it started, and why it started no more."""

    wire_name: ClassVar[str] = "launch-answered"

    tasks: Tasks
    """Every task that was started, also by earlier parts."""
    failures: Failures
    """Why each further task was not started; none where all were."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The tasks are PENDING, the last attempt has its failures, and the launch is accounted for.

        A task that is missing without a failure failed as well: another attempt may start it.
        """
        started = len({task.task_id for task in self.tasks})
        attempts = _add_to_last_attempt(run, self.tasks)
        attempts = (
            *attempts[:-1],
            *(
                replace(last, failures=tasks.explain_missing(len(last.shards), started, self.failures))
                for last in attempts[-1:]
            ),
        )
        return replace(run, truths=_add_tasks(run, self.tasks), unaccounted=False, attempts=attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksFound(base.Event):
    """A search by the run's id found tasks that the journal did not have."""

    wire_name: ClassVar[str] = "tasks-found"

    tasks: Tasks
    """The tasks that were found."""
    accounted: bool
    """Whether the search came late enough to see every task that the launch started."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """New tasks are PENDING; the launch is accounted for if the search could see all of it."""
        return replace(
            run,
            truths=_add_tasks(run, self.tasks),
            unaccounted=run.unaccounted and not self.accounted,
            attempts=_add_to_last_attempt(run, self.tasks),
            found_at=at if self.tasks else run.found_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReady(base.Event):
    """The task of a shard waits at the barrier."""

    wire_name: ClassVar[str] = "task-ready"

    shard_index: int
    """The shard whose task is ready, from 0."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The shard counts as ready."""
        return replace(run, ready=run.ready | {self.shard_index})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWithdrawn(base.Event):
    """A task is about to be stopped before GO, because it did not start in time: the run goes on without it."""

    wire_name: ClassVar[str] = "task-withdrawn"

    task_id: str
    """The task, by the id that its launcher gave it."""
    why: str
    """Why the run goes on without it."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The task carries no shard any more; its end is still awaited."""
        return replace(run, withdrawn={**run.withdrawn, self.task_id: self.why})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRead(base.Event):
    """The claims of the tasks were read: who holds which shard."""

    wire_name: ClassVar[str] = "claims-read"

    claims: Mapping[str, int]
    """The shard that each task has claimed, by the task's id."""
    closed: bool
    """Whether no task could claim a free shard any more when they were read."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """They hold until another task ends."""
        return replace(run, claims=self.claims, claims_read_at=at, claims_closed=self.closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFreed(base.Event):
    """A task that ended before GO holds its shard no more."""

    wire_name: ClassVar[str] = "shard-freed"

    task_id: str
    """The task that ended."""
    shard_index: int | None
    """The shard that it had; None where it had claimed none."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The shard is not ready until another task says so."""
        freed = {**run.freed, self.task_id: self.shard_index}
        return replace(run, freed=freed, ready=run.ready - {self.shard_index})


@dataclass(frozen=True, slots=True, kw_only=True)
class GoIntended(base.Event):
    """GO is about to be written into the lease. The counted window is declared with it, where it is not the whole load:
    half-open, in seconds after GO."""

    wire_name: ClassVar[str] = "go-intended"
    added: ClassVar[Mapping[str, Any]] = {"counted_from_seconds": None, "counted_to_seconds": None}

    counted_from_seconds: float | None = None
    """Where the counted window begins; None where the whole load is counted."""
    counted_to_seconds: float | None = None
    """Where the counted window ends; None where the whole load is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoGiven(base.Event):
    """GO stands in the lease."""

    wire_name: ClassVar[str] = "go-given"
    added: ClassVar[Mapping[str, Any]] = {"tasks": None, "planned_tasks": None}

    go_at: models.Instant
    """The instant of GO that stands in the lease, by the controller's clock."""
    tasks: models.Count | None = None
    """How many tasks GO was given to; None where it was learned from the lease."""
    planned_tasks: models.Count | None = None
    """How many tasks the plan asks for; None where it was learned from the lease."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The window begins at the instant in the lease, and tasks that had failed by then are no part of the burst."""
        run = replace(run, go_at=self.go_at)
        if self.tasks is None:  # not by the controller that knew how its tasks stood
            return run
        carriers = {truth.task.task_id for truth in run.carriers}
        return replace(run, go_tasks=self.tasks, dropped=frozenset(run.truths) - carriers)


def _add_to_last_attempt(run: runs.Run, launched: Iterable[tasks.Task]) -> tuple[runs.LaunchAttempt, ...]:
    """The attempts of a run; the last one started those of the tasks that were not known before."""
    new_ids = {task.task_id for task in launched} - run.truths.keys()
    return (*run.attempts[:-1], *(replace(last, task_ids=last.task_ids | new_ids) for last in run.attempts[-1:]))


def _no_later_than_deadline(run: runs.Run, at: datetime) -> datetime:
    """No task is asked for past the deadline."""
    return at if run.deadline is None else min(at, run.deadline)


def _add_tasks(run: runs.Run, launched: Iterable[tasks.Task]) -> dict[str, tasks.TaskTruth]:
    """The truths of a run with those tasks; a task that is known keeps what was seen of it."""
    truths = dict(run.truths)
    for task in launched:
        truths.setdefault(task.task_id, tasks.TaskTruth(task=task, status=tasks.TaskStatus.PENDING))
    return truths
