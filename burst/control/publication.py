"""Publication: frozen documents to every place, read back, and the snapshot last, the authority's last of all.

The order survives a crash: a place that has the snapshot has every document it names, and the authority has it
only when every other place has. Doing it again with the same bytes changes nothing, so it is simply done again.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from burst import ports
from burst.domain.basics import canonical, errors
from burst.domain.documents import run_records

FAILURES = "failures"
"""The folder, beneath a place, of failures to publish there or elsewhere."""


def spread(places: Sequence[ports.EvidencePlace], contents: Mapping[str, bytes]) -> None:
    """Writes every document to every place, then reads each back.

    Raises `errors.PublicationFailed` naming the first that could not be made durable.
    """
    for place in places:
        for name, content in contents.items():
            _put(place, name, content)
    for place in places:
        for name, content in contents.items():
            _require(place, name, content)


def commit(places: Sequence[ports.EvidencePlace], name: str, content: bytes) -> None:
    """Writes the snapshot to every place in order. Raises `errors.PublicationFailed`."""
    for place in places:
        _put(place, name, content)
        _require(place, name, content)


def list_published(places: Sequence[ports.EvidencePlace], names: Iterable[str]) -> list[run_records.PublishedPlace]:
    """The answer of each place to each document, the authority first."""
    return [
        run_records.PublishedPlace(
            place=place.place, documents=[_entry(name, place.stamp(name)) for name in sorted(names)]
        )
        for place in reversed(places)
    ]


def report(places: Sequence[ports.EvidencePlace], failure: run_records.PublicationFailure) -> None:
    """Writes a failure to every place that can be reached; best effort, each in its own try."""
    for place in places:
        with contextlib.suppress(errors.BurstError, OSError):
            place.beneath(FAILURES).put_once(f"{failure.publication_id}.json", failure.content())


def _entry(name: str, stamp: ports.Stamp) -> run_records.PublishedDocument:
    return run_records.PublishedDocument(name=name, version_id=stamp.version_id, request_id=stamp.request_id)


def _put(place: ports.EvidencePlace, name: str, content: bytes) -> None:
    try:
        place.put_once(name, content)
    except (errors.BurstError, OSError) as exc:
        unwritten = exc.unwritten if isinstance(exc, errors.BurstError) else None
        raise _publication_failure(f"{name} could not be published: {exc}", place, name, unwritten) from exc


def _require(place: ports.EvidencePlace, name: str, content: bytes) -> None:
    try:
        written = place.read(name)
    except errors.BurstError as exc:
        raise _publication_failure(f"{name} could not be read back: {exc}", place, name) from exc
    if written != content:
        raise _publication_failure(
            f"{name} read back as {canonical.digest(written)[:12]}, written as {canonical.digest(content)[:12]}",
            place,
            name,
        )


def _publication_failure(
    words: str, place: ports.EvidencePlace, name: str, unwritten: errors.Unwritten | None = None
) -> errors.PublicationFailed:
    failure = errors.PublicationFailed(words)
    failure.unwritten = unwritten or errors.Unwritten(place=place.place, name=name, code="NotReadBack")
    return failure
