"""The keeper of the standing sandbox: a process of its own that holds Postgres and gateway up until it is told to end.

    python -m burst.sandbox.sandbox_keeper FOLDER PORT LOCK_DESCRIPTOR

Gateway and database end with this process, however it ends: the one at the end of its standard input, the other with
its own supervisor. Where one of them ends by itself it is started again, on the same port and the same data, so what a
shell exported stays true.
"""

import dataclasses
import os
import secrets
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from burst.domain.basics import errors, instants
from burst.sandbox import embedded_postgres, gateway, sandbox_folders

LOOK_SECONDS = 0.5
_DATABASE = "ingest"


def main(words: list[str]) -> int:
    """Keeps a sandbox for the folder. Returns 1 where it cannot be started or kept; the log then says why."""
    folder, port, lock = sandbox_folders.SandboxFolder(Path(words[0])), int(words[1]), int(words[2])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    folder.write_keeper(psutil.Process())
    os.close(lock)
    try:
        _keep(folder, port)
    except (errors.BurstError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _end(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second signal must not interrupt the end
    sys.exit(0)


def _keep(folder: sandbox_folders.SandboxFolder, port: int) -> None:
    api_key = secrets.token_urlsafe(24)
    with embedded_postgres.start() as server:
        dsn = server.create_database(_DATABASE)
        running = gateway.start(dsn=dsn, api_key=api_key, port=port)
        try:
            folder.write_secret("IG_API_KEY", api_key)
            folder.write_secret("IG_ADMISSION_DSN", server.create_reader(dsn))
            folder.write_secret("IG_ADMIN_DSN", dsn)
            state = sandbox_folders.SandboxState(url=running.url, since_utc=instants.text(datetime.now(UTC)))
            while True:
                folder.write_standing(state)
                _wait_until_down(server, running)
                running.stop()
                running = gateway.start(dsn=dsn, api_key=api_key, port=port)
                state = dataclasses.replace(state, restarts=state.restarts + 1)
        finally:
            running.stop()


def _wait_until_down(server: embedded_postgres.PostgresServer, running: gateway.Gateway) -> None:
    """Returns once the gateway has ended. A database that has ended is started again; the gateway comes back to it."""
    while not running.has_ended:
        server.start_server()  # one that runs stays as it is
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
