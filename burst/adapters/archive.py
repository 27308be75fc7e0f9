"""Bundles: runs in one zip file, written the same twice and read without unpacking.

Entries are stored and not compressed, in order, with one fixed time, because compressors differ between machines and
the same evidence must give the same bytes. Reading trusts no name: one entry that is absolute, climbs, is a link or
stands twice, or contents larger than evidence may be, and the whole file is refused.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.domain.basics import errors, naming

LARGEST_BYTES = 64 << 20
_ENTRY_TIME = (1980, 1, 1, 0, 0, 0)
_DEEPEST = 2
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those that zip programs write, and every Python reads."""
_UNSOUND = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, NotImplementedError, ValueError, EOFError)
"""How the library of zip files, and the decompressor behind it, say that bytes are not what they should be."""


def pack(contents: Mapping[str, bytes]) -> bytes:
    """The bytes of a zip file with these entries (`name` or `run/name`), in the order of their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _ENTRY_TIME)
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, contents[name])
    return buffer.getvalue()


def read(path: Path) -> dict[str, bytes]:
    """Every entry of a bundle by its name.

    Raises `errors.EvidenceIncomplete` where there is no file, `errors.EvidenceUnknown` where it cannot be read,
    `errors.EvidenceCorrupt` where it is no zip file or an entry is not a plain document.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _refuse_odd(path, entries)
            return {entry.filename: archive.read(entry) for entry in entries if not entry.is_dir()}
    except FileNotFoundError as exc:
        raise errors.EvidenceIncomplete(f"{path} is not there") from exc
    except OSError as exc:
        raise errors.EvidenceUnknown(f"{path} cannot be read: {exc.strerror}") from exc
    except _UNSOUND as exc:
        raise errors.EvidenceCorrupt(f"{path} is no sound zip file: {exc}") from exc


def _refuse_odd(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    for entry in entries:
        parts = entry.filename.removesuffix("/").split("/")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        # Some zip programs write no file type: such an entry is a regular file.
        is_plain = len(parts) <= _DEEPEST and all(naming.is_plain(part) for part in parts)
        if entry.compress_type not in _COMPRESSIONS:
            raise errors.EvidenceCorrupt(f"{path}: entry {entry.filename!r} is neither stored nor deflated")
        if not is_plain or kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
            raise errors.EvidenceCorrupt(f"{path}: entry {entry.filename!r} is no document of a bundle")
    if len(set(names)) != len(names):
        raise errors.EvidenceCorrupt(f"{path}: an entry stands in it twice")
    if sum(entry.file_size for entry in entries) > LARGEST_BYTES:
        raise errors.EvidenceUnknown(f"{path} holds more than {LARGEST_BYTES} bytes")


class BundleRuns:
    """`ports.Runs` of the entries of a bundle; nothing can be removed from it."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents

    def newest_first(self, group: str | None, now: datetime) -> Iterator[str]:
        """The ids of runs in the bundle, in descending order of their names."""
        yield from sorted({name.partition("/")[0] for name in self._contents if "/" in name}, reverse=True)

    def store(self, execution_id: str) -> ports.EvidenceStore:
        """The documents of one run."""
        folder = f"{execution_id}/"
        return _Store(
            {name.removeprefix(folder): content for name, content in self._contents.items() if name.startswith(folder)}
        )

    def list_documents(self, execution_id: str) -> Sequence[ports.Stored]:
        """Refuses: a bundle is read only."""
        raise errors.UsageError("a bundle is read only; name the place its runs came from")

    def remove(self, execution_id: str, document: ports.Stored) -> None:
        """Refuses: a bundle is read only."""
        raise errors.UsageError("a bundle is read only; name the place its runs came from")


class _Store:
    """The documents of one run in a bundle."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents

    def put_once(self, name: str, content: bytes) -> None:
        """Refuses: a bundle is read only."""
        raise errors.Refused(f"{name} was not written: a bundle is read only")

    def read(self, name: str) -> bytes:
        """The bytes of a document. Raises `errors.EvidenceIncomplete` when absent."""
        if name not in self._contents:
            raise errors.EvidenceIncomplete(f"{name} is not in the bundle")
        return self._contents[name]

    def names(self) -> Sequence[str]:
        """The names of all documents, sorted. Raises `errors.EvidenceIncomplete` where the run is not in the bundle."""
        if not self._contents:
            raise errors.EvidenceIncomplete("the bundle holds no such run")
        return sorted(self._contents)
