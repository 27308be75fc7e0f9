"""JSON Schemas of every document, made from the models that read them, so that they cannot drift apart.

Each comes in two forms. The strict one is for producers: every field this version writes is required, and there is no
other. The lenient one is for consumers: fields that a later minor version adds are ignored, another major is refused.
JSON has no NaN, and burst neither writes nor reads one. The meaning of each field is the description of its property.
"""

from dataclasses import dataclass
from typing import Any, Literal

import pydantic

from burst.domain.closure import active_baselines, closure_statements, closures, score_files
from burst.domain.course import campaign_files
from burst.domain.documents import (
    attempts,
    campaign_records,
    database_checks,
    database_snapshots,
    database_stages,
    document_names,
    fact_answers,
    gate_records,
    halts,
    load_documents,
    locust_files,
    models,
    observation_series,
    override_tables,
    preflight_results,
    questions,
    rate_search_documents,
    reproduction_vectors,
    risk_documents,
    rollup_documents,
    run_records,
    task_answers,
    task_records_document,
    task_results,
    window_metrics,
)
from burst.domain.plan import catalogues, plans
from burst.domain.staging import stage_files
from burst.domain.tasks import leases
from burst.domain.verdict import (
    attestations,
    baselines,
    owner_files,
    phase_sections,
    promotion_statements,
    promotions,
    rollup_snapshots,
    run_messages,
    snapshots,
)
from burst.report import field_meanings, journal_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Form = Literal["strict", "lenient"]


class OwnerEntry(models.Model):
    """The controller that drives the run; bursts before 0.2.0 name none."""

    controller: str
    """A random id of the controller."""
    host: str
    """The name of its machine."""
    since: models.Instant
    """Since when it drives the run, by its own clock."""


class AmountsEntry(models.Model):
    """Receipts by decision."""

    ADMIT: int
    """Receipts whose decision is ADMIT."""
    DUPLICATE: int
    """Receipts whose decision is DUPLICATE."""
    QUARANTINE: int
    """Receipts whose decision is QUARANTINE."""
    other: int
    """Receipts with a decision that burst does not know."""


class LeaseCountEntry(models.Model):
    """What the controller had counted by then; only shown, and nothing rests on it."""

    counted_to: models.Instant
    """The end of the last slice that was counted."""
    seconds: float
    """How long all slices are together."""
    receipts: AmountsEntry
    """The receipts of all slices."""
    recent_seconds: float
    """How long the last slices are together, of which a rate of now is told."""
    recent_receipts: AmountsEntry
    """The receipts of those last slices."""


class ControlDocument(models.Model):
    """`control.json`: the lease between controller and tasks. STOP is final; `beat` only grows."""

    schema_: Literal["burst.control/v1"] = pydantic.Field(alias="schema")
    execution_id: str
    state: leases.LeaseState
    """`HOLD`: do not start yet; `GO`: burst; `STOP`: end now, for good."""
    deadline: models.Instant
    """When the operator cap ends: no task may run after it."""
    beat: int
    """How often the lease was written; a guard that sees no new beat takes it for stale."""
    heartbeat_at: models.Instant
    """When it was last written, by the clock of the writer."""
    go_at: models.Instant | None
    """When GO was given, by the controller's clock; None before."""
    reason: str
    """Why tasks are to stop; empty before STOP."""
    owner: OwnerEntry | None = None
    """The controller that drives the run; None of a burst before 0.2.0."""
    counted: LeaseCountEntry | None = None
    """What the controller had counted by then; None before the first count. Nothing rests on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentKind:
    """One kind of document: the model that reads it, and where it stands in a run's folder."""

    model: type[pydantic.BaseModel]
    name: str
    schema: str
    default: Form = "lenient"
    """How burst itself reads it."""
    optional: bool = False
    """Whether its strict form, too, lets what has a default be left out."""
    of_kinds: frozenset[str] = frozenset()
    """The fields that only documents of some kinds of phase have, so that its strict form does not require them."""


def _kind(model: type[pydantic.BaseModel], name: str, **settings: Any) -> DocumentKind:
    schema = model.model_json_schema()["properties"]["schema"]["const"]
    return DocumentKind(model=model, name=name, schema=schema, **settings)


_NAME_OF_ANY_KIND = "{slug}_{kind}_snapshot.json"
KINDS: dict[str, DocumentKind] = {
    "plan": _kind(plans.Plan, document_names.PLAN, default="strict", optional=True),
    "snapshot": _kind(
        snapshots.Snapshot, _NAME_OF_ANY_KIND, of_kinds=frozenset(phase_sections.PhaseSections.model_fields)
    ),
    "metrics": _kind(window_metrics.Metrics, document_names.metrics_name("{slug}")),
    "task-result": _kind(task_results.TaskResult, document_names.task_result_name("{slug}")),
    "task-records": _kind(task_records_document.TaskRecords, document_names.task_records_name("{slug}")),
    "load": _kind(load_documents.Load, document_names.load_name("{slug}")),
    "locust-files": _kind(locust_files.LocustFiles, document_names.locust_files_name("{slug}")),
    "facts": _kind(fact_answers.Facts, document_names.facts_name("{slug}")),
    "observations": _kind(observation_series.Observations, document_names.observations_name("{slug}")),
    "preflight": _kind(preflight_results.Preflight, document_names.preflight_name("{slug}")),
    "baseline": _kind(baselines.Document, document_names.BASELINE),
    "journal": _kind(journal_schema.JournalLine, document_names.JOURNAL),
    "publication": _kind(run_records.Publication, document_names.PUBLICATION),
    "told": _kind(run_records.ToldOutlets, document_names.TOLD),
    "publication-failure": _kind(run_records.PublicationFailure, "failures/PUBLICATION_ID.json"),
    "signature": DocumentKind(
        model=attestations.Envelope, name=_NAME_OF_ANY_KIND.replace(".json", ".dsse.json"), schema="DSSE/v1"
    ),
    "statement": DocumentKind(
        model=attestations.Statement, name="the payload of the signature", schema="in-toto Statement/v1"
    ),
    "run": _kind(run_records.Announcement, document_names.RUN),
    "message": _kind(run_messages.RunMessage, "what outlets are told"),
    "halt": _kind(halts.Halt, document_names.HALT),
    "services": _kind(run_records.KeptServices, "services/EXECUTION_ID.json"),
    "drill": _kind(run_records.KeptDrill, "drills/EXECUTION_ID.DRILL.json"),
    "session": _kind(questions.SessionStart, questions.SESSION),
    "session-end": _kind(questions.SessionEnd, questions.END),
    "question": _kind(questions.QuestionDocument, "question_NUMBER.json"),
    "answer": _kind(task_answers.AnswerDocument, "answer_NUMBER.json"),
    "alias": _kind(run_records.Alias, document_names.ALIAS),
    "pruned": _kind(run_records.PruneReceipt, document_names.PRUNED),
    "bundle": _kind(run_records.BundleIndex, "bundle.json"),
    "control": _kind(ControlDocument, "control.json"),
    "database": _kind(database_checks.DatabaseCheck, document_names.DATABASE),
    "stages": _kind(stage_files.StageFile, database_stages.STAGE_FILE, default="strict", optional=True),
    "database-snapshot": _kind(database_snapshots.DatabaseSnapshot, "snapshot_DIGEST.json"),
    "database-stages": _kind(database_stages.DatabaseStages, database_stages.NAME),
    "promotion": _kind(promotions.Promotion, "a file of `burst baseline promote`"),
    "demotion": _kind(promotions.Demotion, "a file of `burst baseline demote`"),
    "promotion-statement": DocumentKind(
        model=promotion_statements.PromotionStatement,
        name="the payload of a promotion's signature",
        schema="in-toto Statement/v1",
    ),
    "gate-records": _kind(gate_records.GateRecords, document_names.GATE_RECORDS),
    "reproduction": _kind(reproduction_vectors.Reproduction, document_names.reproduction_name("{slug}")),
    "score": _kind(score_files.ScoreFile, "score.yaml", default="strict", optional=True),
    "closure": _kind(closures.Closure, closures.name_closure("NAME")),
    "active-baseline": _kind(active_baselines.ActiveBaseline, "active_NNNN.json"),
    "closure-statement": DocumentKind(
        model=closure_statements.ClosureStatement,
        name="the payload of a closure's signature",
        schema="in-toto Statement/v1",
    ),
    "campaign": _kind(campaign_files.CampaignFile, campaign_records.FILE, default="strict", optional=True),
    "campaign-stop": _kind(campaign_records.CampaignStop, campaign_records.STOP),
    "rollup-order": _kind(rollup_documents.RollupOrder, rollup_documents.ORDER),
    "rollup-lanes": _kind(rollup_documents.RollupLanes, rollup_documents.LANES),
    "rollup-snapshot": _kind(
        rollup_snapshots.RollupSnapshot, document_names.snapshot_name("{slug}", catalogues.Kind.ROLLUP)
    ),
    "rate-search": _kind(rate_search_documents.RateSearch, rate_search_documents.NAME),
    "override-table": _kind(override_tables.OverrideTable, "table_STEP_NUMBER.json"),
    "risks": _kind(risk_documents.RiskRegister, "a file of `burst evidence risks`"),
    "owners": _kind(owner_files.OwnerFile, "owners.yaml", default="strict", optional=True),
    "attempt": _kind(attempts.AttemptClaim, document_names.attempt_name("{slug}")),
}


def make_schema(kind: str, form: Form | None = None) -> dict[str, Any]:
    """The JSON Schema of one kind of document, of one line where that is the journal; None: as burst reads it.

    A plan is written by people, so even its strict form lets them leave out what has a default.
    """
    document = KINDS[kind]
    chosen = form or document.default
    if document.model is journal_schema.JournalLine:
        schema = journal_schema.build(strict=chosen == "strict")
        return {"$schema": DIALECT, "$id": identity(kind, chosen), **schema}
    written = chosen == "strict" and not document.optional
    schema = document.model.model_json_schema(
        by_alias=True,
        mode="serialization" if written else "validation",
        schema_generator=field_meanings.ExplainedSchema,
    )
    if "schema" in schema["properties"]:
        schema["required"] = sorted({*schema.get("required", ()), "schema"})
    for part in (schema, *schema.get("$defs", {}).values(), *schema["properties"].values()):
        if "properties" in part:
            part["additionalProperties"] = chosen == "lenient"
            part["required"] = sorted(part["properties"] if written else part.get("required", []))
    schema["required"] = [name for name in schema["required"] if name not in document.of_kinds]
    return {"$schema": DIALECT, "$id": identity(kind, chosen), **schema}


def identity(kind: str, form: Form) -> str:
    """The `$id` of a schema, stable within a major version; the one burst reads with has the plain name."""
    major = KINDS[kind].schema.rpartition("/")[2]
    return f"urn:burst:schema:{kind}:{major}" + ("" if form == KINDS[kind].default else f":{form}")
