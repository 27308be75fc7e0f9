"""Reproduced questions: whether a run that repeats another asks the same, and holds the answers to as much."""

from collections.abc import Collection, Mapping
from typing import Any

from burst.domain.verdict import gates, term_changes

_FACTS, _SERIES = "facts.", "observe.series."
"""How the terms begin of facts, and of observed series and their rules."""


def list_weaker(names: Collection[str], stated: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """The invariants, by name, that the terms of a run ask by another question than those of its reference state, or
    hold to less. Blockers are passed over: each kind has its own."""
    return [
        name
        for name in sorted(names)
        if not all(
            any(term_changes.asks_as_much(question, answer) for answer in _find_questions(own, name, key))
            for key, question in stated.items()
            if _names_invariant(key, name)
        )
    ]


def _names_invariant(key: str, name: str) -> bool:
    """Whether a term is the question of an invariant: of a fact, or of an observed series and its rule."""
    if key.startswith(_FACTS):
        return key.removeprefix(_FACTS).partition(".")[2] == name
    if not key.startswith(_SERIES) or not name.startswith(gates.OBSERVED):
        return False
    observed_name, series = name.removeprefix(gates.OBSERVED), key.removeprefix(_SERIES)
    return observed_name == series or observed_name.startswith(f"{series}.")


def _find_questions(own: Mapping[str, Any], name: str, key: str) -> list[Any]:
    """The questions of a run that may be the one of its reference under this key."""
    if key.startswith(_SERIES):
        return [own[key]] if key in own else []
    return [question for term, question in own.items() if term.startswith(_FACTS) and _names_invariant(term, name)]
