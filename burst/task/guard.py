"""The guard: runs one program and does not let it, or anything it started, outlive its budget (layer L0).

It is the first process of every burst task (PID 1 in a container) and a usable tool by itself. The budget is
relative and monotonic, so no clock step moves it. At the budget the whole tree gets TERM (and CONT, so that a stopped
process can act on it), after the grace KILL, until nothing is left. As child subreaper it keeps what double-forks
or opens a new session as its own descendant; its direct child dies with it if the guard itself is killed. The loop
is one `select` on a signal pipe; it never writes where it could block. What lies on S3 is left to `remote`, whose
threads nobody waits for; without it there is none.

What it is told stands in `arguments`.

Exit: 124 ended here and TERM was enough, 137 KILL was needed, else the program's own code (128+n when it died of
signal n); 126 and 127 as a shell says them; 2 for wrong usage. 64 is the sidecar's and never used here.

TERM, INT, HUP and QUIT to the guard end the tree in the same way, with the full grace. Asking again changes nothing,
so that a controller may repeat itself; only a second INT, a person pressing Ctrl-C twice, goes to KILL at once.
USR1 and USR2 are passed on to the program.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from burst.adapters.local import file_leases
from burst.domain.basics import errors, instants
from burst.domain.tasks import task_records, tasks
from burst.kit import files, process_tree
from burst.task import arguments, lease_watch

if TYPE_CHECKING:
    from burst import ports  # knows the whole domain, which would double the guard's start-up
    from burst.task import remote  # imported when something lies on S3: it takes longer than all the rest

EXIT_USAGE = 2
EXIT_ENDED = 124
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_KILLED = 137

HOLD_POLL_SECONDS = 0.1
LEASE_POLL_SECONDS = 0.25
ENDING_POLL_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 1.0
"""Who was stopped or frozen in a wait waits on for what was left of it, so a long one would miss the deadline."""

ASKED_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)
"""For the program alone: their default would end the guard, and let what the program left run on without it."""
# Ctrl-Z must not stop the guard while the program, in its own session, runs on; who was stopped all the same looks at
# its clock as soon as it goes on.
_NOT_FOR_US = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def run(options: arguments.Options) -> int:
    """Runs the command under guard and returns the exit code; raises `errors.UsageError` before anything started."""
    # Before anything that takes its time.
    ends_at = time.monotonic() + arguments.budget_seconds(options, datetime.now(UTC))
    with _signals() as arrived:  # heard from here on: before it has a handler, the kernel spares a PID 1 a TERM
        far = _remote(options)
        lease: ports.LeaseStore | remote.Remote | None = far
        if not arguments.on_s3(options.lease_uri):
            lease = None if options.lease_uri is None else file_leases.from_uri(options.lease_uri)
        with _scratch(options) as scratch:
            guard = _Guard(options, ends_at, lease, far, scratch)
            guard.note_start()
            refused = guard.refusal()
            if refused is not None:
                return guard.note_end(*refused)
            try:
                return guard.watch(arrived)
            except BaseException:
                process_tree.kill(process_tree.below_me())  # whatever went wrong here, no load runs without a guard
                raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """The tree is being ended: by whom (None: leftovers of a program that ended by itself), why, and until when."""

    by: tasks.Layer | None
    detail: str
    kill_at: float


class _Guard:
    def __init__(
        self,
        options: arguments.Options,
        ends_at: float,
        lease: "ports.LeaseStore | remote.Remote | None",
        far: "remote.Remote | None",
        scratch: Path | None,
    ) -> None:
        self._options = options
        self._lease = lease
        self._remote = far
        self._has_shard = options.claim is None
        self._scratch = scratch
        now = time.monotonic()
        self._ends_at = ends_at
        self._watch = lease_watch.LeaseWatch(ttl_seconds=options.lease_ttl_seconds, readable_since=now)
        self._look_at = now
        self._lease_deadline: datetime | None = None
        self._marked_ready = False
        self._went = False
        self._child: subprocess.Popen[bytes] | None = None
        self._child_code: int | None = None
        self._childless = True
        self._ending: _Ending | None = None
        self._asked: set[psutil.Process] = set()
        self._killed = False
        self._interrupts = 0
        self._record = task_records.GuardRecord(
            shard_index=options.shard_index,
            guard_pid=os.getpid(),
            guard_started=psutil.Process().create_time(),
            started_at=datetime.now(UTC),
        )

    def refusal(self) -> tuple[int, tasks.Layer | None, str] | None:
        """Why the command is not started at all, if so: exit code, layer and reason."""
        program = self._options.command[0]
        if time.monotonic() >= self._ends_at:
            return EXIT_ENDED, tasks.Layer.GUARD, "the deadline had passed before the start"
        if shutil.which(program) is not None:
            return None
        if shutil.which(program, mode=os.F_OK) is None:
            return EXIT_NOT_FOUND, None, f"command not found: {program}"
        return EXIT_NOT_EXECUTABLE, None, f"command not executable: {program}"

    def watch(self, arrived: Callable[[float], list[int]]) -> int:
        """Starts the command when it may start, and returns when nothing of it is left."""
        _become_subreaper()
        self._listen(arrived, 0.0)  # who was asked to end before it began starts nothing
        if self._ending is None and self._has_shard and (self._lease is None or self._options.child_waits):
            self._start()
        while True:
            self._reap()
            now = time.monotonic()
            if self._ending is None:
                self._decide(now)
            if self._ending is not None and self._end_tree(self._ending, now):
                return self._finish(self._ending)
            if self._ending is None and self._child_code is not None:
                return self.note_end(self._child_code, None, self._record.detail)
            self._listen(arrived, self._due_at() - time.monotonic())

    # Deciding

    def _decide(self, now: float) -> None:
        if self._child_code is not None:
            if not self._childless:
                self._end(None, "the program ended and left processes behind", now)
        elif now >= self._ends_at:
            self._end(tasks.Layer.GUARD, "the budget was used up", now)
        else:
            if self._remote is not None and not self._has_shard:
                self._take_shard(self._remote, now)
            if self._ending is None and self._lease is not None and now >= self._look_at:
                self._look(self._lease, now)

    def _take_shard(self, far: "remote.Remote", now: float) -> None:
        if far.refusal is not None:
            self._end(tasks.Layer.LEASE, f"there was no shard for this task: {far.refusal}", now)
        elif far.shard is not None:
            self._has_shard = True
            self._record = replace(self._record, shard_index=far.shard)
            if self._options.child_waits:
                self._start()

    def _look(self, lease: "ports.LeaseStore | remote.Remote", now: float) -> None:
        answer = self._watch.judge(_read(lease), monotonic=now, wall=datetime.now(UTC))
        self._obey_earlier(self._watch.deadline, now)
        self._look_at = now + (LEASE_POLL_SECONDS if self._went else HOLD_POLL_SECONDS)
        if answer.end is not None:
            self._end(tasks.Layer.LEASE, answer.end, now)
            return
        if not self._has_shard:
            return
        self._say_ready(lease)
        if answer.go and not self._went:
            self._went = True
            self._go()

    def _obey_earlier(self, deadline: datetime | None, now: float) -> None:
        if deadline is None or deadline == self._lease_deadline:
            return
        self._lease_deadline = deadline
        self._ends_at = min(self._ends_at, now + instants.seconds_between(datetime.now(UTC), deadline))

    def _say_ready(self, lease: "ports.LeaseStore | remote.Remote") -> None:
        if self._marked_ready or (self._scratch is not None and not (self._scratch / "ready").exists()):
            return
        with contextlib.suppress(errors.Unavailable):  # said again at the next look
            lease.mark_ready(self._record.shard_index)
            self._marked_ready = True

    def _listen(self, arrived: Callable[[float], list[int]], seconds: float) -> None:
        for number in arrived(seconds):
            self._heed(signal.Signals(number))

    def _heed(self, number: signal.Signals) -> None:
        if number in PASSED_ON and self._child is not None and self._child_code is None:
            os.kill(self._child.pid, number)  # our own child that nobody has waited for: the pid is still its own
        if number not in ASKED_TO_END:
            return
        now = time.monotonic()
        self._interrupts += number is signal.SIGINT
        if self._ending is None and self._child_code is None:
            self._end(tasks.Layer.CONTROLLER, f"{number.name} received", now)
        if self._ending is not None and self._interrupts > 1:
            self._ending = replace(self._ending, kill_at=now)

    def _due_at(self) -> float:
        if self._ending is not None:
            return time.monotonic() + ENDING_POLL_SECONDS
        return self._ends_at if self._lease is None else min(self._ends_at, self._look_at)

    # Acting

    def _go(self) -> None:
        if self._scratch is not None:
            (self._scratch / "go").touch()
        else:
            self._start()

    def _start(self) -> None:
        guard = f"{self._record.guard_pid}:{self._record.guard_started:.6f}"
        environment = {**os.environ, process_tree.GUARD_MARK: guard}
        if self._options.claim is not None:
            environment["BURST_SHARD_INDEX"] = str(self._record.shard_index)
        if self._scratch is not None:
            environment["BURST_GO_FILE"] = str(self._scratch / "go")
            environment["BURST_READY_FILE"] = str(self._scratch / "ready")
        try:
            self._child = subprocess.Popen(
                self._options.command, env=environment, start_new_session=True, preexec_fn=_die_with(os.getpid())
            )
        except OSError as exc:
            found = EXIT_NOT_FOUND if isinstance(exc, FileNotFoundError) else EXIT_NOT_EXECUTABLE
            self._child_code = found
            self._record = replace(self._record, detail=f"{self._options.command[0]} did not start: {exc.strerror}")

    def _end(self, by: tasks.Layer | None, detail: str, now: float) -> None:
        # Never past the deadline plus grace, however late the reason came.
        kill_at = min(now, self._ends_at) + self._options.grace_seconds
        self._ending = _Ending(by=by, detail=detail, kill_at=kill_at)

    def _end_tree(self, ending: _Ending, now: float) -> bool:
        """One round of ending; True when nothing is left."""
        if self._childless:
            return True
        left = process_tree.below_me()
        process_tree.terminate([process for process in left if process not in self._asked])
        self._asked.update(left)
        if now >= ending.kill_at:
            self._killed = True
            process_tree.kill(left)
        return False

    def _reap(self) -> None:
        """Takes leave of every child that ended, own or adopted.

        Only the kernel knows that none is left: what forks and ends without pause is never there when listed. Past
        the grace the process group of each one that ended gets KILL, while its pid is still its own: that ends those.
        """
        killing = self._ending is not None and time.monotonic() >= self._ending.kill_at
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                self._childless = True
                return
            self._childless = False
            if ended is None:
                return
            if killing:
                process_tree.kill_group(ended.si_pid)
            _, status = os.waitpid(ended.si_pid, 0)
            if self._child is not None and ended.si_pid == self._child.pid:
                code = os.waitstatus_to_exitcode(status)
                self._child_code = code if code >= 0 else 128 - code
                self._child.returncode = code

    # Telling

    def _finish(self, ending: _Ending) -> int:
        own = 128 + signal.SIGTERM if self._child_code is None else self._child_code
        if ending.by is None:
            return self.note_end(own, None, ending.detail)
        if self._killed:
            return self.note_end(EXIT_KILLED, ending.by, ending.detail)
        return self.note_end(own if ending.by is tasks.Layer.CONTROLLER else EXIT_ENDED, ending.by, ending.detail)

    def note_start(self) -> None:
        """Writes the first record; raises `errors.UsageError` when it cannot be written. On S3 it is only begun."""
        if self._remote is not None:
            begun = self._record
            self._remote.start(
                begun.shard_index, lambda shard: task_records.encode_guard(replace(begun, shard_index=shard))
            )
        try:
            self._write_record()
        except OSError as exc:
            raise errors.UsageError(f"--record {self._options.record}: {exc.strerror or exc}; nothing started") from exc

    def note_end(self, exit_code: int, by: tasks.Layer | None, detail: str) -> int:
        """Writes the last record, says why, and returns the exit code."""
        self._record = replace(
            self._record,
            stopped_at=datetime.now(UTC),
            exit_code=exit_code,
            stopped_by=by,
            detail=detail,
            overshoot_seconds=0.0 if self._child is None else round(max(0.0, time.monotonic() - self._ends_at), 6),
        )
        try:
            self._write_record()
            if self._remote is not None:
                self._remote.finish(task_records.encode_guard(self._record))
        except (OSError, errors.Unavailable) as exc:
            _say(f"the record could not be written: {getattr(exc, 'strerror', None) or exc}")
        if detail:
            _say(f"{detail}; exit {exit_code}")
        return exit_code

    def _write_record(self) -> None:
        if isinstance(self._options.record, Path):
            files.replace(self._options.record, task_records.encode_guard(self._record))


def _remote(options: arguments.Options) -> "remote.Remote | None":
    """The far side, where anything lies there."""
    if not (arguments.on_s3(options.lease_uri) or arguments.on_s3(options.record) or options.claim):
        return None
    from burst.task import remote

    return remote.Remote(
        lease_uri=options.lease_uri if arguments.on_s3(options.lease_uri) else None,
        records_uri=str(options.record) if arguments.on_s3(options.record) else None,
        claim=None if options.claim is None else remote.Claim(hint=options.claim[0], count=options.claim[1]),
    )


def _read(lease: "ports.LeaseStore | remote.Remote") -> lease_watch.Reading:
    try:
        return lease_watch.Reading(lease=lease.read())
    except errors.Unavailable as exc:
        return lease_watch.Reading(problem=str(exc))


@contextlib.contextmanager
def _scratch(options: arguments.Options) -> Iterator[Path | None]:
    """A private folder for the go and ready files of a program that waits for GO itself; beside the record where that
    is a file, so that what a killed guard leaves lies with its run."""
    if not options.child_waits:
        yield None
        return
    import tempfile  # late: a quarter of the guard's start-up, and only needed here

    beside = options.record.parent if isinstance(options.record, Path) else None
    try:
        folder = Path(tempfile.mkdtemp(prefix="burst-guard-", dir=beside))
    except OSError as exc:
        raise errors.UsageError(f"{exc.filename}: {exc.strerror}; nothing started") from exc
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[float], list[int]]]:
    """Signals become bytes in a pipe; yields a wait of so many seconds that answers with those that arrived."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    heard = (*ASKED_TO_END, *PASSED_ON, signal.SIGCHLD, *_NOT_FOR_US)
    before = {number: signal.signal(number, lambda *_: None) for number in heard}
    before_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    before_mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)

    def arrived(seconds: float) -> list[int]:
        if not select.select([reader], [], [], min(max(0.0, seconds), LONGEST_WAIT_SECONDS))[0]:
            return []
        return list(os.read(reader, 4096))

    try:
        yield arrived
    finally:
        signal.set_wakeup_fd(before_writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, before_mask)
        for number, handler in before.items():
            # All that is left to do is to say how it went: who asks once more must not end that with another code.
            signal.signal(number, signal.SIG_IGN if number in ASKED_TO_END else handler)
        os.close(reader)
        os.close(writer)


def _become_subreaper() -> None:
    """Orphans of the tree become our children instead of init's. Linux only; elsewhere the process group has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _die_with(guard_pid: int) -> Callable[[], None] | None:
    """What the child does before it becomes the program: ask the kernel for KILL when its guard dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard_pid:  # it died before we asked
            os._exit(EXIT_KILLED)

    return prepare


def _say(text: str) -> None:
    """A line on stderr, unless that would block: a full pipe must not hold up a hard stop."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, f"burst guard: {text}\n".encode(errors="replace")[:512])


def main(words: Sequence[str]) -> int:
    """The command line of `python -m burst.task.guard`."""
    try:
        return run(arguments.read(words))
    except errors.UsageError as exc:
        _say(str(exc))
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
