"""The tail reader: one poll of a table's tail, and one count of everything before it.

A poll is one transaction on one kept connection: sizes, writers, and the count, each statement seeing what is committed
when it begins. The count before the tail has a connection of its own, and may take minutes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy

from burst.adapters.postgres import connections, count_plans, statements, tail_statements, tails
from burst.domain.basics import errors, instants, windows
from burst.domain.receipts import driver_figures, receipts

Spans = Mapping[datetime, receipts.Counts]
"""Receipts by the beginning of the span that they lie in."""

_LOOSE_SECONDS = 3600.0
"""How much earlier and later than the burst its receipts may lie in a partition: clocks may differ."""
_OWN_KINDS = ("r", "p")
_SPANS_MAX = 50_000


class Table(Protocol):
    """The table of receipts, as a connection describes it."""

    def read_types(self, connection: sqlalchemy.Connection, scope: str | None) -> statements.ReceiptTable:
        """The table with the types of its columns. Raises `errors.UsageError`."""
        ...

    def read_rows(
        self, connection: sqlalchemy.Connection, statement: sqlalchemy.Executable, values: Mapping[str, object]
    ) -> Sequence[sqlalchemy.Row[*tuple[Any, ...]]]:
        """The rows of a count. Raises `errors.Refused` where a time is no instant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The burst whose receipts are counted."""

    start: datetime
    until: datetime
    scope: str | None

    @property
    def span(self) -> timedelta:
        """The length of the spans: a second, or as much as keeps their number small."""
        seconds = instants.seconds_between(self.start, self.until)
        return timedelta(seconds=max(1, -(-seconds // _SPANS_MAX)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """The leaves that the receipts of a burst can be in, and all relations that their writers lock."""

    leaves: tuple[tails.Leaf, ...]
    relations: tuple[int, ...]


class NoTail(errors.Refused):
    """The receipts lie in no table whose newest blocks could be read alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where the tails of some leaves begin, set before a burst."""

    leaves: Leaves
    reading: tails.TailReading
    marks: tails.Tails
    rows: int
    """The rows behind the marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailCount:
    """What one poll read."""

    leaves: Leaves
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
    """The statement of every poll, with the names of what it binds."""

    leaves: Leaves
    scoped: bool
    clause: sqlalchemy.Select[*tuple[Any, ...]]
    sql: str
    names: frozenset[str]


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

    def find_leaves(self, followed: Followed, *, give_up_at: datetime) -> Leaves:
        """The leaves that a burst's receipts can be in. Raises `NoTail`."""

        def work(connection: sqlalchemy.Connection) -> Leaves:
            table = self._table.read_types(connection, followed.scope)
            sources = connection.execute(statements.SOURCES, {"table_name": table.quoted_name}).all()
            problem = _find_problem(connection, sources)
            if problem:
                raise NoTail(f"{problem}, so each live count reads the whole window")
            relations = tuple(source.id for source in sources)
            rows = connection.execute(tail_statements.LEAVES, {"relations": list(relations)}).all()
            unreadable = [row.name for row in rows if not row.readable]
            if unreadable:
                raise NoTail(f"the role may not read {unreadable[0]}, so each live count reads the whole window")
            leaves = tuple(tails.Leaf(id=row.id, schema=row.schema, name=row.name) for row in rows)
            return Leaves(leaves=self._prune(connection, table, leaves, followed), relations=relations)

        return self._live.perform(f"looking for the tables of {followed.scope or 'every scope'}", work, give_up_at)

    def mark(self, until: datetime, *, give_up_at: datetime) -> Mark:
        """Sets the marks for a burst that begins now or later and ends by `until`. Raises `NoTail`."""
        leaves = self.find_leaves(Followed(start=self._now(), until=until, scope=None), give_up_at=give_up_at)

        def work(connection: sqlalchemy.Connection) -> Mark:
            _, reading = self._read_sizes(connection, leaves)
            marks = tails.Tails().note(reading)
            values = tail_statements.bind_tail(leaves.leaves, {}, marks.begins)
            statement = tail_statements.count_rows(leaves.leaves)
            rows = connection.execute(statement, values).scalar_one()
            return Mark(leaves=leaves, reading=reading, marks=marks, rows=int(rows))

        return self._live.perform("marking the newest receipts", work, give_up_at)

    def read(self, followed: Followed, leaves: Leaves, marks: tails.Tails, *, give_up_at: datetime) -> TailCount:
        """Reads the tail once, from the marks on. Raises as `ports.ReceiptSource.count` does."""

        def work(connection: sqlalchemy.Connection) -> TailCount:
            table = self._table.read_types(connection, followed.scope)
            clock, reading = self._read_sizes(connection, leaves)
            afresh = not marks.is_of(reading)
            before = tails.Tails() if afresh else marks
            after = before.note(reading)
            statement = self._tail_statement(table, followed, leaves)
            values = {
                **_bind(table, followed),
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
                binds=tuple(
                    (name, statements.render_value(each)) for name, each in values.items() if name in statement.names
                ),
            )

        return self._live.perform("counting the newest receipts", work, give_up_at)

    def count_before(self, followed: Followed, leaves: Leaves, marks: tails.Tails, *, give_up_at: datetime) -> Spans:
        """Counts the burst's receipts before the marks, however long ago the rows were written."""

        def work(connection: sqlalchemy.Connection) -> Spans:
            table = self._table.read_types(connection, followed.scope)
            statement = tail_statements.count_before_tail(table, leaves.leaves, scoped=followed.scope is not None)
            values = {**_bind(table, followed), **tail_statements.bind_marks(leaves.leaves, marks.begins)}
            rows = self._table.read_rows(connection, statement, values)
            return _spans(row for row in rows if not row.is_total)

        return self._whole.perform("counting the receipts before the newest", work, give_up_at)

    def _tail_statement(self, table: statements.ReceiptTable, followed: Followed, leaves: Leaves) -> _TailStatement:
        """The same one for the same leaves: making and rendering it takes as long as a poll."""
        kept, scoped = self._statement, followed.scope is not None
        if kept is None or (kept.leaves, kept.scoped) != (leaves, scoped):
            clause = tail_statements.count_tail(table, leaves.leaves, scoped=scoped)
            kept = _TailStatement(
                leaves=leaves,
                scoped=scoped,
                clause=clause,
                sql=statements.render(clause),
                names=statements.name_bound(clause),
            )
            self._statement = kept
        return kept

    def _read_sizes(
        self, connection: sqlalchemy.Connection, leaves: Leaves
    ) -> tuple[receipts.DatabaseClock, tails.TailReading]:
        asked = {"leaves": [leaf.id for leaf in leaves.leaves], "parents": list(leaves.relations)}
        before = self._now()
        sizes = connection.execute(tail_statements.SIZES, asked).all()
        round_trip_seconds = instants.seconds_between(before, self._now())
        if not sizes:
            raise errors.Refused("the tables of the receipts are gone")
        rows = connection.execute(statements.WRITERS, {"relations": list(leaves.relations)}).all()
        at = instants.utc(sizes[0].at)
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
            writers=tuple(receipts.OpenWriter(id=row.id, pid=row.pid, name=row.name) for row in rows),
            activity=tails.Activity(
                inserted=sum(row.inserted for row in sizes), rewritten=sum(row.rewritten for row in sizes)
            ),
        )

    def _prune(
        self,
        connection: sqlalchemy.Connection,
        table: statements.ReceiptTable,
        leaves: tuple[tails.Leaf, ...],
        followed: Followed,
    ) -> tuple[tails.Leaf, ...]:
        """The leaves that the planner would read for the burst, and a while before and after."""
        if len(leaves) < 2:
            return leaves
        loose = windows.Window(
            instants.later(followed.start, -_LOOSE_SECONDS), instants.later(followed.until, _LOOSE_SECONDS)
        )
        statement = statements.count_receipts(table, scoped=followed.scope is not None)
        values = {**_bind(table, followed), **table.bind_window(loose)}
        read = _list_relations(count_plans.explain(connection, statement, values)["Plan"])
        kept = tuple(leaf for leaf in leaves if (leaf.schema, leaf.name) in read)
        if not kept:
            raise NoTail("no partition can hold the burst's receipts, so each live count asks the whole table")
        return kept


def _find_problem(connection: sqlalchemy.Connection, sources: Sequence[sqlalchemy.Row[*tuple[Any, ...]]]) -> str:
    """Why no tail can be read; empty where one can."""
    others = [source.name for source in sources if source.kind not in _OWN_KINDS]
    if others:
        return f"the receipts come from {others[0]}, which is no table"
    if connection.execute(statements.STANDBY).scalar_one():
        return "this server is a standby, which shows no writers"
    return ""


def _bind(table: statements.ReceiptTable, followed: Followed) -> dict[str, object]:
    values = {**table.bind_window(windows.Window(followed.start, followed.until)), "bucket": followed.span}
    return values if followed.scope is None else {**values, "scope": statements.require_text(followed.scope, "scope")}


def _spans(rows: Any) -> dict[datetime, receipts.Counts]:
    return {instants.utc(row.bucket_start): statements.read_counts(row) for row in rows if row.bucket_start is not None}


def _list_relations(node: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Schema and name of every relation in a plan."""
    found = {(str(node["Schema"]), str(node["Relation Name"]))} if "Relation Name" in node else set()
    return found.union(*(_list_relations(below) for below in node.get("Plans", ())))
