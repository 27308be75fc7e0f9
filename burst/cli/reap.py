"""`burst reap`: stops every task that outlived its deadline, whoever launched it, and puts services and faults back."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst import ports
    from burst.control import reaping


@click.command(
    epilog="""\b
Examples:
  burst reap --all --dry-run
  burst reap --run m10_20260221T020923Z_4f7a1c
"""
)
@click.option("--run", "execution_id", metavar="RUN", help="Only tasks of this run.")
@click.option("--all", "everything", is_flag=True, help="Tasks of every run.")
@click.option("--cluster", envvar="BURST_CLUSTER", metavar="NAME", help="Tasks of an ECS cluster (or BURST_CLUSTER).")
@click.option(
    "--run-control",
    envvar="BURST_RUN_CONTROL",
    metavar="S3_PLACE",
    help="Put back services and faults of runs past their deadline, as kept here (or BURST_RUN_CONTROL).",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be stopped.")
@common.options
def reap(
    output: common.Output,
    execution_id: str | None,
    everything: bool,
    cluster: str | None,
    run_control: str | None,
    dry_run: bool,
) -> None:
    """Stop what outlived its deadline, or has none: processes of this machine, or tasks of an ECS cluster.

    With --run-control also puts back ECS services that a run scaled or rolled and did not put back, and takes faults of
    drills back that it left. Safe to run twice at once.

    Exits 0 when nothing overdue is left running, scaled or faulty, 6 when something is, or may be.
    """
    from burst.adapters.local import system_clock
    from burst.control import reaping
    from burst.domain.plan import run_commands
    from burst.domain.tasks import tasks
    from burst.wiring import driving
    from burst.wiring.targets import targets

    run_name = _run_name(execution_id, everything)
    clock = system_clock.SystemClock()
    command = run_commands.sweep(run_name, cluster=cluster, run_control=run_control)
    with driving.unseen_tasks_may_run(command):
        living_tasks = targets.find_living_tasks(clock, cluster, run_name)
    now = clock.now()
    overdue = [living for living in living_tasks if living.overdue(now)]
    in_time = [living for living in living_tasks if not living.overdue(now)]
    outcomes = () if dry_run else reaping.reap(overdue, clock, output.say)
    busy = {tasks.run_of(living.execution_id) for living in in_time if not tasks.is_counter(living.execution_id)}
    undone = _undo_drills(clock, run_control, run_name, busy, dry_run=dry_run)
    restored = _restore(clock, run_control, run_name, busy, dry_run=dry_run)
    value = {"dry_run": dry_run, **_list_tasks(overdue, in_time, outcomes), "drills": undone, "services": restored}
    output.result(value, _text(value, run_name, cluster))
    _refuse_leftovers(outcomes, restored, undone, cluster)


def _run_name(execution_id: str | None, everything: bool) -> str | None:
    """The id of the run, None for every run. Raises `errors.UsageError` for words that name neither."""
    from burst.domain.basics import errors
    from burst.domain.run import run_ids

    if (execution_id is None) == (not everything):
        raise errors.UsageError("give either --run RUN or --all")
    name = None if execution_id is None else Path(execution_id).name
    if name is not None and not run_ids.is_plain(name):
        raise errors.UsageError(f"--run {execution_id!r} is no execution id; for the tasks of every run: --all")
    return name


def _list_tasks(
    overdue: "Sequence[reaping.LivingTask]",
    in_time: "Sequence[reaping.LivingTask]",
    outcomes: "Sequence[reaping.ReapOutcome]",
) -> dict[str, Any]:
    return {
        "overdue": [living.words() for living in overdue],
        "in_time": [living.words() for living in in_time],
        "stopped": [outcome.living.words() for outcome in outcomes if outcome.gone],
        "left": [outcome.living.words() for outcome in outcomes if not outcome.gone],
    }


def _text(value: dict[str, Any], run_name: str | None, cluster: str | None) -> str:
    lines = [f"{'would stop' if value['dry_run'] else 'overdue'}: {words}" for words in value["overdue"]]
    lines += [f"in time, left alone: {words}" for words in value["in_time"]]
    lines += [f"drill {entry['drill']}: {entry['outcome']}" for entry in value["drills"]]
    lines += [f"services of {entry['execution_id']}: {_services_words(entry)}" for entry in value["services"]]
    whose = f"task of {run_name}" if run_name else "burst task"
    return "\n".join(lines) or f"no {whose} is running {f'in {cluster}' if cluster else 'on this machine'}"


def _refuse_leftovers(
    outcomes: "Sequence[reaping.ReapOutcome]",
    restored: Sequence[dict[str, Any]],
    undone: Sequence[dict[str, Any]],
    cluster: str | None,
) -> None:
    """Raises `errors.StillRunning` naming every task that was not seen to end, every service that was not put back and
    every fault of a drill that was not taken back."""
    from burst.domain.basics import errors

    by_hand = f"aws ecs stop-task --cluster {cluster} --task ID" if cluster else "kill -KILL PID"
    lines = [f"{outcome.living.words()}: {outcome.why}; by hand: {by_hand}" for outcome in outcomes if not outcome.gone]
    lines += [f"service {name}: {why}" for entry in restored for name, why in entry["problems"].items()]
    lines += [f"drill {entry['drill']}: {entry['outcome']}" for entry in undone if not entry["back"]]
    if lines:
        raise errors.StillRunning("these are as their burst left them:\n" + "\n".join(lines))


def _undo_drills(
    clock: "ports.Clock", run_control: str | None, execution_id: str | None, busy: Set[str], *, dry_run: bool
) -> list[dict[str, Any]]:
    """Takes the faults of runs past their deadline back; a failure of one does not hold up the others."""
    from burst.domain.basics import errors
    from burst.wiring.targets import kept_drills

    if run_control is None:
        return []
    try:
        drills, unreadable = kept_drills.find_left(clock, run_control, execution_id, busy)
    except errors.BurstError as exc:
        why = f"cannot list the faults that are to be taken back: {exc}"
        return [{"drill": execution_id or "run control", "back": False, "outcome": why}]
    undone: list[dict[str, Any]] = [{"drill": name, "back": False, "outcome": why} for name, why in unreadable.items()]
    for drill in drills:
        problem = "" if dry_run else drill.take_back()
        outcome = "would be taken back" if dry_run else problem or "was taken back"
        undone.append({"drill": drill.name, "back": dry_run or not problem, "outcome": outcome})
    return undone


def _restore(
    clock: "ports.Clock", run_control: str | None, execution_id: str | None, busy: Set[str], *, dry_run: bool
) -> list[dict[str, Any]]:
    """Puts back the services of runs past their deadline; a failure of one run does not hold up the others."""
    from burst.domain.basics import errors
    from burst.wiring.targets import kept_services

    if run_control is None:
        return []
    try:
        runs, unreadable = kept_services.find_left(clock, run_control, execution_id, busy)
    except errors.BurstError as exc:
        return [_unreadable_entry(execution_id, f"cannot list the runs whose services are to be put back: {exc}")]
    restored = [_unreadable_entry(name, why) for name, why in unreadable.items()]
    for run in runs:
        back, problems = ({}, {}) if dry_run else run.put_back()
        restored.append(
            {
                "execution_id": run.kept.execution_id,
                "cluster": run.kept.cluster,
                "before": {change.name: change.before for change in run.kept.changes},
                "back": dict(back),
                "problems": dict(problems),
            }
        )
    return restored


def _unreadable_entry(execution_id: str | None, why: str) -> dict[str, Any]:
    return {
        "execution_id": execution_id, "cluster": None, "before": {}, "back": {},
        "problems": {execution_id or "run control": why},
    }  # fmt: skip


def _services_words(restored: dict[str, Any]) -> str:
    outcomes = {name: f"would be set back to {count}" for name, count in restored["before"].items()}
    outcomes |= restored["back"] | restored["problems"]
    return "; ".join(f"{name} {words}" for name, words in outcomes.items())
