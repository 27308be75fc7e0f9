"""Closures, lanes and hotspots for a terminal."""

from collections.abc import Iterator, Sequence

from burst.domain.closure import closures, score_checks, timings
from burst.domain.documents import models
from burst.report import figures, terminal


def render_closure(closure: closures.Closure) -> str:
    """The decision, the checks of the best candidate, what the others failed, and those that were not scored."""
    return "\n".join(terminal.plain(line) for line in _list_lines(closure))


def _list_lines(closure: closures.Closure) -> Iterator[str]:
    yield f"{closure.decision.result}: {closure.decision.reason}"
    yield f"  baseline   {closure.baseline.run_id}{_describe_active(closure)}"
    word = "best      " if closure.best else "candidate "
    yield f"  {word} {closure.candidate.run_id}"
    rows = [("CHECK", "ANSWER", "BASELINE", "CANDIDATE", "GAIN", "WHY"), *map(_row, closure.checks)]
    yield from (f"  {line}" for line in terminal.table(rows).splitlines())
    for entry in closure.candidates:
        if entry.candidate.sha256 != closure.candidate.sha256:
            yield f"  {entry.candidate.run_id}: {entry.decision.result}"
            yield from (f"    {failure}" for failure in entry.failures)
    for unsound in closure.unsound:
        yield f"  {unsound.run_root}: not scored, its evidence is {unsound.state}: {unsound.why}"
    if any(entry.alert for entry in closure.checks):
        yield "  ALERT: a percentile is above its alert level"


def _describe_active(closure: closures.Closure) -> str:
    active = closure.active_baseline
    return f" (active, record {active.number})" if active else ""


def _row(entry: score_checks.ScoreCheckEntry) -> tuple[str, ...]:
    gain = "-" if entry.improvement_fraction is None else f"{entry.improvement_fraction * 100:+.2f} %"
    unit = f" {entry.unit}" if entry.unit else ""
    return entry.name, entry.status, _figure(entry.baseline, unit), _figure(entry.candidate, unit), gain, entry.why


def _figure(value: models.Value, unit: str) -> str:
    if value is None:
        return "-"
    return str(value)[:40] if isinstance(value, str) else f"{figures.number(value)}{unit}"


def _marker_row(lane: timings.TimeLane, markers: dict[str, int]) -> tuple[str, ...]:
    return lane.name, f"{lane.seconds:.3f}", f"{lane.percent:.2f} %", str(markers.get(lane.name, 0))


def render_lanes(
    table: timings.LaneTable, execution_id: str, markers: dict[str, int], marked: Sequence[timings.TimeLane] = ()
) -> str:
    """The table of lanes, the dominant one named."""
    rows = [("LANE", "SECONDS", "SHARE")]
    rows += [(lane.name, f"{lane.seconds:.3f}", f"{lane.percent:.2f} %") for lane in table.lanes]
    rows.append(("whole", f"{table.seconds:.3f}", "100.00 %" if table.seconds else "-"))
    dominant = table.dominant
    most = f"{dominant.name} took most: {dominant.seconds:.3f} s, {dominant.percent:.2f} %" if dominant else "no time"
    lines = [f"{execution_id}: {most}", terminal.table(rows)]
    if marked:
        head = ("MARKER", "SECONDS", "SHARE", "REACHED")
        lines.append(terminal.table([head, *(_marker_row(lane, markers) for lane in marked)]))
    elif markers:
        lines.append("markers of the load account: " + ", ".join(f"{name} {count}" for name, count in markers.items()))
    return "\n".join(lines)
