"""Gates: one question each, asked of the facts, answered PASS only when the facts say so.

INVALID (facts missing or not to be trusted) is worse than FAIL (facts say no). No gate is a matter of degree: the
window is counted whole, so no margin of error leaves an answer open.
Every comparison is written so that None and NaN fail it. A gate keeps the measured value beside the required one, and
how the two are compared, so that a reader can answer it again.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from burst.domain.basics import canonical, instants, windows, wording
from burst.domain.documents import fact_answers, holding, load_documents, models, task_results, window_metrics
from burst.domain.observations import limits
from burst.domain.plan import catalogues, fact_sections, plans, question_sections, target_sections
from burst.domain.receipts import receipts
from burst.domain.verdict import baselines, unsent_load

GateStatus = limits.AnswerStatus
"""The answer of a gate."""
Comparison = limits.Comparison
"""How the measured value has to stand to the required one."""

SECONDS = "s"
"""The unit of a gate that measures how long something took."""

Value = models.Value
REFERENCE, PROFILE_MATCH, CONTRACT_MATCH = "reference", "profile_match", "contract_match"
ANCHOR_KEYSET, INVARIANTS_KEPT = "anchor_keyset", "invariants_kept"
SHARE_DELTAS = {"duplicate_share_delta": "DUPLICATE", "quarantine_share_delta": "QUARANTINE"}
"""The gates of a run that reproduces another; those of shares with the decision that each is about."""
ENTRY, REQUIRED_DOCUMENT, STORE_POLICY = "entry:", "required:", "store_policy"
"""The gates of `requires`, each with the name of its entry behind it, and of the store policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One question and its answer. `blocker` is the one it stands behind: by its role, and of a fact by its short id.

    `comparison` None: the requirement is in words, and compared with nothing. `unit` None: there is none.
    A number that JSON cannot hold is kept as None, because a verdict must always reach its bytes; `why` still says it.
    """

    name: str
    blocker: catalogues.Role | str
    status: GateStatus
    measured: Value
    required: Value
    comparison: Comparison | None = None
    unit: str | None = None
    why: str
    informational: bool = False
    """Whether it is answered and shown alone, and opens nothing."""
    at_fault: tuple[str, ...] = ()
    """The documents because of which it does not pass, by file name; none: whatever it is answered by. No snapshot
    holds them."""

    def __post_init__(self) -> None:
        for name in ("measured", "required"):
            number = getattr(self, name)
            endless = isinstance(number, float) and not math.isfinite(number)
            inexact = isinstance(number, int) and abs(number) > canonical.LARGEST_INTEGER
            if endless or inexact:
                object.__setattr__(self, name, None)

    @property
    def passed(self) -> bool:
        """Whether the answer is PASS."""
        return self.status is GateStatus.PASS

    @property
    def opens(self) -> bool:
        """Whether it opens its blocker."""
        return not self.passed and not self.informational


@dataclass(frozen=True, slots=True, kw_only=True)
class GateQuestion:
    """The question of a gate, whatever the answer will be; its fields are the gate's."""

    name: str
    blocker: catalogues.Role | str
    required: Value
    comparison: Comparison | None = None
    unit: str | None = None

    def answer(self, status: GateStatus, measured: Value, why: str) -> Gate:
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
"""The gate that says whether a service is still scaled for the burst: no bounded rerun may carry it over either."""
NOT_HALTED = "not_halted"
"""The gate that says whether a halt, an alarm or a fact stopped the run: no bounded rerun may carry it over either."""
SAME_CONTRACT = "same_contract"
"""The gate that says whether a rerun is judged by its prior's terms: it opens the blocker of dependencies, and the
rerun's own."""
GATE_MODES = "gate_modes"
"""The gate that says whether a gate may be informational: opens the blocker of dependencies outside a rerun too."""
AFTER = "after:"
"""How the names of the gates of one-shots after the burst begin: facts rest on the evidence these refresh."""
RESTART, RTO, DRILL_WINDOWS, DRILL_UNDONE = "restart:", "rto:", "drill_windows:", "drill_undone:"
"""How the names of the gates of a drill begin; its name follows. No rerun may carry over an undo that failed."""
OBSERVED = "observed:"
"""How the names of the gates of observed series begin."""
RUN_SCOPE = "run_scope"
"""The gate that says whether the tasks and the counts are of this run."""
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


def apply_mode(plan: plans.Plan, gate: Gate) -> Gate:
    """A gate as the plan's mode has it; an informational one says so."""
    if not plan.gates.is_informational(gate.name):
        return gate
    return dataclasses.replace(gate, informational=True, why=f"informational, opens nothing: {gate.why}")


def at_least(value: float | None, required: float) -> bool:
    """Whether a number reaches what is required; None, NaN and infinities never do."""
    return value is not None and math.isfinite(value) and value >= required


def multiplier(counts: receipts.Counts, seconds: float, baseline: baselines.Baseline) -> float:
    """(admits / seconds) / (baseline admits / baseline seconds), divided in exactly this order."""
    return (counts.admit / seconds) / (baseline.admits / baseline.seconds)


def multiplier_gate(
    metrics: window_metrics.Metrics | None, baseline: baselines.Baseline | None, required: float
) -> Gate:
    """Whether the burst reached its multiple of the baseline."""
    question = GateQuestion(
        name="achieved_multiplier", blocker=catalogues.Role.PROFILE, required=required, comparison=Comparison.AT_LEAST
    )
    if metrics is None:
        return question.answer(GateStatus.INVALID, None, "no counts of the attempt window")
    if metrics.counts.counts.total == 0:
        return question.answer(GateStatus.INVALID, None, "NO_DATA: no receipts in the window")
    if baseline is None:
        return question.answer(GateStatus.INVALID, None, "no usable baseline to divide by")
    value = multiplier(metrics.counts.counts, metrics.window.window.seconds, baseline)
    if at_least(value, required):
        return question.answer(GateStatus.PASS, value, f"{value:.10g} times the baseline")
    return question.answer(GateStatus.FAIL, value, f"{value:.10g} times the baseline, {required} required")


def duration_gate(
    metrics: window_metrics.Metrics | None, min_window_seconds: float, load_end: holding.LoadEnd | None = None
) -> Gate:
    """Whether the burst was long enough: from the start of the counted window to `load_end`, the earliest end of the
    load that the evidence allows; None: to the end of the counted window."""
    question = GateQuestion(
        name="duration_seconds",
        blocker=catalogues.Role.PROFILE,
        required=min_window_seconds,
        comparison=Comparison.AT_LEAST,
        unit=SECONDS,
    )
    if metrics is None:
        return question.answer(GateStatus.INVALID, None, "no counts of the attempt window")
    window = metrics.window.window
    seconds = window.seconds if load_end is None else instants.seconds_between(window.start, load_end.at)
    counted = f"counted {instants.exact(window.seconds)} s"
    if load_end is not None and load_end.at < window.end:
        counted += f", of which the load surely lasted {instants.exact(seconds)} s ({load_end.why})"
    if at_least(seconds, min_window_seconds):
        return question.answer(GateStatus.PASS, seconds, counted)
    return question.answer(GateStatus.FAIL, seconds, f"{counted}, {instants.exact(min_window_seconds)} s required")


def admit_ratio_gate(metrics: window_metrics.Metrics | None, required: float) -> Gate:
    """Whether enough of the decided receipts are ADMIT; compared as exact fractions, so the edge is exact."""
    question = GateQuestion(
        name="admit_ratio", blocker=catalogues.Role.PROFILE, required=required, comparison=Comparison.AT_LEAST
    )
    if metrics is None:
        return question.answer(GateStatus.INVALID, None, "no counts of the attempt window")
    counts = metrics.counts.counts
    ratio = receipts.admit_ratio(counts)
    if ratio is None:
        return question.answer(GateStatus.INVALID, None, "NO_DATA: no ADMIT and no DUPLICATE receipts in the window")
    admitted = f"{counts.admit} of {counts.decided} admitted"
    if Fraction(counts.admit, counts.decided) >= Fraction(repr(required)):
        return question.answer(GateStatus.PASS, ratio, admitted)
    return question.answer(GateStatus.FAIL, ratio, f"{admitted}, a share of {required} required")


def metrics_gate(metrics: window_metrics.Metrics | None, problem: str) -> Gate:
    """Whether the attempt window was counted; `problem` says why there are no counts."""
    question = _evidence("window_metrics", "readable")
    if metrics is None:
        return question.answer(GateStatus.INVALID, None, problem)
    return question.answer(GateStatus.PASS, str(metrics.window.window), "the window was counted")


def attempt_gate(metrics: window_metrics.Metrics, attempt: windows.Window | None, problem: str) -> Gate:
    """Whether the counts are of exactly this attempt; `problem` says why the attempt has no window."""
    window = metrics.window.window
    question = _evidence("attempt_scoped", str(attempt) if attempt else None)
    if attempt is None:
        return question.answer(GateStatus.INVALID, str(window), problem)
    if window.inside(attempt):
        return question.answer(GateStatus.PASS, str(window), "the counted window lies inside the attempt")
    why = f"counted {window}, which is not inside the attempt {attempt}"
    return question.answer(GateStatus.INVALID, str(window), why)


def binding_gate(metrics: window_metrics.Metrics) -> Gate | None:
    """Asked where the statement was bound to another window or scope than the document says."""
    if not metrics.misbound:
        return None
    why = f"the statement that was run counted something else: {metrics.misbound}"
    question = _evidence("bound_as_said", str(metrics.window.window))
    return question.answer(GateStatus.INVALID, metrics.misbound, why)


def settling_gate(metrics: window_metrics.Metrics) -> Gate | None:
    """Asked where the counts are not known to have come to rest."""
    if not metrics.unsettled:
        return None
    return _evidence("settled", True, Comparison.EQUALS).answer(GateStatus.INVALID, False, metrics.unsettled)


def vanished_gate(metrics: window_metrics.Metrics) -> Gate | None:
    """Asked where a later round of counting had fewer receipts."""
    if not metrics.lost.total:
        return None
    why = f"receipts that were counted once are gone: {_list_decisions(metrics.lost)}"
    return _evidence("none_vanished", 0, Comparison.EQUALS).answer(GateStatus.INVALID, metrics.lost.total, why)


def decisions_gate(metrics: window_metrics.Metrics) -> Gate | None:
    """Asked where a receipt has a decision that burst does not know."""
    unknown = metrics.counts.counts.other
    if not unknown:
        return None
    why = f"{wording.format_count(unknown, 'receipt')} of a decision burst does not know"
    return _evidence("known_decisions", 0, Comparison.EQUALS).answer(GateStatus.INVALID, unknown, why)


def buckets_gate(metrics: window_metrics.Metrics) -> Gate | None:
    """Asked where the buckets do not add up to the whole."""
    counts = metrics.counts.counts
    bucketed = sum((bucket.counts.counts for bucket in metrics.buckets), receipts.Counts())
    if not metrics.buckets or bucketed == counts:
        return None
    question = _evidence("buckets_add_up", counts.total, Comparison.EQUALS)
    return question.answer(GateStatus.INVALID, bucketed.total, "buckets and total differ")


def clock_gate(metrics: window_metrics.Metrics, max_skew_seconds: float) -> Gate | None:
    """Whether the database's clock agrees with burst's; asked where the difference was measured."""
    skew = metrics.clock_skew_seconds
    if skew is None:
        return None
    worst_skew = abs(skew) + (metrics.clock_round_trip_seconds or 0.0) / 2
    status = GateStatus.PASS if worst_skew <= max_skew_seconds else GateStatus.INVALID
    question = _evidence("clock_skew_seconds", max_skew_seconds, Comparison.AT_MOST, SECONDS)
    return question.answer(status, worst_skew, f"the clocks differ by at most {worst_skew:.10g} s")


def _list_decisions(counts: receipts.Counts) -> str:
    entry = window_metrics.CountsEntry.from_counts(counts).model_dump(by_alias=True)
    return ", ".join(f"{count} {decision}" for decision, count in entry.items() if count)


def _evidence(
    name: str, required: Value, comparison: Comparison | None = None, unit: str | None = None
) -> GateQuestion:
    return GateQuestion(
        name=name, blocker=catalogues.Role.EVIDENCE, required=required, comparison=comparison, unit=unit
    )


def baseline_gate(baseline: baselines.Baseline | None, problem: str) -> Gate:
    """Whether there is a baseline that may be divided by."""
    question = GateQuestion(name="baseline", blocker=catalogues.Role.BASELINE, required="verified")
    if baseline is None:
        return question.answer(GateStatus.INVALID, None, problem)
    return question.answer(GateStatus.PASS, baseline.rate_per_minute, f"from {baseline.source}")


def coherence_gate(
    plan: plans.Plan, identities: Sequence[tuple[str, str, str]], problem: str, *, name: str = RUN_SCOPE
) -> Gate:
    """Whether every document speaks of one run and one scope; `name` is that of the gate.

    `identities` holds (document name, execution_id, platform_run_id). `problem` names a document that is needed and
    missing, so that leaving out the one that disagrees does not make the others agree.
    """
    question = GateQuestion(name=name, blocker=catalogues.Role.SCOPE, required=plan.scope, comparison=Comparison.EQUALS)
    if plan.scope == "fresh":
        return question.answer(
            GateStatus.INVALID, None, "the plan's scope is fresh: adjudicate with the plan as executed"
        )
    if problem:
        return question.answer(GateStatus.INVALID, None, problem)
    expected = plan.execution_id or identities[0][1]
    for document, execution_id, scope in identities:
        if scope != plan.scope:
            return question.answer(GateStatus.FAIL, scope, f"{document} speaks of scope {scope}")
        if execution_id != expected:
            why = f"{document} speaks of run {execution_id}, not {expected}"
            return dataclasses.replace(question, required=expected).answer(GateStatus.FAIL, execution_id, why)
    return question.answer(GateStatus.PASS, plan.scope, "every document speaks of this run and scope")


def same_expectation(entry: fact_answers.FactEntry, fact: fact_sections.FactSection) -> bool:
    """Whether an answer was held against what the plan expects; `true` is not 1 here either."""
    pairs = ((entry.equals, fact.equals), (entry.at_most, fact.at_most), (entry.at_least, fact.at_least))
    return all(limits.same_value(answered, planned) for answered, planned in pairs)


def expectation(fact: fact_answers.FactEntry | question_sections.QuestionSection) -> limits.Limit:
    """The one limit of a question."""
    return limits.choose(fact.equals, fact.at_most, fact.at_least)


def fact_gate(entry: fact_answers.FactEntry, short: str) -> Gate:
    """Whether one fact is as expected: it is an observation with one sample."""
    answer = expectation(entry).judge(entry.value, entry.detail)
    return _fact(entry, short).answer(answer.status, entry.value, answer.why)


def missing_fact_gate(fact: fact_sections.FactSection, short: str, why: str) -> Gate:
    """The gate of a fact the plan declares and no document answers."""
    return _fact(fact, short).answer(GateStatus.INVALID, None, why)


def _fact(fact: fact_answers.FactEntry | fact_sections.FactSection, short: str) -> GateQuestion:
    limit = expectation(fact)
    return GateQuestion(name=fact.name, blocker=short, required=limit.required, comparison=limit.comparison)


def budget_gate(result: task_results.TaskResult | None, budget_seconds: float, problem: str) -> Gate:
    """Whether the run kept its budget, first start to last stop."""
    question = GateQuestion(
        name=RUNTIME_BUDGET,
        blocker=catalogues.Role.BUDGET,
        required=budget_seconds,
        comparison=Comparison.AT_MOST,
        unit=SECONDS,
    )
    if result is None:
        return question.answer(GateStatus.INVALID, None, problem)
    if result.window is None:
        return question.answer(GateStatus.INVALID, None, "no task was seen to start and stop")
    elapsed = result.window.seconds
    if elapsed <= budget_seconds:
        why = f"ran {instants.exact(elapsed)} s of {instants.exact(budget_seconds)} s"
        return question.answer(GateStatus.PASS, elapsed, why)
    why = f"ran {instants.exact(elapsed)} s, {instants.exact(elapsed - budget_seconds)} s over the budget"
    return question.answer(GateStatus.FAIL, elapsed, why)


def stop_gate(result: task_results.TaskResult | None, problem: str) -> Gate:
    """Whether every task was seen to end."""
    question = GateQuestion(name=STOP_PROVEN, blocker=catalogues.Role.BUDGET, required=0, comparison=Comparison.EQUALS)
    if result is None:
        return question.answer(GateStatus.INVALID, None, problem)
    unproven = result.unproven
    if not result.tasks:
        return question.answer(GateStatus.INVALID, len(unproven), "no task ran, so no stop is proven")
    if unproven:
        return question.answer(GateStatus.FAIL, len(unproven), f"nobody saw these tasks stop: {', '.join(unproven)}")
    if result.stopped_before_start:
        why = f"a stop before the start proves nothing: {', '.join(result.stopped_before_start)}"
        return question.answer(GateStatus.INVALID, 0, why)
    return question.answer(GateStatus.PASS, 0, "every task was seen to stop")


DEADLINE_SLACK_SECONDS = 5.0
"""How long after deadline and grace a layer may still be at it: a guard looks for survivors every 20 ms, the watchdog
four times a second, and a guard waits 5 s at most until its last record is written (`s3_link.LAST_RECORD_SECONDS`)."""


def deadline_gate(plan: plans.Plan, result: task_results.TaskResult | None) -> Gate | None:
    """Whether the last task had ended by deadline and grace; None where the task result states no deadline.

    The platform calls a task stopped some time after its load has ended. So a stop in time proves the deadline kept,
    the earliest end of a load that came too late proves it broken, and between the two nobody can tell.
    """
    if result is None or result.deadline_utc is None:
        return None
    allowed = plan.budget.stop_grace + DEADLINE_SLACK_SECONDS
    question = GateQuestion(
        name="deadline_kept",
        blocker=catalogues.Role.BUDGET,
        required=allowed,
        comparison=Comparison.AT_MOST,
        unit=SECONDS,
    )
    started = [task for task in result.tasks if task.started_utc is not None]
    stops = [task.stopped_utc for task in result.tasks if task.stopped_utc is not None]
    if not stops or result.unproven:
        return question.answer(GateStatus.INVALID, None, "the end of the last task is not known")
    late_seconds = max(0.0, instants.seconds_between(result.deadline_utc, max(stops)))
    late = f"the last task ended {instants.exact(late_seconds)} s after the deadline"
    if late_seconds <= allowed:
        why = late if late_seconds else "the last task ended before the deadline"
        return question.answer(GateStatus.PASS, late_seconds, why)
    ends = [moment for moment in map(holding.find_load_end, started) if moment is not None]
    proven_seconds = instants.seconds_between(result.deadline_utc, max(ends)) if ends else 0.0
    if proven_seconds > allowed:
        return question.answer(GateStatus.FAIL, late_seconds, f"{late}, {instants.exact(allowed)} s allowed")
    why = f"{late}, and no guard recorded whether its load had ended within {instants.exact(allowed)} s"
    return question.answer(GateStatus.INVALID, late_seconds, why)


def one_shot_gates(
    plan: plans.Plan, when: Literal["before", "after"], result: task_results.TaskResult | None, problem: str
) -> tuple[Gate, ...]:
    """Whether each command before, or after, the burst ended as it should.

    A command before it is a dependency of the burst. A command after it makes evidence, which is not of this attempt
    where the command did not run.
    """
    role, shots = (
        (catalogues.Role.DEPENDENCY, plan.before) if when == "before" else (catalogues.Role.EVIDENCE, plan.after)
    )
    entries = {entry.name: entry for entry in (result.one_shots if result else []) if entry.when == when}
    return tuple(_one_shot_gate(f"{when}:{shot.name}", role, shot, entries.get(shot.name), problem) for shot in shots)


def _one_shot_gate(
    name: str,
    role: catalogues.Role,
    shot: target_sections.OneShotSection,
    entry: task_results.OneShotEntry | None,
    problem: str,
) -> Gate:
    why = (problem or "it was not run") if entry is None else entry.problem
    proven = entry is not None and entry.exit_code == shot.exit_code and entry.stopped_utc is not None
    if why is None and not proven:
        why = f"no proof that it ended with exit code {shot.exit_code}"
    unknown = entry is None or entry.exit_code is None
    status = GateStatus.PASS if why is None else GateStatus.INVALID if unknown else GateStatus.FAIL
    question = GateQuestion(name=name, blocker=role, required=shot.exit_code, comparison=Comparison.EQUALS)
    return question.answer(status, entry.exit_code if entry else None, why or "it ended as it should")


def services_gate(plan: plans.Plan, result: task_results.TaskResult | None, problem: str) -> Gate | None:
    """Whether no service is still scaled for the burst; None where neither plan nor result names one.

    The list comes from the plan, so a result cannot hide a service by leaving it out.
    """
    if not plan.services and not (result and result.services):
        return None
    question = GateQuestion(
        name=SERVICES_BACK, blocker=catalogues.Role.BUDGET, required=0, comparison=Comparison.EQUALS
    )
    if result is None:
        return question.answer(GateStatus.INVALID, None, problem)
    scaled = result.not_restored
    if scaled:
        commands = "; ".join(service.command or service.name for service in scaled)
        return question.answer(GateStatus.FAIL, len(scaled), f"not put back; run: {commands}")
    unnamed = sorted({service.name for service in plan.services} - {service.name for service in result.services})
    if result.tasks and unnamed:
        why = f"the burst ran, and nothing tells how {', '.join(unnamed)} stood before"
        return question.answer(GateStatus.INVALID, None, why)
    restored = "; ".join(f"{service.name} {service.detail}" for service in result.services)
    return question.answer(GateStatus.PASS, 0, restored or "none was scaled")


def load_gate(metrics: window_metrics.Metrics | None, problem: str) -> Gate:
    """Whether load was delivered."""
    question = GateQuestion(
        name="load_delivered", blocker=catalogues.Role.EXECUTION, required=1, comparison=Comparison.AT_LEAST
    )
    if metrics is None:
        return question.answer(GateStatus.INVALID, None, f"unknown: {problem}")
    total = metrics.counts.counts.total
    if total:
        return question.answer(GateStatus.PASS, total, wording.format_count(total, "receipt"))
    return question.answer(GateStatus.FAIL, total, "no load delivered: not one receipt in the window")


def tasks_gate(
    plan: plans.Plan, result: task_results.TaskResult | None, problem: str, load: load_documents.Load | None = None
) -> Gate:
    """Whether enough tasks started and held to the window's end."""
    required = plan.target.least_tasks
    question = GateQuestion(
        name="tasks_held", blocker=catalogues.Role.EXECUTION, required=required, comparison=Comparison.AT_LEAST
    )
    if result is None:
        return question.answer(GateStatus.INVALID, None, problem)
    holdings = holding.judge_result(result, holding.HoldingTerms.from_plan(plan), load)
    held = sum(judged.held for judged in holdings)
    dropped = _list_dropped(result)
    if held >= required:
        why = f"{wording.format_count(held, 'task')} held to the end{_tell_quorum(result)}"
        return question.answer(GateStatus.PASS, held, "; ".join([why, *dropped]))
    reasons = [
        f"{judged.task.id} {judged.problem}{unsent_load.tell_unsent(plan, judged.task, load)}"
        for judged in holdings
        if not judged.held
    ]
    never = [f"{required - len(holdings)} never started"] if len(holdings) < required else []
    return question.answer(GateStatus.FAIL, held, "; ".join([*never, *reasons, *dropped]))


def _tell_quorum(result: task_results.TaskResult) -> str:
    """That GO was given to fewer tasks than planned; empty where it was not, or is not known."""
    if None in (result.go_tasks, result.planned_tasks) or result.go_tasks == result.planned_tasks:
        return ""
    return f"; GO with {result.go_tasks} of {wording.format_count(result.planned_tasks or 0, 'task')}"


def _list_dropped(result: task_results.TaskResult) -> list[str]:
    """Each task that failed before GO: it is none of those that had to hold, and its end is said."""
    return [
        f"{task.id} is no part of the burst: {task.dropped}" + (f" ({task.detail})" if task.detail else "")
        for task in result.tasks
        if task.dropped
    ]


def halt_gate(result: task_results.TaskResult | None, problem: str) -> Gate:
    """Whether neither a halt of run control nor an alarm or fact of `stop_when` stopped the run."""
    question = GateQuestion(
        name=NOT_HALTED, blocker=catalogues.Role.EXECUTION, required=0, comparison=Comparison.EQUALS
    )
    if result is None:
        return question.answer(GateStatus.INVALID, None, problem)
    reasons = []
    if result.halt is not None:
        since = instants.text(result.halt.since_utc)
        reasons.append(f"halted by {result.halt.by} since {since} ({result.halt.place}): {result.halt.reason}")
    if result.stop_sign is not None:
        at = instants.text(result.stop_sign.at_utc)
        reasons.append(f"{result.stop_sign.sign} was {result.stop_sign.value} at {at}: {result.stop_sign.detail}")
    if not reasons and result.stop_reason in (task_results.HALTED, task_results.ALARM):
        reasons.append(f"the stop reason is {result.stop_reason}, and the task result does not say more")
    if reasons:
        return question.answer(GateStatus.FAIL, len(reasons), "; ".join(reasons))
    return question.answer(GateStatus.PASS, 0, "no halt and no stop sign ended it")
