"""Starting: the acts between launch and GO for tasks that do not start, and for the shards of those that ended.

`starts` decides them. Each is tried once and never repeated here: what could not be done is decided again at the next
look.
"""

import contextlib
from collections.abc import Sequence

from burst import ports
from burst.control import recorder
from burst.domain.basics import errors
from burst.domain.run import starts
from burst.domain.run.events import ending_events, launch_events
from burst.domain.tasks import tasks


class Starting:
    """The acts of one run's start."""

    def __init__(
        self, *, record: recorder.Recorder, launcher: ports.Launcher, lease: ports.LeaseStore, shard_count: int
    ) -> None:
        self._record = record
        self._launcher = launcher
        self._lease = lease
        self._shard_count = shard_count

    def perform(self, act: starts.Withdraw | starts.ReadClaims | starts.FreeShards) -> None:
        """One act. Where the lease does not answer, nothing is journalled, and the act stays due."""
        with contextlib.suppress(errors.Unavailable):
            match act:
                case starts.Withdraw(task_ids=task_ids, why=why):
                    self._withdraw(task_ids, why)
                case starts.ReadClaims(close=close):
                    self._read_claims(close=close)
                case starts.FreeShards(holders=holders):
                    self._free(holders)

    def _withdraw(self, task_ids: Sequence[str], why: str) -> None:
        for task_id in task_ids:
            self._record.note(launch_events.TaskWithdrawn(task_id=task_id, why=why))
            task = self._record.run.truths[task_id].task
            try:
                was_sent = self._launcher.stop(task, by=tasks.Layer.CONTROLLER)
            except errors.BurstError as exc:
                self._record.note(ending_events.StopUnsent(task_id=task_id, why=str(exc)))
            else:
                if was_sent:
                    self._record.note(ending_events.StopSent(task_id=task_id, force=False))

    def _read_claims(self, *, close: bool) -> None:
        if close:
            self._lease.close_claims(self._shard_count)
        claims = self._lease.claims()
        closed = close or self._record.run.claims_closed
        self._record.note(launch_events.ClaimsRead(claims=claims, closed=closed))

    def _free(self, holders: Sequence[tuple[str, int | None]]) -> None:
        for task_id, shard_index in holders:
            if shard_index is not None:
                self._lease.free_shard(shard_index)
            self._record.note(launch_events.ShardFreed(task_id=task_id, shard_index=shard_index))
