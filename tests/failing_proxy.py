"""A proxy on loopback before a server of HTTP: it answers some requests with failures, and forwards the others."""

import contextlib
import http.client
import http.server
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests import loopback_server

OF_ONE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An answer in place of the server's."""

    status: int
    body: bytes = b""


THROTTLED = Failure(status=400, body=b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
BROKEN = Failure(status=500, body=b'{"__type": "InternalFailure", "message": "try again"}')
UNAVAILABLE = Failure(status=503, body=b"<html>503 Service Unavailable</html>")


@dataclass
class FailingProxy:
    """What became of the requests. `answers` are those still to come, each a failure or None for the server's own;
    after the last one all are the server's."""

    port: int
    answers: list[Failure | None]
    failed: list[int] = field(default_factory=list)
    forwarded: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def choose(self) -> Failure | None:
        """The answer of the next request."""
        with self.lock:
            return self.answers.pop(0) if self.answers else None


@contextlib.contextmanager
def start(server_url: str, answers: Sequence[Failure | None]) -> Iterator[FailingProxy]:
    """A proxy before the server for the length of the block."""
    server_address = urllib.parse.urlsplit(server_url).netloc

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            failure = proxy.choose()
            if failure is not None:
                proxy.failed.append(failure.status)
                self._answer(failure.status, [], failure.body)
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in OF_ONE_CONNECTION}
            connection = http.client.HTTPConnection(server_address, timeout=30)
            with contextlib.closing(connection):
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
            proxy.forwarded.append(answer.status)
            self._answer(answer.status, answer.getheaders(), content)

        def _answer(self, status: int, headers: Sequence[tuple[str, str]], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in OF_ONE_CONNECTION:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = FailingProxy(port=listening.server_address[1], answers=list(answers))
    with loopback_server.run(listening):
        yield proxy
