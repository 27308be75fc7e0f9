"""Backlogs: a system that takes less than it is sent has a queue that grows, and shows it within a short window."""

import random
from collections import Counter
from datetime import timedelta

import pytest

from burst.domain.basics import instants
from burst.domain.documents import load_documents
from burst.domain.verdict import load_backlogs
from tests import cases

LIMIT, CREDIT_SECONDS = 800.0, 0.25
BEGAN = instants.parse(cases.at(60.3))


def simulate(
    per_second: float, *, seconds: int = 10, stall: tuple[float, float] | None = None, seed: int = 0
) -> load_documents.Load:
    """The account of a load that a host with a limit answers in turn, as the bench's late host does; it rests during
    the stall."""
    chance, free_at = random.Random(seed), 0.0
    sent, answered = Counter[int](), Counter[int]()
    for number in range(round(per_second * seconds)):
        at = number / per_second
        free_at = max(free_at, at - CREDIT_SECONDS)
        if stall is not None and stall[0] <= max(free_at, at) < stall[1]:
            free_at = stall[1]
        ended = max(free_at, at) + chance.expovariate(100)
        free_at += 1 / LIMIT
        sent[int(at + 0.3)] += 1
        answered[int(ended + 0.3)] += 1
    return load_documents.Load.model_validate(
        cases.load(tasks=1)
        | {
            "seconds": [
                {"start_utc": cases.at(60 + second), "due": sent[second], "in_time": sent[second]}
                | {"sent": sent[second], "acknowledged": answered[second], "refused": 0, "failed": 0}
                for second in range(seconds + 30)
            ]
        }
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("per_second", "seconds", "grows"),
    [
        (80.0, 10, False),
        (720.0, 10, False),
        (790.0, 10, False),
        (835.0, 10, True),
        (900.0, 10, True),
        (1600.0, 10, True),
        (812.0, 60, True),
        (790.0, 60, False),
    ],
)
def test_a_queue_that_grows_is_seen_before_a_limit_on_latency_sees_it(
    per_second: float, seconds: int, grows: bool, seed: int
) -> None:
    """At 835 of 800 a second the last answers of ten seconds take 200 ms, and those of a minute 2 s."""
    load = simulate(per_second, seconds=seconds, seed=seed)

    growth = load_backlogs.find_growth(load, BEGAN, BEGAN + timedelta(seconds=seconds))

    assert (growth is not None) == grows, growth
    if growth is not None:
        assert growth.late > growth.early


@pytest.mark.parametrize("stall", [(2.0, 2.8), (4.5, 5.2), (9.2, 10.0)])
def test_a_stall_that_is_made_up_is_no_queue_that_grows(stall: tuple[float, float]) -> None:
    load = simulate(600.0, stall=stall)

    assert load_backlogs.find_growth(load, BEGAN, BEGAN + timedelta(seconds=10)) is None


def test_a_part_that_is_too_short_tells_nothing() -> None:
    load = simulate(1600.0, seconds=3)

    assert load_backlogs.find_growth(load, BEGAN, BEGAN + timedelta(seconds=3)) is None


def test_what_a_generator_sent_is_judged_to_the_end_of_the_window_and_not_to_that_of_its_process() -> None:
    """A process counts what is due until it hears that it has to end: what is due to nobody is no load withheld."""
    sent = simulate(40.0, seconds=10)
    late = [row.model_copy(update={"due": 40}) if 11 <= index < 13 else row for index, row in enumerate(sent.seconds)]
    load = sent.model_copy(update={"seconds": late})

    nearest = load_backlogs.find_nearest(load, BEGAN, BEGAN + timedelta(seconds=10))

    assert nearest is not None
    assert nearest.share == 1.0
