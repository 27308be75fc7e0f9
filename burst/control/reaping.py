"""Reaping: ends tasks that outlived their deadline, whichever run they belong to and whoever launched them.

A task without a deadline has no right to run either. Safe to run twice at once: ending a task that is gone is no
error, and each task is tried on its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from burst import ports
from burst.domain import errors, instants, tasks

TERM_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.1


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
class Found:
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

    found: Found
    gone: bool
    why: str


def reap(overdue: Sequence[Found], clock: ports.Clock, say: Callable[[str], None]) -> tuple[Outcome, ...]:
    """TERM to every overdue task, KILL to what is left after a patience, and a look at each at the end."""
    for found in overdue:
        _stop(found, say, force=False)
    _wait(overdue, clock)
    left = [found for found in overdue if not _gone(found)[0]]
    for found in left:
        _stop(found, say, force=True)
    _wait(left, clock)
    return tuple(Outcome(found=found, gone=gone, why=why) for found in overdue for gone, why in [_gone(found)])


def _wait(asked: Sequence[Found], clock: ports.Clock) -> None:
    give_up_at = instants.later(clock.now(), max((found.patience_seconds for found in asked), default=0.0))
    while clock.now() < give_up_at and not all(_gone(found)[0] for found in asked):
        clock.sleep(_POLL_SECONDS)


def _stop(found: Found, say: Callable[[str], None], *, force: bool) -> None:
    try:
        found.launcher.stop(found.task, by=found.by, force=force)
    except errors.BurstError as exc:
        say(f"{found.words()}: {exc}")


def _gone(found: Found) -> tuple[bool, str]:
    """By shard too, not only by id: what is left of a task whose guard died may go by another process."""
    try:
        same = [
            task
            for task in found.launcher.find(found.execution_id)
            if task.task_id == found.task.task_id or task.shard_index == found.task.shard_index
        ]
        alive = any(truth.status is not tasks.Status.STOPPED for truth in found.launcher.inspect(same))
    except errors.BurstError as exc:
        return False, str(exc)
    return not alive, "alive" if alive else "gone"
