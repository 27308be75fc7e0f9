"""`burst locust`: load profiles of Locust on this machine, without a plan."""

import dataclasses
import functools
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.wiring import profile_runs

_WORDS = "burst.locust.words"
REFUSED_SETTING = 2
"""With what Locust and burst's own profiles end where a word or a setting is wrong."""


class _WithLocustWords(click.Command):
    """Keeps the words behind `--` for Locust; click would take them for more files."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, words = _split(args)
        ctx.meta[_WORDS] = tuple(words)
        return super().parse_args(ctx, own)


def _split(args: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in args:
        return args, []
    place = args.index("--")
    return args[:place], args[place + 1 :]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """When the guard ends the load, and how long that may take."""

    budget_seconds: float
    grace_seconds: float


def _parse_seconds(option: str, text: str) -> float:
    from burst.domain.basics import errors
    from burst.task import arguments

    try:
        return arguments.parse_seconds(text)
    except ValueError as exc:
        raise errors.UsageError(f"{option}: {exc}") from exc


def _limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the limits; the command gets them as one value, `limits`."""

    @click.option(
        "--budget", envvar="BURST_LOCUST_BUDGET", default="10m", show_default=True, metavar="DURATION",
        help="When the guard ends the load and every process of it (or BURST_LOCUST_BUDGET).",
    )  # fmt: skip
    @click.option(
        "--grace", envvar="BURST_GRACE_SECONDS", default="10s", show_default=True, metavar="DURATION",
        help="How long it may take to end, before it is killed (or BURST_GRACE_SECONDS).",
    )  # fmt: skip
    @functools.wraps(command)
    def with_limits(*words: Any, budget: str, grace: str, **options: Any) -> Any:
        limits = _Limits(
            budget_seconds=_parse_seconds("--budget", budget), grace_seconds=_parse_seconds("--grace", grace)
        )
        return command(*words, limits=limits, **options)

    return with_limits


def _page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of Locust's page; the command gets its port, or None where no page is asked for."""

    @click.option("--web", is_flag=True, help="Serve Locust's web page on 127.0.0.1; a person starts the load there.")
    @click.option("--web-port", type=click.IntRange(1, 65535), default=8089, show_default=True, help="Its port.")
    @functools.wraps(command)
    def with_page(*words: Any, web: bool, web_port: int, **options: Any) -> Any:
        return command(*words, web_port=web_port if web else None, **options)

    return with_page


@click.command(
    cls=_WithLocustWords,
    short_help="Run load profiles of Locust here, under guard, without a plan.",
    epilog="""\b
Examples:
  burst locust shop.py --host http://127.0.0.1:8080 --budget 2m -- -t 60s
  burst locust locustfiles/ingest.py --host http://127.0.0.1:8080 --rate 50/s --budget 30s
  burst locust users.py orders.py --users 20 -- --tags paid OrderUser
  burst locust shop.py --web                  Locust's page, on this machine alone
  burst locust shop.py --json -- -t 10s | jq .total

\b
Exit codes:
  0 requests were sent, and all were answered well, in time where there is a rate
  2 a word, the file or a setting is wrong: nothing was sent
  4 requests failed, none came to an end, users raised exceptions, or too few events were sent in time; or nobody took
    the --rate, Locust failed, or the budget was used up before it began
  130, 143 interrupted; no process is left in any case
""",
)
@click.argument("locustfiles", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-H",
    "--host",
    envvar="BURST_HOST",
    metavar="URL",
    help="What to load (or BURST_HOST). Default: the file's own host.",
)
@click.option(
    "-u", "--users", type=click.IntRange(1), metavar="N", help="How many users, all at once. Default: Locust's own, 1."
)
@click.option(
    "--rate",
    envvar="BURST_RATE_PER_MINUTE",
    metavar="RATE",
    help="The rate of a profile that has a schedule, such as 1500 (a minute) or 25/s (or BURST_RATE_PER_MINUTE).",
)
@_limit_options
@_page_options
@common.options
def locust(
    output: common.Output,
    locustfiles: tuple[str, ...],
    host: str | None,
    users: int | None,
    rate: str | None,
    limits: _Limits,
    web_port: int | None,
) -> int:
    """Run each FILE with Locust on this machine, until it ends, the budget is used up, or Ctrl-C.

    A FILE is any locustfile, as it is. Words behind -- go to Locust. The load is counted as in a run, and shown at the
    end: requests, failures and latencies by name, and what was due and late where the profile has a rate. A setting
    of a load program is an option of Locust too (--burst-rate), or a variable of the environment
    (BURST_RATE_PER_MINUTE).
    """
    from burst.wiring import profile_runs

    request = profile_runs.ProfileRequest(
        locustfiles=locustfiles,
        budget_seconds=limits.budget_seconds,
        grace_seconds=limits.grace_seconds,
        host=host,
        users=users,
        rate=rate,
        web_port=web_port,
        words=click.get_current_context().meta[_WORDS],
    )
    if web_port is not None:
        address = f"http://{profile_runs.WEB_HOST}:{web_port}"
        output.say(f"Locust's page: {address}, for {limits.budget_seconds:g} s at most; Ctrl-C ends it")
    return _tell_end(output, request, profile_runs.run(request))


def _tell_end(output: common.Output, request: "profile_runs.ProfileRequest", end: "profile_runs.ProfileEnd") -> int:
    """The figures and the exit code of a load. Raises where Locust did not begin, or the load was no success."""
    from burst.domain.basics import errors
    from burst.domain.documents import load_summaries
    from burst.report import load_text

    code = find_signal_code(end.record.detail)
    summary = None if end.load is None else load_summaries.summarize(end.load)
    sent = 0 if summary is None else summary.total.requests
    if code is None and summary is None:
        raise _explain_no_beginning(end, request.budget_seconds)
    if code is None and not sent and end.record.stopped_by is None and end.record.exit_code == REFUSED_SETTING:
        raise errors.UsageError("Locust, or the file, refused what it was given, and sent nothing; its words are above")
    if summary is not None:
        output.result(_describe(end, summary), load_text.render(summary))
    if code is not None:
        before = "" if summary is not None else " before Locust began, and nothing was sent"
        output.error(f"interrupted: {end.record.detail}{before}; no process is left")
        return code
    faults = [] if summary is None else [*summary.faults, *_tell_failure(end)]
    if summary is not None and sent and _is_rate_typed() and summary.schedule is None:
        words = f"nothing was sent at --rate {request.rate}: no user of the files is Scheduled"
        faults.append(f"{words}, so each kept its own pace")
    if faults:
        raise errors.Refused("; ".join(faults))
    return 0


def _is_rate_typed() -> bool:
    """Whether the rate is a word of this command. One of the environment is for the files that have a schedule."""
    return click.get_current_context().get_parameter_source("rate") is click.core.ParameterSource.COMMANDLINE


def _explain_no_beginning(end: "profile_runs.ProfileEnd", budget_seconds: float) -> Exception:
    """Why there is no account: the budget was too short for Locust to start, or Locust could not."""
    from burst.domain.basics import errors
    from burst.domain.tasks import tasks

    if end.record.cause is tasks.EndCause.BUDGET:
        words = f"the budget of {budget_seconds:g} s was used up before Locust began, and nothing was sent"
        return errors.Refused(f"{words}; give a longer --budget, or see what the file does while it is imported")
    return errors.UsageError("Locust did not begin, and sent nothing; its own words are above")


def _describe(end: "profile_runs.ProfileEnd", summary: Any) -> dict[str, Any]:
    return {
        **dataclasses.asdict(summary),
        "ended": {
            "by": end.record.stopped_by,
            "cause": end.record.cause,
            "detail": end.record.detail,
            "exit_code": end.record.exit_code,
        },
    }


def find_signal_code(detail: str) -> int | None:
    """The exit code of an interruption, by the words of the guard; None where it was none."""
    name = detail.partition(" received")[0]
    if name not in signal.Signals.__members__:
        return None
    return 128 + (signal.SIGINT if name == "SIGINT" else signal.SIGTERM)


def _tell_failure(end: "profile_runs.ProfileEnd") -> list[str]:
    """Why Locust itself failed: an end of its own with another exit code than 0, or one that took KILL."""
    record = end.record
    if record.stopped_by is None and record.exit_code != 0:
        return [f"Locust ended with exit code {record.exit_code}; its own words are above"]
    if record.exit_code == 137:
        return ["Locust did not end when it was asked to, and was killed: its last second may not be counted"]
    return []
