"""Gates of the run itself: its documents and facts, its budget and end, its one-shots, services and tasks."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from burst.domain.basics import instants, wording
from burst.domain.documents import fact_answers, holding, load_documents, task_results
from burst.domain.observations import limits
from burst.domain.plan import catalogues, fact_sections, plans, question_sections, target_sections
from burst.domain.verdict import gates, unsent_load


def coherence_gate(
    plan: plans.Plan, identities: Sequence[tuple[str, str, str]], problem: str, *, name: str = gates.RUN_SCOPE
) -> gates.Gate:
    """Whether every document speaks of one run and one scope; `name` is that of the gate.

    `identities` holds (document name, execution_id, platform_run_id). `problem` names a document that is needed and
    missing, so that leaving out the one that disagrees does not make the others agree.
    """
    question = gates.GateQuestion(
        name=name, blocker=catalogues.Role.SCOPE, required=plan.scope, comparison=gates.Comparison.EQUALS
    )
    if plan.scope == "fresh":
        return question.answer(
            gates.GateStatus.INVALID, None, "the plan's scope is fresh: adjudicate with the plan as executed"
        )
    if problem:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    expected = plan.execution_id or identities[0][1]
    for document, execution_id, scope in identities:
        if scope != plan.scope:
            return question.answer(gates.GateStatus.FAIL, scope, f"{document} speaks of scope {scope}")
        if execution_id != expected:
            why = f"{document} speaks of run {execution_id}, not {expected}"
            return dataclasses.replace(question, required=expected).answer(gates.GateStatus.FAIL, execution_id, why)
    return question.answer(gates.GateStatus.PASS, plan.scope, "every document speaks of this run and scope")


def same_expectation(entry: fact_answers.FactEntry, fact: fact_sections.FactSection) -> bool:
    """Whether an answer was held against what the plan expects; `true` is not 1 here either."""
    pairs = ((entry.equals, fact.equals), (entry.at_most, fact.at_most), (entry.at_least, fact.at_least))
    return all(limits.same_value(answered, planned) for answered, planned in pairs)


def expectation(fact: fact_answers.FactEntry | question_sections.QuestionSection) -> limits.Limit:
    """The one limit of a question."""
    return limits.choose(fact.equals, fact.at_most, fact.at_least)


def fact_gate(entry: fact_answers.FactEntry, short: str) -> gates.Gate:
    """Whether one fact is as expected: it is an observation with one sample."""
    answer = expectation(entry).judge(entry.value, entry.detail)
    return _fact(entry, short).answer(answer.status, entry.value, answer.why)


def missing_fact_gate(fact: fact_sections.FactSection, short: str, why: str) -> gates.Gate:
    """The gate of a fact the plan declares and no document answers."""
    return _fact(fact, short).answer(gates.GateStatus.INVALID, None, why)


def _fact(fact: fact_answers.FactEntry | fact_sections.FactSection, short: str) -> gates.GateQuestion:
    limit = expectation(fact)
    return gates.GateQuestion(name=fact.name, blocker=short, required=limit.required, comparison=limit.comparison)


def budget_gate(result: task_results.TaskResult | None, budget_seconds: float, problem: str) -> gates.Gate:
    """Whether the run kept its budget, first start to last stop."""
    question = gates.GateQuestion(
        name=gates.RUNTIME_BUDGET,
        blocker=catalogues.Role.BUDGET,
        required=budget_seconds,
        comparison=gates.Comparison.AT_MOST,
        unit=gates.SECONDS,
    )
    if result is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    if result.window is None:
        return question.answer(gates.GateStatus.INVALID, None, "no task was seen to start and stop")
    elapsed = result.window.seconds
    if elapsed <= budget_seconds:
        why = f"ran {instants.exact(elapsed)} s of {instants.exact(budget_seconds)} s"
        return question.answer(gates.GateStatus.PASS, elapsed, why)
    why = f"ran {instants.exact(elapsed)} s, {instants.exact(elapsed - budget_seconds)} s over the budget"
    return question.answer(gates.GateStatus.FAIL, elapsed, why)


def stop_gate(result: task_results.TaskResult | None, problem: str) -> gates.Gate:
    """Whether every task was seen to end."""
    question = gates.GateQuestion(
        name=gates.STOP_PROVEN, blocker=catalogues.Role.BUDGET, required=0, comparison=gates.Comparison.EQUALS
    )
    if result is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    unproven = result.unproven
    if not result.tasks:
        return question.answer(gates.GateStatus.INVALID, len(unproven), "no task ran, so no stop is proven")
    if unproven:
        return question.answer(
            gates.GateStatus.FAIL, len(unproven), f"nobody saw these tasks stop: {', '.join(unproven)}"
        )
    if result.stopped_before_start:
        why = f"a stop before the start proves nothing: {', '.join(result.stopped_before_start)}"
        return question.answer(gates.GateStatus.INVALID, 0, why)
    return question.answer(gates.GateStatus.PASS, 0, "every task was seen to stop")


DEADLINE_SLACK_SECONDS = 5.0
"""How long after deadline and grace a layer may still be at it: a guard looks for survivors every 20 ms, the watchdog
four times a second, and a guard waits 5 s at most until its last record is written (`s3_link.LAST_RECORD_SECONDS`)."""


def deadline_gate(plan: plans.Plan, result: task_results.TaskResult | None) -> gates.Gate | None:
    """Whether the last task had ended by deadline and grace; None where the task result states no deadline.

    The platform calls a task stopped some time after its load has ended. So a stop in time proves the deadline kept,
    the earliest end of a load that came too late proves it broken, and between the two nobody can tell.
    """
    if result is None or result.deadline_utc is None:
        return None
    allowed = plan.budget.stop_grace + DEADLINE_SLACK_SECONDS
    question = gates.GateQuestion(
        name="deadline_kept",
        blocker=catalogues.Role.BUDGET,
        required=allowed,
        comparison=gates.Comparison.AT_MOST,
        unit=gates.SECONDS,
    )
    started = [task for task in result.tasks if task.started_utc is not None]
    stops = [task.stopped_utc for task in result.tasks if task.stopped_utc is not None]
    if not stops or result.unproven:
        return question.answer(gates.GateStatus.INVALID, None, "the end of the last task is not known")
    late_seconds = max(0.0, instants.seconds_between(result.deadline_utc, max(stops)))
    late = f"the last task ended {instants.exact(late_seconds)} s after the deadline"
    if late_seconds <= allowed:
        why = late if late_seconds else "the last task ended before the deadline"
        return question.answer(gates.GateStatus.PASS, late_seconds, why)
    ends = [moment for moment in map(holding.find_load_end, started) if moment is not None]
    proven_seconds = instants.seconds_between(result.deadline_utc, max(ends)) if ends else 0.0
    if proven_seconds > allowed:
        return question.answer(gates.GateStatus.FAIL, late_seconds, f"{late}, {instants.exact(allowed)} s allowed")
    why = f"{late}, and no guard recorded whether its load had ended within {instants.exact(allowed)} s"
    return question.answer(gates.GateStatus.INVALID, late_seconds, why)


def one_shot_gates(
    plan: plans.Plan, when: Literal["before", "after"], result: task_results.TaskResult | None, problem: str
) -> tuple[gates.Gate, ...]:
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
) -> gates.Gate:
    why = (problem or "it was not run") if entry is None else entry.problem
    proven = entry is not None and entry.exit_code == shot.exit_code and entry.stopped_utc is not None
    if why is None and not proven:
        why = f"no proof that it ended with exit code {shot.exit_code}"
    unknown = entry is None or entry.exit_code is None
    status = gates.GateStatus.PASS if why is None else gates.GateStatus.INVALID if unknown else gates.GateStatus.FAIL
    question = gates.GateQuestion(name=name, blocker=role, required=shot.exit_code, comparison=gates.Comparison.EQUALS)
    return question.answer(status, entry.exit_code if entry else None, why or "it ended as it should")


def services_gate(plan: plans.Plan, result: task_results.TaskResult | None, problem: str) -> gates.Gate | None:
    """Whether no service is still scaled for the burst; None where neither plan nor result names one.

    The list comes from the plan, so a result cannot hide a service by leaving it out.
    """
    if not plan.services and not (result and result.services):
        return None
    question = gates.GateQuestion(
        name=gates.SERVICES_BACK, blocker=catalogues.Role.BUDGET, required=0, comparison=gates.Comparison.EQUALS
    )
    if result is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    scaled = result.not_restored
    if scaled:
        commands = "; ".join(service.command or service.name for service in scaled)
        return question.answer(gates.GateStatus.FAIL, len(scaled), f"not put back; run: {commands}")
    unnamed = sorted({service.name for service in plan.services} - {service.name for service in result.services})
    if result.tasks and unnamed:
        why = f"the burst ran, and nothing tells how {', '.join(unnamed)} stood before"
        return question.answer(gates.GateStatus.INVALID, None, why)
    restored = "; ".join(f"{service.name} {service.detail}" for service in result.services)
    return question.answer(gates.GateStatus.PASS, 0, restored or "none was scaled")


def tasks_gate(
    plan: plans.Plan, result: task_results.TaskResult | None, problem: str, load: load_documents.Load | None = None
) -> gates.Gate:
    """Whether enough tasks started and held to the window's end."""
    required = plan.target.least_tasks
    question = gates.GateQuestion(
        name="tasks_held", blocker=catalogues.Role.EXECUTION, required=required, comparison=gates.Comparison.AT_LEAST
    )
    if result is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    holdings = holding.judge_result(result, holding.HoldingTerms.from_plan(plan), load)
    held = sum(judged.held for judged in holdings)
    dropped = _list_dropped(result)
    if held >= required:
        why = f"{wording.format_count(held, 'task')} held to the end{_tell_quorum(result)}"
        return question.answer(gates.GateStatus.PASS, held, "; ".join([why, *dropped]))
    reasons = [
        f"{judged.task.id} {judged.problem}{unsent_load.tell_unsent(plan, judged.task, load)}"
        for judged in holdings
        if not judged.held
    ]
    never = [f"{required - len(holdings)} never started"] if len(holdings) < required else []
    return question.answer(gates.GateStatus.FAIL, held, "; ".join([*never, *reasons, *dropped]))


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


def halt_gate(result: task_results.TaskResult | None, problem: str) -> gates.Gate:
    """Whether neither a halt of run control nor an alarm or fact of `stop_when` stopped the run."""
    question = gates.GateQuestion(
        name=gates.NOT_HALTED, blocker=catalogues.Role.EXECUTION, required=0, comparison=gates.Comparison.EQUALS
    )
    if result is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
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
        return question.answer(gates.GateStatus.FAIL, len(reasons), "; ".join(reasons))
    return question.answer(gates.GateStatus.PASS, 0, "no halt and no stop sign ended it")
