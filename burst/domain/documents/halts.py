"""Halts: one document under run control, by which every run there stops and none begins while it stands."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

LONGEST_REASON, LONGEST_NAME = 1000, 200


class Halt(models.Model):
    """`halt.json`, directly under run control: why every run there is to stop, by whom and since when."""

    schema_: Annotated[Literal["burst.halt/v1"], pydantic.Field(alias="schema")] = "burst.halt/v1"
    reason: Annotated[str, pydantic.Field(min_length=1, max_length=LONGEST_REASON)]
    by: Annotated[str, pydantic.Field(min_length=1, max_length=LONGEST_NAME)]
    at_utc: models.Instant
