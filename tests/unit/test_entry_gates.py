"""Entry gates: each answer is judged by what it saw, asked again until its time is over, and judged anew afterwards."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.control import entry_watch
from burst.domain.basics import errors, instants
from burst.domain.documents import entry_answers
from burst.domain.preflight import entry_gates, service_states
from burst.domain.verdict import contract_terms, term_changes
from tests import cases, fakes

PLAN = cases.plan(target=cases.ECS, requires=cases.ENTRY_REQUIREMENTS)
DIGEST, OTHER_DIGEST = "1" * 64, "9" * 64


def _answers(**changes: cases.Value) -> dict[str, entry_answers.EntryAnswer]:
    entries = cases.entry_gates_of(PLAN, **changes)
    return {entry["gate"]: entry_answers.EntryAnswer.model_validate(entry) for entry in entries}


def _problems(**changes: cases.Value) -> dict[str, str]:
    answers = _answers(**changes)
    return {gate: entry_gates.judge_answer(PLAN, gate, answer) for gate, answer in answers.items()}


def _phase(**changes: Any) -> cases.Value:
    seen = cases.entry_gates_of(PLAN)[0]["phase_seen"]
    return {"phase_seen": {**seen, **changes}}


def _service(**changes: Any) -> cases.Value:
    seen = next(entry for entry in cases.entry_gates_of(PLAN) if "service_seen" in entry)["service_seen"]
    return {"service_seen": {**seen, **changes}}


def test_answers_as_the_plan_requires_have_no_problem() -> None:
    assert set(_problems().values()) == {""}
    assert list(_problems()) == [
        *("phase:window", "document:done", "fact:queue_empty", "service:gateway"),
        "nothing_alive",
    ]


@pytest.mark.parametrize(
    ("gate", "seen", "problem"),
    [
        ("phase", _phase(overall_pass=False, blockers=["M10E-B3"]), "is a HOLD: M10E-B3"),
        ("phase", _phase(overall_pass=False), "is a HOLD: it names no blocker"),
        ("phase", _phase(blockers=["M10E-B3"]), "is a HOLD: M10E-B3"),
        ("phase", _phase(platform_run_id="platform_2"), "is of scope platform_2"),
        ("phase", _phase(phase="M10.D"), "is of phase M10.D (burst)"),
        ("phase", _phase(kind="soak"), "is of phase M10.E (soak)"),
        ("phase", _phase(state="corrupt"), "the evidence of m10_20260220T063037Z is corrupt"),
        ("phase", {"phase_seen": None}, "no snapshot was seen"),
        ("document", {"document_seen": None}, "no document was seen"),
        (
            "document",
            {"document_seen": {"address": "s3://bucket/other/done.json", "sha256": DIGEST, "value": "DONE"}},
            "saw another document: s3://bucket/other/done.json",
        ),
        (
            "document",
            {"document_seen": {"address": f"s3://bucket/{cases.SCOPE}/done.json", "sha256": DIGEST, "value": "HALF"}},
            "saw /state HALF",
        ),
        ("fact", {"fact_value": 1}, "saw 1"),
        ("fact", {"fact_value": False}, "saw False"),
        ("fact", {"fact_value": None, "unanswered": "the database is away"}, "the database is away"),
        ("service", _service(running=3), "saw 3 running of 4 that it wants"),
        ("service", _service(running=8, desired=32), "saw 8 running of 32 that it wants"),
        ("service", _service(running=3, desired=3), "saw 3 running of 3 that it wants"),
        ("service", _service(task_definition="gateway:11"), "saw task definition gateway:11"),
        ("service", _service(task_definition="x/gateway:12, x/gateway:11"), "saw task definition x/gateway:12, x/gat"),
        ("service", _service(variables={"SCOPE": ["platform_2"]}), "saw SCOPE platform_2"),
        ("service", _service(variables={"SCOPE": [cases.SCOPE, "platform_2"]}), "saw SCOPE platform"),
        ("service", _service(variables={}), "saw SCOPE nowhere"),
        ("service", {"service_seen": None}, "no such active service"),
        ("nothing_alive", {"living_runs": ["m10_a", "m10_b"]}, "saw tasks of 2 other runs alive: m10_a, m10_b"),
        ("nothing_alive", {"living_runs": None}, "nobody can tell which tasks are alive"),
    ],
)
def test_an_answer_that_is_not_as_required_says_what_was_seen(gate: str, seen: cases.Value, problem: str) -> None:
    problems = _problems(**{gate: seen})

    wrong = {name: words for name, words in problems.items() if words}

    assert list(wrong) == [next(name for name in problems if name.partition(":")[0] == gate)]
    assert problem in next(iter(wrong.values()))


def test_a_phase_named_by_digest_may_be_of_any_scope_and_of_no_other_digest() -> None:
    pinned = {"name": "window", "place": "p", "phase": "M10.E", "scope": "any", "sha256": DIGEST}
    plan = cases.plan(requires={"phases": [pinned]})
    (entry,) = cases.entry_gates_of(plan, phase=_phase(platform_run_id="platform_7"))

    def judge(**seen: Any) -> str:
        answer = {**entry, "phase_seen": {**entry["phase_seen"], **seen}}
        return entry_gates.judge_answer(plan, "phase:window", entry_answers.EntryAnswer.model_validate(answer))

    assert judge() == ""
    assert OTHER_DIGEST in judge(sha256=OTHER_DIGEST)


def test_an_image_has_to_be_run_by_every_task() -> None:
    image = f"sha256:{'a' * 64}"
    required = {"services": [{"name": "gateway", "running": 4, "image": image}]}
    plan = cases.plan(target=cases.ECS, requires=required)

    def judge(images: list[str]) -> str:
        (entry,) = cases.entry_gates_of(plan, service=_service(images=images, variables={}))
        return entry_gates.judge_answer(plan, "service:gateway", entry_answers.EntryAnswer.model_validate(entry))

    assert judge([image]) == ""
    assert judge([image, f"sha256:{'b' * 64}"]) == ""  # a sidecar
    assert judge([]) == "saw image of no known digest"
    assert judge([f"sha256:{'b' * 64}"]) == f"saw image sha256:{'b' * 64}"


def test_an_answer_to_another_question_passes_nothing_and_a_longer_wait_is_the_same_question() -> None:
    fact = {"name": "queue_empty", "sql": "select count(*) from queue", "equals": 0, "until": "20m"}
    longer = cases.plan(target=cases.ECS, requires={"facts": [fact]})
    other = cases.plan(target=cases.ECS, requires={"facts": [{**fact, "sql": "select 0"}]})
    elsewhere = cases.plan(target=cases.ECS, scope="platform_2", requires={"facts": [fact]})
    answer = _answers()["fact:queue_empty"]

    problems = [entry_gates.judge_answer(plan, "fact:queue_empty", answer) for plan in (longer, other, elsewhere)]

    assert problems == ["", *(["the answer is to another question than the plan's"] * 2)]
    assert entry_gates.judge_answer(longer, "fact:queue_empty", None) == "it was not asked"


def _ask(answers: Iterator[Any]) -> entry_watch.Ask:
    def ask() -> Mapping[str, Any]:
        answer = next(answers)
        if isinstance(answer, errors.BurstError):
            raise answer
        return {"fact_value": answer}

    return ask


def _watch(answers: Iterator[Any]) -> tuple[entry_answers.EntryAnswer, fakes.TickingClock, str]:
    clock, waiting = fakes.TickingClock(), entry_watch.WaitingWords(words="")
    answer = entry_watch.ask_until(PLAN, "fact:queue_empty", _ask(answers), clock, waiting)
    return answer, clock, waiting.tell()


def test_a_fact_is_asked_again_until_it_is_as_expected_and_whoever_waits_hears_how_far_it_is() -> None:
    answer, clock, words = _watch(iter([3, errors.Unavailable("away"), 1, 0]))

    assert (answer.fact_value, answer.times_asked) == (0, 4)
    assert instants.seconds_between(fakes.START, clock.now()) == 15.0
    assert words == "fact:queue_empty (saw 1; allowed: an answer that has to equal 0; 590s left)"
    assert not entry_gates.to_finding(PLAN, answer).refused


def test_a_fact_that_never_is_as_expected_is_asked_for_the_last_time_when_its_time_is_over() -> None:
    answer, clock, _ = _watch(itertools.repeat(2))
    finding = entry_gates.to_finding(PLAN, answer)

    assert instants.seconds_between(fakes.START, clock.now()) == 600.0
    assert finding.refused
    assert finding.seen == ("fact:queue_empty: saw 2; allowed: an answer that has to equal 0; asked 121 times in 600 s")


def test_a_question_that_is_wrong_in_itself_is_asked_once() -> None:
    answer, clock, _ = _watch(iter([errors.UsageError("there is no table queue")]))

    assert clock.now() == fakes.START
    assert "there is no table queue" in entry_gates.to_finding(PLAN, answer).seen


@hypothesis.given(
    wait_seconds=st.floats(0, 100), values=st.lists(st.sampled_from([0, 1, None, True, "0"]), min_size=1, max_size=40)
)
def test_no_wait_outlasts_its_time_and_only_the_expected_value_passes(wait_seconds: float, values: list[Any]) -> None:
    until = {"until": f"{wait_seconds:.3f}s"} if wait_seconds >= 0.001 else {}
    fact = {"name": "queue_empty", "sql": "select 1", "equals": 0, **until}
    plan, clock = cases.plan(requires={"facts": [fact]}), fakes.TickingClock()
    asked = itertools.chain(values, itertools.repeat(values[-1]))

    answer = entry_watch.ask_until(plan, "fact:queue_empty", _ask(asked), clock, entry_watch.WaitingWords(words=""))

    passed = not entry_gates.to_finding(plan, answer).refused
    assert passed == (answer.fact_value == 0 and type(answer.fact_value) is int)
    assert instants.seconds_between(fakes.START, clock.now()) <= wait_seconds + 0.001


def _definition(revision: int, image: str, **variables: str) -> cases.Value:
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    return {
        "taskDefinitionArn": f"arn:aws:ecs:eu-west-2:1:task-definition/gateway:{revision}",
        "containerDefinitions": [{"name": "gateway", "image": image, "environment": environment}],
    }


def test_a_rollout_under_way_shows_both_definitions_and_the_variables_of_each() -> None:
    service = {
        "desiredCount": 4,
        "runningCount": 4,
        "taskDefinition": "gateway:12",
        "deployments": [
            {"status": "PRIMARY", "taskDefinition": "gateway:12", "runningCount": 2, "desiredCount": 4},
            {"status": "ACTIVE", "taskDefinition": "gateway:11", "runningCount": 2, "desiredCount": 0},
            {"status": "ACTIVE", "taskDefinition": "gateway:10", "runningCount": 0, "desiredCount": 0},
        ],
    }
    digest = "a" * 64
    definitions = [_definition(12, f"x@sha256:{digest}", SCOPE="new"), _definition(11, "busybox", OTHER="x")]

    state = service_states.read_state(
        service_states.DescribedService(service=service, definitions=definitions), ["SCOPE"]
    )

    assert state.task_definition == "gateway:12, gateway:11"
    assert state.variables == {"SCOPE": ["", "new"]}
    assert state.images == []
    assert not service_states.pins_images(definitions)
    assert service_states.pins_images(definitions[:1])


@pytest.mark.parametrize(
    ("digests", "running", "images"),
    [
        ([["sha256:a"], ["sha256:a", "sha256:s"]], 2, ["sha256:a"]),
        ([["sha256:a"], ["sha256:busybox"]], 2, []),
        ([["sha256:a"]], 2, []),
        ([["sha256:a"], []], 2, []),
    ],
    ids=["each task", "one task runs another", "one task is not seen", "one task does not say"],
)
def test_an_image_is_the_service_s_where_each_running_task_runs_it(
    digests: list[list[str]], running: int, images: list[str]
) -> None:
    tasks = [{"containers": [{"imageDigest": digest} for digest in each]} for each in digests]
    service = {"desiredCount": running, "runningCount": running, "taskDefinition": "gateway:12"}
    described = service_states.DescribedService(
        service=service, definitions=[_definition(12, "gateway:latest")], tasks=tasks
    )

    assert service_states.read_state(described, ()).images == images


# Judged anew in adjudication

WHOLE = cases.FULLEST


def _gates(preflight: cases.Value) -> dict[str, cases.Value]:
    return {gate["name"]: gate for gate in WHOLE.having(preflight=preflight).document()["gates"]}


def _open(preflight: cases.Value | None) -> set[str]:
    case = WHOLE.without("preflight") if preflight is None else WHOLE.having(preflight=preflight)
    entries = {entry["blocker"]: entry for entry in case.document()["blocker_register"]}
    wanted = ("entry:", "required:")
    failing = {name for entry in entries.values() for name in entry["gates"] if name.startswith(wanted)}
    answers = {gate["name"]: gate["status"] for gate in case.document()["gates"]}
    return {name for name in failing if answers[name] != "PASS"}


def test_every_entry_gate_stands_behind_the_dependency_blocker_and_a_document_behind_the_evidence_too() -> None:
    asked = _gates(cases.preflight(entry_gates=cases.entry_gates_of(WHOLE.plan)))

    behind = {name: gate["blocker"] for name, gate in asked.items() if name.startswith(("entry:", "required:"))}

    assert behind == {
        "entry:phase:window": "M10F-B4",
        "entry:document:done": "M10F-B4",
        "entry:fact:queue_empty": "M10F-B4",
        "entry:service:gateway": "M10F-B4",
        "entry:nothing_alive": "M10F-B4",
        "required:done": "M10F-B5",
    }
    assert {asked[name]["status"] for name in behind} == {"PASS"}


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(kept=st.sets(st.integers(0, 4)))
def test_an_answer_that_is_left_out_passes_no_gate(kept: set[int]) -> None:
    answers = cases.entry_gates_of(WHOLE.plan)
    missing = {answer["gate"] for index, answer in enumerate(answers) if index not in kept}

    failing = _open(cases.preflight(entry_gates=[answers[index] for index in sorted(kept)]))

    assert failing == {f"entry:{gate}" for gate in missing} | (
        {"required:done"} & {f"required:{gate.removeprefix('document:')}" for gate in missing}
    )


def test_without_its_preflight_document_no_entry_gate_passes() -> None:
    assert len(_open(None)) == 6


def test_an_answer_given_twice_is_none() -> None:
    answers = cases.entry_gates_of(WHOLE.plan)

    assert _open(cases.preflight(entry_gates=[*answers, answers[2]])) == {"entry:fact:queue_empty"}


def test_the_snapshot_names_each_phase_and_document_by_digest() -> None:
    document = WHOLE.document()

    assert [(ref["gate"], ref["sha256"], ref["place"]) for ref in document["dependency_refs"]] == [
        ("phase:window", "1" * 64, "s3://bucket/control"),
        ("document:done", "2" * 64, f"s3://bucket/{cases.SCOPE}/done.json"),
    ]


def test_what_a_run_required_is_a_term_and_asking_less_of_it_has_to_be_named() -> None:
    terms = WHOLE.document()["contract"]["terms"]

    assert terms["requires.nothing_alive"] is True
    assert terms["requires.fact:queue_empty"] == {"sql": "select count(*) from queue", "equals": 0}


def _list_weaker(before: cases.Value, after: cases.Value) -> list[str]:
    """The terms of an entry gate that ask less than before."""
    old, new = (
        contract_terms.from_plan(cases.plan(target=cases.ECS, requires=requires), "0.2.0", None)
        for requires in (before, after)
    )
    return [change.key for change in term_changes.list_weaker(new, old)]


FACT = {"name": "lag", "sql": "select 1", "at_most": 10}


@pytest.mark.parametrize(
    ("before", "after", "weaker"),
    [
        ({"facts": [FACT]}, {}, ["requires.fact:lag"]),
        ({"facts": [FACT]}, {"facts": [{**FACT, "at_most": 11}]}, ["requires.fact:lag"]),
        ({"facts": [FACT]}, {"facts": [{**FACT, "at_most": 9, "until": "10m"}]}, []),
        ({"facts": [FACT]}, {"facts": [{**FACT, "sql": "select 0"}]}, ["requires.fact:lag"]),
        ({"facts": [FACT]}, {"facts": [FACT], "nothing_alive": True}, []),
        ({"nothing_alive": True}, {"nothing_alive": False}, ["requires.nothing_alive"]),
    ],
    ids=["left out", "wider", "narrower and longer", "another question", "one more", "nothing alive left out"],
)
def test_requiring_less_is_a_weaker_term(before: cases.Value, after: cases.Value, weaker: list[str]) -> None:
    assert _list_weaker(before, after) == weaker
