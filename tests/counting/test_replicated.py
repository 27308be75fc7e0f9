"""A real primary, with pg_stat_statements, and a real standby of it: what an inspector and a check say of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from burst.adapters.local import system_clock
from burst.adapters.postgres import postgres_inspector
from burst.domain.basics import instants, redaction
from burst.domain.database import identities
from burst.domain.documents import database_checks
from burst.domain.receipts import receipt_table
from burst.sandbox import postgres_supervisor
from burst.wiring import checking_databases, index_advising, table_inspections
from tests import waiting
from tests.counting import replication


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A primary and its standby, as owner and as a role that may only read, by DSN."""

    primary: str
    standby: str
    reader: str
    standby_reader: str
    password: str


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    prepared = (
        "create extension pg_stat_statements",
        "create role reader login password 'only-to-read'",
        "grant select on receipts to reader",
    )
    with replication.run_pair(*prepared) as (primary, standby):
        yield Pair(
            primary=replication.dsn_of(primary, postgres_supervisor.USER, primary.password),
            standby=replication.dsn_of(standby, postgres_supervisor.USER, primary.password),
            reader=replication.dsn_of(primary, "reader", "only-to-read"),
            standby_reader=replication.dsn_of(standby, "reader", "only-to-read"),
            password=primary.password,
        )


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


def test_an_inspection_and_advice_say_that_the_server_is_a_standby(pair: Pair) -> None:
    def remark(dsn: str) -> str:
        request = table_inspections.InspectionRequest(dsn=dsn, table="receipts")
        return "; ".join(table_inspections.inspect_receipts(request, system_clock.SystemClock()).remarks)

    def note(dsn: str) -> str:
        columns = {"decision": "decision", "at": "created_at_utc", "scope": "platform_run_id"}
        request = index_advising.AdviceRequest(
            dsn=dsn, form=receipt_table.PLAIN_FORM, columns=columns, window_seconds=1200.0
        )
        return "; ".join(index_advising.advise(request, system_clock.SystemClock()).notes)

    assert "this server is a standby" in remark(pair.standby_reader)
    assert "this server is a standby: run the statements on its primary" in note(pair.standby_reader)
    assert "standby" not in remark(pair.reader) + note(pair.reader)


def test_statements_on_tables_whose_names_hold_that_of_the_table_are_not_told_of_it(pair: Pair) -> None:
    with psycopg.connect(pair.primary, autocommit=True) as owner:
        owner.execute("select pg_stat_statements_reset()")
        owner.execute("create table if not exists old_receipts (receipts_id text)")
        for source in (b"old_receipts", b'public."receipts"'):
            owner.execute(b"select count(*) from " + source)

    entry = inspect(pair.primary).statements

    assert entry is not None
    told = {row.query.partition(" from ")[2] for row in entry.top}
    assert 'public."receipts"' in told
    assert "old_receipts" not in told


def test_an_extension_that_the_server_did_not_load_says_so_and_is_no_hidden_part(database_dsn: str) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute("create extension pg_stat_statements")

    reading = inspect(database_dsn)

    assert reading.statements is not None
    assert reading.statements.how == "put pg_stat_statements into shared_preload_libraries, then restart"
    assert "statements" not in reading.hidden_parts
