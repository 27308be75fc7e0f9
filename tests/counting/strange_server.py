"""A server that is no Postgres: it takes connections, and greets each as a test says."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def listening(greet: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[float]]]:
    """Yields its port, and the moments it was connected to."""
    connected: list[float] = []
    clients: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    clients.append(client)
                    connected.append(time.monotonic())
                    greet(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], connected
        server.shutdown(socket.SHUT_RDWR)
        thread.join(30)
    for client in clients:
        client.close()
