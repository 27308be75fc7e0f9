"""The module applied to an account in moto: what is there before it, what it is told, and what it made.

Everything that is asked of the account is asked at once, and it is destroyed behind the tests' back: the provider waits
most of that time, and the tests need only what it told.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from burst.rehearsal import bootstrap, settings
from tests import terraforming, waiting
from tests.infra import policies

HERE = f"{settings.REGION}:{settings.ACCOUNT}"
SERVICE = "ingest-writer"
SERVICE_ROLE = f"arn:aws:iam::{settings.ACCOUNT}:role/{SERVICE}"
REPORTER = "reporter"
REPORTER_ROLE = f"arn:aws:iam::{settings.ACCOUNT}:role/{REPORTER}"
SIGNING_KEY = f"arn:aws:kms:{HERE}:key/signing"
SECRETS_KEY = f"arn:aws:kms:{HERE}:key/secrets"
IMAGE = f"{settings.ACCOUNT}.dkr.ecr.{settings.REGION}.amazonaws.com/burst@sha256:{'0' * 64}"

EVERY_STATEMENT: dict[str, Any] = {
    "service_arns": [f"arn:aws:ecs:{HERE}:service/burst-dev/{SERVICE}"],
    "service_role_arns": [SERVICE_ROLE],
    "one_shots": {
        "task_definition_arns": [f"arn:aws:ecs:{HERE}:task-definition/{REPORTER}"],
        "role_arns": [REPORTER_ROLE],
    },
    "signing_key_arn": SIGNING_KEY,
    "secrets_kms_key_arns": [SECRETS_KEY],
    "object_lock": {"mode": "GOVERNANCE", "days": 1},
    # The provider waits a minute for a lifecycle rule to be seen ten times; the module's own tests hold that rule.
    "old_version_days": None,
}
"""What the minimal example leaves out, so that every statement a role can have is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The module as it stands in the account."""

    folder: Path
    state: Mapping[str, Any]
    outputs: str
    """As `terraform output -json` prints them."""
    planned_again: str
    """What a second plan said."""
    destroyed: "futures.Future[Mapping[str, Any]]"
    """The state after everything was destroyed."""

    @property
    def everything(self) -> list[Mapping[str, Any]]:
        """All the module made, and what it read."""
        found: list[Mapping[str, Any]] = self.state["values"]["root_module"]["child_modules"][0]["resources"]
        return found

    def resources(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """The values of all resources of a kind, by the key they were made for, or by name."""
        made = [one for one in self.everything if one["type"] == kind and one["mode"] == "managed"]
        return {one.get("index", one["name"]): one["values"] for one in made}

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource."""
        return str(self.resources(kind)[name]["arn"])

    def policy(self, role: str) -> list[policies.Statement]:
        """The statements of a role."""
        return _statements(self.resources("aws_iam_role_policy")[role])

    def bucket_policy(self) -> list[policies.Statement]:
        """The statements of the evidence bucket."""
        return _statements(self.resources("aws_s3_bucket_policy")["evidence"])

    def definitions(self) -> dict[str, Mapping[str, Any]]:
        """The task definitions, by family."""
        return {str(one["family"]): one for one in self.resources("aws_ecs_task_definition").values()}

    def containers(self, family: str) -> list[dict[str, Any]]:
        """The containers of a task definition."""
        found: list[dict[str, Any]] = json.loads(self.definitions()[family]["container_definitions"])
        return found


def _statements(resource: Mapping[str, Any]) -> list[policies.Statement]:
    found: list[policies.Statement] = json.loads(resource["policy"])["Statement"]
    return found


@contextlib.contextmanager
def applied(folder: Path) -> Iterator[Applied]:
    """The minimal example with every choice that makes a statement, applied."""
    with _account(folder) as environment:
        copied = terraforming.copy(folder, "minimal")
        terraform = terraforming.Terraform(folder=copied.folder, environment=environment)
        variables = {
            "region": settings.REGION,
            "image": IMAGE,
            "evidence_bucket": "burst-evidence",
            "api_key_arn": f"arn:aws:ssm:{HERE}:parameter{bootstrap.API_KEY_PARAMETER}",
            "receipts_dsn_arn": f"arn:aws:ssm:{HERE}:parameter{bootstrap.DSN_PARAMETER}",
            "ingest_url": "http://ingest.internal:8080",
            "ingest_cidr_blocks": ["10.0.0.0/8"],
            **_network(environment),
        }
        (terraform.folder / "terraform.tfvars.json").write_text(json.dumps(variables))
        (terraform.folder / "every_override.tf.json").write_text(json.dumps({"module": {"burst": EVERY_STATEMENT}}))
        terraform.init()
        terraform.run("apply", *_UNATTENDED)
        state, outputs = terraform.json("show", "-json"), terraform.run("output", "-json").stdout
        again = terraform.run("plan", "-detailed-exitcode", "-input=false", "-no-color", codes=(0, 2)).stdout
        with futures.ThreadPoolExecutor() as pool:
            yield Applied(
                folder=folder,
                state=state,
                outputs=outputs,
                planned_again=again,
                destroyed=pool.submit(_destroyed, terraform),
            )


_UNATTENDED = ("-auto-approve", "-input=false", "-no-color", "-parallelism=30")


def _destroyed(terraform: terraforming.Terraform) -> Mapping[str, Any]:
    terraform.run("destroy", *_UNATTENDED)
    left: Mapping[str, Any] = terraform.json("show", "-json")
    return left


@contextlib.contextmanager
def _account(folder: Path) -> Iterator[dict[str, str]]:
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


def _network(environment: Mapping[str, str]) -> dict[str, Any]:
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
