"""Tails: whatever writers do behind the end of a table, every row is counted once, and what is missing is said."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.adapters.postgres import tails
from burst.domain.basics import instants
from burst.domain.receipts import receipts

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
LEAF = 1


def reading(
    seconds: float,
    blocks: int,
    writers: Sequence[str] = (),
    *,
    file: int = 7,
    inserted: int = 0,
    rewritten: int = 0,
) -> tails.TailReading:
    """A reading of one leaf; a writer whose name begins with p is a prepared transaction."""
    return tails.TailReading(
        at=instants.later(START, seconds),
        blocks={LEAF: blocks},
        files={LEAF: file},
        relatives="",
        writers=tuple(
            receipts.OpenWriter(id=name, pid=None if name.startswith("p") else 1, name="") for name in writers
        ),
        activity=tails.Activity(inserted=inserted, rewritten=rewritten),
    )


def noted(*readings: tails.TailReading) -> tails.Tails:
    marks = tails.Tails()
    for each in readings:
        marks = marks.note(each)
    return marks


def at(seconds: float) -> datetime:
    return instants.later(START, seconds)


def test_without_writers_the_mark_is_the_end_less_what_may_not_be_full_yet() -> None:
    marks = noted(reading(0, 1000), reading(2, 1200))

    assert marks.begins == {LEAF: 1200 - tails.OVERLAP_BLOCKS}
    assert (marks.seen_all_to, marks.waits_for) == (at(2), None)


def test_a_table_smaller_than_the_overlap_is_read_from_its_beginning() -> None:
    assert noted(reading(0, 3)).begins == {LEAF: 0}


def test_a_writer_holds_the_mark_at_the_reading_before_the_one_that_saw_it_first() -> None:
    marks = noted(reading(0, 1000), reading(2, 1200), reading(4, 1400, ["w"]), reading(6, 1600, ["w", "v"]))

    assert marks.begins == {LEAF: 1200 - tails.OVERLAP_BLOCKS}
    assert marks.seen_all_to == at(2)
    assert marks.waits_for is not None
    assert marks.waits_for.id == "w"
    assert set(marks.readings) == {1, 2, 3}
    assert noted(*marks.readings.values(), reading(8, 1800)).begins == {LEAF: 1800 - tails.OVERLAP_BLOCKS}


def test_what_a_writer_of_the_first_reading_wrote_before_it_is_older_than_the_burst() -> None:
    marks = noted(reading(0, 1000, ["w"]), reading(2, 1200, ["w"]))

    assert marks.begins == {LEAF: 1000 - tails.OVERLAP_BLOCKS}
    assert marks.has_first_writer
    assert not marks.note(reading(4, 1400)).has_first_writer


def test_a_prepared_transaction_stands_for_the_longest_writer_that_is_gone() -> None:
    kept = noted(reading(0, 1000), reading(2, 1200, ["w"]), reading(4, 1400, ["p1", "v"]))
    follower = kept.note(reading(6, 1600, ["p2"]))

    assert kept.begins == {LEAF: 1000 - tails.OVERLAP_BLOCKS}
    assert follower.begins == {LEAF: 1200 - tails.OVERLAP_BLOCKS}, "p2 was v, not p1"


def test_a_table_that_was_cut_shorter_is_read_from_its_end() -> None:
    assert noted(reading(0, 1000), reading(2, 10)).begins == {LEAF: 10}


@pytest.mark.parametrize("other", [reading(2, 1000, file=8), noted(reading(0, 5)).readings[0]])
def test_marks_are_of_the_files_that_they_were_set_in(other: tails.TailReading) -> None:
    marks = noted(reading(0, 1000))

    assert marks.is_of(reading(9, 2000))
    assert marks.is_of(other) == (other.files == {LEAF: 7})
    assert tails.Tails().is_of(other)


# Belief


def believed(*later: tuple[float, int, int, int]) -> tails.Belief:
    """The belief after counts at so many seconds, of so many rows, when so many were inserted and rewritten."""
    belief = tails.Belief(since=START, rows=100)
    for seconds, rows, inserted, rewritten in later:
        belief = belief.note(reading(seconds, 1, inserted=inserted, rewritten=rewritten), rows)
    return belief


ANEW = "the server's figures of the table began anew, as after a crash or a failover"


@pytest.mark.parametrize(
    ("later", "missing", "doubt"),
    [
        ([(1.0, 900, 5000, 9)], 0, ""),
        ([(2.0, 900, 5000, 9)], 0, ""),
        ([(2.0, 900, 5000, 9), (4.0, 1700, 5800, 9)], 0, ""),
        ([(2.0, 900, 5000, 9), (4.0, 1100, 6005, 9)], 5, ""),
        ([(2.0, 900, 5000, 9), (4.0, 1100, 6100, 9)], 100, "100 rows were put into freed space or rolled back"),
        ([(2.0, 900, 5000, 9), (4.0, 1700, 5800, 10)], 0, "rows of the table are updated or deleted"),
        ([(2.0, 900, 5000, 9), (4.0, 1700, 10, 9)], 0, ANEW),
        ([(2.0, 900, 5000, 9), (4.0, 1700, 5800, 0)], 0, ANEW),
        ([(2.0, 900, 5000, 9), (4.0, 1100, 6100, 9), (6.0, 6000, 6200, 9)], 0, ""),
    ],
    ids=[
        "at once",
        "the first figures",
        "all seen",
        "few missing",
        "many missing",
        "rewritten",
        "reset",
        "reset of rewritten rows",
        "late figures",
    ],
)
def test_a_tail_is_believed_as_far_as_the_servers_figures_go(
    later: list[tuple[float, int, int, int]], missing: int, doubt: str
) -> None:
    belief = believed(*later)

    assert (belief.missing, belief.doubt) == (missing, doubt)


def test_without_figures_of_the_server_no_tail_is_believed() -> None:
    belief = tails.Belief(since=START, rows=0)
    for seconds in (2.0, 4.0):
        unknown = reading(seconds, 1)
        belief = belief.note(replace(unknown, activity=replace(unknown.activity, known=False)), 10)

    assert belief.doubt == "the server keeps no figures of its tables (track_counts is off)"


# The whole of it, against a model of a table


@dataclass
class Table:
    """A table that grows by some blocks a row, its writers, and a count by its tail."""

    size: int = 200
    written: dict[str, list[int]] = field(default_factory=dict)
    committed: set[int] = field(default_factory=set)
    marks: tails.Tails = field(default_factory=tails.Tails)
    passed: int = 0
    in_tail: int = 0
    clock: float = 0.0
    began: int = 0

    def begin(self) -> None:
        self.began += 1
        self.written[f"w{self.began}"] = []
        self.write(len(self.written) - 1)

    def write(self, chosen: int) -> None:
        """A row of one of the writers, a little before the end where there is room."""
        if self.written:
            block = self.size - chosen % (tails.OVERLAP_BLOCKS // 2)
            self.size += 100
            self.written[sorted(self.written)[chosen % len(self.written)]].append(block * 100_000 + self.size)

    def commit(self, chosen: int) -> None:
        if self.written:
            self.committed |= set(self.written.pop(sorted(self.written)[chosen % len(self.written)]))

    def poll(self, *betweens: Sequence["Step"]) -> None:
        """One count after one reading or several; others go on between the sizes, the writers and the count itself."""
        before = self.marks
        for between in betweens:
            self.clock += 1
            size = self.size
            for step in between[::2]:
                step.take(self)
            present = reading(self.clock, size, sorted(self.written))
            for step in between[1::2]:
                step.take(self)
            self.marks = self.marks.note(present)
        begin = before.begins.get(LEAF, self.marks.begins[LEAF])
        rows = [row // 100_000 for row in self.committed if row // 100_000 >= begin]
        self.passed += sum(block < self.marks.begins[LEAF] for block in rows)
        self.in_tail = sum(block >= self.marks.begins[LEAF] for block in rows)


@dataclass(frozen=True)
class Step:
    name: str
    chosen: int

    def take(self, table: Table) -> None:
        if self.name == "begin":
            table.begin()
        elif self.name == "write":
            table.write(self.chosen)
        else:
            table.commit(self.chosen)


steps = st.builds(Step, st.sampled_from(["begin", "write", "write", "commit"]), st.integers(0, 99))


readings = st.lists(st.lists(steps, max_size=4), min_size=1, max_size=2)


@given(polls=st.lists(st.tuples(st.lists(steps, max_size=60), readings), min_size=1, max_size=12))
def test_every_committed_row_is_counted_once_whatever_order_writers_commit_in(
    polls: list[tuple[list[Step], list[list[Step]]]],
) -> None:
    table = Table()
    table.poll([])
    for meanwhile, betweens in polls:
        for step in meanwhile:
            step.take(table)
        table.poll(*betweens)

        assert table.passed + table.in_tail == len(table.committed)


def test_the_blocks_behind_the_marks_are_counted() -> None:
    assert tails.Tails().note(reading(0, 500)).count_blocks(reading(1, 900)) == 900 - 500 + tails.OVERLAP_BLOCKS
