"""Faults of drills on ECS that a run caused and did not take back: the sweeper, or anybody, takes them back.

Each fault is a document under run control; beside it lies the plan of its run, whose command takes it
back as a one-shot of that run: however often it is started, there is one task of it.
"""

from collections.abc import Set
from dataclasses import dataclass

from burst import ports
from burst.control import drilling, pausing
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import plans
from burst.domain.tasks import one_shots, tasks
from burst.wiring import announcements
from burst.wiring.targets import ecs_adapters, ecs_places, load_program

START_SECONDS = 180.0
"""How long the task of an undo may take to start, beside the time that its command may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillLeft:
    """One fault that was not taken back."""

    kept: run_records.KeptDrill
    run_control: str
    clock: ports.Clock

    @property
    def name(self) -> str:
        """The drill and its run in words."""
        return f"{self.kept.execution_id}.{self.kept.name}"

    def take_back(self) -> str:
        """Takes the fault back; why it could not be, empty where it was, or has nothing to take back."""
        try:
            problem = "" if self.kept.undo is None else self._undo()
            if not problem:
                place = ecs_places.drills_place(self.run_control)
                drilling.note_back(place, self.kept.execution_id, self.kept.name)
        except errors.BurstError as exc:
            return str(exc)
        return problem

    def _undo(self) -> str:
        plan = announcements.read_plan(self.kept.execution_id, self.run_control)
        undo = _find_undo(plan, self.kept.name)
        deadline = instants.later(self.clock.now(), undo.timeout_seconds + START_SECONDS)
        shots = ecs_adapters.EcsAdapters(plan, self.clock).one_shots(deadline)
        began_at = self.clock.now()
        task = shots.start(undo, deadline)
        while True:
            (truth,) = shots.inspect([task])
            shot = one_shots.Shot(asked_at=began_at, deadline=deadline, truth=truth)
            if shot.ended or self.clock.now() >= deadline:
                problem = one_shots.problem(shot, undo.exit_code)
                return "" if problem is None else f"{problem}; run: {' '.join(undo.command)}"
            pausing.until_next_look(self.clock, deadline, pausing.LONGEST_SECONDS)


def find_left(
    clock: ports.Clock, run_control: str, execution_id: str | None, busy: Set[str]
) -> tuple[list[DrillLeft], dict[str, str]]:
    """The faults of runs past their deadline that were not taken back, and why others could not be read.

    A `busy` run has tasks in time, and takes its faults back itself. Raises what the store raises where faults cannot
    be listed.
    """
    drills, unreadable = list[DrillLeft](), dict[str, str]()
    place = ecs_places.drills_place(run_control)
    for run_id, drill in document_names.drills_left(place.names()):
        if run_id in busy or execution_id not in (None, run_id):
            continue
        try:
            kept = models.read(run_records.KeptDrill, place.read(document_names.drill_name(run_id, drill)))
        except errors.BurstError as exc:
            unreadable[f"{run_id}.{drill}"] = f"cannot read which fault it caused: {exc}"
            continue
        if clock.now() >= kept.deadline_utc:
            drills.append(DrillLeft(kept=kept, run_control=run_control, clock=clock))
    return drills, unreadable


def _find_undo(plan: plans.Plan, drill: str) -> tasks.OneShot:
    """The command that takes a fault of a plan back. Raises `errors.EvidenceCorrupt` where the plan has none."""
    undo = next((planned.undo for planned in load_program.plan_drills(plan) if planned.name == drill), None)
    if undo is None:
        raise errors.EvidenceCorrupt(f"the plan that was announced has no undo for drill {drill}")
    return undo
