"""Stopping: ends the tasks of a run, and says so only when each was seen to stop.

A living controller is asked through the lease and given time; without one the run is stopped as its controller would,
or task by task. A task by task stop needs no session, so a run whose folder is broken, or lies on another machine, is
stopped as well.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from burst import ports
from burst.adapters.local import system_clock
from burst.control import reaping
from burst.domain.basics import errors, instants, wording
from burst.domain.plan import plans, run_commands
from burst.domain.run import drill_entries
from burst.domain.tasks import leases, services, tasks
from burst.wiring import announcements, inputs, marked_runs, sessions, standings
from burst.wiring.targets import targets

MARGIN_SECONDS = 15.0
"""How long after the grace a living controller may take to stop its run."""
POLL_SECONDS = 0.25
"""The pause between two looks at a living controller's run: longer would be slow, shorter would make ECS throttle."""

Say = Callable[[str], None]
"""Says a line of words to the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A run of which every task was seen to stop."""

    execution_id: str
    plan: plans.Plan
    controller_alive: bool
    has_verdict: bool
    written_by_newer: bool
    """Whether a newer burst wrote its journal: only that one can continue it."""


def stop_here(folder: Path, reason: str, say: Say) -> Stopped:
    """Stops every task of the run in a folder, and puts its services back where no controller does.

    Raises `errors.StillRunning` where a task may still run or a service was not put back, and what `standings` raises.
    """
    clock = system_clock.SystemClock()
    try:
        ask_to_stop(folder, clock, reason)
    except errors.Unavailable as exc:
        say(f"STOP could not be written into the lease, each task is stopped without it: {exc}")
    status = _inspect_or_reap(folder, clock)
    if status.newer is not None:
        say(f"{status.newer}; each task is found and stopped by the mark it carries")
    left_to_controller = _wait_for_controller(folder, status, clock)
    survivors = [] if left_to_controller else _stop_without_controller(folder, clock, reason)
    status = standings.inspect_tasks(folder)
    _require_stopped(folder, status, survivors, left_to_controller=left_to_controller)
    return Stopped(
        execution_id=status.run.execution_id,
        plan=status.plan,
        controller_alive=status.controller_alive,
        has_verdict=status.run.exit_code is not None,
        written_by_newer=status.newer is not None,
    )


def stop_elsewhere(execution_id: str, run_control: str, reason: str, say: Say) -> None:
    """Stops a run that another machine launched: STOP into its lease first, which needs no ECS, then every task.

    Raises `errors.EvidenceIncomplete` where no such run was announced, `errors.StillRunning` where a task may still
    run.
    """
    clock = system_clock.SystemClock()
    plan = announcements.read_plan(execution_id, run_control)
    _, announcement = announcements.read_announcement(execution_id, run_control)
    store = targets.choose(plan, clock).lease_store()
    unknown = leases.Lease(
        execution_id=execution_id,
        state=leases.LeaseState.WAIT,
        deadline=announcement.deadline_utc,
        beat=0,
        heartbeat_at=clock.now(),
    )
    last_lease = _stop_lease(store, unknown, clock, reason, say)
    outcomes = reaping.reap(find_tasks(plan, clock), clock, say)
    unstopped = [outcome.living.words() for outcome in outcomes if not outcome.gone]
    if unstopped:
        raise errors.StillRunning(
            f"these tasks may still be running: {'; '.join(unstopped)}.\n"
            f"Act now: {run_commands.stop(execution_id, plan)}; then {run_commands.reap(plan)}; "
            "then end the ones above by hand"
        )
    marked_runs.require_none_left(plan, last_lease, clock)


def ask_to_stop(folder: Path, clock: ports.Clock, reason: str) -> None:
    """Writes STOP into a run's lease, where it has one: tasks and controller obey it by themselves."""
    plan = inputs.frozen_plan(folder)
    _write_stop(targets.choose(plan, clock, folder).lease_store(), clock, reason)


def find_tasks(plan: plans.Plan, clock: ports.Clock) -> list[reaping.LivingTask]:
    """Every living task of one run, to be ended whatever its deadline."""
    living_tasks = targets.choose(plan, clock).living_tasks()
    return [dataclasses.replace(living, by=tasks.Layer.CONTROLLER) for living in living_tasks]


def describe_unstopped(folder: Path, plan: plans.Plan, unstopped: list[str]) -> str:
    """The tasks that may still run, and the commands that end them."""
    return (
        f"{wording.format_count(len(unstopped), 'task')} may still be running: {', '.join(unstopped)}.\n"
        f"Act now: {run_commands.stop(str(folder), plan)}; then {run_commands.reap(plan)}; "
        "then end the ones above by hand."
    )


def _write_stop(store: ports.LeaseStore, clock: ports.Clock, reason: str) -> None:
    lease = store.read()
    if lease is not None:
        store.write(dataclasses.replace(lease, state=leases.LeaseState.STOP, heartbeat_at=clock.now(), reason=reason))


def _stop_lease(
    store: ports.LeaseStore, unknown: leases.Lease, clock: ports.Clock, reason: str, say: Say
) -> leases.Lease | None:
    """Writes STOP into the lease of another machine's run; returns the lease before, None where there was none.

    Where it cannot be read, STOP takes the place of whatever stands there, and the run may be as far as `unknown`.
    """
    try:
        last_lease = store.read()
    except errors.Unavailable as exc:
        say(f"the lease cannot be read, STOP is written over it: {exc}")
        last_lease = unknown
    if last_lease is not None:
        stop = dataclasses.replace(
            last_lease, state=leases.LeaseState.STOP, heartbeat_at=clock.now(), reason=reason, owner=None
        )
        try:
            store.write(stop)
        except errors.Unavailable as exc:
            say(f"STOP could not be written into the lease, each task is stopped without it: {exc}")
    return last_lease


def _inspect_or_reap(folder: Path, clock: ports.Clock) -> standings.RunStatus:
    """The state of a run. Where its journal cannot be read, its tasks are ended by their mark before that is raised."""
    try:
        return standings.inspect_tasks(folder)
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown):
        _reap_tasks(inputs.frozen_plan(folder), clock)
        raise


def _wait_for_controller(folder: Path, status: standings.RunStatus, clock: ports.Clock) -> bool:
    """Whether a living controller was seen to stop every task in the time that this should take."""
    give_up_at = instants.later(clock.now(), status.plan.budget.stop_grace + MARGIN_SECONDS)
    while status.controller_alive and clock.now() < give_up_at:
        if status.run.stopped and not status.unstopped:
            return True
        clock.sleep(POLL_SECONDS)
        status = standings.inspect_tasks(folder)
    return False


def _stop_without_controller(folder: Path, clock: ports.Clock, reason: str) -> list[str]:
    """Stops a run as its controller would; returns the tasks that were not seen to end.

    Its tasks are ended one by one where the run has its verdict, another controller holds it, or a newer burst wrote
    its journal.
    """
    status = standings.read_status(folder)
    if status.run.exit_code is None and status.newer is None:
        with contextlib.suppress(errors.Conflict):  # a controller that hangs keeps its lock
            session = sessions.reopen(folder, observe=lambda run, decision, now: None, to_count=False)
            try:
                session.controller.ask_to_stop(reason)
                session.controller.drive(until_stopped=True)
            finally:
                session.close()
            return []
    return _reap_tasks(status.plan, clock)


def _reap_tasks(plan: plans.Plan, clock: ports.Clock) -> list[str]:
    """Ends every task that carries the mark of a run; returns the tasks that were not seen to end."""
    outcomes = reaping.reap(find_tasks(plan, clock), clock, lambda words: None)
    return [outcome.living.task.task_id for outcome in outcomes if not outcome.gone]


def _require_stopped(
    folder: Path, status: standings.RunStatus, survivors: Sequence[str], *, left_to_controller: bool
) -> None:
    """Raises `errors.StillRunning` for tasks that may still run, and for services that nobody else puts back.

    A newer burst's journal is not written here, so it cannot say that a one-shot was stopped: the reaper says it.
    """
    unstopped = list(status.unstopped)
    if not left_to_controller:
        one_shots = [truth.task.task_id for truth in status.run.shots_alive] if status.newer is None else []
        stopped = {truth.task.task_id for truth in status.truths if truth.status is tasks.TaskStatus.STOPPED}
        unstopped = list(dict.fromkeys([*unstopped, *one_shots, *(name for name in survivors if name not in stopped)]))
    if unstopped:
        raise errors.StillRunning(describe_unstopped(folder, status.plan, unstopped))
    undone = drill_entries.list_drills(status.plan, status.run)
    faults = [f"{' '.join(drill.undo_command)} ({drill.undo_problem})" for drill in undone if not drill.undone]
    if faults and not left_to_controller:
        raise errors.StillRunning(f"every task is stopped, but drills were not undone; act now: {'; '.join(faults)}")
    scaling = status.run.scaling
    if scaling is None or scaling.settled or left_to_controller:
        return
    cluster = str(status.plan.target.cluster)
    commands = [
        services.restoring_command(cluster, change.name, change.before, scaling.definitions_before.get(change.name))
        for change in scaling.unrestored
    ]
    raise errors.StillRunning(f"every task is stopped, but services were not put back; act now: {'; '.join(commands)}")
