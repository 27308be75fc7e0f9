"""Answers that several preflight checks use: a value that the first check makes for all, the API key, the canary."""

import threading
from collections.abc import Callable
from typing import TypeVar

from burst.adapters import ingest_client, secrets
from burst.control import preflight
from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.preflight import findings

T = TypeVar("T")


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Calls `make` once for all threads: every later call gets the same value, or the same error raised again."""
    lock = threading.Lock()
    values: list[T] = []
    failures: list[errors.BurstError] = []

    def get() -> T:
        with lock:
            if failures:
                raise failures[0]
            if not values:
                try:
                    values.append(make())
                except errors.BurstError as exc:
                    failures.append(exc)
                    raise
            return values[0]

    return get


def load_key(plan: plans.Plan) -> str | None:
    """The API key behind the plan's own reference; None where the plan names none."""
    return secrets.resolve(plan.load.api_key).reveal() if plan.load.api_key else None


def canary(
    plan: plans.Plan,
    receipts: preflight.ReceiptChecks,
    host: ingest_client.Ingest,
    read_key: Callable[[], str | None],
) -> preflight.PreflightCheck:
    """The check that one event becomes a receipt; a warning where the plan forbids to send one."""
    if plan.load.canary:
        return receipts.canary(lambda event: host.push(event, read_key()), host.url)
    warning = findings.warning("canary", "load.canary is false: nothing shows that an event becomes a receipt")
    return preflight.PreflightCheck(name="canary", ask=lambda: warning)
