"""A sender of events for tests: one keep-alive connection to the gateway, and its answers."""

import http.client
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

API_KEY = "key-of-the-tests"
PATH = "/v1/ingest/push"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAnswer:
    """One answer of the gateway. The names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    document: dict[str, Any]


class EventSender:
    """One connection; use it in a `with`."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def push(
        self, body: bytes, *, path: str = PATH, api_key: str | None = API_KEY, method: str = "POST"
    ) -> GatewayAnswer:
        """Sends a body as it is."""
        self._connection.request(method, path, body, {} if api_key is None else {"X-IG-Api-Key": api_key})
        response = self._connection.getresponse()
        content = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return GatewayAnswer(status=response.status, headers=headers, document=json.loads(content))

    def event(self, scope: str, event_id: str, /, **fields: object) -> GatewayAnswer:
        """Sends a valid envelope with `fields` replaced. A field that is None is omitted."""
        envelope = {"event_id": event_id, "event_type": "test", "platform_run_id": scope, "payload": {"n": 1}} | fields
        return self.push(json.dumps({name: value for name, value in envelope.items() if value is not None}).encode())

    def __enter__(self) -> "EventSender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
