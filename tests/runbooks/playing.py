"""Playing a page: its commands in one shell, in order, each one's output compared with what the page shows."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.runbooks import pages

_ASKS_FOR_THE_CODE = "echo $?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of one command."""

    command: pages.Command
    code: int
    output: str

    @property
    def shows_what_it_says(self) -> bool:
        """Whether its output is what the page shows."""
        return self.command.pattern.fullmatch(self.output) is not None

    def words(self) -> str:
        """What the page shows and what was seen, for a failing test."""
        shown = "".join(f"  {line}\n" for line in self.command.shown)
        seen = "".join(f"  {line}\n" for line in self.output.splitlines())
        return f"line {self.command.line}: $ {self.command.text}\nshown:\n{shown}seen (exit {self.code}):\n{seen}"


def play(
    commands: Sequence[pages.Command], folder: Path, environment: Mapping[str, str], *, seconds: float
) -> list[Played]:
    """Runs commands in one shell. Raises AssertionError where they are not through after so many seconds."""
    mark = f"--{secrets.token_hex(8)}"
    seen = folder / "seen"
    lines = [f"mark() {{ local code=$?; printf '%s %s\\n' {mark} $code; return $code; }}"]
    for command in commands:
        lines += [command.text, "mark"]
    script = folder / "script"
    script.write_text("\n".join(lines) + "\n")
    with seen.open("wb") as file:
        process = subprocess.Popen(
            ["bash", str(script)], cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not through after {seconds:g} s: {seen.read_text()[-2000:]}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    parts = re.split(rf"^{mark} (\d+)\n", seen.read_text(), flags=re.MULTILINE)
    assert len(parts) == 2 * len(commands) + 1, f"not every command was run: {seen.read_text()[-2000:]}"
    return [
        Played(command=command, code=int(code), output=output)
        for command, output, code in zip(commands, parts[::2], parts[1::2], strict=False)
    ]


def problems(played: Sequence[Played]) -> list[str]:
    """What does not hold: output that differs, a failing command whose exit code the page does not show."""
    found = [one.words() for one in played if not one.shows_what_it_says]
    for one, after in zip(played, [*played[1:], None], strict=True):
        told = after is not None and after.command.text == _ASKS_FOR_THE_CODE
        if one.code and not told and one.command.text != _ASKS_FOR_THE_CODE:
            found.append(f"line {one.command.line}: ended with {one.code}, which the page does not show: {one.words()}")
    return found
