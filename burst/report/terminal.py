"""The verdict for a terminal: PASS or HOLD first, then open blockers and why, then the figures and where they lie."""

import shlex
from collections.abc import Iterator, Sequence

from burst.domain.basics import runbooks
from burst.domain.verdict import snapshot_sections, snapshots
from burst.report import figures


def render(snapshot: snapshots.Snapshot, *, folder: str | None = None) -> str:
    """The verdict as plain text. `folder`: where the evidence lies."""
    return "\n".join(plain(line) for line in _lines(snapshot, folder))


def _lines(snapshot: snapshots.Snapshot, folder: str | None) -> Iterator[str]:
    run, scope = snapshot.execution_id, snapshot.platform_run_id
    yield f"{figures.word(snapshot)}  {snapshot.phase}  run {run}  scope {scope}"
    if snapshot.open_entries:
        yield ""
        yield f"open blockers ({len(snapshot.open_entries)}):"
        for entry in snapshot.open_entries:
            yield f"  {entry.blocker}  {entry.title} ({entry.state})"
            yield f"      {entry.why}"
            yield f"      see: {runbooks.page_command(runbooks.PageKind.BLOCKER, entry.blocker)}"
    yield ""
    yield "gates:"
    longest = max((len(gate.name) for gate in snapshot.gates), default=0)
    for gate in snapshot.gates:
        yield f"  {gate.status:<12} {gate.name:<{max(longest, _NAME_WIDTH)}} {figures.against(gate)}"
    yield ""
    yield from _figures(snapshot)
    if folder is not None:
        yield f"evidence        {folder}"
    yield f"exit code       {snapshot.exit_code} ({snapshot.exit_reason})"


def _figures(snapshot: snapshots.Snapshot) -> Iterator[str]:
    window, budget = snapshot.burst_execution_window, snapshot.runtime_budget
    counts, early = snapshot.burst_load_checks.counts, snapshot.decision.early_stop
    if snapshot.decision.ended:
        yield f"ended           {snapshot.decision.ended}"
    if snapshot.attempt is not None:
        yield f"attempt         {figures.attempt(snapshot.attempt)}"
    if snapshot.hold is not None:
        yield f"signature       {snapshot.hold.signature}"
    if snapshot.command_line is not None:
        yield f"command         {shlex.join(snapshot.command_line)}"
    if figures.changed_terms(snapshot):
        yield f"terms           changed: {figures.changed_terms(snapshot)}"
    if figures.quorum(snapshot.decision):
        yield f"GO              {figures.quorum(snapshot.decision)}"
    yield f"tasks ran       {figures.span(window)}, {figures.number(window.elapsed_seconds)} s"
    yield f"counted window  {figures.span(window.counted_window)}"
    if window.stop_asked_utc is not None:
        yield f"stop asked      {figures.instant(window.stop_asked_utc)} ({snapshot.decision.stop_reason})"
    ends = figures.list_ends(window)
    if ends:
        yield f"tasks ended     {ends}"
    if window.load_ended_utc is not None:
        yield f"load ended      {figures.instant(window.load_ended_utc)} at the earliest"
    if counts is not None:
        yield f"receipts        {figures.decisions(counts)}"
    yield f"budget          {figures.number(budget.budget_seconds)} s, stopped by {budget.stopped_by or 'no layer'}"
    if budget.overshoot_seconds is not None:
        yield f"overshoot       {figures.number(budget.overshoot_seconds)} s"
    if snapshot.cost is not None:
        yield f"cost            {figures.cost(snapshot.cost)}"
    if early is not None:
        saved = figures.number(early.seconds_saved)
        yield f"early stop      {early.rule} at {figures.instant(early.at_utc)}, {saved} s saved"
    yield from _signs(snapshot.decision)


def _signs(decision: snapshot_sections.Decision) -> Iterator[str]:
    """The halt or stop sign that stopped the run, and when one could not be read."""
    halt, met = decision.halt, decision.stop_sign
    if halt is not None:
        yield f"halted          by {halt.by} since {figures.instant(halt.since_utc)}: {halt.reason} ({halt.place})"
    if met is not None:
        yield f"stop sign       {met.sign} was {met.value} at {figures.instant(met.at_utc)}: {met.detail}"
    for entry in decision.unclear_signs:
        until = figures.instant(entry.until_utc) if entry.until_utc else "the end"
        yield f"not read        {entry.sign} from {figures.instant(entry.since_utc)} to {until}: {entry.detail}"


_NAME_WIDTH = 22
"""Of the longest name that burst and its examples use, so that verdicts stand alike."""


def plain(line: str) -> str:
    """A line that stays one line and moves no cursor: documents may come from anybody."""
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in line)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns, two blanks apart."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(plain(line) for line in lines)
