"""The outlets of a plan: where the news of a run is sent. None of them changes a verdict."""

import re
from typing import Annotated, Self

import pydantic

from burst.domain.plan import field_types, sections

_URL = re.compile(r"https?://[^/\s@?#:]+(:\d{1,5})?(/[^\s@?#]*)?")


def _address(value: str) -> str:
    if not field_types.SECRET_REFERENCE.fullmatch(value) and not _URL.fullmatch(value):
        raise ValueError(
            f"expected http(s)://HOST[:PORT][/PATH] without user and query, or {field_types.REFERENCE_ALLOWED}"
        )
    return value


Address = Annotated[str, pydantic.AfterValidator(_address)]


class WebhookSection(sections.Section):
    """A POST of each message, signed with the key where there is one (the form of Standard Webhooks)."""

    url: Address
    """Its address."""
    key: Annotated[
        field_types.SecretReference | None, pydantic.Field(description="The bytes that sign each message.")
    ] = None


class CdEventsSection(sections.Section):
    """A POST of CDEvents: testsuiterun.started and finished, testoutput.published."""

    url: Address
    """Its address."""


class EventBridgeSection(sections.Section):
    """An event of source `burst` on a bus of the account, for each message."""

    bus: field_types.Resource
    """The name or ARN of the bus."""
    region: Annotated[str, pydantic.Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d$")] | None = None
    """Its region, where it is not that of the environment."""


class OtlpSection(sections.Section):
    """Metrics and one trace of each run with a verdict, to a collector that takes OTLP over HTTP."""

    endpoint: Address
    """The address of the collector."""


class OutletsSection(sections.Section):
    """The outlets that get the start of a run, its verdict, a halt, and the news of a task that may still run."""

    webhook: Annotated[list[WebhookSection], pydantic.Field(min_length=1)] | None = None
    """The webhooks that get each message."""
    cdevents: Annotated[list[CdEventsSection], pydantic.Field(min_length=1)] | None = None
    """A receiver of CDEvents that is told."""
    eventbridge: EventBridgeSection | None = None
    """A bus of EventBridge that is told."""
    otlp: OtlpSection | None = None
    """A collector that gets metrics and a trace."""
    openmetrics: Annotated[
        str | None, pydantic.Field(min_length=1, description="A file with the figures of the last run, replaced whole.")
    ] = None
    notify: Annotated[
        list[field_types.SecretReference] | None,
        pydantic.Field(
            min_length=1, description="Addresses as Apprise reads them: Slack, mail and many more. Each holds a secret."
        ),
    ] = None

    @pydantic.model_validator(mode="after")
    def _names_one(self) -> Self:
        if not any((self.webhook, self.cdevents, self.eventbridge, self.otlp, self.openmetrics, self.notify)):
            raise ValueError("expected one outlet at least: webhook, cdevents, eventbridge, otlp, openmetrics, notify")
        return self
