"""The watchdog: ends processes of a local run that outlive deadline and grace (layer L1, as a sidecar does on ECS).

One detached process per run, armed before the first task is launched. It shares nothing with the tasks or the
controller: it survives both, finds the run's processes by the mark in their environment and by descent, and uses
KILL only. It acts a margin after the guard, so that a working guard ends its own task.
Only the controller's TERM, sent when every task is known to be gone, ends it early.

Exit: 64 it ended a process, 0 no process was left (or it was disarmed), 2 wrong usage.
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

from burst.domain.basics import errors, instants
from burst.domain.tasks import task_records, worst_ends
from burst.kit import files, process_tree, shortage

EXIT_ENDED_A_PROCESS = 64
ROUND_SECONDS = 0.05
QUIET_ROUNDS = 3


def run(*, execution_id: str, deadline: datetime, grace_seconds: float, record: Path, ready_file: Path) -> int:
    """Arms, writes `ready_file`, sleeps until after the deadline and grace, ends the run's remaining processes."""
    margin_seconds = grace_seconds + worst_ends.WATCHDOG_MARGIN_SECONDS
    due_at = time.monotonic() + instants.seconds_between(datetime.now(UTC), deadline) + margin_seconds
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _disarm)
    me = psutil.Process()
    files.replace(ready_file, json.dumps({"pid": me.pid, "started": me.create_time()}).encode())
    time.sleep(max(0.0, due_at - time.monotonic()))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a round of KILL that began is finished
    return EXIT_ENDED_A_PROCESS if _end_all(execution_id, record) else 0


def _disarm(*_: object) -> None:
    raise SystemExit(0)


def _end_all(execution_id: str, record: Path) -> list[task_records.Kill]:
    """KILL, round after round, until several rounds in a row find no process; returns the kills."""
    kills: dict[psutil.Process, task_records.Kill] = {}
    quiet_rounds = 0
    while quiet_rounds < QUIET_ROUNDS:
        try:
            survivors = _list_survivors(execution_id)
            process_tree.kill([process for _, process in survivors])
        except errors.Unavailable:
            shortage.give_up_stdin()
            quiet_rounds = 0  # a process that cannot be seen may live, however long that takes
            time.sleep(ROUND_SECONDS)
            continue
        quiet_rounds = 0 if survivors else quiet_rounds + 1
        for shard_index, process in survivors:
            kill = task_records.Kill(shard_index=shard_index, pid=process.pid, killed_at=datetime.now(UTC))
            kills.setdefault(process, kill)
        if survivors:
            with contextlib.suppress(OSError):  # a full disk must not stop the killing
                files.replace(record, task_records.encode_kills(list(kills.values())))
        time.sleep(ROUND_SECONDS)
    return list(kills.values())


def _list_survivors(execution_id: str) -> list[tuple[int, psutil.Process]]:
    processes_by_task = process_tree.group_by_task(process_tree.list_processes())
    return [
        (shard_index, process)
        for (run_id, shard_index), processes in processes_by_task.items()
        if run_id == execution_id
        for process in processes
    ]


def main(words: Sequence[str]) -> int:
    """The command line of `python -m burst.task.watchdog`."""
    parser = argparse.ArgumentParser(prog="burst watchdog", description="End processes of a run after its deadline.")
    parser.add_argument("--execution-id", required=True)
    parser.add_argument("--deadline", required=True, type=instants.parse)
    parser.add_argument("--grace", required=True, type=float, metavar="SECONDS")
    parser.add_argument("--record", required=True, type=Path)
    parser.add_argument("--ready-file", required=True, type=Path)
    options = parser.parse_args(words)
    return run(
        execution_id=options.execution_id,
        deadline=options.deadline,
        grace_seconds=options.grace,
        record=options.record.absolute(),
        ready_file=options.ready_file.absolute(),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
