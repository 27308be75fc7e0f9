"""Starts and steers a simulated AWS. It runs on loopback in a process of its own and ends when this process ends."""

import contextlib
import http.client
import importlib.util
import json
import os
import select
import subprocess
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from burst.domain.basics import errors
from burst.kit import own_programs
from burst.rehearsal import armed_faults, aws_requests, endpoint, fargate_platform, faults, rehearsal_api, settings

_START_SECONDS = 60.0
_CLOSE_SECONDS = 30.0
_CALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerProcess:
    """One container of one task: the pid of its first process, and the file with its output."""

    task_arn: str
    name: str
    pid: int | None
    running: bool
    log: Path


class FaultClient:
    """Orders faults in a simulated AWS. Any process that knows its address can do so."""

    def __init__(self, address: str) -> None:
        self._address = address

    def arm(
        self,
        label: str,
        *,
        at_seconds: float = 0.0,
        duration_seconds: float | None = None,
        options: armed_faults.FaultOptions | None = None,
    ) -> None:
        """Orders a fault by its label (`ecs-down`, `response-lost:RunTask`); see `faults.FAULTS`.

        Raises `errors.UsageError` for an unknown fault, and `errors.Unavailable` if the simulation does not answer.
        """
        order = {
            "label": label,
            "at_seconds": at_seconds,
            "duration_seconds": duration_seconds,
            "options": asdict(options or armed_faults.FaultOptions()),
        }
        _call(self._address, "POST", "faults", order)

    def order(self, ordered: Sequence[faults.Fault]) -> None:
        """Orders the faults of a command line. Their seconds count from now, whatever phase they name."""
        for fault in ordered:
            self.arm(fault.label, at_seconds=fault.at_seconds, duration_seconds=fault.duration_seconds)

    def disarm(self, label: str) -> None:
        """Ends a fault."""
        _call(self._address, "DELETE", f"faults/{urllib.parse.quote(label, safe='')}")

    def active(self) -> list[str]:
        """The labels of the faults in force."""
        return [str(label) for label in _call(self._address, "GET", "faults")]


class AwsSimulation:
    """A running simulation. It ends, with every container, when it is closed or this process dies."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self._process = process
        self.address = f"http://127.0.0.1:{port}"
        self.faults = FaultClient(self.address)
        self.environment = {
            name: value
            for name, value in fargate_platform.base_environment(self.address, aws_requests.OPERATOR_KEY).items()
            if name not in ("PATH", "LANG")
        }

    @property
    def pid(self) -> int:
        """The pid of the simulation's process."""
        return self._process.pid

    def calls(self, service: str | None = None, operation: str | None = None) -> list[endpoint.RecordedCall]:
        """The finished calls in the order they finished: all, or those of one service or operation."""
        calls = [endpoint.RecordedCall(**call) for call in _call(self.address, "GET", "calls")]
        return [call for call in calls if service in (None, call.service) and operation in (None, call.operation)]

    def containers(self) -> list[ContainerProcess]:
        """Every container of every task that ECS has not forgotten."""
        containers = _call(self.address, "GET", "containers")
        return [ContainerProcess(**{**container, "log": Path(container["log"])}) for container in containers]

    def allow_vcpu(self, code: str, vcpu: float) -> None:
        """Sets a quota of Fargate's. Raises `errors.UsageError` if Fargate has no quota of this code."""
        _call(self.address, "POST", "quotas", {"code": code, "vcpu": vcpu})

    def register_controller(self, pid: int) -> None:
        """Registers the process that the fault `controller-kill` kills."""
        _call(self.address, "POST", "controller", {"pid": pid, "started": rehearsal_api.process_start_time(pid)})

    def close(self) -> None:
        """Ends the simulation and every process of every container."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the agent's standard input then ends, and the agent ends every container
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> "AwsSimulation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(folder: Path, *, options: settings.SimulationSettings | None = None) -> AwsSimulation:
    """Starts a simulated AWS with its logs in `folder`. ECS answers at once, the other services once moto is up.

    Raises `errors.UsageError` without the `rehearsal` extra, and `errors.Unavailable` if the simulation does not start.
    """
    if importlib.util.find_spec("moto") is None:
        raise errors.UsageError("a rehearsal needs moto, which is not installed: pip install 'burst[rehearsal]'")
    folder.mkdir(parents=True, exist_ok=True)
    encoded = (options or settings.SimulationSettings()).encode()
    with open(folder / "rehearsal.log", "ab") as log:
        process = subprocess.Popen(
            [*own_programs.start_words("burst.rehearsal.server"), str(folder.absolute()), encoded],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            start_new_session=True,
        )
    try:
        port = _read_port(process)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return AwsSimulation(process, port)


def register_definition(address: str, family: str, revision: int, **fields: Any) -> None:
    """Registers a task definition under the revision that a plan pins. Does nothing where that one is registered.

    RegisterTaskDefinition counts revisions from 1, and is throttled: a plan that pins revision 400 would wait for
    minutes. Raises `errors.UsageError` for fields that ECS refuses, and `errors.Unavailable` if there is no answer.
    """
    _call(address, "POST", "definitions", {"revision": revision, "definition": {"family": family, **fields}})


def add_network(address: str, ids: Sequence[str]) -> None:
    """Adds subnets and security groups with these ids. Raises `errors.Unavailable` if there is no answer."""
    _call(address, "POST", "network", list(ids))


def _read_port(process: "subprocess.Popen[bytes]") -> int:
    give_up = time.monotonic() + _START_SECONDS
    line = b""
    while not line.endswith(b"\n") and process.stdout is not None:
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, give_up - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 4096) if readable else b""
        if not piece:
            raise errors.Unavailable("the simulated AWS did not start; its rehearsal.log says why")
        line += piece
    return int(json.loads(line)["port"])


def _call(address: str, method: str, path: str, body: object = None) -> Any:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=_CALL_SECONDS)
    try:
        connection.request(method, endpoint.REHEARSAL_PATH + path, body=None if body is None else json.dumps(body))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException) as exc:
        raise errors.Unavailable(f"the simulated AWS at {address} does not answer: {exc}") from exc
    finally:
        connection.close()
    if response.status != 200:
        raise errors.UsageError(str(answer.get("error")))
    return answer
