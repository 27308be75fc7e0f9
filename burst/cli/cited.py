"""Documents that cite runs, each verified by its schema: derived again from the evidence of those runs."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from burst.cli import common

VERIFIERS = {
    "burst.promotion/v1": "burst.cli.promotion:verify",
    "burst.demotion/v1": "burst.cli.promotion:verify_demotion",
    "burst.closure/v1": "burst.cli.verifying_closures:verify",
}
"""Schema to the function that derives its document again; it takes output, file, places, key and whether required."""


def is_document(words: str) -> bool:
    """Whether words name a document that cites runs, and no run."""
    return words.endswith(".json") and "://" not in words and Path(words).is_file()


def verify(output: common.Output, file: Path, search: Sequence[str], *, key: str | None, required: bool) -> int:
    """Verifies a document by its schema; the exit code. Raises `errors.EvidenceUnknown` for another schema."""
    from burst.domain.basics import canonical, errors
    from burst.kit import files, run_folders

    value = canonical.decode(files.read_named(file, "FILE"))
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema not in VERIFIERS:
        allowed = ", ".join(VERIFIERS)
        unknown = errors.EvidenceUnknown(f"{file}: schema {schema!r} cites no run that is known; allowed: {allowed}")
        if run_folders.is_run(file.parent):
            unknown.advice = f"a document of a run is verified with all others of it: burst verify {file.parent}"
        raise unknown
    module, _, name = VERIFIERS[schema].partition(":")
    code: int = getattr(importlib.import_module(module), name)(output, file, search, key, required)
    return code
