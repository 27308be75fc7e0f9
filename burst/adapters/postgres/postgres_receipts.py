"""Receipts in Postgres: one window, one scope, counted exactly, by a connection that can change nothing.

The platform keeps its instants as text, so comparing them as text miscounts at the edges; every comparison here is
made on the value cast to `timestamptz`, whatever the column's type, and bound values never become SQL. One statement
gives the total and the buckets, from one snapshot of the data. Every call opens its own connection (bursts count
seldom, and a kept one would be the stale one after an outage), unless connections are kept for who asks much at once
and is done soon. It runs on a thread that is left behind when the time is up: a server that is frozen, or behind a
broken network, must not freeze the controller. While one is left, nothing more is asked, so that a burst does not
gather one for each of its live counts: until it answers, or a server that is alive would have ended it, because then
something between holds the line and a new one may do. A connection that is dead and not only silent ends its own soon.
"""

import decimal
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeAlias, TypeVar

import psycopg
import sqlalchemy
import tenacity
from psycopg import conninfo
from sqlalchemy import sql
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.sql.elements import quoted_name

from burst.domain.basics import errors, instants, windows
from burst.domain.receipts import receipts

T = TypeVar("T")

ATTEMPTS_MAX = 3
BUCKETS_MAX = 100_000
DSN_ALLOWED = "postgresql://user@host:port/database or host=... dbname=..."

_ROLES = ("decision", "at", "scope")
# libpq's: a peer that acknowledges nothing is gone. The kernel of a server that only thinks acknowledges all the time.
_DEAD_AFTER = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
_IDENTIFIER_BYTES_MAX = 63  # Postgres cuts longer names short, and the shorter one may be another table
_SAMPLE_ROWS = 100
_URL_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRANSIENT_STATES = frozenset({"57P01", "57P02", "57P03", "53300", "40001"})
_TIMEOUT_STATES = frozenset({"57014", "55P03"})
_QUERY_CLASSES = ("0A", "21", "22", "3F", "42", "P0")
# libpq gives no SQLSTATE where no connection was made, so what waiting cannot heal is known by its words.
_LOGIN_REFUSALS = (
    "authentication failed",
    "certificate verify failed",
    "does not exist",
    "does not support SSL",
    "no password supplied",
    "no pg_hba.conf entry",
    "not permitted to log in",
    "permission denied for database",
)

# Year first and UTC, whatever the server's habit: a date such as 02/03/2026 is then refused, not guessed.
_SETTINGS = """\
SET LOCAL statement_timeout = {statement_milliseconds};
SET LOCAL lock_timeout = {lock_milliseconds};
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD'"""
_NAMED = dialects.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
# The first statement to take a snapshot: what the count sees is what had been committed at that time.
_CLOCK = sqlalchemy.text("SELECT clock_timestamp()")


class RevealableSecret(Protocol):
    """What this adapter needs of a secret."""

    def reveal(self) -> str:
        """The value."""
        ...

    def redact(self, text: str) -> str:
        """The text without the value."""
        ...


_Work: TypeAlias = Callable[[sqlalchemy.Connection], T]


class PostgresReceipts:
    """`ports.ReceiptSource` on a table of a Postgres database (14 or later).

    `table` is `name` or `schema.name`; names of tables and columns are taken exactly as given, case and all.
    `columns` maps `decision`, `at` and `scope`. `now` is our side of the clock. With `kept_connections` that many
    serve every call, side by side, until `close`.
    """

    def __init__(
        self,
        dsn: RevealableSecret,
        *,
        table: str = "receipts",
        columns: Mapping[str, str],
        application_name: str = "burst",
        statement_timeout_seconds: float = 30.0,
        lock_timeout_seconds: float = 5.0,
        connect_timeout_seconds: float = 5.0,
        kept_connections: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._dsn = dsn
        self._connection_parameters = _connection_parameters(dsn.reveal())
        self._table_name = table
        self._table, self._columns = _table(table, columns)
        self._application_name = application_name.encode()[:63].decode(errors="ignore")
        self._statement_timeout_seconds = statement_timeout_seconds
        self._lock_timeout_seconds = lock_timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._kept = self._keeping(kept_connections) if kept_connections else None
        self._now = now
        self._unanswered: futures.Future[Any] = futures.Future()
        """What was not answered in time, the last of all; done: it is over, or there was none."""
        self._unanswered.set_result(None)
        self._lost_at = 0.0
        """The monotonic instant from which on that is waited for no longer."""

    def close(self) -> None:
        """Closes the connections that are kept, each once nobody uses it."""
        if self._kept is not None:
            self._kept.dispose()

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        """Counts one half-open window; a scope of None counts every scope. The database clock is read, bracketed, on
        the same connection just before: the time the count itself takes would only blur it.

        Raises `errors.Refused` where a receipt's time is NULL or cannot be read as an instant, because a receipt that
        cannot be placed is neither inside nor outside.
        """
        buckets = _buckets(window, bucket_seconds)
        statement = self._count_statement(scoped=scope is not None)
        bucket = timedelta(seconds=bucket_seconds)
        values: dict[str, object] = {"start": window.start, "end": window.end, "bucket": bucket}
        if scope is not None:
            values["scope"] = _scope(scope)

        def work(connection: sqlalchemy.Connection) -> receipts.WindowCount:
            clock = self._read_clock(connection)
            rows = self._placed(connection, statement, values)
            counts, by_bucket = self._tally(rows, buckets)
            return receipts.WindowCount(
                window=window,
                scope=scope,
                counts=counts,
                buckets=by_bucket,
                clock=clock,
                sql=_text(statement),
                binds=tuple((name, _bound(value)) for name, value in values.items()),
            )

        return self._perform(f"counting receipts of {window}", work, give_up_at)

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        """Reads the database clock, bracketed by two readings of ours."""
        return self._perform("reading the database clock", self._read_clock, give_up_at)

    def ask(self, sql: str, *, scope: str, give_up_at: datetime) -> object:
        """The one value a fact query answers: int, float, str, bool or None; an instant as its ISO-8601 text.

        The query becomes a subquery of a statement with bound values: so it cannot write, cannot end the transaction,
        and cannot be two statements.
        """
        shown = self._dsn.redact(sql)
        statement, values = _fact_statement(sql, scope, shown)

        def work(connection: sqlalchemy.Connection) -> object:
            rows = connection.execute(statement, values).all()
            if len(rows) != 1 or len(rows[0]) != 1:
                shape = f"{len(rows) if len(rows) < 2 else 'several'} rows of {len(rows[0]) if rows else 'no'} columns"
                raise errors.UsageError(
                    f"the fact query {shown!r} answered {shape}; it must answer one row of one column"
                )
            return _plain(rows[0][0], shown)

        return self._perform(f"the fact query {shown!r}", work, give_up_at)

    def problems(self, *, give_up_at: datetime) -> Sequence[str]:
        """What is wrong with table and columns, found by trying all at once (a sample of rows included) and, where that
        fails, each."""

        def work(connection: sqlalchemy.Connection) -> list[str]:
            table, casts = f"table {self._table_name}", self._casts()
            at_once = self._problem(connection, casts.values(), table)
            if not at_once:
                return []
            missing = self._problem(connection, [sqlalchemy.literal(1)], table)
            if missing:
                return [missing]
            tried = [
                self._problem(connection, [cast], f"column {self._columns[role].name} of {self._table_name} ({role})")
                for role, cast in casts.items()
            ]
            return [problem for problem in tried if problem] or [at_once]

        return self._perform(f"checking table {self._table_name}", work, give_up_at)

    def _problem(self, connection: sqlalchemy.Connection, tried: Iterable[sql.ColumnElement[Any]], where: str) -> str:
        """One sentence where the expressions cannot be read from the table, else nothing."""
        probe = sqlalchemy.select(*tried).select_from(self._table).limit(_SAMPLE_ROWS)
        try:
            with connection.begin_nested():
                connection.execute(probe).all()
        except sqlalchemy.exc.DBAPIError as failure:
            if _is_about_the_query(failure):
                return f"{where}: {_said(failure)}"
            raise
        return ""

    def _casts(self) -> dict[str, sql.ColumnElement[Any]]:
        """Each column as the count reads it, whatever its type."""
        return {
            "decision": sqlalchemy.cast(self._columns["decision"], sqlalchemy.Text),
            "at": sqlalchemy.cast(self._columns["at"], sqlalchemy.DateTime(timezone=True)),
            "scope": sqlalchemy.cast(self._columns["scope"], sqlalchemy.Text),
        }

    def _count_statement(self, *, scoped: bool) -> sqlalchemy.Select[*tuple[Any, ...]]:
        casts = self._casts()
        instant = sqlalchemy.DateTime(timezone=True)
        start = sqlalchemy.bindparam("start", type_=instant)
        bucket = sqlalchemy.bindparam("bucket", type_=INTERVAL())
        inside = sqlalchemy.and_(casts["at"] >= start, casts["at"] < sqlalchemy.bindparam("end", type_=instant))
        # "C" compares bytes, where a column's own collation may take `admit` for ADMIT.
        # A NULL time falls in no bucket; such rows are let in, as a bucket of NULL, so that they can be refused.
        rows = (
            sqlalchemy.select(
                sqlalchemy.func.date_bin(bucket, casts["at"], start).label("bucket_start"),
                casts["decision"].collate("C").label("decision"),
            )
            .select_from(self._table)
            .where(sqlalchemy.or_(self._columns["at"].is_(None), inside))
        )
        if scoped:
            rows = rows.where(casts["scope"] == sqlalchemy.bindparam("scope", type_=sqlalchemy.Text))
        placed = rows.subquery("placed")
        slot, count = placed.c.bucket_start, sqlalchemy.func.count()
        by_decision = [
            count.filter(placed.c.decision == sqlalchemy.literal_column(f"'{name}'")).label(name.lower())
            for name in receipts.DECISIONS
        ]
        return sqlalchemy.select(
            slot, sqlalchemy.func.grouping(slot).label("is_total"), *by_decision, count.label("receipts")
        ).group_by(sqlalchemy.func.grouping_sets(sqlalchemy.tuple_(slot), sqlalchemy.tuple_()))

    def _placed(
        self,
        connection: sqlalchemy.Connection,
        statement: sqlalchemy.Select[*tuple[Any, ...]],
        values: dict[str, object],
    ) -> Sequence[sqlalchemy.Row[*tuple[Any, ...]]]:
        try:
            return connection.execute(statement, values).all()
        except sqlalchemy.exc.DataError as failure:
            words, column = self._dsn.redact(_said(failure)), self._columns["at"].name
            raise errors.Refused(
                f"receipts of {self._table_name}: {words}; every row must hold an instant in {column}"
            ) from None

    def _tally(
        self, rows: Sequence[sqlalchemy.Row[*tuple[Any, ...]]], buckets: Sequence[windows.Window]
    ) -> tuple[receipts.Counts, tuple[receipts.BucketCounts, ...]]:
        """Total and buckets, the empty ones too; refuses receipts without a time."""
        found: dict[datetime | None, receipts.Counts] = {}
        total = receipts.Counts()
        for row in rows:
            if row.is_total:
                total = _counts(row)
            else:
                found[row.bucket_start] = _counts(row)
        if None in found:
            raise errors.Refused(
                f"{found[None].total} receipts of {self._table_name} have no time ({self._columns['at'].name} is NULL),"
                " so no window can be counted; give them their time, or count a scope without them"
            )
        counted = tuple(
            receipts.BucketCounts(window=bucket, counts=found.pop(bucket.start, receipts.Counts()))
            for bucket in buckets
        )
        if found or sum((bucket.counts for bucket in counted), receipts.Counts()) != total:
            raise errors.Refused(f"the buckets of {self._table_name} do not add up to {total}: nothing was counted")
        return total, counted

    def _perform(self, what: str, work: _Work[T], give_up_at: datetime) -> T:
        """Does the work in a transaction of its own, again after a transient failure; translates every error."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=2.0, jitter=0.2),
            stop=lambda state: (
                state.attempt_number >= ATTEMPTS_MAX or self._seconds_left(give_up_at) <= state.upcoming_sleep
            ),
            reraise=True,
        )
        try:
            return retrying(lambda: self._attempt(work, give_up_at))
        except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error, TimeoutError) as failure:
            # `from None`: the cause holds words that were not redacted.
            raise self._translated(what, failure, attempts=retrying.statistics["attempt_number"]) from None

    def _attempt(self, work: _Work[T], give_up_at: datetime) -> T:
        seconds_left = self._seconds_left(give_up_at)
        if seconds_left <= 0:
            raise errors.Unavailable(f"no time left to ask the database: it was {instants.text(give_up_at)} already")
        if not self._unanswered.done() and time.monotonic() < self._lost_at:
            raise TimeoutError(
                "it has not answered yet what it was asked before, and is asked nothing more until it has"
            )
        patience_seconds = min(seconds_left, self._connect_timeout_seconds + self._statement_timeout_seconds)
        return self._within(patience_seconds, lambda: self._transact(work, seconds_left))

    def _within(self, seconds: float, work: Callable[[], T]) -> T:
        """What the work returns; raises TimeoutError when it takes longer, and leaves it to end by itself."""
        outcome: futures.Future[T] = futures.Future()
        lost_at = time.monotonic() + self._connect_timeout_seconds + self._statement_timeout_seconds

        def run() -> None:
            try:
                outcome.set_result(work())
            except BaseException as failure:  # handed over whole: the caller raises it
                outcome.set_exception(failure)

        threading.Thread(target=run, name="burst-postgres", daemon=True).start()
        try:
            return outcome.result(timeout=seconds)
        except TimeoutError:
            self._unanswered, self._lost_at = outcome, lost_at
            raise TimeoutError(f"no answer within {seconds:.1f} s") from None

    def _transact(self, work: _Work[T], seconds_left: float) -> T:
        # An engine for each attempt: its first connection holds a lock, which a frozen server would never give back.
        engine = self._kept or _engine(lambda: self._connect(seconds_left), poolclass=sqlalchemy.NullPool)
        with engine.connect() as bare:
            connection = bare.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                connection.exec_driver_sql(self._settings(seconds_left))
                return work(connection)

    def _keeping(self, connections: int) -> sqlalchemy.Engine:
        return _engine(
            lambda: self._connect(self._connect_timeout_seconds),
            poolclass=sqlalchemy.QueuePool,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=self._connect_timeout_seconds + self._statement_timeout_seconds,
        )

    def _connect(self, seconds_left: float) -> psycopg.Connection[Any]:
        given = {**_DEAD_AFTER, **self._connection_parameters}
        given["application_name"] = self._application_name
        given["connect_timeout"] = math.ceil(min(self._connect_timeout_seconds, seconds_left))
        return psycopg.connect(**given)

    def _settings(self, seconds_left: float) -> str:
        return _SETTINGS.format(
            statement_milliseconds=_milliseconds(min(self._statement_timeout_seconds, seconds_left)),
            lock_milliseconds=_milliseconds(min(self._lock_timeout_seconds, seconds_left)),
        )

    def _read_clock(self, connection: sqlalchemy.Connection) -> receipts.DatabaseClock:
        before = self._now()
        database_now: datetime = connection.execute(_CLOCK).scalar_one()
        round_trip_seconds = instants.seconds_between(before, self._now())
        middle = instants.later(before, round_trip_seconds / 2)
        return receipts.DatabaseClock(
            database_now=instants.utc(database_now),
            skew_seconds=instants.seconds_between(middle, database_now),
            round_trip_seconds=round_trip_seconds,
        )

    def _seconds_left(self, give_up_at: datetime) -> float:
        return instants.seconds_between(self._now(), give_up_at)

    def _translated(self, what: str, failure: Exception, *, attempts: int) -> errors.BurstError:
        kind, advice = self._judged(failure, attempts)
        # The detail lines of a database's message may hold rows; only its first words are shown.
        return kind(self._dsn.redact(f"{what}: {_said(failure)}; {advice}"))

    @staticmethod
    def _judged(failure: Exception, attempts: int) -> tuple[type[errors.BurstError], str]:
        """Which error a failure is, and what to do about it."""
        state = _state(failure) or ""
        if _is_transient(failure):
            return errors.Unavailable, f"this was attempt {attempts}: check that the database is up and can be reached"
        if state in _TIMEOUT_STATES:
            return errors.Unavailable, "it took too long: give it more time, or find what holds the lock"
        if not state and any(refusal in str(failure) for refusal in _LOGIN_REFUSALS):
            return errors.Refused, "the database does not let burst in: correct the DSN"
        if state == "42501":
            return errors.Refused, "grant SELECT to the user of the DSN"
        if state.startswith("25"):
            return errors.UsageError, "burst only reads, so the query must not write"
        if _is_about_the_query(failure):
            return errors.UsageError, "correct table, columns or query"
        return errors.Refused, f"the database could not do it (SQLSTATE {state or 'unknown'}): ask its administrator"


def _engine(connect: Callable[[], psycopg.Connection[Any]], **pool: Any) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=connect, hide_parameters=True, use_native_hstore=False, **pool
    )


def _state(failure: BaseException) -> str | None:
    """The SQLSTATE, where the failure has one."""
    original = failure.orig if isinstance(failure, sqlalchemy.exc.DBAPIError) else failure
    return original.sqlstate if isinstance(original, psycopg.Error) else None


def _said(failure: BaseException) -> str:
    """The database's or the driver's own words, in one line."""
    original = failure.orig if isinstance(failure, sqlalchemy.exc.DBAPIError) else failure
    primary = original.diag.message_primary if isinstance(original, psycopg.Error) else None
    return " ".join((primary or str(original)).split())


def _is_transient(failure: BaseException) -> bool:
    """Whether the same attempt may succeed a moment later."""
    if isinstance(failure, TimeoutError):
        return True
    state = _state(failure)
    if state is not None:
        return state in _TRANSIENT_STATES or state.startswith("08")
    lost = isinstance(failure, sqlalchemy.exc.OperationalError | psycopg.OperationalError)
    return lost and not any(refusal in str(failure) for refusal in _LOGIN_REFUSALS)


def _is_about_the_query(failure: BaseException) -> bool:
    """Whether table, columns or a fact query are wrong, and not the database."""
    state = _state(failure)
    if state is None:
        return isinstance(failure, sqlalchemy.exc.DataError | sqlalchemy.exc.ProgrammingError | psycopg.DataError)
    return state.startswith(_QUERY_CLASSES)


def _connection_parameters(dsn: str) -> dict[str, Any]:
    """libpq's parameters of a URL or keyword DSN. The reason a DSN cannot be read is not shown: it quotes the DSN."""
    scheme = _URL_SCHEME.match(dsn)
    if scheme and scheme.group(1) not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise errors.UsageError(f"the DSN's scheme is {scheme.group(1)}:// where {DSN_ALLOWED} was expected")
    try:
        given = conninfo.conninfo_to_dict("postgresql://" + dsn[scheme.end() :] if scheme else dsn)
    except psycopg.Error:
        raise errors.UsageError(f"the DSN cannot be read (hidden, it may hold a password): use {DSN_ALLOWED}") from None
    return {**given, "client_encoding": "UTF8"}


def _table(
    name: str, columns: Mapping[str, str]
) -> tuple[sqlalchemy.TableClause, dict[str, sqlalchemy.ColumnClause[Any]]]:
    if set(columns) != set(_ROLES):
        raise errors.UsageError(f"columns must name exactly {', '.join(_ROLES)}; given: {', '.join(columns) or 'none'}")
    parts = [_identifier(part, "table") for part in name.split(".")]
    if len(parts) > 2:
        raise errors.UsageError(f"table {name!r} has {len(parts)} parts; use name or schema.name")
    named: dict[str, sqlalchemy.ColumnClause[Any]] = {
        role: sqlalchemy.column(_identifier(column, f"column {role}")) for role, column in columns.items()
    }
    return sqlalchemy.table(parts[-1], schema=parts[0] if len(parts) == 2 else None), named


def _identifier(name: str, what: str) -> quoted_name:
    """A name that is always quoted, so that it can never be anything else."""
    if not name or "\0" in name or len(name.encode(errors="replace")) > _IDENTIFIER_BYTES_MAX:
        raise errors.UsageError(
            f"{what}: {name!r} cannot be a name in Postgres: use 1 to {_IDENTIFIER_BYTES_MAX} bytes without NUL"
        )
    return quoted_name(name, quote=True)


def _buckets(window: windows.Window, bucket_seconds: float) -> tuple[windows.Window, ...]:
    """The window's buckets; refuses lengths that Postgres, which knows whole microseconds only, would cut elsewhere."""
    if not bucket_seconds > 0 or window.seconds / bucket_seconds > BUCKETS_MAX:
        raise errors.UsageError(
            f"buckets of {bucket_seconds} s in a window of {window.seconds} s: use 1 to {BUCKETS_MAX} buckets"
        )
    stride, buckets = timedelta(seconds=bucket_seconds), window.buckets(bucket_seconds)
    if any(bucket.start != window.start + index * stride for index, bucket in enumerate(buckets)):
        raise errors.UsageError(f"a bucket of {bucket_seconds} s is not whole microseconds; use one that is")
    return buckets


def _scope(scope: str) -> str:
    try:
        bindable = "\0" not in scope and scope.encode() is not None
    except UnicodeEncodeError:
        bindable = False
    if not bindable:
        raise errors.UsageError(f"scope {scope!r} is not text Postgres can hold; use the run's own scope")
    return scope


def _counts(row: sqlalchemy.Row[*tuple[Any, ...]]) -> receipts.Counts:
    admit, duplicate, quarantine = row.admit, row.duplicate, row.quarantine
    return receipts.Counts(
        admit=admit, duplicate=duplicate, quarantine=quarantine, other=row.receipts - admit - duplicate - quarantine
    )


def _fact_statement(query: str, scope: str, shown: str) -> tuple[sqlalchemy.TextClause, dict[str, object]]:
    """The query as a subquery, with its values. Bound values make Postgres refuse a second statement."""
    body = query.strip().rstrip(";")
    statement = sqlalchemy.text(f"SELECT * FROM (\n{body}\n) AS fact LIMIT :burst_rows")  # noqa: S608 - the plan's own query, read-only
    wanted = set(statement.compile().params)
    unknown = wanted - {"scope", "burst_rows"}
    if unknown:
        raise errors.UsageError(
            f"the fact query {shown!r} wants {', '.join(sorted(unknown))}; only :scope is bound (write \\: for a colon)"
        )
    values: dict[str, object] = {"scope": _scope(scope), "burst_rows": 2}
    return statement, {name: values[name] for name in wanted}


def _plain(value: object, shown: str) -> object:
    """The value as JSON can hold it."""
    if isinstance(value, decimal.Decimal) and value.is_finite():
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return instants.text(value if value.tzinfo else value.replace(tzinfo=UTC))
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise errors.UsageError(
        f"the fact query {shown!r} answered {type(value).__name__}; cast it to a finite number, text or boolean"
    )


def _milliseconds(seconds: float) -> int:
    return max(1, math.floor(seconds * 1000))


def _text(statement: sqlalchemy.Select[*tuple[Any, ...]]) -> str:
    """The statement as it is sent, with the bound values by name."""
    return str(statement.compile(dialect=_NAMED))


def _bound(value: object) -> str:
    """A bound value as text that Postgres reads back to the same value."""
    if isinstance(value, datetime):
        return instants.text(value)
    if isinstance(value, timedelta):
        return instants.duration_text(value.total_seconds())
    return str(value)
