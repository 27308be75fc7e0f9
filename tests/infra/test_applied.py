"""The module in a simulated account: applied, planned again without a change, rehearsed with its own plan, destroyed.

What each role is asked for (`recording`) is held against the policies Terraform made: no call is denied, and nothing is
allowed, on no resource, that no call needs, but for what stands in `NEVER_RECORDED` with its reason.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from burst.domain.plan import catalogues
from burst.rehearsal import bootstrap, settings
from burst.rehearsal.permissions import Need
from tests import fixtures_aws, terraforming
from tests.infra import applying, policies, recording
from tests.infra.applying import HERE, Applied

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("terraform")]

ROOT = Path(__file__).parents[2]
Recorded = Mapping[str, list[Need]]
ROLES = ("controller", "consumer", "prune", "task", "counter", "reaper", "execution", "scheduler")

NEVER_RECORDED = {
    (
        "controller", "SeeSurroundings", "ec2:DescribeVpcEndpoints", "*",
    ): "asked only where the routes of a subnet do not decide; the rehearsed network has a NAT gateway",
    (
        "scheduler", "RunReaper", "ecs:RunTask", f"arn:aws:ecs:{HERE}:task-definition/burst-dev-reaper:*",
    ): "an entry names the family, of which AWS runs the newest revision; it does not say which of both it asks for",
    (
        "scheduler", "KeepFailures", "sqs:SendMessage", f"arn:aws:sqs:{HERE}:burst-dev-scheduler-dead-letters",
    ): "Scheduler's own act, after all its retries",
}  # fmt: skip
"""Role, statement, action and resource that no recorded call asks for."""

QUICK = (
    "target.tasks=2", "target.min_tasks=2", "load.rate=1200", "baseline.admits=300", "baseline.seconds=60",
    "gates.multiplier=1.5", "gates.offered_load=0.1", "budget.max=40s", "budget.operator_cap=30s",
    "budget.min_window=4s", "budget.stop_grace=2s",
    "receipts.bucket=1s", "receipts.settle=200ms",
)  # fmt: skip
"""A quarter of an hour of load in four seconds."""
WHOLE = (
    f"services=[{{name: {applying.SERVICE}, desired: 2, environment: {{PLATFORM_RUN: '{{scope}}'}}}}]",
    f"before=[{{name: migrate, task_definition: '{applying.REPORTER}:1', command: ['true'], timeout: 20s}}]",
    "evidence.object_lock={mode: GOVERNANCE, retain: 1d}",
)
"""What a plan may ask of its account besides: these and those above are all that is changed in the plan."""


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    """The module, applied."""
    terraforming.require()
    with applying.applied(tmp_path_factory.mktemp("terraform")) as made:
        yield made


@pytest.fixture(scope="module")
def rehearsed(applied: Applied) -> Mapping[str, Any]:
    """What `burst rehearse` answered for the plan made of Terraform's outputs."""
    outputs, plan = applied.folder / "outputs.json", applied.folder / "plan.yaml"
    outputs.write_text(applied.outputs)
    burst = [sys.executable, "-m", "burst"]
    where = {"cwd": ROOT, "text": True, "capture_output": True, "timeout": 180}
    subprocess.run([*burst, "init", "--target", "ecs", "--from-terraform", outputs, "-o", plan], check=True, **where)  # type: ignore[call-overload]
    changes = [word for change in (*QUICK, *WHOLE, f"evidence.local={applied.folder}") for word in ("--set", change)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [*burst, "rehearse", plan, *changes, "--json"],
        env={**environment, "IG_API_KEY": "a-key-4711"},
        **where,  # type: ignore[call-overload]
    )
    assert done.stdout, done.stderr
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def recorded(
    applied: Applied,
    rehearsed: Mapping[str, Any],
    simulated_aws: fixtures_aws.Shared,
    tmp_path_factory: pytest.TempPathFactory,
) -> Recorded:
    """What each role is asked for."""
    with pytest.MonkeyPatch.context() as patch, fixtures_aws.use(simulated_aws, patch) as cloud:
        return recording.everything(applied, rehearsed, cloud, tmp_path_factory.mktemp("recorded"))


def refused(needs: Sequence[Need], statements: Sequence[policies.Statement]) -> list[Need]:
    return [need for need in needs if not policies.allowed(statements, need)]


def unused(
    role: str, needs: Sequence[Need], statements: Sequence[policies.Statement]
) -> set[tuple[str, str, str, str]]:
    """What a role may do that no need asks for: every action of a statement, on every one of its resources."""
    return {
        (role, statement["Sid"], action, resource)
        for statement in statements
        if statement["Effect"] == "Allow"
        for action in policies.listed(statement["Action"])
        for resource in policies.listed(statement["Resource"])
        if not any(policies.covers({**statement, "Action": action, "Resource": resource}, need) for need in needs)
    }


def test_a_second_plan_changes_nothing(applied: Applied) -> None:
    assert "No changes." in applied.planned_again, applied.planned_again


def test_the_plan_made_of_the_outputs_is_rehearsed_to_a_pass(rehearsed: Mapping[str, Any]) -> None:
    snapshot = rehearsed["snapshot"]

    assert (rehearsed["exit_code"], rehearsed["tasks_left"], snapshot["blockers"]) == (0, 0, [])
    assert snapshot["overall_pass"]


def test_every_role_is_recorded(applied: Applied, recorded: Recorded) -> None:
    assert set(applied.resources("aws_iam_role")) == set(recorded) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_allows_exactly_the_calls_that_are_made_of_it(role: str, applied: Applied, recorded: Recorded) -> None:
    statements, needs = applied.policy(role), recorded[role]

    assert refused(needs, statements) == []
    assert unused(role, needs, statements) == {key for key in NEVER_RECORDED if key[0] == role}


RUN_CONTROL = "arn:aws:s3:::burst-evidence/evidence/dev/run_control"
HALT = f"{RUN_CONTROL}/halt.json"
LEASE = f"{RUN_CONTROL}/m10_1/control.json"
SNAPSHOT = f"{RUN_CONTROL}/m10_1/m10_f_burst_snapshot.json"
DOCUMENT = f"{RUN_CONTROL}/m10_1/m10_f_task_result.json"
IAM = f"arn:aws:iam::{settings.ACCOUNT}:role"
ECS = f"arn:aws:ecs:{HERE}"
SWEEPER = f"arn:aws:scheduler:{HERE}:schedule/burst-dev/burst-dev-sweeper"
IN_CLUSTER = {"ecs:cluster": f"{ECS}:cluster/burst-dev"}
ELSEWHERE = {"ecs:cluster": f"{ECS}:cluster/other"}
TO_TASKS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}

# (role, what it may not do, action, resource, keys of the request); KEY is the key of the bucket
NOT_ALLOWED: list[tuple[str, str, str, str, dict[str, str]]] = [
    ("controller", "launch elsewhere", "ecs:RunTask", f"{ECS}:task-definition/burst-dev-task:1", ELSEWHERE),
    ("controller", "launch the reaper", "ecs:RunTask", f"{ECS}:task-definition/burst-dev-reaper:1", IN_CLUSTER),
    ("controller", "stop elsewhere", "ecs:StopTask", f"{ECS}:task/other/1", {}),
    ("controller", "list elsewhere", "ecs:ListTasks", "*", ELSEWHERE),
    ("controller", "mark after the launch", "ecs:TagResource", f"{ECS}:task/burst-dev/1", {}),
    ("controller", "give a role to another service", "iam:PassRole", f"{IAM}/burst-dev-task",
     {"iam:PassedToService": "lambda.amazonaws.com"}),
    ("controller", "give a task the scheduler's role", "iam:PassRole", f"{IAM}/burst-dev-scheduler", TO_TASKS),
    ("controller", "give a service a role of burst's", "iam:PassRole", f"{IAM}/burst-dev-reaper", TO_TASKS),
    ("reaper", "revise a service", "ecs:RegisterTaskDefinition", "*", {}),
    ("controller", "give a task its own role", "iam:PassRole", f"{IAM}/burst-dev-controller", TO_TASKS),
    ("controller", "delete the sweeper", "scheduler:DeleteSchedule", SWEEPER, {}),
    ("controller", "make the sweeper anew", "scheduler:CreateSchedule", SWEEPER, {}),
    ("controller", "use the key by itself", "kms:Decrypt", "KEY", {}),
    ("controller", "write elsewhere", "s3:PutObject", "arn:aws:s3:::burst-evidence/other/a.json", {}),
    ("controller", "delete", "s3:DeleteObject", DOCUMENT, {}),
    ("controller", "delete a halt of one run", "s3:DeleteObject", f"{RUN_CONTROL}/m10_1/halt.json", {}),
    ("task", "lift a halt", "s3:DeleteObject", HALT, {"s3:if-match": "e"}),
    ("controller", "lift a lock", "s3:BypassGovernanceRetention", DOCUMENT, {}),
    ("controller", "read the DSN", "ssm:GetParameter", f"arn:aws:ssm:{HERE}:parameter{bootstrap.DSN_PARAMETER}", {}),
    ("task", "write the lease", "s3:PutObject", LEASE, {}),
    ("task", "read documents", "s3:GetObject", DOCUMENT, {}),
    ("task", "stop tasks", "ecs:StopTask", f"{ECS}:task/burst-dev/1", {}),
    ("counter", "read the lease", "s3:GetObject", LEASE, {}),
    ("counter", "write documents", "s3:PutObject", DOCUMENT, {}),
    ("reaper", "launch", "ecs:RunTask", f"{ECS}:task-definition/burst-dev-task:1", IN_CLUSTER),
    ("reaper", "stop elsewhere", "ecs:StopTask", f"{ECS}:task/other/1", {}),
    ("reaper", "write the lease", "s3:PutObject", LEASE, {}),
    ("reaper", "list evidence", "s3:ListBucket", "arn:aws:s3:::burst-evidence", {"s3:prefix": "evidence/runs/"}),
    ("reaper", "scale another service", "ecs:UpdateService", f"{ECS}:service/burst-dev/other", {}),
    ("scheduler", "run a burst task", "ecs:RunTask", f"{ECS}:task-definition/burst-dev-task:1", IN_CLUSTER),
    ("scheduler", "run the reaper elsewhere", "ecs:RunTask", f"{ECS}:task-definition/burst-dev-reaper", ELSEWHERE),
    ("scheduler", "give a task another role", "iam:PassRole", f"{IAM}/burst-dev-task", TO_TASKS),
    ("consumer", "write", "s3:PutObject", DOCUMENT, {}),
    ("consumer", "sign", "kms:Sign", applying.SIGNING_KEY, {}),
    ("prune", "write documents", "s3:PutObject", DOCUMENT, {}),
    ("prune", "delete elsewhere", "s3:DeleteObject", "arn:aws:s3:::burst-evidence/other/a.json", {"s3:if-match": "e"}),
    ("execution", "fetch other secrets", "ssm:GetParameters", f"arn:aws:ssm:{HERE}:parameter/other", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "action", "resource", "keys"),
    [(role, *tried) for role, _, *tried in NOT_ALLOWED],
    ids=[f"{role}: {what}" for role, what, *_ in NOT_ALLOWED],
)
def test_a_role_may_not(role: str, action: str, resource: str, keys: dict[str, str], applied: Applied) -> None:
    about = applied.arn("aws_kms_key", "evidence") if resource == "KEY" else resource

    assert not policies.allowed(applied.policy(role), Need(action=action, resource=about, context=keys))


OF_TASKS = {"ArnLike": {"aws:SourceArn": f"{ECS}:*"}}
OF_THE_GROUP = {"ArnEquals": {"aws:SourceArn": f"arn:aws:scheduler:{HERE}:schedule-group/burst-dev"}}
ORIGINS = {"task": OF_TASKS, "counter": OF_TASKS, "reaper": OF_TASKS, "execution": OF_TASKS, "scheduler": OF_THE_GROUP}
"""What a service has to act for, by the role it takes on. The other roles are people's."""


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_taken_on_for_this_account_alone(role: str, applied: Applied) -> None:
    (trust,) = json.loads(applied.resources("aws_iam_role")[role]["assume_role_policy"])["Statement"]

    if role in ORIGINS:
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": settings.ACCOUNT}, **ORIGINS[role]}
    else:
        assert trust["Principal"] == {"AWS": f"arn:aws:iam::{settings.ACCOUNT}:root"}


def test_no_recorded_call_is_denied_by_the_evidence_bucket(applied: Applied, recorded: Recorded) -> None:
    statements = applied.bucket_policy()
    needs = [
        Need(
            action=need.action,
            resource=need.resource,
            context={
                **need.context,
                "aws:SecureTransport": "true",
                "aws:PrincipalArn": applied.arn("aws_iam_role", role),
            },
        )
        for role in ROLES
        for need in recorded[role]
        if need.action.startswith("s3:")
    ]

    assert [(need, sids) for need in needs if (sids := policies.denied_by(statements, need))] == []
    assert {need.action for need in needs} >= {"s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"}


OTHER = "arn:aws:s3:::burst-evidence/evidence/runs/platform_1/m10/plan.json"
PRUNE = f"{IAM}/burst-dev-prune"
CONTROLLER = f"{IAM}/burst-dev-controller"
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
    ("where a master is, told again", "s3:PutObject", f"{RUN_CONTROL}/m10_1/ready/master.json", NEW, []),
    ("a lease of that name in the other place", "s3:PutObject", f"{OTHER}/control.json", NEW, ["WrittenOnce"]),
    ("a part of a multipart upload", "s3:PutObject", DOCUMENT, {"s3:ObjectCreationOperation": "false"}, []),
    ("in the clear", "s3:GetObject", DOCUMENT, {"aws:SecureTransport": "false"}, ["OnlyOverTls"]),
    ("a delete by the controller", "s3:DeleteObject", DOCUMENT,
     {"aws:PrincipalArn": CONTROLLER, "s3:if-match": "e"}, ["OnlyPruneDeletes"]),
    ("a halt lifted by the controller", "s3:DeleteObject", HALT,
     {"aws:PrincipalArn": CONTROLLER, "s3:if-match": "e"}, []),
    ("a halt lifted blindly", "s3:DeleteObject", HALT, {"aws:PrincipalArn": CONTROLLER}, ["PruneNamesTheBytes"]),
    ("a halt written over another", "s3:PutObject", HALT, {**NEW, "aws:PrincipalArn": CONTROLLER}, ["WrittenOnce"]),
    ("a delete by prune", "s3:DeleteObject", DOCUMENT, {"aws:PrincipalArn": PRUNE, "s3:if-match": "e"}, []),
    ("a blind delete by prune", "s3:DeleteObject", DOCUMENT, {"aws:PrincipalArn": PRUNE}, ["PruneNamesTheBytes"]),
    ("a snapshot deleted by prune", "s3:DeleteObject", SNAPSHOT,
     {"aws:PrincipalArn": PRUNE, "s3:if-match": "e"}, ["SnapshotsAndLeasesStay"]),
    *(
        (f"a snapshot of a {kind} deleted by prune", "s3:DeleteObject",
         f"{RUN_CONTROL}/m10_1/m10_g_{kind}_snapshot.json",
         {"aws:PrincipalArn": PRUNE, "s3:if-match": "e"}, ["SnapshotsAndLeasesStay"])
        for kind in catalogues.Kind
    ),
    ("the copy of the prior's snapshot deleted by prune", "s3:DeleteObject", f"{RUN_CONTROL}/m10_1/prior_snapshot.json",
     {"aws:PrincipalArn": PRUNE, "s3:if-match": "e"}, []),
    ("a lease deleted by prune", "s3:DeleteObject", LEASE,
     {"aws:PrincipalArn": PRUNE, "s3:if-match": "e"}, ["SnapshotsAndLeasesStay"]),
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
    key = applied.arn("aws_kms_key", "evidence")
    context = {name: key if value == "KEY" else value for name, value in keys.items()}

    denied = policies.denied_by(
        applied.bucket_policy(),
        Need(action=action, resource=resource, context={"aws:SecureTransport": "true", **context}),
    )

    assert denied == sids


def test_everything_that_was_made_is_destroyed(applied: Applied) -> None:
    left = applied.destroyed.result()

    assert len(applied.everything) > 40
    assert left.get("values") is None
