"""One controller per run: a kernel lock on a file in the run's folder, released when its holder dies.

Each holder adds itself to the file, so that a controller that is refused names it, and a later holder knows which
controllers of this folder are dead. A copy of the folder has another lock, so it knows nothing of the controllers that
held the original. `is_held` takes the lock for an instant, so a `RunLock` tries for half a second
before it is refused.
"""

import fcntl
import json
import os
import time
from pathlib import Path

from burst.domain.basics import errors
from burst.domain.tasks import leases

NAME = "controller.lock"
PATIENCE_SECONDS = 0.5
_POLL_SECONDS = 0.02
_LARGEST_BYTES = 1 << 20


class RunLock:
    """Held by `owner` from birth to `release`. Raises `errors.ControllerAtWork` when another living process holds
    it."""

    def __init__(self, folder: Path, owner: leases.Owner) -> None:
        self._descriptor = _open(folder, os.O_RDWR | os.O_CREAT)
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not _take(self._descriptor, fcntl.LOCK_EX):
            if time.monotonic() > give_up_at:
                holders = _read_holders(self._descriptor)
                os.close(self._descriptor)
                holder = f": {holders[-1].words()}" if holders else ""
                raise errors.ControllerAtWork(f"another controller is at work on {folder.name}{holder}")
            time.sleep(_POLL_SECONDS)
        self.predecessors = frozenset(
            holder.controller for holder in _read_holders(self._descriptor, of_this_lock=True)
        )
        """The controllers that held the run before: dead, because the lock was free."""
        _add_holder(self._descriptor, owner)

    def release(self) -> None:
        """Lets another controller in."""
        os.close(self._descriptor)


def is_held(folder: Path) -> bool:
    """Whether a living controller holds the run. Writes nothing: the caller may have no right to write."""
    if not os.path.lexists(folder / NAME):
        return False
    descriptor = _open(folder, os.O_RDONLY)
    try:
        return not _take(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _read_holders(descriptor: int, *, of_this_lock: bool = False) -> list[leases.Owner]:
    """Every holder so far, the present one last; a line that a crash cut, or that anybody else wrote, names none.

    With `of_this_lock` only those that held this very file, and not the one of which it is a copy.
    """
    holders, inode = [], os.fstat(descriptor).st_ino
    for line in os.pread(descriptor, _LARGEST_BYTES, 0).splitlines():
        try:
            fields = json.loads(line)
            holder = leases.read_owner(fields)
            if not of_this_lock or fields.get("inode") == inode:
                holders.append(holder)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue
    return holders


def _add_holder(descriptor: int, owner: leases.Owner) -> None:
    """Writes the holder down. Where the disk refuses, the lock holds as well, and a later holder has to wait for the
    lease to stand still."""
    lock_file = os.fstat(descriptor)
    size, fields = lock_file.st_size, {**leases.owner_fields(owner), "inode": lock_file.st_ino}
    try:
        os.pwrite(descriptor, b"\n" * (size > 0) + json.dumps(fields).encode() + b"\n", size)
    except OSError:
        return


def _open(folder: Path, flags: int) -> int:
    try:
        return os.open(folder / NAME, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise errors.Unavailable(f"{folder / NAME} cannot be opened: {exc.strerror}") from exc


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
