"""The contract of `ports.Counter`, by the fake source, by Postgres, and by a task that follows the burst for us."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from burst import ports
from burst.domain.basics import errors, instants, windows
from burst.domain.receipts import receipts
from tests import fakes_receipts, waiting
from tests.contract import test_receipt_source

PORT = ports.Counter
SCOPE = "a"
Make = test_receipt_source.Make


@pytest.fixture(params=["memory", "postgres", "task"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    yield from test_receipt_source.sources(request, tmp_path)


def row(at: datetime) -> fakes_receipts.Receipt:
    return fakes_receipts.Receipt(decision="ADMIT", at=at, scope=SCOPE)


def follow(source: ports.ReceiptSource, start: datetime, until: datetime, scope: str | None = SCOPE) -> ports.Counter:
    return source.follow(
        start=start, until=until, scope=scope, settle_seconds=0.02, every_seconds=0.05, patience_seconds=20.0
    )


def poll(counter: ports.Counter) -> receipts.WindowCount | None:
    """The next slice; None where none is due, or the task is still being started."""
    try:
        return counter.poll(test_receipt_source.now()).slice
    except errors.Unavailable:
        return None


def poll_until(
    counter: ports.Counter, done: Callable[[Sequence[receipts.WindowCount]], bool]
) -> list[receipts.WindowCount]:
    slices: list[receipts.WindowCount] = []

    def enough() -> bool:
        counted = poll(counter)
        slices.extend([counted] if counted else [])
        return done(slices)

    waiting.until(enough, seconds=50, what="the slices")
    return slices


def test_slices_begin_at_the_start_meet_each_other_and_end_at_the_end(make: Make) -> None:
    now = test_receipt_source.now()
    start, until = instants.later(now, -5), instants.later(now, 2)
    counter = follow(make([row(start), row(instants.later(start, 1)), row(until)]), start, until)

    slices = poll_until(counter, lambda counted: bool(counted) and counted[-1].window.end >= until)

    edges = [slice_.window.start for slice_ in slices]
    assert edges == [start, *(slice_.window.end for slice_ in slices[:-1])]
    assert slices[-1].window.end == until
    assert sum((slice_.counts for slice_ in slices), receipts.Counts()) == receipts.Counts(admit=2)


def test_the_total_is_the_sum_of_all_slices_so_far(make: Make) -> None:
    start = instants.later(test_receipt_source.now(), -5)
    counter = follow(make([row(start)]), start, test_receipt_source.soon())
    slices = poll_until(counter, lambda counted: len(counted) >= 2)

    live = counter.poll(test_receipt_source.now())

    slices += [live.slice] if live.slice else []
    assert live.total == sum((slice_.counts for slice_ in slices), receipts.Counts())
    assert live.counted_to == slices[-1].window.end


def test_a_burst_that_has_not_begun_has_no_slice(make: Make) -> None:
    start = instants.later(test_receipt_source.now(), 3600)
    counter = follow(make([]), start, instants.later(start, 60))

    assert [poll(counter) for _ in range(5)] == [None] * 5


def test_receipts_of_another_scope_are_in_no_slice_but_of_every_scope_they_are(make: Make) -> None:
    now = test_receipt_source.now()
    start, until = instants.later(now, -5), instants.later(now, -4)
    source = make([row(start), fakes_receipts.Receipt(decision="ADMIT", at=start, scope="b")])
    whole = windows.Window(start, until)

    def complete(counted: Sequence[receipts.WindowCount]) -> bool:
        return bool(counted) and counted[-1].window.end == whole.end

    own = poll_until(follow(source, start, until), complete)
    every = poll_until(follow(source, start, until, scope=None), complete)

    assert [sum(slice_.counts.admit for slice_ in slices) for slices in (own, every)] == [1, 2]
