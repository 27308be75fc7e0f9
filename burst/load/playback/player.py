"""One shard of a playback: it reads records, says which may be sent now, takes their answers and keeps its checkpoint.

It has no clock, no network and no Locust: instants are arguments, monotonic unless said. A program takes a `Sending`
whenever `take` has one, and says how it ended.
"""

import heapq
from collections import deque
from collections.abc import Iterator

from burst.load.playback import flushing, key_order, pacing, progress, records

READ_AHEAD_SECONDS = 1.0
READ_AT_ONCE = 200
MOST_PLACED = 10_000
MOST_HELD_BYTES = 64 << 20
MOST_GAPS = 10_000
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.1, 5.0


class Player:
    """The state of one shard. Its reading pauses while too much is due and not sent, so that memory stays bounded."""

    def __init__(
        self,
        reading: Iterator[records.Record | None],
        checkpoint: progress.Checkpoint,
        schedule: pacing.PlaybackSchedule,
        now: float,
    ) -> None:
        self.schedule = schedule
        self.flushes = flushing.FlushPacer(now)
        self.order = key_order.KeyOrder()
        self.progress = progress.Progress(checkpoint)
        self.ended = False
        """Whether all records of the shard were read, or its rate plan has ended."""
        self.acknowledged = 0
        """In this run."""
        self.sent_again = 0
        self._next_ordinal = checkpoint.low_water
        """Of the record that is read next."""
        self._reading = reading
        self._placed = deque[key_order.Sending]()
        self._retries: list[tuple[float, int, key_order.Sending]] = []

    # Reading

    def read_ahead(self, now: float) -> bool:
        """Read some records, where more are needed soon; whether to call again at once. Raises RecordingError."""
        for _ in range(READ_AT_ONCE):
            if self.ended or not self._has_room(now):
                return False
            self._read_one()
        return True

    @property
    def has_too_many_gaps(self) -> bool:
        """Whether a checkpoint would grow too long: so many stretches have no acknowledgement, and lie before one that
        has it, that nothing behind the last one is read. What lies between them is: it fills them."""
        return self.progress.gaps >= MOST_GAPS and self._next_ordinal >= self.progress.frontier

    def _has_room(self, now: float) -> bool:
        if len(self._placed) >= MOST_PLACED or self.order.held_bytes >= MOST_HELD_BYTES:
            return False
        if self.has_too_many_gaps:
            return False
        return not self._placed or self._placed[-1].slot.due < now + READ_AHEAD_SECONDS

    def _read_one(self) -> None:
        try:
            record = next(self._reading)
        except StopIteration:
            self.ended = True
            return
        if record is None:
            return
        self._next_ordinal = record.ordinal + 1
        if self.progress.is_acknowledged(record.ordinal):
            self.progress.acknowledge(record.ordinal, record.mark)  # which tells where its range ends
            return
        sending = self.schedule.place(record)
        if sending is None:
            self.ended = True
        else:
            self._placed.append(sending)

    def read_unsent(self, now: float) -> bool:
        """At the end: read on without sending, so that what became due and was never read counts as due too; whether
        there may be more. Raises RecordingError."""
        for _ in range(READ_AT_ONCE):
            if self.ended or (self._placed and self._placed[-1].slot.due >= now):
                return False
            self._read_one()
            while len(self._placed) > 1:
                self._placed.popleft()  # the schedule has counted it, and nothing is sent any more
        return True

    # Sending

    def release(self, now: float) -> None:
        """Let go what is due by now."""
        while self._placed and self._placed[0].slot.due <= now:
            self.order.add(self._placed.popleft())
        while self._retries and self._retries[0][0] <= now:
            self.order.put_back(heapq.heappop(self._retries)[2])

    def find_next_due(self) -> float | None:
        """When something is to be released next; None where nothing is known to be."""
        instants = [each[0] for each in self._retries[:1]]
        if self._placed:
            instants.append(self._placed[0].slot.due)
        return min(instants, default=None)

    def take(self) -> key_order.Sending | None:
        """What to send now; None where nothing may be sent."""
        return None if self.flushes.must_pause else self.order.take()

    # Answers

    def acknowledge(self, sending: key_order.Sending) -> None:
        """The ingest took it."""
        self.progress.acknowledge(sending.record.ordinal, sending.record.mark)
        self.order.finish(sending)
        self.flushes.note_acknowledged()
        self.acknowledged += 1

    def retry(self, sending: key_order.Sending, now: float) -> None:
        """Nobody knows whether the ingest took it, or it may take it later: it is sent again after a pause."""
        sending.tries += 1
        self.sent_again += 1
        pause = min(_FIRST_RETRY_SECONDS * 2 ** (sending.tries - 1), _LONGEST_RETRY_SECONDS)
        heapq.heappush(self._retries, (now + pause, sending.record.ordinal, sending))

    def stop_key(self, sending: key_order.Sending) -> None:
        """The ingest refuses it for good."""
        self.order.stop(sending)


def is_refused_for_good(status: int) -> bool:
    """Whether the same record would be refused again: a redirect, or an error of the client that does not ask
    to wait."""
    return 300 <= status < 500 and status not in (408, 425, 429)
