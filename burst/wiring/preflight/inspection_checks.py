"""The preflight check of the database as a whole, where the plan requires it: the findings of `burst db check`.

With `receipts.via: task` only the counting task reaches the database, and a plan that requires the check is refused.
"""

from burst import ports
from burst.control import preflight
from burst.domain.plan import plans
from burst.domain.preflight import database_judgements, findings
from burst.wiring import checking_databases


def list_checks(plan: plans.Plan, clock: ports.Clock) -> tuple[preflight.PreflightCheck, ...]:
    """The check of the database behind `receipts.dsn`; none where the plan does not require it."""
    if not plan.receipts.require_check:
        return ()

    def check() -> findings.Finding:
        request = checking_databases.CheckRequest(plan=plan, give_up_seconds=preflight.PATIENCE_SECONDS)
        return database_judgements.judge_check(checking_databases.check_database(request, clock))

    return (preflight.PreflightCheck(name=database_judgements.CHECK, ask=check),)
