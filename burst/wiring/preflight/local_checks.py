"""The preflight checks of the local target: its program on this machine, and its host reached from here."""

from collections.abc import Callable

from burst import ports
from burst.control import preflight
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.wiring.preflight import halt_checks, sending_hosts, shared_answers
from burst.wiring.targets import local_terms

IMPORT_SECONDS = 60.0
"""How long Locust may take to import a locustfile: two seconds on a quiet machine, many times that on a busy one."""


def list_checks(
    plan: plans.Plan,
    receipts: preflight.ReceiptChecks,
    describe_program: Callable[[], str],
    halt: ports.HaltSwitch,
) -> list[preflight.PreflightCheck]:
    """Every check of the target. `describe_program` raises `errors.Refused` where the program cannot run."""
    checks = [
        preflight.PreflightCheck(name="halt", ask=lambda: halt_checks.ask_switch(halt)),
        preflight.PreflightCheck(
            name="program",
            ask=lambda: findings.report_pass("program", describe_program()),
            elsewhere=True,
            extra_seconds=IMPORT_SECONDS - preflight.PATIENCE_SECONDS,
        ),
        preflight.PreflightCheck(name="cost", ask=lambda: local_terms.FREE),
    ]
    if plan.load.host is None:
        return checks
    ingests = shared_answers.list_ingests(plan)
    reach = preflight.PreflightCheck(
        name="host-reachable",
        ask=lambda: findings.report_pass("host-reachable", shared_answers.reach_all(ingests)),
    )
    return [
        *checks,
        reach,
        shared_answers.check_canary(plan, receipts, ingests, lambda: shared_answers.resolve_api_key(plan)),
        receipts.judge_sending(lambda: sending_hosts.describe_machine(plan)),
    ]
