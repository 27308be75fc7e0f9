"""Entry gates through `burst run`: what a run waits for, what it is refused for before a canary is sent, and what stays
of both in its evidence."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from burst.domain.basics import instants
from tests import fixtures_ingest, waiting
from tests.faults import stage

DONE = {"state": "DONE", "lag": 3}
Requirements = dict[str, Any]


@pytest.fixture
def earlier(play: stage.Stage) -> stage.Ran:
    """A run that passed, in a scope of its own."""
    command, ran = play.begin(play.plan(stage.UNHURRIED))
    assert command.wait().code == 0, command.words()
    return ran


def _requiring(play: stage.Stage, requires: Requirements, **changes: Any) -> Any:
    plan = play.plan({**stage.UNHURRIED, **changes})
    value = json.loads(plan.read_text()) | {"requires": requires}
    plan.write_text(json.dumps(value))
    return plan


def _phase(play: stage.Stage, ran: stage.Ran, **changes: Any) -> Requirements:
    scope = ran.snapshot()["platform_run_id"]
    return {"phases": [{"name": "before", "place": str(play.runs), "phase": "M10.F", "scope": scope, **changes}]}


def _receipts(play: stage.Stage) -> int:
    with psycopg.connect(play.dsn) as connection:
        (count,) = connection.execute("select count(*) from receipts").fetchone() or (0,)
    return int(count)


@pytest.fixture
def queue(ingest: fixtures_ingest.Site) -> Iterator[psycopg.Connection[Any]]:
    """A table with one row, which says that the system is not ready."""
    with psycopg.connect(ingest.dsn, autocommit=True) as connection:
        connection.execute("create table queue (item int); insert into queue values (1)")
        yield connection
        connection.execute("drop table queue")


def test_a_run_waits_until_everything_it_requires_is_so_and_its_evidence_names_what_it_rested_on(
    play: stage.Stage, earlier: stage.Ran, queue: psycopg.Connection[Any]
) -> None:
    (play.folder / "done.json").write_text(json.dumps(DONE))
    requires = {
        **_phase(play, earlier),
        "documents": [{"name": "done", "document": str(play.folder / "done.json"), "path": "/state", "equals": "DONE"}],
        "facts": [{"name": "queue_empty", "sql": "select count(*) from queue", "equals": 0, "until": "90s"}],
        "nothing_alive": True,
    }

    command, ran = play.begin(_requiring(play, requires))
    progress = "fact:queue_empty (saw 1; allowed: an answer that has to equal 0"
    waiting.until(
        lambda: command.err.is_file() and progress in command.words(),
        seconds=30,
        what="the progress of the entry gate",
    )
    assert not ran.folder.exists()
    queue.execute("delete from queue")

    answer = command.wait()
    assert answer.code == 0, answer.err
    document, snapshot = ran.document("preflight"), ran.snapshot()
    answers = {entry["gate"]: entry for entry in document["entry_gates"]}
    assert list(answers) == ["phase:before", "document:done", "fact:queue_empty", "nothing_alive"]
    assert answers["fact:queue_empty"]["times_asked"] >= 2
    assert all(entry["answered_utc"] <= document["canary"]["sent_utc"] for entry in answers.values())
    assert document["store_policy"]["decision"] == "allowed"
    phase, done = snapshot["dependency_refs"]
    assert (phase["execution_id"], phase["sha256"]) == (earlier.execution_id, _digest(play, earlier))
    assert (done["gate"], done["place"]) == ("document:done", str(play.folder / "done.json"))
    assert play.verify(ran) == 0


def _digest(play: stage.Stage, ran: stage.Ran) -> str:
    return str(play.burst("verify", ran.folder, "--json").document["sha256"])


def test_evidence_whose_kept_answers_were_changed_is_refuted(play: stage.Stage) -> None:
    command, ran = play.begin(_requiring(play, {"nothing_alive": True}))
    assert command.wait().code == 0, command.words()
    path = ran.folder / "m10_f_preflight.json"
    path.write_bytes(path.read_bytes().replace(b'"living_runs":[]', b'"living_runs":["x"]'))

    assert play.verify(ran) == 8


def test_a_phase_that_is_not_as_required_refuses_with_what_was_seen_and_allowed_and_nothing_is_sent(
    play: stage.Stage, earlier: stage.Ran
) -> None:
    scope = earlier.snapshot()["platform_run_id"]
    sent = _receipts(play)
    refusals = {
        "of another phase": (_phase(play, earlier, phase="M10.E"), f"no run of M10.E (burst) of scope {scope}"),
        "of another kind": (_phase(play, earlier, kind="soak"), f"no run of M10.F (soak) of scope {scope}"),
        "of another scope": (
            _phase(play, earlier, scope="platform_other"),
            f"the newest of that phase there is {earlier.execution_id}",
        ),
        "of another digest": (_phase(play, earlier, sha256="0" * 64, scope="any"), f"with digest {'0' * 64}"),
        "of no place": (_phase(play, earlier, place=str(play.folder / "nowhere")), "nowhere"),
    }

    for words, (requires, seen) in refusals.items():
        refused = play.burst("run", _requiring(play, requires))

        assert refused.code == 4, words
        assert "FAIL entry-phase: phase:before: " in refused.err, words
        assert seen in refused.err, words
        assert "allowed: a PASS of " in refused.err, words
    assert _receipts(play) == sent
    assert play.run_names() == [earlier.execution_id]


def test_a_phase_whose_evidence_was_changed_or_whose_newest_run_held_refuses(
    play: stage.Stage, earlier: stage.Ran
) -> None:
    scope = earlier.snapshot()["platform_run_id"]
    slow = {"command": ["env", "BURST_RATE_PER_MINUTE=120", *stage.SENDER], "profile": "replay"}
    command, held = play.begin(play.plan({"gates": {"multiplier": 1.0}, "load": slow}), "--set", f"scope={scope}")
    assert command.wait().code == 3, command.words()

    refused = play.burst("run", _requiring(play, _phase(play, earlier)))
    assert refused.code == 4
    assert f"{held.execution_id} is a HOLD: M10F-B1" in refused.err

    pinned = _requiring(play, _phase(play, earlier, sha256=_digest(play, earlier)))
    assert play.burst("preflight", pinned).code == 0
    facts = earlier.folder / "m10_f_facts.json"
    facts.write_bytes(facts.read_bytes() + b"\n")
    refused = play.burst("preflight", pinned)
    assert refused.code == 4
    assert "is corrupt: m10_f_facts.json is not the document the snapshot names by digest" in refused.out


def test_a_document_or_fact_that_does_not_become_as_required_refuses_once_its_time_is_over(
    play: stage.Stage, queue: psycopg.Connection[Any]
) -> None:
    (play.folder / "done.json").write_text(json.dumps({**DONE, "state": "HALF"}))
    done = {"name": "done", "document": str(play.folder / "done.json"), "path": "/state", "equals": "DONE"}
    requires = {
        "documents": [done, {**done, "name": "absent", "document": str(play.folder / "absent.json"), "until": "5s"}],
        "facts": [
            {"name": "queue_empty", "sql": "select count(*) from queue", "equals": 0, "until": "5s"},
            {"name": "wrong", "sql": "select count(*) from no_such_table", "equals": 0, "until": "5m"},
        ],
    }

    refused = play.burst("preflight", _requiring(play, requires), "--json")

    assert refused.code == 4
    document = refused.document
    seen = {entry["gate"]: entry for entry in document["entry_gates"]}
    assert [finding["check"] for finding in document["findings"] if finding["status"] == "refused"] == [
        *("entry-document", "entry-document", "entry-fact", "entry-fact")
    ]
    assert seen["document:done"]["document_seen"]["value"] == "HALF"
    assert seen["fact:queue_empty"]["fact_value"] == 1
    for gate in ("document:absent", "fact:queue_empty"):
        assert seen[gate]["times_asked"] >= 2, gate
        over_at = instants.later(instants.parse(seen[gate]["begun_utc"]), 5)
        assert instants.parse(seen[gate]["answered_utc"]) >= over_at, "it is asked once more when its time is over"
    assert "no_such_table" in seen["fact:wrong"]["unanswered"]
    assert seen["fact:wrong"]["times_asked"] == 1
    assert document["canary"] is None


def test_while_another_run_is_alive_nothing_may_begin_until_it_has_ended(play: stage.Stage) -> None:
    command, other = play.begin(play.plan({"gates": {"multiplier": 0.5}}, window=600.0, cap=660.0))
    other.reached("go-given")

    refused = play.burst("preflight", _requiring(play, {"nothing_alive": True}))
    command.signal(signal.SIGTERM)
    command.wait()

    assert refused.code == 4
    assert f"saw tasks of 1 other run alive: {other.execution_id}" in refused.out
    assert play.burst("preflight", _requiring(play, {"nothing_alive": True})).code == 0


def test_a_strict_environment_refuses_a_folder_and_says_what_is_missing(play: stage.Stage) -> None:
    refused = play.burst("run", play.plan(stage.UNHURRIED), "--set", "environment=prod")

    assert refused.code == 4
    assert "FAIL store-policy: prod demands S3 places, Object Lock and a signature; missing: " in refused.err
    assert not play.runs.exists()
