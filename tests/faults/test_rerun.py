"""A bounded rerun through `burst run`: what it may touch, what it carries, and what is refused before any launch."""

import json

from tests.faults import stage

TERMS: dict[str, dict[str, object]] = {"gates": {"multiplier": 1.0}}
"""A quarter of what is sent will do, so that a busy machine cannot miss it."""


def held(play: stage.Stage) -> stage.Ran:
    """A run on HOLD, with B1 open and the rest cleared: it sends less than half of what is asked, and not what its plan
    says."""
    slow = ["env", "BURST_RATE_PER_MINUTE=120", *stage.SENDER]
    plan = play.plan({**TERMS, "load": {"command": slow}})
    command, ran = play.begin(plan, "--no-early-stop")
    assert command.wait().code == 3
    assert stage.open_blockers(ran.snapshot()) == {"B1"}
    return ran


def test_a_rerun_clears_what_it_names_and_carries_the_rest_with_where_it_stood(play: stage.Stage) -> None:
    before = held(play)

    command, ran = play.begin(play.plan(TERMS), "--only", "M10F-B1", "--prior", str(before.folder))

    answer = command.wait()
    assert answer.code == 0, answer.err
    snapshot = ran.snapshot()
    assert snapshot["source_snapshot_refs"]["prior"]["execution_id"] == before.execution_id
    states = stage.states(snapshot)
    assert states.pop("B1") == "cleared"
    assert set(states.values()) == {"carried"}
    assert play.verify(ran) == 0


def test_a_rerun_of_what_is_not_open_is_refused_before_anything_is_launched(play: stage.Stage) -> None:
    before = held(play)

    refused = play.burst("run", play.plan(), "--only", "M10F-B1,M10F-B8", "--prior", before.folder)

    assert refused.code == 2
    assert "M10F-B8, not open in the prior snapshot" in refused.err
    assert play.run_names() == [before.execution_id]


def test_a_rerun_on_evidence_that_does_not_hold_is_refused_before_anything_is_launched(play: stage.Stage) -> None:
    before = held(play)
    facts = before.folder / "m10_f_facts.json"
    facts.write_text(json.dumps(before.document("facts"), indent=1))

    refused = play.burst("run", play.plan(), "--only", "M10F-B1", "--prior", before.folder)

    assert refused.code == 4
    assert "M10F-B4" in refused.err
    assert "m10_f_facts.json is not the document the snapshot names by digest" in refused.err
    assert play.run_names() == [before.execution_id]


WEAKER: dict[str, dict[str, object]] = {"gates": {"multiplier": 0.1}, "baseline": {"admits": 30}}
CHANGES = [
    {"key": "gates.multiplier", "from": 1.0, "to": 0.1, "why": "a smaller host"},
    {"key": "budget.min_window", "from": "2s", "to": "1s", "why": "a smaller host"},
    {
        "key": "baseline",
        "from": {"admits": 300, "seconds": 60},
        "to": {"admits": 30, "seconds": 60},
        "why": "a smaller host",
    },
]


def test_weaker_terms_clear_nothing_unless_the_plan_names_each_and_then_every_reader_is_told(play: stage.Stage) -> None:
    before = held(play)
    bounded = ("--only", "M10F-B1", "--prior", str(before.folder))

    command, refused = play.begin(play.plan(WEAKER, window=1.0), *bounded)
    assert command.wait().code == 3
    plan = play.plan(WEAKER, window=1.0)
    value = json.loads(plan.read_text()) | {"rerun": {"only": ["M10F-B1"], "changes": CHANGES}}
    plan.write_text(json.dumps(value))
    command, named = play.begin(plan, "--prior", str(before.folder))
    answer = command.wait()

    assert stage.open_blockers(refused.snapshot()) == {"B1", "B4"}
    (gate,) = [gate for gate in refused.snapshot()["gates"] if gate["name"] == "same_contract"]
    for term in ("gates.multiplier 1 -> 0.1", "budget.min_window 2s -> 1s", "baseline {"):
        assert term in gate["why"]
    assert answer.code == 0, answer.err
    assert "judged by changed terms" in named.snapshot()["exit_reason"]
    assert "judged by changed terms" in (named.folder / "report.html").read_text()
    first, second, third = (ran.snapshot()["attempt"] for ran in (before, refused, named))
    assert [attempt["number"] for attempt in (first, second, third)] == [1, 2, 3]
    assert [entry["verdict"] for entry in third["earlier"]] == ["HOLD", "HOLD"]
    assert all(ran.snapshot()["contract"]["sha256"] == ran.snapshot()["attempt"]["contract"] for ran in (before, named))
    assert named.snapshot()["exit_reason"].endswith("attempt 3, after 2 HOLDs, 1 of them by other terms")
    assert refused.snapshot()["command_line"][:2] == ["burst", "run"]
    assert refused.snapshot()["command_line"] == refused.reached("run-created")["command"]
    assert refused.snapshot()["hold"]["signature"] == "B1:same_contract B4:same_contract"
    assert play.burst("evidence", "diff", before.folder, named.folder).code == 3
    assert play.verify(refused) == 3
    assert play.verify(named) == 0
