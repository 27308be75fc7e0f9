"""Halts: one document under run control, by which every run there stops and none begins while it stands."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models


class Halt(models.Model):
    """`halt.json`, directly under run control: why every run there is to stop, by whom and since when."""

    schema_: Annotated[Literal["burst.halt/v1"], pydantic.Field(alias="schema")] = "burst.halt/v1"
    reason: Annotated[str, pydantic.Field(min_length=1, max_length=1000)]
    by: Annotated[str, pydantic.Field(min_length=1, max_length=200)]
    at_utc: models.Instant
