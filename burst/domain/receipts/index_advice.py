"""Index advice: which index makes a final count cheap, how large it would be, and what it would save, by estimate.

Sizes follow from the widths that the server's statistics have, and times from a sample. Nothing is ever created.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ROLES = ("decision", "at", "scope")
PAGE_BYTES = 8192
_TUPLE_BYTES = 8 + 4
"""The header of an index entry, and its pointer on the page."""
_ALIGNMENT = 8
_LEAF_FILL = 0.9
_LONGEST_ENTRY_BYTES = 2_600
"""A third of a page (2,704 bytes) is the longest that a btree takes, with its header."""
_TREE_PAGES = 2
_BRIN_RANGE_PAGES = 128
_BRIN_ENTRY_BYTES = 48
_BRIN_FROM_PAGES = 1_000
_BRIN_CORRELATION = 0.95
"""From here on the order of a column is nearly that of the rows on disk."""
TYPED_TIMES = frozenset({"timestamptz", "timestamp", "int2", "int4", "int8"})
"""Types of a time that is compared as it is, so that any index of it serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentIndex:
    """An index as it stands. `keys` are column names in order; an expression is empty.

    `second_by_bytes`: its second key is a text in the order of bytes, the only one in which a count compares texts.
    """

    name: str
    method: str
    keys: tuple[str, ...]
    includes: tuple[str, ...]
    valid: bool
    partial: bool
    second_by_bytes: bool = False

    @property
    def columns(self) -> frozenset[str]:
        """Every column that it holds."""
        return frozenset((*self.keys, *self.includes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition, at any depth, with the table that it is directly a partition of; both names quoted.

    `divided`: it has partitions itself, and no rows.
    """

    relation: str
    parent: str
    divided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """The facts of a table: its size, and by role the column's name, type and width in bytes.

    `time_correlation` says how far the order of times is that of the rows on disk. `sort_seconds` is the time to sort
    one row of the sample, for each doubling, and `form_seconds` that to tell whether a text has the usual form.
    """

    relation: str
    kind: str
    row_count: int
    pages: int
    columns: Mapping[str, str]
    types: Mapping[str, str]
    widths: Mapping[str, float]
    time_required: bool
    time_correlation: float
    indexes: Sequence[PresentIndex]
    partitions: Sequence[Partition]
    """At any depth, each behind the one that it is a partition of."""
    page_seconds: float
    sort_seconds: float
    reads_text: bool
    """Whether times are texts that are equal only where their bytes are: only those are compared with a pattern."""
    form_seconds: float = 0.0
    times_checked: bool = False
    """Whether a CHECK keeps texts of the time in the usual form."""
    unusual_indexed: bool = False
    """Whether a small index names the rows whose texts have another form."""
    longest_entry_bytes: int = 0
    """The longest scope, time and decision of the sample together, as they are kept; 0 where none was seen."""

    @property
    def lacks_small_index(self) -> bool:
        """Whether a count looks at the form of each text of its scope, as neither an index nor a CHECK names it."""
        return self.reads_text and not self.unusual_indexed and not self.times_checked

    @property
    def exceeds_entries(self) -> bool:
        """Whether a row of the sample is too long for an index of scope, time and decision: the server would refuse
        to make it, or each INSERT of such a row once it is there."""
        return self.longest_entry_bytes > _LONGEST_ENTRY_BYTES

    @property
    def has_typed_time(self) -> bool:
        """Whether the time is compared as it is, and not read from a text first."""
        return self.types.get("at", "") in TYPED_TIMES


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPrice:
    """An index that could be made: its size, the time to build it here, and the pages that a count then reads."""

    pages: int
    build_seconds: float
    count_pages: int

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return self.pages * PAGE_BYTES


def find_serving(facts: TableFacts) -> tuple[PresentIndex | None, PresentIndex | None]:
    """The index that answers a count alone, and the one that at least finds the scope; None where there is none."""
    scope, at = facts.columns["scope"], facts.columns["at"]
    usable = [index for index in facts.indexes if index.valid and not index.partial and index.method == "btree"]
    by_scope = [index for index in usable if index.keys[:1] == (scope,)]
    by_time = [index for index in by_scope if index.keys[1:2] == (at,)]
    timed = [index for index in by_time if index.second_by_bytes or not facts.reads_text]
    whole = [index for index in timed if {facts.columns["decision"], at} <= index.columns]
    return next(iter(whole), None), next(iter(by_scope), None)


def price_covering(facts: TableFacts, receipts: int) -> IndexPrice:
    """The index of scope and time that holds the decision too, for a window with so many receipts."""
    width = sum(facts.widths.get(role, 8.0) for role in ROLES)
    entry = _TUPLE_BYTES + math.ceil(width / _ALIGNMENT) * _ALIGNMENT
    pages = max(1, math.ceil(facts.row_count * entry / (PAGE_BYTES * _LEAF_FILL)))
    share = min(1.0, receipts / facts.row_count) if facts.row_count else 1.0
    return IndexPrice(
        pages=pages,
        build_seconds=_estimate_build(facts, pages, sort=True),
        count_pages=_TREE_PAGES + math.ceil(pages * share),
    )


def price_small(facts: TableFacts, receipts: int) -> IndexPrice:
    """The small index of the rows whose texts have another form, which are few, beside the one that is there."""
    return IndexPrice(
        pages=1,
        build_seconds=_look_at_forms(facts),
        count_pages=price_covering(facts, receipts).count_pages + 1,
    )


def price_brin(facts: TableFacts, receipts: int) -> IndexPrice | None:
    """The small index of a time whose order is that of the rows on disk; None where it would not serve."""
    ordered = abs(facts.time_correlation) >= _BRIN_CORRELATION
    if not facts.has_typed_time or not ordered or facts.pages < _BRIN_FROM_PAGES:
        return None
    pages = 3 + math.ceil(facts.pages / _BRIN_RANGE_PAGES * _BRIN_ENTRY_BYTES / PAGE_BYTES)
    share = min(1.0, receipts / facts.row_count) if facts.row_count else 1.0
    return IndexPrice(
        pages=pages,
        build_seconds=_estimate_build(facts, pages, sort=False),
        count_pages=pages + min(facts.pages, _BRIN_RANGE_PAGES + math.ceil(facts.pages * share)),
    )


def _estimate_build(facts: TableFacts, pages: int, *, sort: bool) -> float:
    """CONCURRENTLY reads the table twice, sorts its rows once, and writes the index."""
    doublings = math.log2(max(2, facts.row_count))
    sorting = facts.row_count * doublings * facts.sort_seconds if sort else 0.0
    forms = _look_at_forms(facts) if sort and facts.lacks_small_index else 0.0
    return 2 * facts.pages * facts.page_seconds + sorting + pages * facts.page_seconds + forms


def _look_at_forms(facts: TableFacts) -> float:
    """The small index looks at the form of each text, in both of its readings."""
    return 2 * (facts.row_count * facts.form_seconds + facts.pages * facts.page_seconds)


def describe_bytes(size: int) -> str:
    """A size in the unit that people read it in."""
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size} bytes"
