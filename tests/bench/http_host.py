"""A host in memory, as a process of its own: it answers each POST with 200, keeps nothing, and tells how many it had.

A GET is answered with that number and the seconds of the processor that the host has used.
"""

import asyncio
import http.client
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a host answers: each answer after `delay_seconds`; none for `stall_seconds`, that long after its first."""

    delay_seconds: float = 0.0
    stall_after_seconds: float = 0.0
    stall_seconds: float = 0.0


class _Host:
    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._first_at: float | None = None
        self._posts = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET "):
                    writer.write(self._describe())
                    continue
                self._posts += 1
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                wait_seconds = self._wait_seconds(time.monotonic())
                if wait_seconds:
                    await asyncio.sleep(wait_seconds)
                writer.write(_ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _describe(self) -> bytes:
        body = json.dumps({"posts": self._posts, "cpu_seconds": time.process_time()}).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    def _wait_seconds(self, now: float) -> float:
        self._first_at = now if self._first_at is None else self._first_at
        stalled_at = self._first_at + self._manner.stall_after_seconds
        goes_on_at = stalled_at + self._manner.stall_seconds
        return max(self._manner.delay_seconds, goes_on_at - now if stalled_at <= now < goes_on_at else 0.0)


async def _serve(manner: Manner, port: "connection.Connection") -> None:
    server = await asyncio.start_server(_Host(manner).answer, "127.0.0.1", 0, backlog=10_000)
    port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _run(manner: Manner, port: "connection.Connection") -> None:
    asyncio.run(_serve(manner, port))


@contextmanager
def start(manner: Manner | None = None) -> Iterator[int]:
    """The port of a host, which ends with the block."""
    here, there = multiprocessing.Pipe()
    arguments = (manner or Manner(), there)
    process = multiprocessing.get_context("spawn").Process(target=_run, args=arguments, daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFigures:
    """What a host had until now, and what it took."""

    posts: int
    cpu_seconds: float


def look(port: int) -> HostFigures:
    """Ask a host for its figures."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return HostFigures(**json.load(connection.getresponse()))
    finally:
        connection.close()
