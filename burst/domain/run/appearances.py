"""Appearances: when every task that an unanswered launch may have started is known.

ECS may list a task only minutes after RunTask started it. A task that is not listed yet may claim a shard, burst, and
end by its own layers. So a launch without an answer is accounted for once all tasks that it asked for are known, or
once a search comes late enough to see every one; and never while the claims beside the lease, or the shards that are
ready, speak of more tasks than are known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from burst.domain.basics import instants
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


def is_accounted(run: runs.Run, *, known: int, signs: Signs | None, now: datetime, appears_seconds: float) -> bool:
    """Whether no task of an unanswered launch can be unknown, where `known` tasks are. `signs` None: out of reach."""
    if signs is None or known < signs.least_tasks:
        return False
    if run.attempts and known >= run.asked_tasks:
        return True
    return now >= appear_by(run, appears_seconds)


def appear_by(run: runs.Run, appears_seconds: float) -> datetime:
    """The instant from which a search sees every task that was asked for."""
    if run.asked_last_at is None:
        raise ValueError("the run has asked for no task")
    return instants.later(run.asked_last_at, appears_seconds)
