"""The journal of a course in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic

from burst.domain.course import course_journals
from burst.domain.course.course_journals import E


class MemoryCourseJournal(Generic[E]):
    """`ports.CourseJournal` in memory. `after` is called with each line once it is kept."""

    def __init__(self, now: Callable[[], datetime], form: course_journals.Form[E, Any], content: bytes = b"") -> None:
        self._now = now
        self._form = form
        self.content = content
        self.after: Callable[[course_journals.Line[E]], None] = lambda _: None

    def append(self, event: E) -> course_journals.Line[E]:
        line: course_journals.Line[E] = course_journals.Line(
            sequence=len(self.lines()) + 1, at=self._now(), event=event
        )
        self.content += self._form.format_line(line)
        self.after(line)
        return line

    def lines(self) -> Sequence[course_journals.Line[E]]:
        return self._form.parse_lines(self.content, "the journal")

    def prefix(self, sequence: int) -> bytes:
        return b"".join(self._form.format_line(line) for line in self.lines()[:sequence])
