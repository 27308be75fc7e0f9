"""Load gates: whether the generator sent what the plan made due, and how the system under load answered it.

A rate that was not reached is the system's failure only where the generator offered it. So what is due follows from the
plan, and what was sent from the programs' own accounts; without accounts the receipts have to show it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from burst.domain.basics import arrivals, instants, wording
from burst.domain.documents import load_answers, load_documents, task_results, window_metrics
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import gates, load_backlogs
from burst.load import rate_plans

OFFERED_LOAD = "offered_load"
START_SECONDS = 2.0
"""How long after GO a program may begin, and how long before its end its account may be its last: a schedule of the
program's own that makes less due than the plan by more than this is another rate."""
MILLISECONDS = "ms"
ANSWER_SECONDS = 10.0
"""A request that has no answer after so long is no success, as burst's own programs give it up then."""
NOBODY_CAN_TELL = "the plan declares no rate, so nobody can tell what was offered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the gate of the offered load is answered from."""

    plan: plans.Plan
    result: task_results.TaskResult | None
    metrics: window_metrics.Metrics
    load: load_documents.Load | None

    @property
    def seconds(self) -> float:
        """How long the load surely lasted within the counted window."""
        window, ended = self.metrics.window.window, self.metrics.load_ended_utc
        end = window.end if ended is None else min(window.end, ended)
        return load_documents.seconds_until(window.start, end)

    @property
    def events_per_second(self) -> float:
        """The rate of the tasks that GO was given to: each has its share of the plan's."""
        return (self.plan.mean_rate or 0.0) / 60 * self.share

    @property
    def share(self) -> float:
        """The share of the planned tasks that GO was given to."""
        return min(1.0, self.go_tasks / self.plan.target.tasks)

    @property
    def planned_due(self) -> int:
        """What the plan made due, where chance has a part in it the least."""
        return self._count_due(self.seconds)

    @property
    def least_due(self) -> int:
        """The least that the schedules of programs which follow the plan make due."""
        return self._count_due(self.seconds - START_SECONDS)

    def _count_due(self, seconds: float) -> int:
        lead, decided = self.plan.lead_seconds, max(0.0, seconds - load_documents.PATIENCE_SECONDS)
        if self.plan.rate_plan is None and not lead:
            mean = load_documents.count_planned_due(self.events_per_second, seconds)
        else:  # the accounts begin at GO
            mean = int((self.plan.count_planned(0.0, lead + decided) or 0.0) * self.share)
        return self._allow(mean)

    @property
    def planned_receipts(self) -> int:
        """What the plan made due in the counted window, of which there are receipts."""
        lead, decided = self.plan.lead_seconds, max(0.0, self.seconds - load_documents.PATIENCE_SECONDS)
        if self.plan.rate_plan is None and not lead:
            return self.planned_due
        return self._allow(int((self.plan.count_planned(lead, lead + decided) or 0.0) * self.share))

    def count_step(self, events: int) -> int:
        """The least of a step's events that the tasks which burst make due."""
        mean = int(events * self.share)
        return max(0, int(mean - arrivals.allow_for_chance(mean, self.plan.load.arrivals)) - self.plan.target.tasks)

    def _allow(self, mean: int) -> int:
        """The least that a mean makes due, by chance and by the source."""
        due = max(min(mean, 1), int(mean - arrivals.allow_for_chance(mean, self.plan.load.arrivals)))
        source = arrivals.share_source(self.plan.load.source_events, self.plan.target.tasks, self.go_tasks)
        return due if source is None else min(due, source)

    @property
    def go_tasks(self) -> int:
        """How many tasks have to have an account."""
        by_result = None if self.result is None else self.result.go_tasks
        return self.plan.target.tasks if by_result is None else by_result


def declares_rate(plan: plans.Plan) -> bool:
    """Whether what was due is known."""
    return plan.mean_rate is not None


def offered_load_gate(
    plan: plans.Plan,
    result: task_results.TaskResult | None,
    metrics: window_metrics.Metrics | None,
    problem: str,
    load: load_documents.Load | None,
    load_problem: str,
) -> gates.Gate | None:
    """Whether the generator offered what the plan made due; None where nobody can tell what was."""
    if not declares_rate(plan) and not plan.load.plays_at_speed_up:
        return None
    required = plan.gates.least_offered
    question = gates.GateQuestion(
        name=OFFERED_LOAD, blocker=catalogues.Role.EXECUTION, required=required, comparison=gates.Comparison.AT_LEAST
    )
    if metrics is None:
        return question.answer(gates.GateStatus.INVALID, None, f"unknown: {problem}")
    accounts_left = (result.load_accounts or 0) if result is not None else 0
    if accounts_left > (len(load.tasks) if load is not None else 0):
        why = load_problem if load is None else f"{len(load.tasks)} are in its document"
        accounts = wording.format_count(accounts_left, "task")
        return question.answer(gates.GateStatus.INVALID, None, f"{accounts} left a load account, and {why}")
    offer = Offer(plan=plan, result=result, metrics=metrics, load=load)
    if plan.load.plays_at_speed_up:
        return _judge_recorded(question, required, offer, load)
    if load is not None and len(load.shards_with_due) >= offer.go_tasks:
        return _judge_schedules(question, required, offer, load)
    if not offer.planned_due:
        why = f"nothing was due in {instants.exact(offer.seconds)} s at this rate"
        return question.answer(gates.GateStatus.PASS, 1.0, why)
    return _judge_totals(question, required, offer)


def _judge_recorded(
    question: gates.GateQuestion, required: float, offer: Offer, load: load_documents.Load | None
) -> gates.Gate:
    """By the schedules of a recording that is played at a speed-up: nobody but the tasks knows what was due."""
    if load is None or len(load.shards_with_due) < offer.go_tasks or not load.decided_due:
        telling_tasks = 0 if load is None else len(load.shards_with_due)
        why = f"{telling_tasks} of {offer.go_tasks} tasks say what of the recording was due, and nothing else does"
        return question.answer(gates.GateStatus.INVALID, None, f"unknown: {why}")
    due, in_time = load.decided_due, load.in_time
    measured = min(1.0, in_time / due)
    why = f"sent {in_time:,} of {due:,} recorded due in time, latest {load.latest_seconds:.1f} s late"
    withheld = _find_withheld_part(required, offer, load)
    if withheld is not None and gates.at_least(measured, required):
        return question.answer(gates.GateStatus.FAIL, withheld[0], _blame(withheld[1], load))
    if gates.at_least(measured, required):
        return question.answer(gates.GateStatus.PASS, measured, why)
    return question.answer(gates.GateStatus.FAIL, measured, _blame(why, load))


def _judge_schedules(
    question: gates.GateQuestion, required: float, offer: Offer, load: load_documents.Load
) -> gates.Gate:
    """By the programs' own schedules: they say of each event when it was due, and when it was sent."""
    due, in_time = load.decided_due, load.in_time
    if due < required * offer.least_due:
        measured = in_time / offer.planned_due
        why = (
            f"the programs' own accounts end with {due:,} due, and the plan made {offer.planned_due:,} due in "
            f"{instants.exact(offer.seconds)} s"
        )
        return question.answer(gates.GateStatus.FAIL, min(measured, 1.0), _blame(why, load))
    measured = 1.0 if not due else in_time / due
    withheld = _find_withheld_part(required, offer, load)
    if withheld is not None and gates.at_least(measured, required):
        return question.answer(gates.GateStatus.FAIL, withheld[0], _blame(withheld[1], load))
    latest = f"latest {load.latest_seconds:.1f} s late"
    if gates.at_least(measured, required):
        return question.answer(gates.GateStatus.PASS, measured, f"sent {in_time:,} of {due:,} due in time, {latest}")
    patience = f"in time is up to {load_documents.PATIENCE_SECONDS:g} s after it was due"
    why = f"sent {in_time:,} of {due:,} due, {latest} ({patience})"
    return question.answer(gates.GateStatus.FAIL, measured, _blame(why, load))


def _find_withheld_part(required: float, offer: Offer, load: load_documents.Load) -> tuple[float, str] | None:
    """The first part of the load of which too little was sent in time, or sent within it: the share, and why. A whole
    that was sent may hide a peak that was not."""
    steps, ended = offer.plan.rate_plan, offer.plan.lead_seconds + offer.seconds - load_documents.PATIENCE_SECONDS
    if steps is None:
        return _find_shortfall(required, offer, load, 0.0, offer.seconds, "the window")
    source = offer.plan.load.source_events
    for place in steps.placed if source is None else ():
        until = min(float(place.end), ended)
        if until <= place.start:
            break
        end = min(float(place.end), ended + load_documents.PATIENCE_SECONDS)
        name = f"step {place.step.name}"
        withheld = _find_late(required, offer, load, place, until) or _find_shortfall(
            required, offer, load, float(place.start) - offer.plan.lead_seconds, end - offer.plan.lead_seconds, name
        )
        if withheld is not None:
            return withheld
    return None


def _find_late(
    required: float, offer: Offer, load: load_documents.Load, place: rate_plans.PlacedStep, until: float
) -> tuple[float, str] | None:
    """Whether too little of what was due in a step, to so many seconds after GO, was sent in time."""
    planned, steps = 0, offer.plan.rate_plan
    if steps is not None:
        planned = offer.count_step(steps.count_due(place.start, until))
    if not load.steps and not offer.plan.load.runs_own_profile:
        return None  # another program's lines name no step: its seconds are judged
    account = load.find_step(place.step.name)
    due, in_time = (account.due, max(0, account.in_time - account.unsent)) if account else (0, 0)
    if until < place.end:  # an event due at the very end could still have been in time
        due -= min(due - min(due, in_time), sum(task.undecided for task in load.tasks))
    if not planned or not (due < required * planned or in_time < required * due):
        return None
    of = max(due, planned)
    return min(1.0, in_time / of), f"in step {place.step.name} it sent {in_time:,} in time of {of:,} due"


def _find_shortfall(
    required: float, offer: Offer, load: load_documents.Load, start: float, end: float, name: str
) -> tuple[float, str] | None:
    """Whether the generator stayed behind within a part; `start` and `end` in seconds of the counted window."""
    began = offer.metrics.window.start_utc
    shortfall = load_backlogs.find_shortfall(
        load, instants.later(began, start), instants.later(began, end), required=required
    )
    if shortfall is None:
        return None
    figures = f"{shortfall.sent:,} of {shortfall.due:,} due in {shortfall.seconds} s"
    return shortfall.share, f"it stayed behind in {name}: {figures} were sent within them"


def _judge_totals(question: gates.GateQuestion, required: float, offer: Offer) -> gates.Gate:
    """By how much was sent, or answered with a receipt, in all."""
    planned, load = offer.planned_due, offer.load
    receipts = offer.metrics.counts.counts.total
    sent = load.sent if load is not None and len(load.tasks) >= offer.go_tasks else None
    planned = planned if sent is not None else offer.planned_receipts
    offered = receipts if sent is None else max(sent, receipts)
    measured = min(1.0, offered / planned) if planned else 1.0
    words = f"{wording.format_count(receipts, 'receipt')}" if sent is None else f"sent {sent:,}"
    why = f"{words} of {planned:,} due in {instants.exact(offer.seconds)} s"
    if sent is None:
        lacking = offer.go_tasks - (len(load.tasks) if load else 0)
        why = f"{why}, and {wording.format_count(lacking, 'task')} left no account of what was sent"
    if gates.at_least(measured, required):
        return question.answer(gates.GateStatus.PASS, measured, why)
    return question.answer(gates.GateStatus.FAIL, measured, _blame(why, load))


def _blame(why: str, load: load_documents.Load | None) -> str:
    return "; ".join(filter(None, [f"the generator withheld load: {why}", name_failures(load)]))


def name_failures(load: load_documents.Load | None) -> str:
    """The most frequent refusals and failures in words; empty where there are none, or there is no account."""
    failures = load.name_failures() if load is not None else ""
    return f"answers that were no success: {failures}" if failures else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSource:
    """What a limit on answers is answered from; `problem` says why there are none, where `answers` is None."""

    plan: plans.Plan
    result: task_results.TaskResult | None
    load: load_documents.Load | None
    answers: load_answers.Answers | None
    problem: str

    @property
    def gap(self) -> str:
        """Why not every answer is known; empty where each is."""
        planned = self.plan.target.tasks
        go_tasks = planned if self.result is None or self.result.go_tasks is None else self.result.go_tasks
        return self.problem if self.load is None else _find_gap(self.plan, self.load, go_tasks)


def answer_gates(
    plan: plans.Plan, result: task_results.TaskResult | None, load: load_documents.Load | None, problem: str
) -> Iterator[gates.Gate]:
    """How long answers took, and how many of them were no success, for every limit that the plan sets.

    An answer that nobody counted may be the one that breaks a limit: the accounts have to be whole. What a load sends
    before its counted window, or after, is not judged.
    """
    answers = None if load is None else _find_counted(plan, load)
    why = problem if load is None else "no account says which answers are those of the counted steps"
    source = AnswerSource(plan=plan, result=result, load=load, answers=answers, problem=why)
    for name in _MEASURES:
        limit: float | None = getattr(plan.gates, name)
        if limit is not None:
            yield answer_limit(source, name, limit, gate_name=name)


def _find_counted(plan: plans.Plan, load: load_documents.Load) -> load_answers.Answers | None:
    steps = plan.rate_plan
    if steps is None or all(step.count for step in steps.steps):
        return load_answers.Answers.of_burst(load)
    return load_answers.Answers.of_steps(load, [step.name for step in steps.steps if step.count])


def answer_limit(source: AnswerSource, name: str, limit: float, *, gate_name: str) -> gates.Gate:
    """One limit on answers, by the name that a plan gives it."""
    question = gates.GateQuestion(
        name=gate_name,
        blocker=catalogues.Role.PROFILE,
        required=limit,
        comparison=gates.Comparison.AT_MOST,
        unit=MILLISECONDS if name.endswith("_ms") else None,
    )
    answers, gap = source.answers, source.gap
    measured = None if answers is None or gap else _MEASURES[name](answers, limit)
    if answers is None or measured is None:
        why = gap or (source.problem if answers is None else _explain_unmeasured(answers, limit))
        return question.answer(gates.GateStatus.INVALID, None, why)
    status = gates.GateStatus.PASS if measured <= limit else gates.GateStatus.FAIL
    return question.answer(status, measured, _explain(gate_name, measured, limit, source.plan, answers))


def _find_gap(plan: plans.Plan, load: load_documents.Load, go_tasks: int) -> str:
    """Why not every answer is known; empty where each is."""
    lacking, bad_lines = go_tasks - len(load.tasks), sum(task.bad_lines for task in load.tasks)
    if lacking > 0:
        return f"{wording.format_count(lacking, 'task')} left no account, so not every answer is known"
    if bad_lines:
        return f"{wording.format_count(bad_lines, 'line')} of the accounts make no sense, so not every answer is known"
    silent = sum(max(0, plan.load.processes_per_task - _count_processes(plan, task)) for task in load.tasks)
    if silent:
        return f"{silent} of the tasks' processes left no account, so not every answer is known"
    return ""


def _count_processes(plan: plans.Plan, task: load_documents.TaskAccount) -> int:
    """How many processes wrote the account of a task, as burst's own lines say; another program's say nothing of it."""
    if task.processes is None and plan.load.locustfile is None:
        return plan.load.processes_per_task
    return task.processes or 1


def _explain_unmeasured(answers: load_answers.Answers, limit: float) -> str:
    if not answers.answered:
        return "no answer was counted"
    timed, unanswered = sum(bucket.count for bucket in answers.latency), answers.count_unanswered(limit / 1000)
    waiting = f", and {wording.format_count(unanswered, 'request')} had none after {limit:g} ms" if unanswered else ""
    counted = wording.format_count(answers.answered, "answer")
    return f"the duration of {timed:,} of {counted} is known{waiting}, which is too few"


def _explain(gate_name: str, measured: float, limit: float, plan: plans.Plan, answers: load_answers.Answers) -> str:
    name, _, step = gate_name.partition("@")
    unit = " ms" if name.endswith("_ms") else ""
    why = f"{measured:g}{unit} of at most {limit:g}{unit}, over {wording.format_count(answers.answered, 'answer')}"
    why += f" in step {step}" if step else ""
    if unit:
        why = f"{why}; a bucket of latency is {answers.load.resolution:.1%} wide at most, and counts as its end"
    failures = "" if unit else answers.name_failures()
    unanswered = answers.count_unanswered(ANSWER_SECONDS) if name == "error_ratio" else 0
    if unanswered:
        why = f"{why}, and {wording.format_count(unanswered, 'request')} without one for {ANSWER_SECONDS:g} s"
    warn_at = next((at for of, at in (plan.gates.warn_at or {}).items() if of == gate_name), None)
    warning = f"; over warn_at {warn_at:g}{unit}" if warn_at is not None and measured > warn_at else ""
    return f"{why}{f' ({failures})' if failures else ''}{warning}"


def _share(answers: load_answers.Answers, number: int) -> float | None:
    return number / answers.answered if answers.answered else None


def _find_percentile(answers: load_answers.Answers, percent: float, limit: float) -> float | None:
    """A request that has waited longer than the limit already is one of those that took longest."""
    if not answers.answered:
        return None
    answered = answers.answered + answers.count_unanswered(limit / 1000)
    return load_documents.find_percentile_ms(answers.latency, percent, answered=answered)


def _find_error_ratio(answers: load_answers.Answers) -> float | None:
    unanswered = answers.count_unanswered(ANSWER_SECONDS)
    errors = answers.count_refused() + sum(answers.failed.values()) + unanswered
    return errors / (answers.answered + unanswered) if answers.answered else None


_MEASURES: Mapping[str, Callable[[load_answers.Answers, float], float | None]] = {
    "latency_p95_ms": lambda answers, limit: _find_percentile(answers, 95, limit),
    "latency_p99_ms": lambda answers, limit: _find_percentile(answers, 99, limit),
    "error_ratio": lambda answers, _: _find_error_ratio(answers),
    "client_error_ratio": lambda answers, _: _share(answers, answers.count_refused("4xx")),
    "server_error_ratio": lambda answers, _: _share(answers, answers.count_refused("5xx")),
}
ANSWER_GATES = tuple(_MEASURES)
"""The names of the optional gates, which are those of their limits in a plan."""
