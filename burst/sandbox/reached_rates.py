"""What this machine reaches now: the rate at which a gateway on it admits what a few programs send without a pause.

A demo that asks for more than that would show how busy a laptop is, and not what burst does. The senders are burst's
own smallest load programs, so they compete for the processors as the tasks of the demo will.
"""

import os
import secrets
import subprocess
import time

import psycopg

from burst.domain.basics import instants
from burst.kit import own_programs
from burst.load import load_settings

SECONDS = 3.0
SENDERS = 2
_MORE_THAN_ANY_REACHES = "100000/s"
_START_SECONDS = 30.0
_POLL_SECONDS = 0.05
_STOP_SECONDS = 15.0
_COUNT = "select count(*), min(created_at_utc), max(created_at_utc) from receipts where platform_run_id = %s"


def measure_reached_rate(*, host: str, api_key: str, dsn: str) -> float:
    """Events a minute that were admitted while `SENDERS` programs sent for `SECONDS`; 0.0 where none was.

    They are sent in a scope of their own, so that no run counts them. `dsn` is the database that the gateway writes to.
    """
    scope = f"platform_reached_{secrets.token_hex(4)}"
    senders = [_start_sender(index, host, api_key, scope) for index in range(SENDERS)]
    try:
        give_up_at = time.monotonic() + _START_SECONDS
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not _count(connection, scope)[0] and time.monotonic() < give_up_at:
                time.sleep(_POLL_SECONDS)
            time.sleep(SECONDS)
            admitted, seconds = _count(connection, scope)
    finally:
        _end(senders)
    return admitted / seconds * 60 if seconds else 0.0


def _start_sender(index: int, host: str, api_key: str, scope: str) -> subprocess.Popen[bytes]:
    settings = {
        load_settings.SCOPE: scope,
        load_settings.SHARD_INDEX: str(index),
        load_settings.SHARD_COUNT: str(SENDERS),
        load_settings.RATE_PER_MINUTE: _MORE_THAN_ANY_REACHES,
        load_settings.HOST: host,
        load_settings.API_KEY: api_key,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BURST_")}
    return subprocess.Popen(
        (*own_programs.bound_words(), *own_programs.start_words("burst.load.profiles.sender")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=inherited | settings,
    )


def _count(connection: psycopg.Connection, scope: str) -> tuple[int, float]:
    """The receipts so far, and the seconds from the first to the last."""
    row = connection.execute(_COUNT, [scope]).fetchone()
    if row is None or not row[0]:
        return 0, 0.0
    count, first, last = row
    return int(count), instants.seconds_between(instants.parse(first), instants.parse(last))


def _end(senders: list[subprocess.Popen[bytes]]) -> None:
    for sender in senders:
        sender.terminate()
    for sender in senders:
        try:
            sender.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            sender.kill()
            sender.wait()
