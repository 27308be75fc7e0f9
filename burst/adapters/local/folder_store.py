"""Evidence in a folder: documents written once, durably, and never again.

A document appears under its name whole or not at all: it is written to a sibling file, fsynced, and linked to its name,
which fails where the name is taken. Reading follows no link and waits for no pipe, because a folder may come from
anybody.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from burst.domain.basics import errors, naming
from burst.kit import files

LARGEST_BYTES = 64 << 20
ASIDE = "superseded"
"""The folder, beneath that of a run, of documents that the published ones of another controller replaced."""


def refuse_taken(parent: Path, execution_id: str) -> None:
    """Raises `errors.Conflict` where a run has its folder already: `FolderStore.create` would refuse it."""
    naming.refuse_odd(execution_id)
    if os.path.lexists(parent / execution_id):
        raise _taken(parent / execution_id)


def _taken(folder: Path) -> errors.Conflict:
    return errors.Conflict(
        f"{folder} exists; nothing was overwritten; choose another --execution-id, or go on with that run: "
        f"burst resume {folder}"
    )


class FolderStore:
    """One folder of documents. The folder itself must exist; `create` makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, parent: Path, execution_id: str) -> Self:
        """A new folder for a run, its parents made where needed. Raises `errors.Conflict` where it exists."""
        naming.refuse_odd(execution_id)
        folder = parent / execution_id
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise errors.Unavailable(
                f"{parent} cannot be made: {exc.strerror}; name a folder that can be written"
            ) from exc
        try:
            folder.mkdir()
            files.sync_folder(parent)
        except FileExistsError as exc:
            raise _taken(folder) from exc
        except OSError as exc:
            raise errors.Unavailable(f"{folder} cannot be made: {exc.strerror}") from exc
        return cls(folder)

    def put_once(self, name: str, content: bytes) -> None:
        """Writes durably; the same bytes again are a success.

        Raises `errors.Conflict` where the name holds other bytes, `errors.Unavailable` where the disk refuses.
        """
        naming.refuse_odd(name)
        sibling = self.folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            with open(os.open(sibling, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(sibling, self.folder / name)
        except FileExistsError:
            self._accept_same(name, content)
        except OSError as exc:
            raise errors.Unavailable(f"{self.folder / name} cannot be written: {exc.strerror}") from exc
        finally:
            with contextlib.suppress(OSError):
                sibling.unlink()
        files.sync_folder(self.folder)

    def _accept_same(self, name: str, content: bytes) -> None:
        try:
            same = self.read(name) == content
        except errors.BurstError:
            same = False
        if not same:
            raise errors.Conflict(f"{self.folder / name} exists with other content; nothing was overwritten")

    def make_aside(self) -> Path:
        """A new folder beneath this one, for documents that another controller's take the place of."""
        parent = self.folder / ASIDE
        try:
            parent.mkdir(exist_ok=True)
            for number in range(1, 10_000):
                with contextlib.suppress(FileExistsError):
                    (parent / str(number)).mkdir()
                    return parent / str(number)
        except OSError as exc:
            raise errors.Unavailable(f"{parent} cannot be made: {exc.strerror}") from exc
        raise errors.Unavailable(f"{parent} is full; look at what is in it, and move it away")

    def set_aside(self, name: str, aside: Path, successor: Path | None = None) -> None:
        """Keeps a document under the same name in `aside`; `successor`, where there is one, takes its place at once."""
        naming.refuse_odd(name)
        path = self.folder / name
        try:
            os.link(path, aside / name)
            files.sync_folder(aside)
            if successor is None:
                path.unlink()
            else:
                os.replace(successor, path)
            files.sync_folder(self.folder)
        except OSError as exc:
            raise errors.Unavailable(f"{path} cannot be kept in {aside}: {exc.strerror}") from exc

    def read(self, name: str) -> bytes:
        """The bytes of a document. Raises `errors.EvidenceIncomplete` when absent, `errors.EvidenceUnknown` when it
        cannot be read, is no regular file, or is larger than `LARGEST_BYTES`."""
        naming.refuse_odd(name)
        path = self.folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
                content = file.read(LARGEST_BYTES + 1) if is_regular else b""
        except FileNotFoundError as exc:
            raise errors.EvidenceIncomplete(f"{path} is not there") from exc
        except OSError as exc:
            raise errors.EvidenceUnknown(f"{path} cannot be read: {exc.strerror}") from exc
        if not is_regular:
            raise errors.EvidenceUnknown(f"{path} is not a regular file")
        if len(content) > LARGEST_BYTES:
            raise errors.EvidenceUnknown(f"{path} is larger than {LARGEST_BYTES} bytes")
        return content

    def names(self) -> Sequence[str]:
        """The names of all documents there, sorted: regular files, no links, nothing hidden or half-written.

        Raises `errors.EvidenceIncomplete` where there is no such folder, `errors.EvidenceUnknown` where it cannot be
        listed.
        """
        try:
            with os.scandir(self.folder) as entries:
                file_names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError, ValueError) as exc:
            raise errors.EvidenceIncomplete(f"{self.folder} is no folder") from exc
        except OSError as exc:
            raise errors.EvidenceUnknown(f"{self.folder} cannot be listed: {exc.strerror}") from exc
        return sorted(name for name in file_names if naming.is_plain(name))
