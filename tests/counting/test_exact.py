"""A count of Postgres against a count in Python: the same for any window, bucket and way of writing an instant."""

import itertools
import random
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import hypothesis
import psycopg
import pytest
from hypothesis import strategies
from psycopg import sql

from burst.adapters.postgres import column_types, postgres_receipts
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import receipt_table, receipts
from burst.task import counting
from tests import fixtures_postgres

USUAL = f"created_at_utc ~ '{column_types.USUAL_TEXT}'"
START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
SPAN_SECONDS = 1200
MICROSECOND = timedelta(microseconds=1)
SCOPES = ("platform_20260219T234150Z", "platform_20260219T234150Z ")
DECISIONS = ("ADMIT", "ADMIT", "ADMIT", "DUPLICATE", "QUARANTINE", "admit", "", None)
WRITTEN = ("isoformat", "z", "other offset", "western offset", "space", "no microseconds", "milliseconds")
STRANGE = {"basic": "%Y%m%dT%H%M%S.%fZ", "month": "%d %b %Y %H:%M:%S.%f+00"}
STRANGE |= {"blank in the hour": "%Y-%m-%dT%k:%M:%S.%f+00:00"}
STRANGE |= {"day of the year": "%Y.%j %H:%M:%S.%f+00", "long year": "0%Y-%m-%dT%H:%M:%S.%f+00:00"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A row as it was inserted."""

    decision: str | None
    text: str
    at: datetime
    """The instant of the text."""
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A source over one type of time column, and the rows that are in it."""

    source: postgres_receipts.PostgresReceipts
    rows: tuple[Written, ...]


def written(at: datetime, form: str) -> str:
    """The instant, or one close by where the form cannot hold it, as the form writes it."""
    if form in STRANGE:
        return at.strftime(STRANGE[form])
    if form == "z":
        return at.isoformat().replace("+00:00", "Z")
    if form == "other offset":
        return at.astimezone(timezone(timedelta(hours=2))).isoformat()
    if form == "western offset":
        return at.astimezone(timezone(-timedelta(hours=9, minutes=30))).isoformat()
    if form == "space":
        return at.isoformat(sep=" ")
    if form == "no microseconds":
        return at.replace(microsecond=0).isoformat()
    return at.isoformat(timespec="milliseconds" if form == "milliseconds" else "auto")


def made_rows() -> tuple[Written, ...]:
    chance = random.Random(20260221)

    def make_row() -> Written:
        at, form = START + chance.randrange(SPAN_SECONDS * 1_000_000) * MICROSECOND, chance.choice([*WRITTEN, *STRANGE])
        text = written(at, form)
        return Written(
            decision=chance.choice(DECISIONS),
            text=text,
            at=at if form in STRANGE else datetime.fromisoformat(text).astimezone(UTC),
            scope=chance.choice(SCOPES),
        )

    return tuple(make_row() for _ in range(600))


ROWS = made_rows()
TIMED_ROWS = [(row.at, row) for row in ROWS]
INSTANTS = sorted({at for at, _ in TIMED_ROWS})

whole_seconds = strategies.integers(-5, SPAN_SECONDS + 5).map(lambda seconds: START + timedelta(seconds=seconds))
any_instant = strategies.integers(-5_000_000, (SPAN_SECONDS + 5) * 1_000_000).map(lambda us: START + us * MICROSECOND)
near_rows = strategies.builds(
    lambda index, off: INSTANTS[index] + off * MICROSECOND,
    strategies.integers(0, len(INSTANTS) - 1),
    strategies.integers(-1, 1),
)
edges = strategies.one_of(near_rows, whole_seconds, any_instant)
some_windows = (
    strategies.tuples(edges, edges)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: windows.Window(*sorted(pair)))
)
some_scopes = strategies.sampled_from((*SCOPES, None))
some_buckets = strategies.sampled_from((60.0, 97.0, 31.000001, 0.5 * SPAN_SECONDS, 3600.0))


def brute_force(start: datetime, end: datetime, scope: str | None) -> receipts.Counts:
    """The count as a person would make it: every row, one after the other."""
    counted: Counter[str] = Counter()
    for at, row in TIMED_ROWS:
        if start <= at < end and scope in (None, row.scope):
            counted[row.decision if row.decision in receipts.DECISIONS else "other"] += 1
    return receipts.Counts(
        admit=counted["ADMIT"],
        duplicate=counted["DUPLICATE"],
        quarantine=counted["QUARANTINE"],
        other=counted["other"],
    )


@pytest.fixture(scope="module")
def dsn(postgres_template: fixtures_postgres.TemplatedServer) -> Iterator[str]:
    """A database whose own habits (zone, order of dates) are not ours, with one table for each type of time column."""
    server = postgres_template.server
    dsn = server.create_database(template=postgres_template.template)
    name = urllib.parse.urlsplit(dsn).path.lstrip("/")
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone to 'UTC'")
        cursor.executemany(
            "insert into receipts (decision, created_at_utc, platform_run_id) values (%s, %s, %s)",
            [(row.decision, row.text, row.scope) for row in ROWS],
        )
        for column_type in ("timestamptz", "timestamp"):
            cursor.execute(
                sql.SQL(
                    "create table {} as select decision, created_at_utc::timestamptz::{} as created_at_utc,"
                    " platform_run_id from receipts"
                ).format(sql.Identifier(f"as_{column_type}"), sql.Identifier(column_type))
            )
        cursor.execute("create table indexed as select * from receipts")
        cursor.execute('create index on indexed (platform_run_id, created_at_utc collate "C", decision)')
        unusual = f"create index unusual_times on indexed (platform_run_id) where ({USUAL}) is not true"
        cursor.execute(unusual.encode())
        cursor.execute(
            "create table checked as select decision, platform_run_id, to_char(created_at_utc::timestamptz at time zone"
            " 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as created_at_utc from receipts"
        )
        cursor.execute(f"alter table checked add check ({USUAL})".encode())
        for setting in ("timezone to 'America/New_York'", "datestyle to 'SQL, DMY'"):
            cursor.execute(sql.SQL("alter database {} set " + setting).format(sql.Identifier(name)))
    yield dsn
    server.drop_database(name)


def source_of(dsn: str, table: str = "receipts") -> postgres_receipts.PostgresReceipts:
    return postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn), columns=counting.COLUMNS, form=receipt_table.TableForm(name=table)
    )


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=20)


@hypothesis.settings(max_examples=200)
@hypothesis.given(window=some_windows, scope=some_scopes, bucket_seconds=some_buckets)
def test_a_count_equals_a_brute_force_count(
    dsn: str, window: windows.Window, scope: str | None, bucket_seconds: float
) -> None:
    counted = source_of(dsn).count(window, scope=scope, bucket_seconds=bucket_seconds, give_up_at=soon())

    assert counted.counts == brute_force(window.start, window.end, scope)
    assert [bucket.window for bucket in counted.buckets] == list(window.buckets(bucket_seconds))
    assert all(
        bucket.counts == brute_force(bucket.window.start, bucket.window.end, scope)
        for bucket in counted.buckets
        if bucket.counts.total
    )
    assert sum((bucket.counts for bucket in counted.buckets), receipts.Counts()) == counted.counts


@hypothesis.settings(max_examples=30)
@hypothesis.given(cuts=strategies.lists(edges, min_size=3, max_size=5, unique=True), scope=some_scopes)
def test_adjacent_windows_add_up(dsn: str, cuts: list[datetime], scope: str | None) -> None:
    source, cuts = source_of(dsn), sorted(cuts)

    def counts(start: datetime, end: datetime) -> receipts.Counts:
        window = windows.Window(start, end)
        return source.count(window, scope=scope, bucket_seconds=3600, give_up_at=soon()).counts

    parts = [counts(start, end) for start, end in itertools.pairwise(cuts)]

    assert sum(parts, receipts.Counts()) == counts(cuts[0], cuts[-1])


@pytest.mark.parametrize("table", ["as_timestamptz", "as_timestamp", "indexed", "checked"])
@hypothesis.settings(max_examples=30)
@hypothesis.given(window=some_windows, scope=some_scopes)
def test_the_type_of_the_time_column_makes_no_difference(
    dsn: str, table: str, window: windows.Window, scope: str | None
) -> None:
    counted = source_of(dsn, table).count(window, scope=scope, bucket_seconds=60, give_up_at=soon())

    assert counted.counts == brute_force(window.start, window.end, scope)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-03-05T 4:30:00.000000+00:00", 4),
        ("2026-03-5 T04:30:00+00:00", 4),
        ("  26-03-05T04:30:00.000000Z", 4),
        ("2026-03-05T04:30:00.000 PM+00:00", 16),
        ("2026-03-05T12:30:00.000 AM+00:00", 0),
    ],
)
def test_a_blank_in_the_usual_form_hides_no_receipt(database_dsn: str, text: str, hour: int) -> None:
    """Such a text sorts far from its instant."""
    start = datetime(2026, 3, 5, hour, tzinfo=UTC)
    with psycopg.connect(database_dsn) as connection:
        connection.execute(
            "insert into receipts (decision, created_at_utc, platform_run_id) values ('ADMIT', %s, 's')", [text]
        )

    counted = source_of(database_dsn).count(
        windows.Window(start, start + timedelta(hours=1)), scope="s", bucket_seconds=600, give_up_at=soon()
    )

    assert counted.counts == receipts.Counts(admit=1)


LETTERED = {
    "2026-03-2-T04:30:00+00:00": datetime(2026, 3, 2, 4, 30, tzinfo=UTC),
    "2026-03-2aT04:30:00+00:00": datetime(2026, 3, 2, 4, 30, tzinfo=UTC),
    "2026-03-05T\t4:30:00Z": datetime(2026, 3, 5, 4, 30, tzinfo=UTC),
    "2026-03-05T04:30:00.1234PM+00:00": datetime(2026, 3, 5, 16, 30, tzinfo=UTC),
}
"""Texts of the usual form but for one letter or mark, by the instant that Postgres takes them for."""


@pytest.mark.parametrize(("text", "at"), LETTERED.items(), ids=repr)
def test_a_letter_in_place_of_a_digit_is_said_before_a_burst_and_counted_with_the_index_of_unusual_times(
    database_dsn: str, text: str, at: datetime
) -> None:
    source = source_of(database_dsn)
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(
            "insert into receipts (decision, created_at_utc, platform_run_id, event_id) values ('ADMIT', %s, 's', 'e')",
            [text],
        )

        with pytest.raises(errors.Refused, match="created_at_utc has a letter or mark in place of a digit"):
            source.find_receipt("e", scope="s", event_column="event_id", give_up_at=soon())
        assert "of 1 sampled, 1 has a letter or mark in place of a digit" in str(source.problems(give_up_at=soon()))

        connection.execute(f"create index on receipts (platform_run_id) where ({USUAL}) is not true".encode())
    counted = source.count(
        windows.Window(at, at + timedelta(hours=1)), scope="s", bucket_seconds=600, give_up_at=soon()
    )
    receipt = source.find_receipt("e", scope="s", event_column="event_id", give_up_at=soon())

    assert source.problems(give_up_at=soon()) == []
    assert counted.counts == receipts.Counts(admit=1)
    assert receipt is not None
    assert at <= receipt.at < at + timedelta(minutes=1)


@pytest.mark.parametrize("zero", ["\u0660", "\u09e6", "\uff10"], ids=["Arabic", "Bengali", "full width"])
@pytest.mark.parametrize("ending", ["Z", ".123Z", "+00:00"])
def test_a_time_in_digits_that_postgres_cannot_read_refuses_the_count(
    database_dsn: str, zero: str, ending: str
) -> None:
    """It has the marks of the usual form, and sorts behind every window."""
    start = datetime(2026, 3, 5, 4, tzinfo=UTC)
    own_digits = {ord(str(digit)): chr(ord(zero) + digit) for digit in range(10)}
    text = "2026-03-05T04:30:00".translate(own_digits) + ending
    with psycopg.connect(database_dsn) as connection:
        connection.execute(
            "insert into receipts (decision, created_at_utc, platform_run_id) values ('ADMIT', %s, 's')", [text]
        )

    with pytest.raises(errors.Refused, match="every row must hold an instant in created_at_utc"):
        source_of(database_dsn).count(
            windows.Window(start, start + timedelta(hours=1)), scope="s", bucket_seconds=600, give_up_at=soon()
        )


def test_an_index_of_the_unusual_times_is_used_with_the_one_of_the_usual_ones(dsn: str) -> None:
    counted = source_of(dsn, "indexed").count(
        windows.Window(START, START + timedelta(seconds=9)), scope=SCOPES[0], bucket_seconds=60, give_up_at=soon()
    )

    assert "UNION ALL" in counted.sql
    assert "IS NOT true" in counted.sql


def test_the_rows_are_written_in_every_form_and_on_both_edges_of_some_windows() -> None:
    texts = [row.text for row in ROWS]

    assert any("." not in text for text in texts)
    assert all(any(mark in text for text in texts) for mark in ("Z", "+00:00", "+02:00", "-09:30", " "))


def test_the_statement_and_its_values_as_recorded_give_the_same_count_by_hand(dsn: str) -> None:
    window = windows.Window(START + 3 * MICROSECOND, START + timedelta(seconds=600))
    counted = source_of(dsn).count(window, scope=SCOPES[0], bucket_seconds=60, give_up_at=soon())
    by_hand = counted.sql
    for name, value in counted.binds:
        quoted = "'" + value.replace("'", "''") + "'"
        by_hand = re.sub(rf"(?<!:):{name}\b", quoted, by_hand)

    with psycopg.connect(dsn, options="-c timezone=UTC -c datestyle=ISO") as connection:
        rows = connection.execute(by_hand.encode()).fetchall()

    total = next(row for row in rows if row[1])
    assert total[2:] == (
        counted.counts.admit,
        counted.counts.duplicate,
        counted.counts.quarantine,
        counted.counts.total,
    )
