"""A private Sigstore on loopback: identity provider, certificate authority, certificate log, transparency log, and a
timestamp authority where the log is one of the second version, which tells no time.

Its keys are its own. Certificates, certificate timestamps, Merkle proofs, checkpoints and promises are real, and each
service checks what it is given, so that Sigstore's own library can do all of the verification. A test breaks one part
of it by a field: a clock that is ahead, another key, a shorter life, an answer that never comes.
"""

import base64
import hashlib
import http.server
import json
import struct
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import rfc8785
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509 import oid

from tests import private_timestamps

AUDIENCE = "sigstore"
TIMESTAMPS = "/api/v1/timestamp"
PIPELINE = "https://ci.example/acme/ingest/pipelines/release@main"
"""Who asks for a token with the secret below."""
REQUEST_SECRET = "what-the-pipeline-may-ask-for-a-token-with"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_AS_UTF8 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_ECDSA = ec.ECDSA(hashes.SHA256())
_ECDSA_OF_DIGEST = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


class RefusedError(Exception):
    """A service refuses a request; the words are its answer."""


def make_key() -> ec.EllipticCurvePrivateKey:
    """A new key of the kind that every service here signs with."""
    return ec.generate_private_key(ec.SECP256R1())


def encode_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half, in DER."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def find_key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The id of a log with this key, as RFC 6962 has it."""
    return hashlib.sha256(encode_public(key)).digest()


def encode_base64(content: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(content).decode()


@dataclass(kw_only=True)
class IdentityProvider:
    """Says who a pipeline is, in tokens."""

    issuer: str = "https://ci.example/issuer"
    key: ec.EllipticCurvePrivateKey = field(default_factory=make_key)

    def make_token(self, identity: str, *, seconds: float = 600, audience: str = AUDIENCE) -> str:
        """A token for an identity, for so many seconds from now."""
        now = datetime.now(UTC)
        claims = {
            "iss": self.issuer,
            "sub": identity,
            "aud": audience,
            "iat": now - timedelta(seconds=max(0.0, -seconds) + 60),
            "exp": now + timedelta(seconds=seconds),
        }
        return jwt.encode(claims, self.key, algorithm="ES256")

    def read_identity(self, token: str) -> str:
        """The identity in a token. Raises `RefusedError` for one that is not this provider's, or not now."""
        try:
            claims = jwt.decode(
                token, self.key.public_key(), algorithms=["ES256"], audience=AUDIENCE, issuer=self.issuer
            )
        except jwt.InvalidTokenError as exc:
            raise RefusedError(f"the token does not hold: {exc}") from exc
        return str(claims["sub"])


@dataclass(kw_only=True)
class CertificateAuthority:
    """Issues short-lived certificates, each with a timestamp of a certificate log."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=make_key)
    log_key: ec.EllipticCurvePrivateKey = field(default_factory=make_key)
    lifetime_seconds: float = 600
    name: x509.Name = field(
        default_factory=lambda: x509.Name(
            [
                x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, "burst.test"),
                x509.NameAttribute(oid.NameOID.COMMON_NAME, "private certificate authority"),
            ]
        )
    )

    def __post_init__(self) -> None:
        self.root = self._make_root()

    def issue(self, request: x509.CertificateSigningRequest, identity: str, issuer: str) -> x509.Certificate:
        """A certificate for the key that signed the request, with the timestamp of the log in it."""
        if not request.is_signature_valid:
            raise RefusedError("the request is not signed by its own key")
        bare = self._describe(request, identity, issuer)
        timestamp = self._timestamp(bare.sign(self.key, hashes.SHA256()).tbs_certificate_bytes)
        stamped = bare.add_extension(x509.UnrecognizedExtension(_SCT_LIST, timestamp), critical=False)
        return stamped.sign(self.key, hashes.SHA256())

    def _make_root(self) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=self.name,
            public_key=self.key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=BEGAN.replace(tzinfo=None),
            not_valid_after=datetime.now(UTC).replace(tzinfo=None) + timedelta(days=365),
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        return (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_describe_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def _describe(self, request: x509.CertificateSigningRequest, identity: str, issuer: str) -> x509.CertificateBuilder:
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        builder = x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=x509.Name([]),
            public_key=request.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(seconds=max(0.0, 60 - self.lifetime_seconds)),
            not_valid_after=now + timedelta(seconds=self.lifetime_seconds),
        )
        name: x509.GeneralName = (
            x509.RFC822Name(identity) if "@" in identity else x509.UniformResourceIdentifier(identity)
        )
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            builder.add_extension(_describe_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(authority, critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_AS_UTF8, asn1.encode_der(issuer)), critical=False)
        )

    def _timestamp(self, unstamped: bytes) -> bytes:
        """A list of one signed certificate timestamp (RFC 6962, 3.3) over a certificate without it."""
        milliseconds = int(datetime.now(UTC).timestamp() * 1000)
        entry = hashlib.sha256(encode_public(self.key)).digest() + _prefix_length(unstamped, 3)
        signed = struct.pack("!BBQH", 0, 0, milliseconds, 1) + entry + struct.pack("!H", 0)
        signature = self.log_key.sign(signed, _ECDSA)
        timestamp = struct.pack("!B32sQH", 0, find_key_id(self.log_key), milliseconds, 0)
        timestamp += struct.pack("!BB", 4, 3) + _prefix_length(signature, 2)
        return asn1.encode_der(_prefix_length(_prefix_length(timestamp, 2), 2))


def _prefix_length(content: bytes, width: int) -> bytes:
    return len(content).to_bytes(width, "big") + content


def _describe_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(kw_only=True)
class TransparencyLog:
    """A log that anybody can read: a Merkle tree (RFC 6962) whose checkpoints and promises it signs."""

    origin: str = "log.burst.test"
    key: ec.EllipticCurvePrivateKey = field(default_factory=make_key)
    ahead_seconds: float = 0
    """How far its clock is ahead."""
    bodies: list[bytes] = field(default_factory=lambda: [f"entry {number}".encode() for number in range(5)])
    """Its entries; some were there before."""

    def append(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """Takes an entry whose signature holds, and answers with the promise and the proof of it."""
        readers = {"dsse": _read_envelope_entry, "hashedrekord": _read_digest_entry}
        if proposed["kind"] not in readers:
            raise RefusedError(f"kind {proposed['kind']!r} is not logged here")
        self.bodies.append(readers[proposed["kind"]](proposed))
        return self.answer(len(self.bodies) - 1)

    def append_digest(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """The same of a log of the second version: it takes digests alone, and promises no time."""
        asked = proposed["hashedRekordRequestV002"]
        signature = asked["signature"]
        certificate = base64.b64decode(signature["verifier"]["x509Certificate"]["rawBytes"])
        key = x509.load_der_x509_certificate(certificate).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(base64.b64decode(signature["content"]), base64.b64decode(asked["digest"]), _ECDSA_OF_DIGEST)
        data = {"algorithm": "SHA2_256", "digest": asked["digest"]}
        spec = {"hashedRekordV002": {"data": data, "signature": signature}}
        body: dict[str, Any] = {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec}
        self.bodies.append(rfc8785.dumps(body))
        index = len(self.bodies) - 1
        return {
            "logIndex": str(index),
            "logId": {"keyId": encode_base64(find_key_id(self.key))},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": encode_base64(find_root(self.bodies)),
                "treeSize": str(len(self.bodies)),
                "hashes": [encode_base64(each) for each in find_path(index, self.bodies)],
                "checkpoint": {"envelope": self._make_checkpoint()},
            },
            "canonicalizedBody": encode_base64(self.bodies[index]),
        }

    def answer(self, index: int) -> dict[str, Any]:
        """What the log says of an entry."""
        promised: dict[str, str | int] = {
            "body": encode_base64(self.bodies[index]),
            "integratedTime": int(datetime.now(UTC).timestamp() + self.ahead_seconds),
            "logID": find_key_id(self.key).hex(),
            "logIndex": index,
        }
        proof = {
            "checkpoint": self._make_checkpoint(),
            "hashes": [each.hex() for each in find_path(index, self.bodies)],
            "logIndex": index,
            "rootHash": find_root(self.bodies).hex(),
            "treeSize": len(self.bodies),
        }
        promise = self.key.sign(rfc8785.dumps(promised), _ECDSA)
        verification = {"inclusionProof": proof, "signedEntryTimestamp": encode_base64(promise)}
        return {hash_leaf(self.bodies[index]).hex(): {**promised, "verification": verification}}

    def _make_checkpoint(self) -> str:
        note = f"{self.origin}\n{len(self.bodies)}\n{encode_base64(find_root(self.bodies))}\n"
        signature = find_key_id(self.key)[:4] + self.key.sign(note.encode(), _ECDSA)
        return f"{note}\n\u2014 {self.origin} {encode_base64(signature)}\n"


def _read_envelope_entry(proposed: dict[str, Any]) -> bytes:
    """The canonical body of a DSSE envelope's entry, once its signature holds."""
    content = proposed["spec"]["proposedContent"]
    envelope, verifier = json.loads(content["envelope"]), content["verifiers"][0]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    signature = envelope["signatures"][0]["sig"]
    _load_verifier(verifier).verify(base64.b64decode(signature), signed, _ECDSA)
    spec: dict[str, Any] = {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(content["envelope"].encode()).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": signature, "verifier": verifier}],
    }
    return rfc8785.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})


def _read_digest_entry(proposed: dict[str, Any]) -> bytes:
    """The canonical body of a digest's entry, once its signature holds."""
    spec = proposed["spec"]
    digest = bytes.fromhex(spec["data"]["hash"]["value"])
    key = _load_verifier(spec["signature"]["publicKey"]["content"])
    key.verify(base64.b64decode(spec["signature"]["content"]), digest, _ECDSA_OF_DIGEST)
    return rfc8785.dumps({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec})


def _load_verifier(encoded: str) -> ec.EllipticCurvePublicKey:
    key = x509.load_pem_x509_certificate(base64.b64decode(encoded)).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def hash_leaf(body: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\0" + body).digest()


def find_root(bodies: Sequence[bytes]) -> bytes:
    """The root of the tree of these entries."""
    if len(bodies) == 1:
        return hash_leaf(bodies[0])
    half = _find_split(len(bodies))
    return hashlib.sha256(b"\1" + find_root(bodies[:half]) + find_root(bodies[half:])).digest()


def find_path(index: int, bodies: Sequence[bytes]) -> list[bytes]:
    """The hashes that lead from an entry to the root, the nearest first."""
    if len(bodies) == 1:
        return []
    half = _find_split(len(bodies))
    if index < half:
        return [*find_path(index, bodies[:half]), find_root(bodies[half:])]
    return [*find_path(index - half, bodies[half:]), find_root(bodies[:half])]


def _find_split(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << (size - 1).bit_length() - 1


@dataclass(kw_only=True)
class PrivateSigstore:
    """The services of one address."""

    port: int
    provider: IdentityProvider = field(default_factory=IdentityProvider)
    authority: CertificateAuthority = field(default_factory=CertificateAuthority)
    log: TransparencyLog = field(default_factory=TransparencyLog)
    timestamps: private_timestamps.TimestampAuthority | None = None
    """Where there is one, the log is of the second version."""
    asked: list[str] = field(default_factory=list)
    """The paths that were asked for, in turn."""
    silent: str = ""
    """A path that is not answered before the end."""
    endless: str = ""
    """A path whose answer goes on as long as somebody reads it."""
    endless_bytes: int = 0
    """Where it ends after all: a reader of all of it fails a test, and fills no machine."""
    sent_bytes: int = 0
    """The bytes of endless answers that were sent."""
    echoes: bool = False
    """Whether a refusal shows what it was asked with, as a careless service does."""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Their address."""
        return f"http://127.0.0.1:{self.port}"

    def write_trust_config(self) -> bytes:
        """What whoever trusts these services gives to Sigstore's library: their keys and addresses."""
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._describe_log(self.log.key)],
            "ctlogs": [self._describe_log(self.authority.log_key)],
            "certificateAuthorities": [self._describe_authority(self.authority.root)],
        }
        services: dict[str, Any] = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [self._describe_service("")],
            "rekorTlogUrls": [self._describe_service("", version=1 if self.timestamps is None else 2)],
            "rekorTlogConfig": {"selector": "ANY"},
        }
        if self.timestamps is not None:
            chain = self.timestamps.certificate, self.timestamps.root
            root["timestampAuthorities"] = [self._describe_authority(*chain)]
            services |= {"tsaUrls": [self._describe_service(TIMESTAMPS)], "tsaConfig": {"selector": "ANY"}}
        kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        return json.dumps({"mediaType": kind, "trustedRoot": root, "signingConfig": services}).encode()

    def answer(self, address: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and answer to a request."""
        if address == TIMESTAMPS and self.timestamps is not None and self.silent != TIMESTAMPS:
            return 200, self.timestamps.answer(body)
        status, value = self._answer_value(address, headers, body)
        return status, json.dumps(value).encode()

    def _answer_value(self, address: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        parts = urllib.parse.urlsplit(address)
        path, query = parts.path, urllib.parse.parse_qs(parts.query)
        self.asked.append(path)
        if path == self.silent:
            self.ended.wait()
        try:
            if path == "/identity":
                return 200, self._give_identity(headers, query["audience"][0])
            if path == "/api/v2/signingCert":
                return 201, self._give_certificate(headers, json.loads(body))
            if path == "/api/v1/log/entries":
                return 201, self.log.append(json.loads(body))
            if path == "/api/v2/log/entries":
                return 201, self.log.append_digest(json.loads(body))
        except RefusedError as exc:
            seen = f": {headers.get('authorization')}" if self.echoes else ""
            return 401, {"code": 401, "message": f"{exc}{seen}"}
        return 404, {"code": 404, "message": f"nothing at {path}"}

    def _give_identity(self, headers: dict[str, str], audience: str) -> dict[str, Any]:
        if headers.get("authorization") != f"bearer {REQUEST_SECRET}":
            raise RefusedError("who asks is not known")
        return {"value": self.provider.make_token(PIPELINE, audience=audience)}

    def _give_certificate(self, headers: dict[str, str], asked: dict[str, str]) -> dict[str, Any]:
        identity = self.provider.read_identity(headers.get("authorization", "").removeprefix("Bearer "))
        request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
        chain = [self.authority.issue(request, identity, self.provider.issuer), self.authority.root]
        texts = [each.public_bytes(serialization.Encoding.PEM).decode() for each in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": texts}}}

    def _describe_service(self, path: str, *, version: int = 1) -> dict[str, Any]:
        began = {"start": BEGAN.isoformat()}
        return {"url": self.url + path, "majorApiVersion": version, "validFor": began, "operator": "burst.test"}

    def _describe_authority(self, *chain: x509.Certificate) -> dict[str, Any]:
        contents = [each.public_bytes(serialization.Encoding.DER) for each in chain]
        return {
            "subject": {"organization": "burst.test", "commonName": "private authority"},
            "uri": self.url,
            "certChain": {"certificates": [{"rawBytes": encode_base64(content)} for content in contents]},
            "validFor": {"start": BEGAN.isoformat()},
        }

    def _describe_log(self, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
        public_key = {
            "rawBytes": encode_base64(encode_public(key)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": BEGAN.isoformat()},
        }
        return {
            "baseUrl": self.url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": public_key,
            "logId": {"keyId": encode_base64(find_key_id(key))},
        }


@contextmanager
def served() -> Iterator[PrivateSigstore]:
    """A private Sigstore for the length of the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if self.path == made.endless:
                self.send_response(201)
                self.end_headers()
                self.send_endless_body()
                return
            status, content = made.answer(self.path, headers, body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def send_endless_body(self) -> None:
            while made.sent_bytes < made.endless_bytes:
                self.wfile.write(b"x" * 65536)
                made.sent_bytes += 65536

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # whoever asked has gone away
                self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = PrivateSigstore(port=server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
