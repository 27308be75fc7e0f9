"""Duplicates: the DUPLICATE receipts of a window, told apart by when their event was first admitted.

A delivery that is sent again because its answer was lost is a retry, and its first ADMIT lies in the same window. An
event that was admitted before the window was played again. The first says something of the system under load, the
second of the source of the load.
"""

from dataclasses import dataclass

DATABASE_SECONDS = 10.0
"""How long the database may take to tell them apart. It is a figure and no gate, so that no verdict waits longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateClasses:
    """DUPLICATE receipts by the first ADMIT of their event in the same scope."""

    retry: int = 0
    """It lies in the window."""
    replay: int = 0
    """It lies before the window."""
    unknown: int = 0
    """There is none, or it lies after the window."""

    def __post_init__(self) -> None:
        if min(self.retry, self.replay, self.unknown) < 0:
            raise ValueError(f"classes cannot be negative: {self}")

    @property
    def total(self) -> int:
        """All DUPLICATE receipts of the window."""
        return self.retry + self.replay + self.unknown
