"""Pages that a count read, by the pg_stat_statements of a server of the test's own, against the pages of the table."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from burst.adapters.postgres import page_reads, postgres_receipts
from burst.domain.basics import redaction, windows
from burst.domain.receipts import driver_figures, receipts
from burst.sandbox import embedded_postgres
from burst.task import counting

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))


def soon(seconds: float = 20) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def fill(dsn: str, rows: int = 3000) -> None:
    embedded_postgres.apply_schema(dsn)
    execute(
        dsn,
        "insert into receipts (platform_run_id, decision, created_at_utc, event_id)"  # noqa: S608 - the test's own words
        " select 'a', 'ADMIT', (timestamptz '2026-02-21 02:00Z' + n * interval '100 milliseconds')::text, n::text"
        f" from generate_series(1, {rows}) n",
        "analyze receipts",
    )


@pytest.fixture(scope="module")
def watched() -> Iterator[embedded_postgres.PostgresServer]:
    """A server whose statements are watched."""
    with embedded_postgres.start(durable=False) as server:
        execute(server.dsn, "alter system set shared_preload_libraries = 'pg_stat_statements'")
        server.stop_server()
        server.start_server()
        yield server


@pytest.fixture
def watched_dsn(watched: embedded_postgres.PostgresServer) -> str:
    """A database of that server, with receipts and the extension in a schema of its own."""
    dsn = watched.create_database()
    fill(dsn)
    execute(dsn, 'create schema "Its Own"', 'create extension pg_stat_statements schema "Its Own"')
    return dsn


def count_once(source: postgres_receipts.PostgresReceipts, scope: str | None = "a") -> receipts.WindowCount:
    return source.count(WINDOW, scope=scope, bucket_seconds=60, give_up_at=soon())


def count_slice(source: postgres_receipts.PostgresReceipts) -> receipts.WindowCount:
    """In one bucket, as a slice of a running burst is counted: nothing is estimated for it."""
    return source.count(WINDOW, scope="a", bucket_seconds=WINDOW.seconds, give_up_at=soon())


def source_of(dsn: str) -> postgres_receipts.PostgresReceipts:
    return postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS)


def table_pages(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        (pages,) = connection.execute("select pg_relation_size('receipts') / 8192").fetchone() or (0,)
    return int(pages)


def is_one_reading(pages: driver_figures.PageCount, dsn: str) -> bool:
    """Whether the pages are those of the table once, and a few of the server's catalog."""
    return pages.read is not None and 0 <= pages.read - table_pages(dsn) < 10


def test_the_pages_of_each_count_are_its_own_and_no_other_counts(watched_dsn: str) -> None:
    source = source_of(watched_dsn)

    first, second, every_scope = count_once(source), count_once(source), count_once(source, scope=None)

    assert table_pages(watched_dsn) > 20
    for counted in (first, second, every_scope):
        assert counted.pages is not None
        assert counted.pages.source == page_reads.SOURCE
        assert is_one_reading(counted.pages, watched_dsn)
    assert first.counts == second.counts == receipts.Counts(admit=3000)


def test_a_role_without_any_right_but_to_read_sees_its_own_statements(watched_dsn: str) -> None:
    role = f"reader_{secrets.token_hex(4)}"
    execute(
        watched_dsn,
        f"create role {role} login password 'x'",
        f"grant select on receipts to {role}",
        f'grant usage on schema "Its Own" to {role}',
    )
    try:
        counted = count_once(source_of(f"postgresql://{role}:x@{watched_dsn.partition('@')[2]}"))
    finally:
        execute(watched_dsn, f"drop owned by {role}", f"drop role {role}")

    assert counted.pages is not None
    assert is_one_reading(counted.pages, watched_dsn)


UNSEEN: dict[str, tuple[str, str]] = {
    "the role may not look": ('revoke usage on schema "Its Own" from public', "permission denied"),
    "statements are not tracked": ("alter role {role} set pg_stat_statements.track = 'none'", "0 runs"),
    "statements have no identity": ("alter role {role} set compute_query_id = 'off'", "compute_query_id"),
    "the extension is not there": ("drop extension pg_stat_statements", "not installed"),
}


@pytest.mark.parametrize(("change", "words"), UNSEEN.values(), ids=UNSEEN)
def test_pages_that_nobody_can_tell_have_words_in_their_place_and_the_count_stands(
    watched_dsn: str, change: str, words: str
) -> None:
    role = f"reader_{secrets.token_hex(4)}"
    execute(watched_dsn, f"create role {role} login password 'x'", f"grant select on receipts to {role}")
    if words != "permission denied":
        execute(watched_dsn, f'grant usage on schema "Its Own" to {role}')
    execute(watched_dsn, change.format(role=role))
    try:
        source = source_of(f"postgresql://{role}:x@{watched_dsn.partition('@')[2]}")
        counted, whole = count_slice(source), count_once(source)
    finally:
        execute(watched_dsn, f"drop owned by {role}", f"drop role {role}")

    assert whole.pages is not None
    assert whole.pages.source == page_reads.ESTIMATE
    assert counted.counts == receipts.Counts(admit=3000)
    assert counted.pages is not None
    assert counted.pages.read is None
    assert words in counted.pages.why


def test_pages_that_are_not_counted_are_estimated_by_the_plan_of_the_same_statement(database_dsn: str) -> None:
    fill(database_dsn)
    source = source_of(database_dsn)

    counted, again = count_once(source), count_once(source)

    assert counted.pages is not None
    assert counted.pages.source == page_reads.ESTIMATE
    assert counted.pages.read == table_pages(database_dsn)
    assert again.pages == counted.pages


def test_an_index_that_serves_lowers_the_estimate(database_dsn: str) -> None:
    fill(database_dsn, rows=20_000)
    execute(database_dsn, "create index on receipts (platform_run_id)", "analyze receipts")

    other_scope = source_of(database_dsn).count(WINDOW, scope="nobody", bucket_seconds=60, give_up_at=soon())

    assert other_scope.pages is not None
    assert other_scope.pages.read is not None
    assert 0 < other_scope.pages.read < table_pages(database_dsn) / 10


def test_a_slice_of_a_running_burst_is_not_estimated(database_dsn: str) -> None:
    fill(database_dsn)

    counted = count_slice(source_of(database_dsn))

    assert counted.pages is not None
    assert counted.pages.read is None
    assert "not installed" in counted.pages.why


def test_a_count_whose_plan_cannot_be_had_stands_without_its_pages(database_dsn: str) -> None:
    """The table is locked once it is counted."""
    fill(database_dsn)
    source = source_of(database_dsn)
    with psycopg.connect(database_dsn) as other:
        locked: list[bool] = []

        def now() -> datetime:
            counted_already = source.read_figures().rows > 10
            if counted_already and not locked:
                other.execute("lock table receipts in access exclusive mode")
                locked.append(True)
            return datetime.now(UTC)

        source._now = now
        counted = count_once(source)
        other.rollback()

    assert locked
    assert counted.counts == receipts.Counts(admit=3000)
    assert counted.pages is not None
    assert counted.pages.read is None
    assert "not installed" in counted.pages.why
    assert "explaining a count" in counted.pages.why


def test_an_extension_that_the_server_did_not_load_spoils_no_count(database_dsn: str) -> None:
    fill(database_dsn)
    execute(database_dsn, "create extension pg_stat_statements")

    counted = count_slice(source_of(database_dsn))

    assert counted.counts == receipts.Counts(admit=3000)
    assert counted.pages is not None
    assert counted.pages.read is None
    assert counted.pages.why
