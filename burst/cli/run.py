"""The commands about a run: preflight, run, resume, status, stop, reconcile, reap. Parse, one call, render."""

import contextlib
import json
import signal
from collections.abc import Iterator, Set
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click

from burst import wiring
from burst.adapters import files, system_clock
from burst.cli import common, progress
from burst.control import preflight as checks
from burst.control import reaping
from burst.domain import canonical, documents, errors, findings, instants, lifecycle, tasks
from burst.domain import plan as plans
from burst.domain import services as scaling
from burst.report import text


def _run_control_option(function: Any) -> Any:
    """Adds `--run-control`, for runs launched on another machine."""
    return click.option(
        "--run-control",
        envvar="BURST_RUN_CONTROL",
        metavar="S3_PLACE",
        help="Take the run over from here where it is not on this machine (or BURST_RUN_CONTROL).",
    )(function)


def _folder(run_name: str, runs_dir: Path, run_control: str | None) -> Path:
    if run_control is not None and not common.run_path(run_name, runs_dir).is_dir():
        return wiring.take_over(Path(run_name).name, run_control, runs_dir)
    return common.run_folder(run_name, runs_dir)


_SIGNALS = {signal.SIGINT: "SIGINT", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGTERM"}
STOP_MARGIN_SECONDS = 15.0


def _words(value: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (value or "").split(",") if word.strip())


def _request(plan_file: Path, overrides: tuple[str, ...], **named: Any) -> wiring.Request:
    return wiring.Request(plan_file=plan_file, overrides=overrides, **named)


@click.command(
    epilog="""\b
Examples:
  burst run plan.yaml
  burst run plan.yaml --set budget.operator_cap=16m
  burst run plan.yaml --only M10F-B1,M10F-B5,M10F-B8 --prior runs/EXECUTION_ID
"""
)
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key of the plan.")
@click.option("--only", metavar="ID,...", help="A bounded rerun: only these blockers may change.")
@click.option("--prior", metavar="SNAPSHOT", help="The snapshot the others are carried from: a file or a run folder.")
@click.option("--execution-id", metavar="ID", help="Name the run yourself.")
@click.option("--no-early-stop", is_flag=True, help="Run the whole window even when it cannot pass any more.")
@common.options
def run(
    output: common.Output,
    plan_file: Path,
    overrides: tuple[str, ...],
    only: str | None,
    prior: str | None,
    execution_id: str | None,
    no_early_stop: bool,
) -> int:
    """Run a plan: launch, hold to the budget, count, adjudicate, publish.

    Exits 0 on PASS, 3 on HOLD, 2 or 4 where nothing was launched, 6 where a task may still be running.
    """
    request = _request(
        plan_file, overrides, only=_words(only), prior=prior, execution_id=execution_id, early_stop=not no_early_stop
    )
    prepared = wiring.examine(request, datetime.now(UTC))
    return launch(output, prepared, early_stop=request.early_stop)


def launch(output: common.Output, prepared: wiring.Prepared, *, early_stop: bool = True) -> int:
    """Runs a prepared plan to its verdict and returns the exit code."""
    found = wiring.check(prepared, system_clock.SystemClock())
    findings.refuse(found)
    for finding in found:
        if not finding.passed:
            output.say("\n".join(finding.lines()))
    shown = _progress(output, prepared.plan, prepared.baseline.rate_per_second if prepared.baseline else None)
    session = wiring.begin(prepared, found, early_stop=early_stop, observe=shown)
    output.say(f"run {prepared.plan.execution_id} in {session.folder}, scope {prepared.plan.scope}")
    return _drive(output, session, shown)


def _progress(output: common.Output, plan: plans.Plan, baseline_rate: float | None) -> progress.Progress:
    live = False if output.quiet or output.log_json else None
    return progress.Progress(plan, baseline_rate, output.say, live=live)


def _drive(output: common.Output, session: wiring.Session, shown: progress.Progress) -> int:
    try:
        with _interruptible(session):
            session.controller.drive()
    except (errors.PublicationFailed, errors.EvidenceIncomplete) as exc:
        raise errors.PublicationFailed(
            f"{exc}\nThe verdict is not published. What stands is in {session.folder}; "
            f"mend the cause, then: burst resume {session.folder}"
        ) from exc
    finally:
        shown.end()
        session.close()
    return render(output, session.folder, session.plan.slug)


@contextlib.contextmanager
def _interruptible(session: wiring.Session) -> Iterator[None]:
    """Signals end the run in order; anything unforeseen ends its tasks before it is reported."""

    def interrupt(number: int, _: FrameType | None) -> None:
        session.interrupt(_SIGNALS[signal.Signals(number)])

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    except BaseException as exc:
        commands = session.controller.abandon()
        with _unseen_may_run(f"burst stop {session.folder}"):
            left = wiring.seen_alive(session.launcher, session.record.run.execution_id)
        if left:
            raise errors.StillRunning(_act_now(session.folder, left)) from exc
        if commands:
            raise errors.StillRunning(f"services were not put back; act now: {'; '.join(commands)}") from exc
        if isinstance(exc, OSError):
            raise errors.Refused(f"the run could not go on: {exc}; nothing is left running") from exc
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_ACT_NOW = ("stop_proven", "services_back")
"""The gates that say what a person has to do at once."""


def _act_now(folder: Path, left: list[str]) -> str:
    return (
        f"{len(left)} tasks may still be running: {', '.join(left)}.\n"
        f"Act now: burst stop {folder}; then burst reap --run {folder.name}; then end the pids above by hand."
    )


def render(output: common.Output, folder: Path, slug: str) -> int:
    """Prints a run's verdict from its snapshot and returns the snapshot's exit code."""
    content = files.FolderStore(folder).read(documents.snapshot_name(slug))
    document = canonical.decode(content)
    if output.json:
        output.content(content + b"\n")
    else:
        output.result(document, text.render(document, folder=str(folder)))
        output.say(f"verify it: burst verify {folder}")
    if document["exit_code"] == errors.StillRunning.exit_code:
        left = [task["id"] for task in document["burst_execution_window"]["tasks"] if task["stopped_utc"] is None]
        open_gates = [gate for gate in document["gates"] if gate["name"] in _ACT_NOW and gate["status"] != "PASS"]
        output.error(_act_now(folder, left) if left else "; ".join(gate["why"] for gate in open_gates))
    return int(document["exit_code"])


@click.command(
    epilog="""\b
Example:
  burst preflight plan.yaml
"""
)
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key of the plan.")
@common.options
def preflight(output: common.Output, plan_file: Path, overrides: tuple[str, ...]) -> None:
    """Every check before a run, side by side, with its finding. Launches nothing.

    Where the plan names a host, one event is pushed there, and must produce its receipt; it precedes any window.
    Exits 0, or 4 where a check refuses. A warning is what cannot be told, or is not as it should be: it refuses
    nothing, and is never a pass.
    """
    prepared = wiring.examine(_request(plan_file, overrides), datetime.now(UTC))
    clock = system_clock.SystemClock()
    found = wiring.check(prepared, clock, lambda finding: output.say(f"{finding.check}: {finding.status}"))
    value = checks.document(prepared.plan, found, clock.now()).model_dump(mode="json", by_alias=True)
    output.result(value, "\n".join(line for finding in found for line in finding.lines()))
    failed = [finding.check for finding in found if finding.refused]
    if failed:
        raise errors.Refused(f"{len(failed)} of {len(found)} checks refuse: {', '.join(failed)}; nothing was launched")


@click.command(
    epilog="""\b
Example:
  burst resume m10_20260221T020923Z_4f7a1c
"""
)
@click.argument("run_name", metavar="RUN")
@_run_control_option
@common.runs_dir_option
@common.options
def resume(output: common.Output, run_name: str, runs_dir: Path, run_control: str | None) -> int:
    """Continue a run whose controller died, from whatever line of its journal.

    Launches nothing: a burst under way is continued, one that had not begun is settled. A finished run prints its
    verdict again. Exits as `burst run` does.
    """
    folder = _folder(run_name, runs_dir, run_control)
    standing = wiring.look(folder)
    if standing.run.exit_code is not None:
        output.say(f"run {standing.run.execution_id} is finished")
        return render(output, folder, standing.plan.slug)
    return _continue(output, folder, standing)


def _continue(output: common.Output, folder: Path, standing: wiring.Standing) -> int:
    shown = _progress(output, standing.plan, standing.baseline.rate_per_second if standing.baseline else None)
    session = wiring.reopen(folder, observe=shown)
    output.say(f"continuing run {standing.run.execution_id}, which was {progress.state(standing.run)}")
    return _drive(output, session, shown)


@click.command(
    epilog="""\b
Example:
  burst status m10_20260221T020923Z_4f7a1c --json
"""
)
@click.argument("run_name", metavar="RUN")
@common.runs_dir_option
@common.options
def status(output: common.Output, run_name: str, runs_dir: Path) -> int:
    """Where a run stands: from its journal, and from the processes themselves. Changes nothing."""
    standing = wiring.look(common.run_folder(run_name, runs_dir))
    rate = standing.baseline.rate_per_second if standing.baseline else None
    shown = progress.show(standing.run, None, datetime.now(UTC), standing.plan, rate)
    output.result(_standing(standing), _standing_text(standing, shown))
    return 0


def _standing(standing: wiring.Standing) -> dict[str, Any]:
    run, counts = standing.run, standing.run.counts
    return {
        "execution_id": run.execution_id,
        "platform_run_id": standing.plan.scope,
        "phase": standing.plan.phase,
        "state": progress.state(run),
        "controller_alive": standing.controller_alive,
        "deadline_utc": instants.text(run.deadline) if run.deadline else None,
        "go_utc": instants.text(run.go_at) if run.go_at else None,
        "counts_so_far": documents.CountsEntry.of(counts).model_dump(mode="json", by_alias=True),
        "tasks": [lifecycle.truth_fields(truth) for truth in standing.truths],
        "exit_code": run.exit_code,
    }


def _standing_text(standing: wiring.Standing, shown: progress.Shown) -> str:
    run = standing.run
    lines = [f"{run.execution_id}: {shown.state}", f"  {shown.figures}" if shown.figures else ""]
    lines.append(f"  deadline {instants.text(run.deadline)}" if run.deadline else "")
    lines += [f"  {_truth_text(truth)}" for truth in standing.truths]
    if run.exit_code is None and not standing.controller_alive:
        lines.append(f"  no controller is at work on it; burst resume {run.execution_id}")
    return "\n".join(line for line in lines if line)


def _truth_text(truth: tasks.TaskTruth) -> str:
    ended = f" by {truth.stopped_by}" if truth.stopped_by else ""
    code = f", exit {truth.exit_code}" if truth.exit_code is not None else ""
    return f"shard {truth.task.shard_index} {truth.task.task_id} {truth.status}{ended}{code} {truth.detail}".rstrip()


@click.command(
    epilog="""\b
Example:
  burst stop m10_20260221T020923Z_4f7a1c
"""
)
@click.argument("run_name", metavar="RUN")
@click.option("--reason", default="burst stop", show_default=True, help="Why, for the record.")
@_run_control_option
@common.runs_dir_option
@common.options
def stop(output: common.Output, run_name: str, runs_dir: Path, reason: str, run_control: str | None) -> int:
    """Stop every task of a run, and say so only when it has been seen.

    Needs neither the process that launched nor the database. A living controller goes on to the verdict by itself;
    without one, services are put back here, and `burst resume` makes the verdict.

    Exits 0, or 6 where a task may still be running, or a service was not put back.
    """
    clock, path = system_clock.SystemClock(), common.run_path(run_name, runs_dir)
    with _unseen_may_run(f"burst stop {run_name}"):
        if run_control is not None and not path.is_dir():
            return _stop_elsewhere(output, path.name, run_control, clock, reason)
        return _stop_here(output, common.run_folder(run_name, runs_dir), clock, reason)


@contextlib.contextmanager
def _unseen_may_run(again: str) -> Iterator[None]:
    """Where nobody can tell whether tasks run, they may: that is for a person to know, who tries again."""
    try:
        yield
    except errors.Unavailable as exc:
        raise errors.StillRunning(
            f"{exc}\nIt cannot be told whether tasks still run; each ends by its guard or lease at the latest. "
            f"Try again: {again}"
        ) from exc


def _stop_here(output: common.Output, folder: Path, clock: system_clock.SystemClock, reason: str) -> int:
    try:
        wiring.ask_to_stop(folder, clock, reason)
    except errors.Unavailable as exc:
        output.say(f"STOP could not be written into the lease, each task is stopped without it: {exc}")
    standing = wiring.look(folder)
    run = _stop(folder, standing, clock, reason) if standing.run.exit_code is None else None
    shots = [] if run is None else [truth.task.task_id for truth in run.shots_alive]
    left = [*wiring.still_alive(folder, standing.run.execution_id), *shots]
    if left:
        raise errors.StillRunning(_act_now(folder, left))
    if run is not None and run.scaling is not None and run.scaling.left:
        cluster = str(standing.plan.target.cluster)
        commands = [scaling.restoring_command(cluster, one.name, one.before) for one in run.scaling.left]
        raise errors.StillRunning(
            f"every task is stopped, but services were not put back; act now: {'; '.join(commands)}"
        )
    words = f"every task of {standing.run.execution_id} is stopped"
    more = "" if standing.run.exit_code is not None or standing.controller_alive else "; for the verdict: burst resume"
    output.result(
        {"execution_id": standing.run.execution_id, "stopped": True, "controller_alive": standing.controller_alive},
        words + (f"{more} {standing.run.execution_id}" if more else ""),
    )
    return 0


def _stop_elsewhere(
    output: common.Output, execution_id: str, run_control: str, clock: system_clock.SystemClock, reason: str
) -> int:
    """Stops a run that another machine launched: STOP into its lease, and each of its tasks."""
    outcomes = wiring.stop_elsewhere(execution_id, run_control, clock, reason, output.say)
    left = [outcome.found.words() for outcome in outcomes if not outcome.gone]
    if left:
        raise errors.StillRunning(f"these tasks may still be running: {'; '.join(left)}; try again")
    more = f"; if its controller is dead: burst resume {execution_id} --run-control {run_control}"
    output.result({"execution_id": execution_id, "stopped": True}, f"every task of {execution_id} is stopped{more}")
    return 0


def _stop(
    folder: Path, standing: wiring.Standing, clock: system_clock.SystemClock, reason: str
) -> lifecycle.Run | None:
    """Leaves the stop to a living controller for as long as it should take, and does it itself otherwise.

    Returns what the run has come to then; None where the controller goes on with it.
    """
    patience = standing.plan.budget.stop_grace + STOP_MARGIN_SECONDS
    give_up_at = instants.later(clock.now(), patience)
    while standing.controller_alive and clock.now() < give_up_at:
        if not wiring.still_alive(folder, standing.run.execution_id):
            return None
        clock.sleep(0.1)
    with contextlib.suppress(errors.Conflict):  # a controller that hangs keeps its lock: the tasks are ended without it
        session = wiring.reopen(folder, observe=lambda run, decision, now: None, to_count=False)
        try:
            session.controller.ask_to_stop(reason)
            return session.controller.drive(until_stopped=True)
        finally:
            session.close()
    reaping.reap(wiring.tasks_of(standing.plan, clock), clock, lambda words: None)
    return standing.run


@click.command(
    epilog="""\b
Example:
  burst reconcile m10_20260221T020923Z_4f7a1c
"""
)
@click.argument("run_name", metavar="RUN")
@_run_control_option
@common.runs_dir_option
@common.options
def reconcile(output: common.Output, run_name: str, runs_dir: Path, run_control: str | None) -> int:
    """Settle a run with what its tasks say now; stops none of them.

    Once every task has ended it goes on to count and adjudicate, as `burst resume` does, and exits as that does. While
    one runs, or a controller is alive, the truth is only shown, and it exits 0.
    """
    folder = _folder(run_name, runs_dir, run_control)
    standing = wiring.look(folder)
    ended = all(truth.status is tasks.Status.STOPPED for truth in standing.truths)
    if standing.run.exit_code is None and ended and not standing.controller_alive:
        return _continue(output, folder, standing)
    output.result(
        _standing(standing), "\n".join(_truth_text(truth) for truth in standing.truths) or "no task was launched"
    )
    return 0


@click.command(
    epilog="""\b
Examples:
  burst reap --all --dry-run
  burst reap --run m10_20260221T020923Z_4f7a1c
"""
)
@click.option("--run", "execution_id", metavar="RUN", help="Only tasks of this run.")
@click.option("--all", "everything", is_flag=True, help="Tasks of every run on this machine.")
@click.option("--cluster", envvar="BURST_CLUSTER", metavar="NAME", help="Tasks of an ECS cluster (or BURST_CLUSTER).")
@click.option(
    "--run-control",
    envvar="BURST_RUN_CONTROL",
    metavar="S3_PLACE",
    help="Put back services of runs past their deadline, as kept here (or BURST_RUN_CONTROL).",
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
) -> int:
    """Stop what outlived its deadline, or has none: processes of this machine, or tasks of an ECS cluster.

    With --run-control also puts back ECS services that a run scaled and did not put back. Safe to run twice at once.

    Exits 0 when nothing overdue is left running or scaled, 6 when something is, or may be.
    """
    if (execution_id is None) == (not everything):
        raise errors.UsageError("give either --run RUN or --all")
    clock = system_clock.SystemClock()
    run_name = Path(execution_id).name if execution_id else None
    with _unseen_may_run("burst reap"):
        if cluster:
            overdue, in_time = wiring.overdue_on_ecs(clock, cluster, run_name)
        else:
            overdue, in_time = wiring.overdue(clock, run_name)
    outcomes = () if dry_run else reaping.reap(overdue, clock, output.say)
    busy = {tasks.run_of(found.execution_id) for found in in_time if not tasks.counts(found.execution_id)}
    restored = _restore(clock, run_control, run_name, busy, dry_run=dry_run)
    value: dict[str, Any] = {
        "dry_run": dry_run,
        "overdue": [found.words() for found in overdue],
        "in_time": [found.words() for found in in_time],
        "stopped": [outcome.found.words() for outcome in outcomes if outcome.gone],
        "left": [outcome.found.words() for outcome in outcomes if not outcome.gone],
        "services": restored,
    }
    lines = [f"{'would stop' if dry_run else 'overdue'}: {words}" for words in value["overdue"]]
    lines += [f"in time, left alone: {words}" for words in value["in_time"]]
    lines += [f"services of {one['execution_id']}: {_services_words(one)}" for one in restored]
    output.result(
        value, "\n".join(lines) or f"no burst task is running {f'in {cluster}' if cluster else 'on this machine'}"
    )
    if value["left"]:
        raise errors.StillRunning(f"these outlived KILL: {json.dumps(value['left'])}; end their pids by hand")
    problems = [f"{name}: {why}" for one in restored for name, why in one["problems"].items()]
    if problems:
        raise errors.StillRunning(f"these services are as their burst left them: {'; '.join(problems)}")
    return 0


def _restore(
    clock: system_clock.SystemClock, run_control: str | None, execution_id: str | None, busy: Set[str], *, dry_run: bool
) -> list[dict[str, Any]]:
    """Puts back the services of runs past their deadline, each run's in its own try."""
    if run_control is None:
        return []
    try:
        found, unknown = wiring.services_left(clock, run_control, execution_id, busy)
    except errors.BurstError as exc:
        return [_untold(execution_id, f"it cannot be told whose services are to be put back: {exc}")]
    restored = [_untold(name, why) for name, why in unknown.items()]
    for left in found:
        back, problems = ({}, {}) if dry_run else left.put_back()
        restored.append(
            {
                "execution_id": left.kept.execution_id,
                "cluster": left.kept.cluster,
                "before": {change.name: change.before for change in left.kept.changes},
                "back": dict(back),
                "problems": dict(problems),
            }
        )
    return restored


def _untold(execution_id: str | None, why: str) -> dict[str, Any]:
    return {
        "execution_id": execution_id, "cluster": None, "before": {}, "back": {},
        "problems": {execution_id or "run control": why},
    }  # fmt: skip


def _services_words(restored: dict[str, Any]) -> str:
    told = {name: f"would be set back to {count}" for name, count in restored["before"].items()}
    told |= restored["back"] | restored["problems"]
    return "; ".join(f"{name} {words}" for name, words in told.items())
