"""One controller per run: a kernel lock on a file in the run's folder, released when its holder dies.

`is_held` takes the lock for an instant, so a `RunLock` tries for half a second before it is refused.
"""

import fcntl
import os
import time
from pathlib import Path

from burst.domain.basics import errors

NAME = "controller.lock"
PATIENCE_SECONDS = 0.5
_POLL_SECONDS = 0.02


class RunLock:
    """Held from birth to `release`. Raises `errors.Conflict` when another living process holds it."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = _open(folder)
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not _take(self._descriptor, fcntl.LOCK_EX):
            if time.monotonic() > give_up_at:
                os.close(self._descriptor)
                raise errors.Conflict(
                    f"another controller is at work on {folder.name}; watch it with `burst status {folder.name}`, "
                    f"or end its burst with `burst stop {folder.name}`"
                )
            time.sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Lets another controller in."""
        os.close(self._descriptor)


def is_held(folder: Path) -> bool:
    """Whether a living controller holds the run."""
    descriptor = _open(folder)
    try:
        return not _take(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    try:
        return os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise errors.Unavailable(f"{folder / NAME} cannot be opened: {exc.strerror}") from exc


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
