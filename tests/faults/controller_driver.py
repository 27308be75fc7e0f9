"""`burst` in a process forked from one that has everything imported, and with a death that can be chosen.

The process does what `python -m burst` does, but for the second of start-up, which a hundred commands cannot afford.
With a `Death` its journal kills it, by SIGKILL, at the line that was asked for. With a `Blow` it gets a signal at an
event: one that is sent from outside meets whatever the run has come to by then, which on a busy machine may be its end.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, context, forkserver
from pathlib import Path
from typing import ClassVar

from burst.adapters.local import journal_file
from burst.cli import main
from burst.domain.run import journals
from burst.domain.run.events import base
from tests import hearing

FORKS = multiprocessing.get_context("forkserver")
PRELOADED = [__name__, "tests.faults.forked_ready"]
FORKS.set_forkserver_preload(PRELOADED)
_ONE_AT_A_TIME = threading.Lock()
"""Starting a process asks after the others, and two threads that ask after one at once get a wrong answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """When the controller dies: as soon as line `line` is durable, or with `torn` when only half of it is."""

    line: int
    torn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """A signal the controller gets as soon as the first event of a name is durable, before it does what comes next."""

    event: str
    number: signal.Signals
    forced: bool | None = None
    """Of a stop: whether it is the one by KILL. None: whichever."""
    again_seconds: float | None = None
    """How long after it the same signal comes a second time."""

    def meets(self, event: base.Event) -> bool:
        """Whether it is due at this event."""
        return event.wire_name == self.event and self.forced in (None, getattr(event, "force", None))

    def fall(self) -> None:
        """Sends it to this process."""
        os.kill(os.getpid(), self.number)
        if self.again_seconds is not None:
            again = threading.Timer(self.again_seconds, os.kill, (os.getpid(), self.number))
            again.daemon = True
            again.start()


HOLD_AT_GO = Blow(event="go-given", number=signal.SIGSTOP)
"""The burst goes on, and its controller only with a CONT, however long it takes a test to see to its tasks."""
Fate = Death | tuple[Blow, ...]
"""What befalls a controller."""


class BlownJournal(journal_file.FileJournal):
    """The journal on a file, and the signals that its process gets at its events, each once."""

    blows: ClassVar[list[Blow]] = []

    def append(self, event: base.Event) -> journals.Entry:
        """Writes one event; lets fall what is due."""
        entry = super().append(event)
        for blow in [one for one in self.blows if one.meets(event)]:
            self.blows.remove(blow)
            blow.fall()
        return entry

    def append_all(self, events: Sequence[base.Event]) -> Sequence[journals.Entry]:
        """Writes several events one by one."""
        return [self.append(event) for event in events]


class DyingJournal(journal_file.FileJournal):
    """The journal on a file, and the end of its process at `death`."""

    death: ClassVar[Death]

    def append(self, event: base.Event) -> journals.Entry:
        """Writes one event; dies where it is due."""
        before = os.fstat(self._descriptor).st_size
        entry = super().append(event)
        if entry.sequence != self.death.line:
            return entry
        if self.death.torn:
            after = os.fstat(self._descriptor).st_size
            os.ftruncate(self._descriptor, before + (after - before) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody outlives KILL")

    def append_all(self, events: Sequence[base.Event]) -> Sequence[journals.Entry]:
        """Writes several events one by one."""
        return [self.append(event) for event in events]


def serve() -> None:
    """Starts the process that all others are forked from, if it is not there yet. It ends with this one."""
    forkserver.ensure_running()


def begin(
    arguments: Sequence[str], *, environment: Mapping[str, str], said: Path, fate: Fate = ()
) -> context.ForkServerProcess:
    """Starts `burst` with these words; what it says goes to `{said}.out` and `{said}.err`."""
    return start(FORKS.Process(target=_burst, args=(list(arguments), dict(environment), said, fate)))


def start(process: context.ForkServerProcess) -> context.ForkServerProcess:
    """The process, started."""
    with _ONE_AT_A_TIME:
        process.start()
    return process


def ended(process: context.ForkServerProcess, *, seconds: float) -> int | None:
    """The exit code of a process, minus the signal that killed it; None where it has not ended by then."""
    connection.wait([process.sentinel], seconds)
    with _ONE_AT_A_TIME:
        return process.exitcode


def become(environment: Mapping[str, str], said: Path) -> None:
    """Makes a forked process one that a shell would have started: a session, words and an environment of its own."""
    os.setsid()
    hearing.hear_all()
    for number, ending in ((1, "out"), (2, "err")):
        with said.with_name(f"{said.name}.{ending}").open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)


def _burst(arguments: list[str], environment: dict[str, str], said: Path, fate: Fate) -> None:
    become(environment, said)
    if isinstance(fate, Death):
        DyingJournal.death = fate
        journal_file.FileJournal = DyingJournal  # type: ignore[misc]
    else:
        BlownJournal.blows[:] = fate
        journal_file.FileJournal = BlownJournal  # type: ignore[misc]
    sys.exit(main.main(arguments))
