"""Limits that name a step: answered from that step alone, and by nobody where its figures are split or missing."""

import json
from typing import Any

import pytest

from burst.domain.verdict import step_sections
from burst.report import html, rate_charts
from tests import cases

STEPS = [
    {"for": "60s", "rate": "10/s", "name": "warm", "count": False},
    {"for": "600s", "rate": "20/s", "name": "steady"},
    {"for": "300s", "rate": "20/s", "to": "60/s", "shape": "spike", "name": "burst"},
]
PLANNED = {"warm": 600, "steady": 12_000, "burst": 12_000}
ADMITS = {"steady": 12_000, "burst": 11_900}
STEADY_LATENCY, BURST_LATENCY = 20_000, 400_000


def make_steps(**changes: cases.Value) -> list[cases.Value]:
    """The account of each step: all was sent in time and acknowledged."""
    return [
        {
            "name": name,
            "due": events,
            "in_time": events,
            "acknowledged": events,
            "refused": {},
            "failed": {},
            "latency": [{"up_to_us": BURST_LATENCY if name == "burst" else STEADY_LATENCY, "count": events}],
            **changes.get(name, {}),
        }
        for name, events in PLANNED.items()
    ]


def make_buckets(seconds: float = 60.0, *, until: float = 960.0) -> list[cases.Value]:
    """Buckets of the counted window with the admits of each step, evenly."""
    edges, buckets = 60.0, []
    while edges < until:
        end = min(edges + seconds, until)
        rate = ADMITS["steady"] / 600 if edges < 660 else ADMITS["burst"] / 300
        admits = cases.counts(round(rate * (end - edges)), duplicate=0, quarantine=0)
        buckets.append({"start_utc": cases.at(edges), "end_utc": cases.at(end), "counts": admits})
        edges = end
    return buckets


def stepped_case(
    *, steps: list[cases.Value] | None = None, buckets: list[cases.Value] | None = None, **gates: Any
) -> cases.Case:
    """A case of three steps that passes, with the limits of steps that are given."""
    plan = cases.plan(
        load={"command": ["push-events"], "rate": STEPS},
        budget={"max": "90m", "operator_cap": "20m", "min_window": "15m"},
        gates={"multiplier": 2.5, "admit_ratio": 0.995, **gates},
        execution_id=cases.EXECUTION_ID,
    )
    filled = make_buckets() if buckets is None else buckets
    window = {"start_utc": cases.at(60), "end_utc": cases.at(960)}
    total = sum(bucket["counts"]["ADMIT"] for bucket in filled)
    load = cases.load(due=12_300, in_time=12_300, sent=12_300, undecided=0, first_utc=cases.at(0))
    load |= {"steps": make_steps() if steps is None else steps}
    return (
        cases.passing()
        .having(
            load=load,
            metrics=cases.metrics(window=window, counts=cases.counts(total, duplicate=0, quarantine=0), buckets=filled),
        )
        .under(plan)
    )


def answer(name: str, limit: float, **changes: Any) -> cases.Value:
    """The gate of one limit."""
    limits: dict[str, Any] = {name: limit}
    return cases.gate(stepped_case(**changes, **limits).verdict(), name)


@pytest.mark.parametrize(
    ("name", "limit", "status"),
    [
        ("multiplier@steady", 2.8, "PASS"),
        ("multiplier@steady", 2.9, "FAIL"),
        ("multiplier@burst", 5.6, "PASS"),
        ("multiplier@burst", 5.8, "FAIL"),
        ("admit_ratio@burst", 1.0, "PASS"),
        ("latency_p95_ms@steady", 20, "PASS"),
        ("latency_p95_ms@burst", 20, "FAIL"),
        ("error_ratio@burst", 0, "PASS"),
    ],
)
def test_a_step_is_judged_by_its_own_figures(name: str, limit: float, status: str) -> None:
    assert answer(name, limit)["status"] == status


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("multiplier@burst", {"buckets": make_buckets(90.0)}, "lies across an edge of the step"),
        ("multiplier@burst", {"buckets": make_buckets(until=900.0)}, "hold 240 s, and the step lasts 300 s"),
        ("multiplier@burst", {"buckets": []}, "hold 0 s, and the step lasts 300 s"),
        ("latency_p95_ms@burst", {"steps": make_steps()[:2]}, "no account says how the requests of burst"),
        ("error_ratio", {"steps": make_steps()[:2]}, "which answers are those of the counted steps"),
    ],
)
def test_what_is_split_or_missing_is_invalid(name: str, changes: dict[str, Any], why: str) -> None:
    gate = answer(name, 1.0, **changes)

    assert (gate["status"], gate["measured"]) == ("INVALID", None)
    assert why in gate["why"]


def test_what_is_not_counted_is_no_answer_of_the_burst() -> None:
    slow = {"latency": [{"up_to_us": 9_000_000, "count": 600}], "acknowledged": 0, "refused": {"5xx": 600}}

    assert answer("error_ratio", 0.0, steps=make_steps(warm=slow))["status"] == "PASS"
    assert answer("latency_p99_ms", 400, steps=make_steps(warm=slow))["status"] == "PASS"


def test_a_peak_that_was_not_sent_is_named_though_the_whole_was() -> None:
    case = stepped_case(steps=make_steps(steady={"due": 12_000, "in_time": 11_000}))
    gate = cases.gate(case.verdict(), "offered_load")

    assert gate["status"] == "FAIL"
    assert "in step steady it sent 11,000 in time of 12,000 due" in gate["why"]


def test_the_snapshot_states_each_step_and_the_report_draws_it() -> None:
    case = stepped_case()
    verdict = case.verdict()
    entries = verdict.snapshot.rate_steps
    assert entries is not None

    assert [(entry.name, entry.planned_events, entry.due) for entry in entries] == [
        (name, events, events) for name, events in PLANNED.items()
    ]
    assert [entry.counts.admit if entry.counts else None for entry in entries] == [None, 12_000, 11_900]
    assert step_sections.read_plan(entries) == case.plan.rate_plan
    page = html.render(verdict, cases.counted(json.loads(case.contents[cases.METRICS] or b"null"))).decode()
    assert "The load, step by step" in page
    assert "<polyline" in page


def test_the_chart_of_the_terminal_shows_the_peak_and_the_counted_part() -> None:
    plan = stepped_case().plan.rate_plan
    assert plan is not None
    lines = rate_charts.draw_lines(plan)

    assert lines[0].strip().startswith("60/s")
    assert lines[-1].strip().startswith("counted")
    assert [row.least_events_a_task for row in rate_charts.list_rows(plan, 7)] == [85, 1714, 1714]


@pytest.mark.parametrize("terminal", [40, 80, 200])
def test_the_chart_is_no_wider_than_the_terminal(terminal: int) -> None:
    plan = stepped_case().plan.rate_plan
    assert plan is not None

    lines = rate_charts.draw_lines(plan, rate_charts.fit_columns(terminal, plan, indent=11))

    assert max(map(len, lines)) <= terminal - 11
    assert max(map(len, lines)) > terminal / 3


def write_steps(sent: dict[str, float]) -> cases.Value:
    """The account of the stepped plan in which so much of each second of a step was sent: in time, as far as it was."""
    seconds: list[dict[str, Any]] = []
    for step, start, length, rate in (("warm", 0, 60, 10), ("steady", 60, 600, 20), ("burst", 660, 300, 40)):
        each = round(rate * sent.get(step, 1.0))
        seconds += [
            {"start_utc": cases.at(start + number), "due": rate, "in_time": each, "sent": each}
            | {"acknowledged": each, "refused": 0, "failed": 0}
            for number in range(length)
        ]
    total = sum(row["sent"] for row in seconds)
    whole = {"due": 24_600, "in_time": total, "sent": total, "undecided": 0, "first_utc": cases.at(0)}
    load = cases.load(tasks=1, **whole, last_utc=cases.at(960), acknowledged=total, refused={}, failed={})
    steps = make_steps(**{name: {"in_time": round(PLANNED[name] * share)} for name, share in sent.items()})
    return load | {"seconds": seconds, "steps": steps}


@pytest.mark.parametrize("step", ["steady", "burst"])
def test_a_step_that_was_withheld_is_named_also_where_it_is_the_last_one(step: str) -> None:
    """The last counted step ends with the counted window: it is judged as far as its second in which to be sent."""
    case = stepped_case(offered_load=0.5, admit_ratio=0.5)
    withheld = case.having(load=write_steps({step: 0.45}), task_result=cases.task_result(load_accounts=1, go_tasks=1))
    whole = case.having(load=write_steps({}), task_result=cases.task_result(load_accounts=1, go_tasks=1))

    gate = cases.gate(withheld.verdict(), "offered_load")

    assert (gate["status"], f"step {step}" in gate["why"]) == ("FAIL", True), gate["why"]
    assert cases.gate(whole.verdict(), "offered_load")["status"] == "PASS"


def test_a_step_in_which_all_was_in_time_and_a_part_was_sent_behind_its_end_is_withheld() -> None:
    """Four of a hundred were a little late in each second of the step, and none of them a second late."""
    load = write_steps({})
    for row in load["seconds"][660:]:
        row["sent"] = 38

    gate = cases.gate(
        stepped_case().having(load=load, task_result=cases.task_result(load_accounts=1, go_tasks=1)).verdict(),
        "offered_load",
    )

    assert gate["status"] == "FAIL"
    assert "it stayed behind in step burst" in gate["why"]
