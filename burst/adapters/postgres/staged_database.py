"""A database that is changed in stages: one process at a time, by a lock that a connection of its own holds.

The lock is an advisory one of the session, so it ends with the process, however that ends. It is asked for again before
every act, and while a change runs a thread watches it: where it is lost, the change is cancelled. Each change and each
reading has a new connection, because only a new session sees the settings as they are now.
"""

import contextlib
import re
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import rows

from burst.adapters.postgres import (
    change_obstacles,
    change_statements,
    connections,
    database_catalog,
    failures,
    postgres_receipts,
)
from burst.domain.basics import errors, instants, windows
from burst.domain.documents import database_snapshots
from burst.domain.receipts import receipt_table
from burst.domain.staging import change_grammar, changes, stage_files, stagings

LOCK_KEYS = (1651864179, 1)
"""The advisory lock of staged changes: `burs` as a number, and the first of its kind."""
_WORK, _HOLD = "burst/stage work", "burst/stage lock"
_DEAD_AFTER = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
_LOCK_PATIENCE_SECONDS, _POLL_SECONDS, _RELOAD_SECONDS, _LEFTOVER_SECONDS = 5.0, 0.05, 20.0, 60.0
_WATCH_SECONDS = 1.0
_COUNT_SECONDS = 3600.0
_WORK_SETTINGS = (
    "SET statement_timeout = 0", "SET lock_timeout = '60s'", "SET idle_session_timeout = 0",
    "SET client_connection_check_interval = '1s'", "SET client_min_messages = error",
)  # fmt: skip
_POSTPONED = frozenset({"55P03", "57014"})
"""A lock was not free within `lock_timeout`; somebody cancelled the statement, which has no `statement_timeout`."""
_TRANSACTION_TIMEOUT_SINCE = 170000
"""The version of Postgres that has `transaction_timeout`."""
_HELD_ELSEWHERE = """
SELECT session.usename AS role, session.datname AS database, session.backend_start AS since, session.pid AS pid
FROM pg_locks AS held LEFT JOIN pg_stat_activity AS session ON session.pid = held.pid
WHERE held.locktype = 'advisory' AND held.classid::bigint = %(first)s AND held.objid::bigint = %(second)s
    AND held.objsubid = 2 AND held.granted AND held.pid <> pg_backend_pid() LIMIT 1"""
_HELD_HERE = """
SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = %(first)s
    AND objid::bigint = %(second)s AND objsubid = 2 AND granted AND pid = pg_backend_pid()) AS held"""
_LEFTOVERS = """
SELECT pid, pg_terminate_backend(pid) AS told FROM pg_stat_activity
WHERE application_name = %(name)s AND usename = current_user AND pid <> pg_backend_pid()"""
_KEYS = dict(zip(("first", "second"), LOCK_KEYS, strict=True))

ResolveDsn = connections.ResolveDsn
Connection = psycopg.Connection[dict[str, Any]]


class PostgresStages:
    """`ports.StagedDatabase` on a Postgres database (14 or later). The DSN is resolved anew for every connection."""

    def __init__(self, resolve: ResolveDsn) -> None:
        self._resolve = resolve
        self._holder: Connection | None = None

    def take_lock(self) -> None:
        """Takes the lock, and ends what a process that died has left behind."""
        with self._translate_failures("taking the lock of staged changes"):
            connection = self._connect(_HOLD)
            try:
                _refuse_pooler(connection)
                _settle_session(connection)
                self._take_lock(connection)
            except BaseException:
                connection.close()
                raise
            self._holder = connection
            self._end_leftovers(connection)

    def _take_lock(self, connection: Connection) -> None:
        give_up_at = time.monotonic() + _LOCK_PATIENCE_SECONDS
        statement = "SELECT pg_try_advisory_lock(%(first)s::integer, %(second)s::integer) AS taken"
        while True:
            row = connection.execute(statement, _KEYS).fetchone()
            taken = row is not None and bool(row["taken"])
            holder = connection.execute(_HELD_ELSEWHERE, _KEYS).fetchone()
            if taken and holder is None:
                return
            if time.monotonic() > give_up_at:
                raise errors.Conflict(f"staged changes are at work on this server already{_describe_holder(holder)}")
            if taken:
                connection.execute("SELECT pg_advisory_unlock(%(first)s::integer, %(second)s::integer)", _KEYS)
            time.sleep(_POLL_SECONDS)

    def _end_leftovers(self, connection: Connection) -> None:
        """A change whose process was killed may still run: it is ended before anything else is done."""
        give_up_at = time.monotonic() + _LEFTOVER_SECONDS
        while connection.execute(_LEFTOVERS, {"name": _WORK}).fetchone() is not None:
            if time.monotonic() > give_up_at:
                raise errors.Unavailable("a change of a process that died still runs, and does not end; end it by hand")
            time.sleep(_POLL_SECONDS)

    def require_lock(self) -> None:
        """Raises `errors.Unavailable` where the lock was lost."""
        words = "the lock of staged changes was lost, so somebody else may be at work; nothing more was applied"
        try:
            row = None if self._holder is None else self._holder.execute(_HELD_HERE, _KEYS).fetchone()
        except psycopg.Error:
            row = None
        if row is None or not row["held"]:
            raise errors.Unavailable(f"{words}; once the database answers, resume")

    def identify(self) -> stagings.StagedIdentity:
        """The database and its server."""
        statement = (
            "SELECT current_database() AS database, current_user AS role, pg_is_in_recovery() AS standby,"
            " current_setting('server_version_num')::integer AS version_number,"
            " pg_postmaster_start_time() AS started_at"
        )
        with self._session("identifying the database") as connection:
            row = _require_row(connection.execute(statement).fetchone())
            return stagings.StagedIdentity(
                system_identifier=database_catalog.read_identifier(connection),
                database=row["database"],
                role=row["role"],
                version_number=row["version_number"],
                standby=row["standby"],
                server_started_at=instants.utc(row["started_at"]),
            )

    def find_obstacles(self, planned_changes: Sequence[changes.Change]) -> Sequence[str]:
        """Why changes could not be applied here, in words."""
        with self._session("asking for rights and names") as connection:
            obstacles = change_obstacles.find_obstacles(connection, planned_changes)
        with self._session("asking for libraries") as connection:
            return [*obstacles, *change_obstacles.find_missing_libraries(connection, planned_changes)]

    def read_snapshot(self, tables: Sequence[changes.TableName]) -> database_snapshots.DatabaseSnapshot:
        """The database as a new session sees it."""
        with self._session("reading the database snapshot") as connection:
            return database_catalog.read_snapshot(connection, tables)

    def list_pending(self) -> Sequence[str]:
        """The settings that are configured and wait for a restart."""
        with self._session("reading what waits for a restart") as connection:
            return database_catalog.list_pending(connection)

    def apply(self, statement: changes.Statement) -> None:
        """Applies a change, also one that was cut before."""
        with self._session(statement.words) as connection, self._watch_connection(connection):
            _settle_session(connection)
            if isinstance(statement, changes.CreateIndex) and not _make_room(connection, statement):
                return
            if isinstance(statement, changes.DropIndex) and not _exists(connection, statement.index):
                return
            if isinstance(statement, changes.DropExtension) and not _has_extension(connection, statement.name):
                return
            connection.execute(change_statements.build_statement(statement))
            if isinstance(statement, changes.SetParameter) and statement.place.is_system:
                self._reload(connection)

    def _reload(self, connection: Connection) -> None:
        """Has the server read its configuration, and waits until a new session shows it."""
        before = _load_time(connection)
        connection.execute("SELECT pg_reload_conf()")
        give_up_at = time.monotonic() + _RELOAD_SECONDS
        while True:
            with contextlib.closing(self._connect(_WORK)) as fresh:
                if _load_time(fresh) != before:  # the server's clock may have been set back
                    return
            if time.monotonic() > give_up_at:
                raise errors.Unavailable("the server did not read its configuration again; look at its log")
            time.sleep(_POLL_SECONDS)

    def measure_count(self, table: changes.TableName, cost: stage_files.CountCost) -> Mapping[str, float]:
        """The cost of one count: its seconds, the pages it reads, and its receipts.

        A first count warms the cache, and its time is left out. The others run in one session, so that connecting,
        which takes longer than a small count, is no part of their time.
        """
        window = windows.Window(cost.start, cost.end)
        source = postgres_receipts.PostgresReceipts(
            self._resolve,
            columns=cost.columns.model_dump(),
            form=receipt_table.TableForm(name=table.plain),
            application_name=_WORK,
            timeouts=connections.Timeouts(statement_seconds=_COUNT_SECONDS),
        )
        try:
            give_up_at = datetime.now(UTC) + timedelta(seconds=2 * _COUNT_SECONDS)
            count = source.count(window, scope=cost.scope, bucket_seconds=window.seconds, give_up_at=give_up_at)
        finally:
            source.close()
        seconds, pages = self._time_count(count.sql, dict(count.binds), cost.repeats)
        figures = {"seconds": statistics.median(seconds), "least_seconds": min(seconds)}
        return {**figures, "pages": pages, "receipts": float(count.counts.total)}

    def _time_count(self, statement: str, binds: Mapping[str, str], repeats: int) -> tuple[list[float], float]:
        """The seconds of each count, and the pages that one reads, from the cache and from elsewhere."""
        names = "|".join(map(re.escape, binds))
        bound = re.sub(rf"(?<![:\w]):({names})\b", r"%(\1)s", statement.replace("%", "%%")).encode()
        seconds = []
        with self._session("timing the count") as connection, connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            for _ in range(repeats):
                began = time.perf_counter()
                connection.execute(bound, dict(binds)).fetchall()
                seconds.append(time.perf_counter() - began)
            explained = connection.execute(b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + bound, dict(binds))
            top = _require_row(explained.fetchone())["QUERY PLAN"][0]["Plan"]
        return seconds, float(top["Shared Hit Blocks"] + top["Shared Read Blocks"])

    def close(self) -> None:
        """Gives the lock back."""
        if self._holder is not None:
            with contextlib.suppress(psycopg.Error):
                self._holder.close()
            self._holder = None

    @contextlib.contextmanager
    def _session(self, act: str) -> Iterator[Connection]:
        """A connection for one act; its errors are burst's."""
        with self._translate_failures(act), contextlib.closing(self._connect(_WORK)) as connection:
            yield connection

    def _connect(self, application_name: str) -> Connection:
        parameters = {**_DEAD_AFTER, **connections.read_parameters(self._resolve().reveal())}
        parameters |= {"application_name": application_name, "connect_timeout": 10}
        return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None, row_factory=rows.dict_row)

    @contextlib.contextmanager
    def _translate_failures(self, act: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as failure:
            words = self._resolve().redact(f"{act}: {failures.read_words(failure)}")
            if failures.is_transient(failure):
                raise errors.Unavailable(f"{words}; wait until the database answers") from None
            if failures.read_state(failure) in _POSTPONED:
                raise errors.Postponed(f"{words}; end the transaction that is in its way, or wait for it") from None
            raise errors.Refused(words) from None

    @contextlib.contextmanager
    def _watch_connection(self, connection: Connection) -> Iterator[None]:
        """Cancels what the connection does where the lock is lost meanwhile."""
        done, lost = threading.Event(), threading.Event()

        def watch() -> None:
            while not done.wait(_WATCH_SECONDS):
                try:
                    self.require_lock()
                except errors.Unavailable:
                    lost.set()
                    with contextlib.suppress(psycopg.Error):
                        connection.cancel_safe(timeout=10.0)
                    return

        watcher = threading.Thread(target=watch, name="burst-stage-lock", daemon=True)
        watcher.start()
        try:
            yield
        except psycopg.Error:
            if lost.is_set():
                self.require_lock()
            raise
        finally:
            done.set()
            watcher.join()


def _refuse_pooler(connection: Connection) -> None:
    """Refuses a pooler, which names another process than the one that answers: it lends one session to many, so that a
    lock is taken twice, and outlives its taker."""
    row = _require_row(connection.execute("SELECT pg_backend_pid() AS pid").fetchone())
    if row["pid"] != connection.info.backend_pid:
        raise errors.Refused(
            "the DSN leads through a pooler, which lends the session of a lock to others; nothing was applied; let the "
            "DSN name the server itself"
        )


def _settle_session(connection: Connection) -> None:
    """Keeps settings of role and server from ending a long change, or the session of the lock."""
    for line in _WORK_SETTINGS:
        connection.execute(line.encode())
    if connection.info.server_version >= _TRANSACTION_TIMEOUT_SINCE:
        connection.execute("SET transaction_timeout = 0")


def _make_room(connection: Connection, change: changes.CreateIndex) -> bool:
    """Whether the index is still to be made; one that was cut is dropped first. Raises `errors.Refused` where another
    has its name, which is then somebody else's."""
    statement = (
        "SELECT namespace.nspname AS schema_name FROM pg_class AS relation"
        " JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace"
        " WHERE relation.oid = to_regclass(%(table)s)"
    )
    table = change_statements.quote_table(change.table).as_string(connection)
    row = connection.execute(statement, {"table": table}).fetchone()
    if row is None:
        return True
    name = changes.TableName(schema=row["schema_name"], name=change.name)
    quoted = change_statements.quote_table(name).as_string(connection)
    statement = (
        "SELECT indisvalid AND indisready AS whole, pg_get_indexdef(indexrelid) AS definition FROM pg_index"
        " WHERE indexrelid = to_regclass(%(name)s)"
    )
    index = connection.execute(statement, {"name": quoted}).fetchone()
    if index is None:
        return True
    if not change_grammar.describes_index(str(index["definition"]), change):
        raise errors.Refused(f"{change.words}: somebody else made another index of this name; it was left as it is")
    if not index["whole"]:
        connection.execute(change_statements.build_statement(changes.DropIndex(index=name)))
    return not index["whole"]


def _exists(connection: Connection, index: changes.TableName) -> bool:
    name = change_statements.quote_table(index).as_string(connection)
    row = connection.execute("SELECT to_regclass(%(name)s) IS NOT NULL AS there", {"name": name}).fetchone()
    return bool(_require_row(row)["there"])


def _has_extension(connection: Connection, name: str) -> bool:
    statement = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = %(name)s) AS there"
    return bool(_require_row(connection.execute(statement, {"name": name}).fetchone())["there"])


def _load_time(connection: Connection) -> datetime:
    at = _require_row(connection.execute("SELECT pg_conf_load_time() AS at").fetchone())["at"]
    assert isinstance(at, datetime)  # noqa: S101 (the type of the column)
    return at


def _require_row(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise errors.Unavailable("the database gave no answer where it always gives one")
    return row


def _describe_holder(holder: dict[str, Any] | None) -> str:
    if holder is None or holder["since"] is None:
        return ""
    since = instants.text(holder["since"])
    return f": by role {holder['role']} in database {holder['database']} since {since}, process {holder['pid']}"
