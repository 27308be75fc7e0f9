"""Counting from the command line, and inside the VPC as a one-shot task: one window in, one JSON document out.

The same code that the controller counts with, so that the answer of a task and of the controller can be compared.
Words, flags and exit codes belong to the command; here are only the options and the answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from burst import measure
from burst.adapters import postgres, secrets, system_clock
from burst.domain import instants, receipts
from burst.domain import window as windows

# The tables and columns of the platform burst was made for; every one can be named otherwise.
TABLE = "receipts"
COLUMNS = {"decision": "decision", "at": "created_at_utc", "scope": "platform_run_id"}

_REFERENCE = re.compile(r"(env|file|ssm|secretsmanager):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to count. `dsn` is a secret reference or the DSN itself; a `scope` of None counts every scope."""

    dsn: str = field(repr=False)
    window: windows.Window
    scope: str | None = None
    table: str = TABLE
    columns: Mapping[str, str] = field(default_factory=lambda: dict(COLUMNS))
    bucket_seconds: float = 60.0
    settle_seconds: float = 0.0
    give_up_seconds: float = 300.0
    application_name: str = "burst/count"


def run(options: Options) -> dict[str, object]:
    """Counts until two counts agree, and gives the answer as JSON values. Raises errors of `burst.domain.errors`."""
    clock = system_clock.SystemClock()
    source = postgres.PostgresReceipts(
        _secret(options.dsn),
        table=options.table,
        columns=options.columns,
        application_name=options.application_name,
        now=clock.now,
    )
    measured = measure.measure(
        source,
        window=options.window,
        scope=options.scope,
        bucket_seconds=options.bucket_seconds,
        settle_seconds=options.settle_seconds,
        clock=clock,
        give_up_at=instants.later(clock.now(), options.give_up_seconds),
        # Without a wait between them, more than two counts tell nothing more.
        rounds_max=measure.ROUNDS_MAX if options.settle_seconds else 2,
    )
    return document(measured)


def document(measured: measure.Measurement) -> dict[str, object]:
    """A measurement as JSON values; ratio and rate are None where there is nothing to make them of."""
    count = measured.count
    per_second = receipts.rate_per_second(count.counts.admit, count.window.seconds) if count.counts.total else None
    return {
        "window": {**_window(count.window), "seconds": count.window.seconds},
        "scope": count.scope,
        "counts": _counts(count.counts),
        "admit_ratio": receipts.admit_ratio(count.counts),
        "admits_per_minute": None if per_second is None else per_second * 60,
        "buckets": [{**_window(bucket.window), "counts": _counts(bucket.counts)} for bucket in count.buckets],
        "sql": count.sql,
        "binds": dict(count.binds),
        "clock": {
            "database_now_utc": instants.text(count.clock.database_now),
            "skew_seconds": count.clock.skew_seconds,
            "round_trip_seconds": count.clock.round_trip_seconds,
            "worst_skew_seconds": count.clock.worst_skew_seconds,
        },
        "rounds": [
            {"counted_utc": instants.text(each.counted_at), "counts": _counts(each.counts)} for each in measured.rounds
        ],
        "settled": measured.settled,
        "late": _counts(measured.late),
        "vanished": _counts(measured.vanished),
    }


def _secret(dsn: str) -> secrets.Secret:
    return secrets.resolve(dsn) if _REFERENCE.match(dsn) else secrets.literal(dsn, origin="the DSN")


def _window(window: windows.Window) -> dict[str, object]:
    return {"start_utc": instants.text(window.start), "end_utc": instants.text(window.end)}


def _counts(counts: receipts.Counts) -> dict[str, int]:
    return {
        "ADMIT": counts.admit,
        "DUPLICATE": counts.duplicate,
        "QUARANTINE": counts.quarantine,
        "other": counts.other,
    }
