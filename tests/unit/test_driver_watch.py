"""What the driver did for a run, the ceiling on it, deliveries and duplicates: in the documents and in the reports."""

import dataclasses
import itertools
import json
from typing import Any

import pytest

from burst.control import database_ceiling, driver_watch
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, driver_entries, load_documents, models, window_metrics
from burst.domain.receipts import driver_figures, receipts
from burst.domain.run.events import base, ending_events, watch_events
from burst.report import html, terminal
from tests import cases, fakes, fakes_receipts, simulation
from tests.simulation import World, sound

SLUG = "m10_f"


def limited(seconds: str, **receipts_section: Any) -> World:
    section = {"dsn": "env:BURST_TEST_DSN", "settle": "1s", "count_timeout": "20s", "bucket": "5s"}
    return World(
        simulation.plan(receipts={**section, "database_seconds_max": seconds, **receipts_section}), early_stop=False
    )


def document(world: World, name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(world.store.documents[name])
    return value


def metrics(world: World) -> dict[str, Any]:
    return document(world, document_names.metrics_name(SLUG))


def events(world: World, kind: type[base.Event]) -> list[Any]:
    return [entry.event for entry in world.journal.entries() if isinstance(entry.event, kind)]


def test_the_documents_say_what_the_driver_did_up_to_each_of_them() -> None:
    world = World().run()

    sound(world)
    counted, asked = metrics(world)["driver"], document(world, document_names.facts_name(SLUG))["driver"]
    assert world.source.figures is not None
    assert counted["figures"]["statements"] == world.source.figures.statements > 10
    assert 0 < asked["figures"]["statements"] <= counted["figures"]["statements"]
    assert counted["no_data"] == asked["no_data"] == ""
    assert counted["pages"] == {"read": None, "source": "", "no_data": "memory has no pages"}
    assert asked["pages"] is None
    assert world.document["driver"] == counted


def test_figures_that_nobody_counted_are_no_data_and_not_zero() -> None:
    world = World()
    world.source.figures = None
    world.run()

    sound(world)
    assert metrics(world)["driver"]["figures"] is None
    assert "image does not count" in metrics(world)["driver"]["no_data"]
    assert world.document["exit_code"] == 0
    assert events(world, watch_events.DriverCounted) == []


def test_what_an_earlier_controller_did_is_part_of_the_run() -> None:
    world = World()
    world.store.crash_before = document_names.metrics_name(SLUG)
    world.begin()
    with pytest.raises(Exception, match="before"):
        world.drive()
    first, world.source.figures = world.source.figures, driver_figures.NOTHING_YET
    world.journal.revive()
    world.store.crash_before = ""
    world.drive(resumed=True)

    sound(world)
    assert first is not None
    noted = max(event.figures.statements for event in events(world, watch_events.DriverCounted)[:-1])
    second = world.source.figures.statements
    assert 0 < noted <= first.statements
    assert metrics(world)["driver"]["figures"]["statements"] == noted + second


def test_figures_are_journalled_where_they_have_news_and_not_at_every_look() -> None:
    world = World()
    world.source.seconds_each = 0.3
    world.run()

    noted = [event.figures for event in events(world, watch_events.DriverCounted)]
    polls = len(events(world, watch_events.Counted))
    grown = [after.database_seconds - before.database_seconds for before, after in itertools.pairwise(noted)]
    assert 2 <= len(noted) < polls
    assert min(grown) > 0


# The ceiling


def test_live_counts_stop_at_half_of_the_ceiling_and_the_final_count_has_the_rest() -> None:
    world = limited("5s")
    world.source.seconds_each = 0.25
    world.run()

    sound(world)
    (blind,) = events(world, watch_events.CountBlind)
    assert "half of receipts.database_seconds_max" in blind.why
    assert events(world, ending_events.MeasureFailed) == []
    assert (world.document["exit_code"], world.blockers) == (0, set())
    assert metrics(world)["settled"] is True
    assert world.source.figures is not None
    assert world.source.figures.database_seconds < 5.0


def test_a_final_count_past_the_ceiling_is_refused_and_b5_says_why() -> None:
    world = limited("4s")
    world.source.seconds_each = 0.4
    world.source.slow_after_end = 1.3
    world.run()

    sound(world)
    (failed,) = events(world, ending_events.MeasureFailed)
    assert "receipts.database_seconds_max is 4s" in failed.why
    assert "B5" in world.blockers
    (register,) = [entry for entry in world.document["blocker_register"] if entry["blocker"] == "M10F-B5"]
    assert "receipts.database_seconds_max is 4s" in register["why"]
    assert document_names.metrics_name(SLUG) not in world.store.documents
    assert world.source.figures is not None
    assert world.source.figures.database_seconds < 4.0 + 1.3


def test_a_fact_past_the_ceiling_has_no_answer_and_says_why() -> None:
    world = limited("30s", settle="100ms")
    world.source.seconds_each = 0.01
    world.source.slow_after_end = 8.0
    world.run()

    sound(world)
    answers = document(world, document_names.facts_name(SLUG))["facts"]
    assert [answer["value"] for answer in answers] == [None] * 3
    assert all("nothing more is asked of it" in answer["detail"] for answer in answers)
    assert metrics(world)["settled"] is True
    assert {"B2", "B6", "B7"} <= world.blockers
    assert "B5" not in world.blockers


def test_a_ceiling_that_nobody_can_keep_is_refused_and_not_ignored() -> None:
    world = limited("4s")
    world.source.figures = None
    world.run()

    sound(world)
    (failed,) = events(world, ending_events.MeasureFailed)
    assert "cannot be kept" in failed.why
    assert "controller's image" in failed.why
    assert "B5" in world.blockers


def test_without_a_ceiling_the_source_is_asked_itself() -> None:
    source = fakes_receipts.MemoryReceiptSource(now=fakes.TickingClock().now)
    plan = simulation.plan()

    assert database_ceiling.limit_source(source, plan) is source
    assert database_ceiling.limit_live(source, plan, source.read_figures) is source


def test_the_ceiling_counts_what_earlier_controllers_used() -> None:
    world = limited("4s")
    world.source.seconds_each = 0.4
    world.store.crash_before = document_names.metrics_name(SLUG)
    world.begin()
    with pytest.raises(Exception, match="before"):
        world.drive()
    used = world.source.figures
    world.source.figures = driver_figures.NOTHING_YET
    world.journal.revive()
    world.store.crash_before = ""
    world.drive(resumed=True)

    sound(world)
    assert used is not None
    again = world.source.figures
    assert used.database_seconds + again.database_seconds < 4.0 + driver_watch.NEWS_SECONDS + 0.4


# Deliveries


def accounts(number: int, **changes: Any) -> load_documents.Load:
    document = cases.load(**changes)
    return models.read(load_documents.Load, json.dumps({**document, "tasks": document["tasks"][:number]}).encode())


def test_deliveries_stand_beside_the_decisions_of_the_table() -> None:
    load = accounts(2)

    entry = window_metrics.DeliveriesEntry.from_load(load, 2, receipts.Counts(admit=10, duplicate=2))

    assert entry.sent == load.sent > 0
    assert entry.acknowledged == sum(task.acknowledged for task in load.tasks)
    assert entry.distinct_decisions == 12
    assert entry.no_data == ""


NOT_WHOLE: dict[str, tuple[load_documents.Load | None, str]] = {
    "no account": (None, "2 tasks of 2 without a load account"),
    "one account of two": (accounts(1), "1 task of 2 without a load account"),
}


@pytest.mark.parametrize(("load", "why"), NOT_WHOLE.values(), ids=NOT_WHOLE)
def test_deliveries_of_a_part_of_the_tasks_are_no_data(load: load_documents.Load | None, why: str) -> None:
    entry = window_metrics.DeliveriesEntry.from_load(load, 2, receipts.Counts())

    assert (entry.sent, entry.acknowledged, entry.distinct_decisions) == (None, None, 0)
    assert entry.no_data == why


def test_a_line_of_an_account_that_makes_no_sense_may_hide_deliveries() -> None:
    document = cases.load()
    document["tasks"][0] = {**document["tasks"][0], "bad_lines": 1}
    load = models.read(load_documents.Load, json.dumps(document).encode())

    entry = window_metrics.DeliveriesEntry.from_load(load, 2, receipts.Counts())

    assert entry.sent is None
    assert "1 line" in entry.no_data


# Duplicates


def test_a_run_tells_its_duplicates_apart() -> None:
    world = World(early_stop=False)
    world.source.decide = lambda number: "DUPLICATE" if number % 5 == 4 else "ADMIT"
    world.run()

    counted = metrics(world)
    assert counted["counts"]["DUPLICATE"] > 0
    told = counted["duplicates"]
    assert told["retry"] + told["replay"] + told["unknown"] == counted["counts"]["DUPLICATE"]
    assert told["no_data"] == ""
    assert world.document["duplicates"] == told


def test_a_run_without_duplicates_has_none_of_each_class_without_a_question() -> None:
    world = World().run()

    assert metrics(world)["duplicates"] == {"retry": 0, "replay": 0, "unknown": 0, "no_data": ""}


NO_CLASSES: dict[str, tuple[Any, str]] = {
    "a table without events": (lambda *_, **__: None, "has no column event_id"),
    "a database away": (errors.Unavailable("it took too long"), "it took too long"),
    "an older image": (errors.Refused("the image is older than the controller"), "older than the controller"),
}


@pytest.mark.parametrize(("answer", "words"), NO_CLASSES.values(), ids=NO_CLASSES)
def test_duplicates_that_nobody_can_tell_apart_are_no_data_and_change_no_verdict(answer: Any, words: str) -> None:
    def classify(*_: Any, **__: Any) -> None:
        if isinstance(answer, errors.BurstError):
            raise answer

    world = World(early_stop=False)
    world.source.decide = lambda number: "DUPLICATE" if number % 5 == 4 else "ADMIT"
    world.source.classify_duplicates = classify  # type: ignore[method-assign]
    world.run()

    told = metrics(world)["duplicates"]
    assert (told["retry"], told["replay"], told["unknown"]) == (None, None, None)
    assert words in told["no_data"]
    assert "B5" not in world.blockers


# Reports

FIGURES = driver_figures.DriverFigures(
    connections=3,
    statements=1234,
    prepared=1,
    reused=80,
    rows=5678,
    bytes_received=90123,
    round_trips=1300,
    database_seconds=1.5,
    retries=2,
    largest_wait_seconds=0.25,
)
KNOWN = {
    "driver": {
        "figures": driver_entries.FiguresEntry.from_figures(FIGURES).document(),
        "no_data": "",
        "pages": {"read": 4321, "source": "pg_stat_statements", "no_data": ""},
    },
    "deliveries": {"sent": 19000, "acknowledged": 18990, "distinct_decisions": 18840, "no_data": ""},
    "duplicates": {"retry": 7, "replay": 10002, "unknown": 1, "no_data": ""},
}
UNKNOWN = {
    "driver": {
        "figures": None,
        "no_data": "<b>an older image",
        "pages": {"read": None, "source": "", "no_data": "not installed"},
    },
    "deliveries": {"sent": None, "acknowledged": None, "distinct_decisions": 18840, "no_data": "no task left any"},
    "duplicates": {"retry": None, "replay": None, "unknown": None, "no_data": "no column"},
}
SHOWN: dict[str, tuple[cases.Value, list[str]]] = {
    "known": (
        KNOWN,
        [
            "sent 19,000, acknowledged 18,990, distinct decisions 18,840",
            "retry 7 (first admitted in the window), replay 10,002 (before it), unknown 1",
            "3 connections, 1,234 statements (1 prepared, 80 reused), 1,300 round trips, 5,678 rows, 90,123 bytes, ",
            "1,500 ms of the database, 250 ms the largest wait, 2 retries; pages of the last count 4,321 ",
            "4,321 (pg_stat_statements)",
        ],
    ),
    "not known": (
        UNKNOWN,
        [
            "sent and acknowledged NO_DATA (no task left any), distinct decisions 18,840",
            "NO_DATA (no column)",
            "older image); pages of the last count NO_DATA (not installed)",
        ],
    ),
}


@pytest.mark.parametrize(("sections", "lines"), SHOWN.values(), ids=SHOWN)
def test_the_reports_show_each_figure_or_that_there_is_none(sections: cases.Value, lines: list[str]) -> None:
    case = cases.passing().having(metrics=cases.metrics(**sections))
    verdict = case.verdict()

    text = terminal.render(verdict.snapshot)
    page = html.render(verdict, cases.counted(cases.metrics(**sections))).decode()

    for line in lines:
        assert line in text
        assert line in page
    assert "<b>an older" not in page


def test_counts_without_the_new_sections_show_none_of_them() -> None:
    verdict = cases.passing().verdict()

    text = terminal.render(verdict.snapshot)

    assert not any(line.startswith(("deliveries", "duplicates", "driver")) for line in text.splitlines())
    assert verdict.snapshot.document()["driver"] is None


def test_figures_read_back_from_a_document_as_they_were() -> None:
    assert driver_entries.FiguresEntry.from_figures(FIGURES).figures == FIGURES


def test_every_figure_adds_up_and_the_largest_wait_is_the_larger() -> None:
    twice = FIGURES + FIGURES

    for field in dataclasses.fields(driver_figures.DriverFigures):
        once = getattr(FIGURES, field.name)
        assert getattr(twice, field.name) == (once if field.name == "largest_wait_seconds" else 2 * once), field.name
        if isinstance(once, int):
            with pytest.raises(ValueError, match="negative"):
                dataclasses.replace(FIGURES, **{field.name: -1})


def test_a_plan_reserves_half_of_the_ceiling_for_the_final_count() -> None:
    section = {"dsn": "env:BURST_TEST_DSN", "database_seconds_max": "10m"}

    assert simulation.plan(receipts=section).receipts.live_database_seconds == instants.parse_duration("5m")
