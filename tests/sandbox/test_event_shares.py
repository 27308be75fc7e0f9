"""Shares of duplicates and malformed events, by tasks as processes against the real gateway: exact in Postgres."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from burst.domain.plan import load_sections
from burst.load import load_settings
from burst.sandbox import gateway
from burst.wiring.targets import load_program
from tests import cases, fixtures_postgres, waiting

API_KEY = "a-key-nobody-may-see"
PROFILES = Path(__file__).parents[2] / "burst" / "load" / "profiles"
LOCUST = (sys.executable, "-m", "burst.load.locust_start", "-f", str(PROFILES / "ingest.py"), "--headless")
SENDER = (sys.executable, "-m", "burst.load.profiles.sender")
START_SECONDS = 60
MIX = {
    "duplicates": "2.5%",
    "malformed": "1%",
    "templates": [
        {"name": "order", "weight": 3, "bytes": {"least": 300, "p50": 700, "p95": 2400, "most": 6000}},
        {"name": "payment", "weight": 1, "bytes": 420},
    ],
}


@pytest.fixture
def receipts_dsn(postgres_template: fixtures_postgres.TemplatedServer) -> str:
    """A database of this test alone."""
    return postgres_template.server.create_database(template=postgres_template.template)


def read_variables(scope: str, events: int = 1000) -> dict[str, str]:
    """What the tasks of a plan with the mix have in their environment, by the launcher's own function."""
    load = {
        "locustfile": load_sections.OWN_PROFILE,
        "host": "http://h",
        "rate": "800/s",
        "source_events": events,
        "events": MIX,
    }
    return load_program.variables(cases.plan(load=load, scope=scope))


@pytest.fixture
def run_shards(receipts_dsn: str) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """The processes of a test, which end with it."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.wait()


def count_decisions(connection: "psycopg.Connection[tuple[str, int]]", scope: str) -> dict[str, int]:
    query = "SELECT decision, count(*) FROM receipts WHERE platform_run_id = %s GROUP BY decision"
    return dict(connection.execute(query, [scope]).fetchall())


@pytest.mark.parametrize(
    ("command", "shards", "events"), [(LOCUST, 2, 2400), (LOCUST, 3, 2000), (SENDER, 4, 2400), (SENDER, 7, 1000)]
)
def test_a_share_of_duplicates_and_of_malformed_events_is_exact_in_the_receipts(
    receipts_dsn: str, run_shards: list["subprocess.Popen[bytes]"], command: tuple[str, ...], shards: int, events: int
) -> None:
    """Also where the tasks send unequally many: 2,000 deliveries of 3 tasks, 1,000 of 7."""
    scope = f"platform_{uuid.uuid4().hex}"
    with (
        gateway.start(dsn=receipts_dsn, api_key=API_KEY) as running,
        psycopg.connect(receipts_dsn, autocommit=True) as connection,
    ):
        settings = read_variables(scope, events) | {load_settings.HOST: running.url, load_settings.API_KEY: API_KEY}
        for index in range(shards):
            shard = {load_settings.SHARD_INDEX: str(index), load_settings.SHARD_COUNT: str(shards)}
            run_shards.append(
                subprocess.Popen(
                    command, env=os.environ | settings | shard, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
        waiting.until(
            lambda: sum(count_decisions(connection, scope).values()) >= events,
            seconds=START_SECONDS,
            what="a receipt of each delivery",
        )
        decisions = count_decisions(connection, scope)
        query = "SELECT decision, event_id FROM receipts WHERE platform_run_id = %s"
        rows = connection.execute(query, [scope]).fetchall()

    admitted = {event_id for decision, event_id in rows if decision == "ADMIT"}
    repeated = {event_id for decision, event_id in rows if decision == "DUPLICATE"}
    assert decisions == {"DUPLICATE": events * 25 // 1000, "QUARANTINE": events // 100, "ADMIT": events * 965 // 1000}
    assert repeated < admitted
    assert len(repeated) == events * 25 // 1000


def test_the_variables_of_a_task_hold_the_mix_as_the_plan_says_it() -> None:
    written = json.loads(read_variables("s")[load_settings.EVENTS])

    assert (written["duplicates"], written["malformed"]) == ("1/40", "1/100")
    assert [template["weight"] for template in written["templates"]] == [3, 1]
