"""Gates: one question each, asked of the facts, answered PASS only when the facts say so.

INVALID (facts missing or not to be trusted) is worse than FAIL (facts say no). No gate is a matter of degree: the
window is counted whole, so no margin of error leaves an answer open.
Every comparison is written so that None and NaN fail it. A gate keeps what it measured beside what was required, and
how the two are compared, so that a reader can answer it again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from burst.domain.basics import canonical, instants, windows, wording
from burst.domain.documents import fact_answers, models, task_results, window_metrics
from burst.domain.plan import plans
from burst.domain.receipts import receipts
from burst.domain.tasks import tasks
from burst.domain.verdict import baselines


class GateStatus(StrEnum):
    """What a gate answers."""

    PASS = "PASS"  # noqa: S105 (a verdict, no password)
    FAIL = "FAIL"
    INVALID = "INVALID"


class Comparison(StrEnum):
    """How what was measured has to stand to what is required."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    EQUALS = "equals"


SECONDS = "s"
"""The unit of a gate that measures how long something took."""

Value = models.Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One question and its answer. `blocker` is the short id (`B1`) it stands behind.

    `comparison` None: what is required is told in words, and compared with nothing. `unit` None: there is none.
    A number that JSON cannot hold is kept as None, because a verdict must always reach its bytes; `why` still says it.
    """

    name: str
    blocker: str
    status: GateStatus
    measured: Value
    required: Value
    comparison: Comparison | None = None
    unit: str | None = None
    why: str

    def __post_init__(self) -> None:
        for name in ("measured", "required"):
            number = getattr(self, name)
            endless = isinstance(number, float) and not math.isfinite(number)
            inexact = isinstance(number, int) and abs(number) > canonical.LARGEST_INTEGER
            if endless or inexact:
                object.__setattr__(self, name, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateQuestion:
    """What a gate asks, whatever the answer will be; its fields are the gate's."""

    name: str
    blocker: str
    required: Value
    comparison: Comparison | None = None
    unit: str | None = None

    def answered(self, status: GateStatus, measured: Value, why: str) -> Gate:
        """The gate."""
        return Gate(
            name=self.name,
            blocker=self.blocker,
            status=status,
            measured=measured,
            required=self.required,
            comparison=self.comparison,
            unit=self.unit,
            why=why,
        )


RUNTIME_BUDGET = "runtime_budget"
"""The gate that says whether the run kept its budget."""
STOP_PROVEN = "stop_proven"
"""The gate that says whether a task may still be running: no bounded rerun may carry it over."""
SERVICES_BACK = "services_back"
"""The gate that says whether what was scaled for the burst still is: no bounded rerun may carry it over either."""
AFTER = "after:"
"""How the gates of one-shots after the burst are called: what they refresh, facts rest on."""
RUN_SCOPE = "run_scope"
"""The gate that says whether what ran and what was counted are of this run."""
FACTS_SCOPE = "facts_scope"
"""The gate that says whether the facts are: only the blockers that rest on facts fall with it."""
COUNTS_SOUND = frozenset(
    {
        "window_metrics",
        "attempt_scoped",
        "bound_as_said",
        "settled",
        "none_vanished",
        "known_decisions",
        "buckets_add_up",
        "clock_skew_seconds",
    }
)
"""The gates that say whether the counts are of this attempt and to be trusted."""


def at_least(value: float | None, required: float) -> bool:
    """Whether a number reaches what is required; None, NaN and infinities never do."""
    return value is not None and math.isfinite(value) and value >= required


def multiplier(counts: receipts.Counts, seconds: float, baseline: baselines.Baseline) -> float:
    """(admits / seconds) / (baseline admits / baseline seconds), divided in exactly this order (DESIGN 5)."""
    return (counts.admit / seconds) / (baseline.admits / baseline.seconds)


def multiplier_gate(
    metrics: window_metrics.Metrics | None, baseline: baselines.Baseline | None, required: float
) -> Gate:
    """Whether the burst reached its multiple of the baseline."""
    asked = GateQuestion(name="achieved_multiplier", blocker="B1", required=required, comparison=Comparison.AT_LEAST)
    if metrics is None:
        return asked.answered(GateStatus.INVALID, None, "no counts of the attempt window")
    if metrics.counts.counts.total == 0:
        return asked.answered(GateStatus.INVALID, None, "NO_DATA: no receipts in the window")
    if baseline is None:
        return asked.answered(GateStatus.INVALID, None, "no usable baseline to divide by")
    value = multiplier(metrics.counts.counts, metrics.window.window.seconds, baseline)
    if at_least(value, required):
        return asked.answered(GateStatus.PASS, value, f"{value:.10g} times the baseline")
    return asked.answered(GateStatus.FAIL, value, f"{value:.10g} times the baseline, {required} required")


def duration_gate(metrics: window_metrics.Metrics | None, min_window_seconds: float) -> Gate:
    """Whether the counted window is long enough."""
    asked = GateQuestion(
        name="duration_seconds",
        blocker="B1",
        required=min_window_seconds,
        comparison=Comparison.AT_LEAST,
        unit=SECONDS,
    )
    if metrics is None:
        return asked.answered(GateStatus.INVALID, None, "no counts of the attempt window")
    seconds = metrics.window.window.seconds
    counted = f"counted {instants.exact(seconds)} s"
    if at_least(seconds, min_window_seconds):
        return asked.answered(GateStatus.PASS, seconds, counted)
    return asked.answered(GateStatus.FAIL, seconds, f"{counted}, {instants.exact(min_window_seconds)} s required")


def admit_ratio_gate(metrics: window_metrics.Metrics | None, required: float) -> Gate:
    """Whether enough of the decided receipts are ADMIT; compared as exact fractions, so the edge is exact."""
    asked = GateQuestion(name="admit_ratio", blocker="B1", required=required, comparison=Comparison.AT_LEAST)
    if metrics is None:
        return asked.answered(GateStatus.INVALID, None, "no counts of the attempt window")
    counts = metrics.counts.counts
    ratio = receipts.admit_ratio(counts)
    if ratio is None:
        return asked.answered(GateStatus.INVALID, None, "NO_DATA: no ADMIT and no DUPLICATE receipts in the window")
    admitted = f"{counts.admit} of {counts.decided} admitted"
    if Fraction(counts.admit, counts.decided) >= Fraction(repr(required)):
        return asked.answered(GateStatus.PASS, ratio, admitted)
    return asked.answered(GateStatus.FAIL, ratio, f"{admitted}, a share of {required} required")


def evidence_gates(
    metrics: window_metrics.Metrics | None,
    attempt: windows.Window | None,
    *,
    metrics_problem: str,
    attempt_problem: str,
    max_skew_seconds: float,
) -> tuple[Gate, ...]:
    """Whether the counts are there, of exactly this attempt, and to be trusted."""
    there = _evidence("window_metrics", "readable")
    if metrics is None:
        return (there.answered(GateStatus.INVALID, None, metrics_problem),)
    window, counts = metrics.window.window, metrics.counts.counts
    found = [there.answered(GateStatus.PASS, str(window), "counts are there")]
    scoped = _evidence("attempt_scoped", str(attempt) if attempt else None)
    if attempt is None:
        found.append(scoped.answered(GateStatus.INVALID, str(window), attempt_problem))
    elif window.inside(attempt):
        found.append(scoped.answered(GateStatus.PASS, str(window), "inside the attempt"))
    else:
        why = f"counted {window}, which is not inside the attempt {attempt}"
        found.append(scoped.answered(GateStatus.INVALID, str(window), why))
    if metrics.misbound:
        why = f"the statement that was run counted something else: {metrics.misbound}"
        found.append(_evidence("bound_as_said", str(window)).answered(GateStatus.INVALID, metrics.misbound, why))
    if metrics.unsettled:
        settled = _evidence("settled", True, Comparison.EQUALS)
        found.append(settled.answered(GateStatus.INVALID, False, metrics.unsettled))
    if metrics.lost.total:
        why = f"receipts that were counted once are gone: {_said(metrics.lost)}"
        kept = _evidence("none_vanished", 0, Comparison.EQUALS)
        found.append(kept.answered(GateStatus.INVALID, metrics.lost.total, why))
    if counts.other:
        why = f"{wording.format_count(counts.other, 'receipt')} of a decision burst does not know"
        known = _evidence("known_decisions", 0, Comparison.EQUALS)
        found.append(known.answered(GateStatus.INVALID, counts.other, why))
    bucketed = sum((bucket.counts.counts for bucket in metrics.buckets), receipts.Counts())
    if metrics.buckets and bucketed != counts:
        add_up = _evidence("buckets_add_up", counts.total, Comparison.EQUALS)
        found.append(add_up.answered(GateStatus.INVALID, bucketed.total, "buckets and total differ"))
    skew = metrics.clock_skew_seconds
    if skew is not None:
        worst_skew = abs(skew) + (metrics.clock_round_trip_seconds or 0.0) / 2
        status = GateStatus.PASS if worst_skew <= max_skew_seconds else GateStatus.INVALID
        agree = _evidence("clock_skew_seconds", max_skew_seconds, Comparison.AT_MOST, SECONDS)
        found.append(agree.answered(status, worst_skew, f"the clocks differ by at most {worst_skew:.10g} s"))
    return tuple(found)


def _said(counts: receipts.Counts) -> str:
    entry = window_metrics.CountsEntry.of(counts).model_dump(by_alias=True)
    return ", ".join(f"{count} {decision}" for decision, count in entry.items() if count)


def _evidence(
    name: str, required: Value, comparison: Comparison | None = None, unit: str | None = None
) -> GateQuestion:
    return GateQuestion(name=name, blocker="B5", required=required, comparison=comparison, unit=unit)


def baseline_gate(baseline: baselines.Baseline | None, problem: str) -> Gate:
    """Whether there is a baseline that may be divided by."""
    asked = _evidence("baseline", "verified")
    if baseline is None:
        return asked.answered(GateStatus.INVALID, None, problem)
    return asked.answered(GateStatus.PASS, baseline.rate_per_minute, f"from {baseline.source}")


def coherence_gate(
    plan: plans.Plan, given: Sequence[tuple[str, str, str]], problem: str, *, gate: str = RUN_SCOPE
) -> Gate:
    """Whether every document given speaks of one run and one scope; `gate` is the name of the question.

    `given` holds (document name, execution_id, platform_run_id); `problem` says which one it cannot do without is
    not there, so that leaving out the one that disagrees does not make the rest agree.
    """
    asked = GateQuestion(name=gate, blocker="B6", required=plan.scope, comparison=Comparison.EQUALS)
    if plan.scope == "fresh":
        return asked.answered(
            GateStatus.INVALID, None, "the plan's scope is fresh: adjudicate with the plan as executed"
        )
    if problem:
        return asked.answered(GateStatus.INVALID, None, problem)
    expected = plan.execution_id or given[0][1]
    for name, execution_id, scope in given:
        if scope != plan.scope:
            return asked.answered(GateStatus.FAIL, scope, f"{name} speaks of scope {scope}")
        if execution_id != expected:
            why = f"{name} speaks of run {execution_id}, not {expected}"
            return replace(asked, required=expected).answered(GateStatus.FAIL, execution_id, why)
    return asked.answered(GateStatus.PASS, plan.scope, "every document speaks of this run and scope")


def same_expectation(entry: fact_answers.FactEntry, fact: plans.FactSection) -> bool:
    """Whether an answer was held against what the plan expects; `true` is not 1 here either."""
    pairs = ((entry.equals, fact.equals), (entry.at_most, fact.at_most), (entry.at_least, fact.at_least))
    return all(isinstance(one, bool) == isinstance(other, bool) and one == other for one, other in pairs)


def expectation(asked: fact_answers.FactEntry | plans.FactSection) -> tuple[Comparison, Value]:
    """What is expected of a fact, of which there is exactly one."""
    if asked.equals is not None:
        return Comparison.EQUALS, asked.equals
    if asked.at_most is not None:
        return Comparison.AT_MOST, asked.at_most
    return Comparison.AT_LEAST, asked.at_least


def _meets(value: Value, comparison: Comparison, required: Value) -> bool:
    """Types must agree: `true` is not 1, and text is never compared with numbers."""
    if comparison is Comparison.EQUALS:
        return value is not None and isinstance(value, bool) == isinstance(required, bool) and value == required
    number, limit = _finite(value), _finite(required)
    if number is None or limit is None:
        return False
    return number <= limit if comparison is Comparison.AT_MOST else number >= limit


def _finite(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


_SHOULD = {Comparison.EQUALS: "equal", Comparison.AT_MOST: "be at most", Comparison.AT_LEAST: "be at least"}


def fact_gate(entry: fact_answers.FactEntry, short: str) -> Gate:
    """Whether one fact is as expected."""
    asked = _fact(entry, short)
    comparison, required = expectation(entry)
    if _meets(entry.value, comparison, required):
        return asked.answered(GateStatus.PASS, entry.value, f"{entry.value}")
    if entry.value is None:
        return asked.answered(GateStatus.INVALID, None, entry.detail or "no answer")
    return asked.answered(GateStatus.FAIL, entry.value, f"{entry.value}, should {_SHOULD[comparison]} {required}")


def missing_fact_gate(fact: plans.FactSection, short: str, why: str) -> Gate:
    """The gate of a fact the plan declares and no document answers."""
    return _fact(fact, short).answered(GateStatus.INVALID, None, why)


def _fact(asked: fact_answers.FactEntry | plans.FactSection, short: str) -> GateQuestion:
    comparison, required = expectation(asked)
    return GateQuestion(name=asked.name, blocker=short, required=required, comparison=comparison)


def budget_gates(result: task_results.TaskResult | None, budget_seconds: float, problem: str) -> tuple[Gate, ...]:
    """Whether the run kept its budget, first start to last stop, and every task was seen to end."""
    window = result.window if result else None
    unproven = result.unproven if result else ()
    elapsed = window.seconds if window else None
    if result is None or elapsed is None:
        status = GateStatus.INVALID
        why = problem if result is None else "no task was seen to start and stop"
    elif elapsed <= budget_seconds:
        status, why = GateStatus.PASS, f"ran {instants.exact(elapsed)} s of {instants.exact(budget_seconds)} s"
    else:
        status, why = (
            GateStatus.FAIL,
            f"ran {instants.exact(elapsed)} s, {instants.exact(elapsed - budget_seconds)} s over the budget",
        )
    kept = GateQuestion(
        name=RUNTIME_BUDGET, blocker="B8", required=budget_seconds, comparison=Comparison.AT_MOST, unit=SECONDS
    )
    budget = kept.answered(status, elapsed, why)
    if result is None or not result.tasks:
        status, why = GateStatus.INVALID, problem if result is None else "no task to prove anything about"
    elif unproven:
        status, why = GateStatus.FAIL, f"nobody saw these tasks stop: {', '.join(unproven)}"
    elif result.stopped_before_start:
        status, why = (
            GateStatus.INVALID,
            f"a stop before the start proves nothing: {', '.join(result.stopped_before_start)}",
        )
    else:
        status, why = GateStatus.PASS, "every task was seen to stop"
    proven = GateQuestion(name=STOP_PROVEN, blocker="B8", required=0, comparison=Comparison.EQUALS)
    return budget, proven.answered(status, len(unproven) if result else None, why)


def one_shot_gates(plan: plans.Plan, result: task_results.TaskResult | None, problem: str) -> tuple[Gate, ...]:
    """Whether each command before and after the burst ended as it should.

    One before it is a dependency of the burst (B4); one after it makes evidence, which is not of this attempt where
    it did not run (B5).
    """
    entries = {(entry.when, entry.name): entry for entry in (result.one_shots if result else [])}
    before = [_one_shot_gate("before", "B4", shot, entries.get(("before", shot.name)), problem) for shot in plan.before]
    after = [_one_shot_gate("after", "B5", shot, entries.get(("after", shot.name)), problem) for shot in plan.after]
    return (*before, *after)


def _one_shot_gate(
    when: str, short: str, shot: plans.OneShotSection, entry: task_results.OneShotEntry | None, problem: str
) -> Gate:
    why = (problem or "it was not run") if entry is None else entry.problem
    proven = entry is not None and entry.exit_code == shot.exit_code and entry.stopped_utc is not None
    if why is None and not proven:
        why = f"no proof that it ended with exit code {shot.exit_code}"
    unknown = entry is None or entry.exit_code is None
    status = GateStatus.PASS if why is None else GateStatus.INVALID if unknown else GateStatus.FAIL
    asked = GateQuestion(
        name=f"{when}:{shot.name}", blocker=short, required=shot.exit_code, comparison=Comparison.EQUALS
    )
    return asked.answered(status, entry.exit_code if entry else None, why or "it ended as it should")


def services_gate(plan: plans.Plan, result: task_results.TaskResult | None, problem: str) -> Gate | None:
    """Whether every service that was scaled for the burst is no longer as the burst left it; None where none is to be.

    The plan says which there are, so that leaving out the one that was not put back does not put it back.
    """
    if not plan.services and not (result and result.services):
        return None
    asked = GateQuestion(name=SERVICES_BACK, blocker="B8", required=0, comparison=Comparison.EQUALS)
    if result is None:
        return asked.answered(GateStatus.INVALID, None, problem)
    left = result.not_restored
    if left:
        commands = "; ".join(service.command or service.name for service in left)
        return asked.answered(GateStatus.FAIL, len(left), f"not put back; run: {commands}")
    untold = sorted({service.name for service in plan.services} - {service.name for service in result.services})
    if result.tasks and untold:
        return asked.answered(
            GateStatus.INVALID, None, f"the burst ran, and nothing tells how {', '.join(untold)} stood before"
        )
    return asked.answered(
        GateStatus.PASS, 0, "; ".join(f"{one.name} {one.detail}" for one in result.services) or "none was scaled"
    )


def execution_gates(
    plan: plans.Plan,
    result: task_results.TaskResult | None,
    metrics: window_metrics.Metrics | None,
    *,
    result_problem: str,
    metrics_problem: str,
) -> tuple[Gate, ...]:
    """Whether load was delivered, and enough tasks started and held to the window's end."""
    total = metrics.counts.counts.total if metrics else None
    if total is None:
        status, why = GateStatus.INVALID, f"unknown: {metrics_problem}"
    elif total:
        status, why = GateStatus.PASS, wording.format_count(total, "receipt")
    else:
        status, why = GateStatus.FAIL, "no load delivered: not one receipt in the window"
    delivered = GateQuestion(name="load_delivered", blocker="B9", required=1, comparison=Comparison.AT_LEAST)
    return delivered.answered(status, total, why), _tasks_held(plan, result, metrics, result_problem)


def _tasks_held(
    plan: plans.Plan, result: task_results.TaskResult | None, metrics: window_metrics.Metrics | None, problem: str
) -> Gate:
    required = plan.target.least_tasks
    asked = GateQuestion(name="tasks_held", blocker="B9", required=required, comparison=Comparison.AT_LEAST)
    if result is None:
        return asked.answered(GateStatus.INVALID, None, problem)
    end = metrics.window.window.end if metrics else result.stopped_utc
    ended = {
        task.id: _ended_early(task, _due(task, plan.budget, result, end), plan.budget.stop_grace)
        for task in result.tasks
    }
    held = sum(reason is None for reason in ended.values())
    if held >= required:
        return asked.answered(GateStatus.PASS, held, f"{wording.format_count(held, 'task')} held to the end")
    reasons = "; ".join(f"{name} {reason}" for name, reason in ended.items() if reason)
    never = f"{required - len(ended)} never started; " if len(ended) < required else ""
    return asked.answered(GateStatus.FAIL, held, f"{never}{reasons}".rstrip("; "))


def _due(
    task: task_results.TaskEntry, budget: plans.BudgetSection, result: task_results.TaskResult, end: datetime | None
) -> datetime | None:
    """Until when a task had to run: the window's end, and the declared one where the tasks' own ends moved it.

    A program whose source is spent may end with the shortest window that passes; a task that was taken may not.
    """
    if result.attempt is None or not result.ended_by_its_tasks:
        return end
    seconds = budget.window_seconds if task.stop_code in tasks.TAKEN else budget.min_window
    declared = instants.later(result.attempt.start, seconds)
    return declared if end is None else max(declared, end)


def _ended_early(task: task_results.TaskEntry, due: datetime | None, grace_seconds: float) -> str | None:
    """Why a task did not hold until it was due, None when it did or when a layer of the hard stop ended it.

    Programs that end by themselves do so seconds apart, so one that exits 0 within the grace of that has held.
    """
    if task.started_utc is None:
        return f"never started{_because(task)}"
    if task.stopped_by in frozenset(tasks.Layer) or task.stop_code == tasks.StopCode.USER_INITIATED:
        return None
    if task.stopped_utc is None or due is None:
        return None  # not seen to end: that is B8's question
    if task.stop_code == tasks.StopCode.GONE:
        return f"was lost{_because(task)}"
    if task.exit_code is None:
        return f"ended, and nobody knows with which exit code{_because(task)}"
    ended = "was taken" if task.stop_code in tasks.TAKEN else "ended by itself"
    if task.exit_code != 0:
        return f"{ended} with exit code {task.exit_code}{_because(task)}"
    early = instants.seconds_between(task.stopped_utc, due)
    if early > grace_seconds:
        return f"{ended} {instants.exact(early)} s before the window was to end{_because(task)}"
    return None


def _because(task: task_results.TaskEntry) -> str:
    return f" ({task.detail})" if task.detail else ""
