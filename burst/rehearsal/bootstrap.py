"""Creates in a simulated AWS account everything that a plan expects to find there, from the plan alone.

Names come from the plan, so that it runs unchanged: its buckets, cluster and task definitions under the revisions that
it pins, the reaper's task definition, the scheduler's group and role, and the API key.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from burst.domain.basics import errors
from burst.domain.plan import plans, target_sections
from burst.kit import aws
from burst.rehearsal import aws_simulation, settings

API_KEY_PARAMETER = "/burst/rehearsal/api_key"
DSN_PARAMETER = "/burst/rehearsal/receipts_dsn"
LOG_GROUP = "/burst/rehearsal"
SERVICE_COUNT = 1
"""The desired count of each service before the burst."""
SWEEP_MINUTES = 5
READY_SECONDS = 60.0
RETRY_SECONDS = 0.2
_EXISTS_WORDS = ("Already", "Exists", "Conflict", "not idempotent")
"""The words with which AWS refuses to create a resource again; the last ones are those of CreateService."""
_LIFESPAN = "trap 'exit 0' TERM; sleep \"$BURST_BUDGET_SECONDS\" & wait $!; exit 64"


def furnish_account(plan: plans.Plan, *, python: str, api_key: str | None, dsn: str | None = None) -> None:
    """Creates everything the plan names. `python` runs the containers' programs; `dsn` is for a counting task.

    Raises `errors.Unavailable` if the simulation does not start.
    """
    _create_buckets(plan)
    has_counting_task = plan.receipts.via == "task"
    for name, value in ((API_KEY_PARAMETER, api_key), (DSN_PARAMETER, dsn if has_counting_task else None)):
        if value is not None:
            _create(
                "ssm:PutParameter",
                aws.client("ssm").put_parameter,
                Name=name,
                Value=value,
                Type="SecureString",
                Overwrite=True,  # the account may hold the secrets of an earlier plan
            )
    _create("logs:CreateLogGroup", aws.client("logs").create_log_group, logGroupName=LOG_GROUP)
    ecs = aws.client("ecs")
    _create("ecs:CreateCluster", ecs.create_cluster, clusterName=plan.target.cluster)
    _register(str(plan.target.task_definition), _burst_containers(plan, python, api_key))
    _register_one_shots(plan, python)
    _create_services(plan, ecs)
    _create_sweeper(plan)
    if has_counting_task:
        _register(plan.counter, [_counter_container(plan)])
    network = [*(plan.target.subnets or ()), *(plan.target.security_groups or ())]
    _repeat(lambda: aws_simulation.add_network(_address(), network))


def _create(action: str, operation: Any, /, **parameters: Any) -> Mapping[str, Any] | None:
    """Creates a resource. Returns None if one of this name exists already, which is fine."""
    try:
        return _call(action, operation, **parameters)
    except errors.Unavailable:
        raise
    except errors.BurstError as exc:
        answer = aws.error_answer(exc)
        if not any(word in f"{answer.code} {answer.message}" for word in _EXISTS_WORDS):
            raise
    return None


def _call(action: str, operation: Any, /, **parameters: Any) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = _repeat(lambda: aws.call(action, operation, **parameters))
    return answer


def _repeat(act: Callable[[], Any]) -> Any:
    """An act that is repeated for up to `READY_SECONDS`: the simulation may be starting, or the machine be busy.

    Every act here may be carried out twice, because one that timed out may have been.
    """
    give_up_at = time.monotonic() + READY_SECONDS
    while True:
        try:
            return act()
        except errors.Unavailable:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(RETRY_SECONDS)


def _address() -> str:
    return os.environ["AWS_ENDPOINT_URL"]


def _create_buckets(plan: plans.Plan) -> None:
    """Creates the evidence buckets with versioning, as infra/ does."""
    s3 = aws.client("s3")
    places = (*plan.evidence.control_places, *plan.evidence.scoped_places)
    parameters = {
        "CreateBucketConfiguration": {"LocationConstraint": settings.REGION},
        "ObjectLockEnabledForBucket": plan.evidence.object_lock is not None,
    }
    for bucket in sorted({place.removeprefix("s3://").partition("/")[0] for place in places}):
        _create("s3:CreateBucket", s3.create_bucket, Bucket=bucket, **parameters)
        versioning = {"Status": "Enabled"}
        _call("s3:PutBucketVersioning", s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=versioning)


def _burst_containers(plan: plans.Plan, python: str, api_key: str | None) -> list[dict[str, Any]]:
    burst = _guarded_container(plan, python, plan.target.container or "burst", log_prefix="burst")
    if api_key is not None:
        burst["secrets"] = [{"name": "IG_API_KEY", "valueFrom": API_KEY_PARAMETER}]
    lifespan = {
        "name": "lifespan",
        "image": "burst:rehearsal",
        "essential": True,
        "entryPoint": ["sh", "-c", _LIFESPAN],
        "stopTimeout": 2,
    }
    return [burst, lifespan]


def _guarded_container(plan: plans.Plan, python: str, name: str, *, log_prefix: str) -> dict[str, Any]:
    """A container whose command runs under burst's guard, as in burst's image."""
    return {
        "name": name,
        "image": "burst:rehearsal",
        "essential": True,
        "entryPoint": [python, "-m", "burst.task.guard", "--"],
        "stopTimeout": max(2, min(120, round(plan.budget.stop_grace) + 1)),
        "logConfiguration": _log_configuration(log_prefix),
    }


def _counter_container(plan: plans.Plan) -> dict[str, Any]:
    return {
        "name": plan.receipts.counting_task.container,
        "image": "burst:rehearsal",
        "essential": True,
        "secrets": [{"name": "BURST_RECEIPTS_DSN", "valueFrom": DSN_PARAMETER}],
        "stopTimeout": 10,
        "logConfiguration": _log_configuration("counter"),
    }


def _log_configuration(prefix: str) -> dict[str, Any]:
    return {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": LOG_GROUP,
            "awslogs-region": settings.REGION,
            "awslogs-stream-prefix": prefix,
            "mode": "blocking",
        },
    }


def _register(pinned: str, containers: list[dict[str, Any]]) -> None:
    """Registers a family's task definition under the pinned revision. One that is registered already stays."""
    family, _, revision = pinned.rpartition("/")[2].partition(":")
    _repeat(
        lambda: aws_simulation.register_definition(
            _address(),
            family,
            int(revision or 1),
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=containers,
        )
    )


def _register_one_shots(plan: plans.Plan, python: str) -> None:
    """Registers the task definitions of one-shot tasks, those of drills among them, under burst's guard."""
    containers_by_definition: dict[str, list[dict[str, Any]]] = {}
    programs = [(shot.task_definition, shot.container) for shot in (*plan.before, *plan.after)]
    programs += [(drill.task_definition, drill.container) for drill in plan.drills if drill.task_definition]
    for definition, name in programs:
        container = _guarded_container(plan, python, name or "one-shot", log_prefix="one-shot")
        containers = containers_by_definition.setdefault(str(definition), [])
        if container["name"] not in {each["name"] for each in containers}:
            containers.append(container)
    for pinned, containers in containers_by_definition.items():
        _register(pinned, containers)


def _create_services(plan: plans.Plan, ecs: Any) -> None:
    sections = {service.name: service for service in plan.services}
    restarted = [drill.restart.service for drill in plan.drills if drill.restart is not None]
    for name in dict.fromkeys([*sections, *restarted]):
        section = sections.get(name, target_sections.ServiceSection(name=name, desired=SERVICE_COUNT))
        container = {"name": section.container or "service", "image": "service:rehearsal", "essential": True}
        for pinned in (f"{name}:1", section.task_definition):
            if pinned is not None:
                _register(pinned, [container])
        _create(
            "ecs:CreateService",
            ecs.create_service,
            cluster=plan.target.cluster,
            serviceName=name,
            taskDefinition=f"{name}:1",
            desiredCount=SERVICE_COUNT,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": plan.target.subnets}},
        )


def _create_sweeper(plan: plans.Plan) -> None:
    """Registers the reaper, and creates its schedule group, its role and the schedule of the sweeper."""
    reaper = plan.reaper(settings.ACCOUNT)
    family = reaper.task_definition.rpartition("/")[2].partition(":")[0]
    _register(reaper.task_definition, [_reaper_container(plan)])
    scheduler = aws.client("scheduler")
    _create("scheduler:CreateScheduleGroup", scheduler.create_schedule_group, Name=reaper.group)
    trust = '{"Version":"2012-10-17","Statement":[]}'
    role = reaper.role_arn.rpartition("/")[2]
    _create("iam:CreateRole", aws.client("iam").create_role, RoleName=role, AssumeRolePolicyDocument=trust)
    arn = f"arn:aws:ecs:{settings.REGION}:{settings.ACCOUNT}"
    command = ["burst", "reap", "--all", "--cluster", str(plan.target.cluster)]
    _create(
        "scheduler:CreateSchedule",
        scheduler.create_schedule,
        Name=f"burst-{plan.environment}-sweeper",
        GroupName=reaper.group,
        ScheduleExpression=f"rate({SWEEP_MINUTES} minutes)",
        # A `rate()` first fires when it starts, and in a real account it started long ago.
        StartDate=datetime.now(UTC) + timedelta(minutes=SWEEP_MINUTES),
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": f"{arn}:cluster/{plan.target.cluster}",
            "RoleArn": reaper.role_arn,
            "Input": json.dumps({"containerOverrides": [{"name": "reaper", "command": command}]}),
            "EcsParameters": {
                "TaskDefinitionArn": f"{arn}:task-definition/{family}",
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": plan.target.subnets}},
            },
        },
    )


def _reaper_container(plan: plans.Plan) -> dict[str, Any]:
    return {
        "name": "reaper",
        "image": "burst:rehearsal",
        "essential": True,
        "environment": [
            {"name": "BURST_CLUSTER", "value": str(plan.target.cluster)},
            {"name": "BURST_RUN_CONTROL", "value": str(plan.evidence.authority)},
        ],
        "stopTimeout": 10,
        "logConfiguration": _log_configuration("reaper"),
    }
