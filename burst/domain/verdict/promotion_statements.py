"""The statement that a promotion's signature covers: the document, and each snapshot that it cites, by digest."""

from typing import Annotated, Literal

import pydantic

from burst.domain.basics import canonical, errors
from burst.domain.documents import models
from burst.domain.verdict import attestations, promotions

SUFFIX = ".dsse.json"
"""How the name of a signature ends, after that of the document beside it."""


def list_subjects(promotion: promotions.Promotion, content: bytes) -> dict[str, str]:
    """Everything a signature over a promotion speaks of, by name: the document and each snapshot it cites."""
    cited = {f"{run.execution_id}/{run.snapshot}": run.sha256 for run in promotion.runs}
    return {**cited, "promotion.json": canonical.digest(content)}


class SignedPromotion(models.Model):
    """What a signed statement says of a promotion beside the digests."""

    phase: str
    """The phase that the gate belongs to."""
    gate: str
    """The name of the gate."""
    decision: promotions.Decision
    """Whether the gate became required."""


class PromotionStatement(models.Model):
    """The payload of a promotion's signature, as an in-toto statement."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], pydantic.Field(alias="_type")]
    """The version of in-toto statements that the payload follows."""
    subject: list[attestations.Subject]
    """The promotion and each snapshot that it cites, by digest."""
    predicate_type: Annotated[Literal["urn:burst:predicate:promotion:v1"], pydantic.Field(alias="predicateType")]
    """The kind of the predicate, and its version."""
    predicate: SignedPromotion
    """The decision that was signed."""


def make_statement(promotion: promotions.Promotion, content: bytes) -> bytes:
    """The canonical bytes of the statement over a promotion and each snapshot that it cites."""
    return PromotionStatement(
        type_="https://in-toto.io/Statement/v1",
        predicate_type="urn:burst:predicate:promotion:v1",
        subject=attestations.make_subjects(list_subjects(promotion, content)),
        predicate=SignedPromotion(phase=promotion.phase, gate=promotion.gate, decision=promotion.decision),
    ).content()


def check_statement(signed: bytes, expected: bytes) -> None:
    """Raises `errors.EvidenceCorrupt` unless a signed statement is the one over this promotion."""
    if signed != expected:
        raise errors.EvidenceCorrupt("the signature speaks of another promotion, or of other runs")
