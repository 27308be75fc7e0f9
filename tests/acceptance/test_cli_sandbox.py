"""`burst sandbox` as processes: it stays up, ends whole, keeps its secrets, and ends nothing that is not its own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from burst.kit import process_tree
from tests import loopback_server, waiting


class Sandbox:
    """The commands of one sandbox, in a folder and on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "sandbox"
        self.port = loopback_server.find_free_port()

    def command(self, *words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "burst", "sandbox", *words]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=waiting.PROCESS_SECONDS,
            check=False,
            env=self.environment(),
            **settings,
        )

    def environment(self) -> dict[str, str]:
        return {**os.environ, "BURST_SANDBOX_FOLDER": str(self.folder)}

    def up(self) -> dict[str, Any]:
        shown = self.command("up", "--port", str(self.port), "--json")
        assert shown.returncode == 0, shown.stderr
        answer: dict[str, Any] = json.loads(shown.stdout)
        return answer

    def secret(self, variable: str) -> str:
        names = {"IG_API_KEY": "api-key", "IG_ADMISSION_DSN": "admission-dsn", "IG_ADMIN_DSN": "admin-dsn"}
        return (self.folder / names[variable]).read_text()

    def keeper(self) -> psutil.Process:
        return psutil.Process(json.loads((self.folder / "keeper.json").read_text())["pid"])

    def push(self) -> int | None:
        """The status of one pushed event; None while the gateway is away."""
        event = {"event_id": "one", "event_type": "t", "event_class": "traffic", "platform_run_id": "platform_one"}
        headers = {"X-IG-Api-Key": self.secret("IG_API_KEY"), "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/v1/ingest/push", json.dumps({**event, "payload": {}}), headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path)
    yield made
    ended = made.command("down")
    assert (ended.returncode, made.folder.exists()) == (0, False), ended.stderr


def test_a_sandbox_that_is_up_exports_what_a_plan_needs_and_shows_no_secret(sandbox: Sandbox) -> None:
    first = sandbox.command("up", "--port", str(sandbox.port))
    again = sandbox.up()
    shown = sandbox.command("status")
    script = f'{first.stdout}\nprintf \'%s\\n\' "$IG_API_KEY" "$IG_ADMISSION_DSN"'
    exported = subprocess.run(["/bin/sh", "-ec", script], capture_output=True, text=True, check=True).stdout.split()

    assert first.returncode == 0, first.stderr
    assert exported == [sandbox.secret("IG_API_KEY"), sandbox.secret("IG_ADMISSION_DSN")]
    assert (again["up"], again["started"], again["url"]) == (True, False, f"http://127.0.0.1:{sandbox.port}")
    assert (shown.returncode, shown.stdout.split(" since ")[0]) == (0, f"up at http://127.0.0.1:{sandbox.port}")
    output = first.stdout + first.stderr + json.dumps(again) + shown.stdout
    assert [name for name in ("IG_API_KEY", "IG_ADMISSION_DSN") if sandbox.secret(name) in output] == []
    assert {path.stat().st_mode & 0o777 for path in sandbox.folder.iterdir()} == {0o600}
    assert sandbox.folder.stat().st_mode & 0o777 == 0o700
    assert sandbox.push() == 200
    with psycopg.connect(sandbox.secret("IG_ADMISSION_DSN")) as connection:
        assert connection.execute("select decision from receipts").fetchall() == [("ADMIT",)]
        with pytest.raises((psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.InsufficientPrivilege)):
            connection.execute("delete from receipts")


def test_two_that_are_begun_at_once_are_one_which_survives_terminal_and_command(sandbox: Sandbox) -> None:
    with futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: sandbox.up(), range(2)))
    keeper = sandbox.keeper()
    keeper.send_signal(signal.SIGHUP)
    keeper.send_signal(signal.SIGINT)

    assert sorted(answer["started"] for answer in answers) == [False, True]
    assert answers[0]["since_utc"] == answers[1]["since_utc"]
    assert os.getsid(keeper.pid) == keeper.pid
    assert sandbox.push() == 200
    assert sandbox.keeper() == keeper


@pytest.mark.parametrize("part", ["gateway", "postgres"])
def test_a_part_that_ends_is_started_again_under_the_same_address_key_and_data(sandbox: Sandbox, part: str) -> None:
    sandbox.up()
    key = sandbox.secret("IG_API_KEY")
    assert sandbox.push() == 200
    parts = sandbox.keeper().children(recursive=True)
    chosen = {
        "gateway": [process for process in parts if "burst.sandbox.gateway" in process.cmdline()],
        "postgres": [process for process in parts if Path(process.cmdline()[0]).name == "postgres"][:1],
    }[part]
    assert len(chosen) == 1
    chosen[0].kill()

    waiting.until(lambda: not process_tree.is_living(chosen[0]), what="the part to end")
    waiting.until(lambda: sandbox.push() == 200, seconds=60, what="an event to be taken again")
    with psycopg.connect(sandbox.secret("IG_ADMISSION_DSN")) as connection:
        kept = connection.execute("select count(*) from receipts where decision = 'ADMIT'").fetchall()
    assert (sandbox.secret("IG_API_KEY"), kept) == (key, [(1,)])


def test_a_keeper_that_is_killed_leaves_nothing_and_the_next_one_starts(sandbox: Sandbox) -> None:
    sandbox.up()
    key, keeper = sandbox.secret("IG_API_KEY"), sandbox.keeper()
    parts = keeper.children(recursive=True)
    keeper.kill()

    gone, alive = psutil.wait_procs(parts, timeout=waiting.PROCESS_SECONDS)
    assert (len(gone) > 2, alive) == (True, [])
    shown = sandbox.command("status", "--json")
    assert (shown.returncode, json.loads(shown.stdout)) == (4, {"up": False})
    assert sandbox.up()["started"]
    assert sandbox.secret("IG_API_KEY") != key


def test_the_process_that_has_the_keepers_pid_now_is_not_ended(sandbox: Sandbox) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        sandbox.folder.mkdir(mode=0o700)
        (sandbox.folder / "keeper.json").write_text(json.dumps({"pid": stranger.pid, "started": 1.0}))
        ended = sandbox.command("down", "--json")

        assert (ended.returncode, json.loads(ended.stdout)) == (0, {"ended": False})
        assert stranger.poll() is None
        assert not sandbox.folder.exists()
    finally:
        stranger.kill()
        stranger.communicate()


def test_a_taken_port_a_second_port_and_a_folder_open_to_others_are_refused(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", sandbox.port)):
        taken = sandbox.command("up", "--port", str(sandbox.port))
    sandbox.up()
    second = sandbox.command("up", "--port", str(sandbox.port + 1))
    open_folder = sandbox.folder.parent / "open"
    open_folder.mkdir(mode=0o755)
    open_folder.chmod(0o755)
    refused = sandbox.command("up", "--folder", str(open_folder))

    assert [shown.returncode for shown in (taken, second, refused)] == [2, 2, 2]
    assert f"name another port: burst sandbox up --port {sandbox.port + 1}" in taken.stderr
    assert f"a sandbox is up at http://127.0.0.1:{sandbox.port}" in second.stderr
    assert "is open to others" in refused.stderr


def test_an_interrupted_start_leaves_nothing(sandbox: Sandbox) -> None:
    command = [sys.executable, "-m", "burst", "sandbox", "up", "--port", str(sandbox.port)]
    with subprocess.Popen(command, env=sandbox.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as begun:
        keeper = waiting.until(lambda: find_keeper(sandbox), seconds=60, what="the keeper")
        begun.send_signal(signal.SIGINT)
        begun.communicate(timeout=waiting.PROCESS_SECONDS)

    assert not process_tree.is_living(keeper)
    assert not (sandbox.folder / "api-key").exists()


def find_keeper(sandbox: Sandbox) -> psutil.Process | None:
    return sandbox.keeper() if (sandbox.folder / "keeper.json").exists() else None


STEPS = (
    ("burst", "init", "-o", "plan.yaml"),
    ("burst", "init", "--steps", "-o", "steps.yaml"),
    ("burst", "init", "--short", "-o", "short.yaml"),
    ("burst", "plan", "steps.yaml"),
    ("burst", "receipts", "inspect", "--dsn", "env:IG_ADMISSION_DSN"),
    ("burst", "preflight", "plan.yaml"),
    ("burst", "db", "check", "--plan", "plan.yaml"),
)


def test_the_plans_that_init_writes_are_ready_for_it(sandbox: Sandbox, tmp_path: Path) -> None:
    exports = sandbox.command("up", "--port", str(sandbox.port)).stdout
    burst = f'burst() {{ "{sys.executable}" -m burst "$@"; }}'
    script = "\n".join([burst, exports, *(" ".join(step) for step in STEPS)])

    played = subprocess.run(
        ["/bin/sh", "-ec", script],
        cwd=tmp_path,
        env=sandbox.environment() | {"PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )

    assert played.returncode == 0, played.stdout + played.stderr
    for plan in ("plan.yaml", "steps.yaml", "short.yaml"):
        assert f"host: http://127.0.0.1:{sandbox.port}" in (tmp_path / plan).read_text()
        assert f"wrote {plan}; its host is the sandbox's" in played.stderr


@pytest.mark.parametrize("command", ["plan", "preflight"])
def test_a_variable_that_is_not_set_here_is_told_with_the_command_that_sets_it_where_the_sandbox_is_up(
    command: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    def give() -> str:
        environment = {name: value for name, value in sandbox.environment().items() if not name.startswith("IG_")}
        words = [sys.executable, "-m", "burst", command, "plan.yaml"]
        told = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        assert told.returncode == 2
        return next(line for line in told.stderr.splitlines() if line.startswith("what to do: "))

    plan = [sys.executable, "-m", "burst", "init", "--short"]
    subprocess.run(plan, cwd=tmp_path, env=sandbox.environment(), check=True, capture_output=True)
    before = give()
    sandbox.up()

    assert before == "what to do: mend what is named above and give the command again; see: burst runbook exit-2"
    assert give() == (
        'what to do: the sandbox is up, and has it: eval "$(burst sandbox up)", then give the command again; '
        "see: burst runbook exit-2"
    )
