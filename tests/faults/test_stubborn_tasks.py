"""Tasks that ignore TERM, flee or are frozen: gone when stop and grace are over, whoever is left to end them."""

import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from burst.domain.basics import instants
from burst.domain.tasks import worst_ends
from burst.kit import process_tree
from tests import waiting
from tests.faults import controller_driver, stage
from tests.task import guarding

pytestmark = pytest.mark.timeout(400)

STUBBORN = {
    "ignores-term": guarding.IGNORES_TERM,
    "flees-and-ignores-term": guarding.DOUBLE_FORKS_AND_IGNORES_TERM,
    "is-frozen": guarding.STOPS_ITSELF,
}
NEED_KILL = {guarding.IGNORES_TERM, guarding.DOUBLE_FORKS_AND_IGNORES_TERM}
"""The others are thawed to act on their TERM, and do."""
BY_KILL = (137, None)
"""The guard's, or where the machine kept that one waiting the controller's, which leaves nobody to tell a code."""


def signal_guards(ran: stage.Ran, number: signal.Signals) -> None:
    """Sends both guards a signal they cannot catch."""
    found = ran.guards()
    assert len(found) == 2
    for guard in found:
        process_tree.send_signal(guard, number)


@pytest.mark.parametrize("program", STUBBORN.values(), ids=STUBBORN.keys())
def test_stubborn_tasks_are_gone_when_the_grace_after_the_window_is_over(
    play: stage.Stage, program: Sequence[str]
) -> None:
    command, ran = play.begin_programs(program, cap=60)
    command.go_on()
    stopping = instants.parse(ran.reached("stop-intended")["at"])

    limit = stage.GRACE_SECONDS + worst_ends.FORCE_AFTER_GRACE_SECONDS
    ran.see_gone(by=instants.later(stopping, limit))

    assert command.wait().code == 3
    assert ran.nothing_left()
    snapshot = ran.snapshot()
    assert snapshot["runtime_budget"]["overshoot_seconds"] == 0.0
    assert stage.layers_that_stopped(snapshot) <= {"lease", "controller"}
    assert stage.states(snapshot)["B8"] == "cleared"
    killed = {task["exit_code"] in BY_KILL for task in snapshot["burst_execution_window"]["tasks"]}
    assert killed == {program in NEED_KILL}


def test_frozen_guards_are_thawed_and_end_their_tasks(play: stage.Stage) -> None:
    command, ran = play.begin_programs(guarding.OBEYS, cap=60)
    signal_guards(ran, signal.SIGSTOP)

    command.go_on()
    answer = command.wait()

    assert answer.code == 3
    assert ran.nothing_left()
    assert stage.layers_that_stopped(ran.snapshot()) <= {"lease", "controller"}
    assert stage.states(ran.snapshot())["B8"] == "cleared"
    assert play.verify(ran) == 3


def test_what_fled_from_killed_guards_is_killed_by_the_controller(play: stage.Stage) -> None:
    command, ran = play.begin_programs(guarding.DOUBLE_FORKS_AND_IGNORES_TERM, cap=60)
    signal_guards(ran, signal.SIGKILL)
    waiting.until(lambda: not ran.guards(), what="the guards to be gone")
    assert ran.tasks()

    command.go_on()
    answer = command.wait()

    assert answer.code == 3
    assert ran.nothing_left()
    assert stage.layers_that_stopped(ran.snapshot()) == {"controller"}
    assert stage.states(ran.snapshot())["B8"] == "cleared"
    assert play.verify(ran) == 3


def test_a_task_that_somebody_else_ends_in_mid_burst_has_not_held(play: stage.Stage) -> None:
    plan = play.plan({"load": {"command": [*guarding.OBEYS], "waits_for_go": False}}, window=30, cap=90)
    command, ran = play.begin(plan)
    ran.reached("go-given")
    process_tree.send_signal(ran.guards()[0], signal.SIGTERM)

    answer = command.wait()

    assert answer.code == 3
    snapshot = ran.snapshot()
    assert stage.states(snapshot)["B9"] == "open"
    ends = sorted((task["ended_by"], task["asked_by"] or "", task["stopped_by"] or "") for task in _tasks(snapshot))
    assert ends == [("lease-stop", "controller", "lease"), ("signal", "", "")]
    (held,) = [gate for gate in snapshot["gates"] if gate["name"] == "tasks_held"]
    assert (held["status"], held["measured"]) == ("FAIL", 1)
    assert "ended by a signal that nobody of this run had asked for" in held["why"]
    assert play.verify(ran) == 3


def _tasks(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = snapshot["burst_execution_window"]["tasks"]
    return entries


@pytest.mark.parametrize("program", STUBBORN.values(), ids=STUBBORN.keys())
def test_without_a_controller_the_guards_end_stubborn_tasks_by_the_deadline_and_its_grace(
    play: stage.Stage, program: Sequence[str]
) -> None:
    command, ran = play.begin_programs(program, cap=9)
    command.kill()

    gone_at = ran.see_gone(by=instants.later(ran.deadline(), stage.GRACE_SECONDS))

    assert play.burst("resume", ran.folder).code == 3
    assert ran.nothing_left()
    _overshot(ran, {"guard"}, stage.GRACE_SECONDS * 0.9 if program in NEED_KILL else 0.0, gone_at)
    assert play.verify(ran) == 3


def test_without_a_controller_the_watchdog_ends_tasks_under_frozen_guards(play: stage.Stage) -> None:
    command, ran = play.begin_programs(guarding.IGNORES_TERM, cap=9)
    command.kill()
    signal_guards(ran, signal.SIGSTOP)

    gone_at = ran.see_gone(by=instants.later(ran.deadline(), stage.GRACE_SECONDS + worst_ends.WATCHDOG_MARGIN_SECONDS))

    assert play.burst("resume", ran.folder).code == 3
    assert ran.nothing_left()
    _overshot(ran, {"sidecar"}, stage.GRACE_SECONDS, gone_at)
    assert play.verify(ran) == 3


def test_a_run_resumed_long_after_its_kill_looks_before_it_calls_a_stop_unproven(play: stage.Stage) -> None:
    at_the_kill = controller_driver.Blow(event="stop-intended", forced=True, number=signal.SIGKILL)
    command, ran = play.begin_programs(guarding.DOUBLE_FORKS_AND_IGNORES_TERM, cap=60, blows=[at_the_kill])
    signal_guards(ran, signal.SIGKILL)
    command.go_on()
    assert command.wait().code == stage.SIGKILLED
    forced = ran.events()[-1]
    assert ran.folded().alive, "the controller saw them stop before it was killed"
    process_tree.kill(ran.tasks())
    patience_ends = instants.later(instants.parse(forced["at"]), worst_ends.GIVE_UP_AFTER_FORCE_SECONDS + 0.1)
    waiting.until(lambda: datetime.now(UTC) > patience_ends, seconds=15, what="the patience of the first controller")

    answer = play.burst("resume", ran.folder)

    assert answer.code == 3, answer.err
    assert stage.states(ran.snapshot())["B8"] == "cleared"
    assert ran.nothing_left()


def _overshot(ran: stage.Ran, layers: set[str], least_seconds: float, gone_at: datetime) -> None:
    """The snapshot says by how much the tasks outlived their deadline, and who ended them. Who kills takes a moment to
    note it, and the guard's clock is set by the wall's within one too."""
    snapshot = ran.snapshot()
    limit_seconds = instants.seconds_between(ran.deadline(), gone_at) + waiting.scheduling_seconds()
    assert least_seconds <= snapshot["runtime_budget"]["overshoot_seconds"] < limit_seconds
    assert {snapshot["runtime_budget"]["stopped_by"]} == stage.layers_that_stopped(snapshot) == layers
