"""What the load account costs: a constant body by Locust's fast client, plain and as burst starts it, in turn.

The host is a process of its own that keeps nothing. Figures a processor second are the sounder ones where other work is
on the machine: the rate a second is that of whatever was left to it.
"""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from multiprocessing import connection
from pathlib import Path

SECONDS = 8
ROUNDS = 3
USERS = 16
LOCUSTFILE = """
from locust import FastHttpUser, constant, task


class Constant(FastHttpUser):
    wait_time = constant(0)

    @task
    def push(self):
        self.client.post("/push", data="x" * 200)
"""
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve(port: "connection.Connection") -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def serve(port: "connection.Connection") -> None:
    """The host, as a process: it tells its port and answers until it is ended."""
    asyncio.run(_serve(port))


def _run_locust(folder: Path, module: str, port: int) -> tuple[float, float]:
    """Requests a second, and requests a second of the processor."""
    result = folder / "result"
    command = [sys.executable, "-m", module, "-f", str(folder / "constant.py"), "--headless", "--only-summary"]
    command += ["-u", str(USERS), "-r", str(USERS), "-t", f"{SECONDS}s", "-H", f"http://127.0.0.1:{port}"]
    environment = {**os.environ, "BURST_ACCOUNT_FILE": str(folder / "account")}
    process = subprocess.Popen(
        [*command, "--json-file", str(result)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    (entry,) = json.loads(result.with_suffix(".json").read_text())
    return entry["num_requests"] / SECONDS, entry["num_requests"] / (usage.ru_utime + usage.ru_stime)


def run() -> dict[str, object]:
    """Measure each in turn, and take the best round of each: it was disturbed least."""
    here, there = multiprocessing.Pipe()
    host = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    host.start()
    port = here.recv()
    plain, counted = [], []
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "constant.py").write_text(LOCUSTFILE)
            for _ in range(ROUNDS):
                plain.append(_run_locust(folder, "locust", port))
                counted.append(_run_locust(folder, "burst.load.locust_start", port))
    finally:
        host.kill()
        host.join()
    best_plain, best_counted = max(each for _, each in plain), max(each for _, each in counted)
    return {
        "plain_requests_per_second": round(max(rate for rate, _ in plain)),
        "counted_requests_per_second": round(max(rate for rate, _ in counted)),
        "plain_requests_per_cpu_second": round(best_plain),
        "counted_requests_per_cpu_second": round(best_counted),
        "counted_of_plain": round(best_counted / best_plain, 3),
        "users": USERS,
    }
