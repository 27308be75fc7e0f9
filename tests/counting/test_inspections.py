"""`burst receipts inspect` on a real database: the section it proposes is a plan's, and counts what is there."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import yaml

from burst.adapters.local import system_clock
from burst.adapters.postgres import postgres_receipts
from burst.cli import main
from burst.domain.basics import errors, redaction, windows
from burst.domain.plan import receipts_sections
from burst.domain.receipts import receipts
from burst.wiring import table_inspections

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
SECONDS = "(1771639200 + g)"
MILLISECONDS = f"{SECONDS} * 1000::bigint"
ID = "'00000000-0000-0000-0000-000000000001'"
Inspect = Callable[..., table_inspections.TableInspection]


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def inspect(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Inspect:
    """Inspects the test's database after the given statements."""
    monkeypatch.setenv("INSPECTED_DSN", database_dsn)

    def ask(*statements: str, **options: Any) -> table_inspections.TableInspection:
        execute(database_dsn, *statements, "analyze")
        request = table_inspections.InspectionRequest(dsn="env:INSPECTED_DSN", **options)
        return table_inspections.inspect_receipts(request, system_clock.SystemClock())

    return ask


def read_section(inspection: table_inspections.TableInspection) -> receipts_sections.ReceiptsSection:
    """The section as the plan that it was pasted into reads it."""
    pasted = yaml.safe_load(inspection.section_text)
    return receipts_sections.ReceiptsSection.model_validate(pasted["receipts"])


def count_all(dsn: str, section: receipts_sections.ReceiptsSection) -> receipts.Counts:
    columns = {name: getattr(section.columns, name) for name in ("decision", "at", "scope")}
    source = postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=columns, form=section.form)
    window = windows.Window(START, START + timedelta(days=1))
    soon = datetime.now(UTC) + timedelta(seconds=20)
    return source.count(window, scope=None, bucket_seconds=3600, give_up_at=soon).counts


@pytest.mark.parametrize(
    ("columns", "values", "counts"),
    [
        (
            "decision text, created_at_utc text, platform_run_id text, event_id text",
            f"'ADMIT', to_char(to_timestamp({SECONDS}), 'YYYY-MM-DD\"T\"HH24:MI:SS')||'Z', 'r', g",
            receipts.Counts(admit=100),
        ),
        (
            'outcome outcome_words, "Ts Ms" bigint, run_id uuid, event_id text',
            f"(case when g % 4 = 0 then 'seen_before' else 'accepted' end)::outcome_words, {MILLISECONDS}, {ID}, g",
            receipts.Counts(admit=75, duplicate=25),
        ),
        (
            "is_duplicate boolean, received_at timestamptz, scope_id integer, message_id text",
            "g % 10 = 0, timestamptz '2026-02-21 02:00+00' + g * interval '1 s', 7, g",
            receipts.Counts(admit=90, duplicate=10),
        ),
        (
            "decision decision_domain, ts double precision, batch_id varchar(9), event_id text",
            "case when g = 1 then 'DUPLICATE' else 'ADMIT' end, 1771639200 + g + 0.25, 'b', g",
            receipts.Counts(admit=99, duplicate=1),
        ),
    ],
    ids=["the platform's", "an enum and milliseconds", "a boolean", "a domain and float seconds"],
)
def test_the_section_that_is_proposed_pastes_into_a_plan_and_counts_every_row(
    inspect: Inspect, database_dsn: str, columns: str, values: str, counts: receipts.Counts
) -> None:
    inspection = inspect(
        "drop table receipts, admissions",
        "create type outcome_words as enum ('accepted', 'seen_before')",
        "create domain decision_domain as text check (value <> '')",
        'create schema "Au dit"',
        f'create table "Au dit"."Receipt; ""log""" ({columns})',
        f'insert into "Au dit"."Receipt; ""log""" select {values} from generate_series(1, 100) as g',  # noqa: S608 - the test's own
    )

    section = read_section(inspection)

    assert section.table == 'Au dit.Receipt; "log"'
    assert count_all(database_dsn, section) == counts
    assert [check for check in inspection.checks if not check.sound] == []
    assert inspection.cost is not None
    assert inspection.cost.fit == "fits"


def test_a_partitioned_table_and_a_view_are_candidates_and_a_partition_is_not(inspect: Inspect) -> None:
    columns = "decision text, at timestamptz, run_id text"
    inspection = inspect(
        "drop table receipts, admissions",
        f"create table parted_receipts ({columns}) partition by range (at)",
        "create table part_one partition of parted_receipts for values from ('2026-02-21') to ('2026-02-22')",
        "create view seen_receipts as select * from parted_receipts",
        "insert into parted_receipts select 'ADMIT', '2026-02-21 02:00+00', 'r' from generate_series(1, 50)",
    )

    kinds = {candidate.table.name: candidate.table.kind for candidate in inspection.candidates}
    assert kinds == {"parted_receipts": "p", "seen_receipts": "v"}


def test_a_sample_that_a_count_would_refuse_is_said_and_its_cost_is_not_known(inspect: Inspect) -> None:
    inspection = inspect("insert into receipts (decision, created_at_utc) values ('ADMIT', 'yesterday-ish')")

    faults = {check.subject: check.words for check in inspection.checks if not check.sound}
    assert 'invalid input syntax for type timestamp with time zone: "yesterday-ish"' in faults["times can be read"]
    assert inspection.cost is not None
    assert inspection.cost.seconds is None


def test_the_receipts_of_the_rate_are_part_of_the_cost(inspect: Inspect) -> None:
    fill = (
        "insert into receipts (decision, created_at_utc, platform_run_id)"
        " select 'ADMIT', '2026-02-21T02:00:00Z', 'r' from generate_series(1, 3000)"
    )
    without = inspect(fill, scope="r")
    with_rate = inspect(scope="r", rate_per_minute=10_000_000.0)

    assert without.cost is not None
    assert with_rate.cost is not None
    assert (with_rate.cost.seconds or 0.0) > 10 * (without.cost.seconds or 1e9)


def test_a_table_without_the_columns_names_them_all_with_the_option_that_helps(inspect: Inspect) -> None:
    words = r"like: at, scope; those that this role may read are decision \(text\), n \(integer\).*--columns"
    with pytest.raises(errors.Refused, match=words):
        inspect("create table bare (decision text, n integer)", table="bare")


@pytest.fixture
def column_reader(database_dsn: str) -> Iterator[str]:
    """The DSN of a role that may read three columns of the receipts, and nothing of a larger table beside it in a
    schema that it may not use."""
    role = f"columns_{database_dsn.rpartition('/burst_')[2][:12]}"
    execute(
        database_dsn,
        f"create role {role} login password 'reader'",
        f"grant select (decision, created_at_utc, platform_run_id) on receipts to {role}",
        "create schema pgshut create table receipts (decision text, created_at timestamptz, run_id text)",
        f"grant select on pgshut.receipts to {role}",
        "create schema pgopen create table receipts (decision text, created_at timestamptz, run_id text)",
        f"grant usage on schema pgopen to {role}",
        f"grant select on pgopen.receipts to {role}",
        "insert into receipts (decision, created_at_utc, platform_run_id)"
        " select 'ADMIT', '2026-02-21T02:00:00Z', 'r' from generate_series(1, 50)",
        "insert into pgshut.receipts select 'ADMIT', now(), 'r' from generate_series(1, 90)",
        "analyze",
    )
    yield f"postgresql://{role}:reader@{database_dsn.partition('@')[2]}"
    execute(database_dsn, f"drop owned by {role}", f"drop role {role}")


@pytest.mark.parametrize("options", ["", "&options=-c%20standard_conforming_strings%3Doff"])
def test_a_role_with_some_columns_alone_is_shown_their_table_and_what_its_live_counts_lack(
    column_reader: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: str
) -> None:
    monkeypatch.setenv("INSPECTED_DSN", column_reader + options)

    code = main.main(["receipts", "inspect", "--dsn", "env:INSPECTED_DSN"])

    said = capsys.readouterr().out
    assert code == 0
    assert "public.receipts" in said
    assert "pgopen.receipts" in said
    assert "pgshut" not in said
    assert main.main(["receipts", "inspect", "--dsn", "env:INSPECTED_DSN", "--table", "public.receipts"]) == 0
    assert "live counts: the role may not read receipts itself" in capsys.readouterr().out


def test_a_table_that_is_not_there_is_a_mistake_of_the_command(inspect: Inspect) -> None:
    with pytest.raises(errors.UsageError, match="table 'nobody': there is none that this role sees"):
        inspect(table="nobody")


def test_the_command_prints_one_document_and_never_the_dsn(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main.main(["receipts", "inspect", "--dsn", database_dsn, "--table", "receipts", "--json"])

    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert code == 0
    assert document["receipts"]["dsn"] == table_inspections.UNNAMED_DSN
    assert document["cost"]["scans"]
    assert database_dsn not in captured.out + captured.err


def test_the_command_says_in_words_what_it_found(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INSPECTED_DSN", database_dsn)

    code = main.main(["receipts", "inspect", "--dsn", "env:INSPECTED_DSN", "--window", "10m", "--rate", "60"])

    said = capsys.readouterr().out
    assert code == 0
    assert "1. public.receipts (table, rows not known)" in said
    assert "  receipts:\n    dsn: env:INSPECTED_DSN\n    table: receipts\n" in said
    assert "warn sample: the table holds no row" in said
    assert "two counts within count_timeout (1 min) have 27.5 s each: it fits" in said


def test_values_as_large_as_memory_are_read_and_shown_in_part(inspect: Inspect) -> None:
    inspection = inspect(
        "create table hits (decision text, at text, scope text, event_id text)",
        "insert into hits select repeat('word', 1000000), repeat('9', 1000000), repeat('s', 1000), g"
        " from generate_series(1, 5) g",
        table="hits",
    )

    said = json.dumps(table_inspections.describe_inspection(inspection))

    assert len(said) < 20_000
    assert inspection.cost is not None
    assert inspection.cost.scope is None
    assert [check.sound for check in inspection.checks if check.subject == "times can be read"] == [False]


def test_a_sample_without_any_time_does_not_show_that_times_can_be_read(inspect: Inspect) -> None:
    inspection = inspect(
        "create table hits (decision text, at timestamptz, scope text, event_id text)",
        "insert into hits (decision) select 'ADMIT' from generate_series(1, 5)",
        table="hits",
    )

    check = next(check for check in inspection.checks if check.subject == "times can be read")

    assert (check.sound, check.words) == (False, "no row of 5 sampled has a time in at, so nothing is shown")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("create materialized view kept as select * from written", "materialized view kept"),
        ("create view kept as select * from stored", "materialized view stored"),
        ("create view kept as select * from written", ""),
    ],
)
def test_a_table_that_preflight_refuses_for_its_writers_is_said_with_the_words_of_preflight(
    inspect: Inspect, statement: str, words: str
) -> None:
    inspection = inspect(
        "create table written (run_id text, decision text, created_at timestamptz not null)",
        "insert into written select 'r', 'ADMIT', now() from generate_series(1, 2000)",
        "create materialized view stored as select * from written",
        statement,
        table="kept",
    )

    remarks = [remark for remark in inspection.remarks if remark.startswith("preflight refuses it")]
    assert [words in remark for remark in remarks] == ([True] if words else [])
    assert inspection.cost is not None
    assert inspection.cost.estimate.table_rows == 2000


@pytest.mark.parametrize(
    ("scope_type", "fits"), [("text", True), ("varchar(80)", True), ("uuid", False), ("int", False)]
)
def test_a_scope_that_a_fresh_one_cannot_stand_in_is_said(inspect: Inspect, scope_type: str, fits: bool) -> None:
    inspection = inspect(
        f"create table typed (run_id {scope_type}, decision text, created_at timestamptz)", table="typed"
    )

    assert any("cannot hold the scope of `scope: fresh`" in remark for remark in inspection.remarks) is not fits
