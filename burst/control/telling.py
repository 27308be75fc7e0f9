"""Telling outlets: each on a thread of its own, again after a failure that may pass, and never in the way of a run.

What an outlet cannot be told is said to the operator; it changes no verdict and no exit code.
"""

import queue
import threading
from collections.abc import Callable, Sequence

import tenacity

from burst import ports
from burst.domain.basics import errors, redaction
from burst.domain.verdict import run_messages

ATTEMPTS_MAX = 4
PATIENCE_SECONDS = 30.0
"""How long the end of a run waits for its outlets altogether."""
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 4.0


class Telling:
    """Several outlets, told side by side; each hears its messages in their order."""

    def __init__(
        self,
        outlets: Sequence[ports.Outlet],
        *,
        redactor: redaction.Redactor,
        first_wait_seconds: float = _FIRST_WAIT_SECONDS,
    ) -> None:
        self._lines = [_Line(outlet, redactor, first_wait_seconds) for outlet in outlets]

    def tell(self, message: run_messages.RunMessage) -> None:
        """Hands the message to every outlet, and waits for none."""
        for line in self._lines:
            line.put(message)

    def close(self, say: Callable[[str], None], patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Waits for the outlets, together at most as long as the patience, and says which could not be told."""
        for line in self._lines:
            line.put(None)
        waited = threading.Event()
        watch = threading.Timer(patience_seconds, waited.set)
        watch.daemon = True
        watch.start()
        for line in self._lines:
            while not line.ended.wait(0.05) and not waited.is_set():
                pass
        watch.cancel()
        for line in self._lines:
            for words in line.list_failures(patience_seconds):
                say(words)


class _Line:
    """One outlet with the messages that it is still to hear."""

    def __init__(self, outlet: ports.Outlet, redactor: redaction.Redactor, first_wait_seconds: float) -> None:
        self._outlet = outlet
        self._redactor = redactor
        self._first_wait_seconds = first_wait_seconds
        self._messages = queue.SimpleQueue[run_messages.RunMessage | None]()
        self._failures: list[str] = []
        self.ended = threading.Event()
        threading.Thread(target=self._run, name=f"burst-outlet-{outlet.name}", daemon=True).start()

    def put(self, message: run_messages.RunMessage | None) -> None:
        """Adds a message; None is the end."""
        self._messages.put(message)

    def list_failures(self, patience_seconds: float) -> list[str]:
        """What could not be told, in words."""
        given_up = [] if self.ended.is_set() else [f"no answer within {patience_seconds:g} s"]
        return [
            f"outlet {self._outlet.name} was not told: {why}; the verdict does not depend on it"
            for why in (*self._failures, *given_up)
        ]

    def _run(self) -> None:
        while (message := self._messages.get()) is not None:
            try:
                self._send(message)
            except errors.BurstError as failure:
                self._failures.append(f"{message.kind}: {self._redactor.text(str(failure))}")
            except Exception as failure:  # a library's own: an outlet must not end the run
                self._failures.append(f"{message.kind}: {type(failure).__name__}")
        self.ended.set()

    def _send(self, message: run_messages.RunMessage) -> None:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(errors.Unavailable),
            stop=tenacity.stop_after_attempt(ATTEMPTS_MAX),
            wait=tenacity.wait_exponential(multiplier=self._first_wait_seconds, max=_LONGEST_WAIT_SECONDS),
            reraise=True,
        )
        retrying(self._outlet.send, message)


NOBODY = Telling((), redactor=redaction.Redactor())
"""No outlet."""
