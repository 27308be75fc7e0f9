"""A replay in a scope that holds many receipts already: it is ended by its first duplicates, however many there are."""

import os
from datetime import datetime
from typing import Any

import psycopg

from burst.domain.basics import instants
from tests import waiting
from tests.faults import stage

SCOPE = "platform_20260219T234150Z"
EARLIER = int(os.environ.get("BURST_REPLAY_RECEIPTS", "20000"))
"""How many receipts the scope holds before."""
FILL = """
insert into receipts (receipt_id, platform_run_id, event_id, dedupe_key, decision, created_at_utc, receipt_ref)
select md5(i::text), %s, md5(i::text), md5(i::text) || md5(i::text), 'ADMIT',
    to_char(timestamp '2026-02-20T02:00:00' + i * interval '10 ms', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00',
    repeat('x', 100)
from generate_series(1, %s) as i
"""
DUPLICATES = """
insert into receipts (receipt_id, platform_run_id, event_id, decision, created_at_utc)
select md5(random()::text), %s, md5(i::text), 'DUPLICATE',
    to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00'
from generate_series(1, 10) as i
"""


def seconds_of(event: dict[str, Any] | None, since: datetime) -> float:
    assert event is not None
    return instants.seconds_between(since, instants.parse(event["at"]))


def test_a_replay_is_stopped_within_seconds_of_its_first_receipts_however_many_the_scope_holds(
    play: stage.Stage,
) -> None:
    with psycopg.connect(play.dsn, autocommit=True) as ingest:
        ingest.execute(FILL, [SCOPE, EARLIER])
        ingest.execute("vacuum analyze receipts")
        changes = {
            **stage.UNHURRIED,
            "receipts": {"count_timeout": "60s"},
            "load": {"profile": "replay", "source_events": EARLIER},
        }
        plan = play.plan(changes, window=60, cap=90)
        text = plan.read_text().replace('"scope": "fresh"', f'"scope": "{SCOPE}"')
        plan.write_text(text)
        command, ran = play.begin(plan)
        go = instants.parse(ran.reached("go-given", seconds=120)["at"])

        def is_stopped() -> bool:
            ingest.execute(DUPLICATES, [SCOPE])
            return ran.event("stop-intended") is not None

        waiting.until(is_stopped, seconds=60, what="the early stop")
    answer = command.wait()

    assert answer.code == 3, answer.err
    snapshot = ran.snapshot()
    assert snapshot["decision"]["early_stop"]["rule"] == "ratio-impossible"
    assert snapshot["decision"]["count_blindnesses"] == []
    assert seconds_of(ran.event("stop-intended"), go) < 20
    assert ran.document("receipts_window_metrics")["live"]["slices"]["DUPLICATE"] > 0
