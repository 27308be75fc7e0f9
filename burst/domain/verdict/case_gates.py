"""Case gates: how each question of a rules version is asked of a case.

A question stands for one gate, or for a family of gates that the plan names: its facts, and its commands before and
after the burst. It yields nothing where the case gives no reason to ask.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from burst.domain.basics import instants
from burst.domain.documents import fact_answers, holding, preflight_results, window_metrics
from burst.domain.plan import catalogues, fact_sections, plans
from burst.domain.verdict import (
    cases,
    contracts,
    count_gates,
    gates,
    load_gates,
    released_gates,
    run_gates,
    volume_gates,
)

Ask = Callable[[cases.Case], Iterable[gates.Gate]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseQuestion:
    """One question of a rules version: the role of its blocker, the name of its gate, and how it is asked.

    A name that ends in `*` stands for every name the plan puts there. Without a role it stands behind any blocker that
    the plan names.
    """

    role: catalogues.Role | None
    name: str
    ask: Ask

    def covers(self, catalogue: catalogues.Catalogue, short: str, name: str) -> bool:
        """Whether a gate, by the short id of its blocker and its name, is one of this question in a kind of phase."""
        named = name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name
        return named and (self.role is None or catalogue.find_short(self.role) == short)


def ask_multiplier(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan names a multiplier; a reference run has none."""
    if case.plan.gates.multiplier is not None:
        baseline, _ = cases.find_baseline(case)
        yield count_gates.multiplier_gate(case.metrics.value, baseline, case.plan.gates.multiplier)


def ask_multiplier_with_offer(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan names a multiplier. A rate that the generator did not offer is not the system's to miss, so
    the answer says both."""
    for gate in ask_multiplier(case):
        withheld = [offer.why for offer in ask_offered_load(case) if offer.status is gates.GateStatus.FAIL]
        yield dataclasses.replace(gate, why="; ".join([gate.why, *withheld])) if not gate.passed else gate


def ask_duration_0_1_0(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked. The length was that of the counted window."""
    yield count_gates.duration_gate(case.metrics.value, case.plan.budget.min_window)


def ask_duration(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked."""
    gate = count_gates.duration_gate(case.metrics.value, case.plan.budget.min_window, _find_load_end(case))
    yield _explain_lack(case, gate)


def _find_load_end(case: cases.Case) -> holding.LoadEnd | None:
    """The earliest end of the load, by the task result, the load accounts and what the counts state; None without."""
    metrics, result = case.metrics.value, case.task_result.value
    if metrics is None:
        return None
    ends = []
    if metrics.load_ended_utc is not None:
        ends.append(holding.LoadEnd(at=metrics.load_ended_utc, why=metrics.load_end_why or "as the counts state"))
    if result is not None:
        terms = holding.HoldingTerms.from_plan(case.plan)
        offered = holding.OfferedLoad.from_plan(case.plan, result.go_tasks)
        holdings = holding.judge_result(result, terms, case.load.value)
        ends.append(holding.find_load_end_of_burst(holdings, terms, metrics, offered))
    return min(ends, key=lambda end: end.at, default=None)


def _explain_lack(case: cases.Case, gate: gates.Gate) -> gates.Gate:
    """A gate that lacks a window to answer by, with why the run ended without one."""
    return dataclasses.replace(gate, why=case.explain_lack(gate.why)) if gate.measured is None else gate


def ask_admit_ratio(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan sets it, as each plan of kind burst does."""
    if case.plan.gates.admit_ratio is not None:
        yield count_gates.admit_ratio_gate(case.metrics.value, case.plan.gates.admit_ratio)


def ask_publication(case: cases.Case) -> Iterator[gates.Gate]:
    """Whether every document that was given could be read; always asked."""
    documents = [document for document in case.all_documents if document.content is not None]
    unreadable = [document for document in documents if document.unreadable]
    yield gates.Gate(
        name="evidence_readable",
        blocker=catalogues.Role.PUBLICATION,
        status=gates.GateStatus.INVALID if unreadable else gates.GateStatus.PASS,
        measured=len(documents) - len(unreadable),
        required=len(documents),
        comparison=gates.Comparison.EQUALS,
        why="; ".join(document.problem for document in unreadable) or "every document given was read back",
    )


def ask_dependencies(case: cases.Case) -> Iterator[gates.Gate]:
    """Whether the prior of a rerun can be rested on, and preflight did not refuse; always asked."""
    _, prior_problem = cases.find_prior(case.plan, case.prior)
    problem = prior_problem or _explain_refusal(case.preflight.value) or _explain_no_preflight(case)
    rerun = case.plan.rerun is not None
    yield gates.Gate(
        name="dependencies",
        blocker=catalogues.Role.DEPENDENCY,
        status=gates.GateStatus.INVALID if problem else gates.GateStatus.PASS,
        measured=None,
        required=None,
        why=problem or ("the plan is valid" + (" and so is the prior" if rerun else "")),
    )


def ask_contract(rules: str) -> Ask:
    """Asked of each rerun, by this version of the rules."""

    def ask(case: cases.Case) -> list[gates.Gate]:
        if case.plan.rerun is None:
            return []
        return [contracts.same_contract_gate(contracts.from_case(case, rules))]

    return ask


def _explain_refusal(preflight: preflight_results.Preflight | None) -> str:
    """Why nothing should have been launched; empty where preflight passed, or was not given."""
    if preflight is None or (preflight.passed and not preflight.refused):
        return ""
    return f"preflight refused the launch: {', '.join(preflight.refused) or 'it does not say why'}"


def _explain_no_preflight(case: cases.Case) -> str:
    """Why nobody can tell what preflight found; empty of a burst, of which one recorded elsewhere may have none."""
    return "" if case.plan.kind is catalogues.Kind.BURST or case.preflight.value else case.preflight.problem


def ask_baseline(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan names a multiplier, of the burst or of a step."""
    if case.plan.gates.asks_for_baseline:
        yield count_gates.baseline_gate(*cases.find_baseline(case))


def ask_metrics(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked."""
    yield count_gates.metrics_gate(case.metrics.value, case.metrics_problem)


def ask_attempt(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where there are counts."""
    result, metrics = case.task_result, case.metrics.value
    if metrics is not None:
        problem = result.problem or "the attempt has no window: no task was seen to start and stop"
        yield count_gates.attempt_gate(metrics, result.value.attempt if result.value else None, problem)


def ask_counts(gate: Callable[[window_metrics.Metrics], gates.Gate | None]) -> Ask:
    """A question about the counts alone, asked where there are some."""

    def ask(case: cases.Case) -> list[gates.Gate]:
        answer = gate(case.metrics.value) if case.metrics.value is not None else None
        return [answer] if answer is not None else []

    return ask


def ask_clock(case: cases.Case) -> Iterable[gates.Gate]:
    """Asked where the difference of the clocks was measured."""
    return ask_counts(lambda metrics: count_gates.clock_gate(metrics, case.plan.receipts.max_skew))(case)


def ask_run_scope_0_1_0(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked. A document that was missing, or another run's, opened every blocker of a rerun."""
    yield _judge_scope(case, case.task_result, case.metrics, case.preflight)


def _judge_scope(case: cases.Case, *documents: cases.CaseDocument[Any]) -> gates.Gate:
    problem = case.task_result.problem or case.explain_lack(case.metrics.problem)
    return run_gates.coherence_gate(case.plan, cases.list_identities(*documents), problem)


def ask_run_scope(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked."""
    documents = case.task_result, case.metrics, case.load, case.preflight, case.attempt
    missing = [document.name for document in (case.task_result, case.metrics) if document.value is None]
    faults = (*missing, *_find_strangers(case, *documents))
    yield dataclasses.replace(_judge_scope(case, *documents), at_fault=faults)


def _find_strangers(case: cases.Case, *documents: cases.CaseDocument[Any]) -> list[str]:
    """The documents that speak of another run or scope than the plan, or the first document of them, does."""
    identities = cases.list_identities(*documents)
    expected = case.plan.execution_id or (identities[0][1] if identities else None)
    return [name for name, execution_id, scope in identities if (execution_id, scope) != (expected, case.plan.scope)]


def ask_facts_scope_0_1_0(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where there are facts. Any document that was another run's opened every blocker that takes facts."""
    if case.facts.value is not None:
        identities = cases.list_identities(case.task_result, case.metrics, case.preflight, case.facts)
        yield run_gates.coherence_gate(case.plan, identities, _describe_strange_facts(case), name=gates.FACTS_SCOPE)


def ask_facts_scope(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where there are facts."""
    strangers = _find_strangers(case, case.task_result, case.metrics, case.preflight, case.facts)
    faults = (*strangers, *([case.facts.name] if _describe_strange_facts(case) else []))
    yield from (dataclasses.replace(gate, at_fault=faults) for gate in ask_facts_scope_0_1_0(case))


def _describe_strange_facts(case: cases.Case) -> str:
    """Which answer is to no blocker of this phase that takes facts; empty where there is none: a no is never lost."""
    allowed = _list_fact_blockers(case.plan)
    entries = case.facts.value.facts if case.facts.value else []
    strange = [f"{entry.name} is an answer for {entry.blocker}" for entry in entries if entry.blocker not in allowed]
    return f"{'; '.join(strange)}; allowed: {', '.join(allowed)}" if strange else ""


def _list_fact_blockers(plan: plans.Plan) -> dict[str, str]:
    """The phase's ids of the blockers that take facts, each with its short id."""
    return {plan.blocker(short): short for short in plan.fact_shorts}


def ask_facts(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each fact the plan declares, and of each further fact the document holds."""
    shorts, document = _list_fact_blockers(case.plan), case.facts.value
    answers = {(entry.blocker, entry.name): entry for entry in (document.facts if document else [])}
    for fact in case.plan.facts:
        entry = answers.pop((fact.blocker, fact.name), None)
        problem = _find_answer_problem(case, fact, entry)
        if entry is None or problem:
            yield run_gates.missing_fact_gate(fact, shorts[fact.blocker], problem)
        else:
            yield run_gates.fact_gate(entry, shorts[fact.blocker])
    for entry in answers.values():
        if entry.blocker in shorts:
            yield run_gates.fact_gate(entry, shorts[entry.blocker])


def _find_answer_problem(
    case: cases.Case, fact: fact_sections.FactSection, entry: fact_answers.FactEntry | None
) -> str:
    """Why an entry does not answer the plan's question; empty where it does."""
    if entry is None:
        return case.explain_lack(case.facts.problem) or "the question was not answered"
    if not run_gates.same_expectation(entry, fact):
        return "the answer is to another expectation than the plan's"
    attempt = case.task_result.value.attempt if case.task_result.value else None
    if attempt is None or entry.at_utc is None:
        return ""
    early_seconds = instants.seconds_between(entry.at_utc, attempt.end)
    if early_seconds > case.plan.receipts.max_skew:  # the two instants come from two clocks
        return f"it was answered {instants.exact(early_seconds)} s before the attempt had ended"
    return ""


def ask_before(case: cases.Case) -> Iterable[gates.Gate]:
    """Asked of each command before the burst."""
    return run_gates.one_shot_gates(case.plan, "before", case.task_result.value, case.task_result.problem)


def ask_after(case: cases.Case) -> Iterable[gates.Gate]:
    """Asked of each command after the burst."""
    return run_gates.one_shot_gates(case.plan, "after", case.task_result.value, case.task_result.problem)


def ask_services(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where plan or task result names a service."""
    gate = run_gates.services_gate(case.plan, case.task_result.value, case.task_result.problem)
    if gate is not None:
        yield gate


def ask_budget(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked."""
    yield _explain_lack(
        case, run_gates.budget_gate(case.task_result.value, case.plan.budget.max, case.task_result.problem)
    )


def ask_stop(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked."""
    yield run_gates.stop_gate(case.task_result.value, case.task_result.problem)


def ask_load_0_1_0(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked."""
    yield count_gates.load_gate(case.metrics.value, case.metrics_problem)


def ask_load(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked. Where nothing was delivered the answer names what kept it away; without a declared rate it says
    that nobody can tell what was offered."""
    for gate in ask_load_0_1_0(case):
        failures = "" if gate.passed else load_gates.name_failures(case.load.value)
        unknown = "" if load_gates.declares_rate(case.plan) else load_gates.NOBODY_CAN_TELL
        yield dataclasses.replace(gate, why="; ".join(filter(None, [gate.why, failures, unknown])))


def ask_offered_load(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan declares a rate."""
    gate = load_gates.offered_load_gate(
        case.plan,
        case.task_result.value,
        case.metrics.value,
        case.metrics_problem,
        case.load.value,
        case.load.problem,
    )
    if gate is not None:
        yield gate


def ask_answers(name: str) -> Ask:
    """Asked where the plan sets that limit on answers."""

    def ask(case: cases.Case) -> Iterator[gates.Gate]:
        answers = load_gates.answer_gates(case.plan, case.task_result.value, case.load.value, case.load.problem)
        return (gates.apply_mode(case.plan, gate) for gate in answers if gate.name == name)

    return ask


def ask_deadline(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the task result states a deadline."""
    gate = run_gates.deadline_gate(case.plan, case.task_result.value)
    if gate is not None:
        yield gate


def ask_tasks_0_1_0(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked. A task was held where any layer, or anybody, had ended it."""
    result = case.task_result
    yield released_gates.tasks_gate_0_1_0(case.plan, result.value, case.metrics.value, result.problem)


def ask_tasks(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked."""
    yield run_gates.tasks_gate(case.plan, case.task_result.value, case.task_result.problem, case.load.value)


def ask_halt(case: cases.Case) -> Iterator[gates.Gate]:
    """Always asked."""
    yield run_gates.halt_gate(case.task_result.value, case.task_result.problem)


def ask_volume(gate: Callable[[plans.Plan, window_metrics.Metrics | None], gates.Gate | None]) -> Ask:
    """A question about the plan's own limit on the counts, asked where the plan sets that."""

    def ask(case: cases.Case) -> list[gates.Gate]:
        answer = gate(case.plan, case.metrics.value)
        return [_explain_lack(case, answer)] if answer is not None else []

    return ask


def ask_shares(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of every limit of a share that the plan sets."""
    return (_explain_lack(case, gate) for gate in volume_gates.share_gates(case.plan, case.metrics.value))
