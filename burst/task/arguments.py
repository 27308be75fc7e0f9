"""The guard's arguments: its command line, and the environment for every option the command line leaves out.

An image's entry point is `burst guard --` and no more, so every option has its variable. A budget and a deadline from
the environment hold both: whichever ends first.
"""

import argparse
import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from burst.domain.basics import errors, instants
from burst.load import task_processes

GRACE_SECONDS = 30.0
LEASE_TTL_SECONDS = 30.0

_DESCRIPTION = """\
Run a command and hold it, and everything it starts, to its budget.

Options left out are read from BURST_BUDGET_SECONDS, BURST_DEADLINE_UTC,
BURST_GRACE_SECONDS, BURST_CONTROL_URI, BURST_LEASE_TTL_SECONDS,
BURST_SHARD_INDEX (or BURST_SHARD_HINT and BURST_SHARD_COUNT, to claim one),
BURST_RECORD_URI and BURST_CHILD_WAITS. With BURST_PROCESSES=4 it runs the
command four times, each with a part of the load; the first that ends ends all."""
_EPILOG = """\
examples:
  burst guard --budget 90m -- locust -f locustfiles/ingest.py --headless
  burst guard --deadline 2026-02-21T03:30:00Z --grace 10s -- ./load.sh

exit codes:
  124 ended here, TERM was enough     137 it took KILL
  126, 127 not executable, not found  2 wrong usage
  else the program's own"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to run and its limits. `budget_seconds` or `deadline` is set, or both.

    `record` is a file, or `s3://BUCKET/PREFIX/` for one object a task. `claim` is the first shard to try and the number
    of shards, where the task claims its shard beside the lease.
    """

    command: tuple[str, ...]
    budget_seconds: float | None = None
    deadline: datetime | None = None
    grace_seconds: float = GRACE_SECONDS
    lease_uri: str | None = None
    lease_ttl_seconds: float = LEASE_TTL_SECONDS
    shard_index: int = 0
    record: Path | str | None = None
    child_waits: bool = False
    claim: tuple[int, int] | None = None
    processes: int = 1
    shard_count: int = 1
    topology: str = task_processes.INDEPENDENT

    @property
    def is_distributed(self) -> bool:
        """Whether Locust's own master runs beside the processes of shard 0."""
        return self.topology == task_processes.DISTRIBUTED


def budget_seconds(options: Options, now: datetime) -> float:
    """Seconds from `now` to the first limit. Raises `errors.UsageError` where options do not fit together."""
    if not options.command:
        raise errors.UsageError("no command given; allowed is: burst guard --budget 90m -- CMD ...")
    if options.budget_seconds is None and options.deadline is None:
        raise errors.UsageError("give either --budget or --deadline, or set BURST_BUDGET_SECONDS")
    if options.child_waits and options.lease_uri is None:
        raise errors.UsageError("--child-waits needs --lease: there is nothing to wait for")
    _refuse_unfit_processes(options)
    if options.shard_index < 0 or options.grace_seconds < 0 or options.lease_ttl_seconds <= 0:
        raise errors.UsageError("--shard and --grace may not be negative, and --lease-ttl has to be more than nothing")
    if options.budget_seconds is not None and options.budget_seconds <= 0:
        raise errors.UsageError(f"--budget {options.budget_seconds} s has to be more than nothing")
    limits = [] if options.budget_seconds is None else [options.budget_seconds]
    if options.deadline is not None:
        limits.append(instants.seconds_between(now, options.deadline))
    return min(limits)


def _refuse_unfit_processes(options: Options) -> None:
    if not 1 <= options.processes <= task_processes.MOST_PROCESSES:
        raise errors.UsageError(f"{options.processes} processes; allowed: 1 to {task_processes.MOST_PROCESSES}")
    if options.topology not in (task_processes.INDEPENDENT, task_processes.DISTRIBUTED):
        allowed = f"{task_processes.INDEPENDENT}, {task_processes.DISTRIBUTED}"
        raise errors.UsageError(f"{task_processes.TOPOLOGY} is {options.topology!r}; allowed: {allowed}")
    if options.is_distributed and not options.child_waits:
        raise errors.UsageError("a distributed burst waits for GO: give --child-waits and --lease")


def parse(words: Sequence[str]) -> Options:
    """The options of a command line; one that argparse refuses ends the process with 2."""
    arguments = _make_parser().parse_args(words)
    is_limited = arguments.budget is not None or arguments.deadline is not None
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    return Options(
        command=tuple(command),
        budget_seconds=arguments.budget if is_limited else _read_variable("BURST_BUDGET_SECONDS", parse_seconds),
        deadline=arguments.deadline if is_limited else _read_variable("BURST_DEADLINE_UTC", instants.parse),
        grace_seconds=arguments.grace,
        lease_uri=arguments.lease,
        lease_ttl_seconds=arguments.lease_ttl,
        shard_index=arguments.shard or 0,
        record=arguments.record,
        child_waits=arguments.child_waits,
        claim=_read_claim() if arguments.shard is None else None,
        processes=_read_count(task_processes.PROCESSES),
        shard_count=_read_count("BURST_SHARD_COUNT"),
        topology=os.environ.get(task_processes.TOPOLOGY) or task_processes.INDEPENDENT,
    )


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burst guard",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    limit = parser.add_mutually_exclusive_group()
    duration, instant = _argument_type(parse_seconds), _argument_type(instants.parse)
    limit.add_argument("--budget", type=duration, metavar="SECONDS|90m", help="how long it may run")
    limit.add_argument(
        "--deadline", type=instant, metavar="INSTANT", help="when it must have ended, such as 2026-02-21T03:30:00Z"
    )
    # argparse parses a default that is text as it parses an argument.
    grace = os.environ.get("BURST_GRACE_SECONDS", GRACE_SECONDS)
    parser.add_argument(
        "--grace", type=duration, default=grace, metavar="SECONDS|30s", help="from TERM to KILL (default: 30 s)"
    )
    _add_lease_arguments(parser, duration)
    shard = os.environ.get("BURST_SHARD_INDEX")
    parser.add_argument("--shard", type=int, default=shard, metavar="N", help="which part of the load this is, from 0")
    parser.add_argument(
        "--record",
        type=_parse_record_place,
        default=os.environ.get("BURST_RECORD_URI"),
        metavar="FILE|s3://BUCKET/PREFIX/",
        help="where to write how it ended (default: nowhere)",
    )
    parser.add_argument(
        "--child-waits",
        action="store_true",
        default=os.environ.get("BURST_CHILD_WAITS") == "1",
        help="start the command before GO: it waits for GO itself",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the program and its arguments")
    return parser


def _add_lease_arguments(parser: argparse.ArgumentParser, duration: Callable[[str], object]) -> None:
    parser.add_argument(
        "--lease",
        default=os.environ.get("BURST_CONTROL_URI"),
        metavar="URI",
        help="the lease, control.json (file:// or s3://): start on GO, end on STOP or when it goes stale",
    )
    parser.add_argument(
        "--lease-ttl",
        type=duration,
        default=os.environ.get("BURST_LEASE_TTL_SECONDS", LEASE_TTL_SECONDS),
        metavar="SECONDS|30s",
        help="how old a heartbeat may grow (default: 30 s)",
    )


def _read_claim() -> tuple[int, int] | None:
    """The first shard to try and the number of shards, where the environment names no shard but one to claim."""
    hint, count = _read_variable("BURST_SHARD_HINT", int), _read_variable("BURST_SHARD_COUNT", int)
    return None if hint is None or count is None else (hint, count)


def _read_count(name: str) -> int:
    """The number that an environment variable holds; one where it is not set."""
    number = _read_variable(name, int)
    return 1 if number is None else number


def _read_variable(name: str, parse_text: Callable[[str], T]) -> T | None:
    """The parsed value of an environment variable, None where it is not set."""
    text = os.environ.get(name)
    try:
        return None if text is None else parse_text(text)
    except ValueError as exc:
        raise errors.UsageError(f"{name} is {text!r}: {exc}") from exc


def _argument_type(parse_text: Callable[[str], object]) -> Callable[[str], object]:
    """The parse as argparse takes it, so that its refusals are printed as they are worded."""

    def parse_argument(text: str) -> object:
        try:
            return parse_text(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return parse_argument


def parse_seconds(text: str) -> float:
    """Seconds of `90m`, or of a plain number as `timeout` takes it; raises ValueError for anything else."""
    with contextlib.suppress(ValueError):
        return instants.parse_duration(text)
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise ValueError(f"{text!r} is neither a number of seconds nor {instants.DURATION_ALLOWED}")
    return float(text)


def _parse_record_place(text: str) -> Path | str:
    return text if is_on_s3(text) else Path(text.removeprefix("file://")).absolute()


def is_on_s3(place: Path | str | None) -> bool:
    """Whether a lease or a record lies on S3."""
    return isinstance(place, str) and place.startswith("s3://")
