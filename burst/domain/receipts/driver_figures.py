"""Driver figures: what the driver of a database did, as it did it, and never as it was told to.

Figures of several connections, tasks and controllers add up. `NO_DATA` is no figure: where nobody counted there is no
value of this kind, and nothing here stands for zero.
"""

from dataclasses import dataclass, fields
from typing import Any


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
        counts = [getattr(self, field.name) for field in fields(self) if not field.name.endswith("_seconds")]
        if min(counts) < 0:
            raise ValueError(f"figures cannot be negative: {self}")

    def __add__(self, more: "DriverFigures") -> "DriverFigures":
        return self._join(more, sum, largest=("largest_wait_seconds",))

    def take_later(self, other: "DriverFigures") -> "DriverFigures":
        """The later of two states of the same driver, whose figures only grow."""
        return self._join(other, max)

    def _join(self, other: "DriverFigures", join: Any, largest: tuple[str, ...] = ()) -> "DriverFigures":
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)}
        return DriverFigures(**{name: max(pair) if name in largest else join(pair) for name, pair in pairs.items()})


NOTHING_YET = DriverFigures()
"""The figures of a driver that has done nothing: known, and zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCount:
    """The pages that one run of a statement read, from memory or disk; `read` None where nobody counted, and why."""

    read: int | None
    source: str = ""
    """Where the figure is from."""
    why: str = ""
