"""The wait every other test leans on."""

import pytest

from tests import waiting


def test_until_returns_the_first_truthy_answer() -> None:
    answers = iter([None, "", "ready", "later"])

    assert waiting.until(lambda: next(answers), what="an answer") == "ready"


def test_until_asks_once_even_with_no_time_left() -> None:
    assert waiting.until(lambda: 7, seconds=0.0, what="seven") == 7


def test_until_names_what_it_waited_for_and_what_it_last_saw() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for the port to open; the last answer was False"):
        waiting.until(lambda: False, seconds=0.05, what="the port to open")


def test_until_lets_an_error_of_the_condition_through() -> None:
    def broken() -> bool:
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        waiting.until(broken, what="nothing")
