"""How long a count of a 20-minute window takes among a million receipts, beside the barest statement that could do."""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg

from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import redaction, windows
from burst.domain.receipts import receipts
from burst.sandbox import embedded_postgres
from burst.task import counting

ROWS = 1_000_000
ROUNDS = 5
START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START + timedelta(hours=2), START + timedelta(hours=2, minutes=20))

# 57.5 receipts a second as the platform writes them; one in ten belongs to another, smaller scope.
_FILL = """
insert into receipts (receipt_id, platform_run_id, event_id, dedupe_key, decision, created_at_utc, receipt_ref)
select md5(i::text), case when i %% 10 = 0 then 'small' else 'large' end, md5(i::text), md5(i::text) || md5(i::text),
    case when i %% 100 < 96 then 'ADMIT' when i %% 100 < 99 then 'DUPLICATE' else 'QUARANTINE' end,
    to_char(timestamp '2026-02-21T02:00:00' + i * interval '17391 us', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00',
    repeat('x', 100)
from generate_series(1, %s) as i
"""
_BARE = """
select count(*) filter (where decision = 'ADMIT'), count(*) filter (where decision = 'DUPLICATE'),
    count(*) filter (where decision = 'QUARANTINE'), count(*)
from receipts
where platform_run_id = %s and created_at_utc::timestamptz >= %s and created_at_utc::timestamptz < %s
"""


def run() -> dict[str, object]:
    """Median seconds of 5, taken in turns: the bare cast on an open connection, and the shipped count with its own
    connection, clock reading and 20 buckets; for a scope of nine tenths and of one tenth of the rows."""
    with embedded_postgres.start(durable=False) as server:
        embedded_postgres.apply_schema(server.dsn)
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("set timezone to 'UTC'")
            connection.execute(_FILL, [ROWS])
            connection.execute("vacuum analyze receipts")
            source = postgres_receipts.PostgresReceipts(redaction.Secret(server.dsn), columns=counting.COLUMNS)
            return {
                "rows": ROWS,
                **_compared(connection, source, "large"),
                **_compared(connection, source, "small"),
            }


def _compared(
    connection: psycopg.Connection, source: postgres_receipts.PostgresReceipts, scope: str
) -> dict[str, object]:
    def bare() -> receipts.Counts:
        row = connection.execute(_BARE, (scope, WINDOW.start, WINDOW.end)).fetchone()
        assert row is not None
        admit, duplicate, quarantine, total = row
        return receipts.Counts(
            admit=admit, duplicate=duplicate, quarantine=quarantine, other=total - admit - duplicate - quarantine
        )

    def shipped() -> receipts.Counts:
        give_up_at = datetime.now(UTC) + timedelta(seconds=60)
        return source.count(WINDOW, scope=scope, bucket_seconds=60, give_up_at=give_up_at).counts

    assert bare() == shipped()
    rounds = [(_seconds(bare), _seconds(shipped)) for _ in range(ROUNDS)]
    return {
        f"{scope}_scope_receipts_in_window": shipped().total,
        f"{scope}_scope_bare_cast_seconds": statistics.median(each[0] for each in rounds),
        f"{scope}_scope_shipped_count_seconds": statistics.median(each[1] for each in rounds),
    }


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
