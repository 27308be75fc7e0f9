"""Load for an ingestion gateway: events at an open rate, each with an id of its own, pushed by Locust's fast client.

    IG_API_KEY=... locust -f locustfiles/ingest.py --headless -H http://127.0.0.1:8080 --burst-rate 1400

Locust's users are only senders here: they take turns at one schedule, so the rate does not depend on their number as
long as there are enough of them. A user waits for its slot in Locust's own waiting state, from which Locust ends it at
once; what is in flight may finish. When the source is spent the users idle: that a task ends by itself means trouble.
`import locust` makes sockets and sleeps cooperative, so nothing else of burst imports this file.
"""

import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import AsyncResult
from locust import FastHttpUser, events, runners, task

if TYPE_CHECKING:
    from locustfiles import pacing
else:
    import pacing  # Locust puts this file's folder on the path

USERS = 32
IDLE_SECONDS = 3600.0

_OPTIONS = {
    pacing.SCOPE: "--burst-scope",
    pacing.SHARD_INDEX: "--burst-shard-index",
    pacing.SHARD_COUNT: "--burst-shard-count",
    pacing.RATE_PER_MINUTE: "--burst-rate",
    pacing.PROFILE: "--burst-profile",
    pacing.SOURCE_EVENTS: "--burst-source-events",
    pacing.GO_FILE: "--burst-go-file",
    pacing.READY_FILE: "--burst-ready-file",
}

log = logging.getLogger("burst.load")


class Burst:
    """This process's part of the burst; `pace` is there from GO on, and whoever asks for it earlier waits."""

    def __init__(self, share: "pacing.Share", api_key: str) -> None:
        self.share = share
        self.headers = {"X-IG-Api-Key": api_key, "Content-Type": "application/json"}
        self.pace: AsyncResult[pacing.Pace] = AsyncResult()

    def begin(self) -> None:
        """Say that everything stands ready, wait for GO, and start the clock."""
        self.share.say_ready()
        while not self.share.may_go():
            gevent.sleep(pacing.GO_POLL_SECONDS)
        self.pace.set(pacing.Pace(self.share, time.monotonic()))


class IngestUser(FastHttpUser):
    """One sender: waits for a slot, sends its event."""

    host = os.environ.get(pacing.HOST)
    connection_timeout = 5.0
    network_timeout = 10.0
    # The key goes to the host alone: not on to where an answer points, nor to who cannot show a certificate.
    max_redirects = 0
    insecure = False
    slot: "pacing.Slot | None" = None

    def wait_time(self) -> float:
        """Take the next slot and say in how many seconds it is due; without one, wait to be ended."""
        self.slot = burst(self.environment).pace.get().take()
        if self.slot is None:
            return IDLE_SECONDS
        return max(0.0, self.slot.due - time.monotonic())

    @task
    def push(self) -> None:
        """Send the event of the slot that was waited for; on its first turn a user has none yet."""
        if self.slot is None:
            return
        mine = burst(self.environment)
        mine.pace.get().sending(self.slot, time.monotonic())
        self.client.post(pacing.PUSH_PATH, data=mine.share.envelope(self.slot.sequence), headers=mine.headers)


def burst(environment: Any) -> Burst:
    """The process's burst, which hangs on Locust's environment."""
    found: Burst = environment.burst
    return found


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Every setting as an option too; and enough users that plain `locust -f` keeps the rate."""
    for name, (default, help_text) in pacing.SETTINGS.items():
        parser.add_argument(_OPTIONS[name], env_var=name, default=default or "", help=help_text, metavar="VALUE")
    parser.set_defaults(num_users=USERS, spawn_rate=USERS)


@events.init.add_listener
def prepare(environment: Any, runner: Any, **_: Any) -> None:
    """Read the settings, or end with what is wrong before anything is sent."""
    try:
        if not isinstance(runner, runners.LocalRunner):
            raise pacing.BadSetting(
                f"master, worker and --processes would each send the whole share: start tasks with {pacing.SHARD_COUNT}"
            )
        if not (environment.host or IngestUser.host or environment.web_ui):
            raise pacing.BadSetting(f"no host: give one by --host or {pacing.HOST}")
        mine = Burst(pacing.share(_settings(environment.parsed_options)), pacing.api_key())
    except pacing.BadSetting as wrong:
        log.error("%s", wrong)
        sys.exit(2)
    environment.burst = mine
    beginning = gevent.Greenlet(mine.begin)

    @environment.events.spawning_complete.add_listener
    def begin(**_: Any) -> None:
        beginning.start()  # started again, when the number of users changes, it stays as it is


@events.quitting.add_listener
def give_account(environment: Any, **_: Any) -> None:
    """Say how the schedule was kept."""
    pace = burst(environment).pace
    log.info("%s", pace.get().account() if pace.ready() else "ended before GO: nothing was sent")


def _settings(options: Any) -> dict[str, str]:
    return {name: getattr(options, flag.removeprefix("--").replace("-", "_")) for name, flag in _OPTIONS.items()}
