"""Execution ids in the order of time, and the newest of them where lists only go forwards."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import instants
from burst.domain.run import run_ids

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Listing:
    """Names listed forwards in the order of their keys, some a page, as S3 lists folders; counts the pages."""

    def __init__(self, names: Sequence[str], *, most: int = 10) -> None:
        self._keys = sorted(f"{name}/" for name in names)
        self._most = most
        self.pages = 0

    def __call__(self, start: str) -> run_ids.Page:
        self.pages += 1
        found = [key.removesuffix("/") for key in self._keys if key > start]
        return run_ids.Page(names=found[: self._most], whole=len(found) <= self._most)


def made(moment: datetime, suffix: str = "abc123") -> str:
    return f"m10_{instants.stamp(moment)}_{suffix}"


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("m10_20260221T020923Z_a1b2c3", ("m10", datetime(2026, 2, 21, 2, 9, 23, tzinfo=UTC))),
        ("m10_20260221T020923Z", ("m10", datetime(2026, 2, 21, 2, 9, 23, tzinfo=UTC))),
        ("m10_20261321T020923Z", None),
        ("m10_final", None),
        ("20260221T020923Z", None),
    ],
)
def test_an_id_tells_its_group_and_time_or_that_it_carries_none(text: str, parsed: object) -> None:
    assert run_ids.parse(text) == parsed


STAMPED = st.builds(
    lambda seconds, suffix: made(NOW - timedelta(seconds=seconds), suffix),
    st.one_of(st.integers(0, 40), st.integers(-(10**8), 10**9)),
    st.sampled_from(["a", "a-b", "a_b", "zzz", "000000"]),
)
OTHERS = st.sampled_from(["m10_final", "m10_2026-rerun", "m10_19", "m1_20260221T020923Z", "m100_20260221T020923Z", "x"])


@hypothesis.given(names=st.sets(STAMPED, max_size=60), others=st.sets(OTHERS), most=st.integers(1, 7))
def test_every_stamped_id_of_the_group_comes_once_the_newest_first(
    names: set[str], others: set[str], most: int
) -> None:
    found = list(run_ids.newest_first("m10", Listing([*names, *others], most=most), NOW))

    assert found == [key.removesuffix("/") for key in sorted((f"{name}/" for name in names), reverse=True)]


SPREADS: dict[str, tuple[Callable[[int], datetime], int]] = {
    "one an hour": (lambda index: NOW - timedelta(hours=index), 10),
    "one a minute": (lambda index: NOW - timedelta(minutes=index), 10),
    "all within a day a year ago": (lambda index: NOW - timedelta(days=365, seconds=8 * index), 15),
    "in the future": (lambda index: NOW + timedelta(days=90, minutes=index), 45),
    "one every second": (lambda index: NOW - timedelta(seconds=index), 10),
}


@pytest.mark.parametrize("spread", SPREADS)
def test_the_newest_of_ten_thousand_takes_few_pages(spread: str) -> None:
    at, most_pages = SPREADS[spread]
    names = [made(at(index), f"{index:06x}") for index in range(10_000)]
    listing = Listing(names, most=1000)

    newest = next(run_ids.newest_first("m10", listing, NOW))

    assert newest == max(names)
    assert listing.pages <= most_pages


def test_of_ten_thousand_in_one_second_the_newest_is_found_too() -> None:
    names = [made(NOW, f"{index:06x}") for index in range(10_000)]
    listing = Listing(names, most=1000)

    assert next(run_ids.newest_first("m10", listing, NOW)) == max(names)
    assert listing.pages <= 30
