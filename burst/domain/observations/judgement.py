"""Judgement: whether a series of samples keeps a rule. INVALID is worse than FAIL, and only what was seen passes.

A series proves something of a period where it was looked at all the time: a sample at or before its start, one at or
after its end, and no two neighbours as far apart as two samples. A sampler slower than its own period, an answer about
another instant or another scope, and a sample that is missing from the record are INVALID, never PASS.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from burst.domain.basics import canonical, instants, wording
from burst.domain.observations import limits, periods, samples, series_rules

GAP_PERIODS = 2
"""Neighbours that lie this many periods apart, or more, have a sample missing between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The answer to one rule. `value`: the figure of the samples, None where they give none."""

    status: limits.AnswerStatus
    value: limits.Value
    why: str
    samples: int = 0
    """How many samples gave the figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sighting:
    """The samples of one series around a period."""

    interval: periods.PeriodSpan
    before: samples.Sample | None
    within: tuple[samples.Sample, ...]
    """Those of the period; where it ends with the burst, those after the end too."""
    after: samples.Sample | None
    """The first one at or after the end."""

    @property
    def chain(self) -> tuple[samples.Sample, ...]:
        """From the last one before the period to the first one after it."""
        edges = () if self.after is None or self.after in self.within else (self.after,)
        return (*(() if self.before is None else (self.before,)), *self.within, *edges)


def judge(
    rule: series_rules.Rule,
    series: samples.Series,
    span: periods.BurstSpan,
    series_by_name: Mapping[str, samples.Series],
) -> Judgement:
    """The judgement of one rule over one run; `series_by_name` are the series of the run by name."""
    placed = periods.place(rule.period, span)
    if isinstance(placed, str):
        return _invalid(placed)
    sighting = _look(series, placed)
    problems = [*find_record_problems(series, placed), *_find_sight_problems(rule, series, sighting)]
    if problems:
        return _invalid("; ".join(problems))
    value = _find_figure(rule.aggregate, sighting)
    if isinstance(value, _Unusable):
        return _invalid(value.why)
    count = len(sighting.chain if rule.aggregate in series_rules.FROM_EDGES else sighting.within)
    answer = _judge_figure(rule, value, span, series_by_name)
    words = f"{answer.why} ({rule.aggregate} of {wording.format_count(count, 'sample')} over {rule.period.text})"
    return Judgement(status=answer.status, value=value, why=words, samples=count)


def _invalid(why: str) -> Judgement:
    return Judgement(status=limits.AnswerStatus.INVALID, value=None, why=why)


def _look(series: samples.Series, interval: periods.PeriodSpan) -> _Sighting:
    ordered = series.in_order
    before = [sample for sample in ordered if sample.instant <= interval.start]
    after = [sample for sample in ordered if sample.instant >= interval.end and _had_settled(series, interval, sample)]
    within = [
        sample
        for sample in ordered
        if sample.instant >= interval.start and (interval.closes or sample.instant <= interval.end)
    ]
    earlier = [sample for sample in before if sample not in within]
    start = earlier[-1] if earlier else None
    return _Sighting(interval=interval, before=start, within=tuple(within), after=after[0] if after else None)


def _had_settled(series: samples.Series, interval: periods.PeriodSpan, sample: samples.Sample) -> bool:
    """Whether the system had its time to settle when a sample was asked; of the end of the burst alone."""
    settled_at = instants.later(interval.end, series.settle_seconds)
    return not interval.closes or sample.asked_at >= settled_at


def find_record_problems(series: samples.Series, interval: periods.PeriodSpan) -> Iterator[str]:
    """Problems of single samples, and of the record as a whole."""
    numbers = sorted(sample.number for sample in series.samples)
    if numbers != list(range(1, series.taken + 1)):
        yield f"{len(series.samples)} of the {wording.format_count(series.taken, 'sample')} taken are here"
    stepped = find_clock_problem(series)
    if stepped:
        yield stepped
    recent = [sample for sample in series.samples if sample.answered_at >= interval.start]
    if not interval.closes:
        recent = [sample for sample in recent if sample.asked_at <= interval.end]
    yield from list_sample_problems(series, recent)


def find_clock_problem(series: samples.Series) -> str:
    """Why the instants of samples cannot be believed: the sampler's clock went back, by more than clocks may differ.

    The time that it went back hides a gap of that length. Empty where it never did.
    """
    moments = [
        moment
        for sample in sorted(series.samples, key=lambda sample: sample.number)
        for moment in (sample.asked_at, sample.answered_at)
    ]
    steps = [instants.seconds_between(second, first) for first, second in itertools.pairwise(moments)]
    longest = max(steps, default=0.0)
    if longest <= series.max_skew_seconds:
        return ""
    return f"the sampler's clock went back by {instants.exact(longest)} s, so that a gap may be hidden"


def list_sample_problems(series: samples.Series, recent: Sequence[samples.Sample]) -> Iterator[str]:
    """Problems of samples whatever became of others: another scope in the whole series; among the `recent` ones answers
    that took too long, and instants that do not fit."""
    strange = [sample for sample in series.samples if _is_of_another_scope(series, sample)]
    if strange:
        scopes = sorted({str(sample.scope) for sample in strange})
        count = wording.format_count(len(strange), "sample")
        yield f"{count} of another scope than {series.scope}: {', '.join(scopes)}"
    slow = [sample for sample in recent if sample.took_seconds >= series.every_seconds]
    if slow:
        worst = instants.exact(max(sample.took_seconds for sample in slow))
        every = instants.exact(series.every_seconds)
        yield f"the sampler is slower than its period: an answer took {worst} s, and one is due every {every} s"
    yield from _find_strange_instants(series, recent)


def _is_of_another_scope(series: samples.Series, sample: samples.Sample) -> bool:
    """Whether a sample with a value, or with a scope of its own, does not say the scope of the run."""
    speaks = sample.value is not None or sample.scope is not None
    return series.scope is not None and speaks and sample.scope != series.scope


def _find_strange_instants(series: samples.Series, recent: Sequence[samples.Sample]) -> Iterator[str]:
    most = series.every_seconds if series.max_age_seconds is None else series.max_age_seconds
    speaking = [sample for sample in recent if sample.of is not None and sample.value is not None]
    ages = [instants.seconds_between(sample.of, sample.asked_at) for sample in speaking if sample.of is not None]
    undated = [sample for sample in recent if series.dated and sample.of is None and sample.value is not None]
    if undated:
        yield f"{wording.format_count(len(undated), 'sample')} without the instant that it speaks of"
    stale = [age for age in ages if age > most]
    if stale:
        yield (
            f"{wording.format_count(len(stale), 'sample')} stale: one speaks of an instant "
            f"{instants.exact(max(stale))} s before it was asked for, {instants.exact(most)} s are allowed"
        )
    ahead = [instants.seconds_between(sample.answered_at, sample.of) for sample in speaking if sample.of is not None]
    early = [seconds for seconds in ahead if seconds > series.max_skew_seconds]
    if early:
        yield f"a sample speaks of an instant {instants.exact(max(early))} s after its answer"


def _find_sight_problems(rule: series_rules.Rule, series: samples.Series, sighting: _Sighting) -> Iterator[str]:
    """Whether the period was looked at all the time."""
    interval, chain = sighting.interval, sighting.chain
    silent = _tell_silence(series)
    if not sighting.within:
        yield f"too few samples: none lies in {rule.period.text}{silent}"
        return
    if sighting.before is None and sighting.within[0].instant > interval.start:
        yield f"no sample at or before {instants.text(interval.start)}, the start of {rule.period.text}{silent}"
    if sighting.after is None:
        end = _describe_end(rule, series, interval)
        last = instants.text(sighting.within[-1].instant)
        yield f"no sample at or after {instants.text(interval.end)}, {end}; the last one is of {last}{silent}"
    widest = GAP_PERIODS * series.every_seconds
    gaps = [
        (instants.seconds_between(first.instant, second.instant), first)
        for first, second in itertools.pairwise(chain)
        if first.instant < interval.end
    ]
    wide = [gap for gap in gaps if gap[0] >= widest]
    if wide:
        seconds, first = max(wide, key=lambda gap: gap[0])
        after = instants.text(first.instant)
        due = f"one is due every {instants.exact(series.every_seconds)} s"
        yield f"a gap of {instants.exact(seconds)} s after {after}, {due}{silent}"
    if len(chain) < 2:
        yield "too few samples: a single one says nothing of a period"


def _describe_end(rule: series_rules.Rule, series: samples.Series, interval: periods.PeriodSpan) -> str:
    if not interval.closes:
        return f"the end of {rule.period.text}"
    settle = instants.exact(series.settle_seconds)
    return f"the end of the window{f', asked {settle} s later (observe.settle)' if series.settle_seconds else ''}"


def _tell_silence(series: samples.Series) -> str:
    """The samples without a value, in words that follow a problem; empty where there is none."""
    silent = [sample for sample in series.samples if sample.value is None]
    if not silent:
        return ""
    reasons = list(dict.fromkeys(sample.detail or "no answer" for sample in silent))
    return f" ({wording.format_count(len(silent), 'sample')} without a value: {reasons[0]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unusable:
    """Why samples give no figure."""

    why: str


def _find_figure(aggregate: series_rules.Aggregate, sighting: _Sighting) -> limits.Value | _Unusable:
    """The figure of the samples of a period."""
    if aggregate is series_rules.Aggregate.LAST:
        return sighting.within[-1].value
    chosen = sighting.chain if aggregate in series_rules.FROM_EDGES else sighting.within
    numbers = [number for sample in chosen if (number := limits.finite(sample.value)) is not None]
    if len(numbers) < len(chosen):
        words = next(sample for sample in chosen if limits.finite(sample.value) is None)
        return _Unusable(why=f"sample {words.number} is no number: {words.value!r}")
    match aggregate:
        case series_rules.Aggregate.MAX:
            return max(numbers)
        case series_rules.Aggregate.MIN:
            return min(numbers)
        case series_rules.Aggregate.P95:
            return sorted(numbers)[math.ceil(0.95 * len(numbers)) - 1]
        case series_rules.Aggregate.DELTA:
            return _find_difference(numbers[0], numbers[-1])
        case series_rules.Aggregate.MONOTONIC:
            return all(first <= second for first, second in itertools.pairwise(numbers))
        case _:
            return _measure_stall(chosen, numbers)


def _find_difference(first: float, last: float) -> float | _Unusable:
    """The difference of two numbers, where JSON holds it exactly."""
    difference = last - first
    if not math.isfinite(difference) or (isinstance(difference, int) and abs(difference) > canonical.LARGEST_INTEGER):
        return _Unusable(why=f"from {first} to {last} is more than JSON holds exactly")
    return difference


def _measure_stall(chosen: Sequence[samples.Sample], numbers: Sequence[float]) -> float:
    """The longest time in which the value did not rise above all before it, between the samples that show it."""
    longest, highest, since = 0.0, numbers[0], chosen[0].instant
    for sample, number in zip(chosen, numbers, strict=True):
        longest = max(longest, instants.seconds_between(since, sample.instant))
        if number > highest:
            highest, since = number, sample.instant
    return longest


def _judge_figure(
    rule: series_rules.Rule, value: limits.Value, span: periods.BurstSpan, series_by_name: Mapping[str, samples.Series]
) -> limits.LimitAnswer:
    if rule.limit is not None:
        return rule.limit.judge(value)
    if rule.near is None:
        return limits.LimitAnswer(status=limits.AnswerStatus.INVALID, why="the rule has no limit")
    near_series = series_by_name.get(rule.near.series)
    if near_series is None:
        return limits.LimitAnswer(status=limits.AnswerStatus.INVALID, why=f"there is no series {rule.near.series}")
    return _judge_nearness(rule, rule.near, value, _judge_near_series(rule, near_series, span))


def _judge_near_series(rule: series_rules.Rule, near_series: samples.Series, span: periods.BurstSpan) -> Judgement:
    """The figure of the other series over the same period, and whether it is to be trusted."""
    anything = series_rules.Rule(
        aggregate=rule.aggregate,
        period=rule.period,
        limit=limits.Limit(comparison=limits.Comparison.AT_LEAST, required=0),
    )
    return judge(anything, near_series, span, {})


def _judge_nearness(
    rule: series_rules.Rule, near: series_rules.Nearness, value: limits.Value, near_judgement: Judgement
) -> limits.LimitAnswer:
    number, reference = limits.finite(value), limits.finite(near_judgement.value)
    if near_judgement.status is limits.AnswerStatus.INVALID or number is None or reference is None:
        why = f"{near.series} gives no number to compare with: {near_judgement.why}"
        return limits.LimitAnswer(status=limits.AnswerStatus.INVALID, why=why)
    exact, exact_reference = Fraction(repr(number)), Fraction(repr(reference))
    if abs(exact - exact_reference) * 100 <= Fraction(repr(near.percent)) * abs(exact_reference):
        words = f"{value} is within {near.text}, which is {near_judgement.value}"
        return limits.LimitAnswer(status=limits.AnswerStatus.PASS, why=words)
    why = f"{value}, should be within {near.text}, which is {near_judgement.value}"
    return limits.LimitAnswer(status=limits.AnswerStatus.FAIL, why=why)
