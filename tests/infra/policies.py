"""IAM policies, evaluated as far as burst's use them: an explicit deny wins, and what nothing allows is denied.

Only the operators the module writes are known; another one is an error here, never a guess.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from burst.rehearsal.permissions import Need

Statement = Mapping[str, Any]


def like(pattern: str, value: str) -> bool:
    """Whether a value fits an IAM pattern of `*` and `?`."""
    made = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(made, value, re.DOTALL) is not None


def _any(found: str | None, values: Sequence[str], test: Callable[[str, str], bool]) -> bool:
    return found is not None and any(test(value, found) for value in values)


def _same(wanted: str, found: str) -> bool:
    return wanted == found


_OPERATORS: dict[str, Callable[[str | None, Sequence[str]], bool]] = {
    "Null": lambda found, values: [str(found is None).lower()] == list(values),
    "Bool": lambda found, values: _any(found, values, _same),
    "StringEquals": lambda found, values: _any(found, values, _same),
    "StringNotEquals": lambda found, values: not _any(found, values, _same),
    "ArnEquals": lambda found, values: _any(found, values, like),
    "ArnLike": lambda found, values: _any(found, values, like),
    "ArnNotEquals": lambda found, values: not _any(found, values, like),
}


def listed(value: Any) -> list[str]:
    """One value or several, as several."""
    return [value] if isinstance(value, str) else list(value)


def covers(statement: Statement, need: Need) -> bool:
    """Whether a statement is about a need, its conditions held."""
    actions = listed(statement["Action"])
    if "NotResource" in statement:
        about = not any(like(pattern, need.resource) for pattern in listed(statement["NotResource"]))
    else:
        about = any(like(pattern, need.resource) for pattern in listed(statement["Resource"]))
    return (
        about
        and any(like(pattern.lower(), need.action.lower()) for pattern in actions)
        and all(
            _OPERATORS[operator](need.context.get(key), listed(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def denied_by(statements: Iterable[Statement], need: Need) -> list[str]:
    """The sids of the statements that deny a need."""
    return [one["Sid"] for one in statements if one["Effect"] == "Deny" and covers(one, need)]


def allowed(statements: Sequence[Statement], need: Need) -> bool:
    """Whether a role's policy allows a need."""
    return any(one["Effect"] == "Allow" and covers(one, need) for one in statements) and not denied_by(statements, need)
