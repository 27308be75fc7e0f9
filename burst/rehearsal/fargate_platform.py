"""What a container finds around it: its environment with secrets resolved, its metadata address, its log stream."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore import exceptions

from burst.rehearsal import aws_requests, endpoint, fleet, log_driver, moto_server, settings


class FargatePlatform:
    """The platform of the simulated Fargate. `address` is the front's, known before any task starts."""

    def __init__(self, *, services: moto_server.MotoServer, streams: log_driver.LogDriver) -> None:
        self._services = services
        self._streams = streams
        self.address = ""

    def environment(self, task: fleet.SimulatedTask, container: fleet.Container) -> Mapping[str, str]:
        """The platform's variables, then the container's own, then its secrets, as the agent lays them."""
        secrets = {
            secret["name"]: self._secret(secret["valueFrom"]) for secret in container.definition.get("secrets", [])
        }
        return {
            **base_environment(self.address, aws_requests.task_access_key(str(task.definition["family"]))),
            "HOME": str(container.log.parent),
            "TMPDIR": str(container.log.parent),  # a container has a file system of its own
            "ECS_CONTAINER_METADATA_URI_V4": f"{self.address}{endpoint.METADATA}{container.container_id}",
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
            **container.environment,
            **secrets,
        }

    def open_log(self, task: fleet.SimulatedTask, container: fleet.Container) -> None:
        """Makes its stream where the container logs to awslogs; anything else stays in its file."""
        configuration = container.definition.get("logConfiguration", {})
        if configuration.get("logDriver") != "awslogs":
            return
        try:
            self._streams.open(container.container_id, container.log, configuration.get("options", {}))
        except (LookupError, exceptions.BotoCoreError) as exc:
            raise fleet.StartProblemError(str(exc)) from exc

    def close_log(self, container: fleet.Container) -> None:
        """Its output is complete."""
        self._streams.close(container.container_id)

    def _secret(self, source: str) -> str:
        """The value an ECS `valueFrom` names: an SSM parameter by name or ARN, or a Secrets Manager ARN."""
        try:
            if ":secretsmanager:" in source:
                return self._from_secrets_manager(source)
            name = source.partition(":parameter/")[2] if source.startswith("arn:") else source
            return self._parameter(name, absolute=source.startswith("arn:"))
        except (exceptions.ClientError, exceptions.BotoCoreError, KeyError, ValueError) as exc:
            raise fleet.StartProblemError(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
                f"failed: unable to retrieve the secret {source}: {_code(exc)}"
            ) from exc

    def _parameter(self, name: str, *, absolute: bool) -> str:
        client = self._services.client("ssm")
        # An ARN has no slash before a plain name and none to spare before a path: both are tried.
        for candidate in (f"/{name}", name) if absolute else (name,):
            found: list[dict[str, Any]] = client.get_parameters(Names=[candidate], WithDecryption=True)["Parameters"]
            if found:
                return str(found[0]["Value"])
        raise KeyError("ParameterNotFound")

    def _from_secrets_manager(self, source: str) -> str:
        # arn:aws:secretsmanager:region:account:secret:name[:json-key:version-stage:version-id]
        parts = source.split(":")
        key, stage, version = [*parts[7:], "", "", ""][:3]
        asked = {"SecretId": ":".join(parts[:7])}
        asked |= {"VersionStage": stage} if stage else {}
        asked |= {"VersionId": version} if version else {}
        value = str(self._services.client("secretsmanager").get_secret_value(**asked)["SecretString"])
        return str(json.loads(value)[key]) if key else value


def base_environment(address: str, key: str) -> dict[str, str]:
    """What every process of a rehearsal needs to find the simulated AWS, and only that."""
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {
        "PATH": programs,
        "LANG": "C.UTF-8",
        "AWS_ENDPOINT_URL": address,
        "AWS_ENDPOINT_URL_ECS": address,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": aws_requests.SECRET,
        "AWS_REGION": settings.REGION,
        "AWS_DEFAULT_REGION": settings.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _code(exc: Exception) -> str:
    if isinstance(exc, exceptions.ClientError):
        return str(exc.response["Error"]["Code"])
    return type(exc).__name__ if not isinstance(exc, KeyError) else str(exc.args[0])
