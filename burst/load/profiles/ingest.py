"""Load for an ingestion gateway: events at an open rate, each with an id of its own, pushed by Locust's fast client.

    IG_API_KEY=... locust -f locustfiles/ingest.py --headless -H http://127.0.0.1:8080 --burst-rate 1400

Locust's users are only senders here: they take turns at one schedule, so the rate does not depend on their number as
long as there are enough of them. Where an event is due and no sender is free, their number is doubled, up to a cap: it
follows the rate times the time that answers take. A user waits for its slot in Locust's own waiting state, from which
Locust ends it at once; a request in flight may finish. When the source is spent the users idle, because a task that
ends by itself counts as failed. `import locust` makes sockets and sleeps cooperative, so nothing else of burst imports
this file.
"""

import functools
import logging
import os
import ssl
import sys
import time
from importlib import metadata
from typing import Any

import gevent
from gevent.event import AsyncResult
from locust import FastHttpUser, events, runners, task

from burst.load import load_events, load_settings, load_shares, send_account, send_schedule

USERS = 32
LOOK_SECONDS = 0.05
SPAWN_RATE = 100.0
"""Above this Locust logs a warning at every change; it spawns at once what it is told of in one second."""
IDLE_SECONDS = 3600.0

_OPTIONS = {
    load_settings.SCOPE: "--burst-scope",
    load_settings.SHARD_INDEX: "--burst-shard-index",
    load_settings.SHARD_COUNT: "--burst-shard-count",
    load_settings.RATE_PER_MINUTE: "--burst-rate",
    load_settings.RATE_PLAN: "--burst-rate-plan",
    load_settings.PROFILE: "--burst-profile",
    load_settings.SOURCE_EVENTS: "--burst-source-events",
    load_settings.ARRIVALS: "--burst-arrivals",
    load_settings.MOST_SENDERS: "--burst-most-senders",
    load_settings.GO_FILE: "--burst-go-file",
    load_settings.READY_FILE: "--burst-ready-file",
}

log = logging.getLogger("burst.load")

_CLIENT, _SENDS_ONCE_FROM = "geventhttpclient", (2, 6)


def require_client_that_sends_once() -> None:
    """Raises SettingError where Locust's client sends an event again when its connection breaks before the answer.

    The ingest may have taken the first one, and then one event is two.
    """
    version = metadata.version(_CLIENT)
    if tuple(map(int, version.split(".")[:2])) < _SENDS_ONCE_FROM:
        raise load_settings.SettingError(
            f"{_CLIENT} {version} sends an event again where its connection breaks, so that one becomes two: "
            f"install {'.'.join(map(str, _SENDS_ONCE_FROM))} or newer, as burst[load] does"
        )


require_client_that_sends_once()  # at import, so that preflight and the run both refuse


class TaskLoad:
    """This process's part of the burst. `schedule` has its value from GO on; a user that needs it earlier waits."""

    def __init__(self, share: load_shares.LoadShare, api_key: str, counts: Any) -> None:
        self.share = share
        self.headers = {"X-IG-Api-Key": api_key, "Content-Type": "application/json"}
        self.schedule: AsyncResult[send_schedule.SendSchedule] = AsyncResult()
        self.account = send_account.SendAccount(share, counts.writer if counts else None)
        if counts:
            counts.counts_sending = False
            counts.before_write = lambda: self.account.count_due(time.monotonic())

    def begin(self, runner: Any) -> None:
        """Announce that all users are ready, wait for GO, start the schedule, and see that it has senders enough."""
        self.share.announce_ready()
        while not self.share.may_start():
            gevent.sleep(load_shares.GO_POLL_SECONDS)
        started = time.monotonic()
        schedule = send_schedule.SendSchedule(self.share, started)
        self.account.begin(schedule, started)
        self.schedule.set(schedule)
        senders = runner.user_count
        while senders < self.share.most_senders:
            gevent.sleep(LOOK_SECONDS)
            if runner.state == runners.STATE_RUNNING and schedule.is_overdue(time.monotonic()):
                senders = min(2 * senders, self.share.most_senders)
                runner.start(senders, max(SPAWN_RATE, senders))


def trust_as_canary(**_: Any) -> ssl.SSLContext:
    """The certificates that Python trusts by default, in OpenSSL's file and folder, as the canary of preflight does.

    The client would name the file alone, and that of certifi where there is none; so what it names is not taken.
    """
    return _make_context()


@functools.cache
def _make_context() -> ssl.SSLContext:
    """One for all senders: to read the certificates takes longer than to send an event."""
    return ssl.create_default_context()


class IngestUser(FastHttpUser):
    """One sender: waits for a slot, sends its event."""

    host = os.environ.get(load_settings.HOST)
    connection_timeout = 5.0
    network_timeout = 10.0
    # The key goes to the host alone: no redirect is followed, and the host has to show a valid certificate.
    max_redirects = 0
    insecure = False
    ssl_context_factory = staticmethod(trust_as_canary)
    slot: send_schedule.Slot | None = None

    def wait_time(self) -> float:
        """Take the next slot and return the seconds until it is due; without one, a wait that Locust ends."""
        self.slot = load_of(self.environment).schedule.get().take_slot()
        if self.slot is None:
            return IDLE_SECONDS
        return max(0.0, self.slot.due - time.monotonic())

    @task
    def push(self) -> None:
        """Send the event of the slot that the user waited for; on its first turn a user has none yet."""
        if self.slot is None:
            return
        load = load_of(self.environment)
        load.account.record(self.slot, time.monotonic())
        self.client.post(load_events.PUSH_PATH, data=load.share.stream.encode(self.slot.sequence), headers=load.headers)


def load_of(environment: Any) -> TaskLoad:
    """The process's part of the burst, which `prepare` put on Locust's environment."""
    load: TaskLoad = environment.burst_load
    return load


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Every setting as an option too; and enough users that plain `locust -f` keeps the rate."""
    for name, (default, help_text) in load_settings.SETTINGS.items():
        parser.add_argument(_OPTIONS[name], env_var=name, default=default or "", help=help_text, metavar="VALUE")
    parser.set_defaults(num_users=USERS, spawn_rate=USERS)


@events.init.add_listener
def prepare(environment: Any, runner: Any, **_: Any) -> None:
    """Read the settings; a wrong one ends the process with a message before any event is sent."""
    try:
        if not isinstance(runner, runners.LocalRunner):
            raise load_settings.SettingError(
                "master, worker and --processes would each send the whole share: "
                f"start tasks with {load_settings.SHARD_COUNT}"
            )
        if not (environment.host or IngestUser.host or environment.web_ui):
            raise load_settings.SettingError(f"no host: give one by --host or {load_settings.HOST}")
        share = load_shares.read_share(_read_options(environment.parsed_options))
        # Locust that burst started counts an account of the load; plain `locust -f` does not.
        load = TaskLoad(share, load_settings.read_api_key(), getattr(environment, "burst_account", None))
    except load_settings.SettingError as exc:
        log.error("%s", exc)
        sys.exit(2)
    environment.burst_load = load
    beginning = gevent.Greenlet(load.begin, runner)

    @environment.events.spawning_complete.add_listener
    def begin(**_: Any) -> None:
        beginning.start()  # a change of the number of users calls this again, which changes nothing


@events.quitting.add_listener
def log_account(environment: Any, **_: Any) -> None:
    """Log how the schedule was kept."""
    load = load_of(environment)
    log.info("%s", load.account.summarize() if load.schedule.ready() else "ended before GO: nothing was sent")


def _read_options(options: Any) -> dict[str, str]:
    return {name: getattr(options, flag.removeprefix("--").replace("-", "_")) for name, flag in _OPTIONS.items()}
