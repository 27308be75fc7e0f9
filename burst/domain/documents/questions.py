"""Questions and answers: the methods of `ports.ReceiptSource` as documents, for a task that counts inside the VPC.

They hold no SQL but a fact's own, no secret and no code. An answer names its question by digest, so that it can never
be taken for the answer to another.

Controller and task may run different versions of burst, so kinds are only ever added. A task does not know kinds that
are newer than itself: it answers those with a failure, which refuses (`unknown_kind`), and all others as before.
"""

from typing import Annotated, Any, Literal

import pydantic

from burst.domain.basics import canonical, errors
from burst.domain.documents import database_checks, driver_entries, estimate_answers, models, window_metrics
from burst.domain.receipts import duplicates, receipt_table, receipts

SESSION_ID = r"^[A-Za-z0-9_-]{1,80}$"
SESSION = "session.json"
END = "end.json"
"""The document that ends a session and its task."""
UNKNOWN_KIND_WORDS = "does not match any of the expected tags"
"""How every version of burst says that it does not know a question's kind."""


def question_name(number: int) -> str:
    """The document that holds a session's question."""
    return f"question_{number:04d}.json"


def answer_name(number: int) -> str:
    """The document that holds the answer to it."""
    return f"answer_{number:04d}.json"


def slice_name(number: int, index: int) -> str:
    """The document that holds one slice of a burst that is followed, as question `number` asked."""
    return f"slice_{number:04d}_{index:06d}.json"


def log_name(session: str, name: str) -> str:
    """The name of a session's document in the log."""
    return f"{session}-{name.removesuffix('.json')}"


# Questions


class CountQuestion(models.Model):
    """Count one window; a `scope` of None counts every scope."""

    kind: Literal["count"] = "count"
    window: window_metrics.WindowEntry
    scope: str | None
    bucket_seconds: float


class ClockQuestion(models.Model):
    """Read the database clock."""

    kind: Literal["clock"] = "clock"


class WritersQuestion(models.Model):
    """Name the transactions that write to the table and have not ended."""

    kind: Literal["writers"] = "writers"


class FactQuestion(models.Model):
    """Ask a fact query; `:scope` is bound."""

    kind: Literal["fact"] = "fact"
    sql: str
    scope: str


class ProblemsQuestion(models.Model):
    """Name every problem of the table and its columns."""

    kind: Literal["problems"] = "problems"


class FollowQuestion(models.Model):
    """Count a burst slice by slice until the next question: disjoint closed slices, the first one from `start_utc`.

    No slice ends after `until_utc`, which older tasks ignore, as they count until the next question.
    """

    kind: Literal["follow"] = "follow"
    start_utc: models.Instant
    until_utc: models.Instant | None = None
    scope: str | None
    settle_seconds: float
    every_seconds: float
    database_seconds_max: float | None = None
    """How long the database may work for the task before it follows no longer; older tasks ignore it."""


class ServerQuestion(models.Model):
    """Name the database server's version."""

    kind: Literal["server"] = "server"


class PrivilegesQuestion(models.Model):
    """Name the rights to write that the role has on the table."""

    kind: Literal["privileges"] = "privileges"


class RoleQuestion(models.Model):
    """Read the settings of the role."""

    kind: Literal["role"] = "role"


class TimesQuestion(models.Model):
    """Sample how receipt times are written."""

    kind: Literal["times"] = "times"
    rows: Annotated[int, pydantic.Field(ge=1)]


class ScopeQuestion(models.Model):
    """Count everything in a scope; `event_column` holds the ids of events."""

    kind: Literal["scope"] = "scope"
    scope: str
    event_column: str


class ReceiptQuestion(models.Model):
    """Look for the receipt of one event."""

    kind: Literal["receipt"] = "receipt"
    event_id: str
    scope: str
    event_column: str


class EstimateQuestion(models.Model):
    """Estimate what a count of the window would cost; nothing is counted but a few pages."""

    kind: Literal["estimate"] = "estimate"
    window: window_metrics.WindowEntry
    scope: str | None
    bucket_seconds: float


class DuplicatesQuestion(models.Model):
    """Tell the DUPLICATE receipts of a window apart; `event_column` holds the ids of events."""

    kind: Literal["duplicates"] = "duplicates"
    window: window_metrics.WindowEntry
    scope: str
    event_column: str


SingleQuestion = (
    CountQuestion
    | ClockQuestion
    | WritersQuestion
    | FactQuestion
    | ProblemsQuestion
    | ServerQuestion
    | PrivilegesQuestion
    | RoleQuestion
    | TimesQuestion
    | ScopeQuestion
    | ReceiptQuestion
    | EstimateQuestion
    | DuplicatesQuestion
)
"""A question with one answer; a burst that is followed has a slice after the other."""
Question = SingleQuestion | FollowQuestion


class SessionStart(models.Model):
    """`session.json`: the owner of a session. `by` is drawn at random, so that no two controllers share one."""

    schema_: Annotated[Literal["burst.session/v1"], pydantic.Field(alias="schema")] = "burst.session/v1"
    by: str


class SessionEnd(models.Model):
    """`end.json`: the session is over."""

    schema_: Annotated[Literal["burst.session-end/v1"], pydantic.Field(alias="schema")] = "burst.session-end/v1"


class QuestionDocument(models.Model):
    """One question. `patience_seconds` begin when the task reads it, so that no two clocks are compared."""

    schema_: Annotated[Literal["burst.question/v1"], pydantic.Field(alias="schema")] = "burst.question/v1"
    session: Annotated[str, pydantic.Field(pattern=SESSION_ID)]
    number: Annotated[int, pydantic.Field(ge=1)]
    patience_seconds: float
    ask: Annotated[Question, pydantic.Field(discriminator="kind")]


# Answers


class ClockAnswer(models.Model):
    """The database clock, against the clock of the task that read it."""

    kind: Literal["clock"] = "clock"
    database_now_utc: models.Instant
    skew_seconds: float
    round_trip_seconds: float

    @classmethod
    def from_clock(cls, clock: receipts.DatabaseClock) -> "ClockAnswer":
        """The reading for a clock."""
        return cls(
            database_now_utc=clock.database_now,
            skew_seconds=clock.skew_seconds,
            round_trip_seconds=clock.round_trip_seconds,
        )

    @property
    def clock(self) -> receipts.DatabaseClock:
        """The clock of the reading."""
        return receipts.DatabaseClock(
            database_now=self.database_now_utc,
            skew_seconds=self.skew_seconds,
            round_trip_seconds=self.round_trip_seconds,
        )


class CountAnswer(models.Model):
    """A window's count."""

    kind: Literal["count"] = "count"
    window: window_metrics.WindowEntry
    scope: str | None
    counts: window_metrics.CountsEntry
    buckets: list[window_metrics.BucketEntry]
    clock: ClockAnswer
    sql: str
    binds: dict[str, str]
    pages: driver_entries.PagesEntry | None = None
    """None where an older task does not tell them."""

    @classmethod
    def from_count(cls, count: receipts.WindowCount) -> "CountAnswer":
        """The entry for a count."""
        return cls(
            window=window_metrics.WindowEntry.from_window(count.window),
            scope=count.scope,
            counts=window_metrics.CountsEntry.from_counts(count.counts),
            buckets=[window_metrics.BucketEntry.from_bucket(bucket) for bucket in count.buckets],
            clock=ClockAnswer.from_clock(count.clock),
            sql=count.sql,
            binds=dict(count.binds),
            pages=driver_entries.PagesEntry.from_pages(count.pages) if count.pages is not None else None,
        )

    def count(self, origin: receipts.Origin) -> receipts.WindowCount:
        """The count of the entry, with its origin."""
        return receipts.WindowCount(
            window=self.window.window,
            scope=self.scope,
            counts=self.counts.counts,
            buckets=tuple(
                receipts.BucketCounts(window=bucket.window, counts=bucket.counts.counts) for bucket in self.buckets
            ),
            clock=self.clock.clock,
            sql=self.sql,
            binds=tuple(self.binds.items()),
            origin=origin,
            pages=self.pages.pages if self.pages is not None else None,
        )


class WritersAnswer(models.Model):
    """The open writers of the table."""

    kind: Literal["writers"] = "writers"
    at_utc: models.Instant
    writers: list[window_metrics.WriterEntry]
    transactions: list[str] = []

    @classmethod
    def from_writers(cls, present: receipts.OpenWriters) -> "WritersAnswer":
        """The entry for a reading."""
        return cls(
            at_utc=present.at,
            writers=[window_metrics.WriterEntry.from_writer(writer) for writer in present.writers],
            transactions=sorted(present.transactions),
        )

    @property
    def open_writers(self) -> receipts.OpenWriters:
        """The reading of the entry."""
        return receipts.OpenWriters(
            at=self.at_utc,
            writers=tuple(entry.writer for entry in self.writers),
            transactions=frozenset(self.transactions),
        )


class FactAnswer(models.Model):
    """The value of a fact query."""

    kind: Literal["fact"] = "fact"
    value: models.Value


class ProblemsAnswer(models.Model):
    """Every problem of the table and its columns, as sentences."""

    kind: Literal["problems"] = "problems"
    problems: list[str]


class ServerAnswer(models.Model):
    """The database server."""

    kind: Literal["server"] = "server"
    version_number: models.Count
    standby: bool

    @classmethod
    def from_server(cls, server: receipt_table.DatabaseServer) -> "ServerAnswer":
        """The entry for a server."""
        return cls(version_number=server.version_number, standby=server.standby)

    @property
    def server(self) -> receipt_table.DatabaseServer:
        """The server of the entry."""
        return receipt_table.DatabaseServer(version_number=self.version_number, standby=self.standby)


class PrivilegesAnswer(models.Model):
    """The rights to write that the role has on the table."""

    kind: Literal["privileges"] = "privileges"
    writes: list[str]
    read_only_sessions: bool

    @classmethod
    def from_privileges(cls, privileges: receipt_table.TablePrivileges) -> "PrivilegesAnswer":
        """The entry for privileges."""
        return cls(writes=list(privileges.writes), read_only_sessions=privileges.read_only_sessions)

    @property
    def privileges(self) -> receipt_table.TablePrivileges:
        """The privileges of the entry."""
        return receipt_table.TablePrivileges(writes=tuple(self.writes), read_only_sessions=self.read_only_sessions)


class RoleAnswer(models.Model):
    """The role of the DSN, with its own settings."""

    kind: Literal["role"] = "role"
    role: database_checks.RoleEntry


class TimesAnswer(models.Model):
    """How receipt times are written."""

    kind: Literal["times"] = "times"
    sampled: models.Count
    without_offset: models.Count
    textual: bool
    without_time_of_day: models.Count = 0
    """An older task does not tell it; the canary's receipt shows a date too."""

    @classmethod
    def from_sample(cls, sample: receipt_table.TimesSample) -> "TimesAnswer":
        """The entry for a sample."""
        return cls(
            sampled=sample.sampled,
            without_offset=sample.without_offset,
            textual=sample.textual,
            without_time_of_day=sample.without_time_of_day,
        )

    @property
    def sample(self) -> receipt_table.TimesSample:
        """The sample of the entry."""
        return receipt_table.TimesSample(
            sampled=self.sampled,
            without_offset=self.without_offset,
            textual=self.textual,
            without_time_of_day=self.without_time_of_day,
        )


class ScopeAnswer(models.Model):
    """Everything in a scope; None is not known."""

    kind: Literal["scope"] = "scope"
    counts: window_metrics.CountsEntry
    canaries: models.Count | None
    admissions: models.Count | None

    @classmethod
    def from_contents(cls, contents: receipt_table.ScopeContents) -> "ScopeAnswer":
        """The entry for the contents of a scope."""
        return cls(
            counts=window_metrics.CountsEntry.from_counts(contents.counts),
            canaries=contents.canaries,
            admissions=contents.admissions,
        )

    @property
    def contents(self) -> receipt_table.ScopeContents:
        """The contents of the entry."""
        return receipt_table.ScopeContents(
            counts=self.counts.counts, canaries=self.canaries, admissions=self.admissions
        )


class ReceiptEntry(models.Model):
    """One receipt."""

    decision: str
    at_utc: models.Instant


class ReceiptAnswer(models.Model):
    """The receipt of one event; None: there is none."""

    kind: Literal["receipt"] = "receipt"
    receipt: ReceiptEntry | None

    @classmethod
    def from_receipt(cls, receipt: receipt_table.EventReceipt | None) -> "ReceiptAnswer":
        """The entry for a receipt."""
        return cls(receipt=None if receipt is None else ReceiptEntry(decision=receipt.decision, at_utc=receipt.at))

    @property
    def event_receipt(self) -> receipt_table.EventReceipt | None:
        """The receipt of the entry."""
        if self.receipt is None:
            return None
        return receipt_table.EventReceipt(decision=self.receipt.decision, at=self.receipt.at_utc)


class DuplicatesAnswer(models.Model):
    """The DUPLICATE receipts of a window by class; None: the table has no such column of events."""

    kind: Literal["duplicates"] = "duplicates"
    classes: window_metrics.DuplicatesEntry | None

    @classmethod
    def from_classes(cls, classes: duplicates.DuplicateClasses | None) -> "DuplicatesAnswer":
        """The entry for classes."""
        return cls(classes=None if classes is None else window_metrics.DuplicatesEntry.from_classes(classes))

    @property
    def duplicate_classes(self) -> duplicates.DuplicateClasses | None:
        """The classes of the entry."""
        return None if self.classes is None else self.classes.duplicate_classes


class FailureAnswer(models.Model):
    """Why there is no answer; `error` says which of burst's errors it was."""

    kind: Literal["failure"] = "failure"
    error: Literal["usage", "refused", "unavailable"]
    words: str

    @classmethod
    def from_error(cls, failure: errors.BurstError) -> "FailureAnswer":
        """The entry for an error."""
        if isinstance(failure, errors.UsageError):
            return cls(error="usage", words=str(failure))
        return cls(error="unavailable" if isinstance(failure, errors.Unavailable) else "refused", words=str(failure))

    @property
    def failure(self) -> errors.BurstError:
        """The error of the entry."""
        kinds: dict[str, type[errors.BurstError]] = {
            "usage": errors.UsageError,
            "refused": errors.Refused,
            "unavailable": errors.Unavailable,
        }
        return kinds[self.error](self.words)

    @property
    def unknown_kind(self) -> bool:
        """Whether the task is too old to know the kind of the question."""
        return UNKNOWN_KIND_WORDS in self.words

    @property
    def login_refused(self) -> bool:
        """Whether the database did not let the task in."""
        return receipt_table.LOGIN_REFUSED in self.words


Answer = (
    CountAnswer
    | ClockAnswer
    | WritersAnswer
    | FactAnswer
    | ProblemsAnswer
    | ServerAnswer
    | PrivilegesAnswer
    | RoleAnswer
    | TimesAnswer
    | ScopeAnswer
    | ReceiptAnswer
    | estimate_answers.EstimateAnswer
    | DuplicatesAnswer
    | FailureAnswer
)


class AnswerDocument(models.Model):
    """The answer to one question, or one slice of the burst it asked to follow."""

    schema_: Annotated[Literal["burst.answer/v1"], pydantic.Field(alias="schema")] = "burst.answer/v1"
    session: Annotated[str, pydantic.Field(pattern=SESSION_ID)]
    number: Annotated[int, pydantic.Field(ge=1)]
    question_sha256: models.Digest
    told: Annotated[Answer, pydantic.Field(discriminator="kind")]
    driver: driver_entries.FiguresEntry | None = None
    """What the task's driver did since the task began; an older task does not tell it, and None is not zero."""


def build(model: type[models.M], **fields: Any) -> models.M:
    """A question of the fields given. Raises `errors.UsageError` where no document can hold them."""
    try:
        question = model.model_validate(fields)
        canonical.encode(question.model_dump(mode="json"))
    except ValueError as exc:
        raise errors.UsageError(f"this cannot be asked of a counting task: {exc}") from exc
    return question


def build_fact_answer(value: object) -> FactAnswer | FailureAnswer:
    """The entry for the value of a fact query; a failure where JSON cannot hold it."""
    if isinstance(value, int) and abs(value) > canonical.LARGEST_INTEGER:
        return FailureAnswer(error="usage", words=f"the query answered {value}, which JSON cannot hold exactly")
    try:
        return FactAnswer.model_validate({"value": value})
    except ValueError:
        return FailureAnswer(
            error="usage", words=f"the query answered a {type(value).__name__}, which is no JSON value"
        )
