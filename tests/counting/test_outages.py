"""Postgres away, slow, frozen or back again: said in time, asked at most three times, and never with the password."""

import contextlib
import os
import signal
import socket
import threading
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from burst.adapters.postgres import connections, postgres_receipts
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import receipts
from burst.sandbox import embedded_postgres
from burst.task import counting
from tests import waiting
from tests.counting import strange_server

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))
PASSWORD = "hunt er2/%"


def source_of(
    dsn: str,
    *,
    application_name: str = "burst",
    statement_seconds: float = 30.0,
    lock_seconds: float = 5.0,
    connect_seconds: float = 10.0,
    kept_connections: int = 0,
) -> postgres_receipts.PostgresReceipts:
    return postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn),
        columns=counting.COLUMNS,
        application_name=application_name,
        timeouts=connections.Timeouts(
            statement_seconds=statement_seconds, lock_seconds=lock_seconds, connect_seconds=connect_seconds
        ),
        kept_connections=kept_connections,
    )


def backend(source: postgres_receipts.PostgresReceipts) -> object:
    """The server's process that answers."""
    give_up_at = datetime.now(UTC) + timedelta(seconds=20)
    return source.ask("select pg_backend_pid()", scope="a", give_up_at=give_up_at)


def counted(source: postgres_receipts.PostgresReceipts, seconds: float = 20.0) -> receipts.Counts:
    give_up_at = datetime.now(UTC) + timedelta(seconds=seconds)
    return source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=give_up_at).counts


def dsn_of(port: int) -> str:
    password = urllib.parse.quote(PASSWORD, safe="")
    return f"postgresql://burst:{password}@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"


@contextlib.contextmanager
def locked(dsn: str) -> Iterator[psycopg.Connection]:
    """Holds the receipts table, which has one row, so that nobody can read it."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into receipts (decision, created_at_utc, platform_run_id) values ('ADMIT', %s, 'a')", [START]
        )
        connection.commit()
        connection.execute("lock table receipts in access exclusive mode")
        yield connection


def test_a_server_that_hangs_up_is_asked_three_times() -> None:
    with strange_server.listening(lambda client: client.close()) as (port, connected):
        with pytest.raises(errors.Unavailable, match="attempt 3"):
            counted(source_of(dsn_of(port)))

        # Each time it waits for longer: 0.2 s, then 0.4 s, and up to 0.2 s more by chance.
        assert len(connected) == 3
        assert connected[1] - connected[0] >= 0.2
        assert connected[2] - connected[1] >= 0.4


def test_a_frozen_server_is_given_up_in_time() -> None:
    with strange_server.listening(lambda client: None) as (port, _):
        began = time.monotonic()
        with pytest.raises(errors.Unavailable):
            counted(source_of(dsn_of(port)), seconds=0.7)

        assert time.monotonic() - began < 8  # a connection may take 10 s, a statement 30 s


def test_a_frozen_backend_holds_one_thread_however_often_it_is_asked_and_is_asked_again_once_it_answered(
    database_dsn: str,
) -> None:
    name, backend_of = "burst/frozen", "select pid from pg_stat_activity where application_name = %s"
    asking = f"{backend_of} and wait_event_type = 'Lock'"
    source, before = source_of(database_dsn, application_name=name), threading.enumerate()

    def asked(sql: str, seconds: float) -> object:
        return source.ask(sql, scope="a", give_up_at=datetime.now(UTC) + timedelta(seconds=seconds))

    with (
        futures.ThreadPoolExecutor() as threads,
        psycopg.connect(database_dsn, autocommit=True) as watcher,
        locked(database_dsn) as lock,
    ):
        counting = threads.submit(asked, "select count(*) from receipts", 4.0)
        (frozen,) = waiting.until(lambda: watcher.execute(asking, [name]).fetchone(), what="the question to wait")
        os.kill(frozen, signal.SIGSTOP)
        try:
            with pytest.raises(errors.Unavailable):
                counting.result(20)
            for _ in range(3):
                with pytest.raises(errors.Unavailable, match="has not answered the query before this one"):
                    asked("select 1", 0.2)
            backends = watcher.execute(backend_of, [name]).fetchall()
            left = [one for one in threading.enumerate() if one.name == "burst-postgres" and one not in before]
        finally:
            os.kill(frozen, signal.SIGCONT)
        lock.commit()

        assert backends == [(frozen,)]
        assert len(left) == 1
        assert waiting.until(lambda: answered(lambda: asked("select 1", 2.0)), what="an answer once it goes on") == 1


@pytest.mark.parametrize("kept_connections", [0, 1])
def test_a_question_that_a_living_server_would_have_ended_is_waited_for_no_longer(
    database_dsn: str, kept_connections: int
) -> None:
    """Something between may hold the line of a server that is gone, and a new one may lead to another."""
    name = "burst/held"
    held_by = "select pid from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
    source = source_of(
        database_dsn,
        application_name=name,
        connect_seconds=1.0,
        statement_seconds=3.0,
        kept_connections=kept_connections,
    )

    def asked(sql: str) -> object:
        return source.ask(sql, scope="a", give_up_at=datetime.now(UTC) + timedelta(seconds=1.5))

    with (
        futures.ThreadPoolExecutor() as threads,
        psycopg.connect(database_dsn, autocommit=True) as watcher,
        locked(database_dsn),
    ):
        counting = threads.submit(asked, "select count(*) from receipts")
        (held,) = waiting.until(lambda: watcher.execute(held_by, [name]).fetchone(), what="the question")
        os.kill(held, signal.SIGSTOP)
        try:
            with pytest.raises(errors.Unavailable):
                counting.result(20)
            beside = [
                waiting.until(lambda: answered(lambda: asked("select pg_backend_pid()")), what="an answer beside it")
                for _ in range(2)
            ]
        finally:
            os.kill(held, signal.SIGCONT)
    source.close()

    assert held not in beside
    assert len(set(beside)) == (1 if kept_connections else 2)


def answered(ask: Callable[[], object]) -> object:
    """What was answered, None where the database was away."""
    with contextlib.suppress(errors.Unavailable):
        return ask()
    return None


def test_no_attempt_is_made_that_would_begin_after_the_time_is_up() -> None:
    """Waits of 0.2 s and 0.4 s stand before the second attempt and the third."""
    with strange_server.listening(lambda client: client.close()) as (port, connected):
        with pytest.raises(errors.Unavailable):
            counted(source_of(dsn_of(port)), seconds=0.55)

        assert len(connected) < 3


def test_a_stopped_server_is_unavailable_and_answers_again_once_it_is_back() -> None:
    with embedded_postgres.start(durable=False) as server:
        embedded_postgres.apply_schema(server.dsn)
        source = source_of(server.dsn)
        before = counted(source)
        server.stop_server()
        began = time.monotonic()
        with pytest.raises(errors.Unavailable, match="attempt 3"):
            counted(source)
        took_seconds = time.monotonic() - began
        server.start_server()

        assert took_seconds < 15  # it had 20
        assert counted(source) == before


def test_a_count_cut_off_by_the_server_is_made_again_under_its_own_name(database_dsn: str) -> None:
    name = "burst/m10_20260221T020923Z"
    waiting_count = "select pid from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
    with (
        futures.ThreadPoolExecutor() as threads,
        psycopg.connect(database_dsn, autocommit=True) as watcher,
        locked(database_dsn) as lock,
    ):
        counting = threads.submit(counted, source_of(database_dsn, application_name=name, lock_seconds=30), 50)
        first = waiting.until(lambda: watcher.execute(waiting_count, [name]).fetchone(), what="the count to wait")
        watcher.execute("select pg_terminate_backend(%s)", first)
        second = waiting.until(
            lambda: [row for row in watcher.execute(waiting_count, [name]) if row != first], what="another attempt"
        )
        lock.commit()

        assert counting.result(30) == receipts.Counts(admit=1)
        assert len(second) == 1


def test_a_lock_is_waited_for_no_longer_than_said_and_once(database_dsn: str) -> None:
    with locked(database_dsn):
        began = time.monotonic()
        with pytest.raises(errors.Unavailable, match="took too long"):
            counted(source_of(database_dsn, lock_seconds=0.2))

        assert 0.2 <= time.monotonic() - began < 15  # it had 20


def test_a_slow_statement_is_cut_off_and_not_tried_again(database_dsn: str) -> None:
    source = source_of(database_dsn, statement_seconds=0.2)

    began = time.monotonic()
    with pytest.raises(errors.Unavailable, match="took too long"):
        source.ask("select pg_sleep(60)", scope="a", give_up_at=datetime.now(UTC) + timedelta(seconds=20))

    assert 0.2 <= time.monotonic() - began < 15  # it had 20


def test_a_statement_is_cut_off_on_the_server_when_the_time_is_up(database_dsn: str) -> None:
    name = "burst/too-slow"
    source = source_of(database_dsn, application_name=name)
    began = time.monotonic()
    with pytest.raises(errors.Unavailable):
        source.ask("select pg_sleep(60)", scope="a", give_up_at=datetime.now(UTC) + timedelta(seconds=0.5))

    assert time.monotonic() - began < 15  # a statement may take 30
    with psycopg.connect(database_dsn, autocommit=True) as watcher:
        waiting.until(
            lambda: (
                not watcher.execute("select 1 from pg_stat_activity where application_name = %s", [name]).fetchall()
            ),
            what="the statement to end on the server",
        )


def test_the_settings_hold_inside_the_transaction(database_dsn: str) -> None:
    source = source_of(database_dsn, application_name="burst/" + "ä" * 40, statement_seconds=7, lock_seconds=3)
    give_up_at = datetime.now(UTC) + timedelta(seconds=20)

    def setting(name: str) -> object:
        return source.ask(f"select current_setting('{name}')", scope="a", give_up_at=give_up_at)

    assert setting("statement_timeout") == "7s"
    assert setting("lock_timeout") == "3s"
    assert setting("transaction_read_only") == "on"
    assert setting("transaction_isolation") == "repeatable read"
    assert setting("TimeZone") == "UTC"
    assert setting("DateStyle") == "ISO, YMD"


def test_kept_connections_serve_every_call_and_end_with_the_source(database_dsn: str) -> None:
    name = "burst/kept"
    source = source_of(database_dsn, application_name=name, kept_connections=2)
    with futures.ThreadPoolExecutor(8) as threads:
        asked = set(threads.map(lambda _: backend(source), range(24)))

    assert 1 <= len(asked) <= 2
    with psycopg.connect(database_dsn, autocommit=True) as watcher:
        there = "select pid from pg_stat_activity where application_name = %s"
        assert {row[0] for row in watcher.execute(there, [name])} == asked
        source.close()
        waiting.until(lambda: not watcher.execute(there, [name]).fetchall(), what="the kept connections to end")


def test_a_question_that_is_slow_holds_up_no_other_on_kept_connections(database_dsn: str) -> None:
    source = source_of(database_dsn, kept_connections=2)
    give_up_at = datetime.now(UTC) + timedelta(seconds=20)
    with futures.ThreadPoolExecutor() as threads, psycopg.connect(database_dsn, autocommit=True) as watcher:
        slow = threads.submit(source.ask, "select pg_sleep(20) is null", scope="a", give_up_at=give_up_at)
        sleeping = "select pid from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        held = waiting.until(lambda: watcher.execute(sleeping).fetchone(), what="the slow question to be asked")
        others = {backend(source) for _ in range(3)}
        was_asked_meanwhile = not slow.done()
        watcher.execute("select pg_cancel_backend(%s)", held)
        with pytest.raises(errors.Unavailable, match="took too long"):
            slow.result(30)

    assert was_asked_meanwhile
    assert len(others) == 1
    assert others.isdisjoint(held)
    source.close()


def test_a_question_that_is_open_when_the_connections_are_closed_ends_its_own(database_dsn: str) -> None:
    name = "burst/closed"
    source = source_of(database_dsn, application_name=name, kept_connections=1)
    give_up_at = datetime.now(UTC) + timedelta(seconds=20)
    with futures.ThreadPoolExecutor() as threads, psycopg.connect(database_dsn, autocommit=True) as watcher:
        slow = threads.submit(source.ask, "select pg_sleep(0.3) is null", scope="a", give_up_at=give_up_at)
        sessions = "select pid from pg_stat_activity where application_name = %s"
        waiting.until(lambda: watcher.execute(sessions, [name]).fetchall(), what="the question to be asked")
        source.close()
        slow.result(30)
        late = source.ask("select 1", scope="a", give_up_at=give_up_at)

        assert late == 1
        waiting.until(lambda: not watcher.execute(sessions, [name]).fetchall(), what="every session to end")


def test_questions_behind_a_connection_that_cannot_be_made_learn_so_as_soon_as_it_is_known() -> None:
    def hang_up_later(client: socket.socket) -> None:
        time.sleep(0.1)
        client.close()

    with strange_server.listening(hang_up_later) as (port, connected):
        source = source_of(dsn_of(port), kept_connections=1)
        give_up_at = datetime.now(UTC) + timedelta(seconds=60)

        def ask(_: int) -> str:
            with pytest.raises(errors.Unavailable) as failed:
                source.ask("select 1", scope="a", give_up_at=give_up_at)
            return str(failed.value)

        with futures.ThreadPoolExecutor(3) as threads:
            words = list(threads.map(ask, range(3)))

    assert [("attempt 3" in answer) for answer in words] == [True] * 3, words
    assert len(connected) == 9


def test_a_kept_connection_that_was_cut_is_made_anew(database_dsn: str) -> None:
    source = source_of(database_dsn, kept_connections=1)
    before = backend(source)
    with psycopg.connect(database_dsn, autocommit=True) as watcher:
        watcher.execute("select pg_terminate_backend(%s)", [before])

    after = backend(source)
    source.close()

    assert before != after


@pytest.mark.parametrize(
    "form",
    ["postgresql://{user}:{password}@/{database}?host={host}", "postgres://{user}:{password}@/{database}?host={host}",
     "postgresql+psycopg://{user}:{password}@/{database}?host={host}",
     "host={host} user={user} password={password} dbname={database}"],
)  # fmt: skip
def test_a_dsn_may_be_written_in_any_of_its_forms(database_dsn: str, form: str) -> None:
    given = psycopg.conninfo.conninfo_to_dict(database_dsn)
    dsn = form.format(
        user=given["user"], password=given["password"], host=given["host"], database=given["dbname"]
    )  # fmt: skip

    assert counted(source_of(f"{dsn}&port={given['port']}" if "://" in dsn else dsn)) == receipts.Counts()


@pytest.mark.parametrize(
    "dsn",
    [f"mysql://burst:{PASSWORD}@db/x", f"host=db password {PASSWORD}", f"postgresql://b urst:{PASSWORD}@db:x/y z",
     f"{PASSWORD}", f"postgresql://burst:{PASSWORD}@db/x?nothing=1"],
)  # fmt: skip
def test_a_dsn_that_cannot_be_read_is_refused_and_not_shown(dsn: str) -> None:
    with pytest.raises(errors.UsageError, match="DSN") as refusal:
        source_of(dsn)

    assert not leaks(refusal.value)


def test_no_message_of_any_failure_holds_the_password(database_dsn: str) -> None:
    given = psycopg.conninfo.conninfo_to_dict(database_dsn)
    password = urllib.parse.quote(PASSWORD, safe="")
    here = f"?host={given['host']}&port={given['port']}"
    nowhere = f"postgresql://burst:{password}@127.0.0.1:1/x"
    failures = []

    for dsn, seconds in ((f"postgresql://{given['user']}:{password}@/{given['dbname']}{here}", 30), (nowhere, 2)):
        source, soon = source_of(dsn), datetime.now(UTC) + timedelta(seconds=seconds)
        for act in (
            lambda source=source, seconds=seconds: counted(source, seconds),
            lambda source=source, soon=soon: source.clock(give_up_at=soon),
            lambda source=source, soon=soon: source.problems(give_up_at=soon),
            lambda source=source, soon=soon: source.ask(f"select '{PASSWORD}'", scope="a", give_up_at=soon),
        ):
            with pytest.raises(errors.BurstError) as failure:
                act()
            failures.append(failure.value)

    assert [type(failure) for failure in failures] == [errors.Refused] * 4 + [errors.Unavailable] * 4
    assert not any(leaks(failure) for failure in failures)


def leaks(failure: BaseException) -> bool:
    """Whether the password stands in what would be printed, whole or quoted; the lines of code shown do not count."""
    printed = [str(failure), repr(failure), *traceback.format_exception_only(failure)]
    while failure.__cause__ is not None or (failure.__context__ is not None and not failure.__suppress_context__):
        cause = failure.__cause__ or failure.__context__
        assert cause is not None
        failure = cause
        printed.append(str(failure))
    return any(word in text for text in printed for word in (PASSWORD, urllib.parse.quote(PASSWORD, safe="")))
