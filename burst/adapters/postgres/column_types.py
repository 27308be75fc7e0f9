"""Column types: how the columns of a receipts table are compared, by the types that the catalog names.

A cast on a column hides its index, its partitions and its statistics from the planner. So the value takes the column's
type wherever that answers the same question, and the column is cast only where nothing else is exact.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import sql

from burst.domain.receipts import receipt_table

_HEIRS = """heir (id) AS (
    SELECT cast(cast(:receipts_table AS text) AS regclass)::oid
    UNION SELECT inhrelid FROM pg_inherits JOIN heir ON inhparent = heir.id
)"""
_HAS_FOREIGN_HEIR = """EXISTS (
    SELECT FROM heir JOIN pg_class AS relation ON relation.oid = heir.id WHERE relation.relkind NOT IN ('r', 'p')
)"""

# Whether a CHECK keeps every text of the time in the usual form. Its words are compared as the server prints them;
# where that fails, the count is as right, and slower. An operator of somebody's own can be printed as the server's, but
# the CHECK then depends on it. Heirs keep it too, but a foreign table only says so.
_TIMES_CHECKED_HERE = """EXISTS (
    SELECT FROM pg_constraint AS kept WHERE kept.conrelid = cast(cast(:receipts_table AS text) AS regclass)
        AND kept.contype = 'c' AND kept.convalidated AND NOT kept.connoinherit
        AND pg_get_expr(kept.conbin, kept.conrelid) IN (
            format('(%I ~ %L::text)', cast(:time_column AS text), cast(:usual_text AS text)),
            format('((%I)::text ~ %L::text)', cast(:time_column AS text), cast(:usual_text AS text)))
        AND NOT EXISTS (
            SELECT FROM pg_depend AS depends WHERE depends.classid = 'pg_constraint'::regclass
                AND depends.objid = kept.oid AND depends.refclassid = 'pg_operator'::regclass)
)"""
TIMES_UNCHECKED = sqlalchemy.text(
    f"(NOT {_TIMES_CHECKED_HERE} OR (WITH RECURSIVE {_HEIRS} SELECT {_HAS_FOREIGN_HEIR}))"
)

# Whether an index holds just those rows whose time is not of the usual form. Its words are compared as the server
# prints them; where that fails, the count is as right, and slower.
_UNUSUAL_TIMES_INDEXED = """EXISTS (
    SELECT FROM pg_index AS partial WHERE partial.indrelid = cast(cast(:receipts_table AS text) AS regclass)
        AND partial.indisvalid AND pg_get_expr(partial.indpred, partial.indrelid)
            = format('((%I ~ %L::text) IS NOT TRUE)', cast(:time_column AS text), cast(:usual_text AS text)))"""

# Whether a relation that this transaction has read, or was to read, holds other rows than its snapshot shows: rows that
# were written anew or moved in since, as by TRUNCATE or an exchange of partitions, look as if they were not there. What
# was read is locked to the end. The catalog is read as of the snapshot, and the functions answer as of now: a dropped
# one has no file. Some relations of the system have none in the catalog.
MOVED = sqlalchemy.text("""
WITH RECURSIVE asked (id) AS (
    SELECT relation FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION SELECT inhrelid FROM pg_inherits JOIN asked ON inhparent = asked.id
)
SELECT EXISTS (
    SELECT FROM asked LEFT JOIN pg_class AS known ON known.oid = asked.id
    WHERE known.oid IS NULL OR known.relkind IN ('r', 'm') AND known.relfilenode <> 0 AND (
        known.relfilenode IS DISTINCT FROM pg_relation_filenode(known.oid)
        OR NOT known.relispartition AND pg_partition_root(known.oid) <> known.oid)
)""")

# The types below every domain; a column that is no column of the relation has no row. An heir may have lost NOT NULL,
# one that is not valid says nothing of older rows, and a foreign table only says so. What the table keeps of its times
# comes with each, so that a count asks once.
TYPES = sqlalchemy.text(f"""
WITH RECURSIVE {_HEIRS}, nullable (name) AS (
    SELECT own.attname FROM heir JOIN pg_class AS relation ON relation.oid = heir.id
        JOIN pg_attribute AS own ON own.attrelid = heir.id AND NOT own.attisdropped
    WHERE own.attname = ANY(cast(:columns AS text[])) AND (
        NOT own.attnotnull OR relation.relkind NOT IN ('r', 'p') OR EXISTS (
            SELECT FROM pg_constraint AS said WHERE said.conrelid = heir.id AND said.contype = 'n'
                AND NOT said.convalidated AND own.attnum = ANY(said.conkey)))
), typed (name, id, collation_id, required) AS (
    SELECT attname, atttypid, attcollation, attname NOT IN (SELECT name FROM nullable) FROM pg_attribute
    WHERE attrelid = cast(cast(:receipts_table AS text) AS regclass) AND attname = ANY(cast(:columns AS text[]))
        AND NOT attisdropped
    UNION ALL
    SELECT typed.name, base.typbasetype, typed.collation_id, typed.required
    FROM typed JOIN pg_type AS base ON base.oid = typed.id WHERE base.typtype = 'd'
)
SELECT typed.name::text AS name, type.typname::text AS type_name, type.typtype::text AS kind, typed.required,
    coalesce(collation_of.collisdeterministic, true) AS deterministic,
    {_UNUSUAL_TIMES_INDEXED} AS unusual_times_indexed,
    {_TIMES_CHECKED_HERE} AND NOT {_HAS_FOREIGN_HEIR} AS times_checked
FROM typed JOIN pg_type AS type ON type.oid = typed.id
LEFT JOIN pg_collation AS collation_of ON collation_of.oid = typed.collation_id
WHERE type.typtype <> 'd'""")  # noqa: S608 - the parts are those above

WHOLE_NUMBER_MAX = 2**63 - 1
"""The largest number of a bigint."""
NANOSECONDS = receipt_table.TIME_UNITS["s"]
_BEGINNING, _ONE_MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
INSTANT = sqlalchemy.DateTime(timezone=True)
_UTC: sqlalchemy.ColumnClause[str] = sqlalchemy.literal_column("'UTC'")
_EXACT_TEXTS = frozenset({"text", "varchar"})
_WHOLE_NUMBERS = frozenset({"int2", "int4", "int8"})
_FLOATS = frozenset({"float4", "float8"})
_NUMBERS = _WHOLE_NUMBERS | _FLOATS | {"numeric"}
_EPOCH: sqlalchemy.ColumnClause[Any] = sqlalchemy.literal_column("TIMESTAMPTZ '1970-01-01 00:00:00+00'")
_MICROSECOND: sqlalchemy.ColumnClause[Any] = sqlalchemy.literal_column("INTERVAL '1 microsecond'")
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

    @property
    def is_plain_text(self) -> bool:
        """Whether two of its values are equal only where their bytes are."""
        return self.name in _EXACT_TEXTS and self.deterministic


_USUAL_LENGTHS = ("", ".___", ".______")
"""The forms of a fraction between the second and the offset."""
_USUAL_TEXTS = tuple(
    f"____-__-__T__:__:__{fraction}{offset}" for offset in ("+00:00", "Z") for fraction in reversed(_USUAL_LENGTHS)
)
"""How programs write an instant of UTC in ISO 8601, as patterns of LIKE: the order of such texts is that of time."""
USUAL_TEXT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?([+]00:00|Z)$"
"""The same as a pattern of `~`, which looks at each digit."""
_CHARACTER_BYTES_MAX = 4
_SLACK = timedelta(minutes=1)
"""More than a leap second and 24:00 move an instant."""
_SLACK_OF_DIGITS = timedelta(seconds=2)
"""More than a leap second and 24:00 do, where every digit is known to be one."""

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
    if type_.may_refuse_text or type_.is_plain_text:
        return equal
    return sqlalchemy.and_(equal, as_text)


def read_instant(column: sql.ColumnElement[Any], type_: ColumnType, time_unit: str | None) -> sql.ColumnElement[Any]:
    """A column as an instant, down to the microsecond. A time without offset is taken for UTC."""
    if time_unit is not None:
        return _read_number(column, type_, receipt_table.TIME_UNITS[time_unit])
    if type_.name == "timestamptz":
        return column
    if type_.name == "timestamp":
        return sqlalchemy.func.timezone(_UTC, column)
    return sqlalchemy.cast(column, INSTANT)


def _read_number(column: sql.ColumnElement[Any], type_: ColumnType, nanoseconds: int) -> sql.ColumnElement[Any]:
    """The instant of a number of units since 1970: exact for whole and decimal numbers, and as near as the number for
    floating ones."""
    if type_.name in _FLOATS:
        return sqlalchemy.func.to_timestamp(column / sqlalchemy.literal_column(f"{NANOSECONDS / nanoseconds}"))
    exact = sqlalchemy.cast(column, sqlalchemy.Numeric) * sqlalchemy.literal_column(str(nanoseconds))
    microseconds = sqlalchemy.cast(
        sqlalchemy.func.floor(exact / sqlalchemy.literal_column("1000")), sqlalchemy.BigInteger
    )
    return _EPOCH + microseconds * _MICROSECOND


def is_within(column: sql.ColumnElement[Any], type_: ColumnType, time_unit: str | None) -> sql.ColumnElement[bool]:
    """Whether the instant of a column lies from `start` to before `end`, as they are bound, or from `start_units` to
    before `end_units`.

    The bound takes the form of the column, wherever that is exact: so an index and the partitions by it serve.
    """
    if compares_units(type_, time_unit):
        first, last = (sqlalchemy.bindparam(name, type_=sqlalchemy.BigInteger) for name in ("start_units", "end_units"))
        return sqlalchemy.and_(column >= first, column < last)
    if time_unit is None and type_.name == "timestamp":
        start, end = (sqlalchemy.bindparam(name, type_=INSTANT) for name in ("start", "end"))
        return sqlalchemy.and_(
            column >= sqlalchemy.func.timezone(_UTC, start), column < sqlalchemy.func.timezone(_UTC, end)
        )
    return is_between(read_instant(column, type_, time_unit))


def compares_units(type_: ColumnType, time_unit: str | None) -> bool:
    """Whether the bounds of a window are compared as whole units, so that a number outside them is not read."""
    return time_unit is not None and type_.name in _WHOLE_NUMBERS


def is_between(instant: sql.ColumnElement[Any]) -> sql.ColumnElement[bool]:
    """Whether an instant lies from `start` to before `end`."""
    start, end = (sqlalchemy.bindparam(name, type_=INSTANT) for name in ("start", "end"))
    return sqlalchemy.and_(instant >= start, instant < end)


def sorts_within(column: sql.ColumnElement[Any]) -> sql.ColumnElement[bool]:
    """Whether a text lies between the texts bound as `start_text` and `end_text`, compared by bytes."""
    text = column.collate("C")
    first, last = (sqlalchemy.bindparam(name, type_=sqlalchemy.Text) for name in ("start_text", "end_text"))
    return sqlalchemy.and_(text >= first, text < last)


def may_lie_within(column: sql.ColumnElement[Any]) -> sql.ColumnElement[bool]:
    """Whether a text has to be read as an instant, which is slow: but where it is written as programs write an instant
    of UTC and sorts outside the window.

    It looks at the marks, for a blank, which programs write in place of a digit (`T 4:00:00Z`) and before the half of a
    day (`T04:00:00.000 PM+00:00`), and for digits beyond ASCII. Postgres takes nearly every other letter or mark in
    place of a digit too (`2026-02-2-T...`), and a look at each digit would take as long as reading the text: such a
    text goes unseen here. `hides_instant` finds it, for the few rows that are asked for one by one.
    """
    return sqlalchemy.or_(sorts_within(column), _looks_unusual(column))


def may_lie_within_indexed(column: sql.ColumnElement[Any]) -> tuple[sql.ColumnElement[bool], sql.ColumnElement[bool]]:
    """The same in two disjoint parts that an index each can serve, with a look at each digit."""
    sorted_in = sorts_within(column)
    unsorted_in = sqlalchemy.or_(column.is_(None), sqlalchemy.not_(sorted_in))
    return sorted_in, sqlalchemy.and_(is_unusual(column), unsorted_in)


def may_lie_within_checked(
    column: sql.ColumnElement[Any], *, required: bool
) -> tuple[sql.ColumnElement[bool], sql.ColumnElement[bool]]:
    """The same in two disjoint parts where a CHECK of the table keeps the usual form, so that no text is looked at.

    The second part holds nothing, and is not even read, while the CHECK stands: the statement asks that once, of the
    snapshot that it reads the rows of.
    """
    sorted_in = sorts_within(column)
    unknown = sqlalchemy.and_(TIMES_UNCHECKED, sqlalchemy.not_(sorted_in), is_unusual(column))
    return sqlalchemy.or_(sorted_in, *(() if required else (column.is_(None),))), unknown


def hides_instant(column: sql.ColumnElement[Any]) -> sql.ColumnElement[bool]:
    """Whether a text is none that `may_lie_within` reads, though another letter or mark is in place of a digit: it may
    sort far from its instant."""
    return sqlalchemy.and_(sqlalchemy.not_(_looks_unusual(column)), is_unusual(column))


def _looks_unusual(column: sql.ColumnElement[Any]) -> sql.ColumnElement[bool]:
    """True of NULL too. `strpos` takes less time than a second LIKE, and the number of bytes next to none. Each stands
    between two limits because the planner takes that for few rows, and one limit alone for a third of all."""
    marked = sqlalchemy.or_(*(column.like(sqlalchemy.literal_column(f"'{form}'")) for form in _USUAL_TEXTS))
    first_blank = sqlalchemy.func.strpos(column, sqlalchemy.literal_column("' '"))
    longest = max(map(len, _USUAL_TEXTS))
    has_blank = _is_from_to(first_blank, 1, longest)
    has_other_digits = _is_from_to(sqlalchemy.func.octet_length(column), longest + 1, _CHARACTER_BYTES_MAX * longest)
    return sqlalchemy.or_(marked.is_not(True), has_blank, has_other_digits)


def _is_from_to(number: sql.ColumnElement[Any], least: int, most: int) -> sql.ColumnElement[bool]:
    below: sqlalchemy.ColumnClause[int] = sqlalchemy.literal_column(str(least - 1))
    highest: sqlalchemy.ColumnClause[int] = sqlalchemy.literal_column(str(most))
    return sqlalchemy.and_(number > below, number <= highest)


def is_unusual(column: sql.ColumnElement[Any]) -> sql.ColumnElement[bool]:
    """Whether a text is not an instant of UTC as programs write it; true for NULL. A small index can have this as its
    condition, and then says which receipts have to be read whatever their texts."""
    return column.op("~", is_comparison=True)(sqlalchemy.literal_column(f"'{USUAL_TEXT}'")).is_not(True)


def bind_texts(start: datetime, end: datetime, *, digits_known: bool) -> dict[str, str]:
    """The texts between which every usual text of an instant from `start` to `end` lies. `digits_known`: the statement
    looks at each digit, or a CHECK has."""
    lowest, highest = _BEGINNING.replace(year=1001), _BEGINNING.replace(year=9998)
    slack = _SLACK_OF_DIGITS if digits_known else _SLACK
    return {
        "start_text": f"{start - slack:%Y-%m-%dT%H:%M:%S}" if start > lowest else "",
        "end_text": f"{end + slack:%Y-%m-%dT%H:%M:%S}" if end < highest else ":",  # after every digit
    }


def count_units(at: datetime, time_unit: str) -> int:
    """The first whole number of units since 1970 whose instant is not before `at`."""
    nanoseconds = 1000 * ((at - _BEGINNING) // _ONE_MICROSECOND)
    return -(-nanoseconds // receipt_table.TIME_UNITS[time_unit])


def read_last_instant(time_unit: str) -> datetime:
    """The second of the largest whole number of units since 1970, where it has one in a calendar."""
    return _BEGINNING + timedelta(seconds=WHOLE_NUMBER_MAX * receipt_table.TIME_UNITS[time_unit] // NANOSECONDS)


def find_time_problem(type_: ColumnType, column_name: str, time_unit: str | None) -> str:
    """Why the values of a time column cannot be instants; empty where they can."""
    if type_ == UNKNOWN:
        return ""
    if type_.name == "date":
        return f"column {column_name} holds dates, and a date is no instant; name the column of the time"
    is_number, units = type_.name in _NUMBERS, ", ".join(receipt_table.TIME_UNITS)
    if is_number and time_unit is None:
        return f"column {column_name} holds numbers; say in receipts.time_unit of which unit since 1970: {units}"
    if not is_number and time_unit is not None:
        return f"column {column_name} holds {type_.name}, and receipts.time_unit is for numbers; leave it out"
    return ""
