"""Tail statements: the SQL that counts only the last blocks of a table, and the SQL that counts all but those."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import sql
from sqlalchemy.dialects.postgresql import INTERVAL, OID
from sqlalchemy.sql.elements import quoted_name

from burst.adapters.postgres import column_types, statements, tails
from burst.domain.receipts import receipts

# What the table's rows lie in. A count is subject to the policies of a parent, its tail to those of each leaf.
# Sizes are asked of the file system, so they are those of now.
LEAVES = sqlalchemy.text("""
SELECT relation.oid::bigint AS id, space.nspname::text AS schema, relation.relname::text AS name,
    has_table_privilege(relation.oid, 'SELECT') AND NOT row_security_active(relation.oid) AS readable
FROM pg_class AS relation JOIN pg_namespace AS space ON space.oid = relation.relnamespace
WHERE relation.oid = ANY(cast(:relations AS oid[])) AND relation.relkind = 'r' ORDER BY 1""")
_RELATIVES = """(SELECT md5(coalesce(string_agg(heir.inhrelid::text, ',' ORDER BY heir.inhrelid), ''))
        FROM pg_inherits AS heir WHERE heir.inhparent = ANY(cast(:relations AS oid[])))
    || (SELECT md5(string_agg(format('%s %I.%I', own.oid, space.nspname, own.relname), ',' ORDER BY own.oid))
        FROM pg_class AS own JOIN pg_namespace AS space ON space.oid = own.relnamespace
        WHERE own.oid = ANY(cast(:relations AS oid[])))"""
RELATIVES = sqlalchemy.text(f"SELECT {_RELATIVES}")
# The writers are those of a later instant than the sizes: an Append reads its parts one after the other. In one
# statement, because a poll is little else than round trips.
SIZES_THEN_WRITERS = sqlalchemy.text(f"""
SELECT at, id, file, blocks, inserted, rewritten, counted, standby, relatives,
    cast(NULL AS text) AS writer, cast(NULL AS integer) AS pid, cast(NULL AS text) AS name
FROM (
    SELECT clock_timestamp() AS at, relation.oid::bigint AS id, pg_relation_filenode(relation.oid)::bigint AS file,
        pg_relation_size(relation.oid) / cast(current_setting('block_size') AS bigint) AS blocks,
        pg_stat_get_tuples_inserted(relation.oid) AS inserted,
        pg_stat_get_tuples_updated(relation.oid) + pg_stat_get_tuples_deleted(relation.oid) AS rewritten,
        current_setting('track_counts') = 'on' AS counted, pg_is_in_recovery() AS standby,
        {_RELATIVES} AS relatives
    FROM pg_class AS relation WHERE relation.oid = ANY(cast(:leaves AS oid[])) ORDER BY 2 OFFSET 0
) AS sizes
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, writers.id, writers.pid, writers.name
FROM ({statements.SELECT_WRITERS} ORDER BY 1 OFFSET 0) AS writers""")  # noqa: S608 - the parts above

# Columns may be granted one by one, and a policy may stand on the parent alone.
IS_READABLE = sqlalchemy.text("""
SELECT has_any_column_privilege(whole, 'SELECT') AND NOT row_security_active(whole)
FROM (SELECT cast(cast(:table_name AS text) AS regclass)::oid AS whole) AS receipts""")
STANDBY_ANSWERS = (
    "the server that answers now is a standby, which shows no writer of its primary and may lag behind it; live counts "
    "go on once it was promoted, or the primary answers again"
)

_ctid: sqlalchemy.ColumnClause[Any] = sqlalchemy.literal_column("ctid")


class _Tid(sqlalchemy.types.UserDefinedType[str]):
    """The place of a row: its block and its number there."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The name of the type in Postgres."""
        return "tid"


def count_tail(
    table: statements.ReceiptTable, leaves: Sequence[tails.Leaf], *, scoped: bool
) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """The rows of the leaves' last blocks: for each span of `bucket` and for what lies outside the window, how many
    are receipts of each decision, and whether they stay in the tail.

    Binds what `bind_tail` and `ReceiptTable.bind_window` give, `bucket`, and where `scoped` also `scope`. Receipts
    alone are read as instants, and each once; one whose own form lies outside the window is not read, as in the count
    of the whole window: it may be no instant.
    """
    start, end = (sqlalchemy.bindparam(edge, type_=column_types.INSTANT) for edge in ("start", "end"))
    tail = sqlalchemy.union_all(*(_read_leaf(table, index, leaf, scoped) for index, leaf in enumerate(leaves)))
    placed = sqlalchemy.select(tail.subquery("tail")).offset(statements.AS_IT_IS).subquery("placed")
    inside = sqlalchemy.and_(placed.c.at >= start, placed.c.at < end)
    bucket = sqlalchemy.bindparam("bucket", type_=INTERVAL())
    slot = sqlalchemy.case((inside, sqlalchemy.func.date_bin(bucket, placed.c.at, start)))
    count = sqlalchemy.func.count()
    by_decision = [
        count.filter(table.is_decision(name, placed.c.decision)).label(name.lower()) for name in receipts.DECISIONS
    ]
    return sqlalchemy.select(
        placed.c.stays,
        slot.label("bucket_start"),
        *by_decision,
        count.label("receipts"),
        count.filter(placed.c.timeless).label("timeless"),
    ).group_by(placed.c.stays, slot)


def count_rows(leaves: Sequence[tails.Leaf]) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """How many rows the leaves' last blocks hold. Binds the `from_...` of `bind_tail`."""
    rows = [
        sqlalchemy.select(sqlalchemy.func.count().label("rows"))
        .select_from(clause)
        .with_hint(clause, "ONLY", "postgresql")
        .where(_ctid >= _bind_place(f"from_{index}"))
        for index, clause in enumerate(map(_name, leaves))
    ]
    return sqlalchemy.select(sqlalchemy.func.sum(sqlalchemy.union_all(*rows).subquery("counted").c.rows))


def _name(leaf: tails.Leaf) -> sqlalchemy.TableClause:
    return sqlalchemy.table(quoted_name(leaf.name, quote=True), schema=quoted_name(leaf.schema, quote=True))


def _read_leaf(
    table: statements.ReceiptTable, index: int, leaf: tails.Leaf, scoped: bool
) -> sqlalchemy.Select[*tuple[Any, ...]]:
    clause = _name(leaf)
    casts = table.casts
    own = table.in_scope if scoped else sqlalchemy.true()
    return (
        sqlalchemy.select(
            (_ctid >= _bind_place(f"mark_{index}")).label("stays"),
            sqlalchemy.case((sqlalchemy.and_(own, table.may_be_in_window), casts["at"])).label("at"),
            casts["decision"].collate("C").label("decision"),
            sqlalchemy.and_(own, table.columns["at"].is_(None)).label("timeless"),
        )
        .select_from(clause)
        .with_hint(clause, "ONLY", "postgresql")
        .where(_ctid >= _bind_place(f"from_{index}"))
    )


def bind_tail(leaves: Sequence[tails.Leaf], begins: Mapping[int, int], marks: Mapping[int, int]) -> dict[str, object]:
    """The blocks at which each leaf is read from, and those at which its tail begins after this count. Of a leaf that
    was not read before, the tail alone is read."""
    places: dict[str, object] = {
        f"from_{index}": _place(begins.get(leaf.id, marks[leaf.id])) for index, leaf in enumerate(leaves)
    }
    return places | {f"mark_{index}": _place(marks[leaf.id]) for index, leaf in enumerate(leaves)}


def count_before_tail(
    table: statements.ReceiptTable, leaves: Sequence[tails.Leaf], *, scoped: bool
) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """The window's receipts that lie before the tails, as `statements.count_receipts` has them.

    Binds what that binds, and what `bind_marks` gives.
    """
    in_tail = [
        sqlalchemy.and_(
            sqlalchemy.literal_column("tableoid") == sqlalchemy.bindparam(f"leaf_{index}", type_=OID()),
            _ctid >= _bind_place(f"mark_{index}"),
        )
        for index in range(len(leaves))
    ]
    return statements.count_receipts(table, scoped=scoped, only=sqlalchemy.not_(sqlalchemy.or_(*in_tail)))


def bind_marks(leaves: Sequence[tails.Leaf], marks: Mapping[int, int]) -> dict[str, object]:
    """The blocks at which each leaf's tail begins."""
    places: dict[str, object] = {f"mark_{index}": _place(marks[leaf.id]) for index, leaf in enumerate(leaves)}
    return places | {f"leaf_{index}": leaf.id for index, leaf in enumerate(leaves)}


def _bind_place(name: str) -> sql.ColumnElement[Any]:
    return sqlalchemy.cast(sqlalchemy.bindparam(name, type_=sqlalchemy.types.NullType()), _Tid())


def _place(block: int) -> str:
    return f"({block},0)"
