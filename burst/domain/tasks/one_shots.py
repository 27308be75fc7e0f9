"""One-shots: the state of each command before and after the burst, and the next act on it.

A one-shot counts as running from its request until its end was seen, or until ECS would no longer tell of its start:
the controller that launched it may have died before it could journal the task.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from burst.domain.basics import instants
from burst.domain.tasks import tasks, worst_ends

ADOPTABLE_SECONDS = 3000.0
"""How long after its request a start may be requested again without risk: ECS keeps a token, and describes the task,
for an hour after the task's end."""


class Next(StrEnum):
    """The kinds of acts on a one-shot."""

    START = "start"
    FIND = "find"
    STOP = "stop"
    FORCE = "force"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """The act on a one-shot that is due now; a wait ends at `until`."""

    next: Next
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long an end may take.

    `grace_seconds`: from TERM to KILL. `give_up_seconds`: from there until the end counts as not proven.
    `appears_seconds`: until a one-shot that is not found counts as never started.
    """

    grace_seconds: float
    give_up_seconds: float
    appears_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One one-shot as the journal has it."""

    asked_at: datetime
    deadline: datetime
    truth: tasks.TaskTruth | None = None
    """None: the outcome of its start is unknown, or it was not started."""
    not_started: str | None = None
    """The reason, where it is certain that it was not started."""
    stopping_at: datetime | None = None
    forced_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether no part of it can be running."""
        return self.not_started is not None or (
            self.truth is not None and self.truth.status is tasks.TaskStatus.STOPPED
        )


def run_act(shot: Shot | None, now: datetime, patience: Patience) -> Act | None:
    """The next act that brings a one-shot to its end, its start included; None once it is over, proven or not."""
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
    """The next act that ends a one-shot; None once it is over, or once every act was tried for long enough."""
    if shot.ended:
        return None
    if shot.truth is None:
        give_up_at = max(
            instants.later(max(shot.asked_at, shot.deadline), patience.give_up_seconds),
            instants.later(shot.asked_at, patience.appears_seconds + worst_ends.FORCE_AFTER_GRACE_SECONDS),
        )
        return Act(next=Next.FIND) if now < give_up_at else None
    if shot.stopping_at is None:
        return Act(next=Next.STOP)
    if shot.forced_at is None:
        force_at = instants.later(shot.stopping_at, patience.grace_seconds + worst_ends.FORCE_AFTER_GRACE_SECONDS)
        return Act(next=Next.FORCE) if now >= force_at else Act(next=Next.WAIT, until=force_at)
    give_up_at = instants.later(shot.forced_at, patience.give_up_seconds)
    return Act(next=Next.WAIT, until=give_up_at) if now < give_up_at else None


def problem(shot: Shot | None, required_exit_code: int) -> str | None:
    """Why a one-shot failed; None where it ended as required."""
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
    cause = shot.truth.end.cause if shot.truth.end else None
    ended_itself = shot.truth.stopped_by is None and cause in (None, tasks.EndCause.PROGRAM_ENDED)
    if shot.truth.exit_code != required_exit_code or not ended_itself:
        by = "" if ended_itself else f", ended by {shot.truth.stopped_by or cause}"
        code = "no exit code" if shot.truth.exit_code is None else f"exit code {shot.truth.exit_code}"
        return f"it ended with {code}{by}, {required_exit_code} required" + _detail(shot.truth)
    return None


def _detail(truth: tasks.TaskTruth) -> str:
    return f" ({truth.detail})" if truth.detail else ""
