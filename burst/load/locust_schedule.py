"""The schedule of a task for the users of any locustfile: they take turns at it, as senders of its events.

A user that is `Scheduled` waits for the next event that is due, in Locust's own waiting state, from which Locust ends
it at once; a request in flight may finish. So the rate does not depend on the number of users as long as there are
enough of them: where an event is due and no sender is free, their number is doubled, up to a cap; a worker of Locust's
asks its master for them, and sends its part of the shard. When the source is spent the users idle, because a task that
ends by itself counts as failed.

Every setting of a load program is an option of Locust too (`locust_options`). A load that is
started again from Locust's web page begins a schedule anew, by the settings that stand in the page then.
`import locust` patches the standard library, so nothing else of burst imports this module.
"""

import logging
import sys
import time
from dataclasses import dataclass
from typing import Any

import gevent
import locust
from gevent.event import AsyncResult
from locust import events, runners

from burst.load import (
    forked_workers,
    load_events,
    load_settings,
    load_shares,
    locust_options,
    locust_roles,
    send_account,
    send_schedule,
    task_processes,
)

LOOK_SECONDS = 0.05
SPAWN_RATE = 100.0
"""Above this Locust logs a warning at every change; it spawns at once what it is told of in one second."""
IDLE_SECONDS = 3600.0
PATIENCE_SECONDS = 2.0
"""How long a worker waits for the senders that it asked its master for."""

log = logging.getLogger("burst.load")


class ScheduledLoad:
    """This process's part of the burst. `schedule` has its value from GO on; a user that needs it earlier waits."""

    def __init__(self, share: load_shares.LoadShare, counts: Any) -> None:
        self.share = share
        self.schedule: AsyncResult[send_schedule.SendSchedule] = AsyncResult()
        self.account = send_account.SendAccount(share, counts.writer if counts else None)
        self._beginning = gevent.Greenlet(self._begin)
        self._runner: Any = None
        if counts:
            counts.counts_sending = False
            counts.before_write = lambda: self.account.count_due(time.monotonic())

    def begin(self, runner: Any) -> None:
        """Begin once, on a greenlet of its own; a second call changes nothing."""
        self._runner = runner
        self._beginning.start()

    def _begin(self) -> None:
        """Announce that all users are ready, wait for GO, start the schedule, and see that it has senders enough."""
        runner = self._runner
        self.share.announce_ready()
        while not self.share.may_start():
            gevent.sleep(load_shares.GO_POLL_SECONDS)
        started = time.monotonic()
        schedule = send_schedule.SendSchedule(self.share, started)
        self.account.begin(schedule, started)
        self.schedule.set(schedule)
        senders = max(1, runner.user_count)
        while senders < self.share.most_senders and runner.environment.shape_class is None:
            gevent.sleep(LOOK_SECONDS)
            if runner.state == runners.STATE_RUNNING and schedule.is_overdue(time.monotonic()):
                senders = min(2 * max(senders, runner.user_count), self.share.most_senders)
                _raise_senders(runner, senders)

    def end(self) -> None:
        """Count what was due until now, and nothing more."""
        self._beginning.kill(block=False)
        self.account.count_due(time.monotonic())


def _raise_senders(runner: Any, senders: int) -> None:
    """Starts more users; a worker asks its master for them."""
    if not isinstance(runner, runners.WorkerRunner):
        runner.start(senders, max(SPAWN_RATE, senders))
        return
    locust_roles.ask_for_senders(runner, senders)
    with gevent.Timeout(PATIENCE_SECONDS, False):  # then it is asked again, where that is still too few
        while runner.user_count < senders:
            gevent.sleep(LOOK_SECONDS)


def load_of(environment: Any) -> ScheduledLoad:
    """The process's part of the burst, which `prepare` put on Locust's environment."""
    load: ScheduledLoad = environment.burst_load
    return load


@dataclass(frozen=True, slots=True, kw_only=True)
class DueEvent:
    """An event that is due now: its number among those of its task, from 0, and what follows from it."""

    stream: load_events.EventStream
    sequence: int

    @property
    def event_id(self) -> str:
        """The same for each time that this event is sent, and for no other of its scope."""
        return self.stream.event_id(self.sequence)

    def encode(self) -> str:
        """The event as the reference ingest takes it, in JSON."""
        return self.stream.encode(self.sequence)


class Scheduled(locust.User):
    """Mix it into a user, before the user's own class: `class Order(Scheduled, FastHttpUser)`.

    Each task of the user runs when the next event of the schedule is due, and calls `take_event` first.
    """

    abstract = True
    slot: send_schedule.Slot | None = None

    def on_start(self) -> None:
        """Wait for the first event that is due."""
        super().on_start()
        self.wait()

    def wait_time(self) -> float:
        """Take the next slot and return the seconds until it is due; without one, a wait that Locust ends."""
        self.slot = load_of(self.environment).schedule.get().take_slot()
        if self.slot is None:
            return IDLE_SECONDS
        return max(0.0, self.slot.due - time.monotonic())

    def take_event(self) -> DueEvent:
        """The event that is due now, counted as sent. A task takes one, right before it sends it."""
        load, slot = load_of(self.environment), self.slot
        if slot is None:
            raise RuntimeError("a task of a Scheduled user takes one event, and only after its wait")
        self.slot = None
        load.account.record(slot, time.monotonic())
        return DueEvent(stream=load.share.stream, sequence=slot.sequence)


@events.init.add_listener
def prepare(environment: Any, runner: Any, **_: Any) -> None:
    """Read the settings; a wrong one ends the process with a message before any event is sent."""
    try:
        if isinstance(runner, runners.MasterRunner):  # it sends nothing
            locust_roles.answer_wishes(runner, load_shares.read_share(_read_own(environment)).most_senders)
            return
        environment.burst_load = _make_load(environment)
    except load_settings.SettingError as exc:
        refuse(exc)

    @environment.events.spawning_complete.add_listener
    def begin(**_: Any) -> None:
        load_of(environment).begin(runner)  # a change of the number of users calls this again, which changes nothing

    if locust_roles.is_worker():
        load_of(environment).begin(runner)  # the users come at GO, and the schedule waits for none of them

    @environment.events.test_start.add_listener
    def begin_anew(**_: Any) -> None:
        """A start from the web page after a stop has a schedule of its own."""
        if locust_roles.is_worker() or not load_of(environment).schedule.ready():
            return
        load_of(environment).end()
        try:
            environment.burst_load = _make_load(environment)
        except load_settings.SettingError as exc:
            log.error("%s", exc)
            environment.runner.stop()


def refuse(problem: load_settings.SettingError) -> None:
    """Ends the process with the words of a wrong setting."""
    log.error("%s", problem)
    sys.exit(2)


def _make_load(environment: Any) -> ScheduledLoad:
    share = load_shares.read_share(_read_own(environment))
    # Locust that burst started counts an account of the load; plain `locust -f` does not.
    return ScheduledLoad(share, getattr(environment, "burst_account", None))


@events.quitting.add_listener
def log_account(environment: Any, **_: Any) -> None:
    """Log how the schedule was kept, where this process has one."""
    if isinstance(environment.runner, runners.MasterRunner):
        return
    load = load_of(environment)
    log.info("%s", load.account.summarize() if load.schedule.ready() else "ended before GO: nothing was sent")


def _read_own(environment: Any) -> dict[str, str]:
    """The settings of this process. A worker that burst did not start has its part of the shard by its number."""
    options, runner = environment.parsed_options, environment.runner
    settings = load_settings.read_options(options)
    if not isinstance(runner, runners.WorkerRunner) or locust_roles.is_worker():
        return settings
    workers, index = options.processes or options.expect_workers, runner.worker_index
    if index >= workers:
        raise load_settings.SettingError(f"worker {index + 1} of {workers}: say --expect-workers to every worker too")
    values = load_settings.fill_defaults(settings)
    shard = load_settings.parse_whole(values, load_settings.SHARD_INDEX, least=0)
    count = load_settings.parse_whole(values, load_settings.SHARD_COUNT, least=1)
    part = {
        load_settings.SHARD_INDEX: str(task_processes.find_part(shard, count, index)),
        load_settings.SHARD_COUNT: str(count * workers),
    }
    return settings | part


locust_options.offer_settings()
forked_workers.end_with_parent()
