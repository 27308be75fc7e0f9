"""Run records: documents about a run that are no evidence, such as its announcement and its receipts."""

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
    """When the run was begun, by the controller's clock."""
    deadline_utc: models.Instant
    """When the operator cap ends: no task may run after it."""
    early_stop: bool
    """Whether rules of early stop may end the run."""
    barrier: bool
    """Whether the tasks wait for GO in the lease before they send."""
    plan_sha256: models.Digest
    """SHA-256 of the plan's canonical bytes as executed."""
    command: list[str] = []
    """The words of the command line that began the run, without secrets; bursts before 0.2.0 state none."""


class Alias(models.Model):
    """`alias.json`, under an id with a time in it: the run that was given an id of its own."""

    schema_: Annotated[Literal["burst.alias/v1"], pydantic.Field(alias="schema")] = "burst.alias/v1"
    execution_id: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,99}$")]
    """The run's own id, given by the operator; it holds no time, as the folder of the alias does."""


class KeptService(models.Model):
    """One service as it stood, and the count the burst gave it."""

    name: str
    """The name of the service in its cluster."""
    before: models.Count
    """How many tasks it was to run before the burst."""
    desired: models.Count
    """How many tasks it is to run for the burst."""


class KeptRoll(models.Model):
    """One service that is rolled for the burst: the ARN of its task definition as it was, and of the burst's."""

    name: str
    """The name of the service in its cluster."""
    before: str
    """The ARN of its task definition before the burst."""
    definition: str
    """The ARN of its task definition for the burst."""


class KeptServices(models.Model):
    """`services/{execution_id}.json`, kept under run control before a service is scaled: any machine can restore it."""

    schema_: Annotated[Literal["burst.services/v1"], pydantic.Field(alias="schema")] = "burst.services/v1"
    execution_id: str
    cluster: str
    """The ECS cluster of the services."""
    deadline_utc: models.Instant
    """The deadline of the run; after it `burst reap --run-control` puts them back."""
    services: list[KeptService]
    """Each service that is scaled, with what puts it back."""
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
    """The name of the drill in the plan."""
    at_utc: models.Instant
    """When the controller noted that it would cause the fault, by its clock."""
    deadline_utc: models.Instant
    """The deadline of the run."""
    service: str | None
    """The ECS service that it restarts; None where it runs a command."""
    deployment: str | None
    """The id of the service's deployment before the restart; None where it runs a command."""
    tasks: list[str]
    """The tasks that the service ran before the restart; none where it runs a command."""
    undo: str | None
    """The name of the one-shot that takes it back; None: it has none."""


class RemovedDocument(models.Model):
    """One document that was removed."""

    name: str
    """The file name of the document in the run's folder."""
    size: models.Count
    """How many bytes it had."""
    sha256: models.Digest
    """SHA-256 of its bytes."""


class PruneReceipt(models.Model):
    """`pruned.json`: the documents removed from a run, when, and which snapshot stays."""

    schema_: Annotated[Literal["burst.pruned/v1"], pydantic.Field(alias="schema")] = "burst.pruned/v1"
    execution_id: str
    at_utc: models.Instant
    """When the prune was decided; the receipt is written before anything is removed."""
    snapshot: str
    """The file name of the snapshot, which stays."""
    snapshot_sha256: models.Digest
    """SHA-256 of the snapshot's bytes."""
    removed: list[RemovedDocument]
    """Every document that the prune removes."""


class BundleIndex(models.Model):
    """`bundle.json`: the run a bundle was made of, and its snapshot by digest."""

    schema_: Annotated[Literal["burst.bundle/v1"], pydantic.Field(alias="schema")] = "burst.bundle/v1"
    execution_id: str
    snapshot: str
    """The file name of the snapshot in the bundle."""
    sha256: models.Digest
    """SHA-256 of the snapshot's bytes."""
    citations: list[str] = pydantic.Field(default_factory=list)
    """The places in texts that cite it, in words."""
    families: dict[str, list[str]] = pydantic.Field(default_factory=dict)
    """The runs in it that stand for each family of evidence."""


class PublishedDocument(models.Model):
    """One document in one place: its version there and the request that wrote or found it; empty where unknown."""

    name: str
    """The file name of the document."""
    version_id: str = ""
    """The version that S3 gave it; empty where the place keeps none."""
    request_id: str = ""
    """The id of the request that wrote or found it; empty where there is none."""


class PublishedPlace(models.Model):
    """One place and what stands in it."""

    place: str
    """The address of the folder."""
    documents: list[PublishedDocument]
    """Every document that was read back from there, by name."""


class Publication(models.Model):
    """`publication.json`: that the snapshot was committed, when, and under which versions."""

    schema_: Annotated[Literal["burst.publication/v1"], pydantic.Field(alias="schema")] = "burst.publication/v1"
    execution_id: str
    snapshot: str
    """The file name of the snapshot."""
    snapshot_sha256: models.Digest
    """SHA-256 of the snapshot's bytes."""
    committed_utc: models.Instant
    """When the snapshot stood in every place, by the controller's clock."""
    places: list[PublishedPlace]
    """Every place of the plan, the authority first."""


class ToldOutlets(models.Model):
    """`told.json`: the outlets that took the message of how the run ended. A resume tells the others, and not these.

    It is begun with the run, so that a run without one, of an earlier version, is not told again.
    """

    schema_: Annotated[Literal["burst.told/v1"], pydantic.Field(alias="schema")] = "burst.told/v1"
    execution_id: str
    message_id: str | None = None
    """The id of the message; None as long as no outlet took it."""
    outlets: list[str] = []
    """The name of each outlet, and its number among those of that name in their order in the plan."""
    told_utc: models.Instant | None = None
    """When the last of them had been told, by the controller's clock; None as long as none was."""


class PublicationFailure(models.Model):
    """`failures/{publication_id}.json`: a document that could not be published. No free text: places are public."""

    schema_: Annotated[Literal["burst.publication-failure/v1"], pydantic.Field(alias="schema")] = (
        "burst.publication-failure/v1"
    )
    publication_id: str
    """The execution id and the number of the journal's line that notes the failure."""
    execution_id: str
    platform_run_id: str
    snapshot_sha256: models.Digest
    """SHA-256 of the verdict that is not published."""
    at_utc: models.Instant
    """When the failure was noted, by the controller's clock."""
    place: str
    """The address of the place that failed; `the run folder` where the document could not be signed."""
    key: str
    """The name of the document there."""
    code: str
    """The error code of the store; `NotReadBack` where none is known and the document does not stand there as it was
    written, `NotSigned` where it could not be signed, empty where the store gave no answer."""
    http_status: int
    """The HTTP status of the store's answer; 0 where there was none."""
    request_id: str
    """The id of the request; empty where there was none."""
    attempts: models.Count
    """How often it was tried; 0 where nobody counted."""
