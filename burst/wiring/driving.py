"""Driving: takes a run from its plan, or from its folder, to its verdict.

Signals end a run in order; an unforeseen error ends its tasks before it is raised. The caller gets an `Outcome`, or one
of burst's errors; a `Reporter` hears how the run goes.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Protocol

from burst.adapters.local import folder_store, journal_file, system_clock
from burst.control import ownership, preflight, telling
from burst.domain.basics import errors
from burst.domain.documents import document_names, preflight_results
from burst.domain.plan import plans, run_commands
from burst.domain.preflight import findings
from burst.domain.run import lifecycle, runs
from burst.domain.tasks import tasks
from burst.domain.verdict import run_messages, snapshots
from burst.kit import ending_signals
from burst.wiring import adoption, inputs, outlets, preparing, sessions, standings, stopping, takeover
from burst.wiring.preflight import checks

_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_URGENT_GATES = ("stop_proven", "services_back")
"""The gates whose failure a person has to act on at once."""


class Reporter(Protocol):
    """Hears how a run goes, while it goes."""

    def say(self, words: str) -> None:
        """A line of words to the operator."""
        ...

    def checks_begun(self, plan: plans.Plan, names: Sequence[str]) -> None:
        """These preflight checks of a plan are asked from now on."""
        ...

    def check_answered(self, name: str, answers: Sequence[findings.Finding]) -> None:
        """A preflight check answered with these findings."""
        ...

    def checks_waiting(self, names: Sequence[str]) -> None:
        """No preflight check has answered for a while; these have not answered yet."""
        ...

    def checks_passed(self, checked: Sequence[findings.Finding]) -> None:
        """No preflight check refuses."""
        ...

    def run_begun(self, plan: plans.Plan, folder: Path, baseline_rate_per_second: float | None) -> None:
        """A new run has its folder; nothing is launched yet."""
        ...

    def run_continued(self, status: standings.RunStatus) -> None:
        """This controller holds a run of an earlier one; `status` is the state in which that left it."""
        ...

    def observe(self, run: runs.Run, decision: lifecycle.Decision, now: datetime) -> None:
        """The controller decided what to do next."""
        ...

    def run_closed(self) -> None:
        """The run is no longer driven, whatever became of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run with a verdict."""

    folder: Path
    verdict: snapshots.Verdict
    urgent: str
    """The tasks that may still run or services not put back, with what a person has to do at once; mostly empty."""

    @property
    def exit_code(self) -> int:
        """The exit code that the snapshot states."""
        return self.verdict.snapshot.exit_code

    def announce(self, plan: plans.Plan, at: datetime) -> run_messages.RunMessage:
        """The message that tells outlets of it; `at`: when it came to be."""
        return run_messages.RunMessage.announce_end(plan, self.verdict, at, urgent=self.urgent)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAddress:
    """A run, by the folder where it lies or will be made from `run_control`; `name` is the operator's word for it."""

    name: str
    folder: Path
    run_control: str | None = None

    def command(self, word: str) -> str:
        """A command about this run, as the operator can give it again."""
        return f"burst {word} {self.name}{f' --run-control {self.run_control}' if self.run_control else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The findings of a preflight, and its document."""

    findings: tuple[findings.Finding, ...]
    document: preflight_results.Preflight
    settings_problem: str
    """The setting of this machine that is missing or wrong; empty where none is."""


def check(request: preparing.RunRequest, reporter: Reporter) -> Checked:
    """Asks every preflight check of a plan; a refusing finding is not raised.

    Raises `errors.Conflict` where the execution id is taken.
    """
    prepared, clock = preparing.examine(request, datetime.now(UTC)), system_clock.SystemClock()
    _refuse_taken(prepared.plan)
    outlets.open_outlets(prepared.plan)
    checked = checks.run(prepared, clock, _observe_checks(prepared.plan, reporter))
    document = preflight.build_document(prepared.plan, checked, clock.now(), prepared.machine)
    problem = preparing.find_missing_secret(prepared.plan)
    return Checked(findings=checked, document=document, settings_problem=problem)


def run(request: preparing.RunRequest, reporter: Reporter) -> Outcome:
    """Runs a plan to its verdict."""
    prepared = preparing.examine(request, datetime.now(UTC))
    return launch(prepared, reporter, early_stop=request.early_stop)


def launch(prepared: preparing.Prepared, reporter: Reporter, *, early_stop: bool = True) -> Outcome:
    """Runs a prepared plan to its verdict.

    Raises `errors.Conflict` where the execution id is taken, `errors.Refused` where a preflight check refuses, and what
    `drive` raises.
    """
    _refuse_taken(prepared.plan)
    run_outlets = outlets.open_outlets(prepared.plan)
    try:
        session = _begin(prepared, reporter, early_stop=early_stop)
    except BaseException:
        reporter.run_closed()
        raise
    teller = outlets.begin(run_outlets)
    if run_outlets:
        outlets.begin_record(session.folder, str(session.plan.execution_id))
    teller.tell(run_messages.RunMessage.announce_start(session.plan, datetime.now(UTC)))
    return drive(session, reporter, teller)


def _observe_checks(plan: plans.Plan, reporter: Reporter) -> preflight.Observer:
    return preflight.Observer(
        begun=lambda names: reporter.checks_begun(plan, names),
        answered=reporter.check_answered,
        waiting=reporter.checks_waiting,
    )


def _refuse_taken(plan: plans.Plan) -> None:
    """Raises `errors.Conflict` where the execution id has a folder already: said before preflight asks anybody."""
    folder_store.refuse_taken(Path(plan.evidence.local), str(plan.execution_id))


def _begin(prepared: preparing.Prepared, reporter: Reporter, *, early_stop: bool) -> sessions.Session:
    checked = checks.run(prepared, system_clock.SystemClock(), _observe_checks(prepared.plan, reporter))
    findings.refuse_launch(checked, preparing.find_missing_secret(prepared.plan))
    reporter.checks_passed(checked)
    session = sessions.begin(prepared, checked, early_stop=early_stop, observe=reporter.observe)
    rate_per_second = prepared.baseline.rate_per_second if prepared.baseline else None
    reporter.run_begun(prepared.plan, session.folder, rate_per_second)
    return session


def resume(address: RunAddress, reporter: Reporter) -> Outcome:
    """Continues a run to its verdict; a finished run has it already, and one that another controller published takes
    that verdict over. Each outlet that was not told how a finished run ended is told now.

    Raises `errors.ControllerAtWork` while another controller drives the run, wherever it is.
    """
    with ownership.Ownership(system_clock.SystemClock()) as own:
        with unseen_tasks_may_run(address.command("resume"), address.folder):
            folder = _find_folder(address, own)
            status = standings.read_status(folder)
        adopted = _adopt(folder, status, reporter)
        with unseen_tasks_may_run(address.command("resume"), address.folder):
            status = standings.read_status(folder) if adopted else status
            if status.run.exit_code is None and (status.newer is not None or not status.run.stopped):
                status = standings.inspect_tasks(folder)  # no run is continued whose tasks cannot be seen
        if status.run.exit_code is not None:
            reporter.say(f"run {status.run.execution_id} is finished")
            outcome = read_outcome(folder)
            ended_at = journal_file.read(folder / document_names.JOURNAL)[-1].at
            outlets.tell_end_again(status.plan, folder, outcome.announce(status.plan, ended_at), reporter.say)
            return outcome
        standings.refuse_newer(status, folder)
        return _continue(folder, status, reporter, None if adopted else own)


def reconcile(address: RunAddress, reporter: Reporter) -> Outcome | standings.RunStatus:
    """Settles a run whose tasks have all ended; while one runs, or a controller is alive, only its state."""
    with ownership.Ownership(system_clock.SystemClock()) as own:
        with unseen_tasks_may_run(address.command("reconcile"), address.folder):
            folder = _find_folder(address, own)
            status = standings.inspect_tasks(folder)
        ended = all(truth.status is tasks.TaskStatus.STOPPED for truth in status.truths)
        if status.run.exit_code is None and ended and not status.controller_alive:
            standings.refuse_newer(status, folder)
            adopted = _adopt(folder, status, reporter)
            status = standings.read_status(folder) if adopted else status
            return _continue(folder, status, reporter, None if adopted else own)
        return status


def inspect(address: RunAddress) -> standings.RunStatus | standings.RemoteStatus:
    """The state of a run, with its tasks as they are now. Raises `errors.StillRunning` where they cannot be seen."""
    with unseen_tasks_may_run(address.command("status"), address.folder):
        if address.run_control is None or address.folder.is_dir():
            return standings.inspect_tasks(address.folder)
        return standings.inspect_remote(address.folder.name, address.run_control)


def stop(address: RunAddress, reason: str, reporter: Reporter) -> stopping.Stopped | None:
    """Stops every task of a run; None for a run of another machine, whose controller cannot be seen from here.

    Raises `errors.StillRunning` where a task may still run.
    """
    with unseen_tasks_may_run(address.command("stop"), address.folder):
        if address.run_control is None or address.folder.is_dir():
            return stopping.stop_here(address.folder, reason, reporter.say)
        stopping.stop_elsewhere(address.folder.name, address.run_control, reason, reporter.say)
        return None


def drive(session: sessions.Session, reporter: Reporter, teller: telling.Telling = telling.NOBODY) -> Outcome:
    """Drives a session to the verdict of its run, closes it, and tells the outlets how it ended.

    Raises `errors.PublicationFailed` where the verdict is not published, `errors.StillRunning` where a task may still
    run or a service was not put back after an unforeseen error, and `errors.ControllerAtWork` once another controller
    claimed the run: its tasks are left to that one.
    """
    try:
        outcome = _drive(session, reporter)
    except (errors.PublicationFailed, errors.StillRunning) as exc:
        teller.tell(run_messages.RunMessage.announce_failure(session.plan, exc.exit_code, str(exc), datetime.now(UTC)))
        raise
    else:
        outlets.tell_end(teller, session.folder, outcome.announce(session.plan, datetime.now(UTC)), reporter.say)
        return outcome
    finally:
        teller.close(reporter.say)


def _drive(session: sessions.Session, reporter: Reporter) -> Outcome:
    failure: errors.BurstError | None = None
    try:
        with _ended_in_order(session):
            session.controller.drive()
    except (errors.PublicationFailed, errors.EvidenceIncomplete) as exc:
        failure = exc
    finally:
        reporter.run_closed()
        session.close()
    return read_outcome(session.folder) if failure is None else _settle(session, failure, reporter)


def _settle(session: sessions.Session, failure: errors.BurstError, reporter: Reporter) -> Outcome:
    """The outcome of a run that could not be published: that of its authority, where another controller published it.

    Raises `errors.PublicationFailed` where nobody did.
    """
    folder, plan = session.folder, session.plan
    adopted = False
    with contextlib.suppress(errors.EvidenceIncomplete, errors.EvidenceCorrupt, errors.EvidenceUnknown):
        adopted = _adopt(folder, standings.read_status(folder), reporter)  # a folder may have lost its documents
    if adopted:
        return _continue(folder, standings.read_status(folder), reporter, None)
    raise errors.PublicationFailed(
        f"{failure}\nThe verdict is not published. The documents so far are in {folder}; "
        f"mend the cause, then: {run_commands.resume(str(folder), plan)}"
    ) from failure


def _adopt(folder: Path, status: standings.RunStatus, reporter: Reporter) -> bool:
    """Whether the folder of an unfinished run took over what another controller published of it."""
    if status.run.exit_code is not None or status.newer is not None:
        return False
    clock = system_clock.SystemClock()
    words = adoption.adopt(folder, status.plan, status.run.deadline or clock.now(), clock)
    if words is not None:
        reporter.say(words)
    return words is not None


def read_outcome(folder: Path) -> Outcome:
    """The outcome of a finished run, from its snapshot."""
    plan = inputs.frozen_plan(folder)
    verdict = snapshots.Verdict.read(
        folder_store.FolderStore(folder).read(document_names.snapshot_name(plan.slug, plan.kind))
    )
    snapshot, urgent = verdict.snapshot, ""
    if snapshot.exit_code == errors.StillRunning.exit_code:
        unstopped = [task.id for task in snapshot.burst_execution_window.tasks if task.stopped_utc is None]
        reasons = [gate.why for gate in snapshot.gates if gate.name in _URGENT_GATES and gate.status != "PASS"]
        urgent = stopping.describe_unstopped(folder, plan, unstopped) if unstopped else "; ".join(reasons)
    return Outcome(folder=folder, verdict=verdict, urgent=urgent)


@contextlib.contextmanager
def unseen_tasks_may_run(command: str, folder: Path | None = None, *, settled: bool = False) -> Iterator[None]:
    """Raises `errors.StillRunning` for an error that hides whether tasks run, with the command to try again.

    Of a run whose journal has every task stopped it hides the publication alone: that is `errors.PublicationFailed`.
    Other errors hide nothing: the request is wrong, no run began, it is finished by the journal in its folder, or
    another controller holds it.
    """
    try:
        yield
    except (errors.UsageError, errors.Conflict, errors.StillRunning):
        raise
    except errors.BurstError as exc:
        run = _read_journal(folder)
        if run is not None and run.exit_code is not None and _is_settled(run):
            raise
        if run is None and isinstance(exc, errors.EvidenceIncomplete):
            raise
        if settled:
            raise errors.PublicationFailed(
                f"{exc}\nEvery task of the run is stopped; its verdict is not published. Try again: {command}"
            ) from exc
        raise errors.StillRunning(
            f"{exc}\nCannot tell whether tasks still run; each ends by its guard or lease at the latest. "
            f"Try again: {command}"
        ) from exc


def _read_journal(folder: Path | None) -> runs.Run | None:
    """The run that began in a folder, by its journal alone; None where that tells of none."""
    if folder is None:
        return None
    try:
        reading = journal_file.read_as_far_as_known(folder / document_names.JOURNAL)
    except errors.BurstError:
        return None
    return reading.run if reading.run.execution_id and reading.newer is None else None


def _continue(
    folder: Path, status: standings.RunStatus, reporter: Reporter, own: ownership.Ownership | None
) -> Outcome:
    command = run_commands.resume(str(folder), status.plan)
    with (
        unseen_tasks_may_run(command, settled=_is_settled(status.run)),
        ownership.name_commands(str(folder), status.plan),
    ):
        session = sessions.reopen(folder, observe=reporter.observe, own=own)
    reporter.run_continued(status)
    return drive(session, reporter, outlets.begin_again(status.plan, reporter.say))


def _is_settled(run: runs.Run) -> bool:
    """Whether the journal has every task stopped and every service back: only the verdict may be missing."""
    return run.stopped and run.settled


def _find_folder(address: RunAddress, own: ownership.Ownership) -> Path:
    """The folder of a run, made from run control where the run is not on this machine."""
    if address.run_control is None or address.folder.is_dir():
        return address.folder
    clock = system_clock.SystemClock()
    return takeover.take_over(address.folder.name, address.run_control, address.folder.parent, clock, own)


@contextlib.contextmanager
def _ended_in_order(session: sessions.Session) -> Iterator[None]:
    """Signals end the run in order; an unforeseen error ends its tasks before it is raised.

    Python hands signals to the main thread alone: they do not reach a run on another thread.
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        session.interrupt(signal.Signals(number).name)

    on_main_thread = threading.current_thread() is threading.main_thread()
    heard = ending_signals.select_heard(_END_SIGNALS) if on_main_thread else ()
    handlers = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    except errors.ControllerAtWork as exc:
        raise _describe_successor(session, exc) from exc
    except BaseException as exc:
        _abandon(session, exc)
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _abandon(session: sessions.Session, cause: BaseException) -> None:
    """Ends the tasks of a run that cannot go on, and looks whether they ended.

    Raises `errors.StillRunning` where a task may still run or a service was not put back, and `errors.Refused` for an
    error of the system; else the cause itself says enough.
    """
    run, plan = session.record.run, session.plan
    if not _is_settled(run):
        commands = session.controller.abandon()
        with unseen_tasks_may_run(run_commands.stop(str(session.folder), plan)):
            unstopped = standings.find_living(session.launcher, run.execution_id)
        if unstopped:
            raise errors.StillRunning(stopping.describe_unstopped(session.folder, plan, unstopped)) from cause
        if commands:
            raise errors.StillRunning(f"services were not put back; act now: {'; '.join(commands)}") from cause
    if isinstance(cause, OSError):
        raise errors.Refused(f"the run could not go on: {cause}; nothing is left running") from cause


def _describe_successor(session: sessions.Session, cause: errors.ControllerAtWork) -> errors.BurstError:
    """The error of a run that another controller claimed. Its tasks are that one's, where it beats; where it does not,
    and a task may run, nobody is known to end them: `errors.StillRunning`."""
    folder, plan, unstopped = session.folder, session.plan, ["tasks that cannot be seen"]
    with contextlib.suppress(errors.BurstError):
        unstopped = standings.find_living(session.launcher, session.record.run.execution_id)
    if unstopped and not ownership.sees_beat(session.lease, session.clock):
        words = stopping.describe_unstopped(folder, plan, unstopped)
        return errors.StillRunning(f"{cause}, whose heartbeat stands still. {words}")
    return errors.ControllerAtWork(
        f"{cause}. Nothing more is done here; its tasks are left to that controller, and once it published: "
        f"{run_commands.resume(str(folder), plan)}"
    )
