"""The result of staged changes of a database: every stage with its changes, figures, red lines and snapshots."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

NAME = "database_stages.json"
STAGE_FILE = "stages.json"
JOURNAL = "journal.jsonl"
Outcome = Literal["passed", "rolled-back", "not-rolled-back"]
StageEnd = Literal["passed", "broken", "taken-back", "not-reached"]
"""`taken-back`: it held, and went back with a later stage that did not."""


class SnapshotReference(models.Model):
    """A database snapshot by its document and digest."""

    name: str
    sha256: models.Digest


class AppliedChange(models.Model):
    """A change in words, and when it was done; None: begun, and not known to be done."""

    words: str
    rolling_back: bool
    done_utc: models.Instant | None


class JudgedLine(models.Model):
    """A red line with what was measured; `holds` is false too where nothing was."""

    figure: str
    limit: str
    before: float | None
    after: float | None
    holds: bool


class StageEntry(models.Model):
    """One stage as it went."""

    name: str
    end: StageEnd
    reason: str
    """Why it was broken; empty where it was not."""
    before: SnapshotReference | None
    after: SnapshotReference | None
    figures_before: dict[str, float] | None
    figures_after: dict[str, float] | None
    red_lines: list[JudgedLine]
    changes: list[AppliedChange]
    pauses: list[str]


class RollBackEntry(models.Model):
    """How a roll-back ended: whether the database is byte for byte the snapshot, and what differs."""

    stage: str
    reason: str
    target: SnapshotReference
    proof: SnapshotReference | None
    equal: bool
    differences: list[str]


class JournalReference(models.Model):
    """The journal's bytes up to the outcome."""

    name: str
    size: models.Count
    sha256: models.Digest


class DatabaseStages(models.Model):
    """`database_stages.json`: written last; its existence says that the stages have ended."""

    schema_: Annotated[Literal["burst.database-stages/v1"], pydantic.Field(alias="schema")] = "burst.database-stages/v1"
    staging_id: str
    stage_file: SnapshotReference
    environment: str
    operators: list[str]
    """Everybody who began or resumed it, in order."""
    system_identifier: str | None
    database: str
    role: str
    began_utc: models.Instant
    decided_utc: models.Instant
    outcome: Outcome
    stages: list[StageEntry]
    roll_back: RollBackEntry | None
    journal: JournalReference
    exit_code: int
    written_by: str
    """The program and its version."""
