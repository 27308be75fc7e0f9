"""Heart: the heartbeat of a controller during a long act, but never of a controller whose loop is dead.

The loop beats at its looks. Between two looks a long act may hold it up: a launch that stalls, a count, a publication.
Meanwhile the lease would grow stale: tasks would end themselves, and another machine would take the run over. So a
thread beats whenever the loop has not done so for one period. With each act the loop says how long the act may take;
after that time the thread takes the loop for dead and stops beating until the loop returns. The thread decides nothing
and journals nothing: the loop reads the lease at its own next beat.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """When a beat is due, and until when the loop counts as alive; instants are monotonic seconds."""

    every_seconds: float
    due_at: float = 0.0
    lives_until: float = 0.0

    def beaten(self, now: float) -> "Pulse":
        """The pulse after a beat: by the loop, by the thread, or left out because the loop is dead."""
        return replace(self, due_at=now + self.every_seconds)

    def prolong(self, now: float, seconds: float) -> "Pulse":
        """The pulse after the loop said how long its next act may take."""
        return replace(self, lives_until=now + seconds)

    def waits_seconds(self, now: float) -> float:
        """How long the thread has nothing to do."""
        return max(0.0, self.due_at - now)

    def lives(self, now: float) -> bool:
        """Whether the loop is still within the time of its act."""
        return now < self.lives_until


class Heart:
    """Calls `beat` from a thread while `beating`, whenever one period passed without `beaten`."""

    def __init__(self, beat: Callable[[], None], every_seconds: float) -> None:
        self._beat = beat
        self._pulse = Pulse(every_seconds=every_seconds)
        self._changing = threading.Lock()

    def beaten(self) -> None:
        """Notes that the loop beat by itself."""
        with self._changing:
            self._pulse = self._pulse.beaten(time.monotonic())

    def allow(self, seconds: float) -> None:
        """Notes that the loop lives, and begins an act that may take so long."""
        with self._changing:
            self._pulse = self._pulse.prolong(time.monotonic(), seconds)

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Beats during the block. A beat that is under way at its end is not waited for: its answer may take long."""
        done = threading.Event()
        self.beaten()
        threading.Thread(target=self._work, args=(done,), name="burst-heart", daemon=True).start()
        try:
            yield
        finally:
            done.set()

    def _work(self, done: threading.Event) -> None:
        while not done.wait(self._pulse.waits_seconds(time.monotonic())):
            if self._pulse.waits_seconds(time.monotonic()):
                continue  # the loop has beaten meanwhile
            self.beaten()
            if self._pulse.lives(time.monotonic()):
                self._beat()
