"""The guard: runs one program and does not let it, or anything it started, outlive its budget (layer L0).

It is the first process of every burst task (PID 1 in a container) and a usable tool by itself. The budget is
relative and monotonic, so no clock step moves it. At the budget the whole tree gets TERM (and CONT, so that a stopped
process can act on it), after the grace KILL, until no process is left. The loop is one `select` on a signal pipe; it
never writes where it could block. A lease or record on S3 is left to `s3_link`, whose threads the loop never waits for.

`arguments` reads the command line and the environment.

Exit: 124 ended here and TERM was enough, 137 KILL was needed, else the program's own code (128+n when it died of
signal n); 126 and 127 as a shell uses them; 2 for wrong usage. 64 is the sidecar's and never used here.

TERM, INT, HUP and QUIT to the guard end the tree in the same way, with the full grace. A repeated signal changes
nothing, so that a controller may repeat itself; only a second INT, a person pressing Ctrl-C twice, goes to KILL at
once. USR1 and USR2 are passed on to the program.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from burst.adapters.local import account_files, file_leases
from burst.domain.basics import errors, instants
from burst.domain.tasks import leases, task_records, tasks
from burst.kit import files
from burst.task import arguments, guarded_program, lease_watch, signal_pipe, task_programs

if TYPE_CHECKING:
    from burst import ports
    from burst.task import s3_link  # imported only where S3 is used: it takes longer than all other imports

EXIT_USAGE = 2
EXIT_ENDED = 124

WAIT_POLL_SECONDS = 0.1
ENDING_POLL_SECONDS = 0.02


def run(options: arguments.Options) -> int:
    """Runs the command under guard and returns the exit code; raises `errors.UsageError` before anything started."""
    # First, because the lines below take time of the budget too.
    ends_at = time.monotonic() + arguments.budget_seconds(options, datetime.now(UTC))
    with signal_pipe.catch_signals() as wait_for_signals:  # before this the kernel drops a TERM to a PID 1
        link = _open_link(options)
        lease: ports.LeaseStore | s3_link.S3Link | None = link
        if not arguments.is_on_s3(options.lease_uri):
            lease = None if options.lease_uri is None else file_leases.from_uri(options.lease_uri)
        with _make_private_folder(options) as private_folder:
            guard = _Guard(options, ends_at, lease, link, private_folder)
            guard.note_start()
            refusal = guard.refusal()
            if refusal is not None:
                return guard.note_end(*refusal)
            try:
                return guard.watch(wait_for_signals)
            except BaseException:
                guard.kill_unseen()  # no load runs without a guard, whatever broke it
                raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """The tree is being ended: by which layer (None: the program ended by itself), why, and when KILL is due."""

    by: tasks.Layer | None
    cause: tasks.EndCause
    detail: str
    kill_at: float
    asked_at: datetime | None = None


class _Guard:
    def __init__(
        self,
        options: arguments.Options,
        ends_at: float,
        lease: "ports.LeaseStore | s3_link.S3Link | None",
        link: "s3_link.S3Link | None",
        private_folder: Path | None,
    ) -> None:
        self._options = options
        self._lease = lease
        self._link = link
        self._has_shard = options.claim is None
        self._account_file = _place_account(options, private_folder)
        now = time.monotonic()
        self._ends_at = ends_at
        self._watch = lease_watch.LeaseWatch(ttl_seconds=options.lease_ttl_seconds, readable_since=now)
        self._next_look_at = now
        self._lease_deadline: datetime | None = None
        self._marked_ready = False
        self._obeyed_go = False
        self._program = guarded_program.GuardedProgram(options.command)
        guard_started = psutil.Process().create_time()
        self._programs = task_programs.TaskPrograms(
            options,
            self._program,
            guard_mark=f"{os.getpid()}:{guard_started:.6f}",
            folder=private_folder if options.child_waits else None,
            account_file=self._account_file,
        )
        self._ending: _Ending | None = None
        self._interrupts = 0
        self._record = task_records.GuardRecord(
            shard_index=options.shard_index,
            guard_pid=os.getpid(),
            guard_started=guard_started,
            started_at=datetime.now(UTC),
        )

    def refusal(self) -> tuple[int, tasks.Layer | None, str] | None:
        """Exit code, layer and reason where the command must not be started; None where it may."""
        if time.monotonic() >= self._ends_at:
            return EXIT_ENDED, tasks.Layer.GUARD, "the deadline had passed before the start"
        problem = guarded_program.find_start_problem(self._options.command[0])
        return None if problem is None else (problem[0], None, problem[1])

    def kill_unseen(self) -> None:
        """Ends the program at once, whatever can still be opened or seen."""
        self._program.kill_unseen()

    def watch(self, wait_for_signals: Callable[[float], list[int]]) -> int:
        """Starts the command when it may start, and returns when no process of it is left."""
        guarded_program.become_subreaper()
        self._listen(wait_for_signals, 0.0)  # a TERM that came before the start prevents the start
        if self._ending is None and self._has_shard and (self._lease is None or self._options.child_waits):
            self._start()
        while True:
            self._program.reap(kill=self._ending is not None and time.monotonic() >= self._ending.kill_at)
            now = time.monotonic()
            if self._ending is None:
                self._decide(now)
            if self._ending is not None and self._program.end(kill=now >= self._ending.kill_at):
                return self._finish(self._ending)
            if self._ending is None and self._program.exit_code is not None:
                return self.note_end(self._program.exit_code, None, self._program.end_words or self._record.detail)
            self._listen(wait_for_signals, self._due_at() - time.monotonic())

    # Deciding

    def _decide(self, now: float) -> None:
        if self._program.exit_code is not None:
            if not self._program.is_childless:
                named = self._program.end_words
                words = (
                    f"{named}, and the others were ended" if named else "the program ended and left processes behind"
                )
                self._end(None, tasks.EndCause.PROGRAM_ENDED, words, now)
        elif now >= self._ends_at:
            self._end(tasks.Layer.GUARD, tasks.EndCause.BUDGET, "the budget was used up", now, self._deadline())
        else:
            if self._link is not None and not self._has_shard:
                self._take_shard(self._link, now)
            if self._ending is None and self._lease is not None and now >= self._next_look_at:
                self._look_at_lease(self._lease, now)

    def _take_shard(self, link: "s3_link.S3Link", now: float) -> None:
        if link.refusal is not None:
            detail = f"there was no shard for this task: {link.refusal}"
            self._end(tasks.Layer.LEASE, tasks.EndCause.NO_SHARD, detail, now)
        elif link.shard is not None:
            self._has_shard = True
            self._record = replace(self._record, shard_index=link.shard)
            if self._options.child_waits:
                self._start()

    def _look_at_lease(self, lease: "ports.LeaseStore | s3_link.S3Link", now: float) -> None:
        order = self._watch.judge(_read_lease(lease), monotonic=now, wall=datetime.now(UTC))
        self._obey_earlier_deadline(self._watch.deadline, now)
        self._next_look_at = now + (leases.GUARD_POLL_SECONDS if self._obeyed_go else WAIT_POLL_SECONDS)
        if order.end is not None:
            cause = order.cause or tasks.EndCause.LEASE_STALE
            self._end(tasks.Layer.LEASE, cause, order.end, now, order.asked_at)
            return
        if not self._has_shard:
            return
        self._join_master(lease)
        self._mark_ready(lease)
        if order.go and not self._obeyed_go:
            with contextlib.suppress(OSError):  # tried again at the next look
                self._programs.pass_go_on(self._record.shard_index)
                self._note_problem()
                self._obeyed_go = True

    def _obey_earlier_deadline(self, deadline: datetime | None, now: float) -> None:
        if deadline is None or deadline == self._lease_deadline:
            return
        self._lease_deadline = deadline
        self._ends_at = min(self._ends_at, now + instants.seconds_between(datetime.now(UTC), deadline))

    def _mark_ready(self, lease: "ports.LeaseStore | s3_link.S3Link") -> None:
        if self._marked_ready or not self._programs.is_ready:
            return
        with contextlib.suppress(errors.Unavailable):  # tried again at the next look
            lease.mark_ready(self._record.shard_index)
            self._marked_ready = True

    def _listen(self, wait_for_signals: Callable[[float], list[int]], seconds: float) -> None:
        for number in wait_for_signals(seconds):
            self._obey_signal(signal.Signals(number))

    def _obey_signal(self, number: signal.Signals) -> None:
        if number in signal_pipe.PASSED_ON_SIGNALS:
            self._program.pass_on(number)
        if number not in signal_pipe.END_SIGNALS:
            return
        now = time.monotonic()
        self._interrupts += number is signal.SIGINT
        if self._ending is None and self._program.exit_code is None:
            self._end(tasks.Layer.CONTROLLER, tasks.EndCause.SIGNAL, f"{number.name} received", now)
        if self._ending is not None and self._interrupts > 1:
            self._ending = replace(self._ending, kill_at=now)

    def _due_at(self) -> float:
        if self._ending is not None:
            return time.monotonic() + ENDING_POLL_SECONDS
        return self._ends_at if self._lease is None else min(self._ends_at, self._next_look_at)

    # Acting

    def _start(self) -> None:
        self._programs.start(self._record.shard_index)
        self._note_problem()

    def _join_master(self, lease: "ports.LeaseStore | s3_link.S3Link") -> None:
        if not self._programs.waits_for_master or self._program.exit_code is not None:
            return
        own_host = task_programs.LOOPBACK if self._link is None else self._link.own_host
        with contextlib.suppress(errors.Unavailable, OSError, ValueError):  # tried again at the next look
            self._programs.join_master(lease, own_host)
            self._note_problem()

    def _note_problem(self) -> None:
        if self._programs.problem:
            self._record = replace(self._record, detail=self._programs.problem)

    def _end(
        self,
        by: tasks.Layer | None,
        cause: tasks.EndCause,
        detail: str,
        now: float,
        asked_at: datetime | None = None,
    ) -> None:
        # Never past the deadline plus grace, however late the reason came.
        kill_at = min(now, self._ends_at) + self._options.grace_seconds
        self._ending = _Ending(by=by, cause=cause, detail=detail, kill_at=kill_at, asked_at=asked_at)

    def _deadline(self) -> datetime:
        """The instant at which the budget ends, by the wall clock of now."""
        return instants.later(datetime.now(UTC), self._ends_at - time.monotonic())

    # Recording

    def _finish(self, ending: _Ending) -> int:
        own_code = 128 + signal.SIGTERM if self._program.exit_code is None else self._program.exit_code
        if ending.by is None:
            return self.note_end(own_code, None, ending.detail)
        if self._program.was_killed:
            blindness = f"; {self._program.blindness}, so its group was killed" if self._program.blindness else ""
            return self.note_end(guarded_program.EXIT_KILLED, ending.by, ending.detail + blindness)
        return self.note_end(own_code if ending.by is tasks.Layer.CONTROLLER else EXIT_ENDED, ending.by, ending.detail)

    def note_start(self) -> None:
        """Writes the first record; raises `errors.UsageError` when it cannot be written. On S3 it only begins to."""
        if self._account_file is not None:
            with contextlib.suppress(OSError):  # that of a task before this one, which never came to GO
                self._account_file.unlink()
        if self._link is not None:
            record = self._record
            if self._account_file is not None:
                self._link.follow_account(str(self._account_file))
            self._link.start(
                record.shard_index, lambda shard: task_records.encode_guard(replace(record, shard_index=shard))
            )
        try:
            self._write_record()
        except OSError as exc:
            raise errors.UsageError(f"--record {self._options.record}: {exc.strerror or exc}; nothing started") from exc

    def note_end(self, exit_code: int, by: tasks.Layer | None, detail: str) -> int:
        """Writes the last record, prints why, and returns the exit code."""
        overshoot_seconds = round(max(0.0, time.monotonic() - self._ends_at), 6) if self._program.was_started else 0.0
        self._record = replace(
            self._record,
            stopped_at=datetime.now(UTC),
            exit_code=exit_code,
            stopped_by=by,
            detail=detail,
            overshoot_seconds=overshoot_seconds,
            cause=self._cause(by),
            asked_at=self._asked_at(by),
        )
        try:
            self._write_record()
            if self._link is not None:
                self._link.finish(task_records.encode_guard(self._record))
        except (OSError, errors.Unavailable) as exc:
            _print_line(f"the record could not be written: {getattr(exc, 'strerror', None) or exc}")
        if detail:
            _print_line(f"{detail}; exit {exit_code}")
        return exit_code

    def _cause(self, by: tasks.Layer | None) -> tasks.EndCause:
        if self._ending is not None:
            return self._ending.cause
        return tasks.EndCause.BUDGET if by is tasks.Layer.GUARD else tasks.EndCause.PROGRAM_ENDED

    def _asked_at(self, by: tasks.Layer | None) -> datetime | None:
        if self._ending is not None:
            return self._ending.asked_at
        return self._deadline() if by is tasks.Layer.GUARD else None

    def _write_record(self) -> None:
        if isinstance(self._options.record, Path):
            files.replace(self._options.record, task_records.encode_guard(self._record))


def _open_link(options: arguments.Options) -> "s3_link.S3Link | None":
    """The guard's link to S3; None where neither lease nor record nor claim is there."""
    if not (arguments.is_on_s3(options.lease_uri) or arguments.is_on_s3(options.record) or options.claim):
        return None
    from burst.task import s3_link

    return s3_link.S3Link(
        lease_uri=options.lease_uri if arguments.is_on_s3(options.lease_uri) else None,
        records_uri=str(options.record) if arguments.is_on_s3(options.record) else None,
        claim=None if options.claim is None else s3_link.Claim(hint=options.claim[0], count=options.claim[1]),
    )


def _read_lease(lease: "ports.LeaseStore | s3_link.S3Link") -> lease_watch.LeaseReading:
    try:
        return lease_watch.LeaseReading(lease=lease.read())
    except errors.Unavailable as exc:
        return lease_watch.LeaseReading(problem=str(exc))


def _place_account(options: arguments.Options, private_folder: Path | None) -> Path | None:
    """The file that the program may append its load account to: beside the record, so that it outlives the guard, or
    in the private folder where the record is on S3. None where there is neither."""
    if isinstance(options.record, Path):
        return options.record.with_suffix(account_files.SUFFIX)
    return None if options.record is None or private_folder is None else private_folder / f"load{account_files.SUFFIX}"


@contextlib.contextmanager
def _make_private_folder(options: arguments.Options) -> Iterator[Path | None]:
    """A private folder for the go and ready files of a program that waits for GO itself, and for the load account where
    the record is on S3. It lies beside the record where that is a file, so that a killed guard leaves it with its run.
    """
    if not options.child_waits and not arguments.is_on_s3(options.record):
        yield None
        return
    import tempfile  # late: a quarter of the guard's start-up, and only needed here

    parent = options.record.parent if isinstance(options.record, Path) else None
    try:
        folder = Path(tempfile.mkdtemp(prefix="burst-guard-", dir=parent))
    except OSError as exc:
        if not options.child_waits:
            yield None  # the program runs without an account
            return
        raise errors.UsageError(f"{exc.filename}: {exc.strerror}; nothing started") from exc
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _print_line(text: str) -> None:
    """A line on stderr, unless that would block: a full pipe must not hold up a hard stop."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, f"burst guard: {text}\n".encode(errors="replace")[:512])


def main(words: Sequence[str]) -> int:
    """The command line of `python -m burst.task.guard`."""
    try:
        return run(arguments.parse(words))
    except errors.UsageError as exc:
        _print_line(str(exc))
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
