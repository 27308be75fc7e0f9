"""Periods: the part of a burst that a rule speaks of, as a plan writes it, and where it lies in one run."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from burst.domain.basics import instants


class PeriodKind(StrEnum):
    """The ways in which a period is named."""

    WHOLE = "whole"
    LAST = "last"
    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


ALLOWED = "whole, last 30m, before, during, after, or after recovery"
_BY_WORDS = {
    "whole": PeriodKind.WHOLE,
    "before": PeriodKind.BEFORE,
    "during": PeriodKind.DURING,
    "after": PeriodKind.AFTER,
    "after recovery": PeriodKind.AFTER,
}
_LAST = re.compile(r"last (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A period by its kind; `seconds` is the length of `last 30m`."""

    kind: PeriodKind
    seconds: float | None = None

    @property
    def needs_fault(self) -> bool:
        """Whether it lies before, in or after the fault of a drill."""
        return self.kind in (PeriodKind.BEFORE, PeriodKind.DURING, PeriodKind.AFTER)

    @property
    def written(self) -> str:
        """The period as a plan writes it: `last 30m`."""
        return self.text if self.seconds is None else f"last {instants.write_duration(self.seconds)}"

    @property
    def text(self) -> str:
        """The words of the period in terms and in ids of gates, one form for each: `last 1800s`."""
        return f"last {instants.duration_text(self.seconds)}" if self.seconds is not None else self.kind.value


WHOLE = Period(kind=PeriodKind.WHOLE)


def parse(text: str) -> Period:
    """The period that a plan writes. Raises ValueError for any other words."""
    last = _LAST.fullmatch(text)
    if last is not None:
        seconds = instants.parse_duration(last[1])
        if seconds > 0:
            return Period(kind=PeriodKind.LAST, seconds=seconds)
    kind = _BY_WORDS.get(text)
    if kind is None:
        raise ValueError(f"expected {ALLOWED}")
    return Period(kind=kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstSpan:
    """The instants of one run that periods are placed by; None: nobody can tell.

    `faulted_at` and `recovered_at` are those of its drill: the fault, and the first sustained good sample after it.
    """

    go_at: datetime | None
    ended_at: datetime | None
    faulted_at: datetime | None = None
    recovered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSpan:
    """The instants from `start` to `end`, both of which belong to it.

    `closes`: it ends where the burst does, so that the samples after its end belong to it.
    """

    start: datetime
    end: datetime
    closes: bool = True

    @property
    def seconds(self) -> float:
        """Its length."""
        return instants.seconds_between(self.start, self.end)


def place(period: Period, span: BurstSpan) -> PeriodSpan | str:
    """Where a period lies in a run, or why nobody can tell."""
    if span.go_at is None or span.ended_at is None or span.ended_at <= span.go_at:
        return "the burst has no window from GO to the last stop"
    if period.seconds is not None:
        start = instants.later(span.ended_at, -period.seconds)
        if start < span.go_at:
            lasted = instants.exact(instants.seconds_between(span.go_at, span.ended_at))
            return f"the burst lasted {lasted} s, which is shorter than {period.text}"
        return PeriodSpan(start=start, end=span.ended_at)
    if period.kind is PeriodKind.WHOLE:
        return PeriodSpan(start=span.go_at, end=span.ended_at)
    return _place_by_fault(period, span, span.go_at, span.ended_at)


def _place_by_fault(period: Period, span: BurstSpan, go_at: datetime, ended_at: datetime) -> PeriodSpan | str:
    if span.faulted_at is None or not go_at <= span.faulted_at <= ended_at:
        return "no fault of a drill lies in the burst"
    if period.kind is PeriodKind.BEFORE:
        return _interval(go_at, span.faulted_at, closes=False)
    recovered_at = span.recovered_at
    if recovered_at is None and period.kind is PeriodKind.DURING:
        return _interval(span.faulted_at, ended_at, closes=True)
    if recovered_at is None or not span.faulted_at <= recovered_at <= ended_at:
        return "the system was not seen to recover in the burst"
    if period.kind is PeriodKind.DURING:
        return _interval(span.faulted_at, recovered_at, closes=False)
    return _interval(recovered_at, ended_at, closes=True)


def _interval(start: datetime, end: datetime, *, closes: bool) -> PeriodSpan | str:
    return PeriodSpan(start=start, end=end, closes=closes) if start < end else "the period has no length"
