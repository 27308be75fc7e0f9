"""Tail leaves: the tables and partitions with the receipts of a burst, where their newest blocks can be read alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy

from burst.adapters.postgres import count_plans, statements, tail_statements, tails
from burst.domain.basics import errors, instants, windows

_LOOSE_SECONDS = 3600.0
"""How much earlier and later than the burst its receipts may lie in a partition: clocks may differ."""
_OWN_KINDS = ("r", "p")
_SPANS_MAX = 50_000


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
    relatives: str
    """Which tables these are, and their names, as one text: what `tails.TailReading` has for as long as they are."""


class NoTail(errors.Refused):
    """The receipts lie in no table whose newest blocks could be read alone."""


class LeafGone(errors.Refused):
    """The tables that hold the receipts are others now: one was dropped, perhaps for another of its name, or added."""


def choose_leaves(connection: sqlalchemy.Connection, table: statements.ReceiptTable, followed: Followed) -> Leaves:
    """The leaves that a burst's receipts can be in. Raises `NoTail`, `LeafGone` where tables are exchanged or added at
    that moment, and `errors.Unavailable` on a standby, which may be promoted."""
    sources = _read_sources(connection, table)
    problem = _judge_sources(sources)
    if connection.execute(statements.STANDBY).scalar_one():
        raise errors.Unavailable(tail_statements.STANDBY_ANSWERS)
    relations = tuple(source.id for source in sources)
    relatives = connection.execute(tail_statements.RELATIVES, {"relations": list(relations)}).scalar_one()
    rows = connection.execute(tail_statements.LEAVES, {"relations": list(relations)}).all()
    leaves = tuple(tails.Leaf(id=row.id, schema=row.schema, name=row.name) for row in rows)
    kept = () if problem else _prune(connection, table, leaves, followed)
    if _read_sources(connection, table) != sources:  # each statement sees what is committed when it begins
        raise LeafGone(f"the tables of {table.name} were exchanged while they were looked for")
    readable = {row.id for row in rows if row.readable}
    unreadable = [leaf.name for leaf in kept if leaf.id not in readable]
    whole = {"table_name": table.quoted_name}
    # A role that may read nothing of the table is told so by the server, and the tail is there once it may again.
    if unreadable and connection.execute(tail_statements.IS_READABLE, whole).scalar_one():
        problem = f"the role may not read {unreadable[0]} itself"
    if problem or not kept:
        problem = problem or "no partition can hold the receipts of the burst"
        raise NoTail(f"{problem}, so each live count reads the whole window")
    return Leaves(leaves=kept, relations=relations, relatives=relatives)


def _read_sources(
    connection: sqlalchemy.Connection, table: statements.ReceiptTable
) -> Sequence[sqlalchemy.Row[*tuple[Any, ...]]]:
    return connection.execute(statements.SOURCES, {"table_name": table.quoted_name}).all()


def find_problem(connection: sqlalchemy.Connection, table: statements.ReceiptTable, followed: Followed) -> str:
    """Why live counts cannot read the tail alone; empty where they can."""
    try:
        choose_leaves(connection, table, followed)
    except (NoTail, errors.Unavailable) as exc:
        return str(exc)
    return ""


def _judge_sources(sources: Sequence[sqlalchemy.Row[*tuple[Any, ...]]]) -> str:
    """Why no tail can be read; empty where one can."""
    foreign = [source.name for source in sources if source.kind not in _OWN_KINDS]
    if foreign:
        return f"the receipts come from {foreign[0]}, which is no table"
    return ""


def _prune(
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
    values = {**bind(table, followed), **table.bind_window(loose)}
    read = _list_relations(count_plans.explain(connection, statement, values)["Plan"])
    kept = tuple(leaf for leaf in leaves if (leaf.schema, leaf.name) in read)
    return kept


def bind(table: statements.ReceiptTable, followed: Followed) -> dict[str, object]:
    values = {**table.bind_window(windows.Window(followed.start, followed.until)), "bucket": followed.span}
    return values if followed.scope is None else {**values, "scope": statements.require_text(followed.scope, "scope")}


def _list_relations(node: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Schema and name of every relation in a plan."""
    relations = {(str(node["Schema"]), str(node["Relation Name"]))} if "Relation Name" in node else set()
    return relations.union(*(_list_relations(below) for below in node.get("Plans", ())))
