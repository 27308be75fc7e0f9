"""A server on loopback for the length of a block, in a thread of this process."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import TypeVar

S = TypeVar("S", bound=socketserver.TCPServer)


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
