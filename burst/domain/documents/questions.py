"""Questions: the methods of `ports.ReceiptSource` as documents, for a task that counts inside the VPC, which tells
`task_answers`.

They hold no SQL but a fact's own, no secret and no code.

Controller and task may run different versions of burst, so kinds are only ever added. A task does not know kinds that
are newer than itself: it answers those with a failure, which refuses (`unknown_kind`), and all others as before.
"""

from typing import Annotated, Any, Literal

import pydantic

from burst.domain.basics import canonical, errors
from burst.domain.documents import models, window_metrics

SESSION_ID = r"^[A-Za-z0-9_-]{1,80}$"
SESSION = "session.json"
END = "end.json"
"""The document that ends a session and its task."""


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


class CountQuestion(models.Model):
    """Count one window; a `scope` of None counts every scope."""

    kind: Literal["count"] = "count"
    window: window_metrics.WindowEntry
    """The half-open window to count."""
    scope: str | None
    """The scope to count; None counts every scope."""
    bucket_seconds: float
    """How long a bucket is."""


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
    """The statement of the fact, from the plan."""
    scope: str
    """The scope that `:scope` is bound to."""


class ProblemsQuestion(models.Model):
    """Name every problem of the table and its columns."""

    kind: Literal["problems"] = "problems"


class FollowQuestion(models.Model):
    """Count a burst slice by slice until the next question: disjoint closed slices, the first one from `start_utc`.

    No slice ends after `until_utc`, which older tasks ignore, as they count until the next question.
    """

    kind: Literal["follow"] = "follow"
    start_utc: models.Instant
    """Where the first slice begins."""
    until_utc: models.Instant | None = None
    """Where the last slice ends at the latest; None where the next question ends it."""
    scope: str | None
    """The scope to count; None counts every scope."""
    settle_seconds: float
    """How far behind the database's clock a slice ends."""
    every_seconds: float
    """The time between two slices."""
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
    """How many receipts the sample takes."""


class ScopeQuestion(models.Model):
    """Count everything in a scope; `event_column` holds the ids of events."""

    kind: Literal["scope"] = "scope"
    scope: str
    """The scope to count everything in."""
    event_column: str
    """The column that holds the ids of events."""


class ReceiptQuestion(models.Model):
    """Look for the receipt of one event."""

    kind: Literal["receipt"] = "receipt"
    event_id: str
    """The event whose receipt is looked for."""
    scope: str
    """The scope that the event was sent in."""
    event_column: str
    """The column that holds the ids of events."""


class EstimateQuestion(models.Model):
    """Estimate what a count of the window would cost; nothing is counted but a few pages."""

    kind: Literal["estimate"] = "estimate"
    window: window_metrics.WindowEntry
    """The half-open window whose count is estimated."""
    scope: str | None
    """The scope of that count; None is every scope."""
    bucket_seconds: float
    """How long a bucket of that count is."""


class DuplicatesQuestion(models.Model):
    """Tell the DUPLICATE receipts of a window apart; `event_column` holds the ids of events."""

    kind: Literal["duplicates"] = "duplicates"
    window: window_metrics.WindowEntry
    """The half-open window whose DUPLICATE receipts are told apart."""
    scope: str
    """The scope of those receipts."""
    event_column: str
    """The column that holds the ids of events."""


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
    """A random word of the controller that owns the session, so that no two controllers share one."""


class SessionEnd(models.Model):
    """`end.json`: the session is over."""

    schema_: Annotated[Literal["burst.session-end/v1"], pydantic.Field(alias="schema")] = "burst.session-end/v1"


class QuestionDocument(models.Model):
    """One question. `patience_seconds` begin when the task reads it, so that no two clocks are compared."""

    schema_: Annotated[Literal["burst.question/v1"], pydantic.Field(alias="schema")] = "burst.question/v1"
    session: Annotated[str, pydantic.Field(pattern=SESSION_ID)]
    """The counting session that the question belongs to."""
    number: Annotated[int, pydantic.Field(ge=1)]
    """Its place among the questions of the session, from 1."""
    patience_seconds: float
    """How long the task may take for the answer, from when it reads the question."""
    ask: Annotated[Question, pydantic.Field(discriminator="kind")]
    """The question; its `kind` says which fields it has."""


def build(model: type[models.M], **fields: Any) -> models.M:
    """A question of the fields given. Raises `errors.UsageError` where no document can hold them."""
    try:
        question = model.model_validate(fields)
        canonical.encode(question.model_dump(mode="json"))
    except ValueError as exc:
        raise errors.UsageError(f"this cannot be asked of a counting task: {exc}") from exc
    return question
