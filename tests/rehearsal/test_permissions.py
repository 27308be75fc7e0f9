"""What IAM would be asked for a call, read from the call itself."""

import json
from typing import Any

import pytest

from burst.rehearsal import aws_requests, permissions

KEY = "AWS4-HMAC-SHA256 Credential={key}/20260221/eu-west-2/{service}/aws4_request, SignedHeaders=host"
ARN = "arn:aws:{}:eu-west-2:123456789012:{}"
CLUSTER = ARN.format("ecs", "cluster/burst-dev")


def asked(
    service: str,
    method: str = "POST",
    target: str = "/",
    body: Any = None,
    key: str = aws_requests.OPERATOR_KEY,
    **headers: str,
) -> tuple[aws_requests.AwsCall, tuple[permissions.Need, ...]]:
    """A signed request, recognised, and what it needs."""
    request = aws_requests.HttpRequest(
        method=method,
        target=target,
        headers={"authorization": KEY.format(key=key, service=service)}
        | {name.replace("_", "-"): value for name, value in headers.items()},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    found = aws_requests.recognise_call(request)
    return found, permissions.read_needs(found, request)


def need(action: str, resource: str, **context: str) -> permissions.Need:
    return permissions.Need(
        action=action, resource=resource, context={k.replace("__", ":"): v for k, v in context.items()}
    )


def test_a_launch_asks_for_the_definition_in_its_cluster_and_for_the_marks() -> None:
    body = {"cluster": "burst-dev", "taskDefinition": "burst-dev-task:3", "tags": [{"key": "a", "value": "b"}]}

    _, needs = asked("ecs", body=body, x_amz_target="AmazonEC2ContainerServiceV20141113.RunTask")

    assert needs == (
        need("ecs:RunTask", ARN.format("ecs", "task-definition/burst-dev-task:3"), ecs__cluster=CLUSTER),
        need("ecs:TagResource", ARN.format("ecs", "task/burst-dev/*"), ecs__CreateAction="RunTask"),
    )


@pytest.mark.parametrize("tagging", [{"enableECSManagedTags": True}, {"propagateTags": "TASK_DEFINITION"}])
def test_a_launch_whose_tags_are_made_by_ecs_asks_for_them_too(tagging: dict[str, Any]) -> None:
    body = {"cluster": "burst-dev", "taskDefinition": "burst-dev-reaper", **tagging}

    _, needs = asked("ecs", body=body, x_amz_target="AmazonEC2ContainerServiceV20141113.RunTask")

    assert [each.action for each in needs] == ["ecs:RunTask", "ecs:TagResource"]


def test_tasks_are_asked_about_one_by_one_and_listed_by_cluster() -> None:
    one, two = (ARN.format("ecs", f"task/burst-dev/{name}") for name in ("1", "2"))
    described = {"cluster": CLUSTER, "tasks": [one, "2"]}

    _, describing = asked("ecs", body=described, x_amz_target="Amazon.DescribeTasks")
    _, listing = asked("ecs", body={"cluster": "burst-dev"}, x_amz_target="Amazon.ListTasks")

    assert [each.resource for each in describing] == [one, two]
    assert listing == (need("ecs:ListTasks", "*", ecs__cluster=CLUSTER),)


@pytest.mark.parametrize(
    ("method", "target", "action", "resource"),
    [
        ("HEAD", "/kept/a/b%20c.json", "s3:GetObject", "arn:aws:s3:::kept/a/b c.json"),
        ("GET", "/kept/a.json", "s3:GetObject", "arn:aws:s3:::kept/a.json"),
        ("GET", "/kept?list-type=2", "s3:ListBucket", "arn:aws:s3:::kept"),
        ("GET", "/kept?versioning", "s3:GetBucketVersioning", "arn:aws:s3:::kept"),
        ("DELETE", "/kept/a.json", "s3:DeleteObject", "arn:aws:s3:::kept/a.json"),
    ],
)
def test_an_operation_on_s3_asks_for_the_action_iam_knows(method: str, target: str, action: str, resource: str) -> None:
    _, needs = asked("s3", method, target)

    assert needs == (need(action, resource),)


def test_a_put_carries_what_a_bucket_policy_may_ask_about() -> None:
    _, needs = asked("s3", "PUT", "/kept/a.json", if_none_match="*", x_amz_server_side_encryption="aws:kms")

    assert dict(needs[0].context) == {
        "s3:if-none-match": "*",
        "s3:x-amz-server-side-encryption": "aws:kms",
        "s3:ObjectCreationOperation": "true",
    }


def test_a_list_carries_the_prefix_it_is_of() -> None:
    _, needs = asked("s3", "GET", "/kept?list-type=2&prefix=runs%2F")

    assert needs == (need("s3:ListBucket", "arn:aws:s3:::kept", s3__prefix="runs/"),)


def test_a_put_that_locks_asks_for_the_lock_too() -> None:
    _, needs = asked("s3", "PUT", "/kept/a.json", x_amz_object_lock_mode="GOVERNANCE")

    assert [(each.action, each.resource) for each in needs] == [
        ("s3:PutObject", "arn:aws:s3:::kept/a.json"),
        ("s3:PutObjectRetention", "arn:aws:s3:::kept/a.json"),
    ]


def test_a_signature_asks_for_its_key() -> None:
    key = ARN.format("kms", "key/signing")

    _, needs = asked("kms", body={"KeyId": key}, x_amz_target="TrentService.GetPublicKey")

    assert needs == (need("kms:GetPublicKey", key),)


def test_an_entry_asks_for_itself_and_for_the_role_it_gives_away() -> None:
    role = "arn:aws:iam::123456789012:role/burst-dev-scheduler"
    body = {"GroupName": "burst-dev", "Target": {"RoleArn": role}}

    _, made = asked("scheduler", "POST", "/schedules/burst-1", body)
    _, deleted = asked("scheduler", "DELETE", "/schedules/burst-1?groupName=burst-dev")

    entry = ARN.format("scheduler", "schedule/burst-dev/burst-1")
    assert made == (
        need("scheduler:CreateSchedule", entry),
        need("iam:PassRole", role, iam__PassedToService="scheduler.amazonaws.com"),
    )
    assert deleted == (need("scheduler:DeleteSchedule", entry),)


@pytest.mark.parametrize(
    ("key", "caller", "principal"),
    [
        (aws_requests.OPERATOR_KEY, "operator", "operator"),
        (aws_requests.task_access_key("burst-dev-task"), "tasks", "burst-dev-task"),
        (aws_requests.task_access_key("burst-dev-reaper"), "tasks", "burst-dev-reaper"),
    ],
)
def test_a_task_is_told_by_the_family_its_key_was_made_for(key: str, caller: str, principal: str) -> None:
    found, _ = asked("sts", key=key)

    assert (found.caller, found.principal) == (caller, principal)
