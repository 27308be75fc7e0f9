"""The life of a simulated task: real processes, states, times, stop codes and exit codes."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from botocore import exceptions

from burst.rehearsal import aws_simulation, settings
from tests import waiting
from tests.rehearsal import aws_clients, conftest


def test_a_task_passes_through_its_states_with_real_times(ecs: aws_clients.EcsCluster) -> None:
    definition = ecs.register("passes", {"name": "app", "command": [*aws_clients.STAYS], "stopTimeout": 5})

    launched = ecs.client.run_task(cluster=aws_clients.CLUSTER, taskDefinition=definition)["tasks"][0]
    running = ecs.wait(launched["taskArn"], "RUNNING")
    stopped = ecs.stop(launched["taskArn"])

    assert (launched["lastStatus"], launched["desiredStatus"], launched["containers"][0]["lastStatus"]) == (
        "PROVISIONING",
        "RUNNING",
        "PENDING",
    )
    assert "startedAt" not in launched
    assert running["connectivity"] == "CONNECTED"
    times = [
        stopped[name]
        for name in (
            "createdAt", "pullStartedAt", "pullStoppedAt", "startedAt", "stoppingAt", "executionStoppedAt", "stoppedAt"
        )
    ]  # fmt: skip
    assert times == sorted(times)
    assert stopped["desiredStatus"] == "STOPPED"


def test_every_change_of_a_tasks_status_raises_its_version(ecs: aws_clients.EcsCluster) -> None:
    definition = ecs.register("versions", {"name": "app", "command": [*aws_clients.STAYS], "stopTimeout": 5})

    launched = ecs.client.run_task(cluster=aws_clients.CLUSTER, taskDefinition=definition)["tasks"][0]
    running = ecs.wait(launched["taskArn"], "RUNNING")
    stopped = ecs.stop(launched["taskArn"])

    assert launched["version"] < running["version"] < stopped["version"]


def test_a_container_is_a_process_with_entry_point_overrides_and_environment(ecs: aws_clients.EcsCluster) -> None:
    program = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    definition = ecs.register(
        "environment",
        {
            "name": "app",
            "entryPoint": aws_clients.python(program),
            "command": ["left", "out"],
            "environment": [{"name": "KEPT", "value": "1"}, {"name": "CHANGED", "value": "1"}],
        },
    )
    override = {"name": "app", "command": ["over"], "environment": [{"name": "CHANGED", "value": "2"}]}

    (arn,) = ecs.run(definition, overrides={"containerOverrides": [override]})
    task = ecs.wait(arn, "STOPPED")

    arguments, environment = json.loads(ecs.output(arn))
    assert arguments == ["over"]
    assert (environment["KEPT"], environment["CHANGED"]) == ("1", "2")
    assert environment["AWS_ENDPOINT_URL"] == ecs.aws.address
    assert environment["AWS_ACCESS_KEY_ID"] != ecs.aws.environment["AWS_ACCESS_KEY_ID"]
    assert environment["ECS_CONTAINER_METADATA_URI_V4"].startswith(ecs.aws.address)
    assert "VIRTUAL_ENV" not in environment
    assert environment["TMPDIR"] == environment["HOME"] != os.environ.get("TMPDIR")
    assert task["overrides"]["containerOverrides"] == [override]


def test_a_container_reads_its_task_from_its_metadata_address(ecs: aws_clients.EcsCluster) -> None:
    program = (
        "import os, urllib.request as u;"
        "address = os.environ['ECS_CONTAINER_METADATA_URI_V4'];"
        "print(address);"
        "print(u.urlopen(address).read().decode());"
        "print(u.urlopen(address + '/task').read().decode())"
    )

    arn = ecs.start("metadata", aws_clients.python(program))
    ecs.wait(arn, "STOPPED")

    address, container, task = ecs.output(arn).splitlines()
    assert re.fullmatch(rf"{ecs.aws.address}/.*/v4/{arn.rpartition('/')[2]}-\d{{10}}", address)  # as on Fargate
    assert json.loads(container)["Name"] == "app"
    assert json.loads(task)["TaskARN"] == arn


def test_commands_of_burst_are_found_in_a_container(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("burst", ("burst", "--version"))
    task = ecs.wait(arn, "STOPPED")

    assert aws_clients.exit_codes(task) == {"app": 0}
    assert "burst" in ecs.output(arn)


def test_the_end_of_an_essential_container_ends_the_others(ecs: aws_clients.EcsCluster, tmp_path: Path) -> None:
    over = tmp_path / "over"
    definition = ecs.register(
        "essential",
        {"name": "app", "command": ["sh", "-c", aws_clients.HEEDS]},
        {"name": "lifespan", "command": ["sh", "-c", f"until [ -e {over} ]; do sleep 0.05; done; exit 64"]},
    )

    (arn,) = ecs.run(definition)
    running = ecs.wait(arn, "RUNNING")
    waiting.until(lambda: "heeds" in ecs.output(arn), what="the program to heed TERM")
    over.touch()
    task = ecs.wait(arn, "STOPPED")

    assert aws_clients.exit_codes(running) == {"app": None, "lifespan": None}
    assert aws_clients.exit_codes(task) == {"app": 0, "lifespan": 64}
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )


def test_execution_stops_with_the_first_essential_container_and_the_task_with_the_last(
    ecs: aws_clients.EcsCluster, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    lingers = f"trap '' TERM; echo heeds; until [ -e {over} ]; do sleep 0.05; done; exit 3"
    definition = ecs.register(
        "first-and-last",
        {"name": "app", "command": ["sh", "-c", lingers], "stopTimeout": 120},
        {"name": "lifespan", "command": ["sh", "-c", aws_clients.HEEDS], "stopTimeout": 120},
    )
    (arn,) = ecs.run(definition)
    names = ("app", "lifespan")
    waiting.until(lambda: all("heeds" in ecs.output(arn, name) for name in names), what="both to heed TERM")
    ecs.wait(arn, "RUNNING")

    ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn)
    ecs.until(lambda task: aws_clients.exit_codes(task)["lifespan"] == 0, arn, what="the first to end")
    first_ended_by = datetime.now(UTC)
    over.touch()
    task = ecs.wait(arn, "STOPPED")

    assert aws_clients.exit_codes(task) == {"app": 3, "lifespan": 0}
    assert task["stoppingAt"] <= task["executionStoppedAt"] <= first_ended_by <= task["stoppedAt"]


def test_the_end_of_a_container_that_is_not_essential_ends_nothing(ecs: aws_clients.EcsCluster) -> None:
    definition = ecs.register(
        "helper",
        {"name": "app", "command": [*aws_clients.STAYS]},
        {"name": "helper", "command": ["true"], "essential": False},
    )

    (arn,) = ecs.run(definition)
    task = waiting.until(
        lambda: task if (task := ecs.describe(arn)) and aws_clients.exit_codes(task)["helper"] == 0 else None,
        what="the helper's end",
    )

    assert (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "RUNNING")
    ecs.stop(arn)


def test_a_container_that_ignores_term_is_killed_after_its_stop_timeout(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("ignores", aws_clients.IGNORES_TERM, definition={"stopTimeout": 5})

    task = ecs.stop(arn)

    assert aws_clients.exit_codes(task) == {"app": 137}
    took = (task["executionStoppedAt"] - task["stoppingAt"]).total_seconds()
    assert 1.0 <= took < 4.5  # 5 s at the tests' scale of 0.2


def test_a_task_that_is_to_be_stopped_is_listed_as_stopped_while_it_still_runs(
    ecs: aws_clients.EcsCluster, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    lingers = ("sh", "-c", f"trap '' TERM; until [ -e {over} ]; do sleep 0.05; done")
    arn = ecs.start("wished", lingers, definition={"stopTimeout": 120}, startedBy="burst/wished")

    ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn)
    stopping = ecs.wait(arn, "STOPPING")
    by_status = {
        status: ecs.client.list_tasks(
            cluster=aws_clients.CLUSTER, startedBy="burst/wished", desiredStatus=status
        )["taskArns"]
        for status in ("RUNNING", "PENDING", "STOPPED")
    }  # fmt: skip
    still_running = ecs.process(arn).running
    over.touch()
    ecs.wait(arn, "STOPPED")

    assert (stopping["lastStatus"], stopping["desiredStatus"]) == ("STOPPING", "STOPPED")
    assert by_status == {"RUNNING": [], "PENDING": [], "STOPPED": [arn]}
    assert still_running


@pytest.mark.parametrize(("with_init", "exit_code"), [(False, 137), (True, 143)], ids=["alone", "with init"])
def test_term_spares_a_first_process_without_a_handler(
    ecs: aws_clients.EcsCluster, with_init: bool, exit_code: int
) -> None:
    definition = {"stopTimeout": 2, "linuxParameters": {"initProcessEnabled": with_init}}
    arn = ecs.start("pid-one", ("sleep", "300"), definition=definition)

    task = ecs.stop(arn)

    assert aws_clients.exit_codes(task) == {"app": exit_code}


def test_a_detached_process_ends_with_its_container(ecs: aws_clients.EcsCluster) -> None:
    program = (
        "import os\n"
        "reader, writer = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    print(os.getpid(), flush=True)\n"
        "    os.execve('/bin/sleep', ['sleep', '300'], {})\n"
        "os.close(writer)\n"
        "os.read(reader, 1)\n"  # returns once the detached process has executed sleep
    )
    arn = ecs.start("detaches", aws_clients.python(program))
    pid = int(waiting.until(lambda: ecs.output(arn).strip(), what="the detached process"))

    task = ecs.wait(arn, "STOPPED")

    assert aws_clients.exit_codes(task) == {"app": 0}
    assert not psutil.pid_exists(pid)


def test_stopping_keeps_the_reason_and_deletes_the_tags(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("tagged", aws_clients.STAYS, tags=[{"key": "burst:run", "value": "r1"}], startedBy="burst/r1")
    tagged = ecs.describe(arn, include=["TAGS"])

    ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn, reason="the deadline has passed")
    task = ecs.wait(arn, "STOPPED")

    assert tagged["tags"] == [{"key": "burst:run", "value": "r1"}]
    assert ecs.describe(arn, include=["TAGS"])["tags"] == []
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "the deadline has passed")
    assert task["startedBy"] == "burst/r1"


def test_stopping_again_changes_neither_code_nor_reason(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("twice", aws_clients.STAYS)
    ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn, reason="first")

    ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn, reason="second")
    stopped = ecs.wait(arn, "STOPPED")
    again = ecs.client.stop_task(cluster=aws_clients.CLUSTER, task=arn, reason="third")["task"]

    assert stopped["stoppedReason"] == "first"
    assert (again["lastStatus"], again["stoppedReason"]) == ("STOPPED", "first")


def test_an_unknown_task_cannot_be_stopped(ecs: aws_clients.EcsCluster) -> None:
    with pytest.raises(exceptions.ClientError, match="task was not found") as raised:
        ecs.client.stop_task(cluster=aws_clients.CLUSTER, task="a" * 32)

    assert aws_clients.error_code(raised.value) == "InvalidParameterException"


def test_a_task_stopped_before_it_started_has_no_exit_code(ecs: aws_clients.EcsCluster) -> None:
    definition = ecs.register("early", {"name": "app", "command": [*aws_clients.STAYS]})
    ecs.aws.faults.arm("stuck-pending")

    (arn,) = ecs.run(definition)
    task = ecs.stop(arn)
    ecs.aws.faults.disarm("stuck-pending")

    assert aws_clients.exit_codes(task) == {"app": None}
    assert "startedAt" not in task
    assert ecs.process(arn).pid is None


def test_a_program_that_does_not_exist_fails_to_start(ecs: aws_clients.EcsCluster) -> None:
    arn = ecs.start("absent", ("no-such-program",))
    task = ecs.wait(arn, "STOPPED")

    assert task["stopCode"] == "TaskFailedToStart"
    assert aws_clients.exit_codes(task) == {"app": None}
    assert "executable file not found" in task["containers"][0]["reason"]


def test_a_new_task_is_missing_for_a_moment_and_a_stopped_one_is_forgotten_with_its_token(
    own_folder: Path, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    options = settings.SimulationSettings(missing_seconds=3.0, forget_seconds=3.0)
    with aws_simulation.start(own_folder, options=options) as aws:
        ecs = conftest.make_cluster(aws)
        command = ["sh", "-c", f"until [ -e {over} ]; do sleep 0.05; done"]
        definition = ecs.register("brief", {"name": "app", "command": command})
        (arn,) = ecs.run(definition, clientToken="once")

        first = ecs.client.describe_tasks(cluster=aws_clients.CLUSTER, tasks=[arn])
        listed = ecs.client.list_tasks(cluster=aws_clients.CLUSTER)["taskArns"]
        shown = ecs.wait(arn, "RUNNING")
        over.touch()
        stopped = ecs.wait(arn, "STOPPED")
        ecs.until(lambda task: not task, arn, what="the task to be forgotten")
        last = ecs.client.describe_tasks(cluster=aws_clients.CLUSTER, tasks=[arn])
        (anew,) = ecs.run(definition, clientToken="once")

    assert anew != arn
    assert (first["tasks"], first["failures"]) == ([], [{"arn": arn, "reason": "MISSING"}])
    assert listed == []
    assert shown["taskArn"] == arn
    assert aws_clients.exit_codes(stopped) == {"app": 0}
    assert (last["tasks"], last["failures"]) == ([], [{"arn": arn, "reason": "MISSING"}])


def test_a_container_starts_in_the_folder_its_definition_names(ecs: aws_clients.EcsCluster, tmp_path: Path) -> None:
    named = ecs.start("named", ("pwd",), definition={"workingDirectory": str(tmp_path)})
    unnamed = ecs.start("unnamed", ("pwd",))
    for arn in (named, unnamed):
        ecs.wait(arn, "STOPPED")

    assert ecs.output(named).strip() == str(tmp_path)
    assert ecs.output(unnamed).strip() == os.getcwd()
