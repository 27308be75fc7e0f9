"""The shell of a search: killed at any line of its journal, it goes on and plays no probe twice; and the plans of its
probes."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import pytest

from burst.control import searching
from burst.domain.basics import canonical, errors, redaction
from burst.domain.course import criteria, probe_plans, rate_searches, search_events
from burst.domain.plan import catalogues, plans
from tests import fakes, fakes_course
from tests.unit import test_rate_searches

LIMIT = 800.0 * 60


class Killed(BaseException):
    """The process dies here."""


@dataclass(kw_only=True)
class FakeProbes:
    """`searching.ProbeDriver`: a system that holds up to `LIMIT`; a run that was begun once is only continued."""

    launched: list[str] = field(default_factory=list)
    dies_in: int | None = None
    """The number of the probe in whose run the process dies."""
    lost: dict[int, searching.LostProbe] = field(default_factory=dict)
    made: int = 0

    def make_run_id(self) -> str:
        self.made += 1
        return f"m10_{self.made}"

    def take(self, probe: rate_searches.RateProbe) -> searching.ProbeAnswer:
        assert probe.run_id not in self.launched
        if probe.number in self.lost:
            return self.lost[probe.number]
        self.launched.append(probe.run_id)
        if self.dies_in == probe.number:
            self.dies_in = None
            raise Killed
        return self._end(probe)

    def go_on(self, probe: rate_searches.RateProbe) -> searching.ProbeAnswer:
        if probe.run_id in self.launched:
            return self._end(probe)
        return searching.LostProbe(reason="it never began", usd=0.0)

    def _end(self, probe: rate_searches.RateProbe) -> searching.ProbeEnd:
        outcome: criteria.Outcome = "held" if probe.rate <= LIMIT else "broke"
        return searching.ProbeEnd(judged=criteria.Judged(outcome=outcome, why=""), usd=0.0)


@dataclass(kw_only=True)
class Site:
    """A search that begins, and whoever goes on with it."""

    driver: FakeProbes = field(default_factory=FakeProbes)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = fakes.TickingClock()
        self.journal = fakes_course.MemoryCourseJournal(self.clock.now, search_events.FORM)

    def play(self) -> rate_searches.SearchCourse:
        runner = searching.SearchRunner(
            searching.SearchParts(
                driver=self.driver,
                journal=self.journal,
                clock=self.clock,
                say=self.said.append,
                redactor=redaction.Redactor([]),
            )
        )
        first: search_events.SearchEvent = search_events.SearchResumed()
        if not runner.search.search_id:
            first = search_events.SearchBegan(
                schema=search_events.SCHEMA,
                minor=0,
                search_id="s",
                plan_sha256="0" * 64,
                terms=test_rate_searches.TERMS,
            )
        runner.note(first)
        return runner.drive()


def count_lines() -> int:
    site = Site()
    site.play()
    return len(site.journal.lines())


@pytest.mark.parametrize("line", range(1, count_lines() + 1))
def test_a_search_that_is_killed_at_any_line_finds_the_same_and_launches_no_run_twice(line: int) -> None:
    whole, site = Site().play(), Site()

    def die(written: Any) -> None:
        if written.sequence == line:
            raise Killed

    site.journal.after = die
    with pytest.raises(Killed):
        site.play()
    site.journal.after = lambda _: None
    search = site.play()

    played = [(probe.rate, probe.outcome) for probe in search.probes if not probe.lost]
    assert (search.ending, played) == (whole.ending, [(probe.rate, probe.outcome) for probe in whole.probes])
    assert len(set(site.driver.launched)) == len(site.driver.launched)


def test_a_process_that_dies_in_a_run_is_followed_by_one_that_continues_that_run() -> None:
    site = Site(driver=FakeProbes(dies_in=3))

    with pytest.raises(Killed):
        site.play()
    search = site.play()

    assert search.ending == "found"
    assert site.driver.launched == [probe.run_id for probe in search.probes]


def test_a_refused_probe_ends_the_command_and_is_played_anew_once_the_cause_is_mended() -> None:
    refused = errors.Refused("preflight found 1 of 9 checks failing")
    lost = searching.LostProbe(reason=str(refused), usd=0.0, error=refused)
    site = Site(driver=FakeProbes(lost={2: lost}))

    with pytest.raises(errors.Refused):
        site.play()
    search = site.play()

    assert (search.ending, [probe.lost for probe in search.probes[:3]]) == ("found", [False, True, False])
    assert search.probes[1].rate == search.probes[2].rate


TEXT: dict[str, Any] = {
    "schema": "burst.plan/v1",
    "phase": "M10.F",
    "scope": "fresh",
    "environment": "local",
    "target": {"kind": "local", "tasks": 2},
    "load": {"command": ["push"], "rate": "auto", "warmup": "5s"},
    "budget": {"max": "90m", "min_window": "15m", "stop_grace": "5s", "start_timeout": "30s"},
    "receipts": {"dsn": "env:DSN"},
    "baseline": {"admits": 300, "seconds": 60, "source": "a made-up reference"},
    "gates": {"multiplier": 3.0, "admit_ratio": 0.995, "latency_p95_ms": 250},
    "facts": [
        {"blocker": "M10F-B7", "name": "max_lag", "sql": "select 1", "at_most": 10},
        {"blocker": "M10F-B2", "name": "drift", "sql": "select 0", "equals": 0},
    ],
    "rerun": {"only": ["M10F-B1"]},
    "evidence": {"local": "runs"},
}


def make(**changes: Any) -> plans.Plan:
    return plans.parse(canonical.encode({**TEXT, **changes}).decode(), source="plan.yaml")


def make_probe(written: tuple[str, ...], plan: plans.Plan | None = None, seconds: float = 10.0) -> plans.Plan:
    whole = plan or make()
    terms = probe_plans.ProbeTerms(
        criteria=probe_plans.choose_criteria(whole, written), seconds=seconds, folder=PurePath("runs/searches/s/probes")
    )
    return probe_plans.make_plan(whole, LIMIT, terms)


def test_a_probe_has_the_rate_its_own_window_its_criteria_and_a_phase_that_is_no_attempt_of_the_plans() -> None:
    probe = make_probe(("admit_ratio", "latency_p95_ms<=200", "max_lag"))

    assert (probe.phase, probe.kind, probe.load.rate) == ("M10.F.PROBE", catalogues.Kind.BURST, LIMIT)
    assert (probe.budget.window_seconds, probe.budget.cap_seconds) == (10.0, 5.0 + 10.0 + 30.0 + 10.0)
    assert (probe.gates.admit_ratio, probe.gates.latency_p95_ms, probe.gates.multiplier) == (0.995, 200.0, None)
    assert [(fact.name, fact.blocker) for fact in probe.facts] == [("max_lag", "M10FPROBE-B1")]
    assert (probe.baseline, probe.rerun, probe.evidence.local) == (None, None, "runs/searches/s/probes")


def test_a_probe_that_asks_no_admit_ratio_is_a_window() -> None:
    assert make_probe(("errors",)).kind is catalogues.Kind.WINDOW


def test_without_a_criterion_every_limit_of_the_plan_is_one() -> None:
    chosen = probe_plans.choose_criteria(make(), ())

    assert [criterion.words for criterion in chosen] == ["admit_ratio>=0.995", "latency_p95_ms<=250"]


@pytest.mark.parametrize(
    ("plan", "written", "said"),
    [
        (make(), ("max_lagg",), "the plan has no such gate; it has: admit_ratio, drift, latency_p95_ms, max_lag"),
        (make(), ("errors", "error_ratio<=0.1"), "error_ratio stands twice"),
        (make(), ("multiplier",), "the plan has no such gate"),
        (make(kind="window", gates={}, facts=[], load={"command": ["push"], "rate": 60}), (), "--criterion is"),
    ],
)
def test_criteria_that_a_plan_cannot_answer_are_refused(plan: plans.Plan, written: tuple[str, ...], said: str) -> None:
    with pytest.raises(errors.UsageError, match=said):
        probe_plans.choose_criteria(plan, written)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scope": "platform_1"}, "scope: saw platform_1; allowed: fresh"),
        ({"load": {"command": ["push"]}}, "load.rate is missing"),
        ({"load": {"command": ["push"], "rate": [{"for": "15m", "rate": "10/s"}]}}, "a search needs one rate"),
    ],
)
def test_a_plan_that_cannot_be_searched_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.UsageError, match=said):
        probe_plans.refuse_unfit(make(**changes))


def test_a_window_that_the_plan_has_no_time_for_is_refused() -> None:
    with pytest.raises(errors.UsageError, match="a window that ends before the cap"):
        make_probe(("errors",), make(budget={**TEXT["budget"], "operator_cap": "16m"}), seconds=1000.0)


def test_the_terms_write_a_rate_in_the_unit_of_the_bracket() -> None:
    per_second = dataclasses.replace(test_rate_searches.TERMS, unit="s")

    assert (per_second.write_rate(50_910.0), test_rate_searches.TERMS.write_rate(600.5)) == ("848.5/s", "600.5/min")
