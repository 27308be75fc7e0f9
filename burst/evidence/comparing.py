"""Comparing: candidates scored against the active baseline, the closure written once, and the baseline moved.

Nothing is overwritten: the same closure again is a success, another one under its name a conflict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from burst.domain.basics import canonical, errors
from burst.domain.closure import (
    active_baselines,
    closure_statements,
    closures,
    score_files,
    unsound_candidates,
)
from burst.evidence import compared_places, places

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.closure import (
        compared_runs,
    )

ACTIVE = "active"
"""In the place of BASE: the run that the chain of active baselines ends with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A comparison as it was asked for. `chain`: where the active baselines are recorded."""

    baseline: str
    candidates: Sequence[str]
    score: bytes
    score_source: str
    chain: str | None = None
    runs_dir: str = "runs"
    priors: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredClosure:
    """A closure with the score files that it was made by, and the chain that it moves, if any."""

    closure: closures.Closure
    score: bytes
    scores: dict[str, bytes]
    chain: Chain | None = None


class Chain:
    """The records of the active baselines in one place."""

    def __init__(self, store: ports.EvidenceStore) -> None:
        self._store = store
        names = self._list_names()
        records = active_baselines.list_records(names)
        prefix, _, suffix = active_baselines.name_closure_copy("#").partition("#")
        copies = {
            name.removeprefix(prefix).removesuffix(suffix): store.read(name)
            for name in names
            if name.startswith(prefix) and name.endswith(suffix)
        }
        self.head = active_baselines.check_chain([store.read(name) for name in records], copies)

    def _list_names(self) -> Sequence[str]:
        try:
            return self._store.names()
        except errors.EvidenceIncomplete:
            return ()

    def begin(self, scoring: closures.Scoring, score: bytes, recorded: datetime) -> None:
        """Records the baseline of a scoring as the first one."""
        record = active_baselines.begin(scoring, recorded)
        self._store.put_once(record.score.name, score)
        self._append(record)

    def move(self, closure: closures.Closure, score: bytes, recorded: datetime) -> active_baselines.ActiveBaseline:
        """Records the best candidate of a closure as the active baseline. Its closure and score are there first."""
        if self.head is None:
            raise ValueError("the chain has no beginning")
        record = active_baselines.follow(self.head, closure, recorded)
        self._store.put_once(active_baselines.name_closure_copy(str(record.closure_sha256)), closure.content())
        self._store.put_once(record.score.name, score)
        self._append(record)
        return record

    def _append(self, record: active_baselines.ActiveBaseline) -> None:
        content = record.content()
        self._store.put_once(active_baselines.name_record(record.number), content)
        self.head = active_baselines.Head(record=record, sha256=canonical.digest(content))

    def read_score(self) -> bytes:
        """The score file of the last record."""
        if self.head is None:
            raise ValueError("the chain has no beginning")
        score = self.head.record.score
        content = self._store.read(score.name)
        if canonical.digest(content) != score.sha256:
            raise errors.EvidenceCorrupt(f"{score.name} is not the score that the active baseline names by digest")
        return content


def open_store(place: str, opener: places.Opener) -> ports.EvidenceStore:
    """The store of a folder, made where it is missing, or of an S3 place. Raises `errors.UsageError`."""
    if place.startswith(places.S3):
        return opener.store(place)
    from burst.adapters.local import folder_store

    try:
        Path(place).mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise errors.UsageError(f"{place} is no folder and cannot be made: {exc.strerror}") from exc
    return folder_store.FolderStore(Path(place))


def compare(request: Request, opener: places.Opener, *, now: datetime) -> ScoredClosure:
    """The closure of a comparison. A chain without a record begins with its baseline.

    A candidate whose evidence is not sound is listed, and not scored. Raises `errors.UsageError` for a bad score file,
    the error of the evidence where that of the baseline, or of every candidate, is not sound, and `errors.Refused`
    where BASE is not the active baseline.
    """
    file = score_files.parse(_decode(request.score, request.score_source), source=request.score_source)
    if not request.candidates:
        raise errors.UsageError("no candidate is named")
    chain = Chain(open_store(request.chain, opener)) if request.chain is not None else None
    baseline = _open_baseline(request, chain, opener)
    candidates, unsound = _open_candidates(request, opener)
    scoring = closures.Scoring(
        file=file,
        sha256=canonical.digest(request.score),
        baseline=baseline,
        candidates=candidates,
        unsound=unsound,
    )
    _refuse_twice(scoring)
    scores = {closures.name_score(file.name, scoring.sha256): request.score}
    if chain is None:
        return ScoredClosure(closure=closures.score(scoring), score=request.score, scores=scores)
    return _compare_in_chain(chain, scoring, request.score, scores, now)


def _compare_in_chain(
    chain: Chain, scoring: closures.Scoring, score: bytes, scores: dict[str, bytes], now: datetime
) -> ScoredClosure:
    if chain.head is None:
        chain.begin(scoring, score, now)
    head = chain.head
    if head is None or head.record.run.sha256 != scoring.baseline.sha256:
        active = head.record.run.run_id if head else "unknown"
        raise errors.Refused(
            f"the active baseline is {active} (record {head.record.number if head else '?'}), and not "
            f"{scoring.baseline.run_id}; name that one as BASE, or write {ACTIVE}"
        )
    earlier = chain.read_score()
    active_score = score_files.parse(_decode(earlier, head.record.score.name), source=head.record.score.name)
    scoring = dataclasses.replace(scoring, active=head.ref, active_score=active_score)
    scores = {**scores, head.record.score.name: earlier}
    closure = closures.score(scoring)
    _refuse_unfinished(head, closure)
    return ScoredClosure(closure=closure, score=score, scores=scores, chain=chain)


def _refuse_unfinished(head: active_baselines.Head, closure: closures.Closure) -> None:
    """Raises `errors.Refused` where another closure moved the baseline, and its record is not there."""
    if head.unfinished and canonical.digest(closure.content()) not in head.unfinished:
        begun = ", ".join(map(active_baselines.name_closure_copy, sorted(head.unfinished)))
        lacking = active_baselines.name_record(head.record.number + 1)
        raise errors.Refused(
            f"the active baseline is not certain: {begun} unlocked a run, and {lacking} is not there; "
            "put that record back, or give the comparison of that closure again, which records it"
        )


def _open_baseline(request: Request, chain: Chain | None, opener: places.Opener) -> compared_runs.ComparedRun:
    if request.baseline != ACTIVE or chain is None:
        return compared_places.open_place(request.baseline, opener, priors=request.priors)
    if chain.head is None:
        raise errors.UsageError(f"{ACTIVE}: no baseline is recorded in {request.chain} yet; name the first one as BASE")
    run = chain.head.record.run
    search = [str(request.chain), request.runs_dir]
    return compared_places.open_cited(run.source, run.sha256, opener, search=search, priors=request.priors)


def _open_candidates(
    request: Request, opener: places.Opener
) -> tuple[tuple[compared_runs.ComparedRun, ...], tuple[unsound_candidates.UnsoundCandidate, ...]]:
    """The candidates to be scored, and those whose evidence is not sound. Raises where that of none is."""
    sound: list[compared_runs.ComparedRun] = []
    failures: list[tuple[str, unsound_candidates.EvidenceError]] = []
    for place in request.candidates:
        try:
            sound.append(compared_places.open_place(place, opener, priors=request.priors))
        except (errors.EvidenceIncomplete, errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
            failures.append((place, exc))
    if not sound:
        first = failures[0][1]
        raise type(first)("; ".join(str(failure) for _, failure in failures)) from first
    unsound = [
        unsound_candidates.list_unsound(compared_places.describe_source(place), place, failure)
        for place, failure in failures
    ]
    return tuple(sound), tuple(unsound)


def _refuse_twice(scoring: closures.Scoring) -> None:
    digests = [candidate.sha256 for candidate in scoring.candidates]
    twice = next((run for run in scoring.candidates if digests.count(run.sha256) > 1), None)
    if twice is not None:
        raise errors.UsageError(f"candidate {twice.source} is named twice, or is the same evidence as another one")
    roots = [run.source for run in scoring.candidates] + [each.run_root for each in scoring.unsound]
    alike = next((root for root in roots if roots.count(root) > 1), None)
    if alike is not None:
        raise errors.UsageError(
            f"two candidates would be cited as {alike}, and nobody could tell which one is the best; name each once, "
            "by its path below the working folder, or rename one's folder"
        )


def _decode(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise errors.UsageError(f"{source} is not UTF-8 text") from exc


def write(comparison: ScoredClosure, store: ports.EvidenceStore, signer: ports.Signer | None) -> str:
    """Writes the score files, the signature where there is a signer, and the closure last; returns its name."""
    closure = comparison.closure
    for name, content in comparison.scores.items():
        store.put_once(name, content)
    if signer is not None:
        _write_signature(closure, store, signer)
    name = closures.name_closure(closure.name)
    store.put_once(name, closure.content())
    return name


def move_baseline(comparison: ScoredClosure, *, now: datetime) -> active_baselines.ActiveBaseline | None:
    """Records the best candidate as the active baseline; None where nothing unlocks, or there is no chain.

    It comes after `write`, so that a command that was cut can be given again. Raises `errors.Conflict` where another
    comparison moved the baseline meanwhile.
    """
    if comparison.chain is None or not comparison.closure.unlocked:
        return None
    return comparison.chain.move(comparison.closure, comparison.score, now)


def _write_signature(closure: closures.Closure, store: ports.EvidenceStore, signer: ports.Signer) -> None:
    """A signature that is there already and speaks of this closure stays: each one has other bytes."""
    name, sha256 = closures.name_signature(closure.name), canonical.digest(closure.content())
    if name in store.names():
        try:
            closure_statements.check_envelope(store.read(name), closure, sha256)
        except errors.EvidenceCorrupt as exc:
            raise errors.Conflict(f"{name} is there and signs another closure; nothing was overwritten") from exc
        return
    statement = closure_statements.make_statement(closure, closure_statements.list_subjects(closure))
    store.put_once(name, signer.sign(statement))
