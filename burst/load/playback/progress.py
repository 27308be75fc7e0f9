"""What of a shard's records was acknowledged: every one before a low-water mark, and ranges beyond it.

Answers come in any order, so a mark alone would either skip a record that has no answer yet or send one again that has.
`ordinal` counts the records of one shard from 0.
"""

import bisect
import itertools
from dataclasses import dataclass

from burst.load.playback import records


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a run leaves for the next: all records before `low_water` were acknowledged, the last of them at `last`;
    and so were those of the half-open ranges `beyond`."""

    low_water: int = 0
    last: records.RecordPlace | None = None
    beyond: tuple[tuple[int, int], ...] = ()

    @property
    def acknowledged(self) -> int:
        """How many records were acknowledged."""
        return self.low_water + sum(end - start for start, end in self.beyond)

    def write_beyond(self) -> str:
        """The ranges as text, such as `12-15 20-21`."""
        return " ".join(f"{start}-{end}" for start, end in self.beyond)


def read_checkpoint(low_water: int, last: records.RecordPlace | None, beyond: str) -> Checkpoint:
    """A checkpoint as it was kept. Raises ValueError for one that would send again or skip."""
    ranges = read_beyond(beyond)
    if low_water < 0 or (ranges and ranges[0][0] < low_water):
        raise ValueError(f"low_water is {low_water}, and the ranges {beyond!r} do not lie behind it")
    if low_water > 0 and last is None:
        raise ValueError(f"low_water is {low_water}, and its last record has no place")
    return Checkpoint(low_water=low_water, last=last, beyond=ranges)


def read_beyond(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges from their text. Raises ValueError for one that makes no sense."""
    ranges = []
    for part in text.split():
        start, _, end = part.partition("-")
        ranges.append((int(start), int(end)))
    edges = [edge for pair in ranges for edge in pair]
    if any(after <= before for before, after in itertools.pairwise(edges)):
        raise ValueError("the ranges are not in order")
    return tuple(ranges)


class Progress:
    """Grows with each acknowledgement; the same one twice changes nothing."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._low_water, self._last = checkpoint.low_water, checkpoint.last
        self._starts = [start for start, _ in checkpoint.beyond]
        self._ends = [end for _, end in checkpoint.beyond]
        self._marks: list[records.RecordPlace | None] = [None] * len(self._ends)
        """Where the last record of each range is; None until a run that goes on has read it again."""

    @property
    def gaps(self) -> int:
        """How many stretches of records without an acknowledgement lie before one that has it."""
        return len(self._starts)

    @property
    def frontier(self) -> int:
        """No record from it on was acknowledged."""
        return self._ends[-1] if self._ends else self._low_water

    @property
    def low_water(self) -> int:
        """Every record before it was acknowledged."""
        return self._low_water

    def is_acknowledged(self, ordinal: int) -> bool:
        """Whether the record was acknowledged, in this run or before."""
        if ordinal < self._low_water:
            return True
        index = bisect.bisect_right(self._starts, ordinal) - 1
        return index >= 0 and ordinal < self._ends[index]

    def acknowledge(self, ordinal: int, mark: records.RecordPlace) -> None:
        """The record at `mark` was acknowledged."""
        if ordinal < self._low_water:
            return
        index = bisect.bisect_right(self._starts, ordinal) - 1
        if index >= 0 and ordinal < self._ends[index]:
            if ordinal == self._ends[index] - 1:
                self._marks[index] = mark
        else:
            self._add(index + 1, ordinal, mark)
        while self._starts and self._starts[0] == self._low_water and self._marks[0] is not None:
            self._low_water, self._last = self._ends.pop(0), self._marks.pop(0)
            self._starts.pop(0)

    def _add(self, index: int, ordinal: int, mark: records.RecordPlace) -> None:
        """A range of one before the range at `index`, grown together with its neighbours."""
        joins_next = index < len(self._starts) and self._starts[index] == ordinal + 1
        joins_last = index > 0 and self._ends[index - 1] == ordinal
        if joins_next and joins_last:
            self._ends[index - 1], self._marks[index - 1] = self._ends.pop(index), self._marks.pop(index)
            self._starts.pop(index)
        elif joins_next:
            self._starts[index] = ordinal
        elif joins_last:
            self._ends[index - 1], self._marks[index - 1] = ordinal + 1, mark
        else:
            self._starts.insert(index, ordinal)
            self._ends.insert(index, ordinal + 1)
            self._marks.insert(index, mark)

    def to_checkpoint(self) -> Checkpoint:
        """Everything that was acknowledged by now."""
        return Checkpoint(
            low_water=self._low_water, last=self._last, beyond=tuple(zip(self._starts, self._ends, strict=True))
        )
