"""Writers: eight at once that write receipts late, out of order, in savepoints and prepared transactions, and that
rewrite or delete others; and a counter that is polled meanwhile."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from burst import ports
from burst.adapters.postgres import tail_counter
from burst.domain.basics import errors
from burst.domain.receipts import receipts
from tests import waiting

SCOPE = "a"
INSERT = (
    "insert into receipts (receipt_id, platform_run_id, decision, created_at_utc, receipt_ref)"
    " values (md5(random()::text), %s, %s, %s, repeat('x', %s))"
)
CHOSEN = " where ctid in (select ctid from receipts where platform_run_id = 'a' order by random() limit 3)"
REWRITES = {
    "delete": f"delete from receipts{CHOSEN}".encode(),  # noqa: S608 - the test's own words
    "update": f"update receipts set receipt_ref = 'y'{CHOSEN}".encode(),  # noqa: S608 - the test's own words
}
WRITERS = 8


def connect(dsn: str) -> psycopg.Connection[Any]:
    return psycopg.connect(dsn, autocommit=True)


def run(dsn: str, *commands: str) -> None:
    with connect(dsn) as connection:
        for command in commands:
            connection.execute(command.encode())


def insert(dsn: str, number: int, *, at: datetime | None = None, table: str = "receipts") -> None:
    with connect(dsn) as connection, connection.cursor() as cursor:
        moment = (at or datetime.now(UTC)).isoformat()
        cursor.executemany(INSERT.replace("receipts", table, 1), [(SCOPE, "ADMIT", moment, 100)] * number)


class Writer(threading.Thread):
    """Writes in transactions of one habit until it is told to end."""

    def __init__(self, dsn: str, seed: int, habits: Sequence[str], ended: threading.Event) -> None:
        super().__init__(name=f"writer-{seed}", daemon=True)
        self._dsn, self._habits, self._ended = dsn, habits, ended
        self._chance = random.Random(seed)
        self.rewritten = 0
        """How many rows it has deleted or updated so far."""

    def run(self) -> None:
        with psycopg.connect(self._dsn) as connection:
            while not self._ended.is_set():
                self._write(connection, self._chance.choice(self._habits))
                time.sleep(self._chance.random() * 0.02)

    def _write(self, connection: psycopg.Connection[Any], habit: str) -> None:
        moment = datetime.now(UTC).isoformat()
        for number in range(self._chance.choice([1, 1, 3, 30])):
            values = [
                self._chance.choice("ab"), self._chance.choice(["ADMIT", "DUPLICATE", "odd"]), moment,
                self._chance.choice([0, 10, 100, 1000]) if habit == "sizes" else 100,
            ]  # fmt: skip
            with connection.transaction() if habit == "savepoint" else contextlib.nullcontext():
                connection.execute(INSERT, values)
            if habit == "late" and number == 0:
                time.sleep(self._chance.random() * self._chance.choice([0.05, 0.8]))
        rewritten = connection.execute(REWRITES[habit]).rowcount if habit in REWRITES else 0
        if habit == "prepare":
            self._prepare(connection)
        elif habit == "rollback":
            connection.rollback()
        else:
            connection.commit()
        self.rewritten += rewritten

    def _prepare(self, connection: psycopg.Connection[Any]) -> None:
        name = f"burst_{self.name}_{self._chance.random()}"
        connection.execute(f"prepare transaction '{name}'".encode())
        connection.rollback()
        time.sleep(self._chance.random() * 0.3)
        connection.autocommit = True
        connection.execute(f"commit prepared '{name}'".encode())
        connection.autocommit = False


@contextlib.contextmanager
def writing(dsn: str, seed: int, *habits: str) -> Iterator[Sequence[Writer]]:
    ended = threading.Event()
    threads = [Writer(dsn, seed * 100 + number, habits, ended) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def poll_to_the_end(counter: ports.Counter, until: datetime, between: Callable[[], None]) -> receipts.LiveCount:
    live = receipts.LiveCount(slice=None, total=receipts.Counts(), counted_to=until)
    chance = random.Random(1)
    while datetime.now(UTC) < until:
        with contextlib.suppress(errors.Unavailable):
            live = counter.poll(datetime.now(UTC))
        between()
        time.sleep(chance.random() * 0.3)
    return live


def total_at_the_end(counter: tail_counter.TailCounter) -> receipts.Counts:
    """The total once the last slice is closed, and what is in doubt was counted whole."""

    def counted() -> receipts.Counts | None:
        with contextlib.suppress(errors.Unavailable):
            live = counter.poll(datetime.now(UTC))
            return live.total if live.counted_to == counter.followed.until else None
        return None

    return waiting.until(counted, seconds=60, what="the last slice")
