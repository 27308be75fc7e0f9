"""A receiver of HTTP on loopback that keeps every request, and answers the first ones with errors where it is told."""

import contextlib
import http.server
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests import loopback_server


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request that was answered with 200."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and how it answers: `statuses` first, in turn, then 200. A redirect leads to `location`."""

    port: int
    statuses: list[int] = field(default_factory=list)
    asked: int = 0
    location: str = "/elsewhere"
    answer_headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False
    """Whether the body of an answer goes on as long as somebody reads it."""
    endless_bytes: int = 64 << 20
    """Where an endless body ends after all: a reader of all of it fails a test, and fills no machine."""
    sent_bytes: int = 0
    """The bytes of endless bodies that were sent."""
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
            for name, value in made.answer_headers.items():
                self.send_header(name, value)
            if status in (301, 302, 307):
                self.send_header("location", made.location)
            if not made.endless:
                self.send_header("content-length", "0")
            self.end_headers()
            if made.endless:
                self.send_endless_body()

        def send_endless_body(self) -> None:
            with contextlib.suppress(OSError):
                while made.sent_bytes < made.endless_bytes:
                    self.wfile.write(b"x" * 65536)
                    made.sent_bytes += 65536

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Receiver(port=server.server_address[1], statuses=list(statuses))
    with loopback_server.run(server):
        yield made
