"""Measuring: a database that is away for a moment, at whatever question after the burst, costs no verdict."""

import json
from datetime import datetime
from typing import Any

import pytest

from burst.domain.basics import instants, windows
from burst.domain.documents import document_names
from burst.domain.receipts import receipts
from tests.simulation import World, sound


def away_after(world: World, counts: int, seconds: float) -> World:
    """The database goes away for so long once the window was counted so often after the burst."""
    count, counted = world.source.count, []

    def count_and_go(window: windows.Window, *, give_up_at: datetime, **options: Any) -> receipts.WindowCount:
        answer = count(window, give_up_at=give_up_at, **options)
        if world.outcome.stopped:
            counted.append(window)
            if len(counted) == counts:
                now = world.clock.now()
                world.source.outages.append(windows.Window(now, instants.later(now, seconds)))
        return answer

    world.source.count = count_and_go  # type: ignore[method-assign]
    return world.run()


def metrics(world: World) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(world.store.documents[document_names.metrics_name("m10_f")])
    return value


@pytest.mark.parametrize("counts", [1, 2], ids=["before the second count", "before the facts"])
def test_a_database_that_is_away_for_a_while_after_a_count_opens_no_blocker(counts: int) -> None:
    world = away_after(World(), counts, 12.0)

    sound(world)
    assert (world.document["exit_code"], world.blockers) == (0, set())
    counted = metrics(world)
    assert counted["settled"] is True
    assert counted["settle_problem"] == ""
    assert counted["live"]["counts"] == counted["live"]["slices"]


def test_a_database_that_stays_away_after_the_first_count_opens_b5_with_its_own_words() -> None:
    world = away_after(World(), 1, 10_000.0)

    sound(world)
    (register,) = [entry for entry in world.document["blocker_register"] if entry["blocker"] == "M10F-B5"]
    assert register["state"] == "open"
    assert "no later count came that could agree with the last one: the database is away" in register["why"]
    assert metrics(world)["settled"] is False
    assert len(metrics(world)["settle_rounds"]) == 1
    assert metrics(world)["live"]["problem"] == "the database is away"
