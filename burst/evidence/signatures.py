"""Signatures of evidence, as a consumer asks for them.

Whether a signature speaks of exactly this evidence is checked without any key; who made it, only with one. Absence is a
fault where a signature was required, or where the plan asked for one: it is published before the snapshot, so it can
only have been taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from burst.adapters import signing
from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.verdict import attestations
from burst.evidence import soundness

if TYPE_CHECKING:
    from burst import ports

State = soundness.EvidenceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The state of a run's signature: `verified` with a key, `not-checked` where none was given, or `absent`."""

    state: str
    key_ids: tuple[str, ...] = ()
    """The key that was checked, or those the signature says it is by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose signature is wanted. `key`: a PEM file with a public key, or `kms:ARN`.

    Raises `errors.UsageError` for a file that holds none, whether there is a signature or not.
    """

    key: str | None = None
    required: bool = False

    def __post_init__(self) -> None:
        if self.required and self.key is None:
            raise errors.UsageError("a signature is required, and no key is named that it has to be by")
        if self.key is not None:
            signing.refuse_unreadable_key(self.key)

    def check(self, held: soundness.HeldEvidence, store: ports.EvidenceStore) -> Signed:
        """The state of the signature. Raises `soundness.NotSoundError`, or `errors.UsageError` for a bad key."""
        name = document_names.signature_name(held.plan.slug, held.plan.kind)
        if name not in held.names:
            self._refuse_absence(held, name)
            return Signed(state="absent")
        try:
            envelope = attestations.read(store.read(name))
            attestations.check(envelope.statement, _subjects(held, store), held.snapshot)
            if self.key is None:
                return Signed(state="not-checked", key_ids=tuple(signature.keyid for signature in envelope.signatures))
            return Signed(state="verified", key_ids=(signing.read_public_key(self.key).check(envelope),))
        except errors.EvidenceCorrupt as exc:
            raise soundness.NotSoundError(State.BAD_SIGNATURE, f"{name}: {exc}") from exc
        except (errors.EvidenceUnknown, errors.EvidenceIncomplete) as exc:
            raise soundness.NotSoundError(State.UNKNOWN, f"{name}: {exc}") from exc

    def _refuse_absence(self, held: soundness.HeldEvidence, name: str) -> None:
        if self.required:
            raise soundness.NotSoundError(State.BAD_SIGNATURE, f"{name} is not there, and a signature was required")
        unpublished = document_names.unpublished_name(held.plan.slug, held.plan.kind) in held.names
        if unpublished and document_names.PUBLICATION not in held.names:
            return  # signing may be what failed; the verdict holds in any case
        if held.plan.evidence.sign is not None:
            raise soundness.NotSoundError(State.BAD_SIGNATURE, f"{name} is not there, and the plan asks for one")


def _subjects(held: soundness.HeldEvidence, store: ports.EvidenceStore) -> dict[str, str]:
    report = store.read(document_names.REPORT) if document_names.REPORT in held.names else None
    return attestations.subjects(held.name, held.verdict, report)
