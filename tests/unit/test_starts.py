"""Starts: tasks that fail to start are replaced, and those that are ready decide; by decision, and in whole runs."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burst.cli import progress_lines
from burst.domain.basics import errors, instants, windows
from burst.domain.plan import plans
from burst.domain.run import lifecycle, runs, starts, task_result_builder
from burst.domain.run.events import ending_events, launch_events, watch_events
from burst.domain.tasks import ecs_requests, tasks
from tests import fakes, simulation
from tests.simulation import World, sound

FAILS = fakes.Script(fails_to_start=True, pending_seconds=0.3)
STUCK = fakes.Script(pending_seconds=None)


def plan(**target: Any) -> plans.Plan:
    return simulation.plan(target={"kind": "local", "tasks": 4, "min_tasks": 3, **target})


def ids(world: World) -> dict[str, tasks.TaskStatus]:
    return {task_id.rpartition(":")[2]: truth.status for task_id, truth in world.outcome.truths.items()}


def task_result(world: World) -> dict[str, Any]:
    entries: list[dict[str, Any]] = world.document["burst_execution_window"]["tasks"]
    return {entry["id"].rpartition(":")[2]: entry for entry in entries}


# Whole runs


def test_a_task_that_fails_to_start_is_replaced_and_the_burst_has_all_its_tasks() -> None:
    world = World(plan())
    world.launcher.scripts[1] = FAILS

    world.run()

    sound(world)
    assert (world.document["exit_code"], world.reason) == (0, "window-complete")
    assert set(ids(world)) == {"0", "1", "1+", "2", "3"}
    assert world.outcome.go_tasks == 4
    assert [request.shards for request in world.launcher.requests] == [(0, 1, 2, 3), (1,)]
    assert len({request.token for request in world.launcher.requests}) == 2


def test_without_replacements_the_quorum_bursts_at_once() -> None:
    world = World(plan(replacements=0))
    world.launcher.scripts[1] = FAILS

    world.run()

    sound(world)
    assert (world.document["exit_code"], world.reason, world.outcome.go_tasks) == (0, "window-complete", 3)
    assert world.outcome.go_at is not None
    assert instants.seconds_between(fakes.START, world.outcome.go_at) < 2.0


def test_verdict_and_progress_say_how_many_tasks_got_go_and_what_became_of_the_others() -> None:
    world = World(plan())
    world.launcher.scripts[1] = world.launcher.replacement_scripts[1] = FAILS
    states: list[str] = []
    world.on_decision = lambda number, driver: states.append(_state(world))

    world.run()

    (held,) = [gate for gate in world.document["gates"] if gate["name"] == "tasks_held"]
    assert (held["status"], held["measured"], held["required"]) == ("PASS", 3, 3)
    assert "3 tasks held to the end; GO with 3 of 4 tasks" in held["why"]
    replaced, replacement = f"fake:{world.plan.execution_id}:1", f"fake:{world.plan.execution_id}:1+"
    assert f"{replaced} is no part of the burst: it ended before GO; another task took its place" in held["why"]
    assert f"{replacement} is no part of the burst: it ended before GO (CannotPullContainerError)" in held["why"]
    assert "bursting, GO with 3 of 4 tasks" in states
    assert any("3 of 4 tasks ready, 1 failed to start" in state for state in states)


def _state(world: World) -> str:
    return progress_lines.show(world.outcome, None, world.clock.now(), world.plan, None).state


def test_a_task_that_failed_before_go_and_was_replaced_is_none_of_those_that_never_started() -> None:
    world = World(plan(min_tasks=4))
    world.launcher.scripts = {1: FAILS, 2: fakes.Script(fails_to_start=True, pending_seconds=1.5)}

    world.run()

    (held,) = [gate for gate in world.document["gates"] if gate["name"] == "tasks_held"]
    assert world.reason == "task-ended-before-go"
    assert held["measured"] < 4
    assert held["why"].count("never started") == 1, held["why"]


def test_a_task_that_stays_pending_is_stopped_and_then_replaced() -> None:
    world = World(plan())
    world.launcher.scripts[1] = STUCK

    world.run()

    sound(world)
    assert (world.document["exit_code"], world.outcome.go_tasks) == (0, 4)
    kinds = world.journal.kinds
    withdrawn = kinds.index(launch_events.TaskWithdrawn)
    second = [index for index, kind in enumerate(kinds) if kind is launch_events.LaunchIntended][1]
    assert withdrawn < kinds.index(ending_events.StopSent) < second < kinds.index(launch_events.GoGiven)
    assert world.launcher.launched[f"fake:{world.plan.execution_id}:1"].status is tasks.TaskStatus.STOPPED


def test_without_replacements_a_task_that_stays_pending_is_given_up_for_the_quorum() -> None:
    world = World(plan(replacements=0))
    world.launcher.scripts[1] = STUCK

    world.run()

    sound(world)
    assert (world.document["exit_code"], world.outcome.go_tasks) == (0, 3)
    assert world.outcome.go_at is not None
    seconds = instants.seconds_between(fakes.START, world.outcome.go_at)
    assert starts.QUORUM_SHARE * simulation.START_TIMEOUT_SECONDS <= seconds < simulation.START_TIMEOUT_SECONDS


def test_a_replacement_that_fails_too_leaves_the_quorum() -> None:
    world = World(plan())
    world.launcher.scripts[1] = world.launcher.replacement_scripts[1] = FAILS

    world.run()

    sound(world)
    assert (world.document["exit_code"], world.outcome.go_tasks) == (0, 3)
    assert len(world.launcher.launched) == 5


@pytest.mark.parametrize("refusal", [errors.Refused("grant ecs:RunTask"), errors.UsageError("no such revision")])
@pytest.mark.parametrize(("failed", "why"), [("ended", "replacement"), ("not started", "second attempt")])
def test_a_later_launch_that_is_refused_leaves_the_quorum(refusal: errors.BurstError, failed: str, why: str) -> None:
    world = World(plan())
    world.launcher.refusal = refusal
    if failed == "ended":
        world.launcher.scripts[1] = FAILS
    else:
        world.launcher.refused_shards = frozenset({1})

    world.run()

    sound(world)
    assert (world.document["exit_code"], world.reason, world.outcome.go_tasks) == (0, "window-complete", 3), why


def test_a_later_launch_that_is_refused_ends_a_run_that_has_no_quorum_by_its_words() -> None:
    world = World(plan(min_tasks=4))
    world.launcher.refusal = errors.Refused("grant ecs:RunTask")
    world.launcher.scripts[1] = FAILS

    world.run()

    sound(world)
    assert (world.reason, world.document["exit_code"]) == ("too-few-tasks: grant ecs:RunTask", 3)


def test_more_failures_than_replacements_and_quorum_bear_end_the_run_at_once() -> None:
    world = World(plan())
    world.launcher.scripts = dict.fromkeys((0, 1, 2), FAILS)

    world.run()

    sound(world)
    assert (world.reason, world.document["exit_code"]) == ("task-ended-before-go", 3)
    assert len(world.launcher.launched) == 4
    assert world.elapsed_seconds < simulation.START_TIMEOUT_SECONDS


def test_a_task_that_runs_and_is_never_ready_is_stopped_before_the_quorum_bursts() -> None:
    world = World(plan())
    world.lease.ready_after = {2: None}

    world.run()

    sound(world)
    assert (world.document["exit_code"], world.outcome.go_tasks) == (0, 3)
    entry = task_result(world)["2"]
    assert entry["stopped_utc"] < instants.text(world.outcome.go_at or fakes.START)


def test_a_task_that_was_ready_and_ended_counts_as_ready_only_once_its_replacement_is() -> None:
    world = World(plan(min_tasks=4))
    world.launcher.scripts[1] = fakes.Script(runs_seconds=0.7, exit_code=1)
    world.lease.ready_after = {0: 2.0}

    world.run()

    sound(world)
    assert (world.document["exit_code"], world.outcome.go_tasks) == (0, 4)
    kinds = world.journal.kinds
    assert kinds.index(launch_events.ShardFreed) < kinds.index(launch_events.GoGiven)
    assert kinds.count(launch_events.TaskReady) == 5


def test_a_resumed_run_replaces_nothing() -> None:
    undisturbed = World(plan())
    undisturbed.launcher.scripts[1] = FAILS
    seen_to_fail = undisturbed.run().journal.kinds.index(watch_events.TaskSeen) + 1
    world = World(plan())
    world.launcher.scripts[1] = FAILS
    world.journal.crash_after = seen_to_fail

    world.finish()

    assert world.reason == "resumed-before-go"
    assert len(world.launcher.requests) == 1


def test_a_task_lost_after_go_is_not_replaced() -> None:
    world = World(plan())
    world.launcher.scripts[1] = fakes.Script(runs_seconds=4.0, exit_code=1)

    world.run()

    sound(world)
    assert len(world.launcher.launched) == 4


def test_a_stop_that_is_not_answered_is_sent_again() -> None:
    world = World(plan())
    world.launcher.scripts[1] = STUCK
    world.launcher.stops_lost = 2

    world.run()

    sound(world)
    assert world.journal.kinds.count(ending_events.StopUnsent) == 2
    assert (world.document["exit_code"], world.outcome.go_tasks) == (0, 4)


def test_a_replacement_that_may_have_been_started_and_cannot_be_looked_for_is_not_forgotten() -> None:
    world = World(plan())
    world.launcher.scripts[1] = FAILS

    def lose_answer(number: int, driver: object) -> None:
        decision = world.decisions[-1]
        if isinstance(decision, lifecycle.Launch) and decision.replaces:
            world.launcher.answers_lost = 1
            world.launcher.blind = [windows.Window(instants.later(world.clock.now(), 0.05), at(1e6))]

    world.on_decision = lose_answer
    world.run()

    assert (world.reason, world.document["exit_code"]) == ("launch-failed", 6)
    assert task_result(world)["1"]["stopped_utc"] is None, "the task of the shard that nobody could look for"


SCRIPTS = st.sampled_from(
    [
        fakes.Script(),
        FAILS,
        STUCK,
        fakes.Script(pending_seconds=3.2),
        fakes.Script(runs_seconds=0.8, exit_code=1),
        fakes.Script(runs_seconds=3.1),
        fakes.Script(pending_seconds=None, ignores_stop=True),
    ]
)


@settings(max_examples=20, deadline=None)
@given(
    scripts=st.dictionaries(st.integers(0, 3), SCRIPTS, max_size=4),
    second=st.dictionaries(st.integers(0, 3), SCRIPTS, max_size=2),
    slow=st.dictionaries(st.integers(0, 3), st.sampled_from([None, 2.0, 4.6]), max_size=1),
    least=st.integers(1, 4),
    most=st.integers(0, 3),
)
def test_go_is_for_a_quorum_of_ready_tasks_and_nothing_is_launched_after_it(
    scripts: dict[int, fakes.Script],
    second: dict[int, fakes.Script],
    slow: dict[int, float | None],
    least: int,
    most: int,
) -> None:
    world = World(plan(min_tasks=least, replacements=most))
    world.launcher.scripts, world.launcher.replacement_scripts = dict(scripts), dict(second)
    world.lease.ready_after = slow
    alive_at_go: list[tuple[int, bool]] = []

    def note_go(number: int, driver: object) -> None:
        if isinstance(world.decisions[-1], lifecycle.Go):
            run = world.outcome
            alive_at_go.append((len(run.carriers), {truth.task.shard_index for truth in run.carriers} <= run.ready))

    world.on_decision = note_go
    world.run()

    sound(world)
    assert len(world.launcher.launched) <= 4 + most
    assert all(count >= least and ready for count, ready in alive_at_go)
    outcome = world.outcome
    assert set(world.launcher.launched) == set(outcome.truths), "every task that was launched stays in the journal"
    assert {outcome.truths[task_id].status for task_id in outcome.dropped} <= {tasks.TaskStatus.STOPPED}


# Tasks that claim their shards

TERMS = starts.StartTerms(tasks=4, least_tasks=3, replacements=1, barrier=True, claims=True)
TIMES = starts.StartTimes(begun_at=fakes.START, ends_at=instants.later(fakes.START, 60))


def at(seconds: float) -> datetime:
    return instants.later(fakes.START, seconds)


def run_of(*statuses: tasks.TaskStatus, started: bool = True, **fields: Any) -> runs.Run:
    """A run of one launch; a task that stopped had started where `started` says so."""
    truths = {
        f"t{shard}": tasks.TaskTruth(
            task=tasks.Task(task_id=f"t{shard}", shard_index=shard),
            status=status,
            started_at=at(5) if status is tasks.TaskStatus.RUNNING or started else None,
        )
        for shard, status in enumerate(statuses)
    }
    attempt = runs.LaunchAttempt(at=fakes.START, shards=(0, 1, 2, 3), task_ids=frozenset(truths))
    return runs.Run(truths=truths, attempts=(attempt,), launching_at=fakes.START, **fields)


RUNNING, STOPPED, PENDING = tasks.TaskStatus.RUNNING, tasks.TaskStatus.STOPPED, tasks.TaskStatus.PENDING


def decide(run: runs.Run, seconds: float = 10, **terms: Any) -> starts.Act | None:
    return starts.decide_start(run, at(seconds), replace(TERMS, **terms), TIMES)


def test_the_shard_that_an_ended_task_had_claimed_is_given_to_its_replacement() -> None:
    run = run_of(RUNNING, RUNNING, STOPPED, RUNNING, ready=frozenset({0, 1}))
    assert decide(run) == starts.ReadClaims()

    run = replace(run, claims={"t0": 1, "t2": 0, "t1": 2})
    assert decide(run) == starts.FreeShards(holders=(("t2", 0),))

    run = replace(run, freed={"t2": 0}, ready=frozenset({1}))
    assert decide(run) == starts.Replace(shards=(0,), replaces=("t2",), claimed=frozenset({0}))


def test_a_task_that_never_started_has_no_shard_to_give_up_and_its_replacement_claims_one() -> None:
    run = run_of(RUNNING, RUNNING, STOPPED, RUNNING, started=False, ready=frozenset({0, 1}))

    assert decide(run) == starts.Replace(shards=(2,), replaces=("t2",))


def test_replacements_of_claimed_and_free_shards_have_a_shard_each() -> None:
    run = run_of(STOPPED, STOPPED, RUNNING, RUNNING, freed={"t0": 1, "t1": None})

    act = decide(run, replacements=2)

    assert act == starts.Replace(shards=(0, 1), replaces=("t0", "t1"), claimed=frozenset({1}))


def test_a_shard_that_is_claimed_already_is_asked_for_by_a_call_of_its_own() -> None:
    batches = ecs_requests.split_batches((0, 1, 2, 3, 4), guarded=True, claimed=frozenset({1, 2}))

    assert batches == [(0,), (1,), (2,), (3, 4)]


def test_a_claim_of_a_task_that_nobody_knows_is_waited_for() -> None:
    run = run_of(RUNNING, RUNNING, STOPPED, RUNNING, ready=frozenset({0, 1, 2, 3}), claims={"task-7": 0})

    assert decide(run, replacements=0) == starts.ReadClaims()


def test_go_waits_until_no_stopped_task_can_claim_a_shard() -> None:
    run = run_of(RUNNING, RUNNING, PENDING, RUNNING, ready=frozenset({0, 1, 2}), withdrawn={"t2": "late"})
    assert decide(run, 55) == starts.ReadClaims(close=True)

    closed = replace(run, claims={"t0": 0, "t1": 1, "t3": 2}, claims_closed=True)
    assert decide(closed, 55) == starts.Begin()
    assert decide(replace(closed, claims={"t0": 0, "t1": 1, "t2": 2}), 55) is None


def test_a_task_that_was_told_to_stop_and_runs_holds_go_up() -> None:
    run = run_of(RUNNING, RUNNING, RUNNING, RUNNING, ready=frozenset({0, 1, 2}), withdrawn={"t2": "late"})

    assert decide(run, 55) is None


def test_who_is_not_ready_is_read_from_the_claims() -> None:
    run = run_of(RUNNING, RUNNING, RUNNING, RUNNING, ready=frozenset({0, 1, 3}))
    assert decide(run, 53) is None
    assert decide(run, 55) == starts.ReadClaims()

    read = replace(run, claims={"t0": 3, "t1": 2, "t2": 1, "t3": 0}, claims_read_at=at(55))
    assert decide(read, 55) == starts.Withdraw(task_ids=("t1",), why="not ready 55 s after the launch began")
    unclear = replace(read, claims={"t0": 3})
    assert decide(unclear, 55) is None


def test_without_a_barrier_nothing_is_replaced_and_a_task_that_did_not_start_is_given_up_for_the_quorum() -> None:
    run = run_of(RUNNING, RUNNING, STOPPED, PENDING, started=False)
    run = replace(run, barrier=False)

    assert decide(run, 31, barrier=False, least_tasks=2) is None
    withdraw = decide(run, 55, barrier=False, least_tasks=2)
    assert isinstance(withdraw, starts.Withdraw)
    assert withdraw.task_ids == ("t3",)
    assert decide(replace(run, withdrawn={"t3": "late"}), 55, barrier=False, least_tasks=2) == starts.Begin()


def test_a_task_that_was_dropped_and_ends_late_makes_no_window_longer() -> None:
    late = tasks.TaskTruth(
        task=tasks.Task(task_id="t3", shard_index=3), status=STOPPED, started_at=at(50), stopped_at=at(90)
    )
    ended = {f"t{shard}": replace(late, task=tasks.Task(task_id=f"t{shard}", shard_index=shard)) for shard in range(3)}
    run = runs.Run(
        execution_id="m10_x",
        go_at=at(60),
        go_tasks=3,
        dropped=frozenset({"t3"}),
        truths={**{name: replace(truth, stopped_at=at(80)) for name, truth in ended.items()}, "t3": late},
    )

    result = task_result_builder.build_task_result(simulation.plan(), run, [], b"")

    assert run.attempt_window == result.attempt == windows.Window(at(60), at(80))
    assert result.window == windows.Window(at(50), at(90))


STATUSES = st.sampled_from(tasks.TaskStatus)
NAMES = st.sampled_from(["t0", "t1", "t2", "t3"])


@settings(max_examples=300)
@given(
    statuses=st.tuples(STATUSES, STATUSES, STATUSES, STATUSES),
    started=st.booleans(),
    ready=st.frozensets(st.integers(0, 3)),
    withdrawn=st.dictionaries(NAMES, st.just("late")),
    claims=st.none() | st.dictionaries(NAMES, st.integers(0, 3)),
    closed=st.booleans(),
    seconds=st.sampled_from([1, 31, 53, 55, 59]),
    claims_shards=st.booleans(),
)
def test_whatever_was_seen_go_is_for_ready_tasks_and_none_that_was_told_to_stop_can_join_them(
    statuses: tuple[tasks.TaskStatus, ...],
    started: bool,
    ready: frozenset[int],
    withdrawn: dict[str, str],
    claims: dict[str, int] | None,
    closed: bool,
    seconds: int,
    claims_shards: bool,
) -> None:
    run = run_of(
        *statuses, started=started, ready=ready, withdrawn=withdrawn, claims=claims, claims_closed=closed
    )  # fmt: skip

    act = decide(run, seconds, claims=claims_shards)

    if isinstance(act, starts.Begin):
        assert len(run.carriers) >= TERMS.least_tasks
        assert starts.count_ready(run, replace(TERMS, claims=claims_shards)) == len(run.carriers)
        for truth in run.alive:
            if truth.task.task_id in withdrawn:
                assert (claims_shards, closed, truth.status) == (True, True, PENDING)
                assert claims is not None
                assert truth.task.task_id not in claims
    if isinstance(act, starts.Replace):
        assert len(act.shards) == len(set(act.shards)) == len(act.replaces) <= TERMS.replacements
        assert all(run.truths[task_id].status is STOPPED for task_id in act.replaces)
        assert seconds < 54


def test_nothing_is_judged_by_sight_that_was_lost() -> None:
    world = World(plan())
    world.launcher.scripts[1] = fakes.Script(pending_seconds=0.4)
    world.launcher.blind = [windows.Window(at(0.2), at(8))]

    world.run()

    assert launch_events.TaskWithdrawn not in world.journal.kinds
    assert len(world.launcher.requests) == 1
