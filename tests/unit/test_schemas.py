"""Schemas: whatever burst writes fits the strict one, and consumers go on reading what a later minor version adds."""

import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hypothesis
import jq
import jsonschema
import pydantic
import pytest
from hypothesis import strategies as st

from burst.cli import schema as command
from burst.domain.basics import canonical, errors, instants
from burst.domain.closure import active_baselines, closure_statements
from burst.domain.documents import (
    attempts,
    campaign_records,
    database_stages,
    document_names,
    fact_answers,
    gate_records,
    halts,
    models,
    observation_series,
    override_tables,
    preflight_results,
    questions,
    rate_search_documents,
    risk_documents,
    run_records,
    task_answers,
    task_results,
    window_metrics,
)
from burst.domain.plan import plans
from burst.domain.run.events import codec
from burst.domain.staging import change_grammar
from burst.domain.tasks import leases
from burst.domain.verdict import (
    attestations,
    baselines,
    promotion_statements,
    promotions,
    rollups,
    snapshots,
    unpublished,
)
from burst.report import field_meanings, schemas
from tests import cases, closing, fakes_database, fakes_outlets, fakes_staging, json_schemas, promoting, rolling_up

FORMS: tuple[schemas.Form, ...] = ("strict", "lenient")
ALL = sorted(schemas.KINDS)
READ_STRICTLY = ("plan", "stages", "score", "campaign", "owners")
"""What people write."""
CONTROL = leases.Lease(
    execution_id=cases.EXECUTION_ID,
    state=leases.LeaseState.GO,
    deadline=cases.moment(900),
    beat=3,
    heartbeat_at=cases.STARTED,
    owner=leases.Owner(controller="1f0a", host="runner-1", since=cases.STARTED),
    counted=leases.LeaseCount(
        counted_to=cases.STARTED,
        seconds=30.0,
        receipts=(900, 2, 0, 1),
        recent_seconds=5.0,
        recent_receipts=(150, 0, 0, 0),
    ),
)
ANNOUNCEMENT = run_records.Announcement(
    execution_id=cases.EXECUTION_ID,
    created_utc=cases.STARTED,
    deadline_utc=cases.moment(900),
    early_stop=True,
    barrier=True,
    plan_sha256="0" * 64,
)
SESSION = "0123456789abcdef"
PRUNED = run_records.PruneReceipt(
    execution_id=cases.EXECUTION_ID,
    at_utc=cases.STARTED,
    snapshot="m10_f_burst_snapshot.json",
    snapshot_sha256="0" * 64,
    removed=[run_records.RemovedDocument(name="plan.json", size=2, sha256="0" * 64)],
)
PUBLICATION = run_records.Publication(
    execution_id=cases.EXECUTION_ID,
    snapshot="m10_f_burst_snapshot.json",
    snapshot_sha256="0" * 64,
    committed_utc=cases.STARTED,
    places=[
        run_records.PublishedPlace(
            place="s3://bucket/control/run",
            documents=[run_records.PublishedDocument(name="plan.json", version_id="v", request_id="r")],
        )
    ],
)
TOLD = run_records.ToldOutlets(
    execution_id=cases.EXECUTION_ID,
    message_id=f"{cases.EXECUTION_ID}-verdict",
    outlets=["webhook-1"],
    told_utc=cases.STARTED,
)
FAILURE = run_records.PublicationFailure(
    publication_id=f"{cases.EXECUTION_ID}-7",
    execution_id=cases.EXECUTION_ID,
    platform_run_id=cases.SCOPE,
    snapshot_sha256="0" * 64,
    at_utc=cases.STARTED,
    place="s3://bucket/control/run",
    key="plan.json",
    code="AccessDenied",
    http_status=403,
    request_id="r",
    attempts=1,
)
_CHANGED = fakes_staging.MemoryStagedDatabase()
_CHANGED.apply(change_grammar.parse_change("ALTER ROLE burst SET work_mem = '8MB'"))
_CHANGED.apply(change_grammar.parse_change("CREATE INDEX CONCURRENTLY i ON receipts (platform_run_id)"))
_CHANGED.apply(change_grammar.parse_change("CREATE EXTENSION pg_stat_statements"))
DATABASE_SNAPSHOT = _CHANGED.read_snapshot([])
_REFERENCE = database_stages.SnapshotReference(name="snapshot_0.json", sha256="0" * 64)
_EDGE = rate_search_documents.RateEntry(rate_per_minute=48000.0, probes=2, outcome="held", confirmed=True)
RATE_SEARCH = rate_search_documents.RateSearch(
    search_id="rate_1",
    phase="M10.F",
    environment="dev",
    plan_sha256="0" * 64,
    criteria=["error_ratio<=0"],
    lowest_per_minute=24000.0,
    highest_per_minute=96000.0,
    within=0.05,
    confirm=2,
    probe_seconds=10.0,
    max_seconds=1800.0,
    max_usd=None,
    state="found",
    complete=True,
    limit="system",
    highest_held=_EDGE,
    lowest_not_held=None,
    generator_withheld_from_per_minute=None,
    advice=rate_search_documents.Advice(rate="800/s", needed_per_minute=24000.0, most_headroom=2.0),
    seconds=180.0,
    spent_usd=0.0,
    probes=[
        rate_search_documents.ProbeEntry(
            number=1,
            rate_per_minute=48000.0,
            execution_id=cases.EXECUTION_ID,
            outcome="held",
            why="",
            criteria=[rate_search_documents.CriterionAnswer(name="error_ratio", status="PASS", measured=0, why="0")],
            seconds=20.0,
            cost_usd=0.0,
            place="runs/searches/rate_1/probes/m10_1",
            snapshot_sha256="0" * 64,
        )
    ],
)
OVERRIDE_TABLE = override_tables.OverrideTable(
    campaign_id="dev_min_1",
    step="soak",
    swept="target.tasks",
    measure="/exit_code",
    rows=[
        override_tables.OverrideRow(
            attempt=1,
            execution_id=cases.EXECUTION_ID,
            settings=["target.tasks=2"],
            services={"writer": 2},
            database={"work_mem": "8MB"},
            snapshot_sha256="0" * 64,
            verdict="PASS",
            blockers=[],
            measures={"/exit_code": 0},
        )
    ],
)
RISKS = risk_documents.RiskRegister(
    evidence_sha256="0" * 64,
    owners_sha256="0" * 64,
    runs=1,
    rows=[
        risk_documents.RiskRow(
            phase="M10.F",
            kind="burst",
            blocker="M10F-B1",
            title="profile not achieved",
            gate="admit_ratio",
            state="open",
            status="FAIL",
            measured=0.5,
            required=0.995,
            why="missed",
            execution_id=cases.EXECUTION_ID,
            sha256="0" * 64,
            seen_utc=cases.STARTED,
            since_utc=cases.STARTED,
            since_execution_id=cases.EXECUTION_ID,
            held=1,
            runs=1,
            owner="ingest team",
            mitigation="more partitions",
        )
    ],
)
DATABASE_STAGES = database_stages.DatabaseStages(
    staging_id="stage_1", stage_file=_REFERENCE, environment="dev", operators=["ada"], system_identifier="7",
    database="ingest", role="burst", began_utc=cases.STARTED, decided_utc=cases.STARTED, outcome="rolled-back",
    stages=[
        database_stages.StageEntry(
            name="A", end="broken", reason="p95", before=_REFERENCE, after=_REFERENCE, figures_before={"p95": 1.5},
            figures_after={"p95": 2.5}, pauses=["confirm"],
            red_lines=[database_stages.JudgedLine(figure="p95", limit="at most 2", before=1.5, after=2.5, holds=False)],
            changes=[database_stages.AppliedChange(words="ANALYZE r", rolling_back=False, done_utc=cases.STARTED)],
        )
    ],
    roll_back=database_stages.RollBackEntry(
        stage="A", reason="p95", target=_REFERENCE, proof=_REFERENCE, equal=True, differences=[]
    ),
    journal=database_stages.JournalReference(name="journal.jsonl", size=1, sha256="0" * 64), exit_code=3,
    written_by="burst 0.2.0",
)  # fmt: skip
SNAPSHOT: cases.Value = json.loads(cases.passing().verdict().content)
STATEMENT = attestations.statement({"plan.json": "0" * 64}, cases.passing().verdict().snapshot)
CLOSURE = closing.score(closing.parse_score(), closing.GOOD, closing.vary(runtime={"s4": 54.875}))
VERSIONS = {
    "promotion-statement": ("predicateType", "urn:burst:predicate:promotion:v1"),
    "closure-statement": ("predicateType", "urn:burst:predicate:closure:v1"),
    "signature": ("payloadType", "application/vnd.in-toto+json"),
    "statement": ("predicateType", "urn:burst:predicate:verdict:v1"),
}
"""Where a document names its version, other than in `schema`, and what stands there."""


def _written(model: type[models.Model], value: cases.Value) -> Any:
    """A document as this version writes it."""
    return json.loads(models.read(model, cases.content(value)).content())


PROMOTION = promoting.judge_block(promoting.STEADY)
EXAMPLES: dict[str, Any] = {
    "plan": cases.plan().document(),
    "snapshot": SNAPSHOT,
    "metrics": _written(window_metrics.Metrics, cases.metrics()),
    "task-result": _written(task_results.TaskResult, cases.task_result()),
    "task-records": cases.task_records(),
    "load": cases.load(),
    "facts": _written(fact_answers.Facts, cases.facts()),
    "promotion": PROMOTION.document(),
    "demotion": promotions.make_demotion(PROMOTION.content(), "the gateway was replaced", cases.STARTED).document(),
    "observations": _written(observation_series.Observations, cases.observations(cases.plan(observe=cases.observe()))),
    "preflight": _written(preflight_results.Preflight, cases.preflight()),
    "baseline": _written(baselines.Document, json.loads(cases.baseline())),
    "journal": json.loads(cases.journal_line(1, cases.run_created())),
    "publication": json.loads(PUBLICATION.content()),
    "told": json.loads(TOLD.content()),
    "publication-failure": json.loads(FAILURE.content()),
    "signature": json.loads(attestations.envelope(STATEMENT, keyid="0" * 64, signature=b"signed")),
    "statement": json.loads(STATEMENT),
    "run": json.loads(ANNOUNCEMENT.content()),
    "message": json.loads(fakes_outlets.held().content()),
    "halt": json.loads(halts.Halt(reason="customers see errors", by="ada@laptop", at_utc=cases.STARTED).content()),
    "services": json.loads(
        run_records.KeptServices(
            execution_id=cases.EXECUTION_ID,
            cluster="burst",
            deadline_utc=cases.STARTED,
            services=[run_records.KeptService(name="ingest", before=1, desired=2)],
        ).content()
    ),
    "drill": json.loads(
        run_records.KeptDrill(
            execution_id=cases.EXECUTION_ID,
            name="restart-writer",
            at_utc=cases.STARTED,
            deadline_utc=cases.STARTED,
            service="writer",
            deployment="ecs-svc/1",
            tasks=["t1"],
            undo="undo-restart-writer",
        ).content()
    ),
    "session": json.loads(questions.SessionStart(by="0123456789abcdef").content()),
    "session-end": json.loads(questions.SessionEnd().content()),
    "question": json.loads(
        questions.QuestionDocument(
            session=SESSION, number=1, patience_seconds=5.0, ask=questions.ProblemsQuestion()
        ).content()
    ),
    "answer": json.loads(
        task_answers.AnswerDocument(
            session=SESSION, number=1, question_sha256="0" * 64, told=task_answers.ProblemsAnswer(problems=[])
        ).content()
    ),
    "attempt": _written(
        attempts.AttemptClaim,
        cases.attempt([{"execution_id": "m10_1", "verdict": "HOLD", "sha256": "0" * 64, "contract": "0" * 64}]),
    ),
    "database": json.loads(fakes_database.check().content()),
    "stages": {"schema": "burst.stages/v1", "environment": "dev", "stages": {"A": {"apply": ["ANALYZE receipts"]}}},
    "database-snapshot": json.loads(DATABASE_SNAPSHOT.content()),
    "database-stages": json.loads(DATABASE_STAGES.content()),
    "score": closing.score_value(),
    "reproduction": cases.reproduction(b"{}"),
    "locust-files": {
        "schema": "burst.locust-files/v1",
        "execution_id": cases.EXECUTION_ID,
        "platform_run_id": cases.SCOPE,
        "files": [
            {
                "shard_index": 0,
                "name": "stats.csv",
                "media_type": "text/csv",
                "size": 4,
                "sha256": canonical.digest(b"Name"),
                "text": "Name",
            }
        ],
        "left_out": [{"shard_index": 0, "name": "report.html", "why": "the task ended before Locust could write it"}],
    },
    "closure": json.loads(CLOSURE.content()),
    "promotion-statement": json.loads(promotion_statements.make_statement(PROMOTION, PROMOTION.content())),
    "gate-records": gate_records.GateRecords.from_contents([PROMOTION.content()]).document(),
    "closure-statement": json.loads(
        closure_statements.make_statement(CLOSURE, closure_statements.list_subjects(CLOSURE))
    ),
    "active-baseline": json.loads(
        active_baselines.begin(
            closing.make_scoring(closing.parse_score(), closing.GOOD, closing.GOOD), cases.STARTED
        ).content()
    ),
    "campaign": {
        "schema": "burst.campaign/v1",
        "name": "dev_min",
        "environment": "dev",
        "budget": {"max": "1h"},
        "steps": [{"name": "window", "plan": "window.yaml"}],
    },
    "campaign-stop": json.loads(
        campaign_records.CampaignStop(by="ada", reason="enough", at_utc=cases.STARTED).content()
    ),
    "rate-search": json.loads(RATE_SEARCH.content()),
    "override-table": json.loads(OVERRIDE_TABLE.content()),
    **{
        kind: json.loads(rolling_up.CONTENTS[name])
        for kind, name in (("rollup-order", "rollup_order.json"), ("rollup-lanes", "rollup_lanes.json"))
    },
    "rollup-snapshot": json.loads(rollups.adjudicate(rolling_up.CONTENTS).content),
    "risks": json.loads(RISKS.content()),
    "owners": {
        "schema": "burst.owners/v1",
        "owners": [{"gate": "admit_ratio", "owner": "ingest team", "mitigation": "more partitions"}],
    },
    "alias": json.loads(run_records.Alias(execution_id=cases.EXECUTION_ID).content()),
    "pruned": json.loads(PRUNED.content()),
    "bundle": json.loads(
        run_records.BundleIndex(execution_id=cases.EXECUTION_ID, snapshot="snapshot.json", sha256="0" * 64).content()
    ),
    "control": json.loads(leases.encode(CONTROL)),
}


def problems(kind: str, value: Any, form: schemas.Form = "strict") -> list[str]:
    """What a document violates in its schema."""
    return [f"{error.json_path}: {error.message}" for error in json_schemas.validator(kind, form).iter_errors(value)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ALL)
def test_every_schema_is_one_and_says_which(kind: str, form: schemas.Form) -> None:
    schema = schemas.make_schema(kind, form)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    as_burst_reads = form == ("strict" if kind in READ_STRICTLY else "lenient")
    assert schema["$id"] == f"urn:burst:schema:{kind}:v1" + ("" if as_burst_reads else f":{form}")
    field, version = VERSIONS.get(kind, ("schema", f"burst.{kind}/v1"))
    assert schema["properties"][field]["const"] == version


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ALL)
def test_every_schema_fits_its_document(kind: str, form: schemas.Form) -> None:
    assert problems(kind, EXAMPLES[kind], form) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ALL)
def test_another_major_version_is_refused(kind: str, form: schemas.Form) -> None:
    field, version = VERSIONS.get(kind, ("schema", f"burst.{kind}/v1"))

    assert problems(kind, {**EXAMPLES[kind], field: version.replace("v1", "v2") + "+2"}, form) != []


@pytest.mark.parametrize("kind", ALL)
def test_a_field_nobody_knows_is_refused_of_producers_and_ignored_by_consumers(kind: str) -> None:
    value = {**EXAMPLES[kind], "added_later": 1}

    assert any("added_later" in problem for problem in problems(kind, value, "strict"))
    assert problems(kind, value, "lenient") == []


MINOR = b'"minor": %d' % document_names.JOURNAL_MINOR


def _with_added(line: dict[str, Any]) -> dict[str, Any]:
    """The line with the fields that its event got since the first release."""
    return {**codec.EVENTS[line["event"]].added, **line}


LINES = [
    _with_added(
        json.loads(
            line.replace(b'/v1", ', b'/v1", ' + MINOR + b", ").replace(b'"resumed"}', b'"resumed", ' + MINOR + b"}")
        )
    )
    for line in (Path(__file__).parents[1] / "fixtures" / "journal" / "minor_0.jsonl").read_bytes().splitlines()
]
"""A line of a journal for each event, as this version writes it."""


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line["event"]))
def test_a_line_of_the_journal_has_the_fields_of_its_event_and_no_other(line: dict[str, Any]) -> None:
    assert problems("journal", line, "strict") == problems("journal", line, "lenient") == []
    assert any("added_later" in problem for problem in problems("journal", _nested(line), "strict"))
    assert problems("journal", _nested(line), "lenient") == []
    added = codec.EVENTS[line["event"]].added
    for name in line.keys() - {"minor"}:
        without = {key: part for key, part in line.items() if key != name}
        assert problems("journal", without, "strict") != [], name
        assert (problems("journal", without, "lenient") != []) is (name not in added), name


def test_a_producer_writes_events_that_are_known_and_a_consumer_lets_a_later_one_pass() -> None:
    later = {"sequence": 2, "at": cases.at(1), "event": "comet-sighted", "tail": True}

    assert any("comet-sighted" in problem for problem in problems("journal", later, "strict"))
    assert problems("journal", later, "lenient") == []
    assert problems("journal", {**later, "event": "Comet"}, "lenient") != []


@pytest.mark.parametrize("minor", [None, 0, document_names.JOURNAL_MINOR + 1])
def test_a_producer_writes_its_own_minor_and_a_consumer_reads_any(minor: int | None) -> None:
    created = {key: part for key, part in EXAMPLES["journal"].items() if key != "minor"}
    line = created if minor is None else {**created, "minor": minor}

    assert any(
        "minor" in problem or f"{document_names.JOURNAL_MINOR} was expected" in problem
        for problem in problems("journal", line, "strict")
    )
    assert problems("journal", line, "lenient") == []


def _nested(value: Any) -> Any:
    """The value with a field nobody knows in every object of it."""
    if isinstance(value, Mapping):
        return {"added_later": "x"} | {key: _nested(part) for key, part in value.items()}
    return [_nested(part) for part in value] if isinstance(value, list) else value


def test_consumers_ignore_unknown_fields_at_every_depth() -> None:
    later_minor = _nested(EXAMPLES["snapshot"])

    assert problems("snapshot", later_minor, "lenient") == []
    assert models.read(snapshots.Snapshot, canonical.encode(later_minor)).blockers == []


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in READ_STRICTLY])
def test_producers_write_every_field(kind: str) -> None:
    for name in EXAMPLES[kind]:
        without = {key: part for key, part in EXAMPLES[kind].items() if key != name}

        assert any(name in problem for problem in problems(kind, without)), name


def test_a_plan_may_leave_out_what_has_a_default_and_misspell_nothing() -> None:
    assert problems("plan", cases.plan_value()) == []
    assert problems("plan", {**cases.plan_value(), "budgett": {}}) != []


@pytest.mark.parametrize("kind", ALL)
def test_without_a_form_the_schema_is_the_one_burst_reads_with(kind: str) -> None:
    assert schemas.make_schema(kind) == schemas.make_schema(kind, "strict" if kind in READ_STRICTLY else "lenient")


@pytest.mark.parametrize("form", FORMS)
def test_the_description_of_a_property_is_the_docstring_under_its_field(form: schemas.Form) -> None:
    snapshot, line = schemas.make_schema("snapshot", form), schemas.make_schema("journal", form)

    assert snapshot["properties"]["rules"]["description"].startswith("The version of the rules it was judged by;")
    assert line["$defs"]["RunCreated"]["properties"]["minor"]["description"].startswith(
        "The minor version of the schema"
    )


def test_a_field_that_means_the_same_in_every_document_is_described_once() -> None:
    lease, question = schemas.make_schema("control"), schemas.make_schema("question")

    assert lease["properties"]["execution_id"]["description"] == field_meanings.SHARED["execution_id"]
    assert question["$defs"]["CountQuestion"]["properties"]["kind"]["description"] == field_meanings.CHOICE
    run_id = schemas.make_schema("snapshot")["properties"]["execution_id"]["description"]
    assert run_id == "The run that was judged; None where no document names it."


def test_a_model_without_source_has_no_descriptions_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiled = types.ModuleType("burst.compiled")
    compiled.__file__ = str(tmp_path / "compiled.py")
    monkeypatch.setitem(sys.modules, "burst.compiled", compiled)
    model = pydantic.create_model("Compiled", __base__=models.Model, __module__="burst.compiled", bare=(int, ...))

    schema = model.model_json_schema(schema_generator=field_meanings.ExplainedSchema)

    assert schema["properties"] == {"bare": {"title": "Bare", "type": "integer"}}


def test_the_command_knows_every_kind() -> None:
    assert sorted(command.KINDS) == ALL


def test_no_document_holds_a_number_that_is_none() -> None:
    document = models.read(window_metrics.Metrics, cases.content(cases.metrics()))

    with pytest.raises(ValueError, match="not canonical JSON"):
        document.model_copy(update={"clock_skew_seconds": float("nan")}).content()
    with pytest.raises(errors.EvidenceCorrupt, match="no JSON number"):
        models.read(window_metrics.Metrics, json.dumps(cases.metrics(clock_skew_seconds=float("nan"))).encode())


SECONDS = st.one_of(st.none(), st.floats(-10, 2000, allow_nan=False))
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNTS = st.builds(cases.counts, *[st.integers(0, 30000)] * 4)
FACT_VALUES = st.one_of(st.none(), st.booleans(), st.integers(-100, 100), st.floats(-9, 9), WORDS)


def _at(seconds: float | None) -> str | None:
    return None if seconds is None else cases.at(seconds)


@st.composite
def generated_task_results(draw: st.DrawFn) -> cases.Value:
    """Task results of every shape a run may leave: tasks never seen to start or stop, outages, early stops."""
    tasks = [
        cases.task(index, started_utc=_at(draw(SECONDS)), stopped_utc=_at(draw(SECONDS)), detail=draw(WORDS))
        for index in range(draw(st.integers(0, 3)))
    ]
    early = {"rule": draw(WORDS), "at_utc": cases.at(5), "receipts_seen": 0, "seconds_saved": 1.5}
    return cases.task_result(
        tasks=tasks,
        go_utc=_at(draw(SECONDS)),
        deadline_utc=_at(draw(SECONDS)),
        layers=[{"name": "guard", "state": draw(st.sampled_from(["armed", "fired", "not-armed"]))}],
        outages=draw(st.sampled_from([[], [{"blind_since_utc": cases.at(1)}]])),
        early_stop=draw(st.sampled_from([None, early])),
        interruption=draw(st.sampled_from([None, {"signal": "SIGTERM", "at_utc": cases.at(3)}])),
        journal=draw(st.sampled_from([None, {"size": 3, "sha256": "a" * 64}])),
    )


@st.composite
def whole_cases(draw: st.DrawFn) -> cases.Case:
    """Cases with any documents missing or unreadable, bounded to a rerun or not."""
    rerun = draw(st.booleans())
    places = {"run_control": "s3://bucket/control", "run_scoped": "s3://bucket/runs"}
    case = cases.passing(
        rerun=cases.rerun("B1", "B5", non_goals=["no tuning"]) if rerun else None,
        evidence=draw(st.sampled_from([{}, places])),
    ).having(
        task_result=draw(generated_task_results()),
        metrics=cases.metrics(counts=draw(COUNTS), settled=draw(st.sampled_from([None, True, False]))),
        facts=cases.facts(cases.answers(publish_ambiguous=draw(FACT_VALUES), max_lag=draw(FACT_VALUES))),
        prior=cases.prior("B1", "B5"),
    )
    for name in draw(st.sets(st.sampled_from(["task_result", "metrics", "facts", "baseline", "prior"]))):
        case = case.without(name) if draw(st.booleans()) else case.having(**{name: b"{"})
    return case


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(whole_cases())
def test_every_verdict_fits_the_strict_schema_and_reads_back(case: cases.Case) -> None:
    verdict = case.verdict()

    assert problems("snapshot", json.loads(verdict.content)) == []
    assert problems("plan", case.plan.document()) == []
    assert plans.parse(json.dumps(case.plan.document()), source="plan.json") == case.plan


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(generated_task_results(), COUNTS, FACT_VALUES)
def test_every_document_written_fits_the_strict_schema(result: cases.Value, counts: cases.Value, answer: Any) -> None:
    metrics = cases.metrics(counts=counts, database_clock_utc=cases.at(1), binds={"scope": "x"})
    facts = cases.facts([cases.fact("B2", "a", answer, at_most=1.5, at_utc=cases.at(2))])

    assert problems("task-result", _written(task_results.TaskResult, result)) == []
    assert problems("metrics", _written(window_metrics.Metrics, metrics)) == []
    assert problems("facts", _written(fact_answers.Facts, facts)) == []


CONSUMED = {
    ".phase": "M10.F",
    ".execution_id": cases.EXECUTION_ID,
    ".platform_run_id": cases.SCOPE,
    ".burst_target | .ingest_multiplier, .duration_minutes, .min_successful_admit_ratio": [3, 15, 0.995],
    ".baseline_extract.admits_per_minute": 418.66295264623955,
    ".burst_execution_window | .start_utc, .end_utc, .elapsed_seconds": [cases.at(0), cases.at(990), 990],
    ".burst_execution_window.tasks | length": 2,
    ".burst_load_checks | .achieved_multiplier.value >= .achieved_multiplier.threshold": True,
    ".burst_load_checks | [.achieved_multiplier, .admit_ratio, .duration_seconds] | all(.pass)": True,
    ".runtime_budget | .budget_seconds, .elapsed_seconds, .budget_pass": [5400, 990, True],
    ".runtime_budget | .operator_cap_seconds, .overshoot_seconds, .stopped_by": [1200, None, "controller"],
    "[.semantic_drift_checks, .lag_checkpoint_checks, .run_scope_coherence_checks] | all(.pass)": True,
    ".source_snapshot_refs.baseline_snapshot_sha256": "0" * 64,
    '.evidence_refs[] | select(.name == "plan.json") | .media_type': "application/json",
    '.evidence_refs | all(.[]; (.sha256 | length) == 64 and .size > 0 and (.keys | type) == "array")': True,
    ".blockers": [],
    ".overall_pass": True,
    "[.blocker_register[] | select(.open) | .blocker] == .blockers": True,
    ".exit_code": 0,
}


PROMISED = {
    ".": [
        *("phase", "execution_id", "platform_run_id", "baseline_extract", "semantic_drift_checks"),
        *("lag_checkpoint_checks", "run_scope_coherence_checks", "source_snapshot_refs", "blockers", "overall_pass"),
        *("schema", "gates", "decision", "supersedes", "exit_code"),
    ],
    ".burst_target": ["ingest_multiplier", "duration_minutes", "min_successful_admit_ratio"],
    ".burst_execution_window": ["start_utc", "end_utc", "elapsed_seconds", "tasks"],
    ".burst_load_checks.achieved_multiplier": ["threshold", "pass"],
    ".burst_load_checks.admit_ratio": ["threshold", "pass"],
    ".burst_load_checks.duration_seconds": ["threshold", "pass"],
    ".runtime_budget": [
        *("budget_seconds", "elapsed_seconds", "budget_pass", "operator_cap_seconds"),
        *("overshoot_seconds", "stopped_by"),
    ],
    ".evidence_refs[0]": ["name", "sha256", "size", "media_type", "keys"],
    ".blocker_register[0]": ["blocker", "state", "why"],
    ".verifier": ["name", "version"],
}
"""Every field of a snapshot that consumers were promised."""


@pytest.mark.parametrize(
    ("where", "name"), [(where, name) for where, names in PROMISED.items() for name in names], ids=str
)
def test_every_promised_field_stands_in_a_snapshot_and_is_required_of_producers(where: str, name: str) -> None:
    text = canonical.encode(EXAMPLES["snapshot"]).decode()

    assert jq.compile(f"{where} | has({json.dumps(name)})").input_text(text).first() is True
    without = jq.compile(f"del(({where}).{name})").input_text(text).first()
    assert any(repr(name) in problem for problem in problems("snapshot", without))


def test_the_successor_of_an_unpublished_verdict_is_a_snapshot() -> None:
    successor = unpublished.make_successor(cases.passing().verdict(), unpublished.why(None))

    assert problems("snapshot", json.loads(successor.content)) == []


@pytest.mark.parametrize("expression", CONSUMED)
def test_a_consumer_that_knows_only_its_fields_keeps_working(expression: str) -> None:
    wanted = CONSUMED[expression]
    later_minor = _nested(EXAMPLES["snapshot"])

    for value in (EXAMPLES["snapshot"], later_minor):
        found = jq.compile(expression).input_text(canonical.encode(value).decode()).all()

        assert (found if len(found) > 1 else found[0]) == wanted


def test_instants_are_dates_to_a_validator() -> None:
    schema = schemas.make_schema("metrics", "strict")["$defs"]["WindowEntry"]["properties"]["start_utc"]

    assert schema["format"] == "date-time"
    assert problems("metrics", {**EXAMPLES["metrics"], "database_clock_utc": "2026-02-21T02:00:00+02:00"}) != []
    assert instants.parse(EXAMPLES["metrics"]["window"]["start_utc"]) == cases.moment(60)
