"""The rounds of a stop: STOP in the lease, a call for each task that does not obey it, force for those that live on."""

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from burst.control import reaping
from burst.domain.basics import errors, instants
from burst.domain.run import lifecycle
from burst.domain.run.events import base, ending_events
from burst.domain.tasks import leases, tasks, worst_ends
from tests import fakes, simulation, waiting
from tests.simulation import World

OBEYS = fakes.Script(obeys_lease_after=0.3)
STUBBORN = fakes.Script()
"""It reads no lease, and ends on a call."""
DEAF = fakes.Script(ignores_stop=True)
"""It ends by force alone."""


def world(scripts: dict[int, fakes.Script], **changes: object) -> World:
    """A world of so many tasks, whose receipts nobody waits for."""
    plan = simulation.plan(target={"kind": "local", "tasks": len(scripts)}, **changes)
    made = World(plan, early_stop=False)
    made.launcher.scripts = scripts
    made.source.decide = lambda number: None
    return made


def calls(of: World, *, force: bool) -> list[int]:
    """The shards that were stopped by a call of their own, in order."""
    return sorted(int(task_id.rpartition(":")[2]) for task_id, _, forced in of.launcher.stops if forced is force)


def entries(of: World, kind: type[base.Event]) -> list[float]:
    """The seconds after the beginning of the stop at which such events were journalled."""
    stopping = of.outcome.stopping
    assert stopping is not None
    return [
        instants.seconds_between(stopping.at, entry.at)
        for entry in of.journal.entries()
        if isinstance(entry.event, kind)
    ]


def test_five_hundred_tasks_that_obey_the_lease_get_no_call_of_their_own() -> None:
    played = world(dict.fromkeys(range(500), OBEYS))

    played.run()

    assert played.running() == []
    assert played.launcher.stops == []
    assert {truth.stopped_by for truth in played.outcome.truths.values()} == {tasks.Layer.LEASE}


def test_only_the_twenty_that_do_not_obey_are_called_and_only_the_three_that_live_on_are_forced() -> None:
    scripts = dict.fromkeys(range(500), OBEYS)
    scripts |= dict.fromkeys(range(100, 117), STUBBORN) | dict.fromkeys(range(117, 120), DEAF)
    played = world(scripts)

    played.run()

    assert played.running() == []
    assert calls(played, force=False) == list(range(100, 120))
    assert calls(played, force=True) == [117, 118, 119]
    assert played.journal.kinds.count(ending_events.StopSent) == 23


def test_tasks_get_half_of_the_grace_to_obey_before_a_call_and_all_of_it_before_force() -> None:
    played = world({0: STUBBORN, 1: DEAF})

    played.run()

    (each,) = entries(played, ending_events.StopEachIntended)
    _, forced = entries(played, ending_events.StopIntended)
    assert each == pytest.approx(simulation.GRACE_SECONDS * leases.OBEYING_SHARE)
    assert forced == pytest.approx(simulation.GRACE_SECONDS + worst_ends.FORCE_AFTER_GRACE_SECONDS)


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_a_stop_that_was_not_taken_is_sent_again_until_it_is(lost: int) -> None:
    played = world({0: DEAF})
    played.launcher.stops_lost = lost

    played.run()

    assert played.running() == []
    assert played.document["exit_code"] == 3
    assert played.journal.kinds.count(ending_events.StopUnsent) == lost


def test_a_stop_that_is_never_taken_is_tried_as_long_as_the_end_is_waited_for_and_no_longer() -> None:
    played = world({0: fakes.Script(keeps_budget=False)})
    played.launcher.stops_lost = 1000

    played.run()

    assert played.document["exit_code"] == 6
    tries = entries(played, ending_events.StopUnsent)
    give_up_at = (
        simulation.GRACE_SECONDS + worst_ends.FORCE_AFTER_GRACE_SECONDS + worst_ends.GIVE_UP_AFTER_FORCE_SECONDS
    )
    assert len(tries) == 2 + worst_ends.GIVE_UP_AFTER_FORCE_SECONDS // lifecycle.AGAIN_SECONDS
    assert max(tries) < give_up_at


def no_lease_layer(of: World) -> None:
    of.layers_failing = frozenset({"lease"})


def lease_out_of_reach(of: World) -> None:
    of.lease.outages = [of.at(3.0, 1e6)]


@pytest.mark.parametrize("how", [no_lease_layer, lease_out_of_reach])
def test_tasks_that_no_lease_reaches_are_called_at_once(how: Callable[[World], None]) -> None:
    played = world({0: STUBBORN, 1: STUBBORN}, layers={"require": ["guard"]})
    how(played)

    played.run()

    assert entries(played, ending_events.StopEachIntended) == [0.0]
    assert calls(played, force=False) == [0, 1]


def test_each_round_looks_before_it_calls_so_that_no_call_goes_to_a_task_that_ended_meanwhile() -> None:
    late = fakes.Script(obeys_lease_after=simulation.GRACE_SECONDS * leases.OBEYING_SHARE)
    played = world({0: late, 1: late})

    played.run()

    assert played.launcher.stops == []


class Unhurried(simulation.Launcher):
    """A launcher that takes so long for its stops that the controller sees tasks end meanwhile."""

    sees_ends: Callable[[], bool]

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        self.clock.sleep(0.5)
        waiting.until(self.sees_ends, what="the controller to see tasks end")
        return super().stop(task, by=by, force=force)


def test_no_call_goes_to_a_task_that_ends_while_the_calls_before_its_own_are_made() -> None:
    played = world(dict.fromkeys(range(100), fakes.Script(obeys_lease_after=1.2)))
    launcher = played.launcher = played.lease.launcher = Unhurried(played.clock, played.launcher.scripts)
    launcher.sees_ends = lambda: bool(played.driver._record.run.has_ended_task)

    played.run()

    assert played.running() == []
    assert 0 < len(launcher.stops) <= 2 * reaping.STOPS_AT_ONCE


class Silent(simulation.Launcher):
    """A launcher that does not answer the stop of one task before all others are stopped."""

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        if task.shard_index == 0:
            waiting.until(lambda: len(self.stops) >= 39, what="every other task to be stopped")
            raise errors.Unavailable("ecs:StopTask: no answer")
        return super().stop(task, by=by, force=force)


def test_one_stop_without_an_answer_holds_up_no_other_and_is_tried_again_by_force() -> None:
    played = world(dict.fromkeys(range(40), STUBBORN))
    played.launcher = played.lease.launcher = Silent(played.clock, played.launcher.scripts)

    played.run()

    assert calls(played, force=False) == list(range(1, 40))
    unsent = [
        entry.event.task_id.rpartition(":")[2]
        for entry in played.journal.entries()
        if isinstance(entry.event, ending_events.StopUnsent)
    ]
    assert set(unsent) == {"0"}
    assert len(unsent) > 2
    assert played.document["exit_code"] == 6


class Crowded(simulation.Launcher):
    """A launcher that answers a stop once as many are under way as may be at all."""

    under_way = 0
    most = 0

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        with COUNTING:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        waiting.until(lambda: self.most >= reaping.STOPS_AT_ONCE, what="as many stops at once as are allowed")
        with COUNTING:
            self.under_way -= 1
        return super().stop(task, by=by, force=force)


COUNTING = threading.Lock()


def test_stops_go_out_side_by_side_and_never_more_at_once_than_allowed() -> None:
    played = world(dict.fromkeys(range(60), STUBBORN))
    launcher = Crowded(played.clock, played.launcher.scripts)
    played.launcher = played.lease.launcher = launcher

    played.run()

    assert launcher.most == reaping.STOPS_AT_ONCE
    assert played.running() == []


class Slow(simulation.Launcher):
    """A launcher that takes its time for each stop."""

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        time.sleep(0.06)
        return super().stop(task, by=by, force=force)


class Watched(simulation.Lease):
    """A lease that notes when it is written after STOP; monotonic seconds."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.written_at: list[float] = []

    def write(self, wanted: leases.Lease) -> leases.Lease:
        if wanted.state is leases.LeaseState.STOP:
            self.written_at.append(time.monotonic())
        return super().write(wanted)


def test_the_lease_beats_every_sixth_of_its_ttl_while_a_thousand_slow_stops_are_sent() -> None:
    ttl_seconds = 24.0
    played = world(dict.fromkeys(range(1000), STUBBORN), layers={"require": ["guard", "lease"], "lease_ttl": "24s"})
    launcher = Slow(played.clock, played.launcher.scripts)
    played.launcher = launcher
    played.lease = lease = Watched(clock=played.clock, launcher=launcher)

    played.run()

    assert len(launcher.stops) == 1000
    gaps = [after - before for before, after in itertools.pairwise(lease.written_at)]
    assert sum(gaps) >= 3.0
    assert max(gaps) <= ttl_seconds / 6
