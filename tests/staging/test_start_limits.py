"""A value that the server would not take, or with which it would not start again, is refused before; no other is."""

import psycopg
import pytest
from psycopg import sql

from burst.adapters.postgres import staged_database
from burst.domain.basics import redaction
from burst.domain.staging import allowed_settings, changes
from tests.staging import conftest
from tests.staging.test_stages import one_stage


@pytest.mark.parametrize(
    ("statement", "least"),
    [
        ("ALTER SYSTEM SET min_wal_size = '16MB'", "at least 32MB, twice wal_segment_size"),
        ("ALTER SYSTEM SET max_wal_size = 31", "at least 32MB, twice wal_segment_size"),
        ("ALTER SYSTEM SET max_connections = 3", "at least 4, one more than superuser_reserved_connections"),
        ("ALTER SYSTEM SET max_wal_senders = 1", "with wal_level minimal max_wal_senders has to be 0"),
    ],
)
def test_a_value_with_which_the_server_would_not_start_again_is_refused_before_anything_is_applied(
    desk: conftest.Desk, statement: str, least: str
) -> None:
    at_first = desk.snapshot().content()

    answer = desk.stage(one_stage("ALTER SYSTEM SET work_mem = '8MB'", statement, more="    restart: true\n"))

    assert (answer.code, desk.snapshot().content()) == (4, at_first)
    assert "the server would not start with it" in answer.said
    assert least in answer.said


def test_a_reset_is_held_to_the_value_that_the_files_below_give(desk: conftest.Desk) -> None:
    below = desk.ask("SELECT setting FROM pg_file_settings WHERE name = 'max_wal_senders'")

    answer = desk.stage(one_stage("ALTER SYSTEM RESET max_wal_senders", more="    restart: true\n"))

    assert (below, answer.code, answer.document["pause"]["kind"]) == ("0", 3, "restart")


def test_fewer_prepared_transactions_than_wait_for_their_end_are_refused(desk: conftest.Desk) -> None:
    with psycopg.connect(desk.dsn, autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE left_open ()")
        connection.execute("PREPARE TRANSACTION 'left open'")
    text = one_stage("ALTER SYSTEM SET max_prepared_transactions = 0", more="    restart: true\n")

    refused = desk.stage(text)
    desk.ask("ROLLBACK PREPARED 'left open'")
    paused = desk.stage(text)

    assert (refused.code, "at least 1, because so many prepared transactions" in refused.said) == (4, True)
    assert (paused.code, paused.document["pause"]["kind"]) == (3, "restart")


@pytest.mark.parametrize(
    "statement", ["ALTER SYSTEM SET min_wal_size = '32MB'", "ALTER SYSTEM SET max_connections = 4"]
)
def test_the_server_starts_with_the_least_value_that_is_allowed(desk: conftest.Desk, statement: str) -> None:
    paused = desk.stage(one_stage(statement, more="    restart: true\n"))
    desk.restart()

    answer = desk.resume()

    assert (paused.code, answer.code) == (3, 0)


@pytest.mark.parametrize("column", ["setting", "boot_val", "min_val", "max_val"])
def test_no_value_that_postgres_itself_names_for_a_setting_is_called_one_that_it_does_not_take(
    desk: conftest.Desk, column: str
) -> None:
    with psycopg.connect(desk.dsn) as connection:
        query = sql.SQL("SELECT name, {0} FROM pg_settings WHERE {0} <> ''").format(sql.Identifier(column))
        rows = connection.execute(query).fetchall()
    wanted = [
        changes.SetParameter(place=changes.SettingPlace(), name=name, values=(value,))
        for name, value in rows
        if allowed_settings.is_allowed(name) and name not in {*allowed_settings.LISTS, "max_stack_depth"}
    ]

    obstacles = staged_database.PostgresStages(lambda: redaction.Secret(desk.dsn)).find_obstacles(wanted)

    assert len(wanted) > 60
    assert [words for words in obstacles if "would not start" not in words and "command line" not in words] == []
