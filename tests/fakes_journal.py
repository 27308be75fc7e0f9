"""A journal in memory that can crash its writer; the contract suite keeps it honest."""

from collections.abc import Callable, Sequence
from datetime import datetime

from burst.domain.run import journals
from burst.domain.run.events import base


class Crashed(Exception):
    """The controller died here. No error of burst's own, so that nothing in burst takes care of it."""


class MemoryJournal:
    """`ports.Journal` in memory. `crash_before` and `crash_after` name the sequence number its writer dies at."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.recorded: list[journals.Entry] = []
        self.crash_before: int | None = None
        self.crash_after: int | None = None
        self._now = now
        self._lines: list[bytes] = []

    @classmethod
    def of(cls, prefix: bytes, now: Callable[[], datetime]) -> "MemoryJournal":
        """The journal whose first bytes these are, to be continued."""
        journal = cls(now)
        journal.recorded = list(journals.parse_to_continue(prefix, "the journal"))
        journal._lines = prefix.splitlines(keepends=True)
        return journal

    def append(self, event: base.Event) -> journals.Entry:
        sequence = len(self.recorded) + 1
        entry = journals.Entry(sequence=sequence, at=self._now(), event=event)
        content = journals.line(entry)
        if self.crash_before == sequence:
            raise Crashed(f"before {event.wire_name}")
        self._lines.append(content)
        self.recorded.append(entry)
        if self.crash_after == sequence:
            raise Crashed(f"after {event.wire_name}")
        return entry

    def append_all(self, events: Sequence[base.Event]) -> Sequence[journals.Entry]:
        return [self.append(event) for event in events]

    def entries(self) -> Sequence[journals.Entry]:
        return tuple(self.recorded)

    def prefix(self) -> bytes:
        return b"".join(self._lines)

    def revive(self) -> None:
        """No more crashes."""
        self.crash_before = self.crash_after = None

    @property
    def kinds(self) -> list[type[base.Event]]:
        """The class of each event, in order."""
        return [type(entry.event) for entry in self.recorded]
