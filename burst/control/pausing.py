"""Pausing: how long the shell waits between two looks, and before it repeats a call that was not answered."""

from datetime import datetime

from burst import ports
from burst.domain.basics import instants

POLL_SECONDS = 0.2
"""The time between two looks."""
LONGEST_SECONDS = 1.0
"""The longest time for which the loop rests while nothing is due."""
RETRY_SECONDS = 1.0
"""The time after which a call that was not answered is repeated."""
_SHORTEST_SECONDS = 0.01


def until_next_look(clock: ports.Clock, due_at: datetime | None, pause_seconds: float = POLL_SECONDS) -> None:
    """Waits for the next look, but no longer than to `due_at`, the instant of the next decision."""
    left_seconds = pause_seconds if due_at is None else instants.seconds_between(clock.now(), due_at)
    clock.sleep(min(pause_seconds, max(_SHORTEST_SECONDS, left_seconds)))
