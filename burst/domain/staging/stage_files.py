"""Stage files: the order for staged changes of a database, parsed as strictly as a plan, each mistake with its line."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self, TypeAlias

import pydantic

from burst.domain.basics import magnitudes
from burst.domain.documents import models
from burst.domain.plan import field_types, plan_problems, sections, written_files, yaml_lines
from burst.domain.staging import allowed_settings, change_grammar, changes, setting_amounts

SCHEMA: Literal["burst.stages/v1"] = "burst.stages/v1"
GUARDED = frozenset({"staging", "pilot", "prod"})
"""Environments in which a person has to be named, and to say yes."""
OVERHEAD_MAX = 0.05
"""The red line of a change that makes the server measure more, where the file gives none."""
_PERCENT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,4})?)\s?%")
_BYTES = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s?(B|kB|MB|GB|TB)")


def parse_percent(value: object) -> float:
    """The fraction of a text such as `5%`. Raises ValueError."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a percentage in quotes or without, such as 5%")
    return float(match[1]) / 100


def parse_amount(value: object) -> float:
    """The bytes of a text such as `16GB`, or a number as it is. Raises ValueError."""
    if magnitudes.is_number(value):
        return float(value)
    match = _BYTES.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a number, or a size such as 16GB")
    return float(match[1]) * setting_amounts.BYTES[match[2]]


def _read_table(value: str) -> str:
    change_grammar.parse_table(value)
    return value


Percent = Annotated[
    float,
    pydantic.BeforeValidator(parse_percent, json_schema_input_type=str),
    pydantic.PlainSerializer(lambda fraction: f"{fraction * 100:.10g}%", return_type=str),
]
Amount = Annotated[float, pydantic.BeforeValidator(parse_amount, json_schema_input_type=str | int | float)]
Figure = Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_.]{0,99}$")]
TableText = Annotated[str, pydantic.AfterValidator(_read_table)]
Better = Literal["lower", "higher"]
Argv = Annotated[list[Annotated[str, pydantic.Field(min_length=1)]], pydantic.Field(min_length=1, max_length=200)]


class ReceiptColumns(sections.Section):
    """The columns of the receipts table, where they are named otherwise."""

    decision: str = "decision"
    """The column that holds the decision of a receipt."""
    at: str = "created_at_utc"
    """The column that holds the instant of a receipt."""
    scope: str = "platform_run_id"
    """The column that holds the scope of a receipt."""


class CountCost(sections.Section):
    """The cost of counting one window of the file's table: `seconds` (the median), `least_seconds`, `pages` and
    `receipts`."""

    scope: str | None = None
    """The scope that is counted; without it every scope is."""
    start: Annotated[models.Instant, pydantic.Field(alias="from")]
    """Where the window that is counted begins."""
    end: Annotated[models.Instant, pydantic.Field(alias="to")]
    """Where it ends; the instant itself is not counted."""
    columns: ReceiptColumns = ReceiptColumns()
    """The columns of the table, where they are named otherwise."""
    repeats: Annotated[int, pydantic.Field(ge=1, le=1000)] = 15
    """How often the window is counted; the figures are the median and the least of the times."""

    @pydantic.model_validator(mode="after")
    def _require_order(self) -> Self:
        if self.end <= self.start:
            raise field_types.Misfit(("to",), "an instant after from")
        return self


class CheckSection(sections.Section):
    """The figures of a stage, measured before its changes and after them: one of four ways."""

    count: CountCost | None = None
    """The cost of counting one window of the file's table."""
    database: Literal[True] | None = None
    """`burst db check` of this database: its numbers by name, such as `reading.health.round_trip_seconds`."""
    plan: str | None = None
    """A burst plan: `achieved_multiplier`, `admit_ratio`, `duration_seconds` of its run."""
    command: Argv | None = None
    """A program that prints one JSON object of figures."""
    timeout: field_types.PositiveDuration = 3600.0
    """How long one measurement may take."""

    @pydantic.model_validator(mode="after")
    def _one(self) -> Self:
        if sum(way is not None for way in (self.count, self.database, self.plan, self.command)) != 1:
            raise ValueError("expected one of count, database, plan, command")
        return self

    @property
    def main_figure(self) -> str | None:
        """The figure that a default red line is drawn by; None where only the operator knows it."""
        return "least_seconds" if self.count is not None else "achieved_multiplier" if self.plan is not None else None

    @property
    def is_own(self) -> bool:
        """Whether it works in sessions of the role of the DSN."""
        return self.count is not None or self.database is not None

    @property
    def overhead_figures(self) -> frozenset[str]:
        """The figures that show what a change costs; none where only the operator knows them."""
        if self.count is not None:
            return frozenset({"seconds", "least_seconds"})
        return frozenset() if self.plan is None else frozenset({"achieved_multiplier", "duration_seconds"})

    def direction(self, figure: str) -> Better | None:
        """Which way a figure gets better, where burst knows it."""
        if self.count is not None:
            return "lower"
        return "higher" if self.plan is not None else None


class RedLine(sections.Section):
    """A limit of one figure after the changes; `not_worse_than` holds it against the same figure before them."""

    figure: Figure
    """The name of the figure."""
    at_most: field_types.Number | None = None
    """The highest figure after the changes that holds."""
    at_least: field_types.Number | None = None
    """The lowest figure after the changes that holds."""
    not_worse_than: Percent | None = None
    """By how much the figure may be worse than before the changes."""
    better: Better | None = None
    """Which way the figure gets better; needed beside `not_worse_than` where burst does not know it."""

    @pydantic.model_validator(mode="after")
    def _one(self) -> Self:
        if sum(limit is not None for limit in (self.at_most, self.at_least, self.not_worse_than)) != 1:
            raise ValueError("expected one of at_most, at_least, not_worse_than")
        return self


class PauseCondition(sections.Section):
    """A condition under which the operator is asked: a setting above an amount, or a figure worse than before. The
    amount of a size is in bytes, also where `pg_settings` names another unit; any other is in the unit named there."""

    setting: Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_.]{0,62}$")] | None = None
    """The name of a setting; its value is looked at as it is and as it would be."""
    above: Amount | None = None
    """The value above which the operator is asked: a size such as `16GB` or a number of bytes where the setting is a
    size, else a number in the setting's own unit."""
    regression: Percent | None = None
    """By how much a figure may be worse than before until the operator is asked."""

    @pydantic.model_validator(mode="after")
    def _one(self) -> Self:
        if (self.setting is None) != (self.above is None) or (self.setting is None) == (self.regression is None):
            raise ValueError("expected setting with above, or regression")
        return self


class CommandEntry(sections.Section):
    """A one-shot command among the changes. It is not rolled back, and it runs again where it was cut."""

    command: Argv
    """The program and its arguments; no shell reads them."""
    timeout: field_types.PositiveDuration = 3600.0
    """How long it may take."""


def _read_entry(value: object) -> object:
    """Refuses a statement that is not one of the allowed kinds, at the place of the entry."""
    if isinstance(value, str):
        change_grammar.parse_change(value)
    return value


ApplyEntry: TypeAlias = Annotated[str | CommandEntry, pydantic.BeforeValidator(_read_entry)]


class StageSection(sections.Section):
    """One stage: its changes, its check, its red line and its pauses."""

    apply: Annotated[list[ApplyEntry], pydantic.Field(min_length=1, max_length=100)]
    """The changes, in order: statements of the kinds that burst recognises, and programs."""
    restart: bool = False
    """Whether the stage pauses for a restart of the server."""
    check: CheckSection | None = None
    """What measures the figures before the changes and after them; without it the stage has no red line."""
    red_line: list[RedLine] = []  # noqa: RUF012 (pydantic copies it)
    """The limits that the figures have to keep; one that is broken rolls back."""
    confirm: bool = False
    """Whether the operator is asked before the stage begins."""
    pause_when: list[PauseCondition] = []  # noqa: RUF012 (pydantic copies it)
    """The conditions under which the operator is asked."""

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        regressions = [condition for condition in self.pause_when if condition.regression is not None]
        if self.check is None:
            if self.red_line or regressions:
                raise field_types.Misfit(("red_line" if self.red_line else "pause_when",), "a check beside it")
            if self.is_observing:
                words = "a check: a change that makes the server measure more is held against the figures before it"
                raise field_types.Misfit(("apply",), words)
            return self
        if self.is_observing and not self.red_line and self.check.main_figure is None:
            raise field_types.Misfit(("check",), "a red_line that names the figure of the overhead")
        for index, line in enumerate(self.red_line):
            if line.not_worse_than is not None and self.tell_better(line) is None:
                raise field_types.Misfit(("red_line", index), "better: lower or better: higher beside not_worse_than")
        if regressions and not self.compared_lines:
            raise field_types.Misfit(("pause_when",), "a red_line that names the figure which may get worse")
        return self

    def tell_better(self, line: RedLine) -> Better | None:
        """Which way the figure of a line gets better: as the line says, or as all lines of the figure say together, or
        as burst knows it; None where nobody says it, or two lines contradict each other."""
        if line.better is not None and line.not_worse_than is not None:
            return line.better
        lines = [line, *(each for each in self.red_lines if each.figure == line.figure)]
        by_words: set[Better] = {each.better for each in lines if each.better is not None}
        by_limits: set[Better] = {"lower" for each in lines if each.at_most is not None}
        by_limits |= {"higher" for each in lines if each.at_least is not None}
        if not by_words and len(by_limits) != 1:
            return None if self.check is None else self.check.direction(line.figure)
        directions = by_words or by_limits
        return directions.pop() if len(directions) == 1 else None

    @property
    def compared_lines(self) -> tuple[RedLine, ...]:
        """A line for each figure that is held against the one before: those of the red lines, and the main one."""
        lines = {line.figure: line for line in self.red_lines}
        main = None if self.check is None else self.check.main_figure
        if main is not None:
            lines.setdefault(main, RedLine.model_validate({"figure": main, "not_worse_than": "0%"}))
        return tuple(lines.values())

    @property
    def observing_settings(self) -> tuple[changes.SetParameter, ...]:
        """The changes of settings that make the server measure or log more."""
        return tuple(
            change
            for change in self.changes
            if isinstance(change, changes.SetParameter) and allowed_settings.is_observing(change.name)
        )

    @property
    def changes(self) -> tuple[changes.Change, ...]:
        """What the stage applies, in order."""
        return tuple(
            change_grammar.parse_change(entry)
            if isinstance(entry, str)
            else changes.RunProgram(argv=tuple(entry.command), seconds_max=entry.timeout)
            for entry in self.apply
        )

    @property
    def is_observing(self) -> bool:
        """Whether a change makes the server measure or log more."""
        return bool(self.observing_settings) or any(
            isinstance(change, changes.CreateExtension) and change.name in allowed_settings.OBSERVING_EXTENSIONS
            for change in self.changes
        )

    @property
    def red_lines(self) -> tuple[RedLine, ...]:
        """The red lines, with the one that an observing stage has by itself where none is about its overhead."""
        if self.check is None or not self.is_observing or self.check.main_figure is None:
            return tuple(self.red_line)
        if any(line.figure in self.check.overhead_figures for line in self.red_line):
            return tuple(self.red_line)
        as_written = {"figure": self.check.main_figure, "not_worse_than": f"{OVERHEAD_MAX:.0%}"}
        return (*self.red_line, RedLine.model_validate(as_written))


StageName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$")]


class StageFile(sections.Section):
    """The whole file: one database, stages in order."""

    schema_: Annotated[Literal["burst.stages/v1"], pydantic.Field(alias="schema")] = SCHEMA
    environment: Literal["local", "dev", "ci", "staging", "pilot", "prod"]
    """The environment of the database; in a guarded one a person is named and says yes."""
    operator: Annotated[str, pydantic.Field(min_length=1, max_length=200)] | None = None
    """The person who answers for the changes."""
    table: TableText = "receipts"
    """The table whose counts the red lines ask."""
    roll_back_to: Literal["stage", "start"] = "stage"
    """Where a broken red line goes back to: the database before its stage, or before the first one."""
    stages: Annotated[dict[StageName, StageSection], pydantic.Field(min_length=1, max_length=26)]
    """The stages by their name, in the order in which they are made."""

    @pydantic.model_validator(mode="after")
    def _require_plain_table(self) -> Self:
        is_asked = any(stage.check is not None and stage.check.is_own for stage in self.stages.values())
        if is_asked and self.table_name.has_dots:
            raise field_types.Misfit(("table",), "a schema and a table without a dot in them, where a check asks them")
        return self

    @property
    def is_guarded(self) -> bool:
        """Whether a person has to be named, and to say yes."""
        return self.environment in GUARDED

    @property
    def table_name(self) -> changes.TableName:
        """The table of the counts."""
        return change_grammar.parse_table(self.table)

    @property
    def all_changes(self) -> tuple[changes.Change, ...]:
        """The changes of every stage, in order."""
        return tuple(change for stage in self.stages.values() for change in stage.changes)

    @property
    def tables(self) -> tuple[changes.TableName, ...]:
        """The tables whose indexes a database snapshot holds."""
        return changes.list_tables(self.all_changes, self.table_name)


def _find_unfilled(composed: yaml_lines.Source) -> Iterator[yaml_lines.Problem]:
    """A placeholder may be only the less-than sign of a statement."""
    return (problem for problem in plan_problems.find_unfilled(composed) if not _is_comparison(problem))


def _is_comparison(problem: yaml_lines.Problem) -> bool:
    return ".apply[" in problem.key and problem.seen.startswith("the placeholder <")


def freeze(file: StageFile) -> bytes:
    """The file as JSON, as it is kept beside the journal: it parses to the same stages in the same order, which
    canonical JSON, whose keys are sorted, would lose."""
    return json.dumps(file.model_dump(mode="json", by_alias=True, exclude_unset=True), allow_nan=False).encode()


_FORM = written_files.FileForm(
    model=StageFile, schema=SCHEMA, name="stage file", undone="nothing was applied", find_unfilled=_find_unfilled
)


def parse(text: str, *, source: str) -> StageFile:
    """A stage file from its text; messages call it `source`. Raises as `written_files.FileForm.parse`."""
    return _FORM.parse(text, source)
