"""The commands that messages name: whole, so that none looks at the wrong machine and gives an all-clear."""

from burst.domain.plan import run_commands
from tests import cases

ECS = cases.plan(
    execution_id=cases.EXECUTION_ID,
    target={
        "kind": "ecs", "tasks": 1, "cluster": "burst-dev", "task_definition": "burst:1", "subnets": ["subnet-a"],
        "security_groups": ["sg-a"],
    },
    evidence={"run_control": "s3://evidence/dev/run_control"},
)  # fmt: skip
LOCAL = cases.plan(execution_id=cases.EXECUTION_ID)
PLACE = "--run-control s3://evidence/dev/run_control"


def test_the_commands_of_a_run_on_ecs_name_its_cluster_and_its_run_control() -> None:
    assert run_commands.resume("runs/x", ECS) == f"burst resume runs/x {PLACE}"
    assert run_commands.stop("runs/x", ECS) == f"burst stop runs/x {PLACE}"
    assert run_commands.reap(ECS) == f"burst reap --run {cases.EXECUTION_ID} --cluster burst-dev {PLACE}"


def test_the_commands_of_a_run_on_this_machine_name_neither() -> None:
    assert run_commands.resume("runs/x", LOCAL) == "burst resume runs/x"
    assert run_commands.stop("runs/x", LOCAL) == "burst stop runs/x"
    assert run_commands.reap(LOCAL) == f"burst reap --run {cases.EXECUTION_ID}"
    assert run_commands.sweep(None, cluster=None, run_control=None) == "burst reap --all"
