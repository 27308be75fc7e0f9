"""Postgres away in the middle of a run: back in time the run completes, gone for good it ends and says so."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.domain import instants
from burst.sandbox import gateway, postgres
from tests import waiting
from tests.faults import stage

AWAY_SECONDS = 10.0


@pytest.fixture
def server() -> Iterator[postgres.Server]:
    """A server of the test's own, to be stopped."""
    with postgres.start(durable=False) as made:
        yield made


@pytest.fixture
def own_play(server: postgres.Server, tmp_path: Path) -> Iterator[stage.Stage]:
    """A stage on that server."""
    dsn, api_key = server.create_database(), secrets.token_urlsafe(24)
    with gateway.start(dsn=dsn, api_key=api_key) as running:
        made = stage.Stage(folder=tmp_path, dsn=dsn, host=running.url, api_key=api_key)
        yield made
        made.end()


def first_receipts(ran: stage.Ran) -> None:
    """Waits until the live count has seen receipts."""

    def seen() -> bool:
        return any(event["event"] == "counted" and event["counts"]["admit"] for event in ran.events())

    ran.reached("go-given")
    waiting.until(seen, seconds=20, what="the first receipts")


@pytest.mark.timeout(90)
def test_postgres_away_for_ten_seconds_in_mid_run_does_not_end_the_run(
    own_play: stage.Stage, server: postgres.Server
) -> None:
    receipts = {"count_timeout": "30s"}
    command, ran = own_play.begin(own_play.plan({"receipts": receipts}, window=5, cap=40), "--no-early-stop")
    first_receipts(ran)
    server.stop_server()
    time.sleep(AWAY_SECONDS)  # the outage itself
    server.start_server()

    answer = command.wait(60)

    assert answer.code in (0, 3), answer.err
    snapshot = ran.snapshot()
    assert stage.states(snapshot)["B5"] == "cleared"
    assert snapshot["burst_load_checks"]["counts"]["ADMIT"] == stage.admitted(own_play.dsn, snapshot) > 0
    assert ran.nothing_left()
    assert own_play.verify(ran) == answer.code


@pytest.mark.timeout(90)
def test_postgres_gone_for_good_leaves_b5_open_and_nothing_running(
    own_play: stage.Stage, server: postgres.Server
) -> None:
    receipts = {"count_timeout": "6s"}
    command, ran = own_play.begin(own_play.plan({"receipts": receipts}, window=4, cap=40), "--no-early-stop")
    first_receipts(ran)
    server.stop_server()

    answer = command.wait(60)

    assert answer.code == 3, answer.err
    assert ran.nothing_left()
    assert {"B1", "B2", "B5", "B6", "B7", "B9"} <= stage.open_blockers(ran.snapshot())
    assert stage.states(ran.snapshot())["B8"] == "cleared"
    assert ran.event("counted") is not None
    result = ran.document("task_result")
    assert [task["stopped_by"] for task in result["tasks"]] != [None, None]
    assert instants.parse(result["stopped_utc"]) > instants.parse(result["go_utc"])
    assert own_play.verify(ran) == 3
