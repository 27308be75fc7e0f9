"""Counting 20 minutes among five million receipts, beside the best statement a person could write for it; and live
counts of a table of that size and of a hundredth, beside one that reads the whole window.

`BENCH_ROWS` names another number of receipts.
"""

import functools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from burst.adapters.postgres import column_types, postgres_receipts
from burst.domain.basics import instants, redaction, windows
from burst.domain.receipts import receipts
from burst.sandbox import embedded_postgres
from burst.task import counting

ROWS = int(os.environ.get("BENCH_ROWS", "5000000"))
ROUNDS = 5
POLLS = 15
NEW_ROWS = 500
START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START + timedelta(hours=2), START + timedelta(hours=2, minutes=20))
SCOPE, LIVE_SCOPE = "large", "live"

# 57.5 receipts a second as the platform writes them, about 300 bytes each; one in ten belongs to another scope.
FILL = """
insert into receipts (receipt_id, platform_run_id, event_id, dedupe_key, decision, created_at_utc, receipt_ref)
select md5(i::text), case when i %% 10 = 0 then 'small' else 'large' end, md5(i::text), md5(i::text) || md5(i::text),
    case when i %% 100 < 96 then 'ADMIT' when i %% 100 < 99 then 'DUPLICATE' else 'QUARANTINE' end,
    to_char(timestamp '2026-02-21T02:00:00' + i * interval '17391 us', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00',
    repeat('x', 100)
from generate_series(1, %s) as i
"""
NEW = """
insert into receipts (receipt_id, platform_run_id, event_id, dedupe_key, decision, created_at_utc, receipt_ref)
select md5(random()::text), 'live', md5(i::text), md5(i::text) || md5(i::text), 'DUPLICATE',
    to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00', repeat('x', 100)
from generate_series(1, %s) as i
"""
_TALLY = """
select count(*) filter (where decision = 'ADMIT'), count(*) filter (where decision = 'DUPLICATE'),
    count(*) filter (where decision = 'QUARANTINE'), count(*)
from receipts where platform_run_id = %(scope)s
"""
_CAST = _TALLY + " and created_at_utc::timestamptz >= %(start)s and created_at_utc::timestamptz < %(end)s"
# What a person writes who knows that every text ends in +00:00: with the exact cast behind it, and without.
_BY_TEXT = _TALLY + """ and created_at_utc collate "C" >= %(first)s and created_at_utc collate "C" < %(last)s"""
_BY_TEXT_AND_CAST = _BY_TEXT + _CAST.removeprefix(_TALLY)
# What a person writes who trusts no text, and sees what the shipped count sees: other offsets, blanks, digits beyond
# ASCII. The planner casts last only behind an OFFSET. It is the fastest by hand that is right for those texts.
_FORMS = " or ".join(
    f"created_at_utc like '____-__-__T__:__:__{fraction}{offset}'"
    for offset in ("+00:00", "Z")
    for fraction in (".______", ".___", "")
)
_EXACT = f"""
select count(*) filter (where decision = 'ADMIT'), count(*) filter (where decision = 'DUPLICATE'),
    count(*) filter (where decision = 'QUARANTINE'), count(*)
from (select created_at_utc::timestamptz as at, decision from receipts
    where platform_run_id = %(scope)s and (
        created_at_utc collate "C" >= %(early)s and created_at_utc collate "C" < %(late)s or ({_FORMS}) is not true
        or strpos(created_at_utc, ' ') between 1 and 32 or octet_length(created_at_utc) between 33 and 128)
    offset 0) as read
where at >= %(start)s and at < %(end)s
"""  # noqa: S608 - the bench's own words
_BY_HAND = {"cast": _CAST, "exact": _EXACT, "text_and_cast": _BY_TEXT_AND_CAST, "text": _BY_TEXT}
_USUAL = f"created_at_utc ~ '{column_types.USUAL_TEXT}'"
_INDEXES = (
    'create index by_text on receipts (platform_run_id, created_at_utc collate "C", decision)',
    f"create index unusual on receipts (platform_run_id) where ({_USUAL}) is not true",
)


def run() -> dict[str, object]:
    """Medians of rounds taken in turns, in seconds for final counts and in milliseconds for live ones; and the pages
    that each statement read. `no_index_checked`: a CHECK keeps the form of the times, which are NOT NULL, as `burst db
    advise` says, so that no count looks at either."""
    with embedded_postgres.start(durable=False) as server:
        small = server.create_database("small")
        for dsn, rows in ((server.dsn, ROWS), (small, ROWS // 100)):
            _fill(dsn, rows)
        live = {name: _time_polls(dsn) for name, dsn in (("large", server.dsn), ("small", small))}
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("set timezone to 'UTC'")
            plain = _compare(connection, server.dsn, "no_index")
            connection.execute(f"alter table receipts add constraint usual check ({_USUAL})".encode())
            connection.execute("alter table receipts alter column created_at_utc set not null")
            checked = _compare(connection, server.dsn, "no_index_checked")
            connection.execute("alter table receipts drop constraint usual")
            connection.execute("alter table receipts alter column created_at_utc drop not null")
            for index in _INDEXES:
                connection.execute(index.encode())
            connection.execute("vacuum analyze receipts")
            indexed = _compare(connection, server.dsn, "index")
    return {
        "rows": ROWS,
        **plain,
        **checked,
        **indexed,
        "live_poll_ms_large": live["large"][0],
        "live_poll_ms_small": live["small"][0],
        "live_poll_large_to_small": live["large"][0] / live["small"][0],
        "live_poll_by_whole_window_ms_large": live["large"][1],
        "live_poll_by_whole_window_ms_small": live["small"][1],
    }


def _fill(dsn: str, rows: int) -> None:
    embedded_postgres.apply_schema(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        connection.execute(FILL, [rows])
        connection.execute("vacuum analyze receipts")


@contextmanager
def _source(dsn: str) -> Iterator[postgres_receipts.PostgresReceipts]:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS)
    yield source
    source.close()


def _compare(connection: psycopg.Connection[Any], dsn: str, name: str) -> dict[str, object]:
    """The shipped count, with its own connection, clock and 20 buckets, in turns with the statements by hand, which
    have no buckets. They run on an open connection; the one with the name `..._and_connection` opens its own, as the
    shipped count does, and as a person's `psql -c` would."""
    values = {"scope": SCOPE, "start": WINDOW.start, "end": WINDOW.end}
    values |= {"first": f"{WINDOW.start:%Y-%m-%dT%H:%M:%S}", "last": f"{WINDOW.end:%Y-%m-%dT%H:%M:%S}"}
    values |= {
        "early": f"{WINDOW.start - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}",
        "late": f"{WINDOW.end + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}",
    }

    def count_by_hand(statement: str) -> receipts.Counts:
        admit, duplicate, quarantine, total = connection.execute(statement.encode(), values).fetchone() or (0,) * 4
        return receipts.Counts(
            admit=admit, duplicate=duplicate, quarantine=quarantine, other=total - admit - duplicate - quarantine
        )

    with _source(dsn) as source:

        def count_shipped() -> receipts.WindowCount:
            give_up_at = instants.later(datetime.now(UTC), 60)
            return source.count(WINDOW, scope=SCOPE, bucket_seconds=60, give_up_at=give_up_at)

        recorded = count_shipped()
        inline = _inline(recorded).replace("%%", "%").encode()
        acts: dict[str, Callable[[], object]] = {
            "shipped": count_shipped,
            "shipped_statement": lambda: connection.execute(inline).fetchall(),
        }
        for by_hand, statement in _BY_HAND.items():
            assert count_by_hand(statement) == recorded.counts
            acts[by_hand] = functools.partial(count_by_hand, statement)
        acts["text_and_cast_and_connection"] = functools.partial(_count_once, dsn, _BY_TEXT_AND_CAST, values)
        rounds = [{each: _seconds(act) for each, act in acts.items()} for _ in range(ROUNDS)]
    seconds = {each: statistics.median(timed[each] for timed in rounds) for each in acts}
    pages = {"shipped": _pages(connection, _inline(recorded))}
    pages |= {by_hand: _pages(connection, statement, values) for by_hand, statement in _BY_HAND.items()}
    return {
        f"{name}_receipts_in_window": recorded.counts.total,
        **{f"{name}_{each}_seconds": seconds[each] for each in acts},
        f"{name}_shipped_to_text_and_cast": seconds["shipped"] / seconds["text_and_cast"],
        f"{name}_shipped_to_text_and_cast_and_connection": seconds["shipped"] / seconds["text_and_cast_and_connection"],
        f"{name}_shipped_statement_to_text_and_cast": seconds["shipped_statement"] / seconds["text_and_cast"],
        f"{name}_shipped_to_exact": seconds["shipped"] / seconds["exact"],
        f"{name}_cast_to_shipped": seconds["cast"] / seconds["shipped"],
        **{f"{name}_{each}_pages": pages[each] for each in pages},
    }


def _count_once(dsn: str, statement: str, values: dict[str, Any]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode(), values).fetchone()


def _inline(count: receipts.WindowCount) -> str:
    """The recorded statement with its recorded values in it."""
    statement = count.sql
    for name, value in sorted(count.binds, key=lambda bind: -len(bind[0])):
        statement = statement.replace(f":{name}", f"'{value}'")
    return statement.replace("%", "%%")


def _pages(connection: psycopg.Connection[Any], statement: str, values: dict[str, Any] | None = None) -> int:
    explained = connection.execute(
        f"explain (analyze, buffers, timing off, format json) {statement}".encode(), values or {}
    ).fetchone()
    assert explained is not None
    plan = explained[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _time_polls(dsn: str) -> tuple[float, float]:
    """Milliseconds of a live count with 500 new receipts each, and of a count of the whole window so far."""
    polled, whole = [], []
    with psycopg.connect(dsn, autocommit=True) as connection, _source(dsn) as source:
        until = instants.later(datetime.now(UTC), 600)
        source.open(until)
        source.wait_for_mark(30)
        start = datetime.now(UTC)
        counter = source.follow(
            start=start, until=until, scope=LIVE_SCOPE, settle_seconds=0.5, every_seconds=2.0, patience_seconds=30.0
        )
        for _ in range(POLLS):
            connection.execute(NEW, [NEW_ROWS])
            polled.append(1000 * _seconds(lambda: counter.poll(datetime.now(UTC))))
            window = windows.Window(start, datetime.now(UTC))
            give_up_at = instants.later(window.end, 60)
            count = functools.partial(
                source.count, window, scope=LIVE_SCOPE, bucket_seconds=window.seconds, give_up_at=give_up_at
            )
            whole.append(1000 * _seconds(count))
    return statistics.median(polled), statistics.median(whole)


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
