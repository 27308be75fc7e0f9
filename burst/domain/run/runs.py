"""Runs: everything a journal says of a run so far, and what follows from it alone.

A `Run` is made by `journal.fold` and judged by `lifecycle.decide`. It holds facts and intents, never a plan: what the
plan has to say comes to the decision as `lifecycle.Terms`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from burst.domain.basics import instants, windows
from burst.domain.documents import task_results
from burst.domain.receipts import early_stops, receipts
from burst.domain.tasks import one_shots, services, tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What became of the services scaled for a burst. `changes` says how they stood before."""

    changes: tuple[services.ServiceChange, ...]
    at: datetime
    up: bool = False
    tries: tuple[datetime, ...] = ()
    """When it was tried to put them back."""
    back: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Service to how it was left, for those that are no longer as the burst left them."""
    problems: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Service to why it could not be put back, by the last try."""

    @property
    def settled(self) -> bool:
        """Whether none of them is as the burst left it."""
        return not self.left

    @property
    def left(self) -> tuple[services.ServiceChange, ...]:
        """Those that nobody was seen to put back."""
        return tuple(change for change in self.changes if change.name not in self.back)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """That the run is ending, since when and why."""

    at: datetime
    reason: str
    forced_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchAttempt:
    """One launch: which capacity it asked for, and why it started fewer tasks than asked. None: not answered yet."""

    at: datetime
    capacity: str | None = None
    failures: tuple[tasks.LaunchFailure, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything a journal says of a run so far."""

    execution_id: str = ""
    created_at: datetime | None = None
    deadline: datetime | None = None
    early_stop_allowed: bool = True
    barrier: bool = True
    """Whether this run's tasks wait for GO."""
    layers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Layer to how it stands: armed, or why not."""
    launching_at: datetime | None = None
    attempts: tuple[LaunchAttempt, ...] = ()
    """Every launch so far, the last one last."""
    launch_failed: str | None = None
    unaccounted: bool = False
    """A launch was begun, and nobody could tell yet what it started."""
    truths: Mapping[str, tasks.TaskTruth] = field(default_factory=dict, hash=False)
    """Task id to the last truth seen."""
    ready: frozenset[int] = frozenset()
    go_at: datetime | None = None
    polls: tuple[early_stops.Poll, ...] = ()
    counted_to: datetime | None = None
    interruptions: tuple[tuple[str, datetime], ...] = ()
    operator_stop: str | None = None
    resumed_at: datetime | None = None
    stopping: Stopping | None = None
    early_stop: task_results.EarlyStop | None = None
    outages: tuple[task_results.Outage, ...] = ()
    measured: bool = False
    settled_counts: receipts.Counts | None = None
    """Receipts of the whole attempt window, once they were counted; None before, and where they could not be."""
    count_problem: str | None = None
    """Why they could not be."""
    journal_size: int | None = None
    """How many bytes of the journal were recovered from a place: no more of it can be published."""
    published: bool = False
    exit_code: int | None = None
    shots: Mapping[str, one_shots.Shot] = field(default_factory=dict, hash=False)
    """One-shots that were asked for, by name."""
    scaling: Scaling | None = None
    scaling_failed: str | None = None
    """Why the services are not as the burst needs them."""

    @property
    def ended(self) -> bool:
        """Whether no task can be running: all that was started is known, and was seen to stop."""
        return not self.alive and not self.unaccounted

    @property
    def stopped(self) -> bool:
        """Whether the run is over for its tasks: it stops them, and none can be running any more."""
        return self.stopping is not None and self.ended

    @property
    def settled(self) -> bool:
        """Whether nothing of the run is left anywhere: no task, no one-shot, no service as the burst left it."""
        shots_ended = all(shot.ended for shot in self.shots.values())
        return self.ended and shots_ended and (self.scaling is None or self.scaling.settled)

    @property
    def alive(self) -> tuple[tasks.TaskTruth, ...]:
        """Tasks nobody has seen stop."""
        return tuple(truth for truth in self.truths.values() if truth.status is not tasks.TaskStatus.STOPPED)

    @property
    def counts(self) -> receipts.Counts:
        """Receipts of the attempt window once they are settled, those counted live before."""
        if self.settled_counts is not None:
            return self.settled_counts
        return sum((poll.counts for poll in self.polls), receipts.Counts())

    @property
    def counted_seconds(self) -> float:
        """Seconds of the attempt in which `counts` were received."""
        if self.settled_counts is not None and self.attempt_window is not None:
            return self.attempt_window.seconds
        return instants.seconds_between(self.go_at, self.counted_to) if self.go_at and self.counted_to else 0.0

    @property
    def attempt_window(self) -> windows.Window | None:
        """From GO to the last task's stop; None before both are known."""
        stops = [truth.stopped_at for truth in self.truths.values() if truth.stopped_at is not None]
        if self.go_at is None or not stops or max(stops) <= self.go_at:
            return None
        return windows.Window(self.go_at, max(stops))

    @property
    def blind_since(self) -> datetime | None:
        """Since when the tasks cannot be seen, None while they can."""
        return self.outages[-1].blind_since_utc if self.outages and not self.outages[-1].sight_regained_utc else None

    @property
    def shots_alive(self) -> tuple[tasks.TaskTruth, ...]:
        """One-shots nobody has seen stop, of those that are known to have started."""
        return tuple(shot.truth for shot in self.shots.values() if shot.truth is not None and not shot.ended)

    def sight_regained_since(self, moment: datetime) -> bool:
        """Whether tasks that could not be seen could be seen again after `moment`: what was sent before may be lost."""
        regained = self.outages[-1].sight_regained_utc if self.outages else None
        return regained is not None and regained > moment
