"""Fixtures: one simulated AWS for a test session (each xdist worker has its own), a bucket and a cluster in it.

The simulation lives for the session, the operator's environment for one test: it is set by `cloud`, and by nothing that
outlives a test, so that a test without `cloud` meets the environment that pytest was started with.
"""

import contextlib
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.aws import s3_store
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, run_records
from burst.domain.plan import plans, target_sections
from burst.domain.tasks import ecs_requests, services
from burst.kit import aws
from burst.rehearsal import aws_simulation, settings
from tests import event_queue, waiting

BUCKET = "evidence"
CLUSTER = "burst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """The simulated AWS as a test uses it; `name` is new for each test, so that none meets what another left."""

    world: aws_simulation.AwsSimulation
    name: str
    ecs: Any
    s3: Any

    @property
    def place(self) -> str:
        """An S3 place of this test's own."""
        return f"s3://{BUCKET}/{self.name}"

    def register(self, *containers: dict[str, Any], family: str | None = None) -> str:
        """Registers a task definition and returns its pinned revision."""
        answer = self.ecs.register_task_definition(
            family=family or f"burst-{self.name}",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=list(containers),
        )
        definition = answer["taskDefinition"]
        return f"{definition['family']}:{definition['revision']}"

    def start_task(self, definition: str, *, cluster: str, **parameters: Any) -> str:
        """Starts a task as anybody may, and returns its ARN once ECS shows it: a new task is missing for a moment."""
        places = {"awsvpcConfiguration": {"subnets": ["subnet-a"], "securityGroups": ["sg-a"]}}
        launch = {"launchType": "FARGATE", "networkConfiguration": places, **parameters}
        answer = self.ecs.run_task(cluster=cluster, taskDefinition=definition, **launch)
        arn = str(answer["tasks"][0]["taskArn"])
        waiting.until(lambda: self.ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"], what=f"ECS to show {arn}")
        return arn

    def make_schedule_group(self, name: str) -> None:
        """Makes a schedule group, unless another test of this session made one of this name."""
        scheduler = aws.client("scheduler")
        with contextlib.suppress(scheduler.exceptions.ConflictException):
            scheduler.create_schedule_group(Name=name)

    def calls(self, operation: str) -> int:
        """How often an operation was called."""
        return len(self.world.calls(operation=operation))


def target(
    definition: str = "burst:1", *, tasks: int = 2, container: str | None = None
) -> target_sections.TargetSection:
    """Where a plan's tasks run."""
    return target_sections.TargetSection(
        kind="ecs",
        tasks=tasks,
        cluster=CLUSTER,
        task_definition=definition,
        container=container,
        subnets=["subnet-a"],
        security_groups=["sg-a"],
    )


def run(cloud: Cloud, *, seconds: float = 60.0, **fields: Any) -> ecs_requests.RunContext:
    """What tasks are told of a run: a deadline so many seconds from now, and its lease in the test's own place."""
    told: dict[str, Any] = {
        "execution_id": cloud.name,
        "phase": "M10.F",
        "deadline": instants.later(datetime.now(UTC), seconds),
        "control_uri": f"{cloud.place}/control.json",
        "record_uri": f"{cloud.place}/tasks/",
    }
    return ecs_requests.RunContext(**{**told, **fields})


def container(
    name: str = "burst", *, entry_point: Sequence[str] = (), stop_timeout: int = 2, **fields: Any
) -> dict[str, Any]:
    """A container definition as a plan's task definition has it."""
    made = {"name": name, "image": "burst:test", "essential": True, "stopTimeout": stop_timeout, **fields}
    return {**made, "entryPoint": list(entry_point)} if entry_point else made


ENDS_ON_TERM = ("sh", "-c", "trap 'exit 143' TERM; sleep 100 & wait $!")
GUARD = (sys.executable, "-m", "burst.task.guard", "--")


def quick_guard(folder: Path) -> tuple[str, ...]:
    """An entry point that reads as our guard and is a small program, quick to start in batches."""
    entry_point = folder / "burst"
    entry_point.write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    entry_point.chmod(0o755)
    return (str(entry_point), "guard", "--")


def leave_scaled(
    cloud: Cloud, execution_id: str, *, cluster: str, definition: str, service: str, run_control: str
) -> None:
    """A service as a run that died a minute ago left it: with two tasks in place of one, and the run's note of that."""
    cloud.ecs.create_service(
        cluster=cluster, serviceName=service, taskDefinition=definition, desiredCount=2,
        launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-a"]}},
    )  # fmt: skip
    deadline = instants.later(datetime.now(UTC), -60)
    kept = run_records.KeptServices.from_changes(
        execution_id, cluster, deadline, (services.ServiceChange(name=service, before=1, desired=2),)
    )
    s3_store.S3Store(f"{run_control}/services").put_once(document_names.services_name(execution_id), kept.content())


def leave_drill(cloud: Cloud, plan: plans.Plan, *, undone_by: str) -> None:
    """A fault as a run of this plan that died a minute ago left it: caused by its drill `restart-writer`, and noted."""
    deadline = instants.later(datetime.now(UTC), -60)
    execution_id, run_control = str(plan.execution_id), str(plan.evidence.authority)
    content = canonical.encode(plan.document())
    announcement = run_records.Announcement(
        execution_id=execution_id,
        created_utc=instants.later(deadline, -60),
        deadline_utc=deadline,
        early_stop=True,
        barrier=True,
        plan_sha256=canonical.digest(content),
    )
    run = s3_store.S3Store(f"{run_control}/{execution_id}")
    run.put_once(document_names.PLAN, content)
    run.put_once(document_names.RUN, announcement.content())
    kept = run_records.KeptDrill(
        execution_id=execution_id,
        name="restart-writer",
        at_utc=instants.later(deadline, -30),
        deadline_utc=deadline,
        service="writer",
        deployment="ecs-svc/1",
        tasks=["t1"],
        undo=undone_by,
    )
    name = document_names.drill_name(execution_id, kept.name)
    s3_store.S3Store(f"{run_control}/drills").put_once(name, kept.content())


# A bucket that one test empties would throttle the next one, so the shared AWS has no limits that a test could reach.
_ROOMY = settings.RateLimit(burst=100_000, per_second=100_000)
ROOMY = settings.SimulationSettings(
    throttle=settings.Throttle(launch=_ROOMY, read=_ROOMY, register=_ROOMY, tag=_ROOMY, tasks=_ROOMY)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A simulated AWS that is ready, and the operator's clients, which take longer to make than to use."""

    world: aws_simulation.AwsSimulation
    ecs: Any
    s3: Any


@pytest.fixture(scope="session")
def simulated_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The session's AWS. Tests that change its settings start their own instead: this one is shared."""
    with shared(tmp_path_factory.mktemp("aws"), ROOMY) as started:
        yield started


@pytest.fixture
def cloud(simulated_aws: Shared, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The session's AWS, with this process as the operator's."""
    with use(simulated_aws, monkeypatch) as used:
        yield used


@pytest.fixture
def events(cloud: Cloud) -> event_queue.EventQueue:
    """A bus of this test's own, with a queue behind it."""
    return event_queue.make()


@contextlib.contextmanager
def shared(folder: Path, options: settings.SimulationSettings) -> Iterator[Shared]:
    """An AWS with a bucket and a cluster. The environment of this process is afterwards as it was before."""
    with aws_simulation.start(folder, options=options) as running:
        with operating(running):
            started = Shared(world=running, ecs=aws.client("ecs"), s3=aws.client("s3"))
            started.ecs.create_cluster(clusterName=CLUSTER)
            waiting.until(lambda: _has_bucket(started.s3), seconds=30, what="the simulated AWS to have a bucket")
        yield started


@contextlib.contextmanager
def operating(running: aws_simulation.AwsSimulation) -> Iterator[None]:
    """This process is the operator's for as long as the context lasts."""
    with pytest.MonkeyPatch.context() as patch:
        become_operator(running, patch)
        yield


@contextlib.contextmanager
def use(started: Shared, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """This process becomes the operator's until the patch is undone; faults a test leaves end with the context."""
    become_operator(started.world, monkeypatch)
    yield Cloud(world=started.world, name=uuid.uuid4().hex[:12], ecs=started.ecs, s3=started.s3)
    for label in started.world.faults.active():
        started.world.faults.disarm(label)


def become_operator(running: aws_simulation.AwsSimulation, patch: pytest.MonkeyPatch) -> None:
    """The operator's environment, and no AWS variable of any other account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in running.environment.items():
        patch.setenv(name, value)


def _has_bucket(s3: Any) -> bool:
    try:
        aws.call(
            "s3:CreateBucket",
            s3.create_bucket,
            Bucket=BUCKET,
            CreateBucketConfiguration={"LocationConstraint": settings.REGION},
        )
    except errors.Unavailable:
        return False
    except errors.BurstError as exc:
        return aws.error_answer(exc).code == "BucketAlreadyOwnedByYou"
    return True
