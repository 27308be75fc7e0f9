"""Stability: whether a few runs measure the same figure alike: spread, range and trend, each with its limit.

A sample of five says little. So the figures hold the upper bound of the true coefficient of variation too, and a block
that keeps every limit is called screened, and proved only where that bound keeps the limit as well. A drift hides in a
small spread: five runs that grow by 8 % each have a coefficient of 0.12. So the range has a limit, and no order may be
visible in the figures.
"""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from burst.domain.basics import statistics_extra

CONFIDENCE = 0.95
BLOCK = 5
"""How many runs a block has, where the plan of the runs declares no other number."""
MOST_RUNS = 20
_DIGITS = 6
"""Significant digits of what a numerical library computed: another version of it gives the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityLimits:
    """The limits that a block of runs has to keep."""

    cv_at_most: float = 0.15
    max_over_min_at_most: float = 1.25
    trend_p_above: float = 0.05


LIMITS = StabilityLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """The figures of one block, in the order of its runs."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean."""
        return math.fsum(self.values) / len(self.values)

    @property
    def standard_deviation(self) -> float:
        """The sample standard deviation, divided by one less than the number of runs."""
        mean = self.mean
        return math.sqrt(math.fsum((value - mean) ** 2 for value in self.values) / (len(self.values) - 1))

    @property
    def cv(self) -> float:
        """The sample coefficient of variation."""
        return self.standard_deviation / self.mean

    @property
    def max_over_min(self) -> float:
        """The greatest figure, as a multiple of the least."""
        return max(self.values) / min(self.values)

    @property
    def is_flat(self) -> bool:
        """Whether every figure is the same."""
        return len(set(self.values)) == 1

    def keeps_cv(self, limit: float) -> bool:
        """Whether the coefficient of variation is at most a limit, exactly, the figures as they were written."""
        values = [_read_written(value) for value in self.values]
        total, runs = sum(values), len(values)
        squares = runs * sum(value * value for value in values) - total * total
        return squares * runs <= (runs - 1) * (_read_written(limit) * total) ** 2

    def keeps_range(self, limit: float) -> bool:
        """Whether the greatest figure is at most so many times the least: the figures as they were written."""
        return _read_written(max(self.values)) <= _read_written(limit) * _read_written(min(self.values))

    @property
    def order(self) -> int:
        """Kendall's S: pairs of runs in which the later figure is greater, less those in which it is smaller."""
        pairs = itertools.combinations(self.values, 2)
        return sum((later > earlier) - (later < earlier) for earlier, later in pairs)

    @property
    def trend_p(self) -> float:
        """How often an order as plain as this one, in either direction, would come by chance; exact, ties included."""
        counts = _count_inversions(tuple(sorted(Counter(self.values).values())))
        pairs = len(counts) - 1
        plain = sum(
            number for inversions, number in enumerate(counts) if abs(pairs - 2 * inversions) >= abs(self.order)
        )
        return float(Fraction(plain, sum(counts)))

    @property
    def cv_upper(self) -> float | None:
        """The upper bound of the true coefficient of variation; None where no bound can be had."""
        return find_cv_upper(self.cv, len(self.values))

    def list_broken(self, limits: StabilityLimits = LIMITS) -> Iterator[tuple[str, str]]:
        """Each limit that the block breaks: `cv`, `range`, `trend` or `spread`, and how, in words."""
        if self.is_flat:
            runs = len(self.values)
            yield "spread", f"all {runs} figures are the same: they were hardly measured {runs} times"
        if not self.keeps_cv(limits.cv_at_most):
            yield "cv", f"the coefficient of variation is {self.cv:.6g}, at most {limits.cv_at_most:g} is allowed"
        if not self.keeps_range(limits.max_over_min_at_most):
            allowed = f"at most {limits.max_over_min_at_most:g} is allowed"
            yield "range", f"the greatest figure is {self.max_over_min:.6g} times the least, {allowed}"
        if not self.is_flat and not self.trend_p > limits.trend_p_above:
            grows = "grow" if self.order > 0 else "fall"
            chance = f"an order so plain comes by chance with probability {self.trend_p:.4g}"
            yield (
                "trend",
                f"the figures {grows} from run to run: {chance}, more than {limits.trend_p_above:g} is allowed",
            )


def _read_written(value: float) -> Fraction:
    """The decimal number that a figure was written as, so that a limit is met exactly."""
    return Fraction(repr(value))


@functools.lru_cache(maxsize=256)
def _count_inversions(ties: tuple[int, ...]) -> tuple[int, ...]:
    """How many orders of values, of which so many are equal each, have 0, 1, 2, ... inversions."""
    counts: tuple[int, ...] = (1,)
    values = 0
    for equal in ties:
        values += equal
        counts = _multiply(counts, _gauss(values, equal))
    return counts


@functools.lru_cache(maxsize=1024)
def _gauss(values: int, chosen: int) -> tuple[int, ...]:
    """The coefficients of the Gaussian binomial: the ways to place `chosen` equal values, by their inversions."""
    if chosen in (0, values):
        return (1,)
    without, within = _gauss(values - 1, chosen), _gauss(values - 1, chosen - 1)
    shifted = (*(0,) * chosen, *without)
    return tuple(map(sum, itertools.zip_longest(shifted, within, fillvalue=0)))


def _multiply(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    product = [0] * (len(first) + len(second) - 1)
    for (at, first_part), (beside, second_part) in itertools.product(enumerate(first), enumerate(second)):
        product[at + beside] += first_part * second_part
    return tuple(product)


def round_figure(value: float) -> float:
    """A figure of a numerical library, to the digits that every version of it agrees on."""
    return float(f"{value:.{_DIGITS}g}")


@functools.lru_cache(maxsize=256)
def find_cv_upper(cv: float, runs: int, confidence: float = CONFIDENCE) -> float | None:
    """The exact upper bound of the true coefficient of variation of normal figures, None where there is none: the
    sample's, inverted and scaled by the root of the number of runs, is a noncentral t."""
    statistics_extra.require()
    from scipy import optimize, stats  # late: half a second

    if not cv > 0:
        return None
    root = math.sqrt(runs)
    statistic = root / cv

    def find_excess(noncentrality: float) -> float:
        return float(stats.nct.sf(statistic, runs - 1, noncentrality)) - (1 - confidence)

    if find_excess(1e-9) >= 0:
        return None
    return round_figure(root / float(optimize.brentq(find_excess, 1e-9, statistic, xtol=1e-12)))


@functools.lru_cache(maxsize=256)
def find_certifying_cv(limit: float, runs: int, confidence: float = CONFIDENCE) -> float:
    """The greatest sample coefficient of variation whose upper bound still keeps the limit."""
    statistics_extra.require()
    from scipy import stats  # late: half a second

    root = math.sqrt(runs)
    return round_figure(root / float(stats.nct.isf(1 - confidence, runs - 1, root / limit)))
