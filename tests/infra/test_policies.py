"""The evaluator that the role tables rest on: what it must tell apart."""

import pytest

from burst.rehearsal.permissions import Need
from tests.infra import policies

ALLOW = {"Sid": "A", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::kept/runs/*"}
HERE = {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:eu-west-2:123456789012:cluster/burst-dev"}}
LIST = {"Sid": "L", "Effect": "Allow", "Action": ["ecs:ListTasks"], "Resource": "*", "Condition": HERE}
DENY = {
    "Sid": "D",
    "Effect": "Deny",
    "Action": "s3:PutObject",
    "NotResource": "arn:aws:s3:::kept/*/control.json",
    "Condition": {"Null": {"s3:if-none-match": "true"}},
}
PUT = {"Sid": "P", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::kept/*"}


def need(action: str, resource: str, **context: str) -> Need:
    return Need(action=action, resource=resource, context={name.replace("__", ":"): v for name, v in context.items()})


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        (need("s3:GetObject", "arn:aws:s3:::kept/runs/a/b.json"), True),
        (need("s3:GetObject", "arn:aws:s3:::kept/other/b.json"), False),
        (need("s3:GetObjectVersion", "arn:aws:s3:::kept/runs/b.json"), False),
        (need("ecs:ListTasks", "*", ecs__cluster="arn:aws:ecs:eu-west-2:123456789012:cluster/burst-dev"), True),
        (need("ecs:ListTasks", "*", ecs__cluster="arn:aws:ecs:eu-west-2:123456789012:cluster/other"), False),
        (need("ecs:ListTasks", "*"), False),
        (need("s3:PutObject", "arn:aws:s3:::kept/a.json"), False),
        (Need(action="s3:PutObject", resource="arn:aws:s3:::kept/a.json", context={"s3:if-none-match": "*"}), True),
        (need("s3:PutObject", "arn:aws:s3:::kept/a/control.json"), True),
    ],
)
def test_a_need_is_allowed_or_not(wanted: Need, allowed: bool) -> None:
    assert policies.allowed([ALLOW, LIST, PUT, DENY], wanted) is allowed


def test_a_condition_nobody_described_is_an_error() -> None:
    odd = {**ALLOW, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}

    with pytest.raises(KeyError, match="IpAddress"):
        policies.allowed([odd], need("s3:GetObject", "arn:aws:s3:::kept/runs/a"))
