"""The receipt writer: decides deliveries in Postgres, many in one transaction, and answers each only after its commit.

Batches form by themselves: deliveries that arrive during a commit make up the next batch. A batch is a transaction with
two statements. The first inserts the admissions, whose primary key decides which events are new. The second inserts the
receipts. Both insert in sorted order, so that batches with the same keys on two connections wait for each other and
never deadlock. If an event is in a batch twice, the first delivery is the candidate and the others are duplicates.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from burst.sandbox import envelope

LONGEST_BATCH = 200
LONGEST_QUEUE = 2000
CONNECTIONS = 2

_BATCH_SECONDS = 10.0
_RECONNECT_SECONDS = 0.1

_INSERT_ADMISSIONS = """
INSERT INTO admissions (dedupe_key, state, platform_run_id, event_class, event_id, payload_hash, receipt_ref,
                        admitted_at_utc)
SELECT dedupe_key, 'ADMITTED', platform_run_id, event_class, event_id, payload_hash, receipt_ref, admitted_at_utc
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
  AS new (dedupe_key, platform_run_id, event_class, event_id, payload_hash, receipt_ref, admitted_at_utc)
ON CONFLICT (dedupe_key) DO NOTHING
RETURNING dedupe_key
"""

_INSERT_RECEIPTS = """
INSERT INTO receipts (platform_run_id, receipt_id, event_id, event_type, dedupe_key, decision, policy_id,
                      created_at_utc, receipt_ref, pins_json, reason_codes_json, evidence_refs_json)
SELECT platform_run_id, receipt_id, event_id, event_type, nullif(dedupe_key, ''), decision, 'reference',
       created_at_utc, receipt_ref, '{}', reason_codes_json, '[]'
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
  AS new (platform_run_id, receipt_id, event_id, event_type, dedupe_key, decision, created_at_utc, receipt_ref,
          reason_codes_json)
ON CONFLICT (platform_run_id, receipt_id) DO NOTHING
"""


class DeliveryNotTaken(Exception):
    """The delivery has no receipt: the database is away, or too many deliveries wait for it. The sender may retry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The committed decision on one delivery."""

    decision: envelope.Decision
    receipt_id: str
    delivery: envelope.ReceivedEvent
    created_at_utc: str

    @property
    def reference(self) -> str:
        """The name under which an admission points to this receipt."""
        return receipt_reference(self.receipt_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _QueuedDelivery:
    delivery: envelope.ReceivedEvent
    answer: asyncio.Future[Receipt]


def receipt_reference(receipt_id: str) -> str:
    """The name under which an admission points to its receipt."""
    return f"receipts/{receipt_id}"


class ReceiptWriter:
    """Takes deliveries from many requests and writes them in batches over a few connections of its own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._queue: asyncio.Queue[_QueuedDelivery] = asyncio.Queue(LONGEST_QUEUE)
        self._connected = 0

    @property
    def ready(self) -> bool:
        """Whether at least one connection to the database is open."""
        return self._connected > 0

    async def decide(self, delivery: envelope.ReceivedEvent) -> Receipt:
        """The delivery's receipt, once it is committed. Raises `DeliveryNotTaken`."""
        if not self.ready:
            raise DeliveryNotTaken("the database is away")
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_QueuedDelivery(delivery=delivery, answer=answer))
        except asyncio.QueueFull:
            raise DeliveryNotTaken("too many deliveries wait for the database") from None
        return await answer

    async def run(self) -> None:
        """Writes batches until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._keep_writing())

    async def _keep_writing(self) -> None:
        while True:
            with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
                await self._write_over_one_connection()
            if not self.ready:
                self._turn_away(self._take_queued())
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _write_over_one_connection(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=5, application_name="burst-gateway"
        )
        self._connected += 1
        try:
            while True:
                first = await self._queue.get()
                await self._write_batch(connection, [first, *self._take_queued(LONGEST_BATCH - 1)])
        finally:
            self._connected -= 1
            await connection.close()

    async def _write_batch(self, connection: psycopg.AsyncConnection, batch: Sequence[_QueuedDelivery]) -> None:
        try:
            async with asyncio.timeout(_BATCH_SECONDS):
                receipts = await _commit(connection, [queued.delivery for queued in batch])
        except BaseException:
            self._turn_away(batch)
            raise
        for queued, receipt in zip(batch, receipts, strict=True):
            if not queued.answer.done():
                queued.answer.set_result(receipt)

    def _take_queued(self, most: int = LONGEST_QUEUE) -> list[_QueuedDelivery]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]

    @staticmethod
    def _turn_away(batch: Iterable[_QueuedDelivery]) -> None:
        for queued in batch:
            if not queued.answer.done():
                queued.answer.set_exception(DeliveryNotTaken("the database is away"))


async def _commit(
    connection: psycopg.AsyncConnection, deliveries: Sequence[envelope.ReceivedEvent]
) -> tuple[Receipt, ...]:
    now = datetime.now(UTC).isoformat()
    async with connection.transaction():
        new_keys = await _insert_admissions(connection, deliveries, now)
        receipts = tuple(_decide(delivery, new_keys, now) for delivery in deliveries)
        await _insert(connection, _INSERT_RECEIPTS, sorted({_receipt_row(receipt) for receipt in receipts}))
    return receipts


async def _insert_admissions(
    connection: psycopg.AsyncConnection, deliveries: Sequence[envelope.ReceivedEvent], now: str
) -> set[str]:
    """Inserts the admissions of the deliveries that are not malformed, and returns the dedupe keys that were new."""
    candidates = {delivery.dedupe_key: delivery for delivery in reversed(deliveries) if not delivery.reasons}
    rows = sorted(_admission_row(delivery, now) for delivery in candidates.values())
    if not rows:
        return set()
    cursor = await _insert(connection, _INSERT_ADMISSIONS, rows)
    return {key for (key,) in await cursor.fetchall()}


def _decide(delivery: envelope.ReceivedEvent, new_keys: set[str], now: str) -> Receipt:
    """Decides one delivery. The first delivery with a new key removes the key from `new_keys`."""
    if delivery.reasons:
        decision: envelope.Decision = envelope.QUARANTINE
    elif delivery.dedupe_key in new_keys:
        new_keys.remove(delivery.dedupe_key)
        decision = envelope.ADMIT
    else:
        decision = envelope.DUPLICATE
    return Receipt(
        decision=decision,
        receipt_id=envelope.make_receipt_id(decision, delivery.event_id),
        delivery=delivery,
        created_at_utc=now,
    )


def _admission_row(delivery: envelope.ReceivedEvent, now: str) -> tuple[str, ...]:
    receipt_id = envelope.make_receipt_id(envelope.ADMIT, delivery.event_id)
    return (
        delivery.dedupe_key, delivery.scope, delivery.event_class, delivery.event_id, delivery.payload_hash,
        receipt_reference(receipt_id), now,
    )  # fmt: skip


def _receipt_row(receipt: Receipt) -> tuple[str, ...]:
    delivery = receipt.delivery
    return (
        delivery.scope, receipt.receipt_id, delivery.event_id, delivery.event_type, delivery.dedupe_key,
        receipt.decision, receipt.created_at_utc, receipt.reference, json.dumps(delivery.reasons),
    )  # fmt: skip


async def _insert(
    connection: psycopg.AsyncConnection, statement: str, rows: Sequence[tuple[str, ...]]
) -> psycopg.AsyncCursor[tuple[str]]:
    """Runs an insert that takes its rows as one array for each column."""
    return await connection.execute(statement.encode(), [list(column) for column in zip(*rows, strict=True)])
