"""Places: the folders, bundles and `s3://` addresses a consumer may name, as the stores and runs behind them.

The one module here that knows adapters. S3 is not touched, and its library not imported, before an `s3://` place is
named: evidence in a folder is verified with neither.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burst.adapters.local import folder_runs, folder_store
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, models, run_records

if TYPE_CHECKING:
    from burst import ports

BUNDLE = "bundle.json"
"""In a bundle: names the run it was made of."""
S3 = "s3://"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlace:
    """The evidence of one run: its place, its store, and the runs next to it."""

    place: str
    store: ports.EvidenceStore
    beside: ports.Runs
    """The runs next to it, among which its priors are looked for."""


@dataclass(slots=True)
class Opener:
    """Opens places, all of S3 through one client; None makes one when it is first needed."""

    client: Any = None

    def run(self, place: str | Path) -> RunPlace:
        """The evidence of one run; verifying it shows whether there is any.

        Raises `errors.UsageError` for a bad place, `errors.EvidenceCorrupt` for a file that is no bundle.
        """
        text = _place_text(place)
        if text.startswith(S3):
            parent = text.rstrip("/").rpartition("/")[0]
            if not parent.removeprefix(S3):
                raise errors.UsageError(f"place {text!r}: a run is s3://BUCKET/PREFIX")
            return RunPlace(place=text.rstrip("/"), store=self.store(text), beside=self.runs(parent))
        path = Path(text)
        if os.path.isfile(path):  # unlike Path.is_file, with no error for a name too long
            return _open_bundle(path)
        beside = folder_runs.FolderRuns(path.absolute().parent, folder_store.FolderStore)
        return RunPlace(place=text, store=folder_store.FolderStore(path), beside=beside)

    def runs(self, place: str | Path) -> ports.Runs:
        """The runs at a place: a folder of run folders, a bundle, or an S3 prefix.

        Raises `errors.UsageError` for a bad place.
        """
        text = _place_text(place)
        if text.startswith(S3):
            from burst.adapters.aws import s3_runs

            return s3_runs.S3Runs(text, self._client(), self.store)
        path = Path(text)
        if os.path.isfile(path):  # unlike Path.is_file, with no error for a name too long
            from burst.adapters import archive

            return archive.BundleRuns(archive.read(path))
        return folder_runs.FolderRuns(path, folder_store.FolderStore)

    def store(self, place: str) -> ports.EvidenceStore:
        """The documents directly under an S3 place."""
        from burst.adapters.aws import s3_store

        return s3_store.S3Store(place, client=self._client())

    def _client(self) -> Any:
        if self.client is None:
            from burst.kit import aws

            self.client = aws.client("s3")
        return self.client


def is_closure(place: str) -> bool:
    """Whether a place names a closure."""
    return place.endswith(document_names.CLOSURE_SUFFIX)


def _place_text(place: str | Path) -> str:
    """The text of a place. Raises `errors.UsageError` where it is empty, or an address of another kind."""
    text = str(place)
    if not text or ("://" in text and not text.startswith(S3)):
        raise errors.UsageError(f"place {text!r}: allowed are a folder, a bundle (.zip) and s3://BUCKET/PREFIX")
    return text


def _open_bundle(path: Path) -> RunPlace:
    from burst.adapters import archive

    contents = archive.read(path)
    index = _index(path, contents)
    snapshot = contents.get(f"{index.execution_id}/{index.snapshot}", b"")
    if canonical.digest(snapshot) != index.sha256:
        raise errors.EvidenceCorrupt(f"{path}: {index.snapshot} is not the one its {BUNDLE} names by digest")
    runs = archive.BundleRuns(contents)
    return RunPlace(place=str(path), store=runs.store(index.execution_id), beside=runs)


def _index(path: Path, contents: Mapping[str, bytes]) -> run_records.BundleIndex:
    """The index of a bundle. Raises `errors.EvidenceCorrupt`; `errors.EvidenceUnknown` for another version."""
    try:
        return models.read(run_records.BundleIndex, contents[BUNDLE])
    except (LookupError, errors.EvidenceCorrupt) as exc:
        raise errors.EvidenceCorrupt(f"{path} is no bundle: its {BUNDLE} names no run") from exc
