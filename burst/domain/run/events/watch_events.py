"""Events of a run under watch: its tasks, its lease, its live counts, and a person who wants it to end."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, ClassVar, Self

from burst.domain.basics import windows
from burst.domain.documents import models, task_results
from burst.domain.observations import samples
from burst.domain.receipts import driver_figures, early_stops, receipts
from burst.domain.run import runs
from burst.domain.run.events import base
from burst.domain.tasks import tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSeen(base.TruthEntry, base.Event):
    """A task differs from what the journal has of it."""

    wire_name: ClassVar[str] = "task-seen"
    added: ClassVar[Mapping[str, Any]] = {"end": None}

    end: base.EndEntry | None = None
    """The facts of its end beyond the stop, the record of its guard among them."""

    @classmethod
    def from_truth(cls, truth: tasks.TaskTruth) -> Self:
        """The event of what a launcher said."""
        entry = base.TruthEntry.from_truth(truth)
        return cls(
            **{field.name: getattr(entry, field.name) for field in fields(entry)},
            end=base.EndEntry.from_end(truth.end) if truth.end else None,
        )

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The last truth of the task is this one. Claims that were read before it ended may lack its own.

        No load ended later than it was seen to have ended, whatever the clock of its platform says.
        """
        had_shard = self.status is tasks.TaskStatus.STOPPED and self.started_at is not None
        claims = None if had_shard else run.claims
        end = self.end.end if self.end else None
        if end is not None and end.load_ended_at is not None and end.load_ended_at > at:
            end = replace(end, load_ended_at=at, source=tasks.EndSource.SIGHT)
        truth = replace(self.truth, end=end)
        return replace(run, truths={**run.truths, self.task_id: truth}, claims=claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind(base.Event):
    """The tasks cannot be seen any more."""

    wire_name: ClassVar[str] = "blind"

    why: str
    """The error of the look that failed."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """An outage begins."""
        outage = task_results.Outage(blind_since_utc=at, detail=self.why)
        return replace(run, outages=(*run.outages, outage))


@dataclass(frozen=True, slots=True, kw_only=True)
class SightRegained(base.Event):
    """The tasks can be seen again."""

    wire_name: ClassVar[str] = "sight-regained"

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The last outage ends. Raises LookupError where there was none."""
        ended = run.outages[-1].model_copy(update={"sight_regained_utc": at})
        return replace(run, outages=(*run.outages[:-1], ended))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(base.Event):
    """A slice of the attempt window was counted while the burst goes on."""

    wire_name: ClassVar[str] = "counted"

    start: models.Instant
    """Where the slice begins: at the end of the slice before, the first one with the counted window."""
    end: models.Instant
    """Where the slice ends, by the database's clock."""
    counts: receipts.Counts
    """The receipts of the slice by decision."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """One more poll; the next one begins where this slice ends."""
        window = windows.Window(self.start, self.end)
        poll = early_stops.Poll(seconds=window.seconds, counts=self.counts)
        blindnesses, open_one = run.count_blindnesses, run.count_blindness
        if open_one is not None:
            blindnesses = (*blindnesses[:-1], open_one.model_copy(update={"until_utc": at}))
        return replace(run, polls=(*run.polls, poll), counted_to=window.end, count_blindnesses=blindnesses)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountBlind(base.Event):
    """A slice could not be counted; written once for each of the first reasons, until one is counted again."""

    wire_name: ClassVar[str] = "count-blind"

    why: str
    """The error of the slice that could not be counted."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """No count comes from here on, so that no rule of early stop that needs counts can act."""
        before = run.count_blindness
        if before is not None:
            further = (
                before
                if self.why in before.why
                else before.model_copy(update={"why": f"{before.why}; later: {self.why}"})
            )
            return replace(run, count_blindnesses=(*run.count_blindnesses[:-1], further))
        blindness = task_results.CountBlindness(since_utc=at, why=self.why)
        return replace(run, count_blindnesses=(*run.count_blindnesses, blindness))


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverCounted(base.Event):
    """The driver of the database did so much for the run so far, over all its controllers."""

    wire_name: ClassVar[str] = "driver-counted"

    figures: driver_figures.DriverFigures
    """What the driver did so far, over all controllers of the run."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The last figures count: they only grow."""
        return replace(run, driver=self.figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCounted(base.Event):
    """The load accounts of so many tasks were read: the events due that had their second to be sent, and those sent."""

    wire_name: ClassVar[str] = "load-counted"
    added: ClassVar[Mapping[str, Any]] = dict.fromkeys(("answered", "unsuccessful", "late_tasks", "p95_ms"))

    tasks: models.Count
    """How many tasks have an account."""
    due: models.Count
    """Events due that had their second to be sent; 0 where a task has no schedule."""
    in_time: models.Count
    """Those of them that were sent no later than 1 s after they were due; 0 where a task has no schedule."""
    sent: models.Count
    """Events that were sent, without those that failed on the machine of their program."""
    answered: models.Count | None = None
    """How many requests came to an end; None in a line of an older burst."""
    unsuccessful: models.Count | None = None
    """How many of those were refused or failed; None in a line of an older burst."""
    late_tasks: models.Count | None = None
    """How many tasks sent an event more than 1 s after it was due; None in a line of an older burst."""
    p95_ms: float | None = None
    """What 95 % of the answers since the look before did not exceed, in milliseconds; None without an answer."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """One more look. The last one counts: accounts only grow."""
        figures = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(run, loads=(*run.loads, runs.LoadView(at=at, **figures)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTaken(base.Event):
    """An observed series was asked once, and answered or not."""

    wire_name: ClassVar[str] = "sample-taken"

    series: str
    """The series, by its name in the plan."""
    asked_at: models.Instant
    """When the sample was asked for, by the controller's clock."""
    answered_at: models.Instant
    """When the answer came, or the question was given up, by the controller's clock."""
    of: models.Instant | None
    """The instant that the answer says it speaks of; None: it does not say it."""
    value: models.Value
    """What the answer said; None where there was no answer."""
    scope: str | None
    """The scope that the answer says it is of; None: it does not say it."""
    detail: str
    """Why there is no value, or what the answer said beside it."""

    @classmethod
    def from_sample(cls, series: str, sample: samples.Sample) -> Self:
        """The event of a sample, whatever its number."""
        return cls(
            series=series,
            asked_at=sample.asked_at,
            answered_at=sample.answered_at,
            of=sample.of,
            value=sample.value,
            scope=sample.scope,
            detail=sample.detail,
        )

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """One more sample of its series, with the next number."""
        earlier = run.observed.get(self.series, ())
        sample = samples.Sample(
            number=len(earlier) + 1,
            asked_at=self.asked_at,
            answered_at=self.answered_at,
            of=self.of,
            value=self.value,
            scope=self.scope,
            detail=self.detail,
        )
        return replace(run, observed={**run.observed, self.series: (*earlier, sample)})


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseUnreadable(base.Event):
    """A controller that continues the run could not read the lease."""

    wire_name: ClassVar[str] = "lease-unreadable"

    why: str
    """The error of the read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseUnwritable(base.Event):
    """The heartbeat could not be written; noted once until it can be written again."""

    wire_name: ClassVar[str] = "lease-unwritable"

    why: str
    """The error of the write."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The tasks cannot be reached by the lease."""
        return replace(run, lease_lost=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseWritable(base.Event):
    """The heartbeat is written again."""

    wire_name: ClassVar[str] = "lease-writable"

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The tasks can be reached by the lease again."""
        return replace(run, lease_lost=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded(base.Event):
    """Another controller claimed the run: this one does nothing more."""

    wire_name: ClassVar[str] = "superseded"

    why: str
    """Which controller claimed the run."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The words that name the other controller are kept."""
        return replace(run, superseded=self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorStop(base.Event):
    """A person wants the run to stop: `burst stop`, or STOP in the lease."""

    wire_name: ClassVar[str] = "operator-stop"

    reason: str
    """Why, in the operator's words."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The reason is kept, and when the run heard it first; the run stops for it."""
        return replace(run, operator_stop=self.reason, operator_stop_at=run.operator_stop_at or at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted(base.Event):
    """Run control is halted: every run under it has to stop."""

    wire_name: ClassVar[str] = "halted"

    place: str
    """The address of the halt document."""
    reason: str
    """Why, in the words of whoever halted."""
    by: str
    """Who halted run control, as the halt document says."""
    since: models.Instant
    """When run control was halted, as the halt document says."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The halt is kept; the run stops for it."""
        halt = task_results.HaltEntry(place=self.place, reason=self.reason, by=self.by, since_utc=self.since, at_utc=at)
        return replace(run, halt=halt)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignMet(base.Event):
    """An alarm is in state ALARM, or the answer of a fact holds: the plan wants the run to stop then."""

    wire_name: ClassVar[str] = "stop-sign-met"

    sign: str
    """The ARN of the alarm, or the name of the fact."""
    value: models.Value
    """The state of the alarm, or the answer to the fact."""
    detail: str
    """What the alarm or the fact said beside its value."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The sign is kept; the run stops for it."""
        return replace(
            run,
            stop_sign=task_results.StopSignEntry(sign=self.sign, value=self.value, at_utc=at, detail=self.detail),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignUnclear(base.Event):
    """A stop sign, or the halt, cannot be read, or says nothing; noted once until it is clear again."""

    wire_name: ClassVar[str] = "stop-sign-unclear"

    sign: str
    """The ARN of the alarm, the name of the fact, or the halt."""
    why: str
    """Why it cannot be read, or what it says instead."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """A time begins in which nobody can tell whether the sign wants the run to stop."""
        entry = task_results.UnclearSign(sign=self.sign, since_utc=at, detail=self.why)
        return replace(run, unclear_signs=(*run.unclear_signs, entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignClear(base.Event):
    """A stop sign, or the halt, that was unclear is read again."""

    wire_name: ClassVar[str] = "stop-sign-clear"

    sign: str
    """The ARN of the alarm, the name of the fact, or the halt."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The time of doubt about this sign ends."""
        return replace(
            run,
            unclear_signs=tuple(
                entry.model_copy(update={"until_utc": at})
                if entry.sign == self.sign and entry.until_utc is None
                else entry
                for entry in run.unclear_signs
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(base.Event):
    """The controller got a signal."""

    wire_name: ClassVar[str] = "interrupted"

    signal: str
    """The name of the signal."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """One more interruption: the first stops the run, the second stops it at once."""
        return replace(run, interruptions=(*run.interruptions, (self.signal, at)))
