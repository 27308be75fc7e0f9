"""Recoveries: the first sample of the first good stretch that lasts long enough, after the fault and under load."""

from datetime import datetime
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import instants
from burst.domain.observations import limits, recoveries, samples
from tests import cases

EVERY_SECONDS = 10.0
LOW = recoveries.RecoveryTerms(
    limit=limits.Limit(comparison=limits.Comparison.AT_MOST, required=10), sustained_seconds=60.0
)
FAULT, OVER_SECONDS, END_SECONDS = cases.moment(0), 20.0, 900.0


def sample(number: int, seconds: float, value: limits.Value, **changes: Any) -> samples.Sample:
    at = instants.later(FAULT, seconds)
    return samples.Sample(
        **{"number": number, "asked_at": at, "answered_at": instants.later(at, 0.1), "value": value, **changes}
    )


def series(values: list[limits.Value], *, start_seconds: float = 0.0, **changes: Any) -> samples.Series:
    taken = [
        sample(number, start_seconds + (number - 1) * EVERY_SECONDS, value) for number, value in enumerate(values, 1)
    ]
    return samples.Series(
        **{"name": "lag", "every_seconds": EVERY_SECONDS, "taken": len(taken), "samples": tuple(taken), **changes}
    )


def find(observed: samples.Series, *, over_seconds: float | None = OVER_SECONDS) -> recoveries.Recovery:
    over_at = None if over_seconds is None else instants.later(FAULT, over_seconds)
    return recoveries.find_recovery(observed, LOW, over_at=over_at, ended_at=instants.later(FAULT, END_SECONDS))


def seconds(found: recoveries.Recovery) -> float | None:
    return None if found.recovered_at is None else instants.seconds_between(FAULT, found.recovered_at)


def test_the_golden_recovery_is_measured_to_the_first_sample_of_the_first_sustained_good_stretch() -> None:
    values: list[limits.Value] = [40, 40, 3, 4, *([2] * 20)]
    observed = series(values, start_seconds=152.162)

    found = find(observed)

    assert seconds(found) == 172.162
    assert "at_most 10" in found.why
    assert "in 7 samples over 60 s" in found.why


def test_a_good_stretch_that_breaks_too_early_does_not_count() -> None:
    values: list[limits.Value] = [40, 40, 40, 1, 1, 1, 1, 1, 1, 40, *([1] * 10)]

    assert seconds(find(series(values))) == 100.0


def test_samples_before_the_fault_was_over_do_not_count() -> None:
    assert seconds(find(series([1] * 40))) == OVER_SECONDS
    assert seconds(find(series([1] * 40), over_seconds=95.0)) == 100.0


def test_a_sample_without_a_value_breaks_a_stretch() -> None:
    values: list[limits.Value] = [40, 40, 1, 1, 1, 1, None, *([1] * 10)]

    assert seconds(find(series(values))) == 70.0


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        (series([40] * 40), "lag was never good for 60 s without a break: for 0 s at the longest, in 38 samples"),
        (series([]), "no usable sample of lag between the fault and the end of the burst"),
        (series([None] * 40), "no usable sample of lag"),
        (series([1] * 40, taken=41), "40 of the 41 samples taken are here"),
        (series([1] * 40, scope="mine"), "samples of another scope than mine: None"),
        (series([1] * 7, start_seconds=850.0), "never good for 60 s without a break: for 50 s"),
        (series([1] * 40, dated=True), "no usable sample"),
    ],
)
def test_what_was_not_seen_is_no_recovery(observed: samples.Series, why: str) -> None:
    found = find(observed)

    assert found.recovered_at is None
    assert why in found.why


def test_a_fault_that_nobody_saw_end_has_no_recovery() -> None:
    assert find(series([1] * 40), over_seconds=None).why == "nobody saw the fault itself come to its end"
    assert find(series([1] * 40), over_seconds=END_SECONDS).why == "the burst had ended when the fault was over"


def test_a_slow_or_a_stale_answer_is_not_good() -> None:
    slow, stale, ahead = (
        sample(5, 40.0, 1, answered_at=instants.later(FAULT, 50.0)),
        sample(5, 40.0, 1, of=instants.later(FAULT, 29.0)),
        sample(5, 40.0, 1, of=instants.later(FAULT, 41.0)),
    )
    for bad in (slow, stale, ahead):
        whole = series([1] * 40)
        spoiled = series([], taken=40)
        taken = tuple(bad if each.number == 5 else each for each in whole.samples)
        spoiled = samples.Series(name="lag", every_seconds=EVERY_SECONDS, taken=40, samples=taken)

        assert seconds(find(spoiled)) == 50.0


VALUES = st.lists(st.sampled_from([1, 10, 11, None]), min_size=1, max_size=60)


@hypothesis.given(values=VALUES, dropped=st.data())
def test_a_sample_that_is_left_out_never_makes_a_recovery_or_an_earlier_one(
    values: list[limits.Value], dropped: st.DataObject
) -> None:
    whole = series(values)
    index = dropped.draw(st.integers(0, len(values) - 1))
    left = tuple(each for position, each in enumerate(whole.samples) if position != index)
    renumbered = tuple(
        samples.Sample(number=number, asked_at=each.asked_at, answered_at=each.answered_at, value=each.value)
        for number, each in enumerate(left, 1)
    )

    honest = series([], taken=whole.taken, samples=left)
    forged = series([], taken=len(left), samples=renumbered)

    assert find(honest).recovered_at is None
    before, after = find(whole).recovered_at, find(forged).recovered_at
    assert after is None or (before is not None and after >= before)


@hypothesis.given(values=VALUES)
def test_a_recovery_is_the_start_of_a_stretch_in_which_every_sample_is_good(values: list[limits.Value]) -> None:
    observed = series(values)
    found = find(observed)
    if found.recovered_at is None or found.held_to is None:
        return

    start, end = found.recovered_at, found.held_to
    inside = [each for each in observed.samples if start <= each.instant <= end]
    assert all(isinstance(each.value, int) and each.value <= 10 for each in inside)
    assert instants.seconds_between(start, end) >= LOW.sustained_seconds
    assert isinstance(start, datetime)


def test_a_clock_that_went_back_shows_no_recovery() -> None:
    values: list[limits.Value] = [40, 40, 40, *([1] * 20)]
    whole = series(values)
    stepped = [
        sample(each.number, (each.number - 1) * EVERY_SECONDS - (25.0 if each.number > 12 else 0.0), each.value)
        for each in whole.samples
    ]

    assert find(whole).recovered_at is not None
    found = find(series(values, samples=tuple(stepped), max_skew_seconds=2.0))
    assert found.recovered_at is None
    assert "the sampler's clock went back by 15.1 s" in found.why
