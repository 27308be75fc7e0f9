"""`burst runbook`: the page that a message names, wherever burst is installed."""

import shutil

import click
from click import shell_completion

from burst.cli import common

_WIDEST = 100
"""Longer lines are hard to read, whatever the terminal's width."""


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[shell_completion.CompletionItem]:
    from burst.report import runbook_pages

    return [shell_completion.CompletionItem(name) for name in runbook_pages.list_names() if name.startswith(incomplete)]


@click.command(
    epilog="""\b
Examples:
  burst runbook                            every page with its title
  burst runbook exit-6
  burst runbook preflight#canary           one section of a page
  burst runbook plans/ecs.yaml > plan.yaml
"""
)
@click.argument("name", required=False, shell_complete=_complete)
@common.options
def runbook(output: common.Output, name: str | None) -> None:
    """Print the runbook page NAME, such as exit-6 or blocker-b5; without NAME, list every page.

    With --json: name, title, and text as Markdown. Exits 0, or 2 for a page that does not exist.
    """
    from burst.report import runbook_pages, terminal

    if name is None:
        pages = [runbook_pages.read_page(page) for page in runbook_pages.list_names()]
        rows = [(page.name, page.title) for page in pages]
        output.result({"pages": [{"name": page, "title": title} for page, title in rows]}, terminal.table(rows))
        output.say("print one: burst runbook NAME")
        return
    page = runbook_pages.read_page(name)
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    value = {"name": page.name, "title": page.title, "text": page.text}
    output.result(value, runbook_pages.render(page, width=width))
