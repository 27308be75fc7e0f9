"""Duplicates told apart on real tables: any column of events, one statement, a bounded time, and never a guess."""

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burst.adapters.postgres import connections, duplicate_statements, postgres_receipts, statements
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import driver_figures, duplicates, receipt_table
from burst.task import counting
from tests import fakes_receipts

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))
ROLES = {"decision": "decision", "at": "at", "scope": "scope"}


def soon(seconds: float = 20) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def execute(dsn: str, *queries: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for query in queries:
            connection.execute(query.encode())


def make_source(
    dsn: str, form: receipt_table.TableForm = receipt_table.PLAIN_FORM, *, statement_seconds: float = 30.0
) -> postgres_receipts.PostgresReceipts:
    columns = ROLES if form.name != "receipts" else counting.COLUMNS
    return postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn),
        columns=columns,
        form=form,
        timeouts=connections.Timeouts(statement_seconds=statement_seconds),
    )


EVENTS: dict[str, tuple[str, Sequence[Any]]] = {
    "text": ("text", ["earlier", "within", "never"]),
    "uuid": ("uuid", [str(uuid.UUID(int=number)) for number in (1, 2, 3)]),
    "bigint": ("bigint", [1, 2, 3]),
    "bytea": ("bytea", [b"1", b"2", b"3"]),
}


@pytest.mark.parametrize("has_index", [False, True], ids=["without index", "by index"])
@pytest.mark.parametrize(("event_type", "events"), EVENTS.values(), ids=EVENTS)
def test_any_column_of_events_tells_duplicates_apart(
    database_dsn: str, event_type: str, events: Sequence[Any], has_index: bool
) -> None:
    earlier, within, never = events
    execute(database_dsn, f'create table typed (decision text, at timestamptz, scope text, "the Event" {event_type})')
    if has_index:
        execute(database_dsn, 'create index on typed (scope, "the Event")')
    rows = [
        *(("ADMIT", -60, earlier), ("DUPLICATE", 60, earlier), ("DUPLICATE", 61, earlier)),
        *(("ADMIT", 1, within), ("DUPLICATE", 2, within), ("DUPLICATE", 3, never), ("DUPLICATE", 4, None)),
        ("ADMIT", 5, None),
    ]
    with psycopg.connect(database_dsn) as connection:
        for decision, seconds, event in rows:
            moment = START + timedelta(seconds=seconds)
            connection.execute("insert into typed values (%s, %s, 'a', %s)", [decision, moment, event])

    classes = make_source(database_dsn, receipt_table.TableForm(name="typed")).classify_duplicates(
        WINDOW, scope="a", event_column="the Event", give_up_at=soon()
    )

    assert classes == duplicates.DuplicateClasses(retry=1, replay=2, unknown=2)


def test_a_table_with_words_and_numbers_of_its_own_is_told_apart_the_same(database_dsn: str) -> None:
    execute(
        database_dsn,
        "create table typed (decision text, at bigint, scope uuid, event_id text)",
        "insert into typed select word, 1000 * extract(epoch from timestamptz '2026-02-21 02:00Z')::bigint + after,"  # noqa: S608
        f" '{uuid.UUID(int=7)}', event from (values ('yes', -1, 'x'), ('again', 5, 'x'), ('YES', 6, 'y'),"
        " ('again', 7, 'y'), ('ADMIT', 1, 'z'), ('again', 8, 'z')) as given (word, after, event)",
    )
    form = receipt_table.TableForm(
        name="typed", time_unit="ms", decision_words={"ADMIT": ("yes", "YES"), "DUPLICATE": ("again",)}
    )

    classes = make_source(database_dsn, form).classify_duplicates(
        WINDOW, scope=str(uuid.UUID(int=7)), event_column="event_id", give_up_at=soon()
    )

    assert classes == duplicates.DuplicateClasses(retry=1, replay=1, unknown=1)


def test_events_of_a_type_without_equality_cannot_be_told_apart(database_dsn: str) -> None:
    execute(database_dsn, "create table typed (decision text, at timestamptz, scope text, event_id json)")

    source = make_source(database_dsn, receipt_table.TableForm(name="typed"))

    assert source.classify_duplicates(WINDOW, scope="a", event_column="event_id", give_up_at=soon()) is None


@pytest.mark.parametrize("name", ["event_id; drop table receipts", 'event"id', "event_id --", "x" * 63])
def test_a_hostile_name_of_a_column_is_a_column_that_is_not_there(database_dsn: str, name: str) -> None:
    source = make_source(database_dsn)

    assert source.classify_duplicates(WINDOW, scope="a", event_column=name, give_up_at=soon()) is None
    assert source.scope_contents("a", event_column="event_id", give_up_at=soon()).counts.total == 0


def test_a_first_admit_whose_time_is_no_instant_is_refused(database_dsn: str) -> None:
    execute(
        database_dsn,
        "insert into receipts (platform_run_id, decision, created_at_utc, event_id) values"
        " ('a', 'DUPLICATE', '2026-02-21T02:01:00Z', 'x'), ('a', 'ADMIT', 'yesterday', 'x')",
    )
    execute(database_dsn, "update receipts set created_at_utc = 'long ago' where decision = 'ADMIT'")

    with pytest.raises(errors.Refused, match="every row must hold an instant"):
        make_source(database_dsn).classify_duplicates(WINDOW, scope="a", event_column="event_id", give_up_at=soon())


def test_it_takes_no_longer_than_it_may_and_is_asked_once(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "DATABASE_SECONDS", 0.3)
    source = make_source(database_dsn)
    with psycopg.connect(database_dsn) as connection:
        connection.execute("lock table receipts in access exclusive mode")
        began = time.monotonic()
        with pytest.raises(errors.Unavailable):
            source.classify_duplicates(WINDOW, scope="a", event_column="event_id", give_up_at=soon(60))
        took_seconds = time.monotonic() - began

    assert took_seconds < 20.0, "it had 60"
    assert source.read_figures().database_seconds < 2.0


def test_the_table_is_read_for_the_window_and_once_more_for_the_scope(database_dsn: str) -> None:
    """Without an index on events no plan may read the table again for each duplicate."""
    execute(
        database_dsn,
        "insert into receipts (receipt_id, platform_run_id, decision, created_at_utc, event_id)"
        " select md5(n::text), 'a', case when n % 3 = 0 then 'DUPLICATE' else 'ADMIT' end,"
        " (timestamptz '2026-02-21 02:00Z' + n * interval '10 milliseconds')::text, (n / 3)::text"
        " from generate_series(1, 60000) n",
        "analyze receipts",
    )
    engine = sqlalchemy.create_engine(
        database_dsn.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=sqlalchemy.pool.NullPool
    )
    with engine.connect() as connection:
        table = statements.describe_table(receipt_table.PLAIN_FORM, counting.COLUMNS)
        table = statements.read_types(connection, table)
        compiled = duplicate_statements.classify_duplicates(table, "event_id").compile(engine)
        values = {**compiled.params, **table.bind_window(WINDOW), "scope": "a"}
        rows = (
            connection.exec_driver_sql(f"explain (analyze, timing off, costs off) {compiled}", values).scalars().all()
        )
    scans = [row for row in rows if " on receipts" in row and "Bitmap Index" not in row]

    assert len(scans) == 2, rows
    assert all("loops=1)" in row or "loops=2)" in row or "loops=3)" in row for row in scans), rows


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["ADMIT", "DUPLICATE", "QUARANTINE"]),
        st.sampled_from([-1, 0, 1, 600, 1199, 1200, 1201]),
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from(["a", "b"]),
    ),
    max_size=25,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_the_classes_are_those_of_a_reading_row_by_row(
    database_dsn: str, rows: list[tuple[str, int, str, str]]
) -> None:
    told = [
        fakes_receipts.Receipt(decision=decision, at=START + timedelta(seconds=after), scope=scope, event_id=event)
        for decision, after, event, scope in rows
    ]
    with psycopg.connect(database_dsn) as connection, connection.cursor() as cursor:
        cursor.execute("truncate receipts")
        cursor.executemany(
            "insert into receipts (receipt_id, platform_run_id, decision, created_at_utc, event_id)"
            " values (gen_random_uuid()::text, %s, %s, %s, %s)",
            [(each.scope, each.decision, each.at.isoformat(), each.event_id) for each in told],
        )
    memory = fakes_receipts.MemoryReceiptSource(told, now=lambda: datetime.now(UTC))
    memory.figures = driver_figures.NOTHING_YET

    for scope in ("a", "b"):
        expected = memory.classify_duplicates(WINDOW, scope=scope, event_column="event_id", give_up_at=soon())
        assert expected == make_source(database_dsn).classify_duplicates(
            WINDOW, scope=scope, event_column="event_id", give_up_at=soon()
        )
