"""The contract: a rerun is judged by its prior's terms, or by changed ones that its plan names and the register has."""

import functools
import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical
from burst.domain.plan import catalogues
from burst.domain.verdict import blockers, contract_terms, differences, snapshots, term_changes
from burst.report import comparison, terminal
from tests import cases

STRONG: cases.Value = {
    "gates": {"multiplier": 2.6, "admit_ratio": 0.995},
    "budget": {"max": "90m", "min_window": "12s"},
    "baseline": {"admits": 1000, "seconds": 60, "source": "the reference"},
}
WEAK: cases.Value = {
    "gates": {"multiplier": 0.1, "admit_ratio": 0.995},
    "budget": {"max": "90m", "min_window": "3s"},
    "baseline": {"admits": 10, "seconds": 60, "source": "the reference"},
}
CHANGES: list[cases.Value] = [
    {"key": "gates.multiplier", "from": 2.6, "to": 0.1, "why": "a canary host"},
    {"key": "budget.min_window", "from": "12s", "to": "3s", "why": "a canary host"},
    {
        "key": "baseline",
        "from": {"admits": 1000, "seconds": 60},
        "to": {"admits": 10, "seconds": 60},
        "why": "a canary host",
    },
]
SHORT = cases.metrics(window=cases.window(60, 3), counts=cases.counts(2))
"""Counts that the weak terms are content with."""


def held(**plan_changes: Any) -> bytes:
    """The snapshot of a run that held at B1 by the strong terms."""
    case = cases.passing(**{**STRONG, **plan_changes}).without("baseline")
    verdict = case.having(metrics=cases.metrics(window=cases.window(60, 12), counts=cases.counts(20))).verdict()
    assert cases.open_shorts(verdict) == {"B1"}
    return verdict.content


@functools.cache
def _strong() -> bytes:
    return held()


def rerun(
    prior: bytes | None, only: tuple[str, ...] = ("B1",), *, plan: cases.Value = WEAK, **section: Any
) -> cases.Case:
    """A rerun of B1 under a plan, whose prior the plan names by digest as a run's does."""
    named = {} if prior is None else {"prior_sha256": canonical.digest(prior)}
    case = cases.passing(**plan, rerun=cases.rerun(*only, **named, **section)).without("baseline").having(metrics=SHORT)
    return case if prior is None else case.having(prior=prior)


def test_a_rerun_by_weaker_terms_opens_b4_and_its_own_blockers_and_names_each_term() -> None:
    verdict = rerun(_strong()).verdict()

    assert (verdict.snapshot.exit_code, cases.open_shorts(verdict)) == (3, {"B1", "B4"})
    for short in ("B1", "B4"):
        why = cases.entry(verdict, short)["why"]
        assert "gates.multiplier 2.6 -> 0.1" in why
        assert "budget.min_window 12s -> 3s" in why
        assert 'baseline {"admits":1000,"seconds":60} -> {"admits":10,"seconds":60}' in why
    gate = cases.gate(verdict, "same_contract")
    assert (gate["status"], gate["measured"], gate["required"]) == ("FAIL", 3, 0)


def test_a_rerun_whose_plan_names_each_change_passes_and_says_so_wherever_it_is_read() -> None:
    verdict = rerun(_strong(), changes=CHANGES).verdict()

    assert verdict.snapshot.overall_pass
    assert verdict.snapshot.exit_reason == "PASS: no blocker open, judged by changed terms"
    entry = cases.entry(verdict, "B1")
    assert entry["changed_terms"] == ["gates.multiplier", "budget.min_window", "baseline"]
    assert "judged by changed terms: gates.multiplier 2.6 -> 0.1 (a canary host)" in entry["why"]
    contract = verdict.snapshot.document()["contract"]
    assert [change["key"] for change in contract["changes"]] == entry["changed_terms"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(CHANGES[:2], id="one is not named"),
        pytest.param([*CHANGES[:2], {**CHANGES[2], "to": {"admits": 11, "seconds": 60}}], id="another value"),
        pytest.param([{**CHANGES[0], "from": 3.0}, *CHANGES[1:]], id="from another value"),
        pytest.param([*CHANGES, {"key": "gates.admit_ratio", "from": 0.995, "to": 0.9, "why": "x"}], id="one too many"),
        pytest.param([*CHANGES, {"key": "gates.multiplyer", "from": 1, "to": 2, "why": "x"}], id="a term of no plan"),
    ],
)
def test_changes_that_are_not_exactly_the_ones_made_open_b4_and_b1(changes: list[cases.Value]) -> None:
    assert cases.open_shorts(rerun(_strong(), changes=changes).verdict()) == {"B1", "B4"}


def test_stronger_terms_are_other_terms_too() -> None:
    stronger = {**STRONG, "gates": {"multiplier": 3.0, "admit_ratio": 0.995}}

    assert "B4" in cases.open_shorts(rerun(_strong(), plan=stronger).verdict())


@pytest.mark.parametrize(
    "tuned",
    [
        {"target": {"kind": "local", "tasks": 8}},
        {"load": {"command": ["push-faster"]}},
        {"budget": {"max": "90m", "min_window": "12s", "stop_grace": "5s", "start_timeout": "90s"}},
        {"receipts": {"dsn": "env:ANOTHER", "bucket": "1s", "count_timeout": "9s"}},
        {"budget": {"max": "90m", "min_window": "12s", "window": "12s", "operator_cap": "90m"}},
        {"gates": {"multiplier": 2.6, "admit_ratio": 0.995, "offered_load": 0.99}},
    ],
    ids=["tasks", "program", "grace and start", "buckets", "defaults written out", "the offered load written out"],
)
def test_rate_tasks_and_tuning_are_no_terms(tuned: cases.Value) -> None:
    verdict = rerun(_strong(), plan={**STRONG, **tuned}).verdict()

    assert cases.gate(verdict, "same_contract")["status"] == "PASS"
    assert "B4" not in cases.open_shorts(verdict)


FEWER: dict[str, cases.Value] = {
    "admit ratio": {"gates": {"multiplier": 2.6, "admit_ratio": 0.5}},
    "no multiplier": {"gates": {"admit_ratio": 0.995}},
    "less of the load": {"gates": {"multiplier": 2.6, "admit_ratio": 0.995, "offered_load": 0.1}},
    "budget": {"budget": {"max": "99m", "min_window": "12s"}},
    "operator cap": {"budget": {"max": "90m", "min_window": "12s", "operator_cap": "80m"}},
    "fewer tasks hold": {"target": {"kind": "local", "tasks": 2, "min_tasks": 1}},
    "layers": {"layers": {"require": ["guard"]}},
    "a longer baseline": {"baseline": {"admits": 1000, "seconds": 61, "source": "x"}},
    "another table": {"receipts": {"dsn": "env:BURST_TEST_DSN", "table": "easy"}},
    "another unit of time": {"receipts": {"dsn": "env:BURST_TEST_DSN", "time_unit": "ms"}},
    "a word more for an admit": {"receipts": {"dsn": "env:BURST_TEST_DSN", "decisions": {"ADMIT": ["ADMIT", "again"]}}},
    "clocks further apart": {"receipts": {"dsn": "env:BURST_TEST_DSN", "max_skew": "1h"}},
    "a question less": {"facts": cases.plan_value()["facts"][:2]},
    "an easier question": {
        "facts": [*cases.plan_value()["facts"][:2], {**cases.plan_value()["facts"][2], "at_most": 99}]
    },
    "a command after it": {"after": [{"name": "refresh", "command": ["x"], "timeout": "5s"}]},
}


@pytest.mark.parametrize("edit", FEWER.values(), ids=FEWER.keys())
def test_every_edit_of_a_term_is_seen(edit: cases.Value) -> None:
    verdict = rerun(_strong(), plan={**STRONG, **edit}).verdict()

    assert {"B1", "B4"} <= cases.open_shorts(verdict)


def test_the_gate_is_asked_where_the_rerun_leaves_b4_out_and_where_it_names_it() -> None:
    prior = json.loads(_strong())
    prior["blockers"] = ["M10F-B1", "M10F-B4"]
    prior["overall_pass"] = False
    prior["blocker_register"][3]["open"] = True

    verdict = rerun(canonical.encode(prior), only=("B1", "B4")).verdict()

    assert cases.open_shorts(verdict) == {"B1", "B4"}
    assert cases.entry(verdict, "B4")["state"] == "open"


def test_a_run_that_is_no_rerun_states_its_contract_and_is_asked_nothing() -> None:
    document = cases.passing().document()

    assert "same_contract" not in {gate["name"] for gate in document["gates"]}
    assert document["contract"]["sha256"] == canonical.digest(canonical.encode(document["contract"]["terms"]))
    assert document["contract"]["terms"]["gates.multiplier"] == 3.0


def test_the_digest_is_the_same_for_plans_that_ask_the_same() -> None:
    def digest(**changes: Any) -> str:
        return str(cases.passing(**changes).document()["contract"]["sha256"])

    assert digest() == digest(target={"kind": "local", "tasks": 2, "min_tasks": 2})
    assert digest() != digest(gates={"multiplier": 2.9, "admit_ratio": 0.995})


# What a prior without a contract states


def old(snapshot: bytes) -> cases.Value:
    """A snapshot as burst 0.1.0 left it: without rules and contract."""
    value: cases.Value = json.loads(snapshot)
    del value["contract"], value["rules"]
    return value


def plan_of_prior() -> bytes:
    """The plan that the prior names by digest."""
    return canonical.encode(cases.plan(**STRONG).document())


def test_a_prior_without_a_contract_is_held_to_its_plan() -> None:
    verdict = rerun(canonical.encode(old(_strong()))).having(prior_plan=plan_of_prior()).verdict()

    assert cases.open_shorts(verdict) == {"B1", "B4"}
    assert cases.gate(verdict, "same_contract")["measured"] == 3
    assert verdict.snapshot.document()["contract"]["unstated"] == ["rules"]


def test_a_plan_that_is_not_the_one_the_prior_names_is_no_word_for_it() -> None:
    verdict = rerun(canonical.encode(old(_strong()))).having(prior_plan=plan_of_prior() + b" ").verdict()

    assert cases.open_shorts(verdict) == {"B1", "B4"}
    assert "not the plan that the prior names by digest" in cases.entry(verdict, "B4")["why"]


def test_a_prior_without_contract_and_plan_is_held_to_the_figures_it_states() -> None:
    verdict = rerun(canonical.encode(old(_strong()))).verdict()

    assert cases.open_shorts(verdict) == {"B1", "B4"}
    assert cases.gate(verdict, "same_contract")["measured"] == 3


def test_what_a_prior_does_not_state_is_said_and_opens_nothing() -> None:
    verdict = rerun(cases.content(cases.prior("B1"))).verdict()

    assert verdict.snapshot.overall_pass
    assert "the prior does not state: baseline, budget.max" in cases.entry(verdict, "B1")["why"]
    assert "gates.multiplier" in verdict.snapshot.document()["contract"]["unstated"]


@pytest.mark.parametrize(
    "contract", [None, {}, "terms", {"terms": {"gates.multiplier": 0.1}, "sha256": "0" * 64}], ids=repr
)
def test_a_prior_whose_contract_is_none_is_nothing_to_rest_on(contract: object) -> None:
    spoiled = json.loads(_strong()) | {"contract": contract}

    verdict = rerun(canonical.encode(spoiled)).verdict()

    assert {"B1", "B4"} <= cases.open_shorts(verdict)
    assert "contract" in cases.entry(verdict, "B1")["why"]


# Leaving documents out


def test_a_rerun_whose_named_prior_is_left_out_clears_nothing() -> None:
    given = rerun(_strong())

    assert {"B1", "B4"} <= cases.open_shorts(given.without("prior").verdict())


def test_a_rerun_without_any_prior_says_that_its_terms_were_compared_with_none() -> None:
    verdict = rerun(None).verdict()

    assert "B4" in cases.open_shorts(verdict)
    assert "its terms were compared with no prior's" in cases.entry(verdict, "B1")["why"]


def test_a_baseline_that_is_left_out_is_no_way_round_its_term() -> None:
    """B8 rests on task truth, and on the terms: those of the baseline are not known without it."""
    strong = _held_at_b8()
    weaker = cases.baseline(admits=100, buckets=[{**cases.window(-10800, 7180), "counts": cases.counts(100)}])
    plan = cases.plan_value(rerun=cases.rerun("B8", prior_sha256=canonical.digest(strong)))
    given = cases.passing(**plan).having(prior=strong, baseline=weaker)

    assert cases.open_shorts(given.verdict()) == {"B4", "B8"}
    assert cases.open_shorts(given.without("baseline").verdict()) == {"B4", "B8"}


def _held_at_b8() -> bytes:
    late = [cases.task(index, stopped_utc=cases.at(6000)) for index in (0, 1)]
    verdict = cases.passing().having(task_result=cases.task_result(stopped_utc=cases.at(6000), tasks=late)).verdict()
    assert cases.open_shorts(verdict) == {"B8"}
    return verdict.content


# Non-goals that are keys of the plan


def test_a_non_goal_that_is_a_plan_key_is_enforced_against_the_plan_of_the_prior() -> None:
    plan = {**STRONG, "target": {"kind": "local", "tasks": 3}}
    given = rerun(_strong(), plan=plan, non_goals=["target.tasks", "no other scope"]).having(prior_plan=plan_of_prior())

    verdict = given.verdict()

    assert {"B1", "B4"} <= cases.open_shorts(verdict)
    assert "non-goals not kept to: target.tasks 2 -> 3" in cases.entry(verdict, "B4")["why"]


def test_a_non_goal_that_is_kept_to_opens_nothing_and_one_that_cannot_be_looked_up_opens_b4() -> None:
    kept = rerun(_strong(), plan=STRONG, non_goals=["target.tasks"])

    assert cases.gate(kept.having(prior_plan=plan_of_prior()).verdict(), "same_contract")["status"] == "PASS"
    assert cases.gate(kept.verdict(), "same_contract")["status"] == "INVALID"


# A rerun of a rerun


def test_a_blocker_that_was_cleared_by_changed_terms_is_carried_with_them() -> None:
    first = json.loads(held())
    first["blockers"] = ["M10F-B1", "M10F-B7"]
    first["blocker_register"][6] |= {"open": True, "state": "open"}
    second = rerun(canonical.encode(first), changes=CHANGES).verdict()
    assert cases.open_shorts(second) == {"B7"}

    third = rerun(second.content, only=("B7",)).verdict()

    assert third.snapshot.overall_pass
    assert third.snapshot.exit_reason.endswith("judged by changed terms")
    assert cases.entry(third, "B1")["changed_terms"] == ["gates.multiplier", "budget.min_window", "baseline"]


def test_terms_that_were_refused_are_no_terms_for_the_next_rerun() -> None:
    """The second rerun has the very terms of the first, which had not been allowed them."""
    refused = rerun(_strong()).verdict()

    again = rerun(refused.content, only=("B1", "B4")).verdict()

    assert cases.open_shorts(again) == {"B1", "B4"}
    assert "gates.multiplier 2.6 -> 0.1" in cases.entry(again, "B1")["why"]


def test_terms_that_were_changed_while_a_blocker_stayed_open_stand_beside_it_once_it_is_cleared() -> None:
    still_open = rerun(_strong(), changes=CHANGES).without("metrics").verdict()
    assert cases.open_shorts(still_open) == {"B1"}

    cleared = rerun(still_open.content).verdict()

    assert cleared.snapshot.overall_pass
    assert cases.entry(cleared, "B1")["changed_terms"] == ["gates.multiplier", "budget.min_window", "baseline"]
    assert cleared.snapshot.exit_reason.endswith("judged by changed terms")


def test_terms_that_are_back_where_they_were_are_changed_no_more() -> None:
    weaker = rerun(_strong(), changes=CHANGES).without("metrics").verdict()
    back = [{**change, "from": change["to"], "to": change["from"]} for change in CHANGES]

    again = rerun(weaker.content, plan=STRONG, changes=back).verdict()

    assert cases.gate(again, "same_contract")["status"] == "PASS"
    assert again.snapshot.document()["contract"]["held_to"] is None
    assert "changed terms" not in cases.entry(again, "B1")["why"]


EDITS = st.sampled_from([WEAK, WEAK, WEAK, STRONG, {}, *({**STRONG, **edit} for edit in FEWER.values())])
NAMED = st.sampled_from([CHANGES, [], CHANGES[:1], CHANGES[1:]])
LEFT_OUT = st.sets(st.sampled_from(["prior", "metrics", "facts", "task_result", "prior_plan"]), max_size=2)
ONLY = st.sampled_from([("B1",), ("B1", "B4"), ("B4",), ("B7",), catalogues.BURST.shorts])
Step = tuple[cases.Value, list[cases.Value], set[str], tuple[str, ...]]
STEPS = st.lists(st.tuples(EDITS, NAMED, LEFT_OUT, ONLY), min_size=1, max_size=4)


def _take_step(prior: bytes, step: Step) -> snapshots.Verdict:
    edit, named, left_out, only = step
    still_open = {blocker.rpartition("-")[2] for blocker in json.loads(prior)["blockers"]}
    bounded = tuple(short for short in only if short in still_open) or tuple(sorted(still_open))
    return rerun(prior, only=bounded, plan={**STRONG, **edit}, changes=named).without(*left_out).verdict()


@hypothesis.settings(max_examples=200)
@hypothesis.given(steps=STEPS)
@hypothesis.example(steps=[(WEAK, [], set(), ("B1",)), (WEAK, [], set(), ("B1", "B4"))])
@hypothesis.example(steps=[(WEAK, CHANGES, {"metrics"}, ("B1",)), (WEAK, [], set(), ("B1",))])
@hypothesis.example(steps=[(WEAK, [], {"prior"}, ("B1",)), (WEAK, [], set(), catalogues.BURST.shorts)])
def test_no_sequence_of_edits_and_left_out_documents_clears_a_blocker_by_other_terms_unless_the_register_says_so(
    steps: list[Step],
) -> None:
    first, prior = snapshots.Verdict.read(_strong()).snapshot, _strong()
    assert first.contract is not None
    for step in steps:
        if json.loads(prior)["overall_pass"]:
            break
        verdict = _take_step(prior, step)
        contract, cleared = verdict.snapshot.contract, []
        assert contract is not None
        if contract.sha256 != first.contract.sha256:
            cleared = [entry for entry in verdict.snapshot.blocker_register if not entry.open]
        unsaid = [entry.blocker for entry in cleared if not (entry.changed_terms or entry.unstated_terms)]
        assert not set(unsaid).intersection(first.blockers), (unsaid, contract)
        prior = verdict.content


def test_the_register_of_a_prior_says_what_it_says_of_terms_and_no_more() -> None:
    notes = blockers.read_notes({"blocker_register": [{"blocker": "M10F-B1", "changed_terms": ["x"]}, 3, {}]})

    assert {blocker: note.changed for blocker, note in notes.items()} == {"M10F-B1": ("x",)}


# Differences


def _compare(before: snapshots.Verdict, after: snapshots.Verdict) -> differences.Difference:
    return differences.compare(before.snapshot, after.snapshot)


def test_a_pass_by_lowered_terms_is_a_regression_that_names_each() -> None:
    before = snapshots.Verdict.read(_strong())
    after = rerun(_strong(), changes=CHANGES).verdict()

    change = _compare(before, after)

    assert change.regressed
    assert [term.key for term in change.lowered] == ["baseline", "budget.min_window", "gates.multiplier"]
    assert "lowered   gates.multiplier 2.6 -> 0.1" in comparison.difference(change)
    assert change.value()["lowered"][2] == {"key": "gates.multiplier", "before": 2.6, "after": 0.1}


@pytest.mark.parametrize("edit", FEWER.values(), ids=FEWER.keys())
def test_a_term_that_asks_less_is_a_regression_and_one_that_asks_more_is_none(edit: cases.Value) -> None:
    strong, other = (cases.passing(**{**STRONG, **part}).without("baseline").verdict() for part in ({}, edit))

    weaker, stronger = _compare(strong, other), _compare(other, strong)

    asks_more = "after" in edit or "operator_cap" in edit.get("budget", {})
    assert bool((stronger if asks_more else weaker).lowered)
    if not {"baseline", "receipts"}.intersection(edit):
        assert not (weaker if asks_more else stronger).lowered


def _terms(**gates: Any) -> contract_terms.Terms:
    plan = cases.plan(gates={"multiplier": 2.6, "admit_ratio": 0.995} | gates)
    return contract_terms.from_plan(plan, "0.2.0", None)


@pytest.mark.parametrize(
    ("limit", "before", "after"),
    [
        ("latency_p95_ms", 400, 900),
        ("latency_p99_ms", 400, None),
        ("error_ratio", 0.01, 0.5),
        ("client_error_ratio", 0.0, 0.01),
        ("server_error_ratio", 0.0, None),
        ("offered_load", 0.98, 0.1),
        ("offered_load", None, 0.1),
    ],
)
def test_a_limit_that_is_loosened_is_weaker_and_one_that_is_tightened_is_not(
    limit: str, before: float | None, after: float | None
) -> None:
    tight, loose = (_terms(**({} if value is None else {limit: value})) for value in (before, after))

    assert [change.key for change in term_changes.list_weaker(loose, tight)] == [f"gates.{limit}"]
    assert term_changes.list_weaker(tight, loose) == ()


def test_the_figure_from_which_a_gate_warns_is_no_term() -> None:
    plain = _terms(latency_p95_ms=400)

    assert _terms(latency_p95_ms=400, warn_at={"latency_p95_ms": 300}).sha256 == plain.sha256


def test_a_failing_fact_that_is_asked_no_more_is_lost_and_never_fixed() -> None:
    failing = cases.passing().having(facts=cases.facts(cases.answers(max_lag=99))).verdict()
    asked = cases.plan_value()["facts"][:2]
    silent = cases.passing(facts=asked).having(facts=cases.facts(cases.answers()[:2])).verdict()

    change = _compare(failing, silent)

    assert {gate.name: gate.turn for gate in change.gates if gate.turn} == {"max_lag": "lost"}
    assert change.regressed


def test_a_fault_of_the_counts_that_is_gone_is_fixed() -> None:
    unsettled = cases.passing().having(metrics=cases.metrics(settled=False)).verdict()

    change = _compare(unsettled, cases.passing().verdict())

    assert {gate.name: gate.turn for gate in change.gates if gate.turn} == {"settled": "fixed"}
    assert not change.regressed


# The command line, and what a HOLD says to compare and to repeat it


def test_a_hold_has_a_stable_signature_and_the_command_that_repeats_it() -> None:
    words = ["burst", "run", "plan.yaml", "--set", "gates.multiplier=2.6", "--execution-id", "m10_x"]
    given = (
        cases.passing(facts=[])
        .without("facts")
        .having(task_result=cases.task_result(command=words), metrics=cases.metrics(counts=cases.counts(0, 10002)))
    )

    snapshot = given.verdict().snapshot

    assert snapshot.command_line == words
    assert snapshot.hold is not None
    assert snapshot.hold.signature == (
        "B1:achieved_multiplier+admit_ratio B2:not-evaluated B6:not-evaluated B7:not-evaluated"
    )
    assert snapshot.hold.command == "burst run plan.yaml --set gates.multiplier=2.6"
    assert "command         burst run plan.yaml --set gates.multiplier=2.6 --execution-id m10_x" in terminal.render(
        snapshot
    )


def test_a_pass_has_no_signature() -> None:
    assert cases.passing().verdict().snapshot.hold is None
