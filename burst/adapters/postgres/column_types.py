"""Column types: how the columns of a receipts table are compared, by the types that the catalog names.

A cast on a column hides its index, its partitions and its statistics from the planner. So the value takes the column's
type wherever that answers the same question, and the column is cast only where nothing else is exact.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import sql

from burst.domain.basics import errors

# The types below every domain; a column that is no column of the relation has no row.
TYPES = sqlalchemy.text("""
WITH RECURSIVE typed (name, id, collation_id, required) AS (
    SELECT attname, atttypid, attcollation, attnotnull FROM pg_attribute
    WHERE attrelid = cast(cast(:table_name AS text) AS regclass) AND attname = ANY(cast(:columns AS text[]))
        AND NOT attisdropped
    UNION ALL
    SELECT typed.name, base.typbasetype, typed.collation_id, typed.required
    FROM typed JOIN pg_type AS base ON base.oid = typed.id WHERE base.typtype = 'd'
)
SELECT typed.name::text AS name, type.typname::text AS type_name, type.typtype::text AS kind, typed.required,
    coalesce(collation_of.collisdeterministic, true) AS deterministic
FROM typed JOIN pg_type AS type ON type.oid = typed.id
LEFT JOIN pg_collation AS collation_of ON collation_of.oid = typed.collation_id
WHERE type.typtype <> 'd'""")

INSTANT = sqlalchemy.DateTime(timezone=True)
_UTC: sqlalchemy.ColumnClause[str] = sqlalchemy.literal_column("'UTC'")
_EXACT_TEXTS = frozenset({"text", "varchar"})
_OWN_FORMS = frozenset({"uuid", "int2", "int4", "int8"})
"""Types of which one value has several texts, so that the text of a column says less than its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """The type of one column, below every domain. `required`: it holds no NULL."""

    name: str
    kind: str = "b"
    """As `pg_type.typtype` has it: b for a base type, e for an enum."""
    required: bool = False
    deterministic: bool = True
    """Whether its collation calls two texts equal only where their bytes are."""

    @property
    def may_refuse_text(self) -> bool:
        """Whether there are texts that are no value of it."""
        return self.name in _OWN_FORMS or self.kind == "e"


UNKNOWN = ColumnType(name="unknown")
"""The type of a column that the catalog does not name: the statement itself then says what is wrong."""


def compare_scope(column: sql.ColumnElement[Any], type_: ColumnType) -> sql.ColumnElement[bool]:
    """Whether a column holds the value bound as `scope`, which takes the column's type.

    Where other values may be equal to it (other cases, trailing blanks), the text has to be the same too.
    """
    as_text = sqlalchemy.cast(column, sqlalchemy.Text).collate("C") == sqlalchemy.bindparam(
        "scope", type_=sqlalchemy.Text
    )
    if type_ == UNKNOWN:
        return as_text
    equal = column == sqlalchemy.bindparam("scope", type_=sqlalchemy.types.NullType())
    if type_.may_refuse_text or (type_.name in _EXACT_TEXTS and type_.deterministic):
        return equal
    return sqlalchemy.and_(equal, as_text)


def read_instant(column: sql.ColumnElement[Any], type_: ColumnType) -> sql.ColumnElement[Any]:
    """A column as an instant. A time without offset is taken for UTC."""
    if type_.name == "timestamptz":
        return column
    if type_.name == "timestamp":
        return sqlalchemy.func.timezone(_UTC, column)
    return sqlalchemy.cast(column, INSTANT)


def is_within(column: sql.ColumnElement[Any], type_: ColumnType) -> sql.ColumnElement[bool]:
    """Whether the instant of a column lies from `start` to before `end`, as they are bound."""
    start, end = (sqlalchemy.bindparam(name, type_=INSTANT) for name in ("start", "end"))
    if type_.name == "timestamp":
        # The bound loses its zone, and not the column: so an index and the partitions by this column serve.
        return sqlalchemy.and_(
            column >= sqlalchemy.func.timezone(_UTC, start), column < sqlalchemy.func.timezone(_UTC, end)
        )
    instant = read_instant(column, type_)
    return sqlalchemy.and_(instant >= start, instant < end)


def require_instants(type_: ColumnType, column_name: str) -> None:
    """Raises `errors.Refused` for a column of dates, which are no instants."""
    if type_.name == "date":
        raise errors.Refused(
            f"column {column_name} holds dates, and a date is no instant, so no window can be counted; name the column "
            "of the time in receipts.columns.at"
        )
