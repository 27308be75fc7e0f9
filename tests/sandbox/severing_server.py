"""A server on loopback that breaks connections which it had kept alive: each carries one request that is answered, and
a second one without an answer. Of every other connection the second request is not even read."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOOPBACK = "127.0.0.1"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class SeveringServer:
    """Knows the id of each event that reached this machine, as often as it came, whether it was read or not."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self.answered: list[str] = []
        self.read_and_severed: list[str] = []
        self.unread_and_severed: list[str] = []

    @property
    def arrived(self) -> list[str]:
        """Every event that came, again where it came again."""
        return [*self.answered, *self.read_and_severed, *self.unread_and_severed]

    def serve(self) -> None:
        """Takes connections until the listener is shut down."""
        number = 0
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._carry_two, args=[connection, number % 2 == 0], daemon=True).start()
                number += 1

    def _carry_two(self, connection: socket.socket, reads: bool) -> None:
        with connection, suppress(OSError):
            first = _await_request(connection, 0)
            self.answered.append(first)
            connection.sendall(_ANSWER)
            # What was peeked at stays unread, so that the kernel resets the connection when it is closed.
            second = _await_request(connection, 0 if reads else socket.MSG_PEEK)
            (self.read_and_severed if reads else self.unread_and_severed).append(second)


def _await_request(connection: socket.socket, flags: int) -> str:
    """The id of the event in the next request. Raises OSError where the client hangs up before it."""
    content = b""
    while (event_id := _find_event(content)) is None:
        chunk = connection.recv(65536, flags)
        if not chunk:
            raise ConnectionResetError
        content = chunk if flags else content + chunk
        time.sleep(0.001 if flags else 0.0)  # a peek at half a request comes back at once
    return event_id


def _find_event(content: bytes) -> str | None:
    """The id of the event, once its whole request is here: a body of JSON ends with its brace."""
    body = content.partition(b"\r\n\r\n")[2]
    with suppress(ValueError):
        return str(json.loads(body)["event_id"])
    return None


@contextmanager
def serve() -> Iterator[SeveringServer]:
    """Serves until the end of the block."""
    with socket.create_server((LOOPBACK, 0), backlog=128) as listener:
        server = SeveringServer(listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
