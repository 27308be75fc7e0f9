"""What a plan expects to find in its AWS account, made in a simulated one from the plan alone.

Names come from the plan, so that it runs unchanged: its buckets, cluster and pinned task definition (earlier
revisions are registered to reach it), the reaper's task definition, the scheduler's group and role, the API key.
"""

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.kit import aws
from burst.rehearsal import settings, world

API_KEY_PARAMETER = "/burst/rehearsal/api_key"
DSN_PARAMETER = "/burst/rehearsal/receipts_dsn"
LOG_GROUP = "/burst/rehearsal"
SERVICE_COUNT = 1
"""How many of each service there are before the burst."""
SWEEP_MINUTES = 5
READY_SECONDS = 60.0
_LIFESPAN = "trap 'exit 0' TERM; sleep \"$BURST_BUDGET_SECONDS\" & wait $!; exit 64"


def furnish(plan: plans.Plan, *, python: str, api_key: str | None, dsn: str | None = None) -> None:
    """Makes everything the plan names. `python` is the interpreter the containers' programs run under, `dsn` what its
    counting task is told, where it has one.

    Raises `errors.Unavailable` when the simulation does not come up.
    """
    _buckets(plan)
    counted_there = plan.receipts.via == "task"
    for name, value in ((API_KEY_PARAMETER, api_key), (DSN_PARAMETER, dsn if counted_there else None)):
        if value is not None:
            _once(
                "ssm:PutParameter",
                aws.client("ssm").put_parameter,
                Name=name,
                Value=value,
                Type="SecureString",
                Overwrite=True,  # a plan of other secrets may have been here before
            )
    _once("logs:CreateLogGroup", aws.client("logs").create_log_group, logGroupName=LOG_GROUP)
    ecs = aws.client("ecs")
    _once("ecs:CreateCluster", ecs.create_cluster, clusterName=plan.target.cluster)
    _register(ecs, str(plan.target.task_definition), _burst_task(plan, python, api_key))
    _one_shots(plan, ecs, python)
    _services(plan, ecs)
    _scheduler(plan, ecs)
    network = [*(plan.target.subnets or ()), *(plan.target.security_groups or ())]
    if counted_there:
        _register(ecs, plan.counter, [_counter(plan)])
    world.know_network(os.environ["AWS_ENDPOINT_URL"], network)


def _once(action: str, operation: Any, /, **parameters: Any) -> Mapping[str, Any] | None:
    """A creation; something already there under the name is what was wanted."""
    try:
        return aws.call(action, operation, **parameters)
    except errors.Unavailable:
        raise
    except errors.BurstError as exc:
        code = aws.error_answer(exc).code
        if not any(word in code for word in ("Already", "Exists", "Conflict")):
            raise
    return None


def _buckets(plan: plans.Plan) -> None:
    """The evidence buckets, versioned as infra/ has them; the first one waits for the simulation to be up."""
    s3 = aws.client("s3")
    places = (*plan.evidence.control_places, *plan.evidence.scoped_places)
    how = {
        "CreateBucketConfiguration": {"LocationConstraint": settings.REGION},
        "ObjectLockEnabledForBucket": plan.evidence.object_lock is not None,
    }
    give_up_at = time.monotonic() + READY_SECONDS
    for bucket in sorted({place.removeprefix("s3://").partition("/")[0] for place in places}):
        while True:
            try:
                _once("s3:CreateBucket", s3.create_bucket, Bucket=bucket, **how)
                break
            except errors.Unavailable:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.2)
        versioned = {"Status": "Enabled"}
        aws.call("s3:PutBucketVersioning", s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=versioned)


def _burst_task(plan: plans.Plan, python: str, api_key: str | None) -> list[dict[str, Any]]:
    container: dict[str, Any] = {
        "name": plan.target.container or "burst",
        "image": "burst:rehearsal",
        "essential": True,
        "entryPoint": [python, "-m", "burst.task.guard", "--"],
        "stopTimeout": max(2, min(120, round(plan.budget.stop_grace) + 1)),
        "logConfiguration": _logs("burst"),
    }
    if api_key is not None:
        container["secrets"] = [{"name": "IG_API_KEY", "valueFrom": API_KEY_PARAMETER}]
    lifespan = {
        "name": "lifespan",
        "image": "burst:rehearsal",
        "essential": True,
        "entryPoint": ["sh", "-c", _LIFESPAN],
        "stopTimeout": 2,
    }
    return [container, lifespan]


def _counter(plan: plans.Plan) -> dict[str, Any]:
    return {
        "name": plan.receipts.counting_task.container,
        "image": "burst:rehearsal",
        "essential": True,
        "secrets": [{"name": "BURST_RECEIPTS_DSN", "valueFrom": DSN_PARAMETER}],
        "stopTimeout": 10,
        "logConfiguration": _logs("counter"),
    }


def _logs(prefix: str) -> dict[str, Any]:
    return {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": LOG_GROUP,
            "awslogs-region": settings.REGION,
            "awslogs-stream-prefix": prefix,
            "mode": "blocking",
        },
    }


def _register(ecs: Any, pinned: str, containers: list[dict[str, Any]]) -> None:
    """Registers a family until its revision is the pinned one."""
    family, _, revision = pinned.rpartition("/")[2].partition(":")
    for _ in range(int(revision or 1)):
        aws.call(
            "ecs:RegisterTaskDefinition",
            ecs.register_task_definition,
            family=family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=containers,
        )


def _one_shots(plan: plans.Plan, ecs: Any, python: str) -> None:
    """The task definitions of what runs before and after the burst, under our guard as burst's image has it."""
    made: dict[str, list[dict[str, Any]]] = {}
    for shot in (*plan.before, *plan.after):
        container = {
            "name": shot.container or "one-shot",
            "image": "burst:rehearsal",
            "essential": True,
            "entryPoint": [python, "-m", "burst.task.guard", "--"],
            "stopTimeout": max(2, min(120, round(plan.budget.stop_grace) + 1)),
            "logConfiguration": _logs("one-shot"),
        }
        containers = made.setdefault(str(shot.task_definition), [])
        if container["name"] not in {one["name"] for one in containers}:
            containers.append(container)
    for pinned, containers in made.items():
        _register(ecs, pinned, containers)


def _services(plan: plans.Plan, ecs: Any) -> None:
    for service in plan.services:
        _once(
            "ecs:CreateService",
            ecs.create_service,
            cluster=plan.target.cluster,
            serviceName=service.name,
            taskDefinition=plan.target.task_definition,
            desiredCount=SERVICE_COUNT,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": plan.target.subnets}},
        )


def _scheduler(plan: plans.Plan, ecs: Any) -> None:
    reaper = plan.reaper(settings.ACCOUNT)
    container = {
        "name": "reaper",
        "image": "burst:rehearsal",
        "essential": True,
        "environment": [
            {"name": "BURST_CLUSTER", "value": str(plan.target.cluster)},
            {"name": "BURST_RUN_CONTROL", "value": str(plan.evidence.authority)},
        ],
        "stopTimeout": 10,
        "logConfiguration": _logs("reaper"),
    }
    _register(ecs, f"{reaper.task_definition.partition(':')[0]}:1", [container])
    _once("scheduler:CreateScheduleGroup", aws.client("scheduler").create_schedule_group, Name=reaper.group)
    trust = '{"Version":"2012-10-17","Statement":[]}'
    name = reaper.role_arn.rpartition("/")[2]
    _once("iam:CreateRole", aws.client("iam").create_role, RoleName=name, AssumeRolePolicyDocument=trust)
    arn = f"arn:aws:ecs:{settings.REGION}:{settings.ACCOUNT}"
    command = ["burst", "reap", "--all", "--cluster", str(plan.target.cluster)]
    _once(
        "scheduler:CreateSchedule",
        aws.client("scheduler").create_schedule,
        Name=f"burst-{plan.environment}-sweeper",
        GroupName=reaper.group,
        ScheduleExpression=f"rate({SWEEP_MINUTES} minutes)",
        StartDate=datetime.now(UTC) + timedelta(minutes=SWEEP_MINUTES),  # in an account it has long been running
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": f"{arn}:cluster/{plan.target.cluster}",
            "RoleArn": reaper.role_arn,
            "Input": json.dumps({"containerOverrides": [{"name": "reaper", "command": command}]}),
            "EcsParameters": {
                "TaskDefinitionArn": f"{arn}:task-definition/{reaper.task_definition.partition(':')[0]}",
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": plan.target.subnets}},
            },
        },
    )
