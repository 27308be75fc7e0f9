"""The search for the highest rate at which criteria hold: its state, and the decision what comes next.

The system is taken to be monotone: a criterion that fails at a rate fails at each rate above it. The bracket is halved
on a scale of ratios. A rate of the answer is seen as often as the terms say, and the most frequent outcome stands, so
that one bad moment of the machine decides nothing. An unknown outcome never holds.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

from burst.domain.basics import instants
from burst.domain.course import criteria
from burst.domain.course.criteria import Outcome

Ending = Literal["found", "top", "none", "time", "cost", "probes"]
"""How a search ends: the edge is found, the top of the bracket holds, its bottom does not, or a bound is reached."""
Limit = Literal["system", "generator", "bracket", "unknown"]
"""What keeps the rate from being higher."""
_PER_MINUTE = {"s": 60.0, "min": 1.0}
_DIGITS = 4
"""Of a rate between two others: more say nothing, and read badly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTerms:
    """The criteria and the bounds of a search. Rates are events a minute.

    `within`: how far the two rates of the answer may be apart, as a share of the lower one. `confirm`: how often each
    of them is seen. `most_probe_seconds` and `most_probe_usd`: what one probe takes at most; None: nobody can tell.
    """

    criteria: tuple[str, ...]
    lowest: float
    highest: float
    within: float
    confirm: int
    probe_seconds: float
    max_seconds: float
    max_usd: float | None
    most_probe_seconds: float
    most_probe_usd: float | None
    unit: Literal["s", "min"] = "min"
    """In which rates are written: events a second, or a minute."""
    needed: float | None = None
    """The rate that the plan's multiple of its baseline takes, without headroom; None where it asks for none."""

    def write_rate(self, rate: float) -> str:
        """A rate as a plan takes it."""
        return f"{rate / _PER_MINUTE[self.unit]:.12g}/{self.unit}"

    @property
    def least_sent(self) -> float:
        """The share of what is due that a probe has to send, so that it speaks of its rate as exactly as is asked."""
        return 1 - self.within / 2

    @property
    def least_probes(self) -> int:
        """How many probes a steady system takes at most."""
        halvings = math.log2(max(1.0, math.log(self.highest / self.lowest) / math.log1p(self.within)))
        return 3 + math.ceil(halvings) + 2 * (self.confirm - 1)

    @property
    def most_probes(self) -> int:
        """How many probes the search takes at most, however unsteady the system is."""
        return 3 * self.least_probes


@dataclass(frozen=True, slots=True, kw_only=True)
class RateProbe:
    """One run at a rate. `outcome` None: it has not ended, or is lost, and says nothing."""

    number: int
    rate: float
    run_id: str
    outcome: Outcome | None = None
    lost: bool = False
    why: str = ""
    answers: tuple[criteria.GateAnswer, ...] = ()
    seconds: float | None = None
    usd: float | None = None
    """What it cost by list prices; None where nobody can tell."""
    place: str | None = None
    sha256: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was intended and has no end yet."""
        return self.outcome is None and not self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStanding:
    """What all probes of one rate say together."""

    rate: float
    outcomes: tuple[Outcome, ...]
    confirm: int

    @property
    def leader(self) -> Outcome | None:
        """The most frequent outcome; None where two are equally frequent."""
        (first, count), *others = Counter(self.outcomes).most_common()
        return None if others and others[0][1] == count else first

    @property
    def settled(self) -> bool:
        """Whether the leader was seen often enough."""
        return self.leader is not None and self.outcomes.count(self.leader) >= self.confirm

    @property
    def holds(self) -> bool:
        """Whether the criteria hold, as far as was seen."""
        return self.leader == "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCourse:
    """A search, folded from its journal."""

    search_id: str = ""
    plan_sha256: str = ""
    terms: SearchTerms | None = None
    probes: tuple[RateProbe, ...] = ()
    began_at: datetime | None = None
    last_at: datetime | None = None
    worked_seconds: float = 0.0
    """How long processes were at work on it, up to `last_at`."""
    ending: Ending | None = None
    ended_at: datetime | None = None

    @property
    def required_terms(self) -> SearchTerms:
        """The terms. Raises LookupError before the search began."""
        if self.terms is None:
            raise LookupError("the search has not begun")
        return self.terms

    def with_probe(self, number: int, change: Callable[[RateProbe], RateProbe]) -> "SearchCourse":
        """The search with a change of an open probe. Raises LookupError for one that is not open."""
        if not any(probe.number == number and probe.is_open for probe in self.probes):
            raise LookupError(f"probe {number} is not open")
        return replace(self, probes=tuple(change(probe) if probe.number == number else probe for probe in self.probes))

    @property
    def open_probe(self) -> RateProbe | None:
        """The probe that was intended and has no end; the last one alone can be."""
        return next((probe for probe in self.probes if probe.is_open), None)

    def find_standings(self) -> tuple[RateStanding, ...]:
        """What is known of each rate, the lowest first."""
        outcomes: dict[float, list[Outcome]] = {}
        for probe in self.probes:
            if probe.outcome is not None:
                outcomes.setdefault(probe.rate, []).append(probe.outcome)
        confirm = self.required_terms.confirm
        return tuple(
            RateStanding(rate=rate, outcomes=tuple(outcomes[rate]), confirm=confirm) for rate in sorted(outcomes)
        )

    def count_seconds(self, now: datetime) -> float:
        """How long processes have been at work on it, this one until now."""
        if self.last_at is None:
            return 0.0
        return self.worked_seconds + max(0.0, instants.seconds_between(self.last_at, now))

    @property
    def spent_usd(self) -> float:
        """What its probes cost; one whose cost nobody can tell, as much as a probe costs at most."""
        most = self.required_terms.most_probe_usd or 0.0
        return math.fsum(most if probe.usd is None else probe.usd for probe in self.probes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The two rates between which the criteria cease to hold, as far as is known. `low`: the highest that holds;
    `high`: the lowest that does not."""

    low: RateStanding | None
    high: RateStanding | None

    @property
    def limit(self) -> Limit | None:
        """What keeps the rate from being higher; None where nothing above was seen."""
        if self.high is None:
            return None
        return "system" if self.high.leader == "broke" else "generator" if self.high.leader == "withheld" else "unknown"


def find_edge(standings: Iterable[RateStanding]) -> Edge:
    """The edge in what is known of each rate. No rate above one that does not hold is said to hold."""
    low: RateStanding | None = None
    for standing in sorted(standings, key=lambda each: each.rate):
        if not standing.holds:
            return Edge(low=low, high=standing)
        low = standing
    return Edge(low=low, high=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginProbe:
    """A new probe, at this rate."""

    number: int
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueProbe:
    """A probe that was intended: it is looked for, and never launched a second time."""

    probe: RateProbe


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSearch:
    """Nothing is left to see, or to spend."""

    ending: Ending


Act: TypeAlias = BeginProbe | ContinueProbe | EndSearch


def decide(search: SearchCourse, now: datetime) -> Act:
    """The next act. No probe begins that could pass a bound."""
    open_probe = search.open_probe
    if open_probe is not None:
        return ContinueProbe(probe=open_probe)
    chosen = _choose(search)
    if isinstance(chosen, EndSearch):
        return chosen
    terms, played = search.required_terms, sum(probe.outcome is not None for probe in search.probes)
    if played >= terms.most_probes:
        return EndSearch(ending="probes")
    if search.count_seconds(now) + terms.most_probe_seconds > terms.max_seconds:
        return EndSearch(ending="time")
    if terms.max_usd is not None and search.spent_usd + (terms.most_probe_usd or 0.0) > terms.max_usd:
        return EndSearch(ending="cost")
    return BeginProbe(number=len(search.probes) + 1, rate=chosen)


def _choose(search: SearchCourse) -> float | EndSearch:
    """The rate to be seen next, whatever it takes."""
    terms, standings = search.required_terms, search.find_standings()
    edge = find_edge(standings)
    if edge.high is not None and edge.high.leader is None:
        return edge.high.rate
    if edge.low is None:
        if edge.high is None or edge.high.rate > terms.lowest:
            return terms.lowest
        return EndSearch(ending="none") if edge.high.settled else terms.lowest
    top = terms.highest if edge.high is None else edge.high.rate
    if top / edge.low.rate - 1 > terms.within:
        return find_middle(edge.low.rate, top, _PER_MINUTE[terms.unit])
    if edge.high is None and edge.low.rate < terms.highest:
        return terms.highest
    for standing in (edge.low, edge.high):
        if standing is not None and not standing.settled:
            return standing.rate
    return EndSearch(ending="top" if edge.high is None else "found")


def find_middle(low: float, high: float, unit: float) -> float:
    """The rate that is as many times above `low` as below `high`, in few digits of its unit where one lies between
    them."""
    middle = math.sqrt(low * high)
    short = float(f"{middle / unit:.{_DIGITS}g}") * unit
    return short if low < short < high else middle


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSummary:
    """What a search has found so far. Rates are events a minute."""

    low: RateStanding | None
    high: RateStanding | None
    limit: Limit | None
    complete: bool = field(default=False)
    """Whether the highest rate is known: both rates of the edge were seen often enough and are near each other, and
    it is the system that broke; or the top of the bracket holds."""
    withheld_from: float | None = None
    """The lowest rate that the generator did not send, as often as it sent it."""


def summarise(search: SearchCourse) -> SearchSummary:
    """What a search has found so far."""
    standings = search.find_standings()
    edge = find_edge(standings)
    limit: Limit | None = "bracket" if search.ending == "top" else edge.limit
    withheld = next((standing.rate for standing in standings if standing.leader == "withheld"), None)
    return SearchSummary(
        low=edge.low,
        high=edge.high,
        limit=limit,
        complete=search.ending == "top" or (search.ending == "found" and limit == "system"),
        withheld_from=withheld,
    )
