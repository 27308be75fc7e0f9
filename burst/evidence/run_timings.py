"""Run timings: the lanes of a run at a place, and the markers of its load account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from burst.domain.basics import errors
from burst.domain.closure import timings
from burst.domain.documents import document_names, load_documents, models
from burst.domain.run import journals
from burst.domain.run.events import launch_events
from burst.evidence import places

if TYPE_CHECKING:
    from burst import ports


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRun:
    """The lanes of one run, and how often its load program passed each marker."""

    execution_id: str
    table: timings.LaneTable
    markers: dict[str, int]
    marked: tuple[timings.TimeLane, ...] = ()
    """The markers as lanes, where the account says when they were reached."""


def measure(place: str, opener: places.Opener | None = None) -> TimedRun:
    """The lanes of the run at a place. Raises the errors of a journal that is missing, broken, or not understood."""
    store = (opener or places.Opener()).run(place).store
    journal = store.read(document_names.JOURNAL)
    entries = journals.parse(journal, document_names.JOURNAL)
    first = entries[0].event if entries else None
    execution_id = first.execution_id if isinstance(first, launch_events.RunCreated) else place
    table, load = timings.measure_lanes(journal), _read_load(store)
    return TimedRun(
        execution_id=execution_id,
        table=table,
        markers=dict(load.markers) if load else {},
        marked=timings.list_marker_lanes(load, table.seconds) if load else (),
    )


def _read_load(store: ports.EvidenceStore) -> load_documents.Load | None:
    suffix = document_names.load_name("")
    name = next((name for name in store.names() if name.endswith(suffix)), None)
    if name is None:
        return None
    try:
        return models.read(load_documents.Load, store.read(name))
    except errors.BurstError:
        return None
