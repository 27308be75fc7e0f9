"""How many events a second the gateway takes, durably: one process of keep-alive connections against the real thing."""

import asyncio
import statistics
import time
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg

from burst.sandbox import embedded_postgres, gateway

API_KEY = "bench-key"
CLIENTS = 64
SECONDS = 5.0
WARM_UP_SECONDS = 1.0
DUPLICATE_EVERY = 25  # 4 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answered request."""

    at: float
    seconds: float
    status: int


async def _client(port: int, name: str, until: float, answers: list[Answered]) -> None:
    """Send one event after another over one connection; each 25th is the one before it again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sequence = 0
    while time.perf_counter() < until:
        sequence += 1
        number = sequence - 1 if sequence % DUPLICATE_EVERY == 0 else sequence
        body = (
            f'{{"event_id":"{name}-{number}","event_type":"bench","platform_run_id":"platform_bench",'
            f'"payload":{{"number":{number}}}}}'
        ).encode()
        sent = time.perf_counter()
        writer.write(
            b"POST /v1/ingest/push HTTP/1.1\r\nhost: bench\r\nx-ig-api-key: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (API_KEY.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        now = time.perf_counter()
        answers.append(Answered(at=now, seconds=now - sent, status=int(head[9:12])))
    writer.close()
    await writer.wait_closed()


async def _load(port: int) -> list[Answered]:
    answers: list[Answered] = []
    until = time.perf_counter() + WARM_UP_SECONDS + SECONDS
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_client(port, uuid.uuid4().hex, until, answers))
    return [answer for answer in answers if answer.at >= until - SECONDS]


def run() -> dict[str, object]:
    """Measure for 5 s after a warm-up of 1 s, load and server and database on the same cores."""
    with embedded_postgres.start() as server:
        dsn = server.create_database()
        with gateway.start(dsn=dsn, api_key=API_KEY) as running:
            answers = asyncio.run(_load(urlsplit(running.url).port or 0))
        with psycopg.connect(dsn) as connection:
            decisions = connection.execute("SELECT decision, count(*) FROM receipts GROUP BY 1").fetchall()
    taken = [answer for answer in answers if answer.status == 200]
    by_share = statistics.quantiles([answer.seconds for answer in taken], n=100)
    return {
        "gateway_events_per_second": round(len(taken) / SECONDS),
        "gateway_p50_ms": round(by_share[49] * 1000, 1),
        "gateway_p99_ms": round(by_share[98] * 1000, 1),
        "gateway_not_200": len(answers) - len(taken),
        "gateway_receipts": dict(decisions),
        "gateway_clients": CLIENTS,
        "gateway_durable": True,
    }
