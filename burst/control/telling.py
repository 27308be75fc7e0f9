"""Telling outlets: each on a thread of its own, again after a failure that may pass, and never in the way of a run.

What an outlet cannot be told is said to the operator; it changes no verdict and no exit code.
"""

import collections
import contextlib
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Sequence

import tenacity

from burst import ports
from burst.domain.basics import errors, redaction
from burst.domain.verdict import run_messages

ATTEMPTS_MAX = 4
PATIENCE_SECONDS = 30.0
"""How long the end of a run waits for its outlets altogether."""
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 4.0
ATTEMPT_SECONDS = 12.0
"""How long one attempt may take: an answer that comes a byte a second would hold back every later message."""
LONGEST_ASKED_SECONDS = 8.0
"""The longest wait that a receiver may ask for: three of them end before the patience does."""


class Telling:
    """Several outlets, told side by side; each hears its messages in their order. Those in `told_before` hear none."""

    def __init__(
        self,
        outlets: Sequence[ports.Outlet],
        *,
        redactor: redaction.Redactor,
        told_before: Collection[str] = (),
        first_wait_seconds: float = _FIRST_WAIT_SECONDS,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        self._redactor = redactor
        self._closed = False
        self._lines = {
            name: _Line(outlet, redactor, first_wait_seconds, attempt_seconds)
            for name, outlet in number_outlets(outlets)
            if name not in told_before
        }

    def tell(self, message: run_messages.RunMessage) -> None:
        """Hands the message to every outlet, its words without a secret, and waits for none."""
        clean = message.model_copy(update={"words": self._redactor.text(message.words)})
        for line in self._lines.values():
            line.put(clean)

    def list_told(self, message: run_messages.RunMessage) -> list[str]:
        """The outlets that took the message, by name and number."""
        return [name for name, line in self._lines.items() if message.id in line.told_ids]

    def close(self, say: Callable[[str], None], patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Waits for the outlets, together at most as long as the patience, and says which could not be told.

        An interrupt ends the wait, and nothing else: the run has its verdict already. A second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        lines = self._lines.values()
        for line in lines:
            line.put(None)
        waited = threading.Event()
        watch = threading.Timer(patience_seconds, waited.set)
        watch.daemon = True
        with contextlib.suppress(KeyboardInterrupt):
            watch.start()
            for line in lines:
                while not line.ended.wait(0.05) and not waited.is_set():
                    pass
        watch.cancel()
        unanswered = (
            f"no answer within {patience_seconds:g} s"
            if waited.is_set()
            else "an interrupt ended the wait for its answer"
        )
        for line in lines:
            for words in line.list_failures(unanswered):
                say(words)


def number_outlets(outlets: Sequence[ports.Outlet]) -> Iterator[tuple[str, ports.Outlet]]:
    """Each outlet with its name and its number among those of that name: its address may hold a secret."""
    seen: collections.Counter[str] = collections.Counter()
    for outlet in outlets:
        seen[outlet.name] += 1
        yield f"{outlet.name}-{seen[outlet.name]}", outlet


class _Line:
    """One outlet with the messages that it is still to hear."""

    def __init__(
        self,
        outlet: ports.Outlet,
        redactor: redaction.Redactor,
        first_wait_seconds: float,
        attempt_seconds: float,
    ) -> None:
        self._outlet = outlet
        self._redactor = redactor
        self._first_wait_seconds = first_wait_seconds
        self._attempt_seconds = attempt_seconds
        self._messages = queue.SimpleQueue[run_messages.RunMessage | None]()
        self._failures: list[str] = []
        self.told_ids: list[str] = []
        self.ended = threading.Event()
        threading.Thread(target=self._run, name=f"burst-outlet-{outlet.name}", daemon=True).start()

    def put(self, message: run_messages.RunMessage | None) -> None:
        """Adds a message; None is the end."""
        self._messages.put(message)

    def list_failures(self, unanswered: str) -> list[str]:
        """What could not be told, in words; `unanswered` says why nobody waits for the rest."""
        given_up = [] if self.ended.is_set() else [unanswered]
        return [
            f"outlet {self._outlet.name} was not told: {why}; the verdict does not depend on it"
            for why in (*self._failures, *given_up)
        ]

    def _run(self) -> None:
        while (message := self._messages.get()) is not None:
            try:
                self._send(message)
                self.told_ids.append(message.id)
            except errors.BurstError as failure:
                self._failures.append(f"{message.kind}: {self._redactor.text(str(failure))}")
            except Exception as failure:  # a library's own: an outlet must not end the run
                self._failures.append(f"{message.kind}: {type(failure).__name__}")
        self.ended.set()

    def _send(self, message: run_messages.RunMessage) -> None:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(errors.Unavailable),
            stop=tenacity.stop_after_attempt(ATTEMPTS_MAX),
            wait=self._choose_wait_seconds,
            reraise=True,
        )
        retrying(self._send_once, message)

    def _send_once(self, message: run_messages.RunMessage) -> None:
        """One attempt, on a thread that is left behind where it takes too long; it ends with the process at the latest.

        Raises what the outlet raises, and `errors.Unavailable` where it takes too long.
        """
        ended = queue.SimpleQueue[Exception | None]()

        def send() -> None:
            try:
                self._outlet.send(message)
                ended.put(None)
            except Exception as failure:  # raised by the thread that waits for it
                ended.put(failure)

        threading.Thread(target=send, name=f"burst-outlet-{self._outlet.name}-attempt", daemon=True).start()
        try:
            failure = ended.get(timeout=self._attempt_seconds)
        except queue.Empty:
            raise errors.Unavailable(f"no whole answer within {self._attempt_seconds:g} s") from None
        if failure is not None:
            raise failure

    def _choose_wait_seconds(self, state: tenacity.RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome is not None else None
        growing = tenacity.wait_exponential(multiplier=self._first_wait_seconds, max=_LONGEST_WAIT_SECONDS)
        return choose_wait_seconds(failure, growing(state))


def choose_wait_seconds(failure: BaseException | None, growing_seconds: float) -> float:
    """The wait before the next attempt: as long as the receiver asked for, within reason, and never less than ours."""
    asked_seconds = failure.wait_seconds if isinstance(failure, errors.Unavailable) else None
    return max(growing_seconds, min(asked_seconds or 0.0, LONGEST_ASKED_SECONDS))


NOBODY = Telling((), redactor=redaction.Redactor())
"""No outlet."""
