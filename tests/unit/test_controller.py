"""The controller against everything that can go wrong: it ends, says so, and leaves nothing running."""

import errno
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burst.control import controller
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.receipts import receipts
from burst.domain.run import journals, lifecycle
from burst.domain.run.events import base, ending_events, launch_events, watch_events
from burst.domain.tasks import leases
from burst.wiring.targets import local_terms
from tests import fakes, fakes_journal, simulation, waiting
from tests.simulation import World, sound

UNDISTURBED = World().run()
EVENTS = len(UNDISTURBED.journal.kinds)
DECISIONS = len(UNDISTURBED.decisions)
SLUG = "m10_f"
WRITTEN = (
    document_names.metrics_name(SLUG),
    document_names.facts_name(SLUG),
    document_names.task_result_name(SLUG),
    document_names.task_records_name(SLUG),
    document_names.REPORT,
    document_names.snapshot_name(SLUG, catalogues.Kind.BURST),
)


def test_an_undisturbed_run_passes_with_every_intent_before_its_act() -> None:
    world = World().run()

    sound(world)
    assert (world.document["exit_code"], world.reason, world.blockers) == (0, "window-complete", set())
    assert world.running() == []
    kinds = world.journal.kinds
    order = [
        launch_events.RunCreated,
        launch_events.LayerArming,
        launch_events.LaunchIntended,
        launch_events.GoIntended,
        ending_events.StopIntended,
        ending_events.MeasureIntended,
    ]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
    assert kinds.index(launch_events.LaunchIntended) > max(
        index for index, kind in enumerate(kinds) if kind is launch_events.LayerArmed
    )
    assert kinds[-1] is ending_events.RunFinished
    assert world.disarmed == dict.fromkeys(local_terms.LAYERS, 1)


def test_a_layer_that_cannot_be_disarmed_keeps_no_other_from_it() -> None:
    world = World()
    world.layers_undisarmable = frozenset({"lease", "sidecar"})

    world.run()

    sound(world)
    assert world.disarmed == dict.fromkeys(("guard", "controller"), 1)
    entries = world.journal.entries()
    failures = [entry.event.why for entry in entries if isinstance(entry.event, ending_events.DisarmFailed)]
    assert failures == ["lease cannot be disarmed", "sidecar cannot be disarmed"]


# Every reason to stop


def never_ready(world: World) -> None:
    world.lease.ready_after = {1: None}


def never_started(world: World) -> None:
    world.launcher.refused_shards = frozenset({1})


def nothing_started(world: World) -> None:
    world.launcher.refused_shards = frozenset({0, 1})


def dies_before_go(world: World) -> None:
    world.launcher.scripts[0] = fakes.Script(runs_seconds=0.3, exit_code=1)


def dies_before_go_and_so_does_its_replacement(world: World) -> None:
    dies_before_go(world)
    world.launcher.replacement_scripts[0] = fakes.Script(runs_seconds=0.3, exit_code=1)


def dies_after_go(world: World) -> None:
    world.launcher.scripts[0] = fakes.Script(runs_seconds=4.0, exit_code=1)


def all_die_after_go(world: World) -> None:
    world.early_stop = False
    world.launcher.scripts = {shard: fakes.Script(runs_seconds=4.0, exit_code=1) for shard in range(2)}


def ignores_stop(world: World) -> None:
    world.launcher.scripts[0] = fakes.Script(ignores_stop=True)


def ignores_everything(world: World) -> None:
    world.launcher.scripts[0] = fakes.Script(ignores_stop=True, ignores_force=True, keeps_budget=False)


def blind_for_ever(world: World) -> None:
    world.launcher.blind = [world.at(2.0, 1e6)]


def blind_for_a_while(world: World) -> None:
    world.launcher.blind = [world.at(4.0, 8.0)]


def blind_from_the_first(world: World) -> None:
    world.launcher.blind = [world.at(0.0, 1e6)]


def launch_not_answered_and_then_blind(world: World) -> None:
    world.launcher.answers_lost = 1
    world.launcher.blind = [world.at(0.05, 6.0)]


def launch_not_answered_and_blind_for_ever(world: World) -> None:
    world.launcher.answers_lost = 1
    world.launcher.blind = [world.at(0.05, 1e6)]


def blind_when_it_has_to_stop(world: World) -> None:
    world.launcher.blind = [world.at(8.0, 30.0)]


def sight_comes_and_goes(world: World) -> None:
    world.launcher.blind = [world.at(start, start + 0.7) for start in range(4, 200, 2)]
    ignores_everything(world)


def launch_not_answered(world: World) -> None:
    world.launcher.answers_lost = 1


def lease_never_there(world: World) -> None:
    world.lease.outages = [world.at(0.0, 1e6)]


def lease_lost_at_go(world: World) -> None:
    world.lease.outages = [world.at(0.3, 1e6)]


def lease_lost_after_go(world: World) -> None:
    world.lease.outages = [world.at(3.0, 1e6)]


def receipts_away_for_ever(world: World) -> None:
    world.source.outages = [world.at(0.0, 1e6)]


def receipts_away_for_a_while(world: World) -> None:
    world.source.outages = [world.at(4.0, 8.0)]


def no_receipts(world: World) -> None:
    world.source.decide = lambda number: None


def only_duplicates(world: World) -> None:
    world.source.decide = lambda number: "DUPLICATE"


def a_layer_fails(world: World) -> None:
    world.layers_failing = frozenset({"guard"})


def a_spare_layer_fails(world: World) -> None:
    world.layers_failing = frozenset({"sidecar"})


def stop_by_operator(world: World) -> None:
    def write_stop(number: int, driver: controller.Controller) -> None:
        if world.elapsed_seconds >= 5.0 and world.lease.standing is not None:
            world.lease.write(replace(world.lease.standing, state=leases.LeaseState.STOP, reason="enough"))

    world.on_decision = write_stop


def stop_by_operator_before_launch(world: World) -> None:
    def write_stop(number: int, driver: controller.Controller) -> None:
        if world.lease.standing is not None:
            world.lease.write(replace(world.lease.standing, state=leases.LeaseState.STOP, reason="enough"))

    world.on_decision = write_stop


def too_few(started: int, asked: int) -> str:
    return f"too-few-tasks: the launch started {started} of {asked} tasks and gave no reason"


TROUBLE: dict[str, tuple[Callable[[World], None], str, int, set[str]]] = {
    # what happens: (how, reason of the stop, exit code, blockers open)
    "never-ready": (never_ready, "not-ready-in-time", 3, {"B1", "B5", "B9"}),
    "never-started": (never_started, too_few(0, 1), 3, {"B1", "B5", "B9"}),
    "nothing-started": (nothing_started, too_few(0, 2), 3, {"B1", "B5", "B8", "B9"}),
    "dies-before-go": (dies_before_go, "window-complete", 0, set()),
    "dies-before-go-twice": (
        dies_before_go_and_so_does_its_replacement,
        "task-ended-before-go",
        3,
        {"B1", "B5", "B9"},
    ),
    "dies-after-go": (dies_after_go, "early-stop", 3, {"B1", "B9"}),
    "all-die-after-go": (all_die_after_go, "tasks-ended", 3, {"B1", "B9"}),
    "ignores-stop": (ignores_stop, "window-complete", 0, set()),
    "ignores-everything": (ignores_everything, "window-complete", 6, {"B8"}),
    "blind-for-ever": (blind_for_ever, "window-complete", 6, {"B1", "B5", "B8", "B9"}),
    "blind-for-a-while": (blind_for_a_while, "window-complete", 0, set()),
    "blind-from-the-first": (blind_from_the_first, "launch-failed", 6, {"B1", "B5", "B8", "B9"}),
    "launch-not-answered": (launch_not_answered, "launch-failed", 3, {"B1", "B5", "B9"}),
    "launch-not-answered-and-then-blind": (
        launch_not_answered_and_then_blind,
        "launch-failed",
        3,
        {"B1", "B5", "B9"},
    ),
    "launch-not-answered-and-blind-for-ever": (
        launch_not_answered_and_blind_for_ever,
        "launch-failed",
        6,
        {"B1", "B5", "B8", "B9"},
    ),
    "sight-comes-and-goes": (sight_comes_and_goes, "window-complete", 6, {"B8"}),
    "blind-when-it-has-to-stop": (blind_when_it_has_to_stop, "window-complete", 0, set()),
    "lease-never-there": (lease_never_there, "layer-not-armed: lease", 3, {"B1", "B5", "B8", "B9"}),
    "lease-lost-at-go": (lease_lost_at_go, "not-ready-in-time", 3, {"B1", "B5", "B9"}),
    "lease-lost-after-go": (lease_lost_after_go, "window-complete", 0, set()),
    "receipts-away-for-ever": (receipts_away_for_ever, "window-complete", 3, {"B1", "B2", "B5", "B6", "B7", "B9"}),
    "receipts-away-for-a-while": (receipts_away_for_a_while, "window-complete", 0, set()),
    "no-receipts": (no_receipts, "early-stop", 3, {"B1", "B9"}),
    "only-duplicates": (only_duplicates, "early-stop", 3, {"B1"}),
    "a-layer-fails": (a_layer_fails, "layer-not-armed: guard", 3, {"B1", "B5", "B8", "B9"}),
    "a-spare-layer-fails": (a_spare_layer_fails, "window-complete", 0, set()),
    "stop-by-operator": (stop_by_operator, "operator", 3, {"B1"}),
    "stop-by-operator-before-launch": (stop_by_operator_before_launch, "operator", 3, {"B1", "B5", "B9"}),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_every_trouble_ends_in_a_verdict_that_says_so(name: str) -> None:
    how, reason, exit_code, blockers = TROUBLE[name]
    world = World()
    how(world)

    world.run()

    sound(world)
    # What depends on facts nobody could ask for any more is open as well.
    asked = {"B2", "B6", "B7"} if ending_events.Measured not in world.journal.kinds else set()
    assert (world.reason, world.document["exit_code"], world.blockers | asked) == (reason, exit_code, blockers | asked)
    assert bool(world.running()) == (name in ("ignores-everything", "sight-comes-and-goes"))
    assert bool(world.disarmed) == (exit_code != 6)


@pytest.mark.parametrize(
    "load",
    [
        pytest.param({"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1", "rate": 240}, id="profile"),
        pytest.param({"command": ["push-events"], "rate": 240}, id="a command with a rate"),
        pytest.param({"command": ["push-events"], "source_events": 40}, id="a command with a source"),
    ],
)
def test_the_early_stop_of_a_replay_says_its_rule_and_what_it_saved(load: dict[str, Any]) -> None:
    world = World(simulation.plan(load=load))
    only_duplicates(world)

    world.run()

    early = world.document["decision"]["early_stop"]
    assert early["rule"] == "ratio-impossible"
    assert early["seconds_saved"] > 5.0
    assert world.elapsed_seconds < simulation.WINDOW_SECONDS


def test_without_early_stop_a_replay_runs_to_the_end_of_its_window() -> None:
    world = World(early_stop=False)
    only_duplicates(world)

    world.run()

    assert (world.reason, world.blockers) == ("window-complete", {"B1"})
    sound(world)


def test_a_control_plane_that_was_away_is_in_the_evidence() -> None:
    world = World()
    blind_for_a_while(world)

    world.run()

    outages = [event for event in world.journal.kinds if event in (watch_events.Blind, watch_events.SightRegained)]
    assert outages == [watch_events.Blind, watch_events.SightRegained]


def test_a_second_stop_of_the_operator_changes_nothing() -> None:
    world = World()
    stop_by_operator(world)

    world.run()

    assert world.journal.kinds.count(watch_events.OperatorStop) == 1
    assert world.lease.standing is not None
    assert world.lease.standing.reason == "enough"


def test_a_store_that_is_down_fails_the_publication_after_the_tasks_are_gone_and_a_resumption_publishes() -> None:
    world = World()

    def take_down(number: int, driver: controller.Controller) -> None:
        world.store.down = world.reason is not None

    world.on_decision = take_down
    world.begin()

    with pytest.raises(errors.PublicationFailed):
        world.drive()

    assert world.running() == []
    world.on_decision = lambda number, driver: setattr(world.store, "down", False)
    world.store.down = False
    world.drive(resumed=True)
    sound(world)
    assert world.document["overall_pass"]


@pytest.mark.parametrize(
    "event",
    [
        ending_events.MeasureIntended,
        ending_events.DocumentWritten,
        ending_events.PublishIntended,
        ending_events.RunFinished,
    ],
    ids=lambda event: str(event.wire_name),
)
def test_a_disk_that_is_full_once_the_tasks_are_gone_fails_the_publication_and_a_resumption_finishes(
    event: type[base.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    append = world.journal.append

    def full(appended: base.Event) -> journals.Entry:
        if isinstance(appended, event):
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(appended)

    world.begin()
    with monkeypatch.context() as disk:
        disk.setattr(world.journal, "append", full)
        with pytest.raises(errors.PublicationFailed, match="No space left on device"):
            world.drive()

    assert world.running() == []
    world.drive(resumed=True)
    sound(world)
    assert world.document["overall_pass"]


# Signals


@pytest.mark.parametrize("when", range(1, DECISIONS + 1))
def test_one_signal_at_any_moment_ends_the_run_with_a_snapshot(when: int) -> None:
    world = World()
    signal, exit_code = ("SIGINT", 130) if when % 2 else ("SIGTERM", 143)

    def interrupt(number: int, driver: controller.Controller) -> None:
        if number == when:
            driver.interrupt(signal)

    world.on_decision = interrupt

    world.run()

    sound(world)
    assert world.running() == []
    assert world.document["exit_code"] in ({exit_code} if when < DECISIONS - 1 else {0, exit_code})


@pytest.mark.parametrize("script", [fakes.Script(), fakes.Script(ignores_stop=True)], ids=["obeys", "ignores-stop"])
@pytest.mark.parametrize("apart", [0, 1, 3])
@pytest.mark.parametrize("when", [*range(1, DECISIONS, 7), DECISIONS - 3])
def test_two_signals_at_any_moment_kill_what_is_left_at_once(when: int, apart: int, script: fakes.Script) -> None:
    world = World()
    world.launcher.scripts[0] = script
    asked_at: list[datetime] = []

    def interrupt(number: int, driver: controller.Controller) -> None:
        if number in (when, when + apart):
            driver.interrupt("SIGINT")
            if apart == 0:
                driver.interrupt("SIGINT")
            asked_at.append(world.clock.now())

    world.on_decision = interrupt

    world.run()

    sound(world)
    assert world.running() == []
    stopped = [truth.stopped_at for truth in world.outcome.truths.values()]
    assert all(moment and moment <= instants.later(asked_at[-1], 0.5) for moment in stopped)


# Crashes


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("event", range(2, EVENTS + 1))
def test_a_crash_at_any_event_is_resumed_to_a_sound_verdict(event: int, written: bool) -> None:
    world = crashing(event, written=written)

    world.finish(after_seconds=0.5)

    sound(world)
    assert world.crashes == 1
    assert world.running() == []
    if event < world_event(launch_events.GoGiven, 1):
        assert launch_events.GoGiven not in world.journal.kinds
        assert {"B1", "B5", "B9"} <= world.blockers


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("event", range(2, EVENTS, 3))
def test_a_run_nobody_resumed_before_its_deadline_launches_and_goes_no_more(event: int, written: bool) -> None:
    world = crashing(event, written=written)

    world.finish(after_seconds=60.0)

    sound(world)
    assert world.running() == []
    after = world.journal.kinds[world.journal.kinds.index(launch_events.Resumed) :]
    assert not {launch_events.LaunchIntended, launch_events.GoIntended} & set(after)
    if event < world_event(ending_events.StopIntended, 1):
        assert world.reason == "deadline"


def crashing(event: int, *, written: bool) -> World:
    """A run whose controller dies before or after it writes this event."""
    world = World()
    if written:
        world.journal.crash_after = event
    else:
        world.journal.crash_before = event
    return world


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_crash_at_any_document_is_resumed_and_what_stands_is_never_made_again(name: str, side: str) -> None:
    world = World()
    setattr(world.store, f"crash_{side}", name)

    world.finish()

    sound(world)
    assert world.crashes == 1
    assert world.document["overall_pass"]


def test_a_crash_before_the_first_event_leaves_no_run_and_launches_nothing() -> None:
    world = crashing(1, written=False)

    with pytest.raises(fakes_journal.Crashed):
        world.begin()

    assert world.journal.kinds == []
    assert world.launcher.requests == []


def test_a_run_that_cannot_go_on_ends_what_it_launched_and_could_not_journal() -> None:
    world = crashing(world_event(launch_events.LaunchAnswered, 1), written=False)
    world.begin()
    with pytest.raises(fakes_journal.Crashed):
        world.drive()
    assert world.running()

    world.driver.abandon()

    assert world.running() == []


def test_a_crash_in_the_middle_of_the_burst_is_continued_to_a_pass() -> None:
    world = World()
    world.journal.crash_after = world_event(watch_events.Counted, 4)

    world.finish(after_seconds=1.0)

    sound(world)
    assert world.document["exit_code"] == 0
    assert world.journal.kinds.count(launch_events.Resumed) == 1


def test_a_controller_that_comes_back_late_looks_before_it_says_why_the_burst_ended() -> None:
    world = World()
    world.launcher.scripts = dict.fromkeys((0, 1), fakes.Script(runs_seconds=7.0, exit_code=124))
    world.journal.crash_after = world_event(watch_events.Counted, 4)

    world.finish(after_seconds=simulation.WINDOW_SECONDS)

    sound(world)
    assert world.reason == "tasks-ended"


def test_the_lease_carries_what_was_counted_last_for_those_who_watch_from_elsewhere() -> None:
    world = World()
    seen: list[leases.LeaseCount | None] = []

    def look(number: int, driver: controller.Controller) -> None:
        if world.lease.standing is not None:
            seen.append(world.lease.standing.counted)

    world.on_decision = look
    world.run()

    counts = [count for count in seen if count is not None]
    assert seen[0] is None
    assert len(counts) > 2
    assert [count.seconds for count in counts] == sorted(count.seconds for count in counts)
    assert counts[-1].receipts[0] == sum(poll.counts.admit for poll in world.outcome.polls)


def test_a_go_that_was_given_and_not_journalled_is_found_in_the_lease_and_the_burst_continued() -> None:
    world = crashing(world_event(launch_events.GoGiven, 1), written=False)

    world.finish(after_seconds=1.0)

    sound(world)
    assert (world.reason, world.document["exit_code"]) == ("window-complete", 0)
    assert world.lease.standing is not None
    assert world.outcome.go_at == world.lease.standing.go_at


def test_tasks_whose_launch_was_not_journalled_are_found_before_anything_else() -> None:
    world = crashing(world_event(launch_events.LaunchAnswered, 1), written=False)

    world.finish(after_seconds=1.0)

    sound(world)
    kinds = world.journal.kinds
    assert kinds[kinds.index(launch_events.Resumed) :][:3] == [
        launch_events.Resumed,
        launch_events.TasksFound,
        ending_events.StopIntended,
    ]
    assert len(world.outcome.truths) == 2


def test_a_stop_written_while_no_controller_lived_is_obeyed_by_the_next_at_once() -> None:
    world = crashing(world_event(watch_events.Counted, 2), written=True)
    world.begin()
    with pytest.raises(fakes_journal.Crashed):
        world.drive()
    assert world.lease.standing is not None
    world.lease.write(replace(world.lease.standing, state=leases.LeaseState.STOP, reason="enough"))
    world.journal.revive()

    world.drive(resumed=True)

    sound(world)
    kinds = world.journal.kinds
    assert kinds[kinds.index(launch_events.Resumed) :][:3] == [
        launch_events.Resumed,
        watch_events.OperatorStop,
        ending_events.StopIntended,
    ]


def test_a_task_the_answer_left_out_is_found_and_stopped_too() -> None:
    world = World()
    world.launcher.left_out = frozenset({1})

    world.run()

    sound(world)
    assert world.running() == []
    assert len(world.outcome.truths) == 2


def test_a_crash_after_the_stop_was_meant_and_before_it_was_sent_still_stops_every_task() -> None:
    world = World()
    world.journal.crash_after = world_event(ending_events.StopIntended, 1)

    world.finish(after_seconds=0.1)

    sound(world)
    assert world.running() == []


SUCCESSOR = leases.Owner(controller="2e1b", host="runner-2", since=fakes.START)


def claim_elsewhere(world: World) -> None:
    """What another machine does while this controller is held up for longer than a lease lives."""
    world.clock.sleep(3 * world.plan.layers.lease_ttl)
    world.away_seconds += 3 * world.plan.layers.lease_ttl
    if world.lease.standing is not None:
        world.lease.claim(world.lease.standing, SUCCESSOR, world.clock.now())
        return
    deadline = world.outcome.deadline
    assert deadline is not None
    wait = leases.LeaseState.WAIT
    world.lease.create(
        leases.Lease(
            execution_id=world.outcome.execution_id, state=wait, deadline=deadline, beat=0,
            heartbeat_at=world.clock.now(), owner=SUCCESSOR,
        )
    )  # fmt: skip


@pytest.mark.parametrize("number", range(1, DECISIONS))
def test_a_controller_held_up_at_any_decision_while_another_claimed_the_run_does_nothing_more(number: int) -> None:
    world, before = World(), dict[str, object]()

    def traces() -> dict[str, object]:
        return {
            "launches": list(world.launcher.requests),
            "stops": list(world.launcher.stops),
            "lease": world.lease.standing,
            "documents": dict(world.store.documents),
            "disarmed": dict(world.disarmed),
        }

    def hold_up(at: int, driver: controller.Controller) -> None:
        if at == number:
            claim_elsewhere(world)
            before.update(traces())

    world.on_decision = hold_up

    with pytest.raises(errors.ControllerAtWork, match="driven by controller 2e1b on runner-2 since 2026"):
        world.run()

    assert traces() == before
    assert world.outcome.superseded is not None
    assert len(world.decisions) <= number + 1  # the guard needs no act to be armed


@pytest.mark.parametrize("kind", [launch_events.LaunchIntended, ending_events.PublishIntended])
def test_a_controller_that_s3_did_not_answer_while_another_claimed_the_run_neither_launches_nor_publishes(
    kind: type[base.Event],
) -> None:
    """Its beats failed, so it was never late with one; S3 answers again just before the act."""
    world = World()
    decision = lifecycle.Launch if kind is launch_events.LaunchIntended else lifecycle.Publish

    def hold_up(_: int, driver: controller.Controller) -> None:
        if isinstance(world.decisions[-1], decision) and world.lease.standing is not None:
            world.lease.claim(world.lease.standing, SUCCESSOR, world.clock.now())

    world.on_decision = hold_up

    with pytest.raises(errors.ControllerAtWork):
        world.run()

    assert kind not in world.journal.kinds


def test_the_heart_learns_that_the_run_was_claimed_while_an_act_holds_the_loop_up() -> None:
    world = World(simulation.plan(layers={"lease_ttl": "600ms"}))

    class Held(simulation.Receipts):
        """A database that answers late: meanwhile another machine claims the run, and the heart beats."""

        def count(self, *arguments: Any, **named: Any) -> receipts.WindowCount:
            answer = super().count(*arguments, **named)
            if world.outcome.stopping is not None and world.lease.standing is not None:
                standing = world.lease.standing
                if standing.owner != SUCCESSOR:
                    world.lease.claim(standing, SUCCESSOR, world.clock.now())
                waiting.until(lambda: world.driver._watch._superseded is not None, what="the heart to beat")
            return answer

    world.source = Held(world)

    with pytest.raises(errors.ControllerAtWork):
        world.run()

    assert ending_events.PublishIntended not in world.journal.kinds
    assert world.outcome.superseded is not None


def test_a_controller_that_wins_its_run_back_continues_it() -> None:
    world = World()
    world.on_decision = lambda number, driver: claim_elsewhere(world) if number == DECISIONS // 2 else None
    with pytest.raises(errors.ControllerAtWork):
        world.run()
    world.on_decision = lambda number, driver: None
    world.owner = replace(fakes.OWNER, controller="3f2c")
    assert world.lease.standing is not None
    world.lease.claim(world.lease.standing, world.owner, world.clock.now())

    world.drive(resumed=True)

    sound(world)
    assert world.outcome.superseded is None


def test_a_finished_run_is_not_driven_again() -> None:
    world = World().run()
    before = world.journal.prefix()

    world.drive(resumed=True)

    assert world.journal.prefix() == before


def world_event(kind: type[base.Event], number: int) -> int:
    """The sequence number of the so many-th event of a kind in an undisturbed run."""
    return [sequence for sequence, each in enumerate(UNDISTURBED.journal.kinds, start=1) if each is kind][number - 1]


# Everything at once

SECONDS = st.floats(0, 50).map(lambda seconds: round(seconds, 1))
SPANS = st.tuples(SECONDS, st.sampled_from([0.5, 3.0, 12.0, 1e6]))
SCRIPTS = st.builds(
    fakes.Script,
    runs_seconds=st.none() | SECONDS,
    exit_code=st.sampled_from([0, 1]),
    ignores_stop=st.booleans(),
    ignores_force=st.booleans(),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    scripts=st.dictionaries(st.integers(0, 1), SCRIPTS),
    ready=st.dictionaries(st.integers(0, 1), st.none() | SECONDS),
    refused=st.frozensets(st.integers(0, 1)),
    answers_lost=st.integers(0, 1),
    blind=st.lists(SPANS, max_size=2),
    lease_down=st.lists(SPANS, max_size=2),
    receipts_down=st.lists(SPANS, max_size=2),
    decisions=st.sampled_from(["ADMIT", "DUPLICATE", "QUARANTINE", "WEIRD", None]),
    signals=st.lists(st.integers(1, 60), max_size=3),
    crashes=st.lists(st.integers(2, 40), max_size=2),
    after_seconds=st.sampled_from([0.0, 2.0, 45.0]),
)
def test_whatever_happens_the_run_ends_in_time_with_a_sound_verdict(
    scripts: dict[int, fakes.Script],
    ready: dict[int, float | None],
    refused: frozenset[int],
    answers_lost: int,
    blind: list[tuple[float, float]],
    lease_down: list[tuple[float, float]],
    receipts_down: list[tuple[float, float]],
    decisions: str | None,
    signals: list[int],
    crashes: list[int],
    after_seconds: float,
) -> None:
    world = World()
    world.launcher.scripts, world.lease.ready_after = scripts, ready
    world.launcher.refused_shards, world.launcher.answers_lost = refused, answers_lost
    world.launcher.blind = [world.at(start, start + length) for start, length in blind]
    world.lease.outages = [world.at(start, start + length) for start, length in lease_down]
    world.source.outages = [world.at(start, start + length) for start, length in receipts_down]
    world.source.decide = lambda number: decisions
    left = sorted(set(crashes))

    def disturb(number: int, driver: controller.Controller) -> None:
        world.journal.crash_after = next((event for event in left if event > len(world.journal.recorded)), None)
        for _ in range(signals.count(number)):
            driver.interrupt("SIGTERM")

    world.on_decision = disturb

    world.finish(after_seconds=after_seconds, crashes_again=len(left))

    sound(world)
    assert world.outcome.exit_code is not None


def test_a_run_stopped_but_not_settled_can_be_left_before_it_is_measured() -> None:
    world = World()
    world.begin()
    stop_by_operator(world)
    driver = world.drive(until_stopped=True)

    assert driver.verdict is None
    assert world.running() == []
    assert ending_events.MeasureIntended not in world.journal.kinds
    assert isinstance(world.decisions[-1], lifecycle.Measure)


def test_a_controller_without_a_receipt_source_refuses_to_count_and_leaves_that_to_resume() -> None:
    world = World()
    world.begin()
    world.drive(until_stopped=True)
    driver = world.driver

    with pytest.raises(errors.Refused, match="`burst resume` counts"):
        driver.drive()

    assert world.running() == []
    assert ending_events.MeasureIntended not in world.journal.kinds
    world.drive(resumed=True)
    assert world.outcome.exit_code is not None
