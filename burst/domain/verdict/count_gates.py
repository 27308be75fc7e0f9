"""Gates of the counts: whether the receipts of the window reach what is required, and whether they can be trusted."""

from fractions import Fraction

from burst.domain.basics import instants, windows, wording
from burst.domain.documents import holding, window_metrics
from burst.domain.plan import catalogues
from burst.domain.receipts import receipts
from burst.domain.verdict import baselines, gates


def multiplier(counts: receipts.Counts, seconds: float, baseline: baselines.Baseline) -> float:
    """(admits / seconds) / (baseline admits / baseline seconds), divided in exactly this order."""
    return (counts.admit / seconds) / (baseline.admits / baseline.seconds)


def multiplier_gate(
    metrics: window_metrics.Metrics | None, baseline: baselines.Baseline | None, required: float
) -> gates.Gate:
    """Whether the burst reached its multiple of the baseline."""
    question = gates.GateQuestion(
        name="achieved_multiplier",
        blocker=catalogues.Role.PROFILE,
        required=required,
        comparison=gates.Comparison.AT_LEAST,
    )
    if metrics is None:
        return question.answer(gates.GateStatus.INVALID, None, "no counts of the attempt window")
    if metrics.counts.counts.total == 0:
        return question.answer(gates.GateStatus.INVALID, None, "NO_DATA: no receipts in the window")
    if baseline is None:
        return question.answer(gates.GateStatus.INVALID, None, "no usable baseline to divide by")
    value = multiplier(metrics.counts.counts, metrics.window.window.seconds, baseline)
    if gates.at_least(value, required):
        return question.answer(gates.GateStatus.PASS, value, f"{value:.10g} times the baseline")
    return question.answer(gates.GateStatus.FAIL, value, f"{value:.10g} times the baseline, {required} required")


def duration_gate(
    metrics: window_metrics.Metrics | None, min_window_seconds: float, load_end: holding.LoadEnd | None = None
) -> gates.Gate:
    """Whether the burst was long enough: from the start of the counted window to `load_end`, the earliest end of the
    load that the evidence allows; None: to the end of the counted window."""
    question = gates.GateQuestion(
        name="duration_seconds",
        blocker=catalogues.Role.PROFILE,
        required=min_window_seconds,
        comparison=gates.Comparison.AT_LEAST,
        unit=gates.SECONDS,
    )
    if metrics is None:
        return question.answer(gates.GateStatus.INVALID, None, "no counts of the attempt window")
    window = metrics.window.window
    seconds = window.seconds if load_end is None else instants.seconds_between(window.start, load_end.at)
    counted = f"counted {instants.exact(window.seconds)} s"
    if load_end is not None and load_end.at < window.end:
        counted += f", of which the load surely lasted {instants.exact(seconds)} s ({load_end.why})"
    if gates.at_least(seconds, min_window_seconds):
        return question.answer(gates.GateStatus.PASS, seconds, counted)
    return question.answer(
        gates.GateStatus.FAIL, seconds, f"{counted}, {instants.exact(min_window_seconds)} s required"
    )


def admit_ratio_gate(metrics: window_metrics.Metrics | None, required: float) -> gates.Gate:
    """Whether enough of the decided receipts are ADMIT; compared as exact fractions, so the edge is exact."""
    question = gates.GateQuestion(
        name="admit_ratio", blocker=catalogues.Role.PROFILE, required=required, comparison=gates.Comparison.AT_LEAST
    )
    if metrics is None:
        return question.answer(gates.GateStatus.INVALID, None, "no counts of the attempt window")
    counts = metrics.counts.counts
    ratio = receipts.admit_ratio(counts)
    if ratio is None:
        return question.answer(
            gates.GateStatus.INVALID, None, "NO_DATA: no ADMIT and no DUPLICATE receipts in the window"
        )
    admitted = f"{counts.admit} of {counts.decided} admitted"
    if Fraction(counts.admit, counts.decided) >= Fraction(repr(required)):
        return question.answer(gates.GateStatus.PASS, ratio, admitted)
    return question.answer(gates.GateStatus.FAIL, ratio, f"{admitted}, a share of {required} required")


def load_gate(metrics: window_metrics.Metrics | None, problem: str) -> gates.Gate:
    """Whether load was delivered."""
    question = gates.GateQuestion(
        name="load_delivered", blocker=catalogues.Role.EXECUTION, required=1, comparison=gates.Comparison.AT_LEAST
    )
    if metrics is None:
        return question.answer(gates.GateStatus.INVALID, None, f"unknown: {problem}")
    total = metrics.counts.counts.total
    if total:
        return question.answer(gates.GateStatus.PASS, total, wording.format_count(total, "receipt"))
    return question.answer(gates.GateStatus.FAIL, total, "no load delivered: not one receipt in the window")


def baseline_gate(baseline: baselines.Baseline | None, problem: str) -> gates.Gate:
    """Whether there is a baseline that may be divided by."""
    question = gates.GateQuestion(name="baseline", blocker=catalogues.Role.BASELINE, required="verified")
    if baseline is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    return question.answer(gates.GateStatus.PASS, baseline.rate_per_minute, f"from {baseline.source}")


def metrics_gate(metrics: window_metrics.Metrics | None, problem: str) -> gates.Gate:
    """Whether the attempt window was counted; `problem` says why there are no counts."""
    question = _evidence("window_metrics", "readable")
    if metrics is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    return question.answer(gates.GateStatus.PASS, str(metrics.window.window), "the window was counted")


def attempt_gate(metrics: window_metrics.Metrics, attempt: windows.Window | None, problem: str) -> gates.Gate:
    """Whether the counts are of exactly this attempt; `problem` says why the attempt has no window."""
    window = metrics.window.window
    question = _evidence("attempt_scoped", str(attempt) if attempt else None)
    if attempt is None:
        return question.answer(gates.GateStatus.INVALID, str(window), problem)
    if window.inside(attempt):
        return question.answer(gates.GateStatus.PASS, str(window), "the counted window lies inside the attempt")
    why = f"counted {window}, which is not inside the attempt {attempt}"
    return question.answer(gates.GateStatus.INVALID, str(window), why)


def binding_gate(metrics: window_metrics.Metrics) -> gates.Gate | None:
    """Asked where the statement was bound to another window or scope than the document says."""
    if not metrics.misbound:
        return None
    why = f"the statement that was run counted something else: {metrics.misbound}"
    question = _evidence("bound_as_said", str(metrics.window.window))
    return question.answer(gates.GateStatus.INVALID, metrics.misbound, why)


def settling_gate(metrics: window_metrics.Metrics) -> gates.Gate | None:
    """Asked where the counts are not known to have come to rest."""
    if not metrics.unsettled:
        return None
    return _evidence("settled", True, gates.Comparison.EQUALS).answer(
        gates.GateStatus.INVALID, False, metrics.unsettled
    )


def vanished_gate(metrics: window_metrics.Metrics) -> gates.Gate | None:
    """Asked where a later round of counting had fewer receipts."""
    if not metrics.lost.total:
        return None
    why = f"receipts that were counted once are gone: {_list_decisions(metrics.lost)}"
    return _evidence("none_vanished", 0, gates.Comparison.EQUALS).answer(
        gates.GateStatus.INVALID, metrics.lost.total, why
    )


def decisions_gate(metrics: window_metrics.Metrics) -> gates.Gate | None:
    """Asked where a receipt has a decision that burst does not know."""
    unknown = metrics.counts.counts.other
    if not unknown:
        return None
    why = f"{wording.format_count(unknown, 'receipt')} of a decision burst does not know"
    return _evidence("known_decisions", 0, gates.Comparison.EQUALS).answer(gates.GateStatus.INVALID, unknown, why)


def buckets_gate(metrics: window_metrics.Metrics) -> gates.Gate | None:
    """Asked where the buckets do not add up to the whole."""
    counts = metrics.counts.counts
    bucketed = sum((bucket.counts.counts for bucket in metrics.buckets), receipts.Counts())
    if not metrics.buckets or bucketed == counts:
        return None
    question = _evidence("buckets_add_up", counts.total, gates.Comparison.EQUALS)
    return question.answer(gates.GateStatus.INVALID, bucketed.total, "buckets and total differ")


def clock_gate(metrics: window_metrics.Metrics, max_skew_seconds: float) -> gates.Gate | None:
    """Whether the database's clock agrees with burst's; asked where the difference was measured."""
    skew = metrics.clock_skew_seconds
    if skew is None:
        return None
    worst_skew = abs(skew) + (metrics.clock_round_trip_seconds or 0.0) / 2
    status = gates.GateStatus.PASS if worst_skew <= max_skew_seconds else gates.GateStatus.INVALID
    question = _evidence("clock_skew_seconds", max_skew_seconds, gates.Comparison.AT_MOST, gates.SECONDS)
    return question.answer(status, worst_skew, f"the clocks differ by at most {worst_skew:.10g} s")


def _list_decisions(counts: receipts.Counts) -> str:
    entry = window_metrics.CountsEntry.from_counts(counts).model_dump(by_alias=True)
    return ", ".join(f"{count} {decision}" for decision, count in entry.items() if count)


def _evidence(
    name: str, required: gates.Value, comparison: gates.Comparison | None = None, unit: str | None = None
) -> gates.GateQuestion:
    return gates.GateQuestion(
        name=name, blocker=catalogues.Role.EVIDENCE, required=required, comparison=comparison, unit=unit
    )
