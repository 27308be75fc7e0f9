"""latest, ls, history, diff and bundle: on a folder of runs and on S3 alike."""

import functools
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.adapters import archive
from burst.adapters.local import folder_store
from burst.cli import main
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, questions, run_records
from burst.domain.run import run_ids
from burst.domain.run.events import ending_events
from burst.domain.verdict import snapshots
from burst.report import junit, outcomes, sarif
from burst.wiring import announcements
from tests import cases
from tests.evidence import evidencing
from tests.evidence.evidencing import SNAPSHOT
from tests.fixtures_aws import Cloud

State = evidence.EvidenceState
Put = Callable[[str, dict[str, bytes]], object]


class Shelf:
    """A place of runs, in a folder or on S3."""

    def __init__(self, place: str, put: Put, client: Any) -> None:
        self.place = place
        self._put = put
        self.client = client

    def add(self, execution_id: str, contents: dict[str, bytes] | None = None, **case: Any) -> dict[str, bytes]:
        """A run there, sound unless its documents are given."""
        made = evidencing.published(evidencing.case(execution_id, **case)) if contents is None else contents
        self._put(execution_id, made)
        return made


@pytest.fixture(params=["folder", "s3"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "folder":
        runs = tmp_path / "runs"
        return Shelf(str(runs), functools.partial(evidencing.folder, runs), None)
    cloud: Cloud = request.getfixturevalue("cloud")
    place = f"{cloud.place}/control"

    def put(name: str, contents: dict[str, bytes]) -> None:
        evidencing.on_s3(cloud.s3, f"{place}/{name}", contents)

    return Shelf(place, put, cloud.s3)


def test_latest_is_the_newest_attempt_of_the_phase_and_scope(shelf: Shelf) -> None:
    shelf.add(evidencing.run_id(1))
    shelf.add(evidencing.run_id(2), passing=False)
    shelf.add(evidencing.run_id(3), phase="M10.G", facts=[])
    shelf.add(evidencing.run_id(4), scope="platform_other")
    shelf.add(evidencing.run_id(5, group="m11"), phase="M11.A", facts=[])

    def latest(**wanted: Any) -> evidence.Attempt:
        return evidence.latest(shelf.place, client=shelf.client, **wanted)

    assert latest().execution_id == evidencing.run_id(5, group="m11")
    assert latest(phase="M10.F").execution_id == evidencing.run_id(4)
    newest = latest(phase="M10.F", scope=cases.SCOPE)
    assert (newest.execution_id, newest.verified.exit_code) == (evidencing.run_id(2), 3)
    with pytest.raises(errors.EvidenceIncomplete, match=r"no run of phase M10\.H"):
        latest(phase="M10.H")


@pytest.mark.parametrize(
    ("spoil", "exit_code"),
    [
        (lambda made: {**made, cases.METRICS: b"{}"}, 8),
        (lambda made: {name: content for name, content in made.items() if name != SNAPSHOT}, 7),
        (lambda made: {document_names.PLAN: made[document_names.PLAN]}, 7),
        (lambda made: {**made, SNAPSHOT: b'{"schema":"burst.snapshot/v2"}'}, 9),
    ],
    ids=["corrupt", "no snapshot", "begun", "of tomorrow"],
)
def test_a_failing_newest_attempt_is_never_passed_over(shelf: Shelf, spoil: Any, exit_code: int) -> None:
    shelf.add(evidencing.run_id(1))
    newest = evidencing.run_id(2)
    shelf.add(newest, spoil(evidencing.published(evidencing.case(newest))))

    found = evidence.latest(shelf.place, phase="M10.F", client=shelf.client)

    assert (found.execution_id, found.verified.exit_code) == (newest, exit_code)


@pytest.mark.parametrize("kind", ["window", "soak", "recovery", "drill"])
def test_a_phase_of_any_kind_is_found_verified_and_told_by_its_own_blockers(shelf: Shelf, kind: str) -> None:
    """Without a question behind its own blockers it is on HOLD, which is as sound."""
    gates: dict[str, Any] = {"min_admits": 1}
    shelf.add(evidencing.run_id(1), passing=False)
    shelf.add(evidencing.run_id(2), kind=kind, gates=gates, facts=[], baseline=None)

    newest = evidence.latest(shelf.place, phase="M10.F")
    before = evidence.ls(shelf.place, phase="M10.F", limit=5)

    found = newest.verified.finding
    assert (newest.execution_id, found.state, found.name) == (
        evidencing.run_id(2),
        State.OK,
        f"m10_f_{kind}_snapshot.json",
    )
    assert found.require_verdict().snapshot.kind.value == kind
    assert [attempt.execution_id for attempt in before] == [evidencing.run_id(2), evidencing.run_id(1)]


def test_a_newest_run_whose_phase_cannot_be_told_ends_the_search(shelf: Shelf) -> None:
    shelf.add(evidencing.run_id(1))
    shelf.add(evidencing.run_id(2), {document_names.PLAN: b"phase: M10.F"})

    with pytest.raises(errors.EvidenceUnknown, match="cannot read the phase and scope"):
        evidence.latest(shelf.place, phase="M10.F", client=shelf.client)


def test_a_folder_of_something_else_is_no_run(shelf: Shelf) -> None:
    """As `burst demo` makes one: with a time in its name, and no evidence in it."""
    shelf.add(evidencing.run_id(1))
    shelf.add(evidencing.run_id(2), {document_names.BASELINE: b"{}"})

    assert evidence.latest(shelf.place, client=shelf.client).execution_id == evidencing.run_id(1)


@pytest.mark.parametrize("name", ["final", "m10_20200101T000000Z_retry", "m11_20260202T000000Z"])
def test_a_run_whose_id_does_not_tell_its_time_is_found_in_its_time(cloud: Cloud, tmp_path: Path, name: str) -> None:
    place = f"{cloud.place}/control"
    plan = evidencing.case(name, evidence={"run_control": place}).plan
    announcement = run_records.Announcement(
        execution_id=name,
        created_utc=instants.parse("2026-02-02T00:00:00Z"),
        deadline_utc=instants.parse("2026-02-02T01:00:00Z"),
        early_stop=True,
        barrier=True,
        plan_sha256="0" * 64,
    )
    for other in (evidencing.run_id(1), name):
        evidencing.on_s3(cloud.s3, f"{place}/{other}", evidencing.published(evidencing.case(other)))

    announcements.announce(plan, folder_store.FolderStore.create(tmp_path, name), announcement)
    found = evidence.latest(place, phase="M10.F", client=cloud.s3)
    listed = evidence.ls(place, client=cloud.s3)

    assert (found.execution_id, found.verified.exit_code) == (name, 0)
    assert [one.execution_id for one in listed] == [name, evidencing.run_id(1)]


def test_an_old_pass_copied_under_a_newer_id_is_no_newer_pass(shelf: Shelf) -> None:
    old = shelf.add(evidencing.run_id(1))
    shelf.add(evidencing.run_id(2), passing=False)
    shelf.add(evidencing.run_id(3), old)

    found = evidence.latest(shelf.place, phase="M10.F", client=shelf.client)

    assert (found.execution_id, found.verified.exit_code) == (evidencing.run_id(3), 8)
    assert found.verified.finding.why == f"evidence of run {evidencing.run_id(1)}, in the place of another"


def _announced(execution_id: str, created_utc: str) -> bytes:
    return run_records.Announcement(
        execution_id=execution_id,
        created_utc=instants.parse(created_utc),
        deadline_utc=instants.parse("2027-01-01T00:00:00Z"),
        early_stop=True,
        barrier=True,
        plan_sha256="0" * 64,
    ).content()


@pytest.mark.parametrize(
    "run",
    [{}, {document_names.RUN: _announced("final", "2026-02-01T00:00:00Z")}, {document_names.RUN: b"{}"}],
    ids=["never announced", "announced long before", "announced in nobody's words"],
)
def test_a_forged_alias_makes_no_old_run_the_newest(cloud: Cloud, run: dict[str, bytes]) -> None:
    place = f"{cloud.place}/control"
    evidencing.on_s3(cloud.s3, f"{place}/final", {**evidencing.published(evidencing.case("final")), **run})
    newest = evidencing.run_id(2)
    evidencing.on_s3(cloud.s3, f"{place}/{newest}", evidencing.published(evidencing.case(newest, passing=False)))
    alias = run_ids.make_alias("final", "m10", instants.parse("2026-03-01T00:00:00Z"))
    evidencing.on_s3(
        cloud.s3, f"{place}/{alias}", {document_names.ALIAS: run_records.Alias(execution_id="final").content()}
    )

    with pytest.raises(errors.BurstError) as refused:
        evidence.latest(place, phase="M10.F", client=cloud.s3)
    assert refused.value.exit_code in (8, 9)


def test_what_preflights_and_services_leave_is_no_run(cloud: Cloud) -> None:
    place = f"{cloud.place}/control"
    one, two, asked = evidencing.run_id(1), evidencing.run_id(2), evidencing.run_id(20)
    for name in (one, two):
        evidencing.on_s3(cloud.s3, f"{place}/{name}", evidencing.published(evidencing.case(name)))
    evidencing.on_s3(cloud.s3, f"{place}/preflight", {f"{asked}-12345678.json": b'{"burst_preflight_probe":1}'})
    evidencing.on_s3(cloud.s3, f"{place}/services", {f"{asked}.json": b"{}"})
    evidencing.on_s3(cloud.s3, f"{place}/{asked}/counts/count-001", {questions.SESSION: b"{}", questions.END: b"{}"})

    for phase in (None, "M10.F"):
        assert evidence.latest(place, phase=phase, client=cloud.s3).execution_id == two
        assert [found.execution_id for found in evidence.ls(place, phase=phase, client=cloud.s3)] == [two, one]
    assert [step.attempt.execution_id for step in evidence.history(place, phase="M10.F", client=cloud.s3)] == [one, two]
    keep = evidence.Keep(newest=2, grace_seconds=0)
    assert {fate.execution_id for fate in evidence.prune(place, keep=keep, client=cloud.s3)} == {one, two}


def test_ls_pages_from_the_newest_on(shelf: Shelf) -> None:
    for number in (1, 2, 3):
        shelf.add(evidencing.run_id(number), passing=number != 2)

    first = evidence.ls(shelf.place, limit=2, client=shelf.client)
    rest = evidence.ls(shelf.place, limit=2, before=first[-1].execution_id, client=shelf.client)

    assert [(one.execution_id, one.verified.exit_code) for one in first] == [
        (evidencing.run_id(3), 0),
        (evidencing.run_id(2), 3),
    ]
    assert [one.execution_id for one in rest] == [evidencing.run_id(1)]


def test_history_tells_what_changed_from_each_attempt_to_the_next(shelf: Shelf) -> None:
    held = shelf.add(evidencing.run_id(1), passing=False)
    shelf.add(evidencing.run_id(2), prior=held[SNAPSHOT])

    first, second = evidence.history(shelf.place, phase="M10.F", client=shelf.client)

    assert first.change is None
    assert second.change is not None
    assert (second.change.cleared, second.change.opened) == (("B1",), ())
    shown = second.attempt.figures
    assert (shown["prior"], shown["overall_pass"], shown["admit_ratio"]) == (evidencing.run_id(1), True, 1.0)


def both(tmp_path: Path) -> tuple[Path, Path]:
    passed = evidencing.folder(tmp_path, "passed", evidencing.published(evidencing.case(evidencing.run_id(1))))
    held = evidencing.published(evidencing.case(evidencing.run_id(2), passing=False))
    return passed, evidencing.folder(tmp_path, "held", held)


def test_diff_tells_regressed_from_fixed_with_deltas(tmp_path: Path) -> None:
    passed, held = both(tmp_path)

    worse, better, same = evidence.diff(passed, held), evidence.diff(held, passed), evidence.diff(passed, passed)

    assert (worse.regressed, worse.opened) == (True, ("B1",))
    assert (better.regressed, better.cleared) == (False, ("B1",))
    assert {gate.state for gate in same.gates} == {"unchanged"}
    turned = {gate.name: (gate.turn, gate.measured.delta) for gate in worse.gates if gate.turn}
    assert turned == {
        "achieved_multiplier": ("regressed", pytest.approx(-3.0, abs=0.001)),
        "admit_ratio": ("regressed", -1.0),
    }
    assert [change.name for change in worse.inputs] == ["plan.sha256"]


def test_diff_of_what_does_not_hold_says_which_is_worse(tmp_path: Path) -> None:
    passed, held = both(tmp_path)
    (held / cases.METRICS).unlink()

    with pytest.raises(errors.EvidenceCorrupt, match="missing-document"):
        evidence.diff(tmp_path / "nothing", held)
    with pytest.raises(errors.EvidenceIncomplete, match="absent"):
        evidence.diff(passed, tmp_path / "nothing")


def test_diff_refuses_other_schemas(tmp_path: Path) -> None:
    passed, held = both(tmp_path)
    value = {**json.loads((held / SNAPSHOT).read_bytes()), "schema": "burst.snapshot/v2"}
    (held / SNAPSHOT).write_bytes(canonical.encode(value))

    with pytest.raises(errors.EvidenceUnknown, match="unsupported-schema"):
        evidence.diff(passed, held)


def test_a_bundle_is_the_same_twice_and_verifies_with_its_priors(tmp_path: Path) -> None:
    held = evidencing.published(evidencing.case(evidencing.run_id(1), passing=False))
    evidencing.folder(tmp_path / "runs", evidencing.run_id(1), held)
    rerun = evidencing.published(evidencing.case(evidencing.run_id(2), prior=held[SNAPSHOT]))
    run = evidencing.folder(tmp_path / "runs", evidencing.run_id(2), rerun)

    content = evidence.bundle(run)
    os.utime(run / SNAPSHOT, (0, 0))
    (tmp_path / "b.zip").write_bytes(content)
    packed = evidence.verify(tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as opened:
        opened.extractall(tmp_path / "out")

    assert evidence.bundle(run) == content
    assert packed.finding.sha256 == canonical.digest(rerun[SNAPSHOT])
    assert [(link.execution_id, link.state) for link in packed.chain] == [(evidencing.run_id(1), "ok")]
    assert evidence.verify(tmp_path / "out" / evidencing.run_id(2)).exit_code == 0
    readme = (tmp_path / "out" / "README.txt").read_text()
    assert evidencing.run_id(2) in readme
    assert "burst evidence verify" in readme


def test_a_bundle_of_a_place_holds_priors_that_lie_elsewhere(cloud: Cloud, tmp_path: Path) -> None:
    """A run-scoped place has one run of a scope; its priors are under run control."""
    control, scoped = f"{cloud.place}/control", f"{cloud.place}/runs"
    first, second = evidencing.run_id(1), evidencing.run_id(2)
    held = evidencing.published(evidencing.case(first, passing=False))
    places = {"run_control": control, "run_scoped": scoped}
    rerun = evidencing.published(evidencing.case(second, prior=held[SNAPSHOT], evidence=places))
    evidencing.on_s3(cloud.s3, f"{control}/{first}", held)
    evidencing.on_s3(cloud.s3, f"{control}/{second}", rerun)
    place = evidencing.on_s3(cloud.s3, f"{scoped}/{cases.SCOPE}/m10", rerun)

    (tmp_path / "b.zip").write_bytes(evidence.bundle(place, client=cloud.s3))
    found = evidence.verify(tmp_path / "b.zip")

    assert found.exit_code == 0
    assert [(link.execution_id, link.state) for link in found.chain] == [(first, "ok")]


def test_a_bundle_is_the_same_where_the_journal_goes_on(tmp_path: Path) -> None:
    given = evidencing.case(evidencing.run_id(1))
    journal, result = cases.journal(cases.task(0), cases.task(1), by=given.plan, execution_id=evidencing.run_id(1))
    case = given.having(task_result=result)
    contents = evidencing.published(case)
    place = evidencing.folder(tmp_path, "place", {**contents, document_names.JOURNAL: journal})
    published = cases.journal_line(6, ending_events.Published(sha256="0" * 64))
    own = evidencing.folder(tmp_path, "own", {**contents, document_names.JOURNAL: journal + published})

    assert evidence.bundle(own) == evidence.bundle(place)


def test_unsound_evidence_is_not_bundled(tmp_path: Path) -> None:
    _, held = both(tmp_path)
    (held / cases.METRICS).write_bytes(b"{}")

    with pytest.raises(errors.EvidenceCorrupt):
        evidence.bundle(held)


def link(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system = 3
    made.external_attr = 0o120777 << 16
    return made


@pytest.mark.parametrize(
    "entry",
    ["../plan.json", "/etc/passwd", "a/b/c.json", "a/../plan.json", "C:\\plan.json", ".hidden", link("run/plan.json")],
    ids=lambda entry: "a link" if isinstance(entry, zipfile.ZipInfo) else entry,
)
def test_a_bundle_with_an_odd_entry_is_corrupt_and_nothing_of_it_is_read(tmp_path: Path, entry: Any) -> None:
    run = evidencing.folder(tmp_path, "run", evidencing.published(evidencing.case(evidencing.run_id(1))))
    (tmp_path / "b.zip").write_bytes(evidence.bundle(run))
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as opened:
        opened.writestr(entry, b"{}")

    found = evidence.verify(tmp_path / "b.zip")

    assert (found.finding.state, found.exit_code) == (State.CORRUPT, 8)


def test_a_bundle_with_a_name_twice_is_corrupt(tmp_path: Path) -> None:
    content = archive.pack({"run/plan.json": b"{}"})
    (tmp_path / "b.zip").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("run/plan.json", b"[]")

    assert evidence.verify(tmp_path / "b.zip").exit_code == 8


@pytest.mark.parametrize(
    ("index", "exit_code"),
    [
        (lambda index: {**index, "sha256": "0" * 64}, 8),
        (lambda index: {**index, "execution_id": 5}, 8),
        (lambda index: {**index, "schema": "burst.bundle/v2"}, 9),
        (lambda index: {**index, "execution_id": "another"}, 8),
        (lambda index: {**index, "snapshot": "m10_f_burst_snapshot.unpublished.json"}, 8),
        (lambda index: b"[" * 100_000, 8),
        (lambda index: b"\xff", 8),
    ],
    ids=[
        "another snapshot",
        "no id",
        "of tomorrow",
        "no such run",
        "a successor taken away",
        "nested without end",
        "no text",
    ],
)
def test_a_bundle_whose_index_lies_does_not_verify(tmp_path: Path, index: Any, exit_code: int) -> None:
    run = evidencing.folder(tmp_path, "run", evidencing.published(evidencing.case(evidencing.run_id(1))))
    (tmp_path / "b.zip").write_bytes(evidence.bundle(run))
    contents = archive.read(tmp_path / "b.zip")
    changed = index(json.loads(contents["bundle.json"]))
    contents["bundle.json"] = changed if isinstance(changed, bytes) else canonical.encode(changed)
    (tmp_path / "b.zip").write_bytes(archive.pack(contents))

    assert evidence.verify(tmp_path / "b.zip").exit_code == exit_code


@pytest.mark.parametrize(("said", "exit_code"), [(None, 9), (100, 8)], ids=["a bomb", "a bomb that says it is small"])
def test_a_bomb_is_not_unpacked(tmp_path: Path, said: int | None, exit_code: int) -> None:
    size = archive.LARGEST_BYTES + 1
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("run/plan.json", b"0" * size)
    if said is not None:
        content = (tmp_path / "b.zip").read_bytes()
        (tmp_path / "b.zip").write_bytes(content.replace(struct.pack("<I", size), struct.pack("<I", said)))

    assert evidence.verify(tmp_path / "b.zip").exit_code == exit_code


def compress_again(bundle: bytes, method: int) -> bytes:
    """The same entries, compressed as another zip program would."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as stored, zipfile.ZipFile(made, "w", method) as opened:
        for entry in stored.infolist():
            opened.writestr(entry.filename, stored.read(entry))
    return made.getvalue()


def test_a_deflated_bundle_holds_and_one_whose_bytes_are_damaged_is_corrupt(tmp_path: Path) -> None:
    run = evidencing.folder(tmp_path, "run", evidencing.published(evidencing.case(evidencing.run_id(1))))
    content = compress_again(evidence.bundle(run), zipfile.ZIP_DEFLATED)
    (tmp_path / "b.zip").write_bytes(content)
    sound = evidence.verify(tmp_path / "b.zip").exit_code

    answers = set()
    for place in range(200, len(content) // 2, len(content) // 40):
        damaged = content[:place] + bytes(byte ^ 0xFF for byte in content[place : place + 8]) + content[place + 8 :]
        (tmp_path / "b.zip").write_bytes(damaged)
        answers.add(evidence.verify(tmp_path / "b.zip").exit_code)

    assert sound == 0
    assert answers == {8}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_a_compression_that_not_every_machine_reads_is_refused(tmp_path: Path, method: int) -> None:
    run = evidencing.folder(tmp_path, "run", evidencing.published(evidencing.case(evidencing.run_id(1))))
    (tmp_path / "b.zip").write_bytes(compress_again(evidence.bundle(run), method))

    found = evidence.verify(tmp_path / "b.zip")

    assert found.exit_code == 8
    assert "neither stored nor deflated" in found.finding.why


@pytest.mark.parametrize(
    ("name", "exit_code"), [("x" * 5000, 9), ("x\0", 7), ("\udcff", 7)], ids=["long", "nul", "odd"]
)
def test_a_name_no_file_can_have_is_an_answer_and_no_crash(name: str, exit_code: int) -> None:
    assert evidence.verify(name).exit_code == exit_code


def test_what_is_no_zip_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"PK\3\4 and no more")

    assert evidence.verify(tmp_path / "b.zip").exit_code == 8


EVIL = outcomes.EvidenceOutcome(state="corrupt", why="<script>\x1b[2J&\0", exit_code=8, place='a"<b>\x1b')


def test_junit_escapes_what_documents_say() -> None:
    from xml.etree import ElementTree

    suite = ElementTree.fromstring(junit.render(EVIL))[0]  # noqa: S314 (made here)

    assert suite.get("errors") == "1"
    assert suite.get("name") == 'burst a"<b>?'
    told = suite[0].find("error")
    assert told is not None
    assert told.get("message") == "<script>?[2J&?"


def test_sarif_follows_a_gate_over_runs_by_its_fingerprint(tmp_path: Path) -> None:
    passed, held = both(tmp_path)
    outcome = outcomes.EvidenceOutcome(
        state="ok",
        why="HOLD",
        exit_code=3,
        place=str(held),
        execution_id="held",
        snapshot=snapshots.Verdict.read((held / SNAPSHOT).read_bytes()).snapshot,
        change=evidence.diff(passed, held),
    )

    log = sarif.render(outcome, passes=True)

    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    by_rule = {result["ruleId"]: result for result in run["results"]}
    assert rules == set(by_rule)
    assert (by_rule["B1/admit_ratio"]["kind"], by_rule["B1/admit_ratio"]["level"]) == ("fail", "error")
    assert by_rule["B1/admit_ratio"]["baselineState"] == "updated"
    assert by_rule["B1/duration_seconds"]["baselineState"] == "unchanged"
    assert by_rule["B1/blocker"]["baselineState"] == "new"
    assert all(result["kind"] == "fail" or result["level"] == "none" for result in run["results"])
    assert all({"message", "partialFingerprints", "baselineState"} <= result.keys() for result in run["results"])


def test_sarif_fails_for_each_open_blocker_also_where_no_gate_says_no() -> None:
    """A blocker about which nothing was asked is open, and has no gate that could fail."""
    asked = [fact for fact in cases.plan_value()["facts"] if not fact["blocker"].endswith("B2")]
    snapshot = cases.passing(facts=asked).verdict().snapshot
    outcome = outcomes.EvidenceOutcome(
        state="ok", why="HOLD", exit_code=3, place="runs/x", execution_id="x", snapshot=snapshot
    )

    (run,) = sarif.render(outcome)["runs"]

    (failed,) = [result for result in run["results"] if result["kind"] == "fail"]
    assert (failed["ruleId"], failed["level"]) == ("B2/blocker", "error")
    assert failed["message"]["text"] == "semantic drift (not-evaluated): the plan declares no fact for it"


@pytest.mark.parametrize(
    "name", ["run/plan.json", "run/burst.xml", "b.zip"], ids=["a document", "beside it", "a bundle"]
)
def test_no_form_is_written_over_evidence_or_beside_it(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = evidencing.folder(tmp_path, "run", evidencing.published(evidencing.case(evidencing.run_id(1))))
    (tmp_path / "b.zip").write_bytes(evidence.bundle(run))
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    code = main.main(["verify", "b.zip" if name == "b.zip" else "run", "--write", f"junit={name}"])

    assert code == 2
    assert "evidence lies there" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_two_forms_have_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = [word for form in ("junit", "sarif") for word in ("--write", f"{form}={tmp_path / 'out'}")]

    assert main.main(["verify", str(tmp_path), *written]) == 2
    assert "saw out twice" in capsys.readouterr().err
