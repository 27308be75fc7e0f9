"""`burst` in a process forked from one that has everything imported, and with a death that can be chosen.

The process does what `python -m burst` does, but for the second of start-up, which a hundred commands cannot afford.
With a `Death` its journal kills it, by SIGKILL, at the line that was asked for.
"""

import importlib
import multiprocessing
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, context
from pathlib import Path
from typing import Any

from burst import adapters, cli, control, evidence, report, wiring
from burst.adapters import journal_file
from burst.cli import main
from burst.domain import journal as journals

for _room in (adapters, cli, control, evidence, report, wiring):  # what commands import when they are asked for
    for _module in pkgutil.iter_modules(_room.__path__, f"{_room.__name__}."):
        importlib.import_module(_module.name)

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])
_ONE_AT_A_TIME = threading.Lock()
"""Starting a process asks after the others, and two threads that ask after one at once get a wrong answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """When the controller dies: as soon as line `line` is durable, or with `torn` when only half of it is."""

    line: int
    torn: bool


class DyingJournal(journal_file.FileJournal):
    """The journal on a file, and the end of its process at `death`."""

    death: Death

    def append(self, name: str, /, **fields: Any) -> journals.Event:
        """Writes one event; dies where it is due."""
        before = os.fstat(self._descriptor).st_size
        event = super().append(name, **fields)
        if event.sequence != self.death.line:
            return event
        if self.death.torn:
            after = os.fstat(self._descriptor).st_size
            os.ftruncate(self._descriptor, before + (after - before) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody outlives KILL")


def begin(
    arguments: Sequence[str], *, environment: Mapping[str, str], said: Path, death: Death | None = None
) -> context.ForkServerProcess:
    """Starts `burst` with these words; what it says goes to `{said}.out` and `{said}.err`."""
    process = FORKS.Process(target=_burst, args=(list(arguments), dict(environment), said, death))
    with _ONE_AT_A_TIME:
        process.start()
    return process


def ended(process: context.ForkServerProcess, *, seconds: float) -> int | None:
    """The exit code of a process, minus the signal that killed it; None where it has not ended by then."""
    connection.wait([process.sentinel], seconds)
    with _ONE_AT_A_TIME:
        return process.exitcode


def _burst(arguments: list[str], environment: dict[str, str], said: Path, death: Death | None) -> None:
    os.setsid()
    for number, ending in ((1, "out"), (2, "err")):
        with said.with_name(f"{said.name}.{ending}").open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    if death is not None:
        DyingJournal.death = death
        journal_file.FileJournal = DyingJournal  # type: ignore[misc]
    sys.exit(main.main(arguments))
