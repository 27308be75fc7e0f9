"""The facts: the answers to the fact queries of the plan, each with its expectation."""

from typing import Annotated, Literal, Self

import pydantic

from burst.domain.documents import driver_entries, models


class FactEntry(models.Model):
    """One answer. `value` None: it could not be had, and `detail` says why."""

    blocker: str
    """The blocker that the plan puts the fact behind, such as `M10F-B2`."""
    name: str
    """The name of the fact in the plan."""
    value: models.Value
    """The answer; None where it could not be had, and `detail` says why."""
    equals: bool | int | float | str | None = None
    """The value that the answer has to equal; None where the plan sets another limit."""
    at_most: int | float | None = None
    """The highest answer that passes; None where the plan sets another limit."""
    at_least: int | float | None = None
    """The lowest answer that passes; None where the plan sets another limit."""
    source: str = ""
    """The SQL that was asked, or the address of the document with the JSON pointer behind `#`."""
    at_utc: models.Instant | None = None
    """When it was answered, by the controller's clock; None where the document does not say it."""
    detail: models.Words = ""
    """The digest of the document that the answer stood in, or why there is no answer."""

    @pydantic.model_validator(mode="after")
    def _one_expectation(self) -> Self:
        if sum(expected is not None for expected in (self.equals, self.at_most, self.at_least)) != 1:
            raise ValueError(f"fact {self.name}: exactly one of equals, at_most, at_least")
        return self


class Facts(models.Model):
    """`{slug}_facts.json`."""

    schema_: Annotated[Literal["burst.facts/v1"], pydantic.Field(alias="schema")] = "burst.facts/v1"
    execution_id: str
    platform_run_id: str
    facts: list[FactEntry]
    """One entry for each fact of the plan, in its order."""
    driver: driver_entries.DriverEntry | None = None
    """What the driver had done for the run once the facts were answered; None where the document does not say it."""

    @pydantic.field_validator("facts")
    @classmethod
    def _one_answer_each(cls, value: list[FactEntry]) -> list[FactEntry]:
        names = [(entry.blocker, entry.name) for entry in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"fact {twice[1]} of {twice[0]} is answered twice")
        return value
