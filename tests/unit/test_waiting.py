"""The wait every other test leans on."""

import pytest

from tests import waiting


def test_until_returns_the_first_truthy_answer() -> None:
    answers = iter([None, "", "ready", "later"])

    assert waiting.until(lambda: next(answers), what="an answer") == "ready"


def test_until_asks_once_even_with_no_time_left() -> None:
    assert waiting.until(lambda: 7, seconds=0.0, what="seven") == 7


def test_until_names_what_it_waited_for_and_what_it_last_saw() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.2 s for the port to open; the last answer was False"):
        waiting.until(lambda: False, seconds=0.05, what="the port to open")


class SlowTime:
    """A time in which each look at the condition takes five seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, _: float) -> None:
        self.seconds += 5.0


def test_until_waits_four_times_as_long_as_a_free_machine_would_need(monkeypatch: pytest.MonkeyPatch) -> None:
    time = SlowTime()
    monkeypatch.setattr(waiting, "time", time)

    assert waiting.until(lambda: time.seconds >= 40.0, seconds=10.0, what="what comes late")


@pytest.mark.timeout(25)
def test_a_test_has_four_times_the_seconds_that_its_mark_names(request: pytest.FixtureRequest) -> None:
    assert _seconds_of(request) == 4 * 25


def test_a_test_without_a_mark_has_four_times_the_usual_seconds(request: pytest.FixtureRequest) -> None:
    assert _seconds_of(request) == 4 * 180


def _seconds_of(request: pytest.FixtureRequest) -> float:
    if request.config.getoption("timeout") is not None:
        pytest.skip("the command line names the seconds of every test")
    mark = request.node.get_closest_marker("timeout")
    return float(mark.args[0])


def test_never_passes_where_nothing_comes_and_names_what_came() -> None:
    answers = iter([None, 0, "a start"])

    waiting.never(lambda: False, seconds=0.05, what="a start")
    with pytest.raises(AssertionError, match=r"a start within 30 s, which may not be; the answer was 'a start'"):
        waiting.never(lambda: next(answers), seconds=30.0, what="a start")


def test_until_lets_an_error_of_the_condition_through() -> None:
    def broken() -> bool:
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        waiting.until(broken, what="nothing")
