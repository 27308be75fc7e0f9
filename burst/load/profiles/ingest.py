"""Load for an ingestion gateway: events at an open rate, each with an id of its own, pushed by Locust's fast client.

    IG_API_KEY=... locust -f locustfiles/ingest.py --headless -H http://127.0.0.1:8080 --burst-rate 1400

Locust's users are only senders here: they take turns at one schedule (`burst.load.locust_schedule`). `import locust`
makes sockets and sleeps cooperative, so nothing else of burst imports this file.
"""

import os
import time
from typing import Any

from locust import FastHttpUser, events, task

from burst.load import load_events, load_settings, locust_schedule, sending_client

sending_client.require_client_that_sends_once()  # at import, so that preflight and the run both refuse


class IngestUser(locust_schedule.Scheduled, FastHttpUser):
    """One sender: waits for a slot, sends its event."""

    host = os.environ.get(load_settings.HOST)
    connection_timeout = 5.0
    network_timeout = 10.0
    # The key goes to the host alone: no redirect is followed, and the host has to show a valid certificate.
    max_redirects = 0
    insecure = False
    ssl_context_factory = staticmethod(sending_client.trust_as_canary)
    headers: dict[str, str]

    @task
    def push(self) -> None:
        """Send the event of the slot that the user waited for."""
        if self.slot is None:
            return
        load = locust_schedule.load_of(self.environment)
        load.account.record(self.slot, time.monotonic())
        self.client.post(load_events.PUSH_PATH, data=load.share.stream.encode(self.slot.sequence), headers=self.headers)


@events.init.add_listener
def prepare(environment: Any, **_: Any) -> None:
    """Read the key and see that there is a host, before any event is sent."""
    try:
        if not (environment.host or IngestUser.host or environment.web_ui):
            raise load_settings.SettingError(f"no host: give one by --host or {load_settings.HOST}")
        IngestUser.headers = {"X-IG-Api-Key": load_settings.read_api_key(), "Content-Type": "application/json"}
    except load_settings.SettingError as exc:
        locust_schedule.refuse(exc)
