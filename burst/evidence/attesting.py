"""Attesting: the verdict of sound evidence as a statement that other tools read, signed where there is a key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from burst.adapters import signing
from burst.adapters.local import system_clock
from burst.domain.basics import canonical, errors
from burst.domain.verdict import predicates

if TYPE_CHECKING:
    from burst.evidence import full_verification


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationOrder:
    """An attestation to write: the word of its predicate, the artifact, the key that signs, and whether the predicate
    stands alone."""

    word: str
    subject: str | None = None
    key: str | None = None
    only_predicate: bool = False


def attest(verified: full_verification.Verified, order: AttestationOrder, now: datetime) -> bytes:
    """The bytes of the predicate, the statement, or the envelope around it.

    Raises the error of evidence that is not sound, and `errors.UsageError` for an unknown predicate or a bad subject.
    """
    if order.word not in predicates.TYPES:
        raise errors.UsageError(f"predicate: saw {order.word!r}; allowed: {', '.join(predicates.TYPES)}")
    verdict, name = verified.finding.require_verdict(), verified.finding.name or ""
    artifact = (
        predicates.TestedArtifact.read(order.subject)
        if order.subject is not None
        else predicates.TestedArtifact(name=name, sha256=verdict.sha256)
    )
    predicate = (
        predicates.make_test_result(verdict.snapshot)
        if order.word == "test-result"
        else predicates.make_verification_summary(verdict, name, artifact, now)
    )
    if order.only_predicate:
        return canonical.encode(predicate)
    statement = predicates.make_statement(order.word, predicate, [artifact])
    if order.key is None:
        return statement
    return signing.open_signer(order.key, system_clock.SystemClock()).sign(statement)
