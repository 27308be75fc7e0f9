"""Checking databases: one database read and judged, and beside it every DSN that should lead to it, or may.

Each DSN has its place: the one that is checked, `receipts.dsn` and the variables of `load.environment` of a plan, the
variables of the environment whose value reads as a DSN, and those that an operator names. What a plan or an operator
names should reach the database that is checked, and so should `BURST_RECEIPTS_DSN`, which the counting task reads.
Other variables of the environment are listed with the database that they reach, and are no finding. All are asked side
by side, and a DSN that stands in several places is asked once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from burst import ports
from burst.adapters import secrets
from burst.adapters.postgres import dsn_places, postgres_inspector
from burst.domain.basics import errors, instants, redaction
from burst.domain.database import database_findings, identities
from burst.domain.documents import database_checks
from burst.domain.plan import plans
from burst.kit import side_by_side
from burst.wiring.targets import receipt_sources

THREADS = 8
MakeInspector = Callable[[redaction.Secret], ports.DatabaseInspector]
Answer = database_checks.DatabaseReading | database_checks.DatabaseIdentity | errors.BurstError


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """A database to check, by a reference or by its DSN; None: the plan's own."""

    dsn: str | None = field(default=None, repr=False)
    plan: plans.Plan | None = None
    table: str | None = None
    also: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The variables to look through for DSNs."""
    give_up_seconds: float = 30.0

    @property
    def demands(self) -> database_findings.CheckDemands:
        """What the plan and the words of the operator hold the check to."""
        receipts = self.plan.receipts if self.plan is not None else None
        of_plan = receipts.table if receipts is not None else None
        named = of_plan if self.table is None else self.table
        skew_seconds = receipts.max_skew if receipts is not None else database_findings.MAX_SKEW_SECONDS
        return database_findings.CheckDemands(
            table="receipts" if named is None else named,
            table_named=named is not None,
            one_database=receipts is not None and bool(receipts.require_check),
            max_skew_seconds=skew_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _NamedDsn:
    """One DSN by its place; `secret` None: it does not resolve, for the reason in `why`."""

    origin: database_checks.NamedOrigin
    name: str
    should_be_same: bool
    secret: redaction.Secret | None
    why: str = ""


def make_inspector(dsn: redaction.Secret) -> ports.DatabaseInspector:
    """The inspector of a database."""
    return postgres_inspector.PostgresInspector(dsn)


def check_database(
    request: CheckRequest, clock: ports.Clock, make: MakeInspector = make_inspector
) -> database_checks.DatabaseCheck:
    """The state of a database and of the DSNs around it.

    Raises `errors.UsageError` where the DSN to check does not resolve or is none, or the table's name is none. A
    database that cannot be read is a finding.
    """
    checked, *further = _list_dsns(request)
    now, demands = clock.now(), request.demands
    answers = _ask_all([checked, *further], demands.table, instants.later(now, request.give_up_seconds), make)
    answer = answers[_require(checked.secret).reveal()]
    reading = answer if isinstance(answer, database_checks.DatabaseReading) else None
    rows = [
        _describe_checked(checked, reading),
        *(_describe_other(named, reading, answers, checked) for named in further),
    ]
    if isinstance(answer, errors.UsageError):
        raise answer
    if isinstance(answer, errors.BurstError):
        findings = [database_findings.judge_unreached(answer)]
    else:
        assert reading is not None  # noqa: S101 (the checked one is read whole)
        findings = [*database_findings.judge_reading(reading, demands), database_findings.judge_dsns(rows, demands)]
    return database_checks.DatabaseCheck.model_validate(
        {
            "checked_utc": now,
            "checked": rows[0].shown,
            "status": database_findings.choose_status(findings),
            "findings": findings,
            "reading": reading,
            "dsns": rows,
            "table": demands.table,
        }
    )


def _require(secret: redaction.Secret | None) -> redaction.Secret:
    """The DSN of the one to check, which resolved or was refused."""
    assert secret is not None  # noqa: S101 (as said)
    return secret


def _ask_all(
    named_dsns: Sequence[_NamedDsn], table: str, give_up_at: datetime, make: MakeInspector
) -> dict[str, Answer]:
    """The answer behind each DSN by the DSN itself: a whole reading for the first, for each other its identity, or why
    there is none."""
    values = {named.secret.reveal(): named.secret for named in named_dsns if named.secret is not None}
    checked = next(iter(values))

    def ask(value: str) -> database_checks.DatabaseReading | database_checks.DatabaseIdentity:
        inspector = make(values[value])
        if value == checked:
            return inspector.inspect(table, give_up_at=give_up_at)
        return inspector.identify(give_up_at=give_up_at)

    answers: dict[str, Answer] = {}
    for outcome in side_by_side.call_all(ask, values, threads=THREADS):
        answer = outcome.result or outcome.failure
        assert answer is not None  # noqa: S101 (an outcome has one of the two)
        answers[outcome.item] = answer
    return answers


def _list_dsns(request: CheckRequest) -> list[_NamedDsn]:
    """Every DSN by its place, the one to check first."""
    plan_dsn = request.plan.receipts.dsn if request.plan is not None else None
    reference = plan_dsn if request.dsn is None else request.dsn
    if reference is None:
        raise errors.UsageError("no DSN to check: give --dsn REF, or a plan whose receipts.dsn names one")
    checked = _NamedDsn(
        origin="checked",
        name=_name_reference("plan receipts.dsn" if request.dsn is None else "--dsn", reference),
        should_be_same=True,
        secret=_resolve(reference),
    )
    named = list(_list_plan_dsns(request.plan, with_receipts=request.dsn is not None)) if request.plan else []
    named += [_try_resolve("also", "--also", reference, of_program=True) for reference in request.also]
    return [checked, *named, *_list_variables(request.environment)]


def _list_plan_dsns(plan: plans.Plan, *, with_receipts: bool) -> Iterator[_NamedDsn]:
    if with_receipts and plan.receipts.dsn is not None:
        yield _try_resolve("plan", "plan receipts.dsn", plan.receipts.dsn)
    for name, value in plan.load.environment.items():
        if not (secrets.is_reference(value) or dsn_places.reads_as_dsn(value)):
            continue
        named = _try_resolve("plan", f"plan load.environment.{name}", value, of_program=True)
        if named.secret is not None and dsn_places.reads_as_dsn(named.secret.reveal()):
            yield named


def _list_variables(environment: Mapping[str, str]) -> Iterator[_NamedDsn]:
    for name, value in sorted(environment.items()):
        if dsn_places.reads_as_dsn(value):
            should_be_same = name == receipt_sources.DSN_VARIABLE
            yield _try_resolve(
                "variable", f"variable {name}", value, should_be_same=should_be_same, of_program=not should_be_same
            )


def _name_reference(place: str, reference: str) -> str:
    """The place with its reference; a DSN that stands there itself is not shown."""
    return f"{place} {reference}" if secrets.is_reference(reference) else place


def _resolve(reference: str) -> redaction.Secret:
    if secrets.is_reference(reference):
        return secrets.resolve(reference)
    return secrets.accept_literal(reference, origin="the DSN")


def _try_resolve(
    origin: database_checks.NamedOrigin,
    place: str,
    reference: str,
    *,
    should_be_same: bool = True,
    of_program: bool = False,
) -> _NamedDsn:
    """A DSN by its reference; one that does not resolve keeps the reason. `of_program`: another program reads it, which
    may take more forms than burst does."""
    name = _name_reference(place, reference)
    try:
        secret, why = _resolve(reference), ""
        if of_program:
            secret = secrets.accept_literal(dsn_places.write_for_libpq(secret.reveal()), origin=name)
    except errors.BurstError as exc:
        secret, why = None, str(exc)
    return _NamedDsn(origin=origin, name=name, should_be_same=should_be_same, secret=secret, why=why)


def _describe_checked(checked: _NamedDsn, reading: database_checks.DatabaseReading | None) -> database_checks.DsnRow:
    return database_checks.DsnRow(
        origin=checked.origin,
        name=checked.name,
        shown=dsn_places.describe_reference(_require(checked.secret)),
        should_be_same=True,
        same="checked",
        why="",
        identity=reading.identity if reading is not None else None,
    )


def _describe_other(
    named: _NamedDsn,
    reading: database_checks.DatabaseReading | None,
    answers: Mapping[str, Answer],
    checked: _NamedDsn,
) -> database_checks.DsnRow:
    reference = "unresolved" if named.secret is None else dsn_places.describe_reference(named.secret)
    row = database_checks.DsnRow(
        origin=named.origin,
        name=named.name,
        shown=reference,
        should_be_same=named.should_be_same,
        same="unknown",
        why=named.why,
        identity=None,
    )
    if named.secret is None:
        return row
    if named.secret.reveal() == _require(checked.secret).reveal():
        identity = reading.identity if reading is not None else None
        return row.model_copy(update={"same": "same", "why": "the same DSN", "identity": identity})
    answer = answers[named.secret.reveal()]
    if not isinstance(answer, database_checks.DatabaseIdentity):
        return row.model_copy(update={"why": str(answer)})
    if reading is None:
        return row.model_copy(update={"why": "the database that is checked was not read", "identity": answer})
    compared = identities.compare(reading.identity, answer)
    return row.model_copy(update={"same": compared.same, "why": compared.why, "identity": answer})
