"""The container agent: starts each container of the simulated ECS as a process, and leaves nothing of it behind.

Each container has a shim between the agent and its program, forked without a new interpreter, so that hundreds fit on
a small machine. The shim is a child subreaper: whatever the program starts, forks twice, detaches or renames stays
below it, and ends when the container ends, as in a container's own process namespace. If the agent dies, the kernel
tells each shim (PR_SET_PDEATHSIG) and it ends its container; if the simulation dies, the agent reads an end of file
and does the same. So nothing outlives whoever asked for it.

Orders are lines of JSON on standard input, events lines of JSON on standard output:
`{"start": id, "argv": [...], "environment": {...}, "folder": ..., "log": file,
"init": false}`, `{"signal": id, "name": "TERM"}` with
TERM (to the program only), KILL (to the whole container) or ESCAPE (a process that no guard in the container sees);
`{"started": id, "pid": n}`, `{"ended": id, "exit_code": n}` with 128+n where signal n ended it.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any

from burst.kit import process_tree

TERM, KILL, ESCAPE = "TERM", "KILL", "ESCAPE"

# What the agent says to a shim. Only these reach it: it is in a session of its own.
_SIGNALS = {TERM: signal.SIGTERM, KILL: signal.SIGQUIT, ESCAPE: signal.SIGUSR2}
_HEARD = {*_SIGNALS.values(), signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_POLL_SECONDS = 0.01
_SEARCH_AFTER_SECONDS = 0.05  # most of it dies with its parent; looking through all processes costs more than waiting
_LONGEST_LINE = 4096  # PIPE_BUF: a line up to this is written whole, so shims can share the pipe
_ESCAPED = ("sleep", "86400")


class Agent:
    """One agent: its shims by container id."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._events = os.dup(1)
        os.dup2(2, 1)  # nothing but events goes down the pipe

    def serve(self) -> None:
        """Obeys until the orders end, then ends every container."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.set_blocking(reader, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        # Blocked here, so that a shim is born with them blocked and none can come before it listens.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS.values())
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        pending = b""
        while True:
            ready, _, _ = select.select([0, reader], [], [])
            if reader in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(reader, 65536)
                self._reap()
            if 0 in ready:
                received = os.read(0, 65536)
                if not received:
                    break
                *lines, pending = (pending + received).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
        self._end_all()

    def _obey(self, order: dict[str, Any]) -> None:
        if "start" in order:
            self._start(order)
            return
        pid = self._pids.get(order["signal"])
        if pid is not None:
            os.kill(pid, _SIGNALS[order["name"]])  # our own child that nobody has waited for: the pid is still its own

    def _start(self, order: dict[str, Any]) -> None:
        agent_pid = os.getpid()
        pid = os.fork()
        if pid:
            self._pids[order["start"]] = pid
            return
        code = 127
        try:
            code = _Shim(agent_pid, self._events).run(order)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        ids = {pid: name for name, pid in self._pids.items()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = ids.get(pid)
            if name is not None:  # else an orphan of a shim that was killed
                del self._pids[name]
                _tell(self._events, ended=name, exit_code=_exit_code(status))

    def _end_all(self) -> None:
        for pid in self._pids.values():
            os.kill(pid, signal.SIGQUIT)
        while self._pids:
            self._reap()
            time.sleep(_KILL_POLL_SECONDS)
        _end_everything_below()


class _Shim:
    """What stands for one container's process namespace."""

    def __init__(self, agent_pid: int, events: int) -> None:
        self._agent_pid = agent_pid
        self._events = events
        self._program: int | None = None
        self._exit_code: int | None = None
        self._escaped = False

    def run(self, order: dict[str, Any]) -> int:
        """Runs the program until the container is over, and returns the container's exit code."""
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        os.setsid()
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != self._agent_pid:  # it died before we asked
            return 137
        self._program = os.fork()
        if self._program == 0:
            _become(order)
        _tell(self._events, started=order["start"], pid=self._program)
        while True:
            number = signal.sigwait(_HEARD)
            self._reap()
            if self._exit_code is not None and not self._escaped:
                _end_everything_below()
                return self._exit_code
            if number == signal.SIGQUIT:
                self._kill_group()
                _end_everything_below()
                return 137
            if number == signal.SIGTERM and self._exit_code is None:
                if order["init"] or _catches(self._program, signal.SIGTERM):
                    os.kill(self._program, signal.SIGTERM)
            elif number == signal.SIGUSR2:
                self._escape()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if ended.si_pid == self._program and not self._escaped:
                    self._kill_group()  # while its pid is still its own; most of what is left in a container is there
                _, status = os.waitpid(ended.si_pid, 0)
                if ended.si_pid == self._program:
                    self._exit_code = _exit_code(status)

    def _kill_group(self) -> None:
        if self._program is not None and self._exit_code is None:
            with contextlib.suppress(ProcessLookupError):  # it has no group yet; the search finds it
                os.killpg(self._program, signal.SIGKILL)

    def _escape(self) -> None:
        """Beside the program, not below it: a session of its own, no environment, deaf to TERM.

        The container then lasts until it is killed, as one whose first process is a shell waiting for it would.
        """
        self._escaped = True
        pid = os.fork()
        if pid == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            if os.fork():
                os._exit(0)
            os.execvpe(_ESCAPED[0], _ESCAPED, {})  # noqa: S606 - a fixed word, found where the agent's own PATH says


def _become(order: dict[str, Any]) -> None:
    """In the container's first process: becomes the program, or says in its log why not and ends."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(order["folder"])
        os.execvpe(order["argv"][0], order["argv"], order["environment"])  # noqa: S606 - a container's own command
    except OSError as exc:
        os.write(2, f"{order['argv'][0]}: {exc.strerror}\n".encode())
    finally:
        os._exit(127)


def _end_everything_below() -> None:
    """KILL to whatever is left below this process, until the kernel says that nothing is."""
    searches_from = time.monotonic() + _SEARCH_AFTER_SECONDS
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if time.monotonic() >= searches_from:
            process_tree.kill(process_tree.list_descendants())
        time.sleep(_KILL_POLL_SECONDS)


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for the signal: without one the kernel spares the first process of a container.

    `sh`, `sleep` and a plain Python are such; each eats up its whole stop timeout.
    """
    try:
        with open(f"/proc/{pid}/status") as file:
            caught = next(line for line in file if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return True
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _tell(events: int, **fields: object) -> None:
    """One line, written whole; when nobody listens any more the end of the orders says the same."""
    line = json.dumps(fields).encode() + b"\n"
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"an event of {len(line)} bytes could be torn apart by another")
    with contextlib.suppress(BrokenPipeError):
        os.write(events, line)


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere a container that detaches from its session can slip away."""
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC = ctypes.CDLL(None)


if __name__ == "__main__":
    Agent().serve()
