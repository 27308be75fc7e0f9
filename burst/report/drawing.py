"""Drawings: the scales, ticks and lengths that every chart of a report shares; all text of a chart stands beside it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 720.0
_LEFT, _RIGHT = 58.0, 10.0
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds between two marks of a time axis."""
_MOST_TIME_TICKS = 8
_LARGEST_SHORT, _SMALLEST_SHORT = 1e9, 1e-4
"""A number beyond these is written with its power of ten."""
_ROOM = 1.05
"""How much higher than the highest value a drawing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark of an axis, in the units of the drawing, and its words. `minor`: a narrow screen leaves its words out."""

    at: str
    words: str
    minor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The plane of a drawing: seconds across from `first` to `last`, values up from zero to `highest`."""

    first: float
    last: float
    highest: float
    height: float = 260.0
    top: float = 12.0
    bottom: float = 26.0
    name_width: float = _LEFT
    """How wide the words before the plane are."""

    right_room: float = _RIGHT
    """How wide the room behind the plane is."""

    @property
    def left(self) -> float:
        """Where the plane begins."""
        return self.name_width

    @property
    def right(self) -> float:
        """Where the plane ends."""
        return WIDTH - self.right_room

    @property
    def floor(self) -> float:
        """Where zero lies."""
        return self.height - self.bottom

    def find_x(self, seconds: float) -> float:
        """Where an instant lies; one outside the plane lies at its edge."""
        share = (seconds - self.first) / ((self.last - self.first) or 1.0)
        return self.left + min(1.0, max(0.0, share)) * (self.right - self.left)

    def find_y(self, value: float) -> float:
        """Where a value lies."""
        return self.floor - value / ((self.highest * _ROOM) or 1.0) * (self.floor - self.top)

    def list_value_ticks(self) -> list[Tick]:
        """The marks of the values, at round numbers."""
        step = find_round_step(self.highest * _ROOM)
        count = int(self.highest * _ROOM / step)
        values = [step * number for number in range(count + 1)]
        return [Tick(at=length(self.find_y(value)), words=shorten(value)) for value in values]

    def list_time_ticks(self) -> list[Tick]:
        """The marks of the time, at round durations after zero."""
        span = self.last - self.first
        step = next((step for step in _TIME_STEPS if span / step <= _MOST_TIME_TICKS), _TIME_STEPS[-1])
        numbers = range(math.ceil(self.first / step), math.floor(self.last / step) + 1)
        return [
            Tick(
                at=length(self.find_x(number * step)),
                words=describe_elapsed(number * step),
                minor=number % 2 != 0,
            )
            for number in numbers
        ]

    def join_points(self, points: Iterable[tuple[float, float]]) -> str:
        """A line through seconds and values, as the points of a polyline."""
        return " ".join(f"{length(self.find_x(seconds))},{length(self.find_y(value))}" for seconds, value in points)

    def join_levels(self, levels: Iterable[tuple[float, float, float]]) -> str:
        """A line that is level from one instant to another, as a path: from and to in seconds, then the value."""
        parts: list[str] = []
        before = ""
        for start, end, value in levels:
            height = length(self.find_y(value))
            if not parts:
                parts.append(f"M{length(self.find_x(start))} {height}")
            elif height != before:
                parts.append(f"V{height}")
            parts.append(f"H{length(self.find_x(end))}")
            before = height
        return "".join(parts)

    def join_bars(self, bars: Iterable[tuple[float, float, float, float]]) -> str:
        """Bars as one path: from and to in seconds, then from which value to which."""
        parts = []
        for start, end, low, high in bars:
            left, wide = self.find_x(start), self.find_x(end) - self.find_x(start)
            tall = self.find_y(low) - self.find_y(high)
            if tall > 0.0:
                across = max(wide - 1.0, 0.5)
                parts.append(f"M{length(left)} {length(self.find_y(low))}v-{length(tall)}h{length(across)}")
                parts.append(f"v{length(tall)}z")
        return "".join(parts)


def find_round_step(highest: float) -> float:
    """The distance of round marks, of which four or five stand up to a value."""
    if highest <= 0.0:
        return 1.0
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * 0.999)


def describe_elapsed(seconds: float) -> str:
    """Seconds as a clock shows them: 0:05, 12:30, 1:02:03; a minus before what lies before zero."""
    whole = abs(round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    words = f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
    return f"-{words}" if seconds <= -0.5 else words


def shorten(value: float) -> str:
    """A number in few letters: 0, 250, 1.5k, 20k, -5.994, 4.9e-324."""
    size = abs(value)
    if size >= _LARGEST_SHORT or 0.0 < size < _SMALLEST_SHORT:
        return f"{value:.2g}"
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e6 if unit == 'M' else 1e3):.4g}{unit}"
    return f"{value:,.4g}" if size < 1000 else f"{round(value):,}"


def length(value: float) -> str:
    """A length in the drawing; one decimal, so that no platform's printing of floats shows."""
    words = f"{value:.1f}"
    return words.removesuffix(".0").replace("-0", "0") if words in ("-0.0", "0.0") else words.removesuffix(".0")


def spread_lanes(positions: Sequence[float], apart: float) -> list[int]:
    """The lane of each position, in order, so that those of one lane are so far apart."""
    ends: list[float] = []
    lanes = []
    for position in positions:
        lane = next((number for number, end in enumerate(ends) if position - end >= apart), len(ends))
        if lane == len(ends):
            ends.append(position)
        ends[lane] = position
        lanes.append(lane)
    return lanes
