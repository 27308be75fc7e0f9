"""Events over HTTP at the rate of a plan: each is due at an instant of its own, and has an id of its own.

IG_API_KEY=... burst locust locustfiles/http_ingest.py --host http://127.0.0.1:8080 --rate 25/s --budget 1m
"""

import os

from locust import FastHttpUser, task

from burst.load import Scheduled


class HttpIngest(Scheduled, FastHttpUser):
    """One of the senders that take turns at the events that are due."""

    @task
    def push(self) -> None:
        """Send one event; an answer that puts it into quarantine is a failure, though its status is 200."""
        event = self.take_event()
        headers = {"X-IG-Api-Key": os.environ["IG_API_KEY"], "Content-Type": "application/json"}
        with self.client.post("/v1/ingest/push", data=event.encode(), headers=headers, catch_response=True) as answer:
            if answer.status_code == 200 and answer.json()["decision"] == "QUARANTINE":
                answer.failure("quarantined")
