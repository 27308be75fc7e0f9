"""Log streams in CloudWatch Logs: the lines a container printed, as far as they have been delivered.

Reading continues from a token. The same token again means the end for now only: events arrive late, and may be placed
before those already read, so a reader that misses lines reads again from the beginning. A missing stream has not been
made yet.
"""

from collections.abc import Sequence
from typing import Any

from burst.kit import aws

PAGES = 50
"""How many pages one reading takes: a page holds up to 1 MB."""


class LogStream:
    """One log stream; without `client` it makes its own."""

    def __init__(self, group: str, stream: str, *, client: Any | None = None) -> None:
        self._names = {"logGroupName": group, "logStreamName": stream}
        self._logs = aws.client("logs") if client is None else client
        self._token: str | None = None

    def read(self, *, again: bool = False) -> Sequence[str]:
        """The messages since the last reading, or with `again` all there are; none where there is no stream yet.

        Raises `errors.Unavailable` where a repeat may help, `errors.Refused` where reading is not allowed.
        """
        token = None if again else self._token
        messages: list[str] = []
        for _ in range(PAGES):
            position = {"startFromHead": True} | ({"nextToken": token} if token else {})
            try:
                answer = aws.call("logs:GetLogEvents", self._logs.get_log_events, **self._names, **position)
            except aws.Absent:
                return []
            messages += [str(event["message"]) for event in answer["events"]]
            before, token = token, answer["nextForwardToken"]
            self._token = token
            if token == before:
                break
        return messages
