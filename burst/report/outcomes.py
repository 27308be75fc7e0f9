"""Outcomes: the result of verifying one run, as reports for CI systems need it."""

from dataclasses import dataclass

from burst.domain.verdict import differences, rollup_snapshots, snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceOutcome:
    """The state of one run's evidence, and the changes from an earlier run where they were asked for."""

    state: str
    why: str
    exit_code: int
    place: str
    execution_id: str | None = None
    document: str | None = None
    """The name of the document that holds the snapshot; None where there is none."""
    snapshot: snapshots.Snapshot | rollup_snapshots.RollupSnapshot | None = None
    """None unless the evidence is sound."""
    change: differences.Difference | None = None
    uncompared: str | None = None
    """Why there is no `change`, where one was asked for."""


def cut(text: str, most: int) -> str:
    """A text no longer than a forge shows: an answer may be of any length, and the evidence has all of it."""
    return text if len(text) <= most else text[: most - 1] + "…"
