"""Step gates: limits that name a step of the load, answered from that step's part of the counted window.

A limit on receipts is answered from whole buckets. Where a bucket lies across an edge of the step, or the count ended
before it, nobody can tell: INVALID.
"""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from burst.domain.basics import instants, windows
from burst.domain.documents import load_answers, window_metrics
from burst.domain.plan import catalogues, gate_sections
from burst.domain.receipts import receipts
from burst.domain.verdict import cases, count_gates, gates, load_gates

Status = gates.GateStatus
_MICROSECOND = 1e-6


def ask_step_limit(limit: str) -> Callable[[cases.Case], Iterable[gates.Gate]]:
    """Asked of each step for which the plan sets this limit."""

    def ask(case: cases.Case) -> Iterator[gates.Gate]:
        for name, step, required in case.plan.gates.step_limits:
            if name == limit:
                yield (
                    _answer_from_counts(case, name, step, required)
                    if name in gate_sections.COUNTED_LIMITS
                    else (_answer_from_load(case, name, step, required))
                )

    return ask


def _answer_from_counts(case: cases.Case, name: str, step: str, required: float) -> gates.Gate:
    question = gates.GateQuestion(
        name=f"{name}@{step}",
        blocker=catalogues.Role.PROFILE,
        required=required,
        comparison=gates.Comparison.AT_LEAST,
    )
    window = _place_step(case, step)
    if isinstance(window, str):
        return question.answer(Status.INVALID, None, window)
    counts = _sum_buckets(case.metrics.value, window)
    if isinstance(counts, str):
        return question.answer(Status.INVALID, None, counts)
    if name == "admit_ratio":
        return _judge_ratio(question, required, counts)
    baseline, problem = cases.find_baseline(case)
    if baseline is None:
        return question.answer(Status.INVALID, None, problem or "no usable baseline to divide by")
    if not counts.total:
        return question.answer(Status.INVALID, None, "NO_DATA: no receipts in the step")
    value = count_gates.multiplier(counts, window.seconds, baseline)
    why = f"{counts.admit:,} ADMIT in {instants.exact(window.seconds)} s, {value:.10g} times the baseline"
    if gates.at_least(value, required):
        return question.answer(Status.PASS, value, why)
    return question.answer(Status.FAIL, value, f"{why}, {required} required")


def _judge_ratio(question: gates.GateQuestion, required: float, counts: receipts.Counts) -> gates.Gate:
    ratio = receipts.admit_ratio(counts)
    if ratio is None:
        return question.answer(Status.INVALID, None, "NO_DATA: no ADMIT and no DUPLICATE receipts in the step")
    why = f"{counts.admit:,} of {counts.decided:,} admitted"
    reached = Fraction(counts.admit, counts.decided) >= Fraction(repr(required))
    return question.answer(Status.PASS if reached else Status.FAIL, ratio, why)


def _place_step(case: cases.Case, step: str) -> windows.Window | str:
    """The window of a step; why there is none, where the counts do not begin where the plan declared."""
    metrics, result, steps = case.metrics.value, case.task_result.value, case.plan.rate_plan
    place = None if steps is None else steps.find_step(step)
    if place is None:
        return f"the plan has no step {step} whose rates are known"
    if metrics is None:
        return case.explain_lack(case.metrics_problem) or "no counts of the attempt window"
    if result is None or result.attempt is None:
        return case.task_result.problem or "the attempt has no window: no task was seen to start and stop"
    began = instants.later(result.attempt.start, case.plan.lead_seconds)
    if abs(instants.seconds_between(began, metrics.window.start_utc)) > _MICROSECOND:
        return f"the count begins at {instants.text(metrics.window.start_utc)}, and not at {instants.text(began)}"
    lead = Fraction(repr(case.plan.lead_seconds))
    start = instants.later(metrics.window.start_utc, float(place.start - lead))
    return windows.Window(start, instants.later(start, float(place.step.seconds)))


def _sum_buckets(metrics: window_metrics.Metrics | None, window: windows.Window) -> receipts.Counts | str:
    """The receipts of a window by its whole buckets; why nobody can tell them."""
    buckets = [entry.bucket for entry in (metrics.buckets if metrics else ())]
    touching = [each for each in buckets if each.window.start < window.end and each.window.end > window.start]
    split = next((each for each in touching if not each.window.inside(window)), None)
    if split is not None:
        return f"the bucket {split.window} lies across an edge of the step, {window}"
    counted = sum(each.window.seconds for each in touching)
    if abs(counted - window.seconds) > _MICROSECOND:
        return f"the buckets hold {instants.exact(counted)} s, and the step lasts {instants.exact(window.seconds)} s"
    return sum((each.counts for each in touching), receipts.Counts())


def count_step(case: cases.Case, step: str) -> receipts.Counts | None:
    """The receipts of a step; None where nobody can tell them."""
    window = _place_step(case, step)
    counts = window if isinstance(window, str) else _sum_buckets(case.metrics.value, window)
    return None if isinstance(counts, str) else counts


def _answer_from_load(case: cases.Case, name: str, step: str, required: float) -> gates.Gate:
    load = case.load.value
    answers = None if load is None else load_answers.Answers.of_steps(load, [step])
    why = case.load.problem if load is None else f"no account says how the requests of {step} were answered"
    source = load_gates.AnswerSource(
        plan=case.plan, result=case.task_result.value, load=load, answers=answers, problem=why
    )
    return load_gates.answer_limit(source, name, required, gate_name=f"{name}@{step}")
