"""The smallest load program: the same events as `ingest.py`, one after another, from the standard library alone.

    BURST_HOST=http://127.0.0.1:8080 IG_API_KEY=... python locustfiles/sender.py

It starts in hundredths of a second and keeps up to about 200 events a second over one connection. It is "any program"
where a plan gives a command in place of a locustfile. Settings come from the environment as `pacing` names them.
"""

import http.client
import os
import signal
import sys
import time
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from locustfiles import pacing
else:
    import pacing  # this file's folder is on the path when it is run

TIMEOUT_SECONDS = 10.0


class Sender:
    """One connection to the ingest, made again when it breaks."""

    def __init__(self, host: str, api_key: str) -> None:
        url = urllib.parse.urlsplit(host)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(url.netloc, timeout=TIMEOUT_SECONDS)
        self._path = url.path.rstrip("/") + pacing.PUSH_PATH
        self._headers = {"X-IG-Api-Key": api_key, "Content-Type": "application/json"}

    def push(self, body: str) -> bool:
        """Send one event; whether it was taken."""
        try:
            self._connection.request("POST", self._path, body, self._headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False
        return response.status == http.HTTPStatus.OK


def main() -> None:
    """Send this task's share, then idle until told to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        share, sender = pacing.share(os.environ), Sender(_host(), pacing.api_key())
    except pacing.BadSetting as wrong:
        sys.stderr.write(f"{wrong}\n")
        sys.exit(2)
    share.say_ready()
    while not share.may_go():
        time.sleep(pacing.GO_POLL_SECONDS)
    pace = pacing.Pace(share, time.monotonic())
    refused = 0
    try:
        while (slot := pace.take()) is not None:
            time.sleep(max(0.0, slot.due - time.monotonic()))
            pace.sending(slot, time.monotonic())
            refused += not sender.push(share.envelope(slot.sequence))
        while True:
            signal.pause()
    finally:
        sys.stderr.write(f"{pace.account()}; {refused} were not taken\n")


def _host() -> str:
    host = os.environ.get(pacing.HOST, "")
    if not host.startswith(("http://", "https://")):
        raise pacing.BadSetting(f"{pacing.HOST} must be the ingest's base, such as http://127.0.0.1:8080")
    return host


if __name__ == "__main__":
    main()
