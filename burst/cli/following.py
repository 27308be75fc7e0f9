"""Following a run from another terminal or another machine: `burst status --watch`.

The view is read anew each second, from the journal where the run is on this machine, else from its run control.
Nothing of the run is changed, and it never needs the process that drives it.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from burst.adapters.local import folder_store
from burst.cli import common, progress_lines, terminals
from burst.domain.basics import errors, instants, wording
from burst.domain.documents import document_names
from burst.domain.plan import run_commands
from burst.domain.run import lease_counts, runs
from burst.domain.tasks import leases
from burst.domain.verdict import snapshots
from burst.report import live_views
from burst.wiring import driving, standings

EVERY_SECONDS = 1.0
FAR_SECONDS = 5.0
"""A look at run control and at the tasks there costs calls of the account."""
READING_PARTS = 5
"""Reading takes no more than one part in so many of the time, however long a journal is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One look at a run. `finished`: it has its verdict, and nothing will change any more."""

    situation: live_views.Situation
    status: standings.RunStatus | standings.RemoteStatus
    finished: bool


def follow(output: common.Output, address: driving.RunAddress) -> standings.RunStatus | standings.RemoteStatus:
    """Shows a run until it is finished, and gives its state then.

    Raises as `driving.inspect` where the first look fails; later ones are tried again, and say why they fail.
    """
    far = address.run_control is not None and not address.folder.is_dir()
    look = _look_far if far else _look_here
    sight = look(address)
    show, close = _choose_display(output)
    try:
        while True:
            show(sight.situation)
            if sight.finished:
                return sight.status
            sight = _look_again(lambda: look(address), sight, FAR_SECONDS if far else EVERY_SECONDS)
    finally:
        close()


def _choose_display(output: common.Output) -> tuple[Callable[[live_views.Situation], None], Callable[[], None]]:
    """How a situation is shown, and how that ends: the live view on a terminal, lines elsewhere."""
    if terminals.can_draw(output):
        from burst.cli import live_display  # rich takes a tenth of a second

        display = live_display.LiveDisplay(output)
        display.start()
        return display.show, display.close
    lines = progress_lines.ProgressLines(output.say)
    return lambda situation: lines.observe(situation, None, datetime.now(UTC)), lambda: None


def _look_again(look: Callable[[], Sight], before: Sight, every_seconds: float) -> Sight:
    began = time.monotonic()
    try:
        sight = look()
    except errors.BurstError as exc:
        note = f"cannot look, trying again: {exc}".replace("\n", " ")
        sight = dataclasses.replace(
            before, situation=dataclasses.replace(before.situation, warnings=(note,), stale=True)
        )
    if not sight.finished:
        taken = time.monotonic() - began
        time.sleep(max(every_seconds, taken * READING_PARTS))
    return sight


def _look_here(address: driving.RunAddress) -> Sight:
    """By the journal alone: the tasks are asked by the controller, whose answers stand in it."""
    status = standings.read_status(address.folder)
    warnings, stale = [], False
    if status.newer is not None:
        warnings.append(f"{status.newer}; this may lack what its journal says")
    if status.run.exit_code is None and not status.controller_alive:
        state = status.run.superseded or "no controller is at work on it"
        stale = True
        warnings.append(f"{state}; {run_commands.resume(status.run.execution_id, status.plan)}")
    situation = live_views.Situation(
        plan=status.plan,
        run=status.run,
        baseline_per_second=status.baseline_rate_per_second,
        snapshot=_read_snapshot(address.folder, status) if status.run.exit_code is not None else None,
        warnings=tuple(warnings),
        stale=stale,
    )
    return Sight(situation=situation, status=status, finished=status.run.exit_code is not None)


def _read_snapshot(folder: Path, status: standings.RunStatus) -> snapshots.Snapshot | None:
    """The snapshot of a finished run; None where it ended without one."""
    name = document_names.snapshot_name(status.plan.slug, status.plan.kind)
    try:
        return snapshots.Verdict.read(folder_store.FolderStore(folder).read(name)).snapshot
    except errors.BurstError:
        return None


def _look_far(address: driving.RunAddress) -> Sight:
    status = standings.inspect_remote(address.folder.name, str(address.run_control))
    sound, now = status.verdict.verdict if status.verdict is not None else None, datetime.now(UTC)
    situation = live_views.Situation(
        plan=status.plan,
        run=make_run(status, now),
        snapshot=None if sound is None else sound.snapshot,
        warnings=list_notes(status, now),
        far=True,
    )
    return Sight(situation=situation, status=status, finished=status.verdict is not None)


def list_notes(status: standings.RemoteStatus, now: datetime) -> tuple[str, ...]:
    """Lines about the lease of a run of another machine, where something is wrong with it."""
    return tuple(_tell_lease(status, now))


def _tell_lease(status: standings.RemoteStatus, now: datetime) -> Iterator[str]:
    """The faults of the lease of a run that goes on: it cannot be read, or nobody has written it for too long."""
    if status.lease_problem:
        yield status.lease_problem
    if status.verdict is None and status.lease is not None and _is_stale(status, now):
        age = wording.format_span(max(0.0, instants.seconds_between(status.lease.heartbeat_at, now)))
        count = status.lease.counted
        last = "" if count is None else f"; the last count, to {instants.text(count.counted_to)}: {count.words}"
        yield f"the last heartbeat is {age} old by this machine's clock, so what goes on now is not known{last}"


def _is_stale(status: standings.RemoteStatus, now: datetime) -> bool:
    """Whether the heartbeat is older than a lease lasts."""
    lease = status.lease
    return lease is None or instants.seconds_between(lease.heartbeat_at, now) > status.plan.layers.lease_ttl


def make_run(status: standings.RemoteStatus, now: datetime) -> runs.Run:
    """A run of another machine as far as announcement, lease and tasks tell of it. The counts of a lease that is stale
    are left out: they are of no rate of now."""
    announced, lease = status.announcement, status.lease
    count = None if lease is None or _is_stale(status, now) else lease.counted
    stopping = None
    if lease is not None and lease.state is leases.LeaseState.STOP:
        stopping = runs.Stopping(at=lease.heartbeat_at, reason=lease.reason or "STOP in the lease")
    return runs.Run(
        execution_id=announced.execution_id,
        created_at=announced.created_utc,
        deadline=announced.deadline_utc,
        barrier=announced.barrier,
        layers={} if lease is None else {"lease": "armed"},
        launching_at=announced.created_utc,
        go_at=None if lease is None else lease.go_at,
        truths={truth.task.task_id: truth for truth in status.truths},
        stopping=stopping,
        counted_to=None if count is None else count.counted_to,
        polls=() if count is None else lease_counts.restore_polls(count),
        exit_code=status.exit_code,
    )
