"""Locust's web page as a person at a browser uses it: look at it, start a load, stop it."""

import http.client
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any

from tests import loopback_server, waiting

START_SECONDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of a Locust that listens on a port of loopback."""

    port: int

    def words(self) -> tuple[str, ...]:
        """The options with which Locust serves it there."""
        return "--web-host", "127.0.0.1", "--web-port", str(self.port)

    def wait(self) -> str:
        """The page, once it is served."""
        return waiting.until(self._read_page, seconds=START_SECONDS, what=f"a page on port {self.port}")

    def start(self, **fields: object) -> None:
        """Start a load with the fields of the page's form."""
        answer = self._ask("POST", "/swarm", {"user_count": 2, "spawn_rate": 2, **fields})
        assert answer["success"], answer

    def stop(self) -> None:
        """Stop the load; the page stays."""
        self._ask("POST", "/stop", {})

    def statistics(self) -> dict[str, Any]:
        """What the page shows of the requests."""
        answer: dict[str, Any] = self._ask("GET", "/stats/requests")
        return answer

    def wait_for_requests(self, least: int) -> dict[str, Any]:
        """The statistics, once there are so many requests."""

        def find_statistics() -> dict[str, Any] | None:
            statistics = self.statistics()
            return statistics if statistics["stats"][-1]["num_requests"] >= least else None

        return waiting.until(find_statistics, seconds=START_SECONDS, what=f"{least} requests on the page")

    def is_closed(self) -> bool:
        """Whether nobody serves it any more."""
        return self._read_page() is None

    def _read_page(self) -> str | None:
        try:
            return self._exchange("GET", "/").decode()
        except OSError:
            return None

    def _ask(self, method: str, path: str, fields: dict[str, object] | None = None) -> Any:
        return json.loads(self._exchange(method, path, fields))

    def _exchange(self, method: str, path: str, fields: dict[str, object] | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        try:
            body = None if fields is None else urllib.parse.urlencode(fields)
            connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, content
        return content


def open_page() -> Page:
    """A page for a Locust that is to be started."""
    return Page(port=loopback_server.find_free_port())
