"""Silence: calls in a row without an answer, not a single one, make the next ones fail at once for a while."""

from burst.kit import silence


class Ticks:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def unanswered(times: int, ticks: Ticks) -> silence.Silence:
    quiet = silence.Silence(calls=3, seconds=5.0, monotonic=ticks)
    for _ in range(times):
        quiet.note_no_answer()
    return quiet


def test_fewer_calls_without_an_answer_than_said_are_no_silence() -> None:
    assert not unanswered(2, Ticks()).lasts


def test_a_silence_lasts_so_long_after_the_last_call() -> None:
    ticks = Ticks()
    quiet = unanswered(3, ticks)

    lasting = []
    for seconds in (0.0, 4.9, 0.2):
        ticks.seconds += seconds
        lasting.append(quiet.lasts)

    assert lasting == [True, True, False]


def test_after_a_silence_one_more_call_without_an_answer_is_enough_for_the_next() -> None:
    ticks = Ticks()
    quiet = unanswered(3, ticks)
    ticks.seconds += 6.0

    quiet.note_no_answer()

    assert quiet.lasts


def test_an_answer_ends_the_silence_and_the_count() -> None:
    quiet = unanswered(3, Ticks())

    quiet.note_answer()
    quiet.note_no_answer()

    assert not quiet.lasts
