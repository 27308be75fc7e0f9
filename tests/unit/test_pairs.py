"""Pairs of a cold and a warm run: -0.17 % fails, and a warm run without hits is no measurement."""

import math
from fractions import Fraction
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import errors
from burst.domain.closure import closures, exact_numbers
from tests import closing

PAIR: dict[str, Any] = {
    "measure": {"path": "/ms"},
    "hits": {"hits": {"path": "/cache/hits"}, "lookups": {"path": "/cache/lookups"}},
    "p95": {"path": "/p95_ms", "cold_below": 950, "warm_below": 500, "warm_alert": 600},
    "members": {"path": "/hosts"},
    "declared": ["h1", "h2"],
    "rows": {"path": "/rows"},
}
COLD: dict[str, Any] = {
    "ms": 850.19,
    "p95_ms": 940.0,
    "hosts": {"h1": 1, "h2": 2},
    "rows": 10_000,
    "cache": {"hits": 0, "lookups": 299},
}
WARM: dict[str, Any] = {**COLD, "ms": 300.0, "p95_ms": 480.0, "cache": {"hits": 299, "lookups": 299}}


def _score(warm: dict[str, Any], cold: dict[str, Any] | None = None, **pair: Any) -> closures.Closure:
    file = closing.parse_score(measures=None, vetoes=None, pair={**PAIR, **pair})
    return closing.score(file, cold or COLD, warm)


def test_a_whole_pair_unlocks() -> None:
    closure = _score(WARM)

    assert closure.unlocked, closure.failures
    assert closing.find_check(closure, "hit_ratio_lower_bound").candidate == 0.990030853


def test_850_19_to_851_64_is_minus_0_17_percent_and_fails() -> None:
    closure = _score({**WARM, "ms": 851.64})

    check = closing.find_check(closure, "improvement")
    assert check.status == "FAIL"
    assert "-0.17 %" in check.why
    assert [failure.split()[0] for failure in closure.failures] == ["improvement"]


@pytest.mark.parametrize(("ms", "status"), [(340.076, "PASS"), (340.077, "FAIL"), (0, "INVALID"), (None, "INVALID")])
def test_60_percent_is_enough(ms: float | None, status: str) -> None:
    assert closing.find_check(_score({**WARM, "ms": ms}), "improvement").status == status


@pytest.mark.parametrize(
    "cache",
    [
        *({"hits": 0, "lookups": 299}, {"lookups": 299}, {"hits": 299}, {}, {"hits": 0, "lookups": 0}),
        *({"hits": 1e20, "lookups": 1e20}, {"hits": 299, "lookups": 1e300}),
        *({"hits": 300, "lookups": 299}, {"hits": -1, "lookups": 299}, {"hits": 298.5, "lookups": 299}),
    ],
)
def test_zero_or_absent_hits_are_a_failed_measurement(cache: dict[str, Any]) -> None:
    closure = _score({**WARM, "cache": cache})

    assert closing.find_check(closure, "hit_ratio").status == "INVALID"
    assert not closure.unlocked


@pytest.mark.parametrize(
    ("hits", "lookups", "ratio", "bound"),
    [(299, 299, "PASS", "PASS"), (298, 298, "PASS", "FAIL"), (9905, 10_000, "PASS", "FAIL"), (98, 100, "FAIL", "FAIL")],
)
def test_the_exact_lower_bound_decides(hits: int, lookups: int, ratio: str, bound: str) -> None:
    closure = _score({**WARM, "cache": {"hits": hits, "lookups": lookups}})

    assert closing.find_check(closure, "hit_ratio").status == ratio
    assert closing.find_check(closure, "hit_ratio_lower_bound").status == bound


def test_the_bound_may_stand_beside() -> None:
    closure = _score({**WARM, "cache": {"hits": 298, "lookups": 298}}, hits={**PAIR["hits"], "bound": "beside"})

    assert closure.unlocked
    assert "lower bound 0.98999" in closing.find_check(closure, "hit_ratio").why


@pytest.mark.parametrize(
    ("p95", "status", "alert"),
    [(499.9, "PASS", False), (500, "FAIL", False), (600, "FAIL", False), (600.1, "FAIL", True)],
)
def test_p95_has_an_alert_level(p95: float, status: str, alert: bool) -> None:
    check = closing.find_check(_score({**WARM, "p95_ms": p95}), "p95_warm")

    assert (check.status, check.alert) == (status, alert)


def test_p95_of_the_cold_run_has_its_own_bound() -> None:
    assert closing.find_check(_score(WARM, {**COLD, "p95_ms": 950}), "p95_cold").status == "FAIL"


@pytest.mark.parametrize(
    ("cold", "warm", "status"),
    [
        ({"h1": 1, "h2": 1}, {"h1": 1}, "FAIL"),
        ({"h1": 1}, {"h1": 1, "h2": 1}, "FAIL"),
        ({"h1": 1, "h2": 1, "h3": 1}, {"h1": 1, "h2": 1}, "FAIL"),
        (["h1", "h2"], ["h2", "h1"], "PASS"),
        (["h1", "h2"], ["h2", "h2", "h1"], "INVALID"),
    ],
)
def test_every_member_is_covered(cold: Any, warm: Any, status: str) -> None:
    closure = _score({**WARM, "hosts": warm}, {**COLD, "hosts": cold})

    assert closing.find_check(closure, "members_covered").status == status


@pytest.mark.parametrize(
    ("rows", "status"), [(10_100, "PASS"), (9_900, "PASS"), (10_101, "FAIL"), (9_899, "FAIL"), (0, "INVALID")]
)
def test_rows_are_within_one_percent(rows: int, status: str) -> None:
    assert closing.find_check(_score({**WARM, "rows": rows}), "rows_within").status == status


def _sum_tail(hits: int, lookups: int, ratio: Fraction) -> Fraction:
    """The exact probability of so many hits or more."""
    return sum(
        (math.comb(lookups, k) * ratio**k * (1 - ratio) ** (lookups - k) for k in range(hits, lookups + 1)), Fraction()
    )


@hypothesis.given(data=st.data(), lookups=st.integers(1, 60))
@hypothesis.settings(deadline=None)
def test_the_bound_is_clopper_and_pearsons(data: st.DataObject, lookups: int) -> None:
    hits = data.draw(st.integers(1, lookups))
    bound = exact_numbers.find_lower_bound(hits, lookups, 0.95)

    below, above = Fraction(repr(bound)), Fraction(repr(bound)) + Fraction(2, 10**9)
    assert _sum_tail(hits, lookups, below) <= Fraction(1, 20)
    assert _sum_tail(hits, lookups, above) >= Fraction(1, 20)


def test_a_bound_of_little_confidence_is_refused() -> None:
    """5 % is what is left of 95 %: a bound of so little confidence lies above most ratios."""
    with pytest.raises(errors.UsageError, match=r"hits\.confidence: saw '5%'; allowed: greater than or equal to 0\.5"):
        _score(WARM, hits={**PAIR["hits"], "confidence": "5%"})
