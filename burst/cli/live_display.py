"""The live view on a terminal: drawn anew twice a second by a thread, in place, on the screen that the terminal shows.

A process that is killed can give nothing back. So the view takes nothing that it would have to give back: no other
screen, no hidden cursor, no mode of the terminal. The lines on the screen move up into the history, each drawing ends
in plain text with the cursor in the row below it, and there a shell goes on after a kill.
The process that drives a run only hands over what it knows: neither a slow terminal nor a flaw in the drawing holds it
up. rich is imported here, once there is a terminal to draw on.
"""

import sys
import threading
from datetime import UTC, datetime

import rich.console
import rich.text

from burst.cli import common
from burst.report import live_screen, live_views

EVERY_SECONDS = 0.5
LONGEST_DRAWING_SECONDS = 2.0
"""How long the end of the view waits for a drawing that a slow terminal holds up."""
_TO_THE_TOP, _CLEAR_ROW, _CLEAR_BELOW, _PLAIN = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[0m"
_ROWS_OF_THE_CURSOR = 1


class LiveDisplay:
    """The view of one run, from `start` to `close`."""

    def __init__(self, output: common.Output) -> None:
        self._output = output
        self._situation = live_views.Situation()
        self._drawing: threading.Thread | None = None
        self._closed = threading.Event()

    def start(self) -> None:
        """Begins to draw; a second start does nothing."""
        if self._drawing is not None:
            return
        self._closed.clear()
        self._drawing = threading.Thread(target=self._draw_until_closed, name="burst-live-view", daemon=True)
        self._drawing.start()

    def show(self, situation: live_views.Situation) -> None:
        """Shows a situation from now on."""
        self._situation = situation

    def close(self) -> None:
        """Ends the drawing, and clears the view away."""
        drawing, self._drawing = self._drawing, None
        if drawing is not None:
            self._closed.set()
            drawing.join(LONGEST_DRAWING_SECONDS)

    def _draw_until_closed(self) -> None:
        console = rich.console.Console(stderr=True, highlight=False, markup=False)
        try:
            # Empty rows move what the screen shows up into the history of the terminal.
            _write("\r\n" * (console.size.height - 1))
            while not self._closed.is_set():
                _write(self._render(console))
                self._closed.wait(EVERY_SECONDS)
            _write(f"{_PLAIN}{_TO_THE_TOP}{_CLEAR_BELOW}")
        except OSError:  # the terminal has gone; the run goes on
            return

    def _render(self, console: rich.console.Console) -> str:
        """One drawing: each row over what was there before, and nothing left below. A resized terminal is met anew."""
        room = max(1, console.size.height - _ROWS_OF_THE_CURSOR)
        with console.capture() as drawn:
            console.print(self._build(), height=room)
        rows = drawn.get().rstrip("\n").split("\n")[:room]
        return _TO_THE_TOP + "".join(f"{row}{_PLAIN}{_CLEAR_ROW}\r\n" for row in rows) + _CLEAR_BELOW

    def _build(self) -> rich.console.RenderableType:
        try:
            view = live_views.build(self._situation, datetime.now(UTC))
        except Exception as exc:  # a burst goes on whether it can be shown or not
            return rich.text.Text(f"the view cannot be drawn, a bug in burst: {exc!r}; the run goes on")
        return live_screen.LiveScreen(view, self._output.redact)


def _write(words: str) -> None:
    """Writes at once, so that no half of a drawing is seen."""
    sys.stderr.write(words)
    sys.stderr.flush()
