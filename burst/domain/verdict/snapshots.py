"""Snapshots: facts to verdict, as a pure function from documents to bytes.

`adjudicate` reads nothing and knows no clock: everything the snapshot says comes from the documents it was given, so
anybody who has them can make the same bytes again. A document that is missing or unreadable leaves blockers open;
it is never an exception, because a verdict must always be reached.
"""

from dataclasses import dataclass
from typing import Any, Literal

import pydantic

from burst.domain.basics import canonical, instants, wording
from burst.domain.documents import fact_answers, models, preflight_results, task_results
from burst.domain.plan import plans
from burst.domain.verdict import baselines, blockers, cases, gates, snapshot_parts, snapshot_sections


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


def adjudicate(given_case: cases.Case) -> Verdict:
    """The verdict of a case: same documents, same bytes.

    Raises `errors.UsageError` only where a bounded rerun names a blocker that is not open in its prior snapshot.
    """
    plan = given_case.plan
    baseline, baseline_problem = cases.usable_baseline(given_case)
    prior, prior_problem = cases.usable_prior(plan, given_case.prior)
    blockers.refuse_rerun_of_cleared(plan, prior)
    answers = _gates(given_case, baseline, baseline_problem, prior_problem)
    register = blockers.register(plan, answers, prior)
    open_ids = sorted(entry.blocker for entry in register if entry.is_open)
    exit_code, exit_reason = _exit(given_case.task_result.value, open_ids)
    document = {
        "schema": snapshot_parts.SCHEMA,
        "execution_id": given_case.execution_id,
        "platform_run_id": given_case.scope,
        "phase": plan.phase,
        "burst_target": {
            "ingest_multiplier": plan.gates.multiplier,
            "duration_minutes": plan.budget.min_window / 60,
            "min_successful_admit_ratio": plan.gates.admit_ratio,
        },
        "baseline_extract": snapshot_sections.baseline_extract(baseline),
        "burst_execution_window": snapshot_sections.execution_window(given_case),
        "burst_load_checks": snapshot_sections.load_checks(answers, given_case),
        "runtime_budget": snapshot_sections.runtime_budget(answers, given_case),
        "cost": snapshot_sections.estimated_cost(given_case),
        "semantic_drift_checks": snapshot_sections.checks(answers, "B2"),
        "run_scope_coherence_checks": snapshot_sections.checks(answers, "B6"),
        "lag_checkpoint_checks": snapshot_sections.checks(answers, "B7"),
        "source_snapshot_refs": snapshot_sections.source_refs(given_case, baseline, prior),
        "evidence_refs": snapshot_sections.evidence_refs(given_case),
        "gates": [snapshot_sections.gate_entry(plan, gate) for gate in answers],
        "blocker_register": [snapshot_sections.register_entry(entry) for entry in register],
        "blockers": open_ids,
        "overall_pass": not open_ids,
        "decision": snapshot_sections.decision(given_case.task_result.value),
        "non_goals": list(plan.rerun.non_goals) if plan.rerun else [],
        "supersedes": None,
        "exit_code": exit_code,
        "exit_reason": exit_reason,
        "verifier": dict(given_case.verifier),
    }
    return Verdict(document=document, content=canonical.encode(document), exit_code=exit_code, exit_reason=exit_reason)


def _gates(
    given_case: cases.Case, baseline: baselines.Baseline | None, baseline_problem: str, prior_problem: str
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
            metrics_problem=given_case.metrics_problem,
            attempt_problem=result.problem or "the attempt has no window: no task was seen to start and stop",
            max_skew_seconds=plan.receipts.max_skew,
        )
    )
    found.append(
        gates.coherence_gate(
            plan, cases.identities(result, metrics, given_case.preflight), result.problem or metrics.problem
        )
    )
    if given_case.facts.value is not None:
        identities = cases.identities(result, metrics, given_case.preflight, given_case.facts)
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
            metrics_problem=given_case.metrics_problem,
        )
    )
    return tuple(found)


def _publication_gate(given_case: cases.Case) -> gates.Gate:
    unreadable = [document for document in given_case.all_documents if document.unreadable]
    status = gates.GateStatus.INVALID if unreadable else gates.GateStatus.PASS
    why = "; ".join(document.problem for document in unreadable) or "every document given was read back"
    count = len([document for document in given_case.all_documents if document.content is not None])
    return gates.Gate(
        name="evidence_readable",
        blocker="B3",
        status=status,
        measured=count - len(unreadable),
        required=count,
        comparison=gates.Comparison.EQUALS,
        why=why,
    )


def _dependency_gate(given_case: cases.Case, prior_problem: str) -> gates.Gate:
    problem = prior_problem or _refused(given_case.preflight.value)
    status = gates.GateStatus.INVALID if problem else gates.GateStatus.PASS
    rerun = given_case.plan.rerun is not None
    why = problem or ("the plan is valid" + (" and so is the prior" if rerun else ""))
    return gates.Gate(name="dependencies", blocker="B4", status=status, measured=None, required=None, why=why)


def _refused(preflight: preflight_results.Preflight | None) -> str:
    """Why nothing should have been launched; empty where preflight passed, or was not given."""
    if preflight is None or (preflight.passed and not preflight.refused):
        return ""
    return f"preflight refused the launch: {', '.join(preflight.refused) or 'it does not say why'}"


def _strange_facts(given_case: cases.Case) -> str:
    """Which answer is to no blocker of this phase that takes facts; empty where there is none: a no is never lost."""
    allowed = _facts_of(given_case.plan)
    entries = given_case.facts.value.facts if given_case.facts.value else []
    strange = [f"{entry.name} is an answer for {entry.blocker}" for entry in entries if entry.blocker not in allowed]
    return f"{'; '.join(strange)}; allowed: {', '.join(allowed)}" if strange else ""


def _facts_of(plan: plans.Plan) -> dict[str, str]:
    """The phase's ids of the blockers that take facts, each with its short one."""
    return {plan.blocker(short): short for short in plans.FACT_BLOCKERS}


def _fact_gates(given_case: cases.Case) -> list[gates.Gate]:
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


def _no_answer(given_case: cases.Case, fact: plans.FactSection, entry: fact_answers.FactEntry | None) -> str:
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


def _exit(result: task_results.TaskResult | None, open_ids: list[str]) -> tuple[int, str]:
    """The exit code the run ends with and why; the worst wins (DESIGN 4)."""
    if result is not None and result.unproven:
        return 6, f"{wording.format_count(len(result.unproven), 'task')} not seen to stop"
    if result is not None and result.not_restored:
        return 6, f"{wording.format_count(len(result.not_restored), 'service')} not put back"
    if result is not None and result.interruption is not None:
        code = {"SIGINT": 130, "SIGTERM": 143}[result.interruption.signal]
        return code, f"interrupted by {result.interruption.signal}"
    if open_ids:
        return 3, f"HOLD: {wording.format_count(len(open_ids), 'blocker')} open"
    return 0, "PASS: no blocker open"


class Snapshot(models.Model):
    """The snapshot as its consumers may rely on it."""

    schema_: Literal["burst.snapshot/v1"] = pydantic.Field(alias="schema")
    phase: str
    execution_id: str | None
    platform_run_id: str | None
    burst_target: snapshot_parts.BurstTarget
    baseline_extract: snapshot_parts.BaselineExtract | None
    burst_execution_window: snapshot_parts.ExecutionWindow
    burst_load_checks: snapshot_parts.LoadChecks
    runtime_budget: snapshot_parts.RuntimeBudget
    cost: snapshot_parts.Cost | None
    semantic_drift_checks: snapshot_parts.Checks
    run_scope_coherence_checks: snapshot_parts.Checks
    lag_checkpoint_checks: snapshot_parts.Checks
    source_snapshot_refs: snapshot_parts.SourceRefs
    evidence_refs: list[snapshot_parts.EvidenceRef]
    gates: list[snapshot_parts.GateEntry]
    blocker_register: list[snapshot_parts.RegisterEntry]
    blockers: list[str]
    overall_pass: bool
    decision: snapshot_parts.Decision
    non_goals: list[str]
    supersedes: models.Digest | None
    exit_code: int
    exit_reason: str
    verifier: snapshot_parts.Verifier
