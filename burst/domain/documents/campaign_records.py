"""Documents of a campaign that are no evidence: the order to stop it."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

FILE = "campaign.json"
STOP = "stop.json"


class CampaignStop(models.Model):
    """`stop.json` beside the journal of a campaign: it ends, its runs are stopped, and its steps are undone."""

    schema_: Annotated[Literal["burst.campaign-stop/v1"], pydantic.Field(alias="schema")] = "burst.campaign-stop/v1"
    by: str
    """Who ordered the stop: user and host."""
    reason: str
    """Why, in the operator's words."""
    at_utc: models.Instant
    """When it was ordered, by the clock of whoever ordered it."""
