"""Changes of terms: how the terms of two runs differ, which of them are weaker, and which a plan names.

Some terms are tuning as long as they get stricter (`_TIGHTENED_FREELY`): a rerun need not name those changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burst.domain.basics import canonical, instants, magnitudes
from burst.domain.plan import plan_keys, plans
from burst.domain.verdict import contract_terms, load_gates, load_terms

_DURATIONS = frozenset(
    {
        *("budget.max", "budget.min_window", "budget.window", "budget.operator_cap", contract_terms.GRACE),
        *(
            "receipts.settle",
            "receipts.max_skew",
            contract_terms.BUCKET,
            contract_terms.MAX_AGE,
            contract_terms.MAX_GAP,
            contract_terms.EVERY,
            contract_terms.OBSERVED_SETTLE,
        ),
    }
)
"""The terms in seconds."""
_AT_LEAST = frozenset(
    {
        *("gates.multiplier", "gates.multiplier_lower", "gates.admit_ratio", "gates.offered_load"),
        *("gates.min_admits", "gates.expect_duplicates", contract_terms.LEAST_RATE, contract_terms.LEAST_SPEED_UP),
        *("budget.min_window", "budget.window", "receipts.settle"),
    }
)
"""The terms of which less is weaker."""
_AT_MOST = frozenset(
    {
        *(
            "budget.max",
            "budget.operator_cap",
            contract_terms.GRACE,
            "receipts.max_skew",
            contract_terms.BUCKET,
            contract_terms.MAX_AGE,
            contract_terms.MAX_GAP,
        ),
        *(contract_terms.EVERY, contract_terms.OBSERVED_SETTLE, f"{contract_terms.REPRODUCES}.shares_within"),
        *(f"gates.{name}" for name in load_gates.ANSWER_GATES),
    }
)
"""The terms of which more, or no limit at all, is weaker."""
_NO_STRENGTH = frozenset({contract_terms.RULES, "phase"})
"""The terms that are neither weaker nor stronger than others."""
_TIGHTENED_FREELY = (
    *(
        contract_terms.GRACE,
        contract_terms.BUCKET,
        contract_terms.MAX_AGE,
        contract_terms.RATE,
        contract_terms.SOURCE,
        contract_terms.MOST_RECORDS,
        f"{contract_terms.STOP_WHEN}.",
        f"{contract_terms.SERVICES}.",
        f"{contract_terms.REQUIRES}.",
    ),
    *(contract_terms.INFORMATIONAL, contract_terms.PROMOTED),
)
"""The terms that are tuning too: a rerun that makes them stricter, or adds one, need not name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermChange:
    """One term, before and after; None where it was not required."""

    key: str
    before: Any
    after: Any

    @property
    def text(self) -> str:
        """The change in words, each value as a plan writes it."""
        return f"{self.key} {_text(self.key, self.before)} -> {_text(self.key, self.after)}"


def _is_duration(key: str) -> bool:
    """Whether a term is in seconds."""
    return key in _DURATIONS or (
        key.startswith(f"{contract_terms.DURING}.")
        and key.endswith((contract_terms.RECOVER_WITHIN, contract_terms.SUSTAINED))
    )


def _text(key: str, value: Any) -> str:
    if value is None:
        return "none"
    if _is_duration(key) and magnitudes.is_number(value):
        return instants.duration_text(value)
    return canonical.encode(value).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsComparison:
    """How the terms of a rerun stand to those of its prior."""

    named: tuple[plan_keys.ChangeSection, ...]
    """The changes that the plan names, and that are so."""
    unnamed: tuple[TermChange, ...]
    """The changes that it does not name."""
    idle: tuple[plan_keys.ChangeSection, ...]
    """What it names, and is not so."""
    unstated: tuple[str, ...]
    """The terms of the rerun that the prior does not state."""
    unknown: tuple[str, ...]
    """The terms of the prior that nobody can tell of the rerun."""


def compare(
    terms: contract_terms.Terms, prior: contract_terms.Terms, changes: Sequence[plan_keys.ChangeSection]
) -> TermsComparison:
    """The differences between two runs' terms, those that the plan names set apart."""
    keys = sorted({*terms.values, *prior.values})
    known_keys = [key for key in keys if terms.knows(key) and prior.knows(key)]
    differing = list(_list_differing(known_keys, terms, prior))
    named = [change for change in changes if any(_names(change, differs) for differs in differing)]
    return TermsComparison(
        named=tuple(named),
        unnamed=tuple(
            differs
            for differs in differing
            if not _is_tuning(differs) and not any(_names(change, differs) for change in changes)
        ),
        idle=tuple(change for change in changes if change not in named),
        unstated=tuple(key for key in keys if not prior.knows(key)),
        unknown=tuple(key for key in keys if prior.knows(key) and not terms.knows(key)),
    )


def _list_differing(
    keys: Sequence[str], terms: contract_terms.Terms, prior: contract_terms.Terms
) -> Iterator[TermChange]:
    for key in keys:
        before, after = prior.values.get(key), terms.values.get(key)
        if not _same(before, after):
            yield TermChange(key=key, before=before, after=after)


def _is_tuning(change: TermChange) -> bool:
    return change.key.startswith(_TIGHTENED_FREELY) and not _is_weaker(change)


def list_weaker(terms: contract_terms.Terms, before: contract_terms.Terms) -> tuple[TermChange, ...]:
    """The terms that ask less than before, and those of which nobody can say that they ask as much: another baseline,
    another question. Terms that one of the two does not state are passed over."""
    known_keys = [key for key in sorted({*terms.values, *before.values}) if terms.knows(key) and before.knows(key)]
    return tuple(change for change in _list_differing(known_keys, terms, before) if _is_weaker(change))


def _is_weaker(change: TermChange) -> bool:
    before, after = change.before, change.after
    are_numbers = magnitudes.is_number(before) and magnitudes.is_number(after)
    if change.key.startswith(contract_terms.INFORMATIONAL):
        return False  # it requires nothing, and a limit that becomes one is a required limit no more
    if change.key in _NO_STRENGTH or before is None:
        return change.key in (contract_terms.BASELINE, contract_terms.TIME_UNIT) or load_terms.is_other_load(change.key)
    if after is None:
        return True
    if change.key in contract_terms.WHOLE:
        whole = contract_terms.WHOLE[change.key]
        return bool(after != whole and (before == whole or after < before))
    if change.key == "layers.require":
        return not set(before) <= set(after)
    if change.key.startswith(f"{contract_terms.STOP_WHEN}."):
        return not _asks_more(after, before)  # a sign that is easier to reach stops more runs
    if change.key.startswith(f"{contract_terms.DURING}.") and are_numbers:
        is_longer = bool(after > before)
        return is_longer if change.key.endswith(contract_terms.RECOVER_WITHIN) else not is_longer
    if not are_numbers:
        return not _asks_more(before, after)
    key = change.key.partition("@")[0]  # a limit of a step is as strict as that of the whole burst
    if key in _AT_LEAST or (change.key.startswith(contract_terms.SHARES) and change.key.endswith(".at_least")):
        return bool(after < before)
    return bool(after > before) if key in _AT_MOST or change.key.startswith(contract_terms.SHARES) else True


def asks_as_much(before: Any, after: Any) -> bool:
    """Whether a question of another plan is the same one, with the same or a narrower limit, whatever its blocker."""
    was, now = ({**value, "blocker": None} if isinstance(value, Mapping) else value for value in (before, after))
    return _same(was, now) or _asks_more(was, now)


def _asks_more(before: Any, after: Any) -> bool:
    """Whether a fact is the same question with a narrower limit."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping) or before.keys() != after.keys():
        return False
    differing = [key for key in before if not _same(before[key], after[key])]
    return all(_is_narrower(key, before[key], after[key]) for key in differing)


def _is_narrower(key: str, before: Any, after: Any) -> bool:
    """Whether a limit of a question allows less than before."""
    if not magnitudes.is_number(before) or not magnitudes.is_number(after):
        return False
    return after < before if key == "at_most" else key == "at_least" and after > before


def _names(change: plan_keys.ChangeSection, differs: TermChange) -> bool:
    """Whether a plan names exactly this change."""
    key, expected = differs.key, ((change.from_, differs.before), (change.to, differs.after))
    return change.key == key and all(_same(_read_value(key, named), value) for named, value in expected)


def _read_value(key: str, named: Any) -> Any:
    """A value as a plan names it; durations may be written as plans write them."""
    if _is_duration(key) and isinstance(named, str):
        try:
            return instants.parse_duration(named)
        except ValueError:
            return named
    return named


def _same(first: Any, second: Any) -> bool:
    try:
        return canonical.encode(first) == canonical.encode(second)
    except ValueError:
        return False


def list_changed(terms: contract_terms.Terms, changes: Sequence[plan_keys.ChangeSection]) -> tuple[str, ...]:
    """The keys whose terms are not what they were before the first of these changes."""
    first: dict[str, Any] = {}
    for change in changes:
        first.setdefault(change.key, _read_value(change.key, change.from_))
    return tuple(key for key, value in first.items() if not _same(value, terms.values.get(key)))


def explain_change(change: plan_keys.ChangeSection) -> str:
    """A named change in words, with its reason."""
    values = (_text(change.key, _read_value(change.key, value)) for value in (change.from_, change.to))
    return f"{change.key} {' -> '.join(values)} ({change.why})"


def list_moved(plan: plans.Plan, prior: plans.Plan) -> Iterator[TermChange]:
    """The plan keys among a rerun's non-goals that its plan gives another value than the prior's plan."""
    ours, theirs = plan.document(), prior.document()
    for key in plan.rerun.guarded_keys if plan.rerun else ():
        before, after = (_find(value, key) for value in (theirs, ours))
        if not _same(before, after):
            yield TermChange(key=key, before=before, after=after)


def _find(value: Any, key: str) -> Any:
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
