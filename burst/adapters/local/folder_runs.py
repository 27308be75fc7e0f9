"""Runs in a folder of this machine, and in the folders of demos and rehearsals there: one folder each, ordered by the
time in their ids, else in their journals."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from burst import ports
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names
from burst.domain.run import run_ids
from burst.kit import files, run_folders

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LONGEST_LINE = 64 << 10


class FolderRuns:
    """`ports.Runs` under a folder. `store_of` opens the store of one run's folder."""

    def __init__(self, folder: Path, store_of: Callable[[Path], ports.EvidenceStore]) -> None:
        self.folder = folder
        self._store_of = store_of

    def newest_first(self, group: str | None, now: datetime) -> Iterator[str]:
        """The ids of runs, the newest first. A run without a time in its id is ordered by its journal's first line.

        Raises `errors.NoSuchPlace` where the folder is no folder of runs, or is that of one run.
        """
        folders = self._find_folders()
        if run_folders.is_run(self.folder) and not any(map(run_folders.is_run, folders.values())):
            raise errors.NoSuchPlace(
                f"{self.folder} is the folder of one run, and no folder of runs; the one above it is {self._above}"
            )
        begun = [(self._read_begin(name, path), name) for name, path in folders.items()]
        for _, name in sorted(begun, reverse=True):
            parsed = run_ids.parse(name)
            if group is None or parsed is None or parsed[0] == group:
                yield name

    def store(self, execution_id: str) -> ports.EvidenceStore:
        """The documents of one run."""
        return self._store_of(self._find_folder(execution_id))

    def list_documents(self, execution_id: str) -> Sequence[ports.Stored]:
        """The documents of one run; the tag is the digest of their bytes."""
        store = self.store(execution_id)
        return [self._describe(store, execution_id, name) for name in store.names()]

    def remove(self, execution_id: str, document: ports.Stored) -> None:
        """Removes the file while it holds the bytes it was listed with, durably."""
        path = self._find_folder(execution_id) / document.name
        try:
            if canonical.digest(self.store(execution_id).read(document.name)) != document.tag:
                raise errors.Conflict(f"{path} has changed since it was listed; it was left")
            path.unlink()
            files.sync_folder(path.parent)
        except (errors.EvidenceIncomplete, FileNotFoundError):
            return
        except OSError as exc:
            raise errors.Unavailable(f"{path} cannot be removed: {exc.strerror}") from exc

    def _describe(self, store: ports.EvidenceStore, execution_id: str, name: str) -> ports.Stored:
        content = store.read(name)
        modified = os.stat(self._find_folder(execution_id) / name, follow_symlinks=False).st_mtime
        return ports.Stored(
            name=name,
            size=len(content),
            modified_at=datetime.fromtimestamp(modified, UTC),
            tag=canonical.digest(content),
        )

    @property
    def _above(self) -> str:
        """The folder above, as it is typed."""
        return str(self.folder.parent if self.folder.name else self.folder.absolute().parent)

    def _find_folders(self) -> Mapping[str, Path]:
        try:
            folders = run_folders.find_folders(self.folder)
        except FileNotFoundError as exc:
            raise errors.NoSuchPlace(f"{self.folder} is not there, so it is no folder of runs") from exc
        except NotADirectoryError as exc:
            raise errors.NoSuchPlace(f"{self.folder} is a file, and no folder of runs") from exc
        except OSError as exc:
            raise errors.EvidenceUnknown(f"{self.folder} cannot be listed: {exc.strerror}") from exc
        return {name: path for name, path in folders.items() if run_ids.is_plain(name)}

    def _find_folder(self, execution_id: str) -> Path:
        """The folder of a run; of one that is not there, where it would be."""
        folder = self.folder / execution_id
        if folder.is_dir():
            return folder
        try:
            return self._find_folders().get(execution_id, folder)
        except errors.BurstError:
            return folder

    def _read_begin(self, name: str, folder: Path) -> datetime:
        return run_ids.read_stamp(name) or self._read_journal_begin(folder)

    def _read_journal_begin(self, folder: Path) -> datetime:
        """The time of a journal's first line; the earliest possible where it cannot be read."""
        try:
            descriptor = os.open(folder / document_names.JOURNAL, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                return instants.parse(json.loads(file.readline(_LONGEST_LINE))["at"])
        except (OSError, ValueError, LookupError, TypeError):
            return _EARLIEST
