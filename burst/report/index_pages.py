"""Index pages: the runs of a phase with their trend, as one self-contained HTML page, and the page of all phases.

Only sound evidence has figures. How old the newest run is depends on the instant of reading, which is an argument: the
same runs and instant give the same bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants, wording
from burst.domain.run import run_ids
from burst.domain.verdict import rollup_snapshots, snapshots
from burst.report import drawing, figures, pages

DAY_SECONDS = 86400.0
STALE_SECONDS = 7 * DAY_SECONDS
"""From this age on the newest run of a phase is called old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedRun:
    """One run of an index. `snapshot` None: its evidence is not sound, so it has no figures."""

    execution_id: str
    state: str
    why: str
    snapshot: snapshots.Snapshot | rollup_snapshots.RollupSnapshot | None
    p95_ms: float | None = None
    """The 95th percentile of its latencies; None where nobody can tell."""
    report: str | None = None
    """Where its report lies, relative to the page; None where it has none."""

    @property
    def sound(self) -> snapshots.Snapshot | None:
        """The snapshot of a run, which has figures."""
        return self.snapshot if isinstance(self.snapshot, snapshots.Snapshot) else None

    @property
    def ended_at(self) -> datetime | None:
        """When its last task ended; the instant in its id where nothing says that."""
        ended = self.sound.burst_execution_window.end_utc if self.sound is not None else None
        return ended or run_ids.read_stamp(self.execution_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One run in a trend: where it stands, and whether it passed."""

    x: str
    y: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One figure over the runs of a phase, the oldest first; `limit_y` None: nothing is required of it."""

    name: str
    plot: drawing.Plot
    value_ticks: Sequence[drawing.Tick]
    line: str
    points: Sequence[Point]
    limit_y: str | None
    limit: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPageRow:
    """One run of the table; empty where there is no figure."""

    run: IndexedRun
    ended: str
    word: str
    figures: Sequence[str]
    blockers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhasePage:
    """The runs of one phase, the newest first, with the trend of their figures."""

    phase: str
    word: str
    age: str
    stale: bool
    trends: Sequence[Trend]
    rows: Sequence[IndexPageRow]
    file: str


def describe_phase(phase: str, runs: Sequence[IndexedRun], *, now: datetime, file: str = "") -> PhasePage:
    """The page of a phase; `runs` are the newest first. `file`: where it lies, relative to the page of all phases."""
    newest = runs[0] if runs else None
    age_seconds = None
    if newest is not None and newest.ended_at is not None:
        age_seconds = max(0.0, instants.seconds_between(newest.ended_at, now))
    return PhasePage(
        phase=phase,
        word=_find_word(newest) if newest is not None else "",
        age=_describe_age(age_seconds),
        stale=age_seconds is None or age_seconds >= STALE_SECONDS,
        trends=list(_draw_trends(runs[::-1])),
        rows=[_tell(run) for run in runs],
        file=file,
    )


def render_phase(page: PhasePage, *, now: datetime, place: str, up: str = "") -> bytes:
    """The page of a phase. `up`: where the page of all phases lies; empty where there is none."""
    template = pages.find_template("phase.html.j2")
    return template.render(page=page, now=figures.instant(now), place=place, up=up).encode()


def render_index(phases: Sequence[PhasePage], *, now: datetime, place: str) -> bytes:
    """The page of all phases."""
    return pages.find_template("index.html.j2").render(phases=phases, now=figures.instant(now), place=place).encode()


def _find_word(run: IndexedRun) -> str:
    """PASS or HOLD; the state of the evidence where it is not sound."""
    if run.snapshot is None:
        return run.state
    return "PASS" if run.snapshot.overall_pass else "HOLD"


def _describe_age(seconds: float | None) -> str:
    if seconds is None:
        return "nothing tells when the newest run was"
    if seconds < DAY_SECONDS:
        return f"the newest run ended {figures.duration(round(seconds / 60) * 60)} ago"
    days = wording.format_count(int(seconds // DAY_SECONDS), "day")
    return f"no burst for {days}" if seconds >= STALE_SECONDS else f"the newest run ended {days} ago"


def _tell(run: IndexedRun) -> IndexPageRow:
    snapshot = run.snapshot
    values = _list_values(run)
    return IndexPageRow(
        run=run,
        ended=figures.instant(run.ended_at),
        word=_find_word(run),
        figures=[_show(values[name]) for name in _TRENDS],
        blockers=" ".join(snapshot.blockers) if snapshot is not None else run.why,
    )


_TRENDS = {"multiplier": "Multiplier", "ratio": "Admit ratio", "p95": "Latency p95, ms", "cost": "Cost, USD"}
"""The figures of a trend."""


def _show(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"


def _list_values(run: IndexedRun) -> dict[str, float | None]:
    snapshot = run.sound
    if snapshot is None:
        return dict.fromkeys(_TRENDS)
    checks = snapshot.burst_load_checks
    return {
        "multiplier": checks.achieved_multiplier.value,
        "ratio": checks.admit_ratio.value,
        "p95": run.p95_ms,
        "cost": snapshot.cost.estimated_usd if snapshot.cost is not None else None,
    }


def _list_limits(run: IndexedRun) -> dict[str, float | None]:
    """The limits that the newest run was judged by."""
    snapshot = run.sound
    if snapshot is None:
        return {}
    checks = snapshot.burst_load_checks
    latency = [gate.required for gate in snapshot.gates if gate.name == "latency_p95_ms"]
    return {
        "multiplier": checks.achieved_multiplier.threshold,
        "ratio": checks.admit_ratio.threshold,
        "p95": next((float(limit) for limit in latency if isinstance(limit, int | float)), None),
        "cost": snapshot.cost.cost_cap_usd if snapshot.cost is not None else None,
    }


def _draw_trends(runs: Sequence[IndexedRun]) -> Iterator[Trend]:
    """The trend of each figure that at least one run has; a run stands at its number, the oldest first."""
    limits = _list_limits(runs[-1]) if runs else {}
    for name, words in _TRENDS.items():
        readings = [(number, run, _list_values(run)[name]) for number, run in enumerate(runs)]
        values = [(number, run, value) for number, run, value in readings if value is not None]
        if values:
            yield _draw_trend(words, values, last=len(runs) - 1, limit=limits.get(name))


def _draw_trend(
    words: str, values: Sequence[tuple[int, IndexedRun, float]], *, last: int, limit: float | None
) -> Trend:
    highest = max([*(value for _, _, value in values), limit or 0.0])
    plot = drawing.Plot(
        first=0.0, last=float(max(1, last)), highest=highest or 1.0, height=94.0, bottom=10.0, right_room=14.0
    )
    return Trend(
        name=words,
        plot=plot,
        value_ticks=plot.list_value_ticks(),
        line=plot.join_points((number, value) for number, _, value in values),
        points=[
            Point(x=drawing.length(plot.find_x(number)), y=drawing.length(plot.find_y(value)), word=_find_word(run))
            for number, run, value in values
        ],
        limit_y=None if limit is None else drawing.length(plot.find_y(limit)),
        limit="" if limit is None else _show(limit),
        last=_show(values[-1][2]),
    )
