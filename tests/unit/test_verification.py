"""Verification: sound evidence is told from every way of spoiling it, and no folder makes it crash."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.adapters.local import folder_store
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.run.events import codec, errand_events, launch_events, watch_events
from burst.domain.tasks import services
from burst.domain.verdict import cases as given_cases
from burst.domain.verdict import snapshots
from burst.evidence import soundness, verification
from burst.report import html
from tests import cases, fakes_evidence

SNAPSHOT = "m10_f_burst_snapshot.json"
State = soundness.EvidenceState
FEWER = hypothesis.settings(max_examples=50)


def published(case: cases.Case) -> dict[str, bytes]:
    """The documents of a run folder: what the case was made from, its report, and the snapshot."""
    verdict = case.verdict()
    return {
        **case.documents(),
        document_names.REPORT: html.render(verdict, case.documents()),
        SNAPSHOT: verdict.content,
    }


PASSING = published(cases.passing())
HOLDING = published(cases.passing().having(metrics=cases.metrics(counts=cases.counts(0, 10002))))
LENIENT = {"kind": "local", "tasks": 2, "min_tasks": 1}


def journalled(
    *launched: dict[str, Any], tail: bytes = b"", minor: int = document_names.JOURNAL_MINOR, **result_changes: Any
) -> dict[str, bytes]:
    """The evidence of a run that needs one task, with its journal, which launched these; then what is told of it."""
    journal, result = cases.journal(*launched, minor=minor, by=cases.plan(target=LENIENT))
    journal += tail
    named = {"size": len(journal), "sha256": canonical.digest(journal)}
    case = cases.passing(target=LENIENT).having(task_result={**result, "journal": named, **result_changes})
    return published(case) | {document_names.JOURNAL: journal}


def launched(index: int, **changes: Any) -> dict[str, Any]:
    """A task as the task result tells of it."""
    return {**cases.task(index), "shard_index": index, **changes}


EARLY = {"rule": "task-lost", "at_utc": cases.at(6), "receipts_seen": 0, "seconds_saved": 0, "detail": ""}
CHANGE = services.ServiceChange(name="api", before=1, desired=2)
SCALED = cases.journal_line(5, errand_events.ServicesIntended(services=(CHANGE,)))
BACK = cases.journal_line(6, errand_events.ServicesRestored(back={"api": "has its 1 again"}, problems={}))
INTENDED = launch_events.LaunchIntended(token="again", shards=(1,), capacity=None)
INTERRUPTED = watch_events.Interrupted(signal="SIGINT")
FAILED = {"stop_code": "EssentialContainerExited", "stopped_by": None, "exit_code": 1}
NEWER = document_names.JOURNAL_MINOR + 1
JOURNALLED = journalled(launched(0), launched(1))
JOURNAL = JOURNALLED[document_names.JOURNAL]


def ref(value: dict[str, Any], name: str) -> dict[str, Any]:
    """The reference to one document in a snapshot."""
    return next(each for each in value["evidence_refs"] if each["name"] == name)


def found(given: Mapping[str, bytes], **store: Any) -> soundness.Verification:
    return verification.verify(fakes_evidence.MemoryEvidenceStore(given, **store), render=html.render)


def edited(change: Callable[[dict[str, Any]], Any], given: Mapping[str, bytes] = PASSING) -> dict[str, bytes]:
    """The evidence with another snapshot, in canonical form, as a forger would write it."""
    value = json.loads(given[SNAPSHOT])
    change(value)
    return {**given, SNAPSHOT: canonical.encode(value)}


def forged(name: str, content: bytes, given: Mapping[str, bytes] = PASSING) -> dict[str, bytes]:
    """The evidence with another document, and the snapshot naming it by its new digest."""

    def name_it(value: dict[str, Any]) -> None:
        ref(value, name).update(size=len(content), sha256=canonical.digest(content))

    return {**edited(name_it, given), name: content}


@pytest.mark.parametrize(
    ("given", "exit_code"), [(PASSING, 0), (HOLDING, 3), (JOURNALLED, 0)], ids=["pass", "hold", "with journal"]
)
def test_sound_evidence_is_ok_and_says_its_verdict(given: Mapping[str, bytes], exit_code: int) -> None:
    finding = found(given)

    assert (finding.state, finding.exit_code) == (State.OK, exit_code)
    assert finding.snapshot == json.loads(given[SNAPSHOT])
    assert (finding.name, finding.slug) == (SNAPSHOT, "m10_f")
    assert finding.sha256 == canonical.digest(given[SNAPSHOT])


def test_sound_evidence_on_a_folder_is_ok(tmp_path: Any) -> None:
    store = folder_store.FolderStore.create(tmp_path, "run")
    for name, content in JOURNALLED.items():
        store.put_once(name, content)
    store.put_once("task-0.out", b"what a task printed")

    assert verification.verify(store, render=html.render).state is State.OK


def test_a_journal_that_went_on_after_the_task_result_is_sound() -> None:
    assert found({**JOURNALLED, document_names.JOURNAL: JOURNAL + b'{"sequence":3}\n{"cut'}).state is State.OK


def _drop(name: str) -> dict[str, bytes]:
    return {each: content for each, content in PASSING.items() if each != name}


SPOILED: dict[str, tuple[Mapping[str, bytes], State, str]] = {
    "nothing there": ({}, State.ABSENT, "no evidence"),
    "somebody else's files": ({"README.md": b"hello"}, State.ABSENT, "no evidence"),
    "a run without its snapshot": (_drop(SNAPSHOT), State.INCOMPLETE, "burst resume"),
    "a journal alone": ({document_names.JOURNAL: b""}, State.INCOMPLETE, "burst resume"),
    "two snapshots": ({**PASSING, "m10_e_burst_snapshot.json": b"{}"}, State.CORRUPT, "more than one"),
    "a missing document": (_drop(cases.METRICS), State.MISSING_DOCUMENT, cases.METRICS),
    "a missing plan": (_drop(document_names.PLAN), State.MISSING_DOCUMENT, document_names.PLAN),
    "a changed document": ({**PASSING, cases.FACTS: PASSING[cases.FACTS] + b" "}, State.CORRUPT, cases.FACTS),
    "a document added afterwards": (
        {**published(cases.passing().without("metrics")), cases.METRICS: PASSING[cases.METRICS]},
        State.CORRUPT,
        "added afterwards",
    ),
    "a snapshot that is no JSON": ({**PASSING, SNAPSHOT: b"{"}, State.CORRUPT, "not valid JSON"),
    "an empty snapshot": ({**PASSING, SNAPSHOT: b""}, State.CORRUPT, "not valid JSON"),
    "a snapshot that is a list": ({**PASSING, SNAPSHOT: b"[]"}, State.CORRUPT, "not a JSON object"),
    "a key twice": ({**PASSING, SNAPSHOT: b'{"schema":1,"schema":2}'}, State.CORRUPT, "twice"),
    "nesting without end": ({**PASSING, SNAPSHOT: b"[" * 100000}, State.CORRUPT, "snapshot"),
    "a snapshot with spaces": (
        {**PASSING, SNAPSHOT: json.dumps(json.loads(PASSING[SNAPSHOT])).encode()},
        State.NOT_CANONICAL,
        "canonical form",
    ),
    "a snapshot with a line feed": ({**PASSING, SNAPSHOT: PASSING[SNAPSHOT] + b"\n"}, State.NOT_CANONICAL, "canonical"),
    "a schema of tomorrow": (
        edited(lambda value: value.update(schema="burst.snapshot/v2")),
        State.UNSUPPORTED_SCHEMA,
        "burst.snapshot/v2",
    ),
    "no schema": (edited(lambda value: value.pop("schema")), State.UNSUPPORTED_SCHEMA, "None"),
    "a schema that is a list": (edited(lambda value: value.update(schema=[])), State.UNSUPPORTED_SCHEMA, "[]"),
    "a field gone": (edited(lambda value: value.pop("gates")), State.CORRUPT, "gates"),
    "a HOLD edited to a PASS": (
        edited(lambda value: value.update(overall_pass=True, blockers=[], exit_code=0), HOLDING),
        State.REFUTED,
        "blockers, exit_code, overall_pass",
    ),
    "a cleared blocker in the register": (
        edited(lambda value: value["blocker_register"][0].update(open=False), HOLDING),
        State.REFUTED,
        "blocker_register",
    ),
    "a field added": (edited(lambda value: value.update(note="x")), State.REFUTED, "note"),
    "rules of tomorrow": (
        edited(lambda value: value.update(rules="9.0.0", verifier={"name": "burst", "version": "9.0.0"})),
        State.UNKNOWN,
        "judged by rules '9.0.0'",
    ),
    "rules of tomorrow, by this version": (
        edited(lambda value: value.update(rules="9.0.0")),
        State.UNKNOWN,
        "verify it with the version that made it",
    ),
    "rules of yesterday, by this version": (
        edited(lambda value: value.pop("rules")),
        State.REFUTED,
        "this version judges by rules",
    ),
    "a forged verdict, by another version": (
        edited(
            lambda value: value.update(overall_pass=True, blockers=[], verifier={"name": "burst", "version": "0.0.1"}),
            HOLDING,
        ),
        State.REFUTED,
        "overall_pass",
    ),
    "another exit reason": (edited(lambda value: value.update(exit_reason="x")), State.REFUTED, "exit_reason"),
    "a document not named any more": (
        edited(lambda value: value["evidence_refs"].remove(ref(value, cases.FACTS))),
        State.CORRUPT,
        "added afterwards",
    ),
    "no plan named": (
        edited(lambda value: value.update(evidence_refs=[])),
        State.CORRUPT,
        "plan.json is not named",
    ),
    "a document named twice": (
        edited(lambda value: value["evidence_refs"].append(value["evidence_refs"][0])),
        State.CORRUPT,
        "named twice",
    ),
    "a wrong size": (edited(lambda value: value["evidence_refs"][0].update(size=1)), State.CORRUPT, "by digest"),
    "a prefix of the plan": (edited(lambda value: value["evidence_refs"][0].update(prefix=True)), State.CORRUPT, "no "),
    "a shortened journal": (
        {**JOURNALLED, document_names.JOURNAL: JOURNAL[:-1]},
        State.CORRUPT,
        document_names.JOURNAL,
    ),
    "a rewritten journal": (
        {**JOURNALLED, document_names.JOURNAL: JOURNAL.replace(b"1", b"7")},
        State.CORRUPT,
        document_names.JOURNAL,
    ),
    "a journal gone": (
        {name: content for name, content in JOURNALLED.items() if name != document_names.JOURNAL},
        State.MISSING_DOCUMENT,
        document_names.JOURNAL,
    ),
    "a task left out of the result": (
        journalled(launched(0), launched(1, **FAILED), tasks=[launched(0)]),
        State.REFUTED,
        "leaves out task-1",
    ),
    "a task not seen to stop left out of the result": (
        journalled(launched(0), launched(1, stopped_utc=None), tasks=[launched(0)]),
        State.REFUTED,
        "leaves out task-1",
    ),
    "a task made up in the result": (
        journalled(launched(0), tasks=[launched(0), launched(1)]),
        State.REFUTED,
        "makes up task-1",
    ),
    "a task told of with another end": (
        journalled(launched(0), launched(1, **FAILED), tasks=[launched(0), launched(1)]),
        State.REFUTED,
        "tells otherwise of task-1",
    ),
    "a task that ended after the journal did": (
        journalled(launched(0), launched(1, stopped_utc=None), tasks=[launched(0), launched(1)]),
        State.UNKNOWN,
        "tells otherwise of task-1",
    ),
    "a task found after the journal ended": (
        journalled(launched(0), tail=cases.journal_line(5, INTENDED), tasks=[launched(0), launched(1)]),
        State.UNKNOWN,
        "unknown:1",
    ),
    "the journal of another run": (
        journalled(launched(0), launched(1), execution_id="m10_another"),
        State.REFUTED,
        "says execution_id m10_another",
    ),
    "a stop that was not asked for": (
        journalled(launched(0), launched(1), stop_reason="operator"),
        State.REFUTED,
        "says stop_reason operator",
    ),
    "a GO that was never given": (
        journalled(launched(0), launched(1), go_utc=cases.at(30)),
        State.REFUTED,
        "says go_utc 2026-02-21T02:00:30Z",
    ),
    "a later deadline": (
        journalled(launched(0), launched(1), deadline_utc=cases.at(5000)),
        State.REFUTED,
        "says deadline_utc",
    ),
    "an early stop left out": (
        journalled(
            launched(0),
            launched(1),
            tail=cases.forged_line(6, "stop-intended", reason="early-stop", force=False, early_stop=EARLY),
            stop_reason="early-stop",
        ),
        State.REFUTED,
        "journal.jsonl task-lost at",
    ),
    "an interruption left out": (
        journalled(launched(0), tail=cases.journal_line(5, INTERRUPTED)),
        State.REFUTED,
        "journal.jsonl SIGINT at",
    ),
    "an interruption that may have come once the run was taken over": (
        journalled(launched(0), launched(1), interruption={"signal": "SIGINT", "at_utc": cases.at(900)}),
        State.UNKNOWN,
        "says interruption SIGINT at",
    ),
    "another interruption": (
        journalled(
            launched(0),
            tail=cases.journal_line(5, INTERRUPTED),
            interruption={"signal": "SIGTERM", "at_utc": cases.at(900)},
        ),
        State.REFUTED,
        "says interruption SIGTERM at",
    ),
    "a service said to be back": (
        journalled(launched(0), tail=SCALED, services=[cases.service("api")]),
        State.UNKNOWN,
        "otherwise of api",
    ),
    "a service left out": (
        journalled(launched(0), tail=SCALED + BACK),
        State.REFUTED,
        "otherwise of api",
    ),
    "a journal that is none": (
        journalled(launched(0), tail=b"{}\n" + cases.forged_line(5, "counted")),
        State.CORRUPT,
        "crash",
    ),
    "a journal whose event says nothing": (
        journalled(launched(0), tail=cases.forged_line(5, "counted")),
        State.CORRUPT,
        "cannot be understood",
    ),
    "a journal of a later schema": (
        journalled(launched(0), tail=cases.forged_line(5, "resumed", schema="burst.journal/v2")),
        State.UNSUPPORTED_SCHEMA,
        "burst.journal/v2",
    ),
    "a journal with an event that no burst wrote": (
        journalled(launched(0), tail=cases.forged_line(5, "comet-sighted")),
        State.CORRUPT,
        "event 5 is 'comet-sighted', which is no event",
    ),
    "a journal with a field that no burst wrote": (
        journalled(launched(0), tail=cases.forged_line(5, "interrupted", signal="SIGINT", by="hand")),
        State.CORRUPT,
        "says more than such an event",
    ),
    "a journal of a newer burst": (
        journalled(launched(0), minor=NEWER, tail=cases.forged_line(5, "comet-sighted")),
        State.UNSUPPORTED_SCHEMA,
        "was written by a newer burst",
    ),
    "a journal no document names": ({**PASSING, document_names.JOURNAL: JOURNAL}, State.CORRUPT, "added afterwards"),
    "a report that shows something else": (
        {**PASSING, document_names.REPORT: PASSING[document_names.REPORT].replace(b"PASS", b"HOLD")},
        State.CORRUPT,
        document_names.REPORT,
    ),
    "a plan with lower gates": (
        forged(document_names.PLAN, PASSING[document_names.PLAN].replace(b'"multiplier":3', b'"multiplier":2')),
        State.REFUTED,
        "burst_target",
    ),
    "a plan that is no plan": (forged(document_names.PLAN, b"phase: M10.F"), State.CORRUPT, "problem"),
    "a plan that is no text": (forged(document_names.PLAN, b"\xff\xfe"), State.CORRUPT, document_names.PLAN),
    "a plan of another phase": (
        forged(document_names.PLAN, canonical.encode(cases.plan(phase="M10.G", facts=[]).document())),
        State.CORRUPT,
        "M10.G",
    ),
    "metrics with more admits": (
        forged(cases.METRICS, cases.content(cases.metrics(counts=cases.counts(99999))), HOLDING),
        State.REFUTED,
        "burst_load_checks",
    ),
    "metrics that are no JSON": (forged(cases.METRICS, b"\x00"), State.REFUTED, "blockers"),
    "a baseline with lower figures": (
        forged(document_names.BASELINE, cases.baseline(admits=10, buckets=[]), PASSING),
        State.REFUTED,
        "blockers",
    ),
}


@pytest.mark.parametrize(("given", "state", "why"), SPOILED.values(), ids=SPOILED.keys())
def test_spoiled_evidence_is_named_for_what_is_wrong(given: Mapping[str, bytes], state: State, why: str) -> None:
    finding = found(given)

    assert finding.state is state
    assert why in finding.why
    assert finding.snapshot is None


@pytest.mark.parametrize(
    ("state", "exit_code"),
    [
        (State.ABSENT, 7),
        (State.INCOMPLETE, 7),
        (State.MISSING_DOCUMENT, 8),
        (State.CORRUPT, 8),
        (State.NOT_CANONICAL, 8),
        (State.REFUTED, 8),
        (State.UNSUPPORTED_SCHEMA, 9),
        (State.UNKNOWN, 9),
    ],
)
def test_each_state_has_its_exit_code(state: State, exit_code: int) -> None:
    given = next((given for given, found, _ in SPOILED.values() if found is state), PASSING)
    store = fakes_evidence.MemoryEvidenceStore(given, unreadable=[cases.FACTS] if state is State.UNKNOWN else [])

    assert verification.verify(store).exit_code == exit_code
    with pytest.raises(errors.BurstError) as raised:
        verification.verify(store).require()
    assert raised.value.exit_code == exit_code


@pytest.mark.parametrize("name", [SNAPSHOT, document_names.PLAN, cases.METRICS, document_names.REPORT])
def test_a_document_that_cannot_be_read_is_not_called_corrupt(name: str) -> None:
    finding = found(PASSING, unreadable=[name])

    assert (finding.state, finding.exit_code) == (State.UNKNOWN, 9)


def test_a_store_that_cannot_be_listed_is_unreadable() -> None:
    class Closed(fakes_evidence.MemoryEvidenceStore):
        def names(self) -> list[str]:
            raise errors.EvidenceUnknown("no access")

    assert verification.verify(Closed(PASSING)).state is State.UNKNOWN


@pytest.mark.parametrize(
    "name",
    ["../plan.json", "/etc/passwd", "sub/plan.json", "m10_e_task_result.json", SNAPSHOT, "report.html", "", "a\0"],
    ids=repr,
)
def test_a_name_outside_the_closed_set_is_never_opened(name: str) -> None:
    class Watched(fakes_evidence.MemoryEvidenceStore):
        def read(self, name: str) -> bytes:
            opened.append(name)
            return super().read(name)

    opened: list[str] = []
    given = edited(lambda value: value["evidence_refs"][0].update(name=name))
    finding = verification.verify(Watched(given))

    assert finding.state is State.CORRUPT
    assert opened == [SNAPSHOT]


def test_other_words_by_another_version_are_said_to_be_its_own() -> None:
    def reword(value: dict[str, Any]) -> None:
        value.update(exit_reason="all is well", verifier={"name": "burst", "version": "0.0.1"})
        value["gates"][0]["why"] = "fast enough"

    finding = found(edited(reword))

    assert (finding.state, finding.exit_code, finding.worded_by) == (State.OK, 0, "0.0.1")
    assert finding.why == "all is well (worded by 0.0.1; its report.html is not compared)"
    assert found(edited(lambda value: value.update(exit_reason="all is well"))).state is State.REFUTED


def test_a_report_by_another_version_is_not_compared() -> None:
    case = cases.passing()
    made = snapshots.adjudicate(
        given_cases.from_documents(
            case.plan,
            PASSING[document_names.PLAN],
            case.contents,
            verifier={"name": "burst", "version": "0.0.1"},
        )
    )
    given = {**PASSING, SNAPSHOT: made.content, document_names.REPORT: b"<p>an older page</p>"}

    assert found(given).state is State.OK


def _by_another(change: Callable[[dict[str, Any]], Any], given: Mapping[str, bytes] = PASSING) -> dict[str, bytes]:
    """The evidence with a snapshot that another version made, which holds or lacks some fields."""

    def make_it(value: dict[str, Any]) -> None:
        value["verifier"] = {"name": "burst", "version": "0.9.0"}
        change(value)

    return edited(make_it, given)


def _add_fields(value: dict[str, Any]) -> None:
    value["added_later"] = 1
    value["runtime_budget"]["added_later"] = {"deep": [1, 2]}
    for gate in value["gates"]:
        gate["added_later"] = None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_add_fields, id="fields that a later version adds"),
        pytest.param(lambda value: value["evidence_refs"][0].pop("prefix"), id="a field that an earlier one lacks"),
    ],
)
def test_a_snapshot_of_another_minor_version_holds_by_what_both_know(change: Callable[[dict[str, Any]], Any]) -> None:
    finding = found(_by_another(change))

    assert (finding.state, finding.exit_code) == (State.OK, 0)
    assert finding.why.endswith("(by burst 0.9.0; its report.html is not compared)")
    assert finding.worded_by is None
    assert found(edited(change)).state is State.REFUTED


@pytest.mark.parametrize(
    ("change", "state"),
    [
        pytest.param(lambda value: value.update(overall_pass=True), State.REFUTED, id="a forged pass"),
        pytest.param(lambda value: value.update(blockers=[]), State.REFUTED, id="no blockers"),
        pytest.param(lambda value: value["gates"].pop(), State.REFUTED, id="a gate less"),
        pytest.param(lambda value: value["gates"].append(value["gates"][0]), State.REFUTED, id="a gate twice"),
        pytest.param(lambda value: value.update(exit_code=True), State.CORRUPT, id="a code of another kind"),
        pytest.param(lambda value: value.pop("blocker_register"), State.CORRUPT, id="no register"),
        pytest.param(lambda value: value["runtime_budget"].pop("budget_pass"), State.CORRUPT, id="no budget_pass"),
    ],
)
def test_another_version_excuses_nothing_that_both_know(change: Callable[[dict[str, Any]], Any], state: State) -> None:
    assert found(_by_another(change, HOLDING)).state is state


def test_whether_a_task_result_contradicts_the_journal_of_another_version_cannot_be_told() -> None:
    given = journalled(launched(0), launched(1), stop_reason="operator")

    by_another = found(_by_another(lambda value: None, given))

    assert found(given).state is State.REFUTED
    assert (by_another.state, by_another.exit_code) == (State.UNKNOWN, 9)


def test_a_plan_that_only_a_later_version_can_read_cannot_be_told() -> None:
    plan = canonical.encode({**json.loads(PASSING[document_names.PLAN]), "added_later": 1})
    given = forged(document_names.PLAN, plan, _by_another(lambda value: None))

    finding = found(given)

    assert (finding.state, finding.exit_code) == (State.UNKNOWN, 9)
    assert "of burst 0.9.0" in finding.why


def test_a_verifier_that_is_no_plain_name_is_not_shown() -> None:
    def rename(value: dict[str, Any]) -> None:
        value["verifier"] = {"name": "\x1b[31m", "version": "1"}

    assert "\x1b" not in found(edited(rename)).why


def test_a_bounded_rerun_verifies_with_its_prior() -> None:
    plan = cases.plan(rerun=cases.rerun("B1", "B5", "B8"))
    case = cases.passing().under(plan).having(prior=cases.prior("B1", "B5", "B8"))
    given = published(case)

    assert found(given).exit_code == 0
    assert found({**given, document_names.PRIOR: cases.content(cases.prior("B1"))}).state is State.CORRUPT
    forged_prior = forged(document_names.PRIOR, cases.content(cases.prior("B1")), given)
    assert found(forged_prior).state is State.REFUTED


@hypothesis.given(name=st.sampled_from(sorted(JOURNALLED)), data=st.data())
def test_no_single_changed_byte_is_ever_sound(name: str, data: st.DataObject) -> None:
    content = bytearray(JOURNALLED[name])
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))

    hypothesis.assume(name != SNAPSHOT or not _claims_another_version(bytes(content)))

    finding = found({**JOURNALLED, name: bytes(content)})

    assert finding.state is not State.OK
    assert finding.exit_code in (7, 8, 9)


def _claims_another_version(content: bytes) -> bool:
    """Whether nothing but the version of the verifier was changed: that is the snapshot's own claim."""
    try:
        value = json.loads(content)
    except ValueError:
        return False
    was = json.loads(JOURNALLED[SNAPSHOT])
    return bool(value != was and {**value, "verifier": was["verifier"]} == was)


@hypothesis.given(name=st.sampled_from(sorted(JOURNALLED)), data=st.data())
def test_no_cut_document_is_ever_sound(name: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(JOURNALLED[name]) - 1))

    assert found({**JOURNALLED, name: JOURNALLED[name][:cut]}).state is not State.OK


def test_a_journal_of_a_newer_burst_holds_as_long_as_every_line_is_understood() -> None:
    unknown = journalled(launched(0), minor=NEWER, tail=cases.forged_line(5, "comet-sighted"))

    assert found(journalled(launched(0), launched(1), minor=NEWER)).exit_code == 0
    assert found(unknown).exit_code == 9


_EVENTS = sorted({*codec.EVENTS, "of-the-future"})


@FEWER
@hypothesis.given(
    name=st.sampled_from(_EVENTS),
    fields=st.dictionaries(
        st.sampled_from(
            ["execution_id", "deadline", "tasks", "task_id", "name", "services", "signal", "at", "go_at", "back"]
        ),
        st.none()
        | st.integers()
        | st.text(max_size=5)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    ),
)
def test_no_event_in_a_journal_makes_verification_crash(name: str, fields: dict[str, Any]) -> None:
    given = journalled(launched(0), tail=cases.forged_line(5, name, **fields))

    assert isinstance(found(given).state, State)


_INPUTS = [name for name in sorted(PASSING) if name not in (SNAPSHOT, document_names.REPORT)]


@FEWER
@hypothesis.given(name=st.sampled_from(_INPUTS), data=st.data())
def test_no_bytes_in_a_document_make_verification_crash(name: str, data: st.DataObject) -> None:
    """Also where the forger mends the digests, so that the document is read."""
    content = bytearray(HOLDING[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))

    finding = found(forged(name, bytes(content), HOLDING))

    assert finding.exit_code in (3, 7, 8, 9)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@hypothesis.given(key=st.sampled_from(sorted(json.loads(HOLDING[SNAPSHOT]))), value=_JSON)
def test_no_value_in_a_snapshot_makes_verification_crash(key: str, value: Any) -> None:
    forged_snapshot = {**json.loads(HOLDING[SNAPSHOT]), key: value}
    finding = found({**HOLDING, SNAPSHOT: json.dumps(forged_snapshot, sort_keys=True, separators=(",", ":")).encode()})

    assert finding.exit_code in (3, 8, 9)


@FEWER
@hypothesis.given(name=st.sampled_from(_INPUTS), value=_JSON, data=st.data())
def test_no_value_in_a_document_makes_verification_crash(name: str, value: Any, data: st.DataObject) -> None:
    document = json.loads(HOLDING[name])
    inner = document
    while isinstance(inner, dict | list) and inner:
        key: Any = data.draw(st.sampled_from(sorted(inner)) if isinstance(inner, dict) else st.just(0))
        if data.draw(st.booleans()) or not isinstance(inner[key], dict | list):
            inner[key] = value
            break
        inner = inner[key]

    finding = found(forged(name, json.dumps(document).encode(), HOLDING))

    assert finding.exit_code in (3, 8, 9)


@hypothesis.given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_in_place_of_the_plan_make_verification_crash(content: bytes) -> None:
    assert found(forged(document_names.PLAN, content)).exit_code == 8


@pytest.mark.parametrize("tagged", ["!!bool x", "!!int x", "!!timestamp x", "!!float x", "!!python/object:os.system x"])
def test_no_tag_in_a_plan_makes_verification_crash(tagged: str) -> None:
    assert found(forged(document_names.PLAN, b"phase: " + tagged.encode())).exit_code == 8


# The records of the guards

OBEYED = {
    "stop_code": "EssentialContainerExited", "exit_code": 124, "stopped_by": "lease", "ended_by": "lease-stop",
    "asked_by": "controller", "asked_utc": cases.at(989), "load_ended_utc": cases.at(990), "end_source": "record",
}  # fmt: skip
RECORDS = document_names.task_records_name("m10_f")


def recorded(records: cases.Value | None, *, named: bool = True, **task_changes: Any) -> dict[str, bytes]:
    """The evidence of one task with its guard's record; without a journal unless it is `named`."""
    task = launched(0, **OBEYED)
    journal, result = cases.journal(task, by=cases.plan(target=LENIENT))
    result["tasks"] = [{**task, **task_changes}]
    case = cases.passing(target=LENIENT)
    if not named:
        return published(case.having(task_result={**result, "journal": None}, task_records=records or {}))
    case = case.having(task_result=result)
    return published(case if records is None else case.having(task_records=records)) | {document_names.JOURNAL: journal}


TRUE_RECORDS = cases.task_records(launched(0, **OBEYED))
FALSE_RECORDS = cases.task_records(launched(0, **{**OBEYED, "load_ended_utc": cases.at(980)}))
STALE_RECORDS = cases.task_records(launched(0, **{**OBEYED, "ended_by": "lease-stale"}))


def test_evidence_with_the_records_of_its_guards_holds() -> None:
    for named in (True, False):
        documents = recorded(TRUE_RECORDS, named=named)
        assert found(documents).state is State.OK


def test_a_byte_changed_in_the_records_of_the_guards_is_found() -> None:
    documents = recorded(TRUE_RECORDS)
    changed = documents[RECORDS].replace(b'"lease-stop"', b'"lease-stqp"')

    finding = found({**documents, RECORDS: changed})

    assert (finding.state, finding.exit_code) == (State.CORRUPT, 8)
    assert RECORDS in finding.why


@pytest.mark.parametrize(
    ("records", "named", "changes", "words"),
    [
        (FALSE_RECORDS, True, {}, "tells otherwise of task-0, by what journal.jsonl says"),
        ({**TRUE_RECORDS, "records": []}, True, {}, "leaves out task-0"),
        (None, True, {}, "journal.jsonl has the records of 1 guard, m10_f_task_records.json is missing"),
        (FALSE_RECORDS, False, {}, "task-0 has another end in its guard's record"),
        (STALE_RECORDS, False, {}, "task-0 ended by lease-stale, by its guard's record"),
        ({**TRUE_RECORDS, "records": []}, False, {}, "task-0 is said to have a record, and has none"),
        (TRUE_RECORDS, False, {"load_ended_utc": cases.at(995)}, "task-0 has another end"),
        (TRUE_RECORDS, True, {"asked_utc": cases.at(980)}, "tells otherwise of task-0"),
    ],
)
def test_records_and_task_result_that_do_not_agree_are_refuted(
    records: cases.Value | None, named: bool, changes: cases.Value, words: str
) -> None:
    documents = recorded(records, named=named, **changes)

    finding = found(documents)

    assert (finding.state, finding.exit_code) == (State.REFUTED, 8), finding.why
    assert words in finding.why


# What the first line of the journal says of other documents


def test_a_plan_that_is_not_the_one_the_run_began_by_is_refuted_by_the_journal() -> None:
    """Weaker terms after the fact: another plan, the verdict reached anew by it, and every digest right."""
    few = cases.metrics(counts=cases.counts(20))
    journal, result = cases.journal(launched(0), launched(1), by=cases.plan(target=LENIENT))
    held = cases.passing(target=LENIENT).having(task_result=result, metrics=few)
    weak = held.under(cases.plan(target=LENIENT, gates={"multiplier": 0.001, "admit_ratio": 0.995}))

    true, false = (published(each) | {document_names.JOURNAL: journal} for each in (held, weak))

    assert (found(true).state, found(true).exit_code) == (State.OK, 3)
    assert weak.verdict().snapshot.overall_pass
    assert (found(false).state, found(false).exit_code) == (State.REFUTED, 8)
    assert f"{document_names.PLAN} is not the one" in found(false).why


@pytest.mark.parametrize("left", [None, cases.attempt()], ids=["left out", "another one"])
def test_an_attempt_that_is_not_the_one_the_run_began_with_is_refuted_by_the_journal(left: cases.Value | None) -> None:
    entry = {"execution_id": "m10_first", "verdict": "HOLD", "sha256": "c" * 64, "contract": "0" * 64}
    own = cases.content(cases.attempt([entry]))
    plan = cases.plan(target=LENIENT)
    begun = {"attempt_sha256": canonical.digest(own)}
    journal, result = cases.journal(launched(0), launched(1), by=plan, created=begun)
    case = cases.passing().under(plan).having(task_result=result, attempt=own)
    false = case.without("attempt") if left is None else case.having(attempt=left)

    assert found(published(case) | {document_names.JOURNAL: journal}).state is State.OK
    finding = found(published(false) | {document_names.JOURNAL: journal})
    assert finding.state is State.REFUTED
    assert document_names.attempt_name("m10_f") in finding.why
