"""`table_{step}_{number}.json`: what a step overrode, attempt by attempt, beside the measures that it moved."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models


class OverrideRow(models.Model):
    """One attempt: its overrides, its snapshot by digest, its verdict, and its measures by JSON pointer."""

    attempt: models.Count
    """The number of the attempt among those of the step."""
    execution_id: str
    """The attempt as a run of its own."""
    settings: list[str]
    """Keys of the plan, as `KEY=VALUE`."""
    services: dict[str, int]
    """How many tasks each service was given in place of its own."""
    database: dict[str, str]
    """Each setting of the database that was changed, with its value."""
    snapshot_sha256: models.Digest | None
    """SHA-256 of its snapshot's bytes; None where it came to none."""
    verdict: Literal["PASS", "HOLD", "FAILED"]
    """PASS or HOLD of its snapshot; FAILED where it came to no verdict."""
    blockers: list[str]
    """The open blockers of its snapshot."""
    measures: dict[str, pydantic.JsonValue]
    """The value at each JSON pointer of the step; null where nothing stands there."""


class OverrideTable(models.Model):
    """The whole table. `swept`: the key whose values the rows differ in, where it is a sweep."""

    schema_: Annotated[Literal["burst.override-table/v1"], pydantic.Field(alias="schema")] = "burst.override-table/v1"
    campaign_id: str
    """The campaign that the step belongs to."""
    step: str
    """The name of the step."""
    swept: str | None
    """The key of the plan that the rows differ in; None where the step is no sweep."""
    measure: str | None
    """The pointer to the measure that the sweep compares; None where the step is no sweep."""
    rows: list[OverrideRow]
    """Each attempt that has ended, in order."""
