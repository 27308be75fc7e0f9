"""The cost of a count: EXPLAIN of the shipped statement names index and partitions, and a sample alone is counted."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from burst.adapters.postgres import count_plans, postgres_receipts
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import count_costs, receipt_table

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))
COLUMNS = {"decision": "decision", "at": "at", "scope": "scope"}
FIRST = "00000000-0000-0000-0000-000000000001"
Estimate = Callable[..., count_costs.CountEstimate]


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=20)


@pytest.fixture
def estimate(database_dsn: str) -> Estimate:
    """Makes a table of 40,000 receipts, one each second, of four scopes one after the other, and estimates a count."""

    def make(
        *,
        scope_type: str = "text",
        at_type: str = "timestamptz",
        scope: str = "s1",
        scopes: str = "'s' || (g / 10000)",
        do: tuple[str, ...] = (),
        table: str = "wide",
        window: windows.Window = WINDOW,
    ) -> count_costs.CountEstimate:
        with psycopg.connect(database_dsn, autocommit=True) as connection:
            connection.execute("set timezone to 'UTC'")
            connection.execute("create type words as enum ('s0', 's1', 's2', 's3')")
            columns = f"decision text, at {at_type}, scope {scope_type}, payload text"
            connection.execute(f"create table wide ({columns})".encode())
            fill = sql.SQL(
                "insert into wide select case when g % 100 = 0 then 'DUPLICATE' else 'ADMIT' end,"
                " cast('2026-02-21 00:00+00'::timestamptz + g * interval '1 second' as {at_type}),"
                " cast({scopes} as {scope_type}), repeat('x', 200) from generate_series(0, 39999) as g"
            )
            names = {"at_type": at_type, "scopes": scopes, "scope_type": scope_type}
            connection.execute(fill.format(**{name: sql.SQL(words) for name, words in names.items()}))
            for statement in do:
                connection.execute(statement.encode())
            connection.execute("analyze")
        source = postgres_receipts.PostgresReceipts(
            redaction.Secret(database_dsn), columns=COLUMNS, form=receipt_table.TableForm(name=table)
        )
        return source.estimate_count(window, scope=scope, bucket_seconds=60, give_up_at=soon())

    return make


@pytest.mark.parametrize(
    ("scope_type", "scopes", "scope"),
    [
        ("text", "'s' || (g / 10000)", "s1"),
        ("uuid", "lpad((g / 10000)::text, 32, '0')", FIRST),
        ("words", "'s' || (g / 10000)", "s1"),
        ("integer", "g / 10000", "1"),
    ],
)
def test_the_plan_of_the_count_has_an_index_condition_with_the_scope(
    estimate: Estimate, scope_type: str, scopes: str, scope: str
) -> None:
    found = estimate(scope_type=scope_type, scopes=scopes, scope=scope, do=("create index by_scope on wide (scope)",))

    (scan,) = found.scans
    assert scan.index == "by_scope"
    assert re.search(r"scope = ", scan.index_condition)
    assert 9_000 < scan.rows < 11_000
    assert 0 < scan.pages < found.table_pages / 2


@pytest.mark.parametrize("at_type", ["timestamptz", "timestamp"])
def test_one_partition_is_touched_for_one_window(estimate: Estimate, at_type: str) -> None:
    days = [
        f"create table parted_{day} partition of parted for values from ('2026-02-{day}') to ('2026-02-{day + 1}')"
        for day in (20, 21, 22)
    ]
    found = estimate(
        at_type=f"{at_type}",
        table="parted",
        do=(
            f"create table parted (decision text, at {at_type} not null, scope text) partition by range (at)",
            *days,
            "insert into parted select decision, at, scope from wide where at < '2026-02-21 11:00'",
        ),
    )

    assert [scan.relation for scan in found.scans] == ["public.parted_21"]
    assert found.relations == 3
    assert "1 of 3 tables" in count_costs.describe_reading(found)


def test_without_an_index_every_page_is_read_and_a_part_is_counted_to_time_it(estimate: Estimate) -> None:
    found = estimate()

    (scan,) = found.scans
    assert (scan.access, scan.index) == ("Seq Scan", "")
    assert scan.pages == found.table_pages > 2 * count_plans.SAMPLE_PAGES
    assert found.sample is not None
    assert 0 < found.sample.pages < found.table_pages
    assert 0 < found.sample.rows <= count_plans.SAMPLE_ROWS
    assert 0 < (found.estimate_seconds() or 0.0) < 30


def test_a_view_is_estimated_by_the_tables_behind_it(estimate: Estimate) -> None:
    found = estimate(
        table="seen",
        do=("create view seen as select * from wide where decision <> 'gone'", "create index on wide (scope)"),
    )

    (scan,) = found.scans
    assert scan.relation == "public.wide"
    assert "scope" in scan.index_condition
    assert found.sample is not None


def test_an_index_alone_answers_where_it_covers_the_columns(estimate: Estimate) -> None:
    found = estimate(
        do=(
            "alter table wide alter at set not null",
            "create index covering on wide (scope, at) include (decision)",
            "vacuum wide",
        )
    )

    (scan,) = found.scans
    assert (scan.access, scan.index) == ("Index Only Scan", "covering")
    assert scan.pages < 50


def test_rows_that_cannot_be_counted_leave_the_seconds_unknown_and_the_reason_said(estimate: Estimate) -> None:
    found = estimate(at_type="text", do=("update wide set at = 'yesterday-ish'",))

    assert found.sample is None
    assert "invalid input syntax for type timestamp" in found.problem
    assert found.estimate_seconds() is None


def test_a_table_that_was_never_analyzed_is_estimated_by_the_rows_of_its_sample(database_dsn: str) -> None:
    with psycopg.connect(database_dsn) as connection:
        connection.execute(
            "create table fresh (decision text, at timestamptz, scope text) with (autovacuum_enabled=off)"
        )
        connection.execute("insert into fresh select 'ADMIT', now(), repeat('s', 200) from generate_series(1, 30000)")
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(database_dsn), columns=COLUMNS, form=receipt_table.TableForm(name="fresh")
    )

    found = source.estimate_count(WINDOW, scope="s", bucket_seconds=60, give_up_at=soon())

    assert 25_000 < found.table_rows < 35_000
    assert 25_000 < found.rows_read < 35_000


def test_an_empty_table_is_estimated_by_the_receipts_to_come(estimate: Estimate) -> None:
    found = estimate(do=("truncate wide",))

    assert found.sample is not None
    assert found.sample.rows == 0
    assert found.estimate_seconds(100_000) == pytest.approx(100_000 * count_costs.ASSUMED_RECEIPT_SECONDS, rel=0.1)


def test_a_scope_that_its_column_cannot_hold_is_a_mistake_in_the_plan(estimate: Estimate) -> None:
    with pytest.raises(errors.UsageError, match="scope: 'platform_1' cannot be in column scope of wide"):
        estimate(scope_type="integer", scopes="g / 10000", scope="platform_1")
