"""Standings: the state of a run, from its folder and its tasks. Reading it changes neither.

Of a run on another machine, whose journal is there, run control tells what was announced, the lease, the tasks by their
marks and claims, and the published verdict.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from burst import ports
from burst.adapters.local import folder_store, journal_file, run_lock, system_clock
from burst.domain.basics import errors
from burst.domain.documents import document_names, run_records
from burst.domain.plan import plans, run_commands
from burst.domain.run import appearances, runs
from burst.domain.tasks import leases, tasks
from burst.domain.verdict import baselines
from burst.evidence import soundness, verification
from burst.wiring import announcements, inputs
from burst.wiring.targets import targets


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run by its folder, and its tasks as they were last seen."""

    run: runs.Run
    newer: str | None
    """Why only a newer burst may continue the run: then `run` may lack what its journal says."""
    plan: plans.Plan
    baseline: baselines.Baseline | None
    truths: tuple[tasks.TaskTruth, ...]
    controller_alive: bool
    may_appear: bool
    """Whether tasks of a launch that was not answered may live, and nobody knows them yet."""

    @property
    def baseline_rate_per_second(self) -> float | None:
        """The rate of the baseline, None without one."""
        return self.baseline.rate_per_second if self.baseline else None

    @property
    def unstopped(self) -> list[str]:
        """The tasks that were not seen to stop, and those that may still appear."""
        unseen = ["tasks of a launch that was not answered, which may appear minutes later"] if self.may_appear else []
        return [*_living_ids(self.truths), *unseen]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStatus:
    """A run of another machine, as far as run control and ECS tell. `lease` None: there is none, or none to be read."""

    plan: plans.Plan
    announcement: run_records.Announcement
    lease: leases.Lease | None
    lease_problem: str
    """Why the lease cannot be read; empty where it can."""
    truths: tuple[tasks.TaskTruth, ...]
    verdict: soundness.Verification | None
    """Of the published evidence; None where no verdict was published."""

    @property
    def exit_code(self) -> int | None:
        """The exit code of the published verdict; None where none was published, or it does not hold."""
        sound = self.verdict.verdict if self.verdict is not None else None
        return None if sound is None else sound.snapshot.exit_code

    @property
    def state(self) -> str:
        """The state of the run in a word or two."""
        if self.verdict is not None:
            held = self.exit_code is not None
            return f"finished (exit {self.exit_code})" if held else f"published evidence is {self.verdict.state}"
        if self.lease is None:
            return f"unknown: {self.lease_problem or 'it has no lease'}"
        if self.lease.state is leases.LeaseState.STOP:
            stopped = len(self.truths) - len(_living_ids(self.truths))
            reason = self.lease.reason or "STOP in the lease"
            return f"stopping: {reason}, {stopped} of {len(self.truths)} stopped"
        return "bursting" if self.lease.go_at is not None else "starting"


def inspect_remote(execution_id: str, run_control: str) -> RemoteStatus:
    """The state of a run of another machine.

    Raises `errors.EvidenceIncomplete` where no such run was announced, and `errors.Unavailable` where its tasks cannot
    be seen.
    """
    clock = system_clock.SystemClock()
    place, announcement = announcements.read_announcement(execution_id, run_control)
    plan = announcements.read_plan(execution_id, run_control)
    target = targets.choose(plan, clock)
    lease, lease_problem = None, ""
    try:
        lease = target.lease_store().read()
    except errors.BurstError as exc:
        lease_problem = f"its lease cannot be read: {exc}"
    launcher = target.launcher(announcement.deadline_utc)
    signs = appearances.Signs(claims=target.lease_store().claims())
    unknown_tasks = appearances.list_unknown(runs.Run(), launcher.find(execution_id), signs)
    published = document_names.snapshot_name(plan.slug, plan.kind) in place.names()
    return RemoteStatus(
        plan=plan,
        announcement=announcement,
        lease=lease,
        lease_problem=lease_problem,
        truths=tuple(launcher.inspect(unknown_tasks)),
        verdict=verification.verify(place) if published else None,
    )


def read_status(folder: Path) -> RunStatus:
    """The state of a run by its folder alone. Raises `errors.EvidenceIncomplete` where no run began."""
    store = folder_store.FolderStore(folder)
    reading = journal_file.read_as_far_as_known(folder / document_names.JOURNAL)
    run = reading.run
    if not run.execution_id:
        raise errors.EvidenceIncomplete(f"{folder} holds no run that began; nothing was launched")
    plan, clock = inputs.frozen_plan(folder), system_clock.SystemClock()
    appears_seconds = targets.choose(plan, clock, folder).appears_seconds
    return RunStatus(
        run=run,
        newer=reading.newer,
        plan=plan,
        baseline=inputs.frozen_baseline(plan, store),
        truths=tuple(run.truths.values()),
        controller_alive=run_lock.is_held(folder),
        may_appear=appearances.may_appear(run, appears_seconds=appears_seconds, now=clock.now()),
    )


def inspect_tasks(folder: Path) -> RunStatus:
    """The state of a run, with its tasks as they are now.

    Raises as `read_status`, and `errors.Unavailable` where the tasks cannot be seen.
    """
    status, clock = read_status(folder), system_clock.SystemClock()
    run = status.run
    target = targets.choose(status.plan, clock, folder)
    launcher = target.launcher(run.deadline or clock.now())
    by_id = {truth.task.task_id: truth.task for truth in run.truths.values()}
    unknown = appearances.list_unknown(run, launcher.find(run.execution_id), _read_signs(run, target))
    by_id |= {task.task_id: task for task in unknown}
    alive = [task for task in by_id.values() if task.task_id not in run.truths or run.truths[task.task_id] in run.alive]
    settled = [truth for truth in run.truths.values() if truth not in run.alive]
    return dataclasses.replace(status, truths=(*settled, *launcher.inspect(alive)))


def _read_signs(run: runs.Run, target: targets.Target) -> appearances.Signs | None:
    """The claims of tasks of a launch that was not answered: ECS may not list them yet."""
    if not run.unaccounted:
        return None
    try:
        return appearances.Signs(claims=target.lease_store().claims())
    except errors.BurstError:
        return None


def refuse_newer(status: RunStatus, folder: Path) -> None:
    """Refuses to continue a run whose journal a newer burst wrote.

    Raises `errors.StillRunning` where its tasks may run, `errors.Refused` where none does.
    """
    if status.newer is None:
        return
    alive = [*status.unstopped, *(truth.task.task_id for truth in status.run.shots_alive)]
    if alive:
        raise errors.StillRunning(
            f"{status.newer}. Nothing was launched or stopped; may still be running: {', '.join(alive)}.\n"
            f"End them: {run_commands.stop(str(folder), status.plan)}; or continue the run with the burst that wrote it"
        )
    raise errors.Refused(
        f"{status.newer}. Nothing was launched or stopped, and no task was seen running; "
        "continue the run with the burst that wrote it"
    )


def find_living(launcher: ports.Launcher, execution_id: str) -> list[str]:
    """The ids of a run's tasks that its launcher does not see stopped; reads nothing of the run's folder."""
    return _living_ids(launcher.inspect(launcher.find(execution_id)))


def _living_ids(truths: Iterable[tasks.TaskTruth]) -> list[str]:
    return [truth.task.task_id for truth in truths if truth.status is not tasks.TaskStatus.STOPPED]
