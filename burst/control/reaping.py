"""Reaping: ends tasks that outlived their deadline, whichever run they belong to and whoever launched them.

A task without a deadline has no right to run either. Safe to run twice at once: ending a task that is gone is no
error, and each task is tried on its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from burst import ports
from burst.domain import errors, instants, tasks

TERM_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A task seen alive, and the deadline it carries."""

    execution_id: str
    task: tasks.Task
    deadline: datetime | None
    launcher: ports.Launcher

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
    give_up_at = instants.later(clock.now(), TERM_PATIENCE_SECONDS)
    while clock.now() < give_up_at and not all(_gone(found)[0] for found in overdue):
        clock.sleep(_POLL_SECONDS)
    for found in overdue:
        if not _gone(found)[0]:
            _stop(found, say, force=True)
    return tuple(Outcome(found=found, gone=gone, why=why) for found in overdue for gone, why in [_gone(found)])


def _stop(found: Found, say: Callable[[str], None], *, force: bool) -> None:
    try:
        found.launcher.stop(found.task, by=tasks.Layer.SWEEPER, force=force)
    except errors.BurstError as exc:
        say(f"{found.words()}: {exc}")


def _gone(found: Found) -> tuple[bool, str]:
    """By shard, not by id: what is left of a task whose guard died may go by another process."""
    try:
        alive = any(task.shard_index == found.task.shard_index for task in found.launcher.find(found.execution_id))
    except errors.BurstError as exc:
        return False, str(exc)
    return not alive, "alive" if alive else "gone"
