"""Heart: the heartbeat of a controller that is at work on something long, and never of one whose loop is dead.

The loop beats at a look, whenever a beat is due. Between two looks it may be held up: by a launch that stalls, a
count, a publication. Tasks whose lease stands still end, and another machine takes the run over. So a thread beats
wherever nobody did for one period. It lives by the loop alone: with each act the loop says how long that may take, and
past it the loop is taken for dead and the thread is silent, until the loop comes back. It decides nothing and journals
nothing: what it would find in the lease the loop finds at its own next beat.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """When a beat is due, and until when the loop lives; instants are monotonic seconds."""

    every_seconds: float
    due_at: float = 0.0
    lives_until: float = 0.0

    def beaten(self, now: float) -> "Pulse":
        """After a beat, whosoever it was, or one that was passed over."""
        return replace(self, due_at=now + self.every_seconds)

    def allowed(self, now: float, seconds: float) -> "Pulse":
        """After the loop said how long its next act may take."""
        return replace(self, lives_until=now + seconds)

    def waits_seconds(self, now: float) -> float:
        """How long there is nothing to do."""
        return max(0.0, self.due_at - now)

    def lives(self, now: float) -> bool:
        """Whether the loop is at work as it said."""
        return now < self.lives_until


class Heart:
    """Calls `beat` from a thread while `beating`, whenever one period passed without `beaten`."""

    def __init__(self, beat: Callable[[], None], every_seconds: float) -> None:
        self._beat = beat
        self._pulse = Pulse(every_seconds=every_seconds)
        self._changing = threading.Lock()

    def beaten(self) -> None:
        """The loop beat by itself."""
        with self._changing:
            self._pulse = self._pulse.beaten(time.monotonic())

    def allow(self, seconds: float) -> None:
        """The loop lives, and begins what may take so long."""
        with self._changing:
            self._pulse = self._pulse.allowed(time.monotonic(), seconds)

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Beats meanwhile. A beat under way at the end is not waited for: its answer may be long in coming."""
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
                continue  # the loop beat meanwhile
            self.beaten()
            if self._pulse.lives(time.monotonic()):
                self._beat()
