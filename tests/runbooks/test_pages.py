"""The runbooks as a whole: every situation has its page, every link its target, every word of `burst` is one it takes.

Here nothing is executed: commands, those of long blocks and those named in the text too, are read by the command line's
own parser. What is executed, and how, `test_commands.py` says.
"""

import itertools
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.cli import main
from burst.domain.basics import errors, runbooks
from burst.domain.plan import catalogues
from burst.domain.preflight import findings
from burst.rehearsal import faults
from burst.report import runbook_pages
from tests.runbooks import pages, parsing

EXITS_THAT_ARE_NO_ERROR = (0, 1, 3, *(128 + number for number in (signal.SIGINT, signal.SIGTERM)))
SITUATIONS = (
    "receipts-table",
    "first-local-run",
    "first-aws-run",
    "bounded-rerun",
    "rotate-baseline",
    "promote-a-gate",
    "observations",
    "rate-plan",
    "find-rate",
    "load-profile",
    "events",
    "entry-gates",
    "risk-register",
    "schedule",
    "control-plane-outage",
    "halt",
    "orphan-tasks",
    "worst-ends",
    "services-not-back",
    "recovery-drill",
    "unpublished-verdict",
    "evidence-conflict",
    "database-check",
    "staged-changes",
    "campaign",
    "compare",
)
INDEX = pages.FOLDER / "README.md"
PAGES = pages.every()
SITUATION_PAGES = [page for page in PAGES if page.path != INDEX]
OTHER_PAGES = [
    pages.read(path)
    for path in sorted(
        {
            *pages.ROOT.glob("*.md"),
            *(pages.ROOT / "docs").glob("*.md"),
            *(pages.ROOT / "docs" / "pipelines").glob("*.md"),
            *(pages.ROOT / "infra").glob("*.md"),
            *(pages.ROOT / "locustfiles").glob("*.md"),
            pages.ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md",
        }
    )
]
"""What else a newcomer reads. Nothing of it is executed here; what its commands do, other tests show."""
DOCUMENTS = [page for page in OTHER_PAGES if page.shell]
OF_LOCUST = pages.ROOT / "docs" / "locust.md"
"""It names options of Locust's too."""
EVERY_PAGE = [*PAGES, *OTHER_PAGES]
IDS = [str(page.path.relative_to(pages.ROOT)) for page in EVERY_PAGE]
DOCUMENT_IDS = [str(page.path.relative_to(pages.ROOT)) for page in DOCUMENTS]

_OPTION = re.compile(r"--[a-z][a-z-]+")
_PATH = re.compile(r"(?:burst|docs|infra|locustfiles|requirements|runbooks|scripts|tests|\.ci|\.github)/[^\s=:]*")
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b(?!\.)")
"""A word such as VERSION in a path; README.md is a name."""


def foreseen(error: type[errors.BurstError]) -> Iterator[type[errors.BurstError]]:
    """An error of burst's own and every kind of it."""
    yield error
    for kind in error.__subclasses__():
        yield from foreseen(kind)


def wanted() -> Iterator[str]:
    """Every page there must be, as burst itself names it."""
    for code in sorted({*EXITS_THAT_ARE_NO_ERROR, *(error.exit_code for error in foreseen(errors.BurstError))}):
        yield runbooks.page_file(runbooks.PageKind.EXIT, code)
    for kind, catalogue in catalogues.CATALOGUES.items():
        for blocker in catalogue.titles:
            yield runbooks.page_file(runbooks.PageKind.BLOCKER, blocker, phase_kind=kind)
    for fault in faults.FAULTS:
        yield runbooks.page_file(runbooks.PageKind.FAULT, fault)
    for check in findings.FINDING_KINDS:
        yield runbooks.page_file(runbooks.PageKind.CHECK, check)
    for situation in SITUATIONS:
        yield f"{runbooks.FOLDER}/{situation}.md"


@pytest.mark.parametrize("name", list(wanted()))
def test_every_situation_has_its_page(name: str) -> None:
    path, _, anchor = name.partition("#")

    assert (pages.ROOT / path).is_file()
    assert not anchor or anchor in pages.read(pages.ROOT / path).anchors
    assert runbook_pages.read_page(name).text in (pages.ROOT / path).read_text()


def test_every_page_is_of_a_situation_and_stands_in_the_index() -> None:
    known = {Path(name.partition("#")[0]).name for name in wanted()}
    listed = {link.partition("#")[0] for link in pages.read(INDEX).links}

    assert {page.name for page in SITUATION_PAGES} == known
    assert known - listed == set()


@pytest.mark.parametrize("page", SITUATION_PAGES, ids=[page.name for page in SITUATION_PAGES])
def test_a_page_says_symptom_check_act_and_verify_in_that_order(page: pages.Page) -> None:
    assert [level for level, _ in page.headings][:1] == [1]
    assert tuple(text for level, text in page.headings if level == 2) == pages.SECTIONS
    assert page.commands


@pytest.mark.parametrize("page", EVERY_PAGE, ids=IDS)
def test_every_link_has_its_target(page: pages.Page) -> None:
    for link in page.links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.path.parent / path if path else page.path
        assert target.exists(), link
        assert not anchor or anchor in pages.read(target).anchors, link


@pytest.mark.parametrize("page", EVERY_PAGE, ids=IDS)
def test_every_file_named_in_the_text_is_there(page: pages.Page) -> None:
    paths = [path for path in (code.partition("::")[0] for code in page.code) if _PATH.fullmatch(path)]

    assert [path for path in paths if not any(pages.ROOT.glob(_PLACEHOLDER.sub("*", path)))] == []


def test_security_names_a_test_for_every_defence() -> None:
    rows = re.findall(r"^\| \*\*.*$", (pages.ROOT / "SECURITY.md").read_text(), re.MULTILINE)

    for row in rows:
        assert re.search(r"\| (`tests/\S+\.py`\s?)+\|", row), row
    assert len(rows) > 10


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_command_is_one_that_burst_takes(page: pages.Page) -> None:
    for command in page.commands:
        for words in parsing.invocations(command.text):
            assert parsing.check(words), command.text


@pytest.mark.parametrize("page", DOCUMENTS, ids=DOCUMENT_IDS)
def test_every_line_for_a_shell_is_one_that_burst_and_make_take(page: pages.Page) -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (pages.ROOT / "Makefile").read_text(), re.MULTILINE))

    for line in page.shell:
        for words in parsing.invocations(line):
            assert parsing.check(words), line
        made = re.match(r"make ([a-z]+)", line)
        assert made is None or made[1] in targets, line
    assert page.shell


@pytest.mark.parametrize("page", EVERY_PAGE, ids=IDS)
def test_every_command_and_option_named_in_the_text_is_there(page: pages.Page) -> None:
    for code in page.code:
        for words in filter(None, parsing.invocations(code)):
            own = list(itertools.takewhile(lambda word: word != "--", words))
            assert own[0] in {*main.COMMANDS, "--version", "--help"}, code
            assert {word for word in own if _OPTION.fullmatch(word)} <= parsing.options(own), code
        if code.startswith("--") and page.path != OF_LOCUST:
            assert set(_OPTION.findall(code)) <= parsing.options(), code


def test_every_command_of_burst_is_used_on_the_page_that_the_index_names() -> None:
    rows = re.findall(r"^\| `burst (\S+)` \| \[.*\]\((.+?)\) \|$", INDEX.read_text(), re.MULTILINE)

    assert [name for name, _ in rows] == list(main.COMMANDS)
    for name, page in rows:
        used = {
            words[0]
            for command in pages.read(pages.FOLDER / page).commands
            for words in parsing.invocations(command.text)
        }
        assert name in used, f"{page} does not use burst {name}"


def test_every_fault_page_rehearses_its_fault() -> None:
    for fault in faults.FAULTS:
        page = pages.read(pages.ROOT / runbooks.page_file(runbooks.PageKind.FAULT, fault))
        rehearsed = [words for command in page.rehearsals() for words in parsing.invocations(command.text)]

        assert any(f"--fault {fault}" in " ".join(words) for words in rehearsed), page.name
