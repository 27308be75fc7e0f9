"""`burst count`: the receipts of one window, counted where they are written."""

from datetime import datetime
from typing import Any

import click

from burst.cli import common

_REFERENCES = ("env:", "file:", "ssm:", "secretsmanager:")


@click.command(
    epilog="""\b
Examples:
  burst count --dsn env:IG_ADMISSION_DSN --scope platform_20260219T234150Z \\
      --from 2026-02-21T02:00:00Z --to 2026-02-21T02:20:00Z
  burst count --dsn env:IG_ADMISSION_DSN --from 2026-02-21T02:00:00Z --to 2026-02-21T02:20:00Z --json
"""
)
@click.option("--dsn", required=True, help="env:NAME or file:PATH; the DSN itself works too, and is not shown.")
@click.option("--from", "start", type=common.INSTANT, required=True, help="First instant of the window.")
@click.option("--to", "end", type=common.INSTANT, required=True, help="The instant the window ends; not in it.")
@click.option("--scope", help="Only receipts of this run scope; every scope without it.")
@click.option("--table", default="receipts", show_default=True, help="The table, perhaps with its schema.")
@click.option("--columns", metavar="decision=NAME,at=NAME,scope=NAME", help="Columns that are named otherwise.")
@click.option("--bucket", type=common.DURATION, default="60s", show_default=True, help="Length of a sub-window.")
@click.option("--settle", type=common.DURATION, default="0s", show_default=True, help="Wait between two counts.")
@click.option("--give-up", type=common.DURATION, default="5m", show_default=True, help="When to stop trying.")
@common.options
def count(
    output: common.Output,
    dsn: str,
    start: datetime,
    end: datetime,
    scope: str | None,
    table: str,
    columns: str | None,
    bucket: float,
    settle: float,
    give_up: float,
) -> None:
    """Count the receipts of the half-open window [from, to), in total and per bucket. Read-only."""
    from burst.domain import errors
    from burst.domain import window as windows
    from burst.task import count as counting

    if not dsn.startswith(_REFERENCES):
        output.hide(dsn)
    try:
        window = windows.Window(start, end)
    except ValueError as exc:
        raise errors.UsageError(f"--from and --to: {exc}") from exc
    if bucket <= 0 or give_up <= 0:
        raise errors.UsageError("--bucket and --give-up: allowed: durations above 0")
    answer = counting.run(
        counting.Options(
            dsn=dsn,
            window=window,
            scope=scope,
            table=table,
            columns=_columns(columns, counting.COLUMNS),
            bucket_seconds=bucket,
            settle_seconds=settle,
            give_up_seconds=give_up,
        )
    )
    output.result(answer, _text(answer))


def _columns(words: str | None, known: dict[str, str]) -> dict[str, str]:
    given = dict(known)
    for word in (words or "").split(",") if words else ():
        name, _, column = word.partition("=")
        if name not in known or not column:
            raise click.BadParameter(f"saw {word!r}; allowed: {', '.join(known)}, each =NAME", param_hint="--columns")
        given[name] = column
    return given


def _text(answer: dict[str, Any]) -> str:
    from burst.report import figures

    counts = ", ".join(f"{name} {number}" for name, number in answer["counts"].items())
    ratio = "NO_DATA" if answer["admit_ratio"] is None else answer["admit_ratio"]
    return (
        f"{figures.span(answer['window'])}  scope {answer['scope'] or '(every)'}\n"
        f"{counts}\n"
        f"admit ratio {ratio}, ADMIT a minute {figures.number(answer['admits_per_minute'])}, "
        f"settled {figures.number(answer['settled'])}"
    )
