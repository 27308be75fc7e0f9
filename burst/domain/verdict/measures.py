"""Measures: one figure of a run, by name or by a pointer into one of its documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from burst.domain.basics import canonical, errors, magnitudes
from burst.domain.documents import document_names, load_documents, models, window_metrics
from burst.domain.plan import gate_sections
from burst.domain.receipts import receipts

P95, P99, RATE = "latency_p95", "latency_p99", "rate"
SNAPSHOT = "snapshot"
NAMED = (P95, P99, RATE)
GATES: Mapping[str, str] = {P95: "latency_p95_ms", P99: "latency_p99_ms", RATE: "multiplier_lower"}
"""The gate that each named measure speaks for."""
LEAST_ANSWERS = {P95: 72, P99: 368}
"""So many answers have an order statistic on either side of the percentile, with 95 % confidence."""
_PERCENT = {P95: 95.0, P99: 99.0}
_DOCUMENTS = ("snapshot", "metrics", "load", "facts", "task-result", "observations", "preflight")
ALLOWED = f"{', '.join(NAMED)}, or DOCUMENT:/POINTER with a document of {', '.join(_DOCUMENTS)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFigure:
    """A figure, and the number of answers it rests on where it rests on answers; else the problem."""

    value: float | None
    samples: int | None = None
    problem: str = ""


def require_known(measure: str) -> None:
    """Raises `errors.UsageError` for a measure that is none."""
    kind, colon, pointer = measure.partition(":")
    if measure not in NAMED and not (colon and kind in _DOCUMENTS and pointer.startswith("/")):
        raise errors.UsageError(f"measure {measure!r} is none; allowed: {ALLOWED}")


def find_gate_problem(measure: str, gate: str) -> str:
    """Why a measure cannot promote a gate; empty where it can. A percentile's gate needs the number of its answers."""
    allowed, own = get_args(gate_sections.ModalGate), GATES.get(measure)
    if gate not in allowed:
        return f"gate {gate} is always required; allowed: {', '.join(allowed)}"
    if own is not None and gate != own:
        return f"measure {measure} speaks for {own}, and not for {gate}; leave --gate out"
    named = next((name for name in LEAST_ANSWERS if GATES[name] == gate), measure)
    if named != measure:
        return f"gate {gate} is promoted by measure {named} alone, which knows how many answers it rests on"
    return ""


def find_unit(measure: str) -> str | None:
    """The unit of a measure; None where a pointer leads to a figure of any unit."""
    return {RATE: "1/min"}.get(measure, "ms" if measure in _PERCENT else None)


def find_document(measure: str, slug: str) -> str:
    """The name of the document that holds a measure, in a phase by its slug."""
    if measure == RATE:
        return document_names.metrics_name(slug)
    if measure in _PERCENT:
        return document_names.load_name(slug)
    kind = measure.partition(":")[0]
    names = {
        "metrics": document_names.metrics_name(slug),
        "load": document_names.load_name(slug),
        "facts": document_names.facts_name(slug),
        "task-result": document_names.task_result_name(slug),
        "preflight": document_names.preflight_name(slug),
        "observations": document_names.observations_name(slug),
    }
    return names.get(kind, kind)


def read_measure(measure: str, content: bytes | None, name: str, go_tasks: int | None) -> MeasuredFigure:
    """The figure of a run from the document that holds it.

    `go_tasks`: how many tasks have to have left an account; a figure that rests on a part of the answers is none.
    """
    if content is None:
        return MeasuredFigure(value=None, problem=f"it has no {name}")
    try:
        if measure == RATE:
            return _read_rate(models.read(window_metrics.Metrics, content))
        if measure in _PERCENT:
            return _read_percentile(models.read(load_documents.Load, content), _PERCENT[measure], go_tasks)
        return _read_pointer(content, measure.partition(":")[2])
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        return MeasuredFigure(value=None, problem=f"{name}: {exc}")


def _read_rate(metrics: window_metrics.Metrics) -> MeasuredFigure:
    rate = receipts.rate_per_second(metrics.counts.admit, metrics.window.window.seconds)
    if not rate:
        return MeasuredFigure(value=None, problem="nothing was admitted")
    return MeasuredFigure(value=rate * 60)


def _read_percentile(load: load_documents.Load, percent: float, go_tasks: int | None) -> MeasuredFigure:
    if go_tasks is None or len(load.tasks) < go_tasks:
        return MeasuredFigure(value=None, problem="not every task left an account, so not every answer is known")
    if sum(task.bad_lines for task in load.tasks):
        return MeasuredFigure(value=None, problem="lines of the accounts make no sense, so not every answer is known")
    value = load_documents.find_percentile_ms(load.latency, percent, answered=load.answered)
    if not value:
        return MeasuredFigure(value=None, problem="too few durations are known")
    return MeasuredFigure(value=value, samples=load.answered)


def _read_pointer(content: bytes, pointer: str) -> MeasuredFigure:
    value = canonical.scalar_at(canonical.decode(content), pointer)
    if isinstance(value, bool | str) or not magnitudes.is_measurable(value) or value <= 0:
        allowed = f"no number above 0, from {magnitudes.SMALLEST:g} to {magnitudes.LARGEST:g}"
        return MeasuredFigure(value=None, problem=f"{value!r} at {pointer} is {allowed}")
    return MeasuredFigure(value=float(value))
