"""How a rehearsal settles a run whose controller was killed: `burst resume`, as often as an operator would."""

from collections.abc import Sequence

import pytest

from burst.cli import rehearsing
from tests import fakes


def settle(codes: Sequence[int], *, faults_pass: int = 0) -> tuple[int, int]:
    """The exit code of the settled run and the number of resumes, which end with these codes, the last one again and
    again. A fault of limited duration is in force before so many of them."""
    clock, resumed = fakes.TickingClock(), 0

    def resume() -> int:
        nonlocal resumed
        resumed += 1
        clock.sleep(10.0)
        return codes[min(resumed, len(codes)) - 1]

    code = rehearsing.resume_until_settled(resume, lambda: resumed < faults_pass, clock)
    return code, resumed


@pytest.mark.parametrize("code", [0, 3, 7, 130, 143])
def test_a_settled_run_is_resumed_once(code: int) -> None:
    assert settle([code]) == (code, 1)


def test_a_run_that_is_blind_under_an_outage_is_resumed_once_more_after_it() -> None:
    assert settle([6, 6, 3], faults_pass=2) == (3, 3)


def test_a_run_that_is_blind_without_an_outage_that_will_pass_stays_so() -> None:
    assert settle([6]) == (6, 1)
    assert settle([6], faults_pass=3) == (6, 4)


def test_a_run_that_cannot_be_published_is_resumed_until_the_patience_is_over() -> None:
    assert settle([5, 5, 0]) == (0, 3)
    code, resumed = settle([5])

    assert code == 5
    assert resumed == pytest.approx(rehearsing.SETTLE_SECONDS / 11, abs=2)


def test_the_patience_counts_from_the_end_of_a_long_outage() -> None:
    code, resumed = settle([5], faults_pass=100)

    assert code == 5
    assert resumed > 100
