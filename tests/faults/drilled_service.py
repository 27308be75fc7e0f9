"""A service of this machine under a supervisor, as a drill restarts it, and a probe of it; each is one of the words of
`python drilled_service.py WORD ...`.

    supervise FOLDER PORT SECONDS   starts the worker, and each time that it ends another one, SECONDS later
    work FOLDER PORT                answers on PORT, and writes its pid to FOLDER/pid
    strike FOLDER [once]            kills the worker; notes in FOLDER/strikes that it did; `once`: and its supervisor
    mend FOLDER                     notes in FOLDER/mends that the fault was taken back
    probe PORT                      prints {"up": 1} where the worker answers, {"up": 0} where it does not
"""

import http.server
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path


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


def probe(port: str) -> None:
    """Prints whether the worker answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=0.5):
            print('{"up": 1}')
    except (urllib.error.URLError, OSError):
        print('{"up": 0}')


WORDS: dict[str, Callable[..., None]] = {
    "supervise": supervise,
    "work": work,
    "strike": strike,
    "mend": mend,
    "probe": probe,
}

if __name__ == "__main__":
    WORDS[sys.argv[1]](*sys.argv[2:])
