"""The sections of `observe`: the series that are asked through the burst, and the rules that each of them keeps."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.basics import canonical, instants, naming
from burst.domain.observations import limits, periods, samples, series_rules
from burst.domain.plan import field_types, question_sections, sections

MOST_SERIES = 20
MOST_SAMPLES = 20_000
"""Of one run: each stands in its journal."""
SHORTEST_EVERY_SECONDS = 1.0
LONGEST_SETTLE_SECONDS = 600.0
LONGEST_ANSWER_SECONDS = 60.0
"""How long a series may take to answer, where its period is not shorter."""
SOURCES = ("sql", "document", "command", "cloudwatch", "prometheus", "service")
_SOURCE_ALLOWED = f"exactly one of {', '.join(SOURCES)}"

Pointer = Annotated[str, pydantic.Field(pattern=r"^/")]


def _period(value: str) -> str:
    return periods.parse(value).text


def _nearness(value: str) -> str:
    return series_rules.parse_nearness(value).text


class ObservedRuleSection(pydantic.BaseModel):
    """One rule of a series, and the blocker that it opens."""

    model_config = sections.STRICT

    blocker: str
    """The blocker that rests on the rule."""
    aggregate: Annotated[
        Literal["max", "min", "last", "p95", "delta"] | None,
        pydantic.Field(description="The figure of the period; delta is from the last sample before it to its end."),
    ] = None
    monotonic: Annotated[
        Literal[True] | None, pydantic.Field(description="true: no sample is less than the one before it.")
    ] = None
    max_stall: Annotated[
        field_types.PositiveDuration | None,
        pydantic.Field(description="The longest time in which the value may not rise."),
    ] = None
    over: Annotated[
        str,
        pydantic.AfterValidator(_period),
        pydantic.Field(description=f"The period: {periods.ALLOWED}."),
    ] = periods.WHOLE.text
    equals: field_types.Scalar = None
    """What the answer has to be; one of equals, at_most and at_least."""
    at_most: field_types.Number | None = None
    """What a number may be at most."""
    at_least: field_types.Number | None = None
    """What a number has to be at least."""
    within: Annotated[
        str | None,
        pydantic.AfterValidator(lambda value: None if value is None else _nearness(value)),
        pydantic.Field(description="How near to the same figure of another series, such as 1% of rows_expected."),
    ] = None

    @pydantic.model_validator(mode="after")
    def _one_rule(self) -> Self:
        if sum(value is not None for value in (self.aggregate, self.monotonic, self.max_stall)) != 1:
            raise field_types.Misfit(("aggregate",), "exactly one of aggregate, monotonic, max_stall")
        bounds = [name for name in ("equals", "at_most", "at_least", "within") if getattr(self, name) is not None]
        if self.aggregate is not None and len(bounds) != 1:
            raise field_types.Misfit(("at_most",), "exactly one of equals, at_most, at_least, within")
        if self.aggregate not in (None, "last") and isinstance(self.equals, bool | str):
            raise field_types.Misfit(
                ("equals",), f"a number, which {self.aggregate} is; last may be text, true or false"
            )
        if self.aggregate is None and bounds:
            raise field_types.Misfit((bounds[0],), "nothing: monotonic and max_stall are limits of their own")
        return self

    @property
    def rule(self) -> series_rules.Rule:
        """The rule as it is judged."""
        period = periods.parse(self.over)
        if self.monotonic:
            rising = limits.Limit(comparison=limits.Comparison.EQUALS, required=True)
            return series_rules.Rule(aggregate=series_rules.Aggregate.MONOTONIC, period=period, limit=rising)
        if self.max_stall is not None:
            longest = limits.Limit(comparison=limits.Comparison.AT_MOST, required=self.max_stall)
            return series_rules.Rule(aggregate=series_rules.Aggregate.MAX_STALL, period=period, limit=longest)
        aggregate = series_rules.Aggregate(str(self.aggregate))
        if self.within is not None:
            return series_rules.Rule(aggregate=aggregate, period=period, near=series_rules.parse_nearness(self.within))
        limit = limits.choose(self.equals, self.at_most, self.at_least)
        return series_rules.Rule(aggregate=aggregate, period=period, limit=limit)

    @property
    def name(self) -> str:
        """The name of the rule among those of its series: `max`, or `max.last-1800s`."""
        rule = self.rule
        period = "" if rule.period == periods.WHOLE else f".{rule.period.text.replace(' ', '-')}"
        return f"{rule.aggregate}{period}"


class CloudWatchSection(pydantic.BaseModel):
    """A metric of CloudWatch, of which the newest whole period is read."""

    model_config = sections.STRICT

    namespace: Annotated[str, pydantic.Field(min_length=1, max_length=255)]
    """The namespace of the metric."""
    metric: Annotated[str, pydantic.Field(min_length=1, max_length=255)]
    """Its name."""
    dimensions: Annotated[dict[str, str], pydantic.Field(max_length=30)] = {}
    """Its dimensions."""
    statistic: Annotated[
        str, pydantic.Field(pattern=r"^(Average|Maximum|Minimum|Sum|SampleCount|p\d{1,2}(\.\d{1,2})?)$")
    ] = "Maximum"
    """Which figure of a period is read."""
    period: field_types.PositiveDuration = 60.0
    """The length of a period."""

    @pydantic.field_validator("period")
    @classmethod
    def _whole_minutes(cls, value: float) -> float:
        if value not in (1, 5, 10, 20, 30) and value % 60:
            raise ValueError("expected 1s, 5s, 10s, 20s, 30s or whole minutes, which CloudWatch has")
        return value


class PrometheusSection(pydantic.BaseModel):
    """An instant query to a Prometheus server, which has to give one value."""

    model_config = sections.STRICT

    url: Annotated[str, pydantic.Field(pattern=r"^https?://[^/\s@?#:][^/\s@?#]*(/[^\s@?#]*)?$")]
    """The address of the server."""
    query: Annotated[str, pydantic.Field(min_length=1)]
    """The query, which has one answer."""


class SeriesSection(pydantic.BaseModel):
    """One series: its question, where value, instant and scope stand in the answer, and its rules."""

    model_config = sections.STRICT

    name: field_types.Name
    """The name of the series."""
    sql: str | None = None
    """One statement with one answer; :scope is bound to the run's scope."""
    document: str | None = None
    """A JSON document on S3; {scope} is the run's scope."""
    command: Annotated[
        list[str] | None,
        pydantic.Field(min_length=1, description="A program whose stdout is JSON; {scope} in a word is the scope."),
    ] = None
    cloudwatch: CloudWatchSection | None = None
    """A metric of CloudWatch."""
    prometheus: PrometheusSection | None = None
    """A query of Prometheus."""
    service: Annotated[
        field_types.Name | None,
        pydantic.Field(description="An ECS service of target.cluster: how many of its tasks run."),
    ] = None
    path: Annotated[Pointer | None, pydantic.Field(description="Where the value stands in a JSON answer.")] = None
    at: Annotated[Pointer | None, pydantic.Field(description="Where the instant stands that the answer speaks of.")] = (
        None
    )
    scope: Annotated[Pointer | None, pydantic.Field(description="Where the scope stands that the answer is of.")] = None
    rules: Annotated[list[ObservedRuleSection], pydantic.Field(min_length=1)]
    """What it has to keep, each behind a blocker."""

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = [name for name in SOURCES if getattr(self, name) is not None]
        if len(sources) != 1:
            raise field_types.Misfit((sources[1] if sources else "sql",), _SOURCE_ALLOWED)
        (source,) = sources
        self._require_fitting_pointers(source)
        names = [rule.name for rule in self.rules]
        for index, name in enumerate(names):
            if name in names[:index]:
                why = f"distinct rules, but {name} of {self.name} stands twice"
                raise field_types.Misfit(("rules", index, "aggregate"), why)
        return self

    def _require_fitting_pointers(self, source: str) -> None:
        pointers = [name for name in ("path", "at", "scope") if getattr(self, name) is not None]
        if source in ("cloudwatch", "prometheus") and pointers:
            raise field_types.Misfit((pointers[0],), f"nothing: the answer of {source} is a value with its instant")
        if source == "service" and pointers:
            raise field_types.Misfit((pointers[0],), "nothing: the answer of service is a number of tasks")
        if self.path is None and (pointers or source in ("document", "command")):
            raise field_types.Misfit(("path",), f"a JSON pointer: where the value stands in the answer of {source}")
        if self.document is None:
            return
        if not question_sections.S3_OBJECT.fullmatch(self.document):
            where = f"s3://BUCKET/KEY ({naming.BUCKET_ALLOWED}); {{scope}} in it is the run's scope"
            raise field_types.Misfit(("document",), where)
        if self.at is None:
            why = "a JSON pointer: a document that does not say its instant may be of any time"
            raise field_types.Misfit(("at",), why)
        if "{scope}" not in self.document and self.scope is None:
            why = "a JSON pointer: a document without {scope} in its address may be of any scope"
            raise field_types.Misfit(("scope",), why)

    def source_words(self, scope: str) -> str:
        """The question as documents state it."""
        if self.sql is not None:
            words = self.sql
        elif self.document is not None:
            words = self.document.replace("{scope}", scope)
        elif self.command is not None:
            words = " ".join(self.argv(scope))
        elif self.service is not None:
            words = f"running tasks of service {self.service}"
        elif self.cloudwatch is not None:
            metric = self.cloudwatch
            labels = ",".join(f"{name}={value}" for name, value in sorted(metric.dimensions.items()))
            period = instants.write_duration(metric.period)
            words = f"cloudwatch {metric.namespace}/{metric.metric}{{{labels}}} {metric.statistic} {period}"
        else:
            words = f"{self.prometheus.url} {self.prometheus.query}" if self.prometheus else ""
        return words if self.path is None else f"{words}#{self.path}"

    @property
    def tells_instant(self) -> bool:
        """Whether each answer says the instant that it speaks of."""
        return self.at is not None or self.cloudwatch is not None or self.prometheus is not None

    @property
    def question_sha256(self) -> str:
        """The digest of the question, by which an answer shows that it is to this one."""
        question = self.model_dump(mode="json", exclude={"rules"}, exclude_none=True)
        return canonical.digest(canonical.encode(question))

    def argv(self, scope: str) -> tuple[str, ...]:
        """The words of the command, for a scope."""
        return tuple(word.replace("{scope}", scope) for word in self.command or ())


class ObserveSection(pydantic.BaseModel):
    """The series that are asked from before GO until after the last task has stopped."""

    model_config = sections.STRICT

    every: Annotated[
        field_types.PositiveDuration,
        pydantic.Field(ge=SHORTEST_EVERY_SECONDS, description="The period of each series: a sample is due so often."),
    ]
    settle: Annotated[
        field_types.PositiveDuration,
        pydantic.Field(
            le=LONGEST_SETTLE_SECONDS,
            description="How long after the last task has stopped the terminal sample is asked.",
        ),
    ] = 2.0
    series: Annotated[list[SeriesSection], pydantic.Field(min_length=1, max_length=MOST_SERIES)]
    """The series, each with the rules that it has to keep."""

    @pydantic.model_validator(mode="after")
    def _known_series(self) -> Self:
        names = [series.name for series in self.series]
        for index, series in enumerate(self.series):
            if series.name in names[:index]:
                raise field_types.Misfit(("series", index, "name"), f"distinct names, but {series.name!r} stands twice")
            for position, section in enumerate(series.rules):
                if section.max_stall is not None and section.max_stall < self.every:
                    key = ("series", index, "rules", position, "max_stall")
                    raise field_types.Misfit(key, f"at least every, which is {instants.write_duration(self.every)}")
                near = section.rule.near
                other_names = [name for name in names if name != series.name]
                if near is not None and near.series not in other_names:
                    allowed = f"another series: {', '.join(other_names) or 'there is none'}"
                    raise field_types.Misfit(("series", index, "rules", position, "within"), allowed)
        return self

    def make_series(
        self, name: str, taken: Sequence[samples.Sample], *, count: int, scope: str, max_skew_seconds: float
    ) -> samples.Series:
        """The samples of one series, held to what the plan asks of them. `count`: how many were taken by the record."""
        section = next((series for series in self.series if series.name == name), None)
        return samples.Series(
            name=name,
            every_seconds=self.every,
            taken=count,
            samples=tuple(taken),
            scope=scope if section is not None and section.scope is not None else None,
            dated=section is not None and section.tells_instant,
            max_skew_seconds=max_skew_seconds,
            settle_seconds=self.settle,
        )

    def require_fitting(self, *, shortest_seconds: float, longest_seconds: float) -> None:
        """Raises `field_types.Misfit` unless the series fit a burst of at least and at most so many seconds."""
        if self.every > shortest_seconds:
            shortest = instants.write_duration(shortest_seconds)
            raise field_types.Misfit(("every",), f"at most budget.min_window, which is {shortest}")
        if longest_seconds / self.every * len(self.series) > MOST_SAMPLES:
            least = instants.write_duration(longest_seconds * len(self.series) / MOST_SAMPLES)
            raise field_types.Misfit(("every",), f"at least {least}: {MOST_SAMPLES} samples are the most of a run")
        for index, series in enumerate(self.series):
            for position, section in enumerate(series.rules):
                seconds = section.rule.period.seconds
                if seconds is not None and seconds > shortest_seconds:
                    most = instants.write_duration(shortest_seconds)
                    key = ("series", index, "rules", position, "over")
                    raise field_types.Misfit(key, f"a period no longer than budget.min_window, which is {most}")
                longest_stall = shortest_seconds if seconds is None else seconds
                if section.max_stall is not None and section.max_stall > longest_stall:
                    most = instants.write_duration(longest_stall)
                    where = "budget.min_window" if seconds is None else "its period"
                    raise field_types.Misfit(
                        ("series", index, "rules", position, "max_stall"),
                        f"at most {most}, which {where} is: no longer stall could be seen",
                    )

    @property
    def answer_seconds(self) -> float:
        """How long one question may take: no longer than its period."""
        return min(self.every, LONGEST_ANSWER_SECONDS)
