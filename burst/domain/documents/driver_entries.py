"""Driver entries: what the driver of the database did, as documents and the answers of a counting task hold it."""

from typing import Annotated, Self

import pydantic

from burst.domain.documents import models
from burst.domain.receipts import driver_figures

Milliseconds = Annotated[float, pydantic.Field(ge=0)]


class FiguresEntry(models.Model):
    """The figures of one driver, or of several together, from their first question on."""

    connections: models.Count
    """Connections to the database that were opened."""
    statements: models.Count
    """Statements that were sent to be executed, without BEGIN, COMMIT and ROLLBACK."""
    prepared: models.Count
    """Statements that the server was told to prepare."""
    reused: models.Count
    """Executions of a statement that had been prepared for an earlier one."""
    rows: models.Count
    """Rows that were received."""
    bytes_received: models.Count
    """The bytes of the values in those rows, without those of the protocol."""
    round_trips: models.Count
    """Messages that an answer was waited for, once the connection was there."""
    database_ms: Milliseconds
    """Milliseconds in which an answer was waited for, of all connections together."""
    retries: models.Count
    """Attempts at a question after its first."""
    largest_wait_ms: Milliseconds
    """The longest wait for one answer, in milliseconds."""

    @classmethod
    def from_figures(cls, figures: driver_figures.DriverFigures) -> Self:
        """The entry for figures; times to the microsecond."""
        return cls(
            connections=figures.connections,
            statements=figures.statements,
            prepared=figures.prepared,
            reused=figures.reused,
            rows=figures.rows,
            bytes_received=figures.bytes_received,
            round_trips=figures.round_trips,
            database_ms=round(figures.database_seconds * 1000, 3),
            retries=figures.retries,
            largest_wait_ms=round(figures.largest_wait_seconds * 1000, 3),
        )

    @property
    def figures(self) -> driver_figures.DriverFigures:
        """The figures of the entry."""
        return driver_figures.DriverFigures(
            connections=self.connections,
            statements=self.statements,
            prepared=self.prepared,
            reused=self.reused,
            rows=self.rows,
            bytes_received=self.bytes_received,
            round_trips=self.round_trips,
            database_seconds=self.database_ms / 1000,
            retries=self.retries,
            largest_wait_seconds=self.largest_wait_ms / 1000,
        )


class PagesEntry(models.Model):
    """The pages that the last count's statement read, from memory or disk; `read` None: nobody counted them."""

    read: models.Count | None
    """Pages that the server read for one count, from memory or disk; None where nobody counted them."""
    source: str = ""
    """How the pages were counted: `pg_stat_statements`, or EXPLAIN as an estimate; empty where nobody did."""
    no_data: models.Words = ""
    """Why `read` is None; empty where it is not."""

    @classmethod
    def from_pages(cls, pages: driver_figures.PageCount) -> Self:
        """The entry for pages."""
        return cls(read=pages.read, source=pages.source, no_data=pages.why)

    @property
    def pages(self) -> driver_figures.PageCount:
        """The pages of the entry."""
        return driver_figures.PageCount(read=self.read, source=self.source, why=self.no_data)


class DriverEntry(models.Model):
    """`driver`: what the driver did from the run's first question to the document, over all controllers and counting
    tasks; `figures` None: nobody counted, which is not zero."""

    figures: FiguresEntry | None
    """What the driver did in all; None where nobody counted, which is not zero."""
    no_data: models.Words = ""
    """Why `figures` is None; empty where it is not."""
    pages: PagesEntry | None = None
    """The pages that the last count read; None where the document holds no count."""
