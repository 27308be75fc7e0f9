"""`burst find-rate`: the highest rate at which criteria hold, by probes that are whole runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.wiring import rate_search_runs

_DEFAULT_RUNS = "runs"


@click.command(
    epilog="""\b
Examples:
  burst find-rate plan.yaml --from 400/s --to 1600/s --criterion "admit_ratio>=0.995" --criterion "latency_p95_ms<=200"
  burst find-rate plan.yaml --from 400/s --to 1600/s --criterion errors --probe 30s --within 2% --max-time 20m
  burst find-rate --resume rate_20260221T020923Z_4f7a1c

\b
Exit codes:
  0 the highest rate is known: the system breaks above it, or the top of the bracket holds
  3 it is not known: a bound was reached, the bottom does not hold, or the generator withheld load above it
  2 words or plan wrong: nothing began    4 a probe was refused or halted: mend the cause, then --resume
  5 a probe is not published    6 a task may still run    130, 143 interrupted: --resume goes on
"""
)
@click.argument("plan_file", metavar="[PLAN]", type=common.PLAN_FILE, required=False)
@click.option(
    "--criterion",
    "criteria",
    multiple=True,
    metavar="GATE",
    help="What has to hold; can be repeated. Default: all limits of the plan.",
)
@click.option(
    "--from", "lowest", type=common.RATE, metavar="RATE", help="The lowest rate, such as 400/s; it has to hold."
)
@click.option("--to", "highest", type=common.RATE, metavar="RATE", help="The highest rate that is ever sent.")
@click.option(
    "--within",
    type=common.SHARE,
    default="5%",
    show_default=True,
    help="How near the answer has to be, as a share of the rate.",
)
@click.option(
    "--probe",
    "probe_seconds",
    type=common.DURATION,
    default="10s",
    show_default=True,
    help="The length of a probe's window.",
)
@click.option(
    "--confirm", type=click.IntRange(1, 10), default=2, show_default=True, help="How often each edge has to be seen."
)
@click.option(
    "--max-time",
    "max_seconds",
    type=common.DURATION,
    default="30m",
    show_default=True,
    help="How long all probes may take together.",
)
@click.option(
    "--max-cost",
    "max_usd",
    type=click.FloatRange(min=0),
    metavar="USD",
    help="What all probes may cost together, in USD. Default: no limit.",
)
@click.option("--resume", "search_name", metavar="SEARCH", help="Go on with a search: a folder, or an id.")
@common.set_option
@click.option(
    "--runs-dir",
    envvar=common.RUNS_DIR_VARIABLE,
    metavar="FOLDER",
    help=f"Where the folder of the search is, in place of evidence.local (or {common.RUNS_DIR_VARIABLE}).",
)
@common.options
def find_rate(
    output: common.Output, plan_file: Path | None, search_name: str | None, runs_dir: str | None, **words: Any
) -> int:
    """Find the highest rate at which the criteria hold, between --from and --to.

    The bracket is halved by probes. Each is a run of PLAN at one rate, with its evidence in the folder of the search.
    A probe of which the generator withheld load says nothing of the system. A probe that was played is never played
    again: --resume goes on after a crash.
    """
    from burst.cli import running
    from burst.wiring import rate_search_runs

    reporter = running.RunReporter(output)
    if search_name is not None:
        if plan_file is not None or _names_new_search():
            raise click.UsageError("--resume goes on by the words that the search began with; say no others")
        folder = common.run_path(search_name, Path(runs_dir or _DEFAULT_RUNS) / rate_search_runs.SEARCHES)
        return _show(output, rate_search_runs.resume(folder, reporter, output.words))
    if plan_file is None:
        raise click.UsageError("PLAN is missing; or go on with --resume SEARCH")
    return _show(output, rate_search_runs.begin(_make_request(plan_file, runs_dir, output, **words), reporter))


def _names_new_search() -> bool:
    """Whether any word about a new search stands on the command line."""
    context = click.get_current_context()
    names = (
        "criteria",
        "lowest",
        "highest",
        "within",
        "probe_seconds",
        "confirm",
        "max_seconds",
        "max_usd",
        "overrides",
    )
    return any(context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE for name in names)


def _make_request(
    plan_file: Path, runs_dir: str | None, output: common.Output, **words: Any
) -> "rate_search_runs.SearchRequest":
    from burst.wiring import rate_search_runs

    for option, name in (("--from", "lowest"), ("--to", "highest")):
        if not words[name]:
            raise click.UsageError(f"{option}: say a rate above 0, such as 400/s")
    if not words["probe_seconds"] > 0:
        raise click.UsageError("--probe: say a duration above 0, such as 10s")
    folder = () if not runs_dir else (f"evidence.local={os.fspath(runs_dir)}",)
    overrides = (*folder, *words.pop("overrides"))
    return rate_search_runs.SearchRequest(plan_file=plan_file, overrides=overrides, command=output.words, **words)


def _show(output: common.Output, view: "rate_search_runs.SearchView") -> int:
    """Shows the answer, and returns the exit code."""
    from burst.report import rate_search_text

    folder = common.shorten_path(view.folder)
    output.result(view.document.document(), rate_search_text.render(view.search, view.plan, folder))
    return rate_search_text.find_exit_code(view.search) if view.interrupted is None else view.interrupted
