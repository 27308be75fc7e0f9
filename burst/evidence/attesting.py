"""Attesting: the verdict of sound evidence as a statement that other tools read, signed where that is asked for; and
the reading of such a statement that was signed without a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from burst.adapters import keyless, secrets, signing
from burst.adapters.local import system_clock
from burst.domain.basics import canonical, errors
from burst.domain.verdict import predicates
from burst.kit import files

if TYPE_CHECKING:
    from burst.evidence import full_verification

SIGNATURE_WORD = "signature"
"""What a bundle is where it holds no statement: a signature of the snapshot's own bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyless:
    """A signature by a certificate for an identity, in place of a key.

    `identity_token` is a reference such as `env:NAME` or `file:PATH`; without it the pipeline is asked for its own
    token. `trust_config` is a file with the keys and addresses of a private Sigstore; without it the public one signs.
    """

    identity_token: str | None = None
    trust_config: Path | None = None
    patience_seconds: float = keyless.PATIENCE_SECONDS

    def read_services(self) -> keyless.SigstoreServices:
        """The services. Raises `errors.UsageError` where the file cannot be read."""
        content = files.read_named(self.trust_config, "--trust-config") if self.trust_config is not None else None
        return keyless.SigstoreServices(trust_config=content, patience_seconds=self.patience_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationOrder:
    """An attestation to write: the word of its predicate, the artifact, who signs, and whether the predicate stands
    alone."""

    word: str
    subject: str | None = None
    signer: str | Keyless | None = None
    """A key, by reference, or a keyless signature; None: nobody signs."""
    only_predicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAttestation:
    """An attestation that holds: who signed it, of what, and the verdict that it and the evidence give."""

    identity: str
    issuer: str
    log_index: int
    word: str
    """The predicate, or `signature` where the snapshot's own bytes were signed."""
    subject: str
    execution_id: str | None
    overall_pass: bool

    @property
    def exit_code(self) -> int:
        """0 of a PASS, 3 of a HOLD."""
        return 0 if self.overall_pass else 3


def attest(
    verified: full_verification.Verified, order: AttestationOrder, now: datetime, tell: Callable[[str], None]
) -> bytes:
    """The bytes of the predicate, the statement, the envelope around it, or the bundle around that.

    Raises the error of evidence that is not sound, `errors.UsageError` for an unknown predicate or a bad subject, and
    what `keyless.sign` raises.
    """
    if order.word not in predicates.TYPES:
        raise errors.UsageError(f"predicate: saw {order.word!r}; allowed: {', '.join(predicates.TYPES)}")
    verdict, name = verified.finding.require_verdict(), verified.finding.name or ""
    artifact = _read_artifact(order.subject, name, verdict.sha256)
    predicate = predicates.make_predicate(order.word, verdict, name, artifact, now)
    if order.only_predicate:
        return canonical.encode(predicate)
    statement = predicates.make_statement(order.word, predicate, [artifact])
    if order.signer is None:
        return statement
    if isinstance(order.signer, str):
        return signing.open_signer(order.signer, system_clock.SystemClock()).sign(statement)
    token = secrets.resolve(order.signer.identity_token) if order.signer.identity_token is not None else None
    signature = keyless.sign(statement, token, order.signer.read_services())
    tell(f"signed as {signature.identity} of {signature.issuer}; entry {signature.log_index} of the log")
    return signature.bundle


def verify_attestation(
    bundle: bytes,
    verified: full_verification.Verified,
    signer: keyless.ExpectedSigner,
    subject: str | None,
    services: keyless.SigstoreServices,
) -> VerifiedAttestation:
    """The attestation in a bundle, once the signature holds and the statement says what the evidence says.

    Raises the error of evidence that is not sound, and what `keyless.verify` and `predicates.check_statement` raise.
    """
    verdict, name = verified.finding.require_verdict(), verified.finding.name or ""
    artifact = _read_artifact(subject, name, verdict.sha256)
    signature = keyless.verify(bundle, signer, verdict.content, services)
    if signature.statement is not None:
        word = predicates.check_statement(signature.statement, verdict, name, artifact)
    elif subject is None:
        word = SIGNATURE_WORD
    else:
        raise errors.EvidenceCorrupt(f"the bundle is a signature of {name} alone, and says nothing of {artifact}")
    return VerifiedAttestation(
        identity=signature.identity,
        issuer=signature.issuer,
        log_index=signature.log_index,
        word=word,
        subject=str(artifact),
        execution_id=verdict.snapshot.execution_id,
        overall_pass=verdict.snapshot.overall_pass,
    )


def _read_artifact(subject: str | None, snapshot_name: str, snapshot_sha256: str) -> predicates.TestedArtifact:
    """The artifact that was named, else the snapshot."""
    if subject is not None:
        return predicates.TestedArtifact.read(subject)
    return predicates.TestedArtifact(name=snapshot_name, sha256=snapshot_sha256)
