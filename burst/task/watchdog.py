"""The watchdog: ends what is left of a local run after its deadline and grace (layer L1, the sidecar of local runs).

One detached process per run, armed before the first task is launched. It shares nothing with the tasks or the
controller: it survives both, finds the run's processes by the mark in their environment and by descent, and uses
KILL only. It stands a margin behind the guard, so that a guard which works is the one that ends its task.
Only the controller's TERM, sent when every task is known to be gone, ends it early.

Exit: 64 it had to end something, 0 nothing was left (or it was disarmed), 2 wrong usage.
"""

import argparse
import contextlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from burst.domain.basics import instants
from burst.domain.tasks import task_records
from burst.kit import files, process_tree

EXIT_ENDED_SOMETHING = 64
MARGIN_SECONDS = 0.5
ROUND_SECONDS = 0.05
QUIET_ROUNDS = 3


def run(*, execution_id: str, deadline: datetime, grace_seconds: float, record: Path, ready_file: Path) -> int:
    """Arms, says so in `ready_file`, sleeps until after the deadline and grace, ends what is left."""
    due_at = time.monotonic() + instants.seconds_between(datetime.now(UTC), deadline) + grace_seconds + MARGIN_SECONDS
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _disarmed)
    me = psutil.Process()
    files.replace(ready_file, json.dumps({"pid": me.pid, "started": me.create_time()}).encode())
    time.sleep(max(0.0, due_at - time.monotonic()))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what it has begun, it finishes
    return EXIT_ENDED_SOMETHING if _end_all(execution_id, record) else 0


def _disarmed(*_: object) -> None:
    raise SystemExit(0)


def _end_all(execution_id: str, record: Path) -> list[task_records.Kill]:
    """KILL, round after round, until nothing was found for a few rounds running; returns what was ended."""
    kills: dict[psutil.Process, task_records.Kill] = {}
    quiet_rounds = 0
    while quiet_rounds < QUIET_ROUNDS:
        found = _left(execution_id)
        quiet_rounds = 0 if found else quiet_rounds + 1
        process_tree.kill([process for _, process in found])
        for shard_index, process in found:
            kill = task_records.Kill(shard_index=shard_index, pid=process.pid, killed_at=datetime.now(UTC))
            kills.setdefault(process, kill)
        if found:
            with contextlib.suppress(OSError):  # a full disk must not stop the killing
                files.replace(record, task_records.encode_kills(list(kills.values())))
        time.sleep(ROUND_SECONDS)
    return list(kills.values())


def _left(execution_id: str) -> list[tuple[int, psutil.Process]]:
    tasks = process_tree.marked(process_tree.everyone())
    return [
        (shard_index, process)
        for (run_id, shard_index), processes in tasks.items()
        if run_id == execution_id
        for process in processes
    ]


def main(arguments: Sequence[str]) -> int:
    """The command line of `python -m burst.task.watchdog`."""
    parser = argparse.ArgumentParser(prog="burst watchdog", description="End what is left of a run after its deadline.")
    parser.add_argument("--execution-id", required=True)
    parser.add_argument("--deadline", required=True, type=instants.parse)
    parser.add_argument("--grace", required=True, type=float, metavar="SECONDS")
    parser.add_argument("--record", required=True, type=Path)
    parser.add_argument("--ready-file", required=True, type=Path)
    given = parser.parse_args(arguments)
    return run(
        execution_id=given.execution_id,
        deadline=given.deadline,
        grace_seconds=given.grace,
        record=given.record.absolute(),
        ready_file=given.ready_file.absolute(),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
