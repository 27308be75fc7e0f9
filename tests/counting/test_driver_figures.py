"""What the driver did, against what went over the wire: a relay reads Postgres' own protocol between the two."""

import contextlib
import secrets
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from burst.adapters.postgres import connections, driver_meter, postgres_receipts
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import driver_figures, receipt_table
from burst.task import counting
from tests import waiting
from tests.counting import strange_server

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))


def soon(seconds: float = 20) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@dataclass(slots=True)
class Wire:
    """The messages of all connections, by the letter of their kind, and the bytes of the values in rows."""

    port: int = 0
    connections: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    value_bytes: int = 0
    prepared: set[bytes] = field(default_factory=set)
    outside: list[bytes] = field(default_factory=list)
    """What was asked while no transaction was open."""

    def hear_question(self, kind: str, body: bytes, *, is_outside: bool) -> None:
        self.asked[kind] += 1
        if is_outside and kind in ("Q", "P"):
            self.outside.append(body)
        if kind == "P" and not body.startswith(b"\0"):
            self.prepared.add(body.partition(b"\0")[0])

    def hear_answer(self, kind: str, body: bytes) -> None:
        self.answered[kind] += 1
        if kind == "D":
            at = 2
            while at < len(body):
                (length,) = struct.unpack_from("!i", body, at)
                at += 4 + max(0, length)
                self.value_bytes += max(0, length)

    @property
    def answers(self) -> int:
        """The answers that were waited for, without that to each login."""
        return self.answered["Z"] - self.connections


class Messages:
    """Splits a stream into messages. The first one of a client has no letter."""

    def __init__(self, *, begins_bare: bool) -> None:
        self._bytes = b""
        self._bare = begins_bare

    def feed(self, more: bytes) -> Iterator[tuple[str, bytes]]:
        self._bytes += more
        while True:
            head = 0 if self._bare else 1
            if len(self._bytes) < head + 4:
                return
            (length,) = struct.unpack_from("!i", self._bytes, head)
            if len(self._bytes) < head + length:
                return
            kind, body = self._bytes[:head].decode(), self._bytes[head + 4 : head + length]
            self._bytes, self._bare = self._bytes[head + length :], False
            yield kind, body


@pytest.fixture
def wire(database_dsn: str) -> Iterator[tuple[Wire, str]]:
    """A relay to the test's database, and the DSN that leads through it."""
    given_parameters = psycopg.conninfo.conninfo_to_dict(database_dsn)
    target, heard = f"{given_parameters['host']}/.s.PGSQL.{given_parameters['port']}", Wire()

    def relay(client: socket.socket) -> None:
        asked, answered = Messages(begins_bare=True), Messages(begins_bare=False)
        status = b"I"
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(target)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    chunk = source.recv(65536)
                    if not chunk:
                        return
                    if source is client:
                        for kind, body in asked.feed(chunk):
                            heard.hear_question(kind, body, is_outside=status == b"I")
                        server.sendall(chunk)
                    else:
                        for kind, body in answered.feed(chunk):
                            heard.hear_answer(kind, body)
                            status = body if kind == "Z" else status
                        client.sendall(chunk)

    def greet(client: socket.socket) -> None:
        heard.connections += 1
        threading.Thread(target=relay, args=[client.dup()], daemon=True).start()

    with strange_server.listening(greet) as (port, _):
        words = f"dbname={given_parameters['dbname']} user={given_parameters['user']}"
        password = given_parameters["password"]
        yield heard, f"host=127.0.0.1 port={port} {words} password={password} sslmode=disable gssencmode=disable"


def fill(dsn: str, rows: int = 300) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into receipts (platform_run_id, decision, created_at_utc, event_id)"
            " select 'a', 'ADMIT', (timestamptz '2026-02-21 02:00Z' + n * interval '1 second')::text, n::text"
            " from generate_series(1, %s) n",
            [rows],
        )


@pytest.mark.parametrize("kept_connections", [0, 1, 2])
def test_the_figures_are_those_of_the_wire(database_dsn: str, wire: tuple[Wire, str], kept_connections: int) -> None:
    heard, dsn = wire
    fill(database_dsn)
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn), columns=counting.COLUMNS, kept_connections=kept_connections
    )

    source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    source.open_writers(give_up_at=soon())
    source.clock(give_up_at=soon())
    source.ask("select repeat('x', 1000)", scope="a", give_up_at=soon())
    with pytest.raises(errors.UsageError):
        source.ask("select nothing", scope="a", give_up_at=soon())
    figures = source.read_figures()
    source.close()

    assert figures.connections == heard.connections == (6 if kept_connections == 0 else 1)
    assert figures.rows == heard.answered["D"] > 7
    assert figures.bytes_received == heard.value_bytes > 1000
    assert figures.round_trips == heard.answers > figures.statements
    assert figures.prepared == figures.reused == len(heard.prepared) == 0
    assert 0 < figures.largest_wait_seconds <= figures.database_seconds < 20
    assert figures.retries == 0


def test_what_is_prepared_and_used_again_is_counted_where_it_is_sent(wire: tuple[Wire, str]) -> None:
    heard, dsn = wire
    meter = driver_meter.DriverMeter()
    with driver_meter.MeteredConnection.connect(
        dsn, prepare_threshold=0, cursor_factory=driver_meter.MeteredCursor
    ) as connection:
        connection.begin_counting(meter, 5.0)
        for number in range(7):
            connection.execute("select %s::int", [number])
        connection.execute("select 'another'")
        connection.commit()
        query = "select count(*) from pg_prepared_statements"
        (there,) = psycopg.Cursor(connection).execute(query, prepare=False).fetchone() or (0,)

    assert there == len(heard.prepared) == 2
    assert (meter.figures.prepared, meter.figures.reused, meter.figures.statements) == (2, 6, 8)
    assert meter.figures.rows == 8


def test_two_connections_name_no_prepared_statement_alike_so_that_a_pooler_cannot_mix_them_up(
    wire: tuple[Wire, str],
) -> None:
    heard, dsn = wire
    for _ in range(2):
        database = connections.ReadOnlyDatabase(
            redaction.Secret(dsn),
            application_name="burst",
            timeouts=connections.Timeouts(),
            kept_connections=1,
            polls=True,
        )
        for _ in range(4):
            database.perform("asking", lambda connection: connection.execute(sqlalchemy.text("select 1")).all(), soon())
        database.close()

    assert heard.connections == 2
    assert len(heard.prepared) == 2


def test_attempts_after_the_first_are_retries(wire: tuple[Wire, str]) -> None:
    _, dsn = wire
    with strange_server.listening(lambda client: client.close()) as (port, _):
        source = postgres_receipts.PostgresReceipts(
            redaction.Secret(f"host=127.0.0.1 port={port} dbname=x"), columns=counting.COLUMNS
        )
        with pytest.raises(errors.Unavailable):
            source.clock(give_up_at=soon())

    assert source.read_figures() == driver_figures.DriverFigures(retries=2)
    assert (
        postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS).read_figures()
        == driver_figures.DriverFigures()
    )


def test_a_statement_without_an_answer_counts_for_as_long_as_the_server_lets_it_run(database_dsn: str) -> None:
    database = connections.ReadOnlyDatabase(
        redaction.Secret(database_dsn), application_name="burst", timeouts=connections.Timeouts(statement_seconds=3)
    )
    slow = sqlalchemy.text("select pg_sleep(30)")
    with futures.ThreadPoolExecutor() as threads:
        asking = threads.submit(
            database.perform, "a slow question", lambda connection: connection.execute(slow).all(), soon()
        )
        seen = waiting.until(
            lambda: figures if (figures := database.figures).database_seconds > 0.3 else None, what="the time to count"
        )
        still_asking = not asking.done()
        with pytest.raises(errors.Unavailable, match="took too long"):
            asking.result(30)

    assert still_asking
    assert seen.statements == database.figures.statements
    assert 3 <= database.figures.database_seconds < 6, "the sleep would take 30"
    assert database.figures.largest_wait_seconds >= 3


FIGURES = st.builds(
    driver_figures.DriverFigures,
    connections=st.integers(0, 9),
    rows=st.integers(0, 10**9),
    database_seconds=st.floats(0, 1e6),
    largest_wait_seconds=st.floats(0, 1e6),
)


@given(FIGURES, FIGURES, FIGURES)
def test_figures_add_up_in_any_order(
    one: driver_figures.DriverFigures, two: driver_figures.DriverFigures, three: driver_figures.DriverFigures
) -> None:
    whole = one + two + three

    assert whole.rows == (three + one + two).rows == one.rows + two.rows + three.rows
    assert whole.largest_wait_seconds == max(part.largest_wait_seconds for part in (one, two, three))
    assert one + driver_figures.DriverFigures() == one
    assert one.take_later(one + two) == (one + two).take_later(one) == one + two


# The settings of burst's own transactions


def test_a_transaction_takes_no_more_of_the_server_than_it_needs(database_dsn: str) -> None:
    database = connections.ReadOnlyDatabase(
        redaction.Secret(database_dsn),
        application_name="burst",
        timeouts=connections.Timeouts(statement_seconds=7, connect_seconds=2),
        limits=connections.SessionLimits(parallel_workers=0),
    )
    names = (
        *("work_mem", "max_parallel_workers_per_gather"),
        *("idle_in_transaction_session_timeout", "transaction_timeout"),
    )
    query = sqlalchemy.text(f"select {', '.join(f'current_setting({name!r})' for name in names)}")

    (row,) = database.perform("reading settings", lambda connection: connection.execute(query).all(), soon())

    assert tuple(row) == ("16MB", "0", "10s", "14s")


def test_the_plan_of_a_poll_is_made_once_and_that_of_any_other_question_for_its_values(database_dsn: str) -> None:
    query = sqlalchemy.text("select current_setting('plan_cache_mode')")

    for polls, mode in ((True, "force_generic_plan"), (False, "auto")):
        database = connections.ReadOnlyDatabase(
            redaction.Secret(database_dsn),
            application_name="burst",
            timeouts=connections.Timeouts(),
            kept_connections=int(polls),
            polls=polls,
        )
        assert database.perform("reading a setting", lambda asked: asked.execute(query).scalar_one(), soon()) == mode
        database.close()


def test_no_question_asks_the_server_about_itself(database_dsn: str) -> None:
    """SQLAlchemy would ask a server that it does not know for its version and more."""
    database = connections.ReadOnlyDatabase(
        redaction.Secret(database_dsn), application_name="burst", timeouts=connections.Timeouts()
    )

    def ask() -> int:
        before = database.figures.statements
        database.perform("asking", lambda asked: asked.execute(sqlalchemy.text("select 1")).all(), soon())
        return database.figures.statements - before

    assert [ask() for _ in range(3)] == [2, 2, 2], "the settings and the question"
    assert database.figures.connections == 3


def test_every_statement_is_asked_within_a_transaction_that_can_only_read(
    database_dsn: str, wire: tuple[Wire, str]
) -> None:
    heard, dsn = wire
    fill(database_dsn)
    source = postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS)
    missing = postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn), columns=counting.COLUMNS, form=receipt_table.TableForm(name="elsewhere")
    )

    source.open(soon())
    assert source.wait_for_mark(20)
    counter = source.follow(
        start=datetime.now(UTC), until=soon(), scope="a", settle_seconds=0.0, every_seconds=1.0, patience_seconds=10.0
    )
    for _ in range(3):
        counter.poll(datetime.now(UTC))
    source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    with pytest.raises(errors.UsageError, match="elsewhere"):
        missing.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    source.close()

    beginnings = {question.partition(b" READ ONLY;")[0] for question in heard.outside}
    assert beginnings == {b"BEGIN ISOLATION LEVEL REPEATABLE READ", b"BEGIN ISOLATION LEVEL READ COMMITTED"}


def test_a_role_whose_own_transactions_wait_for_every_writer_counts_at_once(database_dsn: str) -> None:
    """Its serializable transactions would wait until no serializable writer is left."""
    fill(database_dsn)
    role = f"patient_{secrets.token_hex(4)}"
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute(f"create role {role} login password 'x'; grant select on receipts to {role}".encode())
        for setting in ("isolation = serializable", "read_only = on", "deferrable = on"):
            owner.execute(f"alter role {role} set default_transaction_{setting}".encode())
        owner.execute("begin isolation level serializable; insert into receipts (platform_run_id) values ('b')")
        source = postgres_receipts.PostgresReceipts(
            redaction.Secret(f"postgresql://{role}:x@{database_dsn.partition('@')[2]}"), columns=counting.COLUMNS
        )
        try:
            counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon(10))
        finally:
            owner.execute("rollback")
            owner.execute(f"drop owned by {role}; drop role {role}".encode())

    assert counted.counts.admit == 300


def test_the_settings_end_with_the_transaction(database_dsn: str) -> None:
    """A pooler gives the session to others."""
    database = connections.ReadOnlyDatabase(
        redaction.Secret(database_dsn), application_name="burst", timeouts=connections.Timeouts(), kept_connections=1
    )
    held: list[psycopg.Connection] = []

    def work(connection: sqlalchemy.Connection) -> None:
        driver_connection = connection.connection.driver_connection
        assert isinstance(driver_connection, psycopg.Connection)
        held.append(driver_connection)

    database.perform("holding a connection", work, soon())
    left = held[0].execute("select current_setting('transaction_timeout'), current_setting('work_mem')").fetchone()
    database.close()

    assert left == ("0", "4MB")


def test_a_transaction_that_nobody_waits_for_is_ended_by_the_server(database_dsn: str) -> None:
    """A role may have a timer that ends sooner: burst's own takes its place, and is a real one."""
    database = connections.ReadOnlyDatabase(
        redaction.Secret(database_dsn),
        application_name="burst/transaction",
        timeouts=connections.Timeouts(statement_seconds=0.5, connect_seconds=5),
        limits=connections.SessionLimits(transaction_margin_seconds=-5.0),
    )
    short = sqlalchemy.text("select pg_sleep(0.05)")  # none comes near its own time

    def work(connection: sqlalchemy.Connection) -> None:
        for _ in range(40):
            connection.execute(short)

    with pytest.raises(errors.Unavailable, match="transaction timeout"):
        database.perform("working for long", work, soon())


def test_a_role_that_is_frozen_in_a_transaction_holds_nothing_back_for_long(database_dsn: str) -> None:
    database = connections.ReadOnlyDatabase(
        redaction.Secret(database_dsn),
        application_name="burst/frozen",
        timeouts=connections.Timeouts(),
        limits=connections.SessionLimits(idle_seconds=1.0),
    )
    answers: list[object] = []
    pids = sqlalchemy.text("select pg_backend_pid()")

    def work(connection: sqlalchemy.Connection) -> object:
        answers.append(connection.execute(pids).scalar_one())
        if len(answers) == 1:
            with psycopg.connect(database_dsn, autocommit=True) as watcher:
                alive = "select 1 from pg_stat_activity where pid = %s"
                waiting.until(lambda: not watcher.execute(alive, answers).fetchall(), what="the session to be ended")
        return connection.execute(pids).scalar_one()

    answer = database.perform("freezing in a transaction", work, soon())

    assert answer == answers[1] != answers[0]
    assert database.figures.retries == 1
