"""Omission: whatever one thing is left out of the documents burst writes, a hold never becomes a pass.

The contract lets a run recorded elsewhere be judged from little, so a few fields may be missing; what each of them
could hide is named here, one by one.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from burst.domain.documents import document_names
from burst.domain.verdict import baselines
from tests import cases

Path = tuple[str | int, ...]


def _shot(name: str, when: str, **changes: Any) -> cases.Value:
    return {
        "name": name,
        "when": when,
        "id": f"arn:{name}",
        "started_utc": cases.at(-50),
        "stopped_utc": cases.at(-40),
        "stop_code": "EssentialContainerExited",
        "exit_code": 0,
        "required_exit_code": 0,
        "stopped_by": None,
        "problem": None,
        **changes,
    }


def _task_result(**changes: Any) -> cases.Value:
    return cases.task_result(
        **{
            "planned_tasks": 2,
            "load_accounts": 2,
            "go_utc": cases.at(10),
            "deadline_utc": cases.at(1200),
            "one_shots": [_shot("warm", "before"), _shot("refresh", "after")],
            "services": [cases.service("writer"), cases.service("reader")],
            **changes,
        }
    )


def _metrics(**changes: Any) -> cases.Value:
    counts = changes.get("counts", cases.counts())
    return cases.metrics(
        **{
            "bucket_seconds": 900.0,
            "buckets": [{**cases.window(), "counts": counts}],
            "binds": {"scope": cases.SCOPE},
            "database_clock_utc": cases.at(1000),
            "clock_skew_seconds": 0.1,
            "clock_round_trip_seconds": 0.01,
            "settled": True,
            "settle_rounds": [{"counted_utc": cases.at(995), "counts": counts}] * 2,
            "late": cases.counts(0),
            "vanished": cases.counts(0),
            **changes,
        }
    )


def _tasks(**changes: Any) -> list[cases.Value]:
    return [cases.task(0), cases.task(1, **changes)]


OBSERVE = cases.observe(path="/lag", scope="/scope", sql="select to_json(3)::text")


def _observations(index: int = 0, **changes: Any) -> cases.Value:
    """Samples of the run's scope, one of them changed."""
    document = cases.observations(cases.plan(observe=OBSERVE))
    taken = [{**sample, "scope": cases.SCOPE} for sample in document["series"][0]["samples"]]
    taken[index] = {**taken[index], **changes}
    return {**document, "series": [{**document["series"][0], "samples": taken}]}


ONE_SHOT: cases.Value = {"command": ["work"], "timeout": "10s", "task_definition": "reporter:1"}
SOUND = cases.passing(
    target=cases.ECS,
    services=[{"name": "writer", "desired": 2}, {"name": "reader", "desired": 2}],
    before=[{"name": "warm", **ONE_SHOT}],
    after=[{"name": "refresh", **ONE_SHOT}],
    execution_id=cases.EXECUTION_ID,
    load={"command": ["push-events"], "rate": 1200},
    observe=OBSERVE,
).having(
    load=cases.load(),
    observations=_observations(),
    task_result=_task_result(),
    metrics=_metrics(),
    preflight=cases.preflight(),
    task_records=cases.task_records(),
    attempt=cases.attempt(),
)

LEFT = cases.service("reader", restored=False, command="aws ecs")
HOLDS: dict[str, tuple[str, cases.Value, set[Path]]] = {
    "a task nobody saw stop": ("task_result", _task_result(tasks=_tasks(stopped_utc=None)), set()),
    "a task lost": ("task_result", _task_result(tasks=_tasks(stop_code="Gone", stopped_by=None)), set()),
    "a task failed": (
        "task_result",
        _task_result(tasks=_tasks(stop_code="X", stopped_by=None, stopped_utc=cases.at(860))),
        set(),
    ),
    "a load that was late": ("load", cases.load(in_time=8000, late=1000), set()),
    "a service left": ("task_result", _task_result(services=[cases.service("writer"), LEFT]), set()),
    "a one-shot failed": (
        "task_result",
        _task_result(one_shots=[_shot("warm", "before"), _shot("refresh", "after", exit_code=1, problem="it failed")]),
        set(),
    ),
    "over the budget": ("task_result", _task_result(tasks=_tasks(stopped_utc=cases.at(6000))), set()),
    "counted before GO": ("task_result", _task_result(go_utc=cases.at(70)), {("go_utc",)}),
    "never settled": (
        "metrics",
        _metrics(settled=False, settle_rounds=[{"counted_utc": cases.at(995), "counts": cases.counts()}]),
        set(),
    ),
    "receipts that vanished": (
        "metrics",
        _metrics(
            settled=False,
            settle_rounds=[{"counted_utc": cases.at(995), "counts": cases.counts(admit)} for admit in (18841, 18840)],
        ),
        set(),
    ),
    "a decision nobody knows": ("metrics", _metrics(counts=cases.counts(other=4)), set()),
    "the clocks disagree": (
        "metrics",
        _metrics(clock_skew_seconds=1.5, clock_round_trip_seconds=1.1),
        {("clock_skew_seconds",), ("clock_round_trip_seconds",)},
    ),
    "buckets that do not add up": (
        "metrics",
        _metrics(buckets=[{**cases.window(), "counts": cases.counts(1)}]),
        {("buckets",), ("buckets", 0)},
    ),
    "another scope": ("metrics", _metrics(platform_run_id="other"), set()),
    "duplicates": ("metrics", _metrics(counts=cases.counts(18905, 96)), set()),
    "drift": ("facts", cases.facts(cases.answers(publish_ambiguous=1)), set()),
    "a question without an answer": ("facts", cases.facts(cases.answers(max_lag=None)), set()),
    "a lag above its bound": ("observations", _observations(13, value=11), set()),
    "a sample without a value": ("observations", _observations(13, value=None, detail="no answer"), set()),
    "a sample of another scope": ("observations", _observations(2, scope="other"), set()),
    "a sampler that is too slow": ("observations", _observations(13, answered_utc=cases.at(841)), set()),
    "no terminal sample": ("observations", _observations(17, asked_utc=cases.at(989)), set()),
    "samples of another run": ("observations", {**_observations(), "execution_id": "other"}, set()),
    "facts of another run": ("facts", cases.facts(execution_id="other"), set()),
    "a baseline too old": ("baseline", cases.baseline_value(max_age_seconds=60), set()),
    "refused by preflight": (
        "preflight",
        cases.preflight(passed=False, findings=[{**cases.preflight()["findings"][0], "status": "refused"}]),
        set(),
    ),
}
"""Why it holds: the document that says so, and what of it may be left out so that nobody knows any more."""


def _paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value that can be left out."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    for step, part in inside:
        yield (*at, step)
        yield from _paths(part, (*at, step))


def _without(value: cases.Value, path: Path) -> cases.Value:
    less: cases.Value = json.loads(json.dumps(value))
    part: Any = less
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    return less


def _passes(kind: str, value: cases.Value) -> bool:
    content: Any = baselines.seal(value) if kind == "baseline" else value
    return SOUND.having(**{kind: content}).verdict().snapshot.overall_pass


def test_the_documents_all_are_as_burst_writes_them_and_pass() -> None:
    verdict = SOUND.verdict()

    assert verdict.snapshot.exit_code == 0
    assert set(SOUND.contents) == set(document_names.adjudicated_names("m10_f")) - {
        document_names.PRIOR,
        document_names.PRIOR_PLAN,
        document_names.GATE_RECORDS,
        document_names.REFERENCE,
        document_names.REFERENCE_PLAN,
        document_names.reproduction_name("m10_f"),
        document_names.locust_files_name("m10_f"),
    }


@pytest.mark.parametrize(("kind", "value", "may_hide"), HOLDS.values(), ids=HOLDS.keys())
def test_one_thing_left_out_does_not_turn_a_hold_into_a_pass(
    kind: str, value: cases.Value, may_hide: set[Path]
) -> None:
    assert not _passes(kind, value)

    hidden = {path for path in _paths(value) if _passes(kind, _without(value, path))}

    assert hidden == may_hide
