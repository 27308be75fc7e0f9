"""Answering: the whole life of the task inside the VPC: read a question, ask the database, give the answer.

Every answer goes two ways, as numbered lines to the log and as an object beside its question, so that neither a log
that loses lines nor a foreign object can pass for a count. The task ends by itself: when the session is declared over,
when no question came for a while, and at its deadline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from burst import ports
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import chunks, driver_entries, estimate_answers, models, questions, task_answers

POLL_SECONDS = 0.4
"""How often the task looks for the next question."""
SLICE_PATIENCE_SECONDS = 10.0
"""How long one slice of a burst may take to count."""

Say = Callable[[str], None]
"""Prints one line to the log, at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingSession:
    """One task's questions and answers, and how long the task may last."""

    name: str
    place: ports.EvidenceStore
    until: datetime
    idle_seconds: float
    """How long it lasts without a question."""
    say: Say

    def tell(self, name: str, answer: task_answers.AnswerDocument) -> None:
        """Gives one answer both ways. Raises as the store does."""
        content = answer.content()
        for line in chunks.lines(questions.log_name(self.name, name), content):
            self.say(line)
        self.place.put_once(name, content)

    def read(self, name: str) -> bytes | None:
        """The document, None while it is absent or cannot be read: both may pass."""
        try:
            return self.place.read(name)
        except (errors.EvidenceIncomplete, errors.EvidenceUnknown):
            return None


def serve(session: CountingSession, *, source: ports.ReceiptSource, clock: ports.Clock) -> int:
    """Answers questions until the session is over. Returns how many were answered.

    Raises as the store does when an answer cannot be put there.
    """
    source.open(session.until)
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
    """Answers one question. A question of a kind that is not known, or of another session, is answered too, with a
    failure that says so."""

    def document(answer: task_answers.Answer) -> task_answers.AnswerDocument:
        figures = source.read_figures()
        return task_answers.AnswerDocument(
            session=session.name,
            number=number,
            question_sha256=canonical.digest(content),
            told=answer,
            driver=driver_entries.FiguresEntry.from_figures(figures) if figures is not None else None,
        )

    try:
        question = models.read(questions.QuestionDocument, content)
        if (question.session, question.number) != (session.name, number):
            raise errors.UsageError(f"this is question {question.number} of {question.session}, not of {session.name}")
        if isinstance(question.ask, questions.FollowQuestion):
            _follow(session, number, question.ask, document, source, clock)
            return
        answer = _ask(question.ask, source, instants.later(clock.now(), question.patience_seconds))
    except errors.BurstError as exc:
        answer = task_answers.FailureAnswer.from_error(exc)
    session.tell(questions.answer_name(number), document(answer))


def _ask(question: questions.SingleQuestion, source: ports.ReceiptSource, give_up_at: datetime) -> task_answers.Answer:
    match question:
        case questions.CountQuestion(window=entry, scope=scope, bucket_seconds=bucket_seconds):
            counted = source.count(entry.window, scope=scope, bucket_seconds=bucket_seconds, give_up_at=give_up_at)
            return task_answers.CountAnswer.from_count(counted)
        case questions.ClockQuestion():
            return task_answers.ClockAnswer.from_clock(source.clock(give_up_at=give_up_at))
        case questions.WritersQuestion():
            return task_answers.WritersAnswer.from_writers(source.open_writers(give_up_at=give_up_at))
        case questions.FactQuestion(sql=sql, scope=scope):
            return task_answers.build_fact_answer(source.ask(sql, scope=scope, give_up_at=give_up_at))
        case questions.ProblemsQuestion():
            return task_answers.ProblemsAnswer(problems=list(source.problems(give_up_at=give_up_at)))
        case questions.ServerQuestion():
            return task_answers.ServerAnswer.from_server(source.server(give_up_at=give_up_at))
        case questions.PrivilegesQuestion():
            return task_answers.PrivilegesAnswer.from_privileges(source.privileges(give_up_at=give_up_at))
        case questions.RoleQuestion():
            return task_answers.RoleAnswer(role=source.role(give_up_at=give_up_at))
        case questions.TimesQuestion(rows=rows):
            return task_answers.TimesAnswer.from_sample(source.sample_times(rows, give_up_at=give_up_at))
        case questions.ScopeQuestion(scope=scope, event_column=event_column):
            contents = source.scope_contents(scope, event_column=event_column, give_up_at=give_up_at)
            return task_answers.ScopeAnswer.from_contents(contents)
        case questions.ReceiptQuestion(event_id=event_id, scope=scope, event_column=event_column):
            receipt = source.find_receipt(event_id, scope=scope, event_column=event_column, give_up_at=give_up_at)
            return task_answers.ReceiptAnswer.from_receipt(receipt)
        case questions.EstimateQuestion(window=entry, scope=scope, bucket_seconds=bucket_seconds):
            estimate = source.estimate_count(
                entry.window, scope=scope, bucket_seconds=bucket_seconds, give_up_at=give_up_at
            )
            return estimate_answers.EstimateAnswer.from_estimate(estimate)
        case questions.DuplicatesQuestion(window=entry, scope=scope, event_column=event_column):
            classes = source.classify_duplicates(
                entry.window, scope=scope, event_column=event_column, give_up_at=give_up_at
            )
            return task_answers.DuplicatesAnswer.from_classes(classes)


def _follow(
    session: CountingSession,
    number: int,
    question: questions.FollowQuestion,
    document: Callable[[task_answers.Answer], task_answers.AnswerDocument],
    source: ports.ReceiptSource,
    clock: ports.Clock,
) -> None:
    """Counts slice by slice until the next question, or the end of the session. A database that does not answer is
    asked again: the next slice begins where the last one ended. Why there is none is told once, in place of a slice."""
    counter = source.follow(
        start=question.start_utc,
        until=question.until_utc or session.until,
        scope=question.scope,
        settle_seconds=question.settle_seconds,
        every_seconds=question.every_seconds,
        patience_seconds=SLICE_PATIENCE_SECONDS,
    )
    index, due, following = 1, clock.now(), questions.question_name(number + 1)
    is_blind = False
    while clock.now() < session.until and not (session.read(following) or session.read(questions.END)):
        if clock.now() < due:
            clock.sleep(POLL_SECONDS)
            continue
        _require_room(question, source)
        due = instants.later(clock.now(), question.every_seconds)
        try:
            counted = counter.poll(clock.now()).slice
        except errors.Unavailable as exc:
            if not is_blind:
                session.tell(questions.slice_name(number, index), document(task_answers.FailureAnswer.from_error(exc)))
                is_blind, index = True, index + 1
            continue
        if counted is not None:
            session.tell(questions.slice_name(number, index), document(task_answers.CountAnswer.from_count(counted)))
            is_blind, index = False, index + 1


def _require_room(question: questions.FollowQuestion, source: ports.ReceiptSource) -> None:
    """Raises `errors.Refused` once the database has worked for this task for as long as it may."""
    figures, limit_seconds = source.read_figures(), question.database_seconds_max
    if figures is not None and limit_seconds is not None and figures.database_seconds >= limit_seconds:
        raise errors.Refused(
            f"the database has worked for {figures.database_seconds:.3f} s for this task, and live counts may take "
            f"{limit_seconds:g} s: they end here, so that the rest is left for the final count"
        )
