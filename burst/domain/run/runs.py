"""Runs: everything a journal says of a run so far, and what follows from it alone.

A `Run` is made by `journals.fold` and judged by `lifecycle.decide`. It holds facts and intents, never a plan: the
decision gets the plan as `run_terms.RunTerms`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from burst.domain.basics import windows
from burst.domain.documents import task_results
from burst.domain.observations import samples
from burst.domain.receipts import driver_figures, early_stops, receipts
from burst.domain.tasks import drills, one_shots, services, tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """The services scaled for a burst. `changes` says how each stood before."""

    changes: tuple[services.ServiceChange, ...]
    at: datetime
    rolls: tuple[services.ServiceRoll, ...] = ()
    """The task definitions of those that are rolled too, before and for the burst."""
    up: bool = False
    tries: tuple[datetime, ...] = ()
    """When the run tried to put them back."""
    back: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Service to how it was left, for each that no longer has the burst's count."""
    problems: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Service to why the last try could not put it back."""

    @property
    def settled(self) -> bool:
        """Whether no service has the burst's count any more."""
        return not self.unrestored

    @property
    def definitions_before(self) -> dict[str, str]:
        """The task definition that each rolled service had before, by name."""
        return {roll.name: roll.before for roll in self.rolls}

    @property
    def unrestored(self) -> tuple[services.ServiceChange, ...]:
        """The changes of services that nobody was seen to put back."""
        return tuple(change for change in self.changes if change.name not in self.back)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """A run that is ending: since when, and why.

    `each_at`: when each task was last stopped by a call of its own; `forced_at`: since when they are killed.
    """

    at: datetime
    reason: str
    each_at: datetime | None = None
    forced_at: datetime | None = None
    unsent: frozenset[str] = frozenset()
    """Ids of the tasks whose last call to stop was not taken."""
    ready: int = 0
    """How many tasks were ready then, or had started where there is no barrier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchAttempt:
    """One launch: the shards and the capacity it asked for, and why it started fewer tasks than asked.

    `failures` None: the launcher has not answered yet.
    """

    at: datetime
    capacity: str | None = None
    failures: tuple[tasks.LaunchFailure, ...] | None = None
    shards: tuple[int, ...] = ()
    replaces: tuple[str, ...] = ()
    """Ids of the failed tasks in whose places it launches others."""
    task_ids: frozenset[str] = frozenset()
    """The tasks that it is known to have started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadView:
    """What the accounts of `tasks` tasks said at one look: due with its second to be sent, sent in time, sent.

    The fields behind them are None in a journal of burst 0.1.0.
    """

    at: datetime
    tasks: int
    due: int
    in_time: int
    sent: int
    answered: int | None = None
    """The requests that came to an end."""
    unsuccessful: int | None = None
    """Those of them that were refused, or failed."""
    late_tasks: int | None = None
    """How many tasks sent an event more than a second after it was due."""
    p95_ms: float | None = None
    """Of the answers since the look before; None where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything a journal says of a run so far."""

    execution_id: str = ""
    created_at: datetime | None = None
    deadline: datetime | None = None
    early_stop_allowed: bool = True
    command: tuple[str, ...] = ()
    """The words of the command line that began it."""
    barrier: bool = True
    """Whether this run's tasks wait for GO."""
    layers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Layer to `armed`, or to why it could not be armed."""
    lease_lost: bool = False
    """The last heartbeat could not be written."""
    launching_at: datetime | None = None
    attempts: tuple[LaunchAttempt, ...] = ()
    """Every launch so far, in order."""
    launch_failed: str | None = None
    unaccounted: bool = False
    """A launch was begun, and not every task that it started may be known yet."""
    asked_last_at: datetime | None = None
    """The last instant at which a launch that was not answered may have asked for tasks."""
    found_at: datetime | None = None
    """When a search last found tasks that the journal did not have."""
    truths: Mapping[str, tasks.TaskTruth] = field(default_factory=dict, hash=False)
    """Task id to the last truth seen."""
    ready: frozenset[int] = frozenset()
    """Shards whose tasks wait at the barrier."""
    withdrawn: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Task id to why the run gave it up before GO; it is stopped, and its shard is another task's."""
    freed: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    """Id of a task that ended before GO to the shard that it gave up, None where it had claimed none."""
    claims: Mapping[str, int] | None = field(default=None, hash=False)
    """Task id to the shard that it claimed, as last read; None where a task ended since, or nobody has read them."""
    claims_read_at: datetime | None = None
    claims_closed: bool = False
    """Whether no task can claim a free shard any more."""
    go_at: datetime | None = None
    go_tasks: int | None = None
    """How many tasks burst from GO on; None before GO, and where the journal does not say."""
    dropped: frozenset[str] = frozenset()
    """Ids of tasks that had failed when GO was given: they are no part of the burst."""
    polls: tuple[early_stops.Poll, ...] = ()
    counted_to: datetime | None = None
    count_blindnesses: tuple[task_results.CountBlindness, ...] = ()
    """The times in which no live count came."""
    interruptions: tuple[tuple[str, datetime], ...] = ()
    operator_stop: str | None = None
    operator_stop_at: datetime | None = None
    halt: task_results.HaltEntry | None = None
    """The halt of run control that the run met."""
    stop_sign: task_results.StopSignEntry | None = None
    """The alarm or fact of the plan's `stop_when` that the run has to stop for."""
    unclear_signs: tuple[task_results.UnclearSign, ...] = ()
    """The times in which a stop sign or the halt could not be read."""
    resumed_at: datetime | None = None
    superseded: str | None = None
    """Who drives the run instead of the controller of this journal, in words."""
    stopping: Stopping | None = None
    early_stop: task_results.EarlyStop | None = None
    outages: tuple[task_results.Outage, ...] = ()
    loads: tuple[LoadView, ...] = ()
    """What the load accounts said at each look that had news."""
    observed: Mapping[str, tuple[samples.Sample, ...]] = field(default_factory=dict, hash=False)
    """Every sample of each observed series, in the order in which they were journalled."""
    measured: bool = False
    settled_counts: receipts.Counts | None = None
    """Receipts of the whole attempt window; None before they are counted, and where they could not be."""
    driver: driver_figures.DriverFigures = driver_figures.NOTHING_YET
    """What the driver of the database did for the run, as it was last journalled."""
    count_problem: str | None = None
    """Why the receipts could not be counted."""
    journal_size: int | None = None
    """How many bytes of the journal were read back from a place: a task result names these bytes and no more."""
    published: bool = False
    exit_code: int | None = None
    shots: Mapping[str, one_shots.Shot] = field(default_factory=dict, hash=False)
    """Every one-shot whose start was intended, by name."""
    scaling: Scaling | None = None
    scaling_failed: str | None = None
    """Why the services are not as the burst needs them."""
    strikes: Mapping[str, drills.Strike] = field(default_factory=dict, hash=False)
    """The fault of every drill that was intended, or given up, by name."""

    @property
    def ended(self) -> bool:
        """Whether no task can be running: every task that was started is known, and was seen to stop."""
        return not self.alive and not self.unaccounted

    @property
    def stopped(self) -> bool:
        """Whether the run is over for its tasks: it is stopping, and no task can be running any more."""
        return self.stopping is not None and self.ended

    @property
    def settled(self) -> bool:
        """Whether the run left nothing behind: no task, no one-shot, no service with the burst's count."""
        shots_ended = all(shot.ended for shot in self.shots.values())
        return self.ended and shots_ended and (self.scaling is None or self.scaling.settled)

    @property
    def stop_asked_at(self) -> datetime | None:
        """When this run first asked for the end of its tasks; None while it has not."""
        requests = [self.operator_stop_at, self.stopping.at if self.stopping else None]
        return min((moment for moment in requests if moment is not None), default=None)

    @property
    def asked_tasks(self) -> int:
        """How many tasks all launches have started at most: those that they asked for and were not refused, and no
        fewer than are known."""
        return sum(
            max(len(attempt.task_ids), len(attempt.shards) - len(attempt.failures or ())) for attempt in self.attempts
        )

    @property
    def obeys_lease(self) -> bool:
        """Whether the tasks read a STOP that is written into the lease now."""
        return self.layers.get("lease") == "armed" and not self.lease_lost

    @property
    def alive(self) -> tuple[tasks.TaskTruth, ...]:
        """Tasks nobody has seen stop."""
        return tuple(truth for truth in self.truths.values() if truth.status is not tasks.TaskStatus.STOPPED)

    @property
    def has_ended_task(self) -> bool:
        """Whether a task was seen to stop."""
        return len(self.alive) < len(self.truths)

    @property
    def carriers(self) -> tuple[tasks.TaskTruth, ...]:
        """Tasks that carry a shard of the load, or will: not seen to stop, and not withdrawn."""
        return tuple(truth for truth in self.alive if truth.task.task_id not in self.withdrawn)

    @property
    def replaced(self) -> frozenset[str]:
        """Ids of the failed tasks in whose places others were launched."""
        return frozenset(task_id for attempt in self.attempts for task_id in attempt.replaces)

    @property
    def ready_count(self) -> int:
        """How many tasks are ready, or have started where there is no barrier."""
        if self.barrier:
            return len(self.ready)
        return sum(truth.started_at is not None for truth in self.carriers)

    @property
    def silent_series(self) -> tuple[str, ...]:
        """The observed series that were asked and have not answered yet: GO waits for the first sample of each."""
        return tuple(name for name, taken in self.observed.items() if all(sample.value is None for sample in taken))

    def launched_at(self, task_id: str) -> datetime | None:
        """When the launch of a task was intended, as far as the journal tells."""
        attempts = (attempt.at for attempt in self.attempts if task_id in attempt.task_ids)
        return next(attempts, self.launching_at)

    @property
    def load(self) -> LoadView | None:
        """What the load accounts said, when they were last read."""
        return self.loads[-1] if self.loads else None

    @property
    def counts(self) -> receipts.Counts:
        """Receipts of the attempt window once they are settled; before, the receipts of the live counts."""
        if self.settled_counts is not None:
            return self.settled_counts
        return sum((poll.counts for poll in self.polls), receipts.Counts())

    @property
    def counted_seconds(self) -> float:
        """Seconds of the attempt in which `counts` were received."""
        if self.settled_counts is not None and self.attempt_window is not None:
            return self.attempt_window.seconds
        return sum(poll.seconds for poll in self.polls)

    @property
    def attempt_window(self) -> windows.Window | None:
        """From GO to the last stop of a task of the burst; None until both are known."""
        burst = (truth for task_id, truth in self.truths.items() if task_id not in self.dropped)
        stops = [truth.stopped_at for truth in burst if truth.stopped_at is not None]
        if self.go_at is None or not stops or max(stops) <= self.go_at:
            return None
        return windows.Window(self.go_at, max(stops))

    @property
    def count_blindness(self) -> task_results.CountBlindness | None:
        """Since when no live count comes, and why; None while they come."""
        last = self.count_blindnesses[-1] if self.count_blindnesses else None
        return last if last is not None and last.until_utc is None else None

    @property
    def blind_since(self) -> datetime | None:
        """Since when the tasks cannot be seen; None while they can."""
        return self.outages[-1].blind_since_utc if self.outages and not self.outages[-1].sight_regained_utc else None

    @property
    def signs_in_doubt(self) -> tuple[str, ...]:
        """The stop signs, or the halt, that cannot be read at present."""
        return tuple(entry.sign for entry in self.unclear_signs if entry.until_utc is None)

    @property
    def shots_alive(self) -> tuple[tasks.TaskTruth, ...]:
        """One-shots that are known to have started, and that nobody has seen stop."""
        return tuple(shot.truth for shot in self.shots.values() if shot.truth is not None and not shot.ended)

    def sight_regained_since(self, moment: datetime) -> bool:
        """Whether an outage ended after `moment`. A signal sent before its end may be lost."""
        regained = self.outages[-1].sight_regained_utc if self.outages else None
        return regained is not None and regained > moment
