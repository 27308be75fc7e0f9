"""Pausing: how long the shell waits between two looks, and before it repeats a call that was not answered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from burst import ports
from burst.domain.basics import errors, instants

T = TypeVar("T")

POLL_SECONDS = 0.2
"""The time between two looks."""
LONGEST_SECONDS = 1.0
"""The longest time for which the loop rests while nothing is due."""
RETRY_SECONDS = 1.0
"""The time after which a call that was not answered is repeated."""
_SHORTEST_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionPatience:
    """For how long questions that were not answered are repeated: to an instant, or to a signal."""

    clock: ports.Clock
    give_up_at: datetime
    is_interrupted: Callable[[], bool] = lambda: False

    def pause(self) -> bool:
        """Waits before a repetition; False where there is none any more."""
        if self.is_interrupted() or instants.later(self.clock.now(), RETRY_SECONDS) >= self.give_up_at:
            return False
        self.clock.sleep(RETRY_SECONDS)
        return True

    def ask(self, question: Callable[[], T]) -> T:
        """The answer, after repetitions. Raises the last `errors.Unavailable`, and at once whatever else it raises."""
        while True:
            try:
                return question()
            except errors.Unavailable:
                if not self.pause():
                    raise


def until_next_look(clock: ports.Clock, due_at: datetime | None, pause_seconds: float = POLL_SECONDS) -> None:
    """Waits for the next look, but no longer than to `due_at`, the instant of the next decision."""
    left_seconds = pause_seconds if due_at is None else instants.seconds_between(clock.now(), due_at)
    clock.sleep(min(pause_seconds, max(_SHORTEST_SECONDS, left_seconds)))
