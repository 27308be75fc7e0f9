"""The live view in a real pseudo-terminal: no ghosts when it is resized, no colour where none is wanted, and a terminal
that is given back as it was."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pyte
import pytest

PATIENCE_SECONDS = 30.0
COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-9]|4[0-9]|9[0-7]|10[0-7])[0-9;]*m")


class Terminal:
    """A pseudo-terminal with a process on it, and what an emulator makes of all that was written."""

    def __init__(self, columns: int, rows: int, *words: str, **environment: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self._ours, theirs = pty.openpty()
        self._set_size(columns, rows)
        hidden = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
        plain = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.live_program", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**plain, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
            start_new_session=True,
        )
        os.close(theirs)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        """Gives the window another size, as its user would."""
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read_until(self, arrived: Callable[[], bool]) -> None:
        """Reads on until something is seen."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not arrived():
            assert time.monotonic() < give_up_at, self.text
            if not select.select([self._ours], [], [], 0.2)[0]:
                continue
            try:
                content = os.read(self._ours, 65536)
            except OSError:  # its last process has ended
                break
            self.written += content
            self._stream.feed(content)

    def read_frames(self, number: int) -> None:
        """Reads until the view was drawn so many times more: each drawing begins at the upper left corner."""
        seen = self.written.count(b"\x1b[H")
        self.read_until(lambda: self.written.count(b"\x1b[H") >= seen + number)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def begin(columns: int, rows: int, *words: str, **environment: str) -> Terminal:
        made.append(Terminal(columns, rows, *words, **environment))
        return made[-1]

    yield begin
    for terminal in made:
        terminal.close()


def test_a_terminal_that_is_resized_shows_one_view_and_no_ghost(start: Callable[..., Terminal]) -> None:
    terminal = start(120, 40, "bursting", "60")
    terminal.read_until(lambda: "rate/min" in terminal.text)

    for columns, rows in ((60, 24), (120, 40), (80, 24)):
        terminal.resize(columns, rows)
        terminal.read_frames(3)

        for word in (
            "M10.F",
            "rate/min",
            "ADMIT/min",
            "DUPLICATE/min",
            "multiplier",
            "admit_ratio",
            "layers",
            "deadline",
        ):
            assert terminal.text.count(word) == 1, (columns, word, terminal.text)


def test_the_terminal_is_given_back_as_it_was(start: Callable[..., Terminal]) -> None:
    terminal = start(80, 24, "blind", "1.5")

    terminal.read_until(lambda: b"given back" in terminal.written)

    assert terminal.written.count(b"\x1b[?1049h") == terminal.written.count(b"\x1b[?1049l") == 1
    assert terminal.written.rindex(b"\x1b[?25h") > terminal.written.rindex(b"\x1b[?25l")
    assert terminal.written.index(b"\x1b[?1049l") < terminal.written.index(b"given back")
    assert b"blind since" in terminal.written


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["colour", "no colour"]
)
def test_no_color_ends_colour_and_nothing_else(
    start: Callable[..., Terminal], environment: dict[str, str], coloured: bool
) -> None:
    terminal = start(80, 24, "hold", "1.5", **environment)

    terminal.read_until(lambda: b"given back" in terminal.written)

    assert bool(COLOUR.search(terminal.written)) is coloured
    assert b"HOLD" in terminal.written
    assert b"lost" in terminal.written


@pytest.mark.parametrize("kind", ["dumb", "", "unknown"])
def test_a_terminal_without_a_cursor_gets_lines_and_no_control_codes(start: Callable[..., Terminal], kind: str) -> None:
    terminal = start(80, 24, "bursting", "60", TERM=kind)

    terminal.read_until(lambda: b"lines" in terminal.written)

    assert b"\x1b" not in terminal.written
    assert terminal.written.replace(b"\r\n", b"\n") == b"lines\n"
