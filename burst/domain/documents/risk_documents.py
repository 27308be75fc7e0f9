"""The risk register: a row for each gate that slipped, with its newest evidence, its owner and its mitigation."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

Value = models.Value


class RiskRow(models.Model):
    """One risk. `owner` None: nobody is named for it."""

    phase: str | None
    kind: str | None
    blocker: str | None = None
    """None where evidence does not hold, so that no blocker is known."""
    title: models.Words = ""
    gate: str
    state: Literal["open", "informational", "recovered"]
    status: str
    """The last answer that was no PASS: FAIL or INVALID."""
    measured: Value = None
    required: Value = None
    why: models.Words = ""
    execution_id: str
    """The newest run that answered the gate."""
    sha256: models.Digest | None = None
    """The digest of its snapshot."""
    seen_utc: models.Instant | None = None
    """When its last task ended."""
    since_utc: models.Instant | None = None
    """The end of the first run of the unbroken row that did not pass; of a gate that recovered, the last such run's."""
    since_execution_id: str
    held: models.Count
    """In how many runs it did not pass."""
    runs: models.Count
    """How many runs answered it."""
    owner: str | None = None
    mitigation: str | None = None


class RiskRegister(models.Model):
    """The register of one place, generated and never edited by hand."""

    schema_: Annotated[Literal["burst.risks/v1"], pydantic.Field(alias="schema")] = "burst.risks/v1"
    evidence_sha256: models.Digest
    """Of the ids and snapshot digests of all runs it was made of."""
    owners_sha256: models.Digest | None = None
    """Of the owner file; None without one."""
    runs: models.Count
    rows: list[RiskRow]

    @property
    def open_rows(self) -> list[RiskRow]:
        """The rows of gates that do not pass in their newest run."""
        return [row for row in self.rows if row.state == "open"]
