"""Charts of a rate plan: small ones for the terminal and for the report, each with the table of its steps beside."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from burst.load import rate_plans
from burst.report import figures

COLUMNS, ROWS = 60, 6
LEAST_COLUMNS, MOST_COLUMNS = 12, 120
_LABEL = 10
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _MARGIN = 720, 160, 28
_POINTS = 360


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step in figures. Rates are events a second, instants seconds after GO."""

    name: str
    shape: str
    start_seconds: float
    seconds: float
    rate: float
    to: float
    counted: bool
    events: int
    least_events_a_task: int
    most_events_a_task: int


def list_rows(plan: rate_plans.RatePlan, tasks: int) -> list[StepRow]:
    """Every step of a plan, with what each of so many tasks sends in it, exactly."""
    rows = []
    for place in plan.placed:
        least, most = divmod(place.events, tasks)
        rows.append(
            StepRow(
                name=place.step.name,
                shape=place.step.shape,
                start_seconds=float(place.start),
                seconds=float(place.step.seconds),
                rate=float(place.step.rate),
                to=float(place.step.to),
                counted=place.step.count,
                events=place.events,
                least_events_a_task=least,
                most_events_a_task=least + (most > 0),
            )
        )
    return rows


def describe_row(row: StepRow) -> str:
    """A step in words."""
    rate = f"{figures.number(round(row.rate, 3))}/s"
    if row.shape != rate_plans.STEP:
        rate += f" to {figures.number(round(row.to, 3))}/s ({row.shape})"
    least, most = row.least_events_a_task, row.most_events_a_task
    share = f"{least:,}" if least == most else f"{least:,} or {most:,}"
    counted = "" if row.counted else ", not counted"
    begun = figures.duration(row.start_seconds) if row.start_seconds else "GO"
    return (
        f"{row.name}: from {begun} for {figures.duration(row.seconds)}, {rate}, {row.events:,} events, "
        f"{share} a task{counted}"
    )


def fit_columns(terminal_columns: int, plan: rate_plans.RatePlan, *, indent: int) -> int:
    """How many characters wide the rates may be drawn, so that no line of the chart is broken."""
    beside = indent + _LABEL + len(" │") + len(f" {figures.duration(float(plan.seconds))}")
    return max(LEAST_COLUMNS, min(MOST_COLUMNS, terminal_columns - beside))


def draw_lines(plan: rate_plans.RatePlan, columns: int = COLUMNS) -> list[str]:
    """The rates over time in so many characters, and under it which part is counted."""
    width = float(plan.seconds) / columns
    highest = plan.highest or 1.0
    heights = [_find_rate(plan, (column + 0.5) * width) / highest * ROWS for column in range(columns)]
    lines = []
    for row in reversed(range(ROWS)):
        filled = "".join(_EIGHTHS[round(8 * min(1.0, max(0.0, height - row)))] for height in heights)
        label = f"{figures.number(round(highest, 1))}/s" if row == ROWS - 1 else "0/s" if row == 0 else ""
        lines.append(f"{label:>{_LABEL}} │{filled.rstrip()}")
    start, end = plan.counted
    marks = "".join("━" if start <= Fraction((column + 0.5) * width) < end else "┄" for column in range(columns))
    total = figures.duration(float(plan.seconds))
    return [*lines, f"{'counted':>{_LABEL}} └{marks} {total}"]


def _find_rate(plan: rate_plans.RatePlan, seconds: float) -> float:
    place = next((place for place in plan.placed if place.start <= seconds < place.end), None)
    return place.step.curve.find_rate(seconds - float(place.start)) if place else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The rates over time in the units of an SVG: the line, the counted window behind it, the name of each step."""

    width: int
    height: int
    margin: int
    points: str
    counted_x: float
    counted_width: float
    names: tuple[tuple[float, str], ...]
    highest: str


def draw(plan: rate_plans.RatePlan) -> Drawing:
    """The rates over time."""
    length, highest = float(plan.seconds), plan.highest or 1.0

    def place_x(seconds: float) -> float:
        return round(_MARGIN + seconds / length * (_WIDTH - 2 * _MARGIN), 2)

    def place_y(rate: float) -> float:
        return round(_HEIGHT - _MARGIN - rate / highest * (_HEIGHT - 2 * _MARGIN), 2)

    start, end = (place_x(float(edge)) for edge in plan.counted)
    return Drawing(
        width=_WIDTH,
        height=_HEIGHT,
        margin=_MARGIN,
        points=" ".join(f"{place_x(seconds)},{place_y(rate)}" for seconds, rate in _list_points(plan)),
        counted_x=start,
        counted_width=round(end - start, 2),
        names=tuple((place_x(float(place.start + place.end) / 2), place.step.name) for place in plan.placed),
        highest=f"{figures.number(round(highest, 3))}/s",
    )


def _list_points(plan: rate_plans.RatePlan) -> Iterator[tuple[float, float]]:
    """Points of the line: two of a step that is straight, and a few hundred over all of those that are not."""
    for place in plan.placed:
        seconds = float(place.step.seconds)
        parts = {rate_plans.SINE: max(8, round(_POINTS * seconds / float(plan.seconds))), rate_plans.SPIKE: 2}
        number = parts.get(place.step.shape, 1)
        for index in range(number + 1):
            yield float(place.start) + seconds * index / number, place.step.curve.find_rate(seconds * index / number)
