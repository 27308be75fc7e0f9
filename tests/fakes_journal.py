"""A journal in memory that can crash its writer; the contract suite keeps it honest."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from burst.domain.run import journals


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
        journal.recorded = list(journals.parse(prefix, "the journal"))
        journal._lines = prefix.splitlines(keepends=True)
        return journal

    def append(self, name: str, /, **fields: Any) -> journals.Event:
        sequence = len(self.recorded) + 1
        kept = json.loads(json.dumps(fields, allow_nan=False))
        event = journals.Event(sequence=sequence, at=self._now(), name=name, fields=kept)
        if self.crash_before == sequence:
            raise Crashed(f"before {name}")
        self._lines.append(journals.line(event))
        self.recorded.append(event)
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
