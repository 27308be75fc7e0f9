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

TERM_PATIENCE_SECONDS = 5.0


class Ender(Protocol):
    """What reaping needs of a launcher: to find, judge and stop, never to launch."""

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        """As `ports.Launcher`."""
        ...

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """As `ports.Launcher`."""
        ...

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> None:
        """As `ports.Launcher`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LivingTask:
    """A task seen alive, and the deadline it carries."""

    execution_id: str
    task: tasks.Task
    deadline: datetime | None
    launcher: Ender
    by: tasks.Layer = tasks.Layer.SWEEPER
    patience_seconds: float = TERM_PATIENCE_SECONDS
    """How long a task may take to end when asked, and again when killed."""

    def overdue(self, now: datetime) -> bool:
        """Whether it may be ended: its deadline has passed, or it has none."""
        return self.deadline is None or now >= self.deadline

    def words(self) -> str:
        """The task in a line."""
        until = f"deadline {instants.text(self.deadline)}" if self.deadline else "no deadline"
        return f"{self.execution_id} shard {self.task.shard_index} {self.task.task_id}, {until}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one overdue task: `gone`, or why not."""

    found: LivingTask
    gone: bool
    why: str


def reap(overdue: Sequence[LivingTask], clock: ports.Clock, say: Callable[[str], None]) -> tuple[Outcome, ...]:
    """TERM to every overdue task, KILL to what is left after a patience, and what became of each."""
    asked = _ended(overdue, clock, say, force=False)
    killed = _ended([one.found for one in asked if not one.gone], clock, say, force=True)
    left = iter(killed)
    return tuple(one if one.gone else next(left) for one in asked)


def _ended(
    asked: Sequence[LivingTask], clock: ports.Clock, say: Callable[[str], None], *, force: bool
) -> list[Outcome]:
    """What became of each after it was stopped, once all are gone or their patience is over."""
    for found in asked:
        _stop(found, say, force=force)
    give_up_at = instants.later(clock.now(), max((found.patience_seconds for found in asked), default=0.0))
    while True:
        outcomes = _outcomes(asked)
        if clock.now() >= give_up_at or all(outcome.gone for outcome in outcomes):
            return outcomes
        pausing.until_next_look(clock, give_up_at)


def _stop(found: LivingTask, say: Callable[[str], None], *, force: bool) -> None:
    try:
        found.launcher.stop(found.task, by=found.by, force=force)
    except errors.BurstError as exc:
        say(f"{found.words()}: {exc}")


def _outcomes(asked: Sequence[LivingTask]) -> list[Outcome]:
    """What became of each by now, run by run."""
    runs: dict[tuple[int, str], list[LivingTask]] = {}
    for found in asked:
        runs.setdefault((id(found.launcher), found.execution_id), []).append(found)
    return [outcome for run in runs.values() for outcome in _of_run(run)]


def _of_run(run: Sequence[LivingTask]) -> list[Outcome]:
    """One look, however many tasks of the run were asked: a control plane takes only so many calls."""
    launcher, execution_id = run[0].launcher, run[0].execution_id
    try:
        living = _living(launcher, execution_id, [found.task for found in run])
    except errors.BurstError as exc:
        return [Outcome(found=found, gone=False, why=str(exc)) for found in run]
    return [_outcome(found, living) for found in run]


def _outcome(found: LivingTask, living: Sequence[tasks.Task]) -> Outcome:
    """By shard too, not only by id: what is left of a task whose guard died may go by another process."""
    own = found.task
    alive = any(task.task_id == own.task_id or task.shard_index == own.shard_index for task in living)
    return Outcome(found=found, gone=not alive, why="alive" if alive else "gone")


def _living(launcher: Ender, execution_id: str, known: Sequence[tasks.Task]) -> Sequence[tasks.Task]:
    """The tasks of a run that live. One that is not found may only be marked in another way, so it is asked about by
    itself; what nobody knows then is gone."""
    there = launcher.find(execution_id)
    ids = {task.task_id for task in there}
    unlisted = launcher.inspect([task for task in known if task.task_id not in ids])
    listed = launcher.inspect(there)
    return [
        *(truth.task for truth in listed if truth.status is not tasks.TaskStatus.STOPPED),
        *(truth.task for truth in unlisted if truth.status in (tasks.TaskStatus.PENDING, tasks.TaskStatus.RUNNING)),
    ]
