"""`burst db advise`: the index that would make a final count cheap, as a statement that burst never runs."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common, receipt_tables

if TYPE_CHECKING:
    from burst.wiring import index_advising

_USUAL = {"decision": "decision", "at": "created_at_utc", "scope": "platform_run_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _NamedTable:
    """A table that no plan names, and the window that is counted in it."""

    name: str | None
    columns: str | None
    time_unit: str | None
    window_seconds: float


def _table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that stand in place of a plan; the command gets them as one value, `table`."""

    @click.option("--table", "name", help="In place of a plan: the table, perhaps with its schema.")
    @click.option(
        "--columns", metavar="decision=NAME,at=NAME,scope=NAME", help="With --table: columns named otherwise."
    )
    @click.option(
        "--time-unit",
        type=common.Choice(["s", "ms", "us", "ns"]),
        help="With --table, where its times are numbers: their unit since 1970, UTC.",
    )
    @click.option(
        "--window",
        type=common.DURATION,
        default="20m",
        show_default=True,
        help="With --table: the length of the window.",
    )
    @functools.wraps(command)
    def with_table(
        *words: Any, name: str | None, columns: str | None, time_unit: str | None, window: float, **options: Any
    ) -> Any:
        table = _NamedTable(name=name, columns=columns, time_unit=time_unit, window_seconds=window)
        return command(*words, table=table, **options)

    return with_table


@click.command(
    epilog="""\b
Examples:
  burst db advise --plan plan.yaml
  burst db advise --dsn env:IG_ADMISSION_DSN --table audit.receipts --rate 1400
"""
)
@click.option("--dsn", help="env:NAME or file:PATH, or the DSN itself. Default: receipts.dsn of the plan.")
@click.option("--plan", "plan_file", type=common.PLAN_FILE, help="The plan whose receipts are counted.")
@_table_options
@click.option(
    "--rate",
    type=common.RATE,
    metavar="RATE",
    help="The rate of the window: events a minute, or with a unit, such as 25/s.",
)
@common.options
def advise(
    output: common.Output, dsn: str | None, plan_file: Path | None, table: _NamedTable, rate: float | None
) -> None:
    """Print the index that would make the final count cheap: statements to run, with size, build time and effect.

    Read-only: burst never makes an index by itself. All figures are estimates, of the server's statistics and of a
    sample that is read and sorted; the pages that a count reads with the index are those of its leaves.

    Exits 0 (also where there is such an index already), 2 where an option or the DSN is wrong, or 4 where no index can
    be made or the database did not answer.
    """
    from burst.adapters.local import system_clock
    from burst.wiring import index_advising

    if (plan_file is None) == (table.name is None):
        raise click.UsageError("either --plan or --table, and not both")
    if dsn is not None:
        receipt_tables.hide_literal(output, dsn)
    request = _ask_of_table(table, dsn, rate) if plan_file is None else _read_plan(plan_file, dsn, rate)
    advice = index_advising.advise(request, system_clock.SystemClock())
    output.result(index_advising.describe_advice(advice), _text(advice))


def _ask_of_table(table: _NamedTable, dsn: str | None, rate: float | None) -> "index_advising.AdviceRequest":
    from burst.domain.receipts import receipt_table
    from burst.wiring import index_advising

    if dsn is None:
        raise click.UsageError("Missing option '--dsn'.")
    if table.window_seconds <= 0:
        raise click.BadParameter("allowed: durations above 0", param_hint="--window")
    return index_advising.AdviceRequest(
        dsn=dsn,
        form=receipt_table.TableForm(name=str(table.name), time_unit=table.time_unit),
        columns={**_USUAL, **receipt_tables.read_columns(table.columns)},
        window_seconds=table.window_seconds,
        expected_receipts=None if rate is None else round(rate * table.window_seconds / 60),
    )


def _read_plan(plan_file: Path, dsn: str | None, rate: float | None) -> "index_advising.AdviceRequest":
    from burst.domain.basics import errors
    from burst.domain.preflight import judgements
    from burst.wiring import index_advising, preparing

    plan = preparing.read_plan(preparing.RunRequest(plan_file=plan_file))
    reference = plan.receipts.dsn if dsn is None else dsn
    if reference is None:
        raise errors.UsageError(f"{plan_file}: receipts.via: task has no DSN here; name one with --dsn")
    expected = judgements.expect_receipts(plan)
    if rate is not None:
        expected = round(rate * plan.budget.window_seconds / 60)
    own = plan.receipts.columns
    return index_advising.AdviceRequest(
        dsn=reference,
        form=plan.receipts.form,
        columns={"decision": own.decision, "at": own.at, "scope": own.scope},
        window_seconds=plan.budget.window_seconds,
        scope=plan.scope,
        expected_receipts=expected,
    )


def _text(advice: "index_advising.IndexAdvice") -> str:
    from burst.domain.basics import wording
    from burst.domain.receipts import count_costs, index_advice

    estimate, facts = advice.reading.estimate, advice.reading.facts
    size = f"about {facts.row_count:,} rows on {facts.pages:,} pages"
    lines = [
        f"{facts.relation}: {size}; a window with about {wording.format_count(advice.receipts, 'receipt')}",
        f"now: {count_costs.describe_reading(estimate)}",
        *(f"note: {note}" for note in advice.notes),
    ]
    whose = " of the table itself" if advice.reading.through else ""
    for index in advice.indexes:
        price = index.price
        size, built = index_advice.describe_bytes(price.size_bytes), wording.format_span(price.build_seconds)
        times_fewer = advice.find_gain(index)
        gain = ", no fewer than now"
        if times_fewer is None or times_fewer > 1:
            gain = "" if times_fewer is None else f", {times_fewer:,.1f} times fewer"
        lines += [
            "",
            f"{index.name}: about {size}, built in about {built} on this server while it is quiet",
            f"a count{whose} then reads about {price.count_pages:,} pages{gain}",
            "",
            *(f"  {statement}" for statement in index.statements),
        ]
    if advice.check_statements:
        lines += [
            "",
            "without an index: a CHECK that keeps the form of the times; a count then looks at none of them",
            "",
            *(f"  {statement}" for statement in advice.check_statements),
        ]
    if advice.indexes:
        lines += [
            "",
            "Run them as the owner of the table, outside a transaction, then VACUUM (ANALYZE) it; burst does not.",
        ]
    return "\n".join(lines)
