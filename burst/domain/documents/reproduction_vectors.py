"""Reproductions: what two runs of one phase have to have in common, as vectors, and how those stand to each other.

A part of a vector that nobody knows makes its comparison unknown, which is never a match.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models, window_metrics

SHARES = ("ADMIT", "DUPLICATE", "QUARANTINE")


class RunRef(models.Model):
    """One of the two runs, by the digest of its snapshot; None where there is none yet."""

    execution_id: str | None
    """The run; None where its snapshot names none."""
    platform_run_id: str | None
    """The scope of the run; None where its snapshot names none."""
    snapshot_sha256: models.Digest | None
    """SHA-256 of its snapshot's bytes; None where it has none yet, or is a file."""


class Vector(models.Model):
    """What one of the two runs has to show. None: nobody knows."""

    ingress_counts: window_metrics.CountsEntry | None
    """The receipts of its counted window; None where nobody knows them."""
    decision_shares: dict[str, float] | None
    """The share of ADMIT, DUPLICATE and QUARANTINE in all receipts; None where there are none."""
    max_lag_window: float | None
    """The largest lag that was measured; None where none was."""
    anchor_keyset: list[str] | None
    """The keys of its scope by the plan's question, sorted; None where they could not be had."""
    semantic_flags: dict[str, models.Value]
    """Each fact about meaning and scope with its value; None as a value where it was not had."""


class Comparisons(models.Model):
    """How the two vectors stand to each other. None: it cannot be told, or nobody asked."""

    anchor_keyset_match: bool | None
    """Whether both key sets are equal; None where one is not known, or has no key."""
    duplicate_share_delta: float | None
    """How far the shares of DUPLICATE are apart; None where one is not known."""
    quarantine_share_delta: float | None
    """How far the shares of QUARANTINE are apart; None where one is not known."""
    semantic_invariant_pass: bool | None
    """Whether every invariant holds as in the reference; None where there is none."""
    lag_pass: bool | None
    """Whether the lags keep their limits; None where no lag is asked."""
    profile_match: bool | None
    """Whether both runs have the same load, rate and tasks; None where it cannot be told."""
    contract_match: bool | None
    """Whether both runs have the same terms; None where it cannot be told."""
    missing_required_surfaces: list[str]
    """The shares and key sets that one of the two does not have, as `baseline.anchor_keyset`."""


def make_vector(
    *,
    counts: window_metrics.CountsEntry | None,
    keyset: Sequence[str] | None,
    lag: float | None = None,
    flags: Mapping[str, models.Value] | None = None,
) -> Vector:
    """The vector of one run."""
    shares = None if counts is None else find_shares(counts)
    return Vector(
        ingress_counts=counts,
        decision_shares=None if shares is None else {name: float(share) for name, share in shares.items()},
        max_lag_window=lag,
        anchor_keyset=None if keyset is None else sorted(keyset),
        semantic_flags=dict(flags or {}),
    )


def find_shares(counts: window_metrics.CountsEntry) -> dict[str, Fraction] | None:
    """The share of each decision in all receipts, exactly; None where there are no receipts."""
    value = counts.document()
    total = sum(value.values())
    return {name: Fraction(value[name], total) for name in SHARES} if total else None


def find_share_delta(name: str, before: Vector, after: Vector) -> Fraction | None:
    """How far the shares of a decision are apart, exactly; None where one of the two is not known."""
    shares = [vector.ingress_counts and find_shares(vector.ingress_counts) for vector in (before, after)]
    if not shares[0] or not shares[1]:
        return None
    return abs(shares[1][name] - shares[0][name])


def find_missing(before: Vector, after: Vector) -> list[str]:
    """The parts that one of the vectors does not have, each with the run that lacks it."""
    return [
        f"{word}.{part}"
        for word, vector in (("baseline", before), ("candidate", after))
        for part in ("decision_shares", "anchor_keyset")
        if getattr(vector, part) is None
    ]


def compare_keysets(before: Vector, after: Vector) -> bool | None:
    """Whether the key sets are equal; None where one is not known, or has no key at all."""
    if not before.anchor_keyset or not after.anchor_keyset:
        return None
    return before.anchor_keyset == after.anchor_keyset


class KeysetAnswer(models.Model):
    """The key set of one scope as it was answered. `keys` None: it could not be had, and `detail` says why."""

    platform_run_id: str
    """The scope that was asked."""
    keys: list[str] | None
    """The keys of the scope; None where they could not be had, and `detail` says why."""
    source: str
    """The question, as the plan states it for this scope."""
    at_utc: models.Instant | None = None
    """When it was answered, by the controller's clock; None where the document does not say it."""
    detail: models.Words = ""
    """Why there are no keys; empty where there are."""


class Reproduction(models.Model):
    """`{slug}_reproduction.json`: the key sets of the reference run and of this one."""

    schema_: Annotated[Literal["burst.reproduction/v1"], pydantic.Field(alias="schema")] = "burst.reproduction/v1"
    execution_id: str
    platform_run_id: str
    reference_sha256: models.Digest
    """The digest of the reference's snapshot."""
    baseline: KeysetAnswer
    """The key set of the reference run's scope."""
    candidate: KeysetAnswer
    """The key set of this run's scope."""
