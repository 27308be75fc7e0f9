"""The words of findings: one that fails never speaks as one that passed, whatever its figures are."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import burst.domain.preflight as preflight_room
from burst.domain.basics import instants
from burst.domain.preflight import (
    database_judgements,
    event_judgements,
    findings,
    judgements,
    master_ports,
    networks,
    sending,
    session_keys,
    store_policies,
    vcpu_quotas,
    write_conditions,
)
from burst.domain.receipts import receipt_table, receipts
from burst.domain.tasks import costs, ecs_definitions, stop_signs, tasks
from tests import cases, fakes, fakes_database

Judged = findings.Finding | tuple[findings.Finding, ...]

PROFILE: cases.Value = {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1"}
SIZED = ecs_definitions.Definition(
    arn="task:1", container="burst", guarded=True, sidecar=True, stop_timeouts=(("burst", 120.0),), secrets=frozenset(),
    size=costs.Size(vcpu=1.0, memory_gb=2.0),
)  # fmt: skip
HOST = sending.SendingHost(tasks=2, cores=4.0, files=20_000, ports=28_232, port_rest_seconds=60.0)
ANSWER = sending.CanaryAnswer(status=200, seconds=0.25, keeps_connection=True)
SUBNET = networks.Subnet(name="subnet-a", vpc="vpc-1", free_addresses=9, addresses="10.0.1.0/24")
OPEN = master_ports.GroupRule(protocol="-1", ports=None, ranges=("0.0.0.0/0",))
CREATES = write_conditions.CreatesTried(writers=4, succeeded=1, reads_back=True, later_refused=True)


def rated(rate: float) -> Any:
    """A plan of two tasks with burst's own profile at this rate."""
    return cases.plan(target={"kind": "local", "tasks": 2}, load=PROFILE | {"rate": rate})


def loaded(**load: object) -> Any:
    return cases.plan(load=PROFILE | {"rate": 6000} | load)


def capped(usd: float) -> Any:
    return cases.plan(target=cases.ECS, budget={"max": "90m", "min_window": "15m", "cost_cap_usd": usd})


def started_within(timeout: str) -> Any:
    budget = {"max": "90m", "min_window": "15m", "start_timeout": timeout}
    return cases.plan(target={"kind": "local", "tasks": 300}, budget=budget)


def marked(seconds: float) -> tasks.MarkedTask:
    return tasks.MarkedTask(
        execution_id="m10_other",
        task=tasks.Task(task_id="arn:1", shard_index=0),
        deadline=instants.later(fakes.START, seconds),
        control_uri=None,
    )


def freshness(admit: int, **changes: object) -> findings.Finding:
    contents = receipt_table.ScopeContents(counts=receipts.Counts(admit=admit), canaries=None, admissions=None)
    return judgements.judge_freshness(cases.plan(**changes), contents)


def keys_ending(seconds: float) -> findings.Finding:
    ends_at = instants.later(fakes.START, seconds)
    keys = session_keys.SessionKeys(source="file", temporary=True, renewable=False, ends_at=ends_at)
    return session_keys.judge_expiry(keys, fakes.START, 600.0)


def quota(*rooms: tuple[float, float | None]) -> findings.Finding:
    made = [
        vcpu_quotas.VcpuRoom(provider=f"FARGATE{index}", allowed=allowed, used=used, unknown="" if used else "no right")
        for index, (allowed, used) in enumerate(rooms)
    ]
    return vcpu_quotas.judge_quota(cases.plan(target={"kind": "local", "tasks": 8}), 2.0, made)


def addresses(*free: int) -> findings.Finding:
    subnets = [
        networks.Subnet(name=f"subnet-{index}", vpc="vpc-1", free_addresses=count) for index, count in enumerate(free)
    ]
    return networks.judge_addresses(cases.plan(target={"kind": "local", "tasks": 8}), subnets)


def ways(*targets: str) -> findings.Finding:
    routes = tuple(networks.Route(destination="0.0.0.0/0", target=target, active=True) for target in targets)
    table = networks.RouteTable(name="rtb-1", vpc="vpc-1", main=True, subnets=frozenset(), routes=routes)
    outward = networks.read_outward({"s3": True}, [])
    return networks.judge_ways([SUBNET], [table], [], outward, public=False)


def master_port(*inward: master_ports.GroupRule) -> findings.Finding:
    rules = master_ports.GroupRules(inward=inward, outward=(OPEN,))
    return master_ports.judge_master_port(["sg-a"], rules, [SUBNET])


def sampled(count: int, *, without_offset: int = 0, without_time: int = 0, textual: bool = True) -> findings.Finding:
    sample = receipt_table.TimesSample(
        sampled=count, without_offset=without_offset, without_time_of_day=without_time, textual=textual
    )
    return judgements.judge_times(cases.plan(), sample)


def role(*writes: str, environment: str = "dev") -> findings.Finding:
    privileges = receipt_table.TablePrivileges(writes=writes, read_only_sessions=False)
    return judgements.judge_role(cases.plan(environment=environment), privileges)


def server(version: int, *, standby: bool = False) -> findings.Finding:
    return judgements.judge_server(receipt_table.DatabaseServer(version_number=version, standby=standby))


def events(duplicates: float) -> findings.Finding:
    plan = loaded(events={"duplicates": duplicates}) if duplicates else loaded()
    return event_judgements.judge_events(plan)


def layers(*, guarded: bool, sidecar: bool, seconds: float) -> tuple[findings.Finding, ...]:
    plan = cases.plan(target=cases.ECS, layers={"require": ["guard", "sidecar"]})
    return judgements.judge_task_definition(plan, guarded=guarded, sidecar=sidecar, stop_timeout_seconds=seconds)


def root(**fields: Any) -> findings.Finding:
    definition = dataclasses.replace(SIZED, root=ecs_definitions.RootFilesystem(**fields))
    return judgements.judge_root(definition, waits_for_go=True)


def sign(met: bool | None) -> tuple[findings.Finding, ...]:
    value = {True: "ALARM", False: "OK", None: "INSUFFICIENT_DATA"}[met]
    return tuple(
        judgements.judge_stop_signs([stop_signs.SignAnswer(sign="alarm a", met=met, value=value, detail="as AWS says")])
    )


def store(environment: str) -> findings.Finding:
    mode = store_policies.StoreMode(run_control_on_s3=False, run_scoped_on_s3=False, object_lock=False, signed=False)
    return store_policies.to_finding(store_policies.judge_store(environment, mode))


def shots(wrong: list[str], bare: list[str], schedule: list[str]) -> findings.Finding:
    return judgements.judge_one_shots(wrong, bare, schedule)


def leased(seconds: float) -> findings.Finding:
    return judgements.judge_lease_ttl(cases.plan(layers={"require": ["guard"], "lease_ttl": "18s"}), seconds)


PAIRS: dict[str, tuple[Callable[[], Judged], list[Callable[[], Judged]]]] = {
    "judge_rate": (lambda: judgements.judge_rate(rated(900), 10.0), [lambda: judgements.judge_rate(rated(300), 10.0)]),
    "judge_source": (
        lambda: judgements.judge_source(loaded(source_events=90_000), 10.0),
        [lambda: judgements.judge_source(loaded(source_events=8000), 10.0)],
    ),
    "judge_database_skew": (
        lambda: judgements.judge_database_skew(1.0, 2.0),
        [lambda: judgements.judge_database_skew(3.0, 2.0)],
    ),
    "judge_aws_skew": (lambda: judgements.judge_aws_skew(0.0, 2.0), [lambda: judgements.judge_aws_skew(3.0, 2.0)]),
    "judge_freshness": (
        lambda: freshness(0),
        [
            lambda: freshness(5),
            lambda: freshness(5, load=PROFILE | {"rate": 6000, "profile": "replay", "source_events": 9}),
            lambda: freshness(0, load=PROFILE | {"rate": 6000, "profile": "replay", "source_events": 9}),
        ],
    ),
    "judge_server": (lambda: server(180000), [lambda: server(130000), lambda: server(180000, standby=True)]),
    "judge_role": (role, [lambda: role("INSERT"), lambda: role("INSERT", environment="prod")]),
    "judge_times": (
        lambda: sampled(9),
        [lambda: sampled(0), lambda: sampled(9, without_offset=9), lambda: sampled(9, without_time=9)],
    ),
    "judge_program": (
        lambda: judgements.judge_program("k6 is there", []),
        [],  # what starts is there; the warning is of files beside it
    ),
    "judge_host": (
        lambda: judgements.judge_host(loaded()),
        [lambda: judgements.judge_host(loaded(host="http://h/v1"))],
    ),
    "judge_cost": (
        lambda: judgements.judge_cost(capped(9000), SIZED, "eu-west-2"),
        [
            lambda: judgements.judge_cost(capped(0.001), SIZED, "eu-west-2"),
            lambda: judgements.judge_cost(capped(1), dataclasses.replace(SIZED, size=None), "eu-west-2"),
        ],
    ),
    "judge_task_definition": (
        lambda: layers(guarded=True, sidecar=True, seconds=120),
        [lambda: layers(guarded=False, sidecar=False, seconds=1)],
    ),
    "judge_root": (
        lambda: root(read_only=False),
        [lambda: root(read_only=True), lambda: root(read_only=True, writable=("/data",))],
    ),
    "judge_task_size": (
        lambda: judgements.judge_task_size(rated(6000), SIZED),
        [lambda: judgements.judge_task_size(rated(600_000), SIZED)],
    ),
    "judge_start_timeout": (
        lambda: judgements.judge_start_timeout(started_within("10m"), guarded=True),
        [lambda: judgements.judge_start_timeout(started_within("1s"), guarded=True)],
    ),
    "judge_earlier_tasks": (
        lambda: judgements.judge_earlier_tasks(cases.plan(target=cases.ECS), [], fakes.START),
        [
            lambda: judgements.judge_earlier_tasks(cases.plan(target=cases.ECS), [marked(-1)], fakes.START),
            lambda: judgements.judge_earlier_tasks(cases.plan(target=cases.ECS), [marked(60)], fakes.START),
        ],
    ),
    "judge_one_shots": (
        lambda: shots([], [], []),
        [lambda: shots(["a: gone"], [], []), lambda: shots([], ["a"], ["no role"]), lambda: shots([], ["a"], [])],
    ),
    "judge_lease_ttl": (lambda: leased(9.0), [lambda: leased(18.4)]),
    "judge_disk": (lambda: judgements.judge_disk("runs", 1 << 30), [lambda: judgements.judge_disk("runs", 0)]),
    "judge_stop_signs": (lambda: sign(False), [lambda: sign(True), lambda: sign(None)]),
    "judge_master_port": (lambda: master_port(OPEN), [master_port]),
    "judge_addresses": (lambda: addresses(9), [lambda: addresses(7), lambda: addresses(7, 1)]),
    "judge_ways": (lambda: ways("nat-1"), [ways, lambda: ways("tgw-1")]),
    "judge_sending": (
        lambda: sending.judge_sending(rated(24_000), ANSWER, HOST),
        [
            lambda: sending.judge_sending(rated(2_400_000), ANSWER, HOST),
            lambda: sending.judge_sending(rated(24_000), None, HOST),
        ],
    ),
    "judge_expiry": (lambda: keys_ending(900), [lambda: keys_ending(300)]),
    "judge_quota": (
        lambda: quota((64.0, 1.0)),
        [lambda: quota((8.0, 1.0)), lambda: quota((64.0, None)), lambda: quota((8.0, 1.0), (64.0, 1.0))],
    ),
    "judge_write_once": (
        lambda: write_conditions.judge_write_once("s3://b/p", CREATES, None, "Enabled"),
        [
            lambda: write_conditions.judge_write_once("s3://b/p", CREATES, None, "Suspended"),
            lambda: write_conditions.judge_write_once(
                "s3://b/p", dataclasses.replace(CREATES, later_refused=False), None, "Enabled"
            ),
        ],
    ),
    "judge_role_settings": (
        lambda: database_judgements.judge_role_settings(fakes_database.role()),
        [lambda: database_judgements.judge_role_settings(fakes_database.role(safeguards=[]))],
    ),
    "judge_events": (lambda: events(0), [lambda: events(0.2)]),
    "store_policies.to_finding": (lambda: store("dev"), [lambda: store("prod")]),
}
"""Each judgement: how it passes, and each way in which it does not."""
JUDGED_ELSEWHERE = {
    "judge_halt": "a halt has words of its own",
    "judge_canary": "its refusal has an id of its own",
    "judge_push": "it never passes",
    "judge_receipt_instant": "it never passes",
    "judge_count_cost": "its first words say whether it fits",
    "judge_checkpoint": "its refusals are those of the checkpoint store",
    "judge_series": "its pass is the values",
    "judge_check": "its words are those of the database's own findings",
}


def list_judgements() -> Iterator[str]:
    """Every function of preflight's room that makes a finding of an observation."""
    for module in pkgutil.iter_modules(preflight_room.__path__):
        room = importlib.import_module(f"{preflight_room.__name__}.{module.name}")
        for name, function in inspect.getmembers(room, inspect.isfunction):
            makes_finding = "Finding" in str(inspect.signature(function).return_annotation)
            if makes_finding and function.__module__ == room.__name__ and name.startswith("judge_"):
                yield name


def test_every_judgement_is_in_the_table() -> None:
    assert set(list_judgements()) <= PAIRS.keys() | JUDGED_ELSEWHERE.keys()


def without_figures(words: str) -> str:
    return re.sub(r"\d[\d.,]*", "N", words)


def list_judged(judged: Judged) -> tuple[findings.Finding, ...]:
    return (judged,) if isinstance(judged, findings.Finding) else judged


@pytest.mark.parametrize("name", PAIRS)
def test_a_finding_that_does_not_pass_never_speaks_as_one_that_passed(name: str) -> None:
    passing, failing = PAIRS[name]
    passed = {finding.check: finding for finding in list_judged(passing())}

    assert all(finding.passed for finding in passed.values())
    for judge in failing:
        for finding in list_judged(judge()):
            assert not finding.passed
            assert without_figures(passed[finding.check].seen) not in without_figures(finding.seen)


def test_a_problem_in_the_words_of_the_pass_is_no_finding() -> None:
    with pytest.raises(ValueError, match="runs-folder would fail in the words of its pass"):
        findings.report_problem("runs-folder", "it can be written", "it can be written")


def test_a_full_disk_is_told_with_what_a_run_needs() -> None:
    assert judgements.judge_disk("runs", 3 << 20).seen == "runs has too little space: 3 MiB free, a run needs 64 MiB"


@pytest.mark.parametrize(
    ("kind", "gates", "status", "words"),
    [
        (
            "window",
            {"admit_ratio": 0.995},
            "warning",
            "gates.admit_ratio 0.995 asks for new ADMIT, so the burst will hold",
        ),
        (
            "recovery",
            {"min_admits": 9000},
            "warning",
            "gates.min_admits 9,000 asks for new ADMIT, so the burst will hold",
        ),
        ("drill", {"expect_duplicates": 5}, "passed", "each is then a DUPLICATE, as the plan means it"),
    ],
)
def test_a_replay_is_judged_by_the_gates_and_never_told_to_be_a_replay(
    kind: str, gates: dict[str, object], status: str, words: str
) -> None:
    load = PROFILE | {"rate": 6000, "profile": "replay", "source_events": 9}

    finding = freshness(5, kind=kind, load=load, gates=gates, baseline=None, facts=None)

    assert finding.status == status
    assert words in finding.seen
    assert "5 receipts" in finding.seen
    assert "use profile: replay" not in "\n".join(finding.lines())
