"""`burst count`: the receipts of one window, counted where they are written.

The same command follows a running burst, and answers a controller that cannot reach the database: the counting task
inside the VPC runs it.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.domain.receipts import receipt_table
    from burst.task import counting  # imports the database's library

_REFERENCES = ("env:", "file:", "ssm:", "secretsmanager:")


@click.command(
    epilog="""\b
Examples:
  burst count --dsn env:IG_ADMISSION_DSN --scope platform_20260219T234150Z \\
      --from 2026-02-21T02:00:00Z --to 2026-02-21T02:20:00Z
  burst count --dsn env:IG_ADMISSION_DSN --from 2026-02-21T02:00:00Z --to 2026-02-21T02:20:00Z --json
  burst count --dsn env:IG_ADMISSION_DSN --from 2026-02-21T02:00:00Z --follow --every 10s --until 2026-02-21T02:20:00Z
  burst count --dsn env:BURST_RECEIPTS_DSN --serve s3://BUCKET/PREFIX/SESSION --until 2026-02-21T02:20:00Z
"""
)
@click.option("--dsn", required=True, help="env:NAME or file:PATH; the DSN itself works too, and is not shown.")
@click.option("--from", "start", type=common.INSTANT, help="The first instant of the window.")
@click.option("--to", "end", type=common.INSTANT, help="The instant at which the window ends; it is not in the window.")
@click.option("--scope", help="Only receipts of this scope. Default: every scope.")
@click.option("--table", default="receipts", show_default=True, help="The table, perhaps with its schema.")
@click.option("--columns", metavar="decision=NAME,at=NAME,scope=NAME", help="Columns that are named otherwise.")
@click.option(
    "--time-unit",
    type=common.Choice(["s", "ms", "us", "ns"]),
    help="Where the time column holds numbers: their unit since 1970, UTC.",
)
@click.option(
    "--decisions",
    metavar="JSON",
    help="""The table's words, such as '{"ADMIT": ["accepted"]}'; others are their own.""",
)
@click.option("--bucket", type=common.DURATION, default="60s", show_default=True, help="The length of a bucket.")
@click.option("--settle", type=common.DURATION, default="0s", show_default=True, help="The wait between two counts.")
@click.option(
    "--give-up",
    type=common.DURATION,
    default="5m",
    show_default=True,
    help="How long to try at most; with --follow, after --until.",
)
@click.option("--follow", is_flag=True, help="Count a running burst: one slice after the other, to --until.")
@click.option(
    "--every",
    type=common.DURATION,
    default="10s",
    show_default=True,
    help="With --follow: the time between two slices.",
)
@click.option("--until", type=common.INSTANT, help="With --follow and --serve: when to end.")
@click.option("--serve", metavar="PLACE", help="Answer a controller's questions under s3://... (or in a folder).")
@click.option(
    "--idle",
    type=common.DURATION,
    default="2m",
    show_default=True,
    help="With --serve: end after so long without a question.",
)
@click.option(
    "--application", default="burst/count", show_default=True, help="The application name that the database sees."
)
@common.options
def count(
    output: common.Output,
    dsn: str,
    follow: bool,
    serve: str | None,
    columns: str | None,
    application: str,
    **options: Any,
) -> None:
    """Count the receipts of the half-open window [from, to), in total and per bucket. Read-only.

    With --follow the receipts of a running burst, in slices that add up to exactly [from, until); its last slice may
    take --give-up longer. With --serve the answers to a controller's questions: the counting task of
    `receipts.via: task` runs this.

    Exits 0, 2 where an option or the DSN is wrong, or 4 where the database did not answer in time.
    """
    from burst.task import counting

    if not dsn.startswith(_REFERENCES):
        output.hide(dsn)
    form = _form(*(options.pop(name) for name in ("table", "time_unit", "decisions")))
    place = counting.Place(
        dsn=dsn, columns=_columns(columns, counting.COLUMNS), form=form, application_name=application
    )
    if follow and serve:
        raise click.UsageError("either --follow or --serve, and not both")
    times = _Times(**options)
    if serve:
        _serve(output, place, serve, times)
    elif follow:
        _follow(output, place, times)
    else:
        _count(output, place, times)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """The options that say what is counted, and when; durations in seconds."""

    start: datetime | None
    end: datetime | None
    until: datetime | None
    scope: str | None
    bucket: float
    settle: float
    give_up: float
    every: float
    idle: float


def _count(output: common.Output, place: "counting.Place", times: _Times) -> None:
    from burst.domain.basics import errors, windows
    from burst.task import counting

    try:
        window = windows.Window(_require(times.start, "--from"), _require(times.end, "--to"))
    except ValueError as exc:
        raise errors.UsageError(f"--from and --to: {exc}") from exc
    if times.bucket <= 0 or times.give_up <= 0:
        raise errors.UsageError("--bucket and --give-up: allowed: durations above 0")
    answer = counting.count_window(
        counting.CountOptions(
            place=place,
            window=window,
            scope=times.scope,
            bucket_seconds=times.bucket,
            settle_seconds=times.settle,
            give_up_seconds=times.give_up,
        )
    )
    output.result(answer, _text(answer))


def _follow(output: common.Output, place: "counting.Place", times: _Times) -> None:
    from burst.domain.basics import errors, windows
    from burst.task import counting

    if times.every <= 0 or times.give_up <= 0:
        raise click.UsageError("--every and --give-up: allowed: durations above 0")
    try:
        whole = windows.Window(_require(times.start, "--from"), _require(times.until, "--until"))
    except ValueError as exc:
        raise errors.UsageError(f"--from and --until: {exc}") from exc
    following = counting.Following(
        start=whole.start,
        until=whole.end,
        scope=times.scope,
        settle_seconds=times.settle,
        every_seconds=times.every,
        give_up_seconds=times.give_up,
    )
    for slice_ in counting.follow_burst(place, following):
        output.item(slice_, _slice_text(slice_))


def _serve(output: common.Output, place: "counting.Place", at: str, times: _Times) -> None:
    from burst.task import counting

    answered = counting.serve_session(
        place,
        at=at,
        until=_require(times.until, "--until"),
        idle_seconds=times.idle,
        say=lambda line: output.content(f"{line}\n".encode()),
    )
    output.say(f"questions answered: {answered}")


def _require(moment: datetime | None, option: str) -> datetime:
    if moment is None:
        raise click.UsageError(f"Missing option '{option}'.")
    return moment


def _columns(words: str | None, usual: dict[str, str]) -> dict[str, str]:
    columns = dict(usual)
    for word in (words or "").split(",") if words else ():
        name, _, column = word.partition("=")
        if name not in usual or not column:
            raise click.BadParameter(f"saw {word!r}; allowed: {', '.join(usual)}, each =NAME", param_hint="--columns")
        columns[name] = column
    return columns


def _form(table: str, time_unit: str | None, decisions: str | None) -> "receipt_table.TableForm":
    from burst.domain.receipts import receipt_table, receipts

    words = _read_object(decisions or "{}")
    if words is None or not all(
        name in receipts.DECISIONS
        and isinstance(texts, list)
        and texts
        and all(isinstance(text, str) for text in texts)
        for name, texts in words.items()
    ):
        allowed = f'an object such as {{"ADMIT": ["accepted"]}}, its keys of {", ".join(receipts.DECISIONS)}'
        raise click.BadParameter(f"saw {decisions!r}; allowed: {allowed}", param_hint="--decisions")
    return receipt_table.TableForm(
        name=table, time_unit=time_unit, decision_words={name: tuple(texts) for name, texts in words.items()}
    )


def _read_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text(answer: dict[str, Any]) -> str:
    from burst.domain.basics import wording
    from burst.report import figures

    counts = ", ".join(f"{name} {number}" for name, number in answer["counts"].items())
    ratio = "NO_DATA" if answer["admit_ratio"] is None else answer["admit_ratio"]
    vanished, writers = sum(answer["vanished"].values()), len(answer["open_writers"])
    return (
        f"{_span(answer['window'])}  scope {answer['scope'] or '(every)'}\n"
        f"{counts}\n"
        f"admit ratio {ratio}, ADMIT a minute {figures.number(answer['admits_per_minute'])}, "
        f"settled {figures.number(answer['settled'])}"
        + (f", {vanished} vanished meanwhile" if vanished else "")
        + (f"; {wording.format_count(writers, 'writer')} of the window's end still open" if writers else "")
    )


def _slice_text(slice_: dict[str, Any]) -> str:
    counts = ", ".join(f"{name} {number}" for name, number in slice_["counts"].items())
    return f"{_span(slice_['window'])}  {counts}; {slice_['total']['ADMIT']} ADMIT in all"


def _span(window: dict[str, Any]) -> str:
    from burst.domain.documents import window_metrics
    from burst.report import figures

    return figures.span(window_metrics.WindowEntry.model_validate(window))
