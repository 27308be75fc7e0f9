"""Documents say what they must or are refused; what they compute about themselves is never taken on trust."""

from collections.abc import Callable
from typing import Any

import pytest

from burst.domain.basics import errors, instants, windows
from burst.domain.documents import document_names, fact_answers, models, task_results, window_metrics
from burst.domain.plan import catalogues
from burst.domain.receipts import receipts
from tests import cases

MODELS: dict[str, tuple[type[models.Model], Callable[[], cases.Value]]] = {
    "task_result": (task_results.TaskResult, cases.task_result),
    "metrics": (window_metrics.Metrics, cases.metrics),
    "facts": (fact_answers.Facts, cases.facts),
}


def _read(kind: str, **changes: Any) -> Any:
    model, build = MODELS[kind]
    return models.read(model, cases.content({**build(), **changes}))


@pytest.mark.parametrize("kind", MODELS)
def test_a_document_reads_back_from_its_canonical_bytes(kind: str) -> None:
    model, _ = MODELS[kind]
    document = _read(kind)

    again = models.read(model, document.content())

    assert again == document
    assert again.content() == document.content()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("schema", ["burst.metrics/v2", "", None, 1, [], {}, "burst.snapshot/v1"], ids=repr)
def test_a_schema_this_version_does_not_know_cannot_be_judged(kind: str, schema: object) -> None:
    with pytest.raises(errors.EvidenceUnknown, match="is not known"):
        _read(kind, schema=schema)


@pytest.mark.parametrize("content", [b"[]", b"null", b"1", b'"burst.metrics/v1"'])
def test_what_is_no_object_has_no_schema(content: bytes) -> None:
    with pytest.raises(errors.EvidenceUnknown):
        models.read(window_metrics.Metrics, content)


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_adjudication_needs_is_required(kind: str) -> None:
    model, build = MODELS[kind]

    for name in build():
        short_of = {key: part for key, part in build().items() if key != name}
        said = "schema None" if name == "schema" else name
        with pytest.raises((errors.EvidenceCorrupt, errors.EvidenceUnknown), match=said):
            models.read(model, cases.content(short_of))


@pytest.mark.parametrize("name", sorted(cases.task(0)))
def test_whatever_a_verdict_rests_on_must_be_told_of_each_task(name: str) -> None:
    short_of = {key: part for key, part in cases.task(0).items() if key != name}

    with pytest.raises(errors.EvidenceCorrupt, match=rf"tasks\.0\.{name}: Field required"):
        _read("task_result", tasks=[short_of])


@pytest.mark.parametrize("decision", sorted(cases.counts()))
def test_a_decision_that_is_not_counted_is_not_none_of_them(decision: str) -> None:
    short_of = {key: part for key, part in cases.counts().items() if key != decision}

    with pytest.raises(errors.EvidenceCorrupt, match=rf"counts\.{decision}: Field required"):
        _read("metrics", counts=short_of)


@pytest.mark.parametrize("kind", MODELS)
def test_fields_of_a_later_minor_version_are_ignored(kind: str) -> None:
    assert _read(kind, added_later={"anything": [1, None]}) == _read(kind)


@pytest.mark.parametrize(
    ("kind", "changes", "where"),
    [
        pytest.param("metrics", {"counts": {"ADMIT": -1, "DUPLICATE": 0}}, "counts.ADMIT", id="negative count"),
        pytest.param("metrics", {"counts": {"ADMIT": "5", "DUPLICATE": 0}}, "counts.ADMIT", id="count as text"),
        pytest.param("metrics", {"counts": {"ADMIT": 5, "DUPLICATE": True}}, "DUPLICATE", id="count as truth"),
        pytest.param("metrics", {"counts": {"ADMIT": 5}}, "counts.DUPLICATE", id="count left out"),
        pytest.param("metrics", {"counts": {"ADMIT": 1.5, "DUPLICATE": 0}}, "counts.ADMIT", id="half a receipt"),
        pytest.param("metrics", {"counts": None}, "counts", id="no counts"),
        pytest.param("metrics", {"clock_round_trip_seconds": -1e-9}, "clock_round_trip_seconds", id="back before sent"),
        pytest.param("metrics", {"window": cases.window(60, -1)}, "window", id="reversed window"),
        pytest.param("metrics", {"window": {"start_utc": cases.at(0), "end_utc": cases.at(0)}}, "window", id="empty"),
        pytest.param(
            "metrics", {"window": {"start_utc": "2026-02-21T02:00:00", "end_utc": cases.at(0)}}, "start_utc", id="naive"
        ),
        pytest.param("metrics", {"window": {"start_utc": 1771639200, "end_utc": cases.at(0)}}, "start_utc", id="epoch"),
        pytest.param("metrics", {"settled": "yes"}, "settled", id="settled as text"),
        pytest.param("task_result", {"tasks": None}, "tasks", id="no tasks"),
        pytest.param("task_result", {"tasks": [{"started_utc": cases.at(0)}]}, "tasks.0.id", id="task without id"),
        pytest.param("task_result", {"tasks": [cases.task(0, exit_code="0")]}, "exit_code", id="exit code as text"),
        pytest.param(
            "task_result",
            {"tasks": [cases.task(0, started_utc="0001-01-01T00:00:00+05:00")]},
            "started_utc",
            id="before year 1",
        ),
        pytest.param("task_result", {"interruption": {"signal": "SIGKILL"}}, "interruption", id="unknown signal"),
        pytest.param("task_result", {"execution_id": 7}, "execution_id", id="id as a number"),
        pytest.param("facts", {"facts": [cases.fact("B2", "a", 0)]}, "exactly one of", id="no expectation"),
        pytest.param(
            "facts", {"facts": [cases.fact("B2", "a", 0, equals=0, at_most=0)]}, "exactly one of", id="two expectations"
        ),
        pytest.param("facts", {"facts": [cases.fact("B2", "a", 0, at_most="10")]}, "at_most", id="limit as text"),
        pytest.param("facts", {"facts": [cases.fact("B2", "a", 0, at_most=True)]}, "at_most", id="limit as truth"),
        pytest.param("facts", {"facts": [cases.fact("B2", "a", [0], equals=0)]}, "value", id="a list for a value"),
        pytest.param(
            "facts",
            {"facts": [cases.fact("B2", "a", 1, equals=0), cases.fact("B2", "a", 0, equals=0)]},
            "answered twice",
            id="two answers to one question",
        ),
    ],
)
def test_a_wrong_field_is_refused_by_name(kind: str, changes: dict[str, Any], where: str) -> None:
    with pytest.raises(errors.EvidenceCorrupt) as refusal:
        _read(kind, **changes)

    assert where in str(refusal.value)


def test_the_attempt_runs_from_the_first_start_to_the_last_stop_whatever_the_summary_says() -> None:
    tasks = [cases.task(0, started_utc=cases.at(-5)), cases.task(1, stopped_utc=cases.at(1000))]

    document = _read("task_result", tasks=tasks, elapsed_seconds=1.0)

    assert document.window == windows.Window(cases.moment(-5), cases.moment(1000))
    assert document.window.seconds == 1005.0


@pytest.mark.parametrize(
    ("started", "stopped"),
    [
        pytest.param(None, None, id="neither"),
        pytest.param(cases.at(0), None, id="never seen to stop"),
        pytest.param(None, cases.at(9), id="never seen to start"),
        pytest.param(cases.at(9), cases.at(9), id="no time between"),
        pytest.param(cases.at(9), cases.at(0), id="stopped before it started"),
    ],
)
def test_an_attempt_that_was_not_seen_whole_has_no_window(started: str | None, stopped: str | None) -> None:
    tasks = [cases.task(0, started_utc=started, stopped_utc=stopped)]

    document = _read("task_result", started_utc=started, stopped_utc=stopped, tasks=tasks)

    assert document.window is None


def test_a_task_nobody_saw_end_is_named() -> None:
    document = _read("task_result", tasks=[cases.task(0), cases.task(1, stopped_utc=None)])

    assert document.unproven == ("task-1",)


def test_counts_keep_every_decision_on_the_way_into_a_document_and_back() -> None:
    counts = receipts.Counts(admit=1, duplicate=2, quarantine=3, other=4)

    assert window_metrics.CountsEntry.from_counts(counts).counts == counts


def test_instants_are_printed_in_utc_whatever_zone_they_came_in() -> None:
    metrics = _read("metrics", window={"start_utc": "2026-02-21T04:00:00+02:00", "end_utc": cases.at(1)})

    assert metrics.window.start_utc == instants.parse("2026-02-21T02:00:00Z")
    assert b'"start_utc":"2026-02-21T02:00:00Z"' in metrics.content()


def test_document_names_carry_the_phase() -> None:
    slug = cases.plan().slug

    assert document_names.task_result_name(slug) == "m10_f_task_result.json"
    assert document_names.metrics_name(slug) == "m10_f_receipts_window_metrics.json"
    assert document_names.facts_name(slug) == "m10_f_facts.json"
    assert document_names.snapshot_name(slug, catalogues.Kind.BURST) == "m10_f_burst_snapshot.json"
