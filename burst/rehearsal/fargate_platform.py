"""The platform of the simulated Fargate: each container's environment with its secrets, and its log stream."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore import exceptions

from burst.load import task_processes
from burst.rehearsal import aws_requests, endpoint, log_driver, moto_server, settings, simulated_tasks


class FargatePlatform:
    """Implements `simulated_tasks.ContainerPlatform`. `address` is the endpoint's, set before any task starts."""

    def __init__(self, *, moto: moto_server.MotoServer, logs: log_driver.LogDriver) -> None:
        self._moto = moto
        self._logs = logs
        self.address = ""

    def environment(
        self, task: simulated_tasks.SimulatedTask, container: simulated_tasks.Container
    ) -> Mapping[str, str]:
        """The platform's variables, then the container's own, then its secrets. Later ones override earlier ones."""
        secrets = {
            secret["name"]: self._read_secret(secret["valueFrom"]) for secret in container.definition.get("secrets", [])
        }
        return {
            **base_environment(self.address, aws_requests.task_access_key(str(task.definition["family"]))),
            "HOME": str(container.log.parent),
            "TMPDIR": str(container.log.parent),  # a container has a file system of its own
            "ECS_CONTAINER_METADATA_URI_V4": f"{self.address}{endpoint.METADATA_PATH}{container.metadata_name}",
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
            # The tasks share one machine, on which the port of a master may be taken.
            task_processes.MASTER_PORT: "0",
            task_processes.MASTER_BIND: settings.LOOPBACK,
            **container.environment,
            **secrets,
        }

    def open_log(self, container: simulated_tasks.Container) -> None:
        """Opens the log stream of a container that logs to awslogs. Other output stays in the container's file."""
        configuration = container.definition.get("logConfiguration", {})
        if configuration.get("logDriver") != "awslogs":
            return
        try:
            self._logs.open_stream(container.container_id, container.log, configuration.get("options", {}))
        except (LookupError, exceptions.BotoCoreError) as exc:
            raise simulated_tasks.StartProblemError(str(exc)) from exc

    def complete_log(self, container: simulated_tasks.Container) -> None:
        """Marks the container's output as complete."""
        self._logs.complete_stream(container.container_id)

    def _read_secret(self, source: str) -> str:
        """The value behind an ECS `valueFrom`: the name or ARN of an SSM parameter, or a Secrets Manager ARN."""
        try:
            if ":secretsmanager:" in source:
                return self._read_from_secrets_manager(source)
            name = source.partition(":parameter/")[2] if source.startswith("arn:") else source
            return self._read_parameter(name, from_arn=source.startswith("arn:"))
        except (exceptions.ClientError, exceptions.BotoCoreError, KeyError, ValueError) as exc:
            raise simulated_tasks.StartProblemError(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
                f"failed: unable to retrieve the secret {source}: {_error_code(exc)}"
            ) from exc

    def _read_parameter(self, name: str, *, from_arn: bool) -> str:
        client = self._moto.client("ssm")
        # The ARNs of the parameters `a` and `/a` are the same, so both names are tried.
        for candidate in (f"/{name}", name) if from_arn else (name,):
            answer = client.get_parameters(Names=[candidate], WithDecryption=True)
            parameters: list[dict[str, Any]] = answer["Parameters"]
            if parameters:
                return str(parameters[0]["Value"])
        raise KeyError("ParameterNotFound")

    def _read_from_secrets_manager(self, source: str) -> str:
        # arn:aws:secretsmanager:region:account:secret:name[:json-key:version-stage:version-id]
        parts = source.split(":")
        key, stage, version = [*parts[7:], "", "", ""][:3]
        request = {"SecretId": ":".join(parts[:7])}
        request |= {"VersionStage": stage} if stage else {}
        request |= {"VersionId": version} if version else {}
        value = str(self._moto.client("secretsmanager").get_secret_value(**request)["SecretString"])
        return str(json.loads(value)[key]) if key else value


def base_environment(address: str, access_key: str) -> dict[str, str]:
    """The variables that lead a process of a rehearsal to the simulated AWS, and to no other."""
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {
        "PATH": programs,
        "LANG": "C.UTF-8",
        "AWS_ENDPOINT_URL": address,
        "AWS_ENDPOINT_URL_ECS": address,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": aws_requests.SECRET,
        "AWS_REGION": settings.REGION,
        "AWS_DEFAULT_REGION": settings.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _error_code(exc: Exception) -> str:
    if isinstance(exc, exceptions.ClientError):
        return str(exc.response["Error"]["Code"])
    return type(exc).__name__ if not isinstance(exc, KeyError) else str(exc.args[0])
