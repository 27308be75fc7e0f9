"""The guard's link to S3: it reads the lease, claims a shard and writes the record on threads of its own.

A call over a network can hang, and the guard's loop may not: TERM and KILL are due when they are due. So the loop
waits for no call to S3: it takes the last reading, which ages, and an aged reading ends the task as an unreadable
lease does. botocore is imported before those threads start, because the guard forks, and a fork while another thread
holds an import lock can leave the child with a lock that nobody releases.
"""

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from burst.adapters.aws import s3_leases
from burst.domain.basics import errors
from burst.domain.tasks import leases, masters
from burst.load import load_account
from burst.task import task_names

WAIT_POLL_SECONDS = 0.5
POLL_SECONDS = 1.0
JITTER = 0.2
LONGEST_POLL_SECONDS = POLL_SECONDS * (1 + JITTER)
ACCOUNT_SECONDS = 3.0
"""How often the load account is put beside the records."""
LAST_RECORD_SECONDS = 5.0
"""How long a guard that ends waits for its last record and account; no process of the task is left by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A shard to claim: the first to try, and how many there are."""

    hint: int
    count: int


class S3Link:
    """What one guard has on S3: a lease, a shard to claim beside it, a folder of records; each may be absent."""

    def __init__(self, *, lease_uri: str | None, records_uri: str | None, claim: Claim | None) -> None:
        """Raises `errors.UsageError` for a malformed URI."""
        import botocore.session  # noqa: F401 (imported before the first thread)

        if claim is not None and lease_uri is None:
            raise errors.UsageError("a shard is claimed beside the lease: give BURST_CONTROL_URI as s3://...")
        self._lease = None if lease_uri is None else s3_leases.from_uri(lease_uri)
        self._records = None if records_uri is None else s3_leases.S3GuardRecords(records_uri)
        self._claim = claim
        self._names = task_names.TaskNames()
        self._last_lease: leases.Lease | None = None
        self._problem: str | None = "it was not read yet"
        self._shard_to_mark: int | None = None
        self._master_to_tell: masters.MasterAddress | None = None
        self._looks_for_master = False
        self._master: masters.MasterAddress | None = None
        self._account: load_account.AccountReader | None = None
        self._account_due_at = 0.0
        self._account_lock = threading.Lock()
        self.shard: int | None = None
        """The task's shard, None until it is claimed."""
        self.refusal: str | None = None
        """Why there is no shard for this task; None while there may be one."""

    def start(self, shard_index: int, record: Callable[[int], bytes]) -> None:
        """Starts the thread that reads the lease, claims a shard and writes the first record: `record` encodes it for a
        shard."""
        self._names.learn()
        threading.Thread(target=self._work, args=(shard_index, record), daemon=True).start()

    def follow_account(self, path: str) -> None:
        """Puts the load account in this file beside the records, every few seconds, from `start` on."""
        self._account = load_account.AccountReader(path)

    def finish(self, record: bytes) -> None:
        """Writes the last record; raises `errors.Unavailable` where it was not written within `LAST_RECORD_SECONDS`."""
        if self._records is None:
            return
        problems = [f"no answer within {LAST_RECORD_SECONDS:g} s"]
        writer = threading.Thread(target=self._write_last_record, args=(self._records, record, problems), daemon=True)
        writer.start()
        writer.join(LAST_RECORD_SECONDS)
        if problems:
            raise errors.Unavailable(problems[-1])

    # For the guard's loop: these return at once

    def read(self) -> leases.Lease | None:
        """The last lease read. Raises `errors.Unavailable` where the last reading failed."""
        problem, lease = self._problem, self._last_lease
        if problem is not None:
            raise errors.Unavailable(problem)
        return lease

    def mark_ready(self, shard_index: int) -> None:
        """Marks the shard ready at the next reading, and again until it succeeds."""
        self._shard_to_mark = shard_index

    @property
    def own_host(self) -> str | None:
        """Where other tasks reach this one; None as long as the metadata service has not told."""
        return self._names.host

    def tell_master(self, master: masters.MasterAddress) -> None:
        """Says where the master is at the next reading, and again until it succeeds."""
        self._master_to_tell = master

    def find_master(self) -> masters.MasterAddress | None:
        """Where the master is, by the last reading; from the first call on it is looked for."""
        self._looks_for_master = self._master is None
        return self._master

    # On the threads

    def _work(self, shard_index: int, record: Callable[[int], bytes]) -> None:
        """Reads the lease first, because its reading ages; then claims the shard and writes the first record."""
        if self._claim is None:
            self.shard = shard_index
        has_record = self._records is None
        while self.refusal is None and not (has_record and self._lease is None):
            if self._lease is not None:
                self._read_lease(self._lease)
                if self._claim is not None and self.shard is None:
                    self._take_shard(self._lease, self._claim)
            if self.shard is not None and not has_record:
                has_record = self._write_first_record(record(self.shard))
            if self._has_go() and time.monotonic() >= self._account_due_at:
                self._account_due_at = time.monotonic() + ACCOUNT_SECONDS
                self._write_account(load_account.LONGEST_LINE)  # the lease is read by this thread too
            _pause(POLL_SECONDS if self._has_go() else WAIT_POLL_SECONDS)

    def _take_shard(self, lease: s3_leases.S3LeaseStore, claim: Claim) -> None:
        name = self._names.for_claim
        if name is None:
            return
        try:
            self.shard = lease.claim_shard(claim.hint, claim.count, name)
        except errors.Unavailable as exc:
            self._problem = str(exc)
        except errors.BurstError as exc:
            self.refusal = str(exc)

    def _write_first_record(self, record: bytes) -> bool:
        try:
            if self._records is not None:
                for name in self._names.for_records:
                    self._records.begin(name, record)
        except errors.BurstError:
            return False
        return True

    def _read_lease(self, lease: s3_leases.S3LeaseStore) -> None:
        try:
            self._last_lease, self._problem = lease.read(), None
            if self._shard_to_mark is not None:
                lease.mark_ready(self._shard_to_mark)
                self._shard_to_mark = None
        except errors.Unavailable as exc:
            self._problem = str(exc)
        with contextlib.suppress(errors.Unavailable):  # a master is asked for again, and no word on the lease
            self._meet_master(lease)

    def _meet_master(self, lease: s3_leases.S3LeaseStore) -> None:
        if self._master_to_tell is not None:
            lease.tell_master(self._master_to_tell)
            self._master_to_tell = None
        if self._looks_for_master:
            self._master = lease.find_master()
            self._looks_for_master = self._master is None

    def _write_account(self, most_bytes: int | None = None) -> None:
        """Puts the account as far as the program wrote it, or so many bytes further than the last; what fails is tried
        again the next time."""
        if self._records is None or self._account is None or self.shard is None:
            return
        with self._account_lock, contextlib.suppress(errors.BurstError, OSError):
            if self._account.read(most_bytes) or self._account.account.last_at is not None:
                value = self._account.account.to_value()
                self._records.put_account(self.shard, json.dumps(value, separators=(",", ":")).encode())

    def _has_go(self) -> bool:
        return self._last_lease is not None and self._last_lease.state is leases.LeaseState.GO

    def _write_last_record(self, records: s3_leases.S3GuardRecords, record: bytes, problems: list[str]) -> None:
        try:
            for name in self._names.for_records:
                records.end(name, record)
        except errors.BurstError as exc:
            problems.append(str(exc))
        else:
            self._write_account()
            problems.clear()


def _pause(seconds: float) -> None:
    # Jitter: hundreds of tasks started in the same second.
    threading.Event().wait(seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 (a delay, not a key)
