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
    execution_id: str | None
    platform_run_id: str | None
    phase: str | None
    kind: str | None
    sha256: models.Digest | None


class LaneOutcome(models.Model):
    """`lane_outcomes`: what one lane came to; `missing` where its snapshot is not there, or nobody can read it."""

    verdict: Literal["PASS", "HOLD", "missing"]
    blockers: list[str]
    attempts: models.Count
    lost_to_hold_seconds: float


class LaneIndexEntry(models.Model):
    """`lane_snapshot_index`: the document of one lane, and how its evidence was found."""

    name: str
    sha256: models.Digest | None
    state: str


class FamilyEntry(models.Model):
    """`evidence_family_index`: the lanes of one family, and those of them that passed."""

    lanes: list[str]
    passed: list[str]
    required: bool


class BundleIntegrity(models.Model):
    """`bundle_integrity`: the documents that lanes name and that are not there."""

    missing_refs: list[str]
    integrity_pass: bool


class HoldTime(models.Model):
    """`hold_time`: the seconds that HOLDs cost, in all and lane by lane."""

    total_seconds: float
    by_lane: dict[str, float]


class RollupTime(models.Model):
    """`runtime_budget`: the time and the money of the lanes, beside what was allowed."""

    budget_seconds: float | None
    elapsed_seconds: float | None
    cost_cap_usd: float | None
    cost_usd: float | None
    budget_pass: bool


class RollupSnapshot(models.Model):
    """`{slug}_rollup_snapshot.json`: written last; its existence is the commit."""

    schema_: Annotated[Literal["burst.rollup-snapshot/v1"], pydantic.Field(alias="schema")] = SCHEMA
    phase: str
    kind: Literal["rollup"] = "rollup"
    execution_id: str
    platform_run_id: str | None
    """The scope of every lane, where they have one in common."""
    environment: str
    campaign_id: str | None
    campaign_sha256: models.Digest | None
    verdict: str
    """The word of the order: its `advance` or its `hold`."""
    overall_pass: bool
    exit_code: int
    exit_reason: models.Words
    source_snapshot_refs: list[LaneSource]
    lane_outcomes: dict[str, LaneOutcome]
    blocker_union: list[str]
    """Every open blocker of every lane, sorted."""
    evidence_family_index: dict[str, FamilyEntry]
    lane_snapshot_index: dict[str, LaneIndexEntry]
    durable_publish_refs: list[str]
    """The address of each lane's snapshot, and of this one, on S3; empty where all is local."""
    bundle_integrity: BundleIntegrity
    hold_time: HoldTime
    runtime_budget: RollupTime
    gates: list[snapshot_sections.GateEntry]
    blocker_register: list[snapshot_sections.RegisterEntry]
    blockers: list[str]
    evidence_refs: list[snapshot_sections.EvidenceRef]
    verifier: snapshot_sections.Verifier

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
