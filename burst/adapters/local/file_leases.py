"""The lease on a file: `control.json` in the run's folder, for tasks on the same machine.

Every write is a read-modify-write under a lock on a sibling file, so a heartbeat can never undo a STOP that another
process has just written; every read sees one whole lease. Links, pipes and devices are refused.
"""

import contextlib
import fcntl
import os
import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from burst.domain.basics import errors
from burst.domain.tasks import leases, masters
from burst.kit import files

LOCK_WAIT_SECONDS = 2.0
_LOCK_POLL_SECONDS = 0.01
_READY_NAME = re.compile(r"\d{1,9}", re.ASCII)


def from_uri(uri: str) -> "FileLeaseStore":
    """The lease store of a `file:///abs/control.json` URI or a plain path; raises `errors.UsageError` otherwise."""
    if "://" not in uri:
        return FileLeaseStore(Path(uri).absolute())
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme != "file":
        raise errors.UsageError(f"lease {uri!r}: scheme {parts.scheme!r} is not known; allowed is a path or file:///")
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise errors.UsageError(f"lease {uri!r}: allowed is an absolute path on this machine, file:///run/control.json")
    return FileLeaseStore(Path(urllib.parse.unquote(parts.path)))


class FileLeaseStore:
    """`ports.LeaseStore` on the file at `path`; its lock and the `ready` folder lie beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock = self.path.with_name(self.path.name + ".lock")
        self._ready = self.path.with_name("ready")
        self._master = self.path.with_name("master.json")

    @property
    def uri(self) -> str:
        """The `file://` URI by which a task finds this lease."""
        return self.path.as_uri()

    def create(self, first: leases.Lease) -> None:
        """Writes the first lease; raises `errors.Conflict` when there is one already."""
        with _os_error_as_unavailable(f"{self.path} could not be written"), self._hold_lock():
            if os.path.lexists(self.path):
                raise errors.Conflict(f"{self.path} is already there; nothing was written. Use another execution id.")
            files.replace(self.path, leases.encode(first))

    def read(self) -> leases.Lease | None:
        """The present lease; raises `errors.Unavailable` for a file that is unreadable, half written or no lease."""
        with _os_error_as_unavailable(f"{self.path} could not be read"):
            content = files.read(self.path)
        if content is None:
            return None
        try:
            return leases.decode(content)
        except ValueError as exc:
            raise errors.Unavailable(f"{self.path} is not a lease: {exc}") from exc

    def write(self, lease: leases.Lease) -> leases.Lease:
        """Replaces the lease by what `leases.merge` returns. An unreadable lease may be a STOP, so only a STOP
        replaces it."""
        with _os_error_as_unavailable(f"{self.path} could not be written"), self._hold_lock():
            successor = leases.merge(self._read_for_write(lease), lease)
            files.replace(self.path, leases.encode(successor))
        return successor

    def claim(self, last_read: leases.Lease, owner: leases.Owner, at: datetime) -> leases.Lease:
        """Gives the lease to `owner` where it is still as it was last read: of all claimants one succeeds.

        Raises `errors.Conflict` for the others.
        """
        with _os_error_as_unavailable(f"{self.path} could not be written"), self._hold_lock():
            if self.read() != last_read:
                raise errors.Conflict(f"{self.path} was changed by somebody else since it was read")
            claimed = leases.give(last_read, owner, at)
            files.replace(self.path, leases.encode(claimed))
        return claimed

    def mark_ready(self, shard_index: int) -> None:
        """Writes `ready/{shard}`; writing it twice is no error."""
        if shard_index < 0:
            raise errors.UsageError(f"shard {shard_index} is not a shard; allowed is 0 and up")
        with _os_error_as_unavailable(f"{self._ready} could not be written"):
            self._ready.mkdir(exist_ok=True)
            name = self._ready / f"{shard_index:04d}"
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644))

    def ready(self) -> frozenset[int]:
        """The shards that are ready; a name that is no shard does not count."""
        with _os_error_as_unavailable(f"{self._ready} could not be read"):
            try:
                names = os.listdir(self._ready)
            except FileNotFoundError:
                return frozenset()
        return frozenset(int(name) for name in names if _READY_NAME.fullmatch(name))

    def free_shard(self, shard_index: int) -> None:
        """Removes `ready/{shard}`, where it is there."""
        with _os_error_as_unavailable(f"{self._ready} could not be written"), contextlib.suppress(FileNotFoundError):
            os.unlink(self._ready / f"{shard_index:04d}")

    def claims(self) -> Mapping[str, int]:
        """None: on this machine the launcher gives each task its shard."""
        return {}

    def close_claims(self, count: int) -> None:
        """Does nothing: nobody claims."""

    def tell_master(self, master: masters.MasterAddress) -> None:
        """Writes `master.json` beside the lease."""
        with _os_error_as_unavailable(f"{self._master} could not be written"):
            files.replace(self._master, masters.encode(master))

    def find_master(self) -> masters.MasterAddress | None:
        """What `master.json` says, None where it is not there."""
        with _os_error_as_unavailable(f"{self._master} could not be read"):
            content = files.read(self._master)
        try:
            return None if content is None else masters.decode(content)
        except ValueError as exc:
            raise errors.Unavailable(f"{self._master}: {exc}") from exc

    def _read_for_write(self, lease: leases.Lease) -> leases.Lease | None:
        try:
            present = self.read()
        except errors.Unavailable:
            if lease.state is leases.LeaseState.STOP:
                return None
            raise
        if present is not None and present.execution_id != lease.execution_id:
            raise errors.Conflict(f"{self.path} belongs to run {present.execution_id}, not {lease.execution_id}")
        return present

    @contextlib.contextmanager
    def _hold_lock(self) -> Iterator[None]:
        # Not a blocking lock: a holder suspended in mid-write must not hold up a controller that has to stop tasks.
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            give_up_at = time.monotonic() + LOCK_WAIT_SECONDS
            while not _take_lock(descriptor):
                if time.monotonic() > give_up_at:
                    raise errors.Unavailable(f"{self._lock} was held for {LOCK_WAIT_SECONDS:g} s by another process")
                time.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _take_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _os_error_as_unavailable(failure: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise errors.Unavailable(f"{failure}: {exc.strerror or exc}") from exc
