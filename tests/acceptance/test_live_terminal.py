"""The live view in a real pseudo-terminal: no ghosts when it is resized, no colour where none is wanted, and a terminal
that is as it was afterwards, whatever ended the process."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import psutil
import pyte
import pytest

from tests import waiting

PATIENCE_SECONDS = 30.0 * waiting.SLOWEST
COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-9]|4[0-9]|9[0-7]|10[0-7])[0-9;]*m")


class Terminal:
    """A pseudo-terminal with a process on it, and what an emulator makes of all that was written."""

    def __init__(self, columns: int, rows: int, *words: str, **environment: str) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self._ours, self._theirs = pty.openpty()
        self._set_size(columns, rows)
        self.settings = termios.tcgetattr(self._theirs)
        hidden = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
        plain = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.live_program", *words],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={**plain, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
            start_new_session=True,
        )

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        """Gives the window another size, as its user would."""
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    @property
    def history(self) -> str:
        """What has left the screen at its top."""
        rows = self.screen.history.top
        return "\n".join("".join(row[column].data for column in range(len(row))).rstrip() for row in rows)

    def assert_untouched(self) -> None:
        """The next program finds the terminal as a shell leaves it: its own screen, a cursor, plain text, its modes."""
        assert b"\x1b[?" not in self.written  # no mode was set that somebody would have to end: screen, cursor, mouse
        assert pyte.modes.DECTCEM in self.screen.mode
        assert self.screen.cursor.attrs == pyte.screens.Cursor(0, 0).attrs
        assert termios.tcgetattr(self._theirs) == self.settings

    def write_as_shell(self, words: str) -> None:
        """Another program writes to the terminal, as the shell does after its command has ended."""
        os.write(self._theirs, words.encode())
        self.read_until(lambda: words.encode() in self.written)

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

    def kill_between_drawings(self) -> None:
        """Ends the process by SIGKILL while it draws nothing: it is stopped until a drawing is whole."""
        while not self._is_stopped_after_drawing():
            self.process.send_signal(signal.SIGCONT)
            self.read_frames(1)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _is_stopped_after_drawing(self) -> bool:
        self.process.send_signal(signal.SIGSTOP)
        stopped = psutil.Process(self.process.pid)
        waiting.until(lambda: stopped.status() == psutil.STATUS_STOPPED, what="the process to be stopped")
        while select.select([self._ours], [], [], 0.3)[0]:
            content = os.read(self._ours, 65536)
            self.written += content
            self._stream.feed(content)
        return self.written.endswith(b"\x1b[J")

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


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

    assert b"blind since" in terminal.written
    assert terminal.text.strip() == "given back"
    assert terminal.history.splitlines()[0] == "before"
    terminal.assert_untouched()


@pytest.mark.parametrize("situation", ["preflight", "starting", "bursting", "blind", "stopping", "hold"])
def test_a_killed_process_leaves_a_terminal_that_a_shell_can_use_at_once(
    start: Callable[..., Terminal], situation: str
) -> None:
    for _ in range(10):  # the kill may fall into a drawing all the same, which is another test's
        terminal = start(80, 24, situation, "60")
        terminal.read_frames(2)
        terminal.kill_between_drawings()
        terminal.write_as_shell("$ ")
        if terminal.written.endswith(b"\x1b[J$ "):
            break

    terminal.assert_untouched()
    assert "M10.F" in terminal.screen.display[0]
    assert terminal.screen.display[terminal.screen.cursor.y].rstrip() == "$"
    assert all(row.strip() == "" for row in terminal.screen.display[terminal.screen.cursor.y + 1 :])
    assert terminal.history.splitlines()[0] == "before"


def test_a_process_killed_in_the_middle_of_a_drawing_leaves_a_usable_terminal_too(
    start: Callable[..., Terminal],
) -> None:
    terminal = start(120, 40, "bursting", "60")
    terminal.read_frames(1)

    terminal.process.send_signal(signal.SIGKILL)
    terminal.process.wait()
    terminal.write_as_shell("\x1b[0m$ ")

    terminal.assert_untouched()


def test_a_process_that_dies_of_an_error_leaves_its_words_and_a_usable_terminal(start: Callable[..., Terminal]) -> None:
    terminal = start(80, 24, "bursting", "1", "fail")

    terminal.read_until(lambda: b"a made-up error" in terminal.written)
    terminal.process.wait()

    terminal.assert_untouched()
    assert "RuntimeError: a made-up error" in terminal.text
    assert "rate/min" not in terminal.text


def test_an_interrupted_process_leaves_a_usable_terminal(start: Callable[..., Terminal]) -> None:
    terminal = start(80, 24, "bursting", "60")
    terminal.read_frames(2)

    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until(lambda: b"KeyboardInterrupt" in terminal.written)
    terminal.process.wait()

    terminal.assert_untouched()
    assert "rate/min" not in terminal.text


@pytest.mark.parametrize(("columns", "rows"), [(20, 3), (40, 2), (200, 60)])
def test_a_terminal_of_any_size_shows_the_top_of_the_view_and_keeps_a_row_for_the_cursor(
    start: Callable[..., Terminal], columns: int, rows: int
) -> None:
    terminal = start(columns, rows, "bursting", "60")

    terminal.read_frames(3)

    assert "M10.F" in terminal.screen.display[0]
    assert terminal.screen.display[rows - 1].strip() == ""


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

    terminal.read_until(lambda: b"lines\r\n" in terminal.written)

    assert b"\x1b" not in terminal.written
    assert terminal.written.replace(b"\r\n", b"\n") == b"before\nlines\n"
