"""Containers as the simulation sees them: orders to the agent, and its events to whoever waits for them.

The agent is a process of its own because forking is only safe without threads, and because it has to be there still
to end every container when this process is not.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from burst.rehearsal import container_agent

_CLOSE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStarted:
    """The container's program runs as this process."""

    container_id: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnded:
    """The container is over and nothing of it is left; 128+n where signal n ended it."""

    container_id: str
    exit_code: int


EventListener = Callable[[ContainerStarted | ContainerEnded], None]


class AgentClient:
    """The one who gives the agent its orders. Events arrive on a thread of their own, in the order they happened."""

    def __init__(self) -> None:
        self._heard: dict[str, EventListener] = {}
        self._lock = threading.Lock()
        self._agent = subprocess.Popen(
            [sys.executable, "-m", container_agent.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name="containers", daemon=True)
        self._listener.start()

    def start(
        self,
        container_id: str,
        *,
        argv: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        heard: EventListener,
        init: bool = False,
    ) -> None:
        """Starts a program whose output goes to `log`; `heard` is told when it has `ContainerStarted` and when it `ContainerEnded`.

        With `init` a small init stands before it, as with ECS's `initProcessEnabled`, and TERM ends it even where it
        has no handler for it.
        """
        self._heard[container_id] = heard
        self._order(
            start=container_id,
            argv=[*argv],
            environment={**environment},
            folder=str(folder),
            log=str(log),
            init=init,
        )

    def terminate(self, container_id: str) -> None:
        """TERM to the container's first process, which may ignore it."""
        self._order(signal=container_id, name=container_agent.TERM)

    def kill(self, container_id: str) -> None:
        """The end of the whole container, now."""
        self._order(signal=container_id, name=container_agent.KILL)

    def escape(self, container_id: str) -> None:
        """Starts a process in the container that is out of the reach of a guard there."""
        self._order(signal=container_id, name=container_agent.ESCAPE)

    def close(self) -> None:
        """Ends every container and the agent."""
        if self._agent.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._agent.stdin.close()
        self._agent.wait(_CLOSE_SECONDS)
        self._listener.join(_CLOSE_SECONDS)

    def _order(self, **fields: object) -> None:
        line = json.dumps(fields).encode() + b"\n"
        with (
            self._lock,
            contextlib.suppress(BrokenPipeError, ValueError),
        ):  # closed: everything has ended or is about to
            if self._agent.stdin is not None:
                self._agent.stdin.write(line)
                self._agent.stdin.flush()

    def _listen(self) -> None:
        if self._agent.stdout is None:
            return
        for line in self._agent.stdout:
            event = json.loads(line)
            if "started" in event:
                name = event["started"]
                self._heard[name](ContainerStarted(container_id=name, pid=event["pid"]))
            else:
                name = event["ended"]
                self._heard.pop(name)(ContainerEnded(container_id=name, exit_code=event["exit_code"]))
