"""Endings: why a run ended before its window was complete, or without one, in a sentence with what to do about it.

`stop_reason` in a task result is a word for machines. `ENDINGS` has a row for each of them: the words, made of the
figures of the task result, and the advice. The verdict, the report and the blockers that rest on a window say them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants, wording
from burst.domain.documents import task_results

WINDOW_COMPLETE = "window-complete"
"""The only stop reason that needs no explanation."""

Describe = Callable[[task_results.TaskResult, str], str]
"""The words of an ending, from the task result and the detail of its stop reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One row: how an ending is described, and what to do about it; empty where nothing is to be done."""

    describe: Describe
    advice: str = ""


def explain_ending(result: task_results.TaskResult | None) -> str | None:
    """Why the run ended before its window was complete; None where it was, and where the result does not say."""
    if result is None or result.stop_reason is None:
        return None
    reason, _, detail = result.stop_reason.partition(": ")
    if reason == WINDOW_COMPLETE:
        return None
    ending = ENDINGS.get(reason)
    if ending is None:
        return result.stop_reason
    parts = (ending.describe(result, detail), ending.advice)
    return ": ".join(part for part in (reason, "; ".join(part for part in parts if part)) if part)


def _seconds(start: datetime | None, end: datetime | None) -> str:
    return f" after {instants.seconds_between(start, end):.0f} s" if start and end else ""


def _describe_readiness(result: task_results.TaskResult, detail: str) -> str:
    planned = result.planned_tasks if result.planned_tasks is not None else len(result.tasks)
    after = _seconds(result.launched_utc, result.stop_decided_utc)
    return "" if result.ready_tasks is None else f"{result.ready_tasks} of {planned} ready{after}"


def _describe_silence(result: task_results.TaskResult, detail: str) -> str:
    after, why = _seconds(result.launched_utc, result.stop_decided_utc), result.stop_detail
    return f"GO waited for the first sample of {detail}, and none had come{after}{f' ({why})' if why else ''}"


def _describe_no_time(result: task_results.TaskResult, detail: str) -> str:
    ready = _describe_readiness(result, detail) if result.launched_utc else "nothing was launched yet"
    return "; ".join(part for part in (ready, "the window would end past the deadline") if part)


def _describe_early_ends(result: task_results.TaskResult, detail: str) -> str:
    """How many tasks ended before the run was stopped, and what became of the first."""
    stop = result.stop_decided_utc
    ends = [
        (task.stopped_utc, task) for task in result.tasks if task.stopped_utc and (not stop or task.stopped_utc < stop)
    ]
    if not ends:
        return _describe_readiness(result, detail)
    _, first = min(ends, key=lambda end: end[0])
    code = f", exit code {first.exit_code}" if first.exit_code is not None else ""
    why = f" ({first.detail})" if first.detail else ""
    return (
        f"{wording.format_count(len(ends), 'task')} ended, first {first.id}: {first.stop_code or 'no code'}{code}{why}"
    )


def _describe_shortage(result: task_results.TaskResult, detail: str) -> str:
    planned = result.planned_tasks if result.planned_tasks is not None else len(result.tasks)
    return f"{len(result.tasks)} of {planned} were started: {detail}"


def _describe_layer(result: task_results.TaskResult, detail: str) -> str:
    whys = {layer.name: layer.detail for layer in result.layers}
    return "; ".join(f"{name} ({whys[name]})" if whys.get(name) else name for name in detail.split(", "))


def _describe_deadline(result: task_results.TaskResult, detail: str) -> str:
    if result.go_utc is None:
        return "it came before GO"
    return f"it came{_seconds(result.go_utc, result.deadline_utc)} of the burst".replace(" after", "")


def _describe_tasks_ended(result: task_results.TaskResult, detail: str) -> str:
    stops = [task.stopped_utc for task in result.tasks if task.stopped_utc]
    return f"no task was left{_seconds(result.go_utc, max(stops))} of the burst" if stops else "no task was left"


def _describe_early_stop(result: task_results.TaskResult, detail: str) -> str:
    early = result.early_stop
    if early is None:
        return ""
    rule = f"{early.rule}, {early.detail}" if early.detail else early.rule
    return f"{rule}{_seconds(result.go_utc, early.at_utc)}"


def _describe_signal(result: task_results.TaskResult, detail: str) -> str:
    return f"by {result.interruption.signal}" if result.interruption else ""


def _describe_halt(result: task_results.TaskResult, detail: str) -> str:
    halt = result.halt
    return "" if halt is None else f"by {halt.by} since {instants.text(halt.since_utc)}: {halt.reason}"


def _describe_stop_sign(result: task_results.TaskResult, detail: str) -> str:
    sign = result.stop_sign
    return "" if sign is None else f"{sign.sign} was {sign.value}{_seconds(result.go_utc, sign.at_utc)}"


def _tell_detail(result: task_results.TaskResult, detail: str) -> str:
    return detail or result.stop_detail or ""


def _describe_resumption(result: task_results.TaskResult, detail: str) -> str:
    return "its controller had ended before GO, and a run that is resumed launches nothing"


ENDINGS: Mapping[str, Ending] = {
    "not-ready-in-time": Ending(
        describe=_describe_readiness,
        advice="raise budget.start_timeout, and see that a program of load.waits_for_go makes BURST_READY_FILE",
    ),
    "series-silent": Ending(
        describe=_describe_silence, advice="see: burst runbook observations, and burst preflight, which asks each once"
    ),
    "no-time-left-for-the-window": Ending(describe=_describe_no_time, advice="raise budget.operator_cap"),
    "task-ended-before-go": Ending(
        describe=_describe_early_ends, advice="mend it, raise target.replacements or lower target.min_tasks"
    ),
    "too-few-tasks": Ending(describe=_describe_shortage, advice="see: burst runbook fault-capacity"),
    "launch-failed": Ending(describe=_tell_detail, advice="mend it and run again"),
    "layer-not-armed": Ending(describe=_describe_layer, advice="mend it, or take it out of layers.require"),
    "services-not-up": Ending(describe=_tell_detail, advice="look at the events of the service"),
    "before-failed": Ending(describe=_tell_detail, advice="read the log of that command"),
    "resumed-before-go": Ending(describe=_describe_resumption, advice="run the plan again"),
    "deadline": Ending(describe=_describe_deadline, advice="raise budget.operator_cap"),
    "operator": Ending(describe=_tell_detail),
    "interrupted": Ending(describe=_describe_signal),
    "early-stop": Ending(describe=_describe_early_stop),
    "tasks-ended": Ending(describe=_describe_tasks_ended, advice="see how each task ended"),
    "halted": Ending(describe=_describe_halt, advice="see: burst runbook halt"),
    "alarm": Ending(describe=_describe_stop_sign, advice="see: burst runbook blocker-b9"),
}
"""Every stop reason but `window-complete`: its words, and what to do."""
