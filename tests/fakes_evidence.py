"""An evidence store and place in memory, held to the contracts of a folder and of S3; tests read its `documents`."""

from collections.abc import Mapping, Sequence

from burst import ports
from burst.domain.basics import errors, naming


class MemoryEvidenceStore:
    """`ports.EvidencePlace` over a dict, in which documents of a folder beneath go by `folder/name`.

    With `down` set it cannot be reached; a name in `unreadable` is there and cannot be read.
    """

    def __init__(
        self,
        documents: Mapping[str, bytes] | None = None,
        *,
        unreadable: Sequence[str] = (),
        place: str = "memory",
    ) -> None:
        self.documents = dict(documents or {})
        self.unreadable = frozenset(unreadable)
        self.down = False
        self.place = place
        self._stamps: dict[str, ports.Stamp] = {}

    def put_once(self, name: str, content: bytes) -> None:
        naming.refuse_odd(name)
        self._put(name, content)

    def read(self, name: str) -> bytes:
        naming.refuse_odd(name)
        return self._read(name)

    def names(self) -> Sequence[str]:
        return [name for name in self._keys() if "/" not in name]

    def stamp(self, name: str) -> ports.Stamp:
        return self._stamps.get(name, ports.Stamp())

    def beneath(self, folder: str) -> "Beneath":
        return Beneath(self, folder)

    def _put(self, key: str, content: bytes) -> None:
        try:
            if self.down:
                raise errors.Unavailable("the store is down")
            if self.documents.setdefault(key, content) != content:
                raise errors.Conflict(f"{key} exists with other content; nothing was overwritten")
        except errors.BurstError as exc:
            exc.unwritten = errors.Unwritten(place=self.place, name=key)
            raise
        self._stamps[key] = ports.Stamp(version_id="1")

    def _read(self, key: str) -> bytes:
        if self.down or key in self.unreadable:
            raise errors.EvidenceUnknown(f"{key} cannot be read")
        if key not in self.documents:
            raise errors.EvidenceIncomplete(f"{key} is not there")
        return self.documents[key]

    def _keys(self) -> Sequence[str]:
        if self.down:
            raise errors.EvidenceUnknown("the store is down")
        return sorted(self.documents)


class Beneath(MemoryEvidenceStore):
    """A folder of a store: its documents stand in that one, under the folder's name."""

    def __init__(self, above: MemoryEvidenceStore, folder: str) -> None:
        super().__init__(place=f"{above.place}/{folder}")
        self._above = above
        self._folder = folder

    def _put(self, key: str, content: bytes) -> None:
        try:
            self._above._put(f"{self._folder}/{key}", content)
        except errors.BurstError as exc:
            exc.unwritten = errors.Unwritten(place=self.place, name=key)
            raise
        self._stamps[key] = ports.Stamp(version_id="1")

    def _read(self, key: str) -> bytes:
        return self._above._read(f"{self._folder}/{key}")

    def _keys(self) -> Sequence[str]:
        prefix = f"{self._folder}/"
        return [key.removeprefix(prefix) for key in self._above._keys() if key.startswith(prefix)]
