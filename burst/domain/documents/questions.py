"""Questions and answers: the documents that go to and come from the task that counts inside the VPC.

They are the methods of `ports.ReceiptSource` written down: no SQL but a fact's own, no secret, no code. An answer
names its question by digest, so that it can never be taken for the answer to another.
"""

from typing import Annotated, Any, Literal

import pydantic

from burst.domain.basics import canonical, errors, windows
from burst.domain.documents import models, window_metrics
from burst.domain.receipts import receipts

SESSION_ID = r"^[A-Za-z0-9_-]{1,80}$"
SESSION = "session.json"
END = "end.json"
"""Where it stands, the session is over and its task ends."""


def question_name(number: int) -> str:
    """The document that holds a session's question."""
    return f"question_{number:04d}.json"


def answer_name(number: int) -> str:
    """The document that holds the answer to it."""
    return f"answer_{number:04d}.json"


def slice_name(number: int, index: int) -> str:
    """The document that holds one slice of a burst that is followed, as question `number` asked."""
    return f"slice_{number:04d}_{index:06d}.json"


def told_as(session: str, name: str) -> str:
    """The name of a session's document in the log."""
    return f"{session}-{name.removesuffix('.json')}"


class CountQuestion(models.Model):
    """Count one window; a `scope` of None counts every scope."""

    kind: Literal["count"] = "count"
    window: window_metrics.WindowEntry
    scope: str | None
    bucket_seconds: float


class ClockQuestion(models.Model):
    """Read the database clock."""

    kind: Literal["clock"] = "clock"


class FactQuestion(models.Model):
    """Ask a fact query; `:scope` is bound."""

    kind: Literal["fact"] = "fact"
    sql: str
    scope: str


class ProblemsQuestion(models.Model):
    """List the problems of table and columns."""

    kind: Literal["problems"] = "problems"


class FollowQuestion(models.Model):
    """Count a burst slice by slice until the next question: disjoint closed slices, the first one from `start_utc`."""

    kind: Literal["follow"] = "follow"
    start_utc: models.Instant
    scope: str | None
    settle_seconds: float
    every_seconds: float


Ask = CountQuestion | ClockQuestion | FactQuestion | ProblemsQuestion | FollowQuestion


class SessionStart(models.Model):
    """`session.json`: whose the session is. `by` is drawn at random, so that no two controllers share one."""

    schema_: Annotated[Literal["burst.session/v1"], pydantic.Field(alias="schema")] = "burst.session/v1"
    by: str


class SessionEnd(models.Model):
    """`end.json`: the session is over."""

    schema_: Annotated[Literal["burst.session-end/v1"], pydantic.Field(alias="schema")] = "burst.session-end/v1"


class QuestionDocument(models.Model):
    """One question. `patience_seconds` is how long its answer may take from when it is read: no clock is trusted."""

    schema_: Annotated[Literal["burst.question/v1"], pydantic.Field(alias="schema")] = "burst.question/v1"
    session: Annotated[str, pydantic.Field(pattern=SESSION_ID)]
    number: Annotated[int, pydantic.Field(ge=1)]
    patience_seconds: float
    ask: Annotated[Ask, pydantic.Field(discriminator="kind")]


class ClockAnswer(models.Model):
    """The database clock, against the clock of the task that read it."""

    kind: Literal["clock"] = "clock"
    database_now_utc: models.Instant
    skew_seconds: float
    round_trip_seconds: float

    @classmethod
    def of(cls, clock: receipts.DatabaseClock) -> "ClockAnswer":
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

    @classmethod
    def of(cls, count: receipts.WindowCount) -> "CountAnswer":
        """The entry for a count."""
        return cls(
            window=window_metrics.WindowEntry.from_window(count.window),
            scope=count.scope,
            counts=window_metrics.CountsEntry.from_counts(count.counts),
            buckets=[window_metrics.BucketEntry.from_bucket(bucket) for bucket in count.buckets],
            clock=ClockAnswer.of(count.clock),
            sql=count.sql,
            binds=dict(count.binds),
        )

    def count(self, origin: receipts.Origin) -> receipts.WindowCount:
        """The count of the entry, with where it came from."""
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
        )


class FactAnswer(models.Model):
    """The answer of a fact query."""

    kind: Literal["fact"] = "fact"
    value: models.Value


class ProblemsAnswer(models.Model):
    """The problems of table and columns, as sentences."""

    kind: Literal["problems"] = "problems"
    problems: list[str]


class FailureAnswer(models.Model):
    """Why there is no answer; `error` says which of burst's errors it was."""

    kind: Literal["failure"] = "failure"
    error: Literal["usage", "refused", "unavailable"]
    words: str

    @classmethod
    def of(cls, failure: errors.BurstError) -> "FailureAnswer":
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


Told = CountAnswer | ClockAnswer | FactAnswer | ProblemsAnswer | FailureAnswer


class AnswerDocument(models.Model):
    """The answer to one question, or one slice of the burst it asked to follow."""

    schema_: Annotated[Literal["burst.answer/v1"], pydantic.Field(alias="schema")] = "burst.answer/v1"
    session: Annotated[str, pydantic.Field(pattern=SESSION_ID)]
    number: Annotated[int, pydantic.Field(ge=1)]
    question_sha256: models.Digest
    told: Annotated[Told, pydantic.Field(discriminator="kind")]


def window_question(window: windows.Window, *, scope: str | None, bucket_seconds: float) -> CountQuestion:
    """The question for a count. Raises `errors.UsageError` where no document can hold it."""
    entry = window_metrics.WindowEntry.from_window(window)
    return _validate(CountQuestion, {"window": entry, "scope": scope, "bucket_seconds": bucket_seconds})


def fact_question(sql: str, *, scope: str) -> FactQuestion:
    """The question for a fact query. Raises `errors.UsageError` where no document can hold it."""
    return _validate(FactQuestion, {"sql": sql, "scope": scope})


def value(answered: object) -> FactAnswer | FailureAnswer:
    """The entry for the answer of a fact query; a failure where JSON cannot hold it."""
    if isinstance(answered, int) and abs(answered) > canonical.LARGEST_INTEGER:
        return FailureAnswer(error="usage", words=f"the query answered {answered}, which JSON cannot hold exactly")
    try:
        return FactAnswer.model_validate({"value": answered})
    except ValueError:
        return FailureAnswer(
            error="usage", words=f"the query answered a {type(answered).__name__}, which is no JSON value"
        )


def _validate(model: type[models.M], fields: dict[str, Any]) -> models.M:
    try:
        question = model.model_validate(fields)
        question.content()
    except ValueError as exc:
        raise errors.UsageError(f"this cannot be asked of a counting task: {exc}") from exc
    return question
