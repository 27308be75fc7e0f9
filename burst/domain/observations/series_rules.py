"""Rules: what a series has to keep: an aggregate of samples over a period, within a limit or near another series."""

import re
from dataclasses import dataclass
from enum import StrEnum

from burst.domain.basics import instants
from burst.domain.observations import limits, periods


class Aggregate(StrEnum):
    """The figure that the samples of a period give."""

    MAX = "max"
    MIN = "min"
    LAST = "last"
    P95 = "p95"
    DELTA = "delta"
    MONOTONIC = "monotonic"
    MAX_STALL = "max_stall"


FROM_EDGES = (Aggregate.DELTA, Aggregate.MONOTONIC, Aggregate.MAX_STALL)
"""The aggregates that the last sample before the period belongs to: they speak of what became of it."""
WITHIN_ALLOWED = "a share of another series, such as 1% of rows_expected"
_WITHIN = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)% of ([A-Za-z0-9][A-Za-z0-9_.:-]{0,127})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """The share of another series' figure by which a figure may differ from it."""

    percent: float
    series: str

    @property
    def text(self) -> str:
        """The words of a plan."""
        return f"{instants.exact(self.percent)}% of {self.series}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a series: exactly one of `limit` and `near`."""

    aggregate: Aggregate
    period: periods.Period = periods.WHOLE
    limit: limits.Limit | None = None
    near: Nearness | None = None

    @property
    def text(self) -> str:
        """The rule in words, such as `max over last 30m at most 10`."""
        words = f"{self.aggregate} over {self.period.written}"
        if self.near is not None:
            return f"{words} within {self.near.text}"
        if self.limit is None or self.aggregate is Aggregate.MONOTONIC:
            return words
        bound = self.limit.required
        if self.aggregate is Aggregate.MAX_STALL and isinstance(bound, int | float):
            bound = instants.write_duration(bound)
        return f"{words} {self.limit.comparison.replace('_', ' ')} {bound}"


def parse_nearness(text: str) -> Nearness:
    """The share and the series of `1% of SERIES`. Raises ValueError for any other words."""
    match = _WITHIN.fullmatch(text)
    if match is None:
        raise ValueError(f"expected {WITHIN_ALLOWED}")
    return Nearness(percent=float(match[1]), series=match[2])
