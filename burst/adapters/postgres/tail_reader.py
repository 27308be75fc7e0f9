"""The tail reader: one poll of a table's tail, and one count of everything before it.

A poll is one transaction on one kept connection: sizes, writers, and the count, each statement seeing what is committed
when it begins, and nobody rewriting the table between them. The count before the tail has a connection of its own, and
may take minutes.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy

from burst.adapters.postgres import connections, statements, tail_leaves, tail_statements, tails
from burst.domain.basics import errors, instants
from burst.domain.receipts import driver_figures, receipts

_LONG_TAIL_BLOCKS = 4 * tails.OVERLAP_BLOCKS
_PAUSE_SECONDS = 0.02

Spans = Mapping[datetime, receipts.Counts]
"""Receipts by the beginning of the span that they lie in."""


class Table(Protocol):
    """The table of receipts, as a connection describes it."""

    @property
    def quoted_name(self) -> str:
        """Its name, as a statement names it."""
        ...

    def read_types(
        self, connection: sqlalchemy.Connection, scope: str | None, *, anew: bool = False
    ) -> statements.ReceiptTable:
        """The table with the types of its columns, read `anew` or kept. Raises `errors.UsageError`."""
        ...

    def read_rows(
        self, connection: sqlalchemy.Connection, statement: sqlalchemy.Executable, values: Mapping[str, object]
    ) -> Sequence[sqlalchemy.Row[*tuple[Any, ...]]]:
        """The rows of a count. Raises `errors.Refused` where a time is no instant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TailMark:
    """Where the tails of some leaves begin, set before a burst."""

    leaves: tail_leaves.Leaves
    reading: tails.TailReading
    marks: tails.Tails
    rows: int
    """The rows behind the marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailCount:
    """What one poll read."""

    leaves: tail_leaves.Leaves
    clock: receipts.DatabaseClock
    reading: tails.TailReading
    marks: tails.Tails
    """The marks after it."""
    afresh: bool
    """Whether the marks begin anew with this poll, because the leaves are not those that were read before."""
    passed: Spans
    """The receipts that the marks have moved over."""
    tail: Spans
    """The receipts behind the marks."""
    rows_passed: int
    rows_in_tail: int
    sql: str
    binds: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _TailStatement:
    """The statement of every poll, with what it was made for."""

    table: statements.ReceiptTable
    leaves: tail_leaves.Leaves
    scoped: bool
    rendered: statements.RenderedStatement


class TailReader:
    """Reads tails by `live`, whose transactions are READ COMMITTED, and counts before them by `whole`."""

    def __init__(
        self,
        table: Table,
        *,
        live: connections.ReadOnlyDatabase,
        whole: connections.ReadOnlyDatabase,
        now: Callable[[], datetime],
    ) -> None:
        self._table = table
        self._live = live
        self._whole = whole
        self._now = now
        self._statement: _TailStatement | None = None

    @property
    def figures(self) -> driver_figures.DriverFigures:
        """What the driver did for live counts."""
        return self._live.figures + self._whole.figures

    def close(self) -> None:
        """Closes the kept connection."""
        self._live.close()

    def find_leaves(self, followed: tail_leaves.Followed, *, give_up_at: datetime) -> tail_leaves.Leaves:
        """The leaves that a burst's receipts can be in. Raises `NoTail`."""

        def work(connection: sqlalchemy.Connection) -> tail_leaves.Leaves:
            table = self._table.read_types(connection, followed.scope, anew=True)
            return tail_leaves.choose_leaves(connection, table, followed)

        return self._live.perform(f"looking for the tables of {followed.scope or 'every scope'}", work, give_up_at)

    def mark(self, until: datetime, *, give_up_at: datetime) -> TailMark:
        """Sets the marks for a burst that begins now or later and ends by `until`. Raises `NoTail`."""
        with contextlib.suppress(tail_leaves.LeafGone):
            return self._mark(until, give_up_at)
        return self._mark(until, give_up_at)  # the tables were exchanged just then

    def _mark(self, until: datetime, give_up_at: datetime) -> TailMark:
        leaves = self.find_leaves(
            tail_leaves.Followed(start=self._now(), until=until, scope=None), give_up_at=give_up_at
        )

        def work(connection: sqlalchemy.Connection) -> TailMark:
            _, reading = self._read_sizes(connection, leaves)
            marks = tails.Tails().note(reading)
            values = tail_statements.bind_tail(leaves.leaves, {}, marks.begins)
            statement = tail_statements.count_rows(leaves.leaves)
            rows = connection.execute(statement, values).scalar_one()
            return TailMark(leaves=leaves, reading=reading, marks=marks, rows=int(rows))

        return self._live.perform("marking the newest receipts", work, give_up_at, steady=self._table.quoted_name)

    def read(
        self, followed: tail_leaves.Followed, leaves: tail_leaves.Leaves, marks: tails.Tails, *, give_up_at: datetime
    ) -> TailCount:
        """Reads the tail once, from the marks on. Raises as `ports.ReceiptSource.count` does."""

        def work(connection: sqlalchemy.Connection) -> TailCount:
            table = self._table.read_types(connection, followed.scope)
            clock, reading, before, after = self._move_marks(connection, leaves, marks)
            afresh = before is not marks
            statement = self._tail_statement(table, followed, leaves)
            values = {
                **tail_leaves.bind(table, followed),
                **tail_statements.bind_tail(leaves.leaves, before.begins, after.begins),
            }
            rows = self._table.read_rows(connection, statement.clause, values)
            if sum(row.timeless for row in rows):
                raise errors.Refused(f"receipts of {table.name} have no time, so no slice can be counted")
            return TailCount(
                leaves=leaves,
                clock=clock,
                reading=reading,
                marks=after,
                afresh=afresh or not before.begins,
                passed=_spans(row for row in rows if not row.stays),
                tail=_spans(row for row in rows if row.stays),
                rows_passed=sum(row.receipts for row in rows if not row.stays),
                rows_in_tail=sum(row.receipts for row in rows if row.stays),
                sql=statement.sql,
                binds=statement.keep_bound(values),
            )

        return self._live.perform("counting the newest receipts", work, give_up_at, steady=self._table.quoted_name)

    def count_before(
        self, followed: tail_leaves.Followed, leaves: tail_leaves.Leaves, marks: tails.Tails, *, give_up_at: datetime
    ) -> Spans:
        """Counts the burst's receipts before the marks, however long ago the rows were written."""

        def work(connection: sqlalchemy.Connection) -> Spans:
            table = self._table.read_types(connection, followed.scope, anew=True)
            statement = tail_statements.count_before_tail(table, leaves.leaves, scoped=followed.scope is not None)
            values = {**tail_leaves.bind(table, followed), **tail_statements.bind_marks(leaves.leaves, marks.begins)}
            rows = self._table.read_rows(connection, statement, values)
            return _spans(row for row in rows if not row.is_total)

        act = "counting the receipts before the newest"
        return self._whole.perform(act, work, give_up_at, steady=self._table.quoted_name)

    def _move_marks(
        self, connection: sqlalchemy.Connection, leaves: tail_leaves.Leaves, marks: tails.Tails
    ) -> tuple[receipts.DatabaseClock, tails.TailReading, tails.Tails, tails.Tails]:
        """The clock, the last reading, and the marks before it (none where the leaves are others now) and after it."""
        clock, reading = self._read_sizes(connection, leaves)
        before = marks if marks.is_of(reading) else tails.Tails()
        after = before.note(reading)
        if after.count_blocks(reading) > _LONG_TAIL_BLOCKS:
            # Its writers end soon, so that the mark moves on now, and the next poll does not read all this again.
            time.sleep(_PAUSE_SECONDS)
            clock, later = self._read_sizes(connection, leaves)
            if after.is_of(later):
                reading, after = later, after.note(later)
        return clock, reading, before, after

    def _tail_statement(
        self, table: statements.ReceiptTable, followed: tail_leaves.Followed, leaves: tail_leaves.Leaves
    ) -> statements.RenderedStatement:
        """The same one for the same leaves: making and rendering it takes as long as a poll."""
        kept, scoped = self._statement, followed.scope is not None
        if kept is None or kept.table is not table or (kept.leaves, kept.scoped) != (leaves, scoped):
            rendered = statements.render(tail_statements.count_tail(table, leaves.leaves, scoped=scoped))
            kept = _TailStatement(table=table, leaves=leaves, scoped=scoped, rendered=rendered)
            self._statement = kept
        return kept.rendered

    def _read_sizes(
        self, connection: sqlalchemy.Connection, leaves: tail_leaves.Leaves
    ) -> tuple[receipts.DatabaseClock, tails.TailReading]:
        ids = {"leaves": [leaf.id for leaf in leaves.leaves], "relations": list(leaves.relations)}
        before = self._now()
        rows = connection.execute(tail_statements.SIZES_THEN_WRITERS, ids).all()
        round_trip_seconds = instants.seconds_between(before, self._now())
        sizes = [row for row in rows if row.writer is None]
        _require_same(leaves, sizes)
        at = instants.utc(min(row.at for row in sizes))
        clock = receipts.DatabaseClock(
            database_now=at,
            skew_seconds=instants.seconds_between(instants.later(before, round_trip_seconds / 2), at),
            round_trip_seconds=round_trip_seconds,
        )
        return clock, tails.TailReading(
            at=at,
            blocks={row.id: row.blocks for row in sizes},
            files={row.id: row.file for row in sizes},
            relatives=sizes[0].relatives,
            writers=tuple(
                receipts.OpenWriter(id=row.writer, pid=row.pid, name=row.name) for row in rows if row.writer is not None
            ),
            activity=tails.Activity(
                inserted=sum(row.inserted for row in sizes),
                rewritten=sum(row.rewritten for row in sizes),
                known=sizes[0].counted,
            ),
        )


def _require_same(leaves: tail_leaves.Leaves, sizes: Sequence[sqlalchemy.Row[*tuple[Any, ...]]]) -> None:
    """Raises `tail_leaves.LeafGone` where the receipts lie in other tables now, and `errors.Unavailable` where a
    standby answers."""
    if len(sizes) < len(leaves.leaves):
        present = {row.id for row in sizes}
        names = ", ".join(leaf.name for leaf in leaves.leaves if leaf.id not in present)
        raise tail_leaves.LeafGone(f"{names}, in which receipts were, is gone")
    if sizes[0].relatives != leaves.relatives:
        raise tail_leaves.LeafGone("the tables that hold the receipts, or their names, are others now")
    if sizes[0].standby:
        raise errors.Unavailable(tail_statements.STANDBY_ANSWERS)


def _spans(rows: Any) -> dict[datetime, receipts.Counts]:
    return {instants.utc(row.bucket_start): statements.read_counts(row) for row in rows if row.bucket_start is not None}
