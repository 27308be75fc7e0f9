"""The verdict for a terminal: PASS or HOLD first, then open blockers and why, then the figures and where they lie."""

import shlex
from collections.abc import Iterator

from burst.domain.basics import runbooks
from burst.domain.verdict import snapshot_sections, snapshots
from burst.report import figures, phase_rows, plain_lines, series_charts

plain, table = plain_lines.plain, plain_lines.table

KEY_GATES = ("achieved_multiplier", "duration_seconds", "admit_ratio", "offered_load")
"""What a burst is run for: shown though they pass."""


def render(snapshot: snapshots.Snapshot, *, folder: str | None = None, folded: bool = False) -> str:
    """The verdict as plain text. `folder`: where the evidence lies. `folded`: gates that pass are counted, but for
    `KEY_GATES`, and those that do not come first."""
    return "\n".join(plain(line) for line in _lines(snapshot, folder, folded))


def _lines(snapshot: snapshots.Snapshot, folder: str | None, folded: bool) -> Iterator[str]:
    run, scope = snapshot.execution_id, snapshot.platform_run_id
    yield f"{figures.word(snapshot)}  {figures.phase(snapshot)}  run {run}  scope {scope}"
    if snapshot.open_entries:
        yield ""
        yield f"open blockers ({len(snapshot.open_entries)}):"
        for entry in snapshot.open_entries:
            yield f"  {entry.blocker}  {entry.title} ({entry.state})"
            yield f"      {entry.why}"
            page = runbooks.page_command(runbooks.PageKind.BLOCKER, entry.blocker, phase_kind=snapshot.kind)
            yield f"      see: {page}"
    yield ""
    yield "gates:"
    yield from _list_gates(snapshot, folded)
    yield ""
    yield from _figures(snapshot)
    if folder is not None:
        yield f"evidence        {folder}"
    yield f"exit code       {snapshot.exit_code} ({snapshot.exit_reason})"


def _list_gates(snapshot: snapshots.Snapshot, folded: bool) -> Iterator[str]:
    listed = list(snapshot.gates)
    if folded:
        listed = [gate for gate in listed if gate.status != "PASS"]
        listed += [gate for gate in snapshot.gates if gate.status == "PASS" and gate.name in KEY_GATES]
    longest = max((len(gate.name) for gate in listed), default=0)
    for gate in listed:
        name = f"{gate.name:<{max(longest, _NAME_WIDTH)}}"
        yield f"  {gate.status:<12} {name} {figures.against(gate)}{figures.mode(gate)}"
    more = len(snapshot.gates) - len(listed)
    if more:
        yield f"  {'PASS':<12} {more} more, in the report"


def _figures(snapshot: snapshots.Snapshot) -> Iterator[str]:
    lines = (*_of_the_run(snapshot), *_of_the_window(snapshot), *_of_the_budget(snapshot))
    yield from (f"{name:<15} {words}" for name, words in lines if words)
    yield from (f"{name} {words}" for name, words in phase_rows.list_all(snapshot))
    yield from (f"{f'drill {check.name}':<15} {figures.drill(check)}" for check in snapshot.drills or ())
    for series in snapshot.observations or ():
        yield f"{'observed':<15} {series_charts.describe(series)}"
    yield from _signs(snapshot.decision)


_Line = tuple[str, str | None]
"""A figure by its name; without words where the snapshot has none."""


def _of_the_run(snapshot: snapshots.Snapshot) -> tuple[_Line, ...]:
    changed, command = figures.changed_terms(snapshot), snapshot.command_line
    return (
        ("ended", snapshot.decision.ended),
        ("attempt", figures.attempt(snapshot.attempt) if snapshot.attempt else None),
        ("signature", snapshot.hold.signature if snapshot.hold else None),
        ("command", shlex.join(command) if command is not None else None),
        ("terms", f"changed: {changed}" if changed else None),
        ("GO", figures.quorum(snapshot.decision)),
    )


def _of_the_window(snapshot: snapshots.Snapshot) -> tuple[_Line, ...]:
    window, counts = snapshot.burst_execution_window, snapshot.burst_load_checks.counts
    asked_at, ended = window.stop_asked_utc, window.load_ended_utc
    return (
        ("tasks ran", f"{figures.span(window)}, {figures.number(window.elapsed_seconds)} s"),
        ("counted window", figures.span(window.counted_window)),
        ("stop asked", f"{figures.instant(asked_at)} ({snapshot.decision.stop_reason})" if asked_at else None),
        ("tasks ended", figures.list_ends(window)),
        ("load ended", f"{figures.instant(ended)} at the earliest" if ended else None),
        ("receipts", figures.decisions(counts) if counts else None),
        ("interval", figures.interval(snapshot.multiplier_interval) if snapshot.multiplier_interval else None),
        ("deliveries", figures.deliveries(snapshot.deliveries) if snapshot.deliveries else None),
        ("duplicates", figures.duplicates(snapshot.duplicates) if snapshot.duplicates else None),
        ("driver", figures.driver(snapshot.driver) if snapshot.driver else None),
    )


def _of_the_budget(snapshot: snapshots.Snapshot) -> tuple[_Line, ...]:
    budget, early = snapshot.runtime_budget, snapshot.decision.early_stop
    seconds, overshoot = figures.number(budget.budget_seconds), budget.overshoot_seconds
    saved = f"{figures.number(early.seconds_saved)} s saved" if early else ""
    return (
        ("budget", f"{seconds} s, stopped by {budget.stopped_by or 'no layer'}"),
        ("overshoot", None if overshoot is None else f"{figures.number(overshoot)} s"),
        ("cost", figures.cost(snapshot.cost) if snapshot.cost else None),
        ("early stop", f"{early.rule} at {figures.instant(early.at_utc)}, {saved}" if early else None),
    )


def _signs(decision: snapshot_sections.Decision) -> Iterator[str]:
    """The halt or stop sign that stopped the run, and when one could not be read."""
    halt, met = decision.halt, decision.stop_sign
    if halt is not None:
        yield f"halted          by {halt.by} since {figures.instant(halt.since_utc)}: {halt.reason} ({halt.place})"
    if met is not None:
        yield f"stop sign       {met.sign} was {met.value} at {figures.instant(met.at_utc)}: {met.detail}"
    for blindness in decision.count_blindnesses:
        until = figures.instant(blindness.until_utc) if blindness.until_utc else "the end"
        since = figures.instant(blindness.since_utc)
        yield f"count blind     from {since} to {until}, early stop could not act: {blindness.why}"
    for entry in decision.unclear_signs:
        until = figures.instant(entry.until_utc) if entry.until_utc else "the end"
        yield f"not read        {entry.sign} from {figures.instant(entry.since_utc)} to {until}: {entry.detail}"


_NAME_WIDTH = 22
"""Of the longest name that burst and its examples use, so that verdicts stand alike."""
