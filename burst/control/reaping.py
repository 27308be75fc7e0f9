"""Reaping: ends tasks that outlived their deadline, whichever run they belong to and whoever launched them.

A task without a deadline has no right to run either. Safe to run twice at once: ending a task that is gone is no
error, and each task is tried on its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from burst import ports
from burst.control import pausing
from burst.domain.basics import errors, instants
from burst.domain.tasks import tasks
from burst.kit import side_by_side

TERM_PATIENCE_SECONDS = 5.0
STOPS_AT_ONCE = 16
"""How many tasks are stopped at the same time: with 0.4 s a call, as many calls a second as ECS takes of an account."""


class Ender(Protocol):
    """The part of a launcher that reaping uses: find, inspect and stop, never launch."""

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        """As `ports.Launcher`."""
        ...

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """As `ports.Launcher`."""
        ...

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        """As `ports.Launcher`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LivingTask:
    """A task seen alive, with its deadline and the launcher that can end it."""

    execution_id: str
    task: tasks.Task
    deadline: datetime | None
    launcher: Ender
    by: tasks.Layer = tasks.Layer.SWEEPER
    patience_seconds: float = TERM_PATIENCE_SECONDS
    """How long a task may take to end when asked, and again when killed."""
    stopping: str = ""
    """Since when and why it is stopping already; then its end is waited for, and only after that asked again."""
    control_uri: str | None = None
    """The address of its run's lease."""
    absence_proves: bool = True
    """Whether a task is gone that its launcher neither lists nor knows: so it is with processes. A task on ECS may not
    be described any more, or not yet."""

    def overdue(self, now: datetime) -> bool:
        """Whether it may be ended: its deadline has passed, or it has none."""
        return self.deadline is None or now >= self.deadline

    def words(self) -> str:
        """The task in a line."""
        until = f"deadline {instants.text(self.deadline)}" if self.deadline else "no deadline"
        stopping = f", {self.stopping}" if self.stopping else ""
        return f"{self.execution_id} shard {self.task.shard_index} {self.task.task_id}, {until}{stopping}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReapOutcome:
    """Whether a task is `gone` after it was stopped, and why not."""

    living: LivingTask
    gone: bool
    why: str


def reap(overdue: Sequence[LivingTask], clock: ports.Clock, say: Callable[[str], None]) -> tuple[ReapOutcome, ...]:
    """TERM to every overdue task, and after their patience KILL to those that live; the outcome of each."""
    termed = _end(overdue, clock, say, force=False)
    killed = iter(_end([outcome.living for outcome in termed if not outcome.gone], clock, say, force=True))
    return tuple(outcome if outcome.gone else next(killed) for outcome in termed)


def _end(
    living_tasks: Sequence[LivingTask], clock: ports.Clock, say: Callable[[str], None], *, force: bool
) -> list[ReapOutcome]:
    """Stops each task, and waits until all are gone or their patience is over; the outcome of each."""

    def stop(living: LivingTask) -> bool:
        return living.launcher.stop(living.task, by=living.by, force=force)

    to_stop = [living for living in living_tasks if force or not living.stopping]
    for outcome in side_by_side.call_all(stop, to_stop, threads=STOPS_AT_ONCE):
        if outcome.failure is not None:
            say(f"{outcome.item.words()}: {outcome.failure}")
    give_up_at = instants.later(clock.now(), max((living.patience_seconds for living in living_tasks), default=0.0))
    while True:
        outcomes = _inspect(living_tasks)
        if clock.now() >= give_up_at or all(outcome.gone for outcome in outcomes):
            return outcomes
        pausing.until_next_look(clock, give_up_at)


def _inspect(living_tasks: Sequence[LivingTask]) -> list[ReapOutcome]:
    """The outcome of each task by now, run by run."""
    runs: dict[tuple[int, str], list[LivingTask]] = {}
    for living in living_tasks:
        runs.setdefault((id(living.launcher), living.execution_id), []).append(living)
    return [outcome for run in runs.values() for outcome in _inspect_run(run)]


def _inspect_run(run: Sequence[LivingTask]) -> list[ReapOutcome]:
    """One look for all tasks of a run: a control plane takes only so many calls."""
    launcher, execution_id = run[0].launcher, run[0].execution_id
    try:
        alive = _find_alive(launcher, execution_id, run)
    except errors.BurstError as exc:
        return [ReapOutcome(living=living, gone=False, why=str(exc)) for living in run]
    return [_judge(living, alive) for living in run]


def _judge(living: LivingTask, alive: Sequence[tasks.Task]) -> ReapOutcome:
    """Compares shards as well as ids: after a guard dies, its processes go by the id of another process."""
    own = living.task
    lives = any(task.task_id == own.task_id or task.shard_index == own.shard_index for task in alive)
    return ReapOutcome(living=living, gone=not lives, why="alive" if lives else "gone")


def _find_alive(launcher: Ender, execution_id: str, run: Sequence[LivingTask]) -> Sequence[tasks.Task]:
    """The tasks of a run that live.

    A task that is not listed may only be marked in another way, so it is inspected by its id; unknown then means gone
    where absence proves it.
    """
    listed = launcher.find(execution_id)
    ids = {task.task_id for task in listed}
    unlisted = [living for living in run if living.task.task_id not in ids]
    truths = zip(unlisted, launcher.inspect([living.task for living in unlisted]), strict=True)
    gone, unknown = tasks.TaskStatus.STOPPED, tasks.TaskStatus.UNKNOWN
    return [
        *(truth.task for truth in launcher.inspect(listed) if truth.status is not gone),
        *(
            truth.task
            for living, truth in truths
            if truth.status is not gone and not (truth.status is unknown and living.absence_proves)
        ),
    ]
