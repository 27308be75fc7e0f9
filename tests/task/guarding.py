"""Programs that behave and misbehave, guards to hold them, and ways to see what is left of them."""

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
from tests import waiting

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
# Each link forks the next and ends: there is never a process to signal that has not gone by the time it is found.
# It shows its life by touching STARTED, and ends by itself before it could trouble anyone.
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
# Tells how often it was asked to end. It waits a while for a second time, and ends by itself.
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

    def left(self) -> list[psutil.Process]:
        """What lives of the task, but for the guard."""
        run, shard = self.mark.rsplit(":", 1)
        found = process_tree.group_by_task(process_tree.list_processes()).get((run, int(shard)), [])
        return [process for process in found if process.pid != self.process.pid]

    def exit_code(self, seconds: float = 30.0) -> int:
        return self.process.wait(seconds)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def signal_until_ended(self, number: signal.Signals) -> None:
        """Sends it the signal again and again."""

        def ended() -> bool:
            self.process.send_signal(number)
            return self.ended()

        waiting.until(ended, what=f"the guard to end on {number.name}")

    def tried(self) -> bool:
        """Whether the program was started, or will not be any more."""
        return self.ended() or self.started.exists()

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def lived_seconds(self) -> float:
        return time.monotonic() - self.begun_at

    def record(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.record_path.read_bytes())
        return fields


@contextmanager
def held(made: Guarded) -> Iterator[Guarded]:
    """The guard while a test looks at it. Whatever a failing test leaves is killed at the end."""
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        process_tree.kill(made.left())
        if made.process.stderr is not None:
            made.process.stderr.close()


def guarded(
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
    )
    return held(Guarded(process=process, record_path=record, started=started, mark=mark, begun_at=time.monotonic()))


@contextmanager
def at_work(
    folder: Path,
    *options: str,
    budget_seconds: float = 0.6,
    command: Sequence[str] = OBEYS,
    prefix: Sequence[str] = (),
) -> Iterator[Guarded]:
    """A guard whose program was at work before its budget ended: where the machine was too slow for that, another
    with twice the budget."""
    for doubled in range(7):
        budget = ("--budget", f"{budget_seconds * 2**doubled}")
        with guarded(folder, *budget, *options, command=command, prefix=prefix) as task:
            waiting.until(task.tried, what="the program to run")
            if task.started.exists():
                yield task
                return
            assert task.exit_code() in {124, 137}, task.stderr()
            assert task.record()["stopped_by"] == "guard"
    raise AssertionError(f"{command[0]} did not come to work within {budget_seconds * 2**6} s")
