"""Snapshots: facts to verdict, as a pure function from documents to bytes.

`adjudicate` reads nothing and knows no clock: everything the snapshot says comes from the documents it was given, so
anybody who has them can make the same bytes again. A document that is missing or unreadable leaves blockers open;
it is never an exception, because a verdict must always be reached.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import pydantic

import burst
from burst.domain import baseline as baselines
from burst.domain import blockers, canonical, cost, documents, errors, gates, instants, receipts, snapshotparts, wording
from burst.domain import plan as plans

SCHEMA = "burst.snapshot/v1"
VERIFIER = {"name": "burst", "version": burst.__version__}
_MEDIA_TYPE = "application/json"

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
    task_result: Given[documents.TaskResult]
    metrics: Given[documents.Metrics]
    facts: Given[documents.Facts]
    baseline: Given[baselines.Document]
    prior: Given[dict[str, Any]]
    preflight: Given[documents.Preflight]
    verifier: Mapping[str, str] = field(default_factory=lambda: VERIFIER)


def case(
    plan: plans.Plan,
    plan_content: bytes,
    contents: Mapping[str, bytes],
    *,
    verifier: Mapping[str, str] = VERIFIER,
) -> Case:
    """A case from documents by name; names are those of the run folder, absent ones are missing."""
    slug = plan.slug

    def of(name: str, read: Callable[[bytes], T]) -> Given[T]:
        return given(name, contents.get(name), read)

    return Case(
        plan=plan,
        plan_content=plan_content,
        task_result=of(documents.task_result_name(slug), functools.partial(documents.read, documents.TaskResult)),
        metrics=of(documents.metrics_name(slug), functools.partial(documents.read, documents.Metrics)),
        facts=of(documents.facts_name(slug), functools.partial(documents.read, documents.Facts)),
        baseline=of(documents.BASELINE, baselines.read),
        prior=of(documents.PRIOR, _read_prior),
        preflight=of(documents.preflight_name(slug), functools.partial(documents.read, documents.Preflight)),
        verifier=verifier,
    )


def _read_prior(content: bytes) -> dict[str, Any]:
    value = canonical.decode(content)
    if not isinstance(value, dict):
        raise errors.EvidenceCorrupt("not a JSON object")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What adjudication came to. `content` are the canonical bytes of the snapshot."""

    document: dict[str, Any]
    content: bytes
    exit_code: int
    exit_reason: str

    @property
    def overall_pass(self) -> bool:
        """Whether no blocker is open."""
        return bool(self.document["overall_pass"])

    @property
    def open_blockers(self) -> tuple[str, ...]:
        """The ids of open blockers, sorted."""
        return tuple(self.document["blockers"])


def adjudicate(given_case: Case) -> Verdict:
    """The verdict of a case: same documents, same bytes.

    Raises `errors.UsageError` only where a bounded rerun names a blocker that is not open in its prior snapshot.
    """
    plan = given_case.plan
    baseline, baseline_problem = _usable_baseline(given_case)
    prior, prior_problem = _usable_prior(plan, given_case.prior)
    blockers.refuse_rerun_of_cleared(plan, prior)
    answers = _gates(given_case, baseline, baseline_problem, prior_problem)
    register = blockers.register(plan, answers, prior)
    open_ids = sorted(entry.blocker for entry in register if entry.is_open)
    exit_code, exit_reason = _exit(given_case.task_result.value, open_ids)
    document = {
        "schema": SCHEMA,
        **_identity(given_case),
        "phase": plan.phase,
        "burst_target": {
            "ingest_multiplier": plan.gates.multiplier,
            "duration_minutes": plan.budget.min_window / 60,
            "min_successful_admit_ratio": plan.gates.admit_ratio,
        },
        "baseline_extract": _baseline_extract(baseline),
        "burst_execution_window": _execution_window(given_case),
        "burst_load_checks": _load_checks(answers, given_case),
        "runtime_budget": _runtime_budget(given_case),
        "cost": _cost(given_case),
        "semantic_drift_checks": _checks(answers, "B2"),
        "run_scope_coherence_checks": _checks(answers, "B6"),
        "lag_checkpoint_checks": _checks(answers, "B7"),
        "source_snapshot_refs": _source_refs(given_case, baseline, prior),
        "evidence_refs": _evidence_refs(given_case),
        "gates": [_gate_entry(plan, gate) for gate in answers],
        "blocker_register": [_register_entry(entry) for entry in register],
        "blockers": open_ids,
        "overall_pass": not open_ids,
        "decision": _decision(given_case.task_result.value),
        "non_goals": list(plan.rerun.non_goals) if plan.rerun else [],
        "supersedes": None,
        "exit_code": exit_code,
        "exit_reason": exit_reason,
        "verifier": dict(given_case.verifier),
    }
    return Verdict(document=document, content=canonical.encode(document), exit_code=exit_code, exit_reason=exit_reason)


def _usable_baseline(given_case: Case) -> tuple[baselines.Baseline | None, str]:
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
    prior, problem = _usable_prior(plan, given(documents.PRIOR, content, _read_prior))
    if problem:
        raise errors.Refused(problem)
    blockers.refuse_rerun_of_cleared(plan, prior)


def _usable_prior(plan: plans.Plan, prior: Given[dict[str, Any]]) -> tuple[blockers.Prior | None, str]:
    if plan.rerun is None:
        return None, ""
    if prior.value is None or prior.content is None:
        return None, prior.problem
    sha256 = canonical.digest(prior.content)
    if plan.rerun.prior_sha256 and sha256 != plan.rerun.prior_sha256:
        return None, "the prior snapshot is not the one the plan names by digest"
    schema, phase, execution_id = (prior.value.get(name) for name in ("schema", "phase", "execution_id"))
    if schema not in (None, SCHEMA):
        return None, f"the prior snapshot has schema {schema!r}; allowed: {SCHEMA}, or none where burst did not make it"
    if phase != plan.phase:
        return None, f"the prior snapshot is of phase {phase!r}, not {plan.phase}"
    if not isinstance(execution_id, str):
        return None, "the prior snapshot does not say of which run it is"
    try:
        states = blockers.prior_states(prior.value, plan.blockers)
    except errors.EvidenceCorrupt as exc:
        return None, str(exc)
    return blockers.Prior(execution_id=execution_id, sha256=sha256, states=states), ""


def _gates(
    given_case: Case, baseline: baselines.Baseline | None, baseline_problem: str, prior_problem: str
) -> tuple[gates.Gate, ...]:
    plan = given_case.plan
    result, metrics = given_case.task_result, given_case.metrics
    required = plan.gates.multiplier
    attempt = result.value.attempt if result.value else None
    found: list[gates.Gate] = []
    if required is not None:
        found.append(gates.multiplier_gate(metrics.value, baseline, required))
    found.append(gates.duration_gate(metrics.value, plan.budget.min_window))
    found.append(gates.admit_ratio_gate(metrics.value, plan.gates.admit_ratio))
    found.append(_publication_gate(given_case))
    found.append(_dependency_gate(given_case, prior_problem))
    if required is not None:
        found.append(gates.baseline_gate(baseline, baseline_problem))
    found.extend(
        gates.evidence_gates(
            metrics.value,
            attempt,
            metrics_problem=_metrics_problem(given_case),
            attempt_problem=result.problem or "the attempt has no window: no task was seen to start and stop",
            max_skew_seconds=plan.receipts.max_skew,
        )
    )
    found.append(
        gates.coherence_gate(
            plan, _identities(result, metrics, given_case.preflight), result.problem or metrics.problem
        )
    )
    if given_case.facts.value is not None:
        identities = _identities(result, metrics, given_case.preflight, given_case.facts)
        found.append(gates.coherence_gate(plan, identities, _strange_facts(given_case), gate=gates.FACTS_SCOPE))
    found.extend(_fact_gates(given_case))
    found.extend(gates.one_shot_gates(plan, result.value, result.problem))
    services = gates.services_gate(plan, result.value, result.problem)
    if services is not None:
        found.append(services)
    found.extend(gates.budget_gates(result.value, plan.budget.max, result.problem))
    found.extend(
        gates.execution_gates(
            plan,
            result.value,
            metrics.value,
            result_problem=result.problem,
            metrics_problem=_metrics_problem(given_case),
        )
    )
    return tuple(found)


def _metrics_problem(given_case: Case) -> str:
    """Why there are no counts: the document's problem, with what the task result says of the counting."""
    result, problem = given_case.task_result.value, given_case.metrics.problem
    return f"{problem}; {result.count_problem}" if problem and result and result.count_problem else problem


def _all(given_case: Case) -> tuple[Given[Any], ...]:
    return (
        given_case.task_result,
        given_case.metrics,
        given_case.facts,
        given_case.baseline,
        given_case.prior,
        given_case.preflight,
    )


def _publication_gate(given_case: Case) -> gates.Gate:
    unreadable = [document for document in _all(given_case) if document.unreadable]
    status = gates.Status.INVALID if unreadable else gates.Status.PASS
    why = "; ".join(document.problem for document in unreadable) or "every document given was read back"
    count = len([document for document in _all(given_case) if document.content is not None])
    return gates.Gate(
        name="evidence_readable",
        blocker="B3",
        status=status,
        measured=count - len(unreadable),
        required=count,
        comparison=gates.Comparison.EQUALS,
        why=why,
    )


def _dependency_gate(given_case: Case, prior_problem: str) -> gates.Gate:
    problem = prior_problem or _refused(given_case.preflight.value)
    status = gates.Status.INVALID if problem else gates.Status.PASS
    rerun = given_case.plan.rerun is not None
    why = problem or ("the plan is valid" + (" and so is the prior" if rerun else ""))
    return gates.Gate(name="dependencies", blocker="B4", status=status, measured=None, required=None, why=why)


def _refused(preflight: documents.Preflight | None) -> str:
    """Why nothing should have been launched; empty where preflight passed, or was not given."""
    if preflight is None or (preflight.passed and not preflight.refused):
        return ""
    return f"preflight refused the launch: {', '.join(preflight.refused) or 'it does not say why'}"


def _identities(*read: Given[Any]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (document.name, document.value.execution_id, document.value.platform_run_id)
        for document in read
        if document.value is not None
    )


def _strange_facts(given_case: Case) -> str:
    """Which answer is to no blocker of this phase that takes facts; empty where there is none: a no is never lost."""
    allowed = _facts_of(given_case.plan)
    entries = given_case.facts.value.facts if given_case.facts.value else []
    strange = [f"{entry.name} is an answer for {entry.blocker}" for entry in entries if entry.blocker not in allowed]
    return f"{'; '.join(strange)}; allowed: {', '.join(allowed)}" if strange else ""


def _facts_of(plan: plans.Plan) -> dict[str, str]:
    """The phase's ids of the blockers that take facts, each with its short one."""
    return {plan.blocker(short): short for short in plans.FACT_BLOCKERS}


def _fact_gates(given_case: Case) -> list[gates.Gate]:
    """One gate for each fact the plan declares, and one for each further fact the document holds."""
    shorts, document = _facts_of(given_case.plan), given_case.facts.value
    answered = {(entry.blocker, entry.name): entry for entry in (document.facts if document else [])}
    found = []
    for fact in given_case.plan.facts:
        short = shorts[fact.blocker]
        entry = answered.pop((fact.blocker, fact.name), None)
        problem = _no_answer(given_case, fact, entry)
        if entry is None or problem:
            found.append(gates.missing_fact_gate(fact, short, problem))
        else:
            found.append(gates.fact_gate(entry, short))
    further = [entry for entry in answered.values() if entry.blocker in shorts]
    return [*found, *(gates.fact_gate(entry, shorts[entry.blocker]) for entry in further)]


def _no_answer(given_case: Case, fact: plans.Fact, entry: documents.FactEntry | None) -> str:
    """Why what was answered is no answer to the plan's question; empty where it is one."""
    if entry is None:
        return given_case.facts.problem or "the question was not answered"
    if not gates.same_expectation(entry, fact):
        return "the answer is to another expectation than the plan's"
    attempt = given_case.task_result.value.attempt if given_case.task_result.value else None
    if attempt is None or entry.at_utc is None:
        return ""
    early_seconds = instants.seconds_between(entry.at_utc, attempt.end)
    if early_seconds > given_case.plan.receipts.max_skew:  # two clocks told these instants
        return f"it was answered {instants.exact(early_seconds)} s before the attempt had ended"
    return ""


def _exit(result: documents.TaskResult | None, open_ids: list[str]) -> tuple[int, str]:
    """The exit code the run ends with and why; the worst wins (DESIGN 4)."""
    if result is not None and result.unproven:
        return 6, f"{wording.counted(len(result.unproven), 'task')} not seen to stop"
    if result is not None and result.not_restored:
        return 6, f"{wording.counted(len(result.not_restored), 'service')} not put back"
    if result is not None and result.interruption is not None:
        code = {"SIGINT": 130, "SIGTERM": 143}[result.interruption.signal]
        return code, f"interrupted by {result.interruption.signal}"
    if open_ids:
        return 3, f"HOLD: {wording.counted(len(open_ids), 'blocker')} open"
    return 0, "PASS: no blocker open"


def _identity(given_case: Case) -> dict[str, Any]:
    known = _identities(given_case.task_result, given_case.metrics, given_case.facts, given_case.preflight)
    plan = given_case.plan
    return {
        "execution_id": plan.execution_id or (known[0][1] if known else None),
        "platform_run_id": plan.scope if plan.scope != "fresh" else (known[0][2] if known else None),
    }


def _baseline_extract(baseline: baselines.Baseline | None) -> dict[str, Any] | None:
    if baseline is None:
        return None
    return {
        "admits": baseline.admits,
        "seconds": baseline.seconds,
        "admits_per_minute": baseline.rate_per_minute,
        "source": baseline.source,
        "checksum": baseline.checksum,
    }


def _execution_window(given_case: Case) -> dict[str, Any]:
    result, metrics = given_case.task_result.value, given_case.metrics.value
    window = result.window if result else None
    shown = documents.WindowEntry.of(window).model_dump(mode="json") if window else {"start_utc": None, "end_utc": None}
    counted = metrics.window.model_dump(mode="json") if metrics else None
    return {
        **shown,
        "elapsed_seconds": window.seconds if window else None,
        "counted_window": counted,
        "tasks": [entry.model_dump(mode="json") for entry in result.tasks] if result else [],
    }


def _load_checks(answers: tuple[gates.Gate, ...], given_case: Case) -> dict[str, Any]:
    checks = {
        gate.name: {"value": gate.measured, "threshold": gate.required, "pass": gate.status is gates.Status.PASS}
        for gate in answers
        if gate.blocker == "B1"
    }
    checks.setdefault("achieved_multiplier", {"value": None, "threshold": None, "pass": None})
    metrics = given_case.metrics.value
    counts = metrics.counts.counts if metrics else None
    rate = receipts.rate_per_second(counts.admit, metrics.window.window.seconds) if metrics and counts else None
    return {
        **checks,
        "counts": documents.CountsEntry.of(counts).model_dump(mode="json", by_alias=True) if counts else None,
        "admits_per_minute": rate * 60 if rate is not None else None,
        "no_data": counts is None or counts.total == 0,
    }


def _runtime_budget(given_case: Case) -> dict[str, Any]:
    plan, result = given_case.plan, given_case.task_result.value
    window = result.window if result else None
    elapsed = window.seconds if window else None
    last = max((task for task in result.tasks if task.stopped_utc), key=_stopped, default=None) if result else None
    return {
        "budget_seconds": plan.budget.max,
        "elapsed_seconds": elapsed,
        "budget_pass": elapsed is not None and elapsed <= plan.budget.max,
        "operator_cap_seconds": plan.budget.cap_seconds,
        "overshoot_seconds": _overshoot(result),
        "stopped_by": last.stopped_by if last else None,
        "layers": [layer.model_dump(mode="json") for layer in result.layers] if result else [],
        "outages": [outage.model_dump(mode="json") for outage in result.outages] if result else [],
    }


def _cost(given_case: Case) -> dict[str, Any] | None:
    """What the tasks cost, estimated from how long each ran; None where preflight did not know their size."""
    known = given_case.preflight.value.cost if given_case.preflight.value else None
    result = given_case.task_result.value
    if known is None or result is None:
        return None
    seconds = [
        (task.stopped_utc - task.started_utc).total_seconds()
        for task in result.tasks
        if task.started_utc is not None and task.stopped_utc is not None
    ]
    price = cost.Price(vcpu_hour_usd=known.vcpu_hour_usd, gb_hour_usd=known.gb_hour_usd, source=known.price_source)
    size = cost.Size(vcpu=known.vcpu, memory_gb=known.memory_gb)
    return {
        "estimated_usd": None if result.unproven else cost.usd(size, price, seconds),
        "at_cap_usd": known.at_cap_usd,
        "cost_cap_usd": given_case.plan.budget.cost_cap_usd,
        "price_source": known.price_source,
    }


def _stopped(task: documents.TaskEntry) -> float:
    return task.stopped_utc.timestamp() if task.stopped_utc else 0.0


def _overshoot(result: documents.TaskResult | None) -> float | None:
    """Seconds from the deadline to the last stop, 0 where all had stopped before it, None where either is unknown."""
    window = result.window if result else None
    if result is None or window is None or result.deadline_utc is None or result.unproven:
        return None
    return max(0.0, (window.end - result.deadline_utc).total_seconds())


def _checks(answers: tuple[gates.Gate, ...], short: str) -> dict[str, Any]:
    asked = [gate for gate in answers if gate.blocker == short]
    return {
        "checks": [
            {
                "name": gate.name,
                "value": gate.measured,
                "expected": gate.required,
                "comparison": gate.comparison.value if gate.comparison else None,
                "pass": gate.status is gates.Status.PASS,
            }
            for gate in asked
        ],
        "pass": bool(asked) and all(gate.status is gates.Status.PASS for gate in asked),
    }


def _source_refs(given_case: Case, baseline: baselines.Baseline | None, prior: blockers.Prior | None) -> dict[str, Any]:
    rerun = given_case.plan.rerun
    return {
        "prior": {"execution_id": prior.execution_id, "sha256": prior.sha256, "key": rerun.prior if rerun else None}
        if prior
        else None,
        "baseline_snapshot_sha256": baseline.snapshot_sha256 if baseline else None,
    }


def _evidence_refs(given_case: Case) -> list[dict[str, Any]]:
    """Every document by digest. The journal's digest is of its prefix when the task result was frozen."""
    given_documents = [(documents.PLAN, given_case.plan_content)]
    given_documents += [
        (document.name, document.content) for document in _all(given_case) if document.content is not None
    ]
    refs = [
        {
            "name": name,
            "sha256": canonical.digest(content),
            "size": len(content),
            "media_type": _MEDIA_TYPE,
            "keys": _keys(given_case, name),
            "prefix": False,
        }
        for name, content in given_documents
    ]
    result = given_case.task_result.value
    if result is not None and result.journal is not None:
        refs.append(
            {
                "name": documents.JOURNAL,
                "sha256": result.journal.sha256,
                "size": result.journal.size,
                "media_type": "application/jsonl",
                "keys": _keys(given_case, documents.JOURNAL),
                "prefix": True,
            }
        )
    return sorted(refs, key=lambda ref: str(ref["name"]))


def _keys(given_case: Case, name: str) -> list[str]:
    """Where the document stands in the plan's places, the authority first."""
    return [f"{folder}/{name}" for folder in given_case.plan.folders(_identity(given_case)["execution_id"])]


def _gate_entry(plan: plans.Plan, gate: gates.Gate) -> dict[str, Any]:
    return {
        "name": gate.name,
        "blocker": plan.blocker(gate.blocker),
        "status": gate.status.value,
        "measured": gate.measured,
        "required": gate.required,
        "comparison": gate.comparison.value if gate.comparison else None,
        "unit": gate.unit,
        "why": gate.why,
    }


def _register_entry(entry: blockers.Entry) -> dict[str, Any]:
    return {
        "blocker": entry.blocker,
        "title": entry.title,
        "state": entry.state.value,
        "open": entry.is_open,
        "why": entry.why,
        "gates": list(entry.gates),
        "prior_state": entry.prior_state,
    }


def _decision(result: documents.TaskResult | None) -> dict[str, Any]:
    early = result.early_stop if result else None
    return {
        "stop_reason": result.stop_reason if result else None,
        "early_stop": early.model_dump(mode="json") if early else None,
    }


class Snapshot(documents.Model):
    """The snapshot as its consumers may rely on it."""

    schema_: Literal["burst.snapshot/v1"] = pydantic.Field(alias="schema")
    phase: str
    execution_id: str | None
    platform_run_id: str | None
    burst_target: snapshotparts.Target
    baseline_extract: snapshotparts.BaselineExtract | None
    burst_execution_window: snapshotparts.ExecutionWindow
    burst_load_checks: snapshotparts.LoadChecks
    runtime_budget: snapshotparts.RuntimeBudget
    cost: snapshotparts.Cost | None
    semantic_drift_checks: snapshotparts.Checks
    run_scope_coherence_checks: snapshotparts.Checks
    lag_checkpoint_checks: snapshotparts.Checks
    source_snapshot_refs: snapshotparts.SourceRefs
    evidence_refs: list[snapshotparts.EvidenceRef]
    gates: list[snapshotparts.GateEntry]
    blocker_register: list[snapshotparts.RegisterEntry]
    blockers: list[str]
    overall_pass: bool
    decision: snapshotparts.Decision
    non_goals: list[str]
    supersedes: documents.Digest | None
    exit_code: int
    exit_reason: str
    verifier: snapshotparts.Verifier
