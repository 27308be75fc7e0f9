"""Which preflight checks a plan is held to, by target, and what each of them asks.

A check is a name and a question; what is seen is judged in `domain.launchable`. Whatever questions share (receipts,
task definition, the caller, clients) is made by the first that wants it, so that they can all be asked at once.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from burst import ports
from burst.adapters import ingest_client, secrets
from burst.adapters.aws import account
from burst.adapters.local import system_clock
from burst.control import preflight
from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.preflight import findings, judgements
from burst.kit import aws
from burst.wiring import inputs, preparing
from burst.wiring.preflight import ecs_checks, machine, shared_answers
from burst.wiring.targets import ecs_target, local_target, receipt_sources

CONNECTIONS = 2
"""How many connections the checks of a preflight share: making one takes longer than most questions, and with two a
question that is slow on a large table holds up no other."""


def run(
    prepared: preparing.Prepared, clock: ports.Clock, observer: preflight.Observer = preflight.UNSEEN
) -> tuple[findings.Finding, ...]:
    """Every preflight check's findings; `observer` is shown how far they are."""
    with contextlib.ExitStack() as asked:

        def source() -> ports.ReceiptSource:
            made = receipt_sources.source(prepared.plan, clock, kept_connections=CONNECTIONS)
            asked.callback(receipt_sources.close, made)
            return made

        made = of(
            prepared.plan,
            problems=prepared.problems,
            required_admits_per_second=prepared.required_admits_per_second,
            source=source,
            signer=inputs.signer(prepared.plan, clock),
            clock=clock,
        )
        seconds = preflight.patience_seconds(prepared.plan) + preflight.OVERTIME_SECONDS
        return preflight.run(made, observer=observer, seconds=seconds)


def cost(plan: plans.Plan) -> findings.Finding:
    """What the plan's burst costs at most, as far as that can be known from here."""
    if plan.target.kind == "local":
        return judgements.affordable(plan, None, "")
    if not account.configured():
        return findings.warning("cost", "unknown: the task's size is AWS's to say, which is not configured here")
    try:
        size = ecs_target.definition(plan, system_clock.SystemClock()).size
        return judgements.affordable(plan, size, aws.region())
    except errors.BurstError as exc:
        return findings.warning("cost", f"unknown: {exc}")


def of(
    plan: plans.Plan,
    *,
    problems: Mapping[str, errors.BurstError],
    required_admits_per_second: float | None,
    source: Callable[[], ports.ReceiptSource],
    signer: Callable[[], ports.Signer] | None,
    clock: ports.Clock,
) -> tuple[preflight.PreflightCheck, ...]:
    """Every check of a plan. `problems`: what was found wrong with the inputs when the plan was resolved, by check."""
    there = account.AwsAccount()
    counter = (
        shared_answers.once(lambda: ecs_checks.counter(there, plan, clock)) if plan.receipts.via == "task" else None
    )
    receipts = preflight.ReceiptChecks(plan, shared_answers.once(lambda: _answering(source, counter)), clock)
    made = [
        preflight.PreflightCheck(name="baseline", ask=lambda: _baseline(plan, problems)),
        preflight.PreflightCheck(name="prior", ask=lambda: _prior(plan, problems)),
        preflight.PreflightCheck(name="rate", ask=lambda: judgements.rate(plan, required_admits_per_second)),
        preflight.PreflightCheck(name="source", ask=lambda: judgements.source(plan, required_admits_per_second)),
        preflight.PreflightCheck(name="runs-folder", ask=lambda: machine.try_folder(Path(plan.evidence.local))),
        preflight.PreflightCheck(name="secrets", ask=lambda: _secrets(plan)),
        preflight.PreflightCheck(name="host", ask=lambda: judgements.host(plan)),
        *receipts.checks(),
    ]
    if signer is not None:
        made.append(preflight.PreflightCheck(name="signing", ask=functools.partial(_signing, signer)))
    if counter is not None:
        made.append(preflight.PreflightCheck(name="counter", ask=counter))
    made += ecs_checks.of(plan, there, receipts, clock) if plan.target.kind == "ecs" else _here(plan, receipts)
    return tuple(made)


def _answering(
    source: Callable[[], ports.ReceiptSource], counter: Callable[[], findings.Finding] | None
) -> ports.ReceiptSource:
    """The receipts. Raises `errors.Refused` where a task counts them and is known to be unable to: ECS would take the
    better part of a minute to start it, or to say that it cannot.
    """
    if counter is not None and counter().refused:
        raise errors.Refused(f"nothing was asked: {counter().seen}")
    return source()


def _baseline(plan: plans.Plan, problems: Mapping[str, errors.BurstError]) -> findings.Finding:
    if "baseline" in problems:
        raise problems["baseline"]
    return findings.passed("baseline", "it can be used" if plan.baseline else "the plan names none")


def _prior(plan: plans.Plan, problems: Mapping[str, errors.BurstError]) -> findings.Finding:
    if "prior" in problems:
        raise problems["prior"]
    if plan.rerun is None or plan.rerun.prior is None:
        return findings.passed("prior", "the plan names none")
    if inputs.run_behind(plan) is None:
        return findings.warning(
            "prior",
            f"{plan.rerun.prior} is a snapshot without its run's evidence: what is carried from it is taken on its "
            "word, and verifying this run will say that nobody can tell (9)",
        )
    return findings.passed("prior", "its evidence holds")


def _signing(signer: Callable[[], ports.Signer]) -> findings.Finding:
    return findings.passed("signing", f"key {signer().key_id[:16]} can be used")


def _secrets(plan: plans.Plan) -> findings.Finding:
    """Resolves every reference whose value is used on this machine."""
    load = plan.load
    wanted = [] if plan.receipts.via == "task" else [str(plan.receipts.dsn)]
    if plan.target.kind == "local":
        wanted += [
            value for value in (load.api_key, *load.environment.values()) if value and secrets.is_reference(value)
        ]
    wrong = []
    for reference in wanted:
        try:
            secrets.resolve(reference)
        except errors.BurstError as exc:
            wrong.append(str(exc))
    shown = f"resolved, none to a placeholder: {', '.join(wanted) or 'none'}"
    return findings.judged_value("secrets", "; ".join(wrong), shown)


def _here(plan: plans.Plan, receipts: preflight.ReceiptChecks) -> list[preflight.PreflightCheck]:
    made = [
        preflight.PreflightCheck(
            name="program", ask=lambda: findings.passed("program", local_target.program_there(plan)), elsewhere=True
        ),
        preflight.PreflightCheck(name="cost", ask=lambda: judgements.affordable(plan, None, "")),
    ]
    if plan.load.host is None:
        return made
    there = ingest_client.Ingest(plan.load.host)
    made.append(
        preflight.PreflightCheck(name="host-reachable", ask=lambda: findings.passed("host-reachable", there.reach()))
    )
    return [*made, shared_answers.canary(plan, receipts, there, lambda: shared_answers.key(plan))]
