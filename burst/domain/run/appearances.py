"""Appearances: when every task that an unanswered launch may have started is known.

ECS may list a task only minutes after RunTask started it. A task that is not listed yet may claim a shard, burst, and
end by its own layers. So a launch without an answer is accounted for once all tasks that it asked for are known, or
once a search comes late enough to see every one; and never while the claims beside the lease, or the shards that are
ready, speak of more tasks than are known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from burst.domain.basics import instants, wording
from burst.domain.run import runs
from burst.domain.tasks import tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """The signs of tasks beside a lease: the shard that each claimed, by its id, and the shards that are ready."""

    claims: Mapping[str, int] = field(default_factory=dict, hash=False)
    ready: frozenset[int] = frozenset()

    @property
    def least_tasks(self) -> int:
        """How many tasks there are at least: one for each shard that was claimed or is ready."""
        return len(self.ready.union(self.claims.values()))


def list_unknown(run: runs.Run, listed: Iterable[tasks.Task], signs: Signs | None) -> tuple[tasks.Task, ...]:
    """The tasks that the journal does not know: those that the launcher lists, and those that claims name.

    `list_nameless` has the claims of tasks that did not learn their ARNs.
    """
    claims = signs.claims.items() if signs else ()
    claimed = (tasks.Task(task_id=name, shard_index=shard) for name, shard in claims if not tasks.is_nameless(name))
    unknown: dict[str, tasks.Task] = {}
    for task in (*listed, *claimed):
        if task.task_id not in run.truths:
            unknown.setdefault(task.task_id, task)
    return tuple(unknown.values())


def list_nameless(run: runs.Run, signs: Signs) -> tuple[tasks.Task, ...]:
    """The tasks that claimed a shard without an ARN: only their guards' records tell of them."""
    return tuple(
        tasks.Task(task_id=name, shard_index=shard)
        for name, shard in signs.claims.items()
        if tasks.is_nameless(name) and name not in run.truths
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSearchTerms:
    """How many tasks the plan asks for, and for how long after its launch a task may be missing from a search."""

    planned_tasks: int
    appears_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSearch:
    """A search for tasks: those that the journal does not know, and whether no others can be unknown."""

    unknown: tuple[tasks.Task, ...]
    accounted: bool


def judge_search(
    run: runs.Run, listed: Sequence[tasks.Task] | None, signs: Signs | None, now: datetime, terms: TaskSearchTerms
) -> TaskSearch:
    """A search by what the launcher lists, None where it is blind, and by the signs, None where they are out of reach.

    Tasks without an ARN count only once the others had the time to appear, and are still too few.
    """
    unknown = list_unknown(run, listed or (), signs)
    overdue = run.unaccounted and now >= appear_by(run, terms.appears_seconds)
    if signs is not None and overdue and len(run.truths) + len(unknown) < signs.least_tasks:
        unknown = (*unknown, *list_nameless(run, signs))
    known_tasks = len(run.truths) + len(unknown)
    accounted = listed is not None and run.unaccounted
    return TaskSearch(
        unknown=unknown, accounted=accounted and is_accounted(run, known=known_tasks, signs=signs, now=now, terms=terms)
    )


def is_accounted(run: runs.Run, *, known: int, signs: Signs | None, now: datetime, terms: TaskSearchTerms) -> bool:
    """Whether no task of an unanswered launch can be unknown, where `known` tasks are. `signs` None: out of reach.

    The launches of a run that was taken over are not in its journal. After GO its tasks are those that claimed: GO is
    given to ready tasks alone; before GO every shard has to be claimed.
    """
    if signs is None or known < signs.least_tasks:
        return False
    if run.attempts and known >= run.asked_tasks:
        return True
    if not run.attempts and (run.go_at is not None or signs.least_tasks >= terms.planned_tasks):
        return True
    return now >= appear_by(run, terms.appears_seconds)


def appear_by(run: runs.Run, appears_seconds: float) -> datetime:
    """The instant from which a search sees every task that was asked for."""
    if run.asked_last_at is None:
        raise ValueError("the run has asked for no task")
    return instants.later(run.asked_last_at, appears_seconds)


def may_appear(run: runs.Run, *, appears_seconds: float, now: datetime) -> bool:
    """Whether tasks may live that nobody knows. A run that goes on finds out by itself; one that is finished, because a
    person asked twice for its end, does not, so there it is a question of time."""
    return run.unaccounted and (run.exit_code is None or now < appear_by(run, appears_seconds))


def explain_left(
    truths: Sequence[tasks.TaskTruth], *, planned_tasks: int, may_appear_until: datetime | None, now: datetime
) -> str | None:
    """Why a run whose journal is not here may not be called stopped; None where each of its tasks was seen stopped.

    `may_appear_until`: until when ECS may list tasks of a launch that perhaps nobody knows to be answered; None after
    GO, which is given only to tasks that are known.
    """
    alive = [truth.task.task_id for truth in truths if truth.status is not tasks.TaskStatus.STOPPED]
    if alive:
        return f"{wording.format_count(len(alive), 'task')} may be running: {', '.join(alive)}"
    begun = sum(truth.started_at is not None for truth in truths)
    if may_appear_until is None or begun >= planned_tasks or now >= may_appear_until:
        return None
    return (
        f"{begun} of {planned_tasks} tasks were seen, and all of them stopped; ECS may list others until "
        f"{instants.text(may_appear_until)}. STOP stands in the lease, which they obey; look again then"
    )
