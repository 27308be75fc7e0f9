"""Roll-ups: nothing that is left out turns a HOLD into an ADVANCE, the same documents give the same bytes, and a
roll-up holds no longer than the evidence of its lanes."""

import json
import shutil
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst import evidence
from burst.adapters.local import folder_store
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, rollup_documents
from burst.domain.plan import catalogues
from burst.domain.verdict import rollup_snapshots, rollups
from burst.wiring import campaign_rollups
from tests import cases, rolling_up
from tests.evidence import evidencing

ROLLUP = document_names.snapshot_name("m10_j", catalogues.Kind.ROLLUP)


def open_shorts(verdict: rollup_snapshots.RollupVerdict) -> set[str]:
    return {blocker.rpartition("-")[2] for blocker in verdict.snapshot.blockers}


def test_lanes_that_all_pass_advance_by_the_word_of_the_team() -> None:
    verdict = rollups.adjudicate(rolling_up.make_documents())

    snapshot = verdict.snapshot
    assert (snapshot.verdict, snapshot.overall_pass, snapshot.exit_code) == ("ADVANCE_CERTIFIED_DEV_MIN", True, 0)
    assert (snapshot.blocker_union, snapshot.bundle_integrity.integrity_pass) == ([], True)
    assert snapshot.evidence_family_index["scale"].passed == ["burst", "soak"]
    assert (snapshot.hold_time.total_seconds, snapshot.hold_time.by_lane["soak"]) == (8511, 8511)
    assert [gate.status for gate in snapshot.gates] == ["PASS"] * len(snapshot.gates)
    assert rollups.adjudicate(rolling_up.make_documents()).content == verdict.content
    assert rollup_snapshots.RollupVerdict.read(verdict.content) == verdict


def test_a_lane_on_hold_holds_with_the_union_of_the_open_blockers() -> None:
    snapshot = rollups.adjudicate(rolling_up.make_documents(frozenset({"burst", "soak"}))).snapshot

    assert (snapshot.verdict, snapshot.exit_code) == ("HOLD", 3)
    assert snapshot.blocker_union == ["M10F-B1"]
    assert snapshot.lane_outcomes["burst"].verdict == "HOLD"
    assert {"M10J-B3", "M10J-B4", "M10J-B5"} <= set(snapshot.blockers)


def spoil_nothing(contents: dict[str, bytes]) -> None:
    """Leaves the documents as they are."""


def forget_lane(contents: dict[str, bytes], lane: str = "soak") -> None:
    del contents[rollup_documents.name_lane(lane)]


def forget_findings(contents: dict[str, bytes]) -> None:
    del contents[rollup_documents.LANES]


def swap_lane(contents: dict[str, bytes]) -> None:
    contents[rollup_documents.name_lane("soak")] = rolling_up.SNAPSHOTS["burst", True]


def break_schema(contents: dict[str, bytes]) -> None:
    value = json.loads(contents[rollup_documents.name_lane("soak")])
    contents[rollup_documents.name_lane("soak")] = canonical.encode({**value, "schema": "burst.snapshot/v9"})


def break_lane(contents: dict[str, bytes]) -> None:
    contents[rollup_documents.name_lane("soak")] = b"{"


def change_finding(contents: dict[str, bytes], **changes: Any) -> None:
    value = json.loads(contents[rollup_documents.LANES])
    value["lanes"][0] |= changes
    contents[rollup_documents.LANES] = canonical.encode(value)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (spoil_nothing, set[str]()),
        (forget_lane, {"B1", "B3", "B4", "B5"}),
        (forget_findings, {"B1", "B3", "B5", "B7"}),
        (swap_lane, {"B1", "B3"}),
        (break_schema, {"B1", "B2", "B3", "B4", "B5"}),
        (break_lane, {"B1", "B3", "B4", "B5"}),
        (lambda contents: change_finding(contents, state="corrupt"), {"B1"}),
        (lambda contents: change_finding(contents, missing_refs=["plan.json"]), {"B1"}),
        (lambda contents: change_finding(contents, published=False), {"B7"}),
        (lambda contents: change_finding(contents, sha256="0" * 64), {"B1", "B3", "B5"}),
    ],
)
def test_each_fault_opens_its_own_blockers(spoil: Any, expected: set[str]) -> None:
    contents = rolling_up.make_documents()
    spoil(contents)

    assert open_shorts(rollups.adjudicate(contents)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"families": {**rolling_up.FAMILIES, "incident_drill": ["burst"], "scale": ["drill", "soak"]}}, {"B5"}),
        ({"families": {**rolling_up.FAMILIES, "scale": ["burst"]}}, {"B5"}),
        ({"families": {key: rolling_up.FAMILIES[key] for key in ("semantic", "incident_drill", "scale")}}, {"B5"}),
        ({"budget": {"budget_seconds": 1, "elapsed_seconds": 2, "cost_cap_usd": None, "cost_usd": None}}, {"B8"}),
        ({"budget": {"budget_seconds": 9, "elapsed_seconds": 2, "cost_cap_usd": 1, "cost_usd": None}}, {"B8"}),
        ({"budget": dict.fromkeys(("budget_seconds", "elapsed_seconds", "cost_cap_usd", "cost_usd"))}, {"B8"}),
        ({"lanes": []}, {"B1", "B2", "B3", "B4", "B5", "B7"}),
    ],
)
def test_an_order_that_leaves_something_out_does_not_advance(changes: dict[str, Any], expected: set[str]) -> None:
    assert open_shorts(rollups.adjudicate(rolling_up.make_documents(**changes))) == expected


PARTS = [
    rollup_documents.LANES,
    rollup_documents.CAMPAIGN,
    *(rollup_documents.name_lane(lane) for lane in rolling_up.KINDS),
]
"""The documents beside the order."""


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(
    held=st.frozensets(st.sampled_from(sorted(rolling_up.KINDS)), max_size=2),
    documents=st.frozensets(st.sampled_from(PARTS), max_size=3),
    findings=st.frozensets(st.sampled_from(sorted(rolling_up.KINDS)), max_size=2),
    steps=st.frozensets(st.sampled_from(sorted(rolling_up.KINDS)), max_size=2),
    members=st.frozensets(st.sampled_from(sorted(rolling_up.KINDS)), max_size=2),
)
def test_leaving_out_a_document_a_finding_or_a_step_never_turns_a_hold_into_an_advance(
    held: frozenset[str],
    documents: frozenset[str],
    findings: frozenset[str],
    steps: frozenset[str],
    members: frozenset[str],
) -> None:
    contents = rolling_up.make_documents(held)
    order, found = json.loads(contents[rollup_documents.ORDER]), json.loads(contents[rollup_documents.LANES])
    found["lanes"] = [lane for lane in found["lanes"] if lane["name"] not in findings]
    order["lanes"] = [lane for lane in order["lanes"] if lane["name"] not in steps]
    order["families"] = {
        family: [name for name in lanes if name not in members] for family, lanes in order["families"].items()
    }
    contents |= {rollup_documents.ORDER: canonical.encode(order), rollup_documents.LANES: canonical.encode(found)}
    contents = {name: content for name, content in contents.items() if name not in documents}

    snapshot = rollups.adjudicate(contents).snapshot

    if held or documents or findings or steps or members:
        assert not snapshot.overall_pass
        assert snapshot.verdict == "HOLD"
    else:
        assert snapshot.verdict == "ADVANCE_CERTIFIED_DEV_MIN"


# Evidence in folders


def make_site(runs: Path) -> tuple[rollup_documents.RollupOrder, dict[str, str], Path]:
    """Two bursts that passed, and the order of a roll-up over them."""
    lanes, sources = [], {}
    for number, lane in enumerate(("window", "burst"), start=1):
        contents = evidencing.published(evidencing.case(evidencing.run_id(number)))
        folder = evidencing.folder(runs, evidencing.run_id(number), contents)
        sources[lane] = str(folder)
        lanes.append(
            {
                "name": lane,
                "execution_id": folder.name,
                "sha256": canonical.digest(contents[evidencing.SNAPSHOT]),
                "attempts": 1,
                "lost_to_hold_seconds": 0,
            }
        )
    families = {"semantic": ["window"], "scale": ["burst"]}
    order = rolling_up.make_order(lanes=lanes, families=families, require=list(families), campaign_sha256=None)
    return order, sources, runs / order.execution_id


def test_a_roll_up_is_verified_listed_and_derived_again_to_the_byte(tmp_path: Path) -> None:
    order, sources, folder = make_site(tmp_path)

    verdict = campaign_rollups.roll_up(order, sources, folder)

    verified = evidence.verify(folder)
    assert (verified.exit_code, verified.finding.sha256) == (0, verdict.sha256)
    assert (folder / ROLLUP).read_bytes() == verdict.content
    again = campaign_rollups.derive(order.content(), list(sources.values()))
    assert again.content == verdict.content
    newest = evidence.latest(tmp_path, phase="M10.J")
    assert (newest.execution_id, newest.figures["overall_pass"]) == (order.execution_id, True)
    assert [attempt.execution_id for attempt in evidence.ls(tmp_path, phase="M10.J")] == [order.execution_id]
    assert len(evidence.ls(tmp_path)) == 3


def test_a_snapshot_that_is_left_out_holds_and_a_strange_one_is_refused(tmp_path: Path) -> None:
    order, sources, _ = make_site(tmp_path)
    other = evidencing.run_id(9)
    strange = evidencing.folder(tmp_path, other, evidencing.published(evidencing.case(other)))

    assert campaign_rollups.derive(order.content(), [sources["burst"]]).snapshot.verdict == "HOLD"
    with pytest.raises(errors.UsageError, match="of no lane"):
        campaign_rollups.derive(order.content(), [*sources.values(), str(strange)])


@pytest.mark.parametrize("last", range(5))
def test_a_roll_up_that_died_after_any_document_is_finished_to_the_same_bytes(tmp_path: Path, last: int) -> None:
    order, sources, folder = make_site(tmp_path)
    expected = campaign_rollups.roll_up(order, sources, folder)
    written = [rollup_documents.ORDER, *map(rollup_documents.name_lane, sources), rollup_documents.LANES, ROLLUP]
    assert sorted(written) == sorted(folder_store.FolderStore(folder).names())

    for name in written[last:]:
        (folder / name).unlink()

    assert evidence.verify(folder).exit_code == 7
    assert campaign_rollups.roll_up(order, sources, folder) == expected
    assert evidence.verify(folder).exit_code == 0


def drop_lane_evidence(site: Path, folder: Path) -> None:
    shutil.rmtree(site / evidencing.run_id(1))


def spoil_lane_evidence(site: Path, folder: Path) -> None:
    path = site / evidencing.run_id(1) / cases.METRICS
    path.write_bytes(path.read_bytes().replace(b"ADMIT", b"ADMIR"))


def drop_document(site: Path, folder: Path) -> None:
    (folder / rollup_documents.LANES).unlink()


def forge_verdict(site: Path, folder: Path) -> None:
    value = json.loads((folder / ROLLUP).read_bytes())
    (folder / ROLLUP).write_bytes(canonical.encode({**value, "verdict": "ADVANCE_FAR"}))


def add_document(site: Path, folder: Path) -> None:
    value = json.loads((folder / ROLLUP).read_bytes())
    value["evidence_refs"] = [ref for ref in value["evidence_refs"] if ref["name"] != rollup_documents.LANES]
    (folder / ROLLUP).write_bytes(canonical.encode(value))


@pytest.mark.parametrize(
    ("spoil", "exit_code"),
    [
        (drop_lane_evidence, 9),
        (spoil_lane_evidence, 8),
        (drop_document, 8),
        (forge_verdict, 8),
        (add_document, 8),
    ],
)
def test_a_roll_up_that_anything_is_wrong_with_does_not_hold(tmp_path: Path, spoil: Any, exit_code: int) -> None:
    order, sources, folder = make_site(tmp_path)
    campaign_rollups.roll_up(order, sources, folder)

    spoil(tmp_path, folder)

    assert evidence.verify(folder).exit_code == exit_code


def test_lanes_are_believed_where_the_caller_says_so_and_a_roll_up_is_no_run(tmp_path: Path) -> None:
    order, sources, folder = make_site(tmp_path)
    campaign_rollups.roll_up(order, sources, folder)
    with pytest.raises(errors.UsageError, match="it is a roll-up"):
        evidence.diff(folder, sources["burst"])

    shutil.rmtree(tmp_path / evidencing.run_id(1))

    assert evidence.verify(folder, priors=False).exit_code == 0


def test_no_lane_of_a_roll_up_is_pruned(tmp_path: Path) -> None:
    order, sources, folder = make_site(tmp_path)
    campaign_rollups.roll_up(order, sources, folder)

    fates = evidence.prune(tmp_path, keep=evidence.Keep(newest=0, grace_seconds=0.0))

    reasons = {fate.execution_id: fate.kept for fate in fates}
    assert all(f"{order.execution_id} rests on it" == reasons[Path(place).name] for place in sources.values())
    assert "roll-up" in str(reasons[order.execution_id])
