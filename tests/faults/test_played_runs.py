"""Runs that play a recording: the second one goes on behind the checkpoints of the first, and both pass."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults import stage

EVENTS = 4000


def write_recording(folder: Path) -> Path:
    """A recording of forty keys, five milliseconds between two events."""
    place = folder / "recording.jsonl"
    events = [
        {"event_id": f"e{number}", "event_type": "t", "payload": {"key": number % 40}, "at": 1.7e9 + number / 200}
        for number in range(EVENTS)
    ]
    place.write_text("".join(json.dumps(event) + "\n" for event in events))
    return place


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_goes_on_behind_the_checkpoints_of_the_one_before_without_a_duplicate(
    play: stage.Stage, processes: int
) -> None:
    """Each process of two tasks plays a shard of its own, and keeps its own checkpoint."""
    playback: dict[str, Any] = {
        "source": str(write_recording(play.folder)),
        "key": "payload.key",
        "at": "at",
        "template": {"platform_run_id": "{scope}", "event_id": "{scope}:{value}"},
        "checkpoint": f"folder:{play.folder / 'kept'}",
    }
    load = {
        "locustfile": str(stage.ROOT / "locustfiles" / "playback.py"),
        "command": None,
        "waits_for_go": None,
        "playback": playback,
        "processes": processes,
    }
    scope = f"platform_{play.folder.name}"
    first_plan = _write_plan(play, load, scope)
    first, first_ran = play.begin(first_plan)
    before = first.wait()

    refused = play.begin(first_plan)[0].wait()
    goes_on = {**load, "continues": True, "rate": None, "playback": {**playback, "speed_up": 2.0}}
    second, second_ran = play.begin(_write_plan(play, goes_on, scope))
    after = second.wait()

    assert before.code == 0, before.err
    assert refused.code == 4
    assert "say load.continues: true to go on behind them" in refused.err
    assert after.code == 0, after.err
    assert "the scope goes on: its checkpoints hold" in json.dumps(second_ran.document("preflight"))
    offered = {gate["name"]: gate for gate in after.document["gates"]}["offered_load"]
    assert offered["status"] == "PASS"
    assert "recorded due in time" in offered["why"]
    with psycopg.connect(play.dsn) as connection:
        rows = connection.execute(
            "SELECT decision, count(*) FROM receipts WHERE platform_run_id = %s AND event_id LIKE %s GROUP BY 1",
            [scope, f"{scope}:%"],
        ).fetchall()
    kept = [json.loads(file.read_bytes()) for file in (play.folder / "kept").glob("*/*.json")]
    names = {file.stem for file in (play.folder / "kept").glob("*/*.json")}
    shards = 2 * processes
    assert names == {f"{shard:04d}-of-{shards:04d}" for shard in range(shards)}
    assert all(each["low_water"] for each in kept)
    assert [decision for decision, _ in rows] == ["ADMIT"]
    assert rows[0][1] == sum(each["low_water"] for each in kept) + sum(_count(each["beyond"]) for each in kept)
    assert play.verify(first_ran) == play.verify(second_ran) == 0


def _write_plan(play: stage.Stage, load: dict[str, Any], scope: str) -> Path:
    """A plan of the scope that asks for no multiplier."""
    place = play.plan({"load": load, "gates": {"multiplier": None}}, window=3, cap=60)
    value = {**json.loads(place.read_text()), "scope": scope}
    del value["baseline"]
    place.write_text(json.dumps(value))
    return place


def _count(beyond: str) -> int:
    return sum(int(end) - int(start) for start, _, end in (part.partition("-") for part in beyond.split()))
