"""The awslogs driver: delivers the output of containers to CloudWatch Logs in batches, on one thread.

Like the real driver it names a stream `prefix/container/task-id`, cuts long lines (at 16 KiB, or at the largest event
if the mode is `blocking`), and goes on after the end of a container until all its output is delivered.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore import exceptions

_LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_SHORT_LINE_BYTES = 16 * 1024
_LONG_LINE_BYTES = 256 * 1024 - 26
_BATCH_BYTES = 512 * 1024
_BATCH_EVENTS = 5000


@dataclass(slots=True, kw_only=True)
class _Stream:
    group: str
    name: str
    path: Path
    longest_line: int
    delivered_bytes: int = 0
    complete: bool = False


class LogDriver:
    """Every log stream of the running containers. It delivers nothing while `logs_are_held` returns True."""

    def __init__(self, make_client: Callable[[], Any], logs_are_held: Callable[[], bool]) -> None:
        self._make_client = make_client
        self._logs_are_held = logs_are_held
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream] = {}
        threading.Thread(target=self._run, name="logs", daemon=True).start()

    def open_stream(self, container_id: str, path: Path, configuration: Mapping[str, str]) -> None:
        """Creates the container's stream and starts to deliver the file at `path` to it.

        Raises LookupError, in the words of ECS, if the log group does not exist.
        """
        task_id, _, container = container_id.partition("/")
        group = configuration["awslogs-group"]
        prefix = configuration.get("awslogs-stream-prefix")
        name = f"{prefix}/{container}/{task_id}" if prefix else f"{container}-{task_id}"
        if configuration.get("awslogs-create-group") == "true":
            self._create("create_log_group", logGroupName=group)
        self._create("create_log_stream", logGroupName=group, logStreamName=name)
        blocking = configuration.get("mode") == "blocking"
        stream = _Stream(
            group=group, name=name, path=path, longest_line=_LONG_LINE_BYTES if blocking else _SHORT_LINE_BYTES
        )
        with self._lock:
            self._streams[container_id] = stream

    def complete_stream(self, container_id: str) -> None:
        """Marks the output of an ended container as complete. Its last lines are still delivered."""
        with self._lock:
            if container_id in self._streams:
                self._streams[container_id].complete = True

    def _create(self, operation: str, **names: str) -> None:
        try:
            getattr(self._make_client(), operation)(**names)
        except exceptions.ClientError as exc:
            if exc.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise LookupError(
                    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 "
                    f"times: failed to create Cloudwatch log stream: {exc.response['Error']['Code']}: "
                    "The specified log group does not exist. : exit status 1"
                ) from exc

    def _run(self) -> None:
        while True:
            time.sleep(_POLL_SECONDS)
            if self._logs_are_held():
                continue
            with self._lock:
                streams = [*self._streams.items()]
            for container_id, stream in streams:
                try:
                    self._deliver(container_id, stream)
                except (exceptions.BotoCoreError, exceptions.ClientError, OSError):
                    _LOG.exception("log stream %s", stream.name)  # the next round tries again

    def _deliver(self, container_id: str, stream: _Stream) -> None:
        complete = stream.complete  # read before the file, so that no line written in between is missed
        while True:
            lines, size = _read_lines(stream, complete=complete)
            if not size:
                break
            now = int(time.time() * 1000)
            # CloudWatch Logs refuses empty events.
            events = [{"timestamp": now, "message": line} for line in lines if line]
            if events:
                self._make_client().put_log_events(
                    logGroupName=stream.group, logStreamName=stream.name, logEvents=events
                )
            stream.delivered_bytes += size
        if complete:
            with self._lock:
                del self._streams[container_id]


def _read_lines(stream: _Stream, *, complete: bool) -> tuple[list[str], int]:
    """The next lines to deliver, and their size in bytes. An unfinished line counts only if the output is complete."""
    if not stream.path.exists():
        return [], 0
    with open(stream.path, "rb") as file:
        file.seek(stream.delivered_bytes)
        chunk = file.read(_BATCH_BYTES)
    at_end = len(chunk) < _BATCH_BYTES
    take_all = (complete and at_end) or (b"\n" not in chunk and not at_end)
    usable = chunk if take_all else chunk[: chunk.rfind(b"\n") + 1]
    lines: list[str] = []
    size = 0
    for line in usable.splitlines(keepends=True):
        if len(lines) >= _BATCH_EVENTS:
            break
        size += len(line)
        content = line.rstrip(b"\r\n")
        for begin in range(0, len(content), stream.longest_line):
            lines.append(content[begin : begin + stream.longest_line].decode("utf-8", "replace"))
    return lines, size
