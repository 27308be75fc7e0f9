"""The search for the highest rate, in simulated time: steady systems are found, unsteady ones end inside the bounds."""

import dataclasses
import math
import random
from collections.abc import Callable
from datetime import timedelta

import hypothesis
import pytest
from hypothesis import strategies

from burst.domain.basics import errors, instants
from burst.domain.course import course_journals, criteria, rate_searches, search_events
from burst.domain.course.criteria import Outcome

BEGAN = instants.parse("2026-02-21T02:00:00Z")
TERMS = rate_searches.SearchTerms(
    criteria=("admit_ratio>=0.995",),
    lowest=400.0 * 60,
    highest=1600.0 * 60,
    within=0.05,
    confirm=2,
    probe_seconds=10.0,
    max_seconds=1e6,
    max_usd=None,
    most_probe_seconds=60.0,
    most_probe_usd=0.0,
)
System = Callable[[float], Outcome]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A search to its end, and how long it took in simulated time."""

    search: rate_searches.SearchCourse
    seconds: float

    @property
    def found(self) -> rate_searches.SearchSummary:
        return rate_searches.summarise(self.search)


def play(system: System, terms: rate_searches.SearchTerms = TERMS, *, probe_seconds: float = 20.0) -> Played:
    """Plays a search: each act as the shell performs it, through the lines of a journal."""
    now, form = BEGAN, search_events.FORM
    lines: list[course_journals.Line[search_events.SearchEvent]] = []
    search = form.empty

    def note(event: search_events.SearchEvent) -> rate_searches.SearchCourse:
        lines.append(course_journals.Line(sequence=len(lines) + 1, at=now, event=event))
        return form.fold(lines[-1:], search)

    search = note(
        search_events.SearchBegan(
            schema=search_events.SCHEMA, minor=0, search_id="s", plan_sha256="0" * 64, terms=terms
        )
    )
    while True:
        act = rate_searches.decide(search, now)
        if isinstance(act, rate_searches.EndSearch):
            search = note(search_events.SearchEnded(ending=act.ending))
            written = b"".join(map(form.format_line, lines))
            assert form.fold(form.parse_lines(written, "the journal")) == search
            return Played(search=search, seconds=instants.seconds_between(BEGAN, now))
        assert isinstance(act, rate_searches.BeginProbe)
        search = note(search_events.ProbeIntended(number=act.number, rate=act.rate, run_id=f"run_{act.number}"))
        now += timedelta(seconds=probe_seconds)
        search = note(
            search_events.ProbeEnded(
                number=act.number, outcome=system(act.rate), why="", answers=(), seconds=probe_seconds, usd=0.01,
                place=None, sha256=None,
            )
        )  # fmt: skip


def limited(limit: float, above: Outcome = "broke") -> System:
    """A system that holds up to a rate."""
    return lambda rate: "held" if rate <= limit else above


LIMITS = strategies.floats(min_value=TERMS.lowest, max_value=TERMS.highest, exclude_max=True)
BRACKETS = strategies.tuples(
    strategies.floats(min_value=1.0, max_value=1e6), strategies.floats(min_value=1.001, max_value=1e3)
)


@hypothesis.given(
    limit=LIMITS, within=strategies.floats(min_value=0.002, max_value=0.5), confirm=strategies.integers(1, 4)
)
def test_a_steady_system_is_found_within_the_tolerance_and_in_few_probes(
    limit: float, within: float, confirm: int
) -> None:
    terms = dataclasses.replace(TERMS, within=within, confirm=confirm)

    played = play(limited(limit), terms)

    found = played.found
    assert played.search.ending == "found"
    assert found.complete
    assert found.limit == "system"
    assert found.low is not None
    assert found.high is not None
    assert found.low.rate <= limit < found.high.rate <= found.low.rate * (1 + within) * 1.000001
    assert found.low.outcomes.count("held") >= confirm
    assert found.high.outcomes.count("broke") >= confirm
    assert len(played.search.probes) <= terms.least_probes


@hypothesis.given(bracket=BRACKETS, share=strategies.floats(min_value=0.0, max_value=1.2))
def test_no_probe_leaves_the_bracket(bracket: tuple[float, float], share: float) -> None:
    terms = dataclasses.replace(TERMS, lowest=bracket[0], highest=bracket[0] * bracket[1])
    limit = terms.lowest * (bracket[1] ** share)

    played = play(limited(limit), terms)

    assert all(terms.lowest <= probe.rate <= terms.highest for probe in played.search.probes)
    assert len(played.search.probes) <= terms.least_probes


@hypothesis.given(
    seed=strategies.integers(),
    noise=strategies.floats(min_value=0.0, max_value=1.0),
    confirm=strategies.integers(1, 4),
    max_seconds=strategies.floats(min_value=60.0, max_value=3000.0),
    max_usd=strategies.none() | strategies.floats(min_value=0.0, max_value=1.0),
)
def test_an_unsteady_system_ends_inside_every_bound(
    seed: int, noise: float, confirm: int, max_seconds: float, max_usd: float | None
) -> None:
    chance = random.Random(seed)
    terms = dataclasses.replace(
        TERMS, confirm=confirm, max_seconds=max_seconds, max_usd=max_usd, most_probe_usd=0.01, most_probe_seconds=20.0
    )

    def unsteady(rate: float) -> Outcome:
        steady: Outcome = "held" if rate <= 800 * 60 else "broke"
        others: list[Outcome] = ["held", "broke", "withheld", "unknown"]
        return chance.choice(others) if chance.random() < noise else steady

    played = play(unsteady, terms)

    assert len(played.search.probes) <= terms.most_probes
    assert played.seconds <= max_seconds
    assert max_usd is None or played.search.spent_usd <= max_usd + 1e-9
    found = played.found
    if found.low is not None and found.high is not None:
        assert found.low.rate < found.high.rate
        assert found.low.outcomes.count("held") > found.low.outcomes.count("broke")
    if found.complete:
        assert found.low is not None
        assert found.low.outcomes.count("held") >= confirm


@pytest.mark.parametrize(("above", "limit"), [("broke", "system"), ("withheld", "generator"), ("unknown", "unknown")])
def test_the_limits_of_system_and_generator_are_told_apart(above: Outcome, limit: rate_searches.Limit) -> None:
    found = play(limited(800 * 60, above)).found

    assert found.limit == limit
    assert found.complete == (above == "broke")
    assert (found.withheld_from is not None) == (above == "withheld")


def test_a_generator_whose_limit_lies_above_that_of_the_system_is_named_beside_it() -> None:
    def both(rate: float) -> Outcome:
        return "held" if rate <= 500 * 60 else "broke" if rate < 700 * 60 else "withheld"

    found = play(both).found

    assert found.limit == "system"
    assert found.complete
    assert found.withheld_from is not None
    assert found.withheld_from >= 700 * 60


def test_one_bad_moment_does_not_decide() -> None:
    seen: list[float] = []

    def hiccup(rate: float) -> Outcome:
        seen.append(rate)
        return "held" if rate <= 800 * 60 and len(seen) != 2 else "broke"

    found = play(hiccup).found

    assert found.complete
    assert found.low is not None
    assert 800 * 60 / 1.05 <= found.low.rate <= 800 * 60


def test_a_bottom_that_does_not_hold_ends_the_search_once_it_is_confirmed() -> None:
    played = play(limited(100.0))

    assert played.search.ending == "none"
    assert [probe.rate for probe in played.search.probes] == [TERMS.lowest, TERMS.lowest]
    assert played.found.low is None
    assert not played.found.complete


def test_a_top_that_holds_is_the_answer_and_is_confirmed() -> None:
    played = play(limited(1e9))

    assert played.search.ending == "top"
    assert played.found.complete
    assert played.found.limit == "bracket"
    assert played.found.low is not None
    assert played.found.low.rate == TERMS.highest
    assert [probe.rate for probe in played.search.probes].count(TERMS.highest) == TERMS.confirm


@pytest.mark.parametrize(
    ("bound", "ending"),
    [
        (dataclasses.replace(TERMS, max_seconds=130.0), "time"),
        (dataclasses.replace(TERMS, max_usd=0.05, most_probe_usd=0.01), "cost"),
        (dataclasses.replace(TERMS, max_seconds=10.0), "time"),
    ],
)
def test_no_probe_begins_that_could_pass_a_bound(bound: rate_searches.SearchTerms, ending: str) -> None:
    played = play(limited(800 * 60), bound)

    assert played.search.ending == ending
    assert not played.found.complete


def test_a_probe_of_which_nobody_knows_the_cost_counts_with_what_it_costs_at_most() -> None:
    terms = dataclasses.replace(TERMS, max_usd=1.0, most_probe_usd=0.3)
    probe = rate_searches.RateProbe(number=1, rate=terms.lowest, run_id="r", outcome="held")
    search = rate_searches.SearchCourse(search_id="s", terms=terms, probes=(probe,), began_at=BEGAN, last_at=BEGAN)

    assert math.isclose(search.spent_usd, 0.3)


def test_the_time_in_which_no_process_was_at_work_does_not_count() -> None:
    search = rate_searches.SearchCourse(search_id="s", terms=TERMS, began_at=BEGAN, last_at=BEGAN)
    later = BEGAN + timedelta(hours=1)

    resumed = search_events.SearchResumed().apply(search, later)

    assert resumed.count_seconds(later + timedelta(seconds=5)) == 5.0


def test_an_open_probe_is_continued_and_a_lost_one_is_played_again() -> None:
    probe = rate_searches.RateProbe(number=1, rate=TERMS.lowest, run_id="r")
    search = rate_searches.SearchCourse(search_id="s", terms=TERMS, probes=(probe,), began_at=BEGAN, last_at=BEGAN)
    lost = search_events.ProbeLost(number=1, reason="interrupted", usd=None).apply(search, BEGAN)

    assert rate_searches.decide(search, BEGAN) == rate_searches.ContinueProbe(probe=probe)
    assert rate_searches.decide(lost, BEGAN) == rate_searches.BeginProbe(number=2, rate=TERMS.lowest)


RATIO = criteria.Criterion(name="admit_ratio", limit=0.995)
LATENCY = criteria.Criterion(name="latency_p95_ms", limit=200.0)


def answer(name: str, status: str = "PASS") -> criteria.GateAnswer:
    return criteria.GateAnswer(name=name, status=status, measured=None, why=f"why of {name}")


ALL_SENT = criteria.Sent(due=8000, sent=8000)


def judge(
    asked: tuple[criteria.Criterion, ...],
    gates: list[criteria.GateAnswer],
    sent: criteria.Sent | None = ALL_SENT,
) -> criteria.Judged:
    return criteria.judge(asked, gates, sent, least_sent=TERMS.least_sent)


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (criteria.Sent(due=8000, sent=7800), "held"),
        (criteria.Sent(due=8000, sent=7799), "withheld"),
        (criteria.Sent(due=344, sent=166), "withheld"),
        (criteria.Sent(due=0, sent=0), "withheld"),
        (None, "unknown"),
    ],
)
def test_a_generator_that_falls_behind_within_its_patience_says_nothing_of_the_rate(
    sent: criteria.Sent | None, outcome: str
) -> None:
    gates = [answer(name) for name in ("offered_load", "admit_ratio", "latency_p95_ms")]

    assert judge((RATIO, LATENCY), gates, sent).outcome == outcome


@pytest.mark.parametrize(
    ("gates", "outcome", "why"),
    [
        ({"offered_load": "PASS", "admit_ratio": "PASS", "latency_p95_ms": "PASS"}, "held", ""),
        ({"offered_load": "PASS", "admit_ratio": "FAIL", "latency_p95_ms": "PASS"}, "broke", "admit_ratio"),
        ({"offered_load": "PASS", "admit_ratio": "INVALID", "latency_p95_ms": "FAIL"}, "broke", "latency_p95_ms"),
        ({"offered_load": "FAIL", "admit_ratio": "FAIL", "latency_p95_ms": "FAIL"}, "withheld", "offered_load"),
        ({"offered_load": "FAIL", "admit_ratio": "PASS", "latency_p95_ms": "PASS"}, "withheld", "offered_load"),
        ({"offered_load": "INVALID", "admit_ratio": "PASS", "latency_p95_ms": "PASS"}, "unknown", "offered_load"),
        ({"admit_ratio": "PASS", "latency_p95_ms": "PASS"}, "unknown", "offered_load"),
        ({"offered_load": "PASS", "admit_ratio": "INVALID", "latency_p95_ms": "PASS"}, "unknown", "admit_ratio"),
        ({"offered_load": "PASS", "latency_p95_ms": "PASS"}, "unknown", "admit_ratio: no gate answers it"),
        (
            {"offered_load": "PASS", "admit_ratio": "FAIL", "latency_p95_ms": "PASS", "tasks_held": "FAIL"},
            "unknown",
            "tasks_held",
        ),
        (
            {"offered_load": "PASS", "admit_ratio": "PASS", "latency_p95_ms": "PASS", "settled": "INVALID"},
            "unknown",
            "settled",
        ),
    ],
)
def test_a_probe_speaks_of_the_system_only_where_its_evidence_is_sound(
    gates: dict[str, str], outcome: str, why: str
) -> None:
    judged = judge((RATIO, LATENCY), [answer(name, status) for name, status in gates.items()])

    assert judged.outcome == outcome
    assert why in judged.why


@hypothesis.given(
    statuses=strategies.lists(strategies.sampled_from(["PASS", "FAIL", "INVALID", None]), min_size=3, max_size=3)
)
def test_a_criterion_without_data_never_holds(statuses: list[str | None]) -> None:
    names = ("offered_load", "admit_ratio", "latency_p95_ms")
    gates = [answer(name, status) for name, status in zip(names, statuses, strict=True) if status is not None]

    judged = judge((RATIO, LATENCY), gates)

    assert (judged.outcome == "held") == (statuses == ["PASS", "PASS", "PASS"])


@pytest.mark.parametrize("status", ["PASS", "INVALID"])
def test_a_system_that_falls_behind_broke_though_no_criterion_fails(status: str) -> None:
    """Where many requests have no answer yet, nobody can tell a percentile: the queue tells enough."""
    gates = [answer("offered_load"), answer("admit_ratio"), answer("latency_p95_ms", status)]

    judged = criteria.judge(
        (RATIO, LATENCY), gates, ALL_SENT, least_sent=TERMS.least_sent, behind="the queue grew: 3, and 80 after 8 s"
    )

    assert (judged.outcome, judged.why) == ("broke", "the queue grew: 3, and 80 after 8 s")


def test_a_generator_that_withheld_names_the_answers_that_may_have_kept_its_senders_waiting() -> None:
    gates = [answer("offered_load", "FAIL"), answer("admit_ratio"), answer("latency_p95_ms", "FAIL")]

    judged = judge((RATIO, LATENCY), gates)

    assert judged.outcome == "withheld"
    assert "every sender may have waited for the system" in judged.why
    assert "latency_p95_ms" in judged.why


def test_without_criteria_nothing_holds() -> None:
    assert judge((), [answer("offered_load")]).outcome == "unknown"


@pytest.mark.parametrize(
    ("words", "parsed"),
    [
        ("admit_ratio>=0.995", ("admit_ratio", 0.995)),
        (" latency_p95_ms <= 200 ", ("latency_p95_ms", 200.0)),
        ("errors", ("error_ratio", 0.0)),
        ("max_lag", ("max_lag", None)),
        ("observed:lag.max.last-10s", ("observed:lag.max.last-10s", None)),
    ],
)
def test_a_criterion_is_written_in_the_words_of_gates(words: str, parsed: tuple[str, float | None]) -> None:
    assert criteria.parse(words) == parsed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "allowed: a gate with a limit"),
        ("admit_ratio<=0.9", "admit_ratio is held by >=, not <="),
        ("latency_p95_ms>=200", "latency_p95_ms is held by <=, not >="),
        ("max_lag<=10", "a limit can be set of admit_ratio"),
        ("admit_ratio>=1.2.3", "is no number"),
        ("admit_ratio>0.9", "allowed: a gate with a limit"),
        ("error_ratio<=1e999", "saw inf; allowed: a limit from 0 to 1"),
        ("admit_ratio>=1.5", "saw 1.5; allowed: a limit above 0 to 1"),
        ("latency_p95_ms<=0", "saw 0; allowed: a limit above 0 to 1000000000 ms"),
    ],
)
def test_a_bad_criterion_is_refused_with_what_is_allowed(words: str, said: str) -> None:
    with pytest.raises(errors.UsageError, match=said.replace("(", r"\(")):
        criteria.parse(words)
