"""The lease as a task sees it: wait, go, or end, judged from each reading and its time.

Pure: readings and times are arguments. Staleness runs on the reader's monotonic clock from the last change of `beat`
that it saw, so a wrong wall clock cannot keep a task alive. The wall clock judges one case only: a GO that is already
old when it is first read comes from a controller that is gone, and never starts load.
"""

from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.tasks import leases, tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseReading:
    """One look at the lease: the lease, or why it could not be read."""

    lease: leases.Lease | None = None
    problem: str = "there is no control file"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOrder:
    """What the task has to do now; `end` says why it has to end, `cause` in which way, `asked_at` since when."""

    go: bool = False
    end: str | None = None
    cause: tasks.EndCause | None = None
    asked_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class LeaseWatch:
    """Everything read so far. `readable_since` and `beat_since` are monotonic seconds."""

    ttl_seconds: float
    readable_since: float
    beat: int | None = None
    beat_since: float = 0.0
    deadline: datetime | None = None

    def judge(self, reading: LeaseReading, *, monotonic: float, wall: datetime) -> LeaseOrder:
        """The order that follows from this reading."""
        lease = reading.lease
        if lease is None:
            return self._judge_unreadable(reading.problem, monotonic)
        is_first = self.beat is None
        self.readable_since, self.deadline = monotonic, lease.deadline
        if lease.beat != self.beat:
            self.beat, self.beat_since = lease.beat, monotonic
        if lease.state is leases.LeaseState.STOP:
            return LeaseOrder(
                end=f"the lease says STOP{': ' if lease.reason else ''}{lease.reason}",
                cause=tasks.EndCause.LEASE_STOP,
                asked_at=lease.heartbeat_at,
            )
        age = instants.seconds_between(lease.heartbeat_at, wall)
        if is_first and lease.state is leases.LeaseState.GO and age > self.ttl_seconds:
            return LeaseOrder(
                end=f"the lease's GO was stale when first read: its heartbeat is {age:.1f} s old",
                cause=tasks.EndCause.LEASE_STALE,
            )
        if monotonic - self.beat_since > self.ttl_seconds:
            return LeaseOrder(
                end=f"the lease's heartbeat was stale: no new beat for {monotonic - self.beat_since:.1f} s",
                cause=tasks.EndCause.LEASE_STALE,
            )
        return LeaseOrder(go=lease.state is leases.LeaseState.GO)

    def _judge_unreadable(self, problem: str, monotonic: float) -> LeaseOrder:
        blind_seconds = monotonic - self.readable_since
        if blind_seconds > self.ttl_seconds:
            return LeaseOrder(
                end=f"the lease was unreadable for {blind_seconds:.1f} s: {problem}",
                cause=tasks.EndCause.LEASE_UNREADABLE,
            )
        return LeaseOrder()
