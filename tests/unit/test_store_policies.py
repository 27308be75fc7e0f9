"""Store policies: which environment allows which way of keeping evidence, and that nothing unknown is allowed."""

import itertools
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.documents import preflight_results
from burst.domain.preflight import store_policies
from tests import cases

MODES = [
    store_policies.StoreMode(run_control_on_s3=control, run_scoped_on_s3=scoped, object_lock=lock, signed=signed)
    for control, scoped, lock, signed in itertools.product([False, True], repeat=4)
]
PLACES = {"run_control": "s3://bucket/control", "run_scoped": "s3://bucket/runs"}
LOCK = {"object_lock": {"mode": "COMPLIANCE", "retain": "365d"}}
SIGN = {"sign": {"key": "file:/keys/signing.pem"}}


@hypothesis.given(mode=st.sampled_from(MODES), environment=st.sampled_from(store_policies.FREE_ENVIRONMENTS))
def test_where_people_practise_any_store_will_do(mode: store_policies.StoreMode, environment: str) -> None:
    assert store_policies.judge_store(environment, mode).decision == "allowed"


@hypothesis.given(mode=st.sampled_from(MODES), environment=st.sampled_from(store_policies.STRICT_ENVIRONMENTS))
def test_where_others_rely_on_it_nothing_less_than_all_of_it_will_do(
    mode: store_policies.StoreMode, environment: str
) -> None:
    judgement = store_policies.judge_store(environment, mode)

    is_whole = mode.run_control_on_s3 and mode.run_scoped_on_s3 and mode.object_lock and mode.signed
    assert judgement.refused is not is_whole
    assert all(name in judgement.reason for name in mode.lacking)


@hypothesis.given(mode=st.sampled_from(MODES), environment=st.text())
def test_an_environment_that_is_not_known_is_refused(mode: store_policies.StoreMode, environment: str) -> None:
    hypothesis.assume(environment not in (*store_policies.FREE_ENVIRONMENTS, *store_policies.STRICT_ENVIRONMENTS))

    assert store_policies.judge_store(environment, mode).refused


@hypothesis.given(environment=st.one_of(st.text(), st.sampled_from(store_policies.STRICT_ENVIRONMENTS)))
def test_keeping_evidence_better_is_never_refused_where_less_was_allowed(environment: str) -> None:
    for mode, better in itertools.product(MODES, repeat=2):
        if set(better.lacking) <= set(mode.lacking) and not store_policies.judge_store(environment, mode).refused:
            assert not store_policies.judge_store(environment, better).refused


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({"target": cases.ECS, "evidence": {**PLACES, **LOCK, **SIGN}}, "s3+object-lock+signed"),
        ({"target": cases.ECS, "evidence": {**PLACES, **SIGN}}, "s3+signed"),
        (
            {"target": cases.ECS, "evidence": {"run_control": "s3://bucket/control", **LOCK, **SIGN}},
            "folder+object-lock+signed",
        ),
        (
            {"target": {"kind": "local", "tasks": 2}, "evidence": {**PLACES, **LOCK, **SIGN}},
            "folder+object-lock+signed",
        ),
        ({"target": {"kind": "local", "tasks": 2}, "evidence": {}}, "folder"),
    ],
    ids=["whole", "without lock", "one place", "tasks on this machine publish nothing", "a folder"],
)
def test_the_mode_is_what_becomes_of_the_documents(changes: cases.Value, mode: str) -> None:
    assert store_policies.StoreMode.from_plan(cases.plan(**changes)).text == mode


def _gate(environment: str, evidence: cases.Value, **preflight: Any) -> cases.Value:
    plan = cases.plan(target=cases.ECS, environment=environment, evidence=evidence)
    case = cases.passing().under(plan).having(preflight=cases.preflight(**preflight))
    return next(gate for gate in case.document()["gates"] if gate["name"] == "store_policy")


WHOLE = {**PLACES, **LOCK, **SIGN}


def _kept(environment: str, evidence: cases.Value) -> cases.Value:
    plan = cases.plan(target=cases.ECS, environment=environment, evidence=evidence)
    return store_policies.judge_plan(plan).entry.document()


@pytest.mark.parametrize(
    ("environment", "evidence", "kept", "status"),
    [
        ("prod", WHOLE, _kept("prod", WHOLE), "PASS"),
        ("prod", WHOLE, None, "INVALID"),
        ("prod", WHOLE, _kept("staging", WHOLE), "INVALID"),
        ("prod", PLACES, _kept("prod", WHOLE), "FAIL"),
        ("prod", PLACES, _kept("prod", PLACES), "FAIL"),
        ("dev", PLACES, _kept("dev", PLACES), "PASS"),
        ("dev", PLACES, None, "PASS"),
        ("dev", PLACES, _kept("dev", WHOLE), "INVALID"),
    ],
)
def test_adjudication_judges_the_policy_anew(
    environment: str, evidence: cases.Value, kept: cases.Value | None, status: str
) -> None:
    gate = _gate(environment, evidence, store_policy=kept)

    assert (gate["status"], gate["blocker"]) == (status, "M10F-B4")


def test_the_finding_carries_environment_mode_decision_and_reason_to_the_preflight_document() -> None:
    judgement = store_policies.judge_plan(cases.plan(target=cases.ECS, environment="prod", evidence=PLACES))
    finding = store_policies.to_finding(judgement)

    assert finding.refused
    assert preflight_results.StorePolicyEntry.model_validate(dict(finding.details)).document() == {
        "environment": "prod",
        "store_mode": "s3",
        "decision": "refused",
        "reason": "prod demands S3 places, Object Lock and a signature; missing: evidence.object_lock, evidence.sign",
    }
