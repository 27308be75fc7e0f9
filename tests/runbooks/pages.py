"""Runbook pages as data: sections, anchors, links, and the commands of their `console` blocks with what they show.

A `console` block holds lines `$ command` (continued by a backslash at the end) and below each the output it shows,
stdout and stderr together. There `...` stands for what varies: on a line of its own for any lines, inside a line for
any text. A block marked `console rehearsal` plays a whole rehearsed run.
"""

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import markdown_it
from markdown_it import token

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "runbooks"
SECTIONS = ("Symptom", "Check", "Act", "Verify")
ANYTHING = "..."

Token = token.Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command and what the page says it shows."""

    text: str
    shown: tuple[str, ...]
    line: int
    rehearsal: bool

    @property
    def pattern(self) -> re.Pattern[str]:
        """What its output must match, whole."""
        lines = (r"(?:.*\n)*?" if line.strip() == ANYTHING else _line_pattern(line) + r"\n" for line in self.shown)
        return re.compile("".join(lines))


def _line_pattern(line: str) -> str:
    return ".*?".join(re.escape(part) for part in line.rstrip().split(ANYTHING)) + r"[ ]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page."""

    path: Path
    headings: tuple[tuple[int, str], ...]
    """Level and text, in order."""
    links: tuple[str, ...]
    code: tuple[str, ...]
    """Words set as code in the text."""
    commands: tuple[Command, ...]
    shell: tuple[str, ...]
    """The lines of its other blocks that a reader may paste into a shell: those marked `sh`, or not marked at all."""

    @property
    def name(self) -> str:
        """Its name under `runbooks/`."""
        return str(self.path.relative_to(FOLDER))

    @property
    def anchors(self) -> frozenset[str]:
        """What a link may name after `#`, as GitHub makes it of a heading."""
        return frozenset(anchor(text) for _, text in self.headings)

    def rehearsals(self) -> tuple[Command, ...]:
        """The commands that play a whole rehearsed run."""
        return tuple(command for command in self.commands if command.rehearsal)

    def quick(self) -> tuple[Command, ...]:
        """All other commands."""
        return tuple(command for command in self.commands if not command.rehearsal)


def anchor(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@functools.cache
def read(path: Path) -> Page:
    """A page of Markdown."""
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    spoken = [child for one in tokens for child in one.children or ()]
    return Page(
        path=path,
        headings=tuple(_headings(tokens)),
        links=tuple(str(one.attrs["href"]) for one in spoken if one.type == "link_open"),
        code=tuple(one.content for one in spoken if one.type == "code_inline"),
        commands=tuple(command for one in tokens if one.type == "fence" for command in _commands(one)),
        shell=tuple(
            line
            for one in tokens
            if one.type == "fence" and one.info.strip() in ("", "sh")
            for line in one.content.replace("\\\n", " ").splitlines()
        ),
    )


def _headings(tokens: list[Token]) -> Iterator[tuple[int, str]]:
    for opening, inside in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            yield int(opening.tag[1]), inside.content


def _commands(fence: Token) -> Iterator[Command]:
    kind, *more = fence.info.split() or [""]
    if kind != "console":
        return
    lines = fence.content.splitlines()
    first = (fence.map or [0])[0] + 2
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    if starts[:1] != [0]:
        raise ValueError(f"line {first}: a console block begins with a command: $ ...")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        body = start
        while lines[body].endswith("\\"):
            body += 1
        text = "\n".join(lines[start : body + 1])[2:]
        yield Command(
            text=text, shown=tuple(lines[body + 1 : end]), line=first + start, rehearsal=more == ["rehearsal"]
        )


def every() -> tuple[Page, ...]:
    """Every page there is, in the order of their names."""
    return tuple(read(path) for path in sorted(FOLDER.glob("*.md")))
