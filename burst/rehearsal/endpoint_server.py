"""The HTTP server of the endpoint: reads requests from sockets and writes the endpoint's answers.

It has one thread for each connection, because a call that hangs must not delay the others.
"""

import email.utils
import http.server
import logging
import socket
import struct
import sys
import threading
from collections.abc import Callable
from datetime import datetime

from burst.rehearsal import aws_requests, endpoint

_LOG = logging.getLogger(__name__)


class EndpointServer(http.server.ThreadingHTTPServer):
    """The listening socket, on loopback."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, aws: endpoint.Endpoint, now: Callable[[], datetime]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = aws
        self.now = now

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def serve_in_background(self) -> None:
        """Answers requests on a thread of its own, until the process ends."""
        threading.Thread(target=self.serve_forever, name="endpoint", daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Logs the current exception, unless the client only hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            _LOG.exception("a connection from %s", client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one write
    server: EndpointServer

    def handle_expect_100(self) -> bool:
        """Sends `100 Continue` at once. If it stayed in the buffer, every S3 PUT would wait a second for it."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def _handle(self) -> None:
        request = aws_requests.HttpRequest(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._read_body(),
        )
        try:
            answer = self.server.endpoint.answer(request)
        except endpoint.NoAnswer:
            self._reset_connection()
            return
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815 - names of http.server

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, answer: aws_requests.HttpAnswer) -> None:
        self.send_response_only(answer.status)
        self.send_header("Date", email.utils.format_datetime(self.server.now(), usegmt=True))
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _reset_connection(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *arguments: object) -> None:
        """Writes nothing: the endpoint records every call."""
