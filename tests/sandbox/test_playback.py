"""Playback as processes against the real gateway: kills, a database of checkpoints that goes, and what is counted.

The full size is `make bench ARGS=playback`.
"""

import json
import signal
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from burst.load import histograms
from burst.load.playback import checkpoints
from burst.sandbox import embedded_postgres, gateway
from tests import fixtures_postgres, playing_back, waiting

PATIENCE_SECONDS = 90.0
EVENTS = 1200
UNHURRIED = "120/s"
"""A rate at which what is to happen does so before the last event, also where the machine is slow to see its time."""


@pytest.fixture(scope="module")
def played(
    postgres_template: fixtures_postgres.TemplatedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[playing_back.Stage]:
    """One gateway, recording and database of checkpoints for this file."""
    dsn = postgres_template.server.create_database(template=postgres_template.template)
    checkpoint_dsn = postgres_template.server.create_database()
    playing_back.prepare_receipts(dsn)
    playing_back.prepare_checkpoints(checkpoint_dsn)
    folder = tmp_path_factory.mktemp("played")
    ids = playing_back.write_recording(folder / "recording.jsonl", events=EVENTS, keys=60)
    with gateway.start(dsn=dsn, api_key=playing_back.API_KEY) as running:
        yield playing_back.Stage(
            folder=folder, ids=ids, host=running.url, receipts_dsn=dsn, checkpoint_dsn=checkpoint_dsn, scope="none",
            shards=2, rate="300/s",
        )  # fmt: skip


@pytest.fixture
def stage(played: playing_back.Stage) -> playing_back.Stage:
    """The same for a scope of the test's own."""
    return replace(played, scope=f"platform_{uuid.uuid4().hex}")


def _await_admitted(stage: playing_back.Stage, least: int) -> None:
    waiting.until(lambda: stage.count_admitted() >= least, seconds=PATIENCE_SECONDS, what=f"{least} admitted")


def test_a_shard_that_was_killed_goes_on_behind_its_checkpoint_and_every_event_comes_in_the_order_of_its_key(
    stage: playing_back.Stage,
) -> None:
    stage = replace(stage, rate=UNHURRIED)
    with stage.play() as shards:
        _await_admitted(stage, EVENTS // 3)
        shards[1].send_signal(signal.SIGKILL)
        shards[1].wait()
        _await_admitted(stage, EVENTS // 2)
    kept, since = stage.list_kept(), stage.find_last_delivery()
    with stage.play():
        _await_admitted(stage, EVENTS)
        waiting.until(
            lambda: all(stage.read_account(index).seconds for index in range(2)), seconds=30, what="both accounts"
        )

    accounts = [stage.read_account(index) for index in range(2)]
    assert 0 < len(kept) < EVENTS
    assert stage.count_sent_again(since, kept) == 0
    assert stage.count_out_of_order() == 0
    assert sorted(stage.list_kept()) == sorted(stage.ids)
    for figure in ("due", "sent", "acknowledged"):
        counted = sum(counts[figure] for account in accounts for counts in account.seconds.values())
        assert counted == EVENTS - len(kept), figure
    assert all(account.knows_due for account in accounts)


def test_a_database_of_checkpoints_that_goes_costs_nothing_but_what_was_not_written(stage: playing_back.Stage) -> None:
    with embedded_postgres.start(durable=False) as server:
        dsn = server.create_database()
        playing_back.prepare_checkpoints(dsn)
        lone = replace(stage, checkpoint_dsn=dsn, rate=UNHURRIED)
        with lone.play() as shards:
            _await_admitted(lone, EVENTS // 4)
            server.stop_server()
            _await_admitted(lone, EVENTS // 2)  # it goes on without
            shards[0].send_signal(signal.SIGKILL)
            shards[0].wait()
            server.start_server()
            _await_admitted(lone, EVENTS // 2 + 100)
            waiting.until(
                lambda: "is written again after" in lone.read_log(1),
                seconds=PATIENCE_SECONDS,
                what="the checkpoint to be written again",
            )
            said = lone.read_log(1)
            marked = lone.read_account(1).markers
        kept, since = lone.list_kept(), lone.find_last_delivery()
        with lone.play():
            _await_admitted(lone, EVENTS)

    assert "the database of the checkpoints does not answer" in said
    assert marked["checkpoint away"] >= 1
    assert lone.count_sent_again(since, kept) == 0
    assert lone.count_out_of_order() == 0
    assert lone.count_deliveries() > EVENTS  # what the killed shard had acknowledged and could not write


def test_a_run_that_another_one_overtakes_ends_and_says_so(stage: playing_back.Stage) -> None:
    lone = replace(stage, shards=1, rate="100/s")
    with lone.play() as shards:
        _await_admitted(lone, 50)
        with psycopg.connect(lone.checkpoint_dsn, autocommit=True) as connection:
            connection.execute("UPDATE wsp_checkpoint SET fence = fence + 1 WHERE pack_key = %s", [lone.scope])
        code = shards[0].wait(PATIENCE_SECONDS)
        said = lone.read_log(0)

    assert code == 3
    assert "another run has taken over shard 0000-of-0001" in said.splitlines()[-1]


def test_a_torn_record_ends_its_shard_with_its_place_after_all_before_it_was_kept(
    stage: playing_back.Stage, tmp_path: Path
) -> None:
    torn = tmp_path / "torn.jsonl"
    torn.write_text("".join(stage.recording.read_text().splitlines(keepends=True)[:40]) + '{"event_id": "to')
    lone = replace(stage, shards=1, rate="400/s", settings={"source": str(torn)})
    with lone.play() as shards:
        code = shards[0].wait(PATIENCE_SECONDS)
        said = lone.read_log(0)

    assert code == 2
    assert f"{torn} row 40: not JSON, such as a line that was torn" in said.splitlines()[-1]
    assert len(lone.list_kept()) == lone.count_deliveries()


@pytest.mark.parametrize("part", ["player.Player.release", "templates.RecordTemplate.fill"])
def test_a_part_that_fails_as_nobody_foresaw_ends_its_shard_and_says_so(
    stage: playing_back.Stage, tmp_path: Path, part: str
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from burst.load.playback import player, templates\n"
        "from burst.load.profiles.playback import PlaybackUser\n\n\n"
        "def fail(*_):\n    raise KeyError('planted')\n\n\n"
        f"{part} = fail\n"
    )
    lone = replace(stage, shards=1, locustfile=broken)
    with lone.play() as shards:
        code = shards[0].wait(PATIENCE_SECONDS)
        said = lone.read_log(0)

    assert code == 2
    assert "the playback ended: the playback broke off: KeyError('planted')" in said.splitlines()[-1]


def test_a_refused_record_stops_its_key_and_no_other_and_the_next_run_begins_with_it(
    stage: playing_back.Stage, tmp_path: Path
) -> None:
    rows = [{"event_id": f"{key}/{place}", "payload": {"account": key}} for place in range(5) for key in "ab"]
    bad = tmp_path / "bad.jsonl"
    bad.write_text("".join(json.dumps({"event_type": "t", **row}) + "\n" for row in rows))
    # The gateway answers 413 to a body that is too long.
    long = "x" * (2 << 20)
    template = {"platform_run_id": "{scope}"}
    lines = bad.read_text().splitlines()
    lines[4] = json.dumps({**json.loads(lines[4]), "padding": long})
    bad.write_text("\n".join(lines) + "\n")
    lone = replace(stage, shards=1, rate="100/s", settings={"source": str(bad), "template": template})
    with lone.play():
        waiting.until(lambda: "nothing more of its key" in lone.read_log(0), seconds=PATIENCE_SECONDS, what="a refusal")
        _await_admitted(lone, 7)
    with psycopg.connect(lone.checkpoint_dsn) as connection:
        row = connection.execute(
            "SELECT low_water, beyond FROM wsp_checkpoint WHERE pack_key = %s", [lone.scope]
        ).fetchone()

    assert "bad.jsonl row 4 was answered 4" in lone.read_log(0)
    assert row == (4, "5-6 7-8 9-10")


def test_latency_is_measured_from_the_instant_at_which_a_record_was_due(
    stage: playing_back.Stage, tmp_path: Path
) -> None:
    events = [
        {"event_id": f"one/{place}", "event_type": "t", "payload": {"account": "one"}, "at": 1.7e9}
        for place in range(60)
    ]
    at_once = tmp_path / "at-once.jsonl"
    at_once.write_text("".join(json.dumps(event) + "\n" for event in events))
    settings = {"source": str(at_once), "at": "at", "speed_up": 1.0, "template": {"platform_run_id": "{scope}"}}
    lone = replace(stage, shards=1, settings=settings)
    with lone.play():
        _await_admitted(lone, 60)
        waiting.until(
            lambda: sum(lone.read_account(0).latency.values()) == 60, seconds=PATIENCE_SECONDS, what="60 answers"
        )
    with psycopg.connect(lone.receipts_dsn) as connection:
        row = connection.execute(
            "SELECT max(created_at_utc::timestamptz) - min(created_at_utc::timestamptz) FROM receipts "
            "WHERE platform_run_id = %s",
            [lone.scope],
        ).fetchone()

    assert row is not None
    longest = histograms.find_highest(max(lone.read_account(0).latency))
    # All were due together and each waited for the one before, so the last one took as long as all of them.
    assert longest * (1 + histograms.RESOLUTION) >= row[0].total_seconds() > 0


def test_a_playback_at_a_speed_up_takes_its_recorded_time_and_keeps_its_checkpoint_in_a_folder(
    stage: playing_back.Stage, tmp_path: Path
) -> None:
    lone = replace(
        stage,
        shards=1,
        checkpoint=f"{checkpoints.FOLDER_SCHEME}{tmp_path / 'kept'}",
        settings={"at": "at", "speed_up": 4.0, "max_events": 400},  # 4 s of record in one
    )
    with lone.play():
        _await_admitted(lone, 400)
        waiting.until(lambda: lone.read_account(0).seconds, seconds=30, what="an account")
    account = lone.read_account(0)

    due = sorted(second for second, counts in account.seconds.items() if counts["due"])
    assert sum(account.seconds[second]["due"] for second in due) == 400
    assert due[-1] - due[0] in (0, 1, 2)
    assert lone.count_admitted() == 400
    (kept,) = (tmp_path / "kept").glob("*/0000-of-0001.json")
    assert json.loads(kept.read_bytes())["low_water"] == 400
