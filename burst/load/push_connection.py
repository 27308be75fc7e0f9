"""A connection of a sender to the ingest, for programs inside Locust: headers are built once, a body is sent as it is.

Locust's own fast client builds URL, headers and cookies anew for each request, and asks the loop whether a kept
connection is still open: that takes four times as long as the sending. Here an answer is read by the same parser, of
`geventhttpclient`. An event is sent at most once: where a connection breaks, nothing sends it again.
"""

import select
import socket
import urllib.parse
from collections.abc import Mapping
from typing import Final

from gevent import monkey
from geventhttpclient import response as answers

from burst.load import sending_client

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0
_READ_BYTES = 65536

_make_poll = monkey.get_original("select", "poll")
"""The system's own: the one of the loop costs as much as the sending."""


class PushConnection:
    """Posts bodies to one address over one connection, which is made when the first body is sent and after a break."""

    def __init__(self, host: str, path: str, headers: Mapping[str, str]) -> None:
        url = urllib.parse.urlsplit(host)
        self._is_tls = url.scheme == "https"
        self._name = str(url.hostname)
        self._port = url.port or (443 if self._is_tls else 80)
        lines = (f"POST {url.path.rstrip('/')}{path} HTTP/1.1", f"Host: {url.netloc}", *map(": ".join, headers.items()))
        self._head = "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"Content-Length: "
        self._socket: socket.socket | None = None
        self._idle = _make_poll()

    def push(self, body: bytes) -> answers.HTTPResponse:
        """Send a body and read the answer. Raises OSError or `HTTPParseError` where none came; no redirect is
        followed."""
        if self._socket is not None and self._idle.poll(0):  # closed by the ingest, or it has something to say unasked
            self.close()
        kept = self._socket or self._connect()
        try:
            kept.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            answer = _read_answer(kept)
        except BaseException:  # also where the user is ended: the next event would read the rest of this answer
            self.close()
            raise
        if answer.should_close():
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection, where there is one."""
        kept, self._socket = self._socket, None
        if kept is not None:
            self._idle.unregister(kept.fileno())
            kept.close()

    def _connect(self) -> socket.socket:
        connected = socket.create_connection((self._name, self._port), timeout=CONNECT_SECONDS)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_tls:
                connected = sending_client.trust_as_canary().wrap_socket(connected, server_hostname=self._name)
            connected.settimeout(ANSWER_SECONDS)
        except BaseException:
            connected.close()
            raise
        self._idle.register(connected.fileno(), select.POLLIN)
        self._socket = connected
        return connected


def _read_answer(connected: socket.socket) -> answers.HTTPResponse:
    answer = answers.HTTPResponse("POST")
    while not answer.message_complete or answer.get_code() < 200:  # an interim answer precedes the final one
        part = connected.recv(_READ_BYTES)
        answer.feed(part)
        if not part and not answer.message_complete:
            raise answers.HTTPConnectionClosed("closed before the end of the answer")
    return answer
