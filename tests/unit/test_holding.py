"""Holding: a task held where it ran until it was due, by instants, whoever ended it and whatever it claims.

The story of each table row is told in seconds after GO. The property at the end plays random histories, whose truth is
the history itself.
"""

from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.documents import holding, load_documents, models, task_results, window_metrics
from burst.domain.tasks import tasks
from burst.domain.verdict import count_gates, gates, run_gates
from tests import cases

WINDOW, GRACE, SKEW = 40.0, 5.0, 2.0
BUDGET = {"max": "10m", "operator_cap": "120s", "min_window": "30s", "window": "40s", "stop_grace": "5s"}
DEADLINE = 110.0
Status = gates.GateStatus


def plan(kind: str = "ecs", tasks: int = 2, least: int | None = None, **changes: Any) -> Any:
    target = {"kind": "local"} if kind == "local" else dict(cases.ECS)
    target |= {"tasks": tasks, "min_tasks": tasks if least is None else least}
    return cases.plan(target=target, budget=BUDGET, **changes)


def entry(index: int = 1, at: float | None = WINDOW + 0.5, **changes: Any) -> cases.Value:
    """One task that obeyed STOP in the lease half a second after the run had asked for it."""
    stopped = None if at is None else cases.at(at)
    value = {
        **cases.task(index, started_utc=cases.at(-10), stopped_utc=stopped, load_ended_utc=stopped),
        "shard_index": index,
        "stop_code": "EssentialContainerExited", "exit_code": 124, "stopped_by": "lease",
        "ended_by": "lease-stop", "asked_by": "controller", "asked_utc": cases.at(WINDOW + 0.1), "end_source": "record",
    }  # fmt: skip
    return {**value, **changes}


def result(*entries: cases.Value, asked: float | None = WINDOW, **changes: Any) -> task_results.TaskResult:
    value = {
        "stop_reason": "window-complete", "go_utc": cases.at(0), "deadline_utc": cases.at(DEADLINE),
        "stop_asked_utc": None if asked is None else cases.at(asked),
    }  # fmt: skip
    stops = [one["stopped_utc"] for one in entries if one["stopped_utc"]]
    return models.read(
        task_results.TaskResult,
        cases.content(
            cases.task_result(
                tasks=list(entries), started_utc=cases.at(-10), stopped_utc=max(stops), **{**value, **changes}
            )
        ),
    )


def held(*entries: cases.Value, kind: str = "ecs", **changes: Any) -> gates.Gate:
    """The gate's answer for a task that held and these."""
    everyone = entry(0), *entries
    return run_gates.tasks_gate(plan(kind, tasks=len(everyone)), result(*everyone, **changes), "no result")


def accounts(*last_beats: float | None) -> load_documents.Load:
    """The load accounts of shards 0, 1 and so on, by the instants of their last beats; None: the shard left none."""
    value = cases.load(tasks=len(last_beats))
    for task, beat in zip(value["tasks"], last_beats, strict=True):
        task |= {"first_utc": cases.at(0), "last_utc": cases.at(beat or 0)}
    value["tasks"] = [task for task, beat in zip(value["tasks"], last_beats, strict=True) if beat is not None]
    return models.read(load_documents.Load, cases.content(value))


USER: cases.Value = {"stop_code": "UserInitiated", "exit_code": 0, "asked_by": None, "asked_utc": None}
FOREIGN: cases.Value = {**USER, "stopped_by": None, "ended_by": "stop-task", "detail": "console: operator"}
TERMED: cases.Value = {**USER, "stopped_by": None, "ended_by": "signal", "detail": "SIGTERM received"}
FORGED: cases.Value = {**USER, "stopped_by": "controller", "ended_by": "stop-task", "detail": "burst: controller"}
STALE: cases.Value = {"stopped_by": "lease", "ended_by": "lease-stale", "asked_by": None, "asked_utc": None}
HEALTH: cases.Value = {
    "stop_code": "InfrastructureHealth",
    "stopped_by": None,
    "ended_by": "platform",
    "asked_utc": None,
}
FUTURE: cases.Value = {**HEALTH, "stop_code": "CometStrike"}
BUDGET_USED: cases.Value = {
    "stopped_by": "guard",
    "ended_by": "budget",
    "asked_by": "guard",
    "asked_utc": cases.at(DEADLINE),
}
OWN: cases.Value = {
    "exit_code": 0,
    "stopped_by": None,
    "ended_by": "program-ended",
    "asked_by": None,
    "asked_utc": None,
}
CRASH: cases.Value = {**OWN, "exit_code": 1}
ENDS: dict[str, cases.Value] = {
    "stopped by a stranger": FOREIGN, "ended by TERM from outside": TERMED, "with a forged reason": FORGED,
    "with a stale lease": STALE, "taken for its host's health": HEALTH, "with a code of the future": FUTURE,
    "crashed": CRASH, "its guard's budget": BUDGET_USED,
    "swept": {**USER, "stopped_by": "sweeper", "ended_by": "stop-task"},
    "by the sidecar": {"stopped_by": "sidecar", "exit_code": 64, "ended_by": "sidecar", "asked_utc": None},
    "a document of the first release": {"stopped_by": "controller", "ended_by": None, "asked_utc": None},
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize(
    ("at", "kind", "status"),
    [
        (14.0, "ecs", Status.FAIL),
        (37.99, "ecs", Status.FAIL),
        (38.0, "ecs", Status.PASS),
        (39.99, "local", Status.FAIL),
        (40.0, "local", Status.PASS),
        (75.0, "ecs", Status.PASS),
    ],
)
def test_an_end_before_it_was_due_is_not_held_whoever_caused_it_and_a_later_one_is(
    end: cases.Value, at: float, kind: str, status: Status
) -> None:
    gate = held(entry(at=at, **end), kind=kind)

    assert gate.status is status, gate.why


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (FOREIGN, "task-1 was stopped that nobody of this run had asked for, 26 s before the window was to end"),
        (TERMED, "task-1 was ended by a signal that nobody of this run had asked for, 26 s before"),
        (STALE, "task-1 was ended by its guard, whose lease was stale, 26 s before"),
        (HEALTH, "task-1 was taken 26 s before"),
        (CRASH, "task-1 ended by itself with exit code 1 26 s before"),
    ],
)
def test_an_early_end_is_told_with_its_cause(changes: cases.Value, words: str) -> None:
    assert words in held(entry(at=14.0, **changes)).why


@pytest.mark.parametrize("rule", [None, "task-lost"])
def test_a_stop_that_the_run_asked_for_because_a_task_had_ended_excuses_none_that_had(rule: str | None) -> None:
    """The run asks half a second after it; the clocks may differ by two."""
    early = rule and {"rule": rule, "at_utc": cases.at(14.5), "receipts_seen": 9, "seconds_saved": 25.5}
    others = [entry(index, at=15.0, asked_utc=cases.at(14.6)) for index in (0, 2, 3)]
    told: cases.Value = {
        "asked": 14.5,
        "stop_reason": "early-stop" if rule else "tasks-ended",
        "early_stop": early or None,
    }

    gate = run_gates.tasks_gate(plan(tasks=4), result(*others, entry(at=14.0, **FOREIGN), **told), "no result")

    assert (gate.status, gate.measured) == (Status.FAIL, 3)


def test_a_task_that_this_run_stopped_early_for_another_reason_has_held() -> None:
    assert held(entry(at=12.5), asked=12.0, stop_reason="operator").passed
    assert held(entry(at=9.9, **FOREIGN), asked=12.0, stop_reason="operator").status is Status.FAIL


def test_a_stop_in_the_lease_counts_from_the_instant_at_which_the_guard_read_it_there() -> None:
    """The operator's STOP stands in the lease a while before the controller meets it."""
    by_operator: cases.Value = {"asked_by": "operator", "asked_utc": cases.at(12.0)}

    assert held(entry(at=12.5, **by_operator), asked=20.0, stop_reason="operator").passed
    stale: cases.Value = {**STALE, "asked_utc": cases.at(12.0)}
    assert held(entry(at=12.5, **stale), asked=20.0, stop_reason="operator").status is Status.FAIL


def test_a_stale_lease_is_held_only_by_a_task_that_had_reached_the_declared_end() -> None:
    dead: cases.Value = {"asked": 3600.0, "stop_reason": "tasks-ended"}
    late = [entry(index, at=41.0, **STALE) for index in (0, 1)]
    early = [entry(0, at=41.0, **STALE), entry(1, at=37.0, **STALE)]

    assert run_gates.tasks_gate(plan(), result(*late, **dead), "no result").passed
    assert run_gates.tasks_gate(plan(), result(*early, **dead), "no result").status is Status.FAIL


@pytest.mark.parametrize(
    ("ends", "told", "status"),
    [
        pytest.param([40.5, 35.0], {}, Status.PASS, id="within the grace of the declared end"),
        pytest.param([40.5, 34.9], {}, Status.FAIL, id="before it"),
        pytest.param([31.0, 29.0], {"asked": 31.2, "stop_reason": "tasks-ended"}, Status.PASS, id="a spent source"),
        pytest.param([34.2, 29.1], {"asked": 34.3, "stop_reason": "tasks-ended"}, Status.FAIL, id="spent unevenly"),
        pytest.param([20.0, 19.0], {"asked": 20.2, "stop_reason": "tasks-ended"}, Status.FAIL, id="spent too early"),
        pytest.param([31.0, 29.0], {"asked": 3600.0, "stop_reason": "tasks-ended"}, Status.PASS, id="seen much later"),
        pytest.param(
            [12.5, 10.0], {"asked": 12.0, "stop_reason": "operator"}, Status.PASS, id="a moment before a stop"
        ),
    ],
)
def test_programs_that_end_by_themselves_with_0_may_do_so_seconds_apart(
    ends: list[float], told: dict[str, Any], status: Status
) -> None:
    gate = run_gates.tasks_gate(
        plan(), result(*(entry(i, at=at, **OWN) for i, at in enumerate(ends)), **told), "no result"
    )

    assert gate.status is status, gate.why


@pytest.mark.parametrize("end", [FOREIGN, TERMED, HEALTH, FORGED])
def test_a_program_that_leaves_with_0_because_somebody_ended_it_did_not_end_by_itself(end: cases.Value) -> None:
    assert held(entry(at=36.0, **{**end, "exit_code": 0})).status is Status.FAIL


def test_a_task_of_which_nobody_knows_when_its_load_ended_was_lost() -> None:
    lost: cases.Value = {"stop_code": "Gone", "load_ended_utc": None, "stopped_by": None, "ended_by": None}

    assert "task-1 was lost" in held(entry(at=41.0, **lost)).why


def test_a_task_that_nobody_saw_end_is_the_question_of_the_stop() -> None:
    assert held(entry(at=None)).passed


# The last beat of a load account is a witness


GONE: cases.Value = {
    "stop_code": "Gone", "load_ended_utc": None, "stopped_by": None, "ended_by": None, "end_source": None,
    "exit_code": None, "asked_utc": None, "asked_by": None,
}  # fmt: skip
UNKNOWN_END: cases.Value = {**FOREIGN, "end_source": "container", "load_ended_utc": cases.at(28.0)}
"""A container that ended at 38 s, whose guard may have waited ten seconds for its record."""


@pytest.mark.parametrize(
    ("told", "beat", "problem"),
    [
        pytest.param(entry(at=52.0, **GONE), None, "task-1 was lost", id="lost, and no account"),
        pytest.param(entry(at=52.0, **GONE), 25.0, "task-1 was lost 15 s before", id="lost, its load ended too early"),
        pytest.param(entry(at=52.0, **GONE), 40.2, "", id="lost, its load went on to the end"),
        pytest.param(entry(at=39.0, **GONE), 90.0, "", id="a beat counts no further than its task was seen"),
        pytest.param(entry(at=30.0, **GONE), 90.0, "task-1 was lost 10 s before", id="nor does it outlive its task"),
        pytest.param(entry(at=38.5, **UNKNOWN_END), None, "12 s before", id="an end without a record"),
        pytest.param(entry(at=38.5, **UNKNOWN_END), 38.4, "", id="an end without a record, narrowed by the account"),
        pytest.param(entry(at=38.5, **UNKNOWN_END), 20.0, "12 s before", id="an early beat widens nothing"),
        pytest.param(entry(at=14.0, **FOREIGN), 41.0, "26 s before", id="what a guard recorded stands"),
        pytest.param(
            entry(at=14.0, **{**FOREIGN, "load_ended_utc": None}), 41.0, "26 s before", id="nor after its end"
        ),
    ],
)
def test_where_no_guard_recorded_the_end_the_last_beat_of_the_account_says_how_long_the_load_went_on(
    told: cases.Value, beat: float | None, problem: str
) -> None:
    gate = run_gates.tasks_gate(plan(), result(entry(0), told), "no result", accounts(40.4, beat))

    assert gate.passed is not bool(problem), gate.why
    assert problem in gate.why


def test_the_account_of_a_shard_that_two_tasks_had_is_a_witness_for_neither() -> None:
    first, second = entry(1, at=52.0, **GONE), entry(2, at=14.0, **FOREIGN, shard_index=1)
    told = result(entry(0), first, second)

    gate = run_gates.tasks_gate(plan(), told, "no result", accounts(40.4, 45.0))

    assert "task-1 was lost" in gate.why
    assert not gate.passed


# The length and the rate have an end each


def metrics(*counts: int, bucket: float = 10.0, end: float = 41.0) -> window_metrics.Metrics:
    """A window from GO to an end, its receipts bucket by bucket."""
    starts = [index * bucket for index in range(len(counts))]
    buckets = [
        {**cases.window(start, min(bucket, end - start)), "counts": cases.counts(count)}
        for start, count in zip(starts, counts, strict=True)
    ]
    value = cases.metrics(window=cases.window(0, end), counts=cases.counts(sum(counts)), buckets=buckets)
    return models.read(window_metrics.Metrics, cases.content(value))


FULL = (100, 100, 100, 100, 10)
RATE: cases.Value = {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1", "rate": 600.0}


COMMAND: cases.Value = {"command": ["program"], "rate": 600.0}


def seconds(told: task_results.TaskResult, counted: window_metrics.Metrics, **plan_changes: Any) -> float:
    """The length of the burst that the gate would measure."""
    planned = plan(load=RATE, **plan_changes)
    terms = holding.HoldingTerms.from_plan(planned)
    end = holding.find_load_end_of_burst(
        holding.judge_result(told, terms), terms, counted, holding.OfferedLoad.from_plan(planned)
    )
    gate = count_gates.duration_gate(counted, planned.budget.min_window, end)
    assert gate.passed is (gate.measured >= 30.0)  # type: ignore[operator]
    return float(gate.measured)  # type: ignore[arg-type]


def test_a_burst_that_held_is_as_long_as_its_tasks_ran() -> None:
    assert seconds(result(entry(0, at=40.8), entry(1, at=41.0)), metrics(*FULL)) == 40.8
    assert seconds(result(entry(0, at=40.8), entry(1, at=41.0)), metrics(*FULL), least=1) == 41.0


def test_a_load_that_ended_before_the_shortest_window_is_too_short_though_no_record_could_be_written() -> None:
    """S3 hangs: a stale lease ends the load after 26.9 s, the guards wait for a record, and ECS says 33.4 s."""
    hung: cases.Value = {**STALE, "ended_by": None, "end_source": "container", "load_ended_utc": cases.at(23.2)}
    ended = result(entry(0, at=33.4, **hung), entry(1, at=33.4, **hung), asked=33.6, stop_reason="tasks-ended")

    assert seconds(ended, metrics(100, 100, 69, 0, end=33.4)) == 23.2
    assert run_gates.tasks_gate(plan(), ended, "no result").status is Status.FAIL


def test_a_task_stopped_early_does_not_shorten_a_burst_that_needed_fewer() -> None:
    told = result(entry(0), entry(1, at=14.0, **FOREIGN), entry(2))

    assert seconds(told, metrics(*FULL), tasks=3) == 14.0
    assert seconds(told, metrics(*FULL), tasks=3, least=2) == 40.5


UNRECORDED: cases.Value = {"end_source": "task"}


@pytest.mark.parametrize(
    ("counts", "changes", "plan_changes", "expected"),
    [
        pytest.param((100, 100, 100, 0, 0), UNRECORDED, {}, 30.0, id="eleven silent seconds at ten events a second"),
        pytest.param((100, 100, 100, 100, 0), UNRECORDED, {}, 40.5, id="one silent second says nothing"),
        pytest.param((100, 100, 100, 0, 0), {}, {}, 40.5, id="the guards recorded that the load went on"),
        pytest.param((100, 100, 100, 0, 0), UNRECORDED, {"load": {**RATE, "source_events": 300}}, 40.5, id="spent"),
        pytest.param((0, 0, 0, 0, 0), UNRECORDED, {}, 40.5, id="not one receipt, which is another gate's question"),
        pytest.param((100, 0, 100, 100, 10), UNRECORDED, {}, 40.5, id="a gap in the middle"),
        pytest.param((100, 100, 100, 0, 0), UNRECORDED, {"load": COMMAND}, 30.0, id="the rate of a command"),
    ],
)
def test_empty_buckets_at_the_end_shorten_the_length_where_enough_was_due_and_nothing_says_otherwise(
    counts: tuple[int, ...], changes: cases.Value, plan_changes: dict[str, Any], expected: float
) -> None:
    told = result(entry(0, **changes), entry(1, **changes))
    planned: cases.Value = {"load": RATE, **plan_changes}
    offered = holding.OfferedLoad.from_plan(plan(**planned))
    terms = holding.HoldingTerms.from_plan(plan())

    end = holding.find_load_end_of_burst(holding.judge_result(told, terms), terms, metrics(*counts), offered)

    assert end.at == cases.moment(expected), end.why


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        ((41.0, 41.0), 40.5),
        ((40.2, 40.4), 40.2),
        ((40.2, 29.0), 30.0),
        ((40.2, None), 30.0),
        ((29.0, 29.0), 30.0),
        ((30.2, 30.3), 30.2),
    ],
    ids=["both went on", "until the beat", "one ended", "one left none", "both ended", "both ended soon after"],
)
def test_load_that_went_on_by_its_accounts_is_not_shortened_by_receipts_that_did_not_come(
    beats: tuple[float | None, ...], expected: float
) -> None:
    told = result(entry(0, **UNRECORDED), entry(1, **UNRECORDED))
    planned = plan(load=RATE)
    terms = holding.HoldingTerms.from_plan(planned)
    holdings = holding.judge_result(told, terms, accounts(*beats))

    end = holding.find_load_end_of_burst(
        holdings, terms, metrics(100, 100, 100, 0, 0), holding.OfferedLoad.from_plan(planned)
    )

    assert end.at == cases.moment(expected), end.why


def test_the_source_of_tasks_that_had_no_go_does_not_fill_the_last_buckets() -> None:
    """One of two tasks had GO: its half of the rate is 10 events a second, and its half of 600 events is spent."""
    planned = plan(load={**RATE, "source_events": 600})
    terms = holding.HoldingTerms.from_plan(planned)
    holdings = holding.judge_result(result(entry(0, **UNRECORDED)), terms)
    counted = metrics(100, 100, 100, 0, 0)

    ends = [
        holding.find_load_end_of_burst(holdings, terms, counted, holding.OfferedLoad.from_plan(planned, go_tasks)).at
        for go_tasks in (2, 1)
    ]

    assert ends == [cases.moment(30.0), cases.moment(40.5)]


def test_a_beat_after_the_end_of_its_task_is_no_later_than_that_end() -> None:
    """The clock of a program may be anywhere."""
    told = result(entry(0, **UNRECORDED), entry(1, **UNRECORDED))

    holdings = holding.judge_result(told, holding.HoldingTerms.from_plan(plan()), accounts(1e6, 1e6))

    assert [judged.last_beat for judged in holdings] == [judged.task.stopped_utc for judged in holdings]


# Random histories: the truth is the history itself


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueTask:
    """One task as it really went: when its load ended and by whom, and how far the clock that timed it is off."""

    ended_at: float
    by: str
    clock_error: float
    record_lost: bool
    last_beat: float
    """How long before the end of its load its account ends."""


TASKS = st.builds(
    TrueTask,
    ended_at=st.one_of(st.floats(0.5, 60.0), st.sampled_from([30.0, 39.0, 40.0, 40.5])),
    by=st.sampled_from(sorted(ENDS.keys() - {"a document of the first release", "its guard's budget"})),
    clock_error=st.floats(-SKEW, SKEW),
    record_lost=st.booleans(),
    last_beat=st.floats(0.0, 10.0),
)


def tell(index: int, true: TrueTask, asked_at: float) -> cases.Value:
    """What documents hold of a task: its end by a clock that is off, and without a record only a bound of it."""
    if true.ended_at >= asked_at:  # whoever meant to end it, this run's STOP came first or at once
        return entry(index, at=max(true.ended_at, asked_at) + true.clock_error, asked_utc=cases.at(asked_at))
    told = true.ended_at + true.clock_error
    lost: cases.Value = {"load_ended_utc": cases.at(told - 10), "end_source": "container"} if true.record_lost else {}
    return entry(index, at=told + (8.0 if true.record_lost else 0.0), **{**ENDS[true.by], **lost})


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    history=st.lists(TASKS, min_size=1, max_size=5),
    least=st.integers(1, 5),
    asks_at=st.one_of(st.just(WINDOW), st.floats(1.0, 60.0)),
    reason=st.sampled_from(["window-complete", "operator", "task-lost", "tasks-ended"]),
)
def test_no_history_in_which_too_few_tasks_ran_to_the_end_is_said_to_have_held(
    history: list[TrueTask], least: int, asks_at: float, reason: str
) -> None:
    """A run that ends its burst for want of a task asks only once one has ended before the window's end."""
    lost = [true.ended_at for true in history if true.ended_at < WINDOW]
    by_tasks = reason in ("task-lost", "tasks-ended")
    hypothesis.assume(not by_tasks or lost)
    if by_tasks:
        asks_at = max(lost) + 0.3 if reason == "tasks-ended" else min(lost) + 0.3
        hypothesis.assume(reason != "tasks-ended" or len(lost) == len(history))
    end_of_window = WINDOW if by_tasks else min(asks_at, WINDOW)
    allowed = 2 * SKEW  # a clock that is off, and the tolerance for it
    truly_held = sum(true.ended_at >= asks_at or true.ended_at >= end_of_window - allowed for true in history)
    hypothesis.assume(truly_held < min(least, len(history)))

    early = {"rule": "task-lost", "at_utc": cases.at(asks_at), "receipts_seen": 0, "seconds_saved": 0}
    told = result(
        *(tell(index, true, asks_at) for index, true in enumerate(history)),
        asked=asks_at,
        stop_reason="early-stop" if reason == "task-lost" else reason,
        early_stop=early if reason == "task-lost" else None,
    )
    planned = plan(tasks=len(history), least=min(least, len(history)))
    load = accounts(*(max(0.0, true.ended_at - true.last_beat) + true.clock_error for true in history))
    gate = run_gates.tasks_gate(planned, told, "no result", load)

    assert gate.status is not Status.PASS, (gate.why, told.tasks)


def test_every_cause_that_a_guard_records_is_told_in_words() -> None:
    for cause in tasks.EndCause:
        why = held(entry(at=14.0, ended_by=cause.value, asked_utc=None)).why
        assert why.startswith("task-1 "), cause
