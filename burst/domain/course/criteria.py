"""Criteria of a search: the gates that have to pass at a rate, and how the gates of one probe judge it.

A criterion is the name of a gate, with a limit or with the one that the plan sets. A probe says something of the system
under load only where every other gate of it passes: the generator sent what was due in time, the tasks held, and the
receipts were counted soundly.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from burst.domain.basics import errors

Outcome = Literal["held", "broke", "withheld", "unknown"]
"""What a probe says: every criterion held, one did not, the generator withheld load, or nobody can tell."""
Comparison = Literal["at_least", "at_most"]
LIMITS: dict[str, Comparison] = {
    "admit_ratio": "at_least",
    "latency_p95_ms": "at_most",
    "latency_p99_ms": "at_most",
    "error_ratio": "at_most",
    "client_error_ratio": "at_most",
    "server_error_ratio": "at_most",
}
"""The limits of a plan that a criterion may set, and on which side of them it holds."""
ERRORS = "errors"
"""Short for `error_ratio<=0`."""
OFFERED_LOAD = "offered_load"
_MOST_MILLISECONDS = 1e9
_SIGNS: dict[Comparison, str] = {"at_least": ">=", "at_most": "<="}
_FORM = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.:-]*?)(?:(?P<sign>>=|<=)(?P<limit>[0-9][0-9.eE+-]*))?")
_ALLOWED = (
    f"a gate with a limit, such as admit_ratio>=0.995 or latency_p95_ms<=200, {ERRORS} for none at all, or the name "
    "of a gate that the plan asks"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One gate that has to pass. `limit` None: the gate is a fact or an observed series, whose limit the plan has."""

    name: str
    limit: float | None = None

    @property
    def words(self) -> str:
        """The criterion as the command line takes it."""
        return self.name if self.limit is None else f"{self.name}{_SIGNS[LIMITS[self.name]]}{self.limit:.15g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """The answer of one gate of a probe."""

    name: str
    status: str
    measured: bool | int | float | str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a probe says, why, and the answers of its criteria."""

    outcome: Outcome
    why: str
    answers: tuple[GateAnswer, ...] = ()


def parse(words: str) -> tuple[str, float | None]:
    """The name and the limit of a criterion as it is written. Raises `errors.UsageError`."""
    if words.strip() == ERRORS:
        return "error_ratio", 0.0
    match = _FORM.fullmatch(re.sub(r"\s+", "", words))
    if match is None:
        raise errors.UsageError(f"--criterion {words}: allowed: {_ALLOWED}")
    name, sign = match["name"], match["sign"]
    if sign is None:
        return name, None
    if name not in LIMITS:
        raise errors.UsageError(f"--criterion {words}: a limit can be set of {', '.join(LIMITS)}; {name} has its own")
    if sign != _SIGNS[LIMITS[name]]:
        raise errors.UsageError(f"--criterion {words}: {name} is held by {_SIGNS[LIMITS[name]]}, not {sign}")
    try:
        limit = float(match["limit"])
    except ValueError:
        raise errors.UsageError(f"--criterion {words}: {match['limit']} is no number") from None
    _refuse_unfit_limit(words, name, limit)
    return name, limit


def _refuse_unfit_limit(words: str, name: str, limit: float) -> None:
    """Raises `errors.UsageError` for a limit that no plan may set."""
    is_ratio, may_be_zero = not name.endswith("_ms"), name != "admit_ratio" and not name.endswith("_ms")
    fits = 0 <= limit <= (1 if is_ratio else _MOST_MILLISECONDS) and (limit > 0 or may_be_zero)
    if not fits:
        allowed = f"{'from' if may_be_zero else 'above'} 0 to {'1' if is_ratio else f'{_MOST_MILLISECONDS:.0f} ms'}"
        raise errors.UsageError(f"--criterion {words}: saw {limit:g}; allowed: a limit {allowed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The events that were due in the window, as far as it is judged, and those of them that were sent."""

    due: float
    sent: float

    @property
    def share(self) -> float:
        """The share that was sent; none where nothing was due."""
        return min(1.0, self.sent / self.due) if self.due > 0 else 0.0


def judge(
    criteria: Sequence[Criterion],
    gates: Iterable[GateAnswer],
    sent: Sent | None,
    *,
    least_sent: float,
    behind: str = "",
) -> Judged:
    """What a probe says, from all of its gates. A criterion that no gate answers never holds.

    `offered_load` forgives what is late by less than its patience, which in a short window is much of the rate. So the
    probe has to have sent a share of `least_sent` of all that was due; `sent` None: nobody can tell. `behind` says in
    words that the system fell behind what it was sent: then no longer window would hold.
    """
    answers = {gate.name: gate for gate in gates}
    names = {criterion.name for criterion in criteria}
    judged_gates = tuple(answers[criterion.name] for criterion in criteria if criterion.name in answers)
    unsent = _judge_sending(answers.get(OFFERED_LOAD), sent, least_sent, judged_gates)
    if unsent is not None:
        return unsent
    unsound = next((gate for name, gate in answers.items() if name not in names and gate.status != "PASS"), None)
    if unsound is not None:
        return Judged(outcome="unknown", why=f"{unsound.name}: {unsound.why}", answers=judged_gates)
    broke = [gate for gate in judged_gates if gate.status == "FAIL"]
    if broke:
        return Judged(
            outcome="broke", why="; ".join(f"{gate.name}: {gate.why}" for gate in broke), answers=judged_gates
        )
    if behind and criteria:  # also where the answers that are missing leave a criterion without data
        return Judged(outcome="broke", why=behind, answers=judged_gates)
    dataless = [gate for gate in judged_gates if gate.status != "PASS"]
    silent = [criterion.name for criterion in criteria if criterion.name not in answers]
    if dataless or silent or not criteria:
        words = [f"{gate.name}: {gate.why}" for gate in dataless] + [f"{name}: no gate answers it" for name in silent]
        return Judged(outcome="unknown", why="; ".join(words) or "there is no criterion", answers=judged_gates)
    return Judged(outcome="held", why="", answers=judged_gates)


def _judge_sending(
    offered: GateAnswer | None, sent: Sent | None, least_sent: float, judged_gates: tuple[GateAnswer, ...]
) -> Judged | None:
    """What a probe says whose generator withheld load, or of which nobody can tell; None where it sent its load."""
    if offered is None or offered.status not in ("PASS", "FAIL"):
        why = "nobody can tell what the generator sent" if offered is None else offered.why
        return Judged(outcome="unknown", why=f"{OFFERED_LOAD}: {why}", answers=judged_gates)
    if offered.status == "FAIL":
        return Judged(outcome="withheld", why=_name_late_answers(offered.why, judged_gates), answers=judged_gates)
    if sent is None:
        return Judged(outcome="unknown", why="nobody can tell how much of what was due was sent", answers=judged_gates)
    if not sent.share >= least_sent:
        why = f"the generator sent {sent.share:.1%} of what was due in the window, and {least_sent:.1%} is asked"
        return Judged(outcome="withheld", why=_name_late_answers(why, judged_gates), answers=judged_gates)
    return None


def _name_late_answers(why: str, judged_gates: Iterable[GateAnswer]) -> str:
    """Why the generator withheld load, with what the answers to the rest were like: a system that answers late keeps
    every sender waiting, and only its own figures can tell that from a generator that is too slow."""
    late = [f"{gate.name}: {gate.why}" for gate in judged_gates if gate.name in LIMITS and gate.status == "FAIL"]
    if not late:
        return why
    words = (
        "what was sent did not hold either, so every sender may have waited for the system, or the machine is too slow"
    )
    return f"{why}; {words}: {'; '.join(late)}"
