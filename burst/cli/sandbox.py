"""`burst sandbox`: a Postgres and a gateway that stay up on this machine, for plans that are run by hand."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burst.cli import common
from burst.domain.basics import errors

if TYPE_CHECKING:
    from burst.sandbox import sandbox_folders


def _folder_option(function: common.F) -> common.F:
    return click.option(
        "--folder",
        type=click.Path(path_type=Path),
        envvar="BURST_SANDBOX_FOLDER",
        help="Where its secrets lie, for this user alone (or BURST_SANDBOX_FOLDER). Default: burst/sandbox below "
        "XDG_STATE_HOME, or below ~/.local/state.",
    )(function)


@click.group(
    epilog="""\b
Examples:
  eval "$(burst sandbox up)"      starts it, and exports what a plan's references name
  burst sandbox up --port 8090    where another program has 8080
  burst sandbox status --json
  burst sandbox down

\b
Exit codes: those of each command, in its own --help.
""",
    params=[common.version_option()],
)
def sandbox() -> None:
    """A Postgres and a reference gateway that stay up on this machine, on loopback alone."""


@sandbox.command(
    epilog="""\b
Examples:
  eval "$(burst sandbox up)"
  burst sandbox up --port 8090
"""
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    envvar="BURST_SANDBOX_PORT",
    help="The gateway's port on 127.0.0.1 (or BURST_SANDBOX_PORT). Default: 8080.",
)
@_folder_option
@common.options
def up(output: common.Output, port: int | None, folder: Path | None) -> None:
    """Start the sandbox, and print the environment of a plan as lines for a shell. One that is up stays as it is.

    It survives this terminal, and is started again where a part of it ends. The lines name files that hold the secrets,
    which only this user can read. Exits 0, 2 where the port is taken, 4 where it does not start.
    """
    from burst.sandbox import sandbox_folders, standing_sandbox

    place = _open(folder)
    state = standing_sandbox.find_standing(place)
    if state is None:
        output.say("starting a Postgres and a gateway (a few seconds)")
    state, started = standing_sandbox.raise_up(place, port)
    standing_sandbox.refuse_another_port(state, port)
    words = "is up" if started else "was up already"
    output.say(f"the sandbox {words} at {state.url}; it ends with: {_down_command(place)}")
    files = {name: shlex.quote(str(place.secret_file(name))) for name in sandbox_folders.SECRETS}
    lines = [f'export {name}="$(cat {file})"' for name, file in files.items()]
    output.result({**_describe(place), "started": started}, "\n".join(lines))


@sandbox.command(
    epilog="""\b
Examples:
  burst sandbox down
"""
)
@_folder_option
@common.options
def down(output: common.Output, folder: Path | None) -> None:
    """End the sandbox with its data and its secrets; no other process is ended. Without one there is nothing to do.

    Exits 0 once nothing of it is left, 6 where a process of it may still be running.
    """
    from burst.sandbox import standing_sandbox

    place = _open(folder)
    ended = standing_sandbox.take_down(place)
    output.result({"ended": ended}, "the sandbox ended" if ended else "no sandbox was up")


@sandbox.command(
    epilog="""\b
Examples:
  burst sandbox status
  burst sandbox status --json
"""
)
@_folder_option
@common.options
def status(output: common.Output, folder: Path | None) -> None:
    """Say whether the sandbox is up, where, and since when. Exits 0 where it is up, 4 where it is not."""
    place = _open(folder)
    described = _describe(place)
    if described["up"]:
        again = f", its gateway started again {described['restarts']} times" if described["restarts"] else ""
        output.result(described, f"up at {described['url']} since {described['since_utc']}{again}")
        return
    output.result(described, "")
    raise errors.Refused("no sandbox is up; start one with: burst sandbox up")


def _open(folder: Path | None) -> "sandbox_folders.SandboxFolder":
    from burst.sandbox import sandbox_folders

    return sandbox_folders.SandboxFolder(folder or sandbox_folders.default_folder())


def _describe(place: "sandbox_folders.SandboxFolder") -> dict[str, object]:
    """What `--json` prints: no secret, but the file of each."""
    from burst.sandbox import sandbox_folders, standing_sandbox

    state = standing_sandbox.find_standing(place)
    if state is None:
        return {"up": False}
    return {
        "up": True,
        "url": state.url,
        "since_utc": state.since_utc,
        "restarts": state.restarts,
        "secret_files": {name: str(place.secret_file(name)) for name in sandbox_folders.SECRETS},
    }


def _down_command(place: "sandbox_folders.SandboxFolder") -> str:
    from burst.sandbox import sandbox_folders

    named = "" if place.path == sandbox_folders.default_folder() else f" --folder {shlex.quote(str(place.path))}"
    return f"burst sandbox down{named}"
