"""The charts of a report: figures that add up, marks in order, and nothing drawn of what nobody counted."""

import dataclasses
import itertools
import math
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.documents import document_names
from burst.report import burst_buckets, burst_chart, drawing, html, load_charts, report_documents, timelines
from tests import cases
from tests.reports import stories


def read(case: cases.Case, journal: bytes = b"") -> report_documents.ReportDocuments:
    """The documents of a case, as a report gets them."""
    contents = {**case.documents(), document_names.JOURNAL: journal}
    return report_documents.ReportDocuments.read(case.verdict(), contents)


def make_seconds(*counts: int, begun: float = 60.0) -> list[cases.Value]:
    """Seconds of the generator, in each of which so many events were due, sent and acknowledged."""
    return [
        {
            "start_utc": cases.at(begun + second),
            **dict.fromkeys(("due", "in_time", "sent", "acknowledged"), count),
            "refused": 0,
            "failed": 0,
        }
        for second, count in enumerate(counts)
    ]


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    counts=st.lists(st.integers(0, 500), min_size=1, max_size=40), offset=st.floats(0, 0.999), width=st.integers(1, 13)
)
def test_what_was_sent_in_a_second_is_shared_between_buckets_and_none_of_it_is_lost(
    counts: list[int], offset: float, width: int
) -> None:
    starts = range(0, len(counts) + 1, width)
    buckets = [{**cases.window(60.0 - offset + start, width), "counts": cases.counts(1)} for start in starts]
    case = cases.passing().having(
        metrics=cases.metrics(buckets=buckets), load={**cases.load(), "seconds": make_seconds(*counts)}
    )

    drawn = burst_buckets.list_buckets(read(case))

    assert math.fsum(bucket.load.sent for bucket in drawn if bucket.load) == pytest.approx(sum(counts))


def test_neighbours_are_added_up_where_there_are_more_than_a_screen_shows() -> None:
    buckets = [{**cases.window(60 + second, 1), "counts": cases.counts(3, second % 2)} for second in range(900)]
    case = cases.passing().having(metrics=cases.metrics(buckets=buckets))

    drawn = burst_buckets.list_buckets(read(case))

    assert len(drawn) <= burst_buckets.MOST
    assert sum(bucket.counts.total for bucket in drawn if bucket.counts) == 900 * 3 + 450
    assert not any(bucket.partial for bucket in drawn[:-1])


def test_a_bucket_that_is_shorter_than_the_others_is_marked() -> None:
    chart = burst_chart.draw(read(stories.passed()))

    assert chart is not None
    assert chart.partial.count("M") == 1
    assert chart.bucket_seconds == "60"
    assert [row.seconds for row in chart.rows[-2:]] == ["60", "6"]


def test_without_counts_by_time_the_picture_is_that_of_the_generator_alone() -> None:
    case = cases.passing().having(load={**cases.load(), "seconds": make_seconds(*[20] * 900)})

    chart = burst_chart.draw(read(case))

    assert chart is not None
    assert (chart.admit, bool(chart.sent)) == ("", True)
    assert {row.counts for row in chart.rows} == {None}


def test_a_run_of_which_nothing_was_counted_by_time_has_no_charts() -> None:
    documents = read(cases.Case(plan=cases.plan(), contents={}))

    assert burst_chart.draw(documents) is None
    assert load_charts.draw_latency(documents) is None
    assert load_charts.draw_errors(documents) is None
    assert timelines.draw(documents) is None


def test_instants_are_numbered_in_the_order_in_which_they_came() -> None:
    chart = burst_chart.draw(read(stories.held()))

    assert chart is not None
    assert [mark.number for mark in chart.marks] == list(range(1, len(chart.marks) + 1))
    assert [mark.words.partition(":")[0] for mark in chart.marks][:2] == [
        "GO",
        "early stop by the rule rate-unreachable, 302 s saved",
    ]
    assert [mark.elapsed for mark in chart.marks[:2]] == ["0:00", "14:58"]


def test_steps_and_drills_stand_among_the_instants() -> None:
    snapshot = read(stories.passed()).snapshot
    step = {"name": "peak", "shape": "step", "counted": False, "start_seconds": 300.0, "seconds": 60.0}
    rates = {"events_per_second": 30.0, "to_events_per_second": 30.0, "planned_events": 1800}
    unknown = dict.fromkeys(("due", "in_time", "acknowledged", "latency_p95_ms", "latency_p99_ms", "counts"))
    document = {**snapshot.document(), "rate_steps": [{**step, **rates, **unknown}]}
    documents = dataclasses.replace(read(stories.passed()), snapshot=cases.read_back(document).snapshot)

    words = [event.words for event in burst_chart.list_events(documents)]

    assert "step peak begins, not counted" in words


def test_the_time_in_which_nobody_could_look_is_drawn_as_long_as_it_was() -> None:
    chart = burst_chart.draw(read(stories.blinded()))

    assert chart is not None
    ((x, width),) = chart.blind
    share = float(width) / (chart.plot.right - chart.plot.left)
    assert share == pytest.approx(240 / 906, abs=0.001)
    assert float(x) == pytest.approx(chart.plot.find_x(400.0), abs=0.1)


def test_percentiles_are_those_of_each_part_of_the_time() -> None:
    parts = [
        {
            "start_utc": cases.at(60 + 10 * index),
            "seconds": 10.0,
            "latency": [{"up_to_us": 10_000, "count": 90}, {"up_to_us": slow, "count": 10}],
        }
        for index, slow in enumerate((50_000, 80_000))
    ]
    chart = load_charts.draw_latency(read(cases.passing().having(load={**cases.load(), "latency_over_time": parts})))

    assert chart is not None
    assert [row.percentiles for row in chart.rows] == [["10", "50", "50"], ["10", "80", "80"]]
    assert [row.answers for row in chart.rows] == ["100", "100"]


def test_no_answer_is_drawn_before_go_or_after_the_last_stop() -> None:
    """Parts begin at round instants of a clock, and GO comes in the middle of one."""
    parts = [
        {"start_utc": cases.at(start), "seconds": 10.0, "latency": [{"up_to_us": 1000, "count": 7}]}
        for start in (55, 65, 985)
    ]
    result = cases.task_result(go_utc=cases.at(60))
    case = cases.passing().having(task_result=result, load={**cases.load(), "latency_over_time": parts})

    chart = load_charts.draw_latency(read(case))

    assert chart is not None
    assert [row.elapsed for row in chart.rows] == ["0:00", "0:05", "15:25"]
    assert (chart.plot.first, chart.plot.last) == (0.0, 930.0)


def test_what_was_sent_in_the_second_of_go_was_sent_after_go() -> None:
    """Else the first bucket would show less than was offered, and nothing of it would be shown anywhere."""
    buckets = [{**cases.window(60.0, 1), "counts": cases.counts(20)}]
    metrics, result = cases.metrics(buckets=buckets), cases.task_result(go_utc=cases.at(60))
    load = {**cases.load(), "seconds": make_seconds(6, begun=59.3)}

    (bucket,) = burst_buckets.list_buckets(read(cases.passing().having(task_result=result, metrics=metrics, load=load)))

    assert bucket.load is not None
    assert bucket.load.sent == pytest.approx(6)


@pytest.mark.parametrize("number", [html.MOST_OPEN_TASKS, html.MOST_OPEN_TASKS + 1])
def test_a_table_of_many_tasks_is_folded(number: int) -> None:
    result = stories.make_result(tasks=[stories.make_task(index) for index in range(number)])
    case = cases.passing().having(task_result=result)

    page = html.render(case.verdict(), case.documents()).decode()

    assert page.count('<th scope="rowgroup"') == number
    assert (f"<summary>The tasks ({number})</summary>" in page) == (number > html.MOST_OPEN_TASKS)
    assert page.count("<details>") == page.count("</details>")


def test_many_parts_of_the_time_are_added_up_exactly() -> None:
    parts = [
        {"start_utc": cases.at(60 + 10 * index), "seconds": 10.0, "latency": [{"up_to_us": 1000, "count": 7}]}
        for index in range(541)
    ]
    chart = load_charts.draw_latency(read(cases.passing().having(load={**cases.load(), "latency_over_time": parts})))

    assert chart is not None
    assert len(chart.rows) <= burst_buckets.MOST
    assert sum(int(row.answers) for row in chart.rows) == 541 * 7


def test_errors_are_told_by_class_with_their_share_of_all_answers() -> None:
    chart = load_charts.draw_errors(read(cases.passing().having(load=cases.load())))

    assert chart is not None
    assert chart.answered == 18_000
    assert chart.classes == [("refused with 5xx", 16, "0.0889 %"), ("failed: timeout", 4, "0.0222 %")]
    assert chart.plot is None  # this account does not tell them by time


@pytest.mark.parametrize(
    "odd", [b"", b"layer-armed\n", b'{"event": "layer-armed"}\n', b'{"event": "layer-armed", "at": 7}\n']
)
def test_the_timeline_takes_the_arming_of_layers_from_the_journal_and_passes_over_odd_lines(odd: bytes) -> None:
    timeline = timelines.draw(read(stories.passed(), odd + stories.make_journal()))

    assert timeline is not None
    bars = {bar.name: bar for bar in timeline.bars}
    assert bars["guard"].start == cases.at(32.0)
    assert (bars["lease"].tone, bars["guard"].tone) == ("fired", "layer")
    assert [bar.name for bar in timeline.bars if bar.tone == "phase"] == [
        "preflight",
        "arming",
        "starting",
        "bursting",
        "stopping",
        "counting",
    ]
    assert (bars["bursting"].start, bars["bursting"].seconds) == (cases.at(60.0), "900")


def test_one_shots_services_and_outages_stand_on_the_timeline_with_their_instants() -> None:
    timeline = timelines.draw(read(stories.blinded(), stories.make_journal()))

    assert timeline is not None
    beside = {bar.name: (bar.kind, bar.start, bar.seconds, bar.words) for bar in timeline.rows}
    assert beside["warm-caches"] == ("one-shot", cases.at(33.0), "4", "before the burst; ended as it should")
    assert beside["ingest-writer"] == ("service", cases.at(36.0), "933", "1 to 3 tasks; put back")
    assert beside["tasks not seen"][:3] == ("outage", cases.at(460.0), "240")
    assert beside["no live count"][:3] == ("outage", cases.at(465.0), "240")


def test_a_service_that_was_not_put_back_goes_on_to_the_edge_and_one_without_an_instant_is_not_drawn() -> None:
    kept = {"name": "ingest-writer", "before": 1, "desired": 3, "restored": False}
    result = stories.make_result(services=[kept, {**kept, "name": "unheard-of", "restored": True}])
    timeline = timelines.draw(read(stories.passed().having(task_result=result), stories.make_journal()))

    assert timeline is not None
    (bar,) = [bar for bar in timeline.bars if bar.kind == "service"]
    assert (bar.name, bar.seconds, bar.words) == ("ingest-writer", "not seen to end", "1 to 3 tasks; not put back")
    assert float(bar.x) + float(bar.width) == pytest.approx(timeline.plot.right, abs=0.2)


@pytest.mark.parametrize("recovered", [True, False])
def test_a_drill_stands_on_the_timeline_from_its_fault_to_its_recovery(recovered: bool) -> None:
    drill = {"name": "restart-writer", "fault": "restart ingest-writer", "planned_utc": cases.at(160.0)}
    times = {"faulted_utc": cases.at(161.0), "over_utc": cases.at(170.0), "recovered_utc": cases.at(190.0)}
    rest = {"recover_within_seconds": 60.0, "rto_pass": recovered, "undone": True, "restart_to_stable_seconds": 29.0}
    unknown = dict.fromkeys(("tasks_before", "replaced_task_count", "before", "during", "after"))
    entry = {**drill, **times, **rest, **unknown, **({} if recovered else {"recovered_utc": None})}
    documents = read(stories.passed())
    document = {**documents.snapshot.document(), "drills": [entry]}
    timeline = timelines.draw(dataclasses.replace(documents, snapshot=cases.read_back(document).snapshot))

    assert timeline is not None
    (bar,) = [bar for bar in timeline.bars if bar.kind == "drill"]
    assert (bar.name, bar.start) == ("restart-writer", cases.at(161.0))
    assert bar.seconds == ("29" if recovered else "not seen to end")


def test_outages_share_a_row_and_a_layer_shows_when_it_would_have_ended_everything() -> None:
    outages = [
        {"blind_since_utc": cases.at(at), "sight_regained_utc": cases.at(at + 20.0), "detail": "timeout"}
        for at in (200.0, 400.0)
    ]
    timeline = timelines.draw(read(stories.passed().having(task_result=stories.make_result(outages=outages))))

    assert timeline is not None
    seen = [bar for bar in timeline.bars if bar.kind == "outage"]
    assert [bar.shown_name for bar in seen] == ["tasks not seen", ""]
    assert len({bar.y for bar in seen}) == 1
    (guard,) = [bar for bar in timeline.bars if bar.name == "guard"]
    assert float(guard.latest_x) == pytest.approx(timeline.plot.find_x(1238.0 + 30.0 - 60.0), abs=0.1)
    assert float(timeline.deadline_x) == pytest.approx(timeline.plot.find_x(1238.0 - 60.0), abs=0.1)


def test_a_deadline_that_is_far_off_does_not_press_the_run_into_a_corner() -> None:
    result = stories.make_result(deadline_utc=cases.at(7200.0))
    timeline = timelines.draw(read(stories.passed().having(task_result=result)))

    assert timeline is not None
    assert (timeline.deadline_x, timeline.has_latest) == ("", False)
    assert timeline.plot.last == pytest.approx(917.0)


def test_a_task_that_nobody_saw_end_goes_on_to_the_edge() -> None:
    result = stories.make_result(tasks=[stories.make_task(0), {**stories.make_task(1), "stopped_utc": None}])
    timeline = timelines.draw(read(stories.passed().having(task_result=result)))

    assert timeline is not None
    (bar,) = [bar for bar in timeline.bars if bar.name == "task 1"]
    assert bar.seconds == "not seen to end"
    assert float(bar.x) + float(bar.width) == pytest.approx(timeline.plot.right, abs=0.2)


@pytest.mark.parametrize(
    ("highest", "step"), [(0.0, 1.0), (1.0, 0.25), (7.0, 2.0), (100.0, 25.0), (1500.0, 500.0), (25_571.0, 10_000.0)]
)
def test_marks_stand_at_round_numbers(highest: float, step: float) -> None:
    assert drawing.find_round_step(highest) == step


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03"), (-5, "-0:05"), (-0.2, "0:00")],
)
def test_time_is_told_as_a_clock_does(seconds: float, words: str) -> None:
    assert drawing.describe_elapsed(seconds) == words


@hypothesis.given(st.lists(st.floats(0, 700), max_size=30).map(sorted))
def test_numbers_of_one_lane_never_touch(places: list[float]) -> None:
    lanes = drawing.spread_lanes(places, 20.0)

    for lane in set(lanes):
        mine = [place for place, number in zip(places, lanes, strict=True) if number == lane]
        assert all(after - before >= 20.0 for before, after in itertools.pairwise(mine))


@pytest.mark.parametrize("lacking", ["load", "task_result", "preflight", "metrics"])
def test_a_report_is_made_of_what_is_there(lacking: str) -> None:
    case = stories.passed().without(lacking)

    page: Any = html.render(case.verdict(), case.documents())

    assert page.startswith(b"<!doctype html>")
