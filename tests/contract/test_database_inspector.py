"""The contract of `ports.DatabaseInspector`, on the fake and on a real Postgres, as an owner and as a role with SELECT.

Beneath it is what only Postgres has: what the least of roles may see, and what nobody is shown.
"""

import secrets
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from burst import ports
from burst.adapters.postgres import postgres_inspector
from burst.domain.basics import errors, instants, redaction
from burst.domain.database import identities
from burst.domain.documents import database_checks
from tests import fakes_database

PORT = ports.DatabaseInspector
TABLE = "receipts"


def now() -> datetime:
    return datetime.now(UTC)


def soon(seconds: float = 50) -> datetime:
    return instants.later(now(), seconds)


def execute(dsn: str, *statements: str | sql.Composed) -> None:
    """Changes a database as the role of a DSN."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode() if isinstance(statement, str) else statement)


def inspector(dsn: str) -> postgres_inspector.PostgresInspector:
    return postgres_inspector.PostgresInspector(redaction.Secret(dsn))


@pytest.fixture
def reader_dsn(database_dsn: str) -> Iterator[str]:
    """The DSN of a role that may read the receipts, and has no other right."""
    name = f"reader_{secrets.token_hex(4)}"
    role = sql.Identifier(name)
    execute(
        database_dsn,
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'only-to-read' CONNECTION LIMIT 7").format(role),
        sql.SQL("GRANT SELECT ON receipts TO {}").format(role),
    )
    url = urllib.parse.urlsplit(database_dsn)
    yield urllib.parse.urlunsplit(url._replace(netloc=f"{name}:only-to-read@{url.netloc.rpartition('@')[2]}"))
    execute(database_dsn, sql.SQL("DROP OWNED BY {0} CASCADE").format(role), sql.SQL("DROP ROLE {}").format(role))


@pytest.fixture(params=["memory", "owner", "reader"])
def database(request: pytest.FixtureRequest) -> ports.DatabaseInspector:
    if request.param == "memory":
        return fakes_database.MemoryDatabaseInspector(fakes_database.reading(), now=now)
    return inspector(request.getfixturevalue("database_dsn" if request.param == "owner" else "reader_dsn"))


def test_a_reading_says_health_server_role_and_connections(database: ports.DatabaseInspector) -> None:
    reading = database.inspect(TABLE, give_up_at=soon())

    assert reading.server.version_number >= 140000
    assert not reading.server.standby
    assert reading.server.replay is None
    assert reading.health.worst_skew_seconds < 2
    assert reading.connections is not None
    assert 0 < reading.connections.left < reading.connections.maximum
    assert reading.role is not None
    assert reading.role.name == reading.identity.role
    assert set(fakes_database.SAFEGUARDS) <= {safeguard.name for safeguard in reading.role.safeguards}


def test_a_reading_has_the_table_its_sum_and_its_indexes(database: ports.DatabaseInspector) -> None:
    table = database.inspect(TABLE, give_up_at=soon()).table

    assert table is not None
    assert (table.name, table.kind, [row.name for row in table.tables]) == (TABLE, "table", ["public.receipts"])
    assert table.total is not None
    assert table.total.size_bytes == table.tables[0].size_bytes
    assert table.indexes
    assert {index.table for index in table.indexes} == {"public.receipts"}
    assert all(index.valid and index.ready for index in table.indexes)


def test_a_table_that_is_not_there_is_none_and_hides_nothing_else(database: ports.DatabaseInspector) -> None:
    reading = database.inspect("no_such_table", give_up_at=soon())

    assert reading.table is None
    assert "table" not in reading.hidden_parts
    assert reading.settings is not None


def test_the_identity_is_the_same_each_time_and_that_of_the_reading(database: ports.DatabaseInspector) -> None:
    first, second = (database.identify(give_up_at=soon()) for _ in range(2))
    read = database.inspect(TABLE, give_up_at=soon()).identity

    for identity in (second, read):
        assert identity.model_copy(update={"sessions": first.sessions}) == first


def test_nothing_is_asked_once_the_time_is_up(database: ports.DatabaseInspector) -> None:
    past = instants.later(now(), -1)

    with pytest.raises(errors.Unavailable):
        database.inspect(TABLE, give_up_at=past)
    with pytest.raises(errors.Unavailable):
        database.identify(give_up_at=past)


# What only Postgres has


def test_what_a_reader_may_not_see_is_named_with_its_grant_and_has_no_figure(
    database_dsn: str, reader_dsn: str
) -> None:
    with psycopg.connect(database_dsn) as owner:  # another session in the same database
        owner.execute("select 1")
        seen_by_owner = inspector(database_dsn).inspect(TABLE, give_up_at=soon())
        seen_by_reader = inspector(reader_dsn).inspect(TABLE, give_up_at=soon())
    role = seen_by_reader.identity.role
    hidden = {part.part: part.why for part in seen_by_reader.hidden}

    assert seen_by_owner.hidden == []
    assert seen_by_owner.identity.sessions == database_checks.SessionsEntry(others=1, active=0)
    assert seen_by_reader.identity.sessions == database_checks.SessionsEntry(others=1, active=None)
    assert hidden["other sessions"] == f'not visible to role {role}: GRANT pg_monitor TO "{role}"'
    assert hidden["settings of superusers"] == f'not visible to role {role}: GRANT pg_read_all_settings TO "{role}"'


def test_a_reader_sees_its_table_indexes_and_limits_as_the_owner_does(database_dsn: str, reader_dsn: str) -> None:
    by_owner = inspector(database_dsn).inspect(TABLE, give_up_at=soon())
    by_reader = inspector(reader_dsn).inspect(TABLE, give_up_at=soon())

    assert by_reader.table == by_owner.table
    assert by_reader.extensions == by_owner.extensions
    assert by_reader.connections is not None
    assert (by_reader.connections.role_limit, by_reader.connections.role_in_use) == (7, 1)
    assert by_reader.connections.left == 6
    assert by_reader.identity.system_identifier == by_owner.identity.system_identifier is not None


def test_settings_of_role_and_database_are_told_apart_and_become_its_guards(database_dsn: str, reader_dsn: str) -> None:
    here = inspector(reader_dsn).identify(give_up_at=soon())
    role, database = sql.Identifier(here.role), sql.Identifier(here.database)
    execute(
        database_dsn,
        sql.SQL("ALTER ROLE {} SET statement_timeout = '31s'").format(role),
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET lock_timeout = '3s'").format(role, database),
        sql.SQL("ALTER DATABASE {} SET work_mem = '8MB'").format(database),
    )

    read = inspector(reader_dsn).inspect(TABLE, give_up_at=soon())

    assert read.role is not None
    assert {(row.held_by, row.name, row.setting) for row in read.role.settings} == {
        ("role", "statement_timeout", "31s"),
        ("role in database", "lock_timeout", "3s"),
        ("database", "work_mem", "8MB"),
    }
    safeguards = {safeguard.name: (safeguard.setting, safeguard.source) for safeguard in read.role.safeguards}
    assert safeguards["statement_timeout"] == ("31000", "user")
    assert safeguards["lock_timeout"] == ("3000", "database user")
    assert safeguards["idle_in_transaction_session_timeout"][0] == "0"
    rows = {row.name: (row.setting, row.unit, row.source) for row in read.settings or ()}
    assert rows["work_mem"] == ("8192", "kB", "database")
    assert rows["statement_timeout"] == ("31000", "ms", "user")


def test_no_value_of_a_setting_that_may_hold_a_secret_is_shown(database_dsn: str, reader_dsn: str) -> None:
    here = inspector(reader_dsn).identify(give_up_at=soon())
    role, database = sql.Identifier(here.role), sql.Identifier(here.database)
    execute(
        database_dsn,
        sql.SQL("ALTER ROLE {} SET app.signing_key = 'hunter-two'").format(role),
        sql.SQL("ALTER ROLE {} SET app.pin_token = '4711'").format(role),
        sql.SQL("ALTER DATABASE {} SET app.upstream = 'postgresql://a:hunter-two@b/c'").format(database),
        sql.SQL("ALTER DATABASE {} SET app.batch = '200'").format(database),
    )

    read = inspector(reader_dsn).inspect(TABLE, give_up_at=soon())
    content = read.model_dump_json()

    assert "hunter-two" not in content
    assert "4711" not in content
    assert "only-to-read" not in content
    assert read.role is not None
    own = {row.name: row.setting for row in read.role.settings}
    assert own == {"app.signing_key": None, "app.pin_token": None, "app.upstream": None, "app.batch": "200"}
    shown = {row.name: row.setting for row in read.settings or ()}
    assert {name for name in own if name in shown} <= {name for name, setting in shown.items() if setting is None}


def test_an_index_whose_build_failed_is_not_valid(database_dsn: str) -> None:
    execute(database_dsn, "insert into receipts (event_id) values ('same'), ('same')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(database_dsn, "create unique index concurrently broken on receipts (event_id)")

    table = inspector(database_dsn).inspect(TABLE, give_up_at=soon()).table

    assert table is not None
    assert [index.name for index in table.indexes if not index.valid] == ["public.broken"]


def test_dead_rows_bloat_and_vacuums_of_a_table_are_seen(database_dsn: str) -> None:
    execute(
        database_dsn,
        "alter table receipts set (autovacuum_enabled = off)",
        "insert into receipts (event_id, decision) select n::text, 'ADMIT' from generate_series(1, 20000) as n",
        "delete from receipts where event_id::int > 1000",
    )
    execute(database_dsn, "analyze receipts")  # in a session of its own, which follows the figures of the one before
    before = inspector(database_dsn).inspect(TABLE, give_up_at=soon()).table
    execute(database_dsn, "vacuum analyze receipts")
    execute(database_dsn, "insert into receipts (event_id) values ('last')", "analyze receipts")
    after = inspector(database_dsn).inspect(TABLE, give_up_at=soon()).table

    assert before is not None
    assert before.total is not None
    assert (before.total.live_rows, before.total.dead_rows) == (1000, 19000)
    assert before.total.last_vacuum_utc is None
    assert before.total.last_analyze_utc is not None
    assert before.total.bloat_bytes is not None
    assert before.total.bloat_bytes > 0.8 * before.total.size_bytes
    assert after is not None
    assert after.total is not None
    assert after.total.dead_rows == 0
    assert after.total.last_vacuum_utc is not None


def test_a_table_that_was_never_analyzed_has_no_bloat_that_anybody_knows(database_dsn: str) -> None:
    execute(
        database_dsn,
        "alter table receipts set (autovacuum_enabled = off)",
        "insert into receipts (event_id) select n::text from generate_series(1, 5000) as n",
    )

    table = inspector(database_dsn).inspect(TABLE, give_up_at=soon()).table

    assert table is not None
    assert table.total is not None
    assert table.total.bloat_bytes is None


def test_a_role_that_may_read_some_columns_sees_no_bloat_and_takes_no_wide_column_for_waste(database_dsn: str) -> None:
    execute(
        database_dsn,
        "create table wide (decision text, at timestamptz, payload text)",
        "insert into wide select 'ADMIT', now(), repeat('x', 900) from generate_series(1, 20000)",
        "create role narrow",
        "grant select (decision, at) on wide to narrow",
    )
    execute(database_dsn, "vacuum analyze wide")
    try:
        as_owner = inspector(database_dsn).inspect("wide", give_up_at=soon()).table
        narrow = f"{database_dsn}&options=-c%20role%3Dnarrow"
        as_narrow = inspector(narrow).inspect("wide", give_up_at=soon()).table
    finally:
        execute(database_dsn, "drop owned by narrow", "drop role narrow")

    assert as_owner is not None
    assert as_owner.total is not None
    assert as_owner.total.bloat_bytes is not None
    assert as_owner.total.bloat_bytes < 0.2 * as_owner.total.size_bytes
    assert as_narrow is not None
    assert as_narrow.total is not None
    assert as_narrow.total.bloat_bytes is None


def test_partitions_are_listed_and_summed(database_dsn: str) -> None:
    execute(
        database_dsn,
        'create table "Parted Receipts" (at date not null, event_id text) partition by range (at)',
        "create table p1 partition of \"Parted Receipts\" for values from ('2026-01-01') to ('2026-02-01')",
        "create table p2 partition of \"Parted Receipts\" for values from ('2026-02-01') to ('2026-03-01')",
        'create index by_event on "Parted Receipts" (event_id)',
        "insert into \"Parted Receipts\" select '2026-01-01'::date + n % 50, n::text from generate_series(1, 1000) n",
    )
    execute(database_dsn, 'analyze "Parted Receipts"')

    table = inspector(database_dsn).inspect("Parted Receipts", give_up_at=soon()).table

    assert table is not None
    assert table.kind == "partitioned table"
    assert [row.name for row in table.tables] == ['public."Parted Receipts"', "public.p1", "public.p2"]
    assert table.total is not None
    assert table.total.live_rows == 1000
    assert table.total.size_bytes == sum(row.size_bytes for row in table.tables)
    assert {index.table for index in table.indexes} == {'public."Parted Receipts"', "public.p1", "public.p2"}


def test_a_server_that_counts_nothing_has_no_figures_and_no_zeros(database_dsn: str) -> None:
    execute(database_dsn, "insert into receipts (event_id) select n::text from generate_series(1, 50) as n")

    table = inspector(f"{database_dsn}&options=-c%20track_counts%3Doff").inspect(TABLE, give_up_at=soon()).table

    assert table is not None
    assert table.total is not None
    assert (table.total.live_rows, table.total.dead_rows, table.total.last_analyze_utc) == (None, None, None)
    assert {index.scans for index in table.indexes} == {None}


def test_a_view_shows_the_tables_behind_it(database_dsn: str) -> None:
    execute(database_dsn, "create view seen as select * from receipts where decision = 'ADMIT'")

    table = inspector(database_dsn).inspect("seen", give_up_at=soon()).table

    assert table is not None
    assert (table.kind, [row.name for row in table.tables]) == ("view", ["public.receipts"])


def test_statements_that_are_not_there_say_how_to_make_them_visible(database_dsn: str) -> None:
    read = inspector(database_dsn).inspect(TABLE, give_up_at=soon())

    assert read.statements is not None
    assert not read.statements.visible
    assert "CREATE EXTENSION" in read.statements.how


def test_a_hostile_table_name_is_a_name_and_nothing_more(database_dsn: str) -> None:
    hostile = 'receipts"; drop table receipts; --'

    assert inspector(database_dsn).inspect(hostile, give_up_at=soon()).table is None
    assert inspector(database_dsn).inspect(TABLE, give_up_at=soon()).table is not None


def test_a_table_in_a_schema_that_the_role_may_not_use_is_hidden_and_not_absent(
    database_dsn: str, reader_dsn: str
) -> None:
    execute(database_dsn, "create schema apart", "create table apart.receipts (event_id text)")

    read = inspector(reader_dsn).inspect("apart.receipts", give_up_at=soon())

    assert read.table is None
    (why,) = [part.why for part in read.hidden if part.part == "table"]
    execute(database_dsn, *why.partition(": ")[2].split("; "))  # as they are printed
    shown = inspector(reader_dsn).inspect("apart.receipts", give_up_at=soon()).table
    assert shown is not None
    assert (shown.relation, shown.readable) == ("apart.receipts", "all")


@pytest.mark.parametrize(
    ("statements", "readable"),
    [
        (["GRANT SELECT ON odd TO {}"], "all"),
        ([], "nothing"),
        (["GRANT SELECT (a) ON odd TO {}"], "some columns"),
        (["GRANT SELECT (a, b) ON odd TO {}"], "all"),
        (["GRANT SELECT ON odd TO {}", "ALTER TABLE odd ENABLE ROW LEVEL SECURITY"], "some rows"),
    ],
)
def test_what_the_role_may_read_of_the_table_is_told(
    database_dsn: str, reader_dsn: str, statements: list[str], readable: str
) -> None:
    role = urllib.parse.urlsplit(reader_dsn).username or ""
    execute(database_dsn, "create table odd (a text, b text)", *(each.format(role) for each in statements))

    table = inspector(reader_dsn).inspect("odd", give_up_at=soon()).table

    assert table is not None
    assert (table.relation, table.readable) == ("public.odd", readable)


def test_an_index_is_defined_alike_whatever_the_search_path_of_the_role(database_dsn: str) -> None:
    execute(
        database_dsn,
        "create schema apart",
        "create type apart.word as enum ('ADMIT')",
        "create table apart.receipts (word apart.word)",
        "create index on apart.receipts (word) where word = 'ADMIT'",
    )

    plain, inside = (
        inspector(f"{database_dsn}{path}").inspect("apart.receipts", give_up_at=soon()).table
        for path in ("", "&options=-csearch_path%3Dapart")
    )

    assert plain is not None
    assert inside is not None
    assert plain.indexes == inside.indexes
    assert "apart.word" in plain.indexes[0].definition


def test_a_system_identifier_that_is_not_visible_is_hidden_and_nobody_calls_the_database_the_same(
    database_dsn: str, reader_dsn: str
) -> None:
    execute(database_dsn, "revoke execute on function pg_control_system() from public")

    by_owner, by_reader = (inspector(dsn).inspect(TABLE, give_up_at=soon()) for dsn in (database_dsn, reader_dsn))
    hidden = {part.part: part.why for part in by_reader.hidden}

    assert by_reader.identity.system_identifier is None
    assert "GRANT EXECUTE ON FUNCTION pg_control_system() TO" in hidden["system identifier"]
    assert identities.compare(by_owner.identity, by_reader.identity).same == "unknown"  # by sockets


@pytest.mark.parametrize(
    ("view", "part"),
    [
        ("pg_stat_activity", "sessions"),
        ("pg_settings", "settings"),
        ("pg_stat_database", "connections"),
        ("pg_stat_all_tables", "table"),
        ("pg_stat_all_indexes", "table"),
        ("pg_roles", "role"),
        ("pg_extension", "extensions"),
    ],
)
def test_a_view_that_the_role_may_not_read_hides_its_own_part_alone(
    database_dsn: str, reader_dsn: str, view: str, part: str
) -> None:
    named = sql.Identifier("pg_catalog", view)
    execute(database_dsn, sql.SQL("REVOKE SELECT ON {} FROM PUBLIC").format(named))
    try:
        reading = inspector(reader_dsn).inspect(TABLE, give_up_at=soon())
        identity = inspector(reader_dsn).identify(give_up_at=soon())
    finally:
        execute(database_dsn, sql.SQL("GRANT SELECT ON {} TO PUBLIC").format(named))

    assert part in {hidden.part for hidden in reading.hidden}
    assert reading.health.round_trip_seconds > 0
    assert (identity.sessions.others is None) == (view == "pg_stat_activity")


def test_two_databases_of_one_server_have_the_same_system_and_other_oids(database_dsn: str) -> None:
    here = inspector(database_dsn).identify(give_up_at=soon())
    template = urllib.parse.urlunsplit(urllib.parse.urlsplit(database_dsn)._replace(path="/postgres"))
    other = inspector(template).identify(give_up_at=soon())

    assert (here.system_identifier, here.started_utc) == (other.system_identifier, other.started_utc)
    assert here.database_oid != other.database_oid
    assert here.address is None  # a connection by a Unix socket


def test_a_role_that_may_not_log_in_is_refused_without_its_password(database_dsn: str) -> None:
    url = urllib.parse.urlsplit(database_dsn)
    wrong = urllib.parse.urlunsplit(url._replace(netloc=f"burst:not-the-word@{url.netloc.rpartition('@')[2]}"))

    with pytest.raises(errors.Refused) as refusal:
        inspector(wrong).identify(give_up_at=soon())

    assert "not-the-word" not in str(refusal.value)
