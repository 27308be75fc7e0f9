"""Standings: how a run stands, by its folder and its tasks, without touching either."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters.local import folder_store, journal_file, run_lock, system_clock
from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.run import runs
from burst.domain.tasks import tasks
from burst.domain.verdict import baselines
from burst.wiring import inputs
from burst.wiring.targets import ecs_target, local_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run as its folder and its processes show it, without touching either."""

    run: runs.Run
    newer: str | None
    """Why only a newer burst may continue the run: then `run` may lack what its journal says."""
    plan: plans.Plan
    baseline: baselines.Baseline | None
    truths: tuple[tasks.TaskTruth, ...]
    controller_alive: bool

    @property
    def left(self) -> list[str]:
        """The tasks that were not seen to stop, and of a run that goes on what a lost launch may have started."""
        lost = self.run.unaccounted and self.run.exit_code is None
        unseen = ["what the last launch started, which nobody could look for yet"] if lost else []
        return [*(one.task.task_id for one in self.truths if one.status is not tasks.TaskStatus.STOPPED), *unseen]


def written(folder: Path) -> Standing:
    """How a run stands by its folder alone; asks nobody. Raises `errors.EvidenceIncomplete` where none began."""
    store = folder_store.FolderStore(folder)
    reading = journal_file.read_as_far_as_known(folder / document_names.JOURNAL)
    run = reading.run
    if not run.execution_id:
        raise errors.EvidenceIncomplete(f"{folder} holds no run that began; nothing was launched")
    plan = inputs.frozen_plan(folder)
    return Standing(
        run=run,
        newer=reading.newer,
        plan=plan,
        baseline=inputs.frozen_baseline(plan, store),
        truths=tuple(run.truths.values()),
        controller_alive=run_lock.is_held(folder),
    )


def look(folder: Path) -> Standing:
    """How a run stands, and its tasks now. Raises as `written`, and `errors.Unavailable` where it is blind."""
    standing, clock = written(folder), system_clock.SystemClock()
    run = standing.run
    launcher = _launcher(standing.plan, folder, run.deadline or clock.now(), clock)
    known = {truth.task.task_id: truth.task for truth in run.truths.values()}
    known |= {task.task_id: task for task in launcher.find(run.execution_id)}
    alive = [task for task in known.values() if task.task_id not in run.truths or run.truths[task.task_id] in run.alive]
    settled = [truth for truth in run.truths.values() if truth not in run.alive]
    return dataclasses.replace(standing, truths=(*settled, *launcher.inspect(alive)))


def refuse_newer(standing: Standing, folder: Path) -> None:
    """Refuses to continue a run whose journal a newer burst wrote.

    Raises `errors.StillRunning` where its tasks may run, `errors.Refused` where none does.
    """
    if standing.newer is None:
        return
    shots = [truth.task.task_id for truth in standing.run.shots_alive]
    alive = [*standing.left, *shots]
    if alive:
        raise errors.StillRunning(
            f"{standing.newer}. Nothing was launched or stopped; may still be running: {', '.join(alive)}.\n"
            f"End them: burst stop {folder}; or continue the run with the burst that wrote it"
        )
    raise errors.Refused(
        f"{standing.newer}. Nothing was launched or stopped, and no task was seen running; "
        "continue the run with the burst that wrote it"
    )


def seen_alive(launcher: ports.Launcher, execution_id: str) -> list[str]:
    """The tasks of a run that its launcher does not see stopped; needs nothing of the run's folder."""
    truths = launcher.inspect(launcher.find(execution_id))
    return [truth.task.task_id for truth in truths if truth.status is not tasks.TaskStatus.STOPPED]


def _launcher(plan: plans.Plan, folder: Path, deadline: datetime, clock: ports.Clock) -> ports.Launcher:
    if plan.target.kind == "ecs":
        return ecs_target.launcher(plan, deadline, clock)
    return local_target.launcher(folder, str(plan.execution_id))
