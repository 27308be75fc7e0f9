"""The documents of a bundle: those of a run, its priors, the phases that it required, and the lanes of a roll-up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.verdict import rollups
from burst.evidence import full_verification, places, soundness, verification

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.documents import entry_answers
    from burst.domain.plan import catalogues
    from burst.domain.verdict import rollup_snapshots

MOST_RUNS = 500
HERE, NOT_HERE = "in here", "not in here"


@dataclass(slots=True)
class Collected:
    """What a bundle holds so far."""

    contents: dict[str, bytes] = field(default_factory=dict)
    """The documents by `execution id/name`."""
    kinds: dict[str, catalogues.Kind] = field(default_factory=dict)
    """The kind of each run in it that passed."""
    rests_on: dict[str, str] = field(default_factory=dict)
    """Each run that it rests on beside its priors, and whether that is in it."""

    def add(
        self, execution_id: str, run: places.RunPlace, verified: full_verification.Verified, opener: places.Opener
    ) -> None:
        """Adds a run whose evidence holds, and everything that it rests on."""
        finding = verified.finding
        if finding.rollup is not None:
            self.contents |= _read_rollup(execution_id, run.store, finding.rollup.snapshot, str(finding.name))
            for lane in finding.rollup.snapshot.source_snapshot_refs:
                if lane.execution_id is not None and lane.sha256 is not None:
                    self._add_beside(lane.execution_id, lane.sha256, run, opener)
            return
        snapshot = finding.require_verdict().snapshot
        self.contents |= _collect_evidence(execution_id, run.store, finding)
        if snapshot.overall_pass:
            self.kinds[execution_id] = snapshot.kind
        for link in verified.chain:
            if link.store is not None:
                self.contents |= _collect_evidence(link.execution_id, link.store, verification.verify(link.store))
        for ref in snapshot.dependency_refs:
            self._add_required(ref, opener)

    def _add_beside(self, execution_id: str, sha256: str, run: places.RunPlace, opener: places.Opener) -> None:
        """Adds a lane of a roll-up, whose evidence lies beside it."""
        place = f"{run.place.rstrip('/').rpartition('/')[0]}/{execution_id}"
        beside = places.RunPlace(place=place, store=run.beside.store(execution_id), beside=run.beside)
        self._add_run(execution_id, sha256, beside, opener)

    def _add_required(self, ref: entry_answers.DependencyRef, opener: places.Opener) -> None:
        """Adds a phase that an entry gate required, where its evidence is to be had."""
        if ref.phase is None or ref.execution_id is None or ref.execution_id in self.rests_on:
            return
        self.rests_on[ref.execution_id] = NOT_HERE
        try:
            runs = opener.runs(ref.place)
            place = f"{ref.place.rstrip('/')}/{ref.execution_id}"
            run = places.RunPlace(place=place, store=runs.store(ref.execution_id), beside=runs)
        except errors.BurstError:
            return
        self._add_run(ref.execution_id, ref.sha256, run, opener)

    def _add_run(self, execution_id: str, sha256: str, run: places.RunPlace, opener: places.Opener) -> None:
        """Adds a run by the digest of its snapshot; evidence that does not hold stays out, and that is said."""
        self.rests_on[execution_id] = NOT_HERE
        if len(self.rests_on) > MOST_RUNS:
            raise errors.EvidenceUnknown(f"it rests on more than {MOST_RUNS} runs")
        verified = full_verification.verify(run, opener)
        if verified.finding.state is soundness.EvidenceState.OK and verified.finding.sha256 == sha256:
            self.rests_on[execution_id] = HERE
            self.add(execution_id, run, verified, opener)

    def list_families(self, rollup: rollup_snapshots.RollupSnapshot | None) -> dict[str, list[str]]:
        """The runs in it that stand for each family: by a roll-up's own index, else by their kind."""
        if rollup is None:
            return {
                family: sorted(execution_id for execution_id, kind in self.kinds.items() if kind in kinds)
                for family, kinds in rollups.FAMILY_KINDS.items()
            }
        ids = {lane.lane: lane.execution_id for lane in rollup.source_snapshot_refs}
        by_family = {
            family: [ids.get(lane) for lane in entry.passed] for family, entry in rollup.evidence_family_index.items()
        }
        return {
            family: sorted(each for each in by_family.get(family, []) if each is not None and each in self.kinds)
            for family in rollups.FAMILY_KINDS
        }


def _read_rollup(
    execution_id: str, store: ports.EvidenceStore, snapshot: rollup_snapshots.RollupSnapshot, name: str
) -> dict[str, bytes]:
    names = [*(ref.name for ref in snapshot.evidence_refs), name]
    return {f"{execution_id}/{each}": store.read(each) for each in names}


def _collect_evidence(
    execution_id: str, store: ports.EvidenceStore, finding: soundness.Verification
) -> dict[str, bytes]:
    """The documents a run's snapshot names, of the journal the prefix it names; the snapshot, report and signature.

    So the bundle of a run's own folder, whose journal goes on, and of a place it was published to are the same.
    """
    snapshot = finding.require_verdict().snapshot
    contents, kind = {ref.name: store.read(ref.name)[: ref.size] for ref in snapshot.evidence_refs}, snapshot.kind
    beside = (
        document_names.REPORT,
        finding.name,
        document_names.snapshot_name(finding.slug, kind),
        document_names.signature_name(finding.slug, kind),
    )
    contents |= {name: store.read(name) for name in store.names() if name in beside}
    return {f"{execution_id}/{name}": content for name, content in contents.items()}
