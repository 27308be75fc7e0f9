"""Signing with a key in KMS: on moto where it behaves as KMS does, else on a KMS of the test's own with a real key."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from cryptography.hazmat.primitives.asymmetric import padding as paddings

from burst.adapters import signing
from burst.domain.basics import errors
from burst.domain.verdict import attestations
from burst.kit import aws
from tests import fakes, publishing

SHORT = b'{"short":"statement"}'
LONG = b'{"long":"' + b"x" * 4096 + b'"}'


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """moto's KMS, in this process."""
    with publishing.aws_in_this_process("eu-west-2", monkeypatch):
        yield aws.client("kms")


def _make_key(kms: Any, spec: str = "ECC_NIST_P256", usage: str = "SIGN_VERIFY") -> str:
    return str(kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"])


@pytest.mark.parametrize("spec", ["ECC_NIST_P384", "RSA_2048"])
def test_a_key_in_kms_signs_what_its_public_half_verifies(kms: Any, spec: str) -> None:
    arn = _make_key(kms, spec)

    envelope = signing.open_signer(f"kms:{arn}", fakes.TickingClock()).sign(SHORT)

    read_back = attestations.read(envelope)
    assert read_back.statement == SHORT
    assert signing.read_public_key(f"kms:{arn}").check(read_back) == read_back.signatures[0].keyid


def test_the_public_half_written_to_a_file_verifies_without_kms(kms: Any, tmp_path: Any) -> None:
    arn = _make_key(kms)
    envelope = attestations.read(signing.open_signer(f"kms:{arn}", fakes.TickingClock()).sign(SHORT))
    (tmp_path / "key.pub").write_bytes(signing.read_public_pem(f"kms:{arn}"))

    assert signing.read_public_key(str(tmp_path / "key.pub")).check(envelope) == envelope.signatures[0].keyid


def test_the_signature_of_another_key_in_kms_does_not_hold(kms: Any) -> None:
    envelope = attestations.read(signing.open_signer(f"kms:{_make_key(kms)}", fakes.TickingClock()).sign(SHORT))

    with pytest.raises(errors.EvidenceCorrupt, match="not by the key given"):
        signing.read_public_key(f"kms:{_make_key(kms)}").check(envelope)


def test_a_key_in_another_region_is_asked_for_there(kms: Any) -> None:
    arn = _make_key(aws.client("kms", region_name="eu-north-1"))

    envelope = attestations.read(signing.open_signer(f"kms:{arn}", fakes.TickingClock()).sign(SHORT))

    assert ":eu-north-1:" in arn
    assert kms.meta.region_name == "eu-west-2"
    assert signing.read_public_key(f"kms:{arn}").check(envelope) == envelope.signatures[0].keyid
    assert signing.read_public_pem(f"kms:{arn}").startswith(b"-----BEGIN PUBLIC KEY-----")


def test_a_key_for_encryption_is_refused_before_anything_is_signed(kms: Any) -> None:
    arn = _make_key(kms, "RSA_2048", "ENCRYPT_DECRYPT")

    with pytest.raises(errors.UsageError, match="is for ENCRYPT_DECRYPT; allowed is one for SIGN_VERIFY"):
        signing.open_signer(f"kms:{arn}", fakes.TickingClock())


def test_a_key_that_is_not_there_is_named(kms: Any) -> None:
    absent = "kms:arn:aws:kms:eu-west-2:123456789012:key/00000000-0000-0000-0000-000000000000"

    for ask in (lambda: signing.open_signer(absent, fakes.TickingClock()), lambda: signing.read_public_key(absent)):
        with pytest.raises(errors.UsageError, match=r"kms:GetPublicKey.*00000000"):
            ask()


def test_a_kms_that_cannot_be_reached_leaves_verification_unknown(kms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")

    with pytest.raises(errors.EvidenceUnknown, match="the public key cannot be read"):
        signing.read_public_key("kms:alias/burst")


class Kms:
    """A KMS with one real key: signs whole messages of at most 4096 bytes, and digests, as AWS documents it."""

    def __init__(self, key: Any) -> None:
        self.key = key
        self.kinds: list[str] = []
        self.throttled = 0

    def get_public_key(self, **_: Any) -> dict[str, Any]:
        forms = serialization
        der = self.key.public_key().public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo)
        return {"KeyUsage": "SIGN_VERIFY", "PublicKey": der}

    def sign(self, *, Message: bytes, MessageType: str, SigningAlgorithm: str, KeyId: str) -> dict[str, Any]:  # noqa: N803
        self.kinds.append(f"{SigningAlgorithm} {MessageType}")
        if self.throttled:
            self.throttled -= 1
            raise _throttling_error()
        digested = MessageType == "DIGEST"
        assert len(Message) == 32 if digested else len(Message) <= 4096
        return {"Signature": self._sign_raw(Message, utils.Prehashed(hashes.SHA256()) if digested else hashes.SHA256())}

    def _sign_raw(self, message: bytes, digest: Any) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        if isinstance(self.key, rsa.RSAPrivateKey):
            padding = paddings.PSS(paddings.MGF1(hashes.SHA256()), paddings.PSS.DIGEST_LENGTH)
            return self.key.sign(message, padding, digest)
        signed: bytes = self.key.sign(message, ec.ECDSA(digest))
        return signed


def _throttling_error() -> Exception:
    throttled: Exception = exceptions.ClientError(
        {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "Sign"
    )
    return throttled


def _public(kms: Kms) -> signing.PublicKey:
    return signing.PublicKey(signing.KmsSigner("key", fakes.TickingClock(), kms).public_key)


@pytest.mark.parametrize(
    ("key", "statement", "kind"),
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()), SHORT, "ECDSA_SHA_256 RAW", id="ECDSA, short"),
        pytest.param(ec.generate_private_key(ec.SECP256R1()), LONG, "ECDSA_SHA_256 DIGEST", id="ECDSA, long"),
        pytest.param(rsa.generate_private_key(65537, 2048), SHORT, "RSASSA_PSS_SHA_256 RAW", id="RSA, short"),
        pytest.param(rsa.generate_private_key(65537, 2048), LONG, "RSASSA_PSS_SHA_256 DIGEST", id="RSA, long"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), SHORT, "ED25519_SHA_512 RAW", id="Ed25519, short"),
    ],
)
def test_statements_that_kms_does_not_take_whole_go_as_their_digest(key: Any, statement: bytes, kind: str) -> None:
    kms = Kms(key)

    envelope = attestations.read(signing.KmsSigner("key", fakes.TickingClock(), kms).sign(statement))

    assert kms.kinds == [kind]
    assert _public(kms).check(envelope)
    assert hashlib.sha256(envelope.statement).digest() == hashlib.sha256(statement).digest()


def test_a_throttled_kms_is_asked_again() -> None:
    kms = Kms(ec.generate_private_key(ec.SECP256R1()))
    kms.throttled = 2

    envelope = attestations.read(signing.KmsSigner("key", fakes.TickingClock(), kms).sign(SHORT))

    assert len(kms.kinds) == 3
    assert _public(kms).check(envelope)


def test_a_kms_that_keeps_throttling_ends_in_unavailable_within_the_patience() -> None:
    kms, clock = Kms(ec.generate_private_key(ec.SECP256R1())), fakes.TickingClock()
    kms.throttled = 10_000
    began = clock.now()

    with pytest.raises(errors.Unavailable, match="kms:Sign"):
        signing.KmsSigner("key", clock, kms).sign(SHORT)

    assert (clock.now() - began).total_seconds() <= signing.KMS_PATIENCE_SECONDS
