"""Cases: everything a verdict is made from, each document with its bytes, and the part of it that can be used.

A document that is missing or unreadable is a problem in words, never an exception: a verdict must always be reached.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import burst
from burst.domain.basics import canonical, errors
from burst.domain.documents import (
    attempts,
    document_names,
    endings,
    fact_answers,
    gate_records,
    load_documents,
    locust_files,
    models,
    observation_series,
    preflight_results,
    reproduction_vectors,
    task_records_document,
    task_results,
    window_metrics,
)
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import baselines, blockers, prior_terms

VERIFIER = {"name": "burst", "version": burst.__version__}

T = TypeVar("T")
M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDocument(Generic[T]):
    """One document of a case: its bytes and their value, or why there is no value."""

    name: str
    content: bytes | None = None
    value: T | None = None
    problem: str = ""

    @property
    def unreadable(self) -> bool:
        """Whether there were bytes that could not be used."""
        return self.content is not None and self.value is None


def read_document(name: str, content: bytes | None, read: Callable[[bytes], T]) -> CaseDocument[T]:
    """A document from its bytes, None where it is missing; an error that `read` raises becomes its `problem`."""
    if content is None:
        return CaseDocument(name=name, problem=f"{name} is missing")
    try:
        return CaseDocument(name=name, content=content, value=read(content))
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        return CaseDocument(name=name, content=content, problem=f"{name}: {exc}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a verdict is made from. `plan_content` are the bytes of the plan as executed."""

    plan: plans.Plan
    plan_content: bytes
    task_result: CaseDocument[task_results.TaskResult]
    metrics: CaseDocument[window_metrics.Metrics]
    facts: CaseDocument[fact_answers.Facts]
    observations: CaseDocument[observation_series.Observations]
    """The samples of the series that the plan observes."""
    baseline: CaseDocument[baselines.Document]
    prior: CaseDocument[dict[str, Any]]
    prior_plan: CaseDocument[dict[str, Any]]
    """The plan of the prior run, as the prior names it by digest."""
    preflight: CaseDocument[preflight_results.Preflight]
    task_records: CaseDocument[task_records_document.TaskRecords]
    """As evidence; the task result says what follows from them."""
    load: CaseDocument[load_documents.Load]
    """What the generator sent, where its programs counted it."""
    attempt: CaseDocument[attempts.AttemptClaim]
    """The number of the run among the attempts of its phase, and those before it."""
    gate_records: CaseDocument[gate_records.GateRecords]
    """The promotions and demotions of gates that the plan names by digest."""
    reference: CaseDocument[dict[str, Any]]
    """The snapshot of the run that this one reproduces."""
    reference_plan: CaseDocument[dict[str, Any]]
    reproduction: CaseDocument[reproduction_vectors.Reproduction]
    locust_files: CaseDocument[locust_files.LocustFiles]
    """What Locust wrote at its end: as evidence, on which nothing rests."""
    verifier: Mapping[str, str] = field(default_factory=lambda: VERIFIER)

    @property
    def all_documents(self) -> tuple[CaseDocument[Any], ...]:
        """Every document but the plan, which is always there."""
        own = self.task_result, self.task_records, self.metrics, self.load, self.facts, self.observations
        compared = self.reference, self.reference_plan, self.reproduction
        inputs = self.baseline, self.prior, self.prior_plan, self.preflight, self.attempt, self.gate_records
        return (*own, *inputs, *compared, self.locust_files)

    @property
    def contents(self) -> dict[str, bytes]:
        """The bytes of every document that is there, the plan first, by name."""
        documents = {document.name: document.content for document in self.all_documents}
        return {
            document_names.PLAN: self.plan_content,
            **{name: content for name, content in documents.items() if content is not None},
        }

    @property
    def execution_id(self) -> str | None:
        """The run: by its plan, or by the first document that names one."""
        named = list_identities(self.task_result, self.metrics, self.facts, self.preflight)
        return self.plan.execution_id or (named[0][1] if named else None)

    @property
    def scope(self) -> str | None:
        """The scope: by the plan, or by the first document that names one."""
        named = list_identities(self.task_result, self.metrics, self.facts, self.preflight)
        return self.plan.scope if self.plan.scope != "fresh" else (named[0][2] if named else None)

    @property
    def metrics_problem(self) -> str:
        """Why there are no counts: the document's problem, that of the task result, and the ending of the run."""
        result, problem = self.task_result.value, self.metrics.problem
        if problem and result and result.count_problem:
            problem = f"{problem}; {result.count_problem}"
        return self.explain_lack(problem)

    def explain_lack(self, problem: str) -> str:
        """A problem in words, with why the run ended where it never came to GO; empty for no problem."""
        result = self.task_result.value
        has_window = result is not None and result.attempt is not None and result.go_utc is not None
        ending = None if has_window else endings.explain_ending(result)
        return f"{problem}; the run ended {ending}" if problem and ending else problem


def from_documents(
    plan: plans.Plan,
    plan_content: bytes,
    contents: Mapping[str, bytes],
    *,
    verifier: Mapping[str, str] = VERIFIER,
) -> Case:
    """A case from documents by name; names are those of the run folder, absent ones are missing."""
    slug = plan.slug

    def read(name: str, model: type[M]) -> CaseDocument[M]:
        return read_document(name, contents.get(name), lambda content: models.read(model, content))

    return Case(
        plan=plan,
        plan_content=plan_content,
        task_result=read(document_names.task_result_name(slug), task_results.TaskResult),
        metrics=read(document_names.metrics_name(slug), window_metrics.Metrics),
        load=read(document_names.load_name(slug), load_documents.Load),
        facts=read(document_names.facts_name(slug), fact_answers.Facts),
        observations=read(document_names.observations_name(slug), observation_series.Observations),
        baseline=read_document(document_names.BASELINE, contents.get(document_names.BASELINE), baselines.read),
        prior=read_document(document_names.PRIOR, contents.get(document_names.PRIOR), _read_object),
        prior_plan=read_document(document_names.PRIOR_PLAN, contents.get(document_names.PRIOR_PLAN), _read_object),
        preflight=read(document_names.preflight_name(slug), preflight_results.Preflight),
        task_records=read(document_names.task_records_name(slug), task_records_document.TaskRecords),
        attempt=read(document_names.attempt_name(slug), attempts.AttemptClaim),
        gate_records=read(document_names.GATE_RECORDS, gate_records.GateRecords),
        reference=read_document(document_names.REFERENCE, contents.get(document_names.REFERENCE), _read_object),
        reference_plan=read_document(
            document_names.REFERENCE_PLAN, contents.get(document_names.REFERENCE_PLAN), _read_object
        ),
        reproduction=read(document_names.reproduction_name(slug), reproduction_vectors.Reproduction),
        locust_files=read(document_names.locust_files_name(slug), locust_files.LocustFiles),
        verifier=verifier,
    )


def list_identities(*documents: CaseDocument[Any]) -> tuple[tuple[str, str, str], ...]:
    """Name, execution id and scope of each document that could be read."""
    return tuple(
        (document.name, document.value.execution_id, document.value.platform_run_id)
        for document in documents
        if document.value is not None
    )


def _read_object(content: bytes) -> dict[str, Any]:
    value = canonical.decode(content)
    if not isinstance(value, dict):
        raise errors.EvidenceCorrupt("not a JSON object")
    return value


def find_baseline(case: Case) -> tuple[baselines.Baseline | None, str]:
    """The baseline, or why there is none to divide by."""
    reference, document = case.plan.baseline, case.baseline
    if document.content is None:
        inline = baselines.from_inline(reference) if reference else None
        return inline, "the baseline document was not given"
    if document.value is None:
        return None, document.problem
    if reference and reference.sha256 and canonical.digest(document.content) != reference.sha256:
        return None, "the baseline is not the one the plan names by digest"
    if reference and reference.admits is not None:
        return None, "the plan gives its baseline inline, and another was given as a document"
    result = case.task_result.value
    window = result.window if result else None
    if window is None:
        return None, "no attempt window to hold the baseline's age against"
    too_old = baselines.expiry_problem(document.value, reference, window.start)
    return (None, too_old) if too_old else (baselines.from_document(document.value), "")


def check_prior(plan: plans.Plan, content: bytes) -> None:
    """Whether a bounded rerun may rest on a prior snapshot.

    Raises `errors.Refused` where it cannot be used, `errors.UsageError` where the rerun names a blocker that is not
    open in it.
    """
    prior, problem = find_prior(plan, read_document(document_names.PRIOR, content, _read_object))
    if problem:
        raise errors.Refused(problem)
    blockers.refuse_rerun_of_cleared(plan, prior)


def find_prior(plan: plans.Plan, prior: CaseDocument[dict[str, Any]]) -> tuple[blockers.Prior | None, str]:
    """The prior of a bounded rerun, or why it is nothing to rest on; neither where the plan is of no rerun."""
    if plan.rerun is None:
        return None, ""
    if prior.value is None or prior.content is None:
        return None, prior.problem
    sha256 = canonical.digest(prior.content)
    if plan.rerun.prior_sha256 and sha256 != plan.rerun.prior_sha256:
        return None, "the prior snapshot is not the one the plan names by digest"
    schema, phase, execution_id = (prior.value.get(name) for name in ("schema", "phase", "execution_id"))
    if schema not in (None, document_names.SNAPSHOT_SCHEMA):
        allowed = f"{document_names.SNAPSHOT_SCHEMA}, or none where burst did not make it"
        return None, f"the prior snapshot has schema {schema!r}; allowed: {allowed}"
    if phase != plan.phase:
        return None, f"the prior snapshot is of phase {phase!r}, not {plan.phase}"
    kind = prior.value.get("kind", catalogues.Kind.BURST.value)
    if kind != plan.kind:
        return None, f"the prior snapshot is of kind {kind!r}, not {plan.kind}: its blockers mean something else"
    if not isinstance(execution_id, str):
        return None, "the prior snapshot does not say of which run it is"
    try:
        states = blockers.read_states(prior.value, plan.blockers)
        prior_terms.from_snapshot(prior.value, None)
    except errors.EvidenceCorrupt as exc:
        return None, str(exc)
    notes = blockers.read_notes(prior.value)
    return blockers.Prior(execution_id=execution_id, sha256=sha256, states=states, notes=notes), ""


def find_digest(snapshot: Mapping[str, Any], name: str) -> str | None:
    """The digest by which a snapshot names one of its documents; None where it names it nowhere, or not plainly."""
    refs = snapshot.get("evidence_refs")
    listed = refs if isinstance(refs, list) else []
    digests = [ref.get("sha256") for ref in listed if isinstance(ref, Mapping) and ref.get("name") == name]
    return digests[0] if len(digests) == 1 and isinstance(digests[0], str) else None
