"""The smallest load program: the same events as `ingest.py`, one after another, from the standard library alone.

    BURST_HOST=http://127.0.0.1:8080 IG_API_KEY=... python -m burst.load.profiles.sender

It starts in hundredths of a second and keeps up to about 200 events a second over one connection. It is "any program"
where a plan gives a command in place of a locustfile. `load_settings` names its settings in the environment.
"""

import http.client
import math
import os
import signal
import sys
import time
import urllib.parse

from burst.load import event_kinds, failure_kinds, load_account, load_settings, load_shares, send_account, send_schedule

TIMEOUT_SECONDS = 10.0


class Sender:
    """One connection to the ingest, made again when it breaks."""

    def __init__(
        self, host: str, api_key: str, route: str = event_kinds.PUSH_PATH, key_header: str = event_kinds.KEY_HEADER
    ) -> None:
        url = urllib.parse.urlsplit(host)
        connection_type = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = connection_type(url.netloc, timeout=TIMEOUT_SECONDS)
        self.route = route
        self._path = url.path.rstrip("/") + route
        self._headers = {key_header: api_key, "Content-Type": "application/json"}

    def push(self, body: str) -> int | Exception:
        """Send one event: the status of the answer, or why there was none."""
        try:
            self._connection.request("POST", self._path, body, self._headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as exc:
            self._connection.close()
            return exc
        return response.status


def main() -> None:
    """Send this task's share, then idle until TERM or INT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        share = load_shares.read_share(os.environ)
        sender = Sender(_read_host(), load_settings.read_api_key(), share.route, share.key_header)
    except load_settings.SettingError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)
    share.announce_ready()
    while not share.may_start():
        time.sleep(load_shares.GO_POLL_SECONDS)
    _send(share, sender)


def _send(share: load_shares.LoadShare, sender: Sender) -> None:
    tally = load_account.open_writer(os.environ)
    started = time.monotonic()
    schedule, account = send_schedule.SendSchedule(share, started), send_account.SendAccount(share, tally)
    account.begin(schedule, started)
    refused = 0

    def pause_until(due: float) -> None:
        """Wait, and write the account every second."""
        while (seconds := due - time.monotonic()) > 0:
            account.count_due(time.monotonic())
            tally.write_if_due(time.time())
            time.sleep(min(seconds, load_account.BEAT_SECONDS))

    try:
        while (slot := schedule.take_slot()) is not None:
            pause_until(slot.due)
            account.record(slot, time.monotonic())
            refused += not push_event(sender, share.stream.encode(slot.sequence), tally)
            account.count_due(time.monotonic())
            tally.write_if_due(time.time())
        pause_until(math.inf)
    finally:
        account.count_due(time.monotonic())
        tally.write()
        sys.stderr.write(f"{account.summarize()}; {refused} were not taken\n")


def push_event(sender: Sender, body: str, tally: load_account.AccountWriter) -> bool:
    """Send one event and count its answer; whether the ingest took it."""
    began = time.monotonic()
    answer = sender.push(body)
    status = answer if isinstance(answer, int) else None
    error = None if isinstance(answer, int) else failure_kinds.name_failure(answer)
    seconds = time.monotonic() - began
    now = time.time()
    step = tally.find_step(now - seconds)
    tally.pending.note_answer(now, sender.route, latency_seconds=seconds, status=status, error=error, step=step)
    return status == http.HTTPStatus.OK


def _read_host() -> str:
    host = os.environ.get(load_settings.HOST, "")
    if not host.startswith(("http://", "https://")):
        raise load_settings.SettingError(
            f"{load_settings.HOST} must be the ingest's base, such as http://127.0.0.1:8080"
        )
    return host


if __name__ == "__main__":
    main()
