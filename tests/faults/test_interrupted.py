"""Signals to the controller: however they come, tasks are stopped and the run ends in order."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.faults import controller_driver, stage

QUICKLY_SECONDS = 0.05
"""As a person would press it again."""
WINDOW_SECONDS = 600.0
"""The window of a run that is interrupted in it, however long the machine takes."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_signal_stops_the_tasks_and_publishes(play: stage.Stage, number: signal.Signals) -> None:
    command, ran = play.begin(play.plan(window=WINDOW_SECONDS, cap=WINDOW_SECONDS + 60))
    ran.reached("go-given")
    command.signal(number)

    answer = command.wait()

    assert answer.code == CODES[number], answer.err
    assert ran.nothing_left()
    snapshot = ran.snapshot()
    assert snapshot["exit_code"] == CODES[number]
    assert snapshot["exit_reason"] == f"interrupted by {number.name}"
    assert snapshot["decision"]["stop_reason"] == "interrupted"
    assert snapshot["burst_execution_window"]["elapsed_seconds"] < WINDOW_SECONDS
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


def test_a_run_under_nohup_goes_on_to_its_verdict_when_the_terminal_goes_away(play: stage.Stage) -> None:
    ran = play.named()
    words = [sys.executable, "-m", "burst", "run", str(play.plan(stage.UNHURRIED)), "--execution-id", ran.execution_id]
    output = play.folder / "nohup.out"
    with output.open("wb") as file:
        command = subprocess.Popen(
            ["nohup", *words], env=play.environment, cwd=stage.ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        ran.reached("go-given")
        os.kill(command.pid, signal.SIGHUP)
        code = command.wait(60)
    finally:
        command.kill()

    assert code == 0, output.read_text()
    assert ran.snapshot()["decision"]["stop_reason"] == "window-complete"
    assert ran.event("interrupted") is None


def test_an_interrupt_in_preflight_launches_nothing_also_where_a_shell_ignores_it(play: stage.Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        here = play.played_at(host=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        words = [sys.executable, "-m", "burst", "run", str(here.plan())]
        command = subprocess.Popen(
            ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *words], env=here.environment, cwd=stage.ROOT
        )
        try:
            deaf.settimeout(60)
            canary, _ = deaf.accept()  # preflight waits for its answer
            with canary:
                command.send_signal(signal.SIGINT)
                code = command.wait(30)
        finally:
            command.kill()

    assert code == 130
    assert not play.runs.exists()
