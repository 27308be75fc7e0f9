"""Cases: small valid plans and documents that tests vary by keyword, so that a test says only what it is about.

Documents are plain JSON values until they become bytes, because that is how a wrong one reaches burst. `passing`
is a whole case with no blocker open; every test of a refusal starts from it and spoils one thing.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from burst.domain.basics import canonical, instants
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, gate_sections, plan_keys, plans
from burst.domain.preflight import entry_gates
from burst.domain.run import journals
from burst.domain.run.events import base, launch_events, watch_events
from burst.domain.tasks import tasks
from burst.domain.verdict import baselines, cases, load_gates, rules, snapshots

Value = dict[str, Any]

SCOPE = "platform_20260219T234150Z"
EXECUTION_ID = "m10_20260221T020923Z"
PRIOR_EXECUTION_ID = "m10_20260220T223344Z"
STARTED = instants.parse("2026-02-21T02:00:00Z")
WINDOW_SECONDS = 900.0
ENOUGH_ADMITS = 18840
"""3 times 50100 in 7180 s, for 900 s, is 18839.83."""

TASK_RESULT = document_names.task_result_name("m10_f")
METRICS = document_names.metrics_name("m10_f")
FACTS = document_names.facts_name("m10_f")
ALL_BLOCKERS = tuple(f"M10F-{short}" for short in catalogues.BURST.shorts)


def at(seconds: float) -> str:
    """The instant so many seconds after the first task started, as documents print it."""
    return instants.text(instants.later(STARTED, seconds))


def plan_value(**changes: Any) -> Value:
    """A valid plan; each keyword replaces a top-level key, None removes it."""
    value: Value = {
        "schema": plan_keys.SCHEMA,
        "phase": "M10.F",
        "scope": SCOPE,
        "environment": "ci",
        "target": {"kind": "local", "tasks": 2},
        "load": {"command": ["push-events"]},
        "budget": {"max": "90m", "operator_cap": "20m", "min_window": "15m"},
        "receipts": {"dsn": "env:BURST_TEST_DSN"},
        "baseline": {"file": "baselines/m10_e.json"},
        "gates": {"multiplier": 3.0, "admit_ratio": 0.995},
        "facts": [
            {"blocker": "M10F-B2", "name": "publish_ambiguous", "sql": "select 0", "equals": 0},
            {"blocker": "M10F-B6", "name": "unresolved", "sql": "select 0", "equals": 0},
            {"blocker": "M10F-B7", "name": "max_lag", "sql": "select 3", "at_most": 10},
        ],
        **changes,
    }
    return {key: part for key, part in value.items() if part is not None}


def plan(**changes: Any) -> plans.Plan:
    """A parsed plan, varied as `plan_value` is."""
    return _parse_plan(json.dumps(plan_value(**changes)))


@functools.lru_cache(maxsize=64)
def _parse_plan(text: str) -> plans.Plan:
    """A plan never changes, so hundreds of tests may share one: reading it takes a good part of a simulated run."""
    return plans.parse(text, source="plan.json")


ECS: Value = {
    "kind": "ecs",
    "tasks": 2,
    "cluster": "burst",
    "task_definition": "burst-task:1",
    "subnets": ["subnet-a"],
    "security_groups": ["sg-a"],
}
"""A target on ECS, where services and tasks of other definitions are."""


def rerun(*only: str, **changes: Any) -> Value:
    """The `rerun` section of a plan bounded to these short ids."""
    return {"only": [f"M10F-{short}" for short in only], **changes}


def task(index: int, **changes: Any) -> Value:
    """One task that held from the start to after the window and was stopped by the controller."""
    return {
        "id": f"task-{index}",
        "started_utc": at(0),
        "stopped_utc": at(990),
        "stop_code": "UserInitiated",
        "exit_code": 0,
        "stopped_by": "controller",
        **changes,
    }


def task_result(**changes: Any) -> Value:
    """A task result of two tasks that ran 990 s."""
    return {
        "schema": "burst.task-result/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "started_utc": at(0),
        "stopped_utc": at(990),
        "tasks": [task(0), task(1)],
        **changes,
    }


def journal(
    *launched: Value,
    minor: int = document_names.JOURNAL_MINOR,
    by: plans.Plan | None = None,
    created: Mapping[str, Any] | None = None,
    **result_changes: Any,
) -> tuple[bytes, Value]:
    """The journal of a run that launched these tasks and saw each end as it says, and the task result made of it; `by`
    its plan, `created` changes to its first event."""
    told = [{"shard_index": index, **one} for index, one in enumerate(launched)]
    result = task_result(tasks=told, deadline_utc=at(1200), **result_changes)
    first = run_created(
        execution_id=result["execution_id"],
        deadline=moment(1200),
        minor=minor,
        plan_sha256=canonical.digest(canonical.encode((by or plan()).document())),
        **(created or {}),
    )
    events = [first, *events_of_launch(*told)]
    content = b"".join(
        journal_line(number, event, seen_at=getattr(event, "stopped_at", None))
        for number, event in enumerate(events, start=1)
    )
    return content, {**result, "journal": {"size": len(content), "sha256": canonical.digest(content)}}


def run_created(**changes: Any) -> launch_events.RunCreated:
    """The first event of a run, as this version writes it."""
    created = launch_events.RunCreated(
        schema=document_names.JOURNAL_SCHEMA,
        minor=document_names.JOURNAL_MINOR,
        execution_id=EXECUTION_ID,
        scope=SCOPE,
        plan_sha256="0" * 64,
        deadline=moment(0),
        early_stop=True,
        barrier=True,
    )
    return replace(created, **changes)


def events_of_launch(*launched: Value) -> list[base.Event]:
    """What a journal holds of tasks from their launch to their end."""
    told = [{"shard_index": index, **one} for index, one in enumerate(launched)]
    started = tuple(tasks.Task(task_id=one["id"], shard_index=one["shard_index"]) for one in told)
    shards = tuple(one["shard_index"] for one in told)
    return [
        launch_events.LaunchIntended(token=f"{EXECUTION_ID}|1", shards=shards, capacity=None),
        launch_events.LaunchAnswered(tasks=started, failures=()),
        *(_task_seen(one) for one in told),
    ]


def journal_line(sequence: int, event: base.Event, *, seen_at: datetime | None = None) -> bytes:
    """One event as the journal holds it; the end of a task is seen no earlier than it was."""
    return journals.line(journals.Entry(sequence=sequence, at=max(moment(sequence), seen_at or moment(0)), event=event))


def forged_line(sequence: int, name: str, /, **fields: Any) -> bytes:
    """A line of the journal that says whatever a forger likes."""
    return json.dumps({"sequence": sequence, "at": at(sequence), "event": name, **fields}).encode() + b"\n"


def _task_seen(one: Value) -> watch_events.TaskSeen:
    return watch_events.TaskSeen(
        task_id=one["id"],
        shard_index=one["shard_index"],
        status=tasks.TaskStatus.STOPPED if one["stopped_utc"] else tasks.TaskStatus.RUNNING,
        started_at=instants.parse(one["started_utc"]) if one["started_utc"] else None,
        stopped_at=instants.parse(one["stopped_utc"]) if one["stopped_utc"] else None,
        exit_code=one["exit_code"],
        stop_code=one["stop_code"],
        stopped_by=tasks.Layer(one["stopped_by"]) if one["stopped_by"] else None,
        detail="",
        end=_end(one) if one.get("ended_by") else None,
    )


def _end(one: Value) -> base.EndEntry:
    """How a task ended, by a record of its guard that says so."""
    times = {name: one.get(name) and instants.parse(one[name]) for name in ("asked_utc", "load_ended_utc")}
    record = base.RecordEntry(
        started_at=instants.parse(one["started_utc"]),
        stopped_at=times["load_ended_utc"],
        exit_code=one["exit_code"],
        stopped_by=tasks.Layer(one["stopped_by"]) if one["stopped_by"] else None,
        cause=tasks.EndCause(one["ended_by"]),
        asked_at=times["asked_utc"],
        overshoot_seconds=0.0,
        detail="",
    )
    return base.EndEntry(
        cause=tasks.EndCause(one["ended_by"]),
        asked_at=times["asked_utc"],
        load_ended_at=times["load_ended_utc"],
        source=tasks.EndSource(one["end_source"]),
        record=record,
    )


def task_records(*launched: Value) -> Value:
    """The records of the guards of those tasks."""
    return {
        "schema": "burst.task-records/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "records": [
            {
                "task_id": one["id"],
                "shard_index": index,
                "started_utc": one["started_utc"],
                "stopped_utc": one["load_ended_utc"],
                "exit_code": one["exit_code"],
                "stopped_by": one["stopped_by"],
                "cause": one["ended_by"],
                "asked_utc": one["asked_utc"],
                "overshoot_seconds": 0.0,
                "detail": "",
            }
            for index, one in enumerate(launched)
        ],
    }


def load(*, tasks: int = 2, **changes: Any) -> Value:
    """The load document of so many tasks, each of which sent half of 20 a second for 900 s in time; `changes` of each
    task."""
    each = {
        "first_utc": at(60),
        "last_utc": at(961),
        "knows_due": True,
        "due": 9010,
        "in_time": 9000,
        "undecided": 10,
        "sent": 9000,
        "late": 0,
        "latest_seconds": 0.05,
        "acknowledged": 8990,
        "refused": {"5xx": 8},
        "failed": {"timeout": 2},
        "bad_lines": 0,
        "processes": None,
        "values": {},
        **changes,
    }
    return {
        "schema": "burst.load/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "resolution": 0.0078125,
        "tasks": [{"shard_index": index, **each} for index in range(tasks)],
        "seconds": [],
        "requests": [],
        "latency": [{"up_to_us": 20_000, "count": 17_000}, {"up_to_us": 400_000, "count": 1000}],
        "latency_over_time": [],
        "markers": {},
        "steps": [],
        "marked_utc": {},
    }


def service(name: str, **changes: Any) -> Value:
    """One service that was scaled from 1 to 2 for the burst, and was put back."""
    return {"name": name, "before": 1, "desired": 2, "restored": True, "detail": "has its 1 again", **changes}


def counts(admit: int = ENOUGH_ADMITS, duplicate: int = 0, quarantine: int = 0, other: int = 0) -> Value:
    """Receipts by decision, as documents spell them."""
    return {"ADMIT": admit, "DUPLICATE": duplicate, "QUARANTINE": quarantine, "other": other}


def window(start_seconds: float = 60.0, seconds: float = WINDOW_SECONDS) -> Value:
    """A window that begins so many seconds after the first task started."""
    return {"start_utc": at(start_seconds), "end_utc": at(start_seconds + seconds)}


def metrics(**changes: Any) -> Value:
    """Counts of 900 s that reach three times the baseline, all of them ADMIT."""
    return {
        "schema": "burst.metrics/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "window": window(),
        "counts": counts(),
        **changes,
    }


def fact(blocker: str, name: str, value: object, **expectation: Any) -> Value:
    """One answer with its expectation."""
    return {"blocker": f"M10F-{blocker}", "name": name, "value": value, "source": "a query", **expectation}


def answers(**values: Any) -> list[Value]:
    """Answers to the three questions of `plan_value`; a keyword gives another answer to the one it names."""
    given = {"publish_ambiguous": 0, "unresolved": 0, "max_lag": 3, **values}
    return [
        fact("B2", "publish_ambiguous", given["publish_ambiguous"], equals=0),
        fact("B6", "unresolved", given["unresolved"], equals=0),
        fact("B7", "max_lag", given["max_lag"], at_most=10),
    ]


def facts(entries: Sequence[Value] | None = None, **changes: Any) -> Value:
    """A facts document; every question of `plan_value` answered as wanted, unless said."""
    return {
        "schema": "burst.facts/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "facts": answers() if entries is None else list(entries),
        **changes,
    }


def observe(*rules: Value, **changes: Any) -> Value:
    """The section of a plan that observes one series, `lag`, with a rule behind B7 unless others are given."""
    usual = {"blocker": "M10F-B7", "aggregate": "max", "over": "last 10m", "at_most": 10}
    lag = {"name": "lag", "sql": "select 3", "rules": list(rules) or [usual], **changes}
    return {"every": "60s", "settle": "2s", "series": [lag]}


def observations(observing: plans.Plan, values: Sequence[Any] = (3,) * 18, **changes: Any) -> Value:
    """The samples of the plan's series: one a second before the first task started, one a minute from then on, and the
    last one 2 s after the last task stopped."""
    seconds = [-1.0, *(60.0 * index for index in range(1, len(values) - 1)), 992.0]
    taken = [
        {"number": number, "asked_utc": at(second), "answered_utc": at(second + 0.1), "value": value}
        for number, (second, value) in enumerate(zip(seconds, values, strict=True), start=1)
    ]
    return {
        "schema": "burst.observations/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "settle_seconds": 2.0,
        "series": [
            {
                "name": series.name,
                "source": series.source_words(SCOPE),
                "question_sha256": series.question_sha256,
                "every_seconds": 60.0,
                "taken": len(taken),
                "samples": taken,
            }
            for series in observing.observed_series
        ],
        **changes,
    }


def preflight(**changes: Any) -> Value:
    """What preflight found: one check that passed, and what tasks of 1 vCPU and 2 GB cost."""
    return {
        "schema": "burst.preflight/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "checked_utc": at(-10),
        "passed": True,
        "findings": [
            {
                "check": "rate",
                "status": "passed",
                "title": "the rate can reach what is required",
                "seen": "it can",
                "why": "",
                "mend": "",
                "runbook": "runbooks/preflight.md#rate",
            }
        ],
        "cost": {
            "vcpu": 1.0,
            "memory_gb": 2.0,
            "vcpu_hour_usd": 0.04,
            "gb_hour_usd": 0.004,
            "price_source": "made up",
            "at_cap_usd": 0.1,
        },
        "canary": {"event_id": "burst-canary-1", "sent_utc": at(-9), "receipt_utc": at(-9)},
        **changes,
    }


def attempt(earlier: Sequence[Value] = (), **changes: Any) -> Value:
    """The attempt of the run, after those."""
    return {
        "schema": "burst.attempt/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "phase": "M10.F",
        "number": len(earlier) + 1,
        "contract": "0" * 64,
        "claimed_utc": at(-5),
        "earlier": list(earlier),
        **changes,
    }


def baseline_value(**changes: Any) -> Value:
    """A baseline of 50100 admits in 7180 s, made an hour before the run, without its checksum."""
    whole = {"start_utc": at(-10800), "end_utc": at(-3620)}
    return {
        "schema": baselines.SCHEMA,
        "admits": 50100,
        "seconds": 7180,
        "admits_per_minute": 418.66295264623955,
        "admit_ratio": 1.0,
        "bucket_seconds": 7180,
        "buckets": [{**whole, "counts": counts(50100)}],
        "profile": {"command": "push-events"},
        "environment": {"environment": "ci"},
        "created_utc": at(-3600),
        "max_age_seconds": None,
        "provenance": {
            "execution_id": "m10_20260221T000000Z",
            "platform_run_id": "platform_20260221T000000Z",
            "phase": "M10.E",
            "snapshot_sha256": "0" * 64,
            "window": whole,
        },
        **changes,
    }


def baseline(**changes: Any) -> bytes:
    """A sealed baseline document, varied as `baseline_value` is."""
    return baselines.seal(baseline_value(**changes))


def prior(*open_blockers: str, **changes: Any) -> Value:
    """The snapshot of an earlier attempt in which these short ids were open."""
    open_ids = sorted(f"M10F-{short}" for short in open_blockers)
    return {
        "schema": document_names.SNAPSHOT_SCHEMA,
        "phase": "M10.F",
        "execution_id": PRIOR_EXECUTION_ID,
        "blockers": open_ids,
        "blocker_register": [
            {"blocker": blocker, "open": blocker in open_ids, "state": "open" if blocker in open_ids else "cleared"}
            for blocker in ALL_BLOCKERS
        ],
        "overall_pass": not open_ids,
        **changes,
    }


def content(value: Value) -> bytes:
    """The bytes of a document, not sealed and not checked."""
    return json.dumps(value).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A plan and the documents given with it, by name."""

    plan: plans.Plan
    contents: Mapping[str, bytes] = field(hash=False)

    def having(self, **values: Value | bytes) -> "Case":
        """The same with documents replaced: task_result, metrics, facts, baseline, prior."""
        given = {_NAMES[name]: value if isinstance(value, bytes) else content(value) for name, value in values.items()}
        return replace(self, contents={**self.contents, **given})

    def without(self, *names: str) -> "Case":
        """The same with documents missing, named as `having` names them."""
        gone = {_NAMES[name] for name in names}
        return replace(self, contents={name: part for name, part in self.contents.items() if name not in gone})

    def under(self, changed: plans.Plan) -> "Case":
        """The same documents under another plan."""
        return replace(self, plan=changed)

    def verdict(self, judged_by: rules.Rules = rules.CURRENT) -> snapshots.Verdict:
        """What adjudication says of it."""
        plan_content = canonical.encode(self.plan.document())
        return snapshots.adjudicate(cases.from_documents(self.plan, plan_content, self.contents), judged_by)

    def documents(self) -> dict[str, bytes]:
        """Every document by name, the plan among them, as a report is made of them."""
        return {document_names.PLAN: canonical.encode(self.plan.document()), **self.contents}

    def document(self) -> Value:
        """The snapshot of that verdict, as a JSON value."""
        return self.verdict().snapshot.document()


_NAMES = {
    "task_result": TASK_RESULT,
    "task_records": document_names.task_records_name("m10_f"),
    "metrics": METRICS,
    "load": document_names.load_name("m10_f"),
    "facts": FACTS,
    "observations": document_names.observations_name("m10_f"),
    "baseline": document_names.BASELINE,
    "prior": document_names.PRIOR,
    "prior_plan": document_names.PRIOR_PLAN,
    "attempt": document_names.attempt_name("m10_f"),
    "reference": document_names.REFERENCE,
    "reference_plan": document_names.REFERENCE_PLAN,
    "reproduction": document_names.reproduction_name("m10_f"),
    "preflight": document_names.preflight_name("m10_f"),
    "gate_records": document_names.GATE_RECORDS,
}


def passing(**plan_changes: Any) -> Case:
    """A case with every document there and no blocker open."""
    return Case(plan=plan(**plan_changes), contents={}).having(
        task_result=task_result(), metrics=metrics(), facts=facts(), baseline=baseline()
    )


DRILL = {
    "name": "restart-writer",
    "at": "5m",
    "restart": {"service": "writer"},
    "recover_within": "5m",
    "recovered_when": {"series": "lag", "at_most": 10, "sustained": "60s"},
}


ENTRY_REQUIREMENTS: Value = {
    "phases": [{"name": "window", "place": "s3://bucket/control", "phase": "M10.E", "scope": "platform_1"}],
    "documents": [{"name": "done", "document": "s3://bucket/{scope}/done.json", "path": "/state", "equals": "DONE"}],
    "facts": [{"name": "queue_empty", "sql": "select count(*) from queue", "equals": 0, "until": "10m"}],
    "services": [
        {"name": "gateway", "running": 4, "task_definition": "gateway:12", "environment": {"SCOPE": "{scope}"}}
    ],
    "nothing_alive": True,
}
"""Each kind of entry gate once; `entry_gates_of` has the answers that pass."""


def entry_gates_of(required: plans.Plan, **changes: Value) -> list[Value]:
    """The answers that pass `ENTRY_REQUIREMENTS` of a plan; `changes` replace fields, by the first word of a gate."""
    seen: dict[str, Value] = {
        "phase": {
            "phase_seen": {
                "execution_id": "m10_20260220T063037Z",
                "phase": "M10.E",
                "kind": "burst",
                "platform_run_id": "platform_1",
                "sha256": "1" * 64,
                "place": "s3://bucket/control",
                "state": "ok",
                "overall_pass": True,
                "blockers": [],
            }
        },
        "document": {
            "document_seen": {"address": f"s3://bucket/{SCOPE}/done.json", "sha256": "2" * 64, "value": "DONE"}
        },
        "fact": {"fact_value": 0},
        "service": {
            "service_seen": {
                "desired": 4,
                "running": 4,
                "task_definition": "arn:aws:ecs:eu-west-2:123456789012:task-definition/gateway:12",
                "images": [],
                "variables": {"SCOPE": [SCOPE]},
            }
        },
        "nothing_alive": {"living_runs": []},
    }
    return [
        {
            "gate": gate,
            "question_sha256": entry_gates.digest_question(required, gate),
            "begun_utc": at(-20),
            "answered_utc": at(-15),
            "times_asked": 2,
            **seen[gate.partition(":")[0]],
            **changes.get(gate.partition(":")[0], {}),
        }
        for gate in required.entry_questions
    ]


KEYS_SQL = (
    "select string_agg(distinct event_type, ',' order by event_type) from receipts where platform_run_id = :scope"
)
REPRODUCES: Value = {"snapshot": "runs/m10_first", "keyset": {"sql": KEYS_SQL}}
"""A plan's reference run; `reproduction` has the key sets of both."""
REFERENCE_SCOPE = "platform_20260218T000000Z"


def reproduction(
    reference: bytes, *, before: Sequence[str] = ("a", "b"), after: Sequence[str] = ("a", "b"), **changes: Any
) -> Value:
    """The key sets of the reference's scope and of this run's."""
    answers = {
        name: {"platform_run_id": scope, "keys": list(keys), "source": KEYS_SQL, "at_utc": at(1000), "detail": ""}
        for name, scope, keys in (("baseline", REFERENCE_SCOPE, before), ("candidate", SCOPE, after))
    }
    return {
        "schema": "burst.reproduction/v1",
        "execution_id": EXECUTION_ID,
        "platform_run_id": SCOPE,
        "reference_sha256": canonical.digest(reference),
        **answers,
        **changes,
    }


_SHOT = {"command": ["work"], "timeout": "10s", "task_definition": "reporter:1"}
_FULLEST_PLAN = plan(
    target=ECS,
    services=[{"name": "writer", "desired": 2}],
    before=[{"name": "warm", **_SHOT}],
    after=[{"name": "refresh", **_SHOT}],
    during=[DRILL],
    rerun=rerun(*catalogues.BURST.shorts),
    execution_id=EXECUTION_ID,
    load={"command": ["push-events"], "rate": [{"for": "15m", "rate": 1200, "name": "whole"}]},
    gates={
        **{f"{name}@whole": 1.0 for name in gate_sections.STEP_LIMITS},
        "multiplier": 3.0,
        "admit_ratio": 0.995,
        **dict.fromkeys(load_gates.ANSWER_GATES, 1.0),
        "min_admits": 1,
        "expect_duplicates": 1,
        "contiguity": {},
        "decision_shares": {"ADMIT": {"at_least": 0.5}},
        "multiplier_lower": 2.5,
        "modes": {"latency_p99_ms": {"mode": "informational"}},
    },
    observe=observe(),
    requires=ENTRY_REQUIREMENTS,
    reproduces=REPRODUCES,
)
FULLEST = Case(plan=_FULLEST_PLAN, contents=passing().contents).having(
    load=load(),
    observations=observations(plan(observe=observe())),
    task_result=task_result(deadline_utc=at(1200)),
    metrics=metrics(
        counts=counts(other=1),
        settled=False,
        vanished=counts(1),
        clock_skew_seconds=1.0,
        binds={"scope": "other"},
        buckets=[{**window(), "counts": counts()}],
    ),
    prior=prior(*catalogues.BURST.shorts),
    preflight=preflight(entry_gates=entry_gates_of(_FULLEST_PLAN)),
)
"""A case of which every gate is asked."""


def read_back(document: Value) -> snapshots.Verdict:
    """The verdict of a snapshot's JSON value, as a reader of its bytes has it."""
    return snapshots.Verdict.read(canonical.encode(document))


def counted(value: Value) -> dict[str, bytes]:
    """Counts as a report gets them."""
    return {METRICS: content(value)}


def entry(verdict: snapshots.Verdict, short: str) -> Value:
    """The register's entry of one blocker, by its short id."""
    entries: list[Value] = verdict.snapshot.document()["blocker_register"]
    return next(entry for entry in entries if entry["blocker"] == f"M10F-{short}")


def gate(verdict: snapshots.Verdict, name: str) -> Value:
    """One gate of a snapshot, by name."""
    entries: list[Value] = verdict.snapshot.document()["gates"]
    return next(entry for entry in entries if entry["name"] == name)


def open_shorts(verdict: snapshots.Verdict) -> set[str]:
    """The short ids of the open blockers."""
    return {blocker.rpartition("-")[2] for blocker in verdict.snapshot.blockers}


def moment(seconds: float) -> datetime:
    """The instant so many seconds after the first task started."""
    return instants.later(STARTED, seconds)
