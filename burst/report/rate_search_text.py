"""A search for the highest rate as a document, and in words with a picture of its probes."""

import math
from typing import Literal

from burst.domain.basics import instants, wording
from burst.domain.course import rate_searches
from burst.domain.documents import rate_search_documents
from burst.domain.plan import plans

INTERRUPTED: Literal["interrupted"] = "interrupted"
EXIT_FOUND, EXIT_NOT_FOUND = 0, 3
_COLUMNS = 40
_ENDINGS = {
    "found": "the edge is found",
    "top": "the top of the bracket holds",
    "none": "the bottom of the bracket is not known to hold",
    "time": "--max-time leaves no room for another probe",
    "cost": "--max-cost leaves no room for another probe",
    "probes": "the outcomes contradict each other too often",
    INTERRUPTED: "interrupted",
}
_LIMITS = {
    "system": "the system under load breaks above it",
    "generator": "the generator withheld load above it, which says nothing of the system: more tasks may send more",
    "bracket": "nothing higher was asked: raise --to",
    "unknown": "above it nobody can tell",
}


def find_exit_code(search: rate_searches.SearchCourse) -> int:
    """0 where the highest rate is known, else 3."""
    return EXIT_FOUND if rate_searches.summarise(search).complete else EXIT_NOT_FOUND


def make_document(search: rate_searches.SearchCourse, plan: plans.Plan) -> rate_search_documents.RateSearch:
    """The answer of a search, as far as it has come."""
    terms, summary = search.required_terms, rate_searches.summarise(search)
    return rate_search_documents.RateSearch(
        search_id=search.search_id,
        phase=plan.phase,
        environment=plan.environment,
        plan_sha256=search.plan_sha256,
        criteria=list(terms.criteria),
        lowest_per_minute=terms.lowest,
        highest_per_minute=terms.highest,
        within=terms.within,
        confirm=terms.confirm,
        probe_seconds=terms.probe_seconds,
        max_seconds=terms.max_seconds,
        max_usd=terms.max_usd,
        state=search.ending or INTERRUPTED,
        complete=summary.complete,
        limit=summary.limit,
        highest_held=_make_rate(summary.low),
        lowest_not_held=_make_rate(summary.high),
        generator_withheld_from_per_minute=summary.withheld_from,
        advice=_make_advice(terms, summary),
        seconds=round(search.worked_seconds, 3),
        spent_usd=round(search.spent_usd, 6),
        probes=[_make_probe(probe) for probe in search.probes],
    )


def _make_rate(standing: rate_searches.RateStanding | None) -> rate_search_documents.RateEntry | None:
    if standing is None:
        return None
    return rate_search_documents.RateEntry(
        rate_per_minute=standing.rate,
        probes=len(standing.outcomes),
        outcome=standing.leader,
        confirmed=standing.settled,
    )


def _make_advice(
    terms: rate_searches.SearchTerms, summary: rate_searches.SearchSummary
) -> rate_search_documents.Advice:
    rate = None if summary.low is None else summary.low.rate
    headroom = None if rate is None or terms.needed is None else _find_headroom(rate, terms.needed)
    return rate_search_documents.Advice(
        rate=None if rate is None else terms.write_rate(rate), needed_per_minute=terms.needed, most_headroom=headroom
    )


def _find_headroom(rate: float, needed: float) -> float:
    """In few digits, and never more than holds."""
    return math.floor(rate / needed * 100) / 100


def _make_probe(probe: rate_searches.RateProbe) -> rate_search_documents.ProbeEntry:
    return rate_search_documents.ProbeEntry(
        number=probe.number,
        rate_per_minute=probe.rate,
        execution_id=probe.run_id,
        outcome=probe.outcome,
        why=probe.why,
        criteria=[
            rate_search_documents.CriterionAnswer(
                name=answer.name, status=answer.status, measured=answer.measured, why=answer.why
            )
            for answer in probe.answers
        ],
        seconds=probe.seconds,
        cost_usd=probe.usd,
        place=probe.place,
        snapshot_sha256=probe.sha256,
    )


def render(search: rate_searches.SearchCourse, plan: plans.Plan, folder: str) -> str:
    """The answer in words, the picture of the probes, and what to set."""
    terms, summary = search.required_terms, rate_searches.summarise(search)
    lines = [
        f"{search.search_id}  {plan.phase}  {_ENDINGS[search.ending or INTERRUPTED]}",
        f"holds: {', '.join(terms.criteria)}",
        *_draw(search),
        _state_answer(terms, summary),
    ]
    if summary.withheld_from is not None:
        lines.append(f"the generator withheld load from {terms.write_rate(summary.withheld_from)} on")
    lines += _advise(terms, summary)
    seconds = instants.duration_text(round(search.worked_seconds))
    cost = f", {search.spent_usd:.2f} USD" if plan.target.kind != "local" else ""
    lines.append(f"{wording.format_count(len(search.probes), 'probe')} in {seconds}{cost}; evidence: {folder}")
    if search.ending is None:
        lines.append(f"go on: burst find-rate --resume {folder}")
    return "\n".join(lines)


def _draw(search: rate_searches.SearchCourse) -> list[str]:
    """A line for each rate: its bar, what each probe of it said, and why it did not hold."""
    terms = search.required_terms
    lines = []
    for standing in search.find_standings():
        bar = "#" * max(1, round(standing.rate / terms.highest * _COLUMNS))
        whys = [probe.why for probe in search.probes if probe.rate == standing.rate and probe.why and not probe.lost]
        words = ", ".join(standing.outcomes)
        lines.append(f"{terms.write_rate(standing.rate):>12} {bar:<{_COLUMNS}} {words}")
        lines += [f"{'':>13}{whys[-1]}"] if whys else []
    return lines


def _state_answer(terms: rate_searches.SearchTerms, summary: rate_searches.SearchSummary) -> str:
    if summary.low is None:
        return f"no rate is known to hold; the lowest that was tried is {terms.write_rate(terms.lowest)}"
    confirmed = "" if summary.low.settled else ", not confirmed"
    limit = "nothing above it was seen" if summary.limit is None else _LIMITS[summary.limit]
    edge = "" if summary.high is None else f" ({terms.write_rate(summary.high.rate)} does not hold)"
    return f"highest rate that holds: {terms.write_rate(summary.low.rate)}{confirmed}{edge}; {limit}"


def _advise(terms: rate_searches.SearchTerms, summary: rate_searches.SearchSummary) -> list[str]:
    if summary.low is None:
        return []
    lines = [f"set load.rate: {terms.write_rate(summary.low.rate)} at most"]
    if terms.needed is not None:
        headroom, needed = _find_headroom(summary.low.rate, terms.needed), terms.write_rate(terms.needed)
        if headroom >= 1:
            lines.append(f"with rate: auto, set load.headroom: {headroom:g} at most; the multiple takes {needed}")
        else:
            lines.append(f"gates.multiplier takes {needed}, which is more than holds")
    return lines
