"""Receipts counted by a task inside the VPC: questions put on S3, answers believed when both their ways agree.

One task holds a session: it is started once, because a start takes the better part of a minute, and answers every
question until the session is over. An answer counts only when the task's log and the object beside the question hold
the same bytes. One of the two alone is refused, and a task that stops without an answer is reported with its stop
reason. Sessions are numbered, and opening one declares every earlier one over, so that no question of a dead controller
goes on.

The task may run an older image than the controller. It then answers the kinds of question it knows, and refuses the
others by their kind: a preflight against an older image fails closed, with the advice to give the task this image.
"""

import contextlib
import itertools
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeVar

from burst import ports
from burst.domain.basics import canonical, errors, instants, windows
from burst.domain.documents import (
    chunks,
    database_checks,
    estimate_answers,
    models,
    questions,
    task_answers,
    window_metrics,
)
from burst.domain.receipts import count_costs, driver_figures, duplicates, receipt_table, receipts
from burst.domain.tasks import tasks

POLL_SECONDS = 0.3
LOOK_SECONDS = 2.0
"""How often ECS is asked whether a task that has not answered still runs."""
SECOND_WAY_SECONDS = 60.0
"""How long the second way may stay behind the first: CloudWatch Logs delivers in seconds, and names no bound."""
AFTER_END_SECONDS = 20.0
"""How long after a task's end the last lines of its log may take."""
AGAIN_SECONDS = 5.0
"""How often a log that lacks an answer is read from its beginning: what arrives late may stand before what was read."""
MARGIN_SECONDS = 300.0
"""How much longer than asked for a session may last, so that the next question still meets it."""
END_SECONDS = 20.0
"""How long `close` watches the tasks end."""
SILENT_SLICES = 5
"""After how many slices that are due and do not come ECS is asked whether the task still runs."""

T = TypeVar("T", bound=task_answers.Answer)


class CountingTask(Protocol):
    """The task of one session, as it was started."""

    @property
    def task_id(self) -> str:
        """Its identity, as evidence names it."""
        ...

    def end_reason(self) -> str | None:
        """Why it stopped, None while it may run. Raises `errors.Unavailable` when ECS does not tell."""
        ...

    def stop(self) -> None:
        """Asks it to end."""
        ...

    def read_log(self, *, again: bool = False) -> Sequence[str]:
        """The lines that came into its log since the last time, or with `again` all of them; none is not the end.

        Raises `errors.BurstError` where the log cannot be read now."""
        ...


Start = Callable[[str, datetime], CountingTask]
"""Starts the task of a session, which must be over by the instant. Raises `errors.BurstError`."""
Place = Callable[[str], ports.EvidenceStore]
"""The store that holds the questions and answers of a session."""


@dataclass(slots=True, kw_only=True)
class _Session:
    name: str
    place: ports.EvidenceStore
    task: CountingTask
    until: datetime
    asked: int = 0
    let_in: bool = False
    """Whether the database has let its task in."""
    figures: driver_figures.DriverFigures | None = driver_figures.NOTHING_YET
    """What its driver did, by its latest answer; None once an answer did not tell it."""
    heard: chunks.Heard = field(default_factory=chunks.Heard)

    @property
    def words(self) -> str:
        return f"the counting task {self.task.task_id}"


@dataclass(slots=True, kw_only=True)
class _Awaited:
    """One answer on its way: what each way has brought, and when it was last asked after the task."""

    name: str
    log_name: str
    since: datetime
    looked_at: datetime
    again_at: datetime
    stored: bytes | None = None
    logged: bytes | None = None
    first_at: datetime | None = None
    ended: str | None = None
    ended_at: datetime | None = None


class TaskReceipts:
    """`ports.ReceiptSource` whose answers come from a task. `close` ends it.

    It may be asked from several threads: their questions are answered one after the other, and waited for together.
    With `live_database_seconds` a task that follows the burst ends that once the database has worked for so long.
    Every question raises the error that the task answered, `errors.Unavailable` where no answer came, and
    `errors.Refused` where one came one way only, or not the same both ways, or the task's image is too old to know the
    question.
    """

    def __init__(
        self, *, start: Start, place: Place, clock: ports.Clock, live_database_seconds: float | None = None
    ) -> None:
        self._live_database_seconds = live_database_seconds
        self._start = start
        self._place = place
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._session: _Session | None = None
        self._sessions: list[_Session] = []
        """Every session that was opened, in order."""
        self._given_up: list[CountingTask] = []
        self._opening: threading.Thread | None = None
        self._start_failure = ""

    def read_figures(self) -> driver_figures.DriverFigures | None:
        """What the drivers of all tasks did, by the latest answer of each."""
        figures_by_session = [session.figures for session in self._sessions]
        counted = [figures for figures in figures_by_session if figures is not None]
        return sum(counted, driver_figures.NOTHING_YET) if len(counted) == len(figures_by_session) else None

    # Questions

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        """Counts one half-open window; the count says which answer of which task it is."""
        question = questions.build(
            questions.CountQuestion,
            window=window_metrics.WindowEntry.from_window(window),
            scope=scope,
            bucket_seconds=bucket_seconds,
        )
        answer, origin = self._ask(question, task_answers.CountAnswer, give_up_at)
        return answer.count(origin)

    def classify_duplicates(
        self, window: windows.Window, *, scope: str, event_column: str, give_up_at: datetime
    ) -> duplicates.DuplicateClasses | None:
        """The duplicates of a window by class."""
        question = questions.build(
            questions.DuplicatesQuestion,
            window=window_metrics.WindowEntry.from_window(window),
            scope=scope,
            event_column=event_column,
        )
        return self._ask(question, task_answers.DuplicatesAnswer, give_up_at)[0].duplicate_classes

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        """The database clock against the task's, which is AWS's own."""
        return self._ask(questions.ClockQuestion(), task_answers.ClockAnswer, give_up_at)[0].clock

    def open_writers(self, *, give_up_at: datetime) -> receipts.OpenWriters:
        """The open writers of the table."""
        return self._ask(questions.WritersQuestion(), task_answers.WritersAnswer, give_up_at)[0].open_writers

    def ask(self, sql: str, *, scope: str, give_up_at: datetime) -> object:
        """The single value of a fact query."""
        question = questions.build(questions.FactQuestion, sql=sql, scope=scope)
        return self._ask(question, task_answers.FactAnswer, give_up_at)[0].value

    def problems(self, *, give_up_at: datetime) -> Sequence[str]:
        """Every problem of the table and its columns, as sentences."""
        return self._ask(questions.ProblemsQuestion(), task_answers.ProblemsAnswer, give_up_at)[0].problems

    def server(self, *, give_up_at: datetime) -> receipt_table.DatabaseServer:
        """The version of the database server, and whether it is a standby."""
        return self._ask(questions.ServerQuestion(), task_answers.ServerAnswer, give_up_at)[0].server

    def privileges(self, *, give_up_at: datetime) -> receipt_table.TablePrivileges:
        """The rights to write of the role that the task logs in as."""
        return self._ask(questions.PrivilegesQuestion(), task_answers.PrivilegesAnswer, give_up_at)[0].privileges

    def role(self, *, give_up_at: datetime) -> database_checks.RoleEntry:
        """The role of the task's DSN."""
        return self._ask(questions.RoleQuestion(), task_answers.RoleAnswer, give_up_at)[0].role

    def sample_times(self, rows: int, *, give_up_at: datetime) -> receipt_table.TimesSample:
        """How the times of at most so many receipts are written."""
        question = questions.build(questions.TimesQuestion, rows=rows)
        return self._ask(question, task_answers.TimesAnswer, give_up_at)[0].sample

    def scope_contents(self, scope: str, *, event_column: str, give_up_at: datetime) -> receipt_table.ScopeContents:
        """Everything in a scope."""
        question = questions.build(questions.ScopeQuestion, scope=scope, event_column=event_column)
        return self._ask(question, task_answers.ScopeAnswer, give_up_at)[0].contents

    def find_receipt(
        self, event_id: str, *, scope: str, event_column: str, give_up_at: datetime
    ) -> receipt_table.EventReceipt | None:
        """The receipt of one event."""
        question = questions.build(questions.ReceiptQuestion, event_id=event_id, scope=scope, event_column=event_column)
        return self._ask(question, task_answers.ReceiptAnswer, give_up_at)[0].event_receipt

    def estimate_count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> count_costs.CountEstimate:
        """What a count of the window would cost, as the task sees the database."""
        question = questions.build(
            questions.EstimateQuestion,
            window=window_metrics.WindowEntry.from_window(window),
            scope=scope,
            bucket_seconds=bucket_seconds,
        )
        return self._ask(question, estimate_answers.EstimateAnswer, give_up_at)[0].estimate

    def _ask(self, question: questions.Question, kind: type[T], give_up_at: datetime) -> tuple[T, receipts.Origin]:
        """Asks a task. One that the database has let in before, and does not any more, holds a password that was
        changed since: then a new task, which ECS starts with the present one, is asked once."""
        session, answer, origin = self._ask_once(question, give_up_at)
        if isinstance(answer, task_answers.FailureAnswer) and answer.login_refused and session.let_in:
            self._give_up(session)
            session, answer, origin = self._ask_once(question, give_up_at)
        if isinstance(answer, task_answers.FailureAnswer):
            if answer.unknown_kind:
                raise errors.UnknownQuestion(
                    f"{session.words} does not know the question {question.kind!r}, because its image is older than "
                    "the controller; give its task definition the controller's image"
                )
            raise answer.failure
        if not isinstance(answer, kind):
            raise errors.Refused(f"{session.words} answered a question of {kind.__name__} with {answer.kind}")
        session.let_in = True
        return answer, origin

    def _ask_once(
        self, question: questions.Question, give_up_at: datetime
    ) -> tuple[_Session, task_answers.Answer, receipts.Origin]:
        if self._clock.now() >= give_up_at:
            raise errors.Unavailable(f"no time left to ask a counting task: it was {instants.text(give_up_at)} already")
        with self._lock:
            session = self._session_for(give_up_at)
            number, sha256 = self._put(session, question, give_up_at)
        name = questions.answer_name(number)
        content = self._await_answer(session, name, give_up_at)
        answer = _read_answer(session, content, number, sha256)
        origin = receipts.Origin(
            task_id=session.task.task_id,
            answer=questions.log_name(session.name, name),
            sha256=canonical.digest(content),
        )
        return session, answer, origin

    # Sessions

    def open(self, until: datetime) -> None:
        """Begins to open a session where there is none, on a thread of its own."""
        if self._session is None and (self._opening is None or not self._opening.is_alive()):
            self._opening = threading.Thread(target=self._open_quietly, args=(until,), daemon=True)
            self._opening.start()

    def close(self) -> None:
        """Declares the session over and watches its task end. The task's own limits end it where this fails."""
        with self._lock:
            self._closed = True
            if self._opening is not None:
                self._opening.join()
            session, self._session = self._session, None
            if session is not None:
                self._declare_over(session.place)
                self._given_up.append(session.task)
        give_up_at = instants.later(self._clock.now(), END_SECONDS)
        unended = [task for task in self._given_up if not self._sees_end(task, give_up_at)]
        self._given_up = []
        for task in unended:
            with contextlib.suppress(errors.BurstError):
                task.stop()

    def _give_up(self, session: _Session) -> None:
        """Ends a session that will not answer any more, without waiting for its task."""
        with self._lock:
            if self._session is session:
                self._session = None
                self._given_up.append(session.task)
        self._declare_over(session.place)
        with contextlib.suppress(errors.BurstError):
            session.task.stop()

    @staticmethod
    def _declare_over(place: ports.EvidenceStore) -> None:
        with contextlib.suppress(errors.BurstError):
            place.put_once(questions.END, questions.SessionEnd().content())

    def _sees_end(self, task: CountingTask, give_up_at: datetime) -> bool:
        while self._clock.now() < give_up_at:
            with contextlib.suppress(errors.BurstError):
                if task.end_reason() is not None:
                    return True
            self._clock.sleep(POLL_SECONDS)
        return False

    def _session_for(self, give_up_at: datetime) -> _Session:
        if self._opening is not None:
            self._opening.join()
        if self._session is not None and give_up_at > self._session.until:
            self._give_up(self._session)
        if self._session is None:
            self._session = self._open_session(give_up_at)
        return self._session

    def _open_quietly(self, until: datetime) -> None:
        try:
            self._session = self._open_session(until)
        except errors.BurstError as exc:
            self._start_failure = str(exc)

    def _open_session(self, until: datetime) -> _Session:
        """A session under the first free number, its task started, and every earlier session declared over."""
        if self._closed:
            raise errors.Refused("the receipt source is closed: no counting task is started for it")
        own_start = questions.SessionStart(by=secrets.token_hex(8)).content()
        for number in itertools.count(1):
            name = tasks.session_name(number)
            place = self._place(name)
            try:
                place.put_once(questions.SESSION, own_start)
                break
            except errors.Conflict:
                self._declare_over(place)
        until = instants.later(until, MARGIN_SECONDS)
        session = _Session(name=name, place=place, task=self._start(name, until), until=until)
        self._sessions.append(session)
        return session

    # Answers

    def _put(self, session: _Session, question: questions.Question, give_up_at: datetime) -> tuple[int, str]:
        """Puts the next question. Its number, and its digest."""
        session.asked += 1
        patience_seconds = max(0.0, instants.seconds_between(self._clock.now(), give_up_at))
        content = questions.QuestionDocument(
            session=session.name, number=session.asked, patience_seconds=patience_seconds, ask=question
        ).content()
        try:
            session.place.put_once(questions.question_name(session.asked), content)
        except errors.BurstError:
            self._give_up(session)  # it may have been put or not, and the task waits for this number
            raise
        return session.asked, canonical.digest(content)

    def _await_answer(self, session: _Session, name: str, give_up_at: datetime) -> bytes:
        """The bytes of an answer, once both ways have brought them."""
        now = self._clock.now()
        awaited = _Awaited(
            name=name,
            log_name=questions.log_name(session.name, name),
            since=now,
            looked_at=now,
            again_at=instants.later(now, AGAIN_SECONDS),
        )
        while True:
            with self._lock:
                self._look(session, awaited)
            if awaited.stored is not None and awaited.logged is not None:
                return _require_agreement(session, awaited.stored, awaited.logged, name)
            failure = self._give_up_reason(session, awaited, give_up_at)
            if failure is not None:
                self._give_up(session)
                raise failure
            self._clock.sleep(POLL_SECONDS)

    def _look(self, session: _Session, awaited: _Awaited) -> None:
        now = self._clock.now()
        if awaited.stored is None:
            awaited.stored = _read_object(session.place, awaited.name)
        if awaited.logged is None:
            again = now >= awaited.again_at
            if again:
                awaited.again_at = instants.later(now, AGAIN_SECONDS)
            with contextlib.suppress(errors.Unavailable):
                session.heard = session.heard.hear(session.task.read_log(again=again))
            awaited.logged = session.heard.document(awaited.log_name)
        if awaited.first_at is None and (awaited.stored is not None or awaited.logged is not None):
            awaited.first_at = now
        if awaited.ended is None and instants.seconds_between(awaited.looked_at, now) >= LOOK_SECONDS:
            awaited.looked_at = awaited.ended_at = now
            with contextlib.suppress(errors.Unavailable):
                awaited.ended = session.task.end_reason()

    def _give_up_reason(self, session: _Session, awaited: _Awaited, give_up_at: datetime) -> errors.BurstError | None:
        """Why this answer is not waited for any longer, None while it is."""

        def has_lasted(since: datetime | None, seconds: float) -> bool:
            return since is not None and instants.seconds_between(since, now) >= seconds

        now = self._clock.now()
        lacking = _lacking(session, awaited)
        if awaited.ended is not None and has_lasted(awaited.ended_at, AFTER_END_SECONDS):
            return errors.Unavailable(f"{session.words} stopped before it had answered: {awaited.ended}; {lacking}")
        if has_lasted(awaited.first_at, SECOND_WAY_SECONDS):
            return errors.Refused(
                f"{session.words} answered one way only, and {SECOND_WAY_SECONDS:g} s later still: {lacking}"
            )
        if now >= give_up_at:
            spent_seconds = instants.seconds_between(awaited.since, now)
            state = f"it stopped: {awaited.ended}" if awaited.ended else "it was not seen to stop"
            return errors.Unavailable(
                f"{session.words} did not answer both ways in {spent_seconds:.1f} s: {lacking}; {state}"
            )
        return None

    # Following a burst

    def follow(
        self,
        *,
        start: datetime,
        until: datetime,
        scope: str | None,
        settle_seconds: float,
        every_seconds: float,
        patience_seconds: float,
    ) -> "TaskCounter":
        """The task counts slice by slice until the next question, and the counter reads them.

        A poll waits for nothing, so `patience_seconds` is always kept.
        """
        question = questions.FollowQuestion(
            start_utc=start,
            until_utc=until,
            scope=scope,
            settle_seconds=settle_seconds,
            every_seconds=every_seconds,
        )
        return TaskCounter(self, question, until)

    def begin_following(self, question: questions.FollowQuestion, until: datetime) -> "_Followed":
        """Asks the task to follow the burst. Raises `errors.Unavailable` while there is no task yet."""
        session = self._session
        if session is None:
            self.open(until)
            failure = self._start_failure and f"; {self._start_failure}"
            raise errors.Unavailable(f"the counting task is being started{failure}")
        with self._lock:
            limited = question.model_copy(update={"database_seconds_max": self._leave_room(session)})
            number, sha256 = self._put(session, limited, until)
        return _Followed(session=session, number=number, sha256=sha256, heard_at=self._clock.now())

    def _leave_room(self, session: _Session) -> float | None:
        """How long the database may work for a task that follows, after what it did for those before it."""
        if self._live_database_seconds is None:
            return None
        spent = [each.figures for each in self._sessions if each is not session and each.figures is not None]
        return max(0.0, self._live_database_seconds - sum(figures.database_seconds for figures in spent))

    def refuse_silence(self, followed: "_Followed", now: datetime, patience_seconds: float) -> None:
        """Raises the failure that the task answered in place of a slice, or `errors.Unavailable` where it stopped."""
        session = followed.session
        if session is not self._session:
            raise errors.Unavailable(f"{session.words} follows no longer")
        content = _read_object(session.place, questions.answer_name(followed.number))
        if content is not None:
            answer = _read_answer(session, content, followed.number, followed.sha256)
            if isinstance(answer, task_answers.FailureAnswer):
                if answer.login_refused and session.let_in:
                    self._give_up(session)  # the next one is started with the present password
                raise answer.failure
            raise errors.Unavailable(f"{session.words} follows no longer")
        if instants.seconds_between(followed.heard_at, now) < patience_seconds:
            return
        followed.heard_at = now
        reason = session.task.end_reason()
        if reason is not None:
            self._give_up(session)
            raise errors.Unavailable(f"{session.words} stopped: {reason}")


@dataclass(slots=True, kw_only=True)
class _Followed:
    session: _Session
    number: int
    sha256: str
    heard_at: datetime
    slices: int = 0


class _CountBlind(errors.Unavailable):
    """The task follows the burst, and has no slice for a reason that it told."""


class TaskCounter:
    """`ports.Counter` over the slices a task leaves on S3: it reads the next one, and never waits for it.

    The live view alone rests on it, so the log is not read. After silence nothing is lost: the next task to follow the
    burst begins where the last slice ended.
    """

    def __init__(self, source: TaskReceipts, question: questions.FollowQuestion, until: datetime) -> None:
        self._source = source
        self._question = question
        self._until = until
        self._followed: _Followed | None = None
        self._live = receipts.LiveCount(slice=None, total=receipts.Counts(), counted_to=question.start_utc)

    def poll(self, now: datetime) -> receipts.LiveCount:
        """The next slice, where there is one. Raises `errors.BurstError` while no task follows the burst."""
        if self._followed is None:
            question = self._question.model_copy(update={"start_utc": self._live.counted_to})
            self._followed = self._source.begin_following(question, self._until)
        followed = self._followed
        content = _read_object(followed.session.place, questions.slice_name(followed.number, followed.slices + 1))
        try:
            if content is None:
                patience_seconds = SILENT_SLICES * max(self._question.every_seconds, LOOK_SECONDS)
                self._source.refuse_silence(followed, now, patience_seconds)
                self._live = replace(self._live, slice=None)
            else:
                self._live = self._read_slice(followed, content, now)
        except _CountBlind:
            raise
        except errors.BurstError:
            self._followed = None
            raise
        return self._live

    def _read_slice(self, followed: _Followed, content: bytes, now: datetime) -> receipts.LiveCount:
        answer = _read_answer(followed.session, content, followed.number, followed.sha256)
        if isinstance(answer, task_answers.FailureAnswer):
            followed.slices, followed.heard_at = followed.slices + 1, now
            raise _CountBlind(answer.words)
        if not isinstance(answer, task_answers.CountAnswer):
            raise errors.Refused(f"{followed.session.words} left {answer.kind} in place of a slice")
        window = answer.window.window
        if window.start != self._live.counted_to:
            raise errors.Refused(
                f"{followed.session.words} counted {window}, which does not begin at {self._live.counted_to}"
            )
        followed.slices, followed.heard_at, followed.session.let_in = followed.slices + 1, now, True
        origin = receipts.Origin(
            task_id=followed.session.task.task_id,
            answer=questions.log_name(followed.session.name, questions.slice_name(followed.number, followed.slices)),
            sha256=canonical.digest(content),
        )
        count = answer.count(origin)
        return receipts.LiveCount(slice=count, total=self._live.total + count.counts, counted_to=window.end)


def _read_object(place: ports.EvidenceStore, name: str) -> bytes | None:
    """The object, None while it is not there or cannot be read."""
    try:
        return place.read(name)
    except (errors.EvidenceIncomplete, errors.EvidenceUnknown):
        return None


def _require_agreement(session: _Session, stored: bytes, logged: bytes, name: str) -> bytes:
    if stored == logged:
        return stored
    raise errors.Refused(
        f"{session.words}: log and object disagree about {name} (SHA-256 {canonical.digest(logged)} and "
        f"{canonical.digest(stored)}); neither is believed"
    )


def _lacking(session: _Session, awaited: _Awaited) -> str:
    """Which way has not brought the answer."""
    missing = "" if awaited.stored is not None else f"{awaited.name} is not on S3"
    log = "" if awaited.logged is not None else session.heard.missing(awaited.log_name)
    return "; ".join(part for part in (missing, log) if part)


def _read_answer(session: _Session, content: bytes, number: int, sha256: str) -> task_answers.Answer:
    """The answer in a document. Raises `errors.Refused` for an answer to another question."""
    try:
        document = models.read(task_answers.AnswerDocument, content)
    except errors.BurstError as exc:
        raise errors.Refused(f"{session.words} gave an answer that cannot be read: {exc}") from exc
    if (document.session, document.number, document.question_sha256) != (session.name, number, sha256):
        raise errors.Refused(f"{session.words} gave the answer to another question; it is not believed")
    earlier = session.figures
    session.figures = earlier.take_later(document.driver.figures) if earlier and document.driver else None
    return document.told
