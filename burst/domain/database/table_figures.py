"""Table figures: the estimated bloat of one table, and the sum of the tables behind one name."""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from burst.domain.documents import database_checks

ROW_OVERHEAD_BYTES = 28
"""Item pointer and header of a row."""
PAGE_HEADER_BYTES = 24
_ALIGNMENT = 8


def estimate_bloat_bytes(
    *, size_bytes: int, rows: float, row_width: float | None, fill_percent: int, page_bytes: int
) -> int | None:
    """The bytes of a table beyond what its rows need, by the planner's estimates; None where there are none."""
    if rows < 0 or row_width is None:
        return None if size_bytes else 0
    aligned = math.ceil(row_width / _ALIGNMENT) * _ALIGNMENT
    usable = (page_bytes - PAGE_HEADER_BYTES) * fill_percent / 100
    needed = math.ceil(rows * (ROW_OVERHEAD_BYTES + aligned) / usable) * page_bytes
    return max(0, size_bytes - needed)


def sum_tables(name: str, rows: Sequence[database_checks.TableRow]) -> database_checks.TableRow | None:
    """The sum of the tables that hold rows: of vacuums the oldest, of ages the largest; a figure that one of them does
    not have is not known of the sum either. None where no table holds rows."""
    holding = [row for row in rows if row.kind != "partitioned table"]
    if not holding:
        return None
    return database_checks.TableRow(
        name=name,
        kind=holding[0].kind if len(rows) == 1 else "partitioned table",
        live_rows=_add(row.live_rows for row in holding),
        dead_rows=_add(row.dead_rows for row in holding),
        modified_since_analyze=_add(row.modified_since_analyze for row in holding),
        last_vacuum_utc=_oldest(holding, lambda row: row.last_vacuum_utc),
        last_autovacuum_utc=_oldest(holding, lambda row: row.last_autovacuum_utc),
        last_analyze_utc=_oldest(holding, lambda row: row.last_analyze_utc),
        last_autoanalyze_utc=_oldest(holding, lambda row: row.last_autoanalyze_utc),
        pages=sum(row.pages for row in holding),
        size_bytes=sum(row.size_bytes for row in holding),
        total_bytes=sum(row.total_bytes for row in holding),
        bloat_bytes=_add(row.bloat_bytes for row in holding),
        frozen_age=max((row.frozen_age for row in holding if row.frozen_age is not None), default=None),
    )


def _add(figures: Iterable[int | None]) -> int | None:
    values = list(figures)
    return sum(figure for figure in values if figure is not None) if None not in values else None


def _oldest(
    rows: Sequence[database_checks.TableRow], choose: Callable[[database_checks.TableRow], datetime | None]
) -> datetime | None:
    instants = [choose(row) for row in rows]
    return min((at for at in instants if at is not None), default=None) if None not in instants else None
