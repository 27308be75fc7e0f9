"""Interval gates: the interval of a case's multiplier, and the gate of its lower bound where the plan asks for one."""

from collections.abc import Iterator

from burst.domain.plan import catalogues
from burst.domain.verdict import baselines, cases, count_gates, gates, intervals

MULTIPLIER_LOWER = "multiplier_lower"


def find_interval(case: cases.Case, baseline: baselines.Baseline | None) -> intervals.Interval | None:
    """The interval of the multiplier; None where the plan names none, or the buckets do not tell how the rates vary."""
    metrics = case.metrics.value
    if metrics is None or baseline is None or case.plan.gates.multiplier is None or not metrics.counts.counts.total:
        return None
    if not metrics.buckets or count_gates.buckets_gate(metrics) is not None:
        return None
    burst = intervals.make_series((bucket.window.seconds, bucket.counts.admit) for bucket in metrics.buckets)
    value = count_gates.multiplier(metrics.counts.counts, metrics.window.window.seconds, baseline)
    return intervals.find_interval(value, burst, [intervals.make_series(cells) for cells in baseline.runs])


def ask_multiplier_lower(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan names the least lower bound of the multiplier."""
    required = case.plan.gates.multiplier_lower
    if required is None:
        return
    question = gates.GateQuestion(
        name=MULTIPLIER_LOWER,
        blocker=catalogues.Role.PROFILE,
        required=required,
        comparison=gates.Comparison.AT_LEAST,
    )
    baseline, problem = cases.find_baseline(case)
    interval = find_interval(case, baseline)
    if interval is None or not interval.complete:
        why = problem or case.metrics_problem if baseline is None or case.metrics.value is None else _EXPLAINED
        yield gates.apply_mode(case.plan, question.answer(gates.GateStatus.INVALID, None, why))
        return
    bounds = interval.wider
    why = f"the {intervals.LEVEL:.0%} interval by {bounds.method} is {bounds.low:.6g} to {bounds.high:.6g}"
    status = gates.GateStatus.PASS if gates.at_least(bounds.low, required) else gates.GateStatus.FAIL
    yield gates.apply_mode(case.plan, question.answer(status, bounds.low, why))


_EXPLAINED = (
    f"too few buckets to tell how the rates vary: burst and baseline need {intervals.LEAST_BATCHES} whole stretches of "
    f"{intervals.BATCH_SECONDS:g} s each, in equal buckets that add up to one"
)
