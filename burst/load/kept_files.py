"""Kept files: what Locust writes at its end for people, which a plan keeps as a document of its run.

A task writes each into its load account (`BURST_ACCOUNT_FILE`), as a line of its own, so that it reaches the controller
by the same way on every target. The names are these and no others, and none is longer than `LONGEST`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

KEEP = "BURST_KEEP"
CSV, HTML = "csv", "html"
NAMES: Mapping[str, tuple[str, ...]] = {
    CSV: ("stats.csv", "failures.csv", "exceptions.csv"),
    HTML: ("report.html",),
}
"""The files of each kind that a plan may keep."""
_NAME = re.compile(r"([0-9]{1,4}\.)?(stats|failures|exceptions)\.csv|([0-9]{1,4}\.)?report\.html")
LONGEST = 2 << 20
"""The bytes of a file that is kept, as a text of JSON; of a longer one only that it was too long."""


def list_kinds(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The kinds that a task is to keep."""
    return tuple(kind for kind in environment.get(KEEP, "").split(",") if kind in NAMES)


def list_names(kinds: tuple[str, ...], processes: int = 1) -> tuple[str, ...]:
    """The files of these kinds that a task of so many processes writes."""
    indices = (None,) if processes == 1 else tuple(range(processes))
    return tuple(name_file(name, index) for index in indices for kind in kinds for name in NAMES[kind])


def name_file(name: str, process: int | None) -> str:
    """The name of a file, with the number of its process where the task has several."""
    return name if process is None else f"{process}.{name}"


def shorten(content: str | None) -> str | None:
    """The text of a file, None for one that is too long."""
    return content if content is not None and len(json.dumps(content)) <= LONGEST else None


def read(value: Mapping[str, Any]) -> dict[str, str | None]:
    """The files of a line of an account, by name; None in place of one that was too long. Raises ValueError for a file
    that no plan keeps."""
    files: dict[str, str | None] = {}
    for name, content in value.items():
        if not _NAME.fullmatch(name) or not isinstance(content, str | None):
            raise ValueError(f"{name!r} is no file that is kept")
        files[name] = shorten(content)
    return files
