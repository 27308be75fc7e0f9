"""How the commands about a run show it: its way as words on stderr, its state and its verdict on stdout.

Apart from the commands, because all that a run needs is imported here: `--help` is not to wait for it.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burst.cli import common, observed_progress, progress_lines, terminals
from burst.domain.basics import errors, instants
from burst.domain.documents import window_metrics
from burst.domain.plan import plans, run_commands
from burst.domain.preflight import findings
from burst.domain.run import lifecycle, run_ids, runs
from burst.domain.run.events import codec
from burst.domain.tasks import leases, tasks
from burst.report import live_views, run_states, terminal
from burst.wiring import driving, marked_runs, preparing, standings

if TYPE_CHECKING:
    from burst.cli import live_display


class RunReporter:
    """`driving.Reporter` that shows everything on stderr: as the live view on a terminal, as lines elsewhere.

    While the live view has the terminal, lines stand in it, and are written once it has gone.
    """

    def __init__(self, output: common.Output) -> None:
        self._output = output
        self._situation = live_views.Situation()
        self._progress: progress_lines.ProgressLines | None = None
        self._display: live_display.LiveDisplay | None = None
        self._said: list[str] = []

    def say(self, words: str) -> None:
        """A line of words."""
        if self._display is None:
            self._output.say(words)
            return
        self._said.append(words)
        self._change(notes=(*self._situation.notes, *words.splitlines()[:1]))

    def checks_begun(self, plan: plans.Plan, names: Sequence[str]) -> None:
        """The checks that are asked from now on; the first of a run take the terminal over."""
        self._open_display()
        checks = (*self._situation.preflight.checks, *live_views.PreflightProgress.begin(names).checks)
        self._change(plan=plan, preflight=live_views.PreflightProgress(checks=checks))

    def check_answered(self, name: str, answers: Sequence[findings.Finding]) -> None:
        """A check that answered."""
        self._change(preflight=self._situation.preflight.answer(name, answers))

    def checks_waiting(self, names: Sequence[str]) -> None:
        """The checks that preflight waits for; said once while they stay the same."""
        waiting = ", ".join(dict.fromkeys(names))
        if self._display is None and waiting != self._situation.preflight.waiting:
            self._output.say(f"preflight: waiting for {waiting}")
        self._change(preflight=dataclasses.replace(self._situation.preflight, waiting=waiting))

    def checks_passed(self, checked: Sequence[findings.Finding]) -> None:
        """How many checks passed, and each warning."""
        passed = sum(finding.passed for finding in checked)
        self.say(f"preflight: {passed} of {len(checked)} checks passed, none refuses")
        for finding in checked:
            if not finding.passed:
                self.say("\n".join(finding.lines()))

    def run_begun(self, plan: plans.Plan, folder: Path, baseline_rate_per_second: float | None) -> None:
        """The id, folder and scope of a new run."""
        self.say(f"run {plan.execution_id} in {common.shorten_path(folder)}, scope {plan.scope}")
        self._change(plan=plan, baseline_per_second=baseline_rate_per_second)

    def run_continued(self, status: standings.RunStatus) -> None:
        """The state in which an earlier controller left a run."""
        self._open_display()
        self.say(f"continuing run {status.run.execution_id}, which was {run_states.describe(status.run)}")
        self._change(plan=status.plan, baseline_per_second=status.baseline_rate_per_second)

    def observe(self, run: runs.Run, decision: lifecycle.Decision, now: datetime) -> None:
        """One look at the run."""
        due = None
        if isinstance(decision, lifecycle.Wait) and decision.until is not None:
            due = (decision.due, decision.until)
        self._change(run=run, next_due=due)
        if self._display is None:
            if self._progress is None:
                self._progress = progress_lines.ProgressLines(self._output.say)
            self._progress.observe(self._situation, decision, now)

    def run_closed(self) -> None:
        """Gives the terminal back, and writes the lines that stood in the live view."""
        display, self._display = self._display, None
        self._situation, self._progress = live_views.Situation(), None
        if display is not None:
            display.close()
        lines, self._said = self._said, []
        for words in lines:
            self._output.say(words)

    def _open_display(self) -> None:
        if self._display is None and terminals.can_draw(self._output):
            from burst.cli import live_display  # rich takes a tenth of a second

            self._display = live_display.LiveDisplay(self._output)
            self._display.start()

    def _change(self, **changes: Any) -> None:
        self._situation = dataclasses.replace(self._situation, **changes)
        if self._display is not None:
            self._display.show(self._situation)


def find_run(run_name: str, runs_dir: Path, run_control: str | None = None) -> driving.RunAddress:
    """The address of a run that the operator names.

    Raises `errors.EvidenceIncomplete` where it has no folder, and no run control to take it over from.
    """
    path = common.run_path(run_name, runs_dir)
    if run_control is None or path.is_dir():
        return driving.RunAddress(name=run_name, folder=common.run_folder(run_name, runs_dir))
    return driving.RunAddress(name=run_name, folder=runs_dir / path.name, run_control=run_control)


def launch(output: common.Output, prepared: preparing.Prepared) -> int:
    """Runs a prepared plan to its verdict, shows it and returns the exit code."""
    return render(output, driving.launch(prepared, RunReporter(output)))


def render(output: common.Output, outcome: driving.Outcome) -> int:
    """Shows the verdict of a run and returns its exit code."""
    folder = common.shorten_path(outcome.folder)
    if output.json:
        output.content(outcome.verdict.content + b"\n")
    else:
        folded = terminals.is_read_by_a_person(output)
        output.result(None, terminal.render(outcome.verdict.snapshot, folder=folder, folded=folded))
        output.say(f"verify it: burst verify {folder}")
    if outcome.urgent:
        output.error(outcome.urgent)
    return outcome.exit_code


def check(output: common.Output, request: preparing.RunRequest) -> None:
    """Asks every check of a plan and shows the findings. Raises `errors.Refused` where one refuses."""
    reporter = RunReporter(output)
    try:
        checked = driving.check(request, reporter)
    finally:
        reporter.run_closed()
    lines = findings.list_lines(checked.findings)
    output.result(checked.document.model_dump(mode="json", by_alias=True), "\n".join(lines))
    failed = [finding for finding in checked.findings if finding.refused]
    refused = [finding.check for finding in failed]
    if refused:
        setting = findings.is_setting(failed, checked.settings_problem)
        refusal = (errors.UsageError if setting else errors.Refused)(
            f"{len(refused)} of {len(checked.findings)} checks refuse: {', '.join(refused)}; nothing was launched"
        )
        if setting:
            from burst.cli import mistakes

            refusal.advice = mistakes.advise_on_variables(checked.settings_problem)
        raise refusal


def render_status(output: common.Output, status: standings.RunStatus | standings.RemoteStatus) -> None:
    """Shows the state of a run."""
    if isinstance(status, standings.RemoteStatus):
        output.result(_remote_fields(status), _remote_text(status, datetime.now(UTC)))
        return
    rate = status.baseline_rate_per_second
    if status.newer is not None:
        output.say(f"{status.newer}; this may lack what its journal says, but the tasks are as they are now")
    look = progress_lines.show(status.run, None, datetime.now(UTC), status.plan, rate)
    output.result(_status_fields(status), _status_text(status, look))


def reconcile(output: common.Output, address: driving.RunAddress) -> int:
    """Settles a run whose tasks have all ended; shows its tasks while one has not."""
    answer = driving.reconcile(address, RunReporter(output))
    if isinstance(answer, driving.Outcome):
        return render(output, answer)
    lines = [_truth_text(truth) for truth in answer.truths]
    output.result(_status_fields(answer), "\n".join(lines) or "no task was launched")
    return 0


_EVIDENCE_ERRORS = (errors.EvidenceIncomplete, errors.EvidenceCorrupt, errors.EvidenceUnknown)
"""The errors of a run's folder whose plan or journal is missing or cannot be read."""


@dataclass(frozen=True, slots=True)
class StopRequest:
    """What the operator wants stopped, and where it may be."""

    run_name: str
    runs_dir: Path
    run_control: str | None
    cluster: str | None
    reason: str


def stop_anywhere(output: common.Output, request: StopRequest) -> None:
    """Stops every task of a run by its folder or its run control; else by the marks of its tasks.

    Raises `errors.EvidenceIncomplete` where there is no such run, and no task of it runs, and the error of a folder
    whose plan or journal cannot be read where no task is found.
    """
    try:
        stop(output, find_run(request.run_name, request.runs_dir, request.run_control), request.reason)
        return
    except (errors.EvidenceIncomplete, errors.StillRunning) as exc:
        if isinstance(exc, errors.StillRunning) and not isinstance(exc.__cause__, _EVIDENCE_ERRORS):
            raise
        run_id = Path(request.run_name).name
        if not run_ids.is_plain(run_id):
            raise
        with driving.unseen_tasks_may_run(f"burst stop {request.run_name}"):
            stopped = marked_runs.stop(run_id, request.cluster, request.reason, output.say)
        if stopped is None:
            places = f"on this machine or in {request.cluster}" if request.cluster else "on this machine"
            hint = "" if request.cluster else " (for tasks on ECS: --cluster or --run-control)"
            error = type(exc)(f"{exc}; no task of {run_id} is running {places}{hint}")
            error.advice = exc.advice
            raise error from exc
    advice = f"; for the verdict: burst resume {stopped.folder}" if stopped.folder else ""
    output.result({"execution_id": run_id, "stopped": True}, f"every task of {run_id} is stopped{advice}")


def stop(output: common.Output, address: driving.RunAddress, reason: str) -> None:
    """Stops every task of a run. Raises `errors.StillRunning` where one may still be running."""
    stopped = driving.stop(address, reason, RunReporter(output))
    if stopped is None:
        run_id = address.folder.name
        advice = f"; if its controller is dead: burst resume {run_id} --run-control {address.run_control}"
        output.result({"execution_id": run_id, "stopped": True}, f"every task of {run_id} is stopped{advice}")
        return
    run_id, without_controller = stopped.execution_id, not stopped.has_verdict and not stopped.controller_alive
    advice = f"; for the verdict: {run_commands.resume(run_id, stopped.plan)}" if without_controller else ""
    if advice and stopped.written_by_newer:
        advice += ", with the burst that wrote its journal"
    output.result(
        {"execution_id": run_id, "stopped": True, "controller_alive": stopped.controller_alive},
        f"every task of {run_id} is stopped{advice}",
    )


def _status_fields(status: standings.RunStatus) -> dict[str, Any]:
    run, counts = status.run, status.run.counts
    return {
        "execution_id": run.execution_id,
        "platform_run_id": status.plan.scope,
        "phase": status.plan.phase,
        "kind": status.plan.kind.value,
        "state": run_states.describe(run) if status.newer is None else "unknown: written by a newer burst",
        "controller_alive": status.controller_alive,
        "deadline_utc": instants.text(run.deadline) if run.deadline else None,
        "go_utc": instants.text(run.go_at) if run.go_at else None,
        "counts_so_far": window_metrics.CountsEntry.from_counts(counts).model_dump(mode="json", by_alias=True),
        "observed": observed_progress.list_fields(run),
        "tasks": [codec.truth_fields(truth) for truth in status.truths],
        "exit_code": run.exit_code,
    }


def _status_text(status: standings.RunStatus, look: progress_lines.Look) -> str:
    run = status.run
    lines = [f"{run.execution_id}: {look.state}", f"  {look.figures}" if look.figures else ""]
    lines.append(f"  deadline {instants.text(run.deadline)}" if run.deadline else "")
    lines += [f"  {_truth_text(truth)}" for truth in status.truths]
    if run.exit_code is None and not status.controller_alive:
        state = run.superseded or "no controller is at work on it"
        lines.append(f"  {state}; {run_commands.resume(run.execution_id, status.plan)}")
    return "\n".join(line for line in lines if line)


def _remote_fields(status: standings.RemoteStatus) -> dict[str, Any]:
    lease = status.lease
    return {
        "execution_id": status.announcement.execution_id,
        "platform_run_id": status.plan.scope,
        "phase": status.plan.phase,
        "kind": status.plan.kind.value,
        "state": status.state,
        "controller_alive": None,  # whether the heartbeat moves is seen by waiting
        "driven_by": lease.owner.words() if lease and lease.owner else None,
        "heartbeat_utc": instants.text(lease.heartbeat_at) if lease else None,
        "deadline_utc": instants.text(status.announcement.deadline_utc),
        "go_utc": instants.text(lease.go_at) if lease and lease.go_at else None,
        "counts_so_far": None,  # they are in the journal of its machine; the lease carries the last live count
        "counted": leases.count_fields(lease.counted) if lease and lease.counted else None,
        "tasks": [codec.truth_fields(truth) for truth in status.truths],
        "exit_code": status.exit_code,
    }


def _remote_text(status: standings.RemoteStatus, now: datetime) -> str:
    run_id, lease = status.announcement.execution_id, status.lease
    lines = [f"{run_id}: {status.state}", f"  deadline {instants.text(status.announcement.deadline_utc)}"]
    if lease is not None:
        owner = f" of {lease.owner.words()}" if lease.owner else ""
        age_seconds = instants.seconds_between(lease.heartbeat_at, now)
        lines.append(f"  last heartbeat{owner}: {age_seconds:.0f} s ago by this machine's clock")
        if lease.counted is not None:
            lines.append(f"  counted to {instants.text(lease.counted.counted_to)}: {lease.counted.words}")
    lines += [f"  {_truth_text(truth)}" for truth in status.truths]
    if status.verdict is None:
        lines.append(
            f"  its journal is on its own machine; if that is dead: {run_commands.resume(run_id, status.plan)}"
        )
    return "\n".join(lines)


def _truth_text(truth: tasks.TaskTruth) -> str:
    ended = f" by {truth.stopped_by}" if truth.stopped_by else ""
    code = f", exit {truth.exit_code}" if truth.exit_code is not None else ""
    return f"shard {truth.task.shard_index} {truth.task.task_id} {truth.status}{ended}{code} {truth.detail}".rstrip()
