"""What the guard is told: its command line, and the environment where that is silent.

An image's entry point is `burst guard --` and no more, so every word has its variable. A budget and a deadline from
there hold both: whichever ends first.
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

GRACE_SECONDS = 30.0
LEASE_TTL_SECONDS = 30.0

_DESCRIPTION = """\
Run a command and hold it, and everything it starts, to its budget.

What is not given is taken from BURST_BUDGET_SECONDS, BURST_DEADLINE_UTC,
BURST_GRACE_SECONDS, BURST_CONTROL_URI, BURST_LEASE_TTL_SECONDS,
BURST_SHARD_INDEX (or BURST_SHARD_HINT and BURST_SHARD_COUNT, to claim one),
BURST_RECORD_URI and BURST_CHILD_WAITS."""
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
    """What to run and its limits. `budget_seconds` or `deadline` is given, or both.

    `record` is a file, or `s3://BUCKET/PREFIX/` for one object a task. `claim` is the first shard to try and their
    count, where the shard is taken at the lease.
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


def budget_seconds(options: Options, now: datetime) -> float:
    """Seconds from `now` to the first of its limits. Raises `errors.UsageError` where options do not fit together."""
    if not options.command:
        raise errors.UsageError("no command given; allowed is: burst guard --budget 90m -- CMD ...")
    if options.budget_seconds is None and options.deadline is None:
        raise errors.UsageError("give either --budget or --deadline, or set BURST_BUDGET_SECONDS")
    if options.child_waits and options.lease_uri is None:
        raise errors.UsageError("--child-waits needs --lease: there is nothing to wait for")
    if options.shard_index < 0 or options.grace_seconds < 0 or options.lease_ttl_seconds <= 0:
        raise errors.UsageError("--shard and --grace may not be negative, and --lease-ttl has to be more than nothing")
    if options.budget_seconds is not None and options.budget_seconds <= 0:
        raise errors.UsageError(f"--budget {options.budget_seconds} s has to be more than nothing")
    limits = [] if options.budget_seconds is None else [options.budget_seconds]
    if options.deadline is not None:
        limits.append(instants.seconds_between(now, options.deadline))
    return min(limits)


def read(words: Sequence[str]) -> Options:
    """The options of a command line; one that argparse refuses ends the process with 2."""
    told = os.environ
    parser = argparse.ArgumentParser(
        prog="burst guard",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--budget", type=_argument(seconds), metavar="SECONDS|90m", help="how long it may run")
    limit.add_argument("--deadline", type=_argument(instants.parse), metavar="INSTANT", help="when it must have ended")
    # A default that is text is parsed as if it were given.
    grace, ttl = told.get("BURST_GRACE_SECONDS", GRACE_SECONDS), told.get("BURST_LEASE_TTL_SECONDS", LEASE_TTL_SECONDS)
    parser.add_argument(
        "--grace", type=_argument(seconds), default=grace, metavar="SECONDS|30s", help="from TERM to KILL"
    )
    parser.add_argument(
        "--lease",
        default=told.get("BURST_CONTROL_URI"),
        metavar="URI",
        help="the control document (file:// or s3://): start on GO, end on STOP or when it goes stale",
    )
    parser.add_argument(
        "--lease-ttl", type=_argument(seconds), default=ttl, metavar="SECONDS|30s", help="how old a heartbeat may grow"
    )
    shard = told.get("BURST_SHARD_INDEX")
    parser.add_argument("--shard", type=int, default=shard, metavar="N", help="which part of the load this is")
    record = told.get("BURST_RECORD_URI")
    parser.add_argument(
        "--record",
        type=_record_place,
        default=record,
        metavar="FILE|s3://BUCKET/PREFIX/",
        help="where to write how it ended",
    )
    parser.add_argument(
        "--child-waits",
        action="store_true",
        default=told.get("BURST_CHILD_WAITS") == "1",
        help="start the command before GO: it waits for GO itself",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the program and its arguments")
    given = parser.parse_args(words)
    limited = given.budget is not None or given.deadline is not None
    return Options(
        command=tuple(given.command[1:] if given.command[:1] == ["--"] else given.command),
        budget_seconds=given.budget if limited else _told("BURST_BUDGET_SECONDS", seconds),
        deadline=given.deadline if limited else _told("BURST_DEADLINE_UTC", instants.parse),
        grace_seconds=given.grace,
        lease_uri=given.lease,
        lease_ttl_seconds=given.lease_ttl,
        shard_index=given.shard or 0,
        record=given.record,
        child_waits=given.child_waits,
        claim=_claim() if given.shard is None else None,
    )


def _claim() -> tuple[int, int] | None:
    """The first shard to try and their count, where the environment names no shard but says where to claim one."""
    hint, count = _told("BURST_SHARD_HINT", int), _told("BURST_SHARD_COUNT", int)
    return None if hint is None or count is None else (hint, count)


def _told(name: str, parse: Callable[[str], T]) -> T | None:
    """What the environment says, None where it does not."""
    text = os.environ.get(name)
    try:
        return None if text is None else parse(text)
    except ValueError as exc:
        raise errors.UsageError(f"{name} is {text!r}: {exc}") from exc


def _argument(parse: Callable[[str], object]) -> Callable[[str], object]:
    def checked(text: str) -> object:
        try:
            return parse(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return checked


def seconds(text: str) -> float:
    """Seconds of `90m`, or of a plain number as `timeout` takes it; raises ValueError for anything else."""
    with contextlib.suppress(ValueError):
        return instants.parse_duration(text)
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise ValueError(f"{text!r} is neither a number of seconds nor {instants.DURATION_ALLOWED}")
    return float(text)


def _record_place(text: str) -> Path | str:
    return text if on_s3(text) else Path(text.removeprefix("file://")).absolute()


def on_s3(place: Path | str | None) -> bool:
    """Whether it lies on S3, so that the far side is needed."""
    return isinstance(place, str) and place.startswith("s3://")
