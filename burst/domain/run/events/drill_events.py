"""Events of drills: faults that the run causes in its window. A command starts and ends by events of its one-shot."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from burst.domain.documents import models
from burst.domain.run import runs
from burst.domain.run.events import base
from burst.domain.tasks import drills


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillIntended(base.Event):
    """The fault of a drill is about to be caused; of a restart this is how its service stands before it."""

    wire_name: ClassVar[str] = "drill-intended"

    name: str
    """The drill, by its name in the plan."""
    deployment: str | None
    """The id of the service's deployment before the restart; None where the drill runs a command."""
    tasks: tuple[str, ...]
    """The tasks that the service ran before the restart; none where the drill runs a command."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The fault may be caused from here on. Intended again, the first intent and the service before it stay."""
        strike = drills.Strike(intended_at=at, deployment=self.deployment, tasks_before=self.tasks)
        return replace(run, strikes={**run.strikes, self.name: run.strikes.get(self.name, strike)})


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillFound(base.Event):
    """Run control holds the fault of a drill that a lost controller intended, and that this journal does not have."""

    wire_name: ClassVar[str] = "drill-found"

    name: str
    """The drill, by its name in the plan."""
    intended_at: models.Instant
    """When the lost controller noted that it would cause the fault, by its clock."""
    deployment: str | None
    """The id of the service's deployment before the restart; None where the drill runs a command."""
    tasks: tuple[str, ...]
    """The tasks that the service ran before the restart; none where the drill runs a command."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """As if this controller had intended it then."""
        strike = drills.Strike(intended_at=self.intended_at, deployment=self.deployment, tasks_before=self.tasks)
        return replace(run, strikes={**run.strikes, self.name: strike})


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillStruck(base.Event):
    """The restart of a service was taken: its new deployment. `adopted`: a controller before this one had asked."""

    wire_name: ClassVar[str] = "drill-struck"

    name: str
    """The drill, by its name in the plan."""
    deployment: str | None
    """The id of the service's new deployment; None where nobody knows it yet."""
    adopted: bool
    """Whether an earlier controller had asked for it."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The fault is caused."""
        return _change_strike(run, self.name, struck_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillUnanswered(base.Event):
    """The restart of a service was not answered; the service is looked at before it is asked again."""

    wire_name: ClassVar[str] = "drill-unanswered"

    name: str
    """The drill, by its name in the plan."""
    why: str
    """The error of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRefused(base.Event):
    """The fault of a drill was surely not caused."""

    wire_name: ClassVar[str] = "drill-refused"

    name: str
    """The drill, by its name in the plan."""
    why: str
    """Why the fault was not caused."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The drill is over, for this reason."""
        strike = run.strikes.get(self.name, drills.Strike(intended_at=at))
        return replace(run, strikes={**run.strikes, self.name: replace(strike, refused=self.why)})


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillSeen(base.Event):
    """A restarted service differs from what the journal has of it; `over`: none of the tasks before runs any more."""

    wire_name: ClassVar[str] = "drill-seen"

    name: str
    """The drill, by its name in the plan."""
    replaced: int
    """How many of the tasks before run no more."""
    running: int
    """How many tasks of the new deployment run."""
    over: bool
    """Whether none of the tasks before runs any more."""
    detail: str
    """What the service said beside it; empty where it said nothing."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The fault is over from the first such event on."""
        before = run.strikes.get(self.name)
        over_at = before.over_at if before is not None and before.over_at is not None else None
        return _change_strike(
            run,
            self.name,
            replaced=self.replaced,
            running=self.running,
            over_at=over_at or (at if self.over else None),
            detail=self.detail,
        )


def _change_strike(run: runs.Run, name: str, **changes: Any) -> runs.Run:
    """The run with the fault of one drill changed. Raises LookupError for one that was never intended."""
    return replace(run, strikes={**run.strikes, name: replace(run.strikes[name], **changes)})
