"""The risk register: a row for each gate that slipped, with its newest evidence, its owner and its mitigation."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

Value = models.Value


class RiskRow(models.Model):
    """One risk. `owner` None: nobody is named for it."""

    phase: str | None
    """The phase of the newest run that answered the gate; None where its evidence does not name one."""
    kind: str | None
    """The kind of that phase; None where its evidence does not name one."""
    blocker: str | None = None
    """None where evidence does not hold, so that no blocker is known."""
    title: models.Words = ""
    """What the blocker is about; empty where none is known."""
    gate: str
    """The gate; `evidence`, `carried` or `not-evaluated` where no gate answered."""
    state: Literal["open", "informational", "recovered"]
    """`recovered` where the gate passes in the newest run that answered it; `informational` where it opens nothing."""
    status: str
    """The last answer that was no PASS: FAIL or INVALID."""
    measured: Value = None
    """What the gate measured when it last did not pass."""
    required: Value = None
    """What it was held to then."""
    why: models.Words = ""
    """The last answer that was no PASS, in words."""
    execution_id: str
    """The newest run that answered the gate."""
    sha256: models.Digest | None = None
    """SHA-256 of that run's snapshot; None where its evidence does not hold."""
    seen_utc: models.Instant | None = None
    """When the last task of that run ended; None where nobody knows, as of a roll-up."""
    since_utc: models.Instant | None = None
    """The end of the first run of the unbroken row that did not pass; of a gate that recovered, the last such run's."""
    since_execution_id: str
    """The run that `since_utc` is of."""
    held: models.Count
    """In how many runs it did not pass."""
    runs: models.Count
    """How many runs answered it."""
    owner: str | None = None
    """Who owns the risk, by the owner file; None where nobody is named."""
    mitigation: str | None = None
    """What is done about it, by the owner file; None where nothing is named."""


class RiskRegister(models.Model):
    """The register of one place, generated and never edited by hand."""

    schema_: Annotated[Literal["burst.risks/v1"], pydantic.Field(alias="schema")] = "burst.risks/v1"
    evidence_sha256: models.Digest
    """SHA-256 over the ids and snapshot digests of all runs that the register was made of."""
    owners_sha256: models.Digest | None = None
    """SHA-256 of the owner file's bytes; None without one."""
    runs: models.Count
    """How many runs the register was made of."""
    rows: list[RiskRow]
    """A row for each gate that slipped: open ones first, then informational, then recovered."""

    @property
    def open_rows(self) -> list[RiskRow]:
        """The rows of gates that do not pass in their newest run."""
        return [row for row in self.rows if row.state == "open"]
