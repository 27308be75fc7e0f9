"""Steps that are roll-ups: the order from the journal of the campaign, the evidence of every lane, and the verdict.

Each document is frozen before the next one is made, so doing it again gives the same bytes, and a process that dies is
followed by one that goes on. The snapshot is written last: here, then to the places of the campaign's evidence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from burst import evidence, ports
from burst.adapters.aws import s3_store
from burst.adapters.local import folder_store, system_clock
from burst.control import campaigning, publication
from burst.domain.basics import canonical, errors
from burst.domain.course import campaign_files, courses
from burst.domain.documents import campaign_records, document_names, models, rollup_documents
from burst.domain.plan import catalogues, evidence_sections
from burst.domain.verdict import rollup_snapshots, rollups
from burst.evidence import places, rollup_verification
from burst.wiring.targets import ecs_places


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRollup:
    """A roll-up, whose documents are kept as the evidence of its campaign says."""

    evidence: evidence_sections.EvidenceSection
    execution_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupSteps:
    """The roll-ups of one campaign, whose file lies in its folder."""

    file: campaign_files.CampaignFile
    folder: Path

    def take(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepEnd | campaigning.StepCut:
        """Rolls up, or goes on with it."""
        order = self.build_order(step, attempt, course)
        lanes = {lane.name: course.step(lane.name).snapshot for lane in order.lanes}
        sources = {name: snapshot.place for name, snapshot in lanes.items() if snapshot is not None}
        folder = Path(self.file.evidence.local) / order.execution_id
        try:
            own_file = folder_store.FolderStore(self.folder).read(campaign_records.FILE)
            kept = KeptRollup(evidence=self.file.evidence, execution_id=order.execution_id)
            opener = ecs_places.PlaceOpener(kept, attempt.intended_at, system_clock.SystemClock().now())
            verdict = roll_up(order, sources, folder, own_file, opener.open)
        except errors.PublicationFailed as exc:
            return campaigning.StepCut(exit_code=exc.exit_code, reason=str(exc))
        except errors.BurstError as exc:
            return campaigning.StepEnd(end="FAILED", exit_code=exc.exit_code, reason=str(exc))
        snapshot = verdict.snapshot
        place = order.folders[0] if order.folders else str(folder)
        return campaigning.StepEnd(
            end="PASS" if snapshot.overall_pass else "HOLD",
            exit_code=snapshot.exit_code,
            reason=snapshot.exit_reason,
            snapshot=courses.CitedSnapshot(place=place, sha256=verdict.sha256),
            blockers=tuple(snapshot.blockers),
        )

    def build_order(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> rollup_documents.RollupOrder:
        """The order of a roll-up, from file and journal alone: built again, it is the same."""
        rollup = step.rollup
        if rollup is None:
            raise ValueError(f"step {step.name} is no roll-up")
        named = {name for members in rollup.families.values() for name in members}
        lanes = [section for section in self.file.steps if section.name in named]
        scope, group = self.file.scope, rollup.phase.lower().split(".")[0]
        return rollup_documents.RollupOrder(
            execution_id=attempt.run_id,
            phase=rollup.phase,
            environment=self.file.environment,
            campaign_id=course.campaign_id,
            campaign_sha256=course.file_sha256,
            advance=rollup.advance,
            hold=rollup.hold,
            families={family: list(members) for family, members in rollup.families.items()},
            require=list(rollup.require),
            lanes=[_order_lane(lane.name, course) for lane in lanes],
            budget=self._build_budget(attempt, course),
            folders=[
                *(f"{place}/{attempt.run_id}" for place in self.file.evidence.control_places),
                *(f"{place}/{scope or attempt.run_id}/{group}" for place in self.file.evidence.scoped_places),
            ],
            verifier=rollups.VERIFIER,
        )

    def _build_budget(self, attempt: courses.StepAttempt, course: courses.Course) -> rollup_documents.RollupBudget:
        """The time until the roll-up was intended, without pauses, and the most that every attempt can have cost."""
        cap = self.file.budget.cost_cap_usd
        return rollup_documents.RollupBudget(
            budget_seconds=self.file.budget.max,
            elapsed_seconds=course.worked_seconds(attempt.intended_at),
            cost_cap_usd=cap,
            cost_usd=None if cap is None else course.spent_usd,
        )


def _order_lane(name: str, course: courses.Course) -> rollup_documents.LaneOrder:
    state = course.step(name)
    last = state.last
    return rollup_documents.LaneOrder(
        name=name,
        execution_id=None if last is None else last.run_id,
        sha256=None if state.snapshot is None else state.snapshot.sha256,
        attempts=sum(not attempt.lost for attempt in state.attempts),
        lost_to_hold_seconds=state.lost_to_hold_seconds,
    )


def roll_up(
    order: rollup_documents.RollupOrder,
    sources: dict[str, str],
    folder: Path,
    campaign: bytes | None = None,
    open_place: Callable[[str], ports.EvidencePlace] = s3_store.S3Store,
) -> rollup_snapshots.RollupVerdict:
    """Makes a roll-up in a folder, and publishes it to the places of its order. Done again it is the same. `campaign`
    is the file of the campaign, where it is one's.

    Raises `errors.PublicationFailed` where it cannot be made durable, `errors.Conflict` where the folder holds another.
    """
    store = _open_folder(folder)
    _freeze(store, rollup_documents.ORDER, order.content())
    if campaign is not None:
        _freeze(store, rollup_documents.CAMPAIGN, campaign)
    if rollup_documents.LANES not in store.names():
        examined = examine_lanes(order, sources)
        for name, content in list_copies(examined).items():
            _freeze(store, name, content)
        _freeze(store, rollup_documents.LANES, make_lanes(order, examined).content())
    frozen = set(store.names())
    contents = {name: store.read(name) for name in order.names if name in frozen}
    verdict = rollups.adjudicate(contents)
    name = document_names.snapshot_name(order.slug, catalogues.Kind.ROLLUP)
    published = [open_place(place) for place in reversed(order.folders)]
    publication.spread(published, contents)
    _freeze(store, name, verdict.content)
    publication.commit(published, name, verdict.content)
    return verdict


def derive(
    order_content: bytes, sources: Sequence[str], campaign: bytes | None = None
) -> rollup_snapshots.RollupVerdict:
    """The verdict of an order over the snapshots at some places, written nowhere: the same documents give the same
    bytes. A snapshot is that of the lane whose digest it has."""
    order = models.read(rollup_documents.RollupOrder, order_content)
    opener, by_digest = places.Opener(), {}
    for source in sources:
        lane = rollup_verification.examine_lane("lane", opener.run(source), _verify)
        by_digest[lane.finding.sha256] = source
    named = {entry.name: by_digest[entry.sha256] for entry in order.lanes if entry.sha256 in by_digest}
    strange = sorted(source for source in sources if source not in named.values())
    if strange:
        raise errors.UsageError(f"--snapshots {strange[0]}: its snapshot is of no lane of the order")
    examined = examine_lanes(order, named)
    contents = {
        rollup_documents.ORDER: order_content,
        rollup_documents.LANES: make_lanes(order, examined).content(),
        **({} if campaign is None else {rollup_documents.CAMPAIGN: campaign}),
        **list_copies(examined),
    }
    return rollups.adjudicate(contents)


def examine_lanes(
    order: rollup_documents.RollupOrder, sources: dict[str, str]
) -> list[rollup_verification.ExaminedLane]:
    """The evidence of every lane that has a place, verified."""
    opener = places.Opener()
    return [
        rollup_verification.examine_lane(lane.name, opener.run(sources[lane.name]), _verify)
        for lane in order.lanes
        if lane.name in sources
    ]


def make_lanes(
    order: rollup_documents.RollupOrder, examined: Sequence[rollup_verification.ExaminedLane]
) -> rollup_documents.RollupLanes:
    """The document of what was found of the lanes."""
    return rollup_documents.RollupLanes(execution_id=order.execution_id, lanes=[lane.finding for lane in examined])


def list_copies(examined: Sequence[rollup_verification.ExaminedLane]) -> dict[str, bytes]:
    """The copy of each lane's snapshot, by name."""
    return {
        rollup_documents.name_lane(lane.finding.name): lane.content for lane in examined if lane.content is not None
    }


def _verify(run: places.RunPlace) -> evidence.Verification:
    return evidence.verify(run.place).finding


def _open_folder(folder: Path) -> folder_store.FolderStore:
    if folder.is_dir():
        return folder_store.FolderStore(folder)
    return folder_store.FolderStore.create(folder.parent, folder.name)


def _freeze(store: folder_store.FolderStore, name: str, content: bytes) -> None:
    """Writes a document once and reads it back. Raises `errors.PublicationFailed` where that cannot be."""
    try:
        store.put_once(name, content)
        written = store.read(name)
    except (errors.Unavailable, errors.EvidenceUnknown) as exc:
        raise errors.PublicationFailed(f"{name} could not be written: {exc}") from exc
    if canonical.digest(written) != canonical.digest(content):
        raise errors.PublicationFailed(f"{name} read back as other bytes")
