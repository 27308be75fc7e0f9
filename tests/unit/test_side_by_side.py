"""Side by side: every item is called once, few at a time, and the caller hears of each as it comes."""

import contextlib
import threading

import pytest

from burst.domain.basics import errors
from burst.kit import side_by_side
from tests import waiting


def test_every_item_is_called_and_a_failure_belongs_to_its_own_item() -> None:
    def call(item: int) -> int:
        if item == 3:
            raise errors.Unavailable("not now")
        return item * 10

    outcomes = side_by_side.call_all(call, range(6), threads=4)

    assert [outcome.item for outcome in outcomes] == list(range(6))
    assert [outcome.result for outcome in outcomes] == [0, 10, 20, None, 40, 50]
    assert [str(outcome.failure) for outcome in outcomes if outcome.failure] == ["not now"]


def test_an_outcome_is_heard_of_while_another_call_still_takes_its_time() -> None:
    heard = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            assert heard.wait(30)
        return item

    order = []
    for outcome in side_by_side.call_each(call, [0, 1], threads=2, every_seconds=0.01):
        if outcome is not None:
            order.append(outcome.item)
            heard.set()

    assert order == [1, 0]


def test_the_caller_gets_a_turn_while_no_call_comes_back() -> None:
    release = threading.Event()
    outcomes = side_by_side.call_each(lambda item: release.wait(30), [0], threads=1, every_seconds=0.01)

    turns = [next(outcomes), next(outcomes)]
    release.set()
    rest = [outcome for outcome in outcomes if outcome is not None]

    assert turns == [None, None]
    assert [outcome.result for outcome in rest] == [True]


def test_whoever_leaves_early_begins_no_further_call() -> None:
    called: list[int] = []

    def call(item: int) -> None:
        called.append(item)
        threading.Event().wait(0.01)  # all of them together take ten seconds, the first outcome is there long before

    outcomes = side_by_side.call_each(call, range(1000), threads=1, every_seconds=0.01)

    with contextlib.closing(outcomes):
        waiting.until(lambda: next(outcomes), what="the first outcome")

    assert 1 <= len(called) < 1000


def test_an_error_that_is_not_bursts_own_is_raised() -> None:
    def call(item: int) -> int:
        raise ZeroDivisionError(str(item))

    with pytest.raises(ZeroDivisionError):
        side_by_side.call_all(call, [1], threads=1)
