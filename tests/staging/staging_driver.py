"""`burst` in a process forked from one that has everything imported; KILL ends it at a line of a course's journal."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from burst.adapters.local import course_journal_file
from burst.cli import main
from burst.domain.course import course_journals
from tests.faults import controller_driver


class DyingCourseJournal(course_journal_file.CourseJournalFile[Any]):
    """The journal on a file, and the end of its process at `death`."""

    death: ClassVar[controller_driver.Death]

    def append(self, event: Any) -> course_journals.Line[Any]:
        """Writes one event; dies where it is due."""
        before = os.fstat(self._descriptor).st_size
        line = super().append(event)
        if line.sequence != self.death.line:
            return line
        if self.death.torn:
            after = os.fstat(self._descriptor).st_size
            os.ftruncate(self._descriptor, before + (after - before) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody outlives KILL")


def run_until_killed(
    arguments: Sequence[str], death: controller_driver.Death, *, environment: Mapping[str, str], said: Path
) -> int | None:
    """The exit code of `burst` with these words, minus the signal that killed it."""
    process = controller_driver.start(
        controller_driver.FORKS.Process(target=_burst, args=(list(arguments), death, dict(environment), said))
    )
    return controller_driver.ended(process, seconds=60.0)


def _burst(arguments: list[str], death: controller_driver.Death, environment: dict[str, str], said: Path) -> None:
    controller_driver.become(environment, said)
    DyingCourseJournal.death = death
    course_journal_file.CourseJournalFile = DyingCourseJournal  # type: ignore[misc]
    sys.exit(main.main(arguments))
