"""What the commands about a run do once their words are parsed: launch, drive, stop, settle, and show it.

Apart from the commands, because all that a run needs is imported here: `--help` is not to wait for it.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from burst.adapters.local import folder_store, system_clock
from burst.cli import common, progress
from burst.control import preflight as preflights
from burst.control import reaping
from burst.domain.basics import errors, instants, wording
from burst.domain.documents import document_names, window_metrics
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.run import journals
from burst.domain.tasks import services, tasks
from burst.domain.verdict import snapshots
from burst.report import terminal
from burst.wiring import preparing, sessions, standings, stopping, takeover
from burst.wiring.preflight import checks

_SIGNALS = {signal.SIGINT: "SIGINT", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGTERM"}
STOP_MARGIN_SECONDS = 15.0
"""How long after the grace a living controller may take to stop its run."""
STOP_POLL_SECONDS = 0.25
"""How often it is looked whether it has: not so often that ECS asks for fewer calls."""
_ACT_NOW = ("stop_proven", "services_back")
"""The gates that say what a person has to do at once."""


def run(output: common.Output, request: preparing.RunRequest) -> int:
    """Runs a plan to its verdict and returns the exit code."""
    return launch(output, preparing.examine(request, datetime.now(UTC)), early_stop=request.early_stop)


def launch(output: common.Output, prepared: preparing.Prepared, *, early_stop: bool = True) -> int:
    """Runs a prepared plan to its verdict and returns the exit code."""
    found = checks.run(prepared, system_clock.SystemClock(), preflights.Observer(waiting=_waiting(output)))
    findings.refuse(found)
    output.say(f"preflight: {sum(finding.passed for finding in found)} of {len(found)} checks passed, none refuses")
    for finding in found:
        if not finding.passed:
            output.say("\n".join(finding.lines()))
    shown = _progress(output, prepared.plan, prepared.baseline.rate_per_second if prepared.baseline else None)
    session = sessions.begin(prepared, found, early_stop=early_stop, observe=shown)
    output.say(f"run {prepared.plan.execution_id} in {common.shown(session.folder)}, scope {prepared.plan.scope}")
    return _drive(output, session, shown)


def _waiting(output: common.Output) -> Callable[[Sequence[str]], None]:
    return lambda names: output.say(f"preflight: waiting for {', '.join(dict.fromkeys(names))}")


def _progress(output: common.Output, plan: plans.Plan, baseline_rate: float | None) -> progress.Progress:
    live = False if output.quiet or output.log_json else None
    return progress.Progress(plan, baseline_rate, output.say, live=live)


def _drive(output: common.Output, session: sessions.Session, shown: progress.Progress) -> int:
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
def _interruptible(session: sessions.Session) -> Iterator[None]:
    """Signals end the run in order; anything unforeseen ends its tasks before it is reported."""

    def interrupt(number: int, _: FrameType | None) -> None:
        session.interrupt(_SIGNALS[signal.Signals(number)])

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    except BaseException as exc:
        commands = session.controller.abandon()
        with unseen_may_run(f"burst stop {session.folder}"):
            left = standings.seen_alive(session.launcher, session.record.run.execution_id)
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


def _act_now(folder: Path, left: list[str]) -> str:
    return (
        f"{wording.counted(len(left), 'task')} may still be running: {', '.join(left)}.\n"
        f"Act now: burst stop {folder}; then burst reap --run {folder.name}; then end the ones above by hand."
    )


def render(output: common.Output, folder: Path, slug: str) -> int:
    """Prints a run's verdict from its snapshot and returns the snapshot's exit code."""
    verdict = snapshots.Verdict.read(folder_store.FolderStore(folder).read(document_names.snapshot_name(slug)))
    snapshot = verdict.snapshot
    if output.json:
        output.content(verdict.content + b"\n")
    else:
        output.result(None, terminal.render(snapshot, folder=common.shown(folder)))
        output.say(f"verify it: burst verify {common.shown(folder)}")
    if snapshot.exit_code == errors.StillRunning.exit_code:
        unseen = [task.id for task in snapshot.burst_execution_window.tasks if task.stopped_utc is None]
        reasons = [gate.why for gate in snapshot.gates if gate.name in _ACT_NOW and gate.status != "PASS"]
        output.error(_act_now(folder, unseen) if unseen else "; ".join(reasons))
    return snapshot.exit_code


def preflight(output: common.Output, request: preparing.RunRequest) -> None:
    """Asks every check of a plan and shows what was found. Raises `errors.Refused` where one refuses."""
    prepared = preparing.examine(request, datetime.now(UTC))
    clock = system_clock.SystemClock()
    observer = preflights.Observer(
        found=lambda finding: output.say(f"{finding.check}: {finding.status}"), waiting=_waiting(output)
    )
    found = checks.run(prepared, clock, observer)
    value = preflights.document(prepared.plan, found, clock.now()).model_dump(mode="json", by_alias=True)
    output.result(value, "\n".join(line for finding in found for line in finding.lines()))
    failed = [finding.check for finding in found if finding.refused]
    if failed:
        raise errors.Refused(f"{len(failed)} of {len(found)} checks refuse: {', '.join(failed)}; nothing was launched")


def _folder(run_name: str, runs_dir: Path, run_control: str | None) -> Path:
    """The folder of a run, made from run control where it is not on this machine."""
    if run_control is not None and not common.run_path(run_name, runs_dir).is_dir():
        return takeover.take_over(Path(run_name).name, run_control, runs_dir, system_clock.SystemClock())
    return common.run_folder(run_name, runs_dir)


def resume(output: common.Output, run_name: str, runs_dir: Path, run_control: str | None) -> int:
    """Continues a run to its verdict, or shows the verdict of a finished one, and returns the exit code."""
    with unseen_may_run(f"burst resume {run_name}"):
        folder = _folder(run_name, runs_dir, run_control)
        standing = standings.written(folder)
        if standing.run.exit_code is None and not standing.run.stopped:
            standings.look(folder)  # nobody goes on with tasks that cannot be seen
    if standing.run.exit_code is not None:
        output.say(f"run {standing.run.execution_id} is finished")
        return render(output, folder, standing.plan.slug)
    return _continue(output, folder, standing)


def _continue(output: common.Output, folder: Path, standing: standings.Standing) -> int:
    shown = _progress(output, standing.plan, standing.baseline.rate_per_second if standing.baseline else None)
    with unseen_may_run(f"burst resume {folder}"):
        session = sessions.reopen(folder, observe=shown)
    output.say(f"continuing run {standing.run.execution_id}, which was {progress.state(standing.run)}")
    return _drive(output, session, shown)


def status(output: common.Output, run_name: str, runs_dir: Path) -> None:
    """Shows where a run stands."""
    with unseen_may_run(f"burst status {run_name}"):
        standing = standings.look(common.run_folder(run_name, runs_dir))
    rate = standing.baseline.rate_per_second if standing.baseline else None
    shown = progress.show(standing.run, None, datetime.now(UTC), standing.plan, rate)
    output.result(_standing(standing), _standing_text(standing, shown))


def _standing(standing: standings.Standing) -> dict[str, Any]:
    run, counts = standing.run, standing.run.counts
    return {
        "execution_id": run.execution_id,
        "platform_run_id": standing.plan.scope,
        "phase": standing.plan.phase,
        "state": progress.state(run),
        "controller_alive": standing.controller_alive,
        "deadline_utc": instants.text(run.deadline) if run.deadline else None,
        "go_utc": instants.text(run.go_at) if run.go_at else None,
        "counts_so_far": window_metrics.CountsEntry.from_counts(counts).model_dump(mode="json", by_alias=True),
        "tasks": [journals.truth_fields(truth) for truth in standing.truths],
        "exit_code": run.exit_code,
    }


def _standing_text(standing: standings.Standing, shown: progress.Shown) -> str:
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


def stop(output: common.Output, run_name: str, runs_dir: Path, run_control: str | None, reason: str) -> None:
    """Stops every task of a run. Raises `errors.StillRunning` where one may still be running."""
    clock, path = system_clock.SystemClock(), common.run_path(run_name, runs_dir)
    with unseen_may_run(f"burst stop {run_name}"):
        if run_control is not None and not path.is_dir():
            _stop_elsewhere(output, path.name, run_control, clock, reason)
        else:
            _stop_here(output, common.run_folder(run_name, runs_dir), clock, reason)


@contextlib.contextmanager
def unseen_may_run(again: str) -> Iterator[None]:
    """Where nobody can tell whether tasks run, they may: that is for a person to know, who tries again.

    It can be told of words that are wrong, of a run that nobody began, and of one that a controller is at work on.
    """
    try:
        yield
    except (errors.UsageError, errors.Conflict, errors.EvidenceIncomplete, errors.StillRunning):
        raise
    except errors.BurstError as exc:
        raise errors.StillRunning(
            f"{exc}\nIt cannot be told whether tasks still run; each ends by its guard or lease at the latest. "
            f"Try again: {again}"
        ) from exc


def _stop_here(output: common.Output, folder: Path, clock: system_clock.SystemClock, reason: str) -> None:
    try:
        stopping.ask_to_stop(folder, clock, reason)
    except errors.Unavailable as exc:
        output.say(f"STOP could not be written into the lease, each task is stopped without it: {exc}")
    standing = standings.look(folder)
    left_to_controller = _stopped_by_controller(folder, standing, clock)
    if not left_to_controller:
        _stop(folder, clock, reason)
    seen = standings.look(folder)
    shots = [] if left_to_controller else [truth.task.task_id for truth in seen.run.shots_alive]
    left = [*seen.left, *shots]
    if left:
        raise errors.StillRunning(_act_now(folder, left))
    if seen.run.scaling is not None and not seen.run.scaling.settled and not left_to_controller:
        cluster = str(seen.plan.target.cluster)
        commands = [services.restoring_command(cluster, one.name, one.before) for one in seen.run.scaling.left]
        raise errors.StillRunning(
            f"every task is stopped, but services were not put back; act now: {'; '.join(commands)}"
        )
    words = f"every task of {seen.run.execution_id} is stopped"
    more = "" if seen.run.exit_code is not None or seen.controller_alive else "; for the verdict: burst resume"
    output.result(
        {"execution_id": seen.run.execution_id, "stopped": True, "controller_alive": seen.controller_alive},
        words + (f"{more} {seen.run.execution_id}" if more else ""),
    )


def _stop_elsewhere(
    output: common.Output, execution_id: str, run_control: str, clock: system_clock.SystemClock, reason: str
) -> None:
    """Stops a run that another machine launched: STOP into its lease, and each of its tasks."""
    outcomes = stopping.stop_elsewhere(execution_id, run_control, clock, reason, output.say)
    left = [outcome.found.words() for outcome in outcomes if not outcome.gone]
    if left:
        raise errors.StillRunning(f"these tasks may still be running: {'; '.join(left)}; try again")
    more = f"; if its controller is dead: burst resume {execution_id} --run-control {run_control}"
    output.result({"execution_id": execution_id, "stopped": True}, f"every task of {execution_id} is stopped{more}")


def _stopped_by_controller(folder: Path, standing: standings.Standing, clock: system_clock.SystemClock) -> bool:
    """Whether a living controller was seen to stop every task; it is left to it for as long as that should take."""
    give_up_at = instants.later(clock.now(), standing.plan.budget.stop_grace + STOP_MARGIN_SECONDS)
    while standing.controller_alive and clock.now() < give_up_at:
        if standing.run.stopped and not standing.left:
            return True
        clock.sleep(STOP_POLL_SECONDS)
        standing = standings.look(folder)
    return False


def _stop(folder: Path, clock: system_clock.SystemClock, reason: str) -> None:
    """Stops a run as its controller would, or task by task where its verdict stands or another controller holds it."""
    standing = standings.written(folder)
    if standing.run.exit_code is None:
        with contextlib.suppress(errors.Conflict):  # a controller that hangs keeps its lock
            session = sessions.reopen(folder, observe=lambda run, decision, now: None, to_count=False)
            try:
                session.controller.ask_to_stop(reason)
                session.controller.drive(until_stopped=True)
            finally:
                session.close()
            return
    reaping.reap(stopping.tasks_of(standing.plan, clock), clock, lambda words: None)


def reconcile(output: common.Output, run_name: str, runs_dir: Path, run_control: str | None) -> int:
    """Settles a run whose tasks have all ended; shows what its tasks say while one has not."""
    with unseen_may_run(f"burst reconcile {run_name}"):
        folder = _folder(run_name, runs_dir, run_control)
        standing = standings.look(folder)
    ended = all(truth.status is tasks.TaskStatus.STOPPED for truth in standing.truths)
    if standing.run.exit_code is None and ended and not standing.controller_alive:
        return _continue(output, folder, standing)
    output.result(
        _standing(standing), "\n".join(_truth_text(truth) for truth in standing.truths) or "no task was launched"
    )
    return 0
