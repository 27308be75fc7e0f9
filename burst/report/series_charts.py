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
MOST_PERIODS = 2.5
"""Points that are farther apart than so many periods are not joined."""


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
    lines: Sequence[str]
    """The points of the line, in pieces where there was no value for a while."""
    bounds: Sequence[Bound]
    go_x: str | None
    top: str
    bottom: str
    first: str
    last: str


def draw(snapshot: snapshots.Snapshot, seconds: float | None) -> list[SeriesChart]:
    """The chart of each observed series of a snapshot, all over the same time; `seconds`: how long the burst was."""
    observed = snapshot.observations or ()
    shown_seconds = [point.seconds for series in observed for point in series.line]
    first, last = min([*shown_seconds, 0.0]), max([*shown_seconds, seconds or 0.0])
    return [_draw_one(series, snapshot.gates, first, last) for series in observed]


def _draw_one(
    series: observed_sections.ObservedSeries,
    answers: Sequence[snapshot_sections.GateEntry],
    first: float,
    last: float,
) -> SeriesChart:
    bounds = list(_find_bounds(series.name, answers))
    values = [point.value for point in series.line] + [value for value, _ in bounds]
    low, high = min(values, default=0.0), max(values, default=0.0)
    plot = drawing.Plot(first=first, last=last, highest=1.0, height=140.0)

    def find_y(value: float) -> float:
        """Where a value lies: the lowest at the floor, and the highest at the top."""
        share = (value / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)  # halves: the whole may be beyond a float
        return plot.floor - share * (plot.floor - plot.top)

    return SeriesChart(
        series=series,
        last_value=figures.number(series.last_value) if limits.finite(series.last_value) is not None else "",
        plot=plot,
        time_ticks=plot.list_time_ticks(),
        lines=[
            " ".join(
                f"{drawing.length(plot.find_x(point.seconds))},{drawing.length(find_y(point.value))}" for point in piece
            )
            for piece in _split_line(series)
        ],
        bounds=[Bound(y=drawing.length(find_y(value)), words=words) for value, words in bounds],
        go_x=drawing.length(plot.find_x(0.0)) if series.line else None,
        top=drawing.shorten(high),
        bottom=drawing.shorten(low),
        first=figures.instant(series.first_utc),
        last=figures.instant(series.last_utc),
    )


def _split_line(series: observed_sections.ObservedSeries) -> list[list[observed_sections.LinePoint]]:
    """The points of a series in pieces: it is no line where nobody knows what it was."""
    answered, drawn = series.samples - series.silent, len(series.line)
    left_out = 2 * answered / drawn if 0 < drawn < answered else 1.0  # a long line keeps some of its points alone
    longest_seconds = MOST_PERIODS * left_out * series.every_seconds
    pieces: list[list[observed_sections.LinePoint]] = []
    for point in series.line:
        if not pieces or point.seconds - pieces[-1][-1].seconds > longest_seconds:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


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
