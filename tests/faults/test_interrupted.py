"""Signals to the controller: however they come, tasks are stopped and the run ends in order."""

import signal
import time

import pytest

from tests.faults import stage

QUICKLY_SECONDS = 0.05
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_signal_stops_the_tasks_and_publishes(play: stage.Stage, number: signal.Signals) -> None:
    command, ran = play.begin(play.plan(window=15, cap=40))
    ran.reached("go-given")
    command.signal(number)

    answer = command.wait()

    assert answer.code == CODES[number], answer.err
    assert ran.nothing_left()
    snapshot = ran.snapshot()
    assert snapshot["exit_code"] == CODES[number]
    assert snapshot["decision"]["stop_reason"] == "interrupted"
    assert snapshot["burst_execution_window"]["elapsed_seconds"] < 15
    assert answer.document == snapshot
    assert play.verify(ran) == 3


@pytest.mark.parametrize("moment", ["layer-arming", "launch-intended", "go-given", "stop-intended", "measure-intended"])
def test_two_interrupts_in_quick_succession_still_stop_everything(play: stage.Stage, moment: str) -> None:
    command, ran = play.begin(play.plan())
    ran.reached(moment)
    command.signal(signal.SIGINT)
    time.sleep(QUICKLY_SECONDS)  # as a person would press it again
    command.signal(signal.SIGINT)

    answer = command.wait()

    assert ran.nothing_left()
    assert answer.code == ran.snapshot()["exit_code"], answer.err
    # While it is measured the verdict may be reached before the signal is heeded.
    assert answer.code in ({130, 0} if moment == "measure-intended" else {130}), answer.err
    assert play.verify(ran) in (0, 3)
