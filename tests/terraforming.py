"""Terraform for tests: the module's folder copied, the provider from a mirror, and outputs as it prints them.

Nothing is downloaded: without Terraform, or without a mirror of its AWS provider, those tests skip and say so.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

INFRA = Path(__file__).parents[1] / "infra"
MIRROR = "TF_PLUGIN_MIRROR"

OUTPUT: dict[str, Any] = {
    "environment": "staging",
    "region": "eu-west-2",
    "target": {
        "cluster": "burst-staging",
        "task_definition": "burst-staging-task:7",
        "container": "burst",
        "capacity": ["FARGATE_SPOT", "FARGATE"],
        "subnets": ["subnet-03ab5ed6346f773ff", "subnet-f7c58af446683a3bc"],
        "security_groups": ["sg-37fe0a30181c033e1"],
        "reaper": {
            "task_definition": "burst-staging-reaper",
            "role_arn": "arn:aws:iam::123456789012:role/burst-staging-scheduler",
            "group": "burst-staging",
            "dead_letter_arn": "arn:aws:sqs:eu-west-2:123456789012:burst-staging-scheduler-dead-letters",
        },
    },
    "load": {"host": "http://ingest.internal:8080", "api_key": True},
    "evidence": {"run_control": "s3://kept/evidence/staging/run_control", "run_scoped": "s3://kept/evidence/runs"},
}


def outputs(value: object = OUTPUT, **others: object) -> str:
    """A file of `terraform output -json`."""
    return json.dumps({"plan": {"sensitive": False, "type": "object", "value": value}, **others})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terraform:
    """Terraform in one folder of a copy of the module."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """One command, which must end with one of `codes`."""
        done = subprocess.run(
            ["terraform", *words],
            cwd=self.folder,
            env={**_plain_environment(), **self.environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode in codes, f"terraform {words[0]} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def init(self) -> None:
        """Makes the folder ready, with the provider of the mirror."""
        self.run("init", "-backend=false", "-input=false", "-no-color", f"-plugin-dir={os.environ[MIRROR]}")

    def json(self, *words: str) -> Any:
        """The answer of a command that prints JSON."""
        return json.loads(self.run(*words).stdout)


def copy(folder: Path, example: str | None = None) -> Terraform:
    """The module under `folder`, seen from its root or from one of its examples. Skips without Terraform."""
    require(provider=False)
    shutil.copytree(INFRA, folder / "infra", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    return Terraform(folder=folder / "infra" / "examples" / example if example else folder / "infra")


def require(*, provider: bool = True) -> None:
    """Skips the test where there is no Terraform, or with `provider` no mirror of the AWS provider."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform on this machine")
    if provider and not any(Path(os.environ.get(MIRROR) or os.devnull).glob("*/hashicorp/aws")):
        pytest.skip(f"{MIRROR} names no folder that `terraform providers mirror FOLDER` filled with hashicorp/aws")


def _plain_environment() -> dict[str, str]:
    """Nothing of the developer's own Terraform or AWS settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    return kept | {"TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
