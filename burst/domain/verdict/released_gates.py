"""Released gates: questions that later rules ask otherwise, as a released version of the rules asked them.

A snapshot is adjudicated again by the rules it states, so these never change.
"""

from datetime import datetime

from burst.domain.basics import instants, wording
from burst.domain.documents import task_results, window_metrics
from burst.domain.plan import budget_sections, catalogues, plans
from burst.domain.tasks import tasks
from burst.domain.verdict import gates

_TAKEN = frozenset(
    {tasks.StopCode.SPOT_INTERRUPTION, tasks.StopCode.TERMINATION_NOTICE, tasks.StopCode.SCHEDULER_INITIATED}
)


def tasks_gate_0_1_0(
    plan: plans.Plan, result: task_results.TaskResult | None, metrics: window_metrics.Metrics | None, problem: str
) -> gates.Gate:
    """Whether enough tasks started and held to the window's end."""
    required = plan.target.least_tasks
    question = gates.GateQuestion(
        name="tasks_held", blocker=catalogues.Role.EXECUTION, required=required, comparison=gates.Comparison.AT_LEAST
    )
    if result is None:
        return question.answer(gates.GateStatus.INVALID, None, problem)
    end = metrics.window.window.end if metrics else result.stopped_utc
    ended = {
        task.id: _ended_early(task, _due(task, plan.budget, result, end), plan.budget.stop_grace)
        for task in result.tasks
    }
    held = sum(reason is None for reason in ended.values())
    if held >= required:
        return question.answer(gates.GateStatus.PASS, held, f"{wording.format_count(held, 'task')} held to the end")
    reasons = "; ".join(f"{name} {reason}" for name, reason in ended.items() if reason)
    never = f"{required - len(ended)} never started; " if len(ended) < required else ""
    return question.answer(gates.GateStatus.FAIL, held, f"{never}{reasons}".rstrip("; "))


def _due(
    task: task_results.TaskEntry,
    budget: budget_sections.BudgetSection,
    result: task_results.TaskResult,
    end: datetime | None,
) -> datetime | None:
    """Until when a task had to run: the window's end, and the declared one where the tasks' own ends moved it.

    A program whose source is spent may end with the shortest window that passes; a task that was taken may not.
    """
    if result.attempt is None or not result.ended_by_its_tasks:
        return end
    seconds = budget.window_seconds if task.stop_code in _TAKEN else budget.min_window
    declared = instants.later(result.attempt.start, seconds)
    return declared if end is None else max(declared, end)


def _ended_early(task: task_results.TaskEntry, due: datetime | None, grace_seconds: float) -> str | None:
    """Why a task did not hold until it was due, None when it did or when a layer of the hard stop ended it.

    Programs that end by themselves do so seconds apart, so a task that exits 0 within the grace of that has held.
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
    ended = "was taken" if task.stop_code in _TAKEN else "ended by itself"
    if task.exit_code != 0:
        return f"{ended} with exit code {task.exit_code}{_because(task)}"
    early = instants.seconds_between(task.stopped_utc, due)
    if early > grace_seconds:
        return f"{ended} {instants.exact(early)} s before the window was to end{_because(task)}"
    return None


def _because(task: task_results.TaskEntry) -> str:
    return f" ({task.detail})" if task.detail else ""
