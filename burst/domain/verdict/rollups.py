"""Roll-ups: the verdict over the snapshots of phases, as a pure function from documents to bytes.

Nothing advances unless every lane is there, sound, of a known schema and a PASS, the union of their open blockers is
empty, and every family of evidence that is required has a lane that may stand for it. An answer that nobody has holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from burst.domain.basics import canonical, errors, wording
from burst.domain.course import campaign_files
from burst.domain.documents import document_names, models, rollup_documents
from burst.domain.plan import catalogues
from burst.domain.verdict import cases, gates, rollup_snapshots, snapshot_sections, snapshots

Kind: TypeAlias = catalogues.Kind
Role: TypeAlias = catalogues.Role
FAMILY_KINDS: Mapping[str, frozenset[Kind]] = {
    "semantic": frozenset({Kind.WINDOW, Kind.BURST, Kind.SOAK, Kind.RECOVERY, Kind.DRILL, Kind.REPRODUCIBILITY}),
    "incident_drill": frozenset({Kind.DRILL, Kind.RECOVERY}),
    "scale": frozenset({Kind.WINDOW, Kind.BURST, Kind.SOAK, Kind.RECOVERY}),
    "reproducibility": frozenset({Kind.REPRODUCIBILITY}),
}
"""The kinds of phases that may stand for a family: a burst is no incident drill."""
SOUND = "ok"
"""The state of evidence that holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One lane with everything that is known of it."""

    order: rollup_documents.LaneOrder
    finding: rollup_documents.LaneFinding | None
    content: bytes | None
    snapshot: snapshots.Snapshot | None
    problem: str
    """Why its snapshot cannot be read; empty where it can."""
    known_schema: bool

    @property
    def name(self) -> str:
        """Its name in the order."""
        return self.order.name

    @property
    def is_named(self) -> bool:
        """Whether the copy is the snapshot that the order and the finding name by digest."""
        if self.content is None or self.order.sha256 is None or self.finding is None:
            return False
        return canonical.digest(self.content) == self.order.sha256 == self.finding.sha256

    @property
    def passed(self) -> bool:
        """Whether it is the snapshot that is named, and a PASS."""
        return self.snapshot is not None and self.is_named and self.snapshot.overall_pass

    @property
    def blockers(self) -> list[str]:
        """Its open blockers."""
        return [] if self.snapshot is None else list(self.snapshot.blockers)


def adjudicate(contents: Mapping[str, bytes]) -> rollup_snapshots.RollupVerdict:
    """The verdict of a roll-up's documents, by name: the order, the findings, and the copy of each lane.

    Raises `errors.EvidenceCorrupt` and `errors.EvidenceUnknown` for an order that cannot be read; anything else that is
    missing or unreadable leaves a blocker open.
    """
    order = models.read(rollup_documents.RollupOrder, contents[rollup_documents.ORDER])
    lanes = _read_lanes(order, contents)
    answers = [*_ask(order, lanes), *_ask_campaign(order, contents.get(rollup_documents.CAMPAIGN))]
    named = {name: contents[name] for name in order.names if name in contents}
    register = _make_register(order, answers)
    open_ids = sorted(entry.blocker for entry in register if entry.open)
    passed = not open_ids
    count = wording.format_count(len(open_ids), "blocker")
    snapshot = rollup_snapshots.RollupSnapshot(
        phase=order.phase,
        execution_id=order.execution_id,
        platform_run_id=_find_scope(lanes),
        environment=order.environment,
        campaign_id=order.campaign_id,
        campaign_sha256=order.campaign_sha256,
        verdict=order.advance if passed else order.hold,
        overall_pass=passed,
        exit_code=0 if passed else 3,
        exit_reason=f"{order.advance}: no blocker open" if passed else f"{order.hold}: {count} open",
        **_list_sections(order, lanes),
        runtime_budget=_make_budget(order, answers),
        gates=[_write_gate(order, gate) for gate in answers],
        blocker_register=register,
        blockers=open_ids,
        evidence_refs=rollup_snapshots.list_evidence(order, named),
        verifier=order.verifier,
    )
    return rollup_snapshots.RollupVerdict(snapshot=snapshot, content=snapshot.content())


def _read_lanes(order: rollup_documents.RollupOrder, contents: Mapping[str, bytes]) -> list[Lane]:
    findings: dict[str, rollup_documents.LaneFinding] = {}
    try:
        document = models.read(rollup_documents.RollupLanes, contents[rollup_documents.LANES])
        if document.execution_id == order.execution_id:
            findings = {finding.name: finding for finding in document.lanes}
    except (LookupError, errors.EvidenceCorrupt, errors.EvidenceUnknown):
        pass  # no lane is known to be sound then
    return [
        _read_lane(lane, findings.get(lane.name), contents.get(rollup_documents.name_lane(lane.name)))
        for lane in order.lanes
    ]


def _read_lane(
    order: rollup_documents.LaneOrder, finding: rollup_documents.LaneFinding | None, content: bytes | None
) -> Lane:
    snapshot, problem, known_schema = None, "", True
    if content is None:
        problem = "its snapshot is not there"
    else:
        try:
            snapshot = snapshots.Verdict.read(content).snapshot
        except errors.EvidenceUnknown as exc:
            problem, known_schema = str(exc), False
        except errors.EvidenceCorrupt as exc:
            problem = str(exc)
    return Lane(
        order=order, finding=finding, content=content, snapshot=snapshot, problem=problem, known_schema=known_schema
    )


def _ask(order: rollup_documents.RollupOrder, lanes: Sequence[Lane]) -> list[gates.Gate]:
    """Every question of a roll-up, with its answer."""
    return [
        _count(Role.EVIDENCE, "lanes_present", [lane.name for lane in lanes if not lane.is_named], "not there", lanes),
        _count(
            Role.EVIDENCE,
            "evidence_sound",
            [lane.name for lane in lanes if lane.finding is None or lane.finding.state != SOUND],
            "without sound evidence",
            lanes,
        ),
        _count(
            Role.EVIDENCE,
            "snapshots_readable",
            [lane.name for lane in lanes if lane.snapshot is None and lane.known_schema],
            "not readable",
            lanes,
        ),
        _count(Role.EVIDENCE, "lanes_distinct", _list_twins(lanes), "the snapshot of another lane too", lanes),
        _count(Role.EVIDENCE, "bundle_integrity", _list_missing(lanes), "missing of the evidence", lanes),
        _count(
            Role.SCHEMA,
            "schemas_known",
            [lane.name for lane in lanes if not lane.known_schema],
            "of an unknown schema",
            lanes,
        ),
        _count(Role.OUTCOMES, "phases_passed", [lane.name for lane in lanes if not lane.passed], "no PASS", lanes),
        _count(Role.UNION, "blocker_union", _unite_blockers(lanes), "open", lanes),
        *_ask_families(order, lanes),
        _count(
            Role.PUBLICATION,
            "lanes_published",
            [lane.name for lane in lanes if lane.finding is None or not lane.finding.published],
            "not published",
            lanes,
        ),
        *_ask_budget(order),
    ]


def _ask_campaign(order: rollup_documents.RollupOrder, content: bytes | None) -> list[gates.Gate]:
    """Whether every phase that the campaign runs is a lane: asked of a roll-up of a campaign."""
    if order.campaign_sha256 is None:
        return []
    question = gates.GateQuestion(
        name="campaign_covered", blocker=Role.EVIDENCE, required=0, comparison=gates.Comparison.EQUALS
    )
    if content is None or canonical.digest(content) != order.campaign_sha256:
        return [question.answer(gates.GateStatus.INVALID, None, "the file of the campaign is not there, or another")]
    try:
        file = campaign_files.parse(content.decode(), source=rollup_documents.CAMPAIGN)
    except (errors.UsageError, UnicodeDecodeError) as exc:
        return [question.answer(gates.GateStatus.INVALID, None, f"the file of the campaign cannot be read: {exc}")]
    lanes = {lane.name for lane in order.lanes}
    left_out = [step.name for step in file.steps if step.plan is not None and step.name not in lanes]
    why = f"no lane: {', '.join(left_out)}" if left_out else "every phase of the campaign is a lane"
    status = gates.GateStatus.FAIL if left_out else gates.GateStatus.PASS
    return [question.answer(status, len(left_out), why)]


def _count(role: Role, name: str, wrong: Sequence[str], words: str, lanes: Sequence[Lane]) -> gates.Gate:
    """A gate that wants nothing wrong. Of no lane at all nothing is known, and so nothing passes."""
    question = gates.GateQuestion(name=name, blocker=role, required=0, comparison=gates.Comparison.EQUALS)
    if not lanes:
        return question.answer(gates.GateStatus.INVALID, None, "there is no lane")
    status = gates.GateStatus.FAIL if wrong else gates.GateStatus.PASS
    return question.answer(status, len(wrong), f"{words}: {', '.join(wrong)}" if wrong else f"none is {words}")


def _list_twins(lanes: Sequence[Lane]) -> list[str]:
    """The lanes whose snapshot stands for another lane too."""
    digests = [lane.order.sha256 for lane in lanes if lane.order.sha256 is not None]
    return [lane.name for lane in lanes if digests.count(lane.order.sha256 or "") > 1]


def _list_missing(lanes: Sequence[Lane]) -> list[str]:
    """The missing documents of every lane; of one without a finding, all of them."""
    missing: list[str] = []
    for lane in lanes:
        refs = ["everything"] if lane.finding is None else lane.finding.missing_refs
        missing += [f"{lane.name}/{ref}" for ref in refs]
    return sorted(missing)


def _unite_blockers(lanes: Sequence[Lane]) -> list[str]:
    """The open blockers of every lane, each once; a lane that nobody can read has an unknown one."""
    named = {blocker for lane in lanes for blocker in lane.blockers}
    unread = {f"{lane.name}: unknown" for lane in lanes if lane.snapshot is None}
    return sorted(named | unread)


def _ask_families(order: rollup_documents.RollupOrder, lanes: Sequence[Lane]) -> list[gates.Gate]:
    by_name = {lane.name: lane for lane in lanes}
    covered = {name for members in order.families.values() for name in members}
    stray = sorted(covered ^ by_name.keys())
    wrong_kind = [
        f"{name} in {family}"
        for family, members in sorted(order.families.items())
        for name in members
        if not _may_stand(by_name.get(name), family)
    ]
    empty = [
        family
        for family in order.require
        if not any(_stands(by_name.get(name), family) for name in order.families.get(family, []))
    ]
    return [
        _count(Role.FAMILIES, "families_covered", sorted(empty), "required and without a lane that passed", lanes),
        _count(Role.FAMILIES, "lanes_in_families", stray, "in no family, or in a family alone", lanes),
        _count(Role.FAMILIES, "family_kinds", wrong_kind, "of a kind that stands for no such family", lanes),
    ]


def _may_stand(lane: Lane | None, family: str) -> bool:
    """Whether a lane is of a kind that may stand for a family; one that nobody can read is of none."""
    return lane is not None and lane.snapshot is not None and lane.snapshot.kind in FAMILY_KINDS[family]


def _stands(lane: Lane | None, family: str) -> bool:
    return lane is not None and lane.passed and _may_stand(lane, family)


def _ask_budget(order: rollup_documents.RollupOrder) -> list[gates.Gate]:
    """The time and the money of everything before: asked where the order has a limit."""
    budget = order.budget
    limits = (
        (gates.RUNTIME_BUDGET, budget.elapsed_seconds, budget.budget_seconds, gates.SECONDS),
        ("cost_budget", budget.cost_usd, budget.cost_cap_usd, "USD"),
    )
    answers = []
    for name, measured, limit, unit in limits:
        if limit is None:
            continue
        question = gates.GateQuestion(
            name=name, blocker=Role.BUDGET, required=limit, comparison=gates.Comparison.AT_MOST, unit=unit
        )
        if measured is None:
            answers.append(question.answer(gates.GateStatus.INVALID, None, "nobody knows what was used"))
            continue
        status = gates.GateStatus.PASS if measured <= limit else gates.GateStatus.FAIL
        answers.append(question.answer(status, measured, f"{measured:g} {unit} of {limit:g} {unit}"))
    return answers


def name_blocker(order: rollup_documents.RollupOrder, behind: Role | str) -> str:
    """The roll-up's id of a blocker: `B1` is `M10J-B1`."""
    short = catalogues.CATALOGUES[Kind.ROLLUP].find_short(behind)
    return f"{order.phase.replace('.', '')}-{short}"


def _write_gate(order: rollup_documents.RollupOrder, gate: gates.Gate) -> snapshot_sections.GateEntry:
    return snapshot_sections.GateEntry(
        name=gate.name,
        blocker=name_blocker(order, gate.blocker),
        status=gate.status.value,
        measured=gate.measured,
        required=gate.required,
        comparison=gate.comparison.value if gate.comparison else None,
        unit=gate.unit,
        why=gate.why,
    )


def _make_register(
    order: rollup_documents.RollupOrder, answers: Sequence[gates.Gate]
) -> list[snapshot_sections.RegisterEntry]:
    """Every blocker. Those of writing and of publishing are cleared by the publication itself: no snapshot is written
    before its documents were read back, here and in every place."""
    catalogue = catalogues.CATALOGUES[Kind.ROLLUP]
    written = {catalogue.find_short(Role.LOCAL_WRITE), catalogue.find_short(Role.PUBLICATION)}
    entries = []
    for short, title in catalogue.titles.items():
        own = [gate for gate in answers if catalogue.find_short(gate.blocker) == short]
        failing = [gate for gate in own if not gate.passed]
        cleared = not failing and (bool(own) or short in written)
        if failing:
            why = "; ".join(f"{gate.name}: {gate.why}" for gate in failing)
        elif own:
            why = "every gate passes"
        else:
            why = "its documents were read back before this snapshot was written" if cleared else "nothing was asked"
        entries.append(
            snapshot_sections.RegisterEntry(
                blocker=name_blocker(order, short),
                title=title,
                state="cleared" if cleared else "open" if failing else "not-evaluated",
                open=not cleared,
                why=why,
                gates=[gate.name for gate in own],
                prior_state=None,
            )
        )
    return entries


def _make_budget(order: rollup_documents.RollupOrder, answers: Sequence[gates.Gate]) -> rollup_snapshots.RollupTime:
    own = [gate for gate in answers if gate.blocker is Role.BUDGET]
    return rollup_snapshots.RollupTime(
        **order.budget.model_dump(), budget_pass=bool(own) and all(gate.passed for gate in own)
    )


def _list_sections(order: rollup_documents.RollupOrder, lanes: Sequence[Lane]) -> dict[str, Any]:
    """The sections about lanes."""
    by_name = {lane.name: lane for lane in lanes}
    missing, lost = _list_missing(lanes), {lane.name: lane.order.lost_to_hold_seconds for lane in lanes}
    return {
        "source_snapshot_refs": [_describe_source(lane) for lane in lanes],
        "lane_outcomes": {lane.name: _describe_outcome(lane) for lane in lanes},
        "blocker_union": _unite_blockers(lanes),
        "evidence_family_index": {
            family: rollup_snapshots.FamilyEntry(
                lanes=list(members),
                passed=[name for name in members if _stands(by_name.get(name), family)],
                required=family in order.require,
            )
            for family, members in order.families.items()
        },
        "lane_snapshot_index": {
            lane.name: rollup_snapshots.LaneIndexEntry(
                name=rollup_documents.name_lane(lane.name),
                sha256=canonical.digest(lane.content) if lane.content is not None else None,
                state=lane.finding.state if lane.finding else "unknown",
            )
            for lane in lanes
        },
        "durable_publish_refs": _list_durable(order, lanes),
        "bundle_integrity": rollup_snapshots.BundleIntegrity(missing_refs=missing, integrity_pass=not missing),
        "hold_time": rollup_snapshots.HoldTime(total_seconds=sum(lost.values()), by_lane=lost),
    }


def _find_scope(lanes: Sequence[Lane]) -> str | None:
    """The scope that every lane has; None where they differ, or one is unknown."""
    scopes = {lane.snapshot.platform_run_id if lane.snapshot else None for lane in lanes}
    return scopes.pop() if len(scopes) == 1 else None


def _describe_source(lane: Lane) -> rollup_snapshots.LaneSource:
    snapshot = lane.snapshot
    return rollup_snapshots.LaneSource(
        lane=lane.name,
        execution_id=snapshot.execution_id if snapshot else lane.order.execution_id,
        platform_run_id=snapshot.platform_run_id if snapshot else None,
        phase=snapshot.phase if snapshot else None,
        kind=snapshot.kind.value if snapshot else None,
        sha256=lane.order.sha256,
    )


def _describe_outcome(lane: Lane) -> rollup_snapshots.LaneOutcome:
    return rollup_snapshots.LaneOutcome(
        verdict="missing" if lane.snapshot is None else "PASS" if lane.passed else "HOLD",
        blockers=lane.blockers,
        attempts=lane.order.attempts,
        lost_to_hold_seconds=lane.order.lost_to_hold_seconds,
    )


def _list_durable(order: rollup_documents.RollupOrder, lanes: Sequence[Lane]) -> list[str]:
    refs = [f"{folder}/{document_names.snapshot_name(order.slug, Kind.ROLLUP)}" for folder in order.folders]
    for lane in lanes:
        if lane.snapshot is None:
            continue
        keys = [key for ref in lane.snapshot.evidence_refs for key in ref.keys]
        folders = dict.fromkeys(key.rpartition("/")[0] for key in keys)
        name = document_names.snapshot_name(lane.snapshot.phase.lower().replace(".", "_"), lane.snapshot.kind)
        refs += [f"{folder}/{name}" for folder in folders]
    return refs


VERIFIER = dict(cases.VERIFIER)
"""The program and version that makes a roll-up now."""
