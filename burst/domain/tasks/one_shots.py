"""One-shots: how each command before and after the burst stands, and what is next about it.

One that was asked for counts as running until it was seen to end, or until nothing can be told of a start any more:
whoever launched it may have died before it could write down what it had launched.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from burst.domain.basics import instants
from burst.domain.tasks import tasks

ADOPTABLE_SECONDS = 3000.0
"""How long after it was asked for a start may be asked for again without risk: ECS keeps a token an hour past the end
of its task, and as long tells of the task."""
FORCE_AFTER_GRACE_SECONDS = 0.5


class Next(StrEnum):
    """What is to be done about a one-shot."""

    START = "start"
    FIND = "find"
    STOP = "stop"
    FORCE = "force"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is to be done about a one-shot now; `until` is the next instant at which something is due anyway."""

    next: Next
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long an end may take: `grace_seconds` from TERM to KILL, `give_up_seconds` from there until it is called not
    proven, `appears_seconds` until one that is not found was never started."""

    grace_seconds: float
    give_up_seconds: float
    appears_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What the journal says of one one-shot."""

    asked_at: datetime
    deadline: datetime
    truth: tasks.TaskTruth | None = None
    """None: nobody knows what its start came to, or it was not started."""
    not_started: str | None = None
    """Why it surely was not."""
    stopping_at: datetime | None = None
    forced_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it can be running."""
        return self.not_started is not None or (
            self.truth is not None and self.truth.status is tasks.TaskStatus.STOPPED
        )


def run_act(shot: Shot | None, now: datetime, patience: Patience) -> Act | None:
    """What brings a one-shot to its end, started where it was not; None once it is over, proven or not."""
    if shot is None:
        return Act(next=Next.START)
    if shot.ended:
        return None
    if shot.stopping_at is not None or now >= shot.deadline:
        return end_act(shot, now, patience)
    if shot.truth is None:
        safe = now < instants.later(shot.asked_at, ADOPTABLE_SECONDS)
        return Act(next=Next.START if safe else Next.FIND)
    return Act(next=Next.WAIT, until=shot.deadline)


def end_act(shot: Shot, now: datetime, patience: Patience) -> Act | None:
    """What ends a one-shot that was asked for; None once it is over, or once all was tried for long enough."""
    if shot.ended:
        return None
    if shot.truth is None:
        give_up_at = instants.later(max(shot.asked_at, shot.deadline), patience.give_up_seconds)
        return Act(next=Next.FIND) if now < give_up_at else None
    if shot.stopping_at is None:
        return Act(next=Next.STOP)
    if shot.forced_at is None:
        force_at = instants.later(shot.stopping_at, patience.grace_seconds + FORCE_AFTER_GRACE_SECONDS)
        return Act(next=Next.FORCE) if now >= force_at else Act(next=Next.WAIT, until=force_at)
    give_up_at = instants.later(shot.forced_at, patience.give_up_seconds)
    return Act(next=Next.WAIT, until=give_up_at) if now < give_up_at else None


def problem(shot: Shot | None, required_exit_code: int) -> str | None:
    """Why a one-shot did not do what it was for; None: it ended as it should."""
    if shot is None:
        return "it was not run"
    if shot.not_started is not None:
        return f"it was not started: {shot.not_started}"
    if shot.truth is None:
        return "nobody could tell whether it was started"
    if not shot.ended:
        return "nobody saw it end"
    if shot.stopping_at is not None:
        return "it was stopped by burst before it had ended" + _detail(shot.truth)
    if shot.truth.exit_code != required_exit_code or shot.truth.stopped_by is not None:
        by = f", ended by {shot.truth.stopped_by}" if shot.truth.stopped_by else ""
        code = "no exit code" if shot.truth.exit_code is None else f"exit code {shot.truth.exit_code}"
        return f"it ended with {code}{by}, {required_exit_code} required" + _detail(shot.truth)
    return None


def _detail(truth: tasks.TaskTruth) -> str:
    return f" ({truth.detail})" if truth.detail else ""
