"""Closure statements: what a signature of a closure covers, as an in-toto Statement."""

from collections.abc import Mapping
from typing import Annotated, Literal

import pydantic

from burst.domain.basics import canonical, errors
from burst.domain.closure import closures
from burst.domain.documents import models
from burst.domain.verdict import attestations


class ClosurePredicate(models.Model):
    """The decision that the closure holds."""

    name: str
    """The name of the score."""
    result: str
    """The word of the score file for the decision."""
    unlocked: bool
    """Whether the phase is closed by it."""
    best: str | None
    """The run id of the best valid candidate; None where none is valid."""


class ClosureStatement(models.Model):
    """The payload of a closure's signature."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], pydantic.Field(alias="_type")]
    """The version of in-toto statements that the payload follows."""
    subject: list[attestations.Subject]
    """The closure and each score file, by digest."""
    predicate_type: Annotated[Literal["urn:burst:predicate:closure:v1"], pydantic.Field(alias="predicateType")]
    """The kind of the predicate, and its version."""
    predicate: ClosurePredicate
    """The decision that was signed."""


def list_subjects(closure: closures.Closure) -> dict[str, str]:
    """Name to digest of everything that a closure's signature has to speak of."""
    scores = [closure.score, *([closure.active_baseline.score] if closure.active_baseline else [])]
    own = {closures.name_closure(closure.name): canonical.digest(closure.content())}
    return own | {score.name: score.sha256 for score in scores}


def make_statement(closure: closures.Closure, subjects: Mapping[str, str]) -> bytes:
    """The canonical bytes of the statement over these subjects."""
    return ClosureStatement(
        type_="https://in-toto.io/Statement/v1",
        predicate_type="urn:burst:predicate:closure:v1",
        subject=attestations.make_subjects(subjects),
        predicate=ClosurePredicate(
            name=closure.name,
            result=closure.decision.result,
            unlocked=closure.unlocked,
            best=closure.best,
        ),
    ).content()


def check_envelope(content: bytes, closure: closures.Closure, closure_sha256: str) -> attestations.Envelope:
    """The envelope, once its statement speaks of exactly this closure. Raises `errors.EvidenceCorrupt`."""
    envelope = attestations.read(content)
    subjects = {**list_subjects(closure), closures.name_closure(closure.name): closure_sha256}
    if envelope.statement != make_statement(closure, subjects):
        raise errors.EvidenceCorrupt("the signature speaks of another closure, or of other score files")
    return envelope
