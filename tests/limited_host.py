"""An ingest with a known limit, as a process of its own, with its receipts in a real Postgres.

Up to so many events a second it is the reference gateway. Above them it refuses with 429, or answers late: each event
waits for its turn.
"""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection

from burst.sandbox import envelope, receipt_writer

_TAKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_REFUSED = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\nno"
_BURST_SECONDS = 0.25
"""How long it takes more than its limit after a rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Events a second, and what becomes of those above: refused, or answered late."""

    per_second: float
    refuses: bool = True


class _Turns:
    """The turns of the events, so many a second: each has its instant, or none where it is refused."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._next_at = 0.0

    def take(self, now: float) -> float | None:
        """How long an event waits for its turn; None: it gets none."""
        self._next_at = max(self._next_at, now - _BURST_SECONDS)
        wait_seconds = max(0.0, self._next_at - now)
        if wait_seconds and self._limit.refuses:
            return None
        self._next_at += 1 / self._limit.per_second
        return wait_seconds


class _Host:
    def __init__(self, limit: Limit, writer: receipt_writer.ReceiptWriter) -> None:
        self._turns = _Turns(limit)
        self._writer = writer

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the events of one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                wait_seconds = self._turns.take(time.monotonic())
                if wait_seconds is None:
                    writer.write(_REFUSED)
                    continue
                if wait_seconds:
                    await asyncio.sleep(wait_seconds)
                await self._writer.decide(envelope.read_delivery(body))
                writer.write(_TAKEN)
        writer.close()


async def _serve(limit: Limit, dsn: str, port: "connection.Connection") -> None:
    writer = receipt_writer.ReceiptWriter(dsn)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        while not writer.ready:
            await asyncio.sleep(0.005)
        server = await asyncio.start_server(_Host(limit, writer).answer, "127.0.0.1", 0, backlog=10_000)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()


def _run(limit: Limit, dsn: str, port: "connection.Connection") -> None:
    asyncio.run(_serve(limit, dsn, port))


@contextmanager
def start(limit: Limit, dsn: str) -> Iterator[str]:
    """The address of a host, which ends with the block."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(limit, dsn, there), daemon=True)
    process.start()
    there.close()  # so that a host that could not begin is no endless wait
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        process.join()
        here.close()
