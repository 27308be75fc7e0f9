"""Charts of observed series: a line of its samples each, and the bounds of its rules, as a few lines of SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from burst.domain.basics import wording
from burst.domain.observations import limits, series_rules
from burst.domain.verdict import gates, observed_sections, snapshot_sections, snapshots
from burst.report import figures

_WIDTH, _HEIGHT = 720.0, 140.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 12.0, 12.0, 24.0
_BOUNDED = tuple(
    aggregate.value
    for aggregate in (
        series_rules.Aggregate.MAX,
        series_rules.Aggregate.MIN,
        series_rules.Aggregate.LAST,
        series_rules.Aggregate.P95,
    )
)
"""The aggregates whose bound is one of the values themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A bound in the units of the drawing, and its words."""

    y: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesChart:
    """One series: its figures in words, and its line where it has numbers to draw."""

    series: observed_sections.ObservedSeries
    last_value: str
    points: str
    bounds: Sequence[Bound]
    go_x: str | None
    top: str
    bottom: str
    first: str
    last: str


def draw(snapshot: snapshots.Snapshot) -> list[SeriesChart]:
    """The chart of each observed series of a snapshot."""
    return [_draw_one(series, snapshot.gates) for series in snapshot.observations or ()]


def _draw_one(series: observed_sections.ObservedSeries, answers: Sequence[snapshot_sections.GateEntry]) -> SeriesChart:
    bounds = list(_find_bounds(series.name, answers))
    values = [point.value for point in series.line] + [value for value, _ in bounds]
    seconds = [point.seconds for point in series.line]
    low, high = min(values, default=0.0), max(values, default=0.0)
    start, end = min(seconds, default=0.0), max(seconds, default=0.0)
    across = (_WIDTH - _LEFT - _RIGHT) / ((end - start) or 1.0)
    down = (_HEIGHT - _TOP - _BOTTOM) / ((high - low) or 1.0)

    def find_y(value: float) -> str:
        return _length(_HEIGHT - _BOTTOM - (value - low) * down)

    def find_x(second: float) -> str:
        return _length(_LEFT + (second - start) * across)

    return SeriesChart(
        series=series,
        last_value=figures.number(series.last_value) if limits.finite(series.last_value) is not None else "",
        points=" ".join(f"{find_x(point.seconds)},{find_y(point.value)}" for point in series.line),
        bounds=[Bound(y=find_y(value), words=words) for value, words in bounds],
        go_x=find_x(0.0) if start <= 0.0 <= end else None,
        top=figures.number(high),
        bottom=figures.number(low),
        first=figures.instant(series.first_utc),
        last=figures.instant(series.last_utc),
    )


def _find_bounds(name: str, answers: Sequence[snapshot_sections.GateEntry]) -> list[tuple[float, str]]:
    """The bounds of a series' rules, each once."""
    bounds = {}
    for gate in answers:
        rule = gate.name.removeprefix(f"{gates.OBSERVED}{name}.")
        required = limits.finite(gate.required)
        if rule != gate.name and rule.split(".")[0] in _BOUNDED and required is not None:
            bounds[required] = f"{gate.comparison or ''} {figures.number(required)}".replace("_", " ").strip()
    return list(bounds.items())


def _length(value: float) -> str:
    return f"{value:.2f}"


def describe(series: observed_sections.ObservedSeries) -> str:
    """A series in one line: how many samples, the last one, and how many have no value."""
    silent = f", {series.silent} without a value" if series.silent else ""
    last = (
        f", last {figures.number(series.last_value)} at {figures.instant(series.last_utc)}" if series.last_utc else ""
    )
    return f"{series.name}: {wording.format_count(series.samples, 'sample')}{silent}{last}"
