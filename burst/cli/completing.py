"""Words that a shell completes while they are typed: ids of runs, and blockers of a plan.

A shell waits for each of them, so nothing is read but names of folders, and a plan as text.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import click
from click import shell_completion

from burst.domain.plan import catalogues
from burst.kit import run_folders

MOST_RUNS = 50
PLAN_SUFFIXES = (".yaml", ".yml", ".json")
_PHASE = re.compile(r"^[\"']?phase[\"']?\s*:\s*[\"']?([A-Z][A-Z0-9.]*)", re.MULTILINE)
_KIND = re.compile(r"^[\"']?kind[\"']?\s*:\s*[\"']?([a-z-]+)", re.MULTILINE)

Items = list[shell_completion.CompletionItem]


def complete_runs(context: click.Context, _: click.Parameter, incomplete: str) -> Items:
    """The ids under `--runs-dir` that begin so, the newest first, and `last`; a path where one is begun."""
    if "/" in incomplete or incomplete.startswith("."):
        return [shell_completion.CompletionItem(incomplete, type="file")]
    folder = Path(context.params.get("runs_dir") or "runs")
    try:
        newest = run_folders.order_newest(run_folders.find_folders(folder))
    except OSError:
        newest = []
    words = [*newest[:MOST_RUNS], *([run_folders.LAST] if newest else [])]
    return [shell_completion.CompletionItem(word) for word in words if word.startswith(incomplete)]


def complete_blockers(context: click.Context, _: click.Parameter, incomplete: str) -> Items:
    """The blockers of the plan that is named before, for the last id of a list with commas."""
    before, comma, last = incomplete.rpartition(",")
    taken = set(before.split(","))
    ids = [
        blocker for blocker in _list_blockers(context.params.get("plan_file") or _find_plan()) if blocker not in taken
    ]
    return [shell_completion.CompletionItem(f"{before}{comma}{blocker}") for blocker in ids if blocker.startswith(last)]


def complete_words(words: Iterable[str], incomplete: str) -> Items:
    """Those of some words that begin so."""
    return [shell_completion.CompletionItem(word) for word in words if word.startswith(incomplete)]


def _find_plan() -> Path | None:
    """The plan among the words so far: click drops them all where the last option has no value yet."""
    words = (Path(word) for word in os.environ.get("COMP_WORDS", "").split())
    return next((word for word in words if word.suffix in PLAN_SUFFIXES and word.is_file()), None)


def _list_blockers(plan_file: Path | None) -> list[str]:
    try:
        text = "" if plan_file is None else Path(plan_file).read_text()
    except (OSError, UnicodeDecodeError):
        return []
    phase, kind = _PHASE.search(text), _KIND.search(text)
    if phase is None:
        return []
    try:
        catalogue = catalogues.CATALOGUES[catalogues.Kind(kind[1] if kind else catalogues.Kind.BURST)]
    except (ValueError, KeyError):
        return []
    return [f"{phase[1].replace('.', '')}-{short}" for short in catalogue.shorts]
