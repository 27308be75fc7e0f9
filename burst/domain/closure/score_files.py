"""Score files: the rule by which a candidate closes a phase, parsed as strictly as a plan, each mistake with its line.

A figure is found by the name of a document and a JSON pointer into it, or it is the seconds of a lane of the run.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.basics import magnitudes
from burst.domain.closure import timings
from burst.domain.plan import field_types, plan_problems, sections, written_files, yaml_lines

SCHEMA: Literal["burst.score/v1"] = "burst.score/v1"
_PERCENT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,6})?)\s?%")
_POINTER = re.compile(r"(/([^~/]|~[01])*)*")


def parse_fraction(value: object) -> float:
    """The fraction of a text such as `20%`, or a number as it is; the double nearest to it. Raises ValueError."""
    if magnitudes.is_number(value):
        return float(value)
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a percentage such as 20%, or a fraction such as 0.2")
    try:
        return float(Decimal(match[1]) / 100)
    except InvalidOperation:
        raise ValueError("expected a percentage such as 20%") from None


def _read_pointer(value: str) -> str:
    if not _POINTER.fullmatch(value):
        raise ValueError("expected a JSON pointer such as /runtime/s4_seconds")
    return value


Fraction = Annotated[float, pydantic.BeforeValidator(parse_fraction, json_schema_input_type=str | float)]
Share = Annotated[Fraction, pydantic.Field(gt=0, lt=1)]
Tolerance = (
    Annotated[int | float, pydantic.Field(ge=0)] | Annotated[str, pydantic.Field(pattern=f"^{_PERCENT.pattern}$")]
)
"""A difference of its own, or with a percent sign a part of the baseline's figure."""
Pointer = Annotated[str, pydantic.AfterValidator(_read_pointer), pydantic.Field(max_length=500)]
CheckName = Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
DocumentWord = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$")]
Sameness = Literal["scope", "profile", "contract", "phase", "environment"]


class FigureSection(sections.Section):
    """The place of one figure: `document` is a kind such as `metrics`, or a file name; without one it is the run's
    snapshot, or the file itself."""

    document: DocumentWord | None = None
    """The kind of the document that holds the figure, or its file name; the snapshot unless said."""
    path: Pointer | None = None
    """The JSON pointer to the figure."""
    lane: timings.LaneName | None = None
    """In place of a path, the seconds of a lane of `burst timing`."""

    @pydantic.model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.lane is None):
            raise field_types.Misfit(("path",), "one of path (a JSON pointer) and lane")
        if self.lane is not None and self.document is not None:
            raise field_types.Misfit(("document",), "no document beside lane: a lane is read from the journal")
        return self

    @property
    def words(self) -> str:
        """The place as messages name it."""
        return f"lane {self.lane}" if self.lane else f"{self.document or 'the document'}#{self.path}"


class MeasureSection(FigureSection):
    """One figure that has to improve: under a bound of its own, or by a part of the active baseline's."""

    name: CheckName
    """The name by which the closure calls it."""
    unit: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z/%]{1,20}$")] | None = None
    """The unit of the figure, as it is shown."""
    at_most: field_types.Number | None = None
    """The most that the candidate's figure may be."""
    reduced_by: Share | None = None
    """By which part of the baseline's figure it has to fall."""
    at_least: field_types.Number | None = None
    """The least that the candidate's figure has to be."""
    raised_by: Annotated[Fraction, pydantic.Field(gt=0, le=1e6)] | None = None
    """By which part of the baseline's figure it has to rise."""
    decimals: Annotated[int, pydantic.Field(ge=0, le=9)] | None = None
    """The decimals of the figures; the bound of a reduction is rounded to them, where what is left is still a gain.
    Without it the bound is exact."""

    @pydantic.model_validator(mode="after")
    def _one_direction(self) -> Self:
        lower = self.at_most is not None or self.reduced_by is not None
        higher = self.at_least is not None or self.raised_by is not None
        if lower == higher:
            raise field_types.Misfit(("name",), "at_most, reduced_by or both; or at_least, raised_by or both")
        return self

    @property
    def lower_is_better(self) -> bool:
        """Whether the figure improves as it falls."""
        return self.at_most is not None or self.reduced_by is not None

    @property
    def is_seconds(self) -> bool:
        """Whether the figure is in seconds, as a lane always is."""
        return self.lane is not None or self.unit == "s"


class RailSection(FigureSection):
    """One veto: what a candidate must not lose for its gain."""

    name: CheckName
    """The name by which the closure calls it."""
    rail: Literal["same", "not_worse", "pass", "present"]
    """What the candidate has to show: the same value, none that is worse, a PASS, or that the value is there."""
    of: Literal["value", "keys"] = "value"
    """`keys`: the set of an object's keys, or of a list's members."""
    tolerance: Tolerance = 0
    """How far the two values may differ, as a number or a part of the baseline's."""
    better: Literal["lower", "higher"] | None = None
    """Which way is better, where the rail is not_worse."""

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if self.rail == "not_worse" and self.of == "value" and self.better is None:
            raise field_types.Misfit(("better",), "better: lower or better: higher beside not_worse")
        if self.better is not None and (self.rail != "not_worse" or self.of == "keys"):
            raise field_types.Misfit(("better",), "better beside not_worse of a value only")
        if self.tolerance != 0 and (self.rail in ("pass", "present") or self.of == "keys"):
            raise field_types.Misfit(("tolerance",), "a tolerance beside same and not_worse of a value only")
        if self.of == "keys" and self.rail in ("pass", "present"):
            raise field_types.Misfit(("of",), "of: keys beside same and not_worse only")
        if self.lane is not None and self.rail in ("pass", "present"):
            raise field_types.Misfit(("lane",), "a path: a lane has neither a PASS nor a value to be present")
        return self


class LatencySection(FigureSection):
    """The 95th percentile of both runs of a pair, each strictly below its bound."""

    cold_below: field_types.Number
    """The bound of the cold run."""
    warm_below: field_types.Number
    """The bound of the warm run."""
    warm_alert: field_types.Number | None = None
    """Above it the failure is an alert."""

    @pydantic.model_validator(mode="after")
    def _require_order(self) -> Self:
        if self.warm_alert is not None and self.warm_alert < self.warm_below:
            raise field_types.Misfit(("warm_alert",), "at least warm_below")
        return self


class HitsSection(sections.Section):
    """The cache hits of the warm run among its lookups."""

    hits: FigureSection
    """The figure of the hits."""
    lookups: FigureSection
    """The figure of the lookups."""
    at_least: Share = 0.99
    """The least share of hits among the lookups."""
    confidence: Annotated[Fraction, pydantic.Field(ge=0.5, lt=1)] = 0.95
    """The confidence of the exact lower bound of that share."""
    bound: Literal["decides", "beside"] = "decides"
    """Whether the exact lower bound of the ratio has to reach it too, or only stands beside it."""


class RowsSection(FigureSection):
    """The rows of both runs of a pair, which differ by no more than a part of the cold run's."""

    within: Share = 0.01
    """The part of the cold run's rows by which they may differ at most."""


class PairSection(sections.Section):
    """A cold run (the baseline) and a warm one (the candidate)."""

    measure: FigureSection
    """The figure that has to be better in the warm run."""
    improvement: Share = 0.6
    """The part of the cold run's figure by which it has to fall."""
    hits: HitsSection
    """The cache hits of the warm run."""
    p95: LatencySection
    """The 95th percentile of both runs."""
    members: FigureSection
    """The hosts, or other members, that each run covered: an object by member, or a list."""
    declared: list[Annotated[str, pydantic.Field(min_length=1, max_length=200)]] = []  # noqa: RUF012 (pydantic copies it)
    """Members that both runs have to cover, beside those that the other run has."""
    rows: RowsSection
    """The rows that both runs returned."""


class InvariantSection(FigureSection):
    """One figure that has the same value in both runs, and in each of them the expected one."""

    name: CheckName
    """The name by which the closure calls it."""
    equals: field_types.Scalar
    """The value that both runs have to have."""


class LagSection(FigureSection):
    """The largest lag of both runs."""

    at_most: field_types.Number
    """The most that the lag of each run may be."""


class ReproducibilitySection(sections.Section):
    """A second run of the same phase: the same keys, shares of decisions, and semantics."""

    keyset: FigureSection
    """The keys of each run, which have to be the same."""
    counts: FigureSection | None = None
    """An object of receipts by decision, where it is not the snapshot's."""
    shares_within: Annotated[Fraction, pydantic.Field(gt=0, lt=1)] = 0.05
    """By how much the share of each decision may differ."""
    invariants: list[InvariantSection] = []  # noqa: RUF012 (pydantic copies it)
    """Figures that have one expected value in both runs."""
    lag: LagSection | None = None
    """The largest lag of both runs."""


class WeakenedSection(sections.Section):
    """A check of the score that the active baseline was reached by, and that this score drops or loosens."""

    check: CheckName
    """The name of the check."""
    why: Annotated[str, pydantic.Field(min_length=1, max_length=500)]
    """The reason why it asks less, or is gone."""


class DecisionSection(sections.Section):
    """The words of the decision."""

    unlock: Annotated[str, pydantic.Field(pattern=r"^UNLOCK(_[A-Z0-9]+)+$", max_length=80)]
    """The word of the decision where every check passed."""
    hold: Annotated[str, pydantic.Field(pattern=r"^HOLD(_[A-Z0-9]+)+$", max_length=80)]
    """The word of the decision where any did not."""


class ScoreFile(sections.Section):
    """The whole file."""

    schema_: Annotated[Literal["burst.score/v1"], pydantic.Field(alias="schema")] = SCHEMA
    name: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    """The name of the closure: `{name}_closure.json`."""
    require_same: list[Sameness] = []  # noqa: RUF012 (pydantic copies it)
    """In what candidate and baseline have to be the same."""
    measures: list[MeasureSection] = []  # noqa: RUF012 (pydantic copies it)
    """Figures that have to improve."""
    vetoes: list[RailSection] = []  # noqa: RUF012 (pydantic copies it)
    """What a candidate must not lose for its gain."""
    pair: PairSection | None = None
    """A cold run and a warm one."""
    reproducibility: ReproducibilitySection | None = None
    """What a second run of the phase has to show."""
    decision: DecisionSection
    """The words of the decision."""
    weakened: list[WeakenedSection] = []  # noqa: RUF012 (pydantic copies it)
    """Checks of the active baseline's score that this one drops or loosens, each with the reason."""

    @pydantic.model_validator(mode="after")
    def _whole(self) -> Self:
        if not (self.measures or self.pair or self.reproducibility):
            raise field_types.Misfit(("measures",), "a measure; or pair, or reproducibility, in place of measures")
        if self.measures and not self.vetoes:
            raise field_types.Misfit(("vetoes",), "a veto rail beside measures: a gain alone closes nothing")
        names = [entry.name for entry in self.measures] + [entry.name for entry in self.vetoes]
        names += [entry.name for entry in self.reproducibility.invariants] if self.reproducibility else []
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise field_types.Misfit(("vetoes",), f"each name once; {twice} stands twice")
        return self


def _find_unfilled(composed: yaml_lines.Source) -> Iterator[yaml_lines.Problem]:
    """An empty text may be the JSON pointer to a whole document."""
    problems = plan_problems.find_unfilled(composed)
    return (problem for problem in problems if not _is_root(composed, problem))


def _is_root(composed: yaml_lines.Source, problem: yaml_lines.Problem) -> bool:
    return problem.seen == "an empty value" and problem.key.rpartition(".")[2] == "path" and composed.value is not None


_FORM = written_files.FileForm(
    model=ScoreFile, schema=SCHEMA, name="score file", undone="nothing was scored", find_unfilled=_find_unfilled
)


def parse(text: str, *, source: str) -> ScoreFile:
    """A score file from its text; messages call it `source`. Raises as `written_files.FileForm.parse`."""
    return _FORM.parse(text, source)
