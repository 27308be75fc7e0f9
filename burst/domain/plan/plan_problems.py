"""Problems of a plan: each mistake with its line, its key and the allowed values, in a plan's words.

There are two kinds: texts that no plan may hold (placeholders, passwords in addresses), and refusals of the models,
without pydantic's words. A problem shows the value only where it cannot be a secret.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pydantic

from burst.domain.basics import wording
from burst.domain.plan import field_types, pattern_words, yaml_lines

_PLACEHOLDER = re.compile(r"REPLACE_ME|TO_PIN|(?<![A-Za-z0-9])TBD(?![A-Za-z0-9])|<[^<>]*>")
_LINE_BREAKING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ufeff]")
"""Characters that YAML reads as line ends or refuses: `plan.json` would not read back as it was written."""
_USERINFO = re.compile(r"://[^\s@]*@")
_QUERY = re.compile(r"\?[^\s'\"]+")
_PASSWORD = re.compile(r"""(?i)(password\s*[=:]?\s*)('(?:[^']|'')*'?|"[^"]*"?|[^\s'"]+)""")
"""A password in a statement (`PASSWORD '...'`) or among the keywords of a DSN, also one whose quote is not closed."""
_SECTION_ERRORS = {
    "model_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "list_type": "a list",
}
"""The expected kind where a whole section is of another kind; its value is not shown, it may be a secret."""

_SIMPLE_TYPES = frozenset({"bool_type", "int_type", "float_type", "string_type"})


def find_unfilled(source: yaml_lines.Source) -> Iterator[yaml_lines.Problem]:
    """Empty texts, placeholders, and texts that no plan may hold."""
    for path, text in _leaves(source.value, ()):
        free_text = path[-1] == "sql"
        placeholder = _PLACEHOLDER.search(text)
        if not text.strip() or (placeholder and not (free_text and placeholder.group().startswith("<"))):
            sentence = f"the placeholder {placeholder.group()}" if placeholder and text.strip() else "an empty value"
            yield yaml_lines.Problem(
                line=source.line(path),
                key=yaml_lines.format_path(path),
                seen=sentence,
                allowed="the real value",
            )
        elif control := _LINE_BREAKING.search(text):
            yield yaml_lines.Problem(
                line=source.line(path),
                key=yaml_lines.format_path(path),
                seen=f"the character U+{ord(control.group()):04X}",
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
    """Every text in the value; a key without a value is an empty text."""
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
    """The refusals of the model of a whole plan, one problem a key."""
    refused = exc.errors(include_url=False, include_input=False)
    built = [(error["type"], _build_problem(error, source, whole)) for error in refused]
    keys = [problem.key for _, problem in built]
    return _merge_by_key(problem for kind, problem in built if not _is_other_member(kind, problem.key, keys))


def _is_other_member(kind: str, key: str, keys: Iterable[str]) -> bool:
    """Whether a refusal is that of a union's simple member, where the value is meant for another one and has a mistake
    of its own below."""
    return kind in _SIMPLE_TYPES and any(other_key.startswith((f"{key}.", f"{key}[")) for other_key in keys)


def _merge_by_key(problems: Iterable[yaml_lines.Problem]) -> Iterable[yaml_lines.Problem]:
    """A value that fits no member of a union is one problem, not one for each member."""
    merged: dict[str, yaml_lines.Problem] = {}
    for problem in problems:
        earlier = merged.get(problem.key)
        merged[problem.key] = (
            replace(earlier, allowed=f"{earlier.allowed} or {problem.allowed}") if earlier else problem
        )
    return merged.values()


def _build_problem(
    error: Mapping[str, Any], source: yaml_lines.Source, whole: type[pydantic.BaseModel]
) -> yaml_lines.Problem:
    path = _drop_tags(error["loc"], source)
    while path and not source.has(path, absent_last=error["type"] == "missing"):
        path = path[:-1]  # pydantic adds a union member's name behind the key
    misfit = error.get("ctx", {}).get("error")
    if isinstance(misfit, field_types.Misfit):
        path = (*path, *misfit.key)
    kind = "extra_forbidden" if isinstance(misfit, field_types.UnknownKey) else error["type"]
    return yaml_lines.Problem(
        line=source.line(path),
        key=yaml_lines.format_path(path),
        seen=_describe_seen(kind, path, source.at(path)),
        allowed=_describe_allowed(error, path, whole),
    )


def _drop_tags(steps: yaml_lines.Path, source: yaml_lines.Source) -> yaml_lines.Path:
    """The steps that the text has: pydantic puts the names of functions and of union members among them."""
    path: yaml_lines.Path = ()
    for step in steps:
        is_tag = isinstance(step, str) and (step.startswith("function-") or isinstance(source.at(path), list))
        path = path if is_tag else (*path, step)
    return path


def _describe_seen(kind: str, path: yaml_lines.Path, value: Any) -> str:
    if kind == "missing":
        return "nothing"
    if kind == "extra_forbidden":
        return "an unknown key"
    return f"a {type(value).__name__}" if kind in _SECTION_ERRORS else _describe_value(path, value)


def _describe_value(path: yaml_lines.Path, value: Any) -> str:
    """A value, safe to print: no secret, and not long."""
    if any(step in field_types.SECRET_KEYS for step in path):
        return "a value (hidden, it may be a secret)"
    if "environment" in path[:-1]:
        return "a value (hidden, it may be a secret)"
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    shown = _PASSWORD.sub(r"\1***", value) if isinstance(value, str) else value
    text = _QUERY.sub("?***", _USERINFO.sub("://***@", repr(shown)))
    return text if len(text) <= 80 else text[:77] + "..."


def _describe_allowed(error: Mapping[str, Any], path: yaml_lines.Path, whole: type[pydantic.BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return list_keys(str(path[-1]), _model_at(path[:-1], whole))
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
    if kind == "too_short":
        return f"at least {wording.format_count(context['min_length'], 'item')}"
    if kind == "too_long":
        return f"at most {wording.format_count(context['max_length'], 'item')}"
    if kind == "string_pattern_mismatch":
        return pattern_words.describe(context["pattern"])
    message = str(error["msg"]).removeprefix("Input should be ")
    return message[:1].lower() + message[1:]


def list_keys(key: str, model: type[pydantic.BaseModel], step_limits: Iterable[str] = ()) -> str:
    """The keys that a section may have, with the one that a wrong key is near to."""
    keys = sorted(field.alias or name for name, field in model.model_fields.items())
    close = difflib.get_close_matches(key.partition("@")[0], keys, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    steps = f"; LIMIT@STEP of {', '.join(step_limits)}" if "@" in key else ""
    return f"one of {', '.join(keys)}{hint}{steps}"


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
