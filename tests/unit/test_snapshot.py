"""Adjudication: the golden verdict, the traps that must not open, and that it is a function of its documents."""

import json
from typing import Any

import hypothesis
import pydantic
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.verdict import baselines, phase_sections, snapshots
from burst.domain.verdict import cases as given_cases
from tests import cases

GOLDEN_SECONDS = 1366.095
SINCE_0_2_0 = {
    "observations",
    "kind",
    *("rules", "contract", "attempt", "command_line", "hold"),
    *("deliveries", "duplicates", "driver", "dependency_refs", "multiplier_interval", "drills", "rate_steps"),
}
"""The fields that burst 0.1.0 did not write."""
INLINE = {"admits": 50100, "seconds": 7180, "source": "M10.E"}


def golden() -> cases.Case:
    """The bounded rerun that sent only duplicates: ADMIT=0, DUPLICATE=10002 over 1366.095 s."""
    whole = cases.window(0, GOLDEN_SECONDS)
    plan = cases.plan(
        rerun=cases.rerun("B1", "B5", "B8"), budget={"max": "90m", "operator_cap": "24m", "min_window": "15m"}, facts=[]
    )
    tasks = [cases.task(index, stopped_utc=whole["end_utc"]) for index in range(2)]
    return cases.Case(plan=plan, contents={}).having(
        task_result=cases.task_result(stopped_utc=whole["end_utc"], tasks=tasks),
        metrics=cases.metrics(window=whole, counts=cases.counts(0, 10002)),
        baseline=cases.baseline(),
        prior=cases.prior("B1", "B5", "B8"),
    )


def test_the_golden_rerun_to_the_last_digit() -> None:
    document = golden().document()

    assert document["blockers"] == ["M10F-B1"]
    assert document["overall_pass"] is False
    assert document["exit_code"] == 3
    assert document["baseline_extract"]["admits_per_minute"] == 418.66295264623955
    assert document["burst_load_checks"]["achieved_multiplier"] == {"value": 0.0, "threshold": 3.0, "pass": False}
    assert document["burst_load_checks"]["admit_ratio"] == {"value": 0.0, "threshold": 0.995, "pass": False}
    assert document["burst_load_checks"]["duration_seconds"] == {"value": 1366.095, "threshold": 900.0, "pass": True}
    assert document["burst_execution_window"]["elapsed_seconds"] == 1366.095
    assert document["runtime_budget"]["budget_seconds"] == 5400.0
    assert document["runtime_budget"]["elapsed_seconds"] == 1366.095
    assert document["runtime_budget"]["budget_pass"] is True
    assert document["burst_target"] == {
        "ingest_multiplier": 3.0,
        "duration_minutes": 15.0,
        "min_successful_admit_ratio": 0.995,
    }


def test_the_golden_rerun_touches_only_what_it_names() -> None:
    verdict = golden().verdict()

    states = {short: cases.entry(verdict, short)["state"] for short in catalogues.BURST.shorts}
    assert {short for short, state in states.items() if state == "carried"} == {"B2", "B3", "B4", "B6", "B7", "B9"}
    assert states["B5"] == states["B8"] == "cleared"


def test_the_golden_bytes_do_not_change_from_machine_to_machine() -> None:
    bare = golden()
    given = given_cases.from_documents(bare.plan, b"{}", bare.contents, verifier={"name": "burst", "version": "0"})

    content = snapshots.adjudicate(given).content

    assert content == canonical.encode(json.loads(content))
    assert b'"admits_per_minute":418.66295264623955' in content
    assert b'"elapsed_seconds":1366.095' in content


def test_a_burst_that_reached_everything_passes() -> None:
    verdict = cases.passing().verdict()

    assert (verdict.snapshot.exit_code, verdict.snapshot.exit_reason) == (0, "PASS: no blocker open")
    assert verdict.snapshot.overall_pass
    assert verdict.snapshot.blockers == []
    assert verdict.snapshot.document()["burst_load_checks"]["achieved_multiplier"]["value"] == 3.000026613439787
    assert verdict.snapshot.document()["burst_load_checks"]["counts"]["ADMIT"] == 18840


def test_a_reference_run_needs_no_baseline_and_no_multiplier() -> None:
    verdict = cases.passing(gates={"admit_ratio": 0.995}, baseline=None).without("baseline").verdict()

    assert verdict.snapshot.overall_pass
    assert verdict.snapshot.document()["burst_load_checks"]["achieved_multiplier"] == {
        "value": None,
        "threshold": None,
        "pass": None,
    }


def test_the_snapshot_says_what_its_schema_promises() -> None:
    for case in (cases.passing(), golden(), cases.Case(plan=cases.plan(), contents={})):
        verdict = case.verdict()

        document = verdict.snapshot.document()
        assert snapshots.Snapshot.model_validate(document) == verdict.snapshot
        fields = {field.alias or name for name, field in snapshots.Snapshot.model_fields.items()}
        assert set(document) == fields - phase_sections.list_foreign(verdict.snapshot.kind)
        assert verdict.content == canonical.encode(document)


# What is missing


EVERYTHING = frozenset(catalogues.BURST.shorts)


@pytest.mark.parametrize(
    ("missing", "opened"),
    [
        ("task_result", {"B1", "B5", "B6", "B8", "B9"}),
        ("metrics", {"B1", "B5", "B6", "B9"}),
        ("facts", {"B2", "B6", "B7"}),
        ("baseline", {"B1", "B5"}),
    ],
)
@pytest.mark.parametrize(
    "how", ["absent", "empty", "half", "not JSON", "another schema", "a key twice", "not an object"]
)
def test_a_document_that_says_nothing_leaves_what_rests_on_it_open(missing: str, opened: set[str], how: str) -> None:
    sound = cases.passing()
    contents = {
        "empty": b"",
        "half": cases.content(cases.metrics())[:50],
        "not JSON": b"\xff\xfe",
        "another schema": b'{"schema":"burst.else/v9"}',
        "a key twice": b'{"schema":"burst.metrics/v1","schema":"burst.facts/v1"}',
        "not an object": b"[]",
    }

    spoiled = sound.without(missing) if how == "absent" else sound.having(**{missing: contents[how]})

    verdict = spoiled.verdict()
    assert cases.open_shorts(verdict) == opened | (set() if how == "absent" else {"B3"})
    assert verdict.snapshot.exit_code == 3


def test_nothing_at_all_clears_nothing_but_the_plan_and_its_publication() -> None:
    verdict = cases.Case(plan=cases.plan(), contents={}).verdict()

    assert cases.open_shorts(verdict) == EVERYTHING - {"B3", "B4"}
    assert verdict.snapshot.document()["burst_load_checks"]["no_data"] is True
    assert verdict.snapshot.document()["execution_id"] is None


def test_counts_whose_sum_json_cannot_hold_still_come_to_a_verdict() -> None:
    """Each count fits, their total does not, and it stands in a gate beside what the buckets hold."""
    counted = cases.metrics(
        counts=cases.counts(duplicate=2**53 - 1), buckets=[{**cases.window(), "counts": cases.counts()}]
    )

    assert cases.open_shorts(cases.passing().having(metrics=counted).verdict()) == {"B1", "B5"}


def test_no_receipts_are_no_data_and_never_a_ratio() -> None:
    verdict = cases.passing().having(metrics=cases.metrics(counts=cases.counts(0))).verdict()

    assert cases.open_shorts(verdict) == {"B1", "B9"}
    assert verdict.snapshot.document()["burst_load_checks"]["no_data"] is True
    assert verdict.snapshot.document()["burst_load_checks"]["admit_ratio"]["value"] is None
    assert verdict.snapshot.document()["burst_load_checks"]["achieved_multiplier"]["value"] is None
    assert "NO_DATA" in cases.entry(verdict, "B1")["why"]


# What is there and wrong


def _tasks(**changes: Any) -> cases.Value:
    return cases.task_result(tasks=[cases.task(0), cases.task(1, **changes)])


TRAPS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("one admit too few", {"metrics": cases.metrics(counts=cases.counts(18839))}, {"B1"}),
    ("one duplicate too many", {"metrics": cases.metrics(counts=cases.counts(18905, 96))}, {"B1"}),
    ("counted too short", {"metrics": cases.metrics(window=cases.window(60, 899.999999))}, {"B1"}),
    ("counted before the attempt", {"metrics": cases.metrics(window=cases.window(-1))}, {"B5"}),
    ("counted after the attempt", {"metrics": cases.metrics(window=cases.window(91))}, {"B5"}),
    (
        "counted before any task had started, which a claim covers",
        {"task_result": cases.task_result(started_utc=cases.at(-3000)),
         "metrics": cases.metrics(window=cases.window(-2000))},
        {"B5"},
    ),
    (
        "counted after the last task had stopped, which a claim covers",
        {"task_result": cases.task_result(stopped_utc=cases.at(4000)),
         "metrics": cases.metrics(window=cases.window(1500))},
        {"B5"},
    ),
    ("never settled", {"metrics": cases.metrics(settled=False)}, {"B5"}),
    ("a decision nobody knows", {"metrics": cases.metrics(counts=cases.counts(other=1))}, {"B5"}),
    ("the clocks disagree", {"metrics": cases.metrics(clock_skew_seconds=-3.0)}, {"B5"}),
    ("metrics of another scope", {"metrics": cases.metrics(platform_run_id="other")}, {"B6"}),
    ("metrics of another run", {"metrics": cases.metrics(execution_id="other")}, {"B6"}),
    ("task result of another scope", {"task_result": cases.task_result(platform_run_id="other")}, {"B6"}),
    ("facts of another run", {"facts": cases.facts(execution_id="other")}, {"B6"}),
    ("semantic drift", {"facts": cases.facts(cases.answers(publish_ambiguous=1))}, {"B2"}),
    ("unresolved publishes", {"facts": cases.facts(cases.answers(unresolved=1))}, {"B6"}),
    ("lag over the limit", {"facts": cases.facts(cases.answers(max_lag=11))}, {"B7"}),
    ("lag as text", {"facts": cases.facts(cases.answers(max_lag="3"))}, {"B7"}),
    ("lag as truth", {"facts": cases.facts(cases.answers(max_lag=True))}, {"B7"}),
    ("lag unknown", {"facts": cases.facts(cases.answers(max_lag=None))}, {"B7"}),
    ("zero as falsehood", {"facts": cases.facts(cases.answers(publish_ambiguous=False))}, {"B2"}),
    ("a question left out", {"facts": cases.facts(cases.answers()[1:])}, {"B2"}),
    (
        "a wider limit than the plan's",
        {"facts": cases.facts([*cases.answers()[:2], cases.fact("B7", "max_lag", 11, at_most=100)])},
        {"B7"},
    ),
    (
        "another kind of expectation",
        {"facts": cases.facts([*cases.answers()[:2], cases.fact("B7", "max_lag", 3, at_least=0)])},
        {"B7"},
    ),
    (
        "falsehood asked and answered for zero",
        {"facts": cases.facts([cases.fact("B2", "publish_ambiguous", False, equals=False), *cases.answers()[1:]])},
        {"B2"},
    ),
    (
        "a further answer that is a no",
        {"facts": cases.facts([*cases.answers(), cases.fact("B2", "duplicate_side_effects", 4, equals=0)])},
        {"B2"},
    ),
    (
        "a no to a blocker of another phase",
        {"facts": cases.facts([*cases.answers(), {**cases.fact("B2", "drift", 4, equals=0), "blocker": "M10G-B2"}])},
        {"B6"},
    ),
    (
        "a no to a blocker without its phase",
        {"facts": cases.facts([*cases.answers(), {**cases.fact("B2", "drift", 4, equals=0), "blocker": "B2"}])},
        {"B6"},
    ),
    (
        "an answer from before the attempt had ended",
        {"facts": cases.facts([{**cases.answers()[0], "at_utc": cases.at(987.9)}, *cases.answers()[1:]])},
        {"B2"},
    ),
    (
        "two answers to one question",
        {"facts": cases.facts([*cases.answers(), cases.fact("B2", "publish_ambiguous", 0, equals=0)])},
        {"B2", "B3", "B6", "B7"},
    ),
    ("a task never started", {"task_result": _tasks(started_utc=None, stop_code="TaskFailedToStart")}, {"B9"}),
    ("a task lost", {"task_result": _tasks(stop_code="Gone", stopped_by=None)}, {"B1", "B9"}),
    (
        "a task failed",
        {"task_result": _tasks(stop_code=None, stopped_by=None, exit_code=1, stopped_utc=cases.at(890))},
        {"B1", "B9"},
    ),
    (
        "a task went home early",
        {"task_result": _tasks(stop_code=None, stopped_by=None, stopped_utc=cases.at(860))},
        {"B1", "B9"},
    ),
    ("a task excused by no layer", {"task_result": _tasks(stop_code="Gone", stopped_by="somebody")}, {"B1", "B9"}),
    ("a task missing", {"task_result": cases.task_result(tasks=[cases.task(0)])}, {"B9"}),
    ("no tasks", {"task_result": cases.task_result(tasks=[])}, {"B8", "B9"}),
    ("over the budget", {"task_result": _tasks(stopped_utc=cases.at(5400.000001))}, {"B8"}),
    ("elapsed is a claim", {"task_result": {**_tasks(stopped_utc=cases.at(6000)), "elapsed_seconds": 1}}, {"B8"}),
    ("baseline edited", {"baseline": cases.baseline().replace(b"50100", b"50099")}, {"B1", "B3", "B5"}),
    ("baseline not sealed", {"baseline": cases.baseline_value()}, {"B1", "B3", "B5"}),
    ("baseline expired", {"baseline": cases.baseline(max_age_seconds=3599)}, {"B1", "B5"}),
    ("baseline of other seconds than its window's", {"baseline": cases.baseline(seconds=71800)}, {"B1", "B3", "B5"}),
    ("refused by preflight", {"preflight": cases.preflight(passed=False)}, {"B4"}),
    (
        "refused by preflight, and said to have passed",
        {"preflight": cases.preflight(findings=[{**cases.preflight()["findings"][0], "status": "refused"}])},
        {"B4"},
    ),
    ("baseline from the future", {"baseline": cases.baseline(created_utc=cases.at(1))}, {"B1", "B5"}),
    ("numbers no bytes can hold", {"baseline": cases.baseline()[:-1] + b',"x":1e999}'}, {"B1", "B3", "B5"}),
    ("instants no calendar holds", {"task_result": _tasks(started_utc="0001-01-01T00:00:00+01:00")},
     {"B1", "B3", "B5", "B6", "B8", "B9"}),
]  # fmt: skip


@pytest.mark.parametrize(("spoiled", "opened"), [trap[1:] for trap in TRAPS], ids=[trap[0] for trap in TRAPS])
def test_a_trap_opens_exactly_its_blockers(spoiled: dict[str, Any], opened: set[str]) -> None:
    verdict = cases.passing().having(**spoiled).verdict()

    assert cases.open_shorts(verdict) == opened
    assert not verdict.snapshot.overall_pass
    assert verdict.snapshot.exit_code == 3


@pytest.mark.parametrize("short", catalogues.BURST.asked)
def test_an_answer_to_a_question_the_plan_never_asked_clears_nothing(short: str) -> None:
    asked = [fact for fact in cases.plan_value()["facts"] if not fact["blocker"].endswith(short)]

    verdict = cases.passing(facts=asked).verdict()

    assert cases.open_shorts(verdict) == {short}
    assert cases.entry(verdict, short)["state"] == "not-evaluated"


def test_a_scope_that_was_never_resolved_is_not_coherent() -> None:
    assert cases.open_shorts(cases.passing(scope="fresh").verdict()) == {"B6"}


# The baseline the plan names


def test_a_baseline_named_by_digest_is_that_one_or_none() -> None:
    named = {"file": "b.json", "sha256": canonical.digest(cases.baseline())}
    sound, another = cases.passing(baseline=named), cases.baseline(admits=1, buckets=_one_admit())

    assert sound.verdict().snapshot.overall_pass
    assert cases.open_shorts(sound.having(baseline=another).verdict()) == {"B1", "B5"}


def _one_admit() -> list[cases.Value]:
    return [{**cases.window(-10800, 7180), "counts": cases.counts(1)}]


def test_an_inline_baseline_passes_alone_and_not_beside_another() -> None:
    inline = cases.passing(baseline=INLINE)

    assert inline.without("baseline").verdict().snapshot.overall_pass
    assert cases.open_shorts(inline.verdict()) == {"B1", "B5"}


@pytest.mark.parametrize(("limit", "opened"), [("1h", set()), ("59m59s", {"B1", "B5"})])
def test_the_plans_age_limit_counts_from_the_first_start(limit: str, opened: set[str]) -> None:
    verdict = cases.passing(baseline={"file": "b.json", "max_age": limit}).verdict()

    assert cases.open_shorts(verdict) == opened


# Exit codes


def test_a_task_nobody_saw_stop_ends_with_6_whatever_else_happened() -> None:
    interruption = {"signal": "SIGINT", "at_utc": cases.at(500)}

    verdict = cases.passing().having(task_result={**_tasks(stopped_utc=None), "interruption": interruption}).verdict()

    assert verdict.snapshot.exit_code == 6
    assert cases.open_shorts(verdict) == {"B8"}
    assert verdict.snapshot.document()["runtime_budget"]["overshoot_seconds"] is None


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("admits", [0, 18840])
def test_an_interrupted_run_ends_with_its_signal_pass_or_hold(signal: str, code: int, admits: int) -> None:
    interrupted = cases.task_result(interruption={"signal": signal, "at_utc": cases.at(500)})

    verdict = (
        cases.passing().having(task_result=interrupted, metrics=cases.metrics(counts=cases.counts(admits, 1))).verdict()
    )

    assert verdict.snapshot.exit_code == verdict.snapshot.document()["exit_code"] == code
    assert signal in verdict.snapshot.exit_reason


@pytest.mark.parametrize(("deadline", "overshoot"), [(1200.0, 0.0), (990.0, 0.0), (980.5, 9.5), (None, None)])
def test_the_overshoot_is_from_the_deadline_to_the_last_stop(deadline: float | None, overshoot: float | None) -> None:
    result = cases.task_result(deadline_utc=None if deadline is None else cases.at(deadline))

    document = cases.passing().having(task_result=result).document()

    assert document["runtime_budget"]["overshoot_seconds"] == overshoot


def test_the_layer_that_stopped_the_last_task_is_named() -> None:
    verdict = cases.passing().having(task_result=_tasks(stopped_by="guard", stopped_utc=cases.at(991))).verdict()

    assert verdict.snapshot.document()["runtime_budget"]["stopped_by"] == "guard"


# Services


SERVED = cases.passing(target=cases.ECS, services=[{"name": "writer", "desired": 2}, {"name": "reader", "desired": 2}])


@pytest.mark.parametrize(
    ("services", "code", "why"),
    [
        pytest.param([], 3, "how reader, writer stood before", id="none told of"),
        pytest.param([cases.service("writer")], 3, "how reader stood before", id="one not told of"),
        pytest.param(
            [cases.service("writer"), cases.service("reader", restored=False, command="aws ecs")],
            6,
            "not put back; run: aws ecs",
            id="one left as the burst had it",
        ),
    ],
)
def test_every_service_of_the_plan_must_be_told_of_and_put_back(
    services: list[cases.Value], code: int, why: str
) -> None:
    verdict = SERVED.having(task_result=cases.task_result(services=services)).verdict()

    assert cases.open_shorts(verdict) == {"B8"}
    assert verdict.snapshot.exit_code == code
    assert why in cases.gate(verdict, "services_back")["why"]


def test_services_that_all_stand_as_before_are_put_back() -> None:
    back = [cases.service("writer"), cases.service("reader")]

    assert SERVED.having(task_result=cases.task_result(services=back)).verdict().snapshot.exit_code == 0


def test_a_service_left_behind_opens_b8_even_where_the_plan_names_none() -> None:
    left = cases.task_result(services=[cases.service("writer", restored=False)])

    verdict = cases.passing().having(task_result=left).verdict()

    assert (cases.open_shorts(verdict), verdict.snapshot.exit_code) == ({"B8"}, 6)


# Bounded reruns


def _rerun(*only: str, prior: cases.Value | bytes | None = None, **changes: Any) -> cases.Case:
    bounded = cases.passing(rerun=cases.rerun(*only, **changes))
    return bounded if prior is None else bounded.having(prior=prior)


def test_a_rerun_clears_what_it_names_and_carries_the_rest() -> None:
    verdict = _rerun("B1", "B5", prior=cases.prior("B1", "B5", "B7")).verdict()

    assert cases.open_shorts(verdict) == {"B7"}
    assert cases.entry(verdict, "B7")["state"] == "carried"
    assert cases.entry(verdict, "B1")["state"] == "cleared"
    assert verdict.snapshot.document()["source_snapshot_refs"]["prior"]["execution_id"] == cases.PRIOR_EXECUTION_ID


def test_a_rerun_of_all_that_was_open_passes() -> None:
    assert _rerun("B1", "B5", prior=cases.prior("B1", "B5")).verdict().snapshot.overall_pass


def test_an_answer_as_old_as_the_clocks_may_differ_is_of_the_attempt() -> None:
    asked = [{**entry, "at_utc": cases.at(988)} for entry in cases.answers()]

    assert cases.passing().having(facts=cases.facts(asked)).verdict().snapshot.overall_pass


@pytest.mark.parametrize(("opened", "said"), [("B2", "1 blocker open"), ("B2 B7", "2 blockers open")])
def test_what_is_open_is_counted_in_plain_words(opened: str, said: str) -> None:
    asked = [fact for fact in cases.plan_value()["facts"] if fact["blocker"].rpartition("-")[2] not in opened.split()]

    assert cases.passing(facts=asked).verdict().snapshot.exit_reason == f"HOLD: {said}"


def test_a_rerun_that_names_a_cleared_id_is_refused() -> None:
    with pytest.raises(errors.UsageError, match=r"names M10F-B2, not open"):
        _rerun("B1", "B2", prior=cases.prior("B1")).verdict()


@pytest.mark.parametrize(
    "prior",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{", id="half"),
        pytest.param(cases.prior("B1", phase="M10.G"), id="of another phase"),
        pytest.param(cases.prior("B1", blockers=["M10G-B1"]), id="with ids of another phase"),
        pytest.param(cases.prior("B1", blockers=None), id="without a list"),
        pytest.param(cases.prior("B1", blocker_register={}), id="without a register that is one"),
        pytest.param(cases.prior("B1", schema="burst.snapshot/v2"), id="of a schema nobody knows here"),
        pytest.param(cases.prior("B1", execution_id=None), id="of no run"),
        pytest.param(b'[{"blocker":"M10F-B1","open":true}]', id="a register alone"),
    ],
)
def test_a_rerun_without_a_usable_prior_leaves_the_others_open(prior: cases.Value | bytes | None) -> None:
    verdict = _rerun("B1", prior=prior).verdict()

    assert cases.open_shorts(verdict) == EVERYTHING - {"B1"}
    assert verdict.snapshot.document()["source_snapshot_refs"]["prior"] is None


@pytest.mark.parametrize(
    "prior", [None, b"[]", cases.prior("B1", "B4", phase="M10.G")], ids=["missing", "unreadable", "another phase"]
)
def test_a_rerun_of_b4_needs_the_prior_it_depends_on(prior: Any) -> None:
    assert "B4" in cases.open_shorts(_rerun("B1", "B4", prior=prior).verdict())


def test_a_prior_named_by_digest_is_that_one_or_none() -> None:
    """Without it nobody can tell whether the terms are the prior's, so that nothing is cleared by them."""
    sound = cases.content(cases.prior("B1", "B2"))
    edited = cases.content(cases.prior("B1"))
    named = _rerun("B1", prior=sound, prior_sha256=canonical.digest(sound))

    assert cases.open_shorts(named.verdict()) == {"B2"}
    assert cases.open_shorts(named.having(prior=edited).verdict()) == EVERYTHING


def test_what_a_prior_with_a_register_does_not_speak_of_was_open_there() -> None:
    told = cases.prior("B1", "B7")
    silent = {
        **told,
        "blockers": ["M10F-B1"],
        "blocker_register": [entry for entry in told["blocker_register"] if entry["blocker"] != "M10F-B7"],
    }

    assert cases.open_shorts(_rerun("B1", prior=silent).verdict()) == {"B7"}


def test_a_prior_given_to_a_whole_run_changes_nothing() -> None:
    whole = cases.passing().having(prior=cases.prior("B1", "B2"))

    assert whole.verdict().snapshot.overall_pass


# Evidence by digest


def test_every_document_given_is_cited_by_digest_and_size() -> None:
    case = cases.passing()

    refs = {ref["name"]: ref for ref in case.document()["evidence_refs"]}

    assert set(refs) == {"plan.json", "baseline.json", cases.TASK_RESULT, cases.METRICS, cases.FACTS}
    for name, content in case.contents.items():
        assert (refs[name]["sha256"], refs[name]["size"]) == (canonical.digest(content), len(content))


def test_an_unreadable_document_is_cited_too() -> None:
    verdict = cases.passing().having(metrics=b"half").verdict()

    assert canonical.digest(b"half") in {ref["sha256"] for ref in verdict.snapshot.document()["evidence_refs"]}


def test_the_journal_is_cited_by_its_prefix() -> None:
    journal = {"size": 12, "sha256": "a" * 64}

    refs = (
        cases.passing()
        .having(task_result=cases.task_result(journal=journal))
        .verdict()
        .snapshot.document()["evidence_refs"]
    )

    assert [ref for ref in refs if ref["name"] == "journal.jsonl"][0]["prefix"] is True  # noqa: RUF015 (exactly one)


def test_documents_are_cited_where_the_plan_puts_them() -> None:
    places = {"run_control": "s3://bucket/evidence/run_control/", "run_scoped": "s3://bucket/evidence/runs"}

    refs = cases.passing(evidence=places, execution_id=cases.EXECUTION_ID).document()["evidence_refs"]

    assert next(ref["keys"] for ref in refs if ref["name"] == "plan.json") == [
        f"s3://bucket/evidence/run_control/{cases.EXECUTION_ID}/plan.json",
        f"s3://bucket/evidence/runs/{cases.SCOPE}/m10/plan.json",
    ]


def test_a_prior_that_is_a_snapshot_of_ours_can_be_built_upon() -> None:
    first = cases.passing().having(metrics=cases.metrics(counts=cases.counts(0, 10002))).verdict()

    second = _rerun("B1", prior=first.content).verdict()

    assert cases.open_shorts(first) == {"B1"}
    assert second.snapshot.overall_pass
    assert second.snapshot.document()["source_snapshot_refs"]["prior"]["sha256"] == canonical.digest(first.content)


# Properties over mixed evidence: every document sound, spoiled in some way, or absent.


def _variants(*values: cases.Value | bytes | None) -> st.SearchStrategy[bytes | None]:
    contents = [cases.content(value) if isinstance(value, dict) else value for value in values]
    return st.sampled_from([*contents, b"{}", b"\xff", None])


TASK_RESULTS = _variants(
    cases.task_result(),
    cases.task_result(platform_run_id="other"),
    cases.task_result(tasks=[]),
    _tasks(stopped_utc=None),
    _tasks(started_utc=None),
    _tasks(stopped_utc=cases.at(6000)),
)
METRICS = _variants(
    cases.metrics(),
    cases.metrics(counts=cases.counts(0)),
    cases.metrics(counts=cases.counts(0, 10002)),
    cases.metrics(window=cases.window(-60)),
    cases.metrics(execution_id="other"),
    cases.metrics(settled=False),
)
FACTS = _variants(
    cases.facts(),
    cases.facts([]),
    cases.facts(cases.answers(max_lag=11, unresolved=None)),
    cases.facts([*cases.answers(), cases.fact("B2", "further", 1, equals=0)]),
    cases.facts(execution_id="other"),
)
BASELINES = _variants(cases.baseline(), cases.baseline(max_age_seconds=60), cases.baseline_value())
PRIORS = _variants(
    cases.prior(*catalogues.BURST.shorts),
    cases.prior("B1", "B5", "B8"),
    cases.prior("B1"),
    cases.prior("B1", phase="M10.G"),
)
PLANS = tuple(
    cases.plan(**changes)
    for changes in (
        {},
        {"facts": []},
        {"facts": cases.plan_value()["facts"][1:2]},
        *(
            {"rerun": cases.rerun(*only)}
            for only in (["B1"], ["B1", "B5", "B8"], ["B6"], ["B4", "B9"], catalogues.BURST.shorts)
        ),
        {"rerun": cases.rerun("B1", prior="s3://bucket/prior.json")},
    )
)
NAMES = (cases.TASK_RESULT, cases.METRICS, cases.FACTS, document_names.BASELINE, document_names.PRIOR)
SOUND = cases.passing()
BOUNDED = cases.passing(rerun=cases.rerun("B1"))
MIXED = st.builds(
    lambda plan, *contents: cases.Case(
        plan=plan,
        contents={name: content for name, content in zip(NAMES, contents, strict=True) if content is not None},
    ),
    st.sampled_from(PLANS),
    TASK_RESULTS,
    METRICS,
    FACTS,
    BASELINES,
    PRIORS,
)


def _verdict(case: cases.Case) -> snapshots.Verdict | None:
    """The verdict, None where the rerun is refused: then nothing was cleared."""
    try:
        return case.verdict()
    except errors.UsageError:
        return None


@hypothesis.given(case=MIXED)
def test_the_same_documents_are_the_same_bytes_in_whatever_order(case: cases.Case) -> None:
    backwards = cases.Case(plan=case.plan, contents=dict(reversed(list(case.contents.items()))))

    one, other = _verdict(case), _verdict(backwards)

    assert (one and one.content) == (other and other.content)


@hypothesis.given(case=MIXED)
def test_a_verdict_is_consistent_with_itself_and_its_schema(case: cases.Case) -> None:
    verdict = _verdict(case)
    hypothesis.assume(verdict is not None)
    assert verdict is not None
    document = verdict.snapshot.document()

    opened = sorted(entry["blocker"] for entry in document["blocker_register"] if entry["open"])
    assert document["blockers"] == opened
    assert document["overall_pass"] is (not opened)
    assert (document["exit_code"] == 0) is document["overall_pass"]
    assert snapshots.Snapshot.model_validate(json.loads(verdict.content)).exit_code == verdict.snapshot.exit_code


@hypothesis.settings(max_examples=200)
@hypothesis.given(case=MIXED, gone=st.sampled_from(NAMES))
def test_leaving_a_document_out_clears_no_blocker(case: cases.Case, gone: str) -> None:
    """B3 is set apart: it speaks of the documents given, and one that is not given cannot be unreadable."""
    hypothesis.assume(gone in case.contents)
    less = cases.Case(plan=case.plan, contents={name: part for name, part in case.contents.items() if name != gone})

    before, after = _verdict(case), _verdict(less)

    if before is not None and after is not None:
        assert cases.open_shorts(before) - {"B3"} <= cases.open_shorts(after)
    if before is None or not before.snapshot.overall_pass:
        assert after is None or not after.snapshot.overall_pass


@hypothesis.given(name=st.sampled_from(sorted(SOUND.contents)), data=st.data())
def test_damage_to_a_byte_never_makes_a_hold_a_pass(name: str, data: st.DataObject) -> None:
    """The case fails in one way for each document, so that a damaged one would have something to hide."""
    held = SOUND.having(
        task_result=_tasks(stopped_utc=None),
        metrics=cases.metrics(settled=False),
        facts=cases.facts(cases.answers(publish_ambiguous=1)),
        baseline=cases.baseline(max_age_seconds=60),
    )
    damaged = bytearray(held.contents[name])
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    verdict = cases.Case(plan=held.plan, contents={**held.contents, name: bytes(damaged)}).verdict()

    assert len(cases.open_shorts(verdict) & {"B1", "B2", "B5", "B8"}) >= 3
    assert verdict.snapshot.exit_code in {3, 6}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
BUILT: dict[str, cases.Value] = {
    "task_result": cases.task_result(
        interruption={"signal": "SIGINT", "at_utc": cases.at(9)}, deadline_utc=cases.at(9), elapsed_seconds=1.0
    ),
    "metrics": cases.metrics(clock_skew_seconds=0.0, clock_round_trip_seconds=0.0, settled=True, late=cases.counts(0)),
    "facts": cases.facts(),
    "baseline": json.loads(cases.baseline()),
    "prior": cases.prior("B1"),
    "preflight": cases.preflight(),
}


@hypothesis.given(kind=st.sampled_from(sorted(BUILT)), value=VALUES, data=st.data())
def test_whatever_stands_in_a_field_a_verdict_is_reached(kind: str, value: object, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(BUILT[kind])))
    changed = {**BUILT[kind], key: value}
    if kind == "baseline" and key != "checksum":
        hypothesis.assume(_sealable(changed))
        changed = {**changed, "checksum": baselines.checksum(changed)}
    case = BOUNDED if kind == "prior" else SOUND

    verdict = _verdict(case.having(**{kind: changed}))

    assert verdict is None or json.loads(verdict.content)["schema"] == document_names.SNAPSHOT_SCHEMA


def _sealable(value: cases.Value) -> bool:
    try:
        return bool(baselines.checksum(value))
    except ValueError:
        return False


def test_the_published_schema_names_every_consumer_field() -> None:
    schema = snapshots.Snapshot.model_json_schema(by_alias=True)

    assert {"phase", "execution_id", "platform_run_id", "blockers", "overall_pass", "schema"} <= set(schema["required"])


def test_a_snapshot_without_a_field_is_not_one() -> None:
    document = cases.passing().document()

    for name in document.keys() - SINCE_0_2_0:
        with pytest.raises(pydantic.ValidationError):
            snapshots.Snapshot.model_validate({key: part for key, part in document.items() if key != name})


def test_instants_in_the_snapshot_are_utc_whatever_zone_the_documents_used() -> None:
    elsewhere = cases.task_result(started_utc="2026-02-21T04:00:00+02:00")

    shown = (
        cases.passing()
        .having(task_result=elsewhere)
        .verdict()
        .snapshot.document()["burst_execution_window"]["start_utc"]
    )

    assert shown == instants.text(cases.STARTED) == "2026-02-21T02:00:00Z"


def test_counts_from_before_go_are_not_of_the_attempt() -> None:
    result = cases.task_result(go_utc=cases.at(60.5))

    verdict = cases.passing().having(task_result=result).verdict()

    assert cases.open_shorts(verdict) == {"B5"}


def test_a_stop_that_is_not_proven_opens_b8_even_outside_the_rerun() -> None:
    plan = cases.plan(rerun=cases.rerun("B1", prior="prior.json"))
    running = cases.task_result(tasks=[cases.task(0), cases.task(1, stopped_utc=None)])

    verdict = cases.passing().under(plan).having(task_result=running, prior=cases.prior("B1")).verdict()

    assert cases.open_shorts(verdict) == {"B8"}
    assert verdict.snapshot.exit_code == 6


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"window": cases.window(-86400)}, "attempt_scoped", id="another day"),
        pytest.param({"settled": False}, "settled", id="not settled"),
        pytest.param({"clock_skew_seconds": 500.0}, "clock_skew_seconds", id="clocks apart"),
        pytest.param({"counts": cases.counts(other=7)}, "known_decisions", id="unknown decisions"),
        pytest.param({"platform_run_id": "platform_other"}, "run_scope", id="another scope"),
        pytest.param({"execution_id": "m10_other"}, "run_scope", id="another run"),
    ],
)
def test_a_rerun_of_b1_alone_does_not_clear_it_by_counts_that_are_not_of_this_attempt(
    changes: dict[str, Any], named: str
) -> None:
    metrics = cases.metrics(**changes)

    verdict = _rerun("B1", prior=cases.prior("B1")).having(metrics=metrics).verdict()

    assert cases.open_shorts(verdict) == {"B1"}
    assert f"{named}: " in cases.entry(verdict, "B1")["why"]
    assert cases.entry(verdict, "B5")["state"] == cases.entry(verdict, "B6")["state"] == "carried"


@pytest.mark.parametrize(("only", "opened"), [("B1", set()), ("B2", {"B2"})])
def test_facts_of_another_run_open_what_rests_on_facts_and_nothing_else(only: str, opened: set[str]) -> None:
    facts = cases.facts(execution_id="m10_other")

    verdict = _rerun(only, prior=cases.prior(only)).having(facts=facts).verdict()

    assert cases.open_shorts(verdict) == opened


def test_a_rerun_of_b8_alone_does_not_clear_it_by_the_tasks_of_another_run() -> None:
    """By its plan, which names the run: B8 does not rest on the counts, whatever run they are of."""
    result = cases.task_result(execution_id="m10_other")
    given = cases.passing(rerun=cases.rerun("B8"), execution_id=cases.EXECUTION_ID)

    verdict = given.having(prior=cases.prior("B8"), task_result=result).verdict()

    assert cases.open_shorts(verdict) == {"B8"}


def test_preflight_is_named_by_digest_and_its_prices_estimate_what_the_tasks_cost() -> None:
    case = cases.passing(budget={"max": "90m", "min_window": "15m", "cost_cap_usd": 5}).having(
        preflight=cases.preflight()
    )

    verdict = case.verdict()

    assert verdict.snapshot.overall_pass
    assert "m10_f_preflight.json" in [ref["name"] for ref in verdict.snapshot.document()["evidence_refs"]]
    assert verdict.snapshot.document()["cost"] == {
        "estimated_usd": pytest.approx(2 * 990 / 3600 * (0.04 + 2 * 0.004)),
        "at_cap_usd": 0.1,
        "cost_cap_usd": 5.0,
        "price_source": "made up",
    }


@pytest.mark.parametrize("field", ["vcpu", "memory_gb", "vcpu_hour_usd", "gb_hour_usd"])
def test_a_price_beyond_all_prices_is_no_price_and_no_end_of_the_verdict(field: str) -> None:
    found = cases.preflight()

    verdict = cases.passing().having(preflight={**found, "cost": {**found["cost"], field: 1e308}}).verdict()

    assert cases.open_shorts(verdict) == {"B3"}
    assert verdict.snapshot.document()["cost"] is None


def test_what_was_never_seen_to_end_has_no_cost() -> None:
    running = cases.task_result(stopped_utc=None, tasks=[cases.task(0), cases.task(1, stopped_utc=None)])

    verdict = cases.passing().having(preflight=cases.preflight(), task_result=running).verdict()

    assert verdict.snapshot.document()["cost"]["estimated_usd"] is None


def test_preflight_of_another_run_opens_b6_and_one_that_cannot_be_read_b3() -> None:
    other = cases.passing().having(preflight=cases.preflight(execution_id="m10_another")).verdict()
    unreadable = cases.passing().having(preflight=b"{").verdict()

    assert cases.open_shorts(other) == {"B6"}
    assert cases.open_shorts(unreadable) == {"B3"}


def test_counts_that_could_not_be_made_open_b5_with_the_reason_they_could_not() -> None:
    why = "the counting task arn:task/1 stopped before it had answered: EssentialContainerExited, exit 137"

    sound = cases.passing().without("metrics")
    verdict = sound.having(task_result=cases.task_result(count_problem=why)).verdict()

    (entry,) = [one for one in verdict.snapshot.document()["blocker_register"] if one["blocker"].endswith("-B5")]
    assert entry["open"] is True
    assert why in entry["why"]
