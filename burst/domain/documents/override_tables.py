"""`table_{step}_{number}.json`: what a step overrode, attempt by attempt, beside the measures that it moved."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models


class OverrideRow(models.Model):
    """One attempt: its overrides, its snapshot by digest, its verdict, and its measures by JSON pointer."""

    attempt: models.Count
    execution_id: str
    settings: list[str]
    """Keys of the plan, as `KEY=VALUE`."""
    services: dict[str, int]
    database: dict[str, str]
    snapshot_sha256: models.Digest | None
    verdict: Literal["PASS", "HOLD", "FAILED"]
    blockers: list[str]
    measures: dict[str, pydantic.JsonValue]
    """None where nothing stands at the pointer."""


class OverrideTable(models.Model):
    """The whole table. `swept`: the key whose values the rows differ in, where it is a sweep."""

    schema_: Annotated[Literal["burst.override-table/v1"], pydantic.Field(alias="schema")] = "burst.override-table/v1"
    campaign_id: str
    step: str
    swept: str | None
    measure: str | None
    rows: list[OverrideRow]
