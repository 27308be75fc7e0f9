"""Intervals of the multiplier: how far the figure would vary if burst and reference run were repeated.

The gate of the multiplier is a census and needs no interval; one stands beside it, and decides only where the plan sets
`gates.multiplier_lower`. Receipts come in clusters, so counts vary more than independent events would: a pure Poisson
interval covers half of what it says. Two ways see that. Means of five-minute batches are compared as Welch compares
means; and the dispersion of whole minutes widens the Poisson variance. The wider of the two stands. Either includes the
baseline's own variance, of several runs also that from run to run.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from burst.domain.verdict import stability

LEVEL = 0.95
MINUTE_SECONDS = 60.0
BATCH_SECONDS = 300.0
LEAST_MINUTES = 5
LEAST_BATCHES = 2
Method = Literal["batch-means", "quasi-poisson"]
Cell = tuple[float, int]
"""Seconds and admits of one bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSeries:
    """The buckets of one run, in order, and the length of a whole one."""

    cells: tuple[Cell, ...]
    whole_seconds: float

    def join(self, seconds: float) -> tuple[Cell, ...]:
        """Stretches of at least so many seconds, each of whole buckets that follow one another; none of a part."""
        each = max(1, round(seconds / self.whole_seconds))
        whole = [cell for cell in self.cells if math.isclose(cell[0], self.whole_seconds, abs_tol=1e-6)]
        stretches = [whole[start : start + each] for start in range(0, len(whole) - each + 1, each)]
        return tuple((math.fsum(part for part, _ in cells), sum(admit for _, admit in cells)) for cells in stretches)


def make_series(cells: Iterable[Cell]) -> RunSeries | None:
    """The series of a run's buckets; None where there is none that could be a part of a minute, or a whole one."""
    listed = tuple(cells)
    longest = max((seconds for seconds, _ in listed), default=0.0)
    fits = longest > 0 and math.isclose(BATCH_SECONDS / longest, round(BATCH_SECONDS / longest), abs_tol=1e-9)
    return RunSeries(cells=listed, whole_seconds=longest) if fits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """The variance of a rate's logarithm, and the degrees of freedom that it is estimated with."""

    value: float
    freedom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """One interval by one method. `parts` and `baseline_parts`: minutes, or batches."""

    method: Method
    low: float
    high: float
    parts: int
    baseline_parts: int
    dispersion: float | None = None
    baseline_dispersion: float | None = None

    @property
    def width(self) -> float:
        """How far the bounds are apart, as a ratio."""
        return self.high / self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The interval of a multiplier by each method that the buckets allow."""

    multiplier: float
    methods: tuple[Bounds, ...]

    @property
    def wider(self) -> Bounds:
        """The interval that stands."""
        return max(self.methods, key=lambda bounds: bounds.width)

    @property
    def complete(self) -> bool:
        """Whether both methods see enough."""
        return len(self.methods) == 2


def find_interval(multiplier: float, burst: RunSeries | None, baseline: Sequence[RunSeries | None]) -> Interval | None:
    """The interval of a multiplier; None where burst or baseline has too few whole minutes to tell how they vary."""
    runs = [series for series in baseline if series is not None]
    if burst is None or not runs or len(runs) < len(baseline) or not multiplier > 0:
        return None
    methods = tuple(filter(None, (_bound_batches(multiplier, burst, runs), _bound_minutes(multiplier, burst, runs))))
    return Interval(multiplier=multiplier, methods=methods) if methods else None


def _bound_batches(multiplier: float, burst: RunSeries, runs: Sequence[RunSeries]) -> Bounds | None:
    own = _rates(burst.join(BATCH_SECONDS))
    theirs = [rate for series in runs for rate in _rates(series.join(BATCH_SECONDS))]
    if min(len(own), len(theirs)) < LEAST_BATCHES or not all((sum(own), sum(theirs))):
        return None
    variances = _vary_mean(own), _widest(_vary_mean(theirs), _vary_between(runs))
    low, high = _spread(multiplier, *variances)
    return Bounds(method="batch-means", low=low, high=high, parts=len(own), baseline_parts=len(theirs))


def _bound_minutes(multiplier: float, burst: RunSeries, runs: Sequence[RunSeries]) -> Bounds | None:
    own, theirs = _dispersion([burst]), _dispersion(runs)
    if own is None or theirs is None:
        return None
    between = _vary_between(runs)
    low, high = _spread(multiplier, own.variance, _widest(theirs.variance, between))
    return Bounds(
        method="quasi-poisson",
        low=low,
        high=high,
        parts=own.minutes,
        baseline_parts=theirs.minutes,
        dispersion=stability.round_figure(own.value),
        baseline_dispersion=stability.round_figure(theirs.value),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dispersion:
    """How many times as much the counts of minutes vary as independent events do, at least once."""

    value: float
    minutes: int
    freedom: int
    admits: int

    @property
    def variance(self) -> Variance:
        return Variance(value=self.value / self.admits, freedom=self.freedom)


def _dispersion(runs: Sequence[RunSeries]) -> _Dispersion | None:
    """The dispersion of whole minutes, each around the mean of its own run."""
    counts = [[admit for _, admit in series.join(MINUTE_SECONDS)] for series in runs]
    minutes, freedom = sum(map(len, counts)), sum(len(each) - 1 for each in counts)
    admits = sum(admit for series in runs for _, admit in series.cells)
    if min(len(each) for each in counts) < 1 or minutes < LEAST_MINUTES or freedom < 1 or not admits:
        return None
    squares = math.fsum((count - sum(each) / len(each)) ** 2 for each in counts for count in each)
    mean = sum(map(sum, counts)) / minutes
    value = max(1.0, squares / freedom / mean) if mean else 1.0
    return _Dispersion(value=value, minutes=minutes, freedom=freedom, admits=admits)


def _rates(cells: Sequence[Cell]) -> list[float]:
    return [admits / seconds for seconds, admits in cells]


def _vary_mean(rates: Sequence[float]) -> Variance:
    """The variance of the logarithm of a mean of such rates."""
    count, mean = len(rates), math.fsum(rates) / len(rates)
    variance = math.fsum((rate - mean) ** 2 for rate in rates) / (count - 1)
    return Variance(value=variance / count / mean**2, freedom=count - 1)


def _vary_between(runs: Sequence[RunSeries]) -> Variance | None:
    """The variance from run to run; None of a single one."""
    if len(runs) < 2:
        return None
    sums = [(math.fsum(seconds for seconds, _ in run.cells), sum(admit for _, admit in run.cells)) for run in runs]
    return _vary_mean(_rates(sums))


def _widest(first: Variance, second: Variance | None) -> Variance:
    if second is None:
        return first
    return max(first, second, key=lambda each: each.value)


def _spread(multiplier: float, own: Variance, baseline: Variance) -> tuple[float, float]:
    """The bounds around a ratio of two rates, by the t distribution as Welch counts its degrees of freedom."""
    total = own.value + baseline.value
    if not total:
        return multiplier, multiplier
    freedom = total**2 / (own.value**2 / own.freedom + baseline.value**2 / baseline.freedom)
    half = find_t(freedom, (1 + LEVEL) / 2) * math.sqrt(total)
    return stability.round_figure(multiplier * math.exp(-half)), stability.round_figure(multiplier * math.exp(half))


def find_t(freedom: float, probability: float) -> float:
    """The quantile of Student's t distribution, of a probability over a half.

    By halving: every verdict with a multiplier needs it, and the library that has it would double a task's image.
    """
    low, high = 0.0, 2.0
    while _reach(freedom, high) < probability:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _reach(freedom, middle) < probability else (low, middle)
    return (low + high) / 2


_HALVINGS = 60
_MOST_FRACTIONS = 10_000


def _reach(freedom: float, value: float) -> float:
    """The probability that Student's t is at most a positive value."""
    return 1 - _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + value * value)) / 2


def _incomplete_beta(first: float, second: float, at: float) -> float:
    """The regularized incomplete beta function, by the continued fraction of whichever side converges."""
    if not 0 < at < 1:
        return 0.0 if at <= 0 else 1.0
    if at > (first + 1) / (first + second + 2):
        return 1 - _incomplete_beta(second, first, 1 - at)
    front = math.lgamma(first + second) - math.lgamma(first) - math.lgamma(second)
    front += first * math.log(at) + second * math.log1p(-at)
    return math.exp(front) / first / _continue_fraction(first, second, at)


def _continue_fraction(first: float, second: float, at: float) -> float:
    """The continued fraction of the incomplete beta function, by the method of Lentz."""
    value = numerator = 1.0
    denominator = 0.0
    for step in range(1, _MOST_FRACTIONS):
        half = step // 2
        if step % 2:
            part = -(first + half) * (first + second + half) * at / ((first + 2 * half) * (first + 2 * half + 1))
        else:
            part = half * (second - half) * at / ((first + 2 * half - 1) * (first + 2 * half))
        denominator = 1 / (1 + part * denominator)
        numerator = 1 + part / numerator
        value *= denominator * numerator
        if abs(denominator * numerator - 1) < 1e-15:
            break
    return value
