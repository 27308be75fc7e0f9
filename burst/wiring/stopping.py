"""Stopping: what ends tasks without a session of their run: STOP in its lease, and each living task found and ended.

It needs less than a session does, so that a run whose folder is broken, or lies on another machine, is stopped as well.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from burst import ports
from burst.adapters.local import file_leases, processes
from burst.control import reaping
from burst.domain.plan import plans
from burst.domain.tasks import leases, tasks
from burst.wiring import inputs, takeover
from burst.wiring.targets import ecs_target, local_target


def ask_to_stop(folder: Path, clock: ports.Clock, reason: str) -> None:
    """Writes STOP into a run's lease, where it has one: tasks and controller obey it by themselves."""
    plan = inputs.frozen_plan(folder)
    _write_stop(
        ecs_target.run_control(plan) if plan.target.kind == "ecs" else local_target.run_control(folder), clock, reason
    )


def stop_elsewhere(
    execution_id: str, run_control: str, clock: ports.Clock, reason: str, say: Callable[[str], None]
) -> tuple[reaping.Outcome, ...]:
    """Stops a run that another machine launched: STOP into its lease first, which needs no ECS, then every task.

    Raises `errors.EvidenceIncomplete` where no such run was announced.
    """
    plan = takeover.announced_plan(execution_id, run_control)
    _write_stop(ecs_target.run_control(plan), clock, reason)
    return reaping.reap(tasks_of(plan, clock), clock, say)


def _write_stop(lease: ports.LeaseStore, clock: ports.Clock, reason: str) -> None:
    standing = lease.read()
    if standing is not None:
        lease.write(
            dataclasses.replace(standing, state=leases.LeaseState.STOP, heartbeat_at=clock.now(), reason=reason)
        )


def tasks_of(plan: plans.Plan, clock: ports.Clock) -> list[reaping.LivingTask]:
    """Every living task of one run, to be ended whatever its deadline."""
    found = living(clock, plan.target.cluster if plan.target.kind == "ecs" else None, plan.execution_id)
    return [dataclasses.replace(one, by=tasks.Layer.CONTROLLER) for one in found]


def living(clock: ports.Clock, cluster: str | None, execution_id: str | None) -> list[reaping.LivingTask]:
    """Every living burst task of a cluster, or of this machine where none is named; of one run where one is named.

    Naming a run is what the schedule of the hard stop does; the sweeper looks at all.
    """
    if cluster:
        return ecs_target.marked(clock, cluster, execution_id)
    return [
        reaping.LivingTask(
            execution_id=marked.execution_id,
            task=marked.task,
            deadline=marked.deadline,
            launcher=_launcher_of(marked),
        )
        for marked in processes.list_marked_tasks()
        if execution_id in (None, tasks.run_of(marked.execution_id))
    ]


def _launcher_of(marked: tasks.MarkedTask) -> processes.LocalLauncher:
    uri = marked.control_uri or None
    leased = uri is not None and uri.startswith("file://")
    folder = Path(file_leases.from_uri(str(uri)).path).parent if leased else Path("runs") / marked.execution_id
    return processes.LocalLauncher(folder, execution_id=marked.execution_id, control_uri=uri)
