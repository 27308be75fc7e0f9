"""The contract of `ports.ReceiptSource`, held by the fake, by Postgres, and by a task that asks Postgres for us."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from burst import ports
from burst.adapters.postgres import postgres_receipts
from burst.control import database_ceiling
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.receipts import driver_figures, duplicates, receipt_table, receipts
from burst.task import counting as count
from tests import fakes_counting, fakes_database, fakes_receipts

ANSWERS: dict[str, Sequence[Sequence[object]]] = {
    "select 7": [[7]],
    "select 'x' where false": [],
    "select 1, 2": [[1, 2]],
    "select * from (values (1), (2)) as two": [[1], [2]],
}
START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, instants.later(START, 150))

Make = Callable[[Sequence[fakes_receipts.Receipt]], ports.ReceiptSource]


PORT = ports.ReceiptSource
EVENT_COLUMN = "event_id"


def memory_source(rows: Sequence[fakes_receipts.Receipt]) -> ports.ReceiptSource:
    """The fake, with the rights that the owner of a table has."""
    source = fakes_receipts.MemoryReceiptSource(rows, now=now, answers=ANSWERS)
    source.granted = receipt_table.TablePrivileges(writes=receipt_table.WRITE_PRIVILEGES, read_only_sessions=False)
    return source


def limited_source(rows: Sequence[fakes_receipts.Receipt]) -> ports.ReceiptSource:
    """The fake under a ceiling that is never reached."""
    return database_ceiling.LimitedSource(memory_source(rows), limit_seconds=1e6, words="a ceiling")


def now() -> datetime:
    return datetime.now(UTC)


def soon(seconds: float = 50) -> datetime:
    return instants.later(now(), seconds)


def row(decision: str | None, seconds: float, scope: str = "a", event_id: str = "event-1") -> fakes_receipts.Receipt:
    at = instants.later(START, seconds)
    return fakes_receipts.Receipt(decision=decision, at=at, scope=scope, event_id=event_id)


ROWS = [
    row("ADMIT", -0.000001),
    row("ADMIT", 0),
    row("ADMIT", 59.999999),
    row("DUPLICATE", 60),
    row("QUARANTINE", 119.5),
    row("admit", 149.999998),
    row(None, 149.999999),
    row("ADMIT", 150),
    row("ADMIT", 30, scope="b"),
]


@pytest.fixture(params=["memory", "postgres", "task", "limited"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes a source that holds the given receipts."""
    yield from sources(request, tmp_path)


def sources(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    if request.param == "memory":
        yield memory_source
        return
    if request.param == "limited":
        yield limited_source
        return
    dsn: str = request.getfixturevalue("database_dsn")
    counting = fakes_counting.Counting(
        tmp_path, postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=count.COLUMNS)
    )

    def filled(rows: Sequence[fakes_receipts.Receipt]) -> ports.ReceiptSource:
        values = [(each.scope, each.decision, each.at.isoformat(), each.event_id) for each in rows]
        with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.executemany(
                "insert into receipts (platform_run_id, decision, created_at_utc, event_id) values (%s, %s, %s, %s)",
                values,
            )
        return counting.source if request.param == "postgres" else counting.receipts

    yield filled
    counting.receipts.close()
    counting.source.close()


def test_a_window_is_half_open_and_of_one_scope(make: Make) -> None:
    source = make(ROWS)

    counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())

    assert counted.counts == receipts.Counts(admit=2, duplicate=1, quarantine=1, other=2)
    assert (counted.window, counted.scope) == (WINDOW, "a")


def test_every_bucket_is_listed_the_empty_and_the_short_one_too(make: Make) -> None:
    source = make([row("ADMIT", 0), row("ADMIT", 140)])

    counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())

    assert [bucket.window for bucket in counted.buckets] == list(WINDOW.buckets(60))
    assert [bucket.counts.admit for bucket in counted.buckets] == [1, 0, 1]


def test_a_scope_of_none_counts_every_scope(make: Make) -> None:
    source = make(ROWS)

    counted = source.count(WINDOW, scope=None, bucket_seconds=60, give_up_at=soon())

    assert counted.counts == receipts.Counts(admit=3, duplicate=1, quarantine=1, other=2)


def test_no_receipts_are_counted_as_none(make: Make) -> None:
    source = make([])

    counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())

    assert counted.counts == receipts.Counts()
    assert len(counted.buckets) == 3


def test_a_count_says_what_it_ran_and_when(make: Make) -> None:
    before = now()
    counted = make(ROWS).count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    after = now()

    assert counted.sql
    assert dict(counted.binds)["start"] == "2026-02-21T02:00:00Z"
    assert before <= counted.clock.database_now <= after


def test_the_clock_on_the_same_machine_shows_no_skew(make: Make) -> None:
    reading = make([]).clock(give_up_at=soon())

    assert reading.round_trip_seconds >= 0
    assert abs(reading.skew_seconds) <= reading.round_trip_seconds / 2


def test_a_table_that_nobody_writes_has_no_open_writers_at_the_present_instant(make: Make) -> None:
    before = now()
    present = make(ROWS).open_writers(give_up_at=soon())
    after = now()

    assert present.writers == ()
    assert before <= present.at <= after


def test_a_fact_query_answers_its_one_value(make: Make) -> None:
    assert make([]).ask("select 7", scope="a", give_up_at=soon()) == 7


@pytest.mark.parametrize("query", [query for query in ANSWERS if query != "select 7"])
def test_a_fact_query_that_does_not_answer_one_value_is_wrong(make: Make, query: str) -> None:
    with pytest.raises(errors.UsageError):
        make([]).ask(query, scope="a", give_up_at=soon())


def test_a_bucket_of_no_length_is_refused(make: Make) -> None:
    with pytest.raises(errors.UsageError, match="bucket"):
        make([]).count(WINDOW, scope="a", bucket_seconds=0, give_up_at=soon())


def test_a_table_as_planned_has_no_problems(make: Make) -> None:
    assert list(make(ROWS).problems(give_up_at=soon())) == []


def test_the_server_is_a_primary_of_a_known_version(make: Make) -> None:
    server = make([]).server(give_up_at=soon())

    assert server.version_number >= 140000
    assert not server.standby


def test_the_owner_of_the_table_may_write_it(make: Make) -> None:
    privileges = make([]).privileges(give_up_at=soon())

    assert privileges == receipt_table.TablePrivileges(writes=receipt_table.WRITE_PRIVILEGES, read_only_sessions=False)


def test_the_role_has_a_row_for_every_safeguard(make: Make) -> None:
    role = make([]).role(give_up_at=soon())

    assert role.name
    assert set(fakes_database.SAFEGUARDS) <= {safeguard.name for safeguard in role.safeguards}


@pytest.mark.parametrize(("rows", "sampled"), [(0, 0), (2, 2), (3, 2)], ids=["an empty table", "all", "a part"])
def test_a_sample_of_times_holds_at_most_as_many_as_asked_and_sees_their_offsets(
    make: Make, rows: int, sampled: int
) -> None:
    sample = make([row("ADMIT", second) for second in range(rows)]).sample_times(2, give_up_at=soon())

    assert sample == receipt_table.TimesSample(sampled=sampled, without_offset=0, textual=rows > 0)


def test_a_scope_is_counted_whole_with_its_canaries_and_admissions(make: Make) -> None:
    canary = row("ADMIT", 30, event_id=f"{receipt_table.CANARY_PREFIX}1")

    contents = make([*ROWS, canary]).scope_contents("a", event_column=EVENT_COLUMN, give_up_at=soon())

    assert contents == receipt_table.ScopeContents(
        counts=receipts.Counts(admit=5, duplicate=1, quarantine=1, other=2), canaries=1, admissions=0
    )


def test_an_empty_scope_holds_nothing(make: Make) -> None:
    contents = make(ROWS).scope_contents("nobody's", event_column=EVENT_COLUMN, give_up_at=soon())

    assert contents == receipt_table.ScopeContents(counts=receipts.Counts(), canaries=0, admissions=0)


def test_the_receipt_of_an_event_is_found_in_its_own_scope_only(make: Make) -> None:
    source = make([row("QUARANTINE", 7.25, event_id="one"), row("ADMIT", 8, scope="b", event_id="two")])

    def find(event_id: str) -> receipt_table.EventReceipt | None:
        return source.find_receipt(event_id, scope="a", event_column=EVENT_COLUMN, give_up_at=soon())

    assert find("one") == receipt_table.EventReceipt(decision="QUARANTINE", at=instants.later(START, 7.25))
    assert find("two") is None
    assert find("three") is None


def test_of_several_receipts_of_an_event_an_admit_is_found_and_one_without_decision_never(make: Make) -> None:
    rows = [row(decision, second, event_id="one") for second, decision in enumerate(("DUPLICATE", "ADMIT", "ADMIT"))]
    source = make([*rows, row(None, 0, event_id="two")])

    def find(event_id: str) -> receipt_table.EventReceipt | None:
        return source.find_receipt(event_id, scope="a", event_column=EVENT_COLUMN, give_up_at=soon())

    assert find("one") == receipt_table.EventReceipt(decision="ADMIT", at=instants.later(START, 1))
    assert find("two") is None


def test_the_cost_of_a_count_names_the_scan_and_the_rows_and_counts_a_sample(make: Make) -> None:
    rows = [row("ADMIT", second, event_id=f"event-{second}") for second in range(50)]

    estimate = make(rows).estimate_count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())

    (scan,) = estimate.scans
    assert scan.relation.endswith(".receipts")
    assert scan.access
    assert estimate.relations == 1
    assert estimate.sample is not None
    assert (estimate.estimate_seconds() or -1.0) >= 0
    assert (estimate.estimate_seconds(10_000_000) or 0.0) > 1


def test_the_cost_of_a_count_with_a_bucket_of_no_length_is_refused(make: Make) -> None:
    with pytest.raises(errors.UsageError, match="bucket"):
        make([]).estimate_count(WINDOW, scope="a", bucket_seconds=0, give_up_at=soon())


def test_a_source_opens_at_once_and_closes_twice(make: Make) -> None:
    source = make(ROWS)

    source.open(soon())
    counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    source.close()
    source.close()

    assert counted.counts.total == 6


def test_nothing_is_asked_once_the_time_is_up(make: Make) -> None:
    source = make(ROWS)
    past = instants.later(now(), -1)

    with pytest.raises(errors.Unavailable):
        source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.clock(give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.open_writers(give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.ask("select 7", scope="a", give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.problems(give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.server(give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.privileges(give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.role(give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.sample_times(1, give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.scope_contents("a", event_column=EVENT_COLUMN, give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.find_receipt("one", scope="a", event_column=EVENT_COLUMN, give_up_at=past)
    with pytest.raises(errors.Unavailable):
        source.estimate_count(WINDOW, scope="a", bucket_seconds=60, give_up_at=past)


def test_the_figures_of_the_driver_grow_with_each_question_and_asking_for_them_asks_nobody(make: Make) -> None:
    source = make(ROWS)

    before = source.read_figures()
    source.clock(give_up_at=soon())
    after = source.read_figures()
    source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    later = source.read_figures()

    assert before == driver_figures.DriverFigures()
    assert after is not None
    assert later is not None
    assert later == source.read_figures()
    assert 0 < after.statements < later.statements
    assert 0 < after.database_seconds < later.database_seconds
    assert later.connections >= 1


def test_a_duplicate_is_a_retry_or_a_replay_by_the_first_admit_of_its_event(make: Make) -> None:
    source = make(
        [
            *(row("ADMIT", -500, event_id="earlier"), row("DUPLICATE", 10, event_id="earlier")),
            *(row("ADMIT", 5, event_id="within"), row("DUPLICATE", 15, event_id="within")),
            *(row("ADMIT", 150, event_id="after"), row("DUPLICATE", 149, event_id="after")),
            *(row("ADMIT", -0.000001, event_id="just before"), row("DUPLICATE", 0, event_id="just before")),
            *(row("ADMIT", 0, event_id="at the edge"), row("DUPLICATE", 0, event_id="at the edge")),
            *(row("ADMIT", -500, event_id="twice"), row("ADMIT", 5, event_id="twice")),
            *(row("DUPLICATE", 6, event_id="twice"), row("DUPLICATE", 7, event_id="twice")),
            *(row("ADMIT", -500, scope="b", event_id="elsewhere"), row("DUPLICATE", 20, event_id="elsewhere")),
            row("DUPLICATE", 21, event_id="never admitted"),
            *(row("ADMIT", -500, event_id="outside"), row("DUPLICATE", -1, event_id="outside")),
            row("DUPLICATE", 150, event_id="outside"),
            *(row("QUARANTINE", 30, event_id="within"), row(None, 30, event_id="within")),
        ]
    )

    classes = source.classify_duplicates(WINDOW, scope="a", event_column=EVENT_COLUMN, give_up_at=soon())

    assert classes == duplicates.DuplicateClasses(retry=2, replay=4, unknown=3)
    assert source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon()).counts.duplicate == classes.total


def test_a_window_without_duplicates_has_none_of_any_class(make: Make) -> None:
    source = make([row("ADMIT", 10)])

    classes = source.classify_duplicates(WINDOW, scope="a", event_column=EVENT_COLUMN, give_up_at=soon())

    assert classes == duplicates.DuplicateClasses()


def test_duplicates_of_a_table_without_a_column_of_events_cannot_be_told_apart(make: Make) -> None:
    source = make(ROWS)

    assert source.classify_duplicates(WINDOW, scope="a", event_column="no_such", give_up_at=soon()) is None


def test_a_count_says_how_many_pages_it_read_or_why_nobody_can_tell(make: Make) -> None:
    pages = make(ROWS).count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon()).pages

    assert pages is not None
    assert pages.read is not None or pages.why
