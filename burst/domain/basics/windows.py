"""Windows: half-open UTC intervals, so adjacent windows never count a receipt twice."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from burst.domain.basics import instants


@dataclass(frozen=True, slots=True)
class Window:
    """The instants from `start` up to but not including `end`, both UTC. Refuses naive, empty and reversed windows."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", instants.utc(self.start))
        object.__setattr__(self, "end", instants.utc(self.end))
        if self.end <= self.start:
            raise ValueError(f"a window must end after it starts: {self}")

    def __str__(self) -> str:
        return f"[{instants.text(self.start)}, {instants.text(self.end)})"

    @property
    def seconds(self) -> float:
        """Exact length in seconds."""
        return instants.seconds_between(self.start, self.end)

    def holds(self, moment: datetime) -> bool:
        """Whether the instant lies in the window, to which `end` does not belong."""
        return self.start <= moment < self.end

    def inside(self, outer: "Window") -> bool:
        """Whether every instant of this window lies in `outer`."""
        return outer.start <= self.start and self.end <= outer.end

    def buckets(self, bucket_seconds: float) -> "tuple[Window, ...]":
        """Adjacent slices of `bucket_seconds`, the last one shorter; together they are exactly this window."""
        if not 1e-6 <= bucket_seconds < float("inf"):
            raise ValueError(f"a bucket must be at least a microsecond long, not {bucket_seconds} s")
        whole, beyond_seconds = self.end - self.start, self.seconds + 1  # no instant lies behind the year 9999
        edges, passed = [], timedelta()
        while passed < whole:
            edges.append(self.start + passed)
            passed = timedelta(seconds=min(len(edges) * bucket_seconds, beyond_seconds))
        return tuple(Window(a, b) for a, b in zip(edges, [*edges[1:], self.end], strict=True))
