"""The contract of `ports.StagedDatabase`, in memory and on a Postgres of this file's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest

from burst import ports
from burst.adapters.postgres import staged_database
from burst.domain.basics import errors, redaction
from burst.domain.staging import change_grammar, changes, stage_files, way_back
from burst.sandbox import embedded_postgres
from tests import fakes_staging

PORT = ports.StagedDatabase
TABLES = [change_grammar.parse_table("receipts")]
INDEX = "CREATE INDEX CONCURRENTLY by_scope ON receipts (platform_run_id, created_at_utc DESC) INCLUDE (decision)"
STATEMENTS = [
    "ALTER SYSTEM SET work_mem = '32MB'",
    "ALTER SYSTEM SET shared_buffers = '64MB'",
    "ALTER ROLE burst SET random_page_cost = 2",
    "ALTER DATABASE postgres SET work_mem = '16MB'",
    "ALTER ROLE burst IN DATABASE postgres SET work_mem = '16MB'",
    INDEX,
    "CREATE EXTENSION pg_stat_statements",
    "VACUUM (ANALYZE) receipts",
    "ANALYZE receipts",
]
COST = stage_files.CountCost.model_validate(
    {"from": "2026-02-21T02:00:00Z", "to": "2026-02-21T02:20:00Z", "scope": "s", "repeats": 2}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A database, another connection to it, and how it is restarted."""

    database: ports.StagedDatabase
    open_other: Callable[[], ports.StagedDatabase]
    restart: Callable[[], None]


@pytest.fixture(scope="module")
def own_server() -> Iterator[embedded_postgres.PostgresServer]:
    """A server whose configuration may be changed."""
    with embedded_postgres.start(durable=False) as server:
        yield server


@pytest.fixture(params=["memory", "postgres"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "memory":
        shared = fakes_staging.MemoryServer()
        yield Site(
            database=fakes_staging.MemoryStagedDatabase(shared),
            open_other=lambda: fakes_staging.MemoryStagedDatabase(shared),
            restart=shared.restart,
        )
        return
    server = request.getfixturevalue("own_server")
    dsn = server.create_database()
    embedded_postgres.apply_schema(dsn)

    def restart() -> None:
        server.stop_server()
        server.start_server()

    def connect() -> staged_database.PostgresStages:
        return staged_database.PostgresStages(lambda: redaction.Secret(dsn))

    database = connect()
    yield Site(database=database, open_other=connect, restart=restart)
    database.close()
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        for statement in ("ALTER SYSTEM", "ALTER ROLE burst", "ALTER DATABASE postgres"):
            connection.execute(f"{statement} RESET ALL".encode())
        connection.execute("ALTER ROLE burst IN DATABASE postgres RESET ALL")
    restart()
    server.drop_database(dsn.rpartition("/")[2].partition("?")[0])


def test_one_holds_the_lock_and_gives_it_back(site: Site) -> None:
    other = site.open_other()
    with pytest.raises(errors.Unavailable):
        site.database.require_lock()

    site.database.take_lock()
    site.database.require_lock()
    with pytest.raises(errors.Conflict, match="at work on this server already"):
        other.take_lock()
    site.database.close()
    site.database.close()
    other.take_lock()
    other.require_lock()
    other.close()


def test_a_snapshot_of_an_unchanged_database_is_the_same_bytes(site: Site) -> None:
    first = site.database.read_snapshot(TABLES)

    assert site.open_other().read_snapshot(TABLES).content() == first.content()
    assert first.tables == ["public.receipts"]
    assert site.database.identify().is_same(site.open_other().identify())


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_change_is_seen_may_be_applied_twice_and_goes_back_byte_for_byte(site: Site, statement: str) -> None:
    site.database.take_lock()
    change = change_grammar.parse_change(statement)
    before = site.database.read_snapshot(TABLES)
    assert list(site.database.find_obstacles([change])) == []

    site.database.apply(change)
    site.database.apply(change)
    pending = list(site.database.list_pending())
    if pending:
        site.restart()
        site.database.close()
        site.database.take_lock()
    after = site.database.read_snapshot(TABLES)
    back = way_back.plan_way_back(before, after, [change])
    for step in back:
        assert not isinstance(step, changes.RunProgram)
        site.database.apply(step)
        site.database.apply(step)
    if pending:
        assert way_back.waits_for_restart(before, site.database.read_snapshot(TABLES))
        site.restart()

    assert pending == (["shared_buffers"] if "shared_buffers" in statement else [])
    assert list(way_back.find_unmet(after, [change])) == []
    assert bool(way_back.find_differences(before, after)) == bool(back)
    assert bool(back) == (not isinstance(change, changes.MaintainTable))
    assert site.open_other().read_snapshot(TABLES).content() == before.content()


def test_an_index_that_was_dropped_is_made_again_as_it_was(site: Site) -> None:
    site.database.take_lock()
    site.database.apply(change_grammar.parse_change(INDEX))
    drop = change_grammar.parse_change("DROP INDEX CONCURRENTLY by_scope")
    before = site.database.read_snapshot(TABLES)

    site.database.apply(drop)
    site.database.apply(drop)
    (again,) = way_back.plan_way_back(before, site.database.read_snapshot(TABLES), [drop])
    assert not isinstance(again, changes.RunProgram)
    site.database.apply(again)

    assert site.database.read_snapshot(TABLES).content() == before.content()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("ALTER SYSTEM SET auto_explain.log_analyze = on", "no such setting"),
        ("CREATE INDEX CONCURRENTLY i ON elsewhere (a)", "no such table"),
        ("VACUUM elsewhere", "no such table"),
        ("DROP INDEX CONCURRENTLY elsewhere", "no such index"),
        ("CREATE EXTENSION elsewhere", "no such extension"),
    ],
)
def test_what_is_in_the_way_is_told_before_anything_is_changed(site: Site, statement: str, words: str) -> None:
    before = site.database.read_snapshot(TABLES).content()

    (obstacle,) = site.database.find_obstacles([change_grammar.parse_change(statement)])

    assert words in obstacle
    assert site.database.read_snapshot(TABLES).content() == before


def test_a_count_has_its_cost(site: Site) -> None:
    figures = site.database.measure_count(TABLES[0], COST)

    assert set(figures) == {"seconds", "least_seconds", "pages", "receipts"}
    assert 0 < figures["least_seconds"] <= figures["seconds"]
    assert figures["receipts"] == 0
