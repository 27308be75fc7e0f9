"""Judgements of preflight on observed series: each is tried, and has to answer as a run needs it."""

from collections.abc import Iterable, Mapping

from burst.domain.observations import judgement, limits, samples, series_rules
from burst.domain.plan import observe_sections, plans
from burst.domain.preflight import findings

CHECK = "observe"


def judge_series(plan: plans.Plan, taken: Mapping[str, samples.Sample]) -> findings.Finding:
    """Whether each series of the plan gave a sample that could count in a run; `taken` has them by name."""
    problems = [
        f"{section.name}: {why}" for section in plan.observed_series for why in _find_problems(plan, section, taken)
    ]
    values = [f"{name} is {sample.value}" for name, sample in taken.items()]
    return findings.report_problem(CHECK, "; ".join(problems), ", ".join(values))


def _find_problems(
    plan: plans.Plan, section: observe_sections.SeriesSection, taken: Mapping[str, samples.Sample]
) -> Iterable[str]:
    sample = taken.get(section.name)
    if sample is None:
        return ["it was not asked"]
    if sample.value is None:
        return [sample.detail or "no answer"]
    if plan.observe is None:
        return []
    series = plan.observe.make_series(
        section.name, [sample], count=1, scope=plan.scope, max_skew_seconds=plan.receipts.max_skew
    )
    problems = list(judgement.list_sample_problems(series, series.samples))
    needs_number = [rule for rule in section.rules if rule.rule.aggregate is not series_rules.Aggregate.LAST]
    if needs_number and limits.finite(sample.value) is None:
        problems.append(f"{sample.value!r} is no number, and {needs_number[0].name} needs one")
    return problems
