"""Receipts: the ingest's answers counted by decision, and the two ratios made of those counts.

A ratio of nothing is `None`, never 0 and never 1: the gate that asked then says there was no data.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import windows
from burst.domain.receipts import driver_figures

DECISIONS = ("ADMIT", "DUPLICATE", "QUARANTINE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Receipts by decision. `other` holds rows whose decision burst does not know."""

    admit: int = 0
    """Receipts whose decision is ADMIT: the ingest took the event as new."""
    duplicate: int = 0
    """Receipts whose decision is DUPLICATE: the ingest knew the event already."""
    quarantine: int = 0
    """Receipts whose decision is QUARANTINE; they are no part of the admit ratio."""
    other: int = 0
    """Receipts with a decision that burst does not know; they are in no ratio."""

    def __post_init__(self) -> None:
        if min(self.admit, self.duplicate, self.quarantine, self.other) < 0:
            raise ValueError(f"counts cannot be negative: {self}")

    def __add__(self, more: "Counts") -> "Counts":
        return Counts(
            admit=self.admit + more.admit,
            duplicate=self.duplicate + more.duplicate,
            quarantine=self.quarantine + more.quarantine,
            other=self.other + more.other,
        )

    def of(self, decision: str) -> int:
        """How many receipts are of a decision that burst knows."""
        return {"ADMIT": self.admit, "DUPLICATE": self.duplicate, "QUARANTINE": self.quarantine}[decision]

    @property
    def decided(self) -> int:
        """Receipts the admit ratio is made of: ADMIT and DUPLICATE."""
        return self.admit + self.duplicate

    @property
    def total(self) -> int:
        """All receipts, whatever their decision."""
        return self.decided + self.quarantine + self.other


def count_gains(before: Counts, after: Counts) -> Counts:
    """By decision, how many more `after` has than `before`; 0 where it has fewer."""
    return Counts(
        admit=max(0, after.admit - before.admit),
        duplicate=max(0, after.duplicate - before.duplicate),
        quarantine=max(0, after.quarantine - before.quarantine),
        other=max(0, after.other - before.other),
    )


def count_losses(counted: Sequence[Counts]) -> Counts:
    """Receipts that one count of a window had and the next had not, over counts in order: deleted or rewritten."""
    return sum((count_gains(after, before) for before, after in itertools.pairwise(counted)), Counts())


def admit_ratio(counts: Counts) -> float | None:
    """ADMIT / (ADMIT + DUPLICATE); None where there were neither (NO_DATA)."""
    return counts.admit / counts.decided if counts.decided else None


def rate_per_second(admits: int, seconds: float) -> float | None:
    """Admits per second; None where no time passed."""
    return admits / seconds if seconds > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketCounts:
    """Counts of one sub-window."""

    window: windows.Window
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseClock:
    """A reading of the database's clock, bracketed by two readings of ours.

    `skew_seconds` is database minus ours at the middle of the round trip, so the truth lies within
    `round_trip_seconds / 2` of it.
    """

    database_now: datetime
    skew_seconds: float
    round_trip_seconds: float

    @property
    def worst_skew_seconds(self) -> float:
        """The largest skew this reading allows."""
        return abs(self.skew_seconds) + self.round_trip_seconds / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The task that made a count, and its answer: in the log and as an object, byte for byte the same."""

    task_id: str
    answer: str
    """The name of the answer in the log."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCount:
    """One count of one window as the database gave it: total, per bucket, and the statement that was run.

    `binds` holds every bound value as text; a secret is never among them.
    """

    window: windows.Window
    scope: str | None
    counts: Counts
    buckets: tuple[BucketCounts, ...]
    clock: DatabaseClock
    sql: str
    binds: tuple[tuple[str, str], ...]
    origin: Origin | None = None
    """None where this process asked the database itself."""
    pages: driver_figures.PageCount | None = None
    """The pages that the statement read; None where a counting task is too old to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWriter:
    """A transaction that may have written receipts and has not ended: nobody else sees its rows yet."""

    id: str
    """Its identity on the server, which no other transaction gets."""
    pid: int | None
    """The server's process; None for a prepared transaction, which has none."""
    name: str
    """The application of its session, or the name of the prepared transaction."""

    def __str__(self) -> str:
        return f"prepared transaction {self.name}" if self.pid is None else f"pid {self.pid} ({self.name or 'no name'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWriters:
    """The open writers of the table of receipts, at an instant of the database's clock just before they were read."""

    at: datetime
    writers: tuple[OpenWriter, ...] = ()
    transactions: frozenset[str] = frozenset()
    """The identities of all transactions that were open: one that has not written yet may still write."""


def keep_open(noted: Sequence[OpenWriter], before: OpenWriters, after: OpenWriters) -> tuple[OpenWriter, ...]:
    """Those of the noted writers that are still open in the later of two readings.

    A writer that is gone may have been prepared under another identity, so a prepared transaction that is new in that
    reading then stands for it.
    """
    still = tuple(writer for writer in after.writers if writer in noted)
    if all(writer in still or writer.pid is None for writer in noted):
        return still
    return still + tuple(
        writer for writer in after.writers if writer.pid is None and writer not in (*still, *before.writers)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCount:
    """One poll of a running burst: the slice it closed (None where none was due) and the total of all slices so far."""

    slice: WindowCount | None
    total: Counts
    counted_to: datetime
