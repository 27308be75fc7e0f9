"""Terms: a figure or question of a plan that a gate is answered by is a term, so that no rerun loosens one unseen."""

from typing import Any

import pytest

from burst.domain.basics import canonical
from burst.domain.plan import load_sections, plan_keys, plans
from burst.domain.verdict import contract_terms, differences, load_terms, snapshots, term_changes
from burst.report import runbook_pages
from tests import cases

SHOT: cases.Value = {"name": "check", "command": ["check", "--all"], "timeout": "5s"}
SIGN: cases.Value = {"name": "lag", "sql": "select 7", "at_least": 5}
ALARM = "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:errors"
BUDGET: cases.Value = {"max": "90m", "operator_cap": "20m", "min_window": "15m"}
LATE = cases.task_result(
    deadline_utc=cases.at(1200), tasks=[cases.task(index, stopped_utc=cases.at(1240)) for index in (0, 1)]
)
UNSENT = cases.load(in_time=8000, late=1000)
STOPPED: cases.Value = {"sign": "lag", "value": "7", "at_utc": cases.at(500), "detail": "at least 5"}
SCALED = cases.service("writer", restored=False, command="aws ecs update-service")
QUIET = cases.metrics(
    bucket_seconds=450,
    buckets=[
        {**cases.window(60, 450), "counts": cases.counts()},
        {**cases.window(510, 450), "counts": cases.counts(0)},
    ],
)
ONE_BUCKET = cases.metrics(bucket_seconds=900, buckets=[{**cases.window(), "counts": cases.counts()}])
FAILED: cases.Value = {
    "name": "check", "when": "before", "id": "1", "started_utc": cases.at(-9), "stopped_utc": cases.at(-8),
    "stop_code": None, "exit_code": 1, "required_exit_code": 0, "stopped_by": None, "problem": "it ended with 1",
}  # fmt: skip
ENDED = {**FAILED, "exit_code": 0, "problem": None}

MAX_LAG: cases.Value = {"blocker": "M10F-B7", "aggregate": "max", "over": "last 10m", "at_most": 10}
OBSERVING = cases.plan(observe=cases.observe())
OBSERVED_LAG = cases.observations(OBSERVING, [*[3] * 13, 15, *[3] * 4])
SILENT_ONCE = cases.observations(OBSERVING, [*[3] * 13, None, *[3] * 4])
SILENT_ONCE_OF_TWO_MINUTES = {**SILENT_ONCE, "series": [{**SILENT_ONCE["series"][0], "every_seconds": 120.0}]}

PLAYED: cases.Value = {"locustfile": "locustfiles/playback.py", "host": "http://h", "rate": 1200}
LOOSENED: dict[str, tuple[cases.Value, cases.Value, cases.Value, cases.Value, str, str]] = {
    "a longer grace": (
        {"budget": {**BUDGET, "stop_grace": "5s"}},
        {"budget": {**BUDGET, "stop_grace": "10m"}},
        *({"task_result": LATE}, {"task_result": LATE}),
        *("B8", "budget.stop_grace"),
    ),
    "a stop sign less": (
        *({"stop_when": [SIGN]}, {}),
        *({"task_result": cases.task_result(stop_sign=STOPPED)}, {}),
        *("B9", "stop_when.lag"),
    ),
    "a stop sign that comes later": (
        *({"stop_when": [SIGN]}, {"stop_when": [{**SIGN, "at_least": 99}]}),
        *({"task_result": cases.task_result(stop_sign=STOPPED)}, {}),
        *("B9", "stop_when.lag"),
    ),
    "a service less": (
        *({"target": cases.ECS, "services": [{"name": "writer", "desired": 2}]}, {"target": cases.ECS}),
        *({"task_result": cases.task_result(services=[SCALED])}, {}),
        *("B8", "services.writer"),
    ),
    "a baseline of any age": (
        *({"baseline": {"file": "baselines/m10_e.json", "max_age": "1m"}}, {}),
        *({}, {}),
        *("B5", "baseline.max_age"),
    ),
    "no declared rate": (
        {"load": {"command": ["push-events"], "rate": 1200}},
        {"load": {"command": ["push-events"]}},
        *({"load": UNSENT}, {"load": UNSENT}),
        *("B9", "load.rate"),
    ),
    "a source that is spent": (
        {"load": {"command": ["x"], "rate": 1200}, "receipts": {"dsn": "env:BURST_TEST_DSN", "bucket": "450s"}},
        {
            "load": {"command": ["x"], "rate": 1200, "source_events": 15_000},
            "receipts": {"dsn": "env:BURST_TEST_DSN", "bucket": "450s"},
        },
        *({"metrics": QUIET}, {"metrics": QUIET}),
        *("B1", "load.source_events"),
    ),
    "fewer duplicates": (
        {"load": {"command": ["x"], "rate": 1200, "events": {"duplicates": "2.5%", "malformed": "1%"}}},
        {"load": {"command": ["x"], "rate": 1200, "events": {"duplicates": "0.5%", "malformed": "1%"}}},
        *({"metrics": cases.metrics(counts=cases.counts(20))}, {}),
        *("B1", "load.events.duplicates"),
    ),
    "no malformed events": (
        {"load": {"command": ["x"], "rate": 1200, "events": {"duplicates": "2.5%", "malformed": "1%"}}},
        {"load": {"command": ["x"], "rate": 1200, "events": {"duplicates": "2.5%"}}},
        *({"metrics": cases.metrics(counts=cases.counts(20))}, {}),
        *("B1", "load.events.malformed"),
    ),
    "smaller events": (
        {"load": {"command": ["x"], "rate": 1200, "events": {"templates": [{"name": "order", "bytes": 6000}]}}},
        {"load": {"command": ["x"], "rate": 1200, "events": {"templates": [{"name": "order", "bytes": 200}]}}},
        *({"metrics": cases.metrics(counts=cases.counts(20))}, {}),
        *("B1", "load.events.kinds"),
    ),
    "another recording": (
        {"load": {**PLAYED, "playback": {"source": "march.jsonl", "key": "account"}}},
        {"load": {**PLAYED, "playback": {"source": "easy.jsonl", "key": "account"}}},
        *({"metrics": cases.metrics(counts=cases.counts(20))}, {}),
        *("B1", "load.playback.source"),
    ),
    "fewer records": (
        {"load": {**PLAYED, "playback": {"source": "march.jsonl", "key": "account"}}},
        {"load": {**PLAYED, "playback": {"source": "march.jsonl", "key": "account", "max_events": 900}}},
        *({"metrics": cases.metrics(counts=cases.counts(20))}, {}),
        *("B1", "load.playback.max_events"),
    ),
    "another command before it": (
        {"before": [SHOT]},
        {"before": [{**SHOT, "command": ["true"]}]},
        *(
            {"task_result": cases.task_result(one_shots=[FAILED])},
            {"task_result": cases.task_result(one_shots=[ENDED])},
        ),
        *("B4", "before.check"),
    ),
    "a higher bound of an observed series": (
        *({"observe": cases.observe()}, {"observe": cases.observe({**MAX_LAG, "at_most": 20})}),
        *({"observations": OBSERVED_LAG}, {"observations": OBSERVED_LAG}),
        *("B7", "observe.series.lag.max.last-600s"),
    ),
    "a series that is asked less often": (
        *({"observe": cases.observe()}, {"observe": {**cases.observe(), "every": "2m"}}),
        *({"observations": SILENT_ONCE}, {"observations": SILENT_ONCE_OF_TWO_MINUTES}),
        *("B7", "observe.every"),
    ),
    "wider buckets": (
        {"load": {"command": ["x"], "rate": 1200}, "receipts": {"dsn": "env:BURST_TEST_DSN", "bucket": "450s"}},
        {"load": {"command": ["x"], "rate": 1200}, "receipts": {"dsn": "env:BURST_TEST_DSN", "bucket": "15m"}},
        *({"metrics": QUIET}, {"metrics": ONE_BUCKET}),
        *("B1", "receipts.bucket"),
    ),
}
"""The plan of a HOLD, that of its rerun, the documents of both, the blocker, and the term that differs."""
Loosened = tuple[cases.Value, cases.Value, cases.Value, cases.Value, str, str]


def _hold(loosened: Loosened) -> snapshots.Verdict:
    strict, _, spoiled, _, short, _ = loosened
    verdict = cases.passing(**strict).having(**spoiled).verdict()
    assert short in cases.open_shorts(verdict)
    return verdict


def _repeat(held: snapshots.Verdict, loosened: Loosened, **section: Any) -> snapshots.Verdict:
    _, loose, _, documents, _, _ = loosened
    only = sorted(cases.open_shorts(held))
    named = cases.rerun(*only, prior_sha256=canonical.digest(held.content), **section)
    return cases.passing(**loose, rerun=named).having(**documents, prior=held.content).verdict()


def _state(verdict: snapshots.Verdict) -> dict[str, Any]:
    assert verdict.snapshot.contract is not None
    return dict(verdict.snapshot.contract.terms)


@pytest.mark.parametrize("loosened", LOOSENED.values(), ids=LOOSENED.keys())
def test_a_rerun_that_loosens_what_a_gate_is_answered_by_opens_b4_and_its_blocker_and_names_the_term(
    loosened: Loosened,
) -> None:
    short, key = loosened[-2:]
    held = _hold(loosened)

    verdict = _repeat(held, loosened)

    assert {"B4", short} <= cases.open_shorts(verdict)
    assert f"{key} " in cases.gate(verdict, "same_contract")["why"]
    assert cases.gate(verdict, "same_contract")["measured"] == 1


@pytest.mark.parametrize("loosened", LOOSENED.values(), ids=LOOSENED.keys())
def test_one_that_names_the_change_says_so_and_is_a_regression(loosened: Loosened) -> None:
    short, key = loosened[-2:]
    held = _hold(loosened)
    change = {"key": key, "from": _state(held)[key], "why": "a smaller host"}
    after = _state(_repeat(held, loosened)).get(key)

    verdict = _repeat(held, loosened, changes=[change if after is None else {**change, "to": after}])

    assert cases.gate(verdict, "same_contract")["status"] == "PASS"
    assert cases.entry(verdict, short)["changed_terms"] == [key]
    difference = differences.compare(held.snapshot, verdict.snapshot)
    assert key in [term.key for term in difference.lowered]
    assert difference.regressed


FREE: dict[str, cases.Value] = {
    "a shorter grace": {"budget": {**BUDGET, "stop_grace": "5s"}},
    "a stop sign more": {"stop_when": [SIGN, {"alarm": ALARM}]},
    "finer buckets": {"receipts": {"dsn": "env:BURST_TEST_DSN", "bucket": "1s"}},
    "a younger baseline": {"baseline": {"file": "baselines/m10_e.json", "max_age": "9h"}},
    "a declared rate": {"load": {"command": ["push-events"], "rate": 1200}},
}


@pytest.mark.parametrize("tightened", FREE.values(), ids=FREE.keys())
def test_tuning_that_makes_such_a_term_stricter_needs_no_word(tightened: cases.Value) -> None:
    held = cases.passing().having(metrics=cases.metrics(counts=cases.counts(20))).verdict()
    named = cases.rerun("B1", prior_sha256=canonical.digest(held.content))

    verdict = cases.passing(**tightened, rerun=named).having(prior=held.content).verdict()

    assert cases.gate(verdict, "same_contract")["status"] == "PASS"
    assert verdict.snapshot.overall_pass
    assert not differences.compare(held.snapshot, verdict.snapshot).lowered


def test_events_that_only_one_of_two_plans_has_are_weaker_whichever_has_them() -> None:
    plain, mixed = (
        contract_terms.from_plan(cases.plan(load={"command": ["x"], "rate": 1200} | events), "0.2.0", None)
        for events in ({}, {"events": {"malformed": "1%"}})
    )

    assert [change.key for change in term_changes.list_weaker(plain, mixed)] == ["load.events.malformed"]
    assert [change.key for change in term_changes.list_weaker(mixed, plain)] == ["load.events.malformed"]
    assert term_changes.compare(mixed, plain, ()).unnamed


def test_burst_s_own_profile_under_another_path_is_the_same_term_and_so_is_another_rate() -> None:
    first, again = (
        contract_terms.from_plan(
            cases.plan(load={"locustfile": file, "host": host, "rate": rate, **more}), "0.2.0", None
        )
        for file, host, rate, more in (
            ("locustfiles/ingest.py", "http://127.0.0.1:1", 1200, {}),
            ("/srv/burst/locustfiles/ingest.py", "http://127.0.0.1:2", 2400, {"processes": 2, "arrivals": "even"}),
        )
    )

    assert term_changes.compare(again, first, ()).unnamed == ()


def test_every_key_of_a_load_states_a_term_or_is_known_to_state_none() -> None:
    """A key that is added has to be decided on: `load_terms` says why the others are no terms."""
    command = {"command": ["x"], "waits_for_go": True, "rate": 1200, "source_events": 9, "environment": {"A": "1"}}
    locust = {
        "locustfile": "own.py", "host": "http://h", "rate": 1200, "warmup": "5s", "headroom": 2, "profile": "mine",
        "api_key": "env:KEY", "arrivals": "poisson", "users": 9, "spawn_rate": 9, "arguments": ["--x"], "tags": ["a"],
        "user_classes": ["A"], "keep": ["csv"], "per_shard": {"LANE": "l{index}"}, "canary": False,
        "events": {"malformed": "1%"}, "route": "/x", "key_header": "X-Key", "processes": 2,
    }  # fmt: skip
    played = {**PLAYED, "playback": {"source": "a", "key": "b", "checkpoint": "env:DSN"}, "continues": True}
    stated = {
        key.split(".")[1]
        for load in (command, locust, played, {"locustfile": "own.py", "host": "http://h", "topology": "distributed"})
        for key in contract_terms.from_plan(cases.plan(load=load), "0.2.0", None).values
        if key.startswith("load.")
    }

    assert stated | load_terms.NO_TERMS == set(load_sections.LoadSection.model_fields)
    assert not stated & load_terms.NO_TERMS


def test_a_service_that_is_scaled_for_the_rerun_needs_no_word_and_is_a_term_of_the_next_one() -> None:
    spoiled = cases.metrics(counts=cases.counts(20))
    held = cases.passing(target=cases.ECS).having(metrics=spoiled).verdict()

    def repeat(prior: snapshots.Verdict, **plan: Any) -> cases.Case:
        named = cases.rerun("B1", prior_sha256=canonical.digest(prior.content))
        return cases.passing(target=cases.ECS, **plan, rerun=named).having(prior=prior.content)

    result = cases.task_result(services=[cases.service("writer")])
    second = repeat(held, services=[{"name": "writer", "desired": 4}]).having(metrics=spoiled, task_result=result)
    assert cases.open_shorts(second.verdict()) == {"B1"}

    assert cases.open_shorts(repeat(second.verdict()).verdict()) == {"B1", "B4"}


# Gates are told apart by blocker and name: a fact may have any name


def _with_fact(name: str, short: str, value: int | None) -> cases.Case:
    fact = {"blocker": f"M10F-{short}", "name": name, "sql": "select 1", "equals": 0}
    asked = cases.plan_value()["facts"]
    given = cases.passing(facts=asked if value is None else [*asked, fact])
    own = [] if value is None else [cases.fact(short, name, value, equals=0)]
    return given.having(facts=cases.facts([*cases.answers(), *own]))


@pytest.mark.parametrize("name", ["settled", "known_decisions", "published", "deadline_kept"])
def test_a_failing_fact_named_as_a_gate_of_burst_is_lost_where_it_is_asked_no_more(name: str) -> None:
    failing, silent = (_with_fact(name, "B2", value).verdict() for value in (1, None))

    change = differences.compare(failing.snapshot, silent.snapshot)

    assert {(gate.blocker, gate.name): gate.turn for gate in change.gates if gate.turn} == {("B2", name): "lost"}


def test_the_signature_names_a_failing_gate_behind_its_own_blocker_alone() -> None:
    spoiled = _with_fact("admit_ratio", "B2", 1).having(metrics=cases.metrics(counts=cases.counts(20)))

    hold = spoiled.verdict().snapshot.hold

    assert hold is not None
    assert hold.signature == "B1:achieved_multiplier B2:admit_ratio"


def test_a_deadline_that_was_not_kept_is_lost_where_nobody_states_one_any_more() -> None:
    late, silent = (cases.passing().having(task_result=result).verdict() for result in (LATE, cases.task_result()))

    change = differences.compare(late.snapshot, silent.snapshot)

    assert {gate.name: gate.turn for gate in change.gates if gate.turn} == {"deadline_kept": "lost"}


# The attempt, and the command that repeats a HOLD


def test_an_attempt_of_another_run_opens_b6_of_a_rerun_that_leaves_it_out() -> None:
    held = cases.passing().having(metrics=cases.metrics(counts=cases.counts(20))).verdict()
    named = cases.rerun("B1", prior_sha256=canonical.digest(held.content))
    stranger = cases.attempt([], execution_id="m10_other")

    verdict = cases.passing(rerun=named).having(prior=held.content, attempt=stranger).verdict()

    assert cases.open_shorts(verdict) == {"B6"}


def test_a_command_line_with_a_hidden_word_is_no_command_that_repeats_the_run() -> None:
    words = ["burst", "run", "plan.yaml", "--set", "load.environment.REGION=***"]
    given = cases.passing().having(task_result=LATE | {"command": words})

    snapshot = given.verdict().snapshot

    assert snapshot.command_line == words
    assert snapshot.hold is not None
    assert snapshot.hold.command is None


# Non-goals


def test_a_non_goal_below_a_mapping_of_the_plan_is_a_key_of_it() -> None:
    assert plan_keys.names_key("load.environment.SPEED")
    assert not plan_keys.names_key("load.environment.SPEED.x")
    assert not plan_keys.names_key("target.tasks.x")


@pytest.mark.parametrize("words", ["target.task", "gates.multiplyer", "before.check.timeout"])
def test_a_non_goal_that_is_nearly_a_key_of_the_plan_is_refused(words: str) -> None:
    with pytest.raises(plans.PlanError, match=r"non_goals.*a sentence, or a key of the plan"):
        cases.plan(rerun=cases.rerun("B1", non_goals=["no other scope", words]))


def test_an_alarm_with_a_space_in_its_name_can_be_named_as_a_change() -> None:
    change = {"key": f"stop_when.{ALARM} of the gateway", "from": {"alarm": ALARM}, "why": "it is gone"}

    assert cases.plan(rerun=cases.rerun("B9", changes=[change])).rerun is not None


def test_the_rerun_of_the_runbook_asks_what_the_plan_asks_that_it_repeats() -> None:
    first, again = (
        plans.parse((runbook_pages.find_folder() / "plans" / name).read_text(), source=name)
        for name in ("local.yaml", "local-rerun.yaml")
    )

    terms, repeated = (contract_terms.from_plan(plan, "0.2.0", None) for plan in (first, again))

    assert term_changes.compare(repeated, terms, ()).unnamed == ()


def test_a_lower_limit_of_a_step_is_weaker_and_so_is_another_place_of_it() -> None:
    def state(seconds: int, limit: float, warmup: str = "60s") -> contract_terms.Terms:
        steps = [{"for": "600s", "rate": "20/s"}, {"for": f"{seconds}s", "rate": "40/s", "name": "burst"}]
        plan = cases.plan(
            load={"command": ["push-events"], "rate": steps, "warmup": warmup},
            budget={"max": "90m", "operator_cap": "30m", "min_window": "10m"},
            gates={"multiplier": 2.5, "admit_ratio": 0.995, "multiplier@burst": limit},
        )
        return contract_terms.from_plan(plan, "0.2.0", None)

    before = state(300, 5.0)

    def list_weaker(terms: contract_terms.Terms) -> list[str]:
        return [change.key for change in term_changes.list_weaker(terms, before)]

    assert list_weaker(state(300, 6.0)) == []
    assert list_weaker(state(300, 4.0)) == ["gates.multiplier@burst"]
    assert list_weaker(state(60, 5.0)) == ["budget.window", "load.step.burst"]
    assert list_weaker(state(300, 5.0, "90s")) == ["load.step.burst", "load.warmup"]


def test_a_lower_rate_is_weaker_where_no_multiple_of_the_baseline_keeps_it_from_below() -> None:
    def list_weaker(before: cases.Value, after: cases.Value) -> list[str]:
        was, now = (
            contract_terms.from_plan(cases.plan(load={"command": ["x"], "rate": rate}, gates=gates), "0.2.0", None)
            for rate, gates in ((before["rate"], before["gates"]), (after["rate"], after["gates"]))
        )
        unnamed = {change.key for change in term_changes.compare(now, was, ()).unnamed}
        weaker = [change.key for change in term_changes.list_weaker(now, was)]
        assert not any(key.startswith("load.rate") for key in unnamed ^ set(weaker))  # a higher one needs no word
        return weaker

    latency: cases.Value = {"admit_ratio": 0.995, "latency_p95_ms": 250}
    multiple = {**latency, "multiplier": 2.5}

    assert list_weaker({"rate": 6000, "gates": latency}, {"rate": 600, "gates": latency}) == ["load.rate.least"]
    assert list_weaker({"rate": 600, "gates": latency}, {"rate": 6000, "gates": latency}) == []
    assert list_weaker({"rate": 6000, "gates": multiple}, {"rate": 600, "gates": multiple}) == []


def test_a_lower_rate_of_a_step_is_weaker_where_its_limits_hold_no_multiple_of_its_own() -> None:
    def state(rate: str, limits: cases.Value) -> contract_terms.Terms:
        steps = [{"for": "600s", "rate": "40/s"}, {"for": "300s", "rate": rate, "name": "burst"}]
        plan = cases.plan(
            load={"command": ["push-events"], "rate": steps},
            budget={"max": "90m", "operator_cap": "30m", "min_window": "10m"},
            gates={"multiplier": 2.5, "admit_ratio": 0.995, **limits},
        )
        return contract_terms.from_plan(plan, "0.2.0", None)

    def list_weaker(limits: cases.Value) -> list[str]:
        return [change.key for change in term_changes.list_weaker(state("20/s", limits), state("40/s", limits))]

    assert list_weaker({"latency_p95_ms@burst": 250}) == ["load.rate.least@burst"]
    assert list_weaker({"latency_p95_ms@burst": 250, "multiplier@burst": 3}) == []
    assert list_weaker({}) == []


def test_a_slower_playback_is_weaker_where_no_multiple_of_the_baseline_is_required() -> None:
    def state(speed_up: float, gates: cases.Value) -> contract_terms.Terms:
        playback = {"source": "a", "key": "b", "checkpoint": "env:DSN", "at": "t", "speed_up": speed_up}
        load = {name: value for name, value in PLAYED.items() if name != "rate"} | {"playback": playback}
        return contract_terms.from_plan(cases.plan(load=load, gates=gates), "0.2.0", None)

    def list_weaker(gates: cases.Value) -> list[str]:
        return [change.key for change in term_changes.list_weaker(state(2, gates), state(60, gates))]

    assert list_weaker({"admit_ratio": 0.995}) == ["load.rate.least_speed_up"]
    assert list_weaker({"admit_ratio": 0.995, "multiplier": 2.5}) == []
