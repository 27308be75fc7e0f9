"""The container agent: starts each container of the simulated ECS as a process and ends every process below it.

Each container has a shim between the agent and its program. The shim is forked without a new interpreter, so hundreds
fit on a small machine. It is a child subreaper: a process that the program starts stays below the shim, even after a
double fork or a new session, and ends with the container, as in a container's own process namespace. If the agent dies,
the kernel signals each shim (PR_SET_PDEATHSIG) and the shim ends its container. If the simulation dies, the agent reads
an end of file and ends every container. So no container outlives the simulation.

Orders are lines of JSON on standard input:

- `{"start": id, "argv": [...], "environment": {...}, "folder": ..., "log": file, "init": false}`
- `{"signal": id, "name": NAME}`, where NAME is TERM (to the program only), KILL (to the whole container) or ESCAPE
  (starts a process that no guard in the container sees)

Events are lines of JSON on standard output:

- `{"started": id, "pid": n}`
- `{"ended": id, "exit_code": n}`, with 128+n if signal n ended the program
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

# The signal a shim gets for each order. A shim is in a session of its own, so no terminal signals it.
_SIGNALS = {TERM: signal.SIGTERM, KILL: signal.SIGQUIT, ESCAPE: signal.SIGUSR2}
_SHIM_SIGNALS = {*_SIGNALS.values(), signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_POLL_SECONDS = 0.01
_SEARCH_AFTER_SECONDS = 0.05  # most processes die with their parent; a search through /proc costs more than this wait
_LONGEST_LINE = 4096  # PIPE_BUF: the kernel writes a line up to this length whole, so shims can share the pipe
_ESCAPED_COMMAND = ("sleep", "86400")


class Agent:
    """One agent, with the pid of each container's shim by container id."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._events = os.dup(1)
        os.dup2(2, 1)  # the pipe carries events only

    def serve(self) -> None:
        """Carries out orders until standard input ends, then ends every container."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.set_blocking(reader, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        # Shims inherit the blocked signals, so none can arrive before a shim waits for it.
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
                    self._carry_out(json.loads(line))
        self._end_containers()

    def _carry_out(self, order: dict[str, Any]) -> None:
        if "start" in order:
            self._start_container(order)
            return
        pid = self._pids.get(order["signal"])
        if pid is not None:
            os.kill(pid, _SIGNALS[order["name"]])  # our own child, not yet waited for: the pid cannot be reused

    def _start_container(self, order: dict[str, Any]) -> None:
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
        ids = {pid: container_id for container_id, pid in self._pids.items()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            container_id = ids.get(pid)
            if container_id is not None:  # else the process is an orphan of a killed shim
                del self._pids[container_id]
                _write_event(self._events, ended=container_id, exit_code=_exit_code(status))

    def _end_containers(self) -> None:
        for pid in self._pids.values():
            os.kill(pid, signal.SIGQUIT)
        while self._pids:
            self._reap()
            time.sleep(_KILL_POLL_SECONDS)
        _end_descendants()


class _Shim:
    """The process that stands for one container's process namespace."""

    def __init__(self, agent_pid: int, events: int) -> None:
        self._agent_pid = agent_pid
        self._events = events
        self._program: int | None = None
        self._exit_code: int | None = None
        self._escaped = False

    def run(self, order: dict[str, Any]) -> int:
        """Runs the program until the container ends, and returns the container's exit code."""
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SHIM_SIGNALS)
        os.setsid()
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != self._agent_pid:  # the agent died before PR_SET_PDEATHSIG took effect
            return 137
        self._program = os.fork()
        if self._program == 0:
            _execute_program(order)
        _write_event(self._events, started=order["start"], pid=self._program)
        while True:
            number = signal.sigwait(_SHIM_SIGNALS)
            self._reap()
            if self._exit_code is not None and not self._escaped:
                _end_descendants()
                return self._exit_code
            if number == signal.SIGQUIT:
                self._kill_group()
                _end_descendants()
                return 137
            if number == signal.SIGTERM and self._exit_code is None:
                if order["init"] or _catches(self._program, signal.SIGTERM):
                    os.kill(self._program, signal.SIGTERM)
            elif number == signal.SIGUSR2:
                self._start_escaped_process()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if ended.si_pid == self._program and not self._escaped:
                    self._kill_group()  # before its pid can be reused; most remaining processes are in this group
                _, status = os.waitpid(ended.si_pid, 0)
                if ended.si_pid == self._program:
                    self._exit_code = _exit_code(status)

    def _kill_group(self) -> None:
        if self._program is not None and self._exit_code is None:
            with contextlib.suppress(ProcessLookupError):  # no group yet; _end_descendants finds the process
                os.killpg(self._program, signal.SIGKILL)

    def _start_escaped_process(self) -> None:
        """Starts a process that ignores TERM beside the program, in a session of its own and without environment.

        The container then lasts until it is killed, as if its first process were a shell that waits for that process.
        """
        self._escaped = True
        pid = os.fork()
        if pid == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SHIM_SIGNALS)
            if os.fork():
                os._exit(0)
            os.execvpe(_ESCAPED_COMMAND[0], _ESCAPED_COMMAND, {})  # noqa: S606 - a fixed word, looked up on our PATH


def _execute_program(order: dict[str, Any]) -> None:
    """Replaces the container's first process by the program. If that fails, writes the reason to the log and exits."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SHIM_SIGNALS)
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


def _end_descendants() -> None:
    """Kills every process below this one, until the kernel reports that there are no children."""
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
    """Whether a process has a handler for the signal. The kernel drops a signal to pid 1 of a container without one.

    `sh`, `sleep` and a plain Python have no handler, so as pid 1 they use up the whole stop timeout.
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


def _write_event(events: int, **fields: object) -> None:
    """Writes one line whole. A closed pipe is ignored: then standard input ends too, and that ends the agent."""
    line = json.dumps(fields).encode() + b"\n"
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"an event of {len(line)} bytes is over {_LONGEST_LINE}, so another could be written into it")
    with contextlib.suppress(BrokenPipeError):
        os.write(events, line)


def _prctl(option: int, value: int) -> None:
    """Calls prctl on Linux. Elsewhere it does nothing, and a process that leaves its session outlives its container."""
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC = ctypes.CDLL(None)


if __name__ == "__main__":
    Agent().serve()
