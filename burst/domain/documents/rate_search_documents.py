"""`rate_search.json`: the answer of a search for the highest rate at which criteria hold, with every probe."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

NAME = "rate_search.json"
Outcome = Literal["held", "broke", "withheld", "unknown"]


class CriterionAnswer(models.Model):
    """The gate of one criterion in one probe."""

    name: str
    """The name of the gate."""
    status: str
    """The answer of the gate in the probe's snapshot: PASS, FAIL or INVALID."""
    measured: models.Value
    """What the gate measured; None where it could not be had."""
    why: models.Words
    """The answer in words."""


class ProbeEntry(models.Model):
    """One probe. `outcome` None: it was lost, or has not ended, and says nothing."""

    number: models.Count
    """Its place among the probes of the search."""
    rate_per_minute: float
    """The rate that was offered, in events a minute."""
    execution_id: str
    """The probe as a run of its own."""
    outcome: Outcome | None
    """What the probe said of its rate; None where it was lost, or has not ended."""
    why: models.Words
    """Why it did not hold; empty where it did."""
    criteria: list[CriterionAnswer]
    """The gate of each criterion; none where the probe has no verdict."""
    seconds: float | None
    """How long the probe took from its beginning to its end; None where it has no end."""
    cost_usd: float | None
    """What it cost by list prices, in USD; None where nobody can tell."""
    place: str | None
    """Where its evidence stands; None where it has none."""
    snapshot_sha256: models.Digest | None
    """SHA-256 of its snapshot's bytes; None where it has none."""


class RateEntry(models.Model):
    """One rate of the answer: how often it was seen, and what the most frequent outcome is; None where two are."""

    rate_per_minute: float
    """The rate, in events a minute."""
    probes: models.Count
    """How many probes of this rate said something."""
    outcome: Outcome | None
    """What most of them said; None where two outcomes are equally frequent."""
    confirmed: bool
    """Whether that outcome was seen as often as was asked."""


class Advice(models.Model):
    """What to set in the plan. `most_headroom`: the highest `load.headroom` whose rate still holds, where the plan
    asks for a multiple of a baseline; below 1 the multiple itself is out of reach."""

    rate: str | float | None
    """The highest rate that held, as a plan takes it; None where none did."""
    needed_per_minute: float | None
    """What the plan's multiple of its baseline takes, without headroom; None where it asks for none."""
    most_headroom: float | None
    """The highest `load.headroom` whose rate still holds; None where the plan asks for no multiple, or none held."""


class RateSearch(models.Model):
    """The whole answer. `complete`: the highest rate is known. `limit`: what keeps it from being higher."""

    schema_: Annotated[Literal["burst.rate-search/v1"], pydantic.Field(alias="schema")] = "burst.rate-search/v1"
    search_id: str
    """The search; its folder is named so."""
    phase: str
    """The phase of the plan that was probed."""
    environment: str
    """The environment of that plan."""
    plan_sha256: models.Digest
    """SHA-256 of that plan's canonical bytes."""
    criteria: list[str]
    """The gates that have to pass at a rate."""
    lowest_per_minute: float
    """The lower end of the bracket, in events a minute."""
    highest_per_minute: float
    """The upper end of the bracket, in events a minute."""
    within: float
    """How far the two rates of the answer may be apart, as a share of the lower one."""
    confirm: models.Count
    """How often each rate of the answer has to be seen."""
    probe_seconds: float
    """How long the counted window of a probe is."""
    max_seconds: float
    """The most seconds that the search may take."""
    max_usd: float | None
    """The most that the search may cost, in USD; None where it sets no limit."""
    state: Literal["found", "top", "none", "time", "cost", "probes", "interrupted"]
    """How the search ended: at the edge, at an end of the bracket, or at a bound; else `interrupted`."""
    complete: bool
    """Whether the highest rate is known."""
    limit: Literal["system", "generator", "bracket", "unknown"] | None
    """What keeps the rate from being higher; None where nothing was found yet."""
    highest_held: RateEntry | None
    """The highest rate that held; None where none did."""
    lowest_not_held: RateEntry | None
    """The lowest rate above it that did not hold; None where none was seen."""
    generator_withheld_from_per_minute: float | None
    """The lowest rate at which the generator withheld load; None where it never did."""
    advice: Advice
    """What to set in the plan."""
    seconds: float
    """How long processes were at work on the search."""
    spent_usd: float
    """What all probes cost by list prices, in USD."""
    probes: list[ProbeEntry]
    """Every probe, in the order in which they were begun."""
