"""The contract of `ports.Clock`, on both clocks moved by hand and on the system's."""

from collections.abc import Callable
from datetime import UTC

import pytest

from burst import ports
from burst.adapters.local import system_clock
from burst.domain.basics import instants
from tests import fakes, fakes_receipts

PORT = ports.Clock
CLOCKS: dict[str, Callable[[], ports.Clock]] = {
    "ticking": fakes.TickingClock,
    "hand": lambda: fakes_receipts.HandClock(fakes.START),
    "system": system_clock.SystemClock,
}


@pytest.fixture(params=CLOCKS)
def clock(request: pytest.FixtureRequest) -> ports.Clock:
    return CLOCKS[request.param]()


def slept_seconds(clock: ports.Clock, seconds: float) -> float:
    before = clock.now()
    clock.sleep(seconds)
    return instants.seconds_between(before, clock.now())


def test_now_is_utc(clock: ports.Clock) -> None:
    assert clock.now().tzinfo is UTC


def test_a_sleep_takes_its_seconds(clock: ports.Clock) -> None:
    assert 0.045 <= slept_seconds(clock, 0.05) < 5.0  # a clock that is slewed may show a little less


@pytest.mark.parametrize("seconds", [0.0, -1.0, -1e9])
def test_a_sleep_of_no_length_returns_at_once_and_never_goes_back(clock: ports.Clock, seconds: float) -> None:
    assert 0.0 <= slept_seconds(clock, seconds) < 5.0


def test_two_readings_are_in_order(clock: ports.Clock) -> None:
    readings = [clock.now() for _ in range(100)]

    assert readings == sorted(readings)
