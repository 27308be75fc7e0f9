"""Per-shard values: each task gets its own, from the guard that knows its shard, or from a launch that does."""

import dataclasses
import json
from pathlib import Path

import pytest

from burst.domain.tasks import ecs_requests, tasks
from burst.load import rate_plans, shard_values
from burst.wiring import preparing
from burst.wiring.targets import load_program
from tests import cases
from tests.unit.test_ecs_requests import DEFINITION, RUN

VALUES = {"HOST": "http://lane-{index}:8080", "OUTPUT": ["first", "second"]}


def test_a_shard_has_its_own_value_of_each_list_and_text() -> None:
    environment = {shard_values.PER_SHARD: shard_values.write_values(VALUES)}

    assert shard_values.read_variables(environment, 1) == {
        "OUTPUT": "second",
        "BURST_HOST": "http://lane-1:8080",
        "LOCUST_HOST": "http://lane-1:8080",
    }
    assert shard_values.read_variables({}, 1) == {}


def test_a_locust_with_a_host_of_its_own_is_given_none_by_an_option() -> None:
    load = {"locustfile": "shop.py", "host": "http://127.0.0.1:1", "per_shard": VALUES}
    plan = cases.plan(load=load)

    assert "--host" not in load_program.command(plan, python="python")
    assert json.loads(load_program.variables(plan)[shard_values.PER_SHARD]) == VALUES


@pytest.mark.parametrize("guarded", [True, False], ids=["the guard chooses", "the launch chooses"])
def test_a_task_on_ecs_without_a_guard_is_launched_with_its_values(guarded: bool) -> None:
    launch = tasks.LaunchRequest(
        execution_id="m10_one", token="1", shards=(1,), shard_count=2, command=("load",),
        environment=((shard_values.PER_SHARD, shard_values.write_values(VALUES)),),
        budget_seconds=60.0, grace_seconds=5.0, child_waits=True, lease_ttl_seconds=30.0,
    )  # fmt: skip
    network = ecs_requests.TaskNetwork(cluster="burst", subnets=["a"], security_groups=["b"], public_addresses=False)
    definition = dataclasses.replace(DEFINITION, guarded=guarded)
    request = ecs_requests.batch_request(launch, (1,), definition=definition, run=RUN, network=network)

    (container,) = (entry for entry in request["overrides"]["containerOverrides"] if entry["name"] == "burst")
    variables = {entry["name"]: entry["value"] for entry in container["environment"]}
    assert variables.get("OUTPUT") == (None if guarded else "second")
    assert shard_values.PER_SHARD in variables


def test_each_auto_of_a_step_is_its_multiple_of_the_baseline(tmp_path: Path) -> None:
    steps = [
        {"for": "600s", "rate": "auto", "name": "steady"},
        {"for": "300s", "rate": "auto", "name": "burst"},
        {"for": "60s", "rate": 60, "to": "auto", "name": "after", "count": False},
    ]
    value = cases.plan_value(
        load={"command": ["push-events"], "rate": steps, "headroom": 1.5},
        baseline={"admits": 600, "seconds": 60, "source": "m10_e"},
        gates={"multiplier": 2.0, "admit_ratio": 0.995, "multiplier@burst": 4.0},
    )
    (tmp_path / "plan.json").write_text(json.dumps(value))

    prepared = preparing.prepare(preparing.RunRequest(plan_file=tmp_path / "plan.json"), cases.moment(0))

    plan = prepared.plan.rate_plan
    assert plan is not None
    assert [(float(step.rate), float(step.to)) for step in plan.steps] == [(30.0, 30.0), (60.0, 60.0), (1.0, 30.0)]
    assert rate_plans.read_plan(load_program.variables(prepared.plan)["BURST_RATE_PLAN"]) == plan


def test_a_profile_by_name_is_a_rate_plan_of_the_own_program_alone() -> None:
    load = {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1", "rate": "60/s", "profile": "spike"}
    own, other = cases.plan(load=load), cases.plan(load={**load, "locustfile": "shop.py"})

    assert own.rate_plan is not None
    assert [step.name for step in own.rate_plan.steps] == ["before", "spike", "after"]
    assert load_program.variables(own)["BURST_PROFILE"] == "steady"
    assert other.rate_plan is None
    assert load_program.variables(other)["BURST_PROFILE"] == "spike"
