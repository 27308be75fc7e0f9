"""Charts of observed series: a line of its samples each, and the bounds of its rules."""

from collections.abc import Sequence
from dataclasses import dataclass

from burst.domain.basics import wording
from burst.domain.observations import limits, series_rules
from burst.domain.verdict import gates, observed_sections, snapshot_sections, snapshots
from burst.report import drawing, figures

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
    plot: drawing.Plot
    time_ticks: Sequence[drawing.Tick]
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
    plot = drawing.Plot(first=start, last=end, highest=1.0, height=140.0)

    def find_y(value: float) -> float:
        """Where a value lies: the lowest at the floor, and the highest at the top."""
        return plot.floor - (value - low) / ((high - low) or 1.0) * (plot.floor - plot.top)

    return SeriesChart(
        series=series,
        last_value=figures.number(series.last_value) if limits.finite(series.last_value) is not None else "",
        plot=plot,
        time_ticks=plot.list_time_ticks(),
        points=" ".join(
            f"{drawing.length(plot.find_x(point.seconds))},{drawing.length(find_y(point.value))}"
            for point in series.line
        ),
        bounds=[Bound(y=drawing.length(find_y(value)), words=words) for value, words in bounds],
        go_x=drawing.length(plot.find_x(0.0)) if start <= 0.0 <= end else None,
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


def describe(series: observed_sections.ObservedSeries) -> str:
    """A series in one line: how many samples, the last one, and how many have no value."""
    silent = f", {series.silent} without a value" if series.silent else ""
    last = (
        f", last {figures.number(series.last_value)} at {figures.instant(series.last_utc)}" if series.last_utc else ""
    )
    return f"{series.name}: {wording.format_count(series.samples, 'sample')}{silent}{last}"
