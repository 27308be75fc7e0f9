"""Cases: everything a verdict is made from, each document as it was given, and what of it can be used.

A document that is missing or unreadable is a problem in words, never an exception: a verdict must always be reached.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import burst
from burst.domain.basics import canonical, errors
from burst.domain.documents import (
    document_names,
    fact_answers,
    models,
    preflight_results,
    task_results,
    window_metrics,
)
from burst.domain.plan import plans
from burst.domain.verdict import baselines, blockers, snapshot_parts

VERIFIER = {"name": "burst", "version": burst.__version__}

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given(Generic[T]):
    """One document as it was given: its bytes, what they say, or why they say nothing."""

    name: str
    content: bytes | None = None
    value: T | None = None
    problem: str = ""

    @property
    def unreadable(self) -> bool:
        """Whether there were bytes that could not be used."""
        return self.content is not None and self.value is None


def absent(name: str) -> Given[Any]:
    """A document that was not given."""
    return Given(name=name, problem=f"{name} is missing")


def given(name: str, content: bytes | None, read: Callable[[bytes], T]) -> Given[T]:
    """A document from its bytes; what `read` says is wrong with them becomes its `problem`."""
    if content is None:
        return absent(name)
    try:
        return Given(name=name, content=content, value=read(content))
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        return Given(name=name, content=content, problem=f"{name}: {exc}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a verdict is made from. `plan_content` are the bytes of the plan as executed."""

    plan: plans.Plan
    plan_content: bytes
    task_result: Given[task_results.TaskResult]
    metrics: Given[window_metrics.Metrics]
    facts: Given[fact_answers.Facts]
    baseline: Given[baselines.Document]
    prior: Given[dict[str, Any]]
    preflight: Given[preflight_results.Preflight]
    verifier: Mapping[str, str] = field(default_factory=lambda: VERIFIER)

    @property
    def all_documents(self) -> tuple[Given[Any], ...]:
        """Every document but the plan, which is always there."""
        return (self.task_result, self.metrics, self.facts, self.baseline, self.prior, self.preflight)

    @property
    def execution_id(self) -> str | None:
        """The run: by its plan, or by the first document that names one."""
        known = identities(self.task_result, self.metrics, self.facts, self.preflight)
        return self.plan.execution_id or (known[0][1] if known else None)

    @property
    def scope(self) -> str | None:
        """The platform run: by the plan, or by the first document that names one."""
        known = identities(self.task_result, self.metrics, self.facts, self.preflight)
        return self.plan.scope if self.plan.scope != "fresh" else (known[0][2] if known else None)

    @property
    def metrics_problem(self) -> str:
        """Why there are no counts: the document's problem, with what the task result says of the counting."""
        result, problem = self.task_result.value, self.metrics.problem
        return f"{problem}; {result.count_problem}" if problem and result and result.count_problem else problem


def of(
    plan: plans.Plan,
    plan_content: bytes,
    contents: Mapping[str, bytes],
    *,
    verifier: Mapping[str, str] = VERIFIER,
) -> Case:
    """A case from documents by name; names are those of the run folder, absent ones are missing."""
    slug = plan.slug

    def one(name: str, read: Callable[[bytes], T]) -> Given[T]:
        return given(name, contents.get(name), read)

    return Case(
        plan=plan,
        plan_content=plan_content,
        task_result=one(document_names.task_result_name(slug), functools.partial(models.read, task_results.TaskResult)),
        metrics=one(document_names.metrics_name(slug), functools.partial(models.read, window_metrics.Metrics)),
        facts=one(document_names.facts_name(slug), functools.partial(models.read, fact_answers.Facts)),
        baseline=one(document_names.BASELINE, baselines.read),
        prior=one(document_names.PRIOR, _read_prior),
        preflight=one(document_names.preflight_name(slug), functools.partial(models.read, preflight_results.Preflight)),
        verifier=verifier,
    )


def identities(*read: Given[Any]) -> tuple[tuple[str, str, str], ...]:
    """Name, execution id and scope of each document that could be read."""
    return tuple(
        (document.name, document.value.execution_id, document.value.platform_run_id)
        for document in read
        if document.value is not None
    )


def _read_prior(content: bytes) -> dict[str, Any]:
    value = canonical.decode(content)
    if not isinstance(value, dict):
        raise errors.EvidenceCorrupt("not a JSON object")
    return value


def usable_baseline(given_case: Case) -> tuple[baselines.Baseline | None, str]:
    """The baseline, or why there is none to divide by."""
    reference, document = given_case.plan.baseline, given_case.baseline
    if document.content is None:
        inline = baselines.from_inline(reference) if reference else None
        return inline, "the baseline document was not given"
    if document.value is None:
        return None, document.problem
    if reference and reference.sha256 and canonical.digest(document.content) != reference.sha256:
        return None, "the baseline is not the one the plan names by digest"
    if reference and reference.admits is not None:
        return None, "the plan gives its baseline inline, and another was given as a document"
    result = given_case.task_result.value
    window = result.window if result else None
    if window is None:
        return None, "no attempt window to hold the baseline's age against"
    too_old = baselines.expired(document.value, reference, window.start)
    return (None, too_old) if too_old else (baselines.from_document(document.value), "")


def check_prior(plan: plans.Plan, content: bytes) -> None:
    """Whether a bounded rerun may rest on a prior snapshot.

    Raises `errors.Refused` where it cannot be used, `errors.UsageError` where the rerun names what is not open in it.
    """
    prior, problem = usable_prior(plan, given(document_names.PRIOR, content, _read_prior))
    if problem:
        raise errors.Refused(problem)
    blockers.refuse_rerun_of_cleared(plan, prior)


def usable_prior(plan: plans.Plan, prior: Given[dict[str, Any]]) -> tuple[blockers.Prior | None, str]:
    """The prior of a bounded rerun, or why it is nothing to rest on; neither where the plan is of no rerun."""
    if plan.rerun is None:
        return None, ""
    if prior.value is None or prior.content is None:
        return None, prior.problem
    sha256 = canonical.digest(prior.content)
    if plan.rerun.prior_sha256 and sha256 != plan.rerun.prior_sha256:
        return None, "the prior snapshot is not the one the plan names by digest"
    schema, phase, execution_id = (prior.value.get(name) for name in ("schema", "phase", "execution_id"))
    if schema not in (None, snapshot_parts.SCHEMA):
        allowed = f"{snapshot_parts.SCHEMA}, or none where burst did not make it"
        return None, f"the prior snapshot has schema {schema!r}; allowed: {allowed}"
    if phase != plan.phase:
        return None, f"the prior snapshot is of phase {phase!r}, not {plan.phase}"
    if not isinstance(execution_id, str):
        return None, "the prior snapshot does not say of which run it is"
    try:
        states = blockers.prior_states(prior.value, plan.blockers)
    except errors.EvidenceCorrupt as exc:
        return None, str(exc)
    return blockers.Prior(execution_id=execution_id, sha256=sha256, states=states), ""
