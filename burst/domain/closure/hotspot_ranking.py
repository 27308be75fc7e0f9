"""Hotspots: where a run was slow: its buckets by their rate, its tasks by their answers, its endpoints by their p95.

Slow is told by `slower_by`: the part of the speed that was lost, against the same key of a base run, or without one
against the median of its kind in the run itself. So a rate that fell to nothing and a latency without end both are 1.
"""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from burst.domain.basics import errors, instants
from burst.domain.closure import compared_runs
from burst.domain.documents import document_names, load_documents, models, window_metrics

Kind: TypeAlias = Literal["bucket", "task", "endpoint"]
_PERCENT = 95.0
_FORMULA_SIGNS = ("=", "@", "+", "-", "\t", "\r", "\n")
HEAD = ("kind", "key", "measure", "unit", "base", "value", "slower_by", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of one key. `higher_is_slower`: a latency; else it is a rate."""

    kind: Kind
    key: str
    measure: str
    unit: str
    value: float
    higher_is_slower: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotspot:
    """One figure beside its base. `state`: `compared`, `new` (the base has no such key) or `gone`."""

    kind: Kind
    key: str
    measure: str
    unit: str
    base: float | None
    value: float | None
    slower_by: float | None
    state: Literal["compared", "new", "gone"]

    def row(self) -> tuple[str, ...]:
        """As a line of a table; a figure that nobody knows is empty."""
        figures = ("" if figure is None else f"{figure:.6g}" for figure in (self.base, self.value, self.slower_by))
        return (self.kind, self.key, self.measure, self.unit, *figures, self.state)


def list_figures(run: compared_runs.ComparedRun) -> list[Figure]:
    """Every figure that the evidence of a run has. Raises `errors.EvidenceIncomplete` where it has none."""
    if run.plan is None:
        raise errors.UsageError(f"{run.source} is no run: hotspots are read from the evidence of a run")
    slug = run.plan.slug
    figures: list[Figure] = []
    metrics = run.documents.get(document_names.metrics_name(slug))
    if metrics is not None:
        figures += _list_buckets(models.read(window_metrics.Metrics, metrics))
    load = run.documents.get(document_names.load_name(slug))
    if load is not None:
        account = models.read(load_documents.Load, load)
        figures += [*_list_tasks(account), *_list_endpoints(account)]
    if not figures:
        raise errors.EvidenceIncomplete(f"{run.run_id} has neither counts by bucket nor a load account")
    return figures


def _list_buckets(metrics: window_metrics.Metrics) -> Iterable[Figure]:
    """The admits a minute of each bucket, by the seconds from the window's start to its own."""
    for bucket in metrics.buckets:
        seconds = bucket.window.seconds
        offset = instants.seconds_between(metrics.window.start_utc, bucket.start_utc)
        yield Figure(
            kind="bucket",
            key=f"+{offset:.0f}s",
            measure="admits",
            unit="1/min",
            value=bucket.counts.admit / seconds * 60,
            higher_is_slower=False,
        )


def _list_tasks(account: load_documents.Load) -> Iterable[Figure]:
    """The acknowledged answers a second of each task, and how late its latest event was sent."""
    for task in account.tasks:
        seconds = load_documents.seconds_until(task.first_utc, task.last_utc)
        key = f"shard-{task.shard_index}"
        if seconds > 0:
            rate = task.acknowledged / seconds
            yield Figure(kind="task", key=key, measure="acknowledged", unit="1/s", value=rate, higher_is_slower=False)
        if task.latest_seconds > 0:
            late = task.latest_seconds
            yield Figure(kind="task", key=key, measure="latest", unit="s", value=late, higher_is_slower=True)


def _list_endpoints(account: load_documents.Load) -> Iterable[Figure]:
    for request in account.requests:
        p95 = load_documents.find_percentile_ms(request.latency, _PERCENT, answered=request.acknowledged)
        if p95 is not None and p95 > 0:
            yield Figure(kind="endpoint", key=request.name, measure="p95", unit="ms", value=p95, higher_is_slower=True)


def rank(run: Sequence[Figure], base: Sequence[Figure] | None = None) -> list[Hotspot]:
    """The hotspots of a run, the slowest first; keys that only one of two runs has come last."""
    bases = _find_medians(run) if base is None else {_name(figure): figure.value for figure in base}
    spots = [_compare(figure, bases.get(_name(figure) if base is not None else _name_kind(figure))) for figure in run]
    if base is not None:
        run_names = {_name(figure) for figure in run}
        spots += [_note_gone(figure) for figure in base if _name(figure) not in run_names]
    return sorted(spots, key=_order)


def _order(spot: Hotspot) -> tuple[bool, float]:
    return spot.slower_by is None, -(spot.slower_by or 0.0)


def _name(figure: Figure) -> tuple[str, ...]:
    return figure.kind, figure.key, figure.measure


def _name_kind(figure: Figure) -> tuple[str, ...]:
    return figure.kind, figure.measure


def _find_medians(figures: Sequence[Figure]) -> dict[tuple[str, ...], float]:
    names = dict.fromkeys(_name_kind(figure) for figure in figures)
    return {name: statistics.median(figure.value for figure in figures if _name_kind(figure) == name) for name in names}


def _compare(figure: Figure, base: float | None) -> Hotspot:
    faster, slower = (base, figure.value) if figure.higher_is_slower else (figure.value, base)
    comparable = faster is not None and slower is not None and slower > 0
    return Hotspot(
        kind=figure.kind,
        key=figure.key,
        measure=figure.measure,
        unit=figure.unit,
        base=base,
        value=figure.value,
        slower_by=1 - (faster or 0.0) / (slower or 1.0) if comparable else None,
        state="new" if base is None else "compared",
    )


def _note_gone(figure: Figure) -> Hotspot:
    return Hotspot(
        kind=figure.kind,
        key=figure.key,
        measure=figure.measure,
        unit=figure.unit,
        base=figure.value,
        value=None,
        slower_by=None,
        state="gone",
    )


def write_csv(spots: Sequence[Hotspot]) -> bytes:
    """The hotspots as CSV, with a head. A key that a spreadsheet would take for a formula begins with a quote."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for spot in spots:
        kind, key, *figures = spot.row()
        writer.writerow([kind, key if spot.kind == "bucket" else _quote_formula(key), *figures])
    return text.getvalue().encode()


def _quote_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell
