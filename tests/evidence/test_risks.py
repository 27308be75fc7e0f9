"""The risk register: generated from verified evidence alone, the same twice, and never over what somebody wrote."""

import json
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst import evidence
from burst.cli import main
from burst.domain.basics import errors, instants
from burst.domain.documents import risk_documents
from burst.domain.verdict import owner_files, risks
from burst.report import risk_text
from tests import cases
from tests.evidence import evidencing

Shown = pytest.CaptureFixture[str]
OWNERS = """\
schema: burst.owners/v1
owners:
  - {phase: M10.F, gate: "achieved_*", owner: ingest team, mitigation: more | partitions}
  - {blocker: B1, owner: load team, mitigation: another profile}
"""


def _put(runs: Path, number: int, **case: Any) -> str:
    execution_id = evidencing.run_id(number)
    evidencing.folder(runs, execution_id, evidencing.published(evidencing.case(execution_id, **case)))
    return execution_id


def _rows(runs: Path, **options: Any) -> dict[str, risk_documents.RiskRow]:
    return {row.gate: row for row in evidence.risks(runs, **options).rows}


def test_a_gate_that_slipped_has_a_row_with_its_newest_evidence_and_since_when(tmp_path: Path) -> None:
    _put(tmp_path, 1)
    first = _put(tmp_path, 2, passing=False)
    newest = _put(tmp_path, 3, passing=False)

    rows = _rows(tmp_path, owners=owner_files.parse(OWNERS, source="owners.yaml"))

    assert set(rows) == {"achieved_multiplier", "admit_ratio"}
    row = rows["achieved_multiplier"]
    assert (row.state, row.execution_id, row.since_execution_id, row.held, row.runs) == ("open", newest, first, 2, 3)
    assert row.sha256 == evidence.verify(tmp_path / newest).finding.sha256
    assert (row.phase, row.kind, row.blocker, row.measured, row.required) == ("M10.F", "burst", "M10F-B1", 0.0, 3.0)
    assert (row.owner, row.mitigation) == ("ingest team", "more | partitions")
    assert rows["admit_ratio"].owner == "load team"


def test_a_gate_that_passes_again_has_recovered(tmp_path: Path) -> None:
    slipped = _put(tmp_path, 1, passing=False)
    newest = _put(tmp_path, 2)

    row = _rows(tmp_path)["achieved_multiplier"]

    assert (row.state, row.execution_id, row.since_execution_id, row.held) == ("recovered", newest, slipped, 1)


def test_what_a_rerun_carries_open_is_open_still(tmp_path: Path) -> None:
    execution_id = evidencing.run_id(1)
    held = evidencing.published(evidencing.case(execution_id, passing=False, facts=[]))
    evidencing.folder(tmp_path, execution_id, held)
    _put(tmp_path, 2, prior=held[evidencing.SNAPSHOT], facts=[])

    rows = {(row.blocker, row.gate): row.state for row in evidence.risks(tmp_path).rows}

    assert rows["M10F-B1", "achieved_multiplier"] == "recovered"
    assert rows["M10F-B2", "not-evaluated"] == "open"


def test_evidence_that_does_not_hold_is_a_risk_of_its_own_and_hides_no_other(tmp_path: Path) -> None:
    broken, held = _put(tmp_path, 2), _put(tmp_path, 1, passing=False)
    (tmp_path / broken / "m10_f_facts.json").write_bytes(b"{}")

    rows = _rows(tmp_path)

    assert (rows["evidence"].execution_id, rows["evidence"].state, rows["evidence"].sha256) == (broken, "open", None)
    assert "corrupt: m10_f_facts.json is not the document" in rows["evidence"].why
    assert (rows["achieved_multiplier"].state, rows["achieved_multiplier"].execution_id) == ("open", held)


def test_a_place_without_a_run_has_no_register(tmp_path: Path) -> None:
    with pytest.raises(errors.EvidenceIncomplete):
        evidence.risks(tmp_path)


KEY = ("M10F-B1", "admit_ratio")
SLIP = risks.Slip(title="t", status="FAIL", measured=0, required=1, why="w")


def _judged(index: int, state: str) -> risks.JudgedRun:
    return risks.JudgedRun(
        execution_id=f"m10_{index}",
        phase="M10.F",
        kind="burst",
        sha256="0" * 64,
        ended_at=instants.later(cases.STARTED, -60.0 * index),
        slips={KEY: SLIP} if state == "slipped" else {},
        passed=frozenset({KEY} if state == "passed" else ()),
        carried=frozenset({KEY[0]} if state == "carried" else ()),
        problem="its evidence is corrupt" if state == "corrupt" else "",
    )


@hypothesis.given(
    states=st.lists(st.sampled_from(["slipped", "passed", "carried", "corrupt", "silent"]), min_size=1, max_size=12)
)
def test_a_row_is_open_exactly_where_the_newest_answer_slipped_and_nothing_unsound_is_left_out(
    states: list[str],
) -> None:
    register = risks.build_register([_judged(index, state) for index, state in enumerate(states)], None, None)

    of_gate = [row for row in register.rows if row.gate == KEY[1]]
    answered = [state for state in states if state in ("slipped", "passed")]
    assert len(of_gate) == ("slipped" in states)
    for row in of_gate:
        assert (row.held, row.runs) == (states.count("slipped"), len(answered))
        assert (row.state == "open") == (answered[0] == "slipped")
    assert len([row for row in register.rows if row.gate == risks.EVIDENCE]) == states.count("corrupt")
    if "slipped" not in states and [state for state in states if state != "corrupt"][:1] == ["carried"]:
        assert [row.state for row in register.rows if row.gate == risks.CARRIED] == ["open"]


@hypothesis.given(why=st.text(), as_json=st.booleans(), at=st.integers(0, 10_000), by=st.binary(min_size=1, max_size=3))
def test_a_file_is_known_by_its_bytes_and_any_edit_is_seen(why: str, as_json: bool, at: int, by: bytes) -> None:
    slip = risks.Slip(title="t", status="FAIL", measured=0, required=1, why=why)
    run = risks.JudgedRun(
        execution_id="m10_1", phase="M10.F", kind="burst", sha256="0" * 64, ended_at=cases.STARTED, slips={KEY: slip}
    )
    try:
        content = risk_text.render(risks.build_register([run], None, None), as_json=as_json)
    except (ValueError, UnicodeEncodeError):
        hypothesis.reject()  # a lone surrogate is no text of a document
    at %= len(content)
    edited = content[:at] + by + content[at:]

    assert risk_text.is_untouched(content)
    assert not risk_text.is_untouched(edited)


def test_a_cell_cannot_leave_its_row() -> None:
    slip = risks.Slip(title="t", status="FAIL", measured=0, required=1, why="a | b\n# c <img>")
    run = risks.JudgedRun(
        execution_id="m10_1", phase="M10.F", kind="burst", sha256="0" * 64, ended_at=cases.STARTED, slips={KEY: slip}
    )

    text = risk_text.render(risks.build_register([run], None, None), as_json=False).decode()

    (row,) = [line for line in text.splitlines() if "admit_ratio" in line]
    assert "FAIL: a \\| b # c &lt;img&gt;" in row


@pytest.mark.parametrize("suffix", ["md", "json"])
def test_the_command_writes_the_same_bytes_twice_and_replaces_its_own_file_alone(
    tmp_path: Path, capsys: Shown, suffix: str
) -> None:
    runs, file, owners = tmp_path / "runs", tmp_path / f"risks.{suffix}", tmp_path / "owners.yaml"
    _put(runs, 1, passing=False)
    owners.write_text(OWNERS)
    command = ["evidence", "risks", str(runs), "-o", str(file), "--owners", str(owners), "--json"]

    assert main.main(command) == 0
    first = file.read_bytes()
    told = json.loads(capsys.readouterr().out)
    assert (told["open"], told["rows"], told["runs"]) == (2, 2, 1)
    assert main.main(command) == 0
    assert file.read_bytes() == first
    _put(runs, 2)
    assert main.main(command) == 0
    assert file.read_bytes() != first

    file.write_bytes(file.read_bytes().replace(b"recovered", b"solved"))
    capsys.readouterr()
    assert main.main(command) == 2
    assert "did not make, or that was edited since; allowed: a new name" in capsys.readouterr().err
    assert b"solved" in file.read_bytes()


@pytest.mark.parametrize(
    ("owners", "problem"),
    [
        ("owners: []", "schema"),
        ("schema: burst.owners/v1\nowners: [{owner: a, mitigation: b}]", "beside owner: phase, kind, blocker or gate"),
        ("schema: burst.owners/v1\nowners: [{gate: a, owner: b}]", "mitigation"),
        ("schema: burst.owners/v1\nowners: [{gate: a, blocker: M10F-B1, owner: b, mitigation: c}]", "blocker"),
    ],
)
def test_an_owner_file_that_is_wrong_is_refused_with_the_place(
    tmp_path: Path, capsys: Shown, owners: str, problem: str
) -> None:
    _put(tmp_path / "runs", 1)
    (tmp_path / "owners.yaml").write_text(owners)
    words = ["evidence", "risks", str(tmp_path / "runs"), "-o", str(tmp_path / "r.md")]

    assert main.main([*words, "--owners", str(tmp_path / "owners.yaml")]) == 2
    said = capsys.readouterr().err
    assert "the owner file has" in said
    assert problem in said
    assert not (tmp_path / "r.md").exists()
