"""An evidence store in memory, held to the same contract as a folder; tests read and spoil its `documents`."""

from collections.abc import Mapping, Sequence

from burst.domain.basics import errors, naming


class MemoryEvidenceStore:
    """Documents in a dict. A name in `unreadable` is there and cannot be read."""

    def __init__(self, documents: Mapping[str, bytes] | None = None, *, unreadable: Sequence[str] = ()) -> None:
        self.documents = dict(documents or {})
        self.unreadable = frozenset(unreadable)

    def put_once(self, name: str, content: bytes) -> None:
        """Keeps the document."""
        naming.refuse_odd(name)
        if self.documents.setdefault(name, content) != content:
            raise errors.Conflict(f"{name} exists with other content; nothing was overwritten")

    def read(self, name: str) -> bytes:
        """The document as it was put."""
        naming.refuse_odd(name)
        if name in self.unreadable:
            raise errors.EvidenceUnknown(f"{name} cannot be read")
        if name not in self.documents:
            raise errors.EvidenceIncomplete(f"{name} is not there")
        return self.documents[name]

    def names(self) -> Sequence[str]:
        """All names, sorted."""
        return sorted(self.documents)
