"""The record of one run: its journal and the run folded from it, kept in step.

Whoever performs an act writes through here, so no part of the shell remembers anything the journal does not say.
"""

from typing import Any

from burst import ports
from burst.domain import lifecycle


class Recorder:
    """Appends to the journal and folds at once. `run` is always what the journal says."""

    def __init__(self, journal: ports.Journal) -> None:
        self._journal = journal
        self.run = lifecycle.fold(journal.events())

    def note(self, name: str, /, **fields: Any) -> lifecycle.Event:
        """Journals one event durably."""
        event = self._journal.append(name, **fields)
        self.run = lifecycle.apply(self.run, event)
        return event

    def prefix(self) -> bytes:
        """The journal's bytes so far."""
        return self._journal.prefix()
