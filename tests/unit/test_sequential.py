"""Early stop: rails against every continuation there is, the betting test against its own definition and by chance."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy import random

from burst.domain.receipts import early_stops, receipts
from burst.domain.verdict import baselines, count_gates, gates

TERMS = early_stops.EarlyStopTerms(
    admit_ratio=0.995,
    window_seconds=900.0,
    min_window_seconds=900.0,
    required_admits_per_second=None,
    offered_per_second=None,
    source_events=None,
    no_receipts_seconds=60.0,
)
BASELINE_PER_SECOND = 50100 / 7180
RATIOS = st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9, 0.995, 1 / 3, 1.0, 1])
FEW = st.integers(0, 6)


def poll(admit: int = 0, duplicate: int = 0, *, seconds: float = 10.0, quarantine: int = 0) -> early_stops.Poll:
    return early_stops.Poll(
        seconds=seconds, counts=receipts.Counts(admit=admit, duplicate=duplicate, quarantine=quarantine)
    )


def counts(admit: int, duplicate: int) -> receipts.Counts:
    return receipts.Counts(admit=admit, duplicate=duplicate)


def endings(start: receipts.Counts, further: int) -> list[receipts.Counts]:
    """Every count a burst can end with when at most `further` receipts follow."""
    more = itertools.product(range(further + 1), repeat=2)
    return [start + counts(admit, duplicate) for admit, duplicate in more if admit + duplicate <= further]


@given(admit=FEW, duplicate=FEW, further=FEW, required=RATIOS)
@example(admit=1, duplicate=1, further=0, required=0.5)
@example(admit=199, duplicate=1, further=0, required=0.995)
def test_the_ratio_rail_fires_exactly_when_no_continuation_reaches_the_gate(
    admit: int, duplicate: int, further: int, required: float
) -> None:
    r = Fraction(repr(required))
    decided = [end for end in endings(counts(admit, duplicate), further) if end.decided]
    can_pass = any(Fraction(end.admit, end.decided) >= r for end in decided)

    fires = early_stops.ratio_impossible(counts(admit, duplicate), further, required)

    assert fires == (not can_pass and bool(decided))


@given(
    admit=FEW,
    duplicate=FEW,
    further=FEW,
    admits=st.integers(1, 7),
    seconds=st.sampled_from([1.0, 3.0, 7.0, 7180.0, 0.1]),
    window_seconds=st.sampled_from([1.0, 3.0, 7.0, 7180.0, 0.1, 0.3]),
    required=st.sampled_from([0.5, 1.0, 3.0, 1 / 3, 0.1]),
)
def test_the_multiplier_rail_fires_exactly_when_no_continuation_passes_the_gate_but_for_rounding(
    admit: int, duplicate: int, further: int, admits: int, seconds: float, window_seconds: float, required: float
) -> None:
    baseline = baselines.Baseline(admits=admits, seconds=seconds, source="a test")
    terms = replace(
        TERMS, min_window_seconds=window_seconds, required_admits_per_second=required * baseline.rate_per_second
    )
    needed = required * baseline.rate_per_second * window_seconds
    assume(abs(admit + further - needed) > 1e-9 * needed)
    can_pass = any(
        gates.at_least(count_gates.multiplier(end, window_seconds, baseline), required)
        for end in endings(counts(admit, duplicate), further)
    )

    fires = early_stops.multiplier_impossible(counts(admit, duplicate), further, terms)

    assert fires == (not can_pass)


@given(
    admits=st.integers(1, 10**6),
    seconds=st.integers(1, 10**5),
    window=st.integers(1, 10**4),
    times=st.integers(1, 9),
)
@example(admits=3, seconds=273, window=273, times=1)
def test_rounding_never_lets_the_multiplier_rail_contradict_the_gate(
    admits: int, seconds: int, window: int, times: int
) -> None:
    baseline = baselines.Baseline(admits=admits, seconds=float(seconds), source="a test")
    terms = replace(
        TERMS, min_window_seconds=float(window), required_admits_per_second=times * baseline.rate_per_second
    )
    exactly_enough = Fraction(times * admits * window, seconds)
    reached = counts(math.ceil(exactly_enough), 0)
    passes = gates.at_least(count_gates.multiplier(reached, float(window), baseline), float(times))

    fires = early_stops.multiplier_impossible(reached, 0, terms)

    assert not (passes and fires)


def test_a_source_spent_before_the_declared_end_is_held_to_the_shortest_window_that_can_pass() -> None:
    """Senders at 1.1 a second have sent 1200 events after 1091 s of 1200: a window that ends there passes."""
    terms = replace(
        TERMS, window_seconds=1200.0, required_admits_per_second=1.0, source_events=1200, offered_per_second=1.1
    )

    assert early_stops.find_reason_to_stop([poll(660, 3, seconds=600.0)], 600.0, terms) is None
    stopped = early_stops.find_reason_to_stop([poll(299, 0, seconds=600.0)], 600.0, replace(terms, source_events=899))
    assert stopped is not None
    assert stopped.rule == "multiplier-impossible"


def test_the_multiplier_rail_needs_a_required_rate() -> None:
    assert not early_stops.multiplier_impossible(counts(0, 0), 0, TERMS)


@pytest.mark.parametrize(
    ("offered", "source", "seen", "further"),
    [
        (None, None, 0, None),
        (None, 20000, 0, 20000),
        (None, 20000, 19999, 1),
        (None, 20000, 20001, 0),
        (10.0, None, 0, 9001),
        (10.0, None, 9000, 1),
        (10.0, 20000, 0, 9001),
        (100.0, 20000, 0, 20000),
        (0.001, None, 0, 2),
    ],
)
def test_what_can_still_arrive_is_the_least_of_rate_and_source_less_what_was_seen(
    offered: float | None, source: int | None, seen: int, further: int | None
) -> None:
    terms = replace(TERMS, offered_per_second=offered, source_events=source)

    assert early_stops.further_receipts(terms, seen) == further


def test_no_rail_takes_the_mean_of_poisson_arrivals_for_their_most() -> None:
    """Half of all Poisson bursts make more due than the rate times the window: by chance one may still pass."""
    even = replace(TERMS, offered_per_second=10.0, required_admits_per_second=10.0, offered_load=0.99)
    seen = [poll(admit=8980, duplicate=30)]

    assert early_stops.find_reason_to_stop(seen, 890.0, even) is not None
    assert early_stops.find_reason_to_stop(seen, 890.0, replace(even, arrivals="poisson")) is None
    assert early_stops.find_withheld(9000, 8908, even) is not None
    assert early_stops.find_withheld(9000, 8908, replace(even, arrivals="poisson")) is None


@given(
    split=st.integers(0, 12),
    declared=st.integers(0, 12),
    admit_share=st.integers(0, 12),
    required=st.sampled_from([0.5, 0.9, 0.995, 1.0]),
)
def test_a_burst_that_may_still_pass_by_its_source_is_never_ended_by_a_rail(
    split: int, declared: int, admit_share: int, required: float
) -> None:
    """Whatever a source of `declared` events is answered with, a poll in between never condemns an end that passes."""
    admits, seen = min(admit_share, declared), min(split, declared)
    answers = [True] * admits + [False] * (declared - admits)
    terms = replace(TERMS, source_events=declared, admit_ratio=required)
    for order in (answers, answers[::-1], answers[1::2] + answers[::2]):
        ending = counts(sum(order), declared - sum(order))
        so_far = counts(sum(order[:seen]), seen - sum(order[:seen]))
        passes = bool(declared) and Fraction(ending.admit, declared) >= Fraction(repr(required))
        stopped = early_stops.find_reason_to_stop([early_stops.Poll(seconds=1.0, counts=so_far)], 1.0, terms)

        assert not (passes and stopped)


# The historic burst of 20000 source events, all admitted before: certain to fail at the 101st DUPLICATE.


def test_the_historic_burst_is_certain_to_fail_at_the_101st_duplicate_and_not_before() -> None:
    terms = replace(TERMS, source_events=20000)

    assert early_stops.find_reason_to_stop([poll(duplicate=100)], 13.66, terms) is None
    stopped = early_stops.find_reason_to_stop([poll(duplicate=101)], 13.8, terms)
    assert stopped is not None
    assert stopped.rule == "ratio-impossible"
    assert stopped.detail == "101 of 101 receipts are DUPLICATE and at most 19899 can follow"


@pytest.mark.parametrize(
    ("times", "seconds"), [(1, 26), (3, 76), (4, 102), (6, 151), (10, 247), (20, 472)], ids=lambda value: str(value)
)
def test_the_historic_burst_is_ended_in_the_seconds_the_reference_gives_for_its_ceiling(
    times: int, seconds: int
) -> None:
    terms = replace(TERMS, window_seconds=5400.0, offered_per_second=times * BASELINE_PER_SECOND)

    fired_at = next(
        second
        for second in range(1, 1366)
        if early_stops.find_reason_to_stop([poll(duplicate=int(7.32 * second))], 1.0, terms) is not None
    )

    # The reference lets the ceiling shrink with the time left; a ceiling on the whole window is a little later.
    assert seconds - 1 <= fired_at <= 1.1 * seconds


def test_the_multiplier_alone_condemns_the_historic_burst_after_158_seconds() -> None:
    terms = replace(TERMS, admit_ratio=1e-9, source_events=20000, required_admits_per_second=3 * BASELINE_PER_SECOND)

    fired = {
        second: early_stops.find_reason_to_stop([poll(duplicate=int(7.32 * second))], 1.0, terms)
        for second in (157, 160)
    }

    assert fired[157] is None
    assert fired[160] is not None
    assert fired[160].rule == "multiplier-impossible"


# No receipts


def test_no_receipts_for_as_long_as_was_allowed_is_hopeless() -> None:
    polls = [poll() for _ in range(6)]

    assert early_stops.find_reason_to_stop(polls[:5], 59.9, TERMS) is None
    stopped = early_stops.find_reason_to_stop(polls, 60.0, TERMS)
    assert stopped is not None
    assert stopped.rule == "no-receipts"


def test_a_database_that_does_not_answer_is_no_lack_of_receipts() -> None:
    assert early_stops.find_reason_to_stop([], 900.0, TERMS) is None
    assert early_stops.find_reason_to_stop([poll(seconds=1.0)], 900.0, TERMS) is None


def test_a_quarantined_receipt_is_a_receipt() -> None:
    assert early_stops.find_reason_to_stop([poll(quarantine=1, seconds=60.0)], 60.0, TERMS) is None


# The betting test


@given(
    slices=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), min_size=1, max_size=8),
    ratio=st.sampled_from([0.5, 0.9, 0.995, 1.0]),
)
def test_the_capital_is_the_mean_over_bets_of_the_product_over_polls(
    slices: list[tuple[int, int]], ratio: float
) -> None:
    polls = [poll(admit, duplicate) for admit, duplicate in slices]
    terms = replace(TERMS, admit_ratio=ratio, offered_per_second=10.0)
    highest = 0.9 / (1 - ratio) if ratio < 1 else 1000.0
    bets = [0.5 * (highest / 0.5) ** (index / 23) for index in range(24)]
    bound = 1.5 * 10.0 * 10.0 + 1
    products = [
        math.prod(1 + bet * (ratio * each.counts.decided - each.counts.admit) / bound for each in polls) for bet in bets
    ]

    capital = early_stops.capital(polls, terms)

    assert capital == pytest.approx(math.fsum(products) / 24, rel=1e-9)


def test_the_capital_of_the_historic_rate_is_the_reference_one() -> None:
    terms = replace(TERMS, offered_per_second=299 / 15)

    capitals = [early_stops.capital([poll(duplicate=73)] * number, terms) for number in (1, 2, 3)]

    assert capitals == [pytest.approx(known, rel=0.06) for known in (9, 215, 7053)]


def test_the_capital_cannot_be_told_without_a_rate_without_polls_or_with_a_poll_above_the_bound() -> None:
    terms = replace(TERMS, offered_per_second=10.0)

    assert early_stops.capital([poll(10)], TERMS) is None
    assert early_stops.capital([], terms) is None
    assert early_stops.capital([poll(152)], terms) is None
    assert early_stops.capital([poll(151)], terms) is not None


def test_a_capital_beyond_every_float_is_still_a_number() -> None:
    terms = replace(TERMS, admit_ratio=1.0, offered_per_second=10.0)

    capital = early_stops.capital([poll(duplicate=150)] * 500, terms)

    assert capital is not None
    assert capital >= 1e300


def test_polls_of_two_seconds_are_bet_on_as_the_ten_seconds_that_they_make() -> None:
    short = [poll(40, 2, seconds=2.0, quarantine=1)] * 12

    assert early_stops.gather_bets(short) == (poll(200, 10, quarantine=5),) * 2
    assert early_stops.gather_bets([poll(1, seconds=60.0), *short[:4]]) == (poll(1, seconds=60.0),)


def test_two_polls_in_a_row_must_agree_before_the_test_ends_a_burst() -> None:
    terms = replace(TERMS, offered_per_second=299 / 15, window_seconds=1e9)

    rules = [
        early_stops.find_reason_to_stop([poll(duplicate=73)] * number, 10.0 * number, terms) for number in (2, 3, 4)
    ]

    assert rules[:2] == [None, None]
    assert rules[2] is not None
    assert rules[2].rule == "ratio-betting-test"


@pytest.mark.parametrize(("per_poll", "elapsed"), [(49, 40.0), (60, 29.0)], ids=["few receipts", "few seconds"])
def test_the_test_waits_for_enough_receipts_and_seconds(per_poll: int, elapsed: float) -> None:
    terms = replace(TERMS, offered_per_second=6.0, window_seconds=1e9)

    assert early_stops.find_reason_to_stop([poll(duplicate=per_poll)] * 4, elapsed, terms) is None
    assert early_stops.find_reason_to_stop([poll(duplicate=60)] * 4, 40.0, terms) is not None


def test_a_burst_exactly_at_the_gate_whose_duplicates_come_in_batches_is_not_ended() -> None:
    """Beta-binomial polls of 210 receipts, mean exactly the gate, intra-poll correlation 0.1."""
    terms = replace(TERMS, offered_per_second=21.0, window_seconds=1e9)
    chance = random.default_rng(20260221)
    stopped = 0
    for _ in range(100):
        shares = chance.beta(0.995 * 9, 0.005 * 9, size=30)
        admitted = [int(chance.binomial(210, share)) for share in shares]
        polls = [poll(admit, 210 - admit) for admit in admitted]
        stopped += any(early_stops.find_reason_to_stop(polls[:end], 10.0 * end, terms) for end in range(5, 31, 5))

    assert stopped <= 1


def test_a_burst_well_below_the_gate_is_ended_within_minutes() -> None:
    terms = replace(TERMS, offered_per_second=21.0, window_seconds=1e9)
    chance = random.default_rng(20260221)
    admitted = [int(chance.binomial(210, 0.98)) for _ in range(30)]
    polls = [poll(admit, 210 - admit) for admit in admitted]

    fired = [end for end in range(1, 31) if early_stops.find_reason_to_stop(polls[:end], 10.0 * end, terms)]

    assert 3 <= fired[0] <= 20
    assert fired == list(range(fired[0], 31))


# Edges


def test_a_gate_of_one_is_lost_with_the_first_duplicate() -> None:
    terms = replace(TERMS, admit_ratio=1.0, source_events=10)

    assert early_stops.find_reason_to_stop([poll(9)], 1.0, terms) is None
    assert early_stops.find_reason_to_stop([poll(8, 1)], 1.0, terms) is not None


def test_nothing_is_concluded_from_no_polls() -> None:
    terms = replace(TERMS, offered_per_second=10.0, source_events=100)

    assert early_stops.find_reason_to_stop([], 0.0, terms) is None
    assert early_stops.find_reason_to_stop([], 1e6, terms) is None


def test_a_perfect_burst_is_never_ended() -> None:
    terms = replace(
        TERMS, offered_per_second=22.0, source_events=20000, required_admits_per_second=3 * BASELINE_PER_SECOND
    )
    polls = [poll(220)] * 90

    assert [end for end in range(91) if early_stops.find_reason_to_stop(polls[:end], 10.0 * end, terms)] == []


def test_a_source_too_small_for_the_multiplier_is_hopeless_before_the_first_poll() -> None:
    terms = replace(TERMS, source_events=10, required_admits_per_second=1.0)

    stopped = early_stops.find_reason_to_stop([], 0.0, terms)

    assert stopped is not None
    assert stopped.rule == "multiplier-impossible"
