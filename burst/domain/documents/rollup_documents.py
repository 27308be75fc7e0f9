"""Documents of a roll-up: its order, and a finding about the evidence of each lane.

The order names the lanes and is frozen before any is looked at. The findings are frozen before the verdict, which is
made of both and of the lanes' snapshots.
"""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

ORDER = "rollup_order.json"
LANES = "rollup_lanes.json"
CAMPAIGN = "rollup_campaign.json"
"""The file of the campaign, as it was when the campaign began."""
Family = Literal["semantic", "incident_drill", "scale", "reproducibility"]
FAMILIES: tuple[Family, ...] = ("semantic", "incident_drill", "scale", "reproducibility")
"""The families of evidence."""
LaneName = Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


def name_lane(lane: str) -> str:
    """The copy of a lane's snapshot in the folder of the roll-up."""
    return f"lane_{lane}.json"


class LaneOrder(models.Model):
    """One lane: a phase by its snapshot's digest; None where it came to none."""

    name: LaneName
    """The name of the lane, which is a step of the campaign."""
    execution_id: str | None
    """The last run of the lane; None where none was begun."""
    sha256: models.Digest | None
    """SHA-256 of its snapshot's bytes; None where it came to none."""
    attempts: models.Count
    """How many runs it took, the last one included."""
    lost_to_hold_seconds: float
    """From the end of the first run that held to the end of the one that passed; 0 without either."""


class RollupBudget(models.Model):
    """The time and the money of everything before the roll-up, beside what was allowed; None: no limit, or unknown."""

    budget_seconds: float | None
    """The most that the campaign allows, in seconds; None where it sets no limit."""
    elapsed_seconds: float | None
    """How long processes were at work on the campaign before the roll-up; None is not known."""
    cost_cap_usd: float | None
    """The most that the campaign allows, in USD; None where it sets no limit."""
    cost_usd: float | None
    """What its runs cost by list prices, in USD; None where no limit is set."""


class RollupOrder(models.Model):
    """`rollup_order.json`: the lanes, the families that they belong to, and the words of the verdict."""

    schema_: Annotated[Literal["burst.rollup-order/v1"], pydantic.Field(alias="schema")] = "burst.rollup-order/v1"
    execution_id: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,99}$")]
    """The roll-up as a run of its own."""
    phase: Annotated[str, pydantic.Field(pattern=r"^[A-Z][A-Z0-9]{0,15}(\.[A-Z0-9]{1,16}){0,3}$")]
    """The phase that the roll-up decides."""
    environment: str
    """The environment of the campaign."""
    campaign_id: str | None
    """The campaign that the roll-up is a step of; None where it is none's."""
    campaign_sha256: models.Digest | None
    """The digest of the campaign's file."""
    advance: str
    """The word of the verdict where no blocker is open."""
    hold: str
    """The word of the verdict where one is open."""
    families: dict[Family, list[LaneName]]
    """The lanes that belong to each family of evidence."""
    require: list[Family]
    """The families that need a lane that passed."""
    lanes: list[LaneOrder]
    """Every lane, in the order of the campaign."""
    budget: RollupBudget
    """The time and the money of everything before the roll-up."""
    folders: list[str]
    """The places on S3 that its documents are published to, the authority first."""
    verifier: dict[str, str]
    """The program and the version that made the order."""

    @property
    def slug(self) -> str:
        """Prefix of document names: `m10_j`."""
        return self.phase.lower().replace(".", "_")

    @property
    def names(self) -> tuple[str, ...]:
        """Every document that the verdict is made of, where all are there."""
        campaign = () if self.campaign_sha256 is None else (CAMPAIGN,)
        return (ORDER, LANES, *campaign, *(name_lane(lane.name) for lane in self.lanes))


class LaneFinding(models.Model):
    """What the verification of a lane came to. `state`: as `burst verify` says it, `ok` where it is sound."""

    name: LaneName
    """The name of the lane."""
    state: str
    """What its verification came to, as `burst verify` says it; `ok` where its evidence is sound."""
    sha256: models.Digest | None
    """The digest of the snapshot that is there."""
    published: bool
    """Whether it stands in every place that it is published to."""
    missing_refs: list[str]
    """The documents that the snapshot names and that are not there, or are others."""


class RollupLanes(models.Model):
    """`rollup_lanes.json`: the evidence of every lane, as it was verified."""

    schema_: Annotated[Literal["burst.rollup-lanes/v1"], pydantic.Field(alias="schema")] = "burst.rollup-lanes/v1"
    execution_id: str
    lanes: list[LaneFinding]
    """What the verification of each lane came to, in the order of the lanes."""
