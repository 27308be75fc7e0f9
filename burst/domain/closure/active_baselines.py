"""Active baselines: the chain of records that says which run candidates are scored against.

The first record names the run that the chain begins with. Each further one names its predecessor by digest, and the
closure that unlocked it. So the active baseline moves by an UNLOCK alone, and nothing in the chain can be changed.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic

from burst.domain.basics import canonical, errors
from burst.domain.closure import closures
from burst.domain.documents import models

SCHEMA: Literal["burst.active-baseline/v1"] = "burst.active-baseline/v1"
_PREFIX, _SUFFIX = "active_", ".json"


class ActiveRun(models.Model):
    """The active baseline: a run by the digest of its snapshot, or a file by its own."""

    run_id: str
    """The execution id; of a file, how the operator named it."""
    source: str
    """How the operator named it: a path, or an S3 address."""
    document_name: str
    """The file name of its snapshot, or of the file."""
    sha256: models.Digest
    """SHA-256 of the snapshot's bytes, or of the file's."""


class ActiveBaseline(models.Model):
    """`active_NNNN.json`: one record of the chain."""

    schema_: Annotated[Literal["burst.active-baseline/v1"], pydantic.Field(alias="schema")] = SCHEMA
    name: str
    """The name of the score that the chain belongs to."""
    number: models.Count
    """Its place in the chain, from 0; the highest number is the active one."""
    predecessor: models.Digest | None
    """SHA-256 of the record before it; None for the first."""
    closure_sha256: models.Digest | None
    """The closure that unlocked it; None for the first."""
    run: ActiveRun
    """The run or file that candidates are scored against from here on."""
    score: closures.ScoreRef
    """The score file that it was unlocked by, for the first the one that it began with."""
    recorded_utc: models.Instant
    """When the record was written, by the clock of whoever scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last record of a chain."""

    record: ActiveBaseline
    sha256: str
    unfinished: frozenset[str] = frozenset()
    """The closures that unlocked a run against it, and whose record is not there: a move that was cut, or a record that
    was taken away."""

    @property
    def ref(self) -> closures.ActiveRef:
        """The record as a closure cites it."""
        return closures.ActiveRef(number=self.record.number, sha256=self.sha256, score=self.record.score)


def name_record(number: int) -> str:
    """The document of one record."""
    return f"{_PREFIX}{number:04d}{_SUFFIX}"


def name_closure_copy(sha256: str) -> str:
    """The copy of a closure in the place of the chain."""
    return f"closure_{sha256}.json"


def list_records(names: Sequence[str]) -> list[str]:
    """The names of the records among all documents of a place, in order."""
    return sorted(name for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX))


def check_chain(contents: Sequence[bytes], copies: Mapping[str, bytes]) -> Head | None:
    """The last record of a whole chain; None where there is no record. `copies`: the closures by their digest.

    Raises `errors.EvidenceCorrupt` where a record does not follow from the one before and its closure, or where a
    closure was scored against a record that is not there.
    """
    head: Head | None = None
    digests: set[str] = set()
    cited: set[str | None] = set()
    for number, content in enumerate(contents):
        record = models.read(ActiveBaseline, content)
        where = name_record(number)
        if record.number != number:
            raise errors.EvidenceCorrupt(f"{where} says number {record.number}: the chain has a gap, or two beginnings")
        if record.predecessor != (head.sha256 if head else None):
            raise errors.EvidenceCorrupt(f"{where} does not name the record before it by its digest")
        _check_closure(where, record, head, copies)
        head = Head(record=record, sha256=canonical.digest(content))
        digests.add(head.sha256)
        cited.add(record.closure_sha256)
    spare = {sha256: copy for sha256, copy in copies.items() if sha256 not in cited}
    scored_against = {sha256: _find_scored_against(sha256, copy, digests) for sha256, copy in spare.items()}
    if head is None:
        return None
    unfinished = frozenset(sha256 for sha256, active in scored_against.items() if active == head.sha256)
    return dataclasses.replace(head, unfinished=unfinished)


def _find_scored_against(sha256: str, copy: bytes, digests: Collection[str]) -> str:
    """The record that a closure, which no record names, was scored against. It lost a race, or its move was cut."""
    where = name_closure_copy(sha256)
    active = closures.read(copy).active_baseline
    if canonical.digest(copy) != sha256 or active is None or active.sha256 not in digests:
        number = f"record {active.number}" if active else "no record"
        raise errors.EvidenceCorrupt(
            f"{where} was scored against {number}, which is not in the chain: a record was taken away or changed; put "
            "the chain back as it was"
        )
    return active.sha256


def _check_closure(where: str, record: ActiveBaseline, head: Head | None, copies: Mapping[str, bytes]) -> None:
    if head is None:
        if record.closure_sha256 is not None:
            raise errors.EvidenceCorrupt(f"{where} is the first and names a closure")
        return
    content = copies.get(record.closure_sha256 or "")
    if content is None or canonical.digest(content) != record.closure_sha256:
        raise errors.EvidenceCorrupt(f"{where}: the closure that unlocked it is not here")
    closure = closures.read(content)
    contradiction = _find_contradiction(closure)
    if contradiction:
        raise errors.EvidenceCorrupt(f"{where}: its closure contradicts itself: {contradiction}")
    if not closure.unlocked:
        raise errors.EvidenceCorrupt(f"{where}: its closure says {closure.decision.result}, which unlocks nothing")
    if closure.active_baseline is None or closure.active_baseline.sha256 != head.sha256:
        raise errors.EvidenceCorrupt(f"{where}: its closure was scored against another active baseline")
    if (closure.candidate.sha256, closure.score) != (record.run.sha256, record.score):
        raise errors.EvidenceCorrupt(f"{where}: its closure unlocked another run, or by another score")


def _find_contradiction(closure: closures.Closure) -> str:
    """In what a closure contradicts its own checks; empty where it does not."""
    failing = [check.name for check in closure.checks if not check.pass_ or check.status != "PASS"]
    if closure.unlocked and (failing or not closure.checks):
        return f"it unlocks, and these checks do not pass: {', '.join(failing) or 'none was asked'}"
    if closure.best != (closure.candidate.run_id if closure.unlocked else None):
        return f"it says {closure.decision.result}, and names {closure.best or 'nothing'} as the best"
    return ""


def begin(scoring: closures.Scoring, recorded: models.Instant) -> ActiveBaseline:
    """The first record of a chain: the baseline and the score of a scoring."""
    baseline = scoring.baseline
    return ActiveBaseline(
        name=scoring.file.name,
        number=0,
        predecessor=None,
        closure_sha256=None,
        run=ActiveRun(
            run_id=baseline.run_id, source=baseline.source, document_name=baseline.name, sha256=baseline.sha256
        ),
        score=closures.ScoreRef(name=closures.name_score(scoring.file.name, scoring.sha256), sha256=scoring.sha256),
        recorded_utc=recorded,
    )


def follow(head: Head, closure: closures.Closure, recorded: models.Instant) -> ActiveBaseline:
    """The record after the last one, by a closure that unlocks. Raises ValueError where it does not."""
    if not closure.unlocked:
        raise ValueError(f"{closure.decision.result} moves no baseline")
    best = closure.candidate
    return ActiveBaseline(
        name=closure.name,
        number=head.record.number + 1,
        predecessor=head.sha256,
        closure_sha256=canonical.digest(closure.content()),
        run=ActiveRun(run_id=best.run_id, source=best.run_root, document_name=best.document_name, sha256=best.sha256),
        score=closure.score,
        recorded_utc=recorded,
    )
