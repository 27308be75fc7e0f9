"""`burst find-rate` for real: a host with a known limit is found, through a Ctrl-C and a KILL, and no probe is played
twice."""

import json
import signal
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import fixtures_postgres, limited_host, waiting
from tests.faults import stage

LIMIT = limited_host.Limit(per_second=22.5)
BRACKET = ("--from", "10/s", "--to", "40/s", "--within", "100%", "--probe", "2s", "--confirm", "1")


@pytest.fixture
def limited(play: stage.Stage, postgres_template: fixtures_postgres.TemplatedServer) -> Iterator[stage.Stage]:
    """The stage with a host of a known limit, whose receipts stand in a database of its own."""
    server = postgres_template.server
    dsn = server.create_database(template=postgres_template.template)
    with limited_host.start(LIMIT, dsn) as host:
        yield play.played_at(dsn=dsn, host=host)
    server.drop_database(urllib.parse.urlsplit(dsn).path.lstrip("/"))


def find_search(play: stage.Stage) -> Path:
    """The folder of the one search, once it has one."""
    folders = play.runs / "searches"
    waiting.until(lambda: folders.is_dir() and any(folders.iterdir()), what="the folder of the search")
    (folder,) = folders.iterdir()
    return folder


def list_events(folder: Path, name: str) -> list[dict[str, Any]]:
    lines = (folder / "journal.jsonl").read_text().splitlines() if (folder / "journal.jsonl").exists() else []
    return [event for event in map(json.loads, lines) if event["event"] == name]


def reach_go(folder: Path, number: int) -> stage.Ran:
    """The run of a probe, once its load has begun."""
    intended = waiting.until(
        lambda: next((one for one in list_events(folder, "probe-intended") if one["number"] == number), None),
        seconds=90.0,
        what=f"probe {number}",
    )
    ran = stage.Ran(folder=folder / "probes" / intended["run_id"])
    waiting.until(lambda: ran.folder.is_dir() and ran.event("go-given"), seconds=90.0, what="GO")
    return ran


@pytest.mark.timeout(400)
def test_a_known_limit_is_found_through_an_interrupt_and_a_kill_and_no_probe_is_played_twice(
    limited: stage.Stage,
) -> None:
    plan = limited.plan(
        {
            "target": {"tasks": 1},
            "gates": {"multiplier": None, "offered_load": 0.8},
            "budget": {"start_timeout": "60s", "max": "5m", "operator_cap": "5m"},
        }
    )
    command = limited.start("find-rate", plan, "--criterion", "error_ratio<=0.2", *BRACKET, "--json")
    folder = find_search(limited)

    reach_go(folder, 1)
    command.signal(signal.SIGINT)
    interrupted = command.wait()
    again = limited.start("find-rate", "--resume", folder, "--json")
    killed = reach_go(folder, 3)
    again.kill()
    answer = limited.burst("find-rate", "--resume", folder, "--json", seconds=240)

    assert (interrupted.code, interrupted.document["state"]) == (130, "interrupted"), interrupted.err
    assert interrupted.document["highest_held"] is None
    found = answer.document
    outcome = found["probes"][-1]["outcome"]
    assert [(probe["rate_per_minute"], probe["outcome"]) for probe in found["probes"]] == [
        *((600.0, None), (600.0, "held"), (1200.0, "held"), (2400.0, outcome)),
    ]
    # A machine that has other work may send the last probe's events late, and burst then says that of the generator.
    ended = {"broke": (0, "found", "system", True), "withheld": (3, "found", "generator", False)}
    assert (answer.code, found["state"], found["limit"], found["complete"]) == ended[outcome], answer.err
    assert found["highest_held"]["rate_per_minute"] == 1200.0
    assert outcome == "withheld" or found["lowest_not_held"]["rate_per_minute"] == 2400.0
    assert found["advice"]["rate"] == "20/s"
    assert found["probes"][2]["execution_id"] == killed.execution_id
    runs = sorted(path.name for path in (folder / "probes").iterdir() if path.name != "attempts")
    assert runs == sorted(probe["execution_id"] for probe in found["probes"])
    assert [len(list_events(folder, name)) for name in ("probe-intended", "probe-lost", "search-ended")] == [4, 1, 1]
    assert limited.burst("verify", folder / "probes" / runs[-1]).code in (0, 3)
    assert limited.burst("find-rate", "--resume", folder, "--json").document == found
