"""The heart: a lease beats while its controller is held up, whatever by, and stands still once the loop is dead."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from burst.control import controller, heart
from burst.domain.run import lifecycle
from burst.domain.run.events import ending_events
from burst.task import lease_watch
from tests import fakes, simulation, waiting
from tests.simulation import World, sound

EVERY_SECONDS = 0.02
LEASED = {"require": ["guard", "lease"], "lease_ttl": "120ms"}
"""Beats every 20 ms."""


# When


def test_a_beat_is_due_one_period_after_the_last_whoever_beat() -> None:
    pulse = heart.Pulse(every_seconds=2.0).beaten(100.0)

    assert [pulse.waits_seconds(now) for now in (100.0, 101.5, 102.0, 103.0)] == [2.0, 0.5, 0.0, 0.0]
    assert pulse.beaten(101.5).waits_seconds(102.0) == 1.5


def test_the_loop_lives_as_long_as_it_said_its_act_may_take_and_no_longer() -> None:
    pulse = heart.Pulse(every_seconds=2.0).prolong(100.0, 60.0)

    assert [pulse.lives(now) for now in (100.0, 159.9, 160.0, 1e6)] == [True, True, False, False]
    assert pulse.beaten(159.0).lives(161.0) is False
    assert pulse.prolong(200.0, 1.0).lives(200.5)


def test_nobody_beats_for_a_loop_that_never_said_it_lives() -> None:
    beats: list[float] = []
    beating = heart.Heart(lambda: beats.append(time.monotonic()), EVERY_SECONDS)

    began = time.monotonic()
    with beating.beating():
        waiting.until(lambda: time.monotonic() > began + 10 * EVERY_SECONDS, what="ten periods")

    assert beats == []


def test_a_heart_beats_by_itself_and_no_more_once_its_work_is_done() -> None:
    beats, before = list[float](), threading.enumerate()
    beating = heart.Heart(lambda: beats.append(time.monotonic()), EVERY_SECONDS)

    began = time.monotonic()
    with beating.beating():
        (thread,) = (one for one in threading.enumerate() if one not in before)
        beating.allow(60.0)
        waiting.until(lambda: len(beats) >= 3, what="three beats")
    thread.join(10)

    assert not thread.is_alive()
    assert all(at - began >= EVERY_SECONDS * number for number, at in enumerate(beats, 1))


# While what


def world() -> World:
    """A world with everything around its burst, whose lease beats every few hundredths of a second."""
    shot = {"task_definition": "reporter:3", "command": ["report"], "timeout": "3s"}
    target = {
        "kind": "ecs", "tasks": 2, "cluster": "burst", "task_definition": "burst:1", "subnets": ["subnet-a"],
        "security_groups": ["sg-a"],
    }  # fmt: skip
    plan = simulation.plan(
        layers=LEASED, target=target, services=[{"name": "writer", "desired": 5}], before=[{"name": "migrate", **shot}]
    )
    made = World(plan)
    made.services.desired["writer"] = 2
    return made


def beats(of: World) -> int:
    return of.lease.standing.beat if of.lease.standing else 0


class HeldUp:
    """Something of a world, of which one call, once `when` holds, returns only after three beats of the lease."""

    def __init__(self, of: World, name: str, method: str, when: Callable[[], bool]) -> None:
        self._inner, self._of, self._method, self._when = getattr(of, name), of, method, when
        self.beats = 0
        setattr(of, name, self)

    def __getattr__(self, name: str) -> Any:
        if name == self._method and not self.beats and self._when():
            before = beats(self._of)
            waiting.until(
                lambda: beats(self._of) >= before + 3, seconds=30, what=f"three beats while {name} is held up"
            )
            self.beats = beats(self._of) - before
        return getattr(self._inner, name)


HOLDING: dict[str, tuple[str, str, Callable[[World], bool]]] = {
    "a launch": ("launcher", "launch", lambda of: True),
    "a look at tasks": ("launcher", "inspect", lambda of: of.outcome.go_at is not None),
    "a stop": ("launcher", "stop", lambda of: True),
    "a live count": ("source", "count", lambda of: True),
    "the count": ("source", "count", lambda of: ending_events.MeasureIntended in of.journal.kinds),
    "a fact": ("source", "ask", lambda of: True),
    "the publication": ("store", "put_once", lambda of: ending_events.PublishIntended in of.journal.kinds),
    "services": ("services", "scale", lambda of: True),
    "a command before": ("one_shots", "start", lambda of: True),
}
"""What holds the loop up: a method of something in a world, and from when on."""


@pytest.mark.parametrize("what", HOLDING)
def test_the_lease_beats_while_the_loop_is_held_up(what: str) -> None:
    played, (name, method, when) = world(), HOLDING[what]
    held = HeldUp(played, name, method, lambda: when(played))

    played.run()

    sound(played)
    assert played.document["exit_code"] == 0
    assert held.beats >= 3


def test_a_controller_that_continues_a_run_beats_while_it_looks_for_what_happened() -> None:
    played = world()
    played.journal.crash_after = 20
    held = HeldUp(played, "launcher", "find", lambda: played.crashes == 1)

    played.finish(after_seconds=0.1)

    sound(played)
    assert held.beats >= 3


def test_tasks_see_the_lease_of_a_loop_that_hangs_go_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "LOOK_SECONDS", 0.1)
    played = World(simulation.plan(layers={"require": ["guard", "lease"], "lease_ttl": "600ms"}))
    watch = lease_watch.LeaseWatch(ttl_seconds=0.6, readable_since=time.monotonic())

    def hanging(number: int, driver: controller.Controller) -> None:
        if isinstance(played.decisions[-1], lifecycle.Wait) and played.outcome.go_at and not ends:
            ends.append(waiting.until(stale, what="the lease to go stale"))

    def stale() -> str | None:
        reading = lease_watch.LeaseReading(lease=played.lease.read())
        return watch.judge(reading, monotonic=time.monotonic(), wall=fakes.START).end

    ends: list[str] = []
    played.on_decision = hanging

    played.run()

    sound(played)
    assert "the lease's heartbeat was stale" in ends[0]
