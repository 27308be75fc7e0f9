"""Observations: what samples prove of a period, on the figures of the field, and that nothing unseen passes."""

import dataclasses
import random
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.domain.basics import instants
from burst.domain.observations import judgement, limits, periods, samples, series_rules

GO = datetime(2026, 2, 21, 23, 47, 38, tzinfo=UTC)
EVERY_SECONDS = 300.0
SOAK_SECONDS = 5400.0
SPAN = periods.BurstSpan(go_at=GO, ended_at=instants.later(GO, SOAK_SECONDS))
MAX_LAG = series_rules.Rule(
    aggregate=series_rules.Aggregate.MAX,
    period=periods.parse("last 30m"),
    limit=limits.Limit(comparison=limits.Comparison.AT_MOST, required=10),
)
PASS, FAIL, INVALID = limits.AnswerStatus.PASS, limits.AnswerStatus.FAIL, limits.AnswerStatus.INVALID


def sample(number: int, seconds: float, value: limits.Value, *, took: float = 0.5, **fields: object) -> samples.Sample:
    """A sample that was asked so many seconds after GO."""
    asked_at = instants.later(GO, seconds)
    taken = samples.Sample(number=number, asked_at=asked_at, answered_at=instants.later(asked_at, took), value=value)
    return dataclasses.replace(taken, **fields)  # type: ignore[arg-type]


def series(taken: list[samples.Sample], **fields: object) -> samples.Series:
    """A series of which every sample is there."""
    whole = samples.Series(name="lag", every_seconds=EVERY_SECONDS, taken=len(taken), samples=tuple(taken))
    return dataclasses.replace(whole, **fields)  # type: ignore[arg-type]


def soak(values: Sequence[limits.Value], **fields: object) -> samples.Series:
    """A soak of 90 minutes: a sample 10 s before GO, then one every five minutes, the last one 2 s after the end."""
    seconds = [-10.0, *(EVERY_SECONDS * index for index in range(1, len(values) - 1)), SOAK_SECONDS + 2]
    return series(
        [sample(n + 1, at, value) for n, (at, value) in enumerate(zip(seconds, values, strict=True))], **fields
    )


def steady(value: float, count: int = 19) -> list[limits.Value]:
    return [value] * count


def judge(rule: series_rules.Rule, observed: samples.Series, span: periods.BurstSpan = SPAN) -> judgement.Judgement:
    return judgement.judge(rule, observed, span, {observed.name: observed})


def put(values: list[limits.Value], index: int, value: limits.Value) -> list[limits.Value]:
    return [*values[:index], value, *values[index + 1 :]]


@pytest.mark.parametrize(("lag", "status"), [(40, FAIL), (310, FAIL), (3, PASS), (10, PASS), (11, FAIL)])
def test_the_lag_of_a_soak_is_held_against_its_bound(lag: int, status: limits.AnswerStatus) -> None:
    answer = judge(MAX_LAG, soak(put(steady(1), 15, lag)))

    assert (answer.status, answer.value) == (status, lag)


def test_one_sample_above_the_bound_before_the_last_thirty_minutes_holds_nothing() -> None:
    outside, inside = soak(put(steady(3), 11, 310)), soak(put(steady(3), 12, 310))

    assert (judge(MAX_LAG, outside).status, judge(MAX_LAG, outside).value) == (PASS, 3)
    assert (judge(MAX_LAG, inside).status, judge(MAX_LAG, inside).value) == (FAIL, 310)


def test_a_soak_whose_last_sample_came_at_85_8_of_90_minutes_is_no_proof() -> None:
    taken = [sample(n + 2, n * EVERY_SECONDS + 1, 3) for n in range(17)]
    taken = [sample(1, -10, 3), *taken, sample(19, 85.8 * 60, 3)]

    answer = judge(MAX_LAG, series(taken))
    assert (answer.status, answer.value) == (INVALID, None)
    assert "no sample at or after 2026-02-22T01:17:38Z, the end of the window" in answer.why

    appended = series([*taken, sample(20, SOAK_SECONDS + 1, 3)])
    assert judge(MAX_LAG, appended).status is PASS


def test_a_sampler_slower_than_its_period_proves_nothing() -> None:
    taken = list(soak(steady(1)).samples)
    taken[14] = sample(15, EVERY_SECONDS * 14, 310, took=EVERY_SECONDS)

    answer = judge(MAX_LAG, series(taken))

    assert answer.status is INVALID
    assert "the sampler is slower than its period: an answer took 300 s" in answer.why


def test_a_gap_proves_nothing_and_says_why_a_sample_has_no_value() -> None:
    taken = list(soak(steady(1)).samples)
    taken[15] = dataclasses.replace(taken[15], value=None, detail="name resolution failed")

    answer = judge(MAX_LAG, series(taken))

    assert answer.status is INVALID
    assert "a gap of 600 s" in answer.why
    assert "name resolution failed" in answer.why


def test_a_question_that_was_answered_again_in_time_leaves_no_gap() -> None:
    taken = list(soak(steady(1)).samples)
    failed = dataclasses.replace(taken[15], value=None, detail="name resolution failed")
    again = sample(17, EVERY_SECONDS * 15 + 75, 1)
    later = [dataclasses.replace(each, number=each.number + 1) for each in taken[16:]]

    assert judge(MAX_LAG, series([*taken[:15], failed, again, *later])).status is PASS


def test_a_sample_of_another_scope_proves_nothing_wherever_it_lies() -> None:
    own = [dataclasses.replace(taken, scope="platform_1") for taken in soak(steady(1)).samples]
    assert judge(MAX_LAG, series(own, scope="platform_1")).status is PASS
    for index, scope in ((0, "platform_0"), (16, "platform_0"), (16, None)):
        taken = [*own[:index], dataclasses.replace(own[index], scope=scope), *own[index + 1 :]]

        answer = judge(MAX_LAG, series(taken, scope="platform_1"))

        assert answer.status is INVALID
        assert "of another scope than platform_1" in answer.why


def test_stale_and_future_instants_prove_nothing() -> None:
    def dated(age_seconds: float) -> samples.Series:
        taken = [
            dataclasses.replace(entry, of=instants.later(entry.asked_at, -age_seconds))
            for entry in soak(steady(1)).samples
        ]
        return series(taken, dated=True, max_skew_seconds=2.0)

    assert judge(MAX_LAG, dated(1)).status is PASS
    assert "stale" in judge(MAX_LAG, dated(301)).why
    assert "after its answer" in judge(MAX_LAG, dated(-10)).why
    assert "no sample at or after" in judge(MAX_LAG, dated(3)).why
    assert judge(MAX_LAG, soak(steady(1), dated=True)).status is INVALID


MONOTONIC = series_rules.Rule(
    aggregate=series_rules.Aggregate.MONOTONIC, limit=limits.Limit(comparison=limits.Comparison.EQUALS, required=True)
)
STALL = series_rules.Rule(
    aggregate=series_rules.Aggregate.MAX_STALL, limit=limits.Limit(comparison=limits.Comparison.AT_MOST, required=600.0)
)
DELTA = series_rules.Rule(
    aggregate=series_rules.Aggregate.DELTA, limit=limits.Limit(comparison=limits.Comparison.EQUALS, required=0)
)


def test_a_checkpoint_that_goes_back_is_not_monotonic() -> None:
    rising: list[limits.Value] = [float(number) for number in range(19)]

    assert judge(MONOTONIC, soak(rising)).status is PASS
    assert judge(MONOTONIC, soak(steady(7))).status is PASS
    answer = judge(MONOTONIC, soak(put(rising, 9, 3.0)))
    assert (answer.status, answer.value) == (FAIL, False)


def test_a_checkpoint_that_stands_for_longer_than_ten_minutes_has_stalled() -> None:
    rising: list[limits.Value] = [float(number) for number in range(19)]
    twice = put(rising, 8, 7.0)
    thrice = put(twice, 9, 7.0)

    assert (judge(STALL, soak(rising)).status, judge(STALL, soak(rising)).value) == (PASS, 310.0)
    assert (judge(STALL, soak(twice)).status, judge(STALL, soak(twice)).value) == (PASS, 600.0)
    assert (judge(STALL, soak(thrice)).status, judge(STALL, soak(thrice)).value) == (FAIL, 900.0)
    assert judge(STALL, soak(steady(7))).value == 5412.0


def test_a_delta_is_from_before_go_to_after_the_stop() -> None:
    assert judge(DELTA, soak(put(steady(4), 5, 9))).status is PASS
    assert (judge(DELTA, soak(put(steady(4), 18, 5))).status, judge(DELTA, soak(put(steady(4), 18, 5))).value) == (
        FAIL,
        1,
    )
    without_first = [dataclasses.replace(taken, number=n + 1) for n, taken in enumerate(soak(steady(4)).samples[1:])]
    assert "no sample at or before" in judge(DELTA, series(without_first)).why


def test_a_tail_figure_is_the_nearest_rank() -> None:
    values: list[limits.Value] = [float(number) for number in range(1, 20)]
    rule = dataclasses.replace(MAX_LAG, aggregate=series_rules.Aggregate.P95, period=periods.WHOLE)

    assert judge(rule, soak(values)).value == 19.0  # of the 18 samples from GO on the 18th is the nearest rank


def test_a_figure_near_that_of_another_series() -> None:
    rule = series_rules.Rule(aggregate=series_rules.Aggregate.LAST, near=series_rules.parse_nearness("1% of expected"))
    expected = dataclasses.replace(soak(steady(1000)), name="expected")
    for value, status in ((990, PASS), (1010, PASS), (989, FAIL), (1011, FAIL)):
        observed = soak(steady(value))
        assert judgement.judge(rule, observed, SPAN, {"expected": expected}).status is status
    assert judgement.judge(rule, soak(steady(1000)), SPAN, {}).status is INVALID
    cut = dataclasses.replace(expected, samples=expected.samples[:-1])
    assert judgement.judge(rule, soak(steady(1000)), SPAN, {"expected": cut}).status is INVALID


def test_periods_around_a_fault_are_judged_apart() -> None:
    span = dataclasses.replace(
        SPAN, faulted_at=instants.later(GO, 1800), recovered_at=instants.later(GO, 1800 + 172.162)
    )
    values: list[limits.Value] = [*[1.0] * 7, 40.0, *[2.0] * 11]
    found = {
        words: judge(dataclasses.replace(MAX_LAG, period=periods.parse(words)), soak(values), span)
        for words in ("before", "during", "after recovery", "whole")
    }

    assert {words: (answer.status, answer.value) for words, answer in found.items()} == {
        "before": (PASS, 1.0),
        "during": (PASS, 1.0),
        "after recovery": (FAIL, 40.0),
        "whole": (FAIL, 40.0),
    }
    unrecovered = dataclasses.replace(span, recovered_at=None)
    assert (
        judge(dataclasses.replace(MAX_LAG, period=periods.parse("after")), soak(values), unrecovered).status is INVALID
    )
    assert judge(dataclasses.replace(MAX_LAG, period=periods.parse("before")), soak(values), SPAN).status is INVALID


def test_a_stability_window_longer_than_the_burst_is_no_proof() -> None:
    rule = dataclasses.replace(MAX_LAG, period=periods.parse("last 2h"))

    assert "shorter than last 7200s" in judge(rule, soak(steady(1))).why


def test_what_is_no_number_has_no_maximum_and_may_be_equal() -> None:
    words: list[limits.Value] = ["STABLE"] * 19
    stable = series_rules.Rule(
        aggregate=series_rules.Aggregate.LAST,
        limit=limits.Limit(comparison=limits.Comparison.EQUALS, required="STABLE"),
    )

    assert judge(stable, soak(words)).status is PASS
    assert judge(stable, soak(put(words, 18, "UNSTABLE"))).status is FAIL
    assert judge(MAX_LAG, soak(put(steady(1), 15, "3"))).status is INVALID
    assert judge(MAX_LAG, soak(put(steady(1), 15, value=True))).status is INVALID


LIMITS = st.sampled_from(
    [limits.Limit(comparison=comparison, required=bound) for comparison in limits.Comparison for bound in (0, 3)]
    + [limits.Limit(comparison=limits.Comparison.EQUALS, required=True)]
)
RULES = st.builds(
    series_rules.Rule,
    aggregate=st.sampled_from(series_rules.Aggregate),
    period=st.sampled_from([periods.parse(words) for words in ("whole", "last 30m", "before", "during", "after")]),
    limit=LIMITS,
)
FAULTED = dataclasses.replace(SPAN, faulted_at=instants.later(GO, 1500), recovered_at=instants.later(GO, 3300))


@st.composite
def any_series(draw: st.DrawFn) -> samples.Series:
    """A series near a good one: values around the bounds, some samples late, silent, strange, or more often."""
    seconds, at = [-10.0], 0.0
    while at < SOAK_SECONDS:
        at += draw(st.sampled_from([75.0, 150.0, 299.0, 300.0, 300.2]))
        seconds.append(at)
    seconds.extend(draw(st.lists(st.sampled_from([5402.0, 5405.0]), max_size=2)))
    value = st.one_of(st.sampled_from([0, 1, 2, 3]), st.sampled_from([0, 3, 4, None]))
    taken = [
        sample(number, at, draw(value), took=draw(st.sampled_from([0.1, 0.1, 0.1, 1.0])), scope="platform_1")
        for number, at in enumerate(seconds, start=1)
    ]
    return series(taken, scope="platform_1")


@given(any_series(), RULES, st.data())
def test_removing_any_sample_never_passes(
    observed: samples.Series, rule: series_rules.Rule, data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(observed.samples), min_size=1))
    rest = tuple(taken for taken in observed.samples if taken not in gone)

    assert judge(rule, dataclasses.replace(observed, samples=rest), FAULTED).status is INVALID


@given(any_series(), RULES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    observed: samples.Series, rule: series_rules.Rule, order: random.Random
) -> None:
    mixed = list(observed.samples)
    order.shuffle(mixed)

    assert judge(rule, dataclasses.replace(observed, samples=tuple(mixed)), FAULTED) == judge(rule, observed, FAULTED)


@given(any_series(), RULES, st.data())
def test_what_makes_a_sample_worse_never_passes(
    observed: samples.Series, rule: series_rules.Rule, data: st.DataObject
) -> None:
    whole = dataclasses.replace(rule, period=periods.WHOLE)
    index = data.draw(st.integers(1, len(observed.samples) - 1))
    worse = data.draw(
        st.sampled_from(
            [{"scope": "platform_0"}, {"answered_at": instants.later(observed.samples[index].asked_at, 300)}]
        )
    )
    spoilt = [*observed.samples]
    spoilt[index] = dataclasses.replace(spoilt[index], **worse)  # type: ignore[arg-type]

    assert judge(whole, dataclasses.replace(observed, samples=tuple(spoilt)), SPAN).status is INVALID


@given(any_series(), RULES)
def test_a_pass_was_seen_from_start_to_end(observed: samples.Series, rule: series_rules.Rule) -> None:
    answer = judge(rule, observed, FAULTED)
    placed = periods.place(rule.period, FAULTED)

    if answer.status is PASS:
        assert isinstance(placed, periods.PeriodSpan)
        valued = [taken.instant for taken in observed.samples if taken.value is not None]
        assert min(valued) <= placed.start
        assert max(valued) >= placed.end
        assert answer.samples >= 1


@pytest.mark.parametrize("words", ["", "last", "last 30", "last 0s", "afterwards", "last 5m ", "whole "])
def test_other_periods_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is not a duration"):
        periods.parse(words)


@pytest.mark.parametrize("words", ["1%", "1 % of x", "1% of ", "-1% of x", "1000% of x y"])
def test_other_shares_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="a share of another series"):
        series_rules.parse_nearness(words)


def test_a_terminal_sample_that_was_asked_before_the_system_had_settled_is_none() -> None:
    taken = soak(steady(3))  # its last sample is asked 2 s after the end

    assert judge(MAX_LAG, dataclasses.replace(taken, settle_seconds=2.0)).status is PASS
    early = judge(MAX_LAG, dataclasses.replace(taken, settle_seconds=2.000001))
    assert early.status is INVALID
    assert "the end of the window, asked 2.000001 s later (observe.settle)" in early.why


def test_a_clock_that_went_back_hides_no_gap() -> None:
    """Between the 15th and the 16th sample 10 minutes pass, and the clock is put back by 9 of them."""
    taken = list(soak(steady(3)).samples)
    stepped = [
        dataclasses.replace(
            each,
            asked_at=instants.later(each.asked_at, -310),
            answered_at=instants.later(each.answered_at, -310),
        )
        for each in taken[15:]
    ]
    last = sample(20, SOAK_SECONDS + 3, 3)

    answer = judge(MAX_LAG, series([*taken[:15], *stepped, last], max_skew_seconds=2.0))

    assert answer.status is INVALID
    assert "the sampler's clock went back by 10.5 s" in answer.why


def test_an_answer_from_before_its_question_proves_nothing() -> None:
    taken = list(soak(steady(3)).samples)
    taken[15] = sample(16, EVERY_SECONDS * 15, 3, took=-2.5)

    assert judge(MAX_LAG, series(taken, max_skew_seconds=2.5)).status is PASS
    assert judge(MAX_LAG, series(taken, max_skew_seconds=2.0)).status is INVALID


@pytest.mark.parametrize(("first", "last"), [(-(2**53), 2**53), (-1.7e308, 1.7e308)])
def test_a_difference_that_json_does_not_hold_is_no_figure(first: limits.Value, last: limits.Value) -> None:
    least = limits.Limit(comparison=limits.Comparison.AT_LEAST, required=0)
    delta = series_rules.Rule(aggregate=series_rules.Aggregate.DELTA, limit=least)

    answer = judge(delta, soak([first, *steady(0, 17), last]))

    assert (answer.status, answer.value) == (INVALID, None)
    assert "is more than JSON holds exactly" in answer.why


@pytest.mark.parametrize(
    ("value", "reference", "words", "status"),
    [
        (100290, 100000, "0.29% of rows", PASS),
        (100291, 100000, "0.29% of rows", FAIL),
        (100.29, 100.0, "0.29% of rows", PASS),
        (1.0e308, -1.0e308, "199% of rows", FAIL),
        (0, 0, "1% of rows", PASS),
        (1e-300, 0, "999% of rows", FAIL),
    ],
)
def test_the_edge_of_a_share_of_another_series_is_exact(
    value: float, reference: float, words: str, status: limits.AnswerStatus
) -> None:
    rule = series_rules.Rule(aggregate=series_rules.Aggregate.LAST, near=series_rules.parse_nearness(words))
    rows = dataclasses.replace(soak([reference] * 19), name="rows")

    assert judgement.judge(rule, soak([value] * 19), SPAN, {"rows": rows}).status is status


def test_a_rule_is_told_with_the_durations_of_the_plan_that_wrote_it() -> None:
    assert MAX_LAG.text == "max over last 30m at most 10"
