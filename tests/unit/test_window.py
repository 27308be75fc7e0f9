"""Windows are half open: what one holds its neighbour does not, and buckets are exactly the window."""

import itertools
from datetime import UTC, datetime, timedelta, timezone

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import instants, windows

START = instants.parse("2026-02-21T02:00:00Z")
MICROSECOND = timedelta(microseconds=1)
MOMENTS = st.integers(0, 10**10).map(lambda microseconds: START + timedelta(microseconds=microseconds))
WINDOWS = st.tuples(MOMENTS, st.integers(1, 10**10)).map(
    lambda pair: windows.Window(pair[0], pair[0] + timedelta(microseconds=pair[1]))
)


@pytest.mark.parametrize("bucket_seconds", [0.25, 60.0, 1e12])
def test_buckets_reach_the_last_instant_that_there_is(bucket_seconds: float) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    whole = windows.Window(instants.later(last, -0.5), last)

    buckets = whole.buckets(bucket_seconds)

    assert (buckets[0].start, buckets[-1].end) == (whole.start, whole.end)


@hypothesis.given(whole=WINDOWS, share=st.floats(0.005, 3.0))
def test_buckets_partition_a_window_exactly(whole: windows.Window, share: float) -> None:
    hypothesis.assume(whole.seconds * share >= 1e-6)

    buckets = whole.buckets(whole.seconds * share)

    assert buckets[0].start == whole.start
    assert buckets[-1].end == whole.end
    assert all(one.end == following.start for one, following in itertools.pairwise(buckets))
    assert sum(((bucket.end - bucket.start) for bucket in buckets), timedelta()) == whole.end - whole.start


@hypothesis.given(whole=WINDOWS, moment=MOMENTS, share=st.floats(0.01, 1.5))
def test_an_instant_of_a_window_lies_in_exactly_one_bucket(
    whole: windows.Window, moment: datetime, share: float
) -> None:
    hypothesis.assume(whole.seconds * share >= 1e-6)

    holding = sum(bucket.holds(moment) for bucket in whole.buckets(whole.seconds * share))

    assert holding == int(whole.holds(moment))


@hypothesis.given(edges=st.lists(MOMENTS, min_size=3, max_size=3, unique=True), moment=MOMENTS)
def test_adjacent_windows_hold_an_instant_once(edges: list[datetime], moment: datetime) -> None:
    first, middle, last = sorted(edges)

    held = windows.Window(first, middle).holds(moment) + windows.Window(middle, last).holds(moment)

    assert held == int(windows.Window(first, last).holds(moment))


def test_the_start_is_held_and_the_end_is_not() -> None:
    minute = windows.Window(START, instants.later(START, 60))

    assert minute.holds(minute.start)
    assert not minute.holds(minute.end)
    assert minute.holds(minute.end - MICROSECOND)
    assert not minute.holds(minute.start - MICROSECOND)


@pytest.mark.parametrize("seconds", [0.0, -0.000001, -60.0])
def test_an_empty_or_reversed_window_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        windows.Window(START, instants.later(START, seconds))


def test_a_naive_edge_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        windows.Window(datetime(2026, 2, 21), START)  # noqa: DTZ001 (the point of the test)


def test_windows_of_the_same_instants_are_equal_whatever_their_zone() -> None:
    cairo = timezone(timedelta(hours=2))
    there = windows.Window(START.astimezone(cairo), instants.later(START, 60).astimezone(cairo))

    assert there == windows.Window(START, instants.later(START, 60))
    assert there.start.tzinfo is UTC
    assert str(there) == "[2026-02-21T02:00:00Z, 2026-02-21T02:01:00Z)"


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        pytest.param(0, 900, True, id="the same"),
        pytest.param(1, 899, True, id="within"),
        pytest.param(-0.000001, 900, False, id="a microsecond before"),
        pytest.param(0, 900.000001, False, id="a microsecond after"),
        pytest.param(900, 901, False, id="next to it"),
    ],
)
def test_inside_is_exact_at_both_edges(start: float, end: float, inside: bool) -> None:
    outer = windows.Window(START, instants.later(START, 900))
    inner = windows.Window(instants.later(START, start), instants.later(START, end))

    assert inner.inside(outer) is inside


def test_a_window_of_1366_095_seconds_has_22_full_minutes_and_a_rest() -> None:
    buckets = windows.Window(START, instants.later(START, 1366.095)).buckets(60)

    assert [bucket.seconds for bucket in buckets] == [60.0] * 22 + [46.095]


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.0000005, float("nan"), float("inf")])
def test_a_bucket_too_short_to_be_one_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="at least a microsecond"):
        windows.Window(START, instants.later(START, 1)).buckets(seconds)
