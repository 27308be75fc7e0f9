"""Attempts and their differences for a terminal: one line a run, and the changes gate by gate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burst.domain.basics import wording
from burst.domain.verdict import differences, rollup_snapshots, snapshots
from burst.report import figures, terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """One run of a list. `snapshot` None: its evidence is not sound, so it has no figures."""

    execution_id: str
    state: str
    snapshot: snapshots.Snapshot | rollup_snapshots.RollupSnapshot | None


def attempts(runs: Sequence[ListedRun]) -> str:
    """A table of runs, one line each."""
    return terminal.table([_HEAD, *(_row(run) for run in runs)]) if runs else "no runs"


def difference(change: differences.Difference) -> str:
    """The changes from one run to another, gate by gate; unchanged gates are counted, not listed."""
    return "\n".join(terminal.plain(line) for line in _difference(change))


def history(steps: Sequence[tuple[ListedRun, differences.Difference | None]]) -> str:
    """A phase's attempts, the oldest first, each with the changes from the one before."""
    head, *rows = attempts([run for run, _ in steps]).splitlines()
    lines = [head]
    for row, (run, change) in zip(rows, steps, strict=True):
        lines += [row, *(f"    {terminal.plain(line)}" for line in (*_tell(run.snapshot), *_blocker_changes(change)))]
    return "\n".join(lines)


def _tell(snapshot: snapshots.Snapshot | rollup_snapshots.RollupSnapshot | None) -> Iterator[str]:
    """What nobody should overlook of an attempt: that it held before, and that its terms were changed."""
    if not isinstance(snapshot, snapshots.Snapshot):
        return
    if snapshot.attempt is not None and snapshot.attempt.words:
        yield snapshot.attempt.words
    if figures.changed_terms(snapshot):
        yield f"judged by changed terms: {figures.changed_terms(snapshot)}"


_HEAD = ("RUN", "VERDICT", "EVIDENCE", "MULTIPLIER", "RATIO", "ELAPSED", "COST", "ATTEMPT", "PRIOR", "OPEN")


def _row(run: ListedRun) -> tuple[str, ...]:
    snapshot = run.snapshot
    if snapshot is None:
        return run.execution_id, "-", run.state, *"-" * 7
    if isinstance(snapshot, rollup_snapshots.RollupSnapshot):
        elapsed = _figure(snapshot.runtime_budget.elapsed_seconds, " s")
        cost = _figure(snapshot.runtime_budget.cost_usd, " USD")
        blockers = " ".join(snapshot.blockers) or "-"
        return run.execution_id, snapshot.verdict, run.state, "-", "-", elapsed, cost, "-", "-", blockers
    checks, prior = snapshot.burst_load_checks, snapshot.source_snapshot_refs.prior
    return (
        run.execution_id,
        figures.word(snapshot),
        run.state,
        _figure(checks.achieved_multiplier.value),
        _figure(checks.admit_ratio.value),
        _figure(snapshot.burst_execution_window.elapsed_seconds, " s"),
        _figure(snapshot.cost.estimated_usd if snapshot.cost else None, " USD"),
        figures.number(snapshot.attempt.number) if snapshot.attempt else "-",
        prior.execution_id if prior else "-",
        " ".join(snapshot.blockers) or "-",
    )


def _figure(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:,.6g}{unit}"


def _difference(change: differences.Difference) -> Iterator[str]:
    words = "regressed" if change.regressed else "no regression"
    yield f"{change.before} -> {change.after}: {words}"
    yield from _blocker_changes(change)
    for term in change.lowered:
        yield f"  lowered   {term.text}"
    for gate in change.gates:
        if gate.state != "unchanged":
            turn = f", {gate.turn}" if gate.turn else ""
            yield f"  {gate.state:<9} {gate.blocker} {gate.name}{turn}: {_gate(gate)}"
    unchanged = sum(gate.state == "unchanged" for gate in change.gates)
    yield f"  {wording.format_count(unchanged, 'gate')} unchanged"
    for title, changes in (("inputs", change.inputs), ("budget", change.budget)):
        for value in changes:
            before, after = figures.number(value.before), figures.number(value.after)
            yield f"  {title} {value.name}: {before} -> {after}{_delta(value)}"


def _blocker_changes(change: differences.Difference | None) -> Iterator[str]:
    if change is None:
        return
    for title, blockers in (("opened", change.opened), ("cleared", change.cleared)):
        if blockers:
            yield f"{title} {', '.join(blockers)}"


def _gate(change: differences.GateChange) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        gate = after or before
        return f"{gate.status} measured {figures.number(gate.measured)}" if gate else ""
    was, now = figures.number(before.measured), figures.number(after.measured)
    return f"{before.status} {was} -> {after.status} {now}{_delta(change.measured)}"


def _delta(change: differences.ValueChange) -> str:
    return "" if change.delta is None else f" ({change.delta:+.6g})"
