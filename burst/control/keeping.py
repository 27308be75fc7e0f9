"""Keeping: the files of Locust that a plan keeps, from the load accounts of all tasks to one document of the run."""

import csv
import io
import json
import re
from collections.abc import Mapping
from typing import Any

from burst.domain.basics import canonical, redaction
from burst.domain.documents import locust_files
from burst.load import kept_files, load_account

MOST_BYTES = 16 << 20
"""Of all files of a run. The files of the first tasks are kept, and those above the limit left out."""
_MEDIA_TYPES = {".csv": "text/csv", ".html": "text/html"}
_FIGURES = re.compile(r"(window\.templateArgs = )(\{.*\})(\s*window\.theme)")
"""The figures in a page of Locust's, as JSON; all around them is the same in each page."""
LONGEST_CELL = 2000
"""The characters of one text in a file. What cleans it takes time by the square of its length."""
_HTML_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}


def build_document(
    accounts: Mapping[int, load_account.LoadAccount],
    names: tuple[str, ...],
    redactor: redaction.Redactor,
    *,
    execution_id: str,
    scope: str,
) -> locust_files.LocustFiles:
    """The files of these names of every task, cleaned."""
    files: list[locust_files.LocustFile] = []
    left_out: list[locust_files.FileLeftOut] = []
    total = 0
    for shard, account in sorted(accounts.items()):
        for name in names:
            content, why = _find_content(account, name, redactor)
            encoded = content.encode()
            if not why and total + len(encoded) > MOST_BYTES:
                why = f"with it all files would be over {MOST_BYTES} bytes"
            if why:
                left_out.append(locust_files.FileLeftOut(shard_index=shard, name=name, why=why))
                continue
            total += len(encoded)
            files.append(
                locust_files.LocustFile(
                    shard_index=shard,
                    name=name,
                    media_type=_MEDIA_TYPES[f".{name.rpartition('.')[2]}"],
                    size=len(encoded),
                    sha256=canonical.digest(encoded),
                    text=content,
                )
            )
    return locust_files.LocustFiles(execution_id=execution_id, platform_run_id=scope, files=files, left_out=left_out)


def _find_content(account: load_account.LoadAccount, name: str, redactor: redaction.Redactor) -> tuple[str, str]:
    """The cleaned text of a file, and why there is none; one of the two is empty."""
    content = account.kept.get(name)
    if name not in account.kept:
        return "", "the task ended before Locust could write it"
    if content is None:
        return "", f"it has more than {kept_files.LONGEST} bytes"
    return _clean_table(content, redactor) if name.endswith(".csv") else _clean_page(content, redactor)


def _clean_table(table: str, redactor: redaction.Redactor) -> tuple[str, str]:
    cleaned = io.StringIO()
    writer = csv.writer(cleaned, lineterminator="\n")
    try:
        for row in csv.reader(io.StringIO(table)):
            writer.writerow([redactor.text(_cut(cell), statement=True) for cell in row])
    except csv.Error as exc:
        return "", f"it is no table: {exc}"
    return cleaned.getvalue(), ""


def _clean_page(page: str, redactor: redaction.Redactor) -> tuple[str, str]:
    """A page of Locust's with its figures cleaned. The rest of the page is a program, which cleaning would break."""
    match = _FIGURES.search(page)
    try:
        figures = json.loads(match.group(2)) if match else None
    except ValueError:
        figures = None
    if match is None or not isinstance(figures, dict):
        return "", "it is no page as Locust writes it, so its figures cannot be cleaned"
    cleaned = json.dumps(redactor.fields(_cut(figures)))
    for letter, escape in _HTML_ESCAPES.items():
        cleaned = cleaned.replace(letter, escape)
    start, end = match.span(2)
    return page[:start] + cleaned + page[end:], ""


def _cut(value: Any) -> Any:
    """A value whose texts are all short enough to be cleaned."""
    if isinstance(value, dict):
        return {name: _cut(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_cut(part) for part in value]
    return value if not isinstance(value, str) or len(value) <= LONGEST_CELL else value[: LONGEST_CELL - 1] + "…"
