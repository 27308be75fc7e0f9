"""Compared places: what `burst compare` is given, opened: a run with sound evidence, or one JSON file.

The evidence of a run is verified first, so a score never rests on a document that the snapshot does not name.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from burst.domain.basics import canonical, errors
from burst.domain.closure import compared_runs
from burst.domain.documents import document_names
from burst.evidence import full_verification, places
from burst.kit import files

if TYPE_CHECKING:
    from burst.evidence import soundness

_JSON = ".json"


def open_place(place: str, opener: places.Opener, *, priors: bool = True) -> compared_runs.ComparedRun:
    """The run or the file at a place.

    Raises the error of evidence that is not sound (exit 7, 8, 9); `errors.EvidenceIncomplete` where there is nothing.
    """
    if place.startswith(places.S3) and place.endswith(_JSON):
        folder, _, name = place.rpartition("/")
        content = opener.store(folder).read(name)
        return _open_content(place, folder, content, opener, priors=priors)
    if place.startswith(places.S3) or not place.endswith(_JSON) or os.path.isdir(place):
        return _open_run(place, place, opener, priors=priors)
    if not os.path.exists(place):
        raise errors.EvidenceIncomplete(f"there is no {place}; name a run's folder, its snapshot, or a JSON file")
    return _open_content(place, os.path.dirname(place) or ".", _read_file(place), opener, priors=priors)


def _read_file(place: str) -> bytes:
    try:
        return files.read_named(Path(place), "the document")
    except errors.UsageError as exc:
        raise errors.EvidenceUnknown(str(exc)) from exc


def _open_content(
    place: str, folder: str, content: bytes, opener: places.Opener, *, priors: bool
) -> compared_runs.ComparedRun:
    """A snapshot stands for the run in its folder; any other JSON document stands for itself."""
    value = canonical.decode(content)
    if isinstance(value, dict) and value.get("schema") == document_names.SNAPSHOT_SCHEMA:
        run = _open_run(place, folder, opener, priors=priors)
        if run.sha256 != canonical.digest(content):
            raise errors.EvidenceCorrupt(f"{place} is not the snapshot that speaks for its folder")
        return run
    source = describe_source(place)
    name = PurePosixPath(place).name
    return compared_runs.ComparedRun(
        source=source, name=name, sha256=canonical.digest(content), documents={name: content}
    )


def _open_run(place: str, folder: str, opener: places.Opener, *, priors: bool) -> compared_runs.ComparedRun:
    held: list[soundness.HeldEvidence] = []
    try:
        finding = full_verification.verify(opener.run(folder), opener, priors=priors, checks=[held.append]).finding
        verdict = finding.require_verdict()
    except errors.BurstError as exc:
        raise type(exc)(f"{place}: {exc}") from exc
    evidence = held[-1]
    name = finding.name or evidence.name
    return compared_runs.ComparedRun(
        source=describe_source(place),
        name=name,
        sha256=verdict.sha256,
        documents={**evidence.documents, name: verdict.content},
        verdict=verdict,
        plan=evidence.plan,
    )


def describe_source(place: str) -> str:
    """The place as a closure cites it, so that the same evidence gives the same bytes on every machine: an S3 address,
    a relative path below the working folder, or the last parts of any other path: a file with its folder."""
    if place.startswith(places.S3):
        return place.rstrip("/")
    path = PurePosixPath(os.path.normpath(place))
    if not path.is_absolute() and ".." not in path.parts:
        return str(path)
    parts = [part for part in path.parts if part not in ("/", "..")]
    return "/".join(parts[-2:] if place.endswith(_JSON) else parts[-1:])


def find_places(source: str, search: Sequence[str]) -> list[str]:
    """Where cited evidence may lie: as it is cited, or under one of the places, by its path or the last part of it."""
    last = PurePosixPath(source).name
    below = [f"{folder.rstrip('/')}/{part}" for folder in search for part in (source, last)]
    if source.startswith(places.S3):
        below = [f"{folder.rstrip('/')}/{last}" for folder in search]
    return [place for place in dict.fromkeys([source, *below]) if place.startswith(places.S3) or os.path.exists(place)]


def open_cited(
    source: str, sha256: str, opener: places.Opener, *, search: Sequence[str], priors: bool = True
) -> compared_runs.ComparedRun:
    """The cited run or file, by its digest, under the name that it is cited by.

    Raises `errors.EvidenceIncomplete` where none lies in any place, `errors.EvidenceCorrupt` where only another one
    does.
    """
    candidates = find_places(source, search)
    problems = []
    for place in candidates:
        try:
            run = open_place(place, opener, priors=priors)
        except errors.BurstError as exc:
            problems.append(exc)
            continue
        if run.sha256 == sha256:
            return dataclasses.replace(run, source=source)
    if problems:
        raise problems[0]
    if candidates:
        raise errors.EvidenceCorrupt(f"{source} is not the evidence that is cited by digest {sha256[:12]}")
    raise errors.EvidenceIncomplete(f"{source}, which is cited, is not here; put it beside the closure")
