"""The guard's far side: the lease, the claim of a shard and the record, where they lie on S3.

A call over a network can hang, and the guard's loop may not: TERM and KILL are due when they are due. So everything
that is on S3 happens on threads of its own, which nobody waits for; the loop asks for the last reading, which ages,
and an aged reading ends the task as an unreadable lease does. botocore is imported before those threads start,
because the guard forks, and forking while another thread imports is asking for trouble.
"""

import http.client
import json
import os
import random
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from burst.adapters.aws import s3_leases
from burst.domain.basics import errors
from burst.domain.tasks import leases

HOLD_POLL_SECONDS = 0.5
POLL_SECONDS = 1.0
JITTER = 0.2
LONGEST_POLL_SECONDS = POLL_SECONDS * (1 + JITTER)
LAST_RECORD_SECONDS = 5.0
"""How long the end of a guard may wait for its record to be written: nothing of the task is left by then."""
_METADATA_VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"
_METADATA_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A shard to be taken: the first to try, and how many there are."""

    hint: int
    count: int


class Remote:
    """What one guard has on S3: a lease, a shard to claim there, a folder of records; each may be absent."""

    def __init__(self, *, lease_uri: str | None, records_uri: str | None, claim: Claim | None) -> None:
        """Raises `errors.UsageError` for a URI that is none."""
        import botocore.session  # noqa: F401 (see above)

        if claim is not None and lease_uri is None:
            raise errors.UsageError("a shard is claimed where the lease is: give BURST_CONTROL_URI as s3://...")
        self._lease = None if lease_uri is None else s3_leases.from_uri(lease_uri)
        self._records = None if records_uri is None else s3_leases.S3GuardRecords(records_uri)
        self._claim = claim
        self._identity = threading.Lock()
        self._task_id: str | None = None
        self._reading: leases.Lease | None = None
        self._problem: str | None = "it was not read yet"
        self._shard_to_mark: int | None = None
        self.shard: int | None = None
        """The task's shard, None until it is claimed."""
        self.refusal: str | None = None
        """Why there is no shard for this task, if so."""

    def start(self, shard_index: int, record: Callable[[int], bytes]) -> None:
        """Begins to claim, to note the start (`record` makes its bytes for a shard) and to read."""
        threading.Thread(target=self._work, args=(shard_index, record), daemon=True).start()

    def finish(self, record: bytes) -> None:
        """Leaves the record of the end, waiting only `LAST_RECORD_SECONDS` for it. Raises `errors.Unavailable`."""
        if self._records is None:
            return
        outcome = [f"no answer within {LAST_RECORD_SECONDS:g} s"]
        writing = threading.Thread(target=self._end_record, args=(self._records, record, outcome), daemon=True)
        writing.start()
        writing.join(LAST_RECORD_SECONDS)
        if outcome:
            raise errors.Unavailable(outcome[-1])

    # What the guard's loop asks, and is answered at once

    def read(self) -> leases.Lease | None:
        """The last reading. Raises `errors.Unavailable` where that failed."""
        problem, reading = self._problem, self._reading
        if problem is not None:
            raise errors.Unavailable(problem)
        return reading

    def mark_ready(self, shard_index: int) -> None:
        """To be said with the next reading, and again until it is done."""
        self._shard_to_mark = shard_index

    # What happens on the threads

    def _work(self, shard_index: int, record: Callable[[int], bytes]) -> None:
        """The lease first, because it is what ages; then what is still to be done, until it is done."""
        if self._claim is None:
            self.shard = shard_index
        noted = self._records is None
        while self.refusal is None and not (noted and self._lease is None):
            if self._lease is not None:
                self._look(self._lease)
                if self._claim is not None and self.shard is None:
                    self._take_shard(self._lease, self._claim)
            if self.shard is not None and not noted:
                noted = self._begin_record(record(self.shard))
            _pause(POLL_SECONDS if self._going() else HOLD_POLL_SECONDS)

    def _take_shard(self, lease: s3_leases.S3LeaseStore, claim: Claim) -> None:
        try:
            self.shard = lease.claim_shard(claim.hint, claim.count, self._own_task_id())
        except errors.Unavailable as exc:
            self._problem = str(exc)
        except errors.BurstError as exc:
            self.refusal = str(exc)

    def _begin_record(self, record: bytes) -> bool:
        try:
            if self._records is not None:
                self._records.begin(self._own_task_id(), record)
        except errors.BurstError:
            return False
        return True

    def _look(self, lease: s3_leases.S3LeaseStore) -> None:
        try:
            self._reading, self._problem = lease.read(), None
            if self._shard_to_mark is not None:
                lease.mark_ready(self._shard_to_mark)
                self._shard_to_mark = None
        except errors.Unavailable as exc:
            self._problem = str(exc)

    def _going(self) -> bool:
        return self._reading is not None and self._reading.state is leases.LeaseState.GO

    def _end_record(self, records: s3_leases.S3GuardRecords, record: bytes, outcome: list[str]) -> None:
        try:
            records.end(self._own_task_id(), record)
        except errors.BurstError as exc:
            outcome.append(str(exc))
        else:
            outcome.clear()

    def _own_task_id(self) -> str:
        """The task's ARN as its platform tells it; a word of our own where nobody does."""
        with self._identity:
            if self._task_id is None:
                self._task_id = _arn_from_metadata() or f"task-{uuid.uuid4().hex}"
            return self._task_id


def _pause(seconds: float) -> None:
    # Not together with hundreds of others that started in the same second.
    threading.Event().wait(seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 (a delay, not a key)


def _arn_from_metadata() -> str | None:
    """The task's ARN from the ECS metadata service, without any proxy."""
    parts = urllib.parse.urlsplit(os.environ.get(_METADATA_VARIABLE, ""))
    if not parts.hostname:
        return None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_METADATA_SECONDS)
    try:
        connection.request("GET", parts.path.rstrip("/") + "/task")
        arn = json.loads(connection.getresponse().read()).get("TaskARN")
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return None
    finally:
        connection.close()
    return arn if isinstance(arn, str) and arn else None
