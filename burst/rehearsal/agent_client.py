"""The client of the container agent: sends it orders, and passes its events on to each container's listener.

The agent is a process of its own for two reasons: forking is only safe in a process without threads, and the agent has
to outlive this process to end every container.
"""

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from burst.kit import own_programs
from burst.rehearsal import container_agent

_CLOSE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStarted:
    """The container's program runs as the process `pid`."""

    container_id: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnded:
    """Every process of the container has ended. `exit_code` is 128+n if signal n ended its program."""

    container_id: str
    exit_code: int


EventListener = Callable[[ContainerStarted | ContainerEnded], None]


class AgentClient:
    """Starts the agent and gives it orders. A thread of its own passes events on, in the order they happened."""

    def __init__(self) -> None:
        self._listeners: dict[str, EventListener] = {}
        self._lock = threading.Lock()
        self._agent = subprocess.Popen(
            own_programs.start_words(container_agent.__name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._event_thread = threading.Thread(target=self._pass_on_events, name="containers", daemon=True)
        self._event_thread.start()

    def start(
        self,
        container_id: str,
        *,
        argv: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        listener: EventListener,
        init: bool = False,
    ) -> None:
        """Starts a program with its output in `log`. `listener` gets `ContainerStarted`, then `ContainerEnded`.

        With `init` the container has a small init as its first process, as with ECS's `initProcessEnabled`, so TERM
        ends the program even if it has no handler for TERM.
        """
        self._listeners[container_id] = listener
        self._send_order(
            start=container_id,
            argv=[*argv],
            environment={**environment},
            folder=str(folder),
            log=str(log),
            init=init,
        )

    def terminate(self, container_id: str) -> None:
        """Sends TERM to the container's first process, which may ignore it."""
        self._send_order(signal=container_id, name=container_agent.TERM)

    def kill(self, container_id: str) -> None:
        """Kills every process of the container."""
        self._send_order(signal=container_id, name=container_agent.KILL)

    def start_escaped_process(self, container_id: str) -> None:
        """Starts a process in the container that the container's guard cannot reach."""
        self._send_order(signal=container_id, name=container_agent.ESCAPE)

    def close(self) -> None:
        """Ends every container and the agent."""
        if self._agent.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._agent.stdin.close()
        self._agent.wait(_CLOSE_SECONDS)
        self._event_thread.join(_CLOSE_SECONDS)

    def _send_order(self, **fields: object) -> None:
        line = json.dumps(fields).encode() + b"\n"
        # A closed pipe is ignored: without orders the agent ends every container.
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            if self._agent.stdin is not None:
                self._agent.stdin.write(line)
                self._agent.stdin.flush()

    def _pass_on_events(self) -> None:
        if self._agent.stdout is None:
            return
        for line in self._agent.stdout:
            event = json.loads(line)
            if "started" in event:
                container_id = event["started"]
                self._listeners[container_id](ContainerStarted(container_id=container_id, pid=event["pid"]))
            else:
                container_id = event["ended"]
                listener = self._listeners.pop(container_id)
                listener(ContainerEnded(container_id=container_id, exit_code=event["exit_code"]))
