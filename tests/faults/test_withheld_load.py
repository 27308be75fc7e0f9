"""A generator that does not send what its plan makes due: the verdict says so, with figures, and blames nobody else."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.faults import stage


@pytest.fixture
def one_core() -> Iterator[None]:
    """Everything that the test starts shares one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


def check_that_the_generator_is_named(play: stage.Stage, answer: stage.Answer, ran: stage.Ran) -> None:
    """B9 is open, with the figures of the load accounts, and the evidence holds. Where so little was sent that B1 is
    open too, its words name the generator."""
    assert answer.code == stage.OVER, answer.err
    assert {"B9"} <= stage.open_blockers(answer.document) <= {"B1", "B9"}
    register = {entry["blocker"]: entry for entry in answer.document["blocker_register"]}
    entry, profile = register["M10F-B9"], register["M10F-B1"]
    # A load that starved may also begin late, so that it surely lasted less than the window.
    named = "the generator withheld load" in profile["why"] or profile["why"].startswith("duration_seconds: ")
    assert not profile["open"] or named, profile["why"]
    load = json.loads((ran.folder / "m10_f_load.json").read_text())
    in_time = sum(task["in_time"] for task in load["tasks"])
    due = sum(task["due"] - task["undecided"] for task in load["tasks"])
    latest_seconds = max(task["latest_seconds"] for task in load["tasks"])
    words = f"the generator withheld load: sent {in_time:,} of {due:,} due, latest {latest_seconds:.1f} s late"
    assert words in entry["why"]
    assert play.verify(ran) == stage.OVER


def test_a_generator_that_cannot_keep_its_rate_is_b9_with_what_it_sent_of_what_was_due(play: stage.Stage) -> None:
    # One connection a task sends some hundred events a second, and 4,000 are due.
    plan = play.plan({"load": {"rate": 480_000}, "gates": {"multiplier": 0.5}}, window=3)

    command, ran = play.begin(plan)

    check_that_the_generator_is_named(play, command.wait(), ran)


@pytest.mark.usefixtures("one_core")
def test_two_tasks_that_starve_on_one_core_are_b9_with_what_they_sent_of_what_was_due(play: stage.Stage) -> None:
    # Two Locusts and the controller share a core, which sends 1,400 to 4,400 events a second, and 9,000 are due.
    profile = {"locustfile": str(stage.ROOT / "locustfiles" / "ingest.py"), "command": None, "waits_for_go": None}
    plan = play.plan(
        {"load": {**profile, "rate": 540_000}, "gates": {"multiplier": 0.5}, "budget": {"start_timeout": "60s"}},
        window=6,
        cap=120,
    )

    command, ran = play.begin(plan)

    check_that_the_generator_is_named(play, command.wait(), ran)
