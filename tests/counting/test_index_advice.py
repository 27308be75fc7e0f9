"""`burst db advise` on a real database: its statements are run here, and the count then reads what was promised."""

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from burst.adapters.local import system_clock
from burst.adapters.postgres import index_catalog, postgres_receipts
from burst.cli import main
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import count_costs, index_advice, receipt_table, receipts
from burst.wiring import index_advising

COLUMNS = {"decision": "decision", "at": "at", "scope": "scope"}
START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))
ROWS = 40_000
TEXT = "to_char(timestamp '2026-02-21 00:00' + g * interval '1 s', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
INSTANT = "timestamptz '2026-02-21 00:00+00' + g * interval '1 s'"
Advise = Callable[..., index_advising.IndexAdvice]


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        for statement in statements:
            connection.execute(statement.encode())


def fill(dsn: str, *, at_type: str, at: str, name: str = "wide", options: str = "") -> None:
    days = [(name, day, f"2026-02-{day}", f"2026-02-{day + 1}") for day in (20, 21, 22)] if options else []
    columns = f"'ADMIT', {at}, 's' || (g / 10000), repeat('x', 200)"
    execute(
        dsn,
        f"create table {name} (decision text, at {at_type}, scope text, payload text) {options}",
        *(
            f"create table {table}_{day} partition of {table} for values from ('{first}') to ('{last}')"
            for table, day, first, last in days
        ),
        f"insert into {name} select {columns} from generate_series(0, {ROWS - 1}) as g",  # noqa: S608 - the test's own
        "vacuum analyze",
    )


@pytest.fixture
def advise(database_dsn: str) -> Advise:
    def ask(*, table: str = "wide", receipts_due: int | None = 1_200, **options: Any) -> index_advising.IndexAdvice:
        request = index_advising.AdviceRequest(
            dsn=database_dsn,
            form=receipt_table.TableForm(name=table),
            columns=COLUMNS,
            window_seconds=1200.0,
            scope="s0",
            expected_receipts=receipts_due,
            **options,
        )
        return index_advising.advise(request, system_clock.SystemClock())

    return ask


def measure(dsn: str, table: str = "wide") -> tuple[receipts.Counts, count_costs.CountEstimate]:
    """The count of a window with 1,200 receipts, and the planner's word on it."""
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn), columns=COLUMNS, form=receipt_table.TableForm(name=table)
    )
    soon = datetime.now(UTC) + timedelta(seconds=30)
    counted = source.count(WINDOW, scope="s0", bucket_seconds=60, give_up_at=soon)
    return counted.counts, source.estimate_count(WINDOW, scope="s0", bucket_seconds=60, give_up_at=soon)


@pytest.mark.parametrize(
    ("at_type", "at"), [("text not null", TEXT), ("timestamptz not null", INSTANT), ("timestamp not null", INSTANT)]
)
def test_the_advised_index_answers_a_count_alone_and_has_the_promised_size(
    database_dsn: str, advise: Advise, at_type: str, at: str
) -> None:
    fill(database_dsn, at_type=at_type, at=at)
    before, _ = measure(database_dsn)
    advice = advise()

    execute(database_dsn, *advice.indexes[0].statements, "vacuum analyze wide")

    after, estimate = measure(database_dsn)
    assert after == before == receipts.Counts(admit=1_200)
    assert {scan.access for scan in estimate.scans} <= {"Index Only Scan", "Index Scan", "Bitmap Heap Scan"}
    assert "Index Only Scan" in {scan.access for scan in estimate.scans}
    assert estimate.pages_read < advice.reading.estimate.pages_read / 10
    assert advice.reading.estimate.pages_read / advice.indexes[0].price.count_pages > 20
    with psycopg.connect(database_dsn) as connection:
        size = connection.execute(
            "select max(pg_relation_size(indexrelid)) from pg_index where indrelid = 'wide'::regclass"
        ).fetchone()
    assert size is not None
    assert 0.7 < size[0] / advice.indexes[0].price.size_bytes < 1.4
    assert advice.indexes[0].price.build_seconds > 0
    assert advise().indexes == []
    assert any("there is one already: burst_wide_scope_at_" in note for note in advise().notes)


def test_a_text_is_served_in_the_order_of_bytes_and_says_why(database_dsn: str, advise: Advise) -> None:
    fill(database_dsn, at_type="text", at=TEXT)

    advice = advise()

    assert '("scope", "at" COLLATE "C") INCLUDE ("decision")' in advice.indexes[0].statements[0]
    assert "IS NOT TRUE" in advice.indexes[0].statements[1]
    assert any("no index can hold the instant of a text" in note for note in advice.notes)
    assert [index.name for index in advice.indexes] == ["covering index"]


def test_a_time_in_the_order_of_the_rows_is_offered_a_brin_index_too(database_dsn: str, advise: Advise) -> None:
    fill(database_dsn, at_type="timestamptz not null", at=INSTANT)

    brin = advise().indexes[1]

    assert brin.name == "BRIN index"
    assert brin.price.pages < 10
    execute(database_dsn, *brin.statements)
    (statement,) = brin.statements
    assert re.fullmatch(r'CREATE INDEX CONCURRENTLY burst_\S+ ON "public"."wide" USING brin \("at"\);', statement)


def test_the_partitions_of_a_table_get_an_index_each_which_is_attached(database_dsn: str, advise: Advise) -> None:
    options = "partition by range (at)"
    fill(database_dsn, at_type="timestamptz not null", at=INSTANT, name="parted", options=options)

    advice = advise(table="parted")
    execute(database_dsn, *advice.indexes[0].statements, "vacuum analyze")

    assert len(advice.indexes[0].statements) == 1 + 2 * 3
    assert any("takes no index CONCURRENTLY" in note for note in advice.notes)
    counts, estimate = measure(database_dsn, "parted")
    (scan,) = estimate.scans
    assert counts.admit == 1_200
    assert (scan.relation, scan.access) == ("public.parted_21", "Index Only Scan")
    with psycopg.connect(database_dsn) as connection:
        valid = connection.execute("select bool_and(indisvalid) from pg_index where indrelid = 'parted'::regclass")
        assert valid.fetchone() == (True,)


SUB_PARTITIONED = (
    "create table deep (decision text, at timestamptz not null, scope text) partition by range (at)",
    "create table deep_rest partition of deep default",
    "create table deep_21 partition of deep for values from ('2026-02-21') to ('2026-02-22') partition by list (scope)",
    "create table deep_21_s0 partition of deep_21 for values in ('s0')",
    "create table deep_21_rest partition of deep_21 default",
    f"insert into deep select 'ADMIT', {INSTANT}, 's' || (g / 10000) from generate_series(0, {ROWS * 3 - 1}) as g",  # noqa: S608 - the test's own
    "analyze deep_rest, deep_21_s0, deep_21_rest",  # as autovacuum does, which leaves the table above them out
)


@pytest.mark.parametrize("table", ["deep", "deep_21"])
def test_partitions_of_partitions_get_an_index_each_which_is_attached_where_it_belongs(
    database_dsn: str, advise: Advise, table: str
) -> None:
    execute(database_dsn, *SUB_PARTITIONED)

    advice = advise(table=table)
    execute(database_dsn, *advice.indexes[0].statements, "vacuum analyze")

    assert advice.reading.facts.widths.keys() == set(COLUMNS)
    counts, estimate = measure(database_dsn, table)
    assert counts.admit == 1_200
    (scan,) = estimate.scans
    assert scan.relation == "public.deep_21_s0"
    assert "burst_deep_21_s0_scope_at_" in scan.index
    assert ".at >=" in scan.index_condition
    with psycopg.connect(database_dsn) as connection:
        invalid = connection.execute("select count(*) from pg_index where not indisvalid").fetchone()
    assert invalid == (0,)
    assert advise(table=table).indexes == []


def test_what_an_interrupted_build_left_on_a_partition_is_named(database_dsn: str, advise: Advise) -> None:
    execute(
        database_dsn,
        *SUB_PARTITIONED,
        "create index left_over on deep_21_s0 (at)",
        "update pg_index set indisvalid = false where indexrelid = 'left_over'::regclass",
    )

    assert any(note.startswith("left_over is not valid") for note in advise(table="deep").notes)


def test_names_with_every_mark_are_printed_so_that_the_statements_run(database_dsn: str, advise: Advise) -> None:
    marks = """Ünd; --' "" %s %(a)s %% :b $1"""
    fill(database_dsn, at_type="text not null", at=TEXT)
    execute(
        database_dsn,
        f'alter table wide rename at to "at {marks}"',
        f'alter table wide rename to "wide {marks}"',
        f'create schema "of {marks}"',
        f'alter table "wide {marks}" set schema "of {marks}"',
    )
    plain = marks.replace('""', '"')
    columns = {**COLUMNS, "at": f"at {plain}"}
    request = index_advising.AdviceRequest(
        dsn=database_dsn,
        form=receipt_table.TableForm(name=f"of {plain}.wide {plain}"),
        columns=columns,
        window_seconds=1200.0,
    )

    advice = index_advising.advise(request, system_clock.SystemClock())
    execute(database_dsn, *advice.indexes[0].statements, *advice.check_statements)

    again = index_advising.advise(request, system_clock.SystemClock())
    assert (again.indexes, again.check_statements) == ([], ())


def test_an_index_of_texts_in_another_order_than_that_of_bytes_serves_no_window(
    database_dsn: str, advise: Advise
) -> None:
    fill(database_dsn, at_type="text not null", at=TEXT)
    execute(database_dsn, "create index usual on wide (scope, at) include (decision)")

    advice = advise()

    assert [index.name for index in advice.indexes] == ["covering index"]
    assert any("usual finds the scope" in note for note in advice.notes)


def test_a_small_index_that_is_missing_beside_the_covering_one_is_advised_alone(
    database_dsn: str, advise: Advise
) -> None:
    fill(database_dsn, at_type="text not null", at=TEXT)
    whole, small = advise().indexes[0].statements
    execute(database_dsn, whole, "vacuum analyze wide")
    _, without = measure(database_dsn)

    advice = advise()
    execute(database_dsn, *advice.indexes[0].statements, "vacuum analyze wide")

    assert [index.statements for index in advice.indexes] == [(small,)]
    assert len(advice.check_statements) == 2
    assert any("the small one beside it is missing" in note for note in advice.notes)
    assert advice.indexes[0].price.build_seconds > 0
    counts, estimate = measure(database_dsn)
    assert counts.admit == 1_200
    assert sum(scan.rows for scan in without.scans) > 5 * sum(scan.rows for scan in estimate.scans)
    assert (advise().indexes, advise().check_statements) == ([], ())


def test_a_check_of_the_times_makes_the_small_index_needless(database_dsn: str, advise: Advise) -> None:
    fill(database_dsn, at_type="text not null", at=TEXT)
    execute(database_dsn, *advise().check_statements)

    (statement,) = advise().indexes[0].statements
    execute(database_dsn, statement, "vacuum analyze wide")

    counts, estimate = measure(database_dsn)
    assert counts.admit == 1_200
    assert "Index Only Scan" in {scan.access for scan in estimate.scans}
    assert sum(scan.pages for scan in estimate.scans) < 100
    assert advise().indexes == []


@pytest.mark.parametrize(("at_type", "at"), [("text not null", TEXT), ("timestamptz not null", INSTANT)])
def test_what_a_count_through_a_view_does_not_know_of_the_table_is_said(
    database_dsn: str, advise: Advise, at_type: str, at: str
) -> None:
    fill(database_dsn, at_type=at_type, at=at)
    execute(database_dsn, "create view seen as select * from wide", "create view seen_twice as select * from seen")

    notes = advise(table="seen_twice").notes

    assert any('let receipts.table name "public"."wide" itself' in note for note in notes)
    assert not any("declare it NOT NULL" in note for note in notes)


def test_a_view_is_served_by_an_index_of_the_table_below_with_its_columns(database_dsn: str, advise: Advise) -> None:
    fill(database_dsn, at_type="text", at=TEXT)
    execute(
        database_dsn,
        'alter table wide rename scope to "Run; --"',
        'create view seen as select decision, "Run; --" as scope, at from wide where payload is not null',
    )

    advice = advise(table="seen")

    assert advice.notes[0] == '"public"."wide" is the table below the view seen'
    assert '("Run; --", "at" COLLATE "C") INCLUDE ("decision")' in advice.indexes[0].statements[0]


def test_a_view_that_computes_its_columns_and_a_view_of_two_tables_are_refused(
    database_dsn: str, advise: Advise
) -> None:
    fill(database_dsn, at_type="text", at=TEXT)
    execute(
        database_dsn,
        "create view computed as select upper(decision) as decision, scope, at from wide",
        "create table another as select * from wide limit 10",
        "create view two as select * from wide union all select * from another",
    )

    with pytest.raises(errors.Refused, match=r"the view computed computes a column of its own \(upper\("):
        advise(table="computed")
    with pytest.raises(errors.Refused, match=r"two reads public.another, public.wide"):
        advise(table="two")


def test_an_index_of_the_scope_alone_one_left_broken_and_a_missing_analyze_are_said(
    database_dsn: str, advise: Advise
) -> None:
    execute(
        database_dsn,
        "create table wide (decision text, at timestamptz, scope text)",
        "create index by_scope on wide (scope)",
        "insert into wide select 'ADMIT', now(), 'a' from generate_series(1, 3)",
        "create index left_over on wide (at)",
        "update pg_index set indisvalid = false where indexrelid = 'left_over'::regclass",
    )

    notes = "; ".join(advise().notes)

    assert "by_scope finds the scope" in notes
    assert "left_over is not valid: drop it" in notes
    assert "at may be NULL" in notes
    assert "run ANALYZE" in notes


def test_the_command_prints_statements_and_changes_nothing(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADVISED_DSN", database_dsn)
    execute(database_dsn, "insert into receipts (decision, created_at_utc) values ('ADMIT', '2026-02-21T02:00:00Z')")

    code = main.main(["db", "advise", "--dsn", "env:ADVISED_DSN", "--table", "receipts", "--rate", "60"])
    said = capsys.readouterr().out
    as_json = main.main(["db", "advise", "--dsn", database_dsn, "--table", "receipts", "--json"])
    captured = capsys.readouterr()

    assert (code, as_json) == (0, 0)
    assert "CREATE INDEX CONCURRENTLY burst_receipts_scope_at_" in said
    assert "burst does not." in said
    assert "a count reads 1 row now, where the window will have 1,200" in said
    assert "times fewer" not in said
    assert "no fewer" not in said
    assert json.loads(captured.out)["indexes"][0]["statements"]
    assert database_dsn not in captured.out + captured.err
    with psycopg.connect(database_dsn) as connection:
        made = connection.execute("select count(*) from pg_class where relname like 'burst_%'").fetchone()
    assert made == (0,)


@pytest.mark.parametrize("words", [[], ["--plan", "runbooks/plans/local.yaml", "--table", "x"], ["--table", "x"]])
def test_the_command_wants_a_plan_or_a_table_with_its_dsn(words: list[str]) -> None:
    assert main.main(["db", "advise", *words]) == 2


@pytest.fixture
def facts_of_texts() -> index_advice.TableFacts:
    return index_advice.TableFacts(
        relation='"public"."t"',
        kind="r",
        row_count=5_000_000,
        pages=190_000,
        columns=COLUMNS,
        types={"decision": "text", "at": "text", "scope": "text"},
        widths={"decision": 6, "at": 33, "scope": 26},
        time_required=True,
        time_correlation=1.0,
        indexes=[],
        partitions=[],
        page_seconds=10e-6,
        sort_seconds=50e-9,
        reads_text=True,
    )


def test_the_price_of_an_index_follows_from_widths_and_rows(facts_of_texts: index_advice.TableFacts) -> None:
    facts = facts_of_texts
    price = index_advice.price_covering(facts, 69_000)

    assert price.size_bytes == pytest.approx(5_000_000 * (12 + 72) / 0.9, rel=0.01)
    assert price.count_pages == pytest.approx(price.pages * 69 / 5000, rel=0.02)
    assert 5 < price.build_seconds < 30
    slow = dataclasses.replace(facts, form_seconds=10e-6)
    assert index_advice.price_covering(slow, 69_000).build_seconds == pytest.approx(
        price.build_seconds + 2 * 5_000_000 * 10e-6
    )
    assert index_advice.price_brin(facts, 69_000) is None


@pytest.mark.parametrize("at_type", ["text", "timestamptz"])
def test_a_time_that_may_be_null_is_named_until_it_is_declared_not_null(
    database_dsn: str, advise: Advise, at_type: str
) -> None:
    fill(database_dsn, at_type=at_type, at=TEXT if at_type == "text" else INSTANT)
    words = "at may be NULL, so each count looks for such rows too: declare it NOT NULL, where that is true"

    before = advise().notes
    execute(database_dsn, "alter table wide alter column at set not null")

    assert any(note.startswith(words) for note in before)
    assert not any("may be NULL" in note for note in advise().notes)


@pytest.mark.parametrize("options", ["", "partition by range (at)"], ids=["a table", "a partitioned table"])
def test_the_advised_check_keeps_the_form_and_is_advised_once(database_dsn: str, advise: Advise, options: str) -> None:
    fill(database_dsn, at_type="text", at=TEXT, options=options)
    before, _ = measure(database_dsn)
    advice = advise()

    execute(database_dsn, *advice.check_statements)

    assert len(advice.check_statements) == 2
    assert measure(database_dsn)[0] == before
    assert advise().check_statements == ()
    assert "a CHECK keeps the form of the times, so a count looks at none of them" in advise().notes
    with pytest.raises(psycopg.errors.CheckViolation):
        execute(database_dsn, "insert into wide (at, scope) values ('2026-02-21T02:00:00+03:00', 's0')")


def test_nothing_is_advised_that_would_refuse_each_insert(database_dsn: str, advise: Advise) -> None:
    """A text whose collation takes several texts for equal is compared with no pattern: the server refuses the row."""
    try:
        execute(database_dsn, "create collation loose (provider = icu, locale = 'und', deterministic = false)")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server has no collation that takes several texts for equal")
    fill(database_dsn, at_type="text collate loose", at=TEXT)
    advice = advise()

    execute(database_dsn, *(each for index in advice.indexes for each in index.statements), *advice.check_statements)

    execute(database_dsn, "insert into wide (at, scope) values ('2026-02-21T02:00:00+00:00', 's0')")
    assert advice.check_statements == ()


def test_no_index_is_advised_that_would_refuse_rows_which_the_table_takes(database_dsn: str, advise: Advise) -> None:
    execute(
        database_dsn,
        "create table wide (decision text, at timestamptz not null, scope text)",
        "insert into wide select 'ADMIT', now(), string_agg(md5(g::text), '') from generate_series(1, 200) as g",
        "analyze wide",
    )

    advice = advise()

    assert "covering index" not in [index.name for index in advice.indexes]
    assert any("the server would refuse each INSERT of such a row" in note for note in advice.notes)


def test_the_gain_is_told_only_where_the_rows_of_such_a_window_are_there(database_dsn: str, advise: Advise) -> None:
    fill(database_dsn, at_type="timestamptz not null", at=INSTANT)

    there, not_yet = advise(), advise(receipts_due=ROWS * 2)

    assert (there.find_gain(there.indexes[0]) or 0.0) > 1
    assert not_yet.find_gain(not_yet.indexes[0]) is None
    assert any("advise again once they are there" in note for note in not_yet.notes)


def test_no_pattern_stands_in_an_index_of_texts_that_are_compared_loosely(
    facts_of_texts: index_advice.TableFacts,
) -> None:
    loose = dataclasses.replace(facts_of_texts, reads_text=False)

    assert any(" ~ " in statement for statement in index_catalog.write_covering(facts_of_texts))
    assert not any(" ~ " in statement for statement in index_catalog.write_covering(loose))


def test_no_check_is_advised_where_times_are_instants_or_a_view_stands_before_them(
    database_dsn: str, advise: Advise
) -> None:
    fill(database_dsn, at_type="timestamptz", at=INSTANT)
    fill(database_dsn, at_type="text", at=TEXT, name="texts")
    execute(database_dsn, "create view seen as select * from texts")

    assert advise().check_statements == ()
    assert advise(table="seen").check_statements == ()
    assert len(advise(table="texts").check_statements) == 2
