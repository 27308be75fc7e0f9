"""Lifecycle: from a journal so far and an instant to the next act, by table and by property."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burst.domain.basics import errors, instants, windows
from burst.domain.receipts import early_stops
from burst.domain.run import journals, lifecycle
from burst.domain.tasks import tasks
from tests import fakes

TERMS = lifecycle.RunTerms(
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
FORCE_AT = 5.0 + lifecycle.FORCE_AFTER_GRACE_SECONDS


def at(seconds: float) -> datetime:
    return instants.later(fakes.START, seconds)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a journal, so many seconds after its first."""

    seconds: float
    name: str
    fields: Mapping[str, Any]


def line(seconds: float, name: str, /, **fields: Any) -> Line:
    return Line(seconds, name, fields)


def journal(*lines: Line) -> tuple[journals.Event, ...]:
    return tuple(
        journals.Event(sequence=number, at=at(each.seconds), name=each.name, fields=each.fields)
        for number, each in enumerate(lines, start=1)
    )


def decide(*lines: Line, now: float, terms: lifecycle.RunTerms = TERMS) -> lifecycle.Decision:
    return lifecycle.decide(journals.fold(journal(*lines)), at(now), terms)


def seen(seconds: float, shard: int, status: tasks.TaskStatus = tasks.TaskStatus.RUNNING, **changes: Any) -> Line:
    task = tasks.Task(task_id=f"t{shard}", shard_index=shard)
    stopped = at(seconds) if status is tasks.TaskStatus.STOPPED else None
    truth = tasks.TaskTruth(task=task, status=status, started_at=at(2), stopped_at=stopped)
    return Line(seconds, "task-seen", journals.truth_fields(replace(truth, **changes)))


def counted(start: float, end: float, admit: int = 0, duplicate: int = 0) -> Line:
    counts = {"admit": admit, "duplicate": duplicate, "quarantine": 0, "other": 0}
    return line(end, "counted", start=instants.text(at(start)), end=instants.text(at(end)), counts=counts)


def stopped(seconds: float, *shards: int) -> tuple[Line, ...]:
    return tuple(seen(seconds, shard, tasks.TaskStatus.STOPPED) for shard in shards)


ENTRIES = [{"task_id": f"t{shard}", "shard_index": shard} for shard in range(2)]
CREATED = line(0, "run-created", execution_id="run-1", deadline=instants.text(at(DEADLINE)), early_stop=True)
ARMED = (CREATED, line(0, "layer-armed", layer="guard"), line(0, "layer-armed", layer="lease"))
INTENDED = (*ARMED, line(1, "launch-intended", token="run-1", shards=[0, 1]))
LAUNCHED = (*INTENDED, line(2, "launch-answered", tasks=ENTRIES))
READY = (*LAUNCHED, line(3, "task-ready", shard_index=0), line(3, "task-ready", shard_index=1))
GONE = (*READY, line(4, "go-given", go_at=instants.text(at(4))))
STOPPING = (*GONE, line(34, "stop-intended", reason="window-complete", force=False, early_stop=None))
FORCED = (*STOPPING, line(40, "stop-intended", reason="window-complete", force=True, early_stop=None))
ENDED = (*STOPPING, *stopped(35, 0, 1))
SIGINT = line(5, "interrupted", signal="SIGINT")
RESUMED = line(5, "resumed")
MEASURED = line(36, "measured", counts={}, rounds=2, settled=True)
BLIND = line(33, "blind", why="away")


def stop(reason: str, *, force: bool = False) -> lifecycle.Stop:
    return lifecycle.Stop(reason=reason, force=force)


def wait(seconds: float, what: str) -> lifecycle.Wait:
    return lifecycle.Wait(until=at(seconds), what=what)


WINDOW = windows.Window(at(4), at(35))
TABLE: dict[str, tuple[tuple[Line, ...], float, lifecycle.Decision]] = {
    # the journal so far, now: the next act
    "nothing known": ((), 0, stop("deadline")),
    "first layer": ((CREATED,), 0, lifecycle.Arm(layer="guard")),
    "second layer": (ARMED[:2], 0, lifecycle.Arm(layer="lease")),
    "a layer being armed is armed again": (
        (*ARMED[:2], line(0, "layer-arming", layer="lease")),
        0,
        lifecycle.Arm(layer="lease"),
    ),
    "a spare layer failed": (
        (*ARMED[:2], line(0, "layer-failed", layer="lease", why="no")),
        0,
        lifecycle.Launch(shards=(0, 1)),
    ),
    "a required layer failed": (
        (CREATED, line(0, "layer-failed", layer="guard", why="no")),
        0,
        stop("layer-not-armed: guard"),
    ),
    "all armed": (ARMED, 1, lifecycle.Launch(shards=(0, 1))),
    "all armed just before the deadline": (ARMED, 99.9, stop("no-time-left-for-the-window")),
    "all armed at the deadline": (ARMED, 100, stop("deadline")),
    "launch begun and not answered": (INTENDED, 2, wait(21, "giving up on tasks that do not start")),
    "launch failed": ((*INTENDED, line(2, "launch-failed", why="no")), 2, stop("launch-failed")),
    "launched": (LAUNCHED, 3, wait(21, "giving up on tasks that do not start")),
    "one ready": (READY[:-1], 3, wait(21, "giving up on tasks that do not start")),
    "one never answered for": (
        (*INTENDED, line(2, "launch-answered", tasks=ENTRIES[:1]), *READY[-2:]),
        3,
        stop("task-ended-before-go"),
    ),
    "all ready": (READY, 3, lifecycle.Go()),
    "ready, and one is gone": ((*READY, *stopped(3, 1)), 3, stop("task-ended-before-go")),
    "ready at the last moment": (READY, 20.9, lifecycle.Go()),
    "not ready in time": (READY[:-1], 21, stop("not-ready-in-time")),
    "ready when it is too late to start": (READY, 21, stop("not-ready-in-time")),
    "GO given": (GONE, 5, wait(34, "window complete")),
    "the window's last moment": (GONE, 33.9, wait(34, "window complete")),
    "window complete": (GONE, 34, stop("window-complete")),
    "window complete, long ago": (GONE, 99, stop("window-complete")),
    "all ended by themselves": ((*GONE, *stopped(10, 0, 1)), 10, stop("tasks-ended")),
    "operator": ((*GONE, line(5, "operator-stop", reason="enough")), 5, stop("operator")),
    "operator before launch": ((*ARMED, line(0, "operator-stop", reason="enough")), 1, stop("operator")),
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
    "stopping": (STOPPING, 35, wait(34 + FORCE_AT, "killing tasks that do not stop")),
    "stopping, grace over": (STOPPING, 34 + FORCE_AT, stop("window-complete", force=True)),
    "stopping, asked once more": ((*STOPPING, SIGINT), 35, wait(34 + FORCE_AT, "killing tasks that do not stop")),
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
        (*FORCED[:-1], BLIND, FORCED[-1], line(45, "sight-regained")),
        45,
        stop("window-complete", force=True),
    ),
    "seen again before the kill": (
        (*FORCED[:-1], BLIND, line(38, "sight-regained"), FORCED[-1]),
        45,
        wait(50, "giving up on tasks that do not die"),
    ),
    "seen again when the layers are done": (
        (*FORCED[:-1], BLIND, FORCED[-1], line(115, "sight-regained")),
        115,
        lifecycle.Measure(window=None),
    ),
    "stopping a launch nobody answered for": (
        (*INTENDED, line(2, "stop-intended", reason="x", force=False)),
        3,
        wait(2 + FORCE_AT, "killing tasks that do not stop"),
    ),
    "the launch is accounted for: nothing ran": (
        (*INTENDED, line(2, "stop-intended", reason="x", force=False), line(3, "tasks-found", tasks=[])),
        3,
        lifecycle.Measure(window=None),
    ),
    "ended": (ENDED, 36, lifecycle.Measure(window=WINDOW)),
    "ended without GO": ((*READY, STOPPING[-1], *stopped(35, 0, 1)), 36, lifecycle.Measure(window=None)),
    "ended after two interruptions": ((*ENDED, SIGINT, SIGINT), 36, lifecycle.Measure(window=None)),
    "ended after one interruption": ((*ENDED, SIGINT), 36, lifecycle.Measure(window=WINDOW)),
    "measuring again after a crash": (
        (*ENDED, line(36, "measure-intended", window=None), RESUMED),
        37,
        lifecycle.Measure(window=WINDOW),
    ),
    "measured": ((*ENDED, MEASURED), 37, lifecycle.Publish()),
    "not measured": ((*ENDED, line(36, "measure-failed", why="no")), 37, lifecycle.Publish()),
    "published and not finished": ((*ENDED, MEASURED, line(37, "published", sha256="0")), 37, lifecycle.Publish()),
    "finished": ((*ENDED, MEASURED, line(37, "run-finished", exit_code=3)), 37, lifecycle.Finish(exit_code=3)),
    "finished, and asked to resume": (
        (*ENDED, line(37, "run-finished", exit_code=0), RESUMED, SIGINT),
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
    one = (*INTENDED, line(2, "launch-answered", tasks=ENTRIES[:1]))

    assert decide(*one, now=3, terms=lenient) == wait(21, "giving up on tasks that do not start")
    assert decide(*one, READY[-2], now=3, terms=lenient) == lifecycle.Go()
    assert decide(*READY[:-1], now=3, terms=lenient) == wait(21, "giving up on tasks that do not start")


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


def test_a_hopeless_burst_is_ended_with_what_it_saw_and_saved() -> None:
    decision = decide(*GONE, counted(4, 6, duplicate=6), counted(6, 8, duplicate=5), now=9)

    assert isinstance(decision, lifecycle.Stop)
    early = decision.early_stop
    assert early is not None
    assert (early.rule, early.receipts_seen, early.seconds_saved, early.at_utc) == ("ratio-impossible", 11, 25.0, at(9))


@pytest.mark.parametrize("by", ["plan", "run"])
def test_no_early_stop_where_it_was_declined(by: str) -> None:
    terms = replace(TERMS, early_stop=by != "plan")
    created = replace(CREATED, fields={**CREATED.fields, "early_stop": by != "run"})
    lines = (created, *GONE[1:], counted(4, 8, duplicate=50), *stopped(10, 1))

    assert decide(*lines, now=10, terms=terms) == wait(34, "window complete")


def test_a_complete_window_is_not_called_an_early_stop() -> None:
    assert decide(*GONE, counted(4, 33, duplicate=50), now=34) == stop("window-complete")


def test_the_early_stop_survives_the_journal() -> None:
    decision = decide(*GONE, counted(4, 8, duplicate=50), now=9)
    assert isinstance(decision, lifecycle.Stop)
    assert decision.early_stop is not None
    dumped = decision.early_stop.model_dump(mode="json")

    run = journals.fold(journal(*GONE, line(9, "stop-intended", reason="early-stop", force=False, early_stop=dumped)))

    assert run.early_stop == decision.early_stop


# Folding


def test_a_truth_survives_the_journal() -> None:
    truth = tasks.TaskTruth(
        task=tasks.Task(task_id="local:1:2.5", shard_index=3),
        status=tasks.TaskStatus.STOPPED,
        started_at=at(1),
        stopped_at=at(2.25),
        exit_code=124,
        stop_code=tasks.StopCode.ESSENTIAL_EXITED,
        stopped_by=tasks.Layer.GUARD,
        detail="budget",
    )

    assert journals.truth_from_fields(journals.truth_fields(truth)) == truth


def test_tasks_found_again_keep_what_was_seen_of_them() -> None:
    run = journals.fold(journal(*LAUNCHED, seen(3, 0), line(5, "tasks-found", tasks=ENTRIES)))

    assert run.truths["t0"].status is tasks.TaskStatus.RUNNING
    assert run.truths["t1"].status is tasks.TaskStatus.PENDING


def test_an_event_of_a_later_version_changes_nothing() -> None:
    run = journals.fold(journal(*GONE))

    assert journals.apply(run, journal(line(0, "comet-sighted", tail=True))[0]) == run


def test_sight_lost_and_regained_twice_is_two_outages_each_with_its_end() -> None:
    lines = (*GONE, line(5, "blind", why="a"), line(6, "sight-regained"), line(8, "blind", why="b"))

    run = journals.fold(journal(*lines))

    assert [outage.sight_regained_utc for outage in run.outages] == [at(6), None]
    assert run.blind_since == at(8)
    assert journals.fold(journal(*lines, line(9, "sight-regained"))).blind_since is None


@pytest.mark.parametrize(
    "broken",
    [
        line(0, "run-created", execution_id="run-1"),
        line(0, "run-created", execution_id="run-1", deadline="tomorrow", early_stop=True),
        line(0, "task-seen", task_id="t0"),
        line(0, "launch-answered", tasks=5),
        line(0, "counted", start="2026-02-21T02:00:00Z", end="2026-02-21T02:00:00Z", counts={}),
        line(0, "sight-regained"),
        line(0, "stop-intended", reason="early-stop", force=False, early_stop={"rule": 5}),
    ],
    ids=lambda broken: f"{broken.name}-{len(broken.fields)}",
)
def test_an_event_that_cannot_be_understood_is_corrupt_and_named(broken: Line) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match=rf"event 1 \({broken.name}\)"):
        journals.fold(journal(broken))


# Properties

MOMENTS = st.integers(0, 130).map(float)
SHARDS = st.integers(0, 1)
ANY_LINE: dict[str, Callable[[], st.SearchStrategy[Line]]] = {
    "layer-armed": lambda: st.builds(line, MOMENTS, st.just("layer-armed"), layer=st.sampled_from(TERMS.layers)),
    "layer-failed": lambda: st.builds(
        line, MOMENTS, st.just("layer-failed"), layer=st.sampled_from(TERMS.layers), why=st.just("no")
    ),
    "launch-intended": lambda: st.builds(line, MOMENTS, st.just("launch-intended"), shards=st.just([0, 1])),
    "launch-answered": lambda: st.builds(
        line, MOMENTS, st.just("launch-answered"), tasks=st.sampled_from([ENTRIES, ENTRIES[:1], []])
    ),
    "launch-failed": lambda: st.builds(line, MOMENTS, st.just("launch-failed"), why=st.just("no")),
    "tasks-found": lambda: st.builds(
        line, MOMENTS, st.just("tasks-found"), tasks=st.sampled_from([ENTRIES, ENTRIES[1:], []])
    ),
    "task-ready": lambda: st.builds(line, MOMENTS, st.just("task-ready"), shard_index=SHARDS),
    "task-seen": lambda: st.builds(seen, MOMENTS, SHARDS, st.sampled_from(tasks.TaskStatus)),
    "go-given": lambda: st.builds(
        line, MOMENTS, st.just("go-given"), go_at=MOMENTS.map(lambda s: instants.text(at(s)))
    ),
    "counted": lambda: st.builds(
        counted, st.just(4.0), st.integers(5, 40).map(float), st.integers(0, 50), st.integers(0, 50)
    ),
    "blind": lambda: st.builds(line, MOMENTS, st.just("blind"), why=st.just("away")),
    "interrupted": lambda: st.builds(line, MOMENTS, st.just("interrupted"), signal=st.just("SIGINT")),
    "operator-stop": lambda: st.builds(line, MOMENTS, st.just("operator-stop"), reason=st.just("enough")),
    "resumed": lambda: st.builds(line, MOMENTS, st.just("resumed")),
    "stop-intended": lambda: st.builds(
        line, MOMENTS, st.just("stop-intended"), reason=st.just("x"), force=st.booleans(), early_stop=st.none()
    ),
    "measured": lambda: st.builds(line, MOMENTS, st.just("measured")),
    "published": lambda: st.builds(line, MOMENTS, st.just("published")),
}
JOURNALS = st.lists(st.one_of([make() for make in ANY_LINE.values()]), max_size=14).map(lambda lines: (CREATED, *lines))


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
        assert {truth.task.shard_index for truth in run.truths.values()} <= run.ready
        assert len(run.alive) >= TERMS.least_tasks
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
            and at(now) >= instants.later(run.stopping.forced_at, lifecycle.GIVE_UP_AFTER_FORCE_SECONDS)
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
