"""A journal in memory that can crash its writer; the contract suite keeps it honest."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from burst.domain import instants
from burst.domain import journal as journals


class Crashed(Exception):
    """The controller died here. No error of burst's own, so that nothing in burst takes care of it."""


class MemoryJournal:
    """`ports.Journal` in memory. `crash_before` and `crash_after` name the sequence number its writer dies at."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.recorded: list[journals.Event] = []
        self.crash_before: int | None = None
        self.crash_after: int | None = None
        self._now = now
        self._lines: list[bytes] = []

    @classmethod
    def of(cls, prefix: bytes, now: Callable[[], datetime]) -> "MemoryJournal":
        """The journal whose first bytes these are, to be continued."""
        journal = cls(now)
        for line in prefix.splitlines(keepends=True):
            sequence, at, name, content = line.decode().split(" ", 3)
            event = journals.Event(sequence=int(sequence), at=instants.parse(at), name=name, fields=json.loads(content))
            journal.recorded.append(event)
            journal._lines.append(line)
        return journal

    def append(self, name: str, /, **fields: Any) -> journals.Event:
        sequence, at = len(self.recorded) + 1, self._now()
        content = json.dumps(fields, allow_nan=False)
        if self.crash_before == sequence:
            raise Crashed(f"before {name}")
        self._lines.append(f"{sequence} {instants.text(at)} {name} {content}\n".encode())
        self.recorded.append(journals.Event(sequence=sequence, at=at, name=name, fields=json.loads(content)))
        if self.crash_after == sequence:
            raise Crashed(f"after {name}")
        return self.recorded[-1]

    def events(self) -> Sequence[journals.Event]:
        return tuple(self.recorded)

    def prefix(self) -> bytes:
        return b"".join(self._lines)

    def revive(self) -> None:
        """No more crashes."""
        self.crash_before = self.crash_after = None

    @property
    def names(self) -> list[str]:
        """The events' names, in order."""
        return [event.name for event in self.recorded]
