"""Which preflight checks a plan is held to, and what each of them asks.

A check is a name and a question; `domain/preflight/judgements.py` judges the answer. Checks that need the same value
(receipts, task definition, caller, clients) share it: the first one makes it, so that all can be asked at once.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from burst import ports
from burst.adapters import secrets
from burst.adapters.aws import alarms
from burst.control import database_ceiling, observing, preflight, probes, sign_watch
from burst.domain.basics import errors, instants, redaction
from burst.domain.plan import catalogues, plans
from burst.domain.preflight import (
    event_judgements,
    findings,
    judgements,
    series_judgements,
    session_keys,
    store_policies,
)
from burst.domain.verdict import baselines
from burst.wiring import earlier_runs, inputs, preparing, series_probes, signers
from burst.wiring.preflight import entry_checks, inspection_checks, machine, playback_checks, shared_answers
from burst.wiring.targets import receipt_sources, targets

NO_WARNINGS: Mapping[str, str] = {}
CONNECTIONS = 2
"""How many connections the checks of a preflight share: making one takes longer than most questions, and with two a
question that is slow on a large table holds up no other."""


def run(
    prepared: preparing.Prepared, clock: ports.Clock, observer: preflight.Observer = preflight.UNSEEN
) -> tuple[findings.Finding, ...]:
    """The findings of every preflight check; `observer` is called as they come.

    The entry gates come first: where one refuses, nothing else is asked, and nothing is sent.
    """
    plan, seconds = prepared.plan, preflight.patience_seconds(prepared.plan) + preflight.OVERTIME_SECONDS
    with contextlib.ExitStack() as stack:

        def open_source() -> ports.ReceiptSource:
            source = receipt_sources.make_source(plan, clock, kept_connections=CONNECTIONS)
            stack.callback(source.close)
            return database_ceiling.limit_source(source, plan)

        source = shared_answers.make_once(open_source)
        entered = preflight.run(_list_entry_checks(plan, source, clock), observer=observer, seconds=seconds)
        if any(finding.refused for finding in entered):
            return entered
        checks = list_checks(
            plan,
            problems=prepared.problems,
            baseline=prepared.baseline,
            open_source=source,
            signer=signers.find_signer(plan, clock),
            clock=clock,
            warnings=prepared.warnings,
        )
        return (*entered, *preflight.run(checks, observer=observer, seconds=seconds))


def _list_entry_checks(
    plan: plans.Plan, source: Callable[[], ports.ReceiptSource], clock: ports.Clock
) -> tuple[preflight.PreflightCheck, ...]:
    """The entry gates of a plan."""
    gates = entry_checks.EntryChecks(
        plan,
        source=source,
        clock=clock,
        redactor=redaction.Redactor(secrets.RESOLVED),
    )
    return gates.list_all()


def list_checks(
    plan: plans.Plan,
    *,
    problems: Mapping[str, errors.BurstError],
    baseline: baselines.Baseline | None,
    open_source: Callable[[], ports.ReceiptSource],
    signer: Callable[[], ports.Signer] | None,
    clock: ports.Clock,
    warnings: Mapping[str, str] = NO_WARNINGS,
) -> tuple[preflight.PreflightCheck, ...]:
    """Every check of a plan. `problems` are those of its inputs, by check, from when the plan was resolved, and
    `warnings` what is to be said of them though they can be used."""
    target = targets.choose(plan, clock)
    counter_check = target.counter_check()
    ask_counter = None if counter_check is None else shared_answers.make_once(counter_check)
    source = shared_answers.make_once(lambda: _open_source(open_source, ask_counter))
    of_playback, count_kept = playback_checks.list_checks(plan)
    receipts = preflight.ReceiptChecks(plan, source, clock, count_kept)
    checks = [
        *_list_input_checks(plan, problems, warnings),
        *_list_load_checks(plan, baseline),
        preflight.PreflightCheck(name="runs-folder", ask=lambda: machine.try_folder(Path(plan.evidence.local))),
        preflight.PreflightCheck(name="secrets", ask=lambda: _check_secrets(plan, target, clock)),
        preflight.PreflightCheck(name="host", ask=lambda: judgements.judge_host(plan)),
        *of_playback,
        *receipts.checks(),
        *inspection_checks.list_checks(plan, clock),
    ]
    checks += _list_source_checks(plan, source, receipts, clock)
    if signer is not None:
        checks.append(preflight.PreflightCheck(name="signing", ask=functools.partial(_check_signing, signer)))
    if ask_counter is not None:
        checks.append(preflight.PreflightCheck(name="counter", ask=ask_counter))
    return (*checks, *target.checks(receipts))


def _list_input_checks(
    plan: plans.Plan, problems: Mapping[str, errors.BurstError], warnings: Mapping[str, str]
) -> Iterable[preflight.PreflightCheck]:
    """The checks of what a plan rests on, and of what its environment demands of its evidence."""
    yield preflight.PreflightCheck(name="baseline", ask=lambda: _check_baseline(plan, problems, warnings))
    yield preflight.PreflightCheck(name="prior", ask=lambda: check_prior(plan, problems, warnings))
    yield preflight.PreflightCheck(name="gate-modes", ask=lambda: _check_gate_modes(plan, problems))
    yield preflight.PreflightCheck(
        name=store_policies.CHECK, ask=lambda: store_policies.to_finding(store_policies.judge_plan(plan))
    )
    yield from _list_reference_check(plan, problems)


def _list_load_checks(plan: plans.Plan, baseline: baselines.Baseline | None) -> Iterable[preflight.PreflightCheck]:
    """The checks of the load: whether the gates can be reached with it."""
    required_rate = preparing.required_rate(plan, baseline)
    baseline_rate = None if baseline is None else baseline.rate_per_second
    yield preflight.PreflightCheck(name="rate", ask=lambda: judgements.judge_rate(plan, required_rate, baseline_rate))
    yield preflight.PreflightCheck(name=event_judgements.CHECK, ask=lambda: event_judgements.judge_events(plan))
    yield preflight.PreflightCheck(name="source", ask=lambda: judgements.judge_source(plan, required_rate))


def _list_source_checks(
    plan: plans.Plan,
    source: Callable[[], ports.ReceiptSource],
    receipts: preflight.ReceiptChecks,
    clock: ports.Clock,
) -> Iterable[preflight.PreflightCheck]:
    """The checks of `stop_when` and `observe`, which ask the receipts among others."""
    if plan.stop_signs:
        yield preflight.PreflightCheck(name="stop-when", ask=lambda: _check_stop_signs(plan, source, receipts, clock))
    if plan.observed_series:
        yield preflight.PreflightCheck(name="observe", ask=lambda: _check_series(plan, source, clock))


def _open_source(
    open_source: Callable[[], ports.ReceiptSource], ask_counter: Callable[[], findings.Finding] | None
) -> ports.ReceiptSource:
    """The receipts. Raises `errors.Refused` where the check of the counting task refuses: ECS would need most of a
    minute to start that task, or to say that it cannot.
    """
    if ask_counter is not None and ask_counter().refused:
        raise errors.Refused(f"nothing was asked: {ask_counter().seen}")
    return open_source()


def _check_baseline(
    plan: plans.Plan, problems: Mapping[str, errors.BurstError], warnings: Mapping[str, str]
) -> findings.Finding:
    if "baseline" in problems:
        raise problems["baseline"]
    if warnings.get("baseline"):
        words = f"the burst is not like its reference run: {warnings['baseline']}"
        return findings.report_warning("baseline", words)
    return findings.report_pass("baseline", "it can be used" if plan.baseline else "the plan names none")


def check_prior(
    plan: plans.Plan, problems: Mapping[str, errors.BurstError], warnings: Mapping[str, str]
) -> findings.Finding:
    """Whether the verdicts that a bounded rerun carries can be taken from where it says."""
    if "prior" in problems:
        raise problems["prior"]
    if plan.blockers_carried_from_nothing:
        blockers = ", ".join(plan.blockers_carried_from_nothing)
        words = f"this rerun will hold: {blockers} come from no prior snapshot, so they stay open"
        return findings.report_warning("prior", words)
    if plan.rerun is None or plan.rerun.prior is None:
        return findings.report_pass("prior", "the plan names none")
    if warnings.get("prior"):
        blocker = plan.blocker(catalogues.Role.DEPENDENCY)
        return findings.report_warning(
            "prior", f"this rerun will hold: {blocker} and its own blockers open for {warnings['prior']}"
        )
    if earlier_runs.run_behind(plan) is None:
        return findings.report_warning(
            "prior",
            f"{plan.rerun.prior} is a snapshot without its run's evidence: the verdicts carried from it are taken on "
            "its word, and verifying this run will exit 9 (cannot tell)",
        )
    return findings.report_pass("prior", "its evidence holds")


def _check_gate_modes(plan: plans.Plan, problems: Mapping[str, errors.BurstError]) -> findings.Finding:
    if "gate-modes" in problems:
        raise problems["gate-modes"]
    informational = [name for name in plan.gates.modes or () if plan.gates.is_informational(name)]
    if informational:
        words = f"{', '.join(informational)}: informational, so a figure that misses its limit opens nothing"
        return findings.report_pass("gate-modes", words)
    return findings.report_pass("gate-modes", "every gate that the plan sets is required")


def _list_reference_check(
    plan: plans.Plan, problems: Mapping[str, errors.BurstError]
) -> tuple[preflight.PreflightCheck, ...]:
    """The check of the reference run, where the plan reproduces one."""

    def ask() -> findings.Finding:
        if "reference" in problems:
            raise problems["reference"]
        return findings.report_pass("reference", "its evidence holds, and it passed")

    return (preflight.PreflightCheck(name="reference", ask=ask),) if plan.reproduces is not None else ()


def _check_signing(signer: Callable[[], ports.Signer]) -> findings.Finding:
    return findings.report_pass("signing", f"key {signer().key_id[:16]} can be used")


def _check_secrets(plan: plans.Plan, target: targets.Target, clock: ports.Clock) -> findings.Finding:
    """Resolves every reference whose value is used on this machine, and warns of a token that ends before the run."""
    database = [] if plan.receipts.via == "task" else [str(plan.receipts.dsn)]
    references = [*database, *target.secret_references()]
    problems, endings = [], []
    for reference in references:
        try:
            ends_at = session_keys.read_token_end(secrets.resolve(reference).reveal())
        except errors.BurstError as exc:
            problems.append(str(exc))
            continue
        needed_seconds = judgements.longest_run_seconds(plan)
        endings.append(session_keys.warn_of_token(reference, ends_at, clock.now(), needed_seconds))
    if not problems and any(endings):
        return findings.report_warning("secrets", "; ".join(filter(None, endings)))
    names = ", ".join(references) or "none"
    return findings.report_problem("secrets", "; ".join(problems), f"resolved, none to a placeholder: {names}")


def _check_stop_signs(
    plan: plans.Plan,
    source: Callable[[], ports.ReceiptSource],
    receipts: preflight.ReceiptChecks,
    clock: ports.Clock,
) -> Iterable[findings.Finding]:
    """Asks every alarm and fact of `stop_when` once, as the run will ask them.

    A fact of a database that `receipts` could not ask either is told there.
    """
    arns = [entry.alarm for entry in plan.stop_signs if entry.alarm is not None]
    answers = list(sign_watch.ask_alarms(alarms.CloudWatchAlarms(), arns)) if arns else []
    give_up_at = instants.later(clock.now(), preflight.patience_seconds(plan))
    fact_signs = [entry for entry in plan.stop_signs if entry.alarm is None]
    try:
        opened = source() if fact_signs else None
    except errors.BurstError as exc:
        if not receipts.is_unasked(exc):
            raise
        yield findings.report_unasked("stop-when", "receipts")
        opened = None
    if opened is not None:
        answers += [sign_watch.ask_fact(entry, plan.scope, opened, inputs.document, give_up_at) for entry in fact_signs]
    of_database = {entry.sign for entry in fact_signs if entry.sql is not None}
    unasked = [answer for answer in answers if answer.unread and answer.sign in of_database]
    if unasked and receipts.is_out_of_reach():
        yield findings.report_unasked("stop-when", "receipts")
        answers = [answer for answer in answers if answer not in unasked]
    if answers:
        yield from judgements.judge_stop_signs(answers)


def _check_series(plan: plans.Plan, source: Callable[[], ports.ReceiptSource], clock: ports.Clock) -> findings.Finding:
    """Asks every observed series, side by side, as the run will ask them."""
    asks_receipts = any(series.sql is not None for series in plan.observed_series)
    opened = series_probes.open_probes(plan, clock)
    built = probes.build_probes(plan, source() if asks_receipts else None, inputs.document, opened)
    redactor = redaction.Redactor(secrets.RESOLVED)
    return series_judgements.judge_series(plan, observing.try_each(plan, built, clock, redactor))
