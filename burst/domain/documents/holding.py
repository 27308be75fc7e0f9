"""Holding: which tasks of a burst ran until they were due, and until when enough of them did.

One rule by instants, so that no claim about who ended a task can make it pass. A task is due at the earliest of three
instants: this run asked for its end, its window as declared ended, its deadline came. An end then or later is held,
whoever ended the task; an earlier one is not. The gate that judges a run and the rule that ends a hopeless one early
ask these functions, so a burst is ended for want of a task only where the gate could not pass any more.

Two allowances: the clocks of two machines may differ by a tolerance, and programs that end by themselves with 0 do so
seconds apart, so that one which does within the grace of the end has held. A program whose source is spent may end with
the shortest window that passes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from burst.domain.basics import arrivals, instants, windows, wording
from burst.domain.documents import load_documents, task_results, window_metrics
from burst.domain.plan import plans
from burst.domain.tasks import tasks
from burst.load import rate_plans

SILENT_EVENTS = 20
"""So many events must have been due in the last, empty buckets of a window before they say that the load had ended."""
_ENDED_ITSELF = frozenset({None, tasks.StopCode.ESSENTIAL_EXITED, tasks.StopCode.GONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingTerms:
    """The promises of a plan that decide which tasks held. Durations in seconds, from GO on."""

    least_tasks: int
    window_seconds: float
    min_window_seconds: float
    grace_seconds: float
    tolerance_seconds: float
    """By how much the clock that timed an end may differ from the controller's."""

    @classmethod
    def from_plan(cls, plan: plans.Plan) -> Self:
        """The terms of a plan. On this machine every instant is of one clock."""
        return cls(
            least_tasks=plan.target.least_tasks,
            window_seconds=plan.load_seconds,
            min_window_seconds=plan.lead_seconds + plan.budget.min_window,
            grace_seconds=plan.budget.stop_grace,
            tolerance_seconds=0.0 if plan.target.kind == "local" else plan.receipts.max_skew,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstCourse:
    """The instants of a run by which its tasks are judged; each None where it is not known, or never came."""

    began_at: datetime | None
    """GO, or the first start where there was no barrier."""
    asked_at: datetime | None
    """When this run first asked for the end."""
    ended_by_tasks: bool
    """Whether it asked because tasks had ended: then its asking excuses none that ended before."""
    deadline: datetime | None

    @classmethod
    def from_result(cls, result: task_results.TaskResult) -> Self:
        """The course as a task result states it."""
        requests = [
            result.stop_asked_utc,
            result.early_stop.at_utc if result.early_stop else None,
            result.interruption.at_utc if result.interruption else None,
        ]
        return cls(
            began_at=result.attempt.start if result.attempt else None,
            asked_at=min((moment for moment in requests if moment is not None), default=None),
            ended_by_tasks=result.ended_by_its_tasks,
            deadline=result.deadline_utc,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHolding:
    """Whether one task held. `due_at` None: nothing says until when it had to run. `problem` None: it held."""

    task: task_results.TaskEntry
    ended_at: datetime | None
    """The earliest end of its load that the evidence allows; None: it was not seen to end, or nobody knows when."""
    due_at: datetime | None
    problem: str | None
    last_beat: datetime | None = None
    """The last beat of its load account, not after it was seen to have ended; None where it has none."""

    @property
    def held(self) -> bool:
        """Whether it ran until it was due, or was not seen to end."""
        return self.problem is None


def judge_tasks(
    entries: Sequence[task_results.TaskEntry],
    course: BurstCourse,
    terms: HoldingTerms,
    load: load_documents.Load | None = None,
) -> tuple[TaskHolding, ...]:
    """Whether each task held. The load accounts are witnesses of ends that no guard recorded."""
    own_due_at = _own_due(entries, course, terms)
    beats = _find_last_beats(entries, load)
    return tuple(_judge_task(task, course, terms, own_due_at, beats.get(task.id)) for task in entries)


def judge_result(
    result: task_results.TaskResult, terms: HoldingTerms, load: load_documents.Load | None = None
) -> tuple[TaskHolding, ...]:
    """Whether each task of the burst held, by a task result; a task that it lists twice counts once."""
    by_id = {task.id: task for task in result.burst_tasks}
    return judge_tasks(tuple(by_id.values()), BurstCourse.from_result(result), terms, load)


def find_load_end(task: task_results.TaskEntry, last_beat: datetime | None = None) -> datetime | None:
    """The earliest end of a task's load that the evidence allows; None where there was no end, or it may be any.

    Where no guard recorded the end, the load went on at least until the last beat of its account.
    """
    recorded = _is_recorded(task) and task.load_ended_utc is not None
    unknown = task.stop_code == tasks.StopCode.GONE and task.load_ended_utc is None
    end = None if unknown else task.load_ended_utc or task.stopped_utc
    if recorded or last_beat is None or task.stopped_utc is None:
        return end
    beat = min(last_beat, task.stopped_utc)
    return beat if end is None else max(end, beat)


def _find_last_beats(
    entries: Iterable[task_results.TaskEntry], load: load_documents.Load | None
) -> dict[str, datetime | None]:
    """The last beat of each task's account. An account is that of a shard: where tasks shared one, it is of neither."""
    shards = [task.shard_index for task in entries]
    return {
        task.id: load.last_beat(task.shard_index)
        for task in entries
        if load is not None and task.shard_index is not None and shards.count(task.shard_index) == 1
    }


def _judge_task(
    task: task_results.TaskEntry,
    course: BurstCourse,
    terms: HoldingTerms,
    own_due_at: datetime | None,
    last_beat: datetime | None,
) -> TaskHolding:
    ended_at = find_load_end(task, last_beat)
    due_at = own_due_at if _ended_itself(task) else _find_due(task, ended_at, course, terms)
    allowance = max(terms.grace_seconds, terms.tolerance_seconds) if _ended_itself(task) else terms.tolerance_seconds
    return TaskHolding(
        task=task,
        ended_at=ended_at,
        due_at=due_at,
        problem=_explain_end(task, ended_at, due_at, allowance),
        last_beat=None if last_beat is None else min(filter(None, (last_beat, task.stopped_utc))),
    )


def _ended_itself(task: task_results.TaskEntry) -> bool:
    """Whether its program ended by itself, with 0."""
    by_nobody = task.stopped_by is None and task.ended_by in (None, tasks.EndCause.PROGRAM_ENDED)
    return by_nobody and task.exit_code == 0 and task.stop_code in _ENDED_ITSELF


def _declared_due(course: BurstCourse, terms: HoldingTerms) -> datetime | None:
    """The end of the window as declared, or the deadline where that came first."""
    if course.began_at is None:
        return None
    declared = instants.later(course.began_at, terms.window_seconds)
    return declared if course.deadline is None else min(declared, course.deadline)


def _find_due(
    task: task_results.TaskEntry, ended_at: datetime | None, course: BurstCourse, terms: HoldingTerms
) -> datetime | None:
    """Until when a task had to run that something ended."""
    due = [_declared_due(course, terms)]
    if task.ended_by == tasks.EndCause.LEASE_STOP:
        due.append(task.asked_utc)
    if course.asked_at is not None and (not course.ended_by_tasks or _was_asked(ended_at, course.asked_at, terms)):
        due.append(course.asked_at)
    return min((moment for moment in due if moment is not None), default=None)


def _was_asked(ended_at: datetime | None, asked_at: datetime, terms: HoldingTerms) -> bool:
    """Whether a task surely ended after the asking, however far the two clocks differ: else it may have caused it."""
    return ended_at is not None and ended_at > instants.later(asked_at, terms.tolerance_seconds)


def _own_due(entries: Sequence[task_results.TaskEntry], course: BurstCourse, terms: HoldingTerms) -> datetime | None:
    """Until when a task had to run that ended by itself with 0."""
    declared = _declared_due(course, terms)
    if declared is None or course.began_at is None:
        return None
    if not course.ended_by_tasks:
        return declared if course.asked_at is None else min(declared, course.asked_at)
    ends = [course.asked_at, _find_last_end(entries)]
    over_at = min((moment for moment in ends if moment is not None), default=declared)
    return min(declared, max(over_at, instants.later(course.began_at, terms.min_window_seconds)))


def _find_last_end(entries: Iterable[task_results.TaskEntry]) -> datetime | None:
    """When the last task ended; None while one was not seen to end."""
    ends = [task.stopped_utc for task in entries]
    moments = [moment for moment in ends if moment is not None]
    return max(moments) if moments and len(moments) == len(ends) else None


def _explain_end(
    task: task_results.TaskEntry, ended_at: datetime | None, due_at: datetime | None, allowance_seconds: float
) -> str | None:
    """Why a task did not hold until it was due; None where it did, or was not seen to end, which is B8's question."""
    because = f" ({task.detail})" if task.detail else ""
    if task.started_utc is None:
        return f"never started{because}"
    if task.stopped_utc is None:
        return None
    if ended_at is None:
        return f"was lost{because}"
    if due_at is None:
        return f"ended, and nothing says until when it had to run{because}"
    early_seconds = instants.seconds_between(ended_at, due_at)
    if early_seconds <= allowance_seconds:
        return None
    return f"{_describe_end(task)} {instants.exact(early_seconds)} s before the window was to end{because}"


_CAUSES: dict[str | None, str] = {
    tasks.EndCause.BUDGET: "was ended by its guard",
    tasks.EndCause.LEASE_STOP: "obeyed STOP in the lease",
    tasks.EndCause.LEASE_STALE: "was ended by its guard, whose lease was stale,",
    tasks.EndCause.LEASE_UNREADABLE: "was ended by its guard, which could not read the lease,",
    tasks.EndCause.NO_SHARD: "had no shard and ended",
    tasks.EndCause.SIGNAL: "was ended by a signal",
    tasks.EndCause.SIDECAR: "was ended by its sidecar",
    tasks.EndCause.STOP_TASK: "was stopped",
}


def _describe_end(task: task_results.TaskEntry) -> str:
    """How a task ended that was to run on."""
    asked_by = f" by {task.asked_by}" if task.asked_by else " that nobody of this run had asked for"
    if task.stop_code in tasks.TAKEN or task.ended_by == tasks.EndCause.PLATFORM:
        return "was taken"
    if task.stop_code == tasks.StopCode.GONE and task.end_source is None:
        return "was lost"
    if task.ended_by in (tasks.EndCause.SIGNAL, tasks.EndCause.STOP_TASK):
        return f"{_CAUSES[task.ended_by]}{asked_by},"
    if task.ended_by in _CAUSES:
        return _CAUSES[task.ended_by]
    if task.stopped_by is not None or task.stop_code == tasks.StopCode.USER_INITIATED:
        return f"was stopped by {task.stopped_by or 'somebody'}"
    code = "an exit code that nobody knows" if task.exit_code is None else f"exit code {task.exit_code}"
    return "ended by itself" if task.exit_code == 0 else f"ended by itself with {code}"


# Until when enough tasks ran


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadEnd:
    """The earliest end of the load that the evidence allows, and the evidence in words."""

    at: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedLoad:
    """The load that a plan declares; each None where it declares none, or where only the program knows."""

    events_per_second: float | None
    source_events: int | None
    rate_plan: rate_plans.RatePlan | None = None
    """The steps, where it has more than one rate; `events_per_second` is then the mean of the counted window."""
    share: float = 1.0
    """The share of the planned tasks that GO was given to."""

    def count_due(self, window: windows.Window, since: datetime) -> float | None:
        """The events due from an instant to the end of the counted window; None where nobody can tell."""
        seconds = instants.seconds_between(since, window.end)
        if self.rate_plan is None:
            return None if self.events_per_second is None else seconds * self.events_per_second
        lead = float(self.rate_plan.counted[0])
        began, ended = lead + instants.seconds_between(window.start, since), lead + window.seconds
        return self.rate_plan.count_due(began, ended) * self.share

    @classmethod
    def from_plan(cls, plan: plans.Plan, go_tasks: int | None = None) -> Self:
        """The load of a plan, for a locustfile as for a command; where GO was given to fewer tasks, their share."""
        rate, planned = plan.mean_rate, plan.target.tasks
        senders = planned if go_tasks is None else min(go_tasks, planned)
        return cls(
            events_per_second=rate / 60 * senders / planned if rate is not None else None,
            source_events=arrivals.share_source(plan.load.source_events, planned, senders),
            rate_plan=plan.rate_plan,
            share=senders / planned,
        )


def find_load_end_of_burst(
    holdings: Sequence[TaskHolding], terms: HoldingTerms, metrics: window_metrics.Metrics, offered: OfferedLoad
) -> LoadEnd:
    """The earliest end of the load in a counted window: the length of a burst is measured to it.

    It is the instant until which as many tasks ran as the plan needs at least; one that held ran until it was due.
    Empty buckets after it shorten it where the declared rate would have filled them, as far as neither a guard nor a
    load account says that it ran on.
    """
    window = metrics.window.window
    started = [holding for holding in holdings if holding.task.started_utc is not None]
    ran_until = sorted((_ran_until(holding, window.end) for holding in started), reverse=True)
    needed = min(terms.least_tasks, len(ran_until))
    end = LoadEnd(at=window.end, why="the counted window ended then")
    if needed and ran_until[needed - 1] < window.end:
        end = LoadEnd(
            at=max(ran_until[needed - 1], window.start),
            why=f"no more than {wording.format_count(needed - 1, 'task')} surely ran after it",
        )
    silent_since = _find_silence(metrics, offered)
    if silent_since is None or silent_since >= end.at:
        return end
    witnessed = sorted((_witnessed_until(holding, silent_since, end.at) for holding in started), reverse=True)
    witnessed_until = witnessed[needed - 1] if needed else silent_since
    if witnessed_until >= end.at:
        return end
    why = "no receipt came after it, and no guard's record or load account says that the load went on"
    return LoadEnd(at=witnessed_until, why=why)


def _witnessed_until(holding: TaskHolding, since: datetime, until: datetime) -> datetime:
    """Until when a guard's record or a load account says that a task's load went on, between two instants."""
    recorded_until = _ran_until(holding, until) if _is_recorded(holding.task) else since
    return max(since, recorded_until, min(holding.last_beat or since, until))


def _ran_until(holding: TaskHolding, window_end: datetime) -> datetime:
    """Until when a task surely ran, as far as the window goes."""
    if holding.task.stopped_utc is None or (holding.held and holding.task.load_ended_utc is None):
        return window_end  # nobody saw it end, or nobody says when its load did
    moments = [moment for moment in (holding.ended_at, holding.due_at if holding.held else None) if moment is not None]
    return min(window_end, max(moments, default=datetime.min.replace(tzinfo=UTC)))


def _find_silence(metrics: window_metrics.Metrics, offered: OfferedLoad) -> datetime | None:
    """Since when no receipt came, though enough were due; None where the last buckets say nothing."""
    if not metrics.counts.counts.total:
        return None
    if offered.source_events is not None and metrics.counts.counts.total >= offered.source_events:
        return None
    filled = [bucket.end_utc for bucket in metrics.buckets if bucket.counts.counts.total]
    if not filled:
        return None
    due = offered.count_due(metrics.window.window, max(filled))
    return max(filled) if due is not None and due >= SILENT_EVENTS else None


def _is_recorded(task: task_results.TaskEntry) -> bool:
    return task.end_source in (tasks.EndSource.RECORD, tasks.EndSource.WATCHDOG)
