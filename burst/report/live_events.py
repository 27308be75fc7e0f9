"""What happened to a run, in order, in a line each: for the last lines of the live view."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import wording
from burst.domain.run import runs
from burst.domain.tasks import tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened."""

    at: datetime
    words: str


def list_happenings(run: runs.Run) -> tuple[Happening, ...]:
    """Everything that a run remembers with an instant, the earliest first."""
    happenings = (*_tell_course(run), *_tell_tasks(run), *_tell_doubts(run), *_tell_drills(run), *_tell_end(run))
    return tuple(sorted(happenings, key=lambda happening: happening.at))


def _tell_course(run: runs.Run) -> Iterator[Happening]:
    if run.created_at is not None:
        yield Happening(at=run.created_at, words="the run began")
    for number, attempt in enumerate(run.attempts, start=1):
        words = f"launch {number}: {wording.format_count(len(attempt.shards), 'task')}"
        failures = len(attempt.failures or ())
        yield Happening(at=attempt.at, words=f"{words}, {failures} not started" if failures else words)
    if run.resumed_at is not None:
        yield Happening(at=run.resumed_at, words="another controller went on with the run")
    if run.go_at is not None:
        yield Happening(at=run.go_at, words="GO" if run.go_tasks is None else f"GO to {run.go_tasks} tasks")


def _tell_tasks(run: runs.Run) -> Iterator[Happening]:
    """The ends of tasks; those of one second by one layer are told together, at the first of them."""
    together: dict[tuple[datetime, str], list[tasks.TaskTruth]] = {}
    for truth in run.truths.values():
        if truth.status is tasks.TaskStatus.STOPPED and truth.stopped_at is not None:
            by = f" by {truth.stopped_by}" if truth.stopped_by else ""
            code = f", exit {truth.exit_code}" if truth.exit_code is not None else ""
            together.setdefault((truth.stopped_at.replace(microsecond=0), f"stopped{by}{code}"), []).append(truth)
    for (_, how), ended in together.items():
        which = f"task of shard {ended[0].task.shard_index}" if len(ended) == 1 else f"{len(ended)} tasks"
        first = min(truth.stopped_at for truth in ended if truth.stopped_at is not None)
        yield Happening(at=first, words=f"{which} {how}")


def _tell_doubts(run: runs.Run) -> Iterator[Happening]:
    for outage in run.outages:
        yield Happening(at=outage.blind_since_utc, words=f"blind: {outage.detail}")
        if outage.sight_regained_utc is not None:
            yield Happening(at=outage.sight_regained_utc, words="the tasks can be seen again")
    for blindness in run.count_blindnesses:
        yield Happening(at=blindness.since_utc, words=f"count blind: {blindness.why}")
        if blindness.until_utc is not None:
            yield Happening(at=blindness.until_utc, words="a live count has come again")
    for sign in run.unclear_signs:
        yield Happening(at=sign.since_utc, words=f"{sign.sign} cannot be read: {sign.detail}")
        if sign.until_utc is not None:
            yield Happening(at=sign.until_utc, words=f"{sign.sign} can be read again")


def _tell_drills(run: runs.Run) -> Iterator[Happening]:
    for name, strike in run.strikes.items():
        yield Happening(at=strike.intended_at, words=f"drill {name} is caused")
        if strike.over_at is not None:
            yield Happening(at=strike.over_at, words=f"drill {name} is over")


def _tell_end(run: runs.Run) -> Iterator[Happening]:
    for name, at in run.interruptions:
        yield Happening(at=at, words=f"interrupted by {name}")
    if run.operator_stop_at is not None:
        yield Happening(at=run.operator_stop_at, words=f"stop asked: {run.operator_stop}")
    if run.stopping is not None:
        early = run.early_stop
        why = f"early stop: {early.rule}, {early.detail}" if early else f"STOP: {run.stopping.reason}"
        yield Happening(at=run.stopping.at, words=why)
