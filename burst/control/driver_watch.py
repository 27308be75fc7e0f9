"""The driver watch: what the driver of the database did for one run, over all controllers that drove it.

The figures of a controller end with it, so the journal keeps them: what a controller that died did in its last moments
is lost, up to `NEWS_SECONDS` of database time or `NOTE_SECONDS` of its life.
"""

from datetime import datetime

from burst import ports
from burst.control import recorder
from burst.domain.basics import instants
from burst.domain.documents import driver_entries
from burst.domain.receipts import driver_figures
from burst.domain.run.events import watch_events

NEWS_SECONDS = 1.0
"""Figures are journalled where the database worked this much longer than the last ones say."""
NOTE_SECONDS = 60.0
"""They are journalled after so long where they differ at all."""
NOT_COUNTED = (
    "a counting task answered whose image does not count what its driver does; give its task definition the "
    "controller's image"
)


PAGES_NOT_TOLD = driver_figures.PageCount(read=None, why=NOT_COUNTED)


class DriverWatch:
    """The figures of one run. Threads may read them; only the loop notes them."""

    def __init__(self, source: ports.ReceiptSource | None, record: recorder.Recorder, clock: ports.Clock) -> None:
        self._source = source
        self._record = record
        self._clock = clock
        self._earlier = record.run.driver
        """What earlier controllers journalled."""
        self._noted_at: datetime = clock.now()

    def read(self) -> driver_figures.DriverFigures | None:
        """The figures of the whole run so far; None where nobody can tell."""
        own = driver_figures.NOTHING_YET if self._source is None else self._source.read_figures()
        return None if own is None else self._earlier + own

    def describe(self, pages: driver_figures.PageCount | None = None) -> driver_entries.DriverEntry:
        """The section of a document, with the pages of its count where it holds one."""
        figures = self.read()
        return driver_entries.DriverEntry(
            figures=None if figures is None else driver_entries.FiguresEntry.from_figures(figures),
            no_data=NOT_COUNTED if figures is None else "",
            pages=None if pages is None else driver_entries.PagesEntry.from_pages(pages),
        )

    def look(self) -> None:
        """Journals the figures where they have news."""
        figures, noted, now = self.read(), self._record.run.driver, self._clock.now()
        if figures is None or figures == noted:
            return
        worked_seconds = figures.database_seconds - noted.database_seconds
        if worked_seconds >= NEWS_SECONDS or instants.seconds_between(self._noted_at, now) >= NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Journals the figures as they are."""
        figures, self._noted_at = self.read(), self._clock.now()
        if figures is not None and figures != self._record.run.driver:
            self._record.note(watch_events.DriverCounted(figures=figures))
