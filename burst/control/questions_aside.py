"""Questions aside: what the controller asks again and again on threads of its own: no slow answer holds up a beat.

A question is asked by one thread at a time. Only the loop journals, once it takes the outcome.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from burst.domain.basics import errors, instants

SILENCE_SECONDS = 15.0
"""After so long without an answer a question is silent; a question to a fact gives up before."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionOutcome(Generic[T]):
    """The end of one question: its answer, or why there is none."""

    answer: T | None = None
    failure: errors.BurstError | None = None


class Question(Generic[T]):
    """One question, asked again and again on threads, never twice at once. Loop and heart may both use it."""

    def __init__(self, ask: Callable[[], T], every_seconds: float, signs: Sequence[str] = ()) -> None:
        self._ask = ask
        self._every_seconds = every_seconds
        self.signs = tuple(signs)
        """The stop signs that it asks about."""
        self._changing = threading.Condition()
        self._begun_at: datetime | None = None
        self._asking = False
        self._latest: QuestionOutcome[T] | None = None
        self._taken = True

    def begin(self, now: datetime) -> bool:
        """Asks where it is time to and nobody is asking; whether it did."""
        with self._changing:
            due = self._begun_at is None or now >= instants.later(self._begun_at, self._every_seconds)
            if self._asking or not due:
                return False
            self._begun_at, self._asking = now, True
        threading.Thread(target=self._work, name="burst-question", daemon=True).start()
        return True

    def take(self, seconds: float) -> QuestionOutcome[T] | None:
        """The outcome that nobody has taken yet, waited for so long where one is on its way; None without one."""
        with self._changing:
            self._changing.wait_for(lambda: not self._asking or not self._taken, timeout=seconds)
            if self._taken:
                return None
            self._taken = True
            return self._latest

    @property
    def latest(self) -> T | None:
        """The latest answer, taken or not; None where there was none."""
        with self._changing:
            return None if self._latest is None else self._latest.answer

    def silent(self, now: datetime, seconds: float | None = None) -> bool:
        """Whether the question that is under way has had no answer for too long, `SILENCE_SECONDS` unless said."""
        with self._changing:
            asked_at = self._begun_at if self._asking else None
        longest = SILENCE_SECONDS if seconds is None else seconds
        return asked_at is not None and now >= instants.later(asked_at, longest)

    def _work(self) -> None:
        outcome = self._find_outcome()
        with self._changing:
            self._latest, self._taken, self._asking = outcome, False, False
            self._changing.notify_all()

    def _find_outcome(self) -> QuestionOutcome[T]:
        try:
            return QuestionOutcome(answer=self._ask())
        except errors.BurstError as exc:
            return QuestionOutcome(failure=exc)
        except Exception as exc:  # only its kind: the words of a foreign error may hold a secret
            return QuestionOutcome(
                failure=errors.Unavailable(f"the question failed, a bug in burst: {type(exc).__name__}")
            )
