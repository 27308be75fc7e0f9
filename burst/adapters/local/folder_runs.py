"""Runs in a folder of this machine: one folder each, ordered by the time in their ids, else in their journals."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from burst import ports
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names
from burst.domain.run import run_ids
from burst.kit import files

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LONGEST_LINE = 64 << 10


class FolderRuns:
    """`ports.Runs` under a folder. `store_of` opens the store of one run's folder."""

    def __init__(self, folder: Path, store_of: Callable[[Path], ports.EvidenceStore]) -> None:
        self.folder = folder
        self._store_of = store_of

    def newest_first(self, group: str | None, now: datetime) -> Iterator[str]:
        """The ids of runs, the newest first. A run without a time in its id is ordered by its journal's first line."""
        for _, name in sorted(((self._read_begin(name), name) for name in self._list_names()), reverse=True):
            parsed = run_ids.parse(name)
            if group is None or parsed is None or parsed[0] == group:
                yield name

    def store(self, execution_id: str) -> ports.EvidenceStore:
        """The documents of one run."""
        return self._store_of(self.folder / execution_id)

    def stored(self, execution_id: str) -> Sequence[ports.Stored]:
        """The documents of one run; the tag is the digest of their bytes."""
        store = self.store(execution_id)
        return [self._describe(store, execution_id, name) for name in store.names()]

    def remove(self, execution_id: str, document: ports.Stored) -> None:
        """Removes the file while it holds the bytes it was listed with, durably."""
        path = self.folder / execution_id / document.name
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
        modified = os.stat(self.folder / execution_id / name, follow_symlinks=False).st_mtime
        return ports.Stored(
            name=name,
            size=len(content),
            modified_at=datetime.fromtimestamp(modified, UTC),
            tag=canonical.digest(content),
        )

    def _list_names(self) -> list[str]:
        try:
            with os.scandir(self.folder) as entries:
                folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise errors.EvidenceIncomplete(f"{self.folder} is no folder of runs") from exc
        except OSError as exc:
            raise errors.EvidenceUnknown(f"{self.folder} cannot be listed: {exc.strerror}") from exc
        return [name for name in folders if run_ids.is_plain(name)]

    def _read_begin(self, name: str) -> datetime:
        return run_ids.read_stamp(name) or self._read_journal_begin(name)

    def _read_journal_begin(self, name: str) -> datetime:
        """The time of a journal's first line; the earliest possible where it cannot be read."""
        try:
            descriptor = os.open(
                self.folder / name / document_names.JOURNAL, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            )
            with open(descriptor, "rb") as file:
                return instants.parse(json.loads(file.readline(_LONGEST_LINE))["at"])
        except (OSError, ValueError, LookupError, TypeError):
            return _EARLIEST
