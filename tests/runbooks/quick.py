"""`burst` without its second of start-up: a server forks, for each command, a process that has everything imported.

    python -m tests.runbooks.quick SOCKET FOLDER     # serves, and writes FOLDER/burst, which hands its words over

Hundreds of commands stand in the runbooks. Each runs as `python -m burst` would run it, in a process of its own, with
the caller's folder, environment, stdin, stdout and stderr; what its first call would import and make is there before.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from burst.cli import main
from tests import waiting
from tests.faults import forked_ready as commands_ready  # noqa: F401 - imports and makes what every command needs
from tests.matrix import forked_ready as clients_ready  # noqa: F401 - the same for calls to AWS

_CLIENT = """\
#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    answer = server.recv(1)
sys.exit(answer[0] if answer else 70)
"""


@contextlib.contextmanager
def started(folder: Path) -> Iterator[None]:
    """A server of its own, and `folder/burst` that asks it."""
    words = [sys.executable, "-m", "tests.runbooks.quick", str(folder / "socket"), str(folder)]
    process = subprocess.Popen(words, cwd=Path(__file__).parents[2])
    try:
        waiting.until(lambda: os.access(folder / "burst", os.X_OK), seconds=60, what="burst to be served")
        yield
    finally:
        process.terminate()
        process.wait()


def serve(address: Path, folder: Path) -> None:
    """Serves until it is ended."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen(16)
        client = folder / "burst"
        client.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
        client.chmod(0o755)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            caller, _ = server.accept()
            with caller:
                if os.fork() == 0:
                    server.close()
                    _answer(caller)


def _answer(caller: socket.socket) -> None:
    """In the fork: runs the command and hands back its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        length, descriptors, _, _ = socket.recv_fds(caller, 4, 3)
        asked = b""
        while len(asked) < int.from_bytes(length, "big"):
            asked += caller.recv(65536)
        words, folder, environment = json.loads(asked)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        code = main.main(words)
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        caller.sendall(bytes([code % 256]))
        os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
