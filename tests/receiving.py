"""A receiver of HTTP on loopback that keeps every request, and answers the first ones with errors where it is told."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request that was answered with 200."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and how it answers: `statuses` first, in turn, then 200."""

    port: int
    statuses: list[int] = field(default_factory=list)
    asked: int = 0
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def receiver(*statuses: int) -> Iterator[Receiver]:
    """A receiver for the length of the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            made.asked += 1
            status = made.statuses.pop(0) if made.statuses else 200
            if status == 200:
                headers = {name.lower(): value for name, value in self.headers.items()}
                made.received.append(Received(path=self.path, headers=headers, body=body))
            self.send_response(status)
            self.send_header("content-length", "0")
            if status in (301, 302, 307):
                self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Receiver(port=server.server_address[1], statuses=list(statuses))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
