"""The programs that a guard runs, with every process they started: the guard ends all of them or none is left.

A task may run several, side by side: the first one that ends stands for the task.

As child subreaper the guard keeps processes that double-fork or open a new session as its own descendants. The kernel
kills the program if the guard itself is killed (Linux only; elsewhere the process group has to do).
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import psutil

from burst.domain.basics import errors
from burst.kit import own_programs, process_tree, shortage

EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_KILLED = own_programs.EXIT_KILLED

_PR_SET_CHILD_SUBREAPER = 36


def find_start_problem(program: str) -> tuple[int, str] | None:
    """The exit code and the reason for a program that cannot be started; None where it can."""
    if shutil.which(program) is not None:
        return None
    if shutil.which(program, mode=os.F_OK) is None:
        return EXIT_NOT_FOUND, f"command not found: {program}"
    return EXIT_NOT_EXECUTABLE, f"command not executable: {program}"


def become_subreaper() -> None:
    """Orphans of the tree become our children instead of init's. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class GuardedProgram:
    """One program, started once or several times side by side, and all processes below it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._children: list[subprocess.Popen[bytes]] = []
        self._names: dict[int, str] = {}
        self._terminated: set[psutil.Process] = set()
        self.exit_code: int | None = None
        """The code of the first process that ended, 128+n where signal n ended it; None before one ended."""
        self.end_words = ""
        """Which process ended first, and how, where it has a name."""
        self.is_childless = True
        """Whether no process is left, as the kernel said at the last `reap`."""
        self.was_killed = False
        """Whether any process needed KILL."""
        self.blindness = ""
        """Why its processes could not be seen while they were ended; empty where they could."""

    @property
    def was_started(self) -> bool:
        """Whether the program ever ran."""
        return bool(self._children)

    def start(self, environment: Mapping[str, str], name: str = "") -> str | None:
        """Starts the program in a session of its own; returns why it did not start, None where it did. `name` tells
        one process of several."""
        try:
            child = subprocess.Popen(
                self._command,
                env=environment,
                start_new_session=True,
                preexec_fn=own_programs.make_die_with_this_process(),
            )
        except OSError as exc:
            self.exit_code = EXIT_NOT_FOUND if isinstance(exc, FileNotFoundError) else EXIT_NOT_EXECUTABLE
            return f"{self._command[0]} did not start: {exc.strerror}"
        self._children.append(child)
        self._names[child.pid] = name
        self.is_childless = False
        return None

    def pass_on(self, number: signal.Signals) -> None:
        """Sends a signal to the program alone, while it runs."""
        for child in self._children:
            if child.returncode is None:  # a child that was not waited for yet keeps its pid
                os.kill(child.pid, number)

    def end(self, *, kill: bool) -> bool:
        """One round of ending: TERM to every process once, KILL with `kill`. True when no process is left.

        Processes that cannot be seen get KILL at once: nobody could tell whether they obeyed a TERM.
        """
        if self.is_childless:
            return True
        try:
            processes = process_tree.list_descendants()
            process_tree.terminate([process for process in processes if process not in self._terminated])
            self._terminated.update(processes)
            if kill:
                self.was_killed = True
                process_tree.kill(processes)
        except errors.Unavailable as exc:
            self.blindness = str(exc)
            self.kill_unseen()
        return False

    def kill_unseen(self) -> None:
        """KILL to the group of the program, for which nothing has to be opened; then to every process that can be seen
        with the one descriptor that stdin had."""
        self.was_killed = True
        for child in self._children:
            if child.returncode is None:  # not waited for: its pid is still its own
                process_tree.kill_group(child.pid)
        shortage.give_up_stdin()
        with contextlib.suppress(errors.Unavailable):
            process_tree.kill(process_tree.list_descendants())

    def reap(self, *, kill: bool) -> None:
        """Waits for every child that ended, own or adopted.

        Only the kernel knows that no process is left: a process that forks and ends without pause escapes every list.
        With `kill` the process group of each ended child gets KILL while its pid is still its own, which ends such
        chains too.
        """
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                self.is_childless = True
                return
            self.is_childless = False
            if ended is None:
                return
            if kill:
                process_tree.kill_group(ended.si_pid)
            _, status = os.waitpid(ended.si_pid, 0)
            child = next((child for child in self._children if child.pid == ended.si_pid), None)
            if child is not None:
                child.returncode = os.waitstatus_to_exitcode(status)
                self._note_end(self._names[child.pid], child.returncode)

    def _note_end(self, name: str, code: int) -> None:
        if self.exit_code is None:
            self.exit_code = code if code >= 0 else 128 - code
            how = f"exit {code}" if code >= 0 else f"killed by signal {-code}"
            self.end_words = f"{name} ended ({how})" if name else ""
