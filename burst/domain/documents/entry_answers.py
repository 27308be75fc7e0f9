"""The answers of entry gates, as the preflight document keeps them.

An answer states its observation field by field, so that adjudication judges it again and believes no word of it.
"""

from typing import Self

import pydantic

from burst.domain.documents import models


class PhaseSeen(models.Model):
    """The run of a required phase, as its verified snapshot says."""

    execution_id: str | None
    """The newest run of the required phase; None where its snapshot names none."""
    phase: str
    """The phase that its snapshot names."""
    kind: str
    """The kind of that phase."""
    platform_run_id: str | None
    """The scope of that run; None where its snapshot names none."""
    sha256: models.Digest
    """SHA-256 of its snapshot's bytes."""
    place: str
    """Where the plan looks for the runs of the phase."""
    state: str
    """The result of its verification; `ok` where its evidence holds."""
    overall_pass: bool
    """Whether its snapshot is a PASS."""
    blockers: list[str] = []
    """The open blockers of a HOLD."""


class DocumentSeen(models.Model):
    """A required document: its digest, and the value that is expected of it, where one is."""

    address: str
    """Where the plan says that the document is."""
    sha256: models.Digest
    """SHA-256 of the document's bytes as they were read."""
    value: models.Value = None
    """The value at the plan's JSON pointer; None where the plan expects none."""


class ServiceSeen(models.Model):
    """A service of ECS, as it stood."""

    desired: models.Count
    """How many tasks the service was to run."""
    running: models.Count
    """How many of them ran."""
    task_definition: str
    """The ARN of the task definition that it ran."""
    images: list[str]
    """The digests of the images that its tasks run, each once; empty where nothing tells."""
    variables: dict[str, list[str]]
    """The values of each required variable in the containers of its task definition, each once."""


class EntryAnswer(models.Model):
    """The last answer of one entry gate, or why there was none."""

    gate: str
    """The entry of `requires` that it answers, such as `phase:NAME`, `fact:NAME` or `nothing_alive`."""
    question_sha256: models.Digest
    """The digest of the entry of `requires` that it answers."""
    begun_utc: models.Instant
    """When the entry was first asked, by the controller's clock."""
    answered_utc: models.Instant
    """When this last answer came, by the controller's clock."""
    times_asked: models.Count
    """How often it was asked; the plan may wait for an answer that passes."""
    phase_seen: PhaseSeen | None = None
    """The run that was seen; None where the entry requires no phase, or none was found."""
    document_seen: DocumentSeen | None = None
    """The document that was seen; None where the entry requires none, or it could not be read."""
    service_seen: ServiceSeen | None = None
    """The service that was seen; None where the entry requires none, or it could not be read."""
    fact_value: models.Value = None
    """The answer to the fact that the entry asks; None where it asks none, or there was no answer."""
    living_runs: list[str] | None = None
    """The other runs with a living task; None where the entry does not ask for quiet, or nobody could tell."""
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
    """The entry of `requires` that saw it, such as `phase:NAME` or `document:NAME`."""
    place: str
    """Of a phase the place of its runs, of a document its address."""
    sha256: models.Digest
    """SHA-256 of the phase's snapshot, or of the document."""
    phase: str | None = None
    """The phase; None of a document."""
    kind: str | None = None
    """The kind of the phase; None of a document."""
    execution_id: str | None = None
    """The run that was seen of the phase; None of a document."""
    platform_run_id: str | None = None
    """The scope of that run; None of a document."""
    overall_pass: bool | None = None
    """Whether that run passed; None of a document."""

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
