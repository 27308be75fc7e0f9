"""Problems of a plan: what is wrong with it, in words a person can act on, each pointed at by line and key.

Two kinds are found here: texts that no plan may hold (placeholders, passwords in addresses), and what the models
refused, told in a plan's words rather than pydantic's. What was seen is shown only where it cannot be a secret.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pydantic

from burst.domain.plan import field_types, yaml_lines

_PLACEHOLDER = re.compile(r"REPLACE_ME|TO_PIN|(?<![A-Za-z0-9])TBD(?![A-Za-z0-9])|<[^<>]*>")
_LINE_BREAKING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ufeff]")
"""Characters that YAML reads as line ends or refuses, so that `plan.json` would not read back as it was written."""
_USERINFO = re.compile(r"://[^\s@]*@")
_QUERY = re.compile(r"\?[^\s'\"]+")
_SECTION_ERRORS = {
    "model_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "list_type": "a list",
}
"""What was wanted where a whole section is of the wrong kind; what stands there instead may be a secret."""


def find_unfilled(source: yaml_lines.Source) -> Iterator[yaml_lines.Problem]:
    """Texts that were never filled in, and those that no plan may hold."""
    for path, text in _leaves(source.value, ()):
        free_text = path[-1] == "sql"
        found = _PLACEHOLDER.search(text)
        if not text.strip() or (found and not (free_text and found.group().startswith("<"))):
            seen = "an empty value" if not text.strip() else f"the placeholder {found.group()}" if found else ""
            yield yaml_lines.Problem(
                line=source.line(path), key=yaml_lines.format_path(path), seen=seen, allowed="the real value"
            )
        elif odd := _LINE_BREAKING.search(text):
            seen = f"the character U+{ord(odd.group()):04X}"
            yield yaml_lines.Problem(
                line=source.line(path),
                key=yaml_lines.format_path(path),
                seen=seen,
                allowed="text without control characters",
            )
        elif _USERINFO.search(text):
            yield yaml_lines.Problem(
                line=source.line(path),
                key=yaml_lines.format_path(path),
                seen="an address with a user or password in it (hidden)",
                allowed="an address without them; secrets are references such as env:NAME",
            )


def _leaves(value: Any, path: yaml_lines.Path) -> Iterator[tuple[yaml_lines.Path, str]]:
    """Every text in the value; a key with nothing behind it is an empty one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    elif value is None:
        yield path, ""
    elif isinstance(value, str):
        yield path, value


def explain_refusal(
    exc: pydantic.ValidationError, source: yaml_lines.Source, whole: type[pydantic.BaseModel]
) -> Iterable[yaml_lines.Problem]:
    """What the model of a whole plan refused of its text, one problem a key."""
    return _one_of_each_key(
        _problem(error, source, whole) for error in exc.errors(include_url=False, include_input=False)
    )


def _one_of_each_key(problems: Iterable[yaml_lines.Problem]) -> Iterable[yaml_lines.Problem]:
    """A value that fits no member of a union is one problem, not one for each member."""
    merged: dict[str, yaml_lines.Problem] = {}
    for problem in problems:
        earlier = merged.get(problem.key)
        merged[problem.key] = (
            replace(earlier, allowed=f"{earlier.allowed} or {problem.allowed}") if earlier else problem
        )
    return merged.values()


def _problem(
    error: Mapping[str, Any], source: yaml_lines.Source, whole: type[pydantic.BaseModel]
) -> yaml_lines.Problem:
    path = tuple(step for step in error["loc"] if not (isinstance(step, str) and step.startswith("function-")))
    while path and not source.has(path, absent_last=error["type"] == "missing"):
        path = path[:-1]  # pydantic adds a union member's name behind the key
    misfit = error.get("ctx", {}).get("error")
    if isinstance(misfit, field_types.Misfit):
        path = (*path, *misfit.key)
    if error["type"] == "missing":
        seen = "nothing"
    elif error["type"] == "extra_forbidden":
        seen = "an unknown key"
    elif error["type"] in _SECTION_ERRORS:
        seen = f"a {type(source.at(path)).__name__}"
    else:
        seen = _shown(path, source.at(path))
    allowed = _allowed(error, path, whole)
    return yaml_lines.Problem(line=source.line(path), key=yaml_lines.format_path(path), seen=seen, allowed=allowed)


def _shown(path: yaml_lines.Path, value: Any) -> str:
    """What was seen, safe to print: never a secret, never an essay."""
    if any(step in field_types.SECRET_KEYS for step in path):
        return "a value (hidden, it may be a secret)"
    if "environment" in path[:-1]:
        return "a value (hidden, it may be a secret)"
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    text = _QUERY.sub("?***", _USERINFO.sub("://***@", repr(value)))
    return text if len(text) <= 80 else text[:77] + "..."


def _allowed(error: Mapping[str, Any], path: yaml_lines.Path, whole: type[pydantic.BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        model = _model_at(path[:-1], whole)
        known = sorted(field.alias or name for name, field in model.model_fields.items())
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"one of {', '.join(known)}{hint}"
    if kind == "missing":
        return "this key is required"
    if kind == "value_error":
        return str(context["error"]).removeprefix("expected ")
    if kind in _SECTION_ERRORS:
        return _SECTION_ERRORS[kind]
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "string_type":
        return "a string; a number needs quotes"
    if kind == "string_pattern_mismatch":
        return f"text like {context['pattern']}"
    message = str(error["msg"]).removeprefix("Input should be ")
    return message[:1].lower() + message[1:]


def _model_at(path: yaml_lines.Path, whole: type[pydantic.BaseModel]) -> type[pydantic.BaseModel]:
    model = whole
    for step in path:
        if isinstance(step, int):
            continue
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == step), None)
        candidates: list[Any] = [field.annotation] if field else []
        while candidates:
            candidate = candidates.pop()
            if isinstance(candidate, type) and issubclass(candidate, pydantic.BaseModel):
                model = candidate
                break
            candidates.extend(getattr(candidate, "__args__", ()))
    return model
