"""A real primary, with pg_stat_statements, and a real standby of it: what an inspector and a check say of each."""

import os
import shutil
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from burst.adapters.local import system_clock
from burst.adapters.postgres import postgres_inspector
from burst.domain.basics import instants, redaction
from burst.domain.database import identities
from burst.domain.documents import database_checks
from burst.sandbox import embedded_postgres, postgres_programs, postgres_supervisor
from burst.wiring import checking_databases
from tests import waiting

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_connections": "20",
    "shared_buffers": "16MB",
    "shared_preload_libraries": "pg_stat_statements",
    "archive_command": "upload --token hunter-two %p",
    "wal_receiver_status_interval": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A primary and its standby, as owner and as a role that may only read, by DSN."""

    primary: str
    standby: str
    reader: str
    standby_reader: str
    password: str


def make_server(home: Path, programs: postgres_programs.Programs) -> postgres_supervisor.SupervisedPostgres:
    account = postgres_programs.choose_account()
    return postgres_supervisor.SupervisedPostgres(
        home=home,
        binaries=programs.path,
        settings=SETTINGS,
        user_id=account.user_id if account else None,
        group_id=account.group_id if account else None,
    )


def copy_for_server(source: Path, target: Path) -> None:
    """A data folder for a second server, which the same user owns."""
    account = postgres_programs.choose_account()
    shutil.copytree(source, target, symlinks=True)
    for folder, _, files in os.walk(target):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            if account is not None:
                os.chown(path, account.user_id, account.group_id)
    os.chmod(target, 0o700)


def dsn_of(server: postgres_supervisor.SupervisedPostgres, user: str, password: str) -> str:
    address = urllib.parse.urlencode({"host": str(server.socket_folder), "port": postgres_supervisor.PORT}, safe="/")
    return f"postgresql://{user}:{password}@/postgres?{address}"


def follow_primary(home: Path, primary: postgres_supervisor.SupervisedPostgres, source: Path) -> None:
    """Makes the data of a standby from those of its primary, which is stopped."""
    data, sockets = home / "data", home / "s"
    sockets.mkdir(mode=0o700)
    copy_for_server(source, data)
    conninfo = f"host={primary.socket_folder} user=burst password={primary.password}"
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = '{conninfo}'\n")
    (data / "standby.signal").touch()
    account = postgres_programs.choose_account()
    if account is not None:
        for path in (sockets, data / "standby.signal"):
            os.chown(path, account.user_id, account.group_id)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    account = postgres_programs.choose_account()
    temporary = postgres_programs.choose_temporary_folder(account)
    programs = postgres_programs.make_reachable(postgres_programs.find_programs(), account, temporary)
    with postgres_supervisor.make_home(temporary) as first, postgres_supervisor.make_home(temporary) as second:
        primary, standby = make_server(first, programs), make_server(second, programs)
        try:
            primary.create()
            primary.start()
            owner = dsn_of(primary, postgres_supervisor.USER, primary.password)
            embedded_postgres.apply_schema(owner)
            with psycopg.connect(owner, autocommit=True) as connection:
                connection.execute("create extension pg_stat_statements")
                connection.execute("create role reader login password 'only-to-read'")
                connection.execute("grant select on receipts to reader")
            primary.stop()
            follow_primary(second, primary, first / "data")
            primary.start()
            standby.start()
            yield Pair(
                primary=owner,
                standby=dsn_of(standby, postgres_supervisor.USER, primary.password),
                reader=dsn_of(primary, "reader", "only-to-read"),
                standby_reader=dsn_of(standby, "reader", "only-to-read"),
                password=primary.password,
            )
        finally:
            standby.stop()
            primary.stop()


def inspect(dsn: str) -> database_checks.DatabaseReading:
    inspector = postgres_inspector.PostgresInspector(redaction.Secret(dsn))
    return inspector.inspect("receipts", give_up_at=instants.later(datetime.now(UTC), 30))


def check(dsn: str) -> database_checks.DatabaseCheck:
    return checking_databases.check_database(checking_databases.CheckRequest(dsn=dsn), system_clock.SystemClock())


def status(checked: database_checks.DatabaseCheck, name: str) -> str:
    return next(finding.status for finding in checked.findings if finding.check == name)


def test_a_standby_says_how_far_it_has_replayed_and_is_refused(pair: Pair) -> None:
    with psycopg.connect(pair.primary, autocommit=True) as owner:
        owner.execute("insert into receipts (event_id) values ('one')")

    def replayed() -> database_checks.ReplayEntry | None:
        replay = inspect(pair.standby).server.replay
        return replay if replay and replay.caught_up and replay.receiver_status == "streaming" else None

    replay = waiting.until(replayed, what="the standby to replay all that it received")
    checked = check(pair.standby)

    assert replay.lag_seconds == 0.0
    assert replay.replayed_utc is not None
    assert replay.receiver_heard_utc is not None
    assert (checked.status, status(checked, "standby")) == ("refused", "refused")


def test_a_standby_without_a_receiver_still_says_what_it_knows(pair: Pair) -> None:
    def connect_to(conninfo: str) -> None:
        owner.execute(sql.SQL("alter system set primary_conninfo = {}").format(sql.Literal(conninfo)))
        owner.execute("select pg_reload_conf()")

    with psycopg.connect(pair.standby, autocommit=True) as owner:
        kept = owner.execute("show primary_conninfo").fetchone()
        assert kept is not None
        connect_to("")
        try:
            replay = waiting.until(lambda: without_receiver(pair.standby), what="the receiver to end")
        finally:
            connect_to(kept[0])

    assert replay.caught_up
    assert replay.lag_seconds == 0.0
    assert replay.receiver_heard_utc is None


def without_receiver(dsn: str) -> database_checks.ReplayEntry | None:
    replay = inspect(dsn).server.replay
    return replay if replay is not None and replay.receiver_status is None else None


def test_a_standby_and_its_primary_have_one_system_identifier_and_are_two_databases(pair: Pair) -> None:
    primary, standby = inspect(pair.primary).identity, inspect(pair.standby).identity

    compared = identities.compare(primary, standby)

    assert primary.system_identifier == standby.system_identifier is not None
    assert (compared.same, compared.why) == ("other", "another server: a standby or a copy of it")


def test_what_a_reader_may_not_see_of_a_standby_is_hidden_and_no_absence(pair: Pair) -> None:
    waiting.until(
        lambda: (found := inspect(pair.standby).server.replay) and found.receiver_status, what="a receiver to stream"
    )

    read = inspect(pair.standby_reader)

    assert read.server.replay is not None
    assert read.server.replay.receiver_status is None
    assert "wal receiver" in read.hidden_parts


def test_the_statements_on_the_table_that_took_longest_are_named_without_their_values(pair: Pair) -> None:
    with psycopg.connect(pair.primary, autocommit=True) as owner:
        owner.execute("select pg_stat_statements_reset()")
        for number in range(3):
            value = sql.Literal(f"hunter-two-{number}")
            owner.execute(sql.SQL("select count(*) from receipts where event_id = {}").format(value))
        owner.execute("comment on table receipts is 'hunter-two'")

    entry = inspect(pair.primary).statements

    assert entry is not None
    assert entry.visible
    counting = [row for row in entry.top if row.query.startswith("select count(*)")]
    assert [row.calls for row in counting] == [3]
    assert "hunter-two" not in entry.model_dump_json()


def test_a_reader_sees_its_own_statements_and_how_to_see_those_of_others(pair: Pair) -> None:
    with psycopg.connect(pair.primary, autocommit=True) as owner:
        owner.execute("select count(*) from receipts")

    entry = inspect(pair.reader).statements

    assert entry is not None
    assert entry.others_hidden > 0
    assert 'GRANT pg_monitor TO "reader"' in entry.how
    assert status(check(pair.reader), "statements") == "note"


def test_the_command_that_archives_is_known_to_be_set_and_its_words_are_shown_to_nobody(pair: Pair) -> None:
    readings = [inspect(dsn) for dsn in (pair.primary, pair.standby, pair.reader)]

    for read in readings:
        rows = {row.name: row.setting for row in read.settings or ()}
        assert rows["archive_command"] is None  # any role may read it, with its token
        assert "hunter-two" not in read.model_dump_json()
        assert pair.password not in read.model_dump_json()
    assert "primary_conninfo" in {row.name for row in readings[1].settings or ()}
    assert "settings of superusers" in readings[2].hidden_parts
