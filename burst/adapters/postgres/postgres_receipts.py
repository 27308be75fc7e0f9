"""Receipts in Postgres: one window, one scope, counted exactly, by a connection that can change nothing."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import sql

from burst import ports
from burst.adapters.postgres import (
    column_types,
    connections,
    count_plans,
    duplicate_statements,
    failures,
    page_reads,
    role_reading,
    statements,
    tail_counter,
    tail_leaves,
    tail_reader,
)
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.documents import database_checks
from burst.domain.receipts import count_costs, driver_figures, duplicates, receipt_table, receipts
from burst.kit import measure

_T = TypeVar("_T")

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86400.0
_CLOSED_SECONDS = 5.0
"""How long closing waits for a mark that is under way."""
_MARKED_SECONDS = 60.0
"""How long the mark before a burst may take."""
_USUAL = connections.Timeouts()
_HIDDEN = (
    "has a letter or mark in place of a digit, which no count looks for without an index: let the ingest write digits, "
    "or make the index of unusual times that burst db advise prints"
)
_TABLE_KINDS = ("r", "p")
_HIDDEN_KINDS = {"f": "the foreign table", "m": "the materialized view"}
"""Kinds of relations, as `pg_class.relkind` names them, whose rows are written elsewhere."""


class PostgresReceipts:
    """`ports.ReceiptSource` on a table of a Postgres database (14 or later).

    Names of tables and columns are taken exactly as given, case and all. `columns` maps `decision`, `at` and `scope`.
    `now` is this side of the clock. With `kept_connections` that many serve every call, side by side, until `close`.
    """

    def __init__(
        self,
        dsn: redaction.Secret | connections.ResolveDsn,
        *,
        columns: Mapping[str, str],
        form: receipt_table.TableForm = receipt_table.PLAIN_FORM,
        application_name: str = "burst",
        timeouts: connections.Timeouts = _USUAL,
        kept_connections: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = connections.ReadOnlyDatabase(
            dsn, application_name=application_name, timeouts=timeouts, kept_connections=kept_connections, now=now
        )
        self._statement_seconds = timeouts.statement_seconds
        self._make_database = functools.partial(
            connections.ReadOnlyDatabase, dsn, application_name=application_name, now=now
        )
        self._table = statements.describe_table(form, columns)
        self._has_types = False
        self._counts: dict[bool, tuple[statements.ReceiptTable, statements.RenderedStatement]] = {}
        """The statements of `count`, with a scope and without, and the tables that they were made for."""
        self._page_reader = page_reads.PageReader()
        self._estimated: tuple[Mapping[str, object], driver_figures.PageCount] | None = None
        """The last estimate of pages, by the values that it was made for."""
        self._now = now
        self._reader: tail_reader.TailReader | None = None
        self._mark: tail_reader.TailMark | None = None
        self._marking: threading.Thread | None = None

    def open(self, until: datetime) -> None:
        """Marks the newest receipts, on a thread, so that the live counts of the burst need not read those before.

        Without the mark, which is tried once, the live counts of the burst begin with a count of the whole window.
        """

        def mark() -> None:
            with contextlib.suppress(errors.BurstError):
                self._mark = self._open_reader().mark(until, give_up_at=instants.later(self._now(), _MARKED_SECONDS))

        self._marking = threading.Thread(target=mark, name="burst-mark", daemon=True)
        self._marking.start()

    def wait_for_mark(self, seconds: float) -> bool:
        """Waits for the mark that `open` began; whether it was set."""
        if self._marking is not None:
            self._marking.join(seconds)
        return self._mark is not None

    def close(self) -> None:
        """Closes the kept connections, each once it is idle."""
        self.wait_for_mark(_CLOSED_SECONDS)
        self._database.close()
        if self._reader is not None:
            self._reader.close()

    def _open_reader(self) -> tail_reader.TailReader:
        if self._reader is None:
            self._reader = tail_reader.TailReader(
                self,
                live=self._make_database(
                    timeouts=_USUAL,
                    limits=connections.SessionLimits(parallel_workers=0),
                    kept_connections=1,
                    polls=True,
                ),
                whole=self._make_database(
                    timeouts=connections.Timeouts(statement_seconds=tail_counter.WHOLE_COUNT_SECONDS)
                ),
                now=self._now,
            )
        return self._reader

    def read_figures(self) -> driver_figures.DriverFigures:
        """What the driver did for this source."""
        figures = self._database.figures
        return figures if self._reader is None else figures + self._reader.figures

    # Counting

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        """Counts one half-open window; a scope of None counts every scope.

        The database clock is read, bracketed, on the same connection just before: the time the count itself takes
        would only blur it. Raises `errors.Refused` where a receipt's time is NULL or cannot be read as an instant,
        because a receipt that cannot be placed is neither inside nor outside.
        """
        buckets = statements.split_window(window, bucket_seconds)
        count_binds = _bind_count(bucket_seconds, scope)

        def work(connection: sqlalchemy.Connection) -> receipts.WindowCount:
            clock = self._read_clock(connection)  # the first statement: so the count sees what was committed then
            table = self.read_types(connection, scope, anew=True)
            statement = self._count_statement(table, scoped=scope is not None)
            values = {**table.bind_window(window), **count_binds}
            reading = self._page_reader.begin(connection, statement.clause, values)
            rows = self.read_rows(connection, statement.clause, values)
            pages = self._page_reader.end(connection, reading)
            counts, by_bucket = self._tally(rows, buckets)
            return receipts.WindowCount(
                window=window,
                scope=scope,
                counts=counts,
                buckets=by_bucket,
                clock=clock,
                sql=statement.sql,
                binds=statement.keep_bound(values),
                pages=pages,
            )

        counted = self._perform(f"counting receipts of {window}", work, give_up_at)
        if len(buckets) == 1 or counted.pages is None or counted.pages.read is not None:
            return counted  # a slice of a running burst has one bucket: it is to cost little
        return replace(
            counted, pages=self._estimate_pages({**self._table.bind_window(window), **count_binds}, counted.pages)
        )

    def _perform(self, act: str, work: Callable[[sqlalchemy.Connection], _T], give_up_at: datetime) -> _T:
        """Does the work, during which the table and its columns stay as they are, and again where what it read did
        not: only the table itself is held, because a lock for each of many partitions would take other sessions', and
        not every role may hold it."""
        return self._database.perform(act, _require_steady(work), give_up_at, steady=self.quoted_name)

    @property
    def quoted_name(self) -> str:
        """The name of the table, as a statement names it."""
        return self._table.quoted_name

    def _count_statement(self, table: statements.ReceiptTable, *, scoped: bool) -> statements.RenderedStatement:
        """The same one for the same table, so that it is made and compiled once."""
        kept_table, statement = self._counts.get(scoped, (None, None))
        if statement is None or kept_table is not table:
            statement = statements.render(statements.count_receipts(table, scoped=scoped))
            self._counts[scoped] = table, statement
        return statement

    def _estimate_pages(
        self, values: Mapping[str, object], counted: driver_figures.PageCount
    ) -> driver_figures.PageCount:
        """The pages that the planner expects a count to read, where nobody counted them; once for the same values."""
        if self._estimated is not None and self._estimated[0] == values:
            return self._estimated[1]

        def work(connection: sqlalchemy.Connection) -> int:
            return count_plans.estimate_pages(connection, self._table, values)

        give_up_at = instants.later(self._now(), page_reads.ESTIMATE_SECONDS)
        try:
            pages = self._perform("explaining a count", work, give_up_at)
        except errors.BurstError as exc:
            estimate = driver_figures.PageCount(read=None, why=f"{counted.why}; {exc}")
        else:
            estimate = driver_figures.PageCount(read=pages, source=page_reads.ESTIMATE)
        self._estimated = values, estimate
        return estimate

    def classify_duplicates(
        self, window: windows.Window, *, scope: str, event_column: str, give_up_at: datetime
    ) -> duplicates.DuplicateClasses | None:
        """Asks one statement, which the server ends after `duplicates.DATABASE_SECONDS`. Raises as `count`."""
        own_scope = {"scope": statements.require_text(scope, "scope")}
        last = min(give_up_at, instants.later(self._now(), duplicates.DATABASE_SECONDS))

        def work(connection: sqlalchemy.Connection) -> duplicates.DuplicateClasses | None:
            table = self.read_types(connection, scope)
            statement = duplicate_statements.classify_duplicates(table, event_column)
            try:
                with connection.begin_nested():  # a column that is not there ends no transaction
                    (row,) = self.read_rows(connection, statement, {**table.bind_window(window), **own_scope})
            except sqlalchemy.exc.DBAPIError as failure:
                if failures.read_state(failure) in duplicate_statements.NO_SUCH_COLUMN:
                    return None
                raise
            return duplicates.DuplicateClasses(
                retry=row.retry, replay=row.replay, unknown=row.receipts - row.retry - row.replay
            )

        return self._perform(f"telling the duplicates of {window} apart", work, last)

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        """Reads the database clock, bracketed by two readings of ours."""
        return self._database.perform("reading the database clock", self._read_clock, give_up_at)

    def open_writers(self, *, give_up_at: datetime) -> receipts.OpenWriters:
        """Reads the locks on every table that the receipts come from. Raises `errors.Unavailable` on a standby, which
        may be promoted, and `errors.Refused` where rows come from elsewhere: the locks of their writers are not there.
        """

        def work(connection: sqlalchemy.Connection) -> receipts.OpenWriters:
            if connection.execute(statements.STANDBY).scalar_one():
                raise errors.Unavailable(
                    "this server is a standby, which shows no writer of its primary and may lag behind it, so no count "
                    "here is known to be all; let the DSN name the primary"
                )
            sources = connection.execute(statements.SOURCES, {"table_name": self._table.quoted_name}).all()
            self._require_tables(sources)
            at = connection.execute(statements.CLOCK).scalar_one()
            rows = connection.execute(statements.WRITERS, {"relations": [source.id for source in sources]}).all()
            writers = tuple(receipts.OpenWriter(id=row.id, pid=row.pid, name=row.name) for row in rows)
            transactions = frozenset(connection.execute(statements.TRANSACTIONS).scalars())
            return receipts.OpenWriters(at=instants.utc(at), writers=writers, transactions=transactions)

        return self._database.perform(f"looking for open writers of {self._table.name}", work, give_up_at)

    def _require_tables(self, sources: Sequence[sqlalchemy.Row[*tuple[Any, ...]]]) -> None:
        """Raises `errors.Refused` where rows come from a source whose writers cannot be seen, or from no table."""
        hidden = [f"{_HIDDEN_KINDS[row.kind]} {row.name}" for row in sources if row.kind in _HIDDEN_KINDS]
        hidden += [f"the subscription that fills {row.name}" for row in sources if row.subscribed]
        hidden += [f"the function {function}" for row in sources for function in row.row_functions]
        if not hidden and not any(row.kind in _TABLE_KINDS for row in sources):
            hidden = ["no table of this database"]
        if hidden:
            raise errors.Refused(
                f"the receipts of {self._table.name} come from {', '.join(hidden)}, whose writers cannot be seen, so "
                "no count is known to be all; let receipts.table name the table that the ingest writes, or a view of it"
            )

    def follow(
        self,
        *,
        start: datetime,
        until: datetime,
        scope: str | None,
        settle_seconds: float,
        every_seconds: float,
        patience_seconds: float,
    ) -> ports.Counter:
        """Each poll counts the slice that is due, so `every_seconds` is for the caller to keep."""
        mark = self._mark
        return tail_counter.TailCounter(
            self._open_reader(),
            tail_leaves.Followed(start=instants.utc(start), until=instants.utc(until), scope=scope),
            settle_seconds=settle_seconds,
            patience_seconds=patience_seconds,
            make_instead=lambda counted_to: measure.LiveCounter(
                self,
                start=counted_to,
                until=until,
                scope=scope,
                settle_seconds=settle_seconds,
                patience_seconds=patience_seconds,
                now=self._now,
            ),
            mark=mark if mark is not None and mark.reading.at <= start else None,
        )

    def read_types(
        self, connection: sqlalchemy.Connection, scope: str | None, *, anew: bool = False
    ) -> statements.ReceiptTable:
        """The table with the types of its columns, which are read once, and again where `anew` asks for it: somebody
        may change a column while a burst runs.

        Raises `errors.UsageError` for a time column without instants, and for a scope that its column cannot hold.
        """
        if anew or not self._has_types:
            described = statements.read_types(connection, self._table)
            self._has_types = True
            if described != self._table:  # the statements of polls are kept with the table that they were made for
                self._table = described
        problem = self._find_time_problem()
        if problem:
            raise errors.UsageError(f"{problem} (table {self._table.name})")
        scope_type = self._table.type_of("scope")
        if scope is not None and scope_type.may_refuse_text:
            try:
                with connection.begin_nested():
                    connection.execute(statements.try_scope(self._table), {"scope": scope}).all()
            except sqlalchemy.exc.DataError as failure:
                words = failures.show_words(failure, self._database.redact)
                raise errors.UsageError(
                    f"scope: {scope!r} cannot be in column {self._table.columns['scope'].name} of {self._table.name}: "
                    f"{words}; use the run's own scope, or name the column that holds it in receipts.columns.scope"
                ) from None
        return self._table

    def _find_time_problem(self) -> str:
        at = self._table.columns["at"].name
        return column_types.find_time_problem(self._table.type_of("at"), at, self._table.form.time_unit)

    def read_rows(
        self, connection: sqlalchemy.Connection, statement: sqlalchemy.Executable, values: Mapping[str, object]
    ) -> Sequence[sqlalchemy.Row[*tuple[Any, ...]]]:
        """The rows of a count. Raises `errors.Refused` where a time is no instant."""
        try:
            return connection.execute(statement, values).all()
        except (sqlalchemy.exc.DataError, sqlalchemy.exc.NotSupportedError) as failure:
            is_text = self._table.form.time_unit is None
            if failures.read_state(failure) not in (failures.NO_INSTANT if is_text else failures.NO_INSTANT_BY_NUMBER):
                raise
            words, column = failures.show_words(failure, self._database.redact), self._table.columns["at"].name
            raise errors.Refused(
                f"receipts of {self._table.name}: {words}; every row must hold an instant in {column}"
            ) from None

    def _tally(
        self, rows: Sequence[sqlalchemy.Row[*tuple[Any, ...]]], buckets: Sequence[windows.Window]
    ) -> tuple[receipts.Counts, tuple[receipts.BucketCounts, ...]]:
        """Total and buckets, the empty ones too. Raises `errors.Refused` for receipts without a time."""
        by_start: dict[datetime | None, receipts.Counts] = {}
        total = receipts.Counts()
        for row in rows:
            if row.is_total:
                total = statements.read_counts(row)
            else:
                by_start[row.bucket_start] = statements.read_counts(row)
        if None in by_start:
            raise errors.Refused(
                f"{by_start[None].total} receipts of {self._table.name} have no time "
                f"({self._table.columns['at'].name} is NULL), so no window can be counted; give them their time, or "
                "count a scope without them"
            )
        counted = tuple(
            receipts.BucketCounts(window=bucket, counts=by_start.pop(bucket.start, receipts.Counts()))
            for bucket in buckets
        )
        if by_start or sum((bucket.counts for bucket in counted), receipts.Counts()) != total:
            raise errors.Refused(f"the buckets of {self._table.name} do not add up to {total}: nothing was counted")
        return total, counted

    def _read_clock(self, connection: sqlalchemy.Connection) -> receipts.DatabaseClock:
        before = self._now()
        database_now: datetime = connection.execute(statements.CLOCK).scalar_one()
        round_trip_seconds = instants.seconds_between(before, self._now())
        middle = instants.later(before, round_trip_seconds / 2)
        return receipts.DatabaseClock(
            database_now=instants.utc(database_now),
            skew_seconds=instants.seconds_between(middle, database_now),
            round_trip_seconds=round_trip_seconds,
        )

    # Facts

    def ask(self, sql: str, *, scope: str, give_up_at: datetime) -> object:
        """The single value of a fact query: int, float, str, bool or None; an instant as its ISO-8601 text.

        The query becomes a subquery of a statement with bound values: so it cannot write, cannot end the transaction,
        and cannot be two statements.
        """
        shown_query = self._database.redact(sql)
        statement, values = statements.wrap_fact(sql, scope, shown_query)

        def work(connection: sqlalchemy.Connection) -> object:
            rows = connection.execute(statement, values).all()
            if len(rows) != 1 or len(rows[0]) != 1:
                shape = f"{len(rows) if len(rows) < 2 else 'several'} rows of {len(rows[0]) if rows else 'no'} columns"
                raise errors.UsageError(
                    f"the fact query {shown_query!r} answered {shape}; it must answer one row of one column"
                )
            return statements.read_fact(rows[0][0], shown_query)

        return self._database.perform(f"the fact query {shown_query!r}", _require_steady(work), give_up_at)

    # Preflight

    def problems(self, *, give_up_at: datetime) -> Sequence[str]:
        """Probes table and columns at once, a sample of rows included, and where that fails, one by one."""

        def work(connection: sqlalchemy.Connection) -> list[str]:
            table = f"table {self._table.name}"
            with contextlib.suppress(sqlalchemy.exc.DBAPIError), connection.begin_nested():
                self._table = statements.read_types(connection, self._table)  # where it fails, the probes say why
            time_problem = self._find_time_problem()
            if time_problem:
                return [time_problem]
            casts = self._table.casts
            combined = self._probe(connection, casts.values(), table)
            if not combined:
                return self._find_hidden_times(connection)
            missing = self._probe(connection, [sqlalchemy.literal(1)], table)
            if missing:
                return [missing]
            by_column = [
                self._probe(
                    connection, [cast], f"column {self._table.columns[role].name} of {self._table.name} ({role})"
                )
                for role, cast in casts.items()
            ]
            return [problem for problem in by_column if problem] or [combined]

        return self._database.perform(f"checking table {self._table.name}", work, give_up_at)

    def _find_hidden_times(self, connection: sqlalchemy.Connection) -> list[str]:
        """One sentence where sampled times are of a form that a count may miss."""
        row = connection.execute(statements.count_hidden(self._table)).one()
        place = f"column {self._table.columns['at'].name} of {self._table.name} (at)"
        return [f"{place}: of {row.sampled} sampled, {row.hidden} {_HIDDEN}"] if row.hidden else []

    def _probe(
        self, connection: sqlalchemy.Connection, expressions: Iterable[sql.ColumnElement[Any]], subject: str
    ) -> str:
        """One sentence where the expressions cannot be read from the table, else nothing."""
        try:
            with connection.begin_nested():
                connection.execute(statements.probe_table(self._table, expressions)).all()
        except sqlalchemy.exc.DBAPIError as failure:
            if failures.is_about_the_query(failure):
                return f"{subject}: {failures.describe(failure)}"
            raise
        return ""

    def server(self, *, give_up_at: datetime) -> receipt_table.DatabaseServer:
        """Asks the server for its version, and whether it is a standby."""

        def work(connection: sqlalchemy.Connection) -> receipt_table.DatabaseServer:
            row = connection.execute(statements.SERVER).one()
            return receipt_table.DatabaseServer(version_number=row.version_number, standby=row.standby)

        return self._database.perform("asking the database for its version", work, give_up_at)

    def privileges(self, *, give_up_at: datetime) -> receipt_table.TablePrivileges:
        """Asks which writes the DSN's role is granted."""
        values = {"table_name": self._table.quoted_name, "privileges": list(receipt_table.WRITE_PRIVILEGES)}

        def work(connection: sqlalchemy.Connection) -> receipt_table.TablePrivileges:
            row = connection.execute(statements.PRIVILEGES, values).one()
            return receipt_table.TablePrivileges(writes=tuple(row.writes), read_only_sessions=row.read_only_sessions)

        return self._database.perform("asking the database for the privileges of its role", work, give_up_at)

    def role(self, *, give_up_at: datetime) -> database_checks.RoleEntry:
        """Reads the role of the DSN with its own settings."""
        return self._database.perform(
            "reading the settings of the role",
            lambda connection: role_reading.read_role(connection, self._database.redact),
            give_up_at,
        )

    def sample_times(self, rows: int, *, give_up_at: datetime) -> receipt_table.TimesSample:
        """Samples so many receipts that have a time."""

        def work(connection: sqlalchemy.Connection) -> receipt_table.TimesSample:
            row = connection.execute(statements.sample_times(self._table, rows)).one()
            if self._table.form.time_unit is not None:  # a number is an instant by its unit alone
                return receipt_table.TimesSample(sampled=row.sampled, without_offset=0, textual=False)
            return receipt_table.TimesSample(
                sampled=row.sampled,
                without_offset=row.without_offset,
                textual=row.textual,
                without_time_of_day=row.without_time_of_day,
            )

        return self._database.perform("sampling receipt times", work, give_up_at)

    def scope_contents(self, scope: str, *, event_column: str, give_up_at: datetime) -> receipt_table.ScopeContents:
        """Counts receipts, canaries and admissions of a scope. Raises as `count`."""
        everything = windows.Window(_BEGINNING, instants.later(self._now(), _DAY_SECONDS))
        own_scope = {"scope": statements.require_text(scope, "scope")}
        admitted = {**own_scope, "canary_prefix": receipt_table.CANARY_PREFIX}

        def work(connection: sqlalchemy.Connection) -> receipt_table.ScopeContents:
            table = self.read_types(connection, scope)
            values = {**table.bind_window(everything), **_bind_count(everything.seconds, scope)}
            count = statements.count_receipts(table, scoped=True)
            canaries = statements.count_canaries(table, event_column)
            counts, _ = self._tally(self.read_rows(connection, count, values), [everything])
            has_admissions = connection.execute(statements.ADMISSIONS_TABLE).scalar_one()
            return receipt_table.ScopeContents(
                counts=counts,
                canaries=_read_number(connection, canaries, own_scope) if counts.total else 0,
                admissions=_read_number(connection, statements.ADMISSIONS, admitted) if has_admissions else None,
            )

        return self._perform(f"counting the receipts of {scope}", work, give_up_at)

    def find_receipt(
        self, event_id: str, *, scope: str, event_column: str, give_up_at: datetime
    ) -> receipt_table.EventReceipt | None:
        """Looks the event's receipt up by its id."""
        own = {
            "scope": statements.require_text(scope, "scope"),
            "event_id": statements.require_text(event_id, "event id"),
        }
        everything = windows.Window(_BEGINNING, instants.later(self._now(), _DAY_SECONDS))

        def work(connection: sqlalchemy.Connection) -> receipt_table.EventReceipt | None:
            table = self.read_types(connection, scope)
            statement = statements.select_receipt(table, event_column)
            rows = self.read_rows(connection, statement, {**table.bind_window(everything), **own})
            if not rows:
                return None
            if rows[0].at is None:
                column = self._table.columns["at"].name
                raise errors.Refused(f"its receipt is there, and {column} is infinite, which is no instant")
            if rows[0].hidden:
                column = self._table.columns["at"].name
                raise errors.Refused(f"its receipt is there, and {column} {_HIDDEN}")
            decision = self._table.form.name_decision(rows[0].decision)
            return receipt_table.EventReceipt(decision=decision, at=instants.utc(rows[0].at))

        return self._perform(f"looking for the receipt of {event_id}", work, give_up_at)

    def estimate_count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> count_costs.CountEstimate:
        """Explains the statement of `count` with its values, and times a sample. Raises as `count`."""
        statements.split_window(window, bucket_seconds)
        count_binds = _bind_count(bucket_seconds, scope)

        def work(connection: sqlalchemy.Connection) -> count_costs.CountEstimate:
            table = self.read_types(connection, scope)
            values = {**table.bind_window(window), **count_binds}
            estimate = count_plans.estimate_count(connection, table, values, statement_seconds=self._statement_seconds)
            followed = tail_leaves.Followed(start=window.start, until=window.end, scope=scope)
            return replace(estimate, live_problem=tail_leaves.find_problem(connection, table, followed))

        return self._perform(f"explaining a count of {window}", work, give_up_at)


def _require_steady(work: Callable[[sqlalchemy.Connection], _T]) -> Callable[[sqlalchemy.Connection], _T]:
    """The work, which raises `failures.TableMoved` where a table that it read was rewritten or exchanged since its
    snapshot: it would look empty."""

    def check(connection: sqlalchemy.Connection) -> _T:
        answer = work(connection)
        if connection.execute(column_types.MOVED).scalar_one():
            raise failures.TableMoved("a table that was read was rewritten or exchanged meanwhile")
        return answer

    return check


def _bind_count(bucket_seconds: float, scope: str | None) -> dict[str, object]:
    """What a count binds besides its window. Raises `errors.UsageError`."""
    bucket: dict[str, object] = {"bucket": timedelta(seconds=bucket_seconds)}
    return bucket if scope is None else {**bucket, "scope": statements.require_text(scope, "scope")}


def _read_number(
    connection: sqlalchemy.Connection, statement: sqlalchemy.Executable, values: Mapping[str, object]
) -> int | None:
    """The number the statement answers; None where the table has not its columns."""
    try:
        with connection.begin_nested():
            return int(connection.execute(statement, values).scalar_one())
    except sqlalchemy.exc.DBAPIError as failure:
        if failures.is_about_the_query(failure) and failures.read_state(failure) != failures.MISSING_PRIVILEGE:
            return None
        raise
