"""Acts that every course decides on, staged changes and campaigns alike: those at which its process ends."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForOperator:
    """Nothing to do before the operator says go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingLeft:
    """Everything is done."""
