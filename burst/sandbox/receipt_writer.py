"""The writer: decides deliveries in Postgres, many to a transaction, and answers each only after its commit.

Batches form by themselves: while one is being committed, the next gathers. A batch is a transaction of two statements:
the admissions first, whose primary key decides what is new, then the receipts. Both go in sorted order, so batches that
meet on the same keys in two connections wait for each other and never in a circle. An event that comes twice within one
batch is settled here: the first is the candidate, the others are duplicates.
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
    """The delivery was not taken: the database is away, or too much waits for it. The sender may try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to one delivery, committed."""

    decision: envelope.Decision
    receipt_id: str
    delivery: envelope.Delivery
    created_at_utc: str

    @property
    def reference(self) -> str:
        """Where the receipt is kept, as the admission names it."""
        return receipt_reference(self.receipt_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    delivery: envelope.Delivery
    answer: asyncio.Future[Receipt]


def receipt_reference(receipt_id: str) -> str:
    """The name under which an admission points to its receipt."""
    return f"receipts/{receipt_id}"


class ReceiptWriter:
    """Takes deliveries from many requests and writes them in batches over a few connections of its own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(LONGEST_QUEUE)
        self._connected = 0

    @property
    def ready(self) -> bool:
        """Whether any connection to the database stands."""
        return self._connected > 0

    async def decide(self, delivery: envelope.Delivery) -> Receipt:
        """The receipt, once it is committed; `DeliveryNotTaken` when the database cannot take it now."""
        if not self.ready:
            raise DeliveryNotTaken("the database is away")
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Waiting(delivery=delivery, answer=answer))
        except asyncio.QueueFull:
            raise DeliveryNotTaken("too many deliveries wait for the database") from None
        return await answer

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._keep_writing())

    async def _keep_writing(self) -> None:
        while True:
            with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
                await self._write_over_one_connection()
            if not self.ready:
                self._turn_away(self._waiting())
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _write_over_one_connection(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=5, application_name="burst-gateway"
        )
        self._connected += 1
        try:
            while True:
                await self._write_batch(connection, [await self._queue.get(), *self._waiting(LONGEST_BATCH - 1)])
        finally:
            self._connected -= 1
            await connection.close()

    async def _write_batch(self, connection: psycopg.AsyncConnection, batch: Sequence[_Waiting]) -> None:
        try:
            async with asyncio.timeout(_BATCH_SECONDS):
                receipts = await _commit(connection, [one.delivery for one in batch])
        except BaseException:
            self._turn_away(batch)
            raise
        for one, receipt in zip(batch, receipts, strict=True):
            if not one.answer.done():
                one.answer.set_result(receipt)

    def _waiting(self, most: int = LONGEST_QUEUE) -> list[_Waiting]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]

    @staticmethod
    def _turn_away(batch: Iterable[_Waiting]) -> None:
        for one in batch:
            if not one.answer.done():
                one.answer.set_exception(DeliveryNotTaken("the database is away"))


async def _commit(connection: psycopg.AsyncConnection, deliveries: Sequence[envelope.Delivery]) -> tuple[Receipt, ...]:
    now = datetime.now(UTC).isoformat()
    async with connection.transaction():
        new = await _admit(connection, deliveries, now)
        receipts = tuple(_receipt(delivery, new, now) for delivery in deliveries)
        await _insert(connection, _INSERT_RECEIPTS, sorted({_receipt_row(receipt) for receipt in receipts}))
    return receipts


async def _admit(connection: psycopg.AsyncConnection, deliveries: Sequence[envelope.Delivery], now: str) -> set[str]:
    """Insert what is sound; the dedupe keys that were new."""
    candidates = {delivery.dedupe_key: delivery for delivery in reversed(deliveries) if not delivery.reasons}
    rows = sorted(_admission_row(delivery, now) for delivery in candidates.values())
    if not rows:
        return set()
    cursor = await _insert(connection, _INSERT_ADMISSIONS, rows)
    return {key for (key,) in await cursor.fetchall()}


def _receipt(delivery: envelope.Delivery, new: set[str], now: str) -> Receipt:
    """Decide one delivery; a new key is used up by the first delivery that has it."""
    if delivery.reasons:
        decision: envelope.Decision = envelope.QUARANTINE
    elif delivery.dedupe_key in new:
        new.remove(delivery.dedupe_key)
        decision = envelope.ADMIT
    else:
        decision = envelope.DUPLICATE
    return Receipt(
        decision=decision,
        receipt_id=envelope.make_receipt_id(decision, delivery.event_id),
        delivery=delivery,
        created_at_utc=now,
    )


def _admission_row(delivery: envelope.Delivery, now: str) -> tuple[str, ...]:
    admitted = envelope.make_receipt_id(envelope.ADMIT, delivery.event_id)
    return (
        delivery.dedupe_key, delivery.scope, delivery.event_class, delivery.event_id, delivery.payload_hash,
        receipt_reference(admitted), now,
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
    """Run an insert that takes its rows as one array for each column."""
    return await connection.execute(statement.encode(), [list(column) for column in zip(*rows, strict=True)])
