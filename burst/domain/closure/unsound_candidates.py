"""Unsound candidates: those that were named and not scored, because their evidence does not hold.

Each is listed beside the candidates that were scored, with its failure, and none of them can be the best.
"""

from typing import Literal

from burst.domain.basics import errors
from burst.domain.documents import models

State = Literal["incomplete", "corrupt", "unknown"]
EvidenceError = errors.EvidenceIncomplete | errors.EvidenceCorrupt | errors.EvidenceUnknown


class UnsoundCandidate(models.Model):
    """A candidate without a score. `run_root`: how the operator named it."""

    run_root: str
    """How the operator named it: a path, or an S3 address."""
    state: State
    """Whether its evidence is incomplete, corrupt, or nobody can tell."""
    why: models.Words
    """What is wrong with its evidence."""


def list_unsound(run_root: str, place: str, error: EvidenceError) -> UnsoundCandidate:
    """The entry of a candidate whose evidence, at a place, gave an error; in its words the place is as it is cited."""
    words = str(error).removeprefix(f"{place}: ").replace(place, run_root)
    return UnsoundCandidate(run_root=run_root, state=_find_state(error), why=words)


def _find_state(error: EvidenceError) -> State:
    if isinstance(error, errors.EvidenceIncomplete):
        return "incomplete"
    return "corrupt" if isinstance(error, errors.EvidenceCorrupt) else "unknown"
