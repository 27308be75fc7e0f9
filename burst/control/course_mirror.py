"""The journal of a course under run control too, line by line, so that any machine can go on with it.

A line counts once it stands in both. In the place under run control each line is a document of its own that is created
only where there is none. So of two processes that go on at once one writes the next line, and the other is told.
"""

import re
from collections.abc import Sequence
from typing import Any, Generic

from burst import ports
from burst.domain.basics import errors
from burst.domain.course import course_journals
from burst.domain.course.course_journals import E

_LINE = re.compile(r"line_(\d{6})\.json")


def make_line_name(sequence: int) -> str:
    """The name of the document that holds one line."""
    return f"line_{sequence:06d}.json"


def read_lines(place: ports.EvidenceStore) -> bytes:
    """The journal as its place holds it, in order; empty where no line is there."""
    numbers = sorted(int(match[1]) for match in map(_LINE.fullmatch, place.names()) if match)
    if numbers != list(range(1, len(numbers) + 1)):
        raise errors.EvidenceCorrupt(f"line {len(numbers)} of the campaign's journal is not where it was written")
    return b"".join(place.read(make_line_name(number)) for number in numbers)


class MirroredJournal(Generic[E]):
    """`ports.CourseJournal` over one on a file, and over a place. What the file has and the place lacks, because a
    process died between the two, is written there first. Raises `errors.ControllerAtWork` where another process wrote
    that line: this one does nothing more."""

    def __init__(
        self, journal: ports.CourseJournal[E], form: course_journals.Form[E, Any], place: ports.EvidenceStore
    ) -> None:
        self._journal = journal
        self._form = form
        self._place = place
        for line in journal.lines():
            self._put(line)

    def append(self, event: E) -> course_journals.Line[E]:
        """Writes one event durably to both and returns its line."""
        line = self._journal.append(event)
        self._put(line)
        return line

    def lines(self) -> Sequence[course_journals.Line[E]]:
        """Every whole line so far."""
        return self._journal.lines()

    def prefix(self, sequence: int) -> bytes:
        """The bytes up to the end of the line of this number."""
        return self._journal.prefix(sequence)

    def _put(self, line: course_journals.Line[E]) -> None:
        try:
            self._place.put_once(make_line_name(line.sequence), self._form.format_line(line))
        except errors.Conflict as exc:
            raise errors.ControllerAtWork(
                f"another process goes on with this campaign: it wrote event {line.sequence}; nothing more is done here"
            ) from exc
