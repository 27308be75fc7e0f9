"""Postgres away in the middle of a run: back in time the run completes, gone for good it ends and says so."""

import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from burst.domain.basics import instants
from burst.sandbox import embedded_postgres, gateway
from tests import waiting
from tests.faults import controller_driver, stage

AWAY_SECONDS = 10.0


@pytest.fixture
def server() -> Iterator[embedded_postgres.PostgresServer]:
    """A server of the test's own, to be stopped."""
    with embedded_postgres.start(durable=False) as made:
        yield made


@pytest.fixture
def own_play(server: embedded_postgres.PostgresServer, tmp_path: Path) -> Iterator[stage.Stage]:
    """A stage on that server."""
    dsn, api_key = server.create_database(), secrets.token_urlsafe(24)
    with gateway.start(dsn=dsn, api_key=api_key) as running:
        made = stage.Stage(folder=tmp_path, dsn=dsn, host=running.url, api_key=api_key)
        yield made
        made.end()


HOLD_AT_COUNT = controller_driver.Blow(event="counted", number=signal.SIGSTOP)


def first_receipts(play: stage.Stage, ran: stage.Ran) -> None:
    """Waits until a slice was counted, where the controller is held, and receipts are there."""

    def there() -> bool:
        with psycopg.connect(play.dsn) as connection:
            return (
                connection.execute("select 1 from receipts where event_id not like 'burst-canary-%' limit 1").rowcount
                > 0
            )

    ran.reached("counted", seconds=60)
    waiting.until(there, seconds=30, what="the first receipts")


def test_postgres_away_for_ten_seconds_in_mid_run_does_not_end_the_run(
    own_play: stage.Stage, server: embedded_postgres.PostgresServer
) -> None:
    receipts = {"count_timeout": "30s"}
    plan = own_play.plan({"receipts": receipts}, window=5, cap=40)
    command, ran = own_play.begin(plan, "--no-early-stop", fate=(HOLD_AT_COUNT,))
    first_receipts(own_play, ran)
    server.stop_server()
    command.go_on()
    time.sleep(AWAY_SECONDS)  # the outage itself
    server.start_server()

    answer = command.wait()

    assert answer.code in (0, 3), answer.err
    snapshot = ran.snapshot()
    assert stage.states(snapshot)["B5"] == "cleared"
    assert snapshot["burst_load_checks"]["counts"]["ADMIT"] == stage.admitted(own_play.dsn, snapshot) > 0
    assert ran.nothing_left()
    assert own_play.verify(ran) == answer.code


def test_postgres_gone_for_good_leaves_b5_open_and_nothing_running(
    own_play: stage.Stage, server: embedded_postgres.PostgresServer
) -> None:
    receipts = {"count_timeout": "6s"}
    plan = own_play.plan({"receipts": receipts}, window=4, cap=40)
    command, ran = own_play.begin(plan, "--no-early-stop", fate=(HOLD_AT_COUNT,))
    first_receipts(own_play, ran)
    server.stop_server()

    command.go_on()
    answer = command.wait()

    assert answer.code == 3, answer.err
    assert ran.nothing_left()
    assert {"B1", "B2", "B5", "B6", "B7", "B9"} <= stage.open_blockers(ran.snapshot())
    assert stage.states(ran.snapshot())["B8"] == "cleared"
    assert ran.event("counted") is not None
    result = ran.document("task_result")
    assert [task["stopped_by"] for task in result["tasks"]] != [None, None]
    assert instants.parse(result["stopped_utc"]) > instants.parse(result["go_utc"])
    assert own_play.verify(ran) == 3
