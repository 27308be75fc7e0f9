"""Table inspections: the catalog, a sample and the cost of a count, joined into a proposal for a plan's receipts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from burst import ports
from burst.adapters import secrets
from burst.adapters.postgres import postgres_receipts, table_catalog
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.plan import receipts_sections
from burst.domain.receipts import count_costs, receipt_table, table_proposals

PATIENCE_SECONDS = 60.0
CANDIDATES_SHOWN = 5
_FAR_SECONDS = 250_000_000_000.0
"""Seconds since 1970 near the last year that a datetime holds."""
UNNAMED_DSN = "env:RECEIPTS_DSN"
"""The reference in the proposal where the DSN was given itself: a plan holds no DSN."""
STANDBY_REMARK = (
    "this server is a standby, whose writers are not seen: preflight refuses it; let the DSN name its primary"
)
_PLAN = receipts_sections.ReceiptsSection(dsn=UNNAMED_DSN)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionRequest:
    """What to look at. `dsn` is a secret reference, or the DSN itself; `columns` names columns by hand, by role."""

    dsn: str = field(repr=False)
    table: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    window_seconds: float = 1200.0
    scope: str | None = None
    rate_per_minute: float | None = None

    @property
    def expected_receipts(self) -> int:
        """The receipts of a window at the rate; 0 where none is named."""
        return round((self.rate_per_minute or 0.0) * self.window_seconds / 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostJudgement:
    """The cost of one count of a window, and whether two fit the usual `count_timeout`."""

    window: windows.Window
    scope: str | None
    estimate: count_costs.CountEstimate
    seconds: float | None
    allowed_seconds: float
    count_timeout_seconds: float

    @property
    def fit(self) -> count_costs.CountFit | None:
        """None where the seconds are not known."""
        return None if self.seconds is None else count_costs.judge_fit(self.seconds, self.allowed_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInspection:
    """The candidates, the section that is proposed for the first, what its sample shows, and what a count costs."""

    candidates: Sequence[table_proposals.Candidate]
    section: Mapping[str, object]
    remarks: Sequence[str]
    checks: Sequence[table_proposals.SampleCheck]
    cost: CostJudgement | None
    cost_problem: str = ""

    @property
    def section_text(self) -> str:
        """The section as YAML that pastes into a plan."""
        return yaml.safe_dump({"receipts": dict(self.section)}, sort_keys=False, allow_unicode=True, width=110)


def resolve_dsn(dsn: str) -> redaction.Secret:
    """The DSN behind a reference, or the DSN itself. Raises `errors.UsageError`."""
    return secrets.resolve(dsn) if secrets.is_reference(dsn) else secrets.accept_literal(dsn, origin="the DSN")


def inspect_receipts(request: InspectionRequest, clock: ports.Clock) -> TableInspection:
    """Proposes the receipts section for a database. Raises `errors.Refused` where no table looks like receipts."""
    catalog = table_catalog.TableCatalog(lambda: resolve_dsn(request.dsn), now=clock.now)
    give_up_at = instants.later(clock.now(), PATIENCE_SECONDS)
    candidates = _find_candidates(catalog, request, give_up_at)
    best = candidates[0]
    form = receipt_table.TableForm(name=best.table.plan_name)
    at, decision = best.choices["at"].column, best.choices["decision"].column
    untimed, problem, now = catalog.sample(form, best.columns, give_up_at=give_up_at)
    unit, unit_why = table_proposals.judge_unit(at, untimed)
    rows: Sequence[table_proposals.SampledRow] = untimed
    if unit is not None:
        form = replace(form, time_unit=unit)
        rows, problem, now = catalog.sample(form, best.columns, give_up_at=give_up_at)
    elif unit_why:
        problem = unit_why
    words = table_proposals.map_decisions(decision, [row.decision for row in rows if row.decision is not None])
    form = replace(form, decision_words=words.words)
    checks = table_proposals.check_sample(best, rows, unit=unit, now_seconds=now.timestamp(), problem=problem)
    cost, cost_problem = _estimate(request, form, best.columns, rows, clock)
    return TableInspection(
        candidates=candidates[:CANDIDATES_SHOWN],
        section=build_section(request.dsn, best, form),
        remarks=[
            *_remark(best, unit_why if unit else "", words),
            *_remark_writers(request, form, best.columns, clock, standby=catalog.is_standby(give_up_at=give_up_at)),
        ],
        checks=checks,
        cost=cost,
        cost_problem=cost_problem,
    )


def _find_candidates(
    catalog: table_catalog.TableCatalog, request: InspectionRequest, give_up_at: datetime
) -> Sequence[table_proposals.Candidate]:
    if request.table is None:
        ranked = table_proposals.rank_candidates(catalog.list_tables(give_up_at=give_up_at))
        if ranked:
            return ranked
        raise errors.Refused(
            "no table that this role may read has columns that look like a decision, a time and a scope; name the "
            "table with --table, and its columns with --columns"
        )
    table = catalog.describe_table(request.table, give_up_at=give_up_at)
    table = replace(table, visible="." not in request.table)
    candidate = table_proposals.propose(table, request.columns)
    if candidate is not None:
        return [candidate]
    chosen = table_proposals.choose_columns(table, request.columns)
    missing = ", ".join(role for role in table_proposals.ROLES if role not in chosen)
    names = ", ".join(f"{column.name} ({column.declared})" for column in table.columns)
    raise errors.Refused(
        f"{request.table} has no column that looks like: {missing}; those that this role may read are {names}; name "
        "columns with --columns decision=NAME,at=NAME,scope=NAME, or grant the role SELECT on the others"
    )


def build_section(dsn: str, candidate: table_proposals.Candidate, form: receipt_table.TableForm) -> dict[str, object]:
    """The receipts section of a plan."""
    columns: dict[str, str] = dict(candidate.columns)
    if candidate.event is not None:
        columns["event"] = candidate.event.name
    section: dict[str, object] = {
        "dsn": dsn if secrets.is_reference(dsn) else UNNAMED_DSN,
        "table": form.name,
        "columns": columns,
    }
    if form.time_unit is not None:
        section["time_unit"] = form.time_unit
    if form.decision_words:
        section["decisions"] = {decision: list(words) for decision, words in form.decision_words.items()}
    return section


def _remark(candidate: table_proposals.Candidate, unit_why: str, words: table_proposals.DecisionWords) -> Sequence[str]:
    remarks = [f"time_unit: {unit_why}"] if unit_why else []
    if words.guessed:
        remarks.append("decisions: a guess by the words; make sure that each stands for its decision")
    scope = candidate.choices["scope"].column
    if not table_proposals.takes_any_scope(scope):
        remarks.append(
            f"columns.scope: {scope.name} is {scope.declared}, which cannot hold the scope of `scope: fresh`: let "
            "scope of the plan be a value of that type, which the load sends"
        )
    if candidate.event is None:
        remarks.append("columns.event: no column looks like the id of an event; preflight's canary needs one")
    return remarks


def _remark_writers(
    request: InspectionRequest,
    form: receipt_table.TableForm,
    columns: Mapping[str, str],
    clock: ports.Clock,
    *,
    standby: bool,
) -> Sequence[str]:
    """Why preflight would refuse the table for its writers, as preflight says it; nothing where it would not."""
    if standby:
        return [STANDBY_REMARK]
    source = _open_source(request, form, columns, clock)
    try:
        source.open_writers(give_up_at=instants.later(clock.now(), PATIENCE_SECONDS))
    except errors.Refused as exc:
        return [f"preflight refuses it: {exc}"]
    finally:
        source.close()
    return []


def _open_source(
    request: InspectionRequest, form: receipt_table.TableForm, columns: Mapping[str, str], clock: ports.Clock
) -> postgres_receipts.PostgresReceipts:
    return postgres_receipts.PostgresReceipts(
        lambda: resolve_dsn(request.dsn), columns=columns, form=form, application_name="burst/inspect", now=clock.now
    )


def _estimate(
    request: InspectionRequest,
    form: receipt_table.TableForm,
    columns: Mapping[str, str],
    rows: Sequence[table_proposals.SampledRow],
    clock: ports.Clock,
) -> tuple[CostJudgement | None, str]:
    """The cost of a count of a window that holds receipts: the one that ends after the newest of the sample."""
    placed = [(row.seconds, row.scope) for row in rows if row.seconds is not None and 0 < row.seconds < _FAR_SECONDS]
    newest = max(placed, key=lambda each: each[0], default=None)
    end = clock.now() if newest is None else datetime.fromtimestamp(newest[0], UTC) + timedelta(seconds=1)
    window = windows.Window(instants.later(end, -request.window_seconds), end)
    sampled = None if newest is None or len(newest[1] or "") >= table_catalog.TEXT_CHARACTERS else newest[1]
    scope = sampled if request.scope is None else request.scope
    source = _open_source(request, form, columns, clock)
    try:
        estimate = source.estimate_count(
            window,
            scope=scope,
            bucket_seconds=max(_PLAN.bucket, request.window_seconds / 1000),
            give_up_at=instants.later(clock.now(), PATIENCE_SECONDS),
        )
    except errors.UsageError as exc:
        return None, str(exc)
    finally:
        source.close()
    patience = _PLAN.count_patience
    return CostJudgement(
        window=window,
        scope=scope,
        estimate=estimate,
        seconds=estimate.estimate_seconds(request.expected_receipts),
        allowed_seconds=patience.one_count_seconds(estimate.statement_seconds),
        count_timeout_seconds=patience.count_timeout_seconds,
    ), ""


def describe_inspection(inspection: TableInspection) -> dict[str, Any]:
    """An inspection as JSON values."""
    cost = inspection.cost
    return {
        "candidates": [_describe_candidate(candidate) for candidate in inspection.candidates],
        "receipts": dict(inspection.section),
        "yaml": inspection.section_text,
        "remarks": list(inspection.remarks),
        "sample": [{"check": check.subject, "sound": check.sound, "seen": check.words} for check in inspection.checks],
        "cost": None if cost is None else _describe_cost(cost),
        "cost_problem": inspection.cost_problem,
    }


def _describe_candidate(candidate: table_proposals.Candidate) -> dict[str, Any]:
    return {
        "table": candidate.table.full_name,
        "kind": table_proposals.KIND_WORDS[candidate.table.kind],
        "rows": candidate.table.row_count,
        "score": candidate.score,
        "columns": {
            role: {"name": choice.column.name, "type": choice.column.declared, "why": choice.why}
            for role, choice in candidate.choices.items()
        },
    }


def _describe_cost(cost: CostJudgement) -> dict[str, Any]:
    estimate = cost.estimate
    return {
        "window": {"start_utc": instants.text(cost.window.start), "end_utc": instants.text(cost.window.end)},
        "scope": cost.scope,
        "receipts": estimate.receipts,
        "rows_read": estimate.rows_read,
        "pages_read": estimate.pages_read,
        "table_rows": estimate.table_rows,
        "table_pages": estimate.table_pages,
        "relations": estimate.relations,
        "scans": [
            {
                "relation": scan.relation,
                "access": scan.access,
                "index": scan.index,
                "index_condition": scan.index_condition,
                "rows": scan.rows,
                "pages": scan.pages,
            }
            for scan in estimate.scans
        ],
        "seconds": cost.seconds,
        "allowed_seconds": cost.allowed_seconds,
        "count_timeout_seconds": cost.count_timeout_seconds,
        "fit": None if cost.fit is None else cost.fit.value,
        "live_problem": estimate.live_problem,
        "estimated_by": count_costs.describe_estimation(estimate),
    }
