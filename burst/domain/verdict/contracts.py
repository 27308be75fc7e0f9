"""Contracts: the terms that a case is judged by, and whether those of a rerun are its prior's.

Weaker terms would clear a blocker that nothing mended. So a rerun's terms are those of its prior, unless its plan names
each change; then the register says so. What the prior does not state is said, and opens nothing.
"""

from dataclasses import dataclass

from burst.domain.basics import canonical
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, plan_keys, plans
from burst.domain.verdict import baselines, cases, contract_terms, gates, prior_terms, term_changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The terms of a case, and of a rerun how they stand to its prior's."""

    terms: contract_terms.Terms
    prior: prior_terms.PriorContract | None = None
    comparison: term_changes.TermsComparison | None = None
    """None where there is no prior to compare with."""
    moved: tuple[term_changes.TermChange, ...] = ()
    """The non-goals of the rerun that its plan does not keep to."""
    problem: str = ""
    """Why nobody can tell whether the terms are the prior's."""

    @property
    def refused(self) -> bool:
        """Whether the terms of a rerun are not its prior's, changed as its plan names."""
        differing = self.comparison is not None and (self.comparison.unnamed or self.comparison.idle)
        return bool(self.problem or differing or self.moved)

    @property
    def held_to(self) -> contract_terms.Terms | None:
        """The terms that a rerun of this one is held to, where its own are refused; None where those count."""
        if not self.refused:
            return None
        return self.prior.terms if self.prior else contract_terms.NOTHING

    @property
    def changes(self) -> tuple[plan_keys.ChangeSection, ...]:
        """The changes of terms along the chain of priors, each named by a plan; refused ones are none."""
        own = self.comparison.named if self.comparison and not self.refused else ()
        return (*(self.prior.changes if self.prior else ()), *own)

    @property
    def changed(self) -> tuple[str, ...]:
        """The keys of the terms that are others than those of the first attempt in that chain."""
        return term_changes.list_changed(self.terms, self.changes)

    @property
    def unstated(self) -> tuple[str, ...]:
        """The terms that the prior, or one of its own priors, does not state."""
        own = self.comparison.unstated if self.comparison else ()
        return tuple(sorted({*(self.prior.unstated if self.prior else ()), *own}))

    @property
    def note(self) -> str:
        """What a reader of the register has to know of the terms; empty where they are the prior's."""
        parts = []
        if self.changed:
            listed = [term_changes.explain_change(change) for change in self.changes if change.key in self.changed]
            parts.append(f"judged by changed terms: {'; '.join(listed)}")
        if self.unstated:
            parts.append(f"the prior does not state: {', '.join(_shorten(self.unstated))}")
        return "; ".join(parts)


def _shorten(keys: tuple[str, ...]) -> list[str]:
    """The keys, one word for all those of a group of many."""
    many = ("receipts", "facts", "before", "after")
    return list(dict.fromkeys(group if (group := key.partition(".")[0]) in many else key for key in keys))


def from_case(case: cases.Case, rules: str) -> Contract:
    """The contract of a case, judged by this version of the rules."""
    own, rerun = contract_terms.from_plan(case.plan, rules, _find_baseline(case)), case.plan.rerun
    if rerun is None:
        return Contract(terms=own)
    prior, problem = cases.find_prior(case.plan, case.prior)
    if prior is None or case.prior.value is None:
        return Contract(terms=own, problem=f"there is no prior to compare the terms with: {problem}")
    prior_plan, problem = _read_prior_plan(case)
    contract = prior_terms.from_snapshot(case.prior.value, prior_plan)
    comparison = term_changes.compare(own, contract.terms, rerun.term_changes)
    if comparison.unknown and not problem:
        problem = f"{', '.join(comparison.unknown)} of this run is not known"
    if rerun.guarded_keys and prior_plan is None and not problem:
        guarded = ", ".join(rerun.guarded_keys)
        problem = f"without a readable {document_names.PRIOR_PLAN} nobody can tell whether {guarded} is kept"
    moved = () if prior_plan is None else tuple(term_changes.list_moved(case.plan, prior_plan))
    return Contract(terms=own, prior=contract, comparison=comparison, moved=moved, problem=problem)


def _find_baseline(case: cases.Case) -> baselines.Baseline | None:
    """The baseline whose figures are a term, however old it is; None where it is not here, or none is named."""
    if case.baseline.value is not None:
        return baselines.from_document(case.baseline.value)
    unread = case.baseline.content is not None
    return None if unread or case.plan.baseline is None else baselines.from_inline(case.plan.baseline)


def _read_prior_plan(case: cases.Case) -> tuple[plans.Plan | None, str]:
    """The plan of the prior run, where it is here and can be read; and why a plan that is here is not that one."""
    content = case.prior_plan.content
    if content is None or case.prior.value is None:
        return None, ""
    cited = cases.find_digest(case.prior.value, document_names.PLAN)
    if canonical.digest(content) != cited:
        return None, f"{document_names.PRIOR_PLAN} is not the plan that the prior names by digest"
    return prior_terms.read_plan(content), ""


def same_contract_gate(contract: Contract) -> gates.Gate:
    """Whether a rerun is judged by its prior's terms, or by changed ones that its plan names."""
    question = gates.GateQuestion(
        name=gates.SAME_CONTRACT, blocker=catalogues.Role.DEPENDENCY, required=0, comparison=gates.Comparison.EQUALS
    )
    comparison = contract.comparison
    if comparison is None:
        return question.answer(gates.GateStatus.INVALID, None, contract.problem)
    reasons = []
    if comparison.unnamed:
        listed = "; ".join(change.text for change in comparison.unnamed)
        reasons.append(f"other terms than the prior's, not named in rerun.changes: {listed}")
    if comparison.idle:
        listed = "; ".join(term_changes.explain_change(change) for change in comparison.idle)
        reasons.append(f"rerun.changes names what is not so: {listed}")
    if contract.moved:
        reasons.append(f"non-goals not kept to: {'; '.join(change.text for change in contract.moved)}")
    count = len(comparison.unnamed) + len(comparison.idle) + len(contract.moved)
    if contract.problem:
        return question.answer(gates.GateStatus.INVALID, count or None, "; ".join([contract.problem, *reasons]))
    if reasons:
        return question.answer(gates.GateStatus.FAIL, count, "; ".join(reasons))
    return question.answer(gates.GateStatus.PASS, 0, contract.note or "the terms are the prior's")
