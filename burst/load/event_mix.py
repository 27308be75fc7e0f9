"""Which deliveries of a task are new events, repeated ones and malformed ones: by arithmetic on their numbers alone.

Delivery k of task s of S is number k S + s of the burst, in the order in which the deliveries of an even schedule are
due (`send_schedule`, `rate_plans`). With a share d of duplicates and m of malformed events, special deliveries have the
share c = d + m. The numbers of the burst are cut into blocks of about 1/c: block j begins at ceil(j/c), and holds
special delivery number j. So the first N deliveries of the burst have N c special ones wherever that is whole, and one
more or less at most elsewhere, for any number of tasks. The special ones are divided by their number j with the share
d/c, so the first N deliveries have N d duplicates and N m malformed ones wherever both are whole.

Within its block a special delivery has one of the places at which such a one may stand: one of each three deliveries of
the burst, so that a task has at most one special delivery in three of its own. The places of a block are taken evenly,
so that every task has its turn.

A duplicate repeats the first event since the special delivery before it, of its own task, a few deliveries back at
most. So no event is repeated twice, which an ingest would answer with a receipt that it already has, and each is sent
after the event that it repeats. The first delivery of a task has nothing to repeat: where the rule asks for a special
one there, the second one is it, so the shares are exact from the second round of the tasks on.
"""

import enum
import math
from dataclasses import dataclass, field
from fractions import Fraction

MOST_SPECIAL = Fraction(1, 4)
"""The largest share of duplicates and malformed events together: every block of four deliveries has a place."""
MOST_BACK = 30
"""How many deliveries of its task a duplicate looks back for the event that it repeats, at most."""
GOLDEN = 2654435769
"""2^32 divided by the golden ratio: its multiples fall evenly into every part of 0 to 2^32."""
_ROUND = 3
"""A special delivery may stand at one of so many deliveries."""


class DeliveryKind(enum.Enum):
    """What a delivery is."""

    NEW = "new"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery: `number` is that of its event, which is its own number in its task, or for a duplicate that of the
    event it repeats; `ordinal` counts the new or the special ones of the whole burst before it."""

    kind: DeliveryKind
    number: int
    ordinal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """The deliveries of one task, numbered from 0. Raises ValueError for shares that are none."""

    duplicates: Fraction
    malformed: Fraction
    shard_index: int
    shard_count: int
    _share: tuple[int, int] = field(init=False, repr=False, compare=False)
    """The share of special deliveries, as numerator and denominator."""
    _duplicate_part: tuple[int, int] = field(init=False, repr=False, compare=False)
    """The share of duplicates among the special deliveries."""

    def __post_init__(self) -> None:
        special = self.duplicates + self.malformed
        if min(self.duplicates, self.malformed) < 0 or special > MOST_SPECIAL:
            raise ValueError(f"shares from 0, together at most {MOST_SPECIAL}, not {self.duplicates}, {self.malformed}")
        part = self.duplicates / special if special else Fraction(0)
        object.__setattr__(self, "_share", (special.numerator, special.denominator))
        object.__setattr__(self, "_duplicate_part", (part.numerator, part.denominator))

    def look(self, sequence: int) -> Delivery:
        """What delivery number `sequence` of the task is."""
        if not self._share[0]:
            own_number = sequence * self.shard_count + self.shard_index
            return Delivery(kind=DeliveryKind.NEW, number=sequence, ordinal=own_number)
        special = self._find_special(sequence)
        if special is None:
            return Delivery(kind=DeliveryKind.NEW, number=sequence, ordinal=self._count_new_before(sequence))
        if self._is_duplicate(special):
            return Delivery(kind=DeliveryKind.DUPLICATE, number=self._find_repeated(sequence), ordinal=special)
        return Delivery(kind=DeliveryKind.MALFORMED, number=sequence, ordinal=special)

    def _find_special(self, sequence: int) -> int | None:
        """Which special delivery of the burst this delivery of the task is; None for a new event."""
        if sequence == 0:
            return None
        special = self._find_placed(sequence * self.shard_count + self.shard_index)
        if special is None and sequence == 1:
            return self._find_placed(self.shard_index)
        return special

    def _find_placed(self, number: int) -> int | None:
        """Which special delivery has its place at this number of the burst."""
        if self._find_place(number // _ROUND) != number:
            return None
        share, whole = self._share
        special = number * share // whole
        return special if self._choose_place(special) == number else None

    def _choose_place(self, special: int) -> int:
        """The number in the burst at which a special delivery has its place."""
        share, whole = self._share
        first = self._count_places(-(-special * whole // share))
        end = self._count_places(-(-(special + 1) * whole // share))
        turn = (special * GOLDEN % (1 << 32)) * (end - first) >> 32
        return self._find_place(first + turn)

    def _find_place(self, index: int) -> int:
        """The number in the burst of place number `index`.

        Every third number is a place. Where the tasks are a multiple of three it would always fall to the same ones, so
        it moves on by one with each round of the tasks.
        """
        number = _ROUND * index
        return number if self.shard_count % _ROUND else number + number // self.shard_count % _ROUND

    def _count_places(self, number: int) -> int:
        """How many places lie before a number of the burst."""
        index = number // _ROUND
        return index + (self._find_place(index) < number)

    def _count_new_before(self, sequence: int) -> int:
        """How many new events the burst has before a delivery of the task."""
        shards = self.shard_count
        number = sequence * shards + self.shard_index
        special = self._count_placed(number)
        if sequence == 0:
            special = 0
        elif sequence == 1:  # those of the first round stand in the second one
            special += self._count_placed(self.shard_index) - self._count_placed(shards)
        return number - special

    def _count_placed(self, number: int) -> int:
        """How many special deliveries have their place before a number of the burst."""
        share, whole = self._share
        special = number * share // whole
        return special + (self._choose_place(special) < number)

    def _find_repeated(self, sequence: int) -> int:
        """The first event of the task since its special delivery before this one, not too far back."""
        repeated = sequence - 1
        while repeated > max(0, sequence - MOST_BACK) and self._find_special(repeated - 1) is None:
            repeated -= 1
        return repeated

    def _is_duplicate(self, special: int) -> bool:
        """Whether special delivery number `special` of the burst is one."""
        part, whole = self._duplicate_part
        return (special + 1) * part // whole > special * part // whole


def choose_turn(ordinal: int, choices: int, shard_count: int) -> int:
    """Which of so many choices an event has by its number in the burst: each once in every round of them.

    Once tasks and choices have met in each way that they do, the round begins one further on, so that every task has
    every choice.
    """
    return (ordinal + ordinal // choices * choices // math.lcm(choices, shard_count)) % choices


def spread_weights(weights: tuple[int, ...]) -> tuple[int, ...]:
    """The indexes of weighted choices in one round, each as often as its weight, spread evenly over it."""
    places = sorted(
        ((2 * turn + 1) / (2 * weight), index) for index, weight in enumerate(weights) for turn in range(weight)
    )
    return tuple(index for _, index in places)
