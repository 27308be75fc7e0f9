"""Bundles of what a verdict rests on: lanes of a roll-up, required phases; by family, and with citations."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.cli import main
from burst.domain.basics import canonical, errors
from burst.domain.preflight import entry_gates
from burst.wiring import campaign_rollups
from tests import cases
from tests.evidence import evidencing, test_rollups

Shown = pytest.CaptureFixture[str]


def _index(content: bytes, folder: Path) -> dict[str, Any]:
    (folder / "b.zip").write_bytes(content)
    with zipfile.ZipFile(folder / "b.zip") as opened:
        value: dict[str, Any] = json.loads(opened.read("bundle.json"))
    return value


def _run(runs: Path, number: int, **case: Any) -> Path:
    execution_id = evidencing.run_id(number)
    return evidencing.folder(runs, execution_id, evidencing.published(evidencing.case(execution_id, **case)))


def test_a_bundle_of_a_roll_up_holds_its_lanes_and_verifies_without_them_beside_it(tmp_path: Path) -> None:
    order, sources, folder = test_rollups.make_site(tmp_path / "runs")
    campaign_rollups.roll_up(order, sources, folder)

    content = evidence.bundle(folder, families=["semantic", "scale"])

    index = _index(content, tmp_path)
    assert index["execution_id"] == order.execution_id
    assert index["families"] == {
        "semantic": [evidencing.run_id(1)],
        "scale": [evidencing.run_id(2)],
        "incident_drill": [],
        "reproducibility": [],
    }
    packed = evidence.verify(tmp_path / "b.zip")
    assert (packed.exit_code, packed.finding.sha256) == (0, evidence.verify(folder).finding.sha256)
    assert evidence.bundle(folder, families=["semantic", "scale"]) == content


def test_a_family_for_which_nothing_in_it_stands_is_missing_with_exit_7(tmp_path: Path, capsys: Shown) -> None:
    order, sources, folder = test_rollups.make_site(tmp_path / "runs")
    campaign_rollups.roll_up(order, sources, folder)
    words = ["evidence", "bundle", str(folder), "-o", str(tmp_path / "b.zip"), "--require"]

    assert main.main([*words, "scale,incident_drill"]) == 7
    said = capsys.readouterr().err
    assert "no evidence in it stands for incident_drill (a PASS of kind drill or recovery)" in said
    assert f"scale: {evidencing.run_id(2)}" in said
    assert not (tmp_path / "b.zip").exists()
    assert main.main([*words, "everything"]) == 2
    assert "--require everything: allowed: semantic, incident_drill, scale, reproducibility" in capsys.readouterr().err
    assert main.main([*words, "scale"]) == 0


@pytest.mark.parametrize("passing", [True, False])
def test_only_a_run_that_passed_stands_for_a_family(tmp_path: Path, passing: bool) -> None:
    run = _run(tmp_path, 1, passing=passing)

    if passing:
        assert _index(evidence.bundle(run, families=["scale"]), tmp_path)["families"]["scale"] == [run.name]
    else:
        with pytest.raises(errors.EvidenceIncomplete, match="none of any family"):
            evidence.bundle(run, families=["scale"])


def _requiring(runs: Path, number: int, required: Path) -> Path:
    """A run that required the phase of another run, as preflight would have kept it."""
    found = evidence.verify(required).finding
    entry = {"name": "before", "place": str(runs), "phase": "M10.F", "scope": cases.SCOPE}
    execution_id = evidencing.run_id(number)
    given = evidencing.case(execution_id, requires={"phases": [entry]})
    seen = {
        "execution_id": required.name,
        "phase": "M10.F",
        "kind": "burst",
        "platform_run_id": cases.SCOPE,
        "sha256": found.sha256,
        "place": str(runs),
        "state": "ok",
        "overall_pass": True,
    }
    answers = cases.entry_gates_of(given.plan, phase={"phase_seen": seen})
    assert answers[0]["question_sha256"] == entry_gates.digest_question(given.plan, "phase:before")
    preflight = cases.preflight(execution_id=execution_id, entry_gates=answers)
    return evidencing.folder(runs, execution_id, evidencing.published(given.having(preflight=preflight)))


def test_the_phases_that_a_run_required_are_in_its_bundle_where_they_are_to_be_had(tmp_path: Path) -> None:
    first = _run(tmp_path / "runs", 1)
    run = _requiring(tmp_path / "runs", 2, first)
    assert evidence.verify(run).exit_code == 0

    whole = _index(evidence.bundle(run), tmp_path)
    names = zipfile.ZipFile(tmp_path / "b.zip").namelist()
    assert whole["families"]["scale"] == sorted([first.name, run.name])
    assert f"{first.name}/{evidencing.SNAPSHOT}" in names
    assert evidence.verify(tmp_path / "b.zip").exit_code == 0

    (first / cases.METRICS).write_bytes(b"{}")
    partly = _index(evidence.bundle(run), tmp_path)
    assert partly["families"]["scale"] == [run.name]
    readme = zipfile.ZipFile(tmp_path / "b.zip").read("README.txt").decode()
    assert f"{first.name} (not in here)" in readme


def test_citations_are_kept_in_index_and_readme_and_change_no_evidence(tmp_path: Path, capsys: Shown) -> None:
    run = _run(tmp_path, 1)
    cited = ["report 2026-02, page 7", "board paper 12"]
    words = ["evidence", "bundle", str(run), "-o", str(tmp_path / "b.zip"), "--cite", cited[0], "--cite", cited[1]]

    assert main.main(words) == 0

    with zipfile.ZipFile(tmp_path / "b.zip") as opened:
        index, readme = json.loads(opened.read("bundle.json")), opened.read("README.txt").decode()
    assert index["citations"] == cited
    assert all(f"cited in    {words}" in readme for words in cited)
    assert index["sha256"] == canonical.digest((run / evidencing.SNAPSHOT).read_bytes())
    assert evidence.verify(tmp_path / "b.zip").exit_code == 0


@pytest.mark.parametrize("words", ["", "  ", "two\nlines", "x" * 501, "see https://ada:hunter2@host/report"])
def test_a_citation_that_is_no_line_for_everybody_is_refused(tmp_path: Path, capsys: Shown, words: str) -> None:
    run = _run(tmp_path, 1)

    assert main.main(["evidence", "bundle", str(run), "-o", str(tmp_path / "b.zip"), "--cite", words]) == 2
    assert "hunter2" not in capsys.readouterr().err
    assert not (tmp_path / "b.zip").exists()
