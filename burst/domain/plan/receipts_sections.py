"""Where the receipts of a run are counted, and the baseline that their rate is divided by."""

from typing import Annotated, Literal, Self

import pydantic

from burst.domain.plan import field_types, sections
from burst.domain.receipts import count_costs, receipt_table, receipts


class ColumnsSection(sections.Section):
    """The receipts table's columns."""

    decision: str = "decision"
    """The column of the decision."""
    at: str = "created_at_utc"
    """The column of the instant."""
    scope: str = "platform_run_id"
    """The column of the scope."""
    event: str = "event_id"
    """The column of the event's id."""


class CountingTaskSection(sections.Section):
    """The task that counts inside the VPC; without a definition, the environment's own `burst-ENVIRONMENT-counter`."""

    task_definition: field_types.Resource | None = None
    """The task definition that runs `burst count`."""
    container: field_types.Name = "counter"
    """Its container."""
    start_timeout: field_types.PositiveDuration = 180.0
    """How long it may take to start."""


class ReceiptsSection(sections.Section):
    """Where receipts are counted, and how long a count may take.

    With `via: task` a task counts, whose definition holds the DSN as a secret.
    """

    dsn: field_types.SecretReference | None = None
    """A reference to the database: env:NAME, file:PATH, or a secret of AWS. It is only read."""
    via: Literal["direct", "task"] = "direct"
    """direct: counted from here. task: a task inside the VPC counts."""
    task: CountingTaskSection | None = None
    """The counting task, with via: task."""
    table: str = "receipts"
    """The table of receipts."""
    columns: ColumnsSection = ColumnsSection()
    """The names of its columns."""
    time_unit: Annotated[
        Literal["s", "ms", "us", "ns"] | None,
        pydantic.Field(description="Of a time column that holds numbers: their unit since 1970, UTC."),
    ] = None
    decisions: Annotated[
        dict[Literal["ADMIT", "DUPLICATE", "QUARANTINE"], Annotated[list[str], pydantic.Field(min_length=1)]] | None,
        pydantic.Field(description="The words of the table for each decision; one that is not named is its own word."),
    ] = None
    bucket: field_types.PositiveDuration = 60.0
    """The length of a bucket of the window."""
    settle: field_types.PositiveDuration = 5.0
    """How far apart two counts are that have to agree."""
    count_timeout: field_types.PositiveDuration = 60.0
    """How long the final count may take."""
    max_skew: field_types.PositiveDuration = 2.0
    """How far the clocks of this machine and the database may differ."""
    require_check: Annotated[
        bool | None, pydantic.Field(description="true: preflight runs `burst db check`, and refuses what that refuses.")
    ] = None
    database_seconds_max: Annotated[
        field_types.PositiveDuration | None,
        pydantic.Field(description="How long the database may work for the run; then nothing more is asked of it."),
    ] = None

    @pydantic.model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.via == "direct" and self.dsn is None:
            raise field_types.Misfit(("dsn",), f"{field_types.REFERENCE_ALLOWED}; via: direct needs it")
        if self.via == "direct" and self.task is not None:
            raise field_types.Misfit(("task",), "nothing: via: direct has no task; say via: task")
        if self.via == "task" and self.require_check:
            why = "only the counting task reaches the database; let a command of before run burst db check there"
            raise field_types.Misfit(("require_check",), f"nothing: with via: task {why}")
        return self

    @pydantic.model_validator(mode="after")
    def _distinct_words(self) -> Self:
        earlier: dict[str, str] = {name: name for name in receipts.DECISIONS if name not in (self.decisions or {})}
        for decision, words in (self.decisions or {}).items():
            for index, word in enumerate(words):
                if word in earlier:
                    why = f"another word: {word!r} stands for {earlier[word]} already"
                    raise field_types.Misfit(("decisions", decision, index), why)
                earlier[word] = decision
        return self

    @property
    def form(self) -> receipt_table.TableForm:
        """The table, and how it writes time and decision."""
        words: dict[str, tuple[str, ...]] = {}
        for decision, texts in (self.decisions or {}).items():
            words[decision] = tuple(texts)
        return receipt_table.TableForm(name=self.table, time_unit=self.time_unit, decision_words=words)

    @property
    def live_database_seconds(self) -> float | None:
        """How much of the database's time live counts and stop signs may take: half, so that the count that the verdict
        rests on finds the rest; None without a ceiling."""
        return None if self.database_seconds_max is None else self.database_seconds_max / 2

    @property
    def patience_seconds(self) -> float:
        """How long a count may take, together with the start of the task that counts."""
        return self.count_timeout + (self.counting_task.start_timeout if self.via == "task" else 0.0)

    @property
    def count_patience(self) -> count_costs.CountPatience:
        """How long a final count may take, once the task that counts runs."""
        return count_costs.CountPatience(count_timeout_seconds=self.count_timeout, settle_seconds=self.settle)

    @property
    def counting_task(self) -> CountingTaskSection:
        """The task that counts: the plan's, or the default."""
        return self.task or CountingTaskSection()


class BaselineSection(sections.Section):
    """The reference rate: a baseline document, or figures given inline, which the plan's digest then covers."""

    file: str | None = None
    """A document of `burst baseline make`: a file, or an s3:// object."""
    sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The digest that it has to have."""
    max_age: field_types.PositiveDuration | None = None
    """Preflight refuses an older one."""
    admits: field_types.PositiveWhole | None = None
    """ADMIT receipts of the reference run, where no document is named."""
    seconds: Annotated[float, pydantic.Field(ge=1e-6)] | None = None
    """How long it took."""
    source: str | None = None
    """Which run the figures are of, in words."""

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Self:
        inline = (self.admits, self.seconds, self.source)
        if self.file is not None and any(part is not None for part in inline):
            raise field_types.Misfit(("file",), "either file, or admits, seconds and source, and not both")
        if self.file is None and any(part is None for part in inline):
            raise field_types.Misfit(("file",), "file, or all of admits, seconds and source")
        for name in ("sha256", "max_age"):
            if self.file is None and getattr(self, name) is not None:
                raise field_types.Misfit((name,), "nothing: an inline baseline is covered by the plan itself")
        return self
