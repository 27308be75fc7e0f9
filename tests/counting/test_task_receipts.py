"""Receipts counted by a task: what a log and S3 may do to an answer, and what is believed of it."""

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import psycopg
import pydantic
import pytest

from burst import ports
from burst.adapters import task_receipts
from burst.adapters.postgres import postgres_receipts
from burst.control import preflight
from burst.domain.basics import canonical, errors, instants, redaction, windows
from burst.domain.documents import chunks, models, questions, task_answers
from burst.domain.preflight import findings
from burst.domain.receipts import driver_figures, receipts
from burst.task import answering
from tests import cases, fakes_counting, fakes_evidence, fakes_receipts, waiting

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
NOW = instants.later(START, 300)
WINDOW = windows.Window(START, instants.later(START, 200))
ROWS = [fakes_receipts.Receipt(decision="ADMIT", at=instants.later(START, second), scope="a") for second in range(150)]
PATIENCE_SECONDS = 180.0
COLUMNS = {"decision": "decision", "at": "created_at_utc", "scope": "platform_run_id"}

Deliver = Callable[[list[str]], Sequence[tuple[float, str]]]
"""What the log stream makes of the lines a task printed: after how many seconds which event is there."""


def at_once(lines: list[str]) -> list[tuple[float, str]]:
    return [(0.0, line) for line in lines]


def nothing(_: list[str]) -> list[tuple[float, str]]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How one answer travels. `stored_after` None: its object never comes; `stored` changes it."""

    deliver: Deliver = at_once
    stored_after: float | None = 0.0
    stored: Callable[[bytes], bytes] = bytes
    stops_after: float | None = None
    why: str = "OutOfMemoryError: Container killed due to memory usage"


class Stage:
    """A source over memory, whose one answer travels as a script says, in a time moved by hand."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.clock = fakes_receipts.HandClock(NOW)
        self.place = Place(self)
        self.task = ScriptedTask(self)
        self.source = task_receipts.TaskReceipts(
            start=lambda name, until: self.task, place=lambda name: self.place, clock=self.clock
        )

    def count(self) -> receipts.WindowCount:
        give_up_at = instants.later(self.clock.now(), PATIENCE_SECONDS)
        return self.source.count(WINDOW, scope="a", bucket_seconds=1, give_up_at=give_up_at)

    def since(self) -> float:
        """Seconds since the answer was given."""
        return instants.seconds_between(self.place.answered_at or self.clock.now(), self.clock.now())


class Place(fakes_evidence.MemoryEvidenceStore):
    """A place that answers the question put there, with the task's own code, and shows the answer when it is due."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.lines: list[str] = []
        self.answered_at: datetime | None = None

    def put_once(self, name: str, content: bytes) -> None:
        super().put_once(name, content)
        if name == questions.question_name(1):
            clock = fakes_receipts.HandClock(self.stage.clock.now())
            session = answering.CountingSession(
                name="count-001", place=self, until=NOW.replace(year=2027), idle_seconds=0.1, say=self.lines.append
            )
            answering.serve(session, source=fakes_receipts.MemoryReceiptSource(ROWS, now=clock.now), clock=clock)
            self.answered_at = self.stage.clock.now()

    def read(self, name: str) -> bytes:
        content = super().read(name)
        if name != questions.answer_name(1):
            return content
        due = self.stage.script.stored_after
        if due is None or self.stage.since() < due:
            raise errors.EvidenceIncomplete(f"{name} is not there")
        return self.stage.script.stored(content)


class ScriptedTask:
    """`task_receipts.CountingTask` as a script says."""

    task_id = "arn:aws:ecs:eu-west-2:1:task/burst/0123"

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.stopped = False
        self.seen: set[int] = set()

    def end_reason(self) -> str | None:
        after = self.stage.script.stops_after
        return self.stage.script.why if self.stopped or (after is not None and self.stage.since() >= after) else None

    def stop(self) -> None:
        self.stopped = True

    def read_log(self, *, again: bool = False) -> Sequence[str]:
        """Events of which one was read are not passed again; one that comes to stand before them is missed."""
        events = list(enumerate(self.stage.script.deliver(self.stage.place.lines)))
        there = [(index, text) for index, (due, text) in events if self.stage.since() >= due]
        last = max(self.seen, default=-1)
        found = [text for index, text in there if again or index > last]
        self.seen |= {index for index, _ in there}
        return found


def halves(lines: list[str]) -> list[tuple[float, str]]:
    return [(0.0, part) for line in lines for part in (line[:3000], line[3000:])]


ARRIVES: dict[str, Script] = {
    "at once": Script(),
    "late": Script(deliver=lambda lines: [(25.0, line) for line in lines]),
    "twice": Script(deliver=lambda lines: at_once([*lines, *lines])),
    "out of order": Script(deliver=lambda lines: at_once([*reversed(lines)])),
    "split": Script(deliver=halves),
    "between other lines": Script(deliver=lambda lines: at_once([text for line in lines for text in ("a word", line)])),
    "one chunk long after the others": Script(
        deliver=lambda lines: [(0, lines[0]), (40, lines[1]), *at_once(lines[2:])]
    ),
    "the log before the object": Script(stored_after=30.0),
    "from a task that has ended": Script(deliver=lambda lines: [(12.0, line) for line in lines], stops_after=1.0),
}


@pytest.mark.parametrize("script", ARRIVES.values(), ids=ARRIVES)
def test_an_answer_that_comes_both_ways_is_the_count_however_it_came(script: Script) -> None:
    stage = Stage(script)

    counted = stage.count()

    assert counted.counts == receipts.Counts(admit=150)
    assert len(counted.buckets) == 200
    assert counted.origin == receipts.Origin(
        task_id=stage.task.task_id,
        answer="count-001-answer_0001",
        sha256=canonical.digest(stage.place.documents["answer_0001.json"]),
    )
    assert len(stage.place.lines) > 3


ABSENT: dict[str, tuple[Script, type[errors.BurstError], str]] = {
    "the log has nothing": (
        Script(deliver=nothing),
        errors.Refused,
        r"one way only.*no chunk of count-001-answer_0001",
    ),
    "the log lacks a chunk": (
        Script(deliver=lambda lines: at_once(lines[:1] + lines[2:])),
        errors.Refused,
        "missing: 2",
    ),
    "S3 has nothing": (Script(stored_after=None), errors.Refused, r"one way only.*answer_0001\.json is not on S3"),
    "neither, and it runs": (
        Script(deliver=nothing, stored_after=None),
        errors.Unavailable,
        r"did not answer both ways in 180\.\d s: answer_0001\.json is not on S3; no chunk.*it was not seen to stop",
    ),
    "neither, and it stopped": (
        Script(deliver=nothing, stored_after=None, stops_after=0.0),
        errors.Unavailable,
        "stopped before it had answered: OutOfMemoryError: Container killed",
    ),
    "one way, and it stopped": (
        Script(deliver=nothing, stops_after=0.0),
        errors.Unavailable,
        "stopped before it had answered: OutOfMemoryError.*no chunk of",
    ),
    "they disagree": (
        Script(stored=lambda content: content.replace(b'"ADMIT":150', b'"ADMIT":950')),
        errors.Refused,
        "log and object disagree",
    ),
    "an answer to something else": (
        Script(stored=lambda content: content.replace(b'"number":1', b'"number":2')),
        errors.Refused,
        "log and object disagree",
    ),
}


@pytest.mark.parametrize(("script", "kind", "said"), ABSENT.values(), ids=ABSENT)
def test_an_answer_that_is_not_there_both_ways_is_no_count(
    script: Script, kind: type[errors.BurstError], said: str
) -> None:
    stage = Stage(script)

    with pytest.raises(kind, match=said) as refused:
        stage.count()

    assert type(refused.value) is kind
    assert stage.task.task_id in str(refused.value)
    assert instants.seconds_between(NOW, stage.clock.now()) <= PATIENCE_SECONDS + 1


def test_a_task_that_is_given_up_is_asked_to_end_and_its_session_is_over() -> None:
    stage = Stage(Script(deliver=nothing, stored_after=None))

    with pytest.raises(errors.Unavailable):
        stage.count()

    assert stage.task.stopped
    assert questions.END in stage.place.documents


@pytest.fixture
def counting(tmp_path: Path) -> fakes_counting.Counting:
    rows = fakes_receipts.MemoryReceiptSource([], now=lambda: datetime.now(UTC))
    return fakes_counting.Counting(tmp_path, rows)


def soon(seconds: float = 50.0) -> datetime:
    return instants.later(datetime.now(UTC), seconds)


def test_one_task_answers_every_question_and_closing_ends_it(counting: fakes_counting.Counting) -> None:
    for _ in range(3):
        counting.receipts.clock(give_up_at=soon())
    counting.receipts.close()

    (task,) = counting.started
    assert task.end_reason()


def test_a_new_session_declares_the_one_of_a_dead_controller_over(
    counting: fakes_counting.Counting, tmp_path: Path
) -> None:
    counting.receipts.clock(give_up_at=soon())
    after = fakes_counting.Counting(tmp_path, counting.source)

    after.receipts.clock(give_up_at=soon())

    waiting.until(lambda: counting.started[0].end_reason(), seconds=30, what="the earlier task to end")
    assert after.started[0].task_id == "thread:count-002"
    after.receipts.close()


def test_what_the_database_said_no_to_is_said_here_in_the_same_words(counting: fakes_counting.Counting) -> None:
    with pytest.raises(errors.UsageError, match="does not answer one row of one column"):
        counting.receipts.ask("select 1, 2", scope="a", give_up_at=soon())
    counting.receipts.close()


def follow(counting: fakes_counting.Counting, start: datetime) -> task_receipts.TaskCounter:
    return counting.receipts.follow(
        start=start, until=soon(60), scope="a", settle_seconds=0.02, every_seconds=0.05, patience_seconds=3.0
    )


def polled(counter: task_receipts.TaskCounter) -> receipts.WindowCount | None:
    try:
        return counter.poll(datetime.now(UTC)).slice
    except errors.Unavailable:
        return None


def source_of(counting: fakes_counting.Counting) -> fakes_receipts.MemoryReceiptSource:
    source: ports.ReceiptSource = counting.source
    assert isinstance(source, fakes_receipts.MemoryReceiptSource)
    return source


def test_the_slices_of_a_burst_that_is_followed_add_up_to_the_whole_across_a_task_that_dies(
    counting: fakes_counting.Counting,
) -> None:
    start, source = datetime.now(UTC), source_of(counting)
    moments = (instants.later(start, number / 100) for number in range(20_000))  # longer than any test lasts
    source.rows = [fakes_receipts.Receipt(decision="ADMIT", at=moment, scope="a") for moment in moments]
    counter, slices = follow(counting, start), list[receipts.WindowCount]()

    def next_slice() -> bool:
        found = polled(counter)
        slices.extend([found] if found else [])
        return found is not None

    for _ in range(4):
        waiting.until(next_slice, seconds=30, what="a slice")
    counting.place("count-001").put_once(questions.END, b"{}")
    waiting.until(counting.started[0].end_reason, seconds=30, what="the task to die")
    while next_slice():
        continue  # what it left before it died
    with pytest.raises(errors.Unavailable, match="stopped: it ended"):
        counter.poll(soon(60))
    for _ in range(4):
        waiting.until(next_slice, seconds=30, what="a slice of another task")

    edges = [each.window.start for each in slices]
    assert edges == [start, *(each.window.end for each in slices[:-1])]
    whole = windows.Window(start, slices[-1].window.end)
    assert sum((each.counts for each in slices), receipts.Counts()).admit == sum(
        whole.holds(row.at) for row in source.rows
    )
    assert len(counting.started) == 2
    counting.receipts.close()


def test_why_a_task_has_no_slice_is_said_and_the_same_task_goes_on(counting: fakes_counting.Counting) -> None:
    start, source = datetime.now(UTC), source_of(counting)
    counter = follow(counting, start)
    waiting.until(lambda: polled(counter), seconds=30, what="a slice")
    source.failures = 2

    def problem() -> str:
        try:
            counter.poll(datetime.now(UTC))
        except errors.Unavailable as exc:
            return str(exc)
        return ""

    assert waiting.until(problem, seconds=30, what="the reason") == "the database is away"
    counted_to = counter.poll(datetime.now(UTC)).counted_to
    following = waiting.until(lambda: polled(counter), seconds=30, what="a slice again")
    assert following.window.start == counted_to
    assert len(counting.started) == 1
    counting.receipts.close()


def test_the_next_question_ends_the_following_and_the_same_task_answers_it(counting: fakes_counting.Counting) -> None:
    counter = follow(counting, datetime.now(UTC))
    waiting.until(lambda: polled(counter), seconds=30, what="a slice")

    counting.receipts.clock(give_up_at=soon())

    assert len(counting.started) == 1
    counting.receipts.close()


# What the task's driver did


def test_the_figures_of_tasks_that_followed_one_another_add_up(counting: fakes_counting.Counting) -> None:
    source_of(counting).figures = driver_figures.DriverFigures(rows=40)
    counting.receipts.clock(give_up_at=soon())
    first = counting.receipts.read_figures()
    counting.place("count-001").put_once(questions.END, b"{}")
    waiting.until(counting.started[0].end_reason, seconds=30, what="the task to die")
    source_of(counting).figures = driver_figures.DriverFigures(rows=2)
    with pytest.raises(errors.Unavailable):
        counting.receipts.clock(give_up_at=soon(1))

    counting.receipts.clock(give_up_at=soon())
    both = counting.receipts.read_figures()
    counting.receipts.close()

    assert first is not None
    assert both is not None
    assert (first.rows, both.rows) == (40, 42)
    assert first.statements < both.statements


def test_a_task_that_follows_a_burst_tells_its_figures_with_each_slice(counting: fakes_counting.Counting) -> None:
    counter = follow(counting, datetime.now(UTC))
    waiting.until(lambda: polled(counter), seconds=30, what="a slice")
    first = counting.receipts.read_figures()

    waiting.until(lambda: polled(counter), seconds=30, what="another slice")
    second = counting.receipts.read_figures()
    counting.receipts.close()

    assert first is not None
    assert second is not None
    assert 0 < first.statements < second.statements


@pytest.mark.parametrize("then", [None, driver_figures.DriverFigures(rows=5)], ids=["and stays so", "and tells later"])
def test_a_task_of_an_older_image_gives_no_figures_and_that_is_not_zero(
    counting: fakes_counting.Counting, then: driver_figures.DriverFigures | None
) -> None:
    source_of(counting).figures = None
    counting.receipts.clock(give_up_at=soon())
    source_of(counting).figures = then
    counting.receipts.clock(give_up_at=soon())

    figures = counting.receipts.read_figures()
    counting.receipts.close()

    assert figures is None


def test_a_task_ends_its_live_counts_at_their_share_of_the_ceiling_and_counts_the_end(tmp_path: Path) -> None:
    source = fakes_receipts.MemoryReceiptSource([], now=lambda: datetime.now(UTC))
    source.seconds_each = 0.3
    counting = fakes_counting.Counting(tmp_path, source, live_database_seconds=1.0)
    counter = follow(counting, datetime.now(UTC))

    def refused() -> str:
        try:
            counter.poll(datetime.now(UTC))
        except errors.Refused as exc:
            return str(exc)
        except errors.Unavailable:
            return ""
        return ""

    words = waiting.until(refused, seconds=30, what="the live counts to end")
    at_the_end = counting.receipts.read_figures()
    again = waiting.until(refused, seconds=30, what="the next poll to be refused too")
    later = counting.receipts.read_figures()
    window = windows.Window(START, instants.later(START, 10))
    counted = counting.receipts.count(window, scope="a", bucket_seconds=10, give_up_at=soon())
    counting.receipts.close()

    assert words == again
    assert "live counts may take 1 s" in words
    assert at_the_end is not None
    assert 1.0 <= at_the_end.database_seconds < 1.0 + 2 * 0.3 + 1e-6
    assert later == at_the_end
    assert counted.counts == receipts.Counts()
    assert len(counting.started) == 1


def test_an_answer_of_an_older_image_is_read_without_its_figures() -> None:
    told = {"kind": "fact", "value": 7}
    document = {
        "schema": "burst.answer/v1", "session": "count-001", "number": 1, "question_sha256": "0" * 64, "told": told
    }  # fmt: skip

    answer = models.read(task_answers.AnswerDocument, canonical.encode(document))

    assert answer.driver is None


# A password that changes while a task counts


@pytest.fixture
def role(database_dsn: str) -> Iterator[Callable[[str], postgres_receipts.PostgresReceipts]]:
    """Gives a role a password, and makes the source of a task that was started with it."""
    name = f"rotated_{secrets.token_hex(4)}"
    made: list[postgres_receipts.PostgresReceipts] = []
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute(f"create role {name} login".encode())
        owner.execute(f"grant select on receipts to {name}".encode())

        def set_password(password: str) -> postgres_receipts.PostgresReceipts:
            owner.execute(f"alter role {name} password '{password}'".encode())
            owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [name])
            dsn = f"postgresql://{name}:{password}@{database_dsn.partition('@')[2]}"
            made.append(postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=COLUMNS))
            return made[-1]

        yield set_password
        for source in made:
            source.close()
        owner.execute(f"drop owned by {name}".encode())
        owner.execute(f"drop role {name}".encode())


def test_a_task_whose_password_was_changed_is_followed_by_one_that_has_the_present_one(
    tmp_path: Path, role: Callable[[str], postgres_receipts.PostgresReceipts]
) -> None:
    counting = fakes_counting.Counting(tmp_path, role("first"))
    counting.receipts.clock(give_up_at=soon())
    counting.source = role("second")

    reading = counting.receipts.clock(give_up_at=soon())
    counting.receipts.close()

    assert abs(reading.skew_seconds) < 60
    assert [task.task_id for task in counting.started] == ["thread:count-001", "thread:count-002"]


def test_a_burst_that_is_followed_goes_on_with_the_present_password(
    tmp_path: Path, role: Callable[[str], postgres_receipts.PostgresReceipts]
) -> None:
    counting = fakes_counting.Counting(tmp_path, role("first"))
    counting.receipts.clock(give_up_at=soon())
    counter = follow(counting, datetime.now(UTC))

    def next_slice() -> bool:
        try:
            return counter.poll(datetime.now(UTC)).slice is not None
        except errors.BurstError:
            return False

    waiting.until(next_slice, seconds=30, what="a slice")
    counting.source = role("second")
    waiting.until(lambda: next_slice() and len(counting.started) == 2, seconds=30, what="a slice of another task")
    counting.receipts.close()


def test_a_task_that_the_database_never_let_in_is_not_followed_by_another(
    tmp_path: Path, role: Callable[[str], postgres_receipts.PostgresReceipts]
) -> None:
    refused = role("first")
    role("second")
    counting = fakes_counting.Counting(tmp_path, refused)

    with pytest.raises(errors.Refused, match="does not let burst in"):
        counting.receipts.clock(give_up_at=soon())
    counting.receipts.close()

    assert len(counting.started) == 1


# A task whose image is older than the controller


FirstQuestion = (
    questions.CountQuestion
    | questions.ClockQuestion
    | questions.FactQuestion
    | questions.ProblemsQuestion
    | questions.FollowQuestion
)


class FirstQuestionDocument(models.Model):
    """A question as the first version of burst reads it."""

    schema_: Annotated[Literal["burst.question/v1"], pydantic.Field(alias="schema")]
    patience_seconds: float
    ask: Annotated[FirstQuestion, pydantic.Field(discriminator="kind")]


class OlderTask(fakes_evidence.MemoryEvidenceStore):
    """A place and a counting task of the first version: it answers the clock's question, and fails at newer kinds."""

    task_id = "arn:aws:ecs:eu-west-2:1:task/burst/0123"

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.clock = fakes_receipts.HandClock(NOW)
        self.source = fakes_receipts.MemoryReceiptSource(ROWS, now=self.clock.now)

    def put_once(self, name: str, content: bytes) -> None:
        super().put_once(name, content)
        if not name.startswith("question_"):
            return
        number = int(name.removeprefix("question_").removesuffix(".json"))
        document = task_answers.AnswerDocument(
            session="count-001", number=number, question_sha256=canonical.digest(content), told=self._answer(content)
        ).content()
        self.lines += chunks.lines(questions.log_name("count-001", questions.answer_name(number)), document)
        super().put_once(questions.answer_name(number), document)

    def _answer(self, content: bytes) -> task_answers.Answer:
        try:
            question = models.read(FirstQuestionDocument, content)
        except errors.BurstError as exc:
            return task_answers.FailureAnswer.from_error(exc)
        assert isinstance(question.ask, questions.ClockQuestion)
        give_up_at = instants.later(self.clock.now(), question.patience_seconds)
        return task_answers.ClockAnswer.from_clock(self.source.clock(give_up_at=give_up_at))

    def end_reason(self) -> str | None:
        return "its session is over" if questions.END in self.documents else None

    def stop(self) -> None:
        """Its session is over, so it ends by itself."""

    def read_log(self, *, again: bool = False) -> Sequence[str]:
        return self.lines


NEWER_QUESTIONS: dict[str, Callable[[ports.ReceiptSource, datetime], object]] = {
    "writers": lambda source, until: source.open_writers(give_up_at=until),
    "server": lambda source, until: source.server(give_up_at=until),
    "privileges": lambda source, until: source.privileges(give_up_at=until),
    "role": lambda source, until: source.role(give_up_at=until),
    "times": lambda source, until: source.sample_times(7, give_up_at=until),
    "scope": lambda source, until: source.scope_contents("a", event_column="event_id", give_up_at=until),
    "receipt": lambda source, until: source.find_receipt("e", scope="a", event_column="event_id", give_up_at=until),
    "estimate": lambda source, until: source.estimate_count(WINDOW, scope="a", bucket_seconds=60, give_up_at=until),
}


def older_source() -> task_receipts.TaskReceipts:
    task = OlderTask()
    return task_receipts.TaskReceipts(start=lambda name, until: task, place=lambda name: task, clock=task.clock)


@pytest.mark.parametrize("kind", NEWER_QUESTIONS)
def test_a_task_of_an_older_image_refuses_a_newer_question_with_advice_and_answers_the_next(kind: str) -> None:
    source = older_source()
    until = instants.later(NOW, PATIENCE_SECONDS)

    with pytest.raises(errors.Refused, match=f"does not know the question '{kind}'.*give its task definition the"):
        NEWER_QUESTIONS[kind](source, until)

    assert source.clock(give_up_at=until).skew_seconds == 0
    source.close()


NEWEST = ("count-cost", "role-settings")
"""The checks whose questions an image of 0.2.0 does not know, and that only warn then."""


def test_preflight_against_an_older_image_fails_closed() -> None:
    source = older_source()
    checks = preflight.ReceiptChecks(cases.plan(), lambda: source, fakes_receipts.HandClock(NOW)).checks()
    beside_table = [check for check in checks if check.name not in ("receipts", "clock-skew", *NEWEST)]

    answers = preflight.run(beside_table)

    assert [finding.check for finding in answers] == ["database", "database-role", "timestamps", "scope-freshness"]
    assert all(finding.refused and "its image is older" in finding.seen for finding in answers)
    source.close()


@pytest.mark.parametrize("name", NEWEST)
def test_an_older_image_that_does_not_know_a_question_without_which_a_run_can_begin_is_warned_of(name: str) -> None:
    source = older_source()
    checks = preflight.ReceiptChecks(cases.plan(), lambda: source, fakes_receipts.HandClock(NOW)).checks()

    (finding,) = preflight.run([check for check in checks if check.name == name])

    assert finding.status is findings.FindingStatus.WARNING
    assert re.match(r"not known: the counting task .* its image is older than the controller", finding.seen)
    source.close()
