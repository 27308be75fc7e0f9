"""Drills in simulated time: a fault is caused once and taken back, with crashes at every line and on every way out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from burst.control import controller
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, halts, models, task_results, window_metrics
from burst.domain.plan import plans
from burst.domain.run import lifecycle, runs
from burst.domain.run.events import drill_events, ending_events, errand_events, launch_events
from tests import cases, fakes, fakes_journal, fakes_stop_signs, simulation
from tests.simulation import World, sound

AT_SECONDS = 3.0
RECOVERY = {"recover_within": "2s", "recovered_when": {"series": "lag", "at_most": 10, "sustained": "2s"}}
ECS = {
    "kind": "ecs", "tasks": 2, "cluster": "burst", "task_definition": "burst:1", "subnets": ["subnet-a"],
    "security_groups": ["sg-a"],
}  # fmt: skip
COMMAND = {"name": "cut", "at": "3s", "command": ["cut"], "undo": ["mend"], "timeout": "5s", **RECOVERY}
RESTART = {
    "name": "restart-writer", "at": "3s", "restart": {"service": "writer"}, "undo": ["mend"], "timeout": "5s",
    "task_definition": "drills:3", **RECOVERY,
}  # fmt: skip


LAG: dict[str, Any] = {
    "name": "lag",
    "sql": "select 3",
    "rules": [{"blocker": "M10F-B7", "aggregate": "max", "over": "after recovery", "at_most": 10}],
}
OBSERVE = {"every": "1s", "settle": "1s", "series": [LAG]}


def command_world(**changes: Any) -> World:
    played = World(simulation.plan(observe=OBSERVE, during=[COMMAND | changes]))
    played.one_shots.scripts["cut"] = fakes.Script(runs_seconds=0.5)
    return played


def restart_world(**changes: Any) -> World:
    return _with_services(World(simulation.plan(target=ECS, observe=OBSERVE, during=[RESTART | changes])))


def _with_services(played: World) -> World:
    played.services.desired["writer"] = 4
    played.services.restarts_seconds = 0.5
    return played


def answer_by_fault(played: World, find: Callable[[float | None], int | None]) -> None:
    """Answers the series by the seconds since the fault of the drill; None: before it."""
    ask = played.source.ask

    def answer(sql: str, *, scope: str, give_up_at: datetime) -> object:
        if sql != "select 3":
            return ask(sql, scope=scope, give_up_at=give_up_at)
        strikes = played.outcome.strikes.values()
        since = next((instants.seconds_between(each.intended_at, played.clock.now()) for each in strikes), None)
        value = find(since)
        if value is None:
            raise errors.Unavailable("the service is away")
        return value

    played.source.ask = answer  # type: ignore[method-assign]


def gate(played: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in played.document["gates"] if entry["name"] == name)
    return found


def result(played: World) -> task_results.TaskResult:
    name = document_names.task_result_name(played.plan.slug)
    return models.read(task_results.TaskResult, played.store.documents[name])


def drill(played: World) -> task_results.DrillEntry:
    (entry,) = result(played).drills
    return entry


def struck(played: World) -> int:
    """How often the fault was caused, by what the world saw of it."""
    return len(played.services.restarts.get("writer", ())) + played.one_shots.started.count("cut")


def undone(played: World) -> int:
    return sum(name.startswith("undo-") for name in played.one_shots.started)


UNDISTURBED_COMMAND, UNDISTURBED_RESTART = command_world().run(), restart_world().run()


def test_a_command_is_run_at_its_time_and_undone_after_the_burst() -> None:
    played, entry = UNDISTURBED_COMMAND, drill(UNDISTURBED_COMMAND)

    sound(played)
    go_at = played.outcome.go_at
    assert go_at is not None
    assert entry.planned_utc == instants.later(go_at, AT_SECONDS)
    assert entry.intended_utc is not None
    assert 0.0 <= instants.seconds_between(entry.planned_utc, entry.intended_utc) < 0.5
    assert (entry.problem, entry.exit_code, entry.undone, entry.caused) == (None, 0, True, True)
    assert played.one_shots.started == ["cut", "undo-cut"]
    kinds = played.journal.kinds
    order = [
        launch_events.GoGiven,
        drill_events.DrillIntended,
        errand_events.OneShotIntended,
        ending_events.StopIntended,
        ending_events.MeasureIntended,
    ]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)


def test_a_service_is_restarted_and_each_task_that_it_had_is_replaced() -> None:
    entry = drill(UNDISTURBED_RESTART)

    sound(UNDISTURBED_RESTART)
    assert (entry.tasks_before, entry.replaced_task_count, entry.problem) == (4, 4, None)
    assert entry.over_utc is not None
    assert entry.struck_utc is not None
    assert entry.struck_utc < entry.over_utc
    assert (struck(UNDISTURBED_RESTART), undone(UNDISTURBED_RESTART)) == (1, 1)


def test_the_receipts_before_and_during_a_drill_add_up_to_the_whole() -> None:
    played = UNDISTURBED_COMMAND
    name = document_names.metrics_name(played.plan.slug)
    metrics = models.read(window_metrics.Metrics, played.store.documents[name])
    (entry,) = metrics.drills

    assert entry.before is not None
    assert entry.during is not None
    assert entry.after is not None
    assert entry.before.end_utc == entry.during.start_utc == drill(played).intended_utc
    assert entry.during.end_utc == entry.after.start_utc
    assert (entry.before.start_utc, entry.after.end_utc) == (metrics.window.start_utc, metrics.window.end_utc)
    assert sum(part.counts.admit for part in entry.parts) == metrics.counts.admit
    assert all(part.counts.admit > 0 for part in entry.parts)
    assert gate(played, "drill_windows:cut")["status"] == "PASS"


# Recovery


def test_a_system_that_recovers_in_time_passes_with_its_seconds() -> None:
    played = restart_world()
    answer_by_fault(played, lambda since: 40 if since is not None and since < 1.0 else 3)

    played.run()

    sound(played)
    assert (played.document["exit_code"], played.blockers) == (0, set())
    rto = gate(played, "rto:restart-writer")
    assert rto["status"] == "PASS"
    assert 1.0 <= rto["measured"] <= 2.0
    (check,) = played.document["drills"]
    assert (check["replaced_task_count"], check["rto_pass"], check["undone"]) == (4, True, True)
    assert check["restart_to_stable_seconds"] == rto["measured"]
    assert gate(played, "observed:lag.max.after")["status"] == "PASS"


def test_a_system_that_recovers_late_holds_with_its_seconds() -> None:
    played = restart_world()
    answer_by_fault(played, lambda since: 40 if since is not None and since < 2.5 else 3)

    played.run()

    rto = gate(played, "rto:restart-writer")
    assert rto["status"] == "FAIL"
    assert 2.5 <= rto["measured"] <= 4.0
    assert played.blockers == {"B5"}


@pytest.mark.parametrize("value", [40, None], ids=["never good", "no samples"])
def test_a_system_that_is_not_seen_to_recover_is_invalid(value: int | None) -> None:
    played = restart_world()
    answer_by_fault(played, lambda since: 3 if since is None else value)

    played.run()

    rto = gate(played, "rto:restart-writer")
    assert (rto["status"], rto["measured"]) == ("INVALID", None)
    assert gate(played, "observed:lag.max.after")["status"] == "INVALID"
    assert "B5" in played.blockers
    assert played.document["exit_code"] == 3


@pytest.mark.parametrize(("lasts_seconds", "blockers"), [(1.0, set()), (2.5, {"B2"})], ids=["in time", "late"])
def test_a_phase_of_kind_recovery_holds_by_its_own_blockers(lasts_seconds: float, blockers: set[str]) -> None:
    lag = LAG | {"rules": [{**LAG["rules"][0], "blocker": "M10F-B3"}]}
    asked: dict[str, Any] = {
        "kind": "recovery",
        "facts": [],
        "gates": {},
        "baseline": None,
        "observe": OBSERVE | {"series": [lag]},
    }
    played = _with_services(World(simulation.plan(target=ECS, during=[RESTART], **asked)))
    answer_by_fault(played, lambda since: 40 if since is not None and since < lasts_seconds else 3)
    played.store.put_once(document_names.preflight_name(played.plan.slug), canonical.encode(cases.preflight()))

    played.run()

    assert played.blockers == blockers
    document = played.document
    assert document["rto_pass"] == (not blockers)
    assert document["replaced_task_count"] == 4
    assert document["pre_fault_baseline"]["ADMIT"] > 0
    assert document["restart_to_stable_seconds"] >= lasts_seconds


# Crashes


def crash(played: World, event: int, *, written: bool, after_seconds: float = 0.5) -> None:
    setattr(played.journal, "crash_after" if written else "crash_before", event)
    played.finish(after_seconds=after_seconds)
    sound(played)
    assert played.crashes == 1
    assert played.running() == []
    intended = {drill_events.DrillIntended, drill_events.DrillFound}.intersection(played.journal.kinds)
    assert struck(played) <= 1
    assert struck(played) <= len(intended)
    assert undone(played) == bool(intended)
    assert all(shot.ended for shot in played.outcome.shots.values())
    assert drill(played).undone


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("event", range(2, len(UNDISTURBED_COMMAND.journal.kinds) + 1))
def test_a_crash_at_any_event_runs_a_command_once_and_undoes_it(event: int, written: bool) -> None:
    played = command_world()
    crash(played, event, written=written)


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("event", range(2, len(UNDISTURBED_RESTART.journal.kinds) + 1))
def test_a_crash_at_any_event_restarts_a_service_once(event: int, written: bool) -> None:
    played = restart_world()
    crash(played, event, written=written)


@pytest.mark.parametrize("written", [False, True], ids=["before-the-act", "after-the-act"])
def test_a_crash_around_the_restart_still_causes_it(written: bool) -> None:
    played = restart_world()
    kinds = UNDISTURBED_RESTART.journal.kinds
    at = kinds.index(drill_events.DrillStruck if written else drill_events.DrillIntended) + 1
    setattr(played.journal, "crash_before" if written else "crash_after", at)

    played.finish(after_seconds=0.5)

    assert struck(played) == 1
    assert drill(played).problem is None
    adopted = [entry.event.adopted for entry in played.journal.recorded if hasattr(entry.event, "adopted")]
    assert adopted == [written]


def test_a_restart_whose_answer_is_lost_is_adopted_and_not_repeated() -> None:
    played = restart_world()
    played.services.answers_lost = 1

    played.run()

    assert struck(played) == 1
    assert drill_events.DrillUnanswered in played.journal.kinds
    assert drill(played).problem is None


def test_another_machine_without_the_journal_causes_no_second_fault_and_undoes_the_first() -> None:
    played = restart_world()
    played.journal.crash_after = UNDISTURBED_RESTART.journal.kinds.index(drill_events.DrillStruck) + 1
    with pytest.raises(fakes_journal.Crashed):
        played.run()
    played.journal.revive()
    del played.journal.recorded[1:]

    played.drive(resumed=True)

    assert struck(played) == 1
    assert undone(played) == 1
    assert drill_events.DrillFound in played.journal.kinds
    assert document_names.drill_back_name(cases.EXECUTION_ID, "restart-writer") in played.kept_drills.names()


# Ways out


def test_a_run_that_ends_before_its_drill_causes_and_undoes_nothing() -> None:
    played = command_world()

    def interrupt_at_go(number: int, driver: controller.Controller) -> None:
        if played.outcome.go_at is not None and played.outcome.stopping is None:
            driver.interrupt("SIGINT")

    played.on_decision = interrupt_at_go
    played.run()

    assert played.one_shots.started == []
    assert drill(played).problem == "the run ended before it"
    assert drill(played).undone


@pytest.mark.parametrize("times", [1, 3], ids=["once", "in a hurry"])
def test_an_interrupt_in_the_drill_undoes_it(times: int) -> None:
    played = command_world()
    sent = [0]

    def interrupt(number: int, driver: controller.Controller) -> None:
        if "cut" in played.outcome.shots and sent[0] < times:
            sent[0] += 1
            driver.interrupt("SIGINT")

    played.on_decision = interrupt
    played.run()

    assert undone(played) == 1
    assert drill(played).undone


def test_a_halt_in_the_drill_undoes_it() -> None:
    played = command_world()
    switch = played.halt = fakes_stop_signs.MemoryHaltSwitch()

    def halt(number: int, driver: controller.Controller) -> None:
        if "cut" in played.outcome.shots:
            switch.set_halt(halts.Halt(reason="a drill too many", by="ada@laptop", at_utc=cases.moment(0)))

    played.on_decision = halt
    played.run()

    assert played.reason == task_results.HALTED
    assert (undone(played), drill(played).undone) == (1, True)


def test_an_early_stop_in_the_drill_undoes_it() -> None:
    played = command_world()
    played.source.decide = lambda number: "ADMIT" if number < 8 else "DUPLICATE"

    played.run()

    assert played.reason == "early-stop"
    assert (undone(played), drill(played).undone) == (1, True)


def test_the_deadline_in_the_drill_undoes_it() -> None:
    played = command_world(timeout="60s")
    played.journal.crash_after = UNDISTURBED_COMMAND.journal.kinds.index(drill_events.DrillIntended) + 3

    played.finish(after_seconds=simulation.CAP_SECONDS)

    assert played.crashes == 1
    assert (struck(played), undone(played), drill(played).undone) == (1, 1, True)


def test_a_stop_without_a_count_undoes_the_drill() -> None:
    played = command_world()
    played.journal.crash_after = UNDISTURBED_COMMAND.journal.kinds.index(drill_events.DrillIntended) + 2
    with pytest.raises(fakes_journal.Crashed):
        played.run()
    played.journal.revive()

    played.drive(resumed=True, until_stopped=True)

    assert undone(played) == 1
    assert document_names.drill_back_name(cases.EXECUTION_ID, "cut") in played.kept_drills.names()


def test_an_unforeseen_end_starts_the_undo_at_once() -> None:
    played = command_world()

    class Unforeseen(Exception):
        """A bug."""

    def fail_in_drill(number: int, driver: controller.Controller) -> None:
        if "cut" in played.outcome.shots:
            raise Unforeseen

    played.on_decision = fail_in_drill
    with pytest.raises(Unforeseen):
        played.run()
    commands = played.driver.abandon()

    assert (undone(played), commands) == (1, [])


def test_an_undo_that_fails_is_said_with_its_command() -> None:
    played = command_world()
    played.one_shots.scripts["undo-cut"] = fakes.Script(runs_seconds=0.1, exit_code=3)

    played.run()

    entry = drill(played)
    assert not entry.undone
    assert entry.undo_problem is not None
    assert "exit code 3" in entry.undo_problem
    assert entry.undo_command == ["mend"]
    assert document_names.drill_back_name(cases.EXECUTION_ID, "cut") not in played.kept_drills.names()


def test_a_run_that_comes_back_too_late_causes_no_fault() -> None:
    played = command_world()
    played.journal.crash_after = UNDISTURBED_COMMAND.journal.kinds.index(drill_events.DrillIntended)

    played.finish(after_seconds=6.0)

    assert struck(played) == 0
    problem = drill(played).problem
    assert problem is not None
    assert "too late" in problem


def test_a_service_that_is_not_there_is_not_restarted() -> None:
    played = restart_world()
    del played.services.desired["writer"]

    played.run()

    assert drill(played).problem == "it was not caused: there is no service writer"
    assert undone(played) == 0


def test_a_restart_that_does_not_end_is_told_with_its_tasks() -> None:
    played = restart_world()
    played.services.restarts_seconds = 500.0

    played.run()

    entry = drill(played)
    assert entry.over_utc is None
    assert entry.problem == "the restart did not come to its end: 0 of 4 tasks replaced, 0 new ones run"


# The decision


def test_the_wait_of_a_burst_ends_where_its_drill_is_due() -> None:
    waits = [
        decision for decision in UNDISTURBED_COMMAND.decisions
        if isinstance(decision, lifecycle.Wait) and decision.due == "drill cut"
    ]  # fmt: skip

    assert waits
    go_at = UNDISTURBED_COMMAND.outcome.go_at
    assert go_at is not None
    assert {wait.until for wait in waits} == {instants.later(go_at, AT_SECONDS)}


# The plan


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"restart": {"service": "writer"}}, "either restart or command, and not both"),
        ({"command": None}, "either restart or command, and not both"),
        ({"command": None, "undo": None, "restart": {"service": "w"}, "container": "d"}, "there is neither"),
        ({"at": "7s"}, "within the window of 10s"),
        ({"task_definition": "drills:3"}, "kind local takes no task_definition"),
        ({"recovered_when": {"series": "lag", "sustained": "2s"}}, "exactly one of equals, at_most, at_least"),
    ],
)
def test_a_drill_that_does_not_fit_is_refused(changes: dict[str, Any], allowed: str) -> None:
    drill_ = {key: value for key, value in (COMMAND | changes).items() if value is not None}
    with pytest.raises(errors.UsageError, match=allowed):
        simulation.plan(observe=OBSERVE, during=[drill_])


def test_drills_that_overlap_or_share_a_name_are_refused() -> None:
    with pytest.raises(plans.PlanError, match="at least 7s"):
        simulation.plan(observe=OBSERVE, during=[COMMAND, COMMAND | {"name": "other", "at": "4s"}])
    with pytest.raises(plans.PlanError, match="distinct names"):
        simulation.plan(observe=OBSERVE, during=[COMMAND], before=[{"name": "cut", "command": ["x"], "timeout": "3s"}])


def test_a_run_that_has_no_drill_says_nothing_of_drills() -> None:
    played = World().run()

    assert (result(played).drills, played.outcome.strikes) == ([], {})
    assert isinstance(played.outcome, runs.Run)
