"""Attempts and their differences for a terminal: one line a run, and what changed gate by gate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from burst.domain.basics import wording
from burst.report import figures, terminal

Json = Mapping[str, Any]


def attempts(rows: Sequence[Json]) -> str:
    """A table of runs, one line each."""
    return terminal.table([_HEAD, *(_row(row) for row in rows)]) if rows else "no runs"


def difference(change: Json) -> str:
    """What changed from one run to another, gate by gate; what did not change is counted, not listed."""
    return "\n".join(terminal.plain(line) for line in _difference(change))


def history(steps: Sequence[tuple[Json, Json | None]]) -> str:
    """A phase's attempts, the oldest first, each with what changed from the one before."""
    head, *rows = attempts([row for row, _ in steps]).splitlines()
    lines = [head]
    for row, (_, change) in zip(rows, steps, strict=True):
        lines += [row, *(f"    {told}" for told in _short(change))]
    return "\n".join(lines)


_HEAD = ("RUN", "VERDICT", "EVIDENCE", "MULTIPLIER", "RATIO", "ELAPSED", "COST", "PRIOR", "OPEN")


def _row(row: Json) -> tuple[str, ...]:
    passed = row["overall_pass"]
    return (
        row["execution_id"],
        "-" if passed is None else "PASS" if passed else "HOLD",
        row["state"],
        _figure(row["multiplier"]),
        _figure(row["admit_ratio"]),
        _figure(row["elapsed_seconds"], " s"),
        _figure(row["cost_usd"], " USD"),
        row["prior"] or "-",
        " ".join(row["blockers"] or ()) or "-",
    )


def _figure(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:,.6g}{unit}"


def _difference(change: Json) -> Iterator[str]:
    words = "regressed" if change["regressed"] else "no regression"
    yield f"{change['before']} -> {change['after']}: {words}"
    yield from _short(change)
    for gate in change["gates"]:
        if gate["state"] != "unchanged":
            turn = f", {gate['turn']}" if gate["turn"] else ""
            yield f"  {gate['state']:<9} {gate['blocker']} {gate['name']}{turn}: {_gate(gate)}"
    unchanged = sum(gate["state"] == "unchanged" for gate in change["gates"])
    yield f"  {wording.format_count(unchanged, 'gate')} unchanged"
    for title in ("inputs", "budget"):
        for one in change[title]:
            delta = "" if one["delta"] is None else f" ({one['delta']:+.6g})"
            yield f"  {title} {one['name']}: {figures.number(one['before'])} -> {figures.number(one['after'])}{delta}"


def _short(change: Json | None) -> Iterator[str]:
    if change is None:
        return
    for title in ("opened", "cleared"):
        if change[f"blockers_{title}"]:
            yield f"{title} {', '.join(change[f'blockers_{title}'])}"


def _gate(gate: Json) -> str:
    before, after = gate["before"], gate["after"]
    if before is None or after is None:
        one = after or before
        return f"{one['status']} measured {figures.number(one['measured'])}"
    delta = "" if gate["delta"] is None else f" ({gate['delta']:+.6g})"
    was, now = figures.number(before["measured"]), figures.number(after["measured"])
    return f"{before['status']} {was} -> {after['status']} {now}{delta}"
