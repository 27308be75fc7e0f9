"""Driver figures: what the driver of a database did, as it did it, and never as it was told to.

Figures of several connections, tasks and controllers add up. `NO_DATA` is no figure: where nobody counted there is no
value of this kind, and nothing here stands for zero.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFigures:
    """What one driver, or several together, did so far."""

    connections: int = 0
    """Connections that were opened."""
    statements: int = 0
    """Statements that were sent to be executed, without BEGIN, COMMIT and ROLLBACK."""
    prepared: int = 0
    """Statements that the server was told to prepare."""
    reused: int = 0
    """Executions of a statement that had been prepared for an earlier one."""
    rows: int = 0
    """Rows that were received."""
    bytes_received: int = 0
    """The bytes of the values in those rows; the protocol's own bytes are not among them."""
    round_trips: int = 0
    """Messages that an answer was waited for, once a connection was there."""
    database_seconds: float = 0.0
    """The time in which an answer was waited for, no statement for longer than the server lets it run."""
    retries: int = 0
    """Attempts after the first of a question."""
    largest_wait_seconds: float = 0.0
    """The longest wait for one answer."""

    def __post_init__(self) -> None:
        if min(self._counts) < 0:
            raise ValueError(f"figures cannot be negative: {self}")

    @property
    def _counts(self) -> tuple[int, ...]:
        """Every figure that is a count, in the order of the fields."""
        sent = self.connections, self.statements, self.prepared, self.reused
        return *sent, self.rows, self.bytes_received, self.round_trips, self.retries

    def __add__(self, more: "DriverFigures") -> "DriverFigures":
        # Written out: it is done ten times a poll, and looking the fields up takes a tenth of the poll.
        return DriverFigures(
            connections=self.connections + more.connections,
            statements=self.statements + more.statements,
            prepared=self.prepared + more.prepared,
            reused=self.reused + more.reused,
            rows=self.rows + more.rows,
            bytes_received=self.bytes_received + more.bytes_received,
            round_trips=self.round_trips + more.round_trips,
            database_seconds=self.database_seconds + more.database_seconds,
            retries=self.retries + more.retries,
            largest_wait_seconds=max(self.largest_wait_seconds, more.largest_wait_seconds),
        )

    def take_later(self, later_figures: "DriverFigures") -> "DriverFigures":
        """The later of two states of the same driver, whose figures only grow."""
        names = [field.name for field in fields(self)]
        return DriverFigures(**{name: max(getattr(self, name), getattr(later_figures, name)) for name in names})


NOTHING_YET = DriverFigures()
"""The figures of a driver that has done nothing: known, and zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCount:
    """The pages that one run of a statement read, from memory or disk; `read` None where nobody counted, and why."""

    read: int | None
    source: str = ""
    """Where the figure is from."""
    why: str = ""
