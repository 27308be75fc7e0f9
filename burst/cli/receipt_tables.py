"""`burst receipts inspect`: a table of receipts, proposed as a plan's section before a burst is paid for."""

from typing import TYPE_CHECKING

import click

from burst.cli import common, main

if TYPE_CHECKING:
    from burst.domain.receipts import table_proposals
    from burst.wiring import table_inspections

ROLES = ("decision", "at", "scope")

receipts = main.LazyGroup(
    table={
        "inspect": (
            "burst.cli.receipt_tables:inspect",
            "Propose a plan's receipts section, check a sample, and say what a count will cost.",
        ),
    },
    name="receipts",
    help="Look at tables of receipts, before a burst is paid for. Read-only.",
    epilog="""\b
Examples:
  burst receipts inspect --dsn env:IG_ADMISSION_DSN --rate 1400

\b
Exit codes: those of the command, in its own --help.
""",
    params=[common.version_option()],
)


def read_columns(words: str | None) -> dict[str, str]:
    """The columns that are named by hand, by role. Raises click's own error for anything else."""
    columns: dict[str, str] = {}
    for word in words.split(",") if words else ():
        role, _, column = word.partition("=")
        if role not in ROLES or not column:
            raise click.BadParameter(f"saw {word!r}; allowed: {', '.join(ROLES)}, each =NAME", param_hint="--columns")
        columns[role] = column
    return columns


def hide_literal(output: common.Output, dsn: str) -> None:
    """Masks a DSN that is no reference in all output."""
    from burst.adapters import secrets

    if not secrets.is_reference(dsn):
        output.hide(dsn)


@click.command(
    epilog="""\b
Examples:
  burst receipts inspect --dsn env:IG_ADMISSION_DSN
  burst receipts inspect --dsn env:IG_ADMISSION_DSN --table audit.receipts --rate 1400
  burst receipts inspect --dsn env:IG_ADMISSION_DSN --table receipts --scope platform_20260219T234150Z --json
"""
)
@click.option("--dsn", required=True, help="env:NAME or file:PATH; the DSN itself works too, and is not shown.")
@click.option("--table", help="The table, perhaps with its schema. Default: the likeliest tables are proposed.")
@click.option("--columns", metavar="decision=NAME,at=NAME,scope=NAME", help="Columns that you know.")
@click.option(
    "--window", type=common.DURATION, default="20m", show_default=True, help="The length of the window to count."
)
@click.option("--scope", help="The scope to count. Default: one of the sample.")
@click.option(
    "--rate",
    type=common.RATE,
    metavar="RATE",
    help="What the burst adds: events a minute, or with a unit, such as 25/s.",
)
@common.options
def inspect(
    output: common.Output,
    dsn: str,
    table: str | None,
    columns: str | None,
    window: float,
    scope: str | None,
    rate: float | None,
) -> None:
    """Read the catalog, propose a plan's receipts section, check a sample, and say what one count will cost.

    Read-only, and nothing is counted but a few pages: the cost is EXPLAIN's of exactly the statement of a count, in
    seconds by that sample. Where --rate is given, the receipts of the burst are added.

    Exits 0, 2 where an option or the DSN is wrong, or 4 where no table looks like receipts or the database did not
    answer.
    """
    from burst.adapters.local import system_clock
    from burst.wiring import table_inspections

    if window <= 0:
        raise click.BadParameter("allowed: durations above 0", param_hint="--window")
    hide_literal(output, dsn)
    request = table_inspections.InspectionRequest(
        dsn=dsn,
        table=table,
        columns=read_columns(columns),
        window_seconds=window,
        scope=scope,
        rate_per_minute=rate,
    )
    inspection = table_inspections.inspect_receipts(request, system_clock.SystemClock())
    output.result(table_inspections.describe_inspection(inspection), _text(inspection))


def _text(inspection: "table_inspections.TableInspection") -> str:
    lines = ["Candidates, the likeliest first:" if len(inspection.candidates) > 1 else "The table:"]
    for number, candidate in enumerate(inspection.candidates, 1):
        lines += _candidate_lines(number, candidate)
    lines += ["", "Paste into a plan:", "", *(f"  {line}" for line in inspection.section_text.splitlines()), ""]
    lines += [f"  note: {remark}" for remark in inspection.remarks]
    lines += ["Sample:"]
    lines += [f"  {'ok  ' if check.sound else 'warn'} {check.subject}: {check.words}" for check in inspection.checks]
    return "\n".join([*lines, "One count:", *(f"  {line}" for line in _cost_lines(inspection))])


def _candidate_lines(number: int, candidate: "table_proposals.Candidate") -> list[str]:
    from burst.domain.receipts import table_proposals

    table = candidate.table
    kind = table_proposals.KIND_WORDS[table.kind]
    rows = "rows not known" if table.row_count is None else f"about {table.row_count:,} rows"
    first = f"  {number}. {table.full_name} ({kind}, {rows})"
    return [
        first,
        *(f"       {role}: {choice.column.name}, by {choice.why}" for role, choice in candidate.choices.items()),
    ]


def _cost_lines(inspection: "table_inspections.TableInspection") -> list[str]:
    from burst.domain.basics import instants, wording
    from burst.domain.receipts import count_costs

    cost = inspection.cost
    if cost is None:
        return [f"not known: {inspection.cost_problem}"]
    span = f"[{instants.text(cost.window.start)}, {instants.text(cost.window.end)})"
    expected = wording.format_count(cost.estimate.receipts, "receipt")
    lines = [
        f"window {span}, scope {cost.scope or '(every)'}: about {expected}",
        count_costs.describe_reading(cost.estimate),
    ]
    if cost.seconds is not None and cost.fit is not None:
        total, each = (wording.format_span(seconds) for seconds in (cost.count_timeout_seconds, cost.allowed_seconds))
        lines.append(
            f"estimated {wording.format_span(cost.seconds)}; two counts within count_timeout ({total}) have {each} "
            f"each: it {cost.fit.value}"
        )
    lines.append(count_costs.describe_estimation(cost.estimate))
    return [*lines, f"live counts: {cost.estimate.live_problem}"] if cost.estimate.live_problem else lines
