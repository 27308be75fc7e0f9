"""Signals to the controller: however they come, tasks are stopped and the run ends in order."""

import signal

import pytest

from tests.faults import controller_driver, stage

QUICKLY_SECONDS = 0.05
"""As a person would press it again."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_signal_stops_the_tasks_and_publishes(play: stage.Stage, number: signal.Signals) -> None:
    command, ran = play.begin(play.plan(window=30, cap=60))
    ran.reached("go-given")
    command.signal(number)

    answer = command.wait()

    assert answer.code == CODES[number], answer.err
    assert ran.nothing_left()
    snapshot = ran.snapshot()
    assert snapshot["exit_code"] == CODES[number]
    assert snapshot["decision"]["stop_reason"] == "interrupted"
    assert snapshot["burst_execution_window"]["elapsed_seconds"] < 30
    assert answer.document == snapshot
    assert play.verify(ran) == 3


@pytest.mark.parametrize("moment", ["layer-arming", "launch-intended", "go-given", "stop-intended", "measure-intended"])
def test_two_interrupts_in_quick_succession_still_stop_everything(play: stage.Stage, moment: str) -> None:
    pressed = controller_driver.Blow(event=moment, number=signal.SIGINT, again_seconds=QUICKLY_SECONDS)
    command, ran = play.begin(play.plan(), fate=(pressed,))

    answer = command.wait()

    assert ran.nothing_left()
    assert answer.code == ran.snapshot()["exit_code"] == 130, answer.err
    assert play.verify(ran) in (0, 3)
