"""The window metrics: the counts of the attempt window, in total and per bucket, and how they were counted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.basics import instants, windows, wording
from burst.domain.documents import driver_entries, load_documents, models
from burst.domain.receipts import duplicates, receipts


class CountsEntry(models.Model):
    """Receipts by decision, as documents spell them."""

    admit: Annotated[models.Count, pydantic.Field(alias="ADMIT")]
    """Receipts whose decision is ADMIT: the ingest took the event as new."""
    duplicate: Annotated[models.Count, pydantic.Field(alias="DUPLICATE")]
    """Receipts whose decision is DUPLICATE: the ingest knew the event already."""
    quarantine: Annotated[models.Count, pydantic.Field(alias="QUARANTINE")]
    """Receipts whose decision is QUARANTINE; they are no part of the admit ratio."""
    other: models.Count
    """Receipts with a decision that burst does not know; they are in no ratio."""

    @classmethod
    def from_counts(cls, counts: receipts.Counts) -> Self:
        """The entry for counts."""
        return cls(admit=counts.admit, duplicate=counts.duplicate, quarantine=counts.quarantine, other=counts.other)

    @property
    def counts(self) -> receipts.Counts:
        """The counts of the entry."""
        return receipts.Counts(admit=self.admit, duplicate=self.duplicate, quarantine=self.quarantine, other=self.other)


class WindowEntry(models.Model):
    """A half-open window."""

    start_utc: models.Instant
    """The first instant that belongs to the window."""
    end_utc: models.Instant
    """The first instant that no longer belongs to the window."""

    @pydantic.model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        windows.Window(self.start_utc, self.end_utc)
        return self

    @classmethod
    def from_window(cls, window: windows.Window) -> Self:
        """The entry for a window."""
        return cls(start_utc=window.start, end_utc=window.end)

    @property
    def window(self) -> windows.Window:
        """The window of the entry."""
        return windows.Window(self.start_utc, self.end_utc)


class BucketEntry(WindowEntry):
    """Counts of one sub-window."""

    counts: CountsEntry
    """The receipts of the bucket."""

    @classmethod
    def from_bucket(cls, bucket: receipts.BucketCounts) -> Self:
        """The entry for one bucket."""
        return cls(
            start_utc=bucket.window.start, end_utc=bucket.window.end, counts=CountsEntry.from_counts(bucket.counts)
        )

    @property
    def bucket(self) -> receipts.BucketCounts:
        """The bucket of the entry."""
        return receipts.BucketCounts(window=self.window, counts=self.counts.counts)


class SettleRound(models.Model):
    """One count of the settling: when, and how many receipts there were."""

    counted_utc: models.Instant
    """When this count began, by the controller's clock."""
    counts: CountsEntry
    """The receipts of the whole window that this count found."""


class WriterEntry(models.Model):
    """A transaction that was writing when the window ended. Without `pid` it is a prepared one."""

    id: str
    """The transaction's identity on the server, which no other transaction gets."""
    pid: int | None
    """The server's process that holds the transaction; None for a prepared transaction."""
    name: models.Words
    """The `application_name` of its session, or the name of the prepared transaction."""

    @classmethod
    def from_writer(cls, writer: receipts.OpenWriter) -> Self:
        """The entry for a writer."""
        return cls(id=writer.id, pid=writer.pid, name=writer.name)

    @property
    def writer(self) -> receipts.OpenWriter:
        """The writer of the entry."""
        return receipts.OpenWriter(id=self.id, pid=self.pid, name=self.name)


class Counting(models.Model):
    """Who made the last count: this process, or a task whose answer came by log and as an object, the same bytes."""

    via: Literal["direct", "task"]
    """`direct` where the controller asked the database itself, `task` where a counting task did."""
    task_id: str | None = None
    """The counting task; None where the controller counted itself."""
    answer: str | None = None
    """The name of the answer in the task's log; its object lies under run control."""
    answer_sha256: models.Digest | None = None
    """SHA-256 of the answer's bytes; None where the controller counted itself."""
    agreed: list[Literal["log", "object"]] = []
    """The ways the answer came, each of which brought these bytes; none where the controller counted itself."""

    @classmethod
    def from_origin(cls, origin: receipts.Origin | None) -> Self:
        """The entry for a count's origin."""
        if origin is None:
            return cls(via="direct")
        return cls(
            via="task",
            task_id=origin.task_id,
            answer=origin.answer,
            answer_sha256=origin.sha256,
            agreed=["log", "object"],
        )


class LiveEntry(models.Model):
    """What the live counts of the burst added up to, beside a last count of the same time."""

    counted_to_utc: models.Instant
    """The end of the last slice that was counted while the burst ran."""
    slices: CountsEntry
    """The sum of all slices, from the beginning of the counted window to `counted_to_utc`."""
    counts: CountsEntry | None
    """The same time counted once more at the end; None where nobody could count it again."""
    problem: models.Words = ""
    """Why nobody could count it again; empty where somebody did."""

    @property
    def difference(self) -> str:
        """What the last count found more and less, in words; empty where it found the same."""
        if self.counts is None:
            return f"not counted again: {self.problem}"
        again, live = self.counts.counts, self.slices.counts
        gained, lost = receipts.count_gains(live, again).total, receipts.count_gains(again, live).total
        parts = (f"{gained} more" if gained else "", f"{lost} fewer" if lost else "")
        return " and ".join(part for part in parts if part)


class DeliveriesEntry(models.Model):
    """The deliveries by the load accounts beside the decisions of the table, of which each event has one of a kind: one
    that is delivered a third time writes no row. None is not known, which is not zero."""

    sent: models.Count | None
    """Events that all tasks sent, by their load accounts; None where an account is missing or makes no sense."""
    acknowledged: models.Count | None
    """Requests that were answered with success, by the same accounts; None where `sent` is."""
    distinct_decisions: models.Count
    """Receipts of the counted window, whatever their decision."""
    no_data: models.Words = ""
    """Why `sent` and `acknowledged` are None; empty where they are not."""

    @classmethod
    def from_load(cls, load: load_documents.Load | None, tasks: int, counts: receipts.Counts) -> Self:
        """The entry for the accounts of a burst of so many tasks: only those of all tasks are a whole."""
        lacking = tasks - (len(load.tasks) if load is not None else 0)
        bad_lines = sum(task.bad_lines for task in load.tasks) if load is not None else 0
        why = f"{wording.format_count(lacking, 'task')} of {tasks} without a load account" if lacking > 0 else ""
        if not why and bad_lines:
            why = f"{wording.format_count(bad_lines, 'line')} of the load accounts make no sense"
        if load is None or why:
            why = why or "no task left a load account"
            return cls(sent=None, acknowledged=None, distinct_decisions=counts.total, no_data=why)
        acknowledged = sum(task.acknowledged for task in load.tasks)
        return cls(sent=load.sent, acknowledged=acknowledged, distinct_decisions=counts.total)


class DuplicatesEntry(models.Model):
    """The DUPLICATE receipts of the window by the first ADMIT of their event; None is not known, which is not zero."""

    retry: models.Count | None
    """Those whose first ADMIT lies in the same window: the event was sent again."""
    replay: models.Count | None
    """Those whose first ADMIT lies before the window: the event was played a second time."""
    unknown: models.Count | None
    """Those without an ADMIT, or with one that lies after the window."""
    no_data: models.Words = ""
    """Why they are not told apart; empty where they are."""

    @classmethod
    def from_classes(cls, classes: duplicates.DuplicateClasses) -> Self:
        """The entry for classes."""
        return cls(retry=classes.retry, replay=classes.replay, unknown=classes.unknown)

    @classmethod
    def without(cls, why: str) -> Self:
        """The entry where nobody can tell them apart."""
        return cls(retry=None, replay=None, unknown=None, no_data=why)

    @property
    def duplicate_classes(self) -> duplicates.DuplicateClasses | None:
        """The classes of the entry; None where one is not known."""
        if self.retry is None or self.replay is None or self.unknown is None:
            return None
        return duplicates.DuplicateClasses(retry=self.retry, replay=self.replay, unknown=self.unknown)


class WindowCountsEntry(WindowEntry):
    """A part of the window with the receipts that were counted in it."""

    counts: CountsEntry
    """The receipts of this part."""


class DrillWindowsEntry(models.Model):
    """The receipts before, during and after one drill, counted apart in half-open windows that share their edges.

    `during` goes from the fault to the first sample of the recovery; without one to the end, and `after` is None.
    """

    drill: str
    """The name of the drill in the plan."""
    before: WindowCountsEntry | None
    """The part from the window's beginning to the fault; None where it was not counted."""
    during: WindowCountsEntry | None
    """The part from the fault to the first sample of the recovery, without one to the window's end."""
    after: WindowCountsEntry | None
    """The part from the recovery to the window's end; None where there was no recovery, or no count."""
    no_data: models.Words = ""
    """Why the parts were not counted; empty where they were."""

    @property
    def parts(self) -> tuple[WindowCountsEntry, ...]:
        """The parts that there are, in order."""
        return tuple(part for part in (self.before, self.during, self.after) if part is not None)


def _same_bind(expected: datetime | str, value: str) -> bool:
    """Whether a bound value, which is text, stands for the expected one."""
    if isinstance(expected, str):
        return value == expected
    try:
        return instants.parse(value) == expected
    except ValueError:
        return False


class Metrics(models.Model):
    """`{slug}_receipts_window_metrics.json`. The counts, and everything needed to make them again."""

    schema_: Annotated[Literal["burst.metrics/v1"], pydantic.Field(alias="schema")] = "burst.metrics/v1"
    execution_id: str
    platform_run_id: str
    window: WindowEntry
    """The counted window: from GO, or without a barrier the first task's start, to the last task's stop; of a load of
    steps only the counted ones."""
    counts: CountsEntry
    """The receipts of the scope in the counted window, by the last count."""
    bucket_seconds: float | None = None
    """How long a bucket is; the last one may be shorter. None where the counts were given without buckets."""
    buckets: list[BucketEntry] = []
    """The counted window in parts that follow one another; their counts add up to `counts`."""
    sql: str | None = None
    """The statement that was counted by, with names in place of values; None where it is not known."""
    binds: dict[str, str] = {}
    """Each value that the statement was run with, as text; no secret is among them."""
    database_clock_utc: models.Instant | None = None
    """The database's clock just before the last count; None where it was not read."""
    clock_skew_seconds: float | None = None
    """The database's clock minus the clock of the counting process, at the middle of one round trip."""
    clock_round_trip_seconds: Annotated[float, pydantic.Field(ge=0)] | None = None
    """How long the reading of that clock took; the true skew lies within half of it."""
    settled: bool | None = None
    """Whether the last two counts agree in every bucket and no writer of that time is open; None is not known."""
    settle_rounds: list[SettleRound] = []
    """Every count of the window, the first one first; the last one gave `counts`."""
    settle_problem: models.Words = ""
    """Why no later count came that could have agreed with the last one; empty where counts came to the end."""
    late: CountsEntry | None = None
    """Receipts of the last round that the first did not have."""
    vanished: CountsEntry | None = None
    """Receipts of one round that the next did not have."""
    open_writers: list[WriterEntry] = []
    """Transactions that wrote to the table when the window ended, and had not ended before the last count."""
    counting: Counting | None = None
    """Who made the last count; None where the document does not say it."""
    driver: driver_entries.DriverEntry | None = None
    """What counting did to the database, from the run's first question on; None where the document does not say it."""
    deliveries: DeliveriesEntry | None = None
    """What the load accounts sent, beside what the table holds; None where nobody compared them."""
    duplicates: DuplicatesEntry | None = None
    """The DUPLICATE receipts by when their event was first admitted; None where nobody asked."""
    drills: list[DrillWindowsEntry] = []
    """The parts of the window before, during and after each drill; none where the plan has no drill."""
    load_ended_utc: models.Instant | None = None
    """The earliest end of the load that the evidence allows: the length is measured to it, the rate to the window's."""
    load_end_why: models.Words = ""
    """The evidence for `load_ended_utc` in words; empty where that is None."""
    live: LiveEntry | None = None
    """The sum of the live counts beside a last count of the same time; None where no slice was counted in the burst."""

    @classmethod
    def from_count(
        cls,
        count: receipts.WindowCount,
        *,
        execution_id: str,
        scope: str,
        bucket_seconds: float,
        rounds: Sequence[SettleRound],
        settled: bool,
    ) -> Self:
        """The document of a last count and the rounds of settling that led to it."""
        counts = [settle_round.counts.counts for settle_round in rounds]
        return cls(
            execution_id=execution_id,
            platform_run_id=scope,
            window=WindowEntry.from_window(count.window),
            counts=CountsEntry.from_counts(count.counts),
            bucket_seconds=bucket_seconds,
            buckets=[BucketEntry.from_bucket(bucket) for bucket in count.buckets],
            sql=count.sql,
            binds=dict(count.binds),
            database_clock_utc=count.clock.database_now,
            clock_skew_seconds=count.clock.skew_seconds,
            clock_round_trip_seconds=count.clock.round_trip_seconds,
            settled=settled,
            settle_rounds=list(rounds),
            late=CountsEntry.from_counts(receipts.count_gains(counts[0], counts[-1])),
            vanished=CountsEntry.from_counts(receipts.count_losses(counts)),
            counting=Counting.from_origin(count.origin),
        )

    @property
    def unsettled(self) -> str:
        """Why the counts are not known to have come to rest; empty where they have, or where the document is silent.

        The rounds and the database's clock are asked too: `settled` alone is a claim.
        """
        last_rounds = [settle_round.counts for settle_round in self.settle_rounds[-2:]]
        if self.open_writers:
            writers = ", ".join(str(entry.writer) for entry in self.open_writers)
            return (
                f"rows may still come: {writers} wrote to the receipts when the window ended, and had not ended when "
                "they were last counted"
            )
        if self.settled is False and self.settle_problem:
            return f"no later count came that could agree with the last one: {self.settle_problem}"
        if self.settled is False:
            return "two counts in a row never agreed"
        if self.settle_rounds and last_rounds != [self.counts] * 2:
            return "the rounds of counting do not end in two that gave these counts"
        if self.database_clock_utc is not None and self.database_clock_utc < self.window.end_utc:
            return "the window had not ended when it was counted, by the database's clock"
        return ""

    @property
    def misbound(self) -> str:
        """The bound values that are not this window or scope; empty where the statement was bound to them."""
        expected: dict[str, datetime | str] = {
            "start": self.window.start_utc,
            "end": self.window.end_utc,
            "scope": self.platform_run_id,
        }
        wrong = [name for name in expected if name in self.binds and not _same_bind(expected[name], self.binds[name])]
        return ", ".join(f"{name} {self.binds[name]}" for name in wrong)

    @property
    def lost(self) -> receipts.Counts:
        """Receipts that were counted in one round and gone in the next, by the rounds where the document has them."""
        if self.settle_rounds:
            return receipts.count_losses([settle_round.counts.counts for settle_round in self.settle_rounds])
        return self.vanished.counts if self.vanished else receipts.Counts()
