"""A load of several rates: played by a real run, counted where it says so, and judged step by step."""

import json
from collections import Counter
from typing import Any

import pytest

from burst.domain.basics import instants
from burst.domain.plan import plans
from tests.faults import stage

STEPS: list[dict[str, object]] = [
    {"for": "2s", "rate": "20/s", "name": "steady"},
    {"for": "2s", "rate": "20/s", "to": "60/s", "shape": "spike", "name": "burst"},
    {"for": "1s", "rate": "20/s", "name": "after", "count": False},
]


def play_steps(play: stage.Stage, **gates: float) -> tuple[stage.Answer, stage.Ran, plans.Plan]:
    """A run of the steps behind a warm-up, by two tasks."""
    plan = play.plan({"load": {"rate": STEPS, "warmup": "1s"}, "gates": {"multiplier": 0.5, **gates}}, window=4, cap=40)
    command, ran = play.begin(plan)
    answer = command.wait()
    return answer, ran, plans.parse((ran.folder / "plan.json").read_text(), source="plan.json")


def read(ran: stage.Ran, name: str) -> dict[str, Any]:
    """A document of a run."""
    value: dict[str, Any] = json.loads((ran.folder / name).read_text())
    return value


def test_the_window_that_was_declared_is_counted_and_each_step_is_judged(play: stage.Stage) -> None:
    answer, ran, plan = play_steps(
        play, **{"multiplier@burst": 1.0, "admit_ratio@burst": 0.99, "latency_p95_ms@steady": 5000, "error_ratio": 0.0}
    )

    assert answer.code == 0, answer.err
    go = ran.event("go-given")
    intended = ran.event("go-intended")
    assert go is not None
    assert intended is not None
    assert (intended["counted_from_seconds"], intended["counted_to_seconds"]) == (1.0, 5.0)
    window = read(ran, "m10_f_receipts_window_metrics.json")["window"]
    begun = instants.later(instants.parse(go["go_at"]), 1.0)
    assert instants.parse(window["start_utc"]) == begun
    assert instants.parse(window["end_utc"]) == instants.later(begun, 4.0)
    load = {step["name"]: step for step in read(ran, "m10_f_load.json")["steps"]}
    steps = plan.rate_plan
    assert steps is not None
    assert {name: step["due"] for name, step in load.items()} == {
        place.step.name: place.events for place in steps.placed
    }
    gates = {gate["name"]: gate for gate in answer.document["gates"]}
    assert gates["multiplier@burst"]["status"] == "PASS"
    assert gates["multiplier@burst"]["measured"] == pytest.approx(8.0, rel=0.1)  # 40/s, of 5/s
    assert gates["latency_p95_ms@steady"]["status"] == "PASS"
    counted = Counter({name: step["acknowledged"] for name, step in load.items() if name in ("steady", "burst")})
    assert f"over {sum(counted.values())} answers" in gates["error_ratio"]["why"]
    assert play.verify(ran) == 0


def test_a_step_that_misses_its_limit_holds_the_run(play: stage.Stage) -> None:
    answer, ran, _ = play_steps(play, **{"latency_p95_ms@burst": 0.01})

    assert answer.code == stage.OVER
    assert stage.open_blockers(answer.document) == {"B1"}
    assert play.verify(ran) == stage.OVER


def test_each_task_gets_its_own_values_and_the_evidence_names_them(play: stage.Stage) -> None:
    outputs = [str(play.folder / name) for name in ("first.txt", "second.txt")]
    program = ["sh", "-c", 'echo "$BURST_SHARD_INDEX $BURST_HOST" > "$OUTPUT"; exec "$@"', "sh", *stage.SENDER]
    values = {"HOST": [play.host] * 2, "OUTPUT": outputs}
    plan = play.plan({"load": {"command": program, "per_shard": values}, **stage.UNHURRIED})
    command, ran = play.begin(plan)
    answer = command.wait()

    assert answer.code == 0, answer.err
    assert [(play.folder / name).read_text().split() for name in ("first.txt", "second.txt")] == [
        ["0", play.host],
        ["1", play.host],
    ]
    tasks = {task["shard_index"]: task["values"] for task in read(ran, "m10_f_load.json")["tasks"]}
    assert tasks == {shard: {"HOST": play.host, "OUTPUT": output} for shard, output in enumerate(outputs)}
    intended = ran.event("launch-intended")
    assert intended is not None
    assert {"shard_index": 1, "name": "OUTPUT", "value": outputs[1]} in intended["values"]


def test_locust_sends_the_steps_of_a_plan_to_the_host_of_each_task(play: stage.Stage) -> None:
    profile = {"locustfile": str(stage.ROOT / "locustfiles" / "ingest.py"), "command": None, "waits_for_go": None}
    load = {**profile, "rate": STEPS, "warmup": "1s", "per_shard": {"HOST": [play.host, f"{play.host}/"]}}
    gates = {**stage.UNHURRIED["gates"], "multiplier@burst": 0.5, "error_ratio@steady": 0.0}
    plan = play.plan({"load": load, "gates": gates, "budget": {"start_timeout": "60s"}}, window=4, cap=120)
    command, ran = play.begin(plan)
    answer = command.wait()

    assert answer.code == 0, answer.err
    assert {gate["name"]: gate["status"] for gate in answer.document["gates"] if "@" in gate["name"]} == {
        "multiplier@burst": "PASS",
        "error_ratio@steady": "PASS",
    }
    due = {step["name"]: step["due"] for step in read(ran, "m10_f_load.json")["steps"]}
    assert due == {"warmup": 20, "steady": 40, "burst": 80, "after": 20}
