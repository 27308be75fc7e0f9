"""Series of the live view: the receipts counted so far, bucket by bucket, as rates and as a row of bars.

A rate is of the time that was counted: a bucket that is counted in part shows no collapse, and one that nobody has
counted shows nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.run import lease_counts, runs

BUCKET_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
"""The lengths of a bucket: the first with which the whole window fits beside the other words."""
BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = ".:-=+*#%"
NOTHING = "_"
"""A bucket in which nothing was counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedSpan:
    """An amount, from one instant to another."""

    start: datetime
    end: datetime
    amount: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return instants.seconds_between(self.start, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """The buckets of a window: its start, and how many of which length."""

    start: datetime
    seconds: float
    number: int

    @classmethod
    def fit(cls, start: datetime, window_seconds: float, most: int) -> "Buckets":
        """The shortest buckets of which no more than `most` make a window."""
        fitting = (seconds for seconds in BUCKET_SECONDS if window_seconds / seconds <= most)
        seconds = float(next(fitting, window_seconds / most))
        return cls(start=start, seconds=seconds, number=max(1, min(most, -int(-window_seconds // seconds))))

    def overlaps(self, index: int, span: CountedSpan) -> float:
        """The seconds of a span that lie in a bucket."""
        start = instants.later(self.start, index * self.seconds)
        end = instants.later(start, self.seconds)
        return max(0.0, instants.seconds_between(max(start, span.start), min(end, span.end)))

    def find_rates(self, spans: Sequence[CountedSpan]) -> tuple[float | None, ...]:
        """The amount a minute of each bucket; None for a bucket of which nothing was counted."""
        return tuple(self._find_rate(index, spans) for index in range(self.number))

    def _find_rate(self, index: int, spans: Iterable[CountedSpan]) -> float | None:
        amount = counted_seconds = 0.0
        for span in spans:
            seconds = self.overlaps(index, span)
            if seconds > 0:
                amount += span.amount * seconds / span.seconds
                counted_seconds += seconds
        return amount / counted_seconds * 60 if counted_seconds else None

    def find_highest(self, spans: Sequence[CountedSpan]) -> tuple[float | None, ...]:
        """The largest amount of each bucket, for amounts that do not add up."""
        return tuple(
            max((span.amount for span in spans if self.overlaps(index, span) > 0), default=None)
            for index in range(self.number)
        )


def list_counted(run: runs.Run, decision: str) -> tuple[CountedSpan, ...]:
    """The receipts of a decision in each live count. The counts follow each other without a gap."""
    if run.counted_to is None:
        return ()
    spans, end = [], run.counted_to
    for poll in reversed(run.polls):
        start = instants.later(end, -poll.seconds)
        if poll.seconds > 0:
            spans.append(CountedSpan(start=start, end=end, amount=float(poll.counts.of(decision))))
        end = start
    return tuple(reversed(spans))


def list_load(run: runs.Run, figure: str, *, grows: bool = True) -> tuple[CountedSpan, ...]:
    """A figure of the load accounts between looks: how much it grew, or as it was then where it does not grow."""
    looks = [(look.at, getattr(look, figure)) for look in run.loads]
    start, before, spans = run.go_at, 0, []
    for at, value in looks:
        if value is None:
            continue
        if start is not None and at > start:
            spans.append(CountedSpan(start=start, end=at, amount=float(value - before if grows else value)))
        start, before = at, value
    return tuple(spans)


def find_recent_rate(spans: Sequence[CountedSpan]) -> float | None:
    """The amount a minute of the last spans, of `lease_counts.RECENT_SECONDS` at least where there are so many; None
    without one."""
    amount = seconds = 0.0
    for span in reversed(spans):
        amount, seconds = amount + span.amount, seconds + span.seconds
        if seconds >= lease_counts.RECENT_SECONDS:
            break
    return amount / seconds * 60 if seconds else None


def draw_bars(values: Sequence[float | None], highest: float | None = None, *, plain: bool = False) -> str:
    """A row of bars, one for each value, the tallest for `highest` or the largest; a blank where there is no value.

    `plain` draws with ASCII alone.
    """
    bars = PLAIN_BARS if plain else BARS
    top = max([highest or 0.0, *(value for value in values if value is not None)])
    return "".join(_choose_bar(value, top, bars) for value in values)


def _choose_bar(value: float | None, top: float, bars: str) -> str:
    if value is None:
        return " "
    if value <= 0 or top <= 0:
        return NOTHING
    return bars[min(len(bars) - 1, int(value / top * len(bars)))]
