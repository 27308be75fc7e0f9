"""Observed series as people see them: the line with its bounds in the report, the last answers while a run goes on."""

import math
import re
from typing import Any

import pytest

from burst.cli import observed_progress, progress_lines
from burst.domain.basics import instants
from burst.domain.run import journals, runs
from burst.domain.run.events import watch_events
from burst.domain.verdict import observed_sections
from burst.report import html, series_charts, terminal
from tests import cases, simulation

OBSERVING = cases.plan(observe=cases.observe())


def observed(values: list[Any], *rules: cases.Value) -> cases.Case:
    """A case whose series has these values."""
    return cases.passing(observe=cases.observe(*rules)).having(observations=cases.observations(OBSERVING, values))


def test_the_report_draws_each_series_with_its_bounds_and_go() -> None:
    verdict = observed([3] * 13 + [15] + [3] * 4).verdict()

    page = html.render(verdict, {}).decode()

    (points,) = re.findall(r'<polyline class="p50" points="([^"]+)"', page)
    assert len(points.split()) == 18
    assert 'class="bound"' in page
    assert "at most 10</li>" in page
    assert "GO</li>" in page
    assert "<caption>Samples by series</caption>" in page
    highest = min(float(point.partition(",")[2]) for point in points.split())
    assert highest == 12.0  # the top of the drawing: 15 is the largest
    assert html.render(verdict, {}) == html.render(verdict, {})


def test_a_report_without_series_has_no_such_section() -> None:
    assert b"Samples by series" not in html.render(cases.passing().verdict(), {})


def test_a_series_of_words_has_its_row_and_no_line() -> None:
    ready = {"blocker": "M10F-B7", "aggregate": "last", "equals": "ready"}
    page = html.render(observed(["<late>"] * 18, ready).verdict(), {}).decode()

    assert "<polyline" not in page
    assert "&lt;late&gt;" in page


def test_the_verdict_names_how_much_was_seen() -> None:
    words = terminal.render(observed([3] * 13 + [None] + [3] * 4).verdict().snapshot)

    assert "observed        lag: 18 samples, 1 without a value, last 3 at 2026-02-21T02:16:32Z" in words


def test_a_long_line_keeps_its_extremes() -> None:
    points = [observed_sections.LinePoint(seconds=float(n), value=float(n % 7)) for n in range(5000)]
    points[2500] = observed_sections.LinePoint(seconds=2500.0, value=310.0)
    thinned = observed_sections.thin(points)

    assert len(thinned) <= observed_sections.MOST_POINTS
    assert max(point.value for point in thinned) == 310.0
    assert [point.seconds for point in thinned] == sorted(point.seconds for point in thinned)


def taken(value: Any, detail: str = "") -> runs.Run:
    at = cases.moment(5)
    sample = watch_events.SampleTaken(
        series="lag", asked_at=at, answered_at=at, of=None, value=value, scope=None, detail=detail
    )
    return journals.fold([journals.Entry(sequence=1, at=at, event=sample)])


@pytest.mark.parametrize(
    ("value", "words"),
    [(3, "lag 3"), (None, "lag no answer"), ("ready", "lag ready"), (-5.231317026889413, "lag -5.231317027")],
)
def test_the_progress_line_has_the_last_answer_of_each_series(value: Any, words: str) -> None:
    run = taken(value)

    assert words in progress_lines.show(run, None, cases.moment(6), simulation.plan(), None).line
    (fields,) = observed_progress.list_fields(run)
    assert (fields["last_value"], fields["samples"], fields["silent"]) == (value, 1, int(value is None))
    assert fields["last_asked_utc"] == instants.text(cases.moment(5))


def draw(values: list[Any]) -> series_charts.SeriesChart:
    (chart,) = series_charts.draw(observed(values).verdict().snapshot, 930.0)
    return chart


def test_a_chart_of_one_value_divides_by_nothing() -> None:
    chart = draw([10] * 18)

    assert "nan" not in "".join(chart.lines)
    assert [bound.words for bound in chart.bounds] == ["at most 10"]


def test_a_series_that_went_silent_has_no_line_there_and_the_time_of_the_whole_burst() -> None:
    silent, whole = draw([3] * 4 + [None] * 6 + [4] * 2 + [None] * 6), draw([3] * 18)

    assert [len(piece.split()) for piece in silent.lines] == [4, 2]
    assert [len(piece.split()) for piece in whole.lines] == [18]
    last = float(silent.lines[-1].split()[-1].partition(",")[0])
    assert last < silent.plot.find_x(930.0)  # nothing is stretched to the edge


@pytest.mark.parametrize("value", [-5.993972569, 5e-324, 1.7e308, -1.7e308, 123456789.123])
def test_values_beside_a_chart_have_few_letters_and_those_of_a_verdict_few_digits(value: float) -> None:
    chart = draw([value] * 18)

    assert max(len(chart.top), len(chart.bottom)) <= 9
    assert len(chart.last_value) <= 17
    assert all(math.isfinite(float(y)) for piece in chart.lines for point in piece.split() for y in point.split(","))
