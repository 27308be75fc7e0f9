"""The faults that strike a task or the controller, not a call: a poll looks for a target and strikes it.

An armed fault that strikes once waits until a target exists: a registered controller or a running task. A task that a
schedule runs is no target: it is a layer of the hard stop, perhaps of an earlier run.
"""

import functools
import signal
from collections.abc import Callable

from burst.kit import process_tree
from burst.rehearsal import armed_faults, fleet, rehearsal_api, schedules, simulated_tasks, timers

_POLL_SECONDS = 0.05


def start_striking(
    *,
    faults: armed_faults.ArmedFaults,
    tasks: fleet.Fleet,
    rehearsal: rehearsal_api.RehearsalApi,
    timer: timers.Timers,
) -> None:
    """Looks for targets from now on, on the timer's thread."""
    struck: set[tuple[str, str]] = set()

    def strike_tasks(
        label: str,
        candidates: list[simulated_tasks.SimulatedTask],
        act: Callable[[simulated_tasks.SimulatedTask], None],
    ) -> None:
        for task in candidates:
            if (label, task.arn) not in struck and faults.strike(label):
                struck.add((label, task.arn))
                act(task)

    def strike_targets() -> None:
        running = [task for task in tasks.tasks() if _is_target(task)]
        strike_tasks("task-oom", running, tasks.run_out_of_memory)
        spot = [task for task in running if task.capacity_provider == "FARGATE_SPOT"]
        strike_tasks("spot-interruption", spot, tasks.interrupt)
        for fault in faults.in_force("infrastructure-health"):
            strike_tasks(fault.label, running, functools.partial(tasks.retire_host, fault.argument))
        if faults.active("task-escapes-guard") is not None:
            for task in running:
                tasks.start_escaped_processes(task)
        if rehearsal.has_controller() and faults.strike("controller-kill"):
            _kill(rehearsal.take_controller())

    timer.every(_POLL_SECONDS, strike_targets)


def _is_target(task: simulated_tasks.SimulatedTask) -> bool:
    runs = task.last_status == "RUNNING" and task.desired_status == "RUNNING"
    return runs and not (task.started_by or "").startswith(schedules.STARTED_BY)


def logs_are_held(faults: armed_faults.ArmedFaults) -> bool:
    """Whether a fault in force keeps log lines from CloudWatch Logs."""
    outage = faults.active("all-aws-down")
    return faults.active("logs-late") is not None or (outage is not None and outage.callers != armed_faults.OPERATOR)


def _kill(controller: rehearsal_api.RehearsedController | None) -> None:
    process = None if controller is None else process_tree.find_process(controller.pid, controller.started)
    if process is not None:
        process_tree.send_signal(process, signal.SIGKILL)
