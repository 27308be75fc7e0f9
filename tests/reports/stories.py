"""The runs whose reports are looked at: a PASS, a HOLD, a soak, an ECS run with an outage, and their history.

Each is a case of whole documents, with figures by the second, so that every part of a page has something to show.
"""

import functools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.run.events import base, errand_events, launch_events
from burst.domain.tasks import services
from burst.report import html, index_pages
from tests import cases
from tests.unit import test_phase_kinds as phases

START, WINDOW_SECONDS = 60.0, 900.0
TAIL_SECONDS = 6.0
"""From the end of the load to the last stop: the last bucket is so long."""
Rate = Callable[[float], float]
"""Events a second, by the seconds since GO."""
LAYERS = ("guard", "sidecar", "lease", "controller")


def steady(second: float) -> float:
    """A load that reaches three times the baseline with some room."""
    return 23.0 + 0.8 * math.sin(second / 40)


def ragged(second: float) -> float:
    """A system that falls behind after five minutes."""
    return 23.0 if second < 300 else max(9.0, 23.0 - (second - 300) / 20)


def make_buckets(admit: Rate, *, duplicate_share: float = 0.001, seconds: float = 60.0) -> list[cases.Value]:
    """Buckets of the counted window; the last one is shorter."""
    ends = [*range(int(seconds), int(WINDOW_SECONDS) + 1, int(seconds)), WINDOW_SECONDS + TAIL_SECONDS]
    starts = [0.0, *ends[:-1]]
    buckets = []
    for start, end in zip(starts, ends, strict=True):
        second = range(int(start), min(int(end), int(WINDOW_SECONDS)))
        admits = round(sum(map(admit, second))) or 2
        counts = cases.counts(admits, round(admits * duplicate_share))
        buckets.append({**cases.window(START + start, end - start), "counts": counts})
    return buckets


def add_up(buckets: Sequence[cases.Value]) -> cases.Value:
    """The counts of all buckets."""
    return {name: sum(bucket["counts"][name] for bucket in buckets) for name in cases.counts()}


def make_metrics(buckets: Sequence[cases.Value], **changes: Any) -> cases.Value:
    """The counts of the attempt window, settled."""
    counts = add_up(buckets)
    rounds = [{"counted_utc": cases.at(START + WINDOW_SECONDS + seconds), "counts": counts} for seconds in (12, 17)]
    return cases.metrics(
        window=cases.window(START, WINDOW_SECONDS + TAIL_SECONDS),
        counts=counts,
        bucket_seconds=60.0,
        buckets=list(buckets),
        settled=True,
        settle_rounds=rounds,
        sql="select decision, count(*) from receipts where platform_run_id = :scope group by decision",
        binds={"scope": cases.SCOPE},
        load_ended_utc=cases.at(START + WINDOW_SECONDS),
        **changes,
    )


def make_load(offered: Rate, answered: Rate, *, refused: float = 0.0, latency_ms: float = 18.0) -> cases.Value:
    """What two tasks offered and were answered; `refused` is a share of the answers of the last third."""
    seconds: list[cases.Value] = []
    totals = dict.fromkeys(("due", "in_time", "sent", "acknowledged", "refused", "failed"), 0)
    for second in range(int(WINDOW_SECONDS)):
        due, got = round(offered(second)), round(answered(second))
        refusals = round(got * refused * 2) // 2 if second > 600 else 0
        failures = 1 if refused and second % 90 == 89 else 0
        entry = {
            "due": due,
            "in_time": due,
            "sent": due,
            "acknowledged": max(0, got - refusals - failures),
            "refused": refusals,
            "failed": failures,
        }
        seconds.append({"start_utc": cases.at(START + second), **entry})
        totals = {name: totals[name] + entry[name] for name in totals}
    for name in totals:  # two tasks count them, each one half
        seconds[-1][name] -= totals[name] % 2
        totals[name] -= totals[name] % 2
    each = {name: totals[name] // 2 for name in ("due", "in_time", "sent", "acknowledged")}
    kinds: cases.Value = {"refused": {"5xx": totals["refused"] // 2}, "failed": {"timeout": totals["failed"] // 2}}
    whole = cases.load(
        **each, undecided=0, **(kinds if refused else {"refused": {}, "failed": {}}), values={"HOST": "a"}
    )
    parts = [
        make_part(first, seconds[first : first + 10], latency_ms, slow=bool(refused))
        for first in range(0, int(WINDOW_SECONDS), 10)
    ]
    counts = Counter[int]()
    for part in parts:
        for bucket in part["latency"]:
            counts[bucket["up_to_us"]] += bucket["count"]
    latency = [{"up_to_us": up_to, "count": count} for up_to, count in sorted(counts.items())]
    return {**whole, "seconds": seconds, "latency_over_time": parts, "latency": latency}


def make_part(first: int, seconds: Sequence[cases.Value], latency_ms: float, *, slow: bool) -> cases.Value:
    """The latencies of ten seconds, of every answer one."""
    answered = sum(entry[name] for entry in seconds for name in ("acknowledged", "refused", "failed"))
    grown = latency_ms * (1 + 0.2 * math.sin(first / 50)) * (4 if slow and first > 600 else 1)
    slow_ones, slowest = answered // 4, answered // 40
    shares = ((1, answered - slow_ones - slowest), (3, slow_ones), (8, slowest))
    latency = [{"up_to_us": round(grown * factor * 1000), "count": count} for factor, count in shares]
    return {"start_utc": cases.at(START + first), "seconds": 10.0, "latency": latency}


def make_layers(*fired: str, of: Sequence[str] = LAYERS) -> list[cases.Value]:
    """Layers, those named having stopped tasks."""
    return [
        {"name": name, "state": "fired" if name in fired else "armed", "detail": f"{name}: holds every task"}
        for name in of
    ]


def make_task(number: int, **changes: Any) -> cases.Value:
    """One task of a burst that was asked to end by the lease."""
    ended = START + WINDOW_SECONDS + 1.5 + number
    return cases.task(
        number,
        shard_index=number,
        started_utc=cases.at(41.0 + number),
        stopped_utc=cases.at(START + WINDOW_SECONDS + TAIL_SECONDS - 1 + number),
        stopped_by="lease",
        ended_by="lease",
        asked_by="lease",
        asked_utc=cases.at(START + WINDOW_SECONDS),
        load_ended_utc=cases.at(ended),
        end_source="record",
        **changes,
    )


def make_result(**changes: Any) -> cases.Value:
    """The task result of a burst that ended as it was declared."""
    return cases.task_result(
        **{
            "tasks": [make_task(0), make_task(1)],
            "started_utc": cases.at(41.0),
            "stopped_utc": cases.at(START + WINDOW_SECONDS + TAIL_SECONDS),
            "planned_tasks": 2,
            "go_tasks": 2,
            "launched_utc": cases.at(38.0),
            "go_utc": cases.at(START),
            "deadline_utc": cases.at(1238.0),
            "stop_reason": "complete",
            "stop_decided_utc": cases.at(START + WINDOW_SECONDS),
            "stop_asked_utc": cases.at(START + WINDOW_SECONDS),
            "load_accounts": 2,
            "layers": make_layers("lease"),
            "worst_end_seconds": {"guard": 30.0, "sidecar": 30.5, "lease": 66.0, "controller": 33.0},
            "command": ["burst", "run", "plan.yaml", "--set", "target.tasks=2"],
            **changes,
        }
    )


def make_journal(layers: Sequence[str] = LAYERS) -> bytes:
    """The lines of a journal: the run began, its layers were armed, a service was changed and put back."""
    change = services.ServiceChange(name="ingest-writer", before=1, desired=3)
    events: list[base.Event] = [
        cases.run_created(),
        *(launch_events.LayerArmed(layer=name, detail="") for name in layers),
        errand_events.ServicesIntended(services=(change,)),
    ]
    back = errand_events.ServicesRestored(back={"ingest-writer": "1 task"}, problems={})
    lines = [cases.journal_line(number, event) for number, event in enumerate(events, start=31)]
    return b"".join([*lines, cases.journal_line(int(START + WINDOW_SECONDS) + 9, back)])


def make_preflight(**changes: Any) -> cases.Value:
    """Preflight with a warning."""
    found = cases.preflight()
    warning = {
        **found["findings"][0],
        "check": "headroom",
        "status": "warning",
        "title": "the rate has room above what is required",
        "seen": "3 % of room",
        "why": "a tail of a few seconds takes as much",
        "mend": "raise load.headroom",
        "runbook": "runbooks/preflight.md#headroom",
    }
    return {**found, "findings": [*found["findings"], warning], **changes}


def make_attempt(*verdicts: str) -> cases.Value:
    """The attempt after those with these verdicts."""
    earlier = [
        {
            "execution_id": f"m10_2026022{number}T010101Z_00000{number}",
            "verdict": verdict,
            "sha256": str(number) * 64,
            "contract": "0" * 64,
        }
        for number, verdict in enumerate(verdicts)
    ]
    return cases.attempt(earlier)


def make_case(case: cases.Case, buckets: Sequence[cases.Value], load: cases.Value, **documents: Any) -> cases.Case:
    """A case with all the documents of a burst."""
    whole: dict[str, Any] = {
        "metrics": make_metrics(buckets),
        "load": load,
        "task_result": make_result(),
        "preflight": make_preflight(),
        "attempt": make_attempt("HOLD"),
    }
    return case.having(**{**whole, **documents})


def passed(seconds: float = 60.0) -> cases.Case:
    """A burst that passes, in buckets of so many seconds."""
    base_case = cases.passing(gates={"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": 250})
    return make_case(base_case, make_buckets(steady, seconds=seconds), make_load(steady, steady))


def held() -> cases.Case:
    """A burst that was stopped early, because what came could no longer reach three times the baseline."""
    early = {
        "rule": "rate-unreachable",
        "at_utc": cases.at(START + 898),
        "receipts_seen": 13000,
        "seconds_saved": 302.0,
        "detail": "at most 2.4 times the baseline can still be reached",
    }
    result = make_result(
        early_stop=early,
        stop_reason="early-stop",
        outages=[],
        layers=make_layers("lease", "controller"),
        tasks=[make_task(0), {**make_task(1), "exit_code": 1, "stopped_by": "controller", "ended_by": "signal"}],
    )
    load = make_load(lambda _: 25.0, ragged, refused=0.12)
    case = cases.passing(gates={"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": 60})
    buckets = make_buckets(ragged, duplicate_share=0.09)
    return make_case(case, buckets, load, task_result=result, attempt=make_attempt("HOLD", "HOLD"))


def soaked() -> cases.Case:
    """A soak with an observed series."""
    value = cases.plan_value(
        gates=phases.GATES[catalogues.Kind.SOAK], observe=cases.observe(blocker_of_soak()), facts=[], kind="soak"
    )
    plan = cases.plan(**{key: part for key, part in value.items() if key != "schema"})
    silent = [{"blocker": blocker, "name": "asked", "sql": "select 0", "equals": 0} for blocker in plan.silent_blockers]
    plan = cases.plan(**{**{key: part for key, part in value.items() if key != "schema"}, "facts": silent})
    answers = [cases.fact(fact.blocker.rpartition("-")[2], fact.name, 0, equals=0) for fact in plan.facts]
    lag = [3, 4, 6, 5, 7, 8, 6, 5, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1]
    case = cases.Case(plan=plan, contents={}).having(
        facts=cases.facts(answers), baseline=cases.baseline(), observations=cases.observations(plan, lag)
    )
    return make_case(case, make_buckets(steady), make_load(steady, steady), attempt=cases.attempt())


def blocker_of_soak() -> cases.Value:
    """The rule of the series, behind the lag of a soak."""
    return {"blocker": "M10F-B2", "aggregate": "max", "over": "last 10m", "at_most": 10}


def blinded() -> cases.Case:
    """A burst on ECS, with errands around it, through whose middle the controller could not see its tasks."""
    layers = (*LAYERS[:3], "schedule", "sweeper", "controller")
    ids = [f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{number:032x}" for number in (0xA1, 0xB2)]
    result = make_result(
        tasks=[{**make_task(number), "id": ids[number]} for number in range(2)],
        layers=make_layers("lease", of=layers),
        outages=[
            {
                "blind_since_utc": cases.at(START + 400),
                "sight_regained_utc": cases.at(START + 640),
                "detail": "ecs:DescribeTasks: Connect timeout on endpoint URL",
            }
        ],
        count_blindnesses=[
            {"since_utc": cases.at(START + 405), "until_utc": cases.at(START + 645), "why": "logs: no answer"}
        ],
        one_shots=[
            make_one_shot("warm-caches", "before", 33.0, 37.0),
            make_one_shot("write-report", "after", START + WINDOW_SECONDS + 8, START + WINDOW_SECONDS + 30),
        ],
        services=[{"name": "ingest-writer", "before": 1, "desired": 3, "restored": True}],
        worst_end_seconds={"guard": 30.0, "sidecar": 30.5, "lease": 66.0, "schedule": 90.0, "sweeper": 300.0},
    )
    case = cases.passing(target=cases.ECS)
    return make_case(case, make_buckets(steady), make_load(steady, steady), task_result=result)


def named_at_length() -> cases.Case:
    """A burst whose errors have the longest names that an account keeps, in letters of any width."""
    load = make_load(steady, steady, refused=0.02)
    for task in load["tasks"]:
        task["failed"] = {"E" * 200: 5, "\u7aef" * 200: 2, "<script>" * 20: 1}
    return make_case(cases.passing(), make_buckets(steady), load)


def make_one_shot(name: str, when: str, start: float, end: float) -> cases.Value:
    """A program beside the burst that ended as it should."""
    shot: cases.Value = {"name": name, "when": when, "id": f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{name}"}
    return {**shot, "started_utc": cases.at(start), "stopped_utc": cases.at(end), "exit_code": 0}


STORIES: dict[str, Callable[[], cases.Case]] = {
    "pass": passed,
    "hold": held,
    "soak": soaked,
    "ecs-outage": blinded,
    "long-names": named_at_length,
}


def render(case: cases.Case) -> bytes:
    """The report of a case, as its controller would make it."""
    journal = make_journal() if document_names.JOURNAL not in case.contents else b""
    return html.render(case.verdict(), {**case.documents(), document_names.JOURNAL: journal})


def render_exact() -> bytes:
    """The report of a HOLD with instants and ids as long as those of real runs, and every gate shown."""

    def lengthen(content: bytes) -> bytes:
        longer = content.replace(cases.SCOPE.encode(), f"{cases.SCOPE}_2942ab".encode())
        return re.sub(rb"(T\d\d:\d\d:\d\d)Z", rb"\1.536197Z", longer)

    case = held()
    verdict = cases.read_back(json.loads(lengthen(case.verdict().content)))
    contents = {name: lengthen(content) for name, content in case.documents().items()}
    return html.render(verdict, {**contents, document_names.JOURNAL: lengthen(make_journal())})


def as_run(case: cases.Case, execution_id: str) -> cases.Case:
    """The same under another execution id."""
    text = {
        name: part.replace(cases.EXECUTION_ID.encode(), execution_id.encode()) for name, part in case.contents.items()
    }
    return replace(case, contents=text)


def list_runs() -> list[index_pages.IndexedRun]:
    """The history of a phase: twelve runs, some of them on HOLD, and one whose evidence does not hold."""
    runs = []
    for number in range(12):
        held_now = number in (2, 7)
        execution_id = f"m10_202602{10 + number:02}T020923Z_{number:06x}"
        case = as_run(held() if held_now else passed(), execution_id)
        snapshot = case.verdict().snapshot
        checks = snapshot.burst_load_checks
        value = (checks.achieved_multiplier.value or 0.0) + 0.08 * math.sin(number)
        moved = checks.model_copy(
            update={"achieved_multiplier": checks.achieved_multiplier.model_copy(update={"value": value})}
        )
        window = snapshot.burst_execution_window.model_copy(
            update={"end_utc": cases.moment((number - 11) * 86400.0 + 966.0)}
        )
        runs.append(
            index_pages.IndexedRun(
                execution_id=execution_id,
                state="ok",
                why="",
                snapshot=snapshot.model_copy(update={"burst_load_checks": moved, "burst_execution_window": window}),
                p95_ms=64.0 + 9 * math.cos(number) + (110.0 if held_now else 0.0),
                report=f"report_{execution_id}.html",
            )
        )
    lost = index_pages.IndexedRun(
        execution_id="m10_20260209T020923Z_ffffff",
        state="missing-document",
        why="plan.json is named and not there",
        snapshot=None,
    )
    return [*runs[::-1], lost]


def render_phase() -> bytes:
    """The page of a phase whose newest run is nine days old."""
    now = cases.moment(9 * 86400.0)
    page = index_pages.describe_phase("M10.F", list_runs(), now=now)
    return index_pages.render_phase(page, now=now, place="s3://bucket/evidence/run_control", up="index.html")


def render_index() -> bytes:
    """The page of two phases."""
    now = cases.moment(9 * 86400.0)
    fresh = list_runs()[1:3]
    described = [
        index_pages.describe_phase("M10.F", list_runs(), now=now, file="m10_f.html"),
        index_pages.describe_phase("M10.J", fresh, now=cases.moment(3600.0), file="m10_j.html"),
    ]
    return index_pages.render_index(described, now=now, place="s3://bucket/evidence/run_control")


PAGES: dict[str, Callable[[], bytes]] = {
    **{name: functools.partial(lambda story: render(story()), story) for name, story in STORIES.items()},
    "exact": render_exact,
    "phase": render_phase,
    "index": render_index,
}
"""Every page, by the name of its story."""
