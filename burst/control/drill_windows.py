"""Drill windows: counts the receipts before, during and after each drill, once the whole window has settled.

The three parts share their edges and are half-open, so that each receipt is in one of them. Whether they add up to the
whole is a gate: it says that nothing changed between the counts.
"""

import itertools
from datetime import datetime

from burst import ports
from burst.control import pausing
from burst.domain.basics import errors, windows
from burst.domain.documents import window_metrics
from burst.domain.plan import plans
from burst.domain.run import drill_entries, drill_recoveries, observations_builder, runs


def count_parts(
    plan: plans.Plan,
    run: runs.Run,
    window: windows.Window,
    source: ports.ReceiptSource,
    patience: pausing.QuestionPatience,
) -> list[window_metrics.DrillWindowsEntry]:
    """The receipts of a settled window by its drills; why there are none, where they could not be counted."""
    observed = observations_builder.build_observations(plan, run)
    series = {
        entry.name: observations_builder.read_series(plan, entry) for entry in (observed.series if observed else ())
    }
    recovered = drill_recoveries.find_recoveries(plan, drill_entries.list_drills(plan, run), series, window.end)
    entries = list[window_metrics.DrillWindowsEntry]()
    for drill in plan.drills:
        strike, recovery = run.strikes.get(drill.name), recovered.get(drill.name)
        struck_at = strike.intended_at if strike is not None and strike.refused is None else None
        recovered_at = recovery.recovered_at if recovery is not None else None
        try:
            entries.append(_count_drill(drill.name, plan, _cut(window, struck_at, recovered_at), source, patience))
        except errors.BurstError as exc:
            entries.append(_without(drill.name, str(exc)))
    return entries


def _cut(
    window: windows.Window, struck_at: datetime | None, recovered_at: datetime | None
) -> tuple[windows.Window | None, windows.Window | None, windows.Window | None]:
    """The window before the fault, from it to the recovery, and from there on; None for a part without length."""
    struck = window.end if struck_at is None else min(max(struck_at, window.start), window.end)
    recovered = window.end if recovered_at is None else min(max(recovered_at, struck), window.end)
    edges = (window.start, struck, recovered, window.end)
    before, during, after = (
        windows.Window(start, end) if start < end else None for start, end in itertools.pairwise(edges)
    )
    return before, during, after


def _count_drill(
    name: str,
    plan: plans.Plan,
    parts: tuple[windows.Window | None, windows.Window | None, windows.Window | None],
    source: ports.ReceiptSource,
    patience: pausing.QuestionPatience,
) -> window_metrics.DrillWindowsEntry:
    def count(part: windows.Window | None) -> window_metrics.WindowCountsEntry | None:
        if part is None:
            return None
        counted = patience.ask(
            lambda: source.count(
                part, scope=plan.scope, bucket_seconds=plan.receipts.bucket, give_up_at=patience.give_up_at
            )
        )
        counts = window_metrics.CountsEntry.from_counts(counted.counts)
        return window_metrics.WindowCountsEntry(start_utc=part.start, end_utc=part.end, counts=counts)

    before, during, after = map(count, parts)
    return window_metrics.DrillWindowsEntry(drill=name, before=before, during=during, after=after)


def _without(name: str, why: str) -> window_metrics.DrillWindowsEntry:
    return window_metrics.DrillWindowsEntry(drill=name, before=None, during=None, after=None, no_data=why)
