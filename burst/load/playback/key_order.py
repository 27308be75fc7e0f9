"""The order per key: a record is ready only when every earlier one of its key was acknowledged.

A key is busy from the moment its first record is ready until that one is acknowledged; later ones wait behind it. A key
whose record was refused for good is stopped: its later records are left for the next run, in their order.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field

from burst.load import send_schedule
from burst.load.playback import records


@dataclass(slots=True, kw_only=True)
class Sending:
    """One record on its way: `tries` counts how often it was sent."""

    record: records.Record
    slot: send_schedule.Slot
    tries: int = 0


@dataclass(order=True, slots=True)
class _Ready:
    due: float
    ordinal: int
    sending: Sending = field(compare=False)


class KeyOrder:
    """Holds the records that are due: some may be sent, others wait behind another record of their key."""

    def __init__(self) -> None:
        self._ready: list[_Ready] = []
        self._behind: dict[str, deque[Sending]] = {}
        """Of each busy key, the records that wait."""
        self._stopped: set[str] = set()
        self.held_bytes = 0
        """The bytes of all records that are ready or wait."""
        self.left = 0
        """How many records of stopped keys are left for the next run."""

    @property
    def ready(self) -> int:
        """How many may be sent now."""
        return len(self._ready)

    @property
    def stopped_keys(self) -> int:
        """How many keys were stopped."""
        return len(self._stopped)

    def add(self, sending: Sending) -> None:
        """A record is due. Records are added in recorded order."""
        key = sending.record.key
        if key in self._stopped:
            self.left += 1
            return
        self.held_bytes += len(sending.record.raw)
        if key in self._behind:
            self._behind[key].append(sending)
        else:
            self._behind[key] = deque()
            self._push(sending)

    def take(self) -> Sending | None:
        """The ready record that was due first; None where none is ready."""
        if not self._ready:
            return None
        sending = heapq.heappop(self._ready).sending
        self.held_bytes -= len(sending.record.raw)
        return sending

    def finish(self, sending: Sending) -> None:
        """A record that was taken is acknowledged: the next one of its key is ready."""
        waiting = self._behind[sending.record.key]
        if waiting:
            self._push(waiting.popleft())
        else:
            del self._behind[sending.record.key]

    def put_back(self, sending: Sending) -> None:
        """A record that was taken had no answer: it is sent again, before any later one of its key."""
        self.held_bytes += len(sending.record.raw)
        self._push(sending)

    def stop(self, sending: Sending) -> None:
        """A record that was taken was refused for good: nothing of its key is sent any more."""
        waiting = self._behind.pop(sending.record.key)
        self._stopped.add(sending.record.key)
        self.left += len(waiting)
        self.held_bytes -= sum(len(each.record.raw) for each in waiting)

    def _push(self, sending: Sending) -> None:
        heapq.heappush(self._ready, _Ready(sending.slot.due, sending.record.ordinal, sending))
