"""The live view on a terminal: drawn anew twice a second by a thread, on a screen of its own that leaves no trace.

The process that drives a run only hands over what it knows: neither a slow terminal nor a flaw in the drawing holds it
up. rich is imported here, once there is a terminal to draw on.
"""

import contextlib
from datetime import UTC, datetime

import rich.console
import rich.live
import rich.text

from burst.cli import common
from burst.report import live_screen, live_views

TIMES_A_SECOND = 2.0


class LiveDisplay:
    """The screen of one run, from `start` to `close`."""

    def __init__(self, output: common.Output) -> None:
        self._output = output
        self._situation = live_views.Situation()
        self._live: rich.live.Live | None = None

    def start(self) -> None:
        """Takes the terminal over; a second start does nothing."""
        if self._live is not None:
            return
        self._live = rich.live.Live(
            console=rich.console.Console(stderr=True, highlight=False, markup=False),
            screen=True,
            refresh_per_second=TIMES_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._draw,
        )
        with contextlib.suppress(OSError):  # the terminal has gone; the run goes on
            self._live.start()

    def show(self, situation: live_views.Situation) -> None:
        """What is shown from now on."""
        self._situation = situation

    def close(self) -> None:
        """Gives the terminal back as it was."""
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(OSError):
                live.stop()

    def _draw(self) -> rich.console.RenderableType:
        try:
            view = live_views.build(self._situation, datetime.now(UTC))
        except Exception as exc:  # a burst goes on whether it can be shown or not
            return rich.text.Text(f"the view cannot be drawn, a bug in burst: {exc!r}; the run goes on")
        return live_screen.LiveScreen(view, self._output.redact)
