"""Pausing: how long the shell waits before it looks again, or asks again what was not answered."""

from datetime import datetime

from burst import ports
from burst.domain.basics import instants

POLL_SECONDS = 0.2
"""Between two looks."""
RETRY_SECONDS = 1.0
"""How long after something did not answer it is asked again."""
_SHORTEST_SECONDS = 0.01


def until_next_look(clock: ports.Clock, due_at: datetime | None) -> None:
    """Waits for the next look, and no longer than to `due_at`, when something is due anyway."""
    left_seconds = POLL_SECONDS if due_at is None else instants.seconds_between(clock.now(), due_at)
    clock.sleep(min(POLL_SECONDS, max(_SHORTEST_SECONDS, left_seconds)))
