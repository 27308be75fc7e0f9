"""`burst doctor`: the versions, extras and permissions of this machine, and the commands that miss one."""

from pathlib import Path

import click

from burst.cli import common
from burst.domain.basics import errors

_WORDS = {"passed": "ok  ", "warning": "none", "refused": "FAIL"}


@click.command(
    epilog="""\b
Examples:
  burst doctor                     everything, by command
  burst doctor run rehearse        exits 4 unless these two can work here
  burst doctor --json
"""
)
@click.argument("commands", metavar="[COMMAND]...", nargs=-1, shell_complete=common.complete_commands)
@common.runs_dir_option
@common.options
def doctor(output: common.Output, commands: tuple[str, ...], runs_dir: Path) -> None:
    """Say which versions, extras, programs and permissions this machine has, and which of them a command misses.

    Calls AWS for the identity alone, where credentials are set up. Exits 0, or 4 where a part is broken; with COMMANDs,
    where a part that one of them needs is broken or missing.
    """
    from burst.adapters.local import system_clock
    from burst.cli import main, mistakes
    from burst.wiring.preflight import machine

    unknown = [name for name in commands if name not in main.COMMANDS]
    if unknown:
        meant = mistakes.suggest(unknown[0], main.COMMANDS)
        raise errors.UsageError(f"no command {', '.join(unknown)}{meant}; allowed: {', '.join(main.COMMANDS)}")
    parts = machine.examine(system_clock.SystemClock(), runs_dir)
    missing = machine.missing_for(parts, commands)
    value = {
        "parts": [
            {
                "name": part.name,
                "status": part.status.value,
                "seen": part.seen,
                "mend": part.mend,
                "needed_by": list(part.needed_by),
            }
            for part in parts
        ],
        "missing": [part.name for part in missing],
    }
    lines = []
    for part in parts:
        needed = f" (for {', '.join(part.needed_by)})" if part.needed_by else ""
        lines.append(f"{_WORDS[part.status.value]} {part.name}: {part.seen}{needed}")
        lines += [f"     mend: {part.mend}"] if part.mend else []
    output.result(value, "\n".join(lines))
    if missing:
        raise errors.Refused("; ".join(f"{part.name}: {part.seen}; {part.mend}" for part in missing))
