"""Commands about a run where AWS does not answer, denies, has no S3, or knows of no task (yet, or any more).

Whoever cannot tell that a task is stopped ends with 6, and never says that it is.
"""

import http.server
import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.aws import ecs_tasks
from burst.adapters.local import folder_store, journal_file, run_lock
from burst.cli import main
from burst.control import run_documents
from burst.domain.basics import canonical, instants
from burst.domain.documents import document_names
from burst.domain.run.events import base, ending_events, errand_events, launch_events
from burst.domain.tasks import services, tasks
from burst.kit import aws, process_tree
from burst.wiring import stopping
from burst.wiring.targets import ecs_target
from tests import cases, fakes, loopback_server

EXECUTION_ID = "m10_blind"
TASK = "arn:aws:ecs:eu-west-2:123456789012:task/burst/0a1b"
RUN_CONTROL = "s3://evidence/run_control"


class Denies(http.server.BaseHTTPRequestHandler):
    """An AWS that answers every call with a denial."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(400, b'{"__type": "AccessDeniedException", "message": "not authorized"}')

    def do_GET(self) -> None:
        self._answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")  # so that no thread waits for another question of the same test
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Forgets(Denies):
    """An AWS that knows no task and no object."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers = {"ListTasks": {"taskArns": []}, "DescribeTasks": {"tasks": [], "failures": [{"reason": "MISSING"}]}}
        answer = answers.get(self.headers["X-Amz-Target"].rpartition(".")[2])
        if answer is None:
            self._answer(400, b'{"__type": "InvalidParameterException", "message": "The task was not found"}')
        else:
            self._answer(200, json.dumps(answer).encode())

    def do_GET(self) -> None:
        self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")


class WithoutS3(Denies):
    """An AWS whose S3 is down, with one task that stops when it is told to and one service that is scaled up."""

    stopped = False
    desired = 4

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        here, action = type(self), self.headers["X-Amz-Target"].rpartition(".")[2]
        if action == "StopTask":
            here.stopped = True
        if action == "UpdateService":
            here.desired = asked["desiredCount"]
        ended = {"stopCode": "UserInitiated", "stoppedReason": "burst: controller", "stoppedAt": time.time()}
        task = {"taskArn": TASK, "lastStatus": "STOPPED" if here.stopped else "RUNNING"}
        service = {"serviceName": "ingest", "status": "ACTIVE", "desiredCount": here.desired, "runningCount": 4}
        listed = here.stopped == (asked.get("desiredStatus") == "STOPPED")
        answers = {
            "ListTasks": {"taskArns": [TASK] if listed else []},
            "DescribeTasks": {"tasks": [{**task, **(ended if here.stopped else {})}], "failures": []},
            "DescribeServices": {"services": [service], "failures": []},
            "UpdateService": {"service": service},
        }
        self._answer(200, json.dumps(answers.get(action, {})).encode())

    def do_GET(self) -> None:
        self._answer(503, b"<Error><Code>ServiceUnavailable</Code><Message>down</Message></Error>")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()


def served(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with loopback_server.run(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield loopback_server.find_url(server)


@pytest.fixture(scope="module")
def denying() -> Iterator[str]:
    yield from served(Denies)


@pytest.fixture(scope="module")
def forgetful() -> Iterator[str]:
    yield from served(Forgets)


@pytest.fixture
def without_s3() -> Iterator[tuple[str, type[WithoutS3]]]:
    class OfOneTest(WithoutS3):
        """Its task and its service are as no other test left them."""

    for address in served(OfOneTest):
        yield address, OfOneTest


def use(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)  # a simulated AWS of this worker says where each service of it is
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_REGION": "eu-west-2",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "BLIND_DSN": "postgresql://nobody@127.0.0.1:1/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ecs_tasks, "CALL_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(aws, "PAUSE_SECONDS", 0.0)


@pytest.fixture(params=["silent", "denying"])
def aws_away(request: pytest.FixtureRequest, denying: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, denying if request.param == "denying" else "http://127.0.0.1:1")


@pytest.fixture
def aws_forgets(forgetful: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, forgetful)
    monkeypatch.setattr(ecs_target, "STOP_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(stopping, "MARGIN_SECONDS", 0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run on ECS whose controller died after GO."""
    made = on_ecs(tmp_path)
    begin(made)
    return made


def on_ecs(tmp_path: Path, **changes: Any) -> Path:
    """The folder of a run on ECS that has no journal yet."""
    plan = cases.plan(
        execution_id=EXECUTION_ID,
        target={
            "kind": "ecs", "tasks": 1, "cluster": "burst", "task_definition": "burst:1",
            "subnets": ["subnet-a"], "security_groups": ["sg-a"],
        },
        budget={"max": "90m", "operator_cap": "20m", "min_window": "15m", "stop_grace": "100ms"},
        receipts={"dsn": "env:BLIND_DSN"},
        evidence={"local": str(tmp_path), "run_control": RUN_CONTROL, "run_scoped": "s3://evidence/runs"},
        **changes,
    )  # fmt: skip
    store = folder_store.FolderStore.create(tmp_path, EXECUTION_ID)
    for name, content in run_documents.input_documents(plan, None, None):
        store.put_once(name, content)
    return store.folder


def begin(folder: Path) -> None:
    journal(
        folder,
        launch_events.LaunchAnswered(tasks=(tasks.Task(task_id=TASK, shard_index=0),), failures=()),
        launch_events.GoGiven(go_at=datetime.now(UTC)),
    )


def journal(folder: Path, *events: base.Event) -> None:
    """The journal of a run that began a launch, and what came after."""
    (folder / document_names.JOURNAL).unlink(missing_ok=True)
    made = journal_file.FileJournal.create(folder / document_names.JOURNAL, lambda: datetime.now(UTC))
    deadline = instants.later(datetime.now(UTC), 60)
    plan_sha256 = canonical.digest((folder / document_names.PLAN).read_bytes())
    made.append(cases.run_created(execution_id=folder.name, deadline=deadline, plan_sha256=plan_sha256))
    made.append(launch_events.LaunchIntended(token="a", shards=(0,), capacity=None))
    for event in events:
        made.append(event)
    made.close()


@pytest.mark.usefixtures("aws_away")
@pytest.mark.parametrize("command", ["resume", "reconcile", "stop", "status"])
def test_a_command_that_cannot_see_the_tasks_of_its_run_ends_with_6(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / document_names.JOURNAL).read_bytes()

    code = main.main([command, str(folder)])

    said = capsys.readouterr().err
    assert code == 6
    assert "Cannot tell whether tasks still run" in said
    assert f"Try again: burst {command}" in said
    assert (folder / document_names.JOURNAL).read_bytes() == before


@pytest.mark.usefixtures("aws_away")
@pytest.mark.parametrize("command", ["resume", "reconcile", "stop"])
def test_so_does_one_from_a_machine_that_has_only_run_control_and_cannot_read_it(tmp_path: Path, command: str) -> None:
    code = main.main([command, EXECUTION_ID, "--run-control", RUN_CONTROL, "--runs-dir", str(tmp_path)])

    assert code == 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("aws_away")
def test_so_does_a_sweep_of_a_cluster_that_cannot_be_seen() -> None:
    assert main.main(["reap", "--all", "--cluster", "burst"]) == 6


@pytest.mark.usefixtures("aws_forgets")
def test_stop_says_nothing_of_a_task_that_ecs_does_not_know_and_nobody_saw_end(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main.main(["stop", str(folder)])

    said = capsys.readouterr()
    assert code == 6
    assert f"1 task may still be running: {TASK}" in said.err
    assert "is stopped" not in said.out


@pytest.mark.usefixtures("aws_forgets")
def test_stop_of_a_launch_under_way_waits_for_its_controller_and_says_nothing_of_what_is_not_listed_yet(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal(folder)
    controller = run_lock.RunLock(folder, fakes.OWNER)

    code = main.main(["stop", str(folder)])

    controller.release()
    said = capsys.readouterr()
    assert code == 6
    assert "which may appear minutes later" in said.err
    assert "is stopped" not in said.out


def test_stop_ends_what_a_run_left_running_though_its_verdict_stands(tmp_path: Path) -> None:
    run_id = f"m10_left_{os.getpid()}"  # its tasks are found by their marks, on the whole machine
    plan = cases.plan(execution_id=run_id, evidence={"local": str(tmp_path)})
    store = folder_store.FolderStore.create(tmp_path, run_id)
    store.put_once(document_names.PLAN, run_documents.input_documents(plan, None, None)[0][1])
    mark = {process_tree.TASK_MARK: process_tree.format_mark(run_id, 0)}
    with subprocess.Popen(["sleep", "100"], env={**os.environ, **mark}) as left:
        journal(store.folder, ending_events.RunFinished(exit_code=6, why="a task was not seen to stop"))

        code = main.main(["stop", str(store.folder)])

        ended = left.poll()
        left.kill()
    assert code == 0
    assert ended is not None


def test_stop_needs_no_s3_to_stop_the_tasks_and_put_services_back(
    tmp_path: Path,
    without_s3: tuple[str, type[WithoutS3]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, account = without_s3
    use(monkeypatch, address)
    folder = on_ecs(tmp_path, services=[{"name": "ingest", "desired": 4}])
    change = services.ServiceChange(name="ingest", before=1, desired=4)
    journal(
        folder,
        errand_events.ServicesIntended(services=(change,)),
        errand_events.ServicesUp(),
        launch_events.LaunchAnswered(tasks=(tasks.Task(task_id=TASK, shard_index=0),), failures=()),
    )

    code = main.main(["stop", str(folder)])

    said = capsys.readouterr()
    assert code == 0, said.err
    assert "STOP could not be written into the lease, each task is stopped without it" in said.err
    assert f"every task of {EXECUTION_ID} is stopped" in said.out
    assert (account.stopped, account.desired) == (True, 1)
