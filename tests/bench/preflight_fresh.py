"""The other side of the preflight bench: one measurement in a process that has asked nothing yet.

A module of its own, because it may import no more than `burst preflight` does: the simulated AWS, which the bench
starts, imports boto3, and an operator's preflight has yet to.
"""

import dataclasses
import functools
import multiprocessing
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import connection
from pathlib import Path

from burst.adapters.local import system_clock
from burst.cli import main
from burst.cli import run as _the_command  # noqa: F401 - what the command has imported before it asks anything
from burst.control import preflight
from burst.domain.preflight import findings
from burst.wiring import preparing
from burst.wiring.preflight import checks as wired
from burst.wiring.targets import receipt_sources

_FRESH = multiprocessing.get_context("forkserver")
_FRESH.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A plan, where its run would be kept, and how far away everything is."""

    plan: Path
    folder: Path
    away_seconds: float = 0.0


def seconds(ground: Ground, indices: Sequence[int], *, in_turn: bool = False) -> float:
    """How long these checks take in a process of their own, forked from one that has imported this module."""
    here, there = _FRESH.Pipe()
    process = _FRESH.Process(target=_answer, args=(there, ground, tuple(indices), in_turn))
    with closing(here):
        process.start()
        there.close()
        took: float = here.recv()
        process.join()
    return took


def _answer(there: connection.Connection, ground: Ground, indices: Sequence[int], in_turn: bool) -> None:
    main.collect_seldom()
    made = checks(ground)
    wanted = [made[index] for index in indices]
    began = time.monotonic()
    for asked in [[check] for check in wanted] if in_turn else [wanted]:
        for finding in preflight.run(asked):
            assert not finding.refused, finding
    there.send(time.monotonic() - began)


def checks(ground: Ground) -> list[preflight.PreflightCheck]:
    """The checks of a plan, which have asked nothing yet."""
    override = (f"evidence.local={ground.folder / 'runs'}",)
    prepared = preparing.examine(preparing.RunRequest(plan_file=ground.plan, overrides=override), datetime.now(UTC))
    clock = system_clock.SystemClock()
    listed = wired.list_checks(
        prepared.plan,
        problems=prepared.problems,
        baseline=prepared.baseline,
        open_source=lambda: receipt_sources.make_source(prepared.plan, clock, kept_connections=wired.CONNECTIONS),
        signer=None,
        clock=clock,
    )
    later = functools.partial(_later, away_seconds=ground.away_seconds)
    return [dataclasses.replace(check, ask=functools.partial(later, check)) for check in listed]


def _later(check: preflight.PreflightCheck, *, away_seconds: float) -> findings.Finding | Iterable[findings.Finding]:
    time.sleep(away_seconds)
    return check.ask()
