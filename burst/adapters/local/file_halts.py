"""The halt of the runs of one folder: `halt.json` beside the folders of the runs.

The file comes into being whole or not at all (written under another name, then linked), so a reader never meets a part
of it, and of two writers one is first. Links, pipes and devices are refused.
"""

import contextlib
import os
import secrets
from pathlib import Path

from burst.domain.basics import errors
from burst.domain.documents import document_names, halts, models
from burst.kit import files


class FileHaltSwitch:
    """`ports.HaltSwitch` on `halt.json` in a folder of runs, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / document_names.HALT

    @property
    def address(self) -> str:
        """The path of the file."""
        return str(self._path)

    def read(self) -> halts.Halt | None:
        """The halt in the file, None where there is no file."""
        try:
            content = files.read(self._path)
        except OSError as exc:
            raise errors.EvidenceUnknown(f"{self.address} cannot be read: {exc.strerror or exc}") from exc
        return None if content is None else _decode(self.address, content)

    def set_halt(self, halt: halts.Halt) -> halts.Halt:
        """Links the file to its name, unless the name is taken."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            sibling = self._path.with_name(f".{self._path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            try:
                files.replace(sibling, halt.content())
                os.link(sibling, self._path, follow_symlinks=False)
            finally:
                with contextlib.suppress(OSError):
                    sibling.unlink()
            files.sync_folder(self._path.parent)
        except FileExistsError:
            earlier = self.read()
            if earlier is None:
                raise errors.Unavailable(f"{self.address} was lifted while it was written; halt again") from None
            return earlier
        except OSError as exc:
            raise errors.Unavailable(f"{self.address} was not written: {exc.strerror or exc}") from exc
        return halt

    def lift(self) -> bool:
        """Removes the file durably."""
        try:
            self._path.unlink()
            files.sync_folder(self._path.parent)
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise errors.Unavailable(f"{self.address} cannot be removed: {exc.strerror or exc}") from exc
        return True


def _decode(address: str, content: bytes) -> halts.Halt:
    try:
        return models.read(halts.Halt, content)
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        raise errors.EvidenceUnknown(f"{address} is no halt that this version knows: {exc}") from exc
