"""Watching: the looks of the controller at tasks, barrier, heartbeat, the operator's STOP and live counts.

Nothing here decides. A failure to see is journalled as such and never taken for an answer: tasks that cannot be
inspected are still running, and a count that failed is no count.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from burst import ports
from burst.control import heart, live_counting, pausing, recorder
from burst.domain.basics import errors, instants
from burst.domain.documents import halts, task_results
from burst.domain.plan import plans
from burst.domain.run import lease_counts, looks, runs
from burst.domain.run.events import launch_events, watch_events
from burst.domain.tasks import leases


def beat_seconds(lease_ttl_seconds: float) -> float:
    """Seconds between two heartbeats: five in a row may fail before the lease is stale."""
    return min(2.0, lease_ttl_seconds / 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """The ports through which tasks are seen and told to hold, go or stop."""

    launcher: ports.Launcher
    lease: ports.LeaseStore
    looks_are_calls: bool = False
    """Whether a look costs calls of a control plane, so that its pace follows the number of tasks."""


class Watch:
    """One controller's eyes on a run."""

    def __init__(
        self,
        *,
        plan: plans.Plan,
        record: recorder.Recorder,
        view: TaskView,
        source: ports.ReceiptSource | None,
        clock: ports.Clock,
        find_halt: Callable[[], halts.Halt | None],
    ) -> None:
        self._plan = plan
        self._record = record
        self._looks_are_calls = view.looks_are_calls
        self._launcher = view.launcher
        self._lease = view.lease
        self._live_counting = (
            None if source is None else live_counting.LiveCounting(plan=plan, record=record, source=source, clock=clock)
        )
        self._clock = clock
        self._find_halt = find_halt
        self._beat_due: datetime | None = None
        self._looked_at: datetime | None = None
        self._beaten_at: datetime | None = None
        self._superseded: errors.ControllerAtWork | None = None
        self.heart = heart.Heart(self._beat_meanwhile, beat_seconds(plan.layers.lease_ttl))
        """Beats while a long act holds the loop up."""

    def look(self) -> None:
        """Looks once at everything that is due."""
        now, before = self._clock.now(), self._record.run.alive
        if not self._looks_are_calls or self._is_look_due(now):
            self.inspect()
            if self._record.run.go_at is None:
                self._barrier()
        # Tasks that end may have obeyed a STOP that a person wrote into the lease, which also says why.
        due = self._beat_due is None or now >= self._beat_due or len(self._record.run.alive) < len(before)
        if due and self._leased:
            self.beat()
        if self._live_counting is not None and self._record.run.stopping is None:
            self._live_counting.look(now)

    def look_if_due(self) -> bool:
        """Inspects and beats while a long act of the loop goes on, where it is time to; whether it inspected."""
        now = self._clock.now()
        if self._leased and (self._beat_due is None or now >= self._beat_due):
            self.beat()
        if not self._is_look_due(now):
            return False
        self.inspect()
        return True

    @property
    def pause_seconds(self) -> float:
        """How long the loop may rest: to the next look, but no longer than between two heartbeats or a second."""
        if not self._looks_are_calls or self._looked_at is None:
            return pausing.POLL_SECONDS
        window_seconds = self._plan.load_seconds
        due_at = looks.next_due(self._record.run, self._looked_at, window_seconds=window_seconds)
        longest = min(pausing.LONGEST_SECONDS, beat_seconds(self._plan.layers.lease_ttl))
        return max(pausing.POLL_SECONDS, min(longest, instants.seconds_between(self._clock.now(), due_at)))

    def _is_look_due(self, now: datetime) -> bool:
        window_seconds = self._plan.load_seconds
        run, looked_at = self._record.run, self._looked_at
        return looked_at is None or now >= looks.next_due(run, looked_at, window_seconds=window_seconds)

    def inspect(self) -> None:
        """Journals each task that has changed, or that the tasks cannot be seen."""
        run, self._looked_at = self._record.run, self._clock.now()
        if not run.alive:
            return
        try:
            truths = self._launcher.inspect([truth.task for truth in run.alive])
        except errors.Unavailable as exc:
            if run.blind_since is None:
                self._record.note(watch_events.Blind(why=str(exc)))
            return
        if run.blind_since is not None:
            self._record.note(watch_events.SightRegained())
        changed = [truth for truth in truths if truth != run.truths[truth.task.task_id]]
        self._record.note_all([watch_events.TaskSeen.from_truth(truth) for truth in changed])

    def _barrier(self) -> None:
        with contextlib.suppress(errors.Unavailable):
            for shard in sorted(self._lease.ready() - self._record.run.ready):
                self._record.note(launch_events.TaskReady(shard_index=shard))

    def beat(self) -> None:
        """Writes the heartbeat, and journals a STOP that stands in the lease.

        Raises `errors.ControllerAtWork` where the lease has another owner by now.
        """
        run = self._record.run
        self._beat_due = instants.later(self._clock.now(), beat_seconds(self._plan.layers.lease_ttl))
        self.heart.beaten()
        heartbeat = self._make_heartbeat(run)
        if heartbeat is None:
            return
        self._beaten_at = self._clock.now()
        try:
            lease = self._lease.write(heartbeat)
        except errors.ControllerAtWork:
            raise
        except errors.BurstError as exc:
            if not run.lease_lost:
                self._record.note(watch_events.LeaseUnwritable(why=str(exc)))
            return
        if run.lease_lost:
            self._record.note(watch_events.LeaseWritable())
        if lease.state is leases.LeaseState.STOP and run.stopping is None and run.operator_stop is None:
            self._record.note(watch_events.OperatorStop(reason=lease.reason or "STOP in the lease"))

    def _beat_meanwhile(self) -> None:
        """Writes the heartbeat from the thread of the heart, a STOP where run control is halted: tasks obey it while
        the loop is held up. Only the loop journals: it meets the same lease and the same halt later."""
        heartbeat = self._make_heartbeat(self._record.run) if self._leased else None
        if heartbeat is None:
            return
        if self._find_halt() is not None and heartbeat.state is not leases.LeaseState.STOP:
            heartbeat = replace(heartbeat, state=leases.LeaseState.STOP, reason=task_results.HALTED)
        self._beaten_at = self._clock.now()
        try:
            self._lease.write(heartbeat)
        except errors.ControllerAtWork as exc:
            self._superseded = exc
        except errors.BurstError:
            return  # the loop's own beat journals it

    def require_owner(self) -> None:
        """Raises `errors.ControllerAtWork` once a beat, of the loop or of the heart, found another owner of the
        lease: nothing may be done in this run any more.

        A process that comes back from a SIGSTOP has not tried to beat for as long as a claim waits: it beats first.
        """
        held_up_seconds = instants.seconds_between(self._beaten_at, self._clock.now()) if self._beaten_at else 0.0
        if self._leased and held_up_seconds > self._plan.layers.lease_ttl / 2:
            self.beat()
        if self._superseded is not None:
            raise self._superseded

    @property
    def _leased(self) -> bool:
        return self._record.run.layers.get("lease") == "armed"

    def _make_heartbeat(self, run: runs.Run) -> leases.Lease | None:
        """The lease as the journal would have it now; None before the run has a deadline."""
        if run.deadline is None:
            return None
        if run.stopping is not None:
            state = leases.LeaseState.STOP
        else:
            state = leases.LeaseState.GO if run.go_at is not None else leases.LeaseState.WAIT
        return leases.Lease(
            execution_id=run.execution_id,
            state=state,
            deadline=run.deadline,
            beat=0,
            heartbeat_at=self._clock.now(),
            go_at=run.go_at,
            reason=run.stopping.reason if run.stopping else "",
            counted=lease_counts.read_count(run),
        )
