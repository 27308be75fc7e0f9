"""Counting from the command line, and inside the VPC as a task: one window in, one JSON document out, or a session.

The same code that the controller counts with, so that the answer of a task and of the controller can be compared.
Words, flags and exit codes belong to the command; here are only the options and the answer. A session
(`serve_session`) answers a controller that cannot reach the database; see `answering`.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters import secrets
from burst.adapters.aws import s3_store
from burst.adapters.local import folder_store, system_clock
from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.documents import driver_entries
from burst.domain.receipts import receipt_table, receipts
from burst.kit import measure
from burst.task import answering

# The columns of the platform burst was made for; every one can be named otherwise.
COLUMNS = {"decision": "decision", "at": "created_at_utc", "scope": "platform_run_id"}

LAST_SLICE_SECONDS = 1.0
"""How often the last slice of a burst is polled, once its end has come."""

_REFERENCE = re.compile(r"(env|file|ssm|secretsmanager):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The receipts to count. `dsn` is a secret reference or the DSN itself."""

    dsn: str = field(repr=False)
    columns: Mapping[str, str] = field(default_factory=lambda: dict(COLUMNS))
    form: receipt_table.TableForm = receipt_table.PLAIN_FORM
    application_name: str = "burst/count"

    def source(self, clock: ports.Clock) -> ports.ReceiptSource:
        """The receipts of the place. Raises `errors.UsageError` where the secret does not resolve."""
        return postgres_receipts.PostgresReceipts(
            lambda: _secret(self.dsn),
            columns=self.columns,
            form=self.form,
            application_name=self.application_name,
            now=clock.now,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CountOptions:
    """A window to count, and the patience for it. A `scope` of None counts every scope."""

    place: Place
    window: windows.Window
    scope: str | None = None
    bucket_seconds: float = 60.0
    settle_seconds: float = 0.0
    give_up_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """A burst to count while it runs, in slices of about `every_seconds`, from `start` to `until`.

    Its last slice is polled for `give_up_seconds` after `until`.
    """

    start: datetime
    until: datetime
    scope: str | None = None
    settle_seconds: float = 0.0
    every_seconds: float = 10.0
    give_up_seconds: float = 300.0

    def counter(self, source: ports.ReceiptSource) -> ports.Counter:
        """The counter of the burst."""
        return source.follow(
            start=self.start,
            until=self.until,
            scope=self.scope,
            settle_seconds=self.settle_seconds,
            every_seconds=self.every_seconds,
            patience_seconds=answering.SLICE_PATIENCE_SECONDS,
        )


def count_window(options: CountOptions) -> dict[str, object]:
    """Counts until two counts agree, and returns the answer as JSON values. Raises a `BurstError`."""
    clock = system_clock.SystemClock()
    source = options.place.source(clock)
    measured = measure.measure(
        source,
        window=options.window,
        scope=options.scope,
        bucket_seconds=options.bucket_seconds,
        settling=measure.Settling(
            settle_seconds=options.settle_seconds,
            give_up_at=instants.later(clock.now(), options.give_up_seconds),
            # Without a wait between two counts, a third adds nothing.
            rounds_max=measure.ROUNDS_MAX if options.settle_seconds else 2,
        ),
        clock=clock,
    )
    figures, pages = source.read_figures(), measured.count.pages
    driver = driver_entries.DriverEntry(
        figures=None if figures is None else driver_entries.FiguresEntry.from_figures(figures),
        pages=None if pages is None else driver_entries.PagesEntry.from_pages(pages),
    )
    source.close()
    return {**describe_measurement(measured), "driver": driver.document()}


def follow_burst(place: Place, following: Following) -> Iterator[dict[str, object]]:
    """`count_slices` of the place, on the system's clock. Raises `errors.UsageError` without the secret."""
    clock = system_clock.SystemClock()
    with contextlib.closing(place.source(clock)) as source:
        yield from count_slices(following, source=source, clock=clock)


def count_slices(
    following: Following, *, source: ports.ReceiptSource, clock: ports.Clock
) -> Iterator[dict[str, object]]:
    """The slices of a burst as JSON values, each once it is closed; together they are exactly `start` to `until`.

    A database that does not answer is asked again. Raises `errors.Unavailable` where the last slice does not come in
    time, so that a part is never taken for the whole; `errors.UsageError` and `errors.Refused` at once.
    """
    counter = following.counter(source)
    closes_at = instants.later(following.until, following.settle_seconds)
    give_up_at = instants.later(closes_at, following.give_up_seconds)
    counted_to = following.start
    while True:
        problem = "the database's clock is not past it yet"
        try:
            live = counter.poll(clock.now())
        except errors.Unavailable as exc:
            problem = str(exc)
        else:
            counted_to = live.counted_to
            if live.slice is not None:
                yield _slice(live.slice, live.total)
        if counted_to >= following.until:
            return
        if clock.now() >= give_up_at:
            gap = f"counted to {instants.text(counted_to)} and not to {instants.text(following.until)}"
            raise errors.Unavailable(f"{gap}: {problem}")
        seconds_left = instants.seconds_between(clock.now(), closes_at)
        clock.sleep(min(following.every_seconds, seconds_left if seconds_left > 0 else LAST_SLICE_SECONDS))


def _slice(counted: receipts.WindowCount, total: receipts.Counts) -> dict[str, object]:
    return {"window": _window(counted.window), "counts": _counts(counted.counts), "total": _counts(total)}


def serve_session(place: Place, *, at: str, until: datetime, idle_seconds: float, say: answering.Say) -> int:
    """Answers the questions put at `at` (a folder or `s3://...`), whose last part names the session.

    Returns how many were answered. Raises `errors.UsageError` where the secret does not resolve.
    """
    clock = system_clock.SystemClock()
    store = s3_store.S3Store(at) if at.startswith("s3://") else folder_store.FolderStore(Path(at))
    name = at.rstrip("/").rpartition("/")[2]
    session = answering.CountingSession(name=name, place=store, until=until, idle_seconds=idle_seconds, say=say)
    with contextlib.closing(place.source(clock)) as source:
        return answering.serve(session, source=source, clock=clock)


def describe_measurement(measured: measure.Measurement) -> dict[str, object]:
    """A measurement as JSON values; ratio and rate are None where there are no receipts."""
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
            {"counted_utc": instants.text(count_round.counted_at), "counts": _counts(count_round.counts)}
            for count_round in measured.rounds
        ],
        "settled": measured.settled,
        "open_writers": [{"id": writer.id, "pid": writer.pid, "name": writer.name} for writer in measured.open_writers],
        "late": _counts(measured.late),
        "vanished": _counts(measured.vanished),
    }


def _secret(dsn: str) -> redaction.Secret:
    return secrets.resolve(dsn) if _REFERENCE.match(dsn) else secrets.accept_literal(dsn, origin="the DSN")


def _window(window: windows.Window) -> dict[str, object]:
    return {"start_utc": instants.text(window.start), "end_utc": instants.text(window.end)}


def _counts(counts: receipts.Counts) -> dict[str, int]:
    return {
        "ADMIT": counts.admit,
        "DUPLICATE": counts.duplicate,
        "QUARANTINE": counts.quarantine,
        "other": counts.other,
    }
