"""Plan texts: YAML or JSON as plain values, with the line of every key, so that a message can point at a mistake.

Values beyond JSON's are refused or read as JSON reads them: anchors, tags, dates, octal and sexagesimal numbers have
all been mistaken for another value.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from burst.domain.basics import canonical, errors, wording

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
SYNTAX, WHOLE_FILE = "(syntax)", "(file)"
"""The keys of mistakes that stand at no key."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)$")
_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a plan. `line` counts from 1; `seen` never holds a secret.

    `option`: the words of the command line that said it, where the file does not.
    """

    line: int
    key: str
    seen: str
    allowed: str
    option: str = ""

    def text(self, source: str) -> str:
        """The mistake in one line: the place, the value, and the allowed values."""
        if self.option:
            return f"{self.option}: saw {self.seen}; allowed: {self.allowed}"
        return f"{source}:{self.line}: {self.key}: saw {self.seen}; allowed: {self.allowed}"


class PlanError(errors.UsageError):
    """A plan cannot be used; holds every problem, not only the first."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.source = source
        self.problems = problems
        lines = "\n".join(f"  {problem.text(source)}" for problem in problems)
        super().__init__(f"the plan has {wording.format_count(len(problems), 'problem')}:\n{lines}")


COMMANDS_OF_FILES = {
    "burst.plan/v1": "a plan is for: burst run FILE",
    "burst.campaign/v1": "a campaign is for: burst campaign run FILE",
    "burst.stages/v1": "stages are for: burst db stage FILE",
    "burst.score/v1": "a score file is for: burst compare ... --score FILE",
    "burst.owners/v1": "an owner file is for: burst evidence risks ... --owners FILE",
}
"""The schemas of the files that people write, and the command that takes each."""
_REREAD = {f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "int", "float")}


class _Loader(yaml.SafeLoader):
    """Safe YAML in which numbers are JSON's, a date stays a text, and anchors, aliases and tags are refused.

    A scope that looks like a date must not become a datetime; `010` is not 8 and `1:30` is not 90; `1e-7`, the form of
    canonical JSON, is a number. Anchors, aliases, tags, and nesting without end, which would take minutes to read,
    raise `PlanError`. Its message does not show the text behind a mark: a secret may begin with `*` or `!`.
    """

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self._source = source
        self._depth = 0

    yaml_implicit_resolvers = {  # noqa: RUF012 (the shape PyYAML's class attribute has)
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REREAD]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_event(self) -> yaml.Event:
        """The next event of the YAML text; refuses marks and endless nesting."""
        event: yaml.Event = super().get_event()  # type: ignore[no-untyped-call]  # the stubs of PyYAML say none
        self._depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if self._depth > MAX_DEPTH:
            self._refuse(Problem(line=1, key=WHOLE_FILE, seen="nesting without end", allowed=f"a depth of {MAX_DEPTH}"))
        marks = {"anchor": "an anchor or alias", "tag": "a tag"}
        description = next((words for mark, words in marks.items() if getattr(event, mark, None) is not None), None)
        if description is not None:
            line = event.start_mark.line + 1 if event.start_mark else 1
            allowed = "plain values; quote a text that begins with &, * or !"
            self._refuse(Problem(line=line, key=SYNTAX, seen=description, allowed=allowed))
        return event

    def _refuse(self, problem: Problem) -> None:
        raise PlanError(self._source, (problem,))


_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-.0123456789"))


Path = tuple[str | int, ...]


class Source:
    """A composed YAML text: its plain value, and the line of every key.

    A file of another schema than the one wanted is refused for that alone: none of its keys would fit.
    """

    def __init__(self, text: str, name: str, schema: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {(): 1}
        self.problems: list[Problem] = []
        self.value: Any = None
        if len(text.encode(errors="replace")) > MAX_BYTES:
            raise PlanError(name, (Problem(line=1, key=WHOLE_FILE, seen="over 1 MiB", allowed="at most 1 MiB"),))
        self.value = _read_canonical(text)
        if self.value is None:
            self._compose(text)
        else:
            self.lines = dict.fromkeys(_list_paths(self.value, ()), 1)
        if not isinstance(self.value, dict):
            self._refuse((), "nothing" if self.value is None else f"a {type(self.value).__name__}", "a mapping of keys")
            return
        named = self.value.get("schema")
        if isinstance(named, str) and named != schema and named in COMMANDS_OF_FILES:
            self._refuse(("schema",), repr(named), f"{schema!r}; {COMMANDS_OF_FILES[named]}")

    def _compose(self, text: str) -> None:
        try:
            loader = _Loader(text, self.name)
            node = loader.get_single_node()
            self.value = self._build(loader, node, ()) if node is not None else None
        except yaml.YAMLError as exc:
            mark = getattr(exc, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            fault = str(getattr(exc, "problem", None) or "text that is not YAML")
            raise PlanError(self.name, (Problem(line=line, key=SYNTAX, seen=fault, allowed="YAML or JSON"),)) from None

    def _refuse(self, path: Path, seen: str, allowed: str) -> None:
        self.problems.append(Problem(line=self.line(path), key=format_path(path), seen=seen, allowed=allowed))

    def _build(self, loader: _Loader, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(loader, node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(loader, item, (*path, index)) for index, item in enumerate(node.value)]
        try:
            value = loader.construct_object(node)
        except ValueError:  # Python reads no number of more than 4300 digits
            self._refuse(path, "a number without end", "a number JSON can hold")
            return None
        try:
            return join_surrogates(value) if isinstance(value, str) else value
        except UnicodeDecodeError:
            self._refuse(path, "half a character", "whole characters")
            return None

    def _build_mapping(self, loader: _Loader, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            inner = (*path, key)
            if key in mapping:
                line = key_node.start_mark.line + 1
                self.problems.append(
                    Problem(line=line, key=format_path(inner), seen="the key a second time", allowed="each key once")
                )
            self.lines[inner] = key_node.start_mark.line + 1
            mapping[key] = self._build(loader, value_node, inner)
        return mapping

    def line(self, path: Path) -> int:
        """The line of the key, or of the nearest key around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def has(self, path: Path, *, absent_last: bool) -> bool:
        """Whether a path leads to a key of the plan; with `absent_last`, to a key that its section could have."""
        section = self.at(path[:-1])
        if isinstance(section, dict):
            return absent_last or path[-1] in section
        return isinstance(section, list) and isinstance(path[-1], int)

    def at(self, path: Path) -> Any:
        """The value at a path, None where there is none."""
        value = self.value
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def _read_canonical(text: str) -> dict[str, Any] | None:
    """The value of canonical JSON, as burst freezes a plan, which takes a hundredth of the time of YAML; None for any
    other text. Canonical JSON has one line, each key once, and no number that YAML would read otherwise."""
    if not text.startswith("{"):
        return None
    try:
        value: dict[str, Any] = json.loads(text, parse_int=canonical.parse_whole)
        is_canonical = canonical.encode(value).decode() == text and _measure_depth(value) <= MAX_DEPTH
    except (ValueError, RecursionError):
        return None
    return value if is_canonical else None


def _measure_depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max(map(_measure_depth, parts), default=0)


def _list_paths(value: Any, path: Path) -> Iterator[Path]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in members:
        yield from _list_paths(member, (*path, step))


def join_surrogates(text: str) -> str:
    """The text with each pair of surrogates as one character: JSON may write a character so, and YAML reads two.

    Raises UnicodeDecodeError for a surrogate without its pair.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def format_path(path: Path) -> str:
    """A key path as a person writes it: `facts[0].sql`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "(whole plan)"


def parse_scalar(text: str, source: str) -> Any:
    """The value of a short text, read as in a plan. Raises `yaml.YAMLError` or `PlanError`."""
    return _Loader(text, source).get_single_data()
