"""Gates of observed series: one for each rule of `observe`, answered from the samples and the attempt's own end.

Samples that are not of this run and scope, or answer another question than the plan's, prove nothing.
"""

from collections.abc import Iterator, Mapping

from burst.domain.documents import observation_series, task_results
from burst.domain.observations import judgement, limits, periods, rules, samples
from burst.domain.plan import observe_sections, plans
from burst.domain.verdict import cases, gates


def ask_observations(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked of each rule of each series that the plan observes."""
    plan, document = case.plan, case.observations.value
    span = _find_span(document, case.task_result.value)
    problem = case.explain_lack(case.observations.problem) or _find_stranger(case, document)
    problem = problem or ("" if case.task_result.value else case.task_result.problem)
    entries = {entry.name: entry for entry in document.series} if document else {}
    series = {} if problem else {name: _read_series(plan, name, entry) for name, entry in entries.items()}
    for section in plan.observed_series:
        why = problem or _find_other_question(plan, section, entries.get(section.name))
        for rule_section in section.rules:
            if why:
                answer = judgement.Judgement(status=limits.AnswerStatus.INVALID, value=None, why=why)
            else:
                answer = judgement.judge(rule_section.rule, series[section.name], span, series)
            yield _build_gate(plan, section, rule_section, answer)


def _build_gate(
    plan: plans.Plan,
    section: observe_sections.SeriesSection,
    rule_section: observe_sections.ObservedRuleSection,
    answer: judgement.Judgement,
) -> gates.Gate:
    rule = rule_section.rule
    seconds = rule.aggregate is rules.Aggregate.MAX_STALL
    return gates.Gate(
        name=f"{gates.OBSERVED}{section.name}.{rule_section.name}",
        blocker=rule_section.blocker.removeprefix(plan.blocker("")),
        status=answer.status,
        measured=answer.value,
        required=rule.near.text if rule.near else rule.limit.required if rule.limit else None,
        comparison=rule.limit.comparison if rule.limit else None,
        unit=gates.SECONDS if seconds else None,
        why=answer.why,
    )


def _find_span(
    document: observation_series.Observations | None, result: task_results.TaskResult | None
) -> periods.BurstSpan:
    attempt = result.attempt if result else None
    return periods.BurstSpan(
        go_at=attempt.start if attempt else None,
        ended_at=attempt.end if attempt else None,
        faulted_at=document.faulted_utc if document else None,
        recovered_at=document.recovered_utc if document else None,
    )


def _find_stranger(case: cases.Case, document: observation_series.Observations | None) -> str:
    """Why samples are not of this run and scope; empty where they are."""
    if document is None:
        return ""
    for named, expected in (
        (document.execution_id, case.plan.execution_id or case.execution_id),
        (document.platform_run_id, case.plan.scope),
    ):
        if named != expected:
            return f"{case.observations.name} speaks of {named}, not {expected}"
    return ""


def _find_other_question(
    plan: plans.Plan, section: observe_sections.SeriesSection, entry: observation_series.SeriesEntry | None
) -> str:
    """Why an entry does not answer the plan's question; empty where it does."""
    if entry is None:
        return "the series was not asked"
    if entry.question_sha256 != section.question_sha256:
        return "the samples answer another question than the plan's"
    return "" if plan.observe and entry.every_seconds == plan.observe.every else "the samples have another period"


def _read_series(plan: plans.Plan, name: str, entry: observation_series.SeriesEntry) -> samples.Series:
    sections: Mapping[str, observe_sections.SeriesSection] = {part.name: part for part in plan.observed_series}
    section = sections.get(name)
    return samples.Series(
        name=name,
        every_seconds=entry.every_seconds,
        taken=entry.taken,
        samples=tuple(sample.sample for sample in entry.samples),
        scope=plan.scope if section is not None and section.scope is not None else None,
        dated=section is not None and section.tells_instant,
        max_skew_seconds=plan.receipts.max_skew,
    )
