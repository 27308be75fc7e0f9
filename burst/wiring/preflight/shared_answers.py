"""What the checks of every target share: a thing that is made once for all of them, the key, and the canary."""

import threading
from collections.abc import Callable
from typing import TypeVar

from burst.adapters import ingest_client, secrets
from burst.control import preflight
from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.preflight import findings

T = TypeVar("T")


def make_once(make: Callable[[], T]) -> Callable[[], T]:
    """The same thing for whoever asks, made by the first; what making it raised, raised again."""
    lock = threading.Lock()
    made: list[T] = []
    failed: list[errors.BurstError] = []

    def get() -> T:
        with lock:
            if failed:
                raise failed[0]
            if not made:
                try:
                    made.append(make())
                except errors.BurstError as exc:
                    failed.append(exc)
                    raise
            return made[0]

    return get


def resolve_api_key(plan: plans.Plan) -> str | None:
    """The key of the plan's own reference."""
    return secrets.resolve(plan.load.api_key).reveal() if plan.load.api_key else None


def check_canary(
    plan: plans.Plan,
    receipts: preflight.ReceiptChecks,
    there: ingest_client.Ingest,
    sent_with: Callable[[], str | None],
) -> preflight.PreflightCheck:
    """The check that one event becomes a receipt; a warning where the plan wants none sent."""
    if plan.load.canary:
        return receipts.canary(lambda event: there.push(event, sent_with()), there.url)
    words = "load.canary is false: nothing shows that an event becomes a receipt"
    return preflight.PreflightCheck(name="canary", ask=lambda: findings.report_warning("canary", words))
