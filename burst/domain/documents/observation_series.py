"""The observations: every sample of every series of `observe`, as it was asked and answered through the burst."""

from typing import Annotated, Literal, Self

import pydantic

from burst.domain.documents import models
from burst.domain.observations import samples


class SeriesSampleEntry(models.Model):
    """One sample. `value` None: there was no answer, and `detail` says why."""

    number: Annotated[int, pydantic.Field(ge=1)]
    """Its place among the samples of its series, from 1, so that one that was taken out is missed."""
    asked_utc: models.Instant
    """When the sample was asked for, by the controller's clock."""
    answered_utc: models.Instant
    """When the answer came, or the question was given up, by the controller's clock."""
    of_utc: models.Instant | None = None
    """The instant that the answer says it speaks of; None: it does not say it."""
    value: models.Value
    """What the answer said; None where there was no answer."""
    scope: str | None = None
    """The scope that the answer says it is of; None: it does not say it."""
    detail: models.Words = ""
    """Why there is no value, or what the answer said beside it."""

    @classmethod
    def from_sample(cls, sample: samples.Sample) -> Self:
        """The entry of a sample."""
        return cls(
            number=sample.number,
            asked_utc=sample.asked_at,
            answered_utc=sample.answered_at,
            of_utc=sample.of,
            value=sample.value,
            scope=sample.scope,
            detail=sample.detail,
        )

    @property
    def sample(self) -> samples.Sample:
        """The sample."""
        return samples.Sample(
            number=self.number,
            asked_at=self.asked_utc,
            answered_at=self.answered_utc,
            of=self.of_utc,
            value=self.value,
            scope=self.scope,
            detail=self.detail,
        )


class SeriesEntry(models.Model):
    """One series with its samples. `taken`: how many the journal has."""

    name: str
    """The name of the series in the plan."""
    source: str
    """What was asked, as the plan states it: a query, a document, a command, a service or a metric."""
    question_sha256: models.Digest
    """The digest of the plan's question; samples of another question answer no rule."""
    every_seconds: Annotated[float, pydantic.Field(gt=0)]
    """How often the plan samples the series."""
    taken: models.Count
    """How many samples the journal has; where fewer stand here, some are missing."""
    samples: list[SeriesSampleEntry]
    """Every sample, in the order in which they were taken."""


class Observations(models.Model):
    """`{slug}_observations.json`."""

    schema_: Annotated[Literal["burst.observations/v1"], pydantic.Field(alias="schema")] = "burst.observations/v1"
    execution_id: str
    platform_run_id: str
    settle_seconds: Annotated[float, pydantic.Field(ge=0)] | None = None
    """How long after the last task's stop the terminal sample was asked; None where the document does not say."""
    series: list[SeriesEntry]
    """One entry for each series of the plan, in its order."""

    @pydantic.field_validator("series")
    @classmethod
    def _one_entry_each(cls, value: list[SeriesEntry]) -> list[SeriesEntry]:
        names = [entry.name for entry in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"series {twice} stands twice")
        return value
