"""Whether evidence is sound: the result of a verification, the evidence that holds, and what ends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.verdict import snapshots

if TYPE_CHECKING:
    from burst.domain.verdict import rollup_snapshots


class EvidenceState(StrEnum):
    """The result of a verification."""

    OK = "ok"
    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    TOO_OLD = "too-old"
    """Sound, and older than the caller allows."""
    MISSING_DOCUMENT = "missing-document"
    CORRUPT = "corrupt"
    NOT_CANONICAL = "not-canonical"
    REFUTED = "refuted"
    """The documents give another verdict than the snapshot claims, or the journal another task result."""
    DIVERGED = "diverged"
    """Two places hold different bytes."""
    BAD_SIGNATURE = "bad-signature"
    CHAIN_BROKEN = "chain-broken"
    UNSUPPORTED_SCHEMA = "unsupported-schema"
    UNKNOWN = "unknown"
    """A document that would settle it cannot be read, or needs another version of burst."""


_INCOMPLETE = (EvidenceState.ABSENT, EvidenceState.INCOMPLETE, EvidenceState.TOO_OLD)
_CANNOT_TELL = (EvidenceState.UNSUPPORTED_SCHEMA, EvidenceState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The state of one run's evidence and why. `verdict` is there only when the evidence is sound."""

    state: EvidenceState
    why: str
    name: str | None = None
    """The snapshot's document name."""
    verdict: snapshots.Verdict | None = None
    worded_by: str | None = None
    """The version whose sentences the snapshot holds, where they are not this version's."""
    rollup: rollup_snapshots.RollupVerdict | None = None
    """The verdict in place of `verdict`, where the evidence is that of a roll-up."""

    @property
    def shown(self) -> snapshots.Snapshot | rollup_snapshots.RollupSnapshot | None:
        """The snapshot of sound evidence, of whatever kind."""
        sound = self.verdict or self.rollup
        return None if sound is None else sound.snapshot

    @property
    def snapshot(self) -> Mapping[str, Any] | None:
        """The snapshot's JSON value as it was published, with the fields of a later minor version."""
        sound = self.verdict or self.rollup
        value: Mapping[str, Any] | None = canonical.decode(sound.content) if sound else None
        return value

    @property
    def sha256(self) -> str | None:
        """The digest of the snapshot."""
        sound = self.verdict or self.rollup
        return sound.sha256 if sound else None

    @property
    def slug(self) -> str:
        """The phase's slug, as the names of its documents spell it; empty where there is no snapshot."""
        name = self.name or ""
        return document_names.find_snapshot_slug(name) or document_names.find_unpublished_slug(name) or ""

    @property
    def exit_code(self) -> int:
        """0 sound PASS, 3 sound HOLD, 7 absent or incomplete, 8 integrity failed, 9 cannot tell."""
        if self.shown is not None:
            return 0 if self.shown.overall_pass else 3
        if self.state in _INCOMPLETE:
            return errors.EvidenceIncomplete.exit_code
        return errors.EvidenceUnknown.exit_code if self.state in _CANNOT_TELL else errors.EvidenceCorrupt.exit_code

    def require(self) -> Verification:
        """This result where the evidence is sound; else raises the error of its state, with its exit code."""
        self.require_verdict()
        return self

    def require_verdict(self) -> snapshots.Verdict:
        """The verdict of sound evidence; else raises the error of its state, with its exit code."""
        if self.verdict is not None:
            return self.verdict
        if self.rollup is not None:
            raise errors.UsageError("it is a roll-up, and no run: its lanes are the runs; name one of those")
        if self.state in _INCOMPLETE:
            raise errors.EvidenceIncomplete(f"{self.state}: {self.why}")
        kind = errors.EvidenceUnknown if self.state in _CANNOT_TELL else errors.EvidenceCorrupt
        raise kind(f"{self.state}: {self.why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEvidence:
    """Evidence whose documents hold together, as a further check gets it."""

    name: str
    """The snapshot's document name."""
    verdict: snapshots.Verdict
    plan: plans.Plan
    documents: Mapping[str, bytes]
    """Every document the snapshot names, and the journal as far as it is named."""
    names: Collection[str]
    """Every name in the store, also of documents the snapshot does not name, such as the report and signatures."""

    @property
    def snapshot(self) -> snapshots.Snapshot:
        """The snapshot."""
        return self.verdict.snapshot

    @property
    def content(self) -> bytes:
        """The snapshot's bytes."""
        return self.verdict.content


FurtherCheck = Callable[[HeldEvidence], None]
"""One more thing that must hold. Raises `NotSoundError` where it does not."""


class NotSoundError(Exception):
    """Ends verification with its result."""

    def __init__(self, state: EvidenceState, why: str) -> None:
        self.finding = Verification(state=state, why=why)
        super().__init__(why)


def name_maker(verifier: Mapping[str, str]) -> str:
    """The program and version that made a snapshot; a text that is no version is not repeated."""
    version = f"{verifier.get('name')} {verifier.get('version')}"
    return version if re.fullmatch(r"[A-Za-z0-9 .+_-]{1,60}", version) else "another verifier"
