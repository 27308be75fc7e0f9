"""Token buckets: never more than the burst and what was filled in since, whoever takes."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from burst.kit import token_bucket

STEPS = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 10)), max_size=60)
BURST, PER_SECOND = 10.0, 4.0


class Ticks:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def bucket(ticks: Ticks) -> token_bucket.TokenBucket:
    return token_bucket.TokenBucket(burst=BURST, per_second=PER_SECOND, monotonic=ticks)


@given(steps=STEPS)
def test_no_more_is_taken_than_the_burst_and_the_rate_allow(steps: list[tuple[float, int]]) -> None:
    ticks, taken = Ticks(), 0
    limited = bucket(ticks)
    for seconds, tokens in steps:
        ticks.seconds += seconds
        taken += tokens if limited.take(tokens) else 0

        assert taken <= BURST + PER_SECOND * ticks.seconds + 1e-6


@given(steps=STEPS)
def test_whoever_waits_as_long_as_a_reservation_says_stays_within_burst_and_rate(
    steps: list[tuple[float, int]],
) -> None:
    ticks, turns = Ticks(), list[tuple[float, int]]()
    limited = bucket(ticks)
    for seconds, tokens in steps:
        ticks.seconds += seconds
        turns.append((ticks.seconds + limited.reserve(tokens), tokens))

    assert [at for at, _ in turns] == sorted(at for at, _ in turns)
    for number, (at, _) in enumerate(turns):
        taken = sum(tokens for _, tokens in turns[: number + 1])
        assert taken <= BURST + PER_SECOND * at + 1e-6


def test_a_full_bucket_gives_its_burst_at_once_and_the_next_token_after_one_interval() -> None:
    limited = bucket(Ticks())

    waits = [limited.reserve() for _ in range(12)]

    assert waits == [0.0] * 10 + [0.25, 0.5]


def test_threads_never_take_more_than_there_is() -> None:
    limited, taken = bucket(Ticks()), list[bool]()
    threads = [threading.Thread(target=lambda: taken.append(limited.take())) for _ in range(40)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken.count(True) == BURST
