"""A run of kind reproducibility: it passes as the second of two, and holds for each of its own reasons."""

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, reproduction_vectors, window_metrics
from burst.domain.plan import catalogues, plans
from tests import cases, reproducing

COUNTS = cases.counts(49_000_000, 48_000_000, 3_000_000)
SECOND_COUNTS = cases.counts(48_807_689, 48_059_848, 3_132_463)
"""The shares of the field's second run: 0.00059848 and 0.00132463 away."""
NO_BURST_TERMS: cases.Value = {"baseline": None}


def _facts(prefix: str, short: str) -> list[cases.Value]:
    return [
        {"blocker": f"{prefix}-{short}", "name": "publish_ambiguous", "sql": "select 0", "equals": 0},
        {"blocker": f"{prefix}-{short}", "name": "max_lag", "sql": "select 4", "at_most": 10},
    ]


def _answers(prefix: str, short: str, **changes: Any) -> cases.Value:
    values = {"publish_ambiguous": 0, "max_lag": 4, **changes}
    limits: dict[str, cases.Value] = {"publish_ambiguous": {"equals": 0}, "max_lag": {"at_most": 10}}
    return cases.facts(
        [
            {"blocker": f"{prefix}-{short}", "name": name, "value": value, **limits[name]}
            for name, value in values.items()
        ]
    )


FIRST = reproducing.make_first(COUNTS)
REFERENCE, REFERENCE_PLAN = FIRST.snapshot, FIRST.plan


def _plan(**changes: Any) -> plans.Plan:
    section = {**cases.REPRODUCES, "sha256": canonical.digest(REFERENCE), **changes.pop("reproduces", {})}
    section = {key: part for key, part in section.items() if part is not None}
    return cases.plan(
        **{
            "kind": "reproducibility",
            "phase": "M10.F",  # the documents of `cases` have its slug
            "execution_id": cases.EXECUTION_ID,
            "gates": {},
            "facts": _facts("M10F", "B7"),
            "reproduces": section,
            **NO_BURST_TERMS,
            **changes,
        }
    )


def _second(plan: plans.Plan | None = None, **documents: Any) -> cases.Case:
    """The whole case of the second run."""
    given = {
        "task_result": cases.task_result(),
        "metrics": cases.metrics(counts=SECOND_COUNTS),
        "facts": _answers("M10F", "B7"),
        "preflight": cases.preflight(),
        "reference": REFERENCE,
        "reference_plan": REFERENCE_PLAN,
        "reproduction": cases.reproduction(REFERENCE, before=ANCHORS, after=ANCHORS),
        **documents,
    }
    gone = [name for name, value in given.items() if value is None]
    return cases.Case(plan=plan or _plan(), contents={}).having(
        **{name: value for name, value in given.items() if name not in gone}
    )


def _ask_lag(**changes: Any) -> list[cases.Value]:
    """The invariants, the one of the lag otherwise."""
    unchanged, lag = _facts("M10F", "B7")
    return [unchanged, {**lag, **changes}]


def _answer_lag(**changes: Any) -> cases.Value:
    answers = _answers("M10F", "B7")
    return {**answers, "facts": [answers["facts"][0], {**answers["facts"][1], **changes}]}


ANCHORS = [f"anchor_{number:02d}" for number in range(12)]


def test_a_second_run_that_is_like_the_first_passes() -> None:
    verdict = _second().verdict()
    document = verdict.snapshot.document()

    assert verdict.snapshot.overall_pass, [entry.why for entry in verdict.snapshot.open_entries]
    assert document["comparisons"] == {
        "anchor_keyset_match": True,
        "contract_match": True,
        "duplicate_share_delta": 0.00059848,
        "lag_pass": True,
        "missing_required_surfaces": [],
        "profile_match": True,
        "quarantine_share_delta": 0.00132463,
        "semantic_invariant_pass": True,
    }
    assert document["baseline_refs"][0]["snapshot_sha256"] == canonical.digest(REFERENCE)
    assert document["candidate_refs"][0]["execution_id"] == cases.EXECUTION_ID
    assert document["baseline_vector"]["anchor_keyset"] == document["candidate_vector"]["anchor_keyset"] == ANCHORS
    assert document["candidate_vector"]["ingress_counts"]["DUPLICATE"] == 48_059_848
    assert document["baseline_vector"]["max_lag_window"] == 3
    assert document["candidate_vector"]["max_lag_window"] == 4


def _second_in_scope_of_first() -> cases.Case:
    """Both runs in one scope, so that one key set is asked twice."""
    first = reproducing.First(
        snapshot=canonical.encode({**json.loads(REFERENCE), "platform_run_id": cases.SCOPE}), plan=REFERENCE_PLAN
    )
    answers = cases.reproduction(first.snapshot, before=ANCHORS, after=ANCHORS)
    answers["baseline"] = {**answers["baseline"], "platform_run_id": cases.SCOPE}
    return _second(_plan(reproduces={"sha256": first.sha256}), **{**first.documents(), "reproduction": answers})


OTHER_LOAD = reproducing.make_first(COUNTS, load={"command": ["push-other-events"]})
OTHER_TERMS = reproducing.make_first(COUNTS, receipts={"dsn": "env:BURST_TEST_DSN", "settle": "9s"})
HOLDS: dict[str, tuple[cases.Case, str, str]] = {
    "a key that is new": (
        _second(reproduction=cases.reproduction(REFERENCE, before=ANCHORS, after=[*ANCHORS, "anchor_12"])),
        *("B5", "FAIL"),
    ),
    "a key that is gone": (
        _second(reproduction=cases.reproduction(REFERENCE, before=ANCHORS, after=ANCHORS[1:])),
        *("B5", "FAIL"),
    ),
    "no key at all": (_second(reproduction=cases.reproduction(REFERENCE, before=[], after=[])), "B5", "INVALID"),
    "key sets of another reference": (_second(reproduction=cases.reproduction(b"{}")), "B5", "INVALID"),
    "key sets of another run": (
        _second(reproduction=cases.reproduction(REFERENCE, execution_id="other")),
        *("B5", "INVALID"),
    ),
    "key sets by another question": (
        _second(_plan(reproduces={"keyset": {"sql": "select 'a'"}})),
        *("B5", "INVALID"),
    ),
    "key sets of one scope": (_second_in_scope_of_first(), "B5", "INVALID"),
    "no document of key sets": (_second(reproduction=None), "B5", "INVALID"),
    "shares that drifted": (_second(metrics=cases.metrics(counts=cases.counts(44, 54, 2))), "B6", "FAIL"),
    "another load": (
        _second(
            _plan(reproduces={"sha256": OTHER_LOAD.sha256}),
            **OTHER_LOAD.documents(),
        ),
        *("B4", "FAIL"),
    ),
    "other terms": (
        _second(
            _plan(reproduces={"sha256": OTHER_TERMS.sha256}),
            **OTHER_TERMS.documents(),
        ),
        *("B4", "FAIL"),
    ),
    "no plan of the reference": (_second(reference_plan=None), "B4", "INVALID"),
    "another plan of the reference": (_second(reference_plan=REFERENCE_PLAN + b" "), "B4", "INVALID"),
    "an invariant that is broken": (_second(facts=_answers("M10F", "B7", publish_ambiguous=1)), "B7", "FAIL"),
    "lag above its bound": (_second(facts=_answers("M10F", "B7", max_lag=11)), "B7", "FAIL"),
    "an invariant that is asked no more": (
        _second(_plan(facts=_facts("M10F", "B7")[:1]), facts=cases.facts([_answers("M10F", "B7")["facts"][0]])),
        *("B7", "FAIL"),
    ),
    "an invariant that is held to less": (
        _second(_plan(facts=_ask_lag(at_most=11)), facts=_answer_lag(at_most=11)),
        *("B7", "FAIL"),
    ),
    "an invariant that is asked otherwise": (_second(_plan(facts=_ask_lag(sql="select 3"))), "B7", "FAIL"),
    "no invariant asked": (_second(_plan(facts=[]), facts=cases.facts([])), "B7", "INVALID"),
}


@pytest.mark.parametrize(
    ("limits", "second_rate", "match"),
    [
        ({}, 1200, True),
        ({"multiplier": 2.5}, 1200, True),
        ({"multiplier@whole": 2.5}, 1200, True),
        ({"latency_p95_ms@whole": 250}, 1200, True),
        ({"multiplier": 2.5}, 1100, False),
    ],
    ids=["the same limits", "a multiple", "a multiple of a step", "a latency of a step", "another rate"],
)
def test_runs_of_one_load_match_whatever_limits_each_sets(limits: cases.Value, second_rate: float, match: bool) -> None:
    def load(rate: float) -> cases.Value:
        return {"command": ["push-events"], "rate": [{"for": "15m", "rate": rate, "name": "whole"}]}

    first = reproducing.make_first(COUNTS, load=load(1200))
    baseline = cases.plan().document()["baseline"]
    plan = _plan(load=load(second_rate), gates=limits, baseline=baseline, reproduces={"sha256": first.sha256})

    gates = {gate.name: gate for gate in _second(plan, **first.documents()).verdict().snapshot.gates}

    assert gates["contract_match"].status == "PASS", gates["contract_match"].why
    assert (gates["profile_match"].status == "PASS") is match


def test_an_invariant_may_be_held_to_more() -> None:
    assert _second(_plan(facts=_ask_lag(at_most=4)), facts=_answer_lag(at_most=4)).verdict().snapshot.overall_pass


@pytest.mark.parametrize(("case", "short", "status"), HOLDS.values(), ids=HOLDS.keys())
def test_it_holds_for_its_own_reason(case: cases.Case, short: str, status: str) -> None:
    verdict = case.verdict()

    assert cases.open_shorts(verdict) == {short}
    failing = [gate for gate in verdict.snapshot.gates if gate.status != "PASS"]
    assert status in {gate.status for gate in failing}


@pytest.mark.parametrize("spoil", ["missing", "another digest", "a hold", "itself"])
def test_no_reference_opens_everything_that_rests_on_it(spoil: str) -> None:
    value = json.loads(REFERENCE)
    changed = {
        "missing": None,
        "another digest": canonical.encode({**value, "cost": None, "non_goals": ["x"]}),
        "a hold": canonical.encode({**value, "overall_pass": False}),
        "itself": canonical.encode({**value, "execution_id": cases.EXECUTION_ID}),
    }[spoil]
    plan = _plan(reproduces={"sha256": None}) if spoil in ("a hold", "itself") else _plan()

    verdict = _second(plan, reference=changed).verdict()

    assert {"B2", "B4", "B5", "B6", "B7"} <= cases.open_shorts(verdict)
    assert {gate.status for gate in verdict.snapshot.gates if gate.name == "reference"} == {"INVALID"}


@hypothesis.given(
    left_out=st.sets(
        st.sampled_from(["task_result", "metrics", "facts", "reference", "reference_plan", "reproduction"]), min_size=1
    ),
    held=st.sampled_from([None, *HOLDS]),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_leaving_a_document_out_never_passes(left_out: set[str], held: str | None) -> None:
    case = _second() if held is None else HOLDS[held][0]

    assert not case.without(*left_out).verdict().snapshot.overall_pass


def test_a_plan_of_the_kind_names_its_reference() -> None:
    with pytest.raises(errors.UsageError, match=r"reproduces.*required of kind reproducibility"):
        cases.plan(kind="reproducibility", gates={}, baseline=None, facts=[])


def test_each_gate_stands_behind_the_id_of_the_catalogue() -> None:
    gates = {gate.name: gate.blocker.rpartition("-")[2] for gate in _second().verdict().snapshot.gates}

    assert catalogues.CATALOGUES[catalogues.Kind.REPRODUCIBILITY].titles["B5"] == "key sets differ"
    assert gates["reference"] == "B2"
    assert gates["profile_match"] == gates["contract_match"] == "B4"
    assert gates["anchor_keyset"] == "B5"
    assert gates["duplicate_share_delta"] == gates["quarantine_share_delta"] == "B6"
    assert gates["invariants_kept"] == gates["max_lag"] == "B7"


def test_shares_are_exact() -> None:
    counts = [window_metrics.CountsEntry.model_validate(value) for value in (COUNTS, SECOND_COUNTS)]
    before, after = (reproduction_vectors.make_vector(counts=entry, keyset=["a"]) for entry in counts)

    assert str(reproduction_vectors.find_share_delta("DUPLICATE", before, after)) == "7481/12500000"
    assert document_names.reproduction_name("m10_i") == "m10_i_reproduction.json"
