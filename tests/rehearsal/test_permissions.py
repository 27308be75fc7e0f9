"""The permissions that a call needs on AWS, read from the call itself."""

import json
from typing import Any

import pytest

from burst.rehearsal import aws_requests, permissions

KEY = "AWS4-HMAC-SHA256 Credential={key}/20260221/eu-west-2/{service}/aws4_request, SignedHeaders=host"
ARN = "arn:aws:{}:eu-west-2:123456789012:{}"
CLUSTER = ARN.format("ecs", "cluster/burst-dev")


def read_call(
    service: str,
    method: str = "POST",
    target: str = "/",
    body: Any = None,
    key: str = aws_requests.OPERATOR_KEY,
    **headers: str,
) -> tuple[aws_requests.AwsCall, tuple[permissions.Need, ...]]:
    """The call of a signed request, and the permissions it needs."""
    request = aws_requests.HttpRequest(
        method=method,
        target=target,
        headers={"authorization": KEY.format(key=key, service=service)}
        | {name.replace("_", "-"): value for name, value in headers.items()},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    call = aws_requests.recognise_call(request)
    return call, permissions.read_needs(call, request)


def make_need(action: str, resource: str, **context: str) -> permissions.Need:
    return permissions.Need(
        action=action, resource=resource, context={k.replace("__", ":"): v for k, v in context.items()}
    )


def test_a_launch_needs_its_definition_and_with_tags_the_right_to_tag() -> None:
    body = {"cluster": "burst-dev", "taskDefinition": "burst-dev-task:3", "tags": [{"key": "a", "value": "b"}]}

    _, needs = read_call("ecs", body=body, x_amz_target="AmazonEC2ContainerServiceV20141113.RunTask")

    assert needs == (
        make_need("ecs:RunTask", ARN.format("ecs", "task-definition/burst-dev-task:3"), ecs__cluster=CLUSTER),
        make_need("ecs:TagResource", ARN.format("ecs", "task/burst-dev/*"), ecs__CreateAction="RunTask"),
    )


@pytest.mark.parametrize("tagging", [{"enableECSManagedTags": True}, {"propagateTags": "TASK_DEFINITION"}])
def test_a_launch_with_tags_made_by_ecs_needs_the_right_to_tag_too(tagging: dict[str, Any]) -> None:
    body = {"cluster": "burst-dev", "taskDefinition": "burst-dev-reaper", **tagging}

    _, needs = read_call("ecs", body=body, x_amz_target="AmazonEC2ContainerServiceV20141113.RunTask")

    assert [each.action for each in needs] == ["ecs:RunTask", "ecs:TagResource"]


def test_describing_tasks_needs_each_task_and_listing_them_names_the_cluster() -> None:
    first, second = (ARN.format("ecs", f"task/burst-dev/{name}") for name in ("1", "2"))
    described = {"cluster": CLUSTER, "tasks": [first, "2"]}

    _, describing = read_call("ecs", body=described, x_amz_target="Amazon.DescribeTasks")
    _, listing = read_call("ecs", body={"cluster": "burst-dev"}, x_amz_target="Amazon.ListTasks")

    assert [each.resource for each in describing] == [first, second]
    assert listing == (make_need("ecs:ListTasks", "*", ecs__cluster=CLUSTER),)


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
def test_an_operation_on_s3_needs_the_action_iam_knows(method: str, target: str, action: str, resource: str) -> None:
    _, needs = read_call("s3", method, target)

    assert needs == (make_need(action, resource),)


def test_a_put_carries_the_condition_keys_of_its_headers() -> None:
    _, needs = read_call("s3", "PUT", "/kept/a.json", if_none_match="*", x_amz_server_side_encryption="aws:kms")

    assert dict(needs[0].context) == {
        "s3:if-none-match": "*",
        "s3:x-amz-server-side-encryption": "aws:kms",
        "s3:ObjectCreationOperation": "true",
    }


def test_a_list_carries_its_prefix() -> None:
    _, needs = read_call("s3", "GET", "/kept?list-type=2&prefix=runs%2F")

    assert needs == (make_need("s3:ListBucket", "arn:aws:s3:::kept", s3__prefix="runs/"),)


def test_a_put_that_locks_needs_the_right_to_lock_too() -> None:
    _, needs = read_call("s3", "PUT", "/kept/a.json", x_amz_object_lock_mode="GOVERNANCE")

    assert [(each.action, each.resource) for each in needs] == [
        ("s3:PutObject", "arn:aws:s3:::kept/a.json"),
        ("s3:PutObjectRetention", "arn:aws:s3:::kept/a.json"),
    ]


def test_a_signature_needs_its_key() -> None:
    key = ARN.format("kms", "key/signing")

    _, needs = read_call("kms", body={"KeyId": key}, x_amz_target="TrentService.GetPublicKey")

    assert needs == (make_need("kms:GetPublicKey", key),)


def test_a_schedule_needs_itself_and_the_role_it_passes() -> None:
    role = "arn:aws:iam::123456789012:role/burst-dev-scheduler"
    body = {"GroupName": "burst-dev", "Target": {"RoleArn": role}}

    _, creation = read_call("scheduler", "POST", "/schedules/burst-1", body)
    _, deletion = read_call("scheduler", "DELETE", "/schedules/burst-1?groupName=burst-dev")

    entry = ARN.format("scheduler", "schedule/burst-dev/burst-1")
    assert creation == (
        make_need("scheduler:CreateSchedule", entry),
        make_need("iam:PassRole", role, iam__PassedToService="scheduler.amazonaws.com"),
    )
    assert deletion == (make_need("scheduler:DeleteSchedule", entry),)


@pytest.mark.parametrize(
    ("key", "caller", "principal"),
    [
        (aws_requests.OPERATOR_KEY, "operator", "operator"),
        (aws_requests.task_access_key("burst-dev-task"), "tasks", "burst-dev-task"),
        (aws_requests.task_access_key("burst-dev-reaper"), "tasks", "burst-dev-reaper"),
    ],
)
def test_a_task_is_recognised_by_the_family_in_its_key(key: str, caller: str, principal: str) -> None:
    call, _ = read_call("sts", key=key)

    assert (call.caller, call.principal) == (caller, principal)
