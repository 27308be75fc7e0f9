"""The gates of `requires` and of the store policy, asked of a case: judged anew from what preflight kept.

Preflight refuses a run whose entry gates are not as the plan requires. These ask again of its document, so that one
that is missing, of another question, or changed afterwards opens its blocker.
"""

from collections.abc import Iterator

from burst.domain.documents import entry_answers, preflight_results
from burst.domain.plan import entry_sections, plans
from burst.domain.plan.catalogues import Role
from burst.domain.preflight import entry_gates, store_policies
from burst.domain.verdict import cases, gates


def ask_entry_gates(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each entry of `requires`."""
    for name in case.plan.entry_questions:
        yield _judge_entry(case, name, f"{gates.ENTRY}{name}", Role.DEPENDENCY)


def ask_required_documents(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each required document: one that is missing is evidence that is missing."""
    for name, question in case.plan.entry_questions.items():
        if isinstance(question, entry_sections.RequiredDocumentSection):
            yield _judge_entry(case, name, f"{gates.REQUIRED_DOCUMENT}{question.name}", Role.EVIDENCE)


def _judge_entry(case: cases.Case, name: str, gate: str, blocker: Role) -> gates.Gate:
    preflight, plan = case.preflight.value, case.plan
    answer = _find_answer(preflight, name)
    problem = entry_gates.judge_answer(plan, name, answer)
    if preflight is None:
        problem = case.preflight.problem
    status = gates.GateStatus.PASS
    if problem:
        unseen = answer is None or bool(answer.unanswered)
        status = gates.GateStatus.INVALID if unseen else gates.GateStatus.FAIL
    comparison, required = _find_requirement(plan.entry_questions[name])
    return gates.Gate(
        name=gate,
        blocker=blocker,
        status=status,
        measured=_measure(answer),
        required=required,
        comparison=comparison,
        why=f"{problem}; allowed: {entry_gates.describe_wanted(plan, name)}" if problem else "as the plan requires",
    )


def _find_answer(preflight: preflight_results.Preflight | None, name: str) -> entry_answers.EntryAnswer | None:
    """The one answer of an entry gate; None where there is none, or more than one."""
    answers = [answer for answer in preflight.entry_gates if answer.gate == name] if preflight else []
    return answers[0] if len(answers) == 1 else None


def _find_requirement(question: entry_sections.EntryQuestion | None) -> tuple[gates.Comparison | None, gates.Value]:
    """How the measured value has to stand to which one; neither where the requirement is in words."""
    match question:
        case entry_sections.RequiredFactSection():
            limit = entry_gates.find_limit(question)
            return limit.comparison, limit.required
        case entry_sections.RequiredDocumentSection() if question.path is not None:
            limit = entry_gates.find_limit(question)
            return limit.comparison, limit.required
        case entry_sections.RequiredPhaseSection() if question.sha256 is not None:
            return gates.Comparison.EQUALS, question.sha256
        case entry_sections.RequiredServiceSection():
            return gates.Comparison.AT_LEAST, question.running
    return (None, None) if question is not None else (gates.Comparison.EQUALS, 0)


def _measure(answer: entry_answers.EntryAnswer | None) -> gates.Value:
    """The value that stands for an answer."""
    if answer is None:
        return None
    if answer.phase_seen is not None:
        return answer.phase_seen.sha256
    if answer.document_seen is not None:
        return answer.document_seen.value if answer.document_seen.value is not None else answer.document_seen.sha256
    if answer.service_seen is not None:
        return answer.service_seen.running
    return len(answer.living_runs) if answer.living_runs is not None else answer.fact_value


def ask_store_policy(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked. What preflight kept has to be what the plan gives; it may be missing where any store will do."""
    judgement = store_policies.judge_plan(case.plan)
    preflight = case.preflight.value
    problem = judgement.reason if judgement.refused else _differing_policy(case.plan, preflight, judgement)
    status = gates.GateStatus.PASS
    if problem:
        status = gates.GateStatus.FAIL if judgement.refused else gates.GateStatus.INVALID
    yield gates.Gate(
        name=gates.STORE_POLICY,
        blocker=Role.DEPENDENCY,
        status=status,
        measured=judgement.store_mode,
        required=None,
        why=problem or judgement.reason,
    )


def _differing_policy(
    plan: plans.Plan, preflight: preflight_results.Preflight | None, judgement: store_policies.StoreJudgement
) -> str:
    """Why the judgement that preflight kept is not the plan's; empty where it is."""
    kept = preflight.store_policy if preflight else None
    if kept is None:
        return "" if plan.environment in store_policies.FREE_ENVIRONMENTS else "preflight kept no store policy"
    same = kept.judged_value() == judgement.entry.judged_value()
    return "" if same else f"preflight kept {kept.decision} for {kept.store_mode} in {kept.environment}"


def list_dependencies(case: cases.Case) -> list[entry_answers.DependencyRef]:
    """The phases and documents that the run rested on, by digest."""
    answers = case.preflight.value.entry_gates if case.preflight.value else []
    return [ref for ref in map(entry_answers.DependencyRef.from_answer, answers) if ref is not None]
