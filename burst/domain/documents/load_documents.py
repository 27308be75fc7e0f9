"""The load document: what the generator was due to send, sent, and was answered, by its tasks' own accounts.

Every figure is a count, so the accounts of tasks add up exactly. The tasks count by their own clocks.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import pydantic

from burst.domain.basics import instants
from burst.domain.documents import models

PATIENCE_SECONDS = 1.0
"""An event is in time where it was sent no later than this after it was due."""


class LatencyBucket(models.Model):
    """How many answers took so long; `up_to_us` is the longest duration of the bucket, in microseconds."""

    up_to_us: models.Count
    """The longest duration of the bucket, in microseconds; a percentile is told by it, so it is never too low."""
    count: models.Count
    """Answers whose duration lies in the bucket."""


class SecondLoad(models.Model):
    """One second of all tasks: due and in time by when it was due, sent by the sending, the rest by the answer."""

    start_utc: models.Instant
    """The whole second, by the tasks' own clocks."""
    due: models.Count
    """Events that the programs' schedules made due in this second."""
    in_time: models.Count
    """Those of them that were sent no later than 1 s after they were due."""
    sent: models.Count
    """Requests that were sent in this second, whenever they were due."""
    acknowledged: models.Count
    """Answers of success that came in this second."""
    refused: models.Count
    """Answers with a status of failure that came in this second."""
    failed: models.Count
    """Requests that ended in this second without a status."""


_LOCAL_KINDS = frozenset({"name not resolved", "certificate not trusted"})
_LOCAL_ERRORS = frozenset({"EMFILE", "ENFILE", "EADDRNOTAVAIL", "EADDRINUSE", "ENOBUFS", "ENOMEM", "EACCES", "EPERM"})
"""Failures on the machine of the program: its own refusal, and that of the system to give a socket or to use it.
Nothing was sent then."""


def is_local_failure(kind: str) -> bool:
    """Whether a failure of this kind is one of the program's own machine."""
    return kind in _LOCAL_KINDS or kind.partition(" ")[0] in _LOCAL_ERRORS


class TaskAccount(models.Model):
    """The account of one task, from its first line to its last. `knows_due`: the program has a schedule.

    `undecided` were due in the last seconds before `last_utc`, and not sent: they could still have been in time.
    """

    shard_index: models.Count
    """Which part of the load the task had, from 0."""
    first_utc: models.Instant
    """The first instant at which the program was alive, by the task's clock."""
    last_utc: models.Instant
    """The last instant at which it was alive: the account speaks until then."""
    knows_due: bool
    """Whether the program has a schedule; without one nobody knows what was due, and `due` is 0."""
    due: models.Count
    """Events that its schedule made due."""
    in_time: models.Count
    """Those of them that were sent no later than 1 s after they were due."""
    undecided: models.Count
    """Events due in the last two seconds of the account and not sent in time; they count for neither side."""
    sent: models.Count
    """Requests that the program took for sent, with those that failed on its own machine."""
    late: models.Count
    """Events that were sent more than 1 s after they were due."""
    latest_seconds: Annotated[float, pydantic.Field(ge=0)]
    """How long after it was due the latest event was sent."""
    acknowledged: models.Count
    """Requests that were answered with success."""
    refused: dict[str, models.Count]
    """Requests that were answered with a status of failure, by its class, such as `4xx`."""
    failed: dict[str, models.Count]
    """Requests that ended without a status, by the kind of the failure, such as `timeout`."""
    bad_lines: models.Count = 0
    """Lines of the account that make no sense; the limits on answers are INVALID where there is one."""
    processes: models.Count | None = None
    """How many processes of the task wrote it; None where it has one alone."""
    values: dict[str, str] = {}
    """The per-shard values that the plan gave this task."""

    @property
    def unsent(self) -> int:
        """What the program took for sent, and what never left its machine."""
        return sum(number for kind, number in self.failed.items() if is_local_failure(kind))


class RequestLoad(models.Model):
    """The requests of one name, over all tasks."""

    name: str
    """The name that the program gives its requests; `(more)` stands for all after the first hundred."""
    acknowledged: models.Count
    """Requests of the name that were answered with success."""
    refused: dict[str, models.Count]
    """Those that were answered with a status of failure, by its class."""
    failed: dict[str, models.Count]
    """Those that ended without a status, by the kind of the failure."""
    latency: list[LatencyBucket]
    """The durations of their answers, as a histogram; a request without an answer is not in it."""


class LatencyPart(models.Model):
    """The answers that came in one part of the time, over all tasks. Its buckets are wider than those of the whole."""

    start_utc: models.Instant
    """When the part begins, by the tasks' own clocks."""
    seconds: Annotated[float, pydantic.Field(gt=0)]
    """How long the part is."""
    latency: list[LatencyBucket]
    """The durations of the answers that came in this part."""


class StepLoad(models.Model):
    """One step of a rate plan, over all tasks: due and in time by when an event was due, the answers by the sending."""

    name: str
    """The name of the step in the plan."""
    due: models.Count
    """Events that the programs' schedules made due in the step."""
    in_time: models.Count
    """Those of them that were sent no later than 1 s after they were due."""
    acknowledged: models.Count
    """Requests sent in the step that were answered with success."""
    refused: dict[str, models.Count]
    """Requests sent in the step that were answered with a status of failure, by its class."""
    failed: dict[str, models.Count]
    """Requests sent in the step that ended without a status, by the kind of the failure."""
    latency: list[LatencyBucket]
    """The durations of the answers to the requests sent in the step."""

    @property
    def answered(self) -> int:
        """How many of its requests came to an end."""
        return self.acknowledged + sum(self.refused.values()) + sum(self.failed.values())

    @property
    def unsent(self) -> int:
        """What the programs took for sent, and what never left their machines."""
        return sum(number for kind, number in self.failed.items() if is_local_failure(kind))


class Load(models.Model):
    """`{slug}_load.json`. A task without an entry wrote no account."""

    schema_: Annotated[Literal["burst.load/v1"], pydantic.Field(alias="schema")] = "burst.load/v1"
    execution_id: str
    platform_run_id: str
    resolution: Annotated[float, pydantic.Field(ge=0, le=1)]
    """How wide a bucket of latency is, as a part of the durations in it, at most."""
    tasks: list[TaskAccount]
    """The account of each task that wrote one, by its shard."""
    seconds: list[SecondLoad]
    """Every second in which something was counted, in order."""
    requests: list[RequestLoad]
    """The answers of all tasks by the name of the request."""
    latency: list[LatencyBucket]
    """The durations of all answers of the whole run, as a histogram."""
    markers: dict[str, models.Count]
    """How often the programs reached each point of their own."""
    marked_utc: dict[str, models.Instant] = pydantic.Field(default_factory=dict)
    """When each marker was first reached, by the clock of its task; burst 0.1.0 did not note it."""
    latency_over_time: list[LatencyPart] = []
    """The latencies part by part, in order; none in a document of burst 0.1.0."""
    steps: list[StepLoad] = []
    """Of each step of a rate plan, in which an event was due or a request sent; none where there is no such plan."""

    def find_step(self, name: str) -> StepLoad | None:
        """The account of a step."""
        return next((step for step in self.steps if step.name == name), None)

    @property
    def shards_with_due(self) -> frozenset[int]:
        """The shards whose program had a schedule."""
        return frozenset(task.shard_index for task in self.tasks if task.knows_due)

    @property
    def sent(self) -> int:
        """What all tasks sent."""
        return sum(max(0, task.sent - task.unsent) for task in self.tasks)

    @property
    def decided_due(self) -> int:
        """The events due that had their second in which to be sent."""
        return sum(task.due - task.undecided for task in self.tasks)

    @property
    def in_time(self) -> int:
        """The events sent in time."""
        return sum(max(0, min(task.in_time, task.due) - task.unsent) for task in self.tasks)

    @property
    def latest_seconds(self) -> float:
        """How late the latest event was sent."""
        return max((task.latest_seconds for task in self.tasks), default=0.0)

    @property
    def answered(self) -> int:
        """How many requests came to an end."""
        return sum(task.acknowledged for task in self.tasks) + self.refusals() + self.failures()

    def refusals(self, kind: str | None = None) -> int:
        """How many requests were refused, by the class of the status where one is named."""
        return sum(number for task in self.tasks for of, number in task.refused.items() if kind in (None, of))

    def failures(self) -> int:
        """How many requests failed without a status."""
        return sum(number for task in self.tasks for number in task.failed.values())

    def count_unanswered(self, seconds: float) -> int:
        """How many requests surely waited for an answer for longer than this, and had none when the accounts ended."""
        last = min((task.last_utc for task in self.tasks), default=None)
        if last is None:
            return 0
        sent = sum(part.sent for part in self.seconds if instants.seconds_between(part.start_utc, last) > seconds + 1)
        return max(0, sent - self.answered)

    def name_failures(self) -> str:
        """The refusals and failures in words, the most frequent first; empty where there are none."""
        kinds: dict[str, int] = {}
        for task in self.tasks:
            for kind, number in (*task.refused.items(), *task.failed.items()):
                kinds[kind] = kinds.get(kind, 0) + number
        ordered = sorted(kinds.items(), key=lambda entry: (-entry[1], entry[0]))
        return ", ".join(f"{number} {kind}" for kind, number in ordered[:3])

    def last_beat(self, shard_index: int) -> datetime | None:
        """When a task's account ends; None where it has none."""
        return next((task.last_utc for task in self.tasks if task.shard_index == shard_index), None)


def find_percentile_ms(latency: Sequence[LatencyBucket], percent: float, *, answered: int = 0) -> float | None:
    """The duration, in milliseconds, that so many percent of the answers did not exceed; None where nobody can tell.

    Those of the `answered` whose duration is not known may have taken longer than every other.
    """
    total, reached = max(answered, sum(bucket.count for bucket in latency)), 0
    for bucket in sorted(latency, key=lambda entry: entry.up_to_us):
        reached += bucket.count
        if total and reached >= total * percent / 100:
            return bucket.up_to_us / 1000
    return None


def subtract_latency(latency: Sequence[LatencyBucket], before: Sequence[LatencyBucket]) -> list[LatencyBucket]:
    """The latencies of the answers that `latency` has and an earlier look did not have yet."""
    earlier = {bucket.up_to_us: bucket.count for bucket in before}
    counts = [(bucket.up_to_us, bucket.count - earlier.get(bucket.up_to_us, 0)) for bucket in latency]
    return [LatencyBucket(up_to_us=up_to_us, count=count) for up_to_us, count in counts if count > 0]


def count_planned_due(events_per_second: float, seconds: float) -> int:
    """What a rate makes due in so many seconds, and has its second in which to be sent."""
    return int(events_per_second * max(0.0, seconds - PATIENCE_SECONDS))


def seconds_until(start: datetime, end: datetime) -> float:
    """The seconds of a load between two instants, none where the end is not after the start."""
    return max(0.0, instants.seconds_between(start, end))
