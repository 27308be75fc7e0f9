"""Runbook pages and example plans: found in the wheel or beside the package of a clone, read, and rendered as text.

The repository holds one copy, in `runbooks/`; a wheel holds it within the package. A page is Markdown, and the renderer
knows the forms that the pages use: headings, paragraphs, lists, tables, code blocks and links.
"""

import difflib
import importlib.resources
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import burst
from burst.domain.basics import errors, runbooks
from burst.report import plain_lines

INDEX = "README"
_PAGE_SUFFIX = ".md"
_PLAN_FOLDER = "plans"
_CLOSEST = 5
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
_HEADING = re.compile(r"(#+) (.*)")
_ITEM = re.compile(r"(- |\d+\. )(.*)")
_SENTENCE_END = re.compile(r"[.:;] ")
_UNDERLINES = {1: "=", 2: "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookPage:
    """A page, a section of one, or an example plan. `text` is its source: Markdown, or YAML for a plan."""

    name: str
    title: str
    text: str

    @property
    def is_plan(self) -> bool:
        """Whether it is an example plan."""
        return self.name.startswith(f"{_PLAN_FOLDER}/")


def find_folder() -> Path:
    """The folder of the pages: within the package of a wheel, beside the package in a clone."""
    package = Path(str(importlib.resources.files(burst)))
    folders = (package / runbooks.FOLDER, package.parent / runbooks.FOLDER)
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def find_plan(path: Path) -> Path:
    """The example plan behind a path such as `runbooks/plans/ecs.yaml`, which the pages name, in any folder.

    Any other path, and a file that exists under that path, stays as it is.
    """
    if path.exists() or path.parent != Path(runbooks.FOLDER) / _PLAN_FOLDER:
        return path
    shipped = find_folder() / _PLAN_FOLDER / path.name
    return shipped if shipped.is_file() else path


def list_names() -> tuple[str, ...]:
    """Every page, then every example plan, in the order of their names."""
    folder = find_folder()
    pages = sorted(path.stem for path in folder.glob(f"*{_PAGE_SUFFIX}") if path.stem != INDEX)
    return (*pages, *(f"{_PLAN_FOLDER}/{path.name}" for path in sorted((folder / _PLAN_FOLDER).glob("*.yaml"))))


def read_page(word: str) -> RunbookPage:
    """The page, section or plan that a word names: `exit-4`, `preflight#canary`, `plans/ecs.yaml`.

    The file's path is a name too, as documents give it: `runbooks/exit-4.md`. Raises `errors.UsageError` for others.
    """
    name, _, section = word.removeprefix(f"{runbooks.FOLDER}/").partition("#")
    name, names = name.removesuffix(_PAGE_SUFFIX), (*list_names(), INDEX)
    if name not in names:
        raise errors.UsageError(
            f"no runbook page {word}; {_suggest(name, names)}; burst runbook lists them with titles"
        )
    is_plan = name.startswith(f"{_PLAN_FOLDER}/")
    text = (find_folder() / (name if is_plan else f"{name}{_PAGE_SUFFIX}")).read_text(encoding="utf-8")
    title = text.splitlines()[0].strip("# ")
    page = RunbookPage(name=name, title=_SENTENCE_END.split(title)[0] if is_plan else title, text=text)
    return _read_section(page, section) if section else page


def _read_section(page: RunbookPage, section: str) -> RunbookPage:
    """One section of a page: its heading, and all lines up to the next heading that is not below it."""
    headings = dict(_read_headings(page.text))
    lines, number = page.text.splitlines(), headings.get(section.lower())
    if number is None:
        raise errors.UsageError(
            f"the runbook page {page.name} has no section {section}; {_suggest(section, tuple(headings))}; "
            f"burst runbook {page.name} prints the whole page"
        )
    level = _level(lines[number])
    end = next((later for later in headings.values() if later > number and _level(lines[later]) <= level), len(lines))
    return RunbookPage(
        name=f"{page.name}#{section.lower()}",
        title=lines[number].strip("# "),
        text="\n".join(lines[number:end]).rstrip() + "\n",
    )


def _read_headings(text: str) -> Iterator[tuple[str, int]]:
    """The anchor of every heading, as GitHub makes it of the words, with the number of its line."""
    in_code = False
    for number, line in enumerate(text.splitlines()):
        in_code ^= line.startswith("```")
        heading = None if in_code else _HEADING.fullmatch(line)
        if heading is not None:
            yield re.sub(r"[^\w\- ]", "", heading[2].strip().lower()).replace(" ", "-"), number


def _level(heading: str) -> int:
    return len(heading) - len(heading.lstrip("#"))


def _suggest(word: str, names: Sequence[str]) -> str:
    """The names closest to a word; all of them where none is close."""
    closest = difflib.get_close_matches(word, names, n=_CLOSEST, cutoff=0.5)
    return f"closest: {', '.join(closest)}" if closest else f"allowed: {', '.join(names)}"


def render(page: RunbookPage, *, width: int) -> str:
    """A page as plain text for a terminal of that width; a plan as it is, for it is to be redirected into a file."""
    if page.is_plan:
        return page.text
    return "\n".join(_render_lines(page.text.splitlines(), page.name.partition("#")[0], width))


def _render_lines(lines: list[str], page: str, width: int) -> Iterator[str]:
    number = 0
    while number < len(lines):
        line = lines[number]
        if line.startswith("```"):
            end = next(later for later in range(number + 1, len(lines)) if lines[later].startswith("```"))
            yield from (f"    {code}" for code in lines[number + 1 : end])
            number = end + 1
            continue
        end = number + 1
        while end < len(lines) and _continues(line, lines[end]):
            end += 1
        yield from _render_block(lines[number:end], page, width)
        number = end


def _continues(first: str, line: str) -> bool:
    """Whether a line goes on with the block that a first line began."""
    if first.startswith("|"):
        return line.startswith("|")
    starts_anew = line.startswith(("```", "|", "#")) or _ITEM.match(line)
    return bool(first and not first.startswith("#") and line and not starts_anew)


def _render_block(block: list[str], page: str, width: int) -> Iterator[str]:
    heading = _HEADING.fullmatch(block[0])
    if block[0].startswith("|"):
        rows = [[_render_inline(cell.strip(), page) for cell in row.strip("|").split("|")] for row in block]
        yield plain_lines.table([rows[0], *rows[2:]])
    elif heading:
        yield heading[2]
        if len(heading[1]) in _UNDERLINES:
            yield _UNDERLINES[len(heading[1])] * len(heading[2])
    elif not block[0]:
        yield ""
    else:
        item = _ITEM.match(block[0])
        yield from textwrap.wrap(
            _render_inline(" ".join(line.strip() for line in block), page),
            width,
            subsequent_indent=" " * len(item[1]) if item else "",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _render_inline(text: str, page: str) -> str:
    """A line of a page with each link as words and, in brackets, the command that prints its target."""

    def spell(link: re.Match[str]) -> str:
        words, target = link[1], link[2]
        if target.startswith("https://"):
            return f"{words} ({target})"
        name = (f"{page}{target}" if target.startswith("#") else target).replace(f"{_PAGE_SUFFIX}", "")
        return f"burst runbook {name}" if words == name else f"{words} (burst runbook {name})"

    return _LINK.sub(spell, text.replace("**", ""))
