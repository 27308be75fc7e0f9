"""Live counting: a count that does not come is seen, holds nothing up, and what the slices add up to is said."""

import dataclasses
import json
import threading
from datetime import datetime
from typing import Any

import pytest

from burst import ports
from burst.adapters.postgres import connections
from burst.control import live_counting
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, window_metrics
from burst.domain.receipts import receipts
from burst.domain.run.events import base, watch_events
from burst.report import html, live_gates, live_views, run_states, terminal
from tests import cases
from tests.simulation import World, sound


class BlinkingCounter:
    """Gives no count for some seconds of the burst."""

    def __init__(self, counter: ports.Counter, start: datetime, blind: tuple[float, float]) -> None:
        self._counter, self._start, self._blind = counter, start, blind

    def poll(self, now: datetime) -> receipts.LiveCount:
        if self._blind[0] <= instants.seconds_between(self._start, now) < self._blind[1]:
            raise errors.Unavailable("the table is locked")
        return self._counter.poll(now)


def blinking_world(blind_from: float, blind_to: float) -> World:
    world = World()
    follow = world.source.follow

    def follow_blinking(*, start: datetime, **options: Any) -> ports.Counter:
        return BlinkingCounter(follow(start=start, **options), start, (blind_from, blind_to))

    world.source.follow = follow_blinking  # type: ignore[method-assign]
    return world


def events(world: World, kind: type[base.Event]) -> list[Any]:
    return [entry.event for entry in world.journal.entries() if isinstance(entry.event, kind)]


def test_a_live_count_that_does_not_come_is_in_the_snapshot_and_both_reports_until_one_comes() -> None:
    world = blinking_world(2.0, 8.0).run()

    sound(world)
    (blindness,) = world.document["decision"]["count_blindnesses"]
    assert blindness["why"] == "the table is locked"
    assert blindness["since_utc"] < blindness["until_utc"]
    assert len(events(world, watch_events.CountBlind)) == 1
    verdict = cases.read_back(world.document)
    assert "early stop could not act: the table is locked" in terminal.render(verdict.snapshot)
    assert b"so that early stop could not act: the table is locked" in html.render(verdict, {})


def test_a_burst_that_was_never_counted_while_it_ran_says_so_to_its_end() -> None:
    world = blinking_world(0.0, float("inf")).run()

    sound(world)
    (blindness,) = world.document["decision"]["count_blindnesses"]
    assert blindness["until_utc"] is None
    assert metrics(world)["live"] is None
    assert world.document["exit_code"] == 0


def test_the_screen_says_since_when_no_count_comes_and_what_that_means() -> None:
    world = blinking_world(2.0, float("inf")).run()
    blind = events(world, watch_events.CountBlind)[0]

    bursting = dataclasses.replace(world.outcome, stopping=None, measured=False, exit_code=None, count_blindnesses=())
    run = blind.apply(bursting, cases.moment(40))

    assert run_states.describe(bursting) == "bursting"
    assert "count blind since" in run_states.describe(run)
    assert "early stop cannot act (the table is locked)" in run_states.describe(run)


def metrics(world: World) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(world.store.documents[document_names.metrics_name("m10_f")])
    return value


def test_what_the_slices_added_up_to_stands_beside_a_last_count_of_the_same_time() -> None:
    world = World().run()

    live = window_metrics.LiveEntry.model_validate(metrics(world)["live"])
    assert live.counts == live.slices
    assert live.difference == ""
    assert live.slices.admit > 0


@pytest.mark.parametrize(
    ("slices", "counts", "words"),
    [
        (receipts.Counts(admit=5), receipts.Counts(admit=5), ""),
        (receipts.Counts(admit=5), receipts.Counts(admit=7, other=1), "3 more"),
        (receipts.Counts(admit=5, duplicate=2), receipts.Counts(admit=6), "1 more and 2 fewer"),
        (receipts.Counts(admit=5), None, "not counted again: the table is locked"),
    ],
)
def test_a_difference_is_said_by_how_many_more_and_fewer(
    slices: receipts.Counts, counts: receipts.Counts | None, words: str
) -> None:
    live = window_metrics.LiveEntry(
        counted_to_utc=cases.moment(0),
        slices=window_metrics.CountsEntry.from_counts(slices),
        counts=None if counts is None else window_metrics.CountsEntry.from_counts(counts),
        problem="" if counts is not None else "the table is locked",
    )

    assert live.difference == words


@pytest.mark.parametrize(("window_seconds", "seconds"), [(6.0, 1.0), (45.0, 1.5), (60.0, 2.0), (5400.0, 2.0)])
def test_polls_come_every_two_seconds_and_in_a_short_window_more_often(window_seconds: float, seconds: float) -> None:
    assert live_counting.poll_seconds(window_seconds) == seconds


def test_a_count_that_hangs_holds_the_loop_up_once_and_is_said_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_counting, "WAITED_SECONDS", 0.05)
    monkeypatch.setattr(live_counting, "SILENCE_SECONDS", 3.0)
    world, release = World(), threading.Event()

    class Hanging:
        def poll(self, now: datetime) -> receipts.LiveCount:
            release.wait(30)
            raise errors.Unavailable("released")

    monkeypatch.setattr(world.source, "follow", lambda **_: Hanging())
    try:
        world.run()
    finally:
        release.set()

    sound(world)
    (blind,) = events(world, watch_events.CountBlind)
    assert blind.why == "the count that is under way does not come"


def test_a_count_that_does_not_come_is_said_sooner_than_one_that_waits_for_a_lock_would_be_given_up_twice() -> None:
    lock_seconds = connections.Timeouts().lock_seconds

    assert lock_seconds < live_counting.SILENCE_SECONDS < 2 * lock_seconds


def test_each_reason_of_a_blindness_is_said_once_and_the_numbers_in_it_make_no_other_one() -> None:
    words = ["no answer within 29.8 s", "no answer within 4 s", "the table is locked"]
    world = blinking_world(2.0, 2.0)
    follow = world.source.follow

    class Failing:
        def __init__(self, counter: ports.Counter) -> None:
            self._counter, self._polls, self._left = counter, 0, list(words)

        def poll(self, now: datetime) -> receipts.LiveCount:
            self._polls += 1
            if self._polls > 1 and self._left:
                raise errors.Unavailable(self._left.pop(0))
            return self._counter.poll(now)

    world.source.follow = lambda **options: Failing(follow(**options))  # type: ignore[method-assign]
    world.run()

    sound(world)
    assert [event.why for event in events(world, watch_events.CountBlind)] == [words[0], words[2]]
    (blindness,) = world.document["decision"]["count_blindnesses"]
    assert blindness["why"] == "no answer within 29.8 s; later: the table is locked"
    assert blindness["until_utc"] is not None


def test_live_counts_that_cannot_be_begun_yet_end_no_burst_and_are_begun_later() -> None:
    world, refusals = World(), ["the reference of the DSN cannot be resolved now"] * 2
    follow = world.source.follow

    def follow_later(**options: Any) -> ports.Counter:
        if refusals:
            raise errors.Unavailable(refusals.pop())
        return follow(**options)

    world.source.follow = follow_later  # type: ignore[method-assign]
    world.run()

    sound(world)
    assert (world.document["exit_code"], world.blockers) == (0, set())
    (blindness,) = world.document["decision"]["count_blindnesses"]
    assert blindness["why"] == "the reference of the DSN cannot be resolved now"
    assert blindness["until_utc"] is not None
    live = window_metrics.LiveEntry.model_validate(metrics(world)["live"])
    assert (live.difference, live.slices.admit > 0) == ("", True)


@pytest.mark.parametrize(("seconds", "shown"), [(1.0, True), (20.0, True), (20.5, False), (600.0, False)])
def test_a_rate_of_counts_that_ended_long_ago_is_no_rate_of_now(seconds: float, shown: bool) -> None:
    world = World().run()
    bursting = dataclasses.replace(world.outcome, stopping=None, measured=False, exit_code=None)
    assert bursting.counted_to is not None
    now = instants.later(bursting.counted_to, seconds)

    rates = live_views.find_rates(live_gates.Reckoning(plan=world.plan, run=bursting, baseline_per_second=1.0, now=now))

    assert (rates.now is not None) is shown
