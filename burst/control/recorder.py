"""The record of one run: its journal, and the run folded from it, kept in step.

Every act of the shell is written through here. So no part of the shell remembers anything that the journal does not
say, and no words from outside get into the journal uncleaned.
"""

from collections.abc import Sequence

from burst import ports
from burst.domain.basics import redaction
from burst.domain.run import journals
from burst.domain.run.events import base, codec


class Recorder:
    """Appends to the journal and folds at once. `run` is always what the journal says."""

    def __init__(self, journal: ports.Journal, redactor: redaction.Redactor | None = None) -> None:
        self._journal = journal
        self.redactor = redactor or redaction.Redactor()
        self.run = journals.fold(journal.entries())

    def note(self, event: base.Event) -> journals.Entry:
        """Journals an event durably, its words cleaned."""
        entry = self._journal.append(self._clean(event))
        self.run = journals.fold([entry], self.run)
        return entry

    def note_all(self, events: Sequence[base.Event]) -> None:
        """Journals several facts at once, durably, their words cleaned."""
        if events:
            entries = self._journal.append_all([self._clean(event) for event in events])
            self.run = journals.fold(entries, self.run)

    def _clean(self, event: base.Event) -> base.Event:
        return codec.decode(type(event), self.redactor.fields(codec.encode(event)))

    def prefix(self) -> bytes:
        """The journal's bytes so far."""
        return self._journal.prefix()
