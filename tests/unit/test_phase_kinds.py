"""Phase kinds: each can pass, holds for its own reasons, and never passes by what is left out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.domain.basics import canonical
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import phase_sections, snapshots
from tests import cases

Kind = catalogues.Kind
RUN_KINDS = [kind for kind in Kind if kind not in (Kind.ROLLUP, Kind.REPRODUCIBILITY)]
"""Those of a run that stands alone. The second of two is in `test_reproduction_gates`, a roll-up in `test_rollups`."""
GATES: dict[Kind, dict[str, Any]] = {
    Kind.BURST: {"multiplier": 3.0, "admit_ratio": 0.9},
    Kind.WINDOW: {"min_admits": 18840, "contiguity": {"max_gap": "60s"}},
    Kind.SOAK: {"decision_shares": {"QUARANTINE": {"at_most": 0.05}}},
    Kind.RECOVERY: {},
    Kind.DRILL: {"expect_duplicates": 100},
}
COUNTS = cases.counts(18840, 320)


def make_plan(kind: Kind, **changes: Any) -> plans.Plan:
    """A plan of a kind that asks about every blocker by a gate or a fact."""
    value = cases.plan_value(gates=GATES[kind], facts=[], **changes) | {"kind": kind.value}
    silent = plans.parse(json.dumps(value), source="p").silent_blockers
    value["facts"] = [{"blocker": blocker, "name": "asked", "sql": "select 0", "equals": 0} for blocker in silent]
    return plans.parse(json.dumps(value), source="p")


def make_metrics(**changes: Any) -> cases.Value:
    """Counts in 15 buckets, the admits and duplicates in the first."""
    buckets = [{**cases.window(60 + 60 * index, 60), "counts": cases.counts(0)} for index in range(15)]
    for index, bucket in enumerate(buckets):
        bucket["counts"] = cases.counts(18840 - 14, 320) if index == 0 else cases.counts(1)
    return cases.metrics(**{"counts": COUNTS, "buckets": buckets, **changes})


def make_case(kind: Kind, **documents: Any) -> cases.Case:
    """A case of a kind with no blocker open, varied by whole documents."""
    plan = make_plan(kind)
    answers = [cases.fact(fact.blocker.rpartition("-")[2], fact.name, 0, equals=0) for fact in plan.facts]
    whole: dict[str, Any] = {
        "task_result": cases.task_result(stop_reason="complete"),
        "metrics": make_metrics(),
        "facts": cases.facts(answers),
        "baseline": cases.baseline(),
        "preflight": cases.preflight(),
        "attempt": cases.attempt(),
    }
    return cases.Case(plan=plan, contents={}).having(**{**whole, **documents})


def answer_wrongly(kind: Kind) -> cases.Value:
    """Facts of which each answer is a no; without one where the plan asks none."""
    facts = make_plan(kind).facts
    return cases.facts([cases.fact(fact.blocker.rpartition("-")[2], fact.name, 1, equals=0) for fact in facts])


SPOILED: dict[str, Any] = {
    "task_result": [
        cases.task_result(tasks=[cases.task(0), cases.task(1, stopped_utc=None)]),
        cases.task_result(platform_run_id="other"),
        cases.task_result(tasks=[cases.task(0), cases.task(1, stopped_utc=cases.at(6000))], stopped_utc=cases.at(6000)),
    ],
    "metrics": [
        make_metrics(platform_run_id="other"),
        make_metrics(settled=False),
        make_metrics(counts=cases.counts(0), buckets=[]),
    ],
    "preflight": [cases.preflight(passed=False, refused=["ingest"]), cases.preflight(execution_id="other")],
    "attempt": [cases.attempt() | {"execution_id": "other"}],
}
HOLDS = [(name, index) for name, values in SPOILED.items() for index in range(len(values))] + [("facts", 0)]


@pytest.mark.parametrize("kind", RUN_KINDS)
def test_a_phase_of_every_kind_can_pass(kind: Kind) -> None:
    snapshot = make_case(kind).verdict().snapshot

    assert snapshot.blockers == []
    assert {entry.state for entry in snapshot.blocker_register} == {"cleared"}


@pytest.mark.parametrize("kind", RUN_KINDS)
def test_a_phase_passes_only_where_every_blocker_is_asked_about(kind: Kind) -> None:
    whole = make_case(kind)
    for fact in whole.plan.facts:
        value = json.loads(canonical.encode(whole.plan.document()))
        value["facts"] = [one for one in value["facts"] if one["blocker"] != fact.blocker]
        less = plans.parse(json.dumps(value), source="p")

        snapshot = cases.Case(plan=less, contents=whole.contents).verdict().snapshot

        assert less.silent_blockers == (fact.blocker,)
        assert snapshot.blockers == [fact.blocker]


@given(
    kind=st.sampled_from(RUN_KINDS),
    spoilt=st.sampled_from(HOLDS),
    left_out=st.sets(st.sampled_from(sorted(make_case(Kind.BURST).contents))),
)
def test_removing_documents_never_turns_a_hold_into_a_pass(
    kind: Kind, spoilt: tuple[str, int], left_out: set[str]
) -> None:
    name, index = spoilt
    spoiled = answer_wrongly(kind) if name == "facts" else SPOILED[name][index]
    held = make_case(kind, **{name: spoiled})
    if name == "facts" and not held.plan.facts:
        return
    assert not held.verdict().snapshot.overall_pass

    less = cases.Case(
        plan=held.plan, contents={key: part for key, part in held.contents.items() if key not in left_out}
    )

    # No blocker rests on the number of the attempt, and a burst that was recorded elsewhere may have no preflight.
    alone = {"attempt": "m10_f_attempt.json", "preflight": "m10_f_preflight.json" if kind is Kind.BURST else None}
    assert not less.verdict().snapshot.overall_pass or alone.get(name) in left_out


@given(kind=st.sampled_from(RUN_KINDS), short=st.integers(0, 9))
def test_a_wrong_answer_opens_exactly_its_blocker(kind: Kind, short: int) -> None:
    catalogue = catalogues.CATALOGUES[kind]
    blocker = catalogue.shorts[short % len(catalogue.shorts)]
    value = json.loads(canonical.encode(make_plan(kind).document()))
    value["facts"].append({"blocker": f"M10F-{blocker}", "name": "further", "sql": "select 0", "equals": 0})
    plan = plans.parse(json.dumps(value), source="p")
    answers = [
        cases.fact(fact.blocker.rpartition("-")[2], fact.name, int(fact.name == "further"), equals=0)
        for fact in plan.facts
    ]

    held = cases.Case(plan=plan, contents={}).having(
        task_result=cases.task_result(),
        metrics=make_metrics(),
        baseline=cases.baseline(),
        facts=cases.facts(answers),
        preflight=cases.preflight(),
    )

    assert held.verdict().snapshot.blockers == [f"M10F-{blocker}"]


FAULTS = [
    (Kind.WINDOW, make_metrics(counts=cases.counts(18839, 320)), {"B1", "B5"}),  # the buckets no longer add up
    (Kind.WINDOW, make_metrics(buckets=[{**cases.window(), "counts": COUNTS}]), {"B2"}),
    (Kind.WINDOW, make_metrics(buckets=[]), {"B2"}),
    (Kind.DRILL, make_metrics(counts=cases.counts(18840, 99), buckets=[]), {"B2"}),
    (Kind.DRILL, make_metrics(counts=cases.counts(0), buckets=[]), {"B1", "B2"}),
    (Kind.SOAK, make_metrics(counts=cases.counts(9, 9, 1), buckets=[]), {"B1"}),
    (Kind.RECOVERY, make_metrics(counts=cases.counts(0), buckets=[]), {"B4"}),
]


@pytest.mark.parametrize(("kind", "metrics", "shorts"), FAULTS)
def test_a_fault_in_the_counts_opens_the_blockers_of_its_kind(
    kind: Kind, metrics: cases.Value, shorts: set[str]
) -> None:
    assert cases.open_shorts(make_case(kind, metrics=metrics).verdict()) == shorts


@pytest.mark.parametrize("kind", RUN_KINDS)
@pytest.mark.parametrize("whole", [True, False])
def test_a_snapshot_has_the_sections_of_its_kind_and_of_no_other(kind: Kind, whole: bool) -> None:
    case = make_case(kind) if whole else cases.Case(plan=make_plan(kind), contents={})
    verdict = case.verdict()

    document = verdict.snapshot.document()
    own = set(phase_sections.SECTIONS.get(kind, {}))
    assert own == set(document) & set(phase_sections.PhaseSections.model_fields)
    again = snapshots.Verdict.read(verdict.content)
    assert again.snapshot.document() == document


def test_every_section_is_in_the_table_of_a_kind() -> None:
    named = {name for sections in phase_sections.SECTIONS.values() for name in sections}

    assert named == set(phase_sections.PhaseSections.model_fields)


def test_the_sections_of_a_window_say_what_it_had_to_hold_and_held() -> None:
    document = make_case(Kind.WINDOW).document()

    assert document["window_target"] == {
        "duration_minutes": 15.0,
        "min_admitted_events": 18840,
        "contiguous_event_time_required": True,
        "max_gap_seconds": 60.0,
        "min_plane_closure": None,
    }
    checks = document["scale_gate_checks"]
    assert (checks["admitted_events"], checks["span_minutes"], checks["longest_gap_seconds"]) == (18840, 15.0, 0.0)
    assert checks["pass"]
    assert {check["name"] for check in checks["checks"]} == {"duration_seconds", "min_admits", "contiguity"}
    assert document["lag_checkpoint_checks"]["pass"]
    assert document["run_scope_coherence_checks"]["pass"]
    metrics = next(ref for ref in document["evidence_refs"] if ref["name"] == cases.METRICS)
    assert document["window_manifest_ref"] == {"name": cases.METRICS, "sha256": metrics["sha256"]}


def test_the_sections_of_a_soak_say_when_it_ran_and_which_lag_it_had_to_keep() -> None:
    plan = make_plan(Kind.SOAK)
    value = json.loads(canonical.encode(plan.document()))
    value["facts"].append({"blocker": "M10F-B2", "name": "max_lag", "sql": "select 3", "at_most": 10})
    document = cases.Case(
        plan=plans.parse(json.dumps(value), source="p"), contents=make_case(Kind.SOAK).contents
    ).document()

    assert document["soak_target"]["max_lag_messages"] == 10.0
    assert document["soak_target"]["duration_minutes"] == 15.0
    assert document["soak_execution_window"] == {
        "start_utc": cases.at(0),
        "end_utc": cases.at(990),
        "tasks": ["task-0", "task-1"],
        "stop_reason": "complete",
    }
    assert [check["name"] for check in document["lag_checkpoint_checks"]["checks"]] == ["asked", "asked", "max_lag"]


def test_a_drill_says_how_many_duplicates_it_injected() -> None:
    document = make_case(Kind.DRILL).document()

    assert document["drill_target"] == {"duplicate_event_count_target": 100}
    assert document["drill_outcome_checks"]["checks"] == [
        {"name": "expect_duplicates", "value": 320, "expected": 100, "comparison": "at_least", "pass": True}
    ]


# The figures of the programme


def measure_of(kind: Kind, counts: cases.Value, seconds: float, *, budget: str, facts: list[cases.Value]) -> cases.Case:
    """A case of a kind with these counts over so many seconds, and these answers beside those of the other blockers."""
    plan = make_plan(kind, budget={"max": budget, "operator_cap": budget, "min_window": "30m"})
    asked = [{key: value for key, value in fact.items() if key not in ("value", "source")} for fact in facts]
    value = json.loads(canonical.encode(plan.document()))
    value["gates"], value["facts"] = (
        GOLDEN_GATES.get(kind, {}),
        value["facts"] + [{**fact, "sql": "select 0"} for fact in asked],
    )
    answers = [cases.fact(fact.blocker.rpartition("-")[2], fact.name, 0, equals=0) for fact in plan.facts]
    task = cases.task(0, stopped_utc=cases.at(seconds))
    length = int(seconds - 60) // 60
    buckets = [{**cases.window(60 + 60 * index, 60), "counts": cases.counts(1)} for index in range(length)]
    rest = {name: number - (length - 1 if name == "ADMIT" else 0) for name, number in counts.items()}
    buckets[0]["counts"] = rest
    window = cases.window(60, 60 * length)
    return cases.Case(plan=plans.parse(json.dumps(value), source="p"), contents={}).having(
        task_result=cases.task_result(tasks=[task, {**task, "id": "task-1"}], stopped_utc=cases.at(seconds)),
        metrics=cases.metrics(window=window, counts=counts, buckets=buckets),
        facts=cases.facts([*answers, *facts]),
        preflight=cases.preflight(),
    )


GOLDEN_GATES: dict[Kind, dict[str, Any]] = {Kind.WINDOW: {"min_admits": 50000, "contiguity": {}}}
SOAK_COUNTS = cases.counts(11244, 11238, 981)


@pytest.mark.parametrize(("admits", "shorts"), [(48100, {"B1"}), (50100, set())])
def test_the_window_of_the_programme_needed_its_top_up(admits: int, shorts: set[str]) -> None:
    case = measure_of(Kind.WINDOW, cases.counts(admits, 4300), 7180, budget="2h", facts=[])

    assert cases.open_shorts(case.verdict()) == shorts


def test_the_strict_chain_of_the_window_was_over_its_budget() -> None:
    case = measure_of(Kind.WINDOW, cases.counts(50100, 4300), 9474, budget="2h", facts=[])

    assert cases.open_shorts(case.verdict()) == {"B8"}


@pytest.mark.parametrize(("lag", "shorts"), [(40, {"B2"}), (310, {"B2"}), (3, set())])
def test_the_soaks_of_the_programme_hold_by_their_lag_and_by_nothing_else(lag: int, shorts: set[str]) -> None:
    """About as many DUPLICATE as ADMIT: an admit ratio would hold each of them."""
    facts = [cases.fact("B2", "max_lag", lag, at_most=10)]
    case = measure_of(Kind.SOAK, SOAK_COUNTS, 6064.398, budget="3h", facts=facts)

    verdict = case.verdict()

    assert cases.open_shorts(verdict) == shorts
    assert verdict.snapshot.runtime_budget.elapsed_seconds == 6064.398
    assert verdict.snapshot.document()["soak_target"]["max_lag_messages"] == 10.0


@pytest.mark.parametrize(("seconds", "shorts"), [(172.162, set()), (600.0, set()), (600.001, {"B2"})])
def test_the_recovery_of_the_programme_kept_its_objective(seconds: float, shorts: set[str]) -> None:
    facts = [
        cases.fact("B2", "restart_to_stable_seconds", seconds, at_most=600),
        cases.fact("B1", "replaced_task_count", 4, at_least=4),
        cases.fact("B3", "max_lag_window", 4, at_most=10),
    ]
    case = measure_of(Kind.RECOVERY, cases.counts(339, 335, 16), 4823.044, budget="2h", facts=facts)
    verdict = case.verdict()

    assert cases.open_shorts(verdict) == shorts
    document = verdict.snapshot.document()
    assert document["restart_to_stable_seconds"] == seconds
    assert document["rto_pass"] is not bool(shorts)
    assert (document["replaced_task_count"], document["max_lag_window"]) == (4, 4)


@pytest.mark.parametrize(("duplicates", "shorts"), [(0, {"B2"}), (320, set())])
def test_the_first_drill_of_the_programme_injected_nothing(duplicates: int, shorts: set[str]) -> None:
    case = make_case(Kind.DRILL, metrics=make_metrics(counts=cases.counts(18840, duplicates), buckets=[]))

    assert cases.open_shorts(case.verdict()) == shorts


DROPPED = [32] * 9 + [8] + [32] * 8


@pytest.mark.parametrize(
    ("values", "shorts"),
    [([32] * 18, set()), (DROPPED, {"B6"}), ([8] * 18, {"B6"}), ([None, *[32] * 17], {"B6"}), ([33] * 18, set())],
    ids=["whole", "dropped", "never whole", "not seen at the start", "one more"],
)
def test_a_soak_holds_where_a_service_falls_below_its_count_or_was_never_at_it(
    values: list[int | None], shorts: set[str]
) -> None:
    rule = {"blocker": "M10F-B6", "aggregate": "min", "at_least": 32}
    observe = cases.observe(rule, name="gateway_tasks", service="ingest-gateway")
    observe["series"][0].pop("sql")
    soak = make_plan(Kind.SOAK, observe=observe, target=cases.ECS)
    seen = cases.observations(soak, values)

    case = cases.Case(plan=soak, contents=make_case(Kind.SOAK).contents).having(observations=seen)

    assert cases.open_shorts(case.verdict()) == shorts


def test_a_service_that_is_observed_is_one_of_ecs() -> None:
    rule = {"blocker": "M10F-B6", "aggregate": "min", "at_least": 32}
    observe = cases.observe(rule, service="ingest-gateway")
    observe["series"][0].pop("sql")

    with pytest.raises(plans.PlanError, match=r"it is an ECS service, and target\.kind is local"):
        make_plan(Kind.SOAK, observe=observe)
