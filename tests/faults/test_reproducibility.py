"""A second run of a phase: it passes where it is like the first, holds where its keys differ, and both are compared."""

import json
import secrets
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import closing
from tests.faults import controller_driver, stage

KEYS = "select string_agg(distinct event_type, ',' order by event_type) from receipts where platform_run_id = :scope"
UNRESOLVED = "select count(*) from admissions where state <> 'ADMITTED' and platform_run_id = :scope"
TWICE = "select count(*) - count(distinct event_id) from admissions where platform_run_id = :scope"


def _run_first(play: stage.Stage) -> stage.Ran:
    command, ran = play.begin(play.plan(stage.UNHURRIED))
    answer = command.wait()
    assert answer.code == 0, answer.err
    return ran


def _write_second(play: stage.Stage, first: stage.Ran, **changes: Any) -> Path:
    """The plan of a run that repeats the first one."""
    path = play.plan(stage.UNHURRIED)
    value = json.loads(path.read_text())
    del value["baseline"]
    value |= {
        "kind": "reproducibility",
        "scope": f"platform_{secrets.token_hex(6)}",
        "gates": {"offered_load": 0.1},
        "reproduces": {"snapshot": str(first.folder), "keyset": {"sql": KEYS}},
        "facts": [
            {"blocker": "M10F-B7", "name": "duplicate_side_effects", "sql": TWICE, "equals": 0},
            {"blocker": "M10F-B7", "name": "unresolved_publishes", "sql": UNRESOLVED, "equals": 0},
            {"blocker": "M10F-B7", "name": "publishes_in_flight", "sql": UNRESOLVED, "at_most": 10},
        ],
        **changes,
    }
    path.write_text(json.dumps(value))
    return path


def _read_snapshot(ran: stage.Ran) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((ran.folder / "m10_f_reproducibility_snapshot.json").read_bytes())
    return value


def test_a_second_run_passes_and_both_are_scored_timed_and_shown(play: stage.Stage, tmp_path: Path) -> None:
    first = _run_first(play)
    command, second = play.begin(_write_second(play, first))
    answer = command.wait()

    snapshot = _read_snapshot(second)
    assert answer.code == 0, (answer.err, [entry for entry in snapshot["blocker_register"] if entry["open"]])
    assert snapshot["comparisons"]["anchor_keyset_match"] is True
    assert snapshot["comparisons"]["duplicate_share_delta"] <= 0.05
    assert snapshot["comparisons"]["profile_match"] is True
    assert snapshot["baseline_refs"][0]["execution_id"] == first.execution_id
    assert play.burst("verify", second.folder).code == 0
    bundle = tmp_path / "second.zip"
    assert play.burst("evidence", "bundle", second.folder, "-o", bundle).code == 0
    assert play.burst("verify", bundle).code == 0
    _refuse_without_reference(play, first, second, tmp_path)

    score = closing.score_value(
        name="window",
        require_same=["profile", "environment"],
        measures=[{"name": "burst", "lane": "burst", "at_most": 600.0}],
        vetoes=[
            {"name": "passed", "rail": "pass", "document": "snapshot", "path": "/overall_pass"},
            {"name": "nothing_lost", "rail": "same", "document": "metrics", "path": "/counts/QUARANTINE"},
        ],
    )
    (tmp_path / "score.json").write_text(json.dumps(score))
    words: list[str | Path] = [
        "compare",
        first.folder,
        second.folder,
        "--score",
        tmp_path / "score.json",
        "-o",
        tmp_path / "closures",
    ]
    compared = play.burst(*words, "--json")
    assert compared.code == 0, compared.err
    assert compared.document["decision"]["result"] == "UNLOCK_POPT4"
    verified = play.burst("verify", tmp_path / "closures" / "window_closure.json", "--json")
    assert (verified.code, verified.document["result"]) == (0, "UNLOCK_POPT4")

    timing = play.burst("timing", second.folder, "--json")
    assert timing.code == 0, timing.err
    lanes = timing.document["lanes"]
    assert [lane["lane"] for lane in lanes] == ["arm", "launch", "start", "burst", "stop", "after", "count", "publish"]
    assert sum(lane["seconds"] for lane in lanes) == pytest.approx(timing.document["seconds"])
    assert sum(lane["share"] for lane in lanes) == pytest.approx(1)

    table = tmp_path / "hotspots.csv"
    hotspots = play.burst("evidence", "hotspots", second.folder, first.folder, "--top", "3", "--csv", table, "--json")
    assert hotspots.code == 0, hotspots.err
    assert {row["kind"] for row in hotspots.document["hotspots"]} <= {"bucket", "task", "endpoint"}
    assert len(table.read_text().splitlines()) == 1 + len(hotspots.document["hotspots"])


def _refuse_without_reference(play: stage.Stage, first: stage.Ran, second: stage.Ran, folder: Path) -> None:
    """Without the evidence of the first run nobody can tell; with documents that do not hold, the chain is broken."""
    away = first.folder.rename(folder / "away")
    gone = play.burst("verify", second.folder)
    believed = play.burst("verify", second.folder, "--ignore-priors")
    away.rename(first.folder)
    facts = first.folder / "m10_f_facts.json"
    content = facts.read_bytes()
    facts.write_bytes(content + b" ")
    broken = play.burst("verify", second.folder)
    facts.write_bytes(content)

    assert (gone.code, believed.code, broken.code) == (9, 0, 8)
    assert f"reference {first.execution_id} is not-here" in gone.out


def test_a_second_run_holds_where_its_key_set_differs(play: stage.Stage) -> None:
    first = _run_first(play)
    plan = _write_second(play, first)
    command, second = play.begin(plan, fate=(controller_driver.HOLD_AT_GO,))
    second.reached("go-given")
    with psycopg.connect(play.dsn, autocommit=True) as connection:
        connection.execute(
            "insert into receipts (receipt_id, platform_run_id, event_id, event_type, decision, created_at_utc)"
            " values ('stray', %s, 'stray', 'of_another_version', 'ADMIT', '2026-01-01T00:00:00+00:00')",
            (json.loads(plan.read_text())["scope"],),
        )
    command.go_on()

    assert command.wait().code == 3
    snapshot = _read_snapshot(second)
    assert stage.open_blockers(snapshot) == {"B5"}
    (gate,) = [gate for gate in snapshot["gates"] if gate["name"] == "anchor_keyset"]
    assert gate["status"] == "FAIL"
    assert "new: of_another_version" in gate["why"]
    assert snapshot["comparisons"]["anchor_keyset_match"] is False
    assert play.burst("verify", second.folder).code == 3


def test_the_newest_run_of_a_phase_may_be_the_reference(play: stage.Stage) -> None:
    first = _run_first(play)
    section = {"snapshot": str(play.runs), "phase": "M10.F", "keyset": {"sql": KEYS}}

    command, second = play.begin(_write_second(play, first, reproduces=section))

    answer = command.wait()
    snapshot = _read_snapshot(second)
    assert answer.code == 0, [entry["why"] for entry in snapshot["blocker_register"] if entry["open"]]
    assert snapshot["baseline_refs"][0]["execution_id"] == first.execution_id


def test_a_reference_that_did_not_pass_refuses_the_launch(play: stage.Stage) -> None:
    first = _run_first(play)
    facts = first.folder / "m10_f_facts.json"
    facts.write_bytes(facts.read_bytes() + b" ")

    refused = play.burst("run", _write_second(play, first))

    assert refused.code == 4
    assert "M10F-B2: reproduces.snapshot" in refused.err
    assert play.run_names() == [first.execution_id]
