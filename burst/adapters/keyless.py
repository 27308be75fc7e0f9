"""Keyless signatures: Sigstore's services give a certificate for an identity, and log the signature. Needs the extra
`sign`.

Sigstore's library does it, in a program of its own (`burst/adapters/sigstore_client.py`) that is ended where it takes
too long. It is imported by nothing else, so no other command pays for it. Time and memory the program limits itself, so
that it ends though whoever waits for it was killed.
"""

import importlib.util
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burst.domain.basics import errors, redaction
from burst.domain.verdict import attestations
from burst.kit import own_programs

PATIENCE_SECONDS = 60.0
LARGEST_DATA_BYTES = 256 << 20
"""Several times what Sigstore's library needs."""
_CLIENT = "burst.adapters.sigstore_client"
_SUCH = "ci@acme.example or https://accounts.acme.example"
_INSTALL = "keyless signatures need the extra sign: pip install 'burst[sign]'"
_SIGNING_ERRORS: Mapping[str, type[errors.BurstError]] = {
    "usage": errors.UsageError,
    "refused": errors.Refused,
    "unavailable": errors.Unavailable,
}
_VERIFYING_ERRORS: Mapping[str, type[errors.BurstError]] = {
    "usage": errors.UsageError,
    "corrupt": errors.EvidenceCorrupt,
    "unavailable": errors.EvidenceUnknown,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeylessSignature:
    """The signature in a bundle that holds: its signer by the certificate in it, and the number of its log entry."""

    identity: str
    issuer: str
    log_index: int
    bundle: bytes = b""
    statement: bytes | None = None
    """The statement that was signed; None where a document itself was signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedSigner:
    """The identity that has to have signed, as the issuer of its tokens knows it.

    Both have to be said, because Sigstore's library takes an empty issuer for any. Raises `errors.UsageError`.
    """

    identity: str
    issuer: str

    def __post_init__(self) -> None:
        for name, value in (("identity", self.identity), ("issuer", self.issuer)):
            if not value.strip():
                raise errors.UsageError(f"--{name} is empty; allowed: what the certificate has to say, such as {_SUCH}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SigstoreServices:
    """The services that are asked and trusted: those of a Sigstore trust config, else the public ones."""

    trust_config: bytes | None = None
    patience_seconds: float = PATIENCE_SECONDS


def sign(statement: bytes, token: redaction.Secret | None, services: SigstoreServices) -> KeylessSignature:
    """A signature of an in-toto statement, as the identity of the token; without one, of the pipeline this runs in.

    Raises `errors.UsageError` for a bad token or trust config, `errors.Refused` where a service refuses or its answer
    does not hold, `errors.Unavailable` where one does not answer in time.
    """
    order = {
        "act": "sign",
        "statement": statement.decode(),
        "token": token.reveal().strip() if token is not None else None,
    }
    answer = _ask(order, services, _SIGNING_ERRORS)
    return _read_signature(answer, bundle=answer["bundle"].encode())


def verify(bundle: bytes, signer: ExpectedSigner, document: bytes, services: SigstoreServices) -> KeylessSignature:
    """The signature in a bundle, once all of it holds: by this signer, logged while its certificate was valid.

    A bundle without a statement has to be a signature of the document itself. Raises
    `errors.EvidenceCorrupt` with the reason, `errors.EvidenceUnknown` where it cannot be told now, and
    `errors.UsageError` for a bad trust config.
    """
    try:
        text = bundle.decode()
    except UnicodeDecodeError as exc:
        raise errors.EvidenceCorrupt(f"the signature does not hold: {exc}") from exc
    order = {
        "act": "verify",
        "bundle": text,
        "identity": signer.identity,
        "issuer": signer.issuer,
        "document": document.decode(),
    }
    answer = _ask(order, services, _VERIFYING_ERRORS)
    statement = answer["statement"]
    if statement is not None and answer["payload_type"] != attestations.PAYLOAD_TYPE:
        saw = str(answer["payload_type"])[:80]
        raise errors.EvidenceCorrupt(f"the payload type is {saw!r}, allowed is {attestations.PAYLOAD_TYPE!r}")
    return _read_signature(answer, bundle=bundle, statement=None if statement is None else statement.encode())


def _read_signature(answer: Mapping[str, Any], *, bundle: bytes, statement: bytes | None = None) -> KeylessSignature:
    return KeylessSignature(
        identity=answer["identity"],
        issuer=answer["issuer"],
        log_index=answer["log_index"],
        bundle=bundle,
        statement=statement,
    )


def _ask(
    order: Mapping[str, Any], services: SigstoreServices, kinds: Mapping[str, type[errors.BurstError]]
) -> dict[str, Any]:
    """The answer of Sigstore's library. Raises the error of the kind that it answers with."""
    if importlib.util.find_spec("sigstore") is None:
        raise (errors.UsageError if order["act"] == "sign" else errors.EvidenceUnknown)(_INSTALL)
    trust_config = None if services.trust_config is None else services.trust_config.decode("utf-8", "replace")
    limits = {"seconds": services.patience_seconds, "data_bytes": LARGEST_DATA_BYTES}
    words = json.dumps({**order, **limits, "trust_config": trust_config}).encode()
    try:
        done = subprocess.run(
            own_programs.start_words(_CLIENT), input=words, capture_output=True, timeout=services.patience_seconds
        )
    except subprocess.TimeoutExpired:
        why = f"Sigstore's services gave no answer within {services.patience_seconds:g} s; try again later"
        raise kinds["unavailable"](why) from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise kinds["unavailable"](f"Sigstore's library ended with {done.returncode} before it answered") from None
    if "refused" in answer:
        raise kinds[answer["refused"]](answer["why"])
    return answer
