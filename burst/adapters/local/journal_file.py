"""The journal on a file: one JSON object a line, fsynced before the next act, never rewritten.

A crash can cut the last line in half. The half stays where it is, because the file is append-only; whoever continues
starts a new line, and readers pass over the half (see `domain.journal.parse`).
"""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from burst.domain.basics import errors
from burst.domain.run import journals


class FileJournal:
    """A journal at `path`. `create` refuses one that is there, `open` one that is not."""

    def __init__(self, path: Path, now: Callable[[], datetime], descriptor: int, sequence: int) -> None:
        self._path = path
        self._now = now
        self._descriptor = descriptor
        self._sequence = sequence

    @classmethod
    def create(cls, path: Path, now: Callable[[], datetime]) -> "FileJournal":
        """A new journal. Raises `errors.Conflict` when there is one."""
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            raise errors.Conflict(f"{path} exists; nothing was overwritten") from None
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return cls(path, now, descriptor, 0)

    @classmethod
    def open(cls, path: Path, now: Callable[[], datetime]) -> "FileJournal":
        """A journal to continue. Raises `errors.EvidenceIncomplete` when there is none."""
        events = read(path)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.write(descriptor, b"\n")
        return cls(path, now, descriptor, events[-1].sequence if events else 0)

    def append(self, name: str, /, **fields: Any) -> journals.Event:
        """Writes one event durably and returns it."""
        event = journals.Event(sequence=self._sequence + 1, at=self._now(), name=name, fields=fields)
        content = journals.line(event)
        written = os.write(self._descriptor, content)
        if written != len(content):
            raise OSError(f"{self._path}: wrote {written} of {len(content)} bytes")
        os.fsync(self._descriptor)
        self._sequence = event.sequence
        return event

    def events(self) -> Sequence[journals.Event]:
        """Every whole event so far."""
        return read(self._path)

    def prefix(self) -> bytes:
        """The bytes written so far."""
        return self._path.read_bytes()

    def close(self) -> None:
        """Gives the file back; no more can be appended."""
        os.close(self._descriptor)


def read(path: Path) -> tuple[journals.Event, ...]:
    """The events of a journal, without opening it for writing.

    Raises `errors.EvidenceIncomplete` when there is none, `errors.EvidenceCorrupt` when a line other than one cut by a
    crash cannot be read, `errors.EvidenceUnknown` when it follows a schema this version does not know.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise errors.EvidenceIncomplete(f"{path} is not there: the run never started, nothing was launched") from None
    except OSError as exc:
        raise errors.EvidenceUnknown(f"{path} cannot be read: {exc.strerror}") from exc
    return journals.parse(content, str(path))
