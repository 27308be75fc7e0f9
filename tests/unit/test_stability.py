"""Stability: golden figures of small samples, and trends that a small spread hides."""

import itertools
from fractions import Fraction

import hypothesis
import pytest
from hypothesis import strategies as st
from scipy import stats

from burst.domain.verdict import stability

FIGURES = st.floats(1.0, 1e6)


@pytest.mark.parametrize(("runs", "upper", "certifying"), [(5, 0.366, 0.063), (10, 0.25, 0.091), (20, 0.207, 0.109)])
def test_the_golden_bounds_of_a_spread_of_15_percent(runs: int, upper: float, certifying: float) -> None:
    assert stability.find_cv_upper(0.15, runs) == pytest.approx(upper, abs=5e-4)
    assert stability.find_certifying_cv(0.15, runs) == pytest.approx(certifying, abs=5e-4)


def test_five_runs_that_grow_by_8_percent_keep_the_spread_and_neither_range_nor_order() -> None:
    drift = stability.Stability(values=tuple(100 * 1.08**number for number in range(5)))

    assert drift.cv == pytest.approx(0.1215, abs=5e-5)
    assert drift.cv < stability.LIMITS.cv_at_most
    assert drift.trend_p == float(Fraction(2, 120))
    assert [rule for rule, _ in drift.list_broken()] == ["range", "trend"]


@pytest.mark.parametrize(
    ("values", "p"),
    [
        pytest.param((1.0, 2.0, 3.0, 4.0), 2 / 24, id="four can say nothing below 0.083"),
        pytest.param((5.0, 4.0, 3.0, 2.0, 1.0), 2 / 120, id="a fall is an order too"),
        pytest.param((1.0, 2.0, 3.0, 5.0, 4.0), 10 / 120, id="one exchange"),
        pytest.param((2.0, 2.0, 2.0, 2.0, 2.0), 1.0, id="no order at all"),
    ],
)
def test_the_exact_probability_of_an_order(values: tuple[float, ...], p: float) -> None:
    assert stability.Stability(values=values).trend_p == p


@hypothesis.given(st.lists(st.integers(1, 4), min_size=2, max_size=6))
def test_the_probability_is_the_share_of_all_orders_that_are_as_plain(levels: list[int]) -> None:
    block = stability.Stability(values=tuple(map(float, levels)))
    orders = [stability.Stability(values=order).order for order in itertools.permutations(block.values)]

    assert block.trend_p == float(Fraction(sum(abs(order) >= abs(block.order) for order in orders), len(orders)))


@hypothesis.given(st.lists(FIGURES, min_size=5, max_size=8, unique=True))
def test_without_ties_the_order_is_that_of_scipy(values: list[float]) -> None:
    block = stability.Stability(values=tuple(values))

    assert block.trend_p == pytest.approx(stats.kendalltau(range(len(values)), values, method="exact").pvalue)
    assert block.cv == pytest.approx(float(stats.variation(values, ddof=1)), rel=1e-9, abs=1e-12)


@hypothesis.settings(max_examples=25)
@hypothesis.given(st.floats(0.01, 0.6), st.integers(5, 20))
def test_the_bound_lies_above_the_sample_and_meets_the_certifying_spread(cv: float, runs: int) -> None:
    upper = stability.find_cv_upper(cv, runs)

    assert upper is None or upper > cv
    if upper is not None:
        assert stability.find_certifying_cv(upper, runs) == pytest.approx(cv, rel=1e-4)


def test_figures_without_any_spread_were_hardly_measured() -> None:
    same = stability.Stability(values=(7.0,) * 5)

    assert [rule for rule, _ in same.list_broken()] == ["spread"]
    assert same.cv_upper is None


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        pytest.param((199.64, 249.55, 210.0, 230.0, 220.0), [], id="1.25 times the least, whatever a double says"),
        pytest.param((199.64, 249.56, 210.0, 230.0, 220.0), ["range"], id="just above"),
        pytest.param((1.0, 1.25, 1.1, 1.0, 1.2), [], id="1.25 in doubles too"),
    ],
)
def test_the_limit_of_the_range_is_met_exactly(values: tuple[float, ...], rules: list[str]) -> None:
    assert [rule for rule, _ in stability.Stability(values=values).list_broken()] == rules


@pytest.mark.parametrize("step", [1.0, 0.1, 0.7, 1e-9, 1e90])
def test_the_limit_of_the_spread_is_met_exactly(step: float) -> None:
    """Figures 17, 20 and 23 of a kind have a coefficient of 3 / 20, which doubles miss for some units."""
    written = [float(Fraction(repr(step)) * factor) for factor in (17, 20, 23)]
    block = stability.Stability(values=tuple(written))
    above = stability.Stability(values=(written[0] * 0.999, *written[1:]))

    assert block.keeps_cv(0.15)
    assert not above.keeps_cv(0.15)


@hypothesis.given(st.floats(1e-90, 1e90), st.integers(5, 20))
def test_figures_that_are_all_the_same_are_never_spread(value: float, runs: int) -> None:
    same = stability.Stability(values=(value,) * runs)

    assert [rule for rule, _ in same.list_broken()] == ["spread"]
