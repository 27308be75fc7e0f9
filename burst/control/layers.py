"""Layers of the hard stop that are the same on every target: the lease, and those that need no act to be armed.

Both are `ports.HardStopLayer`. A target adds the layers that only it has, from its adapters.
"""

from datetime import datetime

from burst import ports
from burst.domain.tasks import leases


class StatedLayer:
    """A layer that is in force by the way tasks are started: arming it only says so."""

    def __init__(self, detail: str) -> None:
        self._detail = detail

    def arm(self, deadline: datetime) -> str:
        """Says how the layer holds."""
        return self._detail

    def disarm(self) -> None:
        """Nothing stands that could fire."""


class LeaseLayer:
    """The lease: tasks wait for GO in it, obey STOP, and quit when its heartbeat is stale."""

    def __init__(
        self, lease: ports.LeaseStore, *, execution_id: str, ttl_seconds: float, clock: ports.Clock, name: str = ""
    ) -> None:
        self._lease = lease
        self._execution_id = execution_id
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._prefix = f"{name}: " if name else ""

    def arm(self, deadline: datetime) -> str:
        """Writes the first lease of the run, unless the run has one, and says how the lease holds."""
        if self._lease.read() is None:
            self._lease.create(
                leases.Lease(
                    execution_id=self._execution_id,
                    state=leases.LeaseState.WAIT,
                    deadline=deadline,
                    beat=0,
                    heartbeat_at=self._clock.now(),
                )
            )
        return f"{self._prefix}tasks hold, and quit when it is {self._ttl_seconds:g} s stale"

    def disarm(self) -> None:
        """The lease stays: it says STOP, and nothing fires from it."""
