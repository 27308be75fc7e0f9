"""The lease on S3: `control.json` under the run's key, for tasks anywhere, also while the ECS API is down.

S3 has no lock, so a write is compare-and-swap: read the lease with its ETag, replace only that version. STOP sticks
because a writer that loses the race reads again and succeeds the newer lease. Beside the lease lie `ready/`, `claims/`
(the task of each shard, created once) and `tasks/` (the guards' records). A client waits only briefly for each answer:
a heartbeat that hangs is as bad as none. Every failure to answer is `errors.Unavailable`, denials too, because a task
must end when it cannot read its lease, whatever the reason.
"""

import contextlib
import itertools
import random
import re
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator, Mapping
from concurrent import futures
from datetime import datetime
from typing import Any

from burst.domain.basics import errors, naming
from burst.domain.tasks import leases, masters, task_records
from burst.kit import aws, silence

CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0
SWAPS = 8
"""How often a write is tried while other writers change the lease."""
CREATIONS = 3
"""How often the creation is tried when its answer is lost."""
PAUSE_SECONDS = 0.02
SILENT_READS = 8
"""So many records in a row whose reading timed out, and S3 counts as silent."""
SILENCE_SECONDS = 5.0
"""How long records of a silent S3 are not read: with hundreds of tasks each would wait as long."""
CLAIM_READERS = 16
"""How many claims are read at once."""
CLOSED = "closed"
"""The claim of a shard that no task may take any more."""
_MASTER = "ready/master.json"
"""Among the marks of tasks, which may change while a run lives."""
_BUCKET = re.compile(naming.BUCKET)
_SHARD = re.compile(r"\d{4,9}", re.ASCII)


def from_uri(uri: str) -> "S3LeaseStore":
    """The lease store of an `s3://bucket/prefix/control.json` URI; raises `errors.UsageError` for anything else.

    The client is made at the first call, because finding credentials may take long.
    """
    parts = urllib.parse.urlsplit(uri)
    key = parts.path.lstrip("/")
    folder, _, name = key.rpartition("/")
    if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or not folder or not name or parts.query:
        raise errors.UsageError(f"lease {uri!r}: allowed is s3://BUCKET/PREFIX/EXECUTION_ID/control.json")
    return S3LeaseStore(bucket=parts.netloc, key=key)


class S3LeaseStore:
    """`ports.LeaseStore` on the object `key`; without `client` it makes its own at the first call."""

    def __init__(self, *, bucket: str, key: str, client: Any | None = None) -> None:
        self._objects = _Objects(bucket, client)
        self._key = key
        self._freed: dict[int, str] = {}
        """Shard to the version of the mark that counts no more."""
        self._folder = key.rpartition("/")[0] + "/"
        self.uri = f"s3://{bucket}/{key}"
        self.records_uri = f"s3://{bucket}/{self._folder}tasks/"

    def create(self, first: leases.Lease) -> None:
        """Writes the first lease; raises `errors.Conflict` when there is one already.

        After a lost answer the object itself tells whether this lease was written.
        """
        content = leases.encode(first)
        unclear: errors.Unavailable | None = None
        for attempt in range(CREATIONS):
            _pause(attempt)
            try:
                if self._objects.put(self._key, content, IfNoneMatch="*"):
                    return
                if unclear is not None and self.read() == first:
                    return
            except errors.Unavailable as exc:
                unclear = exc
            else:
                raise errors.Conflict(f"{self.uri} is already there; nothing was written. Use another execution id.")
        if unclear is not None:
            raise unclear

    def read(self) -> leases.Lease | None:
        """The present lease; raises `errors.Unavailable` where it cannot be read or is no lease."""
        return self._read_with_etag()[0]

    def write(self, lease: leases.Lease) -> leases.Lease:
        """Replaces the lease by what `leases.merge` returns. An unreadable lease may be a STOP, so only a STOP
        replaces it."""
        for attempt in range(SWAPS):
            _pause(attempt)
            present, condition = self._read_for_write(lease)
            if present is not None and present.execution_id != lease.execution_id:
                raise errors.Conflict(f"{self.uri} belongs to run {present.execution_id}, not {lease.execution_id}")
            successor = leases.merge(present, lease)
            if self._objects.put(self._key, leases.encode(successor), **condition):
                return successor
        raise errors.Unavailable(f"{self.uri} was changed by others {SWAPS} times while it was written")

    def claim(self, last_read: leases.Lease, owner: leases.Owner, at: datetime) -> leases.Lease:
        """Gives the lease to `owner` where it is still as it was last read: of all claimants one succeeds.

        Raises `errors.Conflict` for the others, `errors.Unavailable` where nobody can tell which one succeeded. After a
        lost answer, or a refusal that may be of a repeat, the lease itself names its owner.
        """
        present, etag = self._read_with_etag()
        claimed = leases.give(last_read, owner, at)
        if present == last_read and etag is not None:
            try:
                if self._objects.put(self._key, leases.encode(claimed), IfMatch=etag):
                    return claimed
            except errors.Unavailable:
                if self.read() != claimed:
                    raise
                return claimed
            present = self.read()
        if present == claimed:
            return claimed
        raise errors.Conflict(f"{self.uri} was changed by somebody else since it was read")

    def mark_ready(self, shard_index: int) -> None:
        """Writes `ready/{shard}`; writing it twice is no error. No two marks are the same bytes."""
        self._objects.put(self._folder + "ready/" + _shard_name(shard_index), uuid.uuid4().hex.encode())

    def ready(self) -> frozenset[int]:
        """The shards that are ready; a name that is no shard does not count, nor does the mark of a freed shard."""
        return frozenset(shard for shard, version in self._marks() if self._freed.get(shard) != version)

    def free_shard(self, shard_index: int) -> None:
        """Remembers the mark of a shard, which counts no more. Nothing of a run is ever deleted."""
        _shard_name(shard_index)
        self._freed.update((shard, version) for shard, version in self._marks() if shard == shard_index)

    def _marks(self) -> Iterator[tuple[int, str]]:
        """Each shard in `ready/` with the version of its mark."""
        prefix = self._folder + "ready/"
        for key, version in self._objects.versions(prefix):
            name = key.removeprefix(prefix)
            if _SHARD.fullmatch(name):
                yield int(name), version

    def claim_shard(self, hint: int, count: int, task_id: str) -> int:
        """Takes the first free shard from `hint` upwards, then from 0; a repeat returns the same task the same shard.

        Raises `errors.Conflict` when all are taken.
        """
        if not 0 <= hint < count:
            raise errors.UsageError(f"shard hint {hint} is not one of {count} shards; allowed is 0 to {count - 1}")
        for shard_index in itertools.chain(range(hint, count), range(hint)):
            key = self._folder + "claims/" + _shard_name(shard_index)
            if self._objects.put(key, task_id.encode(), IfNoneMatch="*") or self._is_claimed_by(key, task_id):
                return shard_index
        raise errors.Conflict(f"all {count} shards of {self.uri} are taken; this task has none to do")

    def claims(self) -> Mapping[str, int]:
        """The shard of each task in `claims/`, read side by side."""
        prefix = self._folder + "claims/"
        names = [key.removeprefix(prefix) for key in self._objects.keys(prefix)]
        shards = [name for name in names if _SHARD.fullmatch(name)]
        if not shards:
            return {}
        with futures.ThreadPoolExecutor(min(CLAIM_READERS, len(shards))) as pool:
            answers = list(pool.map(self._objects.get, [prefix + name for name in shards]))
        read = zip(shards, answers, strict=True)
        holders = {answer[0].decode(errors="replace"): int(name) for name, answer in read if answer is not None}
        return {task_id: shard for task_id, shard in holders.items() if task_id != CLOSED}

    def close_claims(self, count: int) -> None:
        """Claims every free shard for nobody."""
        prefix = self._folder + "claims/"
        taken = {key.removeprefix(prefix) for key in self._objects.keys(prefix)}
        for name in map(_shard_name, range(count)):
            if name not in taken:
                self._objects.put(prefix + name, CLOSED.encode(), IfNoneMatch="*")

    def tell_master(self, master: masters.MasterAddress) -> None:
        """Writes `ready/master.json`."""
        self._objects.put(self._folder + _MASTER, masters.encode(master))

    def find_master(self) -> masters.MasterAddress | None:
        """The address in `ready/master.json`, None while there is no such object. A task that may not list the bucket
        is denied a missing object, which is `errors.Unavailable`."""
        answer = self._objects.get(self._folder + _MASTER)
        try:
            return None if answer is None else masters.decode(answer[0])
        except ValueError as exc:
            raise errors.Unavailable(f"{self._folder}{_MASTER}: {exc}") from exc

    def _is_claimed_by(self, key: str, task_id: str) -> bool:
        claim = self._objects.get(key)
        return claim is not None and claim[0] == task_id.encode()

    def _read_with_etag(self) -> tuple[leases.Lease | None, str | None]:
        """The lease and its ETag; None and None where there is none."""
        answer = self._objects.get(self._key)
        if answer is None:
            return None, None
        content, etag = answer
        try:
            return leases.decode(content), etag
        except ValueError as exc:
            raise errors.Unavailable(f"{self.uri} is not a lease: {exc}") from exc

    def _read_for_write(self, lease: leases.Lease) -> tuple[leases.Lease | None, Mapping[str, str]]:
        """The present lease, and the condition that the object has not changed since."""
        try:
            present, etag = self._read_with_etag()
        except errors.Unavailable:
            if lease.state is leases.LeaseState.STOP:
                return None, {}
            raise
        return present, {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}


_ACCOUNT = "load-"
"""How the names of load accounts begin, among the records."""


class S3GuardRecords:
    """The records of guards, one object a task, named by the last part of its ARN."""

    def __init__(self, uri: str, *, client: Any | None = None) -> None:
        parts = urllib.parse.urlsplit(uri)
        if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or not uri.endswith("/") or parts.path == "/":
            raise errors.UsageError(f"records {uri!r}: allowed is s3://BUCKET/PREFIX/ with a slash at its end")
        self._objects = _Objects(parts.netloc, client)
        self._folder = parts.path.lstrip("/")
        self._silence = silence.Silence(calls=SILENT_READS, seconds=SILENCE_SECONDS)

    def begin(self, task_id: str, content: bytes) -> None:
        """Writes the record of a task that starts, unless there is one: a late start never hides an end."""
        self._objects.put(self._key(task_id), content, IfNoneMatch="*")

    def end(self, task_id: str, content: bytes) -> None:
        """Writes the record of a task that ended."""
        self._objects.put(self._key(task_id), content)

    def put_account(self, shard_index: int, content: bytes) -> None:
        """Writes the load account of a shard, whole."""
        self._objects.put(f"{self._folder}{_ACCOUNT}{_shard_name(shard_index)}.json", content)

    def read(self, task_id: str) -> task_records.Record:
        """The record of a task's guard, or why there is none: then only ECS tells of the task. Threads may read."""
        if self._silence.lasts:
            return task_records.Lacking.OUT_OF_REACH
        try:
            answer = self._objects.get(self._key(task_id))
            self._silence.note_answer()
            return task_records.Lacking.ABSENT if answer is None else task_records.decode_guard(answer[0])
        except aws.TimedOut:
            self._silence.note_no_answer()
            return task_records.Lacking.OUT_OF_REACH
        except errors.BurstError:
            self._silence.note_answer()
            return task_records.Lacking.OUT_OF_REACH
        except ValueError:
            return task_records.Lacking.MALFORMED

    def _key(self, task_id: str) -> str:
        name = task_id.rpartition("/")[2]
        if not naming.is_plain(name):
            raise errors.UsageError(f"{name!r} names no task's record; allowed: letters, digits, _ . -")
        return f"{self._folder}{name}.json"


class S3LoadAccounts:
    """The load accounts that guards put beside their records."""

    def __init__(self, uri: str, *, client: Any | None = None) -> None:
        parts = urllib.parse.urlsplit(uri)
        self._objects = _Objects(parts.netloc, client)
        self._prefix = f"{parts.path.lstrip('/')}{_ACCOUNT}"

    def read(self) -> Mapping[int, bytes]:
        """The account of every shard that has one; see `ports.LoadAccounts`."""
        keys = [key for key in self._objects.keys(self._prefix) if key.endswith(".json")]
        with futures.ThreadPoolExecutor(min(CLAIM_READERS, max(1, len(keys)))) as pool:
            answers = list(pool.map(self._objects.get, keys))
        shards = [key.removeprefix(self._prefix).removesuffix(".json") for key in keys]
        read = zip(shards, answers, strict=True)
        return {int(shard): answer[0] for shard, answer in read if answer is not None and shard.isdigit()}


class _Objects:
    """The small objects of one bucket, read and written whole, with short timeouts."""

    def __init__(self, bucket: str, client: Any | None) -> None:
        self._bucket = bucket
        self._client = client
        self._client_lock = threading.Lock()

    def put(self, key: str, content: bytes, **condition: str) -> bool:
        """Writes an object; False where the condition did not hold."""
        try:
            with _no_answer_as_unavailable():
                operation = self._s3().put_object
                aws.call("s3:PutObject", operation, Bucket=self._bucket, Key=key, Body=content, **condition)
        except errors.Conflict:
            return False
        except aws.Absent as exc:
            if "IfMatch" in condition:
                return False  # the object to replace is gone
            raise errors.Unavailable(str(exc)) from exc
        except errors.Unavailable as exc:
            if "IfMatch" in condition and aws.error_answer(exc).code == "ConditionalRequestConflict":
                return False  # another writer replaces it at this instant
            raise
        return True

    def get(self, key: str) -> tuple[bytes, str] | None:
        """The bytes of an object and its ETag, None where there is none."""
        try:
            with _no_answer_as_unavailable():
                answer = aws.call("s3:GetObject", aws.get_whole_object, s3=self._s3(), Bucket=self._bucket, Key=key)
        except aws.Absent:
            return None
        return answer["Content"], answer["ETag"]

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys under a prefix, over all pages."""
        return (key for key, _ in self.versions(prefix))

    def versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The keys under a prefix, over all pages, each with words that another write of it changes."""
        parameters = {"Bucket": self._bucket, "Prefix": prefix}
        while True:
            with _no_answer_as_unavailable():
                answer = aws.call("s3:ListBucket", self._s3().list_objects_v2, **parameters)
            yield from (
                (entry["Key"], f"{entry['ETag']} {entry['LastModified']}") for entry in answer.get("Contents", ())
            )
            if not answer.get("NextContinuationToken"):
                return
            parameters["ContinuationToken"] = answer["NextContinuationToken"]

    def _s3(self) -> Any:
        with self._client_lock:
            if self._client is None:
                self._client = aws.client("s3", connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS)
            return self._client


def _pause(failed: int) -> None:
    """Waits after so many failed attempts, with jitter, so that two writers that collided do not collide again."""
    time.sleep(failed * PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 (a delay, not a key)


@contextlib.contextmanager
def _no_answer_as_unavailable() -> Iterator[None]:
    """Errors that say nothing about the object become `errors.Unavailable`: denied, no such bucket, no credentials."""
    try:
        yield
    except (errors.Conflict, aws.Absent, errors.Unavailable):
        raise
    except errors.BurstError as exc:
        raise errors.Unavailable(str(exc)) from exc


def _shard_name(shard_index: int) -> str:
    if shard_index < 0:
        raise errors.UsageError(f"shard {shard_index} is not a shard; allowed is 0 and up")
    return f"{shard_index:04d}"
