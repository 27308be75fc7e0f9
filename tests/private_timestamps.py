"""A timestamp authority (RFC 3161): its signature says that bytes were there at an instant."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

_INTEGER, _OCTETS, _OBJECT, _TIME, _SEQUENCE, _SET = 0x02, 0x04, 0x06, 0x18, 0x30, 0x31
_SHA256 = bytes.fromhex("300d06096086480165030402010500")
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_SIGNED_DATA = "2a864886f70d010702"
_TIMESTAMP_INFO = "2a864886f70d0109100104"
_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_CERTIFICATE = (
    "2a864886f70d010903",
    "2a864886f70d010904",
    "2a864886f70d010910022f",
)
_POLICY = "2a0304"


def encode(tag: int, *parts: bytes) -> bytes:
    """One element of DER."""
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(length)]) + length + content


def split(content: bytes) -> list[tuple[int, bytes, bytes]]:
    """Tag, content and whole of each element of DER."""
    elements = []
    while content:
        size, begin = content[1], 2
        if size & 128:
            begin += size & 127
            size = int.from_bytes(content[2:begin], "big")
        elements.append((content[0], content[begin : begin + size], content[: begin + size]))
        content = content[begin + size :]
    return elements


@dataclass(kw_only=True)
class TimestampAuthority:
    """Says when it saw what it was sent a digest of."""

    root_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    ahead_seconds: float = 0
    """How far its clock is ahead."""

    def __post_init__(self) -> None:
        self.root = _certify(self.root_key, self.root_key, "root of timestamps")
        self.certificate = _certify(self.key, self.root_key, "timestamps")

    def answer(self, asked: bytes) -> bytes:
        """The response to a request."""
        parts = split(split(asked)[0][1])
        imprint, nonce = parts[1][2], next(whole for tag, _, whole in parts[2:] if tag == _INTEGER)
        now = datetime.now(UTC) + timedelta(seconds=self.ahead_seconds)
        info = encode(
            _SEQUENCE,
            encode(_INTEGER, b"\1"),
            encode(_OBJECT, bytes.fromhex(_POLICY)),
            imprint,
            encode(_INTEGER, b"\7"),
            encode(_TIME, f"{now:%Y%m%d%H%M%SZ}".encode()),
            nonce,
        )
        granted = encode(_SEQUENCE, encode(_INTEGER, b"\0"))
        return encode(_SEQUENCE, granted, self._sign(info))

    def _sign(self, info: bytes) -> bytes:
        """The information as signed content (RFC 5652)."""
        certificate = self.certificate.public_bytes(serialization.Encoding.DER)
        known = encode(
            _SEQUENCE, encode(_SEQUENCE, encode(_SEQUENCE, encode(_OCTETS, hashlib.sha256(certificate).digest())))
        )
        attributes = sorted(
            [
                _attribute(_CONTENT_TYPE, encode(_OBJECT, bytes.fromhex(_TIMESTAMP_INFO))),
                _attribute(_MESSAGE_DIGEST, encode(_OCTETS, hashlib.sha256(info).digest())),
                _attribute(_SIGNING_CERTIFICATE, known),
            ]
        )
        signature = self.key.sign(encode(_SET, *attributes), ec.ECDSA(hashes.SHA256()))
        signer = encode(
            _SEQUENCE,
            encode(_INTEGER, b"\1"),
            encode(_SEQUENCE, self.root.subject.public_bytes(), _encode_number(self.certificate.serial_number)),
            _SHA256,
            encode(0xA0, *attributes),
            _ECDSA_SHA256,
            encode(_OCTETS, signature),
        )
        content = encode(
            _SEQUENCE, encode(_OBJECT, bytes.fromhex(_TIMESTAMP_INFO)), encode(0xA0, encode(_OCTETS, info))
        )
        parts = (
            encode(_INTEGER, b"\3"),
            encode(_SET, _SHA256),
            content,
            encode(0xA0, certificate),
            encode(_SET, signer),
        )
        return encode(_SEQUENCE, encode(_OBJECT, bytes.fromhex(_SIGNED_DATA)), encode(0xA0, encode(_SEQUENCE, *parts)))


def _attribute(name: str, value: bytes) -> bytes:
    return encode(_SEQUENCE, encode(_OBJECT, bytes.fromhex(name)), encode(_SET, value))


def _encode_number(number: int) -> bytes:
    return encode(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _certify(key: ec.EllipticCurvePrivateKey, root_key: ec.EllipticCurvePrivateKey, name: str) -> x509.Certificate:
    """A certificate of the root, for itself or for what signs timestamps."""
    is_root = key is root_key
    names = [_name("root of timestamps"), _name(name)]
    now = datetime.now(UTC).replace(tzinfo=None)
    builder = x509.CertificateBuilder(
        names[0],
        names[1],
        key.public_key(),
        x509.random_serial_number(),
        now - timedelta(days=1),
        now + timedelta(days=365),
    )
    builder = builder.add_extension(
        x509.BasicConstraints(ca=is_root, path_length=0 if is_root else None), critical=True
    )
    builder = builder.add_extension(_describe_usage(is_root=is_root), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if not is_root:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(root_key, hashes.SHA256())


def _name(words: str) -> x509.Name:
    pairs = [(oid.NameOID.ORGANIZATION_NAME, "burst.test"), (oid.NameOID.COMMON_NAME, words)]
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in pairs])


def _describe_usage(*, is_root: bool) -> x509.KeyUsage:
    others: Sequence[str] = (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(
        digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root, **dict.fromkeys(others, False)
    )
