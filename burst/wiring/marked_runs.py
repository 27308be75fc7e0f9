"""Marked runs: finds and stops the tasks of a run whose folder is not here, by the marks that they carry.

A task carries the address of its lease. STOP is written there first, so a controller that lives anywhere obeys it too.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from burst import ports
from burst.adapters.aws import s3_leases
from burst.adapters.local import file_leases, system_clock
from burst.control import reaping
from burst.domain.basics import errors, instants, wording
from burst.domain.plan import plans, run_commands
from burst.domain.run import appearances, runs
from burst.domain.tasks import ecs_truths, leases, tasks
from burst.wiring.targets import targets

ROUNDS = 3
"""How often tasks are searched for that appear while others are stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedStop:
    """A run that was found by its marks, of which every task was seen to stop; `folder` where its lease is a file."""

    execution_id: str
    folder: str | None


def stop(execution_id: str, cluster: str | None, reason: str, say: Callable[[str], None]) -> MarkedStop | None:
    """Stops every task of a run on this machine, and in an ECS cluster where one is named; None where none lives.

    Raises `errors.StillRunning` for tasks that were not seen to stop, and `errors.Unavailable` where none can be seen.
    """
    clock = system_clock.SystemClock()
    uris: set[str] = set()
    has_run = False
    for _ in range(ROUNDS):
        living_tasks = _find(execution_id, cluster, clock)
        if not living_tasks:
            break
        has_run = True
        uris.update(living.control_uri for living in living_tasks if living.control_uri)
        _write_stops(uris, clock, reason, say)
        outcomes = reaping.reap(living_tasks, clock, say)
        _require_gone(execution_id, cluster, [outcome.living for outcome in outcomes if not outcome.gone])
    else:
        _require_gone(execution_id, cluster, _find(execution_id, cluster, clock))
    if not has_run:
        return None
    files = (file_leases.from_uri(uri).path.parent for uri in sorted(uris) if uri.startswith("file:"))
    return MarkedStop(execution_id=execution_id, folder=next((str(folder) for folder in files), None))


def require_none_left(plan: plans.Plan, last_lease: leases.Lease | None, clock: ports.Clock) -> None:
    """Raises `errors.StillRunning` where a task of another machine's run lives or may still appear.

    Claims name tasks that ECS does not list yet. Before GO a launch may have been answered by nobody: then tasks may
    appear until AWS's own time after the controller's last heartbeat.
    """
    target, execution_id = targets.choose(plan, clock), str(plan.execution_id)
    launcher = target.launcher(clock.now())
    signs = appearances.Signs(claims=target.lease_store().claims())
    unknown_tasks = appearances.list_unknown(runs.Run(), launcher.find(execution_id), signs)
    truths = launcher.inspect(unknown_tasks)
    last_beat_at = last_lease.heartbeat_at if last_lease is not None and last_lease.go_at is None else None
    words = appearances.explain_left(
        truths,
        planned_tasks=plan.target.tasks,
        may_appear_until=instants.later(last_beat_at, ecs_truths.APPEARS_SECONDS) if last_beat_at else None,
        now=clock.now(),
    )
    if words is not None:
        raise errors.StillRunning(f"{words}.\nAct now: {run_commands.stop(execution_id, plan)}")


def _find(execution_id: str, cluster: str | None, clock: ports.Clock) -> list[reaping.LivingTask]:
    places = (None, cluster) if cluster else (None,)
    living_tasks = [living for place in places for living in targets.find_living_tasks(clock, place, execution_id)]
    return [dataclasses.replace(living, by=tasks.Layer.CONTROLLER) for living in living_tasks]


def _write_stops(uris: Iterable[str], clock: ports.Clock, reason: str, say: Callable[[str], None]) -> None:
    for uri in uris:
        try:
            store = s3_leases.from_uri(uri) if uri.startswith("s3:") else file_leases.from_uri(uri)
            with contextlib.suppress(errors.Conflict):
                _write_stop(store, clock, reason)
        except errors.BurstError as exc:
            say(f"STOP could not be written into {uri}, each task is stopped without it: {exc}")


def _write_stop(store: ports.LeaseStore, clock: ports.Clock, reason: str) -> None:
    lease = store.read()
    if lease is not None:
        store.write(dataclasses.replace(lease, state=leases.LeaseState.STOP, heartbeat_at=clock.now(), reason=reason))


def _require_gone(execution_id: str, cluster: str | None, survivors: Iterable[reaping.LivingTask]) -> None:
    words = [living.words() for living in survivors]
    if words:
        where = f" --cluster {cluster}" if cluster else ""
        sweep = run_commands.sweep(execution_id, cluster=cluster, run_control=None)
        raise errors.StillRunning(
            f"{wording.format_count(len(words), 'task')} may still be running: {'; '.join(words)}.\n"
            f"Act now: burst stop {execution_id}{where}; past the deadline: {sweep}; "
            "then end the ones above by hand"
        )
