"""The preflight checks of the database as a whole, where burst reaches it itself: the settings of its role, and the
check that a plan requires.

With `receipts.via: task` only the counting task reaches the database, and a plan that requires the check is refused.
"""

from collections.abc import Callable
from typing import TypeAlias

from burst import ports
from burst.adapters import secrets
from burst.control import preflight
from burst.domain.plan import plans
from burst.domain.preflight import database_judgements
from burst.wiring import checking_databases

ListChecks: TypeAlias = Callable[
    [plans.Plan, preflight.ReceiptChecks, ports.Clock], tuple[preflight.PreflightCheck, ...]
]


def list_none(_: plans.Plan, __: preflight.ReceiptChecks, ___: ports.Clock) -> tuple[preflight.PreflightCheck, ...]:
    """No check, for a preflight whose receipts are not those of a database."""
    return ()


def list_checks(
    plan: plans.Plan, receipts: preflight.ReceiptChecks, clock: ports.Clock
) -> tuple[preflight.PreflightCheck, ...]:
    """The checks of the database behind `receipts.dsn`."""
    if plan.receipts.via == "task":
        return ()
    role_settings = receipts.role_settings(
        lambda: checking_databases.make_inspector(secrets.resolve(str(plan.receipts.dsn)))
    )
    if not plan.receipts.require_check:
        return (role_settings,)
    request = checking_databases.CheckRequest(plan=plan, give_up_seconds=preflight.PATIENCE_SECONDS)
    check = preflight.PreflightCheck(
        name=database_judgements.CHECK,
        ask=lambda: database_judgements.judge_check(checking_databases.check_database(request, clock)),
    )
    return (role_settings, check)
