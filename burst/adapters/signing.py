"""Signing keys: a PEM file or a key in KMS, behind one form of envelope. Needs the extra `sign`.

Keys and signatures are securesystemslib's. A private key in a file is used only where no other user can read it, and
no message holds any of it. KMS signs the bytes themselves where they fit (4096 at most), else their digest: the
signature is the same. Signatures are checked here, not by KMS, so a reader with the public key in a file needs no
access to KMS.
"""

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.verdict import attestations
from burst.kit import aws

if TYPE_CHECKING:
    from securesystemslib import signer as keys

KMS_PATIENCE_SECONDS = 20.0
KMS_LARGEST_BYTES = 4096
"""The longest message that KMS signs without a digest."""
LARGEST_KEY_BYTES = 64 << 10
REFERENCE_ALLOWED = "file:PATH (a PEM file) or kms:ARN"

_KMS_ALGORITHMS = {
    "ecdsa-sha2-nistp256": "ECDSA_SHA_256",
    "ecdsa-sha2-nistp384": "ECDSA_SHA_384",
    "ecdsa-sha2-nistp521": "ECDSA_SHA_512",
    "rsassa-pss-sha256": "RSASSA_PSS_SHA_256",
    "ed25519": "ED25519_SHA_512",
}
"""KMS's name for each scheme of securesystemslib's."""
_KMS_ARN = re.compile(r"arn:[a-z-]+:kms:([a-z0-9-]+):", re.ASCII)
_INSTALL = "signatures need the extra sign: pip install 'burst[sign]'"


class KeySigner:
    """`ports.Signer` with a key of securesystemslib's in this process."""

    def __init__(self, signer: "keys.Signer") -> None:
        self._signer = signer

    @property
    def public_key(self) -> "keys.Key":
        """The key that checks its signatures."""
        return self._signer.public_key

    @property
    def key_id(self) -> str:
        """The id of the key."""
        return self.public_key.keyid

    def sign(self, statement: bytes) -> bytes:
        """The bytes of an envelope around the statement."""
        signature = self._signer.sign(attestations.pre_authentication(statement))
        return attestations.envelope(statement, keyid=signature.keyid, signature=bytes.fromhex(signature.signature))


class KmsSigner:
    """`ports.Signer` with a key that never leaves KMS."""

    def __init__(self, name: str, clock: ports.Clock, client: Any | None = None) -> None:
        self._name = name
        self._clock = clock
        self._kms = client if client is not None else _make_kms_client(name)
        self.public_key = _read_kms_key(name, self._kms)

    @property
    def key_id(self) -> str:
        """The id of the key."""
        return self.public_key.keyid

    def sign(self, statement: bytes) -> bytes:
        """The bytes of an envelope around the statement. Raises what `aws.call` raises."""
        message = attestations.pre_authentication(statement)
        request = {
            "KeyId": self._name,
            "SigningAlgorithm": _KMS_ALGORITHMS[self.public_key.scheme],
            **_kms_message(message, self.public_key),
        }
        give_up_at = instants.later(self._clock.now(), KMS_PATIENCE_SECONDS)
        answer: Mapping[str, Any] = aws.retrying(self._clock, give_up_at)(
            aws.call, "kms:Sign", self._kms.sign, **request
        )
        return attestations.envelope(statement, keyid=self.public_key.keyid, signature=answer["Signature"])


class PublicKey:
    """A public key that a consumer trusts, over one of securesystemslib's."""

    def __init__(self, key: "keys.Key") -> None:
        self._key = key

    def check(self, envelope: attestations.Envelope) -> str:
        """The id of the key, once a signature by it holds."""
        from securesystemslib import exceptions
        from securesystemslib.signer import Signature

        own_signatures = [signature for signature in envelope.signatures if signature.keyid == self._key.keyid]
        if not own_signatures:
            signers = ", ".join(signature.keyid[:16] for signature in envelope.signatures)
            raise errors.EvidenceCorrupt(f"signed by key {signers}, and not by the key given, {self._key.keyid[:16]}")
        try:
            self._key.verify_signature(Signature(own_signatures[0].keyid, own_signatures[0].raw.hex()), envelope.signed)
        except exceptions.UnverifiedSignatureError as exc:
            raise errors.EvidenceCorrupt(f"the signature by key {self._key.keyid[:16]} does not hold") from exc
        return self._key.keyid


def open_signer(reference: str, clock: ports.Clock) -> "KeySigner | KmsSigner":
    """The signer behind `file:PATH` or `kms:ARN`.

    Raises `errors.UsageError` where the key cannot be used or the extra is not installed; no message holds any of it.
    """
    scheme, _, name = reference.partition(":")
    with _require_extra(errors.UsageError):
        if scheme == "kms" and name:
            return KmsSigner(name, clock)
        if scheme == "file" and name:
            return KeySigner(_read_signer(Path(name)))
    raise errors.UsageError(f"{scheme!r} is no kind of signing key; allowed: {REFERENCE_ALLOWED}")


def read_public_key(reference: str) -> PublicKey:
    """The key a consumer trusts: the path of a PEM file with a public key, or `kms:ARN`.

    Raises `errors.UsageError` where there is none, `errors.EvidenceUnknown` where it cannot be read now or the extra is
    not installed.
    """
    with _require_extra(errors.EvidenceUnknown):
        if not reference.startswith("kms:"):
            return PublicKey(_read_public_key_file(Path(reference.removeprefix("file:"))))
        name = reference.removeprefix("kms:")
        try:
            return PublicKey(_read_kms_key(name, _make_kms_client(name)))
        except (errors.Unavailable, errors.Refused) as exc:
            raise errors.EvidenceUnknown(f"the public key cannot be read: {exc}") from exc


def refuse_unreadable_key(reference: str) -> None:
    """Raises `errors.UsageError` for a file that holds no public key; KMS is asked only once there is a signature."""
    if not reference.startswith("kms:"):
        with contextlib.suppress(errors.EvidenceUnknown):  # without the extra a signature is what cannot be told
            read_public_key(reference)


def generate_key_pair() -> tuple[bytes, bytes]:
    """A new Ed25519 key pair, private and public, as PEM. Raises `errors.UsageError` without the extra."""
    with _require_extra(errors.UsageError):
        from cryptography.hazmat.primitives.asymmetric import ed25519

        key = ed25519.Ed25519PrivateKey.generate()
        return _private_pem(key), _public_pem(key.public_key())


def read_public_pem(reference: str) -> bytes:
    """The public half of the signing key behind `file:PATH` or `kms:ARN`, as PEM, for those who verify.

    Raises as `open_signer` does.
    """
    scheme, _, name = reference.partition(":")
    with _require_extra(errors.UsageError):
        if scheme == "kms" and name:
            return _public_pem(_read_kms_public_key(name, _make_kms_client(name)))
        if scheme == "file" and name:
            return _public_pem(_read_private_key(Path(name)).public_key())
    raise errors.UsageError(f"{scheme!r} is no kind of signing key; allowed: {REFERENCE_ALLOWED}")


@contextlib.contextmanager
def _require_extra(kind: type[errors.BurstError]) -> Iterator[None]:
    try:
        import cryptography
        import securesystemslib

        _ = cryptography, securesystemslib
    except ImportError:
        raise kind(_INSTALL) from None
    yield


def _private_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    pem: bytes = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    return pem


def _public_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    pem: bytes = key.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    return pem


def _read_signer(path: Path) -> "keys.Signer":
    from securesystemslib.signer import CryptoSigner

    try:
        return CryptoSigner(_read_private_key(path))
    except ValueError:
        raise _unusable(path) from None


def _read_private_key(path: Path) -> Any:
    from cryptography import exceptions
    from cryptography.hazmat.primitives import serialization

    content = _read_key_file(path, private=True)
    try:
        return serialization.load_pem_private_key(content, password=None)
    except TypeError:
        raise errors.UsageError(
            f"signing key {path} is encrypted, and burst asks for no password; keep it unencrypted with mode 0600, "
            "or in KMS"
        ) from None
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise _unusable(path) from None


def _unusable(path: Path) -> errors.UsageError:
    return errors.UsageError(
        f"signing key {path} is no private key in PEM that can sign here; make one: burst evidence keygen -o FILE"
    )


def _read_public_key_file(path: Path) -> "keys.Key":
    from cryptography import exceptions
    from cryptography.hazmat.primitives import serialization
    from securesystemslib.signer import SSlibKey

    content = _read_key_file(path, private=False)
    if b"PRIVATE KEY" in content:
        raise errors.UsageError(f"{path} holds a private key; give its public one to those who verify")
    try:
        return SSlibKey.from_crypto(serialization.load_pem_public_key(content))
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise errors.UsageError(f"{path} is no public key in PEM that can be checked here") from None


def _read_key_file(path: Path, *, private: bool) -> bytes:
    """The bytes of a key's file; a private one must be readable by its owner alone."""
    kind = "signing key" if private else "public key"
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise errors.UsageError(f"{kind} {path} is not a regular file")
            if private and stat.S_IMODE(mode) & 0o077:
                raise errors.UsageError(
                    f"{kind} {path} has mode {stat.S_IMODE(mode):04o}, so others can read it; allowed is 0600: "
                    f"chmod 600 {path}"
                )
            return file.read(LARGEST_KEY_BYTES)
    except OSError as exc:
        raise errors.UsageError(f"{kind} {path} cannot be read: {exc.strerror}") from None


def _make_kms_client(key_id: str) -> Any:
    """A client for the region in an ARN; for the environment's region with an id or an alias."""
    arn = _KMS_ARN.match(key_id)
    return aws.client("kms", region_name=arn[1] if arn else None)


def _read_kms_public_key(key_id: str, client: Any) -> Any:
    from cryptography.hazmat.primitives import serialization

    answer = aws.call("kms:GetPublicKey", client.get_public_key, KeyId=key_id)
    if answer.get("KeyUsage") != "SIGN_VERIFY":
        raise errors.UsageError(f"KMS key {key_id} is for {answer.get('KeyUsage')}; allowed is one for SIGN_VERIFY")
    return serialization.load_der_public_key(answer["PublicKey"])


def _read_kms_key(key_id: str, client: Any) -> "keys.SSlibKey":
    from securesystemslib.signer import SSlibKey

    try:
        key = SSlibKey.from_crypto(_read_kms_public_key(key_id, client))
    except ValueError:
        key = None
    if key is None or key.scheme not in _KMS_ALGORITHMS:
        raise errors.UsageError(
            f"KMS key {key_id} is of a kind that cannot sign here; allowed: ECC_NIST_P256, P384 or P521, "
            "ECC_NIST_EDWARDS25519, RSA"
        )
    return key


def _kms_message(message: bytes, key: "keys.SSlibKey") -> dict[str, Any]:
    """The message in the form KMS signs; Ed25519 has no digest form."""
    if len(message) <= KMS_LARGEST_BYTES or key.scheme == "ed25519":
        return {"Message": message, "MessageType": "RAW"}
    digest = hashlib.new(key.get_hash_algorithm_name(), message).digest()
    return {"Message": digest, "MessageType": "DIGEST"}
