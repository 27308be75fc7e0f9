"""Stories of the hard stop on ECS: which layer ends the tasks when the ones before it are gone, what happens to answers
that are lost, and what a run makes of too little capacity."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from burst.domain.basics import instants
from tests import waiting
from tests.faults import stage as faults_stage
from tests.matrix import playing, stage, table

pytestmark = pytest.mark.timeout(300)

SIDECAR_SECONDS = playing.LONGEST_DELAY_SECONDS
SCHEDULE_SECONDS = 90.0
"""Longer than its entry, which fires soon after the deadline here and not after a minute, takes until its reaper has
ended what is left: that has to start, and what is deaf is killed."""
SCHEDULE_CAP_SECONDS = 12.0
TO_GO: dict[str, dict[str, object]] = {"budget": {"min_window": "1s"}}
"""For a run whose controller dies at GO: nearly all of its cap is there to come to it."""


def play_until_dead(
    play: stage.Stage, ran: faults_stage.Ran, changes: dict[str, dict[str, object]], *faults: str
) -> stage.Eye:
    """A run whose controller is killed at GO together with whatever else the faults take away."""
    eye = play.eye(ran)
    strikes = [play.strike("go-given", fault) for fault in (*faults, table.KILL)]
    command = play.begin(ran, play.plan(ran, {**changes, **TO_GO}), strikes=strikes)
    assert command.ended() == faults_stage.SIGKILLED, play.said()
    return eye


def see_gone(eye: stage.Eye, *, by: datetime) -> None:
    """Waits until no container runs, and fails where one still does at that instant and what the machine, as busy as
    it is by then, may add to it."""
    left = max(0.0, instants.seconds_between(datetime.now(UTC), by))
    waiting.until(lambda: not eye.look() or datetime.now(UTC) >= by, seconds=left + 1.0, what="the containers to end")
    waiting.until(lambda: not eye.look(), seconds=waiting.scheduling_seconds(), what="the containers to be gone")


def settled(play: stage.Stage, ran: faults_stage.Ran, eye: stage.Eye) -> dict[str, Any]:
    """The snapshot that `burst resume` comes to."""
    code = play.resume(ran).ended()
    snapshot = ran.snapshot()
    playing.sound(play, ran, snapshot, code)
    assert not eye.left()
    return snapshot


def run(
    play: stage.Stage,
    ran: faults_stage.Ran,
    *strikes: tuple[str, str],
    start_seconds: float = 60.0,
) -> dict[str, Any]:
    """The snapshot of a run that is struck with faults at events and comes to its verdict by itself. It has time to
    start, and an eighth of what is sent will do for it to pass, so that a busy machine cannot miss it."""
    made = [play.strike(event, label) for event, label in strikes]
    unhurried = {**faults_stage.UNHURRIED, "budget": {"start_timeout": f"{start_seconds:g}s"}}
    code = play.begin(ran, play.plan(ran, unhurried, cap=start_seconds + 30.0), strikes=made).ended()
    assert code in playing.SETTLED, play.said()
    snapshot = ran.snapshot()
    playing.sound(play, ran, snapshot, code)
    return snapshot


def tasks_of(eye: stage.Eye) -> set[str]:
    """The ARNs of every burst task that was ever started."""
    return {one.task_arn for one in eye.containers() if one.name != stage.REAPER}


def calls(play: stage.Stage, ran: faults_stage.Ran, operation: str) -> list[str]:
    """How the operator's calls of an operation ended since the run began."""
    began = instants.parse(ran.reached("run-created")["at"])
    found = play.cloud.world.calls(operation=operation)
    return [call.outcome for call in found if call.caller == "operator" and instants.parse(call.at) >= began]


# Layers, each where those before it are gone


def test_guard_or_lease_end_the_tasks_of_a_dead_controller_while_ecs_is_down(play: stage.Stage) -> None:
    ran = play.named()
    eye = play_until_dead(play, ran, {}, "ecs-down")

    see_gone(eye, by=stage.gone_by(ran, 0.5))
    play.cloud.world.faults.disarm("ecs-down")
    snapshot = settled(play, ran, eye)

    assert faults_stage.layers_that_stopped(snapshot) <= {"guard", "lease"}
    assert len(tasks_of(eye)) == 2


def test_the_sidecar_ends_what_escaped_its_guard_while_controller_and_ecs_are_gone(play: stage.Stage) -> None:
    ran = play.named()
    eye = play_until_dead(play, ran, {}, "task-escapes-guard", "ecs-down")

    see_gone(eye, by=stage.gone_by(ran, SIDECAR_SECONDS))
    play.cloud.world.faults.disarm("ecs-down")
    snapshot = settled(play, ran, eye)

    assert faults_stage.layers_that_stopped(snapshot) == {"sidecar"}
    assert snapshot["overall_pass"] is False


def test_the_schedule_ends_what_every_other_layer_left_over(play: stage.Stage) -> None:
    ran = play.named()
    definition = f"{ran.execution_id}-bare"
    changes: dict[str, dict[str, object]] = {
        **TO_GO,
        "target": {"task_definition": f"{definition}:1"},
        "layers": {"require": ["guard", "lease", "schedule"]},
    }
    play.plan(ran, changes, cap=SCHEDULE_CAP_SECONDS)
    without_sidecar(play, definition)
    changes["target"] = {"task_definition": f"{definition}:2"}
    eye = play.eye(ran)
    strikes = [play.strike("go-given", fault) for fault in ("task-escapes-guard", table.KILL)]
    plan = play.write(ran, changes, cap=SCHEDULE_CAP_SECONDS)
    command = play.begin(ran, plan, strikes=strikes, soonest_seconds=1.0)
    assert command.ended() == faults_stage.SIGKILLED, play.said()
    escaped_until = stage.gone_by(ran, SIDECAR_SECONDS)

    waiting.until(lambda: datetime.now(UTC) > escaped_until, seconds=60, what="every other layer's time to be over")
    assert eye.look()
    waiting.until(lambda: not eye.look(), seconds=SCHEDULE_SECONDS, what="the schedule to end them")
    snapshot = settled(play, ran, eye)

    assert faults_stage.layers_that_stopped(snapshot) == {"schedule"}
    assert "B8" in faults_stage.open_blockers(snapshot)
    assert snapshot["runtime_budget"]["overshoot_seconds"] > 0


def without_sidecar(play: stage.Stage, family: str) -> None:
    """The next revision of a definition, with nothing but its load container."""
    first = play.cloud.ecs.describe_task_definition(taskDefinition=f"{family}:1")["taskDefinition"]
    load = [one for one in first["containerDefinitions"] if one["name"] == "burst"]
    play.cloud.register(*load, family=family)


# Answers that are lost


@pytest.mark.parametrize(
    ("event", "operation"),
    [
        ("launch-intended", "RunTask"),
        ("layer-arming", "CreateSchedule"),
        ("stop-intended", "StopTask"),
        ("go-intended", "PutObject"),
        ("publish-intended", "PutObject"),
    ],
    ids=["RunTask", "CreateSchedule", "StopTask", "the PutObject of GO", "the PutObject of a document"],
)
def test_what_was_done_and_not_answered_is_adopted_and_not_doubled(
    play: stage.Stage, event: str, operation: str
) -> None:
    ran = play.named()

    deaf = [("launch-intended", "task-ignores-term")] if operation == "StopTask" else []  # else a guard may be first
    snapshot = run(play, ran, *deaf, (event, f"response-lost:{operation}"))

    outcomes = calls(play, ran, operation)
    assert outcomes.count("response-lost") == 1
    assert len(outcomes) > 1
    assert len(tasks_of(play.eye(ran))) == 2
    assert snapshot["overall_pass"], snapshot["blockers"]


# The outage


def test_an_outage_of_ecs_and_sts_across_the_deadline_leaves_b8_cleared_by_task_truth(play: stage.Stage) -> None:
    ran = play.named()
    eye = play.eye(ran)
    strikes = [play.strike("go-given", fault) for fault in ("ecs-down", "sts-down")]

    command = play.begin(ran, play.plan(ran), strikes=strikes)
    over_at = instants.later(ran.deadline(), stage.GRACE_SECONDS + 1)
    while datetime.now(UTC) < over_at:
        eye.look()
        time.sleep(playing.LOOK_SECONDS)
    assert command.code() is None, play.said()
    for fault in ("ecs-down", "sts-down"):
        play.cloud.world.faults.disarm(fault)
    code = command.ended()

    snapshot, outages = ran.snapshot(), ran.document("task_result")["outages"]
    playing.sound(play, ran, snapshot, code)
    playing.ended_in_time(ran, eye, snapshot)
    assert faults_stage.states(snapshot)["B8"] == "cleared"
    assert instants.parse(outages[-1]["sight_regained_utc"]) > ran.deadline()
    assert all(task["stopped_utc"] for task in snapshot["burst_execution_window"]["tasks"])
    assert play.verify(ran) == code


# Capacity


def test_without_spot_capacity_the_run_goes_on_with_fargate(play: stage.Stage) -> None:
    ran = play.named()

    snapshot = run(play, ran, ("launch-intended", "capacity:FARGATE_SPOT"))

    tried = [event["capacity"] for event in ran.events() if event["event"] == "launch-intended"]
    assert tried == ["FARGATE_SPOT", "FARGATE"]
    assert snapshot["overall_pass"], snapshot["blockers"]


def test_a_partial_launch_is_topped_up_and_never_doubled(play: stage.Stage) -> None:
    ran = play.named()

    snapshot = run(play, ran, ("launch-intended", "partial-launch"))

    launched = [event["tasks"] for event in ran.events() if event["event"] == "launch-answered"]
    assert [len(tasks) for tasks in launched] == [1, 1]
    assert len(tasks_of(play.eye(ran))) == 2
    assert snapshot["overall_pass"], snapshot["blockers"]


def test_a_task_that_fails_to_start_is_replaced_before_go(play: stage.Stage) -> None:
    ran = play.named()

    snapshot = run(play, ran, ("launch-intended", "fails-to-start"))

    launches = [event for event in ran.events() if event["event"] == "launch-intended"]
    (failed,) = [task for task in snapshot["burst_execution_window"]["tasks"] if task["dropped"]]
    assert [launch["replaces"] for launch in launches] == [[], [failed["id"]]]
    assert failed["stop_code"] == "TaskFailedToStart"
    assert len(snapshot["burst_execution_window"]["tasks"]) == 3
    assert snapshot["decision"]["go_tasks"] == 2
    assert snapshot["overall_pass"], snapshot["blockers"]


def test_a_task_that_ends_before_go_gives_up_its_shard_to_the_one_in_its_place(play: stage.Stage) -> None:
    ran = play.named()

    snapshot = run(play, ran, ("launch-intended", "task-oom"))

    freed = ran.event("shard-freed")
    (dropped,) = [task for task in snapshot["burst_execution_window"]["tasks"] if task["dropped"]]
    assert freed is not None
    assert freed["task_id"] == dropped["id"]
    assert snapshot["decision"]["go_tasks"] == 2
    assert snapshot["overall_pass"], snapshot["blockers"]


def test_fewer_tasks_than_the_minimum_are_stopped_and_leave_b9_open(play: stage.Stage) -> None:
    ran = play.named()
    eye = play.eye(ran)

    snapshot = run(
        play, ran, ("launch-intended", "partial-launch"), ("launch-answered", "capacity"), start_seconds=15.0
    )

    assert len(tasks_of(eye)) == 1
    assert not eye.look()
    assert snapshot["exit_code"] == 3
    assert "B9" in faults_stage.open_blockers(snapshot)
    assert faults_stage.layers_that_stopped(snapshot) <= {"controller", "lease"}
