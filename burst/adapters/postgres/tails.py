"""Tails: which blocks of a table have to be read again, so that no receipt is missed and none is counted twice.

Postgres puts new rows behind the old ones. So a table is read once up to a mark, and after that only from the mark on:
that is its tail. The mark moves on to where the table ended at an earlier reading, as far as every writer of that time
has ended, because what a writer has not committed is seen by nobody and lies behind the end that it found. Rows may
still be put into space that was freed, and rows that were read may change: the server's own figures of the table tell.

A reading takes the sizes first, then the writers, and then counts: a transaction that is no writer by then
and is not yet seen begins to write behind those sizes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.receipts import receipts

OVERLAP_BLOCKS = 64
"""So many blocks before its end a table may not be full yet: a server adds up to 64 at a time where writers wait."""
FIGURES_LAG_SECONDS = 2.0
"""After so long the server's figures of a table hold what a busy backend had done before."""
MISSING_SHARE = 0.01
"""The share of new rows that may have been written elsewhere, or rolled back, before slices wait for a whole count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A table that holds rows itself: the table of receipts, or one of its partitions or heirs."""

    id: int
    schema: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What the server's figures say of the leaves since they were last reset; they come up to seconds late."""

    inserted: int = 0
    rewritten: int = 0
    """Rows updated or deleted."""
    known: bool = True
    """Whether the server keeps such figures (`track_counts`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailReading:
    """The leaves' sizes and then their writers, at an instant of the database's clock just before."""

    at: datetime
    blocks: Mapping[int, int]
    """By leaf."""
    files: Mapping[int, int]
    """By leaf, the file that holds it, which is another one once the table was rewritten."""
    relatives: str
    """Which tables the receipts come from, and their names, as one text."""
    writers: tuple[receipts.OpenWriter, ...]
    activity: Activity


@dataclass(frozen=True, slots=True, kw_only=True)
class Tails:
    """The marks of all leaves after some readings, and what the readings still needed say."""

    begins: Mapping[int, int] = field(default_factory=dict)
    """By leaf, the block at which the next count begins to read."""
    seen_all_to: datetime | None = None
    """Every receipt written before this instant of the database's clock was committed by the last count."""
    waits_for: receipts.OpenWriter | None = None
    """The writer that began longest ago, where one is open."""
    since: Mapping[str, int] = field(default_factory=dict)
    """By writer, the number of the reading that saw it first."""
    with_process: frozenset[str] = frozenset()
    """The writers of the last reading that were no prepared transactions."""
    readings: Mapping[int, TailReading] = field(default_factory=dict)
    """By number, those that the marks may still move on to."""

    def is_of(self, reading: TailReading) -> bool:
        """Whether the marks are of the same files as a reading, so that they can go on from it."""
        last = self.readings[max(self.readings)] if self.readings else None
        return last is None or (last.files, last.relatives) == (reading.files, reading.relatives)

    @property
    def has_first_writer(self) -> bool:
        """Whether a writer of the first reading is open, whose rows may lie before the marks."""
        return 0 in self.since.values()

    def count_blocks(self, reading: TailReading) -> int:
        """How many blocks lie behind the marks at a reading."""
        return sum(size - self.begins.get(leaf, 0) for leaf, size in reading.blocks.items())

    def note(self, reading: TailReading) -> "Tails":
        """The marks after one more reading."""
        number = max(self.readings, default=-1) + 1
        present = {writer.id for writer in reading.writers}
        gone = [n for writer_id, n in self.since.items() if writer_id not in present and writer_id in self.with_process]
        since = {
            # A prepared transaction was a writer with a process, under another name.
            writer.id: self.since.get(writer.id, min(gone, default=number) if writer.pid is None else number)
            for writer in reading.writers
        }
        # What a writer has written it wrote after the reading before the one that saw it first. What it wrote before
        # the first reading of all is older than the burst.
        reached = max(0, min(since.values(), default=number + 1) - 1)
        readings = {**{n: kept for n, kept in self.readings.items() if n >= reached}, number: reading}
        ends = readings[reached].blocks
        begins = {leaf: self._move_on(leaf, ends.get(leaf, 0), size) for leaf, size in reading.blocks.items()}
        oldest = min(reading.writers, key=lambda writer: since[writer.id], default=None)
        return Tails(
            begins=begins,
            seen_all_to=readings[reached].at,
            waits_for=oldest,
            since=since,
            with_process=frozenset(writer.id for writer in reading.writers if writer.pid is not None),
            readings=readings,
        )

    def _move_on(self, leaf: int, end: int, size: int) -> int:
        """The mark moves on, and back only where the table was cut shorter."""
        return min(size, max(self.begins.get(leaf, 0), end - OVERLAP_BLOCKS, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """Whether a tail holds every new row, by the server's figures of the table since the last whole count.

    The figures come late. So those that new rows are compared with are taken a while after the count that they are
    compared from, and what they miss is never held against the tail.
    """

    since: datetime
    """When the whole count began that the tail goes on from."""
    rows: int
    """The rows that had been read by then."""
    activity: Activity | None = None
    """The figures a while after."""
    missing: int = 0
    """The rows inserted since that no tail held: they were put into freed space, or rolled back."""
    doubt: str = ""
    """Why too many new rows may not be in the tail; empty where nothing says so."""

    def note(self, reading: TailReading, rows: int) -> "Belief":
        """The belief after one more count, which has read so many rows in all."""
        if instants.seconds_between(self.since, reading.at) < FIGURES_LAG_SECONDS:
            return self
        if self.activity is None:
            return replace(self, activity=reading.activity)
        inserted = reading.activity.inserted - self.activity.inserted
        grown = rows - self.rows
        missing, doubt = max(0, inserted - grown), ""
        if not reading.activity.known:
            doubt = "the server keeps no figures of its tables (track_counts is off)"
        elif reading.activity.rewritten < self.activity.rewritten or inserted < 0:
            doubt = "the server's figures of the table began anew, as after a crash or a failover"
        elif reading.activity.rewritten != self.activity.rewritten:
            doubt = "rows of the table are updated or deleted"
        elif missing > MISSING_SHARE * grown:
            doubt = f"{missing} rows were put into freed space or rolled back"
        return replace(self, missing=missing, doubt=doubt)
