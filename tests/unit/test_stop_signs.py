"""Stop signs: a halt, an alarm or a fact stops a run wherever it is, and one that cannot be read is said, no more."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from burst.control import controller, sign_watch, watching
from burst.domain.basics import errors, instants
from burst.domain.documents import halts, task_results
from burst.domain.run import lifecycle, runs
from burst.domain.run.events import ending_events, launch_events, watch_events
from burst.domain.tasks import leases
from burst.domain.tasks import stop_signs as signs
from burst.report import run_states
from tests import cases, fakes, fakes_stop_signs, simulation, waiting
from tests.simulation import World, sound

ARN = "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:ingest 5xx"
OTHER_ARN = "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:lag"
FACT = {"name": "lag", "sql": "select lag", "at_least": 100}
HALT = halts.Halt(reason="customers see errors", by="ada@laptop", at_utc=cases.moment(0))
BEAT_SECONDS = watching.beat_seconds(simulation.plan().layers.lease_ttl)
SLACK_SECONDS = 1.0
"""Some looks: an answer may come later than the look that asked for it, where the machine is busy."""


def halted_at(world: World, seconds: float) -> fakes_stop_signs.MemoryHaltSwitch:
    """The world's run control is halted so many seconds after its beginning."""
    switch = fakes_stop_signs.MemoryHaltSwitch()
    world.halt = switch

    def halt(number: int, driver: controller.Controller) -> None:
        if world.elapsed_seconds >= seconds and switch.content is None:
            switch.set_halt(HALT)

    world.on_decision = halt
    return switch


def signed(*entries: dict[str, Any]) -> World:
    """A world whose plan stops on these."""
    world = World(simulation.plan(stop_when=list(entries)))
    for entry in entries:
        if "alarm" in entry:
            world.alarms.set_state(entry["alarm"], signs.AlarmState.OK)
    world.source._answers["select lag"] = [[5]]
    return world


def on_going(world: World, act: Callable[[], None], *, after_seconds: float = 3.0) -> None:
    """Acts once, so many seconds after GO."""
    done = threading.Event()

    def watch(number: int, driver: controller.Controller) -> None:
        go_at = world.outcome.go_at
        if go_at is None or done.is_set():
            return
        if instants.seconds_between(go_at, world.clock.now()) >= after_seconds:
            done.set()
            act()

    world.on_decision = watch


def noted(world: World, kind: type[Any]) -> list[Any]:
    """The events of a class, in order."""
    return [entry.event for entry in world.journal.entries() if isinstance(entry.event, kind)]


def when(world: World, kind: type[Any]) -> float:
    """Seconds from the beginning to the first event of a class."""
    return next(
        instants.seconds_between(fakes.START, entry.at)
        for entry in world.journal.entries()
        if isinstance(entry.event, kind)
    )


# The halt


@pytest.mark.parametrize("seconds", [0.0, 0.3, 2.0, 5.0, 8.0], ids=lambda seconds: f"after {seconds:g} s")
def test_a_halt_stops_a_run_within_two_beats_wherever_it_is(seconds: float) -> None:
    world = World()
    halted_at(world, seconds)

    world.run()

    sound(world)
    assert (world.reason, world.document["exit_code"]) == (task_results.HALTED, 3)
    assert when(world, ending_events.StopIntended) <= seconds + 2 * BEAT_SECONDS + SLACK_SECONDS
    assert "B9" in world.blockers
    assert world.running() == []


def test_a_run_control_that_is_halted_already_launches_nothing() -> None:
    world = World()
    halted_at(world, 0.0).set_halt(HALT)

    world.run()

    assert world.reason == task_results.HALTED
    assert world.launcher.requests == []


def never_ready(world: World) -> None:
    world.lease.ready_after = {0: None, 1: None}


def services_never_up(world: World) -> None:
    world.services.desired["writer"] = 2
    world.services.starts_seconds = 1e6


def one_shot_never_ends(world: World) -> None:
    world.services.desired["writer"] = 2
    world.one_shots.scripts["migrate"] = fakes.Script()


@pytest.mark.parametrize("stall", [never_ready, services_never_up, one_shot_never_ends], ids=lambda one: one.__name__)
def test_a_halt_reaches_a_controller_that_waits_for_tasks_services_or_a_one_shot(
    stall: Callable[[World], None],
) -> None:
    shot = {"name": "migrate", "task_definition": "reporter:3", "command": ["report"], "timeout": "30s"}
    target = {
        "kind": "ecs", "tasks": 2, "cluster": "burst", "task_definition": "burst:1", "subnets": ["subnet-a"],
        "security_groups": ["sg-a"],
    }  # fmt: skip
    around = {} if stall is never_ready else {"target": target, "services": [{"name": "writer", "desired": 5}]}
    world = World(simulation.plan(before=[shot] if stall is one_shot_never_ends else [], **around))
    stall(world)
    halted_at(world, 1.0)

    world.run()

    assert world.reason == task_results.HALTED
    assert when(world, ending_events.StopIntended) <= 1.0 + 2 * BEAT_SECONDS + SLACK_SECONDS
    assert launch_events.GoGiven not in world.journal.kinds
    assert world.outcome.settled


def test_the_halt_is_asked_with_every_beat_and_not_more_often() -> None:
    world = World()
    switch = world.halt = fakes_stop_signs.MemoryHaltSwitch()

    world.run()

    assert world.document["exit_code"] == 0
    burst_seconds = when(world, ending_events.StopIntended)
    assert burst_seconds / BEAT_SECONDS - 2 <= switch.reads <= burst_seconds / BEAT_SECONDS + 2


def test_the_snapshot_says_who_halted_the_run_since_when_and_why() -> None:
    world = World()
    switch = halted_at(world, 5.0)

    world.run()

    decision = world.document["decision"]
    (gate,) = (gate for gate in world.document["gates"] if gate["name"] == "not_halted")
    assert decision["stop_reason"] == task_results.HALTED
    assert (decision["halt"]["by"], decision["halt"]["reason"], decision["halt"]["place"]) == (
        HALT.by,
        HALT.reason,
        switch.address,
    )
    assert decision["halt"]["since_utc"] == instants.text(HALT.at_utc)
    assert (gate["blocker"], gate["status"]) == ("M10F-B9", "FAIL")
    assert HALT.reason in gate["why"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema":"burst.halt/v9"}', b'{"schema":"burst.halt/v1"}'])
def test_a_halt_that_cannot_be_read_lets_a_running_burst_go_on_and_is_said_once(content: bytes) -> None:
    world = World()
    switch = world.halt = fakes_stop_signs.MemoryHaltSwitch(content=content)

    world.run()

    sound(world)
    assert (world.reason, world.document["exit_code"]) == ("window-complete", 0)
    assert [event.sign for event in noted(world, watch_events.StopSignUnclear)] == [switch.address]
    assert noted(world, watch_events.StopSignClear) == []
    (unclear,) = world.document["decision"]["unclear_signs"]
    assert (unclear["sign"], unclear["until_utc"]) == (switch.address, None)


def test_a_halt_that_can_be_read_again_is_said_and_obeyed() -> None:
    world = World()
    switch = world.halt = fakes_stop_signs.MemoryHaltSwitch(content=HALT.content(), down=True)
    on_going(world, lambda: setattr(switch, "down", False))

    world.run()

    assert world.reason == task_results.HALTED
    assert len(noted(world, watch_events.StopSignUnclear)) == len(noted(world, watch_events.StopSignClear)) == 1
    assert world.document["decision"]["unclear_signs"][0]["until_utc"] is not None


def test_a_halt_that_does_not_answer_delays_no_beat_and_is_said() -> None:
    longer = {"max": "60s", "operator_cap": "40s", "min_window": "20s", "start_timeout": "5s", "stop_grace": "2s"}
    world = World(simulation.plan(budget=longer))
    switch = world.halt = fakes_stop_signs.MemoryHaltSwitch()
    switch.answering.clear()

    world.run()
    switch.answering.set()

    assert (world.reason, world.document["exit_code"]) == ("window-complete", 0)
    assert switch.reads == 1
    assert [event.why for event in noted(world, watch_events.StopSignUnclear)] == ["no answer within 15 s"]
    assert world.lease.standing is not None
    beats_seconds = when(world, ending_events.StopIntended) / BEAT_SECONDS
    assert world.lease.standing.beat >= beats_seconds - 2


def test_a_run_that_is_stopping_asks_no_more() -> None:
    world = World()
    switch = world.halt = fakes_stop_signs.MemoryHaltSwitch()

    def halt_late(number: int, driver: controller.Controller) -> None:
        if world.outcome.stopping is not None and switch.content is None:
            switch.set_halt(HALT)

    world.on_decision = halt_late
    world.run()

    assert (world.reason, world.document["exit_code"]) == ("window-complete", 0)
    assert noted(world, watch_events.Halted) == []


def test_a_resumed_run_under_a_halt_is_stopped() -> None:
    world = World()
    switch = world.halt = fakes_stop_signs.MemoryHaltSwitch()
    world.journal.crash_after = 1 + next(
        index for index, kind in enumerate(World().run().journal.kinds) if kind is launch_events.GoGiven
    )

    def halt_after_crash(number: int, driver: controller.Controller) -> None:
        if world.crashes and switch.content is None:
            switch.set_halt(HALT)

    world.on_decision = halt_after_crash
    world.finish()

    sound(world)
    assert (world.reason, world.document["exit_code"]) == (task_results.HALTED, 3)


def test_a_signal_keeps_its_exit_code_and_the_halt_its_gate() -> None:
    world = World()
    switch = world.halt = fakes_stop_signs.MemoryHaltSwitch()

    on_going(world, lambda: setattr(switch, "content", HALT.content()))
    observe = world.on_decision

    def interrupt(number: int, driver: controller.Controller) -> None:
        observe(number, driver)
        if world.outcome.halt is not None and not world.outcome.interruptions:
            driver.interrupt("SIGINT")

    world.on_decision = interrupt
    world.run()

    assert (world.reason, world.document["exit_code"]) == (task_results.HALTED, 130)
    assert "B9" in world.blockers


def test_the_heart_writes_stop_into_the_lease_while_the_loop_is_held_up() -> None:
    world = World(simulation.plan(layers={"require": ["guard", "lease"], "lease_ttl": "120ms"}))
    switch = world.halt = fakes_stop_signs.MemoryHaltSwitch()

    def hold_up() -> None:
        switch.set_halt(HALT)
        world.clock.sleep(BEAT_SECONDS)
        waiting.until(
            lambda: world.lease.standing is not None and world.lease.standing.state is leases.LeaseState.STOP,
            what="STOP in the lease while nobody looks",
        )

    on_going(world, hold_up)
    world.run()

    assert world.reason == task_results.HALTED
    assert world.document["exit_code"] == 3


# Alarms and facts


def test_an_alarm_that_goes_off_stops_the_run_and_says_which() -> None:
    world = signed({"alarm": ARN}, {"alarm": OTHER_ARN})
    on_going(world, lambda: world.alarms.set_state(ARN, signs.AlarmState.ALARM, "Threshold Crossed: 12 > 5"))

    world.run()

    sound(world)
    met = world.document["decision"]["stop_sign"]
    assert (world.reason, world.document["exit_code"]) == (task_results.ALARM, 3)
    assert (met["sign"], met["value"], met["detail"]) == (ARN, "ALARM", "Threshold Crossed: 12 > 5")
    assert "B9" in world.blockers
    go_at = world.outcome.go_at
    assert go_at is not None
    stopped_after = instants.seconds_between(go_at, instants.parse(met["at_utc"]))
    assert 3.0 <= stopped_after <= 3.0 + sign_watch.SIGN_SECONDS + SLACK_SECONDS


def test_all_alarms_are_asked_in_one_look_every_few_seconds() -> None:
    world = signed({"alarm": ARN}, {"alarm": OTHER_ARN})

    world.run()

    assert world.document["exit_code"] == 0
    assert set(world.alarms.looks) == {(ARN, OTHER_ARN)}
    assert len(world.alarms.looks) <= when(world, ending_events.StopIntended) / sign_watch.SIGN_SECONDS + 1


def test_a_fact_whose_answer_holds_stops_the_run_and_says_its_value() -> None:
    world = signed(FACT)
    on_going(world, lambda: world.source._answers.update({"select lag": [[250]]}))

    world.run()

    sound(world)
    met = world.document["decision"]["stop_sign"]
    assert (world.reason, world.document["exit_code"]) == (task_results.ALARM, 3)
    assert (met["sign"], met["value"]) == ("lag", 250)
    assert "at least 100" in met["detail"]


@pytest.mark.parametrize(
    ("entry", "answers"),
    [
        ({"at_least": 100}, 99),
        ({"at_most": 1}, 2),
        ({"equals": 7}, 8),
        ({"equals": True}, 1),
        ({"at_least": 100}, "a hundred"),
    ],
    ids=str,
)
def test_a_fact_whose_answer_does_not_hold_stops_nothing(entry: dict[str, object], answers: object) -> None:
    world = signed({"name": "lag", "sql": "select lag", **entry})
    world.source._answers["select lag"] = [[answers]]

    world.run()

    assert (world.reason, world.document["exit_code"]) == ("window-complete", 0)


def test_an_alarm_without_data_or_a_state_is_said_and_stops_nothing() -> None:
    world = signed({"alarm": ARN}, {"alarm": OTHER_ARN}, FACT)
    world.alarms.set_state(ARN, signs.AlarmState.INSUFFICIENT_DATA)
    world.alarms.failing[OTHER_ARN] = errors.Refused("cloudwatch:DescribeAlarms was answered AccessDenied")
    world.source._answers["select lag"] = [[None]]

    world.run()

    sound(world)
    assert (world.reason, world.document["exit_code"]) == ("window-complete", 0)
    assert {event.sign for event in noted(world, watch_events.StopSignUnclear)} == {ARN, OTHER_ARN, "lag"}
    assert len(noted(world, watch_events.StopSignUnclear)) == 3
    details = {entry["sign"]: entry["detail"] for entry in world.document["decision"]["unclear_signs"]}
    assert "INSUFFICIENT_DATA" in details[ARN]
    assert "AccessDenied" in details[OTHER_ARN]


def test_a_fact_is_not_asked_while_the_database_is_away_and_stops_the_run_once_it_answers() -> None:
    world = signed(FACT)
    world.source.outages = [world.at(0.5, 6.0)]
    world.source._answers["select lag"] = [[250]]

    world.run()

    assert world.reason == task_results.ALARM
    assert len(noted(world, watch_events.StopSignUnclear)) <= 1


def test_the_alarms_are_kept_waiting_by_no_fact_that_hangs() -> None:
    world = signed({"alarm": ARN}, FACT)
    hanging = threading.Event()
    ask = world.source.ask

    def hang(sql: str, **words: Any) -> object:
        if sql == FACT["sql"]:
            hanging.wait()
        return ask(sql, **words)

    world.source.ask = hang  # type: ignore[method-assign]
    on_going(world, lambda: world.alarms.set_state(ARN, signs.AlarmState.ALARM))

    world.run()
    hanging.set()

    assert world.reason == task_results.ALARM


# What is decided


def run(**changes: Any) -> runs.Run:
    return runs.Run(deadline=cases.moment(100), layers={"guard": "armed"}, **changes)


ENTRY = task_results.HaltEntry(
    place="runs/halt.json", reason="r", by="ada", since_utc=cases.moment(0), at_utc=cases.moment(1)
)
SIGN = task_results.StopSignEntry(sign=ARN, value="ALARM", at_utc=cases.moment(1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"halt": ENTRY}, "halted"),
        ({"stop_sign": SIGN}, "alarm"),
        ({"halt": ENTRY, "stop_sign": SIGN}, "halted"),
        ({"halt": ENTRY, "operator_stop": "halted"}, "halted"),
        ({"halt": ENTRY, "interruptions": (("SIGINT", cases.moment(1)),)}, "interrupted"),
    ],
    ids=lambda value: value if isinstance(value, str) else " and ".join(value),
)
def test_a_halt_comes_before_every_other_reason_but_a_signal(changes: dict[str, Any], reason: str) -> None:
    decision = lifecycle.decide(run(**changes), cases.moment(200), simulation.terms(simulation.plan()))

    assert decision == lifecycle.Stop(reason=reason)


def test_a_doubt_about_a_sign_ends_with_its_next_answer_and_not_with_that_of_a_neighbour() -> None:
    doubtful = run()
    for sign in (ARN, OTHER_ARN):
        doubtful = watch_events.StopSignUnclear(sign=sign, why="away").apply(doubtful, cases.moment(1))

    after = watch_events.StopSignClear(sign=ARN).apply(doubtful, cases.moment(2))

    assert doubtful.signs_in_doubt == (ARN, OTHER_ARN)
    assert after.signs_in_doubt == (OTHER_ARN,)


# What is judged and shown


@pytest.mark.parametrize("changes", [{"halt": ENTRY}, {"stop_sign": SIGN}], ids=["a halt", "an alarm"])
def test_a_rerun_outside_b9_does_not_carry_over_that_its_burst_was_stopped(changes: dict[str, Any]) -> None:
    stopped = cases.task_result(**{name: entry.document() for name, entry in changes.items()})
    case = cases.passing(rerun=cases.rerun("B1", "B8")).having(prior=cases.prior("B1", "B8"), task_result=stopped)

    snapshot = case.verdict().snapshot

    (entry,) = (entry for entry in snapshot.blocker_register if entry.blocker == "M10F-B9")
    assert (entry.state, entry.open) == ("open", True)
    assert "not_halted" in entry.why
    assert not snapshot.overall_pass


@pytest.mark.parametrize("reason", [task_results.HALTED, task_results.ALARM])
def test_a_stop_reason_alone_keeps_a_run_from_passing(reason: str) -> None:
    snapshot = cases.passing().having(task_result=cases.task_result(stop_reason=reason)).verdict().snapshot

    assert (snapshot.overall_pass, snapshot.exit_code, snapshot.blockers) == (False, 3, ["M10F-B9"])


def test_the_progress_line_names_the_sign_that_cannot_be_read() -> None:
    going = run(launching_at=cases.moment(0), go_at=cases.moment(1))
    doubtful = watch_events.StopSignUnclear(sign=ARN, why="access denied").apply(going, cases.moment(2))

    assert run_states.describe(going) == "bursting"
    assert run_states.describe(doubtful) == f"bursting, cannot read {ARN}"
