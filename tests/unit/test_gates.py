"""Gates: exact at their edges, and never a PASS where the facts do not say so."""

import math
from fractions import Fraction
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical, windows
from burst.domain.documents import fact_answers, models, task_results, window_metrics
from burst.domain.plan import catalogues, fact_sections, plans
from burst.domain.receipts import receipts
from burst.domain.verdict import baselines, count_gates, gates, run_gates
from tests import cases

Status = gates.GateStatus
REFERENCE = baselines.Baseline(admits=50100, seconds=7180, source="M10.E")
ATTEMPT = windows.Window(cases.moment(0), cases.moment(990))


def _metrics(**changes: Any) -> window_metrics.Metrics:
    return models.read(window_metrics.Metrics, cases.content(cases.metrics(**changes)))


def _counted(admit: int, duplicate: int = 0, quarantine: int = 0, other: int = 0) -> window_metrics.Metrics:
    return _metrics(counts=cases.counts(admit, duplicate, quarantine, other))


def _result(**changes: Any) -> task_results.TaskResult:
    return models.read(task_results.TaskResult, cases.content(cases.task_result(**changes)))


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_reaches_nothing(value: float | None) -> None:
    assert not gates.at_least(value, -1e308)


@pytest.mark.parametrize("measured", [math.nan, math.inf, -math.inf, 2**53, -(2**60)])
def test_a_number_json_cannot_hold_is_kept_as_unknown(measured: float) -> None:
    gate = gates.Gate(name="a", blocker="B1", status=Status.FAIL, measured=measured, required=measured, why="")

    assert (gate.measured, gate.required) == (None, None)


@pytest.mark.parametrize("measured", [True, 0, 2**53 - 1, -1.5, "text", None])
def test_a_measure_json_can_hold_is_kept_as_it_is(measured: gates.Value) -> None:
    gate = gates.Gate(name="a", blocker="B1", status=Status.FAIL, measured=measured, required=1, why="")

    assert gate.measured is measured


# The multiplier


def test_the_multiplier_is_divided_in_the_order_of_the_contract() -> None:
    counts = receipts.Counts(admit=18840, duplicate=7)

    assert count_gates.multiplier(counts, 900.0, REFERENCE) == (18840 / 900.0) / (50100 / 7180)
    assert count_gates.multiplier(counts, 900.0, REFERENCE) == 3.000026613439787


@pytest.mark.parametrize(
    ("admits", "status"),
    [(18839, Status.FAIL), (18840, Status.PASS), (0, Status.FAIL), (10**9, Status.PASS)],
)
def test_the_multiplier_passes_from_the_first_admit_that_reaches_it(admits: int, status: Status) -> None:
    gate = count_gates.multiplier_gate(_counted(admits, 1), REFERENCE, 3.0)

    assert gate.status is status
    assert gate.measured == (admits / 900.0) / (50100 / 7180)


def test_a_multiplier_exactly_as_required_passes() -> None:
    exact = baselines.Baseline(admits=300, seconds=900, source="round numbers")

    assert count_gates.multiplier_gate(_counted(900), exact, 3.0).status is Status.PASS
    assert count_gates.multiplier_gate(_counted(899), exact, 3.0).status is Status.FAIL


def test_receipts_of_no_decision_are_no_data_for_the_ratio_and_no_admits_for_the_multiplier() -> None:
    metrics = _counted(0, 0, quarantine=5)

    assert count_gates.admit_ratio_gate(metrics, 0.995).status is Status.INVALID
    assert count_gates.multiplier_gate(metrics, REFERENCE, 3.0).measured == 0.0


@pytest.mark.parametrize(
    ("metrics", "baseline", "said"),
    [
        pytest.param(None, REFERENCE, "no counts", id="no metrics"),
        pytest.param(_counted(0), REFERENCE, "NO_DATA", id="no receipts"),
        pytest.param(_counted(18840), None, "baseline", id="no baseline"),
    ],
)
def test_a_multiplier_without_its_facts_is_invalid_and_no_number(
    metrics: window_metrics.Metrics | None, baseline: baselines.Baseline | None, said: str
) -> None:
    gate = count_gates.multiplier_gate(metrics, baseline, 3.0)

    assert gate.status is Status.INVALID
    assert gate.measured is None
    assert said in gate.why


def test_an_endless_multiplier_does_not_pass_and_has_bytes() -> None:
    slowest = baselines.Baseline(admits=1, seconds=1.7e308, source="a forgery")

    gate = count_gates.multiplier_gate(_counted(10**15), slowest, 3.0)

    assert gate.status is Status.FAIL
    assert canonical.encode(gate.measured) == b"null"


# The admit ratio


@pytest.mark.parametrize(
    ("admit", "duplicate", "required", "status"),
    [
        pytest.param(199, 1, 0.995, Status.PASS, id="exactly 0.995"),
        pytest.param(199 * 10**9, 10**9, 0.995, Status.PASS, id="exactly 0.995 of many"),
        pytest.param(199 * 10**9 - 1, 10**9 + 1, 0.995, Status.FAIL, id="one of many too few"),
        pytest.param(7, 3, 0.7, Status.PASS, id="exactly 0.7"),
        pytest.param(1, 0, 1.0, Status.PASS, id="all of one"),
        pytest.param(10**15, 1, 1.0, Status.FAIL, id="all but one, though the float is 1.0"),
        pytest.param(0, 10002, 0.995, Status.FAIL, id="none of 10002"),
        pytest.param(1, 999_999, 1e-06, Status.PASS, id="a requirement with an exponent"),
        pytest.param(0, 0, 0.995, Status.INVALID, id="0/0"),
    ],
)
def test_the_edge_of_the_admit_ratio_is_exact(admit: int, duplicate: int, required: float, status: Status) -> None:
    assert count_gates.admit_ratio_gate(_counted(admit, duplicate), required).status is status


@hypothesis.given(admit=st.integers(0, 10**12), duplicate=st.integers(0, 10**12), per_mille=st.integers(1, 1000))
def test_the_admit_ratio_is_compared_as_a_fraction_of_the_decimal_written(
    admit: int, duplicate: int, per_mille: int
) -> None:
    gate = count_gates.admit_ratio_gate(_counted(admit, duplicate), per_mille / 1000)

    reached = admit + duplicate > 0 and Fraction(admit, admit + duplicate) >= Fraction(per_mille, 1000)
    assert (gate.status is Status.PASS) is reached


@hypothesis.given(admit=st.integers(0, 10**6), duplicate=st.integers(0, 10**6))
def test_one_more_duplicate_never_turns_a_no_into_a_yes(admit: int, duplicate: int) -> None:
    before = count_gates.admit_ratio_gate(_counted(admit, duplicate), 0.995)
    after = count_gates.admit_ratio_gate(_counted(admit, duplicate + 1), 0.995)

    assert before.status is Status.PASS or after.status is not Status.PASS


def test_a_ratio_without_counts_is_invalid() -> None:
    assert count_gates.admit_ratio_gate(None, 0.5).status is Status.INVALID


# The duration


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(900.0, Status.PASS), (899.999999, Status.FAIL), (900.000001, Status.PASS)],
)
def test_the_counted_window_is_long_enough_to_the_microsecond(seconds: float, status: Status) -> None:
    assert count_gates.duration_gate(_metrics(window=cases.window(60, seconds)), 900.0).status is status


def test_what_misses_by_a_hair_is_not_said_to_reach() -> None:
    slow = baselines.Baseline(admits=50100, seconds=7179.9, source="M10.E")
    ran_over = _result(tasks=[cases.task(0, stopped_utc=cases.at(5400.000001))])

    assert count_gates.multiplier_gate(_counted(18840), slow, 3.0).why == "2.99998483 times the baseline, 3.0 required"
    assert count_gates.duration_gate(_metrics(window=cases.window(60, 899.999999)), 900.0).why == (
        "counted 899.999999 s, 900 s required"
    )
    assert run_gates.budget_gate(ran_over, 5400.0, "").why == "ran 5400.000001 s, 0.000001 s over the budget"
    assert _evidence(_metrics(clock_skew_seconds=2.0000001))["clock_skew_seconds"].why == (
        "the clocks differ by at most 2.0000001 s"
    )


def test_no_window_is_no_duration() -> None:
    assert count_gates.duration_gate(None, 900.0).status is Status.INVALID


# The evidence


def _evidence(
    metrics: window_metrics.Metrics | None, attempt: windows.Window | None = ATTEMPT
) -> dict[str, gates.Gate]:
    answers: list[gates.Gate | None] = [count_gates.metrics_gate(metrics, "no metrics")]
    if metrics is not None:
        answers += [count_gates.attempt_gate(metrics, attempt, "no attempt"), count_gates.clock_gate(metrics, 2.0)]
        answers += [ask(metrics) for ask in COUNT_GATES]
    asked = [gate for gate in answers if gate is not None]
    assert all(gate.blocker is catalogues.Role.EVIDENCE for gate in asked)
    return {gate.name: gate for gate in asked}


COUNT_GATES = (
    count_gates.binding_gate,
    count_gates.settling_gate,
    count_gates.vanished_gate,
    count_gates.decisions_gate,
    count_gates.buckets_gate,
)


def _refused(answers: dict[str, gates.Gate]) -> set[str]:
    return {name for name, gate in answers.items() if gate.status is not Status.PASS}


def test_sound_counts_of_the_attempt_are_trusted() -> None:
    assert _refused(_evidence(_metrics())) == set()


def test_counts_that_are_not_there_are_not_trusted() -> None:
    assert _refused(_evidence(None)) == {"window_metrics"}


@pytest.mark.parametrize(
    ("start", "seconds", "refused"),
    [
        pytest.param(0.0, 990.0, set(), id="the whole attempt"),
        pytest.param(-0.000001, 900.0, {"attempt_scoped"}, id="begins a microsecond early"),
        pytest.param(90.0, 900.000001, {"attempt_scoped"}, id="ends a microsecond late"),
        pytest.param(-3600.0, 900.0, {"attempt_scoped"}, id="an earlier attempt"),
        pytest.param(990.0, 900.0, {"attempt_scoped"}, id="next to it"),
    ],
)
def test_a_window_that_is_not_inside_the_attempt_is_refused(start: float, seconds: float, refused: set[str]) -> None:
    assert _refused(_evidence(_metrics(window=cases.window(start, seconds)))) == refused


def test_a_window_of_an_attempt_nobody_saw_is_refused() -> None:
    assert _refused(_evidence(_metrics(), attempt=None)) == {"attempt_scoped"}


def _bucket(start: float, seconds: float, **counts: int) -> cases.Value:
    return {**cases.window(start, seconds), "counts": cases.counts(**counts)}


def _binds(**changes: str) -> cases.Value:
    return {"start": cases.at(60), "end": cases.at(960), "scope": cases.SCOPE, "bucket": "60s", **changes}


def _rounds(*admits: int) -> cases.Value:
    return {"settle_rounds": [{"counted_utc": cases.at(1000), "counts": cases.counts(admit)} for admit in admits]}


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        pytest.param({"settled": True}, set(), id="settled"),
        pytest.param({"settled": None}, set(), id="settling not said"),
        pytest.param({"settled": False}, {"settled"}, id="never settled"),
        pytest.param({"settled": True, **_rounds(18840, 18840)}, set(), id="rounds that agree"),
        pytest.param(_rounds(18839, 18840, 18840), set(), id="rounds that agree at last, settling not said"),
        pytest.param({"settled": True, **_rounds(18839, 18840)}, {"settled"}, id="settled, say rounds that differ"),
        pytest.param({"settled": True, **_rounds(18840)}, {"settled"}, id="settled by one round"),
        pytest.param({"settled": True, **_rounds(18839, 18839)}, {"settled"}, id="rounds of other counts"),
        pytest.param(_rounds(18841, 18840, 18840), {"none_vanished"}, id="a receipt that vanished"),
        pytest.param(_rounds(18840, 18839, 18840, 18840), {"none_vanished"}, id="one that vanished and came back"),
        pytest.param({"vanished": cases.counts(1)}, {"none_vanished"}, id="vanished, without the rounds"),
        pytest.param({"vanished": cases.counts(0)}, set(), id="none vanished"),
        pytest.param({"database_clock_utc": cases.at(960)}, set(), id="counted as the window ended"),
        pytest.param({"database_clock_utc": cases.at(959.999999)}, {"settled"}, id="counted before the window ended"),
        pytest.param({"binds": _binds()}, set(), id="bound as said"),
        pytest.param({"binds": _binds(start="2026-02-21T04:01:00+02:00")}, set(), id="bound in another zone"),
        pytest.param({"binds": {"since": "yesterday"}}, set(), id="bound by names of its own"),
        pytest.param({"binds": _binds(scope="other")}, {"bound_as_said"}, id="another scope bound"),
        pytest.param({"binds": _binds(start=cases.at(59))}, {"bound_as_said"}, id="an earlier start bound"),
        pytest.param({"binds": _binds(end="today")}, {"bound_as_said"}, id="no end bound"),
        pytest.param({"counts": cases.counts(other=1)}, {"known_decisions"}, id="one receipt of another decision"),
        pytest.param({"buckets": [_bucket(60, 450, admit=18000), _bucket(510, 450, admit=840)]}, set(), id="add up"),
        pytest.param({"buckets": [_bucket(60, 900, admit=18839)]}, {"buckets_add_up"}, id="one admit short"),
        pytest.param(
            {"buckets": [_bucket(60, 900, admit=18839, duplicate=1)]}, {"buckets_add_up"}, id="another decision"
        ),
        pytest.param({"buckets": [_bucket(60, 900, admit=2**53 - 1)] * 3}, {"buckets_add_up"}, id="beyond JSON"),
        pytest.param({"clock_skew_seconds": 2.0}, set(), id="skew at the limit"),
        pytest.param({"clock_skew_seconds": -2.000001}, {"clock_skew_seconds"}, id="skew over it, behind"),
        pytest.param(
            {"clock_skew_seconds": 1.5, "clock_round_trip_seconds": 1.0}, set(), id="skew at the limit with round trip"
        ),
        pytest.param(
            {"clock_skew_seconds": -1.5, "clock_round_trip_seconds": 1.1},
            {"clock_skew_seconds"},
            id="round trip takes it over",
        ),
        pytest.param(
            {"clock_skew_seconds": 1.7e308, "clock_round_trip_seconds": 1.7e308}, {"clock_skew_seconds"}, id="endless"
        ),
    ],
)
def test_counts_not_to_be_trusted_are_refused_each_for_its_own_reason(
    changes: dict[str, Any], refused: set[str]
) -> None:
    assert _refused(_evidence(_metrics(**changes))) == refused


# Scope coherence


DOCUMENTS = [("a.json", cases.EXECUTION_ID, cases.SCOPE), ("b.json", cases.EXECUTION_ID, cases.SCOPE)]


@pytest.mark.parametrize(
    ("plan", "given", "problem", "status"),
    [
        pytest.param(cases.plan(), DOCUMENTS, "", Status.PASS, id="one run, one scope"),
        pytest.param(cases.plan(), [*DOCUMENTS, ("c", "other", cases.SCOPE)], "", Status.FAIL, id="another run"),
        pytest.param(
            cases.plan(), [*DOCUMENTS, ("c", cases.EXECUTION_ID, "other")], "", Status.FAIL, id="another scope"
        ),
        pytest.param(cases.plan(scope="other"), DOCUMENTS, "", Status.FAIL, id="not the plan's scope"),
        pytest.param(cases.plan(scope="fresh"), DOCUMENTS, "", Status.INVALID, id="a scope never resolved"),
        pytest.param(cases.plan(execution_id="other"), DOCUMENTS, "", Status.FAIL, id="not the plan's run"),
        pytest.param(cases.plan(), DOCUMENTS, "metrics are missing", Status.INVALID, id="one is missing"),
        pytest.param(cases.plan(), [], "all are missing", Status.INVALID, id="none is there"),
    ],
)
def test_documents_must_speak_of_one_run_and_scope(
    plan: plans.Plan, given: list[tuple[str, str, str]], problem: str, status: Status
) -> None:
    assert run_gates.coherence_gate(plan, given, problem).status is status


# Facts


@pytest.mark.parametrize(
    ("value", "expectation", "status"),
    [
        pytest.param(0, {"equals": 0}, Status.PASS, id="as wanted"),
        pytest.param(0.0, {"equals": 0}, Status.PASS, id="the same number"),
        pytest.param(1, {"equals": 0}, Status.FAIL, id="another number"),
        pytest.param("0", {"equals": 0}, Status.FAIL, id="text is no number"),
        pytest.param(0, {"equals": "0"}, Status.FAIL, id="a number is no text"),
        pytest.param(False, {"equals": 0}, Status.FAIL, id="false is not 0"),
        pytest.param(True, {"equals": 1}, Status.FAIL, id="true is not 1"),
        pytest.param(1, {"equals": True}, Status.FAIL, id="1 is not true"),
        pytest.param(0, {"equals": False}, Status.FAIL, id="0 is not false"),
        pytest.param(True, {"equals": True}, Status.PASS, id="true"),
        pytest.param("done", {"equals": "done"}, Status.PASS, id="the same text"),
        pytest.param("Done", {"equals": "done"}, Status.FAIL, id="almost the same text"),
        pytest.param(None, {"equals": 0}, Status.INVALID, id="no answer"),
        pytest.param(10, {"at_most": 10}, Status.PASS, id="at the upper limit"),
        pytest.param(10.0000001, {"at_most": 10}, Status.FAIL, id="over it"),
        pytest.param(-5, {"at_most": 10}, Status.PASS, id="under it"),
        pytest.param(10, {"at_least": 10}, Status.PASS, id="at the lower limit"),
        pytest.param(9.9999999, {"at_least": 10}, Status.FAIL, id="under the lower limit"),
        pytest.param(0, {"at_most": 0}, Status.PASS, id="a limit of 0 is a limit"),
        pytest.param(1, {"at_most": 0}, Status.FAIL, id="over a limit of 0"),
        pytest.param(False, {"at_most": 10}, Status.FAIL, id="false is under no limit"),
        pytest.param(True, {"at_least": 1}, Status.FAIL, id="true reaches no limit"),
        pytest.param("3", {"at_most": 10}, Status.FAIL, id="text is under no limit"),
        pytest.param(None, {"at_most": 10}, Status.INVALID, id="no answer under a limit"),
        pytest.param(None, {"at_least": 0}, Status.INVALID, id="no answer over a limit"),
    ],
)
def test_a_fact_passes_only_as_the_kind_and_value_wanted(
    value: object, expectation: dict[str, Any], status: Status
) -> None:
    entry = fact_answers.FactEntry.model_validate(cases.fact("B2", "a", value, **expectation))

    assert run_gates.fact_gate(entry, "B2").status is status


def test_an_answer_that_could_not_be_had_says_why() -> None:
    entry = fact_answers.FactEntry.model_validate(cases.fact("B2", "a", None, equals=0, detail="timed out after 60 s"))

    assert run_gates.fact_gate(entry, "B2").why == "timed out after 60 s"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("expectation", [{"equals": 0}, {"at_most": 10}, {"at_least": 0}], ids=str)
def test_a_number_that_is_none_passes_no_expectation(value: float, expectation: dict[str, Any]) -> None:
    entry = fact_answers.FactEntry.model_construct(
        blocker="M10F-B2", name="a", value=value, equals=None, at_most=None, at_least=None
    ).model_copy(update=expectation)

    assert run_gates.fact_gate(entry, "B2").status is Status.FAIL


@pytest.mark.parametrize(
    ("answered", "asked", "same"),
    [
        ({"equals": 0}, {"equals": 0}, True),
        ({"equals": 0}, {"equals": 0.0}, True),
        ({"equals": False}, {"equals": 0}, False),
        ({"equals": 1}, {"equals": True}, False),
        ({"equals": "0"}, {"equals": 0}, False),
        ({"at_most": 11}, {"at_most": 10}, False),
        ({"at_least": 10}, {"at_most": 10}, False),
        ({"at_most": 0}, {"equals": 0}, False),
    ],
    ids=str,
)
def test_an_answer_to_another_expectation_is_known(answered: dict[str, Any], asked: dict[str, Any], same: bool) -> None:
    entry = fact_answers.FactEntry.model_validate(cases.fact("B2", "a", 0, **answered))
    fact = fact_sections.FactSection.model_validate({"blocker": "M10F-B2", "name": "a", "sql": "select 0", **asked})

    assert run_gates.same_expectation(entry, fact) is same


# The budget


def _budget(result: task_results.TaskResult | None, budget: float = 990.0) -> tuple[Status, Status]:
    ran, proven = run_gates.budget_gate(result, budget, "no task result"), run_gates.stop_gate(result, "no task result")
    return ran.status, proven.status


@pytest.mark.parametrize(("budget", "status"), [(990.0, Status.PASS), (989.999999, Status.FAIL), (5400.0, Status.PASS)])
def test_the_budget_is_kept_to_the_microsecond(budget: float, status: Status) -> None:
    assert _budget(_result(), budget) == (status, Status.PASS)


@pytest.mark.parametrize(
    ("result", "statuses"),
    [
        pytest.param(None, (Status.INVALID, Status.INVALID), id="no task result"),
        pytest.param(_result(tasks=[]), (Status.PASS, Status.INVALID), id="no task in it"),
        pytest.param(
            _result(started_utc=None, stopped_utc=None, tasks=[]), (Status.INVALID, Status.INVALID), id="nothing in it"
        ),
        pytest.param(
            _result(tasks=[cases.task(0), cases.task(1, stopped_utc=None)]), (Status.PASS, Status.FAIL), id="unseen"
        ),
        pytest.param(
            _result(tasks=[cases.task(0, stopped_utc=cases.at(991))]), (Status.FAIL, Status.PASS), id="ran over"
        ),
        pytest.param(
            _result(tasks=[cases.task(0), cases.task(1, stopped_utc=cases.at(-0.000001))]),
            (Status.PASS, Status.INVALID),
            id="stopped before it started",
        ),
    ],
)
def test_a_budget_is_kept_only_when_it_was_seen_to_be(
    result: task_results.TaskResult | None, statuses: tuple[Status, Status]
) -> None:
    assert _budget(result) == statuses


@pytest.mark.parametrize(
    ("stopped_at", "changes", "status", "late"),
    [
        pytest.param(1100, {}, Status.PASS, 0, id="before the deadline"),
        pytest.param(1235, {}, Status.PASS, 35, id="at the end of grace and slack"),
        pytest.param(1235.000001, {}, Status.FAIL, 35.000001, id="a microsecond later"),
        pytest.param(1260, {"load_ended_utc": cases.at(1230)}, Status.INVALID, 60, id="perhaps in time"),
        pytest.param(1260, {"load_ended_utc": cases.at(1240)}, Status.FAIL, 60, id="the load itself went on"),
        pytest.param(None, {}, Status.INVALID, None, id="not seen to end"),
    ],
)
def test_the_deadline_is_kept_where_the_last_task_ended_by_deadline_and_grace(
    stopped_at: float | None, changes: cases.Value, status: Status, late: float | None
) -> None:
    last = cases.task(1, stopped_utc=None if stopped_at is None else cases.at(stopped_at), **changes)
    result = _result(tasks=[cases.task(0), last], deadline_utc=cases.at(1200))

    gate = run_gates.deadline_gate(cases.plan(), result)

    assert gate is not None
    assert (gate.status, gate.measured, gate.required) == (status, late, 35.0)


def test_the_deadline_is_not_asked_about_where_nobody_states_it() -> None:
    assert run_gates.deadline_gate(cases.plan(), _result()) is None


# The execution


def _held(
    *tasks: cases.Value,
    told: dict[str, Any] | None = None,
    **plan_changes: Any,
) -> gates.Gate:
    result = _result(tasks=list(tasks), **(told or {}))
    return run_gates.tasks_gate(cases.plan(**plan_changes), result, "no result")


@pytest.mark.parametrize(
    ("tasks", "least", "status"),
    [
        pytest.param([0, 1], 2, Status.PASS, id="as many as planned"),
        pytest.param([0], 2, Status.FAIL, id="one was never launched"),
        pytest.param([0], 1, Status.PASS, id="as few as allowed"),
        pytest.param([0, 0], 2, Status.FAIL, id="one told of twice"),
        pytest.param([], 1, Status.FAIL, id="none"),
    ],
)
def test_as_many_tasks_must_hold_as_the_plan_needs(tasks: list[int], least: int, status: Status) -> None:
    target = {"kind": "local", "tasks": 2, "min_tasks": least}

    assert _held(*(cases.task(index) for index in tasks), target=target).status is status


SPOT = {"stop_code": "SpotInterruption", "stopped_by": None, "detail": "Your Spot Task was interrupted."}


def test_a_taken_task_is_not_said_to_have_ended_by_itself() -> None:
    held = _held(cases.task(0), cases.task(1, **SPOT, stopped_utc=cases.at(600)))

    assert held.why == "task-1 was taken 300 s before the window was to end (Your Spot Task was interrupted.)"


def test_a_task_that_failed_says_why() -> None:
    task = cases.task(1, started_utc=None, stopped_by=None, stop_code="TaskFailedToStart", detail="no such image")

    assert "task-1 never started (no such image)" in _held(cases.task(0), task).why


@pytest.mark.parametrize(
    ("metrics", "status"),
    [
        pytest.param(_counted(1), Status.PASS, id="one receipt"),
        pytest.param(_counted(0, 10002), Status.PASS, id="duplicates are load too"),
        pytest.param(_counted(0), Status.FAIL, id="not one receipt"),
        pytest.param(None, Status.INVALID, id="not counted"),
    ],
)
def test_load_is_delivered_when_one_receipt_was_counted(metrics: window_metrics.Metrics | None, status: Status) -> None:
    assert count_gates.load_gate(metrics, "no metrics").status is status


def test_without_a_task_result_nothing_held() -> None:
    held = run_gates.tasks_gate(cases.plan(), None, "the task result is missing")

    assert held.status is Status.INVALID
    assert held.why == "the task result is missing"
