"""Driver entries: what the driver of the database did, as documents and the answers of a counting task hold it."""

from typing import Annotated, Self

import pydantic

from burst.domain.documents import models
from burst.domain.receipts import driver_figures

Milliseconds = Annotated[float, pydantic.Field(ge=0)]


class FiguresEntry(models.Model):
    """The figures of one driver, or of several together, from their first question on."""

    connections: models.Count
    statements: models.Count
    prepared: models.Count
    reused: models.Count
    rows: models.Count
    bytes_received: models.Count
    round_trips: models.Count
    database_ms: Milliseconds
    retries: models.Count
    largest_wait_ms: Milliseconds

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
