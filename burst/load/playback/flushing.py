"""When a shard's checkpoint is written: after 100 acknowledgements or a second, and again where the store was away.

While nothing can be written, sending goes on until `MOST_UNFLUSHED` acknowledgements would be repeated after a kill.
Then it pauses, and the schedule does not move: what became due meanwhile is sent late, and the account says so.
"""

FLUSH_EVENTS = 100
FLUSH_SECONDS = 1.0
MOST_UNFLUSHED = 1000
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 1.0


class FlushPacer:
    """Counts acknowledgements that no checkpoint holds yet; instants are monotonic."""

    def __init__(self, now: float) -> None:
        self.unflushed = 0
        """Acknowledgements that a kill would have sent again."""
        self.away_since: float | None = None
        """Since when no checkpoint could be written; None while they can."""
        self._flushed_at = now
        self._next_try_at = now
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._flushing = 0

    @property
    def must_pause(self) -> bool:
        """Whether nothing more may be sent until a checkpoint was written."""
        return self.unflushed >= MOST_UNFLUSHED

    def note_acknowledged(self) -> None:
        """One more acknowledgement."""
        self.unflushed += 1

    def is_due(self, now: float) -> bool:
        """Whether a checkpoint is to be written now."""
        if not self.unflushed or now < self._next_try_at:
            return False
        return self.unflushed >= FLUSH_EVENTS or now - self._flushed_at >= FLUSH_SECONDS

    def begin(self) -> None:
        """A checkpoint of everything that was acknowledged by now is being written."""
        self._flushing = self.unflushed

    def note_saved(self, now: float) -> None:
        """The checkpoint that was begun is durable."""
        self.unflushed -= self._flushing
        self._flushed_at, self._next_try_at, self.away_since = now, now, None
        self._pause_seconds = _FIRST_PAUSE_SECONDS

    def note_away(self, now: float) -> None:
        """The store did not take the checkpoint that was begun."""
        self.away_since = now if self.away_since is None else self.away_since
        self._next_try_at = now + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
