"""Early stop: rules that end a hopeless burst in its first seconds, and never a good one by peeking.

Rails first: a rail fires only when no continuation can pass, so it has no error probability. Then one anytime-valid
test on the admit ratio, valid at any stopping time and under any dependence within a bet. There is no early PASS.
A rule that lacks a figure (no declared rate, no source limit) answers None: not evaluable, never passed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from burst.domain.basics import arrivals
from burst.domain.receipts import receipts

ALPHA = 1e-3
"""Probability, over the whole run, that the test ends a burst whose admit ratio is at the gate or above."""
LOAD_WITHHELD = "load-withheld"
"""The rule that stops a burst for its generator, and not for the system under load."""
MIN_RECEIPTS = 200
MIN_SECONDS = 30.0
BET_SECONDS = 10.0
"""The least time of one bet. A gateway that redelivers does so in storms of seconds. A storm has to lie in one bet or
two, or its duplicates are taken for independent ones: with bets of 2 s and storms of 10 s one good burst in ten was
ended in 20 minutes (`make bench ARGS=betting`)."""
_BETS = 24
_ROUNDING = 1e-12
"""More than the gate's own divisions can round by, so that the rail never stops a burst that the gate would pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopTerms:
    """The promises of a burst that early stop needs. `offered_per_second` None: no rate is declared."""

    admit_ratio: float | None
    """None: the plan asks for none."""
    window_seconds: float
    min_window_seconds: float
    """The shortest window that passes: tasks whose source is spent end before the declared one does."""
    required_admits_per_second: float | None
    offered_per_second: float | None
    source_events: int | None
    no_receipts_seconds: float
    offered_load: float = 0.0
    """The share of what is due that has to be sent in time."""
    tail_seconds: float = 0.0
    """How long after the window's declared end the last task may still stop, and so lengthen it."""
    arrivals: str | None = None
    min_admits: int | None = None
    planned_events: int | None = None
    """All events of a load whose rate changes, from GO to its end, counted or not; `offered_per_second` is then the
    highest rate. None where there is one rate."""
    admit_share: float | None = None
    """The least share of ADMIT among all receipts."""

    @property
    def most_due(self) -> int | None:
        """The most events that can be due in the window and its tail; None where no rate is declared."""
        if self.offered_per_second is None:
            return None
        mean = self.offered_per_second * (self.window_seconds + self.tail_seconds)
        if self.planned_events is not None:
            mean = float(self.planned_events)
        most = math.ceil(mean + arrivals.allow_for_chance(mean, self.arrivals)) + 1
        return most if self.source_events is None else min(most, self.source_events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One disjoint, closed slice of the window: its length and its receipts."""

    seconds: float
    counts: receipts.Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Hopeless:
    """Why the burst cannot pass any more: the rule, and its figures in words."""

    rule: str
    detail: str


def further_receipts(terms: EarlyStopTerms, arrived: int) -> int | None:
    """The most receipts that can still arrive in the window, None where nothing limits them.

    An open arrival rate offers at most rate x (window and tail) events in all, a source at most its events.
    """
    most = terms.source_events if terms.most_due is None else terms.most_due
    return None if most is None else max(0, most - arrived)


def find_withheld(due: int, in_time: int, terms: EarlyStopTerms) -> Hopeless | None:
    """Why the generator can no longer have sent enough of its events in time; None while it can.

    An event that was not sent in time stays so, however good the rest is; and no more is due than the plan declares.
    """
    most = terms.most_due
    if most is None:
        return None
    if due - in_time <= (1 - terms.offered_load) * max(most, due) + _ROUNDING * most:
        return None
    return Hopeless(
        rule=LOAD_WITHHELD,
        detail=f"the generator sent {in_time:,} of {due:,} due in time, and at most {most:,} are due in all",
    )


def ratio_impossible(counts: receipts.Counts, further: int, required: float) -> bool:
    """Whether the admit ratio misses the gate even if every further receipt is an ADMIT.

    r*D > (1-r)*(A+N), in exact fractions.
    """
    r = Fraction(repr(required))
    return r * counts.duplicate > (1 - r) * (counts.admit + further)


def multiplier_impossible(counts: receipts.Counts, further: int, terms: EarlyStopTerms) -> bool:
    """Whether the required rate is missed in the shortest window that passes, though all that follows be ADMIT.

    A longer window asks for more.
    """
    if terms.required_admits_per_second is None:
        return False
    required = terms.required_admits_per_second * terms.min_window_seconds
    return counts.admit + further < required * (1 - _ROUNDING)


def admits_impossible(counts: receipts.Counts, further: int, terms: EarlyStopTerms) -> str:
    """Why too few receipts can become ADMIT, though all that follow be ADMIT; empty where that is not sure.

    There is no such rule for other decisions: an event that is delivered again has one more DUPLICATE or QUARANTINE, so
    nothing limits those.
    """
    words = f"{counts.admit:,} of {counts.total:,} receipts are ADMIT and at most {further:,} can follow"
    if terms.min_admits is not None and counts.admit + further < terms.min_admits:
        return f"{words}; {terms.min_admits:,} ADMIT are required"
    share = terms.admit_share
    if share is not None and counts.total and counts.admit + further < Fraction(repr(share)) * (counts.total + further):
        return f"{words}; a share of at least {share:g} is required"
    return ""


def gather_bets(polls: Sequence[Poll]) -> tuple[Poll, ...]:
    """Polls in a row as bets of at least `BET_SECONDS`; a last one that is too short yet is left out."""
    bets: list[Poll] = []
    seconds, counts = 0.0, receipts.Counts()
    for poll in polls:
        seconds, counts = seconds + poll.seconds, counts + poll.counts
        if seconds >= BET_SECONDS:
            bets.append(Poll(seconds=seconds, counts=counts))
            seconds, counts = 0.0, receipts.Counts()
    return tuple(bets)


def capital(polls: Sequence[Poll], terms: EarlyStopTerms) -> float | None:
    """The betting capital against "the admit ratio is at the gate or above"; None where not evaluable.

    K = mean over bets of prod_j (1 + bet * (r*n_j - A_j) / C), a non-negative supermartingale under that hypothesis
    (Waudby-Smith and Ramdas, arXiv:2010.09686; Ville's inequality bounds P(ever K >= 1/alpha) by alpha). C bounds a
    poll's receipts; a poll above it makes the test not evaluable.
    """
    r = terms.admit_ratio
    if r is None or terms.offered_per_second is None or not polls:
        return None
    longest = max(poll.seconds for poll in polls)
    cap = 1.5 * terms.offered_per_second * longest + 1
    if any(poll.counts.decided > cap for poll in polls):
        return None
    low, high = 0.5, max(0.6, 0.9 / (1 - r)) if r < 1 else 1000.0
    bets = [low * (high / low) ** (index / (_BETS - 1)) for index in range(_BETS)]
    logs = [sum(_log_factor(bet, r, poll, cap) for poll in polls) for bet in bets]
    top = max(logs)
    return math.exp(min(top, 700.0)) * sum(math.exp(value - top) for value in logs) / _BETS


def _log_factor(bet: float, ratio: float, poll: Poll, cap: float) -> float:
    factor = 1 + bet * (ratio * poll.counts.decided - poll.counts.admit) / cap
    return math.log(factor) if factor > 0 else -math.inf


def find_reason_to_stop(polls: Sequence[Poll], elapsed_seconds: float, terms: EarlyStopTerms) -> Hopeless | None:
    """Why the burst cannot pass any more, None while it can or may."""
    counts = sum((poll.counts for poll in polls), receipts.Counts())
    further = further_receipts(terms, counts.total)
    ratio = terms.admit_ratio
    if further is not None and ratio is not None and ratio_impossible(counts, further, ratio):
        return Hopeless(
            rule="ratio-impossible",
            detail=f"{counts.duplicate} of {counts.decided} receipts are DUPLICATE and at most {further} can follow",
        )
    if further is not None and multiplier_impossible(counts, further, terms):
        return Hopeless(
            rule="multiplier-impossible",
            detail=f"{counts.admit} receipts are ADMIT and at most {further} can follow",
        )
    admits = "" if further is None else admits_impossible(counts, further, terms)
    if admits:
        return Hopeless(rule="admits-impossible", detail=admits)
    counted_seconds = sum(poll.seconds for poll in polls)  # time that was not counted proves nothing
    if polls and counts.total == 0 and counted_seconds >= terms.no_receipts_seconds:
        return Hopeless(rule="no-receipts", detail=f"not one receipt in {counted_seconds:.0f} s")
    if counts.decided >= MIN_RECEIPTS and elapsed_seconds >= MIN_SECONDS:
        bets = gather_bets(polls)
        now, before = capital(bets, terms), capital(bets[:-1], terms)
        if now is not None and before is not None and min(now, before) >= 1 / ALPHA:
            return Hopeless(
                rule="ratio-betting-test",
                detail=f"the admit ratio is below {terms.admit_ratio} (evidence {min(now, before):.3g}, error {ALPHA})",
            )
    return None
