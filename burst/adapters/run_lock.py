"""One controller per run: a kernel lock on a file in the run's folder, given back when its holder dies."""

import fcntl
import os
from pathlib import Path

from burst.domain import errors

NAME = "controller.lock"


class RunLock:
    """Held from birth to `release`. Raises `errors.Conflict` when another living process holds it."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise errors.Conflict(
                f"another controller is at work on {folder.name}; watch it with `burst status {folder.name}`, "
                f"or end its burst with `burst stop {folder.name}`"
            ) from None

    def release(self) -> None:
        """Lets another controller in."""
        os.close(self._descriptor)


def held(folder: Path) -> bool:
    """Whether a living controller holds the run."""
    try:
        RunLock(folder).release()
    except errors.Conflict:
        return True
    return False
