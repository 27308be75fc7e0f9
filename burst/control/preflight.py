"""Preflight: what would make the burst worthless, found before anything is launched.

Every check runs, so that one reading shows everything there is to mend. A check that cannot be made is a finding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from burst import ports
from burst.domain import errors, instants
from burst.domain import plan as plans
from burst.domain import window as windows

PATIENCE_SECONDS = 15.0
REPLAY_PROFILE = "replay"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's answer: what was seen, and where it did not pass, why it matters and how to mend it."""

    check: str
    passed: bool
    seen: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question: `ask` gives what was seen, or raises a `BurstError` that says what is wrong."""

    name: str
    ask: Callable[[], str]
    mend: str


def run(checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Every check's finding, in order."""
    return tuple(_find(check) for check in checks)


def _find(check: Check) -> Finding:
    try:
        return Finding(check=check.name, passed=True, seen=check.ask())
    except errors.BurstError as exc:
        return Finding(check=check.name, passed=False, seen=str(exc), mend=check.mend)


def refuse(findings: Sequence[Finding]) -> None:
    """Raises `errors.Refused` naming every finding that did not pass."""
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        lines = "\n".join(f"  {finding.check}: {finding.seen}\n    {finding.mend}" for finding in failed)
        raise errors.Refused(
            f"preflight found {len(failed)} of {len(findings)} checks failing; nothing was launched:\n{lines}"
        )


def source(plan: plans.Plan, required_admits_per_second: float | None) -> str:
    """Whether the profile has events enough for the rate over the window. Raises `errors.Refused` where it has not."""
    events = plan.load.source_events
    if events is None or required_admits_per_second is None:
        return "no limit is declared"
    required = required_admits_per_second * plan.budget.window_seconds
    if events < required:
        raise errors.Refused(f"load.source_events {events} cannot reach the {required:.0f} admits the window needs")
    return f"{events} events for {required:.0f} admits"


def receipts_checks(plan: plans.Plan, source: ports.ReceiptSource, clock: ports.Clock) -> tuple[Check, ...]:
    """Whether receipts can be counted, and whether this scope can still pass."""

    def until() -> datetime:
        return instants.later(clock.now(), PATIENCE_SECONDS)

    def table() -> str:
        problems = source.problems(give_up_at=until())
        if problems:
            raise errors.Refused("; ".join(problems))
        return f"{plan.receipts.table} answers"

    def skew() -> str:
        reading = source.clock(give_up_at=until())
        if reading.worst_skew_seconds > plan.receipts.max_skew:
            raise errors.Refused(
                f"the database clock may be {reading.worst_skew_seconds:.3f} s off; allowed {plan.receipts.max_skew} s"
            )
        return f"clocks differ by at most {reading.worst_skew_seconds:.3f} s"

    def freshness() -> str:
        everything = windows.Window(_BEGINNING, instants.later(clock.now(), 86400))
        there = source.count(
            everything, scope=plan.scope, bucket_seconds=everything.seconds, give_up_at=until()
        ).counts.total
        if plan.load.profile == REPLAY_PROFILE:
            return f"{there} receipts of {plan.scope} to replay"
        if there:
            raise errors.Refused(f"{there} receipts of {plan.scope} are there already; events sent again are DUPLICATE")
        return f"no receipt of {plan.scope} yet"

    return (
        Check(name="receipts", ask=table, mend="mend receipts.dsn, receipts.table or receipts.columns"),
        Check(name="clock-skew", ask=skew, mend="synchronise the clocks, or the window cannot be trusted"),
        Check(name="scope-freshness", ask=freshness, mend="use scope: fresh, or profile: replay to mean it"),
    )
