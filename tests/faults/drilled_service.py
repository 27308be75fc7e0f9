"""A service of this machine under a supervisor, as a drill restarts it, and a probe of it; each is one of the words of
`python drilled_service.py WORD ...`.

    supervise FOLDER PORT SECONDS   starts the worker, and each time that it ends another one, SECONDS later
    work FOLDER PORT                answers on PORT, and writes its pid to FOLDER/pid
    strike FOLDER [once]            kills the worker; notes in FOLDER/strikes that it did; `once`: and its supervisor
    mend FOLDER                     notes in FOLDER/mends that the fault was taken back

`PROBE` is a program of its own, `python -I -S -c PROBE PORT`: it is started each second, so it imports next to nothing.
It prints {"up": 1} where the worker answers, {"up": 0} where it does not.
"""

import http.server
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROBE = """\
import socket, sys
try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 0.5) as asked:
        asked.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        answers = b" 204 " in asked.makefile("rb").readline()
except OSError:
    answers = False
print('{"up": %d}' % answers)
"""


class _Worker(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


def supervise(folder: str, port: str, seconds: str) -> None:
    """Keeps a worker running, until it is ended itself."""
    (Path(folder) / "supervisor").write_text(str(os.getpid()))
    while True:
        subprocess.run([sys.executable, __file__, "work", folder, port], check=False)
        time.sleep(float(seconds))


def work(folder: str, port: str) -> None:
    """Answers on a port of this machine."""
    http.server.HTTPServer.allow_reuse_address = True
    with http.server.HTTPServer(("127.0.0.1", int(port)), _Worker) as server:
        (Path(folder) / "pid").write_text(str(os.getpid()))
        server.serve_forever()


def strike(folder: str, *words: str) -> None:
    """Kills the worker."""
    with (Path(folder) / "strikes").open("a") as strikes:
        strikes.write("struck\n")
    if "once" in words:
        os.kill(int((Path(folder) / "supervisor").read_text()), signal.SIGKILL)
    os.kill(int((Path(folder) / "pid").read_text()), signal.SIGKILL)


def mend(folder: str) -> None:
    """Takes the fault back."""
    with (Path(folder) / "mends").open("a") as mends:
        mends.write("mended\n")


WORDS: dict[str, Callable[..., None]] = {
    "supervise": supervise,
    "work": work,
    "strike": strike,
    "mend": mend,
}

if __name__ == "__main__":
    WORDS[sys.argv[1]](*sys.argv[2:])
