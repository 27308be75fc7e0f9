"""The snapshot of a roll-up: the verdict over the snapshots of lanes, by the names that its consumers read."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import pydantic

from burst.domain.basics import canonical, errors
from burst.domain.documents import models, rollup_documents
from burst.domain.verdict import snapshot_sections

SCHEMA: Literal["burst.rollup-snapshot/v1"] = "burst.rollup-snapshot/v1"


class LaneSource(models.Model):
    """`source_snapshot_refs`: one lane by its snapshot."""

    lane: str
    """The name of the lane."""
    execution_id: str | None
    """The last run of the lane; None where none was begun."""
    platform_run_id: str | None
    """The scope of that run; None where its snapshot cannot be read."""
    phase: str | None
    """The phase of that run; None where its snapshot cannot be read."""
    kind: str | None
    """The kind of that phase; None where its snapshot cannot be read."""
    sha256: models.Digest | None
    """SHA-256 of its snapshot's bytes, as the order names it; None where it came to none."""


class LaneOutcome(models.Model):
    """`lane_outcomes`: what one lane came to; `missing` where its snapshot is not there, or nobody can read it."""

    verdict: Literal["PASS", "HOLD", "missing"]
    """The verdict of its snapshot; `missing` where that is not there, or nobody can read it."""
    blockers: list[str]
    """The open blockers of the lane."""
    attempts: models.Count
    """How many runs it took, the last one included."""
    lost_to_hold_seconds: float
    """From the end of the first run that held to the end of the one that passed; 0 without either."""


class LaneIndexEntry(models.Model):
    """`lane_snapshot_index`: the document of one lane, and how its evidence was found."""

    name: str
    """The copy of the lane's snapshot in the folder of the roll-up."""
    sha256: models.Digest | None
    """SHA-256 of that copy's bytes; None where there is none."""
    state: str
    """What its verification came to, as `burst verify` says it; `unknown` where nobody looked."""


class FamilyEntry(models.Model):
    """`evidence_family_index`: the lanes of one family, and those of them that passed."""

    lanes: list[str]
    """The lanes that the order counts to the family."""
    passed: list[str]
    """Those of them that passed and whose kind stands for the family."""
    required: bool
    """Whether the verdict needs one of them."""


class BundleIntegrity(models.Model):
    """`bundle_integrity`: the documents that lanes name and that are not there."""

    missing_refs: list[str]
    """Each document that a lane's snapshot names and that is not there, or is another."""
    integrity_pass: bool
    """Whether `missing_refs` is empty."""


class HoldTime(models.Model):
    """`hold_time`: the seconds that HOLDs cost, in all and lane by lane."""

    total_seconds: float
    """The seconds that all lanes together lost to HOLDs."""
    by_lane: dict[str, float]
    """From the end of the first run that held to the end of the one that passed, for each lane; 0 without either."""


class RollupTime(models.Model):
    """`runtime_budget`: the time and the money of the lanes, beside what was allowed."""

    budget_seconds: float | None
    """The most that the campaign allows, in seconds; None where it sets no limit."""
    elapsed_seconds: float | None
    """How long processes were at work on the campaign before the roll-up; None is not known."""
    cost_cap_usd: float | None
    """The most that the campaign allows, in USD; None where it sets no limit."""
    cost_usd: float | None
    """What its runs cost by list prices, in USD; None where no limit is set."""
    budget_pass: bool
    """Whether every gate of time and money passes."""


class RollupSnapshot(models.Model):
    """`{slug}_rollup_snapshot.json`: written last; its existence is the commit."""

    schema_: Annotated[Literal["burst.rollup-snapshot/v1"], pydantic.Field(alias="schema")] = SCHEMA
    phase: str
    """The phase that the roll-up decides."""
    kind: Literal["rollup"] = "rollup"
    """The kind of the phase; a roll-up has no other."""
    execution_id: str
    """The roll-up as a run of its own."""
    platform_run_id: str | None
    """The scope of every lane, where they have one in common."""
    environment: str
    """The environment of the campaign."""
    campaign_id: str | None
    """The campaign that the roll-up is a step of; None where it is none's."""
    campaign_sha256: models.Digest | None
    """SHA-256 of the campaign's file; None where it is none's."""
    verdict: str
    """The word of the order: its `advance` or its `hold`."""
    overall_pass: bool
    """Whether no blocker is open."""
    exit_code: int
    """0 where the roll-up advances, 3 where it holds."""
    exit_reason: models.Words
    """The verdict's word, and how many blockers are open."""
    source_snapshot_refs: list[LaneSource]
    """Each lane by its snapshot."""
    lane_outcomes: dict[str, LaneOutcome]
    """What each lane came to, by its name."""
    blocker_union: list[str]
    """Every open blocker of every lane, sorted."""
    evidence_family_index: dict[str, FamilyEntry]
    """The lanes of each family of evidence, and those that passed."""
    lane_snapshot_index: dict[str, LaneIndexEntry]
    """The copy of each lane's snapshot, by the lane's name."""
    durable_publish_refs: list[str]
    """The address of each lane's snapshot, and of this one, on S3; empty where all is local."""
    bundle_integrity: BundleIntegrity
    """Whether every document that a lane's snapshot names is there."""
    hold_time: HoldTime
    """The seconds that HOLDs cost."""
    runtime_budget: RollupTime
    """The time and the money of the lanes, beside what was allowed."""
    gates: list[snapshot_sections.GateEntry]
    """Every question that was asked of the lanes, with its answer."""
    blocker_register: list[snapshot_sections.RegisterEntry]
    """Every blocker of the roll-up with its state."""
    blockers: list[str]
    """The ids of the roll-up's open blockers, sorted."""
    evidence_refs: list[snapshot_sections.EvidenceRef]
    """Every document of the roll-up by digest."""
    verifier: snapshot_sections.Verifier
    """The program and the version that reached the verdict."""

    @property
    def open_entries(self) -> list[snapshot_sections.RegisterEntry]:
        """The register's entries that count as open."""
        return [entry for entry in self.blocker_register if entry.open]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupVerdict:
    """A snapshot of a roll-up and its canonical bytes."""

    snapshot: RollupSnapshot
    content: bytes

    @classmethod
    def read(cls, content: bytes) -> Self:
        """The verdict of published bytes. Raises `errors.EvidenceCorrupt` and `errors.EvidenceUnknown`."""
        value: Any = canonical.decode(content)
        snapshot = models.read(RollupSnapshot, content)
        if canonical.encode(value) != content:
            raise errors.EvidenceCorrupt("its bytes are not the canonical form of what they say")
        return cls(snapshot=snapshot, content=content)

    @property
    def sha256(self) -> str:
        """The digest of the snapshot."""
        return canonical.digest(self.content)


def list_evidence(
    order: rollup_documents.RollupOrder, contents: dict[str, bytes]
) -> list[snapshot_sections.EvidenceRef]:
    """Every document that is there, by digest."""
    return [
        snapshot_sections.EvidenceRef(
            name=name,
            sha256=canonical.digest(content),
            size=len(content),
            media_type="application/json",
            keys=[f"{folder}/{name}" for folder in order.folders],
        )
        for name, content in sorted(contents.items())
    ]
