"""Halting: the switch that stops every run under one run control, as commands and preflight meet it.

Runs on ECS obey the switch under their run control on S3, whatever machine drives them; local runs that in the folder
of their runs. Lifting it starts nothing again.
"""

import getpass
import socket
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters.local import file_halts, system_clock
from burst.domain.basics import errors, redaction
from burst.domain.documents import halts
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.wiring.preflight import halt_checks
from burst.wiring.targets import ecs_places, targets


def open_switch(place: str) -> ports.HaltSwitch:
    """The switch of a run control: an S3 place, or a folder of runs. Raises `errors.UsageError` for another address."""
    if place.startswith(halt_checks.S3_SCHEME):
        return ecs_places.halt_switch(place)
    return file_halts.FileHaltSwitch(Path(place))


def switch_of(plan: plans.Plan) -> ports.HaltSwitch:
    """The switch that a run of this plan obeys."""
    return targets.choose(plan, system_clock.SystemClock()).halt_switch()


def make_halt(reason: str, now: datetime) -> halts.Halt:
    """A halt by the person at this machine. Raises `errors.UsageError` for a reason that is empty or too long."""
    words = redaction.Redactor().text(reason).strip()
    if not words or len(words) > halts.LONGEST_REASON:
        raise errors.UsageError(f"--reason: allowed: a text of 1 to {halts.LONGEST_REASON} characters")
    return halts.Halt(reason=words, by=name_operator()[: halts.LONGEST_NAME], at_utc=now)


def name_operator() -> str:
    """The user and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def check(switch: ports.HaltSwitch) -> findings.Finding:
    """The finding about a switch: nothing may begin while a halt stands, or while nobody can tell."""
    try:
        return halt_checks.ask_switch(switch)
    except errors.BurstError as exc:
        return findings.report_refusal("halt", str(exc))
