"""Answering: what the task inside the VPC does all its life: read a question, ask the database, say what it answered.

Every answer goes two ways, as numbered lines to the log and as an object beside its question, so that neither a log
that loses lines nor an object somebody put there can pass for a count. The task ends by itself: when the session is
declared over, when nobody has asked for a while, and at its deadline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from burst import ports
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import chunks, models, questions
from burst.kit import measure

POLL_SECONDS = 0.4
"""How often the next question is looked for."""

Say = Callable[[str], None]
"""Prints one line to the log, at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingSession:
    """Where one task's questions and answers lie and how long it may last."""

    name: str
    place: ports.EvidenceStore
    until: datetime
    idle_seconds: float
    """How long it lasts without a question."""
    say: Say

    def tell(self, name: str, answer: questions.AnswerDocument) -> None:
        """Gives one answer both ways. Raises what the store raises."""
        content = answer.content()
        for line in chunks.lines(questions.told_as(self.name, name), content):
            self.say(line)
        self.place.put_once(name, content)

    def read(self, name: str) -> bytes | None:
        """The document, None while it is not there, or cannot be read: both may pass."""
        try:
            return self.place.read(name)
        except (errors.EvidenceIncomplete, errors.EvidenceUnknown):
            return None


def serve(session: CountingSession, *, source: ports.ReceiptSource, clock: ports.Clock) -> int:
    """Answers questions until the session is over. Returns how many were answered.

    Raises what the store raises when an answer cannot be put there.
    """
    number, idle_at = 1, instants.later(clock.now(), session.idle_seconds)
    while clock.now() < min(idle_at, session.until):
        content = session.read(questions.question_name(number))
        if content is not None:
            _answer(session, number, content, source, clock)
            number, idle_at = number + 1, instants.later(clock.now(), session.idle_seconds)
        elif session.read(questions.END) is not None:
            break
        else:
            clock.sleep(POLL_SECONDS)
    return number - 1


def _answer(
    session: CountingSession, number: int, content: bytes, source: ports.ReceiptSource, clock: ports.Clock
) -> None:
    def answer(told: questions.Told) -> questions.AnswerDocument:
        return questions.AnswerDocument(
            session=session.name, number=number, question_sha256=canonical.digest(content), told=told
        )

    try:
        question = models.read(questions.QuestionDocument, content)
        if (question.session, question.number) != (session.name, number):
            raise errors.UsageError(f"this is question {question.number} of {question.session}, not of {session.name}")
        if isinstance(question.ask, questions.FollowQuestion):
            _follow(session, number, question.ask, answer, source, clock)
            return
        told = _told(question.ask, source, instants.later(clock.now(), question.patience_seconds))
    except errors.BurstError as exc:
        told = questions.FailureAnswer.of(exc)
    session.tell(questions.answer_name(number), answer(told))


def _told(
    ask: questions.CountQuestion | questions.ClockQuestion | questions.FactQuestion | questions.ProblemsQuestion,
    source: ports.ReceiptSource,
    give_up_at: datetime,
) -> questions.Told:
    match ask:
        case questions.CountQuestion():
            counted = source.count(
                ask.window.window, scope=ask.scope, bucket_seconds=ask.bucket_seconds, give_up_at=give_up_at
            )
            return questions.CountAnswer.of(counted)
        case questions.ClockQuestion():
            return questions.ClockAnswer.of(source.clock(give_up_at=give_up_at))
        case questions.FactQuestion():
            return questions.value(source.ask(ask.sql, scope=ask.scope, give_up_at=give_up_at))
        case questions.ProblemsQuestion():
            return questions.ProblemsAnswer(problems=list(source.problems(give_up_at=give_up_at)))


def _follow(
    session: CountingSession,
    number: int,
    ask: questions.FollowQuestion,
    answer: Callable[[questions.Told], questions.AnswerDocument],
    source: ports.ReceiptSource,
    clock: ports.Clock,
) -> None:
    """Counts slice by slice until the next question, or the session, is there. A database that does not answer is
    asked again: the next slice begins where the last one ended."""
    counter = measure.LiveCounter(source, start=ask.start_utc, scope=ask.scope, settle_seconds=ask.settle_seconds)
    index, due, following = 1, clock.now(), questions.question_name(number + 1)
    while clock.now() < session.until and not (session.read(following) or session.read(questions.END)):
        if clock.now() < due:
            clock.sleep(POLL_SECONDS)
            continue
        due = instants.later(clock.now(), ask.every_seconds)
        try:
            counted = counter.poll(clock.now()).slice
        except errors.Unavailable:
            continue
        if counted is not None:
            session.tell(questions.slice_name(number, index), answer(questions.CountAnswer.of(counted)))
            index += 1
