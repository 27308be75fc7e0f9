"""Programs that behave and misbehave, guards to hold them, and their surviving processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from burst.kit import process_tree
from tests import hearing, waiting

ROOT = Path(__file__).parents[2]

OBEYS = ("sh", "-c", 'touch "$STARTED"; exec sleep 100')
IGNORES_TERM = ("sh", "-c", "trap '' TERM; touch \"$STARTED\"; while :; do sleep 0.1; done")
IGNORES_EVERYTHING = ("sh", "-c", "trap '' TERM INT HUP QUIT; touch \"$STARTED\"; while :; do sleep 0.1; done")
STOPS_ITSELF = ("sh", "-c", 'touch "$STARTED"; kill -STOP $$; sleep 100')
TWENTY_SLEEPERS = ("sh", "-c", 'for n in 1 2 3 4 5 6 7 8 9 10; do sleep 100 & sleep 100 & done; touch "$STARTED"; wait')

_ESCAPES = """
import os, signal, sys, time
main, ignores = sys.argv[1] == "stays", sys.argv[2] == "ignores"
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        if ignores:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(os.environ["STARTED"], "w").close()
        while True:
            time.sleep(100)
    os._exit(0)
os.wait()
while main or not os.path.exists(os.environ["STARTED"]):
    time.sleep(0.01)
sys.exit(4)
"""
# -S -E: nothing of site-packages is needed, and it starts in a third of the time.
DOUBLE_FORKS = (sys.executable, "-S", "-E", "-c", _ESCAPES, "stays", "obeys")
DOUBLE_FORKS_AND_IGNORES_TERM = (sys.executable, "-S", "-E", "-c", _ESCAPES, "stays", "ignores")
LEAVES_ONE_BEHIND = (sys.executable, "-S", "-E", "-c", _ESCAPES, "goes", "obeys")
LEAVES_A_STUBBORN_ONE_BEHIND = (sys.executable, "-S", "-E", "-c", _ESCAPES, "goes", "ignores")
# Each link forks the next and ends, so every listed process is gone before a signal reaches it.
# It touches STARTED while it lives, and ends by itself after 40 s.
_LINKS = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ends_at = time.time() + 40
while time.time() < ends_at:
    if os.fork():
        os._exit(0)
    open(os.environ["STARTED"], "w").close()
"""
CHAIN_FORKS = (sys.executable, "-S", "-E", "-c", _LINKS)
# Prints how often it got TERM. It waits a while for a second TERM, and ends by itself.
_COUNTS = """
import os, signal, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append("asked"))
open(os.environ["STARTED"], "w").close()
while not asked:
    time.sleep(0.01)
time.sleep(0.4)
print(*asked, sep="\\n", file=open(os.environ["STARTED"], "w"))
"""
COUNTS_TERM = (sys.executable, "-S", "-E", "-c", _COUNTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A guard at work, as a process."""

    process: subprocess.Popen[str]
    record_path: Path
    started: Path
    mark: str
    begun_at: float

    def running(self) -> "Guarded":
        waiting.until(self.started.exists, what="the program to run")
        return self

    def survivors(self) -> list[psutil.Process]:
        """The living processes of the task, but for the guard."""
        run, shard = self.mark.rsplit(":", 1)
        processes = process_tree.group_by_task(process_tree.list_processes()).get((run, int(shard)), [])
        return [process for process in processes if process.pid != self.process.pid]

    def exit_code(self, seconds: float = waiting.PROCESS_SECONDS) -> int:
        return self.process.wait(seconds)

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def signal_until_ended(self, number: signal.Signals) -> None:
        """Repeats the signal until the guard ends."""

        def send_and_look() -> bool:
            self.process.send_signal(number)
            return self.has_ended()

        waiting.until(send_and_look, what=f"the guard to end on {number.name}")

    def is_decided(self) -> bool:
        """Whether the program was started, or will not be any more."""
        return self.has_ended() or self.started.exists()

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def lived_seconds(self) -> float:
        return time.monotonic() - self.begun_at

    def record(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.record_path.read_bytes())
        return fields


@contextmanager
def kill_at_end(task: Guarded) -> Iterator[Guarded]:
    """The guard during a test. Processes that a failing test leaves are killed at the end."""
    try:
        yield task
    finally:
        task.process.kill()
        task.process.wait()
        process_tree.kill(task.survivors())
        if task.process.stderr is not None:
            task.process.stderr.close()


def start_guard(
    folder: Path, *options: str, command: Sequence[str] = OBEYS, prefix: Sequence[str] = (), **environment: str
) -> AbstractContextManager[Guarded]:
    """A guard with these options over a command."""
    mark = f"{folder.name}-{os.getpid()}:0"
    started, record = folder / "started", folder / "record.json"
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "burst.task.guard", *options, "--record", str(record), "--", *command],
        env={**os.environ, "STARTED": str(started), process_tree.TASK_MARK: mark, **environment},
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=hearing.hear_all,
    )
    return kill_at_end(
        Guarded(process=process, record_path=record, started=started, mark=mark, begun_at=time.monotonic())
    )


@contextmanager
def start_working_guard(
    folder: Path,
    *options: str,
    budget_seconds: float = 0.6,
    command: Sequence[str] = OBEYS,
    prefix: Sequence[str] = (),
) -> Iterator[Guarded]:
    """A guard whose program started before its budget ended; on a slow machine another guard with twice the budget."""
    for doubled in range(7):
        budget = ("--budget", f"{budget_seconds * 2**doubled}")
        with start_guard(folder, *budget, *options, command=command, prefix=prefix) as task:
            waiting.until(task.is_decided, what="the program to run")
            if task.started.exists():
                yield task
                return
            assert task.exit_code() in {124, 137}, task.stderr()
            assert task.record()["stopped_by"] == "guard"
    raise AssertionError(f"{command[0]} did not come to work within {budget_seconds * 2**6} s")
