"""Run control on a file: `control.json` in the run's folder, for tasks on the same machine.

Every write is a read-modify-write under a lock on a sibling file, so a heartbeat can never undo a STOP another
process has just written; every read sees one whole control. What is not a plain file of ours is never followed.
"""

import contextlib
import fcntl
import os
import re
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from burst.domain.basics import errors
from burst.domain.tasks import leases
from burst.kit import files

LOCK_WAIT_SECONDS = 2.0
_LOCK_POLL_SECONDS = 0.01
_READY_NAME = re.compile(r"\d{1,9}", re.ASCII)


def from_uri(uri: str) -> "FileLeaseStore":
    """The run control a `file:///abs/control.json` URI or a plain path names; raises `errors.UsageError` otherwise."""
    if "://" not in uri:
        return FileLeaseStore(Path(uri).absolute())
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme != "file":
        raise errors.UsageError(f"lease {uri!r}: scheme {parts.scheme!r} is not known; allowed is a path or file:///")
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise errors.UsageError(f"lease {uri!r}: allowed is an absolute path on this machine, file:///run/control.json")
    return FileLeaseStore(Path(urllib.parse.unquote(parts.path)))


class FileLeaseStore:
    """`ports.RunControl` on the file at `path`; its lock and the `ready` folder lie beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock = self.path.with_name(self.path.name + ".lock")
        self._ready = self.path.with_name("ready")

    @property
    def uri(self) -> str:
        """What a task is given to find this control: a `file://` URI."""
        return self.path.as_uri()

    def create(self, first: leases.Lease) -> None:
        """Writes the first control; raises `errors.Conflict` when there is one already."""
        with _unavailable(f"{self.path} could not be written"), self._locked():
            if os.path.lexists(self.path):
                raise errors.Conflict(f"{self.path} is already there; nothing was written. Use another execution id.")
            files.replace(self.path, leases.encode(first))

    def read(self) -> leases.Lease | None:
        """The control as it stands; raises `errors.Unavailable` for a file that is unreadable, half or not ours."""
        with _unavailable(f"{self.path} could not be read"):
            content = files.read(self.path)
        if content is None:
            return None
        try:
            return leases.decode(content)
        except ValueError as exc:
            raise errors.Unavailable(f"{self.path} is not a control: {exc}") from exc

    def write(self, wanted: leases.Lease) -> leases.Lease:
        """Replaces the control by what `control.succeed` says. Over one that cannot be read only a STOP is written:
        what stood there may have been a STOP."""
        with _unavailable(f"{self.path} could not be written"), self._locked():
            standing = leases.merge(self._before(wanted), wanted)
            files.replace(self.path, leases.encode(standing))
        return standing

    def mark_ready(self, shard_index: int) -> None:
        """Leaves `ready/{shard}`; saying so twice is no error."""
        if shard_index < 0:
            raise errors.UsageError(f"shard {shard_index} is not a shard; allowed is 0 and up")
        with _unavailable(f"{self._ready} could not be written"):
            self._ready.mkdir(exist_ok=True)
            name = self._ready / f"{shard_index:04d}"
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644))

    def ready(self) -> frozenset[int]:
        """The shards that said so; names that are no shard are not ours and do not count."""
        with _unavailable(f"{self._ready} could not be read"):
            try:
                names = os.listdir(self._ready)
            except FileNotFoundError:
                return frozenset()
        return frozenset(int(name) for name in names if _READY_NAME.fullmatch(name))

    def _before(self, wanted: leases.Lease) -> leases.Lease | None:
        try:
            standing = self.read()
        except errors.Unavailable:
            if wanted.state is leases.LeaseState.STOP:
                return None
            raise
        if standing is not None and standing.execution_id != wanted.execution_id:
            raise errors.Conflict(f"{self.path} belongs to run {standing.execution_id}, not {wanted.execution_id}")
        return standing

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # Not a blocking lock: a holder stopped in mid-write must not hold up a controller that has to stop tasks.
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            give_up_at = time.monotonic() + LOCK_WAIT_SECONDS
            while not _lock_taken(descriptor):
                if time.monotonic() > give_up_at:
                    raise errors.Unavailable(f"{self._lock} was held for {LOCK_WAIT_SECONDS:g} s by another process")
                time.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _lock_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _unavailable(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise errors.Unavailable(f"{what}: {exc.strerror or exc}") from exc
