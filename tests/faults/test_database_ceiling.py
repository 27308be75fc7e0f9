"""Whole runs and their database: what the driver did, what was delivered, and a ceiling that is kept by not asking."""

import json

import psycopg

from tests import waiting
from tests.faults import controller_driver, stage

REPEATED = """
insert into receipts (receipt_id, decision, created_at_utc, platform_run_id, event_id)
select 'repeated-' || decision || event, decision, to_json(now() - ago * interval '1 hour') #>> '{}', %s, event
from (values ('ADMIT', 1, 'played'), ('DUPLICATE', 0, 'played'), ('ADMIT', 0, 'sent'), ('DUPLICATE', 0, 'sent'),
    ('DUPLICATE', 0, 'never')) as given (decision, ago, event)
"""


def scope_of(ran: stage.Ran) -> str:
    return str(json.loads((ran.folder / "plan.json").read_bytes())["scope"])


def test_a_run_says_what_its_driver_did_what_was_delivered_and_which_duplicates_were_played_again(
    play: stage.Stage,
) -> None:
    command, ran = play.begin(play.plan(stage.UNHURRIED), "--no-early-stop", fate=(controller_driver.HOLD_AT_GO,))
    ran.reached("go-given")
    with psycopg.connect(play.dsn) as ingest:
        ingest.execute(REPEATED, [scope_of(ran)])
    command.go_on()
    answer = command.wait()

    assert answer.code in (0, 3), answer.err
    counted, snapshot = ran.document("receipts_window_metrics"), ran.snapshot()
    did = counted["driver"]["figures"]
    assert did["connections"] >= 4
    assert did["round_trips"] > did["statements"] > did["connections"]
    assert 0 < did["largest_wait_ms"] <= did["database_ms"] < 60_000
    assert counted["driver"]["pages"]["read"] >= 1
    assert counted["driver"]["pages"]["source"] == "EXPLAIN, an estimate"
    assert ran.document("facts")["driver"]["figures"]["statements"] <= did["statements"]
    counts = counted["counts"]
    assert counted["duplicates"] == {"retry": 1, "replay": 1, "unknown": 1, "no_data": ""}
    assert counts["DUPLICATE"] == 3
    delivered = counted["deliveries"]
    assert delivered["distinct_decisions"] == sum(counts.values())
    assert 0 < delivered["acknowledged"] <= delivered["sent"]
    for section in ("driver", "deliveries", "duplicates"):
        assert snapshot[section] == counted[section]
    assert ran.event("driver-counted") is not None
    assert play.verify(ran) == answer.code


def test_a_lock_that_stays_opens_b5_by_the_ceiling_and_the_database_is_asked_no_more(play: stage.Stage) -> None:
    receipts = {"count_timeout": "60s", "database_seconds_max": "4s"}
    plan = play.plan({"receipts": receipts}, window=4, cap=60)
    command, ran = play.begin(plan, "--no-early-stop", fate=(controller_driver.HOLD_AT_GO,))
    ran.reached("go-given")
    with psycopg.connect(play.dsn) as other, psycopg.connect(play.dsn, autocommit=True) as watcher:
        other.execute("lock table receipts in access exclusive mode")
        command.go_on()
        answer = command.wait()
        asking = "select count(*) from pg_stat_activity where application_name like 'burst/m10%'"
        waiting.until(lambda: watcher.execute(asking).fetchone() == (0,), what="the last question to end on the server")
        other.rollback()

    assert answer.code == 3, answer.err
    snapshot = ran.snapshot()
    (entry,) = [entry for entry in snapshot["blocker_register"] if entry["blocker"].endswith("-B5")]
    assert entry["state"] == "open"
    assert "receipts.database_seconds_max is 4s" in entry["why"]
    used = [event["figures"]["database_seconds"] for event in ran.events() if event["event"] == "driver-counted"]
    # A question waits 5 s for a lock. None was begun past the ceiling, but a live count may have been on its way too.
    assert 4.0 <= used[-1] < 4.0 + 2 * 5.5
    assert ran.nothing_left()
    assert play.verify(ran) == 3


def test_a_ceiling_that_preflight_uses_up_is_refused_before_anything_is_launched(play: stage.Stage) -> None:
    command, ran = play.begin(play.plan({"receipts": {"database_seconds_max": "1ms"}}))

    answer = command.wait()

    assert answer.code == 4
    assert "receipts.database_seconds_max is 0.001s" in answer.err
    assert not ran.folder.exists()
