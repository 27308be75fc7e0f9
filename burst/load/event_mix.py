"""Which deliveries of a task are new events, repeated ones and malformed ones: by arithmetic on their numbers alone.

With a share d of duplicates and m of malformed events, special deliveries have the share c = d + m. Task s of S has
sent floor(n c + s/S) special ones among its first n deliveries. These sums over all tasks are floor(S n c), exactly
(Hermite's identity), so the shares hold over the whole burst for any number of tasks, and in each task to one event.
Where the tasks have not all sent equally many, the sum is off by one at most for S c under 1.
Special deliveries of the burst are numbered in their order, and the same rule with d/c divides them into duplicates and
malformed ones.

A duplicate repeats the first event since the special delivery before it, of its own task. So no event is repeated
twice, which an ingest would answer with a receipt that it already has, and each is sent after the event that it
repeats. That takes two deliveries before the first special one: where the rule asks for one at once, it comes second.
"""

import enum
from dataclasses import dataclass
from fractions import Fraction

MOST_SPECIAL = Fraction(1, 3)
"""The largest share of duplicates and malformed events together: then a new event lies between two special ones."""


class Kind(enum.Enum):
    """What a delivery is."""

    NEW = "new"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery: `number` is that of its event, which is its own number, or for a duplicate that of the event it
    repeats; `ordinal` counts the new or the special ones of the task before it."""

    kind: Kind
    number: int
    ordinal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """The deliveries of one task, numbered from 0. Raises ValueError for shares that are none."""

    duplicates: Fraction
    malformed: Fraction
    shard_index: int
    shard_count: int

    def __post_init__(self) -> None:
        if min(self.duplicates, self.malformed) < 0 or self.special > MOST_SPECIAL:
            raise ValueError(f"shares from 0, together at most {MOST_SPECIAL}, not {self.duplicates}, {self.malformed}")

    @property
    def special(self) -> Fraction:
        """The share of special deliveries."""
        return self.duplicates + self.malformed

    def look(self, sequence: int) -> Delivery:
        """What delivery number `sequence` of the task is."""
        if not self.special:
            return Delivery(kind=Kind.NEW, number=sequence, ordinal=sequence)
        before = self.count_special(sequence)
        if self.count_special(sequence + 1) == before:
            return Delivery(kind=Kind.NEW, number=sequence, ordinal=sequence - before)
        if self._is_duplicate(before):
            return Delivery(kind=Kind.DUPLICATE, number=self._find_first_after(before), ordinal=before)
        return Delivery(kind=Kind.MALFORMED, number=sequence, ordinal=before)

    def count_special(self, deliveries: int) -> int:
        """How many of the task's first deliveries are special."""
        if deliveries < 2:
            return 0
        share, shards = self.special, self.shard_count
        whole = share.denominator * shards
        return (deliveries * share.numerator * shards + self.shard_index * share.denominator) // whole

    def _find_first_after(self, special: int) -> int:
        """The delivery after the first so many special ones."""
        if special == 0:
            return 0
        share, shards = self.special, self.shard_count
        needed = special * share.denominator * shards - self.shard_index * share.denominator
        return max(2, -(-needed // (share.numerator * shards)))

    def _is_duplicate(self, special: int) -> bool:
        """Whether special delivery number `special` of the task is one."""
        number = special * self.shard_count + self.shard_count - 1 - self.shard_index
        part = self.duplicates / self.special
        return (number + 1) * part.numerator // part.denominator > number * part.numerator // part.denominator


def spread_weights(weights: tuple[int, ...]) -> tuple[int, ...]:
    """The indexes of weighted choices in one round, each as often as its weight, spread evenly over it."""
    places = sorted(
        ((2 * turn + 1) / (2 * weight), index) for index, weight in enumerate(weights) for turn in range(weight)
    )
    return tuple(index for _, index in places)
