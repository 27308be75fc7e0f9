"""Log streams in CloudWatch Logs: what a container printed, as far as it has been delivered.

Reading goes on from a token, and a token that comes back is the end for now and never the end: events arrive late, and
perhaps before what was read already, so a reader who misses something reads again from the beginning. A stream that is
not there has not been made yet.
"""

from collections.abc import Sequence
from typing import Any

from burst.kit import aws

PAGES = 50
"""How many pages one reading takes: a page holds up to 1 MB."""


class LogStream:
    """One log stream; `client` None makes one of its own."""

    def __init__(self, group: str, stream: str, *, client: Any | None = None) -> None:
        self._names = {"logGroupName": group, "logStreamName": stream}
        self._logs = aws.client("logs") if client is None else client
        self._token: str | None = None

    def read(self, *, again: bool = False) -> Sequence[str]:
        """The messages since the last reading, or with `again` all there are; none where there is no stream yet.

        Raises `errors.Unavailable` where a repeat may help, `errors.Refused` where reading is not allowed.
        """
        token = None if again else self._token
        found: list[str] = []
        for _ in range(PAGES):
            where = {"startFromHead": True} | ({"nextToken": token} if token else {})
            try:
                answer = aws.call("logs:GetLogEvents", self._logs.get_log_events, **self._names, **where)
            except aws.Absent:
                return []
            found += [str(event["message"]) for event in answer["events"]]
            before, token = token, answer["nextForwardToken"]
            self._token = token
            if token == before:
                break
        return found
