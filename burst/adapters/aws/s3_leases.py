"""Run control on S3: `control.json` under the run's key, for tasks anywhere, while the ECS API may be down.

S3 has no lock, so a write is compare-and-swap: read with its ETag, replace only that. STOP sticks because whoever
loses the race reads again and writes over what it then finds. Beside the control lie `ready/`, `claims/` (which task
took which shard, created once) and `tasks/` (what each guard recorded). A client waits only briefly for each answer:
a heartbeat that hangs is as bad as none. Everything that is not an answer is `errors.Unavailable`, denials too,
because a task must quit a lease it cannot read whatever the reason.
"""

import contextlib
import itertools
import random
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from burst.domain.basics import errors, naming
from burst.domain.tasks import leases, task_records
from burst.kit import aws

CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0
SWAPS = 8
"""How often a write is tried when others write at the same time."""
CREATIONS = 3
"""How often a creation is tried when its answer is lost."""
PAUSE_SECONDS = 0.02
SILENCE_SECONDS = 5.0
"""How long no record is asked for after one that was not answered in time: with hundreds of tasks each would wait."""
_BUCKET = re.compile(naming.BUCKET)
_SHARD = re.compile(r"\d{4,9}", re.ASCII)


def from_uri(uri: str) -> "S3LeaseStore":
    """The run control an `s3://bucket/prefix/control.json` URI names; raises `errors.UsageError` for anything else.

    The client is made at the first call, because finding credentials may take its time.
    """
    parts = urllib.parse.urlsplit(uri)
    key = parts.path.lstrip("/")
    folder, _, name = key.rpartition("/")
    if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or not folder or not name or parts.query:
        raise errors.UsageError(f"lease {uri!r}: allowed is s3://BUCKET/PREFIX/EXECUTION_ID/control.json")
    return S3LeaseStore(bucket=parts.netloc, key=key)


class S3LeaseStore:
    """`ports.RunControl` on the object `key`; `client` None makes one of its own at the first call."""

    def __init__(self, *, bucket: str, key: str, client: Any | None = None) -> None:
        self._objects = _Objects(bucket, client)
        self._key = key
        self._folder = key.rpartition("/")[0] + "/"
        self.uri = f"s3://{bucket}/{key}"
        self.records_uri = f"s3://{bucket}/{self._folder}tasks/"

    def create(self, first: leases.Lease) -> None:
        """Writes the first control; raises `errors.Conflict` when there is one already.

        Where an answer is lost the object itself tells whether it was ours.
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
        """The control as it stands; raises `errors.Unavailable` for one that cannot be read or is not ours."""
        return self._standing()[0]

    def write(self, wanted: leases.Lease) -> leases.Lease:
        """Replaces the control by what `control.succeed` says. Over one that cannot be read only a STOP is written:
        what stood there may have been a STOP."""
        for attempt in range(SWAPS):
            _pause(attempt)
            standing, condition = self._before(wanted)
            if standing is not None and standing.execution_id != wanted.execution_id:
                raise errors.Conflict(f"{self.uri} belongs to run {standing.execution_id}, not {wanted.execution_id}")
            following = leases.merge(standing, wanted)
            if self._objects.put(self._key, leases.encode(following), **condition):
                return following
        raise errors.Unavailable(f"{self.uri} was changed by others {SWAPS} times while it was written")

    def claim(self, seen: leases.Lease, at: datetime) -> None:
        """Beats for the first time over a control that stands as it was seen: of all who saw it so, one succeeds.

        Raises `errors.Conflict` for the others, `errors.Unavailable` where nobody can tell whose it is.
        """
        standing, etag = self._standing()
        claimed = leases.encode(leases.merge(seen, replace(seen, heartbeat_at=at)))
        if standing != seen or etag is None or not self._objects.put(self._key, claimed, IfMatch=etag):
            raise errors.Conflict(f"{self.uri} was changed by somebody else since it was read")

    def mark_ready(self, shard_index: int) -> None:
        """Leaves `ready/{shard}`; saying so twice is no error."""
        self._objects.put(self._folder + "ready/" + _shard_name(shard_index), b"")

    def ready(self) -> frozenset[int]:
        """The shards that said so; names that are no shard are not ours and do not count."""
        prefix = self._folder + "ready/"
        names = [key.removeprefix(prefix) for key in self._objects.keys(prefix)]
        return frozenset(int(name) for name in names if _SHARD.fullmatch(name))

    def claim_shard(self, hint: int, count: int, task_id: str) -> int:
        """Takes the first free shard from `hint` upwards, after the last from 0; the same task gets the same again.

        Raises `errors.Conflict` when all are taken.
        """
        if not 0 <= hint < count:
            raise errors.UsageError(f"shard hint {hint} is not one of {count} shards; allowed is 0 to {count - 1}")
        for shard_index in itertools.chain(range(hint, count), range(hint)):
            key = self._folder + "claims/" + _shard_name(shard_index)
            if self._objects.put(key, task_id.encode(), IfNoneMatch="*") or self._is_ours(key, task_id):
                return shard_index
        raise errors.Conflict(f"all {count} shards of {self.uri} are taken; this task has none to do")

    def _is_ours(self, key: str, task_id: str) -> bool:
        found = self._objects.get(key)
        return found is not None and found[0] == task_id.encode()

    def _standing(self) -> tuple[leases.Lease | None, str | None]:
        """The control and its ETag; None and None where there is none."""
        found = self._objects.get(self._key)
        if found is None:
            return None, None
        try:
            return leases.decode(found[0]), found[1]
        except ValueError as exc:
            raise errors.Unavailable(f"{self.uri} is not a control: {exc}") from exc

    def _before(self, wanted: leases.Lease) -> tuple[leases.Lease | None, Mapping[str, str]]:
        """What the write goes over, and the condition that it still is that."""
        try:
            standing, etag = self._standing()
        except errors.Unavailable:
            if wanted.state is leases.LeaseState.STOP:
                return None, {}
            raise
        return standing, {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}


class S3GuardRecords:
    """What guards leave behind, one object a task, named by the last part of its ARN."""

    def __init__(self, uri: str, *, client: Any | None = None) -> None:
        parts = urllib.parse.urlsplit(uri)
        if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or not uri.endswith("/") or parts.path == "/":
            raise errors.UsageError(f"records {uri!r}: allowed is s3://BUCKET/PREFIX/ with a slash at its end")
        self._objects = _Objects(parts.netloc, client)
        self._folder = parts.path.lstrip("/")
        self._silent_until = 0.0

    def begin(self, task_id: str, content: bytes) -> None:
        """Leaves the record of a task that starts, unless there is one: a start that comes late never hides an end."""
        self._objects.put(self._key(task_id), content, IfNoneMatch="*")

    def end(self, task_id: str, content: bytes) -> None:
        """Leaves the record of a task that ended."""
        self._objects.put(self._key(task_id), content)

    def read(self, task_id: str) -> task_records.Record:
        """The record a task's guard left, or why there is none to go by: then ECS is believed alone."""
        if time.monotonic() < self._silent_until:
            return task_records.Lacking.OUT_OF_REACH
        try:
            found = self._objects.get(self._key(task_id))
            return task_records.Lacking.ABSENT if found is None else task_records.decode_guard(found[0])
        except aws.TimedOut:
            self._silent_until = time.monotonic() + SILENCE_SECONDS
            return task_records.Lacking.OUT_OF_REACH
        except errors.BurstError:
            return task_records.Lacking.OUT_OF_REACH
        except ValueError:
            return task_records.Lacking.MALFORMED

    def _key(self, task_id: str) -> str:
        name = task_id.rpartition("/")[2]
        if not naming.is_plain(name):
            raise errors.UsageError(f"{name!r} names no task's record; allowed: letters, digits, _ . -")
        return f"{self._folder}{name}.json"


class _Objects:
    """The objects of one bucket: whole, small, and answered for soon or not at all."""

    def __init__(self, bucket: str, client: Any | None) -> None:
        self._bucket = bucket
        self._client = client
        self._making = threading.Lock()

    def put(self, key: str, content: bytes, **condition: str) -> bool:
        """Writes an object; False where the condition did not hold."""
        try:
            with _answers_only():
                operation = self._s3().put_object
                aws.call("s3:PutObject", operation, Bucket=self._bucket, Key=key, Body=content, **condition)
        except errors.Conflict:
            return False
        except aws.Absent as exc:
            if "IfMatch" in condition:
                return False  # what was to be replaced is gone
            raise errors.Unavailable(str(exc)) from exc
        except errors.Unavailable as exc:
            if "IfMatch" in condition and aws.seen(exc).code == "ConditionalRequestConflict":
                return False  # somebody else is replacing it in this instant
            raise
        return True

    def get(self, key: str) -> tuple[bytes, str] | None:
        """The bytes of an object and its ETag, None where there is none."""
        try:
            with _answers_only():
                answer = aws.call("s3:GetObject", _read_whole, s3=self._s3(), Bucket=self._bucket, Key=key)
        except aws.Absent:
            return None
        return answer["Content"], answer["ETag"]

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys under a prefix, over all pages."""
        parameters = {"Bucket": self._bucket, "Prefix": prefix}
        while True:
            with _answers_only():
                answer = aws.call("s3:ListBucket", self._s3().list_objects_v2, **parameters)
            yield from (entry["Key"] for entry in answer.get("Contents", ()))
            if not answer.get("NextContinuationToken"):
                return
            parameters["ContinuationToken"] = answer["NextContinuationToken"]

    def _s3(self) -> Any:
        with self._making:
            if self._client is None:
                self._client = aws.client("s3", connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS)
            return self._client


def _pause(failed: int) -> None:
    """The wait after so many attempts, with jitter, so that writers who met once do not meet again."""
    time.sleep(failed * PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 (a delay, not a key)


def _read_whole(*, s3: Any, **parameters: str) -> Mapping[str, Any]:
    """GetObject and its body: an answer that is cut in the middle is none."""
    answer = s3.get_object(**parameters)
    return {"Content": answer["Body"].read(), "ETag": answer["ETag"]}


@contextlib.contextmanager
def _answers_only() -> Iterator[None]:
    """What is no answer about the object becomes `errors.Unavailable`: denied, no such bucket, no credentials."""
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
