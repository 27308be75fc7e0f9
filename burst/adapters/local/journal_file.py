"""The journal on a file: one JSON object a line, fsynced before the next act, never rewritten.

A crash can cut the last line in half. The half stays, because the file is append-only: a controller that continues the
run begins a new line, and readers pass over the half (see `domain.run.journals`).
"""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from burst.domain.run import journals
from burst.domain.run.events import base
from burst.kit import files


class FileJournal:
    """A journal at `path`. `create` refuses a path where a file is, `open` one where none is."""

    def __init__(self, path: Path, now: Callable[[], datetime], descriptor: int, sequence: int) -> None:
        self._path = path
        self._now = now
        self._descriptor = descriptor
        self._sequence = sequence

    @classmethod
    def create(cls, path: Path, now: Callable[[], datetime]) -> "FileJournal":
        """A new journal. Raises `errors.Conflict` where there is a file already."""
        return cls(path, now, files.create_to_append(path), 0)

    @classmethod
    def open(cls, path: Path, now: Callable[[], datetime]) -> "FileJournal":
        """A journal to continue. Raises as `read`, and `errors.EvidenceUnknown` for every journal of a newer burst."""
        content = _read_content(path)
        entries = journals.parse_to_continue(content, str(path))
        descriptor = files.open_to_append(path, content)
        return cls(path, now, descriptor, entries[-1].sequence if entries else 0)

    def append(self, event: base.Event) -> journals.Entry:
        """Writes one event durably and returns its line."""
        return self._write([event])[0]

    def append_all(self, events: Sequence[base.Event]) -> Sequence[journals.Entry]:
        """Writes several facts durably, with one wait for the disk, and returns their lines."""
        return self._write(events)

    def _write(self, events: Sequence[base.Event]) -> list[journals.Entry]:
        entries = [
            journals.Entry(sequence=sequence, at=self._now(), event=event)
            for sequence, event in enumerate(events, start=self._sequence + 1)
        ]
        content = b"".join(journals.line(entry) for entry in entries)
        written = os.write(self._descriptor, content)
        if written != len(content):
            raise OSError(f"{self._path}: wrote {written} of {len(content)} bytes")
        os.fsync(self._descriptor)
        self._sequence += len(entries)
        return entries

    def entries(self) -> Sequence[journals.Entry]:
        """Every whole line so far."""
        return read(self._path)

    def prefix(self) -> bytes:
        """The bytes written so far."""
        return self._path.read_bytes()

    def close(self) -> None:
        """Gives the file back; no more can be appended."""
        os.close(self._descriptor)


def read(path: Path) -> tuple[journals.Entry, ...]:
    """The lines of a journal, without opening it for writing.

    Raises `errors.EvidenceIncomplete` where there is none, and as `journals.parse` for one that cannot be understood.
    """
    return journals.parse(_read_content(path), str(path))


def read_as_far_as_known(path: Path) -> journals.JournalReading:
    """The run of a journal, also where a newer burst wrote it. Raises as `journals.read_as_far_as_known`."""
    return journals.read_as_far_as_known(_read_content(path), str(path))


def _read_content(path: Path) -> bytes:
    return files.read_evidence(path, absence="the run never started, nothing was launched")
