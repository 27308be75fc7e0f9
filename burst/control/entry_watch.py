"""Asks an entry gate until its answer is as expected, or until its time is over.

The decision is `entry_gates.EntryPatience`; here the question is asked, the pause is made, and whoever watches is told.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from burst import ports
from burst.domain.basics import errors
from burst.domain.documents import entry_answers
from burst.domain.plan import plans
from burst.domain.preflight import entry_gates

Ask = Callable[[], Mapping[str, Any]]
"""Asks once, and gives the answer as fields of an `EntryAnswer`. Raises a `BurstError` where there is none."""


@dataclasses.dataclass(slots=True, kw_only=True)
class WaitingWords:
    """How far an entry gate is, in words, for whoever watches. One thread writes them, and another reads them."""

    words: str

    def tell(self) -> str:
        """The words."""
        return self.words


def ask_until(
    plan: plans.Plan, gate: str, ask: Ask, clock: ports.Clock, waiting: WaitingWords
) -> entry_answers.EntryAnswer:
    """The last answer of an entry gate. A question that is wrong in itself is asked once."""
    wait_seconds = entry_gates.find_wait_seconds(plan.entry_questions[gate])
    patience = entry_gates.EntryPatience(begun_at=clock.now(), wait_seconds=wait_seconds)
    times_asked = 0
    while True:
        times_asked += 1
        fields, hopeless = _ask_once(ask)
        now = clock.now()
        answer = entry_answers.EntryAnswer(
            gate=gate,
            question_sha256=entry_gates.digest_question(plan, gate),
            begun_utc=patience.begun_at,
            answered_utc=max(now, patience.begun_at),
            times_asked=times_asked,
            **fields,
        )
        problem = entry_gates.judge_answer(plan, gate, answer)
        if hopeless or patience.decide(problem, now) is not entry_gates.NextStep.ASK_AGAIN:
            return answer
        waiting.words = entry_gates.describe_waiting(plan, gate, problem, patience, now)
        clock.sleep(patience.pause_seconds(now))


def _ask_once(ask: Ask) -> tuple[Mapping[str, Any], bool]:
    """The answer, and whether asking again is no use."""
    try:
        return ask(), False
    except errors.UsageError as exc:
        return {"unanswered": str(exc)}, True
    except errors.BurstError as exc:
        return {"unanswered": str(exc)}, False
