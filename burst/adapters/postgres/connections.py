"""Connections that can change nothing: work done in a read-only transaction, in time, or a `BurstError`.

Every call opens its own connection, because bursts count seldom, and a kept one would be the stale one after an
outage. Connections are kept only for a caller that asks much at once and is soon done, as preflight is.

The work runs on a thread of its own, which is abandoned when the time is up: a server that is frozen, or behind a
broken network, must not freeze the controller. There is one abandoned query at a time: until it answers, nothing more
is asked, so that a burst does not gather one for each of its live counts. Once a live server would have cancelled it,
the connection is given up, because then the network holds it, and a new one may get through. libpq's keepalives end a
dead connection soon.

A password may change while a run goes on, as the tokens of RDS do every 15 minutes. So the DSN is resolved again when a
server refuses it, once a connection. Several hosts of a DSN, and several addresses of a host's name, share the patience
of one connection, and the one that answered last comes first.

Each transaction has settings of its own (`SessionLimits`), so that no count hurts the database, whatever its role is
given. `figures` says what the driver did.
"""

import contextlib
import functools
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, TypeVar

import psycopg
import sqlalchemy
import tenacity
from psycopg import conninfo
from sqlalchemy.dialects.postgresql import psycopg as dialects

from burst.adapters.postgres import driver_meter, failures
from burst.domain.basics import errors, instants, redaction
from burst.domain.receipts import driver_figures

T = TypeVar("T")

ATTEMPTS_MAX = 3
DSN_ALLOWED = "postgresql://user@host:port/database or host=... dbname=..."
_QUOTED = "write an @ of a name or a password as %40, and a / as %2F"

# libpq's: a peer that acknowledges nothing is gone. The kernel of a server that only thinks acknowledges all the time.
_DEAD_AFTER = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
_URL_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_NAME_BYTES_MAX = 63
_SHORTEST_TIMEOUT_SECONDS = 2
"""libpq takes a shorter one for this."""
# Without row_security Postgres refuses a query from which a policy would hide rows; with it they would not be counted.
# Year first and UTC, whatever the server's habit: a date such as 02/03/2026 is then refused, not guessed.
# The driver's own BEGIN would be a round trip more.
_BEGIN = """\
BEGIN ISOLATION LEVEL {isolation} READ ONLY;
SET LOCAL statement_timeout = {statement_milliseconds};
SET LOCAL lock_timeout = {lock_milliseconds};
SET LOCAL idle_in_transaction_session_timeout = {idle_milliseconds};
SET LOCAL work_mem = {work_mem_kilobytes};
SET LOCAL max_parallel_workers_per_gather = {parallel_workers};
SET LOCAL row_security = off;
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD'"""
_PREPARES_AFTER = 2
# The plan of a poll reads the blocks behind a mark wherever that lies, so it is made once.
_PLANS_ONCE = """;
SET LOCAL plan_cache_mode = force_generic_plan"""
_STATEMENT_SHARE, _LOCK_SHARE = 0.9, 0.8
"""How much of the time that is left a statement may take, and a wait for a lock: so the server says what took so long
before nobody listens any more."""
# No SELECT may stand here: it would take the transaction's snapshot before the clock is read.
_TRANSACTION_TIMEOUT = """;
SET LOCAL transaction_timeout = 0;
SET LOCAL transaction_timeout = {transaction_milliseconds}"""
"""Of Postgres 17 and later. A timer of the role's own that runs already is only ended by 0, and never made longer."""

# LOCK takes no snapshot. Without it a table that is rewritten while a count waits for its lock looks empty to the older
# snapshot, and its columns have types that the catalog did not show. Not every relation can be locked by every reader:
# where it cannot, the transaction goes on without.
_STEADY = """;
SAVEPOINT burst_steady;
LOCK TABLE ONLY {table} IN ACCESS SHARE MODE;
RELEASE SAVEPOINT burst_steady"""
_UNSTEADY = "ROLLBACK TO SAVEPOINT burst_steady"

Isolation: TypeAlias = Literal["REPEATABLE READ", "READ COMMITTED"]
Work: TypeAlias = Callable[[sqlalchemy.Connection], T]
ResolveDsn: TypeAlias = Callable[[], redaction.Secret]
"""Resolves the reference of a DSN to its present value. Raises as `secrets.resolve`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one attempt may take: to connect, to run a statement, and to wait for a lock."""

    statement_seconds: float = 30.0
    lock_seconds: float = 5.0
    connect_seconds: float = 5.0

    @property
    def attempt_seconds(self) -> float:
        """After so long a live server has answered, or cancelled the statement."""
        return self.connect_seconds + self.statement_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What one transaction may take of the server, whatever the server or the role would allow.

    They hold for burst's own transactions alone (`SET LOCAL`), so that they mean the same on every server.
    """

    work_mem_kilobytes: int = 16_384
    """Enough for the groups of 100,000 buckets in memory, and small beside any server's: a larger sort goes to disk."""
    parallel_workers: int = 2
    """Postgres' own default, where a server may allow many more. While a burst runs they are the ingest's: 0 then."""
    idle_seconds: float = 10.0
    """No pause between two statements of a transaction is as long, so only a frozen burst meets this: else it would
    hold back VACUUM for as long as it is frozen. It asks again once it goes on."""
    transaction_margin_seconds: float = 5.0
    """How much longer than the answer is waited for a transaction may last: it cuts no count that anybody waits for."""


_USUAL_LIMITS = SessionLimits()


class _Patience(threading.local):
    """The time that the attempt on this thread has left when it connects."""

    seconds_left: float = 0.0


class ReadOnlyDatabase:
    """One database, asked in read-only transactions, which see what was committed when they began.

    `polls` is for one kept connection that asks the same again and again: each statement sees what is committed when it
    begins, and is prepared. Behind a pooler that gives each transaction another server the latter ends by itself.
    A function for the `dsn` resolves it, at once and again at a login refusal. `now` is this side of the clock. With
    `kept_connections` that many serve every call, side by side, until `close`. Raises `errors.UsageError` where the DSN
    cannot be read.
    """

    def __init__(
        self,
        dsn: redaction.Secret | ResolveDsn,
        *,
        application_name: str,
        timeouts: Timeouts,
        limits: SessionLimits = _USUAL_LIMITS,
        kept_connections: int = 0,
        polls: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._isolation: Isolation = "READ COMMITTED" if polls else "REPEATABLE READ"
        self._prepares = polls
        self._credentials = _Credentials(dsn)
        self._limits = limits
        self._meter = driver_meter.DriverMeter()
        self._application_name = application_name.encode()[:_NAME_BYTES_MAX].decode(errors="ignore")
        self._timeouts = timeouts
        self._kept = self._keep_connections(kept_connections) if kept_connections else None
        self._exchanging = threading.Lock()
        self._met: sqlalchemy.Engine | None = None
        """The engine that has connected, without a connection: it knows the server, and the statements that it sent."""
        self._patience = _Patience()
        self._now = now
        self._unanswered: futures.Future[Any] | None = None
        """The last query that was not answered in time; None where there was none, or it counts as lost."""
        self._lost_at = 0.0
        """The monotonic instant at which the unanswered query counts as lost."""

    @property
    def figures(self) -> driver_figures.DriverFigures:
        """What the driver did so far, over all connections."""
        return self._meter.figures

    def redact(self, text: str) -> str:
        """A text without any DSN that was used, and the password in it."""
        return self._credentials.redact(text)

    def close(self) -> None:
        """Closes the kept connections, each once it is idle."""
        self._exchange_kept(lambda _: None)

    def perform(self, act: str, work: Work[T], give_up_at: datetime, *, steady: str = "") -> T:
        """Does the work in a transaction of its own, again after a transient failure; translates every error.

        `steady` is the quoted name of a table that nobody may rewrite or exchange from before the transaction's
        snapshot to its end.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(failures.is_transient),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=2.0, jitter=0.2),
            stop=lambda state: (
                state.attempt_number >= ATTEMPTS_MAX or self._seconds_left(give_up_at) <= state.upcoming_sleep
            ),
            before_sleep=lambda _: self._meter.count(driver_figures.DriverFigures(retries=1)),
            reraise=True,
        )
        try:
            return retrying(lambda: self._attempt(work, give_up_at, steady))
        except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error, TimeoutError) as failure:
            attempts = retrying.statistics["attempt_number"]
            # `from None`: the cause holds words that were not redacted.
            raise failures.translate(failure, act=act, attempts=attempts, redact=self.redact) from None

    def _attempt(self, work: Work[T], give_up_at: datetime, steady: str) -> T:
        seconds_left = self._seconds_left(give_up_at)
        if seconds_left <= 0:
            raise errors.Unavailable(f"no time left to ask the database: it was {instants.text(give_up_at)} already")
        if self._unanswered is not None and not self._unanswered.done():
            if time.monotonic() < self._lost_at:
                raise TimeoutError(
                    "the database has not answered the query before this one, so it is asked nothing more"
                )
            self._give_up_unanswered()
        patience_seconds = min(seconds_left, self._timeouts.attempt_seconds)
        return self._run_within(patience_seconds, lambda: self._transact(work, seconds_left, steady))

    def _give_up_unanswered(self) -> None:
        """Goes on without the connection of a query that counts as lost, and without its place among the kept ones."""
        self._unanswered = None
        self._exchange_kept(lambda lost: self._keep_connections(lost.number))

    def _exchange_kept(self, choose: "Callable[[_KeptConnections], _KeptConnections | None]") -> None:
        """Ends the kept connections, where there are any, and keeps those that are chosen for them."""
        with self._exchanging:
            kept = self._kept
            if kept is not None:
                self._kept = choose(kept)
                kept.end()

    def _run_within(self, seconds: float, work: Callable[[], T]) -> T:
        """What the work returns. Raises TimeoutError when it takes longer, and leaves it to end by itself."""
        outcome: futures.Future[T] = futures.Future()
        lost_at = time.monotonic() + self._timeouts.attempt_seconds

        def run() -> None:
            try:
                outcome.set_result(work())
            except BaseException as failure:  # the caller raises it
                outcome.set_exception(failure)

        threading.Thread(target=run, name="burst-postgres", daemon=True).start()
        try:
            return outcome.result(timeout=seconds)
        except TimeoutError:
            self._unanswered, self._lost_at = outcome, lost_at
            words = f"no answer within {seconds:.1f} s from {self._credentials.list_hosts()}"
            raise TimeoutError(words) from None

    def _transact(self, work: Work[T], seconds_left: float, steady: str) -> T:
        # An engine for each attempt until one has connected: its first connection holds a lock, which a frozen server
        # would never give back.
        kept = self._kept
        engine = kept.engine if kept else self._met or _engine(self._connect_in_time, poolclass=sqlalchemy.NullPool)
        self._patience.seconds_left = seconds_left
        turn = kept.take_turn(self._timeouts.attempt_seconds) if kept else contextlib.nullcontext()
        with turn, engine.connect() as connection:
            if kept is None:
                self._met = engine
            with connection.begin():
                self._begin(connection, self._render_beginning(connection, seconds_left), steady)
                return self._work_prepared(work, connection) if self._prepares else work(connection)

    def _execute_script(self, connection: sqlalchemy.Connection, script: str) -> None:
        """Executes several statements at once, which cannot be prepared."""
        driver_connection = connection.connection.driver_connection
        if self._prepares and isinstance(driver_connection, psycopg.Connection):
            driver_connection.execute(script.encode(), prepare=False)
        else:
            connection.exec_driver_sql(script.replace("%", "%%"))

    def _work_prepared(self, work: Work[T], connection: sqlalchemy.Connection) -> T:
        """Prepares nothing more once a server does not know what was prepared: then a pooler stands before it."""
        try:
            return work(connection)
        except sqlalchemy.exc.DBAPIError as failure:
            if failures.read_state(failure) in failures.PREPARED_ELSEWHERE:
                self._prepares = False
                connection.invalidate()
            raise

    def _begin(self, connection: sqlalchemy.Connection, beginning: str, steady: str) -> None:
        """Begins a transaction within its limits, and keeps a table steady, in one round trip."""
        if not steady:
            self._execute_script(connection, beginning)
            return
        try:
            self._execute_script(connection, beginning + _STEADY.format(table=steady))
        except (sqlalchemy.exc.DBAPIError, psycopg.Error) as failure:
            if not failures.is_about_the_query(failure):
                raise
            self._execute_script(connection, _UNSTEADY)  # where the table is not there, the work says so

    def _render_beginning(self, connection: sqlalchemy.Connection, seconds_left: float) -> str:
        driver_connection = connection.connection.driver_connection
        statement_seconds = min(self._timeouts.statement_seconds, _STATEMENT_SHARE * seconds_left)
        settings = _BEGIN + (_PLANS_ONCE if self._prepares else "")
        if isinstance(driver_connection, driver_meter.MeteredConnection):
            driver_connection.limit_seconds = statement_seconds
            settings += _TRANSACTION_TIMEOUT if driver_connection.info.server_version >= 170000 else ""
        return settings.format(
            isolation=self._isolation,
            statement_milliseconds=_milliseconds(statement_seconds),
            lock_milliseconds=_milliseconds(min(self._timeouts.lock_seconds, _LOCK_SHARE * seconds_left)),
            idle_milliseconds=_milliseconds(self._limits.idle_seconds),
            work_mem_kilobytes=self._limits.work_mem_kilobytes,
            parallel_workers=self._limits.parallel_workers,
            transaction_milliseconds=_milliseconds(
                self._timeouts.attempt_seconds + self._limits.transaction_margin_seconds
            ),
        )

    def _keep_connections(self, number: int) -> "_KeptConnections":
        return _KeptConnections(number, lambda: self._connect(self._timeouts.connect_seconds))

    def _connect_in_time(self) -> psycopg.Connection[Any]:
        return self._connect(self._patience.seconds_left)

    def _connect(self, seconds_left: float) -> psycopg.Connection[Any]:
        """Connects; where the password is refused, once more with the present one, if that is another."""
        refused_dsn = self._credentials.dsn
        try:
            return self._connect_once(seconds_left)
        except psycopg.OperationalError as failure:
            if not failures.is_wrong_password(failure) or not self._credentials.renew(refused_dsn):
                raise
        return self._connect_once(seconds_left)

    def _connect_once(self, seconds_left: float) -> psycopg.Connection[Any]:
        parameters = {**_DEAD_AFTER, **self._credentials.order_hosts()}
        parameters["application_name"] = self._application_name
        shared_seconds = min(self._timeouts.connect_seconds, seconds_left) / len(_split_hosts(parameters))
        parameters["connect_timeout"] = max(_SHORTEST_TIMEOUT_SECONDS, math.floor(shared_seconds))
        connection = driver_meter.MeteredConnection.connect(
            **parameters,
            autocommit=True,
            prepare_threshold=_PREPARES_AFTER if self._prepares else None,
            cursor_factory=driver_meter.MeteredCursor,
        )
        connection.begin_counting(self._meter, self._timeouts.attempt_seconds)
        self._credentials.note_answer(connection.info)
        return connection

    def _seconds_left(self, give_up_at: datetime) -> float:
        return instants.seconds_between(self._now(), give_up_at)


class _KeptConnections:
    """So many connections, each made where it is first needed, and kept."""

    def __init__(self, number: int, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self.number = number
        self.engine = _engine(connect, poolclass=sqlalchemy.QueuePool, pool_size=number, max_overflow=0)
        self._turns = threading.BoundedSemaphore(number)

    @contextlib.contextmanager
    def take_turn(self, seconds: float) -> Iterator[None]:
        """Waits until a connection is free, or may be made. The pool's own queue would not learn that a connection
        could not be made, and let each question behind it wait to the end of its time."""
        if not self._turns.acquire(timeout=seconds):
            raise TimeoutError(f"every connection was in use for {seconds:g} s")
        try:
            yield
        finally:
            self._turns.release()

    def end(self) -> None:
        """Closes them, each once it is idle: where a question is open, its connection ends when it comes back."""
        sqlalchemy.event.listen(self.engine, "checkin", lambda _, record: record.invalidate())
        self.engine.dispose()


class _Credentials:
    """The DSN as it is now, with every one that was used before. Threads may use it."""

    def __init__(self, dsn: redaction.Secret | ResolveDsn) -> None:
        self._resolve = dsn if callable(dsn) else None
        self.dsn = dsn() if callable(dsn) else dsn
        self._used = [self.dsn]
        self._parameters = read_parameters(self.dsn.reveal())
        self._answered_last: _Host | None = None
        self._lock = threading.Lock()

    def redact(self, text: str) -> str:
        return functools.reduce(lambda words, secret: secret.redact(words), self._used, text)

    def renew(self, refused: redaction.Secret) -> bool:
        """Whether the DSN is another one than the refused one, after it was resolved again.

        Raises `errors.Unavailable` where nobody can tell now; a reference that does not resolve gives no other one.
        """
        with self._lock:
            if self._resolve is None or self.dsn.reveal() != refused.reveal():
                return self._resolve is not None
            try:
                present = self._resolve()
                parameters = read_parameters(present.reveal())
            except errors.Unavailable:
                raise
            except errors.BurstError:
                return False
            if present.reveal() == refused.reveal():
                return False
            self._used.append(present)
            self.dsn, self._parameters = present, parameters
            return True

    def order_hosts(self) -> dict[str, Any]:
        """libpq's parameters with each address of each host, the one that answered last before the others."""
        named = _split_hosts(self._parameters)
        hosts = [address for host in named for address in _list_addresses(host)]
        if len(hosts) < 2 and hosts == named:
            return self._parameters
        hosts.sort(key=lambda host: host != self._answered_last)
        lists = {"host": [host.name for host in hosts], "port": [host.port for host in hosts]}
        lists["hostaddr"] = [host.address for host in hosts]
        return {**self._parameters, **{name: ",".join(values) for name, values in lists.items() if any(values)}}

    def note_answer(self, connection: psycopg.ConnectionInfo) -> None:
        """Remembers the address that answered."""
        for host in _split_hosts(self._parameters):
            if connection.host in (host.name, host.address) and (not host.port or host.port == str(connection.port)):
                self._answered_last = replace(host, address=connection.hostaddr if host.is_remote else host.address)

    def list_hosts(self) -> str:
        """The hosts as messages name them."""
        return ", ".join(map(str, _split_hosts(self._parameters)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """One host of a DSN; empty where the DSN leaves it to libpq."""

    name: str
    address: str
    port: str

    @property
    def is_remote(self) -> bool:
        """Whether it is reached over the network, and not by a socket in a folder."""
        return bool(self.address) or (bool(self.name) and not self.name.startswith(("/", "@")))

    def __str__(self) -> str:
        place = self.name or self.address or "libpq's default host"
        return f"{place}:{self.port}" if self.port else place


def _split_hosts(parameters: Mapping[str, Any]) -> list[_Host]:
    """The hosts of libpq's parameters, which keeps them in lists of the same length; one port may serve for all."""
    lists = {name: str(parameters.get(name) or "").split(",") for name in ("host", "hostaddr", "port")}
    number = max(len(lists["host"]), len(lists["hostaddr"]))
    whole = {name: values * number if len(values) == 1 else values for name, values in lists.items()}
    return [
        _Host(name=name, address=address, port=port)
        for name, address, port in zip(whole["host"], whole["hostaddr"], whole["port"], strict=False)
    ]


def _list_addresses(host: _Host) -> list[_Host]:
    """The host once for each address of its name, because each is tried for as long as a connection may take."""
    if host.address or not host.is_remote:
        return [host]
    try:
        answers = socket.getaddrinfo(host.name, host.port or None, type=socket.SOCK_STREAM)
    except OSError:
        return [host]  # the driver says so in its own words
    addresses = dict.fromkeys(str(answer[4][0]) for answer in answers)
    return [replace(host, address=address) for address in addresses]


def read_parameters(dsn: str) -> dict[str, Any]:
    """libpq's parameters of a URL or keyword DSN. Raises `errors.UsageError`, which never quotes the DSN."""
    scheme = _URL_SCHEME.match(dsn)
    if scheme and scheme.group(1) not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise errors.UsageError(f"the DSN's scheme is {scheme.group(1)}:// where {DSN_ALLOWED} was expected")
    try:
        parameters = conninfo.conninfo_to_dict("postgresql://" + dsn[scheme.end() :] if scheme else dsn)
    except psycopg.Error:
        raise errors.UsageError(f"the DSN cannot be read (hidden, it may hold a password): use {DSN_ALLOWED}") from None
    if scheme and _has_two_readings(dsn[scheme.end() :]):
        raise errors.UsageError(f"the DSN's URL can be read in two ways (hidden, it may hold a password): {_QUOTED}")
    if "://" in str(parameters.get("dbname", "")):
        raise errors.UsageError(
            f"the DSN's dbname is a URL (hidden, it may hold a password): give the URL alone, or use {DSN_ALLOWED}"
        )
    return {**parameters, "client_encoding": "UTF8"}


def _has_two_readings(address: str) -> bool:
    """Whether libpq ends the password at a mark that whoever wrote it took for a part of it: libpq would then take the
    rest for a host or a database, ask a name server for it, and name it in its messages."""
    login, at, _ = address.partition("?")[0].rpartition("@")
    return bool(at) and ("@" in login or "/" in login)


class SilentDialect(dialects.PGDialect_psycopg):
    """SQLAlchemy's Postgres, which asks a new connection nothing: such questions would run outside of every
    transaction of burst, with the role's own isolation and without limits, and burst needs none of their answers."""

    supports_statement_cache = True

    def initialize(self, connection: sqlalchemy.Connection) -> None:
        """Asks nothing."""


sqlalchemy.dialects.registry.register("postgresql.burst", __name__, SilentDialect.__name__)


def _engine(connect: Callable[[], psycopg.Connection[Any]], **pool: Any) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        "postgresql+burst://", creator=connect, hide_parameters=True, use_native_hstore=False, **pool
    )


def _milliseconds(seconds: float) -> int:
    return max(1, math.floor(seconds * 1000))
