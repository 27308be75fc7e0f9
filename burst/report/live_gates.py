"""Gates while a burst goes on: the value of each so far, its bound, and what is still needed to reach it.

Nothing here decides: the verdict asks the gates themselves, of the whole window. A gate is called lost only where the
rail of early stop says so.
"""

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from burst.domain.basics import instants
from burst.domain.plan import plans
from burst.domain.receipts import early_stops, receipts
from burst.domain.run import run_terms, runs


class Standing(enum.StrEnum):
    """How a gate stands so far."""

    HOLDS = "ok"
    SHORT = "short"
    LOST = "lost"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStanding:
    """One gate so far. `needed`: how much has to come yet, or may still go wrong; empty: nothing."""

    name: str
    value: str
    bound: str
    standing: Standing
    needed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """What the standings are reckoned from. `baseline_per_second` None: there is no baseline."""

    plan: plans.Plan
    run: runs.Run
    baseline_per_second: float | None
    now: datetime

    @property
    def required_per_second(self) -> float | None:
        """The ADMIT that the multiplier asks for each second; None where it asks for none, or of nothing known."""
        multiplier = self.plan.gates.multiplier
        if multiplier is None or self.baseline_per_second is None:
            return None
        return multiplier * self.baseline_per_second

    @property
    def terms(self) -> early_stops.EarlyStopTerms:
        """The terms of early stop."""
        return run_terms.make_early_stop_terms(self.plan, self.required_per_second)

    @property
    def further(self) -> int | None:
        """The most receipts that can still come: none once the tasks have stopped."""
        if self.run.stopped:
            return 0
        return early_stops.further_receipts(self.terms, self.run.counts.total)

    @property
    def left_seconds(self) -> float:
        """The seconds of the declared window that nobody has counted yet."""
        return max(0.0, self.plan.budget.window_seconds - self.run.counted_seconds)


def list_standings(reckoning: Reckoning) -> tuple[GateStanding, ...]:
    """The gates of a plan that can be told of while the burst goes on."""
    return (
        *_judge_multiplier(reckoning),
        *_judge_ratio(reckoning),
        *_judge_admits(reckoning),
        *_judge_shares(reckoning),
        _judge_duration(reckoning),
        *_judge_offer(reckoning),
        *_judge_latency(reckoning),
        *_judge_errors(reckoning),
        _judge_budget(reckoning),
    )


def _judge_multiplier(reckoning: Reckoning) -> Iterator[GateStanding]:
    run, limit = reckoning.run, reckoning.plan.gates.multiplier
    if limit is None:
        return
    bound, required, baseline = f">= {limit:g}", reckoning.required_per_second, reckoning.baseline_per_second
    if not baseline or required is None or not run.counted_seconds:
        why = "no baseline" if baseline is None else ""
        yield GateStanding(name="multiplier", value="-", bound=bound, standing=Standing.UNKNOWN, needed=why)
        return
    value = run.counts.admit / run.counted_seconds / baseline
    missing = math.ceil(required * reckoning.plan.budget.window_seconds) - run.counts.admit
    further, needed = reckoning.further, ""
    if missing > 0 and reckoning.left_seconds:
        per_minute = missing / reckoning.left_seconds * 60
        needed = f"needs {per_minute:,.0f}/min for {format_span(reckoning.left_seconds)}"
    lost = further is not None and early_stops.multiplier_impossible(run.counts, further, reckoning.terms)
    yield GateStanding(
        name="multiplier",
        value=f"{value:.3f}",
        bound=bound,
        standing=_stand(value >= limit, lost),
        needed="out of reach, whatever comes" if lost else needed,
    )


def _judge_ratio(reckoning: Reckoning) -> Iterator[GateStanding]:
    run, limit = reckoning.run, reckoning.plan.gates.admit_ratio
    if limit is None:
        return
    ratio, share = receipts.admit_ratio(run.counts), Fraction(repr(limit))
    if ratio is None:
        yield GateStanding(name="admit_ratio", value="-", bound=f">= {limit:g}", standing=Standing.UNKNOWN)
        return
    holds = Fraction(run.counts.admit, run.counts.decided) >= share
    further = reckoning.further
    lost = further is not None and early_stops.ratio_impossible(run.counts, further, limit)
    yield GateStanding(
        name="admit_ratio",
        value=f"{ratio:.5f}",
        bound=f">= {limit:g}",
        standing=_stand(holds, lost),
        needed="" if lost else _need_for_ratio(run.counts, share),
    )


def _need_for_ratio(counts: receipts.Counts, share: Fraction) -> str:
    """How many more DUPLICATE the ratio bears, or how many ADMIT mend it."""
    room = math.floor(counts.admit / share - counts.decided)
    if room >= 0:
        return f"{room:,} more DUPLICATE may come"
    if share == 1:
        return "no DUPLICATE may come at all"
    return f"{math.ceil((share * counts.decided - counts.admit) / (1 - share)):,} ADMIT without a DUPLICATE"


def _judge_admits(reckoning: Reckoning) -> Iterator[GateStanding]:
    limit, admits = reckoning.plan.gates.min_admits, reckoning.run.counts.admit
    if limit is None:
        return
    further = reckoning.further
    lost = further is not None and admits + further < limit
    needed = f"{limit - admits:,} ADMIT" if admits < limit else ""
    yield GateStanding(
        name="min_admits",
        value=f"{admits:,}",
        bound=f">= {limit:,}",
        standing=_stand(admits >= limit, lost),
        needed=needed,
    )


def _judge_shares(reckoning: Reckoning) -> Iterator[GateStanding]:
    counts = reckoning.run.counts
    for decision, limit, share in reckoning.plan.gates.share_limits:
        value = counts.of(decision) / counts.total if counts.total else None
        holds = value is not None and (value <= share if limit == "at_most" else value >= share)
        yield GateStanding(
            name=f"{decision} share",
            value="-" if value is None else f"{value:.5f}",
            bound=f"{'<=' if limit == 'at_most' else '>='} {share:g}",
            standing=Standing.UNKNOWN if value is None else _stand(holds, False),
        )


def _judge_duration(reckoning: Reckoning) -> GateStanding:
    run, limit = reckoning.run, reckoning.plan.budget.min_window
    counted_from = None if run.go_at is None else instants.later(run.go_at, reckoning.plan.lead_seconds)
    end = run.attempt_window.end if run.attempt_window and not run.alive else reckoning.now
    seconds = 0.0 if counted_from is None else max(0.0, instants.seconds_between(counted_from, end))
    holds = seconds >= limit
    return GateStanding(
        name="duration",
        value=format_span(seconds) if run.go_at else "-",
        bound=f">= {format_span(limit)}",
        standing=Standing.UNKNOWN if run.go_at is None else _stand(holds, run.stopped and not holds),
        needed="" if holds or run.stopped else f"{format_span(limit - seconds)} more",
    )


def _judge_offer(reckoning: Reckoning) -> Iterator[GateStanding]:
    load, limit = reckoning.run.load, reckoning.plan.gates.least_offered
    if reckoning.plan.mean_rate is None:
        return
    if load is None or not load.due:
        yield GateStanding(name="offered_load", value="-", bound=f">= {limit:g}", standing=Standing.UNKNOWN)
        return
    value, lost = load.in_time / load.due, early_stops.find_withheld(load.due, load.in_time, reckoning.terms)
    missed = load.due - load.in_time
    yield GateStanding(
        name="offered_load",
        value=f"{value:.5f}",
        bound=f">= {limit:g}",
        standing=_stand(value >= limit, lost is not None),
        needed=f"{missed:,} of {load.due:,} sent too late" if missed else "",
    )


def _judge_latency(reckoning: Reckoning) -> Iterator[GateStanding]:
    gates, load = reckoning.plan.gates, reckoning.run.load
    last = None if load is None else load.p95_ms
    if gates.latency_p95_ms is not None:
        yield GateStanding(
            name="latency_p95",
            value="-" if last is None else f"{last:,.0f} ms",
            bound=f"<= {gates.latency_p95_ms:g} ms",
            standing=Standing.UNKNOWN if last is None else _stand(last <= gates.latency_p95_ms, False),
            needed="of the last look",
        )
    if gates.latency_p99_ms is not None:
        yield _at_the_end("latency_p99", f"<= {gates.latency_p99_ms:g} ms")


def _judge_errors(reckoning: Reckoning) -> Iterator[GateStanding]:
    gates, load = reckoning.plan.gates, reckoning.run.load
    if gates.error_ratio is not None:
        ratio = None
        if load is not None and load.answered and load.unsuccessful is not None:
            ratio = load.unsuccessful / load.answered
        yield GateStanding(
            name="error_ratio",
            value="-" if ratio is None else f"{ratio:.5f}",
            bound=f"<= {gates.error_ratio:g}",
            standing=Standing.UNKNOWN if ratio is None else _stand(ratio <= gates.error_ratio, False),
        )
    for name in ("client_error_ratio", "server_error_ratio"):
        if getattr(gates, name) is not None:
            yield _at_the_end(name, f"<= {getattr(gates, name):g}")


def _judge_budget(reckoning: Reckoning) -> GateStanding:
    run, limit = reckoning.run, reckoning.plan.budget.max
    seconds = find_spent_seconds(run, reckoning.now)
    spent = seconds or 0.0
    return GateStanding(
        name="runtime_budget",
        value="-" if seconds is None else format_span(spent),
        bound=f"<= {format_span(limit)}",
        standing=Standing.UNKNOWN if seconds is None else _stand(spent <= limit, spent > limit),
        needed="" if seconds is None or spent > limit else f"{format_span(limit - spent)} left",
    )


def find_spent_seconds(run: runs.Run, now: datetime) -> float | None:
    """The seconds of the budget that are spent: from the first start of a task to now, or to the last stop."""
    starts = [truth.started_at for truth in run.truths.values() if truth.started_at is not None]
    stops = [truth.stopped_at for truth in run.truths.values() if truth.stopped_at is not None]
    if not starts:
        return None
    end = max(stops) if run.stopped and stops else now
    return max(0.0, instants.seconds_between(min(starts), end))


def _at_the_end(name: str, bound: str) -> GateStanding:
    return GateStanding(name=name, value="-", bound=bound, standing=Standing.UNKNOWN, needed="asked at the end")


def _stand(holds: bool, lost: bool) -> Standing:
    if lost:
        return Standing.LOST
    return Standing.HOLDS if holds else Standing.SHORT


def format_span(seconds: float) -> str:
    """Seconds in the fewest words: `43 s`, `12:05`, `1:30:00`."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
