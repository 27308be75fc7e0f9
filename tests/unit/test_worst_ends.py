"""Worst ends: the sum of each layer, by plan and platform, and the page that explains every term of it."""

import pytest

from burst.adapters.aws import ecs_tasks
from burst.domain.tasks import tasks, worst_ends
from burst.wiring.targets import ecs_target, local_terms
from tests.runbooks import pages

PAGE = pages.FOLDER / "worst-ends.md"
CONTRACT = worst_ends.EndTimes(
    grace_seconds=30.0,
    lease_ttl_seconds=30.0,
    beat_seen_seconds=ecs_target.BEAT_SEEN_SECONDS,
    look_seconds=ecs_tasks.CALL_PATIENCE_SECONDS,
)
FARGATE = worst_ends.FargateTimes(tasks=8, cap_seconds=1200.0, start_timeout_seconds=60.0, stop_timeout_seconds=31.0)


def end(layer: str, fargate: worst_ends.FargateTimes | None) -> worst_ends.WorstEnd:
    (only,) = worst_ends.list_ends((layer,), CONTRACT, fargate)
    return only


@pytest.mark.parametrize(
    ("layer", "seconds"),
    [
        ("guard", 30.0),
        ("lease", 6.45 + 30.0 + 30.0),
        ("sidecar", 60.0 + 30.0 + 31.0),
        ("schedule", 30.0 + 5.0 + 59.0 + 60.0 + 31.0),
        ("sweeper", 300.0 + 59.0 + 60.0 + 31.0),
        ("controller", 15.0 + 5.0 + 31.0),
    ],
)
def test_the_last_process_on_fargate_has_ended_after_every_term_of_its_layer(layer: str, seconds: float) -> None:
    assert end(layer, FARGATE).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(("layer", "seconds"), [("guard", 30.0), ("sidecar", 30.5), ("controller", 35.0)])
def test_a_process_of_this_machine_has_no_stop_timeout_and_no_start_of_a_reaper(layer: str, seconds: float) -> None:
    assert end(layer, None).seconds == seconds


def test_a_short_cap_puts_the_schedule_off_to_its_soonest_time() -> None:
    short = worst_ends.FargateTimes(tasks=8, cap_seconds=10.0, start_timeout_seconds=60.0, stop_timeout_seconds=31.0)

    assert end("schedule", short).seconds - end("schedule", FARGATE).seconds == pytest.approx(60.0 - 10.0 - 35.0)


def test_more_tasks_than_aws_takes_stops_of_at_once_end_later_where_a_stop_is_a_call() -> None:
    many = worst_ends.FargateTimes(
        tasks=1000, cap_seconds=1200.0, start_timeout_seconds=60.0, stop_timeout_seconds=31.0
    )
    later = {layer: end(layer, many).seconds - end(layer, FARGATE).seconds for layer in ecs_target.LAYERS}

    assert later == pytest.approx(
        dict.fromkeys(("guard", "lease", "sidecar"), 0.0)
        | dict.fromkeys(("schedule", "sweeper", "controller"), (1000 - 100) / 40)
    )


def test_every_layer_of_a_target_has_a_worst_end_and_no_layer_is_for_ever() -> None:
    for layers, fargate in ((ecs_target.LAYERS, FARGATE), (local_terms.LAYERS, None)):
        ends = worst_ends.list_ends(layers, CONTRACT, fargate)

        assert [each.layer for each in ends] == [tasks.Layer(name) for name in layers]
        assert all(0 < each.seconds < 3600 for each in ends)


def test_the_longest_bill_of_a_task_is_that_of_a_stop_which_takes_as_long_as_it_may() -> None:
    billed = worst_ends.billed_seconds(1200.0, 30.0, 31.0)

    assert billed == 1200.0 + 30.0 + 31.0 + worst_ends.TEARDOWN_SECONDS
    assert billed > 1200.0 + end("guard", FARGATE).seconds


def test_the_page_has_each_sum_with_its_terms_and_the_source_of_each_term() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()

    for each in worst_ends.list_ends(ecs_target.LAYERS, CONTRACT, FARGATE):
        sums = " + ".join(f"{term.words} {term.seconds:g} s" for term in each.terms)
        assert f"| {each.layer.value} | {sums} | {each.seconds:g} s |" in lines
        for term in each.terms:
            assert any(line.startswith(f"| {term.words} | ") for line in lines), term.words
