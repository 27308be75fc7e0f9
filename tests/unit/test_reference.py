"""Baselines made from runs: only of a sound PASS, and refused when changed or too old."""

import json
from collections.abc import Mapping

import pytest

from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.verdict import baselines
from burst.evidence import reference_runs
from tests import cases, fakes_evidence

CREATED = instants.parse("2026-02-21T03:00:00Z")
ENVIRONMENT: Mapping[str, str | int | float | None] = {"python": "3.12.1", "cpus": 2}
BUCKETS = [{**cases.window(60 + 300 * index, 300), "counts": cases.counts(6280)} for index in range(3)]


def store(case: cases.Case) -> fakes_evidence.MemoryEvidenceStore:
    verdict = case.verdict()
    plan = canonical.encode(case.plan.document())
    return fakes_evidence.MemoryEvidenceStore(
        {
            document_names.PLAN: plan,
            **case.contents,
            document_names.snapshot_name(case.plan.slug, case.plan.kind): verdict.content,
        }
    )


def made(case: cases.Case, max_age_seconds: float | None = 3600.0) -> bytes:
    return reference_runs.make(
        store(case), created_at=CREATED, max_age_seconds=max_age_seconds, environment=ENVIRONMENT
    )


def test_a_baseline_says_what_the_passed_run_measured_and_where_it_comes_from() -> None:
    case = cases.passing().having(metrics=cases.metrics(bucket_seconds=300.0, buckets=BUCKETS))

    document = baselines.read(made(case))

    assert (document.admits, document.seconds) == (cases.ENOUGH_ADMITS, 900.0)
    assert document.admits_per_minute == cases.ENOUGH_ADMITS / 900 * 60
    assert document.admit_ratio == 1.0
    assert [bucket.counts.admit for bucket in document.buckets] == [6280, 6280, 6280]
    assert document.environment == {**ENVIRONMENT, "environment": "ci", "target": "local"}
    assert document.profile["command"] == "push-events"
    assert document.profile["tasks"] == 2
    assert document.provenance.execution_id == cases.EXECUTION_ID
    assert document.provenance.platform_run_id == cases.SCOPE
    assert document.provenance.phase == "M10.F"
    assert document.provenance.snapshot_sha256 == canonical.digest(case.verdict().content)
    assert document.provenance.window.model_dump(mode="json") == cases.window()


def test_a_run_counted_without_buckets_gives_a_baseline_of_one_bucket() -> None:
    document = baselines.read(made(cases.passing()))

    assert document.bucket_seconds == 900.0
    assert [bucket.counts.admit for bucket in document.buckets] == [cases.ENOUGH_ADMITS]


def test_a_reference_run_without_a_multiplier_gives_a_baseline() -> None:
    plan = cases.plan(gates={"admit_ratio": 0.995}, baseline=None, load={"command": ["push-events"]})

    document = baselines.read(made(cases.passing().under(plan).without("baseline")))

    assert document.admits == cases.ENOUGH_ADMITS


def test_the_same_run_gives_the_same_bytes() -> None:
    assert made(cases.passing()) == made(cases.passing())


def test_a_run_on_hold_gives_no_baseline() -> None:
    with pytest.raises(errors.Refused, match="HOLD, open: M10F-B1"):
        made(cases.passing().having(metrics=cases.metrics(counts=cases.counts(100, 0))))


def test_evidence_that_does_not_hold_gives_no_baseline() -> None:
    spoiled = store(cases.passing())
    spoiled.documents[cases.METRICS] += b" "

    with pytest.raises(errors.Refused, match="corrupt"):
        reference_runs.make(spoiled, created_at=CREATED, max_age_seconds=None, environment=ENVIRONMENT)


def test_no_run_gives_no_baseline() -> None:
    with pytest.raises(errors.Refused, match="absent"):
        reference_runs.make(
            fakes_evidence.MemoryEvidenceStore(), created_at=CREATED, max_age_seconds=None, environment=ENVIRONMENT
        )


def test_a_baseline_made_here_carries_a_burst() -> None:
    baseline = made(cases.passing())
    plan = cases.plan(baseline={"file": "baselines/m10_e.json"})
    later = [cases.task(index, started_utc=cases.at(7200), stopped_utc=cases.at(8190)) for index in (0, 1)]
    case = (
        cases.passing()
        .under(plan)
        .having(
            baseline=baseline,
            task_result=cases.task_result(started_utc=cases.at(7200), stopped_utc=cases.at(8190), tasks=later),
            metrics=cases.metrics(window=cases.window(7260), counts=cases.counts(3 * cases.ENOUGH_ADMITS)),
        )
    )

    verdict = case.verdict()

    assert verdict.snapshot.blockers == []
    assert cases.gate(verdict, "achieved_multiplier")["measured"] == 3.0


def test_a_fresh_baseline_may_be_used() -> None:
    document = reference_runs.verify(made(cases.passing()), now=instants.later(CREATED, 3600))

    assert document.admits == cases.ENOUGH_ADMITS


def test_an_expired_baseline_is_refused() -> None:
    with pytest.raises(errors.Refused, match=r"its limit is 1 h, which was over 0\.001 s before the run"):
        reference_runs.verify(made(cases.passing()), now=instants.later(CREATED, 3600.001))


def test_a_baseline_without_a_limit_does_not_expire() -> None:
    content = made(cases.passing(), max_age_seconds=None)

    assert reference_runs.verify(content, now=instants.later(CREATED, 1e8)).max_age_seconds is None


def test_no_changed_byte_of_a_baseline_is_accepted() -> None:
    content = made(cases.passing())
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1

        with pytest.raises(errors.BurstError) as raised:
            reference_runs.verify(bytes(changed), now=CREATED)
        assert raised.value.exit_code in (8, 9)


ADDED = {"runs"}
"""What a baseline of burst 0.1.0 did not have."""


@pytest.mark.parametrize("field", sorted(json.loads(made(cases.passing())).keys() - ADDED))
def test_a_baseline_with_a_field_missing_is_refused(field: str) -> None:
    value = json.loads(made(cases.passing()))
    del value[field]

    with pytest.raises(errors.BurstError) as raised:
        reference_runs.verify(baselines.seal(value) if field != "checksum" else canonical.encode(value), now=CREATED)
    assert raised.value.exit_code == (9 if field == "schema" else 8)


def test_the_profile_of_a_locustfile_says_its_rate() -> None:
    load = {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1", "rate": 500, "source_events": 20000}
    plan = plans.parse(json.dumps(cases.plan_value(load=load)), source="plan.json")

    profile = baselines.read(made(cases.passing().under(plan))).profile

    assert profile["profile"] == "steady"
    assert profile["rate_per_minute"] == 500
    assert profile["source_events"] == 20000
    assert profile["command"] is None


def test_a_pass_that_carries_a_blocker_over_its_own_counts_gives_no_baseline() -> None:
    """Nobody judged the counts of a rerun that only B7 was asked of."""
    prior = cases.prior("B7")
    named = cases.rerun("B7", prior_sha256=canonical.digest(cases.content(prior)))
    rerun = cases.passing(rerun=named).having(prior=prior)
    unsettled = rerun.having(metrics=cases.metrics(counts=cases.counts(20), settled=False))
    assert unsettled.verdict().snapshot.overall_pass

    with pytest.raises(errors.Refused, match=r"achieved_multiplier, settled"):
        made(unsettled)

    assert baselines.read(made(rerun)).admits == cases.ENOUGH_ADMITS
