"""The observations: every sample of every series of `observe`, as it was asked and answered through the burst."""

from typing import Annotated, Literal, Self

import pydantic

from burst.domain.documents import models
from burst.domain.observations import samples


class SeriesSampleEntry(models.Model):
    """One sample. `value` None: there was no answer, and `detail` says why."""

    number: Annotated[int, pydantic.Field(ge=1)]
    asked_utc: models.Instant
    answered_utc: models.Instant
    of_utc: models.Instant | None = None
    """The instant that the answer says it speaks of; None: it does not say it."""
    value: models.Value
    scope: str | None = None
    """The scope that the answer says it is of; None: it does not say it."""
    detail: models.Words = ""

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
    source: str
    question_sha256: models.Digest
    """The digest of the plan's question."""
    every_seconds: Annotated[float, pydantic.Field(gt=0)]
    taken: models.Count
    samples: list[SeriesSampleEntry]


class Observations(models.Model):
    """`{slug}_observations.json`."""

    schema_: Annotated[Literal["burst.observations/v1"], pydantic.Field(alias="schema")] = "burst.observations/v1"
    execution_id: str
    platform_run_id: str
    settle_seconds: Annotated[float, pydantic.Field(ge=0)] | None = None
    series: list[SeriesEntry]

    @pydantic.field_validator("series")
    @classmethod
    def _one_entry_each(cls, value: list[SeriesEntry]) -> list[SeriesEntry]:
        names = [entry.name for entry in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"series {twice} stands twice")
        return value
