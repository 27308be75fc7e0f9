"""Chaos: faults that strike by themselves, because no call comes by where they could.

A fault that strikes once waits for something to strike: a controller that registers, a task that runs.
"""

import signal
from collections.abc import Callable

from burst.kit import process_tree
from burst.rehearsal import armed, fleet, steering, timers

_POLL_SECONDS = 0.05


def start(*, faults: armed.Armed, tasks: fleet.Fleet, steering: steering.Steering, later: timers.Timers) -> None:
    """Looks for something to strike, from now on."""
    struck: set[tuple[str, str]] = set()

    def strike_tasks(
        label: str, candidates: list[fleet.SimulatedTask], act: Callable[[fleet.SimulatedTask], None]
    ) -> None:
        for task in candidates:
            if (label, task.arn) not in struck and faults.strike(label):
                struck.add((label, task.arn))
                act(task)

    def look() -> None:
        running = [task for task in tasks.tasks() if task.last_status == "RUNNING" and task.desired_status == "RUNNING"]
        strike_tasks("task-oom", running, tasks.run_out_of_memory)
        spot = [task for task in running if task.capacity_provider == "FARGATE_SPOT"]
        strike_tasks("spot-interruption", spot, tasks.interrupt)
        if faults.active("task-escapes-guard") is not None:
            for task in running:
                tasks.escape(task)
        if steering.has_controller() and faults.strike("controller-kill"):
            _kill(steering.take_controller())

    later.every(_POLL_SECONDS, look)


def logs_held(faults: armed.Armed) -> Callable[[], bool]:
    """Whether log lines wait."""

    def held() -> bool:
        down = faults.active("all-aws-down")
        return faults.active("logs-late") is not None or (down is not None and down.callers != armed.OPERATOR)

    return held


def _kill(controller: steering.RehearsedController | None) -> None:
    found = None if controller is None else process_tree.find_process(controller.pid, controller.started)
    if found is not None:
        process_tree.send_signal(found, signal.SIGKILL)
