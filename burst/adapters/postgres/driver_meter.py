"""The meter of the driver: counts each statement where psycopg sends it, whoever asked for it.

psycopg prepares by itself, and a script goes past SQLAlchemy. So the connection and its cursors count, and no layer
above them.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import psycopg
from psycopg import pq

from burst.domain.receipts import driver_figures


class DriverMeter:
    """Adds up what the connections of one database do, on whatever threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted = driver_figures.NOTHING_YET
        self._waits: dict[object, tuple[float, float]] = {}
        """Of each wait that goes on: when it began, and for how long the server lets it."""

    @property
    def figures(self) -> driver_figures.DriverFigures:
        """The figures so far, with the time of statements that have no answer yet."""
        with self._lock:
            now, figures = time.monotonic(), self._counted
            for began, limit_seconds in self._waits.values():
                figures += _describe_wait(now - began, limit_seconds)
            return figures

    def count(self, more: driver_figures.DriverFigures) -> None:
        """Adds figures."""
        with self._lock:
            self._counted += more

    @contextlib.contextmanager
    def waiting(self, limit_seconds: float) -> Iterator[None]:
        """Counts a wait for the server, which ends a statement after `limit_seconds` at the latest."""
        wait, began = object(), time.monotonic()
        with self._lock:
            self._waits[wait] = (began, limit_seconds)
        try:
            yield
        finally:
            with self._lock:
                del self._waits[wait]
                self._counted += _describe_wait(time.monotonic() - began, limit_seconds)


def _describe_wait(seconds: float, limit_seconds: float) -> driver_figures.DriverFigures:
    return driver_figures.DriverFigures(database_seconds=min(seconds, limit_seconds), largest_wait_seconds=seconds)


class MeteredConnection(psycopg.Connection[Any]):
    """A connection whose work a meter counts, from `begin_counting` on. It is one with `autocommit`: what else would
    send a BEGIN of its own is not counted."""

    meter: DriverMeter | None = None
    limit_seconds: float = 0.0
    """For how long the server lets a statement run."""

    def __init__(self, *words: Any, **options: Any) -> None:
        """Counts the names of prepared statements from a random number, where psycopg counts them from 0.

        A pooler may give a transaction a server on which another client prepared its own statements: one of the same
        name would answer instead, and nobody would see it.
        """
        super().__init__(*words, **options)
        self._prepared._prepared_idx = secrets.randbits(62)

    def begin_counting(self, meter: DriverMeter, limit_seconds: float) -> Self:
        """Counts this connection, and all that is sent over it from now on."""
        self.meter, self.limit_seconds = meter, limit_seconds
        meter.count(driver_figures.DriverFigures(connections=1))
        return self

    def commit(self) -> None:
        """Commits, which psycopg sends only where a transaction was begun."""
        with self._ending():
            super().commit()

    def rollback(self) -> None:
        """Rolls back, which psycopg sends only where a transaction was begun."""
        with self._ending():
            super().rollback()

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        if self.meter is None or self.closed or self.info.transaction_status == pq.TransactionStatus.IDLE:
            yield
            return
        self.meter.count(driver_figures.DriverFigures(round_trips=1))
        with self.meter.waiting(self.limit_seconds):
            yield


class MeteredCursor(psycopg.Cursor[Any]):
    """A cursor of a `MeteredConnection`."""

    _has_prepared = False
    """Whether the statement that is executed now was prepared for this execution."""

    def execute(self, *words: Any, **options: Any) -> Self:
        """Executes one statement or script, and counts it and its answer."""
        connection = self.connection
        if not isinstance(connection, MeteredConnection) or connection.meter is None:
            return super().execute(*words, **options)
        connection.meter.count(driver_figures.DriverFigures(statements=1, round_trips=1))
        with connection.meter.waiting(connection.limit_seconds):
            super().execute(*words, **options)
        connection.meter.count(self._describe_rows())
        return self

    def _describe_rows(self) -> driver_figures.DriverFigures:
        answer = self.pgresult
        if answer is None or answer.status != pq.ExecStatus.TUPLES_OK:
            return driver_figures.NOTHING_YET
        values = (answer.get_value(row, column) for row in range(answer.ntuples) for column in range(answer.nfields))
        return driver_figures.DriverFigures(
            rows=answer.ntuples, bytes_received=sum(len(value or b"") for value in values)
        )

    # psycopg's own steps of a prepared execution: they show what was prepared, where its settings would only promise it

    def _send_prepare(self, *words: Any, **options: Any) -> None:
        super()._send_prepare(*words, **options)
        self._has_prepared = True
        self._count(driver_figures.DriverFigures(prepared=1, round_trips=1))

    def _send_query_prepared(self, *words: Any, **options: Any) -> None:
        super()._send_query_prepared(*words, **options)
        self._count(driver_figures.DriverFigures(reused=int(not self._has_prepared)))
        self._has_prepared = False

    def _count(self, more: driver_figures.DriverFigures) -> None:
        connection = self.connection
        if isinstance(connection, MeteredConnection) and connection.meter is not None:
            connection.meter.count(more)
