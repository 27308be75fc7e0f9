"""A simulation leaves no process behind, however it ends."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from burst.domain.basics import errors
from burst.rehearsal import aws_simulation
from tests import waiting
from tests.rehearsal import aws_clients, conftest

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIAREHEARSALOPERATOR/20260221/eu-west-2/ecs/aws4_request, SignedHeaders=host"
DETACHES = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork(): os._exit(0)\n"
    "    os.execve('/bin/sleep', ['sleep', '300'], {})\n"
    "time.sleep(300)\n"
)


def start_stubborn_tasks(aws: aws_simulation.AwsSimulation) -> list[psutil.Process]:
    """Starts tasks that ignore TERM, detach and escape, and returns every process of the simulation."""
    ecs = conftest.make_cluster(aws)
    ecs.start("resists", aws_clients.IGNORES_TERM)
    ecs.start("detaches", aws_clients.python(DETACHES))
    aws.faults.arm("task-escapes-guard")
    ecs.start("guarded", ("burst", "guard", "--budget", "300", "--", *aws_clients.STAYS))
    simulation = psutil.Process(aws.pid)
    waiting.until(lambda: count_sleepers(simulation) >= 4, what="all to run")
    return [simulation, *simulation.children(recursive=True)]


def count_sleepers(simulation: psutil.Process) -> int:
    """The number of `sleep` processes below the simulation. Other processes may end during the count."""
    count = 0
    for child in simulation.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            count += child.name() == "sleep"
    return count


def test_closing_ends_every_process(own_folder: Path) -> None:
    with aws_simulation.start(own_folder) as aws:
        processes = start_stubborn_tasks(aws)
        before = aws_clients.find_living(processes)

    assert len(before) > 8
    assert aws_clients.find_living(processes) == []


def test_the_kill_of_the_simulation_ends_every_process(own_folder: Path) -> None:
    with aws_simulation.start(own_folder) as aws:
        processes = start_stubborn_tasks(aws)

        os.kill(aws.pid, signal.SIGKILL)

        waiting.until(lambda: not aws_clients.find_living(processes), what="every process to end")


def test_the_kill_of_the_container_agent_ends_every_container(own_folder: Path) -> None:
    with aws_simulation.start(own_folder) as aws:
        processes = start_stubborn_tasks(aws)
        (agent,) = [
            child
            for child in psutil.Process(aws.pid).children()
            if "burst.rehearsal.container_agent" in child.cmdline()
        ]

        agent.kill()

        waiting.until(lambda: aws_clients.find_living(processes) == [processes[0]], what="every container to end")


def test_the_kill_of_the_simulations_parent_ends_every_process(own_folder: Path, tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from burst.rehearsal import aws_simulation\n"
        "from tests.rehearsal import test_aws_simulation\n"
        "aws = aws_simulation.start(pathlib.Path(sys.argv[1]))\n"
        "processes = test_aws_simulation.start_stubborn_tasks(aws)\n"
        "print(*(process.pid for process in processes), flush=True)\n"
        "time.sleep(300)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(own_folder)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in starter.stdout.readline().split()]

        starter.kill()

        assert len(processes) > 8
        waiting.until(lambda: not aws_clients.find_living(processes), what="every process to end")


def test_an_ended_simulation_takes_no_fault(own_folder: Path) -> None:
    with aws_simulation.start(own_folder) as aws:
        pass

    with pytest.raises(errors.Unavailable, match="does not answer"):
        aws.faults.arm("ecs-down")


def test_a_failure_of_the_simulation_is_answered_with_500_and_logged(own_folder: Path) -> None:
    with aws_simulation.start(own_folder) as aws:
        headers = {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListTasks", "Authorization": SIGNED}
        connection = http.client.HTTPConnection(aws.address.removeprefix("http://"), timeout=10)
        connection.request("POST", "/", body=b"[]", headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        (call,) = aws.calls("ecs", "ListTasks")

    assert (response.status, call.outcome, call.status) == (500, "InternalFailure", 500)
    assert b"rehearsal.log" in body
    assert "AttributeError" in (own_folder / "rehearsal.log").read_text()


def test_everything_listens_on_loopback_alone(own_folder: Path) -> None:
    with aws_simulation.start(own_folder) as aws:
        aws_clients.make_client(aws, "sts").get_caller_identity()
        tree = [psutil.Process(aws.pid), *psutil.Process(aws.pid).children(recursive=True)]
        listening = [
            connection.laddr.ip
            for process in tree
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]

    assert listening == ["127.0.0.1"] * 2
