"""Statements: the SQL of every question about receipts, made without a connection.

The platform keeps its instants as text, so comparing them as text miscounts at the edges. Every comparison here is made
on the value cast to `timestamptz`, whatever the column's type. Names are always quoted, and values always bound.
"""

import decimal
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import sql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.sql.elements import quoted_name

from burst.adapters.postgres import column_types
from burst.domain.basics import errors, instants, windows
from burst.domain.receipts import receipt_table, receipts

BUCKETS_MAX = 100_000
ROLES = ("decision", "at", "scope")

# The first statement to take a snapshot: the count sees the receipts committed at that time.
CLOCK = sqlalchemy.text("SELECT clock_timestamp()")
SERVER = sqlalchemy.text(
    "SELECT cast(current_setting('server_version_num') AS integer) AS version_number, pg_is_in_recovery() AS standby"
)
# The setting as it was before this transaction, which burst itself makes read-only.
PRIVILEGES = sqlalchemy.text(
    "SELECT coalesce(array_agg(privilege ORDER BY place)"
    " FILTER (WHERE has_table_privilege(cast(:table_name AS text), privilege)), '{}') AS writes,"
    " (SELECT reset_val = 'on' FROM pg_settings WHERE name = 'default_transaction_read_only') AS read_only_sessions"
    " FROM unnest(cast(:privileges AS text[])) WITH ORDINALITY AS asked (privilege, place)"
)
# The table, its partitions and heirs, and for a view every table that its rows come from. A rule of type '1' is a
# view's query. A function that returns rows hides the tables it reads.
SOURCES = sqlalchemy.text("""
WITH RECURSIVE source (id) AS (
    SELECT cast(cast(:table_name AS text) AS regclass)::oid
    UNION
    SELECT following.id FROM source CROSS JOIN LATERAL (
        SELECT inhrelid AS id FROM pg_inherits WHERE inhparent = source.id
        UNION ALL
        SELECT depends.refobjid FROM pg_rewrite AS rule JOIN pg_depend AS depends
            ON depends.classid = 'pg_rewrite'::regclass AND depends.objid = rule.oid
            AND depends.refclassid = 'pg_class'::regclass AND depends.refobjid <> source.id
        WHERE rule.ev_class = source.id AND rule.ev_type = '1' AND NOT EXISTS (
            SELECT FROM pg_class AS kept WHERE kept.oid = source.id AND kept.relkind = 'm'
        )
    ) AS following
)
SELECT relation.oid::bigint AS id, relation.oid::regclass::text AS name, relation.relkind::text AS kind, ARRAY(
    SELECT DISTINCT routine.oid::regprocedure::text FROM pg_rewrite AS rule
    JOIN pg_depend AS depends ON depends.classid = 'pg_rewrite'::regclass AND depends.objid = rule.oid
        AND depends.refclassid = 'pg_proc'::regclass
    JOIN pg_proc AS routine ON routine.oid = depends.refobjid
    WHERE rule.ev_class = relation.oid AND rule.ev_type = '1' AND routine.proretset
) AS row_functions, EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = relation.oid) AS subscribed
FROM source JOIN pg_class AS relation ON relation.oid = source.id ORDER BY 2""")
# Any role sees these locks. A writer takes RowExclusiveLock and keeps it to its end; one that still waits for the lock
# may hold an instant of the window too. A prepared transaction has no process, and is known by its transaction id.
SELECT_WRITERS = """
SELECT DISTINCT coalesce('prepared ' || prepared.transaction::text, writing.virtualtransaction) AS id,
    writing.pid AS pid, coalesce(prepared.gid, session.application_name, '') AS name
FROM pg_locks AS writing
LEFT JOIN pg_stat_activity AS session ON session.pid = writing.pid
LEFT JOIN (
    pg_locks AS own JOIN pg_prepared_xacts AS prepared ON prepared.transaction = own.transactionid
) ON writing.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
    AND own.virtualtransaction = writing.virtualtransaction
WHERE writing.locktype = 'relation' AND writing.mode = 'RowExclusiveLock'
    AND writing.relation = ANY(cast(:relations AS oid[]))
    AND writing.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
WRITERS = sqlalchemy.text(f"{SELECT_WRITERS} ORDER BY 1")
# Every transaction holds the lock on its own identity to its end. A prepared one writes nothing more.
TRANSACTIONS = sqlalchemy.text(
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock' AND granted"
    " AND pid <> pg_backend_pid()"
)
STANDBY = sqlalchemy.text("SELECT pg_is_in_recovery()")
ADMISSIONS_TABLE = sqlalchemy.text("SELECT to_regclass('admissions') IS NOT NULL")
ADMISSIONS = sqlalchemy.text(
    "SELECT count(*) FROM admissions WHERE platform_run_id = :scope AND NOT starts_with(event_id, :canary_prefix)"
)

# An offset keeps the planner from taking a subquery apart, and so from computing its columns wherever they are named.
AS_IT_IS: sqlalchemy.ColumnClause[int] = sqlalchemy.literal_column("0")
_OUTSIDE: sqlalchemy.ColumnClause[Any] = sqlalchemy.literal_column("TIMESTAMPTZ 'infinity'")
_IDENTIFIER_BYTES_MAX = 63  # Postgres cuts longer names short, and the shorter one may be another table
_SAMPLE_ROWS = 100
_TIME_OF_DAY = r"([0-9]{2}:[0-9]{2}|T[0-9]{4})"
# The offset follows a time of day: the end of 2026-11-29 is a day of the month.
_OFFSET = (
    r"([0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?|T[0-9]{4}([0-9]{2}([.,][0-9]+)?)?) ?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2})?)?)$"
)
_TEXT_TYPES = ("text", "character varying")
_NAMED = dialects.dialect(paramstyle="named")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptTable:
    """The table of receipts, with its columns by role."""

    name: str
    clause: sqlalchemy.TableClause
    columns: Mapping[str, sqlalchemy.ColumnClause[Any]]
    form: receipt_table.TableForm
    types: Mapping[str, column_types.ColumnType] = field(default_factory=dict)
    """By role, where the catalog names them."""
    unusual_times_indexed: bool = False
    """Whether an index holds the rows whose time is a text of an unusual form, or NULL."""
    times_checked: bool = False
    """Whether a CHECK kept every time in the usual form when the types were read."""

    @property
    def quoted_name(self) -> str:
        """The name as Postgres' functions take it."""
        return ".".join('"' + part.replace('"', '""') + '"' for part in self.name.split("."))

    @property
    def casts(self) -> dict[str, sql.ColumnElement[Any]]:
        """Each column as the count reads it, whatever its type."""
        return {
            "decision": sqlalchemy.cast(self.columns["decision"], sqlalchemy.Text),
            "at": column_types.read_instant(self.columns["at"], self.type_of("at"), self.form.time_unit),
            "scope": sqlalchemy.cast(self.columns["scope"], sqlalchemy.Text),
        }

    def type_of(self, role: str) -> column_types.ColumnType:
        """The type of a role's column."""
        return self.types.get(role, column_types.UNKNOWN)

    @property
    def in_scope(self) -> sql.ColumnElement[bool]:
        """Whether a row is of the scope bound as `scope`."""
        return column_types.compare_scope(self.columns["scope"], self.type_of("scope"))

    @property
    def in_window(self) -> sql.ColumnElement[bool]:
        """Whether a row lies in the window bound as `start` and `end`. A row without a time is let in where there may
        be one, so that it can be refused."""
        at, type_ = self.columns["at"], self.type_of("at")
        inside = column_types.is_within(at, type_, self.form.time_unit)
        return inside if type_.required else sqlalchemy.or_(at.is_(None), inside)

    @property
    def reads_text(self) -> bool:
        """Whether times are texts, which have to be read as instants."""
        return self.form.time_unit is None and self.type_of("at").is_plain_text

    @property
    def to_read(self) -> tuple[sql.ColumnElement[bool], ...]:
        """Which rows have to be read as instants, in disjoint parts."""
        at = self.columns["at"]
        if self.unusual_times_indexed:
            return column_types.may_lie_within_indexed(at)
        if self.times_checked:
            return column_types.may_lie_within_checked(at, required=self.type_of("at").required)
        return (column_types.may_lie_within(at),)

    @property
    def may_be_in_window(self) -> sql.ColumnElement[bool]:
        """Whether a row has to be read as an instant to know whether it lies in the window; the others lie outside."""
        if self.reads_text:
            return sqlalchemy.or_(*self.to_read)
        if column_types.compares_units(self.type_of("at"), self.form.time_unit):
            return self.in_window
        return sqlalchemy.true()

    @property
    def hides_instant(self) -> sql.ColumnElement[bool]:
        """Whether a row's time may be in another window than the one where a count finds it."""
        if self.reads_text and not self.unusual_times_indexed and not self.times_checked:
            return column_types.hides_instant(self.columns["at"])
        return sqlalchemy.false()

    def is_decision(self, decision: str, column: sql.ColumnElement[Any]) -> sql.ColumnElement[bool]:
        """Whether a decision's text, compared by bytes, is a word for a decision."""
        if decision not in self.form.decision_words:
            return column == sqlalchemy.literal_column(f"'{decision}'")
        words = sqlalchemy.bindparam(_name_words(decision), type_=postgresql.ARRAY(sqlalchemy.Text))
        return column == sqlalchemy.func.any(words)

    def bind_window(self, window: windows.Window) -> dict[str, object]:
        """The values of a window for the statements of this table, as its types were read: others may need others.
        Raises `errors.UsageError` for a window that the numbers of the time column do not reach."""
        words, edges = self.form.decision_words, {"start": window.start, "end": window.end}
        units = self._count_units(window)
        digits_known = self.unusual_times_indexed or self.times_checked
        texts = column_types.bind_texts(window.start, window.end, digits_known=digits_known)
        by_word = {_name_words(decision): list(spellings) for decision, spellings in words.items()}
        return {**edges, **units, **texts, **by_word, **self.bind_check()}

    def _count_units(self, window: windows.Window) -> dict[str, int]:
        """The edges of a window as whole units, where times are numbers."""
        unit = self.form.time_unit
        if unit is None:
            return {}
        start, end = (column_types.count_units(at, unit) for at in (window.start, window.end))
        if end > column_types.WHOLE_NUMBER_MAX and column_types.compares_units(self.type_of("at"), unit):
            last = instants.text(column_types.read_last_instant(unit))
            raise errors.UsageError(
                f"window {window}: column {self.columns['at'].name} of {self.name} holds whole numbers of {unit} since "
                f"1970, and the largest is {last}; count a window that ends by then"
            )
        return {"start_units": start, "end_units": end}

    def bind_check(self) -> dict[str, object]:
        """The values of `column_types.TIMES_UNCHECKED` and, with `columns`, of `column_types.TYPES`."""
        at = str(self.columns["at"].name)
        return {"receipts_table": self.quoted_name, "time_column": at, "usual_text": column_types.USUAL_TEXT}


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedStatement:
    """A statement with its words."""

    clause: sqlalchemy.Select[*tuple[Any, ...]]
    sql: str
    """As it is sent, with the bound values by name."""
    names: frozenset[str]
    """The names of the values that it binds."""

    def keep_bound(self, values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
        """The values that it binds, as text that Postgres reads back to the same values."""
        return tuple((name, render_value(value)) for name, value in values.items() if name in self.names)


def _name_words(decision: str) -> str:
    return f"{decision.lower()}_words"


def describe_table(form: receipt_table.TableForm, columns: Mapping[str, str]) -> ReceiptTable:
    """The table, with names taken exactly as given, case and all. Raises `errors.UsageError`."""
    if set(columns) != set(ROLES):
        raise errors.UsageError(f"columns must name exactly {', '.join(ROLES)}; given: {', '.join(columns) or 'none'}")
    parts = [quote(part, "table") for part in form.name.split(".")]
    if len(parts) > 2:
        raise errors.UsageError(f"table {form.name!r} has {len(parts)} parts; use name or schema.name")
    return ReceiptTable(
        name=form.name,
        clause=sqlalchemy.table(parts[-1], schema=parts[0] if len(parts) == 2 else None),
        columns={role: sqlalchemy.column(quote(column, f"column {role}")) for role, column in columns.items()},
        form=form,
    )


def read_types(connection: sqlalchemy.Connection, table: ReceiptTable) -> ReceiptTable:
    """The table with the types of its columns; a column without a row in the catalog keeps an unknown one."""
    values = {"columns": [column.name for column in table.columns.values()], **table.bind_check()}
    types: dict[str, column_types.ColumnType] = {}
    indexed, checked = False, False
    for row in connection.execute(column_types.TYPES, values).all():
        type_ = column_types.ColumnType(
            name=row.type_name, kind=row.kind, required=row.required, deterministic=row.deterministic
        )
        types |= {role: type_ for role, column in table.columns.items() if column.name == row.name}
        indexed, checked = row.unusual_times_indexed, row.times_checked
    is_text = types.get("at", column_types.UNKNOWN).is_plain_text
    return replace(
        table,
        types=types,
        unusual_times_indexed=is_text and indexed,
        times_checked=is_text and checked and not indexed,
    )


def try_scope(table: ReceiptTable) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """No row, and a failure where the column of scopes cannot hold the value bound as `scope`."""
    return sqlalchemy.select(sqlalchemy.literal(1)).select_from(table.clause).where(table.in_scope).limit(0)


def quote(name: str, role: str) -> quoted_name:
    """A name that is always quoted, so that it can never be anything else."""
    if not name or "\0" in name or len(name.encode(errors="replace")) > _IDENTIFIER_BYTES_MAX:
        raise errors.UsageError(
            f"{role}: {name!r} cannot be a name in Postgres: use 1 to {_IDENTIFIER_BYTES_MAX} bytes without NUL"
        )
    return quoted_name(name, quote=True)


def count_receipts(
    table: ReceiptTable, *, scoped: bool, only: sql.ColumnElement[bool] | None = None
) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """Total and buckets of a window in one statement, from one snapshot of the data; of the rows of `only`, if given.

    Binds `bucket`, the values of `ReceiptTable.bind_window`, and where `scoped` also `scope`.
    """
    conditions = [condition for condition in (table.in_scope if scoped else None, only) if condition is not None]
    placed = _place_rows(table, conditions).subquery("placed")
    count = sqlalchemy.func.count()
    by_decision = [
        count.filter(table.is_decision(name, placed.c.decision)).label(name.lower()) for name in receipts.DECISIONS
    ]
    slot = placed.c.bucket_start
    # Workers count the buckets side by side; a total in the same step would let one process count all rows.
    buckets = sqlalchemy.select(slot, *by_decision, count.label("receipts")).group_by(slot).subquery("buckets")
    sums = [_sum_whole(column).label(column.name) for column in buckets.c if column.name != slot.name]
    return sqlalchemy.select(
        buckets.c.bucket_start, sqlalchemy.func.grouping(buckets.c.bucket_start).label("is_total"), *sums
    ).group_by(sqlalchemy.func.grouping_sets(sqlalchemy.tuple_(buckets.c.bucket_start), sqlalchemy.tuple_()))


def _sum_whole(counts: sql.ColumnElement[Any]) -> sql.ColumnElement[Any]:
    """The sum of counts as a whole number; 0 of none."""
    return sqlalchemy.cast(sqlalchemy.func.coalesce(sqlalchemy.func.sum(counts), AS_IT_IS), sqlalchemy.BigInteger)


def _place_rows(
    table: ReceiptTable, conditions: Sequence[sql.ColumnElement[bool]]
) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """The rows of a window with their buckets. A NULL time falls in no bucket, but in one of NULL."""
    start = sqlalchemy.bindparam("start", type_=column_types.INSTANT)
    bucket = sqlalchemy.bindparam("bucket", type_=INTERVAL())
    casts = table.casts
    # "C" compares bytes, where a column's own collation may take `admit` for ADMIT.
    row = sqlalchemy.select(casts["at"].label("at"), casts["decision"].collate("C").label("decision"))
    row = row.select_from(table.clause).where(*conditions)
    if not table.reads_text:
        timed = row.where(table.in_window).subquery("timed")
        return sqlalchemy.select(
            sqlalchemy.func.date_bin(bucket, timed.c.at, start).label("bucket_start"), timed.c.decision
        )
    parts = [row.where(part).offset(AS_IT_IS).subquery().select() for part in table.to_read]
    timed = (sqlalchemy.union_all(*parts) if len(parts) > 1 else parts[0]).subquery("timed")
    # The planner expects few rows of a plain condition on an instant, and then sorts the many that there are.
    bucket_start = sqlalchemy.case(
        (column_types.is_between(timed.c.at), sqlalchemy.func.date_bin(bucket, timed.c.at, start)),
        (timed.c.at.is_not(None), _OUTSIDE),
    )
    placed = sqlalchemy.select(bucket_start.label("bucket_start"), timed.c.decision)
    return placed.where(bucket_start.is_distinct_from(_OUTSIDE))


def probe_table(
    table: ReceiptTable, expressions: Iterable[sql.ColumnElement[Any]]
) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """A sample of rows, which fails where one of the expressions cannot be read from the table.

    The values stay there: Postgres has instants, such as infinity, that Python has not.
    """
    return (
        sqlalchemy.select(*(expression.is_(None) for expression in expressions))
        .select_from(table.clause)
        .limit(_SAMPLE_ROWS)
    )


def count_hidden(table: ReceiptTable) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """How many rows of a sample have a time that a count may miss, and how many were sampled."""
    sampled = sqlalchemy.select(table.hides_instant.label("hidden")).select_from(table.clause).limit(_SAMPLE_ROWS)
    rows = sampled.subquery("sampled")
    count = sqlalchemy.func.count()
    return sqlalchemy.select(count.filter(rows.c.hidden).label("hidden"), count.label("sampled")).select_from(rows)


def sample_times(table: ReceiptTable, rows: int) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """How many of so many receipts have a time without offset or without a time of day, how many were sampled, and
    whether they are text."""
    at = table.columns["at"]
    sampled = (
        sqlalchemy.select(
            sqlalchemy.cast(at, sqlalchemy.Text).label("written"),
            sqlalchemy.cast(sqlalchemy.func.pg_typeof(at), sqlalchemy.Text).label("kind"),
        )
        .select_from(table.clause)
        .where(at.is_not(None))
        .limit(rows)
        .subquery("sampled")
    )
    textual = sqlalchemy.func.bool_or(sampled.c.kind.in_(_TEXT_TYPES))
    return sqlalchemy.select(
        sqlalchemy.func.count()
        .filter(sqlalchemy.not_(sampled.c.written.regexp_match(_OFFSET)))
        .label("without_offset"),
        sqlalchemy.func.count()
        .filter(sqlalchemy.not_(sampled.c.written.regexp_match(_TIME_OF_DAY)))
        .label("without_time_of_day"),
        sqlalchemy.func.count().label("sampled"),
        sqlalchemy.func.coalesce(textual, sqlalchemy.false()).label("textual"),
    )


def count_canaries(table: ReceiptTable, event_column: str) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """How many receipts of a scope belong to canaries. Binds `scope`."""
    event = sqlalchemy.cast(sqlalchemy.column(quote(event_column, "column event")), sqlalchemy.Text)
    return (
        sqlalchemy.select(sqlalchemy.func.count())
        .select_from(table.clause)
        .where(table.in_scope, event.startswith(receipt_table.CANARY_PREFIX, autoescape=True))
    )


def select_receipt(table: ReceiptTable, event_column: str) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """Decision and time of one event's receipt, ADMIT before others; a time of NULL is infinite, and one that is
    `hidden` may be missed by a count. Binds `scope` and `event_id`.

    The event's column is compared as it is, so that its index serves; the value takes the column's type.
    """
    casts = table.casts
    decision = casts["decision"].collate("C")
    at = sqlalchemy.case((sqlalchemy.func.isfinite(casts["at"]), casts["at"]))
    event: sqlalchemy.ColumnClause[Any] = sqlalchemy.column(quote(event_column, "column event"))
    event_id = sqlalchemy.bindparam("event_id", type_=sqlalchemy.types.NullType())
    return (
        sqlalchemy.select(casts["decision"].label("decision"), at.label("at"), table.hides_instant.label("hidden"))
        .select_from(table.clause)
        .where(table.in_scope, event == event_id)
        .where(table.columns["decision"].is_not(None), table.columns["at"].is_not(None))
        .order_by(sqlalchemy.not_(table.is_decision(receipts.DECISIONS[0], decision)), decision, casts["at"])
        .limit(1)
    )


def wrap_fact(query: str, scope: str, shown_query: str) -> tuple[sqlalchemy.TextClause, dict[str, object]]:
    """A fact query as a subquery, with its values. Bound values make Postgres refuse a second statement.

    `shown_query` is the query as messages may show it.
    """
    body = query.strip().rstrip(";")
    statement = sqlalchemy.text(f"SELECT * FROM (\n{body}\n) AS fact LIMIT :burst_rows")  # noqa: S608 - the plan's own query, read-only
    names = set(statement.compile().params)
    unbound = names - {"scope", "burst_rows"}
    if unbound:
        raise errors.UsageError(
            f"the fact query {shown_query!r} wants {', '.join(sorted(unbound))}; only :scope is bound "
            "(write \\: for a colon)"
        )
    values: dict[str, object] = {"scope": require_text(scope, "scope"), "burst_rows": 2}
    return statement, {name: values[name] for name in names}


def read_fact(value: object, shown_query: str) -> object:
    """The value of a fact as JSON can hold it."""
    if isinstance(value, decimal.Decimal) and value.is_finite():
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return instants.text(value if value.tzinfo else value.replace(tzinfo=UTC))
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise errors.UsageError(
        f"the fact query {shown_query!r} answered {type(value).__name__}; cast it to a finite number, text or boolean"
    )


def split_window(window: windows.Window, bucket_seconds: float) -> tuple[windows.Window, ...]:
    """The window's buckets. Raises `errors.UsageError` for lengths that Postgres, which knows whole microseconds
    only, would cut elsewhere."""
    if not bucket_seconds > 0 or window.seconds / bucket_seconds > BUCKETS_MAX:
        raise errors.UsageError(
            f"buckets of {bucket_seconds} s in a window of {window.seconds} s: use 1 to {BUCKETS_MAX} buckets"
        )
    stride, buckets = timedelta(seconds=bucket_seconds), window.buckets(bucket_seconds)
    if any(bucket.start != window.start + index * stride for index, bucket in enumerate(buckets)):
        raise errors.UsageError(f"a bucket of {bucket_seconds} s is not whole microseconds; use one that is")
    return buckets


def require_text(value: str, role: str) -> str:
    """The value, where Postgres can hold it as text. Raises `errors.UsageError` where it cannot."""
    try:
        bindable = "\0" not in value and value.encode() is not None
    except UnicodeEncodeError:
        bindable = False
    if not bindable:
        raise errors.UsageError(f"{role} {value!r} is not text Postgres can hold; use the run's own {role}")
    return value


def render(statement: sqlalchemy.Select[*tuple[Any, ...]]) -> RenderedStatement:
    """Renders a statement, which takes as long as a small count: so each is rendered once."""
    compiled = statement.compile(dialect=_NAMED)
    return RenderedStatement(clause=statement, sql=str(compiled), names=frozenset(compiled.params))


def read_counts(row: sqlalchemy.Row[*tuple[Any, ...]]) -> receipts.Counts:
    """The counts of one row of a count."""
    admit, duplicate, quarantine = row.admit, row.duplicate, row.quarantine
    return receipts.Counts(
        admit=admit, duplicate=duplicate, quarantine=quarantine, other=row.receipts - admit - duplicate - quarantine
    )


def render_value(value: object) -> str:
    """A bound value as text that Postgres reads back to the same value."""
    if isinstance(value, list):
        return "{" + ",".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in value) + "}"
    if isinstance(value, datetime):
        return instants.text(value)
    if isinstance(value, timedelta):
        return instants.duration_text(value.total_seconds())
    return str(value)
