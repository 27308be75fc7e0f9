"""Process trees: which processes belong to a task, and signalling those and no others.

A process is always a pid with its start time (psutil refuses to signal a reused pid), and belongs to a task by
descent, or by the mark every task carries in its environment, which double forks and new sessions inherit.
Beside the ports because the launcher, the guard and the watchdog all hunt in the same way.
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

TASK_MARK = "BURST_TASK"
GUARD_MARK = "BURST_GUARD"
"""In the environment of what a guard runs: `pid:start` of that guard, so that what outlives it still tells its task."""
EXEC_SECONDS = 1.0
"""How long an exec may take before the process is taken as one without an environment."""
_ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
_START_CODE = 23  # startcode of proc_pid_stat(5), counted from the field after the program's name


def mark(execution_id: str, shard_index: int) -> str:
    """The value of `BURST_TASK` in the environment of every process of one task."""
    return f"{execution_id}:{shard_index}"


def parse_mark(value: str) -> tuple[str, int] | None:
    """The run and shard a mark names, None for what is no mark of ours."""
    execution_id, _, shard = value.rpartition(":")
    return (execution_id, int(shard)) if execution_id and shard.isascii() and shard.isdigit() else None


def process(pid: int, started: float) -> psutil.Process | None:
    """The living process of this pid and psutil start time, None when it is gone or the pid is another's now."""
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(pid)
        # The kernel counts start times in hundredths; the text form of an id rounds to a microsecond.
        if abs(found.create_time() - started) < 0.005 and living(found):
            return found
    return None


def living(candidate: psutil.Process) -> bool:
    """Whether the process still runs or could; a zombie does not."""
    try:
        return candidate.is_running() and candidate.status() not in _ENDED
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def everyone() -> list[psutil.Process]:
    """Every living process that can be seen, itself left out."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):
            candidate = psutil.Process(pid)
            if pid != os.getpid() and candidate.status() not in _ENDED:
                found.append(candidate)
    return found


def environment(candidate: psutil.Process) -> dict[str, str]:
    """What the process was started with; empty when that is not ours to read.

    For some milliseconds of an exec Linux shows no environment, and a task just launched would not be found: an empty
    one counts only when it was read after the exec.
    """
    give_up_at = time.monotonic() + EXEC_SECONDS
    try:
        found = candidate.environ()
        becoming = not found
        while becoming and not found and time.monotonic() < give_up_at:
            becoming = _becoming(candidate)
            found = candidate.environ()
    except (psutil.Error, OSError):
        return {}
    return found


def _becoming(candidate: psutil.Process) -> bool:
    """Whether the process is between two programs: it has one, but no code yet. Kernel threads have neither."""
    if sys.platform != "linux":
        return False
    fields = Path(f"/proc/{candidate.pid}/stat").read_text().rpartition(")")[2].split()
    return fields[_START_CODE] == "0" and bool(candidate.exe())


def with_descendants(roots: Iterable[psutil.Process], among: Sequence[psutil.Process]) -> list[psutil.Process]:
    """The roots and all below them, each once."""
    return _and_below(roots, _children(among))


def _children(among: Sequence[psutil.Process]) -> Mapping[int, Sequence[psutil.Process]]:
    """Who is a child of whom; it asks every process once, so several searches share it."""
    found = defaultdict(list)
    for candidate in among:
        with contextlib.suppress(psutil.Error):
            found[candidate.ppid()].append(candidate)
    return found


def _and_below(
    roots: Iterable[psutil.Process], children: Mapping[int, Sequence[psutil.Process]]
) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    pending = list(roots)
    while pending:
        candidate = pending.pop()
        if candidate.pid not in found:
            found[candidate.pid] = candidate
            pending += children.get(candidate.pid, ())
    return list(found.values())


def below_me() -> list[psutil.Process]:
    """Every living descendant of this process."""
    with contextlib.suppress(psutil.Error):
        return [child for child in psutil.Process().children(recursive=True) if living(child)]
    return []


def terminate(targets: Iterable[psutil.Process]) -> None:
    """Asks each to end: TERM, then CONT so that a stopped one can act on it."""
    for target in targets:
        send(target, signal.SIGTERM)
        send(target, signal.SIGCONT)


def kill(targets: Sequence[psutil.Process]) -> None:
    """Ends each at once, and first their process groups as a whole: a program that forks faster than it can be
    listed cannot slip out of a group. Groups of our own session are left alone."""
    for target in targets:
        if target.is_running():
            kill_group(target.pid)
    for target in targets:
        send(target, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Ends the process group this pid is in, unless it belongs to our own session. The pid has to be known as living,
    or as our own child that nobody has waited for: only then is its group surely the task's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getsid(pid) != os.getsid(0):
            os.killpg(os.getpgid(pid), signal.SIGKILL)


def send(target: psutil.Process, number: signal.Signals) -> None:
    """Sends a signal; one that is gone, or not ours to signal, is no error: who looks again sees what is left."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        target.send_signal(number)


def marked(among: Sequence[psutil.Process]) -> dict[tuple[str, int], list[psutil.Process]]:
    """The processes of every burst task, by run and shard: those that carry its mark and all below them."""
    carriers = defaultdict(list)
    for candidate in among:
        task = parse_mark(environment(candidate).get(TASK_MARK, ""))
        if task is not None:
            carriers[task].append(candidate)
    children = _children(among) if carriers else {}
    return {task: _and_below(roots, children) for task, roots in carriers.items()}
