"""`burst runbook`: every page as text for a terminal, its sections, the example plans, and words that name no page."""

import json
import re
from pathlib import Path

import pytest
from click import shell_completion

from burst.cli import main
from burst.domain.basics import errors
from burst.report import runbook_pages
from tests.runbooks import pages

Shown = pytest.CaptureFixture[str]
NAMES = (*runbook_pages.list_names(), runbook_pages.INDEX)
PAGE = """\
# A page

First line
and second, with **bold** words and `code`.

- one item that goes on for so long that it has to be wrapped
  somewhere
1. a numbered [item](exit-6.md) and [preflight](preflight.md#canary) and [below](#act)

| a | bb |
|---|---|
| `x` | [exit-6](exit-6.md) |

```console
$ burst demo
...
```
## Act
[outside](https://example.org/)
"""
TEXT = """\
A page
======

First line and second, with bold words
and `code`.

- one item that goes on for so long that
  it has to be wrapped somewhere
1. a numbered item (burst runbook
   exit-6) and preflight (burst runbook
   preflight#canary) and below (burst
   runbook page#act)

a    bb
`x`  burst runbook exit-6

    $ burst demo
    ...
Act
---
outside (https://example.org/)"""


def test_a_page_is_rendered_for_the_width_of_a_terminal() -> None:
    page = runbook_pages.RunbookPage(name="page", title="A page", text=PAGE)

    assert runbook_pages.render(page, width=40) == TEXT


@pytest.mark.parametrize("name", NAMES)
def test_every_page_is_printed_with_all_its_code_and_without_a_mark_of_markdown(name: str, capsys: Shown) -> None:
    assert main.main(["runbook", name]) == 0

    text = capsys.readouterr().out
    page = runbook_pages.read_page(name)
    if page.is_plan:
        assert text == page.text
        return
    assert not re.search(r"^#+ |^```|\]\(|\*\*|^\|", text, re.MULTILINE)
    for command in pages.read(pages.FOLDER / f"{name}.md").commands:
        for line in (*command.text.splitlines(), *command.shown):
            assert line.rstrip() in text
    for linked in re.findall(r"\(burst runbook ([a-z0-9#/.-]+)\)", text.replace("\n", " ")):
        runbook_pages.read_page(linked)


def test_a_section_is_printed_alone(capsys: Shown) -> None:
    assert main.main(["runbook", "preflight#canary-route"]) == 0

    text = capsys.readouterr().out
    assert text.startswith("canary-route\n\nSeen: 404")
    assert "canary-unauthorised" not in text


def test_the_file_that_a_document_names_is_a_name_too(capsys: Shown) -> None:
    assert main.main(["runbook", "runbooks/preflight.md#rate", "--json"]) == 0

    value = json.loads(capsys.readouterr().out)
    assert (value["name"], value["title"]) == ("preflight#rate", "rate")
    assert value["text"] in (pages.FOLDER / "preflight.md").read_text()


def test_without_a_name_every_page_is_listed_with_its_title(capsys: Shown) -> None:
    assert main.main(["runbook", "--json"]) == 0
    listed = {page["name"]: page["title"] for page in json.loads(capsys.readouterr().out)["pages"]}
    assert main.main(["runbook"]) == 0
    text = capsys.readouterr().out

    titles = {page.path.stem: page.headings[0][1] for page in pages.every() if page.path.stem != runbook_pages.INDEX}
    plans = {f"plans/{path.name}" for path in (pages.FOLDER / "plans").iterdir()}
    assert {name: title for name, title in listed.items() if name not in plans} == titles
    assert listed.keys() - titles.keys() == plans
    for name, title in listed.items():
        assert re.search(rf"^{re.escape(name)} +{re.escape(title)}$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("exit-66", "no runbook page exit-66; closest: exit-6, "),
        ("zzz", "allowed: blocker-b1, blocker-b2, "),
        ("preflight#cannary", "preflight has no section cannary; closest: canary, "),
        ("../README", "no runbook page ../README; closest: README; "),
        ("/etc/passwd", "no runbook page /etc/passwd; allowed: "),
    ],
)
def test_a_word_that_names_no_page_is_refused_with_the_names_that_do(name: str, words: str, capsys: Shown) -> None:
    assert main.main(["runbook", name]) == 2

    answer = capsys.readouterr()
    assert words in answer.err
    assert answer.out == ""


def test_a_shell_completes_the_names() -> None:
    complete = shell_completion.ShellComplete(main.cli, {}, "burst", "_BURST_COMPLETE")

    items = complete.get_completions(["runbook"], "fault-s")

    assert [item.value for item in items] == ["fault-s3-down", "fault-schedule-late", "fault-service-short",
                                              "fault-short-answer", "fault-spot-interruption", "fault-stop-ignored",
                                              "fault-sts-down", "fault-stuck-pending"]  # fmt: skip


def test_an_example_plan_is_found_in_a_folder_without_it_and_a_file_of_that_path_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IG_API_KEY", "a-key")
    monkeypatch.setenv("IG_ADMISSION_DSN", "postgresql://burst@127.0.0.1/ig")
    name = "runbooks/plans/local.yaml"

    assert main.main(["plan", name]) == 0
    assert f"{pages.FOLDER / 'plans' / 'local.yaml'} is valid" in capsys.readouterr().out
    (tmp_path / "runbooks" / "plans").mkdir(parents=True)
    (tmp_path / name).write_text((pages.FOLDER / "plans" / "reference.yaml").read_text())
    assert main.main(["plan", name]) == 0
    assert f"{name} is valid" in capsys.readouterr().out
    assert main.main(["plan", "runbooks/plans/none.yaml"]) == 2


def test_a_name_is_read_within_the_folder_of_the_pages_alone() -> None:
    with pytest.raises(errors.UsageError):
        runbook_pages.read_page("plans/../../pyproject.toml")
