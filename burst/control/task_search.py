"""The search for tasks of a run that its journal does not know, because a launch was not answered."""

from collections.abc import Sequence

from burst import ports
from burst.control import recorder
from burst.domain.basics import errors, instants
from burst.domain.run import appearances, runs
from burst.domain.run.events import launch_events, watch_events
from burst.domain.tasks import tasks

PAUSE_SECONDS = 2.0
"""The time between two searches."""


class TaskFinder:
    """The search of one run. It journals tasks that the launcher lists, and those that have claimed a shard beside the
    lease."""

    def __init__(
        self,
        *,
        record: recorder.Recorder,
        launcher: ports.Launcher,
        lease: ports.LeaseStore,
        clock: ports.Clock,
        terms: appearances.TaskSearchTerms,
    ) -> None:
        self._record = record
        self._launcher = launcher
        self._lease = lease
        self._clock = clock
        self._terms = terms
        self._due_at = clock.now()

    def search_if_due(self) -> None:
        """Searches again where a launch is still unanswered, after a pause."""
        if self._record.run.unaccounted and self._clock.now() >= self._due_at:
            self.search()

    def search(self) -> None:
        """Journals every task that it finds, and whether the launch is accounted for now."""
        run, now = self._record.run, self._clock.now()
        self._due_at = instants.later(now, PAUSE_SECONDS)
        listed = self._list_tasks(run)
        signs = self._read_signs() if run.unaccounted else appearances.Signs()
        result = appearances.judge_search(run, listed, signs, now, self._terms)
        if result.unknown or result.accounted:
            self._record.note(launch_events.TasksFound(tasks=result.unknown, accounted=result.accounted))

    def _list_tasks(self, run: runs.Run) -> Sequence[tasks.Task] | None:
        """The tasks that the launcher lists; None where it is blind."""
        try:
            listed = self._launcher.find(run.execution_id)
        except errors.Unavailable as exc:
            if run.blind_since is None:
                self._record.note(watch_events.Blind(why=str(exc)))
            return None
        if run.blind_since is not None:
            self._record.note(watch_events.SightRegained())
        return listed

    def _read_signs(self) -> appearances.Signs | None:
        """The signs beside the lease; None where it is out of reach. Not read where a search misses no task."""
        if not self._terms.appears_seconds:
            return appearances.Signs()
        try:
            return appearances.Signs(claims=self._lease.claims(), ready=self._lease.ready())
        except errors.BurstError:
            return None
