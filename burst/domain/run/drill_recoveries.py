"""Drill recoveries: when a system had recovered from each drill, by its task result and the observed series."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.documents import task_results
from burst.domain.observations import limits, recoveries, samples
from burst.domain.plan import drill_sections, plans


def find_recoveries(
    plan: plans.Plan,
    entries: Sequence[task_results.DrillEntry],
    series: Mapping[str, samples.Series],
    ended_at: datetime | None,
) -> dict[str, recoveries.Recovery]:
    """The recovery of each drill of the plan, under a load that ended at `ended_at`; an entry that is missing has none.

    A fault that was not caused as it should be has none either: the system would have recovered from nothing.
    """
    by_name = {entry.name: entry for entry in entries}
    return {drill.name: _find_recovery(drill, by_name.get(drill.name), series, ended_at) for drill in plan.drills}


def _find_recovery(
    drill: drill_sections.DrillSection,
    entry: task_results.DrillEntry | None,
    series: Mapping[str, samples.Series],
    ended_at: datetime | None,
) -> recoveries.Recovery:
    observed = series.get(drill.recovered_when.series)
    if entry is None or not entry.caused:
        why = "nothing tells of it" if entry is None else entry.problem or "the fault was not seen to come to its end"
        return recoveries.Recovery(recovered_at=None, held_to=None, why=why)
    if observed is None:
        why = f"series {drill.recovered_when.series} was not observed"
        return recoveries.Recovery(recovered_at=None, held_to=None, why=why)
    return recoveries.find_recovery(observed, read_terms(drill), over_at=entry.over_utc, ended_at=ended_at)


def read_terms(drill: drill_sections.DrillSection) -> recoveries.RecoveryTerms:
    """What the plan calls recovered."""
    rule = drill.recovered_when
    return recoveries.RecoveryTerms(
        limit=limits.choose(rule.equals, rule.at_most, rule.at_least), sustained_seconds=rule.sustained
    )


def measure_seconds(entry: task_results.DrillEntry, recovery: recoveries.Recovery) -> float | None:
    """The seconds from the fault to the first sample of the recovery; None where nobody can tell."""
    if recovery.recovered_at is None or entry.intended_utc is None:
        return None
    return instants.seconds_between(entry.intended_utc, recovery.recovered_at)
