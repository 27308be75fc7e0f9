"""The playback of a plan: its keys and their bad values, what a task is given, and what preflight makes of a scope."""

import json
from typing import Any

import pytest

from burst.domain.plan import plans, playback_sections
from burst.domain.preflight import judgements, playback_judgements
from burst.domain.receipts import receipt_table, receipts
from burst.load import load_settings, task_processes
from burst.load.playback import checkpoints, playback_settings, progress
from burst.wiring.targets import ecs_adapters, load_program, local_target
from tests import cases

PLAYBACK: dict[str, Any] = {
    "source": "s3://recordings/2026-02-19/",
    "key": "payload.account",
    "at": "ts_utc",
    "speed_up": 120.0,
    "template": {"platform_run_id": "{scope}"},
    "max_events": 1_000_000,
    "checkpoint": "env:WSP_CHECKPOINT_DSN",
}
LOAD = {"locustfile": "locustfiles/playback.py", "host": "http://h", "playback": PLAYBACK, "continues": True}


ECS = {"target": cases.ECS, "evidence": {"run_control": "s3://evidence/c", "run_scoped": "s3://evidence/s"}}


def _value(load: dict[str, Any], **other: Any) -> dict[str, Any]:
    gates = {"admit_ratio": 0.995}
    return cases.plan_value(load=load, gates=gates, **other)


def _problems(load: dict[str, Any], **other: Any) -> dict[str, str]:
    with pytest.raises(plans.PlanError) as caught:
        plans.parse(json.dumps(_value(load, **other)), source="p")
    return {problem.key: problem.allowed for problem in caught.value.problems}


def _plan(load: dict[str, Any], **other: Any) -> plans.Plan:
    return plans.parse(json.dumps(_value(load, **other)), source="p")


BAD = [
    ({"source": ""}, "load.playback.source", "the real value"),
    ({"source": "gs://b/p"}, "load.playback.source", "a file, a folder, or s3://BUCKET/PREFIX"),
    ({"source": "s3:///p"}, "load.playback.source", "a file, a folder, or s3://BUCKET/PREFIX"),
    ({"key": "a..b"}, "load.playback.key", "a dotted path such as payload.account"),
    ({"at": "a."}, "load.playback.at", "a dotted path such as payload.account"),
    ({"at": None}, "load.playback.at", "required with speed_up"),
    ({"speed_up": 0}, "load.playback.speed_up", "greater than 0"),
    ({"speed_up": "fast"}, "load.playback.speed_up", "number"),
    ({"template": {"a": "{now}"}}, "load.playback.template", "{now} is not known; allowed are {scope}"),
    ({"max_events": 0}, "load.playback.max_events", "greater than 0"),
    ({"checkpoint": "postgres://u:hunter2@h/d"}, "load.playback.checkpoint", "secrets are references"),
    ({"checkpoint": "WSP_CHECKPOINT_DSN"}, "load.playback.checkpoint", "or folder:PATH"),
    ({"checkpoint": "folder:"}, "load.playback.checkpoint", "or folder:PATH"),
    ({"other": 1}, "load.playback.other", ""),
]


@pytest.mark.parametrize(("change", "key", "allowed"), BAD, ids=[f"{key} {allowed}" for _, key, allowed in BAD])
def test_a_bad_value_is_named_with_what_is_allowed_and_no_secret(
    change: dict[str, Any], key: str, allowed: str
) -> None:
    changed = {name: value for name, value in (PLAYBACK | change).items() if value is not None}

    problems = _problems(LOAD | {"playback": changed})

    assert allowed in problems[key]
    assert "hunter2" not in str(problems)


def test_every_key_of_the_section_has_its_bad_value() -> None:
    assert {key.rpartition(".")[2] for _, key, _ in BAD} - {"other"} == set(
        playback_sections.PlaybackSection.model_fields
    )


@pytest.mark.parametrize(
    ("change", "key", "allowed"),
    [
        ({"playback": None, "continues": None}, "load.playback", "required with locustfiles/playback.py"),
        ({"locustfile": "locustfiles/ingest.py", "rate": 60}, "load.playback", "played by locustfiles/playback.py"),
        ({"rate": 60}, "load.rate", "either a rate or playback.speed_up"),
        ({"profile": "ramp"}, "load.profile", "steady, or none"),
        ({"playback": {"source": "r", "key": "k", "speed_up": 1, "at": "t"}}, "load.continues", "playback.checkpoint"),
        ({"playback": {"source": "r", "key": "k"}, "continues": None}, "load.rate", "either a rate or"),
        ({"arguments": ["--processes", "2"]}, "load.arguments[0]", "load.processes says it"),
        ({"topology": "distributed"}, "load.topology", "independent, or none"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(change: dict[str, Any], key: str, allowed: str) -> None:
    load = {name: value for name, value in (LOAD | change).items() if value is not None}

    assert allowed in _problems(load)[key]


@pytest.mark.parametrize("checkpoint", ["folder:checkpoints", "ssm:/burst/dsn", "file:dsn.txt"])
def test_on_ecs_a_checkpoint_is_a_secret_of_the_task_definition(checkpoint: str) -> None:
    load = LOAD | {"playback": PLAYBACK | {"checkpoint": checkpoint}}

    problems = _problems(load, **ECS)

    assert "env:NAME on ECS" in problems["load.playback.checkpoint"]


def test_on_ecs_a_playback_fits_the_overrides_of_a_task() -> None:
    load = LOAD | {"playback": PLAYBACK | {"template": {"a": "x" * 3000}}}

    assert "at most 2500 characters" in _problems(load, **ECS)["load.playback"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": 5}, "source is 5; it must be a text"),
        ({"source": ""}, "source is ''; it must be a text"),
        ({"key": None}, "key is None; it must be a text"),
        ({"key": "a."}, "key is 'a.'; it must be a dotted path"),
        ({"at": 5}, "at is 5; it must be a text"),
        ({"at": "a..b"}, "at is 'a..b'; it must be a dotted path"),
        ({"checkpoint": 5}, "checkpoint is 5; it must be a text"),
        ({"template": "abc"}, "template is 'abc'; it must be an object of texts"),
        ({"template": {"a": 5}}, "template is {'a': 5}; it must be an object of texts"),
        ({"template": None}, "template is None; it must be an object of texts"),
        ({"max_events": "5"}, "max_events is '5'; it must be a whole number"),
        ({"max_events": True}, "max_events is True; it must be a whole number"),
        ({"max_events": 0}, "max_events is 0; it must be at least 1"),
        ({"continues": "no"}, "continues is 'no'; it must be true or false"),
        ({"speed_up": "fast"}, "speed_up is 'fast'; it must be a number over 0"),
        ({"other": 1}, "unexpected keyword argument 'other'"),
    ],
)
def test_a_setting_by_hand_that_is_wrong_is_named_with_what_it_must_be(change: dict[str, Any], words: str) -> None:
    written = json.dumps({"source": "r.jsonl", "key": "account", "at": "ts", **change})

    with pytest.raises(load_settings.SettingError) as caught:
        playback_settings.read_settings({playback_settings.PLAYBACK: written})

    assert words in str(caught.value)


def test_a_task_is_given_the_playback_and_waits_for_go_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSP_CHECKPOINT_DSN", "postgres://u@h/d")
    monkeypatch.setenv("BURST_TEST_KEY", "k")
    plan = _plan(LOAD)

    environment = local_target.task_environment(plan)

    settings = playback_settings.read_settings(environment)
    assert settings == playback_settings.PlaybackSettings(**PLAYBACK, continues=True)
    assert environment["WSP_CHECKPOINT_DSN"] == "postgres://u@h/d"
    assert "WSP_CHECKPOINT_DSN" in local_target.secret_variables(plan)
    assert plan.load.holds_barrier
    assert "postgres" not in json.dumps(plan.document())
    assert load_program.command(plan, python="p")[-2:] != ()


@pytest.mark.parametrize(
    ("checkpoint", "variable", "given"),
    [
        ("env:OTHER_DSN", "OTHER_DSN", "env:OTHER_DSN"),
        ("ssm:/burst/dsn", "WSP_CHECKPOINT_DSN", "env:WSP_CHECKPOINT_DSN"),
        ("folder:checkpoints", None, "folder:checkpoints"),
    ],
)
def test_a_task_finds_its_checkpoint_by_a_variable_or_in_a_folder(
    checkpoint: str, variable: str | None, given: str
) -> None:
    playback = _plan(LOAD | {"playback": PLAYBACK | {"checkpoint": checkpoint}}).load.playback

    assert playback is not None
    assert (playback.checkpoint_variable, playback.task_checkpoint) == (variable, given)


def test_on_ecs_the_task_definition_holds_the_dsn_as_a_secret() -> None:
    plan = _plan(LOAD, **ECS)

    assert ecs_adapters.list_secret_variables(plan) == ["WSP_CHECKPOINT_DSN"]


# What preflight makes of a scope


def _kept(
    low_water: int, *, shards: int = 2, index: int = 0, recording: str = "r"
) -> dict[str, checkpoints.KeptCheckpoint]:
    checkpoint = progress.Checkpoint(low_water=low_water)
    kept = checkpoints.KeptCheckpoint(recording=recording, attempt="a", fence=1, checkpoint=checkpoint)
    return {f"{index:04d}-of-{shards:04d}": kept}


@pytest.mark.parametrize(
    ("kept", "continues", "status", "words"),
    [
        ({}, False, "passed", "0 records of"),
        ({}, True, "warning", "it begins with the first"),
        (_kept(5), True, "passed", "5 records of"),
        (_kept(5), False, "refused", "say load.continues: true"),
        (_kept(5, recording="other"), True, "refused", "from another recording"),
        (_kept(5, shards=3), True, "refused", "in other shards (0000-of-0003), and this run has 2"),
        (_kept(0), False, "passed", "0 records of"),
    ],
)
def test_a_scope_is_played_on_only_where_its_checkpoints_are(
    kept: dict[str, checkpoints.KeptCheckpoint], continues: bool, status: str, words: str
) -> None:
    load = LOAD | {"continues": continues}
    plan = _plan(load, target={"kind": "local", "tasks": 2})

    finding = playback_judgements.judge_checkpoint(plan, kept, "r")

    assert finding.status.value == status
    assert words in finding.seen


def test_each_process_of_a_task_has_a_checkpoint_of_its_own() -> None:
    plan = _plan(LOAD | {"processes": 2}, target={"kind": "local", "tasks": 2})

    by_process, by_task = (
        playback_judgements.judge_checkpoint(plan, _kept(5, shards=shards), "r") for shards in (4, 2)
    )

    assert by_process.passed
    assert by_task.refused
    assert "this run has 4: records would move between shards" in by_task.seen


def test_what_is_left_of_a_scope_is_what_each_process_may_still_send() -> None:
    plan = _plan(
        LOAD | {"processes": 2, "playback": PLAYBACK | {"max_events": 5}}, target={"kind": "local", "tasks": 2}
    )
    spent = _kept(3, shards=4) | _kept(9, shards=4, index=1) | _kept(2, shards=4, index=2)

    assert playback_judgements.count_left(plan, spent) == 2
    assert playback_judgements.count_left(plan, spent | _kept(2, shards=4, index=3)) == 0


def test_the_processes_of_a_task_share_its_most_records() -> None:
    processes = [{"BURST_PROCESS_INDEX": str(index), "BURST_PROCESS_COUNT": "3"} for index in range(3)]

    assert [task_processes.split_own(8, environment) for environment in processes] == [3, 3, 2]
    assert task_processes.split_own(8, {}) == 8


@pytest.mark.parametrize(
    ("kept", "status"),
    [
        (_kept(5) | _kept(4, index=1), "passed"),
        (_kept(5) | _kept(5, index=1), "refused"),
        (_kept(9) | _kept(9, index=1), "refused"),
    ],
)
def test_a_scope_whose_tasks_have_sent_their_most_events_has_nothing_to_go_on_with(
    kept: dict[str, checkpoints.KeptCheckpoint], status: str
) -> None:
    plan = _plan(LOAD | {"playback": PLAYBACK | {"max_events": 5}}, target={"kind": "local", "tasks": 2})

    finding = playback_judgements.judge_checkpoint(plan, kept, "r")

    assert finding.status.value == status
    assert ("each task has sent its load.playback.max_events, which is 5; raise it" in finding.seen) == finding.refused


def test_freshness_reckons_with_no_more_events_than_are_left() -> None:
    contents = receipt_table.ScopeContents(counts=receipts.Counts(admit=105), canaries=0, admissions=105)
    plan = _plan(LOAD | {"playback": PLAYBACK | {"max_events": 60}, "source_events": 5000})

    finding = judgements.judge_freshness(plan, contents, 100)

    left = 60 * plan.target.tasks - 100
    assert f"at most 5 are sent again, as DUPLICATE: of {left} events" in finding.seen
    assert f"at least {left - 5} are new" in finding.seen


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (
            990,
            "10 are sent again, as DUPLICATE: of 5000 events, where the recording holds that many, at least 4990",
        ),
        (
            1000,
            "0 are sent again, as DUPLICATE: of 5000 events, where the recording holds that many, at least 5000",
        ),
        (None, "what its checkpoints hold is not sent again"),
    ],
)
def test_freshness_tells_the_arithmetic_of_a_scope_that_goes_on(kept: int | None, words: str) -> None:
    contents = receipt_table.ScopeContents(counts=receipts.Counts(admit=1001), canaries=1, admissions=1001)
    plan = _plan(LOAD | {"source_events": 5000})

    finding = judgements.judge_freshness(plan, contents, kept)

    assert finding.passed
    assert words in finding.seen
    assert judgements.judge_freshness(_plan({**LOAD, "continues": False}), contents, kept).refused
