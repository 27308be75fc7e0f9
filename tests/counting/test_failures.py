"""Each failure of Postgres by its own SQLSTATE or words: what may pass is waited for, the rest is refused at once."""

import contextlib
import itertools
import secrets
import select
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from burst import ports
from burst.adapters import secrets as secret_references
from burst.adapters.postgres import connections, failures, postgres_receipts
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import receipts
from burst.task import counting
from tests import fixtures_postgres, waiting
from tests.counting import strange_server


def source_of(
    dsn: str | Callable[[], redaction.Secret], *, kept_connections: int = 0, connect_seconds: float = 5.0
) -> postgres_receipts.PostgresReceipts:
    return postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn) if isinstance(dsn, str) else dsn,
        columns=counting.COLUMNS,
        kept_connections=kept_connections,
        timeouts=connections.Timeouts(connect_seconds=connect_seconds),
    )


def soon(seconds: float = 20) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


# SQLSTATEs, raised by a real server


@pytest.fixture(scope="module")
def raising(postgres_template: fixtures_postgres.TemplatedServer) -> Iterator[postgres_receipts.PostgresReceipts]:
    """A source on a database that raises the SQLSTATE that it is asked for."""
    dsn = postgres_template.server.create_database(template=postgres_template.template)
    execute(
        dsn,
        "create function fail(state text) returns int language plpgsql as"
        " $$ begin raise exception 'as told' using errcode = state; end $$",
    )
    yield source_of(dsn)
    postgres_template.server.drop_database(urllib.parse.urlsplit(dsn).path.lstrip("/"))


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("25006", errors.UsageError, "burst only reads, so the query must not write"),
        ("25001", errors.UsageError, "correct table, columns or query"),
        ("25P02", errors.Refused, "SQLSTATE 25P02"),
        ("25P03", errors.Unavailable, "attempt 3"),
        ("25P04", errors.Unavailable, "transaction_timeout"),
        ("57P05", errors.Unavailable, "attempt 3"),
        ("57014", errors.Unavailable, "it took too long"),
        ("55P03", errors.Unavailable, "it took too long"),
        ("57P01", errors.Unavailable, "attempt 3"),
        ("57P04", errors.Refused, "SQLSTATE 57P04"),
        ("53300", errors.Unavailable, "attempt 3"),
        ("53200", errors.Unavailable, "attempt 3"),
        ("40001", errors.Unavailable, "attempt 3"),
        ("40P01", errors.Unavailable, "attempt 3"),
        ("08006", errors.Unavailable, "attempt 3"),
        ("08P01", errors.Refused, "does not let burst in"),
        ("08004", errors.Refused, "does not let burst in"),
        ("28000", errors.Refused, "does not let burst in"),
        ("28P01", errors.Refused, "does not let burst in"),
        ("3D000", errors.Refused, "does not let burst in"),
        ("42501", errors.Refused, "grant SELECT"),
        ("42P01", errors.UsageError, "correct table, columns or query"),
        ("XX000", errors.Refused, "SQLSTATE XX000"),
    ],
)
def test_each_sqlstate_is_judged_by_itself(
    raising: postgres_receipts.PostgresReceipts, state: str, kind: type[errors.BurstError], words: str
) -> None:
    with pytest.raises(errors.BurstError) as failure:
        raising.ask(f"select fail('{state}')", scope="a", give_up_at=soon())

    assert type(failure.value) is kind
    assert "as told" in str(failure.value)
    assert words in str(failure.value)


@pytest.mark.parametrize(
    ("scope", "at", "kind", "words"),
    [
        ("a", "no instant", errors.Refused, "every row must hold an instant"),
        ("a", "2026-13-45 00:00:00Z", errors.Refused, "every row must hold an instant"),
        ("a", "2026-02-21T02:00:00+99", errors.Refused, "every row must hold an instant"),
        ("☃", "2026-02-21T02:00:00Z", errors.UsageError, "correct table, columns or query"),
    ],
    ids=["22007", "22008", "22009", "22P05"],
)
def test_only_a_failure_of_an_instant_is_said_of_the_instants(
    postgres_template: fixtures_postgres.TemplatedServer, scope: str, at: str, kind: type[errors.BurstError], words: str
) -> None:
    name = f"latin_{secrets.token_hex(4)}"
    execute(postgres_template.server.dsn, f"create database {name} template template0 encoding 'LATIN1' locale 'C'")
    url = urllib.parse.urlsplit(postgres_template.server.dsn)
    dsn = urllib.parse.urlunsplit(url._replace(path=f"/{name}"))
    try:
        execute(
            dsn,
            "create table receipts (decision text, created_at_utc text, platform_run_id text)",
            f"insert into receipts values ('ADMIT', '{at}', 'a')",  # noqa: S608 - the test's own words
        )
        window = windows.Window(soon(-100), soon())
        with pytest.raises(errors.BurstError, match=words) as failure:
            source_of(dsn).count(window, scope=scope, bucket_seconds=60, give_up_at=soon())
    finally:
        postgres_template.server.drop_database(name)

    assert type(failure.value) is kind


def test_a_kept_connection_that_the_server_closed_for_being_idle_is_made_anew(database_dsn: str) -> None:
    role = f"idle_{secrets.token_hex(4)}"
    execute(
        database_dsn, f"create role {role} login password 'x'", f"alter role {role} set idle_session_timeout = 1000"
    )
    source = source_of(f"postgresql://{role}:x@{database_dsn.partition('@')[2]}", kept_connections=1)
    try:
        first = source.ask("select pg_backend_pid()", scope="a", give_up_at=soon())
        with psycopg.connect(database_dsn, autocommit=True) as watcher:
            alive = "select 1 from pg_stat_activity where pid = %s"
            waiting.until(lambda: not watcher.execute(alive, [first]).fetchall(), what="the idle session to be closed")
        second = source.ask("select pg_backend_pid()", scope="a", give_up_at=soon())
    finally:
        source.close()
        execute(database_dsn, f"drop role {role}")

    assert first != second


def test_a_transaction_timeout_of_the_role_ends_no_count(database_dsn: str) -> None:
    role = f"hasty_{secrets.token_hex(4)}"
    execute(database_dsn, f"create role {role} login password 'x'")
    with psycopg.connect(database_dsn) as connection:
        if connection.info.server_version < 170000:
            pytest.skip("this server has no transaction_timeout")
    execute(database_dsn, f"alter role {role} set transaction_timeout = 1000")
    source = source_of(f"postgresql://{role}:x@{database_dsn.partition('@')[2]}")
    try:
        answer = source.ask("select pg_sleep(1.5) is not null", scope="a", give_up_at=soon())
    finally:
        execute(database_dsn, f"drop role {role}")

    assert answer is True


# Refusals before there is a session


def error_response(severity: str, state: str, words: str) -> bytes:
    fields = b"".join(
        kind + value.encode() + b"\0"
        for kind, value in ((b"S", severity), (b"V", severity), (b"C", state), (b"M", words))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"


def refuse_with(severity: str, state: str, words: str) -> Callable[[socket.socket], None]:
    def greet(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(error_response(severity, state, words))
        client.close()

    return greet


def ask_of(port: int, source: postgres_receipts.PostgresReceipts | None = None) -> errors.BurstError:
    dsn = f"postgresql://burst:secret-word@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"
    with pytest.raises(errors.BurstError) as failure:
        (source or source_of(dsn)).ask("select 1", scope="a", give_up_at=soon())
    assert "secret-word" not in str(failure.value)
    return failure.value


PERMANENT = [
    ("FATAL", "08P01", "unsupported startup parameter: options"),
    ("FATAL", "08P01", "no such database: x"),
    ("FATAL", "08P01", "no such user: burst"),
    ("FATAL", "XX000", "Tenant or user not found"),
    ("ERROR", "XX000", "Endpoint ID is not specified"),
    ("FATAL", "28P01", 'password authentication failed for user "burst"'),
    ("FATAL", "28000", 'PAM authentication failed for user "burst"'),
    ("FATAL", "3D000", 'database "x" does not exist'),
    ("FATAL", "55000", 'database "x" is not currently accepting connections'),
]
PASSING = [
    ("FATAL", "53300", "sorry, too many clients already"),
    ("FATAL", "53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute"),
    ("FATAL", "57P03", "the database system is starting up"),
    ("FATAL", "57P03", "the database system is shutting down"),
    ("FATAL", "57P03", "the database system is in recovery mode"),
    ("FATAL", "57P03", "the database system is not yet accepting connections"),
    ("FATAL", "57P01", "terminating connection due to administrator command"),
    ("FATAL", "08P01", "query_wait_timeout"),
    ("FATAL", "08P01", "pgbouncer cannot connect to server"),
    ("FATAL", "08P01", "no more connections allowed (max_client_conn)"),
    ("FATAL", "08P01", "server login has been failing, try again later (server_login_retry)"),
    ("FATAL", "XX000", "Max client connections reached"),
    ("ERROR", "XX000", "Timed-out waiting to acquire database connection"),
]


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("query_wait_timeout", True),
        ("server conn crashed?", True),
        ("pgbouncer cannot connect to server", True),
        ("the database system is shutting down", True),
        ("Timed-out waiting to acquire database connection", True),
        ("unsupported startup parameter: options", False),
        ("no such user: burst", False),
        ("invalid message format", False),
    ],
)
@pytest.mark.parametrize("kind", [psycopg.errors.ProtocolViolation, psycopg.errors.InternalError_])
def test_a_pooler_that_ends_a_query_is_judged_by_its_words(kind: type[psycopg.Error], words: str, passes: bool) -> None:
    """It gives one SQLSTATE for all."""
    failure = failures.translate(kind(words), act="counting", attempts=3, redact=str)

    assert failures.is_transient(kind(words)) is passes
    assert isinstance(failure, errors.Unavailable) is passes
    assert words in str(failure)


def test_nothing_is_prepared_that_another_server_behind_a_pooler_would_not_know(database_dsn: str) -> None:
    source = source_of(database_dsn, kept_connections=1)

    answers = [
        source.ask("select count(*) from pg_prepared_statements", scope="a", give_up_at=soon()) for _ in range(8)
    ]
    source.close()

    assert answers == [0] * 8


@pytest.mark.parametrize("refusal", PERMANENT, ids=[words for _, _, words in PERMANENT])
def test_a_refusal_that_waiting_does_not_heal_is_said_at_once_in_its_own_words(refusal: tuple[str, str, str]) -> None:
    with strange_server.listening(refuse_with(*refusal)) as (port, connected):
        failure = ask_of(port)

    assert type(failure) is errors.Refused
    assert refusal[2] in str(failure)
    assert len(connected) == 1


@pytest.mark.parametrize("refusal", PASSING, ids=[words for _, _, words in PASSING])
def test_a_refusal_that_passes_is_waited_for(refusal: tuple[str, str, str]) -> None:
    answers = itertools.chain([refusal], itertools.repeat(PERMANENT[0]))

    with strange_server.listening(lambda client: refuse_with(*next(answers))(client)) as (port, connected):
        ask_of(port)

    assert len(connected) == 2


def test_a_pooler_that_takes_no_options_is_answered_with_advice() -> None:
    with strange_server.listening(refuse_with("FATAL", "08P01", "unsupported startup parameter: options")) as (port, _):
        failure = ask_of(port)

    assert "take options out of the DSN, or set them by ALTER ROLE" in str(failure)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("sslmode=bogus", "invalid sslmode value"),
        ("target_session_attrs=first", "invalid target_session_attrs value"),
        ("channel_binding=maybe", "invalid channel_binding value"),
        ("sslmode=require sslrootcert=system", "weak sslmode"),
        ("service=nowhere", 'definition of service "nowhere" not found'),
        ("service=recovery", 'definition of service "recovery" not found'),  # a word of servers that are away
        ("gssencmode=require sslmode=disable", "GSSAPI encryption required"),
        ("sslmode=verify-full sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem"),
    ],
)
def test_a_dsn_with_a_value_that_cannot_be_is_refused_at_once(parameters: str, words: str) -> None:
    def speak_tls(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"S")

    with strange_server.listening(speak_tls) as (port, connected):
        failure = ask_of(0, source_of(f"host=127.0.0.1 port={port} dbname=x {parameters}"))

    assert type(failure) is errors.Refused
    assert words in str(failure)
    assert "correct the DSN" in str(failure)
    assert len(connected) <= 1


@pytest.mark.parametrize("host", ["127.0.0.1 port=1", "/nowhere", "no-such-name.invalid"])
def test_a_host_that_is_away_is_waited_for(host: str) -> None:
    failure = ask_of(0, source_of(f"host={host} dbname=x"))

    assert type(failure) is errors.Unavailable
    assert "attempt 3" in str(failure)


# Several hosts


@contextlib.contextmanager
def deaf_hosts(number: int) -> Iterator[dict[int, list[float]]]:
    """Servers that take connections and say nothing: the port of each, and the moments it was connected to."""
    with contextlib.ExitStack() as stack:
        yield dict(stack.enter_context(strange_server.listening(lambda client: None)) for _ in range(number))


@pytest.fixture
def through_tcp(database_dsn: str) -> Iterator[tuple[int, str]]:
    """A TCP port that leads to the test's database, and the DSN's words without host and port."""
    given = psycopg.conninfo.conninfo_to_dict(database_dsn)
    target = f"{given['host']}/.s.PGSQL.{given['port']}"

    def relay(client: socket.socket) -> None:
        # The listener closes its own of the client at the end, and this one stays to be read to its end.
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(target)
            while True:
                readable, _, _ = select.select([client, server], [], [])
                for source in readable:
                    chunk = source.recv(65536)
                    if not chunk:
                        return
                    (server if source is client else client).sendall(chunk)

    def pass_on(client: socket.socket) -> None:
        threading.Thread(target=relay, args=[client.dup()], daemon=True).start()

    with strange_server.listening(pass_on) as (port, _):
        words = f"dbname={given['dbname']} user={given['user']} password={given['password']}"
        yield port, f"{words} sslmode=disable gssencmode=disable"


def test_dead_hosts_share_one_patience_and_the_living_one_answers_within_it(through_tcp: tuple[int, str]) -> None:
    port, words = through_tcp
    with deaf_hosts(2) as deaf:
        ports_words = ",".join(str(number) for number in (*deaf, port))
        source = source_of(f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={ports_words} {words}", connect_seconds=9.0)
        began = time.monotonic()
        answer = source.ask("select 7", scope="a", give_up_at=soon(30))
        first_seconds = time.monotonic() - began
        asked = [len(moments) for moments in deaf.values()]
        again = source.ask("select 8", scope="a", give_up_at=soon(30))
        asked_again = [len(moments) for moments in deaf.values()]

    assert (answer, again) == (7, 8)
    assert first_seconds < 9.0, "the patience of each, were it not shared"
    assert asked_again == asked == [1, 1], "the living one comes first from then on"


def test_dead_addresses_of_one_name_share_its_patience_and_the_living_one_comes_first_from_then_on(
    through_tcp: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may have an address of each family, or of each server, and the first of them may lead nowhere."""
    port, words = through_tcp
    dead, name, resolve = ("127.0.0.2", "127.0.0.3"), "receipts.internal", socket.getaddrinfo

    def resolve_name(host: str, *rest: Any, **named: Any) -> Any:
        if host != name:
            return resolve(host, *rest, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in (*dead, "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve_name)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server((address, port))) for address in dead]
        source = source_of(f"host={name} port={port} {words}", connect_seconds=9.0)
        began = time.monotonic()
        answer = source.ask("select 7", scope="a", give_up_at=soon(30))
        first_seconds = time.monotonic() - began
        asked = [count_clients(server) for server in servers]
        again = source.ask("select 8", scope="a", give_up_at=soon(30))
        asked_again = [count_clients(server) for server in servers]

    assert (answer, again) == (7, 8)
    assert first_seconds < 9.0, "the patience of each, were it not shared"
    assert (asked, asked_again) == ([1, 1], [0, 0]), "the living one comes first from then on"


def count_clients(server: socket.socket) -> int:
    """How many clients wait for a server that has taken none yet."""
    server.setblocking(False)
    for number in itertools.count():
        try:
            client, _ = server.accept()
        except BlockingIOError:
            return number
        client.close()
    raise AssertionError("no end of clients")


def test_a_database_of_several_hosts_that_does_not_answer_names_each(through_tcp: tuple[int, str]) -> None:
    _, words = through_tcp
    with deaf_hosts(2) as deaf:
        ports_words = ",".join(map(str, deaf))
        source = source_of(f"host=127.0.0.1,127.0.0.1 port={ports_words} {words}")
        with pytest.raises(errors.Unavailable) as failure:
            source.ask("select 1", scope="a", give_up_at=soon(1.0))

    assert f"no answer within 1.0 s from {', '.join(f'127.0.0.1:{number}' for number in deaf)}" in str(failure.value)


# Credentials that change


@contextlib.contextmanager
def role_with_password(dsn: str) -> Iterator[tuple[str, Callable[[str], str]]]:
    """A role that may read, and its DSN with a password, which becomes the role's."""
    role = f"rotated_{secrets.token_hex(4)}"
    execute(dsn, f"create role {role} login", f"grant select on receipts to {role}")

    def set_password(password: str) -> str:
        execute(dsn, f"alter role {role} password '{password}'")
        return f"postgresql://{role}:{password}@{dsn.partition('@')[2]}"

    yield role, set_password
    execute(dsn, f"drop owned by {role}", f"drop role {role}")


def counted(source: ports.ReceiptSource) -> receipts.Counts:
    window = windows.Window(soon(-600), soon(-1))
    return source.count(window, scope="a", bucket_seconds=600, give_up_at=soon()).counts


@pytest.mark.parametrize("kept_connections", [0, 1])
def test_a_password_that_changed_between_two_counts_is_read_again(
    database_dsn: str, tmp_path: Path, kept_connections: int
) -> None:
    file = tmp_path / "dsn"
    with role_with_password(database_dsn) as (role, set_password):
        file.write_text(set_password("first-password"))
        source = source_of(lambda: secret_references.resolve(f"file:{file}"), kept_connections=kept_connections)
        before = counted(source)
        file.write_text(set_password("second-password"))
        end_sessions(database_dsn, role)
        after = counted(source)
        source.close()

    assert before == after == receipts.Counts()
    assert source_words_are_clean(source, "first-password", "second-password")
    assert any("second-password" in value for value in secret_references.RESOLVED)


def end_sessions(dsn: str, role: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [role])


def source_words_are_clean(source: postgres_receipts.PostgresReceipts, *passwords: str) -> bool:
    with pytest.raises(errors.BurstError) as failure:
        source.ask(f"selec '{' '.join(passwords)}'", scope="a", give_up_at=soon())
    return not any(password in str(failure.value) for password in passwords)


def test_a_password_that_stays_wrong_is_refused_at_once_and_read_again_once_a_connection(
    database_dsn: str, tmp_path: Path
) -> None:
    reads = []
    with role_with_password(database_dsn) as (_, set_password):
        dsn = set_password("right").replace(":right@", ":wrong-one@")

        def resolve() -> redaction.Secret:
            reads.append(1)
            return redaction.Secret(dsn)

        source = source_of(resolve)
        with pytest.raises(errors.Refused, match="password authentication failed"):
            counted(source)

    assert len(reads) == 2


def test_a_password_that_did_not_change_is_not_tried_again() -> None:
    """A server may lock the account of a role after a few wrong passwords."""
    refusal = refuse_with("FATAL", "28P01", 'password authentication failed for user "burst"')
    with strange_server.listening(refusal) as (port, connected):
        dsn = f"postgresql://burst:secret-word@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"
        failure = ask_of(port, source_of(lambda: redaction.Secret(dsn)))

    assert type(failure) is errors.Refused
    assert len(connected) == 1


def test_a_secret_store_that_is_away_at_a_login_refusal_is_waited_for(database_dsn: str) -> None:
    with role_with_password(database_dsn) as (_, set_password):
        dsn = set_password("right")
        old = dsn.replace(":right@", ":old-one@")
        answers: Iterator[str | errors.BurstError] = iter([old, errors.Unavailable("the secret store is away")])

        def resolve() -> redaction.Secret:
            answer = next(answers)
            if isinstance(answer, errors.BurstError):
                raise answer
            return redaction.Secret(answer)

        source = source_of(resolve)
        with pytest.raises(errors.Unavailable, match="the secret store is away"):
            counted(source)


def test_a_reference_that_no_longer_resolves_leaves_the_refusal_in_its_own_words(
    database_dsn: str, tmp_path: Path
) -> None:
    file = tmp_path / "dsn"
    with role_with_password(database_dsn) as (_, set_password):
        file.write_text(set_password("first-password"))
        source = source_of(lambda: secret_references.resolve(f"file:{file}"))
        file.unlink()
        set_password("second-password")
        with pytest.raises(errors.Refused, match="password authentication failed"):
            counted(source)


def test_threads_that_are_refused_at_once_all_come_in_with_the_new_password(database_dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    with role_with_password(database_dsn) as (_, set_password), futures.ThreadPoolExecutor(4) as threads:
        file.write_text(set_password("first-password"))
        source = source_of(lambda: secret_references.resolve(f"file:{file}"))
        file.write_text(set_password("second-password"))
        answers = list(threads.map(lambda _: counted(source), range(4)))

    assert answers == [receipts.Counts()] * 4
