"""Plans: the sections of an operator's request, parsed strictly, every mistake named by file, line and key.

A plan is YAML (or JSON, which is YAML). It is composed to nodes first, so that a message can name the line, then
validated as a whole, so that one reading shows every mistake. Unknown keys, anchors, placeholders and literal
secrets are refused: each of them has launched a burst that could prove nothing.

`field_types` has the types of the values, `yaml_lines` the lines of a text, `plan_problems` the words of a mistake.
"""

import re
import typing
from typing import Annotated, Any, Literal, Self

import pydantic
import yaml

from burst.domain.basics import errors, instants, naming, windows
from burst.domain.plan import (
    catalogues,
    drill_sections,
    entry_sections,
    field_types,
    gate_names,
    load_sections,
    observe_sections,
    plan_problems,
    question_sections,
    rate_sections,
    reproduction_sections,
    sections,
    yaml_lines,
)
from burst.domain.plan.question_sections import QuestionSection as QuestionSection
from burst.domain.receipts import count_costs, receipt_table, receipts
from burst.domain.tasks import launch_rates
from burst.load import rate_plans, shard_values

SCHEMA = "burst.plan/v1"
PlanError = yaml_lines.PlanError
LEAST_OFFERED = 0.99
MOST_BUCKETS = 20_000
MOST_STOP_SIGNS = 20
"""Each is asked every few seconds, on a thread of its own."""

MOST_DRILLS = 20
MOST_SHARD_VALUES = 4000
"""ECS takes overrides of 8,192 characters, and other variables need some of them."""


class ReaperSection(sections.Section):
    """The task that the schedule of the hard stop starts at the deadline; it runs `burst reap`."""

    task_definition: field_types.Resource
    role_arn: field_types.Resource
    group: field_types.Name
    dead_letter_arn: field_types.Resource | None = None


class PriceSection(sections.Section):
    """The price of an hour, where it is not the list price."""

    vcpu_hour_usd: Annotated[float, pydantic.Field(gt=0, le=1e6)]
    gb_hour_usd: Annotated[float, pydantic.Field(gt=0, le=1e6)]


class TargetSection(sections.Section):
    """Where tasks run and how many of them."""

    kind: Literal["local", "ecs"]
    tasks: Annotated[int, pydantic.Field(ge=1, le=1000)]
    min_tasks: Annotated[int, pydantic.Field(ge=1, le=1000)] | None = None
    replacements: Annotated[int, pydantic.Field(ge=0, le=1000)] | None = None
    cluster: field_types.Resource | None = None
    task_definition: field_types.Resource | None = None
    container: field_types.Name | None = None
    capacity: Annotated[list[field_types.Name], pydantic.Field(min_length=1)] | None = None
    subnets: list[field_types.Name] | None = None
    security_groups: list[field_types.Name] | None = None
    assign_public_ip: Annotated[
        bool | None,
        pydantic.Field(description="true: each task gets a public address, where the way out is an internet gateway."),
    ] = None
    reaper: ReaperSection | None = None
    price: PriceSection | None = None

    @pydantic.field_validator("capacity")
    @classmethod
    def _distinct_capacity(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("expected each provider once: tasks that one cannot start are asked of the next")
        return value

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_tasks is not None and self.min_tasks > self.tasks:
            raise field_types.Misfit(("min_tasks",), f"at most tasks, which is {self.tasks}")
        ecs = {name: getattr(self, name) for name in ("cluster", "task_definition", "subnets", "security_groups")}
        if self.kind == "ecs":
            missing = [name for name, value in ecs.items() if not value]
            if missing:
                raise field_types.Misfit((missing[0],), f"kind ecs needs {', '.join(missing)}")
            if ":" not in (self.task_definition or ""):
                raise field_types.Misfit(("task_definition",), "a pinned revision, such as burst-task:12")
        ecs_keys = (*ecs, "container", "capacity", "assign_public_ip", "reaper", "price")
        set_keys = [name for name in ecs_keys if getattr(self, name) is not None]
        if self.kind == "local" and set_keys:
            raise field_types.Misfit((set_keys[0],), f"nothing: kind local takes no {', '.join(set_keys)}")
        return self

    @property
    def least_tasks(self) -> int:
        """The fewest tasks that still make a burst."""
        return self.tasks if self.min_tasks is None else self.min_tasks

    @property
    def most_replacements(self) -> int:
        """How many tasks that fail to start are replaced before GO: unless said, a fiftieth, and at least one."""
        return max(1, self.tasks // 50) if self.replacements is None else self.replacements


class OneShotSection(sections.Section):
    """A command that runs to its end before or after the burst, in a task of its own."""

    name: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,19}$")]
    task_definition: field_types.Resource | None = None
    container: field_types.Name | None = None
    command: Annotated[list[str], pydantic.Field(min_length=1)]
    timeout: field_types.PositiveDuration
    exit_code: Annotated[int, pydantic.Field(ge=0, le=255)] = 0


class ServiceSection(sections.Section):
    """An ECS service of the system under load: how many tasks the burst needs of it, of which task definition, and with
    which variables. It is put back after the burst."""

    name: field_types.Name
    desired: Annotated[
        int | None, pydantic.Field(ge=0, le=10_000, description="Without it the service keeps its count.")
    ] = None
    task_definition: Annotated[
        field_types.Resource | None, pydantic.Field(description="A pinned revision; without it the one that it has.")
    ] = None
    environment: Annotated[
        dict[str, str] | None,
        pydantic.Field(
            min_length=1,
            description="Variables of a new revision that is registered for the run; {scope} is the run's scope.",
        ),
    ] = None
    container: Annotated[
        field_types.Name | None, pydantic.Field(description="The container that gets them; the only essential one.")
    ] = None

    @pydantic.field_validator("environment")
    @classmethod
    def _plain_environment(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for name in value or ():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"expected names of letters, digits and _, not {name!r}")
            if field_types.SECRET_NAME.search(name):
                raise field_types.Misfit((name,), "no secret: who may describe a revision reads its variables")
        return value

    @pydantic.model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.desired is None and not self.rolls:
            raise field_types.Misfit(("desired",), "desired, task_definition or environment")
        if self.container is not None and self.environment is None:
            raise field_types.Misfit(("container",), "nothing: it says where environment goes, and there is none")
        if self.task_definition is not None and ":" not in self.task_definition:
            raise field_types.Misfit(("task_definition",), "a pinned revision, such as ingest-writer:8")
        return self

    @property
    def rolls(self) -> bool:
        """Whether the service gets another task definition for the burst."""
        return self.task_definition is not None or self.environment is not None

    def variables(self, scope: str) -> dict[str, str]:
        """The variables for a run of this scope."""
        return {name: value.replace("{scope}", scope) for name, value in (self.environment or {}).items()}


class LayersSection(pydantic.BaseModel):
    """Layers of the hard stop that must be armed before launch."""

    model_config = question_sections.STRICT

    require: list[Literal["guard", "sidecar", "lease", "schedule", "sweeper", "controller"]] = ["guard", "lease"]
    lease_ttl: field_types.PositiveDuration = 30.0


class BudgetSection(sections.Section):
    """How long the burst may and must run: in seconds here, durations with units in the plan."""

    max: field_types.PositiveDuration
    operator_cap: field_types.PositiveDuration | None = None
    min_window: field_types.PositiveDuration
    window: field_types.PositiveDuration | None = None
    start_timeout: Annotated[
        field_types.PositiveDuration,
        pydantic.Field(description="Without it, a minute, and on ECS the seconds that launching the tasks takes."),
    ] = launch_rates.TASK_START_SECONDS
    stop_grace: Annotated[field_types.PositiveDuration, pydantic.Field(le=600)] = 30.0
    cost_cap_usd: Annotated[float, pydantic.Field(gt=0)] | None = None

    @pydantic.model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.cap_seconds > self.max:
            raise field_types.Misfit(("operator_cap",), f"at most max, which is {instants.duration_text(self.max)}")
        if self.window_seconds < self.min_window:
            raise field_types.Misfit(
                ("window",), f"at least min_window, which is {instants.duration_text(self.min_window)}"
            )
        if self.window_seconds >= self.cap_seconds:
            key = "min_window" if self.window is None else "window"
            cap = instants.duration_text(self.cap_seconds)
            raise field_types.Misfit(
                (key,), f"a window that ends before the cap ({cap}) does; raise the cap or shorten it"
            )
        return self

    @property
    def cap_seconds(self) -> float:
        """The seconds that this attempt may take; the deadline ends them."""
        return self.max if self.operator_cap is None else self.operator_cap

    @property
    def window_seconds(self) -> float:
        """The length of the window, declared before the data are seen; without `window`, the shortest that can pass."""
        return self.min_window if self.window is None else self.window


class ColumnsSection(sections.Section):
    """The receipts table's columns."""

    decision: str = "decision"
    at: str = "created_at_utc"
    scope: str = "platform_run_id"
    event: str = "event_id"


class CountingTaskSection(sections.Section):
    """The task that counts inside the VPC; without a definition, the environment's own `burst-ENVIRONMENT-counter`."""

    task_definition: field_types.Resource | None = None
    container: field_types.Name = "counter"
    start_timeout: field_types.PositiveDuration = 180.0


class ReceiptsSection(sections.Section):
    """Where receipts are counted, and how long a count may take.

    With `via: task` a task counts, whose definition holds the DSN as a secret.
    """

    dsn: field_types.SecretReference | None = None
    via: Literal["direct", "task"] = "direct"
    task: CountingTaskSection | None = None
    table: str = "receipts"
    columns: ColumnsSection = ColumnsSection()
    time_unit: Annotated[
        Literal["s", "ms", "us", "ns"] | None,
        pydantic.Field(description="Of a time column that holds numbers: their unit since 1970, UTC."),
    ] = None
    decisions: Annotated[
        dict[Literal["ADMIT", "DUPLICATE", "QUARANTINE"], Annotated[list[str], pydantic.Field(min_length=1)]] | None,
        pydantic.Field(description="The words of the table for each decision; one that is not named is its own word."),
    ] = None
    bucket: field_types.PositiveDuration = 60.0
    settle: field_types.PositiveDuration = 5.0
    count_timeout: field_types.PositiveDuration = 60.0
    max_skew: field_types.PositiveDuration = 2.0
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
    sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    max_age: field_types.PositiveDuration | None = None
    admits: field_types.PositiveWhole | None = None
    seconds: Annotated[float, pydantic.Field(ge=1e-6)] | None = None
    source: str | None = None

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


AnswerLimit = Literal["latency_p95_ms", "latency_p99_ms", "error_ratio", "client_error_ratio", "server_error_ratio"]
"""The limits on answers that a plan may set; each is the name of its gate."""
COUNTED_LIMITS = ("multiplier", "admit_ratio")
STEP_LIMITS = (*COUNTED_LIMITS, *typing.get_args(AnswerLimit))
"""The limits that may name a step, as `LIMIT@STEP`."""


class ContiguitySection(sections.Section):
    """Receipts through the whole window: in every whole bucket, or with `max_gap` no longer gap than that."""

    max_gap: Annotated[
        field_types.PositiveDuration | None,
        pydantic.Field(description="The longest stretch of buckets without a receipt; at least one bucket."),
    ] = None


class ShareSection(sections.Section):
    """The limits of one decision's share of all receipts of the window."""

    at_most: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    at_least: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None

    @pydantic.model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise field_types.Misfit(("at_most",), "at_most, at_least, or both")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise field_types.Misfit(("at_least",), f"no more than at_most, which is {self.at_most:g}")
        return self


ModalGate = Literal[
    "latency_p95_ms",
    "latency_p99_ms",
    "error_ratio",
    "client_error_ratio",
    "server_error_ratio",
    "multiplier_lower",
]
"""The gates that may be informational: what a burst has to do at least is never one of them."""
INFORMATIONAL: Literal["informational"] = "informational"


class ModeSection(sections.Section):
    """Whether a gate opens its blocker (required) or is answered and shown alone (informational).

    It is informational until a promotion says that its figure is stable, and informational again by a demotion alone.
    """

    mode: Literal["informational", "required"]
    block: Annotated[
        int | None,
        pydantic.Field(ge=5, le=20, description="How many runs a promotion has, said before the first of them; 5."),
    ] = None
    promoted_by: Annotated[
        str | None,
        pydantic.Field(pattern=r"^[0-9a-f]{64}$", description="The digest of the promotion that made it required."),
    ] = None
    demoted_by: Annotated[
        str | None,
        pydantic.Field(pattern=r"^[0-9a-f]{64}$", description="The digest of the demotion, where it was promoted."),
    ] = None

    @pydantic.model_validator(mode="after")
    def _fitting(self) -> Self:
        informational = self.mode == INFORMATIONAL
        for name, fits in (("block", informational), ("demoted_by", informational), ("promoted_by", not informational)):
            if getattr(self, name) is not None and not fits:
                raise field_types.Misfit((name,), f"nothing with mode: {self.mode}")
        if not informational and self.promoted_by is None:
            raise field_types.Misfit(("promoted_by",), "a digest; without one leave the mode out: a gate is required")
        return self


class GatesSection(sections.Section):
    """The figures that a burst must reach. A reference run, whose rate becomes a baseline, has no multiplier.

    A limit of `STEP_LIMITS` with the name of a step of `load.rate`, such as `latency_p95_ms@steady`, is asked of that
    step alone.
    """

    model_config = pydantic.ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[float, pydantic.Field(ge=0)]]

    multiplier: Annotated[float, pydantic.Field(gt=0)] | None = None
    admit_ratio: Annotated[
        float | None, pydantic.Field(gt=0, le=1, description="Required of kind burst, and asked only where it is set.")
    ] = None
    offered_load: Annotated[float, pydantic.Field(gt=0, le=1)] | None = None
    latency_p95_ms: Annotated[float, pydantic.Field(gt=0)] | None = None
    latency_p99_ms: Annotated[float, pydantic.Field(gt=0)] | None = None
    error_ratio: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    client_error_ratio: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    server_error_ratio: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    min_admits: Annotated[
        field_types.PositiveWhole | None, pydantic.Field(description="ADMIT receipts that the window has to hold.")
    ] = None
    contiguity: Annotated[
        ContiguitySection | None, pydantic.Field(description="{}: no whole bucket of the window without a receipt.")
    ] = None
    decision_shares: Annotated[
        dict[Literal["ADMIT", "DUPLICATE", "QUARANTINE"], ShareSection] | None,
        pydantic.Field(min_length=1, description="Limits of a decision's share of all receipts of the window."),
    ] = None
    expect_duplicates: Annotated[
        field_types.PositiveWhole | None,
        pydantic.Field(description="DUPLICATE receipts that the window has to hold, where a drill injects them."),
    ] = None
    warn_at: dict[AnswerLimit, Annotated[float, pydantic.Field(ge=0)]] | None = None
    multiplier_lower: Annotated[
        float | None,
        pydantic.Field(gt=0, description="The least lower bound of the multiplier's 95 % interval; asked where set."),
    ] = None
    modes: Annotated[
        dict[ModalGate, ModeSection] | None,
        pydantic.Field(min_length=1, description="Gates that are informational, or promoted; others are required."),
    ] = None
    records: Annotated[
        list[Annotated[str, pydantic.Field(min_length=1)]] | None,
        pydantic.Field(min_length=1, description="The files, or s3:// objects, of the promotions and demotions named."),
    ] = None

    @pydantic.model_validator(mode="after")
    def _known_step_limits(self) -> Self:
        for key, limit in self.__pydantic_extra__.items():
            name, at, step = key.partition("@")
            if not at or name not in STEP_LIMITS or not re.fullmatch(rate_sections.STEP_NAME, step):
                raise field_types.UnknownKey((key,), plan_problems.list_keys(key, GatesSection, STEP_LIMITS))
            if name == "multiplier" and not limit:
                raise field_types.Misfit((key,), "greater than 0")
            if name.endswith("_ratio") and limit > 1:
                raise field_types.Misfit((key,), "less than or equal to 1")
        return self

    @property
    def step_limits(self) -> tuple[tuple[str, str, float], ...]:
        """Every limit of a step: its name, the step, and the limit."""
        parts = ((key.partition("@"), limit) for key, limit in sorted(self.__pydantic_extra__.items()))
        return tuple((name, step, limit) for (name, _, step), limit in parts)

    def find_multiplier(self, step: str | None = None) -> float | None:
        """The multiple of the baseline that is asked of a step, where none is of the whole burst."""
        own = (limit for name, of, limit in self.step_limits if (name, of) == ("multiplier", step))
        return next(own, self.multiplier)

    @property
    def asks_for_baseline(self) -> bool:
        """Whether a multiple of the baseline is asked, of the burst or of a step."""
        return self.multiplier is not None or any(name == "multiplier" for name, *_ in self.step_limits)

    @pydantic.model_validator(mode="after")
    def _modes_of_limits(self) -> Self:
        digests = [mode.promoted_by or mode.demoted_by for mode in (self.modes or {}).values()]
        for name in self.modes or {}:
            if getattr(self, name) is None:
                raise field_types.Misfit(("modes", name), "nothing: the plan sets no such limit")
        if any(digests) and self.records is None:
            raise field_types.Misfit(
                ("records",), "the files of the promotions and demotions that modes names by digest"
            )
        if self.records is not None and not any(digests):
            raise field_types.Misfit(("records",), "nothing: modes names no promotion and no demotion by digest")
        if self.multiplier_lower is not None and self.multiplier is None:
            raise field_types.Misfit(("multiplier_lower",), "nothing without multiplier")
        return self

    def find_block(self, gate: str) -> int | None:
        """How many runs a promotion of a gate has, where the plan says so before the first of them."""
        return next((mode.block for name, mode in (self.modes or {}).items() if name == gate), None)

    @property
    def promoted(self) -> dict[str, str]:
        """The gates that a promotion made required, each with its digest."""
        return {name: mode.promoted_by for name, mode in (self.modes or {}).items() if mode.promoted_by is not None}

    def is_informational(self, gate: str) -> bool:
        """Whether a gate, by its name, opens nothing."""
        return any(name == gate and mode.mode == INFORMATIONAL for name, mode in (self.modes or {}).items())

    @pydantic.model_validator(mode="after")
    def _warn_below_limits(self) -> Self:
        for name, warn_at in (self.warn_at or {}).items():
            limit = getattr(self, name)
            if limit is None or warn_at >= limit:
                below = "nothing: the plan sets no such limit" if limit is None else f"less than the limit, {limit:g}"
                raise field_types.Misfit(("warn_at", name), below)
        return self

    @property
    def share_limits(self) -> tuple[tuple[str, str, float], ...]:
        """Every limit of a share: the decision, `at_most` or `at_least`, and the share."""
        return tuple(
            (decision, limit, share)
            for decision, section in sorted((self.decision_shares or {}).items())
            for limit, share in (("at_most", section.at_most), ("at_least", section.at_least))
            if share is not None
        )

    @property
    def asks_for_new_admits(self) -> bool:
        """Whether it takes events that the ingest did not have before."""
        return any(limit is not None for limit in (self.multiplier, self.admit_ratio, self.min_admits))

    @property
    def least_offered(self) -> float:
        """The share of what is due that the generator has to send in time."""
        return LEAST_OFFERED if self.offered_load is None else self.offered_load


class FactSection(QuestionSection):
    """One question behind a blocker, and the answer that clears it."""

    blocker: str
    name: field_types.Name

    @pydantic.model_validator(mode="after")
    def _one_question(self) -> Self:
        self.require_one_question()
        return self


class StopSignSection(QuestionSection):
    """A CloudWatch alarm, or a fact, that stops the run: the alarm in state ALARM, the fact once its answer holds."""

    alarm: Annotated[
        field_types.AlarmArn | None,
        pydantic.Field(description="The ARN of a CloudWatch alarm; the run stops while it is in state ALARM."),
    ] = None
    name: Annotated[
        field_types.Name | None,
        pydantic.Field(description="The name of a fact; the run stops once equals, at_most or at_least holds."),
    ] = None

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Self:
        fields = ("name", "sql", "document", "path", "equals", "at_most", "at_least")
        if self.alarm is not None:
            surplus = [field for field in fields if getattr(self, field) is not None]
            if surplus:
                raise field_types.Misfit(("alarm",), f"an alarm without {surplus[0]}: an entry is an alarm or a fact")
            return self
        if self.name is None:
            raise field_types.Misfit(("name",), "alarm, or name with a question: sql, or document with path")
        self.require_one_question()
        return self

    @property
    def sign(self) -> str:
        """The alarm's ARN, or the fact's name."""
        return str(self.alarm or self.name)


class ChangeSection(sections.Section):
    """One term that a rerun changes on purpose, from the prior's value to its own, and why.

    `from` or `to` is left out where the term is not required there.
    """

    key: Annotated[str, pydantic.Field(pattern=r"^(stop_when\.arn:.*)?\S+$")]
    from_: Annotated[field_types.TermValue, pydantic.Field(alias="from")] = None
    to: field_types.TermValue = None
    why: Annotated[str, pydantic.Field(min_length=1)]


class RerunSection(pydantic.BaseModel):
    """A bounded rerun: these blockers may change; all others are carried from the prior snapshot."""

    model_config = question_sections.STRICT

    only: Annotated[list[str], pydantic.Field(min_length=1)]
    prior: str | None = None
    prior_sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    changes: Annotated[
        list[ChangeSection] | None,
        pydantic.Field(description="The terms that differ from the prior's on purpose; any other opens B4."),
    ] = None
    non_goals: Annotated[
        list[str],
        pydantic.Field(description="Sentences; a key of the plan, such as target.tasks, has to stay as in the prior."),
    ] = []

    @pydantic.field_validator("changes")
    @classmethod
    def _distinct_changes(cls, value: list[ChangeSection] | None) -> list[ChangeSection] | None:
        earlier = set[str]()
        for index, change in enumerate(value or ()):
            if change.key in earlier:
                raise field_types.Misfit((index, "key"), f"each term once, but {change.key} stands twice")
            if change.from_ == change.to:
                raise field_types.Misfit((index, "to"), "another value than from")
            earlier.add(change.key)
        return value

    @pydantic.field_validator("non_goals")
    @classmethod
    def _known_keys(cls, value: list[str]) -> list[str]:
        for index, words in enumerate(value):
            section, dot, _ = words.partition(".")
            if dot and names_key(section) and not re.search(r"\s", words) and not names_key(words):
                raise field_types.Misfit((index,), "a sentence, or a key of the plan: this one would be kept by nobody")
        return value

    @property
    def term_changes(self) -> tuple[ChangeSection, ...]:
        """The changes of terms that it names."""
        return tuple(self.changes or ())

    @property
    def guarded_keys(self) -> tuple[str, ...]:
        """The non-goals that are keys of a plan: their values have to be the prior's."""
        return tuple(words for words in self.non_goals if names_key(words))


class SignSection(sections.Section):
    """The key that signs the documents before they are published."""

    key: field_types.SigningKey


class ObjectLockSection(sections.Section):
    """Object Lock on every document, in buckets that have it."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"]
    retain: Annotated[
        field_types.Age,
        pydantic.Field(gt=0, description="How long, counted from the run's deadline, such as 365d."),
    ]


class EvidenceSection(pydantic.BaseModel):
    """Where the documents of a run go, and how S3 keeps them. A place may be a list: each gets every document."""

    model_config = question_sections.STRICT

    local: str = "runs"
    run_control: Annotated[
        field_types.Place | Annotated[list[field_types.Place], pydantic.Field(min_length=1)] | None,
        pydantic.Field(
            description="Documents go to PLACE/EXECUTION_ID. The first is the authority: its snapshot is the commit."
        ),
    ] = None
    run_scoped: Annotated[
        field_types.Place | Annotated[list[field_types.Place], pydantic.Field(min_length=1)] | None,
        pydantic.Field(
            description="Documents go to PLACE/SCOPE/GROUP, those of a bounded rerun to PLACE/SCOPE/GROUP/EXECUTION_ID."
        ),
    ] = None
    regions: Annotated[
        dict[str, Annotated[str, pydantic.Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d$")]],
        pydantic.Field(description="The region of a bucket, where it is not the one of the environment."),
    ] = {}
    kms_key: Annotated[
        field_types.Resource | None,
        pydantic.Field(description="The key documents are encrypted with (SSE-KMS): ARN, id or alias."),
    ] = None
    object_lock: ObjectLockSection | None = None
    bucket_owner: Annotated[
        str | None, pydantic.Field(pattern=r"^\d{12}$", description="The account every bucket has to belong to.")
    ] = None
    checksums: Annotated[
        Literal["when_supported", "when_required"],
        pydantic.Field(description="when_required for compatible stores that know no SHA-256 checksums."),
    ] = "when_supported"
    sign: SignSection | None = None

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        places = (*self.control_places, *self.scoped_places)
        twice = next((place for place in places if places.count(place) > 1), None)
        if twice is not None:
            raise field_types.Misfit(("run_control",), f"each place once; {twice} is named twice")
        buckets = {place.split("/")[2] for place in places}
        for bucket in self.regions:
            if bucket not in buckets:
                raise field_types.Misfit(
                    ("regions", bucket), f"a bucket of a place: {', '.join(sorted(buckets)) or 'there is none'}"
                )
        kept = [name for name in ("kms_key", "object_lock", "bucket_owner") if getattr(self, name) is not None]
        if kept and not places:
            raise field_types.Misfit((kept[0],), "nothing: it says how S3 keeps documents, and no place on S3 is named")
        return self

    @property
    def control_places(self) -> tuple[str, ...]:
        """Every run control place, the authority first."""
        return _list_places(self.run_control)

    @property
    def scoped_places(self) -> tuple[str, ...]:
        """Every run-scoped place."""
        return _list_places(self.run_scoped)

    @property
    def authority(self) -> str | None:
        """The run control place whose snapshot is the commit, and where the lease lies."""
        return self.control_places[0] if self.control_places else None


def _list_places(places: str | list[str] | None) -> tuple[str, ...]:
    return (places,) if isinstance(places, str) else tuple(places or ())


class Plan(pydantic.BaseModel):
    """A whole plan, valid by construction. `execution_id` is set once the plan is resolved for a run."""

    model_config = question_sections.STRICT

    schema_: Annotated[Literal["burst.plan/v1"], pydantic.Field(alias="schema")]
    kind: Annotated[
        catalogues.Kind,
        pydantic.Field(strict=False, description="The kind of the phase: it says which blockers there are."),
    ] = catalogues.Kind.BURST
    phase: Annotated[str, pydantic.Field(pattern=r"^[A-Z][A-Z0-9]{0,15}(\.[A-Z0-9]{1,16}){0,3}$")]
    scope: field_types.Name
    environment: Literal["local", "dev", "ci", "staging", "pilot", "prod"]
    execution_id: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,99}$")] | None = None
    target: TargetSection
    load: load_sections.LoadSection
    layers: LayersSection = LayersSection()
    budget: BudgetSection
    receipts: ReceiptsSection
    baseline: BaselineSection | None = None
    gates: GatesSection
    facts: list[FactSection] = []
    stop_when: Annotated[list[StopSignSection], pydantic.Field(max_length=MOST_STOP_SIGNS)] | None = None
    requires: Annotated[
        entry_sections.RequiresSection | None,
        pydantic.Field(description="What has to be true before the run may begin; asked before anything is launched."),
    ] = None
    observe: observe_sections.ObserveSection | None = None
    rerun: RerunSection | None = None
    services: list[ServiceSection] = []
    before: list[OneShotSection] = []
    after: list[OneShotSection] = []
    reproduces: Annotated[
        reproduction_sections.ReproducesSection | None,
        pydantic.Field(description="The run that this one repeats; required of kind reproducibility."),
    ] = None
    during: Annotated[
        list[drill_sections.DrillSection] | None,
        pydantic.Field(max_length=MOST_DRILLS, description="Faults that the run causes in its window, in order."),
    ] = None
    evidence: EvidenceSection = EvidenceSection()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _derive_start_timeout(cls, value: Any) -> Any:
        """Adds the default of `budget.start_timeout`, which follows from the number of tasks on ECS."""
        match value:
            case {"target": {"kind": "ecs", "tasks": int(count)}, "budget": dict(budget)} if count > 0:
                usual = instants.duration_text(launch_rates.usual_start_seconds(count))
                return value | {"budget": {"start_timeout": usual} | budget}
        return value

    @pydantic.model_validator(mode="before")
    @classmethod
    def _derive_window(cls, value: Any) -> Any:
        """Adds the default of `budget.window`, which the counted steps of `load.rate` are."""
        budget = rate_sections.derive_window(value) if isinstance(value, dict) else None
        return value if budget is None else value | {"budget": budget}

    @pydantic.field_validator("execution_id")
    @classmethod
    def _own_folder(cls, value: str | None) -> str | None:
        if value in naming.FOLDERS_OF_ALL_RUNS:
            raise ValueError(f"expected another id: {value} is a folder that burst keeps beside those of the runs")
        return value

    @pydantic.field_validator("facts")
    @classmethod
    def _distinct_facts(cls, value: list[FactSection]) -> list[FactSection]:
        earlier = set()
        for index, fact in enumerate(value):
            if (fact.blocker, fact.name) in earlier:
                why = f"distinct names, but {fact.name!r} of {fact.blocker} stands twice"
                raise field_types.Misfit((index, "name"), why)
            earlier.add((fact.blocker, fact.name))
        return value

    @pydantic.field_validator("stop_when")
    @classmethod
    def _distinct_signs(cls, value: list[StopSignSection] | None) -> list[StopSignSection] | None:
        earlier = set[str]()
        for index, entry in enumerate(value or []):
            if entry.sign in earlier:
                key = "name" if entry.alarm is None else "alarm"
                raise field_types.Misfit((index, key), f"distinct alarms and names, but {entry.sign} stands twice")
            earlier.add(entry.sign)
        return value

    @pydantic.model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.gates.asks_for_baseline and self.baseline is None:
            raise field_types.Misfit(("baseline",), "this key is required with gates.multiplier")
        if self.load.rate == "auto" and (self.gates.multiplier is None or self.baseline is None):
            raise field_types.Misfit(("load", "rate"), "events per minute; auto needs gates.multiplier and a baseline")
        self._refuse_unfit_rates()
        self._refuse_unfit_shard_values()
        self._refuse_unfit_services()
        self._refuse_unfit_one_shots()
        drill_sections.refuse_unfit(
            list(self.drills),
            local=self.target.kind == "local",
            window_seconds=self.load_seconds,
            shots={shot.name for shot in (*self.before, *self.after)},
            series={series.name: self.observe.every for series in self.observed_series if self.observe},
        )
        self._refuse_unfit_requirements()
        shortest = (self.budget.cap_seconds + self.budget.stop_grace) / MOST_BUCKETS
        if self.receipts.bucket < shortest:
            why = f"{MOST_BUCKETS} buckets are the most a window is counted in"
            raise field_types.Misfit(("receipts", "bucket"), f"at least {instants.duration_text(shortest)}: {why}")
        self._refuse_unfit_kind()
        for index, fact in enumerate(self.facts):
            if fact.blocker not in self.blockers:
                raise field_types.Misfit(
                    ("facts", index, "blocker"), f"a blocker of {self.phase}: {', '.join(self.blockers)}"
                )
            asked_first = self.kind is catalogues.Kind.BURST and fact.blocker in map(self.blocker, self.catalogue.asked)
            if fact.name in self.observed_gates or (gate_names.is_own(fact.name) and not asked_first):
                # released plans of a burst gave those any name, and had no series
                raise field_types.Misfit(
                    ("facts", index, "name"), f"another name: {fact.name} is a gate of burst's own"
                )
        self._refuse_unfit_series()
        for index, named in enumerate(self.rerun.only if self.rerun else []):
            if named not in self.blockers:
                raise field_types.Misfit(
                    ("rerun", "only", index), f"a blocker of {self.phase}: {', '.join(self.blockers)}"
                )
        return self

    def _refuse_unfit_rates(self) -> None:
        """Raises where the steps of the rate do not fit the budget, the gates, or the buckets of the counts."""
        budget, load = self.budget, self.load
        names = rate_sections.name_steps(load.steps)
        for index, (step, name) in enumerate(zip(load.steps, names, strict=True)):
            has_multiple = self.gates.find_multiplier(name) is not None and self.baseline is not None
            if "auto" in (step.rate, step.to) and not has_multiple:
                why = f"auto needs gates.multiplier, or multiplier@{name}, and a baseline"
                raise field_types.Misfit(("load", "rate", index, "rate"), f"events per minute; {why}")
        counted = rate_sections.sum_seconds(load.steps, counted=True)
        if load.steps and counted != budget.window_seconds:
            seen = instants.duration_text(counted)
            raise field_types.Misfit(
                ("budget", "window"), f"{seen}, which the counted steps of load.rate last; or none"
            )
        if self.load_seconds >= budget.cap_seconds:
            cap, ends = instants.duration_text(budget.cap_seconds), instants.duration_text(self.load_seconds)
            raise field_types.Misfit(
                ("load", "rate" if load.steps else "warmup"),
                f"a load that ends before the cap ({cap}) does, not after {ends}",
            )
        self._refuse_unfit_step_limits()

    def _refuse_unfit_shard_values(self) -> None:
        """Raises where a list has not exactly one value for each task, or all are too long for ECS."""
        for name, values in (self.load.per_shard or {}).items():
            if isinstance(values, list) and len(values) != self.target.tasks:
                raise field_types.Misfit(
                    ("load", "per_shard", name), f"{self.target.tasks} values, one for each of target.tasks"
                )
            if name in self.load.environment:
                raise field_types.Misfit(("load", "per_shard", name), "another name: load.environment has it for all")
        length = len(shard_values.write_values(self.load.per_shard or {}))
        if self.target.kind == "ecs" and length > MOST_SHARD_VALUES:
            raise field_types.Misfit(
                ("load", "per_shard"),
                f"at most {MOST_SHARD_VALUES} characters on ECS, which gives each task all of them; a text with "
                f"{shard_values.INDEX} is short",
            )

    def _refuse_unfit_step_limits(self) -> None:
        """Raises where a limit names a step that is not counted, or whose receipts no bucket could tell apart."""
        counted = rate_sections.name_counted(self.load.rate, self.load.named_profile, self.load.warmup)
        for name, step, _ in self.gates.step_limits:
            key = ("gates", f"{name}@{step}")
            if step not in counted:
                raise field_types.Misfit(key, f"a counted step of load.rate: {', '.join(counted) or 'it has none'}")
            edge = rate_sections.find_split_bucket(self.rate_plan, step, self.receipts.bucket)
            if edge and name in COUNTED_LIMITS:
                bucket = instants.duration_text(self.receipts.bucket)
                raise field_types.Misfit(key, f"a step of whole buckets (receipts.bucket, {bucket}): {edge}")

    @property
    def rate_plan(self) -> rate_plans.RatePlan | None:
        """The steps of the load; None where it has one rate from GO to its end, or a rate is not known yet."""
        load = self.load
        return rate_sections.build_plan(
            load.rate, profile=load.named_profile, warmup_seconds=load.warmup, window_seconds=self.budget.window_seconds
        )

    @property
    def lead_seconds(self) -> float:
        """From GO to the beginning of the counted window: what is sent before is not counted."""
        return rate_sections.find_lead_seconds(self.load.rate, self.load.warmup)

    def cut_counted(self, attempt: windows.Window) -> windows.Window | None:
        """The part of an attempt that is counted: all of it, or where the load has steps or a warm-up, the window that
        was declared, as far as the attempt goes; None where it ended before."""
        if self.rate_plan is None and not self.lead_seconds:
            return attempt
        start = instants.later(attempt.start, self.lead_seconds)
        end = min(attempt.end, instants.later(start, self.budget.window_seconds))
        return windows.Window(start, end) if start < end else None

    @property
    def load_seconds(self) -> float:
        """From GO to the declared end of the load, counted or not."""
        if not self.load.steps:
            return self.lead_seconds + self.budget.window_seconds
        return (self.load.warmup or 0.0) + rate_sections.sum_seconds(self.load.steps)

    @property
    def highest_rate(self) -> float | None:
        """The highest events a minute; None where none is declared, or it is not known yet."""
        steps = self.rate_plan
        if steps is not None:
            return steps.highest * 60
        return float(self.load.rate) if isinstance(self.load.rate, float) else None

    def count_planned(self, since_seconds: float, until_seconds: float) -> float | None:
        """How many events the rates add up to between two instants after GO; None where no rate is declared."""
        steps = self.rate_plan
        if steps is not None:
            return float(steps.sum_until(until_seconds) - steps.sum_until(since_seconds))
        if not isinstance(self.load.rate, float):
            return None
        return self.load.rate / 60 * max(0.0, until_seconds - since_seconds)

    @property
    def planned_events(self) -> float | None:
        """How many events the rates add up to from GO to the end of the load; None where no rate is declared."""
        return self.count_planned(0.0, self.load_seconds)

    @property
    def mean_rate(self) -> float | None:
        """The mean events a minute of the counted window; None where no rate is declared."""
        window = self.budget.window_seconds
        events = self.count_planned(self.lead_seconds, self.lead_seconds + window)
        if events is None or self.rate_plan is None:
            return float(self.load.rate) if isinstance(self.load.rate, float) else None
        return events / window * 60

    def _refuse_unfit_kind(self) -> None:
        """Raises where no run is of the kind, it lacks a key, or no bucket could show what is asked."""
        if self.kind is catalogues.Kind.ROLLUP:
            kinds = ", ".join(kind for kind in catalogues.Kind if kind is not catalogues.Kind.ROLLUP)
            raise field_types.Misfit(("kind",), f"the kind of a run: {kinds}; a roll-up is a step of a campaign")
        if self.kind is catalogues.Kind.BURST and self.gates.admit_ratio is None:
            raise field_types.Misfit(("gates", "admit_ratio"), "this key is required of kind burst")
        if self.kind is catalogues.Kind.REPRODUCIBILITY and self.reproduces is None:
            raise field_types.Misfit(("reproduces",), "this key is required of kind reproducibility")
        contiguity, bucket = self.gates.contiguity, self.receipts.bucket
        if contiguity is not None and contiguity.max_gap is not None and contiguity.max_gap < bucket:
            least = instants.duration_text(bucket)
            raise field_types.Misfit(
                ("gates", "contiguity", "max_gap"),
                f"at least {least}, which receipts.bucket is: a shorter gap is not seen",
            )
        if contiguity is not None:
            self._refuse_gaps_that_no_window_has(contiguity.max_gap)

    def _refuse_gaps_that_no_window_has(self, max_gap: float | None) -> None:
        """Raises where the shortest window that passes could not have a gap that `gates.contiguity` forbids."""
        shortest, bucket = self.budget.min_window, self.receipts.bucket
        window = f"budget.min_window, which is {instants.duration_text(shortest)}"
        if max_gap is not None and max_gap >= shortest:
            raise field_types.Misfit(("gates", "contiguity", "max_gap"), f"less than {window}")
        if bucket * 2 > shortest:
            raise field_types.Misfit(("receipts", "bucket"), f"at most half of {window}: contiguity compares buckets")

    def _refuse_unfit_series(self) -> None:
        """Raises where a series of `observe` does not fit the budget, or names a blocker of another phase."""
        if self.observe is None:
            return
        try:
            self.observe.require_fitting(
                shortest_seconds=self.budget.min_window, longest_seconds=self.budget.cap_seconds
            )
        except field_types.Misfit as exc:
            raise field_types.Misfit(("observe", *exc.key), str(exc)) from None
        for index, series in enumerate(self.observe.series):
            if series.service is not None and self.target.kind == "local":
                why = "nothing: it is an ECS service, and target.kind is local"
                raise field_types.Misfit(("observe", "series", index, "service"), why)
            for position, rule in enumerate(series.rules):
                if rule.rule.period.needs_fault and not self.drills:
                    key = ("observe", "series", index, "rules", position, "over")
                    raise field_types.Misfit(key, f"whole or last 30m: {rule.over} needs a drill, and during has none")
                if rule.blocker not in self.blockers:
                    key = ("observe", "series", index, "rules", position, "blocker")
                    raise field_types.Misfit(key, f"a blocker of {self.phase}: {', '.join(self.blockers)}")

    def _refuse_unfit_services(self) -> None:
        """Raises where services do not fit the target, or two of them have one name."""
        if self.services and self.target.kind == "local":
            raise field_types.Misfit(("services",), "nothing: only ECS services are scaled, and target.kind is local")
        for index, service in enumerate(self.services):
            if service.name in {earlier.name for earlier in self.services[:index]}:
                raise field_types.Misfit(
                    ("services", index, "name"), f"a service once, but {service.name} stands twice"
                )

    def _refuse_unfit_one_shots(self) -> None:
        """Raises where a one-shot does not fit the target, or two of them have one name."""
        shots = [("before", *entry) for entry in enumerate(self.before)]
        shots += [("after", *entry) for entry in enumerate(self.after)]
        earlier = set[str]()
        for section, index, shot in shots:
            if shot.name in earlier:
                raise field_types.Misfit((section, index, "name"), f"distinct names, but {shot.name!r} stands twice")
            earlier.add(shot.name)
            if self.target.kind == "ecs" and ":" not in (shot.task_definition or ""):
                raise field_types.Misfit((section, index, "task_definition"), "a pinned revision, such as reporter:3")
            for key in ("task_definition", "container"):
                if self.target.kind == "local" and getattr(shot, key) is not None:
                    raise field_types.Misfit((section, index, key), f"nothing: kind local takes no {key}")

    def _refuse_unfit_requirements(self) -> None:
        """Raises where an entry of `requires` does not fit the target or the scope."""
        if self.requires is None:
            return
        if self.requires.services and self.target.kind == "local":
            raise field_types.Misfit(("requires", "services"), "nothing: they are ECS services, target.kind is local")
        for index, entry in enumerate(self.requires.phases):
            if self.scope == "fresh" and entry.scope is None:
                why = "the scope that the phase ran in, because scope: fresh has run nothing yet"
                raise field_types.Misfit(("requires", "phases", index, "scope"), f"{why}; any, beside sha256")

    @property
    def entry_questions(self) -> dict[str, entry_sections.EntryQuestion | None]:
        """The entries of `requires`, each by the name of its entry gate."""
        return self.requires.questions if self.requires else {}

    @property
    def stop_signs(self) -> tuple[StopSignSection, ...]:
        """The alarms and facts of `stop_when`."""
        return tuple(self.stop_when or ())

    @property
    def drills(self) -> tuple[drill_sections.DrillSection, ...]:
        """The faults of `during`, in order."""
        return tuple(self.during or ())

    @property
    def observed_series(self) -> tuple[observe_sections.SeriesSection, ...]:
        """The series of `observe`."""
        return tuple(self.observe.series) if self.observe else ()

    @property
    def observed_gates(self) -> frozenset[str]:
        """The names of the gates of observed series."""
        return frozenset(
            f"observed:{series.name}.{rule.name}" for series in self.observed_series for rule in series.rules
        )

    @property
    def observed_blockers(self) -> frozenset[str]:
        """The blockers that the rules of observed series open."""
        return frozenset(rule.blocker for series in self.observed_series for rule in series.rules)

    @property
    def slug(self) -> str:
        """Prefix of document names: `m10_f`."""
        return self.phase.lower().replace(".", "_")

    @property
    def group(self) -> str:
        """The phase's group, as S3 places and execution ids spell it: `m10`."""
        return self.phase.lower().split(".")[0]

    @property
    def catalogue(self) -> catalogues.Catalogue:
        """The blockers of the plan's kind."""
        return catalogues.CATALOGUES[self.kind]

    def blocker(self, behind: catalogues.Role | str) -> str:
        """The phase's id of the blocker of a role, or of a short id: `B1` is `M10F-B1`."""
        return f"{self.phase.replace('.', '')}-{self.catalogue.find_short(behind)}"

    @property
    def asked_roles(self) -> frozenset[catalogues.Role]:
        """The roles about which the plan asks by a key of its own, beside its facts."""
        asked = {
            catalogues.Role.CONTIGUITY: self.gates.contiguity,
            catalogues.Role.OUTCOME: self.gates.expect_duplicates,
            catalogues.Role.BASELINE: self.gates.asks_for_baseline or None,
            catalogues.Role.RESTART: self.during,
            catalogues.Role.RTO: self.during,
        }
        by_reference = {
            *(catalogues.Role.BASELINE, catalogues.Role.MATCH, catalogues.Role.KEYSET, catalogues.Role.SHARES)
        }
        roles = frozenset(role for role, section in asked.items() if section is not None)
        return roles | (by_reference if self.reproduces is not None else frozenset())

    @property
    def named_blockers(self) -> frozenset[str]:
        """The blockers that a fact, or a rule of an observed series, names."""
        return self.observed_blockers.union(fact.blocker for fact in self.facts)

    @property
    def silent_blockers(self) -> tuple[str, ...]:
        """The blockers that stay open because the plan asks nothing about them, by the phase's ids."""
        answered = self.catalogue.list_shorts(*self.asked_roles)
        silent = (self.blocker(short) for short in self.catalogue.asked if short not in answered)
        return tuple(blocker for blocker in silent if blocker not in self.named_blockers)

    @property
    def fact_shorts(self) -> tuple[str, ...]:
        """The short ids of the blockers that take facts: those that rest on them, and those that a fact, or a rule of
        an observed series, names."""
        shorts, named = self.catalogue.shorts, self.named_blockers
        return tuple(short for short in shorts if short in self.catalogue.asked or self.blocker(short) in named)

    @property
    def blockers(self) -> tuple[str, ...]:
        """Every blocker id of the phase, in order."""
        return tuple(self.blocker(short) for short in self.catalogue.shorts)

    def reaper(self, account: str) -> ReaperSection:
        """The reaper that the plan names, or the environment's, under the name that burst's infrastructure gives it."""
        return self.target.reaper or ReaperSection(
            task_definition=f"burst-{self.environment}-reaper",
            role_arn=f"arn:aws:iam::{account}:role/burst-{self.environment}-scheduler",
            group=f"burst-{self.environment}",
        )

    @property
    def counter(self) -> str:
        """The counting task's definition: the plan's, or the environment's."""
        return self.receipts.counting_task.task_definition or f"burst-{self.environment}-counter"

    def folders(self, execution_id: str | None) -> tuple[str, ...]:
        """The folders on S3 for the documents of one run of this plan, the authority first.

        A bounded rerun has a folder of its own under its scope, because the scope holds the first attempt's documents.
        """
        rerun = f"/{execution_id}" if self.rerun is not None else ""
        return (
            *(f"{place}/{execution_id}" for place in self.evidence.control_places),
            *(f"{place}/{self.scope}/{self.group}{rerun}" for place in self.evidence.scoped_places),
        )

    def document(self) -> dict[str, Any]:
        """The plan as `plan.json` holds it: JSON values only, no secret (plans hold references).

        The kind is left out where it is burst, as in every plan of burst 0.1.0.
        """
        value = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {key: part for key, part in value.items() if (key, part) != ("kind", catalogues.Kind.BURST)}


def names_key(words: str) -> bool:
    """Whether words are a dotted key of a plan, such as `target.tasks`."""
    section: type[pydantic.BaseModel] | None = Plan
    steps = words.split(".")
    for index, step in enumerate(steps):
        fields = section.model_fields.items() if section else ()
        found = next((field for name, field in fields if (field.alias or name) == step), None)
        if found is None:
            return False
        if _holds_mapping(found.annotation):
            return all(steps[index + 1 :]) and len(steps) <= index + 2
        section = _find_section(found.annotation)
    return True


def _holds_mapping(annotation: Any) -> bool:
    """Whether a key holds a mapping whose keys the operator chooses, such as `load.environment`."""
    origins = (typing.get_origin(annotation), *map(typing.get_origin, typing.get_args(annotation)))
    return dict in origins


def _find_section(annotation: Any) -> type[pydantic.BaseModel] | None:
    """The section that a key may hold; None where it holds a value, or a list."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    if typing.get_origin(annotation) is list:
        return None
    return next(filter(None, map(_find_section, typing.get_args(annotation))), None)


def _override(source: yaml_lines.Source, assignment: str) -> None:
    key, separator, text = assignment.partition("=")
    path = tuple(key.split("."))
    if not separator or not all(path):
        raise errors.UsageError(f"--set {key}: allowed: KEY=VALUE with a dotted key, such as budget.operator_cap=16m")
    target = source.value
    for step in path[:-1]:
        target = target.setdefault(step, {})
        if not isinstance(target, dict):
            raise errors.UsageError(f"--set {key}: {step} is not a mapping in {source.name}")
    if path[-1] in field_types.SECRET_KEYS and not field_types.SECRET_REFERENCE.fullmatch(text):
        raise errors.UsageError(f"--set {key}: saw a value (hidden); allowed: {field_types.REFERENCE_ALLOWED}")
    try:
        target[path[-1]] = yaml_lines.parse_scalar(text, f"--set {key}")
    except (yaml.YAMLError, ValueError):
        raise errors.UsageError(f"--set {key}: the value is not YAML; quote it") from None


def parse(text: str, *, source: str, overrides: tuple[str, ...] = ()) -> Plan:
    """A plan from YAML or JSON text; messages call it `source`, and `overrides` are the values of `--set`.

    Raises `yaml_lines.PlanError` with every problem.
    """
    composed = yaml_lines.Source(text, source)
    if composed.problems:
        raise yaml_lines.PlanError(source, tuple(composed.problems))
    for assignment in overrides:
        _override(composed, assignment)
    problems = list(plan_problems.find_unfilled(composed))
    try:
        plan = Plan.model_validate(composed.value)
    except pydantic.ValidationError as exc:
        keys = {problem.key for problem in problems}
        refusals = plan_problems.explain_refusal(exc, composed, Plan)
        problems.extend(problem for problem in refusals if problem.key not in keys)
    if problems:
        raise yaml_lines.PlanError(source, tuple(sorted(problems, key=lambda problem: problem.line)))
    return plan
