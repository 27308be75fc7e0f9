"""The record of one run: its journal and the run folded from it, kept in step.

Whoever performs an act writes through here, so no part of the shell remembers anything the journal does not say, and
no words from outside get into the journal as they are.
"""

from typing import Any

from burst import ports
from burst.domain.basics import redaction
from burst.domain.run import journals


class Recorder:
    """Appends to the journal and folds at once. `run` is always what the journal says."""

    def __init__(self, journal: ports.Journal, redactor: redaction.Redactor | None = None) -> None:
        self._journal = journal
        self.redactor = redactor or redaction.Redactor()
        self.run = journals.fold(journal.events())

    def note(self, name: str, /, **fields: Any) -> journals.Event:
        """Journals one event durably."""
        event = self._journal.append(name, **self.redactor.fields(fields))
        self.run = journals.apply(self.run, event)
        return event

    def prefix(self) -> bytes:
        """The journal's bytes so far."""
        return self._journal.prefix()
