"""The shell of campaigns in simulated time: a death at any line leads to the same end and launches nothing twice.

Each plan is a whole run of the real controller on the fake launcher.
"""

import dataclasses
from pathlib import Path

import pytest

from burst.adapters.local import folder_store
from burst.control import campaigning
from burst.domain.basics import redaction
from burst.domain.course import (
    campaign_files,
    campaign_journals,
    course_acts,
    course_decisions,
    course_events,
    courses,
)
from burst.domain.documents import models, override_tables
from tests import fakes, fakes_campaign, fakes_course, fakes_journal

FILE = """\
schema: burst.campaign/v1
name: dev_min
environment: dev
budget: {max: 1h, cost_cap_usd: 10}
steps:
  - {name: window, plan: window.yaml, undo: {command: ["true"], timeout: 5s}}
  - {name: baseline, one_shot: {command: ["true"], timeout: 5s}, depends_on: [window]}
  - name: burst
    plan: burst.yaml
    depends_on: [window, baseline]
    pause: before
    overrides: {concurrency: 4, database: {dsn: "env:D", settings: {work_mem: 8MB}}}
    measures: [/exit_code]
    undo: {command: ["true"], timeout: 5s}
  - {name: soak, plan: soak.yaml, depends_on: [burst], sweep: {key: target.tasks, values: [1, 2], measure: /exit_code}}
"""


class Died(BaseException):
    """The process is gone."""


class Site:
    """A clock, a journal, a folder and the steps, which outlive every process."""

    def __init__(self, folder: Path, text: str = FILE, **steps: object) -> None:
        self.clock = fakes.TickingClock()
        self.steps = fakes_campaign.FakeSteps(clock=self.clock, **steps)  # type: ignore[arg-type]
        self.journal = fakes_course.MemoryCourseJournal(self.clock.now, campaign_journals.FORM)
        self.store = folder_store.FolderStore(folder)
        self.file = campaign_files.parse(text, source="campaign.yaml")
        self.stop: courses.StopOrder | None = None
        self.said: list[str] = []

    def work(self, *, reopen: str | None = None, only: tuple[str, ...] = (), until: str | None = None) -> None:
        """One process: it notes who it is, and drives."""
        runner = campaigning.CampaignRunner(
            course_decisions.CourseTerms(
                file=self.file,
                longest_seconds={step.name: 120.0 for step in self.file.steps},
                most_usd={step.name: 1.0 for step in self.file.steps},
            ),
            campaigning.CampaignParts(
                driver=self.steps,
                journal=self.journal,
                documents=self.store,
                clock=self.clock,
                read_stop=lambda: self.stop,
                say=self.said.append,
                redactor=redaction.Redactor(),
            ),
        )
        if runner.course.campaign_id:
            runner.note(
                course_events.CampaignResumed(operator="bob", until=until, reopen=reopen, only=only, settings=())
            )
        else:
            runner.note(
                course_events.CampaignBegan(
                    schema=course_events.SCHEMA, minor=0, campaign_id="dev_min_1", file_sha256="0" * 64, plans={},
                    operator="ada", until=until,
                )
            )  # fmt: skip
        runner.drive()

    @property
    def course(self) -> courses.Course:
        return campaign_journals.fold(self.journal.lines())

    def finish(self) -> courses.Course:
        """Goes on until the campaign ends, and takes a step that holds again."""
        for _ in range(30):
            course = self.course
            if course.ended_at is not None:
                return course
            held = course.pause.step if course.pause is not None and course.pause.kind == "hold" else None
            self.clock.sleep(1.0)
            self.work(reopen=held, only=("M10F-B1",) if held else ())
        raise AssertionError("it never ends")


HELD = frozenset({"burst"})


def summarize(site: Site) -> tuple[object, ...]:
    """How a campaign ended, but for times and the attempts that a death cost."""
    course = site.course
    ends = {
        name: [attempt.end for attempt in state.attempts if not attempt.lost and not attempt.cut_before_load]
        for name, state in course.steps.items()
    }
    return course.outcome, course.exit_code, ends, site.steps.overridden, site.steps.running()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("undisturbed"), held=HELD)
    site.finish()
    return site


def test_an_undisturbed_campaign_passes_after_its_reopening(expected: Site) -> None:
    outcome, exit_code, ends, overridden, running = summarize(expected)

    assert (outcome, exit_code, overridden, running) == ("done", 0, set(), [])
    assert ends == {"window": ["PASS"], "baseline": ["PASS"], "burst": ["HOLD", "PASS"], "soak": ["PASS", "PASS"]}
    second = expected.course.step("burst").attempts[1]
    first = expected.course.step("burst").attempts[0]
    assert (second.only, second.prior) == (("M10F-B1",), first.snapshot)
    assert expected.course.step("burst").lost_to_hold_seconds > 0
    kinds = {line.event.wire_name for line in expected.journal.lines()}
    rest = {"step-lost", "stop-asked", "undo-intended", "undo-done", "regression-looked"}
    assert kinds | rest == set(course_events.EVENTS)


def test_every_override_stands_in_a_table_beside_its_measure(expected: Site) -> None:
    table = models.read(override_tables.OverrideTable, expected.store.read("table_soak_2.json"))
    burst = models.read(override_tables.OverrideTable, expected.store.read("table_burst_2.json"))

    assert (table.swept, [row.settings for row in table.rows]) == (
        "target.tasks", [["target.tasks=1"], ["target.tasks=2"]]
    )  # fmt: skip
    assert [row.measures for row in table.rows] == [{"/exit_code": 0}] * 2
    assert [(row.verdict, row.settings, row.database) for row in burst.rows] == [
        ("HOLD", ["target.tasks=4"], {"work_mem": "8MB"}), ("PASS", ["target.tasks=4"], {"work_mem": "8MB"})
    ]  # fmt: skip


def _kill_at(site: Site, last: int, *, durable: bool) -> None:
    """Works until the line of this number, which is lost where it is not durable."""

    def die(line: campaign_journals.CampaignLine) -> None:
        if line.sequence == last:
            if not durable:
                site.journal.content = site.journal.prefix(last - 1)
            raise Died

    site.journal.after = die
    with pytest.raises(Died):
        site.finish()
    site.journal.after = lambda _: None


def list_lines(site: Site) -> list[int]:
    """The first and the last line of each kind of event."""
    lines = site.journal.lines()
    first = {line.event.wire_name: line.sequence for line in reversed(lines)}
    return sorted({*first.values(), *{line.event.wire_name: line.sequence for line in lines}.values()})


def test_a_death_at_each_kind_of_event_leads_to_the_same_end(expected: Site, tmp_path: Path) -> None:
    for last in list_lines(expected):
        for durable in (True, False):
            folder = tmp_path / f"{last} {durable}"
            folder.mkdir()
            site = Site(folder, held=HELD)
            _kill_at(site, last, durable=durable)

            site.finish()

            assert summarize(site) == summarize(expected), (last, durable)
            assert len(site.steps.launched) == len(set(site.steps.launched))
            assert set(site.steps.commands.values()) == {1}
            assert site.steps.list_overstays() == []


def test_a_death_at_each_kind_of_event_of_a_run_leads_to_the_same_end(expected: Site, tmp_path: Path) -> None:
    kinds = next(iter(expected.steps.worlds.values())).journal.kinds
    text = FILE.partition("  - {name: baseline")[0] + "  - {name: soak, plan: soak.yaml, depends_on: [window]}\n"
    for line in sorted({kinds.index(kind) + 1 for kind in kinds}):
        folder = tmp_path / str(line)
        folder.mkdir()
        site = Site(folder, text)
        site.steps.dies_at = ("window", line)
        with pytest.raises(fakes_journal.Crashed):
            site.finish()
        site.clock.sleep(2.0)

        site.finish()

        assert (site.course.outcome, site.course.exit_code) == ("done", 0), kinds[line - 1]
        assert (site.steps.running(), site.steps.list_overstays()) == ([], []), kinds[line - 1]
        assert len(site.steps.launched) == len(set(site.steps.launched)) <= 3


@pytest.mark.parametrize("at", ["window", "burst", "soak"])
def test_a_campaign_that_is_stopped_puts_back_and_undoes_what_it_began(tmp_path: Path, at: str) -> None:
    site = Site(tmp_path)

    def die(line: campaign_journals.CampaignLine) -> None:
        if isinstance(line.event, course_events.StepIntended) and line.event.step == at:
            raise Died

    site.work()
    site.journal = fakes_course.MemoryCourseJournal(site.clock.now, campaign_journals.FORM)
    site.journal.after = die
    with pytest.raises(Died):
        site.finish()
    site.journal.after = lambda _: None
    site.stop = courses.StopOrder(by="eve", reason="enough")

    site.work()

    assert (site.course.outcome, site.course.exit_code) == ("stopped", 3)
    assert site.steps.undone == [name for name in ("burst", "window") if site.course.step(name).attempts]
    assert (site.steps.overridden, site.steps.running()) == (set(), [])


def test_a_step_that_could_not_end_inside_the_budget_does_not_begin(tmp_path: Path) -> None:
    site = Site(tmp_path, FILE.replace("max: 1h", "max: 130s"))

    site.work()

    assert site.course.pause is not None
    assert (site.course.pause.kind, site.course.pause.step, site.course.pause.exit_code) == ("budget", "baseline", 4)
    assert "of budget.max" in site.course.pause.reason
    assert list(site.course.steps) == ["window", "baseline"]


def test_a_step_that_could_cost_more_than_is_left_does_not_begin(tmp_path: Path) -> None:
    site = Site(tmp_path, FILE.replace("cost_cap_usd: 10", "cost_cap_usd: 1.5"))

    site.work()

    assert site.course.pause is not None
    assert (site.course.pause.kind, site.course.pause.step) == ("budget", "baseline")


def test_the_time_of_a_pause_is_no_time_of_the_budget(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.work()
    worked = site.course.worked_seconds(site.clock.now())

    site.clock.sleep(10_000.0)

    assert site.course.worked_seconds(site.clock.now()) == worked
    site.work()
    assert site.course.outcome == "done"


def test_a_refused_step_is_tried_again_by_a_resume_and_a_held_one_is_not(tmp_path: Path) -> None:
    site = Site(tmp_path, refused={"window"})
    site.work()
    assert site.course.pause is not None
    assert (site.course.pause.kind, site.course.pause.exit_code) == ("failed", 4)

    site.steps.refused.clear()
    site.steps.held = HELD
    site.work()
    site.work()  # past the pause before the burst
    assert site.course.pause is not None
    assert (site.course.pause.kind, site.course.pause.exit_code) == ("hold", 3)
    assert "M10F-B1" in site.course.pause.reason
    site.work()
    assert site.course.pause is not None
    assert (site.course.pause.kind, len(site.course.step("burst").attempts)) == ("hold", 1)


def test_a_reopening_that_is_refused_stays_bounded_when_it_is_tried_again(tmp_path: Path) -> None:
    site = Site(tmp_path, held=frozenset({"window"}))
    site.work()
    site.steps.refused.add("window")

    site.work(reopen="window", only=("M10F-B1",))
    assert site.course.pause is not None
    assert (site.course.pause.kind, site.course.pause.exit_code) == ("failed", 4)
    site.steps.refused.clear()
    site.work()

    attempts = site.course.step("window").attempts
    assert [attempt.end for attempt in attempts] == ["HOLD", "FAILED", "PASS"]
    assert [attempt.only for attempt in attempts] == [(), ("M10F-B1",), ("M10F-B1",)]
    assert attempts[2].prior == attempts[0].snapshot


def test_until_a_step_is_a_pause_that_is_no_failure(tmp_path: Path) -> None:
    site = Site(tmp_path)

    site.work(until="window")

    assert site.course.pause is not None
    assert (site.course.pause.kind, site.course.pause.exit_code, list(site.course.steps)) == ("until", 0, ["window"])


@pytest.mark.parametrize("regressions", [(), ("latency_p95_ms regressed",)])
def test_a_regression_pauses_and_none_does_not(tmp_path: Path, regressions: tuple[str, ...]) -> None:
    text = FILE.replace("pause: before", "pause: on_regression")
    site = Site(tmp_path, text, regressions=regressions)

    site.work()

    assert (site.course.pause is None) is (not regressions)
    if regressions:
        site.work()
    assert site.course.outcome == "done"


def test_a_campaign_that_ended_has_nothing_left(expected: Site) -> None:
    terms = course_decisions.CourseTerms(file=expected.file, longest_seconds={}, most_usd={})

    act = course_decisions.decide(expected.course, expected.clock.now(), terms)

    assert isinstance(act, course_acts.NothingLeft)


def test_no_event_of_a_campaign_follows_one_that_it_cannot(expected: Site) -> None:
    lines = expected.journal.lines()
    for index, line in enumerate(lines):
        if isinstance(line.event, course_events.StepEnded | course_events.CampaignBegan):
            doubled = [*lines[: index + 1], dataclasses.replace(line, sequence=line.sequence + 1)]
            with pytest.raises(Exception, match="cannot follow"):
                campaign_journals.fold(doubled)
