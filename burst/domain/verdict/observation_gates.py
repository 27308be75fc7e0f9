"""Gates of observed series: one for each rule of `observe`, answered from the samples and the attempt's own end."""

from collections.abc import Iterator

from burst.domain.observations import judgement, limits, series_rules
from burst.domain.plan import observe_sections, plans
from burst.domain.verdict import cases, gates, observed_cases


def ask_observations(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each rule of each series that the plan observes."""
    observed = observed_cases.read_observed(case)
    span = observed_cases.find_span(case, observed)
    for section in case.plan.observed_series:
        series = observed.series.get(section.name)
        why = observed.problems.get(section.name, "") or ("" if case.task_result.value else case.task_result.problem)
        for rule_section in section.rules:
            if series is None or why:
                answer = judgement.Judgement(status=limits.AnswerStatus.INVALID, value=None, why=why)
            else:
                answer = judgement.judge(rule_section.rule, series, span, observed.series)
            yield _build_gate(case.plan, section, rule_section, answer)


def _build_gate(
    plan: plans.Plan,
    section: observe_sections.SeriesSection,
    rule_section: observe_sections.ObservedRuleSection,
    answer: judgement.Judgement,
) -> gates.Gate:
    rule = rule_section.rule
    return gates.Gate(
        name=f"{gates.OBSERVED}{section.name}.{rule_section.name}",
        blocker=rule_section.blocker.removeprefix(plan.blocker("")),
        status=answer.status,
        measured=answer.value,
        required=rule.near.text if rule.near else rule.limit.required if rule.limit else None,
        comparison=rule.limit.comparison if rule.limit else None,
        unit=gates.SECONDS if rule.aggregate is series_rules.Aggregate.MAX_STALL else None,
        why=answer.why,
    )
