"""Lifecycle: from a journal so far and an instant to the next act, by table and by property."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burst.domain.basics import errors, instants, windows
from burst.domain.receipts import early_stops, receipts
from burst.domain.run import journals, lifecycle, run_terms, task_result_builder
from burst.domain.run.events import base, ending_events, errand_events, launch_events, watch_events
from burst.domain.tasks import leases, tasks, worst_ends
from tests import cases, fakes

TERMS = run_terms.RunTerms(
    tasks=2,
    least_tasks=2,
    layers=("guard", "lease"),
    required_layers=frozenset({"guard"}),
    cap_seconds=100.0,
    window_seconds=30.0,
    start_timeout_seconds=20.0,
    grace_seconds=5.0,
    early_stop=True,
    sequential=early_stops.EarlyStopTerms(
        admit_ratio=0.9,
        window_seconds=30.0,
        min_window_seconds=30.0,
        required_admits_per_second=None,
        offered_per_second=None,
        source_events=100,
        no_receipts_seconds=10.0,
    ),
)
DEADLINE = 100.0
OBEYED_AT = 5.0 * leases.OBEYING_SHARE
FORCE_AT = 5.0 + worst_ends.FORCE_AFTER_GRACE_SECONDS


def at(seconds: float) -> datetime:
    return instants.later(fakes.START, seconds)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a journal, so many seconds after its first."""

    seconds: float
    event: base.Event


def line(seconds: float, event: base.Event) -> Line:
    return Line(seconds, event)


def journal(*lines: Line) -> tuple[journals.Entry, ...]:
    return tuple(
        journals.Entry(sequence=number, at=at(each.seconds), event=each.event)
        for number, each in enumerate(lines, start=1)
    )


def decide(*lines: Line, now: float, terms: run_terms.RunTerms = TERMS) -> lifecycle.Decision:
    return lifecycle.decide(journals.fold(journal(*lines)), at(now), terms)


def seen(seconds: float, shard: int, status: tasks.TaskStatus = tasks.TaskStatus.RUNNING, **changes: Any) -> Line:
    task = tasks.Task(task_id=f"t{shard}", shard_index=shard)
    stopped = at(seconds) if status is tasks.TaskStatus.STOPPED else None
    truth = tasks.TaskTruth(task=task, status=status, started_at=at(2), stopped_at=stopped)
    return Line(seconds, watch_events.TaskSeen.from_truth(replace(truth, **changes)))


def counted(start: float, end: float, admit: int = 0, duplicate: int = 0) -> Line:
    counts = receipts.Counts(admit=admit, duplicate=duplicate)
    return line(end, watch_events.Counted(start=at(start), end=at(end), counts=counts))


def armed(layer: str) -> Line:
    return line(0, launch_events.LayerArmed(layer=layer, detail="armed"))


def stopped(seconds: float, *shards: int) -> tuple[Line, ...]:
    return tuple(seen(seconds, shard, tasks.TaskStatus.STOPPED) for shard in shards)


ENTRIES = tuple(tasks.Task(task_id=f"t{shard}", shard_index=shard) for shard in range(2))
CREATED = line(0, cases.run_created(execution_id="run-1", deadline=at(DEADLINE)))
ARMED = (CREATED, armed("guard"), armed("lease"))
INTENDED = (*ARMED, line(1, launch_events.LaunchIntended(token="run-1", shards=(0, 1), capacity=None)))
LAUNCHED = (*INTENDED, line(2, launch_events.LaunchAnswered(tasks=ENTRIES, failures=())))
SHORT = (*INTENDED, line(2, launch_events.LaunchAnswered(tasks=ENTRIES[:1], failures=())))
"""The launch of two tasks was answered with one task, and no reason for the other."""
STILL_SHORT = tuple(
    line(seconds, event)
    for seconds in (3, 5, 9)
    for event in (
        launch_events.LaunchIntended(token="run-1", shards=(1,), capacity=None),
        launch_events.LaunchAnswered(tasks=(), failures=()),
    )
)
READY = (*LAUNCHED, line(3, launch_events.TaskReady(shard_index=0)), line(3, launch_events.TaskReady(shard_index=1)))


def sample(seconds: float, value: int | None) -> Line:
    return line(
        seconds,
        watch_events.SampleTaken(
            series="lag", asked_at=at(seconds), answered_at=at(seconds), of=None, value=value, scope=None, detail="no"
        ),
    )


SILENT, ANSWERED = sample(3, None), sample(4, 3)
GONE = (*READY, line(4, launch_events.GoGiven(go_at=at(4))))
STOPPING = (*GONE, line(34, ending_events.StopIntended(reason="window-complete", force=False, early_stop=None)))
STOPPING_EACH = (*STOPPING, line(34, ending_events.StopEachIntended()))
FORCED = (*STOPPING, line(40, ending_events.StopIntended(reason="window-complete", force=True, early_stop=None)))
ENDED = (*STOPPING, *stopped(35, 0, 1))
SIGINT = line(5, watch_events.Interrupted(signal="SIGINT"))
RESUMED = line(5, launch_events.Resumed(minor=1))
MEASURED = line(36, ending_events.Measured(counts=receipts.Counts(), rounds=2, settled=True))
BLIND = line(33, watch_events.Blind(why="away"))


def stop(reason: str, *, force: bool = False) -> lifecycle.Stop:
    return lifecycle.Stop(reason=reason, force=force)


def wait(seconds: float, due: str) -> lifecycle.Wait:
    return lifecycle.Wait(until=at(seconds), due=due)


WINDOW = windows.Window(at(4), at(35))
TABLE: dict[str, tuple[tuple[Line, ...], float, lifecycle.Decision]] = {
    # the journal so far, now: the next act
    "nothing known": ((), 0, stop("deadline")),
    "first layer": ((CREATED,), 0, lifecycle.Arm(layer="guard")),
    "second layer": (ARMED[:2], 0, lifecycle.Arm(layer="lease")),
    "a layer being armed is armed again": (
        (*ARMED[:2], line(0, launch_events.LayerArming(layer="lease"))),
        0,
        lifecycle.Arm(layer="lease"),
    ),
    "a spare layer failed": (
        (*ARMED[:2], line(0, launch_events.LayerFailed(layer="lease", why="no"))),
        0,
        lifecycle.Launch(shards=(0, 1)),
    ),
    "a required layer failed": (
        (CREATED, line(0, launch_events.LayerFailed(layer="guard", why="no"))),
        0,
        stop("layer-not-armed: guard"),
    ),
    "all armed": (ARMED, 1, lifecycle.Launch(shards=(0, 1))),
    "all armed just before the deadline": (ARMED, 99.9, stop("no-time-left-for-the-window")),
    "all armed at the deadline": (ARMED, 100, stop("deadline")),
    "launch begun and not answered": (INTENDED, 2, wait(21, "giving up on tasks that do not start")),
    "launch failed": ((*INTENDED, line(2, launch_events.LaunchFailed(why="no"))), 2, stop("launch-failed")),
    "launched": (LAUNCHED, 3, wait(21, "giving up on tasks that do not start")),
    "one ready": (READY[:-1], 3, wait(21, "giving up on tasks that do not start")),
    "one that was not started, without a reason": (SHORT, 3, lifecycle.Launch(shards=(1,), attempt=2)),
    "one that was not started, without a reason, asked for a moment ago": (SHORT, 1.5, wait(2, "the next launch")),
    "one that was never started, without a reason": (
        (*SHORT, *STILL_SHORT),
        12,
        stop("too-few-tasks: the launch started 0 of 1 tasks and gave no reason"),
    ),
    "one that was started twice": (
        (*INTENDED, line(2, launch_events.LaunchAnswered(tasks=ENTRIES[:1] * 2, failures=()))),
        3,
        lifecycle.Launch(shards=(1,), attempt=2),
    ),
    "all ready": (READY, 3, lifecycle.Go()),
    "ready, and one is gone": ((*READY, *stopped(3, 1)), 3, stop("task-ended-before-go")),
    "ready at the last moment": (READY, 20.9, lifecycle.Go()),
    "not ready in time": (READY[:-1], 21, stop("not-ready-in-time")),
    "ready when it is too late to start": (READY, 21, stop("not-ready-in-time")),
    "ready, and a series has not answered": (
        (*READY, SILENT),
        21,
        stop("series-silent: lag"),
    ),
    "one is not ready, and a series has not answered": ((*READY[:-1], SILENT), 21, stop("not-ready-in-time")),
    "one was not started, and a series has not answered": (
        (*SHORT, line(3, launch_events.TaskReady(shard_index=0)), SILENT),
        21,
        stop("not-ready-in-time"),
    ),
    "ready when it is too late to start, and the series has answered": (
        (*READY, SILENT, ANSWERED),
        21,
        stop("not-ready-in-time"),
    ),
    "GO given": (GONE, 5, wait(34, "window complete")),
    "the window's last moment": (GONE, 33.9, wait(34, "window complete")),
    "window complete": (GONE, 34, stop("window-complete")),
    "window complete, long ago": (GONE, 99, stop("window-complete")),
    "all ended by themselves": ((*GONE, *stopped(10, 0, 1)), 10, stop("tasks-ended")),
    "operator": ((*GONE, line(5, watch_events.OperatorStop(reason="enough"))), 5, stop("operator")),
    "operator before launch": ((*ARMED, line(0, watch_events.OperatorStop(reason="enough"))), 1, stop("operator")),
    "interrupted": ((*GONE, SIGINT), 5, stop("interrupted")),
    "interrupted before launch": ((*ARMED, SIGINT), 5, stop("interrupted")),
    "interrupted before arming": ((CREATED, SIGINT), 5, stop("interrupted")),
    "interrupted and past the deadline": ((*GONE, SIGINT), 100, stop("interrupted")),
    "past the deadline after GO": (GONE, 100, stop("deadline")),
    "resumed before launch": ((*ARMED, RESUMED), 5, stop("resumed-before-go")),
    "resumed in arming": ((CREATED, RESUMED), 5, stop("resumed-before-go")),
    "resumed in launching": ((*INTENDED, RESUMED), 5, stop("resumed-before-go")),
    "resumed when ready": ((*READY, RESUMED), 5, stop("resumed-before-go")),
    "resumed after GO": ((*GONE, RESUMED), 5, wait(34, "window complete")),
    "resumed with a GO that no launch explains": ((*ARMED, GONE[-1], RESUMED), 5, stop("resumed-before-go")),
    "resumed past the deadline": ((*GONE, RESUMED), 100, stop("deadline")),
    "stopping": (STOPPING, 35, wait(34 + OBEYED_AT, "stopping tasks that do not obey the lease")),
    "stopping, the lease not obeyed": (STOPPING, 34 + OBEYED_AT, lifecycle.StopEach()),
    "stopping where no lease is armed": ((*STOPPING[:2], *STOPPING[3:]), 34, lifecycle.StopEach()),
    "stopping where the lease cannot be written": (
        (*GONE, line(33, watch_events.LeaseUnwritable(why="away")), STOPPING[-1]),
        34,
        lifecycle.StopEach(),
    ),
    "stopping where the lease can be written again": (
        (
            *GONE,
            line(32, watch_events.LeaseUnwritable(why="away")),
            line(33, watch_events.LeaseWritable()),
            STOPPING[-1],
        ),
        34,
        wait(34 + OBEYED_AT, "stopping tasks that do not obey the lease"),
    ),
    "stopping each": (STOPPING_EACH, 35, wait(34 + FORCE_AT, "killing tasks that do not stop")),
    "stopping each, grace over": (STOPPING_EACH, 34 + FORCE_AT, stop("window-complete", force=True)),
    "stopping, grace over": (STOPPING, 34 + FORCE_AT, stop("window-complete", force=True)),
    "stopping, asked once more": (
        (*STOPPING, SIGINT),
        35,
        wait(34 + OBEYED_AT, "stopping tasks that do not obey the lease"),
    ),
    "stopping, asked twice more": ((*STOPPING, SIGINT, SIGINT), 35, stop("window-complete", force=True)),
    "killed": (FORCED, 41, wait(50, "giving up on tasks that do not die")),
    "killed and asked twice": ((*FORCED, SIGINT, SIGINT), 41, wait(50, "giving up on tasks that do not die")),
    "killed in vain": (FORCED, 50, lifecycle.Measure(window=None)),
    "one killed in vain": ((*FORCED, *stopped(41, 0)), 50, lifecycle.Measure(window=windows.Window(at(4), at(41)))),
    "killed unseen": ((*FORCED[:-1], BLIND, FORCED[-1]), 50, wait(115, "giving up on tasks that do not die")),
    "killed unseen, the layers done": ((*FORCED[:-1], BLIND, FORCED[-1]), 115, lifecycle.Measure(window=None)),
    "killed unseen, asked twice": (
        (*FORCED[:-1], BLIND, FORCED[-1], SIGINT, SIGINT),
        50,
        lifecycle.Measure(window=None),
    ),
    "seen again after the kill": (
        (*FORCED[:-1], BLIND, FORCED[-1], line(45, watch_events.SightRegained())),
        45,
        stop("window-complete", force=True),
    ),
    "seen again before the kill": (
        (*FORCED[:-1], BLIND, line(38, watch_events.SightRegained()), FORCED[-1]),
        45,
        wait(50, "giving up on tasks that do not die"),
    ),
    "seen again when the layers are done": (
        (*FORCED[:-1], BLIND, FORCED[-1], line(115, watch_events.SightRegained())),
        115,
        lifecycle.Measure(window=None),
    ),
    "stopping a launch nobody answered for": (
        (*INTENDED, line(2, ending_events.StopIntended(reason="x", force=False, early_stop=None))),
        2 + OBEYED_AT,
        lifecycle.StopEach(),
    ),
    "the launch is accounted for: nothing ran": (
        (
            *INTENDED,
            line(2, ending_events.StopIntended(reason="x", force=False, early_stop=None)),
            line(3, launch_events.TasksFound(tasks=(), accounted=True)),
        ),
        3,
        lifecycle.Measure(window=None),
    ),
    "ended": (ENDED, 36, lifecycle.Measure(window=WINDOW)),
    "ended without GO": ((*READY, STOPPING[-1], *stopped(35, 0, 1)), 36, lifecycle.Measure(window=None)),
    "ended after two interruptions": ((*ENDED, SIGINT, SIGINT), 36, lifecycle.Measure(window=None)),
    "ended after one interruption": ((*ENDED, SIGINT), 36, lifecycle.Measure(window=WINDOW)),
    "measuring again after a crash": (
        (*ENDED, line(36, ending_events.MeasureIntended(window=None)), RESUMED),
        37,
        lifecycle.Measure(window=WINDOW),
    ),
    "measured": ((*ENDED, MEASURED), 37, lifecycle.Publish()),
    "not measured": ((*ENDED, line(36, ending_events.MeasureFailed(why="no"))), 37, lifecycle.Publish()),
    "published and not finished": (
        (*ENDED, MEASURED, line(37, ending_events.Published(sha256="0"))),
        37,
        lifecycle.Publish(),
    ),
    "finished": (
        (*ENDED, MEASURED, line(37, ending_events.RunFinished(exit_code=3, why="no"))),
        37,
        lifecycle.Finish(exit_code=3),
    ),
    "finished, and asked to resume": (
        (*ENDED, line(37, ending_events.RunFinished(exit_code=0, why="no")), RESUMED, SIGINT),
        1e6,
        lifecycle.Finish(exit_code=0),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_next_act_of_a_journal(name: str) -> None:
    lines, now, expected = TABLE[name]

    assert decide(*lines, now=now) == expected


def test_a_window_that_no_longer_fits_before_the_deadline_is_not_begun() -> None:
    patient = replace(TERMS, start_timeout_seconds=90.0)

    assert decide(*READY, now=69.9, terms=patient) == lifecycle.Go()
    assert decide(*READY, now=70.0, terms=patient) == stop("no-time-left-for-the-window")


def test_fewer_tasks_than_planned_go_where_the_plan_allows_it_once_all_that_live_are_ready() -> None:
    lenient = replace(TERMS, least_tasks=1)
    refused = tasks.LaunchFailure(shortage=tasks.Shortage.QUOTA, reason="no more")
    one = (*INTENDED, line(2, launch_events.LaunchAnswered(tasks=ENTRIES[:1], failures=(refused,))))

    assert decide(*one, now=3, terms=lenient) == wait(21, "giving up on tasks that do not start")
    assert decide(*one, READY[-2], now=3, terms=lenient) == lifecycle.Go()
    assert decide(*READY[:-1], now=3, terms=lenient) == wait(21, "giving up on tasks that do not start")


# A launch that was not answered

PATIENT = replace(TERMS, appears_seconds=300.0)
UNANSWERED = (
    *INTENDED,
    line(3, launch_events.LaunchFailed(why="no answer")),
    line(3, ending_events.StopIntended(reason="launch-failed", force=False, early_stop=None)),
    line(9, ending_events.StopIntended(reason="launch-failed", force=True, early_stop=None)),
)
APPEAR = "giving up on tasks that an unanswered launch may have started"


def test_a_launch_that_was_not_answered_is_waited_for_as_long_as_its_tasks_may_be_missing() -> None:
    assert decide(*UNANSWERED, now=100, terms=PATIENT) == wait(303, APPEAR)
    assert decide(*UNANSWERED, now=303, terms=PATIENT) == lifecycle.Measure(window=None)


def test_whoever_asks_twice_for_the_end_does_not_wait_for_an_unanswered_launch() -> None:
    assert decide(*UNANSWERED, SIGINT, SIGINT, now=100, terms=PATIENT) == lifecycle.Measure(window=None)


def test_a_task_that_is_found_after_the_last_stop_is_stopped_too() -> None:
    found = line(100, launch_events.TasksFound(tasks=ENTRIES[:1], accounted=False))
    again = line(101, ending_events.StopIntended(reason="launch-failed", force=True, early_stop=None))

    assert decide(*UNANSWERED, found, now=100, terms=PATIENT) == stop("launch-failed", force=True)
    assert decide(*UNANSWERED, found, again, now=102, terms=PATIENT) == wait(303, APPEAR)


def test_a_dead_controller_may_have_launched_until_it_was_found_dead_or_its_deadline_was_over() -> None:
    def asked_last_at(resumed: float) -> datetime | None:
        lines = (*INTENDED, line(resumed, launch_events.Resumed(minor=2)), line(resumed + 9, RESUMED.event))
        return journals.fold(journal(*lines)).asked_last_at

    assert asked_last_at(50) == at(50)
    assert asked_last_at(5000) == at(DEADLINE)


# Early stop


def test_a_task_lost_after_go_ends_a_burst_that_needs_it() -> None:
    decision = decide(*GONE, *stopped(10, 1), now=10)

    assert isinstance(decision, lifecycle.Stop)
    assert decision.early_stop is not None
    assert (decision.reason, decision.early_stop.rule, decision.early_stop.seconds_saved) == (
        "early-stop",
        "task-lost",
        24.0,
    )


OWN_END = {"exit_code": 0, "stop_code": tasks.StopCode.ESSENTIAL_EXITED}
SOURCE_SPENT = replace(TERMS.sequential, window_seconds=14.0, min_window_seconds=6.0)
LONG_GRACE = replace(TERMS, window_seconds=14.0, grace_seconds=9.0)
"""A window of 14 s with a grace of 9 s: a program that ends by itself with 0 five seconds after GO has held."""


@pytest.mark.parametrize(
    ("ended_at", "now", "changes", "terms", "expected"),
    [
        pytest.param(6, 7, OWN_END, LONG_GRACE, True, id="by itself, within the grace of the declared end"),
        pytest.param(4.9, 5, OWN_END, LONG_GRACE, False, id="by itself, before the grace"),
        pytest.param(6, 7, {**OWN_END, "exit_code": 1}, LONG_GRACE, False, id="by itself, with an error"),
        pytest.param(
            6, 7, {"stop_code": "UserInitiated", "exit_code": 0}, LONG_GRACE, False, id="stopped by a stranger"
        ),
        pytest.param(6, 7, {**OWN_END, "stop_code": "InfrastructureHealth"}, LONG_GRACE, False, id="taken"),
        pytest.param(
            7, 8, OWN_END, replace(LONG_GRACE, grace_seconds=3.0, sequential=SOURCE_SPENT), True, id="a spent one"
        ),
        pytest.param(
            7,
            10.1,
            OWN_END,
            replace(LONG_GRACE, grace_seconds=3.0, sequential=SOURCE_SPENT),
            False,
            id="spent long ago",
        ),
    ],
)
def test_a_burst_is_ended_for_want_of_a_task_only_where_the_gate_could_not_pass_any_more(
    ended_at: float, now: float, changes: dict[str, Any], terms: run_terms.RunTerms, expected: bool
) -> None:
    terms = replace(terms, sequential=replace(terms.sequential, window_seconds=14.0))

    decision = decide(*GONE, seen(4 + ended_at, 1, tasks.TaskStatus.STOPPED, **changes), now=4 + now, terms=terms)

    assert (decision == wait(18, "window complete")) is expected, decision
    assert isinstance(decision, lifecycle.Wait | lifecycle.Stop)


@pytest.mark.parametrize(
    ("ended_at", "now", "reason"),
    [
        (26, 36, "tasks-ended"),
        (26, DEADLINE + 50, "tasks-ended"),
        (34.5, 36, "window-complete"),
        (34.5, DEADLINE + 50, "deadline"),
    ],
)
def test_a_late_controller_says_why_the_burst_ended_and_not_which_time_has_passed_since(
    ended_at: float, now: float, reason: str
) -> None:
    late = line(now - 0.2, launch_events.Resumed(minor=1))

    assert decide(*GONE, late, *stopped(ended_at, 0, 1), now=now) == stop(reason)


def test_a_hopeless_burst_is_ended_with_what_it_saw_and_saved() -> None:
    decision = decide(*GONE, counted(4, 6, duplicate=6), counted(6, 8, duplicate=5), now=9)

    assert isinstance(decision, lifecycle.Stop)
    early = decision.early_stop
    assert early is not None
    assert (early.rule, early.receipts_seen, early.seconds_saved, early.at_utc) == ("ratio-impossible", 11, 25.0, at(9))


@pytest.mark.parametrize("by", ["plan", "run"])
def test_no_early_stop_where_it_was_declined(by: str) -> None:
    terms = replace(TERMS, early_stop=by != "plan")
    created = line(0, cases.run_created(execution_id="run-1", deadline=at(DEADLINE), early_stop=by != "run"))
    lines = (created, *GONE[1:], counted(4, 8, duplicate=50), *stopped(10, 1))

    assert decide(*lines, now=10, terms=terms) == wait(34, "window complete")


def test_the_run_asked_for_the_end_when_the_operator_did_and_else_when_it_stopped() -> None:
    operator = line(9, watch_events.OperatorStop(reason="burst stop"))
    stopping = line(10, ending_events.StopIntended(reason="operator", force=False, early_stop=None))

    def asked(*lines: Line) -> datetime | None:
        return journals.fold(journal(*lines)).stop_asked_at

    assert (asked(*GONE), asked(*GONE, operator), asked(*GONE, operator, stopping)) == (None, at(9), at(9))
    assert asked(*STOPPING) == asked(*FORCED) == at(34)


@pytest.mark.parametrize("ahead_seconds", [0.5, 30.0, 120.0])
def test_a_task_that_was_lost_is_lost_however_far_ahead_the_clock_of_its_platform_is(ahead_seconds: float) -> None:
    end = tasks.TaskEnd(
        cause=tasks.EndCause.STOP_TASK, load_ended_at=at(13.9 + ahead_seconds), source=tasks.EndSource.CONTAINER
    )
    truth = tasks.TaskTruth(
        task=ENTRIES[0],
        status=tasks.TaskStatus.STOPPED,
        started_at=at(3),
        stopped_at=at(13.9 + ahead_seconds),
        stop_code="UserInitiated",
        end=end,
    )
    lines = (*GONE, line(14, watch_events.TaskSeen.from_truth(truth)))

    decision = decide(*lines, now=14.5, terms=replace(TERMS, tolerance_seconds=0.2))

    assert isinstance(decision, lifecycle.Stop)
    assert decision.early_stop is not None
    assert (decision.early_stop.rule, decision.early_stop.detail) == ("task-lost", "1 task left, 2 needed")
    entry = task_result_builder.task_entry(journals.fold(journal(*lines)), truth)
    assert entry.stopped_utc == at(13.9 + ahead_seconds)
    assert journals.fold(journal(*lines)).truths["t0"].end == replace(
        end, load_ended_at=at(14), source=tasks.EndSource.SIGHT
    )


def test_a_launch_that_was_answered_in_an_odd_way_makes_no_later_one_accounted_for() -> None:
    odd = (tasks.LaunchFailure(shortage=tasks.Shortage.OTHER, reason="a failure of nobody"),)
    answered = line(2, launch_events.LaunchAnswered(tasks=ENTRIES, failures=odd))
    later = line(3, launch_events.LaunchIntended(token="2", shards=(0,), capacity=None, replaces=("t0",)))

    run = journals.fold(journal(*INTENDED, answered, later))

    assert run.unaccounted
    assert run.asked_tasks == 3


@pytest.mark.parametrize("cause", [tasks.EndCause.SIGNAL, tasks.EndCause.STOP_TASK])
@pytest.mark.parametrize(
    ("ended_at", "asked"), [(33, (None, None)), (34, ("controller", at(34))), (36, ("controller", at(34)))]
)
def test_nobody_asked_for_an_end_that_came_before_the_run_asked_for_it(
    cause: tasks.EndCause, ended_at: float, asked: tuple[str | None, datetime | None]
) -> None:
    truth = tasks.TaskTruth(
        task=tasks.Task(task_id="t0", shard_index=0),
        status=tasks.TaskStatus.STOPPED,
        started_at=at(3),
        stopped_at=at(ended_at),
        stopped_by=tasks.Layer.CONTROLLER,
        end=tasks.TaskEnd(cause=cause),
    )

    entry = task_result_builder.task_entry(journals.fold(journal(*STOPPING)), truth)

    assert (entry.asked_by, entry.asked_utc) == asked


def test_a_complete_window_is_not_called_an_early_stop() -> None:
    assert decide(*GONE, counted(4, 33, duplicate=50), now=34) == stop("window-complete")


def test_the_early_stop_survives_the_journal() -> None:
    decision = decide(*GONE, counted(4, 8, duplicate=50), now=9)
    assert isinstance(decision, lifecycle.Stop)
    assert decision.early_stop is not None
    event = ending_events.StopIntended(reason="early-stop", force=False, early_stop=decision.early_stop)

    run = journals.fold(journal(*GONE, line(9, event)))

    assert run.early_stop == decision.early_stop


# Folding


def test_tasks_found_again_keep_what_was_seen_of_them() -> None:
    run = journals.fold(
        journal(*LAUNCHED, seen(3, 0), line(5, launch_events.TasksFound(tasks=ENTRIES, accounted=True)))
    )

    assert run.truths["t0"].status is tasks.TaskStatus.RUNNING
    assert run.truths["t1"].status is tasks.TaskStatus.PENDING


def test_sight_lost_and_regained_twice_is_two_outages_each_with_its_end() -> None:
    lines = (
        *GONE,
        line(5, watch_events.Blind(why="a")),
        line(6, watch_events.SightRegained()),
        line(8, watch_events.Blind(why="b")),
    )

    run = journals.fold(journal(*lines))

    assert [outage.sight_regained_utc for outage in run.outages] == [at(6), None]
    assert run.blind_since == at(8)
    assert journals.fold(journal(*lines, line(9, watch_events.SightRegained()))).blind_since is None


@pytest.mark.parametrize(
    "event",
    [
        watch_events.SightRegained(),
        watch_events.Counted(start=at(4), end=at(4), counts=receipts.Counts()),
        errand_events.OneShotStarted(name="migrate", task_id="t0"),
        errand_events.OneShotIntended(name="migrate", timeout_seconds=1e300, exit_code=0, task_definition=None),
    ],
    ids=lambda event: event.wire_name,
)
def test_an_event_that_cannot_follow_is_corrupt_and_named(event: base.Event) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match=rf"event 1 \({event.wire_name}\)"):
        journals.fold(journal(line(0, event)))


# Properties

MOMENTS = st.integers(0, 130).map(float)
SHARDS = st.integers(0, 1)
LAYERS = st.sampled_from(TERMS.layers)
ANY_EVENT: tuple[st.SearchStrategy[base.Event], ...] = (
    st.builds(launch_events.LayerArmed, layer=LAYERS, detail=st.just("armed")),
    st.builds(launch_events.LayerFailed, layer=LAYERS, why=st.just("no")),
    st.builds(launch_events.LaunchIntended, token=st.just("t"), shards=st.just((0, 1)), capacity=st.none()),
    st.builds(launch_events.LaunchAnswered, tasks=st.sampled_from([ENTRIES, ENTRIES[:1], ()]), failures=st.just(())),
    st.builds(launch_events.LaunchFailed, why=st.just("no")),
    st.builds(launch_events.TasksFound, tasks=st.sampled_from([ENTRIES, ENTRIES[1:], ()]), accounted=st.just(True)),
    st.builds(launch_events.TaskReady, shard_index=SHARDS),
    st.builds(launch_events.GoGiven, go_at=MOMENTS.map(at)),
    st.builds(watch_events.Blind, why=st.just("away")),
    st.builds(watch_events.Interrupted, signal=st.just("SIGINT")),
    st.builds(watch_events.OperatorStop, reason=st.just("enough")),
    st.builds(launch_events.Resumed, minor=st.just(1)),
    st.builds(ending_events.StopIntended, reason=st.just("x"), force=st.booleans(), early_stop=st.none()),
    st.builds(ending_events.Measured, counts=st.just(receipts.Counts()), rounds=st.just(2), settled=st.just(True)),
    st.builds(ending_events.Published, sha256=st.just("0")),
)
ANY_LINE: st.SearchStrategy[Line] = st.one_of(
    st.builds(line, MOMENTS, st.one_of(ANY_EVENT)),
    st.builds(seen, MOMENTS, SHARDS, st.sampled_from(tasks.TaskStatus)),
    st.builds(counted, st.just(4.0), st.integers(5, 40).map(float), st.integers(0, 50), st.integers(0, 50)),
)
JOURNALS = st.lists(ANY_LINE, max_size=14).map(lambda lines: (CREATED, *lines))


@given(lines=JOURNALS, cut=st.integers(0, 15))
def test_folding_a_prefix_and_then_the_rest_is_folding_all(lines: tuple[Line, ...], cut: int) -> None:
    events = journal(*lines)

    assert journals.fold(events[cut:], journals.fold(events[:cut])) == journals.fold(events)


@settings(max_examples=400)
@given(lines=JOURNALS, now=MOMENTS)
def test_no_journal_whatever_launches_or_goes_when_it_must_not(lines: tuple[Line, ...], now: float) -> None:
    run = journals.fold(journal(*lines))

    decision = lifecycle.decide(run, at(now), TERMS)

    if isinstance(decision, lifecycle.Arm | lifecycle.Launch | lifecycle.Go):
        assert now < DEADLINE
        assert run.resumed_at is None or (isinstance(decision, lifecycle.Arm) and run.go_at is not None)
        assert run.stopping is None
        assert not run.interruptions
        assert run.operator_stop is None
    if isinstance(decision, lifecycle.Launch):
        assert run.launching_at is None
        assert all(run.layers[layer] == "armed" for layer in TERMS.required_layers)
    if isinstance(decision, lifecycle.Go):
        assert {truth.task.shard_index for truth in run.carriers} <= run.ready
        assert len(run.carriers) >= TERMS.least_tasks
        assert now + TERMS.window_seconds < DEADLINE


@settings(max_examples=400)
@given(lines=JOURNALS, now=MOMENTS)
def test_no_journal_whatever_is_measured_or_published_while_its_tasks_may_still_be_stopped(
    lines: tuple[Line, ...], now: float
) -> None:
    run = journals.fold(journal(*lines))

    decision = lifecycle.decide(run, at(now), TERMS)

    if isinstance(decision, lifecycle.Measure | lifecycle.Publish):
        assert run.stopping is not None
        assert run.ended or (
            run.stopping.forced_at is not None
            and at(now) >= instants.later(run.stopping.forced_at, worst_ends.GIVE_UP_AFTER_FORCE_SECONDS)
        )


@settings(max_examples=400)
@given(lines=JOURNALS, now=MOMENTS)
def test_every_wait_ends_at_an_instant_ahead_and_not_past_the_deadline_and_the_stop(
    lines: tuple[Line, ...], now: float
) -> None:
    run = journals.fold(journal(*lines))

    decision = lifecycle.decide(run, at(now), TERMS)

    if isinstance(decision, lifecycle.Wait):
        assert decision.until is not None
        assert decision.until > at(now)
        if run.stopping is None:
            assert now < DEADLINE


SLOW_STEPS = [
    {"for": "10m", "rate": "0.5/min", "name": "slow"},
    {"for": "5m", "rate": "60/s", "name": "burst"},
]


@pytest.mark.parametrize(
    ("load", "silence_seconds"),
    [
        ({"rate": 600}, 60.0),
        ({"rate": 1}, 960.0),
        ({"rate": SLOW_STEPS}, 960.0),
        ({"rate": [{"for": "15m", "rate": "1/min", "to": "6000/min", "name": "ramp"}]}, 60.0),
        ({}, 60.0),
    ],
)
def test_a_window_in_which_hardly_anything_is_due_is_not_called_silent(
    load: dict[str, Any], silence_seconds: float
) -> None:
    plan = cases.plan(load={"command": ["push-events"], **load}, budget={**BUDGET, "start_timeout": "60s"})

    assert run_terms.make_early_stop_terms(plan, None).no_receipts_seconds == silence_seconds


BUDGET = {"max": "90m", "operator_cap": "20m", "min_window": "15m"}
