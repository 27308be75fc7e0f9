"""Mixed journeys with checks: three of four users order, in steps; the others look only. Names and tags choose.

IG_API_KEY=... burst locust locustfiles/journeys.py --host http://127.0.0.1:8080 --users 8 -- Buyer -t 30s
"""

import os
import uuid

from locust import HttpUser, SequentialTaskSet, between, tag, task

from burst.load import mark, read_share

SCOPE = read_share(os.environ).stream.scope


class OrderJourney(SequentialTaskSet):
    @task
    def look(self) -> None:
        self.client.get("/healthz", name="look")

    @tag("paid")
    @task
    def order(self) -> None:
        event = {"event_id": uuid.uuid4().hex, "event_type": "order", "platform_run_id": SCOPE, "payload": {}}
        headers = {"X-IG-Api-Key": os.environ["IG_API_KEY"]}
        with self.client.post("/v1/ingest/push", json=event, headers=headers, catch_response=True) as answer:
            if not answer.ok or answer.json()["decision"] != "ADMIT":
                answer.failure("not admitted")
        mark(self.user, "ordered")


class Buyer(HttpUser):
    weight, wait_time, tasks = 3, between(0.1, 0.5), [OrderJourney]


class Looker(HttpUser):
    weight, wait_time, tasks = 1, between(0.5, 1), [OrderJourney.look]
