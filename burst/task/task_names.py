"""The names of a guard's task: its ARN and address, once the metadata service of its platform has told them, and a name
of its own.

The service may be slow while a task starts, so it is asked again, on a thread of its own: the guard's loop and the
reading of the lease wait for nothing. A shard is claimed under one name for good; the record of the guard is written
under each name, because a controller looks for it by ARN.
"""

import http.client
import json
import os
import random
import re
import threading
import time
import urllib.parse
import uuid
from collections.abc import Mapping
from typing import Any

from burst.domain.tasks import tasks

PATIENCE_SECONDS = 20.0
"""How long a claim waits for the ARN; then the shard is claimed under the guard's own name."""
TRIES = 60
"""How often the service is asked in all."""
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
ANSWER_SECONDS = 2.0
_VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"
_FARGATE_CONTAINER = re.compile(r"/([0-9a-f]{32})-\d+/?$")
"""How the address ends on Fargate: the id of the task, then a number (AWS's example of the service's answers)."""


class TaskNames:
    """The names of the task that this process guards."""

    def __init__(self) -> None:
        self._address = os.environ.get(_VARIABLE, "")
        self._own = f"{tasks.NAMELESS}{uuid.uuid4().hex}"
        self._patient_until = time.monotonic() + (PATIENCE_SECONDS if self._address else 0.0)
        self._arn: str | None = None
        self.host: str | None = None
        """The address of the task in its network; None as long as it is not known."""
        self._claimed_as: str | None = None

    def learn(self) -> None:
        """Asks for the ARN on a thread, until it is told or was asked for often enough."""
        if self._address:
            threading.Thread(target=self._ask, daemon=True).start()

    @property
    def for_claim(self) -> str | None:
        """The name under which the shard is claimed, always the same; None while the ARN is waited for."""
        if self._claimed_as is None:
            self._claimed_as = self._arn or (self._own if time.monotonic() >= self._patient_until else None)
        return self._claimed_as

    @property
    def for_records(self) -> tuple[str, ...]:
        """Every name under which the record may be looked for, the likeliest first."""
        in_address = _FARGATE_CONTAINER.search(urllib.parse.urlsplit(self._address).path)
        by_platform = self._arn or (in_address[1] if in_address else None)
        names = (by_platform, self._claimed_as, None if by_platform else self._own)
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def _ask(self) -> None:
        for number in range(TRIES):
            self._arn, self.host = _read_task(self._address)
            if self._arn is not None:
                return
            pause_seconds = min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2**number)
            time.sleep(pause_seconds * random.uniform(0.5, 1.5))  # noqa: S311 (a delay, not a key)


def _read_task(address: str) -> tuple[str | None, str | None]:
    """The task's ARN and the address of its network interface from the metadata service, without any proxy."""
    parts = urllib.parse.urlsplit(address)
    if not parts.hostname:
        return None, None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", parts.path.rstrip("/") + "/task")
        answer = json.loads(connection.getresponse().read())
        arn = answer.get("TaskARN")
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return None, None
    finally:
        connection.close()
    return (arn, _find_host(answer)) if isinstance(arn, str) and arn else (None, None)


def _find_host(answer: Mapping[str, Any]) -> str | None:
    """The first IPv4 address of the task's containers, which share one interface."""
    try:
        networks = [network for each in answer["Containers"] for network in each.get("Networks", ())]
        return next((str(host) for network in networks for host in network.get("IPv4Addresses", ())), None)
    except (KeyError, TypeError, AttributeError):
        return None
