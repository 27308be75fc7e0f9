"""The attempts of a phase as CSV, one a row, the oldest first, for tools that look for a change in a series.

Units stand in the names of the columns. A figure that is not known is empty: it is not zero.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from burst.domain.verdict import rollup_snapshots, snapshots
from burst.report import comparison, figures

COLUMNS = (
    *("execution_id", "phase", "started_utc", "verdict", "evidence"),
    *("multiplier", "admit_ratio", "admits", "elapsed_seconds", "cost_usd"),
    *("attempt", "open_blockers"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The signs that begin a formula, and the same ones as wide as letters of East Asia, which some spreadsheets take."""


def render(runs: Sequence[comparison.ListedRun]) -> str:
    """A row of names, then a row for each attempt."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _row(run)] for run in runs)
    return written.getvalue()


def _row(run: comparison.ListedRun) -> Iterator[object]:
    snapshot = run.snapshot
    if snapshot is None:
        yield from (run.execution_id, "", "", "", run.state, *[""] * 7)
    elif isinstance(snapshot, rollup_snapshots.RollupSnapshot):
        yield from (run.execution_id, snapshot.phase, "", snapshot.verdict, run.state, "", "", "")
        yield from (snapshot.runtime_budget.elapsed_seconds, snapshot.runtime_budget.cost_usd, "")
        yield " ".join(snapshot.blockers)
    else:
        yield from _burst_row(run, snapshot)


def _burst_row(run: comparison.ListedRun, snapshot: snapshots.Snapshot) -> Iterator[object]:
    window, checks = snapshot.burst_execution_window, snapshot.burst_load_checks
    yield from (run.execution_id, snapshot.phase, figures.instant(window.start_utc), figures.word(snapshot), run.state)
    admits = checks.counts.counts.admit if checks.counts is not None else None
    yield from (checks.achieved_multiplier.value, checks.admit_ratio.value, admits)
    yield from (window.elapsed_seconds, snapshot.cost.estimated_usd if snapshot.cost else None)
    yield snapshot.attempt.number if snapshot.attempt else None
    yield " ".join(snapshot.blockers)


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula stands behind an apostrophe."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
