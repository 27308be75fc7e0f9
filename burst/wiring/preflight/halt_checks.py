"""The preflight check of the halt: nothing may begin while one stands, or while nobody can tell."""

import shlex

from burst import ports
from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.preflight import findings, judgements

S3_SCHEME = "s3://"


def ask_switch(switch: ports.HaltSwitch) -> findings.Finding:
    """The finding about a switch. Raises the error of one that cannot be read, with words that say so."""
    try:
        halt = switch.read()
    except errors.BurstError as exc:
        raise type(exc)(f"nobody can tell whether run control is halted: {exc}") from exc
    return judgements.judge_halt(halt, switch.address, lift_command(switch.address))


def lift_command(address: str) -> str:
    """The command that lifts the halt at an address."""
    option, place = _find_place(address)
    return f"burst halt --lift {option} {shlex.quote(place or '.')}"


def status_command(address: str) -> str:
    """The command that shows one run under a halt at an address; runs on ECS may be another machine's."""
    option, place = _find_place(address)
    return f"burst status RUN {option} {shlex.quote(place)}" if place.startswith(S3_SCHEME) else "burst status RUN"


def _find_place(address: str) -> tuple[str, str]:
    """The option that names the place of a switch, and the place."""
    place = address.removesuffix(f"/{document_names.HALT}").removesuffix(document_names.HALT)
    return "--run-control" if place.startswith(S3_SCHEME) else "--runs-dir", place
