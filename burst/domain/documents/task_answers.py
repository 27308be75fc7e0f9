"""Answers to `questions`, as documents. An answer names its question by digest, so that it can never be taken for the
answer to another."""

from typing import Annotated, Literal

import pydantic

from burst.domain.basics import canonical, errors
from burst.domain.documents import database_checks, driver_entries, estimate_answers, models, questions, window_metrics
from burst.domain.receipts import duplicates, receipt_table, receipts

UNKNOWN_KIND_WORDS = "does not match any of the expected tags"
"""How every version of burst says that it does not know a question's kind."""


class ClockAnswer(models.Model):
    """The database clock, against the clock of the task that read it."""

    kind: Literal["clock"] = "clock"
    database_now_utc: models.Instant
    """The database's clock."""
    skew_seconds: float
    """The database's clock minus the task's, at the middle of one round trip."""
    round_trip_seconds: float
    """How long the reading took; the true skew lies within half of it."""

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
    """The window that was counted."""
    scope: str | None
    """The scope that was counted; None: every scope."""
    counts: window_metrics.CountsEntry
    """The receipts of the window."""
    buckets: list[window_metrics.BucketEntry]
    """The window in parts that follow one another; their counts add up to `counts`."""
    clock: ClockAnswer
    """The database's clock just before the count."""
    sql: str
    """The statement that was counted by, with names in place of values."""
    binds: dict[str, str]
    """Each value that the statement was run with, as text."""
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
    """The database's clock just before they were read."""
    writers: list[window_metrics.WriterEntry]
    """The transactions that write to the table and have not ended."""
    transactions: list[str] = []
    """The identities of all open transactions: one that has not written yet may still write."""

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
    """What the statement answered; None where it answered nothing."""


class ProblemsAnswer(models.Model):
    """Every problem of the table and its columns, as sentences."""

    kind: Literal["problems"] = "problems"
    problems: list[str]
    """Every problem of the table and its columns; none where there is none."""


class ServerAnswer(models.Model):
    """The database server."""

    kind: Literal["server"] = "server"
    version_number: models.Count
    """The version as a number, such as 160002."""
    standby: bool
    """Whether the server was in recovery."""

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
    """The rights to write that the role has on the table; none where it can only read."""
    read_only_sessions: bool
    """Whether the role's sessions are read-only unless they ask for more."""

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
    """The role of the DSN with its settings."""


class TimesAnswer(models.Model):
    """How receipt times are written."""

    kind: Literal["times"] = "times"
    sampled: models.Count
    """Receipts that were looked at."""
    without_offset: models.Count
    """How many of their times name no offset from UTC."""
    textual: bool
    """Whether the column holds text in place of instants."""
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
    """Every receipt of the scope up to a day from now."""
    canaries: models.Count | None
    """How many of them are of canaries; None where the table has no such column of events."""
    admissions: models.Count | None
    """Entries of the ingest's own table, without canaries; None where there is no such table."""

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
    """The decision of the receipt."""
    at_utc: models.Instant
    """The instant of the receipt, by the clock of the ingest."""


class ReceiptAnswer(models.Model):
    """The receipt of one event; None: there is none."""

    kind: Literal["receipt"] = "receipt"
    receipt: ReceiptEntry | None
    """The receipt of the event; None where there is none."""

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
    """The DUPLICATE receipts by class; None where the table has no such column of events."""

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
    """`usage`: the question cannot be asked; `refused`: it was answered no; `unavailable`: it may be asked again."""
    words: str
    """Why there is no answer."""

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
    session: Annotated[str, pydantic.Field(pattern=questions.SESSION_ID)]
    """The counting session that the answer belongs to."""
    number: Annotated[int, pydantic.Field(ge=1)]
    """The number of the question that it answers."""
    question_sha256: models.Digest
    """SHA-256 of that question's bytes, so that it answers no other."""
    told: Annotated[Answer, pydantic.Field(discriminator="kind")]
    """The answer; its `kind` says which fields it has."""
    driver: driver_entries.FiguresEntry | None = None
    """What the task's driver did since the task began; an older task does not tell it, and None is not zero."""


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
