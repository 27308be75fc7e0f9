"""The module in a simulated account: applied, planned again without a change, rehearsed with its own plan, destroyed.

The rehearsal's record of calls is held against the policies Terraform made: no call is denied, and nothing is allowed
that no call needs, but for what stands in `NEVER_IN_AN_ORDINARY_RUN` with its reason.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from burst.adapters import schedule, system_clock
from burst.domain import instants
from burst.rehearsal import bootstrap, settings
from burst.rehearsal.permissions import Need
from tests import fixtures_aws, terraforming, waiting
from tests.infra import policies

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("terraform")]

ROOT = Path(__file__).parents[2]
ACCOUNT = f"{settings.REGION}:{settings.ACCOUNT}"
ROLES = {
    "operator": "controller",
    "burst-dev-task": "task",
    "burst-dev-counter": "counter",
    "burst-dev-reaper": "reaper",
    "scheduler": "scheduler",
}
"""The role of each caller that the simulated AWS knows."""

NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}
NEVER_IN_AN_ORDINARY_RUN = {
    ("controller", "ArmSchedule", "scheduler:GetSchedule"): "asked only where an entry of the run stood already",
    ("scheduler", "KeepFailures", "sqs:SendMessage"): "Scheduler's own act after all its retries",
    **{
        ("reaper", sid, action): "only where a run scaled services and died"
        for sid, action in (
            ("ServicesNoted", "s3:GetObject"),
            ("ServicesNoted", "s3:PutObject"),
            ("ListServicesNoted", "s3:ListBucket"),
            ("EvidenceKey", "kms:GenerateDataKey"),
            ("EvidenceKey", "kms:Decrypt"),
        )
    },
}

QUICK = (
    "target.tasks=2", "target.min_tasks=2", "load.rate=1200", "baseline.admits=300", "baseline.seconds=60",
    "gates.multiplier=1.5", "budget.max=40s", "budget.operator_cap=30s", "budget.min_window=4s", "budget.stop_grace=2s",
    "receipts.bucket=1s", "receipts.settle=200ms",
)  # fmt: skip
"""A quarter of an hour of load in four seconds: all that is changed in the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The module as it stands in the account."""

    terraform: terraforming.Terraform
    folder: Path
    state: Mapping[str, Any]

    def resources(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """The values of all resources of a kind, by name."""
        found = self.state["values"]["root_module"]["child_modules"][0]["resources"]
        return {one["name"]: one["values"] for one in found if one["type"] == kind and one["mode"] == "managed"}

    def policy(self, role: str) -> list[policies.Statement]:
        """The statements of a role."""
        statements: list[policies.Statement] = json.loads(self.resources("aws_iam_role_policy")[role]["policy"])[
            "Statement"
        ]
        return statements

    def bucket_policy(self) -> list[policies.Statement]:
        """The statements of the evidence bucket."""
        statements: list[policies.Statement] = json.loads(self.resources("aws_s3_bucket_policy")["evidence"]["policy"])[
            "Statement"
        ]
        return statements


@contextlib.contextmanager
def account(folder: Path) -> Iterator[dict[str, str]]:
    """An account in moto; gives the environment that leads there."""
    log = folder / "moto.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=output,
            stderr=output,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        )
    try:
        found = waiting.until(
            lambda: re.search(r"Running on (http://127[\d.]+:\d+)", log.read_text()), seconds=60, what="moto to listen"
        )
        yield {
            "AWS_ENDPOINT_URL": found[1],
            "AWS_ACCESS_KEY_ID": "AKIATERRAFORM",
            "AWS_SECRET_ACCESS_KEY": "terraform",
            "AWS_REGION": settings.REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        process.terminate()
        process.wait()


def network(environment: Mapping[str, str]) -> dict[str, Any]:
    """What an account has before burst comes: a VPC, subnets, the security group of the database."""
    ec2 = boto3.Session().client(
        "ec2",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=settings.REGION,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    group = ec2.create_security_group(GroupName="postgres", Description="postgres", VpcId=vpc)
    return {
        "vpc_id": vpc,
        "subnet_ids": sorted(subnet["SubnetId"] for subnet in subnets)[:2],
        "postgres_security_group_id": group["GroupId"],
    }


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    """The minimal example, applied."""
    terraforming.require()
    folder = tmp_path_factory.mktemp("terraform")
    with account(folder) as environment:
        copied = terraforming.copy(folder, "minimal")
        terraform = terraforming.Terraform(folder=copied.folder, environment=environment)
        variables = {
            "region": settings.REGION,
            "image": f"{settings.ACCOUNT}.dkr.ecr.{settings.REGION}.amazonaws.com/burst@sha256:{'0' * 64}",
            "evidence_bucket": "burst-evidence",
            "api_key_arn": f"arn:aws:ssm:{ACCOUNT}:parameter{bootstrap.API_KEY_PARAMETER}",
            "receipts_dsn_arn": f"arn:aws:ssm:{ACCOUNT}:parameter{bootstrap.DSN_PARAMETER}",
            "ingest_url": "http://ingest.internal:8080",
            "ingest_cidr_blocks": ["10.0.0.0/8"],
            **network(environment),
        }
        (terraform.folder / "terraform.tfvars.json").write_text(json.dumps(variables))
        # The provider waits a minute for a lifecycle rule to be seen ten times; the module's own tests hold that rule.
        (terraform.folder / "quick_override.tf").write_text('module "burst" {\n  old_version_days = null\n}\n')
        terraform.init()
        terraform.run("apply", "-auto-approve", "-input=false", "-no-color")
        yield Applied(terraform=terraform, folder=folder, state=terraform.json("show", "-json"))


@pytest.fixture(scope="module")
def rehearsed(applied: Applied) -> Mapping[str, Any]:
    """What `burst rehearse` answered for the plan made of Terraform's outputs."""
    outputs, plan = applied.folder / "outputs.json", applied.folder / "plan.yaml"
    outputs.write_text(applied.terraform.run("output", "-json").stdout)
    burst = [sys.executable, "-m", "burst"]
    where = {"cwd": ROOT, "text": True, "capture_output": True, "timeout": 180}
    subprocess.run([*burst, "init", "--target", "ecs", "--from-terraform", outputs, "-o", plan], check=True, **where)  # type: ignore[call-overload]
    changes = [word for change in (*QUICK, f"evidence.local={applied.folder}") for word in ("--set", change)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [*burst, "rehearse", plan, *changes, "--json"],
        env={**environment, "IG_API_KEY": "a-key-4711"},
        **where,  # type: ignore[call-overload]
    )
    assert done.stdout, done.stderr
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def asked(rehearsed: Mapping[str, Any], principal: str) -> list[Need]:
    """What a caller of the rehearsal would have been asked for, its one log group taken for the counter's."""
    text = Path(rehearsed["permissions"]).read_text()
    found = json.loads(text.replace(f"log-group:{bootstrap.LOG_GROUP}:", "log-group:/burst/dev/counter:"))["needs"]
    return [
        Need(action=one["action"], resource=one["resource"], context=one["context"])
        for one in found
        if one["principal"] == principal and one["action"] not in NEEDS_NO_PERMISSION
    ]


def beside(need: Need, applied: Applied) -> list[Need]:
    """What AWS asks for beside a need, without a trace in the call: the evidence key, and the roles of a task."""
    key = str(applied.resources("aws_kms_key")["evidence"]["arn"])
    by_s3 = {"kms:ViaService": f"s3.{settings.REGION}.amazonaws.com"}
    if need.action == "s3:PutObject":
        return [Need(action="kms:GenerateDataKey", resource=key, context=by_s3)]
    if need.action == "s3:GetObject":
        return [Need(action="kms:Decrypt", resource=key, context=by_s3)]
    if need.action == "ecs:RunTask":
        families = {str(one["family"]): one for one in applied.resources("aws_ecs_task_definition").values()}
        family = need.resource.rpartition("/")[2].partition(":")[0]
        roles = [str(families[family][name]) for name in ("task_role_arn", "execution_role_arn")]
        passed = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        return [Need(action="iam:PassRole", resource=role, context=passed) for role in roles]
    return []


def refused(needs: Sequence[Need], statements: Sequence[policies.Statement]) -> list[Need]:
    return [need for need in needs if not policies.allowed(statements, need)]


def unused(role: str, needs: Sequence[Need], statements: Sequence[policies.Statement]) -> set[tuple[str, str, str]]:
    """What a role may do that no need asks for: every action of a statement on every one of its resources."""
    return {
        (role, statement["Sid"], action)
        for statement in statements
        for action in policies.listed(statement["Action"])
        if not any(policies.covers({**statement, "Action": action}, need) for need in needs)
    }


def test_a_second_plan_changes_nothing(applied: Applied) -> None:
    shown = applied.terraform.run("plan", "-detailed-exitcode", "-input=false", "-no-color", codes=(0, 2))

    assert "No changes." in shown.stdout, shown.stdout


def test_the_plan_made_of_the_outputs_is_rehearsed_to_a_pass(rehearsed: Mapping[str, Any]) -> None:
    snapshot = rehearsed["snapshot"]

    assert (rehearsed["exit_code"], rehearsed["tasks_left"], snapshot["blockers"]) == (0, 0, [])
    assert snapshot["overall_pass"]


@pytest.mark.parametrize("principal", ["operator", "burst-dev-task", "burst-dev-counter"])
def test_a_role_allows_exactly_the_calls_that_are_made_of_it(
    principal: str, applied: Applied, rehearsed: Mapping[str, Any]
) -> None:
    role = ROLES[principal]
    statements = applied.policy(role)
    direct = asked(rehearsed, principal)
    needs = [*direct, *(more for need in direct for more in beside(need, applied))]

    assert refused(needs, statements) == []
    assert unused(role, needs, statements) - NEVER_IN_AN_ORDINARY_RUN.keys() == set()


def test_no_call_of_a_rehearsed_run_is_denied_by_the_evidence_bucket(
    applied: Applied, rehearsed: Mapping[str, Any]
) -> None:
    statements = applied.bucket_policy()
    needs = [
        Need(action=need.action, resource=need.resource, context={**need.context, "aws:SecureTransport": "true"})
        for principal in ("operator", "burst-dev-task", "burst-dev-counter")
        for need in asked(rehearsed, principal)
        if need.action.startswith("s3:")
    ]

    assert [(need, sids) for need in needs if (sids := policies.denied_by(statements, need))] == []
    assert {need.action for need in needs} >= {"s3:PutObject", "s3:GetObject", "s3:ListBucket"}


def test_reaper_and_scheduler_may_do_exactly_what_ending_an_overdue_task_takes(
    applied: Applied, cloud: fixtures_aws.Cloud
) -> None:
    calls = overdue_task_ended(cloud)
    for principal in ("burst-dev-reaper", "scheduler"):
        role = ROLES[principal]
        direct = [Need(**need) for call in calls if call.principal == principal for need in call.needs]
        needs = [*direct, *(more for need in direct for more in beside(need, applied))]

        assert refused(needs, applied.policy(role)) == []
        assert unused(role, needs, applied.policy(role)) - NEVER_IN_AN_ORDINARY_RUN.keys() == set()


def overdue_task_ended(cloud: fixtures_aws.Cloud) -> list[Any]:
    """The calls made while a schedule entry fires, and the reaper it runs ends a task past its deadline."""
    cloud.ecs.create_cluster(clusterName="burst-dev")
    ends = fixtures_aws.container(entry_point=fixtures_aws.ENDS_ON_TERM)
    task = cloud.register(ends, family="burst-dev-task")
    cluster = [{"name": "BURST_CLUSTER", "value": "burst-dev"}]
    cloud.register(fixtures_aws.container("reaper", environment=cluster), family="burst-dev-reaper")
    places = {"awsvpcConfiguration": {"subnets": ["subnet-a"], "securityGroups": ["sg-a"]}}
    overdue = cloud.ecs.run_task(
        cluster="burst-dev",
        taskDefinition=task,
        launchType="FARGATE",
        networkConfiguration=places,
        startedBy=f"burst/{cloud.name}",
        tags=[{"key": "burst:deadline", "value": instants.text(instants.later(datetime.now(UTC), -60))}],
    )["tasks"][0]["taskArn"]
    boto3.Session().client("scheduler", region_name=settings.REGION).create_schedule_group(Name="burst-dev")
    before = len(cloud.world.calls())
    schedule.Scheduler("burst-dev", clock=system_clock.SystemClock(), soonest_seconds=1).arm(
        cloud.name,
        due_at=datetime.now(UTC),
        reaper=schedule.ReaperTask(
            cluster_arn=f"arn:aws:ecs:{ACCOUNT}:cluster/burst-dev",
            task_definition_arn=f"arn:aws:ecs:{ACCOUNT}:task-definition/burst-dev-reaper",
            container="reaper",
            role_arn=f"arn:aws:iam::{settings.ACCOUNT}:role/burst-dev-scheduler",
            subnets=("subnet-a",),
            security_groups=("sg-a",),
        ),
    )

    def ended() -> bool:
        here = [one for one in cloud.world.containers() if "/burst-dev/" in one.task_arn]
        return {one.name for one in here} == {"burst", "reaper"} and not any(one.running for one in here)

    waiting.until(ended, seconds=40, what=f"the reaper to end {overdue}, and then itself")
    return cloud.world.calls()[before:]


LEASE = "arn:aws:s3:::burst-evidence/evidence/dev/run_control/m10_1/control.json"
DOCUMENT = "arn:aws:s3:::burst-evidence/evidence/dev/run_control/m10_1/m10_f_burst_snapshot.json"
OTHER = "arn:aws:s3:::burst-evidence/evidence/runs/platform_1/m10/plan.json"
PRUNE = "arn:aws:iam::123456789012:role/burst-dev-prune"
CONTROLLER = "arn:aws:iam::123456789012:role/burst-dev-controller"
SSE = "s3:x-amz-server-side-encryption"
NEW = {"s3:ObjectCreationOperation": "true"}
ONCE = {**NEW, "s3:if-none-match": "*"}

# (what is tried, action, resource, keys of the request, the statements that deny it)
TRIED: list[tuple[str, str, str, dict[str, str], list[str]]] = [
    ("a document, once", "s3:PutObject", DOCUMENT, ONCE, []),
    ("a document without if-none-match", "s3:PutObject", DOCUMENT, NEW, ["WrittenOnce"]),
    ("a document over one that is known", "s3:PutObject", DOCUMENT, {**NEW, "s3:if-match": "e"}, ["WrittenOnce"]),
    ("the other place, without if-none-match", "s3:PutObject", OTHER, NEW, ["WrittenOnce"]),
    ("a lease, swapped", "s3:PutObject", LEASE, {**NEW, "s3:if-match": "e"}, []),
    ("a STOP over a lease nobody can read", "s3:PutObject", LEASE, NEW, []),
    ("a lease of that name in the other place", "s3:PutObject", f"{OTHER}/control.json", NEW, ["WrittenOnce"]),
    ("a part of a multipart upload", "s3:PutObject", DOCUMENT, {"s3:ObjectCreationOperation": "false"}, []),
    ("in the clear", "s3:GetObject", DOCUMENT, {"aws:SecureTransport": "false"}, ["OnlyOverTls"]),
    ("a delete by the controller", "s3:DeleteObject", DOCUMENT,
     {"aws:PrincipalArn": CONTROLLER, "s3:if-match": "e"}, ["OnlyPruneDeletes"]),
    ("a delete by prune", "s3:DeleteObject", DOCUMENT, {"aws:PrincipalArn": PRUNE, "s3:if-match": "e"}, []),
    ("a blind delete by prune", "s3:DeleteObject", DOCUMENT, {"aws:PrincipalArn": PRUNE}, ["PruneNamesTheBytes"]),
    ("a version deleted by prune", "s3:DeleteObjectVersion", DOCUMENT,
     {"aws:PrincipalArn": PRUNE, "s3:if-match": "e"}, ["NothingIsDestroyed"]),
    ("a lock lifted", "s3:BypassGovernanceRetention", DOCUMENT, {}, ["NothingIsDestroyed"]),
    ("under the bucket's key", "s3:PutObject", DOCUMENT, {**ONCE, SSE: "aws:kms", f"{SSE}-aws-kms-key-id": "KEY"}, []),
    ("under another key", "s3:PutObject", DOCUMENT,
     {**ONCE, SSE: "aws:kms", f"{SSE}-aws-kms-key-id": "arn:aws:kms:eu-west-2:123456789012:key/other"},
     ["OnlyUnderOurKey"]),
    ("under AWS's own key", "s3:PutObject", DOCUMENT, {**ONCE, SSE: "aws:kms"}, ["OnlyUnderOurKey"]),
    ("without a key", "s3:PutObject", DOCUMENT, {**ONCE, SSE: "AES256"}, ["OnlyUnderOurKey"]),
    ("under the caller's own key", "s3:PutObject", DOCUMENT,
     {**ONCE, f"{SSE}-customer-algorithm": "AES256"}, ["NoKeyOfTheCaller"]),
]  # fmt: skip


@pytest.mark.parametrize(("action", "resource", "keys", "sids"), [t[1:] for t in TRIED], ids=[t[0] for t in TRIED])
def test_the_evidence_bucket_takes_and_refuses(
    action: str, resource: str, keys: dict[str, str], sids: list[str], applied: Applied
) -> None:
    key = str(applied.resources("aws_kms_key")["evidence"]["arn"])
    context = {name: key if value == "KEY" else value for name, value in keys.items()}

    denied = policies.denied_by(
        applied.bucket_policy(),
        Need(action=action, resource=resource, context={"aws:SecureTransport": "true", **context}),
    )

    assert denied == sids


def test_everything_that_was_made_is_destroyed(applied: Applied) -> None:
    made = len(applied.state["values"]["root_module"]["child_modules"][0]["resources"])

    applied.terraform.run("destroy", "-auto-approve", "-input=false", "-no-color")

    assert made > 40
    assert applied.terraform.json("show", "-json").get("values") is None
