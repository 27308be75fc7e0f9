"""Events of a search for the highest rate: what a line of its journal says, and what it changes.

An event is written before the act that it intends, or after the fact that it states:

    search-began, search-resumed      terms and the plan by digest; another process goes on
    probe-intended                    before anything of a run is launched, with its id
    probe-ended                       the run has its verdict, and this is what it says of the rate
    probe-lost                        the run says nothing: it never began, or was interrupted
    search-ended                      how it ended
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from burst.domain.course import course_journals, criteria, rate_searches

SCHEMA: Literal["burst.rate-search-journal/v1"] = "burst.rate-search-journal/v1"
NAME = "journal.jsonl"


class SearchEvent(course_journals.CourseEvent[rate_searches.SearchCourse]):
    """One thing that happened to a search, or is about to."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBegan(SearchEvent):
    """The terms, and the plan by its digest."""

    wire_name = "search-began"
    schema: Literal["burst.rate-search-journal/v1"]
    minor: int
    search_id: str
    plan_sha256: str
    terms: rate_searches.SearchTerms

    def apply(self, search: rate_searches.SearchCourse, at: datetime) -> rate_searches.SearchCourse:
        if search.search_id:
            raise ValueError("a search begins once")
        return replace(
            search,
            search_id=self.search_id,
            plan_sha256=self.plan_sha256,
            terms=self.terms,
            began_at=at,
            last_at=at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResumed(SearchEvent):
    """Another process goes on. The time in which none was at work does not count."""

    wire_name = "search-resumed"

    def apply(self, search: rate_searches.SearchCourse, at: datetime) -> rate_searches.SearchCourse:
        return replace(search, last_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeIntended(SearchEvent):
    """A run at a rate, which may be launched from now on."""

    wire_name = "probe-intended"
    number: int
    rate: float
    run_id: str

    def apply(self, search: rate_searches.SearchCourse, at: datetime) -> rate_searches.SearchCourse:
        if search.open_probe is not None or self.number != len(search.probes) + 1:
            raise ValueError(f"probe {self.number} cannot follow")
        probe = rate_searches.RateProbe(number=self.number, rate=self.rate, run_id=self.run_id)
        return _work(replace(search, probes=(*search.probes, probe)), at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEnded(SearchEvent):
    """What the run says of the rate, and where its evidence lies."""

    wire_name = "probe-ended"
    number: int
    outcome: criteria.Outcome
    why: str
    answers: tuple[criteria.GateAnswer, ...]
    seconds: float
    usd: float | None
    place: str | None
    sha256: str | None

    def apply(self, search: rate_searches.SearchCourse, at: datetime) -> rate_searches.SearchCourse:
        ended = search.with_probe(
            self.number,
            lambda probe: replace(
                probe,
                outcome=self.outcome,
                why=self.why,
                answers=self.answers,
                seconds=self.seconds,
                usd=self.usd,
                place=self.place,
                sha256=self.sha256,
            ),
        )
        return _work(ended, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLost(SearchEvent):
    """The run says nothing of the rate. `usd`: what it cost; None where nobody can tell."""

    wire_name = "probe-lost"
    number: int
    reason: str
    usd: float | None

    def apply(self, search: rate_searches.SearchCourse, at: datetime) -> rate_searches.SearchCourse:
        lost = search.with_probe(self.number, lambda probe: replace(probe, lost=True, why=self.reason, usd=self.usd))
        return _work(lost, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEnded(SearchEvent):
    """How the search ended."""

    wire_name = "search-ended"
    ending: rate_searches.Ending

    def apply(self, search: rate_searches.SearchCourse, at: datetime) -> rate_searches.SearchCourse:
        if search.open_probe is not None:
            raise ValueError("a probe is open")
        return _work(replace(search, ending=self.ending, ended_at=at), at)


def _work(search: rate_searches.SearchCourse, at: datetime) -> rate_searches.SearchCourse:
    """The search with the time since the event before as time at work."""
    return replace(search, worked_seconds=search.count_seconds(at), last_at=at)


EVENTS: dict[str, type[SearchEvent]] = {
    event.wire_name: event for event in (SearchBegan, SearchResumed, ProbeIntended, ProbeEnded, ProbeLost, SearchEnded)
}
MINOR = 0
FORM: course_journals.Form[SearchEvent, rate_searches.SearchCourse] = course_journals.Form(
    named="a search",
    schema=SCHEMA,
    minor=MINOR,
    events=EVENTS,
    empty=rate_searches.SearchCourse(),
    resumed=frozenset({SearchResumed.wire_name}),
)
