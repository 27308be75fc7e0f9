"""Starts the reference gateway: a process of its own on loopback that ends with its parent.

    with gateway.start(dsn=dsn, api_key=key) as running:   # POST {running.url}/v1/ingest/push

It answers each pushed event with a receipt (ADMIT, DUPLICATE or QUARANTINE), which it keeps in Postgres. By hand it is
`python -m burst.sandbox.gateway --dsn-env NAME --api-key-env NAME`, with the secrets in environment variables. Only the
server's process imports the server's libraries.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from burst.domain.basics import errors
from burst.kit import own_programs

_DSN_VARIABLE = "BURST_GATEWAY_DSN"
_API_KEY_VARIABLE = "BURST_GATEWAY_API_KEY"
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0


class Gateway:
    """A running gateway. `url` is its base, without a slash at the end."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}"

    @property
    def pid(self) -> int:
        """The pid of its process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Ends the gateway, after a short time for requests in flight. A second call does nothing."""
        _end_process(self._process)

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(*, dsn: str, api_key: str, port: int = 0) -> Gateway:
    """Starts a gateway on `port` (0: a free one) and creates its tables. Raises `Unavailable` if it does not start."""
    with tempfile.TemporaryDirectory(prefix="burst-gw-") as folder:
        port_file, log = Path(folder) / "port", Path(folder) / "log"
        with log.open("wb") as log_file:
            process = subprocess.Popen(
                [
                    *own_programs.start_words("burst.sandbox.gateway"), "--until-eof", "--port-file", str(port_file),
                    "--dsn-env", _DSN_VARIABLE, "--api-key-env", _API_KEY_VARIABLE, "--port", str(port),
                ],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log_file, start_new_session=True,
                env=os.environ | {_DSN_VARIABLE: dsn, _API_KEY_VARIABLE: api_key},
            )  # fmt: skip
        try:
            return Gateway(process, _wait_for_port(process, port_file, log))
        except BaseException:
            _end_process(process)
            raise


def main() -> None:
    """Runs a gateway, by hand or for a parent."""
    parser = argparse.ArgumentParser(
        prog="python -m burst.sandbox.gateway", description="A reference gateway on loopback."
    )
    parser.add_argument("--dsn-env", required=True, metavar="NAME", help="environment variable that holds the DSN")
    parser.add_argument("--api-key-env", required=True, metavar="NAME", help="environment variable that holds the key")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="file to write the port to once it serves")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    options = parser.parse_args()
    for name in (options.dsn_env, options.api_key_env):
        if not os.environ.get(name):
            parser.error(f"the environment variable {name} is empty or not set")
    _serve(options)


def _serve(options: argparse.Namespace) -> None:
    import psycopg
    import uvloop

    from burst.sandbox import embedded_postgres, ingest_server

    dsn = os.environ[options.dsn_env]
    try:
        embedded_postgres.apply_schema(dsn)
    except psycopg.Error as failure:
        sys.exit(
            f"the database named by {options.dsn_env} cannot be used: {embedded_postgres.describe_failure(failure)}"
        )
    server = ingest_server.serve(
        dsn=dsn,
        api_key=os.environ[options.api_key_env],
        port=options.port,
        port_file=options.port_file,
        until_eof=options.until_eof,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server)


def _wait_for_port(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> int:
    give_up = time.monotonic() + _START_SECONDS
    while not port_file.exists():
        if process.poll() is not None or time.monotonic() > give_up:
            tail = " / ".join(log.read_text(errors="replace").splitlines()[-3:])
            raise errors.Unavailable(f"the gateway did not start (exit code {process.returncode}): {tail}")
        time.sleep(0.01)
    return int(port_file.read_text(encoding="ascii"))


def _end_process(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
