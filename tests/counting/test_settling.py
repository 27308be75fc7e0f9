"""Settling and live slices: a late receipt is found and said, and slices add up to the whole."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import psycopg
import pytest
from hypothesis import strategies

from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.receipts import receipts
from burst.kit import measure
from burst.task import counting
from tests import fakes_receipts

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=2))
AFTER = WINDOW.end + timedelta(seconds=1)


def row(seconds: float, decision: str = "ADMIT") -> fakes_receipts.Receipt:
    return fakes_receipts.Receipt(decision=decision, at=instants.later(START, seconds), scope="a")


def measured(
    source: fakes_receipts.MemoryReceiptSource | postgres_receipts.PostgresReceipts,
    clock: fakes_receipts.HandClock,
    *,
    settle_seconds: float = 5.0,
    patience_seconds: float = 600.0,
    rounds_max: int = 4,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> measure.Measurement:
    return measure.measure(
        source,
        window=WINDOW,
        scope="a",
        bucket_seconds=60,
        settling=measure.Settling(
            settle_seconds=settle_seconds,
            give_up_at=instants.later(clock.now(), patience_seconds),
            rounds_max=rounds_max,
        ),
        clock=clock,
        is_interrupted=is_interrupted,
    )


def test_two_counts_that_agree_settle_a_window() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource([row(1), row(61, "DUPLICATE")], now=clock.now)

    result = measured(source, clock)

    assert result.settled
    assert result.count.counts == receipts.Counts(admit=1, duplicate=1)
    assert [each.counted_at for each in result.rounds] == [AFTER, AFTER + timedelta(seconds=5)]
    assert (result.late, result.vanished) == (receipts.Counts(), receipts.Counts())


def test_a_count_holds_every_receipt_that_was_committed_before_the_clock_that_it_names(database_dsn: str) -> None:
    committed: list[datetime] = []

    def now() -> datetime:
        """This side of the clock: with each look at it one more receipt of the window is committed."""
        with psycopg.connect(database_dsn, autocommit=True) as connection:
            connection.execute(
                "insert into receipts (decision, created_at_utc, platform_run_id) values ('ADMIT', %s, 'a')",
                [START.isoformat()],
            )
            row = connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
        committed.append(row[0])
        return datetime.now(UTC)

    source = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=counting.COLUMNS, now=now)

    counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=instants.later(datetime.now(UTC), 30))

    before = [at for at in committed if at <= counted.clock.database_now]
    assert 0 < len(before) < len(committed)
    assert counted.counts.admit >= len(before)


def test_a_late_receipt_is_counted_and_said(database_dsn: str) -> None:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=counting.COLUMNS)
    late = [row(30, "DUPLICATE"), row(60), row(120)]

    def insert_one() -> None:
        if late:
            each = late.pop(0)
            with psycopg.connect(database_dsn) as connection:
                connection.execute(
                    "insert into receipts (decision, created_at_utc, platform_run_id) values (%s, %s, %s)",
                    (each.decision, each.at.isoformat(), each.scope),
                )

    clock = fakes_receipts.HandClock(datetime.now(UTC), on_sleep=insert_one)

    result = measured(source, clock)

    # The third one lies at the window's end, so outside: the third count and the fourth agree.
    assert result.settled
    assert [each.counts.total for each in result.rounds] == [0, 1, 2, 2]
    assert result.late == result.count.counts == receipts.Counts(admit=1, duplicate=1)
    assert clock.slept == [5.0, 5.0, 5.0]


def test_receipts_that_keep_coming_never_settle() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource(now=clock.now)
    clock.on_sleep = lambda: source.rows.append(row(10))

    result = measured(source, clock, rounds_max=4)

    assert not result.settled
    assert [each.counts.admit for each in result.rounds] == [0, 1, 2, 3]
    assert result.late == receipts.Counts(admit=3)


def test_a_receipt_that_moves_between_buckets_is_not_at_rest() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource([row(10)], now=clock.now)

    def move() -> None:
        source.rows = [row(70)]

    clock.on_sleep = move

    result = measured(source, clock)

    assert result.settled
    assert len(result.rounds) == 3


def test_receipts_that_vanish_are_said_and_settle_nothing() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource([row(10), row(11)], now=clock.now)
    clock.on_sleep = lambda: source.rows.__setitem__(slice(None), [row(10), row(12, "QUARANTINE")])

    result = measured(source, clock)

    assert result.vanished == receipts.Counts(admit=1)
    assert result.late == receipts.Counts(quarantine=1)
    assert not result.settled
    assert len(result.rounds) == 2


def test_counts_of_a_window_that_has_not_ended_settle_nothing() -> None:
    clock = fakes_receipts.HandClock(WINDOW.end - timedelta(seconds=7))
    source = fakes_receipts.MemoryReceiptSource([row(10)], now=clock.now)

    result = measured(source, clock)

    assert result.settled
    assert [each.counted_at for each in result.rounds][-2] >= WINDOW.end
    assert len(result.rounds) == 4


def test_a_database_clock_that_is_behind_is_waited_for() -> None:
    clock = fakes_receipts.HandClock(WINDOW.end)
    source = fakes_receipts.MemoryReceiptSource([row(10)], now=clock.now, skew_seconds=-4)

    result = measured(source, clock)

    assert result.settled
    assert len(result.rounds) == 3


def test_a_sleep_cut_short_settles_nothing() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource([row(10)], now=clock.now)

    def wake_early() -> None:
        clock.time -= timedelta(seconds=4.9)

    clock.on_sleep = wake_early

    result = measured(source, clock, rounds_max=3)

    assert not result.settled
    assert len(result.rounds) == 3


def test_no_settling_goes_past_the_time_to_give_up() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource([row(10)], now=clock.now)

    result = measured(source, clock, patience_seconds=5)

    assert not result.settled
    assert result.count.counts == receipts.Counts(admit=1)
    assert clock.slept == []


def test_a_database_that_stays_away_while_settling_leaves_the_last_count_unsettled_and_says_why() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource([row(10)], now=clock.now)
    clock.on_sleep = lambda: setattr(source, "failures", 1)

    result = measured(source, clock, patience_seconds=60)

    assert not result.settled
    assert result.count.counts == receipts.Counts(admit=1)
    assert "away" in result.problem
    assert sum(clock.slept) < 60


@pytest.mark.parametrize("settle_seconds", [0.0, 5.0])
def test_a_later_count_that_does_not_come_is_repeated_until_one_agrees(settle_seconds: float) -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource([row(10)], now=clock.now)
    clock.on_sleep = lambda: setattr(source, "failures", 1 if clock.time < AFTER + timedelta(seconds=20) else 0)

    result = measured(source, clock, settle_seconds=settle_seconds, patience_seconds=60)

    assert result.settled
    assert result.problem == ""
    assert len(result.rounds) == 2
    assert len(clock.slept) <= 21


def test_an_interruption_ends_the_repetitions_of_a_later_count() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource([row(10)], now=clock.now)
    clock.on_sleep = lambda: setattr(source, "failures", 1)

    result = measured(source, clock, is_interrupted=lambda: True)

    assert not result.settled
    assert clock.slept == [5.0]


def test_a_database_that_is_away_from_the_start_raises() -> None:
    clock = fakes_receipts.HandClock(AFTER)
    source = fakes_receipts.MemoryReceiptSource(now=clock.now)
    source.failures = 1

    with pytest.raises(errors.Unavailable):
        measured(source, clock)


polls = strategies.lists(
    strategies.tuples(strategies.floats(0, 20), strategies.integers(0, 2)), min_size=1, max_size=15
)


@hypothesis.given(
    polls=polls,
    arrivals=strategies.lists(strategies.integers(0, 200_000_000), max_size=60),
    settle_seconds=strategies.sampled_from([0.0, 0.5, 2.0]),
)
def test_live_slices_add_up_to_the_whole_whatever_fails_in_between(
    polls: list[tuple[float, int]], arrivals: list[int], settle_seconds: float
) -> None:
    clock = fakes_receipts.HandClock(START)
    rows = [row(at / 1_000_000) for at in arrivals]
    source = fakes_receipts.MemoryReceiptSource(rows, now=clock.now)
    counter = measure.LiveCounter(source, start=START, scope="a", settle_seconds=settle_seconds, now=clock.now)
    edge, sliced = START, receipts.Counts()

    for seconds, failures in polls:
        clock.sleep(seconds)
        source.failures = failures
        for _ in range(failures):
            with pytest.raises(errors.Unavailable):
                counter.poll(clock.now())
        live = counter.poll(clock.now())
        if live.slice is not None:
            assert live.slice.window.start == edge
            edge, sliced = live.slice.window.end, sliced + live.slice.counts
        assert live.counted_to == edge
        assert live.total == sliced
        assert live.total.admit == sum(START <= each.at < edge for each in rows)

    assert edge == max(START, instants.later(clock.now(), -settle_seconds))


def followed(source: fakes_receipts.MemoryReceiptSource, clock: fakes_receipts.HandClock) -> list[dict[str, Any]]:
    following = counting.Following(start=START, until=instants.later(START, 60), scope="a", settle_seconds=2.0)
    return list(counting.count_slices(following, source=source, clock=clock))


@pytest.mark.parametrize("late_seconds", [0.0, 3.7, 59.9, 60.0, 61.0, 500.0])
@pytest.mark.parametrize("skew_seconds", [-5.0, 0.0, 5.0])
def test_a_followed_burst_is_counted_to_its_very_end_however_late_it_is_begun(
    late_seconds: float, skew_seconds: float
) -> None:
    clock = fakes_receipts.HandClock(instants.later(START, late_seconds))
    source = fakes_receipts.MemoryReceiptSource(
        [row(-0.1), row(0), row(30), row(59.999), row(60)], now=clock.now, skew_seconds=skew_seconds
    )

    slices = followed(source, clock)

    edges = [instants.text(START), *(one["window"]["end_utc"] for one in slices)]
    assert [one["window"]["start_utc"] for one in slices] == edges[:-1]
    assert edges[-1] == instants.text(instants.later(START, 60))
    assert sum(one["counts"]["ADMIT"] for one in slices) == slices[-1]["total"]["ADMIT"] == 3


def test_a_followed_burst_whose_database_is_away_for_a_while_loses_nothing() -> None:
    clock = fakes_receipts.HandClock(START)
    source = fakes_receipts.MemoryReceiptSource([row(0), row(59)], now=clock.now)
    source.failures = 20

    slices = followed(source, clock)

    assert [one["total"]["ADMIT"] for one in slices] == [2]


@pytest.mark.parametrize(("away", "said"), [(10_000, "the database is away"), (0, "clock is not past it yet")])
def test_a_followed_burst_that_cannot_be_counted_to_its_end_is_no_success(away: int, said: str) -> None:
    clock = fakes_receipts.HandClock(START)
    source = fakes_receipts.MemoryReceiptSource([row(0)], now=clock.now, skew_seconds=-100_000)
    source.failures = away

    with pytest.raises(errors.Unavailable, match=f"counted to .*02:00:00.* and not to .*02:01:00.*: .*{said}"):
        followed(source, clock)

    assert clock.now() >= instants.later(START, 60 + 2 + 300)


def test_live_slices_of_postgres_stay_behind_the_database_clock(database_dsn: str) -> None:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=counting.COLUMNS)
    start = datetime.now(UTC) - timedelta(seconds=60)
    frozen = datetime.now(UTC)  # however slow the database is, the next count is made at once
    counter = measure.LiveCounter(source, start=start, scope="a", settle_seconds=40.0, now=lambda: frozen)

    def insert(at: datetime) -> None:
        with psycopg.connect(database_dsn) as connection:
            connection.execute(
                "insert into receipts (decision, created_at_utc, platform_run_id) values ('ADMIT', %s, 'a')",
                [at.isoformat()],
            )

    insert(start)
    insert(datetime.now(UTC))
    first = counter.poll(datetime.now(UTC))
    insert(first.counted_to)
    second = counter.poll(datetime.now(UTC))

    assert first.slice is not None
    assert first.total == receipts.Counts(admit=1)
    assert first.counted_to <= datetime.now(UTC) - timedelta(seconds=40)
    assert second.total == receipts.Counts(admit=2)
