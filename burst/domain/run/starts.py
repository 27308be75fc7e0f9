"""Starts: what a run does between its launch and GO, so that the tasks which start decide and not those which do not.

GO is given once every living task is ready, where there are at least `least_tasks` and no replacement is due. A task
fails to start when it ends before GO, or when it is still PENDING after `PENDING_SHARE` of the start: then it is
withdrawn, which means that it is told to stop. A failed task is replaced once it was seen to end, so that the two never
burst together, and `replacements` tasks in all, until `QUORUM_SHARE` of the start. From then on nothing more is
launched or waited for: tasks that are not ready are withdrawn where the ready ones are enough, and GO is given to
these. Without a barrier a task bursts from its own start on, so there a replacement would come after GO, and none is
launched.

The start ends with `start_timeout`, or earlier where the window would no longer fit before the deadline.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.run import runs
from burst.domain.tasks import tasks

PENDING_SHARE = 0.5
"""The share of the start within which a task must have left PENDING, or another takes its place."""
QUORUM_SHARE = 0.9
"""The share of the start after which no task is launched or waited for any more: the ready ones decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTerms:
    """What the plan and the target say about a start."""

    tasks: int
    least_tasks: int
    replacements: int
    """How many failed tasks are replaced, in all."""
    barrier: bool
    claims: bool
    """Whether tasks claim their shards themselves: then the number of ready tasks counts, and not which they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimes:
    """When a start began, and the last instant at which GO may be given."""

    begun_at: datetime
    ends_at: datetime

    def share_at(self, share: float) -> datetime:
        """The instant at which this share of the start is over."""
        return instants.later(self.begun_at, share * instants.seconds_between(self.begun_at, self.ends_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Stop tasks that do not start, and go on without them."""

    task_ids: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadClaims:
    """Read which task claimed which shard; with `close`, once no task can claim a free shard any more."""

    close: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeShards:
    """Give up the shards of tasks that ended before GO: each task with its shard, None where it had claimed none."""

    holders: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """Launch tasks in the places of failed ones. `claimed` are those of the shards that a failed task had claimed."""

    shards: tuple[int, ...]
    replaces: tuple[str, ...]
    claimed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Give GO."""


Act = Withdraw | ReadClaims | FreeShards | Replace | Begin


def decide_start(run: runs.Run, now: datetime, terms: StartTerms, times: StartTimes) -> Act | None:
    """The next act of a run whose tasks were launched and that has no GO; None where it waits for them."""
    return (
        _decide_freeing(run, terms)
        or _decide_withdrawal(run, now, terms, times)
        or _decide_replacement(run, now, terms, times)
        or _decide_go(run, now, terms, times)
    )


def count_ready(run: runs.Run, terms: StartTerms) -> int:
    """How many of the tasks that carry a shard are ready, or have started where there is no barrier."""
    if not terms.barrier:
        return sum(truth.started_at is not None for truth in run.carriers)
    if terms.claims:
        return min(len(run.ready), len(run.carriers))
    return sum(truth.task.shard_index in run.ready for truth in run.carriers)


def count_prospects(run: runs.Run, now: datetime, terms: StartTerms, times: StartTimes) -> int:
    """How many more tasks may still come: replacements of failed tasks."""
    return len(_list_replaceable(run, now, terms, times))


# A task that ended before GO holds no shard


def _decide_freeing(run: runs.Run, terms: StartTerms) -> ReadClaims | FreeShards | None:
    """Only a task that had started can hold a shard, or be taken for ready."""
    if not terms.barrier:
        return None
    ended = [
        truth
        for truth in run.truths.values()
        if truth.status is tasks.TaskStatus.STOPPED and truth.started_at and truth.task.task_id not in run.freed
    ]
    if not ended:
        return None
    if not terms.claims:
        return FreeShards(holders=tuple((truth.task.task_id, truth.task.shard_index) for truth in ended))
    claims = run.claims
    if claims is None or claims.keys() - run.truths.keys():
        return ReadClaims()  # again where a claim names a task that is not known: it may be one of those that ended
    return FreeShards(holders=tuple((truth.task.task_id, claims.get(truth.task.task_id)) for truth in ended))


# Tasks that do not start


def _decide_withdrawal(
    run: runs.Run, now: datetime, terms: StartTerms, times: StartTimes
) -> Withdraw | ReadClaims | None:
    if run.unaccounted or run.blind_since is not None:  # the last truth of a task may be long past
        return None
    seconds = instants.seconds_between(times.begun_at, now)
    overdue = _list_overdue(run, now, terms, times)
    if overdue:
        return Withdraw(task_ids=overdue, why=f"still PENDING {seconds:.0f} s after the launch began")
    ready = count_ready(run, terms)
    if now < times.share_at(QUORUM_SHARE) or not terms.least_tasks <= ready < len(run.carriers):
        return None
    unready = _list_unready(run, terms, times)
    if unready is None:
        return ReadClaims()
    return Withdraw(task_ids=unready, why=f"not ready {seconds:.0f} s after the launch began") if unready else None


def _list_overdue(run: runs.Run, now: datetime, terms: StartTerms, times: StartTimes) -> tuple[str, ...]:
    """Tasks that have been PENDING for too long, no more than can be replaced."""
    spare = terms.replacements - len(run.replaced) - len(_list_failed(run))
    if spare <= 0 or not _may_replace(run, now, terms, times):
        return ()
    patience_seconds = PENDING_SHARE * instants.seconds_between(times.begun_at, times.ends_at)
    pending = (truth.task.task_id for truth in run.carriers if truth.status is tasks.TaskStatus.PENDING)
    overdue = [
        task_id
        for task_id in pending
        if instants.seconds_between(run.launched_at(task_id) or times.begun_at, now) >= patience_seconds
    ]
    return tuple(overdue[:spare])


def _list_unready(run: runs.Run, terms: StartTerms, times: StartTimes) -> tuple[str, ...] | None:
    """Tasks that are not ready; None where it has to be read who they are. Empty where that cannot be told."""
    carriers = run.carriers
    if not terms.barrier:
        return tuple(truth.task.task_id for truth in carriers if truth.started_at is None)
    if not terms.claims:
        return tuple(truth.task.task_id for truth in carriers if truth.task.shard_index not in run.ready)
    pending = tuple(truth.task.task_id for truth in carriers if truth.status is tasks.TaskStatus.PENDING)
    if pending:
        return pending
    if run.claims is None or run.claims_read_at is None or run.claims_read_at < times.share_at(QUORUM_SHARE):
        return None
    unready = tuple(truth.task.task_id for truth in carriers if _held_shard(run, truth.task) not in run.ready)
    return unready if len(unready) == len(carriers) - count_ready(run, terms) else ()


def _held_shard(run: runs.Run, task: tasks.Task) -> int | None:
    """The shard of a task that claims: its claim, or that of the failed task in whose place it was launched."""
    claimed = (run.claims or {}).get(task.task_id)
    taken_over = task.shard_index in run.freed.values() and (run.launched_at(task.task_id) or 0) != run.launching_at
    return task.shard_index if claimed is None and taken_over else claimed


# Replacements


def _may_replace(run: runs.Run, now: datetime, terms: StartTerms, times: StartTimes) -> bool:
    return terms.barrier and run.resumed_at is None and not run.unaccounted and now < times.share_at(QUORUM_SHARE)


def _list_failed(run: runs.Run) -> tuple[tasks.TaskTruth, ...]:
    """Tasks that ended or were withdrawn before GO, and in whose places no other was launched."""
    carriers = {truth.task.task_id for truth in run.carriers}
    return tuple(truth for task_id, truth in run.truths.items() if task_id not in carriers | run.replaced)


def _list_replaceable(
    run: runs.Run, now: datetime, terms: StartTerms, times: StartTimes
) -> tuple[tasks.TaskTruth, ...]:
    if not _may_replace(run, now, terms, times):
        return ()
    return _list_failed(run)[: max(0, terms.replacements - len(run.replaced))]


def _decide_replacement(run: runs.Run, now: datetime, terms: StartTerms, times: StartTimes) -> Replace | None:
    failed = _list_replaceable(run, now, terms, times)
    ended = [truth for truth in failed if truth.status is tasks.TaskStatus.STOPPED]
    if not ended or run.blind_since is not None:
        return None
    replaces = tuple(truth.task.task_id for truth in ended)
    if not terms.claims:
        return Replace(shards=tuple(truth.task.shard_index for truth in ended), replaces=replaces)
    freed = (run.freed.get(task_id) for task_id in replaces)
    claimed = frozenset(shard for shard in freed if shard is not None)
    hints = _list_hints(ended, claimed, terms)
    shards = (*sorted(claimed), *(next(hints) for _ in range(len(ended) - len(claimed))))
    return Replace(shards=tuple(sorted(shards)), replaces=replaces, claimed=claimed)


def _list_hints(ended: list[tasks.TaskTruth], claimed: frozenset[int], terms: StartTerms) -> Iterator[int]:
    """Shards at which a replacement may begin to look for a free one: distinct, and none that is claimed."""
    own = [truth.task.shard_index for truth in ended]
    return iter(dict.fromkeys(shard for shard in (*own, *range(terms.tasks)) if shard not in claimed))


# GO


def _decide_go(run: runs.Run, now: datetime, terms: StartTerms, times: StartTimes) -> Begin | ReadClaims | None:
    carriers = run.carriers
    if count_prospects(run, now, terms, times) or len(carriers) < terms.least_tasks:
        return None
    if count_ready(run, terms) < len(carriers):
        return None
    stopping = {truth.task.task_id: truth.status for truth in run.alive if truth.task.task_id in run.withdrawn}
    if not stopping or not terms.barrier:
        return Begin()
    # Told to stop and not gone yet: it bursts with the others, unless it is PENDING and cannot have a shard any more.
    if not terms.claims or any(status is not tasks.TaskStatus.PENDING for status in stopping.values()):
        return None
    if not run.claims_closed or run.claims is None:
        return ReadClaims(close=True)
    return None if stopping.keys() & run.claims.keys() else Begin()
