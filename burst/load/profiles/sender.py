"""The smallest load program: the same events as `ingest.py`, one after another, from the standard library alone.

    BURST_HOST=http://127.0.0.1:8080 IG_API_KEY=... python -m burst.load.profiles.sender

It starts in hundredths of a second and keeps up to about 200 events a second over one connection. It is "any program"
where a plan gives a command in place of a locustfile. `load_settings` names its settings in the environment.
"""

import http.client
import os
import signal
import sys
import time
import urllib.parse

from burst.load import load_events, load_settings, load_shares, send_account, send_schedule

TIMEOUT_SECONDS = 10.0


class Sender:
    """One connection to the ingest, made again when it breaks."""

    def __init__(self, host: str, api_key: str) -> None:
        url = urllib.parse.urlsplit(host)
        connection_type = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = connection_type(url.netloc, timeout=TIMEOUT_SECONDS)
        self._path = url.path.rstrip("/") + load_events.PUSH_PATH
        self._headers = {"X-IG-Api-Key": api_key, "Content-Type": "application/json"}

    def push(self, body: str) -> bool:
        """Send one event; whether the ingest took it."""
        try:
            self._connection.request("POST", self._path, body, self._headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False
        return response.status == http.HTTPStatus.OK


def main() -> None:
    """Send this task's share, then idle until TERM or INT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        share, sender = load_shares.read_share(os.environ), Sender(_read_host(), load_settings.read_api_key())
    except load_settings.SettingError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)
    share.announce_ready()
    while not share.may_start():
        time.sleep(load_shares.GO_POLL_SECONDS)
    _send(share, sender)


def _send(share: load_shares.LoadShare, sender: Sender) -> None:
    schedule, account = send_schedule.SendSchedule(share, time.monotonic()), send_account.SendAccount(share)
    refused = 0
    try:
        while (slot := schedule.take_slot()) is not None:
            time.sleep(max(0.0, slot.due - time.monotonic()))
            account.record(slot, time.monotonic())
            refused += not sender.push(share.stream.encode(slot.sequence))
        while True:
            signal.pause()
    finally:
        sys.stderr.write(f"{account.summarize()}; {refused} were not taken\n")


def _read_host() -> str:
    host = os.environ.get(load_settings.HOST, "")
    if not host.startswith(("http://", "https://")):
        raise load_settings.SettingError(
            f"{load_settings.HOST} must be the ingest's base, such as http://127.0.0.1:8080"
        )
    return host


if __name__ == "__main__":
    main()
