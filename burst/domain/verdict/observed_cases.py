"""Observed cases: the series of a case as they can be judged, and where the periods of their rules lie.

Samples that are not of this run and scope, or answer another question than the plan's, are no series. When a system had
recovered is never read from a document: it is found again in the samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from burst.domain.documents import observation_series
from burst.domain.observations import periods, samples
from burst.domain.plan import observe_sections, plans
from burst.domain.run import drill_recoveries, observations_builder
from burst.domain.verdict import cases


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCase:
    """The series of a case by name, and by name why the other ones of the plan cannot be judged."""

    series: Mapping[str, samples.Series] = field(hash=False)
    problems: Mapping[str, str] = field(hash=False)


def read_observed(case: cases.Case) -> ObservedCase:
    """The series of a case."""
    document = case.observations.value
    problem = case.explain_lack(case.observations.problem) or _find_stranger(case, document)
    entries = {entry.name: entry for entry in document.series} if document else {}
    series, problems = {}, {}
    for section in case.plan.observed_series:
        entry = entries.get(section.name)
        why = problem or _find_other_question(case.plan, section, entry)
        if entry is None or why:
            problems[section.name] = why or "the series was not asked"
        else:
            series[section.name] = observations_builder.read_series(case.plan, entry)
    return ObservedCase(series=series, problems=problems)


def find_span(case: cases.Case, observed: ObservedCase) -> periods.BurstSpan:
    """The instants by which the periods of a case are placed: of several drills the first fault and the last recovery,
    where the system recovered from each."""
    result = case.task_result.value
    attempt = result.attempt if result else None
    span = periods.BurstSpan(go_at=attempt.start if attempt else None, ended_at=attempt.end if attempt else None)
    if result is None or not case.plan.drills:
        return span
    faults = [entry.intended_utc for entry in result.drills if entry.intended_utc is not None and entry.caused]
    recoveries = drill_recoveries.find_recoveries(case.plan, result.drills, observed.series, span.ended_at)
    ends = [recovery.recovered_at for recovery in recoveries.values()]
    recovery_ends = [end for end in ends if end is not None]
    return periods.BurstSpan(
        go_at=span.go_at,
        ended_at=span.ended_at,
        faulted_at=min(faults, default=None),
        recovered_at=max(recovery_ends) if len(recovery_ends) == len(ends) and recovery_ends else None,
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
