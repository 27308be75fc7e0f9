"""Answers that the checks of every target share: values made once for all of them, the key, and the canary."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from burst.adapters import ingest_client, secrets
from burst.control import preflight
from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.preflight import findings

T = TypeVar("T")


def make_once(make: Callable[[], T]) -> Callable[[], T]:
    """A function that makes its value on the first call; every call returns that value, or raises its error."""
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


def resolve_api_key(plan: plans.Plan) -> str | None:
    """The ingest's key, by the plan's own reference."""
    return secrets.resolve(plan.load.api_key).reveal() if plan.load.api_key else None


def list_ingests(plan: plans.Plan) -> tuple[ingest_client.Ingest, ...]:
    """Every ingest that the tasks send to; none where the plan names no host."""
    return tuple(ingest_client.Ingest.of_plan(plan, host) for host in plan.load.list_hosts(plan.target.tasks))


def reach_all(ingests: Sequence[ingest_client.Ingest]) -> str:
    """Connects to each. Raises `errors.Unavailable` for the first that cannot be reached."""
    return "; ".join(ingest.reach() for ingest in ingests)


def _make_canary(ingest: ingest_client.Ingest, resolve_key: Callable[[], str | None]) -> preflight.CanaryIngest:
    return preflight.CanaryIngest(url=ingest.url, push=lambda event: ingest.push(event, resolve_key()))


def check_canary(
    plan: plans.Plan,
    receipts: preflight.ReceiptChecks,
    ingests: Sequence[ingest_client.Ingest],
    resolve_key: Callable[[], str | None],
) -> preflight.PreflightCheck:
    """The check that one event for each ingest becomes a receipt; a warning where the plan turns it off."""
    if plan.load.canary:
        return receipts.canary([_make_canary(ingest, resolve_key) for ingest in ingests])
    words = "load.canary is false, so no event has shown that it becomes a receipt"
    return preflight.PreflightCheck(name="canary", ask=lambda: findings.report_warning("canary", words))
