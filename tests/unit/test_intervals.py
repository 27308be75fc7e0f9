"""Intervals of the multiplier: they hold what they say, the wider stands, and none is made up from too few buckets."""

import json
import math
import random
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from burst.domain.basics import errors, instants
from burst.domain.verdict import baselines, intervals, snapshots
from burst.report import terminal
from tests import cases
from tests.bench import intervals_bench

MINUTES, BASELINE_MINUTES = 17, 30


def series(counts: list[int], seconds: float = 60.0) -> intervals.RunSeries:
    made = intervals.make_series((seconds, count) for count in counts)
    assert made is not None
    return made


def counts(mean: int, minutes: int, spread: int, seed: int) -> list[int]:
    chance = random.Random(seed)
    return [mean + chance.randint(-spread, spread) for _ in range(minutes)]


OWN, THEIRS = counts(1300, MINUTES, 90, 1), counts(418, BASELINE_MINUTES, 40, 2)
MULTIPLIER = (sum(OWN) / MINUTES) / (sum(THEIRS) / BASELINE_MINUTES)


def test_batch_means_are_compared_as_welch_compares_the_logarithm_of_two_means() -> None:
    interval = intervals.find_interval(MULTIPLIER, series(OWN), [series(THEIRS)])
    assert interval is not None
    batches = next(bounds for bounds in interval.methods if bounds.method == "batch-means")
    own, theirs = (
        [sum(each[start : start + 5]) / 300 for start in range(0, len(each) - 4, 5)] for each in (OWN, THEIRS)
    )
    own_variance, their_variance = (np.var(each, ddof=1) / len(each) / np.mean(each) ** 2 for each in (own, theirs))
    total = own_variance + their_variance
    freedom = total**2 / (own_variance**2 / (len(own) - 1) + their_variance**2 / (len(theirs) - 1))
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(total)

    assert (batches.parts, batches.baseline_parts) == (3, 6)
    assert (batches.low, batches.high) == pytest.approx(
        (MULTIPLIER * math.exp(-half), MULTIPLIER * math.exp(half)), rel=5e-6
    )


def test_quasi_poisson_widens_the_poisson_variance_by_the_dispersion_of_whole_minutes() -> None:
    interval = intervals.find_interval(MULTIPLIER, series(OWN), [series(THEIRS)])
    assert interval is not None
    quasi = next(bounds for bounds in interval.methods if bounds.method == "quasi-poisson")

    assert quasi.dispersion == pytest.approx(np.var(OWN, ddof=1) / np.mean(OWN), rel=5e-6)
    assert quasi.baseline_dispersion == pytest.approx(max(1.0, np.var(THEIRS, ddof=1) / np.mean(THEIRS)), rel=5e-6)
    assert interval.wider.width == max(bounds.width for bounds in interval.methods)


def test_counts_that_vary_less_than_independent_events_are_still_taken_for_such() -> None:
    interval = intervals.find_interval(3.0, series([300] * 20), [series([100] * 20)])

    assert interval is not None
    assert interval.wider.method == "quasi-poisson"
    assert interval.wider.dispersion == 1.0
    assert interval.wider.low < 3.0 < interval.wider.high


@pytest.mark.parametrize("seconds", [10.0, 20.0, 30.0])
def test_shorter_buckets_make_the_same_minutes_and_a_part_of_one_belongs_to_none(seconds: float) -> None:
    each = round(60 / seconds)
    cells = [(seconds, count // each + (part < count % each)) for count in OWN for part in range(each)]
    short = intervals.make_series([*cells, (seconds / 2, 7)])
    assert short is not None

    assert [admits for _, admits in short.join(60.0)] == OWN
    assert short.join(300.0) == series(OWN).join(300.0)


@pytest.mark.parametrize(
    "few",
    [
        pytest.param(intervals.make_series([(960.0, 20_000)]), id="one bucket for all"),
        pytest.param(intervals.make_series([]), id="none"),
        pytest.param(intervals.make_series([(7.0, 100)] * 90), id="buckets that make no five minutes"),
        pytest.param(series([1300] * 4), id="four minutes"),
        pytest.param(series([0] * 20), id="nothing admitted"),
    ],
)
def test_too_few_whole_minutes_give_no_interval(few: intervals.RunSeries | None) -> None:
    assert intervals.find_interval(MULTIPLIER, few, [series(THEIRS)]) is None
    assert intervals.find_interval(MULTIPLIER, series(OWN), [few]) is None
    if few is None:
        assert intervals.find_interval(MULTIPLIER, series(OWN), [series(THEIRS), few]) is None


def test_nine_minutes_have_one_batch_so_that_one_method_stands_alone() -> None:
    interval = intervals.find_interval(MULTIPLIER, series(OWN[:9]), [series(THEIRS)])

    assert interval is not None
    assert not interval.complete
    assert interval.wider.method == "quasi-poisson"


def test_a_baseline_whose_rate_varies_from_run_to_run_makes_the_interval_wider() -> None:
    alike = [series(counts(418, 20, 40, seed)) for seed in range(5)]
    unlike = [series(counts(mean, 20, 40, seed)) for seed, mean in enumerate((340, 380, 418, 460, 500))]

    within, between = (intervals.find_interval(MULTIPLIER, series(OWN), runs) for runs in (alike, unlike))

    assert within is not None
    assert between is not None
    assert between.wider.width > 1.1 * within.wider.width


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    own=st.lists(st.integers(0, 3000), min_size=5, max_size=30),
    theirs=st.lists(st.integers(0, 900), min_size=5, max_size=30),
    cut=st.integers(0, 12),
)
def test_bounds_are_numbers_around_the_figure_and_fewer_minutes_never_make_one_up(
    own: list[int], theirs: list[int], cut: int
) -> None:
    interval = intervals.find_interval(3.0, series(own), [series(theirs)])
    shorter = own[: len(own) - cut]
    less = intervals.find_interval(3.0, series(shorter), [series(theirs)]) if shorter else None

    if interval is not None:
        for bounds in interval.methods:
            assert 0 <= bounds.low <= 3.0 + 1e-5
            assert bounds.high >= 3.0 - 1e-5
    if less is not None and less.complete and any(own):
        assert interval is not None


def test_the_intervals_cover_as_the_table_says() -> None:
    """A small run of the bench: enough to see a pure Poisson interval fail and the wider one hold."""
    measured = intervals_bench.measure_case(np.random.default_rng(7), 17, 30, 10, 0.5, 300)

    assert measured["poisson"] < 0.55
    assert 0.65 < measured["quasi-poisson"] < 0.9
    assert measured["wider"] > 0.88


@hypothesis.given(freedom=st.floats(0.5, 5000), probability=st.floats(0.51, 0.999))
def test_the_quantile_is_that_of_scipy(freedom: float, probability: float) -> None:
    assert intervals.find_t(freedom, probability) == pytest.approx(float(stats.t.ppf(probability, freedom)), rel=1e-8)


def bucketed(minutes: list[int], start_seconds: float = 60.0) -> cases.Value:
    """Counts of so many minutes."""
    buckets = [
        {**cases.window(start_seconds + 60 * at, 60), "counts": cases.counts(admits)}
        for at, admits in enumerate(minutes)
    ]
    window = cases.window(start_seconds, 60.0 * len(minutes))
    return cases.metrics(window=window, counts=cases.counts(sum(minutes)), bucket_seconds=60.0, buckets=buckets)


def reference(*runs: list[int]) -> bytes:
    """A baseline of these minutes, of several runs where more than one is given, a day after the other."""
    shares = [_share(number, minutes) for number, minutes in enumerate(runs)]
    value = {
        **cases.baseline_value(),
        "admits": sum(share["admits"] for share in shares),
        "seconds": sum(share["seconds"] for share in shares),
        "bucket_seconds": 60.0,
        "buckets": [bucket for share in shares for bucket in share["buckets"]],
        "provenance": shares[-1]["provenance"],
        "runs": shares if len(shares) > 1 else None,
    }
    return baselines.seal(value)


def _share(number: int, minutes: list[int]) -> cases.Value:
    start = -86_400.0 * (10 - number)
    edges = [instants.text(cases.moment(start + 60 * at)) for at in range(len(minutes) + 1)]
    buckets = [
        {"start_utc": edges[at], "end_utc": edges[at + 1], "counts": cases.counts(count)}
        for at, count in enumerate(minutes)
    ]
    return {
        "provenance": {
            **cases.baseline_value()["provenance"],
            "execution_id": f"m10_reference_{number}",
            "window": {"start_utc": edges[0], "end_utc": edges[-1]},
        },
        "admits": sum(minutes),
        "seconds": 60.0 * len(minutes),
        "admits_per_minute": sum(minutes) / len(minutes),
        "bucket_seconds": 60.0,
        "buckets": buckets,
    }


def judge(lower: float | None, own: list[int], baseline: bytes, **modes: Any) -> snapshots.Verdict:
    gates = {"multiplier": 3.0, "admit_ratio": 0.995, "multiplier_lower": lower, "modes": modes or None}
    plan = cases.plan(gates={key: value for key, value in gates.items() if value is not None})
    return cases.passing().under(plan).having(metrics=bucketed(own), baseline=baseline).verdict()


QUIET = [1300 + (at * 37) % 23 for at in range(15)]
REFERENCE = [418 + (at * 29) % 13 for at in range(60)]


def test_the_interval_stands_in_snapshot_and_report_and_decides_nothing() -> None:
    verdict = judge(None, QUIET, reference(REFERENCE))
    section = verdict.snapshot.multiplier_interval

    assert section is not None
    assert section.low < section.multiplier < section.high
    assert cases.open_shorts(verdict) == set()
    assert "multiplier_lower" not in [gate.name for gate in verdict.snapshot.gates]
    assert f"interval        multiplier {section.low:.4g} to {section.high:.4g} in 95% of repeats" in terminal.render(
        verdict.snapshot
    )


@pytest.mark.parametrize(("lower", "status", "opened"), [(2.9, "PASS", set()), (3.1, "FAIL", {"B1"})])
def test_the_lower_bound_is_a_gate_where_the_plan_asks(lower: float, status: str, opened: set[str]) -> None:
    verdict = judge(lower, QUIET, reference(REFERENCE))
    section = verdict.snapshot.multiplier_interval

    assert section is not None
    gate = cases.gate(verdict, "multiplier_lower")
    assert (gate["status"], gate["measured"], gate["required"]) == (status, section.low, lower)
    assert cases.open_shorts(verdict) == opened


@pytest.mark.parametrize(
    ("own", "baseline"),
    [
        pytest.param(QUIET[:9] * 1, reference(REFERENCE), id="nine minutes of burst"),
        pytest.param(QUIET, cases.baseline(), id="a baseline of one bucket"),
        pytest.param(QUIET, reference(REFERENCE[:9]), id="nine minutes of baseline"),
    ],
)
def test_without_enough_buckets_the_lower_bound_is_invalid_and_never_a_pass(own: list[int], baseline: bytes) -> None:
    verdict = judge(0.001, own, baseline)

    assert cases.gate(verdict, "multiplier_lower")["status"] == "INVALID"
    assert "B1" in cases.open_shorts(verdict)
    assert verdict.snapshot.multiplier_interval is None or not verdict.snapshot.multiplier_interval.batch_means


def test_a_lower_bound_may_be_informational_first() -> None:
    verdict = judge(3.1, QUIET, reference(REFERENCE), multiplier_lower={"mode": "informational"})

    assert cases.gate(verdict, "multiplier_lower")["mode"] == "informational"
    assert cases.open_shorts(verdict) == set()


def test_a_baseline_of_several_runs_is_their_sum_and_keeps_each() -> None:
    document = baselines.read(reference(REFERENCE[:20], REFERENCE[20:40], REFERENCE[40:]))
    made = baselines.from_document(document)

    assert (made.admits, made.seconds) == (sum(REFERENCE), 3600.0)
    assert [len(run) for run in made.runs] == [20, 20, 20]
    assert made.source == "3 runs up to m10_reference_2"
    assert document.runs is not None
    assert [run.admits_per_minute for run in document.runs] == [sum(REFERENCE[at : at + 20]) / 20 for at in (0, 20, 40)]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda value: value.update(admits=value["admits"] + 1), id="other admits"),
        pytest.param(lambda value: value.update(seconds=value["seconds"] + 1), id="other seconds"),
        pytest.param(lambda value: value["runs"][0].update(admits=value["runs"][0]["admits"] + 1), id="a run's admits"),
        pytest.param(lambda value: value["runs"][0].update(seconds=1.0), id="a run's seconds"),
        pytest.param(lambda value: value["runs"].pop(), id="a run left out"),
        pytest.param(lambda value: value["runs"].reverse(), id="another order"),
    ],
)
def test_a_baseline_that_is_not_the_sum_of_its_runs_is_corrupt(spoil: Any) -> None:
    value = json.loads(reference(REFERENCE[:20], REFERENCE[20:45], REFERENCE[45:]))
    spoil(value)

    with pytest.raises(errors.EvidenceCorrupt):
        baselines.read(baselines.seal(value))
