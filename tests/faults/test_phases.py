"""Phases of other kinds than a burst, played for real: each passes, and holds for its own reason under its fault."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import waiting
from tests.faults import stage

PATIENT_SECONDS = 150.0
SCOPE = "platform_20260219T234150Z"
GAP_SECONDS = 3.5
"""Longer than two buckets, so that one whole bucket lies in it wherever it begins."""


def ask(prefix: str, *shorts: str) -> list[dict[str, object]]:
    """A question behind each of these blockers, to which a sound run answers 0."""
    unresolved = "select count(*) from admissions where state <> 'ADMITTED' and platform_run_id = :scope"
    return [{"blocker": f"{prefix}-{short}", "name": "unresolved", "sql": unresolved, "equals": 0} for short in shorts]


def plan(play: stage.Stage, *, window: float = 4.0, load: dict[str, object] | None = None, **sections: Any) -> Path:
    """The plan of the fault tests without baseline and multiplier, with these sections."""
    path = play.plan({"load": load or {}, "budget": {"start_timeout": "60s"}}, window=window, cap=90.0)
    value = {**json.loads(path.read_text()), **sections}
    value.pop("baseline")
    path.write_text(json.dumps(value))
    return path


def window_plan(play: stage.Stage, *, seconds: float = 4.0, scope: str = "fresh", **asked: Any) -> Path:
    """A representative window, shortened."""
    gates = {"min_admits": 10, "contiguity": {}, "offered_load": 0.1, **asked}
    facts = ask("M10E", "B3", "B6")
    return plan(play, window=seconds, kind="window", phase="M10.E", scope=scope, gates=gates, facts=facts)


def drill_plan(play: stage.Stage, *, scope: str = "fresh", **load: object) -> Path:
    """A drill that injects duplicates, shortened."""
    gates = {"expect_duplicates": 30, "offered_load": 0.1}
    return plan(play, load=load, kind="drill", phase="M10.D", scope=scope, gates=gates, facts=ask("M10D", "B3", "B6"))


def run(play: stage.Stage, path: Path, *words: str) -> tuple[stage.Answer, dict[str, Any]]:
    command, _ = play.begin(path, *words)
    answer = command.wait(PATIENT_SECONDS)
    assert answer.out, answer.err
    return answer, answer.document


@pytest.mark.timeout(300)
def test_a_window_passes_and_its_evidence_is_found_by_its_kind(play: stage.Stage) -> None:
    answer, snapshot = run(play, window_plan(play))

    assert (answer.code, snapshot["blockers"], snapshot["kind"]) == (0, [], "window"), answer.err
    folder = play.runs / snapshot["execution_id"]
    assert json.loads((folder / "m10_e_window_snapshot.json").read_bytes()) == snapshot
    assert snapshot["window_target"]["min_admitted_events"] == 10
    assert snapshot["scale_gate_checks"]["admitted_events"] == stage.admitted(play.dsn, snapshot)
    for words in (["verify", str(folder)], ["evidence", "latest", str(play.runs), "--phase", "M10.E"]):
        found = play.burst(*words, "--json")
        assert (found.code, found.document["state"]) == (0, "ok"), found.err
    assert play.burst("resume", folder.name).code == 0


@pytest.mark.timeout(300)
def test_a_window_with_too_few_admits_holds_for_its_volume(play: stage.Stage) -> None:
    answer, snapshot = run(play, window_plan(play, min_admits=100_000), "--no-early-stop")

    assert (answer.code, stage.open_blockers(snapshot)) == (3, {"B1"}), answer.err
    assert "see: burst runbook" in answer.err


@pytest.mark.timeout(300)
def test_a_window_that_cannot_reach_its_admits_is_stopped_early(play: stage.Stage) -> None:
    path = window_plan(play, min_admits=100_000)

    answer, snapshot = run(play, path)

    assert answer.code == 3, answer.err
    assert snapshot["decision"]["early_stop"]["rule"] == "admits-impossible"
    assert "B1" in stage.open_blockers(snapshot)


@pytest.mark.timeout(300)
def test_a_window_with_a_gap_holds_for_its_contiguity(play: stage.Stage) -> None:
    command, ran = play.begin(window_plan(play, seconds=12.0))
    ran.reached("go-given", seconds=PATIENT_SECONDS)
    waiting.until(lambda: _count_receipts(play.dsn), seconds=PATIENT_SECONDS, what="the first receipts")
    senders = ran.programs()
    for process in senders:
        process.send_signal(signal.SIGSTOP)
    time.sleep(GAP_SECONDS)  # the gap itself
    for process in senders:
        process.send_signal(signal.SIGCONT)
    answer = command.wait(PATIENT_SECONDS)

    snapshot = answer.document
    assert senders
    assert (answer.code, stage.open_blockers(snapshot)) == (3, {"B2"}), answer.err
    assert snapshot["scale_gate_checks"]["longest_gap_seconds"] >= 1.0


def _count_receipts(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        (number,) = connection.execute("select count(*) from receipts where decision = 'ADMIT'").fetchone() or (0,)
    return int(number)


@pytest.mark.timeout(400)
def test_a_drill_passes_with_its_duplicates_and_holds_without_them(play: stage.Stage) -> None:
    """The second drill finds a scope of its own, so that nothing it sends was admitted before."""
    first, _ = run(play, window_plan(play, scope=SCOPE))
    injected, passed = run(play, drill_plan(play, scope=SCOPE, profile="replay", source_events=60))
    silent, held = run(play, drill_plan(play))

    assert first.code == 0, first.err
    assert (injected.code, passed["blockers"]) == (0, []), injected.err
    assert passed["drill_outcome_checks"]["checks"][0]["value"] >= 30
    assert (silent.code, stage.open_blockers(held)) == (3, {"B2"}), silent.err
    assert held["drill_outcome_checks"]["checks"][0]["value"] == 0
