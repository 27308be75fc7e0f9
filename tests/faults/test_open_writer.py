"""A run whose window ends while a transaction with receipts of that window is open: it does not pass."""

import json

import psycopg

from tests.faults import controller_driver, stage

INSERT = """
insert into receipts (receipt_id, decision, created_at_utc, platform_run_id)
select 'late-' || number, 'DUPLICATE', to_json(now()) #>> '{}', %s from generate_series(1, 50) as number
"""


def test_duplicates_that_are_not_committed_keep_a_burst_from_passing_and_the_verdict_names_their_writer(
    play: stage.Stage,
) -> None:
    command, ran = play.begin(play.plan(stage.UNHURRIED), fate=(controller_driver.HOLD_AT_GO,))
    ran.reached("go-given")
    scope = json.loads((ran.folder / "plan.json").read_bytes())["scope"]
    with psycopg.connect(play.dsn, application_name="ingest") as writer:
        writer.execute(INSERT, [scope])
        command.go_on()
        answer = command.wait()
        pid = writer.info.backend_pid
        writer.rollback()

    assert answer.code == 3, answer.err
    snapshot = ran.snapshot()
    assert stage.states(snapshot)["B5"] == "open"
    assert [entry["pid"] for entry in ran.document("receipts_window_metrics")["open_writers"]] == [pid]
    (gate,) = [gate for gate in snapshot["gates"] if gate["name"] == "settled"]
    assert f"pid {pid} (ingest) wrote to the receipts when the window ended" in gate["why"]
    assert play.verify(ran) == 3
