"""Exact numbers: figures of documents as the decimal numbers that they were written as, so that a boundary is exact."""

import math
from fractions import Fraction

from burst.domain.basics import statistics_extra


def read_exact(value: int | float) -> Fraction:
    """The decimal number that a JSON number was written as: 456.687 is 456687/1000, and not the double beside it."""
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def find_improvement(baseline: Fraction, value: Fraction, *, lower_is_better: bool = True) -> Fraction:
    """The part of the baseline's figure by which a value is better; negative where it is worse."""
    gain = baseline - value if lower_is_better else value - baseline
    return gain / baseline


def read_tolerance(tolerance: int | float | str, baseline: Fraction) -> Fraction:
    """The difference that is allowed; a percentage is a part of the baseline's figure."""
    if isinstance(tolerance, str):
        return Fraction(tolerance.rstrip("% ")) / 100 * abs(baseline)
    return read_exact(tolerance)


def find_lower_bound(hits: int, lookups: int, confidence: float) -> float:
    """The exact (Clopper-Pearson) lower bound of a ratio at a one-sided confidence, rounded down to nine decimals.

    It is the ratio at which so many hits or more have the probability 1 - confidence. Raises ValueError unless
    0 <= hits <= lookups and there is a lookup.
    """
    if not 0 <= hits <= lookups or lookups == 0:
        raise ValueError("hits are from 0 to the number of lookups, which is above 0")
    if hits == 0:
        return 0.0
    statistics_extra.require()
    from scipy import special  # late: a fifth of a second

    bound = special.betaincinv(hits, lookups - hits + 1, float(1 - read_exact(confidence)))
    return math.floor(float(bound) * 1e9) / 1e9
