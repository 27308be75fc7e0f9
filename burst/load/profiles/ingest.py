"""Load for an ingestion gateway: events at an open rate, each with an id of its own, pushed by Locust's fast client.

    IG_API_KEY=... locust -f locustfiles/ingest.py --headless -H http://127.0.0.1:8080 --burst-rate 1400

Locust's users are only senders here: they take turns at one schedule (`burst.load.locust_schedule`). `import locust`
makes sockets and sleeps cooperative, so nothing else of burst imports this file.
"""

import os
import time
from typing import Any

from geventhttpclient import response as answers
from locust import User, events, task

from burst.load import load_settings, locust_schedule, push_connection


class NotTaken(Exception):
    """The ingest answered with a status that is no success."""


class IngestUser(locust_schedule.Scheduled, User):
    """One sender, with a connection of its own: waits for a slot, sends its event."""

    host = os.environ.get(load_settings.HOST)
    api_key: str

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        share = locust_schedule.load_of(self.environment).share
        headers = {share.key_header: self.api_key, "Content-Type": "application/json"}
        self._route = share.route
        self._connection = push_connection.PushConnection(str(self.host), share.route, headers)
        self._fire = self.environment.events.request.fire

    @task
    def push(self) -> None:
        """Send the event of the slot that the user waited for."""
        if self.slot is None:
            return
        load = locust_schedule.load_of(self.environment)
        load.account.record(self.slot, time.monotonic())
        started_at, started = time.time(), time.perf_counter()
        answer, failure = self._send(load.share.stream.encode(self.slot.sequence).encode())
        self._fire(
            request_type="POST",
            name=self._route,
            response_time=(time.perf_counter() - started) * 1000,
            response_length=0 if answer is None else answer.content_length or 0,
            response=answer,
            context={},
            exception=failure,
            start_time=started_at,
        )

    def _send(self, body: bytes) -> tuple[answers.HTTPResponse | None, Exception | None]:
        try:
            answer = self._connection.push(body)
        except (OSError, answers.HTTPParseError) as failure:
            return None, failure
        taken = answer.status_code < 300
        return answer, None if taken else NotTaken(f"status {answer.status_code}")

    def on_stop(self) -> None:
        """Close the connection."""
        self._connection.close()


@events.init.add_listener
def prepare(environment: Any, **_: Any) -> None:
    """Read the key and see that there is a host, before any event is sent."""
    try:
        if not (environment.host or IngestUser.host or environment.web_ui):
            raise load_settings.SettingError(f"no host: give one by --host or {load_settings.HOST}")
        IngestUser.api_key = load_settings.read_api_key()
    except load_settings.SettingError as exc:
        locust_schedule.refuse(exc)
