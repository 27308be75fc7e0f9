"""Receipts counted by a task inside the VPC: questions put on S3, answers believed when both their ways agree.

One task holds a session: it is started once, because a start takes the better part of a minute, and answers whatever
is asked until the session is over. An answer counts only when the task's log and the object beside the question hold
the same bytes; one of the two alone is refused, and silence is told with the reason the task stopped for. Sessions are
numbered, and whoever opens one declares every earlier one over, so that nothing a dead controller asked goes on.
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
from burst.domain.documents import chunks, models, questions
from burst.domain.receipts import receipts
from burst.domain.tasks import tasks
from burst.kit import measure

POLL_SECONDS = 0.3
LOOK_SECONDS = 2.0
"""How often it is asked whether a task that has not answered is still there."""
SECOND_WAY_SECONDS = 60.0
"""How long the second way may stay behind the first: CloudWatch Logs delivers in seconds, and names no bound."""
AFTER_END_SECONDS = 20.0
"""How long after a task's end what it printed last is waited for."""
AGAIN_SECONDS = 5.0
"""How often a log that lacks an answer is read from its beginning: what arrives late may stand before what was read."""
MARGIN_SECONDS = 300.0
"""How much longer than asked for a session may last: the next question finds it still there."""
END_SECONDS = 20.0
"""How long the end of the tasks is watched for when all is over."""
SILENT_SLICES = 5
"""After how many slices that are due and do not come it is asked whether the task is still there."""

T = TypeVar("T", bound=questions.Told)


class CountingTask(Protocol):
    """The task of one session, as it was started."""

    @property
    def task_id(self) -> str:
        """Its identity, as evidence names it."""
        ...

    def ended(self) -> str | None:
        """Why it is over, None while it may run. Raises `errors.Unavailable` when nobody can tell."""
        ...

    def stop(self) -> None:
        """Asks it to end."""
        ...

    def printed(self, *, again: bool = False) -> Sequence[str]:
        """What came into its log since the last time, or with `again` all of it; nothing is not the end.

        Raises `errors.BurstError` where the log cannot be read now."""
        ...


Start = Callable[[str, datetime], CountingTask]
"""Starts the task of a session, which must be over by the instant. Raises `errors.BurstError`."""
Place = Callable[[str], ports.EvidenceStore]
"""Where the questions and answers of a session lie."""


@dataclass(slots=True, kw_only=True)
class _Session:
    name: str
    place: ports.EvidenceStore
    task: CountingTask
    until: datetime
    asked: int = 0
    heard: chunks.Heard = field(default_factory=chunks.Heard)

    @property
    def words(self) -> str:
        return f"the counting task {self.task.task_id}"


@dataclass(slots=True, kw_only=True)
class _Awaited:
    """One answer on its way: what each way has brought, and when it was last asked after the task."""

    name: str
    told_as: str
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
    """

    def __init__(self, *, start: Start, place: Place, clock: ports.Clock) -> None:
        self._start = start
        self._place = place
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._session: _Session | None = None
        self._given_up: list[CountingTask] = []
        self._opening: threading.Thread | None = None
        self._why_not = ""

    # ports.ReceiptSource

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        """Counts one half-open window. Raises what the task's count raised; `errors.Unavailable` where no answer came,
        `errors.Refused` where one came one way only, or not the same both ways."""
        ask = questions.window_question(window, scope=scope, bucket_seconds=bucket_seconds)
        told, origin = self._ask(ask, questions.CountAnswer, give_up_at)
        return told.count(origin)

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        """The database clock against the task's, which is AWS's own."""
        told, _ = self._ask(questions.ClockQuestion(), questions.ClockAnswer, give_up_at)
        return told.clock

    def ask(self, sql: str, *, scope: str, give_up_at: datetime) -> object:
        """The single value a fact query answers."""
        told, _ = self._ask(questions.fact_question(sql, scope=scope), questions.FactAnswer, give_up_at)
        return told.value

    def problems(self, *, give_up_at: datetime) -> Sequence[str]:
        """What is wrong with table and columns, as sentences."""
        told, _ = self._ask(questions.ProblemsQuestion(), questions.ProblemsAnswer, give_up_at)
        return told.problems

    def _ask(self, ask: questions.Ask, kind: type[T], give_up_at: datetime) -> tuple[T, receipts.Origin]:
        if self._clock.now() >= give_up_at:
            raise errors.Unavailable(f"no time left to ask a counting task: it was {instants.text(give_up_at)} already")
        with self._lock:
            session = self._session_for(give_up_at)
            number, sha256 = self._put(session, ask, give_up_at)
        name = questions.answer_name(number)
        content = self._answer(session, name, give_up_at)
        told = _told(session, content, number, sha256)
        if not isinstance(told, kind):
            raise errors.Refused(f"{session.words} answered a question of {kind.__name__} with {told.kind}")
        origin = receipts.Origin(
            task_id=session.task.task_id,
            answer=questions.told_as(session.name, name),
            sha256=canonical.digest(content),
        )
        return told, origin

    # Sessions

    def open(self, until: datetime) -> None:
        """Begins to open a session where there is none, and does not wait for it."""
        if self._session is None and (self._opening is None or not self._opening.is_alive()):
            self._opening = threading.Thread(target=self._open_quietly, args=(until,), daemon=True)
            self._opening.start()

    def close(self) -> None:
        """Declares the session over and watches its task end; what fails here is left to the task's own limits."""
        with self._lock:
            self._closed = True
            if self._opening is not None:
                self._opening.join()
            session, self._session = self._session, None
            if session is not None:
                self._declare_over(session.place)
                self._given_up.append(session.task)
        give_up_at = instants.later(self._clock.now(), END_SECONDS)
        left = [task for task in self._given_up if not self._seen_to_end(task, give_up_at)]
        self._given_up = []
        for task in left:
            with contextlib.suppress(errors.BurstError):
                task.stop()

    def _give_up(self, session: _Session) -> None:
        """Ends a session nothing is to be hoped of any more, without waiting for it."""
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

    def _seen_to_end(self, task: CountingTask, give_up_at: datetime) -> bool:
        while self._clock.now() < give_up_at:
            with contextlib.suppress(errors.BurstError):
                if task.ended() is not None:
                    return True
            self._clock.sleep(POLL_SECONDS)
        return False

    def _session_for(self, give_up_at: datetime) -> _Session:
        if self._opening is not None:
            self._opening.join()
        if self._session is not None and give_up_at > self._session.until:
            self._give_up(self._session)
        if self._session is None:
            self._session = self._opened(give_up_at)
        return self._session

    def _open_quietly(self, until: datetime) -> None:
        try:
            self._session = self._opened(until)
        except errors.BurstError as exc:
            self._why_not = str(exc)

    def _opened(self, until: datetime) -> _Session:
        """A session of a number nobody had, every earlier one declared over, and its task started."""
        if self._closed:
            raise errors.Refused("nothing more is asked of a counting task: its work is over")
        mine = questions.SessionStart(by=secrets.token_hex(8)).content()
        for number in itertools.count(1):
            name = tasks.session_name(number)
            place = self._place(name)
            try:
                place.put_once(questions.SESSION, mine)
                break
            except errors.Conflict:
                self._declare_over(place)
        until = instants.later(until, MARGIN_SECONDS)
        return _Session(name=name, place=place, task=self._start(name, until), until=until)

    # Questions and answers

    def _put(self, session: _Session, ask: questions.Ask, give_up_at: datetime) -> tuple[int, str]:
        """Puts the next question. Its number, and its digest."""
        session.asked += 1
        patience_seconds = max(0.0, instants.seconds_between(self._clock.now(), give_up_at))
        content = questions.QuestionDocument(
            session=session.name, number=session.asked, patience_seconds=patience_seconds, ask=ask
        ).content()
        try:
            session.place.put_once(questions.question_name(session.asked), content)
        except errors.BurstError:
            self._give_up(session)  # whether it was asked is not known, and the task waits for this number
            raise
        return session.asked, canonical.digest(content)

    def _answer(self, session: _Session, name: str, give_up_at: datetime) -> bytes:
        """The bytes of an answer, once both ways have brought them."""
        now = self._clock.now()
        awaited = _Awaited(
            name=name,
            told_as=questions.told_as(session.name, name),
            since=now,
            looked_at=now,
            again_at=instants.later(now, AGAIN_SECONDS),
        )
        while True:
            with self._lock:
                self._listen(session, awaited)
            if awaited.stored is not None and awaited.logged is not None:
                return _agreed(session, awaited.stored, awaited.logged, name)
            failure = self._hopeless(session, awaited, give_up_at)
            if failure is not None:
                self._give_up(session)
                raise failure
            self._clock.sleep(POLL_SECONDS)

    def _listen(self, session: _Session, awaited: _Awaited) -> None:
        now = self._clock.now()
        if awaited.stored is None:
            awaited.stored = _stored(session.place, awaited.name)
        if awaited.logged is None:
            again = now >= awaited.again_at
            if again:
                awaited.again_at = instants.later(now, AGAIN_SECONDS)
            with contextlib.suppress(errors.Unavailable):
                session.heard = session.heard.hear(session.task.printed(again=again))
            awaited.logged = session.heard.document(awaited.told_as)
        if awaited.first_at is None and (awaited.stored is not None or awaited.logged is not None):
            awaited.first_at = now
        if awaited.ended is None and instants.seconds_between(awaited.looked_at, now) >= LOOK_SECONDS:
            awaited.looked_at = awaited.ended_at = now
            with contextlib.suppress(errors.Unavailable):
                awaited.ended = session.task.ended()

    def _hopeless(self, session: _Session, awaited: _Awaited, give_up_at: datetime) -> errors.BurstError | None:
        """Why this answer is not waited for any longer, None while it is."""

        def passed(since: datetime | None, seconds: float) -> bool:
            return since is not None and instants.seconds_between(since, now) >= seconds

        now = self._clock.now()
        lacking = _lacking(session, awaited)
        if awaited.ended is not None and passed(awaited.ended_at, AFTER_END_SECONDS):
            return errors.Unavailable(f"{session.words} stopped before it had answered: {awaited.ended}; {lacking}")
        if passed(awaited.first_at, SECOND_WAY_SECONDS):
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
        self, *, start: datetime, until: datetime, scope: str | None, settle_seconds: float, every_seconds: float
    ) -> "TaskCounter":
        """What counts a running burst: the task does, slice by slice until the next question, and this reads them."""
        ask = questions.FollowQuestion(
            start_utc=start, scope=scope, settle_seconds=settle_seconds, every_seconds=every_seconds
        )
        return TaskCounter(self, ask, until)

    def followed(self, ask: questions.FollowQuestion, until: datetime) -> "_Followed":
        """The burst, followed from now on. Raises `errors.Unavailable` while there is no task to do it."""
        session = self._session
        if session is None:
            self.open(until)
            raise errors.Unavailable(f"the counting task is being started{self._why_not and '; ' + self._why_not}")
        with self._lock:
            number, sha256 = self._put(session, ask, until)
        return _Followed(session=session, number=number, sha256=sha256, heard_at=self._clock.now())

    def refuse_silence(self, followed: "_Followed", now: datetime, patience_seconds: float) -> None:
        """Raises what the task said in place of a slice, or `errors.Unavailable` where it is over."""
        session = followed.session
        if session is not self._session:
            raise errors.Unavailable(f"{session.words} follows no longer")
        content = _stored(session.place, questions.answer_name(followed.number))
        if content is not None:
            _told(session, content, followed.number, followed.sha256)
            raise errors.Unavailable(f"{session.words} follows no longer")
        if instants.seconds_between(followed.heard_at, now) < patience_seconds:
            return
        followed.heard_at = now
        why = session.task.ended()
        if why is not None:
            self._give_up(session)
            raise errors.Unavailable(f"{session.words} stopped: {why}")


@dataclass(slots=True, kw_only=True)
class _Followed:
    session: _Session
    number: int
    sha256: str
    heard_at: datetime
    slices: int = 0


class TaskCounter:
    """`measure.Counter` over the slices a task leaves on S3: it reads the next one, and never waits for it.

    The live view alone rests on it, so the log is not asked. After silence or a new task nothing is lost: whoever
    follows next begins where the last slice ended.
    """

    def __init__(self, source: TaskReceipts, ask: questions.FollowQuestion, until: datetime) -> None:
        self._source = source
        self._ask = ask
        self._until = until
        self._followed: _Followed | None = None
        self._live = measure.Live(slice=None, total=receipts.Counts(), counted_to=ask.start_utc)

    def poll(self, now: datetime) -> measure.Live:
        """The next slice, where there is one. Raises `errors.BurstError` where nobody follows the burst now."""
        if self._followed is None:
            ask = self._ask.model_copy(update={"start_utc": self._live.counted_to})
            self._followed = self._source.followed(ask, self._until)
        followed = self._followed
        content = _stored(followed.session.place, questions.slice_name(followed.number, followed.slices + 1))
        try:
            if content is None:
                patience_seconds = SILENT_SLICES * max(self._ask.every_seconds, LOOK_SECONDS)
                self._source.refuse_silence(followed, now, patience_seconds)
                self._live = replace(self._live, slice=None)
            else:
                self._live = self._next(followed, content, now)
        except errors.BurstError:
            self._followed = None
            raise
        return self._live

    def _next(self, followed: _Followed, content: bytes, now: datetime) -> measure.Live:
        told = _told(followed.session, content, followed.number, followed.sha256)
        if not isinstance(told, questions.CountAnswer):
            raise errors.Refused(f"{followed.session.words} left {told.kind} where a slice was to be")
        window = told.window.window
        if window.start != self._live.counted_to:
            raise errors.Refused(
                f"{followed.session.words} counted {window}, which does not begin at {self._live.counted_to}"
            )
        followed.slices, followed.heard_at = followed.slices + 1, now
        origin = receipts.Origin(
            task_id=followed.session.task.task_id,
            answer=questions.told_as(followed.session.name, questions.slice_name(followed.number, followed.slices)),
            sha256=canonical.digest(content),
        )
        count = told.count(origin)
        return measure.Live(slice=count, total=self._live.total + count.counts, counted_to=window.end)


def _stored(place: ports.EvidenceStore, name: str) -> bytes | None:
    """The object, None while it is not there or cannot be read."""
    try:
        return place.read(name)
    except (errors.EvidenceIncomplete, errors.EvidenceUnknown):
        return None


def _agreed(session: _Session, stored: bytes, logged: bytes, name: str) -> bytes:
    if stored == logged:
        return stored
    raise errors.Refused(
        f"{session.words}: log and object disagree about {name} (SHA-256 {canonical.digest(logged)} and "
        f"{canonical.digest(stored)}); neither is believed"
    )


def _lacking(session: _Session, awaited: _Awaited) -> str:
    """Which way has not brought the answer."""
    missing = "" if awaited.stored is not None else f"{awaited.name} is not on S3"
    log = "" if awaited.logged is not None else session.heard.missing(awaited.told_as)
    return "; ".join(part for part in (missing, log) if part)


def _told(session: _Session, content: bytes, number: int, sha256: str) -> questions.Told:
    """What an answer says. Raises the failure it tells of, and `errors.Refused` for an answer to something else."""
    try:
        answer = models.read(questions.AnswerDocument, content)
    except errors.BurstError as exc:
        raise errors.Refused(f"{session.words} gave an answer that cannot be read: {exc}") from exc
    if (answer.session, answer.number, answer.question_sha256) != (session.name, number, sha256):
        raise errors.Refused(f"{session.words} gave the answer to another question; it is not believed")
    if isinstance(answer.told, questions.FailureAnswer):
        raise answer.told.failure
    return answer.told
