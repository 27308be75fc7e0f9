"""A server on loopback for the length of a block, in a thread of this process; and ports for servers elsewhere."""

import contextlib
import random
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import TypeVar

S = TypeVar("S", bound=socketserver.TCPServer)
GIVEN_TO_NOBODY = range(20_000, 32_000)
"""The ports below those that systems give to whoever asks for any: each connection of a test beside this one gets one
of those, so that it might be taken before the program that is told of it listens on it."""


@contextlib.contextmanager
def run(server: S) -> Iterator[S]:
    """Lets a server answer until the block ends; then it is closed, and its thread has ended."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def find_url(server: socketserver.TCPServer) -> str:
    """Its address."""
    return f"http://127.0.0.1:{server.server_address[1]}"


def find_free_port() -> int:
    """A port for a program that is started next, and that nobody listens on now."""
    for port in random.SystemRandom().sample(GIVEN_TO_NOBODY, 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError(f"none of 100 ports of {GIVEN_TO_NOBODY} is free")
