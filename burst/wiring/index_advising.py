"""Index advising: the indexes that would make a plan's final count cheap, as statements that burst never runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from burst import ports
from burst.adapters.postgres import index_catalog
from burst.domain.basics import instants, windows, wording
from burst.domain.receipts import count_costs, index_advice, receipt_table
from burst.wiring import table_inspections

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceRequest:
    """The table whose counts are to be cheap. `dsn` is a secret reference, or the DSN itself."""

    dsn: str = field(repr=False)
    form: receipt_table.TableForm
    columns: Mapping[str, str]
    window_seconds: float
    scope: str = "burst"
    expected_receipts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisedIndex:
    """One index that could be made, with its statements; `name` says what it is."""

    name: str
    statements: Sequence[str]
    price: index_advice.IndexPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexAdvice:
    """The indexes that could be made, the likeliest first, and what has to be known of the table."""

    reading: index_catalog.IndexReading
    receipts: int
    indexes: Sequence[AdvisedIndex]
    notes: Sequence[str]
    check_statements: Sequence[str] = ()
    """What would let the database keep the form of text times, so that a count without an index looks at none."""

    @property
    def window_is_there(self) -> bool:
        """Whether a count reads as many rows now as such a window has, so that the two can be compared."""
        return self.reading.estimate.rows_read >= self.receipts

    def find_gain(self, index: AdvisedIndex) -> float | None:
        """How many times fewer pages a count reads with an index; None where there are no such rows yet."""
        return self.reading.estimate.pages_read / index.price.count_pages if self.window_is_there else None


def advise(request: AdviceRequest, clock: ports.Clock) -> IndexAdvice:
    """Reads table, statistics and a sample. Raises `errors.Refused` where no index can be made."""
    catalog = index_catalog.IndexCatalog(lambda: table_inspections.resolve_dsn(request.dsn), now=clock.now)
    now = clock.now()
    window = windows.Window(instants.later(now, -request.window_seconds), now)
    reading = catalog.read(
        request.form,
        request.columns,
        window,
        scope=request.scope,
        give_up_at=instants.later(now, PATIENCE_SECONDS),
    )
    facts = reading.facts
    receipts = request.expected_receipts if request.expected_receipts is not None else reading.estimate.receipts
    covering, _ = index_advice.find_serving(facts)
    indexes: list[AdvisedIndex] = []
    if covering is None:
        if not facts.exceeds_entries:
            price = index_advice.price_covering(facts, receipts)
            covers = index_catalog.write_covering(facts)
            indexes.append(AdvisedIndex(name="covering index", statements=covers, price=price))
        brin = index_advice.price_brin(facts, receipts)
        if brin is not None:
            indexes.append(AdvisedIndex(name="BRIN index", statements=index_catalog.write_brin(facts), price=brin))
    elif facts.lacks_small_index:
        price = index_advice.price_small(facts, receipts)
        indexes.append(AdvisedIndex(name="small index", statements=index_catalog.write_small(facts), price=price))
    may_be_checked = facts.reads_text and not reading.through and not facts.times_checked
    return IndexAdvice(
        reading=reading,
        receipts=receipts,
        indexes=indexes,
        notes=[*_note(reading), *_note_window(reading, receipts)],
        check_statements=index_catalog.write_check(facts)
        if may_be_checked and (indexes or facts.exceeds_entries)
        else (),
    )


def _note_window(reading: index_catalog.IndexReading, receipts: int) -> Iterator[str]:
    """That what a count reads now is no measure of the window that is meant."""
    if reading.estimate.rows_read < receipts:
        yield (
            f"a count reads {wording.format_count(reading.estimate.rows_read, 'row')} now, where the window will have "
            f"{receipts:,}: what it gains cannot be told yet, so advise again once they are there"
        )


def _note_place(reading: index_catalog.IndexReading) -> Iterator[str]:
    if reading.standby:
        yield "this server is a standby: run the statements on its primary, for which times and pages may be others"
    if reading.through:
        yield f"{reading.facts.relation} is the table below the view {reading.through}"


def _note_serving(facts: index_advice.TableFacts) -> Iterator[str]:
    """What serves a count already, and why none is printed that would."""
    covering, by_scope = index_advice.find_serving(facts)
    if covering is None and facts.exceeds_entries:
        yield (
            f"scope, time and decision of one sampled row have {facts.longest_entry_bytes:,} bytes together, and an "
            "index takes 2,704 at most: the server would refuse each INSERT of such a row, so none is printed; let the "
            "scope be a short name"
        )
    if covering is not None:
        yield f"there is one already: {covering.name} holds scope, time and decision"
        if facts.lacks_small_index:
            yield "the small one beside it is missing, so a count looks at the form of each text of the scope"
    elif by_scope is not None:
        yield f"{by_scope.name} finds the scope, and each of its rows is then fetched from the table"


def _note(reading: index_catalog.IndexReading) -> Sequence[str]:
    facts = reading.facts
    notes = [*_note_place(reading), *_note_serving(facts)]
    notes += [f"{name} is not valid: drop it, an interrupted build left it" for name in reading.broken]
    if facts.kind == "p":
        notes.append(
            "a partitioned table takes no index CONCURRENTLY, so each partition gets its own; new ones inherit"
        )
    if facts.times_checked:
        notes.append("a CHECK keeps the form of the times, so a count looks at none of them")
    if facts.reads_text:
        notes.append(
            "times are text: no index can hold the instant of a text, because the cast depends on settings; one in the "
            'order of bytes (COLLATE "C") serves as a filter before the exact cast, and the small one names the rows '
            "whose texts have another form"
        )
    elif not facts.has_typed_time:
        notes.append(f"times are {facts.types.get('at')}: an index serves by the scope alone, and holds the rest")
    if reading.through and (facts.reads_text or facts.time_required):
        notes.append(
            f"a count through the view {reading.through} does not know what the table keeps of its times, and reads "
            f"more: let receipts.table name {facts.relation} itself, where the view leaves out none of its rows"
        )
    if (facts.has_typed_time or facts.reads_text) and not facts.time_required:
        answered = ", and the index alone answers" if facts.has_typed_time else ""
        notes.append(
            f"{facts.columns['at']} may be NULL, so each count looks for such rows too: declare it NOT NULL, where "
            f"that is true{answered}"
        )
    if not facts.widths:
        notes.append("there are no statistics: run ANALYZE, the estimates are guesses until then")
    return notes


def describe_advice(advice: IndexAdvice) -> dict[str, Any]:
    """The advice as JSON values."""
    facts, estimate = advice.reading.facts, advice.reading.estimate
    return {
        "table": facts.relation,
        "through": advice.reading.through,
        "rows": facts.row_count,
        "pages": facts.pages,
        "window_receipts": advice.receipts,
        "pages_without": estimate.pages_read,
        "seconds_without": estimate.estimate_seconds(advice.receipts),
        "estimated_by": count_costs.describe_estimation(estimate),
        "indexes": [
            {
                "name": index.name,
                "statements": list(index.statements),
                "size_bytes": index.price.size_bytes,
                "build_seconds": index.price.build_seconds,
                "pages_with": index.price.count_pages,
                "times_fewer_pages": advice.find_gain(index),
            }
            for index in advice.indexes
        ],
        "check_statements": list(advice.check_statements),
        "notes": list(advice.notes),
    }
