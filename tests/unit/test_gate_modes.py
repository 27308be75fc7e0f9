"""Gate modes: an informational gate opens nothing and says so; one that was promoted stays required."""

import json
from typing import Any

import pytest

from burst.domain.basics import canonical
from burst.domain.documents import gate_records
from burst.domain.plan import gate_sections
from burst.domain.run import run_terms
from burst.domain.verdict import contract_terms, differences, promotions, snapshots, term_changes
from tests import cases, promoting

LIMIT = 300.0
"""Milliseconds; 95 % of the answers of `cases.load` took 400 ms at most."""
INFORMATIONAL = {"latency_p95_ms": {"mode": "informational"}}
PROMOTION = promoting.judge_block(promoting.STEADY)
DIGEST = canonical.digest(PROMOTION.content())
DEMOTION = promotions.make_demotion(PROMOTION.content(), "the gateway was replaced", cases.STARTED)
DEMOTED = canonical.digest(DEMOTION.content())
OTHER = promotions.make_demotion(
    promoting.judge_block((*promoting.STEADY[:4], 102_500)).content(), "another", cases.STARTED
)
BY_PROMOTION = {"latency_p95_ms": {"mode": "required", "promoted_by": DIGEST}}
BY_DEMOTION = {"latency_p95_ms": {"mode": "informational", "demoted_by": DEMOTED}}


def records(*contents: bytes) -> bytes:
    return gate_records.GateRecords.from_contents(contents).content()


def judge(modes: cases.Value | None, *, limit: float | None = LIMIT, **documents: Any) -> snapshots.Verdict:
    gates: cases.Value = {"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": limit, "modes": modes}
    named = [mode for mode in (modes or {}).values() if "promoted_by" in mode or "demoted_by" in mode]
    gates["records"] = ["promotions/p95.json"] if named else None
    plan = cases.plan(gates={key: value for key, value in gates.items() if value is not None})
    return cases.passing().under(plan).having(load=cases.load(), **documents).verdict()


def promoted_before(**modes: str) -> cases.Value:
    """The attempt of a run that comes after one which was held to promotions."""
    return cases.attempt([{**promoting.earlier(1), "promoted": modes}])


def test_a_required_gate_holds_and_an_informational_one_is_shown_and_opens_nothing() -> None:
    required, informational = judge(None), judge(INFORMATIONAL)

    assert cases.open_shorts(required) == {"B1"}
    assert cases.open_shorts(informational) == set()
    gate = cases.gate(informational, "latency_p95_ms")
    assert (gate["status"], gate["mode"], gate["measured"]) == ("FAIL", "informational", 400.0)
    assert gate["why"].startswith("informational, opens nothing: 400 ms of at most 300 ms")
    assert "informational, opens nothing" in cases.entry(informational, "B1")["why"]
    assert informational.snapshot.exit_reason == "PASS: no blocker open, informational: latency_p95_ms FAIL"
    assert cases.gate(informational, "gate_modes")["why"] == "latency_p95_ms is informational"


def test_what_nobody_measured_is_invalid_and_opens_nothing_either() -> None:
    plan = cases.plan(gates={"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": LIMIT, "modes": INFORMATIONAL})

    verdict = cases.passing().under(plan).verdict()

    assert cases.gate(verdict, "latency_p95_ms")["status"] == "INVALID"
    assert verdict.snapshot.exit_reason.endswith("informational: latency_p95_ms INVALID")


def test_a_limit_that_requires_nothing_is_a_term_of_its_own() -> None:
    required, informational = (_read_terms(judge(modes)) for modes in (None, INFORMATIONAL))

    assert informational.values["gates.informational.latency_p95_ms"] == LIMIT
    assert "gates.latency_p95_ms" not in informational.values
    assert [change.key for change in term_changes.list_weaker(informational, required)] == ["gates.latency_p95_ms"]
    assert term_changes.list_weaker(required, informational) == ()
    assert differences.compare(judge(None).snapshot, judge(INFORMATIONAL).snapshot).lowered


def _read_terms(verdict: snapshots.Verdict) -> contract_terms.Terms:
    contract = verdict.snapshot.contract
    assert contract is not None
    return contract_terms.Terms(values=contract.terms)


@pytest.mark.parametrize("changes", [None, [{"key": "gates.latency_p95_ms", "from": LIMIT, "why": "it wavers"}]])
def test_a_rerun_may_not_make_a_gate_informational_unsaid(changes: list[cases.Value] | None) -> None:
    prior = judge(None)
    section = cases.rerun("B1", **({"changes": changes} if changes else {}))
    plan = cases.plan(
        rerun=section,
        gates={"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": LIMIT, "modes": INFORMATIONAL},
    )

    verdict = cases.passing().under(plan).having(load=cases.load(), prior=prior.content).verdict()

    assert ("B1" in cases.open_shorts(verdict)) is (changes is None)
    assert cases.gate(verdict, "same_contract")["status"] == ("FAIL" if changes is None else "PASS")


def test_a_promotion_makes_a_gate_required_and_is_looked_up() -> None:
    with_record = judge(BY_PROMOTION, gate_records=records(PROMOTION.content()))
    without = judge(BY_PROMOTION)

    assert cases.gate(with_record, "gate_modes")["status"] == "PASS"
    assert cases.gate(with_record, "latency_p95_ms")["mode"] == "required"
    assert cases.open_shorts(with_record) == {"B1"}
    assert cases.gate(without, "gate_modes")["status"] == "INVALID"
    assert cases.open_shorts(without) == {"B1", "B4"}


@pytest.mark.parametrize(
    ("modes", "content", "words"),
    [
        pytest.param(BY_PROMOTION, DEMOTION.content(), "not among the records", id="another record"),
        pytest.param(
            {"error_ratio": {"mode": "required", "promoted_by": DIGEST}}, PROMOTION.content(), "is of", id="other gate"
        ),
        pytest.param(
            {"latency_p95_ms": {"mode": "required", "promoted_by": DEMOTED}}, DEMOTION.content(), "no promotion",
            id="a demotion in its place",
        ),
        pytest.param(
            {"latency_p95_ms": {"mode": "informational", "demoted_by": DIGEST}}, PROMOTION.content(), "no demotion",
            id="a promotion in its place",
        ),
    ],
)  # fmt: skip
def test_a_mode_that_its_record_does_not_give_opens_the_dependencies(
    modes: cases.Value, content: bytes, words: str
) -> None:
    gates = {"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": 900.0, "error_ratio": 0.9}
    plan = cases.plan(gates={**gates, "modes": modes, "records": ["x.json"]})

    verdict = cases.passing().under(plan).having(load=cases.load(), gate_records=records(content)).verdict()

    assert words in cases.gate(verdict, "gate_modes")["why"]
    assert cases.open_shorts(verdict) == {"B4"}


def test_a_refusal_promotes_nothing() -> None:
    refused = promoting.judge_block(promoting.DRIFT).content()
    modes = {"latency_p95_ms": {"mode": "required", "promoted_by": canonical.digest(refused)}}

    verdict = judge(modes, limit=900.0, gate_records=records(refused))

    assert "refused to promote it" in cases.gate(verdict, "gate_modes")["why"]
    assert cases.open_shorts(verdict) == {"B4"}


def test_once_promoted_a_gate_is_informational_again_by_a_demotion_of_that_promotion_alone() -> None:
    before = promoted_before(latency_p95_ms=DIGEST)

    unsaid = judge(INFORMATIONAL, attempt=before)
    dropped = judge(None, limit=None, attempt=before)
    demoted = judge(BY_DEMOTION, attempt=before, gate_records=records(DEMOTION.content()))
    by_another = {"latency_p95_ms": {"mode": "informational", "demoted_by": canonical.digest(OTHER.content())}}
    elsewhere = judge(by_another, attempt=before, gate_records=records(OTHER.content()))
    kept = judge(None, limit=900.0, attempt=before)

    for verdict in (unsaid, dropped, elsewhere):
        assert cases.open_shorts(verdict) == {"B4"}
        assert f"was required by promotion {DIGEST[:12]}" in cases.gate(verdict, "gate_modes")["why"]
    assert cases.open_shorts(demoted) == cases.open_shorts(kept) == set()


def test_a_rerun_that_leaves_the_dependencies_out_does_not_carry_a_mode_over() -> None:
    prior = judge(BY_PROMOTION, gate_records=records(PROMOTION.content()))
    changes = [{"key": "gates.latency_p95_ms", "from": LIMIT, "why": "it wavers"}]
    changes.append({"key": "gates.promoted.latency_p95_ms", "from": DIGEST, "why": "it wavers"})
    gates = {"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": LIMIT, "modes": INFORMATIONAL}
    plan = cases.plan(rerun=cases.rerun("B1", changes=changes), gates=gates)

    verdict = cases.passing().under(plan).having(load=cases.load(), prior=prior.content).verdict()

    assert cases.gate(verdict, "same_contract")["status"] == "PASS"
    assert cases.open_shorts(verdict) == {"B4"}


def test_the_plan_of_the_runs_says_how_many_a_promotion_has() -> None:
    section = {"latency_p95_ms": {"mode": "informational", "block": 10}}
    plan = cases.plan(gates={"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": LIMIT, "modes": section})

    assert plan.gates.find_block("latency_p95_ms") == 10
    assert plan.gates.find_block("error_ratio") is None
    assert contract_terms.from_plan(plan, "0.2.0", None).values["gates.informational.latency_p95_ms.block"] == 10


def test_records_keep_the_digests_of_their_documents() -> None:
    document = gate_records.GateRecords.from_contents([DEMOTION.content(), PROMOTION.content(), PROMOTION.content()])
    again = gate_records.GateRecords.model_validate(json.loads(document.content()))

    assert set(again.contents) == {DIGEST, DEMOTED}
    assert again.contents[DIGEST] == PROMOTION.content()


def test_rails_of_early_stop_know_no_modes_and_no_intervals() -> None:
    gates = {"multiplier": 3.0, "admit_ratio": 0.995}
    further = {"multiplier_lower": 2.9, "latency_p95_ms": 1.0, "modes": INFORMATIONAL}
    limits = run_terms.TargetLimits(layers=("guard",))
    plain, added = (
        run_terms.make_terms(
            cases.plan(gates={**gates, **more}), limits, required_admits_per_second=10.0, early_stop=True
        )
        for more in ({}, further)
    )

    assert plain == added


def test_no_plan_of_before_has_a_mode() -> None:
    gates = gate_sections.GatesSection(admit_ratio=0.995, latency_p95_ms=1.0)

    assert gates.promoted == {}
    assert not gates.is_informational("latency_p95_ms")
