"""Drill entries: the fault of each drill of a run, as its task result states it."""

from burst.domain.basics import instants
from burst.domain.documents import task_results
from burst.domain.plan import drill_sections, plans
from burst.domain.run import runs
from burst.domain.tasks import drills, one_shots


def list_drills(plan: plans.Plan, run: runs.Run) -> list[task_results.DrillEntry]:
    """The faults of a plan's drills, also of those that the run never came to."""
    return [_make_entry(drill, run, run.strikes.get(drill.name)) for drill in plan.drills]


def _make_entry(
    drill: drill_sections.DrillSection, run: runs.Run, strike: drills.Strike | None
) -> task_results.DrillEntry:
    shot = run.shots.get(drill.name) if drill.command is not None else None
    undo = run.shots.get(drill.undo_name) if drill.undo is not None else None
    caused = drills.was_caused(strike)
    undo_problem = one_shots.problem(undo, 0) if drill.undo is not None and caused else None
    truth = shot.truth if shot is not None else None
    ended_at = truth.stopped_at if truth is not None and shot is not None and shot.ended else None
    struck_at, over_at = (strike.struck_at, strike.over_at) if strike is not None else (None, None)
    if drill.restart is None:
        struck_at, over_at = truth.started_at if truth is not None else None, ended_at
    return task_results.DrillEntry(
        name=drill.name,
        service=drill.restart.service if drill.restart is not None else None,
        planned_utc=None if run.go_at is None else instants.later(run.go_at, drill.at),
        intended_utc=strike.intended_at if strike is not None and caused else None,
        struck_utc=struck_at,
        over_utc=over_at,
        exit_code=truth.exit_code if truth is not None else None,
        tasks_before=None if drill.restart is None else len(strike.tasks_before if strike is not None else ()),
        replaced_task_count=None if drill.restart is None else strike.replaced if strike is not None else 0,
        problem=_find_problem(drill, strike, shot),
        undone=undo_problem is None,
        undo_problem=undo_problem,
        undo_command=list(drill.undo or ()),
    )


def _find_problem(
    drill: drill_sections.DrillSection, strike: drills.Strike | None, shot: one_shots.Shot | None
) -> str | None:
    """Why the fault was not caused as it should be; None where it was."""
    if strike is None:
        return "the run ended before it"
    if strike.refused is not None:
        return f"it was not caused: {strike.refused}"
    if drill.restart is None:
        return one_shots.problem(shot, drill.required_exit_code)
    if strike.struck_at is None:
        return "nobody could tell whether the restart was begun"
    if not strike.tasks_before:
        return "nobody saw the tasks that the service had before"
    if strike.over_at is None:
        progress = f"{strike.replaced} of {len(strike.tasks_before)} tasks replaced, {strike.running} new ones run"
        return f"the restart did not come to its end: {progress}" + (f" ({strike.detail})" if strike.detail else "")
    return None
