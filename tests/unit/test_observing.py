"""Observing: samples from before GO until after the last stop, on threads of their own, and none lost by a crash."""

import dataclasses
import itertools
import json
import threading
from datetime import datetime
from typing import Any

import pytest

from burst.control import observing
from burst.domain.basics import errors, instants, redaction
from burst.domain.documents import document_names
from burst.domain.observations import answers, samples
from burst.domain.preflight import series_judgements
from burst.domain.run import journals
from burst.domain.run.events import watch_events
from tests import cases, fakes, simulation

EVERY_SECONDS = 1.0
RULES: list[cases.Value] = [
    {"blocker": "M10F-B7", "aggregate": "max", "over": "last 5s", "at_most": 10},
    {"blocker": "M10F-B7", "monotonic": True},
]


def observing_world(*rules: cases.Value, **changes: Any) -> simulation.World:
    """A run of ten seconds that asks one series each second."""
    lag = {"name": "lag", "sql": "select 3", "rules": list(rules) or RULES, **changes}
    observe = {"every": "1s", "settle": "1s", "series": [lag]}
    return simulation.World(simulation.plan(observe=observe))


def answer_by_time(world: simulation.World, find: Any, question: str = "select 3") -> None:
    """Answers the series by the simulated seconds since the run began."""
    ask = world.source.ask

    def answer(sql: str, *, scope: str, give_up_at: Any) -> object:
        if sql != question:
            return ask(sql, scope=scope, give_up_at=give_up_at)
        value = find(world.elapsed_seconds)
        if isinstance(value, errors.BurstError):
            raise value
        return value

    world.source.ask = answer  # type: ignore[method-assign]


def taken(world: simulation.World) -> tuple[samples.Sample, ...]:
    return world.outcome.observed["lag"]


def gate(world: simulation.World, name: str) -> dict[str, Any]:
    return next(entry for entry in world.document["gates"] if entry["name"] == name)


@pytest.mark.parametrize(
    ("answers_take", "took"),
    [((0.2,), 0.2), ((1.5, 0.3), 0.3), ((1.5, 1.2), 1.2), ((1.2, 1.5), 1.2)],
    ids=["in time", "late once", "late twice", "later the second time"],
)
def test_preflight_asks_a_series_that_answered_late_once_more(answers_take: tuple[float, ...], took: float) -> None:
    clock, left = fakes.TickingClock(), list(answers_take)

    class Probe:
        def ask(self, *, give_up_at: datetime) -> answers.Answer:
            clock.sleep(left.pop(0))
            return answers.Answer(value=3)

    lag = {"name": "lag", "sql": "select 3", "rules": RULES}
    plan = simulation.plan(observe={"every": "1s", "settle": "1s", "series": [lag]})

    tried = observing.try_each(plan, {"lag": Probe()}, clock, redaction.Redactor(()))

    assert tried["lag"].took_seconds == pytest.approx(took)
    assert left == []
    assert series_judgements.judge_series(plan, tried).refused == (took >= 1.0)


def test_a_series_is_asked_from_before_go_until_after_the_last_stop() -> None:
    world = observing_world().run()

    simulation.sound(world)
    window = world.outcome.attempt_window
    assert window is not None
    asked = [sample.asked_at for sample in taken(world)]
    assert asked[0] <= window.start
    assert asked[-1] >= instants.later(window.end, 1.0)
    gaps = [instants.seconds_between(first, second) for first, second in itertools.pairwise(asked)]
    assert max(gaps) < 2 * EVERY_SECONDS
    assert [gate(world, f"observed:lag.{name}")["status"] for name in ("max.last-5s", "monotonic")] == ["PASS"] * 2
    assert "B7" not in world.blockers


def test_the_document_holds_every_sample_and_the_snapshot_names_it_by_digest() -> None:
    world = observing_world().run()

    name = document_names.observations_name("m10_f")
    document = json.loads(world.store.documents[name])
    (series,) = document["series"]
    assert [sample["number"] for sample in series["samples"]] == list(range(1, series["taken"] + 1))
    assert len(taken(world)) == series["taken"] >= 10
    assert name in [ref["name"] for ref in world.document["evidence_refs"]]
    assert world.document["observations"][0]["samples"] == series["taken"]
    checks = [check["name"] for check in world.document["lag_checkpoint_checks"]["checks"]]
    assert {"observed:lag.max.last-5s", "observed:lag.monotonic", "max_lag"} == set(checks)
    assert world.readjudicated() == world.store.documents["m10_f_burst_snapshot.json"]


def test_a_lag_above_its_bound_holds_only_inside_the_stability_window() -> None:
    for at_seconds, status in ((4.0, "PASS"), (9.0, "FAIL")):
        world = observing_world(RULES[0])
        answer_by_time(world, lambda now, at=at_seconds: 310 if at <= now < at + 1 else 3)

        world.run()

        assert gate(world, "observed:lag.max.last-5s")["status"] == status
        assert ("B7" in world.blockers) == (status == "FAIL")


def test_a_question_that_fails_once_is_asked_again_in_time() -> None:
    world = observing_world(RULES[0])
    answer_by_time(world, lambda now: errors.Unavailable("name resolution failed") if 6 <= now < 6.4 else 3)

    world.run()

    assert "name resolution failed" in [sample.detail for sample in taken(world)]
    assert gate(world, "observed:lag.max.last-5s")["status"] == "PASS"


def test_what_follows_the_terminal_sample_is_no_part_of_the_burst() -> None:
    """A command after the burst takes eight seconds, in which the series is bad: nobody asks it then."""
    lag = {"name": "lag", "sql": "select 3", "rules": [RULES[0]]}
    shot = {"name": "refresh", "command": ["work"], "timeout": "20s"}
    world = simulation.World(simulation.plan(observe={"every": "1s", "settle": "1s", "series": [lag]}, after=[shot]))
    world.one_shots.scripts["refresh"] = fakes.Script(runs_seconds=8.0)
    answer_by_time(world, lambda now: 310 if world.one_shots.started and now > 16 else 3)

    world.run()

    window = world.outcome.attempt_window
    assert window is not None
    assert world.elapsed_seconds > 18
    terminal = [sample for sample in taken(world) if sample.instant >= window.end]
    assert 1 <= len(terminal) <= 3
    assert gate(world, "observed:lag.max.last-5s")["status"] == "PASS"


def test_a_series_that_goes_silent_holds() -> None:
    world = observing_world(RULES[0])
    answer_by_time(world, lambda now: errors.Unavailable("the replica is gone") if now >= 8 else 3)

    world.run()

    told = gate(world, "observed:lag.max.last-5s")
    assert told["status"] == "INVALID"
    assert "no sample at or after" in told["why"]
    assert "the replica is gone" in told["why"]


def test_a_question_that_never_answers_holds_up_neither_a_beat_nor_the_stop() -> None:
    world, answered = observing_world(RULES[0], sql="select lag"), threading.Event()

    def hang(now: float) -> object:
        if now >= 3:
            answered.wait(60)
        return 3

    answer_by_time(world, hang, "select lag")
    try:
        world.run()
    finally:
        answered.set()

    usual = observing_world(RULES[0]).run()
    ends = [other.outcome.attempt_window.seconds for other in (world, usual) if other.outcome.attempt_window]
    assert world.reason == usual.reason == "window-complete"
    assert abs(ends[0] - ends[1]) < 0.5
    assert world.lease.standing is not None
    assert usual.lease.standing is not None
    assert world.lease.standing.beat >= usual.lease.standing.beat
    told = gate(world, "observed:lag.max.last-5s")
    assert (told["status"], "too few samples" in told["why"]) == ("INVALID", True)
    assert taken(world)[-1].detail == observing.NEVER_ANSWERED


def test_a_text_that_holds_a_secret_is_no_answer() -> None:
    world = observing_world({"blocker": "M10F-B7", "aggregate": "last", "equals": "ready"})
    answer_by_time(world, lambda now: "postgresql://ada:hunter2@db/x")

    world.run()

    assert gate(world, "observed:lag.last")["status"] == "INVALID"
    assert b"hunter2" not in b"".join(world.store.documents.values())
    assert b"hunter2" not in world.journal.prefix()


def find_sample_lines(world: simulation.World) -> list[int]:
    entries = world.journal.entries()
    return [entry.sequence for entry in entries if isinstance(entry.event, watch_events.SampleTaken)]


@pytest.mark.parametrize("after", [False, True], ids=["before its line is written", "after it"])
def test_a_controller_that_dies_at_any_sample_loses_none_and_the_next_one_goes_on(*, after: bool) -> None:
    whole = observing_world().run()
    for sequence in find_sample_lines(whole)[::3]:
        world = observing_world()
        if after:
            world.journal.crash_after = sequence
        else:
            world.journal.crash_before = sequence
        world.finish(after_seconds=0.3)

        assert world.crashes == 1
        simulation.sound(world)
        numbers = [sample.number for sample in taken(world)]
        assert numbers == list(range(1, len(numbers) + 1))
        document = json.loads(world.store.documents[document_names.observations_name("m10_f")])
        assert document["series"][0]["taken"] == len(numbers)
        told = gate(world, "observed:lag.max.last-5s")
        assert told["status"] == "PASS" or world.reason != "window-complete", (sequence, told)


def test_a_plan_without_series_asks_nothing() -> None:
    world = simulation.World().run()

    assert world.outcome.observed == {}
    assert document_names.observations_name("m10_f") not in world.store.documents
    assert world.document["observations"] is None


def test_samples_are_those_of_the_journal() -> None:
    world = observing_world().run()
    again = journals.fold(world.journal.entries())

    assert again.observed == world.outcome.observed
    changed = dataclasses.replace(taken(world)[0], value=99)
    assert changed != taken(world)[0]
    assert taken(world)[0].asked_at >= fakes.START
