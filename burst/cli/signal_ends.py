"""The end of a command by a signal: an exception that unwinds it, so that it ends its child processes."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import click

from burst.domain.basics import errors
from burst.kit import ending_signals

_AGAIN_SECONDS = 0.01


class Terminated(BaseException):
    """TERM or HUP arrived while no run was under way, which would have to be stopped in order; its argument says
    which."""


@contextlib.contextmanager
def unwind() -> Iterator[None]:
    """Lets INT, TERM and HUP unwind the command within, whatever of them was inherited.

    That holds for the first process of a container too, which the kernel would shield from TERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = _Handlers()
    handlers.install()
    try:
        yield
    except (errors.BurstError, click.ClickException, OSError):
        raise
    except Exception as exc:
        if handlers.raised:  # a library raised an error of its own in place of it, as pydantic does in building a model
            raise handlers.raised[0][0] from exc
        raise
    finally:
        handlers.remove()


class _Handlers:
    """The handlers of this process while it runs a command. Python drops an exception that a handler raises within a
    callback of the interpreter: that signal is sent once more, an instant later."""

    def __init__(self) -> None:
        self.raised: list[tuple[BaseException, signal.Signals]] = []
        self._resending: list[threading.Timer] = []
        self._over = False
        self._handlers_before: dict[signal.Signals, Any] = {}
        self._hook_before = sys.unraisablehook

    def install(self) -> None:
        for number in ending_signals.select_heard((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
            self._handlers_before[number] = signal.signal(number, self._end)
        sys.unraisablehook = self._send_again

    def remove(self) -> None:
        """Puts back what was before. A signal that is being sent again arrives first, and finds nothing left to end."""
        self._over = True
        for timer in self._resending:
            timer.cancel()
            timer.join()
        sys.unraisablehook = self._hook_before
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)

    def _end(self, number: int, _: object) -> None:
        if self._over:
            return
        heard = signal.Signals(number)
        end = KeyboardInterrupt() if heard is signal.SIGINT else Terminated(heard.name)
        self.raised.append((end, heard))
        raise end

    def _send_again(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """As a signal of the system's, which ends a wait of the main thread."""
        dropped = [number for end, number in self.raised if end is unraisable.exc_value]
        if not dropped:
            self._hook_before(unraisable)
        for number in dropped:
            timer = threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, [threading.main_thread().ident, number])
            timer.daemon = True
            self._resending.append(timer)
            timer.start()
