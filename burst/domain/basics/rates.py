"""Rates: events a minute, with the unit in which they were written.

A bare number in a plan is events a minute. `1500/s` and `1500/min` name their unit, and are printed with it again.
"""

import re
from fractions import Fraction

from burst.domain.basics import magnitudes

MOST_PER_MINUTE = 1e9
ALLOWED = (
    f"events per minute as a number above 0, or with its unit, such as 1500/s or 1500/min; at most "
    f"{MOST_PER_MINUTE:,.0f} a minute"
)
_FORM = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)/(s|min)", re.ASCII)
_PER_MINUTE = {"s": 60, "min": 1}


class WrittenRate(float):
    """Events a minute; `text` is what the plan wrote, with its unit."""

    __slots__ = ("text",)
    text: str


def parse(value: object) -> float:
    """Events a minute, from a number or a text with its unit. Raises ValueError for anything else."""
    if isinstance(value, str) and (match := _FORM.fullmatch(value)):
        written = WrittenRate(Fraction(match[1]) * _PER_MINUTE[match[2]])
        written.text = value
        rate: float = written
    elif magnitudes.is_number(value):
        rate = float(value)
    else:
        raise ValueError(f"expected {ALLOWED}")
    if not 0 < rate <= MOST_PER_MINUTE:
        raise ValueError(f"expected {ALLOWED}")
    return rate


def parse_text(text: str) -> float:
    """Events a minute from words of a command line, where a bare number may be 0. Raises ValueError."""
    if "/" in text:
        return parse(text)
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(f"expected {ALLOWED}") from None
    if not 0 <= rate <= MOST_PER_MINUTE:
        raise ValueError(f"expected {ALLOWED}")
    return rate


def write(rate: float) -> float | str:
    """A rate as a plan holds it: with its unit where it was written so."""
    return rate.text if isinstance(rate, WrittenRate) else rate


def describe(rate: float) -> str:
    """A rate in words, with its unit: `1500/s` where it was written so, else `1255.989/min`."""
    return rate.text if isinstance(rate, WrittenRate) else f"{round(rate, 3):.15g}/min"
