"""Stop signs: the looks of the controller at everything outside that may stop its run: the halt, alarms and facts.

Each question is asked on a thread of its own, one at a time, so that no slow answer holds up a heartbeat: the halt with
every beat, alarms and facts every few seconds. Only the loop journals. A question without an answer is journalled as
such, once, and neither stops the run nor counts as quiet.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from burst import ports
from burst.control import facts, questions_aside, recorder
from burst.domain.basics import errors, instants
from burst.domain.documents import halts
from burst.domain.observations import limits
from burst.domain.plan import fact_sections, plans
from burst.domain.run.events import watch_events
from burst.domain.tasks import stop_signs
from burst.domain.verdict import run_gates

SIGN_SECONDS = 5.0
"""Seconds between two looks at one alarm or fact."""
PATIENCE_SECONDS = 0.25
"""How long a look waits for the answers that it has just asked for: most come at once, and then count at once."""
FACT_SECONDS = 10.0
"""How long a question to a fact may take."""

_STOPS_WHERE = {
    limits.Comparison.EQUALS: "equals",
    limits.Comparison.AT_MOST: "is at most",
    limits.Comparison.AT_LEAST: "is at least",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Everything outside that stop signs are asked of; a part that is None cannot be asked."""

    halt: ports.HaltSwitch | None
    alarms: ports.Alarms | None
    source: ports.ReceiptSource | None
    read_document: facts.ReadDocument


class StopSigns:
    """The halt, the alarms and the facts that may stop one run."""

    def __init__(
        self,
        *,
        plan: plans.Plan,
        record: recorder.Recorder,
        outside: Outside,
        clock: ports.Clock,
        beat_seconds: float,
    ) -> None:
        self._record = record
        self._clock = clock
        self._halt = _halt_question(outside.halt, beat_seconds)
        self._signs = _sign_questions(plan, outside, self._give_up_at)

    def _give_up_at(self) -> datetime:
        """When a question to a fact gives up: never after the deadline, to which a task that counts is held."""
        give_up_at = instants.later(self._clock.now(), FACT_SECONDS)
        deadline = self._record.run.deadline
        return give_up_at if deadline is None else min(give_up_at, deadline)

    def look(self) -> None:
        """Asks every question that is due, and journals the answers that have come; nothing once the run ends."""
        run, now = self._record.run, self._clock.now()
        if run.stopping is not None or run.interruptions or run.halt is not None or run.stop_sign is not None:
            return
        questions = [question for question in (self._halt, *self._signs) if question is not None]
        begun = [question.begin(now) for question in questions] if run.operator_stop is None else []
        give_up_at = time.monotonic() + (PATIENCE_SECONDS if any(begun) else 0.0)
        if self._halt is not None:
            self._note_halt(self._halt, give_up_at, now)
        for question in self._signs:
            self._note_signs(question, give_up_at, now)

    def find_halt(self) -> halts.Halt | None:
        """The halt as it was last read, for the heart, which must not wait: it only begins the next reading."""
        if self._halt is None:
            return None
        self._halt.begin(self._clock.now())
        return self._halt.latest

    def _note_halt(
        self, question: "questions_aside.Question[halts.Halt | None]", give_up_at: float, now: datetime
    ) -> None:
        (address,) = question.signs
        outcome = question.take(max(0.0, give_up_at - time.monotonic()))
        if outcome is None:
            self._note_silence(question, now)
        elif outcome.failure is not None:
            self._note_unclear(address, str(outcome.failure))
        else:
            self._note_clear(address)
            halt = outcome.answer
            if halt is not None:
                self._record.note(watch_events.Halted(place=address, reason=halt.reason, by=halt.by, since=halt.at_utc))

    def _note_signs(
        self, question: "questions_aside.Question[Sequence[stop_signs.SignAnswer]]", give_up_at: float, now: datetime
    ) -> None:
        outcome = question.take(max(0.0, give_up_at - time.monotonic()))
        if outcome is None:
            self._note_silence(question, now)
            return
        if outcome.failure is not None:
            for sign in question.signs:
                self._note_unclear(sign, str(outcome.failure))
        for answer in outcome.answer or ():
            if answer.met is None:
                self._note_unclear(answer.sign, answer.detail)
                continue
            self._note_clear(answer.sign)
            if answer.met and self._record.run.stop_sign is None:
                event = watch_events.StopSignMet(sign=answer.sign, value=answer.value, detail=answer.detail)
                self._record.note(event)

    def _note_silence(self, question: "questions_aside.Question[T]", now: datetime) -> None:
        if question.silent(now):
            for sign in question.signs:
                self._note_unclear(sign, f"no answer within {questions_aside.SILENCE_SECONDS:g} s")

    def _note_unclear(self, sign: str, why: str) -> None:
        if sign not in self._record.run.signs_in_doubt:
            self._record.note(watch_events.StopSignUnclear(sign=sign, why=why))

    def _note_clear(self, sign: str) -> None:
        if sign in self._record.run.signs_in_doubt:
            self._record.note(watch_events.StopSignClear(sign=sign))


def _halt_question(
    switch: ports.HaltSwitch | None, every_seconds: float
) -> "questions_aside.Question[halts.Halt | None] | None":
    return None if switch is None else questions_aside.Question(switch.read, every_seconds, [switch.address])


def _sign_questions(
    plan: plans.Plan, outside: Outside, give_up_at: Callable[[], datetime]
) -> "list[questions_aside.Question[Sequence[stop_signs.SignAnswer]]]":
    """One question for all alarms, and one for each fact."""
    alarms = [entry.alarm for entry in plan.stop_signs if entry.alarm is not None]
    source, port = outside.source, outside.alarms
    questions = list[questions_aside.Question[Sequence[stop_signs.SignAnswer]]]()
    if alarms and port is not None:
        questions.append(questions_aside.Question(functools.partial(ask_alarms, port, alarms), SIGN_SECONDS, alarms))
    for entry in plan.stop_signs:
        if entry.alarm is None and source is not None:
            ask = functools.partial(_ask_fact_alone, entry, plan.scope, source, outside.read_document, give_up_at)
            questions.append(questions_aside.Question(ask, SIGN_SECONDS, [entry.sign]))
    return questions


def ask_alarms(port: ports.Alarms, arns: Sequence[str]) -> Sequence[stop_signs.SignAnswer]:
    """The answers of alarms, all in one look."""
    answers: Mapping[str, stop_signs.Alarm | errors.BurstError] = port.look(arns)
    return [stop_signs.answer_of_alarm(arn, answers[arn]) for arn in arns]


def ask_fact(
    entry: fact_sections.StopSignSection,
    scope: str,
    source: ports.ReceiptSource,
    read_document: facts.ReadDocument,
    give_up_at: datetime,
) -> stop_signs.SignAnswer:
    """The answer of a fact: it is met once its expectation holds. A question without a value says nothing."""
    try:
        value, detail = facts.ask_value(entry, scope, source, read_document, give_up_at)
    except errors.BurstError as exc:
        return stop_signs.SignAnswer(sign=entry.sign, met=None, detail=str(exc), unread=True)
    if value is None:
        return stop_signs.SignAnswer(sign=entry.sign, met=None, detail=detail)
    limit = run_gates.expectation(entry)
    met = limits.meets(value, limit.comparison, limit.required)
    detail = f"the run stops where it {_STOPS_WHERE[limit.comparison]} {limit.required}"
    return stop_signs.SignAnswer(sign=entry.sign, met=met, value=value, detail=detail)


def _ask_fact_alone(
    entry: fact_sections.StopSignSection,
    scope: str,
    source: ports.ReceiptSource,
    read_document: facts.ReadDocument,
    give_up_at: Callable[[], datetime],
) -> Sequence[stop_signs.SignAnswer]:
    return [ask_fact(entry, scope, source, read_document, give_up_at())]
