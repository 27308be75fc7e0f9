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
    """The file name of the document in the folder of the staging."""
    sha256: models.Digest
    """SHA-256 of its bytes."""


class AppliedChange(models.Model):
    """A change in words, and when it was done; None: begun, and not known to be done."""

    words: str
    """The statement or command of the change."""
    rolling_back: bool
    """Whether it belongs to the way back."""
    done_utc: models.Instant | None
    """When it was done, by burst's clock; None where it was begun and not known to be done."""


class JudgedLine(models.Model):
    """A red line with what was measured; `holds` is false too where nothing was."""

    figure: str
    """The figure that the line is about."""
    limit: str
    """The limit of the stage, in words."""
    before: float | None
    """The figure before the changes; None where it was not measured."""
    after: float | None
    """The figure after them; None where it was not measured."""
    holds: bool
    """Whether the figure kept the limit; false too where nothing was measured."""


class StageEntry(models.Model):
    """One stage as it went."""

    name: str
    """The name of the stage in its file."""
    end: StageEnd
    """`taken-back`: it held, and went back with a later stage that did not."""
    reason: str
    """Why it was broken; empty where it was not."""
    before: SnapshotReference | None
    """The database before the stage's changes; None where it was not read."""
    after: SnapshotReference | None
    """The database after them; None where it was not read."""
    figures_before: dict[str, float] | None
    """The figures of its check before the changes; None where they were not measured."""
    figures_after: dict[str, float] | None
    """The figures of its check after them; None where they were not measured."""
    red_lines: list[JudgedLine]
    """Each red line with what was measured; none where the stage did not come to them."""
    changes: list[AppliedChange]
    """Each change that was begun, those of the way back too."""
    pauses: list[str]
    """The kind of each pause, in order: confirm, condition, restart, regression or restart-back."""


class RollBackEntry(models.Model):
    """How a roll-back ended: whether the database is byte for byte the snapshot, and what differs."""

    stage: str
    """The stage whose red line was broken."""
    reason: str
    """How it was broken, in words."""
    target: SnapshotReference
    """The database that it goes back to: before the first stage that goes back."""
    proof: SnapshotReference | None
    """The database as it was read after the way back; None where it was not read."""
    equal: bool
    """Whether both are the same bytes."""
    differences: list[str]
    """What differs, in words; none where nothing does."""


class JournalReference(models.Model):
    """The journal's bytes up to the outcome."""

    name: str
    """The file name of the journal."""
    size: models.Count
    """How many bytes of it were there at the outcome."""
    sha256: models.Digest
    """SHA-256 of those bytes."""


class DatabaseStages(models.Model):
    """`database_stages.json`: written last; its existence says that the stages have ended."""

    schema_: Annotated[Literal["burst.database-stages/v1"], pydantic.Field(alias="schema")] = "burst.database-stages/v1"
    staging_id: str
    """The staging; its folder is named so."""
    stage_file: SnapshotReference
    """The stage file as it was executed, by digest."""
    environment: str
    """The environment that the stage file names."""
    operators: list[str]
    """Everybody who began or resumed it, in order."""
    system_identifier: str | None
    """The identifier that Postgres gave the data when they were made; None where the role may not ask."""
    database: str
    """The name of the database that was changed."""
    role: str
    """The role that changed it."""
    began_utc: models.Instant
    """When the staging began, by burst's clock."""
    decided_utc: models.Instant
    """When its outcome was decided, by burst's clock."""
    outcome: Outcome
    """Whether every stage passed, or what was done was taken back."""
    stages: list[StageEntry]
    """Every stage of the file, those that were not reached too."""
    roll_back: RollBackEntry | None
    """How the roll-back ended; None where nothing was rolled back."""
    journal: JournalReference
    """The journal by the digest of its bytes up to the outcome."""
    exit_code: int
    """0 where every stage passed, 3 where all was rolled back, 6 where the roll-back is not proved."""
    written_by: str
    """The program and its version."""
