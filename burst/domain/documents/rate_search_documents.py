"""`rate_search.json`: the answer of a search for the highest rate at which criteria hold, with every probe."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

NAME = "rate_search.json"
Outcome = Literal["held", "broke", "withheld", "unknown"]


class CriterionAnswer(models.Model):
    """The gate of one criterion in one probe."""

    name: str
    status: str
    measured: models.Value
    why: models.Words


class ProbeEntry(models.Model):
    """One probe. `outcome` None: it was lost, or has not ended, and says nothing."""

    number: models.Count
    rate_per_minute: float
    execution_id: str
    outcome: Outcome | None
    why: models.Words
    criteria: list[CriterionAnswer]
    seconds: float | None
    cost_usd: float | None
    place: str | None
    snapshot_sha256: models.Digest | None


class RateEntry(models.Model):
    """One rate of the answer: how often it was seen, and what the most frequent outcome is; None where two are."""

    rate_per_minute: float
    probes: models.Count
    outcome: Outcome | None
    confirmed: bool
    """Whether that outcome was seen as often as was asked."""


class Advice(models.Model):
    """What to set in the plan. `most_headroom`: the highest `load.headroom` whose rate still holds, where the plan
    asks for a multiple of a baseline; below 1 the multiple itself is out of reach."""

    rate: str | float | None
    needed_per_minute: float | None
    most_headroom: float | None


class RateSearch(models.Model):
    """The whole answer. `complete`: the highest rate is known. `limit`: what keeps it from being higher."""

    schema_: Annotated[Literal["burst.rate-search/v1"], pydantic.Field(alias="schema")] = "burst.rate-search/v1"
    search_id: str
    phase: str
    environment: str
    plan_sha256: models.Digest
    criteria: list[str]
    lowest_per_minute: float
    highest_per_minute: float
    within: float
    confirm: models.Count
    probe_seconds: float
    max_seconds: float
    max_usd: float | None
    state: Literal["found", "top", "none", "time", "cost", "probes", "interrupted"]
    complete: bool
    limit: Literal["system", "generator", "bracket", "unknown"] | None
    highest_held: RateEntry | None
    lowest_not_held: RateEntry | None
    generator_withheld_from_per_minute: float | None
    advice: Advice
    seconds: float
    spent_usd: float
    probes: list[ProbeEntry]
