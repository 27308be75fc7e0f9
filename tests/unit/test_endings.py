"""Endings: each reason for which a run ends without a whole window stands in verdict, report and blockers."""

import inspect
import re
from collections.abc import Callable

import pytest

from burst.domain.basics import errors
from burst.domain.documents import endings, task_results
from burst.domain.run import lifecycle
from burst.domain.verdict import snapshots
from burst.report import html, terminal
from tests import cases, simulation
from tests.simulation import World
from tests.unit import test_controller

DECIDERS = (
    lifecycle._decide_stop,
    lifecycle._stop_reason,
    lifecycle._errand_stop_reason,
    lifecycle._task_stop_reason,
)
REASONS = set(
    re.findall(r'(?:return|else|reason=) f?"([a-z-]+)[":]', "".join(inspect.getsource(each) for each in DECIDERS))
)


def render(world: World) -> str:
    verdict = snapshots.Verdict.read(world.store.documents["m10_f_burst_snapshot.json"])
    page = html.render(verdict, {}).decode()
    assert verdict.snapshot.decision.ended is not None
    assert '<th scope="row">Ended</th>' in page
    return terminal.render(verdict.snapshot)


def test_every_stop_reason_of_the_lifecycle_has_its_words() -> None:
    known = {*endings.ENDINGS, endings.WINDOW_COMPLETE}

    assert {"not-ready-in-time", "task-ended-before-go", "operator", "before-failed"} <= REASONS
    assert REASONS | {task_results.TASKS_ENDED} <= known
    assert {reason.partition(":")[0] for _, reason, _, _ in test_controller.TROUBLE.values()} <= known


ENDED: dict[str, tuple[Callable[[World], None], str]] = {
    "never ready": (
        test_controller.never_ready,
        "not-ready-in-time: 1 of 2 ready after 5 s; raise budget.start_timeout, and see that",
    ),
    "dies twice": (
        test_controller.dies_before_go_and_so_does_its_replacement,
        "task-ended-before-go: 2 tasks ended, first fake:m10_20260221T020923Z:0: EssentialContainerExited, exit code 1",
    ),
    "launch not answered": (
        test_controller.launch_not_answered,
        "launch-failed: the launch was not answered; mend it and run again",
    ),
    "a layer": (
        test_controller.a_layer_fails,
        "layer-not-armed: guard (guard cannot be armed); mend it, or take it out of layers.require",
    ),
    "operator": (test_controller.stop_by_operator_before_launch, "operator: enough"),
    "duplicates": (test_controller.only_duplicates, "early-stop: ratio-impossible"),
    "tasks ended": (
        test_controller.all_die_after_go,
        "tasks-ended: no task was left after 3 s of the burst; see how each task ended",
    ),
}


@pytest.mark.parametrize("name", ENDED)
def test_a_run_without_a_whole_window_says_why_in_text_and_html(name: str) -> None:
    how, words = ENDED[name]
    world = World()
    how(world)

    text = render(world.run())

    assert f"ended           {words}" in text
    assert world.reason is not None
    assert world.document["decision"]["stop_reason"] == world.reason


def test_a_start_that_waited_for_a_series_names_it_and_not_the_tasks() -> None:
    rule = {"blocker": "M10F-B7", "aggregate": "max", "at_most": 10}
    series = {"name": "lag", "sql": "select 3", "rules": [rule]}
    world = World(simulation.plan(observe={"every": "1s", "settle": "1s", "series": [series]}))

    def fail(sql: str, *, scope: str, give_up_at: object) -> object:
        raise errors.Refused("no such table")

    world.source.ask = fail  # type: ignore[method-assign]
    text = render(world.run())

    assert (
        "ended           series-silent: GO waited for the first sample of lag, and none had come after 5 s (no such "
        "table); see: burst runbook observations, and burst preflight, which asks each once"
    ) in text


def test_each_blocker_that_lacks_a_window_says_why_there_is_none() -> None:
    world = World()
    test_controller.never_ready(world)

    world.run()

    ending = (
        "the run ended not-ready-in-time: 1 of 2 ready after 5 s; raise budget.start_timeout, and see that a program "
        "of load.waits_for_go makes BURST_READY_FILE"
    )
    whys = {entry["blocker"]: entry["why"] for entry in world.document["blocker_register"] if entry["open"]}
    assert set(whys) >= {"M10F-B1", "M10F-B5", "M10F-B9"}
    assert [blocker for blocker, why in whys.items() if ending not in why] == []


def test_a_complete_window_needs_no_words() -> None:
    world = World().run()

    assert world.document["decision"]["ended"] is None
    assert "\nended  " not in terminal.render(
        snapshots.Verdict.read(world.store.documents["m10_f_burst_snapshot.json"]).snapshot
    )


def test_a_reason_that_is_not_known_stands_as_it_is() -> None:
    result = task_results.TaskResult.model_validate({**cases.task_result(), "stop_reason": "comet: seen"})

    assert endings.explain_ending(result) == "comet: seen"


def test_the_deadline_says_how_long_the_burst_was() -> None:
    world = World(simulation.plan())
    world.lease.ready_after = {0: None, 1: None}

    world.run()

    assert world.document["decision"]["ended"].startswith("not-ready-in-time: 0 of 2 ready after 5 s")
