"""The journal of a course on a file: one JSON object a line, fsynced before the next act, never rewritten."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Self

from burst.domain.basics import errors
from burst.domain.course import course_journals
from burst.domain.course.course_journals import E
from burst.kit import files


class CourseJournalFile(Generic[E]):
    """A journal of a form at `path`. `create` refuses a path where a file is, `open` one where none is."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime],
        form: course_journals.Form[E, Any],
        descriptor: int,
        sequence: int,
    ) -> None:
        self._path = path
        self._form = form
        self._now = now
        self._descriptor = descriptor
        self._sequence = sequence

    @classmethod
    def create(cls, path: Path, now: Callable[[], datetime], form: course_journals.Form[E, Any]) -> Self:
        """A new journal. Raises `errors.Conflict` where there is a file already."""
        return cls(path, now, form, files.create_to_append(path), 0)

    @classmethod
    def open(cls, path: Path, now: Callable[[], datetime], form: course_journals.Form[E, Any]) -> Self:
        """A journal to continue. Raises as `read_lines`."""
        content = _read_content(path)
        lines = form.parse_lines(content, str(path))
        return cls(path, now, form, files.open_to_append(path, content), len(lines))

    def append(self, event: E) -> course_journals.Line[E]:
        """Writes one event durably and returns its line."""
        line: course_journals.Line[E] = course_journals.Line(sequence=self._sequence + 1, at=self._now(), event=event)
        content = self._form.format_line(line)
        try:
            written = os.write(self._descriptor, content)
            os.fsync(self._descriptor)
        except OSError as exc:
            raise errors.Unavailable(f"{self._path} cannot be written: {exc.strerror}") from exc
        if written != len(content):
            raise errors.Unavailable(f"{self._path}: {written} of {len(content)} bytes were written; free some space")
        self._sequence += 1
        return line

    def lines(self) -> Sequence[course_journals.Line[E]]:
        """Every whole line so far."""
        return read_lines(self._path, self._form)

    def prefix(self, sequence: int) -> bytes:
        """The bytes up to the end of the line of this number."""
        content, end = _read_content(self._path), 0
        for piece in content.splitlines(keepends=True):
            end += len(piece)
            parsed = self._form.parse_lines(content[:end], str(self._path)) if piece.endswith(b"\n") else ()
            if parsed and parsed[-1].sequence == sequence:
                return content[:end]
        raise errors.EvidenceCorrupt(f"{self._path} has no event {sequence}")

    def close(self) -> None:
        """Gives the file back; no more can be appended."""
        os.close(self._descriptor)


def read_lines(path: Path, form: course_journals.Form[E, Any]) -> tuple[course_journals.Line[E], ...]:
    """The lines of a journal, without opening it for writing.

    Raises `errors.EvidenceIncomplete` where there is none, and as `Form.parse_lines`.
    """
    return form.parse_lines(_read_content(path), str(path))


def _read_content(path: Path) -> bytes:
    try:
        return files.read_evidence(path, absence="nothing was begun in this folder")
    except errors.EvidenceIncomplete as exc:
        raise errors.NothingBegun(str(exc)) from None
