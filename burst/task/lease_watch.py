"""The lease as a task sees it: wait, go, or end, judged from what was read and when.

Pure: readings and times are arguments. Staleness runs on the reader's monotonic clock from the last change of `beat`
it saw, so a wrong wall clock cannot keep a task alive. The wall clock judges one thing only: a GO that is already
old when it is first read was left behind by a controller that is gone, and never starts load.
"""

from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.tasks import leases


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at the lease: the lease as it stood, or why there was none to read."""

    lease: leases.Lease | None = None
    problem: str = "there is no control file"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseReading:
    """What the lease asks of the task; `end` says why it has to end."""

    go: bool = False
    end: str | None = None


@dataclass(slots=True, kw_only=True)
class LeaseWatch:
    """What was seen so far. `since` are monotonic seconds."""

    ttl_seconds: float
    readable_since: float
    beat: int | None = None
    beat_since: float = 0.0
    deadline: datetime | None = None

    def judge(self, reading: Reading, *, monotonic: float, wall: datetime) -> LeaseReading:
        """What to do after this reading."""
        seen = reading.lease
        if seen is None:
            return self._unreadable(reading.problem, monotonic)
        first = self.beat is None
        self.readable_since, self.deadline = monotonic, seen.deadline
        if seen.beat != self.beat:
            self.beat, self.beat_since = seen.beat, monotonic
        if seen.state is leases.LeaseState.STOP:
            return LeaseReading(end=f"the lease says STOP{': ' if seen.reason else ''}{seen.reason}")
        age = instants.seconds_between(seen.heartbeat_at, wall)
        if first and seen.state is leases.LeaseState.GO and age > self.ttl_seconds:
            return LeaseReading(end=f"the lease's GO was stale when first read: its heartbeat is {age:.1f} s old")
        if monotonic - self.beat_since > self.ttl_seconds:
            return LeaseReading(
                end=f"the lease's heartbeat was stale: no new beat for {monotonic - self.beat_since:.1f} s"
            )
        return LeaseReading(go=seen.state is leases.LeaseState.GO)

    def _unreadable(self, problem: str, monotonic: float) -> LeaseReading:
        blind_seconds = monotonic - self.readable_since
        if blind_seconds > self.ttl_seconds:
            return LeaseReading(end=f"the lease was unreadable for {blind_seconds:.1f} s: {problem}")
        return LeaseReading()
