"""Drills: faults that a run causes in its own window, and the next act on each.

A fault is caused once, however often its controller dies: its intent says how the system stood before, and whatever
comes after compares the system with that, before it acts again. A command is a one-shot, which never starts twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from burst.domain.basics import instants
from burst.domain.tasks import one_shots, tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One fault as the plan asks for it: either a `service` to restart, or a `command`."""

    name: str
    at_seconds: float
    """How long after GO it is caused."""
    service: str | None = None
    command: tasks.OneShot | None = None
    undo: tasks.OneShot | None = None
    """The command that takes the fault back."""
    sustained_seconds: float = 0.0
    """How long the recovery has to hold: so near to the window's end no fault is caused any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedShots:
    """The one-shots and drills of a run, in the target's own form: before the burst, after it, and in it."""

    before: tuple[tasks.OneShot, ...] = ()
    after: tuple[tasks.OneShot, ...] = ()
    drills: tuple[Drill, ...] = ()


NO_SHOTS = PlannedShots()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """The fault of one drill as the journal has it."""

    intended_at: datetime
    """The last instant at which the fault had surely not been caused."""
    deployment: str | None = None
    """The deployment that the service had before."""
    tasks_before: tuple[str, ...] = ()
    """The tasks that the service had before."""
    struck_at: datetime | None = None
    """Since when the fault is known to be caused. Of a command, its one-shot tells."""
    refused: str | None = None
    """Why the fault was surely not caused."""
    replaced: int = 0
    """How many of the service's tasks run no more."""
    running: int = 0
    """How many other tasks run in their place."""
    over_at: datetime | None = None
    """When the service was first seen with none of the tasks before, and all of the new ones."""
    detail: str = ""


class DrillActKind(StrEnum):
    """The kinds of acts on a drill."""

    STRIKE = "strike"
    GIVE_UP = "give-up"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillAct:
    """The act on a drill that is due now; a wait ends at `until`."""

    next: DrillActKind
    until: datetime | None = None
    in_time: bool = True
    """Whether what is left of the window can still show a recovery from a fault that is caused now."""


def decide_strike(
    drill: Drill, strike: Strike | None, go_at: datetime, window_ends_at: datetime, now: datetime
) -> DrillAct | None:
    """The next act that causes the fault; None once it is caused, or surely will not be.

    Of a command the one-shot says what became of it: here it only has its first start.
    """
    if strike is not None and (drill.command is not None or strike.struck_at or strike.refused):
        return None
    due_at = instants.later(go_at, drill.at_seconds)
    if now < due_at:
        return DrillAct(next=DrillActKind.WAIT, until=due_at)
    in_time = now < instants.later(window_ends_at, -drill.sustained_seconds)
    return DrillAct(
        next=DrillActKind.STRIKE if in_time or strike is not None else DrillActKind.GIVE_UP, in_time=in_time
    )


def was_caused(strike: Strike | None) -> bool:
    """Whether the fault may have been caused, so that it has to be taken back."""
    return strike is not None and strike.refused is None


def is_back(drill: Drill, strike: Strike | None, shots: Mapping[str, one_shots.Shot]) -> bool:
    """Whether nothing of the fault is left to take back: it was not caused, has no undo, or that ended as it should."""
    if drill.undo is None or not was_caused(strike):
        return True
    return one_shots.problem(shots.get(drill.undo.name), drill.undo.exit_code) is None
