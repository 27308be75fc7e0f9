"""Run records: documents about a run that are no evidence: announcement, kept services, publication, prune receipt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.documents import models
from burst.domain.tasks import services as scaling  # `services` is a field here


class Announcement(models.Model):
    """`run.json`, put under run control before the first task is launched."""

    schema_: Annotated[Literal["burst.run/v1"], pydantic.Field(alias="schema")] = "burst.run/v1"
    execution_id: str
    created_utc: models.Instant
    deadline_utc: models.Instant
    early_stop: bool
    barrier: bool
    plan_sha256: models.Digest
    command: list[str] = []
    """The words of the command line that began the run, without secrets; bursts before 0.2.0 state none."""


class Alias(models.Model):
    """`alias.json`, under an id with a time in it: the run that was given an id of its own."""

    schema_: Annotated[Literal["burst.alias/v1"], pydantic.Field(alias="schema")] = "burst.alias/v1"
    execution_id: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,99}$")]


class KeptService(models.Model):
    """One service as it stood, and the count the burst gave it."""

    name: str
    before: models.Count
    desired: models.Count


class KeptRoll(models.Model):
    """One service that is rolled for the burst: the ARN of its task definition as it was, and of the burst's."""

    name: str
    before: str
    definition: str


class KeptServices(models.Model):
    """`services/{execution_id}.json`, kept under run control before a service is scaled: any machine can restore it."""

    schema_: Annotated[Literal["burst.services/v1"], pydantic.Field(alias="schema")] = "burst.services/v1"
    execution_id: str
    cluster: str
    deadline_utc: models.Instant
    services: list[KeptService]
    rolls: list[KeptRoll] = []
    """The task definitions of those that are rolled too; bursts before 0.2.0 rolled none."""

    @classmethod
    def from_changes(
        cls,
        execution_id: str,
        cluster: str,
        deadline: datetime,
        changes: Sequence[scaling.ServiceChange],
        rolls: Sequence[scaling.ServiceRoll] = (),
    ) -> Self:
        """The document of a run's changes."""
        kept = [KeptService(name=change.name, before=change.before, desired=change.desired) for change in changes]
        rolled = [KeptRoll(name=roll.name, before=roll.before, definition=roll.definition) for roll in rolls]
        return cls(execution_id=execution_id, cluster=cluster, deadline_utc=deadline, services=kept, rolls=rolled)

    @property
    def rolled(self) -> tuple[scaling.ServiceRoll, ...]:
        """The task definitions before and for the burst."""
        return tuple(
            scaling.ServiceRoll(name=kept.name, before=kept.before, definition=kept.definition) for kept in self.rolls
        )

    @property
    def restoring_commands(self) -> dict[str, str]:
        """The command that puts each service back by hand, by name."""
        before = {roll.name: roll.before for roll in self.rolls}
        return {
            change.name: scaling.restoring_command(self.cluster, change.name, change.before, before.get(change.name))
            for change in self.changes
        }

    @property
    def changes(self) -> tuple[scaling.ServiceChange, ...]:
        """The changes that were made, or were about to be."""
        return tuple(
            scaling.ServiceChange(name=kept.name, before=kept.before, desired=kept.desired) for kept in self.services
        )


class KeptDrill(models.Model):
    """`drills/{execution_id}.{name}.json`, kept under run control before a fault is caused: any machine can see that it
    was, and take it back."""

    schema_: Annotated[Literal["burst.drill/v1"], pydantic.Field(alias="schema")] = "burst.drill/v1"
    execution_id: str
    name: str
    at_utc: models.Instant
    deadline_utc: models.Instant
    service: str | None
    deployment: str | None
    tasks: list[str]
    undo: str | None
    """The name of the one-shot that takes it back; None: it has none."""


class RemovedDocument(models.Model):
    """One document that was removed."""

    name: str
    size: models.Count
    sha256: models.Digest


class PruneReceipt(models.Model):
    """`pruned.json`: the documents removed from a run, when, and which snapshot stays."""

    schema_: Annotated[Literal["burst.pruned/v1"], pydantic.Field(alias="schema")] = "burst.pruned/v1"
    execution_id: str
    at_utc: models.Instant
    snapshot: str
    snapshot_sha256: models.Digest
    removed: list[RemovedDocument]


class BundleIndex(models.Model):
    """`bundle.json`: the run a bundle was made of, and its snapshot by digest."""

    schema_: Annotated[Literal["burst.bundle/v1"], pydantic.Field(alias="schema")] = "burst.bundle/v1"
    execution_id: str
    snapshot: str
    sha256: models.Digest
    citations: list[str] = pydantic.Field(default_factory=list)
    """The places in texts that cite it, in words."""
    families: dict[str, list[str]] = pydantic.Field(default_factory=dict)
    """The runs in it that stand for each family of evidence."""


class PublishedDocument(models.Model):
    """One document in one place: its version there and the request that wrote or found it; empty where unknown."""

    name: str
    version_id: str = ""
    request_id: str = ""


class PublishedPlace(models.Model):
    """One place and what stands in it."""

    place: str
    documents: list[PublishedDocument]


class Publication(models.Model):
    """`publication.json`: that the snapshot was committed, when, and under which versions."""

    schema_: Annotated[Literal["burst.publication/v1"], pydantic.Field(alias="schema")] = "burst.publication/v1"
    execution_id: str
    snapshot: str
    snapshot_sha256: models.Digest
    committed_utc: models.Instant
    places: list[PublishedPlace]


class PublicationFailure(models.Model):
    """`failures/{publication_id}.json`: a document that could not be published. No free text: places are public."""

    schema_: Annotated[Literal["burst.publication-failure/v1"], pydantic.Field(alias="schema")] = (
        "burst.publication-failure/v1"
    )
    publication_id: str
    execution_id: str
    platform_run_id: str
    snapshot_sha256: models.Digest
    at_utc: models.Instant
    place: str
    key: str
    code: str
    http_status: int
    request_id: str
    attempts: models.Count
