"""Counts add up, and a ratio of nothing is no ratio."""

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import instants
from burst.domain.receipts import receipts

NUMBERS = st.integers(0, 10**9)
COUNTS = st.builds(receipts.Counts, admit=NUMBERS, duplicate=NUMBERS, quarantine=NUMBERS, other=NUMBERS)


@hypothesis.given(one=COUNTS, other=COUNTS, third=COUNTS)
def test_counts_of_slices_add_up_in_any_order(
    one: receipts.Counts, other: receipts.Counts, third: receipts.Counts
) -> None:
    assert (one + other) + third == one + (other + third)
    assert one + other == other + one
    assert (one + other).total == one.total + other.total
    assert one + receipts.Counts() == one


@pytest.mark.parametrize("name", ["admit", "duplicate", "quarantine", "other"])
def test_a_negative_count_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        receipts.Counts(**{name: -1})


@pytest.mark.parametrize(
    ("counts", "ratio"),
    [
        pytest.param(receipts.Counts(), None, id="no receipts"),
        pytest.param(receipts.Counts(quarantine=7, other=3), None, id="none of them decided"),
        pytest.param(receipts.Counts(duplicate=10002), 0.0, id="only duplicates"),
        pytest.param(receipts.Counts(admit=1), 1.0, id="only an admit"),
        pytest.param(receipts.Counts(admit=199, duplicate=1), 0.995, id="at the gate"),
        pytest.param(receipts.Counts(admit=199, duplicate=1, quarantine=50, other=50), 0.995, id="others do not count"),
    ],
)
def test_the_admit_ratio_is_of_admit_and_duplicate_alone(counts: receipts.Counts, ratio: float | None) -> None:
    assert receipts.admit_ratio(counts) == ratio


def test_the_golden_reference_rate() -> None:
    rate = receipts.rate_per_second(50100, 7180)

    assert rate is not None
    assert rate * 60 == 418.66295264623955


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_rate_over_no_time_is_no_rate(seconds: float) -> None:
    assert receipts.rate_per_second(5, seconds) is None


@pytest.mark.parametrize(("skew", "worst"), [(0.5, 0.75), (-0.5, 0.75), (0.0, 0.25)])
def test_the_worst_skew_adds_half_the_round_trip_to_either_side(skew: float, worst: float) -> None:
    clock = receipts.DatabaseClock(
        database_now=instants.parse("2026-02-21T02:00:00Z"), skew_seconds=skew, round_trip_seconds=0.5
    )

    assert clock.worst_skew_seconds == worst


def test_what_vanished_between_two_counts_is_told_though_it_came_back() -> None:
    dipped = [receipts.Counts(admit=2, duplicate=1), receipts.Counts(admit=1, duplicate=3), receipts.Counts(admit=2)]

    assert receipts.count_losses(dipped) == receipts.Counts(admit=1, duplicate=3)
    assert receipts.count_losses(dipped[:1]) == receipts.count_losses([]) == receipts.Counts()
