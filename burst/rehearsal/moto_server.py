"""The moto server behind the endpoint: every AWS service but ECS.

It is started as a program, so that no module of burst imports moto.
"""

import os
import re
import threading
from pathlib import Path
from typing import Any

import boto3
from botocore import config

from burst.kit import own_programs
from burst.rehearsal import agent_client, aws_requests, settings

_RUNNING_ON = re.compile(r"Running on http://([\d.]+):(\d+)")
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02


class MotoServer:
    """One moto server. It starts at once; the first caller that needs its address waits for it."""

    def __init__(self, agent: agent_client.AgentClient, folder: Path) -> None:
        self._log = folder / "moto.log"
        self._ended = threading.Event()
        self._address: tuple[str, int] | None = None
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
        agent.start(
            "moto",
            argv=(*own_programs.start_words("moto.server"), "-H", "127.0.0.1", "-p", "0"),
            environment={**environment, "PYTHONUNBUFFERED": "1"},
            folder=folder,
            log=self._log,
            listener=self._note_end,
        )

    def address(self) -> tuple[str, int]:
        """Its host and port, once it listens. Raises OSError if it ends first or takes too long."""
        with self._lock:
            if self._address is None:
                self._address = self._wait_for_address()
            return self._address

    def client(self, service: str) -> Any:
        """A client for the simulation itself, past the endpoint: its calls meet no fault and are not recorded."""
        host, port = self.address()
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.Session().client(
                    service,
                    endpoint_url=f"http://{host}:{port}",
                    region_name=settings.REGION,
                    aws_access_key_id=aws_requests.OPERATOR_KEY,
                    aws_secret_access_key=aws_requests.SECRET,
                    config=config.Config(
                        max_pool_connections=16, retries={"mode": "standard", "total_max_attempts": 2}
                    ),
                )
            return self._clients[service]

    def _note_end(self, event: agent_client.ContainerStarted | agent_client.ContainerEnded) -> None:
        if isinstance(event, agent_client.ContainerEnded):
            self._ended.set()

    def _wait_for_address(self) -> tuple[str, int]:
        for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
            match = _RUNNING_ON.search(self._log.read_text(errors="replace")) if self._log.exists() else None
            if match is not None:
                return match[1], int(match[2])
            if self._ended.wait(_POLL_SECONDS):
                break
        last_lines = self._log.read_text(errors="replace").splitlines()[-3:] if self._log.exists() else []
        raise OSError(f"moto did not start: {' / '.join(last_lines) or 'it printed nothing'}")
