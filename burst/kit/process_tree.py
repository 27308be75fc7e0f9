"""Process trees: finds the processes of a task, and signals them and no others.

A process is always a pid with its start time (psutil refuses to signal a reused pid). It belongs to a task by descent,
or by the mark that every task carries in its environment and that double forks and new sessions inherit.
In the kit because the launcher, the guard and the watchdog all search in the same way. Where the system is short of
descriptors or memory, every function here raises `errors.Unavailable`: a process that could not be looked at may live.
"""

import contextlib
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from burst.kit import shortage

TASK_MARK = "BURST_TASK"
GUARD_MARK = "BURST_GUARD"
"""In the environment of a guarded program: `pid:start` of its guard, so that a process that outlives the guard still
names its task."""
EXEC_SECONDS = 1.0
"""How long an exec may take; a process without an environment after that has none."""
_ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
_seeing = shortage.told_as_unavailable("the processes of this machine")
_START_CODE = 23  # startcode of proc_pid_stat(5), counted from the field after the program's name


def format_mark(execution_id: str, shard_index: int) -> str:
    """The value of `BURST_TASK` in the environment of every process of one task."""
    return f"{execution_id}:{shard_index}"


def parse_mark(value: str) -> tuple[str, int] | None:
    """The run and shard a mark names, None for any other text."""
    execution_id, _, shard = value.rpartition(":")
    return (execution_id, int(shard)) if execution_id and shard.isascii() and shard.isdigit() else None


@_seeing
def find_process(pid: int, started: float) -> psutil.Process | None:
    """The living process of this pid and psutil start time, None when it is gone or the pid is another's now."""
    with contextlib.suppress(psutil.Error):
        candidate = psutil.Process(pid)
        # The kernel counts start times in hundredths; the text form of an id rounds to a microsecond.
        if abs(candidate.create_time() - started) < 0.005 and is_living(candidate):
            return candidate
    return None


@_seeing
def is_living(candidate: psutil.Process) -> bool:
    """Whether the process still runs, or may; a zombie does not."""
    try:
        return candidate.is_running() and candidate.status() not in _ENDED
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


@_seeing
def list_processes() -> list[psutil.Process]:
    """Every living process that this user can see, but for this one."""
    processes = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):
            candidate = psutil.Process(pid)
            if pid != os.getpid() and candidate.status() not in _ENDED:
                processes.append(candidate)
    return processes


@_seeing
def read_environment(candidate: psutil.Process) -> dict[str, str]:
    """The environment the process was started with; empty where this user may not read it.

    For some milliseconds of an exec Linux shows no environment, so a task just launched would be overlooked: an empty
    environment counts only when it was read after the exec.
    """
    give_up_at = time.monotonic() + EXEC_SECONDS
    try:
        variables = candidate.environ()
        in_exec = not variables
        while in_exec and not variables and time.monotonic() < give_up_at:
            in_exec = _is_in_exec(candidate)
            variables = candidate.environ()
    except psutil.Error:
        return {}
    except OSError as exc:
        if shortage.is_shortage(exc):
            raise
        return {}
    return variables


def _is_in_exec(candidate: psutil.Process) -> bool:
    """Whether the process is in an exec: it has an executable, but no code yet. Kernel threads have neither."""
    if sys.platform != "linux":
        return False
    fields = Path(f"/proc/{candidate.pid}/stat").read_text().rpartition(")")[2].split()
    return fields[_START_CODE] == "0" and bool(candidate.exe())


@_seeing
def with_descendants(roots: Iterable[psutil.Process], among: Sequence[psutil.Process]) -> list[psutil.Process]:
    """The roots and all their descendants, each once."""
    return _collect_descendants(roots, _group_by_parent(among))


def _group_by_parent(among: Sequence[psutil.Process]) -> Mapping[int, Sequence[psutil.Process]]:
    """The children of each process by its pid. It reads every process once, so several searches share it."""
    children = defaultdict(list)
    for candidate in among:
        with contextlib.suppress(psutil.Error):
            children[candidate.ppid()].append(candidate)
    return children


def _collect_descendants(
    roots: Iterable[psutil.Process], children: Mapping[int, Sequence[psutil.Process]]
) -> list[psutil.Process]:
    tree: dict[int, psutil.Process] = {}
    pending = list(roots)
    while pending:
        candidate = pending.pop()
        if candidate.pid not in tree:
            tree[candidate.pid] = candidate
            pending += children.get(candidate.pid, ())
    return list(tree.values())


@_seeing
def list_descendants() -> list[psutil.Process]:
    """Every living descendant of this process."""
    with contextlib.suppress(psutil.Error):
        return [child for child in psutil.Process().children(recursive=True) if is_living(child)]
    return []


@_seeing
def terminate(targets: Iterable[psutil.Process]) -> None:
    """Asks each to end: TERM, then CONT so that a stopped one can act on it."""
    for target in targets:
        send_signal(target, signal.SIGTERM)
        send_signal(target, signal.SIGCONT)


@_seeing
def kill(targets: Sequence[psutil.Process]) -> None:
    """Ends each process at once, and its process group first: a program that forks faster than it can be listed cannot
    slip out of a group. Groups of our own session are left alone."""
    for target in targets:
        if target.is_running():
            kill_group(target.pid)
    for target in targets:
        send_signal(target, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Ends the process group of this pid, unless it belongs to our own session. The pid must be alive, or our own child
    that was not waited for yet: only then does its group surely belong to the task."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getsid(pid) != os.getsid(0):
            os.killpg(os.getpgid(pid), signal.SIGKILL)


@_seeing
def send_signal(target: psutil.Process, number: signal.Signals) -> None:
    """Sends a signal. A process that is gone, or that this user may not signal, is no error; the next search tells."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        target.send_signal(number)


@_seeing
def group_by_task(among: Sequence[psutil.Process]) -> dict[tuple[str, int], list[psutil.Process]]:
    """The processes of every burst task by run and shard: those that carry its mark, and their descendants."""
    carriers = defaultdict(list)
    for candidate in among:
        task = parse_mark(read_environment(candidate).get(TASK_MARK, ""))
        if task is not None:
            carriers[task].append(candidate)
    children = _group_by_parent(among) if carriers else {}
    return {task: _collect_descendants(roots, children) for task, roots in carriers.items()}
