"""Halts: one document under run control, by which every run there stops and none begins while it stands."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

LONGEST_REASON, LONGEST_NAME = 1000, 200


class Halt(models.Model):
    """`halt.json`, directly under run control: why every run there is to stop, by whom and since when."""

    schema_: Annotated[Literal["burst.halt/v1"], pydantic.Field(alias="schema")] = "burst.halt/v1"
    reason: Annotated[str, pydantic.Field(min_length=1, max_length=LONGEST_REASON)]
    """Why, in the words of whoever halted."""
    by: Annotated[str, pydantic.Field(min_length=1, max_length=LONGEST_NAME)]
    """Who halted: user and host."""
    at_utc: models.Instant
    """When run control was halted, by the clock of whoever halted."""
