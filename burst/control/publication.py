"""Publication: frozen documents to every place, read back, and the snapshot last, the authority's last of all.

The order is what survives a crash: a place that has the snapshot has every document it names, and the authority has it
only when every other place has. Doing it again with the same bytes changes nothing, so it is simply done again.
"""

from collections.abc import Mapping, Sequence

from burst import ports
from burst.domain import canonical, errors


def spread(places: Sequence[ports.EvidenceStore], contents: Mapping[str, bytes]) -> None:
    """Writes every document to every place, then reads each back.

    Raises `errors.PublicationFailed` naming the first that could not be made durable.
    """
    for place in places:
        for name, content in contents.items():
            _put(place, name, content)
    for place in places:
        for name, content in contents.items():
            _require(place, name, content)


def commit(places: Sequence[ports.EvidenceStore], name: str, content: bytes) -> None:
    """Writes the snapshot to every place in order. Raises `errors.PublicationFailed`."""
    for place in places:
        _put(place, name, content)
        _require(place, name, content)


def _put(place: ports.EvidenceStore, name: str, content: bytes) -> None:
    try:
        place.put_once(name, content)
    except (errors.BurstError, OSError) as exc:
        raise errors.PublicationFailed(f"{name} could not be published: {exc}") from exc


def _require(place: ports.EvidenceStore, name: str, content: bytes) -> None:
    try:
        seen = place.read(name)
    except errors.BurstError as exc:
        raise errors.PublicationFailed(f"{name} could not be read back: {exc}") from exc
    if seen != content:
        raise errors.PublicationFailed(
            f"{name} read back as {canonical.digest(seen)[:12]}, written as {canonical.digest(content)[:12]}"
        )
