"""The answers of entry gates, as the preflight document keeps them.

An answer states its observation field by field, so that adjudication judges it again and believes no word of it.
"""

from typing import Self

import pydantic

from burst.domain.documents import models


class PhaseSeen(models.Model):
    """The run of a required phase, as its verified snapshot says."""

    execution_id: str | None
    phase: str
    kind: str
    platform_run_id: str | None
    sha256: models.Digest
    place: str
    state: str
    """The result of its verification; `ok` where its evidence holds."""
    overall_pass: bool
    blockers: list[str] = []
    """The open blockers of a HOLD."""


class DocumentSeen(models.Model):
    """A required document: its digest, and the value that is expected of it, where one is."""

    address: str
    sha256: models.Digest
    value: models.Value = None


class ServiceSeen(models.Model):
    """A service of ECS, as it stood."""

    desired: models.Count
    running: models.Count
    task_definition: str
    images: list[str]
    """The digests of the images that its tasks run, each once; empty where nothing tells."""
    variables: dict[str, list[str]]
    """The values of each required variable in the containers of its task definition, each once."""


class EntryAnswer(models.Model):
    """The last answer of one entry gate, or why there was none."""

    gate: str
    question_sha256: models.Digest
    """The digest of the entry of `requires` that it answers."""
    begun_utc: models.Instant
    answered_utc: models.Instant
    times_asked: models.Count
    phase_seen: PhaseSeen | None = None
    document_seen: DocumentSeen | None = None
    service_seen: ServiceSeen | None = None
    fact_value: models.Value = None
    """The answer to a fact."""
    living_runs: list[str] | None = None
    """The other runs of which a task was alive."""
    unanswered: models.Words = ""
    """Why nothing was seen; empty where something was."""

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.answered_utc < self.begun_utc:
            raise ValueError(f"{self.gate}: answered before it was asked")
        return self


class DependencyRef(models.Model):
    """`dependency_refs` of a snapshot: a phase or a document that the run rested on, by digest."""

    gate: str
    place: str
    """Of a phase the place of its runs, of a document its address."""
    sha256: models.Digest
    phase: str | None = None
    kind: str | None = None
    execution_id: str | None = None
    platform_run_id: str | None = None
    overall_pass: bool | None = None

    @classmethod
    def from_answer(cls, answer: EntryAnswer) -> Self | None:
        """The reference of an answer; None where it saw neither phase nor document."""
        if answer.document_seen is not None:
            return cls(gate=answer.gate, place=answer.document_seen.address, sha256=answer.document_seen.sha256)
        if answer.phase_seen is None:
            return None
        phase = answer.phase_seen
        return cls(
            gate=answer.gate,
            place=phase.place,
            sha256=phase.sha256,
            phase=phase.phase,
            kind=phase.kind,
            execution_id=phase.execution_id,
            platform_run_id=phase.platform_run_id,
            overall_pass=phase.overall_pass,
        )
