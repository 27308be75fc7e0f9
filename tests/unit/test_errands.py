"""Services up and back and one-shots before and after a burst, in simulated time, with crashes at every line."""

from dataclasses import replace
from typing import Any

import pytest

from burst.control import controller, errands
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, models, run_records, task_results
from burst.domain.plan import plans
from burst.domain.run import lifecycle, runs
from burst.domain.run.events import ending_events, errand_events, launch_events
from burst.domain.tasks import services, tasks
from tests import cases, fakes, fakes_evidence, fakes_journal, simulation
from tests.simulation import World, sound

BEFORE, UP = 2, 5


def plan(**changes: Any) -> plans.Plan:
    """A plan on ECS with a service to scale and a one-shot on either side of the burst."""
    shots = {"task_definition": "reporter:3", "command": ["report"], "timeout": "3s"}
    changes = {"services": [{"name": "writer", "desired": UP}]} | changes
    return simulation.plan(
        target={
            "kind": "ecs", "tasks": 2, "cluster": "burst", "task_definition": "burst:1", "subnets": ["subnet-a"],
            "security_groups": ["sg-a"],
        },
        before=[{"name": "migrate", **shots}],
        after=[{"name": "refresh", **shots}, {"name": "settle", **shots, "exit_code": 7}],
        **changes,
    )  # fmt: skip


def world(**changes: Any) -> World:
    made = World(plan(**changes))
    made.services.desired["writer"] = BEFORE
    made.one_shots.scripts["settle"] = fakes.Script(runs_seconds=0.2, exit_code=7)
    return made


def gate(played: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in played.document["gates"] if one["name"] == name)
    return found


def result(played: World) -> task_results.TaskResult:
    return models.read(
        task_results.TaskResult, played.store.documents[document_names.task_result_name(played.plan.slug)]
    )


UNDISTURBED = world().run()
EVENTS = len(UNDISTURBED.journal.kinds)


def test_an_undisturbed_run_scales_runs_what_is_before_and_after_and_puts_back() -> None:
    played = UNDISTURBED

    sound(played)
    assert (played.document["exit_code"], played.blockers) == (0, set())
    assert played.one_shots.started == ["migrate", "refresh", "settle"]
    assert played.services.asked == [("writer", UP), ("writer", BEFORE)]
    kinds = played.journal.kinds
    order = [
        launch_events.LayerArmed,
        errand_events.ServicesIntended,
        errand_events.ServicesUp,
        errand_events.OneShotIntended,
        launch_events.LaunchIntended,
        launch_events.GoGiven,
        ending_events.StopIntended,
        errand_events.ServicesRestoring,
        ending_events.MeasureIntended,
    ]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
    shots = {entry.name: entry for entry in result(played).one_shots}
    assert [shots[name].exit_code for name in ("migrate", "refresh", "settle")] == [0, 0, 7]
    assert {entry.problem for entry in shots.values()} == {None}
    (service,) = result(played).services
    assert (service.before, service.desired, service.restored, service.command) == (BEFORE, UP, True, None)
    assert played.kept.names() == [f"{cases.EXECUTION_ID}.back.json", f"{cases.EXECUTION_ID}.json"]


def test_what_runs_after_the_burst_runs_once_every_task_is_seen_stopped_and_before_facts_are_asked() -> None:
    played = UNDISTURBED
    ended = max(truth.stopped_at for truth in played.outcome.truths.values() if truth.stopped_at)

    asked = {name: shot.asked_at for name, shot in played.outcome.shots.items()}
    measured = next(
        entry.at for entry in played.journal.recorded if isinstance(entry.event, ending_events.MeasureIntended)
    )

    assert played.outcome.launching_at is not None
    assert asked["migrate"] < played.outcome.launching_at
    assert ended <= asked["refresh"] < asked["settle"] < measured


# Crashes


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("event", range(2, EVENTS + 1))
def test_a_crash_at_any_event_restores_every_service_and_starts_no_one_shot_twice(event: int, written: bool) -> None:
    played = world()
    setattr(played.journal, "crash_after" if written else "crash_before", event)

    played.finish(after_seconds=0.5)

    sound(played)
    assert played.crashes == 1
    assert played.running() == []
    assert played.services.desired == {"writer": BEFORE}
    assert len(played.one_shots.started) == len(set(played.one_shots.started))
    assert not [truth for truth in played.outcome.shots.values() if not truth.ended]
    launched = launch_events.LaunchIntended in played.journal.kinds
    assert launched <= (played.one_shots.started[:1] == ["migrate"])


@pytest.mark.parametrize("event", range(2, EVENTS + 1, 2))
def test_a_run_taken_over_long_after_its_deadline_is_put_back_as_well(event: int) -> None:
    played = world()
    played.journal.crash_after = event

    played.finish(after_seconds=60.0)

    sound(played)
    assert played.services.desired == {"writer": BEFORE}
    assert len(played.one_shots.started) == len(set(played.one_shots.started))


def test_another_machine_without_the_journal_puts_back_what_run_control_tells_of() -> None:
    played = world()
    played.journal.crash_after = UNDISTURBED.journal.kinds.index(errand_events.OneShotSeen) + 1
    with pytest.raises(fakes_journal.Crashed):
        played.run()
    played.journal.revive()
    del played.journal.recorded[1:]
    played.clock.sleep(60.0)

    played.drive(resumed=True)

    assert errand_events.ServicesFound in played.journal.kinds
    assert played.services.desired == {"writer": BEFORE}
    assert played.document["exit_code"] == 3


def test_another_machine_ends_a_one_shot_that_still_runs_and_its_journal_does_not_know() -> None:
    played = world()
    played.one_shots.scripts["migrate"] = fakes.Script(keeps_budget=False)
    played.journal.crash_after = UNDISTURBED.journal.kinds.index(errand_events.OneShotStarted) + 1
    with pytest.raises(fakes_journal.Crashed):
        played.run()
    played.journal.revive()
    del played.journal.recorded[1:]
    played.journal.append(launch_events.TakenOver(created_at=fakes.START))

    played.drive(resumed=True)

    assert played.one_shots.started == ["migrate"]
    assert played.outcome.shots["migrate"].ended
    assert played.one_shots.find(tasks.one_shot_id(cases.EXECUTION_ID, "migrate")) == []
    assert played.services.desired == {"writer": BEFORE}


# What goes wrong before


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (fakes.Script(runs_seconds=0.2, exit_code=3), "it ended with exit code 3, 0 required"),
        (fakes.Script(), "it was stopped by burst before it had ended"),
        (fakes.Script(ignores_stop=True, keeps_budget=False), "it was stopped by burst before it had ended"),
    ],
    ids=["fails", "takes too long", "takes too long and is deaf"],
)
def test_a_command_before_the_burst_that_fails_launches_nothing_and_opens_b4(script: fakes.Script, why: str) -> None:
    played = world()
    played.one_shots.scripts["migrate"] = script

    played.run()

    sound(played)
    assert played.launcher.requests == []
    assert "B4" in played.blockers
    assert played.document["exit_code"] == 3
    assert why in gate(played, "before:migrate")["why"]
    assert played.reason is not None
    assert played.reason.startswith("before-failed: migrate")
    assert played.one_shots.started == ["migrate"]
    assert played.services.desired == {"writer": BEFORE}


def test_one_that_nobody_sees_end_is_exit_6_and_launches_nothing() -> None:
    played = world()
    played.one_shots.scripts["migrate"] = fakes.Script(ignores_stop=True, ignores_force=True, keeps_budget=False)

    played.run()

    assert played.launcher.requests == []
    assert played.document["exit_code"] == 6
    assert {"B4", "B8"} <= played.blockers
    assert not played.disarmed
    assert played.services.desired == {"writer": BEFORE}


def test_one_that_is_refused_is_not_waited_for() -> None:
    played = world()
    played.one_shots.refused = frozenset({"migrate"})

    played.run()

    sound(played)
    assert "it was not started: migrate was not started" in gate(played, "before:migrate")["why"]
    assert played.launcher.requests == []
    assert played.document["exit_code"] == 3


def test_a_start_that_is_not_answered_is_asked_for_again_and_adopted() -> None:
    played = world()
    played.one_shots.answers_lost = 2

    played.run()

    sound(played)
    assert played.document["exit_code"] == 0
    assert played.one_shots.started == ["migrate", "refresh", "settle"]


def test_services_that_do_not_come_up_in_time_launch_nothing_and_are_put_back() -> None:
    played = world()
    played.services.starts_seconds = 100.0

    played.run()

    sound(played)
    assert played.launcher.requests == []
    assert played.one_shots.started == []
    assert played.reason == "services-not-up: not all of them run after 5 s"
    assert played.services.desired == {"writer": BEFORE}
    assert played.document["exit_code"] == 3


@pytest.mark.parametrize("blind_as", [errors.Unavailable, errors.Refused])
def test_services_that_cannot_be_looked_at_for_a_while_are_waited_for(blind_as: type[errors.BurstError]) -> None:
    played = world()
    played.services.blind, played.services.blind_as = [played.at(0.1, 2.0)], blind_as

    played.run()

    sound(played)
    assert (played.reason, played.document["exit_code"]) == ("window-complete", 0)


def test_a_service_that_is_not_there_launches_nothing() -> None:
    played = world()
    played.services.desired.clear()

    played.run()

    sound(played)
    assert played.launcher.requests == []
    assert played.reason is not None
    assert "saw writer" in played.reason
    assert played.kept.names() == []


def test_counts_that_cannot_be_kept_under_run_control_are_not_changed() -> None:
    played = world()
    played.kept.down = True

    played.run()

    sound(played)
    assert played.services.asked == []
    assert result(played).services[0].detail == "was not changed"
    assert played.launcher.requests == []


# What goes wrong after


@pytest.mark.parametrize("name", ["refresh", "settle"])
def test_a_command_after_the_burst_that_fails_opens_b5_and_hides_nothing(name: str) -> None:
    played = world()
    played.one_shots.scripts[name] = fakes.Script(runs_seconds=0.2, exit_code=1)

    played.run()

    sound(played)
    assert played.blockers == {"B5"}
    assert (played.document["exit_code"], played.reason) == (3, "window-complete")
    assert "it ended with exit code 1" in gate(played, f"after:{name}")["why"]
    assert played.one_shots.started[-1] == name
    assert gate(played, "stop_proven")["status"] == "PASS"
    assert played.services.desired == {"writer": BEFORE}


def test_nothing_runs_after_a_burst_of_which_a_task_was_not_seen_to_stop() -> None:
    played = world()
    played.launcher.scripts[0] = fakes.Script(ignores_stop=True, ignores_force=True, keeps_budget=False)

    played.run()

    assert played.one_shots.started == ["migrate"]
    assert played.document["exit_code"] == 6
    assert {"B5", "B8"} <= played.blockers
    assert gate(played, "after:refresh")["why"] == "it was not run"
    assert played.services.desired == {"writer": BEFORE}


def test_after_a_second_signal_what_runs_after_the_burst_is_ended_and_services_are_put_back() -> None:
    played = world()
    played.one_shots.scripts["refresh"] = fakes.Script()

    def interrupt(number: int, driver: controller.Controller) -> None:
        if played.outcome.shots.get("refresh") and len(played.outcome.interruptions) < 2:
            driver.interrupt("SIGINT")

    played.on_decision = interrupt
    played.run()

    sound(played)
    assert played.document["exit_code"] == 130
    assert all(shot.ended for shot in played.outcome.shots.values())
    assert played.one_shots.started == ["migrate", "refresh"]
    assert played.services.desired == {"writer": BEFORE}


def test_services_that_cannot_be_put_back_are_exit_6_with_the_command_for_each() -> None:
    played = world()

    def break_services(number: int, driver: controller.Controller) -> None:
        if played.outcome.stopping:
            played.services.down = frozenset({"writer"})

    played.on_decision = break_services
    played.run()

    command = services.restoring_command("burst", "writer", BEFORE)
    assert played.document["exit_code"] == 6
    assert played.blockers == {"B8"}
    assert command in gate(played, "services_back")["why"]
    assert command == "aws ecs update-service --cluster burst --service writer --desired-count 2"
    assert document_names.runs_with_services(played.kept.names()) == (cases.EXECUTION_ID,)
    assert not played.disarmed


def test_services_that_cannot_be_put_back_for_a_while_are_tried_again() -> None:
    played = world()
    stopped = UNDISTURBED.outcome.stopping
    assert stopped is not None
    since = instants.seconds_between(fakes.START, stopped.at)
    played.services.blind = [played.at(since, since + 8.0)]

    played.run()

    sound(played)
    assert played.document["exit_code"] == 0
    assert played.services.desired == {"writer": BEFORE}
    assert len(played.outcome.scaling.tries if played.outcome.scaling else ()) > 1


def test_a_count_somebody_set_meanwhile_is_left_and_said() -> None:
    played = world()

    def somebody(number: int, driver: controller.Controller) -> None:
        if played.outcome.go_at:
            played.services.desired["writer"] = 9

    played.on_decision = somebody
    played.run()

    sound(played)
    assert played.document["exit_code"] == 0
    assert played.services.desired == {"writer": 9}
    assert "somebody set it to 9 meanwhile; it was 2 before" in result(played).services[0].detail


def test_services_scaled_a_moment_ago_are_put_back_where_ecs_still_tells_of_the_count_before() -> None:
    played = world()
    played.services.lags_seconds = 3.0

    def interrupt(number: int, driver: controller.Controller) -> None:
        if played.services.asked and not played.outcome.interruptions:
            driver.interrupt("SIGINT")

    played.on_decision = interrupt
    played.run()

    sound(played)
    assert played.services.desired == {"writer": BEFORE}
    assert played.document["exit_code"] == 130
    assert result(played).services[0].detail == "has its 2 again"


def test_putting_back_twice_does_no_harm() -> None:
    played = world().run()
    made = (services.ServiceChange(name="writer", before=BEFORE, desired=UP),)

    back, problems = errands.put_back(played.services, made)

    assert (back, problems) == ({"writer": "has its 2 again"}, {})


def test_a_service_that_aws_never_let_the_burst_change_is_as_it_was() -> None:
    played = world()
    played.services.down, played.services.down_as = frozenset({"writer"}), errors.Refused

    played.run()

    sound(played)
    assert result(played).services[0].detail == "has its 2 again"
    assert played.document["exit_code"] == 3
    assert document_names.services_back_name(cases.EXECUTION_ID) in played.kept.names()


class LosesItsFirstAnswer(fakes_evidence.MemoryEvidenceStore):
    """A store that keeps its first document and does not say so."""

    def put_once(self, name: str, content: bytes) -> None:
        first = not self.documents
        super().put_once(name, content)
        if first:
            raise errors.Unavailable("nobody can tell whether it is there")


def test_a_count_that_was_kept_though_its_answer_was_lost_is_over_with_the_run() -> None:
    played = world()
    played.kept = LosesItsFirstAnswer()

    played.run()

    sound(played)
    assert played.services.asked == []
    assert document_names.services_back_name(cases.EXECUTION_ID) in played.kept.names()


def test_a_service_that_somebody_removed_keeps_no_other_from_being_put_back() -> None:
    played = world()
    played.services.desired |= {"removed": 1, "writer": UP}
    made = [services.ServiceChange(name=name, before=BEFORE, desired=UP) for name in ("removed", "writer")]
    del played.services.desired["removed"]

    back, problems = errands.put_back(played.services, made)

    assert back == {
        "removed": "somebody removed it meanwhile; there is nothing to put back",
        "writer": f"was set back to {BEFORE}",
    }
    assert problems == {}


def test_an_operator_who_stops_a_run_whose_controller_died_has_its_services_put_back_and_no_command_run() -> None:
    played = world()
    played.journal.crash_after = UNDISTURBED.journal.kinds.index(launch_events.GoGiven) + 1
    with pytest.raises(fakes_journal.Crashed):
        played.run()
    played.journal.revive()

    played.drive(resumed=True, until_stopped=True)

    assert played.outcome.stopping is not None
    assert played.outcome.stopping.reason == "operator"
    assert played.running() == []
    assert played.services.desired == {"writer": BEFORE}
    assert played.one_shots.started == ["migrate"]
    assert played.outcome.scaling is not None
    assert played.outcome.scaling.unrestored == ()
    assert ending_events.MeasureIntended not in played.journal.kinds


def test_what_fails_unforeseen_ends_one_shots_and_puts_services_back() -> None:
    played = world()
    played.one_shots.scripts["migrate"] = fakes.Script()

    def fail(number: int, driver: controller.Controller) -> None:
        if played.outcome.shots and played.outcome.shots["migrate"].truth:
            raise RuntimeError("a bug")

    played.on_decision = fail
    played.begin()
    with pytest.raises(RuntimeError):
        played.drive()
    left = played.driver.abandon()

    (task,) = played.one_shots.find(tasks.one_shot_id(cases.EXECUTION_ID, "migrate")) or (None,)
    assert left == []
    assert task is None
    assert played.services.desired == {"writer": BEFORE}


def test_without_time_for_the_window_left_nothing_is_launched() -> None:
    late = runs.Run(deadline=instants.later(fakes.START, simulation.WINDOW_SECONDS))

    terms = replace(simulation.terms(plan()), layers=(), scales=False, before=())
    decision = lifecycle.decide(late, fakes.START, terms)

    assert decision == lifecycle.Stop(reason="no-time-left-for-the-window")


def test_a_one_shot_goes_by_an_id_that_tells_its_run() -> None:
    assert tasks.run_of(tasks.one_shot_id("run-1", "refresh")) == "run-1" == tasks.run_of("run-1")


def test_a_counting_task_keeps_no_service_up() -> None:
    assert tasks.is_counter(tasks.one_shot_id(cases.EXECUTION_ID, tasks.session_name(2)))
    assert not tasks.is_counter(tasks.one_shot_id(cases.EXECUTION_ID, "refresh"))
    assert not tasks.is_counter(cases.EXECUTION_ID)


# Services that are rolled

ROLLED = {"name": "writer", "desired": UP, "task_definition": "writer:7", "environment": {"PLATFORM_RUN": "{scope}"}}


def rolled_world(**changes: Any) -> World:
    made = World(plan(services=[ROLLED | changes]))
    made.services.desired["writer"] = BEFORE
    made.services.definitions_there = {"writer:1": {"KEPT": "1"}, "writer:7": {"KEPT": "7"}}
    made.one_shots.scripts["settle"] = fakes.Script(runs_seconds=0.2, exit_code=7)
    return made


ROLLED_UNDISTURBED = rolled_world().run()


def test_a_service_is_rolled_to_a_revision_with_the_runs_scope_and_put_back() -> None:
    played = ROLLED_UNDISTURBED

    sound(played)
    assert (played.document["exit_code"], played.blockers) == (0, set())
    assert played.services.definitions_there["writer:8"] == {"KEPT": "7", "PLATFORM_RUN": cases.SCOPE}
    assert played.services.rolled == [("writer", "writer:8"), ("writer", "writer:1")]
    (service,) = result(played).services
    assert (service.definition_before, service.definition, service.restored) == ("writer:1", "writer:8", True)
    kept = models.read(run_records.KeptServices, played.kept.read(document_names.services_name(cases.EXECUTION_ID)))
    assert kept.rolled == (services.ServiceRoll(name="writer", before="writer:1", definition="writer:8"),)
    kinds = played.journal.kinds
    order = [
        errand_events.DefinitionIntended,
        errand_events.DefinitionMade,
        errand_events.ServicesIntended,
        errand_events.ServicesScaled,
    ]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("event", range(2, len(ROLLED_UNDISTURBED.journal.kinds) + 1))
def test_a_crash_at_any_event_leaves_a_rolled_service_as_it_was(event: int, written: bool) -> None:
    played = rolled_world()
    setattr(played.journal, "crash_after" if written else "crash_before", event)

    played.finish(after_seconds=0.5)

    sound(played)
    assert played.services.desired == {"writer": BEFORE}
    assert played.services.definition("writer") == "writer:1"


def test_a_service_that_is_rolled_alone_keeps_its_count() -> None:
    played = World(plan(services=[{"name": "writer", "task_definition": "writer:7"}]))
    played.services.desired["writer"] = BEFORE
    played.services.definitions_there = {"writer:1": {}, "writer:7": {}}
    played.one_shots.scripts["settle"] = fakes.Script(runs_seconds=0.2, exit_code=7)

    played.run()

    assert played.services.asked == [("writer", BEFORE), ("writer", BEFORE)]
    assert played.services.rolled == [("writer", "writer:7"), ("writer", "writer:1")]
    assert errand_events.DefinitionIntended not in played.journal.kinds


def test_a_service_that_somebody_rolled_meanwhile_is_left_alone() -> None:
    played = rolled_world()

    def roll_by_hand(number: int, driver: controller.Controller) -> None:
        if played.outcome.go_at is not None:
            played.services.definitions["writer"] = "writer:99"

    played.on_decision = roll_by_hand
    played.run()

    assert played.services.definition("writer") == "writer:99"
    assert played.services.desired["writer"] == UP
    (service,) = result(played).services
    assert service.restored
    assert "somebody rolled it to writer:99 meanwhile" in service.detail


def test_a_definition_that_cannot_be_made_changes_no_service_and_launches_nothing() -> None:
    played = rolled_world()
    del played.services.definitions_there["writer:7"]

    played.run()

    assert played.services.asked == []
    assert launch_events.LaunchIntended not in played.journal.kinds
    assert "there is no task definition writer:7" in str(played.reason)


def test_a_roll_that_could_not_be_put_back_is_said_with_the_command() -> None:
    played = rolled_world()

    def lose(number: int, driver: controller.Controller) -> None:
        if played.outcome.stopping is not None:
            played.services.down = frozenset({"writer"})

    played.on_decision = lose
    played.run()

    (service,) = result(played).services
    assert service.command == services.restoring_command("burst", "writer", BEFORE, "writer:1")
    assert "--task-definition writer:1" in str(service.command)
    assert played.document["exit_code"] == 6
