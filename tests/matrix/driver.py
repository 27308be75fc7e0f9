"""`burst` in a forked process that strikes itself with a fault at the line of its journal where a phase begins.

A fault ordered from outside meets whatever the run happens to do by then. Here the line is durable, the fault is in
force, and only then does the run go on: each cell of the matrix is struck in the phase it names, on any machine.
"""

import functools
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import context
from pathlib import Path
from typing import ClassVar

from burst.adapters.aws import scheduler
from burst.adapters.local import journal_file
from burst.cli import main
from burst.domain.run import journals
from burst.domain.run.events import base
from burst.domain.tasks import ecs_truths, worst_ends
from burst.rehearsal import armed_faults, aws_simulation
from tests.faults import controller_driver

controller_driver.FORKS.set_forkserver_preload([*controller_driver.PRELOADED, __name__, "tests.matrix.forked_ready"])

KILL = "controller-kill"
APPEARS_SECONDS = 5.0
"""How long a task may be missing after RunTask: five minutes on AWS, and a part of a second in a simulation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A fault put in force when the next event of a name is durable. `address` is the simulated AWS's."""

    event: str
    label: str
    address: str
    options: armed_faults.FaultOptions


class StruckJournal(journal_file.FileJournal):
    """The journal on a file, and the fault that begins with one of its lines."""

    strikes: ClassVar[list[Strike]] = []

    def append(self, event: base.Event) -> journals.Entry:
        """Writes one event; strikes where it is due, in the order of the strikes."""
        entry = super().append(event)
        for strike in [one for one in self.strikes if one.event == event.wire_name]:
            self.strikes.remove(strike)
            aws_simulation.FaultClient(strike.address).arm(strike.label, options=strike.options)
            while strike.label == KILL:
                signal.pause()
        return entry

    def append_all(self, events: Sequence[base.Event]) -> Sequence[journals.Entry]:
        """Writes several events one by one."""
        return [self.append(event) for event in events]


def begin(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    said: Path,
    strikes: Sequence[Strike] = (),
    soonest_seconds: float = worst_ends.SCHEDULE_SOONEST_SECONDS,
) -> context.ForkServerProcess:
    """Starts `burst` with these words; what it says goes to `{said}.out` and `{said}.err`.

    `soonest_seconds` is when a schedule armed now may fire: a minute on AWS, and at once in a simulation.
    """
    given = (list(arguments), dict(environment), said, list(strikes), soonest_seconds)
    return controller_driver.start(controller_driver.FORKS.Process(target=_burst, args=given))


def _burst(
    arguments: list[str], environment: dict[str, str], said: Path, strikes: list[Strike], soonest_seconds: float
) -> None:
    controller_driver.become(environment, said)
    StruckJournal.strikes[:] = strikes
    journal_file.FileJournal = StruckJournal  # type: ignore[misc]
    ecs_truths.APPEARS_SECONDS = APPEARS_SECONDS
    scheduler.Scheduler = functools.partial(  # type: ignore[assignment, misc]
        scheduler.Scheduler, soonest_seconds=soonest_seconds
    )
    sys.exit(main.main(arguments))
