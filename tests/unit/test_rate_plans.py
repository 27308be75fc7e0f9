"""Rate plans: the shares of all shards are the whole, event by event, and each instant follows from its number."""

import itertools
import math
import random
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burst.load import rate_plans

RATES = st.fractions(min_value=Fraction(1, 10), max_value=40, max_denominator=60)


@st.composite
def make_steps(draw: st.DrawFn) -> rate_plans.RateStep:
    rate = draw(RATES)
    shape = draw(st.sampled_from(rate_plans.SHAPES))
    to = rate if shape == rate_plans.STEP else draw(RATES)
    seconds = draw(st.fractions(min_value=Fraction(1, 2), max_value=20, max_denominator=10))
    name = draw(st.text("abcdefgh", min_size=1, max_size=6))
    return rate_plans.RateStep(name=name, seconds=seconds, rate=rate, to=to, shape=shape, count=draw(st.booleans()))


PLANS = st.lists(make_steps(), min_size=1, max_size=5).map(lambda steps: rate_plans.RatePlan(steps=tuple(steps)))


@given(PLANS, st.integers(1, 1000))
@settings(max_examples=40, deadline=None)
def test_the_shares_of_all_shards_are_the_whole_in_each_step(plan: rate_plans.RatePlan, shards: int) -> None:
    whole = [arrival.seconds for arrival in plan.list_arrivals(0, 1)]
    shared = sorted(arrival.seconds for shard in range(shards) for arrival in plan.list_arrivals(shard, shards))
    assert shared == whole
    assert len(whole) == plan.events == sum(place.events for place in plan.placed)


@given(PLANS)
@settings(max_examples=60, deadline=None)
def test_an_event_is_due_where_the_rates_have_added_up_to_its_number(plan: rate_plans.RatePlan) -> None:
    for number, arrival in enumerate(plan.list_arrivals(0, 1)):
        assert float(plan.sum_until(arrival.seconds)) == pytest.approx(number, abs=1e-5)
        assert 0 <= arrival.seconds < plan.seconds


@given(PLANS, st.lists(st.integers(0, 100), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None)
def test_what_is_due_between_edges_adds_up(plan: rate_plans.RatePlan, parts: list[int]) -> None:
    edges = [Fraction(0), *sorted(plan.seconds * part / 100 for part in parts), plan.seconds]
    counts = [plan.count_due(since, until) for since, until in itertools.pairwise(edges)]
    assert sum(counts) == plan.events


@given(PLANS)
def test_a_plan_is_read_as_it_was_written(plan: rate_plans.RatePlan) -> None:
    assert rate_plans.read_plan(rate_plans.write_plan(plan)) == plan


@given(PLANS, st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_random_arrivals_come_in_order_inside_their_steps(plan: rate_plans.RatePlan, shards: int) -> None:
    arrivals = list(plan.list_random_arrivals(shards, random.Random("scope")))
    seconds = [arrival.seconds for arrival in arrivals]
    assert seconds == sorted(seconds)
    assert all(0 <= moment < plan.seconds for moment in seconds)
    assert arrivals == list(plan.list_random_arrivals(shards, random.Random("scope")))


def test_seven_shards_of_six_steps_have_the_exact_sums() -> None:
    rates = (200, 600, 1000, 2000, 1400, 400)
    steps = (
        rate_plans.RateStep(name=f"s{rate}", seconds=Fraction(10), rate=Fraction(rate), to=Fraction(rate))
        for rate in rates
    )
    plan = rate_plans.RatePlan(steps=tuple(steps))
    for place, rate in zip(plan.placed, rates, strict=True):
        shares = [
            sum(arrival.step == place.step.name for arrival in plan.list_arrivals(shard, 7)) for shard in range(7)
        ]
        assert sum(shares) == place.events == rate * 10
        assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("profile", rate_plans.NAMED)
def test_a_named_profile_fills_its_window_and_reaches_its_rate(profile: str) -> None:
    plan = rate_plans.RatePlan(steps=rate_plans.make_named(profile, Fraction(300), Fraction(90)))
    assert plan.seconds == 90
    assert plan.highest == 300
    assert plan.counted == (Fraction(0), Fraction(90))


def test_a_warmup_is_sent_and_not_counted() -> None:
    steps = rate_plans.make_named("ramp", Fraction(100), Fraction(60))
    plan = rate_plans.RatePlan(steps=rate_plans.prepend_warmup(steps, Fraction(30)))
    assert plan.counted == (Fraction(30), Fraction(90))
    assert plan.count_due(0, 30) == 300
    finder = rate_plans.StepFinder(plan)
    assert finder.name_step(29.99) == rate_plans.WARMUP
    assert finder.name_step(30.0) == "ramp"
    assert finder.name_step(90.0) is None
    assert finder.name_step(-0.01) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '[{"name": "a"}]', '[{"name": "a", "for": "0", "rate": "1"}]'])
def test_a_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"step|Expecting"):
        rate_plans.read_plan(text)


def test_the_first_events_of_a_ramp_come_sparsely() -> None:
    step = rate_plans.RateStep(
        name="r", seconds=Fraction(10), rate=Fraction(0), to=Fraction(10), shape=rate_plans.LINEAR
    )
    instants = [arrival.seconds for arrival in rate_plans.RatePlan(steps=(step,)).list_arrivals(0, 1)]
    assert instants[:3] == pytest.approx([0.0, math.sqrt(2), 2.0])


def test_many_steps_cost_a_load_program_no_more_for_each_event_than_one() -> None:
    """It names the step of each answer, and places each event: what followed from all steps at each event was fifty
    times as much with fifty of them."""

    def spend(steps: int) -> float:
        names = [f"step-{index}" for index in range(steps)]
        plan = rate_plans.RatePlan(
            steps=tuple(
                rate_plans.RateStep(name=name, seconds=Fraction(10), rate=Fraction(100), to=Fraction(100))
                for name in names
            )
        )
        finder, arrivals = rate_plans.StepFinder(plan), plan.list_arrivals(0, 1)
        begun = time.process_time()
        for arrival in itertools.islice(arrivals, 900):
            for _ in range(20):
                finder.name_step(arrival.seconds)
        return time.process_time() - begun

    assert min(spend(50) for _ in range(3)) < 10 * max(spend(1) for _ in range(3))
