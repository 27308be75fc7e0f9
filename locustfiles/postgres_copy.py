"""Rows straight into Postgres by COPY, ten at a time, at the rate of a plan; here receipts, as an ingest writes them.

COPY_DSN=postgresql://... burst locust locustfiles/postgres_copy.py --rate 20/s --budget 1m
"""

import os
from datetime import UTC, datetime

import psycopg
from locust import task

from burst.load import Scheduled, measured

ROWS = 10
COPY = "COPY receipts (receipt_id, platform_run_id, event_id, event_type, decision, created_at_utc) FROM STDIN"


class Copier(Scheduled):
    """A sender with a connection of its own. Locust makes psycopg cooperative, so one that waits holds up no other."""

    def on_start(self) -> None:
        self.connection = psycopg.connect(os.environ["COPY_DSN"], autocommit=True)
        super().on_start()

    def on_stop(self) -> None:
        self.connection.close()

    @task
    def copy(self) -> None:
        """Write the ten rows of one event that is due."""
        event = self.take_event()
        with measured(self, "COPY", "receipts") as request, self.connection.cursor() as cursor:
            with cursor.copy(COPY) as rows:
                for number in range(ROWS):
                    name, now = f"{event.event_id}:{number}", datetime.now(UTC).isoformat()
                    rows.write_row((name, event.stream.scope, name, "copied", "ADMIT", now))
            request.response_length = cursor.rowcount
